"""Pictures of lesson 2: secants, the V curve, directions of a probe, kinks, a blind dy, and which mutants survive."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lessons.figures import style
from minigan.nn.backend import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D")
_PAPER = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}


def secants(f: Callable[[float], float], x: float, h: float, slope: float) -> Figure:
    """A curve, its tangent, and two lines that try to be it: through x and x + h, and through x - h and x + h.

    Parameters
    ----------
    f : callable
        A function of one number.
    x, h : float
        Where, and the step.
    slope : float
        The true slope at x.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1, 1, 6.4, 4.0)
    t = np.linspace(x - 1.9 * h, x + 1.9 * h, 200)
    axes.plot(t, [f(a) for a in t], color=style.INK, linewidth=2, label="f")
    one_sided, centred = (f(x + h) - f(x)) / h, (f(x + h) - f(x - h)) / (2 * h)
    middle = (f(x + h) + f(x - h)) / 2
    for name, value, height, colour, line in (
        ("tangent", slope, f(x), style.GREY, ":"),
        ("through x and x + h", one_sided, f(x), style.ORANGE, "--"),
        ("through x - h and x + h", centred, middle, style.BLUE, "-."),
    ):
        axes.plot(t, height + value * (t - x), line, color=colour, linewidth=1.8, label=f"{name}: slope {value:.4g}")
    for place, label in ((x - h, "x - h"), (x, "x"), (x + h, "x + h")):
        axes.plot(place, f(place), "o", color=style.INK)
        axes.annotate(label, (place, f(place)), (8, -14), textcoords="offset points", bbox=_PAPER)
    axes.set_xlabel("x")
    axes.set_ylabel("f(x)")
    axes.legend(frameon=False, loc="upper left")
    axes.set_title("A step to both sides gives nearly the tangent's slope")
    return figure


def v_curve(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], notes: Mapping[str, float]) -> Figure:
    """Error of a measured slope against the step, both on logarithmic axes.

    Parameters
    ----------
    curves : mapping of str to (steps, errors)
        By the name of the method; errors relative to slopes of about 1.
    notes : mapping of str to float
        Steps to mark with a vertical line and a word.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1, 1, 7.4, 4.8)
    colours = (style.BLUE, style.ORANGE, style.GREEN, style.RED)
    for k, (name, (steps, errors)) in enumerate(curves.items()):
        axes.loglog(steps, np.maximum(errors, 1e-17), LINES[k % 4], marker=MARKERS[k % 4], markersize=4,
                    color=colours[k % 4], label=name)  # fmt: skip
    for name, step in notes.items():
        axes.axvline(step, color=style.GREY, linewidth=1, linestyle=":")
        axes.annotate(name, (step, 0.015), (3, 0), xycoords=("data", "axes fraction"), textcoords="offset points",
                      color=style.INK, fontsize=9)  # fmt: skip
    axes.text(0.02, 0.97, "too small a step:\nrounding error, eps/h", transform=axes.transAxes, va="top", fontsize=9)
    axes.text(0.985, 0.3, "too large a step:\ntruncation error,\nh² (centred), h (one-sided)",
              transform=axes.transAxes, ha="right", va="top", fontsize=9, bbox=_PAPER)  # fmt: skip
    axes.set_xlabel("step h")
    axes.set_ylabel("typical error of the slope")
    axes.set_ylim(3e-13, 30)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="upper right")
    axes.set_title("Neither too long a step nor too short a one")
    return figure


def where_the_probe_looks(
    scalar: Callable[[Array], float], x: Array, gradient: Array, wrong: Array, probe: Callable[[Array], float]
) -> Figure:
    """A scalar of two inputs as a map, and its slope in every direction beside what two gradients claim.

    Parameters
    ----------
    scalar : callable
        An array (2,) to sum(f(x) * dy).
    x : Array of shape (2,)
    gradient, wrong : Array of shape (2,)
        The right gradient at x, and a wrong one.
    probe : callable
        A direction (2,) to the slope that is measured along it.

    Returns
    -------
    Figure
    """
    figure, (left, right) = style.new(2, 1, 10, 4.4)
    side = np.linspace(-1.6, 1.6, 80)
    heights = np.array([[scalar(x + np.array([a, b])) for a in side] for b in side])
    lines = left.contour(x[0] + side, x[1] + side, heights, 14, colors=[style.GREY], linewidths=0.9)
    left.clabel(lines, fontsize=7)
    for vector, colour, line, name in ((gradient, style.BLUE, "-", "dx"), (wrong, style.RED, "--", "a wrong dx")):
        left.annotate("", x + vector / np.linalg.norm(gradient), x,
                      arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 2, "linestyle": line})  # fmt: skip
        left.annotate(name, x + 1.08 * vector / np.linalg.norm(gradient), color=colour, fontsize=10)
    angles = np.deg2rad(np.arange(0, 360, 30))
    for angle in angles:
        v = np.array([np.cos(angle), np.sin(angle)])
        left.plot(*np.stack([x - 0.25 * v, x + 0.25 * v]).T, color=style.INK, linewidth=0.8, alpha=0.6)
    left.set_aspect("equal")
    left.set_xlabel("first input")
    left.set_ylabel("second input")
    left.set_title("sum(y * dy) as a map; a probe\nwalks along one of the short lines")

    fine = np.deg2rad(np.arange(0, 361, 3))
    towards = np.stack([np.cos(fine), np.sin(fine)], axis=1)
    right.plot(np.rad2deg(fine), towards @ gradient, color=style.BLUE, label="sum(dx * v)")
    right.plot(np.rad2deg(fine), towards @ wrong, "--", color=style.RED, label="sum(wrong dx * v)")
    measured = [probe(np.array([np.cos(a), np.sin(a)])) for a in angles]
    right.plot(np.rad2deg(angles), measured, "o", color=style.INK, label="measured")
    error = wrong - gradient
    blind = (np.rad2deg(np.arctan2(error[1], error[0])) + 90) % 180
    for place in (blind, blind + 180):
        right.axvline(place, color=style.GREY, linestyle=":", linewidth=1)
    top = max(np.abs(gradient).max(), np.abs(wrong).max()) * 1.6
    right.set_ylim(-top, top * 1.25)
    right.annotate(
        "blind here", (blind, -top * 0.9), (0, 0), textcoords="offset points", fontsize=9, ha="center", bbox=_PAPER
    )
    right.annotate(
        "and here", (blind + 180, -top * 0.9), (0, 0), textcoords="offset points", fontsize=9, ha="center", bbox=_PAPER
    )
    right.set_xticks(range(0, 361, 60))
    right.set_xlabel("direction v (degrees)")
    right.set_ylabel("slope along v")
    right.legend(frameon=False, loc="upper right", ncols=3, fontsize=8)
    right.set_title("A wrong gradient shows in every direction,\nexcept exactly across its error")
    return figure


def kink(probe: Callable[[float], float], distance: float, slopes: tuple[float, float]) -> Figure:
    """A kink near x, and what is measured with steps from far below its distance to far above.

    Parameters
    ----------
    probe : callable
        A step h to the measured slope at x.
    distance : float
        From x, which lies to the right of the kink, to the kink.
    slopes : (float, float)
        Left and right of the kink.

    Returns
    -------
    Figure
    """
    figure, (left, right) = style.new(2, 1, 10, 4.0)
    t = np.linspace(-3, 5, 200)
    left.plot(t, np.where(t > 0, slopes[1] * t, slopes[0] * t), color=style.INK, linewidth=2)
    for h, colour, line, level in (
        (0.7, style.BLUE, "-", "h below the distance: right"),
        (3.0, style.RED, "--", "h above it: neither slope"),
    ):
        ends = np.array([1 - h, 1 + h])
        left.plot(ends, np.where(ends > 0, slopes[1] * ends, slopes[0] * ends), line, marker="o", color=colour,
                  label=level)  # fmt: skip
    left.plot(1, slopes[1], "D", color=style.INK)
    left.annotate("x", (1, slopes[1]), (-4, 10), textcoords="offset points")
    left.set_xlabel("input, in units of the distance to the kink")
    left.set_ylabel("output")
    left.legend(frameon=False, loc="upper left", fontsize=9)
    left.set_title("A step that crosses the kink\nmeasures a mixture of two slopes")

    steps = distance * np.logspace(-2, 2, 81)
    at_h, at_half = np.array([probe(h) for h in steps]), np.array([probe(h / 2) for h in steps])
    right.semilogx(steps, at_h, "-", color=style.BLUE, label="measured with h")
    right.semilogx(steps, at_half, "--", color=style.ORANGE, label="measured with h/2")
    apart = np.abs(at_h - at_half) > 1e-6
    right.fill_between(steps, 0, 1, where=apart, color=style.GREY, alpha=0.25, transform=right.get_xaxis_transform(),
                       hatch="///", edgecolor="white", linewidth=0, label="they disagree")  # fmt: skip
    right.axvline(distance, color=style.INK, linestyle=":", linewidth=1)
    right.annotate("distance to\nthe kink", (distance, 0.04), (-4, 0), xycoords=("data", "axes fraction"),
                   textcoords="offset points", ha="right", fontsize=9)  # fmt: skip
    right.set_xlabel("step h")
    right.set_ylabel("measured slope")
    right.set_ylim(0, slopes[1] * 1.15)
    right.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 0.14), fontsize=9)
    right.set_title("Where h and h/2 disagree,\ndo not believe either")
    return figure


def blind_cotangents(
    forward: Callable[[Array], Array], x: Array, cotangents: Mapping[str, Callable[[Array], Array]]
) -> Figure:
    """sum(y * dy) while one input moves, for several choices of dy.

    Parameters
    ----------
    forward : callable
        An array to an array.
    x : Array of shape (N,)
        Its first entry is moved.
    cotangents : mapping of str to callable
        By name, y to dy. What dy depends on y is worked out anew at each place, as a loss would.

    Returns
    -------
    Figure
    """
    figure, (left, right) = style.new(2, 1, 10, 4.0)
    moves = np.linspace(-1.5, 1.5, 121)
    moved = np.repeat(x[None], len(moves), axis=0)
    moved[:, 0] += moves
    ys = np.array([forward(row) for row in moved])
    for k in range(len(x)):
        left.plot(x[0] + moves, ys[:, k], LINES[k % 4], color=(style.BLUE, style.ORANGE, style.GREEN, style.RED)[k % 4],
                  label=f"y[{k}]")  # fmt: skip
    left.set_xlabel("x[0]")
    left.set_ylabel("normalised values")
    left.legend(frameon=False, ncols=len(x), fontsize=9)
    left.set_ylim(ys.min() - 0.2, ys.max() + 0.7)
    left.set_title("x[0] moves, and so does every y")
    for k, (name, dy_of) in enumerate(cotangents.items()):
        curve = np.array([np.sum(y * dy_of(y)) for y in ys])
        right.plot(x[0] + moves, curve, LINES[k % 4], color=(style.RED, style.ORANGE, style.BLUE)[k % 3], linewidth=2,
                   label=name)  # fmt: skip
    right.set_xlabel("x[0]")
    right.set_ylabel("sum(y * dy)")
    right.legend(frameon=False, fontsize=9)
    right.set_title("... but two of these three see nothing")
    return figure


def survival(columns: Mapping[str, Sequence[Any]]) -> Figure:
    """Which mutants are killed and which right ones are accused: one row for each backward, one column for each check.

    Parameters
    ----------
    columns : mapping of str to sequence of Trial
        By the name of the check; all in the same order.

    Returns
    -------
    Figure
    """
    trials = list(columns.values())
    rows = len(trials[0])
    rights = sum(t.mutant is None for t in trials[0])
    figure, axes = style.new(1, 1, 9.2, 0.215 * rows + 1.9)
    for j, column in enumerate(trials):
        for i, trial in enumerate(column):
            y = i + (0 if i < rights else 1.2)
            if trial.good:
                axes.plot(j, y, "o", markersize=4, color=style.GREY, alpha=0.55)
            elif trial.mutant is None:
                axes.plot(j, y, "X", markersize=9, color=style.RED)
            else:
                axes.plot(j, y, "s", markersize=8, markerfacecolor="none", markeredgewidth=1.8, color=style.BLUE)
    places = [i + (0 if i < rights else 1.2) for i in range(rows)]
    axes.set_yticks(places, [t.name for t in trials[0]], fontsize=7.5)
    axes.set_ylim(places[-1] + 0.8, -0.8)
    axes.set_xlim(-0.6, len(trials) - 0.4)
    totals = [
        f"{textwrap.fill(name, 10)}\n{sum(not t.good for t in column if t.mutant)} survive\n"
        f"{sum(not t.good for t in column if not t.mutant)} accused"
        for name, column in columns.items()
    ]
    axes.set_xticks(range(len(trials)), totals, fontsize=8)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("check")
    axes.set_ylabel(f"{rows - rights} mutants below, {rights} right ones above")
    axes.axhline(rights - 0.4, color=style.GREY, linewidth=1)
    for place in places:
        axes.axhline(place, color=style.GREY, linewidth=0.3, alpha=0.35, zorder=0)
    for mark, colour, filled, label in (
        ("s", style.BLUE, "none", "a mutant survives"),
        ("X", style.RED, style.RED, "a right one is accused"),
        ("o", style.GREY, style.GREY, "as it should be"),
    ):
        axes.plot([], [], mark, color=colour, markerfacecolor=filled, label=label)
    axes.legend(loc="upper center", bbox_to_anchor=(0.3, -0.01), ncols=3, frameon=False, fontsize=9)
    axes.set_title("Which mutants survive which check")
    return figure
