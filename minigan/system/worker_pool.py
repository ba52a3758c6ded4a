"""Workers: processes that share out a list of work, such as drawing faces or preparing files.

Each worker has a channel to its parent, over which it gets one item, returns the result, and gets the next one. So the
parent needs no threads, an idle worker is never waited for, and a worker can be ended at any moment, because it holds
nothing that others need. There may be fewer workers than wanted, or none: only those count that have said that they are
ready. Where processes, memory or threads are scarce, the others are left out without a word.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Generic, TypeVar

from minigan.system.available_memory import available_memory
from minigan.system.cores import usable_cores
from minigan.system.first_words import FirstWords
from minigan.system.processes import MAX_WORKERS, begin_work, starting_workers

WORKER_BYTES = 150_000_000
"""Memory that must be available for each worker."""

START_SECONDS = 60.0
"""How long workers may take to start."""

_END_SECONDS = 5.0

Item = TypeVar("Item")
Result = TypeVar("Result")
Channel = Any  # multiprocessing.connection.Connection, or PipeConnection on Windows


class NoWorkers(Exception):  # noqa: N818 -- not an error: the work is then done without them
    """Not one worker can be started here."""


class WorkerDied(Exception, Generic[Item]):  # noqa: N818 -- what happened to another process
    """A worker has ended, probably because the system killed it.

    Attributes
    ----------
    item
        What it was given.
    """

    def __init__(self, item: Item) -> None:
        super().__init__("a worker process has ended")
        self.item = item


def worker_count() -> int:
    """How many workers are worth starting: one for each core that may be used, and for which there is memory."""
    return int(max(1, min(usable_cores(), MAX_WORKERS, available_memory() // WORKER_BYTES)))


class Workers(Generic[Item, Result]):
    """Worker processes; they run inside the ``with`` block.

    Parameters
    ----------
    count : int
        How many, if possible.
    prepare : callable
        Called once in every worker, with `arguments`. It returns the function that turns an item into a result. All of
        them travel between processes, so they must be picklable.
    arguments : tuple

    Raises
    ------
    NoWorkers
        On entering, if there is not one.
    """

    def __init__(
        self, count: int, prepare: Callable[..., Callable[[Item], Result]], arguments: tuple[Any, ...]
    ) -> None:
        self._count = min(count, MAX_WORKERS)
        self._given = prepare, arguments
        self._processes: dict[Channel, BaseProcess] = {}

    def __enter__(self) -> Workers[Item, Result]:
        try:
            self._start()
        except BaseException:
            self._end_all()
            raise
        if not self._processes:
            raise NoWorkers
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end_all()

    def __len__(self) -> int:
        return len(self._processes)

    def in_order(self, items: Iterable[Item]) -> Iterator[Result]:
        """Results of all items, in their order.

        Items are taken from the iterable a little before their results are needed.

        Raises
        ------
        WorkerDied
            If a worker has ended.
        Exception
            Whatever working on an item raised.
        """
        ahead = 2 * len(self._processes) + 1
        waiting = enumerate(items)
        idle = list(self._processes)
        busy: dict[Channel, tuple[int, Item]] = {}
        done: dict[int, tuple[Result, Exception | None]] = {}
        taken = 0
        while True:
            while idle and len(busy) + len(done) < ahead and (following := next(waiting, None)) is not None:
                channel = idle.pop()
                busy[channel] = following
                _send(channel, following[1])
            for channel in _heard_of(busy, 0 if taken in done else None):
                number, given = busy.pop(channel)
                done[number] = _receive(channel, given)
                idle.append(channel)
            if taken in done:
                result, error = done.pop(taken)
                if error is not None:
                    raise error
                yield result
                taken += 1
            elif not busy:
                return

    def _start(self) -> None:
        """Start the processes, and wait until they are ready; those that are not are left out."""
        context = multiprocessing.get_context("spawn")
        with FirstWords() as words:
            with starting_workers(), contextlib.suppress(Exception):
                # Starting fails in many ways: no memory, not allowed, no interpreter, too many open files.
                for _ in range(self._count):
                    ours, theirs = context.Pipe()
                    with contextlib.closing(theirs):
                        process = context.Process(target=_serve, args=(theirs, words, *self._given), daemon=True)
                        with words.kept():
                            process.start()
                        self._processes[ours] = process
            end = time.monotonic() + START_SECONDS
            silent = set(self._processes)
            while heard := _heard_of(silent, max(0.0, end - time.monotonic())):
                for channel in heard:
                    silent.remove(channel)
                    try:
                        channel.recv()
                    except (EOFError, OSError):
                        self._end(channel)
            for channel in silent:
                self._end(channel)

    def _end(self, channel: Channel) -> None:
        process = self._processes.pop(channel)
        process.kill()
        process.join(_END_SECONDS)
        channel.close()

    def _end_all(self) -> None:
        for process in self._processes.values():
            process.kill()
        for channel in list(self._processes):
            self._end(channel)


def _heard_of(channels: Collection[Channel], seconds: float | None) -> list[Channel]:
    """Wait until one of the channels, or several, have something to read, which may be their end."""
    return list(connection.wait(list(channels), seconds)) if channels else []


def _send(channel: Channel, item: Item) -> None:
    try:
        channel.send(item)
    except OSError:
        raise WorkerDied(item) from None


def _receive(channel: Any, item: Item) -> Any:
    try:
        return channel.recv()
    except (EOFError, OSError):
        raise WorkerDied(item) from None


def _serve(
    channel: Any, words: FirstWords, prepare: Callable[..., Callable[[Item], Result]], arguments: tuple[Any, ...]
) -> None:
    """What a worker does."""
    begin_work()
    work = prepare(*arguments)
    words.end()
    channel.send(None)
    with contextlib.suppress(EOFError, OSError):  # the parent has ended
        while True:
            item = channel.recv()
            try:
                answer: tuple[Result | None, Exception | None] = work(item), None
            except MemoryError:
                os._exit(1)  # as if the system had killed it
            except Exception as error:
                error.add_note("In a worker:\n" + traceback.format_exc())
                answer = None, error
            channel.send(answer)
