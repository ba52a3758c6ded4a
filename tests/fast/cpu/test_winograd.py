"""The matrices of Winograd's filters, and which tiles are taken; tests/nn/test_conv.py compares it with the loops."""

import numpy as np
import pytest

from minigan.fast.cpu import winograd
from minigan.nn.conv import conv_forward


@pytest.mark.parametrize("m", [2, 3, 4])
@pytest.mark.parametrize("R", [2, 3])
def test_minimal_filters_are_filters(m, R):
    rng = np.random.default_rng(0)
    AT, G, BT = winograd.minimal_filter(m, R)
    g, d = rng.standard_normal(R), rng.standard_normal(m + R - 1)
    np.testing.assert_allclose(AT @ ((G @ g) * (BT @ d)), np.correlate(d, g), rtol=0, atol=1e-12)


def test_the_networks_layers_take_large_tiles_where_they_pay():
    """Before 4 x 4 outputs a tile of 4 would save little, and its kernel would be nearly three times as large."""
    pad, float32 = ((1, 1), (1, 1)), np.dtype(np.float32)

    def chosen(N, side, K, S):
        return winograd._plan(N, (S * side, S * side), (side, side), (K, K, 64, 64), S, pad, float32).m

    assert [chosen(64, side, 4, 2) for side in (4, 8, 16)] == [2, 4, 4]
    assert [chosen(16, side, 4, 2) for side in (4, 8, 16)] == [2, 2, 4]
    assert [chosen(1, side, 3, 1) for side in (8, 16, 32)] == [2, 2, 4]


def test_winograd_refuses_a_kernel_that_it_cannot_do():
    x, w = np.zeros((1, 8, 8, 2)), np.zeros((3, 3, 2, 2))
    with pytest.raises(ValueError, match=r"'winograd' needs .* 4 x 4 or 6 x 6 for stride 2, got 3 x 3"):
        conv_forward(x, w, stride=2, kernel="winograd")
