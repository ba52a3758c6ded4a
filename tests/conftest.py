"""Shared by all tests: hypothesis profiles, a cache of their own, and a GPU if there is one."""

import os
import signal
import time

import numpy as np
import pytest

from minigan.nn import backend
from minigan.system.cores import usable_cores

collect_ignore = ["support/installed_cupy"]  # importing it would make the double an installed CuPy, for all tests

try:
    from hypothesis import HealthCheck, settings
except ModuleNotFoundError:  # `pytest --minigan-impl=FILE` loads this file, too, and has to do without the extra `dev`
    pass
else:
    quiet = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}
    settings.register_profile("dev", max_examples=30, **quiet)
    settings.register_profile("ci", max_examples=60, derandomize=True, **quiet)
    settings.register_profile("thorough", max_examples=1000, **quiet)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def pytest_xdist_auto_num_workers(config):
    """Of ``--numprocesses auto``: pytest-xdist itself counts what the machine has, and not what is allowed."""
    return usable_cores()


_first_states: dict[str, dict] = {}


@pytest.fixture(autouse=True)
def the_same_numbers(request):
    """The `RNG` or `rng` of a file begins anew in each test: what a test draws does not depend on those before it."""
    module = getattr(request.node, "module", None)
    rng = getattr(module, "RNG", None) or getattr(module, "rng", None)
    if isinstance(rng, np.random.Generator):
        rng.bit_generator.state = _first_states.setdefault(module.__name__, rng.bit_generator.state)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_our_own(tmp_path_factory):
    """Tests neither read nor fill the user's cache; drawn faces are drawn once per session."""
    before = os.environ.get("MINIGAN_CACHE")
    os.environ["MINIGAN_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["MINIGAN_CACHE"]
    else:
        os.environ["MINIGAN_CACHE"] = before


@pytest.fixture
def double(monkeypatch):
    """The strict device double in CuPy's place."""
    from device_double import COUNTER, make_backend

    made = make_backend()
    monkeypatch.setitem(backend._known, "cupy", made)
    COUNTER.reset()
    return made


@pytest.fixture
def kernels(monkeypatch):
    """The double with the project's CUDA kernels, compiled for the processor, and with a stand-in for cuBLAS."""
    from device_double import COMPILER, COUNTER, make_backend

    from minigan.fast.cuda import cublas

    if COMPILER is None:
        pytest.skip("there is no g++ to compile the kernels for the processor")
    made = make_backend(kernels=True)
    monkeypatch.setitem(backend._known, "cupy", made)
    monkeypatch.setattr(cublas, "_open", lambda xp: xp.cublas_double)
    COUNTER.reset()
    return made


@pytest.fixture
def gpu():
    """The real CuPy backend; skips where there is none."""
    try:
        return backend.get_backend("cupy")
    except backend.UserError as error:
        pytest.skip(str(error))


def hear_ctrl_c():
    """For ``preexec_fn``: in the background, and by nohup, signals are ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def wait_for(condition, seconds=15.0):
    """Wait until a condition holds, and return its value; an OSError means that it does not hold yet."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if value := condition():
                return value
        except OSError:
            pass
        time.sleep(0.02)
    raise TimeoutError
