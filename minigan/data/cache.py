"""The cache of decoded images, so that only the first opening of a data set is slow.

Images come from `minigan.data.images.image_folder` (a user's own images) or `minigan.data.drawn.face_set` (the built-in
faces), already square and of one size. They go to two files in the user's cache directory: a ``.npy`` with all images,
which later runs map into memory and read like an array, and a small ``.json`` with notes. A cache is written under a
temporary name and renamed when it is complete, so a half-written one is never opened. Disks fail and files are copied
badly, so an existing cache is used only if all its bytes have the recorded SHA-256. If anything is wrong with it, it is
built again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import platformdirs

from minigan.data.printable_text import printable
from minigan.system import atomic_files
from minigan.system.errors import RunError, UserError

ENVIRONMENT_VARIABLE = "MINIGAN_CACHE"

_BLOCK = 256
_DISK_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


@dataclass(frozen=True, eq=False)
class Cached:
    """A complete, verified cache.

    Attributes
    ----------
    images : numpy.ndarray
        (N, S, S, 3) uint8, a read-only memory map.
    fingerprint : str
        `fingerprint` of the images.
    notes : dict
        What was given to `Builder.finish`.
    """

    images: npt.NDArray[np.uint8]
    fingerprint: str
    notes: dict[str, Any]


def cache_directory() -> Path:
    """Directory of the caches: the environment variable MINIGAN_CACHE, or the usual place of the operating system.

    Returns
    -------
    pathlib.Path
        The directory, which may not exist yet.
    """
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    if chosen:
        return Path(os.path.expanduser(chosen))  # noqa: PTH111 -- Path.expanduser raises where there is no home
    return Path(platformdirs.user_cache_dir("minigan", appauthor=False))


def fingerprint(images: npt.NDArray[np.uint8]) -> str:
    """SHA-256 of images: equal for equal images in equal order, no matter which files they came from.

    Parameters
    ----------
    images : numpy.ndarray
        (N, S, S, 3) uint8.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for start in range(0, len(images), _BLOCK):
        digest.update(np.ascontiguousarray(images[start : start + _BLOCK]).data)
    return finish_fingerprint(digest, images.shape)


def load(stem: str) -> Cached | None:
    """Open a cache, or return None if there is none that is whole.

    Every byte is read once and compared with the recorded fingerprint. That takes about a second per gigabyte, which is
    not lost: afterwards the images are in the operating system's page cache, and training reads them from there.

    Parameters
    ----------
    stem : str
        The cache's name, without directory and suffix.

    Returns
    -------
    Cached or None
        None if the cache is missing, truncated, damaged or belongs to another version of this file format.
    """
    directory = cache_directory()
    try:
        record = json.loads((directory / f"{stem}.json").read_text(encoding="ascii"))
        path = directory / _images_name(stem, record["fingerprint"])
        images = np.load(path, mmap_mode="r", allow_pickle=False)
        if not _is_image_stack(images) or images.offset + images.nbytes != path.stat().st_size:
            return None
        if fingerprint(images) != record["fingerprint"]:
            return None
        return Cached(images, record["fingerprint"], dict(record["notes"]))
    except Exception:  # on damaged files json and NumPy raise almost anything: build the cache again
        return None


def remove_others(prefix: str, keep: str) -> None:
    """Delete the caches whose name starts with `prefix`, except the one called `keep`; errors are ignored.

    Another run may be using such a cache. On Linux and macOS its memory map stays valid after the deletion; on Windows
    the deletion fails, and the next call tries again.
    """
    with contextlib.suppress(OSError):
        for path in list(cache_directory().iterdir()):
            ours = path.name.startswith(prefix) and path.suffix in {".npy", ".json"}
            if ours and not path.name.startswith((f"{keep}.", f"{keep}-")):
                with contextlib.suppress(OSError):
                    path.unlink()


class Builder:
    """Writes one cache, image after image; leaves nothing behind unless `finish` is reached.

    A context manager. The file is written from front to back, and not through a memory map, for two reasons: the number
    of images is not known before the last one has been read, and a full disk raises an error here, where writing to a
    sparse map would kill the process.

    Parameters
    ----------
    stem : str
        The cache's name, without directory and suffix.
    image_size : int
        Side length S of the images.

    Raises
    ------
    UserError
        On entering, if the cache directory cannot be written to.
    RunError
        Here or later, if the disk is full.
    """

    def __init__(self, stem: str, image_size: int) -> None:
        self.stem = stem
        self.count = 0
        self._shape = (image_size, image_size, 3)
        self._digest = hashlib.sha256()
        self._directory = cache_directory()
        self._temporary: Path | None = None
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Builder:
        with _explained(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
            atomic_files.remove_temporaries(self._directory, older_than=atomic_files.STALE_SECONDS)
            self._temporary = atomic_files.temporary_file(self._directory / f"{self.stem}.npy")
        try:
            with _explained(self._directory):
                self._file = self._temporary.open("wb")
                self._write_header()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._discard()

    def append(self, images: npt.NDArray[np.uint8]) -> None:
        """Add images at the end.

        Parameters
        ----------
        images : numpy.ndarray
            (n, S, S, 3) uint8.

        Raises
        ------
        RunError
            If the disk is full or fails.
        ValueError
            If shape or dtype differ from that.
        """
        if images.shape[1:] != self._shape or images.dtype != np.uint8:
            raise ValueError(f"append: expected (n, {self._shape}) uint8, got {images.shape} {images.dtype}")
        raw = np.ascontiguousarray(images).data
        with _explained(self._directory):
            self._opened().write(raw)
        self._digest.update(raw)
        self.count += len(images)

    def finish(self, notes: dict[str, Any]) -> Cached:
        """Put the cache in place and open it.

        The name of the images' file contains the start of their fingerprint, and the ``.json``, which is written last,
        contains all of it. So two processes that build the same cache at once leave two files that belong together,
        even if they saw different images.

        Parameters
        ----------
        notes : dict
            JSON-serialisable, returned by every later `load`.

        Returns
        -------
        Cached
            The cache, read back from disk and verified.

        Raises
        ------
        RunError
            If the disk is full or fails.
        """
        with _explained(self._directory):
            file = self._opened()
            digits = finish_fingerprint(self._digest, (self.count, *self._shape))
            file.seek(0)
            self._write_header()
            file.close()
            images = self._directory / _images_name(self.stem, digits)
            # On Windows this fails while another run has a file of this name mapped. Its name says that it is equal to
            # this one, so it can stay; it is verified below.
            try:
                atomic_files.put_in_place(Path(file.name), images)
            except PermissionError:
                if os.name != "nt":
                    raise
            record = {"fingerprint": digits, "notes": notes}
            try:
                atomic_files.write_text(self._directory / f"{self.stem}.json", json.dumps(record, indent=1) + "\n")
            except BaseException:
                images.unlink(missing_ok=True)
                raise
        cached = load(self.stem)
        if cached is None:
            raise RunError(f"the cache just written to {printable(self._directory)} reads back differently: try again")
        return cached

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            raise RuntimeError("Builder is a context manager: use it in a with statement")
        return self._file

    def _write_header(self) -> None:
        # NumPy pads the header so that the first dimension can grow: the first and the final header are equally long.
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self._shape)}
        np.lib.format.write_array_header_1_0(self._opened(), header)

    def _discard(self) -> None:
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                self._temporary.unlink()


def finish_fingerprint(digest: hashlib._Hash, shape: tuple[int, ...]) -> str:
    """Finish a digest with the shape: it is known only at the end, and equal bytes may have different shapes."""
    whole = digest.copy()
    whole.update(str(tuple(int(n) for n in shape)).encode("ascii"))
    return whole.hexdigest()


def _images_name(stem: str, digits: str) -> str:
    return f"{stem}-{digits[:16]}.npy"


def _is_image_stack(images: object) -> bool:
    return (
        isinstance(images, np.memmap)
        and images.dtype == np.uint8
        and images.ndim == 4
        and images.shape[0] > 0
        and images.shape[1] == images.shape[2]
        and images.shape[3] == 3
        and bool(images.flags.c_contiguous)
    )


@contextlib.contextmanager
def _explained(directory: Path) -> Iterator[None]:
    """Turn the operating system's errors into one line that names the folder and says what to do."""
    try:
        yield
    except OSError as error:
        where, why = printable(directory), error.strerror or str(error)
        if error.errno in _DISK_FULL:
            raise RunError(
                f"no space left for the image cache in {where}: the unfinished cache was removed; free some space, or "
                f"set {ENVIRONMENT_VARIABLE} to a folder on another disk",
                exit_status=1,
            ) from error
        if error.errno == errno.EIO:
            raise RunError(f"the disk of the image cache in {where} failed: {why}", exit_status=1) from error
        raise UserError(
            f"the image cache needs a folder it can write to, and cannot write to {where} ({why}): set the environment "
            f"variable {ENVIRONMENT_VARIABLE} to one that is writable"
        ) from error
