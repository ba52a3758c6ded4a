"""Wrong updates are named: the corrections of Adam, and variants of the other rules."""

import math

import numpy as np
import pytest

from minigan.check.engine.ladder import run_exercise
from minigan.check.exercise_table import EXERCISES
from minigan.check.mistakes.wrong_updates import TriedRule, explain_rule


@pytest.mark.parametrize(
    ("rate", "code"),
    [
        (lambda b1, b2, t: np.sqrt(1 - b2 * t) / (1 - b1 * t), "E15"),
        (lambda b1, b2, t: np.sqrt(1 - b2 * t) / (1 - b1**t), "E15"),
        (lambda b1, b2, t: (1 - b2 * t) ** 0.5 / (1 - b1 * t), "E14"),
        (lambda b1, b2, t: math.sqrt(1 - b2 * t) / (1 - b1 * t), "E10"),
        (lambda b1, b2, t: np.sqrt(1 - b2**t) / (1 - b1 * t), "E72"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_times_t_for_to_the_power_of_t_is_named(rate, code):
    """Right at t = 1; afterwards the root of a number below 0, which every way to write a root answers differently."""

    def adam_step(p, g, m, v, t, lr, beta1, beta2, eps):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        return p - lr * rate(beta1, beta2, t) * m / (np.sqrt(v) + eps), m, v

    finding = run_exercise("adam", {"adam_step": adam_step}).finding
    assert finding.code == code
    assert "**t" in finding.cause.replace(" ", "")
    assert code == "E72" or finding.hints[0].startswith("With beta")


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_the_root_of_a_v_without_squares_is_no_matter_of_the_power():
    def adam_step(p, g, m, v, t, lr, beta1, beta2, eps):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g
        return p - lr * math.sqrt(1 - beta2**t) / (1 - beta1**t) * m / (np.sqrt(v) + eps), m, v

    finding = run_exercise("adam", {"adam_step": adam_step}, seed=1).finding
    assert finding.code == "E15"  # at t = 1: some g are below 0
    assert "squares" in finding.cause


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("seed", range(5))
def test_a_v_below_0_is_not_called_a_wrong_correction(seed):
    """Right at t = 1, where v begins at 0; later v minus the squares is below 0."""

    def adam_step(p, g, m, v, t, lr, beta1, beta2, eps):
        m, v = beta1 * m + (1 - beta1) * g, abs(beta2 * v - (1 - beta2) * g * g) * (1 if t == 1 else -1)
        return p - lr * math.sqrt(1 - beta2**t) / (1 - beta1**t) * m / (np.sqrt(v) + eps), m, v

    finding = run_exercise("adam", {"adam_step": adam_step}, seed=seed).finding
    assert finding.code == "E15"
    assert finding.cause.startswith("v is below 0")
    assert "correction" not in finding.cause


def tried(name, wrong):
    """Every case with the results of a wrong rule."""
    exercise = EXERCISES[name]
    for case in exercise.cases(np.random.default_rng(0)):
        numbers = {key: int(a.item()) if key == "t" else a for key, a in case.arrays.items()}
        right = [np.asarray(value) for value in exercise.oracle(**numbers, **case.settings)]
        yield TriedRule(numbers, case, [np.asarray(value) for value in wrong(right, **numbers, **case.settings)], right)


@pytest.mark.parametrize(
    ("name", "wrong", "code", "said"),
    [
        ("sgd", lambda right, p, g, lr: (p + lr * g,), "E71", "downhill is against it"),
        ("momentum", lambda right, p, g, v, lr, beta=0.9: right[::-1], "E78", "in another order"),
        ("adam", lambda right, p, g, m, v, t, **_: (right[0], right[2], right[1]), "E78", "in another order"),
        ("batch_norm_inference", lambda right, **_: (2 * right[0],), "E34", "2 times the right one"),
        ("moving_average", lambda right, **_: [value + 1 for value in right], "E70", ""),
    ],
)
def test_wrong_rules_are_named(name, wrong, code, said):
    finding = explain_rule(EXERCISES[name], list(tried(name, wrong)), "f")
    assert finding.code == code
    assert said in finding.cause
    assert finding.rung == "forward"


def test_a_wrong_rule_that_is_right_in_one_case_gets_no_cause_for_the_others():
    """lr * lr * g is the step in one case only; in the other one it is right."""
    cases = list(tried("sgd", lambda right, p, g, lr: (p - lr * lr * g,)))
    assert "twice" in explain_rule(EXERCISES["sgd"], cases, "f").cause
    mixed = [cases[0]._replace(values=cases[0].expected), *cases[1:]]
    assert explain_rule(EXERCISES["sgd"], mixed, "f").cause == ""
