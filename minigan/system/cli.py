"""What all commands share: their parser, the readers of option values, one-line errors and exit statuses.

Exit status 0: done. 1: stopped by the system (a full disk, a GPU that fails). 2: a user's mistake, nothing written. 3:
a number is no longer finite. 130: stopped by Ctrl-C, everything saved. 143: stopped by SIGTERM, everything saved. 129:
stopped because the terminal was closed (SIGHUP), everything saved.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from minigan.system.console import complain, mend_streams, one_line, with_short_words
from minigan.system.cores import allowed_processors
from minigan.system.errors import RunError, UserError, is_of_choice, is_of_disk, words_for
from minigan.system.interrupts import restore_interrupts
from minigan.system.started_as import is_installed_command
from minigan.system.wording import see

SAME_REQUEST_SECONDS = 0.5
"""Signals that come within this time are one request to stop."""

ASK_AGAIN_SECONDS = SAME_REQUEST_SECONDS + 0.1


class Parser(argparse.ArgumentParser):
    """argparse with errors of one line, and without abbreviated options."""

    def __init__(self, prog: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=prog.replace(".", " ") if is_installed_command() else f"python -m {prog}",
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Raise UserError, which `run_command` turns into one line and exit status 2."""
        raise UserError(f"{message} (see {self.prog} --help)")


def whole(text: str) -> int:
    """Read a whole number, written 10000 or 10_000.

    Raises
    ------
    argparse.ArgumentTypeError
        If the text is not one.
    """
    if not re.fullmatch(r"[+-]?[0-9][0-9_]*", text, re.ASCII) or len(text) > 40 or "__" in text or text.endswith("_"):
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text[:40]!r}")
    return int(text)


def number(text: str) -> float:
    """Read a finite number.

    Raises
    ------
    argparse.ArgumentTypeError
        If the text is not one.
    """
    try:
        value = float(text) if text.isascii() else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be a number, got {text[:40]!r}")
    return value


def core_count(text: str) -> int:
    """Read a number of cores: 1 to as many as this process may use.

    Raises
    ------
    argparse.ArgumentTypeError
        If the number is out of range, or not a whole number.
    """
    count, cores = whole(text), allowed_processors()
    if not 1 <= count <= cores:
        raise argparse.ArgumentTypeError(
            f"must be 1 to {cores}, the number of cores that may be used here, got {count}"
        )
    return count


def path_name(text: str) -> str:
    """Read a path that is not empty (an empty one would mean the current folder). ``~`` is the home folder.

    Raises
    ------
    argparse.ArgumentTypeError
        If the path is empty, or there is no such home folder.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError(f"must be a path, got {text!r}")
    try:
        return str(Path(text).expanduser() if text.startswith("~") else Path(text))  # ./~ is a name like others
    except RuntimeError as error:  # ~name, of a user who does not exist here
        raise argparse.ArgumentTypeError(f"cannot be found: {text!r} ({error})") from None


def run_command(command: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Call a command, and turn an exception that it raises into one line on stderr and an exit status.

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
    except KeyboardInterrupt:
        if argv is None:
            _end_in_peace()
        return _say("stopped", 130)
    except Exception as error:
        words = words_for(error)
        if words is not None:
            return _say(words, 1)
        if isinstance(error, OSError):
            return _say(f"{error}{see('disk') if is_of_disk(error) else ''}", 2 if is_of_choice(error) else 1)
        raise
    finally:
        if argv is None:
            _end_in_peace()


def _say(message: object, status: int) -> int:
    told = one_line(message)
    if status == 2:  # other messages may hold a command to copy
        told = with_short_words(told)
    complain(f"minigan: {'error: ' if status in (1, 2, 3) else ''}{told}")
    return status


def _end_in_peace() -> None:
    """Ignore further requests to stop: the process is about to end, and Python would print where it was interrupted."""
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)


@contextlib.contextmanager
def _termination_as_exit() -> Iterator[None]:
    """Within this, SIGTERM and SIGHUP raise SystemExit with status 143 and 129, so that `finally` clauses clean up."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    restore_interrupts()
    numbers = [signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        numbers.append(signal.SIGHUP)
    before, hook = {number: signal.signal(number, leave) for number in numbers}, sys.unraisablehook
    sys.unraisablehook = partial(_ask_again, hook)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook


def _ask_again(hook: Callable[[Any], object], told: Any) -> None:
    """Repeat a request to stop that came while Python deleted an object: there it ends nothing, and is only printed."""
    again = {KeyboardInterrupt: signal.SIGINT, SystemExit: signal.SIGTERM}.get(told.exc_type)
    if again is None:
        hook(told)
    else:  # from another thread, because here the answer would come at once, and be lost again
        again_later = threading.Timer(ASK_AGAIN_SECONDS, signal.raise_signal, [again])
        again_later.daemon = True
        again_later.start()
