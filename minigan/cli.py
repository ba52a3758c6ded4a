"""What the command lines share: one-line errors and exit statuses.

Exit status 0: done. 1: stopped by the system (a full disk). 2: a user's mistake, nothing written. 3: the numbers are no
longer finite. 130: stopped by Ctrl-C, everything saved.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from minigan.errors import RunError, UserError


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
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text[:40]!r}") from None


def path_name(text: str) -> str:
    """A path that says something: the empty one would mean the current folder.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is empty.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError(f"must be a path, got {text!r}")
    return text


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
    try:
        return command(argv)
    except UserError as error:
        return _say(error, 2)
    except RunError as error:
        return _say(error, error.exit_status)
    except BrokenPipeError:
        sys.stderr.close()  # or Python complains once more while it exits
        return 1
    except OSError as error:
        return _say(error, 1)
    except MemoryError as error:
        return _say(f"out of memory ({error}); try a smaller --batch-size or --width", 1)
    except KeyboardInterrupt:
        return _say("stopped", 130)


def _say(message: object, status: int) -> int:
    # One line whatever file names hold, and printable whatever the terminal's encoding.
    text = " ".join(str(message).split())
    encoding = sys.stderr.encoding or "utf-8"
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    print(f"minigan: {'error: ' if status in (1, 2, 3) else ''}{text}", file=sys.stderr)
    return status
