"""How colourful an image is: a single number, which tells pencil drawings and grey scans from coloured images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

GREY_SPREAD = 5.0
"""Below this `colour_spread`, of 255, a picture counts as grey. Real faces in pale colours begin at 6; pencil drawings
and grey scans that went through a JPEG stay below 3."""


def colour_spread(pixels: npt.NDArray[np.uint8]) -> float:
    """How much the colours of a picture differ from one grey, or from one tint of it.

    Parameters
    ----------
    pixels : numpy.ndarray
        (H, W, 3) uint8.

    Returns
    -------
    float
        The spread part of Hasler and Süsstrunk's colourfulness: standard deviations of R - G and (R + G) / 2 - B,
        taken together. 0 for a grey picture and for an evenly tinted white one.

    References
    ----------
    D. Hasler and S. Süsstrunk, "Measuring colourfulness in natural images", 2003.

    Examples
    --------
    >>> colour_spread(np.full((2, 2, 3), 90, np.uint8))
    0.0
    """
    red, green, blue = np.moveaxis(pixels.astype(np.float32), 2, 0)
    return float(np.hypot(np.std(red - green), np.std((red + green) / 2 - blue)))
