"""A generator as bytes that JavaScript draws with (``browser/network.js``).

In inference mode, a generator of `minigan.gan.models` is a chain of matrix products. After each, every channel is
multiplied by a number, another is added, and there is an activation:

* A transposed convolution of one pixel is the product of its noise with one matrix.
* A transposed convolution with strides 2 and a 4x4 kernel gives an image of twice the side. Output pixels in even rows
  meet only the kernel's rows 3 and 1, those in odd rows only 2 and 0; with the columns it is the same. So it is four
  convolutions with 2x2 kernels, one for each of the four kinds of output pixels.
* A convolution is a product with the matrix of all patches.

Batch normalization in inference mode only multiplies and adds, so it becomes part of the two numbers; so does the bias.
Kernels are stored as float16, divided by a power of two so that the largest number is between 1 and 2, whatever they
were trained to. The two numbers of each channel stay float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.nn.backend import Array
from minigan.nn.layers import BatchNormalization, Conv2D, Conv2DTranspose, Layer, LeakyReLU, Tanh
from minigan.nn.network import Sequential
from minigan.runs.saved_generator import BROKEN_GENERATOR
from minigan.system.errors import UserError

_TAPS = ((3, 1), (2, 0))
"""Which rows of a 4x4 kernel meet an even output row (input rows above and here), and an odd one (here and below)."""


def pack(generator: Sequential) -> tuple[list[dict[str, Any]], bytes]:
    """A generator's layers in words, and its numbers.

    Parameters
    ----------
    generator : Sequential
        From `minigan.gan.models.generator`, on the NumPy backend.

    Returns
    -------
    plan : list of dict
        For each product its ``kind`` (dense, up or conv), ``channels`` (in), ``filters`` (out) and ``side`` (of the
        output), and ``slope`` of the LeakyReLU after it, or None for the tanh at the end.
    numbers : bytes
        Little-endian. First float32: for each product its `filters` factors and its `filters` summands. Then float16:
        for each product its matrices, row by row; 4 for "up", in the order even rows and columns, even rows and odd
        columns, odd and even, odd and odd.
    """
    plan: list[dict[str, Any]] = []
    affine: list[Array] = []
    kernels: list[Array] = []
    side = 1
    for layer, norm, activation in _products(generator):
        kernel = layer.params["kernel"]
        unit = _power_of_two(kernel)
        kind, matrices = _matrices(layer, kernel / unit)
        side *= {"dense": 4, "up": 2, "conv": 1}[kind]
        channels, filters = layer_ends(layer)
        with np.errstate(all="ignore"):
            factors, summands = _factors_and_summands(layer, norm)
            affine += [factors * unit, summands]
        kernels.append(matrices)
        slope = activation.alpha if isinstance(activation, LeakyReLU) else None
        plan.append({"kind": kind, "channels": channels, "filters": filters, "side": side, "slope": slope})
    factors_and_summands = np.concatenate(affine).astype("<f4")
    if not np.isfinite(factors_and_summands).all():
        raise UserError(BROKEN_GENERATOR)
    return plan, factors_and_summands.tobytes() + np.concatenate([k.ravel() for k in kernels]).astype("<f2").tobytes()


def layer_ends(layer: Layer) -> tuple[int, int]:
    """Channels in and out of a convolution, transposed or not."""
    K, L = layer.params["kernel"].shape[2:]
    return (L, K) if isinstance(layer, Conv2DTranspose) else (K, L)


def _products(generator: Sequential) -> list[tuple[Layer, BatchNormalization | None, Layer]]:
    """The convolutions, each with the batch normalization after it, if there is one, and its activation."""
    found: list[tuple[Layer, BatchNormalization | None, Layer]] = []
    layers = list(generator.layers)
    while layers:
        layer = layers.pop(0)
        norm = layers.pop(0) if isinstance(layers[0], BatchNormalization) else None
        activation = layers.pop(0)
        if not (isinstance(layer, Conv2D | Conv2DTranspose) and isinstance(activation, LeakyReLU | Tanh)):
            raise ValueError(
                f"{generator.name}: the browser knows no {type(layer).__name__}, {type(activation).__name__}"
            )
        assert norm is None or isinstance(norm, BatchNormalization)
        found.append((layer, norm, activation))
    return found


def _matrices(layer: Layer, kernel: Array) -> tuple[str, Array]:
    """The kind of a product and its matrices."""
    if isinstance(layer, Conv2D):  # (3, 3, C, O)
        return "conv", kernel
    if isinstance(layer, Conv2DTranspose) and layer.strides == 1:  # (4, 4, O, C)
        return "dense", kernel.transpose(3, 0, 1, 2)
    turned = kernel.transpose(0, 1, 3, 2)
    return "up", np.stack([turned[np.ix_(rows, columns)] for rows in _TAPS for columns in _TAPS])


def _factors_and_summands(layer: Layer, norm: BatchNormalization | None) -> tuple[Array, Array]:
    bias = layer.params["bias"]
    if norm is None:
        return np.ones_like(bias), bias
    factors = norm.params["gamma"] / np.sqrt(norm.buffers["moving_variance"] + norm.epsilon)
    return factors, norm.params["beta"] + (bias - norm.buffers["moving_mean"]) * factors


def _power_of_two(kernel: Array) -> float:
    largest = float(np.abs(kernel).max())
    return 2.0 ** np.floor(np.log2(largest)) if largest > 0 else 1.0
