"""`python -m minigan.train`: the files of a run, runs that are resumed or stopped, and calls that are refused."""

import csv
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from equal_runs import assert_equal_runs
from PIL import Image

from minigan import train
from minigan.data.open import open_images
from minigan.gan.models import generator
from minigan.gan.step import METRICS, build_gan, draw_inputs, train_step
from minigan.nn.rng import stream
from minigan.pages import plots
from minigan.runs import checkpoint, config
from minigan.runs.run_folder import Run
from minigan.system import atomic_files
from minigan.system.cli import run_command
from minigan.system.wording import see
from minigan.system.workers import one_blas_thread, using_workers
from minigan.training import trainer

SMALL = ["--image-size", "32", "--width", "2", "--batch-size", "4", "--sample-every", "2", "--save-every", "3"]


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory):
    """A folder of 20 small images."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for k in range(20):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{k:02d}.png")
    return folder


def call(*arguments):
    return run_command(train.main, [str(a) for a in arguments])


def start(image_folder, out, *arguments):
    return call("--data", image_folder, *SMALL, "--out", out, *arguments)


@pytest.fixture(scope="module")
def six(image_folder, tmp_path_factory):
    """An uninterrupted run of 6 steps."""
    out = tmp_path_factory.mktemp("runs") / "six"
    assert start(image_folder, out, "--steps", 6) == 0
    return out


# ------------------------------------------------------------------------------------------------- what a run leaves
def test_run_folder(six):
    names = sorted(p.relative_to(six).as_posix() for p in six.rglob("*") if p.is_file())
    assert names == sorted(
        [
            ".lock",
            "config.json",
            "training_log.txt",
            "log.csv",
            "losses.png",
            "faces.png",
            "faces.gif",
            "report.html",
            "speed.csv",
            "vitals.jsonl",
            *(f"images/{s:04d}_image.png" for s in (0, 2, 4)),
            *(f"images/{s:04d}fixed_image.png" for s in (0, 2, 4, 5)),
            *(f"models/{s}_{n}_weights_and_arch.safetensors" for s in (2, 5) for n in ("GENERATOR", "DISCRIMINATOR")),
            "checkpoints/step-000003.safetensors",
            "checkpoints/step-000006.safetensors",
        ]
    )


def test_log_has_the_articles_format(six):
    lines = (six / "training_log.txt").read_text().splitlines()
    assert len(lines) == 6
    for step, line in enumerate(lines):
        assert re.fullmatch(
            rf"Step: {step} Disc: real loss: \d+\.\d{{6}} fake loss: \d+\.\d{{6}} GAN loss: \d+\.\d{{6}}", line
        )


def test_csv_agrees_with_the_log(six):
    rows = list(csv.DictReader((six / "log.csv").read_text().splitlines()))
    assert list(rows[0]) == ["step", *METRICS]
    for row, line in zip(rows, (six / "training_log.txt").read_text().splitlines(), strict=True):
        numbers = [float(n) for n in re.findall(r"\d+\.\d{6}", line)]
        assert [round(float(row[k]), 6) for k in ("d_real", "d_fake", "g")] == pytest.approx(numbers, abs=1.1e-6)
        for name in METRICS:  # all digits of a float32
            assert f"{np.float32(row[name]):.9g}" == row[name]


def test_config_tells_settings_versions_and_machine(six):
    about = json.loads((six / "config.json").read_text())
    assert about["settings"]["width"] == 2
    assert about["settings"]["steps"] == 6
    assert about["images"]["count"] == 20
    (session,) = about["sessions"]
    assert session["versions"]["numpy"] == np.__version__
    assert session["machine"]["cores"] == os.cpu_count()


def test_images_are_sixteen_faces(six):
    side = 2 * (4 * (32 + 2) + 2)
    with Image.open(six / "images" / "0000fixed_image.png") as picture:
        assert picture.size == (side, side)
    with Image.open(six / "images" / "0000_image.png") as picture:
        assert picture.size == (side, 2 * (32 + 2 + 2))  # this batch has only four faces: one row
    with Image.open(six / "faces.gif") as film:
        assert film.n_frames == 4


def picture(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def shown(images):
    """The image file of some faces."""
    return np.repeat(np.repeat(plots.grid(images[:16], columns=4), 2, axis=0), 2, axis=1)


@pytest.fixture
def one_core():
    """As a run on one rank. Last digits depend on how many images are computed at once, and on how many cores."""
    with using_workers(1), one_blas_thread():
        yield


def test_images_show_the_fakes_of_their_step_and_the_fixed_faces(image_folder, six, one_core):
    """Steps 0 to 2 are computed again by hand."""
    gan = build_gan(image_size=32, width=2, seed=1337)
    images = open_images(image_folder, image_size=32, progress=False)
    fixed = stream(1337, "pictures").standard_normal((64, 1, 1, 100), np.float32)
    for step in range(3):
        if step == 0:
            first = shown(gan.generator.predict(fixed[:16]))
            np.testing.assert_array_equal(picture(six / "images" / "0000fixed_image.png"), first)
        result = train_step(gan, draw_inputs(images.batch(1337, step, 4), 1337, step))
        if step % 2 == 0:
            np.testing.assert_array_equal(picture(six / "images" / f"{step:04d}_image.png"), shown(result.fakes))
    network, done = checkpoint.load_network(six / "models" / "2_GENERATOR_weights_and_arch.safetensors")
    assert done == 3
    after_save = shown(network.predict(fixed[:16]))
    np.testing.assert_array_equal(picture(six / "images" / "0002fixed_image.png"), after_save)


def test_film_runs_forward_and_ends_with_the_last_image(six):
    with Image.open(six / "faces.gif") as film:
        frames = [np.asarray(film.convert("RGB")).astype(int)]
        film.seek(film.n_frames - 1)
        frames.append(np.asarray(film.convert("RGB")).astype(int))
    for frame, name in zip(frames, ("0000fixed_image.png", "0005fixed_image.png"), strict=True):
        assert np.abs(frame - picture(six / "images" / name)).mean() < 6


def test_averages_are_those_of_the_last_steps(image_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(trainer, "AVERAGED", 2)
    out = tmp_path / "run"
    assert start(image_folder, out, "--steps", 3) == 0
    rows = np.loadtxt(out / "log.csv", delimiter=",", skiprows=1)
    d_real, d_fake, g = rows[-2:, 1:4].mean(axis=0)
    expected = f"Step 2: averages of the last 2 steps: D fake {d_fake:f}, D real {d_real:f}, GAN {g:f}"
    assert expected in capsys.readouterr().out


def test_init_and_seed_reach_the_weights(image_folder, tmp_path):
    def first_kernel(name, *arguments):
        out = tmp_path / name
        assert call("--data", image_folder, "--steps", 1, "--batch-size", 2, "--out", out, *arguments) == 0
        return checkpoint.load_tensors(out / "checkpoints" / "step-000000.safetensors")[0]["generator.0.kernel"]

    original = first_kernel("original", "--init", "original")
    np.testing.assert_array_equal(original, generator(init="original").params()["0.kernel"])
    small = ("--image-size", 32, "--width", 2)
    one, two = first_kernel("one", *small, "--seed", 1), first_kernel("two", *small, "--seed", 2)
    assert not np.array_equal(one, two)


def test_seed_reaches_the_batches(image_folder, tmp_path):
    """With seed 7 the first loss is that of the batch which seed 7 draws."""
    assert start(image_folder, tmp_path / "run", "--steps", 1, "--seed", 7) == 0
    gan = build_gan(image_size=32, width=2, seed=7)
    images = open_images(image_folder, image_size=32, progress=False)
    metrics = train_step(gan, draw_inputs(images.batch(7, 0, 4), 7, 0)).metrics
    logged = np.loadtxt(tmp_path / "run" / "log.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(logged[1:], metrics, rtol=1e-7)


def test_fewer_steps_than_done_are_refused(six, capsys):
    assert "--steps: must be at least the 6 that the run has behind it, got 3" in refused(
        capsys, "--resume", six, "--steps", 3
    )


def test_dry_run_looks_at_the_folder(tmp_path, capsys):
    assert "there is no" in refused(capsys, "--dry-run", "--data", tmp_path / "nothing")


def test_first_image_is_made_before_the_first_update(image_folder, six, tmp_path):
    """The fixed faces of step 0 are the untrained generator's: the same whatever the data."""
    other = tmp_path / "other"
    for k in range(4):
        (tmp_path / "data").mkdir(exist_ok=True)
        Image.new("RGB", (32, 32), (k * 60, 0, 0)).save(tmp_path / "data" / f"{k}.png")
    assert start(tmp_path / "data", other, "--steps", 1) == 0
    first = "images/0000fixed_image.png"
    assert (other / first).read_bytes() == (six / first).read_bytes()


# --------------------------------------------------------------------------------------------------------------- resume
def test_resumed_run_equals_an_uninterrupted_one(image_folder, six, tmp_path):
    out = tmp_path / "three"
    assert start(image_folder, out, "--steps", 3) == 0
    assert call("--resume", out, "--steps", 6) == 0
    assert_equal_runs(six, out)


def test_resume_from_a_step_between_saves(image_folder, six, tmp_path):
    out = tmp_path / "four"
    assert start(image_folder, out, "--steps", 4) == 0
    assert call("--resume", out, "--steps", 6) == 0
    assert_equal_runs(six, out, checkpoints_of="000006")


def test_files_and_lines_beyond_the_checkpoint_are_removed(image_folder, six, tmp_path):
    out = tmp_path / "cut"
    assert start(image_folder, out, "--steps", 3) == 0
    # As if a process had been killed in step 5, two steps after its last checkpoint.
    for name in ("0004_image.png", "0004fixed_image.png", "0005fixed_image.png"):
        (out / "images" / name).write_bytes(b"from a future that did not happen")
    (out / "models" / "5_GENERATOR_weights_and_arch.safetensors").write_bytes(b"half")
    (out / "checkpoints" / ".minigan-step-000006-x.safetensors.tmp").write_bytes(b"half")
    with (out / "training_log.txt").open("a") as log, (out / "log.csv").open("a") as table:
        log.write("Step: 3 Disc: real loss: 9.000000 fake loss: 9.000000 GAN loss: 9.000000\nStep: 4 Di")
        table.write("3,9,9,9,9,9,9\n4,9,9")
    assert call("--resume", out, "--steps", 6) == 0
    assert_equal_runs(six, out)
    assert not list(out.rglob("*.tmp"))


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "garbage"])
def test_damaged_checkpoint_falls_back(image_folder, six, tmp_path, capsys, damage):
    out = tmp_path / "damaged"
    assert start(image_folder, out, "--steps", 6) == 0
    last = out / "checkpoints" / "step-000006.safetensors"
    data = bytearray(last.read_bytes())
    data[len(data) // 2] ^= 1
    last.write_bytes({"cut": data[: len(data) // 2], "flipped": data, "empty": b"", "garbage": b"x" * 999}[damage])
    assert call("--resume", out) == 0
    assert "step-000006.safetensors" in capsys.readouterr().err
    assert_equal_runs(six, out)


def test_checkpoint_renamed_to_a_later_step_is_not_believed(image_folder, six, tmp_path, capsys):
    out = tmp_path / "renamed"
    assert start(image_folder, out, "--steps", 6) == 0
    folder = out / "checkpoints"
    (folder / "step-000006.safetensors").rename(folder / "step-000020.safetensors")
    assert call("--resume", out) == 0
    assert "its contents are those of step 6" in capsys.readouterr().err
    assert_equal_runs(six, out)


def test_folders_with_the_names_of_files_are_passed_over(image_folder, six, tmp_path):
    out = tmp_path / "folders"
    assert start(image_folder, out, "--steps", 3) == 0
    (out / "checkpoints" / "step-000009.safetensors").mkdir()
    (out / "images" / "0005_image.png.d").mkdir()
    (out / "images" / "0099fixed_image.png").mkdir()
    assert call("--resume", out, "--steps", 6) == 0
    assert checkpoint.list_checkpoints(out / "checkpoints")[0][0] == 6


def test_a_damaged_old_image_is_left_out_of_the_film(image_folder, tmp_path):
    out = tmp_path / "picture"
    assert start(image_folder, out, "--steps", 3) == 0
    (out / "images" / "0000fixed_image.png").write_bytes(b"no picture")
    assert call("--resume", out, "--steps", 6) == 0
    with Image.open(out / "faces.gif") as film:
        assert film.n_frames == 3


def test_run_inside_its_own_data(image_folder, tmp_path, monkeypatch, capsys):
    """A run does not learn from the images that it writes, nor does the next run in that folder."""
    data = tmp_path / "data"
    data.mkdir()
    for path in image_folder.iterdir():
        (data / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(data)
    assert call("--data", ".", *SMALL, "--steps", 3, "--out", "runs/one") == 0
    assert call("--resume", "runs/one", "--steps", 4) == 0
    assert "have changed" not in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other limits on names")
def test_nothing_is_left_where_a_run_cannot_be_made(image_folder, tmp_path, capsys):
    error = refused(capsys, "--data", image_folder, *SMALL, "--out", tmp_path / "new" / "deep" / "..")
    assert "must end in the name of a new folder" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
@pytest.mark.parametrize("redirection", ["2>&-", ">&-", "| head -n 1", "> /dev/full"])
def test_streams_that_nobody_reads(image_folder, tmp_path, redirection):
    """The run does not end before its checkpoint without a word."""
    out = tmp_path / "run"
    options = " ".join(map(str, ["--data", image_folder, *SMALL, "--steps", 6, "--out", out]))
    subprocess.run(f"{sys.executable} -m minigan.train {options} {redirection}", shell=True, capture_output=True)
    assert checkpoint.list_checkpoints(out / "checkpoints")[0][0] >= 3


def test_all_checkpoints_damaged(image_folder, tmp_path, capsys):
    out = tmp_path / "hopeless"
    assert start(image_folder, out, "--steps", 3) == 0
    for path in (out / "checkpoints").iterdir():
        path.write_bytes(b"")
    assert call("--resume", out, "--steps", 6) == 2
    assert "no checkpoint in" in capsys.readouterr().err


def test_finished_run_has_nothing_to_do(image_folder, six, tmp_path, capsys):
    out = tmp_path / "done"
    assert start(image_folder, out, "--steps", 3) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert call("--resume", out) == 0
    assert "is finished: all 3 steps are done" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_run_killed_before_its_last_image_is_completed(image_folder, six, tmp_path):
    out = tmp_path / "almost"
    assert start(image_folder, out, "--steps", 6) == 0
    (out / "faces.gif").unlink()
    assert call("--resume", out) == 0
    assert_equal_runs(six, out)


def test_changed_images_are_noticed(image_folder, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for path in image_folder.iterdir():
        (data / path.name).write_bytes(path.read_bytes())
    out = tmp_path / "run"
    assert start(data, out, "--steps", 1) == 0
    (data / "00.png").unlink()
    capsys.readouterr()
    assert call("--resume", out, "--steps", 2) == 0
    assert "the images have changed since the run began (then 20, now 19)" in capsys.readouterr().err


def test_moved_images_are_not_changed_images(image_folder, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for path in image_folder.iterdir():
        (data / path.name).write_bytes(path.read_bytes())
    out = tmp_path / "run"
    assert start(data, out, "--steps", 1) == 0
    capsys.readouterr()
    assert call("--resume", out, "--steps", 2, "--data", image_folder) == 0
    assert "changed" not in capsys.readouterr().err


# -------------------------------------------------------------------------------------------------- stops of all kinds
ENDLESS = [*SMALL, "--steps", "100000"]


def spawn(image_folder, out, *arguments):
    command = [sys.executable, "-m", "minigan.train", *map(str, arguments)]
    if not arguments:
        command += ["--data", str(image_folder), *ENDLESS, "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_steps(out, steps, process):
    log = out / "training_log.txt"
    for _ in range(3000):
        if log.exists() and log.read_text().count("\n") >= steps:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("the run does not get on")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no way to send Ctrl-C to one process only")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_run_saves_and_says_how_to_go_on(image_folder, tmp_path, number, status):
    out = tmp_path / "run"
    process = spawn(image_folder, out)
    wait_for_steps(out, 5, process)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == status, stderr
    assert f"python -m minigan.train --resume {out}" in stdout
    assert "Traceback" not in stderr
    done = len((out / "training_log.txt").read_text().splitlines())
    assert checkpoint.list_checkpoints(out / "checkpoints")[0][0] == done
    assert (out / "faces.gif").exists()
    told = "Stopped by Ctrl-C" if number == signal.SIGINT else "with a request to end (SIGTERM)"
    assert f"{told}; all is saved, and the run can go on." in (out / "report.html").read_text(encoding="utf-8")
    assert call("--resume", out, "--steps", done + 1) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows moves no folder in which a file is open")
def test_a_run_folder_that_is_moved_while_it_trains(image_folder, tmp_path):
    """One line with true words; from its new place the run goes on."""
    out, moved = tmp_path / "run", tmp_path / "moved"
    process = spawn(image_folder, out)
    wait_for_steps(out, 4, process)
    out.rename(moved)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    error = stderr.replace("\r", "\n").strip().splitlines()[-1]
    words, _, step = error.rpartition(", from its checkpoint of step ")
    assert words == (
        f"minigan: error: the run folder {out} is no longer there; if it has been moved, python -m minigan.train "
        "--resume goes on with it at its new place"
    )
    assert checkpoint.list_checkpoints(moved / "checkpoints")[0][0] == int(step)
    assert stderr.count("minigan:") == 1
    assert call("--resume", moved, "--steps", int(step) + 1) == 0


def test_runs_that_are_started_in_the_same_moment(image_folder, tmp_path, monkeypatch):
    """Each gets a name of its own, also if another process takes the name after it was chosen."""
    monkeypatch.chdir(tmp_path)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SAME_MOMENT, "--data", image_folder, *SMALL, "--steps", "1", "--ranks", "1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    told = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], told
    names = ["2026-01-02_030405-article", *(f"2026-01-02_030405-article-{k}" for k in (2, 3))]
    assert sorted(out.splitlines()[0] for out, _ in told) == [f"Run folder: {Path('runs') / name}" for name in names]
    assert sorted(path.name for path in Path("runs").iterdir()) == names


SAME_MOMENT = """
import sys
from datetime import datetime
from minigan import train
from minigan.system.cli import run_command

class Clock(datetime):
    @classmethod
    def now(cls):
        return cls(2026, 1, 2, 3, 4, 5)

train.datetime = Clock
sys.exit(run_command(train.main))
"""


@pytest.mark.parametrize("chosen", ["by --out", "by minigan"])
def test_a_name_that_another_process_takes_meanwhile(image_folder, tmp_path, capsys, monkeypatch, chosen):
    """minigan takes another one. With --out the run is refused, and the other folder stays as it is."""
    monkeypatch.chdir(tmp_path)
    out = Path("runs/run")
    original = Run.save_checkpoint

    def save(self, gan, step):
        original(self, gan, step)
        if step == 0:
            out.mkdir()
            (out / "thesis.txt").write_text("mine")

    monkeypatch.setattr(Run, "save_checkpoint", save)
    if chosen == "by minigan":
        monkeypatch.setattr(train, "fresh_folders", lambda *_: iter([out, out.with_name("run-2")]))
        assert call("--data", image_folder, *SMALL, "--steps", 1) == 0
        assert f"Run folder: {out.with_name('run-2')}" in capsys.readouterr().out
    else:
        assert start(image_folder, out, "--steps", 1) == 2
        assert f"--out: {out} exists already and is never overwritten" in capsys.readouterr().err
        assert [path.name for path in Path("runs").iterdir()] == ["run"]
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_what_a_run_leaves_that_is_killed_while_it_is_made_goes_with_the_next_start(image_folder, tmp_path):
    script = (
        "import os, signal, sys; from minigan import train; from minigan.runs.run_folder import Run\n"
        "Run.save_checkpoint = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "train.main(sys.argv[1:])"
    )
    options = ["--data", image_folder, *SMALL, "--steps", "1", "--ranks", "1", "--out", tmp_path / "run"]
    killed = subprocess.run([sys.executable, "-c", script, *options], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.suffix for path in tmp_path.iterdir()] == [".tmp"]
    assert call(*options) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("operation", ["chmod", "fsync", "flock"])
def test_a_drive_that_offers_less(image_folder, six, tmp_path, monkeypatch, operation):
    """No permissions, no waiting for the disk, or no locks, as on some mounted buckets and network drives."""

    def refuse(*_, **__):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    owner = pytest.importorskip("fcntl") if operation == "flock" else os
    monkeypatch.setattr(owner, operation, refuse)
    out = tmp_path / "run"
    assert start(image_folder, out, "--steps", 3) == 0
    assert call("--resume", out, "--steps", 6) == 0
    assert_equal_runs(six, out)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_memory_that_runs_out(image_folder, tmp_path, capsys, monkeypatch):
    out = tmp_path / "run"
    original = trainer.train_step

    def greedy(gan, inputs, moves):
        if gan.g_optimizer.t == 4:
            raise MemoryError
        return original(gan, inputs, moves)

    monkeypatch.setattr(trainer, "train_step", greedy)
    assert start(image_folder, out, "--steps", 9) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"minigan: error: out of memory{see('limits')}")
    assert f"; the checkpoint of step 3 is kept: python -m minigan.train --resume {out}" in error
    assert "out of memory" in (out / "report.html").read_text(encoding="utf-8")


def kill_and_resume(image_folder, tmp_path, kills, seed):
    """Kill a run at random moments again and again. Then finish it, and compare it with an uninterrupted one."""
    rng = np.random.default_rng(seed)
    out, done = tmp_path / f"killed-{seed}", 0
    process = spawn(image_folder, out)
    wait_for_steps(out, 1, process)
    for _ in range(kills):
        time.sleep(rng.uniform(0, 0.4))
        process.kill()
        process.communicate()
        done = checkpoint.list_checkpoints(out / "checkpoints")[0][0]
        process = spawn(image_folder, out, "--resume", out)
        time.sleep(rng.uniform(0.3, 1.2))
    process.kill()
    process.communicate()
    done = max(done, checkpoint.list_checkpoints(out / "checkpoints")[0][0])
    end = done + 7
    assert call("--resume", out, "--steps", end) == 0
    peaceful = tmp_path / f"peaceful-{seed}"
    assert start(image_folder, peaceful, "--steps", end) == 0
    assert_equal_runs(peaceful, out, checkpoints_of=f"{end:06d}")


def test_killed_run_equals_one_that_was_not(image_folder, tmp_path):
    kill_and_resume(image_folder, tmp_path, kills=2, seed=0)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(1, 11))
def test_killed_often(image_folder, tmp_path, seed):
    kill_and_resume(image_folder, tmp_path, kills=5, seed=seed)


@pytest.mark.parametrize("where", ["checkpoint", "picture", "log"])
def test_full_disk(image_folder, tmp_path, capsys, monkeypatch, where):
    """The disk is full after step 3: exit 1, one line, and the checkpoint of step 3 is good."""
    out = tmp_path / "full"

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere")

    original = Run.log

    def log(self, step, metrics):
        original(self, step, metrics)
        if step == 3:
            if where == "checkpoint":
                monkeypatch.setattr(atomic_files, "flush_to_disk", full)
            elif where == "picture":
                monkeypatch.setattr(plots, "save_grid", full)
            else:
                monkeypatch.setattr(Run, "log", full)

    monkeypatch.setattr(Run, "log", log)
    assert start(image_folder, out, "--steps", 9) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "No space left on device" in error
    assert f"the checkpoint of step 3 is kept: python -m minigan.train --resume {out}" in error
    assert not list(out.rglob("*.tmp"))
    monkeypatch.undo()
    assert call("--resume", out, "--steps", 6) == 0


def test_loss_that_is_nan(image_folder, tmp_path, capsys, monkeypatch):
    out = tmp_path / "nan"
    original = trainer.train_step

    def poisoned(gan, inputs, moves):
        if gan.g_optimizer.t == 4:
            gan.generator.params()["0.kernel"].fill(np.nan)
        with np.errstate(all="ignore"):
            return original(gan, inputs, moves)

    monkeypatch.setattr(trainer, "train_step", poisoned)
    assert start(image_folder, out, "--steps", 9) == 3
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "the losses of step 4 are no longer finite (d_real " in error
    assert "the checkpoint of step 3 is kept" in error
    assert len((out / "training_log.txt").read_text().splitlines()) == 4


def test_a_checkpoint_with_nan_is_not_written(image_folder, tmp_path, capsys, monkeypatch):
    """The losses of the step were still finite, but its update broke a weight."""
    out = tmp_path / "nan"
    original = trainer.train_step

    def poisoned(gan, inputs, moves):
        result = original(gan, inputs, moves)
        if gan.g_optimizer.t == 6:
            gan.generator.params()["0.bias"][0] = np.inf
        return result

    monkeypatch.setattr(trainer, "train_step", poisoned)
    assert start(image_folder, out, "--steps", 9) == 3
    assert "after step 5 " in capsys.readouterr().err
    assert [step for step, _ in checkpoint.list_checkpoints(out / "checkpoints")] == [3, 0]


# ----------------------------------------------------------------------------------------------------- what is refused
def refused(capsys, *arguments):
    """One line on stderr, exit status 2."""
    assert call(*arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert error.startswith("minigan: error: ")
    return error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--colour", "red"], "unrecognized arguments: --colour red"),
        (["--step", "5"], "unrecognized arguments: --step 5"),
        (["--steps", "many"], "argument --steps: must be a whole number, got 'many'"),
        (["--steps", "0"], "--steps: must be between 1 and 100000000, got 0"),
        (["--steps", "1.5"], "must be a whole number, got '1.5'"),
        (["--ranks", "0"], "--ranks: must be 1 to 64, got 0"),
        (["--ranks", "-1"], "--ranks: must be 1 to 64, got -1"),
        (["--ranks", "100000"], "--ranks: must be 1 to 64, got 100000"),
        (["--ranks", "8", "--batch-size", "7"], "--ranks: must be 1 to 7, the batch size, got 8"),
        (["--ranks", "2", "--batch-size", "1"], "--ranks: must be 1, the batch size, got 2"),
        (["--ranks", "2.5"], "argument --ranks: must be a whole number, got '2.5'"),
        (["--threads", "0"], "--threads: must be 1 to 64, got 0"),
        (["--threads", "2", "--ranks", "2"], "--threads: is the former name of --ranks, and both are given, got 2"),
        (["--batch-size", "0"], "--batch-size: must be between 1 and 4096, got 0"),
        (["--batch-size", "-3"], "--batch-size: must be between 1 and 4096, got -3"),
        (["--width", "0"], "--width: must be between 1 and 512, got 0"),
        (["--width", "100000"], "--width: must be between 1 and 512, got 100000"),
        (["--image-size", "48"], "--image-size: must be one of 32, 64, 128, got 48"),
        (["--seed", "-1"], "--seed: must be between 0 and 4294967295, got -1"),
        (["--sample-every", "0"], "--sample-every: must be between 1"),
        (["--save-every", "0"], "--save-every: must be between 1"),
        (["--init", "original", "--width", "32"], "--init original: exists for image size 64 and width 64 only"),
        (["--init", "original", "--preset", "quick"], "got image size 64 and width 32"),
        (["--init", "zeros"], "argument --init: invalid choice: 'zeros'"),
        (["--preset", "slow"], "argument --preset: invalid choice: 'slow'"),
        (["--backend", "torch"], "argument --backend: invalid choice: 'torch'"),
        (["extra"], "unrecognized arguments: extra"),
        (["--data", "no/such/folder"], "no/such/folder"),
        (["--data", ""], "argument --data: must be a path, got ''"),
        (["--out", " "], "argument --out: must be a path, got ' '"),
        (["--resume", ""], "argument --resume: must be a path, got ''"),
        (["--out", 300 * "x"], 300 * "x"),
        (["--resume", 300 * "x"], 300 * "x"),
    ],
)
def test_bad_arguments(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, *arguments)
    assert not list(tmp_path.iterdir())


def test_cupy_without_a_gpu_says_what_to_install(tmp_path, monkeypatch, capsys):
    from minigan.nn.backend import UserError, get_backend

    try:
        get_backend("cupy")
    except UserError:
        pass
    else:
        pytest.skip("there is a GPU here")
    monkeypatch.chdir(tmp_path)
    assert "install" in refused(capsys, "--backend", "cupy")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["folder", "empty folder", "file", "below a file"])
def test_output_that_exists_is_never_touched(image_folder, tmp_path, capsys, what):
    out = tmp_path / "out"
    if what == "folder":
        out.mkdir()
        (out / "thesis.txt").write_text("mine")
    elif what == "empty folder":
        out.mkdir()
    else:
        out.write_text("mine")
    target = out / "run" if what == "below a file" else out
    before = sorted(str(p) for p in tmp_path.rglob("*"))
    error = refused(capsys, "--data", image_folder, *SMALL, "--out", target)
    assert "--out" in error
    assert str(out) in error
    assert sorted(str(p) for p in tmp_path.rglob("*")) == before


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_parent(image_folder, tmp_path, capsys):
    tmp_path.chmod(0o555)
    try:
        assert "read-only" in refused(capsys, "--data", image_folder, *SMALL, "--out", tmp_path / "run")
    finally:
        tmp_path.chmod(0o755)


def test_read_only_parent_as_the_system_tells_it(image_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert f"the folder {tmp_path} is read-only" in refused(
        capsys, "--data", image_folder, *SMALL, "--out", tmp_path / "run"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["missing", "file", "no run", "broken json", "not an object", "wild settings"])
def test_resume_of_a_folder_that_is_not_a_run(tmp_path, capsys, kind):
    path = tmp_path / "run"
    if kind == "file":
        path.write_text("x")
    elif kind != "missing":
        path.mkdir()
        text = {"broken json": "{", "not an object": "[1]", "wild settings": '{"settings": {"width": "wide"}}'}.get(
            kind
        )
        if text is not None:
            (path / "config.json").write_text(text)
    before = sorted(tmp_path.rglob("*"))
    assert str(path) in refused(capsys, "--resume", path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("option", "value", "own"),
    [("--width", 4, 2), ("--image-size", 64, 32), ("--seed", 1, 1337), ("--batch-size", 8, 4)],
)
def test_resume_keeps_fixed_settings(six, capsys, option, value, own):
    error = refused(capsys, "--resume", six, option, value)
    assert f"{option}: a resumed run keeps its own value, {own}, got {value}" in error


def test_resume_of_networks_of_another_size(image_folder, tmp_path, capsys):
    """config.json and the checkpoint give different sizes."""
    out = tmp_path / "run"
    assert start(image_folder, out, "--steps", 1) == 0
    text = (out / "config.json").read_text()
    (out / "config.json").write_text(text.replace('"width": 2', '"width": 3'))
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    capsys.readouterr()
    error = refused(capsys, "--resume", out, "--steps", 2)
    assert "is of image size 32 and width 2, but this run has image size 32 and width 3" in error
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before


def test_resume_and_out_exclude_each_other(six, tmp_path, capsys):
    assert "stays in its folder" in refused(capsys, "--resume", six, "--out", tmp_path / "x")


def test_fewer_images_than_a_batch(tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    Image.new("RGB", (32, 32)).save(data / "only.png")
    assert call("--data", data, *SMALL, "--steps", 1, "--out", tmp_path / "run") == 0
    assert "holds 1 images, fewer than one batch of 4" in capsys.readouterr().err


def test_unreadable_files_are_told(image_folder, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for path in image_folder.iterdir():
        (data / path.name).write_bytes(path.read_bytes())
    (data / "broken.png").write_bytes(b"no picture")
    (data / "folder.png").mkdir()
    assert call("--data", data, *SMALL, "--steps", 1, "--out", tmp_path / "run") == 0
    error = capsys.readouterr().err
    assert "minigan: warning: Skipped 1 of 21 files" in error


def test_dry_run_writes_nothing(image_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call("--dry-run") == 0
    output = capsys.readouterr().out
    assert "2,768,321 parameters" in output
    assert "3,616,771 parameters" in output
    assert "10,000 steps of 64 images (20,000 drawn faces)" in output
    assert not list(tmp_path.iterdir())


def test_drawn_faces_are_the_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(config.PRESETS, "quick", replace(config.PRESETS["quick"], faces=12))
    assert call("--preset", "quick", *SMALL, "--steps", 2) == 0
    (run,) = Path("runs").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d{6}-quick", run.name)
    assert json.loads((run / "config.json").read_text())["images"]["count"] == 12


def test_a_checkpoint_at_least_every_five_minutes(image_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    saved = []
    original = Run.save_checkpoint
    monkeypatch.setattr(Run, "save_checkpoint", lambda self, gan, step: (saved.append(step), original(self, gan, step)))
    assert start(image_folder, tmp_path / "run", "--steps", 4, "--save-every", 100) == 0
    assert saved == [0, 1, 2, 3, 4]


def test_whole_run_on_the_device_double(image_folder, six, tmp_path, double):
    """The whole command; the losses are read from the device only now and then."""
    from device_double import COUNTER

    out = tmp_path / "device"
    assert start(image_folder, out, "--steps", 6, "--backend", "cupy", "--sample-every", 100, "--save-every", 100) == 0
    log = np.loadtxt(out / "log.csv", delimiter=",", skiprows=1)
    expected = np.loadtxt(six / "log.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(log[:3], expected[:3], rtol=5e-3)
    assert len(log) == 6
    assert COUNTER.syncs > 0
