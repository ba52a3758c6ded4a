"""minigan's step with one of its parts left out, for `parts`: context managers by name.

They hold in the process that enters them, so every rank enters them for itself.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any
from unittest import mock

from minigan.fast.cpu import cpu_overlay, fused, memory, winograd
from minigan.nn.ops import register_overlay

GROUPS = [group for group in cpu_overlay.GROUPS if group != "predict on all cores"]
"""The groups of fast versions that a training step uses."""


@contextlib.contextmanager
def plain(*groups: str) -> Iterator[None]:
    """The plain functions in the place of some groups of fast ones."""
    register_overlay("numpy", partial(cpu_overlay.overlay, without=groups))
    try:
        yield
    finally:
        register_overlay("numpy", cpu_overlay.overlay)


@contextlib.contextmanager
def no_pool() -> Iterator[None]:
    """Every array in new memory, which goes back to the system afterwards."""
    with mock.patch.object(memory, "_pool", memory._Pool()), mock.patch.object(memory, "SMALLEST", sys.maxsize):
        yield


def only_two_taps(kernel_size: tuple[int, int], stride: int) -> bool:
    """What `winograd.suits` was before it could do kernels of three taps."""
    return kernel_size == (2 * stride, 2 * stride)


LEFT_OUT: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "nothing": contextlib.nullcontext,
    **{group: partial(plain, group) for group in GROUPS},
    "everything": partial(plain, *GROUPS),
    "Winograd": lambda: mock.patch.object(winograd, "pays", return_value=False),
    "tiles of 4": lambda: mock.patch.object(winograd, "WORTH", sys.maxsize),
    "three taps": lambda: mock.patch.object(winograd, "suits", only_two_taps),
    "the pool of memory": no_pool,
    "large pieces": lambda: mock.patch.object(fused, "PIECE", 1 << 15),
}
