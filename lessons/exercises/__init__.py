"""The lessons' own exercises, beside those that `minigan.check` has.

Each lesson keeps its exercises in a module ``lessonNN.py``, as a tuple ``EXERCISES``. A module is imported when one of
its exercises is asked for, so a check in lesson 2 does not load the pictures of lesson 12.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lessons.judging import Exercise

_FOLDER = Path(__file__).parent


def modules() -> list[str]:
    """Names of the modules that hold exercises, in the order of the lessons."""
    return sorted(path.stem for path in _FOLDER.glob("lesson[0-9][0-9].py"))


def of_module(name: str) -> tuple[Exercise, ...]:
    """The exercises of one module, such as "lesson02"."""
    found: tuple[Exercise, ...] = importlib.import_module(f"lessons.exercises.{name}").EXERCISES
    return found


def find(name: str) -> Exercise | None:
    """The exercise of this name, or None if no lesson has one."""
    for module in modules():
        if f'"{name}"' in (_FOLDER / f"{module}.py").read_text(encoding="utf-8"):
            for exercise in of_module(module):
                if exercise.name == name:
                    return exercise
    return None


def every() -> dict[str, Exercise]:
    """All exercises of all lessons by name, in the order of the lessons."""
    return {exercise.name: exercise for module in modules() for exercise in of_module(module)}
