"""Pictures for lesson 9: stamps, a convolution's matrix turned over, growing maps, and checkerboards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lessons.figures import style
from lessons.figures.cells import Frame, draw


def stamping(x: Any, w: Any, stride: int) -> Figure:
    """A transposed convolution step by step: each number stamps the kernel, times its value.

    Parameters
    ----------
    x : Array of shape (H, W)
    w : Array of shape (K, K)
    stride : int

    Returns
    -------
    Figure
        A filmstrip with a frame for each number of x.
    """
    (H, W), K = x.shape, len(w)
    Ho, Wo = stride * (H - 1) + K, stride * (W - 1) + K
    y = np.zeros((Ho, Wo))
    figure, axes = style.new(H * W, 2, 2.5 * H * W, 4.6)
    axes = np.reshape(axes, (2, -1))
    axes[0, 0].get_gridspec().set_height_ratios([1, 1.8])
    largest = _stamped(x, w, stride).max()
    for k, (i, j) in enumerate(np.ndindex(H, W)):
        y[stride * i : stride * i + K, stride * j : stride * j + K] += x[i, j] * w
        title = f"{k + 1}. x[{i}, {j}] = {x[i, j]:g}"
        draw(axes[0, k], x, title=title, rows="place i", columns="place j", frames=[Frame(i, j)])
        title = "stamped, corner at" if k == 0 else "added, corner at"
        frame = Frame(stride * i, stride * j, K, K)
        draw(axes[1, k], y, title=f"{title} ({stride * i}, {stride * j})", frames=[frame], limit=largest, size=10)
    return figure


def _stamped(x: Any, w: Any, stride: int) -> Any:
    """A transposed convolution of one channel, nothing cut off."""
    (H, W), K = np.shape(x), len(w)
    y = np.zeros((stride * (H - 1) + K, stride * (W - 1) + K))
    for i, j in np.ndindex(H, W):
        y[stride * i : stride * i + K, stride * j : stride * j + K] += x[i, j] * w
    return y


def matrices(*, H: int, K: int, stride: int, pad: int) -> Figure:
    """The matrix of a convolution of one row of pixels, and its transpose.

    Parameters
    ----------
    H, K, stride, pad : int

    Returns
    -------
    Figure
        A cell of tap p holds its name; cells of one tap have one shade.
    """
    Ho = (H + 2 * pad - K) // stride + 1
    taps = np.full((Ho, H), -1)
    for i in range(Ho):
        for p in range(K):
            if 0 <= stride * i + p - pad < H:
                taps[i, stride * i + p - pad] = p
    figure, axes = style.new(2, 1, 8.4, 3.9)
    np.ravel(axes)[0].get_gridspec().set_width_ratios([H, Ho])
    titles = ("T: convolution, large to small", "T transposed: small to large")
    words = (
        ("place i of the small row", "pixel r of the large row"),
        ("pixel r of the large row", "place i of the small row"),
    )
    for ax, which, title, (rows, columns) in zip(np.ravel(axes), (taps, taps.T), titles, words, strict=True):
        names = [["" if p < 0 else f"w{p}" for p in row] for row in which]
        draw(ax, which + 1, title=title, rows=rows, columns=columns, texts=names, magnitude=True)
    return figure


def growth(maps: Sequence[Any], changes: Sequence[Any]) -> Figure:
    """Feature maps on the way to the image, and how far the change of a single place reaches in each.

    Parameters
    ----------
    maps : sequence of Array of shape (H, W, C)
        The last one is an image in [-1, 1] with three channels; of the others channel 0 is shown.
    changes : sequence of Array of shape (H, W)
        Size of the change at each pixel.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(len(maps), 2, 2.3 * len(maps), 5.2)
    axes = np.reshape(axes, (2, -1))
    for k, (values, change) in enumerate(zip(maps, changes, strict=True)):
        H, W, C = values.shape
        if k == len(maps) - 1:
            axes[0, k].imshow(np.clip((values + 1) / 2, 0, 1))
        else:
            axes[0, k].imshow(values[..., 0], cmap=style.SIGNED, **style.symmetric(values[..., 0]))
        axes[1, k].imshow(change, cmap=style.MAGNITUDE, vmin=0, vmax=change.max())
        reached = np.argwhere(change > 1e-6 * change.max())
        (top, left), (bottom, right) = reached.min(axis=0), reached.max(axis=0)
        axes[0, k].set_title(f"{H} × {W} × {C}" + (", in colour" if C == 3 else ", channel 0"), fontsize=10)
        axes[1, k].set_title(f"changed: {bottom - top + 1} × {right - left + 1}", fontsize=10)
        for ax in axes[:, k]:
            ax.set_xlabel("column, pixels", fontsize=8)
            ax.set_ylabel("row, pixels", fontsize=8)
            ax.set_xticks((0, W - 1))
            ax.set_yticks((0, H - 1))
            ax.tick_params(labelsize=7)
    return figure


def checkerboards(counts: Sequence[Any], spreads: Sequence[Any], titles: Sequence[str]) -> Figure:
    """How many stamps each pixel gets, and how much random stamps scatter there.

    Parameters
    ----------
    counts, spreads : sequence of Array of shape (H, W)
        The middle 8 x 8 pixels of each are shown.
    titles : sequence of str

    Returns
    -------
    Figure
    """
    figure, axes = style.new(len(counts), 2, 2.7 * len(counts), 5.8)
    axes = np.reshape(axes, (2, -1))
    for k, (count, spread, title) in enumerate(zip(counts, spreads, titles, strict=True)):
        top, left = (max((size - 8) // 2, 0) for size in count.shape)
        middle = (slice(top, top + 8), slice(left, left + 8))
        ticks = tuple(range(start, start + n) for start, n in zip((top, left), count[middle].shape, strict=True))
        told = [[f"{value:.1f}" for value in row] for row in spread[middle]]
        words = {"rows": "pixel row", "columns": "pixel column", "magnitude": True, "ticks": ticks}
        draw(axes[0, k], count[middle], title=f"{title}\nnumber of stamps", size=8.5, **words)
        draw(axes[1, k], spread[middle], title="scatter of random stamps", size=7, texts=told, **words)
    return figure


def grown(before: Any, after: Mapping[str, Any]) -> Figure:
    """A small map, and what layers that double it have made of it.

    Parameters
    ----------
    before : Array of shape (H, W)
    after : mapping of str to Array of shape (H', W')
        By the title; each with its largest value 1.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1 + len(after), 1, 9, 3.2)
    maps = {"before": before / before.max(), **after}
    for ax, (title, one) in zip(np.ravel(axes), maps.items(), strict=True):
        ax.imshow(one, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        ax.set_title(f"{title}: {one.shape[0]} x {one.shape[1]}", fontsize=9)
        ax.set_axis_off()
    return figure


def suspects(dots: Any, kernel: Any, results: Mapping[str, Any], bias: float) -> Figure:
    """An input, a kernel, and what several layers make of them, as numbers.

    Parameters
    ----------
    dots : Array of shape (H, W)
    kernel : Array of shape (K, K)
    results : dict of str to Array
        By name.
    bias : float
        Cells with just this value stay empty.

    Returns
    -------
    Figure
    """
    columns = 4
    rows = -(-(2 + len(results)) // columns)
    figure, axes = style.new(columns, rows, 11.2, 3.0 * rows)
    axes = list(np.ravel(axes))
    limit = max(np.abs(y).max() for y in results.values())
    draw(axes[0], dots, title="x: four dots", rows="place i", columns="place j", size=8)
    draw(axes[1], kernel, title="w: a hook", rows="tap row p", columns="tap column q", size=9)
    for ax, (name, y) in zip(axes[2:], results.items(), strict=False):
        told = [["" if value == bias else f"{value:g}" for value in row] for row in y]
        title = f"{name}  (empty: {bias:g})"
        draw(ax, y, title=title, rows="pixel row", columns="pixel column", size=7, limit=limit, texts=told)
    for ax in axes[2 + len(results) :]:
        ax.set_axis_off()
    return figure
