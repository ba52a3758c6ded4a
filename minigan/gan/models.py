"""The two networks of the article, and a rule for other sizes.

The discriminator halves an image with strided convolutions until it is 4x4, and answers with one logit. The generator
starts at 4x4 and doubles with transposed convolutions until it has an image. A feature map of side r has
``min(8w, w*S/(2r))`` channels, for image size S and width w: half the side, twice the channels. S = 64 and w = 64 give
the article's networks, with 2,768,321 and 3,616,771 parameters. `minigan.gan.step` trains them.

References
----------
A. Radford, L. Metz and S. Chintala, "Unsupervised representation learning with deep convolutional generative
adversarial networks", arXiv:1511.06434.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from minigan.nn.geometry import IMAGE_SIZES
from minigan.nn.initializers import GlorotUniform
from minigan.nn.layers import (
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    Initializer,
    Layer,
    LeakyReLU,
    Tanh,
)
from minigan.nn.network import Sequential
from minigan.nn.ops import LIBRARY, Ops
from minigan.nn.original_weights import OriginalGlorotUniform

MAX_WIDTH = 512
NOISE_SIZE = 100
INITS = ("glorot", "original")
# The generator's kernels count from here, so that neither network's weights depend on the other's.
_GENERATOR_STREAM = 1000


def channels_at(side: int, *, image_size: int, width: int) -> int:
    """Channels of a feature map with this side, in either network.

    >>> [channels_at(r, image_size=64, width=64) for r in (32, 16, 8, 4)]
    [64, 128, 256, 512]
    """
    return min(8 * width, width * image_size // (2 * side))


def discriminator(
    *,
    image_size: int = 64,
    width: int = 64,
    seed: int = 1337,
    init: str | Initializer = "glorot",
    dtype: Any = np.float32,
    ops: Ops = LIBRARY,
    plain: bool = False,
) -> Sequential:
    """The discriminator: images (N, S, S, 3) in [-1, 1] to logits (N, 1). A logit above 0 means "real".

    Parameters
    ----------
    image_size : int
        S: 32, 64 or 128 pixels.
    width : int
        Channels of the largest feature map, 1 to 512; 64 is the article's.
    seed : int
        For the kernels, 0 to 4,294,967,295.
    init : "glorot", "original" or a callable
        "original" gives exactly the weights of the original program, whatever the seed; for 64/64 and float32 only. A
        function of your own turns the shape of each kernel into its first value.
    dtype : dtype
        float32 to train, float64 to check gradients.
    ops : Ops
        The functions to build from; this is the place to put in your own.
    plain : bool
        Whether the readable functions run, and no fast version in their place (`minigan.nn.ops`).

    Returns
    -------
    Sequential

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    kernels = _initializer(init, image_size, width, seed, dtype, is_generator=False)
    if plain:
        ops = replace(ops, plain=True)
    layers: list[Layer] = []
    side, channels = image_size, 3
    while side > 4:
        side //= 2
        filters = channels_at(side, image_size=image_size, width=width)
        layers.append(Conv2D(channels, filters, 4, strides=2, kernel_initializer=kernels, ops=ops))
        if side < image_size // 2:  # no batch normalization in the layer that sees the image
            layers.append(BatchNormalization(filters, dtype=dtype, ops=ops))
        layers.append(LeakyReLU(0.2, ops=ops))
        channels = filters
    layers.append(Flatten(ops=ops))
    layers.append(Dense(4 * 4 * channels, 1, kernel_initializer=kernels, ops=ops))  # the sigmoid is in the loss
    return Sequential(layers, input_shape=(image_size, image_size, 3), name="discriminator", ops=ops)


def generator(
    *,
    image_size: int = 64,
    width: int = 64,
    seed: int = 1337,
    init: str | Initializer = "glorot",
    dtype: Any = np.float32,
    ops: Ops = LIBRARY,
    plain: bool = False,
) -> Sequential:
    """The generator: noise (N, 1, 1, 100) to images (N, S, S, 3) in [-1, 1].

    Parameters
    ----------
    image_size, width, seed, init, dtype, ops, plain
        As `discriminator`.

    Returns
    -------
    Sequential

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    kernels = _initializer(init, image_size, width, seed, dtype, is_generator=True)
    if plain:
        ops = replace(ops, plain=True)
    layers: list[Layer] = []
    side, channels = 1, NOISE_SIZE
    while side < image_size // 2:  # from 1x1 to 4x4, and then twice as large each time
        strides, padding = (1, "valid") if side == 1 else (2, "same")
        side = 4 if side == 1 else 2 * side
        filters = channels_at(side, image_size=image_size, width=width)
        layers += [
            Conv2DTranspose(
                channels, filters, 4, strides=strides, padding=padding, kernel_initializer=kernels, ops=ops
            ),
            BatchNormalization(filters, dtype=dtype, ops=ops),
            LeakyReLU(0.2, ops=ops),
        ]
        channels = filters
    layers += [
        Conv2D(channels, channels, 3, kernel_initializer=kernels, ops=ops),
        BatchNormalization(channels, dtype=dtype, ops=ops),
        LeakyReLU(0.2, ops=ops),
        Conv2DTranspose(channels, 3, 4, strides=2, kernel_initializer=kernels, ops=ops),
        Tanh(ops=ops),
    ]
    return Sequential(layers, input_shape=(1, 1, NOISE_SIZE), name="generator", ops=ops)


def _initializer(
    init: str | Initializer, image_size: int, width: int, seed: int, dtype: Any, *, is_generator: bool
) -> Initializer:
    if image_size not in IMAGE_SIZES:
        raise ValueError(f"image_size must be one of {', '.join(map(str, IMAGE_SIZES))}, got {image_size}")
    if not 1 <= width <= MAX_WIDTH:
        raise ValueError(f"width must be between 1 and {MAX_WIDTH}, got {width}")
    if not isinstance(init, str):
        return init
    if init not in INITS:
        raise ValueError(f"init must be one of {', '.join(INITS)}, got {init!r}")
    if init == "original":
        if (image_size, width) != (64, 64) or np.dtype(dtype) != np.float32:
            raise ValueError(
                "init 'original' exists for image size 64, width 64 and float32 only, "
                f"got image size {image_size}, width {width}, {np.dtype(dtype)}"
            )
        return OriginalGlorotUniform(skip=5 if is_generator else 0)
    return GlorotUniform(seed, first=_GENERATOR_STREAM if is_generator else 0, dtype=dtype)
