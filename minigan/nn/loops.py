"""Convolution as it is defined: loops over positions. It is slow and obvious, and all tests compare with it.

`minigan.nn.im2col` has the same three functions, each as a matrix product, and so have the faster algorithms.
`minigan.nn.conv` chooses among them.

A convolution is a list of products. Output position (i, j) meets kernel tap (p, q) at one input position

    r = S*i + p - P_top,    s = S*j + q - P_left

and there contributes  ``y[:, i, j] += x[:, r, s] @ w[p, q]``  (a product over channels), unless (r, s) lies outside
the image, where the padding's zeros contribute nothing. All three functions below run over *the same list* of
meetings: one adds up y, one dx, one dw. Once you understand one, you understand all three. A transposed convolution
needs no fourth function: it is `conv_input_grad`.

Legend: `minigan.nn.conv`.
"""

from __future__ import annotations

from collections.abc import Iterator

from minigan.nn.backend import Array, xp_of
from minigan.nn.geometry import Pad, Size, output_size


def _meetings(
    output: Size, kernel: Size, size: Size, stride: int, pad: Pad
) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Every (i, j, p, q, r, s): output position, kernel tap, and the input position where they meet."""
    (top, _), (left, _) = pad
    for i in range(output[0]):
        for j in range(output[1]):
            for p in range(kernel[0]):
                for q in range(kernel[1]):
                    r = stride * i + p - top
                    s = stride * j + q - left
                    if 0 <= r < size[0] and 0 <= s < size[1]:
                        yield i, j, p, q, r, s


def conv_forward(x: Array, w: Array, stride: int, pad: Pad, b: Array | None = None) -> Array:
    """``y[n,i,j,o] = b[o] + sum over p, q, c of x[n,r,s,c] * w[p,q,c,o]``."""
    xp = xp_of(x, w)
    N, H, W, _ = x.shape
    Kh, Kw, _, O = w.shape
    Ho, Wo = output_size((H, W), (Kh, Kw), stride, pad)
    y = xp.zeros((N, Ho, Wo, O), x.dtype)
    for i, j, p, q, r, s in _meetings((Ho, Wo), (Kh, Kw), (H, W), stride, pad):
        y[:, i, j] += x[:, r, s] @ w[p, q]  # (N, C) @ (C, O)
    return y if b is None else y + b


def conv_input_grad(dy: Array, w: Array, stride: int, pad: Pad, size: Size, b: Array | None = None) -> Array:
    """``dx[n,r,s,c] = b[c] + sum over the (i, j, p, q) that met at (r, s), and o, of dy[n,i,j,o] * w[p,q,c,o]``."""
    xp = xp_of(dy, w)
    N, Ho, Wo, _ = dy.shape
    Kh, Kw, C, _ = w.shape
    dx = xp.zeros((N, *size, C), dy.dtype)
    for i, j, p, q, r, s in _meetings((Ho, Wo), (Kh, Kw), size, stride, pad):
        dx[:, r, s] += dy[:, i, j] @ w[p, q].T  # (N, O) @ (O, C)
    return dx if b is None else dx + b


def conv_weight_grad(x: Array, dy: Array, stride: int, pad: Pad, kernel_size: Size) -> Array:
    """``dw[p,q,c,o] = sum over n, i, j of x[n,r,s,c] * dy[n,i,j,o]``."""
    xp = xp_of(x, dy)
    _, H, W, C = x.shape
    _, Ho, Wo, O = dy.shape
    dw = xp.zeros((*kernel_size, C, O), x.dtype)
    for i, j, p, q, r, s in _meetings((Ho, Wo), kernel_size, (H, W), stride, pad):
        dw[p, q] += x[:, r, s].T @ dy[:, i, j]  # (C, N) @ (N, O)
    return dw
