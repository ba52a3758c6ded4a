"""The score of the sweep: print it, or put it into lessons/README.md with ``--write``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from lessons.mistakes import Right, Wrong, rows
from lessons.mistakes.sweep import Score, lesson, table

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- the sweep: python -m lessons.mistakes --write -->", "<!-- end of the sweep -->"


def main(arguments: list[str] | None = None) -> int:
    """Try all specimens; exit status 1 if one is missed, gets a false cause, or is a false alarm."""
    parser = argparse.ArgumentParser("python -m lessons.mistakes", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the score into lessons/README.md")
    parser.add_argument("--lesson", type=int, help="this lesson only")
    options = parser.parse_args(arguments)
    os.environ.setdefault("MINIGAN_LESSONS_FAST", "1")
    scores: dict[int, Score] = {}
    bad = 0
    for number, specimens in rows().items():
        if options.lesson in (None, number):
            scores[number] = Score()
            for row in specimens:
                found = lesson(number).try_row(row)
                scores[number].add(found)
                fault = _fault(row, found.passed, found.failed, found.false_cause)
                bad += bool(fault)
                if fault:
                    print(f"{fault}: {row.exercise}, {row.name}: {found.cause or 'no cause'}")
    print(table(scores))
    if options.write and options.lesson is None:
        text = README.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        README.write_text(f"{before}{BEGIN}\n\n{table(scores)}\n\n{END}{after}", encoding="utf-8")
    return 1 if bad else 0


def _fault(row: Wrong | Right, passed: bool, failed: bool, false_cause: bool) -> str:
    if isinstance(row, Right):
        return "" if passed else "FALSE ALARM"
    return "MISSED" if not failed else "FALSE CAUSE" if false_cause else ""


if __name__ == "__main__":
    sys.exit(main())
