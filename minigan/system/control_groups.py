"""The control groups of this process: folders in which Linux says how much of the machine a container may use.

A process is in a group of groups, and the limit of each of them holds. ``/proc/self/cgroup`` names the group, and
``/proc/self/mountinfo`` says where the files of the groups are. In a container, often only a part of them is there,
and the root of that part then is the container's own group.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

PROCESS = Path("/proc/self")


def group_folders(controller: str) -> list[tuple[int, Path]]:
    """The folders of this process's group and of those that contain it, each with the version of its files, 1 or 2.

    Parameters
    ----------
    controller : str
        What the limit is about: ``cpu`` or ``memory``.

    Returns
    -------
    list of (int, pathlib.Path)
        Empty where there are no control groups. A folder need not exist.
    """
    found = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        mounts = [_mount(line) for line in (PROCESS / "mountinfo").read_text(encoding="utf-8").splitlines()]
        for group in (PROCESS / "cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = group.split(":", 2)
            version = 1 if controllers else 2  # a line of version 2 names no controllers: it is for all of them
            if version == 1 and controller not in controllers.split(","):
                continue
            for kind, options, root, point in mounts:
                if kind == "cgroup2" if version == 2 else kind == "cgroup" and controller in options:
                    found += [(version, folder) for folder in _upwards(point, root, path)]
    return found


def _mount(line: str) -> tuple[str, list[str], str, Path]:
    """Of a line of mountinfo: the kind of the file system, its options, what of it is there, and where."""
    about, _, source = line.partition(" - ")
    root, point = about.split(" ")[3:5]
    kind, _, options = source.split(" ")[:3]
    return kind, options.split(","), root, Path(point.replace("\\040", " "))


def _upwards(point: Path, root: str, path: str) -> list[Path]:
    """The folder of a group, and the folders above it up to the one where `root`, a group, is to be found."""
    is_inside = path == root or path.startswith(root.rstrip("/") + "/")
    folder = point / (path[len(root) :] if is_inside else path).strip("/")
    return [folder, *(above for above in folder.parents if above.is_relative_to(point))]
