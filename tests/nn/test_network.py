"""A network of layers: its table, its state, its caches, and inputs that do not fit."""

from dataclasses import replace

import numpy as np
import pytest

from minigan.gan.models import discriminator, generator
from minigan.nn.layers import BatchNormalization, Dense, LeakyReLU
from minigan.nn.network import Sequential
from minigan.nn.ops import LIBRARY


def test_summary_tells_shapes_and_totals():
    text = generator().summary()
    assert "4 x 4 x 512 x 100" in text
    assert "3,616,771 parameters: 3,614,723 trained, 2,048 moving statistics" in text
    assert text.count("\n") == 22


def test_load_state_is_all_or_nothing():
    network = discriminator(image_size=32, width=1)
    before = {path: a.copy() for path, a in network.state().items()}
    state = {path: a + 1 for path, a in before.items()}
    for broken, message in (
        ({**state, "99.kernel": np.zeros(1)}, "'99.kernel' is not known"),
        ({k: v for k, v in state.items() if k != "2.bias"}, "'2.bias' is missing"),
        ({**state, "0.bias": np.zeros(2, np.float32)}, r"0.bias must be float32 of shape \(1,\), got .* \(2,\)"),
        ({**state, "0.bias": np.zeros(1)}, r"0.bias must be float32 of shape \(1,\), got float64"),
    ):
        with pytest.raises(ValueError, match=message):
            network.load_state(broken)
        for path, a in network.state().items():
            np.testing.assert_array_equal(a, before[path])
    network.load_state(state)
    np.testing.assert_array_equal(network.state()["0.kernel"], before["0.kernel"] + 1)


def test_wrong_input_shape_is_refused():
    with pytest.raises(ValueError, match=r"discriminator: x must be \(N, 64, 64, 3\)"):
        discriminator(width=1).forward(np.zeros((2, 64, 64, 1), np.float32), training=True)


def test_predict_in_batches_equals_predict_at_once():
    G = generator(image_size=32, width=4)
    noise = np.random.default_rng(0).standard_normal((7, 1, 1, 100)).astype(np.float32)
    np.testing.assert_allclose(G.predict(noise, batch_size=3), G.predict(noise), atol=1e-6)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_predict_in_batches_of_nothing_is_refused(batch_size):
    with pytest.raises(ValueError, match=f"generator: batch_size must be at least 1, got {batch_size}"):
        generator(image_size=32, width=1).predict(np.zeros((2, 1, 1, 100), np.float32), batch_size=batch_size)


def test_backward_empties_caches_that_are_not_kept():
    D = discriminator(image_size=32, width=2)
    x = np.random.default_rng(0).standard_normal((4, 32, 32, 3)).astype(np.float32)
    y, caches = D.forward(x, training=True, update_stats=False)
    kept = D.backward(y, caches, input_grad=True)
    assert len(caches) > 3
    np.testing.assert_array_equal(D.backward(y, caches, input_grad=True, keep_caches=False), kept)
    assert caches == []
    with pytest.raises(ValueError, match="discriminator: there are no caches; a backward with keep_caches=False"):
        D.backward(y, caches, input_grad=True)


def small():
    layers = [Dense(3, 4, kernel_initializer=np.ones), BatchNormalization(4, dtype=np.float64), LeakyReLU()]
    return Sequential([*layers, Dense(4, 2, kernel_initializer=np.ones)], input_shape=(3,), name="small")


def test_every_array_has_a_path_and_is_the_layers_own():
    network = small()
    assert list(network.params()) == ["0.kernel", "0.bias", "1.gamma", "1.beta", "3.kernel", "3.bias"]
    assert list(network.grads()) == list(network.params())
    assert list(network.state()) == [*network.params(), *network.buffers()]
    assert network.params()["3.kernel"] is network.layers[3].params["kernel"]
    assert network.buffers()["1.moving_mean"] is network.layers[1].buffers["moving_mean"]
    assert network.output_shape() == (2,)


def test_forward_and_backward_run_through_all_layers():
    network, x = small(), np.random.default_rng(0).standard_normal((5, 3))
    y, dy, caches = x, np.ones((5, 2)), []
    for layer in network.layers:
        y, cache = layer.forward(y, training=True, update_stats=False)
        caches.append(cache)
    dx = dy
    for layer, cache in zip(reversed(network.layers), reversed(caches), strict=True):
        dx = layer.backward(dx, cache)
    expected = {path: g.copy() for path, g in network.grads().items()}
    network.zero_grads()
    found, caches = network.forward(x, training=True, update_stats=False)
    np.testing.assert_allclose(found, y, rtol=1e-12)
    np.testing.assert_allclose(network.backward(dy, caches, input_grad=True), dx, rtol=1e-9, atol=1e-12)
    for path, g in network.grads().items():
        np.testing.assert_allclose(g, expected[path], rtol=1e-9, atol=1e-12)


def test_without_param_grads_nothing_is_added():
    network = small()
    y, caches = network.forward(np.ones((5, 3)), training=True)
    assert network.backward(y, caches, param_grads=False) is None
    assert not any(g.any() for g in network.grads().values())
    with pytest.raises(ValueError, match="small: dy is None"):
        network.backward(None, caches)
    network.layers[2].ops = replace(LIBRARY, leaky_relu_backward=lambda dy, cache: None)
    y, caches = network.forward(np.ones((5, 3)), training=True)
    with pytest.raises(ValueError, match="small: the backward of a LeakyReLU must return dx, got None"):
        network.backward(y, caches)
