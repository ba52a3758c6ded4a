"""Arguments that may be left out: the function then has to use the exercise's defaults.

A function is called with all its arguments, and again without each of those that have a default in the exercise. Both
results are the student's own, so a wrong default is told as such, whatever else is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigan.check.calls.student_functions import Subject, as_tuple, student_arguments
from minigan.check.exercise_table import Case
from minigan.check.numeric import differs
from minigan.check.outcomes import Finding, Stop
from minigan.nn.backend import Array

_ROUNDED = 1e-6
"""How far apart, as a share of the largest value, two results may be: a default may be written in float32."""


@contextmanager
def minding_defaults(subject: Subject, case: Case) -> Iterator[None]:
    """Around the check of a function's results: a wrong default is told first, and also where they are right."""
    try:
        yield
    except Stop:
        insist_on_defaults(subject, case)
        raise
    insist_on_defaults(subject, case)


def insist_on_defaults(subject: Subject, case: Case) -> None:
    """Raise Stop if leaving out an argument is not the same as giving the exercise's default.

    A function that fails at such a call is not judged here: it may have no default, and then it computes nothing
    wrong. Neither is one whose results change from call to call.

    Parameters
    ----------
    subject : Subject
    case : Case
        Settings that have a default are replaced by it.
    """
    defaults = {name: value for name, value in subject.exercise.arguments().items() if value is not None}
    given = {**case.settings, **defaults}
    whole = _results(subject, case, given) if defaults and subject.asks_defaults else None
    for name, default in defaults.items():
        rest = {other: value for other, value in given.items() if other != name}
        short = _results(subject, case, rest)
        if whole is None or short is None or _alike(whole, short):
            continue
        again, whole_again = _results(subject, case, rest), _results(subject, case, given)
        steady = again is not None and whole_again is not None and _alike(short, again) and _alike(whole, whole_again)
        if steady:
            raise Stop(_wrong_default(subject, name, default, short, whole))


def _results(subject: Subject, case: Case, settings: Mapping[str, Any]) -> list[Array] | None:
    """What the first function returns, without a cache; None if the call fails, or returns something else."""
    exercise = subject.exercise
    arguments = student_arguments(subject, case, np.float64).values()
    try:
        result = subject.call(exercise.functions[0], *arguments, **settings)
    except Stop:
        return None
    results = result if exercise.kind == "pair" or len(exercise.results) > 1 else as_tuple(result)
    count = 2 if exercise.kind == "pair" else len(exercise.results)
    if not isinstance(results, tuple | list) or len(results) != count:
        return None
    numbers = results[:1] if exercise.kind == "pair" else results
    if not all(isinstance(a, int | float | np.number | np.ndarray) for a in numbers):
        return None
    arrays = [np.asarray(a) for a in numbers]
    return [a.astype(np.float64) for a in arrays] if all(a.dtype.kind in "biuf" for a in arrays) else None


def _alike(one: list[Array], other: list[Array]) -> bool:
    return not any(map(_differ, one, other))


def _differ(a: Array, b: Array) -> bool:
    """Whether they differ by more than rounding; NaN is like NaN."""
    if a.shape != b.shape or not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return True
    finite = np.isfinite(a)
    return differs(a[finite], b[finite], _ROUNDED) or not np.array_equal(a[~finite], b[~finite], equal_nan=True)


def _wrong_default(subject: Subject, name: str, default: float, short: list[Array], whole: list[Array]) -> Finding:
    """Finding E17."""
    exercise, function = subject.exercise, subject.exercise.functions[0]
    k = next(k for k, (a, b) in enumerate(zip(short, whole, strict=True)) if _differ(a, b))
    label = exercise.results[k] if exercise.results else "y"
    a, b = short[k], whole[k]
    if a.shape != b.shape:
        seen = f"{label} has the shape {a.shape} without {name}, and {b.shape} with {name}={default:g}"
    else:
        with np.errstate(invalid="ignore"):
            distance = np.where(np.isnan(a) == np.isnan(b), np.nan_to_num(np.abs(a - b), nan=0.0), np.inf)
        place = tuple(int(i) for i in np.unravel_index(int(np.argmax(distance)), a.shape))
        where = f" at ({', '.join(map(str, place))})" if place else ""
        seen = f"{label}{where}: {a[place]:+.6g} without {name}, {b[place]:+.6g} with {name}={default:g}"
    signature = exercise.signatures[0].split(" -> ")[0]
    return Finding(
        "E17",
        "contract",
        f"{function} has another default for {name} than the exercise",
        (seen,),
        f"without {name}, the function uses another value than {default:g}.",
        (
            f"Which value has {name} if the call leaves it out?",
            f"The exercise asks for {signature}.",
            f"def {signature}:",
        ),
        where=function,
    )
