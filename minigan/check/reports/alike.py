"""Passages that two students' files have in common, though neither the lessons nor the template have them.

Code is compared as a row of tokens in which every name of the writer's own is the same token, and comments, texts and
layout are gone: renaming and reformatting change nothing. Runs of `RUN` equal tokens count, unless they occur in what
everybody is given: the template, the lessons, minigan's own layers. Whether two people worked together or copied, only
a person who looks at both passages can say.
"""

from __future__ import annotations

import builtins
import importlib.util
import io
import keyword
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from minigan.check.outcomes import FileReport
from minigan.check.sandbox.progress_file import read_progress
from minigan.check.student_template import render_template
from minigan.system.errors import UserError

RUN = 30
"""Tokens: some three lines. Shorter passages are alike by nature."""
LEAST = 90
"""Tokens that two files must have in common, in all such runs together, to be named."""
COMMON = 5
"""What more than half of a class has, and at least so many files, was probably taught: it is left out."""
MOST_TOKENS = 200_000
SHOWN_LINES = 40

_SKIPPED = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
_OWN = "name"
_GIVEN = {*keyword.kwlist, *dir(builtins), "np", "numpy"}


@dataclass(frozen=True)
class Passage:
    """Lines of a file, with the first one's number."""

    line: int
    text: str


@dataclass(frozen=True)
class Alike:
    """Two files with passages in common.

    Parameters
    ----------
    first, second : int
        Numbers of the reports, from 0.
    tokens : int
        How many tokens they have in common.
    share : float
        As a share of the smaller file's tokens that are not given to everybody, 0 to 1.
    passages : tuple of (Passage, Passage)
        The longest first.
    """

    first: int
    second: int
    tokens: int
    share: float
    passages: tuple[tuple[Passage, Passage], ...]


@dataclass(frozen=True)
class _Text:
    tokens: tuple[str, ...]
    lines: tuple[int, ...]  # of each token
    units: tuple[int, ...]  # of each token: which statement of the file's top level it belongs to
    source: tuple[str, ...]


def alike(reports: Sequence[FileReport]) -> list[Alike]:
    """Pairs of files, of different students, that have passages in common.

    Parameters
    ----------
    reports : sequence of FileReport
        Each with its file's path and its student.

    Returns
    -------
    list of Alike
        The largest share first. Files that cannot be read as Python are left out.
    """
    texts = [_text(_source(report.path)) for report in reports]
    given = _given()
    places = [_runs(text, given) for text in texts]
    count = Counter(run for found in places for run in found)
    common_to_most = {run for run, files in count.items() if files >= COMMON and files > len(reports) / 2}
    places = [{run: k for run, k in found.items() if run not in common_to_most} for found in places]
    own = [_covered(text, list(found.values())) for text, found in zip(texts, places, strict=True)]
    pairs = []
    for i in range(len(reports)):
        for j in range(i):
            if reports[i].student == reports[j].student and reports[i].student:
                continue
            common = places[i].keys() & places[j].keys()
            if not common:
                continue
            starts = sorted(places[j][run] for run in common)
            tokens = _covered(texts[j], starts)
            share = tokens / max(min(own[i], own[j]), 1)
            if tokens >= LEAST:
                passages = _passages(texts[j], texts[i], {places[j][run]: places[i][run] for run in common})
                pairs.append(Alike(j, i, tokens, min(share, 1.0), passages))
    return sorted(pairs, key=lambda pair: (-pair.share, pair.first, pair.second))


def copied(path: str) -> list[str]:
    """The functions of a file that have a long passage of minigan's own layers, which no lesson shows.

    Parameters
    ----------
    path : str

    Returns
    -------
    list of str
        Names of functions of the file's top level. Names of variables, comments and layout are not compared.
    """
    text = _text(_source(path))
    there: dict[int, list[int]] = {}  # statement to where its runs begin
    own = _own_layers()
    for k in range(len(text.tokens) - RUN + 1):
        if text.units[k] == text.units[k + RUN - 1] and hash(text.tokens[k : k + RUN]) in own:
            there.setdefault(text.units[k], []).append(k)
    found = []
    for unit, starts in there.items():
        line = text.source[text.lines[text.units.index(unit)] - 1]
        name = re.match(r"(?:async\s+)?def\s+(\w+)", line)
        if name and _covered(text, starts) >= LEAST:
            found.append(name[1])
    return found


def _source(path: str) -> str:
    """The Python in a file of layers or of progress; "" if there is none."""
    file = Path(path)
    try:
        if file.suffix == ".json":
            return "\n".join(entry.source for entry in read_progress(file).values())
        with tokenize.open(file) as opened:
            return opened.read(2_000_000)
    except (OSError, UserError, SyntaxError, UnicodeDecodeError, LookupError):
        return ""


def _text(source: str) -> _Text:
    tokens: list[str] = []
    lines: list[int] = []
    units: list[int] = []
    unit, depth, after_dot, begins = 0, 0, False, True
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            depth += {tokenize.INDENT: 1, tokenize.DEDENT: -1}.get(token.type, 0)
            begins = begins or token.type == tokenize.NEWLINE
            if token.type in _SKIPPED or token.type == tokenize.STRING:
                continue
            unit += begins and depth == 0
            begins = False
            is_own = token.type == tokenize.NAME and token.string not in _GIVEN and not after_dot
            tokens.append(_OWN if is_own else token.string)
            lines.append(token.start[0])
            units.append(unit)
            after_dot = token.string == "."
            if len(tokens) >= MOST_TOKENS:
                break
    except (tokenize.TokenError, SyntaxError, RecursionError, UnicodeError):
        pass  # what came before it counts
    return _Text(tuple(tokens), tuple(lines), tuple(units), tuple(source.splitlines()))


def _runs(text: _Text, without: Iterable[int] = ()) -> dict[int, int]:
    """Every run of `RUN` tokens, as a hash, and where it first begins; those of `without` are left out.

    A run lies in one statement of the top level, such as a function.
    """
    left_out = without if isinstance(without, set | frozenset) else set(without)
    found: dict[int, int] = {}
    for k in range(len(text.tokens) - RUN + 1):
        if text.units[k] != text.units[k + RUN - 1]:
            continue
        key = hash(text.tokens[k : k + RUN])
        if key not in left_out:
            found.setdefault(key, k)
    return found


def _covered(text: _Text, starts: Sequence[int]) -> int:
    """How many tokens lie in runs that begin there."""
    covered, end = 0, 0
    for start in sorted(starts):
        covered += max(start + RUN - max(start, end), 0)
        end = start + RUN
    return covered


def _passages(one: _Text, other: _Text, places: dict[int, int]) -> tuple[tuple[Passage, Passage], ...]:
    """Neighbouring runs joined to passages, the longest first."""
    joined: list[list[int]] = []  # first and last run's start, in both texts
    for start in sorted(places):
        there = places[start]
        if joined and start - joined[-1][1] == there - joined[-1][3] and start - joined[-1][1] <= RUN:
            joined[-1][1], joined[-1][3] = start, there
        else:
            joined.append([start, start, there, there])
    joined.sort(key=lambda span: span[0] - span[1])
    return tuple((_cut(one, a, b + RUN), _cut(other, c, d + RUN)) for a, b, c, d in joined[:3])


def _cut(text: _Text, start: int, end: int) -> Passage:
    first, last = text.lines[start], text.lines[end - 1]
    lines = text.source[first - 1 : min(last, first - 1 + SHOWN_LINES)]
    return Passage(first, "\n".join(line[:160] for line in lines))


@cache
def _given() -> frozenset[int]:
    """The runs of what everybody is given: the template, the lessons and their solutions, minigan's own layers."""
    return _of_lessons() | _of_minigan()


def _own_layers() -> frozenset[int]:
    return _of_minigan() - _of_lessons()


@cache
def _of_minigan() -> frozenset[int]:
    own = Path(__file__).resolve().parents[2]
    return _all_runs([*sorted((own / "nn").rglob("*.py")), *sorted((own / "gan").glob("*.py"))])


@cache
def _of_lessons() -> frozenset[int]:
    """The runs of the template, and of the lessons with their solutions."""
    files: list[Path] = []
    lessons = importlib.util.find_spec("lessons")
    for place in lessons.submodule_search_locations or () if lessons is not None else ():
        for folder in ("src", "exercises"):
            files += sorted(Path(place, folder).glob("*.py"))
    return _all_runs(files) | frozenset(_runs(_text(render_template())))


def _all_runs(files: Iterable[Path]) -> frozenset[int]:
    return frozenset(run for path in files for run in _runs(_text(path.read_text(encoding="utf-8"))))
