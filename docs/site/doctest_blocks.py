"""For mkdocstrings: an example in the middle of a docstring is shown as code, as those under "Examples" are."""

from __future__ import annotations

import re
from typing import Any

import griffe

BLOCK = re.compile(r"(?:^>>> .*\n?(?:^(?!\n).+\n?)*)(?:\n?^>>> .*\n?(?:^(?!\n).+\n?)*)*", re.M)


class DoctestBlocks(griffe.Extension):
    """Puts a fence around each block of lines that begins with ``>>>``."""

    def on_instance(self, *, obj: griffe.Object, **others: Any) -> None:
        """Change one docstring."""
        if obj.docstring and "\nExamples\n---" not in obj.docstring.value:
            obj.docstring.value = fenced_examples(obj.docstring.value)


def fenced_examples(text: str) -> str:
    """A docstring whose examples are blocks of code."""
    return BLOCK.sub(lambda block: f"```pycon\n{block[0].rstrip()}\n```\n", text)
