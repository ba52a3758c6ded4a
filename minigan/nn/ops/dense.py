"""The affine map of a dense layer: every output is a weighted sum of all inputs, plus a bias.

In minigan the discriminator ends with one: 8,192 features become one logit. `minigan.nn.layers.Dense` calls the pair.
"""

from __future__ import annotations

from typing import NamedTuple

from minigan.nn.backend import Array


class DenseCache(NamedTuple):
    """What `dense_backward` needs: x and w themselves, not copies."""

    x: Array
    w: Array


def dense_forward(x: Array, w: Array, b: Array) -> tuple[Array, DenseCache]:
    """Affine map ``y = x @ w + b``.

    Parameters
    ----------
    x : Array of shape (N, C)
    w : Array of shape (C, O)
    b : Array of shape (O,)

    Returns
    -------
    y : Array of shape (N, O)
    cache : DenseCache

    Raises
    ------
    ValueError
        If x is not a matrix, or its width is not what w expects.
    """
    if x.ndim != 2 or x.shape[1] != w.shape[0]:
        raise ValueError(f"dense: x must be (N, {w.shape[0]}) for w.shape={w.shape}, got x.shape={x.shape}")
    return x @ w + b, DenseCache(x, w)


def dense_backward(
    dy: Array, cache: DenseCache, *, input_grad: bool = True, param_grads: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """Gradients of `dense_forward`.

    Parameters
    ----------
    dy : Array of shape (N, O)
    cache : DenseCache
    input_grad, param_grads : bool
        Whether to compute dx, and whether to compute dw and db. A gradient that is not computed is None.

    Returns
    -------
    dx, dw, db : Array or None
        Shapes (N, C), (C, O), (O,).
    """
    x, w = cache
    dx = dy @ w.T if input_grad else None  # (N, O) @ (O, C)
    dw = x.T @ dy if param_grads else None  # (C, N) @ (N, O)
    db = dy.sum(axis=0) if param_grads else None
    return dx, dw, db
