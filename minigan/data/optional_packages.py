"""Importing packages that come with a BLAS of their own, which minigan does not use.

SciPy and OpenCV start a thread for each processor when they are imported. Where so many are not allowed, OpenBLAS
interrupts the whole process. Here they get one, as NumPy does in such places (`minigan.system.startup`).
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from minigan.system.startup import BLAS_SETTINGS, environment


def import_without_threads(name: str, *parts: str) -> Any:
    """Import a package, and modules that it would import only later.

    Parameters
    ----------
    name : str
    *parts : str
        Names of the modules.

    Returns
    -------
    module
        The package.

    Raises
    ------
    ImportError
        If one of them cannot be imported.
    """
    if not all(part in sys.modules for part in (name, *parts)):
        with environment(dict.fromkeys(BLAS_SETTINGS, "1")):
            for part in (*parts, name):
                importlib.import_module(part)
    return importlib.import_module(name)
