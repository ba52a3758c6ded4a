"""Check a student's file in a process of its own, so that nothing in it can hang, crash or flood this one.

`check_file` starts `minigan.check.sandbox.student_process` with the file. The ladder runs here, with the cases, the
right results and the verdict; each call of a student's function becomes a message to that process, and what comes back
are arrays. If the process takes too long, dies or prints without end, it is killed together with everything it has
started; the exercise at fault gets a finding (E04 to E07), and a fresh process goes on with the next one. The finding
also says which line was running: "line 12, in relu_forward: while True:".
"""

from __future__ import annotations

import contextlib
import importlib
import json
import linecache
import math
import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO, NamedTuple

from minigan.check.calls.answers import NOT_WRITTEN, RETURNED, Answer
from minigan.check.calls.contract import not_an_array
from minigan.check.calls.student_functions import failure
from minigan.check.engine.ladder import run_exercise
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import (
    CHECKER_ERROR,
    FAILED,
    NOT_CHECKED,
    NOT_IMPLEMENTED,
    PASSED,
    STATUSES,
    FileReport,
    Finding,
    Halted,
    NotYet,
    Outcome,
    Stop,
)
from minigan.check.sandbox import entrance, student_process, wire
from minigan.check.sandbox.progress_file import Entry, answer_of, function_name, read_progress
from minigan.nn.backend import Array
from minigan.system.errors import RunError, UserError
from minigan.system.wording import see

TIME_LIMIT = 10.0
IMPORT_LIMIT = 20.0
PATIENCE = 6
"""How much longer than its limit an exercise may take by the clock."""
START_LIMIT = 120.0  # for Python, NumPy and the checker itself, on a busy machine
MEMORY_LIMIT = 2 * 1024**3
PRINT_LIMIT = 1_000_000  # bytes per exercise
LARGEST_FILE = 10_000_000  # bytes

ENDED = ("E04", "E05", "E06", "E07")
"""Findings after which a process is ended. An exercise that uses such a function is not even tried."""

ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Stopped(Enum):
    """Why there is no next message."""

    LATE = "it takes too long"
    FLOOD = "it prints too much"
    GONE = "its process has ended"
    GARBLED = "what it answers cannot be read"


class Message(NamedTuple):
    """What a process has sent: kind, number of the request, the packed value, and seconds of processor time."""

    kind: str
    number: int
    value: Any
    payload: bytes
    seconds: float


class Limits(NamedTuple):
    """Seconds for each exercise and for importing the file, and bytes of memory."""

    time: float
    importing: float
    memory: int


@dataclass
class Task:
    """A file that is being checked: its report, the limits, the seed, and what a file of progress has."""

    report: FileReport
    limits: Limits
    seed: int
    entries: dict[str, Entry] | None = None


# ----------------------------------------------------------------------------------------------------------------- file
def check_file(
    path: str | os.PathLike[str],
    *,
    exercises: Sequence[str] | None = None,
    time_limit: float = TIME_LIMIT,
    import_limit: float = IMPORT_LIMIT,
    memory_limit: int = MEMORY_LIMIT,
    seed: int = 0,
    recorded_only: bool = True,
) -> FileReport:
    """Check a student's file.

    Parameters
    ----------
    path : str or path
        A Python file, or the lessons' file of progress.
    exercises : sequence of str, optional
        Which ones, by default all layers. The lessons' own are judged where a file of progress has them.
    time_limit, import_limit : float
        Seconds for each exercise, and for importing the file.
    memory_limit : int
        Bytes on top of those that Python and NumPy use; only Linux enforces it.
    seed : int
        Of the random test cases.
    recorded_only : bool
        Whether the lessons' own exercises are left out if a file of progress does not have them.

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
    report = FileReport(str(path), [], seed=seed)
    started = time.monotonic()
    task = Task(report, Limits(time_limit, import_limit, memory_limit), seed)
    if file.suffix.lower() == ".json":
        try:
            task.entries = read_progress(file)
        except UserError:
            report.problem = Finding("E01", "load", "it is no file of progress from the lessons", where=file.name)
    todo = [name for name in todo if name in EXERCISES or _is_asked_for(name, task.entries, recorded_only)]
    while todo and report.problem is None:
        with Child(file, memory_limit) as child:
            todo = _check(child, task, todo)
    report.outcomes += [Outcome(name, NOT_CHECKED, lesson=lesson_of(name)) for name in todo]
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
        raise UserError(f"{path} is a folder; name a Python file in it")
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
    own = own_exercises() if any(name not in EXERCISES for name in names or ()) else {}
    for name in names or ():
        if name.endswith(".py"):
            raise UserError(f"{name[:60]!r} is no exercise: files come before --only")
        if name not in EXERCISES and name not in own:
            near = get_close_matches(name, EXERCISES, n=2, cutoff=0.5)
            owner = [key for key, exercise in EXERCISES.items() if name in exercise.functions]
            known = " or ".join(owner or near)
            raise UserError(
                f"there is no exercise {name[:60]!r}; "
                + (f"did you mean {known}?" if known else "--list names them all")
            )
    return [name for name in (*EXERCISES, *own) if names is None or name in names]


def _check(child: Child, task: Task, todo: list[str]) -> list[str]:
    """Check exercises with one process; return those that are left for another process."""
    report, limits = task.report, task.limits
    answer = child.receive(0, START_LIMIT)
    if isinstance(answer, Stopped) or answer.kind == "broken":
        if isinstance(answer, Stopped):
            said = ": ".join(filter(None, [answer.value, child.last_words(), child.first_print()]))
        else:
            said = str(answer.value[1]).strip().splitlines()[-1]
        report.outcomes += [_checker_error(name, said) for name in todo]
        return []
    answer = child.ask("import", None, limits.importing)
    try:
        functions = RemoteFunctions(child, _imported(answer, child, limits, report))
    except Halted as halted:
        report.problem = halted.finding
        return todo
    for done, name in enumerate(todo, start=1):
        report.outcomes.append(_outcome(name, functions, task))
        if not child.alive or _code(report.outcomes[-1]) == "E05":
            return todo[done:]  # in a fresh process
    return []


def _outcome(name: str, functions: RemoteFunctions, task: Task) -> Outcome:
    """The outcome of one exercise. If it uses what has failed before, only that is told."""
    report, limits, layout = task.report, task.limits, task.report.layout
    if task.entries is not None:
        entry = task.entries.get(name)
        if entry is None:
            return Outcome(name, NOT_IMPLEMENTED, lesson=lesson_of(name))
        if entry.problem:
            note = f"it passed in the lesson, but could not be kept: {entry.problem}"
            return Outcome(name, NOT_CHECKED, lesson=lesson_of(name), note=note)
        if name not in EXERCISES:
            return own_outcome(name, entry, functions, task)
        layout = entry.layout
    used = {other for function in EXERCISES[name].functions for other in functions.uses.get(function, ())}
    ahead = next((o for o in report.outcomes if o.status == FAILED and used & _wrong_functions(o)), None)
    waits = Outcome(name, NOT_CHECKED, lesson=lesson_of(name))
    if ahead is not None:
        which = sorted(used & _wrong_functions(ahead), key=list(EXERCISES[ahead.exercise].functions).index)[0]
        finding = ahead.finding or Finding("", "", "")
        said = finding.title if _code(ahead) in ENDED else finding.cause or finding.title
        waits.note = f"mend {ahead.exercise} first: {which} is used here, and {_code(ahead)}: {said}"
        if _code(ahead) in ENDED:
            return waits
    try:
        functions.begin(limits.time)
    except Halted as halted:
        return Outcome(name, FAILED, halted.finding, lesson=EXERCISES[name].lesson)
    outcome = run_exercise(name, functions, layout=layout, seed=task.seed)
    by_name = {other for f in EXERCISES[name].functions for other in report.borrowed.get(f, ())}
    borrowed = sorted(by_name | functions.borrowed)
    if borrowed and outcome.status == PASSED:
        outcome.note = "; ".join(filter(None, [f"uses minigan's own {', '.join(borrowed)}", outcome.note]))
    if ahead is None or outcome.status != FAILED:
        return outcome
    return replace(outcome, status=NOT_CHECKED, finding=None, picture=None, note=waits.note)


def _wrong_functions(outcome: Outcome) -> set[str]:
    """The functions of a failed exercise that may be wrong: not its forward, if that was found right."""
    functions = EXERCISES[outcome.exercise].functions
    return set(functions[1:] if "forward" in outcome.passed else functions)


def _code(outcome: Outcome) -> str:
    return outcome.finding.code if outcome.finding is not None else ""


def _imported(answer: Message | Stopped, child: Child, limits: Limits, report: FileReport) -> dict[str, list[str]]:
    """The functions that the file has, and which others each of them uses; sets the report's layout."""
    if isinstance(answer, Stopped):
        finding = _finding_of(answer, child, limits.importing, importing=True)
        raise Halted(replace(finding, where=Path(child.path).name))
    try:
        told = wire.unpacked(answer.value, answer.payload)
        if answer.kind == "problem":
            raise Halted(_finding_from(told))
        report.layout = {layout: layout for layout in student_process.LAYOUTS}[told["layout"]]
        report.borrowed = {str(name): [str(other) for other in others] for name, others in told["borrowed"].items()}
        return {str(name): [str(used) for used in told["uses"][name]] for name in told["functions"]}
    except (TypeError, ValueError, KeyError, IndexError):
        child.kill()
        raise Halted(_finding_of(Stopped.GARBLED, child, limits.importing, importing=True)) from None


class RemoteFunctions:
    """A student's functions in their process, as `minigan.check.calls.answers.Functions`.

    Parameters
    ----------
    child : Child
        Its process, which has imported the file.
    uses : dict of str to list of str
        The functions that there are, and which others each of them uses.
    """

    def __init__(self, child: Child, uses: Mapping[str, list[str]]) -> None:
        self.child, self.uses = child, uses
        self.limit = self.left = self.until = 0.0
        self.borrowed: set[str] = set()

    def begin(self, seconds: float) -> None:
        """Begin another exercise: its functions may compute for so many seconds in all.

        By the clock, a single call may take as long, and all of them `PATIENCE` times as long: a right function does
        not fail because the machine is busy with something else.
        """
        self.limit = self.left = seconds
        self.until = time.monotonic() + PATIENCE * seconds
        self.child.forget_prints()
        self.borrowed.clear()
        self._ask("begin", None)

    def has(self, name: str) -> bool:
        """Whether there is a function of this name."""
        return name in self.uses

    def call(self, name: str, arguments: tuple[Any, ...], settings: Mapping[str, Any], *, keep: bool = False) -> Answer:
        """Call one; the arguments are copied into the other process."""
        if name not in self.uses:
            return Answer(NOT_WRITTEN)
        asked = {"name": name, "arguments": arguments, "settings": settings, "keep": keep}
        return self._answer("call", asked, len(arguments))

    def play(self, name: str, world: Mapping[str, Array]) -> Answer:
        """Let a training step run in a world that is built there."""
        if name not in self.uses:
            return Answer(NOT_WRITTEN)
        answer = self._answer("play", {"name": name, "world": world}, 0)
        value = answer.value
        if answer.kind == RETURNED and not (
            isinstance(value, dict) and isinstance(value.get("losses"), list) and isinstance(value.get("arrays"), dict)
        ):
            raise self._halt(Stopped.GARBLED)
        return answer

    def judge(self, name: str) -> Answer:
        """Let the process judge one of the lessons' own exercises itself."""
        return self._answer("judge", {"name": name}, 0)

    def _answer(self, kind: str, asked: Mapping[str, Any], arguments: int) -> Answer:
        message = self._ask(kind, asked)
        try:
            if message.kind != "answer":
                raise wire.WireError("no answer")
            answer = wire.unpacked_answer(message.value, message.payload, arguments)
            self.borrowed.update(answer.borrowed)
            return answer
        except wire.WireError:
            raise self._halt(Stopped.GARBLED) from None

    def _ask(self, kind: str, asked: Any) -> Message:
        if not self.child.alive:
            raise self._halt(Stopped.GONE)
        began = time.monotonic()
        message = self.child.ask(kind, asked, max(min(self.left, self.until - began), 0.05))
        if isinstance(message, Stopped):
            raise self._halt(message)
        self.left -= min(max(message.seconds, 0.0), time.monotonic() - began)
        return message

    def _halt(self, stopped: Stopped) -> Halted:
        self.child.kill()
        return Halted(_finding_of(stopped, self.child, self.limit))


# ------------------------------------------------------------------------------------------- the lessons' own exercises
FORGEABLE = "judged in the file's own process, which could forge this"


def own_exercises() -> dict[str, int]:
    """The lessons' own exercises with their lessons, where the lessons are beside minigan, as in a checkout."""
    try:
        found: dict[str, int] = importlib.import_module("lessons.kept_answers").own_exercises()
    except ImportError:
        return {}
    return found


def lesson_of(name: str) -> int:
    """The lesson of an exercise."""
    return EXERCISES[name].lesson if name in EXERCISES else own_exercises().get(name, 0)


def _is_asked_for(name: str, entries: Mapping[str, Entry] | None, recorded_only: bool) -> bool:
    return entries is not None and (name in entries or not recorded_only)


class NotFromOutsideError(Exception):
    """A function takes something that does not travel between processes."""


class RemoteFunction:
    """One function of a student's process, to be called like any other.

    Parameters
    ----------
    functions : RemoteFunctions
    name : str
    """

    def __init__(self, functions: RemoteFunctions, name: str) -> None:
        self.functions, self.name = functions, name
        self.__name__ = name.partition("/")[0]

    def __repr__(self) -> str:
        return f"the function {self.__name__}"

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        """Call it."""
        if wire.has_things(wire.packed((arguments, settings))[0]):
            raise NotFromOutsideError
        answer = self.functions.call(self.name, arguments, settings)
        if answer.kind != RETURNED:
            raise failure(self.__name__, answer, len(arguments), settings, "the lesson")
        if wire.largest_array(answer.value) > wire.LARGEST_ARRAY:
            raise Stop(Finding("E13", "contract", f"{self.__name__} returns an array that is far too large"))
        # Of plain arguments no exercise wants an object. (It must not bring about that the file judges itself.)
        if answer.changed:
            raise Stop(Finding("E20", "contract", f"{self.__name__} modifies one of its inputs"))
        if wire.has_things(answer.value):
            raise Stop(not_an_array(self.__name__, "the result", answer.value, "made of plain values"))
        return answer.value


def own_outcome(name: str, entry: Entry, functions: RemoteFunctions, task: Task) -> Outcome:
    """The outcome of one of the lessons' own exercises.

    It is judged here, and the student's functions are called in their process. Where that cannot be done, because they
    take objects, that process judges, and a note says so.
    """
    outcome = Outcome(name, FAILED, lesson=lesson_of(name))
    began = time.monotonic()
    try:
        functions.begin(task.limits.time)
        answers = importlib.import_module("lessons.kept_answers")
        reference = answers.reference_of(name)
        given = [
            RemoteFunction(functions, function_name(name, k)) if "function" in one else answer_of(one)
            for k, one in enumerate(entry.given)
        ]
        verdict = answers.judge_again(name, given, task.seed)
        outcome.status, outcome.finding = verdict.status, verdict.finding
        if verdict.status == PASSED and reference in functions.borrowed:
            outcome.note = f"uses minigan's own {reference}"
    except NotFromOutsideError:
        outcome = _judged_there(name, functions)
    except wire.WireError:
        outcome.finding = Finding("E12", "contract", "what the file keeps of it is no answer that can be read")
    except ImportError:
        outcome.status, outcome.note = NOT_CHECKED, "the lessons are not here: run this in a checkout of minigan"
    except NotYet:
        outcome.status = NOT_IMPLEMENTED
    except (Halted, Stop) as stopped:
        outcome.finding = stopped.finding
    except Exception as error:
        title = "the checker itself failed; this says nothing about the answer"
        outcome.status = CHECKER_ERROR
        outcome.finding = Finding("", "load", title, evidence=(f"{type(error).__name__}: {error}"[:300],))
    outcome.seconds = time.monotonic() - began
    return outcome


def _judged_there(name: str, functions: RemoteFunctions) -> Outcome:
    outcome = Outcome(name, FAILED, lesson=lesson_of(name), note=FORGEABLE)
    try:
        answer = functions.judge(name)
        if answer.kind != RETURNED:
            raise failure(name, answer, 0, {}, "the lesson")
        told = answer.value["finding"]
        outcome.status = {status: status for status in STATUSES}[answer.value["status"]]
        if told is not None:
            outcome.finding = _finding_from(told)
    except (Halted, Stop) as stopped:
        outcome.finding = stopped.finding
    except (KeyError, TypeError, ValueError, NotYet):
        outcome.finding = Finding("E06", "load", "its process gave no verdict that can be read")
    return outcome


def _finding_from(told: Mapping[str, Any]) -> Finding:
    fields = {key: tuple(map(str, v)) if isinstance(v, list | tuple) else str(v) for key, v in told.items()}
    return Finding(**fields)  # type: ignore[arg-type]


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
    if stopped is Stopped.GARBLED:
        return Finding(
            "E06",
            rung,
            f"the process gave the checker no answer that can be read while {doing}",
            cause="Something writes into the files that the checker listens to, or replaces parts of Python.",
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
    return Outcome(name, CHECKER_ERROR, finding, lesson=lesson_of(name))


# -------------------------------------------------------------------------------------------------------------- process
_living: set[Child] = set()
_ended = threading.Event()


def end_all(wait: Callable[[], None]) -> None:
    """End all processes of students, and start no others until `wait` has waited for the threads that ask them."""
    _ended.set()
    try:
        for child in list(_living):
            child.kill()
        wait()
    finally:
        _ended.clear()


class Child:
    """A process of `minigan.check.sandbox.student_process`, and the threads that listen to it.

    Parameters
    ----------
    path : Path
        The student's file.
    memory_limit : int
        Bytes.
    """

    def __init__(self, path: Path, memory_limit: int) -> None:
        self.token = f"{secrets.token_hex(16)} "
        self.path = str(path)
        self.alive = True
        self._number = 0
        self._lock = threading.Lock()
        self._deaf = False  # whether the process goes on, but has closed the channel
        # Of the latest step: bytes printed, their beginning, and lines of the channel that are no messages (the running
        # line, or garbage).
        self._printed = 0
        self._first = b""
        self._stray: list[str] = []
        self._received: queue.Queue[Message | Stopped] = queue.Queue(maxsize=100)  # of forged ones there is no end
        self._to_send: queue.SimpleQueue[bytes] = queue.SimpleQueue()  # b"": nothing more
        self._threads: list[threading.Thread] = []
        if _ended.is_set():
            raise RunError("stopped")
        try:
            self._process = _start(Path(self.path).parent)
        except OSError as error:
            raise _cannot_start(self.path, error.strerror or error) from None
        _living.add(self)
        if _ended.is_set():  # it was set after this process had begun to start
            self.kill()
            raise RunError("stopped")
        try:
            self._start_thread(self._listen, self._process.stdout)
            self._start_thread(self._count, self._process.stderr)
            threading.Thread(target=self._send, args=(self._process.stdin,), daemon=True).start()
        except RuntimeError as error:
            self.kill()
            raise _cannot_start(self.path, error) from None
        job = {"path": self.path, "memory_limit": memory_limit, "token": self.token, "sys_path": _search_path()}
        self._to_send.put(json.dumps(job).encode("ascii") + b"\n")

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    def ask(self, kind: str, value: Any, seconds: float) -> Message | Stopped:
        """Ask for something, and wait for the answer.

        Parameters
        ----------
        kind : str
            "import", "begin", "call" or "play".
        value : anything that `wire.packed` takes
        seconds : float

        Returns
        -------
        Message, or Stopped
            In the latter case the process is killed.
        """
        self._stray.clear()
        self._number += 1
        self._to_send.put(wire.framed({"kind": kind, "number": self._number, "limit": seconds}, wire.packed(value)))
        return self.receive(self._number, seconds)

    def forget_prints(self) -> None:
        """Count what is printed from 0 again."""
        with self._lock:
            self._printed, self._first = 0, b""

    def receive(self, number: int, seconds: float) -> Message | Stopped:
        """Wait for the answer to a request; what else arrives is thrown away.

        Parameters
        ----------
        number : int
            The request's.
        seconds : float

        Returns
        -------
        Message, or Stopped
            In the latter case the process is killed.
        """
        deadline = time.monotonic() + seconds
        answer = self._wait(deadline)
        while isinstance(answer, Message) and answer.number != number:
            answer = self._wait(deadline)
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

    def _send(self, stream: BinaryIO) -> None:
        """Write what is to be sent. A process that has stopped itself reads nothing, so nobody waits for this."""
        with contextlib.suppress(OSError, ValueError):  # it is dead; `receive` says so
            while data := memoryview(self._to_send.get()):
                while data:
                    data = data[stream.write(data) :]

    def _wait(self, deadline: float) -> Message | Stopped:
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

    def _next(self, seconds: float) -> Message | Stopped | None:
        with contextlib.suppress(queue.Empty):
            return self._received.get(timeout=seconds)
        return None

    def kill(self) -> None:
        """End the process and all that it has started, and wait for it."""
        self.alive = False
        _living.discard(self)
        self._to_send.put(b"")
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
        """Sort what comes over the channel into messages and stray lines."""
        token, rest = self.token.encode("ascii"), b""
        head: dict[str, Any] | None = None  # of the message whose payload is awaited
        while chunk := _read(stream):
            rest += chunk
            while True:
                if head is not None:
                    if len(rest) < head["bytes"]:
                        break
                    payload, rest = rest[: head["bytes"]], rest[head["bytes"] :]
                    self._received.put(_message(head, payload))
                    head = None
                line, found, after = rest.partition(b"\n")
                if not found:
                    break
                rest = after
                _, found, said = line.partition(token)
                if found:
                    try:
                        head = wire.head_of(said)
                    except wire.WireError:  # the student's code has written into the middle of it
                        self._received.put(Stopped.GARBLED)
                elif line:
                    self._stray.append(line[:1000].decode("ascii", "replace"))
                    self._add(line)
            if head is None and len(rest) > PRINT_LIMIT:
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


def _message(head: Mapping[str, Any], payload: bytes) -> Message | Stopped:
    kind, number, seconds = head.get("kind"), head.get("number"), head.get("seconds", 0.0)
    if not isinstance(kind, str) or not isinstance(number, int) or not isinstance(seconds, float):
        return Stopped.GARBLED
    if not math.isfinite(seconds):  # what is left of the time would be none either
        return Stopped.GARBLED
    return Message(kind, number, head.get("value"), payload, seconds)


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
            entrance.__file__,
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
