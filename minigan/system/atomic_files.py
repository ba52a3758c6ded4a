"""Writing files so that a reader, or the next run, never meets half a file.

Everything that matters is first written under a temporary name beside its place, flushed to the disk, and only then
renamed: a rename is all or nothing, also when the power fails. Temporary names are alike everywhere, so that what a
killed process has left can be told from other people's files and removed.
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
"""A temporary file or folder that nobody has written to for so long was left behind by a process that was killed."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; on a clean exit it takes the place of `path`, otherwise it is removed.

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
        As the system says (no space, no permission); `path` is then as it was.
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
    """Make an empty temporary file beside the place of a file that is to come.

    Parameters
    ----------
    path : Path
        Its stem and suffix are part of the temporary name.

    Returns
    -------
    Path
    """
    stem, suffix = path.stem[:40], path.suffix[:10]  # a name that is allowed must not become one that is too long
    handle, name = tempfile.mkstemp(
        prefix=f"{TEMPORARY_PREFIX}{stem}-", suffix=suffix + TEMPORARY_SUFFIX, dir=path.parent
    )
    os.close(handle)
    return Path(name)


def temporary_folder(path: Path) -> Path:
    """Make an empty temporary folder beside the place of a folder that is to come.

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
        A file of this name is replaced.
    """
    # mkstemp's file is private; the finished one is as open as any other file of the user's.
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
    """Remove what a killed process has left half-written in a folder; what cannot be removed stays.

    Parameters
    ----------
    folder : Path
    older_than : float
        Seconds; younger ones are spared. In a folder that others write to as well they may still be at it.
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
    """Whether somebody is writing to a folder, or was killed while doing so."""
    return any(folder.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"))


def _rename(temporary: Path, path: Path) -> None:
    """Rename over `path`. Windows refuses while another process looks at it (a browser, a virus scanner): try again."""
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
    """Permissions that this process's new files are not to have."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
