"""The op pairs: numeric gradients with random dy, values worked by hand, and mutants that must be caught."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numeric_gradients import away_from_zero, directional_error

from minigan.nn import ops

TOLERANCE = 1e-6


def arguments_of(pair, rng):
    """Three sets of arguments for a pair: all sizes different, odd, N = 1, C = 1, stride 2."""
    normal = rng.standard_normal
    if pair == "dense":
        return [(normal((N, C)), normal((C, O)), normal(O)) for N, C, O in ((5, 3, 4), (1, 2, 6), (4, 1, 1))]
    if pair == "batch_norm":
        return [
            (2 + 3 * normal(s), normal(s[-1]), normal(s[-1]))
            for s in ((3, 4, 5, 2), (1, 3, 2, 4), (6, 1), (2, 1, 1, 3))
        ]
    if pair in ("conv2d", "conv2d_transpose"):
        cases = [
            (2, 5, 6, 3, 4, 3, 2, 1),
            (1, 7, 4, 1, 2, 4, 2, ((1, 2), (1, 1))),
            (3, 3, 5, 2, 1, 2, 1, 0),
            (2, 4, 3, 3, 2, 1, 3, 0),
        ]
        out = []
        for N, H, W, C, O, K, S, pad in cases:
            w = normal((K, K, O, C) if pair == "conv2d_transpose" else (K, K, C, O))
            out.append((normal((N, H, W, C)), w, normal(O), S, pad))
        return out
    return [(away_from_zero(normal(s)),) for s in ((3, 4, 2, 5), (1, 7), (6, 1, 1, 1))]


PAIRS = ("dense", "conv2d", "conv2d_transpose", "batch_norm", "relu", "leaky_relu", "tanh", "sigmoid", "flatten")


def check_pair(forward, backward, pair, seed=0):
    """Largest error over all arguments sets of a pair."""
    rng = np.random.default_rng(seed)
    worst = 0.0
    for arguments in arguments_of(pair, rng):
        arrays = [a for a in arguments if isinstance(a, np.ndarray)]
        rest = arguments[len(arrays) :]
        y, cache = forward(*arguments)
        dy = rng.standard_normal(y.shape)
        gradients = backward(dy, cache)
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        assert len(gradients) == len(arrays)
        worst = max(worst, directional_error(lambda *a, r=rest: forward(*a, *r)[0], arrays, gradients, dy, rng))
    return worst


@pytest.mark.parametrize("pair", PAIRS)
def test_gradients_equal_centred_differences(pair):
    error = check_pair(getattr(ops, f"{pair}_forward"), getattr(ops, f"{pair}_backward"), pair)
    assert error < TOLERANCE


@pytest.mark.thorough
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("seed", range(1, 50))
def test_gradients_over_many_seeds(pair, seed):
    assert check_pair(getattr(ops, f"{pair}_forward"), getattr(ops, f"{pair}_backward"), pair, seed) < TOLERANCE


# Wrong backward functions, as people write them. The check above must find every one of them.
def _bn(change):
    def backward(dy, cache):
        dx, dgamma, dbeta = ops.batch_norm_backward(dy, cache)
        return change(dy, cache, dx, dgamma, dbeta)

    return backward


def _n(c):
    return c.xhat.size // c.xhat.shape[-1]


MUTANTS = {
    "batch_norm: all dx zero": ("batch_norm", _bn(lambda dy, c, dx, dg, db: (0 * dx, dg, db))),
    "batch_norm: no path through the mean": (
        "batch_norm",
        _bn(lambda dy, c, dx, dg, db: (dx + c.gamma * c.inv_std * db / _n(c), dg, db)),
    ),
    "batch_norm: no path through the variance": (
        "batch_norm",
        _bn(lambda dy, c, dx, dg, db: (dx + c.gamma * c.inv_std * c.xhat * dg / _n(c), dg, db)),
    ),
    "batch_norm: gamma forgotten": ("batch_norm", _bn(lambda dy, c, dx, dg, db: (dx / c.gamma, dg, db))),
    "batch_norm: divided by std twice": ("batch_norm", _bn(lambda dy, c, dx, dg, db: (dx * c.inv_std, dg, db))),
    "batch_norm: mean instead of sum in dgamma": ("batch_norm", _bn(lambda dy, c, dx, dg, db: (dx, dg / _n(c), db))),
    "batch_norm: dbeta and dgamma swapped": ("batch_norm", _bn(lambda dy, c, dx, dg, db: (dx, db, dg))),
    "dense: db is a mean": (
        "dense",
        lambda dy, c: (*ops.dense_backward(dy, c)[:2], dy.mean(axis=0)),
    ),
    "dense: dw with the wrong sign": (
        "dense",
        lambda dy, c: (ops.dense_backward(dy, c)[0], -ops.dense_backward(dy, c)[1], dy.sum(axis=0)),
    ),
    "conv2d: kernel flipped in dx": (
        "conv2d",
        lambda dy, c: (ops.conv2d_backward(dy, c._replace(w=c.w[::-1, ::-1]))[0], *ops.conv2d_backward(dy, c)[1:]),
    ),
    "conv2d: dw transposed in space": (
        "conv2d",
        lambda dy, c: (
            ops.conv2d_backward(dy, c)[0],
            ops.conv2d_backward(dy, c)[1].swapaxes(0, 1),
            ops.conv2d_backward(dy, c)[2],
        ),
    ),
    "conv2d: db of the first sample only": (
        "conv2d",
        lambda dy, c: (*ops.conv2d_backward(dy, c)[:2], dy[0].sum(axis=(0, 1))),
    ),
    "conv2d: dx one pixel off": (
        "conv2d",
        lambda dy, c: (np.roll(ops.conv2d_backward(dy, c)[0], 1, axis=1), *ops.conv2d_backward(dy, c)[1:]),
    ),
    "conv2d_transpose: kernel flipped in dx": (
        "conv2d_transpose",
        lambda dy, c: (
            ops.conv2d_transpose_backward(dy, c._replace(w=c.w[::-1, ::-1]))[0],
            *ops.conv2d_transpose_backward(dy, c)[1:],
        ),
    ),
    "conv2d_transpose: dw flipped": (
        "conv2d_transpose",
        lambda dy, c: (
            ops.conv2d_transpose_backward(dy, c)[0],
            ops.conv2d_transpose_backward(dy, c)[1][::-1],
            ops.conv2d_transpose_backward(dy, c)[2],
        ),
    ),
    "leaky_relu: slope 0": ("leaky_relu", lambda dy, c: dy * (c[0] > 0)),
    "leaky_relu: slope 1 - alpha": ("leaky_relu", lambda dy, c: np.where(c[0] > 0, dy, 0.8 * dy)),
    "relu: ignores the sign": ("relu", lambda dy, c: dy),
    "tanh: 1 - y": ("tanh", lambda dy, c: dy * (1 - c)),
    "tanh: ignores dy": ("tanh", lambda dy, c: 1 - c * c),
    "sigmoid: y * (1 + y)": ("sigmoid", lambda dy, c: dy * c * (1 + c)),
    "flatten: Fortran order": ("flatten", lambda dy, c: dy.reshape(c, order="F")),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name):
    pair, backward = MUTANTS[name]
    assert check_pair(getattr(ops, f"{pair}_forward"), backward, pair) > 100 * TOLERANCE


def test_leaky_relu_values():
    y, cache = ops.leaky_relu_forward(np.array([-2.0, 0.0, 3.0]))
    np.testing.assert_allclose(y, [-0.4, 0.0, 3.0])
    np.testing.assert_allclose(ops.leaky_relu_backward(np.ones(3), cache), [0.2, 0.2, 1.0])  # at 0 the slope is 0.2


@given(st.floats(-1e4, 1e4))
def test_sigmoid_does_not_overflow(x):
    y, _ = ops.sigmoid_forward(np.array([x], np.float32))
    assert y.dtype == np.float32
    assert 0 <= y[0] <= 1
    if abs(x) < 30:
        assert y[0] == pytest.approx(1 / (1 + np.exp(-np.float64(np.float32(x)))), abs=1e-7)


def test_flatten_order():
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    y, _ = ops.flatten_forward(x)
    h, w, c = 1, 2, 3
    assert y[1, (h * 4 + w) * 5 + c] == x[1, h, w, c]


def test_batch_norm_normalises_with_the_biased_variance():
    x = np.random.default_rng(0).normal(5, 3, (4, 3, 2, 6))
    y, cache = ops.batch_norm_forward(x, np.full(6, 2.0), np.full(6, -1.0))
    rows = x.reshape(-1, 6)
    np.testing.assert_allclose(y.reshape(-1, 6), 2 * (rows - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-3) - 1)
    np.testing.assert_allclose(cache.variance, rows.var(0))


def test_batch_norm_variance_does_not_cancel():
    """Mean 1000, standard deviation 0.1: E[x^2] - E[x]^2 in float32 would be noise."""
    x = (1000 + 0.1 * np.random.default_rng(0).standard_normal((4096, 1))).astype(np.float32)
    _, variance = ops.batch_moments(x)
    np.testing.assert_allclose(variance, x.astype(np.float64).var(0), rtol=1e-3)


def test_batch_norm_refuses_a_single_value():
    with pytest.raises(ValueError, match=r"at least 2 values per channel, got 1 \(x.shape=\(1, 1, 1, 5\)\)"):
        ops.batch_norm_forward(np.zeros((1, 1, 1, 5)), np.ones(5), np.zeros(5))
    with pytest.raises(ValueError, match=r"got 0 \(x.shape=\(0, 4, 4, 5\)\)"):
        ops.batch_norm_forward(np.zeros((0, 4, 4, 5)), np.ones(5), np.zeros(5))


def test_moving_average_equals_the_first_value_and_forgets_by_half():
    moving, biased, t = ops.moving_average(np.zeros(1), np.zeros(1), 0, np.array([8.0]))
    assert (moving[0], t) == (8.0, 1)
    moving, biased, t = ops.moving_average(moving, biased, t, np.array([2.0]))
    assert moving[0] == pytest.approx((0.25 * 8 + 0.5 * 2) / 0.75)
    assert t == 2
