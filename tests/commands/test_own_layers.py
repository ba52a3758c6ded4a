"""`python -m minigan.train --layers FILE`: a student's own functions train a GAN, after a check of each."""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import own_layers
import pytest
from equal_runs import assert_equal_runs
from PIL import Image

from minigan import train
from minigan.check.sandbox import own_functions, supervisor
from minigan.check.sandbox.own_functions import IN_TRAINING
from minigan.runs import checkpoint
from minigan.system.cli import run_command
from minigan.training import trainer

SMALL = ["--image-size", "32", "--width", "2", "--batch-size", "4", "--sample-every", "2", "--save-every", "3"]


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for k in range(20):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{k:02d}.png")
    return folder


def call(*arguments):
    return run_command(train.main, [str(a) for a in arguments])


def start(image_folder, out, *arguments):
    return call("--data", image_folder, *SMALL, "--out", out, *arguments)


def log(run):
    return np.loadtxt(run / "log.csv", delimiter=",", skiprows=1)


def settings(run):
    return json.loads((run / "config.json").read_text(encoding="utf-8"))["settings"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of layers by name: right ones in both layouts, and one of the least size that trains quickly."""
    folder = tmp_path_factory.mktemp("students")
    texts = {"nhwc": own_layers.SOLUTIONS, "nchw": own_layers.NCHW, "tanh": TANH, "other": "\n" + TANH}
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.py" for name in texts}


TANH = """
import numpy as np

def tanh_forward(x):
    y = np.tanh(x)
    return y, y

def tanh_backward(dy, y):
    return dy * (1 - y * y)
"""


@pytest.fixture(scope="module")
def four(image_folder, tmp_path_factory):
    """Four steps with minigan's own functions."""
    out = tmp_path_factory.mktemp("runs") / "four"
    assert start(image_folder, out, "--steps", 4, "--ranks", 1) == 0
    return out


@pytest.fixture(scope="module")
def tanh_run(image_folder, files, tmp_path_factory):
    """Two steps with a student's tanh."""
    out = tmp_path_factory.mktemp("runs") / "tanh"
    assert start(image_folder, out, "--steps", 2, "--layers", files["tanh"]) == 0
    return out


# ---------------------------------------------------------------------------------------------------------- the numbers
@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_right_functions_train_as_minigans_own(image_folder, files, four, tmp_path, capsys, layout):
    out = tmp_path / "run"
    assert start(image_folder, out, "--steps", 4, "--layers", files[layout]) == 0
    told = capsys.readouterr().out
    assert f"  yours: {settings(out)['layers_used']} (on one rank)\n" in told
    assert "not used" not in told
    assert "not written" not in told
    np.testing.assert_allclose(log(out), log(four), rtol=1e-3)
    assert sorted(settings(out)["layers_used"].split(", ")) == sorted(IN_TRAINING)
    assert settings(out)["layers_sha256"] == own_functions.read_file(files[layout])[1]
    assert settings(out)["ranks"] == 1
    assert str(files[layout].parent) not in (out / "config.json").read_text(encoding="utf-8")
    (name,) = (out / "checkpoints").glob("*000004*")
    (other,) = (four / "checkpoints").glob("*000004*")
    ours, theirs = checkpoint.load_tensors(name)[0], checkpoint.load_tensors(other)[0]
    assert ours.keys() == theirs.keys()
    for key, a in ours.items():  # also the weights of a student who writes kernels as (O, C, K, K)
        assert a.shape == theirs[key].shape


def test_moved_images_are_trained_with_minigans_step_of_the_generator(image_folder, files, tmp_path, capsys):
    runs = {}
    for name, more in (("own", ("--layers", files["nhwc"])), ("plain", ("--ranks", 1))):
        runs[name] = tmp_path / name
        assert start(image_folder, runs[name], "--steps", 2, "--translate", "--ema", 0.9, *more) == 0
    told = capsys.readouterr().out
    assert "  not used: generator_step: it cannot move the images, which --translate asks for\n" in told
    assert "generator_step" not in settings(runs["own"])["layers_used"]
    assert "discriminator_step" in settings(runs["own"])["layers_used"]
    np.testing.assert_allclose(log(runs["own"]), log(runs["plain"]), rtol=1e-3)


# --------------------------------------------------------------------------------------------------------- what is used
WRONG = (
    TANH.replace("(1 - y * y)", "(1 - y)")
    + """
def leaky_relu_forward(x, alpha=0.2):
    return np.where(x > 0, x, alpha * x).astype(x.dtype), (x, alpha)

def leaky_relu_backward(dy, cache):
    x, alpha = cache
    return dy * np.where(x > 0, 1, alpha).astype(dy.dtype)

def dense_forward(x, w, b):
    raise NotImplementedError

def flatten_forward(x):
    while True:
        pass

def moving_average(moving, biased, t, value, momentum=0.5):
    raise ValueError("not yet\\nfinished")
"""
)


def test_what_passes_is_used_and_what_does_not_is_named_in_one_line(image_folder, four, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(own_functions, "check_file", functools.partial(supervisor.check_file, time_limit=1.5))
    file = tmp_path / "my_layers.py"
    file.write_text(WRONG)
    out = tmp_path / "run"
    assert start(image_folder, out, "--steps", 2, "--layers", file) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Checking the functions of {file} ..."
    assert lines[1] == "  yours: leaky_relu (on one rank)"
    assert lines[2].startswith("  not used: tanh: E63: ")
    assert lines[3].startswith("  not used: flatten: E04: still not done after 1.5 s")
    assert lines[4] == "  not used: moving_average: E10: moving_average raises ValueError: not yet finished"
    assert lines[5].startswith(
        "  not written: dense, bce_with_logits, adam, discriminator_step, generator_step, conv2d,"
    )
    assert lines[6].startswith("Run folder")
    assert settings(out)["layers_used"] == "leaky_relu"
    np.testing.assert_allclose(log(out), log(four)[:2], rtol=1e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:\n", "E01: the file is not valid Python: invalid syntax: line 1: def f(:"),
        ("import numpy as np\n", "--layers: at least one exercise must pass its check, got none in "),
        (TANH.replace("1 - y * y", "y"), "--layers: at least one exercise must pass its check, got none in "),
        ("import no_such_module\n", "E02: the file imports no_such_module, which is not installed"),
        ("1 / 0\n", "E03: the file raises ZeroDivisionError when it is imported: ZeroDivisionError"),
        ("import sys\nsys.exit()\n", "E03: the file exits when it is imported"),
        ("while True:\n    pass\n", "E04: still not done after 2 s of importing the file"),
        ("while True:\n    print('word ' * 1000)\n", "E07: it printed more than 1,000 kB while it was imported"),
        ("LAYOUT = 'HWCN'\n", "E03: LAYOUT = 'HWCN': the checker knows NHWC and NCHW"),
        ("<!DOCTYPE html>\n<html></html>\n", "E01: the file is a web page"),
    ],
)
def test_a_file_that_cannot_be_used(image_folder, tmp_path, capsys, monkeypatch, text, message):
    monkeypatch.setattr(own_functions, "check_file", functools.partial(supervisor.check_file, import_limit=2.0))
    file = tmp_path / "my_layers.py"
    file.write_text(text)
    assert start(image_folder, tmp_path / "run", "--steps", 2, "--layers", file) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.py", "there is no file "),
        (".", " is a folder; name a Python file in it"),
        ("a.ipynb", " is a notebook: export it as a Python file first"),
    ],
)
def test_a_path_that_cannot_be_used(image_folder, tmp_path, capsys, name, message):
    (tmp_path / "a.ipynb").write_text("{}")
    assert start(image_folder, tmp_path / "run", "--layers", tmp_path / name) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--ranks", 2), "--ranks: must be 1 with --layers, because functions of your own know nothing of other ranks"),
        (("--threads", 3), "--threads: must be 1 with --layers, because"),
        (("--backend", "cupy"), "--layers: needs --backend numpy, got cupy"),
    ],
)
def test_one_rank_and_numpy_only(image_folder, files, tmp_path, capsys, options, message):
    assert start(image_folder, tmp_path / "run", *options, "--layers", files["tanh"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_several_processes_of_an_mpi_launcher_are_refused(image_folder, files, tmp_path, capsys, monkeypatch):
    from minigan.training import ranks

    monkeypatch.setattr(ranks, "launched_size", lambda: 2)
    with pytest.raises(train.UserError, match="--layers: needs one rank, got 2, started by an MPI launcher"):
        ranks.rank_count(train.RunConfig(layers_sha256="0" * 64))


def test_dry_run_checks_and_writes_nothing(files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call("--layers", files["tanh"], "--dry-run") == 0
    told = capsys.readouterr().out
    assert "  yours: tanh (on one rank)" in told
    assert "  layers_used     tanh\n" in told
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------------- going on
def test_a_resumed_run_needs_the_same_file(image_folder, files, tanh_run, four, capsys):
    sha = own_functions.read_file(files["tanh"])[1][:12]
    other = own_functions.read_file(files["other"])[1][:12]
    for run, more, message in (
        (tanh_run, (), f"--layers: must name the file of your own functions that {tanh_run} was begun with ("),
        (
            tanh_run,
            ("--layers", files["other"]),
            f"with the SHA-256 {sha}..., got {files['other']} with {other}...; start a new run for another file",
        ),
        (
            four,
            ("--layers", files["tanh"]),
            f"--layers: {four} was begun with minigan's own functions and goes on with",
        ),
        (tanh_run, ("--layers", files["tanh"], "--backend", "cupy"), "--layers: needs --backend numpy, got cupy"),
        (tanh_run, ("--layers", files["tanh"], "--ranks", 2), "--ranks: must be 1 with --layers"),
    ):
        before = (run / "config.json").read_bytes()
        assert call("--resume", run, "--steps", 5, *more) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
        assert (run / "config.json").read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_run_goes_on_as_if_nothing_had_happened(image_folder, files, tmp_path):
    """Even if the file has another name and another place by then."""
    out = tmp_path / "run"
    words = ["--data", image_folder, *SMALL, "--steps", 100_000, "--out", out, "--layers", files["tanh"]]
    process = subprocess.Popen(
        [sys.executable, "-m", "minigan.train", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not list((out / "checkpoints").glob("step-000003.*")):
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    step = checkpoint.list_checkpoints(out / "checkpoints")[0][0]
    copy = tmp_path / "another name.py"
    copy.write_bytes(files["tanh"].read_bytes())
    assert call("--resume", out, "--steps", step + 2, "--layers", copy) == 0
    peaceful = tmp_path / "peaceful"
    assert start(image_folder, peaceful, "--steps", step + 2, "--layers", files["tanh"]) == 0
    assert_equal_runs(peaceful, out, checkpoints_of=f"{step + 2:06d}")


def test_a_file_that_changes_while_the_run_trains(image_folder, tanh_run, tmp_path, capsys, monkeypatch):
    """What was checked trains to the end; a resumed run is then refused."""
    file, out = tmp_path / "my_layers.py", tmp_path / "run"
    file.write_text(TANH)
    one_step = trainer.Trainer._one_step

    def step_and_write(self, *arguments):
        one_step(self, *arguments)
        file.write_text("1 / 0\n")

    monkeypatch.setattr(trainer.Trainer, "_one_step", step_and_write)
    assert start(image_folder, out, "--steps", 2, "--layers", file) == 0
    assert_equal_runs(out, tanh_run)
    assert call("--resume", out, "--steps", 3, "--layers", file) == 2
    assert "start a new run for another file" in capsys.readouterr().err


def test_a_file_that_changes_while_it_is_checked(image_folder, tmp_path, capsys, monkeypatch):
    file = tmp_path / "my_layers.py"
    file.write_text(TANH)

    def check_and_write(*arguments, **settings):
        report = supervisor.check_file(*arguments, **settings)
        file.write_text("1 / 0\n")
        return report

    monkeypatch.setattr(own_functions, "check_file", check_and_write)
    assert start(image_folder, tmp_path / "run", "--layers", file) == 2
    assert "must be as it was checked, with the SHA-256" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("used", "message"),
    [
        ("conv2d", "must define conv2d_forward, conv2d_backward, for which it is to be used"),
        ("os.system", "there is no exercise 'os.system'"),
        ("", "there is no exercise ''"),
    ],
)
def test_a_config_that_names_what_is_not_there(files, tanh_run, tmp_path, capsys, used, message):
    import shutil

    run = tmp_path / "run"
    shutil.copytree(tanh_run, run)
    text = (run / "config.json").read_text(encoding="utf-8")
    (run / "config.json").write_text(text.replace('"layers_used": "tanh"', f'"layers_used": "{used}"'))
    assert call("--resume", run, "--steps", 3, "--layers", files["tanh"]) == 2
    assert message in capsys.readouterr().err


# -------------------------------------------------------------------------------------- functions that fail in training
FAILS = """
import numpy as np

def helper(x):
    if len(x) == 4 and x.shape[1] == 32:
        {what}
    return np.tanh(x)

def tanh_forward(x):
    y = helper(x)
    return y, y

def tanh_backward(dy, y):
    return dy * (1 - y * y)
"""


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (
            "raise ValueError('too\\nlarge')",
            "my_layers.py: tanh_forward raises ValueError: too large (line 10 of tanh_forward: y = helper(x); "
            "from there, line 6 of helper: raise ValueError('too\\nlarge')); the checkpoint of step 0 is kept: ",
        ),
        ("raise SystemExit", "my_layers.py: tanh_forward raises SystemExit (line 10 of tanh_forward"),
        ("return x[:, :3]", "with functions of my_layers.py: "),
        ("return x * np.nan", "are no longer finite"),
    ],
)
def test_a_function_that_fails_on_real_images(image_folder, tmp_path, capsys, what, message):
    """It passes its check, whose arrays are small. One line, the checkpoint, and the whole command that goes on."""
    file, out = tmp_path / "my_layers.py", tmp_path / "run"
    file.write_text(FAILS.format(what=what.replace("\n", "\\n")))
    assert start(image_folder, out, "--steps", 3, "--layers", file) == (3 if "nan" in what else 1)
    error = capsys.readouterr().err.splitlines()[-1]
    assert message in error
    assert error.endswith(f"python -m minigan.train --resume {out} --layers {file}")
    assert "Traceback" not in error


def test_prints_are_bounded(image_folder, tmp_path, capsys):
    file = tmp_path / "my_layers.py"
    file.write_text(TANH.replace("    y = ", "    print('word ' * 100)\n    y = "))
    assert start(image_folder, tmp_path / "run", "--steps", 4, "--layers", file) == 0
    told = capsys.readouterr().out
    assert 100 < told.count("word") < 1000
    assert told.count("[my_layers.py prints more; it is left out]") == 1
    assert "Done: 4 steps" in told


def test_a_module_beside_the_file_is_found_and_hides_none_of_minigans(image_folder, tmp_path):
    (tmp_path / "my_helpers.py").write_text("from numpy import tanh\n")
    (tmp_path / "queue.py").write_text("1 / 0\n")
    file = tmp_path / "my_layers.py"
    file.write_text(TANH.replace("    y = np.tanh", "    from my_helpers import tanh\n    y = tanh"))
    assert start(image_folder, tmp_path / "run", "--steps", 2, "--layers", file) == 0
    assert settings(tmp_path / "run")["layers_used"] == "tanh"


# --------------------------------------------------------------------------------------------------------- what is told
def test_the_report_names_the_file_by_its_hash(tanh_run):
    page = (tanh_run / "report.html").read_text(encoding="utf-8")
    assert settings(tanh_run)["layers_sha256"] in page
    assert "--layers: exercises used" in page
    assert f"--resume {tanh_run} --steps 4 --layers FILE" in page


def test_the_report_of_another_run_says_nothing_of_layers(four):
    assert "layers" not in (four / "report.html").read_text(encoding="utf-8").replace("my_layers", "")


def test_other_commands_read_such_a_run_with_minigans_own_functions(tanh_run, tmp_path):
    from minigan import sample

    assert run_command(sample.main, [str(tanh_run), "--n", "4", "--out", str(tmp_path / "faces.png")]) == 0
