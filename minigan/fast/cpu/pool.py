"""A pool of threads, for a network that only draws or judges: each thread runs the whole network on some of the images.

The kernels of this folder work on one core. Training uses the other cores by means of ranks (`minigan.ranks`); outside
of training, `minigan.nn.network.Sequential.predict` comes here by the entry `in_batches` of its table. NumPy releases
Python's lock while it computes, so as many cores are at work as there are threads (`minigan.system.workers`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import numpy as np

from minigan.nn.backend import Array
from minigan.nn.ops import table
from minigan.system.workers import limit_this_thread, one_blas_thread, using_workers, worker_count


def in_batches(function: Callable[[Array], Array], x: Array, batch_size: int) -> Array:
    """`minigan.nn.ops.table.in_batches`, with the images of each batch shared out among all workers."""
    size = batch_size // part_count(x, most=batch_size)
    results = in_parts(lambda part: table.in_batches(function, part, size), x, most=batch_size)
    return results[0] if len(results) == 1 else np.concatenate(results)


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
    with one_blas_thread():
        if count == 1:
            return [function(x)]
        parts = np.array_split(x, count)
        # With some BLAS libraries, each thread has a limit of its own.
        with ThreadPoolExecutor(count, thread_name_prefix="minigan", initializer=limit_this_thread) as threads:
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
