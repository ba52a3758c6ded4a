"""The checker's engine: silent on right implementations, and right about wrong ones."""

import json

import numpy as np
import pytest

from minigan.check import check
from minigan.check.codes import CODES
from minigan.check.engine.ladder import run_exercise
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import FAILED, NOT_IMPLEMENTED, PASSED, FileReport
from minigan.check.zoo import BUGS, CORRECT
from minigan.gan import step as gan
from minigan.nn import losses, ops
from minigan.nn.optimizers import Adam

OWN = {name: f for module in (ops, losses) for name, f in vars(module).items() if callable(f)}
SEEDS_SAMPLE, SEEDS_ALL = range(3), range(3, 50)


def own_adam_step(p, g, m, v, t, lr, beta1, beta2, eps):
    """minigan's Adam through the exercise's signature."""
    adam = Adam({"p": p.copy()}, learning_rate=lr, beta_1=beta1, beta_2=beta2, epsilon=eps)
    adam.t, adam.m["p"], adam.v["p"] = t - 1, m.copy(), v.copy()
    adam.step({"p": g})
    return adam.params["p"], adam.m["p"], adam.v["p"]


def own_momentum_step(p, g, v, lr, beta=0.9):
    v = beta * v + g
    return p - lr * v, v


OWN |= {
    "adam_step": own_adam_step,
    "momentum_step": own_momentum_step,
    "sgd_step": lambda p, g, lr: p - lr * g,
    "discriminator_step": lambda *arguments: gan.discriminator_step(*arguments).loss,
    "generator_step": lambda *arguments: gan.generator_step(*arguments).loss,
}


def assert_passes(name, functions, layout="NHWC", seed=0):
    outcome = run_exercise(name, functions, layout=layout, seed=seed)
    assert outcome.status == PASSED, outcome


# ------------------------------------------------------------------------------------------------- no false alarm
@pytest.mark.parametrize("name", EXERCISES)
def test_minigans_own_functions_pass(name):
    for seed in SEEDS_SAMPLE:
        assert_passes(name, OWN, seed=seed)


@pytest.mark.thorough
@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("seed", SEEDS_ALL)
def test_minigans_own_functions_pass_on_many_seeds(name, seed):
    assert_passes(name, OWN, seed=seed)


@pytest.mark.parametrize("specimen", CORRECT, ids=lambda s: s.name)
def test_right_implementations_written_differently_pass(specimen):
    for seed in SEEDS_SAMPLE:
        assert_passes(specimen.exercise, specimen.functions, specimen.layout, seed)


@pytest.mark.thorough
@pytest.mark.parametrize("specimen", CORRECT, ids=lambda s: s.name)
def test_right_implementations_pass_on_many_seeds(specimen):
    for seed in SEEDS_ALL:
        assert_passes(specimen.exercise, specimen.functions, specimen.layout, seed)


# ------------------------------------------------------------------------------------------------------ the bug zoo
@pytest.fixture(scope="module")
def verdicts():
    """Every bug through the engine once."""
    return {bug.name: (bug, run_exercise(bug.exercise, bug.functions, layout=bug.layout)) for bug in BUGS}


def test_zoo_is_large_enough():
    assert len(BUGS) >= 60
    assert {bug.exercise for bug in BUGS} == set(EXERCISES)


def test_every_bug_is_caught(verdicts):
    assert [name for name, (_, outcome) in verdicts.items() if outcome.status != FAILED] == []


def test_most_bugs_are_named(verdicts):
    named = [outcome.finding.code in bug.codes for bug, outcome in verdicts.values()]
    assert np.mean(named) >= 0.9


def test_messages_are_complete(verdicts):
    """Every finding has a known code, a title, a place, and something measured or a cause or a hint."""
    for name, (_, outcome) in verdicts.items():
        finding = outcome.finding
        assert finding.code in CODES, name
        assert finding.title, name
        assert "\n" not in finding.title + finding.cause, name
        assert finding.where, name
        assert finding.evidence or finding.cause or finding.hints or finding.rung in ("contract", "hygiene"), name


def test_wrong_results_have_three_hints(verdicts):
    for name, (_, outcome) in verdicts.items():
        if outcome.finding.rung in ("forward", "gradient"):
            assert len(outcome.finding.hints) == 3, name


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(1, 20))
def test_every_bug_is_caught_on_every_seed(seed):
    missed = [
        bug.name
        for bug in BUGS
        if run_exercise(bug.exercise, bug.functions, layout=bug.layout, seed=seed).status != FAILED
    ]
    assert missed == []


FROM_A_FILE = {"E01", "E02", "E03", "E04", "E05", "E06", "E07"}  # tests/check/sandbox/test_supervisor.py triggers these


def conv_dx_not_the_adjoint(dy, cache):
    """dx of a smoothed dy: linear, zero for zero, sample by sample, and wrong."""
    dx, dw, db = ops.conv2d_backward(dy, cache)
    smooth = dy.copy()
    smooth[:, 1:-1, 1:-1] += 0.1 * dy[:, :-2, :-2]
    return ops.conv2d_backward(smooth, cache)[0] + 0.37 * np.roll(dx, 1, axis=2), dw, db


def conv_right_for_stride_1_only(dy, cache):
    dx, dw, db = ops.conv2d_backward(dy, cache)
    if cache.stride > 1:
        dx = dx * (1.5 + np.sin(np.arange(dx[0].size)).reshape(dx[0].shape))
    return dx, dw, db


def test_every_code_is_triggered(verdicts):
    triggered = {outcome.finding.code for _, outcome in verdicts.values()}
    for backward in (conv_dx_not_the_adjoint, conv_right_for_stride_1_only):
        triggered.add(run_exercise("conv2d", {**OWN, "conv2d_backward": backward}).finding.code)
    assert set(CODES) - FROM_A_FILE - triggered == set()


# ------------------------------------------------------------------------------------------- particular promises
def test_forward_is_told_before_backward():
    functions = {
        "tanh_forward": lambda x: (np.sin(x), x),
        "tanh_backward": lambda dy, cache: 0 * dy,
    }
    assert run_exercise("tanh", functions).finding.code.startswith("E3")


def test_forward_alone_is_checked_while_backward_is_missing():
    right = run_exercise("dense", {"dense_forward": ops.dense_forward})
    assert (right.status, right.passed) == (NOT_IMPLEMENTED, ["forward"])
    wrong = run_exercise("dense", {"dense_forward": lambda x, w, b: (x @ w, (x, w))})
    assert (wrong.status, wrong.finding.code) == (FAILED, "E32")


def test_not_implemented_is_no_failure():
    def stub(*_, **__):
        raise NotImplementedError

    for name, exercise in EXERCISES.items():
        outcome = run_exercise(name, dict.fromkeys(exercise.functions, stub))
        assert outcome.status == NOT_IMPLEMENTED, name
        assert run_exercise(name, {}).status == NOT_IMPLEMENTED


def test_errors_of_the_checker_are_not_the_students(monkeypatch):
    monkeypatch.setattr("minigan.check.engine.ladder.disagreeing_gradients", lambda *_: 1 / 0)
    outcome = run_exercise("dense", OWN)
    assert outcome.status == "checker error"
    assert "the checker itself failed" in outcome.finding.title


def test_a_function_may_insist_on_what_the_exercise_says_of_its_arguments():
    """The second forward, between a first one and its backward, gets targets between 0 and 1 like all others."""

    def forward(z, target):
        assert ((target >= 0) & (target <= 1)).all()
        return losses.bce_with_logits_forward(z, target)

    functions = {**OWN, "bce_with_logits_forward": forward}
    outcome = run_exercise("bce_with_logits", functions)
    assert outcome.status == PASSED, outcome.finding


def test_a_count_of_steps_may_be_an_array_of_one():
    """It is taken for right when it is right, so it must not confuse the checker when it is wrong."""

    def step(moving, biased, t, value, momentum=0.5):
        moving, biased, t = ops.moving_average(moving, biased, t, value, momentum)
        return moving, biased, np.array([t + wrong[0]])

    name = EXERCISES["moving_average"].functions[0]
    wrong = [0]
    assert run_exercise("moving_average", {name: step}).status == PASSED
    wrong[0] = 1
    assert run_exercise("moving_average", {name: step}).status == FAILED


def test_a_complex_loss_is_a_finding():
    def step(D, optimizer, x, labels):
        return np.complex128(1 + 1j)

    outcome = run_exercise("discriminator_step", {"discriminator_step": step})
    assert (outcome.status, outcome.finding.code) == (FAILED, "E12")


def test_outcomes_go_into_json():
    outcome = run_exercise("dense", {**OWN, "dense_backward": lambda dy, c: None})
    assert json.loads(json.dumps(outcome.to_dict()))["finding"]["code"] == "E11"
    report = FileReport("x.py", [outcome])
    assert not report.ok
    assert report.to_dict()["outcomes"][0]["finding"]["code"] == "E11"


def test_notebook_entry_prints(capsys):
    assert check("dense", ops.dense_forward, ops.dense_backward).status == PASSED
    assert "dense   passed (forward, dx, dw, db)" in capsys.readouterr().out
    outcome = check("dense", ops.dense_forward, lambda dy, c: (dy @ c.w.T, c.x.T @ dy, dy.mean(0)), hint=2)
    assert outcome.finding.code == "E57"
    text = capsys.readouterr().out
    assert "E57" in text
    assert "a mean over samples and positions; it is a sum" in text
    assert "Lesson 3" in text


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("convolution",), {}, "exercise must be one of dense, relu"),
        (("dense",), {}, "dense is dense_forward and dense_backward, got 0 functions"),
        (("sgd", len, len), {}, "sgd is sgd_step, got 2 functions"),
        (("sgd", len), {"layout": "HWCN"}, "layout must be"),
        (("sgd", len), {"hint": 4}, "hint must be 1, 2 or 3, got 4"),
    ],
)
def test_notebook_entry_refuses(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        check(*arguments, **options)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_the_layout_is_no_cause_where_forward_is_right_in_both(layout):
    functions = {
        "flatten_forward": lambda x: (x.reshape(len(x), -1), x.shape),
        "flatten_backward": lambda dy, cache: dy,
    }
    finding = run_exercise("flatten", functions, layout=layout).finding
    assert finding.cause == "dx has the shape of dy; it needs that of x."
    assert not any("LAYOUT" in hint for hint in finding.hints)


def saturated(derivative):
    return {
        "sigmoid_forward": lambda x: (0.5 * np.tanh(0.5 * x) + 0.5, x),
        "sigmoid_backward": lambda dy, x: dy * derivative(x),
    }


def test_a_backward_that_is_nan_for_large_inputs_does_not_pass():
    outcome = run_exercise("sigmoid", saturated(lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2))
    assert (outcome.finding.code, outcome.finding.where) == ("E39", "sigmoid_backward: dx")
    assert outcome.passed == ["forward"]
    assert run_exercise("sigmoid", saturated(lambda x: np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))) ** 2)).ok


def norm_forward(variance):
    def forward(x, gamma, beta, eps=1e-3):
        axes = tuple(range(x.ndim - 1))
        mean = x.mean(axis=axes)
        return (gamma * (x - mean) / np.sqrt(variance(x, mean, axes) + x.dtype.type(eps)) + beta), None

    return {"batch_norm_forward": forward}


def test_a_variance_that_loses_its_digits_does_not_pass():
    finding = run_exercise("batch_norm", norm_forward(lambda x, mean, axes: (x**2).mean(axis=axes) - mean**2)).finding
    assert finding.code == "E39"
    assert "E[x^2] - mean^2" in finding.cause
    assert run_exercise("batch_norm", norm_forward(lambda x, mean, axes: ((x - mean) ** 2).mean(axis=axes))).ok
    assert run_exercise("batch_norm", norm_forward(lambda x, mean, axes: x.var(axis=axes))).ok


def test_a_loss_measured_again_in_training_mode_is_named():
    def discriminator_step(D, optimizer, x, labels):
        loss = gan.discriminator_step(D, optimizer, x, labels).loss
        return losses.bce_with_logits_forward(D.forward(x, training=True)[0], labels)[0] if loss else loss

    finding = run_exercise("discriminator_step", {"discriminator_step": discriminator_step}).finding
    assert finding.code == "E87"
    assert "measured again" in finding.cause


def test_the_lesson_that_teaches_forward_is_named_until_that_is_right():
    wrong = run_exercise("conv2d", {"conv2d_forward": lambda x, w, b, stride=1, pad=0: (x, None)})
    assert wrong.lesson == 7
    assert run_exercise("dense", {"dense_forward": lambda x, w, b: (x, None)}).lesson == 3
