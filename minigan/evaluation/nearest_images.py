"""evaluation.png: samples beside the training images that are nearest to them, and a bar chart of the distances."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minigan.evaluation.metrics import Measurement, Neighbours, pyramid_sides
from minigan.nn.backend import Array
from minigan.pages.plots import grid, plain_matplotlib
from minigan.system.atomic_files import replacing

SHOWN = 16
"""Pairs of a sample and its nearest training image in each half of the figure."""


@plain_matplotlib()
def save_nearest_images(
    path: Path, measures: dict[str, Measurement], faces: Array, neighbours: Neighbours, training: Array
) -> None:
    """Draw the nearest neighbours and the distances at each size, and write it all or nothing.

    Parameters
    ----------
    path : Path
    measures : dict of str to Measurement
    faces : numpy.ndarray of shape (N, S, S, 3), uint8
        The samples.
    neighbours : Neighbours
        The nearest training images of the faces.
    training : numpy.ndarray of shape (M, S, S, 3), uint8

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    suspects = np.argsort(neighbours.distance / np.maximum(neighbours.crowd, 1e-6), kind="stable")[:SHOWN]
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3, width_ratios=[2, 2, 1.5])
    for axes, chosen, title in (
        (left, suspects, "The samples most like copies"),
        (middle, np.arange(min(SHOWN, len(faces))), "Any samples"),
    ):
        pairs = np.stack([faces[chosen], training[neighbours.index[chosen]]], axis=1)  # (16, 2, S, S, 3)
        axes.imshow(grid(pairs.reshape(-1, *faces.shape[1:]), columns=4), interpolation="nearest")
        axes.set_title(f"{title},\neach with its nearest training image on the right", fontsize=10, loc="left")
        axes.set_axis_off()
    sides = pyramid_sides(faces.shape[1])
    places = np.arange(len(sides))
    levels = [measures[f"swd_{side}"] for side in sides]
    right.bar(places - 0.2, [m.value for m in levels], 0.4, color="#d1495b", label="samples")
    right.bar(places + 0.2, [m.real for m in levels], 0.4, color="#00798c", label="real images")
    right.set_xticks(places, [f"{side}" for side in sides])
    right.set_xlabel("pixels (left: fine lines, right: shapes)", fontsize=9)
    right.set_title("Sliced Wasserstein distance\nto real images, by size", fontsize=10, loc="left")
    right.spines[["top", "right"]].set_visible(False)
    right.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
