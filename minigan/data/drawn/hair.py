"""The hair of the drawn faces: behind the head, over the forehead, and the light on it.

A hair style (`HAIRS`) is the back hair with the locks in front of the ears. The front hair (`BANGS`) is chosen
independently, so every style occurs with every kind of bangs. Shapes are given for the right half and mirrored. A
face's strand numbers shift tips and notches, so no two heads are equal, and neither are the two halves of one.
Everything is drawn by `painter`, in the order that `faces.render_face` sets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigan.data.drawn.painter import (
    MIRROR,
    SIDES,
    Colour,
    Painter,
    Points,
    Sketch,
    both_sides,
    curve,
    ellipse,
    locks,
    mirrored,
    mix,
    moved,
    pair,
    quadratic,
    quadratics,
    smooth,
    splines,
    strands,
    xy,
)

HAIR_COLOURS: dict[str, Colour] = {
    "black": (56, 52, 68),
    "brown": (110, 74, 60),
    "chestnut": (176, 106, 70),
    "orange": (232, 142, 82),
    "blond": (246, 212, 120),
    "cream": (240, 224, 194),
    "silver": (206, 208, 222),
    "red": (196, 62, 66),
    "pink": (246, 160, 184),
    "purple": (150, 116, 186),
    "navy": (70, 84, 138),
    "blue": (104, 160, 222),
    "aqua": (140, 214, 212),
    "green": (112, 174, 116),
}

# ---------------------------------------------------------------------------------------------------------------------
# Back hair.
# ---------------------------------------------------------------------------------------------------------------------


def _mass(s: Sketch, outer: str, edge: str, hollow: float) -> None:
    """Hair that hangs behind the head.

    Parameters
    ----------
    outer, edge : str
        Right half of the silhouette from the top of the head down, then its tips and notches inwards.
    hollow : float
        How far down the dark area behind the neck reaches.
    """
    p, hair = s.still, s.hair
    silhouette = curve(outer)
    sides, ends = [], []
    for sign, start in ((1.0, 0), (-1.0, 11)):
        chain = np.concatenate([silhouette[-1:], xy(edge) + s.jitter(start, len(xy(edge)), 0.018)])
        sides.append(np.concatenate([silhouette, locks(chain).reshape(-1, 2)]) * (sign, 1.0))
        ends.append(chain[2::2] * (sign, 1.0))
    shape = np.concatenate([sides[0], sides[1][::-1]])
    p.fill(shape, mix(hair.base, hair.shade, 0.45))
    p.glow(0.0, hollow - 0.26, 0.36, hollow - 0.58, mix(hair.shade, hair.line, 0.45), 0.95)
    notches = np.concatenate(ends)
    up = notches * (0.9, 0.0) + np.array([0.0, 0.4])
    p.brush(quadratics(notches, notches * (1.02, 0.5) + np.array([0.0, 0.2]), up), hair.line, 0.014, "fade")
    p.line(shape, hair.line)


def _long(s: Sketch) -> None:
    edge = "0.495,0.93 0.44,0.86 0.455,1.12 0.385,0.95 0.34,1.15 0.26,0.98 0.16,1.15"
    _mass(s, "0,0.02 0.2,0.05 0.345,0.17 0.42,0.42 0.435,0.66", edge, 1.02)


def _hime(s: Sketch) -> None:
    edge = "0.44,1.12 0.40,1.02 0.37,1.12 0.33,1.0 0.28,1.12 0.22,1.0 0.14,1.12"
    _mass(s, "0,0.02 0.2,0.05 0.345,0.17 0.41,0.42 0.425,0.75", edge, 1.02)


def _bob(s: Sketch) -> None:
    edge = "0.335,0.875 0.335,0.79 0.245,0.895 0.22,0.80 0.14,0.88 0.08,0.80"
    _mass(s, "0,0.02 0.2,0.05 0.36,0.17 0.44,0.42 0.45,0.62", edge, 0.86)


def _pixie(s: Sketch) -> None:
    edge = "0.445,0.62 0.37,0.57 0.375,0.71 0.30,0.64 0.255,0.79 0.17,0.70 0.1,0.77"
    _mass(s, "0,0.02 0.2,0.05 0.345,0.17 0.415,0.36 0.405,0.48", edge, 0.78)


def _cap(s: Sketch) -> None:
    """Hair drawn close to the skull, for styles that tie it up."""
    _mass(s, "0,0.02 0.2,0.05 0.335,0.17 0.378,0.34 0.35,0.48", "0.275,0.60 0.2,0.56 0.1,0.60", 0.6)


def _nape(s: Sketch) -> None:
    """Hair gathered low, for styles that tie it at the neck."""
    _mass(s, "0,0.02 0.2,0.05 0.345,0.17 0.41,0.38 0.405,0.56", "0.335,0.79 0.2,0.70 0.1,0.76", 0.72)


def _spiky(s: Sketch) -> None:
    p, hair = s.still, s.hair
    right = xy(
        "0,-0.04 0.15,-0.095 0.16,-0.03 0.385,0.045 0.335,0.065 0.475,0.245 0.40,0.25 0.50,0.445 0.405,0.435 0.46,0.64"
        " 0.365,0.60 0.345,0.79 0.26,0.69 0.2,0.80 0.1,0.7"
    )
    sides = []
    for sign, start in ((1.0, 3), (-1.0, 12)):
        spikes = right + s.jitter(start, len(right), 0.02)
        a, b = spikes[:-1], spikes[1:]
        # The upper edge of a tuft is curved outwards, the lower one inwards, like a leaf and not like a saw.
        bulge = np.where(np.arange(len(a)) % 2, -0.06, 0.06)[:, None]
        middle = (a + b) / 2
        sides.append(quadratics(a, middle + moved(middle, 0.0, -0.35) * bulge, b).reshape(-1, 2) * (sign, 1.0))
    shape = np.concatenate([sides[1][::-1], sides[0]])
    p.fill(shape, mix(hair.base, hair.shade, 0.3))
    p.fill(ellipse(0.0, 0.56, 0.3, 0.2), mix(hair.shade, hair.line, 0.25))
    notches = np.concatenate([right[2::2], right[2::2] * MIRROR])
    p.brush(quadratics(notches, notches * (0.86, 0.92), notches * (0.7, 0.85)), hair.line, 0.014, "fade")
    p.line(shape, hair.line)


def _wavy(s: Sketch) -> None:
    p, hair = s.still, s.hair
    right = (
        "0,0.02 0.2,0.05 0.345,0.15 0.42,0.32 0.415,0.43 0.47,0.53 0.445,0.65 0.505,0.76 0.47,0.88 0.52,1.02"
        " 0.4,1.1 0,1.1"
    )
    shape = both_sides(curve(right))
    p.fill(shape, mix(hair.base, hair.shade, 0.45))
    p.glow(0.0, 0.76, 0.40, 0.42, mix(hair.shade, hair.line, 0.45), 0.95)
    for curl in (
        "0.42,0.46 0.468,0.58 0.422,0.71 0.488,0.84 0.44,1.03",
        "0.365,0.46 0.359,0.58 0.421,0.71 0.379,0.84 0.385,1.03",
        "0.31,0.46 0.354,0.58 0.316,0.71 0.374,0.84 0.33,1.03",
    ):
        p.brush(pair(curve(curl)), hair.line, 0.014)
    p.line(shape, hair.line)


def _tail(s: Sketch, spine: Points, half: Points, start: int, *, front: bool = False) -> None:
    """Hair tied to a tail.

    Parameters
    ----------
    spine : ndarray
        (n, 2) control points from the tie to the tip.
    half : ndarray
        (n, 2) half widths at these points; both columns are equal.
    start : int
        Index of the first strand number that bends it.
    front : bool
        Whether it is lit from the front and not behind the head.
    """
    p, hair = s.still, s.hair
    middle = smooth(spine + s.jitter(start, len(spine), 0.01))
    along = np.gradient(middle, axis=0)
    across = along[:, ::-1] * MIRROR / np.sqrt((along**2).sum(axis=1, keepdims=True)) * smooth(half)
    shape = np.concatenate([middle + across, (middle - across)[::-1]])
    n = len(middle)
    p.fill(shape, hair.base if front else mix(hair.base, hair.shade, 0.25))
    p.brush(np.stack([middle + across * at for at in (-0.45, 0.15)])[:, : n * 4 // 5], hair.line, 0.012)
    p.brush((middle + across * 0.55)[: n * 4 // 5], hair.shade, 0.018)
    p.brush((middle - across * 0.1)[n // 5 : n // 2], hair.light, 0.014)
    p.line(shape, hair.line)


def _widths(text: str) -> Points:
    """Half widths written as "a b c", as an array (n, 2) of two equal columns."""
    return np.repeat(np.array(text.split(), dtype=np.float64)[:, None], 2, axis=1)


_TAIL, _LOW_TAIL = _widths("0.03 0.075 0.09 0.085 0.06 0"), _widths("0.04 0.055 0.075 0.06")


def _bobble(s: Sketch, x: float, y: float, r: float) -> None:
    """The band that holds a tail, in the clothes' colour."""
    s.still.shape(ellipse(x, y, r, r * 0.85, n=18), s.clothes)
    s.still.fill(ellipse(x - r * 0.25, y - r * 0.25, r * 0.4, r * 0.3, n=10), s.clothes.light)


def _twintails(s: Sketch) -> None:
    spine = xy("0.34,0.15 0.42,0.13 0.475,0.30 0.475,0.58 0.445,0.82 0.46,1.04")
    for sign, start in ((1.0, 5), (-1.0, 14)):
        _tail(s, spine * (sign, 1.0), _TAIL, start)
    _cap(s)


def _twintails_front(s: Sketch) -> None:
    for sign in SIDES:
        _bobble(s, sign * 0.365, 0.145, 0.042)


def _ponytail(s: Sketch) -> None:
    _tail(s, xy("0.10,0 0.27,-0.05 0.41,0.07 0.46,0.33 0.435,0.60 0.46,0.88"), _TAIL, 5)
    _cap(s)


def _side_tail(s: Sketch) -> None:
    _cap(s)
    _tail(s, xy("-0.33,0.33 -0.41,0.35 -0.45,0.5 -0.43,0.72 -0.39,0.88 -0.41,1.05"), _TAIL, 7, front=True)


def _side_tail_front(s: Sketch) -> None:
    _bobble(s, -0.385, 0.33, 0.044)


def _low_twintails_front(s: Sketch) -> None:
    for sign, start in ((1.0, 5), (-1.0, 14)):
        _tail(s, xy("0.33,0.70 0.36,0.80 0.395,0.91 0.38,1.1") * (sign, 1.0), _LOW_TAIL, start, front=True)
        _bobble(s, sign * 0.342, 0.735, 0.038)


def _braids_front(s: Sketch) -> None:
    p, hair = s.still, s.hair
    for k in range(6):
        # Plaits lean inwards and outwards in turn; each covers the one before it.
        inwards = -1 if k % 2 else 1
        x, y = 0.335 + 0.012 * k - 0.014 * inwards, 0.70 + 0.066 * k
        plait = ellipse(0.0, 0.0, 0.06, 0.042, n=20)
        plait[:, 1] += plait[:, 0] * 0.5 * inwards
        for sign in SIDES:
            p.shape(moved(plait, x, y) * (sign, 1.0), hair)
        p.brush(pair(moved(plait[10:15] * 0.6, x, y)), hair.light, 0.014)


def _buns(s: Sketch) -> None:
    p, hair = s.still, s.hair
    for sign in SIDES:
        x, y = 0.315 * sign, 0.055
        p.shape(ellipse(x, y, 0.115, 0.105), hair)
        p.fill(ellipse(x + 0.02, y + 0.03, 0.085, 0.07), hair.shade)
        p.fill(ellipse(x - 0.005, y, 0.085, 0.075), hair.base)
        p.brush(ellipse(x - 0.01, y, 0.07, 0.06, 190, 330), hair.light, 0.02)
        p.brush(ellipse(x, y + 0.01, 0.055, 0.05, -20, 200), hair.line, 0.012)
    _cap(s)


@dataclass(frozen=True)
class Hair:
    """One hair style.

    Attributes
    ----------
    back, front : callable
        Paint the hair behind the head and the hair in front of the shoulders.
    side : tuple of float
        Tip (x, y) of the lock in front of the ear.
    volume : float
        Widens the cap of hair over the skull.
    tuft : float
        Length of the stray tufts beside it; 0 for none.
    blunt : bool
        Whether the side locks are cut straight.
    """

    back: Callable[[Sketch], None]
    front: Callable[[Sketch], None] | None
    side: tuple[float, float]
    volume: float = 1.0
    tuft: float = 0.0
    blunt: bool = False


HAIRS: dict[str, Hair] = {
    "long": Hair(_long, None, (0.315, 0.86), tuft=0.10),
    "hime": Hair(_hime, None, (0.305, 0.74), blunt=True),
    "bob": Hair(_bob, None, (0.31, 0.78), volume=1.05),
    "pixie": Hair(_pixie, None, (0.315, 0.60), tuft=0.13),
    "spiky": Hair(_spiky, None, (0.32, 0.60)),
    "wavy": Hair(_wavy, None, (0.34, 0.80), volume=1.03, tuft=0.08),
    "twintails": Hair(_twintails, _twintails_front, (0.305, 0.74), volume=0.97),
    "low_twintails": Hair(_nape, _low_twintails_front, (0.315, 0.66), tuft=0.08),
    "ponytail": Hair(_ponytail, None, (0.30, 0.72), volume=0.97),
    "side_tail": Hair(_side_tail, _side_tail_front, (0.305, 0.66), volume=0.97),
    "buns": Hair(_buns, None, (0.30, 0.78), volume=0.97),
    "braids": Hair(_nape, _braids_front, (0.31, 0.62)),
}

# ---------------------------------------------------------------------------------------------------------------------
# Front hair.
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bangs:
    """The lower edge of the front hair.

    Attributes
    ----------
    part : float
        The x at the top of the head from which the strands start.
    sway : float
        Leans the locks to one side.
    edge : ndarray
        (n, 2) from left to right: notch, tip, notch, ..., tip, notch.
    """

    part: float
    sway: float
    edge: Points


_BLUNT = xy(
    "-0.262,0.36 -0.225,0.425 -0.18,0.375 -0.145,0.425 -0.095,0.37 -0.055,0.42 -0.02,0.375 0.03,0.42"
    " 0.075,0.365 0.12,0.42 0.17,0.375 0.22,0.425 0.262,0.36"
)
_RAGGED = xy(
    "-0.262,0.36 -0.225,0.47 -0.175,0.34 -0.115,0.45 -0.065,0.32 -0.005,0.455 0.045,0.31 0.095,0.42"
    " 0.135,0.33 0.205,0.46 0.262,0.36"
)
_CROSSED = xy(
    "-0.262,0.36 -0.22,0.49 -0.165,0.31 -0.125,0.42 -0.07,0.28 0.01,0.575 0.06,0.28 0.125,0.42"
    " 0.165,0.31 0.225,0.49 0.262,0.36"
)
_PARTED = xy(
    "-0.262,0.36 -0.258,0.54 -0.215,0.37 -0.195,0.455 -0.15,0.30 -0.14,0.36 0,0.12 0.14,0.36"
    " 0.15,0.30 0.195,0.455 0.215,0.37 0.258,0.54 0.262,0.36"
)
_SWEPT = xy(
    "-0.262,0.36 -0.268,0.55 -0.205,0.36 -0.21,0.495 -0.125,0.31 -0.135,0.445 -0.03,0.24 -0.02,0.365"
    " 0.125,0.12 0.235,0.42 0.262,0.36"
)
_SPIKY = xy("-0.262,0.36 -0.215,0.50 -0.15,0.27 -0.055,0.475 -0.02,0.25 0.09,0.50 0.11,0.28 0.21,0.46 0.262,0.36")

BANGS: dict[str, Bangs] = {
    "blunt": Bangs(0.0, 0.0, _BLUNT),
    "ragged": Bangs(0.03, -0.01, _RAGGED),
    "crossed": Bangs(0.02, 0.01, _CROSSED),
    "parted": Bangs(0.0, 0.0, _PARTED),
    "swept_left": Bangs(0.13, -0.03, _SWEPT),
    "swept_right": Bangs(-0.13, 0.03, mirrored(_SWEPT)),
    "spiky": Bangs(-0.04, 0.015, _SPIKY),
}


def front_outline(s: Sketch) -> tuple[Points, Points]:
    """Outline of the front hair (n, 2) and its lower edge, left to right, as curves (k, STEPS, 2)."""
    bangs, style = BANGS[s.factors.bangs], HAIRS[s.factors.hair_style]
    edge = bangs.edge.copy()
    edge[1::2] += s.jitter(0, len(edge) // 2, 0.014)
    wide, (x, y) = 0.398 * style.volume, style.side
    if style.blunt:
        side = np.array([(wide, 0.44), (x + 0.055, y), (x - 0.04, y + 0.004)])
    else:
        side = np.array([(wide, 0.42), (x + 0.042, y - 0.10), (x + 0.026, y - 0.17), (x, y)])
        side[1:] += s.jitter(17, 3, 0.012)
    lower = locks(np.concatenate([side * MIRROR, edge, side[::-1]]), bangs.sway)
    cap = [side[0], (wide * 0.99, 0.27), (wide * 0.83, 0.105), (wide * 0.47, 0.0), (0.0, -0.028)]
    return np.concatenate([lower.reshape(-1, 2), both_sides(smooth(np.array(cap)))]), lower


def back_hair(s: Sketch) -> None:
    """Paint the hair behind the head."""
    HAIRS[s.factors.hair_style].back(s)


def front_hair(s: Sketch, outline: Points, lower: Points) -> None:
    """Paint the hair on the skull, bangs and side locks as one piece, then the hair in front of the shoulders.

    Parameters
    ----------
    outline, lower : ndarray
        As `front_outline` returns them.
    """
    style, bangs, hair = HAIRS[s.factors.hair_style], BANGS[s.factors.bangs], s.hair
    if style.tuft:
        _tufts(s, 0.398 * style.volume, style.tuft)
    with s.head.inside(outline) as p:
        p.flood(hair.base)
        p.glow(-0.14, 0.10, 0.32, 0.24, hair.light, 0.45)
        p.glow(0.36, 0.40, 0.20, 0.42, hair.shade, 0.7)
        _shade_locks(s, p, lower)
        _ring(s, p)
        streak = quadratic((0.352, 0.36), (0.35, 0.47), (0.338, 0.58))
        p.brush(pair(streak), mix(hair.base, hair.light, 0.45), 0.018)
    s.head.line(outline, hair.line)
    # A few single strands cross forehead and eyes, so the row of locks looks less regular.
    loose = s.some(20, 4)
    x = loose * 0.05 + (-0.21, -0.10, 0.11, 0.21)
    y = 0.47 + 0.06 * s.some(25, 4)
    roots = np.stack([x * 0.9 + bangs.part * 0.1, np.full(4, 0.14)], axis=1)
    middles = np.stack([x * 1.06, (y + 0.33) / 2], axis=1)
    tips = np.stack([x + bangs.sway + 0.02 * loose, y], axis=1)
    s.head.brush(quadratics(roots, middles, tips), mix(hair.shade, hair.line, 0.3), 0.015)
    if s.factors.ahoge == "yes":
        _ahoge(s, bangs.part)
    if style.front:
        style.front(s)


_FINE_ROOTS = np.array([(x, 0.36 + 0.3 * x * x) for x in (-0.3, -0.21, -0.14, -0.04, 0.07, 0.17, 0.24, 0.31)])


def _shade_locks(s: Sketch, p: Painter, lower: Points) -> None:
    """Give every lock a shaded side, and draw the strands that run from the notches to the crown."""
    hair, part = s.hair, BANGS[s.factors.bangs].part
    rising = lower[1:-1:2]
    tips, notches = rising[:, 0], rising[:, -1]
    reach = 0.55 + 0.2 * s.some(0, len(notches))
    lines = strands(notches, part, reach)
    # From the start of a lock's strand down along the lock's right edge, and back up inside the lock.
    back = splines(tips, tips * (0.6, 0.5) + notches * (0.4, 0.5) - (0.03, 0.0), notches - (0.03, 0.06), lines[:, 3])
    p.fill(np.concatenate([lines[:, 3::-1], rising[:, ::-1], back], axis=1), hair.shade)
    p.brush(strands(_FINE_ROOTS, part, reach[:1] + 0.1)[:, 1:], mix(hair.base, hair.shade, 0.55), 0.012)
    p.brush(lines, hair.line, 0.013, "fade")


# The highlight has three pieces: positions along the hairline and heights towards the top. Its ends are pointed.
_RING_PARTS = (slice(0, 9), slice(9, 16), slice(16, 19))
_RING_U = np.concatenate([np.linspace(-0.86, -0.18, 9), np.linspace(-0.08, 0.32, 7), np.linspace(0.58, 0.78, 3)])
_RING_ROOTS = np.stack([_RING_U * 0.33, 0.34 + 0.09 * _RING_U**2], axis=1)
_RING_TEETH = np.ones(19)
_RING_TEETH[[0, 8, 9, 15, 16, 18]] = 0.0
_RING_LOW = np.where(_RING_TEETH == 0, 0.46, np.tile([0.38, 0.26], 10)[:19])
_RING_HIGH = np.where(_RING_TEETH == 0, 0.46, np.tile([0.50, 0.56], 10)[:19])


def _ring(s: Sketch, p: Painter) -> None:
    """Paint the highlight around the head; its jagged edge follows the strands."""
    part = BANGS[s.factors.bangs].part
    uneven = s.some(9, len(_RING_ROOTS)) * 0.05 * _RING_TEETH + 0.05 * s.numbers[-1]
    low = strands(_RING_ROOTS, part, _RING_LOW + uneven)[:, -1]
    high = strands(_RING_ROOTS, part, _RING_HIGH + uneven)[:, -1]
    for piece in _RING_PARTS:
        p.fill(np.concatenate([low[piece], high[piece][::-1]]), s.hair.light)


def _tufts(s: Sketch, wide: float, length: float) -> None:
    """Loose tufts at the sides, so that the hair does not look like a helmet."""
    for sign, start in ((1.0, 21), (-1.0, 27)):
        nudge = s.jitter(start, 2, 0.03)
        for k, top in enumerate((0.16, 0.30)):
            tip = (wide + 0.035 + 0.015 * k + nudge[k, 0], 0.34 + 0.13 * k + length + nudge[k, 1])
            outer = quadratic((wide * (0.93, 0.99)[k], top), (wide + 0.03, top + 0.1), tip)
            inner = quadratic(tip, (wide, top + 0.2), (wide - 0.06, top + 0.2))
            tuft = np.concatenate([outer, inner]) * (sign, 1.0)
            s.still.fill(tuft, s.hair.base)
            s.still.line(tuft, s.hair.line, closed=False)


def _ahoge(s: Sketch, part: float) -> None:
    """A single lock that stands up from the top of the head, away from the parting."""
    side = np.array((1.0 if part < 0.025 else -1.0, 1.0))
    upper = curve("-0.01,0.085 0.05,-0.01 0.19,-0.04 0.33,-0.005 0.42,0.10")
    lower = curve("0.42,0.10 0.32,0.055 0.205,0.03 0.115,0.045 0.06,0.115")
    shape = np.concatenate([upper, lower]) * side
    s.head.fill(shape, s.hair.base)
    s.head.brush(moved(upper[7:19], -0.004, 0.024) * side, s.hair.light, 0.016)
    s.head.line(shape, s.hair.line, closed=False)
