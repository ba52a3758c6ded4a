"""Convolution as a matrix product: copy every patch of the image into one row of a matrix, then multiply once.

Processors are fastest at matrix products. So every early deep-learning library turned the loops of `minigan.nn.loops`
into one product. `im2col` ("image to columns") writes the K x K x C patch under each output position as a row; the
kernel, flattened in the same way, is the other factor:

    y  = im2col(x) @ w            (N*Ho*Wo, K*K*C) @ (K*K*C, O)
    dw = im2col(x).T @ dy         the same matrix, transposed
    dx = col2im(dy @ w.T)         `col2im` adds each row to the patch where it came from

The patch matrix is K*K/(S*S) times as large as the image. So the functions take a few images at a time, and a patch
matrix is used while it is still in the processor's cache.

The pairs of `minigan.nn.ops` compute with this file. It works on NumPy and CuPy. Legend: `minigan.nn.conv`.

References
----------
K. Chellapilla, S. Puri and P. Simard, "High performance convolutional neural networks for document processing", 2006.
"""

from __future__ import annotations

from minigan.nn.backend import Array, xp_of
from minigan.nn.geometry import Pad, Size, output_size

CHUNK_BYTES = 8 << 20
"""About how large one patch matrix may be."""


def conv_forward(x: Array, w: Array, stride: int, pad: Pad, b: Array | None = None) -> Array:
    """See `minigan.nn.loops.conv_forward`; the same results, up to rounding."""
    xp = xp_of(x, w)
    N, H, W, C = x.shape
    Kh, Kw, _, O = w.shape
    Ho, Wo = output_size((H, W), (Kh, Kw), stride, pad)
    y = xp.empty((N, Ho, Wo, O), x.dtype)
    for n in _few_images(N, Ho * Wo * Kh * Kw * C * x.dtype.itemsize):
        cols = im2col(x[n], (Kh, Kw), stride, pad)  # (n*Ho*Wo, Kh*Kw*C)
        y[n] = (cols @ w.reshape(-1, O)).reshape(-1, Ho, Wo, O)
    return y if b is None else y + b


def conv_input_grad(dy: Array, w: Array, stride: int, pad: Pad, size: Size, b: Array | None = None) -> Array:
    """See `minigan.nn.loops.conv_input_grad`."""
    xp = xp_of(dy, w)
    N, Ho, Wo, O = dy.shape
    Kh, Kw, C, _ = w.shape
    dx = xp.empty((N, *size, C), dy.dtype)
    for n in _few_images(N, Ho * Wo * Kh * Kw * C * dy.dtype.itemsize):
        cols = dy[n].reshape(-1, O) @ w.reshape(-1, O).T  # (n*Ho*Wo, Kh*Kw*C)
        dx[n] = col2im(cols.reshape(-1, Ho, Wo, Kh, Kw, C), stride, pad, size)
    return dx if b is None else dx + b


def conv_weight_grad(x: Array, dy: Array, stride: int, pad: Pad, kernel_size: Size) -> Array:
    """See `minigan.nn.loops.conv_weight_grad`."""
    xp = xp_of(x, dy)
    N, _, _, C = x.shape
    _, Ho, Wo, O = dy.shape
    Kh, Kw = kernel_size
    dw = xp.zeros((Kh * Kw * C, O), x.dtype)
    for n in _few_images(N, Ho * Wo * Kh * Kw * C * x.dtype.itemsize):
        cols = im2col(x[n], kernel_size, stride, pad)  # (n*Ho*Wo, Kh*Kw*C)
        dw += cols.T @ dy[n].reshape(-1, O)
    return dw.reshape(Kh, Kw, C, O)


def im2col(x: Array, kernel_size: Size, stride: int, pad: Pad) -> Array:
    """Every patch of x as one row.

    Parameters
    ----------
    x : Array of shape (N, H, W, C)
    kernel_size : (Kh, Kw)
    stride : int
    pad : ((top, bottom), (left, right))
        Rows and columns of zeros to add; a negative bottom or right removes some.

    Returns
    -------
    Array of shape (N*Ho*Wo, Kh*Kw*C)
    """
    N, H, W, C = x.shape
    Kh, Kw = kernel_size
    Ho, Wo = output_size((H, W), kernel_size, stride, pad)
    padded = _padded(x, pad)
    n, h, w, c = padded.strides
    patches = xp_of(x).lib.stride_tricks.as_strided(  # a view: the same numbers, seen as overlapping patches
        padded, (N, Ho, Wo, Kh, Kw, C), (n, stride * h, stride * w, h, w, c)
    )
    return patches.reshape(N * Ho * Wo, Kh * Kw * C)  # the copy happens here


def col2im(cols: Array, stride: int, pad: Pad, size: Size) -> Array:
    """Add every patch to the place from which `im2col` took it: the adjoint of `im2col`.

    Parameters
    ----------
    cols : Array of shape (N, Ho, Wo, Kh, Kw, C)
    stride : int
    pad : ((top, bottom), (left, right))
        Numbers that fall into the padding are dropped.
    size : (H, W)
        Size of the image to return.

    Returns
    -------
    Array of shape (N, H, W, C)
    """
    N, Ho, Wo, Kh, Kw, C = cols.shape
    (top, _), (left, _), (H, W) = *pad, size
    # Room for the whole image and for every tap of every patch, whichever reaches further.
    tall = max(top + H, stride * (Ho - 1) + Kh)
    wide = max(left + W, stride * (Wo - 1) + Kw)
    padded = xp_of(cols).zeros((N, tall, wide, C), cols.dtype)
    for p in range(Kh):
        for q in range(Kw):
            reached = padded[:, p : p + stride * Ho : stride, q : q + stride * Wo : stride]
            reached += cols[:, :, :, p, q]
    return padded[:, top : top + H, left : left + W]


def _padded(x: Array, pad: Pad) -> Array:
    """The images with rows and columns of zeros added, or removed if bottom or right is negative; always contiguous."""
    N, H, W, C = x.shape
    (top, bottom), (left, right) = pad
    padded = xp_of(x).zeros((N, top + H + bottom, left + W + right, C), x.dtype)
    inside = x[:, : H + min(bottom, 0), : W + min(right, 0)]
    padded[:, top : top + inside.shape[1], left : left + inside.shape[2]] = inside
    return padded


def _few_images(N: int, bytes_per_image: int) -> list[slice]:
    """Cut the batch into parts whose patch matrices take about CHUNK_BYTES each; an image's takes `bytes_per_image`."""
    n = max(1, CHUNK_BYTES // bytes_per_image)
    return [slice(a, a + n) for a in range(0, N, n)]
