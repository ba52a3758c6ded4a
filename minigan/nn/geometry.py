"""How sizes follow from kernel, stride and padding.

This is the arithmetic that all convolutions share: `minigan.nn.conv_checks` checks shapes with it, `minigan.nn.layers`
finds the padding of a layer with it. "same" and "valid" mean what they mean in TensorFlow. Legend: `minigan.nn.conv`.

References
----------
V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285.
"""

from __future__ import annotations

from typing import TypeAlias

Pad: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""((top, bottom), (left, right)): how many zeros are added on each side. A negative bottom or right removes rows or
columns instead."""

Size: TypeAlias = tuple[int, int]
"""(height, width)."""

IMAGE_SIZES = (32, 64, 128)  # here and not in gan, because data needs it and may not import gan
"""Sides of the images that minigan's networks are made for. Halved three, four or five times, they end at 4."""


def output_size(size: Size, kernel_size: Size, stride: int, pad: Pad) -> Size:
    """Size of a convolution's output: the number of places the kernel fits.

    >>> output_size((64, 64), (4, 4), 2, ((1, 1), (1, 1)))
    (32, 32)
    """
    (H, W), (Kh, Kw) = size, kernel_size
    return (H + sum(pad[0]) - Kh) // stride + 1, (W + sum(pad[1]) - Kw) // stride + 1


def same_padding(size: Size, kernel_size: Size, stride: int) -> Pad:
    """TensorFlow's SAME padding: an output of ceil(H / S). If the number of zeros is odd, the extra one comes last.

    >>> same_padding((64, 64), (4, 4), 2)
    ((1, 1), (1, 1))
    >>> same_padding((7, 7), (4, 4), 2)
    ((1, 2), (1, 2))
    """
    (top, bottom), (left, right) = (_same(H, K, stride) for H, K in zip(size, kernel_size, strict=True))
    return (top, bottom), (left, right)


def _same(H: int, K: int, S: int) -> tuple[int, int]:
    total = max((-(-H // S) - 1) * S + K - H, 0)
    return total // 2, total - total // 2


def transpose_size(size: Size, kernel_size: Size, stride: int, padding: str) -> tuple[Size, Pad]:
    """Size of a transposed convolution's output, and the padding of the convolution it is the adjoint of.

    Parameters
    ----------
    size : (h, w)
        Size of the transposed convolution's *input*.
    kernel_size : (Kh, Kw)
    stride : int
    padding : "same" or "valid"
        "same" gives S*h; "valid" gives h*S + max(K - S, 0).

    Returns
    -------
    (H, W)
    ((top, bottom), (left, right))

    Examples
    --------
    >>> transpose_size((1, 1), (4, 4), 1, "valid")
    ((4, 4), ((0, 0), (0, 0)))
    >>> transpose_size((4, 4), (4, 4), 2, "same")
    ((8, 8), ((1, 1), (1, 1)))
    """
    if padding == "same":
        H, W = (stride * h for h in size)
        (top, _), (left, _) = same_padding((H, W), kernel_size, stride)
    else:
        H, W = (h * stride + max(K - stride, 0) for h, K in zip(size, kernel_size, strict=True))
        top = left = 0
    # h kernels, S rows apart, cover S*(h-1) + K rows. Rows beyond H are cropped; if they are fewer, bottom is below 0.
    bottom = stride * (size[0] - 1) + kernel_size[0] - H - top
    right = stride * (size[1] - 1) + kernel_size[1] - W - left
    return (H, W), ((top, bottom), (left, right))
