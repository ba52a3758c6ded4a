"""Pictures for lesson 14: the roofline, the four phases, Winograd's products, and what each step costs and gains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from lessons.figures import style
from minigan.nn.backend import Array

PHASES = (
    ("A", style.BLUE, "white"),
    ("B", style.ORANGE, style.INK),
    ("C", style.GREEN, "white"),
    ("D", "#D8D8D8", style.INK),
)
"""Letter, colour and ink of the phases (0, 0), (0, 1), (1, 0), (1, 1)."""

MEGA, GIGA = 1e6, 1e9


def roofline(peak: float, bandwidth: float, points: Mapping[str, tuple[float, float]]) -> Figure:
    """The two limits of a machine, and where programs are below them.

    Parameters
    ----------
    peak : float
        FLOP per second of a large matrix product.
    bandwidth : float
        Bytes per second of a large copy.
    points : mapping of str to (intensity, rate)
        Programs: FLOP per byte and FLOP per second. A rate of nan draws a line at this intensity up to the roof.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1, 1, 7.6, 4.0)
    ridge = peak / bandwidth
    most = max([ridge * 30, *(2 * intensity for intensity, _ in points.values())])
    x = np.geomspace(0.05, most, 200)
    axes.loglog(x, np.minimum(peak, x * bandwidth) / GIGA, color=style.INK, linewidth=2.4)
    axes.axvline(ridge, color=style.GREY, linestyle=":", linewidth=1.2)
    rates = [rate for _, rate in points.values() if np.isfinite(rate)]
    bottom = min([0.012 * bandwidth, *(rate / 2 for rate in rates)]) / GIGA
    axes.set_ylim(bottom, peak / GIGA * 3)
    axes.set_xlim(0.05, most)
    axes.text(most / 1.1, peak / GIGA * 1.12, f"matrix products: {peak / GIGA:.0f} GFLOP/s", ha="right", va="bottom")
    axes.text(
        0.06, 0.06 * bandwidth / GIGA * 1.9, f"memory: {bandwidth / GIGA:.1f} GB/s", rotation=31, va="bottom", ha="left"
    )
    axes.text(ridge / 1.1, bottom * 1.2, f"ridge: {ridge:.0f} FLOP\nper byte", ha="right", va="bottom", fontsize=8.5)
    for k, (label, (intensity, rate)) in enumerate(points.items()):
        look = style.LINES[k % len(style.LINES)]
        roof = min(peak, intensity * bandwidth)
        if np.isfinite(rate):
            axes.plot(
                [intensity], [rate / GIGA], linestyle="none", marker=look["marker"], color=look["color"], markersize=8
            )
            axes.text(intensity / 1.18, rate / GIGA, label, ha="right", va="center", fontsize=8.5)
        else:
            axes.plot([intensity, intensity], [bottom, roof / GIGA], color=look["color"], linestyle=look["linestyle"])
            axes.text(intensity / 1.1, roof / GIGA / 2.2, label, ha="right", va="top", fontsize=8.5)
    axes.set_xlabel("arithmetic intensity (FLOP per byte)")
    axes.set_ylabel("rate (GFLOP/s)")
    axes.set_title("The roof of this machine: slanted where memory limits, flat where multiplying does")
    return figure


def one_axis() -> Figure:
    """One axis of a transposed convolution: which taps each output receives, and from which inputs.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1, 1, 8.6, 3.5)
    axes.set_axis_off()
    for u, name in enumerate(("0", "x0", "x1", "x2", "0")):
        inside = 0 < u < 4
        _box(axes, 2.0 * u - 2, 2.6, name, "white" if inside else "#EEEEEE", style.INK, dashed=not inside)
    for r in range(6):
        a = r % 2
        colour, ink = (style.BLUE, "white") if a == 0 else (style.ORANGE, style.INK)
        x = r - 0.5
        _box(axes, x, 0, f"y{r}", colour, ink)
        first = r // 2 + a  # of the padded inputs
        for p, tap in enumerate((3 - a, 1 - a)):
            start = (2.0 * (first + p) - 2, 2.6 - 0.32)
            arrow = FancyArrowPatch(
                start,
                (x, 0.32),
                arrowstyle="-|>",
                mutation_scale=9,
                color=colour,
                linewidth=1.6,
                linestyle="-" if a == 0 else "--",
            )
            axes.add_patch(arrow)
            at = 0.42 if a == 0 else 0.68
            axes.text(
                start[0] + (x - start[0]) * at,
                start[1] + (0.32 - start[1]) * at,
                f"w{tap}",
                ha="center",
                va="center",
                fontsize=8,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            )
    axes.text(-3.1, 2.6, "padded\ninput", ha="right", va="center")
    axes.text(-3.1, 0, "output", ha="right", va="center")
    axes.set_xlim(-4.6, 7.2)
    axes.set_ylim(-0.6, 3.2)
    axes.set_title("Even outputs (solid, blue) only ever use taps 3 and 1, odd ones (dashed, orange) taps 2 and 0")
    return figure


def _box(
    axes: Any, x: float, y: float, text: str, colour: str, ink: str, *, dashed: bool = False, width: float = 0.84
) -> None:
    axes.add_patch(
        Rectangle(
            (x - width / 2, y - 0.32),
            width,
            0.64,
            facecolor=colour,
            edgecolor=style.INK,
            linestyle="--" if dashed else "-",
        )
    )
    axes.text(x, y, text, ha="center", va="center", color=ink)


def four_phases(side: int = 3) -> Figure:
    """The output's pixels, the kernel's taps and the four small kernels, coloured and lettered by phase.

    Parameters
    ----------
    side : int
        Height and width of the input.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(4, 1, 9.6, 3.1)
    names = np.array([[PHASES[2 * (r % 2) + s % 2][0] for s in range(2 * side)] for r in range(2 * side)])
    _letters(axes[0], names)
    axes[0].set_title(f"output y, {2 * side} x {2 * side}")
    # Tap p meets even outputs if it is odd: row phase a = (p + 1) % 2.
    taps = np.array([[PHASES[2 * ((p + 1) % 2) + (q + 1) % 2][0] for q in range(4)] for p in range(4)])
    _letters(axes[1], taps, [[f"{p},{q}" for q in range(4)] for p in range(4)])
    axes[1].set_title("kernel w: tap p, q")
    grid, texts = np.full((5, 5), "", object), np.full((5, 5), "", object)
    for a, b in product(range(2), range(2)):
        for p, q in product(range(2), range(2)):
            grid[3 * a + p, 3 * b + q] = PHASES[2 * a + b][0]
            texts[3 * a + p, 3 * b + q] = f"{3 - a - 2 * p},{3 - b - 2 * q}"
    _letters(axes[2], grid, texts)
    axes[2].set_title("four kernels of 2 x 2")
    whole = np.full((side + 2, side + 2), "", object)
    axes[3].imshow(np.ones(whole.shape), cmap="Greys", vmin=0, vmax=12)
    axes[3].add_patch(Rectangle((0.5, 0.5), side, side, facecolor="white", edgecolor=style.INK, linewidth=1.5))
    for line in range(side + 3):
        axes[3].axhline(line - 0.5, color=style.GREY, linewidth=0.6)
        axes[3].axvline(line - 0.5, color=style.GREY, linewidth=0.6)
    styles = zip(product(range(2), range(2)), PHASES, ("-", "--", "-.", ":"), (0.06, 0.14, 0.22, 0.30), strict=True)
    for (a, b), (letter, colour, _), dash, inset in styles:
        edge = style.INK if letter == "D" else colour
        corner, size = (b + 0.5 + inset, a + 0.5 + inset), 2 - 2 * inset
        axes[3].add_patch(Rectangle(corner, size, size, fill=False, edgecolor=edge, linewidth=2.2, linestyle=dash))
        axes[3].text(
            1 + 2 * b,
            1 + 2 * a,
            letter,
            ha="center",
            va="center",
            fontweight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )
    axes[3].set_xticks([])
    axes[3].set_yticks([])
    axes[3].set_title("padded input: windows\nof four neighbouring pixels")
    return figure


def _letters(axes: Any, names: Array, texts: Any = None) -> None:
    """Squares coloured by the letter of their phase, with the letter (or another text) in them."""
    H, W = names.shape
    for i, j in np.ndindex(H, W):
        if not names[i, j]:
            continue
        _, colour, ink = PHASES["ABCD".index(names[i, j])]
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=colour, edgecolor="white"))
        text = names[i, j] if texts is None else f"{names[i, j]}\n{texts[i][j]}"
        axes.text(j, i, text, ha="center", va="center", color=ink, fontsize=8.5)
    axes.set_xlim(-0.5, W - 0.5)
    axes.set_ylim(H - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_axis_off()


def phases_of(y: Array, right: Array) -> Figure:
    """The four phases of an image as images, the whole, and its difference from the right one.

    Parameters
    ----------
    y, right : Array of shape (H, W), even sizes
        Yours and the right one.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(6, 1, 9.6, 2.2)
    limits = style.symmetric(right)
    for k, (a, b) in enumerate(product(range(2), range(2))):
        axes[k].imshow(y[a::2, b::2], cmap="gray", **limits)
        axes[k].set_title(f"{PHASES[k][0]}: y[{a}::2, {b}::2]", fontsize=9)
    axes[4].imshow(y, cmap="gray", **limits)
    axes[4].set_title("put together", fontsize=9)
    gap = np.abs(y - right)
    axes[5].imshow(gap, cmap=style.MAGNITUDE, vmin=0, vmax=max(float(gap.max()), float(np.abs(right).max()) * 1e-3))
    axes[5].set_title(f"difference: {gap.max():.0e}", fontsize=9)
    for one in axes:
        one.set_xticks([])
        one.set_yticks([])
    return figure


def products_1d() -> Figure:
    """The flow of F(2,2): three inputs, three products, two outputs.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1, 1, 8.4, 3.1)
    axes.set_axis_off()
    columns = (0.0, 2.6, 5.2, 8.0)
    for k in range(3):
        _box(axes, columns[0], 2 - k, f"d{k}", "white", style.INK)
    for k, text in enumerate(("d0 - d1", "d1", "d2 - d1")):
        _box(axes, columns[1], 2 - k, text, "white", style.INK, width=1.4)
    for k, text in enumerate(("times g0", "times (g0 + g1)", "times g1")):
        _box(axes, columns[2], 2 - k, f"m{k}: {text}", style.ORANGE, style.INK, width=2.2)
    for k in range(2):
        _box(axes, columns[3], 1.5 - k, f"y{k}", style.BLUE, "white")
    for start, end in ((0, 0), (1, 0), (1, 1), (1, 2), (2, 2)):
        minus = (start, end) in ((1, 0), (1, 2))
        _arrow(axes, columns[0] + 0.44, 2 - start, columns[1] - 0.72, 2 - end, dashed=minus)
    for k in range(3):
        _arrow(axes, columns[1] + 0.72, 2 - k, columns[2] - 1.12, 2 - k)
    for start, end in ((0, 0), (1, 0), (1, 1), (2, 1)):
        _arrow(axes, columns[2] + 1.12, 2 - start, columns[3] - 0.44, 1.5 - end)
    for x, text in zip(columns, ("inputs", "differences\n(dashed: minus)", "3 products", "2 sums"), strict=True):
        axes.text(x, 2.75, text, ha="center", va="center")
    axes.set_xlim(-0.8, 8.8)
    axes.set_ylim(-0.5, 3.1)
    axes.set_title("F(2,2): the product in the middle serves both outputs")
    return figure


def _arrow(axes: Any, x: float, y: float, to_x: float, to_y: float, *, dashed: bool = False) -> None:
    axes.add_patch(
        FancyArrowPatch(
            (x, y),
            (to_x, to_y),
            arrowstyle="-|>",
            mutation_scale=9,
            color=style.INK,
            linestyle="--" if dashed else "-",
            shrinkA=0,
            shrinkB=0,
        )
    )


def nine_products(input_tiles: Callable[[Array], Array], kernel_tiles: Callable[[Array], Array]) -> Figure:
    """What each of the nine products is made of: the factors of the 3 x 3 inputs and of the 2 x 2 taps.

    Parameters
    ----------
    input_tiles, kernel_tiles : callable
        The transforms; they are given one 1 at a time, so the picture shows what they really do.

    Returns
    -------
    Figure
    """
    V = np.zeros((3, 3, 3, 3))
    for i, j in np.ndindex(3, 3):
        unit = np.zeros((1, 3, 3, 1))
        unit[0, i, j] = 1
        V[:, :, i, j] = input_tiles(unit).reshape(3, 3)
    U = np.zeros((3, 3, 2, 2))
    for p, q in np.ndindex(2, 2):
        tap = np.zeros((2, 2, 1, 1))
        tap[p, q] = 1
        U[:, :, p, q] = kernel_tiles(tap).reshape(3, 3)
    figure, axes = style.new(6, 3, 8.6, 4.4)
    for r, s in np.ndindex(3, 3):
        left, right = axes[r, 2 * s], axes[r, 2 * s + 1]
        style.cells(left, V[r, s], limits={"vmin": -1.6, "vmax": 1.6}, numbers="")
        style.cells(right, U[r, s], limits={"vmin": -1.6, "vmax": 1.6}, numbers="")
        for one, name, values in ((left, "V", V[r, s]), (right, "U", U[r, s])):
            for (i, j), value in np.ndenumerate(values):
                if value:
                    ink = "white" if value < 0 else style.INK
                    one.text(j, i, f"{value:+.0f}", ha="center", va="center", color=ink, fontsize=9)
            one.set_xticks([])
            one.set_yticks([])
            one.set_title(f"{name}[{r},{s}]", fontsize=9)
        right.set_anchor("W")
        left.set_anchor("E")
    figure.suptitle("Nine products V x U: what each takes of the 3 x 3 inputs, and of the 2 x 2 taps", fontsize=10.5)
    return figure


def bars(
    seconds: Mapping[str, float],
    moved: Mapping[str, float],
    flop: float,
    peak: float,
    fewer: float = 16 / 9,
    title: str = "One layer: time, bytes, rate",
) -> Figure:
    """Time, bytes and effective rate of each method on one layer.

    Parameters
    ----------
    seconds : mapping of str to float
        By method, in the order to draw.
    moved : mapping of str to float
        Bytes written and read by each method, as counted; 0 where it is not known.
    flop : float
        Of the layer by its definition: what the rate counts, whatever the method really computes.
    peak : float
        FLOP per second of a large matrix product.
    fewer : float
        How many times fewer multiplications Winograd's products need: the ceiling of its rate over the peak.
    title : str

    Returns
    -------
    Figure
    """
    figure, axes = style.new(3, 1, 9.6, 0.9 + 0.42 * len(seconds))
    names = list(seconds)
    places = np.arange(len(names))[::-1]
    times = np.array([seconds[name] for name in names]) * 1e3
    traffic = np.array([moved.get(name, 0) for name in names]) / MEGA
    rates = flop / np.array([seconds[name] for name in names]) / GIGA
    for one, values, label, text, colour, hatch in (
        (axes[0], times, "time (ms)", "{:.3g}", style.BLUE, ""),
        (axes[1], traffic, "bytes moved (MB)", "{:.0f}", style.ORANGE, "//"),
        (axes[2], rates, "definition's FLOP / time (GFLOP/s)", "{:.3g}", style.GREEN, ".."),
    ):
        one.barh(places, values, color=colour, hatch=hatch, edgecolor="white", height=0.7)
        far = max(values.max(), peak / GIGA * fewer if one is axes[2] else 0) * 1.02
        for place, value in zip(places, values, strict=True):
            known = value > 0
            one.text(
                value + far * 0.02,
                place,
                text.format(value) if known else "not counted",
                va="center",
                fontsize=8.5,
                zorder=5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )
        one.set_xlim(0, far * 1.22)
        one.set_yticks(places, names if one is axes[0] else [""] * len(names))
        one.set_xlabel(label)
    axes[2].axvline(peak / GIGA, color=style.INK, linestyle="--", linewidth=1.3)
    axes[2].axvline(fewer * peak / GIGA, color=style.INK, linestyle=":", linewidth=1.3)
    top = len(names) - 0.42
    axes[2].text(peak / GIGA, top, "sgemm", ha="center", va="bottom", fontsize=8)
    axes[2].text(fewer * peak / GIGA, top, "x 16/9", ha="center", va="bottom", fontsize=8)
    axes[2].set_ylim(-0.6, len(names) - 0.1)
    axes[0].set_ylim(-0.6, len(names) - 0.1)
    axes[1].set_ylim(-0.6, len(names) - 0.1)
    figure.suptitle(title, fontsize=10.5)
    return figure


def chunks(images: Sequence[int], seconds: Mapping[str, Sequence[float]], scratch: Mapping[str, float]) -> Figure:
    """Time against the number of images worked on at once.

    Parameters
    ----------
    images : sequence of int
    seconds : mapping of str to sequence of float
        By method.
    scratch : mapping of str to float
        Bytes that a method makes on the way, for one image.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1, 1, 7.2, 3.4)
    for (name, times), look in zip(seconds.items(), style.LINES, strict=False):
        axes.plot(images, np.array(times) * 1e3, label=f"{name} ({scratch[name] / MEGA:.2f} MB an image)", **look)
    axes.set_xscale("log", base=2)
    axes.set_xticks(images, [str(n) for n in images])
    axes.set_ylim(0)
    axes.set_xlabel("images at once")
    axes.set_ylabel("time for the batch (ms)")
    axes.set_title("How many images at once?")
    axes.legend()
    return figure


def errors(by_method: Mapping[str, float], unit: float) -> Figure:
    """Largest error of each method in float32, beside the unit of rounding.

    Parameters
    ----------
    by_method : mapping of str to float
        Largest error as a share of the largest value.
    unit : float
        The gap between 1 and the next number of the type.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1, 1, 7.2, 0.9 + 0.36 * len(by_method))
    names = list(by_method)
    places = np.arange(len(names))[::-1]
    axes.barh(places, list(by_method.values()), color=style.BLUE, height=0.6)
    axes.set_xscale("log")
    axes.axvline(unit, color=style.INK, linestyle="--", linewidth=1.3)
    axes.text(unit, len(names) - 0.45, "one rounding", ha="center", va="bottom", fontsize=8.5)
    axes.set_ylim(-0.6, len(names) - 0.05)
    for place, value in zip(places, by_method.values(), strict=True):
        axes.text(value * 1.12, place, f"{value:.1e}", va="center", fontsize=8.5)
    axes.set_xlim(unit / 4, max(by_method.values()) * 4)
    axes.set_yticks(places, names)
    axes.set_xlabel("largest error, as a share of the largest value")
    axes.set_title("What float32 loses")
    return figure


def suspects(results: Mapping[str, Array], right: Array) -> Figure:
    """Where each suspect differs from the right result.

    Parameters
    ----------
    results : mapping of str to Array of shape (H, W)
    right : Array of shape (H, W)

    Returns
    -------
    Figure
    """
    figure, axes = style.new(len(results), 1, 9.6, 2.5)
    for one, (name, result) in zip(np.ravel(axes), results.items(), strict=True):
        gap = np.abs(result - right)
        one.imshow(gap, cmap=style.MAGNITUDE, vmin=0, vmax=float(gap.max()) or 1.0)
        one.set_title(f"{name}: largest {gap.max():.1g}")
        one.set_xticks(np.arange(0, right.shape[1], 2))
        one.set_yticks(np.arange(0, right.shape[0], 2))
        one.set_xlabel("column")
    np.ravel(axes)[0].set_ylabel("row")
    return figure
