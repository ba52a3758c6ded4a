"""The fast convolutions: which algorithm is taken, both gradients in one walk, and a kernel transformed only once."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_geometries import case, geometries

from minigan.fast.cpu import chunked, fast_conv, small_products, winograd
from minigan.nn import share
from minigan.nn.conv import conv_forward, conv_input_grad, conv_weight_grad
from minigan.nn.ops import PLAIN

RNG = np.random.default_rng(0)
X, W = RNG.standard_normal((40, 8, 8, 16)), RNG.standard_normal((4, 4, 16, 16))


@pytest.mark.parametrize("fast", [False, True])
def test_a_kernel_is_transformed_once_for_all_passes_of_a_way(fast, monkeypatch):
    """Where small products are fast, the way back needs the transpose, too; elsewhere one is enough for both ways."""
    monkeypatch.setattr(small_products, "are_fast", lambda: fast)
    original, made = winograd._contiguous, []
    monkeypatch.setattr(winograd, "_contiguous", lambda a, new: made.append(a) or original(a, new))
    for forward, backward in (
        (fast_conv.conv2d_forward, fast_conv.conv2d_backward),
        (fast_conv.conv2d_transpose_forward, fast_conv.conv2d_transpose_backward),
    ):
        y, cache = forward(X, W, np.zeros(16), 2, 1)
        backward(y, cache)
        made.clear()
        backward(y, cache)
        backward(y, cache, param_grads=False)
        assert not made
        assert len(cache.kept) == 1 + fast


def test_inside_a_training_step_a_kernel_is_prepared_once_until_it_is_updated():
    w, b, filled = W.copy(), np.zeros(16), []
    whole = share.Share()
    original = whole.prepared
    whole.prepared = lambda w, s, fill, what: original(w, s, lambda a, p: (filled.append(1), fill(a, p)), what)
    truth = conv_forward(X, w, stride=2, pad=1)
    for step in range(2):
        with share.having(whole, [w]):
            first, _ = fast_conv.conv2d_forward(X, w, b, 2, 1)
            second, _ = fast_conv.conv2d_forward(X, w, b, 2, 1)
            assert len(filled) == 2 * step + 1
            w *= 2
            share.updated([w])
            third, _ = fast_conv.conv2d_forward(X, w, b, 2, 1)
            assert len(filled) == 2 * step + 2
        np.testing.assert_allclose(first, truth)
        np.testing.assert_array_equal(first, second)
        np.testing.assert_allclose(third, 2 * truth)
        truth = 4 * truth
        w *= 2  # by hand, between two steps, and nobody is told


def test_inside_a_training_step_a_turned_kernel_is_prepared_once_as_well():
    """The way back of stride 1 is a convolution with the kernel turned around: a view of the same parameter."""
    w, b, dy = RNG.standard_normal((3, 3, 16, 16)), np.zeros(16), RNG.standard_normal((40, 8, 8, 16))
    whole, filled = share.Share(), []
    prepared = whole.prepared
    whole.prepared = lambda w, s, fill, what: prepared(w, s, lambda a, p: (filled.append(what), fill(a, p)), what)
    with share.having(whole, [w]):
        for _ in range(2):
            _, cache = fast_conv.conv2d_forward(X, w, b, 1, 1)
            dx = fast_conv.conv2d_backward(dy, cache)[0]
            np.testing.assert_allclose(dx, conv_input_grad(dy, w, pad=1, size=(8, 8), kernel="im2col"), atol=1e-9)
            w *= 2
            share.updated([w])
            filled.append("updated")
    # When one is asked for after an update, the other is made with it.
    assert filled == ["", "turned", "updated", "", "turned", "updated"]


def test_inside_a_training_step_a_backward_pass_uses_the_kernel_of_the_moment():
    """As the plain functions do: their caches hold the kernel itself, not a copy."""
    w, b = W.copy(), np.zeros(16)
    with share.having(share.Share(), [w]):
        y, cache = fast_conv.conv2d_forward(X, w, b, 2, 1)
        _, plain_cache = PLAIN.conv2d_forward(X, w, b, 2, 1)
        w *= 2
        share.updated([w])
        for settings in ({}, {"param_grads": False}):
            dx, plain_dx = fast_conv.conv2d_backward(y, cache, **settings)[0], PLAIN.conv2d_backward(y, plain_cache)[0]
            np.testing.assert_allclose(dx, plain_dx, atol=1e-9)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(("K", "S"), [(4, 2), (3, 1), (6, 2)])
@pytest.mark.parametrize(("N", "C", "O"), [(7, 32, 64), (5, 96, 32), (3, 64, 160), (4, 24, 48)])
def test_kernels_in_blocks_of_columns_give_the_definitions_results(fast, K, S, N, C, O, monkeypatch):
    """With blocks of 64 and of 32 columns, with one block, and with numbers of tiles that pieces do not divide."""
    monkeypatch.setattr(small_products, "are_fast", lambda: fast)
    x, w, b = RNG.standard_normal((N, 13, 13, C)), RNG.standard_normal((K, K, C, O)), RNG.standard_normal(O)
    y, cache = fast_conv.conv2d_forward(x, w, b, S, 1)
    truth, plain_cache = PLAIN.conv2d_forward(x, w, b, S, 1)
    np.testing.assert_allclose(y, truth, atol=1e-9 * abs(truth).max())
    dy = RNG.standard_normal(y.shape)
    for found, true in zip(fast_conv.conv2d_backward(dy, cache), PLAIN.conv2d_backward(dy, plain_cache), strict=True):
        np.testing.assert_allclose(found, true, atol=1e-9 * abs(true).max())
    back, cache = fast_conv.conv2d_transpose_forward(dy, w, np.ones(C), S, 1)
    truth, plain_cache = PLAIN.conv2d_transpose_forward(dy, w, np.ones(C), S, 1)
    np.testing.assert_allclose(back, truth, atol=1e-9 * abs(truth).max())
    found, true = (f.conv2d_transpose_backward(back, c) for f, c in ((fast_conv, cache), (PLAIN, plain_cache)))
    for f, t in zip(found, true, strict=True):
        np.testing.assert_allclose(f, t, atol=1e-9 * abs(t).max())


def test_no_images_give_none():
    nothing = np.zeros((0, 4, 4, 16))
    assert fast_conv.conv_input_grad(nothing, W, 2, ((1, 1), (1, 1)), (8, 8), np.ones(16)).shape == (0, 8, 8, 16)


def test_outside_a_training_step_nothing_is_kept():
    w = W.copy()
    first, _ = fast_conv.conv2d_forward(X, w, np.zeros(16), 2, 1)
    w *= 2
    second, _ = fast_conv.conv2d_forward(X, w, np.zeros(16), 2, 1)
    np.testing.assert_allclose(second, 2 * first)


@pytest.mark.parametrize("kernel", ["chunked", "winograd"])
@given(data=st.data(), bad=st.booleans())
def test_gradients_computed_together_equal_those_of_the_loops(kernel, data, bad):
    x, w, dy, where = case(data.draw(geometries(kernel)))
    if bad:
        x[-1, 0, 0, 0] = np.nan
    S, pad = where["stride"], where["pad"]
    cache = fast_conv.FastConvCache(x, w, S, pad, {})
    transposed = fast_conv.FastConvCache(dy, w, S, pad, {})
    with mock.patch.object(winograd, "pays", return_value=kernel == "winograd"), np.errstate(all="ignore"):
        ours = *fast_conv.conv2d_backward(dy, cache)[:2], *fast_conv.conv2d_transpose_backward(x, transposed)[:2]
        dx = conv_input_grad(dy, w, **where, size=x.shape[1:3], kernel="loops")
        dw = conv_weight_grad(x, dy, **where, kernel_size=w.shape[:2], kernel="loops")
        truth = dx, dw, conv_forward(x, w, **where, kernel="loops"), dw
    for a, b in zip(ours, truth, strict=True):
        np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b))
        fine = np.isfinite(b)
        np.testing.assert_allclose(a[fine], b[fine], rtol=0, atol=1e-9)


def test_gradients_need_arrays_of_one_convolution():
    dy = np.zeros((40, 4, 4, 16))
    _, cache = fast_conv.conv2d_forward(X, W, np.zeros(16), 2, 1)
    with pytest.raises(ValueError, match=r"x and dy must have one batch size, got 40 and 39"):
        fast_conv.conv2d_backward(dy[1:], cache)
    _, cache = fast_conv.conv2d_transpose_forward(dy, W, np.zeros(16), 2, 1)
    with pytest.raises(ValueError, match=r"6 x 6 pixels give an output of \(3, 3\), but dy is \(4, 4\)"):
        fast_conv.conv2d_transpose_backward(X[:, :6, :6], cache)


def test_winograd_where_it_can_and_pays_and_chunks_elsewhere(monkeypatch):
    used = []
    for module in (chunked, winograd):
        monkeypatch.setattr(module, "conv_forward", lambda *_, name=module.__name__, **__: used.append(name))
    for N, C, K, S in [(40, 16, 4, 2), (40, 16, 3, 1), (40, 16, 3, 2), (40, 3, 4, 2), (8, 16, 4, 2)]:
        conv_forward(np.ones((N, 8, 8, C)), np.ones((K, K, C, 16)), stride=S, pad=1)
    assert [name.rpartition(".")[2] for name in used] == ["winograd", "winograd", "chunked", "chunked", "chunked"]
