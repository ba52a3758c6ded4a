"""The cache of decoded images, so that only the first opening of a data set is slow.

Images come from `minigan.data.images.image_folder` (a user's own images) or `minigan.data.drawn.face_set` (the built-in
faces), already square and of one size. They go to two files in the user's cache directory: a ``.npy`` with all images,
which later runs map into memory and read like an array, and a small ``.json`` with notes. A cache is written under a
temporary name and renamed when it is complete, so a half-written one is never opened. Disks fail and files are copied
badly, so an existing cache is used only if all its bytes have the recorded SHA-256. If anything is wrong with it, it is
built again. `minigan.data.cache_contents` lists the caches and removes them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import time
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
from minigan.system.available_memory import available_memory
from minigan.system.errors import RunError, UserError
from minigan.system.wording import see

ENVIRONMENT_VARIABLE = "MINIGAN_CACHE"

_BLOCK = 256
BEING_WRITTEN_SECONDS = 60.0
"""A file that is younger may belong to a process that is about to use it."""

_SCARCE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_DISK_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


@dataclass(frozen=True, eq=False)
class Cached:
    """A complete, verified cache.

    Attributes
    ----------
    images : numpy.ndarray
        (N, S, S, 3) uint8, read-only; a memory map, but on a drive that does not allow that an array in memory.
    path : pathlib.Path
        The file of the images.
    fingerprint : str
        `fingerprint` of the images.
    notes : dict
        What was given to `Builder.finish`.
    """

    images: npt.NDArray[np.uint8]
    path: Path
    fingerprint: str
    notes: dict[str, Any]


def cache_directory() -> Path:
    """Directory of the caches: the environment variable MINIGAN_CACHE, or the usual place of the operating system.

    Returns
    -------
    pathlib.Path
        The directory, which may not exist yet.

    Raises
    ------
    UserError
        If there is no home folder to put it in, as in some containers, and the variable is not set.
    """
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    try:
        directory = Path(chosen) if chosen else Path(platformdirs.user_cache_dir("minigan", appauthor=False))
        directory = directory.expanduser()
    except RuntimeError:  # a container's user without a name and without HOME
        raise UserError(
            f"the image cache needs a folder, and there is no home folder here to put it in: set the environment "
            f"variable {ENVIRONMENT_VARIABLE} to a folder that can be written to{see('cache')}"
        ) from None
    return directory


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

    Raises
    ------
    RunError
        If it is there, but can neither be mapped into memory nor be read into it.
    OSError
        If no more files can be opened.
    """
    directory = cache_directory()
    try:
        notes_file = directory / f"{stem}.json"
        record = json.loads(notes_file.read_text(encoding="ascii"))
        path = directory / _images_name(stem, record["fingerprint"])
        images = _in_memory(path)
        if images is None or fingerprint(images) != record["fingerprint"]:
            return None
        cached = Cached(images, path, record["fingerprint"], dict(record["notes"]))
    except RunError:
        raise
    except Exception as error:  # on damaged files json and NumPy raise almost anything: build the cache again
        if isinstance(error, OSError) and error.errno in _SCARCE:
            raise
        return None
    with contextlib.suppress(OSError):
        os.utime(notes_file)  # the time of the last use
    return cached


def sweep() -> None:
    """Remove what processes have left behind that were killed while they wrote a cache; errors are ignored."""
    with contextlib.suppress(OSError, UserError):
        atomic_files.remove_temporaries(cache_directory(), of_others=True)


def remove_others(prefix: str, keep: str) -> None:
    """Delete the caches whose name starts with `prefix`, except the one called `keep`; errors are ignored.

    Files that have just been written stay: another process may be about to open them. Another run may be using such a
    cache. On Linux and macOS its memory map stays valid after the deletion; on Windows the deletion fails, and the next
    call tries again.
    """
    with contextlib.suppress(OSError):
        for path in list(cache_directory().iterdir()):
            ours = path.name.startswith(prefix) and path.suffix in {".npy", ".json"}
            if ours and not path.name.startswith((f"{keep}.", f"{keep}-")):
                with contextlib.suppress(OSError):
                    if time.time() - path.stat().st_mtime > BEING_WRITTEN_SECONDS:
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
            atomic_files.remove_temporaries(self._directory, of_others=True)
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
            raise RunError(
                f"the cache just written to {printable(self._directory)} reads back differently: try again, or set "
                f"{ENVIRONMENT_VARIABLE} to a folder on another drive{see('cache')}"
            )
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
            atomic_files.discard(self._temporary)


def finish_fingerprint(digest: hashlib._Hash, shape: tuple[int, ...]) -> str:
    """Finish a digest with the shape: it is known only at the end, and equal bytes may have different shapes."""
    whole = digest.copy()
    whole.update(str(tuple(int(n) for n in shape)).encode("ascii"))
    return whole.hexdigest()


def _images_name(stem: str, digits: str) -> str:
    return f"{stem}-{digits[:16]}.npy"


def _in_memory(path: Path) -> npt.NDArray[np.uint8] | None:
    """The images of a file, read-only: as a memory map or, where the drive allows none, read. None if it has no images.

    A private map is as good as a shared one, since nobody writes to the file; some drives allow only one of the two.
    """
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
        start, length = file.tell(), os.fstat(file.fileno()).st_size
        is_stack = len(shape) == 4 and shape[0] > 0 and shape[1] == shape[2] and shape[3] == 3
        if not is_stack or is_fortran or dtype != np.uint8 or start + math.prod(shape) != length:
            return None
        reason = ""
        for mode in ("r", "c"):
            try:
                images: npt.NDArray[np.uint8] = np.memmap(file, np.uint8, mode, start, shape)
                images.flags.writeable = False
                return images
            except OSError as error:
                reason = error.strerror or str(error)
        try:
            if length > available_memory() / 2:  # training needs memory, too
                raise MemoryError
            file.seek(start)
            images = np.fromfile(file, np.uint8, math.prod(shape)).reshape(shape)
        except MemoryError:
            raise RunError(
                f"the image cache {printable(path)} cannot be mapped into memory ({reason}), and there is not enough "
                f"memory to read its {length / 1e6:,.0f} MB: set {ENVIRONMENT_VARIABLE} to a folder on another drive"
                + see("cache")
            ) from None
        images.flags.writeable = False
        return images


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
                f"set {ENVIRONMENT_VARIABLE} to a folder on another disk{see('cache')}",
                exit_status=1,
            ) from error
        if error.errno == errno.EIO:
            raise RunError(f"the disk of the image cache in {where} failed: {why}", exit_status=1) from error
        raise UserError(
            f"the image cache needs a folder it can write to, and cannot write to {where} ({why}): set the environment "
            f"variable {ENVIRONMENT_VARIABLE} to one that is writable{see('cache')}"
        ) from error
