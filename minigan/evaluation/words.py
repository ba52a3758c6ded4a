"""Plain words for a measure: its label, the format of its numbers, and one sentence.

The measures come from `minigan.evaluation.metrics`. The words go to the table of `minigan.evaluate` and to report.html.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from minigan.system.wording import plural

if TYPE_CHECKING:
    from minigan.evaluation.metrics import Measurement


def describe(name: str, m: Measurement, count: int) -> tuple[str, Callable[[float], str], str]:
    """The label of a measure, a function that formats its numbers, and a sentence about them.

    Parameters
    ----------
    name : str
        A key of what `minigan.evaluation.metrics.Yardstick.measure` returns.
    m : Measurement
    count : int
        How many samples were measured.

    Raises
    ------
    KeyError
        If there is no such measure.
    """
    if name.startswith("swd"):
        side = name.removeprefix("swd_")
        label = "sliced Wasserstein distance" if name == "swd" else f"  at {side}x{side} pixels"
        return label, _one_digit, _swd_words(m)
    if name in _KINDS:
        return _KINDS[name], _whole, f"{m.value:.0f} kinds are there; real images show {m.real:.0f}"
    return {
        "distance": ("diversity: distance", _one_digit, _distance_words(m)),
        "similarity": ("diversity: MS-SSIM", _two_digits, _similarity_words(m)),
        "nearest": ("nearest training image", _two_digits, _nearest_words(m)),
        "copies": ("  copies", _percent, f"{m.value * count:.0f} of {count:,} samples are copies of training images"),
        "clear": (
            "drawn faces: clear",
            _percent,
            "of the samples are clear enough to say which kind of face they are",
        ),
        "modes_off": (
            "  of the wrong kind",
            _percent,
            "would have to change to make all kinds as frequent as in the data",
        ),
    }[name]


EARLY = 2000
"""Fewer finished steps than this are early: in the recorded runs the faces were still far from real ones."""


def early(step: int) -> str:
    """What to bear in mind about the measures of a run that has just begun; empty for a later one.

    Parameters
    ----------
    step : int
        Finished steps.
    """
    if step >= EARLY:
        return ""
    return (
        f"After {plural(step, 'step')}, samples are far from real images in a normal run, too: the article trains for "
        "10,000. What counts is whether the numbers get better from one measurement to the next."
    )


_KINDS = {
    "hair_colours": "  hair colours, of 14",
    "hair_styles": "  hair styles, of 12",
    "skins": "  skins, of 5",
    "modes": "  colour and style, of 168",
}


def _one_digit(value: float) -> str:
    return f"{value:.1f}"


def _two_digits(value: float) -> str:
    return f"{value:.2f}"


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _swd_words(m: Measurement) -> str:
    if m.real <= 0:
        return "the real images are all equal"
    ratio = m.value / m.real
    if ratio < 1.5:
        return "as near to real images as these are to each other"
    return f"{ratio:.1f} times as far as real images are from each other"


def _distance_words(m: Measurement) -> str:
    if m.real <= 0:
        return "the real images are all equal"
    return f"two samples differ {_percent(m.value / m.real)} as much as two real images"


def _similarity_words(m: Measurement) -> str:
    if abs(m.value - m.real) <= max(0.01, 2 * m.noise):
        return "as varied as real images"
    return "more alike than real images" if m.value > m.real else "less alike than real images"


def _nearest_words(m: Measurement) -> str:
    if abs(m.value - 1) <= max(0.02, 2 * m.noise):
        return "as far away as that of a new real image"
    return f"{m.value:.2f} times as far away as that of a new real image"
