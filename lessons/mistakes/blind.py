"""The blind answers: wrong and right ones by somebody who had not read the rules, and what is said to them.

The sweep's rows and the checks are written by the same hands. These answers are not: they were written from the texts
of the exercises alone. ``blind_answers.txt`` has them, each with its true mistake, with how it was judged when it was
first tried, and with the words that are told today.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lessons.mistakes import Right, Row, Wrong
from lessons.mistakes.sweep import Found, RowError, Score, lesson, score_table

FILE = Path(__file__).with_name("blind_answers.txt")

FIRST_TRIED = "28 November 2026"

VERDICTS = ("true cause", "false cause", "no cause", "passed")
"""How an answer was judged when it was first tried: a wrong one by the first three, a right one by the last."""


@dataclass(frozen=True)
class Answer:
    """One answer.

    Parameters
    ----------
    lesson : int
    row : Wrong or Right
        Its `new` is the whole text of the answer.
    given : str
        What ``check(exercise, ...)`` is given, as it is written in a notebook.
    first : str
        One of `VERDICTS`.
    """

    lesson: int
    row: Row
    given: str
    first: str


@functools.cache
def answers() -> tuple[Answer, ...]:
    """All answers, in the order in which they were written.

    Raises
    ------
    RowError
        If the file has an answer without its mistake, its first verdict or its words.
    """
    _, *sections = FILE.read_text(encoding="utf-8").split("\n## ")[1:]  # the first one explains the form
    return tuple(map(_answer, sections))


def _answer(section: str) -> Answer:
    head, *lines = section.splitlines()
    number, exercise, given = (part.strip() for part in head.replace("|", ",", 1).split(",", 2))
    notes: dict[str, str] = {}
    while lines and lines[0].startswith("# "):
        key, _, value = lines.pop(0).removeprefix("# ").partition(":")
        notes[key] = value.strip()
    text = "\n".join(lines).strip() + "\n"
    first = notes.get("first", "")
    if notes.keys() == {"style", "first"} and first == "passed":
        return Answer(int(number), Right(exercise, notes["style"], "", text), given, first)
    if notes.keys() == {"mistake", "first", "told"} and first in VERDICTS[:3]:
        return Answer(int(number), Wrong(exercise, notes["mistake"], "", text, notes["told"]), given, first)
    raise RowError(f"{FILE.name}, {exercise}: the notes are {notes}")


def try_answer(answer: Answer) -> Found:
    """Run an answer beside its lesson's other solutions, and check it."""
    given = tuple(name.strip() for name in answer.given.split(","))
    return lesson(answer.lesson).try_text(answer.row, answer.row.new, given)


def first_score() -> Score:
    """What was counted when the answers were first tried: all wrong ones were caught, and all right ones passed."""
    score = Score()
    for answer in answers():
        if isinstance(answer.row, Right):
            score.right += 1
        else:
            score.wrong += 1
            score.caught += 1
            score.named += answer.first == "true cause"
            score.false_causes += answer.first == "false cause"
    return score


def table(found: Iterable[Found]) -> str:
    """The first score and today's as a table in Markdown."""
    today = Score()
    for one in found:
        today.add(one)
    return score_table("blind answers", {f"first tried, {FIRST_TRIED}": first_score(), "today": today})
