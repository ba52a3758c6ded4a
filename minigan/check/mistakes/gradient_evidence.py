"""One wrong gradient on one case: what the student's backward returned, and what the measurement says."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from minigan.check.calls.student_functions import CheckedCall, Subject, call_backward
from minigan.check.exercise_table import Case, Exercise
from minigan.check.mistakes.hypotheses import MEASURED, Tried, same
from minigan.check.numeric import numeric_gradient
from minigan.nn.backend import Array


class Evidence:
    """One case: the student's gradient, and the measured one.

    Parameters
    ----------
    subject : Subject
    run : CheckedCall
        The calls that gave it.
    name : str
        The gradient that is wrong, in this case or in others.
    passes : bool
        Whether it is right in this case. Then the measured one is taken to be the student's.
    """

    def __init__(self, subject: Subject, run: CheckedCall, name: str, *, passes: bool = False) -> None:
        self.subject, self.run, self.name, self.passes = subject, run, name, passes
        self.forward, self.dy, self.gradients = run
        self.case: Case = self.forward.case
        self.exercise = subject.exercise
        self.names = list(self.exercise.gradients)

    @property
    def yours(self) -> Array:
        """The student's gradient."""
        return self.gradients[self.names.index(self.name)]

    @cached_property
    def numeric(self) -> Array:
        """The measured gradient."""
        return self.yours if self.passes else _numeric_of(self.exercise, self.run, self.name)

    def numeric_for(self, name: str) -> Array:
        """The measured gradient of another argument."""
        return self.numeric if name == self.name else _numeric_of(self.exercise, self.run, name)

    def with_dy(self, dy: Array) -> Array:
        """The student's gradient for the same cache and another dy."""
        return call_backward(self.subject, self.forward, dy)[self.names.index(self.name)]

    def numeric_with_dy(self, dy: Array) -> Array:
        """The measured gradient for another dy."""
        return _numeric_of(self.exercise, CheckedCall(self.forward, dy, self.gradients), self.name)

    def fits(self, other: Any) -> bool:
        """Whether the student's gradient is this one."""
        return same(self.yours, np.asarray(other), MEASURED)

    @property
    def tried(self) -> Tried:
        """The same as a plain record."""
        return Tried(self.case, self.yours, self.numeric)


def _numeric_of(exercise: Exercise, run: CheckedCall, name: str) -> Array:
    """The numeric gradient of one run for one gradient's argument."""
    forward, dy, _ = run
    return numeric_gradient(exercise, forward.case, exercise.gradients[name], dy)
