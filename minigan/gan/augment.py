"""Images are moved a little before the discriminator sees them, reals and fakes alike.

A discriminator that sees the same few thousand images again and again learns them by heart, and then it can teach the
generator nothing more. More images would help; the same images a little to the left are nearly as good. But if only
the real images were moved, the generator would learn to draw moved faces with a grey margin. So the fakes are moved as
well, in all three phases of `minigan.gan.step`. In the generator's phase the gradient has to come back through the
move. Therefore it is a pair of functions, forward and backward, like those of `minigan.nn.ops`.

An image moves by whole pixels, by at most an eighth of its side; the pixels that come in from outside are 0, grey. Each
image has its own move. Moves come in as an argument (`draw_moves` makes them), like everything random in a step.

References
----------
S. Zhao, Z. Liu, J. Lin, J.-Y. Zhu and S. Han, "Differentiable augmentation for data-efficient GAN training",
arXiv:2006.10738. This is its "translation"; its changes of colour did not help here (docs/better-training.md).
"""

from __future__ import annotations

from minigan.fast.cuda import kernels as cuda
from minigan.nn.backend import NUMPY, Array, Backend, xp_of
from minigan.nn.rng import stream

LARGEST_MOVE = 8
"""An image moves by at most its side divided by this."""


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
    most = side // LARGEST_MOVE
    return backend.asarray(stream(seed, "augment", step).integers(-most, most + 1, (3, batch_size, 2)))


def translate_forward(x: Array, move: Array) -> tuple[Array, Array]:
    """Move each image by its own whole number of pixels; the pixels that come in from outside are 0.

    ``y[n, h, w] = x[n, h - move[n, 0], w - move[n, 1]]``

    Parameters
    ----------
    x : Array of shape (N, H, W, C)
    move : Array of shape (N, 2), whole numbers
        Pixels down and to the right; negative: up and to the left.

    Returns
    -------
    y : Array of shape (N, H, W, C)
    cache : Array
        The moves; the images themselves need not be kept.
    """
    return _moved(x, move, 1), move


def translate_backward(dy: Array, cache: Array) -> Array:
    """``dx``: the gradient, moved back. Pixels that had moved out of the image do not influence y, and get 0."""
    return _moved(dy, cache, -1)


def _moved(x: Array, move: Array, sign: int) -> Array:
    if cuda.available(x):
        return cuda.translate(x, move, sign)
    xp, move = xp_of(x, move), sign * move
    N, H, W, C = x.shape
    rows = xp.arange(H) - move[:, :1]  # (N, H): where each row comes from
    columns = xp.arange(W) - move[:, 1:]  # (N, W)
    inside = ((rows >= 0) & (rows < H))[:, :, None] & ((columns >= 0) & (columns < W))[:, None]  # (N, H, W)
    rows = xp.clip(rows, 0, H - 1) + H * xp.arange(N)[:, None]  # as if the images lay one above the other
    pixels = W * rows[:, :, None] + xp.clip(columns, 0, W - 1)[:, None]  # (N, H, W)
    y = x.reshape(-1, C).take(pixels, axis=0)
    y *= inside[..., None]
    return y
