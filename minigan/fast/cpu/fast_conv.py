"""The fast convolutions of the processor: for every geometry the faster of two algorithms.

`minigan.fast.cpu.winograd` needs fewer multiplications, but it has to transform image and kernel first. So it is used
where the kernel fits and there is enough work; `minigan.fast.cpu.chunked` does the rest. First come the primitives of
`minigan.nn.conv`, then the pairs of `minigan.nn.ops`. The pairs compute both gradients in one walk, and transform a
kernel once for the way forward and the way back.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

from minigan.fast.cpu import chunked, winograd
from minigan.fast.cpu.fused import channel_sum
from minigan.fast.cpu.winograd import Kept
from minigan.nn.backend import Array, Shape
from minigan.nn.conv_checks import check_forward, check_input_grad, check_weight_grad
from minigan.nn.geometry import Pad, Size, output_size
from minigan.nn.ops.conv_pairs import transpose_output_size


def _faster(N: int, output: Size, w_shape: Shape, stride: int) -> ModuleType:
    Kh, Kw, C, O = w_shape
    fits = winograd.suits((Kh, Kw), stride) and winograd.pays(N * output[0] * output[1], C, O)
    return winograd if fits else chunked


# ------------------------------------------------------------------------------------------------------- the primitives
def conv_forward(x: Array, w: Array, stride: int, pad: Pad, b: Array | None = None, kept: Kept | None = None) -> Array:
    """See `minigan.nn.loops.conv_forward`; `kept` as in `minigan.fast.cpu.winograd`."""
    algorithm = _faster(len(x), output_size(x.shape[1:3], w.shape[:2], stride, pad), w.shape, stride)
    if algorithm is winograd:
        return winograd.conv_forward(x, w, stride, pad, b, kept)
    return algorithm.conv_forward(x, w, stride, pad, b)


def conv_input_grad(
    dy: Array, w: Array, stride: int, pad: Pad, size: Size, b: Array | None = None, kept: Kept | None = None
) -> Array:
    """See `minigan.nn.loops.conv_input_grad`; `kept` as in `minigan.fast.cpu.winograd`."""
    algorithm = _faster(len(dy), dy.shape[1:3], w.shape, stride)
    if algorithm is winograd:
        return winograd.conv_input_grad(dy, w, stride, pad, size, b, kept)
    return algorithm.conv_input_grad(dy, w, stride, pad, size, b)


def conv_weight_grad(x: Array, dy: Array, stride: int, pad: Pad, kernel_size: Size) -> Array:
    """See `minigan.nn.loops.conv_weight_grad`."""
    w_shape = (*kernel_size, x.shape[3], dy.shape[3])
    return _faster(len(x), dy.shape[1:3], w_shape, stride).conv_weight_grad(x, dy, stride, pad, kernel_size)


# ------------------------------------------------------------------------------------------------------------ the pairs
class FastConvCache(NamedTuple):
    """What the backward pass of either convolution needs; kept: what Winograd has computed from w."""

    x: Array
    w: Array
    stride: int
    pad: int | Pad
    kept: Kept


def conv2d_forward(x: Array, w: Array, b: Array, stride: int = 1, pad: int | Pad = 0) -> tuple[Array, FastConvCache]:
    """See `minigan.nn.ops.conv2d_forward`."""
    kept: Kept = {}
    y = conv_forward(x, w, stride, check_forward(x, w, b, stride, pad), b, kept)
    return y, FastConvCache(x, w, stride, pad, kept)


def conv2d_backward(
    dy: Array, cache: FastConvCache, *, input_grad: bool = True, param_grads: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """See `minigan.nn.ops.conv2d_backward`."""
    x, w, stride, pad, kept = cache
    size, kernel_size = x.shape[1:3], w.shape[:2]
    check_weight_grad(x, dy, stride, pad, kernel_size)
    pad = check_input_grad(dy, w, None, stride, pad, size)
    if not param_grads:
        return conv_input_grad(dy, w, stride, pad, size, None, kept) if input_grad else None, None, None
    if not input_grad:
        return None, conv_weight_grad(x, dy, stride, pad, kernel_size), channel_sum(dy)
    if stride > 1 and _faster(len(dy), dy.shape[1:3], w.shape, stride) is winograd:
        return *winograd.conv_grads(x, w, dy, stride, pad, kept), channel_sum(dy)
    dx = conv_input_grad(dy, w, stride, pad, size, None, kept)
    return dx, conv_weight_grad(x, dy, stride, pad, kernel_size), channel_sum(dy)


def conv2d_transpose_forward(
    x: Array, w: Array, b: Array, stride: int = 1, pad: int | Pad = 0
) -> tuple[Array, FastConvCache]:
    """See `minigan.nn.ops.conv2d_transpose_forward`."""
    kept: Kept = {}
    size = transpose_output_size(x, w, stride, pad)
    y = conv_input_grad(x, w, stride, check_input_grad(x, w, b, stride, pad, size), size, b, kept)
    return y, FastConvCache(x, w, stride, pad, kept)


def conv2d_transpose_backward(
    dy: Array, cache: FastConvCache, *, input_grad: bool = True, param_grads: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """See `minigan.nn.ops.conv2d_transpose_backward`."""
    x, w, stride, pad, kept = cache
    kernel_size = w.shape[:2]
    check_weight_grad(dy, x, stride, pad, kernel_size)
    pad = check_forward(dy, w, None, stride, pad)
    if not param_grads:
        return conv_forward(dy, w, stride, pad, None, kept) if input_grad else None, None, None
    if not input_grad:
        return None, conv_weight_grad(dy, x, stride, pad, kernel_size), channel_sum(dy)
    if stride > 1 and _faster(len(x), x.shape[1:3], w.shape, stride) is winograd:
        return *winograd.conv_transpose_grads(x, w, dy, stride, pad, kept), channel_sum(dy)
    dx = conv_forward(dy, w, stride, pad, None, kept)
    return dx, conv_weight_grad(dy, x, stride, pad, kernel_size), channel_sum(dy)
