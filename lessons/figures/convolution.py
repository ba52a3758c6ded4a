"""Pictures for lesson 7: a window over an image, its patches as rows of a matrix, and what that gains."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lessons.figures import style
from lessons.figures.cells import Frame, draw


def by_hand(x: Any, w: Any, place: tuple[int, int] = (0, 0)) -> Figure:
    """One output number: the window, the kernel, their products, the sum.

    Parameters
    ----------
    x : Array of shape (H, W)
    w : Array of shape (K, K)
    place : (i, j)
        Which output; stride 1, no padding.

    Returns
    -------
    Figure
    """
    K, (i, j) = len(w), place
    y = outputs(x, w)
    known = np.full(y.shape, np.nan)
    known[i, j] = y[i, j]
    window = x[i : i + K, j : j + K]
    figure, axes = style.new(4, 1, 9.6, 2.9)
    a, b, c, d = np.ravel(axes)
    a.get_gridspec().set_width_ratios([x.shape[1], K, K, y.shape[1]])
    draw(a, x, title="image x, and a window on it", frames=[Frame(i, j, K, K)])
    draw(b, w, title="kernel w", rows="tap row p", columns="tap column q")
    draw(
        c,
        window * w,
        title="multiplied",
        rows="tap row p",
        columns="tap column q",
        frames=[Frame(0, 0, K, K)],
    )
    draw(
        d,
        known,
        title="added up: output y",
        rows="place i",
        columns="place j",
        frames=[Frame(i, j, 1, 1)],
    )
    return figure


def outputs(x: Any, w: Any) -> Any:
    """The convolution of one channel with one kernel, stride 1, no padding."""
    K = len(w)
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(x, dtype=float), (K, K))
    return np.einsum("ijpq,pq->ij", windows, w)


_RATIOS = (4, 2.6, 1, 3)
"""Widths of image, patch matrix, kernel and output beside each other."""


def _step(axes: Sequence[Axes], x: Any, w: Any, step: int, *, size: float = 10) -> None:
    """One moment: the window on the image, the patch matrix filled so far, the output so far."""
    K = len(w)
    y = outputs(x, w)
    Wo = y.shape[1]
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(x, dtype=float), (K, K)).reshape(y.size, K * K)
    cols, known = windows.copy(), y.ravel().copy()
    cols[step + 1 :], known[step + 1 :] = np.nan, np.nan
    limit = np.abs(x).max()
    i, j = divmod(step, Wo)
    taps = [f"{p},{q}" for p in range(K) for q in range(K)]
    places = [f"{i},{j}" for i in range(y.shape[0]) for j in range(Wo)]
    draw(axes[0], x, title="the window on x", frames=[Frame(i, j, K, K)], size=size, limit=limit)
    draw(
        axes[1],
        cols,
        title="its row of the patch matrix",
        rows="place i,j",
        columns="tap p,q",
        size=size,
        frames=[Frame(step, 0, 1, K * K)],
        ticks=(places, taps),
        limit=limit,
    )
    draw(
        axes[2], w.reshape(-1, 1), title="w as a column", rows="tap p,q", columns="kernel", size=size, ticks=(taps, [0])
    )
    draw(axes[3], known.reshape(y.shape), title="y", rows="place i", columns="place j", size=size,
         frames=[Frame(i, j, 1, 1)], limit=np.abs(y).max())  # fmt: skip


def filmstrip(x: Any, w: Any, steps: Sequence[int] = (0, 1, 8)) -> Figure:
    """im2col in a few moments, one above the other.

    Parameters
    ----------
    x : Array of shape (H, W)
    w : Array of shape (K, K)
    steps : sequence of int
        Places, counted across and then down.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(4, len(steps), 9.6, 2.7 * len(steps))
    np.ravel(axes)[0].get_gridspec().set_width_ratios(_RATIOS)
    for row, step in zip(np.reshape(axes, (-1, 4)), steps, strict=True):
        _step(list(row), x, w, step)
    return figure


def film(x: Any, w: Any, *, milliseconds: int = 900) -> bytes:
    """im2col as an animation: the window slides, the rows fill.

    Parameters
    ----------
    x : Array of shape (H, W)
    w : Array of shape (K, K)
    milliseconds : int
        How long a step stands still; the last one stands three times as long.

    Returns
    -------
    bytes
        An animated PNG. Where it cannot move, on paper, its first picture is seen.
    """
    frames = []
    for step in range(outputs(x, w).size):
        figure, axes = style.new(4, 1, 8.4, 2.9)
        axes[0].get_gridspec().set_width_ratios(_RATIOS)
        _step(list(np.ravel(axes)), x, w, step)
        frames.append(figure)
    return animated(frames, [milliseconds] * (len(frames) - 1) + [3 * milliseconds])


def animated(figures: Sequence[Figure], milliseconds: Sequence[int]) -> bytes:
    """Figures as one animated PNG of at most 64 colours, repeating for ever.

    Parameters
    ----------
    figures : sequence of Figure
        Figures of one size.
    milliseconds : sequence of int
        How long each is shown.

    Returns
    -------
    bytes
    """
    from PIL import Image

    pictures = []
    for figure in figures:
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=80)
        pictures.append(Image.open(file).convert("RGB").quantize(64).convert("RGB"))
    file = io.BytesIO()
    pictures[0].save(
        file,
        format="PNG",
        save_all=True,
        append_images=pictures[1:],
        duration=list(milliseconds),
        loop=0,
        optimize=True,
    )
    return file.getvalue()


def patch_row(patch: Any) -> Figure:
    """A patch of pixels with channels, and the row that it becomes: in the right order, and in one that is not.

    Parameters
    ----------
    patch : Array of shape (K, K, C)

    Returns
    -------
    Figure
    """
    K, _, C = patch.shape
    colours = (style.BLUE, style.ORANGE, style.GREEN)
    figure, ax = style.new(1, 1, 9, 2.6)
    ax.set_axis_off()

    def box(x: float, y: float, value: float, channel: int, width: float = 1.0) -> None:
        ax.add_patch(Rectangle((x, y), width, 1, facecolor=colours[channel], edgecolor="white", alpha=0.85))
        ink = style.INK if colours[channel] == style.ORANGE else "white"
        ax.text(x + width / 2, y + 0.5, f"{value:g}", ha="center", va="center", color=ink, fontsize=11)

    for p in range(K):
        for q in range(K):
            for c in range(C):
                box(q * (C + 0.4) + c, (K - 1 - p) * 1.3 + 0.3, patch[p, q, c], c)
    far = K * (C + 0.4) + 2.2
    rows = (("p, q, c", patch, 1.9), ("c, p, q", np.moveaxis(patch, 2, 0), 0.1))
    for order, numbers, y in rows:
        channels = np.broadcast_to(np.arange(C), patch.shape)
        channels = channels if order == "p, q, c" else np.moveaxis(channels, 2, 0)
        for k, (value, channel) in enumerate(zip(numbers.ravel(), channels.ravel(), strict=True)):
            box(far + k, y, value, int(channel))
        wrong = order != "p, q, c"
        ax.text(far - 0.2, y + 0.5, order, ha="right", va="center", fontsize=10)
        ax.text(far + patch.size + 0.2, y + 0.5, "wrong" if wrong else "right", ha="left", va="center", fontsize=10)
        if wrong:
            ax.plot([far, far + patch.size], [y + 0.5, y + 0.5], color=style.INK, linewidth=1.5)
    ax.set_title("One patch of K x K pixels with C = 2 channels, and its row of the patch matrix", fontsize=10)
    ax.set_xlim(-0.2, far + patch.size + 1.6)
    ax.set_ylim(-0.2, 3.2)
    ax.set_aspect("equal")
    return figure


def places(cases: Sequence[tuple[int, int, int, int]]) -> Figure:
    """Where a window fits on one row of pixels.

    Parameters
    ----------
    cases : sequence of (H, K, S, P)

    Returns
    -------
    Figure
        For each case the pixels (zeros of the padding dotted, pixels that no window touches hatched) and a bar for each
        place of the window.
    """
    figure, axes = style.new(1, len(cases), 8.4, 1.55 * len(cases))
    for ax, (H, K, S, P) in zip(np.ravel(axes), cases, strict=True):
        count = (H + 2 * P - K) // S + 1
        touched = {S * i + p for i in range(count) for p in range(K)}
        for r in range(H + 2 * P):
            zero = r < P or r >= H + P
            left_over = not zero and r not in touched
            hatch = "..." if zero else "xxx" if left_over else None
            face = "white" if zero or left_over else "#dde6f0"
            ax.add_patch(
                Rectangle((r - P - 0.5, 0), 1, 1, facecolor=face, edgecolor=style.GREY, hatch=hatch, linewidth=0.8)
            )
            told = "0" if zero else str(r - P)
            ax.text(
                r - P,
                0.5,
                told,
                ha="center",
                va="center",
                fontsize=9,
                backgroundcolor=(1, 1, 1, 0.7) if hatch else "none",
            )
        for i in range(count):
            y = -0.45 - 0.42 * (i % 4)
            ax.plot(
                [S * i - P - 0.42, S * i - P + K - 0.58],
                [y, y],
                color=(style.BLUE, style.ORANGE)[i % 2],
                linewidth=5,
                solid_capstyle="butt",
            )
            ax.text(S * i - P - 0.47, y, f"i={i} ", ha="right", va="center", fontsize=7)  # fmt: skip
        left = sum(1 for r in range(P, H + P) if r not in touched)
        more = f", {left} pixel{'s' if left > 1 else ''} left over" if left else ""
        ax.set_title(
            f"H = {H}, K = {K}, S = {S}, P = {P}:  ({H} + {2 * P} − {K}) // {S} + 1 = {count} places{more}", fontsize=10
        )
        ax.set_xlim(-2.1, max(h + p for h, _, _, p in cases) + 0.2)
        ax.set_ylim(-0.7 - 0.42 * min(count - 1, 3), 1.08)
        ax.set_yticks([])
        ax.set_xticks([])
        ax.spines[:].set_visible(False)
        ax.set_ylabel("windows   pixels", fontsize=7)
    np.ravel(axes)[-1].set_xlabel(
        "row r of the image (dotted: zeros of the padding; crossed: never touched)", fontsize=9
    )
    return figure


def product_shapes(*, N: int, H: int, W: int, C: int, O: int, K: int, stride: int, pad: int) -> Figure:
    """The three matrices of ``Y = X @ W``, as blocks with their sizes.

    Parameters
    ----------
    N, H, W, C, O, K, stride, pad : int
        Geometry of the layer.

    Returns
    -------
    Figure
        Sides of the blocks grow with the logarithm of their sizes.
    """
    Ho, Wo = ((size + 2 * pad - K) // stride + 1 for size in (H, W))
    M, L = N * Ho * Wo, K * K * C
    figure, ax = style.new(1, 1, 9.6, 4.4)
    ax = np.ravel(ax)[0]
    m, l, o = (0.32 * np.log2(size) for size in (M, L, O))
    blocks = (
        (0.0, m, l, style.BLUE, "X: the patches", f"N·Ho·Wo = {M:,}".replace(",", " "), f"K·K·C = {L}"),
        (l + 1.5, l, o, style.ORANGE, "W: the kernels", f"K·K·C = {L}", f"O = {O}"),
        (l + o + 3.0, m, o, style.GREEN, "Y: the output", f"N·Ho·Wo = {M:,}".replace(",", " "), f"O = {O}"),
    )
    for left, high, wide, colour, name, rows, columns in blocks:
        ax.add_patch(
            Rectangle((left, -high), wide, high, facecolor=colour, alpha=0.25, edgecolor=style.INK, linewidth=1.2)
        )
        ax.text(left + 0.58 * wide, -0.75 * high, name, ha="center", va="center", fontsize=11)
        ax.text(left + wide / 2, 0.15, columns, ha="center", va="bottom", fontsize=9)
        ax.text(left - 0.12, -high / 2, rows, ha="right", va="center", fontsize=9, rotation=90)
    ax.add_patch(Rectangle((0, -1.15), l, 0.25, facecolor=style.BLUE, edgecolor=style.INK))
    ax.text(l / 2, -1.3, "one row: the patch under one place", ha="center", va="top", fontsize=8)
    ax.add_patch(Rectangle((l + 1.7, -l), 0.22, l, facecolor=style.ORANGE, edgecolor=style.INK))
    ax.text(l + 1.8, -l - 0.12, "one column: one kernel", ha="center", va="top", fontsize=8)
    ax.add_patch(Rectangle((l + o + 3.4, -1.15), 0.25, 0.25, facecolor=style.GREEN, edgecolor=style.INK))
    ax.text(l + o + 3.52, -1.3, "one number:\nrow times column", ha="left", va="top", fontsize=8)
    ax.text(l + 0.55, -m / 2, "@", fontsize=16, ha="center", va="center")
    ax.text(l + o + 2.2, -m / 2, "=", fontsize=16, ha="center", va="center")
    ax.set(xlim=(-0.7, l + 2 * o + 3.6), ylim=(-m - 0.6, 0.8), xticks=[], yticks=[])
    work = f"{M * L * O / 1e9:.1f} thousand million multiplications"
    ax.set_title(f"{N} images of {H} × {W} × {C}, kernel {K} × {K}, stride {stride}: {work}", fontsize=10)
    ax.set_xlabel("columns of each matrix (length of a side: logarithm of its size)", fontsize=9)
    ax.set_ylabel("rows of each matrix", fontsize=9)
    ax.spines[:].set_visible(False)
    return figure


def speed(milliseconds: Mapping[str, float]) -> Figure:
    """Times as bars on a logarithmic axis, with how many times as fast as the first each is.

    Parameters
    ----------
    milliseconds : dict of str to float
        By name, the slowest first.

    Returns
    -------
    Figure
    """
    figure, ax = style.new(1, 1, 8.4, 0.6 + 0.5 * len(milliseconds))
    ax = np.ravel(ax)[0]
    names, times = list(milliseconds), np.array(list(milliseconds.values()))
    hatches = ("", "///", "...", "xxx", "\\\\\\", "+++")
    colours = (style.GREY, style.ORANGE, style.BLUE, style.GREEN)
    for k, time in enumerate(times):
        ax.barh(k, time, color=colours[k % 4], alpha=0.75, hatch=hatches[k % 6], edgecolor="white")
        told = f" {time:.3g} ms" + ("" if k == 0 else f"   ({times[0] / time:,.0f} ×)")
        ax.text(time, k, told, va="center", fontsize=9)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlim(times.min() / 3, times.max() * 8)
    ax.set_xlabel("time of one forward pass, milliseconds (logarithmic)")
    ax.set_ylabel("written as")
    ax.set_title("The same numbers, computed in different ways (in brackets: times as fast as the first)", fontsize=10)
    return figure


def edges(face: Any, seen: Any) -> Figure:
    """An image, the answers of two edge kernels, and both together.

    Parameters
    ----------
    face : Array of shape (H, W, 3)
        Pixels in [-1, 1].
    seen : Array of shape (H, W, 2)
        The kernels' answers.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(4, 1, 10.4, 3.1)
    axes = np.ravel(axes)
    limit = np.abs(seen).max()
    axes[0].imshow((face + 1) / 2)
    axes[1].imshow(seen[..., 0], cmap=style.SIGNED, vmin=-limit, vmax=limit)
    axes[2].imshow(seen[..., 1], cmap=style.SIGNED, vmin=-limit, vmax=limit)
    axes[3].imshow(np.hypot(seen[..., 0], seen[..., 1]), cmap="gray_r", vmin=0, vmax=0.7 * limit)
    titles = ("the face", "kernel 0: brighter to the right", "kernel 1: brighter downwards", "strength of both")
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("column, pixels", fontsize=9)
        ax.set_ylabel("row, pixels", fontsize=9)
        ax.tick_params(labelsize=7)
        ax.grid(visible=False)
    return figure
