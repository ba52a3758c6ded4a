"""How a rank waits for another: it looks for a moment, then lets others run between looks, then sleeps between looks.

Most waits are over within microseconds, and to be woken up from sleep takes longer than that. But a processor core may
be needed by somebody else, perhaps by the very rank that is waited for: so a rank that has waited for a moment gives
way.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

LOOKS = 200
"""Looks one after the other: some 20 microseconds."""

GIVING_WAY = 1e-3
"""Seconds of looking with the core offered to others in between."""

LONGEST_SLEEP = 2e-3

CHECK_EVERY = 0.1
"""Seconds between two questions whether the others are still there."""


MOST_AT_ONCE = 1.0
"""Seconds between two looks at the clock that count as waited. If more have passed, this process was stopped."""


class AwakeClock:
    """Seconds since it was made during which this process was running.

    A clock that counts on while the machine sleeps (Windows), or while the process is stopped (Ctrl-Z, everywhere),
    would make a rank that has slept as well look dead. So the time between two looks counts as one second at most.
    """

    def __init__(self) -> None:
        self._seconds, self._last = 0.0, time.monotonic()

    def seconds(self) -> float:
        """To be called several times a second."""
        now = time.monotonic()
        self._seconds += min(max(now - self._last, 0.0), MOST_AT_ONCE)
        self._last = now
        return self._seconds


def wait_until(is_there: Callable[[], bool], check: Callable[[float], None]) -> None:
    """Return when `is_there` returns True.

    Parameters
    ----------
    is_there : callable
        Cheap.
    check : callable
        Gets the seconds waited so far, without those in which this process was stopped, several times a second in a
        long wait; raises to end it.
    """
    for _ in range(LOOKS):
        if is_there():
            return
    clock, checked = AwakeClock(), 0.0
    while not is_there():
        waited = clock.seconds()
        if waited < GIVING_WAY:
            _give_way()
            continue
        time.sleep(min(LONGEST_SLEEP, waited / 8))
        if waited - checked > CHECK_EVERY:
            check(waited)
            checked = waited


def _give_way() -> None:
    try:
        os.sched_yield()
    except (AttributeError, OSError):  # a system without it (Windows), or one that forbids it (a container)
        time.sleep(0)
