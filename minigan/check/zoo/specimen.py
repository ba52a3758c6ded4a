"""What a specimen of the bug zoo is, and the shelf that collects those of one exercise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

Function: TypeAlias = Callable[..., Any]


@dataclass(frozen=True)
class Specimen:
    """One implementation of one exercise, wrong or (with no codes) right.

    Parameters
    ----------
    name : str
        The exercise and the mistake: "batch_norm: the path through the variance is forgotten".
    exercise : str
        "dense", "conv2d", "adam", "generator_step", ...
    functions : dict of str to callable
        All functions of the exercise under the names a student's file gives them.
    codes : tuple of str
        Codes that name the mistake, the best one first; empty for a right implementation.
    layout : str
        "NHWC" or "NCHW".
    """

    name: str
    exercise: str
    functions: dict[str, Function]
    codes: tuple[str, ...] = ()
    layout: str = "NHWC"


class Shelf:
    """The specimens of one exercise.

    Every method is a decorator. It takes the name of the specimen and the codes that name the mistake; without codes
    the specimen is right. The functions that a specimen does not replace are the plain ones.

    Parameters
    ----------
    exercise : str
    plain : callable
        Right versions of forward and backward, or of the only function of the exercise.
    layout : str

    Attributes
    ----------
    specimens : list of Specimen
    """

    def __init__(self, exercise: str, *plain: Function, layout: str = "NHWC") -> None:
        self.exercise, self.plain, self.layout = exercise, plain, layout
        self.specimens: list[Specimen] = []

    def forward(self, name: str, *codes: str) -> Function:
        """Decorate a forward function; backward is the plain one."""
        return lambda function: self._add(name, codes, {"forward": function, "backward": self.plain[1]})

    def backward(self, name: str, *codes: str) -> Function:
        """Decorate a backward function; forward is the plain one."""
        return lambda function: self._add(name, codes, {"forward": self.plain[0], "backward": function})

    def pair(self, name: str, *codes: str) -> Function:
        """Decorate a function without arguments that makes forward and backward."""
        return lambda make: self._add(name, codes, dict(zip(("forward", "backward"), make(), strict=True)))

    def step(self, name: str, *codes: str) -> Function:
        """Decorate the function of an exercise that has only one."""
        return lambda function: self._add(name, codes, {"": function})

    def _add(self, name: str, codes: tuple[str, ...], parts: dict[str, Function]) -> Any:
        functions = {_function_name(self.exercise, part): function for part, function in parts.items()}
        for function_name, function in functions.items():
            function.__name__ = function.__qualname__ = function_name  # for messages and tracebacks
        self.specimens.append(Specimen(f"{self.exercise}: {name}", self.exercise, functions, codes, self.layout))


def _function_name(exercise: str, part: str) -> str:
    if part:
        return f"{exercise}_{part}"
    return f"{exercise}_step" if exercise in ("sgd", "momentum", "adam") else exercise
