"""Points for a class, as a table that any spreadsheet opens.

Every exercise that passes gives its points, 1 unless a file says otherwise; a file of points may count forward and
backward apart. Other partial credit does not exist. A student who handed in several files, layers and progress for
example, gets for each exercise the best of them.
"""

from __future__ import annotations

import csv
import io
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import CHECKER_ERROR, FAILED, NOT_CHECKED, PASSED, FileReport, Outcome
from minigan.check.reports.earlier import Change
from minigan.check.reports.text_report import distinct_names, in_one_line
from minigan.system.errors import UserError

MOST_POINTS = 1_000_000
LARGEST_FILE = 1_000_000


@dataclass(frozen=True)
class Worth:
    """The points of one exercise: for a right forward, and for the rest."""

    forward: float
    rest: float

    @property
    def total(self) -> float:
        """Points if all is right."""
        return self.forward + self.rest


ONE = Worth(0, 1)


# --------------------------------------------------------------------------------------------------------------- points
def read_points(path: Path, known: Sequence[str]) -> dict[str, Worth]:
    """The points that a TOML file gives to exercises.

    Parameters
    ----------
    path : Path
        With a table ``[points]``: ``conv2d = 4``, or ``conv2d = {forward = 1, backward = 3}``.
    known : sequence of str
        The exercises that there are.

    Returns
    -------
    dict of str to Worth
        All other exercises are worth `ONE`.

    Raises
    ------
    UserError
        If the file cannot be read, or says something else.
    """
    try:
        content = path.read_bytes() if path.stat().st_size <= LARGEST_FILE else b"\0"
        data = tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise UserError(f"--points: cannot read {path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"--points: {path} is not valid TOML: {in_one_line(error)}") from None
    table = data.get("points")
    if not isinstance(table, dict) or set(data) != {"points"}:
        raise UserError(f"--points: {path} must have one table, [points]")
    found = {}
    for name, told in table.items():
        if name not in known:
            raise UserError(f"--points: {path}: there is no exercise {name[:60]!r}; --list names them")
        found[name] = _worth(name, told, path)
    return found


def _worth(name: str, told: object, path: Path) -> Worth:
    if isinstance(told, dict):
        parts = len(EXERCISES[name].functions) if name in EXERCISES else 1
        if set(told) != {"forward", "backward"} or parts < 2:
            raise UserError(
                f"--points: {path}: {name} must be a number, or {{forward = 1, backward = 2}} if it has both"
            )
        return Worth(_number(name, told["forward"], path), _number(name, told["backward"], path))
    return Worth(0, _number(name, told, path))


def _number(name: str, told: object, path: Path) -> float:
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told <= MOST_POINTS:
        raise UserError(f"--points: {path}: {name} must be 0 to {MOST_POINTS:,} points, got {str(told)[:40]}")
    return told


# ------------------------------------------------------------------------------------------------------------- students
def students_of(paths: Sequence[str], pattern: str | None) -> list[str]:
    """Whose each file is.

    Parameters
    ----------
    paths : sequence of str
    pattern : str or None
        A regular expression that is searched in each path, written with slashes: its first group, or all of the match,
        is the student. None: the shortest end of the path that tells the files apart.

    Returns
    -------
    list of str

    Raises
    ------
    UserError
        If the pattern is none, or finds nobody in a path.
    """
    if pattern is None:
        return distinct_names(paths)
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise UserError(f"--student: {pattern[:60]!r} is no regular expression: {error}") from None
    found = []
    for path in paths:
        match = compiled.search(path.replace("\\", "/"))
        name = (match[1] if compiled.groups else match[0]) if match else None
        if not name:
            raise UserError(f"--student: {pattern[:60]!r} finds nobody in {path}")
        found.append(name)
    return found


# ---------------------------------------------------------------------------------------------------------------- table
def render_csv(reports: Sequence[FileReport], points: Mapping[str, Worth], since: Mapping[str, Change]) -> str:
    """The table of points, a row for each student.

    Parameters
    ----------
    reports : sequence of FileReport
        Each with its student.
    points : mapping of str to Worth
        As of `read_points`.
    since : mapping of str to Change
        What has changed since an earlier check, by student; empty if there was none.

    Returns
    -------
    str
        With a byte order mark, so that spreadsheets read it as UTF-8. Cells that a spreadsheet would take for a formula
        begin with an apostrophe.
    """
    exercises = _exercises(reports)
    of = sum(points.get(name, ONE).total for name in exercises)
    moved = ["newly solved", "no longer right"] if since else []
    rows: list[list[object]] = [["student", "points", "of", *moved, *exercises, "to mend", "remarks", "files"]]
    for student in sorted({report.student for report in reports}, key=_natural):
        own = [report for report in reports if report.student == student]
        got = [_earned(own, name, points.get(name, ONE)) for name in exercises]
        files = "; ".join(report.path for report in own)
        change = since.get(student, Change())
        moves = ["; ".join(change.solved), "; ".join(change.lost)] if since else []
        rows.append(
            [student, _plain(sum(got)), _plain(of), *moves, *map(_plain, got), _to_mend(own), _remarks(own), files]
        )
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([[_safe(cell) for cell in row] for row in rows])
    return "\ufeff" + out.getvalue()


def _exercises(reports: Sequence[FileReport]) -> list[str]:
    lessons = {o.exercise: o.lesson for report in reports for o in report.outcomes}
    order = list(EXERCISES)
    place = {name: order.index(name) if name in EXERCISES else len(order) for name in lessons}
    return sorted(lessons, key=lambda name: (place[name], lessons[name], name))


def _earned(reports: Sequence[FileReport], exercise: str, worth: Worth) -> float:
    outcomes = [o for report in reports for o in report.outcomes if o.exercise == exercise]
    return max((_points(outcome, worth) for outcome in outcomes), default=0)


def _points(outcome: Outcome, worth: Worth) -> float:
    if outcome.status == PASSED:
        return worth.total
    return worth.forward if "forward" in outcome.passed else 0


def _to_mend(reports: Sequence[FileReport]) -> str:
    """What is wrong, in a few words: "conv2d E31; batch_norm E58"."""
    solved = {o.exercise for report in reports for o in report.outcomes if o.status == PASSED}
    told = [f"{report.problem.code} {report.problem.title}" for report in reports if report.problem is not None]
    for report in reports:
        for o in report.outcomes:
            if o.exercise in solved or report.problem is not None:
                continue
            if o.status == FAILED and o.finding is not None:
                told.append(f"{o.exercise} {o.finding.code}".strip())
            elif o.status in (NOT_CHECKED, CHECKER_ERROR):
                told.append(f"{o.exercise}: {o.note.partition(':')[0] or o.status}")
    return "; ".join(dict.fromkeys(told))


def _remarks(reports: Sequence[FileReport]) -> str:
    """What is said about exercises that pass: that they use minigan's own layers, for example."""
    told = [f"{o.exercise}: {o.note}" for r in reports for o in r.outcomes if o.status == PASSED and o.note]
    return "; ".join(dict.fromkeys(told))


def _plain(points: float) -> float | int:
    return int(points) if math.isclose(points, round(points)) else round(points, 6)


def _safe(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula.

    >>> _safe("=1+1"), _safe("@x"), _safe("ann"), _safe(3)
    ("'=1+1", "'@x", 'ann', 3)
    """
    if not isinstance(cell, str):
        return cell
    text = in_one_line(cell)
    return f"'{text}" if is_formula(text) else text


def is_formula(text: str) -> bool:
    """Whether a spreadsheet might take a cell for a formula."""
    return text.lstrip()[:1] in ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Sorts "s2" before "s10"."""
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d{1,15})", text)]
