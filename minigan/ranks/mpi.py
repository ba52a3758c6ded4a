"""Ranks as processes of an MPI program, on one machine or on several: ``mpiexec -n 4 python -m minigan.train``.

MPI brings its own start: every process runs the whole command and learns its number from the launcher. This file needs
mpi4py (the extra ``mpi``), which is imported when it is used.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Any

import numpy as np

from minigan.nn.backend import Array, Shape
from minigan.ranks.interface import RankError, Ranks
from minigan.ranks.waiting import wait_until
from minigan.system.errors import UserError

LAST_WORDS_SECONDS = 1.0
"""How long a launcher may take to pass on what a rank has printed, before the rank ends all."""

_LAUNCHERS = ("OMPI_COMM_WORLD", "PMI", "PMIX", "MV2_COMM_WORLD")


def launched_size() -> int | None:
    """How many processes an MPI launcher has started, by its environment; None if there is none, or only this one.

    A batch system may say "one" to every process that it starts, whether or not it has to do with MPI.
    """
    size = _launched("SIZE")
    return None if size == 1 else size


def launched_rank() -> int:
    """The number of this process among them, by its environment; 0 if it is not known."""
    return _launched("RANK") or 0


def _launched(what: str) -> int | None:
    found = next((os.environ[name] for name in (f"{each}_{what}" for each in _LAUNCHERS) if name in os.environ), "")
    return int(found) if found.isascii() and found.isdigit() else None


class MPI(Ranks):
    """A process's place among those that the launcher has started.

    Raises
    ------
    UserError
        If mpi4py, or the MPI library that it needs, is not installed; if it is another library than the launcher's.
    """

    shares_memory = False

    def __init__(self) -> None:
        try:
            from mpi4py import MPI as library  # noqa: N811
        except (ImportError, RuntimeError) as error:
            raise UserError(
                f"started by an MPI launcher, but mpi4py cannot be used ({error}); "
                "python -m pip install mpi4py mpich brings it and an MPI library"
            ) from None
        self._comm = library.COMM_WORLD
        self.rank, self.size = self._comm.Get_rank(), self._comm.Get_size()
        launched = launched_size()
        if launched is not None and launched != self.size:
            raise UserError(
                f"the MPI launcher has started {launched} processes, and mpi4py sees {self.size}: "
                "they must belong to the same MPI library"
            )
        self._owner = os.getpid(), threading.get_ident()

    def _wait(self, request: Any) -> None:
        wait_until(request.Test, self._check)

    def _check(self, waited: float) -> None:
        if self.rank == 0 and waited > self.patience:
            raise RankError(f"another rank has not answered for {waited:.0f} s")

    def _insist_on_owner(self) -> None:
        """Raise RankError unless this is the process, and the thread, that the launcher started."""
        if self._owner != (os.getpid(), threading.get_ident()):
            raise RankError(f"only the process and the thread that began as rank {self.rank} can train with the others")

    def abort(self, status: int) -> None:
        """End all ranks at once: for a rank that has told why it cannot go on. MPI's own message is dropped."""
        if os.getpid() != self._owner[0]:
            return
        time.sleep(LAST_WORDS_SECONDS)
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        self._comm.Abort(status)

    def word(self, word: int) -> int:
        """See `Ranks.word`."""
        said = np.array([word])
        self.broadcast(said)
        return int(said[0])

    def _meet(self) -> None:
        """Wait for all ranks before large arrays are exchanged.

        A library moves a large message piece by piece, and only while it is called. So the wait for a rank that is
        late gives way to others (`wait_until`), and then the exchange itself does not.
        """
        self._wait(self._comm.Ibarrier())

    def barrier(self) -> None:
        """See `Ranks.barrier`."""
        self._meet()

    def stack(self, x: Array) -> Array:
        """See `Ranks.stack`."""
        self._insist_on_owner()
        everybodys = np.empty((self.size, *x.shape), x.dtype)
        self._wait(self._comm.Iallgather(np.ascontiguousarray(x), everybodys))
        return everybodys

    def broadcast(self, x: Array) -> None:
        """See `Ranks.broadcast`."""
        self._insist_on_owner()
        self._wait(self._comm.Ibcast(x, root=0))

    def shared(self, shape: Shape, dtype: Any) -> Array:
        """See `Ranks.shared`."""
        return np.zeros(shape, dtype)

    def own(self, shape: Shape, dtype: Any) -> Array:
        """See `Ranks.own`."""
        return np.zeros(shape, dtype)

    def scatter_sum(self, own: Array) -> list[Array]:
        """See `Ranks.scatter_sum`."""
        self._insist_on_owner()
        counts, starts = self._slices(len(own))
        mine = counts[self.rank]
        everybodys = np.empty((self.size, mine), own.dtype)
        places = [mine] * self.size, [k * mine for k in range(self.size)]
        self._meet()
        self._comm.Alltoallv([own, (counts, starts)], [everybodys, places])
        return list(everybodys)

    def gather_slices(self, shared: Array) -> None:
        """See `Ranks.gather_slices`."""
        self._insist_on_owner()
        counts, starts = self._slices(len(shared))
        mine = shared[self.share(len(shared))].copy()
        self._meet()
        self._comm.Allgatherv(mine, [shared, (counts, starts)])

    def gather(self, own: Array, count: int) -> Array | None:
        """See `Ranks.gather`."""
        self._insist_on_owner()
        each = int(np.prod(own.shape[1:]))
        counts, starts = ([each * n for n in numbers] for numbers in self._slices(count))
        mine = own[: counts[self.rank] // each]
        everything = np.empty((count, *own.shape[1:]), own.dtype) if self.rank == 0 else None
        self._meet()
        self._comm.Gatherv(mine, None if everything is None else [everything, (counts, starts)], root=0)
        return everything

    def _slices(self, count: int) -> tuple[list[int], list[int]]:
        """Lengths and beginnings of all ranks' shares."""
        shares = [self.share(count, rank) for rank in range(self.size)]
        return [s.stop - s.start for s in shares], [s.start for s in shares]
