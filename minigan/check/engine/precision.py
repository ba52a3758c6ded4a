"""Precision as a finding of its own: right arithmetic that is carried out in float32 somewhere is right.

A function that computes in float32 moves in steps: its results are rounded to seven digits, so that they scatter
around a smooth curve. A formula that is nearly right is smooth. Both differ from the right result by little; where
three points of a curve do not lie on a line that is straight to far more than seven digits, it was rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minigan.nn.backend import Array

SINGLE = 2e-5
"""How far off, as a share of the largest value, a result may be that was computed in float32."""
NOTE = "computed in float32 somewhere: right to about 7 digits"
_WAY = 3e-6
"""How far the inputs are moved: float32 has 40 steps on this way, and a smooth curve bends by 1e-11 on it."""
_BENT = 1e-9


def moves_in_steps(
    results: Callable[[Sequence[Array]], Sequence[Array]], inputs: Sequence[Array], rng: np.random.Generator
) -> bool:
    """Whether results scatter around a smooth curve, as those of float32 do.

    Parameters
    ----------
    results : callable
        From arrays like `inputs` to the function's results.
    inputs : sequence of Array
        float64.
    rng : numpy.random.Generator
        For the direction in which the inputs are moved.

    Returns
    -------
    bool
    """
    for _ in range(8):  # three rounded numbers may lie on a line by chance
        way = [_WAY * np.maximum(np.abs(a), 1e-3) * rng.uniform(0.5, 1, np.shape(a)) for a in inputs]
        behind, here, ahead = (
            [np.asarray(r, np.float64) for r in results([a + sign * w for a, w in zip(inputs, way, strict=True)])]
            for sign in (-1, 0, 1)
        )
        for b, h, a in zip(behind, here, ahead, strict=True):
            if np.abs(b - 2 * h + a).max(initial=0) > _BENT * max(float(np.abs(h).max(initial=0)), 1e-3):
                return True
    return False
