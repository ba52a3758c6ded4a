"""minigan's step with one of its parts left out, for `parts`: context managers by name.

They hold in the process that enters them, so every rank enters them for itself.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from types import ModuleType
from typing import Any

from minigan.fast.cpu import cpu_overlay, fused, memory, small_products, winograd
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
def replaced(module: ModuleType, **values: Any) -> Iterator[None]:
    """Other values for some names of a module. `unittest.mock` does that, too, but its 4 MB would be measured."""
    before = {name: getattr(module, name) for name in values}
    vars(module).update(values)
    try:
        yield
    finally:
        vars(module).update(before)


def no_pool() -> AbstractContextManager[None]:
    """Every array in new memory, which goes back to the system afterwards."""
    return replaced(memory, _pool=memory._Pool(), SMALLEST=sys.maxsize)


def only_two_taps(kernel_size: tuple[int, int], stride: int) -> bool:
    """What `winograd.suits` was before it could do kernels of three taps."""
    return kernel_size == (2 * stride, 2 * stride)


LEFT_OUT: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "nothing": contextlib.nullcontext,
    **{group: partial(plain, group) for group in GROUPS},
    "everything": partial(plain, *GROUPS),
    "Winograd": partial(replaced, winograd, pays=lambda *_: False),
    "small products": partial(replaced, small_products, are_fast=lambda: False),
    "tiles of 4": partial(replaced, winograd, WORTH=sys.maxsize),
    "three taps": partial(replaced, winograd, suits=only_two_taps),
    "the pool of memory": no_pool,
    "large pieces": partial(replaced, fused, PIECE=1 << 15),
}
