"""A user's folder of pictures, whatever is in it, as an array of square RGB images.

Files come from the folder, all levels of it, in an order that does not depend on the machine. Each is decoded
by Pillow, turned upright, laid on white where it is transparent, cropped to its central square and resized,
and goes to the cache (`minigan.data.cache`), from which every later opening is served without decoding
anything. Folders in the wild hold truncated downloads, text files called ``.png``, sixteen-bit scans and
images that claim to be fifty thousand pixels wide. None of these stops the reading. They are left out, and
the caller is told which and why. Only a folder that is mostly unreadable is refused, since that is more
likely a mistake than a data set.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import stat
import sys
import threading
import warnings
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import PIL
from PIL import ExifTags, Image, UnidentifiedImageError
from tqdm import tqdm

from minigan.data import cache
from minigan.data.cache import printable
from minigan.data.dataset import ImageSet, Skipped, in_order
from minigan.errors import UserError

FORMAT_VERSION = 1
"""Part of every cache's key: raise it when the same file would come out as other pixels."""

MAX_PIXELS = 64_000_000
"""Larger images are not decoded: one of this size can take three quarters of a gigabyte on its way to its square."""

_BIG_PIXELS = 16_000_000
_one_big_image = threading.Lock()  # from this size on, one thread at a time

_NOT_PIXELS = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"}
"""Pillow's formats that hold no pixels it could decode by itself (for EPS it would start another program)."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""From the EXIF orientation tag to what turns the image upright."""

_MOUNT_POINT = 0xA0000003  # Windows: a junction, which is a link to a directory under another name


def open_folder(path: Path | str, image_size: int, progress: bool = True) -> ImageSet:
    """Images of a folder and its subfolders.

    Hidden files and folders (those whose name starts with a dot) and ``__MACOSX`` are ignored, links to
    folders are not followed. The result is cached under the files' names, sizes, times and permissions; a
    file that changes while keeping all four is not noticed.

    Parameters
    ----------
    path : path
        The folder.
    image_size : int
        Side length S to which images are brought.
    progress : bool
        Show a progress bar on stderr while files are decoded.

    Returns
    -------
    ImageSet
        Images in the order of their relative paths, compared with forward slashes.

    Raises
    ------
    UserError
        If the folder is missing, no folder, empty or cannot be opened; if none of its images can be read, or more than
        half cannot; if the cache directory is not writable. The cache is then as it was.
    RunError
        If the disk is full.
    """
    folder = check_folder(path)
    files, skipped = _list_files(folder)
    if not files:
        first = f" (skipped: {printable(skipped[0].path)}, {skipped[0].reason})" if skipped else ""
        raise UserError(f"the folder {printable(folder)} must hold image files, and holds no file{first}")
    prefix = f"folder-{_digest(os.path.normcase(folder.resolve()))}-{image_size}px-"
    stem = prefix + _digest([FORMAT_VERSION, PIL.__version__, image_size, [file.key() for file in files]])
    cached = cache.load(stem)
    undecoded = None if cached is None else _skipped_from(cached.notes)
    if cached is None or undecoded is None:
        cached, undecoded = _build(folder, files, stem, image_size, progress)
        cache.remove_others(prefix, keep=stem)
    return ImageSet(
        images=cached.images,
        source=str(path),
        fingerprint=cached.fingerprint,
        skipped=sorted(skipped + undecoded, key=lambda item: item.path),
    )


def describe_skipped(skipped: Sequence[Skipped], kept: int | None = None) -> str:
    """One line about what was not read, the most frequent reason first and at most three names for each.

    Parameters
    ----------
    skipped : sequence of Skipped
        What was not read.
    kept : int, optional
        How many images were read, for "of 104 files".

    Returns
    -------
    str
        Printable text, empty if nothing was skipped.

    Examples
    --------
    >>> describe_skipped([Skipped("a.png", "truncated"), Skipped("notes.txt", "not an image")], kept=8)
    'Skipped 2 of 10 files: 1 not an image (notes.txt), 1 truncated (a.png)'
    """
    if not skipped:
        return ""
    names: dict[str, list[str]] = defaultdict(list)
    for item in skipped:
        names[item.reason].append(printable(item.path))
    groups = sorted(names.items(), key=lambda group: (-len(group[1]), group[0]))
    parts = [
        f"{len(paths)} {printable(reason)} ({', '.join(paths[:3])}{', ...' if len(paths) > 3 else ''})"
        for reason, paths in groups[:6]
    ]
    if rest := sum(len(paths) for _, paths in groups[6:]):
        parts.append(f"{rest} for other reasons")
    total = "" if kept is None else f" of {kept + len(skipped)}"
    files = "file" if kept is None and len(skipped) == 1 else "files"
    return f"Skipped {len(skipped)}{total} {files}: {', '.join(parts)}"


# ---- Listing ----


@dataclass(frozen=True)
class _File:
    name: str
    size: int
    modified: int
    mode: int

    def key(self) -> list[object]:
        return [self.name, self.size, self.modified, self.mode]

    @property
    def named_like_an_image(self) -> bool:
        return _has_image_suffix(self.name)


def check_folder(path: Path | str) -> Path:
    """Insist that a path is a folder that can be opened, without looking into it.

    Parameters
    ----------
    path : path

    Returns
    -------
    pathlib.Path

    Raises
    ------
    UserError
        If it is missing, no folder, or the cache's own folder.
    """
    if path == "":
        raise UserError("the data folder must have a name, got an empty one")
    folder = Path(path)
    try:
        mode = folder.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"the data folder must exist, and there is no {printable(folder)}") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise UserError(f"the data folder {printable(folder)} cannot be opened ({_system_reason(error)})") from None
    if stat.S_ISDIR(mode):
        if _is_cache_directory(folder):
            raise UserError(f"the data folder must not be the cache's own folder, and {printable(folder)} is")
        return folder
    hint = " (an archive must be unpacked first)" if stat.S_ISREG(mode) else ""
    raise UserError(f"the data must be a folder, and {printable(folder)} is a file{hint}")


def _list_files(folder: Path) -> tuple[list[_File], list[Skipped]]:
    """Regular files below a folder, sorted by relative path, and what else was found."""
    files: list[_File] = []
    skipped: list[Skipped] = []
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        try:
            with os.scandir(folder / directory) as entries:
                found = [(f"{directory}{entry.name}", entry) for entry in entries if not _is_ignored(entry.name)]
        except OSError as error:
            if directory == "":
                raise UserError(
                    f"the data folder {printable(folder)} cannot be opened ({_system_reason(error)})"
                ) from None
            skipped.append(Skipped(directory, f"a folder that cannot be opened ({_system_reason(error)})"))
            continue
        for name, entry in found:
            try:
                kind = _kind(entry)
            except OSError as error:
                kind = f"cannot be opened ({_system_reason(error)})"
            if isinstance(kind, os.stat_result):
                files.append(_File(name, kind.st_size, kind.st_mtime_ns, kind.st_mode))
            elif kind == "":
                waiting.append(f"{name}/")
            else:
                skipped.append(Skipped(name, kind))
    return sorted(files, key=lambda file: file.name), skipped


def _kind(entry: os.DirEntry[str]) -> os.stat_result | str:
    """Status of a regular file, "" for a folder to descend into, or the reason to do neither.

    Anything else that can stand in a directory, such as a named pipe, is never opened: that could wait
    forever.
    """
    if entry.is_dir():
        if _is_link(entry):
            return "a link to a folder, not followed"
        if _has_image_suffix(entry.name):
            return "a directory, not a file"
        if _is_run_folder(Path(entry.path)):
            return "a run of minigan's, whose pictures are not yours"
        return "" if not _is_cache_directory(Path(entry.path)) else "the folder of the image cache"
    if entry.is_file():
        return entry.stat()
    return "a broken link" if entry.is_symlink() and not Path(entry.path).exists() else "not a regular file"


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_link(entry: os.DirEntry[str]) -> bool:
    tag = getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0)
    return entry.is_symlink() or tag == _MOUNT_POINT


def _is_run_folder(directory: Path) -> bool:
    """Whether a folder is a training run: one that lies inside its data must not learn from its own pictures."""
    return (directory / "config.json").is_file() and (directory / "checkpoints").is_dir()


def _is_cache_directory(directory: Path) -> bool:
    with contextlib.suppress(OSError):
        return directory.samefile(cache.cache_directory())
    return False


def _has_image_suffix(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in _image_suffixes()


@functools.cache
def _image_suffixes() -> frozenset[str]:
    known = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in known if name not in _NOT_PIXELS)


@functools.cache
def _image_formats() -> tuple[str, ...]:
    """List what Pillow is to try, the usual first: it goes through the list for every file."""
    Image.init()
    usual = [name for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP") if name in Image.ID]
    return (*usual, *(name for name in Image.ID if name not in _NOT_PIXELS and name not in usual))


def _digest(value: object) -> str:
    # JSON's ASCII form is a way to write any name as bytes, undecodable ones included, that is the same everywhere.
    return hashlib.sha256(json.dumps(value).encode("ascii")).hexdigest()[:16]


# ---- Decoding ----


@dataclass(frozen=True)
class _Failure:
    reason: str
    is_candidate: bool  # by its name or its content an image, which ought to be readable


class _Refused(Exception):  # noqa: N818 -- not an error of the program
    """An image that is not decoded, for a reason of ours."""


def _build(
    folder: Path, files: list[_File], stem: str, image_size: int, progress: bool
) -> tuple[cache.Cached, list[Skipped]]:
    """Decode all files into a new cache, unless too few of them turn out to be images."""
    failures: list[tuple[str, _Failure]] = []
    hidden = not progress or sys.stderr is None
    with (
        _without_warnings(),
        cache.Builder(stem, image_size) as builder,
        contextlib.closing(_outcomes(folder, files, image_size)) as outcomes,
        tqdm(total=len(files), desc="Reading images", unit=" files", disable=hidden) as bar,
    ):
        for file, outcome in zip(files, outcomes, strict=True):
            if isinstance(outcome, _Failure):
                failures.append((file.name, outcome))
            else:
                builder.append(outcome[np.newaxis])
            bar.update()
        _insist_on_images(folder, builder.count, failures)
        skipped = [Skipped(name, failure.reason) for name, failure in failures]
        return builder.finish({"skipped": [[item.path, item.reason] for item in skipped]}), skipped


def _outcomes(
    folder: Path, files: list[_File], image_size: int
) -> Generator[npt.NDArray[np.uint8] | _Failure, None, None]:
    """Read the files, in order. Threads suffice: Pillow releases the interpreter while it decodes."""
    _image_formats()  # Pillow loads its plugins here, before several threads would
    threads = min(4, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="minigan-decode")

    def submit(file: _File) -> Future[npt.NDArray[np.uint8] | _Failure]:
        return pool.submit(_read, folder / file.name, file.named_like_an_image, image_size)

    try:
        yield from in_order(submit, files, ahead=32 * threads)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read(path: Path, is_candidate: bool, image_size: int) -> npt.NDArray[np.uint8] | _Failure:
    """One file's image, or why there is none."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return _Failure("empty file (0 bytes)", is_candidate)
            with Image.open(file, formats=_image_formats()) as image:
                is_candidate = True
                return decode(image, image_size)
    except Exception as error:  # Pillow on a damaged file: OSError, SyntaxError, struct.error, MemoryError, anything
        is_candidate = is_candidate or isinstance(error, Image.DecompressionBombError)
        from_system = isinstance(error, OSError) and error.errno is not None
        return _Failure(_reason(error) if is_candidate or from_system else "not an image", is_candidate)


def decode(image: Image.Image, image_size: int) -> npt.NDArray[np.uint8]:
    """Pixels of an opened image as a square of the wanted size.

    An RGB image that already has the size comes through unchanged. Larger ones are reduced in up to three
    stages, each cheaper per pixel than the next: a JPEG at least eight times too large is decoded at 1/2, 1/4
    or 1/8 of its size (its blocks make that possible), then averaged over boxes to no less than twice the
    size, and only then filtered with Lanczos. Colour profiles are not applied.

    Parameters
    ----------
    image : PIL.Image.Image
        As `PIL.Image.open` returns it: nothing but the header has been read. Any mode; of an animation the first frame.
    image_size : int
        Side length S.

    Returns
    -------
    numpy.ndarray
        (S, S, 3) uint8.
    """
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _Refused(f"too large: {width} x {height} pixels, limit is {MAX_PIXELS // 1_000_000} million")
    image.draft(None, (4 * image_size, 4 * image_size))
    is_big = image.width * image.height > _BIG_PIXELS
    with _one_big_image if is_big else contextlib.nullcontext():
        image.load()
        square = _central_square(_upright(_in_colours(image), image))
        if square.size != (image_size, image_size):
            square = square.resize((image_size, image_size), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.asarray(_on_white(square))


def _in_colours(image: Image.Image) -> Image.Image:
    """Eight bits per channel, RGB, or RGBA where something is transparent."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = _from_sixteen_bits(image)
    elif image.mode == "F":
        image = _from_floats(image)
    elif image.mode == "La":  # grey premultiplied by its alpha; Pillow converts it to its plain form only
        image = image.convert("LA")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    """Grey of 0 to 65,535 as 0 to 255; Pillow's own conversion would make everything above 255 white."""
    values = np.asarray(image)
    transparent = image.info.get("transparency")
    grey = (np.clip(values, 0, 65535).astype(np.uint32) + 128) // 257
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey.astype(np.uint8))


def _from_floats(image: Image.Image) -> Image.Image:
    """Grey of 0 to 1, or 0 to 255 if anything exceeds 1, as 0 to 255."""
    values = np.asarray(image, dtype=np.float32)
    values = np.where(np.isnan(values), np.float32(0), values)
    scale = np.float32(255 if values.max() <= 1 else 1)
    return Image.fromarray(np.rint(np.clip(values * scale, 0, 255)).astype(np.uint8))


def _upright(pixels: Image.Image, image: Image.Image) -> Image.Image:
    """Turn `pixels` as the EXIF data of `image` say: cameras store what they saw and how they were held."""
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF data are no reason to lose the image
        return pixels
    return pixels if turn is None else pixels.transpose(turn)


def _central_square(image: Image.Image) -> Image.Image:
    width, height = image.size
    if width == height:
        return image
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _reason(error: Exception) -> str:
    """Why a file could not be read, in plain words that are equal for equal causes."""
    message = str(error)
    if isinstance(error, _Refused):
        return message
    if isinstance(error, Image.DecompressionBombError):  # Pillow's own limit, far above ours; it tells the product only
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
        return f"cannot be opened ({_system_reason(error)})"
    if isinstance(error, EOFError) or "truncated" in message.lower():
        return "truncated"
    return f"damaged or unsupported ({printable(message or type(error).__name__)[:60]})"


def _system_reason(error: Exception) -> str:
    return printable(getattr(error, "strerror", None) or error)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Silence Pillow's remarks on odd files. The filters are global: enter this once, around all threads."""
    # Pillow's own limit, raised at twice the number, also holds for what an icon file carries inside.
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MAX_PIXELS // 2
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


# ---- Judging ----


def _insist_on_images(folder: Path, count: int, failures: list[tuple[str, _Failure]]) -> None:
    """Refuse a folder without a readable image, or with more unreadable images than readable ones."""
    unreadable = [(name, failure.reason) for name, failure in failures if failure.is_candidate]
    where = printable(folder)
    if not unreadable and count == 0:
        name, failure = failures[0]
        raise UserError(
            f"the data folder must hold images, and none of the {len(failures)} files in {where} is one "
            f"(the first: {printable(name)}, {failure.reason})"
        )
    if len(unreadable) > count:
        name, reason = unreadable[0]
        rule = "at least half of the images must be readable" if count else "no readable image"
        raise UserError(
            f"{rule}: in {where} {len(unreadable)} of {count + len(unreadable)} cannot be read "
            f"(the first: {printable(name)}, {reason})"
        )


def _skipped_from(notes: dict[str, object]) -> list[Skipped] | None:
    """Read back what `_build` noted, or None if it is not that."""
    pairs = notes.get("skipped")
    if not isinstance(pairs, list):
        return None
    if not all(isinstance(p, list) and len(p) == 2 and all(isinstance(s, str) for s in p) for p in pairs):
        return None
    return [Skipped(path, reason) for path, reason in pairs]
