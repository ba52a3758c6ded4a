"""Finds the faces in an image, and the square to cut out around the biggest.

A detector is any function from an image to squares around faces. The detector here, `Cascade`, runs a cascade of simple
tests with OpenCV's `CascadeClassifier`. The tests that recognise anime faces are in a file by nagadomi,
lbpcascade_animeface.xml (MIT licence), which users download themselves (see docs/prepare.md). The cascade looks for
faces of 24 pixels in smaller and smaller copies of the image. It does not find faces that touch the edge of the image,
as in tight crops. So the image first gets a margin in the colours of its edge: then 99 of 100 such faces are found, and
without it 30 of 100.
"""

from __future__ import annotations

import functools
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from minigan.data.images.decode import system_reason
from minigan.data.optional_packages import import_without_threads
from minigan.data.printable_text import printable
from minigan.system.errors import UserError
from minigan.system.file_kinds import ADVICE, kind_of
from minigan.system.scarcity import what_is_scarce

SEARCHED_SIDE = 640
"""Larger images are reduced to this longer side before the search, so that it takes 50 ms at most."""

SMALLEST = 24
"""Side of the smallest face that is found, in pixels of the reduced image: the cascade was trained at this size."""

RAISE = 0.1
"""The square around a face is moved up by this, in sides of the cascade's square, which cuts off hair."""

_SCALE_STEP = 1.1
_NEIGHBOURS = 5  # overlapping detections that make a face; both as in the cascade's own example
_MARGIN = 0.2  # in shorter sides of the image
_MAX_FILE = 16_000_000


@dataclass(frozen=True)
class Square:
    """A square in an image, in pixels; it may reach beyond the image."""

    left: float
    top: float
    side: float


class Detector(Protocol):
    """A function that finds faces. Worker processes call it, so it must be picklable."""

    def __call__(self, image: Image.Image) -> Sequence[Square]:
        """Squares around the faces in an RGB image, in any order."""
        ...


@dataclass(frozen=True)
class Cascade:
    """A detector that runs a cascade file with OpenCV.

    Attributes
    ----------
    text : str
        The contents of the file: OpenCV cannot open every path on Windows.
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
            If there is no OpenCV that can run cascades, or the file is not a cascade.
        """
        _opencv()
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):  # a pipe might be waited for, for ever
                raise UserError(f"--cascade: must be a file, and {printable(path)} is none")
            if status.st_size > _MAX_FILE:
                raise UserError(f"--cascade: {printable(path)} is too large for a cascade, limit is 16 MB")
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"--cascade: {printable(path)} cannot be opened ({system_reason(error)})") from None
        if kind := kind_of(content):
            advice = ADVICE.get(kind, "Get the file as docs/prepare.md says.")
            raise UserError(f"--cascade: {printable(path)} is no cascade: it is {kind}. {advice}")
        try:
            cascade = cls(content.decode("utf-8-sig"))
            cascade(Image.new("RGB", (2 * SMALLEST, 2 * SMALLEST)))
        except UnicodeDecodeError:
            raise UserError(f"--cascade: {printable(path)} is not a text file, so not a cascade") from None
        except Exception:  # OpenCV raises cv2.error, SystemError and others
            whole = content.rstrip().endswith(b"</opencv_storage>") or b"<opencv_storage>" not in content
            why = "is not a cascade that OpenCV can read" if whole else "ends too early: download or copy it again"
            raise UserError(f"--cascade: {printable(path)} {why}") from None
        return cascade

    def __call__(self, image: Image.Image) -> list[Square]:
        """Squares around the faces in an RGB image."""
        cv2 = _opencv()
        scale = min(1.0, SEARCHED_SIDE / max(image.size))
        grey = image.convert("L")
        if scale < 1:
            width, height = (max(1, round(n * scale)) for n in image.size)
            grey = grey.resize((width, height), Image.Resampling.BOX)
        margin = int(_MARGIN * min(grey.size))
        # Equalised without the margin: its colours have nothing to do with the contrast of the image.
        searched = np.pad(cv2.equalizeHist(np.asarray(grey)), margin, mode="edge")
        found = _classifier(self.text).detectMultiScale(
            searched, scaleFactor=_SCALE_STEP, minNeighbors=_NEIGHBOURS, minSize=(SMALLEST, SMALLEST)
        )
        faces = [Square(*(float(n) / scale for n in (x - margin, y - margin, w))) for x, y, w, _ in found]
        return [face for face in faces if _is_in(face, *image.size)]


def _is_in(face: Square, width: int, height: int) -> bool:
    """Whether the middle of a face is in the image, and not in the margin around it."""
    return 0 <= face.left + face.side / 2 <= width and 0 <= face.top + face.side / 2 <= height


def biggest(faces: Sequence[Square]) -> Square | None:
    """The face with the longest side; of equally large faces the topmost, then the leftmost; None if there is none.

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
        Of the image.
    margin : float
        Side of the square, in sides of the face.
    within : bool
        Whether it must lie within the image. Then it is at most as large as the image's shorter side, and it is moved
        inwards if it would reach beyond an edge.

    Returns
    -------
    Square
        Its numbers are whole pixels.
    """
    side = margin * face.side
    if within:
        side = min(side, width, height)
    whole = max(1, round(side))
    left = round(face.left + (face.side - whole) / 2)
    top = round(face.top + (face.side - whole) / 2 - RAISE * face.side)
    beyond = 0 if within else whole - 1  # at least one pixel of the image is in it
    left = min(max(left, -beyond), width - whole + beyond)
    top = min(max(top, -beyond), height - whole + beyond)
    return Square(left, top, whole)


def _opencv() -> Any:
    """OpenCV, if it is installed and has cascades."""
    try:
        cv2 = import_without_threads("cv2")
    except ImportError as error:
        if what_is_scarce(error):  # it is installed
            raise
        raise UserError(
            f"--cascade: faces are found with OpenCV, which cannot be imported ({error}): install it by "
            'python -m pip install -e ".[prepare]"'
        ) from None
    if not hasattr(cv2, "CascadeClassifier"):
        raise UserError(
            f"--cascade: OpenCV {cv2.__version__} no longer has cascades: install an older version by "
            'python -m pip install "opencv-python-headless<5"'
        )
    return cv2


@functools.lru_cache(maxsize=1)
def _classifier(text: str) -> Any:
    """The cascade, ready to run; it is built once in each process."""
    cv2 = _opencv()
    cv2.setNumThreads(1)  # several processes run already
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # `Cascade.load` says what is wrong with a file
    storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    classifier = cv2.CascadeClassifier()
    if not classifier.read(storage.getFirstTopLevelNode()):
        raise ValueError("no cascade")
    return classifier
