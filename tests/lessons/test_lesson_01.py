"""Lesson 1: what its puzzles accept, what they say to wrong answers, and its pictures."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from lessons import figures, notebook
from lessons.exercises import lesson01
from lessons.judging import judge
from minigan.nn.backend import xp_of


def said(name, *given):
    exercise = next(e for e in lesson01.EXERCISES if e.name == name)
    verdict = judge(exercise, given)
    finding = verdict.finding
    return verdict, "" if finding is None else " | ".join([finding.title, *finding.evidence, finding.cause])


RIGHT = ["rings", "centre_rows", "patches", "weigh", "unit_rows", "framed", "steps", "one_hot", "counts", "halve"]


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_answer_passes(name):
    assert said(name, getattr(lesson01, name))[0].passed


@pytest.mark.parametrize(
    "exercise", [*lesson01.EXERCISES, lesson01._PATCHES, lesson01._UNIT_ROWS], ids=lambda e: e.name
)
def test_known_mistakes_fail_and_are_named(exercise):
    assert len(exercise.mistakes) >= 4 or exercise in (lesson01.STRIDES_EXERCISE, lesson01.TRAP)
    for mistake in exercise.mistakes:
        verdict = judge(exercise, [mistake.function])
        assert not verdict.passed
        assert verdict.finding.cause == mistake.why


def test_other_ways_to_be_right():
    assert said("rings", lambda H, W: np.add.outer(*((np.arange(n) - (n - 1) / 2) ** 2 for n in (H, W))))[0].passed
    assert said("centre_rows", lambda x: x - x.mean(1)[:, None])[0].passed
    assert said("weigh", lambda p, w: np.tensordot(p, w, 2))[0].passed
    assert said("unit_rows", lambda x: x / (x**2).sum(1, keepdims=True) ** 0.5)[0].passed
    assert said("framed", lambda x: np.pad(x[1:-1, 1:-1], 1))[0].passed
    assert said("one_hot", lambda labels, C: np.eye(C)[labels])[0].passed
    assert said("counts", lambda labels, C: np.bincount(labels, minlength=C))[0].passed
    assert said("nearest_rows", lambda a, b: np.array([((b - row) ** 2).sum(1).argmin() for row in a]))[0].passed


@pytest.mark.parametrize(
    ("name", "function", "message"),
    [
        ("rings", lambda H, W: np.zeros((H, W)), "values of the result are wrong"),
        ("rings", lambda H, W: lesson01.rings(H, W).astype(int), "dtype int64, asked for is float64"),
        ("centre_rows", lambda x: x - x.mean(axis=1), "raises ValueError"),
        ("patches", lambda x, K: sliding_window_view(x, (K, K)).copy(), "copies them"),
        ("patches", lambda x, K: x, "has shape"),
        ("weigh", lambda p, w: np.einsum("ijkl,klo->ij", p, w), "has shape"),
        ("unit_rows", lambda x: x / np.sqrt((x * x).sum(1, keepdims=True)), "np.something is NumPy's alone"),
        (
            "unit_rows",
            lambda x: x / np.linalg.norm(x, axis=1, keepdims=True),
            "np.norm was given an array of another library",
        ),
        ("unit_rows", lambda x: np.asarray(x) / 2, "values of the result"),
        ("framed", lesson01.framed_broken, "modifies its input x"),
    ],
)
def test_wrong_answers_and_their_messages(name, function, message):
    verdict, text = said(name, function)
    assert not verdict.passed
    assert message in text


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("steps", lambda x: [[row[j + 1] - row[j] for j in range(len(row) - 1)] for row in x]),
        ("one_hot", lambda labels, C: np.array([[float(c == label) for c in range(C)] for label in labels])),
        ("counts", lambda labels, C: np.array(list(map(lambda c: (labels == c).sum(), range(C))))),  # noqa: C417
        ("rings", np.vectorize(lambda i, j: 0.0)),
    ],
)
def test_a_loop_passes_and_is_asked_to_go(name, function):
    if isinstance(function, np.vectorize):  # no code of its own, and wrong
        assert not lesson01.has_loop(function)
        return
    verdict, _ = said(name, function)
    assert verdict.passed
    assert verdict.said.endswith("and now without a loop?")


def test_no_loop_is_no_loop():
    for name in RIGHT:
        assert not lesson01.has_loop(getattr(lesson01, name))
        assert "loop" not in said(name, getattr(lesson01, name))[0].said

    def until(x):
        while x > 0:
            x -= 1
        return x

    assert lesson01.has_loop(until)
    assert lesson01.has_loop(lambda x: np.vectorize(abs)(x))


def test_lists_of_the_right_numbers_are_right():
    assert said("rings", lambda H, W: lesson01.rings(H, W).tolist())[0].passed
    assert said("steps", lambda x: lesson01.steps(x).tolist())[0].passed
    assert said("nearest_rows", lambda a, b: lesson01.nearest(a, b).tolist())[0].passed
    assert said("strides", {key: list(value) for key, value in lesson01.STRIDES.items()}, sorted(lesson01.COPIES))[
        0
    ].passed


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("counts", lambda labels, C: np.bincount(labels)),
        ("nearest_rows", lambda a, b: np.abs(a[:, None] - b).sum(axis=2).argmin(axis=1)),
        ("nearest_rows", lambda a, b: np.abs(a[:, None] - b).max(axis=2).argmin(axis=1)),
        ("nearest_rows", lambda a, b: ((a[:, None] - b) ** 4).sum(axis=2).argmin(axis=1)),
    ],
)
def test_classic_mistakes_fail_with_every_seed(name, wrong, seed):
    exercise = next(e for e in lesson01.EXERCISES if e.name == name)
    assert not judge(exercise, [wrong], seed=seed).passed


@pytest.mark.parametrize(
    "strides",
    [lambda x: tuple(s // x.itemsize for s in x.strides), lambda x: (x.shape[1], 1)],
)
def test_strides_in_numbers_are_named(strides):
    def patches(x, K):
        H, W = x.shape
        return np.lib.stride_tricks.as_strided(x, (H - K + 1, W - K + 1, K, K), 2 * strides(x))

    assert "NumPy counts strides in bytes" in said("patches", patches)[1]


def test_unit_rows_with_what_the_text_teaches():
    assert said("unit_rows", lambda x: x / xp_of(x).linalg.norm(x, axis=1, keepdims=True))[0].passed
    for wrong in (lambda x: x / np.sqrt((x * x).sum(1, keepdims=True)), lambda x: x * np.ones((1, 1)) / 2):
        assert "ufunc" not in said("unit_rows", wrong)[1]

    def mine(x):
        y = x / xp_of(x).sqrt((x * x).sum(axis=1, keepdims=True))
        return y if isinstance(x, np.ndarray) else len(5)

    text = said("unit_rows", mine)[1]
    assert "np.something" not in text
    assert "len(5)" in text


def test_unit_rows_on_the_strict_device_double(double):
    x = double.asarray(np.array([[3.0, 4.0], [0.0, 2.0]], np.float32))
    y = lesson01.unit_rows(x)
    assert xp_of(y) is double.xp
    np.testing.assert_allclose(double.to_host(y), [[0.6, 0.8], [0, 1]], rtol=1e-6)


def test_the_strides_are_numpys():
    x = np.zeros((3, 4), np.float32)
    for expression, strides in lesson01.STRIDES.items():
        assert eval(expression, {"x": x, "np": np}).strides == strides
    for expression in lesson01.COPIES | lesson01.VIEWS:
        shares = np.shares_memory(eval(expression, {"x": x, "np": np}), x)
        assert shares == (expression in lesson01.VIEWS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({key: tuple(v // 4 for v in value) for key, value in lesson01.STRIDES.items()}, "NumPy counts bytes"),
        ({key: tuple(v * 2 for v in value) for key, value in lesson01.STRIDES.items()}, "8 would be a float64"),
        ({key: value[::-1] for key, value in lesson01.STRIDES.items()}, "axes are exchanged"),
        ({"x.T": (16, 4)}, "the strides of x itself"),
        ({"x.T": (1, 4)}, "one row on in x.T is one column on in x; how many bytes"),  # one alone may be anything
        ({"x.T": (8, 32)}, "one row on in x.T"),
        ({"x.T": "x"}, "whole numbers"),
        ({"x[1]": (16, 4)}, "it has 1 axis"),
        ({"x[::-1]": (16, 4)}, "it walks backwards"),
    ],
)
def test_wrong_strides_are_explained(change, message):
    assert message in said("strides", {**lesson01.STRIDES, **change}, lesson01.COPIES)[1]


def test_copies_and_unanswered_strides():
    assert said("strides", lesson01.STRIDES, lesson01.COPIES)[0].passed
    assert "a view" in said("strides", lesson01.STRIDES, lesson01.COPIES | {"x.T"})[1]
    assert "a list of rows" in said("strides", lesson01.STRIDES, lesson01.COPIES - {"x[[0, 2]]"})[1]
    assert "from the list above" in said("strides", lesson01.STRIDES, {"y"})[1]
    assert "keys" in said("strides", {"x": 1}, lesson01.COPIES)[1]
    for given in ((lesson01.STRIDES, None), ({**lesson01.STRIDES, "x.T": None}, lesson01.COPIES)):
        assert said("strides", *given)[0].status == "not implemented"


@pytest.mark.parametrize(
    ("trap", "message"),
    [
        (np.ones((3, 4)), "NumPy raises an error"),
        (np.ones((3, 3)), "here the broken function is right"),
        (np.ones((3, 1)), "the result's shape shows it"),
        (np.ones(3), "a matrix is wanted"),
        ([[1, np.inf], [2, 3]], "is to be finite"),
        ("x", "an array of numbers"),
    ],
)
def test_no_trap(trap, message):
    assert message in said("silent_trap", trap)[1]


def test_a_trap():
    assert said("silent_trap", [[1, 2], [3, 4]])[0].passed


# ---------------------------------------------------------------------------------------------------------- pictures
def unwritten(*arguments):
    raise NotImplementedError


X = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize(
    "figure",
    [
        lambda: figures.arrays.puzzle(lesson01.rings, lesson01.rings, 5, 6),
        lambda: figures.arrays.puzzle(lesson01.rings, unwritten, 5, 6),
        lambda: figures.arrays.puzzle(lesson01.rings, lambda H, W: np.zeros((W, H)), 5, 6),
        lambda: figures.arrays.puzzle(lesson01.rings, lambda H, W: "no array", 5, 6),
        lambda: figures.arrays.puzzle(lesson01.patches, lesson01.patches, X, 2),
        lambda: figures.arrays.puzzle(lesson01.centre_rows, lambda x: 1 / 0, X),
        lambda: figures.arrays.memory(),
        lambda: figures.arrays.visits(X, {"x": X, "x.T": X.T}),
        lambda: figures.arrays.broadcasting(np.arange(3), np.arange(4)),
        lambda: figures.arrays.reductions(X),
        lambda: figures.arrays.windows(X, 2),
        lambda: figures.arrays.edges(X, np.stack([X, -X], axis=2), ("a", "b")),
        lambda: figures.arrays.circle(np.ones((2, 2)), np.ones((2, 2))),
    ],
)
def test_pictures_are_drawn_and_labelled(figure, monkeypatch):
    shown = []
    monkeypatch.setattr(notebook, "show_image", lambda data, alt: shown.append(data))
    made = figure()
    notebook.show(made, "A picture")
    assert len(shown[0]) > 1000
    assert all(axes.get_title() for axes in made.axes)
    assert any(axes.get_xlabel() for axes in made.axes)


def test_a_puzzle_shows_the_difference_and_leaves_its_arguments_alone():
    x = X.copy()
    figure = figures.arrays.puzzle(lesson01.framed, lesson01.framed_broken, x)
    assert (x == X).all()
    assert figure.axes[2].get_title() == "difference, at most 0"
    figure = figures.arrays.puzzle(lesson01.centre_rows, lambda x: lesson01.centre_rows(x) + 0.25, X)
    assert figure.axes[2].get_title() == "difference, at most 0.25"
    texts = [t.get_text() for t in figures.arrays.puzzle(lesson01.rings, unwritten, 3, 3).axes[1].texts]
    assert texts == ["not written yet"]


def test_visits_draw_the_walk_through_memory():
    figure = figures.arrays.visits(X, {"x.T": X.T, "twice": np.broadcast_to(X[0], (2, 4))})
    for axes, places in zip(figure.axes, ([0, 4, 8, 1, 5], [0, 1, 2, 3, 0]), strict=True):
        values = [t for t in axes.texts if t.get_text()]
        arrows = [t for t in axes.texts if not t.get_text()]
        assert [t.get_text() for t in values] == [str(n) for n in range(12)]
        assert [int(arrow.xyann[0]) for arrow in arrows[:4]] == places[:-1]
        assert [int(arrow.xy[0]) for arrow in arrows[:4]] == places[1:]
