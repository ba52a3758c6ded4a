"""Pictures for lesson 5: paths in a valley, what the bias correction mends, memories that turn, and a game of two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lessons.exercises import lesson05
from lessons.figures import style
from minigan.nn.backend import Array

_WIDE, _HIGH = 5.0, 0.8


def _line(k: int) -> dict[str, Any]:
    return {name: value for name, value in style.LINES[k].items() if name != "marker"}


def _valley(ax: Any, path: Array, k: int, title: str) -> None:
    x, y = np.meshgrid(np.linspace(-_WIDE, _WIDE, 121), np.linspace(-_HIGH, _HIGH, 81))
    height = lesson05.valley(np.stack([x, y], axis=-1))
    ax.contour(x, y, height, levels=[0.3, 1.5, 4, 8, 14, 22], colors=style.GREY, linewidths=0.7)
    outside = (np.abs(path) > 3 * np.array([_WIDE, _HIGH])).any(axis=1)
    if outside.any():
        # A path that has left the picture must not come back as a line across it.
        path = path[: int(np.argmax(outside)) + 1]
    ax.plot(*path.T, markersize=3, linewidth=1.3, **{**_line(k), "marker": style.LINES[k]["marker"]})
    ax.plot(0, 0, "+", color=style.INK, markersize=10)
    ax.plot(*path[0], "o", color=style.INK, markersize=5)
    ax.set_xlim(-_WIDE, _WIDE)
    ax.set_ylim(-_HIGH, _HIGH)
    ax.set_title(title)
    ax.set_xlabel("along the valley")
    ax.set_ylabel("across it")


def paths(runs: Mapping[str, Array]) -> Figure:
    """Paths through the valley, each in a panel of its own; dot: start, cross: the lowest point.

    Parameters
    ----------
    runs : mapping of str to Array (steps + 1, 2)

    Returns
    -------
    Figure
    """
    columns = min(3, len(runs))
    rows = -(-len(runs) // columns)
    figure, axes = style.new(columns, rows, width=9.2, height=2.5 * rows)
    flat = np.ravel(axes)
    for k, (ax, (name, path)) in enumerate(zip(flat, runs.items(), strict=False)):
        _valley(ax, path, k % len(style.LINES), name)
    for ax in flat[len(runs) :]:
        ax.set_axis_off()
    return figure


def heights(runs: Mapping[str, Array]) -> Figure:
    """How high each path still is after every step, on a logarithmic axis.

    Parameters
    ----------
    runs : mapping of str to Array (steps + 1, 2)

    Returns
    -------
    Figure
    """
    figure, ax = style.new(width=6.4, height=3.4)
    for k, (name, path) in enumerate(runs.items()):
        height = np.clip(lesson05.valley(path), 1e-8, 1e6)
        ax.semilogy(height, label=name, markevery=10, **style.LINES[k % len(style.LINES)])
    ax.set_xlabel("step")
    ax.set_ylabel("loss")
    ax.set_title("How high they still are")
    ax.legend()
    return figure


def bias(beta: float, steps: int = 12) -> Figure:
    """A moving average of a constant 1 that begins at 0, and the same divided by 1 - beta**t.

    Parameters
    ----------
    beta : float
    steps : int

    Returns
    -------
    Figure
    """
    t = np.arange(1, steps + 1)
    m = 1 - beta**t
    figure, ax = style.new(width=6.4, height=3)
    ax.bar(t - 0.2, m, 0.4, color=style.BLUE, label="m, begun at 0")
    ax.bar(t + 0.2, m / (1 - beta**t), 0.4, color="white", edgecolor=style.INK, hatch="///", label="m / (1 - beta**t)")
    ax.axhline(1, color=style.GREY, linestyle=":")
    ax.set_xticks(t)
    ax.set_ylim(0, 1.35)
    ax.set_xlabel("step t")
    ax.set_ylabel("average of gradients that are all 1")
    ax.set_title(f"Bias correction, beta = {beta:g}")
    ax.legend(ncols=2, loc="upper center")
    return figure


def turning(betas: tuple[float, ...] = (0.0, 0.5, 0.9), before: int = 30, after: int = 15) -> Figure:
    """The memory m of a gradient that has always been 1 and is -1 from step 0 on.

    Parameters
    ----------
    betas : tuple of float
    before, after : int
        Steps to show.

    Returns
    -------
    Figure
    """
    gradient = np.concatenate([np.ones(before), -np.ones(after)])
    done = np.arange(-4, after + 1)  # steps with the new gradient; m is drawn as it is after them
    figure, ax = style.new(width=7.2, height=3.3)
    ax.step(done, gradient[before - 5 :], where="mid", color=style.GREY, linewidth=1, label="gradient")
    for k, beta in enumerate(betas):
        m, values = 1.0, []
        for g in gradient:
            m = beta * m + (1 - beta) * g
            values.append(m)
        ax.plot(done, values[before - 5 :], label=f"m, beta1 = {beta:g}", **style.LINES[k])
    ax.axhline(0, color=style.INK, linewidth=0.8)
    ax.set_xticks(done[::2])
    ax.set_xlabel("steps since the gradient has turned")
    ax.set_ylabel("m")
    ax.set_title("How long Adam keeps going where it no longer should")
    ax.legend()
    return figure


def game(runs: Mapping[str, Array]) -> Figure:
    """Paths of two players, and their distance from the point where both would rest.

    Parameters
    ----------
    runs : mapping of str to Array (steps + 1, 2)

    Returns
    -------
    Figure
    """
    figure, axes = style.new(len(runs) + 1, 1, width=3 * (len(runs) + 1), height=3.3)
    reach = 1.05 * max(float(np.abs(path).max()) for path in runs.values())
    for k, (ax, (name, path)) in enumerate(zip(axes, runs.items(), strict=False)):
        ax.plot(*path.T, linewidth=0.9, **{key: v for key, v in _line(k).items() if key != "linestyle"})
        ax.plot(*path[0], "o", color=style.INK, markersize=5)
        ax.plot(*path[-1], "s", color=style.INK, markersize=5)
        ax.plot(0, 0, "+", color=style.INK, markersize=12)
        ax.set_xlim(-reach, reach)
        ax.set_ylim(-reach, reach)
        ax.set_aspect("equal")
        ax.set_title(name)
        ax.set_xlabel("x, wants it small")
        ax.set_ylabel("y, wants it large")
        axes[-1].semilogy(np.maximum(np.hypot(*path.T), 1e-4), label=name, linewidth=1.2, **_line(k))
    axes[-1].set_xlabel("step")
    axes[-1].set_ylabel("distance from (0, 0)")
    axes[-1].set_title("towards it, or not")
    axes[-1].legend()
    return figure
