"""Images moved by whole pixels, and the way back for their gradients; `minigan.gan.augment` says what for."""

from __future__ import annotations

from minigan.nn.backend import Array, xp_of


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
    return _moved(x, move), move


def translate_backward(dy: Array, cache: Array) -> Array:
    """``dx``: the gradient, moved back. Pixels that had moved out of the image do not influence y, and get 0."""
    return _moved(dy, -cache)


def _moved(x: Array, move: Array) -> Array:
    xp = xp_of(x, move)
    N, H, W, C = x.shape
    rows = xp.arange(H) - move[:, :1]  # (N, H): where each row comes from
    columns = xp.arange(W) - move[:, 1:]  # (N, W)
    inside = ((rows >= 0) & (rows < H))[:, :, None] & ((columns >= 0) & (columns < W))[:, None]  # (N, H, W)
    rows = xp.clip(rows, 0, H - 1) + H * xp.arange(N)[:, None]  # as if the images lay one above the other
    pixels = W * rows[:, :, None] + xp.clip(columns, 0, W - 1)[:, None]  # (N, H, W)
    return x.reshape(-1, C).take(pixels, axis=0) * inside[..., None]
