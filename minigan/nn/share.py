"""A process's share of a batch: what concerns the whole batch is added up over all who have a share.

A training step may be divided among several processes (`minigan.ranks`), each with some images of every batch. Two
formulas go over all of them: the mean and variance of batch normalization, and the mean in the loss and in what is
logged. Only these call this file; a process that has the whole batch, the usual case, gets its own numbers back.

What follows from a parameter alone, such as a kernel transformed for fast convolution, is the same for all who have a
share, and for all passes of a step until the parameter is updated. `prepared` makes it once. A step says at its
beginning which parameters it has (`having`), and later when it has updated some of them (`updated`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from minigan.nn.backend import Array, Shape, xp_of

Fill: TypeAlias = Callable[[Array, slice], None]

Key: TypeAlias = tuple[int, str, Shape]  # id of a parameter, what is made of it, and the shape of that


class Share:
    """Which images of every batch a process has: here all of them, in `minigan.ranks.batch_share` a part.

    Attributes
    ----------
    weight : float
        Images here divided by images in the whole batch.
    here : slice
        Which images of a batch are here.
    """

    weight = 1.0
    here = slice(None)

    def __init__(self) -> None:
        self._params: dict[int, Array] = {}  # by id; while an array is here, no other one gets its id
        self._prepared: dict[Key, Array] = {}
        self._asked_for: set[Key] = set()
        self._stale: set[Key] = set()
        self._in_step = False

    def __reduce__(self) -> tuple[type[Share], tuple[()]]:
        """A copy has prepared nothing yet: it will belong to other parameters."""
        return Share, ()

    def stack(self, x: Array) -> Array:
        """See `stack`."""
        return x[None]

    def gather_fakes(self, fakes: Array) -> Array:
        """All fakes, from this process's share of them."""
        return fakes

    def begin(self, params: Iterable[Array]) -> None:
        """A step begins. Somebody may have written to its parameters since the last one, so all is made anew.

        What the last step did not ask for is dropped.

        Raises
        ------
        RuntimeError
            If a step with this share has begun and not ended: two at a time would spoil each other's weights.
        """
        if self._in_step:
            raise RuntimeError("a training step of this GAN is running already, beside this one or around it")
        self._in_step = True
        self._params = {id(p): p for p in params}
        kept = {key for key in self._asked_for if key[0] in self._params}
        self._prepared = {key: made for key, made in self._prepared.items() if key in kept}
        self._stale = set(self._prepared)
        self._asked_for = set()

    def end(self) -> None:
        """The step ends, perhaps with an error."""
        self._in_step = False

    def updated(self, params: Iterable[Array]) -> None:
        """See `updated`."""
        ids = {id(p) for p in params}
        self._stale |= {key for key in self._prepared if key[0] in ids}

    def prepared(self, w: Array, shape: Shape, fill: Fill, what: str) -> Array | None:
        """See `prepared`."""
        if id(w) not in self._params:
            return None
        key = id(w), what, shape
        self._asked_for.add(key)
        if key not in self._prepared:
            self._prepared[key] = xp_of(w).empty(shape, w.dtype)
            self._stale.add(key)
        array = self._prepared[key]
        if key in self._stale:
            fill(array, slice(0, shape[-1]))
            self._stale.remove(key)
        return array


_outside_of_a_step = Share()  # it has no parameters, so nothing is kept
_share: ContextVar[Share] = ContextVar("share", default=_outside_of_a_step)


@contextmanager
def having(share: Share, params: Iterable[Array]) -> Iterator[None]:
    """Inside a ``with`` block, which is a step of training, every batch is this share of a larger one.

    Parameters
    ----------
    share : Share
    params : iterable of Array
        All parameters that nobody changes in the block without saying so (`updated`).

    Raises
    ------
    RuntimeError
        If there is a step with this share already.
    """
    share.begin(params)
    token = _share.set(share)
    try:
        yield
    finally:
        _share.reset(token)
        share.end()


def weight() -> float:
    """The part of the batch that is here: 1.0 for a whole one."""
    return _share.get().weight


def is_shared() -> bool:
    """Whether this process has only a part of the batch."""
    return weight() < 1


def whole(count: int) -> int:
    """How many values or images the whole batch has, if there are `count` of them here."""
    return round(count / weight())


def stack(x: Array) -> Array:
    """Everybody's x, in order: shape (R, *x.shape); (1, *x.shape) for a whole batch."""
    return _share.get().stack(x)


def total(x: Array) -> Array:
    """The sum of everybody's x, the same bits for all; x itself for a whole batch."""
    return stack(x).sum(axis=0) if is_shared() else x


def prepared(w: Array, shape: Shape, fill: Fill, what: str = "") -> Array | None:
    """An array that follows from a parameter alone, made by all together and kept until the parameter is updated.

    Parameters
    ----------
    w : Array
        The parameter.
    shape : tuple of int
        Of the array. Its last axis is cut into parts, one for everybody.
    fill : callable
        ``fill(array, part)`` writes ``array[..., part]``.
    what : str
        A name for the array, if there are several of a parameter.

    Returns
    -------
    Array or None
        None outside of a training step, and for an array that is no parameter of the step: it may be written to at any
        time, so nothing is kept.
    """
    return _share.get().prepared(w, shape, fill, what)


def updated(params: Iterable[Array]) -> None:
    """Say that these parameters have changed: what was prepared from them is made anew when it is next asked for."""
    _share.get().updated(params)
