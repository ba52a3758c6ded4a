"""Writing files so that a reader, or the next run, never meets half a file.

Everything that matters is first written under a temporary name beside its place, flushed to the disk, and only then
renamed: a rename is all or nothing, also when the power fails.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

TEMPORARY_SUFFIX = ".tmp"


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
        An empty file in the same folder, with the same suffix before the ``.tmp``.

    Raises
    ------
    OSError
        As the system says (no space, no permission); `path` is then as it was.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix + TEMPORARY_SUFFIX, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp's file is private; the finished one is as open as any other file of the user's.
        temporary.chmod(0o666 & ~umask())
        flush_to_disk(temporary)
        temporary.replace(path)
        _flush_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


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


def remove_temporaries(folder: Path) -> None:
    """Remove what an earlier process left half-written in a folder."""
    for leftover in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        with contextlib.suppress(OSError):
            leftover.unlink()


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
