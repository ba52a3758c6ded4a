"""Calls of a student's functions: in the student's layout, and every exception becomes a finding."""

import numpy as np
import pytest

from minigan.check.calls.student_functions import Subject, call_backward, call_forward, call_rule, student_arguments
from minigan.check.engine.ladder import run_exercise
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import NotYet, Stop
from minigan.nn import losses, ops


def test_a_missing_input_gradient_is_named():
    def generator_step(G, D, optimizer, noise, labels):
        fakes, caches = G.forward(noise, training=True)
        z, d_caches = D.forward(fakes, training=True, update_stats=False)
        loss, cache = losses.bce_with_logits_forward(z, labels)
        G.backward(D.backward(losses.bce_with_logits_backward(1.0, cache), d_caches), caches)
        optimizer.step(G.grads())
        return loss

    finding = run_exercise("generator_step", {"generator_step": generator_step}).finding
    assert finding.code == "E10"
    assert "input_grad=True" in finding.cause
    assert "shapes" not in finding.hints[0]


def subject(name, *functions, layout="NHWC"):
    exercise = EXERCISES[name]
    return Subject(exercise, dict(zip(exercise.functions, functions, strict=False)), layout)


def first_case(name):
    return EXERCISES[name].cases(np.random.default_rng(0))[0]


def not_written_yet(x):
    raise NotImplementedError


@pytest.mark.parametrize("functions", [(), (not_written_yet,)])
def test_what_is_missing_is_no_mistake(functions):
    with pytest.raises(NotYet):
        subject("relu", *functions).call("relu_forward", np.zeros(3))


def fails(x):
    y = x + 1
    return y[len(y)]


def leaves(x):
    raise SystemExit("done")


@pytest.mark.parametrize(
    ("function", "code", "title", "evidence"),
    [
        (fails, "E10", "relu_forward raises IndexError: index 3 is out of bounds", ": return y[len(y)]"),
        (leaves, "E10", "relu_forward calls sys.exit: done", ': raise SystemExit("done")'),
        (lambda: None, "E16", "relu_forward cannot be called with the exercise's arguments", "relu_forward(...)"),
    ],
)
def test_an_exception_becomes_a_finding(function, code, title, evidence):
    with pytest.raises(Stop) as stopped:
        subject("relu", function).call("relu_forward", np.zeros(3))
    assert stopped.value.finding.code == code
    assert stopped.value.finding.title.startswith(title)
    assert evidence in stopped.value.finding.evidence[0]


def test_ctrl_c_is_no_finding():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        subject("relu", interrupted).call("relu_forward", np.zeros(3))


def test_arguments_are_copies_in_the_students_layout_and_dtype():
    case = first_case("conv2d")
    N, H, W, C = case.arrays["x"].shape
    given = student_arguments(subject("conv2d", layout="NCHW"), case, np.float32)
    assert given["x"].shape == (N, C, H, W)
    np.testing.assert_array_equal(given["x"][1, 0], case.arrays["x"][1, :, :, 0].astype(np.float32))
    assert given["w"].shape == case.arrays["w"].shape[::-1][:2] + case.arrays["w"].shape[:2]
    assert given["x"].dtype == np.float32
    given = student_arguments(subject("conv2d"), case, np.float64)
    assert not any(np.shares_memory(given[name], a) for name, a in case.arrays.items())


def nchw_forward(x, w, b, stride=1, pad=0):
    """A convolution in the other layout, by minigan's own."""
    y, cache = ops.conv2d_forward(x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0), b, stride, pad)
    return y.transpose(0, 3, 1, 2), cache


def nchw_backward(dy, cache):
    dx, dw, db = ops.conv2d_backward(dy.transpose(0, 2, 3, 1), cache)
    return dx.transpose(0, 3, 1, 2), dw.transpose(3, 2, 0, 1), db


def test_results_come_back_in_minigans_layout():
    case, seen = first_case("conv2d"), []
    for layout, functions in (
        ("NHWC", (ops.conv2d_forward, ops.conv2d_backward)),
        ("NCHW", (nchw_forward, nchw_backward)),
    ):
        student = subject("conv2d", *functions, layout=layout)
        forward = call_forward(student, case)
        dy = np.random.default_rng(1).standard_normal(forward.y.shape)
        seen.append([forward.y, *call_backward(student, forward, dy)])
    for a, b in zip(*seen, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("function", "code"),
    [(lambda p, g, lr: None, "E11"), (lambda p, g, lr: (p, g), "E11"), (lambda p, g, lr: 1, "E12")],
)
def test_results_of_a_rule_keep_the_contract(function, code):
    case = first_case("sgd")
    (found,) = call_rule(subject("sgd", lambda p, g, lr: p - lr * g), case, case.arrays, np.float64)
    np.testing.assert_array_equal(found, case.arrays["p"] - case.settings["lr"] * case.arrays["g"])
    with pytest.raises(Stop) as stopped:
        call_rule(subject("sgd", function), case, case.arrays, np.float64)
    assert stopped.value.finding.code == code
