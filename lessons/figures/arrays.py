"""Lesson 1's pictures: puzzles in three panels, memory as a strip, broadcasting, reductions, windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lessons.figures import style
from minigan.nn.backend import Array

MOST_NUMBERS = 80
"""Matrices with more cells are drawn without the numbers in them."""


def puzzle(reference: Callable[..., Any], function: Callable[..., Any], *arguments: Any) -> Figure:
    """What should come out, what does, and the difference.

    Parameters
    ----------
    reference, function : callable
        The right function and the student's. If the latter is not written yet, or fails, its panel says so.
    *arguments
        For both; given as copies.

    Returns
    -------
    Figure
        Three panels. Arrays with four axes (patches) are laid out as a mosaic.
    """
    target = np.asarray(reference(*_copies(arguments)))
    yours, trouble = _result(function, arguments)
    figure, (left, middle, right) = style.new(3, 1, 9, 2.9)
    shown = [target] if yours is None else [target, yours]
    colours = _colours(*shown)
    _panel(left, target, colours, f"target, shape {target.shape}")
    if yours is None:
        _message(middle, trouble, "yours")
        _message(right, "", "difference: yours - target")
        return figure
    _panel(middle, yours, colours, f"yours, shape {yours.shape}")
    if yours.shape != target.shape:
        _message(right, "no difference of\ntwo shapes", "difference: yours - target")
        return figure
    difference = yours - target
    worst = float(np.abs(difference).max(initial=0))
    _panel(right, difference, (style.SIGNED, style.symmetric(difference)), f"difference, at most {worst:.2g}")
    return figure


def _colours(*arrays: Array) -> tuple[str, dict[str, float]]:
    """Colour map and limits for arrays that are shown side by side."""
    if any((values < 0).any() for values in arrays):
        return style.SIGNED, style.symmetric(*arrays)
    return style.MAGNITUDE, {"vmin": 0.0, "vmax": max(float(values.max(initial=0)) for values in arrays) or 1.0}


def _copies(arguments: tuple[Any, ...]) -> list[Any]:
    return [np.array(a, order="K", copy=True) if isinstance(a, np.ndarray) else a for a in arguments]


def _result(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Array | None, str]:
    try:
        result = function(*_copies(arguments))
    except NotImplementedError:
        return None, "not written yet"
    except Exception as error:
        return None, type(error).__name__
    array = np.asarray(result)
    if array.dtype.kind not in "fiub" or not 1 <= array.ndim <= 4 or array.size == 0:
        return None, f"{type(result).__name__}: cannot be drawn"
    return array.astype(float), ""


def _panel(axes: Any, values: Array, colours: tuple[str, dict[str, float]], title: str) -> None:
    matrix = mosaic(values) if values.ndim == 4 else values
    matrix = np.concatenate(list(np.moveaxis(matrix, -1, 0)), axis=1) if matrix.ndim == 3 else np.atleast_2d(matrix)
    numbers = "{:.3g}" if matrix.size <= MOST_NUMBERS else ""
    style.cells(axes, matrix, cmap=colours[0], limits=colours[1], numbers=numbers)
    _sparse_ticks(axes, matrix.shape)
    axes.set(title=title, xlabel="column", ylabel="row")


def _sparse_ticks(axes: Any, shape: tuple[int, ...]) -> None:
    if max(shape) > 12:
        axes.set_xticks(range(0, shape[1], 8))
        axes.set_yticks(range(0, shape[0], 8))
        axes.grid(visible=False, which="minor")


def _message(axes: Any, text: str, title: str) -> None:
    axes.set(title=title, xlabel="column", ylabel="row", xticks=[], yticks=[])
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=style.INK)


def mosaic(patches: Array) -> Array:
    """Patches (Ho, Wo, K, K) side by side as one matrix, with a line of NaN between them."""
    Ho, Wo, K, L = patches.shape
    out = np.full((Ho * (K + 1) - 1, Wo * (L + 1) - 1), np.nan)
    for i, j in np.ndindex(Ho, Wo):
        out[i * (K + 1) : i * (K + 1) + K, j * (L + 1) : j * (L + 1) + L] = patches[i, j]
    return out


# --------------------------------------------------------------------------------------------------------------- memory
def memory(rows: int = 3, columns: int = 4, itemsize: int = 4) -> Figure:
    """A matrix and the strip of memory behind it, with one step along each axis.

    Parameters
    ----------
    rows, columns : int
    itemsize : int
        Bytes per number.

    Returns
    -------
    Figure
        Left the matrix, its numbers counting the places; right the strip, shaded by row.
    """
    figure, (left, right) = style.new(2, 1, 9, 2.9, widths=(1, 2.8))
    places = np.arange(rows * columns).reshape(rows, columns)
    shade = np.repeat(np.arange(rows), columns).reshape(rows, columns)
    image = left.imshow(shade, cmap=style.MAGNITUDE, vmin=-1, vmax=rows + 1)
    for (i, j), place in np.ndenumerate(places):
        left.text(j, i, str(place), ha="center", va="center", color=style.ink_on(image, shade[i, j]))
    left.set(title="as you see it: x[row, column]", xlabel="column", ylabel="row")
    left.set(xticks=range(columns), yticks=range(rows))
    right.imshow(shade.reshape(1, -1), cmap=style.MAGNITUDE, vmin=-1, vmax=rows + 1, aspect="equal")
    for place in range(rows * columns):
        right.text(place, 0, str(place), ha="center", va="center", color=style.ink_on(image, place // columns))
    for step, colour, height, told in (
        (1, style.BLUE, 0.95, f"one column on: {itemsize} bytes"),
        (columns, style.RED, 2.0, f"one row on: {columns * itemsize} bytes"),
    ):
        arrow = {"arrowstyle": "->", "color": colour, "linewidth": 2, "connectionstyle": f"arc3,rad={-0.9 / step}"}
        right.annotate("", (columns + step, -0.55), (columns, -0.55), arrowprops=arrow)
        offset, side = (columns, "left") if step > 1 else (-0.3, "right")
        right.text(columns + offset - 1.5 * (step > 1), -height, told, color=colour, ha=side, va="center")
    right.set(title="as it lies in memory", xlabel=f"place in memory, {itemsize} bytes each", yticks=[])
    right.set(xticks=range(0, rows * columns, columns), ylim=(0.6, -2.6))
    right.spines[:].set_visible(False)
    return figure


def visits(x: Array, expressions: Mapping[str, Array]) -> Figure:
    """In which order views of an array go through its memory.

    Parameters
    ----------
    x : Array
        Contiguous, small.
    expressions : mapping of str to Array
        What is written to views of x.

    Returns
    -------
    Figure
        A strip for each view: what is in memory, with an arrow from each visit to the next; pale where it never comes.
    """
    figure, all_axes = style.new(1, len(expressions), 8.5, 0.3 + 1.5 * len(expressions))
    start, size = _address(x), x.itemsize
    for axes, (text, view) in zip(np.atleast_1d(all_axes), expressions.items(), strict=True):
        walk = []
        for index in np.ndindex(view.shape):
            offset = _address(view) - start + sum(i * s for i, s in zip(index, view.strides, strict=True))
            walk.append(offset // size)
        seen = np.isin(np.arange(x.size), walk)[None, :]
        image = axes.imshow(seen, cmap=style.MAGNITUDE, vmin=0, vmax=2.5)
        for place, value in enumerate(x.ravel()):
            colour = style.ink_on(image, bool(seen[0, place]))
            axes.text(place, 0, f"{value:g}", ha="center", va="center", fontsize=8, color=colour)
        for here, there in pairwise(walk):
            bend = "arc3,rad=-0.3" if there > here else "arc3,rad=0.3"
            arrow = {"arrowstyle": "->", "connectionstyle": bend, "linewidth": 0.8, "color": style.INK}
            axes.annotate("", xy=(there, -0.5), xytext=(here, -0.5), arrowprops=arrow)
        axes.set_ylim(0.5, -2.2)
        axes.set_xticks(np.arange(x.size + 1) - 0.5, minor=True)
        axes.tick_params(which="both", length=0)
        axes.spines[:].set_visible(False)
        axes.set(xticks=range(x.size), yticks=[], title=f"{text}    shape {view.shape}, strides {view.strides}")
    np.atleast_1d(all_axes)[-1].set_xlabel("place in memory; arrows: the order of the visits")
    return figure


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


# --------------------------------------------------------------------------------------------------------- broadcasting
def broadcasting(column: Array, row: Array) -> Figure:
    """A column and a row, stretched to a matrix each, and their sum.

    Parameters
    ----------
    column : Array of shape (H,)
    row : Array of shape (W,)
        Numbers from 0 on.

    Returns
    -------
    Figure
        Stretched copies are hatched: they exist in the picture only.
    """
    H, W = len(column), len(row)
    tall, wide = np.broadcast_to(column[:, None], (H, W)), np.broadcast_to(row, (H, W))
    figure, panels = style.new(3, 1, 9, 2.6)
    limits = {"vmin": 0.0, "vmax": 1.6 * float((tall + wide).max())}  # light enough for dark numbers under the hatching
    titles = (f"column, shape ({H}, 1)", f"row, shape ({W},)", f"column + row, shape ({H}, {W})")
    for axes, values, title in zip(panels, (tall, wide, tall + wide), titles, strict=True):
        style.cells(axes, values, cmap=style.MAGNITUDE, limits=limits)
        axes.set(title=title, xlabel="column", ylabel="row")
    panels[0].add_patch(_ghost(0.5, -0.5, W - 1, H))
    panels[1].add_patch(_ghost(-0.5, 0.5, W, H - 1))
    return figure


def _ghost(x: float, y: float, width: float, height: float) -> Rectangle:
    return Rectangle(
        (x, y), width, height, facecolor=(1, 1, 1, 0.4), edgecolor=(1, 1, 1, 0.8), hatch="///", linewidth=0
    )


def reductions(x: Array) -> Figure:
    """A matrix with its means along both axes.

    Parameters
    ----------
    x : Array of shape (H, W)

    Returns
    -------
    Figure
    """
    H, W = x.shape
    figure, panels = style.new(3, 1, 9, 2.6)
    limits = {"vmin": 0.0, "vmax": float(x.max())}
    for axes, values, title, label in (
        (panels[0], x, f"x, shape {x.shape}", "row"),
        (panels[1], x.mean(axis=0, keepdims=True), f"x.mean(axis=0): shape ({W},)", "rows are gone"),
        (panels[2], x.mean(axis=1, keepdims=True), f"x.mean(axis=1): shape ({H},)", "row"),
    ):
        style.cells(axes, values, cmap=style.MAGNITUDE, limits=limits, numbers="{:.3g}")
        axes.set(title=title, xlabel="column" if values.shape[1] > 1 else "columns are gone", ylabel=label)
    return figure


# ------------------------------------------------------------------------------------------------------------- pictures
def windows(x: Array, K: int) -> Figure:
    """A matrix with three of its windows framed, and all its windows as a mosaic.

    Parameters
    ----------
    x : Array of shape (H, W)
    K : int
        Side of a window.

    Returns
    -------
    Figure
    """
    patches = np.lib.stride_tricks.sliding_window_view(x, (K, K))
    figure, (left, right) = style.new(2, 1, 9, 3.6)
    cmap, limits = _colours(x)
    style.cells(left, x, cmap=cmap, limits=limits)
    left.set(title=f"x, shape {x.shape}", xlabel="column", ylabel="row")
    style.cells(right, mosaic(patches), cmap=cmap, limits=limits, numbers="")
    Ho, Wo = patches.shape[:2]
    for (i, j), colour, line in (
        ((0, 0), style.RED, "-"),
        ((0, 1), style.ORANGE, "--"),
        ((Ho - 1, Wo - 1), "white", ":"),
    ):
        frame = {"fill": False, "edgecolor": colour, "linewidth": 2.5, "linestyle": line}
        left.add_patch(Rectangle((j - 0.44, i - 0.44), K - 0.12, K - 0.12, **frame))
        right.add_patch(Rectangle((j * (K + 1) - 0.44, i * (K + 1) - 0.44), K - 0.12, K - 0.12, **frame))
    right.set(title=f"its windows, shape {patches.shape}", xticks=[], yticks=[])
    right.set(xlabel="window's column j", ylabel="window's row i")
    return figure


def edges(image: Array, answers: Array, names: tuple[str, ...]) -> Figure:
    """A grey image and what kernels answer to it.

    Parameters
    ----------
    image : Array of shape (H, W)
    answers : Array of shape (Ho, Wo, O)
    names : tuple of str
        One for each kernel.

    Returns
    -------
    Figure
    """
    figure, panels = style.new(1 + answers.shape[2], 1, 9, 3.2)
    panels[0].imshow(image, cmap="gray")
    panels[0].set(title=f"image, shape {image.shape}", xlabel="column", ylabel="row")
    for o, axes in enumerate(panels[1:]):
        axes.imshow(answers[..., o], cmap=style.SIGNED, **style.symmetric(answers))
        axes.set(title=f"{names[o]}, shape {answers.shape[:2]}", xlabel="column", ylabel="row")
    return figure


def circle(points: Array, moved: Array) -> Figure:
    """Points of the plane, and where they have been moved.

    Parameters
    ----------
    points, moved : Array of shape (N, 2)

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1, 1, 5.6, 3.8)
    angle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(angle), np.sin(angle), color=style.GREY, linewidth=1, label="length 1")
    for start, end in zip(points, moved, strict=True):
        axes.plot(*np.stack([start, end]).T, color=style.GREY, linewidth=0.7, linestyle=":")
    axes.plot(*points.T, color=style.BLUE, linestyle="", marker="o", fillstyle="none", label="rows of x")
    axes.plot(*moved.T, color=style.RED, linestyle="", marker="D", label="unit rows")
    axes.set(title="every row, brought to length 1", xlabel="x[:, 0]", ylabel="x[:, 1]", aspect="equal")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
