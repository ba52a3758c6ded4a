"""Files that are written completely or not at all, so that no reader ever sees half a file.

A file is first written under a temporary name in its folder, then flushed to the disk, and only then renamed. Renaming
is all or nothing, even if the power fails. Checkpoints, images and pages are written in this way.

All temporary names have the same form, and the process that makes such a file or folder holds a lock on it. So the next
process knows what a killed one has left behind: it has such a name, and nobody holds it.

What a file system may lack is done without: permissions, locks, and waiting until bytes are on the disk. Some mounted
buckets, network drives and memory cards have none of them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

TEMPORARY_PREFIX, TEMPORARY_SUFFIX = ".minigan-", ".tmp"

STALE_SECONDS = 24 * 3600
"""Where nobody can tell whether a process holds it, a temporary file or folder counts as left behind after this time
without a change."""

_NO_FSYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}

_held: dict[Path, int] = {}  # temporary files that this process makes, and the handles of their locks


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
        If the system cannot write (no space, no permission), or `path` is a device, a pipe or a folder; then `path` has
        not changed.
    """
    if path.exists() and not path.is_file():  # root can put a file in the place of /dev/null, for everybody
        raise OSError(errno.EINVAL, "not an ordinary file", str(path))
    temporary = temporary_file(path)
    try:
        yield temporary
        put_in_place(temporary, path)
    except BaseException as error:
        discard(temporary)
        if isinstance(error, OSError) and error.filename in (temporary, str(temporary)):
            error.filename = str(path)  # people know only this name
        raise


def temporary_file(path: Path) -> Path:
    """Make an empty temporary file in the folder of a file that will be written; then `put_in_place` or `discard` it.

    Parameters
    ----------
    path : Path
        Its stem and suffix are part of the temporary name.

    Returns
    -------
    Path
    """
    stem, suffix = path.stem[:40], path.suffix[:10]  # so that a long name does not become too long

    def make() -> Path:
        try:
            handle, name = tempfile.mkstemp(
                prefix=f"{_own_prefix()}{stem}-", suffix=suffix + TEMPORARY_SUFFIX, dir=path.parent
            )
        except OSError as error:
            error.filename = str(path)  # people know only this name
            raise
        os.close(handle)
        return Path(name)

    temporary, handle = _hold_new(make)
    if handle is not None:
        _held[temporary] = handle
    return temporary


def discard(temporary: Path) -> None:
    """Remove a temporary file, if it is still there."""
    with contextlib.suppress(OSError):
        temporary.unlink()
    _release(temporary)


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Make an empty temporary folder beside a folder that will be made, and remove it unless it was renamed.

    Parameters
    ----------
    path : Path

    Yields
    ------
    Path
    """

    def make() -> Path:
        return Path(tempfile.mkdtemp(prefix=_own_prefix(), suffix=TEMPORARY_SUFFIX, dir=path.parent))

    folder, handle = _hold_new(make)
    try:
        _give_permissions(folder, 0o777)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def put_in_place(temporary: Path, path: Path) -> None:
    """Flush a finished temporary file to the disk and give it its name.

    Parameters
    ----------
    temporary : Path
        From `temporary_file`; closed.
    path : Path
        A file with this name is replaced.
    """
    _give_permissions(temporary, 0o666)
    flush_to_disk(temporary)
    rename(temporary, path)
    _release(temporary)
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


def remove_temporaries(folder: Path, *, of_others: bool = False) -> None:
    """Remove the temporary files and folders of killed processes; those that cannot be removed stay.

    Parameters
    ----------
    folder : Path
    of_others : bool
        Whether other processes may be writing to the folder; then what they hold stays.
    """
    for leftover in list(folder.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}")):
        with contextlib.suppress(OSError), contextlib.ExitStack() as until:
            if of_others and not _is_left_behind(leftover, until):
                continue
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink()


def has_temporaries(folder: Path) -> bool:
    """Whether a process is writing to a folder, or was killed while it did."""
    return any(folder.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"))


def rename(temporary: Path, path: Path) -> None:
    """Rename to `path`. Windows refuses while another process (a browser, a virus scanner) reads it: then try again."""
    for patience in (0.05, 0.1, 0.2, 0.4, 0.8, None):
        try:
            temporary.replace(path)
            return
        except PermissionError:
            if os.name != "nt" or patience is None:
                raise
            time.sleep(patience)


def _give_permissions(path: Path, mode: int) -> None:
    """Give a new file or folder, which `tempfile` makes private, the permissions of the user's other files."""
    with contextlib.suppress(OSError):  # a drive without permissions
        path.chmod(mode & ~umask())


def flush_to_disk(path: Path) -> None:
    """Wait until a file's bytes have reached the disk."""
    with path.open("rb+") as file:
        flush_handle(file.fileno())


def flush_handle(handle: int) -> None:
    """Wait until the bytes of an open file have reached the disk, if its file system can say so.

    Raises
    ------
    OSError
        If they have not: the disk is full or broken.
    """
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise


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


# ---------------------------------------------------------------------------------------------------------------------
# Who makes a temporary file: its process holds a lock on it.
# ---------------------------------------------------------------------------------------------------------------------


def _own_prefix() -> str:
    """Beginning of the temporary names of this machine: another machine may see the files, but not their locks."""
    machine = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]
    return f"{TEMPORARY_PREFIX}{machine}-"


def _hold_new(make: Callable[[], Path]) -> tuple[Path, int | None]:
    """Make a file or folder and lock it; the lock lasts as long as the handle is open. None: there is no lock here."""
    while True:
        path = make()
        handle = _lock(path, wait=True)
        if handle is None or path.exists():
            return path, handle
        os.close(handle)  # between the two calls, `remove_temporaries` took it for left behind


def _release(temporary: Path) -> None:
    handle = _held.pop(temporary, None)
    if handle is not None:
        os.close(handle)


def _is_left_behind(path: Path, until: contextlib.ExitStack) -> bool:
    """Whether no process makes a temporary file or folder any more; none can begin to before `until` ends."""
    try:
        handle = _lock(path, wait=False) if path.name.startswith(_own_prefix()) else None
    except BlockingIOError:
        return False
    if handle is None:
        return time.time() - path.lstat().st_mtime > STALE_SECONDS
    until.callback(os.close, handle)
    return True


def _lock(path: Path, *, wait: bool) -> int | None:
    """Lock a file or folder. None where there are no locks; BlockingIOError if another process has it."""
    if sys.platform == "win32":  # it cannot rename what is open
        return None
    try:
        handle = os.open(path, (os.O_RDONLY if path.is_dir() else os.O_RDWR) | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return handle
