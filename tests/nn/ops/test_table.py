"""The table of operations: which functions run on which arrays, and what a student's function does to that."""

import copy
import inspect
import pickle
from dataclasses import replace

import numpy as np
import pytest

from minigan.gan.models import discriminator
from minigan.nn import backend
from minigan.nn.layers import BatchNormalization, Conv2D, Dense, LeakyReLU, ReLU
from minigan.nn.network import Sequential
from minigan.nn.ops import LIBRARY, PLAIN, Ops, has_own, is_own, register_overlay, resolve, table
from minigan.nn.optimizers import Adam

X = np.ones((2, 3))


def fast_relu_forward(x):
    return np.maximum(x, 0), x


def fast_relu_backward(dy, cache):
    return dy * (cache > 0)


def fast_sum(x):
    return x.sum()


@pytest.fixture
def overlaid(monkeypatch):
    """NumPy arrays with an overlay of one pair and one function that stands alone."""
    monkeypatch.setattr(table, "_overlays", {})
    fast = {
        "relu_forward": fast_relu_forward,
        "relu_backward": fast_relu_backward,
        "moving_average": fast_sum,
    }
    register_overlay("numpy", lambda backend, dtype: fast if dtype == np.float64 else {})
    yield
    table._resolved.cache_clear()


def test_fast_versions_take_the_place_of_plain_ones(overlaid):
    ran = resolve(PLAIN, X)
    assert ran.relu_forward is fast_relu_forward
    assert ran.relu_backward is fast_relu_backward
    assert ran.moving_average is fast_sum
    assert ran.dense_forward is PLAIN.dense_forward
    assert resolve(PLAIN, X) is ran


def test_where_there_is_no_fast_version_the_table_is_as_given(overlaid, double):
    assert resolve(PLAIN, X.astype(np.float32)).relu_forward is PLAIN.relu_forward
    assert resolve(PLAIN, double.asarray(X)) is PLAIN


@pytest.mark.parametrize("name", ["relu_forward", "relu_backward"])
def test_where_one_of_a_pair_is_a_students_both_are_as_given(overlaid, name):
    def mine(*arguments):
        raise AssertionError

    wanted = replace(LIBRARY, **{name: mine})
    ran = resolve(wanted, X)
    assert getattr(ran, name) is mine
    assert (ran.relu_forward, ran.relu_backward) == (wanted.relu_forward, wanted.relu_backward)
    assert ran.moving_average is fast_sum


def test_plain_stays_plain(overlaid):
    wanted = replace(LIBRARY, plain=True)
    assert resolve(wanted, X) is wanted


def test_a_later_overlay_replaces_an_earlier_one(overlaid):
    assert resolve(PLAIN, X).moving_average is fast_sum
    register_overlay("numpy", lambda backend, dtype: {})
    assert resolve(PLAIN, X).moving_average is PLAIN.moving_average


def test_whose_function_it_is(overlaid):
    resolve(PLAIN, X)
    assert is_own(PLAIN.relu_forward)
    assert is_own(fast_relu_backward)
    assert not is_own(lambda dy, cache: dy)
    mine = replace(LIBRARY, batch_norm_backward=lambda dy, cache: dy)
    assert has_own(PLAIN, "batch_norm", "relu")
    assert not has_own(mine, "relu", "batch_norm")
    assert has_own(mine, "batch_norm_inference")


def test_every_pair_is_complete_and_every_entry_is_a_function():
    forwards = {name.removesuffix("_forward") for name in table.NAMES if name.endswith("_forward")}
    backwards = {name.removesuffix("_backward") for name in table.NAMES if name.endswith("_backward")}
    assert forwards == backwards
    assert all(callable(getattr(PLAIN, name)) for name in table.NAMES)
    assert set(inspect.signature(Ops).parameters) == {*table.NAMES, "plain"}
    assert LIBRARY is PLAIN


def test_a_layer_looks_its_functions_up_when_it_is_called(overlaid):
    layer = ReLU()
    assert layer.forward(X, training=True)[1] is X  # the fast one's cache
    register_overlay("numpy", lambda backend, dtype: {})
    assert layer.forward(X, training=True)[1] is not X


def test_what_a_factory_made_is_kept_until_the_table_changes(overlaid):
    made = []
    wanted = replace(LIBRARY, new_adam=lambda ops: made.append(ops) or len(made))
    adam = table.FromFactory("new_adam")
    assert adam.function(wanted, [X]) == adam.function(wanted, [X]) == 1
    assert adam.function(wanted, [X.astype(np.float32)]) == 2
    assert adam.function(wanted, []) == 3


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda adam: pickle.loads(pickle.dumps(adam))])
def test_a_copy_makes_a_function_of_its_own(copied):
    """The old one may remember where the old arrays lie."""
    adam = table.FromFactory("new_adam")
    update = adam.function(PLAIN, [X])
    other = copied(adam).function(PLAIN, [X])
    assert other is not update
    assert other.__qualname__ == update.__qualname__


# ---- Students' functions, alone and in pairs, on both tables ----


def my_conv2d_forward(x, w, b, stride=1, pad=0):
    """With a cache of its own, and everything by loops over the output."""
    (top, bottom), (left, right) = ((pad, pad), (pad, pad)) if isinstance(pad, int) else pad
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    K, S = len(w), stride
    Ho, Wo = (padded.shape[1] - K) // S + 1, (padded.shape[2] - K) // S + 1
    y = np.empty((len(x), Ho, Wo, w.shape[3]), x.dtype)
    for i in range(Ho):
        for j in range(Wo):
            y[:, i, j] = np.tensordot(padded[:, S * i : S * i + K, S * j : S * j + K], w, 3) + b
    return y, {"padded": padded, "w": w, "stride": S, "crop": (top, left, *x.shape[1:3])}


def my_conv2d_backward(dy, cache):
    padded, w, S = cache["padded"], cache["w"], cache["stride"]
    K, (top, left, H, W) = len(w), cache["crop"]
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            here = (slice(None), slice(S * i, S * i + K), slice(S * j, S * j + K))
            dw += np.tensordot(padded[here], dy[:, i, j], ((0,), (0,)))
            dpadded[here] += np.tensordot(dy[:, i, j], w, ((1,), (3,)))
    return dpadded[:, top : top + H, left : left + W], dw, dy.sum(axis=(0, 1, 2))


def my_conv2d_backward_of_minigans_cache(dy, cache):
    pad = cache.pad
    _, mine = my_conv2d_forward(cache.x, cache.w, np.zeros(cache.w.shape[3]), cache.stride, pad)
    return my_conv2d_backward(dy, mine)


def my_batch_norm_forward(x, gamma, beta, eps=1e-3):
    mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    return gamma * (x - mean) / np.sqrt(var + eps) + beta, (x, gamma, mean, var, eps)


def my_batch_norm_backward(dy, cache):
    x, gamma, mean, var, eps = cache
    xhat = (x - mean) / np.sqrt(var + eps)
    axes = (0, 1, 2)
    dx = gamma / np.sqrt(var + eps) * (dy - dy.mean(axes) - xhat * (dy * xhat).mean(axes))
    return dx, (dy * xhat).sum(axes), dy.sum(axes)


def my_leaky_relu_forward(x, alpha=0.2):
    return np.where(x > 0, x, alpha * x), ("mine", x > 0, alpha)


def my_leaky_relu_backward(dy, cache):
    _, positive, alpha = cache
    return np.where(positive, dy, alpha * dy)


STUDENTS = {
    "nothing": {},
    "conv2d pair": {"conv2d_forward": my_conv2d_forward, "conv2d_backward": my_conv2d_backward},
    "conv2d_backward": {"conv2d_backward": my_conv2d_backward_of_minigans_cache},
    "conv2d_forward that keeps minigan's cache": {
        "conv2d_forward": lambda x, w, b, stride=1, pad=0: PLAIN.conv2d_forward(x, w, b, stride, pad)
    },
    "batch_norm pair": {"batch_norm_forward": my_batch_norm_forward, "batch_norm_backward": my_batch_norm_backward},
    "leaky_relu pair": {"leaky_relu_forward": my_leaky_relu_forward, "leaky_relu_backward": my_leaky_relu_backward},
    "leaky_relu_backward": {
        "leaky_relu_backward": lambda dy, cache: np.where(cache[0] > 0, dy, cache[1] * dy),
    },
    "everything": {
        "conv2d_forward": my_conv2d_forward,
        "conv2d_backward": my_conv2d_backward,
        "batch_norm_forward": my_batch_norm_forward,
        "batch_norm_backward": my_batch_norm_backward,
        "leaky_relu_forward": my_leaky_relu_forward,
        "leaky_relu_backward": my_leaky_relu_backward,
    },
}


def gradients(ops):
    """Of a network with enough work for every fast algorithm: output, dx, and the parameters' gradients."""
    rng = np.random.default_rng(3)

    def kernels(shape):
        return 0.2 * rng.standard_normal(shape)

    layers = [
        Conv2D(3, 16, 4, strides=2, kernel_initializer=kernels, ops=ops),
        LeakyReLU(ops=ops),
        Conv2D(16, 16, 4, strides=2, kernel_initializer=kernels, ops=ops),
        BatchNormalization(16, dtype=np.float64, ops=ops),
        LeakyReLU(ops=ops),
    ]
    network = Sequential(layers, input_shape=(32, 32, 3), ops=ops)
    y, caches = network.forward(rng.standard_normal((10, 32, 32, 3)), training=True)
    dx = network.backward(rng.standard_normal(y.shape), caches, input_grad=True)
    return {"y": y, "dx": dx, **network.grads(), **network.buffers()}


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("mine", STUDENTS)
def test_students_functions_give_right_gradients_on_both_tables(mine, plain):
    """A wrong partner would fail or give wrong numbers. The plain functions are checked by numeric gradients."""
    found = gradients(replace(LIBRARY, **STUDENTS[mine], plain=plain))
    for name, expected in gradients(replace(LIBRARY, plain=True)).items():
        np.testing.assert_allclose(
            found[name], expected, rtol=0, atol=1e-10 * max(1, abs(expected).max()), err_msg=name
        )


def test_of_a_students_gradients_those_that_are_not_wanted_are_dropped():
    """A student's function knows no switches, and always gives all gradients."""
    mine = replace(LIBRARY, dense_backward=lambda dy, cache: LIBRARY.dense_backward(dy, cache))
    layer = Dense(3, 2, kernel_initializer=np.ones, ops=mine)
    y, cache = layer.forward(X, training=True)
    assert layer.backward(y, cache, input_grad=False, param_grads=False) is None
    assert not any(g.any() for g in layer.grads.values())
    assert layer.backward(y, cache, param_grads=False).shape == X.shape
    assert layer.backward(y, cache, input_grad=False) is None
    assert all(g.any() for g in layer.grads.values())


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_students_backward_with_too_few_or_too_many_results_is_told(count):
    mine = replace(LIBRARY, dense_backward=lambda dy, cache: (dy,) * count)
    layer = Dense(3, 2, kernel_initializer=np.ones, ops=mine)
    y, cache = layer.forward(X, training=True)
    told = f"Dense: backward must return dx and the gradients of kernel, bias, got {count} results"
    with pytest.raises(ValueError, match=told):
        layer.backward(y, cache)


@pytest.mark.parametrize("kind", ["numpy", "double", "kernels"])
def test_ones_own_update_of_adam_is_used(kind, request):
    """By the factory of the same table: on the processor in pieces, on a device for each parameter."""
    device = backend.NUMPY if kind == "numpy" else request.getfixturevalue(kind)
    seen = []

    def mine(p, g, m, v, rate, beta_1, beta_2, epsilon):
        seen.append(p.size)
        p -= g

    p, g = {"w": device.asarray(np.ones(5))}, {"w": device.asarray(np.full(5, 0.25))}
    Adam(p, learning_rate=1, ops=replace(LIBRARY, adam_update=mine)).step(g)
    np.testing.assert_array_equal(device.to_host(p["w"]), np.full(5, 0.75))
    assert seen == [5]


def test_an_overlay_with_an_unknown_name_is_refused(overlaid):
    register_overlay("numpy", lambda backend, dtype: {"relu_froward": fast_sum})
    with pytest.raises(ValueError, match="overlay for numpy: must have names of Ops only, got relu_froward"):
        resolve(PLAIN, X)


@pytest.mark.parametrize("name", ["relu_forward", "relu_backward"])
def test_an_overlay_with_half_a_pair_is_refused(overlaid, name):
    """The other half would be the plain one, and not know the cache."""
    register_overlay("numpy", lambda backend, dtype: {name: fast_sum})
    with pytest.raises(ValueError, match="must have both or neither of relu_forward and relu_backward"):
        resolve(PLAIN, X)


def test_a_network_takes_the_table_of_each_array(double):
    """Moved to another backend, layers use that backend's functions; nothing else has to be told."""
    D = discriminator(image_size=32, width=4, seed=1)
    x = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3)).astype(np.float32)
    before = D.predict(x)
    D.to(double)
    there = D.predict(double.asarray(x))
    np.testing.assert_allclose(double.to_host(there), before, atol=1e-4)
    np.testing.assert_array_equal(D.to(backend.NUMPY).predict(x), before)


def test_layers_of_one_network_may_have_different_tables():
    mine = replace(LIBRARY, dense_forward=lambda x, w, b: (x @ w + b + 1, (x, w)))
    layers = [Dense(3, 4, kernel_initializer=np.ones), Dense(4, 2, kernel_initializer=np.ones, ops=mine)]
    y, _ = Sequential(layers, input_shape=(3,)).forward(X, training=True)
    np.testing.assert_array_equal(y, np.full((2, 2), 13.0))
