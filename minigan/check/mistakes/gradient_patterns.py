"""Patterns in a wrong gradient, whatever the exercise: zeros, a constant factor, exchanged axes, a wrong border.

Each function is handed one `Evidence` for every case that was tried. It returns an `Idea` if the pattern explains them
all, otherwise None. The last three only describe where the failing cases are wrong.
"""

from __future__ import annotations

import itertools

import numpy as np

from minigan.check.mistakes import hypotheses
from minigan.check.mistakes.gradient_evidence import Evidence
from minigan.check.mistakes.hypotheses import MEASURED, PLAIN, Idea, same


def zeros(evidence: list[Evidence]) -> Idea | None:
    """Every element is 0."""
    if all(not e.yours.any() for e in evidence):
        return Idea("E52", "all of it is 0. Is anything written into the array after it is made?")
    return None


def exchanged(evidence: list[Evidence]) -> Idea | None:
    """It equals the right gradient of another argument."""
    for other in evidence[0].names:
        if other != evidence[0].name and all(e.fits(e.numeric_for(other)) for e in evidence):
            return Idea(
                "E67",
                f"what comes back as {evidence[0].name} is {other}. Does the return statement have the right order?",
            )
    return None


def ignores_dy(evidence: list[Evidence]) -> Idea | None:
    """It stays the same for another dy."""
    for e in evidence:
        if not e.yours.any() or not e.fits(e.with_dy(np.cos(np.arange(e.dy.size)).reshape(e.dy.shape))):
            return None
    return Idea(
        "E56",
        f"it is the same whatever {'dloss' if evidence[0].exercise.scalar else 'dy'} is: the derivative "
        "of the function alone, not yet multiplied by it.",
    )


def constant_multiple(evidence: list[Evidence]) -> Idea | None:
    """It is the right gradient times one number."""
    found = hypotheses.common_factor([e.tried for e in evidence], [e.dy for e in evidence], MEASURED)
    if found is None:
        return None
    best, values = found
    if not best:
        told = ", ".join(f"{k:.4g}" for k in values)
        return Idea("E51", f"it is off by a factor that depends on the sizes: {told}.")
    code = (
        "E57"
        if best.strip("-") not in ("1", "2", "1/2") and any(c in best for c in ("N", "H", "W", "C", "size"))
        else "E51"
    )
    why = {
        "-1": "the sign is wrong.",
        "2": "something is counted twice.",
        "1/2": "something is halved.",
    }.get(best, "")
    if code == "E57":
        why = (
            "a mean where a sum belongs, or a division that does not belong there."
            if best.startswith("1/")
            else "a sum where a mean belongs, or a division that is missing."
        )
    hint = "Which sums of the forward pass are means, and which are not?" if code == "E57" else "Follow one number."
    return Idea(code, f"it is {best} times the right one" + (f": {why}" if why else "."), (hint,))


def some_samples(evidence: list[Evidence]) -> Idea | None:
    """Only the first or the last sample counts."""
    for index, which in ((0, "first"), (-1, "last")):
        fits = []
        for e in evidence:
            if e.dy.ndim == 0 or e.dy.shape[0] < 2:
                continue
            masked = np.zeros_like(e.dy)
            masked[index] = e.dy[index]
            fits.append(e.fits(e.numeric_with_dy(masked)))
        if fits and all(fits):
            return Idea(
                "E64",
                f"only the {which} sample of the batch counts.",
                ("The gradient of a parameter is a sum over all samples.",),
            )
    return None


def turned(evidence: list[Evidence]) -> Idea | None:
    """Axes of the right gradient exchanged or reversed."""
    ndim = evidence[0].yours.ndim
    if any(e.yours.ndim != ndim for e in evidence) or ndim < 2:
        return None
    for axes in itertools.permutations(range(ndim)):
        if axes != tuple(range(ndim)) and all(e.fits(e.numeric.transpose(axes)) for e in evidence):
            return Idea("E53", f"its axes are exchanged: it is the right one transposed by {axes}.")
    for n in range(1, ndim + 1):
        for axes in itertools.combinations(range(ndim), n):
            if all(e.fits(np.flip(e.numeric, axes)) for e in evidence):
                told = " and ".join(str(a) for a in axes)
                return Idea("E54", f"its elements are in reverse order along axis {told}: a flipped kernel or image.")
    return None


def shifted(evidence: list[Evidence]) -> Idea | None:
    """The right numbers, moved by a row or a column."""
    if any(e.yours.ndim != 4 for e in evidence):
        return None
    axes = (0, 1) if evidence[0].name == "dw" else (1, 2)
    for di, dj in itertools.product((-2, -1, 0, 1, 2), repeat=2):
        if (di, dj) == (0, 0):
            continue
        fits = []
        for e in evidence:
            H, W = (e.yours.shape[a] for a in axes)
            if abs(di) >= H or abs(dj) >= W or (H - abs(di)) * (W - abs(dj)) < 2:
                continue
            here = _window(axes, max(di, 0), H + min(di, 0), max(dj, 0), W + min(dj, 0))
            there = _window(axes, max(-di, 0), H + min(-di, 0), max(-dj, 0), W + min(-dj, 0))
            fits.append(same(e.yours[here], e.numeric[there], MEASURED) and bool(e.numeric[there].any()))
        if fits and all(fits):
            return Idea(
                "E55",
                f"it is shifted by {di} rows and {dj} columns: the padding is cropped at the wrong side, or not "
                f"at all.",
            )
    return None


def _window(axes: tuple[int, int], a: int, b: int, c: int, d: int) -> tuple[slice, ...]:
    cut = [slice(None)] * 4
    cut[axes[0]], cut[axes[1]] = slice(a, b), slice(c, d)
    return tuple(cut)


def reordered(evidence: list[Evidence]) -> Idea | None:
    """It has the right elements in another order."""
    return hypotheses.reordered([e.tried for e in evidence], "E53", MEASURED)


def one_side(evidence: list[Evidence]) -> Idea | None:
    """Right for positive inputs, wrong for negative ones, or the reverse."""
    if evidence[0].name != "dx" or not {"w", "gamma"}.isdisjoint(evidence[0].case.arrays):
        return None
    sides = set()
    for e in evidence:
        x = e.case.arrays["x"]
        bad = np.abs(e.yours - e.numeric) > PLAIN * max(np.abs(e.numeric).max(), 1e-3)
        if (x < 0).any() and (x > 0).any():
            sides.add("negative" if not bad[x > 0].any() else "positive" if not bad[x < 0].any() else "both")
    if sides in ({"negative"}, {"positive"}):
        return Idea("E63", f"it is wrong for {sides.pop()} inputs only.")
    return None


def border(evidence: list[Evidence]) -> Idea | None:
    """Only the outermost rows and columns are wrong."""
    if evidence[0].name != "dx" or any(e.yours.ndim != 4 for e in evidence):
        return None
    seen = False
    for e in evidence:
        bad = np.abs(e.yours - e.numeric) > PLAIN * max(np.abs(e.numeric).max(), 1e-3)
        H, W = bad.shape[1:3]
        if H > 2 and W > 2:
            if bad[:, 1:-1, 1:-1].any():
                return None
            seen = True
    return (
        Idea("E65", "only the outermost rows and columns are wrong: look at how padding is undone.") if seen else None
    )


def one_channel(evidence: list[Evidence]) -> Idea | None:
    """Only one index of the last axis is right, or only one is wrong."""
    right, wrong = [], []
    for e in evidence:
        if e.yours.ndim < 1 or e.yours.shape[-1] < 2:
            continue
        bad = np.abs(e.yours - e.numeric) > PLAIN * max(np.abs(e.numeric).max(), 1e-3)
        flags = bad.reshape(-1, bad.shape[-1]).any(axis=0)
        right.append(int((~flags).sum()) == 1 and bool(~flags[0]))
        wrong.append(int(flags.sum()) == 1)
    if right and all(right):
        return Idea("E57", "only channel 0 is right: does a loop or an index stop there?")
    if wrong and all(wrong):
        return Idea("E57", "a single channel is wrong: does a loop or an index leave it out?")
    return None
