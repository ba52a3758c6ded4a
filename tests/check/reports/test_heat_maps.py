"""Heat maps: which colour and which words a value gets, and what there is to draw."""

import math

import pytest

from minigan.check.reports.heat_maps import LEVELS, MAX_CELLS, NAMES, Scale, colours, heat_maps, luminance


@pytest.mark.parametrize(
    ("limit", "value", "level", "number"),
    [
        (1.0, 0.0, "z", "0"),
        (1.0, 1.0, "p8", "+1.00"),
        (1.0, -0.5, "n4", "−0.50"),
        (1.0, -99.0, "n8", "−99.0"),
        (3e-5, 3e-5, "p8", "+3.00"),
        (50.0, 25.0, "p4", "+25.0"),
        (2e6, -1e6, "n4", "−1.00"),
        (1.0, 1e8, "p8", "+1e8"),
        (1.0, 1234.0, "p8", "+1234"),
    ],
)
def test_scale(limit, value, level, number):
    scale = Scale.of(limit, limit)
    assert (scale.level(value), scale.number(value)) == (level, number)


@pytest.mark.parametrize("dark", [False, True])
def test_numbers_on_colours_can_be_read(dark):
    pairs = colours(dark=dark)
    assert pairs.keys() == {*NAMES, *(f"{name}t" for name in NAMES)}
    for name in NAMES:
        ground, ink = pairs[name], pairs[f"{name}t"]
        low, high = sorted((luminance(ground), luminance(ink[:1] + 2 * ink[1:])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, name


def test_every_cell_has_its_place_and_value():
    yours, numeric = [[0.5, -1.0, 2.0], [0.0, 1.0, -3.0]], [[0.5, -1.0, 2.0], [0.0, 1.0, 1.0]]
    drawn = heat_maps({"name": "dx", "index": [0, 1], "yours": yours, "numeric": numeric})
    assert (drawn.slice, drawn.is_cut) == ("dx[0, 1]", False)
    assert (drawn.worst.row, drawn.worst.column, drawn.worst.yours, drawn.worst.numeric) == (1, 2, "−3", "+1")
    for panel, grid in zip(drawn.panels[:2], (yours, numeric), strict=True):
        assert [(cell.row, cell.column) for cell in panel.cells] == [(r, c) for r in range(2) for c in range(3)]
        for cell in panel.cells:
            assert (cell.x, cell.y) == (18 + 40 * cell.column, 18 + 40 * cell.row)
            assert float(cell.value.replace("−", "-")) == grid[cell.row][cell.column]
            assert cell.is_negative == (grid[cell.row][cell.column] < 0)
        assert panel.frame == (18 + 40 * 2, 18 + 40 * 1)
    assert [cell.colour for cell in drawn.panels[2].cells] == ["z"] * 5 + [f"n{LEVELS}"]


@pytest.mark.parametrize(("rows", "columns"), [(MAX_CELLS, MAX_CELLS), (MAX_CELLS + 1, 2), (2, MAX_CELLS + 4)])
def test_a_large_slice_is_cut(rows, columns):
    values = [[1.0] * columns] * rows
    drawn = heat_maps({"yours": values, "numeric": values})
    assert drawn.is_cut == (max(rows, columns) > MAX_CELLS)
    assert len(drawn.panels[0].cells) == min(rows, MAX_CELLS) * min(columns, MAX_CELLS)


@pytest.mark.parametrize("value", [None, [], [[]], 3.0, "text", {"a": 1}])
def test_nothing_to_draw(value):
    assert heat_maps({"yours": value, "numeric": value}) is None


def test_what_is_not_finite_is_not_coloured():
    drawn = heat_maps({"yours": [[math.nan, math.inf, -math.inf, None]], "numeric": [[1.0, 1.0, 1.0, 1.0]]})
    assert [(cell.colour, cell.words) for cell in drawn.panels[0].cells] == [
        ("odd", "NaN"),
        ("odd", "+∞"),
        ("odd", "−∞"),
        ("odd", ""),
    ]
