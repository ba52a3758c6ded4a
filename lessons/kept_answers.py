"""What a student has solved, kept so that a teacher can collect it and judge it again.

In a notebook, each exercise that passes leaves its answer, or the source of its functions, in ``lessons/progress.json``
(or where MINIGAN_LESSONS_PROGRESS says). The file holds no verdicts: ``python -m minigan.check progress.json`` judges
all of it anew (`judge_again`).
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lessons import exercises
from lessons.judging import Verdict, judge
from lessons.kept_layers import NotKeptError, layers_file, text_of
from minigan.check.exercise_table import EXERCISES
from minigan.check.sandbox.progress_file import FORMAT, Entry, read_progress
from minigan.check.sandbox.wire import packed
from minigan.system.atomic_files import write_text
from minigan.system.errors import UserError

_told: set[str] = set()
"""Problems that have been printed: each is said once."""


def progress_file() -> Path:
    """Where progress is kept: beside ``my_layers.py``, or where MINIGAN_LESSONS_PROGRESS says."""
    named = os.environ.get("MINIGAN_LESSONS_PROGRESS")
    return Path(os.path.expanduser(named)) if named else layers_file().with_name("progress.json")  # noqa: PTH111 (no HOME)


def record(name: str, given: Sequence[Any], settings: Mapping[str, Any]) -> None:
    """Keep what has passed its check, if this is a notebook, or MINIGAN_LESSONS_PROGRESS names a file.

    Parameters
    ----------
    name : str
        The exercise.
    given : sequence
        Functions or answers, as `lessons.notebook.check` was given them.
    settings : mapping
        Its settings.
    """
    if not os.environ.get("MINIGAN_LESSONS_PROGRESS") and not _is_notebook():
        return
    path = progress_file()
    try:
        entries = read_progress(path) if path.exists() else {}
        before = entries.get(name)
        entry = _entry(given, settings)
        if before is not None and not before.problem and (entry.problem or len(before.given) > len(entry.given)):
            return  # a forward pass alone, after both passes
        entries[name] = entry
        data = {"format": FORMAT, "exercises": {key: one.to_dict() for key, one in entries.items()}}
        write_text(path, json.dumps(data, indent=1) + "\n")
    except (OSError, UserError) as error:
        if str(error) not in _told:
            _told.add(str(error))
            print(f"(progress is not kept: {error})")


def _is_notebook() -> bool:
    with contextlib.suppress(Exception):
        return sys.modules["IPython"].get_ipython() is not None
    return False


def _entry(given: Sequence[Any], settings: Mapping[str, Any]) -> Entry:
    functions = [one for one in given if callable(one)]
    layout = str(settings.get("layout", "NHWC"))
    try:
        source, names = text_of(functions) if functions else ("", [])
    except NotKeptError as error:
        return Entry(problem=str(error), layout=layout)
    left = iter(names)
    told: list[dict[str, Any]] = []
    for one in given:
        if callable(one):
            told.append({"function": next(left)})
            continue
        description, payload = packed(one)
        if '["thing"' in json.dumps(description):
            return Entry(problem="the answer holds something that cannot be written down", layout=layout)
        told.append({"answer": description, "bytes": base64.b64encode(payload).decode("ascii")})
    return Entry(source=source, given=told, layout=layout)


# -------------------------------------------------------------------------------------------------------------- teacher
def own_exercises() -> dict[str, int]:
    """The lessons' own exercises, beside those of `minigan.check`, and the lesson of each."""
    return {name: exercise.lesson for name, exercise in exercises.every().items() if name not in EXERCISES}


def reference_of(name: str) -> str:
    """The name of the function with which results are compared; "" if an exercise is judged otherwise."""
    exercise = exercises.find(name)
    return getattr(exercise.reference, "__name__", "") if exercise is not None else ""


def judge_again(name: str, given: Sequence[Any], seed: int = 0) -> Verdict:
    """Judge what was collected for one of the lessons' own exercises.

    Parameters
    ----------
    name : str
    given : sequence
        Answers, and functions; those may run in another process.
    seed : int

    Returns
    -------
    Verdict
    """
    exercise = exercises.find(name)
    if exercise is None:
        return Verdict.wrong(f"there is no exercise {name}")
    if not exercise.takes(given, {}):
        return Verdict.wrong(f"what the file keeps of {name} are {len(given)} answers, which is not their number")
    if exercise.judge is None and not callable(given[0]):
        return Verdict.wrong(f"what the file keeps of {name} must be a function, and is none")
    return judge(exercise, list(given), **({} if exercise.judge is not None else {"seed": seed}))
