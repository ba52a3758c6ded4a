"""First values of the kernels: Glorot's uniform distribution, drawn from minigan's own streams (`minigan.nn.rng`).

If the first weights are too large, the signal grows from layer to layer; if they are too small, it dies away. Glorot's
limit is a compromise that keeps its size about the same on the way forward and on the way back. `minigan.gan.models`
hands a `GlorotUniform` to its layers, or, with "original", a function of `minigan.nn.original_weights`.

References
----------
X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
eq. 16.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigan.nn.backend import Array, Shape
from minigan.nn.rng import stream


def glorot_limit(shape: Shape) -> float:
    """Half the width of Glorot's uniform distribution, sqrt(6 / (fan_in + fan_out)).

    Parameters
    ----------
    shape : tuple of int
        Kernel shape: (..., in, out) with the receptive field in front. Keras counts a transposed kernel (K, K, O, C)
        the same way; only the sum of the fans matters.

    Returns
    -------
    float

    Examples
    --------
    >>> round(glorot_limit((4, 4, 3, 64)), 7)
    0.0748132
    """
    field = math.prod(shape[:-2])
    return math.sqrt(6 / (field * (shape[-2] + shape[-1])))


class GlorotUniform:
    """Uniform in [-l, l), where l is Glorot's limit; the n-th kernel comes from step n of the stream "weights".

    Parameters
    ----------
    seed : int
        0 to 4,294,967,295.
    first : int
        Number of the first kernel. Two networks with the same seed begin at different numbers.
    dtype : dtype
    """

    def __init__(self, seed: int, *, first: int = 0, dtype: Any = np.float32) -> None:
        self.seed, self.next, self.dtype = seed, first, dtype

    def __call__(self, shape: Shape) -> Array:
        """The next kernel of this shape."""
        limit = glorot_limit(shape)
        kernel = stream(self.seed, "weights", self.next).uniform(-limit, limit, shape)
        self.next += 1
        return kernel.astype(self.dtype)
