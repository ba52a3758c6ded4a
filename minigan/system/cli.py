"""What the command lines share: one-line errors and exit statuses.

Exit status 0: done. 1: stopped by the system (a full disk). 2: a user's mistake, nothing written. 3: the numbers are no
longer finite. 130: stopped by Ctrl-C, everything saved.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from minigan.system.console import complain, mend_streams, one_line
from minigan.system.errors import RunError, UserError
from minigan.system.interrupts import restore_interrupts


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors and without guessing at abbreviations."""

    def __init__(self, prog: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=f"python -m {prog}",
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line and exit with status 2."""
        raise UserError(f"{message} (see {self.prog} --help)")


def whole(text: str) -> int:
    """A whole number, written 10000 or 10_000.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is none.
    """
    if not re.fullmatch(r"[+-]?[0-9][0-9_]*", text, re.ASCII) or len(text) > 40 or "__" in text or text.endswith("_"):
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text[:40]!r}")
    return int(text)


def number(text: str) -> float:
    """A finite number.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is none.
    """
    try:
        value = float(text) if text.isascii() else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be a number, got {text[:40]!r}")
    return value


def core_count(text: str) -> int:
    """How many threads to work with: 1 to the number of the machine's cores.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is out of range, or no whole number.
    """
    count, cores = whole(text), os.cpu_count() or 1
    if not 1 <= count <= cores:
        raise argparse.ArgumentTypeError(f"must be 1 to {cores}, the number of this machine's cores, got {count}")
    return count


def path_name(text: str) -> str:
    """A path that says something: the empty one would mean the current folder.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is empty.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError(f"must be a path, got {text!r}")
    try:
        return str(Path(text).expanduser())
    except RuntimeError as error:  # ~somebody who has no home here
        raise argparse.ArgumentTypeError(f"cannot be found: {text!r} ({error})") from None


def run_command(command: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Call a command and turn what it raises into one line on stderr and an exit status.

    Parameters
    ----------
    command : callable
        Takes the arguments, returns an exit status.
    argv : sequence of str, optional
        By default the process's own.

    Returns
    -------
    int
        Exit status.
    """
    mend_streams()
    try:
        with _termination_as_exit():
            return command(argv)
    except UserError as error:
        return _say(error, 2)
    except RunError as error:
        return _say(error, error.exit_status)
    except OSError as error:
        return _say(error, 1)
    except MemoryError as error:
        return _say(f"out of memory ({error}); try a smaller --batch-size or --width", 1)
    except KeyboardInterrupt:
        return _say("stopped", 130)


def _say(message: object, status: int) -> int:
    complain(f"minigan: {'error: ' if status in (1, 2, 3) else ''}{one_line(message)}")
    return status


@contextlib.contextmanager
def _termination_as_exit() -> Iterator[None]:
    """Within this, a request to terminate (SIGTERM) cleans up like any other end, with status 143."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    restore_interrupts()
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
