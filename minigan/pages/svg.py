"""Line charts as SVG for a page: thousands of steps in a few hundred places, drawn without a library.

A chart shows each curve twice, as losses want to be seen: faint and whole, how far it swings, and strong, where its
middle lies. `thin` makes both from any number of steps at a cost that grows with the steps once and a size that does
not grow: the steps are cut into at most `PLACES` runs of equal length, of which each keeps its lowest and highest value
and the median around it. The drawing has no words in it, so that the page can stretch it to any width; the numbers at
its edges are drawn beside it. What a curve is must not hang on colour alone: neighbours differ in dashes too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.nn.backend import Array
from minigan.pages.html import text

PLACES = 320
"""Most places of a curve."""

WINDOW = 101
"""Steps that the median looks at in a long run, unless one place stands for more."""

WIDTH, HEIGHT = 1000, 240
"""Units of the drawing; what they are on the screen is the page's choice."""


@dataclass(frozen=True)
class Thinned:
    """Curves in few places.

    Parameters
    ----------
    first, last : Array of shape (P,)
        Steps that a place stands for.
    low, high, median : Array of shape (P, K)
        Smallest and largest value of those steps, and the median around them, for each of K curves.
    window : int
        Steps that a median looks at.
    """

    first: Array
    last: Array
    low: Array
    high: Array
    median: Array
    window: int


@dataclass(frozen=True)
class Curve:
    """A curve of a chart.

    Parameters
    ----------
    column : int
        Which of the thinned curves.
    label : str
    kind : str
        CSS class, which chooses colour and dashes.
    """

    column: int
    label: str
    kind: str


@dataclass(frozen=True)
class Band:
    """Where a curve lies in a normal run.

    Parameters
    ----------
    kind : str
        As the curve's.
    first, last : int
        Steps for which it holds.
    low, high : float
    """

    kind: str
    first: int
    last: int
    low: float
    high: float


@dataclass(frozen=True)
class Chart:
    """A chart of some curves over the steps.

    Parameters
    ----------
    title : str
    thinned : Thinned
    curves : sequence of Curve
    low, high : float
        Ends of the vertical axis; what is beyond is cut off.
    bands : sequence of Band
    marks : sequence of float
        Heights of thin lines all the way across.
    """

    title: str
    thinned: Thinned
    curves: Sequence[Curve]
    low: float
    high: float
    bands: Sequence[Band] = ()
    marks: Sequence[float] = ()

    @property
    def span(self) -> tuple[int, int]:
        """First step and last step of the horizontal axis; at least one apart."""
        first, last = int(self.thinned.first[0]), int(self.thinned.last[-1])
        return first, max(last, first + 1)


def thin(steps: Array, values: Array, *, places: int = PLACES, window: int = WINDOW) -> Thinned:
    """Bring curves into at most `places` places.

    Parameters
    ----------
    steps : numpy.ndarray of shape (T,)
        Rising; T at least 1.
    values : numpy.ndarray of shape (T, K)
        Finite.
    places : int
    window : int
        Steps that the median looks at, odd; fewer in a short run, and never less than a place stands for.

    Returns
    -------
    Thinned

    Examples
    --------
    >>> thinned = thin(np.arange(6), np.array([[1.0], [9.0], [2.0], [3.0], [8.0], [4.0]]), places=3)
    >>> thinned.first.tolist(), thinned.high[:, 0].tolist(), thinned.median[:, 0].tolist()
    ([0, 2, 4], [9.0, 3.0, 8.0], [5.0, 2.5, 6.0])
    """
    T = len(steps)
    length = -(-T // places)
    starts = np.arange(0, T, length)
    ends = np.minimum(starts + length, T)
    width = max(length, min(window, T // 20 * 2 + 1))
    half = np.full((width // 2, values.shape[1]), np.nan)  # windows are cut short at the ends of the run
    padded = np.concatenate([half, values, half])
    middles = np.minimum((starts + ends) // 2, T - 1)
    around = np.lib.stride_tricks.sliding_window_view(padded, width, axis=0)[middles]  # (P, K, width)
    return Thinned(
        first=steps[starts],
        last=steps[ends - 1],
        low=np.minimum.reduceat(values, starts, axis=0),
        high=np.maximum.reduceat(values, starts, axis=0),
        median=np.nanmedian(around, axis=2),
        window=width,
    )


def axis(low: float, high: float, *, most: int = 6) -> list[float]:
    """Round numbers from below `low` to above `high`, evenly spaced by 1, 2 or 5 times a power of ten.

    Parameters
    ----------
    low, high : float
        Finite, low not above high.
    most : int
        How many steps between the numbers at most; at least 2.

    Returns
    -------
    list of float

    Examples
    --------
    >>> axis(0.31, 0.93)
    [0.2, 0.4, 0.6, 0.8, 1.0]
    >>> axis(3.0, 3.0, most=5)
    [2.6, 2.8, 3.0, 3.2, 3.4]
    """
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        margin = abs(low) / 10 or 1.0
        low, high = low - margin, high + margin
    size = 10.0 ** (math.floor(math.log10((high - low) / most)) - 1)
    for unit in (1, 2, 5, 10, 20, 50, 100, 200, 500):
        first, last = math.floor(low / (unit * size) + 1e-9), math.ceil(high / (unit * size) - 1e-9)
        if last - first <= most:
            break
    return [float(f"{k * unit * size:.9g}") for k in range(first, last + 1)]


def draw(chart: Chart, name: str) -> str:
    """The chart as SVG with its numbers beside it; the page's styles place and colour them.

    Parameters
    ----------
    chart : Chart
    name : str
        What a screen reader says of the drawing.

    Returns
    -------
    str
        HTML.
    """
    first, last = chart.span
    ticks = [tick for tick in axis(chart.low, chart.high) if chart.low <= tick <= chart.high]
    steps = [step for step in axis(first, last, most=5) if first <= step <= last and step == int(step)]
    lines = "".join(f'<path class="grid" d="M0 {_y(chart, tick):.1f}H{WIDTH}"/>' for tick in ticks)
    lines += "".join(f'<path class="mark" d="M0 {_y(chart, mark):.1f}H{WIDTH}"/>' for mark in chart.marks)
    bands = "".join(_band(chart, band) for band in chart.bands)
    raw = "".join(f'<path class="raw {c.kind}" d="{_swings(chart, c.column)}"/>' for c in chart.curves)
    middle = "".join(f'<path class="middle {c.kind}" d="{_middle(chart, c.column)}"/>' for c in chart.curves)
    upright = "".join(
        f'<text x="100%" y="{100 - 100 * _share(tick, chart.low, chart.high):.1f}%">{number(tick)}</text>'
        for tick in ticks
    )
    across = "".join(
        f'<text class="{_side(step, first, last)}" x="{100 * _share(step, first, last):.1f}%" y="1.1em">'
        f"{step:,.0f}</text>"
        for step in steps
    )
    return (
        f'<div class="chart"><svg class="upright" aria-hidden="true">{upright}</svg>'
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{text(name)}">{lines}{bands}{raw}{middle}'
        f'<path class="film" d="M0 0V{HEIGHT}"/><path class="cursor" d="M0 0V{HEIGHT}"/></svg>'
        f'<svg class="across" aria-hidden="true">{across}</svg></div>'
    )


def points(chart: Chart) -> dict[str, Any]:
    """The chart's numbers, for the page's script to read out.

    Parameters
    ----------
    chart : Chart

    Returns
    -------
    dict
        Ready for JSON.
    """
    columns = [curve.column for curve in chart.curves]
    return {
        "span": list(chart.span),
        "first": chart.thinned.first.tolist(),
        "last": chart.thinned.last.tolist(),
        "median": [[_short(v) for v in chart.thinned.median[:, k]] for k in columns],
        "low": [[_short(v) for v in chart.thinned.low[:, k]] for k in columns],
        "high": [[_short(v) for v in chart.thinned.high[:, k]] for k in columns],
    }


def number(value: float) -> str:
    """A number in few characters.

    >>> number(0.4), number(12.0), number(-2.5), number(1500000.0), number(1.2345e-05)
    ('0.4', '12', '−2.5', '1.5e6', '1.23e-5')
    """
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        mantissa, _, power = f"{value:.2e}".partition("e")
        words = f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"
    else:
        words = f"{value:.4g}"
    return words.replace("-", "−", 1) if value < 0 else words


def _short(value: float) -> float:
    """Four digits, which is more than a screen shows.

    >>> _short(0.123456)
    0.1235
    """
    return float(f"{value:.4g}")


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low)


def _side(step: float, first: int, last: int) -> str:
    """The first number begins at its place and the last one ends there, so that neither is cut off."""
    share = _share(step, first, last)
    return "left" if share < 0.04 else "right" if share > 0.96 else "middle"


def _x(chart: Chart, step: float) -> float:
    return WIDTH * _share(step, *chart.span)


def _y(chart: Chart, value: float) -> float:
    """A height in the drawing; what is far outside stays near, for numbers of a path have limits too."""
    return HEIGHT * (1 - min(2.0, max(-1.0, _share(value, chart.low, chart.high))))


def _band(chart: Chart, band: Band) -> str:
    first, last = chart.span
    left, right = _x(chart, max(band.first, first)), _x(chart, min(band.last, last))
    top, bottom = _y(chart, min(band.high, chart.high)), _y(chart, max(band.low, chart.low))
    if right <= left or bottom <= top:
        return ""
    return (
        f'<rect class="band {band.kind}" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{bottom - top:.1f}"/>'
    )


def _middle(chart: Chart, column: int) -> str:
    thinned = chart.thinned
    centres = (thinned.first + thinned.last) / 2
    return _line((_x(chart, s), _y(chart, v)) for s, v in zip(centres, thinned.median[:, column], strict=True))


def _swings(chart: Chart, column: int) -> str:
    """From each place's lowest to its highest value, and back in the next."""
    thinned = chart.thinned
    corners = []
    for k, (a, b) in enumerate(zip(thinned.first, thinned.last, strict=True)):
        ends = (thinned.low[k, column], thinned.high[k, column])
        if a == b:
            corners.append((_x(chart, a), _y(chart, ends[0])))
        else:
            x = _x(chart, (a + b) / 2)
            corners += [(x, _y(chart, value)) for value in (ends if k % 2 == 0 else ends[::-1])]
    return _line(corners)


def _line(corners: Any) -> str:
    words = " ".join(f"{x:.1f} {y:.1f}" for x, y in corners)
    return f"M{words}" if words.count(" ") > 1 else f"M{words}h0"  # a line of no length: round ends show it as a dot
