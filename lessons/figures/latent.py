"""Pictures for lesson 13: where noise lies, ways between faces, directions, arithmetic, and nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lessons.figures import style
from minigan.pages.plots import to_uint8

_DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1)))


def shell(straight: Any, circle: Any, t: Any, sizes: Sequence[int] = (2, 20, 100)) -> Figure:
    """How long noise is, and how long the stops of a straight way and of a great circle are.

    Parameters
    ----------
    straight, circle : Array of shape (T, D)
        Stops of both ways between the same two noises.
    t : Array of shape (T,)
    sizes : sequence of int
        Numbers of dimensions to show the lengths of.

    Returns
    -------
    Figure
    """
    rng = np.random.default_rng(0)
    figure, axes = style.new(2, 1, 9.4, 3.3)
    for size, dash, colour in zip(sizes, _DASHES, (style.GREY, style.ORANGE, style.BLUE), strict=False):
        lengths = np.linalg.norm(rng.standard_normal((20_000, size)), axis=1)
        heights, edges = np.histogram(lengths, bins=60, density=True)
        middles = (edges[1:] + edges[:-1]) / 2
        axes[0].plot(middles, heights, color=colour, linestyle=dash)
        axes[0].annotate(
            f"{size} numbers", (middles[heights.argmax()], heights.max()), ha="left", va="bottom", fontsize=8.5
        )
    axes[0].set(title="How long is noise?", xlabel="length of z", ylabel="density", xlim=(0, 13), ylim=(0, 0.75))
    axes[1].axhspan(10 - 1.41, 10 + 1.41, color=style.GREY, alpha=0.3, linewidth=0)
    axes[1].text(0.02, 11.6, "95 % of all noise of 100 numbers", fontsize=8.5, color=style.INK)
    axes[1].plot(t, np.linalg.norm(circle, axis=1), color=style.BLUE, marker="o", label="great circle (slerp)")
    axes[1].plot(
        t,
        np.linalg.norm(straight, axis=1),
        color=style.ORANGE,
        linestyle="--",
        marker="s",
        label="straight line (lerp)",
    )
    axes[1].set(
        title="How long are the stops on the way?", xlabel="share of the way, t", ylabel="length", ylim=(5, 12.6)
    )
    axes[1].legend(loc="lower left", frameon=False, fontsize=8.5)
    return figure


def strips(faces: Any, rows: Sequence[str], columns: Sequence[str], title: str, axis: str = "") -> Figure:
    """Rows of faces.

    Parameters
    ----------
    faces : Array of shape (R, T, S, S, 3)
        uint8, or in [-1, 1].
    rows, columns : sequence of str
        Labels, R and T of them.
    title : str
    axis : str
        What changes from left to right.

    Returns
    -------
    Figure
    """
    R, T = len(faces), len(faces[0])
    figure, ax = style.new(1, 1, 0.6 * T + 1.1, 0.6 * R + 0.8)
    _sheet(ax, faces)
    S = np.shape(faces)[2]
    step = S + _gap(S)
    ax.set_xticks([step * k + S / 2 for k in range(T)], list(columns))
    ax.set_yticks([step * k + S / 2 for k in range(R)], list(rows))
    ax.set_xlabel(axis)
    ax.set_title(title)
    return figure


def _gap(side: int) -> int:
    return max(1, side // 16)


def _sheet(ax: Axes, faces: Any) -> None:
    pixels = np.asarray(faces)
    pixels = pixels if pixels.dtype == np.uint8 else to_uint8(pixels)
    R, T, S = pixels.shape[:3]
    gap = _gap(S)
    sheet = np.full((R, S + gap, T, S + gap, 3), 255, np.uint8)
    sheet[:, :S, :, :S] = pixels.transpose(0, 2, 1, 3, 4)
    ax.imshow(sheet.reshape(R * (S + gap), T * (S + gap), 3)[:-gap, :-gap], interpolation="nearest")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def half_space(share: float = 0.15, points: int = 400) -> Figure:
    """Why the difference of two means points to an attribute: noise of two numbers, cut by a line.

    Parameters
    ----------
    share : float
        Share of the faces that have the attribute.
    points : int

    Returns
    -------
    Figure
    """
    z = np.random.default_rng(3).standard_normal((points, 2))
    w = np.array([0.8, 0.6])
    along = z @ w
    cut = float(np.quantile(along, 1 - share))
    has = along > cut
    figure, ax = style.new(1, 1, 5.2, 4.4)
    ax.plot(*z[~has].T, color=style.GREY, marker=".", linestyle="none", label="without the attribute")
    ax.plot(*z[has].T, color=style.BLUE, marker="^", linestyle="none", label="with it")
    normal = np.array([-w[1], w[0]])
    border = np.stack([cut * w - 4 * normal, cut * w + 4 * normal])
    ax.plot(*border.T, color=style.INK, linestyle="--", linewidth=1, label="border")
    low, high = z[~has].mean(axis=0), z[has].mean(axis=0)
    ax.annotate("", xy=high, xytext=low, arrowprops={"arrowstyle": "-|>", "color": style.RED, "linewidth": 2.4})
    ax.annotate("difference of\nthe two means", (low + high) / 2, xytext=(0.9, -2.7), fontsize=9, color=style.RED,
                arrowprops={"arrowstyle": "-", "color": style.RED})  # fmt: skip
    ax.set(xlim=(-3.3, 3.3), ylim=(-3.3, 3.3), aspect="equal", xlabel="first number of z", ylabel="second number of z")
    ax.set_title("Sideways, everything cancels")
    ax.legend(loc="lower left", frameon=False, fontsize=8)
    return figure


def effect(strengths: Any, shares: Mapping[str, Any], title: str, axis: str = "how far along the direction") -> Figure:
    """What a direction does: shares of faces, by how far one goes.

    Parameters
    ----------
    strengths : Array of shape (A,)
    shares : mapping of str to Array of shape (A,)
        Shares by label, 0 to 1; at most five.
    title, axis : str

    Returns
    -------
    Figure
    """
    figure, ax = style.new(1, 1, 6.6, 3.3)
    for (label, values), line in zip(shares.items(), style.LINES, strict=False):
        ax.plot(strengths, 100 * np.asarray(values), label=label, **line)
    ax.set(title=title, xlabel=axis, ylabel="share of faces, %", ylim=(0, 104))
    figure.legend(loc="outside right center", frameon=False, fontsize=8.5)
    return figure


def equation(groups: Sequence[Any], results: Any, names: Sequence[str]) -> Figure:
    """Arithmetic with faces: three groups, and what comes out.

    Parameters
    ----------
    groups : sequence of three Arrays of shape (3, S, S, 3)
        The faces whose noises are averaged.
    results : Array of shape (n, S, S, 3)
        The result in the middle of its neighbours, n = 9; or fewer.
    names : sequence of str
        Four: of the groups, and of what is expected.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(4, 1, 6.0, 2.6)
    axes[0].get_gridspec().set_width_ratios([1, 1, 1, 2.9])
    for ax, faces, name, sign in zip(axes, groups, names, ("", "-  ", "+  "), strict=False):
        _sheet(ax, np.asarray(faces)[:, None])
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"{sign}{name}", fontsize=9)
    columns = int(np.ceil(np.sqrt(len(results))))
    _sheet(axes[3], np.asarray(results).reshape(-1, columns, *np.shape(results)[1:]))
    axes[3].set(xticks=[], yticks=[])
    axes[3].set_title(f"=  {names[3]}?", fontsize=9)
    return figure


def neighbours(faces: Any, found: Any, distances: Any, rows: Sequence[str]) -> Figure:
    """Faces, each beside the training images that are nearest to it.

    Parameters
    ----------
    faces : Array of shape (R, S, S, 3), uint8
    found : Array of shape (R, k, S, S, 3), uint8
    distances : Array of shape (R, k)
        In grey levels.
    rows : sequence of str
        A label for each face.

    Returns
    -------
    Figure
    """
    sheet = np.concatenate([np.asarray(faces)[:, None], np.asarray(found)], axis=1)
    columns = ["face", *(f"nearest {k + 1}" for k in range(len(distances[0])))]
    figure = strips(sheet, rows, columns, "Nearest training images")
    ax, S = figure.axes[0], sheet.shape[2]
    step = S + _gap(S)
    for (i, j), value in np.ndenumerate(np.asarray(distances)):
        box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1}
        ax.text(step * (j + 1) + 2, step * i + S - 3, f"{value:.0f}", fontsize=7.5, color=style.INK, bbox=box)
    return figure


def tradeoff(limits: Sequence[float], quality: Any, variety: Any, lengths: Any) -> Figure:
    """Truncated noise: clear faces against varied ones.

    Parameters
    ----------
    limits : sequence of float
    quality : Array
        Share of clear faces, by limit.
    variety : Array
        Spread of the faces, as a share of that of real ones.
    lengths : Array
        Mean length of the noise.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(2, 1, 9.4, 3.3)
    axes[0].plot(variety, 100 * np.asarray(quality), color=style.BLUE, marker="o")
    for limit, x, y in zip(limits, variety, quality, strict=True):
        name = "all" if np.isinf(limit) else f"{limit:g}"
        axes[0].annotate(name, (x, 100 * y), xytext=(-6, 5), textcoords="offset points", fontsize=8.5, ha="right")
    axes[0].set(title="what one pays with what", xlabel="spread, as a share of real images'", ylabel="clear faces, %")
    places = np.arange(len(limits))
    axes[1].plot(places, lengths, color=style.ORANGE, marker="s", linestyle="--")
    axes[1].axhline(10, color=style.GREY, linewidth=0.8)
    axes[1].set_xticks(places, ["all" if np.isinf(limit) else f"{limit:g}" for limit in limits])
    axes[1].set(title="what truncation does to the length", xlabel="limit", ylabel="mean length of z", ylim=(0, 11))
    return figure
