"""Plain words for the measures: a sentence that fits the numbers."""

import pytest

from minigan.evaluation.metrics import Measurement
from minigan.evaluation.words import EARLY, describe, early


@pytest.mark.parametrize(
    ("name", "value", "real", "label", "shown", "sentence"),
    [
        ("swd", 12, 10, "sliced Wasserstein distance", "12.0", "as near to real images as these are to each other"),
        ("swd_16", 25, 10, "  at 16x16 pixels", "25.0", "2.5 times as far as real images are from each other"),
        ("distance", 30, 60, "diversity: distance", "30.0", "two samples differ 50 % as much as two real images"),
        ("distance", 30, 0, "diversity: distance", "30.0", "the real images are all equal"),
        ("similarity", 0.5, 0.2, "diversity: MS-SSIM", "0.50", "more alike than real images"),
        ("similarity", 0.1, 0.2, "diversity: MS-SSIM", "0.10", "less alike than real images"),
        ("similarity", 0.21, 0.2, "diversity: MS-SSIM", "0.21", "as varied as real images"),
        ("nearest", 1.01, 1, "nearest training image", "1.01", "as far away as that of a new real image"),
        ("copies", 0.25, 0, "  copies", "25 %", "250 of 1,000 samples are copies of training images"),
        ("skins", 4, 5, "  skins, of 5", "4", "4 kinds are there; real images show 5"),
    ],
)
def test_a_measure_in_words(name, value, real, label, shown, sentence):
    told, form, words = describe(name, Measurement(value, real, 0.01), 1000)
    assert (told, form(value), words) == (label, shown, sentence)


def test_two_halves_that_are_alike_by_chance_are_no_measure_of_chance():
    assert describe("similarity", Measurement(0.205, 0.2, 0.0), 1000)[2] == "as varied as real images"


def test_an_unknown_measure():
    with pytest.raises(KeyError):
        describe("beauty", Measurement(1, 1, 0), 1)


def test_early_numbers_are_no_verdict():
    assert early(200).startswith("After 200 steps, samples are far from real images in a normal run, too")
    assert early(EARLY - 1)
    assert early(EARLY) == ""
