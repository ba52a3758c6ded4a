"""Errors that are reported in one line, without a traceback.

`UserError` is for a mistake by the person at the keyboard, such as a mistyped folder. Its message names the argument,
the rule and the value; `minigan.system.cli` prints it on stderr and ends with exit status 2. `RunError` is for a run
that had to stop for another reason. Programming mistakes (an array of the wrong shape) are ordinary `ValueError` and
`TypeError`.

A third kind comes from elsewhere: memory is used up, or a graphics card reports an error. Such exceptions can come from
any line, so no line catches them. `words_for` says whether an exception is one of these, and how to tell it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from minigan.system.scarcity import what_is_scarce
from minigan.system.wording import see

_OF_DISK = {
    errno.ENOSPC,
    errno.EDQUOT if hasattr(errno, "EDQUOT") else errno.ENOSPC,  # Windows has no quotas
    errno.EROFS,
    errno.EIO,
    errno.EFBIG,
}
_OF_CHOICE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENOTEMPTY,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
}


class UserError(ValueError):
    """A user's mistake; the message is one line with the rule and the value (exit status 2)."""


class RunError(RuntimeError):
    """A run had to stop, and not because of a mistake by the user.

    Parameters
    ----------
    message : str
        One line that says what happened and what has been saved.
    exit_status : int
        Exit status of the process: 1 for a full disk and other failures of the machine, 3 for a loss that is no longer
        finite.
    """

    def __init__(self, message: str, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class OwnFunctionError(RuntimeError):
    """A function of the user's own, which training calls, has raised an exception; the message is one line with it."""


def is_of_disk(error: OSError) -> bool:
    """Whether a disk is full, read-only or broken, or a limit on space is reached: nothing can be written there."""
    return error.errno in _OF_DISK


def is_of_choice(error: OSError) -> bool:
    """Whether another path, or a permission, would put it right: then it is the user's to choose (exit status 2)."""
    return error.errno in _OF_CHOICE


def cannot_write(error: OSError, message: str) -> UserError | RunError:
    """The error to raise where something cannot be written, by one rule for all commands.

    Parameters
    ----------
    error : OSError
    message : str
        What cannot be written; the system's reason is added.

    Returns
    -------
    UserError or RunError
        A RunError (exit status 1) if the user cannot help it by another path or a permission: a full or broken disk.
    """
    told = f"{message}: {error.strerror or error}{see('disk') if is_of_disk(error) else ''}"
    return UserError(told) if is_of_choice(error) else RunError(told)


_WORDS: dict[type[Exception], Callable[[Any], str]] = {}


def tell_as(kind: type[Exception], words: Callable[[Any], str]) -> None:
    """From now on, tell exceptions of a kind in one line: not a mistake in the program, but the machine's failure.

    Parameters
    ----------
    kind : type
        Of exception. Where several kinds fit, the one told last counts.
    words : callable
        Makes the line from the exception: what happened, and what to do.
    """
    _WORDS.pop(kind, None)
    _WORDS[kind] = words


def words_for(error: Exception) -> str | None:
    """One line about a failure of the machine; None if the exception is of no such kind.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    str or None

    Examples
    --------
    >>> words_for(MemoryError("1 GB"))
    'out of memory (1 GB) (docs/troubleshooting.md#limits)'
    >>> words_for(TypeError("not an array")) is None
    True
    """
    for kind, words in reversed(_WORDS.items()):
        if isinstance(error, kind):
            return words(error)
    scarce = what_is_scarce(error)
    return None if scarce is None else scarce + see("limits")
