"""Starting further processes: the ranks of a training (`minigan.ranks.local`), and workers (`worker_pool`).

They are fresh Python processes ("spawn"), as on Windows and macOS by default. Normally such a process first runs the
user's script again, to know what its ``__main__`` defines; a script without the guard ``if __name__ == "__main__":``
would then start its work again in every process. The processes here need nothing from ``__main__``, so it is replaced
by an empty module while one is started. Ctrl-C reaches every process of a terminal, and a service manager sends its
request to end to a whole group; but only the parent handles them: the others ignore them, and end when it has ended.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator

from minigan.system.startup import BLAS_SETTINGS, environment

MAX_WORKERS = 61
"""Windows cannot wait for more processes than this at once."""

_REQUESTS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_SETTINGS = {
    **dict.fromkeys(BLAS_SETTINGS, "1"),  # no BLAS threads, which would never be used
    "PYTHONSAFEPATH": "1",  # no module from the working folder in another's place
}


@contextlib.contextmanager
def starting_workers() -> Iterator[None]:
    """Start processes within this: they do not run the user's script again, and make no threads for BLAS.

    Requests to end, Ctrl-C among them, are held back until the end. Windows cannot hold them back; there a process
    ignores them only after `begin_work`.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        with environment(_SETTINGS), _requests_held():
            yield
    finally:
        sys.modules["__main__"] = main


def begin_work() -> None:
    """Runs first in a new process: ignore requests to end, which the parent handles, and end when it has ended."""
    ignore_signals()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def ignore_signals() -> None:
    """Leave Ctrl-C, and requests to end, to another process."""
    for request in _REQUESTS:
        signal.signal(request, signal.SIG_IGN)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _requests_held() -> Iterator[None]:
    """Hold back requests to end; a process that is started within this never receives them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _REQUESTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
