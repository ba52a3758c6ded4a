"""Images are moved a little before the discriminator sees them, reals and fakes alike.

A discriminator that sees the same few thousand images again and again learns them by heart, and then it can teach the
generator nothing more. More images would help; the same images a little to the left are nearly as good. But if only
the real images were moved, the generator would learn to draw moved faces with a grey margin. So the fakes are moved as
well: before the discriminator learns from them, and again in the generator's step. There the gradient has to come back
through the move. Therefore it is a pair of functions, forward and backward (`minigan.nn.ops.translation`).

An image moves by whole pixels, by at most an eighth of its side; the pixels that come in from outside are 0, grey. Each
image has its own move. Moves come in as an argument (`draw_moves` makes them), like everything random in a step.

References
----------
S. Zhao, Z. Liu, J. Lin, J.-Y. Zhu and S. Han, "Differentiable augmentation for data-efficient GAN training",
arXiv:2006.10738. This is its "translation"; its changes of colour did not help here (docs/better-training.md).
"""

from __future__ import annotations

from minigan.nn.backend import NUMPY, Array, Backend
from minigan.nn.rng import stream

LARGEST_MOVE = 1 / 8
"""How far an image moves at most, in sides of the image."""


def draw_moves(batch_size: int, side: int, seed: int, step: int, backend: Backend = NUMPY) -> Array:
    """How far the images of one step move, a pure function of (seed, step).

    Parameters
    ----------
    batch_size : int
        B.
    side : int
        Of the images, in pixels.
    seed : int
    step : int
    backend : Backend
        Where the array is to go.

    Returns
    -------
    Array of shape (3, B, 2), int64
        Pixels down and to the right, from -side/8 to side/8: first for the reals, then for the fakes, then for the
        fakes of the generator's step.
    """
    most = int(side * LARGEST_MOVE)
    return backend.asarray(stream(seed, "augment", step).integers(-most, most + 1, (3, batch_size, 2)))
