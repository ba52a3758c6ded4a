"""A rank's share of every batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigan.nn.backend import Array, Shape
from minigan.ranks.interface import Ranks
from minigan.ranks.shared_memory import address


class BatchShare:
    """A rank's share of batches of one size (`minigan.nn.share.Share`).

    Parameters
    ----------
    ranks : Ranks
    batch_size : int
        Images in the whole batch, at least one for every rank.
    image_shape : tuple of int
    dtype : dtype
        Of the images.
    """

    def __init__(self, ranks: Ranks, batch_size: int, image_shape: Shape, dtype: Any) -> None:
        self.ranks, self.batch_size = ranks, batch_size
        self.here = ranks.share(batch_size)
        self.weight = (self.here.stop - self.here.start) / batch_size
        self._prepared: dict[tuple[int, Shape], Array] = {}
        self._is_good: set[tuple[int, Shape]] = set()
        self._fakes = ranks.own((-(-batch_size // ranks.size), *image_shape), dtype)

    def stack(self, x: Array) -> Array:
        """See `minigan.nn.share.Share`."""
        return self.ranks.stack(x)

    def prepared(self, w: Array, shape: Shape, fill: Callable[[Array, slice], None]) -> Array | None:
        """See `minigan.nn.share.prepared`. Collective.

        Nothing is shared where memory is not, nor where ranks have different numbers of images: they might then choose
        different algorithms, and wait for each other in vain.
        """
        if not self.ranks.shares_memory or self.batch_size % self.ranks.size:
            return None
        key = address(w), shape
        if key not in self._prepared:
            self._prepared[key] = self.ranks.shared(shape, w.dtype)
        array = self._prepared[key]
        if key not in self._is_good:
            fill(array, self.ranks.share(shape[-1]))
            self.ranks.barrier()
            self._is_good.add(key)
        return array

    def forget_prepared(self, parameters: Array | None = None) -> None:
        """Make it anew: all of it, or what depends on parameters that lie in a flat array."""
        if parameters is None:
            self._is_good.clear()
            return
        first = address(parameters)
        here = range(first, first + parameters.nbytes)
        self._is_good = {key for key in self._is_good if key[0] not in here}

    def gather_fakes(self, fakes: Array) -> Array | None:
        """The fakes of the whole batch on rank 0, None elsewhere. Collective."""
        self._fakes[: len(fakes)] = fakes
        return self.ranks.gather(self._fakes, self.batch_size)
