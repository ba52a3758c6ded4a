"""pytest for a class: ``pytest --minigan-impl=my_layers.py -m lesson10``, from any folder.

pytest loads this module wherever minigan is installed. It adds the option and the markers lesson1 to lesson14. If the
option is given, the tests in `minigan.check.plugin_tests`, one for each exercise, run on the student's file, alone or
together with other tests that were named. The file is checked once, in a process of its own, for the exercises that
`-m` and `-k` select.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # nothing heavy at run time: pytest loads this module in every run
    from minigan.check.outcomes import FileReport

OPTION = "--minigan-impl"
LESSONS = range(1, 15)
TESTS = Path(__file__).with_name("plugin_tests.py")

_report_key: pytest.StashKey[FileReport] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("minigan").addoption(
        OPTION, metavar="FILE", default=None, help="check this file of layers, one test for each exercise of minigan"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers; with the option, look at the file and add the tests."""
    for lesson in LESSONS:
        config.addinivalue_line("markers", f"lesson{lesson}: exercises of minigan's lesson {lesson}")
    if config.getoption(OPTION) is None:
        return
    from minigan.check.sandbox.supervisor import student_file
    from minigan.system.errors import UserError

    try:
        student_file(_file(config))
    except UserError as error:
        raise pytest.UsageError(f"{OPTION}: {error}") from None
    tests = str(TESTS)
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = [tests]  # no path was named: run only ours, not all below this folder
    elif tests not in config.args:
        config.args.append(tests)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Keep our tests out of every run without a file to check."""
    return True if collection_path == TESTS and config.getoption(OPTION) is None else None


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which file is checked."""
    file = config.getoption(OPTION)
    return None if file is None else f"minigan: checking {file}"


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Call our tests ``minigan::...``, wherever minigan is installed."""
    if module_path != TESTS:
        return None
    return pytest.Module.from_parent(parent, path=module_path, nodeid="minigan")


@pytest.fixture(scope="session")
def minigan_report(request: pytest.FixtureRequest) -> FileReport:
    """What the checker says about the file, for all exercises of this run."""
    stash = request.config.stash
    if _report_key not in stash:
        from minigan.check.sandbox.supervisor import check_file

        exercises = [exercise for item in request.session.items if (exercise := exercise_of(item)) is not None]
        report = check_file(_file(request.config), exercises=exercises)
        report.path = request.config.getoption(OPTION)  # as it was named, so that printed commands can be copied
        stash[_report_key] = report
    return stash[_report_key]


def exercise_of(item: pytest.Item) -> str | None:
    """The exercise that one of our tests checks; None for any other test."""
    callspec = getattr(item, "callspec", None)
    return str(callspec.params["exercise"]) if item.path == TESTS and callspec is not None else None


def _file(config: pytest.Config) -> Path:
    """The student's file, even if a test has changed the working folder since."""
    return Path(config.invocation_params.dir, Path(config.getoption(OPTION)).expanduser())
