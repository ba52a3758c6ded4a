"""A process's share of a batch: what concerns the whole batch is added up over all who have a share.

A training step may be divided among several processes (`minigan.ranks`), each with some images of every batch. Two
formulas go over all of them: the mean and variance of batch normalization, and the mean in the loss. Only there the
mathematics asks this file; a process that has the whole batch, the usual case, gets its own numbers back.

What depends on the parameters alone, such as a kernel transformed for fast convolution, is the same for everybody: all
who have a share of the batch divide this work, too (`prepared`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from minigan.nn.backend import Array, Shape


class Share(Protocol):
    """A part of a batch, and those who have the others."""

    @property
    def weight(self) -> float:
        """Images here divided by images in the whole batch."""

    def stack(self, x: Array) -> Array:
        """Everybody's x, in order, as an array with one axis more."""

    def prepared(self, w: Array, shape: Shape, fill: Callable[[Array, slice], None]) -> Array | None:
        """See `prepared`."""

    def forget_prepared(self) -> None:
        """Make everything that was prepared anew when it is next asked for."""


_share: ContextVar[Share | None] = ContextVar("share", default=None)  # a thread of its own has the default


@contextmanager
def having(share: Share | None) -> Iterator[None]:
    """Take batches for shares inside a ``with`` block; None for whole ones."""
    token = _share.set(share)
    if share is not None:
        share.forget_prepared()  # somebody may have written to a parameter
    try:
        yield
    finally:
        _share.reset(token)


def is_shared() -> bool:
    """Whether this process has only a part of the batch."""
    return _share.get() is not None


def weight() -> float:
    """The part of the batch that is here: 1.0 for a whole one."""
    share = _share.get()
    return 1.0 if share is None else share.weight


def whole(count: int) -> int:
    """How many things there are in the whole batch, if here are so many."""
    share = _share.get()
    return count if share is None else round(count / share.weight)


def stack(x: Array) -> Array:
    """Everybody's x, in order: shape (R, *x.shape); (1, *x.shape) for a whole batch."""
    share = _share.get()
    return x[None] if share is None else share.stack(x)


def total(x: Array) -> Array:
    """The sum of everybody's x, the same bits for all; x itself for a whole batch."""
    share = _share.get()
    return x if share is None else share.stack(x).sum(axis=0)


def prepared(w: Array, shape: Shape, fill: Callable[[Array, slice], None]) -> Array | None:
    """An array that depends on a parameter alone, made by all together and kept until the parameter is updated.

    Parameters
    ----------
    w : Array
        The parameter.
    shape : tuple of int
        Of the array. Its last axis is cut into parts, one for everybody.
    fill : callable
        ``fill(array, part)`` writes ``array[..., part]``.

    Returns
    -------
    Array or None
        None if there is nobody to share the work with.
    """
    share = _share.get()
    return None if share is None else share.prepared(w, shape, fill)
