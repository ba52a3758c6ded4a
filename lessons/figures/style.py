"""How the lessons' pictures look: colours, colour maps, and a figure to draw on.

All of them keep their meaning in greyscale and for readers who do not see all colours. Lines differ in dash and marker
beside their colour (`LINES`). The map for signed values runs from dark blue through grey to light yellow, so that
darker means smaller in a photocopy too. Importing this module sets matplotlib's sizes and spines for the process:
titles and legends read them when they are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from minigan.nn.backend import Array

BLUE = "#0060A8"
ORANGE = "#E69F00"
GREEN = "#1B9E77"
RED = "#C1272D"
GREY = "#8A8A8A"
INK = "#222222"

SIGNED = "cividis"
"""Colour map for values of both signs, with limits of `symmetric`: dark blue below 0, grey at 0, yellow above."""

MAGNITUDE = "YlGnBu"
"""Colour map for values that start at 0: pale yellow is nothing, dark blue is much."""

LINES: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "linestyle": "-", "marker": "o"},
    {"color": ORANGE, "linestyle": "--", "marker": "s"},
    {"color": GREEN, "linestyle": "-.", "marker": "^"},
    {"color": RED, "linestyle": ":", "marker": "D"},
    {"color": INK, "linestyle": (0, (5, 1, 1, 1, 1, 1)), "marker": "v"},
)
"""For lines in one picture, in this order: each has its colour, its dash and its marker."""

_SETTINGS: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlecolor": INK,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "font.size": 9.5,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
}
matplotlib.rcParams.update(_SETTINGS)


def new(
    columns: int = 1, rows: int = 1, width: float = 4.5, height: float = 3.2, *, widths: Sequence[float] | None = None
) -> tuple[Figure, Any]:
    """A figure in the lessons' style, with its axes.

    Parameters
    ----------
    columns, rows : int
        How many axes.
    width, height : float
        Size of the whole figure in inches; 9 fill a notebook's column.
    widths : sequence of float, optional
        Widths of the columns, relative to each other.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Not known to pyplot: nothing has to be closed.
    axes : Axes, or array of Axes
        One, a row or column of them, or an array of shape (rows, columns).
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, width_ratios=widths)


def symmetric(*arrays: Array) -> dict[str, float]:
    """Limits for `SIGNED` that put 0 in the middle: ``axes.imshow(a, cmap=style.SIGNED, **style.symmetric(a))``.

    >>> symmetric(np.array([-1.0, 3.0]))
    {'vmin': -3.0, 'vmax': 3.0}
    """
    values = [np.abs(a[np.isfinite(a)]).max(initial=0.0) for a in map(np.asarray, arrays)]
    most = float(max(values, default=0.0)) or 1.0
    return {"vmin": -most, "vmax": most}


def cells(
    axes: Any, values: Array, *, cmap: str = SIGNED, limits: dict[str, float] | None = None, numbers: str = "{:g}"
) -> Any:
    """Draw a matrix as squares with their numbers in them.

    Parameters
    ----------
    axes : matplotlib Axes
    values : Array of shape (H,) or (H, W)
        A vector is drawn as one row.
    cmap : str
    limits : dict, optional
        vmin and vmax; by default `symmetric` of the values for `SIGNED`, from 0 to the largest for other maps.
    numbers : str
        Format of the numbers; "" for none.

    Returns
    -------
    matplotlib image
        For a colour bar.
    """
    matrix = np.atleast_2d(np.asarray(values, dtype=float))
    if limits is None:
        limits = symmetric(matrix) if cmap == SIGNED else {"vmin": 0.0, "vmax": float(np.nanmax(matrix)) or 1.0}
    image = axes.imshow(matrix, cmap=cmap, aspect="equal", **limits)
    H, W = matrix.shape
    axes.set_xticks(range(W))
    axes.set_yticks(range(H))
    axes.set_xticks(np.arange(W + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(H + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    if numbers:
        for (i, j), value in np.ndenumerate(matrix):
            axes.text(j, i, numbers.format(value), ha="center", va="center", fontsize=8.5, color=ink_on(image, value))
    return image


def ink_on(image: Any, value: float) -> str:
    """The colour, dark or white, in which text can be read on a value of a matplotlib image."""
    red, green, blue, _ = image.cmap(image.norm(value))
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
