"""Pictures of lesson 3: shapes of a dense layer, kinks, saturation, flatten, and a plane that a network folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lessons.figures import style
from minigan.nn.backend import Array

Pair = tuple[Callable[..., tuple[Array, Any]], Callable[..., Array]]


def shapes(N: int, C: int, O: int) -> Figure:
    """A dense layer forward and its three gradients, every array as a box of its own shape, summed indices marked.

    Parameters
    ----------
    N, C, O : int
        All different, so that a transposed array is seen to be one.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1, 1, 9.6, 4.4)
    rows = (
        ("y = x @ w + b", [("x", N, C), "@", ("w", C, O), "+", ("b", 1, O), "=", ("y", N, O)], "C", "over channels"),
        ("dx = dy @ w.T", [("dy", N, O), "@", ("w.T", O, C), "=", ("dx", N, C)], "O", "over outputs"),
        ("dw = x.T @ dy", [("x.T", C, N), "@", ("dy", N, O), "=", ("dw", C, O)], "N", "over samples"),
        ("db = dy.sum(axis=0)", [("dy", N, O), "sum down", ("db", 1, O)], "N", "over samples"),
    )
    letters = {N: "N", C: "C", O: "O", 1: ""}
    tops = (0.0, -(max(N, C) + 3.0))
    for k, (formula, parts, summed, told) in enumerate(rows):
        x, middle = (0.0, 21.0)[k % 2], tops[k // 2]
        axes.text(x, middle + max(N, C) / 2 + 0.7, f"{formula}    summed {told}", fontsize=9.5, color=style.INK)
        for part in parts:
            if isinstance(part, str):
                axes.text(x + 0.75, middle, part.replace(" ", "\n"), ha="center", va="center", fontsize=10)
                x += 1.9 if len(part) == 1 else 2.6
                continue
            name, height, width = part
            backward = name.startswith("d")
            axes.add_patch(_box(x, middle - height / 2, width, height, backward, name.endswith(".T")))
            axes.text(x + width / 2, middle, name, ha="center", va="center", fontsize=10, bbox=_PAPER)
            for text, place, side in (
                (letters[height], (x - 0.12, middle), "right"),
                (letters[width], (x + width / 2, middle + height / 2 + 0.22), "center"),
            ):
                strong = text == summed and name not in ("y", "dx", "dw", "db", "b")
                axes.text(*place, text, ha=side, va="center", fontsize=9, color=style.RED if strong else style.INK,
                          fontweight="bold" if strong else "normal")  # fmt: skip
            x += width + 0.9
    axes.set_xlim(-0.8, 36.5)
    axes.set_ylim(tops[1] - max(N, C) / 2 - 0.8, tops[0] + max(N, C) / 2 + 1.6)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.set_title(
        f"N = {N} samples, C = {C} channels in, O = {O} out. Bold letters meet and are summed away;\n"
        "blue is forward, yellow is a gradient, hatched is transposed"
    )
    return figure


_PAPER = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"}


def _box(x: float, y: float, width: float, height: float, backward: bool, turned: bool) -> Any:
    return Rectangle(
        (x, y),
        width,
        height,
        facecolor="#F6D9A0" if backward else "#BBD6EA",
        edgecolor=style.INK,
        hatch="//" if turned else None,
        linewidth=1.1,
    )


def curves(activations: Mapping[str, Pair], *, extent: float = 4.0) -> Figure:
    """Activations, and beside them their slopes, as backward gives them for a dy of ones.

    Parameters
    ----------
    activations : mapping of str to (forward, backward)
    extent : float
        Inputs from -extent to extent.

    Returns
    -------
    Figure
    """
    figure, (left, right) = style.new(2, 1, 9.6, 3.6)
    x = np.linspace(-extent, extent, 400)  # never exactly 0, where a kink has no slope
    for line, (name, (forward, backward)) in zip(style.LINES, activations.items(), strict=False):
        look = {**line, "marker": None}
        y, cache = forward(x)
        left.plot(x, y, label=name, **look)
        right.plot(x, backward(np.ones_like(x), cache), label=name, **look)
    for axes in (left, right):
        axes.axvline(0, color=style.GREY, linewidth=0.8)
        axes.axhline(0, color=style.GREY, linewidth=0.8)
        axes.set_xlabel("input x")
        axes.legend()
    left.set_ylabel("output y")
    right.set_ylabel("slope, dx for a dy of 1")
    left.set_title("The function")
    right.set_title("Its slope: the factor on the way back")
    return figure


def depth(activations: Mapping[str, Pair], dense: Pair, *, layers: int = 12, seed: int = 0) -> Figure:
    """Size of the gradient at every layer of a deep chain of Dense and activation, from the end back to the beginning.

    Parameters
    ----------
    activations : mapping of str to (forward, backward)
    dense : (forward, backward)
    layers : int
    seed : int

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1, 1, 7.2, 3.8)
    for line, (name, (forward, backward)) in zip(style.LINES, activations.items(), strict=False):
        rng = np.random.default_rng(seed)
        x, caches = rng.standard_normal((200, 64)), []
        for _ in range(layers):
            h, first = dense[0](x, rng.standard_normal((64, 64)) * np.sqrt(2 / 64), np.zeros(64))
            x, second = forward(h)
            caches.append((first, second))
        dy = rng.standard_normal(x.shape)
        sizes = [float(np.sqrt((dy**2).mean()))]
        for first, second in reversed(caches):
            dy = dense[1](backward(dy, second), first)[0]
            sizes.append(float(np.sqrt((dy**2).mean())))
        axes.semilogy(range(layers, -1, -1), sizes, label=name, **line)
    axes.set_xlabel("layer (the loss is at the right; gradients travel to the left)")
    axes.set_ylabel("typical size of the gradient")
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right")
    axes.set_title("How much of a gradient arrives, twelve layers further down")
    return figure


def flat(H: int, W: int, C: int) -> Figure:
    """A small image's channels, every value its own place in the flat row, and the row itself.

    Parameters
    ----------
    H, W, C : int

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1, 1, 8.6, 3.0)
    places = np.arange(H * W * C).reshape(H, W, C)
    tints = ("#BBD6EA", "#F6D9A0", "#BFE3D4", "#EBC4C6")
    for h, w, c in np.ndindex(H, W, C):
        for x, y in ((c * (W + 1.5) + w, -h), (places[h, w, c] * 0.92, -H - 1.4)):
            axes.add_patch(
                Rectangle((x, y), 0.92, 0.92, facecolor=tints[c % 4], edgecolor="white", hatch=("", "..", "//")[c % 3])
            )
            axes.text(x + 0.46, y + 0.46, str(places[h, w, c]), ha="center", va="center", bbox=_PAPER, fontsize=9)
    for c in range(C):
        axes.text(c * (W + 1.5) + W / 2, 1.2, f"channel {c}", ha="center")
    axes.text(C * (W + 1.5), -0.2, f"x: one image, H = {H}, W = {W}, C = {C}\nthe numbers say where each value goes",
              va="center", fontsize=9.5)  # fmt: skip
    axes.text(
        0,
        -H - 1.95,
        "the flat row: place (h*W + w)*C + c, channels of one pixel side by side",
        fontsize=9.5,
        va="center",
    )
    axes.set_xlim(-0.3, max(H * W * C, C * (W + 1.5) + 8) + 0.5)
    axes.set_ylim(-H - 2.5, 1.8)
    axes.axis("off")
    axes.set_title("Flatten moves nothing in memory: it only counts in another way")
    return figure


def film(
    scenes: Sequence[tuple[str, Callable[[Array], Array], Array | None]],
    points: Array,
    targets: Array,
    *,
    extent: float = 1.6,
) -> Figure:
    """What a network says of every place of the plane, at several moments or for several networks.

    Parameters
    ----------
    scenes : sequence of (title, network, folds)
        network: points (N, 2) to answers (N, 1) in (-1, 1). folds: lines on which hidden units have their kinks, rows
        (a, b, c) for a*x + b*y + c = 0, or None.
    points : Array of shape (N, 2)
    targets : Array of shape (N, 1)
        +1 or -1.
    extent : float
        The picture shows the square from -extent to extent.

    Returns
    -------
    Figure
    """
    figure, panels = style.new(len(scenes), 1, 2.1 * len(scenes) + 1.1, 2.75)
    side = np.linspace(-extent, extent, 120)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    inside = targets[:, 0] > 0
    for axes, (title, network, folds) in zip(np.atleast_1d(panels), scenes, strict=True):
        answers = network(grid).reshape(120, 120)
        image = axes.imshow(answers, origin="lower", extent=(-extent, extent, -extent, extent), cmap=style.SIGNED,
                            vmin=-1, vmax=1)  # fmt: skip
        if answers.min() < 0 < answers.max():
            axes.contour(side, side, answers, [0.0], colors="white", linewidths=2)
        for a, b, c in [] if folds is None else folds:
            ends = np.array([-extent, extent])
            if abs(b) > abs(a):
                axes.plot(ends, -(a * ends + c) / b, "--", color="white", linewidth=0.7, alpha=0.8)
            else:
                axes.plot(-(b * ends + c) / a, ends, "--", color="white", linewidth=0.7, alpha=0.8)
        shown = slice(0, 160)
        for chosen, mark, colour in ((inside[shown], "o", style.INK), (~inside[shown], "x", "#D5D5D5")):
            axes.plot(*points[shown][chosen].T, mark, color=colour, markersize=2.6, markerfacecolor="white",
                      markeredgewidth=0.7)  # fmt: skip
        axes.set_xlim(-extent, extent)
        axes.set_ylim(-extent, extent)
        axes.set_xticks([-1, 0, 1])
        axes.set_yticks([-1, 0, 1])
        axes.set_xlabel("first input")
        axes.set_ylabel("second input" if axes is np.atleast_1d(panels)[0] else "")
        axes.set_title(title)
    figure.colorbar(image, ax=panels, label="answer", shrink=0.75, aspect=14)
    return figure


def losses(curves: Mapping[str, Sequence[float]]) -> Figure:
    """Losses over the steps of training.

    Parameters
    ----------
    curves : mapping of str to sequence of float
        By name, one loss for every step.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1, 1, 6.4, 3.2)
    for line, (name, values) in zip(style.LINES, curves.items(), strict=False):
        axes.loglog(range(1, len(values) + 1), values, label=name, **{**line, "marker": None})
    axes.set_xlabel("step")
    axes.set_ylabel("mean squared error")
    axes.grid(alpha=0.25)
    axes.legend()
    axes.set_title("More kinks, a smaller error; none, and it gets stuck")
    return figure
