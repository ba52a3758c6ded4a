"""A sweep of typical answers, wrong and right, through every exercise: what the course says to each of them.

A specimen is a patch: `Wrong` or `Right`, an exercise, a name, and ``old -> new`` on the text of the exercise's
solution in ``lessons/src``. So it stays one row, and it is noticed when it no longer fits its lesson: `old` has to
occur exactly once. Each module ``answersNN`` has the rows of one lesson; `lessons.mistakes.sweep` tries them, and

    python -m lessons.mistakes            prints the score,
    python -m lessons.mistakes --write    puts it into lessons/README.md.

A wrong answer is *caught* if it does not pass, and *named* if what is told has the row's words: a cause, or the shape,
the exception, the wrong answer itself where that says it all. A *false cause* is one that is told although it is not
the row's: the student looks for a mistake that is not there. A *false alarm* is a right answer that does not pass.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import NamedTuple


class Wrong(NamedTuple):
    """A wrong answer that people give.

    Parameters
    ----------
    exercise : str
        As in ``check(exercise, ...)``.
    name : str
        What is wrong, in a few words; no other row of the exercise has it.
    old, new : str
        What to replace in the text of the solution, and by what.
    cause : str
        Words that are to be told; "" if it is to be caught without a cause.
    """

    exercise: str
    name: str
    old: str
    new: str
    cause: str = ""


class Right(NamedTuple):
    """A right answer in another style; as `Wrong`, without a cause."""

    exercise: str
    name: str
    old: str
    new: str


Row = Wrong | Right


def rows() -> dict[int, tuple[Row, ...]]:
    """All rows, by lesson."""
    modules = sorted(path.stem for path in Path(__file__).parent.glob("answers[0-9][0-9].py"))
    return {int(name[-2:]): importlib.import_module(f"lessons.mistakes.{name}").ROWS for name in modules}
