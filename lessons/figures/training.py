"""Pictures for lesson 12: what a loss can be, the filmstrip, the curves, and recorded runs with their gauges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lessons.figures import style
from lessons.recorded_runs import Recorded
from minigan.evaluation.diagnosis import D_MOVE, DEAD_MOVE, G_MOVE, SPREAD
from minigan.gan.step import METRICS
from minigan.pages.plots import to_uint8

FLOOR = 0.325083
"""The least mean loss with labels of 0.9 on average: -0.9 ln 0.9 - 0.1 ln 0.1."""

_LOSS_LINES: tuple[tuple[str, str, str, Any], ...] = (
    ("d_real", "D on reals", style.BLUE, "-"),
    ("d_fake", "D on fakes", style.ORANGE, (0, (4, 2))),
    ("g", "G", style.INK, (0, (1, 1))),
)
_ANSWER_LINES: tuple[tuple[str, str, str, Any], ...] = (
    ("d_x", "D(x)", style.BLUE, "-"),
    ("d_g_z", "D(G(z))", style.ORANGE, (0, (4, 2))),
)


def losses_of_an_answer(label: float = 0.9) -> Figure:
    """What every answer of D costs, with hard and with soft labels, and where the landmarks are.

    Parameters
    ----------
    label : float
        Mean label of reals, and of G's step; that of fakes is 1 minus it.

    Returns
    -------
    Figure
    """
    p = np.linspace(0.002, 0.998, 499)
    figure, axes = style.new(2, 1, 9.4, 3.5)
    panels = (
        (axes[0], "D's step on a real image", "D(x), what D answers", label),
        (axes[1], "G's step: the same curve, seen from the other end", "D(G(z)), what D answers", label),
    )
    for ax, title, axis, y in panels:
        ax.plot(p, -np.log(p), color=style.GREY, linestyle="--", label="hard label, 1")
        ax.plot(p, _cost(p, y), color=style.BLUE, label=f"soft label, {y:g} on average")
        ax.set(title=title, xlabel=axis, ylabel="loss", xlim=(0, 1), ylim=(0, 3.2))
        ax.legend(loc="upper right", frameon=False, fontsize=8.5)
    _mark(axes[0], label, _cost(label, label), f"floor {_cost(label, label):.3f}\nat D(x) = {label:g}", (0.5, 0.95))
    _mark(axes[0], 0.5, _cost(0.5, label), "coin toss: ln 2 = 0.693", (0.3, 1.75))
    _mark(
        axes[1],
        1 - label,
        _cost(1 - label, label),
        f"D says {1 - label:.1f} of every fake:\n{_cost(1 - label, label):.2f}",
        (0.24, 1.75),
    )
    _mark(axes[1], 0.5, _cost(0.5, label), "D cannot tell: 0.693", (0.55, 1.3))
    return figure


def _cost(p: Any, y: float) -> Any:
    return -y * np.log(p) - (1 - y) * np.log(1 - p)


def _mark(ax: Axes, x: float, y: float, text: str, at: tuple[float, float]) -> None:
    ax.plot([x], [y], color=style.RED, marker="D", linestyle="none")
    ax.annotate(text, (x, y), xytext=at, fontsize=8.5, arrowprops={"arrowstyle": "-", "color": style.GREY})


def filmstrip(frames: Any, steps: Sequence[int], title: str = "The same noise, step after step") -> Figure:
    """Faces from noise that never changes: a row for each noise, a column for each moment.

    Parameters
    ----------
    frames : Array of shape (F, n, S, S, 3)
        F moments of n faces; uint8, or in [-1, 1].
    steps : sequence of int
        The steps of the F moments.
    title : str

    Returns
    -------
    Figure
    """
    F, n = len(frames), len(frames[0])
    figure, ax = style.new(1, 1, 0.95 * F + 0.6, 0.95 * n + 0.8)
    _strip(ax, frames, steps)
    ax.set_title(title)
    return figure


def _strip(ax: Axes, frames: Any, steps: Sequence[int]) -> None:
    pixels = np.asarray(frames)
    if pixels.dtype != np.uint8:
        pixels = to_uint8(pixels)
    F, n, S = pixels.shape[:3]
    gap = max(1, S // 16)
    sheet = np.full((n, S + gap, F, S + gap, 3), 255, np.uint8)
    sheet[:, :S, :, :S] = pixels.transpose(1, 2, 0, 3, 4)
    ax.imshow(sheet.reshape(n * (S + gap), F * (S + gap), 3)[:-gap, :-gap], interpolation="nearest")
    ax.set_xticks([(S + gap) * k + S / 2 for k in range(F)], [f"{step:,}" for step in steps])
    ax.set_yticks([(S + gap) * k + S / 2 for k in range(n)], [f"z{k + 1}" for k in range(n)])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("training step")
    ax.set_ylabel("noise")


def sixteen(faces: Any, title: str) -> Figure:
    """Sixteen faces in two rows.

    Parameters
    ----------
    faces : Array of shape (16, S, S, 3)
        uint8, or in [-1, 1].
    title : str

    Returns
    -------
    Figure
    """
    figure, ax = style.new(1, 1, 9.4, 2.9)
    _strip(ax, np.asarray(faces).reshape(2, 8, *np.shape(faces)[1:]).swapaxes(0, 1), range(8))
    ax.set(title=title, xticks=[], yticks=[], xlabel="", ylabel="")
    return figure


def curves(steps: Any, history: Any, title: str = "") -> Figure:
    """Losses, and D's mean answers, over the steps.

    Parameters
    ----------
    steps : Array of shape (T,)
    history : Array of shape (T, 6)
        `minigan.gan.step.METRICS` of each step.
    title : str
        In front of both axes' titles.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(2, 1, 9.4, 3.2)
    _loss_curves(axes[0], steps, history)
    _answer_curves(axes[1], steps, history)
    axes[0].set_title(f"{title}losses")
    axes[1].set_title(f"{title}what D answers, on average")
    return figure


def _smooth(values: Any, window: int = 25) -> Any:
    """Running medians; at the ends over fewer values."""
    half = window // 2
    return np.array([np.median(values[max(0, k - half) : k + half + 1]) for k in range(len(values))])


def _lines(ax: Axes, steps: Any, history: Any, lines: tuple[tuple[str, str, str, Any], ...]) -> None:
    for name, label, colour, dash in lines:
        values = np.asarray(history)[:, METRICS.index(name)]
        ax.plot(steps, values, color=colour, alpha=0.18, linewidth=0.7)
        ax.plot(steps, _smooth(values), color=colour, linestyle=dash, label=label, linewidth=1.6)


def _loss_curves(ax: Axes, steps: Any, history: Any) -> None:
    _lines(ax, steps, history, _LOSS_LINES)
    ax.axhline(FLOOR, color=style.GREY, linewidth=0.8)
    ax.text(steps[-1], FLOOR, "floor ", ha="right", va="top", fontsize=7.5, color=style.GREY)
    highest = max(3.4, float(np.quantile(np.asarray(history)[:, :3], 0.98)) * 1.25)
    ax.set(xlabel="training step", ylabel="loss", ylim=(0, highest))
    ax.legend(ncols=3, loc="upper right", handlelength=1.8, columnspacing=1.0, frameon=False, fontsize=8)


def _answer_curves(ax: Axes, steps: Any, history: Any) -> None:
    _lines(ax, steps, history, _ANSWER_LINES)
    ax.axhline(0.5, color=style.GREY, linewidth=0.8)
    ax.set(xlabel="training step", ylabel="probability of “real”", ylim=(0, 1.18), yticks=(0, 0.5, 1))
    ax.legend(ncols=2, loc="upper right", handlelength=1.8, columnspacing=1.0, frameon=False, fontsize=8)


def panel(run: Recorded) -> Figure:
    """One recorded run without its name: faces from fixed noise, losses, D's answers.

    Parameters
    ----------
    run : lessons.recorded_runs.Recorded

    Returns
    -------
    Figure
    """
    figure, axes = style.new(3, 1, 11.4, 2.4)
    _strip(axes[0], run.frames[:, :3], run.frame_steps)
    axes[0].set_title(f"Run {run.letter}: faces from fixed noise")
    _loss_curves(axes[1], run.steps, run.history)
    axes[1].set_title("losses")
    _answer_curves(axes[2], run.steps, run.history)
    axes[2].set_title("what D answers")
    axes[0].get_gridspec().set_width_ratios([1.5, 1, 1])
    return figure


def vitals(runs: Mapping[str, Recorded]) -> Figure:
    """The gauges that are no losses, of several runs beside each other, with the bands of healthy runs in grey.

    Parameters
    ----------
    runs : mapping of str to lessons.recorded_runs.Recorded

    Returns
    -------
    Figure
    """
    gauges = {name: run.gauges() for name, run in runs.items()}
    at = np.arange(len(gauges))
    figure, axes = style.new(4, 1, 11.4, 2.9)
    for ax, name, title, band in (
        (axes[0], "g_move", "G's move: change of a weight", G_MOVE),
        (axes[1], "d_move", "D's move: change of a weight", D_MOVE),
    ):
        values = [max(g[name], 1e-8) for g in gauges.values()]
        ax.axhspan(*band, color=style.GREY, alpha=0.3, linewidth=0)
        ax.plot(at, values, linestyle="none", marker="o", color=style.BLUE, markersize=7)
        ax.axhline(DEAD_MOVE, color=style.GREY, linestyle=":", linewidth=1)
        ax.set(yscale="log", ylim=(5e-9, 3e-2), title=title, ylabel="root mean square change")
    share = [g["fake_spread"] / g["real_spread"] for g in gauges.values()]
    axes[2].axhspan(SPREAD, 1.1, color=style.GREY, alpha=0.3, linewidth=0)
    axes[2].plot(at, share, linestyle="none", marker="s", color=style.BLUE, markersize=7)
    axes[2].set(title="spread of the fakes", ylabel="as a share of the reals'", ylim=(0, max(1.2, 1.1 * max(share))))
    for k, g in enumerate(gauges.values()):
        axes[3].plot([k, k], [g["real_low"], g["real_high"]], color=style.BLUE, marker="_", markersize=10, linewidth=4)
    axes[3].axhspan(-1, 1, color=style.GREY, alpha=0.3, linewidth=0)
    axes[3].set(title="pixels shown to D as real", ylabel="smallest to largest", ylim=(-1.3, 1.3))
    for ax in axes:
        ax.set_xticks(at, list(gauges))
        ax.set_xlabel("run")
        ax.set_xlim(-0.6, len(gauges) - 0.4)
    return figure


def gallery(runs: Mapping[str, Recorded], names: Mapping[str, str]) -> Figure:
    """The last faces of several runs with what each suffers from, and the gauge that tells.

    Parameters
    ----------
    runs : mapping of str to lessons.recorded_runs.Recorded
    names : mapping of str to str
        By letter; a run without a name is shown with a question mark.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(len(runs), 1, 1.95 * len(runs), 3.0)
    for ax, (letter, run) in zip(np.ravel(axes), runs.items(), strict=True):
        faces = run.frames[-1][:4]
        S = run.config.image_size
        sheet = faces.reshape(2, 2, S, S, 3).transpose(0, 2, 1, 3, 4).reshape(2 * S, 2 * S, 3)
        ax.imshow(sheet, interpolation="nearest")
        ax.set_axis_off()
        name = names.get(letter, "")
        ax.set_title(f"{letter}: {name or '?'}", fontsize=9, fontweight="bold")
        ax.text(
            0.5,
            -0.05,
            _telling(run, name),
            transform=ax.transAxes,
            ha="center",
            va="top",
            fontsize=8.5,
            color=style.INK,
        )
    return figure


def _telling(run: Recorded, name: str) -> str:
    g = run.gauges()
    told = {
        "normal": f"accuracy {100 * g['accuracy']:.0f} %, spread {g['fake_spread'] / g['real_spread']:.2f},\nboth "
        f"move as they should",
        "generator-dead": f"G moves {g['g_move']:.0e},\nlosses {g['d_real']:.2f} and {g['g']:.2f}: “perfect”",
        "discriminator-too-strong": f"D moves {g['d_move']:.0e},\n"
        f"{g['d_move'] / max(g['g_move'], 1e-9):.0f} times as far as G",
        "mode-collapse": f"fakes differ by {g['fake_spread']:.2f},\nreal images by {g['real_spread']:.2f}",
        "exploding": f"D once leapt by {g['d_leap']:.0e},\nnow nothing moves",
        "data-range": f"real pixels from {g['real_low']:.0f} to {g['real_high']:.0f},\nG's own from -1 to 1",
    }
    return told.get(name, "")
