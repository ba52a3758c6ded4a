"""The check that a saved state fits, before anything is loaded.

A state is a mapping from names to arrays, as `Sequential.state` and `Adam.state` return it. Everything that loads a
state (networks, optimizers, the generator's average, checkpoints) calls `check_state` first, so that a state that does
not fit changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def check_state(where: str, own: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise ValueError unless `given` has exactly the names, shapes and dtypes of `own`."""
    missing = [name for name in own if name not in given]
    unknown = [name for name in given if name not in own]
    if missing or unknown:
        what = f"{missing[0]!r} is missing" if missing else f"{unknown[0]!r} is not known"
        raise ValueError(f"{where}: the saved state does not fit: {what}")
    for name, array in own.items():
        saved = given[name]
        if saved.shape != array.shape or saved.dtype != array.dtype:
            raise ValueError(
                f"{where}: {name} must be {array.dtype} of shape {array.shape}, "
                f"got {saved.dtype} of shape {saved.shape}"
            )
