"""Gradient check of a whole network: many layers, one random direction at a time.

A single layer can be kept away from its kinks; in a network of ten layers some LeakyReLU is always near one. So the
slope is measured at two steps, h and h/2. Between kinks the two agree to many digits; across one they do not, and then
another direction is tried, with a smaller step.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigan.nn.backend import Array
from minigan.nn.network import Sequential

STEPS = (1e-5, 3e-6, 1e-6, 3e-7)
AGREEMENT = 1e-6
TRIES = 12


def network_errors(network: Sequential, *, batch_size: int, seed: int, probes: int) -> dict[str, float]:
    """See `minigan.check.check_network`."""
    params = network.params()
    if any(p.dtype != np.float64 for p in params.values()):
        raise ValueError(f"check_network: {network.name} must be float64; build it with dtype=numpy.float64")
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch_size, *network.input_shape))
    y, caches = network.forward(x, training=True, update_stats=False)
    dy = rng.standard_normal(y.shape)
    network.zero_grads()
    dx = network.backward(dy, caches, input_grad=True)
    assert dx is not None

    def value() -> float:
        return float(np.vdot(network.forward(x, training=True, update_stats=False)[0], dy))

    targets = {"input": (x, dx), **{path: (p, network.grads()[path]) for path, p in params.items()}}
    # A bias in front of a batch normalization has a gradient of 0: its error is judged by the size of the others.
    floor = 1e-3 * max(float(np.linalg.norm(gradient)) for _, gradient in targets.values())
    return {
        path: max(_error(value, array, gradient, floor, rng) for _ in range(probes))
        for path, (array, gradient) in targets.items()
    }


def _error(value: Callable[[], float], array: Array, gradient: Array, floor: float, rng: np.random.Generator) -> float:
    """Relative disagreement along one direction in which the slope can be trusted."""
    best = np.inf
    for attempt in range(TRIES):
        h = STEPS[min(attempt // 3, len(STEPS) - 1)]
        direction = rng.standard_normal(array.shape)
        numeric, half = (_slope(value, array, direction, step) for step in (h, h / 2))
        scale = abs(numeric) + float(np.linalg.norm(gradient)) + floor
        doubt = abs(numeric - half) / scale
        if doubt < best:
            best, error = doubt, abs(numeric - float(np.vdot(gradient, direction))) / scale
        if doubt < AGREEMENT:
            break
    return error


def _slope(value: Callable[[], float], array: Array, direction: Array, h: float) -> float:
    start = array.copy()
    array += h * direction
    ahead = value()
    array[...] = start - h * direction
    behind = value()
    array[...] = start
    return (ahead - behind) / (2 * h)
