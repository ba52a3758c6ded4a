"""What students hand in: files of layers, files of progress, and folders that have such files somewhere in them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from minigan.check.exercise_table import EXERCISES
from minigan.check.sandbox.progress_file import is_progress
from minigan.system.errors import UserError

MOST_FILES = 5000
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
        Sorted. Python files that define none of the exercises' functions are left out, such as helpers; so is all
        whose name begins with a dot.

    Raises
    ------
    UserError
        If there are none, or too many.
    """
    found: list[str] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and path.is_file() and (_has_layers(path) or is_progress(path)):
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
            return _LAYER.search(file.read(10_000_000)) is not None
    except OSError:
        return True  # the checker says what is wrong with it
