"""The page on which a generator's faces are explored: one HTML text and a few scripts, for both ways to draw.

The page asks one function for its faces, ``draw(faces)``. There are two of them (``browser/engines.js``): one asks the
local server of `minigan.play.explore_server`, the other draws in the browser. All else is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minigan
from minigan.nn.network import Sequential
from minigan.pages import html
from minigan.play.directions import FAR, Direction
from minigan.play.face_text import weights_hash

BROWSER = Path(__file__).with_name("browser")
"""The folder of the page's scripts."""

MAX_FACES = 16
"""Faces in one request to the server."""


@dataclass(frozen=True)
class Explorable:
    """A generator, and what the page says of it.

    Attributes
    ----------
    generator : Sequential
        On the NumPy backend.
    name : str
        Of its run.
    step : int
        Its finished training steps.
    directions : sequence of Direction
        One slider for each.
    """

    generator: Sequential
    name: str
    step: int
    directions: Sequence[Direction]


def scripts() -> dict[str, bytes]:
    """The page's scripts, by file name."""
    return {path.name: path.read_bytes() for path in sorted(BROWSER.glob("*.js"))}


def page(subject: Explorable, *, engine: str, network: dict[str, Any] | None = None) -> str:
    """The page.

    Parameters
    ----------
    subject : Explorable
    engine : "server" or "browser"
        Who draws.
    network : dict, optional
        For "browser": the name of the file with the generator's numbers, and the plan of its layers
        (`minigan.play.browser_generator.pack`).

    Returns
    -------
    str
        HTML.
    """
    data = {
        "engine": engine,
        "size": subject.generator.output_shape()[0],
        "weights": weights_hash(subject.generator),
        "directions": [
            {"name": d.name, "no": d.no, "yes": d.yes, "vector": [round(float(x), 5) for x in d.vector]}
            for d in subject.directions
        ],
        "far": FAR,
        "network": network,
        "atOnce": MAX_FACES,
    }
    return html.render(
        "explore.html",
        title=f"Explore {subject.name} · minigan",
        name=subject.name,
        step=subject.step,
        engine=engine,
        named=any(d.yes for d in subject.directions),
        version=minigan.__version__,
        data=data,
    )
