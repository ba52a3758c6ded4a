"""Files that are written completely or not at all, so that no reader ever sees half a file.

A file is first written under a temporary name in its folder, then flushed to the disk, and only then renamed. Renaming
is all or nothing, even if the power fails. All temporary names have the same form, so that the files that a killed
process has left behind can be recognised and removed. Checkpoints, images and pages are written in this way.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

TEMPORARY_PREFIX, TEMPORARY_SUFFIX = ".minigan-", ".tmp"

STALE_SECONDS = 24 * 3600
"""A temporary file or folder that has not changed for so long was left behind by a process that was killed."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to. Without an error it then replaces `path`; after an error it is removed.

    Parameters
    ----------
    path : Path
        The file to write or replace; its folder must exist.

    Yields
    ------
    Path
        An empty file in the same folder.

    Raises
    ------
    OSError
        If the system cannot write (no space, no permission); then `path` has not changed.
    """
    temporary = temporary_file(path)
    try:
        yield temporary
        put_in_place(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def temporary_file(path: Path) -> Path:
    """Make an empty temporary file in the folder of a file that will be written.

    Parameters
    ----------
    path : Path
        Its stem and suffix are part of the temporary name.

    Returns
    -------
    Path
    """
    stem, suffix = path.stem[:40], path.suffix[:10]  # so that a long name does not become too long
    handle, name = tempfile.mkstemp(
        prefix=f"{TEMPORARY_PREFIX}{stem}-", suffix=suffix + TEMPORARY_SUFFIX, dir=path.parent
    )
    os.close(handle)
    return Path(name)


def temporary_folder(path: Path) -> Path:
    """Make an empty temporary folder beside a folder that will be made.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Path
    """
    folder = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, suffix=TEMPORARY_SUFFIX, dir=path.parent))
    folder.chmod(0o777 & ~umask())
    return folder


def put_in_place(temporary: Path, path: Path) -> None:
    """Flush a finished temporary file to the disk and give it its name.

    Parameters
    ----------
    temporary : Path
        From `temporary_file`; closed.
    path : Path
        A file with this name is replaced.
    """
    # mkstemp makes a private file; the finished file has the permissions of the user's other files.
    temporary.chmod(0o666 & ~umask())
    flush_to_disk(temporary)
    _rename(temporary, path)
    _flush_folder(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write or replace a file, all or nothing.

    Parameters
    ----------
    path : Path
    data : bytes

    Raises
    ------
    OSError
        As `replacing`.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write or replace a text file in UTF-8 with Unix line ends, all or nothing."""
    write_bytes(path, text.encode("utf-8"))


def remove_temporaries(folder: Path, *, older_than: float = 0.0) -> None:
    """Remove the temporary files and folders of a killed process; those that cannot be removed stay.

    Parameters
    ----------
    folder : Path
    older_than : float
        Seconds. Younger ones stay: in a folder that other processes write to, they may still be in use.
    """
    now = time.time()
    for leftover in list(folder.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}")):
        with contextlib.suppress(OSError):
            if older_than and now - leftover.stat().st_mtime < older_than:
                continue
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink()


def has_temporaries(folder: Path) -> bool:
    """Whether a process is writing to a folder, or was killed while it did."""
    return any(folder.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"))


def _rename(temporary: Path, path: Path) -> None:
    """Rename to `path`. Windows refuses while another process (a browser, a virus scanner) reads it: then try again."""
    for patience in (0.05, 0.1, 0.2, 0.4, 0.8, None):
        try:
            temporary.replace(path)
            return
        except PermissionError:
            if os.name != "nt" or patience is None:
                raise
            time.sleep(patience)


def flush_to_disk(path: Path) -> None:
    """Wait until a file's bytes have reached the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make a rename itself durable, where the system lets a folder be opened (Windows does not)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def umask() -> int:
    """The permissions that new files of this process do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
