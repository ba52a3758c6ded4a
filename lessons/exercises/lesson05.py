"""Lesson 5, optimisers: Adam by hand, how long a memory takes to turn, a game of two players, five paths in a valley.

The rules themselves (sgd, momentum, adam) are exercises of `minigan.check`. Here are the places where the lesson lets
them run: `valley`, a quadratic that is steep across and flat along, and `play_game`, in which one player's downhill is
the other's uphill.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lessons.judging import Exercise, Mistake, Verdict, name_faults, number
from minigan.nn.backend import Array

STEEP = 100.0
START = (-4.0, 0.5)
VALLEY_STEPS = 60

Rule = Callable[[Array, Array, dict[str, Any]], Array]
"""Parameter, gradient and a dict to remember things in, to the new parameter."""


# -------------------------------------------------------------------------------------------------------------- places
def valley(p: Array) -> Array:
    """Height over the plane: flat along the first axis (curvature 1), steep across it (curvature 100)."""
    return 0.5 * (p[..., 0] ** 2 + STEEP * p[..., 1] ** 2)


def valley_gradient(p: Array) -> Array:
    """Slope of `valley`."""
    return p * np.array([1.0, STEEP])


def descend(rule: Rule, *, steps: int = VALLEY_STEPS, scale: float = 1.0) -> Array:
    """The path of a rule through the valley, (steps + 1, 2) or shorter if it leaves it; `scale` multiplies the loss."""
    p = np.array(START)
    path, memory = [p], {}  # type: ignore[var-annotated]
    for _ in range(steps):
        p = rule(p, scale * valley_gradient(p), memory)
        path.append(p)
        if not np.abs(p).max() < 1e6:
            break
    return np.array(path)


def sgd(step: Callable[..., Any], lr: float) -> Rule:
    """A rule from ``sgd_step``."""
    return lambda p, g, memory: step(p, g, lr)


def momentum(step: Callable[..., Any], lr: float, beta: float = 0.9) -> Rule:
    """A rule from ``momentum_step``."""

    def rule(p: Array, g: Array, memory: dict[str, Any]) -> Array:
        p, memory["v"] = step(p, g, memory.get("v", np.zeros_like(p)), lr, beta)
        return p

    return rule


def adam(step: Callable[..., Any], lr: float, beta1: float = 0.5, beta2: float = 0.999, eps: float = 1e-7) -> Rule:
    """A rule from ``adam_step``."""

    def rule(p: Array, g: Array, memory: dict[str, Any]) -> Array:
        memory["t"] = memory.get("t", 0) + 1
        m, v = memory.get("m", np.zeros_like(p)), memory.get("v", np.zeros_like(p))
        p, memory["m"], memory["v"] = step(p, g, m, v, memory["t"], lr, beta1, beta2, eps)
        return p

    return rule


def play_game(rule: Callable[[], Rule], steps: int = 2000, friction: float = 0.1) -> Array:
    """Path (steps + 1, 2) of two players in turn: x wants x*y + friction/2 * (x**2 - y**2) small, y wants it large."""
    x, y = np.array([1.0]), np.array([1.0])
    rules, memories = (rule(), rule()), ({}, {})  # type: ignore[var-annotated]
    path = [(1.0, 1.0)]
    for _ in range(steps):
        x = rules[0](x, y + friction * x, memories[0])
        y = rules[1](y, -x + friction * y, memories[1])
        path.append((float(x[0]), float(y[0])))
    return np.array(path)


# ------------------------------------------------------------------------------------------------------------- by hand
def by_hand() -> dict[str, float]:
    """What `adam_by_hand` asks for: lr = 0.1, beta1 = 0.5, beta2 = 0.9, the gradient is 3 in both steps."""
    return {"m after 1": 1.5, "v after 1": 0.9, "step 1": 0.1, "step 2": 0.1, "step 1, loss times 1000": 0.1}


def _judge_hand(answer: Any) -> Verdict:
    right = by_hand()
    if not isinstance(answer, Mapping) or set(answer) != set(right):
        return Verdict.wrong(f"a dict with the keys {', '.join(map(repr, right))} is wanted", code="E11")
    if any(value is None for value in answer.values()):
        return Verdict.not_yet("not answered yet")
    for name, value in right.items():
        got = answer[name]
        if number(got) is None:
            return Verdict.wrong(f"{name}: one number is wanted, got {got!r}", code="E12")
        size = abs(got) if name.startswith("step") else got  # a step may be told with its sign
        if not abs(size - value) < 0.002 * max(1.0, value):
            cause = _hand_cause(name, float(got))
            return Verdict.wrong(f"{name} is not {got:g}", _HAND_REASONS[name], cause=cause, code="E30")
    return Verdict.ok(f"{len(right)} numbers")


def _hand_cause(name: str, got: float) -> str:
    uncorrected = 0.1 * 1.5 / math.sqrt(0.9)
    if name == "step 1" and abs(got - uncorrected) < 0.002:
        return "that is lr * m / sqrt(v) without the bias correction: divide m by 1 - 0.5, and v by 1 - 0.9, first."
    if name.startswith("step") and abs(got - 0.3) < 0.002:
        return "that is lr times the gradient: Adam divides by the gradient's size."
    if name == "step 1, loss times 1000" and abs(got - 100) < 0.1:
        return "the gradient is a thousand times as large, and so is the root of v: what is their ratio?"
    if name == "v after 1" and abs(got - 0.3) < 0.002:
        return "v averages the squares: 3 squared is 9."
    if name in ("m after 1", "v after 1") and abs(got - (3.0 if name.startswith("m") else 9.0)) < 0.01:
        return "m and v start at 0: the first gradient counts with 1 - beta only."
    return ""


_STEP = "after the correction m is 3 and v is 9, in both steps; the step is lr * m / sqrt(v)."
_HAND_REASONS = {
    "m after 1": "m = 0.5 * 0 + (1 - 0.5) * 3.",
    "v after 1": "v = 0.9 * 0 + (1 - 0.9) * 3**2.",
    "step 1": _STEP,
    "step 2": _STEP,
    "step 1, loss times 1000": "m and the root of v are a thousand times as large, both of them.",
}


# --------------------------------------------------------------------------------------------------------- turn around
def steps_to_turn(beta: float) -> int:
    """How many steps it takes until m is below 0, when the gradient has been 1 for ever and is -1 from now on."""
    m, k = 1.0, 0
    while m >= 0:
        m = beta * m + (1 - beta) * -1.0
        k += 1
    return k


def _turn_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(0.0,), (0.3,), (0.5,), (0.9,), (0.95,), (0.99,), (float(np.round(rng.uniform(0.55, 0.85), 3)),)]


def _turn_at_zero(beta: float) -> int:
    return max(1, math.ceil(math.log(0.5) / math.log(beta) - 1e-9)) if beta else 1


def _turn_from_zero(beta: float) -> int:
    return steps_to_turn(beta) - 1


def _half_remembered(beta: float) -> int:
    return round(1 / (1 - beta))


def _without_new(beta: float) -> int:
    m, k = 1.0, 0
    while m > 0.01:
        m, k = beta * m, k + 1
    return k


# --------------------------------------------------------------------------------------------------------------- paths
def reference(name: str) -> Callable[..., Any]:
    """The right rule, "sgd", "momentum" or "adam": not `notebook.my`: these exercises are the same for everybody."""
    return {
        "sgd": lambda p, g, lr: p - lr * g,
        "momentum": lambda p, g, v, lr, beta: (p - lr * (beta * v + g), beta * v + g),
        "adam": _adam_step,
    }[name]


def _adam_step(p: Any, g: Any, m: Any, v: Any, t: int, lr: float, beta1: float, beta2: float, eps: float) -> Any:
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    rate = lr * math.sqrt(1 - beta2**t) / (1 - beta1**t)
    return p - rate * m / (np.sqrt(v) + eps), m, v


def riddles() -> dict[str, Array]:
    """Five paths through the valley, by letter."""
    return {
        "A": descend(momentum(reference("momentum"), 0.006), steps=40),
        "B": descend(adam(reference("adam"), 0.15), steps=40),
        "C": descend(sgd(reference("sgd"), 0.0196), steps=20),
        "D": descend(sgd(reference("sgd"), 0.004), steps=40),
        "E": descend(sgd(reference("sgd"), 0.0202), steps=20),
    }


FAULTS = {"A": "momentum", "B": "adam", "C": "sgd-fast", "D": "sgd-slow", "E": "sgd-unstable"}
_LOOKS = {
    "momentum": "it swings across the valley in waves, several steps to each, and gets along it on the way.",
    "adam": "in its first steps it moves as far along the valley as across it, whatever the slopes (mind the axes).",
    "sgd-fast": "it jumps from one wall to the other, a little less far each time.",
    "sgd-slow": "it goes straight down the wall, and then creeps.",
    "sgd-unstable": "it jumps from one wall to the other, a little further each time.",
}


EXERCISES = (
    Exercise(
        "adam_by_hand",
        5,
        judge=_judge_hand,
        hints=(
            "m and v begin at 0. m = 0.5*m + 0.5*g, v = 0.9*v + 0.1*g**2.",
            "Step 1: m = 1.5, v = 0.9. Divide m by 1 - 0.5 and v by 1 - 0.9: what are these numbers?",
            "m is corrected to 3 and v to 9, in both steps: lr * 3 / sqrt(9) = 0.1. Times 1000 it is the same.",
        ),
        doc="Two steps of Adam with lr = 0.1, beta1 = 0.5, beta2 = 0.9 and the gradient 3, worked by hand.",
    ),
    Exercise(
        "steps_to_turn",
        5,
        steps_to_turn,
        _turn_cases,
        mistakes=(
            Mistake(_turn_at_zero, "at m = 0 it has stopped, but not turned: below 0 is asked for (beta = 0.5)."),
            Mistake(
                lambda beta: steps_to_turn(beta) + 1, "one too many: the first step with the new gradient is step 1."
            ),
            Mistake(
                lambda beta: 1,
                "this is always 1. From m = 1 one step leads to 2*beta - 1, which is below 0 for beta < 1/2 only.",
            ),
            Mistake(
                lambda beta: math.log(0.5) / math.log(beta) if beta else 1.0,
                "steps are whole: the first whole number after log(1/2) / log(beta).",
            ),
            Mistake(_turn_from_zero, "one too few: count the step in which m gets below 0, too."),
            Mistake(
                _half_remembered, "1/(1 - beta) is how many gradients m remembers; how long it takes to turn is less."
            ),
            Mistake(_without_new, "the old gradient only fades here; the new one, -1, has to come in with 1 - beta."),
        ),
        hints=(
            "Before the turn m = 1. Each step: m = beta*m + (1 - beta)*(-1). Count until m is below 0.",
            "In closed form: after k steps m = 2*beta**k - 1.",
            "m, k = 1.0, 0; while m >= 0: m = beta*m - (1 - beta); k += 1",
        ),
        doc="How many steps until m is below 0, when the gradient has been 1 for ever and is now -1.",
    ),
    Exercise(
        "valley_hunt",
        5,
        judge=name_faults(FAULTS, _LOOKS, "how to know"),
        hints=(
            "Look at the first step of each: in which direction, and how far?",
            "The slope at the start is (-4, 50): gradient descent and momentum go down the wall. Adam does not care.",
            "Two of them leap from wall to wall: is the last leap shorter than the first, or longer?",
        ),
        doc="Which rule made which path.",
    ),
)
