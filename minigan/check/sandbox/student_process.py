"""The process in which a student's file runs: it imports the file, and answers calls of its functions.

`minigan.check.sandbox.supervisor` starts it (`minigan.check.sandbox.entrance`) and talks to it over the three standard
streams. Standard input brings one line of JSON, the job, and then requests: import the file, call a function with these
arrays, let a training step run. What comes back are raw results (`minigan.check.sandbox.wire`); the caches stay here
under a number. There are no right results here and no verdict: whatever the file replaces or forges in this process, it
passes only with the right numbers.

When standard input closes, the supervisor is gone, and this process ends too. Before the student's file is imported,
standard output becomes the channel for answers. What the file prints, with `print` or directly into a file descriptor,
goes to the error stream, where the supervisor counts it and throws it away. Messages on the channel begin with a random
word from the job, so that nothing that the file writes there by accident is taken for an answer.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import importlib.util
import json
import linecache
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, NoReturn

import numpy as np

from minigan.check.calls import worlds  # noqa: F401 (before files in the student's folder can hide it)
from minigan.check.calls.answers import RAISED, RETURNED, Answer, FunctionsHere
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import Finding
from minigan.check.sandbox.older_files import with_present_imports
from minigan.check.sandbox.progress_file import Entry, answer_of, function_name, read_progress
from minigan.check.sandbox.wire import framed, packed, packed_answer, unpacked
from minigan.system.file_kinds import ADVICE, kind_of
from minigan.system.wording import see

EXERCISE_FUNCTIONS = [name for exercise in EXERCISES.values() for name in exercise.functions]
LAYOUTS = ("NHWC", "NCHW")
NOTHING = (["none"], b"")
NOT_INSTALLED_HINT = "The exercises need NumPy only. Install the module in the same environment, or remove the import."
AT_IMPORT_HINT = (
    'The checker imports the file to find its functions. Put code that runs under if __name__ == "__main__":'
)
ANOTHER_FILE_HINT = "Name the Python file itself: plain text, as an editor for programs saves it."
UTF_8_HINT = "Save it again with the encoding UTF-8."
NULL_BYTES_HINT = (
    "An editor does not show them, a disk or a transfer has put them there: copy the code into a new file."
)
CODING_HINT = "Delete the comment with the word coding, and save the file with the encoding UTF-8."
INDENTATION_HINT = "Indent with four spaces everywhere, never with tabs."
SYNTAX_HINT = "Look at this line and at the one before it: a bracket, a quote or a colon may be missing."
STRANGE_CHARACTER_HINT = (
    "Type this place again: a word processor or a web page has put a special character where Python needs a plain one."
)
NO_PYTHON_HINTS = (
    (("<<<<<<<", "=======", ">>>>>>>"), "Git has left two versions here: keep one of them, and delete the marks."),
    (("```", "~~~"), "Delete this line and the other one like it: they belong to Markdown."),
    ((">>>", "In ["), "Delete the prompts at the beginnings of the lines."),
    (("%", "!"), "Delete the lines that begin with % or !: only notebooks understand them."),
    (("@@ ", "diff --git"), "This is a list of changes (a patch): name the file that it changes."),
)
"""Beginnings of lines that are not Python, and what to do about them."""

_MINIGAN = Path(__file__).resolve().parents[2]
_OWN_CODE = (
    *(f"{_MINIGAN / folder}{os.sep}" for folder in ("nn", "gan", "fast", "check/zoo")),
    str(_MINIGAN / "check" / "exercise_table.py"),
    f"{_MINIGAN.parent / 'lessons' / 'exercises'}{os.sep}",
    str(_MINIGAN.parent / "lessons" / "references.zip"),
)
"""Where right layers and references are. (The lessons are beside minigan in a checkout, and in a handed-out folder.)"""

_STEPS = frozenset({"discriminator_step", "generator_step", "train_step", "recorded_step"})
"""What a training step may not be made of. Networks, losses and optimizers are given."""

_processor_time = time.process_time  # kept here: a student's file may replace it in the module
_requests: queue.SimpleQueue[tuple[dict[str, Any], bytes]] = queue.SimpleQueue()


class Channel:
    """The channel back to the supervisor.

    Parameters
    ----------
    descriptor : int
        File descriptor to write to.
    token : str
        First word of every message.
    """

    def __init__(self, descriptor: int, token: str) -> None:
        self.descriptor = descriptor
        self.token = token
        self.process = os.getpid()
        # A student's file may replace functions of Python's modules; these are needed to say what came of it.
        self._write, self._getpid, self._exit = os.write, os.getpid, os._exit

    def send(self, kind: str, number: int, value: tuple[Any, bytes] = NOTHING, seconds: float = 0.0) -> None:
        """Send one message. If this is a copy of the process, forked by the student's file, end it instead.

        Parameters
        ----------
        kind : str
        number : int
            Of the request that is answered.
        value : tuple
            As `minigan.check.sandbox.wire.packed` gives it.
        seconds : float
            How long this process has computed for it, by the processor's time.
        """
        if self._getpid() != self.process:
            self._exit(1)
        # The line break in front ends an incomplete line that the student's code may have written.
        head = {"kind": kind, "number": number, "seconds": seconds}
        data = memoryview(framed(head, value, f"\n{self.token}"))
        while data:
            data = data[self._write(self.descriptor, data) :]


class NotImportedError(Exception):
    """The student's file cannot be imported.

    Parameters
    ----------
    finding : Finding
        Why.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.title)
        self.finding = finding


# ------------------------------------------------------------------------------------------------------------------ run
def prepared(job: Mapping[str, Any], asker: int, answers: int) -> Server:
    """Get ready to answer requests, and say so.

    Parameters
    ----------
    job : mapping
        Path of the student's file, token of the channel, limit on memory.
    asker, answers : int
        Descriptors that requests come from, and answers go to.

    Returns
    -------
    Server
    """
    np.ones((64, 64)) @ np.ones((64, 64))  # BLAS takes its memory
    threading.Thread(target=_obey, args=(asker,), daemon=True).start()
    _limit(job["memory_limit"])
    faulthandler.enable(answers)
    channel = Channel(answers, job["token"])
    channel.send("ready", 0)
    return Server(Path(job["path"]), channel)


class Server:
    """Answers requests, one after the other.

    Parameters
    ----------
    path : Path
        The student's file.
    channel : Channel
    """

    def __init__(self, path: Path, channel: Channel) -> None:
        self.path, self.channel = path, channel
        self.module = ModuleType("nothing")
        self.functions = FunctionsHere({}, catch_interrupts=True)
        self.entries: dict[str, Entry] = {}
        self._undo = contextlib.ExitStack()

    def serve(self) -> NoReturn:
        """Answer until the supervisor ends this process."""
        while True:
            head, payload = _requests.get()
            begin = _processor_time()
            with _watched(head["limit"], self.channel):
                try:
                    kind, value = self._answered(head, payload)
                except BaseException as error:  # the file has replaced something that is needed here
                    self._put_back()
                    kind, value = "answer", packed_answer(Answer(RAISED, error=type(error).__name__))
            self.channel.send(kind, head["number"], value, _processor_time() - begin)

    def _answered(self, head: Mapping[str, Any], payload: bytes) -> tuple[str, tuple[Any, bytes]]:
        if head["kind"] == "import":
            return self._import()
        if head["kind"] == "begin":  # another exercise
            self.functions.forget()
            self._put_back()
            return "begun", NOTHING
        asked = unpacked(head["value"], payload)
        if head["kind"] == "judge":
            return "answer", packed_answer(self._judge(asked["name"]))
        if head["kind"] == "play":
            with _borrowing() as borrowed:
                answer = self.functions.play(asked["name"], asked["world"])
            answer = replace(answer, borrowed=tuple(sorted(borrowed & _STEPS)))
        else:
            with _borrowing() as borrowed:
                answer = self.functions.call(asked["name"], asked["arguments"], asked["settings"], keep=asked["keep"])
            answer = replace(answer, borrowed=tuple(sorted(borrowed)))
        try:
            return "answer", packed_answer(answer)
        except Exception:
            self._put_back()
            return "answer", packed_answer(answer)

    def _put_back(self) -> None:
        """Put back what the file has replaced since the exercise began."""
        self._undo.close()
        self._undo.enter_context(_replacements_undone())

    def _import(self) -> tuple[str, tuple[Any, bytes]]:
        if self.path.suffix.lower() == ".json":
            return self._import_progress()
        try:
            self.module = load(self.path)
            layout = layout_of(self.module, str(self.path))
        except NotImportedError as error:
            return "problem", packed(asdict(error.finding))
        found = {name: value for name, value in vars(self.module).items() if callable(value)}
        self.functions = FunctionsHere(found, catch_interrupts=True)
        names = [name for name in EXERCISE_FUNCTIONS if name in found]
        uses = {name: functions_used(found[name], vars(self.module), EXERCISE_FUNCTIONS) for name in names}
        borrowed = {name: borrowed_by(name, found[name], vars(self.module)) for name in names}
        return "imported", packed({"layout": layout, "functions": names, "uses": uses, "borrowed": borrowed})

    def _import_progress(self) -> tuple[str, tuple[Any, bytes]]:
        """Run the sources of a file of progress. Each exercise has functions of its own, so none uses another's."""
        sys.path.insert(0, str(self.path.parent))
        with _replacements_undone():
            self.entries = read_progress(self.path)
            found = functions_of(self.entries, self.path.name)
        _flush_prints()
        self.functions = FunctionsHere(found, catch_interrupts=True)
        borrowed = {name: borrowed_by(name, one, getattr(one, "__globals__", {})) for name, one in found.items()}
        return "imported", packed(
            {"layout": LAYOUTS[0], "functions": list(found), "uses": dict.fromkeys(found, ()), "borrowed": borrowed}
        )

    def _judge(self, name: str) -> Answer:
        """Judge one of the lessons' own exercises here; only for those that cannot be judged from outside."""
        judge_again = importlib.import_module("lessons.kept_answers").judge_again
        entry = self.entries[name]
        given = [
            self.functions.functions[function_name(name, k)] if "function" in one else answer_of(one)
            for k, one in enumerate(entry.given)
        ]
        try:
            verdict = judge_again(name, given)
        except BaseException as error:
            return Answer(RAISED, error=type(error).__name__, text=_one_line(error))
        finding = verdict.finding
        told = None if finding is None else {**asdict(finding)}
        return Answer(RETURNED, {"status": verdict.status, "said": verdict.said, "finding": told})


def functions_of(entries: Mapping[str, Entry], file: str) -> dict[str, Callable[..., Any]]:
    """Run the sources, each in a module of its own; the functions by name.

    Parameters
    ----------
    entries : mapping of str to Entry
    file : str
        For tracebacks.

    Returns
    -------
    dict of str to callable
        Those of layers by their names in the exercise, all others as "exercise/0" and so on. A function whose source
        cannot be run is one that raises why.
    """
    found: dict[str, Callable[..., Any]] = {}
    for exercise, entry in entries.items():
        module = ModuleType(f"progress_{exercise}")
        problem: BaseException | None = None
        try:
            exec(compile(entry.source, f"{file}: {exercise}", "exec", dont_inherit=True), vars(module))
        except BaseException as error:
            problem = error
        for k, one in enumerate(entry.given):
            if "function" in one:
                function = vars(module).get(one["function"])
                found[function_name(exercise, k)] = function if callable(function) else _raising(problem)
    return found


def _raising(problem: BaseException | None) -> Callable[..., Any]:
    def function(*_: Any, **__: Any) -> Any:
        raise ImportError(f"its source cannot be run: {problem}")

    return function


def functions_used(function: Any, surroundings: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Which of these names a function uses, itself or through functions of the same file.

    Parameters
    ----------
    function : callable
    surroundings : mapping
        The file's global names.
    names : sequence of str

    Returns
    -------
    list of str
        In the order of `names`.
    """
    seen = _names_used(function, surroundings)
    return [name for name in names if name in seen]


def borrowed_by(name: str, function: Any, surroundings: Mapping[str, Any]) -> list[str]:
    """What of minigan's own a function is, or uses, itself or through functions of the same file.

    Parameters
    ----------
    name : str
    function : callable
    surroundings : mapping
        The file's global names.

    Returns
    -------
    list of str
        Names in minigan, sorted, whatever the file calls them.
    """
    if _is_minigans(function):
        return [name]
    used = (surroundings.get(one) for one in _names_used(function, surroundings))
    return sorted({str(getattr(thing, "__name__", type(thing).__name__)) for thing in used if _is_minigans(thing)})


@contextlib.contextmanager
def _borrowing() -> Iterator[set[str]]:
    """The functions of minigan's own, and of the lessons' references, that run inside this block.

    They are seen however the file has come by them, under another name or out of a table. A file can switch this off.
    """
    seen: set[str] = set()

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and _is_own_code(frame) and not _is_own_code(frame.f_back):
            name = frame.f_code.co_name
            seen.add(name if name.isidentifier() else Path(frame.f_code.co_filename).stem)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield seen
    finally:
        sys.setprofile(before)


def _is_own_code(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_filename.startswith(_OWN_CODE)


def _is_minigans(thing: Any) -> bool:
    module = thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", None)
    return isinstance(module, str) and module.split(".")[0] == "minigan"


def _names_used(function: Any, surroundings: Mapping[str, Any]) -> set[str]:
    seen: set[str] = set()
    todo = [getattr(function, "__code__", None)]
    while todo:
        code = todo.pop()
        if not isinstance(code, CodeType):
            continue
        todo += code.co_consts  # functions inside it
        for name in set(code.co_names) - seen:
            seen.add(name)
            todo.append(getattr(surroundings.get(name), "__code__", None))
    return seen


# ----------------------------------------------------------------------------------------------------------------- load
def load(path: Path, content: bytes | None = None, names: Mapping[str, Any] | None = None) -> ModuleType:
    """Import a student's file under a name that hides no other module; its folder becomes the first in `sys.path`.

    Parameters
    ----------
    path : Path
        Absolute.
    content : bytes, optional
        What the file holds, if it has been read already.
    names : mapping, optional
        What the module has before its first line, such as a `print` of its own.

    Returns
    -------
    module

    Raises
    ------
    NotImportedError
        With the finding that says why it cannot be imported.
    """
    code = _compiled(path, content)
    # A file called statistics.py must not take the place of Python's own module.
    taken = sys.modules.get(path.stem)
    is_free = taken is None or getattr(taken, "__file__", None) == str(path)
    usable = path.stem.isidentifier() and is_free and path.stem not in sys.stdlib_module_names
    name = path.stem if usable else "student_file"
    spec = importlib.util.spec_from_loader(name, loader=None, origin=str(path))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    vars(module).update(names or {})
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        with _replacements_undone():
            exec(code, vars(module))
    except BaseException as error:
        raise NotImportedError(_why_not_imported(error, path)) from error
    finally:
        _flush_prints()
    return module


@contextlib.contextmanager
def _replacements_undone() -> Iterator[None]:
    """Put back what the file replaces inside this block in the modules of others, such as `json.dumps` or `len`."""
    modules, trace = dict(sys.modules), sys.gettrace()
    functions = [
        (vars(module), {name: value for name, value in vars(module).items() if callable(value)})
        for module in modules.values()
        if isinstance(module, ModuleType)
    ]
    try:
        yield
    finally:
        for names, before in functions:
            names.update({name: value for name, value in before.items() if names.get(name) is not value})
        sys.settrace(trace)
        sys.modules.update(modules)


def layout_of(module: ModuleType, path: str) -> str:
    """The order of axes that a student's file works with.

    Parameters
    ----------
    module : module
    path : str
        Its file, for the message.

    Returns
    -------
    str
        "NHWC", unless the file says ``LAYOUT = "NCHW"``.

    Raises
    ------
    NotImportedError
        If it says something else.
    """
    layout = vars(module).get("LAYOUT", LAYOUTS[0])
    if isinstance(layout, str) and layout in LAYOUTS:
        return layout
    said = f"LAYOUT = {_short_repr(layout)}"
    raise NotImportedError(
        Finding(
            "E03",
            "load",
            f"{said}: the checker knows {' and '.join(LAYOUTS)}",
            evidence=(said,),
            cause="NHWC: images are (N, H, W, C), as in minigan. NCHW: (N, C, H, W), as in CS231n and PyTorch.",
            hints=('Write LAYOUT = "NHWC" or LAYOUT = "NCHW", or leave the line out (NHWC).',),
            where=Path(path).name,
        )
    )


def _compiled(path: Path, content: bytes | None) -> CodeType:
    try:
        content = path.read_bytes() if content is None else content
    except OSError as error:  # it was there when the supervisor looked
        raise _no_python(path, "the file cannot be read", _one_line(error)) from None
    if kind := kind_of(content):
        hint = ADVICE.get(kind, ANOTHER_FILE_HINT)
        raise _no_python(path, f"the file is {kind}", hint=f"{hint}{see('encoding') if 'UTF-8' in hint else ''}")
    try:
        return compile(with_present_imports(content), str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        said, number = str(error.msg), error.lineno or 0
        indentation = isinstance(error, IndentationError)
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:  # a million brackets
        said, number, indentation = _one_line(error), 0, False
    if b"\0" in content:
        place = f"the first one is in line {_line_number(content, content.index(0))}"
        raise _no_python(path, "the file has null bytes in it", place, hint=NULL_BYTES_HINT)
    if place := _first_line_not_in_utf_8(content):
        raise _no_python(path, "the file is not text in UTF-8", place, hint=UTF_8_HINT + see("encoding"))
    if "encoding" in said:
        title = "the file's first lines name an encoding that does not fit"
        raise _no_python(path, title, said, hint=CODING_HINT)
    line = _line_of(path, number)
    hint = INDENTATION_HINT if indentation else _hint_for(said, line)
    raise _no_python(
        path, "the file is not valid Python", said, *([f"line {number}: {line}"] if line else []), hint=hint
    )


def _no_python(path: Path, title: str, *evidence: str, hint: str = "") -> NotImportedError:
    evidence = tuple(map(_one_line, evidence))
    return NotImportedError(
        Finding("E01", "load", title, evidence=evidence, hints=(hint,) if hint else (), where=path.name)
    )


def _first_line_not_in_utf_8(content: bytes) -> str:
    """Which line cannot be decoded, and what it might mean; "" if there is none."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = content[error.start]
        meant = bytes([byte]).decode("cp1252", "replace")
        perhaps = f' (perhaps meant as "{meant}")' if meant.isprintable() and meant != "\ufffd" else ""
        return f"line {_line_number(content, error.start)} has the byte {byte:#04x}{perhaps}"
    return ""


def _line_number(content: bytes, position: int) -> int:
    return len(content[:position].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))


def _hint_for(said: str, line: str) -> str:
    """What to do about a line that is not Python."""
    if said.startswith(("invalid character", "invalid non-printable character")):
        return STRANGE_CHARACTER_HINT
    return next((hint for starts, hint in NO_PYTHON_HINTS if line.startswith(starts)), SYNTAX_HINT)


def _why_not_imported(error: BaseException, path: Path) -> Finding:
    place = _place(error, str(path))
    if isinstance(error, MemoryError):
        title = "it needs too much memory when it is imported"
        return Finding(
            "E05", "load", title, evidence=(_one_line(error), *place), hints=(AT_IMPORT_HINT,), where=path.name
        )
    if isinstance(error, ModuleNotFoundError) and error.name:
        title = f"the file imports {error.name}, which is not installed"
        return Finding("E02", "load", title, evidence=place, hints=(NOT_INSTALLED_HINT,), where=path.name)
    if isinstance(error, SystemExit):
        title = "the file exits when it is imported: sys.exit() or exit()"
        return Finding("E03", "load", title, evidence=place, hints=(AT_IMPORT_HINT,), where=path.name)
    title = f"the file raises {type(error).__name__} when it is imported"
    evidence = (_one_line(error), *place)
    if isinstance(error, SyntaxError) and error.filename:
        evidence = (*evidence, f"{Path(error.filename).name}, line {error.lineno}: {_one_line(error.text or '')}")
    return Finding("E03", "load", title, evidence=evidence, hints=(AT_IMPORT_HINT,), where=path.name)


# ---------------------------------------------------------------------------------------------------------------- words
def _place(error: BaseException, file: str | None) -> tuple[str, ...]:
    """The innermost line of the student's file that an exception has come through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return (f"line {frames[-1].lineno}: {_one_line(frames[-1].line or '')}",) if frames else ()


def _line_of(path: Path, number: int) -> str:
    with contextlib.suppress(Exception):
        return linecache.getline(str(path), number).strip()[:200]
    return ""


def _one_line(what: object) -> str:
    """An exception, or a text, as one line of at most 300 letters, even if its own methods fail."""
    try:
        text = str(what)
    except Exception:
        text = "(no message)"
    text = " ".join(text.split())[:300]
    if isinstance(what, BaseException):
        text = f"{type(what).__name__}: {text}" if text else type(what).__name__
    return text


def _short_repr(value: object) -> str:
    try:
        return repr(value)[:60]
    except Exception:
        return f"a {type(value).__name__}"


# -------------------------------------------------------------------------------------------------------------- process
def _obey(descriptor: int) -> None:
    """Queue requests. Exit when the stream ends: without the supervisor, nobody stops an endless loop."""
    stop, parent_now, sleep = os._exit, os.getppid, time.sleep
    parent = parent_now()
    try:
        with open(descriptor, "rb", closefd=False) as stream:
            while line := stream.readline():
                head = json.loads(line)
                _requests.put((head, stream.read(head["bytes"])))
    except OSError:  # the student's file has closed it: the supervisor sees that, and ends this process
        for _ in range(3600):
            if parent_now() != parent:
                break
            sleep(1)
    except Exception:
        pass
    stop(1)


@contextlib.contextmanager
def _watched(seconds: float, channel: Channel) -> Iterator[None]:
    """Shortly before the time is up, write the running line into the channel; this works in an endless loop, too."""
    with contextlib.suppress(RuntimeError):  # no thread can be started: then nobody knows the running line
        faulthandler.dump_traceback_later(max(seconds - 0.2, seconds * 0.8), file=channel.descriptor)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        _flush_prints()


def _flush_prints() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def _limit(memory: int) -> None:
    """Allow no core dumps, no window that reports a crash, and at most `memory` bytes more than are in use now."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.kernel32.SetErrorMode(0x0001 | 0x0002)  # SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX
        return
    import resource

    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Linux says how much address space is in use. Other systems ignore
    # the limit anyway; there, only the time limit ends such a file.
    with contextlib.suppress(ValueError, OSError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + memory
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
