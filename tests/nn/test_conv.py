"""The convolution primitives: every kernel against the loops, the adjoint identities, and what is refused."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_geometries import case, geometries

from minigan.fast.cpu import chunked, winograd
from minigan.nn import im2col
from minigan.nn.conv import (
    KERNELS,
    conv_forward,
    conv_input_grad,
    conv_weight_grad,
)
from minigan.nn.ops import LIBRARY, PLAIN

FAST = [name for name in KERNELS if name != "loops"]


@pytest.mark.parametrize("name", ["conv2d_forward", "conv2d_transpose_forward"])
@pytest.mark.parametrize("ops", [PLAIN, LIBRARY], ids=["plain", "fast"])
def test_arrays_without_four_axes_are_refused_by_both_pairs(ops, name):
    forward = getattr(ops, name)
    with pytest.raises(ValueError, match=r"x must have 4 axes, got 2 \(x.shape=\(2, 3\)\)"):
        forward(np.zeros((2, 3)), np.zeros((3, 3, 2, 2)), np.zeros(2), 1, 1)
    with pytest.raises(ValueError, match=r"w must have 4 axes, got 1"):
        forward(np.zeros((1, 4, 4, 2)), np.zeros(3), np.zeros(2), 1, 1)


@pytest.mark.parametrize("kernel", FAST)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 2e-5)])
@given(data=st.data(), large_tiles=st.booleans())
def test_kernels_agree_with_the_loops(kernel, dtype, tolerance, data, large_tiles):
    x, w, dy, where = case(data.draw(geometries(kernel)), dtype)
    b, b_transposed = (np.linspace(-1, 1, n, dtype=dtype) for n in (w.shape[3], w.shape[2]))
    for function, arguments, extra in (
        (conv_forward, (x, w, b), {}),
        (conv_input_grad, (dy, w, b_transposed), {"size": x.shape[1:3]}),
        (conv_weight_grad, (x, dy), {"kernel_size": w.shape[:2]}),
    ):
        with mock.patch.object(winograd, "WORTH", 0 if large_tiles else 1000):
            ours = function(*arguments, **where, **extra, kernel=kernel)
        truth = function(*(a.astype(np.float64) for a in arguments), **where, **extra, kernel="loops")
        assert ours.dtype == dtype
        assert ours.shape == truth.shape
        scale = max(1.0, float(np.abs(truth).max()))
        assert np.abs(ours - truth).max() / scale < tolerance, function.__name__


@given(geometry=geometries())
def test_adjoint_identities(geometry):
    """<conv(x, w), dy> = <x, input_grad> = <w, weight_grad>: true of the exact adjoints and of nothing else."""
    x, w, dy, where = case(geometry)
    product = np.vdot(conv_forward(x, w, **where), dy)
    assert np.isclose(np.vdot(x, conv_input_grad(dy, w, **where, size=x.shape[1:3])), product, rtol=1e-9, atol=1e-9)
    dw = conv_weight_grad(x, dy, **where, kernel_size=w.shape[:2])
    assert np.isclose(np.vdot(w, dw), product, rtol=1e-9, atol=1e-9)


def test_the_loops_on_an_example_worked_by_hand():
    """1 2 3 / 4 5 6 / 7 8 9 under the kernel 1 0 / 0 -1: every output is x[i,j] - x[i+1,j+1] = -4."""
    x = np.arange(1.0, 10.0).reshape(1, 3, 3, 1)
    w = np.array([[1.0, 0.0], [0.0, -1.0]]).reshape(2, 2, 1, 1)
    np.testing.assert_array_equal(conv_forward(x, w, kernel="loops")[0, :, :, 0], [[-4, -4], [-4, -4]])
    # SAME padding of an even kernel puts the zero after: the last row and column see the image's edge.
    padded = conv_forward(x, w, pad=((0, 1), (0, 1)), kernel="loops")[0, :, :, 0]
    np.testing.assert_array_equal(padded, [[-4, -4, 3], [-4, -4, 6], [7, 8, 9]])


def test_loops_are_the_formula():
    """Seven plain loops, straight from the definition; nothing shared with the package but the numbers."""
    x, w, _, _ = case((2, 5, 4, 3, 2, (3, 2), 2, ((1, 0), (0, 1)), 0))
    S, top, left = 2, 1, 0
    y = np.zeros((2, 2, 2, 2))
    for n, i, j, o, p, q, c in np.ndindex(2, 2, 2, 2, 3, 2, 3):
        r, s = S * i + p - top, S * j + q - left
        if 0 <= r < 5 and 0 <= s < 4:
            y[n, i, j, o] += x[n, r, s, c] * w[p, q, c, o]
    np.testing.assert_allclose(
        conv_forward(x, w, stride=2, pad=((1, 0), (0, 1)), kernel="loops"), y, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("kernel", FAST)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.filterwarnings("ignore:(overflow|invalid):RuntimeWarning")
def test_non_finite_results_are_where_the_loops_have_them(kernel, bad):
    """Winograd's sums of inputs spread a NaN over a whole tile, and differences of huge numbers overflow."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((5, 9, 8, 3), np.float32), rng.standard_normal((4, 4, 3, 2), np.float32)
    w *= np.float32(0.01)
    x[1, 3, 2, 1] = x[1, 3, 5, 1] = bad
    x[3, 8, 7, 0] = -bad
    where = {"stride": 2, "pad": ((1, 1), (1, 1))}
    y = conv_forward(x, w, **where, kernel=kernel)
    truth = conv_forward(x, w, **where, kernel="loops")
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(truth))
    assert np.isfinite(y[0]).all()
    dy = np.ones_like(y)
    dy[2, 1, 1, 0] = bad
    dx = conv_input_grad(dy, w, **where, size=(9, 8), kernel=kernel)
    truth = conv_input_grad(dy, w, **where, size=(9, 8), kernel="loops")
    np.testing.assert_array_equal(np.isfinite(dx), np.isfinite(truth))
    dw = conv_weight_grad(x, np.ones_like(y), **where, kernel_size=(4, 4), kernel=kernel)
    truth = conv_weight_grad(x, np.ones_like(y), **where, kernel_size=(4, 4), kernel="loops")
    np.testing.assert_array_equal(np.isfinite(dw), np.isfinite(truth))


def test_bias_must_fit():
    x, w = np.zeros((1, 8, 8, 2)), np.zeros((3, 3, 2, 4))
    with pytest.raises(ValueError, match=r"b must be of shape \(4,\), got \(2,\)"):
        conv_forward(x, w, np.zeros(2))
    with pytest.raises(TypeError, match="arrays must have one dtype, but w is float64, b is float32"):
        conv_forward(x, w, np.zeros(4, np.float32))


@pytest.mark.parametrize("kernel", FAST)
@pytest.mark.parametrize("C", [2, chunked.FEW_CHANNELS])
def test_a_batch_cut_into_single_images_gives_the_same(monkeypatch, kernel, C):
    x, w, dy, where = case((4, 6, 6, C, 3, (4, 4), 2, ((1, 1), (1, 1)), 1))

    def all_three(kernel):
        return (
            conv_forward(x, w, **where, kernel=kernel),
            conv_input_grad(dy, w, **where, size=(6, 6), kernel=kernel),
            conv_weight_grad(x, dy, **where, kernel_size=(4, 4), kernel=kernel),
        )

    expected = all_three("loops")
    monkeypatch.setattr(im2col, "CHUNK_BYTES", 1)
    monkeypatch.setattr(chunked, "FEW_ROWS", 0)  # or so small a batch is not cut at all
    monkeypatch.setattr(chunked, "SMALL_CHUNK_BYTES", 1)
    monkeypatch.setattr(winograd, "ROWS", 1)
    monkeypatch.setattr(winograd, "FEW_BYTES", 1)
    for ours, truth in zip(all_three(kernel), expected, strict=True):
        np.testing.assert_allclose(ours, truth, rtol=0, atol=1e-12)


X, W = np.zeros((2, 6, 6, 3)), np.zeros((4, 4, 3, 5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conv_forward(X, W[:, :, :2]), r"x has 3 channels but w expects 2 \(x.shape=\(2, 6, 6, 3\)"),
        (lambda: conv_forward(X[0], W), "x must have 4 axes, got 3"),
        (lambda: conv_forward(X, W, stride=0), "stride must be at least 1, got 0"),
        (lambda: conv_forward(X, W, pad=-1), "must be 0 or more"),
        (lambda: conv_forward(X[:, :2], W), "4 x 4 kernel does not fit into 2 x 6 pixels"),
        (
            lambda: conv_forward(X, W, kernel="fft"),
            r"kernel must be one of auto, loops, im2col, .*winograd.*, got 'fft'",
        ),
        (lambda: conv_input_grad(np.zeros((2, 3, 3, 4)), W, size=(6, 6)), "dy has 4 channels but w gives 5"),
        (lambda: conv_input_grad(np.zeros((2, 3, 3, 5)), W, size=(7, 6)), r"an output of \(4, 3\), but dy is \(3, 3\)"),
        (lambda: conv_input_grad(np.zeros((2, 1, 1, 5)), W, pad=2, size=(0, 0)), "must be at least 1 x 1, got 0 x 0"),
        (lambda: conv_weight_grad(X, np.zeros((1, 3, 3, 5)), kernel_size=(4, 4)), "one batch size, got 2 and 1"),
    ],
)
def test_refused_shapes(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_mixed_dtypes_are_refused():
    with pytest.raises(TypeError, match="x is float64, w is float32"):
        conv_forward(X, W.astype(np.float32))


def test_mixed_backends_are_refused(double):
    with pytest.raises(TypeError, match="is a cupy array but an earlier one is a numpy array"):
        conv_forward(X, double.asarray(W))
