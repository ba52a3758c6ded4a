"""Lesson 2, the slope of a program: its exercises, and the mutants that a gradient check has to kill.

A `TriedPair` (a subject) is a small function with its backward and the arguments on which it is tried; a `Mutant` is a
wrong backward of a subject. Each mutant is killed by one good habit and survives without it (a random dy, every
argument, shapes compared, a tolerance relative to the size of the numbers). Each subject is one that a careless check
accuses, or whose mutants it misses. `survival` tries any check on all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lessons.judging import Exercise, Mistake, Verdict, among, blame, is_sequence, judge, number
from minigan.nn.backend import Array

Check = Callable[..., bool]


# --------------------------------------------------------------------------------------------------------- the subjects
@dataclass(frozen=True)
class TriedPair:
    """A function with its right backward.

    Parameters
    ----------
    name : str
    forward : callable
        Arguments to y and a cache.
    backward : callable
        dy and the cache to a tuple of gradients, one for each argument.
    arguments : tuple of Array
        float64.
    """

    name: str
    forward: Callable[..., tuple[Array, Any]]
    backward: Callable[[Array, Any], tuple[Array, ...]]
    arguments: tuple[Array, ...]


@dataclass(frozen=True)
class Mutant:
    """A wrong backward.

    Parameters
    ----------
    subject : TriedPair
        Whose forward it belongs to.
    name : str
        What is wrong with it.
    backward : callable
    needs : str
        The habit of a check that kills it, a key of `HABITS`.
    """

    subject: TriedPair
    name: str
    backward: Callable[[Array, Any], tuple[Array, ...]]
    needs: str = "plain"


HABITS = {
    "plain": "any comparison with a slope shows it: does your check compare at all, and in both directions?",
    "dy": "right for one special dy, such as all ones. Draw dy at random.",
    "arguments": "the first gradient is right and another one is not. Look at every argument.",
    "shape": "an array of the wrong shape, which NumPy stretches silently when you multiply. Compare shapes first.",
    "relative": "tiny numbers, right and wrong ones alike. Measure the difference against the size of things.",
    "copy": "dy itself is changed, and the result is right for the changed dy. Hand out a copy.",
    "thorough": "only a few of many entries are wrong. A direction has to move all entries at once.",
}

_numbers = np.random.default_rng(2).standard_normal


def _affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, Any]:
    return x @ w + b, (x, w)


def _affine_backward(dy: Array, cache: Any) -> tuple[Array, ...]:
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


def _tanh_forward(x: Array) -> tuple[Array, Any]:
    y = np.tanh(x)
    return y, (x, y)


def _tanh_backward(dy: Array, cache: Any) -> tuple[Array, ...]:
    return (dy * (1 - cache[1] ** 2),)


def _leaky_forward(x: Array) -> tuple[Array, Any]:
    return np.where(x > 0, x, 0.2 * x), x


def _leaky_backward(dy: Array, x: Any) -> tuple[Array, ...]:
    return (np.where(x > 0, dy, 0.2 * dy),)


def _softmax_forward(x: Array) -> tuple[Array, Any]:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y = e / e.sum(axis=-1, keepdims=True)
    return y, y


def _softmax_backward(dy: Array, y: Any) -> tuple[Array, ...]:
    return (y * (dy - (dy * y).sum(axis=-1, keepdims=True)),)


def _standardise_forward(x: Array) -> tuple[Array, Any]:
    std = x.std(axis=0)
    y = (x - x.mean(axis=0)) / std
    return y, (y, std)


def _standardise_backward(dy: Array, cache: Any) -> tuple[Array, ...]:
    y, std = cache
    return ((dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std,)


def _shifted_forward(x: Array, b: Array) -> tuple[Array, Any]:
    return _standardise_forward(x + b)


def _shifted_backward(dy: Array, cache: Any) -> tuple[Array, ...]:
    (dx,) = _standardise_backward(dy, cache)
    return dx, dx.sum(axis=0)


def _gather_forward(x: Array) -> tuple[Array, Any]:
    places = np.array([[0, 1, 2], [1, 2, 3], [2, 3, 4]])
    return x[places], (places, x.shape)


def _gather_backward(dy: Array, cache: Any) -> tuple[Array, ...]:
    places, shape = cache
    dx = np.zeros(shape)
    np.add.at(dx, places, dy)
    return (dx,)


def _turn_forward(x: Array) -> tuple[Array, Any]:
    return x.T, None


def _turn_backward(dy: Array, cache: Any) -> tuple[Array, ...]:
    return (dy.T,)


def _share_forward(x: Array) -> tuple[Array, Any]:
    return x / x.sum(), x


def _share_backward(dy: Array, x: Any) -> tuple[Array, ...]:
    total = x.sum()
    return (dy / total - (dy * x).sum() / total**2,)


def _energy_forward(x: Array) -> tuple[Array, Any]:
    return np.asarray((x**2).mean()), x


def _energy_backward(dy: Array, x: Any) -> tuple[Array, ...]:
    return (dy * 2 * x / x.size,)


def _micro_forward(x: Array) -> tuple[Array, Any]:
    return 1e-7 * np.sin(x), x


def _micro_backward(dy: Array, x: Any) -> tuple[Array, ...]:
    return (1e-7 * np.cos(x) * dy,)


def _mega_forward(x: Array) -> tuple[Array, Any]:
    return 1e6 * x**2, x


def _mega_backward(dy: Array, x: Any) -> tuple[Array, ...]:
    return (2e6 * x * dy,)


def _near_the_kink() -> Array:
    x = np.where(_numbers((4, 3)) > 0, 1.0, -1.0) * np.random.default_rng(3).uniform(0.2, 2, (4, 3))
    x[1, 2] = 8e-6
    return x


AFFINE = TriedPair("affine map", _affine_forward, _affine_backward, (_numbers((5, 3)), _numbers((3, 4)), _numbers(4)))
TANH = TriedPair("tanh", _tanh_forward, _tanh_backward, (_numbers((4, 3)),))
LEAKY = TriedPair("LeakyReLU, one input close to its kink", _leaky_forward, _leaky_backward, (_near_the_kink(),))
SOFTMAX = TriedPair("softmax", _softmax_forward, _softmax_backward, (_numbers((3, 4)),))
STANDARDISE = TriedPair("standardise over the batch", _standardise_forward, _standardise_backward, (_numbers((6, 3)),))
SHIFTED = TriedPair(
    "a bias, then standardise: its gradient is 0", _shifted_forward, _shifted_backward, (_numbers((6, 3)), _numbers(3))
)
GATHER = TriedPair("overlapping patches", _gather_forward, _gather_backward, (_numbers(5),))
TURN = TriedPair("transpose", _turn_forward, _turn_backward, (_numbers((4, 4)),))
SHARE = TriedPair("share of the total", _share_forward, _share_backward, (np.abs(_numbers(6)) + 0.5,))
ENERGY = TriedPair("mean of the squares", _energy_forward, _energy_backward, (_numbers((3, 5)),))
MICRO = TriedPair("a sine 0.0000001 high", _micro_forward, _micro_backward, (_numbers((4, 2)),))
MEGA = TriedPair("a million times the square", _mega_forward, _mega_backward, (_numbers((4, 2)),))

SUBJECTS = (AFFINE, TANH, LEAKY, SOFTMAX, STANDARDISE, SHIFTED, GATHER, TURN, SHARE, ENERGY, MICRO, MEGA)


# ---------------------------------------------------------------------------------------------------------- the mutants
def _halved_in_place(dy: Array, cache: Any) -> tuple[Array, ...]:
    dy *= 0.5
    return (dy * (1 - cache[1] ** 2),)


def _last_entry_doubled(dy: Array, cache: Any) -> tuple[Array, ...]:
    (dx,) = _tanh_backward(dy, cache)
    dx[-1, -1] *= 2
    return (dx,)


def _first_row_only(dy: Array, cache: Any) -> tuple[Array, ...]:
    (dx,) = _standardise_backward(dy, cache)
    dx[1:] = 0
    return (dx,)


def _overwritten(dy: Array, cache: Any) -> tuple[Array, ...]:
    places, shape = cache
    dx = np.zeros(shape)
    dx[places] = dy
    return (dx,)


def _affine_with(part: int, wrong: Callable[[Array, Array, Array], Array]) -> Callable[..., tuple[Array, ...]]:
    """The affine map's backward with one of its three gradients computed by `wrong` from dy, x and w."""

    def backward(dy: Array, cache: Any) -> tuple[Array, ...]:
        gradients = list(_affine_backward(dy, cache))
        gradients[part] = wrong(dy, *cache)
        return tuple(gradients)

    return backward


def _bessel(dy: Array, cache: Any) -> tuple[Array, ...]:
    y, std = cache
    return ((dy - dy.mean(axis=0) - y * (dy * y).sum(axis=0) / (len(y) - 1)) / std,)


MUTANTS = (
    Mutant(AFFINE, "dx: w reshaped, not transposed", _affine_with(0, lambda dy, x, w: dy @ w.reshape(4, 3))),
    Mutant(AFFINE, "dx: dy is ignored", _affine_with(0, lambda dy, x, w: np.ones_like(dy) @ w.T), "dy"),
    Mutant(AFFINE, "dw: averaged over the batch", _affine_with(1, lambda dy, x, w: x.T @ dy / len(x)), "arguments"),
    Mutant(AFFINE, "dw: x centred first", _affine_with(1, lambda dy, x, w: (x - x.mean(axis=0)).T @ dy), "arguments"),
    Mutant(AFFINE, "db: averaged over the batch", _affine_with(2, lambda dy, x, w: dy.mean(axis=0)), "arguments"),
    Mutant(AFFINE, "db: the number of samples", _affine_with(2, lambda dy, x, w: np.full(4, float(len(dy)))), "dy"),
    Mutant(AFFINE, "db: not summed over the batch", _affine_with(2, lambda dy, x, w: dy.copy()), "shape"),
    Mutant(TANH, "dx: 1 - y where 1 - y^2 belongs", lambda dy, cache: (dy * (1 - cache[1]),)),
    Mutant(TANH, "dx: 1 - x^2 where 1 - y^2 belongs", lambda dy, cache: (dy * (1 - cache[0] ** 2),)),
    Mutant(TANH, "dx: dy is ignored", lambda dy, cache: (1 - cache[1] ** 2,), "dy"),
    Mutant(TANH, "dx: dy^2 where dy belongs", lambda dy, cache: (dy**2 * (1 - cache[1] ** 2),), "dy"),
    Mutant(TANH, "dx: the sign is wrong", lambda dy, cache: (-dy * (1 - cache[1] ** 2),)),
    Mutant(TANH, "dx: the last entry is doubled", _last_entry_doubled, "thorough"),
    Mutant(TANH, "dx: right for dy/2, and dy is halved in place", _halved_in_place, "copy"),
    Mutant(LEAKY, "dx: 0 below the kink", lambda dy, x: (np.where(x > 0, dy, 0.0),)),
    Mutant(LEAKY, "dx: asks for the sign of dy, not of x", lambda dy, x: (np.where(dy > 0, dy, 0.2 * dy),)),
    Mutant(LEAKY, "dx: slope 0.02 below the kink", lambda dy, x: (np.where(x > 0, dy, 0.02 * dy),)),
    Mutant(SOFTMAX, "dx: all zeros", lambda dy, y: (np.zeros_like(dy),), "dy"),
    Mutant(SOFTMAX, "dx: the sum in the denominator is forgotten", lambda dy, y: (y * dy,)),
    Mutant(SOFTMAX, "dx: each entry by itself, y (1 - y) dy", lambda dy, y: (y * (1 - y) * dy,)),
    Mutant(STANDARDISE, "dx: all zeros", lambda dy, cache: (np.zeros_like(dy),), "dy"),
    Mutant(STANDARDISE, "dx: the path through the mean is missing",
           lambda dy, cache: ((dy - cache[0] * (dy * cache[0]).mean(axis=0)) / cache[1],)),
    Mutant(STANDARDISE, "dx: the path through the variance is missing",
           lambda dy, cache: ((dy - dy.mean(axis=0)) / cache[1],), "dy"),
    Mutant(STANDARDISE, "dx: N - 1 where N belongs", _bessel, "dy"),
    Mutant(STANDARDISE, "dx: the first sample only", _first_row_only, "dy"),
    Mutant(SHIFTED, "db: the number of samples, as if b were added last",
           lambda dy, cache: (_shifted_backward(dy, cache)[0], dy.sum(axis=0)), "arguments"),
    Mutant(GATHER, "dx: overlapping patches overwrite each other", _overwritten),
    Mutant(TURN, "dx: not turned back", lambda dy, cache: (dy.copy(),), "dy"),
    Mutant(SHARE, "dx: the total taken for a constant", lambda dy, x: (dy / x.sum(),)),
    Mutant(SHARE, "dx: all zeros", lambda dy, x: (np.zeros_like(dy),), "dy"),
    Mutant(ENERGY, "dx: the 2 is missing", lambda dy, x: (dy * x / x.size,)),
    Mutant(ENERGY, "dx: a sum where a mean belongs", lambda dy, x: (dy * 2 * x,)),
    Mutant(MICRO, "dx: the sign is wrong", lambda dy, x: (-1e-7 * np.cos(x) * dy,), "relative"),
    Mutant(MICRO, "dx: all zeros", lambda dy, x: (np.zeros_like(dy),), "relative"),
    Mutant(MEGA, "dx: the 2 is missing", lambda dy, x: (1e6 * x * dy,)),
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- slopes
def numeric_gradient(f: Callable[[Array], Array], x: Array, dy: Array, h: float = 1e-5) -> Array:
    """Gradient of sum(f(x) * dy), one entry of x at a time, by centred differences."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[index] = h
        gradient[index] = np.sum((f(x + step) - f(x - step)) * dy) / (2 * h)
    return gradient


def directional_slope(f: Callable[[Array], Array], x: Array, dy: Array, v: Array, h: float = 1e-5) -> float:
    """Slope of sum(f(x) * dy) along v, by one centred difference."""
    return float(np.sum((f(x + h * v) - f(x - h * v)) * dy) / (2 * h))


def trusted_slope(f: Callable[[Array], Array], x: Array, dy: Array, v: Array, h: float = 1e-5) -> tuple[float, bool]:
    """The slope along v, and whether h and h/2 agree about it."""
    coarse, fine = directional_slope(f, x, dy, v, h), directional_slope(f, x, dy, v, h / 2)
    floor = 1e-14 * np.sum(np.abs(f(x) * dy)) / h  # what rounding alone can do, times fifty
    return fine, bool(abs(coarse - fine) <= 1e-6 * abs(fine) + floor)


def gradients_agree(
    forward: Callable[..., tuple[Array, Any]],
    backward: Callable[[Array, Any], tuple[Array, ...]],
    arguments: tuple[Array, ...],
    rng: np.random.Generator,
) -> bool:
    """Whether backward gives the slope of forward: the solution of "kill the mutants"."""
    y, cache = forward(*arguments)
    dy = rng.standard_normal(y.shape)
    gradients = backward(dy.copy(), cache)
    for k, (x, gradient) in enumerate(zip(arguments, gradients, strict=True)):
        if gradient.shape != x.shape:
            return False

        def f(moved: Array, k: int = k) -> Array:
            return forward(*arguments[:k], moved, *arguments[k + 1 :])[0]

        probes = 0
        for _ in range(50):
            v = rng.standard_normal(x.shape)
            measured, trusted = trusted_slope(f, x, dy, v)
            if not trusted:
                continue
            claimed = np.sum(gradient * v)
            floor = 1e-14 * np.sum(np.abs(y * dy)) / 1e-5
            if abs(measured - claimed) > 1e-5 * max(abs(measured), abs(claimed)) + floor:
                return False
            probes += 1
            if probes == 3:
                break
    return True


# ------------------------------------------------------------------------------------------ careless checks, to compare
def _careless(
    forward: Any,
    backward: Any,
    arguments: tuple[Array, ...],
    rng: np.random.Generator,
    *,
    dy_of: Callable[[Array, np.random.Generator], Array] = lambda y, rng: rng.standard_normal(y.shape),
    h: float = 1e-5,
    dtype: type = np.float64,
    right: Callable[[Array, Array], bool] = lambda a, b: bool(np.allclose(a, b, rtol=1e-4, atol=1e-8)),
    first_only: bool = False,
) -> bool:
    """An element-wise check as it is often written, with one thing about it changed."""
    arguments = tuple(a.astype(dtype) for a in arguments)
    y, cache = forward(*arguments)
    dy = np.asarray(dy_of(y, rng)).astype(dtype)
    gradients = backward(dy, cache)
    for k, x in enumerate(arguments[:1] if first_only else arguments):
        numeric = np.zeros_like(x)
        for index in np.ndindex(x.shape):
            ahead, behind = x.copy(), x.copy()
            ahead[index] += dtype(h)
            behind[index] -= dtype(h)
            rest = arguments[:k], arguments[k + 1 :]
            y_ahead, y_behind = forward(*rest[0], ahead, *rest[1])[0], forward(*rest[0], behind, *rest[1])[0]
            numeric[index] = np.sum((y_ahead - y_behind) * dy) / (2 * h)
        try:
            if not right(np.asarray(gradients[k]), numeric):
                return False
        except ValueError:  # shapes that do not even broadcast
            return False
    return True


def ones_check(forward: Any, backward: Any, arguments: tuple[Array, ...], rng: np.random.Generator) -> bool:
    """The gradient of y.sum(): dy is all ones."""
    return _careless(forward, backward, arguments, rng, dy_of=lambda y, rng: np.ones_like(y))


def squares_check(forward: Any, backward: Any, arguments: tuple[Array, ...], rng: np.random.Generator) -> bool:
    """The gradient of (y**2).sum() / 2: dy is y."""
    return _careless(forward, backward, arguments, rng, dy_of=lambda y, rng: y.copy())


def absolute_check(forward: Any, backward: Any, arguments: tuple[Array, ...], rng: np.random.Generator) -> bool:
    """A random dy, and a difference below 0.000001 is no difference."""
    return _careless(forward, backward, arguments, rng, right=lambda a, b: bool(np.abs(a - b).max(initial=0) < 1e-6))


def single_check(forward: Any, backward: Any, arguments: tuple[Array, ...], rng: np.random.Generator) -> bool:
    """A random dy, in float32."""
    return _careless(forward, backward, arguments, rng, dtype=np.float32)


def first_check(forward: Any, backward: Any, arguments: tuple[Array, ...], rng: np.random.Generator) -> bool:
    """A random dy, and only the first argument's gradient is looked at."""
    return _careless(forward, backward, arguments, rng, first_only=True)


CARELESS: dict[str, Check] = {
    "dy of ones": ones_check,
    "dy = y": squares_check,
    "absolute tolerance": absolute_check,
    "first argument": first_check,
    "float32": single_check,
}
"""Checks as they are often written, by a name that says what is special about each."""


@dataclass(frozen=True)
class Trial:
    """What a check said of a subject or a mutant, over several seeds.

    Parameters
    ----------
    name : str
        The subject's name, and for a mutant what is wrong with it.
    mutant : Mutant or None
        None for the right backward.
    passed : int
        How often the check found nothing wrong.
    seeds : int
    """

    name: str
    mutant: Mutant | None
    passed: int
    seeds: int

    @property
    def good(self) -> bool:
        """Whether the check was right every time."""
        return self.passed == (self.seeds if self.mutant is None else 0)


def of_stage(stage: int) -> list[tuple[Mutant | None, TriedPair]]:
    """What a check is tried on: every right function with None for its mutant, and then the mutants.

    Parameters
    ----------
    stage : int
        1: smooth functions of one argument; 2: of several, and results of other forms; 3: all, with kinks, tiny numbers
        and large ones.

    Returns
    -------
    list of (Mutant or None, TriedPair)
    """
    every: list[tuple[Mutant | None, TriedPair]] = [*((None, s) for s in SUBJECTS), *((m, m.subject) for m in MUTANTS)]
    late = [LEAKY, SHIFTED, MEGA, *(m.subject for m in MUTANTS if m.needs == "relative")]
    if stage == 3:
        return every
    chosen = [(m, s) for m, s in every if s not in late]
    if stage == 2:
        return chosen
    return [(m, s) for m, s in chosen if len(s.arguments) == 1 and (m is None or m.needs in ("plain", "dy"))]


def survival(check: Check, *, seeds: int = 5, stage: int = 3) -> list[Trial]:
    """Try a check on every subject and every mutant.

    Parameters
    ----------
    check : callable
        ``check(forward, backward, arguments, rng)`` to True (nothing wrong) or False.
    seeds : int
        How often each is tried.
    stage : int
        As `of_stage`.

    Returns
    -------
    list of Trial
        Subjects first.

    Raises
    ------
    Exception
        Whatever the check raises.
    """
    trials = []
    for mutant, subject in of_stage(stage):
        backward = subject.backward if mutant is None else mutant.backward
        name = subject.name if mutant is None else f"{short(subject)}, {mutant.name}"
        passed = 0
        for seed in range(seeds):
            arguments = tuple(a.copy() for a in subject.arguments)
            passed += bool(check(subject.forward, backward, arguments, np.random.default_rng(seed)))
        trials.append(Trial(name, mutant, passed, seeds))
    return trials


def short(subject: TriedPair) -> str:
    """The subject's name up to its first comma or colon."""
    return subject.name.split(",")[0].split(":")[0]


# ----------------------------------------------------------------------------------------------------------- judgements
def cube(x: Array) -> Array:
    """The cube, element by element."""
    return x**3


def flatten(x: Array) -> Array:
    """One axis; a view of x, not a copy."""
    return x.reshape(-1)  # a view of x


def neighbours(x: Array) -> Array:
    """Products of neighbours: fewer outputs than inputs."""
    return x[:-1] * x[1:]


def affine(x: Array) -> Array:
    """Three inputs to two outputs."""
    return x @ np.array([[1.0, -2.0], [0.5, 3.0], [2.0, 1.0]])


def _gradient_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    normal = rng.standard_normal
    return [
        (cube, np.array([2.0]), np.array([1.0]), 0.1),  # worked by hand in the lesson
        (cube, normal((2, 3)), normal((2, 3)), 1e-2),
        (neighbours, normal(4), normal(3), 1e-3),
        (affine, normal((2, 3)), normal((2, 2)), 1e-3),
        (flatten, normal((2, 1, 3)), normal(6), 1e-2),
    ]


def _slope_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(f, x, dy, 2 * rng.standard_normal(x.shape), h) for f, x, dy, h in _gradient_cases(rng)]


def _forward_difference(f: Any, x: Array, dy: Array, h: float = 1e-5) -> Array:
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[index] = h
        gradient[index] = np.sum((f(x + step) - f(x)) * dy) / h
    return gradient


def _in_place(f: Any, x: Array, dy: Array, h: float = 1e-5) -> Array:
    """Move x in place; where f returns a view of x, both values are the same array."""
    gradient, x = np.zeros(x.shape), x.copy()
    for index in np.ndindex(x.shape):
        x[index] += h
        ahead = f(x)
        x[index] -= 2 * h
        behind = f(x)
        x[index] += h
        gradient[index] = np.sum((ahead - behind) * dy) / (2 * h)
    return gradient


def _row_by_row(f: Any, x: Array, dy: Array, h: float = 1e-5) -> Array:
    gradient = np.zeros(x.shape)
    for k in range(len(x)):
        step = np.zeros(x.shape)
        step[k] = h
        gradient[k] = np.sum((f(x + step) - f(x - step)) * dy) / (2 * h)
    return gradient


def _reference_with(**changes: Any) -> Callable[..., Any]:
    """The numeric gradient with dy or the divisor changed."""

    def wrong(f: Any, x: Array, dy: Array, h: float = 1e-5) -> Array:
        scale = changes.get("scale", lambda h: 1.0)(h)
        return scale * numeric_gradient(f, x, changes.get("dy", lambda dy: dy)(dy), h)

    return wrong


def _along(**changes: Any) -> Callable[..., float]:
    """The directional slope with v, dy or the divisor changed."""

    def wrong(f: Any, x: Array, dy: Array, v: Array, h: float = 1e-5) -> float:
        scale = changes.get("scale", lambda h: 1.0)(h)
        v, dy = changes.get("v", lambda v: v)(v), changes.get("dy", lambda dy: dy)(dy)
        return float(scale * directional_slope(f, x, dy, v, h))

    return wrong


def _one_sided(f: Any, x: Array, dy: Array, v: Array, h: float = 1e-5) -> float:
    return float(np.sum((f(x + h * v) - f(x)) * dy) / h)


NUMERIC_GRADIENT = Exercise(
    name="numeric_gradient",
    lesson=2,
    reference=numeric_gradient,
    cases=_gradient_cases,
    tolerance=1e-7,
    mistakes=(
        Mistake(_forward_difference, "it is the forward difference, (f(x + h) - f(x)) / h; take a step to both sides"),
        Mistake(_row_by_row, "x[k] of an array with two axes is a whole row, and all of it was moved; use np.ndindex"),
        Mistake(_reference_with(scale=lambda h: 2.0), "it is twice the slope: from x - h to x + h is a way of 2h"),
        Mistake(_reference_with(scale=lambda h: 2 * h), "the difference is not divided by the way, 2h"),
        Mistake(_reference_with(dy=np.ones_like), "dy is not used: every output counts as much as dy says"),
        Mistake(_reference_with(scale=lambda h: -1.0), "the sign is wrong: f(x + step) comes first"),
        Mistake(
            _reference_with(scale=lambda h: 0.5), "it is half the slope: from x - h to x + h is a way of 2h, not 4h"
        ),
        Mistake(_reference_with(scale=lambda h: 1 / h), "it is divided by h once too often; the way is 2h"),
        Mistake(_reference_with(scale=lambda h: h), "it is divided by 2, and not by the way, 2h"),
        Mistake(
            lambda f, x, dy, h=1e-5: numeric_gradient(f, x, dy, h) / dy.size,
            "it is a mean over the outputs; the slope of sum(f(x) * dy) was asked for",
        ),
        Mistake(lambda f, x, dy, h=1e-5: numeric_gradient(f, x, dy), "the step is 1e-5 whatever h is"),
        Mistake(
            _in_place,
            "x is moved in place, and this f returns a view of x, so that both values are one array. Move a copy",
        ),
    ),
    hints=(
        "Go through the entries of x with np.ndindex(x.shape). For each one: what is sum(f(x) * dy) with this entry a "
        "little larger, and a little smaller?",
        "Make a step array of zeros with h in one place, and evaluate f at x + step and x - step: new arrays, x stays.",
        "gradient[index] = np.sum((f(x + step) - f(x - step)) * dy) / (2 * h)",
    ),
)

DIRECTIONAL_SLOPE = Exercise(
    name="directional_slope",
    lesson=2,
    reference=directional_slope,
    cases=_slope_cases,
    tolerance=1e-7,
    mistakes=(
        Mistake(_one_sided, "it is the forward difference; take a step to both sides, h*v and -h*v"),
        Mistake(_along(scale=lambda h: 2.0), "it is twice the slope: from -h*v to h*v is a way of 2h"),
        Mistake(_along(scale=lambda h: 2 * h), "the difference is not divided by the way, 2h"),
        Mistake(_along(dy=np.ones_like), "dy is not used: every output counts as much as dy says"),
        Mistake(
            _along(v=lambda v: v / np.linalg.norm(v)),
            "v was made a unit vector. Leave it as it is: the slope is to equal sum(dx * v)",
        ),
        Mistake(_along(v=np.ones_like), "v is not used: all entries of x were moved alike"),
        Mistake(_along(scale=lambda h: -1.0), "the sign is wrong: f(x + h*v) comes first"),
        Mistake(_along(scale=lambda h: 0.5), "it is half the slope: from -h*v to h*v is a way of 2h, not 4h"),
        Mistake(
            lambda f, x, dy, v, h=1e-5: directional_slope(f, x, dy, v, h) / float(np.linalg.norm(v)),
            "it is divided by the length of v. Leave that out: the slope is to equal sum(dx * v)",
        ),
        Mistake(
            lambda f, x, dy, v, h=1e-5: directional_slope(f, x, dy, v, h) * float(np.sum(v)),
            "v is multiplied in once more: it has moved x already",
        ),
        Mistake(
            lambda f, x, dy, v, h=1e-5: float(np.sum(numeric_gradient(f, x, dy, h) * v)),
            "this measures every entry by itself, with 2n evaluations, and adds the slopes up. A probe moves all "
            "entries at once, by h*v: two evaluations. (With a step as long as here the two differ: truncation.)",
        ),
    ),
    hints=(
        "It is the numeric gradient without its loop: x moves along v instead of along one axis.",
        "Two evaluations of f: at x + h * v and at x - h * v.",
        "np.sum((f(x + h * v) - f(x - h * v)) * dy) / (2 * h)",
    ),
)


# The functions on which a chosen h is tried: smooth, values and slopes around 1.
_SMOOTH: tuple[tuple[Callable[[Any], Any], Callable[[Any], Any]], ...] = (
    (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    (np.exp, np.exp),
    (np.sin, np.cos),
)


def median_error(h: float, dtype: type, *, centred: bool = True) -> float:
    """Median error of the measured slope of tanh, exp and sin over points in [-1.5, 1.5].

    Parameters
    ----------
    h : float
    dtype : type
        numpy.float64 or numpy.float32.
    centred : bool
        Whether both sides are used, or only x + h and x.

    Returns
    -------
    float
        Absolute; the slopes are around 1.
    """
    x = np.random.default_rng(0).uniform(-1.5, 1.5, 400).astype(dtype)
    step = dtype(h)
    errors = []
    for f, slope in _SMOOTH:
        behind, way = (f(x - step), 2 * h) if centred else (f(x), h)
        difference = (f(x + step) - behind).astype(np.float64)
        errors.append(np.abs(difference / way - slope(x.astype(np.float64))))
    return float(np.median(np.concatenate(errors)))


_GRIDS = {np.float64: 10.0 ** np.arange(-9, -1, 0.25), np.float32: 10.0 ** np.arange(-6, 0, 0.25)}


def _judge_steps(h64: Any, h32: Any) -> Verdict:
    if h64 is None or h32 is None:
        return Verdict.not_yet()
    evidence = []
    for name, dtype, h in (("float64", np.float64, h64), ("float32", np.float32, h32)):
        value = number(h)
        if value is None or not 0 < value < 1:
            return Verdict.wrong(f"{name}: h is to be a number between 0 and 1, got {h!r}")
        error = median_error(value, dtype)
        best = min(median_error(float(other), dtype) for other in _GRIDS[dtype])
        if error <= 30 * best:
            continue
        half = median_error(value / 2, dtype)
        side = (
            "half the h would give a quarter of that: you are on the right arm of the V, truncation"
            if half < error
            else "half the h would make it worse: you are on the left arm of the V, rounding"
        )
        evidence.append(f"{name}, h = {h:.0e}: the typical error is {error:.0e}, the best there is {best:.0e}; {side}")
    if evidence:
        return Verdict.wrong("the error can be made much smaller", *evidence)
    return Verdict.ok("both are within a factor of 30 of the best there is")


CHOOSE_H = Exercise(
    name="choose_h",
    lesson=2,
    reference=(1e-5, 5e-3),
    judge=_judge_steps,
    hints=(
        "Read them off the V curve: the lowest point of each centred curve. A factor of three does not matter.",
        "The derivation says: the third root of 3 eps |f| / |f'''|. For these functions |f| and |f'''| are about 1.",
        "eps is 1.1e-16 in float64 and 6e-8 in float32.",
    ),
)


def _bent(x: Array) -> Array:
    return np.maximum(x, 0.1 * x)


def _trust_cases() -> list[tuple[str, Any, Array, Array, Array, bool]]:
    """Description, f, x, dy, v, and whether the slope is to be trusted."""
    near, far = np.array([0.7, 4e-6, -1.1]), np.array([0.7, 0.4, -1.1])
    dy, v = np.array([1.0, -2.0, 0.5]), np.array([1.0, 1.5, -0.5])
    along = np.array([1.0, 0.0, 1.0])
    return [
        ("a smooth function", np.tanh, far, dy, v, True),
        ("a smooth function with large values", lambda x: 1e4 * np.exp(x), far, dy, v, True),
        ("a smooth function with tiny values", lambda x: 1e-6 * np.sin(x), far, dy, v, True),
        (
            "a function that does not change along v",
            lambda x: 1e3 * (x - x.mean()) / x.std(),
            far,
            dy,
            np.ones(3),
            True,
        ),
        ("a kink far away", _bent, far, dy, v, True),
        ("a kink within the step", _bent, near, dy, v, False),
        ("a kink within the step, tiny values", lambda x: 1e-9 * _bent(x), near, dy, v, False),
        ("a kink close by, but v does not go there", _bent, near, dy, along, True),
    ]


def _judge_trust(function: Any) -> Verdict:
    for told, f, x, dy, v, wanted in _trust_cases():
        before = x.copy(), dy.copy(), v.copy()
        try:
            answer = function(f, x, dy, v)
        except NotImplementedError:
            return Verdict.not_yet()
        if not (is_sequence(answer) and len(answer) == 2):
            return Verdict.wrong("it is to return two things, slope and trusted", f"it returned {answer!r}")
        if not all(np.array_equal(a, b) for a, b in zip(before, (x, dy, v), strict=True)):
            return Verdict.wrong("it changes x, dy or v", f"on {told}")
        slope, trusted = answer
        if not isinstance(trusted, bool | np.bool_):
            return Verdict.wrong("trusted is to be True or False", f"it is {trusted!r}")
        value = number(slope)
        if value is None:
            return Verdict.wrong("slope is to be one number", f"it is {slope!r}")
        coarse, fine = directional_slope(f, x, dy, v, 1e-5), directional_slope(f, x, dy, v, 5e-6)
        measured = f"slope at h: {coarse:.6g}, at h/2: {fine:.6g}"
        if bool(trusted) != wanted:
            apart = abs(coarse - fine)
            why = f"they are {apart:.1e} apart, {apart / max(abs(fine), 1e-300):.0e} of the slope"
            said = "trusts" if trusted else "does not trust"
            return Verdict.wrong(f"it {said} the slope of {told}", f"{measured}; {why}")
        room = 1e-6 * max(abs(fine), 1e-12) + 1e-14 * float(np.sum(np.abs(f(x) * dy))) / 1e-5
        if wanted and not abs(value - fine) <= room:
            return Verdict.wrong(f"the slope is wrong for {told}", f"yours {slope!r}; {measured}")
    x, dy, v, h = np.array([0.7, -1.1]), np.array([1.0, 2.0]), np.array([1.0, 0.5]), 0.2
    answer = function(cube, x, dy, v, h)  # a step so long that one can tell which one was taken
    slope = number(answer[0]) if is_sequence(answer) and len(answer) == 2 else None
    if slope is None:
        return Verdict.wrong(
            f"it is to return two things, slope and trusted, for h = {h:g}, too", f"it returned {answer!r}"
        )
    of = {step: directional_slope(cube, x, dy, v, step) for step in (h / 2, h, 2 * h)}
    if not abs(slope - of[h / 2]) <= 1e-9:
        told = next((f"it is that of a step of {k:g}" for k, s in of.items() if abs(slope - s) < 1e-9), "")
        return Verdict.wrong(
            "the slope is not the one from h / 2",
            f"with h = {h:g} yours {slope:.6g}, that from h / 2 {of[h / 2]:.6g}",
            *filter(None, [told]),
        )
    return Verdict.ok("smooth functions trusted, kinks noticed")


TRUSTED_SLOPE = Exercise(
    name="trusted_slope",
    lesson=2,
    reference=trusted_slope,
    judge=_judge_trust,
    hints=(
        "Measure twice, with h and with h/2. How far apart may the two be for a smooth function?",
        "Compare with their own size: a share of it, say one part in a million, and never a fixed number (np.isclose "
        "has one hidden in it, atol). Large values need a little more room: rounding grows with sum(|y * dy|) / h.",
        "trusted = abs(coarse - fine) <= 1e-6 * abs(fine) + 1e-14 * np.sum(np.abs(f(x) * dy)) / h",
    ),
)


def _judge_killers(check: Any, *, stage: int = 3) -> Verdict:
    if stage not in (1, 2, 3):
        raise ValueError(f"check: stage must be 1, 2 or 3, got {stage!r}")
    mutants = sum(mutant is not None for mutant, _ in of_stage(stage))
    subjects = len(of_stage(stage)) - mutants
    if not callable(check):
        return Verdict.wrong(f"a function is wanted, got {check!r}")
    answers: list[Any] = []

    def watched(forward: Any, backward: Any, arguments: tuple[Array, ...], rng: np.random.Generator) -> bool:
        answers.append(check(forward, backward, arguments, rng))
        return isinstance(answers[-1], bool | np.bool_) and bool(answers[-1])

    try:
        trials = survival(watched, stage=stage)
    except NotImplementedError:
        return Verdict.not_yet()
    except Exception as error:
        finding = blame(error, [check])
        if finding is None:
            raise
        return Verdict.wrong(finding.title, *finding.evidence, f"on {_nth(len(answers), stage)}", _ANSWER, code="E10")
    odd = [answer for answer in answers if not isinstance(answer, bool | np.bool_)]
    if odd:
        return Verdict.wrong(f"a check answers True or False, yours answers {odd[0]!r}", code="E12")
    survivors = [t for t in trials if t.mutant is not None and not t.good]
    accused = [t for t in trials if t.mutant is None and not t.good]
    killed = mutants - len(survivors)
    if not survivors and not accused:
        of = "" if stage == 3 else f"stage {stage}: "
        return Verdict.ok(f"{of}all {mutants} mutants killed, none of {subjects} right ones accused")
    thrown_away = [t for t in survivors if t.mutant is not None and t.mutant.subject is LEAKY and t.passed < t.seeds]
    evidence = [f"survives: {_told(t)}" for t in survivors[:8]]
    evidence += [f"... and {len(survivors) - 8} more"] if len(survivors) > 8 else []
    evidence += [f"accused: {_told(t)}" for t in accused]
    thrown_away = thrown_away if len(thrown_away) == len(survivors) else []  # otherwise it does not explain them all
    if thrown_away:
        evidence.append(_THROWN_AWAY)
    unlooked = any(t.mutant is not None and t.mutant.needs == "arguments" for t in survivors)
    missed = {t.name: _missed_habit(t.mutant, unlooked) for t in survivors if t.mutant and t not in thrown_away}
    for needs, count in Counter(missed.values()).most_common(2):
        whom = next(name for name, habit in missed.items() if habit == needs)
        if count > 1:
            whom = "all survivors" if count == len(survivors) else f"{count} of the survivors"
        evidence.append(f"About {whom}: {HABITS[needs]}")
    evidence += [_ACCUSED[t.name] for t in accused if t.name in _ACCUSED][:2]
    title = f"{killed} of {mutants} mutants killed, {len(accused)} of {subjects} right ones accused"
    return Verdict.wrong(title, *evidence)


def _missed_habit(mutant: Mutant, unlooked: bool) -> str:
    """The habit that would have killed a survivor; where later gradients are not looked at, that is all there is."""
    return "arguments" if unlooked and not mutant.name.startswith("dx") else mutant.needs


_THROWN_AWAY = (
    "About LeakyReLU, which survives on some draws only: where a measurement crosses the kink, it is thrown away. Does "
    "your check then draw another direction, until it has one to trust? If all are thrown away, nothing is compared."
)
_ACCUSED = {
    LEAKY.name: "About LeakyReLU: a step of yours crosses the kink. Where h and h/2 disagree, draw another direction.",
    SHIFTED.name: "About the bias: its slope is 0, so what you measure is rounding, about 1e-11 here. No share of it "
    "is small enough: allow for rounding as well.",
    MEGA.name: "About the million: values of 1e6 have rounding errors of 1e-10, and those you divide by 2h. Measure "
    "the difference against the size of things.",
}


def _told(trial: Trial) -> str:
    often = trial.passed if trial.mutant is not None else trial.seeds - trial.passed
    return trial.name + ("" if often == trial.seeds else f"   (on {often} of {trial.seeds} draws)")


def _nth(tries: int, stage: int, seeds: int = 5) -> str:
    """The name of the backward that a check was called with when it had given this many answers."""
    names = [s.name if m is None else f"{short(s)}, {m.name}" for m, s in of_stage(stage)]
    return names[tries // seeds]


_ANSWER = "Whatever a backward returns, even an array of the wrong shape: answer True or False."


KILL_THE_MUTANTS = Exercise(
    name="kill_the_mutants",
    lesson=2,
    reference=gradients_agree,
    judge=_judge_killers,
    hints=(
        "Five habits: a random dy; a copy of it for backward; every argument; shapes before values; a tolerance in two "
        "parts, a share of the slope plus what rounding can do.",
        "For argument k, make a function of that argument alone: forward(*arguments[:k], moved, *arguments[k+1:])[0]. "
        "Draw directions until trusted_slope trusts three of them, and compare each with np.sum(gradient * v).",
        "wrong if abs(measured - claimed) > 1e-5 * max(abs(measured), abs(claimed)) + 1e-14 * np.abs(y * dy).sum() / h",
    ),
)


# ------------------------------------------------------------------------------------------------------------- break it
def hurried_gradient(f: Callable[[Array], Array], x: Array, dy: Array, h: float = 1e-5) -> Array:
    """The broken function of a bug hunt: it moves the caller's x in place, and f may return x itself."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        x[index] += h
        ahead = f(x)
        x[index] -= 2 * h
        behind = f(x)
        x[index] += h
        gradient[index] = np.sum((ahead - behind) * dy) / (2 * h)
    return gradient


CAUSES = {
    1: "dy is not random",
    2: "h is too small",
    3: "the tolerance does not know how large the numbers are",
    4: "backward is given the very dy that the slope is measured with",
    5: "only one argument is looked at",
    6: "arrays of different shapes are multiplied",
}
"""What can be wrong with a check, for the bug hunt."""


def check_a(forward: Any, backward: Any, arguments: tuple[Array, ...], rng: np.random.Generator) -> bool:
    """A check of the bug hunt; the lesson shows its text."""
    y, cache = forward(*arguments)
    dy = np.ones(y.shape)
    for k, gradient in enumerate(backward(dy.copy(), cache)):
        v = rng.standard_normal(arguments[k].shape)
        measured = directional_slope(only(forward, arguments, k), arguments[k], dy, v)
        if gradient.shape != v.shape or not np.isclose(np.sum(gradient * v), measured, rtol=1e-4, atol=1e-9):
            return False
    return True


def check_b(forward: Any, backward: Any, arguments: tuple[Array, ...], rng: np.random.Generator) -> bool:
    """A check of the bug hunt; the lesson shows its text."""
    y, cache = forward(*arguments)
    dy = rng.standard_normal(y.shape)
    for k, gradient in enumerate(backward(dy.copy(), cache)):
        v = rng.standard_normal(arguments[k].shape)
        measured = directional_slope(only(forward, arguments, k), arguments[k], dy, v, h=1e-13)
        if gradient.shape != v.shape or not np.isclose(np.sum(gradient * v), measured, rtol=1e-4, atol=1e-9):
            return False
    return True


def check_c(forward: Any, backward: Any, arguments: tuple[Array, ...], rng: np.random.Generator) -> bool:
    """A check of the bug hunt; the lesson shows its text."""
    y, cache = forward(*arguments)
    dy = rng.standard_normal(y.shape)
    for k, gradient in enumerate(backward(dy, cache)):
        v = rng.standard_normal(arguments[k].shape)
        measured = directional_slope(only(forward, arguments, k), arguments[k], dy, v)
        if gradient.shape != v.shape or not np.isclose(np.sum(gradient * v), measured, rtol=1e-4, atol=1e-9):
            return False
    return True


def check_d(forward: Any, backward: Any, arguments: tuple[Array, ...], rng: np.random.Generator) -> bool:
    """A check of the bug hunt; the lesson shows its text."""
    y, cache = forward(*arguments)
    dy = rng.standard_normal(y.shape)
    for k, gradient in enumerate(backward(dy.copy(), cache)):
        v = rng.standard_normal(arguments[k].shape)
        measured = directional_slope(only(forward, arguments, k), arguments[k], dy, v)
        if not np.isclose(np.sum(gradient * v), measured, rtol=1e-4, atol=1e-9):
            return False
    return True


def only(forward: Any, arguments: tuple[Array, ...], k: int) -> Callable[[Array], Array]:
    """Forward as a function of its k-th argument alone."""
    return lambda moved: forward(*arguments[:k], moved, *arguments[k + 1 :])[0]


SICK_CHECKS: dict[str, tuple[Check, int]] = {"A": (check_a, 1), "B": (check_b, 2), "C": (check_c, 4), "D": (check_d, 6)}


def _judge_sick(answers: Any) -> Verdict:
    if not isinstance(answers, dict) or set(answers) != set(SICK_CHECKS):
        return Verdict.wrong(f"the answer is a dict with the keys {', '.join(SICK_CHECKS)}", f"it is {answers!r}")
    if any(answer is None for answer in answers.values()):
        return Verdict.not_yet()
    wrong = []
    for name, (check, cause) in SICK_CHECKS.items():
        if not among(answers[name], CAUSES):
            return Verdict.wrong(f"{name}: an answer is one of the numbers 1 to {len(CAUSES)}, got {answers[name]!r}")
        if answers[name] == cause:
            continue
        trials = survival(check, seeds=3)
        survivors = [t for t in trials if t.mutant is not None and t.passed == t.seeds]
        accused = sum(t.mutant is None and t.passed == 0 for t in trials)
        clue = f"accuses {accused} of the {len(SUBJECTS)} right ones every time" if accused > 3 else (
            f"lets live: {'; '.join(t.name for t in survivors[:3])}"
        )  # fmt: skip
        wrong.append(f'{name} is not "{CAUSES[answers[name]]}". It {clue}')
    if wrong:
        return Verdict.wrong(f"{len(SICK_CHECKS) - len(wrong)} of {len(SICK_CHECKS)} are named", *wrong)
    return Verdict.ok("all four are named")


NAME_THE_CAUSES = Exercise(
    name="name_the_causes",
    lesson=2,
    reference={name: cause for name, (_, cause) in SICK_CHECKS.items()},
    judge=_judge_sick,
    hints=(
        "Lay each one beside the next: they differ in one or two places only.",
        "Try them: [t.name for t in lesson02.survival(check_a) if not t.good] says what each one gets wrong.",
        "A: look at dy. B: look at h. C: look at what backward gets. D: look at what is no longer compared.",
    ),
)


# ------------------------------------------------------------------------------------------------------- for pictures
def if_right(exercise: Exercise, function: Callable[..., Any]) -> Callable[..., Any]:
    """The student's function if it passes its check, the lesson's own otherwise, so that a picture can be drawn.

    Parameters
    ----------
    exercise : Exercise
        With cases.
    function : callable

    Returns
    -------
    callable
    """
    if judge(exercise, [function]).passed:
        return function
    print(f"{exercise.name}: drawn with minigan's own until yours passes")
    assert exercise.reference is not None
    return exercise.reference


def yours(check: Check) -> list[Trial]:
    """The verdicts of the student's check on all subjects and mutants; those of the lesson's own check if it fails."""
    try:
        with np.errstate(all="ignore"):
            return survival(check)
    except Exception as error:  # a student's function may raise anything; `check` has reported it
        unwritten = isinstance(error, NotImplementedError)
        print(f"kill_the_mutants: drawn with minigan's own until yours {'is written' if unwritten else 'runs through'}")
        return survival(gradients_agree)


EXERCISES = (NUMERIC_GRADIENT, DIRECTIONAL_SLOPE, CHOOSE_H, TRUSTED_SLOPE, KILL_THE_MUTANTS, NAME_THE_CAUSES)
