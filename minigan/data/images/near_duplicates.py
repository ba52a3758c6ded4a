"""Which images are nearly equal: two files may show the same drawing, saved twice, scaled, or shifted by a pixel.

A perceptual hash finds these pairs. It has 64 bits, which say which of the image's lowest frequencies are above their
median (pHash, from the imagehash package); the hashes of one drawing differ in few bits. But the hash ignores colour,
and faces that are cropped alike have similar low frequencies. So a pair counts as nearly equal only if the colours
agree as well, averaged over 8 by 8 fields. Both `minigan.data.prepare.pipeline`, which drops near-duplicates, and
`minigan.data.folder_survey`, which counts them, ask here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from minigan.data.optional_packages import import_without_threads
from minigan.system.errors import UserError
from minigan.system.scarcity import what_is_scarce

MAX_BITS = 10
"""Bits of 64 in which two hashes of one drawing may differ."""

MAX_COLOUR_DIFFERENCE = 10.0
"""Mean difference of the fields' colours, of 255, that two images of one drawing may have. Among 16,000 real faces,
47,000 pairs are within `MAX_BITS`, most of them of different drawings. The 1,000 pairs that are within this limit as
well show one drawing, or two variants of it (an open mouth, closed eyes). Different drawings differ by 20 or so."""

FIELDS = 8


@dataclass(frozen=True)
class Likeness:
    """What two images are compared by.

    Attributes
    ----------
    bits : int
        Perceptual hash, 64 bits.
    fields : bytes
        Mean colours of 8 by 8 fields, 192 bytes.
    """

    bits: int
    fields: bytes


def require_imagehash() -> Any:
    """Import the package that computes perceptual hashes.

    Raises
    ------
    UserError
        If it is not installed; the message says how to install it, or how to do without it.
    """
    try:
        return import_without_threads("imagehash", "scipy.fftpack")  # which it would import at the first image
    except ImportError as error:
        if what_is_scarce(error):  # it is installed
            raise
        raise UserError(
            f"near-duplicates are found with the imagehash package, which cannot be imported ({error}): install it by "
            'python -m pip install -e ".[prepare]", or keep them by --keep-duplicates'
        ) from None


def likeness(pixels: npt.NDArray[np.uint8]) -> Likeness:
    """What an image is compared by.

    Parameters
    ----------
    pixels : numpy.ndarray
        (S, S, 3) uint8; S a multiple of 8.
    """
    found = require_imagehash().phash(Image.fromarray(pixels)).hash
    bits = int.from_bytes(np.packbits(found).tobytes(), "big")
    side = len(pixels) // FIELDS
    fields = pixels.reshape(FIELDS, side, FIELDS, side, 3).mean(axis=(1, 3))  # (8, 8, 3)
    return Likeness(bits, np.rint(fields).astype(np.uint8).tobytes())


class Seen:
    """The images so far, among which near-duplicates of a new image are found.

    A search looks at all of them; for 30,000 that takes a tenth of a millisecond. Each image takes 200 bytes.
    """

    def __init__(self) -> None:
        self._count = 0
        self._bits = np.zeros(1024, np.uint64)
        self._fields = np.zeros((1024, 3 * FIELDS**2), np.uint8)

    def add(self, new: Likeness) -> None:
        """Remember an image; images are numbered from 0."""
        if self._count == len(self._bits):
            self._bits = np.concatenate([self._bits, np.zeros_like(self._bits)])
            self._fields = np.concatenate([self._fields, np.zeros_like(self._fields)])
        self._bits[self._count] = new.bits
        self._fields[self._count] = np.frombuffer(new.fields, np.uint8)
        self._count += 1

    def find(self, new: Likeness) -> int | None:
        """Number of an image that shows the same drawing, the most similar one if there are several, or None."""
        differing = np.bitwise_count(self._bits[: self._count] ^ np.uint64(new.bits))
        near = np.flatnonzero(differing <= MAX_BITS)
        fields = np.frombuffer(new.fields, np.uint8).astype(np.float32)
        difference = np.abs(self._fields[near] - fields).mean(axis=1)
        same = difference <= MAX_COLOUR_DIFFERENCE
        if not same.any():
            return None
        near, difference = near[same], difference[same]
        return int(near[np.lexsort((difference, differing[near]))[0]])
