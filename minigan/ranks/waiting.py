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


def wait_until(is_there: Callable[[], bool], check: Callable[[float], None]) -> None:
    """Return when `is_there` returns True.

    Parameters
    ----------
    is_there : callable
        Cheap.
    check : callable
        Gets the seconds waited so far, several times a second in a long wait; raises to end it.
    """
    for _ in range(LOOKS):
        if is_there():
            return
    began = checked = time.monotonic()
    while not is_there():
        now = time.monotonic()
        if now - began < GIVING_WAY:
            _give_way()
            continue
        time.sleep(min(LONGEST_SLEEP, (now - began) / 8))
        if now - checked > CHECK_EVERY:
            check(now - began)
            checked = now


def _give_way() -> None:
    if hasattr(os, "sched_yield"):
        os.sched_yield()
    else:
        time.sleep(0)
