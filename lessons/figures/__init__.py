"""The lessons' pictures, a module for each topic: ``figures.arrays``, ``figures.convolution`` and so on.

Modules are imported when they are first used. Every function in them takes data or functions and returns a matplotlib
figure; `lessons.notebook.show` displays it.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    if Path(__file__).with_name(f"{name}.py").is_file():
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
