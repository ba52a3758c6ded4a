"""Kinds of drawn faces: they are read from the images, and counted."""

import numpy as np
import pytest

from minigan.data.drawn import modes
from minigan.data.drawn.face_set import open_drawn_faces
from minigan.data.drawn.faces import FACTOR_PROBABILITIES
from minigan.data.image_set import ImageSet
from minigan.evaluation import metrics
from minigan.evaluation.metrics import Yardstick

rng = np.random.default_rng(7)


@pytest.fixture(scope="module")
def few_faces():
    """A reader that is fitted to fewer faces than usual, so that it is quickly there."""
    patch = pytest.MonkeyPatch()
    patch.setattr(modes, "FITTED", 700)
    patch.setattr(modes, "HELD_OUT", 200)
    modes.reader.cache_clear()
    yield
    patch.undo()
    modes.reader.cache_clear()


def drawn(span, size=32):
    return open_drawn_faces(900, size, seed=modes.FIT_SEED, progress=False).images[span.start : span.stop]


def test_reading_drawn_faces(few_faces):
    right = modes.accuracy(32)
    assert right["hair_colour"] > 0.99
    assert right["skin"] == 1
    assert right["hair_style"] > 0.85  # fitted to so few faces; the thorough test has the number for all
    assert modes.reader(32).read(drawn(range(700, 900))).clear.mean() > 0.99


def test_noise_and_grey_are_unclear(few_faces):
    reader = modes.reader(32)
    noise = rng.integers(0, 256, (40, 32, 32, 3)).astype(np.uint8)
    assert reader.read(noise).clear.mean() < 0.05
    assert not reader.read(np.full((3, 32, 32, 3), 128, np.uint8)).clear.any()


def test_a_yardstick_of_drawn_faces_counts_modes(few_faces, monkeypatch):
    monkeypatch.setattr(metrics, "_MOST_PATCHES", 1 << 13)
    faces = ImageSet(drawn(range(700)), "drawn faces", "00")
    yardstick = Yardstick(faces, samples=200, drawn=True)
    measures, _ = yardstick.measure(drawn(range(700, 900)))
    assert measures["hair_colours"].value == 14
    assert measures["modes"].value == pytest.approx(measures["modes"].real, abs=25)
    blond = modes.true_labels(range(700, 900), modes.FIT_SEED)["hair_colour"] == modes.COLOURS.index("blond")
    fewer = np.resize(drawn(range(700, 900))[blond], (200, 32, 32, 3))
    measures, _ = yardstick.measure(fewer)
    assert measures["hair_colours"].value == 1
    assert measures["modes"].value <= 12
    assert measures["modes_off"].value > 0.9


def test_counting_by_hand():
    n = 168 * 4
    colour, style = np.divmod(np.arange(n) % 168, 12)
    skin = np.searchsorted(np.cumsum(FACTOR_PROBABILITIES["skin"])[:-1], (np.arange(n) + 0.5) / n)
    reading = modes.Reading(colour, style, skin, np.ones(n, bool))
    counts = modes.count(reading)
    assert counts == {
        "clear": 1, "hair_colours": 14, "hair_styles": 12, "skins": 5, "modes": 168, "modes_off": pytest.approx(0)
    }  # fmt: skip
    # Without pink hair: one colour and its twelve modes are missing, and a 14th of the images would have to change.
    fewer = modes.count(modes.Reading(np.where(colour == 8, 7, colour), style, skin, np.ones(n, bool)))
    assert (fewer["hair_colours"], fewer["modes"], fewer["modes_off"]) == (13, 156, pytest.approx(1 / 14))
    # With twice as many images of pink hair: it has 2/15 of them and each other colour 1/15, in place of 1/14 for all.
    twice = np.r_[np.arange(n), np.flatnonzero(colour == 8)]
    skewed = modes.count(modes.Reading(colour[twice], style[twice], skin[twice], np.ones(len(twice), bool)))
    assert skewed["modes_off"] == pytest.approx(13 * (1 / 14 - 1 / 15))
    stray = np.where(colour == 8, 7, colour)
    stray[0] = 8  # one image that is read wrongly does not make a new colour or mode
    assert (
        modes.count(modes.Reading(np.tile(stray, 9), np.tile(style, 9), np.tile(skin, 9), np.ones(9 * n, bool)))[
            "hair_colours"
        ]
        == 13
    )
    unclear = modes.count(modes.Reading(colour, style, skin, np.zeros(n, bool)))
    assert unclear == {
        "clear": 0, "hair_colours": 0, "hair_styles": 0, "skins": 0, "modes": 0, "modes_off": pytest.approx(1)
    }  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize(("size", "least"), [(64, 0.985), (32, 0.96)])
def test_reading_is_as_good_as_the_document_says(size, least):
    modes.reader.cache_clear()
    right = modes.accuracy(size)
    assert right["hair_colour"] >= 0.999
    assert right["skin"] == 1
    assert right["hair_style"] >= least
