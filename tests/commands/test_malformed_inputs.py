"""Malformed inputs before every command: one line, the right exit status, little memory, and nothing changed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import malformed_inputs
import pytest

PROGRESS = re.compile(r"(Reading images|Drawing faces|Training|Drawing|Preparing)\b")
MOST_KILOBYTES = 100_000
"""How much memory a case may take."""

CASES = malformed_inputs.cases()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The result of each case, by its name."""
    command = [sys.executable, str(Path(malformed_inputs.__file__))]
    running = [
        subprocess.Popen(
            [*command, str(tmp_path_factory.mktemp("malformed")), str(part), "2"],
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        for part in range(2)
    ]
    found = [json.loads(process.communicate()[0]) for process in running]
    return {result["name"]: result for part in found for result in part}


def lines_of(error):
    """The text that stays on the screen, without progress bars."""
    shown = (line.rsplit("\r", 1)[-1] for line in error.split("\n"))
    return [line for line in shown if line.strip() and not PROGRESS.match(line)]


def test_names_are_unique():
    assert len({case.name for case in CASES}) == len(CASES) > 500


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case.name))
def test_one_line(results, case):
    result = results[case.name]
    assert result["status"] == case.status, result["error"]
    lines = lines_of(result["error"])
    assert case.says in result["error"]
    assert all(line.isprintable() for line in lines)
    if case.status:
        (line,) = lines
        assert line.startswith("minigan: error: ")
        assert len(line) < 1500
    else:
        assert all(line.startswith("minigan: warning: ") for line in lines)
    assert result["changed"] == []
    assert result["kilobytes"] < MOST_KILOBYTES
