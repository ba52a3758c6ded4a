"""What happens to weights between two passes: Adam's update, and the step of an average.

Both write into arrays in place. Fast versions may need to remember something from one call to the next, such as a count
on the device. So what a table of operations holds is a *factory*: called once by an optimizer or an average, it returns
the function to use. Here the factories have nothing to remember.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from minigan.nn.backend import Array, xp_of


def adam_rate(t: int, learning_rate: float, beta_1: float, beta_2: float) -> float:
    """``lr_t = lr * sqrt(1 - beta_2^t) / (1 - beta_1^t)``, for update number t = 1, 2, ..."""
    return learning_rate * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)


def adam_update(
    p: Array, g: Array, m: Array, v: Array, rate: float, beta_1: float, beta_2: float, epsilon: float
) -> None:
    """One update of some numbers p, with their gradient g and moments m and v; p, m and v change in place.

    ``m = beta_1*m + (1-beta_1)*g;  v = beta_2*v + (1-beta_2)*g^2;  p -= rate * m / (sqrt(v) + epsilon)``

    Parameters
    ----------
    p, g, m, v : Array of one shape
    rate : float
        `adam_rate` of this update.
    beta_1, beta_2, epsilon : float
        As `minigan.nn.optimizers.Adam`.
    """
    m[...] = beta_1 * m + (1 - beta_1) * g
    v[...] = beta_2 * v + (1 - beta_2) * (g * g)
    p -= rate * (m / (xp_of(p, v).sqrt(v) + epsilon))


def new_adam(ops: Any) -> Callable[..., None]:
    """A function that updates all parameters of a network: lists of arrays p, g, m, v, then t and Adam's settings."""

    def update_all(
        p: Sequence[Array],
        g: Sequence[Array],
        m: Sequence[Array],
        v: Sequence[Array],
        *,
        t: int,
        learning_rate: float,
        beta_1: float,
        beta_2: float,
        epsilon: float,
    ) -> None:
        rate = adam_rate(t, learning_rate, beta_1, beta_2)
        for arrays in zip(p, g, m, v, strict=True):
            ops.adam_update(*arrays, rate, beta_1, beta_2, epsilon)

    return update_all


def new_averaging(ops: Any) -> Callable[[Sequence[Array], Sequence[Array], Array], None]:
    """A function that moves averages towards the latest values: ``average += share * (latest - average)``."""

    def move_all(averages: Sequence[Array], latest: Sequence[Array], share: Array) -> None:
        for average, new in zip(averages, latest, strict=True):
            average += share * (new - average)

    return move_all
