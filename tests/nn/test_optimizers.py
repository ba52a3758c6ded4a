"""Adam against its formula written out, number by number, and what it refuses."""

import math

import numpy as np
import pytest

from minigan.fast.cpu.fused import PIECE
from minigan.nn.optimizers import Adam


def written_out(p, gradients, lr, b1=0.5, b2=0.999, eps=1e-7):
    """Adam for one parameter in Python floats, epsilon outside the bias correction."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        lr_t = lr * math.sqrt(1 - b2**t) / (1 - b1**t)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        p -= lr_t * m / (math.sqrt(v) + eps)
    return p


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-14), (np.float32, 1e-6)])
def test_equals_the_formula(dtype, tolerance):
    rng = np.random.default_rng(0)
    start = rng.standard_normal((3, 2)).astype(dtype)
    gradients = rng.standard_normal((6, 3, 2)).astype(dtype) * np.array([1e-6, 1.0], dtype)
    p = start.copy()
    adam = Adam({"w": p}, learning_rate=2e-4)
    for g in gradients:
        adam.step({"w": g})
    expected = [
        [written_out(float(start[i, j]), gradients[:, i, j].astype(float), 2e-4) for j in (0, 1)] for i in range(3)
    ]
    np.testing.assert_allclose(p, expected, rtol=0, atol=tolerance)
    assert p.dtype == dtype
    assert adam.t == 6


def test_first_step_is_the_learning_rate_in_the_gradients_direction():
    p = np.zeros(2)
    Adam({"w": p}, learning_rate=0.01).step({"w": np.array([3.0, -1e-3])})
    np.testing.assert_allclose(p, [-0.01, 0.01], rtol=5e-3)


def test_gradients_are_left_alone():
    g = np.ones(3)
    Adam({"w": np.zeros(3)}, learning_rate=0.1).step({"w": g})
    np.testing.assert_array_equal(g, 1)


def test_large_and_turned_parameters_are_updated_whole():
    """Cut into pieces or not: every number follows the formula."""
    rng = np.random.default_rng(0)
    start, g = rng.standard_normal((2, 3, PIECE // 2 + 5))
    arrays = {"cut": start.copy(), "turned": start.T.copy().T}
    assert not arrays["turned"].flags.c_contiguous
    Adam(arrays, learning_rate=0.01).step({"cut": g, "turned": g})
    rate = 0.01 * math.sqrt(1 - 0.999) / (1 - 0.5)
    expected = start - rate * 0.5 * g / (np.sqrt(0.001 * g * g) + 1e-7)
    for name, p in arrays.items():
        np.testing.assert_allclose(p, expected, rtol=0, atol=1e-12, err_msg=name)


def test_a_loaded_optimizer_goes_on_as_the_saved_one():
    p = np.ones(3)
    adam = Adam({"w": p}, learning_rate=0.1)
    adam.step({"w": np.array([1.0, 2.0, 3.0])})
    twin = Adam({"w": p.copy()}, learning_rate=0.1)
    twin.load_state({name: a.copy() for name, a in adam.state().items()}, adam.t)
    for a in (adam, twin):
        a.step({"w": np.array([-1.0, 0.5, 0.0])})
    np.testing.assert_array_equal(adam.params["w"], twin.params["w"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Adam({}, learning_rate=0.0), "learning_rate must be above 0 and finite, got 0.0"),
        (lambda: Adam({}, learning_rate=math.inf), "finite, got inf"),
        (lambda: Adam({}, learning_rate=1e-3, beta_1=1.0), "beta_1 must be at least 0 and below 1, got 1.0"),
        (lambda: Adam({}, learning_rate=1e-3, epsilon=0), "epsilon must be above 0, got 0"),
        (lambda: Adam({"w": np.zeros(3)}, learning_rate=1).step({}), r"w needs a gradient of shape \(3,\), got none"),
        (
            lambda: Adam({"w": np.zeros(3)}, learning_rate=1).step({"w": np.zeros(2)}),
            r"w needs a gradient of shape \(3,\), got shape \(2,\)",
        ),
        (lambda: Adam({"w": np.zeros(3)}, learning_rate=1).load_state({}, 0), "'m.w' is missing"),
        (lambda: Adam({}, learning_rate=1).load_state({}, -1), "t must be 0 or more, got -1"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_refused_step_changes_nothing():
    p = np.zeros(3)
    adam = Adam({"w": p, "b": np.zeros(1)}, learning_rate=1)
    with pytest.raises(ValueError, match="b needs a gradient"):
        adam.step({"w": np.ones(3)})
    assert not p.any()
    assert adam.t == 0
