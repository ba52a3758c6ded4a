"""Line charts for a page: thousands of steps in a few hundred places, drawn as SVG without a library.

A chart shows each curve twice: a faint line shows how far single steps swing, a strong one shows the median. `thin`
makes both from any number of steps: it cuts them into at most `PLACES` runs of equal length and keeps of each run
the lowest and the highest value and the median around it. So the size of a chart does not grow with the steps.

`draw` turns a `Chart` into places in the drawing; the template ``charts.html`` writes these as SVG. `points` gives the
numbers that the page's script reads out. Curves are told apart by dashes too, not by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.nn.backend import Array

PLACES = 320
"""Most points of a curve."""

WINDOW = 101
"""Steps of each median in a long run, unless a place stands for more steps."""

WIDTH, HEIGHT = 1000, 240
"""Size of the drawing in its own units; the page chooses its size on the screen."""


@dataclass(frozen=True)
class Thinned:
    """Curves in few places.

    Parameters
    ----------
    first, last : Array of shape (P,)
        Steps that a place stands for.
    low, high, median : Array of shape (P, K)
        Smallest and largest value of those steps, and the median around them, for each of K curves. NaN where a curve
        has no value.
    window : int
        Steps of each median.
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
class ShadedBand:
    """Where a curve lies in a normal run.

    Parameters
    ----------
    kind : str
        As the curve's: a CSS class.
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
    bands : sequence of ShadedBand
    marks : sequence of float
        Heights of thin lines all the way across.
    note : str
        What the curves say, for the reader.
    """

    title: str
    thinned: Thinned
    curves: Sequence[Curve]
    low: float
    high: float
    bands: Sequence[ShadedBand] = ()
    marks: Sequence[float] = ()
    note: str = ""

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
        Steps of the median, odd; fewer in a short run, but at least those that a place stands for.

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


def thin_together(curves: Sequence[tuple[Array, Array]], *, places: int = PLACES, window: int = WINDOW) -> Thinned:
    """Bring curves that have steps of their own into the same places.

    Parameters
    ----------
    curves : sequence of (numpy.ndarray of shape (T,), numpy.ndarray of shape (T,))
        Rising steps and finite values of each; T at least 1, and not the same for all.
    places : int
    window : int
        Values of the median around each place, unless a place stands for more.

    Returns
    -------
    Thinned

    Examples
    --------
    >>> thinned = thin_together([(np.arange(4), np.array([1.0, 2.0, 3.0, 9.0])), (np.array([3]), np.array([7.0]))])
    >>> thinned.first.tolist(), thinned.low.T.tolist()
    ([0, 1, 2, 3], [[1.0, 2.0, 3.0, 9.0], [nan, nan, nan, 7.0]])
    """
    begin, end = min(int(steps[0]) for steps, _ in curves), max(int(steps[-1]) for steps, _ in curves)
    length = -(-(end + 1 - begin) // places)
    first = np.arange(begin, end + 1, length)
    shape = (len(first), len(curves))
    low, high, median = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
    widths = [min(window, len(steps) // 20 * 2 + 1) for steps, _ in curves]
    for k, (steps, values) in enumerate(curves):
        edges, width = np.searchsorted(steps, np.append(first, end + 1)), widths[k]
        for place in np.flatnonzero(edges[:-1] < edges[1:]):
            a, b = int(edges[place]), int(edges[place + 1])
            more = max(0, width - (b - a))
            low[place, k], high[place, k] = values[a:b].min(), values[a:b].max()
            median[place, k] = np.median(values[max(0, a - more // 2) : b + more // 2])
    return Thinned(first, np.minimum(first + length - 1, end), low, high, median, max(length, *widths))


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


def draw(chart: Chart) -> dict[str, Any]:
    """Where everything of a chart lies, for the macros of ``charts.html``.

    Parameters
    ----------
    chart : Chart

    Returns
    -------
    dict
        Words, numbers and places, rounded to tenths of a unit of the drawing, or of a percent of its side.
    """
    first, last = chart.span
    ticks = [tick for tick in axis(chart.low, chart.high) if chart.low <= tick <= chart.high]
    steps = [step for step in axis(first, last, most=5) if first <= step <= last and step == int(step)]
    curves = [_curve(chart, curve) for curve in chart.curves]
    told = ", ".join(f"{curve['label']} from {curve['oldest']} to {curve['newest']}" for curve in curves)
    return {
        "title": chart.title,
        "note": chart.note,
        "name": f"{chart.title}, steps {first} to {last}: {told}",
        "width": WIDTH,
        "height": HEIGHT,
        "curves": curves,
        "has_bands": bool(chart.bands),
        "bands": [place for band in chart.bands if (place := _band(chart, band)) is not None],
        "marks": [_tenth(_y(chart, mark)) for mark in chart.marks],
        "grid": [_tenth(_y(chart, tick)) for tick in ticks],
        "upright": [
            {"place": _tenth(100 - 100 * _share(tick, chart.low, chart.high)), "number": number_text(tick)}
            for tick in ticks
        ],
        "across": [
            {
                "place": _tenth(100 * _share(step, first, last)),
                "number": f"{step:,.0f}",
                "side": _side(step, first, last),
            }
            for step in steps
        ],
    }


def points(chart: Chart) -> dict[str, Any]:
    """The chart's numbers, which the page's script shows under the cursor.

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


def number_text(value: float) -> str:
    """A number in few characters.

    >>> number_text(0.4), number_text(12.0), number_text(-2.5), number_text(1500000.0), number_text(1.2345e-05)
    ('0.4', '12', '−2.5', '1.5e6', '1.23e-5')
    """
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        mantissa, _, power = f"{value:.2e}".partition("e")
        words = f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"
    else:
        words = f"{value:.4g}"
    return words.replace("-", "−", 1) if value < 0 else words


def _short(value: float) -> float | None:
    """A number to four digits, which is more than a chart can show; None for NaN, which JSON does not have.

    >>> _short(0.123456), _short(math.nan)
    (0.1235, None)
    """
    return None if math.isnan(value) else float(f"{value:.4g}")


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low)


def _side(step: float, first: int, last: int) -> str:
    """How a number stands at its place: the first begins there and the last ends there, so that none is cut off."""
    share = _share(step, first, last)
    return "left" if share < 0.04 else "right" if share > 0.96 else "middle"


def _x(chart: Chart, step: float) -> float:
    return WIDTH * _share(step, *chart.span)


def _y(chart: Chart, value: float) -> float:
    """A height in the drawing; values far outside are brought nearer, for the numbers of a path have limits."""
    return HEIGHT * (1 - min(2.0, max(-1.0, _share(value, chart.low, chart.high))))


def _tenth(value: float) -> str:
    return f"{value:.1f}"


def _band(chart: Chart, band: ShadedBand) -> dict[str, str] | None:
    """The band's rectangle; None if nothing of it is in the chart."""
    first, last = chart.span
    left, right = _x(chart, max(band.first, first)), _x(chart, min(band.last, last))
    top, bottom = _y(chart, min(band.high, chart.high)), _y(chart, max(band.low, chart.low))
    if right <= left or bottom <= top:
        return None
    place = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    return {"kind": band.kind, **{name: _tenth(value) for name, value in place.items()}}


def _curve(chart: Chart, curve: Curve) -> dict[str, str]:
    """The curve's words, its newest and oldest number, and its two lines as data of SVG paths."""
    median = chart.thinned.median[:, curve.column]
    median = median[np.isfinite(median)]
    return {
        "label": curve.label,
        "kind": curve.kind,
        "oldest": number_text(median[0]),
        "newest": number_text(median[-1]),
        "swings": _swings(chart, curve.column),
        "middle": _middle(chart, curve.column),
    }


def _middle(chart: Chart, column: int) -> str:
    thinned = chart.thinned
    centres = (thinned.first + thinned.last) / 2
    median = thinned.median[:, column]
    return _line((_x(chart, s), _y(chart, v)) for s, v in zip(centres, median, strict=True) if np.isfinite(v))


def _swings(chart: Chart, column: int) -> str:
    """A line from each place's lowest to its highest value, and back down in the next place."""
    thinned = chart.thinned
    corners = []
    for k, (a, b) in enumerate(zip(thinned.first, thinned.last, strict=True)):
        ends = (thinned.low[k, column], thinned.high[k, column])
        if np.isnan(ends[0]):
            continue
        if a == b:
            corners.append((_x(chart, a), _y(chart, ends[0])))
        else:
            x = _x(chart, (a + b) / 2)
            corners += [(x, _y(chart, value)) for value in (ends if k % 2 == 0 else ends[::-1])]
    return _line(corners)


def _line(corners: Any) -> str:
    words = " ".join(f"{x:.1f} {y:.1f}" for x, y in corners)
    return (
        f"M{words}" if words.count(" ") > 1 else f"M{words}h0"
    )  # a single point: with h0 its round ends show it as a dot
