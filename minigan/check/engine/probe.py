"""Gradients compared with the measured slope along random directions: the last rung of the ladder."""

from __future__ import annotations

import math

import numpy as np

from minigan.check.calls.student_functions import CheckedCall
from minigan.check.exercise_table import Case, Exercise
from minigan.check.numeric import H, slope
from minigan.nn.backend import Array

TOLERANCE = 1e-6
DIRECTIONS = 3


def disagreeing_gradients(
    exercise: Exercise, runs: list[CheckedCall], rng: np.random.Generator, tolerance: float = TOLERANCE
) -> dict[str, list[int]]:
    """The numbers of the cases in which a gradient is wrong, by the gradient's name."""
    wrong: dict[str, list[int]] = {}
    for number, (forward, dy, gradients) in enumerate(runs):
        for (name, argument), gradient in zip(exercise.gradients.items(), gradients, strict=True):
            if not all(
                _direction_agrees(exercise, forward.case, argument, gradient, dy, rng, tolerance)
                for _ in range(DIRECTIONS)
            ):
                wrong.setdefault(name, []).append(number)
    return wrong


def _direction_agrees(
    exercise: Exercise,
    case: Case,
    argument: str,
    gradient: Array,
    dy: Array,
    rng: np.random.Generator,
    tolerance: float,
) -> bool:
    for _ in range(5):
        direction = rng.standard_normal(gradient.shape)
        numeric, half = (slope(exercise, case, argument, direction, dy, h) for h in (H, H / 2))
        scale = abs(numeric) + float(np.linalg.norm(gradient))
        if abs(numeric - half) <= TOLERANCE * max(scale, 1e-3):
            break  # at a kink the two steps disagree: try another direction
    analytic = float(np.vdot(gradient, direction))
    return abs(numeric - analytic) <= tolerance * (scale + abs(analytic)) + 1e-9 * math.sqrt(dy.size)
