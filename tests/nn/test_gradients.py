"""Gradients add up, in every way of adding; and nobody can see that zeros are made only when they are read."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.nn.backend import NUMPY
from minigan.nn.layers import Conv2D, Dense, Layer
from minigan.nn.network import Sequential
from minigan.nn.ops import LIBRARY
from minigan.nn.optimizers import Adam

NAMES = ("a", "b", "c", "d", "e")


def by_hand(layer, name, g):
    layer.grads[name] += g


def by_method(layer, name, g):
    layer.add_grad(name, g)


class Scales(Layer):
    """y = x * (a + b + ...): a layer of one's own with any number of parameters."""

    def __init__(self, count, add):
        super().__init__({name: np.full(3, 2.0) for name in NAMES[:count]})
        self.add = add

    def forward(self, x, *, training, update_stats=True):
        return x * sum(self.params.values()), x

    def backward(self, dy, cache, *, input_grad=True, param_grads=True):
        if param_grads:
            for name in self.params:
                self.add(self, name, (dy * cache).sum(axis=0))
        return dy * sum(self.params.values()) if input_grad else None

    def output_shape(self, input_shape):
        return input_shape


def dense():
    return Dense(3, 2, kernel_initializer=lambda shape: np.ones(shape))


def backward(layer, x):
    y, cache = layer.forward(x, training=True)
    layer.backward(np.ones_like(y), cache)


@pytest.mark.parametrize("add", [by_hand, by_method])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_layer_of_ones_own_starts_from_zero_after_every_zero_grads(count, add):
    layer = Scales(count, add)
    network = Sequential([layer], input_shape=(3,))
    x = np.ones((2, 3))
    for _ in range(3):
        network.zero_grads()
        backward(network, x)
        assert {name: g.tolist() for name, g in layer.grads.items()} == {name: [2, 2, 2] for name in NAMES[:count]}
    backward(network, x)
    assert all((g == 4).all() for g in layer.grads.values())


@pytest.mark.parametrize("zero_first", [False, True])
def test_weight_decay_by_hand_is_added_before_and_after_backward(zero_first):
    x = np.arange(6.0).reshape(2, 3)
    plain = dense()
    backward(plain, x)
    for order in ("before", "after"):
        layer = dense()
        if zero_first:
            layer.zero_grads()
        if order == "before":
            layer.grads["kernel"] += 100 * layer.params["kernel"]
        backward(layer, x)
        if order == "after":
            layer.grads["kernel"] += 100 * layer.params["kernel"]
        np.testing.assert_allclose(layer.grads["kernel"], plain.grads["kernel"] + 100)
        np.testing.assert_array_equal(layer.grads["bias"], plain.grads["bias"])


def test_a_gradient_that_was_read_is_the_one_that_is_added_to():
    layer = dense()
    layer.zero_grads()
    held = layer.grads["kernel"]
    assert not held.any()
    backward(layer, np.ones((2, 3)))
    assert held is layer.grads["kernel"]
    assert held.any()


def test_zero_grads_leaves_what_was_read_before():
    layer = dense()
    backward(layer, np.ones((2, 3)))
    held = layer.grads["kernel"]
    before = held.copy()
    layer.zero_grads()
    backward(layer, 3 * np.ones((2, 3)))
    np.testing.assert_array_equal(held, before)


def test_an_array_given_to_add_grad_may_be_changed_afterwards():
    """A user's array is copied: filling it anew must not change the gradient."""
    layer = dense()
    buffer = np.ones((3, 2))
    layer.add_grad("kernel", buffer)
    buffer.fill(5)
    layer.add_grad("kernel", buffer)
    assert (layer.grads["kernel"] == 6).all()
    assert (buffer == 5).all()


def test_a_students_function_with_minigans_switches_may_use_its_array_again():
    buffer = np.empty((3, 2))

    def mine(dy, cache, *, input_grad=True, param_grads=True):
        dx, dw, db = LIBRARY.dense_backward(dy, cache)
        np.copyto(buffer, dw)
        return dx, buffer, db

    layer = Dense(3, 2, kernel_initializer=np.ones, ops=replace(LIBRARY, dense_backward=mine))
    for _ in range(3):
        backward(layer, np.ones((2, 3)))
    assert (layer.grads["kernel"] == 6).all()


def test_a_fresh_array_does_not_change_shape_or_dtype():
    layer = Layer({"gamma": np.ones(2, np.float32)})
    layer.add_grad("gamma", np.ones((1, 2)), fresh=True)
    assert (layer.grads["gamma"].shape, layer.grads["gamma"].dtype) == ((2,), np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_of_a_single_number_add_up(dtype):
    """NumPy's sum of all numbers is no array: what is added to it makes a new number, and the sum would be lost."""
    layer = Layer({"slope": np.array(0.25, dtype)})
    for _ in range(3):
        layer.add_grad("slope", np.ones(2, dtype).sum(), fresh=True)
    assert layer.grads["slope"] == 6
    assert (type(layer.grads["slope"]), layer.grads["slope"].dtype) == (np.ndarray, dtype)


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("view", [np.transpose, np.asarray])
def test_gradients_may_have_any_order_in_memory(fresh, view):
    layer = Layer({"w": np.zeros((3, 3))})
    g = np.arange(9.0).reshape(3, 3)
    for _ in range(2):
        layer.add_grad("w", view(g.copy()), fresh=fresh)
    np.testing.assert_array_equal(layer.grads["w"], 2 * view(g))
    assert layer.grads["w"].flags.c_contiguous  # on a GPU, all gradients are zeroed by address and size
    layer.grads["w"] = view(g.copy())
    layer.add_grad("w", g)
    np.testing.assert_array_equal(layer.grads["w"], view(g) + g)


def test_parameters_that_come_later_have_gradients_too():
    layer = Layer()
    layer.params["w"] = np.ones(2, np.float32)
    layer.add_grad("w", np.ones(2))
    assert layer.grads["w"].tolist() == [1, 1]
    assert layer.grads["w"].dtype == np.float32


def test_a_layer_may_have_a_dictionary_of_its_own():
    layer = Layer()
    layer.params, layer.grads = {"w": np.ones(2)}, {"w": np.zeros(2)}
    layer.add_grad("w", np.ones(2))
    assert layer.grads["w"].tolist() == [1, 1]
    layer.zero_grads()
    assert layer.grads["w"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda layer: layer.add_grad("kernel", np.ones((2, 3))), ValueError, r"'kernel'.*\(3, 2\), got \(2, 3\)"),
        (lambda layer: layer.add_grad("gamma", np.ones(2)), KeyError, "gamma"),
        (lambda layer: layer.add_grad("bias", [1, 2]), TypeError, "'bias': must be an array, got list"),
        (lambda layer: layer.add_grad("bias", None), TypeError, "'bias': must be an array, got NoneType"),
        (lambda layer: layer.grads["gamma"], KeyError, "gamma"),
        (lambda layer: layer.grads.update(gamma=np.ones(2)), KeyError, "gamma"),
        (lambda layer: layer.grads.pop("bias"), TypeError, "'bias': cannot be deleted"),
    ],
)
def test_refusals(use, error, message):
    with pytest.raises(error, match=message):
        use(dense())


def test_reads_like_a_dictionary():
    layer = dense()
    assert list(layer.grads) == ["kernel", "bias"]
    assert len(layer.grads) == 2
    assert "kernel" in layer.grads
    assert "gamma" not in layer.grads
    assert repr(layer.grads) == repr({"kernel": np.zeros((3, 2)), "bias": np.zeros(2)})
    assert {name: g.shape for name, g in {**layer.grads}.items()} == {"kernel": (3, 2), "bias": (2,)}


ACTIONS = st.lists(st.sampled_from(["zero", "read", "hand", "own", "fresh", "set", "backward"]), max_size=12)


@given(ACTIONS)
def test_any_order_of_actions_gives_what_a_plain_dictionary_gives(actions):
    """The oracle is the obvious thing: an array that is filled with zeros and added to."""
    layer, expected = dense(), np.zeros((3, 2))
    x = np.ones((2, 3))
    for action in actions:
        g = np.arange(6.0).reshape(3, 2)
        if action == "zero":
            layer.zero_grads()
            expected[:] = 0
        elif action == "read":
            np.testing.assert_array_equal(layer.grads["kernel"], expected)
        elif action == "set":
            layer.grads["kernel"] = g.copy()
            expected[:] = g
        else:
            if action == "hand":
                layer.grads["kernel"] += g
            elif action == "backward":
                backward(layer, x)
                g = np.full((3, 2), 2.0)
            else:
                layer.add_grad("kernel", g.copy(), fresh=action == "fresh")
            expected += g
    np.testing.assert_array_equal(layer.grads["kernel"], expected)


@pytest.mark.parametrize("kind", ["double", "kernels"])
def test_on_a_device_an_array_that_was_read_keeps_its_numbers(kind, request):
    layer = Conv2D(3, 4, kernel_size=3, kernel_initializer=lambda shape: np.ones(shape, np.float32))
    device = request.getfixturevalue(kind)
    network = Sequential([layer], input_shape=(5, 5, 3)).to(device)
    x = device.asarray(np.random.default_rng(0).standard_normal((2, 5, 5, 3)).astype(np.float32))
    y, caches = network.forward(x, training=True)
    network.backward(y, caches)
    read = dict(layer.grads)
    before = {name: device.to_host(g).copy() for name, g in read.items()}
    network.zero_grads()
    assert not any(device.to_host(g).any() for g in layer.grads.values())
    for _ in range(2):
        network.backward(y, caches)
    for name, g in read.items():
        np.testing.assert_array_equal(device.to_host(g), before[name])
        np.testing.assert_allclose(device.to_host(layer.grads[name]), 2 * before[name], rtol=1e-5)


def test_moving_a_network_moves_its_gradients():
    network = Sequential([dense()], input_shape=(3,))
    backward(network, np.ones((2, 3)))
    before = {name: g.copy() for name, g in network.grads().items()}
    network.to(NUMPY)
    for name, g in network.grads().items():
        np.testing.assert_array_equal(g, before[name])


def test_an_optimizer_steps_a_layer_of_ones_own():
    layer = Scales(2, by_hand)
    network = Sequential([layer], input_shape=(3,))
    Adam(network.params(), learning_rate=0.1).step(network.grads())
    assert (layer.params["a"] == 2).all()
    backward(network, np.ones((2, 3)))
    Adam(network.params(), learning_rate=0.1).step(network.grads())
    np.testing.assert_allclose(layer.params["a"], 1.9, rtol=1e-6)
