"""Images that are moved before D sees them: values, gradient, what is drawn, and the step with moves."""

import numpy as np
import pytest
from device_double import COUNTER
from numeric_gradients import directional_error
from small_gans import SMALL, B, assert_same, inputs_of, state_of

from minigan.fast.cpu.pool import using_workers
from minigan.gan import step as gan
from minigan.gan.augment import draw_moves, translate_backward, translate_forward
from minigan.gan.step import build_gan, recorded_step, train_step
from minigan.nn.backend import NUMPY

DEVICES = pytest.mark.parametrize("kind", ["double", "kernels", pytest.param("gpu", marks=pytest.mark.gpu)])


def moved_by_hand(x, move):
    """The definition: one pixel at a time."""
    y = np.zeros_like(x)
    N, H, W, _ = x.shape
    for n in range(N):
        for h in range(H):
            for w in range(W):
                from_h, from_w = h - move[n, 0], w - move[n, 1]
                if 0 <= from_h < H and 0 <= from_w < W:
                    y[n, h, w] = x[n, from_h, from_w]
    return y


MOVES = np.array([[0, 0], [2, -1], [-3, 4], [1, 0], [0, -5], [4, 5], [-9, 0]])
"""The last two leave nothing of an image of 4x5, or of its rows."""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_images_move_as_a_loop_over_pixels_moves_them(rng, dtype):
    x = rng.standard_normal((len(MOVES), 4, 5, 3)).astype(dtype)
    y, cache = translate_forward(x, MOVES)
    np.testing.assert_array_equal(y, moved_by_hand(x, MOVES))
    dx = translate_backward(y, cache)
    np.testing.assert_array_equal(dx, moved_by_hand(y, -MOVES))
    assert y.dtype == dx.dtype == dtype


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def gradient_error(rng, backward, forward=translate_forward):
    x = rng.standard_normal((len(MOVES), 6, 6, 2))
    y, cache = forward(x, MOVES)
    dy = rng.standard_normal(y.shape)
    return directional_error(lambda x: forward(x, MOVES)[0], [x], [backward(dy, cache)], dy, rng)


def test_gradient_of_the_move(rng):
    assert gradient_error(rng, translate_backward) < 1e-8


def clamped(dy, cache):
    """The edge repeated, where there is nothing."""
    at = np.arange(dy.shape[1])
    rows, columns = (np.clip(at + cache[:, axis, None], 0, len(at) - 1) for axis in (0, 1))
    return dy[np.arange(len(dy))[:, None, None], rows[:, :, None], columns[:, None]]


@pytest.mark.parametrize(
    "mutant",
    [
        lambda dy, cache: dy,
        lambda dy, cache: translate_forward(dy, cache)[0],  # onwards instead of back
        lambda dy, cache: translate_backward(dy, cache[:, ::-1]),
        lambda dy, cache: translate_backward(dy, cache[::-1]),
        lambda dy, cache: np.roll(translate_backward(dy, cache), 1, axis=2),
        lambda dy, cache: np.stack([np.roll(d, -m, (0, 1)) for d, m in zip(dy, cache, strict=True)]),
        clamped,
    ],
    ids=[
        "not moved",
        "onwards",
        "axes exchanged",
        "of other images",
        "off by one",
        "around the edge",
        "edge repeated",
    ],
)
def test_wrong_gradients_are_caught(rng, mutant):
    assert gradient_error(rng, mutant) > 1e-3


def test_moves_are_a_function_of_seed_and_step():
    a, b, c, d = (draw_moves(500, 64, seed, step) for seed, step in ((1, 2), (1, 2), (1, 3), (2, 2)))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    assert not np.array_equal(a, d)
    assert a.shape == (3, 500, 2)
    for part in (*a, a[..., 0], a[..., 1]):  # every move from an eighth to an eighth, for each of the three
        assert sorted(set(part.ravel().tolist())) == list(range(-8, 9))
    assert not np.array_equal(a[0], a[1])
    assert not np.array_equal(a[1], a[2])


@DEVICES
def test_moves_on_a_device(request, kind, rng):
    device = request.getfixturevalue(kind)
    x = rng.standard_normal((len(MOVES), 4, 5, 3)).astype(np.float32)
    on_device, move = device.asarray(x), device.asarray(MOVES)
    COUNTER.reset()
    y, cache = translate_forward(on_device, move)
    dx = translate_backward(y, cache)
    assert COUNTER.syncs == 0
    np.testing.assert_array_equal(device.to_host(y), moved_by_hand(x, MOVES))
    np.testing.assert_array_equal(device.to_host(dx), moved_by_hand(moved_by_hand(x, MOVES), -MOVES))


def moves_of(step, where=NUMPY):
    return draw_moves(B, 32, 5, step, where)


def test_step_with_moves_by_hand():
    """Reals, fakes and the fakes of G's step each have their own moves; G learns through the move."""
    whole, by_hand = build_gan(**SMALL), build_gan(**SMALL)
    inputs, moves = inputs_of(0), moves_of(0)
    result = train_step(whole, inputs, moves)
    G, D = by_hand.generator, by_hand.discriminator
    with using_workers(1):
        fakes = G.predict(inputs.noise)
    real = gan.discriminator_step(D, by_hand.d_optimizer, moved_by_hand(inputs.real, moves[0]), inputs.real_labels)
    fake = gan.discriminator_step(D, by_hand.d_optimizer, moved_by_hand(fakes, moves[1]), inputs.fake_labels)
    drawn, g_caches = G.forward(inputs.generator_noise, training=True)
    logits, d_caches = D.forward(moved_by_hand(drawn, moves[2]), training=True, update_stats=False)
    loss, cache = gan.bce_with_logits_forward(logits, inputs.real_labels)
    dfakes = D.backward(gan.bce_with_logits_backward(1.0, cache), d_caches, input_grad=True, param_grads=False)
    G.zero_grads()
    G.backward(moved_by_hand(dfakes, -moves[2]), g_caches)
    np.testing.assert_allclose(result.metrics[:3], [real.loss, fake.loss, loss], rtol=1e-5)
    np.testing.assert_allclose(result.fakes, fakes, atol=1e-5)  # the images that a run saves are not moved
    for name, gradient in whole.generator.grads().items():
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(gradient, G.grads()[name], rtol=0, atol=1e-3 * scale + 1e-7, err_msg=name)


def test_moves_of_zero_change_nothing():
    with_, without = build_gan(**SMALL), build_gan(**SMALL)
    train_step(with_, inputs_of(0), np.zeros((3, B, 2), np.int64))
    train_step(without, inputs_of(0))
    assert_same(state_of(with_), state_of(without))


def test_step_with_moves_on_a_device_equals_numpys(double):
    host, there = build_gan(**SMALL), build_gan(**SMALL, backend=double)
    for step in range(2):
        expected = train_step(host, inputs_of(step), moves_of(step))
        inputs, moves = inputs_of(step, double), moves_of(step, double)
        COUNTER.reset()
        result = train_step(there, inputs, moves)
        assert (COUNTER.syncs, COUNTER.uploads) == (0, 0)
        np.testing.assert_allclose(double.to_host(result.metrics), expected.metrics, rtol=5e-3)


def test_recorded_step_counts_on_and_has_new_moves(kernels):
    """The average keeps a share that depends on the count of updates; a replay must count by itself."""
    eager, recorded = (build_gan(**SMALL, ema=0.3, backend=kernels) for _ in range(2))
    step_of = recorded_step(recorded, pytest.fail)
    for step in range(5):
        expected = train_step(eager, inputs_of(step, kernels), moves_of(step, kernels))
        result = step_of(inputs_of(step, kernels), moves_of(step, kernels))
        np.testing.assert_array_equal(kernels.to_host(result.metrics), kernels.to_host(expected.metrics))
    recorded.painter(), eager.painter()
    assert_same(state_of(recorded, kernels), state_of(eager, kernels))
