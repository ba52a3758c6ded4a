"""Reports as plain text, for a terminal, a log or a failing test.

One file gets a line for each exercise and a paragraph for each failure: what was measured, what that probably means,
the lesson, and as many hints as were asked for. A class gets one line for each file and a table. Texts may quote a
student's code, so control characters, which could change the terminal, are replaced.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import (
    CHECKER_ERROR,
    FAILED,
    NOT_CHECKED,
    NOT_IMPLEMENTED,
    PASSED,
    FileReport,
    Finding,
    Outcome,
)
from minigan.check.reports.alike import Alike
from minigan.check.reports.earlier import Change
from minigan.system.command_lines import command
from minigan.system.wording import NAME_IN_A_TABLE, shortened

WIDTH = 110
LINE = 80
WIDEST_TABLE = 40  # columns
MOST_PAIRS = 20  # of files that are alike
SOLVED = "solved by"  # the name of the last row
WORDS = {
    PASSED: "ok",
    FAILED: "FAIL",
    NOT_IMPLEMENTED: "not implemented yet",
    NOT_CHECKED: "not checked",
    CHECKER_ERROR: "CHECKER ERROR",
}
SIGNS = {PASSED: "ok", FAILED: "FAIL", NOT_IMPLEMENTED: "-", NOT_CHECKED: "?", CHECKER_ERROR: "!"}
COLOURS = {PASSED: 32, FAILED: 31, CHECKER_ERROR: 35}  # green, red, magenta


# ------------------------------------------------------------------------------------------------------------- one file
def render_text(report: FileReport, *, hint: int = 1, colour: bool = False) -> str:
    """The report of one file.

    Parameters
    ----------
    report : FileReport
    hint : int
        How many of the hints to show: 1, 2 or 3.
    colour : bool
        With the terminal's colours.

    Returns
    -------
    str
        Several lines, without a line break at the end.
    """
    blocks = []
    width = max((len(outcome.exercise) for outcome in report.outcomes), default=0)
    lines = [in_one_line(report.path) + (f"  ({report.layout})" if report.problem is None else "")]
    if report.problem is None or any(outcome.status != NOT_CHECKED for outcome in report.outcomes):
        lines += ["  " + _status_line(outcome, width, colour) for outcome in report.outcomes]
    blocks.append("\n".join(lines))
    if report.problem is not None:
        head = paint(f"{report.problem.code}   {in_one_line(report.problem.title)}", FAILED, colour)
        blocks.append("\n".join([head, *_paragraph(report.problem, hint, (), _command(report.path))]))
    told: set[Finding] = set()
    for outcome in report.outcomes:
        if outcome.finding is None or (outcome.status == CHECKER_ERROR and outcome.finding in told):
            continue  # a checker that does not start says the same of every exercise
        told.add(outcome.finding)
        blocks.append(render_finding(outcome, report.path, hint=hint, colour=colour))
    return "\n\n".join([*blocks, summary(report)])


def render_finding(outcome: Outcome, path: str, *, hint: int = 1, colour: bool = False) -> str:
    """What is wrong with one exercise, in full.

    Parameters
    ----------
    outcome : Outcome
        With a finding.
    path : str
        The student's file, for the command that gives the next hint; "" in a notebook.
    hint : int
    colour : bool

    Returns
    -------
    str
    """
    finding = outcome.finding
    if finding is None:
        return f"{outcome.exercise}   {WORDS[outcome.status]}"
    head = f"{outcome.exercise}   {WORDS[outcome.status]}" + _code(outcome, "   ")
    lines = [f"{paint(head, outcome.status, colour)}   {_title(finding)}"]
    lines += _paragraph(finding, hint, outcome.passed, _command(path, outcome.exercise), outcome.lesson)
    return "\n".join(lines)


def render_problem(report: FileReport, *, hint: int = 1) -> str:
    """Why a file could not be checked at all.

    Parameters
    ----------
    report : FileReport
        With a problem.
    hint : int

    Returns
    -------
    str
    """
    problem = report.problem
    if problem is None:
        return ""
    head = f"{in_one_line(report.path)}   {problem.code}   {in_one_line(problem.title)}"
    return "\n".join([head, *_paragraph(problem, hint, (), _command(report.path))])


def summary(report: FileReport) -> str:
    """One line of counts.

    Parameters
    ----------
    report : FileReport

    Returns
    -------
    str
        Such as "7 passed, 1 failed (E58), 9 not implemented yet".
    """
    parts = []
    if report.problem is not None:
        parts.append(f"{report.problem.code}: {in_one_line(report.problem.title)}")
    if report.count(PASSED) or report.problem is None:
        parts.append(f"{report.count(PASSED)} passed")
    if report.count(FAILED):
        codes = {o.finding.code for o in report.outcomes if o.status == FAILED and o.finding and o.finding.code}
        parts.append(f"{report.count(FAILED)} failed" + (f" ({', '.join(sorted(codes))})" if codes else ""))
    if report.count(CHECKER_ERROR):
        parts.append(f"{report.count(CHECKER_ERROR)} not judged because the checker itself failed")
    if report.count(NOT_IMPLEMENTED):
        parts.append(f"{report.count(NOT_IMPLEMENTED)} not implemented yet")
    if report.count(NOT_CHECKED):
        parts.append(f"{report.count(NOT_CHECKED)} not checked")
    return ", ".join(parts)


def _status_line(outcome: Outcome, width: int, colour: bool) -> str:
    line = f"{outcome.exercise:<{width}}  {paint(WORDS[outcome.status], outcome.status, colour)}"
    if outcome.finding is not None:
        title = _title(outcome.finding)  # in full below
        return f"{line}{_code(outcome, '  ')}  {title if len(title) <= LINE else title[: LINE - 4] + ' ...'}"
    if outcome.status == NOT_IMPLEMENTED and outcome.passed:
        return f"{line} (but right so far: {', '.join(outcome.passed)})"
    return f"{line} ({in_one_line(outcome.note)})" if outcome.note else line


def _code(outcome: Outcome, gap: str) -> str:
    # After an error of the checker, a code would say something about the student's function.
    finding = outcome.finding
    return f"{gap}{finding.code}" if finding is not None and finding.code and outcome.status == FAILED else ""


def _title(finding: Finding) -> str:
    """What is wrong and where, in one line."""
    title, where = (in_one_line(text) for text in (finding.title, finding.where))
    function = where.split(":", 1)[0]
    return title if not where or function in title else f"{where}: {title}"


def _paragraph(finding: Finding, hint: int, passed: Sequence[str], command: str, lesson: int = 0) -> list[str]:
    lines = [f"right so far: {', '.join(passed)}"] if passed else []
    lines += finding.evidence
    if finding.cause:
        lines.append(f"Probably: {finding.cause}")
    shown = finding.hints[:hint]
    many = f" of {len(finding.hints)}" if len(finding.hints) > 1 else ""
    lines += [f"Hint {k}{many}: {text}" if many else f"Hint: {text}" for k, text in enumerate(shown, start=1)]
    last = [f"Lesson {lesson}."] if lesson else []
    if len(shown) < len(finding.hints):
        last.append(f"Next hint: {command.format(hint=len(shown) + 1)}")
    return _wrapped([*lines, *(["  ".join(last)] if last else [])])


def _wrapped(lines: Iterable[str]) -> list[str]:
    out = []
    for line in lines:
        text = in_one_line(line)
        if len(text) <= WIDTH or "python -m" in text:  # a command is copied as a whole
            out.append(f"  {text}")
        else:
            out += textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ")
    return out


def _command(path: str, exercise: str = "") -> str:
    """The command for the next hint, with a place for the hint's number."""
    if not path:
        return f'check("{exercise}", ..., hint={{hint}})'
    line = command("minigan.check", Path(path), *(("--only", exercise) if exercise else ()), "--hint")
    return line.replace("{", "{{").replace("}", "}}") + " {hint}"


# -------------------------------------------------------------------------------------------------------------- a class
def render_class(reports: Sequence[FileReport], *, colour: bool = False) -> str:
    """One line for each file, and a table of files and exercises with the code of what is wrong.

    Parameters
    ----------
    reports : sequence of FileReport
    colour : bool

    Returns
    -------
    str
    """
    names = distinct_names([in_one_line(report.path) for report in reports])
    width = max(map(_columns, [*names, SOLVED]))
    padded = [name + " " * (width - _columns(name)) for name in names]
    lessons = {o.exercise: o.lesson for r in reports for o in r.outcomes}
    others = sorted((lesson, name) for name, lesson in lessons.items() if name not in EXERCISES)
    exercises = [*(name for name in EXERCISES if name in lessons), *(name for _, name in others)]
    lines = [f"{name}  {summary(report)}" for name, report in zip(padded, reports, strict=True)]
    if len(exercises) > WIDEST_TABLE:
        return "\n".join([*lines, "", f"{len(exercises)} exercises: --report writes a table of them."])
    lines += ["", f"{'':<{width}}  " + " ".join(f"{k:>4}" for k in range(1, len(exercises) + 1))]
    for name, report in zip(padded, reports, strict=True):
        cells = {outcome.exercise: _cell(outcome, report, colour) for outcome in report.outcomes}
        lines.append(f"{name}  " + " ".join(cells.get(exercise, " " * 4) for exercise in exercises))
    solved = [sum(o.exercise == e and o.status == PASSED for r in reports for o in r.outcomes) for e in exercises]
    lines.append(f"{SOLVED:<{width}}  " + " ".join(f"{n:>4}" for n in solved))
    legend = ", ".join(f"{k}\0{name}" for k, name in enumerate(exercises, start=1))
    lines += ["", *(line.replace("\0", " ") for line in textwrap.wrap(legend, WIDTH))]
    signs = f"{SIGNS[NOT_IMPLEMENTED]} not implemented yet, {SIGNS[NOT_CHECKED]} not checked"
    if any(report.count(CHECKER_ERROR) for report in reports):
        signs += f", {SIGNS[CHECKER_ERROR]} the checker itself failed"
    return "\n".join([*lines, signs])


def render_changes(since: Mapping[str, Change]) -> str:
    """Who has moved since an earlier check, a line each.

    Parameters
    ----------
    since : mapping of str to Change
        By student.

    Returns
    -------
    str
    """
    lines = []
    for student, change in since.items():
        told = ["new"] if change.is_new else []
        told += [f"solved {', '.join(change.solved)}"] if change.solved else []
        told += [f"no longer right: {', '.join(change.lost)}"] if change.lost else []
        if told:
            lines.append(f"  {in_one_line(student)}: {'; '.join(told)}")
    return "\n".join(["since the earlier check:", *(lines or ["  nobody has moved"])])


def render_alike(pairs: Sequence[Alike], reports: Sequence[FileReport]) -> str:
    """Which files have passages in common, a line each: the `MOST_PAIRS` that have most, and how many more."""
    lines = [
        f"  {in_one_line(reports[p.first].student)} and {in_one_line(reports[p.second].student)}: {p.share:.0%}, "
        f"from line {p.passages[0][0].line} and line {p.passages[0][1].line} on"
        for p in pairs[:MOST_PAIRS]
    ]
    if len(pairs) > MOST_PAIRS:
        lines.append(f"  and {len(pairs) - MOST_PAIRS} more pairs: --report shows all")
    return "\n".join(["alike beyond what all were given (--report shows the passages):", *lines])


def _columns(name: str) -> int:
    """How wide a terminal shows a name: letters of East Asian scripts take two columns."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in name)


def _cell(outcome: Outcome, report: FileReport, colour: bool) -> str:
    text, status = SIGNS[outcome.status], outcome.status
    if outcome.status == FAILED and outcome.finding is not None:
        text = outcome.finding.code
    elif outcome.status == NOT_CHECKED and report.problem is not None:
        text, status = report.problem.code, FAILED
    return paint(f"{text:>4}", status, colour)


def distinct_names(paths: Sequence[str]) -> list[str]:
    """The shortest ends of paths that tell them apart, for a table.

    Parameters
    ----------
    paths : sequence of str
        With slashes of either kind.

    Returns
    -------
    list of str
        One for each path, of `NAME_IN_A_TABLE` letters or a few more: what would look equal gets a number.

    Examples
    --------
    >>> distinct_names(["class/ada/layers.py", "class/ben/layers.py", "class/cleo.py"])
    ['ada/layers.py', 'ben/layers.py', 'cleo.py']
    """
    parts = [[part for part in re.split(r"[\\/]+", path) if part] or [path] for path in paths]
    ends = Counter(tuple(p[-k:]) for p in parts for k in range(1, len(p) + 1))
    names = []
    seen: Counter[str] = Counter()
    for p in parts:
        depth = next((k for k in range(1, len(p) + 1) if ends[tuple(p[-k:])] == 1), len(p))
        name = shortened("/".join(p[-depth:]), NAME_IN_A_TABLE)
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


# ---------------------------------------------------------------------------------------------------------------- words
def in_one_line(text: object) -> str:
    r"""A text in one line, without control characters and without letters that cannot be encoded.

    Parameters
    ----------
    text : object
        Turned into a string.

    Returns
    -------
    str

    Examples
    --------
    >>> in_one_line("a red word: \x1b[31mred")
    'a red word: \\x1b[31mred'
    """
    line = str(text).replace("\r", " ").replace("\n", " ").replace("\t", " ")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)


def paint(text: str, status: str, colour: bool) -> str:
    """A text in the colour of a status."""
    number = COLOURS.get(status)
    return f"\x1b[{number}m{text}\x1b[0m" if colour and number else text
