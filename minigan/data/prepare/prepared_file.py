"""One file of a source, made ready to train on, or the reason why not.

The picture is searched for faces by a detector, cut to a square around the biggest (or to the central square where
nobody looks for faces), resized, and judged by its size and its colours. What comes out depends on the file and the
settings alone, so it does not matter which process does it, or when.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from minigan.data.images.archive import SUFFIXES
from minigan.data.images.colourfulness import GREY_SPREAD, colour_spread
from minigan.data.images.decode import Failure, has_image_suffix, on_white, read_image, resized, upright
from minigan.data.images.near_duplicates import Likeness, likeness
from minigan.data.prepare.face_detector import Detector, Square, biggest, square_around

SIZES = (32, 64, 128)
"""Sides of a prepared picture: those that the networks come in."""


@dataclass(frozen=True)
class Settings:
    """How pictures are prepared.

    Attributes
    ----------
    size : int
        Side length S of the prepared pictures.
    margin : float
        Side of the square around a face, in sides of the face as the detector draws it.
    crop_faceless : bool
        Take the central square where no face is found, instead of dropping the picture.
    pad : bool
        Fill up with the colours of the edge what a square lacks at an edge of the picture, instead of moving and
        shrinking the square.
    min_side : int
        Squares of fewer pixels are dropped: enlarged, they would be blurred.
    colour_only : bool
        Drop pictures without colours.
    keep_duplicates : bool
        Keep pictures that are nearly equal to an earlier one.
    """

    size: int = 64
    margin: float = 1.5
    crop_faceless: bool = False
    pad: bool = False
    min_side: int = 32
    colour_only: bool = False
    keep_duplicates: bool = False


@dataclass(frozen=True)
class Cut:
    """Where in a picture its square lies.

    Attributes
    ----------
    width, height : int
        Of the upright picture.
    square : Square
        Cut out of it, in its pixels.
    face : float
        Side of the face in it, 0 if there is none or nobody looked for one.
    """

    width: int
    height: int
    square: Square
    face: float

    @property
    def shape(self) -> tuple[int, int, float]:
        """Width, height, and the square's side."""
        return self.width, self.height, self.square.side


@dataclass(frozen=True, eq=False)
class PreparedFile:
    """What examining one file gave.

    Attributes
    ----------
    kind : str
        Empty if the picture is good, otherwise a key of `minigan.data.prepare.tally.KINDS`.
    reason : str
        Why it is dropped, in plain words.
    pixels : numpy.ndarray or None
        (S, S, 3) uint8; None if there is no picture.
    cut : Cut or None
    png : bytes
        `pixels` as a PNG file, if the picture is good.
    likeness : Likeness or None
        If the picture is good and duplicates are looked for.
    """

    kind: str
    reason: str = ""
    pixels: npt.NDArray[np.uint8] | None = None
    cut: Cut | None = None
    png: bytes = b""
    likeness: Likeness | None = None


def prepare_file(path: Path, name: str, settings: Settings, detector: Detector | None) -> PreparedFile:
    """Make a file's picture ready, or say why not.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        What it is called in the source.
    settings : Settings
    detector : Detector or None

    Returns
    -------
    PreparedFile
    """
    outcome = read_image(path, has_image_suffix(name), lambda image: _cut(image, settings, detector))
    if isinstance(outcome, Failure):
        if outcome.is_candidate:
            return PreparedFile("unreadable", outcome.reason)
        is_archive = Path(name).suffix.lower() in SUFFIXES
        return PreparedFile("no picture", "an archive in the folder, not opened" if is_archive else outcome.reason)
    pixels, cut = outcome
    if detector is not None and not cut.face and not settings.crop_faceless:
        return PreparedFile("no face", "no face found", pixels, cut)
    if cut.square.side < settings.min_side:
        return PreparedFile("too small", f"a square of fewer than {settings.min_side} pixels", pixels, cut)
    if settings.colour_only and colour_spread(pixels) < GREY_SPREAD:
        return PreparedFile("grey", "near-grey", pixels, cut)
    return PreparedFile("", "", pixels, cut, _encoded(pixels), None if settings.keep_duplicates else likeness(pixels))


def _cut(image: Image.Image, settings: Settings, detector: Detector | None) -> tuple[npt.NDArray[np.uint8], Cut]:
    """The square of an opened image, at the wanted size."""
    size = settings.size
    full = max(image.size)
    # A face that is only just found may be small in its picture; that of a large JPEG is decoded large enough for it.
    with upright(image, 4 * size if detector is None else 32 * size) as pixels:
        picture = on_white(pixels)
        face = None if detector is None else biggest(detector(picture))
        if face is not None:
            square = square_around(face, *picture.size, settings.margin, within=not settings.pad)
        else:
            square = _central(*picture.size, settings.pad)
        scale = full / max(picture.size)
        cut = Cut(
            round(picture.width * scale),
            round(picture.height * scale),
            Square(square.left * scale, square.top * scale, square.side * scale),
            0.0 if face is None else face.side * scale,
        )
        return _square(picture, square, size), cut


def _central(width: int, height: int, pad: bool) -> Square:
    side = max(width, height) if pad else min(width, height)
    return Square((width - side) // 2, (height - side) // 2, side)


def _square(picture: Image.Image, square: Square, size: int) -> npt.NDArray[np.uint8]:
    """A square of a picture, resized; the part of it that lies beyond the picture has the colours of the edge."""
    left, top, side = int(square.left), int(square.top), int(square.side)
    box = (max(left, 0), max(top, 0), min(left + side, picture.width), min(top + side, picture.height))
    part = picture if box == (0, 0, *picture.size) else picture.crop(box)
    if part.size == (side, side):
        return np.asarray(resized(part, size))
    # Beyond the edge nothing is computed before the size is small: the square of a long strip would be enormous.
    x0, y0, x1, y1 = (round(n * size / side) for n in (box[0] - left, box[1] - top, box[2] - left, box[3] - top))
    x0, y0 = min(x0, size - 1), min(y0, size - 1)
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    part = part.resize((x1 - x0, y1 - y0), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.pad(np.asarray(part), ((y0, size - y1), (x0, size - x1), (0, 0)), mode="edge")


def _encoded(pixels: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
