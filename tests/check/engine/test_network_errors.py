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


def backwards(name, change):
    """minigan's table with a backward whose results (dx and the others) are changed."""
    right = getattr(ops, f"{name}_backward")

    def wrong(dy, cache):
        results = right(dy, cache)
        return change(*results) if isinstance(results, tuple) else change(results)

    return dataclasses.replace(ops.LIBRARY, **{f"{name}_backward": wrong})


@pytest.mark.parametrize(
    ("build", "table", "guilty", "layer"),
    [
        (discriminator, backwards("leaky_relu", lambda dx: dx * 1.01), 7, "LeakyReLU"),
        (discriminator, backwards("batch_norm", lambda dx, dg, db: (dx, dg * 1.3, db)), 6, "BatchNormalization"),
        (generator, backwards("batch_norm", lambda dx, dg, db: (dx + 0.1, dg, db)), 10, "BatchNormalization"),
        (discriminator, backwards("flatten", lambda dx: dx[:, ::-1]), 8, "Flatten"),
        (discriminator, backwards("conv2d", lambda dx, dw, db: (dx * np.nan, dw, db)), 5, "Conv2D"),
        (discriminator, backwards("dense", lambda dx, dw, db: (1e9 * dx, dw, db)), 9, "Dense"),
        (generator, backwards("conv2d_transpose", lambda dx, dw, db: (dx[:, ::-1], dw, db)), 12, "Conv2DTranspose"),
        (generator, backwards("tanh", lambda dx: -dx), 13, "Tanh"),
    ],
)
def test_the_verdict_names_the_last_layer_whose_incoming_gradient_is_right(capsys, build, table, guilty, layer):
    errors = check_network(build(image_size=32, width=2, dtype=np.float64, ops=table), probes=1)
    assert (errors.passed, errors.guilty) == (False, guilty)
    told = capsys.readouterr().out
    assert f"incoming gradient is still right is layer {guilty}, {layer}." in told
    assert "gradients are wrong; worst error" in told


def test_the_verdict_of_a_right_network(capsys):
    errors = check_network(discriminator(image_size=32, width=2, dtype=np.float64), probes=1)
    assert (errors.passed, errors.guilty) == (True, None)
    assert capsys.readouterr().out.startswith("discriminator: all 13 gradients are right; worst error ")


class OneTooMany(Sequential):
    """A network that runs its last layer's backward twice."""

    def backward(self, dy, caches, **settings):
        layer, cache = caches[-1]
        return super().backward(layer.backward(dy, cache, param_grads=False), caches, **settings)


def test_a_network_whose_layers_are_right_and_which_is_not(capsys):
    rng = np.random.default_rng(0)
    layers = [Dense(4, 4, kernel_initializer=rng.standard_normal) for _ in range(2)]
    assert not check_network(OneTooMany(layers, input_shape=(4,))).passed
    assert "Each layer alone is right" in capsys.readouterr().out


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
