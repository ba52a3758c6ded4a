"""Commands are known from programs of a user's own, by argv[0]."""

import subprocess
import sys

import pytest

from minigan.system import cli, started_as


@pytest.mark.parametrize(
    ("first", "sought", "installed"),
    [
        ("-m", True, False),
        ("/usr/bin/minigan", False, True),
        ("minigan", False, True),
        ("minigan.exe", False, True),
        ("minigan-script.py", False, True),
        ("/home/me/minigan/try.py", False, False),
        ("my-minigan", False, False),
        ("", False, False),
    ],
)
def test_what_argv_says(monkeypatch, first, sought, installed):
    monkeypatch.setattr(sys, "argv", [first])
    assert started_as.is_module_sought() == sought
    assert started_as.is_installed_command() == installed
    assert started_as.is_command() == (sought or installed)


def test_an_embedded_python_has_no_arguments(monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    assert not started_as.is_command()


def test_the_installed_command_is_named_as_it_was_called(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/minigan", "train"])
    assert cli.Parser("minigan.train", "").prog == "minigan train"
    monkeypatch.setattr(sys, "argv", ["-m"])
    assert cli.Parser("minigan.train", "").prog == "python -m minigan.train"


def test_the_installed_command(tmp_path):
    """As the file that pip writes does it; a working folder's numpy.py is never looked at."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "minigan"
    script.write_text("import sys\nfrom minigan.__main__ import console\nsys.exit(console())\n", encoding="utf-8")
    (tmp_path / "numpy.py").write_text("raise SystemExit('of the user')\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script, "train", "--steps", "x"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "(see minigan train --help)" in done.stderr
    assert done.stderr.count("\n") == 1
