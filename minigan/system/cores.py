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

_CPUS = Path("/sys/devices/system/cpu")
_FAST_CPUS = Path("/sys/devices/cpu_core/cpus")  # there only where there are slow ones, too
_CGROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Physical (fast) cores that this process may run on, or as many as its share of time is worth; at least 1."""
    return max(1, math.floor(min(_allowed_cores(), _quota())))


def _allowed_cores() -> int:
    if not hasattr(os, "sched_getaffinity"):
        return _fast_cores_of_a_mac() or os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    with contextlib.suppress(OSError, ValueError):
        allowed = (allowed & numbers_in(_FAST_CPUS.read_text(encoding="ascii"))) or allowed
    cores = set()
    for cpu in allowed:
        try:
            siblings = (_CPUS / f"cpu{cpu}/topology/thread_siblings_list").read_text(encoding="ascii")
            cores.add(min(numbers_in(siblings)))
        except (OSError, ValueError):
            cores.add(cpu)
    return len(cores)


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
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf
    quota = math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            quota = min(quota, *map(_of_version_2, _with_parents(_CGROUPS, path)))
        elif "cpu" in controllers.split(","):
            quota = min(quota, *map(_of_version_1, _with_parents(_CGROUPS / controllers, path)))
    return quota


def _with_parents(root: Path, path: str) -> list[Path]:
    """The folder of a group and of those that contain it: a limit of any of them holds."""
    folder = root / path.strip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]


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
