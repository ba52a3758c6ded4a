"""How much memory ranks need together; what they compute with it is tested in tests/ranks."""

import pytest

from minigan.fast.cpu import winograd
from minigan.gan.division import memory_bytes
from minigan.gan.step import build_gan
from minigan.nn.layers import Conv2D, Conv2DTranspose
from minigan.ranks.adam import Flat


def transformed_numbers(layer):
    """Of a kernel for tiles of 2 and of 4; with stride 1, also of the kernel turned around."""
    K, K, C, O = layer.params["kernel"].shape
    if not winograd.suits((K, K), layer.strides):
        return 0
    R = K // layer.strides
    ways = 2 if layer.strides == 1 else 1
    return ways * sum((m + R - 1) ** 2 for m in (2, 4)) * layer.strides**2 * C * O


@pytest.mark.parametrize(("image_size", "width"), [(64, 64), (32, 1), (128, 8)])
def test_there_is_room_for_parameters_moments_and_every_transformed_kernel(image_size, width):
    gan = build_gan(image_size=image_size, width=width)
    networks = gan.generator, gan.discriminator
    kernels = sum(
        4 * transformed_numbers(layer)
        for network in networks
        for layer in network.layers
        if isinstance(layer, Conv2D | Conv2DTranspose)
    )
    flats = [Flat(network.params()).nbytes for network in networks]
    batch = 4 * 64 * image_size**2 * 3
    assert memory_bytes(gan, 2, 64) >= 3 * sum(flats) + 2 * max(flats) + kernels + batch
