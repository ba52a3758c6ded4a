"""A survey of a folder: what training would see of it, and what is odd about it.

The images are opened as training opens them, so the numbers hold for training, and the cache that training needs is
there afterwards. The files' headers are read once more for what is not in the cache: sizes, modes and formats.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from minigan.data import cache
from minigan.data.image_set import ImageSet
from minigan.data.images.colourfulness import GREY_SPREAD, colour_spread
from minigan.data.images.decode import read_image, without_warnings
from minigan.data.images.image_folder import check_folder, list_files, skipped_by_reason
from minigan.data.images.near_duplicates import Seen, likeness, require_imagehash
from minigan.data.open import open_images
from minigan.data.prepare.data_card import FEW_IMAGES
from minigan.data.printable_text import printable
from minigan.system.errors import UserError
from minigan.system.progress import with_progress
from minigan.system.wording import plural

BATCH_SIZE = 64
"""The batch size of the DCGAN article."""

ELONGATED = 1.25
"""From this ratio of its sides on, an image loses a fifth or more when it is cut to its central square."""

Item = TypeVar("Item")

_MANY = 0.05  # share of the images from which on a caution is given
_FEW = 1000  # fewer images than this need no progress bar


@dataclass(frozen=True, eq=False)
class Survey:
    """What was found in a folder.

    Attributes
    ----------
    images : ImageSet
        The images, as training gets them.
    cache : Path
        The file they are cached in.
    was_cached : bool
        Whether this file was there before.
    sizes : Counter of (int, int)
        Width and height of the usable images, as they are in their files.
    modes, formats : Counter of str
        Pillow's names, for the usable images.
    equal : int
        Images that equal an earlier one, pixel for pixel, at the size of training.
    similar : int or None
        Images that are equal or nearly equal to an earlier one; None if imagehash is not installed.
    grey : int
        Images with almost no colours.
    """

    images: ImageSet
    cache: Path
    was_cached: bool
    sizes: Counter[tuple[int, int]]
    modes: Counter[str]
    formats: Counter[str]
    equal: int
    similar: int | None
    grey: int


def survey(path: Path, image_size: int, *, progress: bool = True) -> Survey:
    """Look at all images of a folder.

    Parameters
    ----------
    path : Path
        The folder.
    image_size : int
        Side S at which training would see the images; a multiple of 8.
    progress : bool
        Show progress bars on stderr.

    Returns
    -------
    Survey

    Raises
    ------
    UserError
        If training would refuse the folder: see `minigan.data.images.image_folder.open_folder`.
    RunError
        If the disk is full.
    """
    folder = check_folder(path)
    before = set(cache.cache_directory().glob("*.npy"))
    images = open_images(folder, image_size=image_size, progress=progress)
    cached = images.cached_in or Path()
    sizes, modes, formats = _headers(folder, {item.path for item in images.skipped}, progress)
    equal, similar, grey = _look(images, progress)
    return Survey(images, cached, cached in before, sizes, modes, formats, equal, similar, grey)


def _headers(
    folder: Path, skipped: set[str], progress: bool
) -> tuple[Counter[tuple[int, int]], Counter[str], Counter[str]]:
    """Sizes, modes and formats, from the files' headers."""
    sizes: Counter[tuple[int, int]] = Counter()
    modes: Counter[str] = Counter()
    formats: Counter[str] = Counter()

    def note(image: Image.Image) -> None:
        sizes[image.size] += 1
        modes[image.mode] += 1
        formats[image.format or "?"] += 1

    files, _ = list_files(folder)
    with without_warnings():
        for file in _shown(files, "Reading headers", progress):
            if file.name not in skipped:
                read_image(folder / file.name, file.name, note)
    return sizes, modes, formats


def _shown(items: Collection[Item], what: str, progress: bool) -> Iterable[Item]:
    """The items, with a progress bar if there are many."""
    return with_progress(items, what, "files", shown=progress and len(items) >= _FEW)


def _look(images: ImageSet, progress: bool) -> tuple[int, int | None, int]:
    """Count equal, nearly equal and grey images."""
    try:
        require_imagehash()
        seen: Seen | None = Seen()
    except (UserError, ImportError):  # ImportError: there is no memory for it
        seen = None
    digests: set[bytes] = set()
    similar = grey = 0
    for pixels in _shown(images.images, "Looking at images", progress):
        digests.add(hashlib.blake2b(pixels.tobytes(), digest_size=16).digest())
        grey += colour_spread(pixels) < GREY_SPREAD
        if seen is not None:
            new = likeness(np.asarray(pixels))
            if seen.find(new) is None:
                seen.add(new)
            else:
                similar += 1
    return len(images) - len(digests), None if seen is None else similar, grey


def describe(found: Survey) -> list[tuple[str, str]]:
    """The survey in words.

    Parameters
    ----------
    found : Survey

    Returns
    -------
    list of (str, str)
        For each line its label and its text.
    """
    images = found.images
    count, side = images.images.shape[:2]
    files = count + len(images.skipped)
    enlarged = sum(n for size, n in found.sizes.items() if min(size) < side)
    reduced = sum(n for size, n in found.sizes.items() if min(size) > side)
    similar = (
        "; nearly equal ones are counted where imagehash is installed"
        if found.similar is None
        else f"; {_share(found.similar, count)} nearly equal to an earlier one"
    )
    lines = [
        ("folder", printable(images.source)),
        ("images", f"{count:,} usable" + (f" of {files:,} files" if files != count else "")),
    ]
    for number, words in enumerate(skipped_by_reason(images.skipped)):
        lines.append(("" if number else "not used", words))
    return [
        *lines,
        ("sizes", _frequent({f"{w}x{h}": n for (w, h), n in found.sizes.most_common()})),
        ("modes", _frequent(dict(found.modes.most_common()))),
        ("formats", _frequent(dict(found.formats.most_common()))),
        (
            "training",
            f"sees {side} x {side}: {_share(enlarged, count)} enlarged, {_share(reduced, count)} reduced, "
            f"{_share(_elongated(found), count)} lose a fifth or more to the central square",
        ),
        ("duplicates", f"{_share(found.equal, count)} equal to an earlier one{similar}"),
        ("grey", f"{_share(found.grey, count)} with almost no colours"),
        (
            "cache",
            f"{printable(found.cache)}, {_bytes(images.images.nbytes)}, "
            + ("was there" if found.was_cached else "written now, so that training starts at once"),
        ),
        (
            "memory",
            f"{_bytes(images.images.nbytes)} if all images are to stay in memory (less works, but more slowly); "
            f"a batch of {BATCH_SIZE}: {_bytes(BATCH_SIZE * side * side * 3 * 4)}",
        ),
        ("fingerprint", images.fingerprint),
    ]


def cautions(found: Survey) -> list[str]:
    """What is odd about the folder, in plain words; empty if nothing is.

    Parameters
    ----------
    found : Survey

    Returns
    -------
    list of str
    """
    images = found.images
    count, side = images.images.shape[:2]
    words = []
    if count < FEW_IMAGES:
        words.append(f"only {plural(count, 'image')}: a few thousand are needed, or the generator learns them by heart")
    if len(images.skipped) > _MANY * (count + len(images.skipped)):
        words.append(f"{_share(len(images.skipped), count + len(images.skipped))} of the files are not used: see above")
    duplicates = max(found.equal, found.similar or 0)
    if duplicates > _MANY * count:
        words.append(
            f"{_share(duplicates, count)} of the images are there more than once and weigh more: "
            "python -m minigan.prepare drops them"
        )
    if found.grey > _MANY * count:
        words.append(
            f"{_share(found.grey, count)} of the images have almost no colours, and so will some of the faces: "
            "python -m minigan.prepare --colour-only drops them"
        )
    if _elongated(found) > _MANY * count:
        words.append(
            f"{_share(_elongated(found), count)} of the images are far from square, and only their middle is seen: "
            "python -m minigan.prepare --cascade finds the faces"
        )
    small = sum(n for size, n in found.sizes.items() if 2 * min(size) < side)
    if small > _MANY * count:
        words.append(
            f"{_share(small, count)} of the images are less than half of {side} pixels wide or high: they are blurred"
        )
    return words


def _elongated(found: Survey) -> int:
    return sum(n for size, n in found.sizes.items() if max(size) >= ELONGATED * min(size))


def _share(part: int, whole: int) -> str:
    """A part, and its share of the whole.

    >>> _share(0, 10), _share(3, 1000)
    ('none', '3 (0.3 %)')
    """
    return f"{part:,} ({100 * part / whole:.1f} %)" if part else "none"


def _frequent(counts: dict[str, int], most: int = 6) -> str:
    """The most frequent values with their counts; `counts` is sorted.

    >>> _frequent({"a": 3, "b": 2, "c": 1}, most=2)
    '3 a, 2 b, 1 other'
    """
    shown = [f"{n:,} {name}" for name, n in list(counts.items())[:most]]
    rest = sum(list(counts.values())[most:])
    return ", ".join([*shown, f"{rest:,} other"] if rest else shown)


def _bytes(count: int) -> str:
    """A number of bytes in words.

    >>> _bytes(3_145_728), _bytes(400_000_000)
    ('3.1 MB', '400 MB')
    """
    size = count / 1e6
    return f"{size:,.1f} MB" if size < 10 else f"{size:,.0f} MB"
