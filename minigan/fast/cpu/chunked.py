"""Convolution by im2col, as `minigan.nn.im2col` explains it, with care for the processor's cache.

The algorithm is the same: patches into rows, and one matrix product. What is added here:

* the patch matrix is made for as many images as fit into the cache, and in memory that was used before;
* a kernel that is as large as the image needs no patches, and with stride 1 the input gradient is a convolution itself;
* images with few channels have short rows. There a block of S x S pixels is treated as one pixel (`blocks2im`);
* products of shapes at which BLAS is slow are cut, turned round, or given the bias as one more row of the kernel.

`minigan.fast.cpu.fast_conv` chooses between this file and `minigan.fast.cpu.winograd`. NumPy only. Legend:
`minigan.nn.conv`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigan.fast.cpu.fused import add_to_channels, spans
from minigan.fast.cpu.memory import New, empty, scratch
from minigan.nn.backend import Array, Shape
from minigan.nn.geometry import Pad, Size, output_size

CHUNK_BYTES = 4 << 20
"""About how large one patch matrix may be. Smaller ones fit the cache better; larger ones make longer products."""

SMALL_CHUNK_BYTES = 1 << 20
"""The same for a small kernel (`SMALL_KERNEL`), whose products may be short."""

FEW_ROWS = 512
"""With at most this many output positions, one product takes the whole batch: the kernel is larger than its patches."""

SMALL_PRODUCT = 500_000
"""OpenBLAS multiplies without rearranging its factors first if a product has at most this many multiply-adds."""

SMALL_KERNEL = 1 << 13
"""If a kernel has at most this many numbers, such products have `MANY_ROWS` rows or more."""

MANY_ROWS = 32
"""A small product is worth a call of its own if it has at least this many rows."""

TURNED_ROWS = 64
"""With at most this many rows in the left factor, and a right factor that lies transposed in memory, BLAS is faster at
the transposed product."""

FEW_CHANNELS = 12
"""With fewer channels than this, `conv_input_grad` treats a block of pixels as one pixel (`blocks2im`)."""


def conv_forward(x: Array, w: Array, stride: int, pad: Pad, b: Array | None = None) -> Array:
    """See `minigan.nn.loops.conv_forward`; the same results, with one matrix product for a few images."""
    N, H, W, C = x.shape
    Kh, Kw, _, O = w.shape
    Ho, Wo = output_size((H, W), (Kh, Kw), stride, pad)
    w2 = w.reshape(Kh * Kw * C, O)
    if _is_one_patch((Ho, Wo), (Kh, Kw), pad, (H, W)):
        return _dense(x.reshape(N, -1), w2, b).reshape(N, 1, 1, O)
    if N * Ho * Wo <= FEW_ROWS:
        return _dense(im2col(x, (Kh, Kw), stride, pad), w2, b).reshape(N, Ho, Wo, O)
    y = empty((N, Ho, Wo, O), x.dtype)
    ones = False
    if b is not None and w2.size <= SMALL_KERNEL:
        # The bias becomes one more row of the kernel, and the patches get a column of ones: the product adds the bias.
        w2, ones = np.concatenate([w2, b[None]]), True
    for n in spans(N, _images(Ho * Wo * w2.shape[0] * x.dtype.itemsize, w2.size)):
        with scratch() as new:
            cols = im2col(x[n], (Kh, Kw), stride, pad, new, ones=ones)  # (n*Ho*Wo, Kh*Kw*C)
            _product(cols, w2, y[n].reshape(-1, O))
        if b is not None and not ones:
            add_to_channels(y[n], b)
    return y


def conv_input_grad(dy: Array, w: Array, stride: int, pad: Pad, size: Size, b: Array | None = None) -> Array:
    """See `minigan.nn.loops.conv_input_grad`."""
    N, Ho, Wo, O = dy.shape
    Kh, Kw, C, _ = w.shape
    if _is_one_patch((Ho, Wo), (Kh, Kw), pad, size):
        bias = None if b is None else np.tile(b, Kh * Kw)
        return _dense(dy.reshape(N, O), w.reshape(-1, O).T, bias).reshape(N, Kh, Kw, C)
    if stride == 1 and C >= FEW_CHANNELS and pad[0][0] < Kh and pad[1][0] < Kw:
        return conv_forward(dy, *turned(w, pad, size, (Ho, Wo)), b)
    w2 = w.reshape(Kh * Kw * C, O)
    dx = empty((N, *size, C), dy.dtype)
    few_rows = N * Ho * Wo <= FEW_ROWS and C >= FEW_CHANNELS
    images = max(1, N) if few_rows else _images(Ho * Wo * w2.shape[0] * dy.dtype.itemsize, w2.size)
    wide_bias = np.zeros(1, dy.dtype) if b is None else np.tile(b, size[1])
    for n in spans(N, images):
        with scratch() as new:
            if C < FEW_CHANNELS:
                result = blocks2im(dy[n], w, stride, pad, size, new)
            else:
                dy2 = dy[n].reshape(-1, O)
                if len(dy2) <= TURNED_ROWS:
                    cols = np.matmul(w2, dy2.T).T
                else:
                    cols = np.matmul(dy2, w2.T, out=new((len(dy2), len(w2)), dy.dtype))
                result = col2im(cols.reshape(-1, Ho, Wo, Kh, Kw, C), stride, pad, size, new)
            np.add(_rows(result), wide_bias, out=_rows(dx[n]))
    return dx


def _rows(a: Array) -> Array:
    """Images (N, H, W, C) as (N, H, W*C), a view. They may be cut out of larger ones."""
    N, H, W, C = a.shape
    return np.lib.stride_tricks.as_strided(a, (N, H, W * C), (*a.strides[:2], a.itemsize))


def _is_one_patch(output: Size, kernel_size: Size, pad: Pad, size: Size) -> bool:
    """Whether the kernel is as large as the image: then this is a dense layer, as the generator's first layer is."""
    return output == (1, 1) and tuple(size) == tuple(kernel_size) and not any(map(any, pad))


def _dense(a: Array, b: Array, bias: Array | None = None) -> Array:
    """``a @ b + bias``."""
    y = empty((a.shape[0], b.shape[1]), a.dtype)
    if len(a) <= TURNED_ROWS and b.flags.f_contiguous:
        y[...] = np.matmul(b.T, a.T).T
    else:
        np.matmul(a, b, out=y)
    if bias is not None:
        y += bias
    return y


def turned(w: Array, pad: Pad, size: Size, output: Size) -> tuple[Array, int, Pad]:
    """With stride 1 the input gradient is a convolution itself: of dy, with the kernel turned by 180 degrees.

    Returns the kernel, the stride and the padding of that convolution.
    """
    top, left = w.shape[0] - 1 - pad[0][0], w.shape[1] - 1 - pad[1][0]
    below = size[0] - 1 + w.shape[0] - output[0] - top
    beside = size[1] - 1 + w.shape[1] - output[1] - left
    return w[::-1, ::-1].transpose(0, 1, 3, 2), 1, ((top, below), (left, beside))


def conv_weight_grad(x: Array, dy: Array, stride: int, pad: Pad, kernel_size: Size) -> Array:
    """See `minigan.nn.loops.conv_weight_grad`."""
    N, _, _, C = x.shape
    _, Ho, Wo, O = dy.shape
    Kh, Kw = kernel_size
    if _is_one_patch((Ho, Wo), kernel_size, pad, x.shape[1:3]):
        return _dense(x.reshape(N, -1).T, dy.reshape(N, O)).reshape(Kh, Kw, C, O)
    dw = empty((Kh * Kw * C, O), x.dtype)
    if N * Ho * Wo <= FEW_ROWS:
        np.matmul(im2col(x, kernel_size, stride, pad).T, dy.reshape(-1, O), out=dw)
        return dw.reshape(Kh, Kw, C, O)
    dw.fill(0)
    for n in spans(N, _images(Ho * Wo * len(dw) * x.dtype.itemsize, dw.size)):
        with scratch() as new:
            cols = im2col(x[n], kernel_size, stride, pad, new)  # (n*Ho*Wo, Kh*Kw*C)
            dw += np.matmul(cols.T, dy[n].reshape(-1, O), out=new(dw.shape, x.dtype))
    return dw.reshape(Kh, Kw, C, O)


def _product(a: Array, b: Array, out: Array) -> None:
    """``out = a @ b``. A small b is multiplied by a few rows at a time: BLAS need not rearrange its factors then."""
    rows = math.gcd(len(a), 1 << max(0, (SMALL_PRODUCT // b.size).bit_length() - 1))
    if rows >= MANY_ROWS:
        a, out = a.reshape(-1, rows, a.shape[1]), out.reshape(-1, rows, out.shape[1])
    np.matmul(a, b, out=out)


def im2col(x: Array, kernel_size: Size, stride: int, pad: Pad, new: New | None = None, *, ones: bool = False) -> Array:
    """See `minigan.nn.im2col.im2col`.

    Parameters
    ----------
    x, kernel_size, stride, pad
        As there.
    new : callable, optional
        Gives memory (`minigan.fast.cpu.memory.scratch`); by default `empty` does.
    ones : bool
        Whether every row ends with a one.

    Returns
    -------
    Array of shape (N*Ho*Wo, Kh*Kw*C), or one column more
    """
    new = new or empty
    N, H, W, C = x.shape
    Kh, Kw = kernel_size
    Ho, Wo = output_size((H, W), kernel_size, stride, pad)
    padded = _pad(x, pad, new)  # (N, H+top+bottom, W+left+right, C)
    n, h, w, c = padded.strides
    patches = np.lib.stride_tricks.as_strided(  # a view: the same numbers seen as overlapping patches
        padded, (N, Ho, Wo, Kh, Kw, C), (n, stride * h, stride * w, h, w, c)
    )
    K = Kh * Kw * C
    cols = new((N * Ho * Wo, K + ones), x.dtype)
    row, number = cols.strides
    taps = np.lib.stride_tricks.as_strided(
        cols, patches.shape, (Ho * Wo * row, Wo * row, row, Kw * C * number, C * number, number)
    )
    taps[...] = patches  # the copy happens here
    if ones:
        cols[:, K] = 1
    return cols


def col2im(cols: Array, stride: int, pad: Pad, size: Size, new: New | None = None) -> Array:
    """See `minigan.nn.im2col.col2im`; `new` as for `im2col`."""
    new = new or empty
    S = stride
    N, Ho, Wo, Kh, Kw, C = cols.shape
    H, W = size
    (top, _), (left, _) = pad
    tall, wide = _blocks((Ho, Wo), (Kh, Kw), S, pad, size)
    # S x S pixels are treated as a block: then S*C numbers lie side by side, and S*S taps are added at once.
    blocks = _zeros((N, tall, S, wide, S, C), cols.dtype, new)
    taps = cols.transpose(0, 1, 3, 2, 4, 5)  # (N, Ho, Kh, Wo, Kw, C)
    for p in range(0, Kh, S):
        for q in range(0, Kw, S):
            part = taps[:, :, p : p + S, :, q : q + S]
            i, j = p // S, q // S
            blocks[:, i : i + Ho, : part.shape[2], j : j + Wo, : part.shape[4]] += part
    return blocks.reshape(N, tall * S, wide * S, C)[:, top : top + H, left : left + W]


def blocks2im(dy: Array, w: Array, stride: int, pad: Pad, size: Size, new: New) -> Array:
    """Product and `col2im` for images with few channels: rows of a patch would be too short to be added one by one.

    A block of S x S pixels is treated as one pixel of S*S*C channels, and so the kernel has K/S x K/S taps. Each tap
    is a product of its own, and its result is added at once, in rows as long as the image is wide.

    Parameters
    ----------
    dy : Array of shape (N, Ho, Wo, O)
    w : Array of shape (Kh, Kw, C, O)
    stride, pad, size, new
        As for `col2im`.

    Returns
    -------
    Array of shape (N, H, W, C)
    """
    S = stride
    N, Ho, Wo, O = dy.shape
    Kh, Kw, C, _ = w.shape
    H, W = size
    (top, _), (left, _) = pad
    tall, wide = _blocks((Ho, Wo), (Kh, Kw), S, pad, size)
    blocks = _zeros((N, tall, wide, S, S, C), dy.dtype, new)
    room = new((N * Ho * Wo * S * S * C,), dy.dtype)
    for p in range(0, Kh, S):
        for q in range(0, Kw, S):
            taps = w[p : p + S, q : q + S]  # S x S of them, or fewer at the edge
            a, b, i, j = *taps.shape[:2], p // S, q // S
            part = room[: N * Ho * Wo * a * b * C].reshape(-1, a * b * C)
            _product(dy.reshape(-1, O), taps.reshape(-1, O).T.copy(), part)
            blocks[:, i : i + Ho, j : j + Wo, :a, :b] += part.reshape(N, Ho, Wo, a, b, C)
    padded = new((N, tall, S, wide, S, C), dy.dtype)
    padded[...] = blocks.transpose(0, 1, 3, 2, 4, 5)
    return padded.reshape(N, tall * S, wide * S, C)[:, top : top + H, left : left + W]


def _blocks(output: Size, kernel_size: Size, S: int, pad: Pad, size: Size) -> Size:
    """How many rows and columns of S x S blocks all patches and the whole image need."""
    tall, wide = (
        max(outputs + (K - 1) // S, -(-(length + before) // S))
        for outputs, K, length, (before, _) in zip(output, kernel_size, size, pad, strict=True)
    )
    return tall, wide


def _pad(x: Array, pad: Pad, new: New) -> Array:
    """The images with rows and columns of zeros added, or removed if bottom or right is negative; always contiguous."""
    N, H, W, C = x.shape
    (top, bottom), (left, right) = pad
    padded = _zeros((N, H + top + bottom, W + left + right, C), x.dtype, new)
    kept = x[:, : H + min(bottom, 0), : W + min(right, 0)]
    padded[:, top : top + kept.shape[1], left : left + kept.shape[2]] = kept
    return padded


def _zeros(shape: Shape, dtype: Any, new: New) -> Array:
    zeros = new(shape, dtype)
    zeros.fill(0)
    return zeros


def _images(bytes_per_image: int, kernel_numbers: int) -> int:
    """How many images to take at a time: at most about a chunk of patches."""
    chunk = SMALL_CHUNK_BYTES if kernel_numbers <= SMALL_KERNEL else CHUNK_BYTES
    return max(1, chunk // bytes_per_image)
