"""One file of unknown content, decoded to upright RGB pixels, or the reason why that is not possible.

Users' folders contain truncated downloads, text files called ``.png``, sixteen-bit scans, and images that claim to be
fifty thousand pixels wide. Pillow decodes everything that can be decoded. This module limits its time and memory,
converts every mode to eight bits of RGB, turns the image upright, puts white behind what is transparent, and describes
errors in words that are equal for equal causes. Training reads a folder through `decode`
(`minigan.data.images.image_folder`), and preparing a data set finds faces in the result of `upright`
(`minigan.data.prepare.prepared_file`), so both see the same pixels. (Transparent ones may differ by a few levels:
training resizes them before it puts white behind them.)
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from minigan.data.images.other_formats import is_for_another_program, load_plugins, other_format, other_suffixes
from minigan.data.images.without_metadata import without_metadata
from minigan.data.printable_text import printable
from minigan.system.errors import RunError
from minigan.system.file_kinds import ENOUGH, kind_of

MAX_PIXELS = 64_000_000
"""Larger images are not decoded: one of this size can take a gigabyte until it is a small square."""

MAX_BYTES = 512_000_000
"""Larger files are not opened: some of Pillow's decoders read the whole file before they look at it."""

_BIG_PIXELS = 16_000_000
_one_big_image: contextlib.AbstractContextManager[object] = threading.Lock()  # larger images are decoded one at a time

_NOT_PIXELS = {"BUFR", "EPS", "FITS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"}
"""Formats that Pillow cannot decode by itself (for EPS it would start another program); and FITS, which is no format of
drawings, and which Pillow before 12.2 unpacks without a limit (CVE-2026-40192)."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""For each EXIF orientation, the operation that turns the image upright."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """Why a file gave no image.

    Attributes
    ----------
    reason : str
        In plain words, equal for equal causes.
    is_candidate : bool
        Whether the file ought to be a readable image, by its name or its content.
    may_pass : bool
        Whether the reason may lie in the moment and not in the file: too little memory, a drive that fails.
    """

    reason: str
    is_candidate: bool
    may_pass: bool = False


class _Refused(Exception):  # noqa: N818 -- not an error of the program
    """An image that is not decoded because of a limit set here."""


def read_image(path: Path, name: str, use: Callable[[Image.Image], Result]) -> Result | Failure:
    """Open a file as an image and pass it to a function; an error on the way is a `Failure`, not an exception.

    If Pillow cannot read it, it is tried once more without its metadata (`minigan.data.images.without_metadata`).

    Parameters
    ----------
    path : Path
        A regular file.
    name : str
        The name that people know it by; it may promise an image.
    use : callable
        Gets the image as `PIL.Image.open` returns it: only its header has been read. May be called twice.

    Returns
    -------
    object or Failure
        The result of `use`, or why there is none.

    Raises
    ------
    RunError
        If `use` raises it: the mistake is not the file's.
    """
    is_candidate = has_image_suffix(name)
    head = b""

    def through_pillow(file: IO[bytes]) -> Result:
        nonlocal is_candidate
        file.seek(0)
        with Image.open(file, formats=image_formats()) as image:
            is_candidate = True
            return use(image)

    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                return Failure("empty file (0 bytes)", is_candidate)
            if size > MAX_BYTES:
                raise _Refused(f"too large: {size // 1_000_000} MB, limit is {MAX_BYTES // 1_000_000} MB")
            try:
                return through_pillow(file)
            except (_Refused, Image.DecompressionBombError, MemoryError, RunError):
                raise
            except Exception as first:  # Pillow on a damaged file: OSError, SyntaxError, struct.error, anything
                file.seek(0)
                head = file.read(ENOUGH)
                rest = without_metadata(file)
                if rest is None:
                    raise
                try:
                    return through_pillow(rest)
                except (_Refused, Image.DecompressionBombError, RunError):
                    raise
                except Exception:
                    raise first from None
    except RunError:
        raise
    except Exception as error:
        is_candidate = is_candidate or isinstance(error, Image.DecompressionBombError)
        if isinstance(error, OSError) and error.errno is not None:
            forbidden = error.errno in (errno.EACCES, errno.EPERM) and os.name != "nt"  # its mode would have to change
            return Failure(_reason(error), is_candidate, may_pass=not forbidden)
        if isinstance(error, MemoryError):
            return Failure(_reason(error), is_candidate, may_pass=True)
        is_unknown = isinstance(error, UnidentifiedImageError)
        told = other_format(head, name)
        if told and (is_unknown or is_for_another_program(told)):
            return Failure(told, True)
        if not is_candidate:
            return Failure("not an image", False)
        kind = kind_of(head) if is_unknown else ""
        if kind and not kind.startswith("an image"):
            return Failure(f"named like an image, but it is {kind}", True)
        return Failure(_reason(error), True)


def decode(image: Image.Image, image_size: int) -> npt.NDArray[np.uint8]:
    """Pixels of an opened image as a square of the wanted size.

    An RGB image that already has this size stays unchanged. A larger one is reduced in up to three stages, each cheaper
    per pixel than the next. First, a JPEG that is at least eight times too large is decoded at 1/2, 1/4 or 1/8 of its
    size, as its blocks allow. Then the image is averaged over boxes to at least twice the size, and only the rest is
    done by a Lanczos filter. Colour profiles are not applied.

    Parameters
    ----------
    image : PIL.Image.Image
        As `PIL.Image.open` returns it: only its header has been read. Any mode; of an animation the first frame.
    image_size : int
        Side length S.

    Returns
    -------
    numpy.ndarray
        (S, S, 3) uint8.
    """
    with upright(image, 4 * image_size) as pixels:
        square = resized(_central_square(pixels), image_size)
        return np.asarray(on_white(square))


@contextlib.contextmanager
def upright(image: Image.Image, at_least: int) -> Iterator[Image.Image]:
    """Give an image's pixels, turned upright. Only one very large image at a time is in use; others wait.

    Parameters
    ----------
    image : PIL.Image.Image
        As `PIL.Image.open` returns it.
    at_least : int
        A large JPEG may be decoded at a fraction of its size, but no side becomes shorter than this.

    Yields
    ------
    PIL.Image.Image
        RGB, or RGBA where something is transparent: see `on_white`.
    """
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _Refused(f"too large: {width} x {height} pixels, limit is {MAX_PIXELS // 1_000_000} million")
    image.draft(None, (at_least, at_least))
    is_big = image.width * image.height > _BIG_PIXELS
    with _one_big_image if is_big else contextlib.nullcontext():
        image.load()
        yield _upright(_in_colours(image), image)


def resized(square: Image.Image, image_size: int) -> Image.Image:
    """A square image at another size: averaged to about twice the size, then filtered with Lanczos."""
    if square.size == (image_size, image_size):
        return square
    return square.resize((image_size, image_size), Image.Resampling.LANCZOS, reducing_gap=2.0)


def on_white(image: Image.Image) -> Image.Image:
    """An RGB or RGBA image as RGB, on white where it is transparent."""
    if image.mode == "RGB":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def share_big_images(lock: contextlib.AbstractContextManager[object]) -> None:
    """Decode big images one at a time across processes: call this in each process with a lock that they share."""
    global _one_big_image
    _one_big_image = lock


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Silence Pillow's warnings about odd files. The filters are global: enter this once, around all threads."""
    before = Image.MAX_IMAGE_PIXELS
    try:
        with warnings.catch_warnings():
            silence_warnings()
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def silence_warnings() -> None:
    """The same for a whole process, such as a worker."""
    # Pillow raises an error at twice its limit; this also covers the images inside an icon file.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
    warnings.simplefilter("ignore")


def has_image_suffix(name: str) -> bool:
    """Whether a file's name promises an image, also in a format that cannot be read here."""
    return PurePosixPath(name).suffix.lower() in _image_suffixes()


@functools.cache
def image_formats() -> tuple[str, ...]:
    """The formats that Pillow is to try, the usual ones first: it goes through the list for every file."""
    Image.init()
    load_plugins()
    usual = [name for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP") if name in Image.ID]
    return (*usual, *(name for name in Image.ID if name not in _NOT_PIXELS and name not in usual))


@functools.cache
def _image_suffixes() -> frozenset[str]:
    image_formats()  # it loads what registers them
    known = Image.registered_extensions().items()
    return other_suffixes() | {suffix for suffix, name in known if name not in _NOT_PIXELS}


def _in_colours(image: Image.Image) -> Image.Image:
    """Eight bits per channel, RGB, or RGBA where something is transparent."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = _from_sixteen_bits(image)
    elif image.mode == "F":
        image = _from_floats(image)
    elif image.mode == "RGB" and _is_deep(image.info.get("transparency")):
        image.info["transparency"] = tuple(level >> 8 for level in image.info["transparency"])
    elif image.mode == "La":  # grey multiplied by its alpha; Pillow converts it only to plain grey with alpha
        image = image.convert("LA")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _is_deep(transparent: object) -> bool:
    """Whether a transparent colour has 16 bits a channel, of which Pillow keeps the upper 8 in the pixels only."""
    return isinstance(transparent, tuple) and any(level > 255 for level in transparent)


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    """Grey levels of 0 to 65,535 as 0 to 255; Pillow's own conversion makes everything above 255 white."""
    values = np.asarray(image)
    transparent = image.info.get("transparency")
    grey = (np.clip(values, 0, 65535).astype(np.uint32) + 128) // 257
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey.astype(np.uint8))


def _from_floats(image: Image.Image) -> Image.Image:
    """Grey levels of 0 to 1, or of 0 to 255 if any exceeds 1, as 0 to 255; NaN becomes 0."""
    values = np.asarray(image, dtype=np.float32)
    values = np.where(np.isnan(values), np.float32(0), values)
    scale = np.float32(255 if values.max() <= 1 else 1)
    return Image.fromarray(np.rint(np.clip(values * scale, 0, 255)).astype(np.uint8))


def _upright(pixels: Image.Image, image: Image.Image) -> Image.Image:
    """Turn `pixels` as the EXIF data of `image` say: cameras store how they were held."""
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # with damaged EXIF data the image can still be used
        return pixels
    return pixels if turn is None else pixels.transpose(turn)


def _central_square(image: Image.Image) -> Image.Image:
    width, height = image.size
    if width == height:
        return image
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _reason(error: Exception) -> str:
    """Why a file could not be read, in plain words that are equal for equal causes."""
    message = str(error)
    if isinstance(error, _Refused):
        return message
    if isinstance(error, Image.DecompressionBombError):  # Pillow's own limit; its message has width times height only
        pixels = re.search(r"\d+", message)
        size = f"{int(pixels.group()) // 1_000_000} million pixels" if pixels else "too many pixels"
        return f"too large: {size}, limit is {MAX_PIXELS // 1_000_000} million"
    if isinstance(error, UnidentifiedImageError):
        return "named like an image, but not recognised as one"
    if isinstance(error, FileNotFoundError):
        return "vanished while the folder was being read"
    if isinstance(error, MemoryError):
        return "too large for the memory"
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot be opened ({system_reason(error)})"
    if isinstance(error, EOFError) or "truncated" in message.lower():
        return "truncated"
    return f"damaged or unsupported ({printable(message or type(error).__name__)[:60]})"


def system_reason(error: Exception) -> str:
    """The operating system's message for an error, printable."""
    return printable(getattr(error, "strerror", None) or error)
