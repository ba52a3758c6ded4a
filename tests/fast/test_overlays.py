"""Every fast version against the plain one: its signature, its numbers on random geometries, and its contract.

The overlays are taken whole, as `minigan.nn.ops.resolve` takes them, so a new entry is tested without being named here:
a pair needs a line in `ARGUMENTS`. The GPU's run on the device double, with the CUDA source compiled for the processor.
"""

import inspect

import numpy as np
import pytest
from device_double import COMPILER
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_geometries import case, geometries

from minigan.fast.cpu import cpu_overlay
from minigan.fast.cuda import cuda_overlay
from minigan.nn.backend import NUMPY
from minigan.nn.ops import PLAIN, resolve, table
from minigan.nn.ops.conv_pairs import transpose_output_size

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no g++ to compile the kernels for the processor")
OVERLAYS = {"numpy": cpu_overlay.overlay(NUMPY, np.dtype(np.float32)), "cupy": cuda_overlay.VERSIONS}
TOLERANCES = [(np.float64, 1e-10), (np.float32, 3e-5)]
PAIRS = sorted({table.family(name) for names in OVERLAYS.values() for name in names if name.endswith("_forward")})


@pytest.fixture(params=["numpy", pytest.param("kernels", marks=needs_compiler)])
def device(request):
    return NUMPY if request.param == "numpy" else request.getfixturevalue(request.param)


# ---- The form ----


@pytest.mark.parametrize("backend", OVERLAYS)
def test_an_overlay_has_whole_pairs_and_known_names(backend):
    names = set(OVERLAYS[backend])
    assert names <= set(table.NAMES)
    for name in names:
        partner = name.replace("_forward", "_backward") if "_forward" in name else name.replace("_backward", "_forward")
        assert partner in names, f"{name} without its partner"


@pytest.mark.parametrize(("backend", "name"), [(b, n) for b, names in OVERLAYS.items() for n in names if n != "steps"])
def test_a_fast_version_has_the_signature_of_the_plain_one(backend, name):
    """The same arguments, in the same order, with the same defaults."""
    fast, plain = (inspect.signature(f).parameters for f in (OVERLAYS[backend][name], getattr(PLAIN, name)))
    assert [(p.name, p.kind, p.default) for p in fast.values()] == [(p.name, p.kind, p.default) for p in plain.values()]


def test_groups_name_every_fast_version_once():
    names = [name for group in cpu_overlay.GROUPS.values() for name in group]
    assert sorted(names) == sorted(set(names)) == sorted(OVERLAYS["numpy"])
    assert not cpu_overlay.overlay(NUMPY, np.dtype(np.float32), without=cpu_overlay.GROUPS)


# ---- The numbers ----


def image_like(draw, dtype):
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(1, 20)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.standard_normal(shape).astype(dtype), rng


def convolution(draw, dtype):
    x, w, _, where = case(draw(geometries(draw(st.sampled_from(["im2col", "winograd"])))), dtype)
    return (x, w, np.linspace(-1, 1, w.shape[3], dtype=dtype)), where


def transposed_convolution(draw, dtype):
    _, w, dy, where = case(draw(geometries(draw(st.sampled_from(["im2col", "winograd"])))), dtype)
    assume(min(transpose_output_size(dy, w, **where)) > 0)
    return (dy, w, np.linspace(-1, 1, w.shape[2], dtype=dtype)), where


def dense(draw, dtype):
    N, C, O = (draw(st.integers(1, 70)) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return [rng.standard_normal(shape).astype(dtype) for shape in ((N, C), (C, O), (O,))], {}


def activation(draw, dtype):
    x, _ = image_like(draw, dtype)
    x[abs(x) < 0.2] = 0  # where the slope of LeakyReLU changes
    return [x], {}


def loss(draw, dtype):
    x, rng = image_like(draw, dtype)
    return [12 * x[..., :1].reshape(-1, 1), rng.uniform(size=(x[..., :1].size, 1)).astype(dtype)], {}


def moved_images(draw, dtype):
    x, rng = image_like(draw, dtype)
    return [x, rng.integers(-4, 5, (len(x), 2))], {}


ARGUMENTS = {
    "dense": dense,
    "conv2d": convolution,
    "conv2d_transpose": transposed_convolution,
    "leaky_relu": activation,
    "tanh": activation,
    "flatten": activation,
    "bce_with_logits": loss,
    "translate": moved_images,
}


def test_all_pairs_are_compared():
    assert set(PAIRS) == set(ARGUMENTS)


def on(device, arguments):
    return [device.asarray(a.copy()) for a in arguments]


def told(device, result):
    """Arrays of a result on the host; a cache is opaque."""
    arrays = result if isinstance(result, tuple) else (result,)
    return [None if a is None else np.array(device.to_host(a)) for a in arrays]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@settings(max_examples=40)
@given(data=st.data())
def test_a_fast_pair_gives_what_the_plain_one_gives(device, pair, dtype, tolerance, data):
    arguments, settings_ = ARGUMENTS[pair](data.draw, dtype)
    there, seed = on(device, arguments), data.draw(st.integers(0, 2**32 - 1))
    fast = resolve(PLAIN, there[0])
    y, cache = getattr(PLAIN, f"{pair}_forward")(*arguments, **settings_)
    ours, our_cache = getattr(fast, f"{pair}_forward")(*there, **settings_)
    compare(told(device, ours), [y], tolerance)
    assert told(device, ours)[0].dtype == dtype
    dy = np.random.default_rng(seed).standard_normal(np.shape(y)).astype(dtype)
    dy_there = 1.5 if dy.shape == () else device.asarray(dy.copy())
    backward = getattr(fast, f"{pair}_backward")
    expected = getattr(PLAIN, f"{pair}_backward")(1.5 if dy.shape == () else dy, cache)
    found = told(device, backward(dy_there, our_cache))
    compare(found, told(NUMPY, expected), tolerance)
    again = told(device, backward(dy_there, our_cache))
    for a, b in zip(found, again, strict=True):  # a cache can be used twice, and nothing in it was written to
        np.testing.assert_array_equal(a, b)
    for given_, kept in zip(arguments, there, strict=True):
        np.testing.assert_array_equal(device.to_host(kept), given_)


def compare(ours, truth, tolerance):
    assert len(ours) == len(truth)
    for a, b in zip(ours, truth, strict=True):
        assert a.shape == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, np.abs(b).max(initial=0)))


@pytest.mark.parametrize("switches", [(True, False), (False, True), (False, False)])
@pytest.mark.parametrize("pair", ["dense", "conv2d", "conv2d_transpose"])
@settings(max_examples=15)
@given(data=st.data())
def test_gradients_that_are_not_wanted_are_none_and_the_others_as_before(device, pair, switches, data):
    arguments, settings_ = ARGUMENTS[pair](data.draw, np.float64)
    fast = resolve(PLAIN, device.asarray(arguments[0]))
    y, cache = getattr(fast, f"{pair}_forward")(*on(device, arguments), **settings_)
    dy = device.asarray(np.random.default_rng(0).standard_normal(y.shape))
    backward = getattr(fast, f"{pair}_backward")
    every = told(device, backward(dy, cache))
    some = told(device, backward(dy, cache, input_grad=switches[0], param_grads=switches[1]))
    assert [a is not None for a in some] == [switches[0], switches[1], switches[1]]
    compare([a for a in some if a is not None], [a for a, b in zip(every, some, strict=True) if b is not None], 1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
def test_adam_averages_and_metrics(device, dtype, tolerance):
    rng = np.random.default_rng(0)
    shapes = [(3, 4), (70_000,), (), (2, 3, 1, 5)]
    lists = [[np.asarray(rng.standard_normal(shape), dtype) for shape in shapes] for _ in range(2)]
    moments = [[np.asarray(abs(rng.standard_normal(shape)), dtype) for shape in shapes] for _ in range(2)]
    (p, g), (m, v) = lists, moments
    there = [[device.asarray(np.array(a)) for a in group] for group in (p, g, m, v)]
    rates = {"learning_rate": 1e-3, "beta_1": 0.5, "beta_2": 0.999, "epsilon": 1e-7}
    fast = resolve(PLAIN, there[0][0])
    update, plain_update = fast.new_adam(fast), PLAIN.new_adam(PLAIN)
    for t in (4, 5, 6):
        update(*there, t=t, **rates)
        plain_update(p, g, m, v, t=t, **rates)
    for ours, truth in zip(there, (p, g, m, v), strict=True):
        compare(told(device, tuple(ours)), truth, tolerance)
    share = np.asarray(0.25, dtype)
    fast.new_averaging(fast)(there[0], there[1], device.asarray(share))
    PLAIN.new_averaging(PLAIN)(p, g, share)
    compare(told(device, tuple(there[0])), p, tolerance)
    losses, z = rng.standard_normal(3).astype(dtype), rng.standard_normal((2, 9, 1)).astype(dtype)
    ours = fast.step_metrics([device.asarray(np.array(a)) for a in losses], *on(device, z))
    compare(told(device, ours), [PLAIN.step_metrics(list(losses), *z)], tolerance)


def test_in_batches(device):
    x = np.random.default_rng(0).standard_normal((11, 3))
    seen = []

    def double(part):
        seen.append(len(part))
        return 2 * part

    there = device.asarray(x)
    np.testing.assert_array_equal(device.to_host(resolve(PLAIN, there).in_batches(double, there, 4)), 2 * x)
    assert sum(seen) == 11
    assert max(seen) <= 4
