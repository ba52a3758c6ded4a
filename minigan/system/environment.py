"""What the environment must not decide: variables that steer a library, hidden while it is imported or used.

A command is often started from a notebook, whose environment says how *its* charts are shown; or on a server, where
somebody has set a variable for another program. Neither is a reason for a training to fail.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def without_variables(*prefixes: str) -> Iterator[None]:
    """Within this, there are no environment variables whose names begin with one of the prefixes."""
    hidden = {name: value for name, value in os.environ.items() if name.startswith(prefixes)}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)
