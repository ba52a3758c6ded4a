"""Moving pictures about before the discriminator sees them, reals and fakes alike, in a way that can be differentiated.

A discriminator that sees the same few thousand pictures again and again learns them by heart, and then has nothing left
to teach. More pictures would help; the same ones a little to the left are nearly as good. But if only the real pictures
were moved, moved faces with a grey margin would be what the generator learns to draw. So the fakes are moved as well,
in every step, the generator's too: what is then judged is "a face, somewhere", and the gradient for the fakes has to
come back through the move. That is why it is a pair like those of `minigan.nn.ops`.

Moves are whole pixels, each picture its own, up to an eighth of the side; what moves in from outside is 0, grey. They
come in as an argument (`draw_moves` makes them), like all that is random about a step.

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
"""No picture moves by more than this part of its side: an eighth."""


def draw_moves(batch_size: int, side: int, seed: int, step: int, backend: Backend = NUMPY) -> Array:
    """How far the pictures of one step move, a pure function of (seed, step).

    Parameters
    ----------
    batch_size : int
        B.
    side : int
        Of the pictures, in pixels.
    seed : int
    step : int
    backend : Backend
        Where the array is to go.

    Returns
    -------
    Array of shape (3, B, 2), int64
        For the reals, the fakes, and the fakes of the generator's step: pixels down and to the right, from -side/8 to
        side/8.
    """
    most = side // LARGEST_MOVE
    return backend.asarray(stream(seed, "augment", step).integers(-most, most + 1, (3, batch_size, 2)))


def translate_forward(x: Array, move: Array) -> tuple[Array, Array]:
    """Each picture moved by its own whole number of pixels; what moves in from outside is 0.

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
        The moves: the pictures themselves need not be kept.
    """
    return _moved(x, move, 1), move


def translate_backward(dy: Array, cache: Array) -> Array:
    """``dx``, the gradient moved back; what had moved out of the picture has no say in y, and gets 0."""
    return _moved(dy, cache, -1)


def _moved(x: Array, move: Array, sign: int) -> Array:
    if cuda.available(x):
        return cuda.translate(x, move, sign)
    xp, move = xp_of(x, move), sign * move
    N, H, W, C = x.shape
    rows = xp.arange(H) - move[:, :1]  # (N, H): where each row comes from
    columns = xp.arange(W) - move[:, 1:]  # (N, W)
    inside = ((rows >= 0) & (rows < H))[:, :, None] & ((columns >= 0) & (columns < W))[:, None]  # (N, H, W)
    rows = xp.clip(rows, 0, H - 1) + H * xp.arange(N)[:, None]  # in all pictures, one above the other
    pixels = W * rows[:, :, None] + xp.clip(columns, 0, W - 1)[:, None]  # (N, H, W)
    y = x.reshape(-1, C).take(pixels, axis=0)
    y *= inside[..., None]
    return y
