"""Fused operations give the same numbers as the plain functions, for pieces of any size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.fast.cpu import fused
from minigan.nn import ops


@st.composite
def images(draw):
    shape = (*draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)), draw(st.integers(1, 40)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.standard_normal(shape) + 5, rng


@pytest.fixture(params=[1, 50, 1 << 17], autouse=True)
def piece(request, monkeypatch):
    monkeypatch.setattr(fused, "PIECE", request.param)
    monkeypatch.setattr(fused, "WIDE", min(request.param, 2048))
    if request.param < 100:  # or all arrays here would be too small to be cut
        monkeypatch.setattr(fused, "SMALL", 0)


@given(images())
def test_channel_sum(case):
    x, _ = case
    np.testing.assert_allclose(fused.channel_sum(x), x.sum(axis=tuple(range(x.ndim - 1))), rtol=1e-12)


@given(images())
def test_the_fused_pair_is_the_plain_pair(case):
    x, rng = case
    if x.size == x.shape[-1]:
        return
    gamma, beta, dy = rng.standard_normal(x.shape[-1]), rng.standard_normal(x.shape[-1]), rng.standard_normal(x.shape)
    z, norm = ops.batch_norm_forward(x, gamma, beta, 1e-3)
    y, relu = ops.leaky_relu_forward(z, 0.2)
    dx, dgamma, dbeta = ops.batch_norm_backward(ops.leaky_relu_backward(dy, relu), norm)
    before = x.copy(), dy.copy()
    ours, stats = fused.batch_norm_forward(x, gamma, beta, 1e-3, 0.2)
    grads = fused.batch_norm_backward(dy, x, ours, stats, gamma, 0.2)
    np.testing.assert_allclose(ours, y, atol=1e-9)
    np.testing.assert_allclose(stats[:2], [norm.mean, norm.variance], atol=1e-12)
    for mine, theirs in zip(grads, (dx, dgamma, dbeta), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-7)
    np.testing.assert_array_equal((x, dy), before)
    plain = ops.batch_norm_inference(x, gamma, beta, norm.mean, norm.variance)
    inference = fused.batch_norm_inference(x, gamma, beta, norm.mean, norm.variance, 1e-3, 0.2)
    np.testing.assert_allclose(inference, np.maximum(plain, 0.2 * plain), atol=1e-9)


def test_the_variance_does_not_cancel():
    """A mean of ten thousand standard deviations: E[x^2] - E[x]^2 would be all rounding error in float32."""
    x = np.random.default_rng(0).standard_normal((64, 8, 8, 3)).astype(np.float32) + np.float32(1e4)
    truth = x.astype(np.float64).var(axis=(0, 1, 2))
    _, stats = fused.batch_norm_forward(x, np.ones(3, np.float32), np.zeros(3, np.float32), 1e-3, 0.2)
    np.testing.assert_allclose(stats[1], truth, rtol=1e-3)


def test_slices_cover_everything_in_order():
    for n in (1, 5, 7, 64):
        assert [i for here in fused.spans(n, 7) for i in range(n)[here]] == list(range(n))


def test_add_to_channels():
    x, b = np.ones((3, 4, 5), np.float32), np.arange(5, dtype=np.float32)
    fused.add_to_channels(x, b)
    np.testing.assert_array_equal(x, np.broadcast_to(1 + b, x.shape))


@pytest.mark.parametrize("shape", [(8, 4, 4, 16), (64, 32, 32, 4)])
def test_batch_norm_keeps_its_digits_where_the_mean_is_large(shape):
    """For arrays that are cut and arrays that are not: the mean must be subtracted before anything else is done."""
    rng = np.random.default_rng(0)
    x = (1000 + rng.standard_normal(shape)).astype(np.float32)
    gamma, beta = rng.standard_normal((2, shape[-1])).astype(np.float32)
    y, stats = fused.batch_norm_forward(x, gamma, beta, 1e-3, 0.2)
    z = (x.astype(np.float64) - stats[0]) * (gamma * stats[2]) + beta
    np.testing.assert_allclose(y, np.maximum(z, 0.2 * z), rtol=0, atol=1e-5)
