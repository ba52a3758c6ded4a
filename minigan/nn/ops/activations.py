"""Functions that act on each number alone, ReLU, LeakyReLU, tanh and sigmoid; and flatten, which changes the shape.

The slope of each follows from its *output*: tanh' is 1 - y^2. So forward keeps y, which the next layer keeps anyway,
and x can be freed. The layers of the same names in `minigan.nn.layers` call the pairs.
"""

from __future__ import annotations

from minigan.nn.backend import Array, Shape, xp_of


def relu_forward(x: Array) -> tuple[Array, Array]:
    """``y = max(x, 0)``; any shape.

    Returns
    -------
    y : Array
    cache : Array
        y itself: it is above 0 exactly where x was.
    """
    y = xp_of(x).maximum(x, 0)
    return y, y


def relu_backward(dy: Array, cache: Array) -> Array:
    """``dx = dy where x > 0, else 0``."""
    return dy * (cache > 0)


def leaky_relu_forward(x: Array, alpha: float = 0.2) -> tuple[Array, tuple[Array, float]]:
    """``y = max(alpha * x, x)``; any shape, 0 <= alpha < 1.

    Returns
    -------
    y : Array
    cache : (Array, float)
        y and alpha. y is above 0 where x is, and the next layer keeps it anyway, so x can be freed.

    References
    ----------
    A. L. Maas et al., "Rectifier nonlinearities improve neural network acoustic models", ICML 2013 workshop.
    """
    y = xp_of(x).maximum(alpha * x, x)
    return y, (y, alpha)


def leaky_relu_backward(dy: Array, cache: tuple[Array, float]) -> Array:
    """``dx = dy where x > 0, else alpha * dy``: the slope at exactly 0 is alpha."""
    y, alpha = cache
    return xp_of(dy, y).where(y > 0, dy, alpha * dy)


def tanh_forward(x: Array) -> tuple[Array, Array]:
    """Hyperbolic tangent; any shape.

    Returns
    -------
    y : Array
        In [-1, 1].
    cache : Array
        y itself, because tanh' = 1 - tanh^2.
    """
    y = xp_of(x).tanh(x)
    return y, y


def tanh_backward(dy: Array, cache: Array) -> Array:
    """``dx = dy * (1 - y^2)``."""
    return dy * (1 - cache * cache)


def sigmoid_forward(x: Array) -> tuple[Array, Array]:
    """``y = 1 / (1 + exp(-x))``, computed as ``(1 + tanh(x / 2)) / 2``, which cannot overflow; any shape.

    Returns
    -------
    y : Array
        In [0, 1].
    cache : Array
        y itself, because sigmoid' = y * (1 - y).
    """
    y = 0.5 * xp_of(x).tanh(0.5 * x) + 0.5
    return y, y


def sigmoid_backward(dy: Array, cache: Array) -> Array:
    """``dx = dy * y * (1 - y)``."""
    return dy * cache * (1 - cache)


def flatten_forward(x: Array) -> tuple[Array, Shape]:
    """Join all axes but the first into one, in C order: pixel (h, w), channel c goes to (h*W + w)*C + c.

    Returns
    -------
    y : Array of shape (N, ...)
        A copy, so that no two layers share memory.
    cache : tuple of int
        The shape of x.
    """
    return x.reshape(len(x), -1).copy(), x.shape


def flatten_backward(dy: Array, cache: Shape) -> Array:
    """Back to the shape of x."""
    return dy.reshape(cache).copy()
