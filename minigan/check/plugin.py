"""pytest for a class: ``pytest --minigan-impl=my_layers.py -m lesson10``, from any folder.

pytest loads this module wherever minigan is installed. It adds the option and the markers lesson1 to lesson14. If the
option is given, `minigan.check.plugin_collection` brings the tests in. So all that other people's test runs get of
minigan is this small file, which every pytest can load, however old it is.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

OPTION = "--minigan-impl"
STRICT = "--minigan-strict"
LESSONS = range(1, 15)
TESTS = Path(__file__).with_name("plugin_tests.py")
OLDEST = (7, 2)
"""The first pytest that says where its arguments come from, which `plugin_collection` has to know."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("minigan")
    group.addoption(
        OPTION, metavar="FILE", default=None, help="check this file of layers, one test for each exercise of minigan"
    )
    group.addoption(
        STRICT, action="store_true", help="what is not implemented fails, and the test cases are drawn anew"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers; with the option, look at the file and add the tests."""
    for lesson in LESSONS:
        config.addinivalue_line("markers", f"lesson{lesson}: exercises of minigan's lesson {lesson}")
    if config.getoption(OPTION) is None:
        return
    version = tuple(int(number) for number in pytest.__version__.split(".")[:2])
    if version < OLDEST:
        raise pytest.UsageError(
            f"{OPTION} needs pytest {'.'.join(map(str, OLDEST))} or newer, this is {pytest.__version__}: "
            "python -m pip install --upgrade pytest"
        )
    from minigan.check.sandbox.supervisor import student_file
    from minigan.system.errors import UserError

    try:
        student_file(student_path(config))
    except UserError as error:
        raise pytest.UsageError(f"{OPTION}: {error}") from None
    tests = str(TESTS)
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = [tests]  # no path was named: run only ours, not all below this folder
    elif tests not in config.args:
        config.args.append(tests)
    config.pluginmanager.import_plugin("minigan.check.plugin_collection")


def student_path(config: pytest.Config) -> Path:
    """The student's file, even if a test has changed the working folder since."""
    named = os.path.expanduser(config.getoption(OPTION))  # noqa: PTH111 (of an unknown user, it stays as it is)
    return Path(config.invocation_params.dir, named)
