"""Slopes measured by moving the inputs a little: every gradient is compared with them.

>>> import numpy as np
>>> from minigan.check.exercise_table import EXERCISES, Case
>>> case = Case({"x": np.array([[0.5]])})
>>> round(slope(EXERCISES["tanh"], case, "x", np.ones((1, 1)), np.ones((1, 1)), 1e-5), 6)
0.786448
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.check.exercise_table import Case, Exercise
from minigan.nn.backend import Array

H = 1e-5
"""Step of the centred difference: its error, h^2, and rounding, 1e-16 / h, are about equal there."""
MOST_SLOPES = 100_000
"""How many slopes are remembered; some 20 MB."""


def slope(exercise: Exercise, case: Case, argument: str, direction: Array, dy: Array, h: float) -> float:
    """Centred difference of sum(y * dy) along a direction of one argument, by the exercise's oracle.

    Slopes are remembered: with one seed, every file of a class is asked the same questions.
    """
    key = (exercise.oracle, argument, h, _digest(case, direction, dy))
    found = _slopes.get(key)
    if found is None:
        if len(_slopes) >= MOST_SLOPES:
            _slopes.clear()
        found = _slopes[key] = _measured(exercise, case, argument, direction, dy, h)
    return found


_slopes: dict[tuple[Callable[..., Any], str, float, bytes], float] = {}


def _digest(case: Case, *arrays: Array) -> bytes:
    digest = hashlib.blake2b(repr(sorted(case.settings.items())).encode(), digest_size=16)
    for a in (*case.arrays.values(), *arrays):
        digest.update(repr(np.shape(a)).encode())
        digest.update(np.asarray(a, np.float64).tobytes())
    return digest.digest()


def _measured(exercise: Exercise, case: Case, argument: str, direction: Array, dy: Array, h: float) -> float:
    values = []
    for sign in (1, -1):
        arrays = {**case.arrays, argument: case.arrays[argument] + sign * h * direction}
        values.append(float(np.vdot(exercise.oracle(**arrays, **case.settings), dy)))
    return (values[0] - values[1]) / (2 * h)


def numeric_gradient(exercise: Exercise, case: Case, argument: str, dy: Array) -> Array:
    """The gradient for one argument, element by element.

    Parameters
    ----------
    exercise : Exercise
    case : Case
    argument : str
    dy : Array

    Returns
    -------
    Array
        Of the argument's shape, float64, right to about 1e-9.
    """
    gradient = np.zeros_like(case.arrays[argument])
    for index in np.ndindex(gradient.shape):
        direction = np.zeros_like(gradient)
        direction[index] = 1
        gradient[index] = slope(exercise, case, argument, direction, dy, H)
    return gradient


def differs(a: Array, b: Array, tolerance: float) -> bool:
    """Whether two arrays differ by more than a share of the second one's largest value.

    Parameters
    ----------
    a, b : Array
    tolerance : float

    Returns
    -------
    bool
        Also true if shapes differ or one of the two is not finite.
    """
    if a.shape != b.shape:
        return True
    scale = max(float(np.abs(b).max(initial=0)), 1e-3)
    return not (np.isfinite(a).all() and np.abs(a - b).max(initial=0) <= tolerance * scale)
