"""Starting worker processes, which draw faces (`drawn.face_set`) or prepare files (`prepare.pipeline`).

Workers are fresh Python processes ("spawn"), as on Windows and macOS by default. Normally such a process first runs the
user's script again, to know what its ``__main__`` defines; a script without the guard ``if __name__ == "__main__":``
would then start its work again in every worker. The workers here need nothing from ``__main__``, so it is replaced by
an empty module while a worker is started. Ctrl-C reaches every process of a terminal, but only the parent handles it:
workers ignore it, and end when the parent has ended.
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

MAX_WORKERS = 61
"""Windows cannot wait for more processes than this at once."""


@contextlib.contextmanager
def starting_workers() -> Iterator[None]:
    """Start workers within this: they do not run the user's script again, and Ctrl-C is held back until the end.

    Windows cannot hold it back; there a worker ignores Ctrl-C only after `begin_work`.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        with _interrupts_held():
            yield
    finally:
        sys.modules["__main__"] = main


def begin_work() -> None:
    """Runs first in a worker: ignore Ctrl-C, which the parent handles, and end when the parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back; a process that is started within this never receives it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
