"""Wrong gradients are named by the first hypothesis that explains every case, right and wrong."""

import numpy as np
import pytest

from minigan.check.calls.student_functions import CheckedCall, Subject, call_backward, call_forward
from minigan.check.engine.ladder import run_exercise
from minigan.check.exercise_table import EXERCISES
from minigan.check.mistakes import gradient_formulas
from minigan.check.mistakes import gradient_patterns as patterns
from minigan.check.mistakes.gradient_evidence import Evidence
from minigan.check.mistakes.wrong_gradients import explain_gradient
from minigan.check.numeric import differs
from minigan.nn import ops


def calls(name, **changes):
    """Minigan's own functions, some gradients changed, called on the smallest cases; the wrong cases of each."""
    exercise, right = EXERCISES[name], []

    def backward(dy, cache):
        found = getattr(ops, f"{name}_backward")(dy, cache)
        right.append(dict(zip(exercise.gradients, found if isinstance(found, tuple) else (found,), strict=True)))
        return tuple(changes[g](right[-1], dy, cache) if g in changes else a for g, a in right[-1].items())

    functions = dict(zip(exercise.functions, (getattr(ops, f"{name}_forward"), backward), strict=True))
    subject, runs, rng = Subject(exercise, functions), [], np.random.default_rng(1)
    for case in sorted(exercise.cases(np.random.default_rng(0)), key=lambda case: case.size)[:4]:
        forward = call_forward(subject, case)
        dy = rng.standard_normal(forward.y.shape)
        runs.append(CheckedCall(forward, dy, call_backward(subject, forward, dy)))
    wrong = {}
    for k, (run, expected) in enumerate(zip(runs, right, strict=True)):
        for gradient, yours in zip(exercise.gradients, run.gradients, strict=True):
            if differs(yours, expected[gradient], 1e-5):
                wrong.setdefault(gradient, []).append(k)
    return subject, runs, wrong


def evidence_of(name, gradient, change):
    subject, runs, wrong = calls(name, **{gradient: change})
    assert list(wrong) == [gradient]
    return [Evidence(subject, runs[k], gradient) for k in wrong[gradient]]


def without_border(named, dy, cache):
    dx = named["dx"].copy()
    dx[:, [0, -1]] = dx[:, :, [0, -1]] = 0
    return dx


PATTERNS = {
    "zeros": ("dense", "dx", lambda g, dy, c: 0 * g["dx"], "E52"),
    "exchanged": ("batch_norm", "dgamma", lambda g, dy, c: g["dbeta"], "E67"),
    "ignores_dy": ("tanh", "dx", lambda g, dy, c: g["dx"] / dy, "E56"),
    "constant_multiple": ("dense", "dw", lambda g, dy, c: g["dw"] / len(dy), "E57"),
    "some_samples": ("dense", "dw", lambda g, dy, c: np.outer(c.x[0], dy[0]), "E64"),
    "turned": ("conv2d", "dw", lambda g, dy, c: g["dw"][::-1, ::-1], "E54"),
    "shifted": ("conv2d", "dx", lambda g, dy, c: np.roll(g["dx"], 1, axis=2), "E55"),
    "reordered": ("dense", "dw", lambda g, dy, c: np.roll(g["dw"], 1), "E53"),
    "one_side": ("leaky_relu", "dx", lambda g, dy, c: np.where(g["dx"] == dy, dy, 7 * dy), "E63"),
    "border": ("conv2d", "dx", without_border, "E65"),
    "one_channel": ("dense", "db", lambda g, dy, c: np.append(g["db"][:1], 5 + g["db"][1:]), "E57"),
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_pattern_is_seen(pattern):
    name, gradient, change, code = PATTERNS[pattern]
    idea = getattr(patterns, pattern)(evidence_of(name, gradient, change))
    assert idea is not None
    assert idea.code == code


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_pattern_is_seen_in_noise(pattern):
    name, gradient, _, _ = PATTERNS[pattern]
    rng = np.random.default_rng(2)
    noisy = evidence_of(name, gradient, lambda g, dy, c: g[gradient] + rng.standard_normal(g[gradient].shape))
    assert getattr(patterns, pattern)(noisy[-2:]) is None


def test_mistakes_of_one_exercise_are_recognised():
    sums = evidence_of("dense", "db", lambda g, dy, c: dy.mean(axis=0))
    assert gradient_formulas.of_the_exercise(sums).code == "E57"
    path = evidence_of("batch_norm", "dx", lambda g, dy, c: g["dx"] + 1)
    assert gradient_formulas.of_the_exercise(path) is None


def test_evidence_is_measured_for_any_dy_and_any_argument():
    evidence, *_ = evidence_of("dense", "dw", lambda g, dy, c: 3 * g["dw"])
    assert evidence.fits(3 * evidence.numeric)
    assert not evidence.fits(evidence.numeric)
    np.testing.assert_allclose(evidence.with_dy(2 * evidence.dy), 2 * evidence.yours)
    np.testing.assert_allclose(3 * evidence.numeric_with_dy(2 * evidence.dy), 2 * evidence.yours, rtol=1e-6)
    np.testing.assert_allclose(evidence.numeric_for("db"), evidence.dy.sum(axis=0), rtol=1e-6)


def test_the_finding_says_what_is_wrong_and_what_is_right():
    subject, runs, wrong = calls("dense", db=lambda g, dy, c: -g["db"])
    finding, picture = explain_gradient(subject, runs, wrong, "", "dense_backward")
    assert finding.code == "E51"
    assert finding.title == "dense_backward: db is wrong in every case tried"
    assert finding.evidence[0] == "dx, dw right"
    assert finding.evidence[1].startswith("100% of db wrong; worst at (")
    assert "it is -1 times the right one: the sign is wrong." in finding.cause
    assert picture is None or picture["name"] == "db"


def test_a_broken_law_is_a_finding_of_its_own():
    subject, runs, wrong = calls("dense")
    finding, picture = explain_gradient(subject, runs, wrong, "E40", "dense_backward")
    assert (finding.code, finding.rung, picture) == ("E40", "algebra", None)


def test_zero_dx_of_batch_norm_is_caught():
    """The popular trap: with dy of ones, or a loss that sums y, the true dx is 0 as well."""
    functions = {
        "batch_norm_forward": ops.batch_norm_forward,
        "batch_norm_backward": lambda dy, c: (0 * dy, *ops.batch_norm_backward(dy, c)[1:]),
    }
    assert run_exercise("batch_norm", functions).finding.code == "E52"


def test_picture_has_the_worst_slice():
    def backward(dy, cache):
        dx, dw, db = ops.conv2d_backward(dy, cache)
        dx = dx.copy()
        dx[0, 1, 2, 0] += 5
        return dx, dw, db

    outcome = run_exercise("conv2d", {"conv2d_forward": ops.conv2d_forward, "conv2d_backward": backward})
    yours, numeric = (np.array(outcome.picture[k]) for k in ("yours", "numeric"))
    assert yours.shape == numeric.shape
    assert np.abs(yours - numeric).max() > 1


def test_a_cause_explains_the_cases_that_pass_too():
    """1/N of the right one, but for batches above 3 only."""
    subject, runs, wrong = calls("dense", dw=lambda g, dy, c: g["dw"] / len(dy))
    assert explain_gradient(subject, runs, wrong, "", "dense_backward")[0].code == "E57"
    subject, runs, wrong = calls("dense", dw=lambda g, dy, c: g["dw"] / (len(dy) if len(dy) > 3 else 1))
    assert len(wrong["dw"]) < len(runs)
    assert "1/N" not in explain_gradient(subject, runs, wrong, "", "dense_backward")[0].cause


def test_a_kernel_reshaped_for_transposed_is_named_backwards_too():
    for exercise in ("conv2d", "conv2d_transpose"):

        def backward(dy, cache, exercise=exercise):
            x, w, stride, pad = cache
            mixed = np.ascontiguousarray(w.reshape(w.shape[3], -1).T.reshape(w.shape))
            b = np.zeros(dy.shape[3] if exercise == "conv2d" else w.shape[2], dy.dtype)
            own = getattr(ops, f"{exercise}_forward")(x, mixed, b, stride, pad)[1]
            right = getattr(ops, f"{exercise}_forward")(x, w, b, stride, pad)[1]
            back = getattr(ops, f"{exercise}_backward")
            return (back(dy, own)[0], *back(dy, right)[1:])

        def forward(x, w, b, stride=1, pad=0, exercise=exercise):
            return getattr(ops, f"{exercise}_forward")(x, w, b, stride, pad)[0], (x, w, stride, pad)

        finding = run_exercise(exercise, {f"{exercise}_forward": forward, f"{exercise}_backward": backward}).finding
        assert (finding.code, finding.where) == ("E53", f"{exercise}_backward: dx")
        assert "reshape is no transpose" in finding.cause
