"""Worker processes: they never wait for each other's Python lock, because each has a Python of its own.

Threads share one Python, and only one thread at a time may run Python code. NumPy releases the lock while it computes,
but needs it again after every call. If another thread has the lock at that moment, the first thread sleeps and wakes up
some 30 microseconds later. A training step makes thousands of such calls, and with two threads it takes 5 to 14 %
longer than with two processes. But processes do not see each other's arrays, unless the arrays are in shared memory.
So inside `worker_processes`, `minigan.fast.cpu.memory.empty` takes its arrays from one large block of shared memory
(`Region`), and

    with worker_processes() as backend:            # NumPy, whose asarray copies to shared memory
        gan.to(backend)
        train_step(gan, draw_inputs(real, seed, step, backend))

gives the same results as without, bit for bit, in less time. Nothing else changes: `minigan.fast.cpu.thread_pool.each`
offers its work to the pool (`ProcessPool.each`). A worker process gets a message with the function, its items, and
everything to which the function refers (`minigan.fast.cpu.function_bytes`). If this fails, threads do the work.

On systems other than Linux, `worker_processes` changes nothing.

References
----------
D. Beazley, "Understanding the Python GIL", PyCon 2010: what waiting for the lock does to threads.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minigan.fast.cpu import memory, thread_pool
from minigan.fast.cpu.function_bytes import SharedMemory, UnsendableError, from_bytes, to_bytes
from minigan.nn.backend import NUMPY, Array, Backend
from minigan.system.errors import RunError

MAX_WORKERS = 15
"""At most so many worker processes: a batch has too few pieces for more."""

SPIN = 2e-3
"""Seconds to ask again and again for the next message before sleeping: most waits are shorter than waking up."""

READY, DONE, FAILED = b"r", b"d", b"f"
_LENGTH = struct.Struct("<Q")


class Region(SharedMemory):
    """Memory that this process and its workers share, given out block by block: a file in memory, without a name.

    Parameters
    ----------
    size : int
        Bytes. Only pages that are written to take real memory.
    """

    def __init__(self, size: int) -> None:
        fd = os.memfd_create("minigan")
        try:
            os.ftruncate(fd, size)
            super().__init__(fd, size)
        except BaseException:
            os.close(fd)
            raise
        with contextlib.suppress(AttributeError, OSError):
            self.memory.madvise(mmap.MADV_HUGEPAGE)
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> Array | None:
        """The next `size` bytes, or None if fewer are left."""
        with self._lock:
            start = self._taken
            if start + size > self.size:
                return None
            self._taken += -(-size // memory.ALIGN) * memory.ALIGN
        return np.ndarray(size, np.uint8, self.memory, start)

    def clear(self, block: Array) -> None:
        """Return a block's memory to the system. Its contents are lost; the block itself can be used again."""
        page = mmap.PAGESIZE
        start = -(-self.offset(block) // page) * page
        end = (self.offset(block) + block.nbytes) // page * page
        if end > start:
            self.memory.madvise(mmap.MADV_REMOVE, start, end - start)


# ------------------------------------------------------------------------------------------------------------- messages
def _write(fd: int, message: bytes) -> None:
    view = memoryview(_LENGTH.pack(len(message)) + message)
    while view:
        view = view[os.write(fd, view) :]


def _read(fd: int, poll: Any) -> bytes:
    """The next message. Asks again and again for `SPIN` seconds, then sleeps. Raises EOFError if the pipe is closed."""
    until = time.monotonic() + SPIN
    while not poll.poll(0) and time.monotonic() < until:
        pass
    (length,) = _LENGTH.unpack(_read_bytes(fd, _LENGTH.size))
    return _read_bytes(fd, length)


def _read_bytes(fd: int, count: int) -> bytes:
    parts = []
    while count:
        part = os.read(fd, count)
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _poll(fd: int) -> Any:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return poll


# ---------------------------------------------------------------------------------------------- in the parent process
class WorkerProcessError(RunError):
    """A worker process failed or was killed; its piece of the work is half done."""


class _WorkerProcess:
    """A worker process, as its parent sees it."""

    def __init__(self, region: Region) -> None:
        here = str(Path(__file__).resolve().parents[3])
        path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
        one = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        serving = "from minigan.fast.cpu.process_pool import serve; serve()"
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", serving, str(region.fd), str(region.size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **one, "PYTHONPATH": path},
            pass_fds=[region.fd],
            process_group=0,  # so that Ctrl-C reaches the parent only, which then stops in order
            bufsize=0,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._to, self._from = self.process.stdin.fileno(), self.process.stdout.fileno()
        self._poll = _poll(self._from)
        self._is_ready = False

    def is_ready(self) -> bool:
        """Whether the worker process has started; this does not wait."""
        if not self._is_ready and self._poll.poll(0):
            self._is_ready = self.receive() == READY
        return self._is_ready

    def send(self, message: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended; `receive` will report this
            _write(self._to, message)

    def receive(self) -> bytes:
        try:
            return _read(self._from, self._poll)
        except EOFError:
            status = self.process.wait()
            how = f"signal {-status}" if status < 0 else f"exit status {status}"
            raise WorkerProcessError(
                f"a worker process ended too early ({how}), perhaps because memory ran out; "
                "--threads 1 works without worker processes"
            ) from None

    def end(self) -> None:
        self.process.kill()  # it has nothing to tidy up
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


class ProcessPool:
    """Worker processes that share work with the process that started them.

    Parameters
    ----------
    count : int
        Number of worker processes.
    region : Region
        Memory that all of them share.

    Attributes
    ----------
    workers : list
    done : int
        How often `each` has done the work.
    declined : dict of str to int
        Why it has not, and how often for each reason.
    """

    def __init__(self, count: int, region: Region) -> None:
        self.region = region
        self.workers: list[_WorkerProcess] = []
        try:
            for _ in range(count):
                self.workers.append(_WorkerProcess(region))
        except BaseException:
            self.end()
            raise
        self.done = 0
        self.declined: dict[str, int] = {}
        self._pid = os.getpid()
        self._free = threading.Lock()
        self._is_waiting = False

    def each(self, function: Callable[[Any], object], items: Sequence[Any]) -> bool:
        """Do the work of `minigan.fast.cpu.thread_pool.each` and return True, or do nothing and return False.

        Worker k gets every n-th item from item k on. It is always the same worker, so its cache has the arrays already.

        Raises
        ------
        WorkerProcessError
            If a worker process has ended, or a call in it raised an error. An error in this process is raised as it is.
        """
        if os.getpid() != self._pid or not self._free.acquire(blocking=False):
            return self._decline("the pool belongs to another thread at the moment, or to the process before a fork")
        try:
            return self._each(function, items)
        finally:
            self._free.release()

    def wait_until_ready(self) -> None:
        """Wait until all worker processes have started; before that, threads do the work."""
        while not self._are_ready():
            time.sleep(0.01)

    def _are_ready(self) -> bool:
        return all(worker.is_ready() for worker in self.workers)

    def _each(self, function: Callable[[Any], object], items: Sequence[Any]) -> bool:
        if self._is_waiting:
            return self._decline("an interrupt left workers at work")
        if not self._are_ready():
            return self._decline("a worker has not started yet")
        shares = min(len(items), len(self.workers) + 1)  # the first is this process's own
        count = thread_pool.thread_count()
        try:
            messages = [to_bytes(self.region, count, function, tuple(items[k::shares])) for k in range(1, shares)]
        except UnsendableError as error:
            return self._decline(f"{function.__qualname__}: {error}")
        asked = self.workers[: shares - 1]
        self._is_waiting = True
        try:
            for worker, message in zip(asked, messages, strict=True):
                worker.send(message)
            for item in items[::shares]:
                function(item)
        finally:
            answers = [worker.receive() for worker in asked]  # no worker may write after this has returned
            self._is_waiting = False
        for answer in answers:
            if answer != DONE:
                raise WorkerProcessError(f"a worker process failed: {answer[len(FAILED) :].decode()}")
        self.done += 1
        return True

    def _decline(self, reason: str) -> bool:
        self.declined[reason] = self.declined.get(reason, 0) + 1
        return False

    def memory(self) -> int:
        """Bytes of memory that the pool takes and that the system does not count for this process.

        They are the worker processes' own memory, and shared memory that only they have written to.
        """
        here = _status("self")
        shared_bytes = os.fstat(self.region.fd).st_blocks * 512
        total = max(0, shared_bytes - here["RssShmem"])
        for worker in self.workers:
            there = _status(str(worker.process.pid))
            total += there["VmHWM"] - there["RssShmem"]
        return total

    def system_seconds(self) -> float:
        """CPU time that the worker processes have spent in the operating system."""
        fields = (
            Path(f"/proc/{worker.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            for worker in self.workers
        )
        return sum(int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """End all worker processes."""
        for worker in self.workers:
            worker.end()


@contextlib.contextmanager
def worker_processes(backend: Backend = NUMPY) -> Iterator[Backend]:
    """Inside a ``with`` block, share work with `minigan.fast.cpu.thread_pool.thread_count` - 1 worker processes.

    Parameters
    ----------
    backend : Backend

    Yields
    ------
    Backend
        NumPy's, with an ``asarray`` that copies to shared memory. Where there can be none (on a GPU, with one thread,
        on systems other than Linux), the backend that was given.

    Notes
    -----
    A worker process takes a moment to start; threads do the work meanwhile. If one fails or is killed later,
    `minigan.fast.cpu.thread_pool.each` raises `WorkerProcessError`.
    """
    count = min(thread_pool.thread_count() - 1, MAX_WORKERS)
    if backend is not NUMPY or count < 1 or not hasattr(os, "memfd_create") or not sys.executable:
        yield backend
        return
    with contextlib.ExitStack() as stack:
        try:
            region = Region(_half_of_memory())
            stack.callback(os.close, region.fd)
            pool = ProcessPool(count, region)
            stack.callback(pool.end)
        except OSError:  # the system allows no more processes, or no shared memory
            yield backend
            return
        stack.enter_context(memory.allocating_from(region))
        stack.enter_context(thread_pool.using_processes(pool))
        yield replace(backend, asarray=shared)


def shared(a: Any, dtype: Any = None) -> Array:
    """A copy in shared memory of an array, or of anything that `numpy.asarray` accepts."""
    a = np.asarray(a, dtype)
    copy = memory.empty(a.shape, a.dtype)
    copy[...] = a
    return copy


def _status(pid: str) -> dict[str, int]:
    """What the system says about a process's memory, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(":", 1) for line in lines if line.endswith(" kB"))
    return {name: int(value.split()[0]) * 1024 for name, value in pairs}


def _half_of_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


# ---------------------------------------------------------------------------------------------- in the worker process
def serve() -> None:
    """Run each message from stdin until it closes. The command line gives descriptor and size of the shared memory."""
    fd, size = map(int, sys.argv[1:])
    memory = SharedMemory(fd, size)
    poll = _poll(0)
    np.seterr(all="ignore")
    thread_pool.work_alone()
    with contextlib.suppress(EOFError, BrokenPipeError):  # the parent has ended
        _write(1, READY)
        while True:
            _write(1, _do(_read(0, poll), memory))


def _do(message: bytes, memory: SharedMemory) -> bytes:
    try:
        count, function, items = from_bytes(memory, message)
        with thread_pool.use_threads(count):
            for item in items:
                function(item)
    except Exception as error:
        return FAILED + "".join(traceback.format_exception_only(error)).strip().encode()
    return DONE
