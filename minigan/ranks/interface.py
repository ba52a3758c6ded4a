"""What ranks can say to each other: the interface that every engine has, and the engine for a single rank.

All ranks call the same methods in the same order; only `share` and `abort` may be called by one rank alone. What a
method returns of the other ranks is complete. Sums are added in the order of the ranks, so that every rank gets the
same bits, and so does the next run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from minigan.nn.backend import Array, Shape
from minigan.system.errors import RunError


class RankError(RunError):
    """Another rank has failed, has been killed, or does not answer."""


PATIENCE = 600.0
"""Seconds that rank 0 waits for another rank before it takes it for dead: a machine may be busy, or swap."""

GO, SAVE, STOP = 1, 2, 3
"""What comes next: another step, a checkpoint, or nothing."""


class Ranks(ABC):
    """One rank's view of all of them.

    Attributes
    ----------
    rank : int
        Number of this one, from 0.
    size : int
        How many there are.
    patience : float
        Seconds that rank 0 waits for another rank at a meeting. The other ranks wait for as long as rank 0 lives.
    begun : bool
        In an MPI program: whether rank 0 has told the others what to train.
    """

    rank: int
    size: int
    patience = PATIENCE
    begun = False

    def __reduce__(self) -> Any:
        raise TypeError("ranks cannot be copied, nor can a GAN that is divided among them")

    def share(self, count: int, rank: int | None = None) -> slice:
        """Which of `count` things belong to a rank, this one by default; shares differ by at most one.

        >>> [Alone().share(5)]
        [slice(0, 5, None)]
        """
        rank = self.rank if rank is None else rank
        return slice(rank * count // self.size, (rank + 1) * count // self.size)

    shares_memory = True
    """Whether `shared` arrays are the same memory for all ranks."""

    def word(self, word: int) -> int:
        """Rank 0's word on what comes next (GO, SAVE or STOP), for all; each gives its own where memory is shared.

        There rank 0 need not say anything: it can save what all ranks have, and its end ends the others.
        """
        return word

    def abort(self, status: int) -> None:  # noqa: B027 (where memory is shared, the end of rank 0 is enough)
        """End all ranks at once with this exit status, where nothing else would."""

    @abstractmethod
    def barrier(self) -> None:
        """Wait for all ranks."""

    @abstractmethod
    def stack(self, x: Array) -> Array:
        """Every rank's x, in order: shape (size, *x.shape). For small arrays of one shape and dtype."""

    @abstractmethod
    def broadcast(self, x: Array) -> None:
        """Give x the values that it has on rank 0, in place."""

    @abstractmethod
    def shared(self, shape: Shape, dtype: Any) -> Array:
        """A new array of zeros that every rank has: the same memory where they are on one machine."""

    @abstractmethod
    def own(self, shape: Shape, dtype: Any) -> Array:
        """A new array of zeros of this rank's own, which `scatter_sum` and `gather` let others read."""

    @abstractmethod
    def scatter_sum(self, own: Array) -> list[Array]:
        """Get this rank's slice of every rank's flat `own` array, in order; what they hold is added by the caller.

        They may be read until the next collective call.
        """

    @abstractmethod
    def gather_slices(self, shared: Array) -> None:
        """Make a flat `shared` array complete everywhere: each rank has written its own slice of it."""

    @abstractmethod
    def gather(self, own: Array, count: int) -> Array | None:
        """On rank 0, the first axes of all ranks' `own` arrays one after another, `count` in all; None elsewhere."""


class Alone(Ranks):
    """A single rank: there is nobody to exchange anything with."""

    rank, size = 0, 1

    def barrier(self) -> None:
        """See `Ranks.barrier`."""

    def stack(self, x: Array) -> Array:
        """See `Ranks.stack`."""
        return x[None]

    def broadcast(self, x: Array) -> None:
        """See `Ranks.broadcast`."""

    def shared(self, shape: Shape, dtype: Any) -> Array:
        """See `Ranks.shared`."""
        return np.zeros(shape, dtype)

    def own(self, shape: Shape, dtype: Any) -> Array:
        """See `Ranks.own`."""
        return np.zeros(shape, dtype)

    def scatter_sum(self, own: Array) -> list[Array]:
        """See `Ranks.scatter_sum`."""
        return [own]

    def gather_slices(self, shared: Array) -> None:
        """See `Ranks.gather_slices`."""

    def gather(self, own: Array, count: int) -> Array | None:
        """See `Ranks.gather`."""
        return own[:count]


ALONE = Alone()
