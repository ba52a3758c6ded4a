"""Ranks on the cores of one machine: processes that meet through flags in shared memory.

`start` starts the other ranks as fresh Python processes. Each counts its arrivals at a meeting in a word of shared
memory that only it writes; a meeting is over for a rank when every other rank's count has reached its own. What is
exchanged at a meeting lies in shared memory, too: small arrays in one of two sets of places, used in turn, so that one
meeting for each exchange is enough: when a rank writes to a place again, everybody has been at the meeting in between,
and so has read it.

A processor of the x86-64 family makes a process's writes visible in the order in which they were made, so whoever sees
a count also sees what was written before it. Other processors promise no such thing: there every arrival also releases
a semaphore for each other rank.

Rank 0 alone watches over the others, and gives up if one of them fails. The others wait for as long as rank 0 lives:
when it has ended, a thread of each ends its process.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn

import numpy as np
from threadpoolctl import threadpool_limits

from minigan.nn.backend import Array, Shape
from minigan.ranks.interface import ALONE, RankError, Ranks
from minigan.ranks.shared_memory import Arena, SharedMemory, address, aligned
from minigan.ranks.waiting import AwakeClock, wait_until
from minigan.system.console import one_line
from minigan.system.first_words import FirstWords
from minigan.system.processes import begin_work, starting_workers

MAX_RANKS = 64
EXCHANGE = 1 << 17
"""Most bytes that a rank can put into a stack."""

START_SECONDS = 60.0
"""How long a rank may take to start."""

END_SECONDS = 2.0
"""How long the others may take to end; they have nothing to save."""

STARTING, READY, FAILED = 0, 1, 2
_LINE = 16  # words from one rank's to the next's: two lines of the cache, which processors fetch in pairs
_WORDS = 512  # of a message about a failure
_ARRIVALS, _STATE, _NUMBER = range(3)  # each rank's words: meetings it has come to, how it is, its number plus 1
_SIZE, _ENDED = range(2)  # everybody's words: how many ranks there are, and whether it is over


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
        self._process, self._thread = os.getpid(), 0  # the thread that meets first
        self._place, self._others = place, [other for other in places if other != place]
        self._places = list(places)
        self._board, self._others_live = _Board(memory), others_live
        self._semaphores = semaphores
        start = _Board.EXCHANGE_START
        self._exchange = memory.array(start, (2, MAX_RANKS, EXCHANGE), np.uint8)
        self._arena = Arena(memory, start + self._exchange.nbytes)
        self._own: dict[int, list[Array]] = {}  # address of an own array to those of all ranks
        self._meetings = 0

    def _insist_on_owner(self) -> None:
        """Raise RankError unless this is the process, and the thread, whose meetings these are."""
        if os.getpid() != self._process:
            raise RankError(
                f"a process that was forked from rank {self.rank} (process {self._process}) is not one of the ranks, "
                "and cannot train with them"
            )
        thread = threading.get_ident()
        if self._thread != thread:
            if self._thread:
                raise RankError(f"only one thread of rank {self.rank} can train with the others")
            self._thread = thread

    def _next_places(self) -> Array:
        """Where small arrays are put for the next meeting."""
        self._insist_on_owner()
        return self._exchange[(self._meetings + 1) % 2]

    def meet(self) -> None:
        """Wait until every rank has come here."""
        self._insist_on_owner()
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
            clock = AwakeClock()
            while not semaphores[self._place].acquire(timeout=0.1):
                self._check(clock.seconds())

    def _check(self, waited: float) -> None:
        """Raise if the wait is in vain."""
        if self.rank:
            if self._board.common(_ENDED):
                raise _EndedError
            return
        for number, place in enumerate(self._places):
            if self._board.get(place, _STATE) == FAILED:
                raise RankError(f"rank {number} of {self.size} has failed: {self._board.text(place)}")
        self._others_live()
        if waited > self.patience:
            late = [n for n, place in enumerate(self._places) if self._board.get(place, _ARRIVALS) < self._meetings]
            raise RankError(f"rank {', '.join(map(str, late))} of {self.size} has not answered for {waited:.0f} s")

    def barrier(self) -> None:
        """See `Ranks.barrier`."""
        self.meet()

    def stack(self, x: Array) -> Array:
        """See `Ranks.stack`."""
        if x.nbytes > EXCHANGE:
            raise ValueError(f"stack: an array may have {EXCHANGE} bytes, got {x.nbytes}")
        places = self._next_places()
        places[self.rank, : x.nbytes].view(x.dtype)[:] = x.reshape(-1)
        self.meet()
        return places[: self.size, : x.nbytes].view(x.dtype).reshape(self.size, *x.shape).copy()

    def broadcast(self, x: Array) -> None:
        """See `Ranks.broadcast`."""
        flat = x.reshape(-1)  # a view: x is contiguous
        step = EXCHANGE // x.itemsize
        for a in range(0, max(len(flat), 1), step):
            here = flat[a : a + step]
            places = self._next_places()
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
        self._own[address(arrays[self.rank])] = arrays
        return arrays[self.rank]

    def scatter_sum(self, own: Array) -> list[Array]:
        """See `Ranks.scatter_sum`."""
        self.meet()
        mine = self.share(len(own))
        return [array[mine] for array in self._own[address(own)]]

    def gather_slices(self, shared: Array) -> None:
        """See `Ranks.gather_slices`."""
        self.meet()

    def gather(self, own: Array, count: int) -> Array | None:
        """See `Ranks.gather`."""
        self.meet()
        if self.rank:
            return None
        parts = [self.share(count, rank) for rank in range(self.size)]
        arrays = zip(self._own[address(own)], parts, strict=True)
        return np.concatenate([array[: part.stop - part.start] for array, part in arrays])


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
        context = multiprocessing.get_context("spawn")
        try:
            memory = SharedMemory(_Board.EXCHANGE_START + 2 * MAX_RANKS * EXCHANGE + memory_bytes)
            stack.callback(memory.close)
            with starting_workers():  # they bring a process of Python's that must hear no requests to end, either
                signals = [context.Semaphore(0) for _ in range(size)] if use_semaphores else None
        except (OSError, ImportError) as error:  # ImportError: a system without semaphores
            reason = getattr(error, "strerror", None) or error
            warn(f"there is no shared memory for {size} ranks ({reason}); going on with 1")
            yield ALONE
            return
        board = _Board(memory)
        processes: dict[int, BaseProcess] = {}
        stack.callback(_end, board, processes, os.getpid())
        reasons = _start_all(context, processes, size, (program, tuple(arguments), memory, signals))
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

        def others_live() -> None:
            for number, place in enumerate(places[1:], 1):
                how = _how_ended(processes[place])
                if how is not None:
                    raise RankError(f"rank {number} of {len(places)} has ended ({how})")

        with threadpool_limits(1, user_api="blas"):
            yield Local(0, places, memory, signals, others_live)


def _start_all(context: Any, processes: dict[int, BaseProcess], size: int, given: tuple[Any, ...]) -> dict[int, str]:
    """Start the processes, and wait until they are ready; which could not be started, and why."""
    reasons = {}
    with contextlib.ExitStack() as stack:
        heard = {place: stack.enter_context(FirstWords()) for place in range(1, size)}
        with starting_workers():
            for place, words in heard.items():
                given_to_it = (place, words, *given)
                process = context.Process(target=_serve, args=given_to_it, daemon=True, name=f"minigan-rank-{place}")
                try:
                    with words.kept():
                        process.start()
                except (OSError, EOFError, ImportError, MemoryError) as error:
                    reasons[place] = f"cannot be started ({getattr(error, 'strerror', None) or one_line(error)})"
                else:
                    processes[place] = process
        board = _Board(given[2])
        clock = AwakeClock()
        for place in list(processes):
            reason = _wait_for_start(board, place, processes[place], clock)
            if reason is None:
                heard[place].pass_on()
                continue
            last = one_line(heard[place].last_line())
            reasons[place] = f"{reason}: {last}" if last else reason
            _kill(processes.pop(place))
    return reasons


def _wait_for_start(board: _Board, place: int, process: BaseProcess, clock: AwakeClock) -> str | None:
    """Wait until a process is ready, or will not be; why not."""
    while board.get(place, _STATE) == STARTING and clock.seconds() < START_SECONDS:
        how = _how_ended(process)
        if how is not None:
            return f"ended at its start ({how})"
        time.sleep(2e-3)
    state = board.get(place, _STATE)
    if state == READY:
        return None
    return f"could not start ({board.text(place)})" if state == FAILED else f"has not started in {START_SECONDS:.0f} s"


def _how_ended(process: BaseProcess) -> str | None:
    """How a process has ended; None if it has not."""
    status = process.exitcode
    if status is None:
        if not connection.wait([process.sentinel], 0):
            return None
        process.join(0.1)
        status = process.exitcode
    if status is None:  # the caller of this program has it ignore the ends of its children
        return "for an unknown reason"
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def _kill(process: BaseProcess) -> None:
    process.kill()
    process.join(END_SECONDS)


def _end(board: _Board, processes: dict[int, BaseProcess], owner: int) -> None:
    """Tell all ranks that it is over; those that do not hear it within seconds are killed."""
    if os.getpid() != owner:  # a forked process leaves its parent's ranks alone
        return
    board.put_common(_ENDED, 1)
    until = time.monotonic() + END_SECONDS
    try:
        for process in processes.values():
            process.join(max(0.0, until - time.monotonic()))
    finally:  # also after a second Ctrl-C
        for process in processes.values():
            if process.exitcode is None:
                _kill(process)


def _serve(
    place: int,
    words: FirstWords,
    program: Callable[..., object],
    arguments: tuple[Any, ...],
    memory: SharedMemory,
    semaphores: Any,
) -> NoReturn:
    """What a rank's process does."""
    board = _Board(memory)
    status = 0
    try:
        begin_work()
        threadpool_limits(1, user_api="blas")
        words.end()
        board.put(place, _STATE, READY)
        _wait_for(board, _SIZE)
        numbers = {board.get(other, _NUMBER): other for other in range(MAX_RANKS)}
        places = [numbers[number] for number in range(1, board.common(_SIZE) + 1)]
        program(Local(place, places, memory, semaphores, lambda: None), *arguments)
        _wait_for(board, None)  # a rank that is done stays, so that it is not taken for dead
    except _EndedError:
        pass
    except BaseException as error:
        board.fail(place, one_line(f"{type(error).__name__}: {error}"))
        status = 1
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os._exit(status)


def _wait_for(board: _Board, word: int | None) -> None:
    """Wait until a common word is there; raise _EndedError when it is over."""
    while word is None or not board.common(word):
        if board.common(_ENDED):
            raise _EndedError
        time.sleep(2e-3)
