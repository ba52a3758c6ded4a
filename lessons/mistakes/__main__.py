"""The scores of the sweep and of the blind answers: print them, or put them into lessons/README.md with ``--write``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from lessons.mistakes import Right, blind, rows
from lessons.mistakes.sweep import Found, Score, lesson, table

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
                bad += _is_bad(found)
    told = table(scores)
    if options.lesson is None:
        tried = [blind.try_answer(answer) for answer in blind.answers()]
        bad += sum(map(_is_bad, tried))
        told += f"\n\n{blind.table(tried)}"
    print(told)
    if options.write and options.lesson is None:
        text = README.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        README.write_text(f"{before}{BEGIN}\n\n{told}\n\n{END}{after}", encoding="utf-8")
    return 1 if bad else 0


def _is_bad(found: Found) -> bool:
    """Whether a specimen is judged wrongly; if so, say how."""
    if isinstance(found.row, Right):
        fault = "" if found.passed else "FALSE ALARM"
    else:
        fault = "MISSED" if not found.failed else "FALSE CAUSE" if found.false_cause else ""
    if fault:
        print(f"{fault}: {found.row.exercise}, {found.row.name}: {found.cause or 'no cause'}")
    return bool(fault)


if __name__ == "__main__":
    sys.exit(main())
