"""Laws that every right backward keeps. To test them, no slope has to be measured.

Backward is linear in dy. It treats the samples of a batch one by one, unless the exercise mixes them. Where forward is
linear in x, backward is its adjoint: <forward(x), dy> = <x, dx>.
"""

from __future__ import annotations

import numpy as np

from minigan.check.calls.student_functions import CheckedCall, Forward, Subject, call_backward, call_forward
from minigan.check.exercise_table import Case
from minigan.check.numeric import differs
from minigan.nn.backend import Array


def broken_law(subject: Subject, runs: list[CheckedCall]) -> str:
    """Code of the first law that backward breaks, "" if none. `explain_gradient` may find a more precise one."""
    for forward, dy, gradients in runs:
        if any(np.abs(a).max(initial=0) > 1e-12 for a in call_backward(subject, forward, np.zeros_like(dy))):
            return "E40"
        doubled = call_backward(subject, forward, 2 * dy)
        if any(differs(a, 2 * b, 1e-9) for a, b in zip(doubled, gradients, strict=True)):
            return "E41"
        other = np.sin(1 + np.arange(dy.size)).reshape(dy.shape)
        both, alone = (call_backward(subject, forward, d) for d in (dy + other, other))
        if any(differs(s, a + b, 1e-8) for s, a, b in zip(both, gradients, alone, strict=True)):
            return "E41"
    exercise = subject.exercise
    if exercise.per_sample:
        for forward, dy, gradients in runs:
            if dy.shape[0] > 1 and not _samples_are_apart(subject, forward, dy, gradients):
                return "E42"
    for argument in exercise.linear:
        k = list(exercise.gradients.values()).index(argument)
        for forward, dy, gradients in runs:
            zero = {**forward.case.arrays, argument: np.zeros_like(forward.case.arrays[argument])}
            y, constant = (exercise.oracle(**a, **forward.case.settings) for a in (forward.case.arrays, zero))
            product = np.vdot(y - constant, dy)
            if abs(product - np.vdot(forward.case.arrays[argument], gradients[k])) > 1e-8 * (
                abs(product) + forward.y.size
            ):
                return "E43"
    return ""


def _samples_are_apart(subject: Subject, forward: Forward, dy: Array, gradients: list[Array]) -> bool:
    """Each sample alone gives its own rows of dx; parameters' gradients are sums over the samples."""
    exercise, case = subject.exercise, forward.case
    batch = case.arrays["x"].shape[0]
    sums = [np.zeros_like(g) for g in gradients]
    for n in range(batch):
        one = Case({**case.arrays, "x": case.arrays["x"][n : n + 1]}, case.settings)
        alone = call_backward(subject, call_forward(subject, one), dy[n : n + 1])
        for k, argument in enumerate(exercise.gradients.values()):
            if argument == "x":
                sums[k][n] = alone[k][0]
            else:
                sums[k] += alone[k]
    return not any(differs(s, g, 1e-8) for s, g in zip(sums, gradients, strict=True))
