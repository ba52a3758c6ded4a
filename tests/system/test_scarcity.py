"""Errors that say that memory, threads, processes or files are used up, and errors that say something else."""

import errno
import os

import pytest

from minigan.system.scarcity import what_is_scarce


def of_numpy(cause):
    """As NumPy raises it if its library cannot be loaded."""
    try:
        try:
            raise cause
        except ImportError as error:
            raise ImportError("\n\nIMPORTANT: PLEASE READ THIS FOR ADVICE ON HOW TO SOLVE THIS ISSUE!\n") from error
    except ImportError as error:
        return error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "out of memory"),
        (MemoryError("Unable to allocate 9 GiB"), "out of memory (Unable to allocate 9 GiB)"),
        (RuntimeError("can't start new thread"), "the system refuses: can't start new thread"),
        *[(OSError(n, os.strerror(n)), f"the system refuses: {os.strerror(n)}") for n in (errno.EAGAIN, errno.EMFILE)],
        (ImportError("libx.so: cannot allocate memory in static TLS"), "the system refuses: cannot allocate memory"),
        (
            of_numpy(ImportError("libopenblas.so: failed to map segment from shared object")),
            "the system refuses: failed to map segment from shared object",
        ),
    ],
)
def test_what_the_system_did_not_give(error, told):
    assert what_is_scarce(error) == told


@pytest.mark.parametrize(
    "error",
    [
        ImportError("No module named 'numpy'"),
        of_numpy(ImportError("libopenblas.so: wrong ELF class")),
        RuntimeError("generator raised StopIteration"),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        OSError(errno.ENOSPC, "No space left on device"),
        KeyError("can't start new thread"),
    ],
)
def test_other_errors(error):
    assert what_is_scarce(error) is None
