"""Right arithmetic in float32 passes with a note; what is nearly right does not pass."""

import numpy as np
import pytest

from minigan.check.engine import precision
from minigan.check.engine.ladder import run_exercise
from minigan.nn import ops

SINGLE = np.float32


def rounded(a):
    return a.astype(SINGLE).astype(a.dtype)


def dense_forward(x, w, b):
    return x @ w + b, (x, w)


def dense_backward(dy, cache):
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


def bce_forward(z, target, eps=0.0):
    loss = np.maximum(z, 0) - z * target + np.log1p(np.exp(-np.abs(z)))
    return loss.astype(SINGLE).astype(z.dtype).mean(), (z, target)


def bce_backward(dloss, cache):
    z, target = cache
    return rounded(ops.sigmoid_forward(z)[0] - target) * dloss / z.size


def norm_forward(x, gamma, beta, eps=1e-3):
    axes = tuple(range(x.ndim - 1))
    s = np.sqrt(x.var(axis=axes) + eps)
    xhat = rounded((x - x.mean(axis=axes)) / s)
    return gamma * xhat + beta, (xhat, gamma, s)


def norm_backward(dy, cache):
    xhat, gamma, s = cache
    axes = tuple(range(dy.ndim - 1))
    dx = gamma / s * (dy - dy.mean(axis=axes) - xhat * (dy * xhat).mean(axis=axes))
    return dx, (dy * xhat).sum(axis=axes), dy.sum(axis=axes)


def sgd_step(p, g, lr):
    return (p - SINGLE(lr) * g.astype(SINGLE)).astype(p.dtype)


IN_SINGLE = {
    "a rounded result": ("dense", lambda *a: (rounded(dense_forward(*a)[0]), a[:2]), dense_backward),
    "rounded inputs": ("dense", lambda x, w, b: dense_forward(rounded(x), rounded(w), b), dense_backward),
    "backward": ("dense", dense_forward, lambda dy, c: dense_backward(rounded(dy), tuple(map(rounded, c)))),
    "a rounded cache": ("tanh", lambda x: (np.tanh(x), rounded(np.tanh(x))), lambda dy, y: dy * (1 - y**2)),
    "a loss": ("bce_with_logits", bce_forward, bce_backward),
    "a normalisation": ("batch_norm", norm_forward, norm_backward),
    "an update": ("sgd", sgd_step),
}


TOO_LITTLE_TO_NOTE = ("a rounded cache", "an update")
"""Here the error may stay below what a right result is allowed."""


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", IN_SINGLE)
def test_float32_inside_passes_with_a_note(name, seed):
    exercise, *functions = IN_SINGLE[name]
    ends = ("_forward", "_backward") if len(functions) == 2 else ("_step",)
    outcome = run_exercise(exercise, {exercise + end: f for end, f in zip(ends, functions, strict=True)}, seed=seed)
    assert outcome.finding is None
    assert outcome.status == "passed"
    assert outcome.note in (["", precision.NOTE] if name in TOO_LITTLE_TO_NOTE else [precision.NOTE])


def test_float64_has_no_note():
    assert run_exercise("dense", {"dense_forward": dense_forward, "dense_backward": dense_backward}).note == ""


@pytest.mark.parametrize("eps", [1e-6, 1e-7, 1e-8])
def test_a_formula_that_is_nearly_right_does_not_pass(eps):
    def forward(z, target):
        p = 1 / (1 + np.exp(-z))
        return -(target * np.log(p + eps) + (1 - target) * np.log(1 - p + eps)).mean(), (z, target)

    outcome = run_exercise("bce_with_logits", {"bce_with_logits_forward": forward})
    assert (outcome.status, outcome.finding.code) == ("failed", "E39")


def test_a_wrong_formula_in_float32_is_wrong():
    wrong = {"dense_forward": lambda x, w, b: (rounded(x @ w), None), "dense_backward": dense_backward}
    assert run_exercise("dense", wrong).status == "failed"
    half = {"dense_forward": dense_forward, "dense_backward": lambda dy, c: dense_backward(rounded(dy / 2), c)}
    assert run_exercise("dense", half).status == "failed"


def test_steps_are_told_from_a_smooth_curve():
    x, rng = np.linspace(0.3, 2, 5), np.random.default_rng(0)
    assert precision.moves_in_steps(lambda inputs: [rounded(np.exp(inputs[0]))], [x], rng)
    assert not precision.moves_in_steps(lambda inputs: [np.exp(inputs[0]) * (1 + 1e-7)], [x], rng)
