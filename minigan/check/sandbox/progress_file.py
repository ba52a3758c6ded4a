"""A student's ``progress.json``: what the lessons have kept of each exercise that passed, to be judged again.

For every exercise it has the source of the functions, or the answer; `lessons/kept_answers.py` writes it. There are no
verdicts in it. `read_progress` takes only what that could have written; sources are run nowhere but in a student's own
process (`minigan.check.sandbox.student_process.functions_of`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minigan.check.exercise_table import EXERCISES
from minigan.check.sandbox import wire
from minigan.system.errors import UserError

FORMAT = "minigan progress 1"
LARGEST_FILE = 20_000_000
MOST_EXERCISES = 500


@dataclass(frozen=True)
class Entry:
    """What is kept of one exercise.

    Parameters
    ----------
    source : str
        Python that defines the functions and all that they need.
    given : list of dict
        What `check` was given: {"function": its name}, or {"answer": ..., "bytes": ...} as `wire.packed` describes it.
    layout : str
    problem : str
        Why it could not be kept, although it passed.
    """

    source: str = ""
    given: list[dict[str, Any]] = field(default_factory=list)
    layout: str = "NHWC"
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {"source": self.source, "given": self.given, "layout": self.layout, "problem": self.problem}


def is_progress(path: Path) -> bool:
    """Whether a file's beginning says that it is one."""
    try:
        with path.open("rb") as file:
            return path.suffix == ".json" and FORMAT.encode() in file.read(200)
    except OSError:
        return False


def read_progress(path: Path) -> dict[str, Entry]:
    """The entries of a file by exercise.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict of str to Entry

    Raises
    ------
    UserError
        If it is no such file.
    """
    content = path.read_bytes() if path.stat().st_size <= LARGEST_FILE else b""
    try:
        data = json.loads(content)
        if data["format"] != FORMAT or len(data["exercises"]) > MOST_EXERCISES:
            raise ValueError
        return {str(name): _entry(told) for name, told in data["exercises"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{path} is no file of progress from the lessons") from None


def _entry(told: Mapping[str, Any]) -> Entry:
    given = list(told["given"])
    for one in given:
        if not isinstance(one, dict) or not ("answer" in one or isinstance(one.get("function"), str)):
            raise ValueError
    texts = [told[name] for name in ("source", "layout", "problem")]
    if not all(isinstance(text, str) for text in texts) or texts[1] not in ("NHWC", "NCHW"):
        raise ValueError
    return Entry(texts[0], given, texts[1], texts[2])


def answer_of(one: Mapping[str, Any]) -> Any:
    """An answer that was given.

    Raises
    ------
    minigan.check.sandbox.wire.WireError
        If it is none.
    """
    try:
        answer = wire.unpacked(one["answer"], base64.b64decode(one.get("bytes", "")))
        if wire.largest_array(answer) > wire.LARGEST_ARRAY:
            raise wire.WireError("an array is too large")
        return answer
    except (ValueError, TypeError) as error:
        raise wire.WireError(str(error)) from None


def function_name(exercise: str, k: int) -> str:
    """Under which name the k-th thing that was given for an exercise is called."""
    names = EXERCISES[exercise].functions if exercise in EXERCISES else ()
    return names[k] if k < len(names) else f"{exercise}/{k}"
