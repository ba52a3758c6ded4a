"""The contract of `minigan.nn.layers.Layer`, kept by every layer, and what each layer refuses."""

from dataclasses import replace

import numpy as np
import pytest
from numeric_gradients import away_from_zero, directional_error

from minigan.nn import ops
from minigan.nn.layers import (
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Tanh,
)


def normal(seed):
    return lambda shape: np.random.default_rng(seed).standard_normal(shape)


def batch_norm():
    layer = BatchNormalization(3, dtype=np.float64)
    rng = np.random.default_rng(8)
    for name in ("gamma", "beta"):
        layer.params[name][...] = rng.standard_normal(3)
    layer.buffers["moving_mean"][...] = rng.standard_normal(3)
    layer.buffers["moving_variance"][...] = rng.uniform(0.5, 2, 3)
    return layer


LAYERS = {
    "Dense": (lambda: Dense(3, 5, kernel_initializer=normal(1)), (4, 3)),
    "Conv2D same": (lambda: Conv2D(3, 5, 4, strides=2, kernel_initializer=normal(2)), (4, 7, 6, 3)),
    "Conv2D valid": (lambda: Conv2D(3, 2, 3, padding="valid", kernel_initializer=normal(3)), (1, 4, 5, 3)),
    "Conv2DTranspose same": (lambda: Conv2DTranspose(3, 2, 4, strides=2, kernel_initializer=normal(4)), (2, 3, 4, 3)),
    "Conv2DTranspose odd": (lambda: Conv2DTranspose(3, 2, 3, strides=2, kernel_initializer=normal(5)), (2, 3, 4, 3)),
    "Conv2DTranspose wide stride": (
        lambda: Conv2DTranspose(3, 2, 2, strides=3, padding="valid", kernel_initializer=normal(6)),
        (2, 3, 2, 3),
    ),
    "BatchNormalization": (batch_norm, (4, 2, 5, 3)),
    "BatchNormalization flat": (batch_norm, (4, 3)),
    "LeakyReLU": (LeakyReLU, (4, 2, 5, 3)),
    "ReLU": (ReLU, (4, 5)),
    "Tanh": (Tanh, (2, 3, 4, 5)),
    "Sigmoid": (Sigmoid, (4, 1)),
    "Flatten": (Flatten, (4, 2, 5, 3)),
}


@pytest.fixture(params=LAYERS)
def case(request):
    make, shape = LAYERS[request.param]
    return make(), away_from_zero(np.random.default_rng(7).standard_normal(shape))


WITH_PARAMETERS = pytest.mark.parametrize("case", [name for name in LAYERS if LAYERS[name][0]().params], indirect=True)


def random_dy(y, seed=0):
    return np.random.default_rng(seed).standard_normal(y.shape)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_equal_centred_differences(case, training):
    """dx and every parameter's gradient, in both modes, against centred differences."""
    layer, x = case
    names = list(layer.params)

    def f(x, *values):
        before = {name: layer.params[name] for name in names}
        layer.params.update(zip(names, values, strict=True))
        y, _ = layer.forward(x, training=training, update_stats=False)
        layer.params.update(before)
        return y

    y, cache = layer.forward(x, training=training, update_stats=False)
    dy = random_dy(y)
    dx = layer.backward(dy, cache)
    arguments = [x, *layer.params.values()]
    error = directional_error(f, arguments, [dx, *layer.grads.values()], dy, np.random.default_rng(1))
    assert error < 1e-6


def test_output_shape_is_that_of_forward(case):
    layer, x = case
    y, _ = layer.forward(x, training=True)
    assert layer.output_shape(x.shape[1:]) == y.shape[1:]


def test_inputs_are_left_alone_and_nothing_is_aliased(case):
    layer, x = case
    x_before = x.copy()
    y, cache = layer.forward(x, training=True)
    dy = random_dy(y)
    dy_before, y_before = dy.copy(), y.copy()
    dx = layer.backward(dy, cache)
    np.testing.assert_array_equal(x, x_before)
    np.testing.assert_array_equal(dy, dy_before)
    np.testing.assert_array_equal(y, y_before)
    owned = [*layer.params.values(), *layer.grads.values(), *layer.buffers.values()]
    for a, others in ((y, [x]), (dx, [dy, x, y])):
        assert not any(np.shares_memory(a, b) for b in others + owned)


@WITH_PARAMETERS
def test_gradients_accumulate(case):
    layer, x = case
    y, cache = layer.forward(x, training=True)
    dy = random_dy(y)
    layer.backward(dy, cache)
    once = {name: g.copy() for name, g in layer.grads.items()}
    layer.backward(dy, cache)
    for name, g in layer.grads.items():
        assert once[name].any()
        np.testing.assert_allclose(g, 2 * once[name], rtol=1e-12)


def test_two_forwards_then_two_backwards(case):
    """Each backward belongs to its own forward, in whatever order: nothing is remembered in the layer."""
    layer, a = case
    b = away_from_zero(np.random.default_rng(11).standard_normal(a.shape))
    dy = random_dy(layer.forward(a, training=True)[0])
    alone = []
    for x in (a, b):
        _, cache = layer.forward(x, training=True)
        alone.append(layer.backward(dy, cache))
    (_, cache_a), (_, cache_b) = (layer.forward(x, training=True) for x in (a, b))
    np.testing.assert_array_equal(layer.backward(dy, cache_b), alone[1])
    np.testing.assert_array_equal(layer.backward(dy, cache_a), alone[0])


def test_param_grads_false_leaves_gradients_alone(case):
    layer, x = case
    y, cache = layer.forward(x, training=True)
    dy = random_dy(y)
    expected = layer.backward(dy, cache)
    for g in layer.grads.values():
        g.fill(7)
    np.testing.assert_array_equal(layer.backward(dy, cache, param_grads=False), expected)
    assert all((g == 7).all() for g in layer.grads.values())


def test_input_grad_false_returns_none(case):
    layer, x = case
    y, cache = layer.forward(x, training=True)
    assert layer.backward(random_dy(y), cache, input_grad=False) is None


@WITH_PARAMETERS
def test_input_grad_false_adds_the_same_parameter_gradients(case):
    layer, x = case
    y, cache = layer.forward(x, training=True)
    dy = random_dy(y)
    layer.backward(dy, cache)
    expected = {name: g.copy() for name, g in layer.grads.items()}
    for g in layer.grads.values():
        g.fill(0)
    layer.backward(dy, cache, input_grad=False)
    for name, g in layer.grads.items():
        np.testing.assert_array_equal(g, expected[name])


def test_non_contiguous_inputs(case):
    layer, x = case
    strided = np.repeat(x, 2, axis=-1)[..., ::2]
    assert not strided.flags.c_contiguous
    y, cache = layer.forward(x, training=True)
    y2, cache2 = layer.forward(strided, training=True)
    np.testing.assert_allclose(y, y2, rtol=1e-12)
    dy = random_dy(y)
    expected = layer.backward(dy, cache)
    np.testing.assert_allclose(layer.backward(np.repeat(dy, 2, axis=-1)[..., ::2], cache2), expected, rtol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_float32_stays_float32(case, training):
    layer, x = case
    for arrays in (layer.params, layer.grads, layer.buffers):
        for name, a in arrays.items():
            arrays[name] = a.astype(np.float32)
    y, cache = layer.forward(x.astype(np.float32), training=training)
    dx = layer.backward(random_dy(y).astype(np.float32), cache)
    for a in (y, dx, *layer.grads.values(), *layer.buffers.values()):
        assert a.dtype == np.float32


def test_moving_statistics_follow_keras():
    """Debiased average, momentum one half, variance corrected twice; three updates against the formula written out."""
    layer = BatchNormalization(3, dtype=np.float64)
    rng = np.random.default_rng(0)
    biased_mean, biased_variance = np.zeros(3), np.zeros(3)
    for t in (1, 2, 3):
        x = rng.normal(2, 3, (4, 5, 2, 3))
        layer.forward(x, training=True)
        N = 4 * 5 * 2
        rows = x.reshape(N, 3)
        biased_mean = 0.5 * biased_mean + 0.5 * rows.mean(0)
        biased_variance = 0.5 * biased_variance + 0.5 * rows.var(0) * N / (N - 1) * N / (N - 1.001)
        np.testing.assert_allclose(layer.buffers["moving_mean"], biased_mean / (1 - 0.5**t))
        np.testing.assert_allclose(layer.buffers["moving_variance"], biased_variance / (1 - 0.5**t))
        assert layer.buffers["updates"] == t
        if t == 1:
            np.testing.assert_allclose(layer.buffers["moving_mean"], rows.mean(0))


def test_batch_norm_has_three_modes():
    layer = batch_norm()
    x = np.random.default_rng(0).normal(4, 2, (6, 3))
    before = {name: b.copy() for name, b in layer.buffers.items()}
    inference, _ = layer.forward(x, training=False)
    silent, _ = layer.forward(x, training=True, update_stats=False)
    for name, b in layer.buffers.items():
        np.testing.assert_array_equal(b, before[name])
    loud, _ = layer.forward(x, training=True)
    np.testing.assert_array_equal(silent, loud)
    assert not np.allclose(inference, loud)
    assert not np.allclose(layer.buffers["moving_mean"], before["moving_mean"])


def test_a_students_functions_run_in_the_layer():
    """Plain signatures, a cache of their own, no keyword switches: the layer copes, moving statistics still move."""
    calls = []

    def forward(x, gamma, beta, eps=1e-3):
        calls.append("forward")
        y, cache = ops.batch_norm_forward(x, gamma, beta, eps)
        return y, {"mine": cache}

    def backward(dy, cache):
        calls.append("backward")
        return ops.batch_norm_backward(dy, cache["mine"])

    mine = BatchNormalization(3, ops=replace(ops.LIBRARY, batch_norm_forward=forward, batch_norm_backward=backward))
    theirs = BatchNormalization(3)
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    dy = random_dy(x).astype(np.float32)
    (y, cache), (y2, cache2) = mine.forward(x, training=True), theirs.forward(x, training=True)
    np.testing.assert_array_equal(y, y2)
    np.testing.assert_array_equal(
        mine.backward(dy, cache, param_grads=False), theirs.backward(dy, cache2, param_grads=False)
    )
    assert not mine.grads["gamma"].any()
    np.testing.assert_allclose(mine.buffers["moving_mean"], theirs.buffers["moving_mean"])
    assert calls == ["forward", "backward"]


def test_a_student_sees_one_number_for_the_padding():
    seen = []

    def forward(x, w, b, stride=1, pad=0):
        seen.append(pad)
        return ops.conv2d_forward(x, w, b, stride, pad)

    mine = replace(ops.LIBRARY, conv2d_forward=forward)
    layer = Conv2D(2, 3, 4, strides=2, kernel_initializer=normal(0), ops=mine)
    layer.forward(np.zeros((1, 8, 8, 2)), training=True)
    layer.forward(np.zeros((1, 7, 7, 2)), training=True)
    assert seen == [1, ((1, 2), (1, 2))]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: Conv2D(64, 128, 4, kernel_initializer=normal(0)).forward(np.zeros((64, 32, 32, 3)), training=True),
            r"Conv2D: x has 3 channels but kernel expects 64 "
            r"\(x.shape=\(64, 32, 32, 3\), kernel.shape=\(4, 4, 64, 128\)\)",
        ),
        (
            lambda: Conv2DTranspose(3, 2, 4, kernel_initializer=normal(0)).forward(np.zeros((5, 3)), training=True),
            r"Conv2DTranspose: x must have 4 axes \(N, H, W, C\), got 2",
        ),
        (lambda: Conv2D(3, 2, 4, strides=0, kernel_initializer=normal(0)), "strides must be at least 1, got 0"),
        (
            lambda: Conv2D(3, 2, 4, padding="full", kernel_initializer=normal(0)),
            'must be "same" or "valid", got \'full\'',
        ),
        (
            lambda: Dense(3, 2, kernel_initializer=normal(0)).forward(np.zeros((5, 4)), training=True),
            r"must be \(N, 3\)",
        ),
        (lambda: BatchNormalization(3, momentum=1.0), "momentum must be at least 0 and below 1, got 1.0"),
        (lambda: BatchNormalization(3, epsilon=0), "epsilon must be above 0, got 0"),
        (lambda: BatchNormalization(3).forward(np.zeros((5, 4)), training=True), "x has 4 channels but gamma has 3"),
        (lambda: LeakyReLU(1.5), "alpha must be at least 0 and below 1, got 1.5"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_gradients_add_up_and_zero_grads_forgets_them():
    layer = Conv2D(3, 4, kernel_size=3, kernel_initializer=lambda shape: np.ones(shape, np.float32))
    x = np.random.default_rng(0).standard_normal((2, 5, 5, 3)).astype(np.float32)
    y, cache = layer.forward(x, training=True)
    layer.backward(y, cache)
    once = {name: g.copy() for name, g in layer.grads.items()}
    layer.backward(y, cache)
    for name, g in layer.grads.items():
        np.testing.assert_allclose(g, 2 * once[name], rtol=1e-6)
    layer.zero_grads()
    assert all(g.shape == once[name].shape and not g.any() for name, g in layer.grads.items())
    layer.backward(y, cache)
    for name, g in layer.grads.items():
        np.testing.assert_array_equal(g, once[name])
