"""The fast versions for a processor, in groups: what `minigan.nn.ops.resolve` lays over the table on NumPy arrays.

Each group is worth its place: `benchmarks/parts.py` trains without one group at a time, and docs/performance.md has the
result.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import numpy as np

from minigan.fast import joined_norm
from minigan.fast.cpu import fast_conv, fused, pool
from minigan.fast.cpu.fused import in_pieces
from minigan.fast.cpu.memory import empty
from minigan.nn.backend import Array, Backend, Shape
from minigan.nn.ops.table import Function


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
    "predict on all cores": {"in_batches": pool.in_batches},
}


def overlay(backend: Backend, dtype: Any, *, without: Collection[str] = ()) -> Mapping[str, Function]:
    """The fast versions, those of some groups left out; `minigan.nn.ops.table.Overlay`."""
    return {name: fast for group, versions in GROUPS.items() if group not in without for name, fast in versions.items()}
