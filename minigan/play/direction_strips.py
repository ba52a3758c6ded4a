"""One image file that shows what sliders do: a row for each, with faces from its one end to the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minigan.gan.models import NOISE_SIZE
from minigan.nn.network import Sequential
from minigan.nn.rng import stream
from minigan.pages.plots import GAP, to_uint8
from minigan.play.directions import FAR, Direction, moved
from minigan.system.atomic_files import replacing

FACES, STOPS = 2, 5
"""How many faces are moved along each slider, and how often each is drawn."""

_LABEL = 110


def save_strips(path: Path, generator: Sequential, directions: Sequence[Direction]) -> None:
    """Write faces along directions as a PNG file, all or nothing.

    Parameters
    ----------
    path : Path
    generator : Sequential
        On the NumPy backend.
    directions : sequence of Direction
        At least one. In each row, two faces are drawn at five stops from the slider's left end to its right end; the
        third stop is the face itself. The two faces are the same in all rows.

    Raises
    ------
    OSError
        If the file cannot be written; an earlier file of the name is kept.
    """
    from PIL import Image, ImageDraw, ImageFont

    noise = stream(0, "directions", 3).standard_normal((FACES, 1, NOISE_SIZE), np.float32)
    amounts = np.linspace(-FAR, FAR, STOPS)[:, None]
    S = generator.output_shape()[0]
    cell, apart = S + GAP, 4 * GAP
    width = _LABEL + FACES * STOPS * cell + (FACES - 1) * apart
    canvas = Image.new("RGB", (width, len(directions) * cell), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    for row, direction in enumerate(directions):
        images = to_uint8(generator.predict(moved(noise, direction.vector, amounts).reshape(-1, 1, 1, NOISE_SIZE)))
        for k, image in enumerate(images):
            face = k // STOPS
            canvas.paste(Image.fromarray(image), (_LABEL + k * cell + face * apart, row * cell))
        words = direction.name if not direction.yes else f"{direction.name}:\n{direction.no} –\n{direction.yes}"
        pen.multiline_text((2, row * cell + S / 2), words, "black", font, anchor="lm", spacing=2)
    with replacing(path) as temporary:
        canvas.quantize(256, dither=Image.Dither.NONE).save(temporary, "PNG", optimize=True)
