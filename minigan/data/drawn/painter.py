"""How the drawn faces are drawn: colours in four tones, curves, and a painter that places them on a canvas.

All shapes of a face use one coordinate system, the *sheet*: y runs down from 0 to 1 and x to the right from -0.5 to
0.5, with the nose at x = 0. `hair` and `face_parts` describe what a face looks like, as points on the sheet, like
those of an SVG polygon (`"0,0.1 0.2,0.15"`). The functions here turn these points into curves and strokes, and into
pixels of a Pillow image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from minigan.data.drawn.factors import FaceFactors

Colour = tuple[int, int, int]
Points = npt.NDArray[np.float64]

WHITE: Colour = (255, 255, 255)
SIDES = (1.0, -1.0)
MIRROR = np.array([-1.0, 1.0])
TURN_DEPTH, TURN_RADIUS = 0.08, 0.42

# ---------------------------------------------------------------------------------------------------------------------
# Colours.
# ---------------------------------------------------------------------------------------------------------------------


class Tones(NamedTuple):
    """A colour in four tones. Its lines have a dark tone of it too: black lines would look printed, not painted."""

    base: Colour
    light: Colour
    shade: Colour
    line: Colour


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Go from colour a to colour b by `share`."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


def scaled(a: Colour, r: float, g: float, b: float) -> Colour:
    """Multiply a colour's channels, as coloured light or glaze does."""
    return (min(255, round(a[0] * r)), min(255, round(a[1] * g)), min(255, round(a[2] * b)))


def tones(base: Colour) -> Tones:
    """Tones of hair and cloth; the shadows are a little violet, so that they do not look dirty."""
    return Tones(base, mix(base, WHITE, 0.52), scaled(base, 0.76, 0.68, 0.79), scaled(base, 0.50, 0.39, 0.48))


def skin_tones(base: Colour) -> Tones:
    """Tones of skin; the shadows are a little red, because light shines through skin."""
    return Tones(base, mix(base, (255, 240, 222), 0.4), scaled(base, 0.945, 0.82, 0.79), scaled(base, 0.64, 0.42, 0.38))


# ---------------------------------------------------------------------------------------------------------------------
# Curves. Each is the product of a small fixed matrix and the control points.
# ---------------------------------------------------------------------------------------------------------------------

STEPS = 6
_T = np.linspace(0.0, 1.0, STEPS)
_QUADRATIC = np.stack([(1 - _T) ** 2, 2 * _T * (1 - _T), _T**2], axis=1)


@cache
def xy(text: str) -> Points:
    """Read points (n, 2) from "x,y x,y ..."; the array is shared and read-only."""
    points = np.array([pair.split(",") for pair in text.split()], dtype=np.float64)
    points.flags.writeable = False
    return points


@cache
def _spline_basis(n: int, closed: bool) -> Points:
    """Weights of a Catmull-Rom spline, (samples, n); each row adds up to 1. The curve meets every control point."""
    t = np.linspace(0.0, 1.0, STEPS, endpoint=False)
    spans = n if closed else n - 1
    weights = (
        np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], axis=1) / 2
    )
    basis = np.zeros((spans * STEPS + (not closed), n))
    for span in range(spans):
        rows = slice(span * STEPS, (span + 1) * STEPS)
        for k in range(4):
            at = span - 1 + k
            basis[rows, at % n if closed else min(max(at, 0), n - 1)] += weights[:, k]
    if not closed:
        basis[-1, -1] = 1.0
    return basis


def smooth(points: Points, *, closed: bool = False) -> Points:
    """A spline through points (n, 2), with `STEPS` samples between two of them."""
    return _spline_basis(len(points), closed) @ points


@cache
def curve(text: str, *, closed: bool = False) -> Points:
    """Spline through points written as for `xy`; shared and read-only like them."""
    points = smooth(xy(text), closed=closed)
    points.flags.writeable = False
    return points


def quadratics(start: Points, bend: Points, end: Points) -> Points:
    """Quadratic Bezier curves (k, STEPS, 2) from three times (k, 2) points."""
    return np.einsum("sk,kpc->psc", _QUADRATIC, np.stack([start, bend, end]))


def quadratic(start: tuple[float, float], bend: tuple[float, float], end: tuple[float, float]) -> Points:
    """One quadratic Bezier curve (STEPS, 2)."""
    return _QUADRATIC @ np.array([start, bend, end])


def splines(*controls: Points) -> Points:
    """Catmull-Rom splines (k, samples, 2) through controls that are (k, 2) each."""
    return np.einsum("sk,kpc->psc", _spline_basis(len(controls), False), np.stack(controls))


def moved(points: Points, x: float, y: float) -> Points:
    """Shift points (n, 2)."""
    return np.add(points, (x, y))


def mirrored(points: Points) -> Points:
    """Mirror points at x = 0 and reverse their order: half an outline and its mirror image then join to a whole."""
    return points[::-1] * MIRROR


def both_sides(right: Points) -> Points:
    """Join half an outline with its mirror image."""
    return np.concatenate([right, mirrored(right)])


def pair(right: Points) -> Points:
    """(2, n, 2): a stroke and its mirror image."""
    return np.stack([right, right * MIRROR])


@cache
def _unit_arc(start: float, stop: float, n: int) -> Points:
    angles = np.radians(np.linspace(start, stop, n))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def ellipse(x: float, y: float, rx: float, ry: float, start: float = 0.0, stop: float = 360.0, n: int = 24) -> Points:
    """Arc of an ellipse; angles in degrees run clockwise from the right, since y points down."""
    return moved(_unit_arc(start, stop, n) * (rx, ry), x, y)


def locks(edge: Points, sway: float = 0.0) -> Points:
    """Join notches and tips by curves that start straight down at a notch and bend towards a tip.

    Parameters
    ----------
    edge : ndarray
        (k, 2), notches and tips in turn; the lower one of two neighbours is the tip.
    sway : float
        Moves the bends sideways, so that all locks lean the same way.

    Returns
    -------
    ndarray
        (k - 1, STEPS, 2): one curve per pair of neighbours.
    """
    a, b = edge[:-1], edge[1:]
    falling = (b[:, 1] > a[:, 1])[:, None]
    notch, tip = np.where(falling, a, b), np.where(falling, b, a)
    bend = notch * (0.84, 0.36) + tip * (0.16, 0.64)
    bend[:, 0] += sway
    return quadratics(a, bend, b)


def strands(roots: Points, crown: float, reach: npt.ArrayLike) -> Points:
    """Curves that start at `roots` on the hairline and follow the skull towards the crown.

    Parameters
    ----------
    roots : ndarray
        (k, 2).
    crown : float
        The x at the top of the sheet where all strands would meet if they were long enough.
    reach : array_like
        The share of this way that each strand goes, 0 to 1: a number or (k,).

    Returns
    -------
    ndarray
        (k, STEPS, 2).
    """
    t = _T[None, :, None] * np.reshape(np.asarray(reach, dtype=np.float64), (-1, 1, 1))
    over = roots * (1.12, 0.42)
    curves: Points = (1 - t) ** 2 * roots[:, None] + 2 * t * (1 - t) * over[:, None] + t**2 * np.array([crown, 0.0])
    return curves


# ---------------------------------------------------------------------------------------------------------------------
# The painter.
# ---------------------------------------------------------------------------------------------------------------------

# How thick a brush stroke is along its way, as a share of its full width.
_PRESSURE: dict[str, Callable[[Points], Points]] = {
    "even": np.ones_like,
    "both": lambda t: np.sqrt(np.sin(np.pi * t).clip(0.0)),
    "fade": lambda t: 1 - t,
    "lash": lambda t: np.interp(t, [0.0, 0.35, 0.8, 1.0], [0.22, 0.85, 1.0, 0.28]),
}


@cache
def _pressure(kind: str, n: int) -> Points:
    return _PRESSURE[kind](np.linspace(0.0, 1.0, n))[:, None] / 2


@lru_cache(maxsize=256)
def glow_mask(width: int, height: int, strength: float) -> Image.Image:
    """Alpha mask of a round spot that fades to zero at its rim."""
    y = np.linspace(-1, 1, height)[:, None]
    x = np.linspace(-1, 1, width)[None, :]
    alpha = (1 - (x * x + y * y)).clip(0.0) ** 1.3 * strength
    return Image.fromarray((alpha * 255).astype(np.uint8))


def _coarse(length: float) -> int:
    """Round to whole pixels in steps of about a tenth, so that soft spots of similar size share a mask."""
    step = max(1, round(length / 12))
    return max(1, round(length / step) * step)


class Painter:
    """Paints sheet shapes on a canvas: turns the head, tilts, zooms, and rounds to pixels.

    Parameters
    ----------
    canvas : PIL.Image.Image
        RGB, painted on in place.
    matrix, origin : ndarray
        (2, 2) and (2,): canvas = sheet @ matrix + origin.
    scale : float
        Canvas pixels per sheet unit, for line widths.
    turn : float
        Sideways turn of the head, -1 to 1. It moves the middle of the face and keeps the sides, so the far half becomes
        narrower, as in perspective.
    """

    def __init__(self, canvas: Image.Image, matrix: Points, origin: Points, scale: float, turn: float) -> None:
        self.canvas = canvas
        self.matrix, self.origin, self.scale, self.turn = matrix, origin, scale, turn
        self._draw = ImageDraw.Draw(canvas)

    def facing(self, turn: float) -> Painter:
        """Return a painter for the same canvas that turns its shapes by another amount."""
        return Painter(self.canvas, self.matrix, self.origin, self.scale, turn)

    def at(self, points: Points) -> Points:
        """Canvas position (n, 2) of sheet points (n, 2)."""
        placed: Points = points @ self.matrix + self.origin
        if self.turn:
            x = points[:, 0] / TURN_RADIUS
            placed += np.maximum(1.0 - x * x, 0.0)[:, None] * (self.turn * TURN_DEPTH * self.matrix[0])
        return placed

    def flood(self, colour: Colour) -> None:
        """Cover the whole canvas; within `inside` that is much faster than filling the shape again."""
        self.canvas.paste(colour, (0, 0, *self.canvas.size))

    def fill(self, points: Points, colour: Colour) -> None:
        """Fill a closed shape (n, 2), or k shapes (k, n, 2) at once."""
        shapes = self.at(points.reshape(-1, 2)).reshape(-1, 2 * points.shape[-2])
        for shape in shapes.tolist():
            self._draw.polygon(shape, fill=colour)

    def line(self, points: Points, colour: Colour, width: float = 0.0095, *, closed: bool = True) -> None:
        """Draw along points with constant width."""
        placed = self.at(points)
        if closed:
            placed = np.concatenate([placed, placed[:2]])
        self._draw.line(placed.ravel().tolist(), fill=colour, width=max(1, round(width * self.scale)))

    def shape(self, points: Points, colour: Tones) -> None:
        """Fill a closed shape (n, 2) and outline it."""
        self.fill(points, colour.base)
        self.line(points, colour.line)

    def brush(self, points: Points, colour: Colour, width: float, pressure: str = "both") -> None:
        """Draw a stroke (n, 2) that is thick and thin like that of a pen; or k strokes (k, n, 2) at once."""
        strokes = self.at(points.reshape(-1, 2)).reshape(-1, *points.shape[-2:])
        along = np.empty_like(strokes)
        along[:, 1:-1] = strokes[:, 2:] - strokes[:, :-2]
        along[:, 0], along[:, -1] = strokes[:, 1] - strokes[:, 0], strokes[:, -1] - strokes[:, -2]
        length = np.sqrt(np.einsum("knc,knc->kn", along, along))[..., None] + 1e-9
        side = along[..., ::-1] * MIRROR / length * _pressure(pressure, strokes.shape[1]) * (width * self.scale)
        outlines = np.concatenate([strokes + side, (strokes - side)[:, ::-1]], axis=1)
        for outline in outlines.reshape(len(outlines), -1).tolist():
            self._draw.polygon(outline, fill=colour)

    def glow(self, x: float, y: float, rx: float, ry: float, colour: Colour, strength: float) -> None:
        """Colour a soft round spot."""
        cx, cy = self.at(np.array([[x, y]]))[0]
        mask = glow_mask(_coarse(2 * rx * self.scale), _coarse(2 * ry * self.scale), strength)
        left, top = round(cx - mask.width / 2), round(cy - mask.height / 2)
        self.canvas.paste(colour, (left, top, left + mask.width, top + mask.height), mask)

    @contextmanager
    def inside(self, *shapes: Points) -> Iterator[Painter]:
        """Give a painter that paints only inside the given shapes."""
        placed = [self.at(shape) for shape in shapes]
        every = np.concatenate(placed)
        (left, top), (right, bottom) = every.min(axis=0), every.max(axis=0)
        left, top = max(0, math.floor(left)), max(0, math.floor(top))
        right = max(left + 1, min(self.canvas.width, math.ceil(right) + 1))
        bottom = max(top + 1, min(self.canvas.height, math.ceil(bottom) + 1))
        layer = self.canvas.crop((left, top, right, bottom))
        corner = np.array([left, top], dtype=np.float64)
        yield Painter(layer, self.matrix, self.origin - corner, self.scale, self.turn)
        mask = Image.new("L", layer.size)
        draw = ImageDraw.Draw(mask)
        for shape in placed:
            draw.polygon((shape - corner).ravel().tolist(), fill=255)
        self.canvas.paste(layer, (left, top, right, bottom), mask)


@dataclass(frozen=True)
class Sketch:
    """A face that is being painted: factors, a painter that turns with the head, one that does not, and the colours.

    `numbers` are the factors' strand numbers as an array. All irregularities come from them, so the image is a function
    of the factors alone.
    """

    factors: FaceFactors
    head: Painter
    still: Painter
    hair: Tones
    skin: Tones
    clothes: Tones
    numbers: Points

    def some(self, start: int, n: int) -> Points:
        """Strand numbers (n,) from `start` on, -1 to 1; after the last one the first follows."""
        return np.take(self.numbers, np.arange(start, start + n), mode="wrap")

    def jitter(self, start: int, n: int, amount: float) -> Points:
        """Small shifts (n, 2) made of strand numbers, -`amount` to `amount`."""
        return self.some(start, 2 * n).reshape(n, 2) * amount
