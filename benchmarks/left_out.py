"""minigan's step with one of its parts left out, for `parts`: context managers by name.

They hold in the process that enters them, so every rank enters them for itself.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from minigan.fast.cpu import fused, memory, winograd


def no_winograd() -> AbstractContextManager[Any]:
    """One product for each convolution: im2col."""
    return mock.patch.object(winograd, "pays", return_value=False)


@contextlib.contextmanager
def no_pool() -> Iterator[None]:
    """Every array in new memory, which goes back to the system afterwards."""
    with mock.patch.object(memory, "_pool", memory._Pool()), mock.patch.object(memory, "SMALLEST", sys.maxsize):
        yield


@contextlib.contextmanager
def almost_everything() -> Iterator[None]:
    """As in the first version: one product for each convolution, and new memory for every array."""
    with no_winograd(), no_pool():
        yield


def only_two_taps(kernel_size: tuple[int, int], stride: int) -> bool:
    """What `winograd.suits` was before it could do kernels of three taps."""
    return kernel_size == (2 * stride, 2 * stride)


LEFT_OUT: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "nothing": contextlib.nullcontext,
    "Winograd": no_winograd,
    "tiles of 4": lambda: mock.patch.object(winograd, "WORTH", sys.maxsize),
    "three taps": lambda: mock.patch.object(winograd, "suits", only_two_taps),
    "the pool of memory": no_pool,
    "large pieces": lambda: mock.patch.object(fused, "PIECE", 1 << 15),
    "almost everything": almost_everything,
}
