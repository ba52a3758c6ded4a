"""Pictures for lesson 6, a GAN in the plane: what D says about every place, where the fakes are, and how both move.

D is shown as the probability it gives, dark blue for "fake" to yellow for "real", with a line where it cannot decide.
Fakes are white discs with a dark rim, real points small dark crosses: they can be told apart without colours.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from lessons import plane_gan
from lessons.figures import style
from minigan.nn.backend import Array
from minigan.nn.ops import sigmoid_forward

_SHOWN = 250
"""How many points are drawn at most; more would hide what is under them."""
_LEVELS = 20
"""D is drawn in steps of a twentieth, so that equal colours are equal values, and files stay small."""
_SQUARE = (-plane_gan.EXTENT, plane_gan.EXTENT, -plane_gan.EXTENT, plane_gan.EXTENT)


def _d_map(axes: Any, logits: Array) -> Any:
    d = sigmoid_forward(np.asarray(logits, float))[0]
    levels = colormaps[style.SIGNED].resampled(_LEVELS)
    image = axes.imshow(d, extent=_SQUARE, origin="lower", cmap=levels, vmin=0, vmax=1, interpolation="nearest")
    if np.nanmin(d) < 0.5 < np.nanmax(d):
        axes.contour(d, levels=[0.5], extent=_SQUARE, colors="white", linewidths=0.8, linestyles="--")
    return image


def _fakes(axes: Any, points: Array, label: str | None = None) -> None:
    points = points[:_SHOWN]
    axes.plot(*points.T, "o", markersize=3.2, markerfacecolor="white", markeredgecolor=style.INK, alpha=0.9,
              markeredgewidth=0.6, linestyle="", label=label)  # fmt: skip


def _reals(axes: Any, points: Array, label: str | None = None) -> None:
    axes.plot(*points[:_SHOWN].T, "x", markersize=3, color=style.INK, markeredgewidth=0.7, linestyle="", label=label)


def _circles(axes: Any, centres: Array, radius: float, filled: Sequence[bool]) -> None:
    for centre, full in zip(centres, filled, strict=True):
        axes.add_patch(
            Circle(
                tuple(centre), radius, facecolor="#cfe3f2" if full else "none", edgecolor=style.INK,
                linewidth=1.6 if full else 0.9, linestyle="-" if full else ":",
            )
        )  # fmt: skip


def _frame(axes: Any, title: str = "", ticks: bool = False) -> None:
    axes.set_xlim(-plane_gan.EXTENT, plane_gan.EXTENT)
    axes.set_ylim(-plane_gan.EXTENT, plane_gan.EXTENT)
    axes.set_aspect("equal")
    axes.set_title(title)
    if ticks:
        axes.set_xlabel("first coordinate")
        axes.set_ylabel("second coordinate")
    else:
        axes.set_xticks([])
        axes.set_yticks([])


def _colour_bar(figure: Figure, image: Any, axes: Any) -> None:
    bar = figure.colorbar(image, ax=axes, shrink=0.85, ticks=[0, 0.5, 1])
    bar.ax.set_yticklabels(["0  fake", "0.5", "1  real"])


def on_a_line(x: Array, p: Array, q: Array) -> Figure:
    """Densities of real and fake numbers on a line, the best D for them, and the best reply to that D.

    Parameters
    ----------
    x : Array of shape (N,)
    p, q : Array of shape (N,)
        Densities of real and of fake numbers, above 0.

    Returns
    -------
    Figure
    """
    figure, (upper, lower) = style.new(1, 2, width=7.5, height=4.6)
    upper.plot(x, p, color=style.BLUE, label="p, real")
    upper.plot(x, q, color=style.ORANGE, linestyle="--", label="q, fake")
    upper.set_ylabel("density")
    upper.set_title("Real and fake numbers on a line")
    upper.legend()
    d = p / (p + q)
    best = int(np.argmax(d))
    lower.plot(x, d, color=style.INK, label="best D, p/(p+q)")
    lower.axhline(0.5, color=style.GREY, linestyle=":")
    lower.plot(x[best], d[best], "v", color=style.RED, markersize=9)
    lower.annotate(
        "G's best reply to this D:\neverything here", (x[best], d[best]), (x[best] - 0.42 * np.ptp(x), 0.72),
        arrowprops={"arrowstyle": "->", "color": style.RED}, color=style.RED,
    )  # fmt: skip
    lower.set_ylim(-0.03, 1.12)
    lower.set_xlabel("x")
    lower.set_ylabel("D(x)")
    lower.set_title("The best D for these two, and where it sends G")
    return figure


def density(log_density: Any) -> Figure:
    """A log density of the plane: the density itself, its logarithm, and where the density is 0 in float64.

    Parameters
    ----------
    log_density : callable
        Places (N, 2) to (N,).

    Returns
    -------
    Figure
    """
    ticks = np.linspace(-9, 9, 181)
    x, y = np.meshgrid(ticks, ticks)
    logs = np.asarray(log_density(np.stack([x.ravel(), y.ravel()], axis=1))).reshape(x.shape)
    figure, axes = style.new(2, 1, width=8.6, height=3.7)
    extent = (-9, 9, -9, 9)
    first = axes[0].imshow(np.exp(logs), extent=extent, origin="lower", cmap=style.MAGNITUDE)
    axes[0].set_title("density: eight spots")
    second = axes[1].imshow(logs, extent=extent, origin="lower", cmap=style.SIGNED)
    axes[1].contour(x, y, logs, levels=[-745], colors="white", linestyles="--", linewidths=1)
    axes[1].text(0, -8.6, "outside the dashed line, exp() of it is 0", color="white", ha="center", fontsize=8.5)
    axes[1].set_title("its logarithm: a slope everywhere")
    for ax, image in zip(axes, (first, second), strict=True):
        ax.set_xlabel("first coordinate")
        ax.set_ylabel("second coordinate")
        figure.colorbar(image, ax=ax, shrink=0.85)
    return figure


def counted(clouds: Mapping[str, Array], counts: Sequence[int]) -> Figure:
    """Clouds of points with the modes they cover.

    Parameters
    ----------
    clouds : mapping of str to Array (N, 2)
        The clouds, by a name that says what they are.
    counts : sequence of int
        Modes covered, as counted by the student's function.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(len(clouds), 1, width=3 * len(clouds), height=3.4)
    for ax, (name, points), count in zip(np.atleast_1d(axes), clouds.items(), counts, strict=True):
        _circles(ax, plane_gan.ring_centres(), 3 * plane_gan.SIGMA, plane_gan.mode_shares(points) >= 0.02)
        _fakes(ax, points)
        _frame(ax, f"{name}: {count} of 8")
    return figure


def discriminators(rows: Mapping[str, tuple[Array, Array, Array]], real: Array) -> Figure:
    """What D has learned beside the best D there is, for the same real and fake points.

    Parameters
    ----------
    rows : mapping of str to (Array, Array, Array)
        By the name of the situation: fakes (N, 2), the learned logits and the best ones, each (64, 64) on
        `plane_gan.grid`. Where they are NaN the map stays white.
    real : Array of shape (N, 2)

    Returns
    -------
    Figure
    """
    figure, axes = style.new(3, len(rows), width=9, height=3.1 * len(rows) + 0.1)
    for ax, (name, (fakes, learned, best)) in zip(np.atleast_2d(axes), rows.items(), strict=True):
        _reals(ax[0], real, "real")
        _fakes(ax[0], fakes, "fake")
        ax[0].legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, handletextpad=0.1)  # beside the points
        _frame(ax[0], name)
        _d_map(ax[1], learned)
        _frame(ax[1], "D as it was learned")
        image = _d_map(ax[2], best)
        _frame(ax[2], "the best D, p/(p + q)")
        _colour_bar(figure, image, ax[2])
    return figure


def pulls(D: Any, *, every: int = 4) -> Figure:
    """Where D draws the fakes at every place of the plane, by either of G's losses; arrows of one scale.

    Parameters
    ----------
    D : Sequential
    every : int
        Distance of the arrows, in cells of `plane_gan.grid`.

    Returns
    -------
    Figure
    """
    places = plane_gan.grid()
    logits = D.predict(places).reshape(plane_gan.GRID, plane_gan.GRID)
    some = places.reshape(plane_gan.GRID, plane_gan.GRID, 2)[every // 2 :: every, every // 2 :: every].reshape(-1, 2)
    longest = float(np.linalg.norm(plane_gan.pulls(D, some), axis=1).max())
    figure, axes = style.new(2, 1, width=9, height=4.1)
    for ax, saturating, name in zip(
        axes, (False, True), ("-ln D, non-saturating", "ln(1 - D), saturating"), strict=True
    ):
        image = _d_map(ax, logits)
        arrows = plane_gan.pulls(D, some, saturating=saturating)
        ax.quiver(
            *some.T, *arrows.T, color="white", edgecolor=style.INK, linewidth=0.3,
            angles="xy", scale_units="xy", scale=longest / 0.65, width=0.007, minlength=0.2,
        )  # fmt: skip
        _frame(ax, name)
    _colour_bar(figure, image, axes[1])
    return figure


def filmstrip(frames: Sequence[plane_gan.Frame], *, columns: int = 4, unit: str = "round") -> Figure:
    """Moments of a run: D in the background, fakes on it, circles around the real modes.

    Parameters
    ----------
    frames : sequence of Frame
    columns : int
    unit : str
        What `Frame.round` counts.

    Returns
    -------
    Figure
    """
    rows = -(-len(frames) // columns)
    figure, axes = style.new(columns, rows, width=9, height=8.1 / columns * rows + 0.25 * rows)
    flat = np.ravel(axes)
    for ax, frame in zip(flat, frames, strict=False):
        image = _d_map(ax, frame.logits)
        _circles(ax, plane_gan.ring_centres(), 3 * plane_gan.SIGMA, [False] * plane_gan.MODES)
        _fakes(ax, frame.fakes)
        _frame(ax, f"{unit} {frame.round}")
    for ax in flat[len(frames) :]:
        ax.set_axis_off()
    _colour_bar(figure, image, axes)
    return figure


def film(frames: Sequence[plane_gan.Frame], *, milliseconds: int = 250) -> bytes:
    """The moments of a run as an animated PNG.

    Parameters
    ----------
    frames : sequence of Frame
    milliseconds : int
        How long each is shown.

    Returns
    -------
    bytes
    """
    from PIL import Image

    pictures = []
    for frame in frames:
        figure, ax = style.new(width=2.7, height=2.9)
        _d_map(ax, frame.logits)
        _circles(ax, plane_gan.ring_centres(), 3 * plane_gan.SIGMA, [False] * plane_gan.MODES)
        _fakes(ax, frame.fakes[:120])
        _frame(ax, f"round {frame.round}")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=80)
        pictures.append(Image.open(buffer).convert("RGB"))
    palette = pictures[-1].quantize(32, method=Image.Quantize.MAXCOVERAGE)
    first, *rest = (picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures)
    out = io.BytesIO()
    first.save(out, "PNG", save_all=True, append_images=rest, duration=milliseconds, loop=0, optimize=True)
    return out.getvalue()


def history(runs: Mapping[str, plane_gan.Run]) -> Figure:
    """Where the fakes were in every round, and what the losses said, run beside run.

    Parameters
    ----------
    runs : mapping of str to Run

    Returns
    -------
    Figure
    """
    figure, axes = style.new(len(runs), 2, width=4.5 * len(runs), height=5.4)
    axes = np.reshape(axes, (2, len(runs)))
    for column, (name, run) in enumerate(runs.items()):
        upper, lower = axes[:, column]
        shares = np.array(run.shares).T  # (8, rounds)
        image = upper.imshow(
            shares,
            aspect="auto",
            cmap=style.MAGNITUDE,
            vmin=0,
            vmax=max(0.3, float(shares.max())),
            interpolation="nearest",
            extent=(0, shares.shape[1], 7.5, -0.5),
        )
        upper.set_yticks(range(plane_gan.MODES))
        upper.set_ylabel("mode, anticlockwise")
        upper.set_title(f"{name}: fakes at each mode")
        figure.colorbar(image, ax=upper, label="share of the fakes")
        _losses(lower, run)
        lower.set_title("its losses")
        lower.legend(ncols=3, loc="lower center", columnspacing=1, handlelength=2.6)
    return figure


def _losses(ax: Any, run: plane_gan.Run) -> None:
    losses = np.array(run.losses)
    for k, label in enumerate(("D on real", "D on fake", "G")):
        look = {key: value for key, value in style.LINES[k].items() if key != "marker"}
        ax.plot(_smooth(losses[:, k]), linewidth=1.3, label=label, **look)
    ax.axhline(np.log(2), color=style.GREY, linewidth=0.8)
    ax.text(0.99 * len(losses), np.log(2) - 0.03, "ln 2", color=style.INK, va="top", ha="right", fontsize=8.5)
    ax.set_xlim(0, len(losses))
    ax.set_ylim(0, max(1.5, float(np.quantile(losses, 0.98)) * 1.1))
    ax.set_xlabel("round")
    ax.set_ylabel("loss, in nats")


def _smooth(values: Array) -> Array:
    """Mean of up to nine neighbours: the curve, not the noise."""
    width = min(9, len(values))
    kernel = np.ones(width)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")


def modes_covered(counts: Mapping[int, Array], every: int = 20) -> Figure:
    """How many of the eight modes are covered, a panel for each number of G's steps in a round.

    Parameters
    ----------
    counts : mapping of int to Array of shape (seeds, counts)
    every : int
        Rounds between two counts.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(len(counts), 1, 9.6, 2.6)
    for ax, (steps, runs) in zip(np.ravel(axes), counts.items(), strict=True):
        for run, line in zip(runs, ("-", "--", ":"), strict=False):
            ax.plot(every * np.arange(len(run)), run, color=style.BLUE, linestyle=line, linewidth=1.4)
        ax.set(title=f"{steps} step{'s' if steps > 1 else ''} of G", xlabel="round", ylim=(-0.3, 8.4))
        ax.set_yticks([0, 2, 4, 6, 8])
    np.ravel(axes)[0].set_ylabel("modes covered")
    return figure


def patients(runs: Mapping[str, plane_gan.Run]) -> Figure:
    """The last moment of each run, and its losses.

    Parameters
    ----------
    runs : mapping of str to Run

    Returns
    -------
    Figure
    """
    figure, axes = style.new(len(runs), 2, width=2.6 * len(runs), height=5.2)
    for column, (name, run) in enumerate(runs.items()):
        upper, lower = axes[:, column]
        _d_map(upper, run.frames[-1].logits)
        _circles(upper, plane_gan.ring_centres(), 3 * plane_gan.SIGMA, [False] * plane_gan.MODES)
        _fakes(upper, run.frames[-1].fakes)
        _frame(upper, f"{name}, after round {run.frames[-1].round}")
        outside = (np.abs(run.frames[-1].fakes) > plane_gan.EXTENT).any(axis=1).mean()
        if outside > 0.02:
            box = {"boxstyle": "round", "facecolor": "white", "edgecolor": "none", "pad": 0.15}
            upper.text(0, 2.55, f"{outside:.0%} of the fakes are outside", ha="center", fontsize=8, bbox=box)
        _losses(lower, run)
        if column:
            lower.set_ylabel("")
    figure.legend(*lower.get_legend_handles_labels(), loc="outside lower center", ncols=3, handlelength=3)
    return figure
