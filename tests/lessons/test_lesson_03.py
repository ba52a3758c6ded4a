"""Lesson 3: what its exercises accept, what they refuse and how, its toy problem, and its pictures."""

import ast
from pathlib import Path

import numpy as np
import pytest

from lessons.exercises import lesson03
from lessons.figures import affine
from lessons.judging import judge, judge_layer
from lessons.notebook import check
from minigan.nn import ops

EXERCISES = {exercise.name: exercise for exercise in lesson03.EXERCISES}
SOURCE = Path(lesson03.__file__).parents[1] / "src" / "03_affine_layers.py"
WITNESS = {
    "A": (np.array([1.0]), np.array([-1.0])),
    "B": (np.array([1000.0]),),
    "C": (np.arange(4.0).reshape(1, 2, 2, 1),),
    "D": (np.array([2.0, -1.0]), np.array([1.0, 1.0])),
}


def told(name, *given):
    """Everything that is said about a wrong answer, in one string."""
    found = judge(EXERCISES[name], given)
    assert found.finding is not None, found
    return " | ".join([found.finding.title, *found.finding.evidence, found.finding.cause])


# ---------------------------------------------------------------------------------------------------------- the network
def test_the_right_network_passes():
    assert judge(EXERCISES["two_layer_net"], (lesson03.net_forward, lesson03.net_backward)).passed
    assert judge(EXERCISES["two_layer_net"], (lesson03.net_forward,)).passed


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (lambda x, w1, b1, w2, b2: (np.tanh((x @ w1 + b1) @ w2 + b2), None), "LeakyReLU is left out"),
        (lambda x, w1, b1, w2, b2: (np.maximum(0.2 * (x @ w1 + b1), x @ w1 + b1) @ w2 + b2, None), "tanh at the end"),
        (lambda *given: (lesson03.net_forward(*given)[0][:, :1] * np.ones((1, 5)), None), "shape"),
        (lambda *given: lesson03.net_forward(*given)[0], "two things"),
    ],
)
def test_wrong_forwards_are_refused_and_named(wrong, named):
    assert named in told("two_layer_net", wrong, lesson03.net_backward)


@pytest.mark.parametrize(("wrong", "why"), lesson03.MISTAKES, ids=lambda x: x[:20] if isinstance(x, str) else "")
def test_known_mistakes_of_backward_are_named(wrong, why):
    assert why in told("two_layer_net", lesson03.net_forward, wrong)


def test_other_wrong_backwards_say_which_gradients_are_right():
    def swapped_sum(dy, cache):
        dx, dw1, db1, dw2, db2 = lesson03.net_backward(dy, cache)
        return dx, dw1, db1 * 0, dw2, db2

    assert "wrong: db1; right: dx, dw1, dw2, db2" in told("two_layer_net", lesson03.net_forward, swapped_sum)
    assert "five gradients" in told("two_layer_net", lesson03.net_forward, lambda dy, cache: dy)


def test_a_cache_kept_in_a_global_is_noticed():
    kept = {}

    def forward(*given):
        y, kept["cache"] = lesson03.net_forward(*given)
        return y, None

    found = judge(EXERCISES["two_layer_net"], (forward, lambda dy, cache: lesson03.net_backward(dy, kept["cache"])))
    assert not found.passed


def test_a_pair_is_the_students_only_if_it_passes(capsys):
    def mine(dy, cache):
        return dy * (1 - cache**2)

    assert lesson03.pair("tanh", ops.tanh_forward, mine) == (ops.tanh_forward, mine)
    assert capsys.readouterr().out == ""

    def unwritten(*given):
        raise NotImplementedError

    assert lesson03.pair("tanh", ops.tanh_forward, unwritten) == (ops.tanh_forward, ops.tanh_backward)
    assert lesson03.pair("two_layer_net", unwritten, unwritten)[0] is lesson03.net_forward
    assert capsys.readouterr().out.count("until yours passes") == 2


# ------------------------------------------------------------------------------------------------------------ bug hunts
def test_witnesses():
    assert judge(EXERCISES["show_the_bug"], (WITNESS,)).passed
    assert judge(EXERCISES["show_the_bug"], ({**WITNESS, "D": (np.array([[-2.0, 1.0]]), np.ones((1, 2)))},)).passed


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("A", (np.array([1.0, -2.0]), np.array([3.0, -1.0])), "one sign"),
        ("A", (np.array([1.0]), np.ones(2)), "one shape"),
        ("B", (np.array([20.0]),), "709"),
        ("B", (np.array([np.inf]),), "finite"),
        ("B", 1000.0, "tuple of arrays, (x,)"),
        ("A", (np.array([0.0]), np.array([1.0])), "at x = 0 any slope"),
        ("D", (np.array([0.0, 1.0]), np.ones(2)), "at x = 0 any slope"),
        ("C", (np.arange(3.0).reshape(1, 1, 3, 1),), "one row"),
        ("C", (np.arange(4.0),), "(N, H, W, C)"),
        ("D", (np.array([2.0, 1.0]), np.ones(2)), "one sign"),
        ("D", None, "not answered yet"),
        ("D", ("a", "b"), "tuple of arrays"),
    ],
)
def test_an_input_that_shows_nothing_is_told_why(name, answer, words):
    text = told("show_the_bug", {**WITNESS, name: answer})
    assert "3 of 4 bugs are shown" in text
    assert words in text


def test_witnesses_may_be_lists():
    assert judge(EXERCISES["show_the_bug"], [{name: list(answer) for name, answer in WITNESS.items()}]).passed
    assert judge(EXERCISES["show_the_bug"], [WITNESS | {"B": np.array([1000.0])}]).passed


def test_a_witness_may_be_too_large_in_float32_only():
    large, small = (np.array([x], np.float32) for x in (100, 20))
    assert judge(EXERCISES["show_the_bug"], [WITNESS | {"B": large}]).passed
    assert not judge(EXERCISES["show_the_bug"], [WITNESS | {"B": large.astype(float)}]).passed
    assert not judge(EXERCISES["show_the_bug"], [WITNESS | {"B": small}]).passed


@pytest.mark.parametrize(
    ("wrong", "why"), lesson03.FORWARD_MISTAKES, ids=lambda x: x[:20] if isinstance(x, str) else ""
)
def test_known_mistakes_of_forward_are_named(wrong, why):
    assert why in told("two_layer_net", lambda *given: (wrong(*given), None))


def test_a_mistake_in_some_cases_only_gets_no_cause():
    """LeakyReLU is left out for batches above 1 only: the case of one sample contradicts the cause."""

    def forward(x, *weights):
        y = lesson03.net_forward(x, *weights)[0]
        return (lesson03._without_leaky_relu(x, *weights) if len(x) > 1 else y), None

    assert "left out" not in told("two_layer_net", forward)

    def backward(dy, cache):
        gradients = lesson03.net_backward(dy, cache)
        return tuple(-g for g in gradients) if len(dy) > 1 else gradients

    assert "signs" not in told("two_layer_net", lesson03.net_forward, backward)


def test_a_right_network_returns_lists_too():
    def forward(*given):
        return list(lesson03.net_forward(*given))

    assert judge(EXERCISES["two_layer_net"], (forward, lambda dy, c: list(lesson03.net_backward(dy, c)))).passed


def test_the_broken_functions_are_those_of_the_notebook():
    """The notebook shows their text; it must be the text of the functions that are judged."""

    def bodies(path, names):
        found = {}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name in names:
                body = node.body[1:] if ast.get_docstring(node) else node.body
                found[names.index(node.name)] = "\n".join(map(ast.unparse, body))
        return found

    shown = ["relu_backward_a", "sigmoid_b", "flatten_c", "leaky_relu_backward_d", "borrowed_dense_backward"]
    judged = ["broken_relu", "broken_sigmoid", "broken_flatten", "broken_leaky_relu", "borrowed_dense_backward"]
    assert len(bodies(SOURCE, shown)) == 5
    assert bodies(SOURCE, shown) == bodies(Path(lesson03.__file__), judged)


def test_the_borrowed_layer_is_right_for_its_author_and_wrong_otherwise():
    rng = np.random.default_rng(0)
    x, w, dy = rng.standard_normal((1, 3)), rng.standard_normal((3, 1)), rng.standard_normal((1, 1))
    right = ops.dense_backward(dy, ops.dense_forward(x, w, np.zeros(1))[1])
    for a, b in zip(lesson03.borrowed_dense_backward(dy, (x, w)), right, strict=True):
        np.testing.assert_allclose(a, b)
    found = judge_layer("dense", (ops.dense_forward, lesson03.borrowed_dense_backward))
    assert found.finding is not None


def test_what_is_not_written_is_not_wrong(capsys):
    def unwritten(*given):
        raise NotImplementedError

    assert not check("two_layer_net", unwritten, unwritten).passed
    assert not check("two_layer_net", lesson03.net_forward, unwritten).passed
    assert not check("show_the_bug", dict.fromkeys("ABCD")).passed
    out = capsys.readouterr().out
    assert "FAIL" not in out
    assert out.count("yet") == 3


# ------------------------------------------------------------------------------------------------------ the toy problem
def test_the_network_learns_the_heart():
    points = np.random.default_rng(0).uniform(-1.6, 1.6, (300, 2))
    targets = lesson03.heart(points)
    assert 0.2 < (targets > 0).mean() < 0.6
    np.testing.assert_array_equal(lesson03.heart(points * [-1, 1]), targets)
    parameters = list(lesson03.first_weights(16, np.random.default_rng(1)))
    before = np.mean((lesson03.net_forward(points, *parameters)[0] - targets) ** 2)
    for _ in range(300):
        y, cache = lesson03.net_forward(points, *parameters)
        _, *gradients = lesson03.net_backward(2 * (y - targets) / len(points), cache)
        parameters = [p - 0.1 * g for p, g in zip(parameters, gradients, strict=True)]
    assert np.mean((lesson03.net_forward(points, *parameters)[0] - targets) ** 2) < before / 3


# ------------------------------------------------------------------------------------------------------------- pictures
def test_pictures():
    relu, tanh = (ops.relu_forward, ops.relu_backward), (ops.tanh_forward, ops.tanh_backward)
    points = np.random.default_rng(0).uniform(-1.6, 1.6, (40, 2))
    folds = np.array([[1.0, 0.5, 0.2], [0.1, -1.0, 0.0]])
    scenes = [("a", lambda x: np.tanh(x[:, :1]), folds), ("b", lesson03.heart, None)]
    drawn = [
        affine.curves({"ReLU": relu, "tanh": tanh}),
        affine.depth({"ReLU": relu, "tanh": tanh}, (ops.dense_forward, ops.dense_backward), layers=3),
        affine.film(scenes, points, lesson03.heart(points)),
        affine.losses({"one": [1.0, 0.5], "two": [1.0, 0.9]}),
    ]
    for figure in drawn:
        assert all(axes.get_xlabel() or axes.get_ylabel() for axes in figure.axes)
        assert all(axes.get_title() for axes in figure.axes if axes.get_xlabel())
        figure.canvas.draw()
    for figure in (affine.shapes(5, 3, 2), affine.flat(2, 3, 2)):  # drawings without axes
        assert figure.axes[0].get_title()
        figure.canvas.draw()


def test_flat_numbers_every_value_as_flatten_does():
    texts = [text.get_text() for text in affine.flat(2, 3, 2).axes[0].texts]
    x = np.zeros((1, 2, 3, 2))
    x[0, 1, 0, 1] = 1
    place = int(ops.flatten_forward(x)[0].argmax())
    assert place == 7
    assert texts.count(str(place)) == 2  # in the picture and in the row
