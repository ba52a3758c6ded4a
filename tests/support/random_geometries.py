"""Random convolutions for tests: sizes, strides and paddings that fit an algorithm, and arrays for them."""

import numpy as np
from hypothesis import strategies as st

from minigan.fast.cpu import chunked
from minigan.nn.geometry import output_size


@st.composite
def geometries(draw, kernel="im2col"):
    """Sizes by axis: N, H, W, C, O, Kh, Kw, stride and padding, such that kernel and algorithm fit."""
    N, O = draw(st.integers(1, 4), label="N"), draw(st.integers(1, 4), label="O")
    C = draw(st.sampled_from([1, 2, 3, 4, chunked.FEW_CHANNELS]), label="C")
    Kh, Kw = draw(st.integers(1, 5), label="Kh"), draw(st.integers(1, 5), label="Kw")
    S = draw(st.integers(1, 4), label="S")
    if kernel == "winograd":
        Kh = Kw = S * draw(st.sampled_from([2, 3]), label="taps")
    top, left = draw(st.integers(0, 3), label="top"), draw(st.integers(0, 3), label="left")
    bottom, right = draw(st.integers(-2, 3), label="bottom"), draw(st.integers(-2, 3), label="right")
    H = draw(st.integers(max(1, Kh - top - bottom, 1 - bottom), 9 + Kh), label="H")
    W = draw(st.integers(max(1, Kw - left - right, 1 - right), 9 + Kw), label="W")
    return N, H, W, C, O, (Kh, Kw), S, ((top, bottom), (left, right)), draw(st.integers(0, 2**32 - 1), label="seed")


def case(geometry, dtype=np.float64):
    N, H, W, C, O, K, S, pad, seed = geometry
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((N, H, W, C)), rng.standard_normal((*K, C, O))
    dy = rng.standard_normal((N, *output_size((H, W), K, S, pad), O))
    return x.astype(dtype), w.astype(dtype), dy.astype(dtype), {"stride": S, "pad": pad}
