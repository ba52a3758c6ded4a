"""Fused operations: all that is to be done with a piece of an array is done while the piece is in the cache.

``y = gamma * (x - mean) / std + beta`` is one line of NumPy and four walks through memory: each operation reads a large
array from memory, changes it in one way, and writes it back. Memory is slow and the processor's cache is fast. So the
functions here take a piece of the arrays that fits into the cache (`PIECE` numbers), do *all* operations with it, and
only then take the next piece.

There is one more trick. NumPy's inner loop runs along the last axis, and 64 channels are too short a loop to be fast.
So an image of C channels is read as an image of k*C channels with 1/k as many rows, which is the same memory. Numbers
that belong to a channel (mean, gamma ...) are repeated k times to match.

NumPy only; `minigan.fast.cuda.kernels` has the same for a GPU. Legend: `minigan.nn.conv`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from minigan.fast.cpu.memory import empty, scratch
from minigan.nn import share
from minigan.nn.backend import Array

PIECE = 1 << 18
"""Numbers in one piece: a megabyte in float32. Smaller pieces would fit the cache better, but need more calls."""

SMALL = 1 << 15
"""Arrays of at most this many numbers are not cut: preparing it would take longer than it saves."""

WIDE = 2048
"""About how long NumPy's inner loop should be."""


def spans(n: int, size: int) -> list[slice]:
    """Cut 0...n into slices of `size` (the last may be shorter).

    >>> spans(10, 4)
    [slice(0, 4, None), slice(4, 8, None), slice(8, 10, None)]
    """
    return [slice(a, min(a + size, n)) for a in range(0, n, size)]


def in_pieces(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The same piece of every array, for one piece after the other.

    Parameters
    ----------
    *arrays : Array
        Of the same size. Arrays that the caller writes into must be contiguous.

    Yields
    ------
    tuple of Array
        One-dimensional views, one for each array.
    """
    flat = tuple(a.reshape(-1) for a in arrays)
    for here in spans(flat[0].size, PIECE):
        yield tuple(a[here] for a in flat)


def channel_sum(x: Array) -> Array:
    """Sum over all axes but the last.

    Parameters
    ----------
    x : numpy.ndarray of shape (..., C)

    Returns
    -------
    numpy.ndarray of shape (C,)

    Notes
    -----
    Each piece is summed as a product with ones: BLAS adds in blocks, and so loses fewer digits than row after row.
    """
    rows = _wide(x)
    pieces = _pieces(rows)
    sums = empty((len(pieces), rows.shape[1]), x.dtype)
    for i, piece in enumerate(pieces):
        np.matmul(_ones(rows[piece]), rows[piece], out=sums[i])
    return sums.reshape(-1, x.shape[-1]).sum(axis=0)


def add_to_channels(x: Array, b: Array) -> None:
    """``x += b`` for contiguous x (..., C) and b (C,). The caller gives it one piece at a time."""
    if x.size > SMALL:
        x = _wide(x)
        b = _repeated(b, x)
    x += b


def batch_norm_forward(x: Array, gamma: Array, beta: Array, eps: float, alpha: float) -> tuple[Array, Array]:
    """Batch normalization with the batch's statistics, then LeakyReLU.

    Parameters
    ----------
    x : numpy.ndarray of shape (..., C)
    gamma, beta : numpy.ndarray of shape (C,)
    eps : float
        Added to the variance.
    alpha : float
        Slope of LeakyReLU.

    Returns
    -------
    y : numpy.ndarray of shape (..., C)
    stats : numpy.ndarray of shape (3, C)
        Mean, biased variance, and 1 / sqrt(variance + eps).

    Notes
    -----
    x is read twice. The first time, every piece gives its own mean and the sum of squares around *that* mean. The mean
    and the variance of all follow from these exactly, and no digits are lost as they are in E[x^2] - E[x]^2.

    References
    ----------
    T. F. Chan, G. H. Golub and R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances", 1979, equation 2.1.
    """
    C = x.shape[-1]
    rows = _wide(x)
    pieces = _pieces(rows)
    means, squares = empty((2, len(pieces), rows.shape[1]), x.dtype)
    for i, here in enumerate(pieces):
        piece = rows[here]
        means[i] = (_ones(piece) @ piece) / len(piece)
        with scratch() as new:
            centred = np.subtract(piece, means[i], out=new(piece.shape, piece.dtype))
            np.einsum("rc,rc->c", centred, centred, out=squares[i])
    lengths = np.array([here.stop - here.start for here in pieces], np.float64)
    deviations = means.astype(np.float64)  # so far the means of the pieces; the mean of all is subtracted below
    N = x.size // C
    mean = (lengths @ deviations).reshape(-1, C).sum(axis=0) / N
    deviations -= _repeated(mean, rows)
    np.square(deviations, out=deviations)
    variance = (squares.sum(axis=0, dtype=np.float64) + lengths @ deviations).reshape(-1, C).sum(axis=0) / N
    if share.is_shared():
        mean, variance = _of_the_whole_batch(N, mean, variance)
    stats = np.stack([mean, variance, 1 / np.sqrt(variance + eps)]).astype(x.dtype)
    return _normalise(x, stats[0], gamma * stats[2], beta, alpha), stats


def _of_the_whole_batch(N: int, mean: Array, variance: Array) -> tuple[Array, Array]:
    """Mean and variance over all shares of the batch, from those of this one: the notes above once more."""
    all_of_them = share.stack(np.stack([np.full_like(mean, N), mean, variance]))
    weights, means, variances = all_of_them.transpose(1, 0, 2)
    weights = weights / weights.sum(axis=0)
    whole_mean = (weights * means).sum(axis=0)
    return whole_mean, (weights * (variances + (means - whole_mean) ** 2)).sum(axis=0)


def batch_norm_inference(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float, alpha: float
) -> Array:
    """Batch normalization with given statistics, then LeakyReLU; parameters as `batch_norm_forward`."""
    return _normalise(x, mean, gamma / np.sqrt(variance + eps), beta, alpha)


def _normalise(x: Array, mean: Array, scale: Array, beta: Array, alpha: float) -> Array:
    """``z = scale * (x - mean) + beta; y = max(alpha * z, z)``."""
    y = empty(x.shape, x.dtype)
    if x.size <= SMALL:
        np.subtract(x, mean, out=y)
        y *= scale
        y += beta
        return np.maximum(y, alpha * y, out=y)
    rows, out = _wide(x), _wide(y)
    # Not x * scale + (beta - scale * mean): that loses digits if the mean is much larger than the deviation.
    mean, scale, beta = (_repeated(v, rows) for v in (mean, scale, beta))
    for here in _pieces(rows):
        z = np.subtract(rows[here], mean, out=out[here])
        z *= scale
        z += beta
        with scratch() as new:
            np.maximum(z, np.multiply(z, alpha, out=new(z.shape, z.dtype)), out=z)
    return y


def batch_norm_backward(
    dy: Array, x: Array, y: Array, stats: Array, gamma: Array, alpha: float, *, input_grad: bool = True
) -> tuple[Array | None, Array, Array]:
    """Gradients of `batch_norm_forward`.

    Parameters
    ----------
    dy, x, y : numpy.ndarray of shape (..., C)
    stats : numpy.ndarray of shape (3, C)
    gamma : numpy.ndarray of shape (C,)
    alpha : float
    input_grad : bool
        Whether dx is wanted.

    Returns
    -------
    dx : numpy.ndarray or None
    dgamma, dbeta : numpy.ndarray of shape (C,)

    Notes
    -----
    Everything is read twice again, because dx needs both sums. The first time gives the sums, and dz, which is dy
    times the slope of LeakyReLU; dz is stored where dx will be. The second time turns dz into dx. The formula stands in
    `minigan.nn.ops.normalization.batch_norm_backward`.
    """
    C = x.shape[-1]
    N = x.size // C
    mean, _, inv_std = stats
    N = share.whole(N)
    dx = empty(x.shape, x.dtype)
    rows, dy_rows, y_rows, out = (_wide(a) for a in (x, dy, y, dx))
    pieces = _pieces(rows)
    wide_mean = _repeated(mean, rows)
    sums = empty((len(pieces), 2, rows.shape[1]), x.dtype)
    for i, here in enumerate(pieces):
        dz = out[here]
        np.greater(y_rows[here], 0, out=dz)  # LeakyReLU's slope; arithmetic is six times as fast as `where`
        np.maximum(dz, alpha, out=dz)
        dz *= dy_rows[here]
        np.matmul(_ones(dz), dz, out=sums[i, 0])
        with scratch() as new:
            centred = np.subtract(rows[here], wide_mean, out=new(dz.shape, dz.dtype))
            np.einsum("rc,rc->c", centred, dz, out=sums[i, 1])
    dbeta, dgamma = sums.reshape(len(pieces), 2, -1, C).sum(axis=(0, 2))
    dgamma *= inv_std
    if not input_grad:
        return None, dgamma, dbeta
    scale = gamma * inv_std
    all_dbeta, all_dgamma = share.total(np.stack([dbeta, dgamma])) if share.is_shared() else (dbeta, dgamma)
    part, wide_scale, slant = (_repeated(v, rows) for v in (all_dbeta / N, scale, scale * inv_std * all_dgamma / N))
    for here in pieces:
        dz = out[here]
        dz -= part
        dz *= wide_scale
        with scratch() as new:
            centred = np.subtract(rows[here], wide_mean, out=new(dz.shape, dz.dtype))
            centred *= slant
            dz -= centred
    return dx, dgamma, dbeta


def _wide(x: Array) -> Array:
    """The image (..., C) as (rows / k, k*C), with k*C about WIDE; a view if x is contiguous."""
    C = x.shape[-1]
    rows = x.size // C
    k = math.gcd(rows, 1 << max(0, (WIDE // C).bit_length() - 1))
    return np.ascontiguousarray(x).reshape(rows // k, k * C)


def _repeated(v: Array, rows: Array) -> Array:
    """One number per channel, repeated so that there is one for each column of `_wide`'s rows."""
    wide = np.empty((rows.shape[1] // len(v), len(v)), v.dtype)  # a third of the time that np.tile takes
    wide[...] = v
    return wide.reshape(-1)


def _pieces(rows: Array) -> list[slice]:
    return spans(len(rows), max(1, PIECE // rows.shape[1]))


def _ones(piece: Array) -> Array:
    return np.ones(len(piece), piece.dtype)
