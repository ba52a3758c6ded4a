"""Programs in processes of their own, each doing a piece of work when asked to, so that they can be timed in turn.

On a shared machine, times change from minute to minute; only times measured side by side can be compared. So every
program under test waits in its own process (with its own Python, where it needs one) for a line on its stdin, does the
work that the line names, and answers with a line on its stdout. Both lines are JSON:

    {"do": "step", "count": 3}        {"seconds": 0.81, "losses": [0.71, 0.69, 0.70]}

This file has both ends: `Worker` asks, `serve` and `Program` answer. It needs only the standard library, because
PyTorch's and TensorFlow's environments load it too.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

HERE = Path(__file__).parent

UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Variables that workers do not inherit: set for old builds of OpenBLAS, they make a new one choose slow kernels."""

PAUSE = 0.1
"""Seconds between two turns. A library's idle threads keep a core busy for a while before they go to sleep; the next
program's time is not to pay for that."""

Result = TypeVar("Result")


class WorkerError(RuntimeError):
    """A worker has ended too early; the message has the last line that it wrote to stderr."""


# ---- The asking end ----


@dataclass(frozen=True)
class Peer:
    """A program to measure.

    Attributes
    ----------
    name : str
        As on the command line and in the raw numbers.
    title : str
        As in the tables.
    framework : str
        What it is built on: its worker is ``measured_<framework>.py``, its Python is ``--<framework>-python``.
    options : dict
        For the worker's `begin`.
    processes : int
        If it is a program of several processes, which an MPI launcher starts: how many. Otherwise 0.
    """

    name: str
    title: str
    framework: str
    options: dict[str, Any] = field(default_factory=dict)
    processes: int = 0

    def command(self, python: str) -> list[str]:
        """How it is started."""
        command = [python, str(HERE / f"measured_{self.framework}.py")]
        return [str(launcher(python)), "-n", str(self.processes), *command] if self.processes else command


def launcher(python: str) -> str | None:
    """MPI's launcher: the one beside this Python, which pip has brought, or else the system's; None without any."""
    return shutil.which("mpiexec", path=str(Path(python).parent)) or shutil.which("mpiexec")


MINIGAN = Peer("minigan", "minigan", "minigan")
MINIGAN_MPI = Peer("minigan-mpi", "minigan, ranks by MPI", "minigan", processes=1)
TORCH = Peer("torch", "PyTorch, channels_last", "torch")
TORCH_COMPILE = Peer("torch-compile", "PyTorch, torch.compile", "torch", {"compiled": True})
KERAS = Peer("keras", "Keras on TensorFlow", "keras")
PEERS = (TORCH, TORCH_COMPILE, KERAS)

GPU_MINIGAN = Peer("minigan", "minigan", "minigan", {"backend": "cupy"})
GPU_PEERS = (
    Peer("minigan-graph", "minigan, CUDA graph", "minigan", {"backend": "cupy", "graph": True}),
    Peer("minigan-tf32", "minigan, tf32", "minigan", {"backend": "cupy", "tf32": True}),
    Peer(
        "minigan-graph-tf32", "minigan, CUDA graph, tf32", "minigan", {"backend": "cupy", "graph": True, "tf32": True}
    ),
    Peer("torch", "PyTorch, channels_last", "torch", {"device": "cuda"}),
    Peer("torch-tf32", "PyTorch, channels_last, tf32", "torch", {"device": "cuda", "tf32": True}),
    Peer("torch-compile", "PyTorch, torch.compile", "torch", {"device": "cuda", "compiled": True}),
    Peer(
        "torch-compile-tf32",
        "PyTorch, torch.compile, tf32",
        "torch",
        {"device": "cuda", "compiled": True, "tf32": True},
    ),
)


class Worker:
    """A process that answers requests, seen from the asking side.

    Parameters
    ----------
    peer : Peer
    python : str
        Interpreter to run it with.
    **options
        For its `begin`, beside the peer's own.

    Attributes
    ----------
    name : str
    about : dict
        What `begin` answered: versions and settings.

    Raises
    ------
    WorkerError
        If it does not start.
    """

    def __init__(self, peer: Peer, python: str = sys.executable, **options: Any) -> None:
        self.name, self.title = peer.name, peer.title
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed in close)
        self._process = subprocess.Popen(
            peer.command(python),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            encoding="utf-8",
            env={name: value for name, value in os.environ.items() if name not in UNSET},
        )
        try:
            self.about = self.ask("begin", **peer.options, **options)
        except BaseException:
            self.close()
            raise

    def ask(self, what: str, **arguments: Any) -> Any:
        """Have one method of its `Program` called, and wait for the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):  # a broken pipe shows as a missing answer too
            self._process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"the {self.name} worker ended (status {self._process.wait()}): {self._last_words()}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._process.communicate()
        self._stderr.close()

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


class Workers:
    """Workers that end together, and why the others could not be started; a context manager."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.not_measured: dict[str, str] = {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.workers:
            worker.close()

    def start(self, peer: Peer, python: str = sys.executable, **options: Any) -> Worker:
        """Start a worker; an error if that fails."""
        worker = Worker(peer, python, **options)
        self.workers.append(worker)
        return worker

    def start_peers(self, peers: Iterable[Peer], pythons: dict[str, str], **options: Any) -> None:
        """Start those that are installed; note why the others are not measured.

        Parameters
        ----------
        peers : iterable of Peer
        pythons : dict of str to str
            Interpreter by framework.
        **options
            For `begin`.
        """
        for peer in peers:
            reason = why_not(peer, pythons[peer.framework])
            if reason is None:
                try:
                    self.start(peer, pythons[peer.framework], **options)
                except WorkerError as error:
                    reason = str(error)
            if reason is not None:
                self.not_measured[peer.name] = reason

    def give_up(self, worker: Worker, reason: object) -> None:
        """Go on without a worker."""
        self.workers.remove(worker)
        worker.close()
        self.not_measured[worker.name] = str(reason)


def why_not(peer: Peer, python: str) -> str | None:
    """Why a peer cannot be measured with this interpreter, or None."""
    modules = {"minigan": ["minigan"], "torch": ["torch"], "keras": ["keras", "tensorflow"]}[peer.framework]
    modules = [*modules, *(["mpi4py"] if peer.processes else [])]
    code = f"import importlib.util as u, sys; sys.exit(not all(u.find_spec(m) for m in {modules}))"
    try:
        found = subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0
    except OSError as error:
        return f"--{peer.framework}-python cannot be run ({error.strerror})"
    if not found:
        return f"{' and '.join(modules)} not installed (--{peer.framework}-python names a Python that has it)"
    if peer.processes and launcher(python) is None:
        return "there is no mpiexec (pip install 'minigan[mpi]' brings one)"
    if peer.options.get("compiled") and not any(shutil.which(c) for c in ("c++", "g++", "clang++", "cl")):
        return "torch.compile needs a C++ compiler, and there is none"
    return None


def in_turn(
    contestants: Mapping[str, Callable[[], Result]], rounds: int, *, pause: float = PAUSE, title: str | None = None
) -> dict[str, list[Result]]:
    """Let several do the same work one after the other, in rounds: A B C, C B A, A B C ...

    Parameters
    ----------
    contestants : mapping of str to callable
        By name, what does the work and returns its time.
    rounds : int
    pause : float
        Seconds before each turn.
    title : str, optional
        Of a progress bar; by default there is none.

    Returns
    -------
    dict of str to list
        What each returned; the k-th of each were neighbours in time.
    """
    from tqdm import tqdm  # not at the top: workers' environments may lack it

    results: dict[str, list[Result]] = {name: [] for name in contestants}
    with tqdm(total=rounds * len(contestants), desc=title, unit=" turns", leave=False, disable=title is None) as bar:
        for k in range(rounds):
            for name in contestants if k % 2 == 0 else reversed(contestants):
                time.sleep(pause)
                results[name].append(contestants[name]())
                bar.update()
    return results


# ---- The answering end ----


class Program:
    """The methods that all workers have; each adds its own, and every method can be asked for.

    Before it is timed, a piece of work is done once more untimed: waking threads up and filling caches again are costs
    of taking turns, not of the work.
    """

    def memory(self, reset: bool = False) -> dict[str, int | None]:
        """Bytes of memory: the most that this process held since the last reset, and (Linux only) what it holds now."""
        status = Path("/proc/self/status")
        if not status.exists():
            return {"peak": _peak_since_start(), "now": None}
        fields = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines() if ":" in line)
        peak, now = (int(fields[name].split()[0]) * 1024 for name in ("VmHWM", "VmRSS"))
        if reset:
            with contextlib.suppress(OSError):  # not allowed in every container; then it is the peak since the start
                Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return {"peak": peak, "now": now}


def seconds_of(work: Callable[[], Any]) -> float:
    """How long something takes, once."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def timed(work: Callable[[], Any], count: int) -> dict[str, Any]:
    """Do something once untimed, then `count` times timed.

    Returns
    -------
    dict
        "seconds" per time, and of them "system_seconds": CPU time of all threads inside the operating system. Most of
        it is fresh memory, which the system clears page by page before it hands it out. None on Windows.
    """
    work()
    before, begin = system_seconds(), time.perf_counter()
    for _ in range(count):
        work()
    seconds = (time.perf_counter() - begin) / count
    system = None if before is None else (system_seconds() - before) / count
    return {"seconds": seconds, "system_seconds": system}


def serve(program: Program) -> None:
    """Answer requests until stdin closes."""
    # The library's own prints must not get between the answers: from here on they go to stderr.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(program, request.pop("do"))(**request)
        print(json.dumps(answer), file=answers, flush=True)


def system_seconds() -> Any:
    """CPU time of this process inside the operating system so far; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_stime


def _peak_since_start() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
