"""Printing that never ends a program: not with odd file names, with a closed pipe, on a full disk, or with no terminal.

Training takes hours. It must not end because its output was piped into ``head -1``, which closes the pipe after one
line, or because the disk of a log file is full. So in every command, what cannot be printed is dropped, whoever prints
it (`mend_streams`). All commands print with `say` and `complain`.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from minigan.system.wording import shortened

_without_bars: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext

_LONG_WORD = re.compile(r"\S{520,}")


def one_line(message: object) -> str:
    r"""Text as one printable line, whatever characters are in it.

    >>> one_line("two\nlines")
    'two lines'
    """
    return "".join(c if c.isprintable() else " " if c.isspace() else ascii(c)[1:-1] for c in str(message))


def with_short_words(line: str) -> str:
    """A line in which no path fills the screen: very long words lose their middle.

    >>> len(with_short_words("there is no folder " + 4000 * "x"))
    339
    """
    return _LONG_WORD.sub(lambda word: shortened(word[0], 320), line)


def print_above(bars: Callable[[], AbstractContextManager[object]]) -> None:
    """From now on `say` and `complain` print inside this context, in which there are no progress bars on the screen."""
    global _without_bars
    _without_bars = bars


def say(text: str) -> None:
    """Print on stdout. If stdout is closed, print nothing from now on."""
    try:
        with _without_bars():
            print(text, flush=True)
    except (OSError, ValueError):
        _mute("stdout")


def complain(text: str) -> None:
    """Print on stderr. If stderr is closed, print nothing from now on."""
    try:
        with _without_bars():
            print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        _mute("stderr")


def warn(message: object) -> None:
    """Print a warning on stderr, in one line."""
    complain(f"minigan: warning: {with_short_words(one_line(message))}")


def exclaim(text: str) -> None:
    """Print on stderr from a signal's handler: around Python's stream, which may be in the middle of printing."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.write(sys.stderr.fileno(), text.encode())


def mend_streams() -> None:
    """Make stdout and stderr of this process safe to print to.

    They print any file name in any encoding; what they cannot print, because nobody reads it any more, the disk is full
    or the terminal is gone, is dropped. Streams that another program has put in their places only get the first.
    """
    _open_missing_handles()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller, or a window without a console
            _mute(name)
        elif stream is getattr(sys, f"__{name}__") and hasattr(stream, "buffer"):
            setattr(sys, name, _unfailing(stream))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class _Dropping(io.RawIOBase):
    """A file to write to that never fails: what cannot be written is dropped."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.name = file.name

    def write(self, data: Any) -> int:
        """Write, or drop."""
        try:
            return self._file.write(data) or len(data)  # None: a pipe that does not wait is full
        except OSError:
            return len(data)

    def writable(self) -> bool:
        """Yes."""
        return True

    def fileno(self) -> int:
        """The file's number."""
        return int(self._file.fileno())

    def isatty(self) -> bool:
        """Whether the file is a terminal."""
        return bool(self._file.isatty())


def _unfailing(stream: Any) -> io.TextIOWrapper:
    """The same stream with a file that never fails.

    It replaces the file below the stream's buffer: a print that has failed leaves its words in the buffer, and Python
    would try to print them again at the very end.
    """
    with contextlib.suppress(OSError):
        stream.flush()
    file = getattr(stream.buffer, "raw", stream.buffer)
    return io.TextIOWrapper(
        io.BufferedWriter(_Dropping(file)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _open_missing_handles() -> None:
    """Open the null device for stdin, stdout and stderr where the caller has closed them.

    The system gives the lowest free number to the next file that is opened. It could be a log of a run, and a library
    that complains on "number 2" would write into it.
    """
    if os.name == "nt":
        return
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets this number


def _mute(name: str) -> None:
    setattr(sys, name, open(os.devnull, "w", errors="backslashreplace"))  # noqa: SIM115, PTH123 (open to the end)
