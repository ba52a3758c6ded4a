"""How much memory this process may still take: what the machine has is not what a container is allowed."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

from minigan.system.control_groups import group_folders

_MEMORY = Path("/proc/meminfo")
_NAMES = {  # of version 2 and of version 1: the limit, what is in use, and what of that is only a copy of files
    2: ("memory.max", "memory.current", "inactive_file"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def available_memory() -> float:
    """Bytes that this process can take before the machine or its control groups run out; infinite where not known."""
    return max(0.0, min(_of_the_machine(), _of_the_groups()))


def _of_the_machine() -> float:
    with contextlib.suppress(OSError, ValueError):
        for line in _MEMORY.read_text(encoding="ascii").splitlines():
            name, _, amount = line.partition(":")
            if name == "MemAvailable":
                return 1024.0 * int(amount.split()[0])
    return math.inf


def _of_the_groups() -> float:
    return min((_left(folder, version) for version, folder in group_folders("memory")), default=math.inf)


def _left(group: Path, version: int) -> float:
    limit_name, used_name, copies_name = _NAMES[version]
    try:
        limit = (group / limit_name).read_text(encoding="ascii").strip()
        if limit == "max":
            return math.inf
        used = int((group / used_name).read_text(encoding="ascii"))
        statistics = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
        return float(int(limit) - used + int(statistics.get(copies_name, 0)))
    except (OSError, ValueError):
        return math.inf
