"""What worker processes have in common, whatever they work on.

Workers are fresh Python processes ("spawn"), as on Windows and macOS by default. Such a process normally begins by
running the user's script again, to know what its ``__main__`` defines, and a script without the guard ``if __name__
== "__main__":`` would then start its work in every worker. Ours need nothing from ``__main__``, so it is put out of
sight for the moment in which a worker is started. Ctrl-C reaches every process of a terminal; it is the parent's to
deal with, and workers neither see it nor outlive the parent.
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
"""More than that, Windows cannot wait for at once."""


@contextlib.contextmanager
def starting_workers() -> Iterator[None]:
    """Within this, a process that is started does not run the user's script again, and Ctrl-C waits.

    Windows has no such mask: there a worker is deaf to Ctrl-C only from `begin_work` on.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        with _interrupts_held():
            yield
    finally:
        sys.modules["__main__"] = main


def begin_work() -> None:
    """First thing in a worker: leave Ctrl-C to the parent, and end when it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Within this, Ctrl-C waits, and a process started here never sees one."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
