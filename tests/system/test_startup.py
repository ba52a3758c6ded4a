"""How many threads BLAS may start when NumPy is loaded, and imports that fail for want of memory."""

import os
import subprocess
import sys
import threading

import pytest

from minigan.system import startup
from minigan.system.startup import BLAS_SETTINGS, environment, limit_blas

posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")


@pytest.fixture
def machine(monkeypatch):
    """NumPy is not loaded, and nothing is set, on a machine of 8 processors, of which some are allowed."""
    monkeypatch.delitem(sys.modules, "numpy")
    for name in BLAS_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(startup, "_is_address_space_limited", lambda: False)

    def allow(count):
        monkeypatch.setattr(startup, "allowed_processors", lambda: count)

    allow(8)
    return allow


def settings():
    return {os.environ.get(name) for name in BLAS_SETTINGS}


def test_without_limits_blas_decides(machine):
    with limit_blas():
        assert settings() == {None}


def test_as_many_threads_as_processors_are_allowed(machine):
    machine(3)
    with limit_blas():
        assert settings() == {"3"}
    assert settings() == {None}


def test_one_where_threads_cannot_be_started(machine, monkeypatch):
    started, start = [], threading.Thread.start

    def refuse(thread):
        if len(started) == 9:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with limit_blas():
        assert settings() == {"1"}
    assert not any(thread.is_alive() for thread in started)


def test_one_where_there_are_few_addresses(machine, monkeypatch):
    monkeypatch.setattr(startup, "_is_address_space_limited", lambda: True)
    with limit_blas():
        assert settings() == {"1"}


@pytest.mark.parametrize("name", BLAS_SETTINGS)
def test_what_the_user_has_set_stays(machine, monkeypatch, name):
    machine(3)
    monkeypatch.setenv(name, "5")
    with limit_blas():
        assert settings() == {None, "5"}


def test_where_numpy_has_been_loaded_nothing_is_set(machine, monkeypatch):
    machine(3)
    monkeypatch.setitem(sys.modules, "numpy", threading)
    with limit_blas():
        assert settings() == {None}


def test_an_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("MINIGAN_A", "1")
    monkeypatch.delenv("MINIGAN_B", raising=False)
    with environment({"MINIGAN_A": "2", "MINIGAN_B": "3"}):
        assert (os.environ["MINIGAN_A"], os.environ["MINIGAN_B"]) == ("2", "3")
    assert os.environ["MINIGAN_A"] == "1"
    assert "MINIGAN_B" not in os.environ


LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), -1))
sys.argv[:] = ["-m"]
import minigan
from threadpoolctl import threadpool_info
print(*{library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"})
"""


@posix
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not hold this limit")
def test_blas_has_one_thread_in_a_small_address_space():
    done = subprocess.run([sys.executable, "-c", LIMITED, str(1 << 32)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


FAILING = """
import sys
sys.argv[:] = [{first!r}]
import minigan
raise {error}
"""


@pytest.mark.parametrize(
    ("first", "error", "is_one_line"),
    [
        ("-m", "MemoryError('9 GB')", True),
        ("-m", "ImportError('x') from ImportError('failed to map segment from shared object')", True),
        ("-m", "ImportError('x')", False),  # a mistake in the installation or in the program
        ("script.py", "MemoryError('9 GB')", False),
    ],
)
def test_an_import_that_fails_for_want_of_memory_is_one_line(first, error, is_one_line):
    code = FAILING.format(first=first, error=error)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert (len(done.stderr.splitlines()) == 1) == is_one_line, done.stderr
    assert done.stderr.startswith("minigan: error: " if is_one_line else "Traceback")
