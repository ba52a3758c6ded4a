"""One test for each exercise, on the file that ``pytest --minigan-impl`` names; see `minigan.check.plugin`."""

from __future__ import annotations

import pytest

from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import FAILED, NOT_CHECKED, NOT_IMPLEMENTED, PASSED, FileReport
from minigan.check.plugin import OPTION
from minigan.check.reports.text_report import render_finding, render_problem
from minigan.system.command_lines import command


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each exercise, marked with its lesson; none in a run without a file to check."""
    if "exercise" in metafunc.fixturenames:
        cases = [
            pytest.param(name, id=name, marks=getattr(pytest.mark, f"lesson{exercise.lesson}"))
            for name, exercise in EXERCISES.items()
            if metafunc.config.getoption(OPTION) is not None
        ]
        metafunc.parametrize("exercise", cases)


def test_exercise(exercise: str, minigan_report: FileReport) -> None:
    """Pass, skip, or fail with what the checker says."""
    outcome = next(outcome for outcome in minigan_report.outcomes if outcome.exercise == exercise)
    if outcome.status == PASSED:
        return
    if outcome.status == NOT_IMPLEMENTED and minigan_report.strict:
        pytest.fail(f"{exercise}   not implemented yet", pytrace=False)
    if outcome.status == NOT_IMPLEMENTED:
        pytest.skip("not implemented yet")
    if outcome.status == NOT_CHECKED:
        pytest.fail(render_problem(minigan_report) or f"{exercise}   not checked: {outcome.note}", pytrace=False)
    text = render_finding(outcome, minigan_report.path)
    if minigan_report.seed:
        seed = minigan_report.seed
        text += f"\n  The test cases were drawn with seed {seed}: {command('minigan.check', 'FILE', '--seed', seed)}"
    pytest.fail(text if outcome.status == FAILED else f"{text}\n  This is a mistake of minigan's.", pytrace=False)
