"""Lesson 4: its exercises know right from wrong, and its pictures have labels."""

import io

import numpy as np
import pytest

from lessons import figures, notebook
from lessons.exercises import lesson04
from minigan.nn.losses import bce_with_logits_forward
from minigan.nn.ops import sigmoid_forward

RIGHT = {
    "bce_by_hand": lesson04.by_hand(),
    "break_the_textbook": {"infinite": (20, 0), "not a number": (20, 1), "wrong": (16.6, 0)},
    "softplus": lesson04.softplus,
    "generator_gradients": lesson04.generator_gradients,
    "bce_hunt": dict(lesson04.FAULTS),
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_one_passes(name, capsys):
    assert notebook.check(name, RIGHT[name]).passed


def test_every_exercise_is_tried():
    assert {exercise.name for exercise in lesson04.EXERCISES} == set(RIGHT)


@pytest.mark.parametrize("exercise", [e for e in lesson04.EXERCISES if e.mistakes], ids=lambda e: e.name)
def test_every_mistake_is_named(exercise, capsys):
    for mistake in exercise.mistakes:
        verdict = notebook.check(exercise.name, mistake.function)
        assert not verdict.passed
        assert verdict.finding.cause == mistake.why


@pytest.mark.parametrize(
    "other", [lambda z: np.logaddexp(0, z), lambda z: np.where(z > 0, z, 0) + np.log1p(np.exp(-abs(z)))]
)
def test_softplus_in_other_words(other, capsys):
    assert notebook.check("softplus", other).passed


def test_lost_digits_are_shown(capsys):
    finding = notebook.check(
        "softplus", lambda z: np.where(z > 0, z + np.log(1 + np.exp(-z)), np.log(1 + np.exp(z)))
    ).finding
    assert "log1p" in finding.cause
    assert "z = -40: yours 0, expected 4.24835e-18" in finding.evidence[0]


def test_unknown_mistakes_are_caught(capsys):
    assert not notebook.check("softplus", lambda z: np.maximum(z, 0) + 0.1).passed
    assert not notebook.check("generator_gradients", lambda z: (z, z)).passed


LOSSES = {name: value for name, value in lesson04.by_hand().items() if name.startswith("loss")}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"loss at z = 0, t = 1": -0.693}, "sign"),
        ({name: value / np.log(2) for name, value in LOSSES.items()}, "not to base 2"),
        ({name: value / np.log(10) for name, value in LOSSES.items()}, "not to base 10"),
        (dict(zip(LOSSES, (0.5, 0.5, 0.9, 0.1), strict=True)), "these are the probabilities"),
        ({"loss at z = ln 9, t = 0": 0.105}, "what is 1 - p"),
        ({"best z for t = 0.9": 0.9}, "p equals t"),
    ],
)
def test_wrong_numbers_are_explained(change, said, capsys):
    finding = notebook.check("bce_by_hand", lesson04.by_hand() | change).finding
    assert said in " ".join([*finding.evidence, finding.cause])


@pytest.mark.parametrize("change", [{"loss at z = 0, t = 1": 1.0}, {"loss at z = ln 9, t = 1": 0.9}])
def test_one_number_alone_gets_no_cause(change, capsys):
    """1 may be ln 2 to base 2, or the target, or a guess."""
    assert notebook.check("bce_by_hand", lesson04.by_hand() | change).finding.cause == ""


def test_one_minus_p_does_not_pass_for_the_loss(capsys):
    assert not notebook.check("bce_by_hand", lesson04.by_hand() | {"loss at z = ln 9, t = 1": 0.1}).passed
    for rounded in (0.11, 0.105):
        assert notebook.check("bce_by_hand", lesson04.by_hand() | {"loss at z = ln 9, t = 1": rounded}).passed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"infinite": (5, 0)}, "not infinite"),
        ({"not a number": (20, 0)}, "is a number"),
        ({"wrong": (20, 0)}, "breaks loudly"),
        ({"wrong": (5, 0)}, "right to two per cent"),
        ({"wrong": 5}, "a pair"),
        ({"infinite": (float("inf"), 0)}, "finite"),
    ],
)
def test_what_does_not_break_it(change, said, capsys):
    assert said in notebook.check("break_the_textbook", RIGHT["break_the_textbook"] | change).finding.title


def test_suspects_differ_from_the_right_loss_and_from_each_other(capsys):
    z, t = np.array([[5.0], [-1.0], [2.0]]), np.array([[0.1], [0.9], [0.3]])
    values = {letter: suspect(z, t) for letter, suspect in lesson04.SUSPECTS.items()}
    fine = next(letter for letter, word in lesson04.FAULTS.items() if word == "fine")
    assert values[fine] == pytest.approx(float(bce_with_logits_forward(z, t)[0]))
    assert len({round(value, 6) for value in values.values()}) == len(values)
    exchanged = {**lesson04.FAULTS, "A": "bits", "B": "rounded"}
    assert "4 of 6" in notebook.check("bce_hunt", exchanged).finding.title
    assert "none of" in notebook.check("bce_hunt", {**lesson04.FAULTS, "A": "ill"}).finding.title
    assert "keys" in notebook.check("bce_hunt", {"A": "fine"}).finding.title


def test_unanswered(capsys):
    for name in RIGHT:
        assert notebook.check(name, None).finding is None
    for name in ("bce_by_hand", "break_the_textbook"):
        assert notebook.check(name, dict.fromkeys(RIGHT[name])).finding is None


def test_pictures():
    def gradient(z, t):
        return sigmoid_forward(z)[0] - t

    made = [
        figures.loss.curves(lesson04.stable_bce, gradient),
        figures.loss.softplus_parts(lesson04.softplus),
        figures.loss.naive_and_stable(lesson04.naive_bce, gradient, lesson04.stable_bce, gradient),
        figures.loss.floor(lesson04.stable_bce, np.linspace(0.8, 1, 11)),
        figures.loss.generator_losses(lesson04.generator_gradients),
    ]
    for figure in made:
        figure.savefig(io.BytesIO(), dpi=40)
        assert all(ax.get_title() and ax.get_xlabel() and ax.get_ylabel() for ax in figure.axes)
