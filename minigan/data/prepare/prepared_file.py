"""Prepares one file of a source: a square image to train on, or the reason why there is none.

A detector searches the image for faces. It is cut to a square around the biggest face, or to its central square if
there is no detector; then it is resized, and dropped if it is too small or has no colours. The result depends only on
the file and the settings, and not on the process that prepares it. `minigan.data.prepare.pipeline` prepares all files
of a source in this way.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from minigan.data.images.archive import SUFFIXES
from minigan.data.images.colourfulness import GREY_SPREAD, colour_spread
from minigan.data.images.decode import Failure, on_white, read_image, resized, upright
from minigan.data.images.near_duplicates import Likeness, likeness
from minigan.data.prepare.face_detector import Detector, Square, biggest, square_around
from minigan.data.printable_text import printable
from minigan.system.errors import RunError

SIZES = (32, 64, 128)
"""Possible sides of a prepared image: the networks are built for these."""


@dataclass(frozen=True)
class Settings:
    """How images are prepared.

    Attributes
    ----------
    size : int
        Side length S of the prepared images.
    margin : float
        Side of the square around a face, in sides of the face as the detector draws it.
    crop_faceless : bool
        Whether an image in which no face is found is cut to its central square; otherwise it is dropped.
    pad : bool
        Whether the part of a square beyond the edge of the image is filled with the colours of that edge; otherwise the
        square is moved and made smaller.
    min_side : int
        Squares with fewer pixels to a side are dropped: enlarged, they would be blurred.
    colour_only : bool
        Whether images without colours are dropped.
    keep_duplicates : bool
        Whether images that are nearly equal to an earlier one are kept.
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
    """The square of an image, and where it is.

    Attributes
    ----------
    width, height : int
        Of the upright image.
    square : Square
        What is cut out, in pixels of the image.
    face : float
        Side of the face in it, 0 if none was found or searched for.
    """

    width: int
    height: int
    square: Square
    face: float

    @property
    def shape(self) -> tuple[int, int, float]:
        """Width and height of the image, and the square's side."""
        return self.width, self.height, self.square.side


@dataclass(frozen=True, eq=False)
class PreparedFile:
    """The result of preparing one file.

    Attributes
    ----------
    kind : str
        Empty if the image is good, otherwise a key of `minigan.data.prepare.tally.KINDS`.
    reason : str
        Why the file is dropped, in plain words.
    pixels : numpy.ndarray or None
        (S, S, 3) uint8; None if there is no image.
    cut : Cut or None
    png : bytes
        `pixels` as a PNG file, if the image is good.
    likeness : Likeness or None
        For finding duplicates, if the image is good and duplicates are to be dropped.
    """

    kind: str
    reason: str = ""
    pixels: npt.NDArray[np.uint8] | None = None
    cut: Cut | None = None
    png: bytes = b""
    likeness: Likeness | None = None


def prepare_file(path: Path, name: str, settings: Settings, detector: Detector | None) -> PreparedFile:
    """Prepare one file.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Its name in the source.
    settings : Settings
    detector : Detector or None

    Returns
    -------
    PreparedFile
    """
    outcome = read_image(path, name, lambda image: _cut(image, settings, detector))
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
    """Cut the square out of an opened image and resize it."""
    size = settings.size
    full = max(image.size)
    # A face may be a small part of its image, so for a detector a large JPEG is decoded at a larger size.
    with upright(image, 4 * size if detector is None else 32 * size) as pixels:
        rgb = on_white(pixels)
        face = None if detector is None else biggest(_detected(detector, rgb))
        if face is not None:
            square = square_around(face, *rgb.size, settings.margin, within=not settings.pad)
        else:
            square = _central(*rgb.size, settings.pad)
        scale = full / max(rgb.size)
        cut = Cut(
            round(rgb.width * scale),
            round(rgb.height * scale),
            Square(square.left * scale, square.top * scale, square.side * scale),
            0.0 if face is None else face.side * scale,
        )
        return _square(rgb, square, size), cut


def _detected(detector: Detector, rgb: Image.Image) -> Sequence[Square]:
    """What a detector finds. Its own mistake is not the image's, so it must not be told as one."""
    try:
        return detector(rgb)
    except Exception as error:
        raise RunError(f"the face detector fails: {type(error).__name__}: {printable(error)[:200]}") from error


def _central(width: int, height: int, pad: bool) -> Square:
    side = max(width, height) if pad else min(width, height)
    return Square((width - side) // 2, (height - side) // 2, side)


def _square(image: Image.Image, square: Square, size: int) -> npt.NDArray[np.uint8]:
    """A square of an image, resized; the part of it beyond the image gets the colours of the edge."""
    left, top, side = int(square.left), int(square.top), int(square.side)
    box = (max(left, 0), max(top, 0), min(left + side, image.width), min(top + side, image.height))
    part = image if box == (0, 0, *image.size) else image.crop(box)
    if part.size == (side, side):
        return np.asarray(resized(part, size))
    # The part beyond the edge is added when the size is small: the square of a long strip would be enormous.
    x0, y0, x1, y1 = (round(n * size / side) for n in (box[0] - left, box[1] - top, box[2] - left, box[3] - top))
    x0, y0 = min(x0, size - 1), min(y0, size - 1)
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    part = part.resize((x1 - x0, y1 - y0), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.pad(np.asarray(part), ((y0, size - y1), (x0, size - x1), (0, 0)), mode="edge")


def _encoded(pixels: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
