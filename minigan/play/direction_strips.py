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

_LEFT, _RIGHT = 160, 60  # pixels for words
_COLOURS = 128  # so that the file stays small


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
    faces_end = _LEFT + FACES * STOPS * cell + (FACES - 1) * apart
    canvas = Image.new("RGB", (faces_end + _RIGHT, len(directions) * cell), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    for row, direction in enumerate(directions):
        images = to_uint8(generator.predict(moved(noise, direction.vector, amounts).reshape(-1, 1, 1, NOISE_SIZE)))
        top, middle = row * cell, row * cell + S / 2
        for k, image in enumerate(images):
            canvas.paste(Image.fromarray(image), (_LEFT + k * cell + k // STOPS * apart, top))
        pen.text((2, middle), direction.name, "black", font, anchor="lm")
        pen.text((_LEFT - 6, middle), direction.no, "black", font, anchor="rm")
        pen.text((faces_end + 4, middle), direction.yes, "black", font, anchor="lm")
    with replacing(path) as temporary:
        canvas.quantize(_COLOURS, dither=Image.Dither.NONE).save(temporary, "PNG", optimize=True)
