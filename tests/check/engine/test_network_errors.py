"""The gradient check of whole networks: right ones pass, a wrong layer is found, kinks do not matter."""

import dataclasses

import numpy as np
import pytest

from minigan.check import check_network
from minigan.gan.models import discriminator, generator
from minigan.nn import ops
from minigan.nn.layers import Dense, LeakyReLU
from minigan.nn.network import Sequential


@pytest.mark.parametrize("build", [generator, discriminator])
def test_whole_network(build):
    errors = check_network(build(image_size=32, width=2, dtype=np.float64))
    assert set(errors) == {"input", *build(image_size=32, width=2).params()}
    assert max(errors.values()) < 1e-5


def test_whole_network_finds_a_wrong_layer():
    wrong = dataclasses.replace(ops.LIBRARY, leaky_relu_backward=lambda dy, c: ops.leaky_relu_backward(dy, c) * 1.01)
    errors = check_network(discriminator(image_size=32, width=2, dtype=np.float64, ops=wrong))
    assert errors["0.kernel"] > 1e-3
    assert errors["10.kernel" if "10.kernel" in errors else list(errors)[-2]] < 1e-5  # above the layer all is right


def test_whole_network_has_to_be_float64():
    with pytest.raises(ValueError, match="discriminator must be float64"):
        check_network(discriminator(image_size=32, width=2))


def test_kinks_do_not_matter():
    """Forty units whose kinks lie a few steps h from every input: some directions cross one, and are passed over."""
    rng = np.random.default_rng(0)
    layers = [
        Dense(6, 40, kernel_initializer=rng.standard_normal),
        LeakyReLU(),
        Dense(40, 2, kernel_initializer=rng.standard_normal),
    ]
    network = Sequential(layers, input_shape=(6,))
    x = np.random.default_rng(0).standard_normal((3, 6))  # what check_network will draw
    network.params()["0.bias"][...] = -(x @ network.params()["0.kernel"])[0] + rng.uniform(-1e-4, 1e-4, 40)
    assert max(check_network(network, probes=5).values()) < 1e-5
