"""What all hypotheses share: the `Idea`, the test whether it fits, and two mistakes that any exercise may have.

A hypothesis is a mistake that people make, written as a function: "the kernel is flipped" computes the result of a
convolution with a flipped kernel. If a student's wrong numbers equal a hypothesis's wrong numbers on every case that
fails, this is most probably the mistake, and the message says so. The simplest hypotheses are tried first, and one fits
only if it agrees to one part in ten thousand.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigan.check.exercise_table import Case
from minigan.check.numeric import differs
from minigan.nn.backend import Array

FIT = 1e-4


class Idea(NamedTuple):
    """What a hypothesis says if it fits: a code, the cause in words, and hints."""

    code: str
    cause: str
    hints: tuple[str, ...] = ()


def fits(yours: Array, wrong: Array, right: Array) -> bool:
    """Whether a hypothesis explains a result: it comes close, and much closer than the right one does."""
    if yours.shape != wrong.shape or differs(yours, wrong, FIT):
        return False
    if yours.shape != right.shape or not np.isfinite(right).all():
        return True
    return bool(np.abs(yours - wrong).max(initial=0) <= 0.03 * np.abs(yours - right).max(initial=0) + 1e-12)


def close(a: Array, b: Array) -> bool:
    """Whether two arrays have the same shape and agree to one part in ten thousand."""
    return a.shape == b.shape and not differs(a, b, FIT)


def common(fitting: list[list[Idea]]) -> Idea | None:
    """The first idea that fits every failing case."""
    causes = set.intersection(*({idea.cause for idea in ideas} for ideas in fitting))
    return next((idea for idea in fitting[0] if idea.cause in causes), None)


def constant_factor(yours: Array, right: Array, case: Case, code: str) -> Idea | None:
    """A constant factor between the two, and what that number may be."""
    if yours.shape != right.shape or not np.any(right):
        return None
    k = float(np.vdot(yours, right) / np.vdot(right, right))
    if abs(k - 1) < 1e-3 or k == 0 or not close(yours, k * right):
        return None
    name = factor_names(k, case)[0]
    if yours.size == 1 and name == f"{k:.6g}":  # between two single numbers there is always a factor
        return None
    return Idea(code, f"it is {name} times the right one.")


def factor_names(k: float, case: Case, dy: Array | None = None) -> list[str]:
    """Every name that a factor could have in a case, such as "-1", "2", "1/N"; the simplest first.

    Parameters
    ----------
    k : float
    case : Case
        Its sizes and settings are candidates.
    dy : Array, optional
        For a gradient: its sizes, and for a scalar loss its value, are candidates too.

    Returns
    -------
    list of str
        The number itself if nothing fits.
    """
    names: list[str] = []
    for value, text in ((-1.0, "-1"), (2.0, "2"), (0.5, "1/2"), *_factors(case, dy)):
        for sign, prefix in ((1, ""), (-1, "-")):
            if abs(k - sign * value) < 1e-3 * abs(value) and prefix + text not in names:
                names.append(prefix + text)
    return names or [f"{k:.6g}"]


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
        if value not in (0.0, 1.0):
            out += [(value, name), (1 / value, f"1/({name})" if "*" in name else f"1/{name}")]
    for name, value in named.items():
        if value > 1 and name.startswith("N"):
            out += [((value - 1) / value, f"({name} - 1)/({name})"), (value / (value - 1), f"({name})/({name} - 1)")]
    if dy is not None and dy.ndim == 0:
        out.append((1 / float(dy), "1/dloss"))
    return out


def reordered(yours: Array, right: Array, code: str) -> Idea | None:
    """The right numbers in other places."""
    if yours.shape != right.shape or yours.size < 3:
        return None
    a, b = np.sort(yours, axis=None), np.sort(right, axis=None)
    if close(a, b):
        return Idea(
            code, "all the right numbers, in the wrong places: a reshape or transpose took the axes in another order."
        )
    return None


def worst_place(yours: Array, right: Array, what: str) -> str:
    """Both values where they differ most, one line; `what` names the right one."""
    difference = np.abs(yours - right)
    index = np.unravel_index(int(np.argmax(difference)), difference.shape) if difference.ndim else ()
    place = f" at ({', '.join(str(int(i)) for i in index)})" if index else ""
    a, b = float(yours[index]), float(right[index])
    if f"{a:+.6g}" == f"{b:+.6g}":
        return f"worst{place}: yours {a:+.12g}, {what} {b:+.12g}"
    return f"worst{place}: yours {a:+.6g}, {what} {b:+.6g}"
