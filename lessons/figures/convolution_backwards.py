"""Pictures for lesson 8: who touched a pixel, im2col as a matrix and its transpose, and gradients as stamps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lessons.figures import style
from lessons.figures.cells import Frame, draw

_LINES = ("-", "--", "-.", ":")
_COLOURS = (style.RED, style.BLUE, style.GREEN, style.INK)


def who_touched(x: Any, K: int, pixel: tuple[int, int]) -> Figure:
    """One pixel, the windows that contain it, their places in the output, and the taps that met it.

    Parameters
    ----------
    x : Array of shape (H, W)
    K : int
        Kernel size; stride 1, no padding.
    pixel : (r, s)

    Returns
    -------
    Figure
    """
    (H, W), (r, s) = np.shape(x), pixel
    Ho, Wo = H - K + 1, W - K + 1
    met = [(i, j) for i in range(Ho) for j in range(Wo) if 0 <= r - i < K and 0 <= s - j < K]
    figure, axes = style.new(3, 1, 9.6, 3.5)
    a, b, c = np.ravel(axes)
    a.get_gridspec().set_width_ratios([W, Wo, K])
    windows, places, taps = [], [], []
    told_places = [["" for _ in range(Wo)] for _ in range(Ho)]
    told_taps = [["" for _ in range(K)] for _ in range(K)]
    for k, (i, j) in enumerate(met):
        line, colour = _LINES[k % 4], _COLOURS[k % 4]
        d = 0.05 + 0.07 * (k % 4)  # so that one frame does not hide another
        windows.append(Frame(i + d, j + d, K - 2 * d, K - 2 * d, colour, line))
        places.append(Frame(i + 0.06, j + 0.06, 0.88, 0.88, colour, line))
        taps.append(Frame(r - i + 0.04, s - j + 0.04, 0.92, 0.92, colour, line))
        told_places[i][j] = f"place\n({i}, {j})"
        told_taps[r - i][s - j] = f"met it from\nplace ({i}, {j})"
    shade = np.zeros((H, W))
    shade[r, s] = 1
    numbers = [[f"{value:g}" for value in row] for row in np.asarray(x, dtype=float)]
    draw(a, shade, title=f"pixel ({r}, {s}), and the windows that contain it", texts=numbers, frames=windows)
    draw(
        b,
        np.zeros((Ho, Wo)),
        title="places that touched it",
        rows="place i",
        columns="place j",
        texts=told_places,
        frames=places,
        size=9,
    )
    draw(c, np.zeros((K, K)), title="the tap with which each did", rows="tap row p", columns="tap column q",
         texts=told_taps, frames=taps, size=8)  # fmt: skip
    return figure


def selection(*, H: int, K: int, stride: int, pad: int) -> Figure:
    """im2col of one row of pixels as a matrix of zeros and ones, and its transpose, which is col2im.

    Parameters
    ----------
    H, K, stride, pad : int

    Returns
    -------
    Figure
    """
    Ho = (H + 2 * pad - K) // stride + 1
    matrix = np.zeros((Ho * K, H))
    for i in range(Ho):
        for p in range(K):
            if 0 <= stride * i + p - pad < H:
                matrix[i * K + p, stride * i + p - pad] = 1
    copies = [f"{i},{p}" for i in range(Ho) for p in range(K)]
    figure, axes = style.new(2, 1, 9.0, 3.9)
    a, b = np.ravel(axes)
    title = "A, im2col: each row is one copy (place i, tap p)\nand says which pixel it is a copy of"
    draw(a, matrix, title=title, rows="copy i,p", columns="pixel r", magnitude=True, ticks=(copies, range(H)))
    title = "A transposed, col2im: each row is one pixel\nand says which copies were made of it"
    draw(b, matrix.T, title=title, rows="pixel r", columns="copy i,p", magnitude=True, ticks=(range(H), copies))
    return figure


def counts(maps: Sequence[Any], titles: Sequence[str]) -> Figure:
    """Maps of how often each pixel is touched, with the numbers.

    Parameters
    ----------
    maps : sequence of Array of shape (H, W)
    titles : sequence of str

    Returns
    -------
    Figure
    """
    figure, axes = style.new(len(maps), 1, 2.6 * len(maps), 3.0)
    for ax, values, title in zip(np.ravel(axes), maps, titles, strict=True):
        draw(ax, values, title=title, rows="pixel row", columns="pixel column", magnitude=True, size=7.5)
    return figure


def answers(face: Any, kernel: Any, dys: Sequence[Any], dxs: Sequence[Any]) -> Figure:
    """Gradients of a convolution's output, and what becomes of them at its input.

    Parameters
    ----------
    face : Array of shape (H, W, 3)
        Pixels in [-1, 1].
    kernel : Array of shape (K, K)
    dys, dxs : sequence of Array of shape (H, W)
        Of a dy with a single place, only the surroundings are shown.

    Returns
    -------
    Figure
    """
    figure, axes = style.new(1 + len(dys), 2, 2.6 * (1 + len(dys)), 5.2)
    axes[0, 0].imshow((face + 1) / 2)
    axes[0, 0].set_title("the image x")
    draw(axes[1, 0], kernel * 12, title="the kernel w, times 12", rows="tap row p", columns="tap column q")
    for k, (dy, dx) in enumerate(zip(dys, dxs, strict=True), start=1):
        for ax, values, name in ((axes[0, k], dy, "dy"), (axes[1, k], dx, "dx")):
            ax.imshow(values, cmap=style.SIGNED, **style.symmetric(values))
            at = np.argwhere(dy)
            ax.set_title(f"{name}: {len(at)} place{'s' if len(at) > 1 else ''}")
            if name == "dy" and len(at) < 10:
                ax.plot(at[:, 1], at[:, 0], "o", markersize=9, fillstyle="none", color="white")
            if len(at) == 1:
                ax.set(xlim=at[0, 1] + np.array([-6.5, 6.5]), ylim=at[0, 0] + np.array([6.5, -6.5]))
    for ax in (axes[0, 0], *axes[:, 1:].ravel()):
        ax.set_xlabel("column, pixels", fontsize=8)
        ax.set_ylabel("row, pixels", fontsize=8)
        ax.tick_params(labelsize=7)
    return figure
