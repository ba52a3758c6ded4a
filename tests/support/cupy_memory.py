"""A model of a GPU's memory and of CuPy's memory pool: addresses and sizes only, nothing is stored in it.

It behaves as CuPy 14 does where memory is short. A pool first looks for an unused block of its own, then asks CUDA. If
CUDA has no more, the pool gives *all* its unused blocks back to CUDA and asks again, and a third time after a garbage
collection; then it raises OutOfMemoryError. It does the same if a limit of its own would be exceeded. Any other
exception of the allocator just passes through.
"""

import contextlib
import gc
import itertools
import types

MEMORY_ALLOCATION = 2  # cudaErrorMemoryAllocation
ROUNDED_TO = 512


class CUDARuntimeError(RuntimeError):
    """An error of CUDA, with its number and its name."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class OutOfMemoryError(MemoryError):
    def __init__(self, size, total, limit=0):
        told = f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes"
        super().__init__(told + (f", limit set to: {limit:,} bytes)." if limit else ")."))


class GpuMemory:
    """The memory of one card, and how a program gets some of it.

    Parameters
    ----------
    capacity : int, optional
        Bytes; by default it never ends.
    limit : int
        What CUPY_GPU_MEMORY_LIMIT says, 0 if it says nothing.
    """

    def __init__(self, capacity=None, limit=0):
        self.capacity, self.limit = capacity, limit
        self.allocated = {}  # size by address
        self._addresses = itertools.count(1 << 30, 1 << 30)
        self._allocators = []
        self.common = Pool(self)

    @property
    def used(self):
        return sum(self.allocated.values())

    def malloc(self, size):
        """`cudaMalloc`."""
        if self.capacity is not None and self.used + size > self.capacity:
            raise CUDARuntimeError(MEMORY_ALLOCATION, "cudaErrorMemoryAllocation: out of memory")
        address = next(self._addresses)
        self.allocated[address] = size
        return address

    @contextlib.contextmanager
    def using_allocator(self, allocator):
        self._allocators.append(allocator)
        try:
            yield
        finally:
            self._allocators.pop()

    def alloc(self, size):
        """Memory as a new array gets it."""
        return (self._allocators[-1] if self._allocators else self.common.malloc)(size)

    def names(self):
        """What `cupy.cuda` calls these things."""
        gpu = self

        class Memory:
            def __init__(self, size):
                self.size, self.ptr = size, gpu.malloc(size)

            def __del__(self):
                if hasattr(self, "ptr"):
                    del gpu.allocated[self.ptr]

        class MemoryPointer:
            def __init__(self, mem, offset):
                self.mem, self.ptr = mem, mem.ptr + offset

        class MemoryPool(Pool):
            def __init__(self, allocator=None):
                super().__init__(gpu, allocator)

        self.Memory, self.MemoryPointer = Memory, MemoryPointer
        return {
            "Memory": Memory,
            "MemoryPointer": MemoryPointer,
            "MemoryPool": MemoryPool,
            "using_allocator": self.using_allocator,
            "runtime": types.SimpleNamespace(CUDARuntimeError=CUDARuntimeError),
            "memory": types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        }


class Pool:
    """`cupy.cuda.MemoryPool`."""

    def __init__(self, gpu, allocator=None):
        self.gpu, self._allocator, self._limit, self._total, self._unused = gpu, allocator, gpu.limit, 0, []

    def malloc(self, size):
        size = -(-size // ROUNDED_TO) * ROUNDED_TO
        fitting = [memory for memory in self._unused if memory.size >= size]
        if fitting:
            memory = min(fitting, key=lambda memory: memory.size)
            self._unused.remove(memory)
        else:
            memory = self._new(size)
        return _Block(self, memory)

    def _new(self, size):
        for clean_up in (lambda: None, gc.collect):
            if self._limit and self._total + size > self._limit:
                clean_up()
                self.free_all_blocks()
        if self._limit and self._total + size > self._limit:
            raise OutOfMemoryError(size, self._total, self._limit)
        for clean_up in (lambda: None, gc.collect):
            try:
                memory = self._from_cuda(size)
                break
            except CUDARuntimeError as error:
                if error.status != MEMORY_ALLOCATION:
                    raise
                clean_up()
                self.free_all_blocks()
        else:
            try:
                memory = self._from_cuda(size)
            except CUDARuntimeError:
                raise OutOfMemoryError(size, self._total, self._limit) from None
        self._total += size
        return memory

    def _from_cuda(self, size):
        if self._allocator is not None:
            return self._allocator(size).mem
        return self.gpu.Memory(size)

    def free_all_blocks(self, stream=None):
        self._total -= sum(memory.size for memory in self._unused)
        self._unused.clear()

    def total_bytes(self):
        return self._total

    def used_bytes(self):
        return self._total - sum(memory.size for memory in self._unused)

    def get_limit(self):
        return self._limit

    def set_limit(self, size=0):
        self._limit = size


class _Block:
    """Memory of a pool; it goes back there when nothing refers to it any more."""

    def __init__(self, pool, memory):
        self._pool, self._memory = pool, memory
        self.ptr, self.size = memory.ptr, memory.size

    def __del__(self):
        self._pool._unused.append(self._memory)
