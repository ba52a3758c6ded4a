"""Lesson 10's own exercises: three numbers, the three paths, blind probes, the modes of a training step, the suspects.

The layer itself (`batch_norm`, `batch_norm_inference`, `moving_average`) is checked by `minigan.check`. Here is what
that does not know: answers, the three shares of a gradient, upstream gradients to which a check is blind, and five
backward passes of which four lack something.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import minigan
from lessons.judging import Exercise, Mistake, Verdict, among, is_sequence, number, numbers
from minigan.data.drawn.faces import draw_face
from minigan.nn.backend import Array
from minigan.nn.ops import moving_average as moving_average  # the reference of the lesson's pictures

NormCache = tuple[Array, Array, Array]
"""xhat, gamma and s, as the lesson has it."""


# ------------------------------------------------------------------------------------------------------------ reference
def _axes(x: Array) -> tuple[int, ...]:
    """All but the last."""
    return tuple(range(x.ndim - 1))


def batch_norm_forward(x: Array, gamma: Array, beta: Array, eps: float = 1e-3) -> tuple[Array, NormCache]:
    """Batch normalization with the lesson's cache.

    Parameters
    ----------
    x : Array of shape (..., C)
    gamma, beta : Array of shape (C,)
    eps : float

    Returns
    -------
    y : Array of shape (..., C)
    cache : (xhat, gamma, s)
    """
    s = np.sqrt(x.var(axis=_axes(x)) + eps)
    xhat = (x - x.mean(axis=_axes(x))) / s
    return gamma * xhat + beta, (xhat, gamma, s)


def three_paths(dy: Array, xhat: Array, gamma: Array, s: Array) -> tuple[Array, Array, Array]:
    """Shares of dx that come directly, through the mean, and through the variance; they add up to dx.

    Parameters
    ----------
    dy, xhat : Array of shape (..., C)
    gamma, s : Array of shape (C,)

    Returns
    -------
    direct, through_mean, through_variance : Array of shape (..., C)
    """
    scale = gamma / s
    mean = np.broadcast_to(-scale * dy.mean(axis=_axes(dy)), dy.shape).copy()
    return scale * dy, mean, -scale * xhat * (dy * xhat).mean(axis=_axes(dy))


def right_dx(dy: Array, cache: NormCache) -> Array:
    """The gradient for x, all three paths together.

    Parameters
    ----------
    dy : Array of shape (..., C)
    cache : (xhat, gamma, s)

    Returns
    -------
    Array of shape (..., C)
    """
    return sum(three_paths(dy, *cache))


# -------------------------------------------------------------------------------------------------------- three numbers
def _judge_three_numbers(mean: Any, var: Any, s: Any, y: Any) -> Verdict:
    given = mean, var, s, y
    mean, var, s, y = number(mean), number(var), number(s), numbers(y)
    if any(one is None for one in (mean, var, s, y)):
        told = ", ".join(map(str, given))
        return Verdict.wrong("mean, var and s are numbers, y is three numbers", f"yours: {told}")

    def near(a: Any, b: Any) -> bool:
        return bool(np.allclose(a, b, atol=0.02))

    if not near(mean, 3):
        return Verdict.wrong("the mean is another", f"yours {mean:g}; 2 + 2 + 5 = 9, shared by three")
    if near(var, 3):
        return Verdict.wrong(
            "this variance is divided by N - 1",
            "yours 3 = 6/2: batch normalisation describes its batch and divides by N",
        )
    if near(var, 6):
        return Verdict.wrong("the squares are summed, not averaged", "yours 6 = 1 + 1 + 4")
    if near(var, 11):
        return Verdict.wrong("the mean was not taken off before squaring", "yours 11 = (4 + 4 + 25)/3")
    if not near(var, 2):
        return Verdict.wrong("the variance is another", f"yours {var:g}; the centred values are -1, -1, 2")
    if near(s, np.sqrt(2)):
        return Verdict.wrong("eps is missing under the root", "yours 1.41 = sqrt(2)")
    if near(s, np.sqrt(2) + 0.25):
        return Verdict.wrong("eps belongs under the root", "yours 1.66 = sqrt(2) + 1/4")
    if near(s, 2.25):
        return Verdict.wrong("the root is missing", "yours 2.25 = 2 + 1/4")
    if not near(s, 1.5):
        return Verdict.wrong(
            "the standard deviation is another", f"yours {s:g}; it is the root of the variance plus eps"
        )
    if y.shape != (3,):
        return Verdict.wrong("y holds three numbers, one for each x", f"yours has the shape {y.shape}")
    if near(y, [-2 / 3, -2 / 3, 4 / 3]):
        return Verdict.wrong("that is xhat", "gamma and beta are still to come")
    if near(y, [1 / 3, 1 / 3, 7 / 3]):
        return Verdict.wrong("gamma is missing in y", "yours is xhat + beta")
    if near(y, [-2, -2, 4]):
        return Verdict.wrong("beta is missing in y", "yours is gamma * xhat")
    if near(y, [1, 1, 7]):
        return Verdict.wrong("gamma multiplies beta too", "yours is gamma * (xhat + beta)")
    if not near(y, [-1, -1, 5]):
        return Verdict.wrong("y is another", f"yours {y.tolist()}; it is gamma * (x - mean) / s + beta")
    return Verdict.ok("mean 3, variance 2, s 1.5, y (-1, -1, 5)")


THREE_NUMBERS = Exercise(
    name="three_numbers",
    lesson=10,
    judge=_judge_three_numbers,
    hints=(
        "Follow the table of the worked example, line by line.",
        "The centred values are -1, -1, 2; their squares add up to 6.",
        "s = sqrt(2 + 1/4) = 3/2, so xhat = (-2/3, -2/3, 4/3).",
    ),
    doc="Mean, variance, standard deviation and y of x = (2, 2, 5), gamma 3, beta 1, eps 1/4.",
)


# ---------------------------------------------------------------------------------------------------------- three paths
def _paths_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for shape in ((4, 3), (2, 3, 4, 5), (1, 2, 3, 1)):
        C = shape[-1]
        x = 2 * rng.standard_normal(shape) + rng.standard_normal(C)
        gamma = rng.uniform(0.5, 2, C) * np.where(rng.random(C) < 0.5, -1, 1)
        _, (xhat, gamma, s) = batch_norm_forward(x, gamma, np.zeros(C), 0.05)
        cases.append((rng.standard_normal(shape), xhat, gamma, s))
    return cases


def _paths_with(change: Callable[..., tuple[Array, Array, Array]]) -> Callable[..., Any]:
    """A wrong three_paths that is the right one, changed."""
    return lambda dy, xhat, gamma, s: change(three_paths(dy, xhat, gamma, s), dy, xhat, gamma, s)


def _count(dy: Array) -> int:
    return dy.size // dy.shape[-1]


THREE_PATHS = Exercise(
    name="three_paths",
    lesson=10,
    reference=three_paths,
    cases=_paths_cases,
    mistakes=(
        Mistake(
            _paths_with(lambda p, dy, *_: (p[0], p[1] * _count(dy), p[2] * _count(dy))),
            "the two paths through the statistics are N times too large: a sum stands where a mean belongs",
        ),
        Mistake(
            _paths_with(lambda p, *_: (p[0], -p[1], p[2])), "the sign of the mean's share: it takes something away"
        ),
        Mistake(
            _paths_with(lambda p, *_: (p[0], p[1], -p[2])), "the sign of the variance's share: it takes something away"
        ),
        Mistake(
            _paths_with(lambda p, *_: (p[0], -p[1], -p[2])),
            "the two paths through the statistics have the wrong sign: the mean and the variance take something away",
        ),
        Mistake(
            _paths_with(lambda p, dy, xhat, gamma, s: (p[0] / gamma, p[1] / gamma, p[2] / gamma)), "gamma is missing"
        ),
        Mistake(
            _paths_with(lambda p, dy, xhat, gamma, s: (p[0] * s, p[1] * s, p[2] * s)),
            "nothing is divided by the standard deviation s",
        ),
        Mistake(
            _paths_with(
                lambda p, dy, xhat, gamma, s: (p[0], p[1], -gamma / s * (dy * xhat).mean(axis=_axes(dy)) + 0 * dy)
            ),
            "xhat is missing in front of the mean of dy * xhat: an x moves the variance in proportion to its own xhat",
        ),
        Mistake(
            lambda dy, xhat, gamma, s: (
                gamma / s * dy,
                -gamma / s * dy.mean(axis=0) + 0 * dy,
                -gamma / s * xhat * (dy * xhat).mean(axis=0),
            ),
            "the means run over the batch axis only; of images they run over rows and columns as well",
        ),
        Mistake(
            _paths_with(lambda p, dy, xhat, gamma, s: (p[0] / s, p[1] / s, p[2] / s)),
            "all three are divided by s twice: the front factor is gamma / s",
        ),
        Mistake(
            _paths_with(lambda p, dy, xhat, gamma, s: (p[0], p[1], -gamma / s * xhat * dy.mean(axis=_axes(dy)))),
            "the variance's share takes the mean of dy; it is the mean of dy * xhat",
        ),
        Mistake(
            _paths_with(lambda p, *_: (p[0], p[2], p[1])),
            "the second and the third are exchanged: first the mean's share",
        ),
        Mistake(
            _paths_with(lambda p, *_: (p[0], p[0] + p[1], p[0] + p[1] + p[2])),
            "these are running sums; each of the three should be one path's share alone",
        ),
    ),
    hints=(
        "They are the three terms of the boxed formula, each with its sign and with gamma / s in front.",
        "Means run over all axes but the last. The mean's share is one number per channel: spread it over dy's shape.",
        "gamma/s * dy;  -gamma/s * dy.mean(axes) + np.zeros_like(dy);  -gamma/s * xhat * (dy * xhat).mean(axes)",
    ),
    doc="three_paths(dy, xhat, gamma, s) -> direct, through_mean, through_variance",
)


# --------------------------------------------------------------------------------------------------------- blind probes
def _judge_blind_probes(function: Callable[[Array], Any]) -> Verdict:
    rng = np.random.default_rng(5)
    for shape in ((5, 3), (7, 2)):
        x = 3 * rng.standard_normal(shape) + 2
        given = x.copy()
        answer = function(given)
        if not np.array_equal(given, x):
            return Verdict.wrong("it modifies x", "make new arrays")
        if not is_sequence(answer) or len(answer) != 2:
            kind = "None" if answer is None else f"one {type(answer).__name__}"
            return Verdict.wrong("two arrays are asked for", f"it returns {kind}; write `return first, second`")
        probes = [probe for probe in map(numbers, answer) if probe is not None]
        if len(probes) != 2:
            return Verdict.wrong("two arrays of numbers are asked for", f"it returns {answer!r}")
        _, cache = batch_norm_forward(x, np.ones(shape[1]), np.zeros(shape[1]), 1e-14)
        for which, dy in zip(("first", "second"), probes, strict=True):
            if dy.shape != shape:
                return Verdict.wrong(f"the {which} has the wrong shape", f"{dy.shape} instead of {shape}")
            if not np.isfinite(dy).all():
                return Verdict.wrong(f"the {which} is not finite", f"for x of shape {shape}")
            if (np.abs(dy).max(axis=0) < 1e-9).any():
                return Verdict.wrong(f"the {which} is zero in some channel", "zero is blind, but no probe")
            dx = right_dx(dy, cache)
            share = float(np.abs(dx).max() / np.abs(dy).max())
            if share > 1e-6:
                row, column = np.unravel_index(np.abs(dx).argmax(), dx.shape)
                return Verdict.wrong(
                    f"the {which} is not blind",
                    f"for x of shape {shape} dx at ({row},{column}) is {dx[row, column]:+.3g}, where dy is "
                    f"{dy[row, column]:+.3g}",
                )
        for channel in range(shape[1]):
            pair = np.stack([dy[:, channel] / np.linalg.norm(dy[:, channel]) for dy in probes])
            if np.linalg.svd(pair, compute_uv=False)[-1] < 1e-6:
                return Verdict.wrong(
                    "the second is a multiple of the first", f"in channel {channel}; find another direction"
                )
    return Verdict.ok("two directions that no gradient of a batch normalisation can show")


BLIND_PROBES = Exercise(
    name="blind_probes",
    lesson=10,
    judge=_judge_blind_probes,
    hints=(
        "Which two directions does backward remove from dy? Put each of them in as dy.",
        "One is a constant. The other is xhat; and since constants are removed too, x itself will do.",
        "return np.ones_like(x), x.copy()",
    ),
    doc="blind_probes(x) -> two dy, of the shape of x, for which the right dx is zero",
)


# ---------------------------------------------------------------------------------------------------------------- modes
MODES = {
    "G predicts": "moving",
    "D real": "batch",
    "D fake": "batch",
    "G learns": "batch",
    "D frozen": "batch, still",
}
_WHY_NOT = {
    ("G predicts", "batch"): "predict runs in inference mode; nothing is learnt here, and no statistic moves",
    ("G predicts", "batch, still"): "predict runs in inference mode, with the record",
    ("D real", "moving"): "D learns here, so the gradient has to run through the batch's statistics",
    ("D real", "batch, still"): "D learns here, and its record has to follow",
    ("D fake", "moving"): "D learns here, so the gradient has to run through the batch's statistics",
    ("D fake", "batch, still"): "D learns here too: a step on fakes is a full step of D, record included",
    ("G learns", "moving"): "G learns here, so it normalises with its batch",
    ("G learns", "batch, still"): "if G's record never moved, what would the fakes be made with?",
    ("D frozen", "moving"): "D has to judge as it was trained: with the statistics of a batch of fakes",
    ("D frozen", "batch"): "D is frozen in the generator's step: its record must not move",
}


def _judge_modes(modes: Any) -> Verdict:
    if not isinstance(modes, Mapping) or set(modes) != set(MODES):
        return Verdict.wrong("modes is a dictionary with five entries", "the names: " + ", ".join(MODES))
    if all(mode is None for mode in modes.values()):
        return Verdict.not_yet()
    known = ("moving", "batch", "batch, still")
    strange = [f"{name}: {mode!r}" for name, mode in modes.items() if not among(mode, known)]
    if strange:
        return Verdict.wrong("every mode is one of " + ", ".join(map(repr, known)), *strange)
    wrong = [
        f"{name}: not {modes[name]!r}. {_WHY_NOT[name, modes[name]]}" for name in MODES if modes[name] != MODES[name]
    ]
    if wrong:
        return Verdict.wrong(f"{len(wrong)} of 5 modes are wrong", *wrong)
    return Verdict.ok("the five forward passes of a training step")


MODES_EXERCISE = Exercise(
    name="norm_modes",
    lesson=10,
    judge=_judge_modes,
    hints=(
        "Ask of each pass: does this network learn here? Does it have to behave as it does when it learns?",
        "A network that learns uses and updates. A frozen one does the same, but keeps still. predict uses the record.",
        "In the order of the table: moving, batch, batch, batch, and for the frozen D: batch, still.",
    ),
    doc="The mode of batch normalisation in each forward pass of one training step.",
)


# ------------------------------------------------------------------------------------------------------------- suspects
def _without_mean(dy: Array, cache: NormCache) -> Array:
    direct, _, variance = three_paths(dy, *cache)
    return direct + variance


def _without_variance(dy: Array, cache: NormCache) -> Array:
    direct, mean, _ = three_paths(dy, *cache)
    return direct + mean


def _without_both(dy: Array, cache: NormCache) -> Array:
    return three_paths(dy, *cache)[0]


def _without_gamma(dy: Array, cache: NormCache) -> Array:
    xhat, gamma, s = cache
    return right_dx(dy, (xhat, np.ones_like(gamma), s))


SUSPECTS: dict[str, Callable[[Array, NormCache], Array]] = {
    "a": _without_variance,
    "b": right_dx,
    "c": _without_gamma,
    "d": _without_mean,
    "e": _without_both,
}
"""Five backward passes, dx only; one is right."""

_MISSING = {"a": "variance", "b": "nothing", "c": "gamma", "d": "mean", "e": "both"}
_TRACE = {
    "variance": "a multiple of xhat: a sloping line through the origin",
    "nothing": "zero",
    "gamma": "a multiple of dx itself: against xhat, a cloud",
    "mean": "one constant per channel: a horizontal line",
    "both": "a constant plus a multiple of xhat: a sloping line beside the origin",
}

WRONG_BACKWARDS: dict[str, Callable[[Array, NormCache], Array]] = {
    "right": right_dx,
    "all zeros": lambda dy, cache: np.zeros_like(dy),
    "wrong sign": lambda dy, cache: -right_dx(dy, cache),
    "no gamma": _without_gamma,
    "divided by s twice": lambda dy, cache: right_dx(dy, cache) / cache[2],
    "no variance path": _without_variance,
    "no mean path": _without_mean,
}
"""For the picture of the probes: dx only."""


def _judge_missing(missing: Any) -> Verdict:
    if not isinstance(missing, Mapping) or set(missing) != set(_MISSING):
        return Verdict.wrong("missing is a dictionary with the entries a to e", f"yours: {missing!r}")
    if all(answer is None for answer in missing.values()):
        return Verdict.not_yet()
    strange = [f"{name}: {answer!r}" for name, answer in missing.items() if not among(answer, _TRACE)]
    if strange:
        return Verdict.wrong("every answer is one of " + ", ".join(map(repr, _TRACE)), *strange)
    wrong = [
        f"{name}: if {answer} were missing, the residual would be {_TRACE[answer]}. Look again."
        if answer != "nothing"
        else f"{name}: is its residual zero? Look again."
        for name, answer in missing.items()
        if answer != _MISSING[name]
    ]
    if wrong:
        return Verdict.wrong(f"{len(wrong)} of 5 are wrong", *wrong)
    return Verdict.ok("all five suspects read from their residuals")


MISSING = Exercise(
    name="missing_path",
    lesson=10,
    judge=_judge_missing,
    hints=(
        "Which term of the boxed formula is constant over the channel, and which is a multiple of xhat?",
        "Mean: a horizontal line. Variance: a sloping line through the origin. Both: a line beside it. gamma: a cloud.",
        "a and e slope, d is horizontal, b is zero, c is the cloud.",
    ),
    doc="What each of the five suspects lacks.",
)


# ------------------------------------------------------------------------------------------------------- three opinions
def three_opinions(*, steps: int, batch_size: int = 16, seed: int = 1337) -> dict[str, Array]:
    """What a discriminator says of the same fakes: normalised among themselves, among reals, and by its record.

    Parameters
    ----------
    steps : int
        Training steps on drawn faces of 32 pixels before it is asked.
    batch_size, seed : int

    Returns
    -------
    dict of str to Array of shape (8 * batch_size,)
        Logits: "alone", "mixed" and "record".
    """
    faces = np.stack([draw_face(i, size=32)[0] for i in range(64)]).astype(np.float32) / 127.5 - 1
    gan = minigan.build_gan(image_size=32, width=8, seed=seed)
    rng = np.random.default_rng(seed)

    def reals() -> Array:
        return faces[rng.integers(0, len(faces), batch_size)]

    for step in range(steps):
        minigan.train_step(gan, minigan.draw_inputs(reals(), seed, step))
    logits: dict[str, list[Array]] = {"alone": [], "mixed": [], "record": []}
    for _ in range(8):
        fakes = gan.generator.predict(rng.standard_normal((batch_size, 1, 1, 100)).astype(np.float32))
        for name, x, training in (
            ("alone", fakes, True),
            ("mixed", np.concatenate([fakes, reals()]), True),
            ("record", fakes, False),
        ):
            z, _ = gan.discriminator.forward(x, training=training, update_stats=False)
            logits[name].append(z[:batch_size].ravel())
    return {name: np.concatenate(z) for name, z in logits.items()}


EXERCISES = (THREE_NUMBERS, THREE_PATHS, BLIND_PROBES, MODES_EXERCISE, MISSING)
"""Lesson 10's own exercises."""
