"""Charts as SVG: thinning that keeps every spike, and curves that are drawn where their numbers are."""

import re

import numpy as np
import pytest

from minigan.pages import html, plots, svg


def test_thin_keeps_every_spike():
    values = np.zeros((10_000, 2))
    values[4321, 0], values[7, 1] = 99.0, -99.0
    thinned = svg.thin(np.arange(10_000), values)
    assert len(thinned.first) <= svg.PLACES
    assert (thinned.high.max(), thinned.low.min()) == (99.0, -99.0)
    place = int(thinned.high[:, 0].argmax())
    assert thinned.first[place] <= 4321 <= thinned.last[place]
    assert not thinned.median.any()
    assert thinned.first[1:].tolist() == (thinned.last[:-1] + 1).tolist()
    assert (thinned.first[0], thinned.last[-1]) == (0, 9999)


@pytest.mark.parametrize("T", [1, 2, 3, 50, 319, 320, 321, 1000])
def test_thin_at_any_length(T):
    values = np.random.default_rng(T).normal(size=(T, 3))
    thinned = svg.thin(np.arange(T) + 5, values)
    assert len(thinned.first) == len(thinned.median) <= svg.PLACES
    for a, b, low, high in zip(thinned.first - 5, thinned.last - 5, thinned.low, thinned.high, strict=True):
        np.testing.assert_array_equal(low, values[a : b + 1].min(axis=0))
        np.testing.assert_array_equal(high, values[a : b + 1].max(axis=0))
    if T <= svg.PLACES:
        expected = [plots.running_median(column, thinned.window) for column in values.T]
        np.testing.assert_array_equal(thinned.median, np.stack(expected, axis=1))


def drawn(curves, **more):
    """A chart from 0 to 10 over steps 0 to 100, as SVG."""
    thinned = svg.thin(np.array([0, 50, 100]), np.array(curves), window=1)
    return as_svg(svg.Chart("t", thinned, [svg.Curve(0, "c", "one")], 0.0, 10.0, **more))


def as_svg(chart):
    return html.environment().get_template("charts.html").module.drawing(svg.draw(chart))


def test_a_curve_is_drawn_where_its_numbers_are():
    words = drawn([[0.0], [5.0], [10.0]])
    assert '<path class="middle one" d="M0.0 240.0 500.0 120.0 1000.0 0.0"/>' in words
    assert '<path class="raw one" d="M0.0 240.0 500.0 120.0 1000.0 0.0"/>' in words
    assert 'x="100%" y="50.0%">' not in words  # numbers every 2
    assert '<text x="100%" y="40.0%">6</text>' in words
    assert '<text class="middle" x="40.0%" y="1.1em">40</text>' in words


def test_the_line_of_raw_values_goes_up_and_down_in_turn():
    """Each place shows its lowest and its highest value, and the line does not jump back between two places."""
    T = 2 * svg.PLACES
    thinned = svg.thin(np.arange(T), np.arange(T)[:, None] % 2 * 10.0)
    words = as_svg(svg.Chart("t", thinned, [svg.Curve(0, "c", "one")], 0.0, 10.0))
    numbers = re.search(r'class="raw one" d="M([^"]+)"', words)[1].split()
    assert numbers[1:12:2] == ["240.0", "0.0", "0.0", "240.0", "240.0", "0.0"]
    assert len(numbers) == 4 * len(thinned.first)


def test_bands_and_marks():
    words = drawn([[1.0]] * 3, bands=[svg.ShadedBand("one", 25, 10**9, 2.0, 4.0)], marks=(5.0,))
    assert '<rect class="band one" x="250.0" y="144.0" width="750.0" height="48.0"/>' in words
    assert '<path class="mark" d="M0 120.0H1000"/>' in words
    assert "<rect" not in drawn([[1.0]] * 3, bands=[svg.ShadedBand("one", 200, 300, 2.0, 4.0)])


def test_a_single_step_can_be_drawn():
    thinned = svg.thin(np.array([7]), np.array([[1.0]]))
    words = as_svg(svg.Chart("t", thinned, [svg.Curve(0, "c", "one")], 0.0, 2.0))
    assert "M0.0 120.0h0" in words
    assert "nan" not in words
