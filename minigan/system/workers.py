"""How many cores a block of code uses: workers of our own, and the threads of NumPy's BLAS.

Training uses further cores by means of ranks (`minigan.ranks`), each of which is limited to one worker here. Outside of
training, `minigan.fast.cpu.pool` divides a network's images among workers; meanwhile BLAS is limited to one thread.
Otherwise the product of every worker would start threads of its own, and there would be more threads than cores.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

from minigan.system.cores import usable_cores

_workers: ContextVar[int | None] = ContextVar("workers", default=None)


def worker_count() -> int:
    """How many workers there are: the number given to `using_workers`, or else one for each usable core."""
    return _workers.get() or usable_cores()


@contextmanager
def using_workers(count: int | None) -> Iterator[None]:
    """Inside a ``with`` block, work is divided among this many workers.

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
            with one_blas_thread():
                yield
        else:
            yield
    finally:
        _workers.reset(token)


# ----------------------------------------------------------------------------------------------------------------- BLAS
# Usually the limit holds for the whole process. So the first thread that wants it sets it, and the last one removes it.
_lock = threading.Lock()
_holders: Counter[int] = Counter()  # how many blocks of `one_blas_thread` each thread is in
_limit: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread inside a ``with`` block; blocks may be nested and used from several threads."""
    global _limit
    me = threading.get_ident()
    with _lock:
        if not _holders:
            _limit = _change(limit_this_thread)
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


def limit_this_thread() -> Any:
    """Limit BLAS to one thread for calls from this thread; the result can take the limit away again."""
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


def blas_architectures() -> frozenset[str]:
    """For which processors NumPy's BLAS has chosen its code, in its own words; none if it does not say."""
    return frozenset(str(found["architecture"]) for found in _blas().info() if found.get("architecture"))


@cache
def _blas() -> Any:
    """NumPy's BLAS. Finding it takes a look at all libraries of the process, so this is done once."""
    blas = ThreadpoolController().select(user_api="blas")
    if not blas.lib_controllers:
        warnings.warn(
            "threadpoolctl does not know NumPy's BLAS here, so its threads cannot be limited; minigan works, but "
            "perhaps more slowly (minigan.system.workers)",
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
