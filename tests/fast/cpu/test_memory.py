"""Memory that is used again, and never by two arrays at the same time."""

import gc
import sys
import threading

import numpy as np
import pytest

from minigan.fast.cpu import memory
from minigan.fast.cpu.memory import SMALLEST, empty, scratch

BIG = (SMALLEST // 4, 2)


def address(a):
    return a.__array_interface__["data"][0]


def test_memory_comes_back_when_the_last_view_is_gone():
    a = empty(BIG, np.float32)
    where = address(a)
    view = a.reshape(-1)[5:]
    del a
    b = empty(BIG, np.float32)
    assert address(b) != where
    del view
    gc.collect()
    assert address(empty(BIG, np.float32)) == where


def test_two_living_arrays_never_overlap():
    rng = np.random.default_rng(0)
    alive = []
    for i in range(200):
        a = empty((int(rng.integers(1, 3)) * SMALLEST // 4,), np.float32)
        a.fill(i)
        alive.append((i, a[:: int(rng.integers(1, 4))]))
        if len(alive) > 5:
            value, kept = alive.pop(int(rng.integers(len(alive))))
            assert (kept == value).all()
    assert all((kept == value).all() for value, kept in alive)


def test_empty_gives_ordinary_arrays():
    a = empty(BIG, np.float64)
    assert type(a) is np.ndarray
    assert a.flags.c_contiguous
    assert a.flags.writeable
    assert a.shape == BIG
    assert a.dtype == np.float64
    assert empty((0, 3), np.float32).shape == (0, 3)


def test_no_more_memory_waits_than_the_limit(monkeypatch):
    pool = memory._Pool()
    monkeypatch.setattr(memory, "KEEP_BYTES", SMALLEST)
    first, second = (np.asarray(memory._Loan(pool, (SMALLEST,), np.dtype(np.uint8), SMALLEST)) for _ in range(2))
    del first
    gc.collect()
    assert pool.idle_bytes == SMALLEST
    del second
    gc.collect()
    assert pool.idle_bytes == SMALLEST


def test_no_memory_for_a_block(monkeypatch):
    def refuse(*_):
        raise MemoryError

    pool = memory._Pool()
    monkeypatch.setattr(pool, "take", refuse)
    with pytest.raises(MemoryError):
        memory._Loan(pool, (SMALLEST,), np.dtype(np.uint8), SMALLEST)
    gc.collect()  # a loan without a block gives nothing back: pytest turns what is raised then into a warning
    assert pool.idle_bytes == 0


def test_threads_take_and_give_back_blocks_of_many_sizes_at_once():
    pool, errors = memory._Pool(), []

    def work(number):
        try:
            for size in range(number, 2000, 4):
                pool.give_back(np.empty(size, np.uint8))
                pool.take(size)
        except RuntimeError as error:
            errors.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert errors == []


def test_an_idle_block_serves_what_is_a_little_smaller():
    pool, byte = memory._Pool(), np.dtype(np.uint8)

    def loan(size):
        return np.asarray(memory._Loan(pool, (size,), byte, size))

    where = address(loan(6 * SMALLEST))  # given back at once
    assert address(loan(3 * SMALLEST)) != where  # far too large for this
    assert address(loan(5 * SMALLEST)) == where
    assert address(loan(7 * SMALLEST)) != where


def test_scratch_gives_a_thread_the_same_memory_again():
    places = []
    for _ in range(3):
        with scratch() as new:
            a, b = new((1000, 100), np.float32), new((7,), np.float64)
            assert not np.may_share_memory(a, b)
            places.append((address(a), address(b)))
    assert places[1] == places[2]


def test_scratch_inside_scratch_takes_other_memory():
    for _ in range(2):
        with scratch() as new:
            a = new((5000,), np.float32)
            a.fill(1)
            with scratch() as inner:
                inner((5000,), np.float32).fill(2)
            assert (a == 1).all()


def test_each_thread_has_its_own_scratch_memory():
    found = []

    def work():
        for _ in range(2):
            with scratch() as new:
                found.append(new((100_000,), np.float32))
                barrier.wait()

    barrier = threading.Barrier(2, timeout=30)
    both = [threading.Thread(target=work) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert not np.may_share_memory(found[2], found[3])
