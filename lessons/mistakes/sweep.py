"""Try specimens: patch a lesson's solution, run it, and ask the course what it says.

Only imports, functions and exercises of a lesson are executed, and no cell that trains or draws. A patched exercise is
run in a copy of the lesson's names, so that no specimen sees another one.
"""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lessons import notebook
from lessons.mistakes import Right, Row
from lessons.source_format import Cell, read_source, solved
from minigan.check.outcomes import FAILED
from minigan.system.errors import UserError

SOURCES = Path(__file__).resolve().parents[1] / "src"


class RowError(UserError):
    """A row that does not fit its lesson any more."""


@dataclass(frozen=True)
class Found:
    """What the course says to a specimen.

    Parameters
    ----------
    row : Row
    passed, failed : bool
        Neither, if it counts as not written.
    cause : str
        The cause that is told.
    said : str
        All that is told.
    """

    row: Row
    passed: bool
    failed: bool
    cause: str
    said: str

    @property
    def named(self) -> bool:
        """Whether it is told what is wrong, in the row's words."""
        return (
            not isinstance(self.row, Right) and bool(self.row.cause) and self.row.cause in " ".join(self.said.split())
        )

    @property
    def false_cause(self) -> bool:
        """Whether a cause is told that is not the row's."""
        return not isinstance(self.row, Right) and bool(self.cause) and not self.named


@dataclass(frozen=True)
class _Call:
    """One ``check(...)`` of a lesson, and the exercise cells that make what it is given."""

    arguments: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]
    cells: tuple[Cell, ...]


class Lesson:
    """A lesson's solved exercises, ready to be patched.

    Parameters
    ----------
    number : int
    """

    def __init__(self, number: int) -> None:
        (self.path,) = SOURCES.glob(f"{number:02}_*.py")
        self.names: dict[str, Any] = {"__name__": f"lesson{number:02}"}
        self.calls: dict[str, list[_Call]] = {}
        made: list[Cell] = []
        for cell in read_source(self.path):
            if cell.kind != "code" or "setup" in cell.tags:
                continue
            text = solved(cell, self.path.name)
            if "exercise" in cell.tags:
                made.append(cell)
                _execute(text, self.names, f"lesson {number}")
            elif "check" in cell.tags:
                for name, call in _calls(text, made, self.path.name):
                    self.calls.setdefault(name, []).append(call)
            else:
                given = [
                    one
                    for one in ast.parse(text).body
                    if isinstance(one, ast.Import | ast.ImportFrom | ast.FunctionDef)
                ]
                _execute("\n\n".join(map(ast.unparse, given)), self.names, f"lesson {number}")

    def patched(self, row: Row) -> tuple[_Call, Cell, str]:
        """The call of `check` that a row belongs to, the cell that it changes, and the new text of that cell."""
        for call in self.calls.get(row.exercise, ()):
            for cell in call.cells:
                text = solved(cell, self.path.name)
                if row.old in text:
                    if text.count(row.old) > 1:
                        raise RowError(f"{row.exercise}, {row.name}: {row.old!r} occurs {text.count(row.old)} times")
                    return call, cell, text.replace(row.old, row.new)
        raise RowError(f"{row.exercise}, {row.name}: {row.old!r} does not occur in its solution in {self.path.name}")

    def try_row(self, row: Row) -> Found:
        """Patch, run, check.

        Parameters
        ----------
        row : Row

        Returns
        -------
        Found

        Raises
        ------
        RowError
            If the row does not fit the lesson, or its patch is no Python.
        """
        call, _, text = self.patched(row)
        return self.try_text(row, text, call.arguments, call.settings)

    def try_text(
        self, row: Row, text: str, arguments: tuple[str, ...], settings: tuple[tuple[str, str], ...] = ()
    ) -> Found:
        """Run a text among the lesson's names, and check what it makes of `arguments`.

        Parameters
        ----------
        row : Row
            What the text is an example of.
        text : str
        arguments : tuple of str
            What ``check(exercise, ...)`` is given, as Python.
        settings : tuple of (str, str), optional
            Its settings, each a name and a value as Python.

        Returns
        -------
        Found

        Raises
        ------
        RowError
            If the text is no Python.
        """
        names = dict(self.names)
        try:
            _execute(text, names, f"{row.exercise}, {row.name}")
        except SyntaxError as error:
            raise RowError(f"{row.exercise}, {row.name}: the patch is not valid Python ({error.msg})") from None
        given = tuple(eval(argument, names) for argument in arguments)
        verdict, said = notebook._judged(row.exercise, given, 0, {key: eval(value, names) for key, value in settings})
        finding = verdict.finding
        cause = finding.cause if finding is not None else ""
        return Found(row, verdict.passed, verdict.status == FAILED, cause, said)


@functools.cache
def lesson(number: int) -> Lesson:
    """A lesson, read once."""
    return Lesson(number)


def _execute(text: str, names: dict[str, Any], name: str) -> None:
    """Run a text so that its lines can be shown."""
    file = f"<{name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, "exec"), names)


def _calls(text: str, made: list[Cell], name: str) -> Iterator[tuple[str, _Call]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check":
            exercise = ast.literal_eval(node.args[0])
            used = {n.id for argument in node.args[1:] for n in ast.walk(argument) if isinstance(n, ast.Name)}
            cells = tuple(cell for cell in made if used & _written(solved(cell, name)))
            arguments = tuple(ast.unparse(argument) for argument in node.args[1:])
            settings = tuple((k.arg or "", ast.unparse(k.value)) for k in node.keywords)
            yield exercise, _Call(arguments, settings, cells)


def _written(text: str) -> set[str]:
    """Names that a cell defines."""
    tree = ast.parse(text)
    names = {one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.ClassDef)}
    targets = [t for one in tree.body if isinstance(one, ast.Assign) for t in one.targets]
    return names | {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}


# ---------------------------------------------------------------------------------------------------------------- score
@dataclass
class Score:
    """Counts for one lesson."""

    wrong: int = 0
    caught: int = 0
    named: int = 0
    false_causes: int = 0
    right: int = 0
    alarms: int = 0

    def add(self, found: Found) -> None:
        """Count one specimen."""
        if isinstance(found.row, Right):
            self.right += 1
            self.alarms += not found.passed
        else:
            self.wrong += 1
            self.caught += found.failed
            self.named += found.named
            self.false_causes += found.false_cause

    def __add__(self, other: Score) -> Score:
        return Score(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


def table(scores: dict[int, Score]) -> str:
    """The scores as a table in Markdown."""
    total = sum(scores.values(), Score())
    return score_table("lesson", {**{str(number): score for number, score in scores.items()}, "all": total})


def score_table(first: str, scores: dict[str, Score]) -> str:
    """Scores as a table in Markdown, a row each, under the heading `first`."""
    head = [first, "wrong answers", "caught", "cause named", "false causes", "right answers", "false alarms"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, s in scores.items():
        cells = [name, s.wrong, s.caught, s.named, s.false_causes, s.right, s.alarms]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)
