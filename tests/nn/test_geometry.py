"""Sizes of convolutions and of transposed ones: TensorFlow's padding, and each pair belongs together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.nn.geometry import output_size, same_padding, transpose_size


@pytest.mark.parametrize(
    ("H", "K", "S", "expected"),
    [(64, 4, 2, (1, 1)), (7, 4, 2, (1, 2)), (8, 3, 1, (1, 1)), (5, 1, 2, (0, 0)), (4, 1, 3, (0, 0)), (8, 5, 2, (1, 2))],
)
def test_same_padding(H, K, S, expected):
    assert same_padding((H, H), (K, K), S) == (expected, expected)
    assert output_size((H, H), (K, K), S, (expected, expected))[0] == -(-H // S)


@given(h=st.integers(1, 9), K=st.integers(1, 6), S=st.integers(1, 4), padding=st.sampled_from(["same", "valid"]))
def test_transposed_size_belongs_to_a_convolution(h, K, S, padding):
    """The padding returned is that of the convolution which takes the output back to the input's size."""
    size, pad = transpose_size((h, h), (K, K), S, padding)
    assert size[0] == (S * h if padding == "same" else h * S + max(K - S, 0))
    assert output_size(size, (K, K), S, pad) == (h, h)
    assert pad[0][0] == (same_padding(size, (K, K), S)[0][0] if padding == "same" else 0)


@given(
    H=st.integers(1, 12), K=st.integers(1, 5), S=st.integers(1, 4), before=st.integers(0, 3), after=st.integers(-1, 3)
)
def test_output_size_is_the_number_of_places_of_the_kernel(H, K, S, before, after):
    places = [top for top in range(0, H + before + after, S) if top + K <= H + before + after]
    if places:
        assert output_size((H, 9), (K, 1), S, ((before, after), (0, 0)))[0] == len(places)
        assert output_size((9, H), (1, K), S, ((0, 0), (before, after)))[1] == len(places)
