"""Lesson 13's own exercises: slerp, four walks, a direction, arithmetic, truncation, and nearest neighbours.

The walks are functions to be measured, not read: each goes from one noise to another in its own, wrong, way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lessons.exercises.lesson12 import answers_verdict
from lessons.judging import Exercise, Mistake, Verdict, kind_of

NEARLY_PARALLEL = 1e-6
"""Angles below this (in radians) are walked in a straight line: the sine would be 0 but for rounding."""


# ---------------------------------------------------------------------------------------------------------------- slerp
def slerp(a: Any, b: Any, t: Any) -> Any:
    """Stops on the great circle from a to b: t of shape (T,), the result (T, D)."""
    t = np.asarray(t)[:, None]
    cosine = (a @ b) / (np.linalg.norm(a) * np.linalg.norm(b))
    angle = np.arccos(np.clip(cosine, -1, 1))
    if angle < NEARLY_PARALLEL:
        return (1 - t) * a + t * b
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


def _lerp(a: Any, b: Any, t: Any) -> Any:
    return (1 - t[:, None]) * a + t[:, None] * b


def _angle(a: Any, b: Any) -> float:
    return float(np.arccos(np.clip((a @ b) / (np.linalg.norm(a) * np.linalg.norm(b)), -1, 1)))


def _circle(a: Any, b: Any, t: Any, angle: float) -> Any:
    t = t[:, None]
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


def _or_straight(a: Any, b: Any, t: Any, angle: float) -> Any:
    return _lerp(a, b, t) if angle < NEARLY_PARALLEL else _circle(a, b, t, angle)


def _unit(x: Any) -> Any:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _slerp_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    t = np.linspace(0, 1, 5)
    cases = [(rng.normal(0, 1, D), rng.normal(0, s, D), np.sort(rng.random(T))) for D, T, s in ((100, 7, 1), (5, 3, 3))]
    same = np.array([0.0, -2.0, 0.0])  # its cosine with itself is exactly 1, whoever computes it
    return [
        (np.array([1.0, 0.0]), np.array([0.0, 1.0]), t),
        (2 * np.eye(3)[0], np.eye(3)[2], t),
        *cases,
        (same, same, t),
    ]


def _units(stops: Any) -> Any:
    return stops / np.linalg.norm(stops, axis=1, keepdims=True)


_UNITS = "The stops are brought to length 1 at the end. At t = 0 it must be a itself, as long as it is."

_SLERP = Exercise(
    name="slerp",
    lesson=13,
    reference=slerp,
    cases=_slerp_cases,
    tolerance=1e-7,
    mistakes=(
        Mistake(
            lambda a, b, t: _circle(a, b, t, _angle(a, b)),
            "From a to the same a there is no angle, and 0 / 0 is NaN. Walk a straight line if the angle is next to 0.",
        ),
        Mistake(_lerp, "This is the straight line. Its middle is too short: of two vectors at a right angle, by 29 %."),
        Mistake(
            lambda a, b, t: np.linalg.norm(a) * _unit(_lerp(a, b, t)),
            "A straight line, pulled out to the sphere. Its lengths are right, but its steps are not even: the "
            "middle is "
            "walked faster than the ends.",
        ),
        Mistake(lambda a, b, t: _units(slerp(a, b, t)), _UNITS),
        Mistake(
            lambda a, b, t: _lerp(a, b, t) if _angle(a, b) < NEARLY_PARALLEL else _units(slerp(a, b, t)),
            _UNITS,
        ),
        Mistake(
            lambda a, b, t: _or_straight(_unit(a), _unit(b), t, _angle(a, b)),
            "The stops have length 1: you went on with the normalised vectors. They are only for the angle; a and b "
            "themselves are mixed.",
        ),
        Mistake(
            lambda a, b, t: _or_straight(a, b, 1 - t, _angle(a, b)),
            "You walk from b to a: at t = 0 it must be a, so a goes with sin((1 - t) * angle).",
        ),
        Mistake(
            lambda a, b, t: (
                _lerp(a, b, t)
                if _angle(a, b) < NEARLY_PARALLEL
                else _circle(a, b, t, _angle(a, b)) * np.sin(_angle(a, b))
            ),
            "The division by sin(angle) is missing: at t = 0 the result must be a itself.",
        ),
        Mistake(
            lambda a, b, t: _or_straight(a, b, t, float(np.cos(_angle(a, b)))),
            "The cosine is taken for the angle: np.arccos makes the one of the other.",
        ),
        Mistake(
            lambda a, b, t: _or_straight(a, b, t, float(np.arccos(np.clip(a @ b / np.linalg.norm(a), -1, 1)))),
            "The cosine is a @ b divided by *both* lengths.",
        ),
        Mistake(
            lambda a, b, t: _or_straight(a, b, t, float(np.arccos(np.clip(a @ b / np.linalg.norm(b), -1, 1)))),
            "The cosine is a @ b divided by *both* lengths.",
        ),
        Mistake(
            lambda a, b, t: _or_straight(a, b, t, float(np.arccos(np.clip(a @ b / (a @ a * (b @ b)), -1, 1)))),
            "The cosine is a @ b divided by both lengths. a @ a is the *square* of a length.",
        ),
        Mistake(
            lambda a, b, t: _circle(_unit(a), _unit(b), t, _angle(a, b)),
            "The stops have length 1: you went on with the normalised vectors. They are only for the angle; a and b "
            "themselves are mixed.",
        ),
        Mistake(
            lambda a, b, t: _circle(a, b, 1 - t, _angle(a, b)),
            "You walk from b to a: at t = 0 it must be a, so a goes with sin((1 - t) * angle).",
        ),
        Mistake(
            lambda a, b, t: _circle(a, b, t, np.arccos(np.clip(a @ b, -1, 1))),
            "The angle comes from a @ b alone. That is the cosine only if both have length 1: divide by both lengths.",
        ),
        Mistake(
            lambda a, b, t: _or_straight(a, b, t, float(np.arccos(np.clip(a @ b, -1, 1)))),
            "The angle comes from a @ b alone. That is the cosine only if both have length 1: divide by both lengths.",
        ),
        Mistake(
            lambda a, b, t: _or_straight(a, b, t, np.degrees(_angle(a, b))),
            "The angle is in degrees. np.sin wants radians, which is what np.arccos gives.",
        ),
        Mistake(
            lambda a, b, t: _circle(a, b, t, np.degrees(_angle(a, b))),
            "The angle is in degrees. np.sin wants radians, which is what np.arccos gives.",
        ),
        Mistake(
            lambda a, b, t: _circle(a, b, t, _angle(a, b)) * np.sin(_angle(a, b)),
            "The division by sin(angle) is missing: at t = 0 the result must be a itself.",
        ),
    ),
    hints=(
        "First the angle: its cosine is a @ b over both lengths. Then the two weights, sin((1 - t) * angle) / "
        "sin(angle) "
        "and sin(t * angle) / sin(angle).",
        "t has T entries and the result is (T, D): t[:, None] makes a column of t, and columns times vectors give "
        "rows.",
        "np.clip the cosine to -1 .. 1 before np.arccos, and if angle < 1e-6 return (1 - t) * a + t * b.",
    ),
    doc="The great circle from one noise to another.",
)


# ---------------------------------------------------------------------------------------------------------------- walks
def _long_way(a: Any, b: Any, t: Any) -> Any:
    return _circle(a, b, t, _angle(a, b) - 2 * np.pi)


WALKS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "one": lambda a, b, t: np.linalg.norm(a) * _unit(_lerp(a, b, t)),
    "two": _long_way,
    "three": _lerp,
    "four": lambda a, b, t: _unit(slerp(a, b, t)),
}
"""Ways from one noise to another, each with one thing wrong: measure them, do not read them."""

_GUILTY = {
    "one": "uneven steps: a straight line pulled out to the sphere",
    "two": "the long way round",
    "three": "a straight line",
    "four": "all stops have length 1",
}
WALK_CAUSES = (*sorted(_GUILTY.values()), "walks from b to a", "stops short of b")

_GAUGE_OF_WALK = {
    "one": "its lengths are those of a right walk. Look at the angles between neighbouring stops.",
    "two": "add up the angles between neighbouring stops: how far round does it go?",
    "three": "look at the length in the middle, beside that at the ends.",
    "four": "look at the lengths, beside that of any noise.",
}


def _judge_walks(answers: Any) -> Verdict:
    return answers_verdict(
        answers,
        _GUILTY,
        WALK_CAUSES,
        lambda name, claim: f"{name} is not “{claim}”: {_GAUGE_OF_WALK[name]}",
        "all four",
    )


_WALKS = Exercise(
    name="walks",
    lesson=13,
    judge=_judge_walks,
    hints=(
        "Two gauges tell all four apart: how long each stop is, and the angle between one stop and the next.",
        "A right walk has lengths near 10 all the way, and equal angles that add up to the angle between a and b.",
        "One has the right lengths and unequal angles; two has angles that add up to more than 180 degrees; three is "
        "shortest in the middle; four is short everywhere.",
    ),
    doc="What is wrong with four ways from one noise to another.",
)


# ----------------------------------------------------------------------------------------------------------- directions
def attribute_direction(z: Any, has: Any) -> Any:
    """From the mean noise of faces without an attribute to that of faces with it."""
    return z[has].mean(axis=0) - z[~has].mean(axis=0)


def _direction_cases(rng: np.random.Generator) -> list[tuple[Any, Any]]:
    return [(rng.normal(0, 1, (N, D)), np.arange(N) % N < few) for N, D, few in ((20, 3, 4), (7, 5, 3), (50, 100, 11))]


_DIRECTION = Exercise(
    name="attribute_direction",
    lesson=13,
    reference=attribute_direction,
    cases=_direction_cases,
    tolerance=1e-6,
    mistakes=(
        Mistake(
            lambda z, has: z[has].mean(axis=0),
            "Only the mean of those with it. What all faces have in common is still in there; the mean of those "
            "without it "
            "takes it out.",
        ),
        Mistake(
            lambda z, has: z[has].mean(axis=0) - z.mean(axis=0),
            "The second mean is over all faces, those with the attribute too. It points the same way and is too short.",
        ),
        Mistake(
            lambda z, has: z[~has].mean(axis=0) - z[has].mean(axis=0),
            "The other way round: this leads away from the attribute.",
        ),
        Mistake(
            lambda z, has: z[has].sum(axis=0) - z[~has].sum(axis=0),
            "Sums. There are many more faces without the attribute than with it, and they outweigh it.",
        ),
        Mistake(
            lambda z, has: (z * has[:, None]).mean(axis=0) - (z * ~has[:, None]).mean(axis=0),
            "Both sums are divided by the number of *all* faces. Each mean is over its own.",
        ),
        Mistake(
            lambda z, has: np.median(z[has], axis=0) - np.median(z[~has], axis=0),
            "Medians. The means are asked for; only for them does the derivation hold.",
        ),
        Mistake(
            lambda z, has: z[has][0] - z[~has][0],
            "Only the first face of each kind. One face says too little: average them.",
        ),
        Mistake(
            lambda z, has: _unit(z[has].mean(axis=0) - z[~has].mean(axis=0)),
            "Brought to length 1. The length tells how strong the signal is; the lesson needs it.",
        ),
    ),
    hints=(
        "Two means over the faces (axis=0), and their difference.",
        "has is an array of True and False: z[has] are the noises of faces with the attribute, z[~has] the others.",
        "return z[has].mean(axis=0) - z[~has].mean(axis=0)",
    ),
    doc="Difference of the mean noises with and without an attribute.",
)


# ----------------------------------------------------------------------------------------------------------- arithmetic
def arithmetic(a: Any, b: Any, c: Any) -> Any:
    """mean(a) - mean(b) + mean(c), for groups of noises (n, D)."""
    return a.mean(axis=0) - b.mean(axis=0) + c.mean(axis=0)


def _arithmetic_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [tuple(rng.normal(0, 1, (n, D)) for n in sizes) for sizes, D in (((3, 3, 3), 100), ((2, 4, 3), 5))]


_ARITHMETIC = Exercise(
    name="arithmetic",
    lesson=13,
    reference=arithmetic,
    cases=_arithmetic_cases,
    tolerance=1e-6,
    mistakes=(
        Mistake(
            lambda a, b, c: a.sum(axis=0) - b.sum(axis=0) + c.sum(axis=0),
            "Sums instead of means: three times too long, far outside of the shell that G knows.",
        ),
        Mistake(
            lambda a, b, c: a[0] - b[0] + c[0], "Only the first of each group. One face says too little: average them."
        ),
        Mistake(
            lambda a, b, c: b.mean(axis=0) - a.mean(axis=0) + c.mean(axis=0), "a and b are exchanged: it is a - b + c."
        ),
        Mistake(
            lambda a, b, c: a.mean(axis=0) + b.mean(axis=0) - c.mean(axis=0),
            "The signs are exchanged: it is a - b + c.",
        ),
        Mistake(
            lambda a, b, c: a.mean(axis=0) + b.mean(axis=0) + c.mean(axis=0),
            "b is added. It is to be taken away: a - b + c.",
        ),
        Mistake(
            lambda a, b, c: a.mean(axis=0) - b.mean(axis=0) - c.mean(axis=0),
            "c is taken away. It is to be added: a - b + c.",
        ),
        Mistake(lambda a, b, c: a.mean(axis=0) - b.mean(axis=0), "c is missing: it is a - b + c."),
        Mistake(
            lambda a, b, c: arithmetic(a, b, c) / 3,
            "Divided by 3. The three means are added and subtracted as they are.",
        ),
        Mistake(
            lambda a, b, c: a.mean(axis=0) - b.mean(axis=0) + c[0],
            "Of c only the first is taken. Each group is averaged.",
        ),
        Mistake(
            lambda a, b, c: 10 * _unit(arithmetic(a, b, c)),
            "Brought to length 10. Asked for is the result as it is; its length is part of what the lesson looks at.",
        ),
    ),
    hints=(
        "Each group becomes one noise: the mean over its faces.",
        "a.mean(axis=0) has shape (D,).",
        "return a.mean(axis=0) - b.mean(axis=0) + c.mean(axis=0)",
    ),
    doc="Mean of a, minus mean of b, plus mean of c.",
)


# ----------------------------------------------------------------------------------------------------------- truncation
def truncate(z: Any, limit: float, rng: np.random.Generator) -> Any:
    """Noise in which every number beyond the limit has been drawn again, as often as it takes."""
    z = z.copy()
    while (bad := np.abs(z) > limit).any():
        z[bad] = rng.standard_normal(int(bad.sum()))
    return z


_TRUNCATED_DEVIATION = 0.391  # of N(0, 1) between -0.7 and 0.7


def _judge_truncate(function: Any) -> Verdict:
    name = getattr(function, "__name__", "truncate")
    rng = np.random.default_rng(13)
    z = rng.standard_normal((200, 100)).astype(np.float32)
    before, limit = z.copy(), 0.7
    result = function(z, limit, np.random.default_rng(1))
    if not np.array_equal(z, before):
        return Verdict.wrong(
            f"{name} modifies its input z", cause="z[...] = writes into the caller's array: copy it first."
        )
    if not isinstance(result, np.ndarray) or result.shape != z.shape:
        return Verdict.wrong(
            f"{name}: the result must be an array of shape {z.shape}, got {kind_of(result)}", code="E13"
        )
    if result.dtype.kind != "f":
        return Verdict.wrong(f"{name}: the result has dtype {result.dtype}, expected {z.dtype}", code="E14")
    beyond = float((np.abs(result) > limit).mean())
    inside = np.abs(before) <= limit
    if not np.array_equal(result[inside], before[inside]):
        ratio = result[inside] / before[inside]
        scaled = np.allclose(ratio, ratio[0], rtol=1e-3)
        cause = "All numbers are scaled down. That is another method; here those within the limit stay as they are."
        return Verdict.wrong(
            f"{name} changes numbers that are within the limit", cause=cause if scaled else "", code="E30"
        )
    if beyond > 0:
        above, below = result > limit, result < -limit
        was_above, was_below = before > limit, before < -limit
        kept = np.asarray(result == before)
        causes = (
            (bool(kept.all()), "Nothing was drawn again: the result is z."),
            (not above.any() and bool(kept[was_below].all()), "Numbers below -limit count, too: compare np.abs(z)."),
            (not below.any() and bool(kept[was_above].all()), "Numbers above limit count, too: compare np.abs(z)."),
            (
                not kept[~inside].any(),
                "They were drawn again once, and some fell outside again. Go on until none is left.",
            ),
        )
        return Verdict.wrong(
            f"{name}: {100 * beyond:.1f} % of the numbers are still beyond the limit",
            cause=next((why for holds, why in causes if holds), ""),
            code="E30",
        )
    new = result[~inside].astype(float)
    if np.mean(np.abs(np.abs(new) - limit) < 1e-6) > 0.5:
        return Verdict.wrong(
            f"{name} puts what was beyond the limit onto the limit",
            f"{100 * np.mean(np.abs(np.abs(result) - limit) < 1e-6):.0f} % of all numbers are now exactly {limit} or "
            f"-{limit}",
            cause="np.clip. The paper draws them again, so that noise stays noise.",
            code="E30",
        )
    if np.mean(new == 0) > 0.5:
        return Verdict.wrong(
            f"{name} sets what was beyond the limit to 0", cause="Draw these numbers again.", code="E30"
        )
    if len(np.unique(new)) < 0.9 * len(new):
        return Verdict.wrong(
            f"{name} uses the same new number in many places",
            cause="Draw one for each place: as many as bad.sum().",
            code="E30",
        )
    if abs(new.mean()) > 0.03 or abs(new.std() - _TRUNCATED_DEVIATION) > 0.008:
        return Verdict.wrong(
            f"{name}: the new numbers are not those of N(0, 1) within the limit",
            f"their mean is {new.mean():.3f} and their standard deviation {new.std():.3f}; expected 0 and "
            f"{_TRUNCATED_DEVIATION}",
            cause="They are uniform, it seems: use rng.standard_normal."
            if abs(new.std() - limit / 3**0.5) < 0.008
            else "",
            code="E30",
        )
    if not np.array_equal(result, function(z, limit, np.random.default_rng(1))):
        return Verdict.wrong(
            f"{name}: the same generator of random numbers gives another result the second time",
            cause="draw from rng, and from nothing else.",
        )
    return Verdict.ok("all within the limit, and nothing else changed")


_TRUNCATE = Exercise(
    name="truncate",
    lesson=13,
    judge=_judge_truncate,
    hints=(
        "Find what is beyond the limit, draw as many new numbers, put them there, and look again.",
        "bad = np.abs(z) > limit; z[bad] = rng.standard_normal(bad.sum()). In a loop, on a copy of z.",
        "z = z.copy(); while (bad := np.abs(z) > limit).any(): z[bad] = rng.standard_normal(bad.sum()); return z",
    ),
    doc="Draw again what is beyond a limit.",
)


# --------------------------------------------------------------------------------------------------- nearest neighbours
def nearest(queries: Any, faces: Any, k: int) -> tuple[Any, Any]:
    """Places (Q, k) of the k nearest faces and their distances (Q, k) in grey levels, nearest first."""
    a = queries.reshape(len(queries), -1).astype(np.float64)
    b = faces.reshape(len(faces), -1).astype(np.float64)
    squares = (a * a).sum(axis=1)[:, None] - 2 * a @ b.T + (b * b).sum(axis=1)
    places = np.argsort(squares, axis=1, kind="stable")[:, :k]
    return places, np.sqrt(np.maximum(np.take_along_axis(squares, places, axis=1), 0) / a.shape[1])


def _by_loops(queries: Any, faces: Any, k: int, apart: Callable[[Any, Any], float], *, most: bool = False) -> Any:
    table = np.array([[apart(q, f) for f in faces] for q in queries])
    places = np.argsort(-table if most else table, axis=1, kind="stable")[:, :k]
    return places, np.take_along_axis(table, places, axis=1)


def _rms(a: Any, b: Any) -> float:
    return float(np.sqrt(((a.astype(float) - b) ** 2).mean()))


def _wrapped(a: Any, b: Any) -> float:
    return float(np.sqrt(((a - b) ** 2).mean()))


def _wrapped_once(a: Any, b: Any) -> float:
    return float(np.sqrt(((a - b).astype(float) ** 2).mean()))


def _from_squares(a: Any, b: Any, squares: Any, k: int) -> Any:
    places = np.argsort(squares, axis=1)[:, :k]
    return places, np.sqrt(np.maximum(np.take_along_axis(squares, places, axis=1), 0) / a.shape[1])


def _from_uint8(queries: Any, faces: Any, k: int) -> Any:
    a, b = queries.reshape(len(queries), -1), faces.reshape(len(faces), -1)
    return _from_squares(a, b, (a * a).sum(axis=1)[:, None] - 2 * a @ b.T + (b * b).sum(axis=1), k)


def _without_own_square(queries: Any, faces: Any, k: int) -> Any:
    a, b = queries.reshape(len(queries), -1).astype(float), faces.reshape(len(faces), -1).astype(float)
    return _from_squares(a, b, -2 * a @ b.T + (b * b).sum(axis=1), k)


def _without_two(queries: Any, faces: Any, k: int) -> Any:
    a, b = queries.reshape(len(queries), -1).astype(float), faces.reshape(len(faces), -1).astype(float)
    return _from_squares(a, b, (a * a).sum(axis=1)[:, None] - a @ b.T + (b * b).sum(axis=1), k)


def _nearest_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    def images(N: int, S: int) -> Any:
        return rng.integers(0, 256, (N, S, S, 3)).astype(np.uint8)

    return [(images(Q, S), images(N, S), k) for Q, N, S, k in ((3, 7, 2, 2), (1, 5, 3, 1), (4, 6, 2, 6))]


_NEAREST = Exercise(
    name="nearest",
    lesson=13,
    reference=nearest,
    cases=_nearest_cases,
    tolerance=1e-5,
    mistakes=(
        Mistake(
            lambda q, f, k: _by_loops(q, f, k, _wrapped),
            "The images are uint8, and 3 - 5 is 254 there: it wraps around. So do the squares. Make them float first.",
        ),
        Mistake(
            lambda q, f, k: _by_loops(q, f, k, _wrapped_once),
            "The images are uint8, and 3 - 5 is 254 there: it wraps around. Make them float before you subtract.",
        ),
        Mistake(
            lambda q, f, k: _by_loops(q, f, k, lambda a, b: _rms(a, b) ** 2),
            "The root is missing: these are mean squares, not grey levels.",
        ),
        Mistake(
            lambda q, f, k: _by_loops(q, f, k, lambda a, b: _rms(a, b) ** 2 * a.size),
            "These are sums of squares. Divide by the number of values, and take the root.",
        ),
        Mistake(
            lambda q, f, k: tuple(table[:, 1:] for table in _by_loops(q, f, k + 1, _rms)),
            "The nearest face is left out. A query is not one of the faces here, so nothing has to be skipped.",
        ),
        Mistake(
            lambda q, f, k: _by_loops(q, f, k, lambda a, b: _rms(a, b) * np.sqrt(a.size)),
            "The length of the difference, not divided by the number of values: images of two sizes could not be "
            "compared.",
        ),
        Mistake(
            lambda q, f, k: _by_loops(q, f, k, lambda a, b: float(np.abs(a.astype(float) - b).mean())),
            "The mean *absolute* difference; asked for is the root of the mean square.",
        ),
        Mistake(lambda q, f, k: _by_loops(q, f, k, _rms, most=True), "These are the farthest faces, not the nearest."),
        Mistake(
            lambda q, f, k: tuple(a[:, ::-1] for a in _by_loops(q, f, k, _rms, most=True)),
            "These are the farthest faces, not the nearest: the last k of the sorted ones.",
        ),
        Mistake(
            lambda q, f, k: _by_loops(q, f, k, lambda a, b: _rms(a, b) * 3**0.5),
            "Divided by the number of pixels. Each pixel has three values, one for each colour: divide by all of them.",
        ),
        Mistake(
            lambda q, f, k: (nearest(q, f, k)[0], np.array([[_rms(x, y) for y in f[:k]] for x in q])),
            "The places are right. The distances are those of the first k faces, and not of the nearest.",
        ),
        Mistake(
            _from_uint8,
            "The images are uint8, and products and sums of these wrap around at 256. Make them float first.",
        ),
        Mistake(_without_own_square, "The places are right; in the distances |a|^2 is missing."),
        Mistake(_without_two, "The 2 is missing: |a - b|^2 = |a|^2 - 2 a.b + |b|^2."),
        Mistake(
            lambda q, f, k: tuple(a[:, ::-1] for a in nearest(q, f, k)),
            "The right ones, but the nearest must come first.",
        ),
    ),
    hints=(
        "Flatten each image, and make it float: q.reshape(len(q), -1).astype(np.float64).",
        "All squared distances at once: |a|^2 - 2 a.b + |b|^2, where a @ b.T has every pair. np.argsort along axis 1 "
        "sorts "
        "each row; its first k columns are the places.",
        "squares = (a*a).sum(1)[:, None] - 2 * a @ b.T + (b*b).sum(1); places = np.argsort(squares, axis=1)[:, :k]; "
        "distances = np.sqrt(np.maximum(np.take_along_axis(squares, places, axis=1), 0) / a.shape[1]).",
    ),
    doc="The k nearest of many images.",
)

EXERCISES = (_SLERP, _WALKS, _DIRECTION, _ARITHMETIC, _TRUNCATE, _NEAREST)
