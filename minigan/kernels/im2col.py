"""Convolution as a matrix product: copy every patch of the picture into one row of a matrix, then multiply once.

Matrix multiplication is what processors do best, so the trick of every early deep-learning library was to turn the
loops of `minigan.kernels.loops` into one. `im2col` ("image to columns") writes the K x K x C patch under each output
position as a row; the kernel, flattened the same way, is the other factor:

    y  = im2col(x) @ w            (N*Ho*Wo, K*K*C) @ (K*K*C, O)
    dw = im2col(x).T @ dy         the same matrix, transposed
    dx = col2im(dy @ w.T)         `col2im` adds each row back to the patch it came from

The patch matrix is K*K/(S*S) times larger than the picture, so it is built for a few images at a time: it then stays in
the processor's cache and is consumed before the next one is made.

Legend: `minigan.conv`. Works on NumPy and CuPy alike.
"""

from __future__ import annotations

from typing import Any

from minigan.backend import Array, xp_of
from minigan.kernels.geometry import Pad, Size, output_size

CHUNK_BYTES = 4 << 20
"""About how large one patch matrix may be: a compromise between cache size and the length of a matrix product."""


def conv_forward(x: Array, w: Array, stride: int, pad: Pad) -> Array:
    """See `minigan.kernels.loops.conv_forward`; the same numbers, as one matrix product per few images."""
    xp = xp_of(x, w)
    N, H, W, C = x.shape
    Kh, Kw, _, O = w.shape
    Ho, Wo = output_size((H, W), (Kh, Kw), stride, pad)
    w2 = w.reshape(Kh * Kw * C, O)
    y = xp.empty((N, Ho, Wo, O), x.dtype)
    for a, b in _chunks(N, Ho * Wo * w2.shape[0] * x.dtype.itemsize):
        cols = im2col(x[a:b], (Kh, Kw), stride, pad)  # (n*Ho*Wo, Kh*Kw*C)
        xp.matmul(cols, w2, out=y[a:b].reshape(-1, O))
    return y


def conv_input_grad(dy: Array, w: Array, stride: int, pad: Pad, size: Size) -> Array:
    """See `minigan.kernels.loops.conv_input_grad`."""
    xp = xp_of(dy, w)
    N, Ho, Wo, O = dy.shape
    Kh, Kw, C, _ = w.shape
    w2t = w.reshape(Kh * Kw * C, O).T
    dy2 = dy.reshape(N, Ho * Wo, O)
    dx = xp.empty((N, *size, C), dy.dtype)
    for a, b in _chunks(N, Ho * Wo * w2t.shape[1] * dy.dtype.itemsize):
        cols = dy2[a:b].reshape(-1, O) @ w2t  # (n*Ho*Wo, Kh*Kw*C)
        dx[a:b] = col2im(cols.reshape(b - a, Ho, Wo, Kh, Kw, C), stride, pad, size)
    return dx


def conv_weight_grad(x: Array, dy: Array, stride: int, pad: Pad, kernel_size: Size) -> Array:
    """See `minigan.kernels.loops.conv_weight_grad`."""
    xp = xp_of(x, dy)
    N, _, _, C = x.shape
    _, Ho, Wo, O = dy.shape
    Kh, Kw = kernel_size
    dw2 = xp.zeros((Kh * Kw * C, O), x.dtype)
    for a, b in _chunks(N, Ho * Wo * dw2.shape[0] * x.dtype.itemsize):
        cols = im2col(x[a:b], kernel_size, stride, pad)  # (n*Ho*Wo, Kh*Kw*C)
        dw2 += cols.T @ dy[a:b].reshape(-1, O)
    return dw2.reshape(Kh, Kw, C, O)


def im2col(x: Array, kernel_size: Size, stride: int, pad: Pad) -> Array:
    """Every patch of x as one row.

    Parameters
    ----------
    x : Array of shape (N, H, W, C)
    kernel_size : (Kh, Kw)
    stride : int
    pad : ((top, bottom), (left, right))
        Rows and columns of zeros to add; bottom and right may be negative, which takes away.

    Returns
    -------
    Array of shape (N*Ho*Wo, Kh*Kw*C)
    """
    xp = xp_of(x)
    N, H, W, C = x.shape
    Kh, Kw = kernel_size
    Ho, Wo = output_size((H, W), kernel_size, stride, pad)
    padded = _pad(xp, x, pad)  # (N, H+top+bottom, W+left+right, C)
    n, h, w, c = padded.strides
    patches = xp.lib.stride_tricks.as_strided(  # a view: the same numbers seen as overlapping patches
        padded, (N, Ho, Wo, Kh, Kw, C), (n, stride * h, stride * w, h, w, c)
    )
    return patches.reshape(N * Ho * Wo, Kh * Kw * C)  # the copy happens here


def col2im(cols: Array, stride: int, pad: Pad, size: Size) -> Array:
    """Add every patch back to the place that `im2col` took it from: the adjoint of `im2col`.

    Parameters
    ----------
    cols : Array of shape (N, Ho, Wo, Kh, Kw, C)
    stride : int
    pad : ((top, bottom), (left, right))
        What lands in the padding is dropped.
    size : (H, W)
        Size of the picture to return.

    Returns
    -------
    Array of shape (N, H, W, C)
    """
    xp = xp_of(cols)
    N, Ho, Wo, Kh, Kw, C = cols.shape
    H, W = size
    (top, bottom), (left, right) = pad
    # Room for every tap of every patch, whether or not the picture reaches that far.
    tall = max(H + top + max(bottom, 0), stride * (Ho - 1) + Kh)
    wide = max(W + left + max(right, 0), stride * (Wo - 1) + Kw)
    padded = xp.zeros((N, tall, wide, C), cols.dtype)
    for p in range(Kh):
        for q in range(Kw):
            padded[:, p : p + stride * Ho : stride, q : q + stride * Wo : stride] += cols[:, :, :, p, q]
    return padded[:, top : top + H, left : left + W]


def _pad(xp: Any, x: Array, pad: Pad) -> Array:
    """X with rows and columns of zeros added, or, where bottom or right is negative, taken away; always contiguous."""
    N, H, W, C = x.shape
    (top, bottom), (left, right) = pad
    padded = xp.zeros((N, H + top + bottom, W + left + right, C), x.dtype)
    kept = x[:, : H + min(bottom, 0), : W + min(right, 0)]
    padded[:, top : top + kept.shape[1], left : left + kept.shape[2]] = kept
    return padded


def _chunks(N: int, bytes_per_image: int) -> list[tuple[int, int]]:
    """Ranges of images whose patch matrix takes about CHUNK_BYTES."""
    n = max(1, CHUNK_BYTES // bytes_per_image)
    return [(a, min(a + n, N)) for a in range(0, N, n)]
