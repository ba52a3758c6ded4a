"""Batch normalization, and the moving average of its statistics.

Each channel is shifted and scaled so that its values in the batch have mean 0 and variance 1; then gamma and beta,
which are learned, give it the scale and the mean that serve the network best. `minigan.nn.layers.BatchNormalization`
calls the functions, and keeps the moving averages with which a trained network normalises.

The batch may be divided among several processes. Its statistics are those of the *whole* batch, so the sums here go
through `minigan.nn.share.total`; a process that has the whole batch gets its own sum back.
"""

from __future__ import annotations

from typing import NamedTuple

from minigan.nn import share
from minigan.nn.backend import Array, xp_of


class BatchNormCache(NamedTuple):
    """What `batch_norm_backward` needs (xhat is as large as x), and the batch's statistics for the moving averages."""

    xhat: Array
    gamma: Array
    inv_std: Array
    mean: Array
    variance: Array


def channel_sum(x: Array) -> Array:
    """Sum over all axes but the last.

    Parameters
    ----------
    x : Array of shape (..., C)

    Returns
    -------
    Array of shape (C,)

    Notes
    -----
    The sum over rows is a product with a vector of ones. BLAS adds in blocks, and so loses fewer digits than a sum of
    65,536 rows one after the other.
    """
    rows = x.reshape(-1, x.shape[-1])
    return xp_of(x).ones(len(rows), x.dtype) @ rows


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
    The variance is the mean of (x - mean)^2, in a second pass: E[x^2] - E[x]^2 would subtract two large numbers and
    lose their digits.
    """
    mean = _channel_mean(x)
    return mean, _channel_mean((x - mean) ** 2)


def _channel_mean(x: Array) -> Array:
    return share.total(channel_sum(x)) / share.whole(x.size // x.shape[-1])


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
    check_batch_norm(x, gamma)
    mean, variance = batch_moments(x)
    inv_std = 1 / xp_of(x, gamma, beta).sqrt(variance + eps)
    xhat = (x - mean) * inv_std
    return gamma * xhat + beta, BatchNormCache(xhat, gamma, inv_std, mean, variance)


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
    dbeta, dgamma = channel_sum(dy), channel_sum(dy * xhat)
    dx = None
    if input_grad:
        N = share.whole(xhat.size // xhat.shape[-1])
        dx = gamma * inv_std * (dy - share.total(dbeta) / N - xhat * (share.total(dgamma) / N))
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
    return gamma / xp_of(x, gamma).sqrt(var + eps) * (x - mean) + beta


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


def check_batch_norm(x: Array, gamma: Array) -> None:
    """Raise ValueError unless x has a channel for each gamma, and two values or more in each channel."""
    if x.shape[-1] != gamma.shape[0]:
        raise ValueError(
            f"batch_norm: x has {x.shape[-1]} channels but gamma has {gamma.shape[0]} "
            f"(x.shape={x.shape}, gamma.shape={gamma.shape})"
        )
    count = x.size // x.shape[-1]
    if count < 2:
        raise ValueError(
            f"batch_norm: training needs at least 2 values per channel, got {count} (x.shape={x.shape}): "
            "normalised by itself every value becomes beta"
        )
