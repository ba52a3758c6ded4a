"""The fast versions for a GPU: what `minigan.nn.ops.resolve` lays over the table on CuPy arrays.

Every function here has the signature of its plain version, and calls `minigan.fast.cuda.kernels` or
`minigan.fast.cuda.cublas`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from minigan.fast import joined_norm
from minigan.fast.cuda import cublas, kernels
from minigan.nn import im2col, losses
from minigan.nn.backend import Array, Backend, xp_of
from minigan.nn.conv_checks import check_forward, check_input_grad, check_weight_grad
from minigan.nn.geometry import Pad, Size
from minigan.nn.layers import Layer
from minigan.nn.losses import LOGIT_MAX, LOGIT_MIN, BCECache
from minigan.nn.ops.conv_pairs import transpose_output_size
from minigan.nn.ops.dense import DenseCache
from minigan.nn.ops.table import Function


# ---------------------------------------------------------------------------------------------------------------- dense
def dense_forward(x: Array, w: Array, b: Array) -> tuple[Array, DenseCache]:
    """See `minigan.nn.ops.dense_forward`."""
    if x.ndim != 2 or x.shape[1] != w.shape[0]:
        raise ValueError(f"dense: x must be (N, {w.shape[0]}) for w.shape={w.shape}, got x.shape={x.shape}")
    return cublas.matmul(x, w) + b, DenseCache(x, w)


def dense_backward(
    dy: Array, cache: DenseCache, *, input_grad: bool = True, param_grads: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """See `minigan.nn.ops.dense_backward`."""
    x, w = cache
    dx = cublas.matmul(dy, w, transpose_b=True) if input_grad else None
    if not param_grads:
        return dx, None, None
    return dx, cublas.matmul(x, dy, transpose_a=True), dy.sum(axis=0)


# ---------------------------------------------------------------------------------------------------------- convolution
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
    y = kernels.conv_forward(x, w, stride, check_forward(x, w, b, stride, pad), b)
    return y, CudaConvCache(x, w, stride, pad)


def conv2d_backward(
    dy: Array, cache: CudaConvCache, *, input_grad: bool = True, param_grads: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """See `minigan.nn.ops.conv2d_backward`."""
    x, w, stride, pad = cache
    size, kernel_size = x.shape[1:3], w.shape[:2]
    check_weight_grad(x, dy, stride, pad, kernel_size)
    pad = check_input_grad(dy, w, None, stride, pad, size)
    dx = kernels.conv_input_grad(dy, w, stride, pad, size) if input_grad else None
    if not param_grads:
        return dx, None, None
    return dx, kernels.conv_weight_grad(x, dy, stride, pad, kernel_size), kernels.channel_sum(dy)


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
    dx = kernels.conv_forward(dy, w, stride, pad) if input_grad else None
    if not param_grads:
        return dx, None, None
    return dx, kernels.conv_weight_grad(dy, x, stride, pad, kernel_size), kernels.channel_sum(dy)


# --------------------------------------------------------------------------------- activations, the loss, moving images
def leaky_relu_forward(x: Array, alpha: float = 0.2) -> tuple[Array, tuple[Array, float]]:
    """See `minigan.nn.ops.leaky_relu_forward`."""
    y = kernels.leaky_relu_forward(x, alpha)
    return y, (y, alpha)


def leaky_relu_backward(dy: Array, cache: tuple[Array, float]) -> Array:
    """See `minigan.nn.ops.leaky_relu_backward`."""
    return kernels.leaky_relu_backward(dy, *cache)


def tanh_forward(x: Array) -> tuple[Array, Array]:
    """See `minigan.nn.ops.tanh_forward`."""
    y = xp_of(x).tanh(x)
    return y, y


def tanh_backward(dy: Array, cache: Array) -> Array:
    """See `minigan.nn.ops.tanh_backward`."""
    return kernels.tanh_backward(dy, cache)


def bce_with_logits_forward(z: Array, target: Array) -> tuple[Array, BCECache]:
    """See `minigan.nn.losses.bce_with_logits_forward`."""
    losses.check_targets(z, target)
    return kernels.bce_forward(z, target, LOGIT_MIN, LOGIT_MAX), BCECache(z, target)


def bce_with_logits_backward(dloss: Array | float, cache: BCECache) -> Array:
    """See `minigan.nn.losses.bce_with_logits_backward`."""
    if not isinstance(dloss, float):  # a number on the GPU: the kernel takes it from the host
        return losses.bce_with_logits_backward(dloss, cache)
    return kernels.bce_backward(*cache, LOGIT_MIN, LOGIT_MAX, dloss / cache.z.size)


def step_metrics(losses: Sequence[Array], z_real: Array, z_fake: Array) -> Array:
    """See `minigan.nn.losses.step_metrics`."""
    xp = xp_of(z_real, z_fake)
    # A student's loss may be of another dtype.
    return kernels.step_metrics([xp.asarray(loss, z_real.dtype) for loss in losses], z_real, z_fake)


def translate_forward(x: Array, move: Array) -> tuple[Array, Array]:
    """See `minigan.nn.ops.translate_forward`."""
    return kernels.translate(x, move, 1), move


def translate_backward(dy: Array, cache: Array) -> Array:
    """See `minigan.nn.ops.translate_backward`."""
    return kernels.translate(dy, cache, -1)


# -------------------------------------------------------------------------------------------------------------- updates
def new_zeroing(ops: Any) -> Callable[[Iterable[Layer]], None]:
    """See `minigan.nn.ops.updates.new_zeroing`."""
    zeroing = kernels.Zeroing()

    def zero_all(layers: Iterable[Layer]) -> None:
        zeroing.run([g for layer in layers for g in layer.grads.values()])

    return zero_all


def new_averaging(ops: Any) -> Callable[[Sequence[Array], Sequence[Array], Array], None]:
    """See `minigan.nn.ops.updates.new_averaging`."""
    return kernels.Averaging().run


def new_adam(ops: Any) -> Callable[..., None]:
    """See `minigan.nn.ops.updates.new_adam`."""
    return kernels.AdamSteps().run


VERSIONS: dict[str, Function] = {
    "dense_forward": dense_forward,
    "dense_backward": dense_backward,
    "conv2d_forward": conv2d_forward,
    "conv2d_backward": conv2d_backward,
    "conv2d_transpose_forward": conv2d_transpose_forward,
    "conv2d_transpose_backward": conv2d_transpose_backward,
    "leaky_relu_forward": leaky_relu_forward,
    "leaky_relu_backward": leaky_relu_backward,
    "tanh_forward": tanh_forward,
    "tanh_backward": tanh_backward,
    "bce_with_logits_forward": bce_with_logits_forward,
    "bce_with_logits_backward": bce_with_logits_backward,
    "step_metrics": step_metrics,
    "translate_forward": translate_forward,
    "translate_backward": translate_backward,
    "new_zeroing": new_zeroing,
    "new_averaging": new_averaging,
    "new_adam": new_adam,
    "steps": partial(joined_norm.join, kernels=kernels, update=kernels.update_moving_averages),
}


def overlay(backend: Backend, dtype: Any) -> Mapping[str, Function]:
    """The fast versions for a backend that can compile kernels, and for the dtypes that they are compiled for."""
    return VERSIONS if kernels.can_compile(backend.xp, dtype) else {}
