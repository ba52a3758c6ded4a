"""Wrong forward results are named by what the known mistakes compute."""

import re

import numpy as np
import pytest

from minigan.check.exercise_table import EXERCISES
from minigan.check.mistakes.hypotheses import Tried
from minigan.check.mistakes.wrong_forwards import explain_forward


def finding_of(name, wrong, layout="NHWC"):
    exercise, tried = EXERCISES[name], []
    for case in exercise.cases(np.random.default_rng(0)):
        right = np.asarray(exercise.oracle(**case.arrays, **case.settings))
        tried.append(Tried(case, np.asarray(wrong(right, **case.arrays, **case.settings)), right))
    return explain_forward(exercise, tried, f"{name}_forward", layout)


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


def test_the_worst_place_is_told_in_the_students_layout():
    def wrong(y, **_):
        y = y.copy()
        y[0, 0, -1, 0] += 100  # channel 0 of the last column of the first row
        return y

    assert re.match(r"worst at \(0, 0, [1-9], 0\): yours", finding_of("conv2d", wrong).evidence[0])
    assert re.match(r"worst at \(0, 0, 0, [1-9]\): yours", finding_of("conv2d", wrong, "NCHW").evidence[0])


def test_a_cause_explains_the_cases_that_pass_too():
    """A bias that is missing for batches of more than two only: no single mistake gives all these numbers."""
    finding = finding_of("dense", lambda y, x, w, b: x @ w if len(x) > 2 else y)
    assert (finding.code, finding.cause) == ("E30", "")


def test_a_cause_that_comes_close_is_not_named():
    """eps = 1e-5 is nearly no eps at all."""

    def wrong(y, x, gamma, beta, eps=1e-3):
        axes = tuple(range(x.ndim - 1))
        return gamma * (x - x.mean(axis=axes)) / np.sqrt(x.var(axis=axes) + 2e-5) + beta

    assert finding_of("batch_norm", wrong).cause == ""


def test_right_numbers_to_seven_digits_are_not_called_numbers_in_wrong_places():
    finding = finding_of("dense", lambda y, x, w, b: y.astype(np.float32).astype(float))
    assert finding.cause == ""


def test_one_factor_for_all_cases():
    assert finding_of("tanh", lambda y, x: 3.3 * y).cause == "it is 3.3 times the right one."
    assert finding_of("tanh", lambda y, x: len(x) * y).cause == "it is N times the right one."
    assert finding_of("tanh", lambda y, x: (2 if x.ndim == 2 else 3) * y).cause == ""


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (lambda z, t, p: -(1 - t.T) * np.log(1 - p), "in the term of the fakes"),
        (lambda z, t, p: -(1 - t) * np.log(1 - p), "every logit is paired"),
    ],
)
def test_a_transposed_target_is_named(second, said):
    def wrong(y, z, target):
        p = 1 / (1 + np.exp(-z))
        if z.shape == (3, 2):
            return y
        first = -target * np.log(p)
        if said.startswith("every"):
            return (np.maximum(z, 0) - z * (target.T if z.ndim > 1 else target) + np.log1p(np.exp(-np.abs(z)))).mean()
        return (first + second(z, target, p)).mean()

    assert said in finding_of("bce_with_logits", wrong).cause


def test_a_loop_that_stops_short_leaves_the_bias_alone():
    def last_row(value):
        def wrong(y, x, w, b, stride, pad):
            y = y.copy()
            y[:, -1] = value(y[:, -1], b)
            return y

        return wrong

    assert "stops one short" in finding_of("conv2d", last_row(lambda y, b: 0 * y + b)).cause
    assert finding_of("conv2d", last_row(lambda y, b: 3 * y)).cause == "only the last row or column is wrong."
