"""A rank's share of every batch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from minigan.nn.backend import Array, Shape
from minigan.nn.share import Fill, Key, Share
from minigan.ranks.interface import Ranks


class BatchShare(Share):
    """A rank's share of batches of one size.

    Parameters
    ----------
    ranks : Ranks
    batch_size : int
        Images in the whole batch, at least one for every rank.
    image_shape : tuple of int
    dtype : dtype
        Of the images.

    Attributes
    ----------
    shared_params : list of Array
        The parameters from which something may be prepared: there is memory for what follows from these.
    """

    def __init__(self, ranks: Ranks, batch_size: int, image_shape: Shape, dtype: Any) -> None:
        super().__init__()
        self.ranks, self.batch_size = ranks, batch_size
        self.here = ranks.share(batch_size)
        self.weight = (self.here.stop - self.here.start) / batch_size
        self.shared_params: list[Array] = []
        self._rooms: dict[tuple[int, int], Array] = {}  # by parameter, and how many numbers there is room for
        self._in_room: dict[tuple[int, int], Key | None] = {}  # None: what is there is out of date, or half written
        self._fakes = ranks.own((-(-batch_size // ranks.size), *image_shape), dtype)

    def __reduce__(self) -> Any:
        return self.ranks.__reduce__()  # which says that it cannot be copied

    def begin(self, params: Iterable[Array]) -> None:
        """See `minigan.nn.share.Share`."""
        ids = {id(p) for p in self.shared_params}
        super().begin(p for p in params if id(p) in ids)
        self._in_room = dict.fromkeys(self._in_room)

    def updated(self, params: Iterable[Array]) -> None:
        """See `minigan.nn.share.Share`. All ranks have met since their backward passes: nobody reads the rooms now."""
        ids = {id(p) for p in params}
        self._in_room = {room: key for room, key in self._in_room.items() if room[0] not in ids}

    def stack(self, x: Array) -> Array:
        """See `minigan.nn.share.Share`."""
        return self.ranks.stack(x)

    def prepared(self, w: Array, shape: Shape, fill: Fill, what: str) -> Array | None:
        """See `minigan.nn.share.prepared`. Collective.

        Nothing is shared where memory is not, nor where ranks have different numbers of images: they might then choose
        different algorithms, and wait for each other in vain.

        Several arrays of the same size made of one parameter take turns in the same memory. A training step needs one
        on the way forward and the other on the way back, each of them once for each version of the weights.
        """
        even = self.ranks.shares_memory and self.batch_size % self.ranks.size == 0
        if not even or id(w) not in self._params:
            return None
        key, size = (id(w), what, shape), math.prod(shape)
        room = id(w), size
        if room not in self._rooms:  # memory that all ranks have cannot be given back
            self._rooms[room] = self.ranks.shared((size,), w.dtype)
        array = self._rooms[room].reshape(shape)
        if self._in_room.get(room) != key:
            if room in self._in_room:
                self.ranks.barrier()  # a slower rank may still need what is there
            self._in_room[room] = None
            fill(array, self.ranks.share(shape[-1]))
            self.ranks.barrier()
            self._in_room[room] = key
        return array

    def gather_fakes(self, fakes: Array) -> Array:
        """The fakes of the whole batch on rank 0, those of this rank elsewhere. Collective."""
        self._fakes[: len(fakes)] = fakes
        everything = self.ranks.gather(self._fakes, self.batch_size)
        return fakes if everything is None else everything
