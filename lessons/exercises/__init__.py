"""The lessons' own exercises, beside those that `minigan.check` has.

Each lesson keeps its exercises in a module ``lessonNN.py``, as a tuple ``EXERCISES``. A module is imported when one of
its exercises is asked for, so a check in lesson 2 does not load the pictures of lesson 12.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lessons.judging import Exercise


def modules() -> list[str]:
    """Names of the modules that hold exercises, in the order of the lessons."""
    return sorted(name for _, name, _ in pkgutil.iter_modules(__path__) if re.fullmatch(r"lesson\d\d", name))


def of_module(name: str) -> tuple[Exercise, ...]:
    """The exercises of one module, such as "lesson02"."""
    found: tuple[Exercise, ...] = importlib.import_module(f"lessons.exercises.{name}").EXERCISES
    return found


def find(name: str) -> Exercise | None:
    """The exercise of this name, or None if no lesson has one."""
    for module in modules():
        if f'"{name}"' in _source(module):
            for exercise in of_module(module):
                if exercise.name == name:
                    return exercise
    return None


def _source(module: str) -> str:
    """A module's text, also where the exercises are packed (`lessons.hand_out`)."""
    spec = importlib.util.find_spec(f"{__name__}.{module}")
    get_source = getattr(spec and spec.loader, "get_source", None)
    return "" if get_source is None else get_source(f"{__name__}.{module}") or ""


def every() -> dict[str, Exercise]:
    """All exercises of all lessons by name, in the order of the lessons."""
    return {exercise.name: exercise for module in modules() for exercise in of_module(module)}
