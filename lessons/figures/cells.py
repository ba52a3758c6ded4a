"""Small matrices drawn as cells with their numbers in them: the alphabet of the convolution lessons' pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from lessons.figures import style


class Frame(NamedTuple):
    """A rectangle around cells: its first row and column, how many of each, and how it is drawn."""

    row: float
    column: float
    rows: float = 1
    columns: float = 1
    colour: str = style.RED
    line: str = "-"


def draw(
    ax: Axes,
    values: Any,
    *,
    title: str = "",
    rows: str = "row",
    columns: str = "column",
    frames: Sequence[Frame] = (),
    hatched: Any = None,
    limit: float | None = None,
    magnitude: bool = False,
    size: float = 11,
    texts: Any = None,
    ticks: tuple[Sequence[Any], Sequence[Any]] | None = None,
) -> None:
    """Draw a matrix.

    Parameters
    ----------
    ax : Axes
    values : Array of shape (rows, columns)
        NaN is a cell that is not known yet: it stays white and empty.
    title, rows, columns : str
        Title and the names of the two axes.
    frames : sequence of Frame
    hatched : Array of bool, optional
        Cells that are set apart, such as padding.
    limit : float, optional
        Value with the darkest colour; the largest of these values unless told.
    magnitude : bool
        Shade in grey, for counts, instead of orange above and blue below 0.
    size : float
        Size of the numbers in points; 0 for none.
    texts : Array of str, optional
        What is written into the cells instead of the numbers.
    ticks : two sequences, optional
        Tick labels of rows and columns; 0, 1, 2, ... unless told.
    """
    values = np.asarray(values, dtype=float)
    known = np.abs(values[np.isfinite(values)])
    limit = limit or (known.max() if known.size and known.max() > 0 else 1.0)
    height, width = values.shape
    shades = np.ones((height, width, 4))
    for at, value in np.ndenumerate(values):
        if np.isfinite(value):
            hue = style.INK if magnitude else style.ORANGE if value > 0 else style.BLUE
            shades[at] = to_rgba(hue, min(abs(value) / limit, 1) * (0.45 if magnitude else 0.55))
    ax.imshow(shades, aspect="equal")
    for r in range(height):
        for c in range(width):
            edge = Rectangle((c - 0.5, r - 0.5), 1, 1, fill=False, edgecolor=style.GREY, linewidth=0.6)
            ax.add_patch(edge).set_clip_on(False)
            if hatched is not None and hatched[r][c]:
                ax.add_patch(
                    Rectangle((c - 0.5, r - 0.5), 1, 1, fill=False, hatch="///", edgecolor=style.GREY, linewidth=0)
                )
            told = texts[r][c] if texts is not None else number(values[r, c])
            if size and told:
                ax.text(c, r, told, ha="center", va="center", fontsize=size, color="black")
    for f in frames:
        box = Rectangle((f.column - 0.5, f.row - 0.5), f.columns, f.rows, fill=False, edgecolor=f.colour)
        box.set(linewidth=2.4, linestyle=f.line, zorder=3, clip_on=False)
        ax.add_patch(box)
    row_names, column_names = ticks or (range(height), range(width))
    ax.set_yticks(range(height), [str(name) for name in row_names])
    ax.set_xticks(range(width), [str(name) for name in column_names])
    ax.tick_params(length=0, labelsize=8)
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    ax.set_title(title, fontsize=10)
    ax.set_ylabel(rows, fontsize=9)
    ax.set_xlabel(columns, fontsize=9)


def number(value: float) -> str:
    """A number as short as it can be; nothing for NaN.

    >>> number(3.0), number(-0.25), number(float("nan"))
    ('3', '−0.25', '')
    """
    return "" if not np.isfinite(value) else f"{value:.3g}".replace("-", "−")
