"""Lesson 4, a loss that does not explode: numbers by hand, where the obvious formula breaks, and suspects.

The loss itself, forward and backward, is an exercise of `minigan.check`. `naive_bce` is the formula of the textbook,
typed as it stands; students look for logits at which it gives infinity, NaN, or a wrong number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lessons.judging import Exercise, Mistake, Verdict, is_sequence, judge, judge_layer, name_faults, number
from minigan.nn import losses
from minigan.nn.backend import Array
from minigan.nn.ops import sigmoid_forward


def naive_bce(z: Array, target: Array) -> Array:
    """Cross-entropy of each element, as the textbook writes it."""
    with np.errstate(all="ignore"):
        p = 1 / (1 + np.exp(-z))
        return -(target * np.log(p) + (1 - target) * np.log(1 - p))


def stable_bce(z: Array, target: Array) -> Array:
    """Cross-entropy of each element, right for every z."""
    return softplus(z) - target * z


def pair(forward: Callable[..., Any], backward: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The student's loss both ways if it passes its check, minigan's otherwise: each backward reads its own cache."""
    if judge_layer("bce_with_logits", (forward, backward)).passed:
        return forward, backward
    print("bce_with_logits: minigan's own is used until yours passes")
    return losses.bce_with_logits_forward, losses.bce_with_logits_backward


# ------------------------------------------------------------------------------------------------------------- by hand
def by_hand() -> dict[str, float]:
    """What `bce_by_hand` asks for."""
    return {
        "loss at z = 0, t = 1": math.log(2),
        "loss at z = 0, t = 0.9": math.log(2),
        "loss at z = ln 9, t = 1": math.log(10 / 9),
        "loss at z = ln 9, t = 0": math.log(10),
        "best z for t = 0.9": math.log(9),
    }


_HAND_REASONS = {
    "loss at z = 0, t = 1": "z = 0 gives p = 1/2.",
    "loss at z = 0, t = 0.9": "both logarithms are those of 1/2, whatever their weights.",
    "loss at z = ln 9, t = 1": "e**(-ln 9) is 1/9, so p = 1/(1 + 1/9) = 0.9.",
    "loss at z = ln 9, t = 0": "p = 0.9 again; what is 1 - p?",
    "best z for t = 0.9": "the loss is smallest where p equals t. Which logit has p = 0.9?",
}


def _judge_hand(answer: Any) -> Verdict:
    right = by_hand()
    if not isinstance(answer, Mapping) or set(answer) != set(right):
        return Verdict.wrong(f"a dict with the keys {', '.join(map(repr, right))} is wanted", code="E11")
    if any(value is None for value in answer.values()):
        return Verdict.not_yet("not answered yet")
    for name in right:
        if number(answer[name]) is None:
            return Verdict.wrong(f"{name}: one number is wanted, got {answer[name]!r}", code="E12")
    # A wrong base, or no logarithm at all, shows in all losses; one number alone may be anything.
    losses = [name for name in right if name.startswith("loss")]
    taken = {name: _inside(name) for name in losses}
    known = [
        (
            {name: right[name] / math.log(2) for name in losses},
            "the logarithm is np.log, the natural one, not to base 2.",
        ),
        (
            {name: right[name] / math.log(10) for name in losses},
            "the logarithm is np.log, the natural one, not to base 10.",
        ),
        (taken, "these are the probabilities that were given to what happened; the loss is minus their logarithm."),
    ]
    given = [float(answer[name]) for name in losses]
    cause = next((why for wrong, why in known if _near(given, [wrong[name] for name in losses])), "")
    for name, value in right.items():
        got = float(answer[name])
        if not _near([got], [value]):
            if name in losses and _near([got], [-value]):
                cause = "the sign: a logarithm of a probability is below 0, and the loss is minus that."
            return Verdict.wrong(f"{name} is not {got:g}", _HAND_REASONS[name], cause=cause, code="E30")
    return Verdict.ok(f"{len(right)} numbers")


def _near(given: Sequence[float], wanted: Sequence[float]) -> bool:
    """Whether numbers agree to two decimals."""
    return all(abs(g - w) <= 0.005 for g, w in zip(given, wanted, strict=True))


def _inside(name: str) -> float:
    """The probability that was given to what happened, in a question about a loss."""
    return {"loss at z = ln 9, t = 1": 0.9, "loss at z = ln 9, t = 0": 0.1}.get(name, 0.5)


# ------------------------------------------------------------------------------------------------------------ break it
def _judge_breaking(answer: Any) -> Verdict:
    keys = ("infinite", "not a number", "wrong")
    if not isinstance(answer, Mapping) or set(answer) != set(keys):
        return Verdict.wrong(f"a dict with the keys {', '.join(map(repr, keys))} is wanted", code="E11")
    if any(value is None for value in answer.values()):
        return Verdict.not_yet("not answered yet")
    for key in keys:
        pair = answer[key]
        if not is_sequence(pair) or len(pair) != 2:
            return Verdict.wrong(f"{key!r}: a pair (z, t) is wanted, got {pair!r}", code="E11")
        both = [number(one) for one in pair]
        if None in both:
            return Verdict.wrong(f"{key!r}: z and t are numbers, got {pair!r}", code="E12")
        z, t = np.float32(both)
        if not np.isfinite(z) or not 0 <= t <= 1:
            return Verdict.wrong(f"{key!r}: z must be finite and t between 0 and 1, got {pair!r}", code="E12")
        got, right = float(naive_bce(z, t)), float(stable_bce(np.float64(z), np.float64(t)))
        told = f"z = {float(z):g}, t = {float(t):g}: the textbook's formula gives {got:.6g}, right is {right:.6g}"
        if key == "infinite" and not np.isinf(got):
            return Verdict.wrong("this one is not infinite", told, cause=_BREAKING[key], code="E30")
        if key == "not a number" and not np.isnan(got):
            return Verdict.wrong("this one is a number", told, cause=_BREAKING[key], code="E30")
        if key == "wrong" and not np.isfinite(got):
            return Verdict.wrong("this one breaks loudly; a quiet one is wanted", told, code="E30")
        if key == "wrong" and abs(got - right) < 0.02 * right:
            return Verdict.wrong("this one is right to two per cent", told, cause=_BREAKING[key], code="E30")
    return Verdict.ok("three ways to break")


_BREAKING = {
    "infinite": "you need a logarithm of 0 that is not multiplied by 0. For which z is p, in float32, exactly 1?",
    "not a number": "0 * inf is not a number: the logarithm of 0 again, and this time its factor has to be 0 as well.",
    "wrong": "shortly before p becomes exactly 1 there are only a few float32 numbers left for 1 - p. It can also lose "
    "all digits where the loss is tiny.",
}


# ------------------------------------------------------------------------------------------------------------ softplus
def softplus(z: Array) -> Array:
    """ln(1 + e**z), right for every z."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def _softplus_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (2 * rng.standard_normal((4, 3)),),
        (np.array([-1.0, 0.0, 2.0]),),
        (np.array([[-1000.0, 1000.0]]),),
        (3 * rng.standard_normal((5, 1)).astype(np.float32),),
    ]


_LOST = "the digits are lost in the sum: 1 + e**-40 is rounded to 1, and ln 1 is 0. np.log1p(e) never adds the 1."


def _judge_softplus(function: Any) -> Verdict:
    """On ordinary cases, and then where the value is so small that only its own digits count."""
    verdict = judge(_SOFTPLUS, [function])
    if not verdict.passed:
        return verdict
    z = np.array([-20.0, -30.0, -40.0])
    yours, right = np.asarray(function(z.copy())), np.log1p(np.exp(z))
    worst = int(np.argmax(np.abs(yours - right) / right))
    if abs(yours[worst] - right[worst]) <= 1e-6 * right[worst]:
        return verdict
    told = f"at z = {z[worst]:g}: yours {yours[worst]:.6g}, expected {right[worst]:.6g}"
    return Verdict.wrong("softplus: where it is tiny it is wrong", told, cause=_LOST, code="E39", where="softplus")


# --------------------------------------------------------------------------------------------------- generator's losses
def generator_gradients(z: Array) -> tuple[Array, Array]:
    """Derivatives for z of ln(1 - sigmoid(z)) and of -ln(sigmoid(z))."""
    return -sigmoid_forward(z)[0], -sigmoid_forward(-z)[0]


def _gradient_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (2 * rng.standard_normal((4, 3)),),
        (np.array([-5.0, 0.0, 5.0]),),
        (np.array([-300.0, 300.0]),),
    ]


_FOR_D = "these are the derivatives for D, -1/(1 - D) and -1/D. For z there is one more factor, dD/dz = D*(1 - D)."
_CANCELS = "right on paper, where the factors cancel; where D is rounded to 0 or 1 it is 0/0. Cancel them by hand."


def _over_d(probability: Callable[[Array], Array], inner: bool) -> Callable[[Array], tuple[Array, Array]]:
    """The two derivatives by way of D: for D itself, or with the inner derivative, not cancelled."""

    def gradients(z: Array) -> tuple[Array, Array]:
        d = probability(z)
        factor = d * (1 - d) if inner else 1.0
        return -1 / (1 - d) * factor, -1 / d * factor

    return gradients


_PROBABILITIES: tuple[Callable[[Array], Array], ...] = (lambda z: sigmoid_forward(z)[0], lambda z: 1 / (1 + np.exp(-z)))


# ------------------------------------------------------------------------------------------------------------ suspects
def _fine(z: Array, t: Array) -> float:
    return float(stable_bce(z, t).mean())


def _summed(z: Array, t: Array) -> float:
    return float(stable_bce(z, t).sum())


def _pairs(z: Array, t: Array) -> float:
    return float(stable_bce(z, t[:, 0]).mean())


def _clipped(z: Array, t: Array) -> float:
    return float(stable_bce(np.clip(z, -3, 3), t).mean())


def _rounded(z: Array, t: Array) -> float:
    return float(stable_bce(z, np.round(t)).mean())


def _bits(z: Array, t: Array) -> float:
    return float(stable_bce(z, t).mean() / math.log(2))


SUSPECTS: Mapping[str, Callable[[Array, Array], float]] = {
    "A": _rounded,
    "B": _bits,
    "C": _pairs,
    "D": _fine,
    "E": _clipped,
    "F": _summed,
}
"""Losses of logits (N, 1) against targets (N, 1), for students to call and not to read."""

FAULTS = {"A": "rounded", "B": "bits", "C": "pairs", "D": "fine", "E": "clipped", "F": "sum"}
_PROBES = {
    "fine": "it has to agree with softplus(z) - t*z, averaged, on every input you can think of.",
    "sum": "the same sample twice must not change a mean.",
    "pairs": "with N = 1 it is right; with N = 2 every logit is compared with every target. Exchange the two targets.",
    "clipped": "look at z = 5 and z = 50.",
    "rounded": "compare t = 0.9 with t = 1, at z = 2.",
    "bits": "z = 0 must give 0.693.",
}


_SOFTPLUS = Exercise(
    "softplus",
    4,
    softplus,
    _softplus_cases,
    mistakes=(
        Mistake(lambda z: np.log(1 + np.exp(z)), "exp(1000) is infinite: take the large part out first."),
        Mistake(lambda z: np.log1p(np.exp(z)), "exp(1000) is infinite: take the large part out first."),
        Mistake(
            lambda z: np.maximum(z, 0) + np.log1p(np.exp(np.abs(z))),
            "the exponent is -|z|: the minus is missing, and the exponential is large again.",
        ),
        Mistake(lambda z: np.minimum(z, 0) + np.log1p(np.exp(-np.abs(z))), "max(z, 0) is taken out, not min(z, 0)."),
        Mistake(
            lambda z: np.maximum(z, 0) + np.log1p(np.exp(-z)),
            "the exponent is -|z|, not -z: below 0, exp(-z) is the large one.",
        ),
        Mistake(lambda z: softplus(-z), "this is softplus(-z): max(z, 0), not max(-z, 0)."),
        Mistake(lambda z: sigmoid_forward(z)[0], "this is the sigmoid, softplus's derivative."),
        Mistake(
            lambda z: np.log1p(np.exp(np.clip(z, -30, 30))),
            "z is clipped to 30: beyond that softplus goes on to grow.",
        ),
        Mistake(lambda z: softplus(z) / math.log(2), "the logarithm is the natural one, np.log1p, not that to base 2."),
        Mistake(lambda z: np.maximum(z, 0), "that is the large part alone; what is left, log1p(...), is missing."),
        Mistake(
            lambda z: np.log1p(np.exp(-np.abs(z))), "the large part, max(z, 0), is missing: right for z <= 0 only."
        ),
        Mistake(
            lambda z: z + np.log1p(np.exp(-np.abs(z))), "for z below 0 there is nothing to take out: max(z, 0), not z."
        ),
    ),
    hints=(
        "Two cases: z above 0, and not. In each, which exponential is at most 1?",
        "For z > 0: ln(1 + e**z) = z + ln(1 + e**(-z)). Both cases together need max(z, 0) and |z|.",
        "np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))",
    ),
    tolerance=1e-6,
    doc="ln(1 + e**z), element by element, right for every z.",
)

EXERCISES = (
    Exercise(
        "bce_by_hand",
        4,
        judge=_judge_hand,
        hints=(
            "Logit to probability first: p = 1/(1 + e**(-z)). Then -t*ln(p) - (1 - t)*ln(1 - p).",
            "z = 0 is p = 1/2, and z = ln 9 is p = 9/10.",
            "ln 2, ln 2, ln(10/9), ln 10, ln 9",
        ),
        doc="Five numbers, worked by hand.",
    ),
    Exercise(
        "break_the_textbook",
        4,
        judge=_judge_breaking,
        hints=(
            "Call textbook(np.float32(z), np.float32(t)) for z = 5, 10, 15, 20 and t = 0, and then for t = 1.",
            "p is exactly 1 in float32 from about z = 16.64 on. What is then (1 - t)*log(1 - p), for t = 0 and t = 1?",
            '{"infinite": (20, 0), "not a number": (20, 1), "wrong": (16.6, 0)}',
        ),
        doc="Logits and targets for which the textbook's formula gives infinity, NaN, and quietly a wrong number.",
    ),
    Exercise(
        "softplus",
        4,
        judge=_judge_softplus,
        mistakes=(*_SOFTPLUS.mistakes, Mistake(lambda z: np.maximum(z, 0) + np.log(1 + np.exp(-np.abs(z))), _LOST)),
        hints=_SOFTPLUS.hints,
        doc=_SOFTPLUS.doc,
    ),
    Exercise(
        "generator_gradients",
        4,
        generator_gradients,
        _gradient_cases,
        mistakes=(
            Mistake(
                lambda z: (sigmoid_forward(z)[0], sigmoid_forward(-z)[0]),
                "the signs: both losses fall when z grows, so both derivatives are below 0.",
            ),
            Mistake(lambda z: generator_gradients(z)[::-1], "the two are exchanged: the saturating one comes first."),
            Mistake(
                lambda z: (-sigmoid_forward(z)[0], sigmoid_forward(z)[0]),
                "the second is sigmoid(z) - 1, by this lesson's sigmoid(z) - t with t = 1.",
            ),
            Mistake(
                lambda z: (-sigmoid_forward(-z)[0], -sigmoid_forward(-z)[0]),
                "ln(1 - sigmoid(z)) is -softplus(z), and softplus has the derivative sigmoid(z).",
            ),
            Mistake(
                lambda z: (-sigmoid_forward(z)[0], -sigmoid_forward(z)[0]),
                "the first is right; the second is sigmoid(z) - 1.",
            ),
            Mistake(
                lambda z: (-sigmoid_forward(z)[0], sigmoid_forward(-z)[0]),
                "the sign of the second: -ln(sigmoid(z)) falls when z grows.",
            ),
            Mistake(
                lambda z: tuple(g / z.size for g in generator_gradients(z)),
                "they are divided by the number of logits; each loss here is that of one logit.",
            ),
            *(
                Mistake(wrong, "these are the two losses; their derivatives for z were asked for.")
                for wrong in (
                    lambda z: (np.log(1 - sigmoid_forward(z)[0]), -np.log(sigmoid_forward(z)[0])),
                    lambda z: (-softplus(z), softplus(-z)),
                )
            ),
            Mistake(
                lambda z: 2 * (-sigmoid_forward(z)[0] * (1 - sigmoid_forward(z)[0]),),
                "D*(1 - D) is the derivative of D; the logarithm's, -1/(1 - D) and -1/D, is missing.",
            ),
            *(Mistake(_over_d(d, inner=False), _FOR_D) for d in _PROBABILITIES),
            *(Mistake(_over_d(d, inner=True), _CANCELS) for d in _PROBABILITIES),
        ),
        hints=(
            "ln(1 - sigmoid(z)) = -softplus(z), and -ln(sigmoid(z)) = softplus(-z).",
            "softplus has the derivative sigmoid(z). Mind the inner derivative of -z.",
            "-sigmoid(z) and sigmoid(z) - 1",
        ),
        doc="Derivatives for z of the generator's two losses: ln(1 - sigmoid(z)), and -ln(sigmoid(z)).",
    ),
    Exercise(
        "bce_hunt",
        4,
        judge=name_faults(FAULTS, _PROBES, "to try for"),
        hints=(
            "Begin with z = 0, one sample: whatever the target, the answer is ln 2.",
            "Then one thing at a time: a large z, a soft target, two samples with different targets, a sample twice.",
            "Two of them already differ at z = 0: one with N = 1, one with N = 2.",
        ),
        doc="Which fault each of six losses has.",
    ),
)
