"""The checker's engine: silent on right implementations, and right about wrong ones."""

import dataclasses
import math

import numpy as np
import pytest

from minigan.check import check, check_network
from minigan.check.codes import CODES
from minigan.check.engine.ladder import run_exercise
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import FAILED, NOT_IMPLEMENTED, PASSED, FileReport, Outcome
from minigan.check.zoo import BUGS, CORRECT
from minigan.gan import step as gan
from minigan.gan.models import discriminator, generator
from minigan.nn import losses, ops
from minigan.nn.layers import Dense, LeakyReLU
from minigan.nn.network import Sequential
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


FROM_A_FILE = {"E01", "E02", "E03", "E04", "E05", "E06", "E07"}  # tests/check/test_check_command.py triggers these


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


def test_zero_dx_of_batch_norm_is_caught():
    """The popular trap: with dy of ones, or a loss that sums y, the true dx is 0 as well."""
    functions = {**OWN, "batch_norm_backward": lambda dy, c: (0 * dy, *ops.batch_norm_backward(dy, c)[1:])}
    assert run_exercise("batch_norm", functions).finding.code == "E52"


def test_errors_of_the_checker_are_not_the_students(monkeypatch):
    monkeypatch.setattr("minigan.check.engine.ladder.disagreeing_gradients", lambda *_: 1 / 0)
    outcome = run_exercise("dense", OWN)
    assert outcome.status == "checker error"
    assert "the checker itself failed" in outcome.finding.title


def test_picture_has_the_worst_slice():
    def backward(dy, cache):
        dx, dw, db = ops.conv2d_backward(dy, cache)
        dx = dx.copy()
        dx[0, 1, 2, 0] += 5
        return dx, dw, db

    outcome = run_exercise("conv2d", {**OWN, "conv2d_backward": backward})
    yours, numeric = (np.array(outcome.picture[k]) for k in ("yours", "numeric"))
    assert yours.shape == numeric.shape
    assert np.abs(yours - numeric).max() > 1


def test_outcomes_survive_json():
    outcome = run_exercise("dense", {**OWN, "dense_backward": lambda dy, c: None})
    assert Outcome.from_dict(outcome.to_dict()) == outcome
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


def test_a_missing_input_gradient_is_named():
    def generator_step(G, D, optimizer, noise, labels):
        fakes, caches = G.forward(noise, training=True)
        z, d_caches = D.forward(fakes, training=True, update_stats=False)
        loss, cache = losses.bce_with_logits_forward(z, labels)
        G.backward(D.backward(losses.bce_with_logits_backward(1.0, cache), d_caches), caches)
        optimizer.step(G.grads())
        return loss

    finding = run_exercise("generator_step", {"generator_step": generator_step}).finding
    assert finding.code == "E10"
    assert "input_grad=True" in finding.cause
    assert "shapes" not in finding.hints[0]


# ------------------------------------------------------------------------------------------------- whole networks
@pytest.mark.parametrize("build", [generator, discriminator])
def test_whole_network(build):
    errors = check_network(build(image_size=32, width=2, dtype=np.float64))
    assert set(errors) == {"input", *build(image_size=32, width=2).params()}
    assert max(errors.values()) < 1e-5


def test_whole_network_finds_a_wrong_layer():
    wrong = dataclasses.replace(ops.LIBRARY, leaky_relu_backward=lambda dy, c: ops.leaky_relu_backward(dy, c) * 1.01)
    errors = check_network(discriminator(image_size=32, width=2, dtype=np.float64, ops=wrong))
    assert errors["0.kernel"] > 1e-3
    assert errors["10.kernel" if "10.kernel" in errors else list(errors)[-2]] < 1e-5  # above the layer all is right


def test_whole_network_has_to_be_float64():
    with pytest.raises(ValueError, match="discriminator must be float64"):
        check_network(discriminator(image_size=32, width=2))


def test_kinks_do_not_matter():
    """Forty units whose kinks lie a few steps h from every input: some directions cross one, and are passed over."""
    rng = np.random.default_rng(0)
    layers = [
        Dense(6, 40, kernel_initializer=rng.standard_normal),
        LeakyReLU(),
        Dense(40, 2, kernel_initializer=rng.standard_normal),
    ]
    network = Sequential(layers, input_shape=(6,))
    x = np.random.default_rng(0).standard_normal((3, 6))  # what check_network will draw
    network.params()["0.bias"][...] = -(x @ network.params()["0.kernel"])[0] + rng.uniform(-1e-4, 1e-4, 40)
    assert max(check_network(network, probes=5).values()) < 1e-5
