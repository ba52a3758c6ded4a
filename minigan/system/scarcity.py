"""What a system did not give: memory, threads, processes or open files. Errors of that kind are no faults of a program.

Class-room servers and containers limit them (``ulimit``, control groups). The error then comes from wherever the
program happens to be, and in different shapes, also while modules are being imported. `what_is_scarce` knows them all,
so that people get one line.
"""

from __future__ import annotations

import errno
import re

_NUMBERS = {errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE}
_WORDS = re.compile(  # of libraries that cannot be loaded, and of Python
    "failed to map segment from shared object|cannot allocate memory|can't start new thread",
    re.IGNORECASE,
)


def what_is_scarce(error: BaseException) -> str | None:
    """Say what the system did not give, if an error came of that.

    Parameters
    ----------
    error : BaseException

    Returns
    -------
    str or None
        A few words, or None for any other error.
    """
    while isinstance(error, ImportError) and error.__cause__ is not None:  # NumPy writes a page of its own around it
        error = error.__cause__
    if isinstance(error, MemoryError):
        return f"out of memory ({error})" if str(error) else "out of memory"
    if isinstance(error, OSError) and error.errno in _NUMBERS:
        return f"the system refuses: {error.strerror}"
    if isinstance(error, ImportError | RuntimeError) and (found := _WORDS.search(str(error))):
        return f"the system refuses: {found[0].lower()}"
    return None
