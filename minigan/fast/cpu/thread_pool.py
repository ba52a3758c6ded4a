"""Worker threads: the same function for many pieces of an array, as many at a time as there are cores.

NumPy does arithmetic on one core, however large the array is. Only its matrix products use more cores; they come from a
BLAS library. But NumPy releases Python's lock while it computes, so threads can compute at the same time. minigan
therefore cuts its work into pieces that fit into a processor's cache (a few images, or some thousand rows), and a
worker that has finished a piece takes the next one:

    def piece(rows):                      # works on its own rows and touches nothing else
        np.multiply(x[rows], 2, out=y[rows])
    each(piece, spans(np, len(x), 4096))

Meanwhile BLAS is limited to one thread. Otherwise the product of every worker would start threads of its own, and there
would be more threads than cores. The limit holds for the whole process, so `each` sets it only while it runs and then
restores it. A long computation runs inside `holding_blas`, which sets the limit once rather than a hundred times.

Threads have to wait for Python's lock between two calls of NumPy. Where this matters, `each` offers its work to worker
processes first (`minigan.fast.cpu.process_pool`).

The pieces do not depend on the number of threads, except in `lanes`, whose partial sums are added in the order of the
images. So a run repeats bit for bit with the same number of threads.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

MAX_THREADS = 1024

T = TypeVar("T")


class WorkerPool(Protocol):
    """Workers of another kind than threads (`minigan.fast.cpu.process_pool.ProcessPool`)."""

    def each(self, function: Callable[[Any], object], items: Sequence[Any]) -> bool:
        """Do the work of `minigan.fast.cpu.thread_pool.each` and return True, or do nothing and return False."""


class _State:
    """The state of this module. A forked child gets a new one, because the parent's threads do not exist there."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count: int | None = None
        self.pool: ThreadPoolExecutor | None = None
        self.pool_size = 0
        self.holders = 0
        self.limiter: Any = None
        self.blas: Any = None
        self.warned = False
        self.process_pool: WorkerPool | None = None
        self.inside = threading.local()


_state = _State()


def _after_fork() -> None:
    global _state
    count, _state = _state.count, _State()
    _state.count = count


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def thread_count() -> int:
    """How many pieces are worked on at a time: the number given to `use_threads`, or else as many as BLAS would use.

    BLAS would use all cores on which this process may run, or fewer if OPENBLAS_NUM_THREADS or OMP_NUM_THREADS says so.
    """
    if _state.count is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        limits = [library["num_threads"] for library in _blas().info()]
        _state.count = max(1, min([cores, *limits]))
    return _state.count


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Work with this many threads inside a ``with`` block.

    Parameters
    ----------
    count : int
        1 to 1,024; 1 does everything in the calling thread.

    Raises
    ------
    ValueError
        If count is out of range.
    """
    if not 1 <= count <= MAX_THREADS:
        raise ValueError(f"threads must be 1 to {MAX_THREADS:,}, got {count}")
    before, _state.count = _state.count, count
    try:
        yield
    finally:
        _state.count = before


def working_with(threads: int | None) -> AbstractContextManager[None]:
    """`use_threads` for the option --threads of a command; None or 0 (not given) leaves the number as it is."""
    return use_threads(threads) if threads else nullcontext()


@contextmanager
def holding_blas() -> Iterator[None]:
    """Limit BLAS to one thread inside a ``with`` block; blocks may be nested and used from several threads.

    If threadpoolctl does not know NumPy's BLAS (for example Apple's Accelerate), it warns once and sets no limit: the
    results are the same, only slower.
    """
    thread_count()  # asks BLAS, so this must come before the limit
    with _state.lock:
        _state.holders += 1
        if _state.holders == 1:
            blas = _blas()
            if not blas.lib_controllers and not _state.warned:
                _state.warned = True
                warnings.warn(
                    "threadpoolctl does not know NumPy's BLAS here, so its threads cannot be limited; minigan works, "
                    "but perhaps more slowly (minigan.fast.cpu.thread_pool)",
                    RuntimeWarning,
                    stacklevel=3,
                )
            _state.limiter = blas.limit(limits=1)
    try:
        yield
    finally:
        with _state.lock:
            _state.holders -= 1
            if _state.holders == 0:
                _state.limiter.restore_original_limits()
                _state.limiter = None


@contextmanager
def using_processes(pool: WorkerPool | None) -> Iterator[None]:
    """Inside a ``with`` block, `each` offers its work to this pool first; threads do the work that it does not take.

    With None, `each` uses threads only.
    """
    before, _state.process_pool = _state.process_pool, pool
    try:
        yield
    finally:
        _state.process_pool = before


def current_process_pool() -> WorkerPool | None:
    """The pool to which `each` offers its work first, if there is one."""
    return _state.process_pool


def work_alone() -> None:
    """From now on, when this thread calls `each`, all items are done in this thread."""
    _state.inside.worker = True


def each(function: Callable[[T], object], items: Iterable[T]) -> None:
    """Call a function on every item, several at a time; return when all are done.

    Parameters
    ----------
    function : callable
        Called with one item. Calls must not depend on each other.
    items : iterable
        Usually `spans` or `lanes`.

    Raises
    ------
    Exception
        The first error that a call raised. Items that have not been begun are then left out.
    """
    items = list(items)
    workers = min(thread_count(), len(items))
    if workers < 2 or getattr(_state.inside, "worker", False):
        for item in items:
            function(item)
        return
    if _state.process_pool is not None:
        with holding_blas():
            if _state.process_pool.each(function, items):
                return
    queue = iter(items)  # next() on a list's iterator is atomic: every item goes to one worker

    def work() -> None:
        _state.inside.worker = True
        try:
            for item in queue:
                function(item)
        except BaseException:
            for _ in queue:
                pass
            raise
        finally:
            _state.inside.worker = False

    with holding_blas():
        futures = [_pool(workers - 1).submit(work) for _ in range(workers - 1)]
        try:
            work()
        finally:
            errors = [future.exception() for future in futures]  # waits: no thread may write after `each` has returned
        for error in errors:
            if error is not None:
                raise error


def spans(xp: Any, n: int, size: int) -> list[slice]:
    """Cut 0...n into slices of `size` (the last may be shorter). If xp is not NumPy, there is one slice only.

    A GPU is fastest with one large piece of work.

    >>> spans(np, 10, 4)
    [slice(0, 4, None), slice(4, 8, None), slice(8, 10, None)]
    """
    if xp is not np:
        return [slice(0, n)]
    return [slice(a, min(a + size, n)) for a in range(0, n, size)]


def lanes(xp: Any, n: int, *, most: int = MAX_THREADS) -> list[slice]:
    """Cut 0...n into one slice per thread, for sums: each worker adds up its slice, then the partial sums are added.

    There are at most `most` slices, because each partial sum needs memory.

    >>> with use_threads(3):
    ...     lanes(np, 8)
    [slice(0, 3, None), slice(3, 6, None), slice(6, 8, None)]
    """
    return spans(xp, n, max(1, -(-n // min(thread_count(), most))))


def _blas() -> Any:
    if _state.blas is None:
        _state.blas = ThreadpoolController().select(user_api="blas")
    return _state.blas


def _pool(size: int) -> ThreadPoolExecutor:
    if _state.pool is None or _state.pool_size < size:
        if _state.pool is not None:
            _state.pool.shutdown(wait=False)
        _state.pool, _state.pool_size = ThreadPoolExecutor(size, thread_name_prefix="minigan"), size
    return _state.pool
