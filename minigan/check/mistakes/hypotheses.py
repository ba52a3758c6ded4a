"""What all hypotheses share: when one explains a student's results, and mistakes that any exercise may have.

A hypothesis is a mistake that people make, written as a function: "the kernel is flipped" computes the result of a
convolution with a flipped kernel. It is named as the cause only if it gives the student's numbers in *every* case that
was tried, in those that fail and in those that pass, and as exactly as a right result would have had to agree. A
hypothesis that comes close, or that explains the failing cases alone, is not named: a false cause costs more than none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigan.check.exercise_table import Case
from minigan.check.numeric import differs
from minigan.nn.backend import Array

EXACT = 1e-8
"""How exactly a result that was computed has to agree, with the right one and with a hypothesis."""
MEASURED = 1e-6
"""The same for gradients, which are measured."""
PLAIN = 1e-4
"""An entry that is this far off counts as plainly wrong, where a message says which entries those are."""


class Idea(NamedTuple):
    """What a hypothesis says if it fits: a code, the cause in words, and hints."""

    code: str
    cause: str
    hints: tuple[str, ...] = ()


class Tried(NamedTuple):
    """One case that was tried: the student's result, and the right one."""

    case: Case
    yours: Array
    right: Array

    @property
    def passes(self) -> bool:
        """Whether the result is right."""
        return same(self.yours, self.right, EXACT)


class Guess(NamedTuple):
    """A hypothesis on one case: what it would say, and whether it gives the student's result there."""

    idea: Idea
    fits: bool


def same(a: Array, b: Array, tolerance: float) -> bool:
    """Whether two arrays have one shape, finite values, and agree to a share of the second one's largest."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and bool(np.isfinite(b).all()) and not differs(a, b, tolerance)


def common(cases: Sequence[tuple[Iterable[Guess], bool]]) -> Idea | None:
    """The first idea that explains every case.

    Parameters
    ----------
    cases : sequence of (guesses, passes)
        For every case what each hypothesis gives there, and whether the student's result is right. A hypothesis that
        says nothing about a case (a wrong padding, where there is none) explains it if the result is right.

    Returns
    -------
    Idea or None
    """
    told: list[tuple[dict[str, bool], bool]] = []
    ideas: dict[str, Idea] = {}
    for guesses, passes in cases:
        fitting: dict[str, bool] = {}
        for idea, fits in guesses:
            ideas.setdefault(idea.cause, idea)
            fitting[idea.cause] = fitting.get(idea.cause, False) or fits
        told.append((fitting, passes))
    explained = (cause for cause in ideas if all(fitting.get(cause, passes) for fitting, passes in told))
    return next((ideas[cause] for cause in explained), None)


def constant_factor(tried: Sequence[Tried], code: str) -> Idea | None:
    """The right result times one factor, with the factor's name."""
    found = _factors_of(tried, [None] * len(tried), EXACT)
    if found is None:
        return None
    name, one_number = found
    if not name:
        if not one_number or all(t.yours.size == 1 for t in tried if not t.passes):
            return None  # between two single numbers there is always a factor
        name = f"{one_number:.6g}"
    return Idea(code, f"it is {name} times the right one.")


def common_factor(tried: Sequence[Tried], dys: Sequence[Any], tolerance: float) -> tuple[str, list[float]] | None:
    """The factor by which all results are off: its name ("" if it has none), and its value in each failing case."""
    found = _factors_of(tried, dys, tolerance)
    if found is None:
        return None
    name, one_number = found
    values = [_factor(t) for t in tried if not same(t.yours, t.right, tolerance)]
    return (name or (f"{one_number:.6g}" if one_number else "")), values


def _factor(t: Tried) -> float:
    return float(np.vdot(t.yours, t.right) / max(float(np.vdot(t.right, t.right)), 1e-300))


def _factors_of(tried: Sequence[Tried], dys: Sequence[Any], tolerance: float) -> tuple[str, float] | None:
    """Name of the common factor and its value if that is one number (else 0); None if there is no such factor."""
    values = []
    for t in tried:
        k = _factor(t) if t.yours.shape == t.right.shape else 0.0
        if k == 0 or not same(t.yours, k * t.right, tolerance):
            return None
        values.append(k)
    failing = [i for i, t in enumerate(tried) if not same(t.yours, t.right, tolerance)]
    if not failing:
        return None
    named = [_named_factors(t.case, dy) for t, dy in zip(tried, dys, strict=True)]
    for name in named[failing[0]]:
        if all(abs(names.get(name, 1.0) - k) < 1e-5 * abs(k) for names, k in zip(named, values, strict=True)):
            return name, 0.0
    first = values[failing[0]]
    alike = len(failing) == len(tried) and all(abs(k - first) < 1e-5 * abs(first) for k in values)
    return "", first if alike else 0.0


def _named_factors(case: Case, dy: Array | None) -> dict[str, float]:
    """Every factor that has a name in a case, such as "-1", "2", "1/N"; the simplest first."""
    names: dict[str, float] = {}
    for value, text in ((-1.0, "-1"), (2.0, "2"), (0.5, "1/2"), *_factors(case, dy)):
        for sign, prefix in ((1, ""), (-1, "-")):
            if text != "-1" or sign == 1:
                names.setdefault(prefix + text, sign * value)
    return names


def _factors(case: Case, dy: Array | None) -> list[tuple[float, str]]:
    """Numbers that a factor may be, with their names: n, 1/n and (n - 1)/n of the sizes and settings of a case."""
    x = next(iter(case.arrays.values()))
    named = {"N": float(x.shape[0]) if x.ndim else 1.0}
    if x.ndim == 4:
        named |= {"N*H*W": float(np.prod(x.shape[:3])), "H*W": float(x.shape[1] * x.shape[2]), "C": float(x.shape[3])}
        if dy is not None and dy.ndim == 4:
            named |= {"N*Ho*Wo": float(np.prod(dy.shape[:3])), "Ho*Wo": float(dy.shape[1] * dy.shape[2])}
    elif x.ndim == 2:
        named["C"] = float(x.shape[1])
    named["z.size" if "z" in case.arrays else "x.size"] = float(x.size)
    if dy is not None and dy.ndim and dy.shape[-1] != x.shape[-1]:
        named["O"] = float(dy.shape[-1])
    named |= {name: float(case.settings[name]) for name in ("alpha", "stride") if case.settings.get(name)}
    if "w" in case.arrays and case.arrays["w"].ndim == 4:
        named["K*K"] = float(case.arrays["w"].shape[0] ** 2)
    out = []
    for name, value in named.items():
        if value:
            out += [(value, name), (1 / value, f"1/({name})" if "*" in name else f"1/{name}")]
    for name, value in named.items():
        if value > 1 and name.startswith("N"):
            out += [((value - 1) / value, f"({name} - 1)/({name})"), (value / (value - 1), f"({name})/({name} - 1)")]
    if dy is not None and dy.ndim == 0:
        out.append((1 / float(dy), "1/dloss"))
    return out


def reordered(tried: Sequence[Tried], code: str, tolerance: float = EXACT) -> Idea | None:
    """The right numbers in other places."""
    for t in tried:
        if not same(np.sort(t.yours, axis=None), np.sort(t.right, axis=None), tolerance):
            return None
    if all(t.yours.size < 3 for t in tried if not same(t.yours, t.right, tolerance)):
        return None
    return Idea(
        code, "all the right numbers, in the wrong places: a reshape or transpose took the axes in another order."
    )


def worst_place(yours: Array, right: Array, what: str) -> str:
    """Both values where they differ most, one line; `what` names the right one."""
    difference = np.abs(yours - right)
    index = np.unravel_index(int(np.argmax(difference)), difference.shape) if difference.ndim else ()
    place = f" at ({', '.join(str(int(i)) for i in index)})" if index else ""
    a, b = float(yours[index]), float(right[index])
    if f"{a:+.6g}" == f"{b:+.6g}":
        return f"worst{place}: yours {a:+.12g}, {what} {b:+.12g}"
    return f"worst{place}: yours {a:+.6g}, {what} {b:+.6g}"
