"""Pictures of lesson 11: two networks laid out, counted, started, tested, and made to learn one batch by heart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.patches import Polygon, Rectangle

from lessons.figures import style
from minigan.nn.backend import Array
from minigan.pages.plots import to_uint8

Maps = Sequence[tuple[int, int, int]]


def feature_maps(d_maps: Maps, g_maps: Maps) -> Figure:
    """Both networks as rows of boxes: the slanting side is the map itself, the front as long as it has channels (log).

    Parameters
    ----------
    d_maps, g_maps : sequence of (H, W, C)
        From the input to the last map, both included.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1, 2, 9, 5.2)
    rows = (
        ("generator: noise to image", g_maps, style.ORANGE, "noise"),
        ("discriminator: image to logit", d_maps, style.BLUE, "image"),
    )
    for ax, (title, maps, colour, first) in zip(np.ravel(axes), rows, strict=True):
        left = 0.0
        for k, (H, _, C) in enumerate(maps):
            tall = 0.35 + H / 16
            deep = 0.12 + np.log2(C) / 9
            slant = 0.22 * tall
            front, back = left + deep, left + deep + slant
            low, high = -tall / 2, tall / 2
            side = [(front, low), (back, low + slant), (back, high + slant), (front, high)]
            top = [(left, high), (left + slant, high + slant), (back, high + slant), (front, high)]
            for corners in (side, top):
                ax.add_patch(Polygon(corners, facecolor="white", edgecolor=colour, linewidth=1.3))
            ax.add_patch(Rectangle((left, low), deep, tall, facecolor=colour, alpha=0.25, edgecolor=colour))
            name = f"{first}\n" if k == 0 else ""
            ax.text(left + deep / 2, low - 0.2, f"{name}{H} x {H}\nx {C}", ha="center", va="top", fontsize=9)
            left += deep + slant + 0.95
        if first == "image":
            ax.text(left - 0.4, 0, "flatten\ndense\n→ 1 logit", ha="left", va="center", fontsize=9)
            left += 0.8
        ax.set_xlim(-0.6, max(left, 11.5))
        ax.set_ylim(-4.2, 3.4)
        ax.set_axis_off()
        ax.set_title(title)
    return figure


def parameters(rows: Mapping[str, Sequence[tuple[str, int]]]) -> Figure:
    """Parameters of each layer as bars, for each network.

    Parameters
    ----------
    rows : mapping of str to sequence of (label, count)
        By the network's name.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(len(rows), 1, 9, 3.8)
    colours = (style.BLUE, style.ORANGE)
    for ax, (name, layers), colour in zip(np.ravel(axes), rows.items(), colours, strict=True):
        labels, counts = zip(*layers, strict=True)
        total = sum(counts)
        place = np.arange(len(counts))
        ax.barh(place, counts, color=colour)
        for y, count in zip(place, counts, strict=True):
            ax.text(count + 0.015 * max(counts), y, f"{count:,}  ({count / total:.0%})", va="center", fontsize=8)
        ax.set_yticks(place, labels)
        ax.invert_yaxis()
        ax.set_xlim(0, 1.42 * max(counts))
        ax.set_xticks([0, 1_000_000, 2_000_000], ["0", "1 million", "2 million"])
        ax.set_xlabel("parameters")
        ax.set_title(f"{name}: {total:,}")
    return figure


def kernels(named: Mapping[str, tuple[Array, float]]) -> Figure:
    """First values of some kernels, with the limits that they should keep.

    Parameters
    ----------
    named : mapping of str to (kernel, limit)

    Returns
    -------
    Figure
    """
    figure, axes = style.new(len(named), 1, 9, 2.6)
    reach = 1.25 * max(limit for _, limit in named.values())
    for ax, (name, (kernel, limit)) in zip(np.ravel(axes), named.items(), strict=True):
        half = int(np.ceil(16 * reach / limit))  # sixteen bars between 0 and the limit, so that none lies on both sides
        ax.hist(np.ravel(kernel), bins=np.arange(-half, half + 1) * limit / 16, density=True, color=style.BLUE)
        for edge in (-limit, limit):
            ax.axvline(edge, color=style.RED, linestyle="--", linewidth=1.2)
        ax.set_title(f"{name}\n{kernel.shape}, limit {limit:.4f}", fontsize=9)
        ax.set_xlabel("weight")
        ax.set_yticks([])
    np.ravel(axes)[0].set_ylabel("density")
    return figure


def statistics(networks: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """What flows out of every layer: its distribution, mean and standard deviation, with shapes below.

    Parameters
    ----------
    networks : mapping of str to rows
        Rows of `lessons.exercises.lesson11.examine`, by the network's name.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1, len(networks), 9.6, 3.7 * len(networks))
    for ax, (name, rows) in zip(np.ravel(axes), networks.items(), strict=True):
        place = np.arange(len(rows))
        top = max(float(np.quantile(np.abs(row["sample"]), 0.995)) for row in rows)
        samples = [row["sample"][np.abs(row["sample"]) <= top] for row in rows]  # the few beyond would hide the numbers
        parts = ax.violinplot(samples, positions=place, widths=0.85, showextrema=False)
        for body, row in zip(parts["bodies"], rows, strict=True):
            body.set_facecolor(_colour_of(row["name"]))
            body.set_edgecolor(style.INK)
            body.set_alpha(0.55)
        means = np.array([row["mean"] for row in rows])
        stds = np.array([row["std"] for row in rows])
        ax.errorbar(
            place, means, stds, fmt="o", color=style.INK, markersize=3.5, capsize=3, linewidth=1, label="mean ± std"
        )
        ax.set_ylim(-1.15 * top, 1.45 * top)
        for x, mean, std in zip(place, means, stds, strict=True):
            ax.text(
                x, 1.4 * top, f"{mean + 0.0:+.2f}\n± {std:.2f}".replace("-", "−"), ha="center", va="top", fontsize=7.5
            )
        ax.set_xticks(
            place, [_short(row) for row in rows], rotation=60, ha="right", fontsize=7.5, rotation_mode="anchor"
        )
        ax.axhline(0, color=style.GREY, linewidth=0.7)
        ax.set_xlabel("layer, and the shape of what comes out of it")
        ax.set_ylabel("value")
        ax.set_title(f"{name} at its first step")
        ax.legend(loc="lower left")
    return figure


_SHORT = {
    "Conv2D": "conv",
    "Conv2DTranspose": "conv-T",
    "BatchNormalization": "norm",
    "LeakyReLU": "leaky",
    "Flatten": "flatten",
    "Dense": "dense",
    "Tanh": "tanh",
}


def _short(row: Mapping[str, Any]) -> str:
    return f"{_SHORT.get(row['name'], row['name'])} {'x'.join(map(str, row['shape']))}"


def _colour_of(layer: str) -> str:
    return {"BatchNormalization": style.GREEN, "LeakyReLU": style.ORANGE}.get(layer, style.BLUE)


def gradient_errors(errors: Mapping[str, Mapping[str, float]], limit: float = 1e-5) -> Figure:
    """Relative errors of every gradient of some networks, with the limit below which they count as right.

    Parameters
    ----------
    errors : mapping of str to (mapping of path to error)
        From `minigan.check.check_network`, by the network's name.
    limit : float

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1, len(errors), 9, 2.8 * len(errors))
    for ax, (name, found) in zip(np.ravel(axes), errors.items(), strict=True):
        place = np.arange(len(found))
        values = np.maximum(list(found.values()), 2e-14)
        ax.stem(place, values, linefmt=style.BLUE, markerfmt="o", basefmt=" ", bottom=1e-14)
        ax.axhline(limit, color=style.RED, linestyle="--", linewidth=1.3)
        text = {"color": style.RED, "ha": "right", "va": "bottom", "fontsize": 8.5}
        ax.text(len(found) - 0.6, limit * 1.6, "wrong above this line", **text).set_in_layout(False)
        ax.set_yscale("log")
        ax.set_ylim(1e-14, max(1e-2, 3 * values.max()))
        ax.set_xticks(place, list(found), rotation=60, ha="right", fontsize=7.5, rotation_mode="anchor")
        ax.set_ylabel("relative error")
        ax.set_xlabel("parameter, by layer")
        ax.set_title(name)
    return figure


def memorised(losses: Sequence[float], probabilities: Array, labels: Array) -> Figure:
    """A discriminator that learns one batch: its loss, and its verdict on each image before and after.

    Parameters
    ----------
    losses : sequence of float
        One for each step.
    probabilities : Array of shape (2, N)
        Before the first step and after the last.
    labels : Array of shape (N,)
        0 or 1.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(2, 1, 9, 3.2)
    left, right = np.ravel(axes)
    left.semilogy(np.arange(len(losses)), losses, color=style.BLUE)
    left.axhline(np.log(2), color=style.GREY, linestyle="--", linewidth=1)
    left.text(len(losses) - 1, np.log(2) * 1.1, "log 2: knows nothing", ha="right", va="bottom", fontsize=8.5)
    left.set_xlabel("step")
    left.set_ylabel("cross-entropy")
    left.set_ylim(top=3)
    left.set_title("The loss on one batch")
    order = np.argsort(labels, kind="stable")
    place = np.arange(len(labels))
    right.plot(place, probabilities[0][order], "x", color=style.GREY, label="before")
    right.plot(place, probabilities[1][order], "o", color=style.BLUE, label="after")
    right.step(place, labels[order], where="mid", color=style.INK, linewidth=0.9, linestyle=":", label="label")
    right.set_xlabel("image, those labelled 0 first")
    right.set_ylabel("sigmoid of D's logit")
    right.set_ylim(-0.06, 1.06)
    right.set_title("Each image's verdict")
    right.legend(loc="center right", bbox_to_anchor=(1.0, 0.72))
    return figure


def film(losses: Sequence[float], frames: Mapping[int, Array], target: Array) -> Figure:
    """A generator that learns one batch: some of its images at some steps, the target, and the loss.

    Parameters
    ----------
    losses : sequence of float
        One for each step.
    frames : mapping of int to Array of shape (N, S, S, 3)
        Images by step, in [-1, 1].
    target : Array of shape (N, S, S, 3)

    Returns
    -------
    Figure
    """
    count = min(8, len(target))
    rows = [*((f"step {step}", images) for step, images in frames.items()), ("target", target)]
    figure, axes = style.new(1, 1, 9, 1.0 * len(rows) + 0.3)
    figure.delaxes(np.ravel(axes)[0])
    grid = GridSpec(len(rows), 2, figure=figure, width_ratios=[count, 3.6])
    for k, (name, images) in enumerate(rows):
        ax = figure.add_subplot(grid[k, 0])
        strip = np.concatenate(
            [np.pad(to_uint8(p), ((1, 1), (1, 1), (0, 0)), constant_values=255) for p in images[:count]], axis=1
        )
        ax.imshow(strip)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
        ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    ax = figure.add_subplot(grid[:, 1])
    ax.spines[["top", "right"]].set_visible(False)
    ax.semilogy(np.arange(len(losses)), losses, color=style.BLUE)
    for step in frames:
        ax.axvline(step, color=style.GREY, linestyle=":", linewidth=0.9)
    ax.set_xlabel("step")
    ax.set_ylabel("mean squared error")
    ax.set_title("loss", fontsize=10)
    return figure


def receptive_fields(seen: Sequence[Array], sides: Sequence[int], mixed: Array) -> Figure:
    """Which pixels move one unit after each block, with the square that was worked out; and what a batch does to it.

    Parameters
    ----------
    seen : sequence of Array of shape (64, 64)
        |gradient| of a unit in the middle, for each block, with fixed statistics.
    sides : sequence of int
        Sides that were worked out.
    mixed : Array of shape (2, 64, 64)
        The same for the last block but one with the batch's statistics: the unit's own image, and another one.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(3, 2, 9, 6)
    panels: list[tuple[str, Array, float, bool]] = [
        (f"after block {k}: {side} x {side}", image, float(image.max()), True)
        for k, (image, side) in enumerate(zip(seen, sides, strict=True), start=1)
    ]
    strongest = float(mixed.max())
    panels += [
        ("block 3, normalised with the batch:\nits own image", mixed[0], strongest, True),
        ("block 3, normalised with the batch:\nanother image", mixed[1], strongest, False),
    ]
    places = [*range(len(seen)), 2, 2]  # whose square it is
    for ax, (title, image, most, framed), place in zip(np.ravel(axes), panels, places, strict=True):
        with np.errstate(divide="ignore"):
            shown = np.log10(image / most)
        drawn = ax.imshow(shown, cmap=style.MAGNITUDE, vmin=-4, vmax=0)
        if framed:
            rows, columns = np.nonzero(seen[place])
            side = sides[place]
            corner = (columns.mean() - side / 2, rows.mean() - side / 2)
            ax.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=style.RED, linestyle="--"))
        ax.set_title(title, fontsize=9)
        ax.set_xlabel("column")
        ax.set_ylabel("row")
        ax.set_xlim(-0.5, 63.5)
        ax.set_ylim(63.5, -0.5)
        ax.set_xticks([0, 32, 63])
        ax.set_yticks([0, 32, 63])
    figure.colorbar(drawn, ax=axes, shrink=0.6, label="strength, powers of ten")
    return figure


def patients(charts: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Charts of some networks: mean and deviation of each block's output, and the size of the gradient there.

    Parameters
    ----------
    charts : mapping of str to rows
        Rows of `lessons.exercises.lesson11.examine` at the ends of the blocks.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(len(charts), 2, 10, 4.6)
    for column, (name, rows) in enumerate(charts.items()):
        blocks = np.arange(1, len(rows) + 1)
        above, below = axes[0, column], axes[1, column]
        means = np.array([row["mean"] for row in rows])
        stds = np.array([row["std"] for row in rows])
        above.errorbar(blocks, means, stds, fmt="o-", color=style.BLUE, capsize=4)
        reach = 1.45 * float(np.max(np.abs(means) + stds))
        for k in (0, -1):
            mean = "0" if abs(means[k]) < 0.005 else f"{means[k]:.2g}"
            at = means[k] + stds[k] + 0.03 * reach
            above.text(blocks[k], at, f"{mean}\n±{stds[k]:.2g}".replace("-", "−"), ha="center", va="bottom", fontsize=8)
        above.set_ylim(-reach if means.min() - stds.min() < 0 else -0.1 * reach, reach)
        above.axhline(0, color=style.GREY, linewidth=0.7)
        above.set_title(f"patient {name}")
        above.set_xlim(0.4, 4.6)
        above.set_xticks(blocks)
        above.set_xlabel("block")
        below.semilogy(blocks, [row["gradient"] for row in rows], "s--", color=style.RED)
        below.set_ylim(1e-5, 1)
        below.set_xlim(0.4, 4.6)
        below.set_xticks(blocks)
        below.set_xlabel("block")
    axes[0, 0].set_ylabel("output: mean ± std")
    axes[1, 0].set_ylabel("std of the gradient")
    return figure
