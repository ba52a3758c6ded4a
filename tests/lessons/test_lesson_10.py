"""Lesson 10's own exercises and pictures."""

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest

from lessons import figures, recorded_runs
from lessons.exercises import lesson10
from lessons.judging import judge
from minigan.nn import ops

EXERCISES = {exercise.name: exercise for exercise in lesson10.EXERCISES}


def verdict(name, *given):
    return judge(EXERCISES[name], given)


def told(name, *given):
    """Everything a student reads about a wrong answer."""
    found = verdict(name, *given)
    assert not found.passed
    assert found.finding is not None
    return " ".join([found.finding.title, *found.finding.evidence, found.finding.cause])


# ------------------------------------------------------------------------------------------------------------ reference
def test_the_lessons_functions_agree_with_minigans():
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((3, 2, 4, 5)), rng.standard_normal((3, 2, 4, 5))
    gamma, beta = rng.standard_normal(5), rng.standard_normal(5)
    y, cache = lesson10.batch_norm_forward(x, gamma, beta, 0.1)
    right, library = ops.batch_norm_forward(x, gamma, beta, 0.1)
    np.testing.assert_allclose(y, right, rtol=1e-10, atol=1e-12)
    dx, _, _ = ops.batch_norm_backward(dy, library)
    np.testing.assert_allclose(lesson10.right_dx(dy, cache), dx, rtol=1e-10, atol=1e-12)


def test_the_worked_example():
    """The numbers of the text: y = (-2, 3, 5) and dx = (2, -5, 3) / 9."""
    x, dy = np.array([[1.0], [6.0], [8.0]]), np.array([[3.0], [0.0], [0.0]])
    y, cache = lesson10.batch_norm_forward(x, np.array([3.0]), np.array([2.0]), 1 / 3)
    np.testing.assert_allclose(y.ravel(), [-2, 3, 5])
    np.testing.assert_allclose(lesson10.right_dx(dy, cache).ravel(), np.array([2, -5, 3]) / 9)
    nodes = figures.batchnorm._node_by_node(x.ravel(), dy.ravel(), 3, 2, 1 / 3)
    np.testing.assert_allclose(nodes["x"][1], np.array([2, -5, 3]) / 9)
    assert [round(float(nodes[name][1]), 6) for name in ("r", "s", "mu")] == [-36, 4, -3]


# -------------------------------------------------------------------------------------------------------- three numbers
def test_three_numbers():
    assert verdict("three_numbers", 3, 2, 1.5, (-1, -1, 5)).passed
    assert verdict("three_numbers", 3.0, 2.0, 1.5, np.array([-1.0, -1, 5])).passed
    assert verdict("three_numbers", 3, 2, None, None).status == "not implemented"


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ((3, 3, 1.8, (-1, -1, 5)), "N - 1"),
        ((3, 6, 2.5, (-1, -1, 5)), "summed"),
        ((3, 11, 3.35, (-1, -1, 5)), "before squaring"),
        ((3, 2, 1.414, (-1, -1, 5)), "eps is missing"),
        ((3, 2, 1.664, (-1, -1, 5)), "under the root"),
        ((3, 2, 2.25, (-1, -1, 5)), "root is missing"),
        ((3, 2, 1.5, (-2 / 3, -2 / 3, 4 / 3)), "xhat"),
        ((3, 2, 1.5, (1 / 3, 1 / 3, 7 / 3)), "gamma is missing"),
        ((3, 2, 1.5, (-2, -2, 4)), "beta is missing"),
        ((3, 2, 1.5, (1, 1, 7)), "beta too"),
        ((3, 2, 1.5, 5), "three numbers"),
        ((4, 2, 1.5, (-1, -1, 5)), "mean"),
        ((3, 2, 1.5, (0, 0, 6)), "y is another"),
        ((3, "two", 1.5, (0, 0, 6)), "numbers"),
    ],
)
def test_wrong_numbers_are_told_why(answer, word):
    assert word in told("three_numbers", *answer)


# ---------------------------------------------------------------------------------------------------------- three paths
def test_three_paths():
    assert verdict("three_paths", lesson10.three_paths).passed


@pytest.mark.parametrize("mistake", lesson10.THREE_PATHS.mistakes, ids=lambda m: m.why[:30])
def test_known_mistakes_are_named(mistake):
    assert mistake.why in told("three_paths", mistake.function)


def test_a_mean_of_its_own_shape_is_refused():
    def flat_mean(dy, xhat, gamma, s):
        direct, mean, variance = lesson10.three_paths(dy, xhat, gamma, s)
        return direct, mean.reshape(-1, dy.shape[-1])[0], variance

    assert "shape" in told("three_paths", flat_mean)


# --------------------------------------------------------------------------------------------------------- blind probes
def test_blind_probes():
    assert verdict("blind_probes", lambda x: (np.ones_like(x), x.copy())).passed
    assert verdict("blind_probes", lambda x: [3 * x + 1, x - x.mean(axis=0)]).passed


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (lambda x: (np.ones_like(x), 2 * np.ones_like(x)), "multiple"),
        (lambda x: (np.ones_like(x), np.zeros_like(x)), "zero in some channel"),
        (lambda x: (np.ones_like(x), x**2), "the second is not blind"),
        (lambda x: (np.cos(x), x), "the first is not blind"),
        (lambda x: (np.ones_like(x), x[0]), "shape"),
        (lambda x: np.ones_like(x), "two arrays"),
        (lambda x: None, "two arrays"),
        (lambda x: (np.ones_like(x), np.subtract(x, x.mean(axis=0), out=x)), "modifies x"),
    ],
)
def test_probes_that_are_not_blind(answer, word):
    assert word in told("blind_probes", answer)


# ------------------------------------------------------------------------------------------------- modes, missing paths
def test_modes():
    assert verdict("norm_modes", lesson10.MODES).passed
    assert verdict("norm_modes", dict.fromkeys(lesson10.MODES)).status == "not implemented"
    assert "frozen" in told("norm_modes", {**lesson10.MODES, "D frozen": "batch"})
    assert "as it was trained" in told("norm_modes", {**lesson10.MODES, "D frozen": "moving"})
    assert "inference" in told("norm_modes", {**lesson10.MODES, "G predicts": "batch"})
    assert "'still'" in told("norm_modes", {**lesson10.MODES, "G predicts": "still"})
    assert "five entries" in told("norm_modes", {"G predicts": "batch"})


def test_every_wrong_mode_has_its_reason():
    for name, right in lesson10.MODES.items():
        for mode in ("moving", "batch", "batch, still"):
            if mode != right:
                assert lesson10._WHY_NOT[name, mode] in told("norm_modes", {**lesson10.MODES, name: mode})


def test_missing_paths():
    right = {"a": "variance", "b": "nothing", "c": "gamma", "d": "mean", "e": "both"}
    assert verdict("missing_path", right).passed
    assert verdict("missing_path", dict.fromkeys(right)).status == "not implemented"
    assert "horizontal" in told("missing_path", {**right, "a": "mean"})
    assert "cloud" in told("missing_path", {**right, "a": "gamma"})
    assert "zero" in told("missing_path", {**right, "c": "nothing"})
    assert "every answer" in told("missing_path", {**right, "c": "beta"})
    assert "2 of 5" in told("missing_path", {**right, "a": "mean", "d": "variance"})


def test_the_suspects_leave_what_the_answers_say():
    rng = np.random.default_rng(1)
    x, dy = rng.standard_normal((9, 1)), rng.standard_normal((9, 1))
    _, cache = lesson10.batch_norm_forward(x, np.array([1.7]), np.zeros(1), 1e-9)
    basis = np.column_stack([np.ones(9), cache[0]])
    fits = {}
    for name, suspect in lesson10.SUSPECTS.items():
        residual = lesson10.right_dx(dy, cache) - suspect(dy, cache)
        fit, _, _, _ = np.linalg.lstsq(basis, residual, rcond=None)
        fits[name] = (*(np.abs(fit.ravel()) > 1e-6), bool(np.abs(basis @ fit - residual).max() < 1e-6))
    assert fits["a"] == (False, True, True)
    assert fits["b"] == (False, False, True)
    assert fits["c"][2] is False
    assert fits["d"] == (True, False, True)
    assert fits["e"] == (True, True, True)


def test_popular_probes_are_blind_and_a_random_one_is_not():
    errors, _ = figures.batchnorm.probe_errors(lesson10.WRONG_BACKWARDS, np.random.default_rng(1))
    seen = errors > 1e-3
    assert not seen[0].any()  # the right one
    assert seen[1:].sum(axis=0).tolist() == [1, 2, 6, 6]


# ------------------------------------------------------------------------------------------------------------- pictures
def pictures():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((60, 3))
    y, (xhat, gamma, s) = lesson10.batch_norm_forward(x, np.ones(3), np.zeros(3))
    paths = lesson10.three_paths(x[:3, :1], xhat[:3, :1], gamma[:1], s[:1])
    logits = {name: rng.standard_normal(20) for name in ("alone", "mixed", "record")}
    draw = figures.batchnorm
    return {
        "histograms": draw.histograms(x, y),
        "graph": draw.graph((1, 6, 8), (3, 0, 0), 3, 2, 1 / 3),
        "three_paths": draw.three_paths(paths),
        "tangent": draw.tangent(np.array([-4.0, 1.0, 3.0]), np.array([3.0, 0.0, 0.0])),
        "probes": draw.probes(lesson10.WRONG_BACKWARDS, rng),
        "records": draw.records(np.ones(5), lesson10.moving_average, (0.5, 0.9)),
        "company": draw.company(rng, N=100),
        "opinions": draw.opinions(logits),
        "deep": draw.deep({f"{k}, {end}": rng.random((2, 150)) for k in "abc" for end in ("with", "without")}),
        "residuals": draw.residuals(lesson10.SUSPECTS, rng),
    }


def test_pictures_are_drawn_and_labelled():
    for name, figure in pictures().items():
        figure.savefig(io.BytesIO(), format="png", dpi=20)
        for ax in figure.axes:
            if ax.axison:
                assert ax.get_xlabel(), name
        assert any(ax.get_ylabel() for ax in figure.axes) or name == "graph"


def test_the_debiased_record_is_right_from_the_first_update():
    figure = figures.batchnorm.records(np.full(4, 10.0), lesson10.moving_average, (0.9,))
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].get_lines()}
    np.testing.assert_allclose(lines["debiased"], 10)
    assert lines["started at 0"][0] == pytest.approx(1)


def test_three_opinions_are_of_the_same_fakes():
    logits = lesson10.three_opinions(steps=2, batch_size=4)
    assert {name: z.shape for name, z in logits.items()} == {"alone": (32,), "mixed": (32,), "record": (32,)}
    assert np.abs(logits["alone"] - logits["record"]).max() > 1e-3
    again = lesson10.three_opinions(steps=2, batch_size=4)
    np.testing.assert_array_equal(logits["mixed"], again["mixed"])


# ------------------------------------------------------------------------------------------------- deep discriminators
def record_deep_d():
    path = Path(recorded_runs.FOLDER) / "record_deep_d.py"
    spec = importlib.util.spec_from_file_location("record_deep_d", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_recorded_deep_discriminators_are_what_their_script_makes(monkeypatch):
    script = record_deep_d()
    recorded = recorded_runs.deep_discriminators()
    assert set(recorded) == {f"{name}, {end}" for name in script.SETTINGS for end in ("with", "without")}
    assert all(losses.shape == (len(script.SEEDS), script.STEPS) for losses in recorded.values())
    monkeypatch.setattr(script, "STEPS", 2)
    for norm, end in ((True, "with"), (False, "without")):
        scale, rate = script.SETTINGS["Glorot's kernels"]
        made = script.losses(script.SEEDS[0], norm=norm, scale=scale, rate=rate)
        np.testing.assert_allclose(made, recorded[f"Glorot's kernels, {end}"][0, :2], atol=2e-3)


def test_the_lesson_says_of_the_deep_discriminators_what_was_recorded():
    ends = {name: losses[:, -25:].mean(axis=1) for name, losses in recorded_runs.deep_discriminators().items()}
    without, norm = ends["Glorot's kernels, without"], ends["Glorot's kernels, with"]
    assert (without < norm).sum() == 3  # "in three of five seeds the one without ends lower"
    assert np.ptp(norm) < np.ptp(without)  # "more even"
    assert np.abs(ends["a third of them, without"] - 2 * np.log(2)).max() < 1e-3  # "all five learn nothing"
    assert ends["a third of them, with"].max() < min(without.min(), norm.min())  # "even faster"
    fast = "Glorot's kernels, three times the rate"
    assert abs(ends[f"{fast}, with"].mean() - ends["a third of them, with"].mean()) < 0.03  # "the same 0.1"
    assert abs(ends[f"{fast}, without"].mean() - 0.7) < 0.05
