"""Heat maps of the page: a student's gradient beside the measured one, and their difference.

`heat_maps` takes the slice that `minigan.check.mistakes.wrong_gradients` has cut out of both gradients. It says where
each cell lies, which colour it has and what is written in it. The template minigan/pages/templates/heat_maps.html draws
it. `colours` gives the colours of a theme.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

LEVELS = 8
"""Steps of colour on each side of zero."""

NAMES = (*(f"n{k}" for k in range(LEVELS, 0, -1)), "z", *(f"p{k}" for k in range(1, LEVELS + 1)))
"""The colours from the most negative to the most positive value; z is zero."""

MAX_CELLS = 16
"""Rows and columns of a heat map; a larger slice is cut."""

NUMBERED = 7
"""Heat maps with at most as many rows and columns have their numbers written into the cells."""

MARGIN = 18
"""Pixels for the row and column numbers."""

Grid = list[list[float | None]]
"""Rows of a slice; None where the student's result is no number, or has no such cell."""


class Place(NamedTuple):
    """A point of a drawing, in pixels."""

    x: float
    y: float


@dataclass(frozen=True)
class Tick:
    """The number of a row or a column, written at x, y."""

    x: float
    y: float
    number: int


@dataclass(frozen=True)
class Cell:
    """A coloured square.

    Parameters
    ----------
    row, column : int
    x, y : int
        Its upper left corner.
    colour : str
        One of `NAMES`, or "odd" for what is not a finite number.
    value : str
        For its tooltip.
    words : str
        Written in it; may be "".
    is_negative : bool
        Whether it gets a minus sign, so that it can be told without colour.
    """

    row: int
    column: int
    x: int
    y: int
    colour: str
    value: str
    words: str
    is_negative: bool


@dataclass(frozen=True)
class Panel:
    """One heat map.

    Parameters
    ----------
    name : str
    power : str
        The numbers in the cells are in units of ten to this power; "" if in units of one.
    rows, columns : int
    size, width, height : int
        Pixels of a cell and of the whole.
    range : str
        From which value to which, in words.
    ticks : list of Tick
    cells : list of Cell
    frame : Place or None
        The corner of the cell with the largest difference.
    """

    name: str
    power: str
    rows: int
    columns: int
    size: int
    width: int
    height: int
    range: str
    ticks: list[Tick]
    cells: list[Cell]
    frame: Place | None


@dataclass(frozen=True)
class Legend:
    """The colours, their ends in words, and the panels that they hold for."""

    colours: tuple[str, ...]
    low: str
    high: str
    what: str


@dataclass(frozen=True)
class Worst:
    """The entry with the largest difference."""

    row: int
    column: int
    yours: str
    numeric: str


@dataclass(frozen=True)
class HeatMaps:
    """The three panels of a slice, with their legends; `is_cut` if the slice is larger than what is shown."""

    slice: str
    panels: list[Panel]
    legends: list[Legend]
    worst: Worst | None
    is_cut: bool


def heat_maps(picture: dict[str, Any]) -> HeatMaps | None:
    """What is drawn of a slice.

    Parameters
    ----------
    picture : dict
        Of an `Outcome`: "name" and "index" of the slice, and "yours" and "numeric", which are lists of rows.

    Returns
    -------
    HeatMaps or None
        None if there is nothing to draw.
    """
    yours, numeric, is_cut = _grids(picture.get("yours"), picture.get("numeric"))
    if not yours:
        return None
    difference = [
        [_minus(a, b) for a, b in zip(row, other, strict=True)] for row, other in zip(yours, numeric, strict=True)
    ]
    scale, own = _scales(yours, numeric, difference)
    place = _worst(difference)
    if own.limit == scale.limit:
        legends = [_legend(own, "all three")]
    else:
        legends = [_legend(scale, "yours and numeric"), _legend(own, "the difference")]
    worst = None
    if place is not None:
        r, c = place
        worst = Worst(r, c, _exact(yours[r][c]), _exact(numeric[r][c]))
    panels = [
        _panel("yours", yours, scale, place),
        _panel("numeric", numeric, scale, place),
        _panel("yours − numeric", difference, own, place),
    ]
    return HeatMaps(_slice(picture), panels, legends, worst, is_cut)


@dataclass(frozen=True)
class Scale:
    """What the colours of a heat map mean.

    Parameters
    ----------
    limit : float
        The value with the strongest colour; more is not stronger.
    power : int
        Numbers in the cells are in units of ten to this power.
    clipped : bool
        Whether some values are beyond the limit.
    """

    limit: float
    power: int
    clipped: bool = False

    @staticmethod
    def of(largest: float, limit: float) -> Scale:
        """For values up to a largest one, with colours up to a limit."""
        top = limit or 1.0
        power = max(-300, math.floor(math.log10(top)))
        return Scale(top, 0 if -2 <= power <= 1 else power, largest > top)

    def level(self, value: float) -> str:
        """The class of a colour: n8 ... n1, z, p1 ... p8."""
        step = min(LEVELS, round(LEVELS * min(abs(value) / self.limit, 1.0)))
        return "z" if step == 0 else f"{'n' if value < 0 else 'p'}{step}"

    def number(self, value: float) -> str:
        """A number short enough for a cell."""
        scaled = value / 10.0**self.power
        if scaled == 0:
            return "0"
        size = abs(scaled)
        if size >= 99.95:
            text = f"{scaled:+.0f}" if size < 9999.5 else f"{scaled:+.0e}".replace("e+0", "e").replace("e+", "e")
        else:
            text = f"{scaled:+.2f}" if size < 9.995 else f"{scaled:+.1f}"
        return text.replace("-", "−")


def _panel(name: str, grid: Grid, scale: Scale, worst: tuple[int, int] | None) -> Panel:
    """One heat map, with row and column numbers at its edges."""
    rows, columns = len(grid), len(grid[0])
    numbered = max(rows, columns) <= NUMBERED
    size = 40 if numbered else 17
    return Panel(
        name=name,
        power=f"{scale.power}".replace("-", "−") if numbered and scale.power else "",
        rows=rows,
        columns=columns,
        size=size,
        width=MARGIN + columns * size + 2,
        height=MARGIN + rows * size + 2,
        range=_range_words(grid),
        ticks=_ticks(rows, columns, size),
        cells=[_cell(value, r, c, size, scale, numbered) for r, row in enumerate(grid) for c, value in enumerate(row)],
        frame=None if worst is None else Place(MARGIN + worst[1] * size, MARGIN + worst[0] * size),
    )


def _ticks(rows: int, columns: int, size: int) -> list[Tick]:
    """Row and column numbers; every fifth only where cells are small."""
    step = 1 if size > 30 else 5
    across = [Tick(MARGIN + (c + 0.5) * size, MARGIN - 6.0, c) for c in range(0, columns, step)]
    down = [Tick(MARGIN / 2 - 1, MARGIN + (r + 0.5) * size + 3.5, r) for r in range(0, rows, step)]
    return across + down


def _cell(value: float | None, row: int, column: int, size: int, scale: Scale, numbered: bool) -> Cell:
    """A cell with its number if there is room, otherwise with a minus sign where it is negative."""
    if value is None or not math.isfinite(value):
        colour, words = "odd", _strange(value, numbered)
    else:
        colour, words = scale.level(value), scale.number(value) if numbered else ""
    x, y = MARGIN + column * size, MARGIN + row * size
    return Cell(row, column, x, y, colour, _exact(value), words, colour.startswith("n"))


def _strange(value: float | None, numbered: bool) -> str:
    """The mark of a cell without a finite number."""
    if value is None:
        return ""
    if math.isnan(value):
        return "NaN" if numbered else "×"
    return "+∞" if value > 0 else "−∞"


def _legend(scale: Scale, what: str) -> Legend:
    """The colours of a scale, and the values at its ends."""
    low, high = ("≤ ", "≥ ") if scale.clipped else ("", "")
    top = f"{scale.limit:.3g}".replace("e-", "e−")
    return Legend(NAMES, f"{low}−{top}", f"{high}+{top}", what)


def _range_words(grid: Grid) -> str:
    finite = [value for value in _flat(grid) if value is not None and math.isfinite(value)]
    strange = len(_flat(grid)) - len(finite)
    words = f" from {_exact(min(finite))} to {_exact(max(finite))}" if finite else ""
    return words + (f", {strange} not finite" if strange else "")


def _scales(yours: Grid, numeric: Grid, difference: Grid) -> tuple[Scale, Scale]:
    """One scale for yours and numeric, and one for the difference; the same, unless it would leave that without colour.

    A few huge values of yours do not make everything else pale: the scale then ends at the largest numeric value.
    """
    truth, largest = _largest(_flat(numeric)), _largest(_flat(yours) + _flat(numeric))
    scale = Scale.of(largest, truth if 0 < 4 * truth < largest else largest)
    error = _largest(_flat(difference))
    if 0 < error < scale.limit / LEVELS:
        return scale, Scale.of(error, error)
    return scale, Scale(scale.limit, scale.power, scale.clipped or error > scale.limit)


def _largest(values: Iterable[float | None]) -> float:
    """The largest size among what is finite; 0 if nothing is."""
    return max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)


def _slice(picture: dict[str, Any]) -> str:
    """Which slice of which gradient is drawn."""
    name, index = str(picture.get("name", "")), picture.get("index")
    if index in (None, "", []):
        return name
    words = (
        index if isinstance(index, str) else ", ".join(map(str, index)) if isinstance(index, list | tuple) else index
    )
    return f"{name}[{words}]"


def _grids(yours: object, numeric: object) -> tuple[Grid, Grid, bool]:
    """Both slices as grids of one size, and whether they were cut; empty if there is nothing to draw."""
    both = [_grid(yours), _grid(numeric)]
    rows = max(len(grid) for grid in both)
    columns = max((len(row) for grid in both for row in grid), default=0)
    if not rows or not columns:
        return [], [], False
    height, width = min(rows, MAX_CELLS), min(columns, MAX_CELLS)
    filled = [
        [[grid[r][c] if r < len(grid) and c < len(grid[r]) else None for c in range(width)] for r in range(height)]
        for grid in both
    ]
    return filled[0], filled[1], rows > MAX_CELLS or columns > MAX_CELLS


def _grid(values: object) -> Grid:
    """A list of lists of numbers, or of whatever came instead."""
    if not isinstance(values, list | tuple):
        return []
    rows = [row if isinstance(row, list | tuple) else [row] for row in values]
    if not any(isinstance(row, list | tuple) for row in values):
        rows = [list(values)]
    return [[_float(value) for value in row] for row in rows]


def _float(value: object) -> float | None:
    """A number, NaN and infinities included; None for anything else."""
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None


def _flat(grid: Grid) -> list[float | None]:
    return [value for row in grid for value in row]


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _worst(difference: Grid) -> tuple[int, int] | None:
    """Where the largest difference is; what is not finite is larger than anything."""
    places = [
        (math.inf if math.isnan(value) else abs(value), -r, -c)
        for r, row in enumerate(difference)
        for c, value in enumerate(row)
        if value is not None
    ]
    size, r, c = max(places, default=(0.0, 0, 0))
    return (-r, -c) if size > 0 else None


def _exact(value: float | None) -> str:
    """A number for a tooltip or a sentence."""
    if value is None:
        return "nothing"
    if math.isnan(value):
        return "NaN"
    return f"{value:+.6g}".replace("-", "−").replace("inf", "infinity")


# ---------------------------------------------------------------- colours

_LIGHT = ("#1a5aa8", "#ffffff", "#e07a00")
_DARK = ("#62aefc", "#23282f", "#ffa238")


def colours(*, dark: bool) -> dict[str, str]:
    """Colours of a theme by their `NAMES`, each followed by black or white for words upon it (n8, n8t, ...)."""
    low, middle, high = _DARK if dark else _LIGHT
    mixed = {"z": middle}
    for k in range(1, LEVELS + 1):
        mixed[f"n{k}"], mixed[f"p{k}"] = _mix(middle, low, k / LEVELS), _mix(middle, high, k / LEVELS)
    pairs = {}
    for name, colour in mixed.items():
        pairs[name] = colour
        pairs[f"{name}t"] = "#000" if luminance(colour) > 0.179 else "#fff"
    return pairs


def _rgb(colour: str) -> bytes:
    return bytes.fromhex(colour[1:])


def _mix(a: str, b: str, share: float) -> str:
    """A colour between two."""
    pairs = zip(_rgb(a), _rgb(b), strict=True)
    return "#" + bytes(round(x + share * (y - x)) for x, y in pairs).hex()


def luminance(colour: str) -> float:
    """Relative luminance, from 0 (black) to 1."""
    linear = [(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for c in (b / 255 for b in _rgb(colour))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
