"""What students hand in: files of layers, files of progress, and folders that have such files somewhere in them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from minigan.check.exercise_table import EXERCISES
from minigan.check.sandbox.progress_file import is_progress
from minigan.system.errors import UserError
from minigan.system.file_kinds import EMPTY, kind_of

MOST_FILES = 5000
ASKED_FOR = ("my_layers.py", "progress.json")
"""Names that the course asks for. Such a file counts whatever is in it, or a student would be missing in the report."""
_LAYER = re.compile(
    rb"^[ \t]*(?:async[ \t]+)?def[ \t]+(?:%s)\b"
    % b"|".join(name.encode() for exercise in EXERCISES.values() for name in exercise.functions),
    re.MULTILINE,
)


def files_in(folder: str) -> list[str]:
    """The files of layers and of progress in a folder and the folders below it.

    Parameters
    ----------
    folder : str

    Returns
    -------
    list of str
        Sorted. Python files that define none of the exercises' functions are left out, such as helpers, unless they
        are no Python at all, such as an archive. So is all whose name begins with a dot, and minigan itself, if
        somebody hands in the whole folder of the course.

    Raises
    ------
    UserError
        If there are none, or too many.
    """
    found: list[str] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith((".", "__pycache__")) and not Path(place, name, "nn", "ops").is_dir()
        )
        for name in sorted(names):
            path = Path(place, name)
            if name.startswith(".") or not path.is_file():
                continue
            if name in ASKED_FOR or _has_layers(path) or is_progress(path):
                found.append(str(path))
        if len(found) > MOST_FILES:
            raise UserError(f"{folder} has more than {MOST_FILES:,} files of layers in it")
    if not found:
        raise UserError(f"{folder} is a folder without a file of layers: none defines dense_forward, or the like")
    return found


def _has_layers(path: Path) -> bool:
    if path.suffix != ".py":
        return False
    try:
        with path.open("rb") as file:
            content = file.read(10_000_000)
        return _LAYER.search(content) is not None or kind_of(content) not in ("", EMPTY)
    except OSError:
        return True  # the checker says what is wrong with it
