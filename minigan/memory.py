"""Memory that is used again: for results (`empty`), and for what a piece of work needs only while it runs (`scratch`).

A training step makes and drops some thousand arrays, the same ones every step. The system takes freed memory back and
hands it out again page by page, each page filled with zeros first; that costs more than the arithmetic on it. And
memory that was used a moment ago is still in the processor's cache, while other memory is not.

* `empty` is `numpy.empty` for large results. What it gave out comes back when the last view of it is gone, and waits
  for the next array of about its size.
* `scratch` gives a worker thread the same stretch of memory for every piece of work.

CuPy has a pool of its own, so on a GPU both leave it to CuPy.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from minigan.backend import Array, Shape

New: TypeAlias = Callable[[Shape, Any], Array]
"""A function like `numpy.empty`: shape and dtype to a new array with arbitrary contents."""

SMALLEST = 1 << 20
"""Bytes from which an array is worth the trouble."""

KEEP_BYTES = 1 << 30

_idle: dict[int, list[Array]] = {}
_idle_bytes = 0


class _Loan:
    """A block that is out on loan: NumPy makes an array of it, which keeps it alive, as do the array's views."""

    def __init__(self, block: Array, shape: Shape, dtype: np.dtype) -> None:
        self.block = block
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": block.__array_interface__["data"],
            "version": 3,
        }

    def __del__(self) -> None:
        global _idle_bytes
        if _idle_bytes < KEEP_BYTES:
            _idle_bytes += self.block.nbytes
            _idle.setdefault(self.block.nbytes, []).append(self.block)


def empty(shape: Shape, dtype: Any, xp: Any = np) -> Array:
    """A new array with arbitrary contents.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    xp : module
        Array module; for any but NumPy this is ``xp.empty``.

    Returns
    -------
    Array
        C-contiguous; on NumPy from 1 MB on in memory that is used again once nobody has the array any more.
    """
    global _idle_bytes
    dtype = np.dtype(dtype)
    needed = math.prod(shape) * dtype.itemsize
    if xp is not np or needed < SMALLEST:
        return xp.empty(shape, dtype)
    size = _block_size(needed)
    try:
        block = _idle.setdefault(size, []).pop()
        _idle_bytes -= size
    except IndexError:
        block = np.empty(size, np.uint8)
    return np.asarray(_Loan(block, shape, dtype))


def _block_size(needed: int) -> int:
    """The next of the sizes 4, 5, 6, 7 times a power of two, so that arrays of similar size can share.

    >>> [_block_size(n) for n in (32768, 32769, 49000, 65536)]
    [32768, 40960, 49152, 65536]
    """
    step = 1 << (needed.bit_length() - 3)
    return -(-needed // step) * step


class _Room(threading.local):
    """A thread's own stretch of memory, and how much of it is taken."""

    def __init__(self) -> None:
        self.memory = np.empty(0, np.uint8)
        self.taken = self.wanted = self.users = 0


_room = _Room()
ALIGN = 64


@contextmanager
def scratch(xp: Any = np) -> Iterator[New]:
    """Arrays for the time of a ``with`` block; they must not be used after it.

    Parameters
    ----------
    xp : module
        Array module; for any but NumPy the block gets ``xp.empty``.

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
    if xp is not np:
        yield xp.empty
        return
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
    room.wanted = max(room.wanted, room.taken)  # enough the next time
    return np.empty(shape, dtype)
