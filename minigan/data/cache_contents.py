"""What is in the cache, and how to empty it: ``python -m minigan.data cache list`` and ``cache clear``.

The cache's folder may be any folder, by the environment variable MINIGAN_CACHE, and hold a user's own files as well. So
only files count whose names are exactly of the forms that `minigan.data.cache` gives, and that are no links. A run goes
on when its cache is removed: its memory map stays valid, or the system (Windows) refuses, and then the file stays.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from minigan.data import cache
from minigan.data.printable_text import printable

_FACES = r"faces-seed(?P<seed>\d+)-(?P<side>\d+)px-v\d+-(?P<count>\d+)"
_FOLDER = r"folder-[0-9a-f]{16}-(?P<width>\d+)px-[0-9a-f]{16}"
_STEM = rf"(?P<stem>{_FACES}|{_FOLDER})"
_NOTES = re.compile(_STEM + r"\.json")
_IMAGES = re.compile(_STEM + r"-(?P<digits>[0-9a-f]{16})\.npy")


@dataclass
class CachedSet:
    """One set of images in the cache.

    Attributes
    ----------
    what : str
        What it is, in a few printable words.
    paths : list of pathlib.Path
        Its files.
    size : int
        Bytes that they take.
    last_used : float
        When it was opened last, in seconds since 1970.
    """

    what: str
    paths: list[Path] = field(default_factory=list)
    size: int = 0
    last_used: float = 0.0


def cached_sets() -> list[CachedSet]:
    """All sets in the cache, the one that was used last at the beginning; nothing that minigan has not made.

    Raises
    ------
    UserError
        If there is no place for a cache.
    OSError
        If its folder cannot be read.
    """
    directory = cache.cache_directory()
    found: dict[str, CachedSet] = {}
    without_notes: list[tuple[Path, re.Match[str]]] = []
    for path in sorted(directory.iterdir()) if directory.is_dir() else ():
        if path.is_symlink() or not path.is_file():
            continue
        if name := _NOTES.fullmatch(path.name):
            _add(found.setdefault(name["stem"], CachedSet("")), path, _what(path, name))
        elif name := _IMAGES.fullmatch(path.name):
            without_notes.append((path, name))
    for path, name in without_notes:
        if name["stem"] in found or time.time() - path.stat().st_mtime > cache.BEING_WRITTEN_SECONDS:
            _add(found.setdefault(name["stem"], CachedSet("images of an unfinished cache")), path)
    return sorted(found.values(), key=lambda each: -each.last_used)


def remove(sets: list[CachedSet]) -> tuple[list[CachedSet], list[str]]:
    """Delete sets from the cache, and what killed processes have left there.

    Parameters
    ----------
    sets : list of CachedSet

    Returns
    -------
    removed : list of CachedSet
    kept : list of str
        For each other one, what it is and why it is still there.
    """
    cache.sweep()
    removed, kept = [], []
    for each in sets:
        try:
            for path in each.paths:
                path.unlink(missing_ok=True)
        except OSError as error:
            kept.append(f"{each.what} ({error.strerror or error})")
        else:
            removed.append(each)
    return removed, kept


def _add(each: CachedSet, path: Path, what: str = "") -> None:
    status = path.stat()
    each.what = what or each.what
    each.paths.append(path)
    each.size += status.st_size
    # Notes are touched at every use, images never.
    each.last_used = status.st_mtime if what else each.last_used or status.st_mtime


def _what(notes: Path, name: re.Match[str]) -> str:
    if name["count"]:
        return f"{int(name['count']):,} drawn faces of {name['side']} x {name['side']} pixels (seed {name['seed']})"
    try:
        folder = json.loads(notes.read_text(encoding="ascii"))["notes"]["folder"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        folder = "a folder"  # of an earlier version, or damaged
    return f"images of {printable(folder)}, of {name['width']} x {name['width']} pixels"
