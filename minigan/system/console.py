"""Printing that never ends a program: not with odd file names, with a closed pipe, or without a terminal.

Training takes hours. It must not end because its output was piped into ``head -1``, which closes the pipe after one
line. All commands print with `say` and `complain`.
"""

from __future__ import annotations

import os
import sys


def one_line(message: object) -> str:
    r"""Text as one printable line, whatever characters are in it.

    >>> one_line("two\nlines")
    'two lines'
    """
    return "".join(c if c.isprintable() else " " if c.isspace() else ascii(c)[1:-1] for c in str(message))


def say(text: str) -> None:
    """Print on stdout. If stdout is closed, print nothing from now on."""
    try:
        print(text, flush=True)
    except (OSError, ValueError):
        _mute("stdout")


def complain(text: str) -> None:
    """Print on stderr. If stderr is closed, print nothing from now on."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        _mute("stderr")


def mend_streams() -> None:
    """Make stdout and stderr safe to print to, even if they are missing, and able to print any file name."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller, or a window without a console
            _mute(name)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _mute(name: str) -> None:
    setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 (open to the end)
