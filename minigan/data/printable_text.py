"""File names and other text from outside, made safe for messages and reports."""

from __future__ import annotations


def printable(text: object) -> str:
    r"""Text that is safe in a one-line message: line breaks, terminal commands and undecodable bytes are escaped.

    >>> print(printable("two\nlines.png"))
    two\nlines.png
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))
