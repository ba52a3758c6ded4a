"""A wrong shape is explained by the mistake that gives it."""

import numpy as np
import pytest

from minigan.check.calls.wrong_shapes import explain_shape, other_geometry
from minigan.check.engine.ladder import run_exercise
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
        ((3, 2), "another order"),
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


@pytest.mark.parametrize(
    ("name", "parameter", "got", "expected", "told"),
    [
        ("dense", "db", (5, 4), (4,), True),
        ("dense", "dw", (5, 3, 4), (3, 4), True),
        ("conv2d", "db", (2, 2, 5), (5,), True),
        ("batch_norm", "dgamma", (6, 3, 4, 5), (5,), True),
        ("dense", "db", (4, 5), (4,), False),
        ("conv2d", "dx", (1, 1, 7, 8, 2), (1, 7, 8, 2), False),
    ],
)
def test_a_parameters_gradient_that_is_not_summed(name, parameter, got, expected, told):
    finding = explain_shape("f", parameter, got, expected, EXERCISES[name], convolution(7, 8), "NHWC")
    assert ("axes too many in front" in finding.cause) == told


def test_an_empty_slice_without_padding():
    assert "pad:-pad" in cause("conv2d", (1, 0, 0, 5), (1, 5, 6, 5), convolution(7, 8, stride=1, pad=0))


SIZES = {
    "conv2d": {
        "rounded up": lambda h, S, P: -(-(h + 2 * P - 3) // S) + 1,
        "the + 1 is missing": lambda h, S, P: (h + 2 * P - 3) // S,
        "stride 1": lambda h, S, P: h + 2 * P - 2,
        "the + 1 is inside the division": lambda h, S, P: (h + 2 * P - 3 + 1) // S,
        "K is not subtracted": lambda h, S, P: (h + 2 * P) // S + 1,
    },
    "conv2d_transpose": {
        "nothing is cropped": lambda h, S, P: S * (h - 1) + 3,
        "one side is cropped only": lambda h, S, P: S * (h - 1) + 3 - P,
        "padding is added": lambda h, S, P: S * (h - 1) + 3 + 2 * P,
        "H stands where H - 1 belongs": lambda h, S, P: S * h + 3 - 2 * P,
        "K is not added": lambda h, S, P: S * (h - 1) - 2 * P,
        "one too large": lambda h, S, P: S * (h - 1) + 3 - 2 * P + 1,
    },
}


@pytest.mark.parametrize(("name", "said"), [(name, said) for name in SIZES for said in SIZES[name]])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_sizes_of_convolutions(name, said, layout):
    cases = [convolution(8, 10), convolution(7, 8, stride=3, pad=2), convolution(7, 9, pad=0)]

    def shapes(formula, last=0):
        for number, case in enumerate(cases):
            h, w = (formula(n, *case.settings.values()) for n in case.arrays["x"].shape[1:3])
            h += last * number
            yield case, (1, h, w, 5) if layout == "NHWC" else (1, 5, h, w)

    formula = SIZES[name][said]
    assert said in other_geometry(EXERCISES[name], list(shapes(formula)), layout)
    # A formula that gives the size in one case, and not in another, explains nothing.
    assert said not in other_geometry(EXERCISES[name], list(shapes(formula, last=1)), layout)


def test_a_wrong_size_is_explained_if_all_cases_are():
    def forward(size):
        def conv2d_forward(x, w, b, stride=1, pad=0):
            return np.zeros((len(x), *(size(n, len(w), stride, pad) for n in x.shape[1:3]), w.shape[3]), x.dtype), None

        return {"conv2d_forward": conv2d_forward}

    missing = forward(lambda h, K, S, P: (h + 2 * P - K) // S)
    assert "the + 1 is missing" in run_exercise("conv2d", missing).finding.cause
    mixed = forward(lambda h, K, S, P: (h + 2 * P - K) // S + (S > 1))
    assert run_exercise("conv2d", mixed).finding.cause == ""
