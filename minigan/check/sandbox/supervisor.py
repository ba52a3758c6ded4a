"""Check a student's file in a process of its own, so that nothing in it can hang, crash or flood this one.

`check_file` starts `minigan.check.sandbox.student_process` with the file and the exercises to check. Results arrive one
by one. If the process takes too long, dies or prints without end, it is killed together with everything it has started;
the exercise at fault gets a finding (E04 to E07), and a fresh process goes on with the next one. The finding also
says which line was running: "line 12, in relu_forward: while True:".
"""

from __future__ import annotations

import contextlib
import json
import linecache
import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO, cast

from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import CHECKER_ERROR, FAILED, NOT_CHECKED, FileReport, Finding, Outcome
from minigan.check.sandbox import student_process
from minigan.system.errors import RunError, UserError
from minigan.system.wording import see

TIME_LIMIT = 10.0
IMPORT_LIMIT = 20.0
START_LIMIT = 120.0  # for Python, NumPy and the checker itself, on a busy machine
MEMORY_LIMIT = 2 * 1024**3
PRINT_LIMIT = 1_000_000  # bytes per exercise
LARGEST_FILE = 10_000_000  # bytes

ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Stopped(Enum):
    """Why there is no next message."""

    LATE = "it takes too long"
    FLOOD = "it prints too much"
    GONE = "its process has ended"


# ----------------------------------------------------------------------------------------------------------------- file
def check_file(
    path: str | os.PathLike[str],
    *,
    exercises: Sequence[str] | None = None,
    time_limit: float = TIME_LIMIT,
    import_limit: float = IMPORT_LIMIT,
    memory_limit: int = MEMORY_LIMIT,
    seed: int = 0,
) -> FileReport:
    """Check a student's file.

    Parameters
    ----------
    path : str or path
        A Python file.
    exercises : sequence of str, optional
        Which ones, by default all.
    time_limit, import_limit : float
        Seconds for each exercise, and for importing the file.
    memory_limit : int
        Bytes on top of those that Python and NumPy use; only Linux enforces it.
    seed : int
        Of the random test cases.

    Returns
    -------
    FileReport

    Raises
    ------
    UserError
        If there is no such file or no such exercise. Whatever is wrong inside the file is in the report.
    RunError
        If the system allows no further process or thread.
    """
    file = student_file(path)
    todo = chosen(exercises)
    report = FileReport(str(path), [])
    started = time.monotonic()
    job = {
        "path": str(file),
        "seed": seed,
        "time_limit": time_limit,
        "import_limit": import_limit,
        "memory_limit": memory_limit,
    }
    while todo and report.problem is None:
        with Child({**job, "exercises": todo}) as child:
            todo = _check(child, job, todo, report)
    report.outcomes += [Outcome(name, NOT_CHECKED, lesson=EXERCISES[name].lesson) for name in todo]
    report.seconds = time.monotonic() - started
    return report


def student_file(path: str | os.PathLike[str]) -> Path:
    """The absolute path of a file that can be read and may be Python.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Path

    Raises
    ------
    UserError
        If there is nothing to read, or a notebook.
    """
    file = Path(os.path.abspath(path))  # noqa: PTH100 (a link keeps its folder: siblings are beside the link)
    if file.is_dir():
        raise UserError(f"{path} is a folder; name the Python files in it")
    if file.is_symlink() and not file.exists():
        raise UserError(f"{path} is a link that leads to no file")
    if not file.exists():
        raise UserError(f"there is no file {path}")
    if not file.is_file():
        raise UserError(f"{path} is not a file")
    if file.suffix.lower() == ".ipynb":
        raise UserError(f"{path} is a notebook: export it as a Python file first, or call check() inside it")
    try:
        with file.open("rb") as opened:
            opened.read(1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    if file.stat().st_size > LARGEST_FILE:
        raise UserError(f"{path} has {file.stat().st_size:,} bytes; a file of functions has at most {LARGEST_FILE:,}")
    return file


def chosen(names: Sequence[str] | None) -> list[str]:
    """Exercises by name, in the order of the course, each once.

    Parameters
    ----------
    names : sequence of str or None
        None means all.

    Returns
    -------
    list of str

    Raises
    ------
    UserError
        If one is unknown; similar names are proposed.
    """
    for name in names or ():
        if name.endswith(".py"):
            raise UserError(f"{name[:60]!r} is no exercise: files come before --only")
        if name not in EXERCISES:
            near = get_close_matches(name, EXERCISES, n=2, cutoff=0.5)
            owner = [key for key, exercise in EXERCISES.items() if name in exercise.functions]
            known = " or ".join(owner or near)
            raise UserError(
                f"there is no exercise {name[:60]!r}; "
                + (f"did you mean {known}?" if known else "--list names them all")
            )
    return [name for name in EXERCISES if names is None or name in names]


def _check(child: Child, job: dict[str, Any], todo: list[str], report: FileReport) -> list[str]:
    """Receive outcomes from one process; return the exercises that are left for another process."""
    answer = child.receive(START_LIMIT)
    if isinstance(answer, Stopped) or answer[0] == "broken":
        if isinstance(answer, Stopped):
            said = ": ".join(filter(None, [answer.value, child.last_words(), child.first_print()]))
        else:
            said = answer[1].strip().splitlines()[-1]
        report.outcomes += [_checker_error(name, said) for name in todo]
        return []
    answer = child.ask(job["import_limit"])
    if isinstance(answer, Stopped):
        finding = _finding_of(answer, child, job["import_limit"], importing=True)
        report.problem = replace(finding, where=Path(job["path"]).name)
        return todo
    kind, value = answer
    if kind == "problem":
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
        report.problem = Finding(**fields)
        return todo
    report.layout = value
    for done, name in enumerate(todo, start=1):
        began = time.monotonic()
        answer = child.ask(job["time_limit"])
        if isinstance(answer, Stopped):
            finding = _finding_of(answer, child, job["time_limit"])
            outcome = Outcome(name, FAILED, finding, lesson=EXERCISES[name].lesson, seconds=time.monotonic() - began)
        else:
            outcome = Outcome.from_dict(answer[1])
        report.outcomes.append(outcome)
        if isinstance(answer, Stopped) or (outcome.finding is not None and outcome.finding.code == "E05"):
            return todo[done:]  # in a fresh process
    return []


# ------------------------------------------------------------------------------------------------------------- findings
def _finding_of(stopped: Stopped, child: Child, limit: float, *, importing: bool = False) -> Finding:
    """The finding about a process that was killed or has died."""
    rung = "load" if importing else "contract"
    doing = "importing the file" if importing else "checking it"
    place = child.place()
    under_guard = (student_process.AT_IMPORT_HINT,) if importing else ()
    if stopped is Stopped.LATE:
        return Finding(
            "E04",
            rung,
            f"still not done after {limit:g} s" + (" of importing the file" if importing else ""),
            evidence=(f"it was here: {place}",) if place else (),
            cause=(
                "Importing should only define functions."
                if importing
                else "A loop that never ends? The arrays are tiny: a fraction of a second is plenty, even for loops."
            ),
            hints=(*under_guard, "What has to happen for the loop to end, and does it happen?"),
        )
    if stopped is Stopped.FLOOD:
        first = child.first_print()
        return Finding(
            "E07",
            rung,
            f"it printed more than {PRINT_LIMIT // 1000:,} kB" + (" while it was imported" if importing else ""),
            evidence=(f"it begins with: {first}",) if first else (),
            cause="A print inside a loop?",
            hints=(*under_guard, "Print shapes, not arrays, and take prints out once a function works."),
        )
    return Finding(
        "E06",
        rung,
        f"the process died while {doing}",
        evidence=(child.last_words(), *((f"it was here: {place}",) if place else ())),
        cause="Python itself was stopped: os._exit, a recursion without end, or a library that crashed.",
        hints=under_guard,
    )


def _checker_error(name: str, said: str) -> Outcome:
    title = "the checker could not start; this says nothing about your code"
    finding = Finding("", "load", title, evidence=(said + see("limits"),))
    return Outcome(name, CHECKER_ERROR, finding, lesson=EXERCISES[name].lesson)


# -------------------------------------------------------------------------------------------------------------- process
class Child:
    """A process of `minigan.check.sandbox.student_process`, and the threads that listen to it.

    Parameters
    ----------
    job : dict
        What `minigan.check.sandbox.student_process.main` reads.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self.token = f"{secrets.token_hex(16)} "
        self.path = str(job["path"])
        self._lock = threading.Lock()
        self._deaf = False  # whether the process goes on, but has closed the channel
        # Of the latest step: bytes printed, their beginning, and lines of the channel that are no messages (the running
        # line, or garbage).
        self._printed = 0
        self._first = b""
        self._stray: list[str] = []
        self._received: queue.Queue[tuple[str, Any] | Stopped] = queue.Queue()
        self._threads: list[threading.Thread] = []
        try:
            self._process = _start(Path(self.path).parent)
        except OSError as error:
            raise _cannot_start(self.path, error.strerror or error) from None
        try:
            self._start_thread(self._listen, self._process.stdout)
            self._start_thread(self._count, self._process.stderr)
        except RuntimeError as error:
            self.kill()
            raise _cannot_start(self.path, error) from None
        line = json.dumps({**job, "token": self.token, "sys_path": _search_path()})
        self._write(line.encode("ascii") + b"\n")

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    def ask(self, seconds: float) -> tuple[str, Any] | Stopped:
        """Let the process take its next step, the import or an exercise, and wait for the result.

        Parameters
        ----------
        seconds : float

        Returns
        -------
        (kind, value), or Stopped
        """
        with self._lock:
            self._printed, self._first = 0, b""
        self._stray.clear()
        self._write(b"\n")
        return self.receive(seconds)

    def receive(self, seconds: float) -> tuple[str, Any] | Stopped:
        """Wait for the next message.

        Parameters
        ----------
        seconds : float

        Returns
        -------
        (kind, value), or Stopped
            In the latter case the process is killed.
        """
        answer = self._wait(time.monotonic() + seconds)
        if answer is Stopped.GONE and any(line.startswith("Timeout (") for line in self._stray):
            answer = Stopped.LATE  # it died while writing which line was running
        if answer is Stopped.GONE:
            try:
                self._process.wait(1)
            except subprocess.TimeoutExpired:
                self._deaf = True
        if isinstance(answer, Stopped):
            self.kill()
        return answer

    def _start_thread(self, work: Callable[[Any], None], stream: IO[bytes] | None) -> None:
        thread = threading.Thread(target=work, args=(stream,), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # already dead; `receive` says so
            cast(BinaryIO, self._process.stdin).write(data)

    def _wait(self, deadline: float) -> tuple[str, Any] | Stopped:
        while True:
            left = deadline - time.monotonic()
            answer = self._next(min(max(left, 0), 0.1))
            if self._printed > PRINT_LIMIT:
                return Stopped.FLOOD
            if answer is not None:
                return answer
            if left <= 0:
                return Stopped.LATE
            # Usually the channel closes when the process ends, but a process that it has started may keep it open.
            if self._process.poll() is not None:
                return self._next(0.5) or Stopped.GONE

    def _next(self, seconds: float) -> tuple[str, Any] | Stopped | None:
        with contextlib.suppress(queue.Empty):
            return self._received.get(timeout=seconds)
        return None

    def kill(self) -> None:
        """End the process and all that it has started, and wait for it."""
        _kill_all(self._process, held=any(thread.is_alive() for thread in self._threads))
        for thread in self._threads:
            thread.join(timeout=2)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            # A stream that a thread still reads is left alone: a process that cannot be reached holds its other end.
            if stream is not None and not any(thread.is_alive() for thread in self._threads):
                with contextlib.suppress(OSError):
                    stream.close()

    def place(self) -> str:
        """Where in the student's file Python was when the time was up, or when it crashed; "" if unknown."""
        name = self.path.encode("ascii", "backslashreplace").decode("ascii")
        places: list[re.Match[str]] = []
        inside = False
        for line in list(self._stray):
            if "(most recent call first)" in line:
                inside = True
                if places and line.startswith("Thread") and self._crashed():
                    break  # the thread that crashed comes first; when time is up, the main thread comes last
            found = re.fullmatch(r'\s*File "(.*)", line (\d+) in (.+?)\s*', line)
            if found and found[1] == name and inside:
                places.append(found)
                inside = False
        if not places:
            return ""
        found = places[-1]
        with contextlib.suppress(Exception):
            linecache.checkcache(self.path)
            text = linecache.getline(self.path, int(found[2])).strip()[:120]
            return f"line {found[2]}, in {found[3]}: {text}"
        return f"line {found[2]}, in {found[3]}"

    def _crashed(self) -> bool:
        return any(line.startswith("Fatal Python error") for line in list(self._stray))

    def first_print(self) -> str:
        """The first line that was printed, cut short."""
        return " ".join(self._first.decode("utf-8", "replace").split("\n", 1)[0].split())[:60]

    def last_words(self) -> str:
        """How the process ended, in words."""
        if self._deaf:
            return "it closed the files that the checker listens to (os.close, os.closerange)"
        status = self._process.returncode
        if status is not None and status < 0:
            with contextlib.suppress(ValueError):
                name = signal.Signals(-status).name
                memory = " (the system does that when memory runs out)" if name == "SIGKILL" else ""
                return f"killed by the signal {name}{memory}"
        if status is None or status > 0x7FFFFFFF:
            return f"it crashed (status {status:#x})" if status else "it crashed"
        return f"it ended with exit status {status}"

    def _listen(self, stream: BinaryIO) -> None:
        """Sort the lines of the channel into messages and strays."""
        token, rest = self.token.encode("ascii"), b""
        while chunk := _read(stream):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                _, found, message = line.partition(token)
                if found:
                    self._received.put(_message(message))
                elif line:
                    self._stray.append(line.decode("ascii", "replace"))
                    self._add(line)
            if len(rest) > PRINT_LIMIT:
                self._add(rest)
                rest = b""
        self._received.put(Stopped.GONE)

    def _count(self, stream: BinaryIO) -> None:
        """Count what is printed, and keep only its beginning."""
        while chunk := _read(stream):
            self._add(chunk)

    def _add(self, printed: bytes) -> None:
        with self._lock:
            self._printed += len(printed)
            self._first = (self._first + printed[:200])[:200]


def _search_path() -> list[str]:
    """Where this process finds modules, for a process that starts in another folder."""
    paths = []
    for entry in sys.path:
        with contextlib.suppress(OSError):  # "" is the working folder, which somebody may have deleted
            paths.append(os.path.abspath(entry))  # noqa: PTH100
    return paths


def _cannot_start(path: str, why: object) -> RunError:
    """Of a system that allows no further process, thread or open file, or has no memory for it."""
    return RunError(f"cannot start the process that checks {Path(path).name}: {why}{see('limits')}")


def _message(line: bytes) -> tuple[str, Any] | Stopped:
    try:
        kind, value = json.loads(line)
    except ValueError:  # the student's code has written into the middle of it
        return Stopped.GONE
    return kind, value


def _start(folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **dict.fromkeys(ONE_THREAD, "1")}
    environment |= {
        "MPLBACKEND": "Agg",  # no window that waits until it is closed
        "PYTHONBREAKPOINT": "0",  # nobody could type anything there
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
        "PYTHONWARNINGS": "ignore",
    }
    options: dict[str, Any] = {}
    if sys.platform == "win32":
        options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    else:
        options["start_new_session"] = True
    return subprocess.Popen(
        [
            sys.executable,
            "-P",
            student_process.__file__,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        cwd=folder,
        env=environment,
        **options,
    )


def _kill_all(process: subprocess.Popen[bytes], *, held: bool) -> None:
    """End a process and those it has started; `held` says that its streams are still open somewhere."""
    if sys.platform == "win32":
        if process.poll() is None:
            with contextlib.suppress(OSError):
                subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
                process.kill()
    elif process.returncode is None or held:
        # The group's number stays in use until all its processes have ended and this one has been waited for.
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(stream: BinaryIO) -> bytes:
    try:
        return stream.read(65536)
    except (OSError, ValueError):  # closed meanwhile
        return b""
