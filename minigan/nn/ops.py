"""Pure functions in pairs: forward returns (y, cache), backward turns dy and the cache into gradients.

Nothing here owns a parameter or remembers a call. Forward puts everything that backward will need into the cache and
returns it to the caller. So the discriminator can run forward on reals and on fakes before it runs backward on either,
and a test can call any pair with any numbers. The layers of `minigan.nn.layers` call these functions.

`Ops`, at the end, is the set of functions that a network is built from. Replace one with a function of your own,
``generator(ops=replace(LIBRARY, batch_norm_backward=mine))``, and the real network runs it.

Every function keeps the dtype of its input: float32 to train, float64 to check gradients. Legend: `minigan.nn.conv`.
Sources stand with the functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from minigan.fast.cpu import fused
from minigan.fast.cpu.fused import in_pieces
from minigan.fast.cpu.memory import empty
from minigan.fast.cpu.winograd import Kept
from minigan.fast.cuda import cublas
from minigan.fast.cuda import kernels as cuda
from minigan.nn import share
from minigan.nn.backend import Array, Shape, xp_of
from minigan.nn.conv import conv_forward, conv_grads, conv_input_grad, conv_transpose_grads, conv_weight_grad
from minigan.nn.geometry import Pad, Size


# ---------------------------------------------------------------------------------------------------------------- dense
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
    return _product(x, w) + b, DenseCache(x, w)


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
    dx = _product(dy, w, transpose_b=True) if input_grad else None  # (N, O) @ (O, C)
    dw = _product(x, dy, transpose_a=True) if param_grads else None  # (C, N) @ (N, O)
    db = dy.sum(axis=0) if param_grads else None
    return dx, dw, db


def _product(a: Array, b: Array, *, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    if cuda.available(a, b):
        return cublas.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    a, b = (a.T if transpose_a else a), (b.T if transpose_b else b)
    xp = xp_of(a, b)
    y = empty((a.shape[0], b.shape[1]), a.dtype, xp)
    return xp.multiply(a, b, out=y) if a.shape[1] == 1 else xp.matmul(a, b, out=y)  # BLAS is slow at a column by a row


# ---------------------------------------------------------------------------------------------------------- convolution
class ConvCache(NamedTuple):
    """What the backward pass of either convolution needs; the patch matrix, up to 16 times as large as x, is not kept.

    kept : what `minigan.fast.cpu.winograd` has computed from w, so that the backward pass need not compute it again.
    """

    x: Array
    w: Array
    stride: int
    pad: int | Pad
    kept: Kept | None = None


def conv2d_forward(x: Array, w: Array, b: Array, stride: int = 1, pad: int | Pad = 0) -> tuple[Array, ConvCache]:
    """Convolution (cross-correlation) with a bias per output channel.

    Parameters
    ----------
    x : Array of shape (N, H, W, C)
    w : Array of shape (Kh, Kw, C, O)
    b : Array of shape (O,)
    stride : int
    pad : int or ((top, bottom), (left, right))

    Returns
    -------
    y : Array of shape (N, Ho, Wo, O)
    cache : ConvCache

    Raises
    ------
    ValueError, TypeError
        As `minigan.nn.conv.conv_forward`.
    """
    kept: Kept = {}
    return conv_forward(x, w, b, stride=stride, pad=pad, kept=kept), ConvCache(x, w, stride, pad, kept)


def conv2d_backward(
    dy: Array, cache: ConvCache, *, input_grad: bool = True, param_grads: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """Gradients of `conv2d_forward`.

    Parameters
    ----------
    dy : Array of shape (N, Ho, Wo, O)
    cache : ConvCache
    input_grad, param_grads : bool
        Whether to compute dx, and whether to compute dw and db. A gradient that is not computed is None.

    Returns
    -------
    dx, dw, db : Array or None
        Shapes of x, w and b.
    """
    x, w, stride, pad, kept = cache
    if input_grad and param_grads:
        return *conv_grads(x, w, dy, stride=stride, pad=pad, kept=kept), _channel_sum(dy)
    dx = conv_input_grad(dy, w, stride=stride, pad=pad, size=x.shape[1:3], kept=kept) if input_grad else None
    dw = conv_weight_grad(x, dy, stride=stride, pad=pad, kernel_size=w.shape[:2]) if param_grads else None
    db = _channel_sum(dy) if param_grads else None
    return dx, dw, db


def conv2d_transpose_forward(
    x: Array, w: Array, b: Array, stride: int = 1, pad: int | Pad = 0
) -> tuple[Array, ConvCache]:
    """Transposed convolution: every input position adds the kernel, times its value, to the output.

    It is the adjoint of the convolution with the same kernel, so its forward pass is that convolution's input gradient.

    Parameters
    ----------
    x : Array of shape (N, H, W, C)
    w : Array of shape (Kh, Kw, O, C)
        Note the order: Keras stores the kernel of the convolution that this is the adjoint of.
    b : Array of shape (O,)
    stride : int
    pad : int or ((top, bottom), (left, right))
        How many rows and columns of the result are *cropped* on each side. A negative bottom or right adds some.

    Returns
    -------
    y : Array of shape (N, S*(H-1)+Kh-top-bottom, S*(W-1)+Kw-left-right, O)
    cache : ConvCache

    Raises
    ------
    ValueError, TypeError
        As `minigan.nn.conv.conv_input_grad`.
    """
    (top, bottom), (left, right) = ((pad, pad), (pad, pad)) if isinstance(pad, int) else pad
    size: Size = (
        stride * (x.shape[1] - 1) + w.shape[0] - top - bottom,
        stride * (x.shape[2] - 1) + w.shape[1] - left - right,
    )
    kept: Kept = {}
    y = conv_input_grad(x, w, b, stride=stride, pad=pad, size=size, kept=kept)
    return y, ConvCache(x, w, stride, pad, kept)


def conv2d_transpose_backward(
    dy: Array, cache: ConvCache, *, input_grad: bool = True, param_grads: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """Gradients of `conv2d_transpose_forward`: a convolution, and its weight gradient with the roles swapped.

    Parameters
    ----------
    dy : Array of shape (N, Ho, Wo, O)
    cache : ConvCache
    input_grad, param_grads : bool
        Whether to compute dx, and whether to compute dw and db. A gradient that is not computed is None.

    Returns
    -------
    dx, dw, db : Array or None
        Shapes of x, w and b.
    """
    x, w, stride, pad, kept = cache
    if input_grad and param_grads:
        return *conv_transpose_grads(x, w, dy, stride=stride, pad=pad, kept=kept), _channel_sum(dy)
    dx = conv_forward(dy, w, stride=stride, pad=pad, kept=kept) if input_grad else None
    dw = conv_weight_grad(dy, x, stride=stride, pad=pad, kernel_size=w.shape[:2]) if param_grads else None
    db = _channel_sum(dy) if param_grads else None
    return dx, dw, db


# ---------------------------------------------------------------------------------------------------------- activations
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
        y and alpha. y has the sign of x, and the next layer keeps it anyway, so x can be freed.

    References
    ----------
    A. L. Maas et al., "Rectifier nonlinearities improve neural network acoustic models", ICML 2013 workshop.
    """
    if cuda.available(x):
        y = cuda.leaky_relu_forward(x, alpha)
        return y, (y, alpha)
    xp = xp_of(x)
    y = empty(x.shape, x.dtype, xp)
    for y_, x_ in in_pieces(y, x):
        xp.multiply(x_, alpha, out=y_)
        xp.maximum(x_, y_, out=y_)
    return y, (y, alpha)


def leaky_relu_backward(dy: Array, cache: tuple[Array, float]) -> Array:
    """``dx = dy where x > 0, else alpha * dy``: the slope at exactly 0 is alpha."""
    y, alpha = cache
    if cuda.available(dy, y):
        return cuda.leaky_relu_backward(dy, y, alpha)
    xp = xp_of(dy, y)
    dx = empty(dy.shape, dy.dtype, xp)
    for dx_, dy_, y_ in in_pieces(dx, dy, y):
        xp.greater(y_, 0, out=dx_)  # 1 or 0; arithmetic on it is six times as fast as `where`
        xp.maximum(dx_, alpha, out=dx_)
        dx_ *= dy_
    return dx


def tanh_forward(x: Array) -> tuple[Array, Array]:
    """Hyperbolic tangent; any shape.

    Returns
    -------
    y : Array
        In (-1, 1).
    cache : Array
        y itself, because tanh' = 1 - tanh^2.
    """
    xp = xp_of(x)
    y = empty(x.shape, x.dtype, xp)
    for y_, x_ in in_pieces(y, x):
        xp.tanh(x_, out=y_)
    return y, y


def tanh_backward(dy: Array, cache: Array) -> Array:
    """``dx = dy * (1 - y^2)``."""
    if cuda.available(dy, cache):
        return cuda.tanh_backward(dy, cache)
    xp = xp_of(dy, cache)
    dx = empty(dy.shape, dy.dtype, xp)
    for dx_, dy_, y_ in in_pieces(dx, dy, cache):
        xp.multiply(y_, y_, out=dx_)
        xp.subtract(1, dx_, out=dx_)
        dx_ *= dy_
    return dx


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
    return _copy(x, (x.shape[0], -1)), x.shape


def flatten_backward(dy: Array, cache: Shape) -> Array:
    """Back to the shape of x."""
    return _copy(dy, cache)


def _copy(a: Array, shape: Shape) -> Array:
    a = a.reshape(shape)
    copy = empty(a.shape, a.dtype, xp_of(a))
    copy[...] = a
    return copy


# -------------------------------------------------------------------------------------------------- batch normalization
class BatchNormCache(NamedTuple):
    """What `batch_norm_backward` needs (xhat is as large as x), and the batch's statistics for the moving averages."""

    xhat: Array
    gamma: Array
    inv_std: Array
    mean: Array
    variance: Array


def batch_moments(x: Array) -> tuple[Array, Array]:
    """Mean and *biased* variance of every channel over all axes but the last.

    Parameters
    ----------
    x : Array of shape (..., C)

    Returns
    -------
    mean, variance : Array of shape (C,)

    Notes
    -----
    The sum over rows is a product with a vector of ones. BLAS adds in blocks, and so loses fewer digits than a sum of
    65,536 rows one after the other. The variance is the mean of (x - mean)^2, in a second pass: E[x^2] - E[x]^2 would
    subtract two large numbers and lose their digits.
    """
    mean = _channel_mean(x)
    centred = x - mean
    centred *= centred
    return mean, _channel_mean(centred)


def batch_norm_forward(x: Array, gamma: Array, beta: Array, eps: float = 1e-3) -> tuple[Array, BatchNormCache]:
    """Batch normalization with the batch's own statistics: ``y = gamma * xhat + beta``, ``xhat = (x - mean) / std``.

    Parameters
    ----------
    x : Array of shape (..., C)
        Statistics are taken over all axes but the last.
    gamma, beta : Array of shape (C,)
    eps : float
        Added to the (biased) variance under the root.

    Returns
    -------
    y : Array of shape (..., C)
    cache : BatchNormCache

    Raises
    ------
    ValueError
        If there is only one value per channel: y would be beta for every x.

    References
    ----------
    S. Ioffe and C. Szegedy, "Batch normalization", arXiv:1502.03167, algorithm 1.
    """
    _check_batch_norm(x, gamma)
    xp = xp_of(x, gamma, beta)
    mean = _channel_mean(x)
    centred = x - mean
    y = centred * centred
    variance = _channel_mean(y)
    inv_std = 1 / xp.sqrt(variance + eps)
    centred *= inv_std  # now xhat
    xp.multiply(centred, gamma, out=y)
    y += beta
    return y, BatchNormCache(centred, gamma, inv_std, mean, variance)


def batch_norm_backward(
    dy: Array, cache: BatchNormCache, *, input_grad: bool = True, param_grads: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """Gradients of `batch_norm_forward`; the mean and the variance depend on x, too.

    Parameters
    ----------
    dy : Array of shape (..., C)
    cache : BatchNormCache
    input_grad, param_grads : bool
        Whether to compute dx, and whether to compute dgamma and dbeta. A gradient that is not computed is None.

    Returns
    -------
    dx, dgamma, dbeta : Array or None
        Shapes (..., C), (C,), (C,).

    Notes
    -----
    x influences y in three ways: directly, through the mean, and through the variance. Together they give

        dx = gamma / std * (dy - mean(dy) - xhat * mean(dy * xhat))

    The two means are dbeta / N and dgamma / N, so both are needed even when only dx is wanted.
    """
    xhat, gamma, inv_std = cache.xhat, cache.gamma, cache.inv_std
    N = share.whole(xhat.size // xhat.shape[-1])
    dbeta = _channel_sum(dy)
    work = dy * xhat
    dgamma = _channel_sum(work)
    dx = None
    if input_grad:
        xp_of(dy, xhat).multiply(xhat, share.total(dgamma) / -N, out=work)
        work += dy
        work -= share.total(dbeta) / N
        work *= gamma * inv_std
        dx = work
    return (dx, dgamma, dbeta) if param_grads else (dx, None, None)


def batch_norm_inference(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float = 1e-3) -> Array:
    """Batch normalization with given (moving) statistics: an affine map per channel.

    Parameters
    ----------
    x : Array of shape (..., C)
    gamma, beta, mean, var : Array of shape (C,)
    eps : float

    Returns
    -------
    Array of shape (..., C)
    """
    scale = gamma / xp_of(x, gamma).sqrt(var + eps)  # (C,)
    y = x * scale
    y += beta - mean * scale
    return y


class BatchNormLeakyReLUCache(NamedTuple):
    """What `batch_norm_leaky_relu_backward` needs. It keeps x and computes xhat from it again, with two operations."""

    x: Array
    y: Array
    gamma: Array
    stats: Array
    alpha: float


def batch_norm_leaky_relu_forward(
    x: Array, gamma: Array, beta: Array, eps: float = 1e-3, alpha: float = 0.2
) -> tuple[Array, BatchNormLeakyReLUCache]:
    """`batch_norm_forward` and `leaky_relu_forward` together: the same results, with far fewer walks through memory.

    Networks use it in place of the two if both are minigan's own; see `minigan.nn.network.fuse`.

    Parameters
    ----------
    x : Array of shape (..., C)
    gamma, beta : Array of shape (C,)
    eps : float
    alpha : float

    Returns
    -------
    y : Array of shape (..., C)
    cache : BatchNormLeakyReLUCache
        Its stats (3, C) are mean, biased variance, and 1 / sqrt(variance + eps).

    Raises
    ------
    ValueError
        As `batch_norm_forward`.
    """
    _check_batch_norm(x, gamma)
    y, stats = _fused(x).batch_norm_forward(x, gamma, beta, eps, alpha)
    return y, BatchNormLeakyReLUCache(x, y, gamma, stats, alpha)


def batch_norm_leaky_relu_backward(
    dy: Array, cache: BatchNormLeakyReLUCache, *, input_grad: bool = True, param_grads: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """Gradients of `batch_norm_leaky_relu_forward`; arguments and results as `batch_norm_backward`."""
    x, y, gamma, stats, alpha = cache
    dx, dgamma, dbeta = _fused(x).batch_norm_backward(dy, x, y, stats, gamma, alpha, input_grad=input_grad)
    return (dx, dgamma, dbeta) if param_grads else (dx, None, None)


def batch_norm_leaky_relu_inference(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float = 1e-3, alpha: float = 0.2
) -> Array:
    """`batch_norm_inference` and `leaky_relu_forward` together."""
    return _fused(x).batch_norm_inference(x, gamma, beta, mean, var, eps, alpha)


def can_fuse(x: Array) -> bool:
    """Whether the three functions above can take this array: any NumPy array; on a GPU, float32 and float64."""
    return xp_of(x) is np or cuda.available(x)


def _fused(x: Array) -> ModuleType:
    return cuda if cuda.available(x) else fused


def moving_average(
    moving: Array, biased: Array, t: Array | float, value: Array, momentum: float = 0.5
) -> tuple[Array, Array, Array | float]:
    """One update of a zero-debiased exponential moving average.

    ``biased <- momentum * biased + (1 - momentum) * value;  t <- t + 1;  moving <- biased / (1 - momentum^t)``

    Parameters
    ----------
    moving : Array
        The average so far. The new one does not depend on it: ``biased`` and ``t`` hold all that is needed.
    biased : Array
        The average that started at 0, before the correction.
    t : scalar or Array of shape ()
        Number of updates so far.
    value : Array
        The new value.
    momentum : float
        Share of the past that is kept, 0 <= momentum < 1.

    Returns
    -------
    moving, biased, t
        New arrays; after the first update moving equals value.

    References
    ----------
    D. P. Kingma and J. Ba, "Adam", arXiv:1412.6980, section 3 (the same correction).
    """
    biased = momentum * biased + (1 - momentum) * value
    t = t + 1
    return biased / (1 - momentum**t), biased, t


def _check_batch_norm(x: Array, gamma: Array) -> None:
    if x.shape[-1] != gamma.shape[0]:
        raise ValueError(
            f"batch_norm: x has {x.shape[-1]} channels but gamma has {gamma.shape[0]} "
            f"(x.shape={x.shape}, gamma.shape={gamma.shape})"
        )
    if x.size // x.shape[-1] < 2:
        raise ValueError(
            f"batch_norm: training needs at least 2 values per channel, got 1 (x.shape={x.shape}): "
            "normalised by itself every value becomes beta"
        )


def _channel_sum(x: Array) -> Array:
    """Sum over all axes but the last, as ones @ x."""
    if can_fuse(x):
        return _fused(x).channel_sum(x)
    rows = x.reshape(-1, x.shape[-1])
    return xp_of(x).ones(rows.shape[0], x.dtype) @ rows


def _channel_mean(x: Array) -> Array:
    return share.total(_channel_sum(x)) / share.whole(x.size // x.shape[-1])


# ------------------------------------------------------------------------------------------------------------------ set
@dataclass(frozen=True)
class Ops:
    """The set of functions that a network is built from; minigan's own, unless you replace some.

    Examples
    --------
    >>> from dataclasses import replace
    >>> def my_relu_backward(dy, cache):
    ...     return dy * (cache > 0)
    >>> mine = replace(LIBRARY, relu_backward=my_relu_backward)
    >>> mine.relu_forward is LIBRARY.relu_forward
    True
    """

    dense_forward: Callable[..., Any] = dense_forward
    dense_backward: Callable[..., Any] = dense_backward
    conv2d_forward: Callable[..., Any] = conv2d_forward
    conv2d_backward: Callable[..., Any] = conv2d_backward
    conv2d_transpose_forward: Callable[..., Any] = conv2d_transpose_forward
    conv2d_transpose_backward: Callable[..., Any] = conv2d_transpose_backward
    relu_forward: Callable[..., Any] = relu_forward
    relu_backward: Callable[..., Any] = relu_backward
    leaky_relu_forward: Callable[..., Any] = leaky_relu_forward
    leaky_relu_backward: Callable[..., Any] = leaky_relu_backward
    tanh_forward: Callable[..., Any] = tanh_forward
    tanh_backward: Callable[..., Any] = tanh_backward
    sigmoid_forward: Callable[..., Any] = sigmoid_forward
    sigmoid_backward: Callable[..., Any] = sigmoid_backward
    flatten_forward: Callable[..., Any] = flatten_forward
    flatten_backward: Callable[..., Any] = flatten_backward
    batch_norm_forward: Callable[..., Any] = batch_norm_forward
    batch_norm_backward: Callable[..., Any] = batch_norm_backward
    batch_norm_inference: Callable[..., Any] = batch_norm_inference
    batch_norm_leaky_relu_forward: Callable[..., Any] = batch_norm_leaky_relu_forward
    batch_norm_leaky_relu_backward: Callable[..., Any] = batch_norm_leaky_relu_backward
    batch_norm_leaky_relu_inference: Callable[..., Any] = batch_norm_leaky_relu_inference
    moving_average: Callable[..., Any] = moving_average


LIBRARY = Ops()
"""minigan's own functions."""
