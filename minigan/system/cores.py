"""How many processor cores this process may use: what exists is not what is allowed.

A container or a scheduler can pin a process to some cores or ration its time, and a server's 64 cores then mean
nothing. Two hardware threads of one core count as one core, since they share its arithmetic units, and of a processor
with fast and slow cores only the fast ones count.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import subprocess
from pathlib import Path

from minigan.system.control_groups import group_folders

_CPUS = Path("/sys/devices/system/cpu")
_FAST_CPUS = Path("/sys/devices/cpu_core/cpus")  # there only where there are slow ones, too


def usable_cores() -> int:
    """Physical (fast) cores that this process may run on, or as many as its share of time is worth; at least 1."""
    return max(1, math.floor(min(_allowed_cores(), _quota())))


def allowed_processors() -> int:
    """Like `usable_cores`, but of any kind, and hardware threads count one by one: what others call CPUs."""
    return max(1, math.floor(min(len(_allowed() or ()) or os.cpu_count() or 1, _quota())))


def _allowed() -> set[int] | None:
    """The numbers of the processors that this process may run on; None if the system does not say."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    try:
        return os.sched_getaffinity(0)
    except OSError:  # a container may forbid the question
        return None


def _allowed_cores() -> int:
    counted = os.cpu_count() or 1  # from Python 3.13 on, the user can set it: PYTHON_CPU_COUNT
    allowed = _allowed()
    if allowed is None:
        return min(_fast_cores_of_a_mac() or counted, counted)
    with contextlib.suppress(OSError, ValueError):
        allowed = (allowed & numbers_in(_FAST_CPUS.read_text(encoding="ascii"))) or allowed
    cores = set()
    for cpu in allowed:
        try:
            siblings = (_CPUS / f"cpu{cpu}/topology/thread_siblings_list").read_text(encoding="ascii")
            cores.add(min(numbers_in(siblings)))
        except (OSError, ValueError):
            cores.add(cpu)
    return min(len(cores), counted)


def _fast_cores_of_a_mac() -> int | None:
    if platform.system() != "Darwin":
        return None
    try:
        command = ["/usr/sbin/sysctl", "-n", "hw.perflevel0.physicalcpu"]
        return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _quota() -> float:
    """Processors' worth of time that the control groups of this process allow; infinite without a limit."""
    readers = {1: _of_version_1, 2: _of_version_2}
    return min((readers[version](folder) for version, folder in group_folders("cpu")), default=math.inf)


def _of_version_2(folder: Path) -> float:
    try:
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def _of_version_1(folder: Path) -> float:
    try:
        quota, period = (
            int((folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii")) for name in ("quota", "period")
        )
        return math.inf if quota <= 0 else quota / period
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def numbers_in(text: str) -> set[int]:
    """The numbers of a list as the kernel writes it.

    >>> sorted(numbers_in("0-2,5"))
    [0, 1, 2, 5]
    """
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found
