"""Hypotheses about wrong results of single functions: optimizers' updates, moving averages, inference mode."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minigan.check.exercise_table import Case, Exercise
from minigan.check.mistakes.hypotheses import EXACT, Guess, Idea, Tried, common, constant_factor, same, worst_place
from minigan.check.outcomes import Finding
from minigan.nn.backend import Array


class TriedRule(NamedTuple):
    """A case that was tried: arguments by name, the case, the student's results and the right ones."""

    numbers: dict[str, Any]
    case: Case
    values: list[Array]
    expected: list[Array]

    @property
    def wrong(self) -> list[bool]:
        """Which results disagree."""
        return [not same(v, e, EXACT) for v, e in zip(self.values, self.expected, strict=True)]


def explain_rule(exercise: Exercise, tried: list[TriedRule], function: str, layout: str = "NHWC") -> Finding:
    """Name the mistake behind a wrong update.

    Parameters
    ----------
    exercise : Exercise
    tried : list of TriedRule
        Every case, the right ones too; at least one is wrong.
    function : str

    Returns
    -------
    Finding
    """
    variants: dict[str, Callable[..., Iterator[tuple[Idea, tuple[Any, ...]]]]] = {
        "sgd": _sgd_variants,
        "momentum": _momentum_variants,
        "adam": _adam_variants,
        "batch_norm_inference": _inference_variants,
        "moving_average": _moving_average_variants,
    }
    guesses = []
    with np.errstate(all="ignore"):
        for t in tried:
            options = variants[exercise.name](**t.numbers, **t.case.settings)
            guesses.append(([Guess(idea, _same(t.values, results)) for idea, results in options], not any(t.wrong)))
    failures = [t for t in tried if any(t.wrong)]
    last = failures[-1]
    first = last.wrong.index(True)
    name = exercise.results[first]
    idea = common(guesses)
    if idea is None and exercise.name == "batch_norm_inference":
        idea = constant_factor([Tried(t.case, t.values[0], t.expected[0]) for t in tried], "E34") or Idea("E30", "")
    idea = idea or _exchanged_results(exercise, tried) or _old_state(exercise, tried) or Idea("E70", "")
    told = [f"{k} = {v:g}" for k, v in {**last.numbers, **last.case.settings}.items() if np.ndim(v) == 0]
    return Finding(
        idea.code,
        "forward",
        f"{function}: {name} is wrong" + ("" if len(exercise.results) == 1 else _others_right(exercise, last.wrong)),
        (worst_place(last.values[first], last.expected[first], "right"), *([", ".join(told)] if told else [])),
        idea.cause,
        idea.hints,
        where=f"{function}: {name}",
    )


def _same(values: list[Array], others: Iterable[Any]) -> bool:
    """Whether all results agree, as exactly as right ones have to."""
    return all(same(value, np.asarray(other, np.float64), EXACT) for value, other in zip(values, others, strict=True))


def _exchanged_results(exercise: Exercise, tried: list[TriedRule]) -> Idea | None:
    for order in itertools.permutations(range(len(exercise.results))):
        if order != tuple(range(len(order))) and all(_same(t.values, [t.expected[k] for k in order]) for t in tried):
            told = ", ".join(exercise.results[k] for k in order)
            return Idea(
                "E78", f"the results come back in another order: {told} instead of {', '.join(exercise.results)}."
            )
    return None


def _others_right(exercise: Exercise, wrong: list[bool]) -> str:
    right = [name for name, bad in zip(exercise.results, wrong, strict=True) if not bad]
    return f" ({', '.join(right)} right)" if right else ""


def _old_state(exercise: Exercise, tried: list[TriedRule]) -> Idea | None:
    """Some results come back as they were given, in every case, and all others are right."""
    given = [k for k, name in enumerate(exercise.results) if name in tried[0].numbers]
    for count in range(1, len(given) + 1):
        for old in itertools.combinations(given, count):
            names = [exercise.results[k] for k in old]
            if all(
                _same(
                    t.values,
                    [t.numbers[n] if n in names else e for n, e in zip(exercise.results, t.expected, strict=True)],
                )
                for t in tried
            ):
                told = f"{names[0]} comes" if count == 1 else f"{' and '.join(names)} come"
                were = "it was" if count == 1 else "they were"
                return Idea("E78", f"{told} back as {were} given: perhaps the new one is computed, but not returned.")
    return None


def _sgd_variants(p: Array, g: Array, lr: float) -> Iterator[tuple[Idea, tuple[Any, ...]]]:
    yield _UPHILL, (p + lr * g,)
    yield Idea("E77", "the learning rate is missing."), (p - g,)
    yield Idea("E77", "the learning rate is used twice."), (p - lr * lr * g,)
    yield Idea("E77", "g is divided by the learning rate."), (p - g / lr,)
    yield Idea("E78", "this is the step, not the new parameter."), (-lr * g,)
    yield Idea("E78", "this is the step, not the new parameter."), (lr * g,)
    yield Idea("E70", "the sign of the gradient is used, not its size."), (p - lr * np.sign(g),)
    yield Idea("E70", "the parameter itself shrinks: p is multiplied."), ((1 - lr) * p - lr * g,)
    yield Idea("E76", "the gradient is squared."), (p - lr * g * g,)
    yield Idea("E70", "all entries move by the mean of the gradient; each has its own."), (p - lr * g.mean(),)


_UPHILL = Idea("E71", "the parameter moves along the gradient; downhill is against it.", ("The sign.",))


def _momentum_variants(
    p: Array, g: Array, v: Array, lr: float, beta: float = 0.9
) -> Iterator[tuple[Idea, tuple[Any, ...]]]:
    new = beta * v + g
    yield _UPHILL, (p + lr * new, new)
    yield (
        Idea("E74", "g gets the weight 1 - beta: that is a moving average, the exercise's v is a sum."),
        (
            p - lr * (beta * v + (1 - beta) * g),
            beta * v + (1 - beta) * g,
        ),
    )
    yield Idea("E74", "beta multiplies g instead of v."), (p - lr * (v + beta * g), v + beta * g)
    yield (
        Idea("E74", "beta and 1 - beta are exchanged."),
        (p - lr * ((1 - beta) * v + beta * g), (1 - beta) * v + beta * g),
    )
    yield Idea("E74", "1 - beta where beta belongs."), (p - lr * ((1 - beta) * v + g), (1 - beta) * v + g)
    yield Idea("E74", "beta is missing: v never forgets."), (p - lr * (v + g), v + g)
    yield Idea("E74", "beta is always 0.9, whatever is passed."), (p - lr * (0.9 * v + g), 0.9 * v + g)
    yield Idea("E70", "p moves by the old v."), (p - lr * v, new)
    yield Idea("E78", "p moves by the gradient alone."), (p - lr * g, new)
    yield Idea("E77", "the learning rate is missing."), (p - new, new)
    inside = beta * v + lr * g
    yield (
        Idea("E77", "the learning rate is inside v; the exercise multiplies by it when p moves."),
        (p - inside, inside),
    )
    yield Idea("E77", "the learning rate is used twice."), (p - lr * inside, inside)
    yield Idea("E71", "v adds up -g, and p subtracts v: the two signs cancel."), (p - lr * (beta * v - g), beta * v - g)
    yield (
        Idea("E78", "v is the step itself, -lr*g and momentum; in the exercise v becomes beta*v + g."),
        (p + beta * v - lr * g, beta * v - lr * g),
    )
    yield Idea("E70", "this is Nesterov's variant, which looks ahead."), (p - lr * (g + beta * new), new)
    yield Idea("E78", "v comes back as it was given."), (p - lr * new, v)


def _adam_variants(
    p: Array, g: Array, m: Array, v: Array, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> Iterator[tuple[Idea, tuple[Any, ...]]]:
    m1, v1 = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    c1, c2 = 1 - beta1**t, 1 - beta2**t
    rate = lr * math.sqrt(c2) / c1

    def moved(m: Array, v: Array, rate: float = rate, eps: float = eps) -> Array:
        return p - rate * m / (np.sqrt(v) + eps)

    yield (
        Idea("E72", "the bias correction is missing: at the first steps m and v are far too small."),
        (moved(m1, v1, lr), m1, v1),
    )
    yield Idea("E72", "only m is corrected; v needs it too."), (moved(m1, v1, lr / c1), m1, v1)
    yield Idea("E72", "only v is corrected; m needs it too."), (moved(m1, v1, lr * math.sqrt(c2)), m1, v1)
    yield Idea("E72", "the correction of v lacks its root."), (moved(m1, v1, lr * c2 / c1), m1, v1)
    yield Idea("E72", "the correction is upside down."), (moved(m1, v1, lr * c1 / math.sqrt(c2)), m1, v1)
    yield Idea("E72", "the corrections of m and v are exchanged."), (moved(m1, v1, lr * math.sqrt(c1) / c2), m1, v1)
    yield (
        Idea("E78", "the corrected moments are returned; the next step would correct them again."),
        (moved(m1, v1), m1 / c1, v1 / c2),
    )
    yield Idea("E78", "the corrected moments are returned; the next step would correct them again."), (
        p - lr * (m1 / c1) / (np.sqrt(v1 / c2) + eps), m1 / c1, v1 / c2)  # fmt: skip
    yield Idea("E73", "eps is added after v is corrected (as in PyTorch); the exercise, like Keras, adds it before.", (
        "Compare with lr * sqrt(1 - beta2**t) / (1 - beta1**t) * m / (sqrt(v) + eps).",
    )), (p - lr * (m1 / c1) / (np.sqrt(v1 / c2) + eps), m1, v1)  # fmt: skip
    yield Idea("E73", "eps is inside the root."), (p - rate * m1 / np.sqrt(v1 + eps), m1, v1)
    yield Idea("E73", "eps is inside the root."), (p - lr * (m1 / c1) / np.sqrt(v1 / c2 + eps), m1, v1)
    yield Idea("E73", "eps is missing."), (moved(m1, v1, eps=0), m1, v1)
    yield Idea("E73", "eps is added to the whole quotient."), (p - rate * (m1 / np.sqrt(v1) + eps), m1, v1)
    for shift, cause in (
        (-1, "t - 1 where t belongs."),
        (1, "t + 1 where t belongs: t is 1 at the first step already."),
    ):
        d1, d2 = 1 - beta1 ** (t + shift), 1 - beta2 ** (t + shift)
        if d1 > 0:
            yield Idea("E75", cause), (moved(m1, v1, lr * math.sqrt(d2) / d1), m1, v1)
    yield (
        Idea("E72", "beta * t instead of beta ** t."),
        (moved(m1, v1, lr * math.sqrt(abs(1 - beta2 * t)) / (1 - beta1 * t or 1)), m1, v1),
    )
    yield (
        Idea("E72", "beta1 * t instead of beta1 ** t: right at t = 1 only."),
        (moved(m1, v1, lr * math.sqrt(c2) / (1 - beta1 * t or 1)), m1, v1),
    )
    if t != 1:
        yield Idea("E75", "t is ignored: the correction is always that of the first step."), (
            moved(m1, v1, lr * math.sqrt(1 - beta2) / (1 - beta1)), m1, v1)  # fmt: skip
    sm, sv = (1 - beta1) * m + beta1 * g, (1 - beta2) * v + beta2 * g * g
    yield Idea("E74", "beta1 and 1 - beta1 are exchanged."), (moved(sm, v1), sm, v1)
    yield Idea("E74", "beta2 and 1 - beta2 are exchanged."), (moved(m1, sv), m1, sv)
    yield Idea("E74", "beta and 1 - beta are exchanged in both moments."), (moved(sm, sv), sm, sv)
    for fixed1, fixed2 in ((0.9, 0.999), (0.5, 0.999)):
        fm, fv = fixed1 * m + (1 - fixed1) * g, fixed2 * v + (1 - fixed2) * g * g
        fixed = lr * math.sqrt(1 - fixed2**t) / (1 - fixed1**t)
        yield (
            Idea("E74", f"beta1 and beta2 are always {fixed1} and {fixed2}, whatever is passed."),
            (moved(fm, fv, fixed), fm, fv),
        )
    xm, xv = beta2 * m + (1 - beta2) * g, beta1 * v + (1 - beta1) * g * g
    yield Idea("E74", "beta1 and beta2 are exchanged."), (moved(xm, xv), xm, xv)
    yield Idea("E74", "beta1 and beta2 are exchanged."), (moved(xm, xv, lr * math.sqrt(c1) / c2), xm, xv)
    nm, nv = beta1 * m + g, beta2 * v + g * g
    yield Idea("E74", "1 - beta1 is missing."), (moved(nm, v1), nm, v1)
    yield Idea("E74", "1 - beta2 is missing."), (moved(m1, nv), m1, nv)
    yield Idea("E74", "1 - beta is missing in both moments."), (moved(nm, nv), nm, nv)
    for what, w in (
        ("g is not squared in v.", beta2 * v + (1 - beta2) * g),
        ("v takes |g| instead of g*g.", beta2 * v + (1 - beta2) * np.abs(g)),
        ("v takes the square of m, not of g.", beta2 * v + (1 - beta2) * m1**2),
    ):
        yield Idea("E76" if "m, not" not in what else "E70", what), (moved(m1, w), m1, w)
    yield Idea("E76", "v is not put under the root."), (p - rate * m1 / (v1 + eps), m1, v1)
    yield Idea("E71", _UPHILL.cause, _UPHILL.hints), (p + rate * m1 / (np.sqrt(v1) + eps), m1, v1)
    yield Idea("E77", "the learning rate is missing."), (moved(m1, v1, rate / lr), m1, v1)
    yield Idea("E77", "the learning rate is used twice."), (moved(m1, v1, rate * lr), m1, v1)
    yield Idea("E70", "p moves by g, not by m."), (moved(g, v1), m1, v1)
    yield Idea("E70", "p moves by the old m."), (moved(m, v1), m1, v1)
    yield Idea("E70", "p moves by the old v."), (moved(m1, v), m1, v1)
    yield Idea("E70", "p moves by the old moments."), (moved(m, v), m1, v1)


def _inference_variants(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float = 1e-3
) -> Iterator[tuple[Idea, tuple[Any, ...]]]:
    axes = tuple(range(x.ndim - 1))
    centred, std = x - mean, np.sqrt(var + eps)
    yield (
        Idea("E38", "the batch's own statistics are used, not the given ones."),
        (gamma * (x - x.mean(axes)) / np.sqrt(x.var(axes) + eps) + beta,),
    )
    yield Idea("E38", "the batch's own mean is used, not the given one."), (gamma * (x - x.mean(axes)) / std + beta,)
    yield (
        Idea("E38", "the batch's own variance is used, not the given one."),
        (gamma * centred / np.sqrt(x.var(axes) + eps) + beta,),
    )
    yield (
        Idea("E36", "eps is added to the standard deviation, outside the root."),
        (gamma * centred / (np.sqrt(var) + eps) + beta,),
    )
    yield Idea("E36", "eps is missing."), (gamma * centred / np.sqrt(var) + beta,)
    for value in (1e-3, 1e-5, 1e-8):
        yield (
            Idea("E36", f"eps is always {value:g}, whatever is passed."),
            (gamma * centred / np.sqrt(var + value) + beta,),
        )
    yield Idea("E36", "x is divided by the variance, not by its root."), (gamma * centred / (var + eps) + beta,)
    yield (
        Idea("E36", "x is divided by the variance, taken for the standard deviation."),
        (gamma * centred / var + beta,),
    )
    yield Idea("E36", "x is multiplied by the standard deviation."), (gamma * centred * std + beta,)
    yield Idea("E37", "gamma is missing."), (centred / std + beta,)
    yield Idea("E37", "gamma and beta are exchanged."), (beta * centred / std + gamma,)
    yield Idea("E32", "beta is missing."), (gamma * centred / std,)
    yield Idea("E32", "beta is subtracted."), (gamma * centred / std - beta,)
    yield Idea("E30", "the mean is not subtracted."), (gamma * x / std + beta,)
    yield Idea("E30", "the mean is added."), (gamma * (x + mean) / std + beta,)
    yield Idea("E30", "the mean is subtracted after dividing."), (gamma * (x / std - mean) + beta,)


def _moving_average_variants(
    moving: Array, biased: Array, t: float, value: Array, momentum: float = 0.5
) -> Iterator[tuple[Idea, tuple[Any, ...]]]:
    new = momentum * biased + (1 - momentum) * value
    right = 1 - momentum ** (t + 1)
    swapped = (1 - momentum) * biased + momentum * value
    yield Idea("E72", "the average is not debiased: it starts near 0."), (new, new, t + 1)
    yield Idea("E74", "momentum and 1 - momentum are exchanged."), (swapped / right, swapped, t + 1)
    yield (
        Idea("E74", "momentum and 1 - momentum are exchanged."),
        (swapped / (1 - (1 - momentum) ** (t + 1)), swapped, t + 1),
    )
    yield Idea("E74", "momentum is always 0.5, whatever is passed."), (
        (0.5 * biased + 0.5 * value) / (1 - 0.5 ** (t + 1)), 0.5 * biased + 0.5 * value, t + 1)  # fmt: skip
    if t:
        yield Idea("E75", "the correction uses t before it is counted up."), (new / (1 - momentum**t), new, t + 1)
    yield (
        Idea("E75", "the correction uses t + 1 after it has been counted up already."),
        (new / (1 - momentum ** (t + 2)), new, t + 1),
    )
    yield Idea("E75", "t is not counted up."), (new / right, new, t)
    yield (
        Idea("E75", "t is not counted up, and the correction uses the old one."),
        (new / (1 - momentum**t) if t else new, new, t),
    )
    yield Idea("E72", "the correction multiplies; it divides."), (new * right, new, t + 1)
    yield Idea("E72", "momentum * t instead of momentum ** t."), (new / (1 - momentum * (t + 1) or 1), new, t + 1)
    yield (
        Idea("E78", "the debiased average is kept as the biased one: the next update corrects it again."),
        (new / right, new / right, t + 1),
    )
    mixed = momentum * moving + (1 - momentum) * value
    yield (
        Idea("E78", "the average goes on from the debiased one, `moving`, instead of from `biased`."),
        (mixed / right, mixed, t + 1),
    )
    yield Idea("E78", "the average goes on from `moving`, and is not debiased."), (mixed, mixed, t + 1)
    yield Idea("E78", "the average goes on from `moving`; `biased` is not used."), (mixed, biased, t + 1)
    yield Idea("E78", "`moving` is updated by itself; it is `biased` divided by the correction."), (mixed, new, t + 1)
    yield (
        Idea("E74", "1 - momentum is missing."),
        ((momentum * biased + value) / right, momentum * biased + value, t + 1),
    )
    yield Idea("E78", "results come back in another order."), (new, new / right, t + 1)
    yield Idea("E78", "`biased` comes back as it was given."), (new / right, biased, t + 1)
