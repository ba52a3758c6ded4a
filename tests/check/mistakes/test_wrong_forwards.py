"""Wrong forward results are named by what the known mistakes compute."""

import re

import numpy as np
import pytest

from minigan.check.exercise_table import EXERCISES
from minigan.check.mistakes.wrong_forwards import explain_forward


def finding_of(name, wrong, layout="NHWC"):
    exercise, failures = EXERCISES[name], []
    for case in exercise.cases(np.random.default_rng(0)):
        right = np.asarray(exercise.oracle(**case.arrays, **case.settings))
        y = np.asarray(wrong(right, **case.arrays, **case.settings))
        if not np.allclose(y, right):
            failures.append((case, y, right))
    return explain_forward(exercise, failures, f"{name}_forward", layout)


@pytest.mark.parametrize(
    ("name", "wrong", "code"),
    [
        ("dense", lambda y, x, w, b: x @ w, "E32"),
        ("tanh", lambda y, x: 2 * y, "E34"),
        ("flatten", lambda y, x: np.sort(y, axis=None).reshape(y.shape), "E38"),
        ("sigmoid", lambda y, x: y + np.sin(99 * x), "E30"),
    ],
)
def test_the_mistake_is_named(name, wrong, code):
    finding = finding_of(name, wrong)
    assert (finding.code, finding.rung, finding.where) == (code, "forward", f"{name}_forward")
    assert bool(finding.cause) == (code != "E30")
    assert len(finding.hints) == 3


def test_the_worst_place_is_told_in_the_students_layout():
    def wrong(y, **_):
        y = y.copy()
        y[0, 0, -1, 0] += 100  # channel 0 of the last column of the first row
        return y

    assert re.match(r"worst at \(0, 0, [1-9], 0\): yours", finding_of("conv2d", wrong).evidence[0])
    assert re.match(r"worst at \(0, 0, 0, [1-9]\): yours", finding_of("conv2d", wrong, "NCHW").evidence[0])
