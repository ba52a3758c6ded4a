"""The fast convolutions of a GPU: the primitives of `minigan.nn.conv`, the pairs of `minigan.nn.ops`, and `JoinedConv`.

What is computed, and whether by Winograd or by im2col, stands in `minigan.fast.cuda.kernels`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from minigan.fast.cuda import kernels
from minigan.fast.joined_norm import has_own_methods
from minigan.nn import im2col
from minigan.nn.backend import Array, Shape
from minigan.nn.conv_checks import check_forward, check_input_grad, check_weight_grad
from minigan.nn.geometry import Pad, Size
from minigan.nn.layers import Cache, Conv2D, Layer, LeakyReLU
from minigan.nn.ops import has_own
from minigan.nn.ops.conv_pairs import transpose_output_size


class Primitives:
    """The three primitives of `minigan.nn.conv`, for arrays that the kernels can use and for others."""

    @staticmethod
    def conv_forward(x: Array, w: Array, stride: int, pad: Pad, b: Array | None = None) -> Array:
        """See `minigan.nn.loops.conv_forward`."""
        return _module(x).conv_forward(x, w, stride, pad, b)

    @staticmethod
    def conv_input_grad(dy: Array, w: Array, stride: int, pad: Pad, size: Size, b: Array | None = None) -> Array:
        """See `minigan.nn.loops.conv_input_grad`."""
        return _module(dy).conv_input_grad(dy, w, stride, pad, size, b)

    @staticmethod
    def conv_weight_grad(x: Array, dy: Array, stride: int, pad: Pad, kernel_size: Size) -> Array:
        """See `minigan.nn.loops.conv_weight_grad`."""
        return _module(x).conv_weight_grad(x, dy, stride, pad, kernel_size)


def _module(x: Array) -> Any:
    return kernels if kernels.available(x) else im2col


class CudaConvCache(NamedTuple):
    """What the backward pass of either convolution needs."""

    x: Array
    w: Array
    stride: int
    pad: int | Pad


def conv2d_forward(x: Array, w: Array, b: Array, stride: int = 1, pad: int | Pad = 0) -> tuple[Array, CudaConvCache]:
    """See `minigan.nn.ops.conv2d_forward`."""
    return conv2d_leaky_relu_forward(x, w, b, stride, pad, 1.0)


def conv2d_leaky_relu_forward(
    x: Array, w: Array, b: Array, stride: int, pad: int | Pad, alpha: float
) -> tuple[Array, CudaConvCache]:
    """A convolution and the LeakyReLU after it, which its last walk applies; the cache is the convolution's alone."""
    y = kernels.conv_forward(x, w, stride, check_forward(x, w, b, stride, pad), b, alpha=alpha)
    return y, CudaConvCache(x, w, stride, pad)


def conv2d_backward(
    dy: Array, cache: CudaConvCache, *, input_grad: bool = True, param_grads: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """See `minigan.nn.ops.conv2d_backward`."""
    x, w, stride, pad = cache
    size, kernel_size = x.shape[1:3], w.shape[:2]
    check_weight_grad(x, dy, stride, pad, kernel_size)
    pad = check_input_grad(dy, w, None, stride, pad, size)
    if not param_grads:
        return kernels.conv_input_grad(dy, w, stride, pad, size) if input_grad else None, None, None
    if not input_grad:
        return None, kernels.conv_weight_grad(x, dy, stride, pad, kernel_size), kernels.channel_sum(dy)
    return *kernels.conv_grads(x, w, dy, stride, pad), kernels.channel_sum(dy)


def conv2d_transpose_forward(
    x: Array, w: Array, b: Array, stride: int = 1, pad: int | Pad = 0
) -> tuple[Array, CudaConvCache]:
    """See `minigan.nn.ops.conv2d_transpose_forward`."""
    size = transpose_output_size(x, w, stride, pad)
    y = kernels.conv_input_grad(x, w, stride, check_input_grad(x, w, b, stride, pad, size), size, b)
    return y, CudaConvCache(x, w, stride, pad)


def conv2d_transpose_backward(
    dy: Array, cache: CudaConvCache, *, input_grad: bool = True, param_grads: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """See `minigan.nn.ops.conv2d_transpose_backward`."""
    x, w, stride, pad = cache
    kernel_size = w.shape[:2]
    check_weight_grad(dy, x, stride, pad, kernel_size)
    pad = check_forward(dy, w, None, stride, pad)
    if not param_grads:
        return kernels.conv_forward(dy, w, stride, pad) if input_grad else None, None, None
    if not input_grad:
        return None, kernels.conv_weight_grad(dy, x, stride, pad, kernel_size), kernels.channel_sum(dy)
    return *kernels.conv_transpose_grads(x, w, dy, stride, pad), kernels.channel_sum(dy)


class JoinedConv(Layer):
    """A Conv2D and the LeakyReLU after it, run as one layer; the discriminator's first two are such a pair.

    Parameters
    ----------
    conv : Conv2D
        Its parameters and gradients are those of this layer.
    activation : LeakyReLU
    """

    def __init__(self, conv: Conv2D, activation: LeakyReLU) -> None:
        self.conv, self.activation = conv, activation
        self.params, self.grads, self.buffers = conv.params, conv.grads, conv.buffers

    def forward(self, x: Array, *, training: bool, update_stats: bool = True) -> tuple[Array, Cache]:
        """See `Layer`."""
        w, b = self.params["kernel"], self.params["bias"]
        stride, pad = self.conv.strides, self.conv.pad_for(x)
        y, cache = conv2d_leaky_relu_forward(x, w, b, stride, pad, self.activation.alpha)
        return y, (y, cache)

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True, param_grads: bool = True) -> Array | None:
        """See `Layer`."""
        y, conv_cache = cache
        dz = kernels.leaky_relu_backward(dy, y, self.activation.alpha)
        return self.conv.backward(dz, conv_cache, input_grad=input_grad, param_grads=param_grads)

    def output_shape(self, input_shape: Shape) -> Shape:
        """See `Layer`."""
        return self.conv.output_shape(input_shape)


def join(layers: list[Layer]) -> list[Layer]:
    """The layers with a `JoinedConv` for each pair that is minigan's own."""
    joined: list[Layer] = []
    for layer in layers:
        if joined and _suits(joined[-1], layer):
            joined[-1] = JoinedConv(joined[-1], layer)  # type: ignore[arg-type]
        else:
            joined.append(layer)
    return joined


def _suits(conv: Layer, activation: Layer) -> bool:
    """Whether two layers are exactly a Conv2D and a LeakyReLU, with nothing replaced."""
    return (
        type(conv) is Conv2D
        and type(activation) is LeakyReLU
        and has_own_methods(conv)
        and has_own_methods(activation)
        and not (conv.ops.plain or activation.ops.plain)
        and has_own(conv.ops, "conv2d")
        and has_own(activation.ops, "leaky_relu")
    )
