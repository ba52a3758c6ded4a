"""Is my run normal? This module says in plain words what is going wrong in a run, and what to do about it.

The evidence comes from the run folder: the log (losses of every step), the health numbers (vitals.jsonl, see
`minigan.runs.health`), and metrics.jsonl if the faces were measured. Each finding says what was seen, the *band* in
which normal runs lie, and what to do. The bands of the losses come from recorded runs of comparable settings: how far
their medians reach, and some room beyond, because there are few of them. `minigan.evaluate`, report.html and the
trainer show the findings.

A loss says less than one would think. A discriminator that separates everything and one that faces a dead generator
have the same losses, near 0.325, the lowest that soft labels allow; and the losses of a small but healthy run are
nearly as low. Therefore the first things to look at are how far a step moves the weights (with Adam nearly the same in
all healthy runs), how far apart the fakes are, and the images' range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigan.gan.step import G_LEARNING_RATE, METRICS
from minigan.nn.backend import Array
from minigan.runs.config import RunConfig
from minigan.runs.layout import VITALS_NAME
from minigan.runs.run_records import open_config, read_history, read_measurements, read_rows
from minigan.system.command_lines import command

Rows = Sequence[Mapping[str, Any]]

WARM_UP = 100
"""Steps before the losses are judged: at first they are outside every band."""

WINDOW = 200
"""How many of the latest steps are judged, by their medians."""

# The following are true of all recorded runs, for networks of every size and all data.

G_MOVE, D_MOVE = (3e-5, 2e-4), (2e-5, 4e-4)
"""How much a step changes a weight of G and of D (root mean square). They learn at 1.5e-4 and, twice a step, 2e-4."""

MOST_RATES = 4
"""A generator with a larger learning rate may move farther in proportion, up to so many times: more was not tried."""

DEAD_MOVE = 3e-6
"""Below this, a network does not change."""

SPREAD = 0.25
"""Least distance between two fakes, as a share of the distance between two real images; 0.4 to 1 is usual."""

ACCURACY = 0.75
"""Least share of images that a discriminator puts on the right side; 0.93 to 1 is usual."""

ACCURACY_OF_FAST_G = 0.6
"""The same if the generator has a larger learning rate; 0.7 to 1 is usual then, the least in small networks."""

LOSS_FLOOR, LOSS_RUNAWAY = 0.30, 2.0
"""A loss of D below the first is too low: with soft labels it cannot stay below 0.325, however good D is. No recorded
run recovered from a loss above the second."""

D_ROOM, G_ROOM = 0.08, 0.6
"""How much farther than in the recorded runs a median of a loss may lie. Three full runs of the same configuration, on
different faces, are up to 0.04 (D) and 0.15 (G) apart; and one run's medians over 200 steps go up and down as much."""

_HEALTH_ROWS = 8


@dataclass(frozen=True)
class Band:
    """Where the medians of a normal run lie.

    Attributes
    ----------
    name : str
        The runs that it was taken from: which settings, data and number of images, and which of their steps.
    d_real, d_fake, g : tuple of float
        Lowest and highest median of a loss.
    """

    name: str
    d_real: tuple[float, float]
    d_fake: tuple[float, float]
    g: tuple[float, float]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or unusual in a run.

    Attributes
    ----------
    severity : str
        "error": the run is broken, stop it; "warning": it is probably going wrong; "note": unusual, look at the faces.
    code : str
        Short name, one of `CODES`.
    title : str
        What is wrong, in a few words.
    evidence : str
        What was seen: the numbers, and the band in which they should lie.
    band : str
        Where that band comes from.
    advice : str
        What to do.
    """

    severity: str
    code: str
    title: str
    evidence: str
    band: str
    advice: str


CODES = {
    "not-finite": "a loss or a weight is NaN or infinite",
    "data-range": "the training images are not in the range -1 to 1",
    "exploding": "the weights move too far in a step, or the losses have run away",
    "nothing-learned": "neither network changes",
    "generator-dead": "the generator does not change",
    "discriminator-dead": "the discriminator does not change",
    "discriminator-too-strong": "the discriminator leaves the generator behind",
    "discriminator-lost": "the discriminator cannot follow the generator",
    "mode-collapse": "the fakes look alike",
    "memorising": "fakes are copies of training images",
    "unusual": "the losses are outside the band of comparable runs, and no cause was found",
}
"""Every code and its meaning. Findings are listed in this order, the most telling first."""


# ---------------------------------------------------------------------------------------------------------------------
# Bands of the losses.
# ---------------------------------------------------------------------------------------------------------------------


def _seen(name: str, *, d: float, g: tuple[float, float]) -> Band:
    """The band of runs in which the medians of D's losses came up to `d`, and those of G's loss lay in `g`.

    How low D's losses came is not asked. The longer a run, the nearer they come to 0.325, the lowest that soft labels
    allow, and a healthy run comes as near as a sick one; which of the two it is, the weights' moves and the fakes tell.
    """
    d_limits = (LOSS_FLOOR, d + D_ROOM)
    return Band(name, d_limits, d_limits, (g[0] - G_ROOM, g[1] + G_ROOM))


_REAL = "the article's configuration on real faces"
_ARTICLE_ON_REAL = {
    0: _seen(f"{_REAL}, steps 100 to 999 (runs on about 22,000, 15,851 and 13,803 images)", d=0.46, g=(2.48, 2.85)),
    1000: _seen(
        f"{_REAL}, steps 1,000 to 2,499 (runs on about 22,000, 15,851 and 13,803 images)", d=0.41, g=(2.48, 2.77)
    ),
    2500: _seen(
        f"{_REAL}, from step 2,500 on (full runs on about 22,000, 15,851 and 13,803 images)", d=0.39, g=(2.26, 2.54)
    ),
}
"""By the first step. 22,000: the author's own log; 13,803 and 15,851: minigan."""

_DRAWN = "the article's configuration on drawn faces"
_ARTICLE_ON_DRAWN = {
    0: _seen(f"{_DRAWN}, steps 100 to 999 (two runs on 20,000 images)", d=0.41, g=(2.48, 2.77)),
    1000: _seen(f"{_DRAWN}, steps 1,000 to 2,499 (two runs on 20,000 images)", d=0.39, g=(2.38, 2.71)),
    2500: _seen(f"{_DRAWN}, from step 2,500 on (a full run on 20,000 images)", d=0.37, g=(2.26, 2.47)),
}
_OTHER_TRAINING = _seen(
    "runs with --translate or --g-learning-rate 0.0003 (20 of 1,000 to 10,000 steps, on drawn and on real faces)",
    d=0.62,
    g=(0.97, 2.95),
)
_ANYTHING = _seen("runs of any other configuration (of many sizes, up to 8,000 steps)", d=0.48, g=(1.5, 3.2))


def band_of(config: RunConfig, step: int) -> Band:
    """The band for a run's settings.

    Parameters
    ----------
    config : RunConfig
    step : int
        Finished steps.

    Returns
    -------
    Band
    """
    if config.translate or config.g_learning_rate != G_LEARNING_RATE:
        return _OTHER_TRAINING
    size = (config.image_size, config.width, config.batch_size)
    if size == (64, 64, 64):
        bands = _ARTICLE_ON_DRAWN if config.data is None else _ARTICLE_ON_REAL
        begins = max(step - WINDOW, 0)  # the steps that are judged
        return next(band for first, band in reversed(bands.items()) if begins >= first)
    return _ANYTHING


# ---------------------------------------------------------------------------------------------------------------------
# The diagnosis.
# ---------------------------------------------------------------------------------------------------------------------


def diagnose_run(run: Path) -> list[Finding]:
    """Diagnose a run by its folder; it may be finished or still running.

    Parameters
    ----------
    run : Path

    Returns
    -------
    list of Finding
        The most telling first. Empty if nothing looks wrong, or if it is too early to say.

    Raises
    ------
    UserError
        If it is not a run folder.
    OSError
        If one of its files cannot be read.
    """
    config, _ = open_config(run)
    steps, history = read_history(run)
    return diagnose_numbers(config, steps, history, read_rows(run, VITALS_NAME), read_measurements(run))


def diagnose_numbers(
    config: RunConfig, steps: Array, history: Array, vitals: Rows, metrics: Rows = ()
) -> list[Finding]:
    """Diagnose a run by its numbers.

    Parameters
    ----------
    config : RunConfig
    steps : numpy.ndarray of shape (T,)
    history : numpy.ndarray of shape (T, 6)
        `minigan.gan.step.METRICS` of the steps.
    vitals : sequence of mapping
        Rows of vitals.jsonl.
    metrics : sequence of mapping
        Measurements, as `minigan.runs.run_records.read_measurements` gives them. The last one counts, if at least half
        of the steps were done then.

    Returns
    -------
    list of Finding
        As `diagnose_run`.
    """
    case = _Case(config, steps, history, vitals, metrics)
    found = {finding.code: finding for look in _LOOKS if (finding := look(case)) is not None}
    for code, covered in _EXPLAINS.items():
        if code in found:
            for other in covered:
                found.pop(other, None)
    if len(found) > 1:
        found.pop("unusual", None)
    return [found[code] for code in CODES if code in found]


class _Case:
    """The numbers that a run is judged by."""

    def __init__(self, config: RunConfig, steps: Array, history: Array, vitals: Rows, metrics: Rows) -> None:
        self.done = int(steps[-1]) + 1 if len(steps) else 0
        self.band = band_of(config, self.done)
        rates = min(max(1.0, config.g_learning_rate / G_LEARNING_RATE), MOST_RATES)
        self.g_move = (G_MOVE[0], rates * G_MOVE[1])
        self.least_accuracy = ACCURACY_OF_FAST_G if rates > 1 else ACCURACY
        finite = np.isfinite(history).all(axis=1)
        self.window = history[finite & (steps >= max(WARM_UP, self.done - WINDOW))]
        self.losses_judged = len(self.window) >= WARM_UP // 2
        self.stopped = next((str(row["not_finite"]) for row in vitals if "not_finite" in row), None)
        self.health_rows = [row for row in vitals if "not_finite" not in row]
        # The health numbers of the first steps say nothing yet, except about the images.
        self.recent = [row for row in self.health_rows if row["step"] >= WARM_UP // 2][-_HEALTH_ROWS:]
        self.several = config.batch_size > 1  # a batch of one image has no spread
        newest = metrics[-1] if metrics else {}
        measures, self.measured_after = newest.get("measures"), newest.get("step", self.done)
        early = self.measured_after < max(WARM_UP, self.done // 2)  # what the faces were like says little about now
        self.metrics = measures if isinstance(measures, dict) and not early else {}

    def median(self, name: str) -> float:
        """Median of a logged metric over the window."""
        return float(np.median(self.window[:, METRICS.index(name)]))

    def health(self, name: str) -> float | None:
        """Median of a health number over the latest rows; None if there are too few. NaN counts as infinite."""
        values = [_number(row[name], math.inf) for row in self.recent if name in row]
        return float(np.median(values)) if len(values) > 1 else None

    def measured(self, name: str) -> tuple[float, float] | None:
        """A metric of the latest measurement: its value for the samples, and for real images."""
        entry = self.metrics.get(name)
        if not isinstance(entry, dict):
            return None
        value, real = _number(entry.get("value"), math.nan), _number(entry.get("real"), math.nan)
        return None if math.isnan(value) or math.isnan(real) else (value, real)

    def when(self) -> str:
        """Of which step a measurement is, in words; "" if it is of the newest."""
        return f" (after {self.measured_after:,} of {self.done:,} steps)" if self.measured_after < self.done else ""

    def is_fast(self, network: str) -> bool:
        """Whether a network's ("g" or "d") weights move too far."""
        move = self.health(f"{network}_move")
        return move is not None and move > (self.g_move if network == "g" else D_MOVE)[1]

    def is_dead(self, network: str) -> bool:
        """Whether a network's weights hardly move."""
        move = self.health(f"{network}_move")
        return move is not None and move < DEAD_MOVE

    def moves(self) -> str:
        """How far both networks' weights move, in words."""
        g, d = self.health("g_move"), self.health("d_move")
        return (
            f"a step changes a weight of the generator by {_size(g)} (normal: {_span(self.g_move)}) and one of the "
            f"discriminator by {_size(d)} (normal: {_span(D_MOVE)})"
        )

    def losses(self) -> str:
        """The losses, in words."""
        band = self.band
        told = [
            f"{words} {self.median(name):.3g} (normal: {_span(limits)})"
            for words, name, limits in (
                ("D real", "d_real", band.d_real),
                ("D fake", "d_fake", band.d_fake),
                ("G", "g", band.g),
            )
        ]
        return f"median losses of the last {len(self.window)} steps: {', '.join(told)}"


def _number(value: object, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else otherwise


def _size(value: float | None) -> str:
    return "an unknown amount" if value is None else f"{value:.2g}"


def _span(limits: tuple[float, float]) -> str:
    return f"{limits[0]:.3g} to {limits[1]:.3g}"


_ALL_RUNS = "all of minigan's recorded runs"


def _not_finite(case: _Case) -> Finding | None:
    if case.stopped is None:
        return None
    return Finding(
        "error",
        "not-finite",
        "The numbers have run away: a loss or a weight is infinite or NaN",
        case.stopped,
        "every number must be finite",
        "Go on from the last checkpoint only after lowering the learning rates, or looking for a division by zero or a "
        "logarithm of zero in code of your own; nothing can be learned from these weights any more.",
    )


def _data_range(case: _Case) -> Finding | None:
    rows = [
        (_number(row.get("real_low"), math.nan), _number(row.get("real_high"), math.nan), row.get("real_spread"))
        for row in case.health_rows
        if {"real_low", "real_high", "real_spread"} <= row.keys()
    ]
    if not rows:
        return None
    low, high = min(row[0] for row in rows), max(row[1] for row in rows)
    spread = max(_number(row[2], math.nan) for row in rows)
    seen = f"the pixels shown to the discriminator lie between {low:.3g} and {high:.3g}"
    advice = "Bring pixels p of 0..255 to -1..1 by p / 127.5 - 1, as the generator's tanh does; then start a new run."
    if not (low >= -1.001 and high <= 1.001):  # NaN is not in the range, either
        title = "The training images are not in the range -1 to 1"
    elif low > -0.02 and len(rows) > 1:
        title = "The training images use only half of the range: 0 to 1 instead of -1 to 1"
    elif high - low < 0.1 or (case.several and spread < 0.02):
        title = "The training images are all alike: nearly one colour, or one image many times"
        seen += f", and two images differ by {spread:.2g} on average" if case.several else ""
        advice = "Look at them. If they are black, numbers from 0 to 1 were probably saved where 0 to 255 were meant."
    else:
        return None
    seen += "; they should use most of -1 to 1"
    return Finding("error", "data-range", title, seen, "the range of the generator's tanh", advice)


def _exploding(case: _Case) -> Finding | None:
    ran_away = case.losses_judged and max(case.median("d_real"), case.median("d_fake")) > LOSS_RUNAWAY
    died_of_it = _leapt(case) and (case.is_dead("g") or case.is_dead("d"))
    if not ((case.is_fast("g") and case.is_fast("d")) or died_of_it or (ran_away and not case.is_dead("d"))):
        return None
    return Finding(
        "error",
        "exploding",
        "The training has exploded: the steps are far too large"
        if ran_away or died_of_it
        else "Both networks' steps are too large",
        f"{case.moves()}; {case.losses()}" if case.losses_judged else case.moves(),
        f"{_ALL_RUNS}; losses: {case.band.name}",
        "Lower both learning rates (the article's are 0.0002 and 0.00015) and start again: weights that have leapt "
        "away do not find back.",
    )


def _leapt(case: _Case) -> bool:
    """Whether a step moved the weights ten times too far. After such a step, the weights may not move any more."""
    return any(
        _number(row.get(name, 0), math.inf) > 10 * limits[1]
        for row in case.health_rows
        for name, limits in (("g_move", G_MOVE), ("d_move", D_MOVE))
    )


def _nothing_learned(case: _Case) -> Finding | None:
    if not (case.is_dead("g") and case.is_dead("d")):
        return None
    return Finding(
        "error",
        "nothing-learned",
        "Nothing is being learned: neither network changes",
        case.moves(),
        _ALL_RUNS,
        "Are the learning rates zero, or are the gradients? Check an optimizer or a backward pass of your own with "
        "python -m minigan.check.",
    )


def _generator_dead(case: _Case) -> Finding | None:
    if not case.is_dead("g"):
        return None
    return Finding(
        "error",
        "generator-dead",
        "The generator is dead: it does not change, whatever the discriminator says",
        case.moves(),
        _ALL_RUNS,
        "Is its learning rate zero or far too small? Do gradients reach it? Is the discriminator's input gradient "
        "computed in the generator's step, and is the loss inside the range where it has one?",
    )


def _discriminator_dead(case: _Case) -> Finding | None:
    if not case.is_dead("d"):
        return None
    return Finding(
        "error",
        "discriminator-dead",
        "The discriminator is dead: it does not change, and the generator has nobody to learn from",
        case.moves(),
        _ALL_RUNS,
        "Is its learning rate zero or far too small, or was it left frozen after the generator's step?",
    )


def _discriminator_too_strong(case: _Case) -> Finding | None:
    if not case.losses_judged:
        return None
    beaten = max(case.median("d_real"), case.median("d_fake")) < LOSS_FLOOR
    g, d = case.health("g_move"), case.health("d_move")
    outpaced = g is not None and d is not None and d > 8 * max(g, DEAD_MOVE) and not case.is_fast("g")
    if not (beaten or case.is_fast("d") or outpaced) or case.median("accuracy") < 0.8:
        return None
    right = f"the discriminator is right about {100 * case.median('accuracy'):.0f} % of the images"
    return Finding(
        "warning",
        "discriminator-too-strong",
        "The discriminator is too strong: it learns faster than the generator can follow",
        f"{right}; {case.moves()}; {case.losses()}",
        f"{_ALL_RUNS}; losses: {case.band.name}",
        "Lower the discriminator's learning rate (the article's is 0.0002, the generator's 0.00015), train it once per "
        "step on each kind of image, and keep its labels soft (real 0.8 to 1, fake 0 to 0.2).",
    )


def _discriminator_lost(case: _Case) -> Finding | None:
    if not case.losses_judged or case.median("accuracy") >= case.least_accuracy:
        return None
    cause = ": the generator's steps are too large for it to follow" if case.is_fast("g") else ""
    right, least = 100 * case.median("accuracy"), 100 * case.least_accuracy
    return Finding(
        "error",
        "discriminator-lost",
        f"The discriminator has lost{cause or ', and has nothing to teach: it cannot tell fakes from real images'}",
        f"it is right about {right:.0f} % of the images (normal: more than {least:.0f} %); {case.moves()}; "
        f"{case.losses()}",
        f"{_ALL_RUNS}; losses: {case.band.name}",
        "Unless the fakes are excellent, the generator's steps are too large or the discriminator's too small, or its "
        "labels are exchanged: set the learning rates to the article's (generator 0.00015, discriminator 0.0002).",
    )


def _mode_collapse(case: _Case) -> Finding | None:
    fake, real = case.health("fake_spread"), case.health("real_spread")
    seen, bands = [], []
    if fake is not None and real is not None and fake < SPREAD * real:
        seen.append(
            f"two fakes of a batch differ by {fake:.2g} on average, two real images by {real:.2g} (normal: at least "
            f"{100 * SPREAD:.0f} % of that)"
        )
        bands.append(_ALL_RUNS)
    distance = case.measured("distance")
    if distance is not None and distance[0] < SPREAD * distance[1]:
        seen.append(
            f"two samples differ by {distance[0]:.3g} grey levels on average, two real images by {distance[1]:.3g}"
            f"{case.when()}"
        )
        bands.append("real images against real ones")
    clear, kinds = case.measured("clear"), case.measured("modes")
    if clear is not None and kinds is not None and clear[0] > 0.5 and kinds[0] < 0.25 * kinds[1]:
        seen.append(f"only {kinds[0]:.0f} kinds of face appear where real images show {kinds[1]:.0f}{case.when()}")
        bands.append("real images against real ones")
    if not seen:
        return None
    fast = f"; {case.moves()}" if case.is_fast("g") else ""
    return Finding(
        "error",
        "mode-collapse",
        "Mode collapse: the generator draws nearly the same face whatever the noise",
        "; ".join(seen) + fast,
        "; ".join(dict.fromkeys(bands)),
        "Is the noise fresh for every image of the batch, and are the steps small enough? A collapsed generator "
        "seldom recovers: go back to a saved network from before, with a smaller learning rate for the generator.",
    )


def _memorising(case: _Case) -> Finding | None:
    copies = case.measured("copies")
    if copies is None or copies[0] < copies[1] + 0.05:
        return None
    return Finding(
        "warning",
        "memorising",
        "The generator copies training images",
        f"{100 * copies[0]:.0f} % of the samples are copies; of real images beside the other real ones "
        f"{100 * copies[1]:.0f} % would pass for one{case.when()}",
        "real images held out in turn",
        "Look at the nearest neighbours in evaluation.png. More or more varied images help, a smaller network, or "
        "stopping earlier.",
    )


def _unusual(case: _Case) -> Finding | None:
    band = case.band
    if len(case.window) < WINDOW // 2:
        return None
    outside = [
        name
        for name, (low, high) in (("d_real", band.d_real), ("d_fake", band.d_fake), ("g", band.g))
        if not low <= case.median(name) <= high
    ]
    if not outside:
        return None
    return Finding(
        "note",
        "unusual",
        "The losses are not where comparable runs have them",
        case.losses(),
        band.name,
        "That may be the data or a changed setting. Look at faces.png; python -m minigan.evaluate measures the faces.",
    )


_LOOKS: tuple[Callable[[_Case], Finding | None], ...] = (
    _not_finite,
    _data_range,
    _exploding,
    _nothing_learned,
    _generator_dead,
    _discriminator_dead,
    _discriminator_too_strong,
    _discriminator_lost,
    _mode_collapse,
    _memorising,
    _unusual,
)

_UNBALANCED = ("discriminator-too-strong", "discriminator-lost")
_DEAD = ("nothing-learned", "generator-dead", "discriminator-dead")
_EXPLAINS = {
    "not-finite": ("exploding", *_DEAD, *_UNBALANCED),
    "data-range": ("discriminator-too-strong", "mode-collapse"),
    "exploding": (*_DEAD, *_UNBALANCED),
    "nothing-learned": ("generator-dead", "discriminator-dead", *_UNBALANCED),
    "generator-dead": ("discriminator-too-strong",),
    "discriminator-dead": ("discriminator-lost",),
}
"""The findings that follow from a finding, and are therefore left out beside it."""


def one_liner(findings: Sequence[Finding], run: Path) -> str | None:
    """The most telling finding in one line, None if there is none.

    Parameters
    ----------
    findings : sequence of Finding
    run : Path
        The folder of the run that they are about.
    """
    if not findings:
        return None
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"Diagnosis: {findings[0].title}{more}; details: {command('minigan.evaluate', run, '--diagnosis')}"
