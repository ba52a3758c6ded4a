"""Ranks that cannot start, fail, hang or lose their parent: one line, within seconds, and nothing is left behind."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from places import ROOT, SUPPORT
from rank_programs import exchanges, failing, waiting

from minigan.gan.division import divide, why_not_divided
from minigan.gan.step import build_gan
from minigan.nn.ops import LIBRARY
from minigan.nn.optimizers import Adam
from minigan.ranks import local
from minigan.ranks.interface import ALONE, RankError
from minigan.ranks.waiting import AwakeClock, wait_until


def start(program, *arguments, size=3, warn=None, room=1 << 20):
    return local.start(program, arguments, size=size, memory_bytes=room, warn=warn or pytest.fail)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("raises", r"rank 1 of 3 has failed: ValueError: one value too many"),
        ("is killed", r"rank 1 of 3 has ended \(signal 9\)"),
        ("exits", r"rank 1 of 3 has ended \(exit status 3\)"),
    ],
)
def test_a_rank_that_fails_ends_all(how, said):
    began = time.monotonic()
    with pytest.raises(RankError, match=said), start(failing, how) as ranks:
        failing(ranks, how)
    assert time.monotonic() - began < 30


def test_a_rank_that_hangs_is_found(monkeypatch):
    monkeypatch.setattr(local.Local, "patience", 1.0)
    monkeypatch.setattr(local, "END_SECONDS", 0.5)
    with (
        pytest.raises(RankError, match=r"rank 1 of 3 has not answered for [1-9]\d* s"),
        start(failing, "hangs") as ranks,
    ):
        failing(ranks, "hangs")


def test_the_end_of_rank_0_ends_the_others():
    with start(failing, "") as ranks:
        ranks.stack(np.zeros(3))
    assert not any("minigan-rank" in name for name in children())


def children():
    import multiprocessing

    return [process.name for process in multiprocessing.active_children()]


def test_without_memory_there_is_one_rank(monkeypatch):
    def none(size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(local, "SharedMemory", none)
    lines = []
    with start(exchanges, warn=lines.append) as ranks:
        assert ranks.size == 1
    assert lines == ["there is no shared memory for 3 ranks (No space left on device); going on with 1"]


def test_without_processes_there_is_one_rank(monkeypatch):
    def fail(process):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.process.BaseProcess.start", fail)
    lines = []
    with start(exchanges, warn=lines.append) as ranks:
        assert ranks.size == 1
    assert "rank 1 cannot be started (Resource temporarily unavailable)" in lines[0]
    assert lines[0].endswith("going on with 1 of 3 ranks")


SITE = "import os, sys; {what}\n"


@pytest.mark.parametrize(
    ("what", "ranks", "said"),
    [
        ("print('hello from sitecustomize'); print('and more', file=sys.stderr)", 3, ""),
        ("'spawn_main' in str(sys.argv) + str(sys.orig_argv) and os._exit(7)", 1, "ended at its start (exit status 7)"),
    ],
)
def test_what_happens_while_a_rank_starts(tmp_path, what, ranks, said):
    """Whatever is printed then disturbs nobody; a rank that ends then is done without."""
    (tmp_path / "sitecustomize.py").write_text(SITE.format(what=what), encoding="ascii")
    script = (
        "import sys; from rank_programs import exchanges, check_exchanges; from minigan.ranks import local\n"
        "with local.start(exchanges, (), size=3, memory_bytes=1 << 20, warn=lambda line: print('WARNED', line)) as r:\n"
        "    found = exchanges(r); check_exchanges(found, r.size); print('RANKS', r.size)\n"
    )
    path = os.pathsep.join(map(str, (tmp_path, SUPPORT, ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert f"RANKS {ranks}" in done.stdout
    assert said in done.stdout
    assert ("WARNED" in done.stdout) == bool(said)


def test_packages_that_only_the_parents_path_has_are_found(tmp_path):
    script = (
        f"import sys; sys.path[:0] = [{str(SUPPORT)!r}, {str(ROOT)!r}]\n"
        "from rank_programs import exchanges, check_exchanges; from minigan.ranks import local\n"
        "with local.start(exchanges, (), size=2, memory_bytes=1 << 20, warn=print) as r:\n"
        "    check_exchanges(exchanges(r), 2); print('GOOD')\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "GOOD\n", done.stderr


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_nothing_is_left_of_a_killed_parent(tmp_path):
    file = tmp_path / "pids"
    script = (
        "import sys; from rank_programs import sleeping; from minigan.ranks import local\n"
        "with local.start(sleeping, (sys.argv[1],), size=3, memory_bytes=1 << 20, warn=print) as r:\n"
        "    sleeping(r, sys.argv[1])\n"
    )
    path = os.pathsep.join(map(str, (SUPPORT, ROOT)))
    with subprocess.Popen([sys.executable, "-c", script, file], env={**os.environ, "PYTHONPATH": path}) as process:
        until = time.monotonic() + 30
        while not file.exists() or len(file.read_text().split()) < 3:
            assert time.monotonic() < until
            time.sleep(0.01)
        pids = [int(pid) for pid in file.read_text().split()]
        process.kill()
    until = time.monotonic() + 20
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < until, "ranks outlive rank 0"
        time.sleep(0.01)
    assert not list(Path("/dev/shm").glob("minigan*"))


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_rank_that_waits_sleeps():
    """A second's wait costs a small part of a core."""
    with start(waiting, 1.0, size=2) as ranks:
        used = waiting(ranks, 1.0)
    assert used < 0.3


@pytest.mark.parametrize("gives", [True, False])
def test_a_wait_where_the_system_does_not_let_others_run(monkeypatch, gives):
    """A container may forbid the call, and Windows does not have it."""

    def forbidden():
        asked.append("yield")
        raise PermissionError(1, "Operation not permitted")

    asked = []
    if gives:
        monkeypatch.setattr(os, "sched_yield", forbidden, raising=False)
    else:
        monkeypatch.delattr(os, "sched_yield", raising=False)
    until = time.monotonic() + 0.01
    wait_until(lambda: time.monotonic() >= until, lambda seconds: None)
    assert bool(asked) == gives


def test_more_than_a_place_holds_is_refused():
    with start(exchanges, size=2) as ranks, pytest.raises(ValueError, match=f"{local.EXCHANGE} bytes"):
        ranks.stack(np.zeros(local.EXCHANGE // 8 + 1))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("how", ["and computes", "and leaves"])
def test_a_forked_process_does_not_meddle(how):
    """It is refused where it would meet the others, keeps the networks as they were, and its end ends nobody."""
    script = (
        "import os, sys, numpy as np\n"
        "from rank_programs import forking, room_for_three_steps; from minigan.ranks import local\n"
        "found = []\n"
        "for how in ('not', sys.argv[1]):\n"
        "    room = room_for_three_steps(2)\n"
        "    try:\n"
        "        with local.start(forking, (how,), size=2, memory_bytes=room, warn=print) as r:\n"
        "            found.append(forking(r, how))\n"
        "    except SystemExit as left: os._exit(left.code)\n"
        "assert np.array_equal(*found); print('GOOD')\n"
    )
    path = os.pathsep.join(map(str, (SUPPORT, ROOT)))
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, how],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "GOOD\n", "")


def test_only_one_thread_meets_the_others():
    found = []

    def meet():
        try:
            ranks.stack(np.zeros(3))
        except RankError as error:
            found.append(str(error))

    with start(failing, "") as ranks:
        ranks.stack(np.zeros(3))
        thread = threading.Thread(target=meet)
        thread.start()
        thread.join()
        for _ in range(2):
            ranks.stack(np.zeros(3))
    assert found == ["only one thread of rank 0 can train with the others"]


def test_time_in_which_a_process_is_stopped_does_not_count(monkeypatch):
    """As a clock that counts on while the machine sleeps sees it; or one that is set back."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = AwakeClock()
    for seconds, counted in ((0.25, 0.25), (3600, 1.25), (-50, 1.25), (0.5, 1.75)):
        now[0] += seconds
        assert clock.seconds() == counted


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("batch_norm_forward", "the batch normalization of the generator's layer 1 is not minigan's own"),
        ("batch_norm_backward", "the batch normalization of the generator's layer 1 is not minigan's own"),
        ("bce_with_logits_forward", "the loss of the generator is not minigan's own"),
        ("bce_with_logits_backward", "the loss of the generator is not minigan's own"),
        ("step_metrics", "the loss of the generator is not minigan's own"),
    ],
)
def test_a_function_of_the_whole_batch_that_is_not_minigans_own_is_refused(name, told):
    """Another one would take the mean of its rank's images for that of the batch."""

    def theirs(*arguments):
        return getattr(LIBRARY, name)(*arguments)

    gan = build_gan(image_size=32, width=1, ops=replace(LIBRARY, **{name: theirs}))
    assert why_not_divided(gan) == told
    with pytest.raises(ValueError, match=f"^divide: {told}, and knows nothing of .*; train on one rank"):
        divide(gan, ALONE, 8)


@pytest.mark.parametrize("step", ["discriminator_step", "generator_step"])
def test_a_step_that_is_not_minigans_own_is_refused(step):
    gan = build_gan(image_size=32, width=1)
    setattr(gan, step, lambda *arguments: None)
    assert why_not_divided(gan) == f"the {step} is not minigan's own"
    with pytest.raises(ValueError, match=f"^divide: the {step} is not minigan's own"):
        divide(gan, ALONE, 8)


def test_an_optimizer_that_is_not_minigans_own_is_refused():
    """It would be replaced by minigan's Adam, and nobody would know."""

    class Momentum(Adam):
        """Another rule."""

    clipped = build_gan(image_size=32, width=1, ops=replace(LIBRARY, new_adam=lambda ops: LIBRARY.new_adam(ops)))
    assert why_not_divided(clipped) == "the optimizer of the generator is not minigan's own"
    gan = build_gan(image_size=32, width=1)
    gan.d_optimizer = Momentum(gan.discriminator.params(), learning_rate=1)
    told = "the optimizer of the discriminator is not minigan's own"
    assert why_not_divided(gan) == told
    with pytest.raises(ValueError, match=f"^divide: {told}, and knows nothing of other ranks; train on one rank"):
        divide(gan, ALONE, 8)


def test_plain_networks_and_others_functions_can_be_divided():
    theirs = replace(LIBRARY, relu_forward=lambda x: None, adam_update=lambda *arguments: None)
    for options in ({}, {"plain": True}, {"ops": theirs}):
        assert why_not_divided(build_gan(image_size=32, width=1, **options)) is None
