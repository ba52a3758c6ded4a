"""Binary cross-entropy from logits: the formula, its gradient, the clip, and shapes that must be refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numeric_gradients import directional_error

from minigan.nn.losses import LOGIT_MAX, LOGIT_MIN, bce_with_logits_backward, bce_with_logits_forward


@given(
    z=st.lists(st.floats(-15, 15), min_size=1, max_size=9),
    target=st.lists(st.floats(0, 1), min_size=9, max_size=9),
)
def test_equals_the_textbook_formula(z, target):
    z, target = np.array(z)[:, None], np.array(target[: len(z)])[:, None]
    p = 1 / (1 + np.exp(-z))
    loss, _ = bce_with_logits_forward(z, target)
    assert loss == pytest.approx(-np.mean(target * np.log(p) + (1 - target) * np.log(1 - p)), rel=1e-9, abs=1e-12)


def test_gradient():
    rng = np.random.default_rng(0)
    z, target = 4 * rng.standard_normal((7, 1)), rng.random((7, 1))
    _, cache = bce_with_logits_forward(z, target)
    dz = bce_with_logits_backward(1.7, cache)
    error = directional_error(lambda z: bce_with_logits_forward(z, target)[0], [z], [dz], 1.7, rng)
    assert error < 1e-6


def test_values_worked_by_hand():
    loss, cache = bce_with_logits_forward(np.array([[0.0]]), np.array([[0.9]]))
    assert loss == pytest.approx(np.log(2))
    assert bce_with_logits_backward(1.0, cache)[0, 0] == pytest.approx(-0.4)


@pytest.mark.parametrize("z", [-1e4, -200.0, LOGIT_MIN - 0.01, LOGIT_MAX + 0.01, 200.0, 1e4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_beyond_the_clip_the_loss_is_flat(z, dtype):
    """No overflow (warnings are errors here), Keras's bounds, and a gradient of exactly 0."""
    loss, cache = bce_with_logits_forward(np.array([[z]], dtype), np.array([[0.25]], dtype))
    bound = LOGIT_MAX if z > 0 else LOGIT_MIN
    assert loss == pytest.approx(max(bound, 0) - bound * 0.25 + np.log1p(np.exp(-abs(bound))), rel=1e-6)
    gradient = bce_with_logits_backward(1.0, cache)
    assert gradient.dtype == dtype
    assert gradient[0, 0] == 0


def test_mismatched_shapes_are_refused():
    with pytest.raises(ValueError, match=r"one shape, got z.shape=\(4, 1\), target.shape=\(4,\)"):
        bce_with_logits_forward(np.zeros((4, 1)), np.zeros(4))
