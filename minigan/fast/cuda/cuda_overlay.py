"""The fast versions for a GPU: what `minigan.nn.ops.resolve` lays over the table on CuPy arrays.

Every function here has the signature of its plain version, and calls `minigan.fast.cuda.kernels` or
`minigan.fast.cuda.cublas`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minigan.fast import joined_norm
from minigan.fast.cuda import cublas, cuda_conv, kernels
from minigan.nn import losses
from minigan.nn.backend import Array, Backend, Shape, xp_of
from minigan.nn.layers import Layer
from minigan.nn.losses import LOGIT_MAX, LOGIT_MIN, BCECache
from minigan.nn.losses import step_metrics as any_step_metrics
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


def flatten_forward(x: Array) -> tuple[Array, Shape]:
    """See `minigan.nn.ops.flatten_forward`; a view of x, since nothing here writes into an array that it gets."""
    return x.reshape(len(x), -1), x.shape


def flatten_backward(dy: Array, cache: Shape) -> Array:
    """See `minigan.nn.ops.flatten_backward`; a view of dy."""
    return dy.reshape(cache)


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
    if (z_real.size, z_real.dtype) != (z_fake.size, z_fake.dtype):
        return any_step_metrics(losses, z_real, z_fake)
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
def new_averaging(ops: Any) -> Callable[[Sequence[Array], Sequence[Array], Array], None]:
    """See `minigan.nn.ops.updates.new_averaging`."""
    return kernels.Averaging().run


def new_adam(ops: Any) -> Callable[..., None]:
    """See `minigan.nn.ops.updates.new_adam`."""
    return kernels.AdamSteps().run


# ------------------------------------------------------------------------------------------------------------ the hook
def steps(layers: list[Layer]) -> list[Layer]:
    """A batch normalization and the LeakyReLU after it as one step, and so a convolution and the LeakyReLU after it."""
    return cuda_conv.join(joined_norm.join(layers, kernels, kernels.update_moving_averages))


VERSIONS: dict[str, Function] = {
    "dense_forward": dense_forward,
    "dense_backward": dense_backward,
    "conv2d_forward": cuda_conv.conv2d_forward,
    "conv2d_backward": cuda_conv.conv2d_backward,
    "conv2d_transpose_forward": cuda_conv.conv2d_transpose_forward,
    "conv2d_transpose_backward": cuda_conv.conv2d_transpose_backward,
    "leaky_relu_forward": leaky_relu_forward,
    "leaky_relu_backward": leaky_relu_backward,
    "tanh_forward": tanh_forward,
    "tanh_backward": tanh_backward,
    "flatten_forward": flatten_forward,
    "flatten_backward": flatten_backward,
    "bce_with_logits_forward": bce_with_logits_forward,
    "bce_with_logits_backward": bce_with_logits_backward,
    "step_metrics": step_metrics,
    "translate_forward": translate_forward,
    "translate_backward": translate_backward,
    "new_averaging": new_averaging,
    "new_adam": new_adam,
    "steps": steps,
}


def overlay(backend: Backend, dtype: Any) -> Mapping[str, Function]:
    """The fast versions for a backend that can compile kernels, and for the dtypes that they are compiled for."""
    return VERSIONS if kernels.can_compile(backend.xp, dtype) else {}
