"""A wrong shape is explained by the mistake that gives it."""

import numpy as np
import pytest

from minigan.check.calls.wrong_shapes import explain_shape
from minigan.check.exercise_table import EXERCISES, Case


def convolution(height, width, stride=2, pad=1):
    """3x3 kernels, 2 channels to 5."""
    arrays = {"x": np.zeros((1, height, width, 2)), "w": np.zeros((3, 3, 2, 5)), "b": np.zeros(5)}
    return Case(arrays, {"stride": stride, "pad": pad})


def cause(name, got, expected, case, layout="NHWC"):
    finding = explain_shape("f", "y", got, expected, EXERCISES[name], case, layout)
    assert finding.code == "E13"
    assert finding.title == f"f: y must have shape {expected}, got {got}"
    return finding.cause


@pytest.mark.parametrize(
    ("got", "said"),
    [
        ((3, 2), "wrong order"),
        ((2, 3, 1), "one axis too many"),
        ((2,), "an axis is gone"),
        ((2, 4), ""),
    ],
)
def test_any_shape(got, said):
    found = cause("dense", got, (2, 3), Case({"x": np.zeros((2, 2))}))
    assert said in found
    assert bool(said) == bool(found)


def test_a_sum_over_the_wrong_axes():
    assert "5 elements instead of 3" in cause("dense", (5,), (3,), Case({"x": np.zeros((2, 2))}))


def test_an_empty_slice_without_padding():
    assert "pad:-pad" in cause("conv2d", (1, 0, 0, 5), (1, 5, 6, 5), convolution(7, 8, stride=1, pad=0))


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("conv2d", (5, 6), "rounded up"),
        ("conv2d", (3, 4), "the + 1 is missing"),
        ("conv2d", (8, 10), "stride 1"),
        ("conv2d_transpose", (17, 21), "nothing is cropped"),
        ("conv2d_transpose", (16, 20), "one side is cropped only"),
        ("conv2d_transpose", (19, 23), "padding is added"),
        ("conv2d_transpose", (99, 99), ""),
    ],
)
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_sizes_of_convolutions(name, size, said, layout):
    """An input of 8x10: right are 4x5 for the convolution, and 15x19 for the transposed one."""
    got = (1, *size, 5) if layout == "NHWC" else (1, 5, *size)
    found = cause(name, got, (1, 4, 5, 5) if layout == "NHWC" else (1, 5, 4, 5), convolution(8, 10), layout)
    assert said in found
    assert bool(said) == bool(found)
