"""The contract of a student's function: how many values it returns, of which type, shape and dtype, all of them finite.

The `insist_on_...` functions raise `Stop` with a finding if a returned value breaks the contract; the other two only
make such a finding. `minigan.check.calls.student_functions` uses them after every call.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from minigan.check.calls.wrong_shapes import explain_shape
from minigan.check.exercise_table import Case, Exercise, student_shape
from minigan.check.outcomes import Finding, Stop
from minigan.nn.backend import Array

_DIVISION = "Look for a division by something that can be 0, and for np.empty that is not filled everywhere."
POWER = (
    "a correction is 0 or below. Is it 1 - beta*t? It has to be 1 - beta**t, to the power of t.",
    "With beta = 0.9 and t = 2: what is 1 - beta*t, what 1 - beta**t, and what is the root of each?",
)
_NOT_FINITE = {
    "moving_average": (
        "at t = 0 a correction is 0. Is t increased before 1 - momentum**t is computed?",
        "Look for a division by something that can be 0.",
    ),
}
"""What is probably behind a value that is not finite, and a hint."""

_NO_PLAIN_ARRAY = {
    np.matrix: (
        "np.matrix and np.mat make matrices. These always have two axes, and * means the matrix product for them.",
        "Use np.array or np.asarray, and @ for the matrix product.",
    ),
    np.ma.MaskedArray: ("np.ma makes masked arrays.", "Use np.where(condition, a, b) on plain arrays."),
}
"""Arrays of a kind of their own: how they come about, and a hint."""


def insist_on_array(
    function: str,
    name: str,
    raw: Any,
    shape: tuple[int, ...],
    dtype: Any,
    exercise: Exercise,
    case: Case,
    layout: str,
) -> Array:
    """Insist on an array of this shape and dtype, with finite values."""
    if isinstance(raw, np.generic) and shape == ():
        raw = np.asarray(raw)
    if not isinstance(raw, np.ndarray) or isinstance(raw, np.matrix | np.ma.MaskedArray):
        raise Stop(not_an_array(function, name, raw, f"an array of shape {shape}"))
    if raw.shape != shape:
        raise Stop(explain_shape(function, name, raw.shape, shape, exercise, case, layout))
    if raw.dtype != dtype and not (exercise.name == "adam" and name == "p" and raw.dtype == np.float64):
        # Adam's rate through np.sqrt(1 - beta2**t) is a NumPy float64, as in every textbook; it is accepted.
        raise Stop(
            Finding(
                "E14",
                "contract",
                f"{function}: {name} has dtype {raw.dtype} where the inputs have {np.dtype(dtype)}",
                cause=(
                    "something new in it is float64: np.zeros(shape) is, without a dtype, and so are a mask times 1.0, "
                    "np.where(x > 0, 1, 0.2), and a NumPy scalar such as np.sqrt(2.0)."
                    if raw.dtype == np.float64
                    else "this is the mask itself, not yet multiplied by dy."
                    if raw.dtype == np.bool_
                    else f"a number below 0 to the power of 0.5 is complex in Python: {POWER[0]}"
                    if raw.dtype.kind == "c" and exercise.name == "adam"
                    else "a dtype is written into the code instead of being taken from the input."
                ),
                hints=(
                    POWER[1]
                    if raw.dtype.kind == "c" and exercise.name == "adam"
                    else "Make new arrays with np.zeros(shape, x.dtype) or np.zeros_like(x).",
                ),
                where=f"{function}: {name}",
            )
        )
    if not np.isfinite(raw).all():
        bad = int(np.size(raw) - np.count_nonzero(np.isfinite(raw)))
        cause, hint = _NOT_FINITE.get(exercise.name, ("", _DIVISION))
        if exercise.name == "moving_average" and case.arrays["t"] > 0:
            cause = "a correction is 0. Is it 1 - momentum*t? It has to be 1 - momentum**t, to the power of t."
        raise Stop(
            Finding(
                "E15",
                "contract",
                f"{function}: {name} holds {bad} of {raw.size} values that are NaN or infinite",
                (f"on {case.told(exercise.roles, layout)}",),
                cause,
                (hint,),
                where=f"{function}: {name}",
            )
        )
    return raw


def without_large_integers(raw: Any) -> Any:
    """What was returned; if it is a whole number that is too large for a float, then infinity."""
    return math.inf if isinstance(raw, int) and abs(raw) > sys.float_info.max else raw


def insist_on_number(function: str, raw: Any) -> Array:
    """Insist on a single finite number, which is a loss; return it as a float64 array without axes."""
    raw = without_large_integers(raw)
    is_number = isinstance(raw, int | float | np.number | np.ndarray) and np.asarray(raw).dtype.kind in "biuf"
    if isinstance(raw, bool) or not is_number:
        raise Stop(not_an_array(function, "the loss", raw, "one number"))
    if np.shape(raw) != ():
        raise Stop(
            Finding(
                "E13",
                "contract",
                f"{function}: the loss must be one number, got shape {np.shape(raw)}",
                cause="the mean over the batch is missing, or is taken along one axis only.",
                where=function,
            )
        )
    value = np.asarray(raw, np.float64)
    if not np.isfinite(value):
        raise Stop(Finding("E15", "contract", f"{function}: the loss is {value}", where=function))
    return value


def not_an_array(function: str, name: str, raw: Any, expected: str) -> Finding:
    """Finding E12: a returned value has the wrong type."""
    what = "None" if raw is None else f"a {type(raw).__name__}"
    cause, hint = _NO_PLAIN_ARRAY.get(type(raw), ("", ""))
    title = f"{function}: {name} must be {expected}, got {what}"
    return Finding("E12", "contract", title, (), cause, (hint,) if hint else (), where=f"{function}: {name}")


def wrong_structure(function: str, expected: str, result: Any) -> Finding:
    """Finding E11: a function returns too few or too many values, or None."""
    if result is None:
        got, cause = "None", "the function has no return statement, or one path through it has none."
    elif isinstance(result, tuple | list):
        got, cause = f"a {type(result).__name__} of {len(result)}", ""
    else:
        got, cause = f"a {type(result).__name__}", ""
    return Finding(
        "E11",
        "contract",
        f"{function} must return {expected}, got {got}",
        cause=cause,
        hints=(f"The last line: return {expected.strip('()')}.",),
        where=function,
    )


def insist_on_order(function: str, result: Any, exercise: Exercise, case: Case, layout: str) -> None:
    """Insist on gradients in the order of the exercise; their shapes tell if they come in another one."""
    names = list(exercise.gradients)
    arguments = [exercise.gradients[name] for name in names]
    right = [student_shape(case.arrays[a].shape, exercise.roles.get(a), layout) for a in arguments]
    got = [np.shape(raw) if isinstance(raw, np.ndarray) else None for raw in result]
    if got == right or sorted(map(str, got)) != sorted(map(str, right)) or len(set(right)) < len(right):
        return
    order = ", ".join(names[right.index(shape)] for shape in got if shape is not None)
    raise Stop(
        Finding(
            "E67",
            "contract",
            f"{function} returns its gradients in the wrong order",
            (f"their shapes fit {order}; asked for is {', '.join(names)}",),
            hints=(f"return {', '.join(names)}",),
            where=function,
        )
    )
