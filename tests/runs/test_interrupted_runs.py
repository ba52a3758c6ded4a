"""Nothing is lost: interrupted runs are resumed, and then compared with a run that was not interrupted.

The interruptions: killed processes, full and broken disks, damaged checkpoints, two processes on one run, wrong clocks.
"""

import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import tqdm.std
from equal_runs import assert_equal_runs, files_of
from malformed_inputs import flipped
from PIL import Image
from places import SUPPORT

from minigan import sample, train
from minigan.gan.step import build_gan
from minigan.pages import plots
from minigan.runs import checkpoint
from minigan.runs.run_folder import Run
from minigan.system import atomic_files, lock
from minigan.system.cli import run_command
from minigan.system.lock import FolderLock
from minigan.system.wording import see

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs fork, SIGKILL and POSIX's mounts")
SMALL = ["--image-size", "32", "--width", "1", "--batch-size", "2", "--sample-every", "2", "--save-every", "2"]
STEPS = ["--steps", "4"]


@pytest.fixture(scope="module", autouse=True)
def _each_plot_is_drawn_once():
    """Equal curves give equal plots, and drawing them takes longer than everything else here."""
    plain, drawn = plots.save_loss_plot, {}

    def plot(path, steps, history):
        curves = steps.tobytes() + b"".join(curve.tobytes() for curve in history.values())
        if curves not in drawn:
            plain(path, steps, history)
            drawn[curves] = path.read_bytes()
        atomic_files.write_bytes(path, drawn[curves])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "save_loss_plot", plot)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for k in range(128):  # as many as measuring needs
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{k}.png")
    return folder


def call(*arguments):
    return run_command(train.main, [str(a) for a in arguments])


def begin(data, out, *arguments):
    return call("--data", data, *SMALL, *STEPS, "--out", out, *arguments)


@pytest.fixture(scope="module")
def peaceful(data, tmp_path_factory):
    """A run of four steps; not to be changed."""
    out = tmp_path_factory.mktemp("peaceful") / "run"
    assert begin(data, out) == 0
    return out


@pytest.fixture
def run(peaceful, tmp_path):
    """A copy of the peaceful run."""
    return shutil.copytree(peaceful, tmp_path / "run")


def last_line(stderr):
    return stderr.replace("\r", "\n").strip().splitlines()[-1]


# ------------------------------------------------------------------------------------- killed, and refused the disk
class Harness:
    """`tests/support/interrupted_runs.py` on one small run."""

    def __init__(self, data, folder, *options):
        self.folder = folder
        self.start = ["--data", str(data), *SMALL, *STEPS, "--metrics-every", "3", *options]
        ((self.peaceful, [session]),) = self.run([[None]])
        assert session["status"] == 0, session["error"]
        self.points = [_kind(point) for point in session["points"]]

    def run(self, faults):
        """Run a job for each list of faults; return the run folder and the sessions of each."""
        folder = self.folder / f"jobs-{len(list(self.folder.iterdir()))}"
        jobs = []
        for k, each in enumerate(faults):
            watch = folder / str(k)
            watch.mkdir(parents=True)
            jobs.append({"start": self.start, "out": str(watch / "run"), "watch": str(watch), "faults": each})
        (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
        command = [sys.executable, str(SUPPORT / "interrupted_runs.py"), str(folder / "jobs.json")]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr
        return [(Path(job["out"]), sessions) for job, sessions in zip(jobs, json.loads(done.stdout), strict=True)]


def _kind(point):
    """A point's name without the machine's and the random letters of a temporary name."""
    return re.sub(r"(?<=\.minigan)-[0-9a-f]{6}(?=-)|-[a-z0-9_]{8}(?=(\.\w+)*\.tmp)", "", point)


@pytest.fixture(scope="module")
def harness(data, tmp_path_factory):
    return Harness(data, tmp_path_factory.mktemp("faults"))


def some_points(points, count):
    """All points at which the last checkpoint is saved, and random other ones: `count` in all."""
    saving = [k for k, point in enumerate(points) if "step-000004" in point or point.startswith("unlink")]
    others = [k for k in range(len(points)) if k not in saving]
    return saving + random.Random(0).sample(others, count - len(saving))


def check_killed(harness, faults):
    for out, (*killed, last) in harness.run(faults):
        assert [session["status"] for session in killed] == [-signal.SIGKILL] * len(killed)
        assert last["status"] == 0, last["error"]
        assert_equal_runs(harness.peaceful, out)


@posix
def test_points_are_what_a_save_does(harness):
    """The harness sees every file operation; otherwise it would test nothing."""
    saving = [point.split()[0] for point in harness.points if "step-000004" in point]
    # Made by mkstemp, locked, opened, header and numbers written, permissions, opened to be flushed, flushed, renamed.
    assert saving == ["open", "open", "open", "write", "write", "chmod", "open", "fsync", "rename"]
    for point in (
        "write run/metrics.jsonl",
        "write run/log.csv",
        "fsync run/log.csv",
        "fsync run/checkpoints",
        "rename .minigan.tmp",
    ):
        assert point in harness.points
    assert "unlink run/checkpoints/step-000000.safetensors" in harness.points


@posix
def test_killed_at_some_moments(harness):
    check_killed(harness, [[["kill", at], None] for at in some_points(harness.points, 11)])


@posix
def test_killed_again_while_it_resumes(harness):
    middle = harness.points.index("rename run/checkpoints/.minigan-step-000002.safetenso.tmp") + 20
    check_killed(harness, [[["kill", middle], ["kill", at], None] for at in (1, 5)])


@pytest.fixture(scope="module")
def better(data, tmp_path_factory):
    """A harness for a run with all options for better training."""
    options = ["--ema", "0.9", "--flip", "--translate", "--g-learning-rate", "0.0003"]
    return Harness(data, tmp_path_factory.mktemp("better"), *options)


@posix
def test_killed_with_all_options(better):
    """Killed around the file of the average, in the last checkpoint, and elsewhere."""
    own = [k for k, point in enumerate(better.points) if "3_GENERATOR_EMA" in point]
    last = next(k for k, point in enumerate(better.points) if point.startswith("write") and "step-000004" in point)
    assert len(own) > 5
    check_killed(better, [[["kill", at], None] for at in (own[2], own[-1], last + 1, len(better.points) // 2)])


@pytest.fixture(scope="module")
def ranked(data, tmp_path_factory):
    """A run on two ranks."""
    return Harness(data, tmp_path_factory.mktemp("ranked"), "--batch-size", "8", "--ranks", "2")


@posix
@pytest.mark.thorough
def test_killed_on_ranks(ranked):
    """At the start, in a step, in a checkpoint, and at the end; the last one also while it resumes."""
    saving = next(k for k, point in enumerate(ranked.points) if point.startswith("write") and "step-000004" in point)
    moments = [[["kill", at], None] for at in (5, len(ranked.points) // 2, saving)]
    check_killed(ranked, [*moments, [["kill", len(ranked.points) - 2], ["kill", 3], None]])


@posix
def test_disk_that_refuses_on_ranks(ranked):
    check_refused(ranked, [("ENOSPC", ranked.points.index("write run/training_log.txt"))])


@posix
@pytest.mark.thorough
@pytest.mark.parametrize("part", range(4))
def test_killed_at_any_moment_on_ranks(ranked, part):
    check_killed(ranked, [[["kill", at], None] for at in range(part, len(ranked.points), 8)])


@posix
@pytest.mark.thorough
@pytest.mark.parametrize("part", range(4))
def test_killed_at_any_moment_with_all_options(better, part):
    check_killed(better, [[["kill", at], None] for at in range(part, len(better.points), 8)])


@posix
@pytest.mark.thorough
@pytest.mark.parametrize("part", range(8))
def test_killed_at_every_moment(harness, part):
    check_killed(harness, [[["kill", at], None] for at in range(part, len(harness.points), 8)])


@posix
@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(4))
def test_killed_again_and_again(harness, seed):
    rng = random.Random(seed)
    begun = harness.points.index("rename .minigan.tmp") + 1
    saved = harness.points.index("rename run/checkpoints/.minigan-step-000004.safetenso.tmp")
    times = [[rng.randrange(begun, saved), *(rng.randrange(40) for _ in range(4))] for _ in range(8)]
    check_killed(harness, [[*(["kill", at] for at in each), None] for each in times])


def told(point, what):
    """Whether a refused operation stops the run: not if it is a nicety or a report, or makes a rename durable."""
    operation, name = point.split(" ", 1)
    if "report" in name or operation == "chmod" or (operation == "fsync" and "." not in name):
        return False
    return what != "ENOSPC" or operation not in ("unlink", "rename")


def check_refused(harness, moments):
    """`moments`: what, and at which point."""
    results = harness.run([[[what, at], None] for what, at in moments])
    for (what, at), (out, (first, second)) in zip(moments, results, strict=True):
        assert "Traceback" not in first["error"]
        if any(told(point, what) for point in harness.points[at:]):
            assert first["status"] in (1, 2), harness.points[at]
            assert last_line(first["error"]).startswith("minigan: error: ")
            assert os.strerror(getattr(errno, what)) in last_line(first["error"])
        else:
            assert first["status"] == 0
        assert second["status"] == 0, second["error"]
        assert_equal_runs(harness.peaceful, out)


@posix
def test_disk_that_refuses(harness):
    """The disk is full, read-only or broken from some moment on, and good again when the run is resumed."""
    moments = {
        "open .minigan.tmp/.minigan-config.json.tmp": ("ENOSPC", "EROFS"),
        "write run/training_log.txt": ("EIO", "EROFS"),
        "write run/checkpoints/.minigan-step-000004.safetenso.tmp": ("ENOSPC", "EIO"),
    }
    check_refused(harness, [(what, harness.points.index(point)) for point, whats in moments.items() for what in whats])


@posix
@pytest.mark.thorough
@pytest.mark.parametrize("part", range(4))
def test_disk_that_refuses_at_any_moment(harness, part):
    whats = ("ENOSPC", "EROFS", "EIO")
    check_refused(harness, [(whats[at // 4 % 3], at) for at in range(part, len(harness.points), 4)])


@posix
@pytest.mark.thorough
def test_disk_that_is_really_full_or_read_only(data, peaceful, tmp_path):
    """A small tmpfs, in a mount namespace of its own: full, then read-only, then large enough."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")
    disk, python = tmp_path / "disk", f"{sys.executable} -m minigan.train"
    disk.mkdir()
    script = f"""
        mount -t tmpfs -o size=600k disk {disk} || exit 99
        {python} --data {data} {" ".join([*SMALL, *STEPS])} --out {disk}/run; echo $?
        mount -o remount,ro {disk} && {python} --resume {disk}/run; echo $?
        mount -o remount,rw,size=64m {disk} && {python} --resume {disk}/run; echo $?
        cp -a {disk}/run {tmp_path}/saved
    """
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=False)
    if done.returncode == 99:
        pytest.skip("no mounts here")
    assert [line for line in done.stdout.splitlines() if line.isdigit()] == ["1", "2", "0"], done.stderr
    assert f"No space left on device{see('disk')}; the checkpoint of step " in done.stderr
    assert "cannot be used: Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr
    assert_equal_runs(peaceful, tmp_path / "saved")


@posix
def test_limit_on_the_size_of_files(data, peaceful, tmp_path):
    """The system allows files of at most 60 kB, and a checkpoint is larger."""
    script = (
        "import resource, sys; from minigan import train; from minigan.system.cli import run_command;"
        "from minigan.data.open import open_images;"
        "open_images(sys.argv[2], image_size=32, progress=False);"  # a cache that has to be made is larger, too
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY));"
        "sys.exit(run_command(train.main, sys.argv[1:]))"
    )
    out = tmp_path / "run"
    command = [sys.executable, "-c", script, "--data", str(data), *SMALL, *STEPS, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("minigan: ")]
    assert f"cannot be made: {os.strerror(errno.EFBIG)}" in told
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_clock_that_goes_backwards(data, peaceful, tmp_path, monkeypatch):
    """Only the times in the reports depend on a clock."""
    now = [2e9]

    def earlier():
        now[0] -= 1000
        return now[0]

    for owner, name in ((time, "time"), (time, "monotonic"), (tqdm.std, "time")):
        monkeypatch.setattr(owner, name, earlier)
    out = tmp_path / "run"
    assert call("--data", data, *SMALL, "--steps", 2, "--out", out) == 0
    assert call("--resume", out, *STEPS) == 0
    assert_equal_runs(peaceful, out)


def test_folder_of_a_killed_start_is_removed_after_a_day(data, tmp_path):
    """Files of other programs stay, and so do folders that may be in use."""
    for name in (".minigan-old.tmp", ".minigan-fresh.tmp", ".minigan-notes", "old.tmp"):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        if "fresh" not in name:
            os.utime(tmp_path / name, (0, 0))
    assert begin(data, tmp_path / "run") == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {".minigan-fresh.tmp", ".minigan-notes", "old.tmp", "run"}


def test_killed_in_its_last_report(run, peaceful):
    """Everything was saved except the report, which is half written."""
    (run / f"{atomic_files._own_prefix()}report-x.html.tmp").write_bytes(b"half")
    assert call("--resume", run) == 0
    assert_equal_runs(peaceful, run)


@posix
def test_what_evaluate_is_writing_stays(run):
    """It writes to the run folder without the run's lock, and holds what it is writing."""
    with atomic_files.replacing(run / "evaluation.json") as temporary:
        temporary.write_text("{}", encoding="utf-8")
        assert call("--resume", run) == 0
    assert (run / "evaluation.json").read_text(encoding="utf-8") == "{}"


# ------------------------------------------------------------------------------------ two processes on one run folder
@posix
def test_second_process_is_refused(data, tmp_path, capsys):
    """The second one is told which process holds the run, and changes nothing. After a SIGKILL the lock is free."""
    out = tmp_path / "run"
    options = ["--data", str(data), *SMALL, "--steps", "1000000", "--save-every", "1000000", "--out", str(out)]
    command = [sys.executable, "-m", "minigan.train", *options]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        while not (out / "log.csv").exists() or len((out / "log.csv").read_bytes().splitlines()) < 3:
            assert first.poll() is None, first.communicate()
            time.sleep(0.02)
        before = (out / "config.json").read_bytes()
        for arguments in (["--resume", out], ["--resume", out, "--steps", 5]):
            assert call(*arguments) == 2
            captured = capsys.readouterr()
            assert captured.err.count("\n") == 1
            assert f"{out} is in use by process {first.pid} on " in captured.err
        assert call("--resume", out, "--dry-run") == 0  # a dry run may read the folder
        assert run_command(sample.main, [str(out), "--n", "1"]) == 0
        assert first.poll() is None
        assert (out / "config.json").read_bytes() == before
    finally:
        first.kill()
        first.communicate()
    assert call("--resume", out, "--steps", 1) == 0


def test_file_system_without_locks(run, data, monkeypatch, capsys):
    def refuse(file):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_lock", refuse)
    assert call("--resume", run, "--steps", 5) == 0
    warning = f"minigan: warning: {run} is on a file system without locks (No locks available)"
    assert warning in capsys.readouterr().err


def test_lock_is_released_when_a_resume_fails(run, capsys):
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(b"")
    assert call("--resume", run, "--steps", 5) == 2
    FolderLock(run).release()


# ------------------------------------------------------------------------------------------------ damaged checkpoints
@pytest.fixture(scope="module")
def saved(peaceful):
    """Bytes of a checkpoint, and the length of its header."""
    data = checkpoint.list_checkpoints(peaceful / "checkpoints")[0][1].read_bytes()
    return data, 8 + int.from_bytes(data[:8], "little")


@pytest.mark.parametrize("position", ["size", "word", "data"])
def test_flipped_bit_falls_back(run, peaceful, saved, capsys, position):
    """Also if the bit makes the file look like a checkpoint of other networks."""
    data, header = saved
    at = {"size": data.index(b'"width":"1"') + 9, "word": data.index(b"sha256"), "data": header + 100}[position]
    path = run / "checkpoints" / "step-000004.safetensors"
    path.write_bytes(flipped(data, at, 1))
    assert call("--resume", run) == 0
    assert "minigan: warning: step-000004.safetensors" in capsys.readouterr().err
    assert_equal_runs(peaceful, run)
    assert (run / "checkpoints" / "step-000004.safetensors.damaged").read_bytes() == flipped(data, at, 1)


def test_checkpoint_that_cannot_be_opened_is_not_damaged(run, monkeypatch, capsys):
    """With too little memory or too many open files, no checkpoint is renamed to .damaged, and nothing is changed."""
    before = files_of(run)
    for error, status in ((MemoryError(), 1), (OSError(errno.EMFILE, "Too many open files"), 1)):

        def fail(data, error=error):
            raise error

        monkeypatch.setattr(safetensors.numpy, "load", fail)
        assert call("--resume", run, "--steps", 5) == status
        assert files_of(run) == before
    monkeypatch.undo()
    assert not list((run / "checkpoints").glob("*.damaged"))


def test_broken_piece_of_disk_falls_back(run, peaceful, monkeypatch, capsys):
    plain = Path.read_bytes

    def read(path):
        if path.name == "step-000004.safetensors":
            raise OSError(errno.EIO, "Input/output error")
        return plain(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    assert call("--resume", run) == 0
    monkeypatch.undo()
    assert "step-000004.safetensors cannot be read (Input/output error); going back" in capsys.readouterr().err
    assert_equal_runs(peaceful, run)


# --------------------------------------------------------------------------------------------- sessions, interrupts
def sessions_of(run):
    return json.loads((run / "config.json").read_text(encoding="utf-8"))["sessions"]


def test_every_session_is_kept(data, tmp_path):
    """Also the first of 300. A fact that has not changed is not written again."""
    out = tmp_path / "run"
    assert call("--data", data, *SMALL, "--steps", 1, "--out", out) == 0
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    first = config["sessions"][0]
    config["sessions"] += [{"started": "then", "from_step": 0, "device": "another"} for _ in range(300)]
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert call("--resume", out, "--steps", 2) == 0
    assert call("--resume", out, "--steps", 3) == 0
    sessions = sessions_of(out)
    assert len(sessions) == 303
    assert sessions[0] == first
    assert sessions[-2]["device"] == first["device"]  # it had changed
    assert sessions[-1].keys() == {"started", "from_step"}
    assert [session["from_step"] for session in sessions[-2:]] == [1, 2]


def test_sessions_without_a_step_do_not_fill_the_file(run, data):
    """A program may start a failing run again and again."""
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    settings = train.open_config(run)[0]
    for _ in range(5):
        about = {"sessions": sessions_of(run)}
        opened, step, _ = Run.resume(run, settings, build_gan(image_size=32, width=1), about)
        opened.close()
        assert step == 4
    assert len(sessions_of(run)) == len(config["sessions"]) + 1


# ---------------------------------------------------------------------------------------------- long runs take no more
WATCHED = """
import json, os, sys, threading
from minigan import train
from minigan.training import trainer
from minigan.system.cli import run_command

at, found = json.loads(sys.argv[1]), []
plain = trainer.Trainer._one_step

def one_step(self, *args):
    plain(self, *args)
    if self.step in at:
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        threads = [int(status["Threads"]), threading.active_count()]
        found.append([int(status["VmRSS"].split()[0]), len(os.listdir("/proc/self/fd")), *threads])

trainer.Trainer._one_step = one_step
status = run_command(train.main, sys.argv[2:])
print("found", json.dumps(found))
sys.exit(status)
"""


def watched(at, *options):
    """Resident kilobytes, file handles, threads and Python's threads of a run after certain steps."""
    command = [sys.executable, "-c", WATCHED, json.dumps(at), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.split("found", 1)[1])


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@linux
def test_handles_and_threads_stay_as_they_are(data, tmp_path):
    few, many = watched([5, 29], "--data", data, *SMALL, "--steps", 30, "--out", tmp_path / "run", "--save-every", 20)
    assert few[1:] == many[1:]


@linux
@pytest.mark.thorough
def test_memory_stays_as_it_is(data, tmp_path):
    schedule = ["--sample-every", 50, "--save-every", 500, "--steps", 2001]
    few, many = watched([201, 2001], "--data", data, *SMALL, *schedule, "--out", tmp_path / "run")
    assert many[0] < 1.05 * few[0]
    assert few[1:] == many[1:]
