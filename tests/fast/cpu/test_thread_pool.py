"""Worker threads: everything is done once, errors come out, and BLAS is left as it was found."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from minigan.fast.cpu import thread_pool
from minigan.fast.cpu.thread_pool import each, holding_blas, lanes, spans, thread_count, use_threads


def blas_threads():
    """Of the libraries that were loaded when minigan first looked; other tests load more."""
    return [library["num_threads"] for library in thread_pool._blas().info()]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_item_is_done_once(count):
    done, lock = [], threading.Lock()

    def work(i):
        with lock:
            done.append(i)

    with use_threads(count):
        each(work, range(100))
    assert sorted(done) == list(range(100))


def test_two_workers_do_run_side_by_side():
    """Each item waits for the other: with one worker this would never end."""
    barrier = threading.Barrier(2, timeout=30)
    with use_threads(2):
        each(lambda _: barrier.wait(), range(2))


def test_an_error_comes_out_and_nobody_works_on():
    running = []

    def work(i):
        running.append(i)
        if i == 3:
            raise RuntimeError("item 3")

    with use_threads(2), pytest.raises(RuntimeError, match="item 3"):
        each(work, range(1000))
    count = len(running)
    assert count < 1000
    assert len(running) == count


def test_each_inside_each_does_not_wait_for_itself():
    total = []
    with use_threads(2):
        each(lambda i: each(lambda j: total.append((i, j)), range(3)), range(4))
    assert sorted(total) == [(i, j) for i in range(4) for j in range(3)]


def test_blas_is_held_inside_and_put_back(monkeypatch):
    before = blas_threads()
    inside = []
    with use_threads(2):
        each(lambda _: inside.append(blas_threads()), range(2))
        with holding_blas(), holding_blas():
            inside.append(blas_threads())
            assert thread_count() == 2
    assert all(set(found) == {1} for found in inside)
    assert blas_threads() == before


def test_importing_minigan_leaves_blas_alone():
    code = (
        "import numpy, threadpoolctl; told = lambda: [i['num_threads'] for i in threadpoolctl.threadpool_info()]\n"
        "before = told(); import minigan.gan.step; assert told() == before, (before, told())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_blas_is_told_once_and_works(monkeypatch):
    class Nothing:
        lib_controllers = ()

        def info(self):
            return []

        def limit(self, limits):
            return self

        def restore_original_limits(self):
            pass

    state = thread_pool._State()
    state.blas = Nothing()
    monkeypatch.setattr(thread_pool, "_state", state)
    with use_threads(2), pytest.warns(RuntimeWarning, match="threadpoolctl does not know") as warned:
        each(lambda _: each(str, "ab"), "abc")
    with use_threads(2):
        each(str, "abc")  # warns no more: warnings are errors here
    assert len(warned) == 1
    assert thread_count() >= 1


@pytest.mark.parametrize("count", [0, -1, 1025])
def test_thread_counts_out_of_range_are_refused(count):
    with pytest.raises(ValueError, match=f"threads must be 1 to 1,024, got {count}"), use_threads(count):
        pass


def test_the_count_is_that_of_the_machine_unless_said_otherwise():
    before = thread_count()
    with use_threads(before + 1):
        assert thread_count() == before + 1
    assert thread_count() == before


def test_slices_cover_everything_in_order():
    for n in (1, 5, 64):
        for cut in (spans(np, n, 7), lanes(np, n), lanes(np, n, most=2)):
            assert [i for piece in cut for i in range(n)[piece]] == list(range(n))
    assert spans(object(), 64, 7) == [slice(0, 64)]
    with use_threads(16):
        assert len(lanes(np, 64, most=4)) == 4
