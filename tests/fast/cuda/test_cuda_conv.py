"""On a GPU, a convolution and the LeakyReLU after it as one layer: where they are joined, and the numbers as apart."""

from dataclasses import replace

import numpy as np
import pytest
from device_double import COMPILER, COUNTER

from minigan.fast.cuda.cuda_conv import JoinedConv
from minigan.nn.layers import Conv2D, LeakyReLU
from minigan.nn.network import Sequential
from minigan.nn.ops import LIBRARY, resolve

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no g++ to compile the kernels for the processor")
PLAIN = replace(LIBRARY, plain=True)


def layers(conv_ops=LIBRARY, activation_ops=LIBRARY):
    def kernels(shape):
        return np.random.default_rng(1).standard_normal(shape)

    conv = Conv2D(3, 20, 4, strides=2, kernel_initializer=kernels, ops=conv_ops)
    conv.params["bias"] += np.linspace(-2, 2, 20)
    return [conv, LeakyReLU(0.3, ops=activation_ops)]


def joined(found, x):
    return [type(step) is JoinedConv for step in resolve(LIBRARY, x).steps(found)]


def test_only_neighbours_that_are_minigans_own_become_one(kernels):
    class MyConv(Conv2D):
        """Anything may be different in it."""

    x = kernels.asarray(np.ones((2, 6, 6, 3)))
    conv, leaky = layers()
    assert joined([conv, leaky], x) == [True]
    assert joined([leaky, conv], x) == [False, False]
    for name in ("conv2d_forward", "conv2d_backward"):
        assert not any(joined(layers(replace(LIBRARY, **{name: lambda *arguments: None})), x))
    assert not any(joined(layers(activation_ops=replace(LIBRARY, leaky_relu_backward=lambda *arguments: None)), x))
    assert not any(joined(layers(PLAIN), x))
    assert not any(joined(layers(activation_ops=PLAIN), x))
    mine = MyConv(3, 4, 3, kernel_initializer=np.ones)
    assert not any(joined([mine, leaky], x))
    assert not any(joined([conv, leaky], np.ones((2, 6, 6, 3))))


def test_the_same_numbers_as_apart_with_fewer_launches(kernels):
    rng = np.random.default_rng(2)
    x, dy = (kernels.asarray(rng.standard_normal(shape)) for shape in ((5, 6, 8, 3), (5, 3, 4, 20)))
    results, launches = [], []
    for ops in (LIBRARY, PLAIN):
        network = Sequential(layers(), input_shape=(6, 8, 3), ops=ops).to(kernels)
        y, caches = network.forward(x, training=True)
        assert len(caches) == (1 if ops is LIBRARY else 2)
        COUNTER.reset()
        network.forward(x, training=True)
        launches.append(COUNTER.launches)
        dx = network.backward(dy, caches, input_grad=True)
        assert network.backward(dy, caches, param_grads=False) is None
        state = {**network.grads(), "y": y, "dx": dx, "inference": network.predict(x)}
        results.append({name: np.array(kernels.to_host(a)) for name, a in state.items()})
    for name, array in results[0].items():
        np.testing.assert_allclose(array, results[1][name], rtol=0, atol=1e-9, err_msg=name)
    assert launches[0] < launches[1]


def test_an_input_that_does_not_fit_is_refused_in_the_layers_words(kernels):
    network = Sequential(layers(), input_shape=(6, 8, 3)).to(kernels)
    (step,) = resolve(LIBRARY, next(iter(network.params().values()))).steps(network.layers)
    with pytest.raises(ValueError, match="Conv2D: x has 2 channels but kernel expects 3"):
        step.forward(kernels.asarray(np.ones((1, 6, 8, 2))), training=True)
