"""Lesson 6, a GAN in the plane: a density that does not underflow, modes counted, a round of the game, sick runs.

Both training steps are exercises of `minigan.check`. Here is what they need around them: `gan_round` is judged by
stand-ins that write down who was called with what; `rescue` trains with the settings it is given, three times;
`PATIENTS` are runs with one fault each, to be told by looking at them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lessons import fast, plane_gan
from lessons.judging import Exercise, Mistake, Verdict, is_sequence, name_faults, number
from minigan.nn.backend import Array
from minigan.nn.losses import bce_with_logits_backward, bce_with_logits_forward


# --------------------------------------------------------------------------------------------- a mixture's log density
def mixture_log_density(x: Array, centres: Array, sigma: float) -> Array:
    """Logarithm of the density of equal round Gaussians around `centres` (M, 2), at the places x (N, 2): (N,)."""
    return _from_exponents(_exponents(x, centres, sigma), sigma)


def _from_exponents(e: Array, sigma: float) -> Array:
    top = e.max(axis=1)
    result: Array = top + np.log(np.exp(e - top[:, None]).mean(axis=1)) - math.log(2 * math.pi * sigma**2)
    return result


def _exponents(x: Array, centres: Array, sigma: float) -> Array:
    squared = ((x[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2)  # (N, M)
    return -squared / (2 * sigma**2)


def _density_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    near = [
        (rng.standard_normal((N, 2)), rng.standard_normal((M, 2)), sigma)
        for N, M, sigma in ((3, 2, 1.0), (5, 1, 0.5), (4, 7, 1.7), (1, 3, 0.8))
    ]
    far = (np.array([[0.0, 0.0], [30.0, -40.0], [2.0, 0.1]]), plane_gan.ring_centres(), plane_gan.SIGMA)
    return [*near, far]


def _naive(x: Array, centres: Array, sigma: float) -> Array:
    e = _exponents(x, centres, sigma)
    return np.log(np.exp(e).mean(axis=1)) - math.log(2 * math.pi * sigma**2)


def _summed(x: Array, centres: Array, sigma: float) -> Array:
    return mixture_log_density(x, centres, sigma) + math.log(len(centres))


def _unnormalised(x: Array, centres: Array, sigma: float) -> Array:
    return mixture_log_density(x, centres, sigma) + math.log(2 * math.pi * sigma**2)


def _one_dimensional(x: Array, centres: Array, sigma: float) -> Array:
    return mixture_log_density(x, centres, sigma) + 0.5 * math.log(2 * math.pi * sigma**2)


def _mean_of_logs(x: Array, centres: Array, sigma: float) -> Array:
    return _exponents(x, centres, sigma).mean(axis=1) - math.log(2 * math.pi * sigma**2)


def _without_half(x: Array, centres: Array, sigma: float) -> Array:
    return mixture_log_density(x, centres, sigma / math.sqrt(2)) - math.log(2)


def _without_square(x: Array, centres: Array, sigma: float) -> Array:
    root = math.sqrt(sigma)
    return mixture_log_density(x, centres, root) + math.log(root**2) - math.log(sigma**2)


def _not_the_logarithm(x: Array, centres: Array, sigma: float) -> Array:
    return np.exp(mixture_log_density(x, centres, sigma))


# -------------------------------------------------------------------------------------------------------- count modes
def count_modes(points: Array, centres: Array, radius: float, least: float) -> int:
    """How many centres have at least the share `least` of all points within `radius`."""
    distance = np.linalg.norm(points[:, None] - centres, axis=2)  # (N, M)
    return int(((distance <= radius).mean(axis=0) >= least).sum())


def _count_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    centres = plane_gan.ring_centres()
    spread = centres[rng.integers(8, size=200)] + 0.1 * rng.standard_normal((200, 2))
    one = centres[3] + 0.1 * rng.standard_normal((60, 2))
    stray = np.concatenate([centres[2] + 0.05 * rng.standard_normal((99, 2)), centres[6:7]])  # one point in 100
    edge = np.repeat(centres[:2], [1, 3], axis=0)  # a quarter and three quarters
    outside = np.concatenate([0.6 * centres, centres[:1]])
    just_outside = np.concatenate([0.73 * centres, centres[1:3]])  # the squares of these distances are below the radius
    far = np.concatenate([centres[:4] * 1.15, 0.5 * centres[4:]])  # four at two thirds of the radius, four far out
    return [
        (far, centres, 0.45, 0.1),
        (centres[:2], centres[:3], 0.45, 0.1),  # no centre lies opposite to another
        (spread, centres, 0.45, 0.02),
        (one, centres, 0.45, 0.02),
        (stray, centres, 0.45, 0.02),
        (edge, centres, 0.45, 0.25),
        (outside, centres, 0.45, 0.05),
        (just_outside, centres, 0.45, 0.05),
        (rng.standard_normal((50, 2)), centres[:5], 0.3, 0.1),
    ]


def _any_point(points: Array, centres: Array, radius: float, least: float) -> int:
    return int((np.linalg.norm(points[:, None] - centres, axis=2) <= radius).any(axis=0).sum())


def _points_counted(points: Array, centres: Array, radius: float, least: float) -> int:
    return int((np.linalg.norm(points[:, None] - centres, axis=2) <= radius).any(axis=1).sum())


def _squared_distance(points: Array, centres: Array, radius: float, least: float) -> int:
    squared = ((points[:, None] - centres) ** 2).sum(axis=2)
    return int(((squared <= radius).mean(axis=0) >= least).sum())


def _nearest_only(points: Array, centres: Array, radius: float, least: float) -> int:
    nearest = np.linalg.norm(points[:, None] - centres, axis=2).argmin(axis=1)
    return int((np.bincount(nearest, minlength=len(centres)) / len(points) >= least).sum())


def _outside(points: Array, centres: Array, radius: float, least: float) -> int:
    distance = np.linalg.norm(points[:, None] - centres, axis=2)
    return int(((distance > radius).mean(axis=0) >= least).sum())


def _by_axis(points: Array, centres: Array, radius: float, least: float) -> int:
    distance = np.abs(points[:, None] - centres).max(axis=2)
    return int(((distance <= radius).mean(axis=0) >= least).sum())


def _more_than(points: Array, centres: Array, radius: float, least: float) -> int:
    distance = np.linalg.norm(points[:, None] - centres, axis=2)
    return int(((distance <= radius).mean(axis=0) > least).sum())


# --------------------------------------------------------------------------------------------------------- a gan round
Round = Callable[..., Any]


def gan_round(
    d_step: Callable[[Array, Array], Any],
    g_step: Callable[[Array, Array], Any],
    G: Any,
    draw_real: Callable[[], Array],
    draw_noise: Callable[[], Array],
    d_steps: int = 1,
    g_steps: int = 1,
) -> tuple[Any, Any, Any]:
    """D steps on real and on fake points, then G steps; the last losses of each."""
    for _ in range(d_steps):
        x = draw_real()
        fakes = G.predict(draw_noise())
        ones = np.ones((len(x), 1), np.float32)
        d_real = d_step(x, ones)
        d_fake = d_step(fakes, 0 * ones)
    for _ in range(g_steps):
        g = g_step(draw_noise(), ones)
    return d_real, d_fake, g


class _Game:
    """Stand-ins for everything a round calls; `calls` is what was called, in order, by whom it was drawn."""

    def __init__(self, seed: int) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._rng = np.random.default_rng(seed)
        self._drawn: list[tuple[str, Array]] = []

    def draw_real(self) -> Array:
        return self._draw("real", 2)

    def draw_noise(self) -> Array:
        return self._draw("noise", plane_gan.NOISE_SIZE)

    def predict(self, noise: Array, **_: Any) -> Array:
        """G's forward in inference mode: `G` is this object."""
        fakes = self._draw("fakes", 2)
        self.calls.append(("predict", self._name(noise)))
        return fakes

    def forward(self, noise: Array, *, training: bool, update_stats: bool = True) -> tuple[Array, None]:
        """The long way to `predict`; in training mode it is noted as such."""
        fakes = self.predict(noise)
        if training:
            self.calls[-1] = ("train", *self.calls[-1][1:])
        return fakes, None

    def d_step(self, x: Array, labels: Array) -> float:
        return self._step("D", x, labels)

    def g_step(self, noise: Array, labels: Array) -> float:
        return self._step("G", noise, labels)

    def _step(self, who: str, x: Array, labels: Array) -> float:
        labels = np.asarray(labels)
        if labels.shape != (len(x), 1):
            told = f"of shape {labels.shape} for {len(x)} points"
        else:
            values = np.unique(labels)
            told = f"{values[0]:g}" if len(values) == 1 else "mixed"
        self.calls.append((who, self._name(x), told))
        return 100.0 + len(self.calls)

    def _draw(self, kind: str, width: int) -> Array:
        array = self._rng.standard_normal((5, width)).astype(np.float32)
        self._drawn.append((f"{kind} {1 + sum(k.split()[0] == kind for k, _ in self._drawn)}", array))
        return array

    def _name(self, array: Any) -> str:
        for name, drawn in self._drawn:
            if array is drawn or (np.shape(array) == drawn.shape and np.array_equal(array, drawn)):
                return name
        return f"an array of shape {np.shape(array)}"


def _watched(function: Round, d_steps: int, g_steps: int) -> tuple[list[tuple[Any, ...]], Any]:
    spies = _Game(6)
    result = function(spies.d_step, spies.g_step, spies, spies.draw_real, spies.draw_noise, d_steps, g_steps)
    return spies.calls, result


def _told_calls(calls: list[tuple[Any, ...]]) -> str:
    names = {"predict": "G.predict", "train": "G.forward"}
    told = [
        f"{names[who]}({rest[0]})" if who in names else f"{who.lower()}_step({rest[0]}, labels {rest[1]})"
        for who, *rest in calls
    ]
    return "; ".join(told) or "nothing"


def _judge_round(function: Round) -> Verdict:
    for d_steps, g_steps in ((1, 1), (3, 1), (1, 2)):
        calls, result = _watched(function, d_steps, g_steps)
        if not is_sequence(result) or len(result) != 3 or any(number(loss) is None for loss in result):
            return Verdict.wrong(
                f"gan_round must return three losses, d_real, d_fake and g, got {result!r}", code="E11"
            )
        trouble = _trouble(calls, d_steps, g_steps)
        if trouble:
            return Verdict.wrong(
                trouble[0],
                f"d_steps = {d_steps}, g_steps = {g_steps}: you called {_told_calls(calls)}",
                cause=trouble[1],
                code="E83",
            )
        last = {who: 101.0 + k for k, (who, *_) in enumerate(_kinds(calls))}
        expected = (last["D real"], last["D fakes"], last["G noise"])
        if tuple(map(float, result)) != expected:
            return Verdict.wrong(
                "the losses are not the last of each kind, in the order d_real, d_fake, g",
                f"yours are the calls number {', '.join(str(int(r) - 100) for r in result)} of: {_told_calls(calls)}",
                code="E87",
            )
    return Verdict.ok("order, labels, fresh noise, losses")


def _kinds(calls: list[tuple[Any, ...]]) -> list[tuple[str, str]]:
    return [(f"{c[0]} {c[1].split()[0]}", c[2] if len(c) > 2 else "") for c in calls]


def _trouble(calls: list[tuple[Any, ...]], d_steps: int, g_steps: int) -> tuple[str, str] | None:
    """What is wrong with what was called, and why: the first thing that a teacher would say."""
    kinds = [kind for kind, _ in _kinds(calls)]
    labels = {kind: {label for k, label in _kinds(calls) if k == kind} for kind in kinds}
    if any(kind.startswith("train") for kind in kinds):
        return (
            "G runs in training mode when it only makes fakes for D",
            "G.predict(noise), or training=False: G learns nothing here, and its moving statistics are not to move.",
        )
    if "D an" in kinds:
        return (
            "d_step gets something that is neither a batch of real points nor one of fakes",
            "two batches, two steps: real and fake points do not go into one array. (In a network with batch "
            "normalization a mixed batch would let D compare the two within it.)",
        )
    for kind, said in (("D real", "on real points"), ("D fakes", "on fakes"), ("G noise", "of the generator")):
        if kind not in kinds:
            return f"there is no step {said}", "a round has all three: D on real points, D on fakes, then G."
    shapes = [label for found in labels.values() for label in found if label.startswith("of shape")]
    if shapes:
        return f"labels {shapes[0]}", "labels are one number for each point, as a column: (N, 1)."
    if labels["D real"] == {"0"} and labels["D fakes"] == {"1"}:
        return (
            "D's labels are exchanged",
            "1 means real, 0 means fake: D learns to tell them apart, not to mix them up.",
        )
    if labels["D fakes"] == {"1"}:
        return (
            "D is taught that fakes are real",
            "fakes get the label 0 in D's step; only in G's step they are called real.",
        )
    if labels["D real"] != {"1"} or labels["D fakes"] != {"0"}:
        return "D's labels are wrong", "1 for real points, 0 for fakes."
    if labels["G noise"] == {"0"}:
        return (
            "G is taught to be recognised",
            "in G's step the label is 1: G asks what would have to change so that D takes its points for real.",
        )
    if labels["G noise"] != {"1"}:
        return "G's labels are wrong", "1, as for real points."
    first_g = kinds.index("G noise")
    if any(kind.startswith("D ") for kind in kinds[first_g:]):
        return "a step of D comes after one of G", "D's steps first, all of them; then G's."
    if kinds.count("D real") != d_steps or kinds.count("D fakes") != d_steps:
        return (
            f"D takes {kinds.count('D real')} steps on real points and {kinds.count('D fakes')} on fakes, "
            f"and should take {d_steps} of each",
            "d_steps says how often D learns in a round, on both kinds.",
        )
    if [kind for kind in kinds if kind.startswith("D ")] != ["D real", "D fakes"] * d_steps:
        return (
            "D's two steps come in another order",
            "each of the d_steps is one step on real points, and then one on fakes.",
        )
    if kinds.count("G noise") != g_steps:
        return f"G takes {kinds.count('G noise')} steps, and should take {g_steps}", "g_steps says how often."
    used = [c[1] for c in calls if c[0] != "D"]
    if len(set(used)) < len(used):
        return (
            "the same noise is used twice",
            "draw it anew every time: the fakes of G's step are not those that D has just seen, and no two steps of "
            "G are about the same few points.",
        )
    reals = [c[1] for c in calls if c[0] == "D" and c[1].startswith("real")]
    if len(set(reals)) < len(reals):
        return "the same real points are used for every step of D", "draw a new batch for each step."
    return None


# -------------------------------------------------------------------------------------------------------------- rescue
RESCUE = {"rounds": 500, "g_steps": 10}
"""What cannot be chosen: ten steps of G for every round, and five hundred rounds."""
_KNOBS: Mapping[str, tuple[float, float]] = {
    "d_steps": (1, 3),
    "d_learning_rate": (1e-6, 1.0),
    "g_learning_rate": (1e-6, 1.0),
    "beta_1": (0.0, 0.99),
}


def _judge_rescue(settings: Any, *, seed: int = 0) -> Verdict:
    if not isinstance(settings, Mapping):
        return Verdict.wrong(f"a dict of settings is wanted, got {settings!r}", code="E12")
    for name, value in settings.items():
        if name not in _KNOBS:
            return Verdict.wrong(f"{name!r} cannot be turned here; {', '.join(_KNOBS)} can", code="E16")
        low, high = _KNOBS[name]
        is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not is_number or not low <= value <= high or (name == "d_steps" and value != int(value)):
            kind = "a whole number" if name == "d_steps" else "a number"
            return Verdict.wrong(f"{name} must be {kind} from {low:g} to {high:g}, got {value!r}", code="E12")
    settings = {name: int(value) if name == "d_steps" else float(value) for name, value in settings.items()}
    counts, spreads = [], []
    for k in fast((1, 2, 3), (1,)):
        run = plane_gan.play(gan_round, seed=seed + k, frames=2, **RESCUE, **settings)
        last = run.frames[-1].fakes
        counts.append(count_modes(last, plane_gan.ring_centres(), 3 * plane_gan.SIGMA, 0.02))
        spreads.append(float(np.median(np.linalg.norm(last - last.mean(axis=0), axis=1))))
    told = f"modes covered after {RESCUE['rounds']} rounds: {', '.join(map(str, counts))}"
    if sum(count == plane_gan.MODES for count in counts) * 3 >= 2 * len(counts):
        return Verdict.ok(told)
    code, evidence, cause = _why_not_rescued(settings, counts, spreads)
    return Verdict.wrong("not all eight modes are covered in two runs of three", told, evidence, cause=cause, code=code)


def _why_not_rescued(settings: Mapping[str, Any], counts: list[int], spreads: list[float]) -> tuple[str, str, str]:
    """Code, what was measured, and why: from the rates, the modes covered, and how far G's points are spread."""
    ring = plane_gan.RADIUS
    rates = {who: settings.get(f"{who.lower()}_learning_rate", plane_gan.LEARNING_RATE) for who in "DG"}
    steps = {"D": 2 * settings.get("d_steps", 1) * RESCUE["rounds"], "G": RESCUE["g_steps"] * RESCUE["rounds"]}
    for who, rate in rates.items():
        way = rate * steps[who]
        if rate >= 0.05:
            told = (
                f"one step of Adam moves each of {who}'s weights by about {rate:g}, and they are that small or smaller"
            )
            return "E80", told, f"{who} throws away in every step what it has learned: its learning rate is too large."
        if way < 0.3:
            told = f"in all its {steps[who]:,.0f} steps a weight of {who} moves by about {way:.2g}"
            return "E81", told, f"{who} hardly learns: its steps are too short for the rounds that there are."
    if max(spreads) < 0.4 * ring:
        return (
            "E80",
            f"half of G's points lie within {max(spreads):.2g} of their middle: one clump",
            "G's ten steps still take all of it to where D is highest, before D can answer. What decides is how far G "
            "gets in a round, compared with how far D does.",
        )
    told = f"G's points are in no single clump: half of them lie more than {min(spreads):.2g} from their middle"
    if min(counts) >= 5:
        return "E80", told, "nothing collapses any more, but not all modes are found in time."
    return "E80", told, ""


# ------------------------------------------------------------------------------------------------------------ patients
def _uphill_labels(G: Any, D: Any, optimizer: Any, noise: Array, labels: Array) -> Any:
    return plane_gan.generator_step(G, D, optimizer, noise, 1 - labels)


def _without_zero(G: Any, D: Any, optimizer: Any, noise: Array, labels: Array) -> Any:
    fakes, g_caches = G.forward(noise, training=True)
    logits, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, cache = bce_with_logits_forward(logits, labels)
    dfakes = D.backward(bce_with_logits_backward(1.0, cache), d_caches, input_grad=True, param_grads=False)
    G.backward(dfakes, g_caches)
    optimizer.step(G.grads())
    return loss


def _only_real(D: Any, optimizer: Any, x: Array, labels: Array) -> Any:
    return plane_gan.discriminator_step(D, optimizer, x, np.ones_like(labels))


PATIENTS: Mapping[str, Mapping[str, Any]] = {
    "A": {"steps": (_only_real, plane_gan.generator_step)},
    "B": {},
    "C": {"steps": (plane_gan.discriminator_step, _without_zero)},
    "D": {"g_steps": 10},
    "E": {"steps": (plane_gan.discriminator_step, _uphill_labels)},
}
"""Settings for `plane_gan.play`: each run has one thing wrong, or nothing."""

FAULTS = {
    "A": "all-real",
    "B": "fine",
    "C": "no-zero-grads",
    "D": "impatient",
    "E": "wrong-way",
}
_REASONS = {
    "all-real": "D's losses both fall to 0: it says 'real' to everything, and nobody contradicts.",
    "fine": "look for the one whose points lie on all eight modes.",
    "no-zero-grads": "G's steps follow the sum of all gradients so far: it keeps running where it once wanted to go.",
    "impatient": "all points are in one spot, and the losses look as if the game were won.",
    "wrong-way": "D's losses are near 0 and it is right about everything: G helps it.",
}


EXERCISES = (
    Exercise(
        "mixture_log_density",
        6,
        mixture_log_density,
        _density_cases,
        mistakes=(
            Mistake(
                _naive,
                "far from every centre all exponentials are 0 in floating point, and log(0) is -inf. Take the largest "
                "exponent out of the sum first: log(sum(exp(e))) = top + log(sum(exp(e - top))).",
            ),
            Mistake(_summed, "the M Gaussians are added, not averaged: such a density has the integral M, not 1."),
            Mistake(_unnormalised, "the factor 1/(2*pi*sigma**2) is missing, which makes the integral 1."),
            Mistake(
                _one_dimensional,
                "the factor is that of a Gaussian on a line, 1/(sqrt(2*pi)*sigma); in the plane it is its square.",
            ),
            Mistake(
                _mean_of_logs,
                "this is the mean of the logarithms; the logarithm of the mean is wanted. They do not commute.",
            ),
            Mistake(_without_half, "the exponent is -d**2/(2*sigma**2): the 2 is missing."),
            Mistake(_without_square, "the exponent has sigma squared below, not sigma."),
            Mistake(
                lambda x, centres, sigma: _exponents(x, centres, sigma).max(axis=1) - math.log(2 * math.pi * sigma**2),
                "this is the largest of the M terms alone; the logarithm of their mean is wanted.",
            ),
            Mistake(
                lambda x, centres, sigma: mixture_log_density(x, centres, sigma) + 2 * math.log(2 * math.pi * sigma**2),
                "the factor 1/(2*pi*sigma**2) stands below: its logarithm is taken off, not added.",
            ),
            Mistake(
                lambda x, centres, sigma: _from_exponents(-_exponents(x, centres, sigma), sigma),
                "the exponent is *minus* the squared distance: as it is, the density grows with the distance.",
            ),
            Mistake(
                lambda x, centres, sigma: _from_exponents(
                    -np.linalg.norm(x[:, None] - centres, axis=2) / (2 * sigma**2), sigma
                ),
                "the exponent has the *squared* distance in it.",
            ),
            Mistake(_not_the_logarithm, "this is the density; its logarithm is wanted, from beginning to end."),
        ),
        hints=(
            "All squared distances at once: x[:, None, :] - centres[None, :, :] has shape (N, M, 2).",
            "With e = -squared / (2 * sigma**2) of shape (N, M), the density is mean(exp(e)) / (2*pi*sigma**2) along "
            "axis 1. Take top = e.max(axis=1) out of the exponentials.",
            "top + np.log(np.exp(e - top[:, None]).mean(axis=1)) - np.log(2 * np.pi * sigma**2)",
        ),
        doc="Log density (N,) of the mean of M round Gaussians in the plane, right also where the density underflows.",
    ),
    Exercise(
        "count_modes",
        6,
        count_modes,
        _count_cases,
        mistakes=(
            Mistake(_any_point, "every mode with any point at all counts; a single stray one in a hundred is no mode."),
            Mistake(_points_counted, "this counts points; modes are wanted."),
            Mistake(_squared_distance, "the squared distance is compared with the radius, not with its square."),
            Mistake(
                _nearest_only, "the nearest mode gets a point however far away it is; only within the radius it counts."
            ),
            Mistake(
                lambda points, centres, radius, least: count_modes(points, centres, radius / 2, least),
                "only points within half the radius count: the radius goes from the centre to the edge.",
            ),
            Mistake(_outside, "this counts modes by the points *outside* their radius."),
            Mistake(
                lambda *given: count_modes(*given) / len(given[1]),
                "this is the share of the modes; their number was asked for.",
            ),
            Mistake(_by_axis, "the distance is that of both axes together, not the larger one of the two."),
            Mistake(_more_than, "'at least' includes equality: >=, not >."),
        ),
        hints=(
            "Distances of all points to all centres: an array (N, M).",
            "distance <= radius is an array of True and False; its mean along axis 0 is a share for each mode.",
            "int(((distance <= radius).mean(axis=0) >= least).sum())",
        ),
        doc="How many of the centres (M, 2) have at least the share `least` of the points (N, 2) within `radius`.",
    ),
    Exercise(
        "gan_round",
        6,
        judge=_judge_round,
        hints=(
            "In a round: d_steps times (draw real points, make fakes from fresh noise, a step on each), then g_steps "
            "times one of G.",
            "Labels are columns: np.ones((len(x), 1), np.float32) and zeros. In G's step the fakes are called real.",
            "d_real = d_step(draw_real(), ones); d_fake = d_step(G.predict(draw_noise()), zeros); "
            "g = g_step(draw_noise(), ones)",
        ),
        doc="One round of the game; returns the last loss of each kind.",
    ),
    Exercise(
        "rescue",
        6,
        judge=_judge_rescue,
        hints=(
            "Ten steps of G follow every step of D. What matters is the way G makes in ten steps, against D's in one.",
            "Adam's step is about the learning rate, whatever the gradient (lesson 5). Ten of a tenth are about one.",
            'A tenth for G, and twice for D: {"g_learning_rate": 2e-4, "d_learning_rate": 4e-3}',
        ),
        doc="Settings, beside ten steps of G in every round, with which all eight modes are covered.",
    ),
    Exercise(
        "patients",
        6,
        judge=name_faults(FAULTS, _REASONS, "what it would look like,"),
        hints=(
            "The losses sort the five into three groups: near ln 2, near 0, swinging. Within one, look at the maps.",
            "Ask of each: whom does D contradict? Where would the points go if D were frozen? Who is taught what?",
            "A D whose both losses are 0 has either been helped by G, or never been told about fakes: look at what it "
            "says about the places where the fakes are.",
        ),
        doc="Which fault each of five runs has.",
    ),
)
