"""Images for people: grids of faces, a plot of a run's losses, and a film of the faces during training.

matplotlib and Pillow are imported when first used, so that ``import minigan`` stays fast. What matplotlib is told by
settings files and environment variables is meant for charts on a screen, and has no effect on the files written here.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minigan.nn.backend import Array
from minigan.system.atomic_files import replacing, temporary_folder
from minigan.system.environment import without_variables

if TYPE_CHECKING:
    from PIL.Image import Image

SCALE = 2
"""Screen pixels per pixel of a face: a 64-pixel face is hard to judge at its own size."""

MAX_FRAME_PIXELS = 4_000_000

GAP = 2
"""Pixels of white around each face, before scaling."""

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""Suffixes of the image files that can be written, and Pillow's names of their formats."""

FILM_FORMATS = (".png", ".gif", ".webp")
"""Suffixes of files that can hold a film of faces."""

FILM_SIDE = 256
FRAME_PAUSE = 50
"""Pixels of a film's side, about, and milliseconds for which each face is shown."""

_LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535}

MAX_FRAMES = 60
"""Most images of a film. Of more images some are chosen, evenly spread, always with the first and the last."""


def to_uint8(images: Array) -> Array:
    """Pixels from [-1, 1] to 0..255, rounded to the nearest.

    Parameters
    ----------
    images : numpy.ndarray of shape (..., 3)
        In [-1, 1]; beyond is clipped.

    Returns
    -------
    numpy.ndarray, uint8

    Examples
    --------
    >>> to_uint8(np.array([-1.0, 0.0, 1.0])).tolist()
    [0, 128, 255]
    """
    return np.clip(np.floor((images + 1) * 127.5 + 0.5), 0, 255).astype(np.uint8)


def grid(images: Array, *, columns: int | None = None) -> Array:
    """Faces side by side on white.

    Parameters
    ----------
    images : numpy.ndarray of shape (N, S, S, 3)
        In [-1, 1], or uint8; N at least 1.
    columns : int, optional
        By default as square as may be.

    Returns
    -------
    numpy.ndarray of shape (rows*(S+2)+2, columns*(S+2)+2, 3), uint8
    """
    N, S = images.shape[:2]
    rows, columns = _layout(N, columns)
    cell = S + GAP
    tiled = np.full((rows * cell + GAP, columns * cell + GAP, 3), 255, np.uint8)
    for k, face in enumerate(images):
        top, left = GAP + k // columns * cell, GAP + k % columns * cell
        tiled[top : top + S, left : left + S] = face if face.dtype == np.uint8 else to_uint8(face)
    return tiled


def _layout(count: int, columns: int | None) -> tuple[int, int]:
    """Rows and columns of a grid."""
    columns = columns or math.ceil(math.sqrt(count))
    return math.ceil(count / columns), columns


def fits(path: Path, count: int, side: int, *, columns: int | None = None) -> bool:
    """Whether the format that a file name asks for can hold a grid of so many faces.

    Parameters
    ----------
    path : Path
    count, side : int
        Faces, and pixels of a face's side.
    columns : int, optional
        As `save_grid`.
    """
    longest = _LONGEST_SIDE.get(image_format(path) or "", math.inf)
    return SCALE * (max(_layout(count, columns)) * (side + GAP) + GAP) <= longest


def save_grid(path: Path, images: Array, *, columns: int | None = None) -> None:
    """Write a grid of faces as an image file, `SCALE` times enlarged, all or nothing.

    Parameters
    ----------
    path : Path
        The suffix chooses the format.
    images : numpy.ndarray of shape (N, S, S, 3)
        In [-1, 1], or uint8.
    columns : int, optional
        By default as square as may be.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    from PIL import Image

    image = Image.fromarray(grid(images, columns=columns))
    with replacing(path) as temporary:
        image.resize((image.width * SCALE, image.height * SCALE), Image.Resampling.NEAREST).save(
            temporary, format=image_format(path)
        )


def image_format(path: Path) -> str | None:
    """Pillow's name of the image format that a file name asks for; None if its suffix is not in `FORMATS`."""
    return FORMATS.get(path.suffix.lower())


def save_film(path: Path, files: Sequence[Path], *, seconds: float = 8.0) -> None:
    """Join image files of equal size into an animated GIF that loops and rests on the last one.

    Parameters
    ----------
    path : Path
    files : sequence of Path
        In the order of the film; at least one.
    seconds : float
        Length without the rest at the end.

    Raises
    ------
    OSError
        If the film cannot be written.

    Notes
    -----
    An image that cannot be read, or has another size than the last one, is left out.
    """
    chosen = sorted({round(k) for k in np.linspace(0, len(files) - 1, min(len(files), MAX_FRAMES))})
    frames = [frame for k in chosen if (frame := _frame(files[k])) is not None]
    frames = [frame for frame in frames if frame.size == frames[-1].size]
    if not frames:
        return
    pause = max(int(1000 * seconds / len(frames)), 40)
    with replacing(path) as temporary:
        frames[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=frames[1:],
            duration=[pause] * (len(frames) - 1) + [2500],
            loop=0,
        )


def save_animation(path: Path, images: Array) -> None:
    """Write faces as a film that begins again at its end: an animated PNG, GIF or WebP file, all or nothing.

    Parameters
    ----------
    path : Path
        The suffix chooses the format, one of `FILM_FORMATS`.
    images : numpy.ndarray of shape (N, S, S, 3), uint8
        N at least 1. They are enlarged to a side of about `FILM_SIDE`.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    from PIL import Image

    side = max(1, FILM_SIDE // images.shape[1]) * images.shape[1]
    frames = [Image.fromarray(image).resize((side, side), Image.Resampling.NEAREST) for image in images]
    kind = image_format(path)
    if kind == "GIF":
        frames = [frame.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE) for frame in frames]
    # WebP, too, must not lose what the faces have: it would blur them.
    options = {"lossless": True} if kind == "WEBP" else {}
    with replacing(path) as temporary:
        frames[0].save(
            temporary, format=kind, save_all=True, append_images=frames[1:], duration=FRAME_PAUSE, loop=0, **options
        )


def save_separate(folder: Path, images: Array) -> None:
    """Write each face to a PNG file of its own, in a new folder, all or nothing.

    Parameters
    ----------
    folder : Path
        Must not exist. The names in it, ``face-0001.png`` and so on, are in the order of the faces.
    images : numpy.ndarray of shape (N, S, S, 3), uint8
        One pixel in the file for each of theirs.

    Raises
    ------
    OSError
        If it exists, or cannot be written.
    """
    from PIL import Image

    digits = max(4, len(str(len(images))))
    with temporary_folder(folder) as temporary:
        for number, image in enumerate(images, 1):
            Image.fromarray(image).save(temporary / f"face-{number:0{digits}}.png")
        temporary.rename(folder)


def _frame(path: Path) -> Image | None:
    """An image in 256 colours, as many as a GIF has, without dithering, which would flicker."""
    from PIL import Image

    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.width * image.height > MAX_FRAME_PIXELS:
                return None
            return image.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    except Exception:  # Pillow on a damaged file raises almost anything
        return None


@contextlib.contextmanager
def plain_matplotlib() -> Iterator[None]:
    """Draw charts inside this block: matplotlib has its own settings there, whatever a person has chosen."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it complains about settings, and folders for them, that play no part here
    try:
        is_new = "matplotlib" not in sys.modules
        with without_variables("MPLBACKEND", "MATPLOTLIBRC"):  # while it is imported, a wrong one is an error
            import matplotlib as mpl
        if is_new and (backend := os.environ.get("MPLBACKEND")):
            with contextlib.suppress(ValueError):
                mpl.rcParams["backend"] = backend  # for charts that a notebook draws later
        with mpl.rc_context():
            mpl.rcdefaults()
            yield
    finally:
        logger.setLevel(level)


@plain_matplotlib()
def save_loss_plot(path: Path, steps: Array, history: Mapping[str, Array]) -> None:
    """Draw the losses and the discriminator's mean answers over the steps, each step faint, running medians strong.

    Parameters
    ----------
    path : Path
    steps : numpy.ndarray of shape (T,)
    history : mapping of str to numpy.ndarray of shape (T,)
        "d_real", "d_fake", "g", "d_x" and "d_g_z" of each step; T at least 1.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    curves = [
        (top, "g", "generator", "#d1495b", "-"),
        (top, "d_real", "discriminator, real", "#00798c", "-"),
        (top, "d_fake", "discriminator, fake", "#8d96a3", "--"),
        (bottom, "d_x", "D(x): reals", "#00798c", "-"),
        (bottom, "d_g_z", "D(G(z)): fakes", "#d1495b", "--"),
    ]
    window = max(1, min(101, len(steps) // 20 * 2 + 1))
    for axes, metric, label, colour, style in curves:
        values = history[metric]
        axes.plot(steps, values, color=colour, alpha=0.22, linewidth=0.7)
        axes.plot(steps, running_median(values, window), style, color=colour, linewidth=1.8, label=label)
    top.set_ylabel("loss (nats)")
    top.set_ylim(0, max(1.0, float(np.quantile([history[name] for name in ("d_real", "d_fake", "g")], 0.995)) * 1.1))
    bottom.set_ylabel("mean probability of “real”")
    bottom.set_ylim(-0.02, 1.02)
    bottom.set_xlabel("step")
    top.set_title(f"Losses; strong lines are medians over {window} steps", loc="left", fontsize=10)
    for axes in (top, bottom):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    top.legend(loc="upper right", frameon=False, ncols=3)
    bottom.legend(loc="center right", frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    del figure, top, bottom, axes, curves
    gc.collect()  # a figure's parts refer to each other, so its 7 MB would stay until Python's next collection


AT_A_TIME = 4096
"""Windows of `running_median` that are in memory together."""


def running_median(values: Array, window: int) -> Array:
    """Median over a window around each place, cut short at the ends.

    Parameters
    ----------
    values : numpy.ndarray of shape (T,)
    window : int
        Odd, at least 1.

    Returns
    -------
    numpy.ndarray of shape (T,)

    Examples
    --------
    >>> running_median(np.array([1.0, 9.0, 2.0, 3.0]), 3).tolist()
    [5.0, 2.0, 3.0, 2.5]
    """
    half = window // 2
    padded = np.concatenate([np.full(half, np.nan), values, np.full(half, np.nan)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)
    # A part at a time: for the medians, the windows are copied, and a long run has a million steps.
    return np.concatenate([np.nanmedian(windows[i : i + AT_A_TIME], axis=1) for i in range(0, len(values), AT_A_TIME)])
