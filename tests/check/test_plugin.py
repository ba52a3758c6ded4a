"""`pytest --minigan-impl=FILE`: the package's tests on a student's file, from any folder; nothing without it."""

import importlib.metadata
import inspect
import os
import re
import subprocess
import sys
import types

import pytest
from places import ROOT

from minigan.check import plugin
from minigan.check.exercise_table import EXERCISES

LAYERS = """
import numpy as np

open("imported", "a").write("x")  # beside this file

def relu_forward(x):
    return np.maximum(x, 0), x

def relu_backward(dy, x):
    return dy * (x > 0)

def tanh_forward(x):
    raise ValueError("what is that?")

def adam_step(p, g, m, v, t, lr, beta1, beta2, eps):
    while True:
        pass
"""


def installed():
    return any(entry.value == "minigan.check.plugin" for entry in importlib.metadata.entry_points(group="pytest11"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that knows nothing of minigan, with a test of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "layers.py").write_text(LAYERS)
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n")
    return tmp_path


def run(*arguments):
    """Run pytest in this folder; where minigan was installed before it had a plugin, name that."""
    named = [] if installed() else ["-p", "minigan.check.plugin"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "--strict-markers", *named]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    print(done.stdout, done.stderr)
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|deselected|error)", done.stdout)}
    return done, counts


def test_one_lesson_from_another_folder(folder):
    done, counts = run("--minigan-impl=work/layers.py", "-m", "lesson3", "-v", "-ra")
    lesson = [name for name, exercise in EXERCISES.items() if exercise.lesson == 3]
    assert done.returncode == 1
    assert counts == {
        "passed": 1,
        "failed": 1,
        "skipped": len(lesson) - 2,
        "deselected": len(EXERCISES) - len(lesson),
    }
    assert "minigan::test_exercise[relu] PASSED" in done.stdout
    assert "what is that?" in done.stdout
    assert "E10" in done.stdout
    assert "Lesson 3." in done.stdout
    assert "not implemented yet" in done.stdout
    assert "Traceback" not in done.stdout
    assert "test_own" not in done.stdout
    assert (folder / "work" / "imported").read_text() == "x"  # once; the endless adam_step was not even called


def test_strict_fails_what_is_not_implemented(folder):
    done, counts = run("--minigan-impl=work/layers.py", "--minigan-strict", "-k", "relu or momentum", "-v")
    assert done.returncode == 1
    assert counts == {"passed": 1, "failed": 2, "deselected": len(EXERCISES) - 3}
    assert "momentum   not implemented yet" in done.stdout


def test_explicit_paths_run_too(folder):
    done, counts = run("--minigan-impl=work/layers.py", "test_own.py", "-k", "own or relu and not leaky", "-v")
    assert done.returncode == 0
    assert counts["passed"] == 2
    assert "test_own.py::test_own PASSED" in done.stdout


def test_a_file_that_cannot_be_imported_fails_every_test(folder):
    (folder / "bad.py").write_text("def f(:\n")
    done, counts = run("--minigan-impl", "bad.py", "-m", "lesson10")
    assert done.returncode == 1
    assert counts["failed"] == sum(exercise.lesson == 10 for exercise in EXERCISES.values())
    assert "E01" in done.stdout
    assert "line 1: def f(:" in done.stdout


@pytest.mark.parametrize("name", ["nowhere.py", "work", "book.ipynb", "~nobody-of-this-name/x.py", ""])
def test_a_wrong_name_is_one_line(folder, name):
    (folder / "book.ipynb").write_text("{}")
    done, _ = run("--minigan-impl", name)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stderr.strip().startswith("ERROR: --minigan-impl: ")
    assert done.stderr.strip().count("\n") == 0


def test_nothing_changes_without_the_option(folder):
    done, counts = run("-v")
    assert done.returncode == 0
    assert counts == {"passed": 1}
    assert "minigan: checking" not in done.stdout


def test_markers_are_known_without_the_option(folder):
    (folder / "test_own.py").write_text(
        "import pytest\n@pytest.mark.lesson14\n@pytest.mark.lesson3\ndef test_a(): pass\n"
    )
    done, counts = run("-m", "lesson14")
    assert done.returncode == 0
    assert counts == {"passed": 1}


def test_a_run_that_collects_every_file_gets_none_of_our_tests(folder):
    (folder / "pytest.ini").write_text("[pytest]\npython_files = *.py\n")
    done, counts = run(str(plugin.TESTS), "test_own.py")
    assert done.returncode == 0
    assert counts == {"passed": 1, "skipped": 1}


@pytest.mark.parametrize("version", ["7.1.3", "6.2.5"])
def test_an_older_pytest_is_refused_in_one_line_and_only_with_the_option(monkeypatch, version):
    config = types.SimpleNamespace(addinivalue_line=lambda *_: None, getoption={plugin.OPTION: None}.get)
    monkeypatch.setattr(pytest, "__version__", version)
    plugin.pytest_configure(config)
    config.getoption = {plugin.OPTION: "layers.py"}.get
    with pytest.raises(pytest.UsageError, match=f"needs pytest 7.2 or newer, this is {re.escape(version)}"):
        plugin.pytest_configure(config)


def test_every_pytest_can_load_the_plugin():
    """Later ones have hooks, arguments of hooks and classes that older ones do not know."""
    hooks = {name: value for name, value in vars(plugin).items() if name.startswith("pytest_")}
    assert {name: list(inspect.signature(hook).parameters) for name, hook in hooks.items()} == {
        "pytest_addoption": ["parser"],
        "pytest_configure": ["config"],
    }


def test_a_checkout_without_the_extra_for_development(folder, monkeypatch):
    """There, pytest loads tests/conftest.py, although only the student's file is tested."""
    (folder / "hypothesis.py").write_text("raise ModuleNotFoundError('no hypothesis here', name='hypothesis')\n")
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.chdir(ROOT)
    done, counts = run(
        f"--minigan-impl={folder / 'work' / 'layers.py'}", "-k", "relu and not leaky", "-p", "no:hypothesispytest"
    )
    assert done.returncode == 0
    assert (counts["passed"], done.stderr) == (1, "")


def test_a_system_that_starts_no_process_is_one_line(folder, monkeypatch):
    (folder / "conftest.py").write_text(
        "import subprocess\n"
        "def refused(*_, **__): raise BlockingIOError(11, 'no more processes')\n"
        "subprocess.Popen = refused\n"
    )
    done, counts = run("--minigan-impl=work/layers.py", "test_own.py", "-k", "relu and not leaky")
    assert counts["error"] == 1
    assert "cannot start the process that checks layers.py: no more processes" in done.stdout
    assert "Traceback" not in done.stdout
    assert "check_file(" not in done.stdout


def test_collecting_runs_nothing(folder):
    done, _ = run("--minigan-impl=work/layers.py", "--collect-only", "-q")
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if "::" in line] == [
        f"minigan::test_exercise[{name}]" for name in EXERCISES
    ]
    assert not (folder / "work" / "imported").exists()


def test_the_plugin_is_light():
    """Every pytest run of everybody imports it: no matplotlib, no checker."""
    script = (
        "import sys, minigan.check.plugin as p; print([m for m in sys.modules if m in ('matplotlib', 'PIL', 'tqdm')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
