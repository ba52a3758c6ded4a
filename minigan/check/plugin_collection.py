"""What `minigan.check.plugin` adds to a pytest run on a student's file: the tests, and the report that they share.

The tests are in `minigan.check.plugin_tests`, one for each exercise. They run alone or together with other tests that
were named. The file is checked once, in a process of its own, for the exercises that `-m` and `-k` select.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from minigan.check.plugin import OPTION, STRICT, TESTS, student_path

if TYPE_CHECKING:
    from minigan.check.outcomes import FileReport


def pytest_report_header(config: pytest.Config) -> str:
    """Say which file is checked."""
    return f"minigan: checking {config.getoption(OPTION)}"


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Call our tests ``minigan::...``, wherever minigan is installed."""
    if module_path != TESTS:
        return None
    return pytest.Module.from_parent(parent, path=module_path, nodeid="minigan")


@pytest.fixture(scope="session")
def minigan_report(request: pytest.FixtureRequest) -> FileReport:
    """What the checker says about the file, for all exercises of this run."""
    from minigan.check.sandbox.supervisor import check_file
    from minigan.system.errors import RunError

    exercises = [exercise for item in request.session.items if (exercise := exercise_of(item)) is not None]
    try:
        strict = bool(request.config.getoption(STRICT))
        seed = secrets.randbelow(10**6) + 1 if strict else 0  # nobody can learn right answers by heart
        report = check_file(student_path(request.config), exercises=exercises, seed=seed)
    except RunError as error:
        pytest.fail(str(error), pytrace=False)
    report.strict = strict
    report.path = request.config.getoption(OPTION)  # as it was named, so that printed commands can be copied
    return report


def exercise_of(item: pytest.Item) -> str | None:
    """The exercise that one of our tests checks; None for any other test."""
    callspec = getattr(item, "callspec", None)
    return str(callspec.params["exercise"]) if item.path == TESTS and callspec is not None else None
