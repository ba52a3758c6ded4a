"""Arguments that may be left out: the function then has to use the exercise's defaults.

A function is called once with all its arguments and once more without each of those that have a default in the
exercise. Both results are the student's own, so a wrong default is told as such, whatever else is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigan.check.calls.student_functions import Subject, as_tuple, student_arguments
from minigan.check.exercise_table import Case
from minigan.check.outcomes import Finding, Stop
from minigan.nn.backend import Array


def insist_on_defaults(subject: Subject, case: Case) -> None:
    """Raise Stop if leaving out an argument is not the same as giving the exercise's default.

    A function that fails at such a call is not judged here: with an argument of its own, or without a default, it
    cannot be mistaken for another one.

    Parameters
    ----------
    subject : Subject
    case : Case
        Its settings that have a default are replaced by it.
    """
    defaults = {name: value for name, value in subject.exercise.arguments().items() if value is not None}
    given = {**case.settings, **defaults}
    whole = _results(subject, case, given) if defaults else None
    for name, default in defaults.items():
        rest = {other: value for other, value in given.items() if other != name}
        short = _results(subject, case, rest)
        if whole is None or short is None or _alike(whole, short):
            continue
        again = _results(subject, case, rest)
        if again is not None and _alike(short, again):  # otherwise every call gives something else
            raise Stop(_wrong_default(subject, name, default, short, whole))


def _results(subject: Subject, case: Case, settings: Mapping[str, Any]) -> list[Array] | None:
    """What the first function returns, without a cache; None if the call fails, or returns something else."""
    exercise = subject.exercise
    arguments = student_arguments(subject, case, np.float64).values()
    try:
        result = subject.call(exercise.functions[0], *arguments, **settings)
    except Stop:
        return None
    results = as_tuple(result)
    if results is None:
        return None
    arrays = results[:1] if exercise.kind == "pair" else results
    if not all(
        isinstance(a, int | float | np.number | np.ndarray) and np.asarray(a).dtype.kind in "biuf" for a in arrays
    ):
        return None
    return [np.asarray(a, np.float64) for a in arrays]


def _alike(one: list[Array], other: list[Array]) -> bool:
    return len(one) == len(other) and not any(map(_differ, one, other))


def _differ(a: Array, b: Array) -> bool:
    return a.shape != b.shape or not _close(a, b).all()


def _close(a: Array, b: Array) -> Array:
    return np.isclose(a, b, rtol=1e-9, atol=0, equal_nan=True)


def _wrong_default(subject: Subject, name: str, default: float, short: list[Array], whole: list[Array]) -> Finding:
    """Finding E17."""
    exercise, function = subject.exercise, subject.exercise.functions[0]
    k = next((k for k, (a, b) in enumerate(zip(short, whole, strict=False)) if _differ(a, b)), 0)
    label = exercise.results[k] if exercise.results else "y"
    a, b = short[k], whole[k]
    if a.shape != b.shape:
        seen = f"{label} is {a.shape} without {name}, and {b.shape} with {name}={default:g}"
    else:
        place = tuple(int(i) for i in np.argwhere(~_close(a, b))[0])
        where = f" at ({', '.join(map(str, place))})" if place else ""
        seen = f"{label}{where}: {a[place]:+.6g} without {name}, {b[place]:+.6g} with {name}={default:g}"
    signature = exercise.signatures[0].split(" -> ")[0]
    return Finding(
        "E17",
        "contract",
        f"{function} has another default for {name} than the exercise",
        (seen,),
        f"the exercise asks for {name}={default:g}; the function's first line says something else.",
        (
            f"What is {name} if the call does not say it?",
            f"The exercise asks for {signature}.",
            f"def {signature}:",
        ),
        where=function,
    )
