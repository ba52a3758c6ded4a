"""Draw a training step on two ranks: docs/pictures/ranks.svg.

Time goes from left to right. A box is work that a rank does by itself, a line between the ranks is a meeting. The
meetings are those that `tests/ranks/test_meetings.py` counts.

    python docs/draw_ranks.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.patches
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

PICTURE = Path(__file__).parent / "pictures" / "ranks.svg"
LANES = {0: 1.15, 1: 0.0}
HEIGHT = 0.62
SUMS, GRADIENTS = "#1f6fb4", "#c44e28"
PHASES = (  # title, meetings for batch normalization, and whether parameters are updated
    ("G draws fakes", 0, False),
    ("D learns from the reals", 6, True),
    ("D learns from the fakes", 6, True),
    ("G learns", 16, True),
)
LEAST, PER_MEETING, UPDATE, GAP = 1.0, 0.36, 1.35, 0.12


def main() -> None:
    """Draw and write it."""
    style = {"font.size": 9, "svg.hashsalt": "minigan", "svg.fonttype": "path"}
    with mpl.rc_context(style):
        figure = Figure(figsize=(9.6, 3.3), layout="constrained")
        axes = figure.subplots()
        end = draw(axes)
        axes.set(xlim=(-2.0, end + 0.2), ylim=(-0.95, 2.3))
        axes.axis("off")
        figure.legend(
            handles=[
                Line2D([], [], color=SUMS, label="sums for batch normalization and for the losses shown: some kB"),
                Line2D(
                    [], [], color=GRADIENTS, linewidth=3, label="gradients to their owners, new parameters to all: MB"
                ),
            ],
            loc="outside lower center",
            ncols=2,
            frameon=False,
        )
        figure.savefig(PICTURE, metadata={"Date": None})


def draw(axes: Axes) -> float:
    """Draw both lanes, and return where the step ends."""
    for rank, y in LANES.items():
        axes.text(-0.15, y + HEIGHT / 2, f"rank {rank}\n32 of 64 images", ha="right", va="center")
    x = 0.0
    for title, meetings, updates in PHASES:
        width = LEAST + PER_MEETING * meetings if meetings else 3 * LEAST
        work(axes, x, width)
        axes.text(x + (width + UPDATE * updates) / 2, 2.0, title, ha="center", va="center", weight="bold")
        for k in range(meetings):
            meet(axes, x + LEAST / 2 + PER_MEETING * (k + 0.5), SUMS, 1.2)
        x += width
        if updates:
            meet(axes, x, GRADIENTS, 3.0)
            for rank, y in LANES.items():
                box(axes, x, y, UPDATE, "#f4d9cc")
                axes.text(
                    x + UPDATE / 2, y + HEIGHT / 2, f"Adam,\nhalf {rank + 1}", ha="center", va="center", fontsize=8
                )
            x += UPDATE
            meet(axes, x, GRADIENTS, 3.0)
        x += GAP
    meet(axes, x + 0.1, SUMS, 1.2)
    axes.annotate("", (x + 0.1, -0.35), (0, -0.35), arrowprops={"arrowstyle": "->", "color": "0.3"})
    axes.text((x + 0.1) / 2, -0.55, "one training step: 35 meetings", ha="center", va="top", color="0.2")
    return x + 0.1


def work(axes: Axes, x: float, width: float) -> None:
    """A box on each lane."""
    for y in LANES.values():
        box(axes, x, y, width, "#dbe7f3")


def box(axes: Axes, x: float, y: float, width: float, colour: str) -> None:
    """A box on the lane at height y."""
    axes.add_patch(mpl.patches.Rectangle((x, y), width, HEIGHT, facecolor=colour, edgecolor="0.35", linewidth=0.8))


def meet(axes: Axes, x: float, colour: str, width: float) -> None:
    """A line across the lanes."""
    axes.plot([x, x], [-0.12, LANES[0] + HEIGHT + 0.12], color=colour, linewidth=width, solid_capstyle="butt")


if __name__ == "__main__":
    main()
