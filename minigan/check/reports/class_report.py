"""The checker's report as one HTML page, for a student or for a class.

`render_html` turns file reports into a page that needs nothing else: no network, no fonts, no libraries. One report
gives a student's page, with a card for each exercise. Several reports give a teacher's page, a table of files against
exercises with the cards below it. This module only gathers what the page says; its markup, styles and script are in
minigan/pages/templates (class_report and heat_maps), and `minigan.pages.html` escapes all that comes from a student.
The page can be read without its script, which only sorts the table, switches between light and dark, and unfolds what
a link points to.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from minigan.check.codes import CODES
from minigan.check.outcomes import (
    CHECKER_ERROR,
    FAILED,
    NOT_CHECKED,
    NOT_IMPLEMENTED,
    PASSED,
    RUNGS,
    STATUSES,
    FileReport,
    Finding,
    Outcome,
)
from minigan.check.reports import heat_maps
from minigan.check.reports.alike import Alike
from minigan.check.reports.earlier import Change
from minigan.check.reports.text_report import distinct_names
from minigan.pages.html import DARK, LIGHT, render

Prose = list[str]
"""A sentence in pieces; every second one is code."""


@dataclass(frozen=True)
class _Tally:
    """How many exercises there are, how many are solved, and how many have each status that occurs."""

    total: int
    solved: int
    counts: list[tuple[str, int]]


@dataclass(frozen=True)
class _Explained:
    """A finding in the words of the page."""

    code: str
    title: Prose
    where: str
    rung: str
    evidence: str
    cause: Prose
    hints: list[Prose]


@dataclass(frozen=True)
class _Card:
    """One exercise of one file; `anchor` is its id in the page, `tip` its tooltip in the table."""

    anchor: str
    exercise: str
    status: str
    is_wrong: bool
    lesson: int
    seconds: str
    passed: list[str]
    finding: _Explained | None
    tip: str
    note: str
    maps: heat_maps.HeatMaps | None


@dataclass(frozen=True)
class _File:
    """One file; `cards` is empty if nothing in it could be checked."""

    number: int
    name: str
    student: str
    path: str
    layout: str
    seconds: str
    problem: _Explained | None
    tally: _Tally
    cards: list[_Card]
    to_do: list[_Card]
    by_exercise: dict[str, _Card]


@dataclass(frozen=True)
class _Column:
    """An exercise in the table, how many files solved it, and whether its lesson begins with it."""

    exercise: str
    lesson: int
    solved: int
    is_first: bool


@dataclass(frozen=True)
class _Use:
    """A code that occurs, for how many students, what it means, and where, with a count for each place."""

    code: str
    count: int
    meaning: Prose
    places: list[tuple[str, int]]


def render_html(
    reports: list[FileReport],
    *,
    hint: int = 1,
    title: str = "minigan check",
    now: datetime | None = None,
    since: Mapping[str, Change] | None = None,
    pairs: Sequence[Alike] = (),
) -> str:
    """The page for one file, or for a class of them.

    Parameters
    ----------
    reports : list of FileReport
        One gives a page of cards, more a table with details below it.
    hint : int
        Hints up to this level are open, the others folded.
    title : str
        Title of the page.
    now : datetime, optional
        The date on the page; by default the present.
    since : mapping of str to Change, optional
        What has changed since an earlier check, by student.
    pairs : sequence of Alike
        Which files have passages in common.

    Returns
    -------
    str
        A whole page in one string, to be written as UTF-8.

    Examples
    --------
    >>> page = render_html([FileReport("my_layers.py", [Outcome("relu", "passed", lesson=3)])])
    >>> "1 of 1 exercises solved" in page
    True
    """
    names = distinct_names([report.path for report in reports])
    columns = _columns(reports)
    return render(
        "class_report.html",
        title=title,
        light=LIGHT | heat_maps.colours(dark=False),
        dark=DARK | heat_maps.colours(dark=True),
        colours=heat_maps.NAMES,
        moment=datetime.now() if now is None else now,
        seed=max((report.seed for report in reports), default=0),
        hint=hint,
        since=since or {},
        pairs=pairs,
        rungs=RUNGS,
        files=[_file(report, name, k) for k, (report, name) in enumerate(zip(reports, names, strict=True), start=1)],
        tally=_tally([outcome for report in reports for outcome in report.outcomes]),
        unchecked=sum(report.problem is not None for report in reports),
        remarks=any(o.note and o.status == PASSED for report in reports for o in report.outcomes),
        columns=columns,
        lessons=list(Counter(column.lesson for column in columns).items()),
        codes=_codes(reports),
    )


def _file(report: FileReport, name: str, number: int) -> _File:
    """What the page says about one file; files count from 1."""
    cards = [_card(outcome, f"f{number}e{k}") for k, outcome in enumerate(report.outcomes, start=1)]
    nothing = report.problem is not None and all(outcome.status == NOT_CHECKED for outcome in report.outcomes)
    return _File(
        number=number,
        name=name,
        student=report.student,
        path=report.path,
        layout=report.layout,
        seconds=_seconds(report.seconds),
        problem=None if report.problem is None else _explained(report.problem),
        tally=_tally(report.outcomes),
        cards=[] if nothing else cards,
        to_do=[card for card in cards if card.is_wrong],
        by_exercise={card.exercise: card for card in cards},
    )


def _card(outcome: Outcome, anchor: str) -> _Card:
    """What the page says about one exercise."""
    finding, picture = outcome.finding, outcome.picture
    return _Card(
        anchor=anchor,
        exercise=outcome.exercise,
        status=outcome.status,
        is_wrong=outcome.status in (FAILED, CHECKER_ERROR),
        lesson=outcome.lesson,
        seconds="" if outcome.status == NOT_IMPLEMENTED else _seconds(outcome.seconds),
        passed=outcome.passed,
        finding=None if finding is None else _explained(finding),
        tip=(outcome.note or outcome.status) if finding is None else f"{outcome.exercise}: {finding.title}",
        note=outcome.note,
        maps=None if finding is None or picture is None else heat_maps.heat_maps(picture),
    )


def _explained(finding: Finding) -> _Explained:
    """A finding in the words of the page."""
    return _Explained(
        code=finding.code,
        title=_prose(_sentence(finding.title)),
        where=finding.where,
        rung=finding.rung,
        evidence="\n".join(finding.evidence),
        cause=_prose(finding.cause) if finding.cause else [],
        hints=[_prose(words) for words in finding.hints],
    )


def _tally(outcomes: Sequence[Outcome]) -> _Tally:
    """Counts of statuses."""
    counts = Counter(outcome.status for outcome in outcomes)
    return _Tally(len(outcomes), counts[PASSED], [(status, counts[status]) for status in STATUSES if counts[status]])


def _columns(reports: Sequence[FileReport]) -> list[_Column]:
    """All exercises, in the order of the lessons."""
    lessons: dict[str, int] = {}
    for report in sorted(reports, key=lambda report: -len(report.outcomes)):
        for outcome in report.outcomes:
            lessons.setdefault(outcome.exercise, outcome.lesson)
    solved = Counter(o.exercise for report in reports for o in report.outcomes if o.status == PASSED)
    columns: list[_Column] = []
    for exercise, lesson in sorted(lessons.items(), key=lambda item: item[1]):
        is_first = not columns or columns[-1].lesson != lesson
        columns.append(_Column(exercise, lesson, solved[exercise], is_first))
    return columns


def _codes(reports: Sequence[FileReport]) -> list[_Use]:
    """The codes that occur, those of most students first. A student with several files counts once."""
    whose: dict[str, dict[str, set[str]]] = {}  # code to place to students
    for number, report in enumerate(reports):
        student = report.student or str(number)
        if report.problem is not None:
            whose.setdefault(report.problem.code, {}).setdefault("the file", set()).add(student)
            continue
        for outcome in report.outcomes:
            if outcome.finding is not None:
                whose.setdefault(outcome.finding.code, {}).setdefault(outcome.exercise, set()).add(student)
    students = {code: len(set().union(*places.values())) for code, places in whose.items()}
    uses = {code: Counter({place: len(those) for place, those in found.items()}) for code, found in whose.items()}
    return [
        _Use(
            code,
            students[code],
            _prose(_sentence(CODES.get(code, "a code this version does not know"))),
            use.most_common(),
        )
        for code, use in sorted(uses.items(), key=lambda item: (-students[item[0]], item[0]))
    ]


# ---------------------------------------------------------------- words


_WORD = re.compile(r"(?!d(?:gamma|beta|loss)\b)(?:an?|it|in|no|[a-z]{3,})(?: |$)")


def _prose(words: str) -> Prose:
    """A sentence in pieces; what stands between backticks is code.

    >>> _prose("write `dx` here")
    ['write ', 'dx', ' here']
    """
    return re.split(r"`([^`\n]+)`", words)


def _sentence(words: str) -> str:
    """With a capital, unless it begins with a name from the code, such as dx.

    >>> _sentence("the bias is missing"), _sentence("dx is zero"), _sentence("relu_forward exits")
    ('The bias is missing', 'dx is zero', 'relu_forward exits')
    """
    return words[:1].upper() + words[1:] if _WORD.match(words) else words


def _seconds(seconds: float) -> str:
    """A time, in few characters.

    >>> _seconds(0.001), _seconds(0.41), _seconds(75.2)
    ('< 0.01 s', '0.41 s', '75 s')
    """
    if seconds < 0.005:
        return "< 0.01 s"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
