"""Ranks on the cores of one machine: processes that meet through flags in shared memory.

`start` starts the other ranks as fresh Python processes. Each counts its arrivals at a meeting in a word of shared
memory that only it writes; a meeting is over for a rank when every other rank's count has reached its own. What is
exchanged at a meeting lies in shared memory, too: small arrays in one of two sets of places, used in turn, so that one
meeting for each exchange is enough: when a rank writes to a place again, everybody has been at the meeting in between,
and so has read it.

A processor of the x86-64 family makes a process's writes visible in the order in which they were made, so whoever sees
a count also sees what was written before it. Other processors promise no such thing: there every arrival also releases
a semaphore for each other rank.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import platform
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn

import numpy as np
from threadpoolctl import threadpool_limits

from minigan.nn.backend import Array, Shape
from minigan.ranks.interface import ALONE, RankError, Ranks
from minigan.ranks.shared_memory import Arena, SharedMemory, aligned
from minigan.ranks.waiting import wait_until
from minigan.system.processes import begin_work, starting_workers

MAX_RANKS = 64
EXCHANGE = 1 << 16
"""Most bytes that a rank can put into a stack."""

MEETING_SECONDS = 600.0
"""How long a rank may keep the others waiting before it is taken for dead: a machine may sleep, or swap."""

START_SECONDS = 60.0
"""How long a rank may take to start."""

END_SECONDS = 5.0
"""How long the others may take to end."""

STARTING, READY, FAILED = 0, 1, 2
_LINE = 16  # words from one rank's to the next's: two lines of the cache, which processors fetch in pairs
_WORDS = 512  # of a message about a failure
_ARRIVALS, _STATE, _NUMBER = range(3)  # each rank's words: meetings it has come to, how it is, its number plus 1
_SIZE, _ENDED = range(2)  # everybody's words: how many ranks there are, and whether it is over
_BLAS_SETTINGS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class _EndedError(Exception):
    """Rank 0 has finished; the others have nothing left to do."""


class _Board:
    """What ranks tell each other about themselves: words and messages at the beginning of the shared memory."""

    BYTES = (MAX_RANKS + 1) * _LINE * 8 + MAX_RANKS * _WORDS
    EXCHANGE_START = aligned(BYTES)

    def __init__(self, memory: SharedMemory) -> None:
        self._words = memory.buffer[: (MAX_RANKS + 1) * _LINE * 8].cast("Q")
        self._texts = memory.array((MAX_RANKS + 1) * _LINE * 8, (MAX_RANKS, _WORDS), np.uint8)

    def get(self, rank: int, word: int) -> int:
        return self._words[rank * _LINE + word]

    def put(self, rank: int, word: int, value: int) -> None:
        self._words[rank * _LINE + word] = value

    def common(self, word: int) -> int:
        return self.get(MAX_RANKS, word)

    def put_common(self, word: int, value: int) -> None:
        self.put(MAX_RANKS, word, value)

    def fail(self, rank: int, text: str) -> None:
        """Say why a rank cannot go on."""
        letters = text.encode(errors="replace")[:_WORDS]
        self._texts[rank, : len(letters)] = np.frombuffer(letters, np.uint8)
        self.put(rank, _STATE, FAILED)

    def text(self, rank: int) -> str:
        return bytes(self._texts[rank]).rstrip(b"\0").decode(errors="replace")


class Local(Ranks):
    """One of several ranks on this machine; made by `start`.

    Parameters
    ----------
    place : int
        Where this rank's words are on the board.
    places : list of int
        The same for all ranks, in the order of their numbers.
    memory : SharedMemory
    semaphores : list, optional
        One for each place, where flags alone are not enough.
    others_live : callable
        Raises RankError if a process has ended that should not have.
    """

    def __init__(
        self,
        place: int,
        places: Sequence[int],
        memory: SharedMemory,
        semaphores: Sequence[Any] | None,
        others_live: Callable[[], None],
    ) -> None:
        self.rank, self.size = places.index(place), len(places)
        self._place, self._others = place, [other for other in places if other != place]
        self._places = list(places)
        self._board, self._others_live = _Board(memory), others_live
        self._semaphores = semaphores
        start = _Board.EXCHANGE_START
        self._exchange = memory.array(start, (2, MAX_RANKS, EXCHANGE), np.uint8)
        self._arena = Arena(memory, start + self._exchange.nbytes)
        self._own: dict[int, list[Array]] = {}  # address of an own array to those of all ranks
        self._meetings = 0

    def meet(self) -> None:
        """Wait until every rank has come here."""
        self._meetings += 1
        count = self._meetings
        self._board.put(self._place, _ARRIVALS, count)
        if self._semaphores is not None:
            self._meet_by_semaphores(self._semaphores)
        for other in self._others:
            if self._board.get(other, _ARRIVALS) < count:
                wait_until(lambda other=other: self._board.get(other, _ARRIVALS) >= count, self._check)  # type: ignore[misc]

    def _meet_by_semaphores(self, semaphores: Sequence[Any]) -> None:
        for other in self._others:
            semaphores[other].release()
        for _ in self._others:
            began = time.monotonic()
            while not semaphores[self._place].acquire(timeout=0.1):
                self._check(time.monotonic() - began)

    def _check(self, waited: float) -> None:
        """Raise if the wait is in vain."""
        if self._board.common(_ENDED):
            raise _EndedError
        for number, place in enumerate(self._places):
            if self._board.get(place, _STATE) == FAILED:
                raise RankError(f"rank {number} of {self.size} has failed: {self._board.text(place)}")
        self._others_live()
        if waited > MEETING_SECONDS:
            late = [n for n, place in enumerate(self._places) if self._board.get(place, _ARRIVALS) < self._meetings]
            raise RankError(f"rank {', '.join(map(str, late))} of {self.size} has not answered for {waited:.0f} s")

    def stack(self, x: Array) -> Array:
        """See `Ranks.stack`."""
        if x.nbytes > EXCHANGE:
            raise ValueError(f"stack: an array may have {EXCHANGE} bytes, got {x.nbytes}")
        places = self._exchange[(self._meetings + 1) % 2]
        places[self.rank, : x.nbytes].view(x.dtype)[:] = x.reshape(-1)
        self.meet()
        return places[: self.size, : x.nbytes].view(x.dtype).reshape(self.size, *x.shape).copy()

    def broadcast(self, x: Array) -> None:
        """See `Ranks.broadcast`."""
        flat = x.reshape(-1)  # a view: x is contiguous
        step = EXCHANGE // x.itemsize
        for a in range(0, max(len(flat), 1), step):
            here = flat[a : a + step]
            places = self._exchange[(self._meetings + 1) % 2]
            values = places[0, : here.nbytes].view(x.dtype)
            if self.rank == 0:
                values[:] = here
            self.meet()
            here[:] = values

    def shared(self, shape: Shape, dtype: Any) -> Array:
        """See `Ranks.shared`."""
        return self._arena.take(shape, dtype)

    def own(self, shape: Shape, dtype: Any) -> Array:
        """See `Ranks.own`."""
        arrays = [self._arena.take(shape, dtype) for _ in range(self.size)]
        self._own[_address(arrays[self.rank])] = arrays
        return arrays[self.rank]

    def scatter_sum(self, own: Array) -> list[Array]:
        """See `Ranks.scatter_sum`."""
        self.meet()
        mine = self.share(len(own))
        return [array[mine] for array in self._own[_address(own)]]

    def gather_slices(self, shared: Array) -> None:
        """See `Ranks.gather_slices`."""
        self.meet()

    def gather(self, own: Array, count: int) -> Array | None:
        """See `Ranks.gather`."""
        self.meet()
        if self.rank:
            return None
        parts = [self.share(count, rank) for rank in range(self.size)]
        arrays = zip(self._own[_address(own)], parts, strict=True)
        return np.concatenate([array[: part.stop - part.start] for array, part in arrays])


def _address(a: Array) -> int:
    return int(a.__array_interface__["data"][0])


def flags_are_enough() -> bool:
    """Whether this processor makes writes visible in the order in which they were made."""
    return platform.machine().lower() in ("x86_64", "amd64")


@contextlib.contextmanager
def start(
    program: Callable[..., object],
    arguments: Sequence[Any],
    *,
    size: int,
    memory_bytes: int,
    warn: Callable[[str], object],
    semaphores: bool | None = None,
) -> Iterator[Ranks]:
    """Start the other ranks, and be rank 0 inside a ``with`` block; at its end the others end, too.

    Parameters
    ----------
    program : callable
        A function of a module; every other rank calls ``program(ranks, *arguments)``.
    arguments : sequence
        What Python can send to a process that it starts.
    size : int
        Number of ranks, 1 to 64.
    memory_bytes : int
        What all `Ranks.shared` and `Ranks.own` arrays take together, those of all ranks counted.
    warn : callable
        Gets one line if a rank cannot start; the program then goes on with fewer.
    semaphores : bool, optional
        Whether ranks meet by semaphores; by default where flags are not enough.

    Yields
    ------
    Ranks
    """
    if not 1 <= size <= MAX_RANKS:
        raise ValueError(f"start: size must be 1 to {MAX_RANKS}, got {size}")
    if size == 1:
        yield ALONE
        return
    use_semaphores = not flags_are_enough() if semaphores is None else semaphores
    with contextlib.ExitStack() as stack:
        try:
            memory = SharedMemory(_Board.EXCHANGE_START + 2 * MAX_RANKS * EXCHANGE + memory_bytes)
        except OSError as error:
            warn(f"there is no shared memory for {size} ranks ({error.strerror or error}); going on with 1")
            yield ALONE
            return
        stack.callback(memory.close)
        context = multiprocessing.get_context("spawn")
        signals = [context.Semaphore(0) for _ in range(size)] if use_semaphores else None
        board = _Board(memory)
        processes: dict[int, BaseProcess] = {}
        stack.callback(_end, board, processes)
        reasons = _start_all(context, processes, size, (program, tuple(arguments), memory, signals))
        reasons |= _wait_for_start(board, processes)
        places = [0, *sorted(processes)]
        if reasons:
            told = "; ".join(f"rank {place} {reason}" for place, reason in sorted(reasons.items()))
            warn(f"{told}; going on with {len(places)} of {size} ranks")
        if len(places) == 1:
            yield ALONE
            return
        for number, place in enumerate(places):
            board.put(place, _NUMBER, number + 1)
        board.put_common(_SIZE, len(places))
        pid = os.getpid()

        def others_live() -> None:
            for number, place in enumerate(places[1:], 1):
                status = processes[place].exitcode
                if status is not None and not board.common(_ENDED):
                    how = f"signal {-status}" if status < 0 else f"exit status {status}"
                    raise RankError(f"rank {number} of {len(places)} has ended ({how})")

        ranks = Local(0, places, memory, signals, others_live)
        with threadpool_limits(1, user_api="blas"):
            yield ranks
        assert os.getpid() == pid


def _start_all(context: Any, processes: dict[int, BaseProcess], size: int, given: tuple[Any, ...]) -> dict[int, str]:
    """Start the processes; which could not be started, and why."""
    reasons = {}
    with _one_blas_thread(), starting_workers():
        for place in range(1, size):
            process = context.Process(target=_serve, args=(place, *given), daemon=True, name=f"minigan-rank-{place}")
            try:
                process.start()
            except OSError as error:
                reasons[place] = f"cannot be started ({error.strerror or error})"
            else:
                processes[place] = process
    return reasons


def _wait_for_start(board: _Board, processes: dict[int, BaseProcess]) -> dict[int, str]:
    """Wait until every process is ready or will not be; which are not, and why. Those are no longer in `processes`."""
    reasons: dict[int, str] = {}
    until = time.monotonic() + START_SECONDS
    for place, process in list(processes.items()):
        while board.get(place, _STATE) == STARTING and process.exitcode is None and time.monotonic() < until:
            time.sleep(2e-3)
        if board.get(place, _STATE) == READY:
            continue
        status = process.exitcode
        if board.get(place, _STATE) == FAILED:
            reasons[place] = f"could not start ({board.text(place)})"
        elif status is None:
            reasons[place] = f"has not started within {START_SECONDS:.0f} s"
        else:
            reasons[place] = f"ended at its start ({f'signal {-status}' if status < 0 else f'exit status {status}'})"
        process.kill()
        process.join()
        del processes[place]
    return reasons


def _end(board: _Board, processes: dict[int, BaseProcess]) -> None:
    """Tell all ranks that it is over; those that do not hear it within seconds are killed."""
    board.put_common(_ENDED, 1)
    until = time.monotonic() + END_SECONDS
    for process in processes.values():
        process.join(max(0.0, until - time.monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()


@contextlib.contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Within this, a process that is started does not make BLAS threads that it would never use."""
    before = {name: os.environ.get(name) for name in _BLAS_SETTINGS}
    os.environ.update(dict.fromkeys(_BLAS_SETTINGS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(
    place: int, program: Callable[..., object], arguments: tuple[Any, ...], memory: SharedMemory, semaphores: Any
) -> NoReturn:
    """What a rank's process does."""
    begin_work()
    for name in ("SIGTERM", "SIGHUP"):  # rank 0 gets them, too, saves, and ends the others
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    board = _Board(memory)
    try:
        threadpool_limits(1, user_api="blas")
        board.put(place, _STATE, READY)
        while not board.common(_SIZE):
            if board.common(_ENDED):
                os._exit(0)
            time.sleep(1e-3)
        numbers = {board.get(other, _NUMBER): other for other in range(MAX_RANKS)}
        places = [numbers[number] for number in range(1, board.common(_SIZE) + 1)]
        program(Local(place, places, memory, semaphores, lambda: None), *arguments)
        _wait_for_end(board)
    except _EndedError:
        pass
    except BaseException as error:
        board.fail(place, f"{type(error).__name__}: {error}")
        os._exit(1)
    os._exit(0)


def _wait_for_end(board: _Board) -> None:
    """A rank that is done stays, so that none of the others takes it for dead."""
    while not board.common(_ENDED):
        time.sleep(0.01)
