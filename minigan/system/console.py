"""Printing that cannot hurt: file names that hold anything, a reader that has gone away, a terminal that never was.

Training takes hours; it must not end because the ``head -1`` that it was piped into has seen enough.
"""

from __future__ import annotations

import os
import sys


def one_line(message: object) -> str:
    r"""Text as one printable line, whatever file names in it hold.

    >>> one_line("two\nlines")
    'two lines'
    """
    return "".join(c if c.isprintable() else " " if c.isspace() else ascii(c)[1:-1] for c in str(message))


def say(text: str) -> None:
    """Print on stdout; if nobody can hear it any more, go on in silence."""
    try:
        print(text, flush=True)
    except (OSError, ValueError):
        _mute("stdout")


def complain(text: str) -> None:
    """Print on stderr; if nobody can hear it any more, go on in silence."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        _mute("stderr")


def mend_streams() -> None:
    """Give stdout and stderr somewhere to go, and a way to print any file name."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller, or a window without a console
            _mute(name)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _mute(name: str) -> None:
    setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 (open to the end)
