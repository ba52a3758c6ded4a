"""Memory that is used again: for results (`empty`), and for numbers that are needed for a moment only (`scratch`).

A training step makes and drops some thousand arrays, and the next step needs arrays of the same sizes. If they are
freed, the operating system takes their memory back and gives it out again page by page, each page filled with zeros
first. This takes longer than the arithmetic. Also, memory that was used a moment ago is still in the processor's cache.

* `empty` is `numpy.empty` for large results. When the last view of such an array is gone, its memory waits for the
  next array of about the same size.
* `scratch` gives a thread the same memory for every piece of work.

NumPy only: CuPy has a memory pool of its own.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from minigan.nn.backend import Array, Shape

New: TypeAlias = Callable[[Shape, Any], Array]
"""A function like `numpy.empty`: shape and dtype to a new array with arbitrary contents."""

SMALLEST = 1 << 20
"""Arrays of fewer bytes are left to NumPy."""

KEEP_BYTES = 1 << 31
"""How many bytes may wait for their next use; memory beyond that goes back to the system."""

LARGER = 1.5
"""A block that waits may be used for an array if it is at most so many times as large."""

ALIGN = 64
"""Bytes to which blocks and scratch arrays are aligned: a line of the processor's cache."""


class _Pool:
    """Blocks that wait for their next use, by size."""

    def __init__(self) -> None:
        self.idle: dict[int, list[Array]] = {}

    @property
    def idle_bytes(self) -> int:
        """How many bytes wait. Several threads take and give back at once, so this is counted and not kept."""
        return sum(size * len(blocks) for size, blocks in self.idle.copy().items())

    def take(self, size: int) -> Array:
        """A block of at least this many bytes: the smallest one that waits and fits, or else a new one."""
        fitting = [idle for idle, blocks in self.idle.copy().items() if size <= idle <= LARGER * size and blocks]
        try:
            return self.idle[min(fitting)].pop()
        except (ValueError, IndexError):  # there is none, or another thread has just taken it
            return np.empty(size, np.uint8)

    def give_back(self, block: Array) -> None:
        if self.idle_bytes < KEEP_BYTES:
            self.idle.setdefault(block.nbytes, []).append(block)


_pool = _Pool()


class _Loan:
    """A block that is in use. NumPy makes an array from it; the array and its views keep the loan alive.

    When the last of them is gone, Python deletes the loan, and the block goes back to the pool.
    """

    def __init__(self, pool: _Pool, shape: Shape, dtype: np.dtype, needed: int) -> None:
        self.pool, self.block = pool, pool.take(_block_size(needed))
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": self.block.__array_interface__["data"],
            "version": 3,
        }

    def __del__(self) -> None:
        if hasattr(self, "block"):  # not if there was no memory for one
            self.pool.give_back(self.block)


def empty(shape: Shape, dtype: Any) -> Array:
    """A new array with arbitrary contents.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype

    Returns
    -------
    numpy.ndarray
        C-contiguous. The memory of an array of 1 MB or more is used again once nobody uses the array.
    """
    dtype = np.dtype(dtype)
    needed = math.prod(shape) * dtype.itemsize
    if needed < SMALLEST:
        return np.empty(shape, dtype)
    return np.asarray(_Loan(_pool, shape, dtype, needed))


def _block_size(needed: int) -> int:
    """The next size of the form 4, 5, 6 or 7 times a power of two, so that arrays of similar size can share a block.

    >>> [_block_size(n) for n in (32768, 32769, 49000, 65536)]
    [32768, 40960, 49152, 65536]
    """
    needed = max(needed, ALIGN)
    step = 1 << (needed.bit_length() - 3)
    return -(-needed // step) * step


class _Room(threading.local):
    """A thread's own scratch memory, and how much of it is in use."""

    def __init__(self) -> None:
        self.memory = np.empty(0, np.uint8)
        self.taken = self.wanted = self.users = 0


_room = _Room()


@contextmanager
def scratch() -> Iterator[New]:
    """Arrays for use inside a ``with`` block; they must not be used after it.

    Yields
    ------
    callable
        ``new(shape, dtype)``, an array with arbitrary contents.

    Examples
    --------
    >>> with scratch() as new:
    ...     new((2, 3), np.float32).shape
    (2, 3)
    """
    room = _room
    before = room.taken
    room.users += 1
    try:
        yield _new
    finally:
        room.taken = before
        room.users -= 1
        if room.users == 0 and room.wanted > room.memory.nbytes:
            room.memory = np.empty(room.wanted, np.uint8)


def _new(shape: Shape, dtype: Any) -> Array:
    room = _room
    dtype = np.dtype(dtype)
    start = room.taken
    room.taken += -(-math.prod(shape) * dtype.itemsize // ALIGN) * ALIGN
    if room.taken <= room.memory.nbytes:
        return np.ndarray(shape, dtype, buffer=room.memory, offset=start)
    room.wanted = max(room.wanted, room.taken)  # next time there will be enough
    return np.empty(shape, dtype)
