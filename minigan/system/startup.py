"""What is put in order before NumPy is loaded, so that the limits of a process do not stop a command.

* NumPy's BLAS starts a thread for every processor of the machine when it is loaded. Where not so many can be started,
  OpenBLAS interrupts the process as Ctrl-C does. `limit_blas` makes BLAS start as many as the process may have.
* An error while modules are imported is no mistake in the program if the system has no memory for them.
  `report_failed_imports` makes one line of it, for minigan's commands. Other programs are not affected.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from types import TracebackType

from minigan.system.console import complain, one_line
from minigan.system.cores import allowed_processors
from minigan.system.scarcity import what_is_scarce
from minigan.system.started_as import is_command
from minigan.system.wording import see

BLAS_SETTINGS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""The variables from which BLAS libraries take their number of threads when they are loaded."""

_SPARE_THREADS = 4
"""How many more threads a command may start than BLAS has."""


@contextlib.contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Inside this block, environment variables have these values."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def limit_blas() -> Iterator[None]:
    """Load NumPy inside this block: its BLAS starts only threads that this process may have.

    Nothing is done if NumPy has been loaded, or if the user has set a number of threads.
    """
    settings: dict[str, str] = {}
    if "numpy" not in sys.modules and not any(os.environ.get(name) for name in BLAS_SETTINGS):
        count = _blas_threads()
        if count < (os.cpu_count() or 1):
            settings = dict.fromkeys(BLAS_SETTINGS, str(count))
    with environment(settings):
        yield


def _blas_threads() -> int:
    count = allowed_processors()
    return count if count > 1 and not _is_address_space_limited() and _can_start(count - 1 + _SPARE_THREADS) else 1


def _is_address_space_limited() -> bool:
    """Whether there is a limit to addresses; each thread takes so many of them that nothing may be left for images."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    return any(
        resource.getrlimit(kind)[0] != resource.RLIM_INFINITY for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    )


def _can_start(count: int) -> bool:
    """Whether so many threads can be started now; the only way to know is to start them."""
    end = threading.Event()
    threads = []
    try:
        for _ in range(count):
            thread = threading.Thread(target=end.wait, daemon=True)
            thread.start()
            threads.append(thread)
    except (RuntimeError, MemoryError):
        return False
    finally:
        end.set()
        for thread in threads:
            thread.join()
    return True


def report_failed_imports() -> None:
    """Tell in one line that a module cannot be loaded for want of memory, threads or files; for commands."""
    if is_command():
        sys.excepthook = _in_one_line


def _in_one_line(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    scarce = what_is_scarce(error)
    if scarce is None:
        sys.__excepthook__(kind, error, traceback)
    else:
        complain(f"minigan: error: {one_line(scarce)}{see('limits')}")


report_failed_imports()
with limit_blas():
    import numpy as numpy
