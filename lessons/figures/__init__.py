"""The lessons' pictures, a module for each topic: ``figures.arrays``, ``figures.convolution`` and so on.

Modules are imported when they are first used. Every function in them takes data or functions and returns a matplotlib
figure; `lessons.notebook.show` displays it.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}") is not None:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
