"""A file in the working folder is not taken for a module of Python or of a library, in commands and in processes."""

import os
import subprocess
import sys

import pytest

from minigan.system.working_folder import put_working_folder_last


@pytest.mark.parametrize(
    ("first", "safe", "moves"),
    [("-m", False, True), ("-m", True, False), ("script.py", False, False), ("", False, False)],
)
def test_only_a_commands_working_folder_moves(monkeypatch, first, safe, moves):
    class Flags:
        safe_path = safe

    monkeypatch.setattr(sys, "argv", [first])
    monkeypatch.setattr(sys, "flags", Flags)
    monkeypatch.setattr(sys, "path", ["here", "a", "b"])
    put_working_folder_last()
    assert sys.path == (["a", "b", "here"] if moves else ["here", "a", "b"])


def test_a_deleted_working_folder_is_not_in_the_path(monkeypatch):
    def gone():
        raise FileNotFoundError

    monkeypatch.setattr(sys, "argv", ["-m"])
    monkeypatch.setattr(os, "getcwd", gone)
    monkeypatch.setattr(sys, "path", ["a", "b"])
    put_working_folder_last()
    assert sys.path == ["a", "b"]


NAMES = ("random", "queue", "signal", "subprocess", "tempfile", "socket", "numpy", "PIL", "tqdm", "html", "data")


@pytest.fixture
def folder(tmp_path):
    """A folder with files of the user's own that have the names of modules; each would end a program."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the user has been run')\n", encoding="utf-8")
    (tmp_path / "safetensors").mkdir()
    (tmp_path / "safetensors" / "__init__.py").write_text("raise SystemExit('a folder')\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "command", ["train --dry-run", "sample --help", "check --list", "report --help", "data --help"]
)
def test_a_command_does_not_run_what_lies_in_its_folder(folder, command):
    module, *arguments = command.split()
    done = subprocess.run(
        [sys.executable, "-m", f"minigan.{module}", *arguments], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_process_that_is_started_there_does_not_either(folder, tmp_path_factory):
    script = tmp_path_factory.mktemp("elsewhere") / "work.py"
    script.write_text(
        "import operator\n"
        "from minigan.system.worker_pool import Workers\n"
        "with Workers(1, operator.attrgetter, ('real',)) as workers:\n"
        "    print(*workers.in_order([3, 4]))\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, script], cwd=folder, capture_output=True, text=True)
    assert done.stdout.split() == ["3", "4"], done.stderr
