"""Large inputs: a formula that overflows is right for small ones only."""

from __future__ import annotations

import numpy as np

from minigan.check.calls.student_functions import Subject, student_arguments
from minigan.check.exercise_table import Case
from minigan.check.mistakes import hints
from minigan.check.numeric import differs
from minigan.check.outcomes import Finding, Stop
from minigan.nn.backend import Array
from minigan.nn.losses import LOGIT_MAX, LOGIT_MIN


def check_large_inputs(subject: Subject, case: Case) -> None:
    """Large inputs: a formula that overflows is right for small ones only."""
    exercise, name = subject.exercise, subject.exercise.functions[0]
    with np.errstate(all="ignore"):
        expected = np.asarray(exercise.oracle(**case.arrays, **case.settings))
        accepted = [expected]
        if exercise.name == "bce_with_logits":  # minigan and Keras clip the logit, which is right too
            accepted.append(np.asarray(_clipped_bce(**case.arrays)))
        result = subject.call(name, *student_arguments(subject, case, np.float64).values(), **case.settings)
    y = np.asarray(result[0], dtype=np.float64)
    if y.shape == expected.shape and any(not differs(y, a, t) for a, t in zip(accepted, (1e-6, 0.02), strict=False)):
        return
    error = np.where(np.isfinite(y), np.abs(y - expected), np.inf) if y.shape == expected.shape else np.array([np.inf])
    index = int(np.argmax(error))
    inputs = ", ".join(f"{k} = {np.ravel(a)[min(index, a.size - 1)]:g}" for k, a in case.arrays.items())
    cause = "exp of a large number is infinity, and log of something rounded to 0 is minus infinity."
    if np.isfinite(y).all():
        cause = "a constant or a clip inside the logarithm hides log(0), so for large inputs the loss stops growing."
    raise Stop(
        Finding(
            "E39",
            "forward",
            f"{name} is right for moderate inputs, but not for large ones",
            (f"at {inputs}: yours {np.ravel(y)[min(index, y.size - 1)]:g}, right {np.ravel(expected)[index]:g}",),
            cause,
            hints.filled(("Which of your exponentials gets a large positive argument?",), hints.RESULTS[exercise.name]),
            where=name,
        )
    )


def _clipped_bce(z: Array, target: Array) -> Array:
    """Binary cross-entropy with the logit clipped where Keras clips the probability."""
    logit = np.clip(z, LOGIT_MIN, LOGIT_MAX)
    return np.mean(np.maximum(logit, 0) - logit * target + np.log1p(np.exp(-np.abs(logit))))
