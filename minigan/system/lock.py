"""A lock that lets only one process at a time write to a run folder.

Two processes that train in the same folder would cut each other's logs and replace each other's checkpoints. So a
process that writes to a run holds a lock on the file ``.lock`` in its folder. It is a lock of the operating system, and
it ends with the process, however the process ends; the file itself may stay and means nothing. The file names the
process that holds the lock, so that a second process can print the name. A process that only reads needs no lock: every
file is replaced as a whole (`minigan.system.atomic_files`), or grows by whole lines.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import time
from datetime import datetime
from pathlib import Path
from types import TracebackType

from minigan.system.console import complain, one_line
from minigan.system.errors import UserError
from minigan.system.wording import see

LOCK_NAME = ".lock"
_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)  # what the systems report if another process has the lock
_LONGEST = 200


class FolderLock:
    """The right to write to a run folder, held until `release` or the end of the process.

    It can be used in a ``with`` statement, and then holds the lock inside the block.

    Parameters
    ----------
    folder : Path
        Must exist.

    Raises
    ------
    UserError
        If another process, or another lock in this process, has it; the message says which.
    OSError
        If the file cannot be written at all.

    Notes
    -----
    If the file system has no locks (as some network shares), a warning is printed, and there is no lock.
    """

    def __init__(self, folder: Path) -> None:
        # Links are not followed, because the file is overwritten.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        self._file: int | None = os.open(folder / LOCK_NAME, flags, 0o666)
        try:
            _lock_patiently(self._file)
        except OSError as error:
            holder = _read(self._file)
            self._close()
            if error.errno in _HELD:
                raise UserError(
                    f"{folder} is in use by {holder or 'another process'}: wait until it has ended, or stop it"
                    + see("in-use")
                ) from None
            complain(
                f"minigan: warning: {one_line(folder)} is on a file system without locks "
                f"({error.strerror or error}): see to it that no second process writes to it"
            )
            return
        _write(self._file, f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}")

    def release(self) -> None:
        """Give up the lock; may be called more than once."""
        if self._file is not None:
            _write(self._file, "")
            self._close()

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _lock_patiently(file: int) -> None:
    """Take the lock; try four times, because a process that checks whether a run is in training has it for a moment."""
    for patience in (0.05, 0.1, 0.2):
        try:
            return _lock(file)
        except OSError as error:
            if error.errno not in _HELD:
                raise
            time.sleep(patience)
    return _lock(file)


def _read(file: int) -> str:
    """The process that holds the lock, in one line; empty if it is not known."""
    with contextlib.suppress(OSError):
        os.lseek(file, 0, os.SEEK_SET)
        return one_line(os.read(file, _LONGEST).decode("utf-8", "replace")).strip()
    return ""


def _write(file: int, text: str) -> None:
    with contextlib.suppress(OSError):  # on a full disk, the lock holds without a name
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, text.encode("utf-8"))


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        # Windows locks bytes, and other processes cannot read them. So this locks a byte far behind the text.
        os.lseek(file, 1 << 30, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
