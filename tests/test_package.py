"""The package from outside: fast to import, a list of commands, help texts, and files that hold no code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

import minigan
from minigan import __main__ as commands
from minigan import sample, train
from minigan.system.cli import run_command


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_import_loads_nothing_heavy():
    code = "import minigan, sys; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = python("-c", code).stdout.split()
    assert "minigan" in loaded
    assert not {"matplotlib", "PIL", "cupy", "tqdm", "safetensors", "torch"} & set(loaded)


def test_public_names():
    for name in minigan.__all__:
        assert getattr(minigan, name) is not None


def test_list_of_commands():
    done = python("-m", "minigan")
    assert done.returncode == 0
    for module in (train, sample):
        assert f"python -m {module.__name__}" in done.stdout
    for name in commands.COMMANDS:
        assert python("-m", name, "--help").returncode == 0


def test_version():
    assert python("-m", "minigan", "--version").stdout.strip() == f"minigan {minigan.__version__}"


def test_unknown_command_is_one_line(capsys):
    assert run_command(commands.main, ["fly"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("module", [train, sample])
def test_help_names_every_option_of_the_readme(module, capsys):
    with pytest.raises(SystemExit):
        module.main(["--help"])
    text = capsys.readouterr().out
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for line in readme.splitlines():
        _, called, arguments = line.partition(f"-m {module.__name__}")
        for option in re.findall(r"(?<=\s)--[a-z-]+", arguments if called else ""):
            assert option in text, line


def test_no_pickle_anywhere():
    for path in Path(minigan.__file__).parent.rglob("*.py"):
        if path.name == "student_process.py":  # running a student's file is what it is for
            continue
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"\bimport pickle|allow_pickle=True|\beval\(|\bexec\(", source), path


def test_only_the_backend_imports_cupy():
    for path in Path(minigan.__file__).parent.rglob("*.py"):
        if path.name != "backend.py":
            assert not re.search(r"^\s*(import|from) cupy", path.read_text(encoding="utf-8"), re.M), path
