"""Mistakes a user can make, told in one line.

Library code raises `UserError` where the message is meant for the person at the keyboard: it names the argument, the
rule and the value. The command lines turn it into that one line on stderr and exit status 2; nobody sees a traceback
for a mistyped folder. Programming mistakes (a wrong shape handed to a layer) stay ordinary `ValueError` /
`TypeError`.
"""

from __future__ import annotations


class UserError(ValueError):
    """A user's mistake; the message is one line with the rule and the value (exit status 2)."""


class RunError(RuntimeError):
    """A run had to stop through no mistake of the user's.

    Parameters
    ----------
    message : str
        One line that says what happened and what was kept.
    exit_status : int
        The process's exit status: 1 for a failed write, 3 for a loss that is no longer finite.
    """

    def __init__(self, message: str, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status
