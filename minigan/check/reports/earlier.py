"""What has changed since an earlier check: who has solved what meanwhile, and what no longer passes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from minigan.check.outcomes import CHECKER_ERROR, NOT_CHECKED, PASSED, FileReport
from minigan.system.errors import UserError

LARGEST_FILE = 200_000_000

Solved = dict[str, set[str]]
"""Student to the exercises that passed."""


@dataclass(frozen=True)
class Change:
    """What one student has done since.

    Parameters
    ----------
    solved, lost : tuple of str
        Exercises that pass now and did not, and the reverse.
    is_new : bool
        Whether the student was not there before.
    """

    solved: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    is_new: bool = False


def read_earlier(path: Path) -> Solved:
    """What passed in an earlier check.

    Parameters
    ----------
    path : Path
        Written with ``--json``.

    Returns
    -------
    dict of str to set of str

    Raises
    ------
    UserError
        If it is no such file.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError
        found: Solved = {}
        for file in json.loads(path.read_bytes())["files"]:
            passed = {str(o["exercise"]) for o in file["outcomes"] if o["status"] == PASSED}
            found.setdefault(str(file["student"]), set()).update(passed)
        return found
    except OSError as error:
        raise UserError(f"--compare: cannot read {path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"--compare: {path} was not written by --json of this command") from None


def solved_by(reports: Sequence[FileReport]) -> Solved:
    """What passes in these reports, by student."""
    found: Solved = {}
    for report in reports:
        passed = {o.exercise for o in report.outcomes if o.status == PASSED}
        found.setdefault(report.student, set()).update(passed)
    return found


def changes(reports: Sequence[FileReport], earlier: Mapping[str, set[str]]) -> dict[str, Change]:
    """What has changed, by student.

    Parameters
    ----------
    reports : sequence of FileReport
        Each with its student.
    earlier : mapping of str to set of str
        As of `read_earlier`.

    Returns
    -------
    dict of str to Change
        Exercises that could not be checked now are left out.
    """
    order = list(dict.fromkeys(o.exercise for report in reports for o in report.outcomes))
    found = {}
    for student, now in solved_by(reports).items():
        then = earlier.get(student, set())
        own = [o for report in reports if report.student == student for o in report.outcomes]
        judged = {o.exercise for o in own if o.status not in (NOT_CHECKED, CHECKER_ERROR)}
        found[student] = Change(
            tuple(name for name in order if name in now - then),
            tuple(name for name in order if name in (then - now) & judged),
            student not in earlier,
        )
    return found
