"""Anime faces that minigan draws: an endless data set whose labels are known exactly.

A face is described by its factors (`FaceFactors`): which hair, which eyes, which mouth, how far the head is turned.
`face_factors` draws the factors at random from (seed, index), and `render_face` paints them with Pillow's polygons. So
face number 4711 can be drawn again on any machine, and no data have to be shipped. The images are collected by
`minigan.data.drawn.face_set`. The factors are the labels: lessons and `minigan.data.drawn.modes` use them to count
which kinds of face a generator has learned.

A face is painted from back to front: background, back hair, body, face, eyes, front hair, ornaments. `hair` and
`face_parts` say what each of these looks like; `painter` has the brushes. The canvas is four times too large in both
directions; averaging 4x4 pixels at the end gives soft edges. Light falls from the upper left.

>>> image, factors = draw_face(7)
>>> image.shape, factors.hair_style in FACTOR_VALUES["hair_style"]
((64, 64, 3), True)
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from minigan.data.drawn.face_parts import (
    ACCESSORIES,
    BACKGROUNDS,
    BROWS,
    CLOTHES,
    CLOTHES_COLOURS,
    EYE_COLOURS,
    EYE_SHAPES,
    FACE_SHAPES,
    MOUTHS,
    SKINS,
    UNDER_HAIR,
    background,
    body,
    brows,
    eyes,
    face,
)
from minigan.data.drawn.factors import FaceFactors
from minigan.data.drawn.hair import BANGS, HAIR_COLOURS, HAIRS, back_hair, front_hair, front_outline
from minigan.data.drawn.painter import WHITE, Painter, Sketch, Tones, scaled, skin_tones, tones
from minigan.nn.rng import MAX_SEED, MAX_STEP, stream

FACES_VERSION = 1
"""Raise it when the same (seed, index) gives different pixels; it is part of the name of every cache of faces."""

SUPERSAMPLE = 4
MIN_SIZE, MAX_SIZE = 16, 1024

FACTOR_VALUES: dict[str, tuple[str, ...]] = {
    "hair_style": tuple(HAIRS),
    "bangs": tuple(BANGS),
    "hair_colour": tuple(HAIR_COLOURS),
    "ahoge": ("no", "yes"),
    "eye_shape": tuple(EYE_SHAPES),
    "eye_colour": tuple(EYE_COLOURS),
    "brow": tuple(BROWS),
    "mouth": tuple(MOUTHS),
    "skin": tuple(SKINS),
    "face_shape": tuple(FACE_SHAPES),
    "blush": ("none", "soft", "hatched"),
    "accessory": tuple(ACCESSORIES),
    "clothes": tuple(CLOTHES),
    "clothes_colour": tuple(CLOTHES_COLOURS),
    "background": tuple(BACKGROUNDS),
}
"""Every categorical factor and all the values it takes."""

_ODDS: dict[str, tuple[float, ...]] = {
    # With equal odds six of seven faces would wear an ornament, and two would hardly open their eyes.
    "ahoge": (0.75, 0.25),
    "eye_shape": (0.18, 0.18, 0.18, 0.18, 0.14, 0.07, 0.07),
    "skin": (0.28, 0.28, 0.20, 0.14, 0.10),
    "blush": (0.40, 0.45, 0.15),
    "accessory": (0.40, 0.10, 0.10, 0.10, 0.10, 0.10, 0.10),
    "background": (0.40, 0.12, 0.12, 0.12, 0.12, 0.12),
}
FACTOR_PROBABILITIES: dict[str, tuple[float, ...]] = {
    name: _ODDS.get(name, (1 / len(values),) * len(values)) for name, values in FACTOR_VALUES.items()
}
"""Probability of each value, in the order of `FACTOR_VALUES`; the values of most factors are equally frequent."""

STRANDS = 40
"""How many strand numbers a face has."""


_CUMULATIVE = {name: np.cumsum(odds)[:-1] for name, odds in FACTOR_PROBABILITIES.items()}


def face_factors(index: int, *, seed: int = 0) -> FaceFactors:
    """Draw the factors of one face.

    Parameters
    ----------
    index : int
        Number of the face, 0 or more. Face i is the same whatever was drawn before it.
    seed : int
        0 to 4,294,967,295; another seed gives another endless set of faces.

    Returns
    -------
    FaceFactors
        Categorical factors independent of each other, with the probabilities in `FACTOR_PROBABILITIES`; continuous ones
        uniform in their ranges, except that turn and gaze prefer the middle.

    Raises
    ------
    ValueError
        If index or seed is out of range.
    """
    if not 0 <= index <= MAX_STEP:
        raise ValueError(f"face_factors: index must be between 0 and {MAX_STEP}, got {index}")
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"face_factors: seed must be between 0 and {MAX_SEED}, got {seed}")
    draws = stream(seed, "faces", index).random(len(FACTOR_VALUES) + 12 + STRANDS).tolist()
    chosen = {}
    for (name, values), u in zip(FACTOR_VALUES.items(), draws, strict=False):
        chosen[name] = values[int(np.searchsorted(_CUMULATIVE[name], u, side="right"))]
    more = [2 * u - 1 for u in draws[len(FACTOR_VALUES) :]]
    return FaceFactors(
        **chosen,
        turn=(more[0] + more[1]) / 2,
        tilt=11 * more[2],
        zoom=1.05 + 0.09 * more[3],
        shift_x=0.02 * more[4],
        shift_y=0.02 * more[5],
        gaze=(more[6] + more[7]) / 2,
        eye_size=0.97 + 0.08 * more[8],
        hair_tint=more[9],
        hair_depth=more[10],
        background_hue=(more[11] + 1) / 2,
        strands=tuple(more[12:]),
    )


def render_face(factors: FaceFactors, *, size: int = 64) -> npt.NDArray[np.uint8]:
    """Paint a face.

    Parameters
    ----------
    factors : FaceFactors
        What to paint; the image depends on nothing else.
    size : int
        Height and width in pixels, 16 to 1024.

    Returns
    -------
    ndarray
        (size, size, 3) uint8, RGB.

    Raises
    ------
    ValueError
        If size is out of range or a categorical factor has a value that is not in `FACTOR_VALUES`.
    """
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"render_face: size must be between {MIN_SIZE} and {MAX_SIZE}, got {size}")
    for name, values in FACTOR_VALUES.items():
        if getattr(factors, name) not in values:
            raise ValueError(f"render_face: {name} must be one of {', '.join(values)}, got {getattr(factors, name)!r}")
    n = size * SUPERSAMPLE
    canvas = Image.new("RGB", (n, n), WHITE)
    background(canvas, factors.background, factors.background_hue)
    s = _sketch(factors, canvas)
    outline, lower = front_outline(s)
    ornament, under_hair = ACCESSORIES[factors.accessory], factors.accessory in UNDER_HAIR
    back_hair(s)
    body(s)
    face(s, outline)
    eyes(s)
    if under_hair:
        ornament(s)
    front_hair(s, outline, lower)
    if not under_hair:
        ornament(s)
    brows(s)
    return np.array(canvas.reduce(SUPERSAMPLE))


def _sketch(f: FaceFactors, canvas: Image.Image) -> Sketch:
    """Prepare the painters (where the sheet lies on the canvas, see `painter`) and mix the colours."""
    n = canvas.width
    angle = math.radians(f.tilt)
    matrix = n * f.zoom * np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    pivot = np.array([0.0, 0.50])
    # Pillow cuts off the decimals of coordinates; with half a pixel added, it rounds instead.
    origin = n * np.array([0.5 + f.shift_x, 0.51 + f.shift_y]) - pivot @ matrix + 0.5
    still = Painter(canvas, matrix, origin, n * f.zoom, 0.0)
    return Sketch(
        factors=f,
        head=still.facing(f.turn),
        still=still,
        hair=hair_tones(f.hair_colour, f.hair_tint, f.hair_depth),
        skin=skin_tones(SKINS[f.skin]),
        clothes=tones(CLOTHES_COLOURS[f.clothes_colour]),
        numbers=np.array(f.strands),
    )


def hair_tones(colour: str, tint: float, depth: float) -> Tones:
    """Mix the tones of hair: a colour of `FACTOR_VALUES`, made warmer by `tint` and lighter by `depth`."""
    glow = 1 + 0.08 * depth
    return tones(scaled(HAIR_COLOURS[colour], glow * (1 + 0.04 * tint), glow, glow * (1 - 0.05 * tint)))


def draw_face(index: int, *, seed: int = 0, size: int = 64) -> tuple[npt.NDArray[np.uint8], FaceFactors]:
    """Draw the factors of face `index` and paint it: `face_factors` and `render_face` in one call.

    Parameters
    ----------
    index, seed : int
        As for `face_factors`.
    size : int
        As for `render_face`.

    Returns
    -------
    image : ndarray
        (size, size, 3) uint8, RGB.
    factors : FaceFactors
        The face's labels.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    factors = face_factors(index, seed=seed)
    return render_face(factors, size=size), factors
