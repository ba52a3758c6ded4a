"""A student's file for training: which of its functions pass their check, and these as minigan calls them.

First `check_functions` checks the file in a process of its own, as ``python -m minigan.check`` does. Then
`load_functions` imports it into *this* process, because training calls its functions here. From then on its code runs
with all rights of the user. A file is known by the SHA-256 of its bytes: nothing but the very bytes that were checked
is imported.
"""

from __future__ import annotations

import functools
import hashlib
import linecache
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from minigan.check.calls.bounded_prints import Bounded, printing_to
from minigan.check.calls.network_calls import for_network
from minigan.check.calls.own_lines import own_lines
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import NOT_IMPLEMENTED, PASSED, Finding, Outcome
from minigan.check.sandbox.student_process import NotImportedError, layout_of, load
from minigan.check.sandbox.supervisor import check_file, student_file
from minigan.gan.step import GAN
from minigan.nn.ops import LIBRARY, Ops
from minigan.system.errors import OwnFunctionError, RunError, UserError

STEPS = ("discriminator_step", "generator_step")

IN_TRAINING = (
    "dense",
    "leaky_relu",
    "tanh",
    "flatten",
    "bce_with_logits",
    "adam",
    *STEPS,
    "conv2d",
    "conv2d_transpose",
    "batch_norm",
    "batch_norm_inference",
    "moving_average",
)
"""The exercises whose functions training calls, in the order of the course."""


@dataclass(frozen=True)
class CheckedFile:
    """What was found in a student's file.

    Parameters
    ----------
    path : Path
        Absolute.
    sha256 : str
        Of its bytes.
    used : tuple of str
        Exercises that pass.
    not_used : dict of str to Outcome
        All others that were looked for.
    """

    path: Path
    sha256: str
    used: tuple[str, ...]
    not_used: dict[str, Outcome]


@dataclass(frozen=True)
class OwnFunctions:
    """A student's functions, ready for networks and training.

    Parameters
    ----------
    ops : Ops
        minigan's table with the student's functions in it.
    steps : dict of str to callable
        Fields of `minigan.gan.step.GAN`.
    functions : dict of str to callable
        As they stand in the file, by name; all that may be used.
    defined : tuple of str
        Exercises of which the file has a function, right or wrong.
    """

    ops: Ops = LIBRARY
    steps: dict[str, Callable[..., Any]] = field(default_factory=dict)
    functions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    defined: tuple[str, ...] = ()

    def taught(self, gan: GAN) -> GAN:
        """A GAN, changed so that it trains with the student's steps."""
        for name, step in self.steps.items():
            setattr(gan, name, step)
        return gan


def read_file(path: str | os.PathLike[str]) -> tuple[bytes, str]:
    """The bytes of a student's file, and their SHA-256.

    Raises
    ------
    UserError
        If there is nothing to read, or it cannot be Python (`minigan.check.sandbox.supervisor.student_file`).
    """
    try:
        content = student_file(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    return content, hashlib.sha256(content).hexdigest()


def check_functions(path: str | os.PathLike[str], exercises: Sequence[str] = IN_TRAINING) -> CheckedFile:
    """Check a file's functions, each exercise for itself, in another process.

    Parameters
    ----------
    path : str or path
    exercises : sequence of str
        Which ones.

    Returns
    -------
    CheckedFile

    Raises
    ------
    UserError
        If there is no such file, it cannot be imported, or it changes meanwhile.
    RunError
        If the checker itself fails, or the system allows no further process.
    """
    _, before = read_file(path)
    report = check_file(path, exercises=exercises)
    if report.problem is not None:
        raise UserError(f"{path}: {_told(report.problem)}")
    _insist_on_same(path, before)
    for outcome in report.outcomes:
        if outcome.status not in (PASSED, NOT_IMPLEMENTED) and not (outcome.finding and outcome.finding.code):
            raise RunError(f"{path}: {_told(outcome.finding) if outcome.finding else outcome.status}")
    used = tuple(outcome.exercise for outcome in report.outcomes if outcome.status == PASSED)
    not_used = {outcome.exercise: outcome for outcome in report.outcomes if outcome.status != PASSED}
    return CheckedFile(student_file(path), before, used, not_used)


def load_functions(
    path: str | os.PathLike[str], sha256: str, exercises: Sequence[str], *, guarded: bool = False
) -> OwnFunctions:
    """Import a file that was checked, and take the functions of some exercises out of it.

    Parameters
    ----------
    path : str or path
    sha256 : str
        That the file has, or it is not imported.
    exercises : sequence of str
        Those that passed.
    guarded : bool
        Whether an exception in a function becomes an `OwnFunctionError`, which tells it in one line.

    Returns
    -------
    OwnFunctions

    Raises
    ------
    UserError
        If the file has changed, cannot be imported here, or has no such functions.
    """
    if unknown := [name for name in exercises if name not in EXERCISES]:
        raise UserError(f"there is no exercise {unknown[0][:60]!r} (python -m minigan.check --list)")
    file = student_file(path)
    module, layout = _imported(file, _insist_on_same(path, sha256))
    found: dict[str, Callable[..., Any]] = {}
    entries: dict[str, Any] = {}
    for name in exercises:
        functions: dict[str, Any] = {each: vars(module).get(each) for each in EXERCISES[name].functions}
        if missing := [each for each, function in functions.items() if not callable(function)]:
            raise UserError(f"{path}: must define {', '.join(missing)}, for which it is to be used")
        found |= functions
        given = {each: _guarded(each, f, file) for each, f in functions.items()} if guarded else functions
        entries |= for_network(name, given, layout)
    steps = {name: entries.pop(name) for name in STEPS if name in entries}
    defined = tuple(name for name, e in EXERCISES.items() if any(callable(vars(module).get(f)) for f in e.functions))
    return OwnFunctions(replace(LIBRARY, **entries) if entries else LIBRARY, steps, found, defined)


def in_short(outcome: Outcome) -> str:
    """Why an exercise is not used, in a word or two: "not written", or the code of what was found."""
    return outcome.finding.code if outcome.finding is not None else "not written"


def in_a_line(outcome: Outcome) -> str:
    """Why an exercise is not used, in one line."""
    return "not written" if outcome.finding is None else f"{outcome.finding.code}: {outcome.finding.title}"


def _insist_on_same(path: str | os.PathLike[str], sha256: str) -> bytes:
    content, found = read_file(path)
    if found != sha256:
        raise UserError(f"{path}: must be as it was checked, with the SHA-256 {sha256[:12]}..., got {found[:12]}...")
    return content


def _imported(file: Path, content: bytes) -> tuple[ModuleType, str]:
    """The file as a module of this process, where it hides no other, and its layout.

    Its folder comes last in `sys.path`.
    """
    before = list(sys.path)
    try:
        module = load(file, content, {"print": printing_to(Bounded(), file.name)})
        layout = layout_of(module, str(file))
    except NotImportedError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise UserError(f"{file}: {_told(error.finding)}") from error
    finally:
        folder = str(file.parent)
        sys.path[:] = before if folder in before else [*before, folder]
    sys.modules.pop(module.__name__, None)
    lines = content.decode("utf-8", "replace").splitlines(keepends=True)
    linecache.cache[str(file)] = (len(content), None, lines, str(file))  # what a traceback shows is what runs
    return module, layout


def _guarded(name: str, function: Callable[..., Any], file: Path) -> Callable[..., Any]:
    """The same function; what it raises is told in one line, with its own line."""

    @functools.wraps(function)
    def run(*arguments: Any, **settings: Any) -> Any:
        try:
            return function(*arguments, **settings)
        except (KeyboardInterrupt, MemoryError, RunError, OwnFunctionError):
            raise
        except BaseException as error:
            _, lines = own_lines(error, (name,), lambda frame: frame != str(file))
            said = " ".join(str(error).split())[:200]
            told = f"{type(error).__name__}: {said}" if said else type(error).__name__
            place = f" ({'; '.join(lines)})" if lines else ""
            raise OwnFunctionError(f"{file.name}: {name} raises {told}{place}") from error

    return run


def _told(finding: Finding) -> str:
    """A finding in one line: its title and what was measured."""
    return ": ".join([f"{finding.code}: {finding.title}" if finding.code else finding.title, *finding.evidence[:2]])


def named(exercises: Mapping[str, Outcome]) -> str:
    """Exercises that are not used, with the reasons in short: "conv2d (not written), batch_norm (E59)"."""
    return ", ".join(f"{name} ({in_short(outcome)})" for name, outcome in exercises.items())
