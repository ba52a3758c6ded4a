"""How minigan's HTML pages are made: Jinja2 templates, two colour themes, and nothing that comes from a network.

Markup, styles and scripts of the pages lie in the folder ``templates``. A page's template extends ``base.html``; Python
only gathers what the page says and calls `render`. Each page is one file that opens from the disk.

Two things protect a page, and each would do alone. Every value is escaped when a template writes it, so that a file
name, a setting or a student's words never become markup. And the page's security policy (in ``base.html``) allows
the page's own script only, by its hash, and lets nothing be loaded.

Jinja2 is imported when the first page is made, so that ``import minigan`` stays fast.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigan.system.wording import NAME_IN_A_TABLE, cut, duration, grouped, plural, shortened

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

TEMPLATES = Path(__file__).with_name("templates")

LIGHT = {
    "page": "#f6f5f2",
    "paper": "#ffffff",
    "ink": "#1d2126",
    "quiet": "#5c636c",
    "line": "#dcdad4",
    "link": "#0b57a4",
    "pass": "#006b52",
    "pass-soft": "#dff3ec",
    "fail": "#a83200",
    "fail-soft": "#ffe9dd",
    "todo": "#5c636c",
    "todo-soft": "#ecebe7",
    "skip": "#7a5200",
    "skip-soft": "#fdf0cf",
    "oops": "#7b3294",
    "oops-soft": "#f5e6fa",
    "sunk": "#f3f2ee",
    "shadow": "0 1px 2px #0001, 0 4px 14px #0000000a",
}

DARK = {
    "page": "#14171b",
    "paper": "#1c2026",
    "ink": "#e7e9ec",
    "quiet": "#a3abb5",
    "line": "#343a43",
    "link": "#86bdff",
    "pass": "#5fd3ad",
    "pass-soft": "#143a2f",
    "fail": "#ff9d6e",
    "fail-soft": "#4a2413",
    "todo": "#a3abb5",
    "todo-soft": "#2a2f36",
    "skip": "#f1c24b",
    "skip-soft": "#42340f",
    "oops": "#dda6f0",
    "oops-soft": "#3c2147",
    "sunk": "#15181d",
    "shadow": "none",
}
"""The two colour themes. A page may add colours of its own."""

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def render(template: str, **values: Any) -> str:
    """A whole page in one string; see `stream`."""
    return "".join(stream(template, **values))


def stream(
    template: str,
    *,
    title: str,
    light: Mapping[str, str] | None = None,
    dark: Mapping[str, str] | None = None,
    **values: Any,
) -> Iterator[str]:
    """A whole page in pieces, for a page too large to be in memory twice.

    Parameters
    ----------
    template : str
        Name of a file in `TEMPLATES` that extends ``base.html``.
    title : str
        Any words.
    light, dark : mapping of str to str, optional
        The page's colour themes, by default `LIGHT` and `DARK`. Each name becomes a CSS variable.
    values : object
        What the template writes. All of it is escaped, and all that the template uses must be there.

    Yields
    ------
    str
        To be written as UTF-8, joined without anything between.

    Raises
    ------
    jinja2.UndefinedError
        If the template uses a value that is missing.
    """
    page = environment().get_template(template)
    yield from page.generate(title=title, light=light or LIGHT, dark=dark or DARK, **values)


@functools.cache
def environment() -> Environment:
    """What all templates share: how values are written, a few filters, and the function ``source``.

    Returns
    -------
    jinja2.Environment
        It escapes every value, refuses missing ones, and replaces what would not print.
    """
    import jinja2
    from markupsafe import Markup

    def printable(value: Any) -> Any:
        """Any value as words; what would not print, or would turn text around, is replaced."""
        return value if isinstance(value, Markup) else _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(value))

    def source(*names: str) -> Markup:
        """Style sheets or scripts of ours, joined; they are written as they are."""
        return Markup("".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names))

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"plural": plural, "grouped": grouped, "duration": duration, "cut": cut, "shortened": shortened}
    made.filters["sha256"] = _sha256
    made.globals |= {"source": source, "in_a_table": NAME_IN_A_TABLE}
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return made


def _sha256(script: str) -> str:
    """The hash that a security policy names a script by."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
