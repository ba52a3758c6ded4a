"""Workers: results in order, as many as can be started, and nothing left of them."""

import functools
import math
import multiprocessing
import os
import subprocess
import sys
import time

import pytest
from places import ROOT

from minigan.system import worker_pool
from minigan.system.processes import MAX_WORKERS
from minigan.system.worker_pool import NoWorkers, WorkerDied, Workers, worker_count

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and signals of Linux")


def slow_first(item):
    """The first item takes longer than the others."""
    if item == 0:
        time.sleep(0.2)
    return 10 * item


def maker(function):
    """What a worker calls first."""
    return function


def fail(item):
    time.sleep(0.2 * (item == 0))
    raise ValueError(f"of item {item}")


def end(item):
    if item == 3:
        os._exit(1)
    return item


def no_memory(item):
    raise MemoryError


def once(folder, limit):
    """A worker that starts only if fewer than so many have started; it says a word about it."""
    for number in range(limit):
        try:
            os.mkdir(os.path.join(folder, str(number)))  # noqa: PTH102, PTH118
        except FileExistsError:
            continue
        print("ready", file=sys.stderr)
        return functools.partial(divmod, 7)
    raise RuntimeError("one too many")


def test_results_come_in_the_order_of_the_items():
    with Workers(2, maker, (slow_first,)) as workers:
        assert len(workers) == 2
        assert list(workers.in_order(range(20))) == [10 * k for k in range(20)]
        assert list(workers.in_order([])) == []
    assert multiprocessing.active_children() == []


def test_items_are_taken_only_a_little_before_their_results():
    taken = []
    with Workers(2, maker, (slow_first,)) as workers:
        for number, _ in enumerate(workers.in_order(taken.append(k) or k for k in range(50))):
            assert len(taken) <= number + 5
    assert taken == list(range(50))


def test_an_error_of_the_work_is_raised_here_with_its_place():
    with Workers(2, maker, (fail,)) as workers, pytest.raises(ValueError, match="of item 0") as raised:
        list(workers.in_order(range(5)))
    assert "in fail" in raised.value.__notes__[0]


@pytest.mark.parametrize(("work", "item"), [(end, 3), (no_memory, 0)])
def test_a_worker_that_ends_or_has_no_memory(work, item):
    done = []
    with pytest.raises(WorkerDied) as raised, Workers(1, maker, (work,)) as workers:
        done.extend(workers.in_order(range(5)))
    assert raised.value.item == item
    assert multiprocessing.active_children() == []


def test_those_that_do_not_become_ready_are_left_out_without_a_word(tmp_path, capfd):
    with Workers(3, once, (str(tmp_path), 1)) as workers:
        assert len(workers) == 1
        assert list(workers.in_order([2, 3])) == [(3, 1), (2, 1)]
    with pytest.raises(NoWorkers), Workers(2, once, (str(tmp_path), 1)):
        pass
    assert capfd.readouterr() == ("", "")
    assert multiprocessing.active_children() == []


def test_one_that_is_silent_for_too_long_is_left_out(monkeypatch):
    monkeypatch.setattr(worker_pool, "START_SECONDS", 0.2)
    with pytest.raises(NoWorkers), Workers(1, time.sleep, (60,)):
        pass
    assert multiprocessing.active_children() == []


def test_what_cannot_be_sent_to_a_worker():
    with pytest.raises(NoWorkers), Workers(2, maker, (lambda item: item,)):
        pass


@pytest.mark.parametrize(
    ("cores", "memory", "count"),
    [(1, math.inf, 1), (8, math.inf, 8), (300, math.inf, MAX_WORKERS), (64, 1e9, 6), (64, 10, 1)],
)
def test_as_many_as_cores_and_memory_allow(monkeypatch, cores, memory, count):
    monkeypatch.setattr(worker_pool, "usable_cores", lambda: cores)
    monkeypatch.setattr(worker_pool, "available_memory", lambda: memory)
    assert worker_count() == count


LIMITED = """
import multiprocessing.popen_spawn_posix, multiprocessing.resource_tracker, os, resource, sys
from minigan.system.worker_pool import NoWorkers, Workers
import test_worker_pool

{limit}
try:
    with Workers(4, test_worker_pool.maker, (test_worker_pool.slow_first,)) as workers:
        print(len(workers), list(workers.in_order(range(5))))
except NoWorkers:
    print("none")
"""


@linux
@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("os.setuid(65533); resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))", "none"),
        ("resource.setrlimit(resource.RLIMIT_AS, (30_000_000, 30_000_000))", "none"),
        ("resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))", "[0, 10, 20, 30, 40]"),
    ],
)
def test_limits_of_the_system(limit, said):
    if "setuid" in limit and os.geteuid() != 0:
        pytest.skip("needs to become another user")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests/system")])}
    environment["PYTHONPATH"] += os.pathsep + str(ROOT / "tests/support")
    command = [sys.executable, "-c", LIMITED.format(limit=limit)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout
