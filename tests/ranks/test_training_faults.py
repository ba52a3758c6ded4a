"""Training on ranks cannot be broken: what happens to `python -m minigan.train` when something happens to a rank.

Every run here is a command of its own, as a user starts it.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import hear_ctrl_c
from equal_runs import assert_equal_runs
from PIL import Image
from places import ROOT

from minigan.runs import checkpoint
from minigan.system.wording import see

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX's signals")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

SMALL = ["--image-size", "32", "--width", "4", "--batch-size", "8", "--sample-every", "20", "--save-every", "20"]
ENDLESS = ["--steps", "1000000"]
IN_A_RANK = "import sys\nif '--multiprocessing-fork' in sys.orig_argv:\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for k in range(16):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{k}.png")
    return folder


class Command:
    """`python -m minigan.train`, with something that goes wrong."""

    def __init__(self, data, folder):
        self.data, self.out, self.folder = data, folder / "run", folder
        self.started = []

    def start(self, *arguments, site="", resume=False, **options):
        """Start it; `site` runs first in every Python process, as a sitecustomize.py."""
        site_folder = self.folder / "site"
        site_folder.mkdir(exist_ok=True)
        (site_folder / "sitecustomize.py").write_text(site, encoding="utf-8")
        where = ["--resume", self.out] if resume else ["--data", self.data, *SMALL, "--out", self.out]
        process = subprocess.Popen(
            [sys.executable, "-m", "minigan.train", *map(str, where), *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": f"{site_folder}:{ROOT}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=hear_ctrl_c,
            **options,
        )
        self.started.append(process)
        return process

    def run(self, *arguments, **options):
        """Run it to its end: exit status, stdout, and the lines of stderr without the progress bars."""
        return ended(self.start(*arguments, **options))

    def begin(self, steps, *arguments, **options):
        """Start it, and wait until it has done some steps."""
        process = self.start(*arguments, **options)
        wait_for(lambda: self.steps() >= steps, process)
        return process

    def steps(self):
        log = self.out / "training_log.txt"
        return log.read_text().count("\n") if log.exists() else 0

    @property
    def ranks(self):
        return json.loads((self.out / "config.json").read_text(encoding="utf-8"))["settings"]["ranks"]

    def close(self):
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


def wait_for(condition, process, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "the run does not get on"
        time.sleep(0.01)


def ended(process, seconds=60):
    stdout, stderr = process.communicate(timeout=seconds)
    assert "Traceback" not in stderr, stderr
    lines = [line.strip() for line in stderr.replace("\r", "\n").split("\n")]
    return process.returncode, stdout, [line for line in lines if line and not line.startswith(("Training", "Reading"))]


@pytest.fixture
def command(data, tmp_path):
    made = Command(data, tmp_path)
    yield made
    made.close()


def ranks_of(process):
    """Process numbers of the other ranks."""
    return [pid for pid in group_of(process) if "spawn_main" in command_line(pid)]


def group_of(process):
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state, _, group = (path / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(group) == process.pid and state != "Z":
            found.append(int(path.name))
    return sorted(found)


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def nothing_is_left_of(process):
    until = time.monotonic() + 20
    while left := group_of(process):
        assert time.monotonic() < until, [command_line(pid) for pid in left]
        time.sleep(0.02)
    return True  # nor is there memory: that of memfd_create has no name, and ends with its processes


# ---------------------------------------------------------------------------------------------- ranks that cannot start
CANNOT_START = {
    "it ends": ("import os; os._exit(7)", "rank 1 ended at its start (exit status 7)"),
    "it is killed": ("import os; os.kill(os.getpid(), 9)", "rank 1 ended at its start (signal 9)"),
    "a package is broken": (
        "sys.modules['threadpoolctl'] = None",
        "rank 1 ended at its start (exit status 1): ModuleNotFoundError: import of threadpoolctl halted; "
        "None in sys.modules",
    ),
    "no threads": (
        "import threading\n"
        '    def start(thread): raise RuntimeError("can\'t start new thread")\n'
        "    threading.Thread.start = start",
        "rank 1 could not start (RuntimeError: can't start new thread)",
    ),
}
CANNOT_BE_STARTED = {
    "no memory": (
        "import os\ndef none(name): raise OSError(28, 'No space left on device')\nos.memfd_create = none",
        "there is no shared memory for 2 ranks (No space left on device)",
    ),
    "no processes": (
        "import _posixsubprocess\n"
        "def none(*_): raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
        "_posixsubprocess.fork_exec = none",
        "rank 1 cannot be started (Resource temporarily unavailable)",
    ),
}


@linux
@pytest.mark.parametrize("what", [*CANNOT_START, *CANNOT_BE_STARTED])
def test_a_rank_that_cannot_start_is_done_without(command, what):
    """One line names the reason; the run goes on, and its settings tell on how many ranks."""
    if what in CANNOT_START:
        how, said = CANNOT_START[what]
        site = f"{IN_A_RANK}    {how}\n"
    else:
        site, said = CANNOT_BE_STARTED[what]
    status, _, lines = command.run("--steps", 2, "--ranks", 2, site=site)
    assert status == 0, lines
    going_on = "going on with 1" + ("" if "memory" in said else " of 2 ranks")
    assert lines == [f"minigan: warning: {said}; {going_on}"]
    assert command.ranks == 1


@linux
def test_an_interpreter_that_is_gone(command):
    site = "import multiprocessing.spawn as spawn; spawn.set_executable('/nowhere/python')"
    status, _, lines = command.run("--steps", 2, "--ranks", 2, site=site)
    assert (status, len(lines), command.ranks) == (0, 1, 1), lines
    assert lines[0].startswith("minigan: warning: rank 1 ")
    assert lines[0].endswith("; going on with 1 of 2 ranks")


@linux
def test_one_of_two_ranks_that_cannot_start(command):
    """Whichever is there first leaves a mark; the other one ends."""
    mark = command.folder / "mark"
    site = f"{IN_A_RANK}    import os\n    try: os.mkdir({str(mark)!r})\n    except OSError: os._exit(7)\n"
    status, _, lines = command.run("--steps", 2, "--ranks", 3, site=site)
    assert (status, command.ranks) == (0, 2)
    assert len(lines) == 1
    assert lines[0].endswith("ended at its start (exit status 7); going on with 2 of 3 ranks")


@linux
def test_what_a_rank_prints_at_its_start_does_no_harm(command):
    site = f"{IN_A_RANK}    print('out'); print('err', file=sys.stderr)\n"
    status, stdout, lines = command.run("--steps", 2, "--ranks", 2, site=site)
    assert (status, lines, command.ranks) == (0, ["err"], 2)
    assert "out\n" in stdout


@linux
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs to become another user")
def test_a_limit_on_processes():
    """The system's own: this user may have no other process."""
    script = (
        "import multiprocessing.popen_spawn_posix, multiprocessing.resource_tracker, os, resource, tempfile\n"
        "from minigan.ranks import local\n"
        "os.setuid(65533)\n"
        "resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))\n"
        "with local.start(print, (), size=2, memory_bytes=1 << 20, warn=print) as ranks: print(ranks.size)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    said = "rank 1 cannot be started (Resource temporarily unavailable); going on with 1 of 2 ranks\n1\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


# ------------------------------------------------------------------------------------------ ranks that fail in training
@linux
def test_a_killed_rank_ends_the_run_and_nothing_is_lost(command, data, tmp_path):
    process = command.begin(25, *ENDLESS, "--ranks", 3)
    began = time.monotonic()
    os.kill(ranks_of(process)[1], signal.SIGKILL)
    status, _, lines = ended(process)
    assert time.monotonic() - began < 8
    assert (status, len(lines)) == (1, 1), lines
    assert (
        f" of 3 has ended (signal 9){see('ranks')}; the checkpoint of step 20 is kept: python -m minigan." in lines[0]
    )
    assert nothing_is_left_of(process)
    assert command.run("--steps", 30, resume=True)[0] == 0
    assert command.ranks == 3
    peaceful = Command(data, tmp_path / "peaceful")
    peaceful.folder.mkdir()
    assert peaceful.run("--steps", 30, "--ranks", 3)[0] == 0
    assert_equal_runs(peaceful.out, command.out, checkpoints_of="000030")


@linux
def test_a_rank_that_raises_ends_the_run(command):
    site = (
        f"{IN_A_RANK}    import signal\n"
        "    def fail(*_): raise ValueError('one value too many')\n"
        "    signal.signal(signal.SIGUSR1, fail)\n"
    )
    process = command.begin(1, *ENDLESS, "--ranks", 2, site=site)
    os.kill(ranks_of(process)[0], signal.SIGUSR1)
    status, _, lines = ended(process)
    assert (status, len(lines)) == (1, 1)
    assert f"has failed: ValueError: one value too many{see('ranks')}; the checkpoint of step 0 is" in lines[0]
    assert nothing_is_left_of(process)


@linux
def test_a_rank_that_cannot_open_the_images_ends_the_run(command):
    site = f"{IN_A_RANK}    sys.modules['minigan.data.images.image_folder'] = None\n"
    status, stdout, lines = command.run("--steps", 2, "--ranks", 2, site=site)
    assert (status, stdout, len(lines)) == (1, "", 1)
    assert lines[0].startswith("minigan: error: rank 1 of 2 has failed: ModuleNotFoundError: ")
    assert not command.out.exists()


@linux
def test_ranks_that_have_other_images_do_not_train(command):
    """Each rank opens the images itself, perhaps another copy of them on another machine."""
    site = (
        f"{IN_A_RANK}    import minigan.data.open as opening\n"
        "    plain = opening.open_images\n"
        "    def others(*a, **k):\n"
        "        import dataclasses\n"
        "        return dataclasses.replace(plain(*a, **k), fingerprint='0' * 64)\n"
        "    opening.open_images = others\n"
    )
    status, stdout, lines = command.run("--steps", 2, "--ranks", 2, site=site)
    assert (status, stdout, len(lines)) == (1, "", 1)
    assert "all ranks must have the same images, but rank 1 has others in" in lines[0]
    assert "fingerprint 00000000 where rank 0's is" in lines[0]
    assert not command.out.exists()


@linux
def test_a_rank_that_hangs_is_found(command):
    site = (
        "import sys\n"
        "if '--multiprocessing-fork' not in sys.orig_argv:\n"
        "    from minigan.ranks import interface; interface.PATIENCE = interface.Ranks.patience = 2.0\n"
    )
    process = command.begin(1, *ENDLESS, "--ranks", 2, site=site)
    os.kill(ranks_of(process)[0], signal.SIGSTOP)
    status, _, lines = ended(process)
    assert (status, len(lines)) == (1, 1)
    assert f"error: rank 1 of 2 has not answered for 2 s{see('ranks')}; the checkpoint of step 0 is kept: " in lines[0]
    assert nothing_is_left_of(process)


@linux
@pytest.mark.parametrize("who", [pytest.param("rank 0", marks=pytest.mark.thorough), "all"])
def test_a_run_that_is_stopped_for_a_while_goes_on(command, who):
    """Ctrl-Z, or a machine that sleeps: the clock goes on, far beyond what ranks wait for each other."""
    site = "from minigan.ranks import interface; interface.PATIENCE = interface.Ranks.patience = 1.5\n"
    process = command.begin(1, *ENDLESS, "--ranks", 2, site=site)
    send = os.killpg if who == "all" else os.kill
    send(process.pid, signal.SIGSTOP)
    time.sleep(3)
    send(process.pid, signal.SIGCONT)
    done = command.steps()
    wait_for(lambda: command.steps() > done + 5, process)
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 130


@linux
def test_nothing_is_left_of_a_killed_run(command):
    process = command.begin(1, *ENDLESS, "--ranks", 3)
    assert len(ranks_of(process)) == 2
    process.kill()
    process.communicate()
    assert nothing_is_left_of(process)


# ----------------------------------------------------------------------------------------------------- signals to all
INT, TERM = signal.SIGINT, signal.SIGTERM
HUP = getattr(signal, "SIGHUP", None)


MORE_SIGNALS = [
    pytest.param(signals, marks=pytest.mark.thorough) for signals in [(TERM,), (HUP, TERM), (INT, INT, INT)]
]


@linux
@pytest.mark.parametrize("signals", [(INT,), (HUP,), (TERM, HUP, INT), *MORE_SIGNALS], ids=str)
def test_signals_to_all_ranks_save_the_run(command, signals):
    """A terminal sends Ctrl-C to all processes, and a batch system what it likes."""
    process = command.begin(3, *ENDLESS, "--ranks", 2)
    for number in signals:
        os.killpg(process.pid, number)
    status, stdout, lines = ended(process)
    done = command.steps()
    assert status in {128 + number for number in signals}, lines  # the system itself may change the order
    assert lines == ["Stopping after this step (once more: stop at once) ..."]
    assert f"Stopped after {done} of 1000000 steps; all is saved." in stdout
    assert checkpoint.list_checkpoints(command.out / "checkpoints")[0][0] == done
    assert nothing_is_left_of(process)


@linux
def test_a_terminal_that_is_closed(command):
    """All is saved, although nothing can be printed any more."""
    master, terminal = os.openpty()
    where = ["--data", command.data, *SMALL, *ENDLESS, "--ranks", "2", "--out", command.out]
    process = subprocess.Popen(
        [sys.executable, "-c", "import os, fcntl, termios, sys; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
         "os.execv(sys.executable, [sys.executable, '-m', 'minigan.train', *sys.argv[1:]])", *map(str, where)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True, preexec_fn=hear_ctrl_c,
    )  # fmt: skip
    command.started.append(process)
    os.close(terminal)
    until = time.monotonic() + 60
    while command.steps() < 3:
        assert time.monotonic() < until
        if select.select([master], [], [], 0.01)[0]:  # as a terminal shows it
            os.read(master, 1 << 16)
    os.close(master)
    assert process.wait(60) == 129
    assert checkpoint.list_checkpoints(command.out / "checkpoints")[0][0] == command.steps() >= 3
    assert nothing_is_left_of(process)


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough)])
def test_signals_to_all_ranks_while_they_start(command, number):
    """One line at most, no traceback, nothing left; the run has not begun, or can be resumed."""
    for seconds in (0.35, 0.7):
        process = command.start("--steps", 1000000, "--ranks", 3)
        time.sleep(seconds)
        os.killpg(process.pid, number)
        status, _, lines = ended(process)
        assert status in (128 + number, -number), lines
        assert len(lines) <= 1
        assert nothing_is_left_of(process)
        shutil.rmtree(command.out, ignore_errors=True)


# --------------------------------------------------------------------------------------------- kills at random moments
@linux
@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(50))
def test_a_rank_killed_at_a_random_moment(data, tmp_path, seed):
    """Any rank, also rank 0, at any moment; then the run is resumed, to the very bits of one left in peace."""
    rng = random.Random(seed)
    size, width = rng.choice([2, 3]), rng.choice([4, 8, 16])
    options = ["--width", width, "--ranks", size, "--save-every", rng.choice([3, 5])]
    killed, peaceful = Command(data, tmp_path / "killed"), Command(data, tmp_path / "peaceful")
    try:
        for each in (killed, peaceful):
            each.folder.mkdir()
        process = killed.begin(1, *options, "--steps", 1000000)
        time.sleep(rng.uniform(0, 1.0))
        victim = rng.choice([process.pid, *ranks_of(process)])
        os.kill(victim, signal.SIGKILL)
        began = time.monotonic()
        status, _, lines = ended(process)
        assert time.monotonic() - began < 10
        if victim == process.pid:
            assert status == -signal.SIGKILL
        else:
            assert (status, len(lines)) == (1, 1), lines
            assert f"has ended (signal 9){see('ranks')}; the checkpoint of step" in lines[0]
        assert nothing_is_left_of(process)
        end = killed.steps() + rng.randrange(1, 8)
        assert killed.run("--steps", end, resume=True)[0] == 0
        assert peaceful.run(*options, "--steps", end)[0] == 0
        assert killed.ranks == size
        assert_equal_runs(peaceful.out, killed.out, checkpoints_of=f"{end:06d}")
    finally:
        for each in (killed, peaceful):
            each.close()
