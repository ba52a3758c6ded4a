"""What the checker says: outcomes, findings and their codes, as plain data.

The engine (`minigan.check.engine.ladder`) makes one `Outcome` for each exercise; reports, the pytest plugin and JSON
files pass it on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

PASSED = "passed"
FAILED = "failed"
NOT_IMPLEMENTED = "not implemented"
NOT_CHECKED = "not checked"
CHECKER_ERROR = "checker error"
STATUSES = (PASSED, FAILED, NOT_IMPLEMENTED, NOT_CHECKED, CHECKER_ERROR)

RUNGS = ("load", "contract", "hygiene", "forward", "algebra", "gradient", "behaviour")
"""The ladder, from the bottom; a check stops at the first rung that fails."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, in words a student can use.

    Parameters
    ----------
    code : str
        A key of `minigan.check.codes.CODES`, such as "E58".
    rung : str
        Where on the ladder, one of `RUNGS`.
    title : str
        What is wrong, one line.
    evidence : tuple of str
        What was measured: shapes, values, share of wrong entries. One line each.
    cause : str
        Why it is probably wrong; "" if nothing fits.
    hints : tuple of str
        Up to three, from a nudge to the way out.
    where : str
        The function, e.g. "batch_norm_backward: dx".
    """

    code: str
    rung: str
    title: str
    evidence: tuple[str, ...] = ()
    cause: str = ""
    hints: tuple[str, ...] = field(default=(), repr=False)  # whoever wants more of them asks for more
    where: str = ""


@dataclass
class Outcome:
    """Result of checking one exercise.

    Parameters
    ----------
    exercise : str
        A key of `minigan.check.exercise_table.EXERCISES`.
    status : str
        One of `STATUSES`.
    finding : Finding or None
        What is wrong, if failed.
    passed : list of str
        What was found right, in a few words each ("forward", "dx").
    lesson : int
        The lesson that teaches it.
    seconds : float
        Time the check took.
    picture : dict or None
        For failures of a gradient: ``{"name": "dx", "index": [...], "yours": 2-D list, "numeric": 2-D list}``, one
        slice of the smallest failing case.
    note : str
        Something worth knowing although nothing is wrong, such as that it computes in float32.
    """

    exercise: str
    status: str
    finding: Finding | None = None
    passed: list[str] = field(default_factory=list)
    lesson: int = 0
    seconds: float = 0.0
    picture: dict[str, Any] | None = field(default=None, repr=False)
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong (it may not be implemented yet)."""
        return self.status in (PASSED, NOT_IMPLEMENTED)

    def _ipython_display_(self) -> None:
        """Nothing: `minigan.check.check` has printed what there is to say."""

    def to_dict(self) -> dict[str, Any]:
        """As plain dicts and lists, for JSON."""
        return asdict(self)


@dataclass
class FileReport:
    """Outcomes of all exercises for one student's file.

    Parameters
    ----------
    path : str
        The file as it was named.
    outcomes : list of Outcome
        In the order of the exercises.
    problem : Finding or None
        Why the file could not be checked at all (it does not parse, its import fails ...).
    layout : str
        "NHWC" or "NCHW".
    seconds : float
    strict : bool
        Whether what is not implemented counts as failed.
    student : str
        Whose file it is.
    borrowed : dict of str to list of str
        Functions that are minigan's own, or use what is, and what that is.
    seed : int
        Of the test cases.
    """

    path: str
    outcomes: list[Outcome]
    problem: Finding | None = None
    layout: str = "NHWC"
    seconds: float = 0.0
    strict: bool = False
    student: str = ""
    borrowed: dict[str, list[str]] = field(default_factory=dict)
    seed: int = 0

    def count(self, status: str) -> int:
        """How many outcomes have a status."""
        return sum(outcome.status == status for outcome in self.outcomes)

    @property
    def ok(self) -> bool:
        """Whether all that is implemented passes; if `strict`, whether all passes."""
        right = (outcome.status == PASSED if self.strict else outcome.ok for outcome in self.outcomes)
        return self.problem is None and all(right)

    def to_dict(self) -> dict[str, Any]:
        """As plain dicts and lists, for JSON."""
        return {
            "path": self.path,
            "student": self.student,
            "layout": self.layout,
            "seconds": self.seconds,
            "problem": None if self.problem is None else asdict(self.problem),
            "outcomes": [outcome.to_dict() for outcome in self.outcomes],
        }


class Stop(Exception):  # noqa: N818 -- not an error: the check ends here
    """A rung has failed; the check ends with this finding."""

    def __init__(self, finding: Finding, picture: dict[str, Any] | None = None) -> None:
        super().__init__(finding.title)
        self.finding, self.picture = finding, picture


class Halted(Exception):  # noqa: N818 -- not an error of the checker
    """Nothing more can be asked of the student's functions: their process was ended, or has run out of memory."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.title)
        self.finding = finding


class NotYet(Exception):  # noqa: N818 -- not an error
    """The student has not written this function yet."""
