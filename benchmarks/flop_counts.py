"""The convolutions of both networks, and how many operations they and a training step take.

Counted as a direct convolution, two operations per multiply-add, also where a kernel does fewer. So the rate of a
kernel that saves multiplications may be higher than the machine's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from minigan import discriminator, generator
from minigan.nn.layers import Conv2DTranspose

PASSES = ("forward", "input gradient", "weight gradient")
"""What a layer computes. All three take the same number of multiply-adds."""


@dataclass(frozen=True)
class ConvLayer:
    """One convolution of a network, for one image.

    Attributes
    ----------
    name : str
        "D conv 2": network, kind, and which of its convolutions.
    x, w, y : tuple of int
        Shapes of input (H, W, C), kernel, and output (Ho, Wo, O).
    transposed : bool
    stride, pad : int
    """

    name: str
    x: tuple[int, int, int]
    w: tuple[int, int, int, int]
    y: tuple[int, int, int]
    transposed: bool
    stride: int
    pad: int

    def flops(self, batch_size: int) -> int:
        """Operations of one pass, as direct convolution."""
        Kh, Kw, _, _ = self.w
        small, large = (self.x, self.y) if self.transposed else (self.y, self.x)
        # Every position of the small side meets every tap of the kernel; what falls on padding is counted too.
        return 2 * batch_size * small[0] * small[1] * small[2] * Kh * Kw * large[2]

    def moved_bytes(self, batch_size: int) -> int:
        """Bytes that any float32 kernel has to move in one pass: x, w and y, two of them read and one written."""
        return 4 * (batch_size * math.prod(self.x) + math.prod(self.w) + batch_size * math.prod(self.y))

    def scratch_bytes(self, kernel: str, batch_size: int) -> int | None:
        """Bytes of the arrays that a float32 kernel makes in between, written once and read once; None if unknown.

        im2col makes the matrix of patches, Kh Kw C values for each position of the small side. Winograd makes nine
        matrices for each tile of 2x2 positions, and nine products: S S C values in, O out.
        """
        (Ho, Wo, O), C = (self.x, self.y[2]) if self.transposed else (self.y, self.x[2])
        K, S = self.w[0], self.stride
        if kernel == "im2col":
            return 2 * 4 * batch_size * Ho * Wo * K * K * C
        if kernel == "winograd":
            return 2 * 4 * batch_size * -(-Ho // 2) * -(-Wo // 2) * 9 * (S * S * C + O)
        return None

    def describe(self) -> str:
        """Geometry in a few words."""
        (H, W, C), (Ho, Wo, O) = self.x, self.y
        return f"{H}x{W}x{C} to {Ho}x{Wo}x{O}, k{self.w[0]} s{self.stride}"


def conv_layers(*, image_size: int, width: int) -> list[ConvLayer]:
    """The convolutions of the discriminator, then of the generator."""
    found = []
    for letter, network in (
        ("D", discriminator(image_size=image_size, width=width)),
        ("G", generator(image_size=image_size, width=width)),
    ):
        shape, number = network.input_shape, 0
        for layer in network.layers:
            before, shape = shape, layer.output_shape(shape)
            if not hasattr(layer, "strides"):
                continue
            number += 1
            transposed = isinstance(layer, Conv2DTranspose)
            kernel, S = layer.params["kernel"].shape, layer.strides
            small, large = (before[0], shape[0]) if transposed else (shape[0], before[0])
            pad = (S * (small - 1) + kernel[0] - large) // 2  # an even total, the same on all sides
            found.append(
                ConvLayer(
                    f"{letter} {'convT' if transposed else 'conv'} {number}", before, kernel, shape, transposed, S, pad
                )
            )
    return found


def step_flops(*, batch_size: int, image_size: int, width: int) -> int:
    """Operations of the convolutions of one training step.

    Fakes: G forward. D, on reals and on fakes: forward and both gradients, but no gradient for the images. G's step:
    G and D forward, D's input gradients down to the images, G's gradients, but none for the noise.
    """
    layers = conv_layers(image_size=image_size, width=width)
    of = {letter: [layer.flops(batch_size) for layer in layers if layer.name[0] == letter] for letter in "DG"}
    D, G, d_first, g_first = sum(of["D"]), sum(of["G"]), of["D"][0], of["G"][0]
    return G + 2 * (3 * D - d_first) + (G + D + D + 2 * G - g_first)
