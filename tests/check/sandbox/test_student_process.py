"""The process that runs a student's file: whose fault an exception is."""

import pytest

from minigan.check.engine import ladder
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import CHECKER_ERROR, FAILED
from minigan.check.sandbox import student_process


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(ValueError("ours"), CHECKER_ERROR, ""), (MemoryError(), FAILED, "E05"), (SystemExit(), FAILED, "E10")],
)
def test_what_the_engine_raises_is_told_apart(monkeypatch, error, status, code):
    def broken(*_, **__):
        raise error

    monkeypatch.setattr(ladder, "run_exercise", broken)
    outcome = student_process.check_one("conv2d", pytest, "NHWC", 0)
    assert (outcome.status, outcome.finding.code, outcome.lesson) == (status, code, EXERCISES["conv2d"].lesson)
    assert not outcome.ok
