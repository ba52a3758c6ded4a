"""The checker's report as one HTML page, for a student or for a class.

`render_html` turns file reports into a page that needs nothing else: no network, no fonts, no libraries. One report
gives the page of a student, with a card for every exercise; several give the page of a teacher, a table of files
against exercises with the details below it. Styles and the few lines of script are constants at the end of this module;
what all of minigan's pages share is in `minigan.pages.html`.
The page can be read without the script: it only sorts the table, switches between light and dark, and unfolds what a
link points to. Whatever comes from a student's file goes through `_text` before it reaches the page, and the page's own
security policy lets no other script run and nothing be loaded.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from string import Template
from typing import Any

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
from minigan.pages.html import DARK as _DARK
from minigan.pages.html import LIGHT as _LIGHT
from minigan.pages.html import date as _date
from minigan.pages.html import document, themes, variables
from minigan.pages.html import hidden as _hidden
from minigan.pages.html import plural as _plural
from minigan.pages.html import text as _text

SYMBOLS = {PASSED: "✓", FAILED: "✗", NOT_IMPLEMENTED: "–", NOT_CHECKED: "!", CHECKER_ERROR: "?"}
"""What stands for a status where colour alone would not do."""

CLASSES = {PASSED: "pass", FAILED: "fail", NOT_IMPLEMENTED: "todo", NOT_CHECKED: "skip", CHECKER_ERROR: "oops"}
"""The CSS class of a status."""

LEVELS = 8
"""Steps of colour on each side of zero in a heat map."""

MAX_CELLS = 16
"""Rows and columns of a heat map; a larger picture is cut."""

NUMBERED = 7
"""Heat maps with at most as many rows and columns have their numbers written into the cells."""

Grid = list[list[float | None]]
"""Rows of a picture; None where there is no number."""


def render_html(
    reports: list[FileReport], *, hint: int = 1, title: str = "minigan check", now: datetime | None = None
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
    moment = datetime.now() if now is None else now
    names = distinct_names([report.path for report in reports])
    if not reports:
        body = _header(title, title, [_date(moment)]) + "<main><p>There is no file to report on.</p></main>"
    elif len(reports) == 1:
        body = _one_file(reports[0], names[0], hint, title, moment)
    else:
        body = _class_report(reports, names, hint, title, moment)
    kind = "many" if len(reports) > 1 else "one"
    return document(title=title, style=_STYLE, script=_SCRIPT, body=body, kind=kind)


def distinct_names(paths: Sequence[str]) -> list[str]:
    """The shortest ends of paths that tell them apart.

    Parameters
    ----------
    paths : sequence of str
        With slashes of either kind. Equal paths get a number.

    Returns
    -------
    list of str
        One for each path.

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
        name = "/".join(p[-depth:])
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


# ---------------------------------------------------------------- words


_WORD = re.compile(r"(?!d(?:gamma|beta|loss)\b)(?:an?|it|in|no|[a-z]{3,})(?: |$)")


def _path(name: str) -> str:
    """A file's name that may break after a slash."""
    return _text(name).replace("/", "/<wbr>")


def _prose(words: str) -> str:
    """A sentence, with `code` between backticks."""
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", _text(words))


def _seconds(seconds: float) -> str:
    """A time, in few characters.

    >>> _seconds(0.001), _seconds(0.41), _seconds(75.2)
    ('< 0.01 s', '0.41 s', '75 s')
    """
    if seconds < 0.005:
        return "< 0.01 s"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"


def _symbol(status: str) -> str:
    return f'<span class="symbol" aria-hidden="true">{SYMBOLS.get(status, "?")}</span>'


def _css_class(status: str) -> str:
    return CLASSES.get(status, CLASSES[CHECKER_ERROR])


# ---------------------------------------------------------------- the page's top


def _header(over: str, heading: str, facts: Iterable[str], more: str = "") -> str:
    """Small title, heading, a line of facts (these are HTML), and more below."""
    line = "".join(f"<li>{fact}</li>" for fact in facts)
    eyebrow = f'<p class="over">{_text(over)}</p>' if over != heading else ""
    return f'<header class="top">{eyebrow}<h1>{_text(heading)}</h1><ul class="facts">{line}</ul>{more}</header>'


def _summary(outcomes: Sequence[Outcome]) -> str:
    """How many exercises have which status: a bar, and the counts in words."""
    counts = Counter(outcome.status for outcome in outcomes)
    present = [(status, counts[status]) for status in STATUSES if counts[status]]
    bar = "".join(f'<i class="{_css_class(status)}" style="flex-grow:{count}"></i>' for status, count in present)
    words = "".join(
        f'<li class="{_css_class(status)}">{_symbol(status)} <b>{count}</b> {status}</li>' for status, count in present
    )
    return f'<div class="bar" aria-hidden="true">{bar}</div><ul class="counts">{words}</ul>'


def _solved(outcomes: Sequence[Outcome]) -> str:
    """The first sentence a student reads."""
    done = sum(outcome.status == PASSED for outcome in outcomes)
    if outcomes and done == len(outcomes):
        return f"All {done} of {len(outcomes)} exercises solved."
    return f"{done} of {len(outcomes)} exercises solved."


# ---------------------------------------------------------------- one file


def _one_file(report: FileReport, name: str, hint: int, title: str, moment: datetime) -> str:
    facts = [f"Layout {_text(report.layout)}", _date(moment), f"checked in {_seconds(report.seconds)}"]
    more = ""
    if report.outcomes:
        more = f'<p class="lead">{_solved(report.outcomes)}</p>{_summary(report.outcomes)}{_to_do(report)}'
    return _header(title, name, facts, more) + f"<main>{_details(report, 1, hint, 2)}</main>"


def _to_do(report: FileReport) -> str:
    """Links to what is wrong."""
    links = [
        f'<li><a href="#{_anchor(1, position)}">{_code(outcome)} {_text(outcome.exercise)}</a></li>'
        for position, outcome in enumerate(report.outcomes)
        if outcome.status in (FAILED, CHECKER_ERROR)
    ]
    return f'<nav class="jump" aria-label="What to look at"><ul>{"".join(links)}</ul></nav>' if links else ""


def _details(report: FileReport, number: int, hint: int, level: int) -> str:
    """All about one file: its problem, if any, and its exercises."""
    problem = "" if report.problem is None else _problem(report.problem, number, hint, level)
    if report.problem is not None and all(outcome.status == NOT_CHECKED for outcome in report.outcomes):
        return problem
    cards = [_card(outcome, _anchor(number, k), hint, level) for k, outcome in enumerate(report.outcomes)]
    listing = f'<ol class="cards">{"".join(cards)}</ol>' if cards else ""
    empty = "" if problem or cards else '<p class="note">No exercise was checked.</p>'
    return problem + listing + empty


def _anchor(number: int, position: int) -> str:
    """The id of an exercise's card; files count from 1."""
    return f"f{number}e{position + 1}"


def _code(outcome: Outcome) -> str:
    """The code of a failure, or the symbol of its status."""
    if outcome.finding is not None and outcome.status in (FAILED, CHECKER_ERROR):
        return f'<span class="code">{_text(outcome.finding.code)}</span>'
    return _symbol(outcome.status)


def _problem(finding: Finding, number: int, hint: int, level: int) -> str:
    """Why a file could not be checked."""
    heading = (
        f'<h{level} class="name"><span class="symbol" aria-hidden="true">✗</span> This file could not be checked '
        f'<span class="code">{_text(finding.code)}</span></h{level}>'
    )
    return f'<section class="card fail" id="f{number}p">{heading}{_finding(finding, [], None, hint)}</section>'


def _card(outcome: Outcome, anchor: str, hint: int, level: int) -> str:
    """One exercise: a line, and what is wrong if there is something."""
    finding = outcome.finding
    aside = f"lesson {outcome.lesson}" if outcome.lesson else ""
    if outcome.status != NOT_IMPLEMENTED:
        aside += f'<span class="time">{" · " if aside else ""}{_seconds(outcome.seconds)}</span>'
    line = [
        f'<h{level} class="name">{_symbol(outcome.status)} <span>{_text(outcome.exercise)}</span></h{level}>',
        f'<span class="status">{_text(outcome.status)}</span>',
        f'<span class="code">{_text(finding.code)}</span>' if finding is not None else "",
        _passed(outcome.passed) if finding is None else "",
        f'<span class="aside">{aside}</span>',
    ]
    body = "" if finding is None else _finding(finding, outcome.passed, outcome.picture, hint)
    kind = _css_class(outcome.status)
    return f'<li class="card {kind}" id="{anchor}"><div class="line">{"".join(line)}</div>{body}</li>'


def _passed(passed: Sequence[str]) -> str:
    if not passed:
        return ""
    return f'<span class="passed">{_text(", ".join(passed))}</span>'


def _finding(finding: Finding, passed: Sequence[str], picture: dict[str, Any] | None, hint: int) -> str:
    """What is wrong, from the title to the last hint."""
    pieces = [f'<p class="title">{_prose(_sentence(finding.title))}</p>']
    if finding.where:
        pieces.append(f'<p class="where">in <code>{_text(finding.where)}</code></p>')
    pieces.append(_ladder(finding.rung))
    if passed:
        pieces.append(f'<p class="right"><b>Right so far:</b> {_text(", ".join(passed))}</p>')
    if finding.evidence:
        pieces.append(f'<pre class="evidence">{_text(chr(10).join(finding.evidence))}</pre>')
    if finding.cause:
        pieces.append(f'<p class="cause"><b>Probably:</b> {_prose(finding.cause)}</p>')
    if picture is not None:
        pieces.append(_picture(picture))
    pieces.append(_hints(finding.hints, hint))
    return f'<div class="finding">{"".join(pieces)}</div>'


def _sentence(words: str) -> str:
    """With a capital, unless it begins with a name from the code, such as dx.

    >>> _sentence("the bias is missing"), _sentence("dx is zero"), _sentence("relu_forward exits")
    ('The bias is missing', 'dx is zero', 'relu_forward exits')
    """
    return words[:1].upper() + words[1:] if _WORD.match(words) else words


def _ladder(rung: str) -> str:
    """The rungs, and the one that broke."""
    if rung not in RUNGS:
        return ""
    broken = RUNGS.index(rung)
    rungs = []
    for k, name in enumerate(RUNGS):
        if k == broken:
            rungs.append(f'<li class="broken" aria-current="step">✗ {name}</li>')
        else:
            rungs.append(f'<li class="{"below" if k < broken else "above"}">{name}</li>')
    return f'<ol class="ladder" aria-label="The check stopped at: {rung}">{"".join(rungs)}</ol>'


def _hints(hints: Sequence[str], hint: int) -> str:
    """The first hint in full, the others to unfold; those up to the level asked for are unfolded already."""
    pieces = []
    for level, words in enumerate(hints, start=1):
        if level == 1 and hint >= 1:
            pieces.append(f'<p class="hint"><b>Hint 1</b> {_prose(words)}</p>')
        else:
            opened = " open" if level <= hint else ""
            pieces.append(
                f'<details class="hint"{opened}><summary>Hint {level}</summary><p>{_prose(words)}</p></details>'
            )
    return f'<div class="hints">{"".join(pieces)}</div>' if pieces else ""


# ---------------------------------------------------------------- heat maps


@dataclass(frozen=True)
class _Scale:
    """What the colours of a heat map mean.

    Parameters
    ----------
    limit : float
        The value with the strongest colour; more is not stronger.
    power : int
        Numbers in the cells are in units of ten to this power.
    clipped : bool
        Whether some values are beyond the limit.
    """

    limit: float
    power: int
    clipped: bool = False

    @staticmethod
    def of(largest: float, limit: float) -> _Scale:
        """For values up to a largest one, with colours up to a limit."""
        top = limit or 1.0
        power = max(-300, math.floor(math.log10(top)))
        return _Scale(top, 0 if -2 <= power <= 1 else power, largest > top)

    def level(self, value: float) -> str:
        """The class of a colour: n8 ... n1, z, p1 ... p8."""
        step = min(LEVELS, round(LEVELS * min(abs(value) / self.limit, 1.0)))
        return "z" if step == 0 else f"{'n' if value < 0 else 'p'}{step}"

    def number(self, value: float) -> str:
        """A number short enough for a cell."""
        scaled = value / 10.0**self.power
        if scaled == 0:
            return "0"
        size = abs(scaled)
        if size >= 99.95:
            text = f"{scaled:+.0f}" if size < 9999.5 else f"{scaled:+.0e}".replace("e+0", "e").replace("e+", "e")
        else:
            text = f"{scaled:+.2f}" if size < 9.995 else f"{scaled:+.1f}"
        return text.replace("-", "−")


def _picture(picture: dict[str, Any]) -> str:
    """Yours, numeric and their difference, side by side."""
    yours, numeric, cut = _grids(picture.get("yours"), picture.get("numeric"))
    if not yours:
        return ""
    difference = [
        [_minus(a, b) for a, b in zip(row, other, strict=True)] for row, other in zip(yours, numeric, strict=True)
    ]
    scale, own = _scales(yours, numeric, difference)
    shared = own.limit == scale.limit
    worst = _worst(difference)
    panels = [
        _panel("yours", yours, scale, worst),
        _panel("numeric", numeric, scale, worst),
        _panel("yours − numeric", difference, own, worst),
    ]
    legends = [_legend(scale if not shared else own, "all three" if shared else "yours and numeric")]
    if not shared:
        legends.append(_legend(own, "the difference"))
    caption = f"<code>{_text(_slice(picture))}</code>" + _worst_words(worst, yours, numeric)
    if cut:
        caption += f" The picture shows the first {len(yours)} × {len(yours[0])} entries only."
    return (
        f'<figure class="picture"><figcaption>{caption}</figcaption><div class="maps">{"".join(panels)}</div>'
        f'<div class="legends">{"".join(legends)}</div></figure>'
    )


def _scales(yours: Grid, numeric: Grid, difference: Grid) -> tuple[_Scale, _Scale]:
    """One scale for yours and numeric, and one for the difference; the same, unless it would leave that without colour.

    A few huge values of yours do not make everything else pale: the scale then ends at the largest numeric value.
    """
    truth, largest = _largest(_flat(numeric)), _largest(_flat(yours) + _flat(numeric))
    scale = _Scale.of(largest, truth if 0 < 4 * truth < largest else largest)
    error = _largest(_flat(difference))
    if 0 < error < scale.limit / LEVELS:
        return scale, _Scale.of(error, error)
    return scale, _Scale(scale.limit, scale.power, scale.clipped or error > scale.limit)


def _largest(values: Iterable[float | None]) -> float:
    """The largest size among what is finite; 0 if nothing is."""
    return max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)


def _slice(picture: dict[str, Any]) -> str:
    """Which slice of which gradient is drawn."""
    name, index = str(picture.get("name", "")), picture.get("index")
    if index in (None, "", []):
        return name
    words = (
        index if isinstance(index, str) else ", ".join(map(str, index)) if isinstance(index, list | tuple) else index
    )
    return f"{name}[{words}]"


def _grids(yours: object, numeric: object) -> tuple[Grid, Grid, bool]:
    """Both pictures as grids of one size, and whether they were cut; empty if there is nothing to draw."""
    both = [_grid(yours), _grid(numeric)]
    rows = max(len(grid) for grid in both)
    columns = max((len(row) for grid in both for row in grid), default=0)
    if not rows or not columns:
        return [], [], False
    height, width = min(rows, MAX_CELLS), min(columns, MAX_CELLS)
    filled = [
        [[grid[r][c] if r < len(grid) and c < len(grid[r]) else None for c in range(width)] for r in range(height)]
        for grid in both
    ]
    return filled[0], filled[1], rows > MAX_CELLS or columns > MAX_CELLS


def _grid(values: object) -> Grid:
    """A list of lists of numbers, or of whatever came instead."""
    if not isinstance(values, list | tuple):
        return []
    rows = [row if isinstance(row, list | tuple) else [row] for row in values]
    if not any(isinstance(row, list | tuple) for row in values):
        rows = [list(values)]
    return [[_float(value) for value in row] for row in rows]


def _float(value: object) -> float | None:
    """A number, NaN and infinities included; None for anything else."""
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None


def _flat(grid: Grid) -> list[float | None]:
    return [value for row in grid for value in row]


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _worst(difference: Grid) -> tuple[int, int] | None:
    """Where the largest difference is; what is not finite is larger than anything."""
    places = [
        (math.inf if math.isnan(value) else abs(value), -r, -c)
        for r, row in enumerate(difference)
        for c, value in enumerate(row)
        if value is not None
    ]
    size, r, c = max(places, default=(0.0, 0, 0))
    return (-r, -c) if size > 0 else None


def _worst_words(worst: tuple[int, int] | None, yours: Grid, numeric: Grid) -> str:
    if worst is None:
        return ""
    r, c = worst
    return f": worst at row {r}, column {c} (framed): yours {_exact(yours[r][c])}, numeric {_exact(numeric[r][c])}."


def _exact(value: float | None) -> str:
    """A number for a tooltip or a sentence."""
    if value is None:
        return "nothing"
    if math.isnan(value):
        return "NaN"
    return f"{value:+.6g}".replace("-", "−").replace("inf", "infinity")


def _panel(name: str, grid: Grid, scale: _Scale, worst: tuple[int, int] | None) -> str:
    """One heat map as SVG, with row and column numbers at its edges."""
    rows, columns = len(grid), len(grid[0])
    numbered = max(rows, columns) <= NUMBERED
    size, margin = (40, 18) if numbered else (17, 18)
    cells = [
        _cell(value, f"{name}, row {r}, column {c}", (margin + c * size, margin + r * size), size, scale)
        for r, row in enumerate(grid)
        for c, value in enumerate(row)
    ]
    frame = ""
    if worst is not None:
        y, x = (margin + k * size for k in worst)
        frame = f'<rect class="worst" x="{x + 1}" y="{y + 1}" width="{size - 2}" height="{size - 2}"/>'
    width, height = margin + columns * size + 2, margin + rows * size + 2
    unit = f", in 10<sup>{scale.power}</sup>".replace("-", "−") if numbered and scale.power else ""
    label = _text(f"{name}: {rows} by {columns} values{_range_words(grid)}")
    return (
        f'<figure class="map"><figcaption>{_text(name)}{unit}</figcaption>'
        f'<svg viewBox="0 0 {width} {height}" style="width:{width}px" role="img" aria-label="{label}">'
        f"{_ticks(rows, columns, size, margin)}{''.join(cells)}{frame}</svg></figure>"
    )


def _range_words(grid: Grid) -> str:
    finite = [value for value in _flat(grid) if value is not None and math.isfinite(value)]
    strange = len(_flat(grid)) - len(finite)
    words = f" from {_exact(min(finite))} to {_exact(max(finite))}" if finite else ""
    return words + (f", {strange} not finite" if strange else "")


def _ticks(rows: int, columns: int, size: int, margin: int) -> str:
    """Row and column numbers; every fifth only where cells are small."""
    step = 1 if size > 30 else 5
    across = [(margin + (c + 0.5) * size, margin - 6.0, c) for c in range(0, columns, step)]
    down = [(margin / 2 - 1, margin + (r + 0.5) * size + 3.5, r) for r in range(0, rows, step)]
    return "".join(f'<text class="tick" x="{x:g}" y="{y:g}">{k}</text>' for x, y, k in across + down)


def _cell(value: float | None, name: str, corner: tuple[int, int], size: int, scale: _Scale) -> str:
    """A coloured square with a tooltip; minus signs, or the number itself, for those who see no colour."""
    x, y = corner
    square = f'<rect x="{x}" y="{y}" width="{size}" height="{size}"/>'
    title = f"<title>{_text(name)}: {_exact(value)}</title>"
    middle, base = x + size / 2, y + size / 2 + 4
    if value is None or not math.isfinite(value):
        kind, mark = "odd", _strange(value, middle, base, size)
    else:
        kind = scale.level(value)
        if size > 30:
            mark = f'<text x="{middle:g}" y="{base:g}">{scale.number(value)}</text>'
        else:
            mark = f'<path d="M{middle - 3:g} {y + size / 2:g}h6"/>' if kind[0] == "n" else ""
    return f'<g class="{kind}">{title}{square}{mark}</g>'


def _strange(value: float | None, middle: float, base: float, size: int) -> str:
    """The mark of a cell without a finite number."""
    if value is None:
        return ""
    nan = "NaN" if size > 30 else "×"
    word = nan if math.isnan(value) else "+∞" if value > 0 else "−∞"
    return f'<text x="{middle:g}" y="{base:g}">{word}</text>'


def _legend(scale: _Scale, what: str) -> str:
    """The colours from one end to the other, and what they stand for."""
    width, height = 12, 12
    classes = [f"n{k}" for k in range(LEVELS, 0, -1)] + ["z"] + [f"p{k}" for k in range(1, LEVELS + 1)]
    squares = "".join(
        f'<g class="{name}"><rect x="{1 + k * width}" y="1" width="{width}" height="{height}"/>'
        + (f'<path d="M{4 + k * width} 7h6"/>' if name[0] == "n" else "")
        + "</g>"
        for k, name in enumerate(classes)
    )
    total = len(classes) * width + 2
    low, high = ("≤ ", "≥ ") if scale.clipped else ("", "")
    top = f"{scale.limit:.3g}"
    return (
        f'<div class="legend"><svg viewBox="0 0 {total} 14" style="width:{total}px" aria-hidden="true">{squares}</svg>'
        f'<div class="ends" style="max-width:{total}px"><span>{low}−{top.replace("e-", "e−")}</span><span>0</span>'
        f"<span>{high}+{top.replace('e-', 'e−')}</span></div><p>Colours of {what}</p></div>"
    )


# ---------------------------------------------------------------- a class


@dataclass(frozen=True)
class _Column:
    """An exercise in the table of a class."""

    exercise: str
    lesson: int


def _class_report(reports: Sequence[FileReport], names: Sequence[str], hint: int, title: str, moment: datetime) -> str:
    columns = _columns(reports)
    stuck = sum(report.problem is not None for report in reports)
    everything = [outcome for report in reports for outcome in report.outcomes]
    facts = [_plural(len(reports), "file"), _plural(len(columns), "exercise"), _date(moment)]
    lead = _solved(everything)
    if stuck:
        lead += f" {_plural(stuck, 'file')} could not be checked."
    more = f'<p class="lead">{lead}</p>{_summary(everything)}' if everything or stuck else ""
    numbered = list(zip(range(1, len(reports) + 1), reports, names, strict=True))
    rows = "".join(_row(report, name, number, columns) for number, report, name in numbered)
    details = "".join(_file(report, name, number, hint) for number, report, name in numbered)
    return (
        _header(title, title, facts, more)
        + f'<main><section><h2 id="table">Who solved what</h2>{_table(reports, columns, rows)}'
        + f"{_signs(everything)}</section>"
        + _codes(reports)
        + f'<section class="files"><h2>File by file</h2>{_UNFOLD}{details}</section></main>'
    )


def _columns(reports: Sequence[FileReport]) -> list[_Column]:
    """All exercises, in the order of the lessons."""
    lessons: dict[str, int] = {}
    for report in sorted(reports, key=lambda report: -len(report.outcomes)):
        for outcome in report.outcomes:
            lessons.setdefault(outcome.exercise, outcome.lesson)
    return sorted((_Column(*item) for item in lessons.items()), key=lambda column: column.lesson)


def _edge(columns: Sequence[_Column], k: int) -> str:
    """A class for the first column of a lesson."""
    return " first" if k == 0 or columns[k].lesson != columns[k - 1].lesson else ""


def _table(reports: Sequence[FileReport], columns: Sequence[_Column], rows: str) -> str:
    lessons = Counter(column.lesson for column in columns)
    groups = "".join(
        f'<th class="lesson first" scope="colgroup" colspan="{count}">{_hidden("lesson ")}{lesson or "–"}</th>'
        for lesson, count in lessons.items()
    )
    heads = "".join(
        f'<th class="exercise{_edge(columns, k)}" scope="col" data-sort><span>{_text(column.exercise)}</span></th>'
        for k, column in enumerate(columns)
    )
    totals = "".join(_total(reports, column, _edge(columns, k)) for k, column in enumerate(columns))
    return _TABLE.substitute(groups=groups, heads=heads, rows=rows, totals=totals)


def _total(reports: Sequence[FileReport], column: _Column, edge: str) -> str:
    """How many solved an exercise, as a number over a small bar."""
    solved = sum(o.status == PASSED for report in reports for o in report.outcomes if o.exercise == column.exercise)
    share = 100 * solved / len(reports)
    words = f"{solved} of {len(reports)} solved {column.exercise}"
    return f'<td class="total{edge}" title="{_text(words)}"><span style="--share:{share:.0f}%">{solved}</span></td>'


def _row(report: FileReport, name: str, number: int, columns: Sequence[_Column]) -> str:
    head = f'<th class="file" scope="row" title="{_text(report.path)}"><a href="#f{number}">{_path(name)}</a></th>'
    if report.problem is not None:
        solved = '<td class="solved" data-value="-1">–</td>'
        cells = (
            f'<td class="problem" colspan="{max(1, len(columns))}"><a href="#f{number}p">'
            f'<span class="code">{_text(report.problem.code)}</span> {_prose(_sentence(report.problem.title))}</a></td>'
        )
        return f"<tr>{head}{solved}{cells}</tr>"
    done = report.count(PASSED)
    places = {outcome.exercise: k for k, outcome in enumerate(report.outcomes)}
    cells = "".join(
        _table_cell(report, places.get(column.exercise), number, _edge(columns, k)) for k, column in enumerate(columns)
    )
    return f'<tr>{head}<td class="solved" data-value="{done}"><b>{done}</b></td>{cells}</tr>'


def _table_cell(report: FileReport, position: int | None, number: int, edge: str) -> str:
    """One exercise of one file; failures link to their details."""
    if position is None:
        return f'<td class="none{edge}" data-value="9">{_hidden("not asked for")}</td>'
    outcome = report.outcomes[position]
    kind = _css_class(outcome.status)
    if outcome.status in (FAILED, CHECKER_ERROR):
        finding = outcome.finding
        tip = outcome.status if finding is None else f"{outcome.exercise}: {finding.title}"
        inside = f'<a href="#{_anchor(number, position)}" title="{_text(tip)}">{_code(outcome)}</a>'
        value = f"1{finding.code}" if finding is not None else "1"
    else:
        inside = f'<span title="{_text(outcome.status)}">{_symbol(outcome.status)}</span>{_hidden(outcome.status)}'
        value = {PASSED: "0", NOT_CHECKED: "2"}.get(outcome.status, "3")
    return f'<td class="{kind}{edge}" data-value="{_text(value)}">{inside}</td>'


def _signs(outcomes: Sequence[Outcome]) -> str:
    """What the symbols in the table mean."""
    present = {outcome.status for outcome in outcomes}
    words = [f"<li>{_symbol(s)} {s}</li>" for s in STATUSES if s in present and s != FAILED]
    if FAILED in present:
        words.append('<li><span class="code">E..</span> failed: the code says why</li>')
    return f'<ul class="signs">{"".join(words)}</ul>'


def _codes(reports: Sequence[FileReport]) -> str:
    """The codes that occur, what they mean and where; the most frequent first."""
    uses: dict[str, Counter[str]] = {}
    for report in reports:
        if report.problem is not None:
            uses.setdefault(report.problem.code, Counter())["the file"] += 1
            continue
        for outcome in report.outcomes:
            if outcome.finding is not None:
                uses.setdefault(outcome.finding.code, Counter())[outcome.exercise] += 1
    if not uses:
        return ""
    most = max(use.total() for use in uses.values())
    rows = "".join(
        f'<tr><th scope="row"><span class="code">{_text(code)}</span></th>'
        f'<td class="count"><span style="--share:{100 * use.total() / most:.0f}%">{use.total()}</span></td>'
        f"<td>{_prose(_sentence(CODES.get(code, 'a code this version does not know')))}</td>"
        f'<td class="places">{_text(", ".join(_times(*item) for item in use.most_common()))}</td></tr>'
        for code, use in sorted(uses.items(), key=lambda item: (-item[1].total(), item[0]))
    )
    return f'<section><h2 id="codes">What went wrong</h2>{_CODES_TABLE.substitute(rows=rows)}</section>'


def _times(what: str, count: int) -> str:
    return what if count == 1 else f"{what} (×{count})"


def _file(report: FileReport, name: str, number: int, hint: int) -> str:
    """The details of one file, folded."""
    counts = [(status, report.count(status)) for status in STATUSES]
    if report.problem is not None:
        words = f'<span class="fail"><span class="code">{_text(report.problem.code)}</span> could not be checked</span>'
    else:
        words = " ".join(
            f'<span class="{_css_class(status)}">{_symbol(status)} {count}{_hidden(" " + status)}</span>'
            for status, count in counts
            if count
        )
    path = f'<p class="note">{_text(report.path)} · layout {_text(report.layout)} · {_seconds(report.seconds)}</p>'
    back = '<p class="note"><a href="#table">Back to the table</a></p>'
    return (
        f'<details class="file" id="f{number}"><summary><h3>{_path(name)}</h3>'
        f'<span class="tally">{words}</span></summary>'
        f"{path}{_details(report, number, hint, 4)}{back}</details>"
    )


# ---------------------------------------------------------------- styles


_MAP_LIGHT = ("#1a5aa8", "#ffffff", "#e07a00")
_MAP_DARK = ("#62aefc", "#23282f", "#ffa238")


def _rgb(colour: str) -> bytes:
    return bytes.fromhex(colour[1:])


def _mix(a: str, b: str, share: float) -> str:
    """A colour between two."""
    pairs = zip(_rgb(a), _rgb(b), strict=True)
    return "#" + bytes(round(x + share * (y - x)) for x, y in pairs).hex()


def _luminance(colour: str) -> float:
    """Relative luminance, from 0 (black) to 1."""
    linear = [(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for c in (b / 255 for b in _rgb(colour))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _variables(theme: dict[str, str], ends: tuple[str, str, str]) -> str:
    """The CSS variables of a theme, those of the heat maps included (colour, and black or white upon it)."""
    pieces = [variables(theme)]
    low, middle, high = ends
    colours = {"z": middle}
    for k in range(1, LEVELS + 1):
        colours[f"n{k}"], colours[f"p{k}"] = _mix(middle, low, k / LEVELS), _mix(middle, high, k / LEVELS)
    for name, colour in colours.items():
        pieces += [f"--{name}:{colour}", f"--{name}t:{'#000' if _luminance(colour) > 0.179 else '#fff'}"]
    return ";".join(pieces)


def _themes() -> str:
    """Light and dark, and the classes that use their colours."""
    names = ["z"] + [f"{side}{k}" for side in "np" for k in range(1, LEVELS + 1)]
    return "\n".join(
        [
            themes(_variables(_LIGHT, _MAP_LIGHT), _variables(_DARK, _MAP_DARK)),
            "".join(f".{name}{{--c:var(--{name});--t:var(--{name}t)}}" for name in names),
            "".join(f".{name}{{--tone:var(--{name});--soft:var(--{name}-soft)}}" for name in CLASSES.values()),
        ]
    )


_CSS = """
body.one .top,body.one main{max-width:62rem}
.code,.tick,.map text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
sup{line-height:0}
.bar{display:flex;gap:3px;height:14px;margin:.7rem 0 .6rem;border-radius:7px;overflow:hidden}
.bar i{flex-basis:0;min-width:4px;background:var(--tone)}
.bar i.todo{background:repeating-linear-gradient(135deg,var(--line) 0 5px,var(--todo-soft) 5px 10px)}
.bar i.skip{background:repeating-linear-gradient(45deg,var(--skip) 0 3px,var(--skip-soft) 3px 6px)}
.counts,.signs{display:flex;flex-wrap:wrap;gap:.2rem 1.3rem;font-size:.95rem}
.counts li{color:var(--tone)}
.code{display:inline-block;font-size:.85em;font-weight:700;white-space:nowrap}
.jump ul{display:flex;flex-wrap:wrap;gap:.5rem;margin-top:1rem}
.jump a{display:block;padding:.2rem .7rem;border-radius:1rem;background:var(--fail-soft);color:var(--fail);
 text-decoration:none;font-size:.92rem}
.jump a:hover{text-decoration:underline}
.unfold{font:inherit;font-size:.88rem;color:var(--ink);background:var(--paper);border:1px solid var(--line);
 border-radius:1rem;padding:.25rem .8rem;cursor:pointer}
.unfold[hidden]{display:none}
.unfold:hover{border-color:var(--quiet)}

.cards{margin-top:1.6rem;background:var(--paper);border:1px solid var(--line);border-radius:12px;
 box-shadow:var(--shadow)}
.card{scroll-margin-top:1rem;padding:.5rem 1.1rem;border-left:5px solid var(--tone)}
.cards>.card+.card{border-top:1px solid var(--line)}
.card:first-child{border-top-left-radius:11px}
.card:last-child{border-bottom-left-radius:11px}
section.card{background:var(--paper);border-radius:12px;box-shadow:var(--shadow);margin-top:1.4rem;padding:1rem 1.2rem}
.card.todo{border-left-color:var(--line)}
.card:target{background:var(--sunk)}
.line{display:flex;flex-wrap:wrap;align-items:baseline;gap:.1rem .8rem}
.name{font-size:1rem;margin:0;font-weight:600;overflow-wrap:anywhere}
.line .symbol,section.card>.name{color:var(--tone)}
.status{color:var(--tone);font-size:.88rem}
.card .code{background:var(--soft);color:var(--tone);padding:.1em .5em;border-radius:5px}
.passed{color:var(--quiet);font-size:.88rem}
.aside{margin-left:auto;color:var(--quiet);font-size:.88rem;white-space:nowrap}
.card.todo .name{font-weight:400;color:var(--quiet)}
.card.fail>.line{padding-top:.5rem}
.card.fail>.line .name{font-size:1.12rem}
.finding{padding:.3rem 0 1rem;display:flow-root}
.finding>*{margin-top:.65rem;max-width:52rem}
.title{font-size:1.05rem;font-weight:600;line-height:1.4;overflow-wrap:anywhere}
.finding>.where{margin-top:.1rem;color:var(--quiet);font-size:.92rem}
.ladder{display:flex;flex-wrap:wrap;gap:.3rem .25rem;font-size:.78rem}
.ladder li{padding:.05rem .55rem;border-radius:1rem;border:1px solid var(--line)}
.ladder .below{background:var(--sunk)}
.ladder .above{border-style:dashed;color:var(--quiet)}
.ladder .broken{background:var(--fail);border-color:var(--fail);color:var(--paper);font-weight:700}
.evidence{background:var(--sunk);border:1px solid var(--line);border-radius:8px;padding:.6rem .8rem;font-size:.86rem;
 line-height:1.55;white-space:pre-wrap;overflow-wrap:anywhere;tab-size:4;unicode-bidi:isolate}
.cause,.hint{overflow-wrap:anywhere}
.hints{border-left:3px solid var(--line);padding-left:.9rem}
.hints>*+*{margin-top:.35rem}
.hint summary{color:var(--link);font-weight:600;width:max-content}

.finding>.picture{max-width:none}
.picture>figcaption{font-size:.92rem;margin-bottom:.5rem}
.maps{display:flex;flex-wrap:wrap;gap:.8rem 1rem}
.map{max-width:100%}
.map figcaption{font-size:.85rem;font-weight:600;padding-left:18px}
.map svg,.legend svg{display:block;max-width:100%;height:auto}
.picture rect{fill:var(--c);stroke:var(--line);stroke-width:1}
.picture text{fill:var(--t);font-size:11.5px;text-anchor:middle}
.picture path{stroke:var(--t);stroke-width:1.4}
.picture .odd rect{fill:var(--oops-soft);stroke:var(--oops);stroke-dasharray:3 2}
.picture .odd text{fill:var(--oops);font-weight:700}
.picture text.tick{fill:var(--quiet);font-size:10px}
.picture rect.worst{fill:none;stroke:var(--ink);stroke-width:2.5;pointer-events:none}
.legends{display:flex;flex-wrap:wrap;gap:.6rem 2rem;margin:.7rem 0 0 18px;font-size:.82rem;color:var(--quiet)}
.ends{display:flex;justify-content:space-between}

.scroll{overflow:auto;max-height:88vh;border:1px solid var(--line);border-radius:12px;background:var(--paper);
 box-shadow:var(--shadow)}
table{border-collapse:separate;border-spacing:0;font-size:.92rem}
.class{width:100%}
.class thead{position:sticky;top:0;z-index:3}
.class tfoot{position:sticky;bottom:0;z-index:3}
.class th,.class td{background:var(--paper);border-bottom:1px solid var(--line);padding:.32rem .3rem;text-align:center}
.class thead tr:last-child th{border-bottom:2px solid var(--line)}
.class tfoot th,.class tfoot td{border-bottom:0;border-top:2px solid var(--line)}
.class .file{position:sticky;left:0;z-index:2;text-align:left;font-weight:400;min-width:8rem;max-width:15rem;
 padding-left:1rem;border-right:1px solid var(--line);overflow-wrap:anywhere;line-height:1.3}
.class .lesson{font-size:.8rem;color:var(--quiet);font-weight:600}
.class .first{border-left:1px solid var(--line)}
.class .exercise{vertical-align:bottom;font-weight:600;font-size:.84rem;min-width:2.7rem}
.class .exercise>*{writing-mode:vertical-rl;transform:rotate(180deg);white-space:nowrap;max-height:11.5rem}
.class th button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer;text-align:left}
.class th button:hover{text-decoration:underline}
.class th[aria-sort] button{color:var(--link)}
.class th[aria-sort=ascending] button::after{content:" \\2191"}
.class th[aria-sort=descending] button::after{content:" \\2193"}
.class th.exercise[aria-sort=ascending] button::after{content:" \\2190"}
.class th.exercise[aria-sort=descending] button::after{content:" \\2192"}
.class th.corner{vertical-align:bottom;font-weight:600}
.class .solved{min-width:4rem}
.class td.pass,.class td.fail,.class td.skip,.class td.oops{background:var(--soft);color:var(--tone)}
.class td.todo{color:var(--quiet)}
.class td a{color:inherit;display:block;text-underline-offset:2px}
.class td.problem{text-align:left;padding-left:.8rem;background:repeating-linear-gradient(135deg,
 var(--fail-soft) 0 12px,var(--paper) 12px 13px);color:var(--fail);border-left:1px solid var(--line)}
.class tbody tr:hover th,.class tbody tr:hover .solved{background:var(--sunk)}
.total span,.count span{display:block;background:linear-gradient(var(--pass),var(--pass)) left bottom/var(--share) 3px
 no-repeat,linear-gradient(var(--line),var(--line)) left bottom/100% 3px no-repeat;padding-bottom:4px}
.signs{margin:.6rem 0 0;color:var(--quiet);font-size:.88rem}
.codes{width:100%;background:var(--paper);border:1px solid var(--line);border-radius:12px;overflow:hidden;
 box-shadow:var(--shadow)}
.codes th,.codes td{text-align:left;vertical-align:top;padding:.4rem .8rem}
.codes tbody th,.codes tbody td{border-top:1px solid var(--line)}
.codes thead th{font-size:.82rem;color:var(--quiet)}
.codes tbody .code{color:var(--fail)}
.codes .count{width:4.5rem}
.codes .count span{background:linear-gradient(var(--fail),var(--fail)) left bottom/var(--share) 3px no-repeat}
.codes .places{color:var(--quiet)}
.file{scroll-margin-top:1rem}
details.file{background:var(--paper);border:1px solid var(--line);border-radius:12px;margin-top:.6rem;padding:0 1rem}
details.file[open]{padding-bottom:1rem}
details.file>summary{padding:.6rem 0}
details.file h3{display:inline;font-size:1rem;overflow-wrap:anywhere}
.tally{margin-left:.9rem;font-size:.9rem}
.tally>span{color:var(--tone);margin-right:.5rem;white-space:nowrap}
details.file .cards{margin-top:.8rem;box-shadow:none}
@media (max-width:40rem){
 .card{padding:.45rem .8rem}
 .time,.line .passed{display:none}
 .class .solved{min-width:0;font-size:.84rem}
 .class .file{min-width:6.5rem;max-width:8.2rem;font-size:.84rem;padding-left:.6rem}
 .codes thead{display:none}
 .codes tr{display:grid;grid-template-columns:3.6rem 1fr;border-top:1px solid var(--line);padding:.4rem 0}
 .codes,.codes tbody{display:block}
 .codes tbody tr:first-child{border-top:0}
 .codes tbody th,.codes tbody td{border:0;padding:.1rem .7rem}
 .codes .count{width:auto}
 .codes tbody td:nth-child(n+3){grid-column:1/-1}
}
@media print{
 .unfold,.jump{display:none}
 .scroll{max-height:none;overflow:visible;border:0}
 .class thead,.class tfoot,.class .file{position:static}
 .class{font-size:8pt}
 .class .exercise{min-width:0}
 .cards,section.card,.scroll,.codes{box-shadow:none}
 .maps{flex-wrap:nowrap}
 .map{flex:0 1 auto;min-width:0}
 .picture,.evidence,.hint,.class tr,.codes tr{break-inside:avoid}
 .line{break-after:avoid}
}
"""

_STYLE = _themes() + _CSS

_SCRIPT = """
(function () {
  "use strict";
  const all = (selector, inside) => Array.from((inside || document).querySelectorAll(selector));

  // a link into a folded file unfolds it
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let e = target; e; e = e.parentElement) if (e.matches("details.file")) e.open = true;
    target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (link && link.hash === location.hash) reveal();
  });
  reveal();

  // all files open: at a click, and for the printer
  const files = all("details.file");
  all(".unfold").forEach((unfold) => {
    unfold.hidden = false;
    unfold.addEventListener("click", () => {
      const open = files.some((file) => !file.open);
      files.forEach((file) => { file.open = open; });
      unfold.textContent = open ? "Fold all" : "Unfold all";
    });
  });
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = files.filter((file) => !file.open);
    folded.forEach((file) => { file.open = true; });
  });
  window.addEventListener("afterprint", () => folded.forEach((file) => { file.open = false; }));

  // a click on a column's head sorts the table
  all("th[data-sort]").forEach((head) => {
    const sort = document.createElement("button");
    sort.type = "button";
    sort.append(...head.childNodes);
    head.append(sort);
    sort.addEventListener("click", () => {
      const body = head.closest("table").tBodies[0];
      const column = head.cellIndex;
      const first = head.dataset.sort || "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      const direction = head.getAttribute("aria-sort") === first ? second : first;
      all("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
      const key = (row) => {
        const cell = row.cells[column];
        return cell && cell.colSpan === 1 ? cell.dataset.value || cell.textContent : "9";
      };
      const compare = (a, b) => key(a).localeCompare(key(b), "en", { numeric: true });
      const value = (row) => Number(row.cells[column].dataset.value);
      const order = head.classList.contains("number") ? (a, b) => value(a) - value(b) : compare;
      const sign = direction === "ascending" ? 1 : -1;
      body.append(...Array.from(body.rows).sort((a, b) => sign * order(a, b)));
    });
  });
})();
"""

_TABLE = Template("""
<div class="scroll" tabindex="0" role="region" aria-labelledby="table">
<table class="class">
<thead>
<tr><th class="file lesson" scope="row">Lesson</th><td></td>$groups</tr>
<tr><th class="file corner" scope="col" data-sort>File</th>
<th class="corner solved number" scope="col" data-sort="descending">Solved</th>$heads</tr>
</thead>
<tbody>$rows</tbody>
<tfoot><tr><th class="file" scope="row">Solved by</th><td></td>$totals</tr></tfoot>
</table>
</div>
""")

_CODES_TABLE = Template("""
<table class="codes">
<thead>
<tr><th scope="col">Code</th><th scope="col">Times</th><th scope="col">Meaning</th><th scope="col">Where</th></tr>
</thead>
<tbody>$rows</tbody>
</table>
""")

_UNFOLD = '<button type="button" class="unfold" hidden>Unfold all</button>'
