"""Lesson 5: its exercises know right from wrong, its claims hold, and its pictures have labels."""

import io

import numpy as np
import pytest

from lessons import figures, notebook
from lessons.exercises import lesson05

RIGHT = {
    "adam_by_hand": lesson05.by_hand(),
    "steps_to_turn": lesson05.steps_to_turn,
    "valley_hunt": dict(lesson05.FAULTS),
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_one_passes(name, capsys):
    assert notebook.check(name, RIGHT[name]).passed


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_the_references_are_right(name, capsys):
    rule = lesson05.reference(name)
    if name == "momentum":
        assert notebook.check(name, lambda p, g, v, lr, beta=0.9: rule(p, g, v, lr, beta)).passed
    else:
        assert notebook.check(name, rule).passed


def test_every_exercise_is_tried():
    assert {exercise.name for exercise in lesson05.EXERCISES} == set(RIGHT)


def test_every_mistake_is_named(capsys):
    exercise = next(e for e in lesson05.EXERCISES if e.name == "steps_to_turn")
    for mistake in exercise.mistakes:
        verdict = notebook.check(exercise.name, mistake.function)
        assert not verdict.passed
        assert verdict.finding.cause == mistake.why
    assert not notebook.check("steps_to_turn", lambda beta: 3).passed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"step 1": 0.1581}, "bias correction"),
        ({"step 2": 0.3}, "divides by"),
        ({"step 1, loss times 1000": 100}, "ratio"),
        ({"v after 1": 0.3}, "squares"),
        ({"m after 1": 3}, "start at 0"),
    ],
)
def test_wrong_numbers_are_explained(change, said, capsys):
    assert said in notebook.check("adam_by_hand", lesson05.by_hand() | change).finding.cause


def test_the_numbers_by_hand_are_adams():
    m = v = np.zeros(1)
    steps = []
    for t in (1, 2):
        p, m, v = lesson05.reference("adam")(np.zeros(1), np.full(1, 3.0), m, v, t, 0.1, 0.5, 0.9, 0.0)
        steps.append(-float(p[0]))
        if t == 1:
            assert (float(m[0]), float(v[0])) == pytest.approx((1.5, 0.9))
    assert steps == pytest.approx([0.1, 0.1])


def test_steps_to_turn_in_closed_form():
    for beta in (0.0, 0.4, 0.7, 0.93):
        k = lesson05.steps_to_turn(beta)
        assert 2 * beta**k - 1 < 0 <= 2 * beta ** (k - 1) - 1


def test_hunt(capsys):
    exchanged = {**lesson05.FAULTS, "A": "adam", "B": "momentum"}
    assert "3 of 5" in notebook.check("valley_hunt", exchanged).finding.title
    assert "none of" in notebook.check("valley_hunt", {**lesson05.FAULTS, "A": "ill"}).finding.title
    assert "keys" in notebook.check("valley_hunt", {"A": "adam"}).finding.title
    assert set(lesson05.riddles()) == set(lesson05.FAULTS)


def test_unanswered(capsys):
    for name in RIGHT:
        assert notebook.check(name, None).finding is None
    assert notebook.check("adam_by_hand", dict.fromkeys(lesson05.by_hand())).finding is None


# ---------------------------------------------------------------------------------------------------------- the claims
def test_gradient_descent_diverges_beyond_two_over_lambda():
    height = {
        lr: lesson05.valley(lesson05.descend(lesson05.sgd(lesson05.reference("sgd"), lr), steps=40))
        for lr in (0.0195, 0.0205)
    }
    assert height[0.0195][-1] < height[0.0195][0] < height[0.0205][-1]


def test_adam_does_not_see_the_scale_of_the_loss():
    rule = lesson05.adam(lesson05.reference("adam"), 0.15)
    small, large = (lesson05.descend(rule, scale=scale) for scale in (0.01, 100.0))
    np.testing.assert_allclose(small, large, atol=1e-4)


def test_a_long_memory_circles_and_a_short_one_arrives():
    ends = {}
    for beta1 in (0.9, 0.5):
        path = lesson05.play_game(lambda beta1=beta1: lesson05.adam(lesson05.reference("adam"), 0.02, beta1=beta1))
        ends[beta1] = float(np.hypot(*path[-1]))
    assert ends[0.9] > 1.5
    assert ends[0.5] < 0.1


def test_pictures():
    path = lesson05.descend(lesson05.momentum(lesson05.reference("momentum"), 0.01), steps=5)
    game = lesson05.play_game(lambda: lesson05.sgd(lesson05.reference("sgd"), 0.01), steps=5)
    made = [
        figures.optimisers.paths({"a": path, "b": path, "c": path, "d": path}),
        figures.optimisers.heights({"a": path, "b": path}),
        figures.optimisers.bias(0.9),
        figures.optimisers.turning(),
        figures.optimisers.game({"a": game, "b": game}),
    ]
    for figure in made:
        figure.savefig(io.BytesIO(), dpi=40)
        shown = [ax for ax in figure.axes if ax.axison]
        assert all(ax.get_title() and ax.get_xlabel() and ax.get_ylabel() for ax in shown)


def test_the_sign_of_a_moment_counts_and_that_of_a_step_does_not(capsys):
    right = lesson05.by_hand()
    assert notebook.check("adam_by_hand", right | {"step 1": -0.1}).passed
    assert not notebook.check("adam_by_hand", right | {"m after 1": -1.5}).passed
