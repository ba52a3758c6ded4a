"""The process in which a student's file runs: it imports the file and checks and reports one exercise after the other.

`minigan.check.sandbox.supervisor` starts this file as a script and talks to it over the three standard streams.
Standard input brings one line of JSON, the job, and then one byte for each step: the import, and each exercise. When
standard input closes, the supervisor is gone, and this process ends too. Before the student's file is imported,
standard output becomes the channel for results, one line of JSON for each. What the file prints, with `print` or
directly into a file descriptor, goes to the error stream, where the supervisor counts it and throws it away. Lines of
the channel begin with a random word from the job, so that nothing that the file writes there by accident is taken for
a result. All this protects against mistakes, not against a file that means harm.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.util
import json
import linecache
import os
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:  # at run time later, when `sys.path` is that of the supervisor
    from minigan.check.outcomes import Finding, Outcome

LAYOUTS = ("NHWC", "NCHW")
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

_steps = threading.Semaphore(0)  # one for each step that may be taken


class Channel:
    """The channel back to the supervisor.

    Parameters
    ----------
    descriptor : int
        File descriptor to write to.
    token : str
        First word of every line.
    """

    def __init__(self, descriptor: int, token: str) -> None:
        self.descriptor = descriptor
        self.token = token
        self.process = os.getpid()

    def send(self, kind: str, value: Any) -> None:
        """Send one message. If this is a copy of the process, forked by the student's file, end it instead.

        Parameters
        ----------
        kind : str
        value : anything that JSON can say
        """
        if os.getpid() != self.process:
            os._exit(1)
        # The line break in front ends an incomplete line that the student's code may have written.
        line = f"\n{self.token}{json.dumps([kind, value], default=_plain)}\n".encode("ascii")
        while line:
            line = line[os.write(self.descriptor, line) :]


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
def main() -> NoReturn:
    """Do the job that standard input names, and end the process, so that nothing of the student's runs afterwards."""
    job = json.loads(sys.stdin.readline())
    asker, answers = _take_over_streams()
    channel = Channel(answers, job["token"])
    try:
        threading.Thread(target=_obey, args=(asker,), daemon=True).start()
        sys.path[:] = job["sys_path"]
        _load_checker()
        _limit(job["memory_limit"])
        faulthandler.enable(channel.descriptor)
    except BaseException:
        channel.send("broken", traceback.format_exc())
        os._exit(1)
    channel.send("ready", None)
    _work(job, channel)
    threading.Event().wait()  # all is sent; the supervisor ends this process and all that it started
    os._exit(0)


def _work(job: Mapping[str, Any], channel: Channel) -> None:
    _steps.acquire()
    try:
        with _watched(job["import_limit"], channel):
            module = load(Path(job["path"]))
            layout = layout_of(module, job["path"])
    except NotImportedError as error:
        channel.send("problem", asdict(error.finding))
        return
    channel.send("imported", layout)
    for name in job["exercises"]:
        _steps.acquire()
        with _watched(job["time_limit"], channel), _replacements_undone():
            outcome = check_one(name, module, layout, job["seed"])
        channel.send("outcome", outcome.to_dict())


def check_one(name: str, module: ModuleType, layout: str, seed: int) -> Outcome:
    """Check one exercise; whatever goes wrong becomes an outcome.

    Parameters
    ----------
    name : str
        A key of `minigan.check.exercise_table.EXERCISES`.
    module : module
        The student's.
    layout : str
        "NHWC" or "NCHW".
    seed : int

    Returns
    -------
    Outcome
        "checker error" if the engine itself raises: that is not the student's fault.
    """
    from minigan.check.engine import ladder
    from minigan.check.exercise_table import EXERCISES
    from minigan.check.outcomes import CHECKER_ERROR, FAILED, Finding, Outcome

    exercise = EXERCISES[name]
    found = {function: vars(module).get(function) for function in exercise.functions}
    functions = {function: value if callable(value) else None for function, value in found.items()}
    status = FAILED
    try:
        return ladder.run_exercise(name, functions, layout=layout, seed=seed)
    except MemoryError as error:
        finding = Finding(
            "E05",
            "contract",
            "it needs too much memory",
            evidence=(_one_line(error), *_place(error, module.__file__)),
            cause="The arrays of the checker are tiny: something grows that should not.",
        )
    except Exception as error:
        status = CHECKER_ERROR
        finding = Finding(
            "",
            "load",
            "the checker itself failed; this says nothing about your code",
            evidence=(_one_line(error), *traceback.format_exc().splitlines()[-6:-1]),
        )
    except BaseException as error:  # sys.exit() and the like
        finding = Finding(
            "E10",
            "contract",
            "it stops the whole program" + (": it calls sys.exit()" if isinstance(error, SystemExit) else ""),
            evidence=(_one_line(error), *_place(error, module.__file__)),
            cause="A function of a network returns its result, or raises an exception where it cannot.",
        )
    return Outcome(name, status, finding, lesson=exercise.lesson)


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
    from minigan.check.outcomes import Finding

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
    from minigan.check.sandbox.older_files import with_present_imports
    from minigan.system.file_kinds import ADVICE, kind_of
    from minigan.system.wording import see

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
    from minigan.check.outcomes import Finding

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
    from minigan.check.outcomes import Finding

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


def _plain(value: Any) -> Any:
    """Values that JSON does not have: NumPy's as numbers and lists, all others as their repr."""
    return value.tolist() if hasattr(value, "tolist") else _short_repr(value)


# -------------------------------------------------------------------------------------------------------------- process
def _take_over_streams() -> tuple[int, int]:
    """The descriptors of the former standard input and output; the student has only the error stream."""
    asker, channel, nothing = os.dup(0), os.dup(1), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (empty: input() raises EOFError)
    return asker, channel


def _obey(descriptor: int) -> None:
    """Allow one step for each byte. Exit when it closes: without the supervisor, nobody stops an endless loop."""
    with contextlib.suppress(OSError):
        while steps := os.read(descriptor, 1024):
            _steps.release(len(steps))
    os._exit(1)


def _load_checker() -> None:
    """Import all that checking needs, before files in the student's folder can hide it; let BLAS take its memory."""
    import numpy as np

    from minigan.check import exercise_table, outcomes  # noqa: F401
    from minigan.check.engine import ladder  # noqa: F401

    np.ones((64, 64)) @ np.ones((64, 64))


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


if __name__ == "__main__":
    main()
