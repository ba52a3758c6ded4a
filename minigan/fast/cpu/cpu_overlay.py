"""The fast versions for a processor, in groups: what `minigan.nn.ops.resolve` lays over the table on NumPy arrays.

Each group is worth its place: `benchmarks/parts.py` trains without one group at a time, and docs/performance.md has the
result.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from minigan.fast import joined_norm
from minigan.fast.cpu import fast_conv, fused, pool
from minigan.fast.cpu.fused import PIECE, in_pieces, spans
from minigan.fast.cpu.memory import empty, scratch
from minigan.nn.backend import Array, Backend, Shape
from minigan.nn.ops.dense import DenseCache
from minigan.nn.ops.table import Function
from minigan.nn.ops.updates import adam_rate


# ---------------------------------------------------------------------------------------------------------------- dense
def dense_forward(x: Array, w: Array, b: Array) -> tuple[Array, DenseCache]:
    """See `minigan.nn.ops.dense_forward`."""
    if x.ndim != 2 or x.shape[1] != w.shape[0]:
        raise ValueError(f"dense: x must be (N, {w.shape[0]}) for w.shape={w.shape}, got x.shape={x.shape}")
    return _product(x, w) + b, DenseCache(x, w)


def dense_backward(
    dy: Array, cache: DenseCache, *, input_grad: bool = True, param_grads: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """See `minigan.nn.ops.dense_backward`."""
    x, w = cache
    dx = _product(dy, w.T) if input_grad else None
    return (dx, _product(x.T, dy), dy.sum(axis=0)) if param_grads else (dx, None, None)


def _product(a: Array, b: Array) -> Array:
    y = empty((a.shape[0], b.shape[1]), a.dtype)
    return np.multiply(a, b, out=y) if a.shape[1] == 1 else np.matmul(a, b, out=y)  # BLAS is slow at a column by a row


# ---------------------------------------------------------------------------------------------------------- activations
def leaky_relu_forward(x: Array, alpha: float = 0.2) -> tuple[Array, tuple[Array, float]]:
    """See `minigan.nn.ops.leaky_relu_forward`."""
    y = empty(x.shape, x.dtype)
    for y_, x_ in in_pieces(y, x):
        np.multiply(x_, alpha, out=y_)
        np.maximum(x_, y_, out=y_)
    return y, (y, alpha)


def leaky_relu_backward(dy: Array, cache: tuple[Array, float]) -> Array:
    """See `minigan.nn.ops.leaky_relu_backward`."""
    y, alpha = cache
    dx = empty(dy.shape, dy.dtype)
    for dx_, dy_, y_ in in_pieces(dx, dy, y):
        np.greater(y_, 0, out=dx_)  # 1 or 0; arithmetic on it is six times as fast as `where`
        np.maximum(dx_, alpha, out=dx_)
        dx_ *= dy_
    return dx


def tanh_forward(x: Array) -> tuple[Array, Array]:
    """See `minigan.nn.ops.tanh_forward`."""
    y = empty(x.shape, x.dtype)
    for y_, x_ in in_pieces(y, x):
        np.tanh(x_, out=y_)
    return y, y


def tanh_backward(dy: Array, cache: Array) -> Array:
    """See `minigan.nn.ops.tanh_backward`."""
    dx = empty(dy.shape, dy.dtype)
    for dx_, dy_, y_ in in_pieces(dx, dy, cache):
        np.multiply(y_, y_, out=dx_)
        np.subtract(1, dx_, out=dx_)
        dx_ *= dy_
    return dx


def flatten_forward(x: Array) -> tuple[Array, Shape]:
    """See `minigan.nn.ops.flatten_forward`."""
    return _copy(x, (len(x), -1)), x.shape


def flatten_backward(dy: Array, cache: Shape) -> Array:
    """See `minigan.nn.ops.flatten_backward`."""
    return _copy(dy, cache)


def _copy(a: Array, shape: Shape) -> Array:
    a = a.reshape(shape)
    copy = empty(a.shape, a.dtype)
    copy[...] = a
    return copy


# -------------------------------------------------------------------------------------------------------------- updates
def adam_update(
    p: Array, g: Array, m: Array, v: Array, rate: float, beta_1: float, beta_2: float, epsilon: float
) -> None:
    """See `minigan.nn.ops.updates.adam_update`; the same operations, without new arrays."""
    with scratch() as new:
        work = np.multiply(g, 1 - beta_1, out=new(g.shape, g.dtype))
        m *= beta_1
        m += work
        np.multiply(g, g, out=work)
        work *= 1 - beta_2
        v *= beta_2
        v += work
        np.sqrt(v, out=work)
        work += epsilon
        np.divide(m, work, out=work)
        work *= rate
        p -= work


def new_adam(ops: Any) -> Callable[..., None]:
    """See `minigan.nn.ops.updates.new_adam`; large parameters are updated in pieces that fit into the cache."""

    def update_all(
        p: Sequence[Array],
        g: Sequence[Array],
        m: Sequence[Array],
        v: Sequence[Array],
        *,
        t: int,
        learning_rate: float,
        beta_1: float,
        beta_2: float,
        epsilon: float,
    ) -> None:
        rate = adam_rate(t, learning_rate, beta_1, beta_2)
        for arrays in zip(p, g, m, v, strict=True):
            if not all(a.flags.c_contiguous for a in arrays):
                ops.adam_update(*arrays, rate, beta_1, beta_2, epsilon)
                continue
            p_, g_, m_, v_ = (a.reshape(-1) for a in arrays)
            for a in spans(p_.size, PIECE // 2):  # five arrays at a time
                ops.adam_update(p_[a], g_[a], m_[a], v_[a], rate, beta_1, beta_2, epsilon)

    return update_all


def new_averaging(ops: Any) -> Callable[[Sequence[Array], Sequence[Array], Array], None]:
    """See `minigan.nn.ops.updates.new_averaging`."""

    def move_all(averages: Sequence[Array], latest: Sequence[Array], share: Array) -> None:
        for average, new_values in zip(averages, latest, strict=True):
            with scratch() as new:
                work = np.subtract(new_values, average, out=new(average.shape, average.dtype))
                work *= share
                average += work

    return move_all


# --------------------------------------------------------------------------------------------------------------- groups
GROUPS: dict[str, dict[str, Function]] = {
    "convolution": {
        "conv2d_forward": fast_conv.conv2d_forward,
        "conv2d_backward": fast_conv.conv2d_backward,
        "conv2d_transpose_forward": fast_conv.conv2d_transpose_forward,
        "conv2d_transpose_backward": fast_conv.conv2d_transpose_backward,
    },
    "batch normalization with LeakyReLU": {"steps": partial(joined_norm.join, kernels=fused)},
    "activations": {
        "leaky_relu_forward": leaky_relu_forward,
        "leaky_relu_backward": leaky_relu_backward,
        "tanh_forward": tanh_forward,
        "tanh_backward": tanh_backward,
        "flatten_forward": flatten_forward,
        "flatten_backward": flatten_backward,
    },
    "dense": {"dense_forward": dense_forward, "dense_backward": dense_backward},
    "Adam": {"adam_update": adam_update, "new_adam": new_adam, "new_averaging": new_averaging},
    "predict on all cores": {"in_batches": pool.in_batches},
}


def overlay(backend: Backend, dtype: Any, *, without: Collection[str] = ()) -> Mapping[str, Function]:
    """The fast versions, those of some groups left out; `minigan.nn.ops.table.Overlay`."""
    return {name: fast for group, versions in GROUPS.items() if group not in without for name, fast in versions.items()}
