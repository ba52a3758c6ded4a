"""Memory that several processes see: a file in memory without a name on Linux, named shared memory elsewhere.

A file made by ``memfd_create`` has no size limit of its own (a container's /dev/shm is often small), and it is gone
when the last process that has it open ends, however it ends.
"""

from __future__ import annotations

import mmap
import os
from multiprocessing import reduction, shared_memory
from typing import Any

import numpy as np

from minigan.nn.backend import Array, Shape

ALIGN = 64
"""Bytes to which arrays are aligned: a line of the processor's cache."""


class _Named(shared_memory.SharedMemory):
    """Named memory that lasts as long as the arrays made of it, and not only as long as this object.

    The library's own takes the memory away when its object goes, and whoever reads an array then crashes.
    """

    def __del__(self) -> None:
        handle, self._fd = getattr(self, "_fd", -1), -1  # Windows has none
        if handle >= 0:
            os.close(handle)


class SharedMemory:
    """A stretch of memory for this process and those that are started with it as an argument.

    Parameters
    ----------
    size : int
        Bytes, all zero at first.

    Raises
    ------
    OSError
        If there is not so much memory.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._named: shared_memory.SharedMemory | None = None
        if hasattr(os, "memfd_create"):
            self._fd = os.memfd_create("minigan")
            try:
                os.ftruncate(self._fd, size)
                self._map()
            except BaseException:
                os.close(self._fd)
                raise
        else:
            self._named = _Named(create=True, size=size)
            self.buffer = _buffer(self._named)

    def _map(self) -> None:
        self.buffer = memoryview(mmap.mmap(self._fd, self.size))

    def array(self, offset: int, shape: Shape, dtype: Any) -> Array:
        """The array that begins `offset` bytes from the beginning."""
        return np.ndarray(shape, dtype, self.buffer, offset)

    def close(self) -> None:
        """Give it back; arrays made of it stay good as long as this process has them."""
        if self._named is None:
            os.close(self._fd)
        else:
            self._named.unlink()

    # How it reaches a process that is being started.
    def __getstate__(self) -> tuple[int, Any]:
        return self.size, reduction.DupFd(self._fd) if self._named is None else self._named

    def __setstate__(self, state: tuple[int, Any]) -> None:
        self.size, handle = state
        self._named = None if hasattr(os, "memfd_create") else handle
        if self._named is None:
            self._fd = handle.detach()
            self._map()
        else:
            self.buffer = _buffer(self._named)


def _buffer(memory: shared_memory.SharedMemory) -> memoryview:
    assert memory.buf is not None
    return memory.buf


class Arena:
    """Arrays in shared memory, one after the other. Processes that ask for the same ones in the same order share them.

    Parameters
    ----------
    memory : SharedMemory
    start : int
        Bytes at the beginning that are used otherwise.
    """

    def __init__(self, memory: SharedMemory, start: int) -> None:
        self.memory, self._next = memory, start

    def take(self, shape: Shape, dtype: Any) -> Array:
        """The next array.

        Raises
        ------
        MemoryError
            If the memory is used up.
        """
        size = aligned(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        if self._next + size > self.memory.size:
            raise MemoryError(f"shared memory of {self.memory.size} bytes is used up")
        array = self.memory.array(self._next, shape, dtype)
        self._next += size
        return array


def aligned(size: int) -> int:
    """The next multiple of `ALIGN`."""
    return -(-size // ALIGN) * ALIGN


def address(a: Array) -> int:
    """Where an array begins in this process's memory."""
    return int(a.__array_interface__["data"][0])
