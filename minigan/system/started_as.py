"""How this process was started: as one of minigan's commands, or as somebody else's program.

Ctrl-C while modules are loaded, and an import for which the memory is too small, are told in one line in a command, and
left alone in a program of a user's own. These questions are asked while the package is imported, so this module, like
those that ask them, is imported first.
"""

from __future__ import annotations

import os
import sys


def is_module_sought() -> bool:
    """Whether Python is looking for the module of ``python -m minigan.train``, and imports the package for that."""
    return sys.argv[:1] == ["-m"]


def is_installed_command() -> bool:
    """Whether this is the command ``minigan``, which pip has put beside Python (``minigan.exe`` on Windows)."""
    name = os.path.basename(sys.argv[0]) if sys.argv else ""  # noqa: PTH119 (pathlib takes long to load)
    return name in ("minigan", "minigan.exe", "minigan-script.py")


def is_command() -> bool:
    """Whether the package is imported because a user has called one of its commands."""
    return is_module_sought() or is_installed_command()
