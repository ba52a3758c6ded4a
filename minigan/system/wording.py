"""Counts, times and long texts in words for people. Reports, pages and messages are written with them."""

from __future__ import annotations

LONGEST = 600
"""Letters that `cut` leaves of words from outside."""

NAME = 120
"""Letters that `shortened` leaves of a name or path on a page; a tooltip or a record has it whole."""

NAME_IN_A_TABLE = 40
"""The same in a table, on a page or in a terminal."""


def see(entry: str) -> str:
    """The end of a message: where docs/troubleshooting.md says more about it.

    Parameters
    ----------
    entry : str
        The anchor of a heading of that page. A test compares all anchors in messages with all headings.

    Returns
    -------
    str

    Examples
    --------
    >>> "no more threads" + see("limits")
    'no more threads (docs/troubleshooting.md#limits)'
    """
    return f" (docs/troubleshooting.md#{entry})"


def plural(count: int, noun: str) -> str:
    """A count with its noun.

    >>> plural(1, "step"), plural(1500, "step")
    ('1 step', '1,500 steps')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def grouped(number: float) -> str:
    """A number with commas between its thousands.

    >>> grouped(1500)
    '1,500'
    """
    return f"{number:,}"


def cut(words: object) -> str:
    """The first `LONGEST` letters of any words."""
    told = str(words)
    return told if len(told) <= LONGEST else told[:LONGEST] + "…"


def shortened(name: object, most: int = NAME) -> str:
    """A name or path without its middle, if it is longer than there is room for: the end often says more.

    >>> shortened("my_layers.py"), shortened("the_layers_of_somebody_with_a_long_name.py", 20)
    ('my_layers.py', 'the_laye...g_name.py')
    """
    told = str(name)
    if len(told) <= most:
        return told
    kept = most - 3
    return f"{told[: kept // 2]}...{told[len(told) - (kept - kept // 2) :]}"


def duration(seconds: float) -> str:
    """A time, in few words.

    >>> duration(0.25), duration(42.3), duration(160), duration(5400), duration(200000)
    ('0.25 s', '42 s', '3 min', '1 h 30 min', '2 d 8 h')
    """
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if minutes < 60:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24:,} d {hours % 24} h"
