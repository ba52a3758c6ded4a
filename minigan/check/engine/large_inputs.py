"""Large inputs: a formula that overflows is right for small ones only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from minigan.check.calls.student_functions import Subject, call_backward, call_forward, student_arguments
from minigan.check.exercise_table import Case, Exercise
from minigan.check.numeric import differs, numeric_gradient
from minigan.check.outcomes import Finding, Stop
from minigan.nn.backend import Array
from minigan.nn.losses import LOGIT_MAX, LOGIT_MIN


def check_large_inputs(subject: Subject, case: Case) -> None:
    """Insist that forward is right for large inputs too."""
    exercise, name = subject.exercise, subject.exercise.functions[0]
    dtype, tolerances = (np.float32, (5e-3,)) if exercise.name == "batch_norm" else (np.float64, (1e-6, 0.02))
    with np.errstate(all="ignore"):
        result = subject.call(name, *student_arguments(subject, case, dtype).values(), **case.settings)
        accepted = [np.asarray(oracle(**case.arrays, **case.settings)) for oracle in _oracles(exercise)]
    y: Any = result[0] if isinstance(result, tuple | list) and len(result) == 2 else None
    if np.shape(y) != accepted[0].shape or np.asarray(y).dtype.kind not in "fiu":
        call_forward(subject, case, dtype)  # it breaks the contract; this says how
    y = np.asarray(y, dtype=np.float64)
    if any(not differs(y, a, t) for a, t in zip(accepted, tolerances, strict=False)):
        return
    cause = "exp of a large number is infinity, and log of something rounded to 0 is minus infinity."
    if exercise.name == "batch_norm":
        cause = (
            "in float32 digits are lost where the mean is much larger than the deviation. Is the variance E[x^2] - "
            "mean^2? Subtract the mean before you square."
        )
    elif np.isfinite(y).all():
        cause = "a constant or a clip inside the logarithm hides log(0), so for large inputs the loss stops growing."
    title = f"{name} is right for moderate inputs, but not for large ones"
    raise Stop(_finding(title, name, case, y, accepted[0], cause))


def check_large_gradients(subject: Subject, case: Case) -> None:
    """Insist that backward is finite and right for large inputs too."""
    exercise, name = subject.exercise, subject.exercise.functions[1]
    if exercise.name == "batch_norm":  # there is nothing in its backward that overflows
        return
    forward = call_forward(subject, case)
    dy = np.ones(forward.y.shape)
    with np.errstate(all="ignore"):
        accepted = [
            [
                numeric_gradient(replace(exercise, oracle=oracle), case, argument, dy)
                for argument in exercise.gradients.values()
            ]
            for oracle in _oracles(exercise)
        ]
    try:
        found = call_backward(subject, forward, dy)
    except Stop as stop:
        if stop.finding.code != "E15":
            raise
        title = f"{name} is right for moderate inputs, but NaN or infinite for large ones"
        raise Stop(replace(stop.finding, code="E39", title=title, cause=_OVERFLOW, hints=(_WHICH,))) from None
    for k, label in enumerate(exercise.gradients):
        if all(differs(found[k], right[k], 1e-4) for right in accepted):
            title = f"{name} is right for moderate inputs, but not for large ones"
            raise Stop(_finding(title, f"{name}: {label}", case, found[k], accepted[0][k], ""))


_WHICH = "Which of your exponentials gets a large positive argument?"
_OVERFLOW = "exp of a large number is infinity; infinity times 0, or infinity divided by infinity, is NaN."


def _finding(title: str, where: str, case: Case, yours: Array, right: Array, cause: str) -> Finding:
    """Finding E39, with the place where it is worst."""
    alike = yours.shape == right.shape
    error = np.where(np.isfinite(yours), np.abs(yours - right), np.inf) if alike else np.array([np.inf])
    index = int(np.argmax(error))
    inputs = ", ".join(f"{k} = {np.ravel(a)[min(index, a.size - 1)]:.8g}" for k, a in case.arrays.items())
    told = f"at {inputs}: yours {np.ravel(yours)[min(index, yours.size - 1)]:g}, right {np.ravel(right)[index]:g}"
    hints = () if "float32" in cause else (_WHICH,)
    return Finding("E39", "forward" if ": " not in where else "gradient", title, (told,), cause, hints, where=where)


def _oracles(exercise: Exercise) -> list[Callable[..., Any]]:
    """What is right for large inputs: minigan and Keras clip the logit of a loss, which is right too."""
    return [exercise.oracle, _clipped_bce] if exercise.name == "bce_with_logits" else [exercise.oracle]


def _clipped_bce(z: Array, target: Array) -> Array:
    """Binary cross-entropy with the logit clipped where Keras clips the probability."""
    logit = np.clip(z, LOGIT_MIN, LOGIT_MAX)
    return np.mean(np.maximum(logit, 0) - logit * target + np.log1p(np.exp(-np.abs(logit))))
