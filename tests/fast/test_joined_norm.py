"""Batch normalization and LeakyReLU as one layer: where they are joined, and the same numbers as apart."""

from dataclasses import replace

import numpy as np
import pytest
from device_double import COMPILER

from minigan.fast.joined_norm import JoinedNorm
from minigan.nn.backend import NUMPY
from minigan.nn.layers import BatchNormalization, Dense, LeakyReLU
from minigan.nn.network import Sequential
from minigan.nn.ops import LIBRARY, resolve

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no g++ to compile the kernels for the processor")


@pytest.fixture(params=["numpy", pytest.param("kernels", marks=needs_compiler)])
def device(request):
    return NUMPY if request.param == "numpy" else request.getfixturevalue(request.param)


def layers(norm_ops=LIBRARY, activation_ops=LIBRARY, dtype=np.float64):
    def kernels(shape):
        return np.random.default_rng(1).standard_normal(shape).astype(dtype)

    return [
        Dense(3, 4, kernel_initializer=kernels),
        BatchNormalization(4, epsilon=0.05, dtype=dtype, ops=norm_ops),
        LeakyReLU(0.3, ops=activation_ops),
        Dense(4, 2, kernel_initializer=kernels),
    ]


def joined(found, x):
    return [type(step) is JoinedNorm for step in resolve(LIBRARY, x).steps(found)]


def test_neighbours_that_are_minigans_own_become_one(device):
    x = device.asarray(np.ones((2, 3)))
    dense, norm, leaky, last = layers()
    assert joined([dense, norm, leaky, last], x) == [False, True, False]
    assert joined([leaky, norm], x) == [False, False]
    assert joined([norm, dense, leaky], x) == [False, False, False]


@pytest.mark.parametrize("name", ["batch_norm_forward", "batch_norm_backward", "batch_norm_inference"])
def test_with_a_students_batch_norm_they_stay_apart(name):
    mine = replace(LIBRARY, **{name: lambda *arguments: None})
    assert not any(joined(layers(mine), np.ones((2, 3))))


@pytest.mark.parametrize("name", ["leaky_relu_forward", "leaky_relu_backward"])
def test_with_a_students_leaky_relu_they_stay_apart(name):
    mine = replace(LIBRARY, **{name: lambda *arguments: None})
    assert not any(joined(layers(activation_ops=mine), np.ones((2, 3))))


def test_a_plain_layer_and_a_layer_of_ones_own_stay_apart():
    class MyNorm(BatchNormalization):
        """Anything may be different in it."""

    class MyLeakyReLU(LeakyReLU):
        """Anything may be different in it."""

    plain = replace(LIBRARY, plain=True)
    x = np.ones((2, 3))
    assert not any(joined(layers(plain), x))
    assert not any(joined(layers(activation_ops=plain), x))
    assert not any(joined([MyNorm(4), LeakyReLU()], x))
    assert not any(joined([BatchNormalization(4), MyLeakyReLU()], x))


@pytest.mark.parametrize(("index", "method"), [(1, "forward"), (1, "update"), (2, "forward"), (2, "backward")])
def test_a_layer_with_a_method_of_ones_own_stays_apart(index, method):
    """Such as one that prints what comes in, and then calls the layer's."""
    found = layers()
    setattr(found[index], method, lambda *arguments, **settings: None)
    assert not any(joined(found, np.ones((2, 3))))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("update_stats", [True, False])
def test_the_same_numbers_as_apart(device, training, update_stats):
    rng = np.random.default_rng(2)
    x, dy = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    results = []
    for ops in (LIBRARY, replace(LIBRARY, plain=True)):
        network = Sequential(layers(ops, ops), input_shape=(3,), ops=ops).to(device)
        for p in network.params().values():
            p += device.asarray(0.1 * np.random.default_rng(p.size).standard_normal(p.shape))
        for p in network.layers[1].params.values():
            p[1] = 0  # then this channel is 0 everywhere, where the slope of LeakyReLU changes
        for b in network.layers[1].buffers.values():
            b += device.asarray(np.ones(b.shape))
        y, caches = network.forward(device.asarray(x), training=training, update_stats=update_stats)
        assert len(caches) == (3 if ops is LIBRARY else 4)
        dx = network.backward(device.asarray(dy), caches, input_grad=True)
        without = network.backward(device.asarray(dy), caches, param_grads=False)
        assert without is None
        state = {**network.grads(), **network.buffers(), "y": y, "dx": dx}
        results.append({name: np.array(device.to_host(a)) for name, a in state.items()})
    for name, array in results[0].items():
        np.testing.assert_allclose(array, results[1][name], rtol=0, atol=1e-9, err_msg=name)


def test_at_the_beginning_of_a_network_no_input_gradient_is_computed(device):
    network = Sequential(layers()[1:3], input_shape=(4,)).to(device)
    y, caches = network.forward(device.asarray(np.random.default_rng(0).standard_normal((5, 4))), training=True)
    assert len(caches) == 1
    assert network.backward(y, caches) is None
    assert network.backward(y, caches, input_grad=True).shape == (5, 4)


def test_with_a_students_moving_average_they_are_joined_and_it_is_called(device):
    called = []

    def mine(moving, biased, t, value, momentum=0.5):
        called.append(momentum)
        return LIBRARY.moving_average(moving, biased, t, value, momentum)

    network = Sequential(layers(replace(LIBRARY, moving_average=mine)), input_shape=(3,)).to(device)
    _, caches = network.forward(device.asarray(np.ones((2, 3))), training=True)
    assert len(caches) == 3
    assert called == [0.5, 0.5]  # for the mean and for the variance


def test_a_batch_of_one_value_per_channel_is_refused(device):
    network = Sequential(layers(), input_shape=(3,)).to(device)
    with pytest.raises(ValueError, match="batch_norm: training needs at least 2 values per channel"):
        network.forward(device.asarray(np.ones((1, 3))), training=True)
