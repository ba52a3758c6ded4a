"""What a student's functions print: shown up to a limit, so that a print in a loop fills no notebook and no disk."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import Any

LIMIT = 4_000
"""Characters that are shown."""


class Bounded(io.TextIOBase):
    """A stream that hands on what is written to it, up to a limit, and counts the rest.

    Parameters
    ----------
    stream : text stream, optional
        By default what is standard output at the time.
    limit : int
        Characters to hand on.
    """

    def __init__(self, stream: Any = None, limit: int = LIMIT) -> None:
        self._stream, self._left = stream, limit
        self.dropped = 0

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Some programs ask for it before they print."""
        return "utf-8"

    def write(self, text: str) -> int:
        """Hand the text on, or as much of it as the limit allows."""
        shown = text[: self._left]
        self._left -= len(shown)
        self.dropped += len(text) - len(shown)
        if shown:
            (self._stream or sys.stdout).write(shown)
        return len(text)

    def flush(self) -> None:
        """Flush the stream behind it."""
        (self._stream or sys.stdout).flush()

    def writable(self) -> bool:
        """Yes."""
        return True


@contextlib.contextmanager
def bounded_prints(limit: int = LIMIT) -> Iterator[None]:
    """Inside the block at most `limit` characters are printed; at its end one line says how many were left out."""
    stream = Bounded(sys.stdout, limit)
    try:
        with contextlib.redirect_stdout(stream):
            yield
    finally:
        if stream.dropped:
            print(f"\n[{stream.dropped:,} more characters that were printed are left out]")


def printing_to(stream: Bounded, name: str) -> Any:
    """A `print` for one module: it writes to a bounded stream, and says once when it begins to leave things out.

    Parameters
    ----------
    stream : Bounded
    name : str
        Of the module's file, for that one line.
    """
    full = False

    def bounded_print(*values: object, file: Any = None, **options: Any) -> None:
        nonlocal full
        if file is not None:
            print(*values, file=file, **options)
        elif not full:
            print(*values, file=stream, **options)
            if stream.dropped:
                full = True
                print(f"\n[{name} prints more; it is left out]")

    return bounded_print
