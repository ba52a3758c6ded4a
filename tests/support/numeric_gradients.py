"""Numeric gradients for the tests: centred differences along random directions, in float64."""

import numpy as np


def directional_error(f, arguments, gradients, dy, rng, *, h=1e-5, probes=3):
    """Largest disagreement between given and numeric derivatives, one argument and direction at a time.

    f takes the arguments and returns y. The scalar whose slope is compared is sum(y * dy), with dy random: a sum of
    ones would hide any error that sums to zero, and all of batch normalization's dx does.
    """
    worst = 0.0
    for k, gradient in enumerate(gradients):
        if gradient is None:
            continue
        assert gradient.shape == arguments[k].shape
        for _ in range(probes):
            direction = rng.standard_normal(arguments[k].shape)
            ahead, behind = list(arguments), list(arguments)
            ahead[k], behind[k] = arguments[k] + h * direction, arguments[k] - h * direction
            numeric = np.sum((f(*ahead) - f(*behind)) * dy) / (2 * h)
            analytic = np.sum(gradient * direction)
            worst = max(worst, abs(numeric - analytic) / max(1.0, abs(numeric)))
    return worst


def away_from_zero(x, distance=0.05):
    """x with everything near 0 pushed out, so that no probe crosses a kink."""
    return np.where(np.abs(x) < distance, np.sign(x) * distance + (x == 0) * distance + x, x)
