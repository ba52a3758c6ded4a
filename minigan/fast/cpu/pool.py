"""A pool of threads, for a network that only draws or judges: each thread runs the whole network on some of the images.

The kernels of this folder work on one core. Training uses the other cores by means of ranks (`minigan.ranks`); outside
of training, `minigan.nn.network.Sequential.predict` calls `in_parts`. NumPy releases Python's lock while it computes,
so as many cores are at work as there are threads. Meanwhile BLAS is limited to one thread. Otherwise the product of
every thread would start threads of its own, and there would be more threads than cores.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from minigan.nn.backend import Array
from minigan.system.cores import usable_cores

_workers: ContextVar[int | None] = ContextVar("workers", default=None)


def worker_count() -> int:
    """How many threads `in_parts` uses: the number given to `using_workers`, or else one for each usable core."""
    return _workers.get() or usable_cores()


@contextmanager
def using_workers(count: int | None) -> Iterator[None]:
    """Inside a ``with`` block, `in_parts` uses this many threads.

    Parameters
    ----------
    count : int or None
        At least 1. With 1 everything is done by the calling thread, and BLAS is limited to one thread, too: then the
        block uses one core. None, for an option that was not given, changes nothing.

    Raises
    ------
    ValueError
        If count is below 1.
    """
    if count is None:
        yield
        return
    if count < 1:
        raise ValueError(f"workers must be at least 1, got {count}")
    token = _workers.set(count)
    try:
        if count == 1:
            with _one_blas_thread():
                yield
        else:
            yield
    finally:
        _workers.reset(token)


def in_parts(function: Callable[[Array], Array], x: Array, *, most: int | None = None) -> list[Array]:
    """Call a function with parts of an array, one part for each worker, all at the same time.

    A single row is done by the calling thread, and BLAS may use its own threads. An array on a GPU is not cut.

    Parameters
    ----------
    function : callable
        Takes some rows of x. Calls must not depend on each other; a call inside a call gets one worker.
    x : Array of shape (N, ...)
    most : int, optional
        Most parts, where there are more workers.

    Returns
    -------
    list
        The results, in the order of the rows.

    Raises
    ------
    Exception
        The first error that a call raised, after all calls have ended.
    """
    if not isinstance(x, np.ndarray) or len(x) == 1:
        return [function(x)]
    count = part_count(x, most=most)
    with _one_blas_thread():
        if count == 1:
            return [function(x)]
        parts = np.array_split(x, count)
        # With some BLAS libraries, each thread has a limit of its own.
        with ThreadPoolExecutor(count, thread_name_prefix="minigan", initializer=_limit_this_thread) as threads:
            try:
                # Each call has the caller's context, in which NumPy keeps its error state (`numpy.errstate`).
                calls = [threads.submit(copy_context().run, _alone, function, part) for part in parts]
            except RuntimeError:  # the system allows no further thread
                threads.shutdown(cancel_futures=True)
                return [_alone(function, part) for part in parts]
        return [call.result() for call in calls]


def part_count(x: Array, *, most: int | None = None) -> int:
    """How many parts `in_parts` makes of an array."""
    if not isinstance(x, np.ndarray) or len(x) == 1:
        return 1
    count = worker_count()
    return min(len(x), count if most is None else min(count, most))


def _alone(function: Callable[[Array], Array], part: Array) -> Array:
    with using_workers(1):
        return function(part)


# ----------------------------------------------------------------------------------------------------------------- BLAS
# Usually the limit holds for the whole process. So the first thread that wants it sets it, and the last one removes it.
_lock = threading.Lock()
_holders: Counter[int] = Counter()  # how many blocks of `_one_blas_thread` each thread is in
_limit: Any = None


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread inside a ``with`` block; blocks may be nested and used from several threads."""
    global _limit
    me = threading.get_ident()
    with _lock:
        if not _holders:
            _limit = _change(_limit_this_thread)
        _holders[me] += 1
    try:
        yield
    finally:
        with _lock:
            _holders[me] -= 1
            _remove_if_unwanted()


def _remove_if_unwanted() -> None:
    global _holders
    _holders = +_holders  # without the threads that are in no block
    if not _holders:
        _change(_limit.restore_original_limits)


def _limit_this_thread() -> Any:
    return _blas().limit(limits=1)


def _change(set_threads: Callable[[], Any]) -> Any:
    """Set BLAS's number of threads, although another thread may have set it before.

    From version 3.8 on, threadpoolctl lets the thread that comes first control OpenBLAS, and ignores all others.
    """
    clears = [getattr(library, "clear_controlling_thread", None) for library in _blas().lib_controllers]
    try:
        for clear in filter(None, clears):
            clear(force=True)
        return set_threads()
    finally:
        for clear in filter(None, clears):
            clear(force=True)


@cache
def _blas() -> Any:
    """NumPy's BLAS. Finding it takes a look at all libraries of the process, so this is done once."""
    blas = ThreadpoolController().select(user_api="blas")
    if not blas.lib_controllers:
        warnings.warn(
            "threadpoolctl does not know NumPy's BLAS here, so its threads cannot be limited; minigan works, but "
            "perhaps more slowly (minigan.fast.cpu.pool)",
            RuntimeWarning,
            stacklevel=2,
        )
    return blas


def _begin_in_child() -> None:
    """After a fork: the other threads do not exist here, so they hold BLAS no longer."""
    try:
        if _holders:
            for thread in _holders:
                if thread != threading.get_ident():
                    _holders[thread] = 0
            _remove_if_unwanted()
    finally:
        _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_begin_in_child)
