"""The course: fourteen lessons from an array to a latent space.

The notebooks import `lessons.notebook`. They are made by ``lessons/build.py`` from the files in ``lessons/src``; nobody
writes in a notebook itself. Start with ``lessons/README.md``.
"""

import os
from typing import TypeVar

T = TypeVar("T")


def fast(full: T, quick: T) -> T:
    """`full`, or `quick` while the course is only tried out (MINIGAN_LESSONS_FAST=1)."""
    return quick if os.environ.get("MINIGAN_LESSONS_FAST") == "1" else full
