"""Worker threads: every item is done once, an error is raised to the caller, and BLAS is left as it was found."""

import os
import subprocess
import sys
import threading
import time

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


@pytest.mark.parametrize("fails_in", ["the calling thread", "the other thread"])
def test_after_an_error_no_item_is_begun_and_those_begun_are_ended(fails_in):
    """One thread fails while the other is in the middle of an item: `each` must wait for that item, and for no more."""
    caller, other_is_busy = threading.get_ident(), threading.Event()
    begun, ended = [], []

    def work(i):
        begun.append(i)
        if (threading.get_ident() == caller) == (fails_in == "the calling thread"):
            assert other_is_busy.wait(30)
            raise RuntimeError(f"item {i}")
        other_is_busy.set()
        time.sleep(0.1)
        ended.append(i)

    with use_threads(2), pytest.raises(RuntimeError, match="item") as raised:
        each(work, range(30))
    assert len(begun) < 30
    failed = int(str(raised.value).removeprefix("item "))
    assert sorted([*ended, failed]) == sorted(begun)


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


class FakeBlas:
    """What threadpoolctl finds: a BLAS library for each of these numbers of threads."""

    lib_controllers = ()

    def __init__(self, *threads):
        self.threads = threads

    def info(self):
        return [{"num_threads": count} for count in self.threads]

    def limit(self, limits):
        return self

    def restore_original_limits(self):
        pass


def begin_anew(monkeypatch, blas):
    """Let the module forget everything, and find this BLAS."""
    state = thread_pool._State()
    state.blas = blas
    monkeypatch.setattr(thread_pool, "_state", state)


def test_an_unknown_blas_is_told_once_and_works(monkeypatch):
    begin_anew(monkeypatch, FakeBlas())
    with use_threads(2), pytest.warns(RuntimeWarning, match="threadpoolctl does not know") as warned:
        each(lambda _: each(str, "ab"), "abc")
    with use_threads(2):
        each(str, "abc")  # warns no more: warnings are errors here
    assert len(warned) == 1


@pytest.mark.parametrize("count", [0, -1, 1025])
def test_thread_counts_out_of_range_are_refused(count):
    with pytest.raises(ValueError, match=f"threads must be 1 to 1,024, got {count}"), use_threads(count):
        pass


@pytest.mark.parametrize(("cores", "blas", "expected"), [(8, (), 8), (8, (3,), 3), (2, (64,), 2), (8, (4, 6), 4)])
def test_without_use_threads_the_count_is_that_of_cores_and_blas(monkeypatch, cores, blas, expected):
    begin_anew(monkeypatch, FakeBlas(*blas))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    assert thread_count() == expected


def test_use_threads_ends_with_its_block():
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
