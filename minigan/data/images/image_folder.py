"""A user's folder of images as an array of square RGB images, whatever else is in the folder.

Files come from the folder and its subfolders, in an order that does not depend on the machine. Each is decoded to its
central square, at the wanted size (`minigan.data.images.decode`), and goes to the cache (`minigan.data.cache`), from
which it is read the next time. A file that cannot be read is skipped, and the caller is told its name and the reason.
Only a folder in which most images cannot be read is refused: that is more likely a mistake than a data set.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections import defaultdict
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL

from minigan.data import cache
from minigan.data.image_set import ImageSet, Skipped, in_order
from minigan.data.images.decode import (
    Failure,
    decode,
    image_formats,
    read_image,
    system_reason,
    without_warnings,
)
from minigan.data.printable_text import printable
from minigan.system.cores import usable_cores
from minigan.system.errors import UserError
from minigan.system.progress import ProgressBar
from minigan.system.wording import see

FORMAT_VERSION = 2
"""Part of every cache's key: raise it when the same file gives different pixels."""

WRITTEN_BESIDE = frozenset({"report.html", "report.json", "pictures.csv", "DATACARD.md"})
"""What `minigan.prepare` writes beside its images; training skips these files without a message."""

_MOUNT_POINT = 0xA0000003  # Windows: the tag of a junction, which is a link to a directory


def open_folder(path: Path | str, image_size: int, progress: bool = True, *, try_again: bool = True) -> ImageSet:
    """Images of a folder and its subfolders.

    Hidden files and folders (their names start with a dot), ``__MACOSX`` and the files that `minigan.prepare` writes
    beside its images are ignored. Links to folders are not followed. The cache depends on the files' names, sizes,
    times and permissions; a change that keeps all four is not noticed.

    Parameters
    ----------
    path : path
        The folder.
    image_size : int
        Side length S to which images are brought.
    progress : bool
        Show a progress bar on stderr while files are decoded.
    try_again : bool
        Whether files that could not be read for the moment, when the cache was built, are tried again.

    Returns
    -------
    ImageSet
        Images in the order of their relative paths, compared with forward slashes.

    Raises
    ------
    UserError
        If the folder is missing, not a folder, empty, or cannot be opened; if none of its images can be read, or more
        than half of them cannot; if the cache directory is not writable. The cache is left as it was.
    RunError
        If the disk is full.
    """
    folder = check_folder(path)
    files, skipped = list_files(folder)
    if not files:
        first = f" (skipped: {printable(skipped[0].path)}, {skipped[0].reason})" if skipped else ""
        raise UserError(f"the folder {printable(folder)} must hold image files, and holds no file{first}")
    prefix = f"folder-{_digest(os.path.normcase(folder.resolve()))}-{image_size}px-"
    readers = [FORMAT_VERSION, PIL.__version__, image_formats()]
    stem = prefix + _digest([readers, image_size, [file.key() for file in files]])
    cached = cache.load(stem)
    outdated = cached is None or (try_again and "try_again" in cached.notes)
    undecoded = None if cached is None or outdated else _skipped_from(cached.notes)
    if cached is None or undecoded is None:
        cached, undecoded = _build(folder, files, stem, image_size, progress)
        cache.remove_others(prefix, keep=stem)
    return ImageSet(
        images=cached.images,
        source=str(path),
        fingerprint=cached.fingerprint,
        skipped=sorted(skipped + undecoded, key=lambda item: item.path),
        cached_in=cached.path,
    )


def describe_skipped(skipped: Sequence[Skipped], kept: int | None = None) -> str:
    """One line about what was not read: the most frequent reason first, with at most three names for each.

    Parameters
    ----------
    skipped : sequence of Skipped
        What was not read.
    kept : int, optional
        How many images were read, to say "of 104 files".

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
    parts = skipped_by_reason(skipped)
    total = "" if kept is None else f" of {kept + len(skipped)}"
    files = "file" if kept is None and len(skipped) == 1 else "files"
    return f"Skipped {len(skipped)}{total} {files}: {', '.join(parts)}"


def skipped_by_reason(skipped: Sequence[Skipped]) -> list[str]:
    """What was not read: a few words for each reason, the most frequent first, with at most three names.

    Parameters
    ----------
    skipped : sequence of Skipped

    Returns
    -------
    list of str
        Printable, at most seven items.
    """
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
    return parts


# ---- Listing ----


@dataclass(frozen=True)
class File:
    """A regular file below a folder.

    Attributes
    ----------
    name : str
        Relative to the folder, with forward slashes.
    size : int
        In bytes.
    modified : int
        In nanoseconds since 1970.
    mode : int
        Kind and permissions.
    """

    name: str
    size: int
    modified: int
    mode: int

    def key(self) -> list[object]:
        """The values that a cache depends on."""
        return [self.name, self.size, self.modified, self.mode]


def check_folder(path: Path | str) -> Path:
    """Check that a path is a folder; what is in it is not looked at.

    Parameters
    ----------
    path : path

    Returns
    -------
    pathlib.Path

    Raises
    ------
    UserError
        If it is missing, not a folder, or the cache's own folder.
    """
    if path == "":
        raise UserError("the data folder must have a name, got an empty one")
    folder = Path(path)
    try:
        mode = folder.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"the data folder must exist, and there is no {printable(folder)}") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise UserError(f"the data folder {printable(folder)} cannot be opened ({system_reason(error)})") from None
    if stat.S_ISDIR(mode):
        if _is_cache_directory(folder):
            raise UserError(f"the data folder must not be the cache's own folder, and {printable(folder)} is")
        return folder
    hint = " (an archive must be unpacked first, or prepared: python -m minigan.prepare)" if stat.S_ISREG(mode) else ""
    raise UserError(
        f"the data must be a folder, and {printable(folder)} is {'a file' if stat.S_ISREG(mode) else 'none'}{hint}"
    )


def list_files(folder: Path) -> tuple[list[File], list[Skipped]]:
    """Regular files below a folder, and what else was found.

    Hidden files and folders, ``__MACOSX`` and the files that `minigan.prepare` writes beside its images are ignored.

    Parameters
    ----------
    folder : Path
        As `check_folder` returns it.

    Returns
    -------
    files : list of File
        Sorted by relative path.
    skipped : list of Skipped
        What is not a regular file, or a folder that cannot be opened.

    Raises
    ------
    UserError
        If the folder itself cannot be opened.
    """
    files: list[File] = []
    skipped: list[Skipped] = []
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        try:
            with os.scandir(folder / directory) as entries:
                found = [(f"{directory}{entry.name}", entry) for entry in entries if not is_ignored(entry.name)]
        except OSError as error:
            if directory == "":
                raise UserError(
                    f"the data folder {printable(folder)} cannot be opened ({system_reason(error)})"
                ) from None
            skipped.append(Skipped(directory, f"a folder that cannot be opened ({system_reason(error)})"))
            continue
        for name, entry in found:
            try:
                kind = _kind(entry)
            except OSError as error:
                kind = f"cannot be opened ({system_reason(error)})"
            if isinstance(kind, os.stat_result):
                files.append(File(name, kind.st_size, kind.st_mtime_ns, kind.st_mode))
            elif kind == "":
                waiting.append(f"{name}/")
            else:
                skipped.append(Skipped(name, kind))
    return sorted(files, key=lambda file: file.name), skipped


def _kind(entry: os.DirEntry[str]) -> os.stat_result | str:
    """Status of a regular file, "" for a folder whose files are wanted, or the reason to skip the entry.

    Anything else that can be in a directory, such as a named pipe, is never opened: that could wait forever.
    """
    if entry.is_dir():
        if _is_link(entry):
            return "a link to a folder, not followed"
        if _is_run_folder(Path(entry.path)):
            return "the folder of a minigan run, which holds generated images"
        return "" if not _is_cache_directory(Path(entry.path)) else "the folder of the image cache"
    if entry.is_file():
        return entry.stat()
    return "a broken link" if entry.is_symlink() and not Path(entry.path).exists() else "not a regular file"


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name is skipped without a message."""
    return name.startswith(".") or name == "__MACOSX" or name in WRITTEN_BESIDE


def _is_link(entry: os.DirEntry[str]) -> bool:
    tag = getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0)
    return entry.is_symlink() or tag == _MOUNT_POINT


def _is_run_folder(directory: Path) -> bool:
    """Whether a folder is a training run: a run inside its own data folder must not learn from its own samples."""
    return (directory / "config.json").is_file() and (directory / "checkpoints").is_dir()


def _is_cache_directory(directory: Path) -> bool:
    with contextlib.suppress(OSError, UserError):  # UserError: there is no place for a cache
        return directory.samefile(cache.cache_directory())
    return False


def _digest(value: object) -> str:
    # JSON in ASCII gives the same bytes on every system for any name, also for one that cannot be decoded.
    return hashlib.sha256(json.dumps(value).encode("ascii")).hexdigest()[:16]


# ---- Reading ----


def _build(
    folder: Path, files: list[File], stem: str, image_size: int, progress: bool
) -> tuple[cache.Cached, list[Skipped]]:
    """Decode all files into a new cache; too few readable images are an error."""
    failures: list[tuple[str, Failure]] = []
    with (
        without_warnings(),
        cache.Builder(stem, image_size) as builder,
        contextlib.closing(_outcomes(folder, files, image_size)) as outcomes,
        ProgressBar(len(files), "Reading images", "files", shown=progress) as bar,
    ):
        for file, outcome in zip(files, outcomes, strict=True):
            if isinstance(outcome, Failure):
                failures.append((file.name, outcome))
            else:
                builder.append(outcome[np.newaxis])
            bar.update()
        _insist_on_images(folder, builder.count, failures)
        skipped = [Skipped(name, failure.reason) for name, failure in failures]
        told = [[item.path, item.reason] for item in skipped]
        notes: dict[str, object] = {"folder": str(folder.resolve()), "skipped": told}
        if any(failure.may_pass for _, failure in failures):
            notes["try_again"] = True
        return builder.finish(notes), skipped


def _outcomes(
    folder: Path, files: list[File], image_size: int
) -> Generator[npt.NDArray[np.uint8] | Failure, None, None]:
    """Read the files, in order. Threads are enough here: Pillow releases the interpreter while it decodes."""
    image_formats()  # Pillow loads its plugins here, and not in several threads at once
    threads = min(4, usable_cores())
    pool = ThreadPoolExecutor(threads, thread_name_prefix="minigan-decode")

    def submit(file: File) -> Future[npt.NDArray[np.uint8] | Failure]:
        given = folder, file.name, image_size
        try:
            return pool.submit(_read, *given)
        except RuntimeError:  # no further thread is allowed: this one reads the file
            done: Future[npt.NDArray[np.uint8] | Failure] = Future()
            done.set_result(_read(*given))
            return done

    try:
        yield from in_order(submit, files, ahead=32 * threads)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read(folder: Path, name: str, image_size: int) -> npt.NDArray[np.uint8] | Failure:
    """One file's image, or why there is none."""
    return read_image(folder / name, name, lambda image: decode(image, image_size))


# ---- Judging ----


def _insist_on_images(folder: Path, count: int, failures: list[tuple[str, Failure]]) -> None:
    """Refuse a folder without a readable image, or with more unreadable images than readable ones."""
    unreadable = [(name, failure.reason) for name, failure in failures if failure.is_candidate]
    where = printable(folder)
    if not unreadable and count == 0:
        name, failure = failures[0]
        raise UserError(
            f"the data folder must hold images, and none of the {len(failures)} files in {where} is one "
            f"(the first: {printable(name)}, {failure.reason}){see('image-formats')}"
        )
    if len(unreadable) > count:
        name, reason = unreadable[0]
        rule = "at least half of the images must be readable" if count else "no readable image"
        raise UserError(
            f"{rule}: in {where} {len(unreadable)} of {count + len(unreadable)} cannot be read "
            f"(the first: {printable(name)}, {reason}){see('image-formats')}"
        )


def _skipped_from(notes: dict[str, object]) -> list[Skipped] | None:
    """Read the notes that `_build` wrote, or None if they are something else."""
    pairs = notes.get("skipped")
    if not isinstance(pairs, list):
        return None
    if not all(isinstance(p, list) and len(p) == 2 and all(isinstance(s, str) for s in p) for p in pairs):
        return None
    return [Skipped(path, reason) for path, reason in pairs]
