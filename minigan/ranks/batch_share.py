"""A rank's share of every batch."""

from __future__ import annotations

from typing import Any

from minigan.nn.backend import Array, Shape
from minigan.ranks.interface import Ranks


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
        self._fakes = ranks.own((-(-batch_size // ranks.size), *image_shape), dtype)

    def stack(self, x: Array) -> Array:
        """See `minigan.nn.share.Share`."""
        return self.ranks.stack(x)

    def gather_fakes(self, fakes: Array) -> Array | None:
        """The fakes of the whole batch on rank 0, None elsewhere. Collective."""
        self._fakes[: len(fakes)] = fakes
        return self.ranks.gather(self._fakes, self.batch_size)
