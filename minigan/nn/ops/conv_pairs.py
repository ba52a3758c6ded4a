"""The two convolutions of the networks, each with its gradients, made of the three primitives of `minigan.nn.conv`.

Conv2D shrinks an image and Conv2DTranspose enlarges it. One is the other's way back: what is forward here is the input
gradient there. So both need the same three primitives, here computed by `minigan.nn.im2col`. The layers of the same
names in `minigan.nn.layers` call the pairs.
"""

from __future__ import annotations

from typing import NamedTuple

from minigan.nn.backend import Array
from minigan.nn.conv import conv_forward, conv_input_grad, conv_weight_grad
from minigan.nn.conv_checks import check_arrays
from minigan.nn.geometry import Pad, Size
from minigan.nn.ops.normalization import channel_sum


class ConvCache(NamedTuple):
    """What the backward pass of either convolution needs. The patch matrix is not kept: it is much larger than x."""

    x: Array
    w: Array
    stride: int
    pad: int | Pad


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
    return conv_forward(x, w, b, stride=stride, pad=pad, kernel="im2col"), ConvCache(x, w, stride, pad)


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
    x, w, stride, pad = cache
    dx = dw = db = None
    if input_grad:
        dx = conv_input_grad(dy, w, stride=stride, pad=pad, size=x.shape[1:3], kernel="im2col")
    if param_grads:
        dw = conv_weight_grad(x, dy, stride=stride, pad=pad, kernel_size=w.shape[:2], kernel="im2col")
        db = channel_sum(dy)
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
    size = transpose_output_size(x, w, stride, pad)
    y = conv_input_grad(x, w, b, stride=stride, pad=pad, size=size, kernel="im2col")
    return y, ConvCache(x, w, stride, pad)


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
    x, w, stride, pad = cache
    dx = dw = db = None
    if input_grad:
        dx = conv_forward(dy, w, stride=stride, pad=pad, kernel="im2col")
    if param_grads:
        dw = conv_weight_grad(dy, x, stride=stride, pad=pad, kernel_size=w.shape[:2], kernel="im2col")
        db = channel_sum(dy)
    return dx, dw, db


def transpose_output_size(x: Array, w: Array, stride: int, pad: int | Pad) -> Size:
    """Height and width of `conv2d_transpose_forward`'s output. Raises ValueError unless both arrays have 4 axes."""
    check_arrays("conv2d_transpose_forward", x=x, w=w)
    (top, bottom), (left, right) = ((pad, pad), (pad, pad)) if isinstance(pad, int) else pad
    return (
        stride * (x.shape[1] - 1) + w.shape[0] - top - bottom,
        stride * (x.shape[2] - 1) + w.shape[1] - left - right,
    )
