"""A saved state fits only with the same names, shapes and dtypes."""

import numpy as np
import pytest

from minigan.nn.state import check_state

OWN = {"kernel": np.zeros((2, 3), np.float32), "bias": np.zeros(3, np.float32)}


def test_other_values_in_another_order_fit():
    check_state("layer", OWN, {name: array + 1 for name, array in reversed(OWN.items())})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bias": None}, "layer: the saved state does not fit: 'bias' is missing"),
        ({"gamma": np.zeros(3)}, "layer: the saved state does not fit: 'gamma' is not known"),
        (
            {"kernel": np.zeros((3, 2), np.float32)},
            r"kernel must be float32 of shape \(2, 3\), got float32 .* \(3, 2\)",
        ),
        ({"bias": np.zeros(3)}, r"layer: bias must be float32 of shape \(3,\), got float64 of shape \(3,\)"),
    ],
)
def test_what_does_not_fit(changes, message):
    given = {name: array for name, array in {**OWN, **changes}.items() if array is not None}
    with pytest.raises(ValueError, match=message):
        check_state("layer", OWN, given)
