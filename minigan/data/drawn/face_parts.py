"""All parts of a drawn face except the hair: face, mouth, eyes, brows, clothes, ornaments, background.

Each section ends in a table that maps a factor's values to the function or the points that paint them; a new mouth
takes one function and one line. `faces.render_face` calls the parts from back to front, and `painter` draws them.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from minigan.data.drawn.painter import (
    MIRROR,
    SIDES,
    WHITE,
    Colour,
    Painter,
    Points,
    Sketch,
    Tones,
    both_sides,
    curve,
    ellipse,
    glow_mask,
    mirrored,
    mix,
    moved,
    pair,
    scaled,
    tones,
    xy,
)

EYE_COLOURS: dict[str, Colour] = {
    "brown": (150, 92, 58),
    "amber": (226, 160, 58),
    "red": (212, 60, 66),
    "pink": (232, 104, 152),
    "violet": (146, 92, 204),
    "blue": (66, 124, 220),
    "sky": (92, 186, 232),
    "teal": (48, 170, 164),
    "green": (92, 172, 84),
    "grey": (128, 136, 156),
}
SKINS: dict[str, Colour] = {
    "porcelain": (255, 241, 232),
    "fair": (255, 231, 214),
    "peach": (253, 218, 193),
    "tan": (231, 181, 143),
    "brown": (186, 130, 100),
}
CLOTHES_COLOURS: dict[str, Colour] = {
    "white": (240, 240, 246),
    "black": (64, 62, 76),
    "navy": (62, 76, 130),
    "red": (204, 66, 74),
    "pink": (244, 164, 186),
    "yellow": (246, 206, 96),
    "green": (92, 158, 112),
    "purple": (136, 104, 176),
}

# ---------------------------------------------------------------------------------------------------------------------
# Face and mouth.
# ---------------------------------------------------------------------------------------------------------------------

FACE_SHAPES: dict[str, str] = {
    # The right half from the chin up to the temple.
    "round": "0,0.862 0.08,0.848 0.172,0.785 0.25,0.685 0.293,0.57 0.293,0.44",
    "oval": "0,0.872 0.058,0.856 0.146,0.79 0.236,0.685 0.286,0.57 0.288,0.44",
    "pointed": "0,0.878 0.034,0.866 0.112,0.817 0.206,0.726 0.273,0.603 0.29,0.45",
    "soft_square": "0,0.866 0.088,0.853 0.167,0.802 0.238,0.70 0.279,0.57 0.284,0.44",
}
_FOREHEAD = " 0.25,0.25 0,0.12"


def face(s: Sketch, bangs: Points) -> None:
    """Paint ears, head and its shadows, blush, nose and mouth.

    Parameters
    ----------
    bangs : ndarray
        Outline of the front hair (n, 2), for its shadow on the forehead.
    """
    skin, p = s.skin, s.head
    shape = both_sides(curve(FACE_SHAPES[s.factors.face_shape] + _FOREHEAD))
    for sign in SIDES:
        ear = curve("0.265,0.53 0.305,0.50 0.325,0.54 0.308,0.62 0.27,0.66") * (sign, 1.0)
        p.fill(ear, skin.base)
        p.brush(curve("0.285,0.53 0.305,0.55 0.285,0.61") * (sign, 1.0), skin.shade, 0.02)
        p.line(ear, skin.line, closed=False)
    with p.inside(shape) as q:
        q.flood(skin.shade)
        # The lit part is the same shape, smaller and nearer to the light; the rest stays as a shaded rim.
        q.fill(moved(moved(shape, 0.0, -0.6) * (0.985, 0.975), -0.012, 0.594), skin.base)
        q.glow(-0.1, 0.60, 0.17, 0.17, skin.light, 0.5)
        if s.factors.blush != "none":
            _blush(s, q)
        q.fill(moved(bangs, 0.008, 0.032), mix(skin.base, skin.shade, 0.85))
    p.line(shape, skin.line)
    p.brush(xy("0.006,0.626 0.016,0.640 0.004,0.648"), skin.line, 0.012)
    p.glow(-0.008, 0.614, 0.016, 0.022, WHITE, 0.6)
    MOUTHS[s.factors.mouth](s, p, mix(skin.line, (150, 40, 50), 0.35))


def _blush(s: Sketch, p: Painter) -> None:
    rose = mix(s.skin.shade, (255, 96, 110), 0.55)
    for sign in SIDES:
        p.glow(0.19 * sign, 0.655, 0.105, 0.062, rose, 0.62)
    if s.factors.blush == "hatched":
        hatches = np.stack([moved(xy("0.012,-0.017 0,0 -0.012,0.017"), x, 0.657) for x in (0.156, 0.19, 0.224)])
        p.brush(np.concatenate([hatches, hatches - (0.38, 0.0)]), mix(rose, (200, 50, 60), 0.4), 0.012)


_MOUTH: Colour = (150, 52, 58)
_TONGUE: Colour = (240, 132, 128)


def _smile(s: Sketch, p: Painter, lip: Colour) -> None:
    p.brush(curve("-0.062,0.723 -0.03,0.740 0.03,0.740 0.062,0.723"), lip, 0.015)


def _open(s: Sketch, p: Painter, lip: Colour) -> None:
    shape = np.concatenate([
        curve("-0.072,0.713 0,0.723 0.072,0.713"),
        curve("0.072,0.713 0.054,0.768 0,0.792 -0.054,0.768 -0.072,0.713"),
    ])  # fmt: skip
    with p.inside(shape) as q:
        q.flood(_MOUTH)
        q.fill(ellipse(0.0, 0.792, 0.05, 0.034, n=16), _TONGUE)
        q.fill(ellipse(0.0, 0.711, 0.055, 0.022, n=16), WHITE)
    p.line(shape, lip)


def _neutral(s: Sketch, p: Painter, lip: Colour) -> None:
    p.brush(xy("-0.042,0.736 0,0.738 0.042,0.736"), lip, 0.016)
    p.brush(xy("-0.018,0.764 0,0.767 0.018,0.764"), s.skin.shade, 0.014)


def _cat(s: Sketch, p: Painter, lip: Colour) -> None:
    p.brush(curve("-0.07,0.720 -0.052,0.744 -0.022,0.746 0,0.726 0.022,0.746 0.052,0.744 0.07,0.720"), lip, 0.015)


def _round(s: Sketch, p: Painter, lip: Colour) -> None:
    shape = ellipse(0.0, 0.743, 0.03, 0.034, n=18)
    p.fill(shape, _MOUTH)
    p.fill(ellipse(0.0, 0.760, 0.019, 0.014, n=12), _TONGUE)
    p.line(shape, lip)


def _frown(s: Sketch, p: Painter, lip: Colour) -> None:
    p.brush(curve("-0.055,0.750 -0.025,0.733 0.025,0.733 0.055,0.750"), lip, 0.015)


def _smirk(s: Sketch, p: Painter, lip: Colour) -> None:
    p.brush(curve("-0.045,0.743 0,0.746 0.045,0.733 0.072,0.713"), lip, 0.015)


def _fang(s: Sketch, p: Painter, lip: Colour) -> None:
    shape = curve("-0.055,0.720 0,0.728 0.055,0.720 0.03,0.763 -0.03,0.763", closed=True)
    p.fill(shape, _MOUTH)
    p.fill(ellipse(0.0, 0.760, 0.028, 0.012, n=12), _TONGUE)
    p.fill(xy("-0.042,0.721 -0.012,0.725 -0.026,0.750"), WHITE)
    p.line(shape, lip)


MOUTHS: dict[str, Callable[[Sketch, Painter, Colour], None]] = {
    "smile": _smile,
    "open": _open,
    "neutral": _neutral,
    "cat": _cat,
    "round": _round,
    "frown": _frown,
    "smirk": _smirk,
    "fang": _fang,
}

# ---------------------------------------------------------------------------------------------------------------------
# Eyes and brows.
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Eye:
    """Eye shape.

    Attributes
    ----------
    width, height : float
        Half the size of the opening.
    upper, lower : str
        The lids in units of `width` and `height`, y down: the upper lid from the inner to the outer corner, the lower
        lid back. An eye without a lower lid is closed.
    """

    width: float
    height: float
    upper: str
    lower: str


EYE_SHAPES: dict[str, Eye] = {
    "round": Eye(
        0.102,
        0.094,
        "-0.92,0.10 -0.62,-0.62 0,-0.98 0.62,-0.76 1.0,0",
        "1.0,0 0.86,0.55 0.4,0.95 -0.3,0.95 -0.76,0.60 -0.92,0.10",
    ),
    "tall": Eye(
        0.095,
        0.108,
        "-0.94,-0.1 -0.6,-0.76 0,-0.98 0.66,-0.80 1.0,-0.18",
        "1.0,-0.18 0.92,0.5 0.45,0.93 -0.35,0.93 -0.82,0.5 -0.94,-0.1",
    ),
    "almond": Eye(
        0.104,
        0.082,
        "-1.0,0.38 -0.6,-0.5 0,-0.96 0.6,-0.82 1.04,-0.2",
        "1.04,-0.2 0.86,0.5 0.3,0.94 -0.4,0.86 -0.82,0.58 -1.0,0.38",
    ),
    "sharp": Eye(
        0.108,
        0.070,
        "-1.0,0.55 -0.5,-0.35 0.1,-0.82 0.62,-0.92 1.1,-0.62",
        "1.1,-0.62 0.9,0.2 0.4,0.86 -0.3,0.96 -0.8,0.8 -1.0,0.55",
    ),
    "droopy": Eye(
        0.102,
        0.084,
        "-0.96,-0.1 -0.6,-0.72 0,-0.92 0.6,-0.52 1.05,0.34",
        "1.05,0.34 0.9,0.76 0.4,1.0 -0.3,0.86 -0.78,0.45 -0.96,-0.1",
    ),
    "sleepy": Eye(
        0.100,
        0.078,
        "-0.98,0 -0.55,-0.3 0,-0.42 0.6,-0.34 1.04,0",
        "1.04,0 0.88,0.55 0.35,0.98 -0.35,0.96 -0.8,0.55 -0.98,0",
    ),
    "closed": Eye(0.102, 0.062, "-0.98,0.55 -0.55,-0.35 0,-0.7 0.55,-0.4 1.02,0.6", ""),
}
EYE_X, EYE_Y = 0.178, 0.525


def eyes(s: Sketch) -> None:
    """Paint both eyes."""
    f, p = s.factors, s.head
    eye = EYE_SHAPES[f.eye_shape]
    width, height = eye.width * f.eye_size, eye.height * f.eye_size
    ink = mix(s.hair.line, (44, 26, 34), 0.72)
    upper = moved(curve(eye.upper) * (width, height), EYE_X, EYE_Y + 0.012)
    p.brush(pair(moved(upper[4:-3], 0.0, -0.026)), s.skin.line, 0.009)
    if eye.lower:
        lower = moved(curve(eye.lower) * (width, height), EYE_X, EYE_Y + 0.012)
        white = np.concatenate([upper, lower])
        with p.inside(white, white * MIRROR) as q:
            q.flood((252, 248, 248))
            q.fill(pair(np.concatenate([upper, moved(upper, 0.0, 0.04)[::-1]])), (206, 202, 220))
            _irises(s, q, s.factors.eye_size * 0.044 + 0.54 * height)
        p.brush(pair(moved(lower[3:16], 0.0, 0.003)), mix(ink, s.skin.line, 0.45), 0.012)
    # The line of the lashes gets thicker outwards and ends in a point.
    tip = moved(upper[-1:], 0.014, 0.006 if f.eye_shape in ("droopy", "closed") else -0.008)
    p.brush(pair(np.concatenate([upper, tip])), ink, 0.037, "lash")
    flicks = np.stack([moved(xy("0,0 0.020,-0.007 0.029,-0.023"), *upper[at]) for at in (-5, -2)])
    p.brush(np.concatenate([flicks, flicks * MIRROR]), ink, 0.016, "fade")


def _irises(s: Sketch, p: Painter, ry: float) -> None:
    """Irises, pupils and reflections. The eyes mirror each other; the reflections and the gaze do not."""
    colour = EYE_COLOURS[s.factors.eye_colour]
    dark, deep, bright = scaled(colour, 0.24, 0.20, 0.32), scaled(colour, 0.44, 0.40, 0.52), mix(colour, WHITE, 0.40)
    look = 0.018 * s.factors.gaze
    middles = np.array([[[EYE_X - 0.004 + look, EYE_Y + 0.002]], [[0.004 - EYE_X + look, EYE_Y + 0.002]]])
    rx = ry * 0.87
    p.fill(ellipse(0.0, 0.0, rx, ry) + middles, dark)
    rx, ry = rx - 0.007, ry - 0.007
    p.fill(ellipse(0.0, 0.0, rx, ry) + middles, bright)
    # The iris is dark above and bright below: bands from bright to dark, each ending higher than the one before.
    for share, angle in ((0.0, -48), (0.35, -24), (0.7, 0), (1.0, 22)):
        band = ellipse(0.0, 0.0, rx, ry, 180 + angle, 360 - angle, 18)
        p.fill(band + middles, mix(mix(bright, colour, 0.75), deep, share))
    p.fill(ellipse(0.0, 0.0, rx, ry, 224, 316, 14) + middles, dark)
    p.fill(ellipse(0.0, -0.06 * ry, rx * 0.42, ry * 0.40, n=18) + middles, dark)
    p.brush(ellipse(0.0, 0.0, rx * 0.72, ry * 0.76, 35, 145, 12) + middles, mix(bright, WHITE, 0.35), 0.016)
    p.fill(ellipse(rx * -0.38, ry * -0.44, rx * 0.36, ry * 0.27, n=16) + middles, WHITE)
    p.fill(ellipse(rx * 0.42, ry * 0.42, rx * 0.19, ry * 0.15, n=12) + middles, WHITE)


BROWS: dict[str, str] = {
    # Points of the right brow, from its inner to its outer end.
    "arched": "0.103,0.417 0.168,0.389 0.228,0.393 0.270,0.421",
    "flat": "0.098,0.405 0.158,0.401 0.218,0.405 0.266,0.413",
    "raised": "0.108,0.387 0.168,0.357 0.228,0.365 0.266,0.397",
    "worried": "0.103,0.375 0.158,0.385 0.218,0.409 0.266,0.435",
    "angry": "0.096,0.439 0.158,0.413 0.218,0.387 0.273,0.383",
}


def brows(s: Sketch) -> None:
    """Paint the brows, over the bangs: drawn faces usually show them there, since they carry the expression."""
    s.head.brush(pair(curve(BROWS[s.factors.brow])), mix(s.hair.line, s.hair.shade, 0.25), 0.017)


# ---------------------------------------------------------------------------------------------------------------------
# Body and clothes.
# ---------------------------------------------------------------------------------------------------------------------


def body(s: Sketch) -> None:
    """Paint neck, shoulders and clothes."""
    p, skin = s.still, s.skin
    neck = curve("0.088,0.76 0.085,0.88 0.105,0.955 0.25,1.02 0.5,1.08")
    p.fill(np.concatenate([mirrored(neck), neck, xy("0.5,1.3 -0.5,1.3")]), skin.base)
    p.fill(xy("-0.088,0.78 0.088,0.78 0.086,0.89 0.02,0.94 -0.085,0.90"), skin.shade)
    p.line(neck, skin.line, closed=False)
    p.line(mirrored(neck), skin.line, closed=False)
    CLOTHES[s.factors.clothes](s)


def _shoulders(s: Sketch, cloth: Tones, neckline: str) -> None:
    """A garment that covers the shoulders; `neckline` is given from the middle outwards."""
    right = np.concatenate([curve(neckline), curve("0.2,0.985 0.36,1.02 0.62,1.14"), xy("0.62,1.4")])
    shape = both_sides(right)
    s.still.fill(shape, cloth.base)
    s.still.fill(xy("0.14,1.03 0.62,1.1 0.62,1.4 0.2,1.4"), cloth.shade)
    s.still.line(shape, cloth.line)


def _wings(s: Sketch, right: Points, cloth: Tones) -> None:
    """A shape in the shade and its mirror image in the light, for collars and hoods."""
    s.still.shape(right * MIRROR, cloth)
    s.still.shape(right, cloth._replace(base=mix(cloth.base, cloth.shade, 0.5)))


def _bow(p: Painter, x: float, y: float, r: float, cloth: Tones) -> None:
    for sign in SIDES:
        loop = curve("0.1,0 0.75,-0.62 1.15,-0.35 1.1,0.4 0.7,0.6", closed=True) * (r * sign, r)
        p.shape(moved(loop, x, y), cloth)
        p.brush(moved(xy("0.25,0.02 0.55,0.1 0.9,0.25") * (r * sign, r), x, y), cloth.shade, r * 0.4)
    p.shape(ellipse(x, y, r * 0.28, r * 0.3, n=16), cloth._replace(base=cloth.light))


def _sailor(s: Sketch) -> None:
    _shoulders(s, tones((246, 246, 250)), "0,1.12 0.06,1.0 0.12,0.95")
    _wings(s, xy("0.09,0.905 0.16,0.92 0.44,1.05 0.32,1.2 0.03,1.15 0.10,1.0"), s.clothes)
    s.still.brush(pair(xy("0.155,0.955 0.27,1.02 0.33,1.08")), WHITE, 0.016, "even")
    _bow(s.still, 0.0, 1.04, 0.1, tones(mix(s.clothes.base, (230, 60, 80), 0.6)))


def _shirt(s: Sketch) -> None:
    _shoulders(s, s.clothes, "0,1.1 0.06,1.0 0.12,0.95")
    _wings(s, xy("0.088,0.885 0.125,0.92 0.17,1.01 0.075,1.05 0.005,0.975"), tones((250, 250, 252)))
    _bow(s.still, 0.0, 0.99, 0.065, tones(scaled(s.clothes.base, 0.8, 0.7, 0.8)))


def _hoodie(s: Sketch) -> None:
    _shoulders(s, s.clothes, "0,1.06 0.07,1.0 0.12,0.95")
    hood = "0.095,0.90 0.2,0.865 0.29,0.93 0.24,1.02 0.1,1.09 0,1.1 0.03,1.04 0.09,0.98"
    _wings(s, curve(hood, closed=True), s.clothes)
    s.still.brush(pair(xy("0.05,1.03 0.065,1.08 0.06,1.2")), WHITE, 0.018, "even")


def _turtleneck(s: Sketch) -> None:
    _shoulders(s, s.clothes, "0,0.97 0.06,0.965 0.12,0.95")
    band = both_sides(curve("0,0.915 0.06,0.908 0.108,0.885 0.122,0.945 0.116,0.985 0,1.01"))
    s.still.fill(band, s.clothes.base)
    s.still.brush(pair(curve("0.02,0.965 0.07,0.958 0.11,0.935")), s.clothes.shade, 0.022)
    s.still.line(band, s.clothes.line)


def _kimono(s: Sketch) -> None:
    _shoulders(s, s.clothes, "0,1.09 0.07,0.99 0.13,0.93")
    _wings(s, xy("0.085,0.905 0.115,0.895 0.02,1.10 -0.015,1.06"), tones((250, 246, 240)))
    _wings(s, xy("0.115,0.895 0.17,0.915 0.08,1.16 0.015,1.12"), tones(mix(s.clothes.base, (255, 236, 180), 0.55)))


def _camisole(s: Sketch) -> None:
    p, top = s.still, both_sides(curve("0,1.06 0.12,1.05 0.2,1.03 0.3,1.09 0.4,1.4"))
    p.brush(pair(xy("0.175,0.975 0.19,1.02 0.2,1.08")), s.clothes.base, 0.03, "even")
    p.shape(top, s.clothes)
    p.shape(both_sides(curve("0,0.950 0.05,0.945 0.092,0.922 0.096,0.952 0.05,0.978 0,0.983")), s.clothes)


CLOTHES: dict[str, Callable[[Sketch], None]] = {
    "sailor": _sailor,
    "shirt": _shirt,
    "hoodie": _hoodie,
    "turtleneck": _turtleneck,
    "kimono": _kimono,
    "camisole": _camisole,
}

# ---------------------------------------------------------------------------------------------------------------------
# Ornaments, in the clothes' colour.
# ---------------------------------------------------------------------------------------------------------------------


def _glasses(s: Sketch) -> None:
    p, frame = s.head, mix(s.clothes.line, (60, 40, 50), 0.5)
    lens = curve("0.063,0.50 0.103,0.455 0.253,0.455 0.293,0.50 0.263,0.63 0.178,0.655 0.093,0.63", closed=True)
    for sign in SIDES:
        p.line(lens * (sign, 1.0), frame, 0.015)
        p.brush(moved(xy("-0.07,0.50 -0.078,0.53 -0.075,0.57"), sign * EYE_X, 0.0), WHITE, 0.014)
    p.brush(xy("-0.062,0.515 0,0.50 0.062,0.515"), frame, 0.015, "even")


def _hairpin(s: Sketch) -> None:
    pin = xy("0.165,0.245 0.26,0.275 0.254,0.305 0.16,0.275")
    s.head.shape(pin, s.clothes)
    s.head.shape(moved(pin, 0.008, 0.048), tones((255, 222, 120)))


def _ribbon(s: Sketch) -> None:
    _bow(s.head, 0.27, 0.125, 0.125, s.clothes)


def _headband(s: Sketch) -> None:
    top = curve("0.402,0.335 0.388,0.215 0.325,0.085 0.20,0 0,-0.03")
    low = curve("0,0.06 0.165,0.082 0.282,0.155 0.355,0.255 0.402,0.335")
    band = np.concatenate([both_sides(top), mirrored(low), low])
    s.head.fill(band, s.clothes.base)
    s.head.brush(curve("-0.30,0.13 -0.20,0.05 -0.05,0.015"), s.clothes.light, 0.024)
    s.head.line(band, s.clothes.line)


def _flower(s: Sketch) -> None:
    x, y = -0.27, 0.205
    petals = s.clothes._replace(base=mix(s.clothes.base, WHITE, 0.3))
    for k in range(5):
        angle = math.radians(72 * k - 90)
        s.head.shape(ellipse(x + 0.052 * math.cos(angle), y + 0.052 * math.sin(angle), 0.047, 0.047, n=16), petals)
    s.head.fill(ellipse(x, y, 0.032, 0.032, n=16), (255, 216, 104))


def _cat_ears(s: Sketch) -> None:
    ear = np.concatenate([curve("0.14,0.07 0.235,-0.005 0.365,-0.035"), curve("0.365,-0.035 0.40,0.09 0.37,0.22")])
    for sign in SIDES:
        s.head.fill(ear * (sign, 1.0), s.hair.base)
        s.head.fill(moved(moved(ear, -0.28, -0.08) * 0.6, 0.293, 0.08) * (sign, 1.0), (246, 176, 176))
        s.head.line(ear * (sign, 1.0), s.hair.line, closed=False)


def _nothing(s: Sketch) -> None:
    pass


ACCESSORIES: dict[str, Callable[[Sketch], None]] = {
    "none": _nothing,
    "glasses": _glasses,
    "hairpin": _hairpin,
    "ribbon": _ribbon,
    "headband": _headband,
    "flower": _flower,
    "cat_ears": _cat_ears,
}
UNDER_HAIR = ("glasses",)
"""Ornaments that are painted before the front hair, which covers part of them."""

# ---------------------------------------------------------------------------------------------------------------------
# Backgrounds.
# ---------------------------------------------------------------------------------------------------------------------


def _white(canvas: Image.Image, tint: Colour, pale: Colour) -> None:
    pass


def _plain(canvas: Image.Image, tint: Colour, pale: Colour) -> None:
    canvas.paste(tint, (0, 0, *canvas.size))


def _gradient(canvas: Image.Image, tint: Colour, pale: Colour) -> None:
    ramp = np.linspace(pale, scaled(tint, 0.82, 0.82, 0.9), canvas.height).astype(np.uint8)
    canvas.paste(Image.fromarray(ramp[:, None]).resize(canvas.size, Image.Resampling.NEAREST))


def _dots(canvas: Image.Image, tint: Colour, pale: Colour) -> None:
    canvas.paste(pale, (0, 0, *canvas.size))
    draw, step = ImageDraw.Draw(canvas), canvas.width / 6
    r = step * 0.22
    for row in range(7):
        for column in range(7):
            x, y = (column + row % 2 / 2) * step, row * step
            draw.ellipse((x - r, y - r, x + r, y + r), fill=tint)


def _stripes(canvas: Image.Image, tint: Colour, pale: Colour) -> None:
    canvas.paste(pale, (0, 0, *canvas.size))
    draw, n = ImageDraw.Draw(canvas), canvas.width
    for k in range(-4, 8, 2):
        x = k * n / 8
        draw.polygon((x, 0, x + n / 8, 0, x + n * 5 / 8, n, x + n / 2, n), fill=tint)


def _bokeh(canvas: Image.Image, tint: Colour, pale: Colour) -> None:
    n = canvas.width
    canvas.paste(scaled(tint, 0.9, 0.9, 0.95), (0, 0, n, n))
    for k, (x, y) in enumerate(xy("0.02,0.15 0.97,0.08 0.08,0.55 0.94,0.45 0.03,0.9 0.98,0.82 0.4,0").tolist()):
        width = round(n * (0.16 + 0.06 * (k % 3)))
        left, top = round(n * x - width / 2), round(n * y - width / 2)
        canvas.paste(WHITE, (left, top, left + width, top + width), glow_mask(width, width, 0.9))


BACKGROUNDS: dict[str, Callable[[Image.Image, Colour, Colour], None]] = {
    "white": _white,
    "plain": _plain,
    "gradient": _gradient,
    "dots": _dots,
    "stripes": _stripes,
    "bokeh": _bokeh,
}


def background(canvas: Image.Image, kind: str, hue: float) -> None:
    """Cover a white canvas with a background in pastel shades of a hue, 0 to 1."""
    red, green, blue = (round(255 * v) for v in colorsys.hls_to_rgb(hue, 0.86, 0.55))
    tint = (red, green, blue)
    BACKGROUNDS[kind](canvas, tint, mix(tint, WHITE, 0.55))
