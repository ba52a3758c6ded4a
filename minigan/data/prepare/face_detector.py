"""Where the faces in a picture are, and the square around the biggest.

A detector is anything that maps a picture to squares around faces. The one that comes with the program runs a cascade
of simple tests by OpenCV's `CascadeClassifier`; the tests that know an anime face are in a file by nagadomi,
lbpcascade_animeface.xml (MIT licence), which the user brings (see docs/prepare.md). The cascade looks for faces of 24
pixels in ever smaller copies of the picture. It misses faces that the picture's edge touches, as it does those of
tight crops; so the picture first gets a margin in the colours of its edge, which raises its yield on such crops from 30
to 99 of 100.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from minigan.data.cache import printable
from minigan.data.images.decode import system_reason
from minigan.system.errors import UserError

SEARCHED_SIDE = 640
"""Larger pictures are reduced to this longer side before the search, so it takes 50 ms at most."""

SMALLEST = 24
"""Smallest face that is found, in pixels of the reduced picture: the size the cascade was trained at."""

RAISE = 0.1
"""How far the square around a face lies above the cascade's, in sides of that: it ends below the chin and cuts hair."""

_SCALE_STEP = 1.1
_NEIGHBOURS = 5  # overlapping finds that make a face; both as in the cascade's own example
_MARGIN = 0.2  # of the shorter side
_MAX_FILE = 16_000_000


@dataclass(frozen=True)
class Square:
    """A square in a picture, in its pixels; may reach beyond the picture."""

    left: float
    top: float
    side: float


class Detector(Protocol):
    """Finds faces. Called in worker processes, so it must be picklable."""

    def __call__(self, picture: Image.Image) -> Sequence[Square]:
        """Squares around the faces in an RGB picture, in any order."""
        ...


@dataclass(frozen=True)
class Cascade:
    """A detector that runs a cascade file by OpenCV.

    Attributes
    ----------
    text : str
        What is in the file. Passed as text because OpenCV cannot open every path on Windows.
    """

    text: str

    @classmethod
    def load(cls, path: Path) -> Cascade:
        """Read a cascade file and try it.

        Parameters
        ----------
        path : Path

        Raises
        ------
        UserError
            If there is no OpenCV that can run cascades, or the file is none.
        """
        _opencv()
        try:
            if path.stat().st_size > _MAX_FILE:
                raise UserError(f"--cascade: {printable(path)} is too large for a cascade, limit is 16 MB")
            cascade = cls(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"--cascade: {printable(path)} cannot be opened ({system_reason(error)})") from None
        except UnicodeDecodeError:
            raise UserError(f"--cascade: {printable(path)} is no text, so no cascade") from None
        try:
            cascade(Image.new("RGB", (2 * SMALLEST, 2 * SMALLEST)))
        except Exception:  # OpenCV raises cv2.error, SystemError and others
            raise UserError(f"--cascade: {printable(path)} is no cascade that OpenCV can read") from None
        return cascade

    def __call__(self, picture: Image.Image) -> list[Square]:
        """Squares around the faces in an RGB picture."""
        cv2 = _opencv()
        scale = min(1.0, SEARCHED_SIDE / max(picture.size))
        grey = picture.convert("L")
        if scale < 1:
            width, height = (max(1, round(n * scale)) for n in picture.size)
            grey = grey.resize((width, height), Image.Resampling.BOX)
        margin = int(_MARGIN * min(grey.size))
        # Equalised without the margin: its colours say nothing about the contrast of the picture.
        searched = np.pad(cv2.equalizeHist(np.asarray(grey)), margin, mode="edge")
        found = _classifier(self.text).detectMultiScale(
            searched, scaleFactor=_SCALE_STEP, minNeighbors=_NEIGHBOURS, minSize=(SMALLEST, SMALLEST)
        )
        faces = [Square(*(float(n) / scale for n in (x - margin, y - margin, w))) for x, y, w, _ in found]
        return [face for face in faces if _is_in(face, *picture.size)]


def _is_in(face: Square, width: int, height: int) -> bool:
    """Whether the middle of a face is in the picture, and not in the margin around it."""
    return 0 <= face.left + face.side / 2 <= width and 0 <= face.top + face.side / 2 <= height


def biggest(faces: Sequence[Square]) -> Square | None:
    """The face with the longest side; of equal ones the topmost, then the leftmost; None if there is none.

    >>> biggest([Square(5, 5, 30), Square(90, 10, 40), Square(0, 0, 35)])
    Square(left=90, top=10, side=40)
    """
    return max(faces, key=lambda face: (face.side, -face.top, -face.left), default=None)


def square_around(face: Square, width: int, height: int, margin: float, *, within: bool) -> Square:
    """The square to cut out around a face.

    Parameters
    ----------
    face : Square
        As a detector found it.
    width, height : int
        Of the picture.
    margin : float
        Side of the square, in sides of the face.
    within : bool
        Whether it has to lie within the picture. Then it is no larger than the picture's shorter side, and is moved
        inwards where it would reach beyond an edge.

    Returns
    -------
    Square
        Of whole pixels.
    """
    side = margin * face.side
    if within:
        side = min(side, width, height)
    whole = max(1, round(side))
    left = round(face.left + (face.side - whole) / 2)
    top = round(face.top + (face.side - whole) / 2 - RAISE * face.side)
    beyond = 0 if within else whole - 1  # a pixel of the picture is always in it
    left = min(max(left, -beyond), width - whole + beyond)
    top = min(max(top, -beyond), height - whole + beyond)
    return Square(left, top, whole)


def _opencv() -> Any:
    """OpenCV, if it is there and has cascades."""
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        raise UserError(
            f"--cascade: faces are found by OpenCV, which cannot be imported ({error}): install it by "
            'python -m pip install -e ".[prepare]"'
        ) from None
    if not hasattr(cv2, "CascadeClassifier"):
        raise UserError(
            f"--cascade: OpenCV {cv2.__version__} no longer has cascades: install an older one by "
            'python -m pip install "opencv-python-headless<5"'
        )
    return cv2


@functools.lru_cache(maxsize=1)
def _classifier(text: str) -> Any:
    """The cascade, ready to run: once in each process."""
    cv2 = _opencv()
    cv2.setNumThreads(1)  # the processes are parallel already
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what is wrong with the file we say ourselves
    storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    classifier = cv2.CascadeClassifier()
    if not classifier.read(storage.getFirstTopLevelNode()):
        raise ValueError("no cascade")
    return classifier
