"""Errors that are reported in one line, without a traceback.

`UserError` is for a mistake by the person at the keyboard, such as a mistyped folder. Its message names the argument,
the rule and the value; `minigan.system.cli` prints it on stderr and ends with exit status 2. `RunError` is for a run
that had to stop for another reason. Programming mistakes (an array of the wrong shape) are ordinary `ValueError` and
`TypeError`.
"""

from __future__ import annotations


class UserError(ValueError):
    """A user's mistake; the message is one line with the rule and the value (exit status 2)."""


class RunError(RuntimeError):
    """A run had to stop, and not because of a mistake by the user.

    Parameters
    ----------
    message : str
        One line that says what happened and what has been saved.
    exit_status : int
        Exit status of the process: 1 for a failed write, 3 for a loss that is no longer finite.
    """

    def __init__(self, message: str, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status
