"""What a new process prints on stderr before it works: nothing of it counts, unless the process never works.

A process that cannot start prints Python's traceback, or a complaint of a library. The program then goes on without it,
after one line for people at most; so the last line of what it printed can be told there, and the rest is dropped. Ranks
(`minigan.ranks.local`) and workers (`minigan.system.worker_pool`) are started in this way.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing import reduction
from types import TracebackType
from typing import Any

_LONGEST = 200
_MOST = 1 << 16


class FirstWords:
    """A file that is stderr for a process while it is being started; it belongs to the parent, inside a ``with`` block.

    Where there is no stderr, and on Windows, nothing is kept.
    """

    def __init__(self) -> None:
        self._file: Any = None
        self._stderr = -1

    def __enter__(self) -> FirstWords:
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                self._stderr = os.dup(2)
                self._file = tempfile.TemporaryFile()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._stderr >= 0:
            os.close(self._stderr)
        if self._file is not None:
            self._file.close()

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """A process that is started inside this block has the file as its stderr."""
        if self._file is None:
            yield
            return
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os.dup2(self._file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(self._stderr, 2)

    def end(self) -> None:
        """In the process that was started: from now on its stderr is the parent's."""
        if self._stderr >= 0:
            with contextlib.suppress(Exception):
                sys.stderr.flush()
            os.dup2(self._stderr, 2)
            os.close(self._stderr)

    def _bytes(self) -> bytes:
        if self._file is None:
            return b""
        self._file.seek(0)
        return bytes(self._file.read(_MOST))

    def last_line(self) -> str:
        """The last line that is not empty: where there is a traceback, the error."""
        lines = self._bytes().decode("utf-8", "replace").split("\n")
        return next((line.strip()[:_LONGEST] for line in reversed(lines) if line.strip()), "")

    def pass_on(self) -> None:
        """Print it after all, for a process that works."""
        if text := self._bytes():
            with contextlib.suppress(OSError):
                os.write(2, text)

    # How it reaches the process that is being started.
    def __getstate__(self) -> Any:
        return reduction.DupFd(self._stderr) if self._file is not None else None

    def __setstate__(self, handle: Any) -> None:
        self._file = None
        self._stderr = -1 if handle is None else handle.detach()
