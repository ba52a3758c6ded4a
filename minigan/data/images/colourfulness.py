"""How colourful an image is: a single number, which tells pencil drawings and grey scans from coloured images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

GREY_SPREAD = 5.0
"""An image whose `colour_spread` is below this, of 255, counts as grey. Real faces in pale colours have 6 or more;
pencil drawings, and grey scans saved as JPEG, have less than 3."""


def colour_spread(pixels: npt.NDArray[np.uint8]) -> float:
    """How much the colours of an image differ from grey, or from a grey with one tint.

    Parameters
    ----------
    pixels : numpy.ndarray
        (H, W, 3) uint8.

    Returns
    -------
    float
        The spread part of Hasler and Süsstrunk's colourfulness: standard deviations of R - G and (R + G) / 2 - B,
        taken together. 0 for a grey image, and for one that has the same tint everywhere.

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
