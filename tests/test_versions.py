"""What `make test-versions` tests, and the commands of the Makefile on Windows."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig

import pytest
from places import ROOT

spec = importlib.util.spec_from_file_location("versions", ROOT / ".ci" / "versions.py")
versions = importlib.util.module_from_spec(spec)
spec.loader.exec_module(versions)

LOCK = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
HERE = f"{sys.version_info.major}.{sys.version_info.minor}{LOCK}"


def test_each_requirement_has_a_lowest_version():
    lowest = dict(line.split("==") for line in versions.lowest())
    assert lowest["numpy"] == "2.0"
    assert {"opencv-python-headless", "jupytext", "mpi4py", "pytest", "ruff"} <= set(lowest)


@pytest.mark.parametrize("requirement", ["numpy", "numpy<3", "numpy==2.0", "numpy>1"])
def test_a_requirement_without_one_is_refused(tmp_path, monkeypatch, requirement):
    extras = "\n".join(f"{name} = []" for name in ("exchange", "prepare", "lessons", "mpi", "test", "dev"))
    text = f'[project]\nname = "x"\ndependencies = ["{requirement}"]\n[project.optional-dependencies]\n{extras}\n'
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    with pytest.raises(ValueError, match="must name its lowest version, got numpy"):
        versions.lowest()


def test_this_python_is_found():
    assert versions.who(versions.find_python(HERE)) == HERE


def test_a_version_that_is_not_there(monkeypatch, capsys):
    monkeypatch.setattr(versions.shutil, "which", lambda name: None)
    assert versions.main(["3.99"]) == 2
    assert capsys.readouterr().out.split() == ["3.99", "not", "to", "be", "had", "here"]
    assert versions.main(["newest"]) == 2


@pytest.mark.parametrize(("status", "expected"), [(0, 0), (1, 1)])
def test_all_are_tried_and_told(monkeypatch, capsys, status, expected):
    called = []

    def call(version, python, arguments):
        called.append((version, arguments))
        return status if version == "3.13" else 0

    monkeypatch.setattr(versions, "find_python", lambda version: None if version == "3.14t" else "python")
    monkeypatch.setattr(versions, "test", call)
    assert versions.main(["--", "-n", "0"]) == expected
    assert called == [(version, ["-n", "0"]) for version in ("lowest", "3.11", "3.13", "3.14")]
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert told["3.13"] == ("FAILED" if status else "passed")
    assert told["3.14t"] == "not to be had here"


@pytest.mark.parametrize(
    ("version", "extra", "settings"),
    [
        ("3.13", [], {}),
        ("3.14t", ["EXTRA=test"], {"PYTHON_GIL": "0"}),
        ("lowest", [], {"PIP_CONSTRAINT": ".versions/lowest.txt"}),
    ],
)
def test_each_version_is_tested_in_an_environment_of_its_own(tmp_path, monkeypatch, version, extra, settings):
    called = []

    def run(command, *, cwd, env, check):
        called.append((command, {name: value for name, value in env.items() if name not in os.environ}))
        return subprocess.CompletedProcess(command, 3)

    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    monkeypatch.setattr(versions.subprocess, "run", run)
    for name in ("PYTHON_GIL", "PIP_CONSTRAINT", "PIP_PREFER_BINARY"):
        monkeypatch.delenv(name, raising=False)
    assert versions.test(version, "/python", ["-n", "0"]) == 3
    ((command, changed),) = called
    assert command == ["make", "test", "PYTHON=/python", f"VENV=.versions/{version}", "ARGS=-n 0", *extra]
    assert changed == {"PIP_PREFER_BINARY": "1", **settings}
    if version == "lowest":
        assert "numpy==2.0" in (tmp_path / ".versions" / "lowest.txt").read_text(encoding="utf-8").splitlines()


def test_workflows_and_ci_call_targets_of_the_makefile_and_nothing_else():
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    commands = re.findall(r"^make .*", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.M)
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        commands += re.findall(r"^ +(?:- )?run: +(\S.*)", workflow.read_text(encoding="utf-8"), re.M)
    assert len(commands) > 7
    for command in commands:
        if command not in ("bash .ci/run", "choco install make --no-progress --yes"):
            called = re.match(r"make((?: [a-z-]+)+)(?= [A-Z]+=|$)", command)
            assert called, command
            assert set(called[1].split()) <= set(targets)


def test_workflows_test_the_usual_versions_and_all_systems():
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    pythons = re.search(r"python: (\[.*\])", text)[1]
    assert set(versions.USUAL) == {*json.loads(pythons), "lowest"}
    assert "VERSIONS=lowest" in text
    assert "os: [ubuntu-latest, macos-latest, windows-latest]" in text


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize(("system", "folder"), [("Windows_NT", "Scripts"), ("", "bin")])
def test_make_finds_the_environments_programs_on_each_system(tmp_path, system, folder):
    command = ["make", "-n", "test", "lint", "smoke", f"OS={system}", f"VENV={tmp_path}/venv", "PYTHON=python"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    programs = {line.split()[0] for line in done.stdout.splitlines() if line.startswith(f"{tmp_path}/venv/")}
    assert programs == {f"{tmp_path}/venv/{folder}/{name}" for name in ("python", "ruff", "lint-imports")}
