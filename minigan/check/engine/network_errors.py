"""Gradient check of a whole network: many layers, one random direction at a time.

A single layer can be kept away from its kinks; in a network of ten layers some LeakyReLU is always near one. So the
slope is measured at two steps, h and h/2. Between kinks the two agree to many digits; across one they do not, and then
another direction is tried, with a smaller step.

A wrong gradient spoils all that are computed from it, down to the input. So if one is wrong, the gradients between the
layers are measured too, from the last layer to the first. The first of them that is wrong comes out of the layer at
fault: what went into that layer was still right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.nn.backend import Array
from minigan.nn.network import Sequential

STEPS = (1e-5, 3e-6, 1e-6, 3e-7)
AGREEMENT = 1e-6
TRIES = 12
RIGHT = 1e-5
"""Relative error below which a gradient is right."""


class NetworkErrors(dict[str, float]):
    """Largest relative error of each gradient by path, and of "input", with a verdict.

    Attributes
    ----------
    verdict : str
        In one or two sentences.
    guilty : int or None
        The layer at fault: the gradient that it gets is right, and one that it gives is wrong. None if all are right.
    """

    verdict = ""
    guilty: int | None = None

    @property
    def passed(self) -> bool:
        """Whether all gradients are right."""
        return self.guilty is None

    def _ipython_display_(self) -> None:
        """Nothing: `minigan.check.check_network` has printed the verdict."""


def network_errors(network: Sequential, *, batch_size: int, seed: int, probes: int) -> NetworkErrors:
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
    sizes = np.array([np.linalg.norm(gradient) for _, gradient in targets.values()])
    floor = 1e-3 * float(sizes[np.isfinite(sizes)].max(initial=0))
    errors = NetworkErrors(
        (path, max(_error(value, array, gradient, floor, rng) for _ in range(probes)))
        for path, (array, gradient) in targets.items()
    )
    _judge(errors, network, x, dy, floor, probes, rng)
    return errors


def _judge(
    errors: NetworkErrors, network: Sequential, x: Array, dy: Array, floor: float, probes: int, rng: np.random.Generator
) -> None:
    """Write the verdict, and find the layer at fault if there is one."""
    worst = max(errors, key=lambda path: errors[path] if np.isfinite(errors[path]) else np.inf)
    wrong = [path for path, error in errors.items() if not error < RIGHT]
    if not wrong:
        errors.verdict = (
            f"{network.name}: all {len(errors)} gradients are right; worst error {errors[worst]:.1e}, at {worst}"
        )
        return
    errors.guilty = _layer_at_fault(network, x, dy, floor, probes, rng)
    count = f"{len(wrong)} of {len(errors)}"
    told = f"{network.name}: {count} gradients are wrong; worst error {errors[worst]:.1e}, at {worst}"
    if errors.guilty is None:  # each layer alone is right
        errors.guilty = len(network.layers)
        errors.verdict = f"{told}\n  Each layer alone is right, so look at how the network calls them."
        return
    name = type(network.layers[errors.guilty]).__name__
    errors.verdict = (
        f"{told}\n  The last layer, going backwards, whose incoming gradient is still right is layer {errors.guilty}, "
        f"{name}.\n  What it gives is wrong: look at its backward, and at what its forward keeps for it."
    )


def _layer_at_fault(
    network: Sequential, x: Array, dy: Array, floor: float, probes: int, rng: np.random.Generator
) -> int | None:
    """The last layer that gets a right gradient and gives a wrong one; None if there is none.

    The layers are called by hand here, so that what the network does between them is not blamed on one of them.
    """
    inputs, caches = [x], []
    for layer in network.layers:
        y, cache = layer.forward(inputs[-1], training=True, update_stats=False)
        inputs.append(y)
        caches.append(cache)
    network.zero_grads()
    gradient: Any = dy
    for k in reversed(range(len(network.layers))):
        layer, start = network.layers[k], inputs[k].copy()
        gradient = layer.backward(gradient, caches[k])

        def value(first: int = k, start: Array = start) -> float:
            y = start
            for later in network.layers[first:]:
                y, _ = later.forward(y, training=True, update_stats=False)
            return float(np.vdot(y, dy))

        given = [(start, gradient), *((p, layer.grads[name]) for name, p in layer.params.items())]
        if any(not _error(value, array, g, floor, rng) < RIGHT for array, g in given for _ in range(probes)):
            return k
    return None


def _error(value: Callable[[], float], array: Array, gradient: Array, floor: float, rng: np.random.Generator) -> float:
    """Relative disagreement along one direction in which the slope can be trusted."""
    best = error = np.inf
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
