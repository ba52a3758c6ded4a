"""Packages that only some file formats need. They come with the extra "exchange"."""

from __future__ import annotations

import importlib
from typing import Any

from minigan.system.errors import UserError


def require(package: str, purpose: str) -> Any:
    """Import a package.

    Parameters
    ----------
    package : str
    purpose : str
        What it is needed for, for the message.

    Returns
    -------
    module

    Raises
    ------
    UserError
        If it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:  # it is there, and something that it needs is not
            raise
        raise UserError(f"{purpose} needs {package}, which is not installed: python -m pip install {package}") from None
