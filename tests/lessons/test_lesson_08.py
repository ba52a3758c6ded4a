"""Lesson 8's own exercises and pictures."""

import numpy as np
import pytest
from lesson_verdicts import assert_readable, judged, of_source, quoted, said, words

from lessons import figures
from lessons.exercises import lesson07, lesson08
from minigan.nn import ops


def test_the_worked_example():
    """The row of four pixels: dx, dw, and -17 three times."""
    x, w, dy = np.array([1.0, 2, 0, 3]), np.array([2.0, -1]), np.array([1.0, -2, 3])
    y = np.array([w @ x[i : i + 2] for i in range(3)])
    dx = np.zeros(4)
    for i in range(3):
        dx[i : i + 2] += dy[i] * w
    dw = np.array([dy @ x[p : p + 3] for p in range(2)])
    assert (y.tolist(), dx.tolist(), dw.tolist()) == ([0, 4, -3], [2, -5, 8, -3], [-3, 11])
    assert y @ dy == x @ dx == w @ dw == -17


def test_the_text_shows_what_the_checker_says():
    _, _, forward, right, broken = of_source(
        "08_convolution_backwards", "output_size", "col2im", "conv2d_forward", "conv2d_backward", "broken_backward"
    )

    def half_mended(dy, cache):
        return right(dy, cache)[0], *broken(dy, cache)[1:]

    messages = [said("conv2d", forward, broken), said("conv2d", forward, half_mended)]
    assert quoted("08_convolution_backwards") == messages


def test_the_reference_backward_agrees_with_minigans():
    rng = np.random.default_rng(0)
    for N, H, W, C, O, K, S, P in lesson07.SIZES:
        x, w, b = rng.standard_normal((N, H, W, C)), rng.standard_normal((K, K, C, O)), rng.standard_normal(O)
        y, cache = ops.conv2d_forward(x, w, b, S, P)
        dy = rng.standard_normal(y.shape)
        for mine, right in zip(lesson08.conv2d_backward(dy, (x, w, S, P)), ops.conv2d_backward(dy, cache), strict=True):
            np.testing.assert_allclose(mine, right, atol=1e-10)


def test_touches_is_what_the_loops_meet():
    for H, K, S, P in ((8, 4, 2, 1), (6, 3, 2, 0), (5, 2, 3, 0)):
        Ho = lesson07.output_size(H, K, S, P)
        for r in range(H):
            met = [(i, p) for i in range(Ho) for p in range(K) if S * i + p - P == r]
            assert lesson08.touches(r, K, S, P, Ho) == met


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda r, K, stride, pad, Ho: lesson08.touches(r, K, stride, 0, Ho), "padding is forgotten"),
        (lambda r, K, stride, pad, Ho: [(p, i) for i, p in lesson08.touches(r, K, stride, pad, Ho)], "way round"),
        (
            lambda r, K, stride, pad, Ho: [(i, K - 1 - p) for i, p in lesson08.touches(r, K, stride, pad, Ho)],
            "backwards",
        ),
        (lambda r, K, stride, pad, Ho: lesson08.touches(r, K, stride, pad, Ho + K), "do not exist"),
        (lambda r, K, stride, pad, Ho: lesson08.touches(r, K, stride, pad, Ho)[::-1], "rising"),
        (lambda r, K, stride, pad, Ho: [], "list of"),
    ],
)
def test_wrong_touches(wrong, word):
    assert word in words(lesson08, "touches", wrong)


# --------------------------------------------------------------------------------------------------------------- col2im
def test_col2im_is_the_transpose_of_im2col():
    rng = np.random.default_rng(0)
    for N, H, W, C, _, K, S, P in lesson07.SIZES:
        x = rng.standard_normal((N, H, W, C))
        X = lesson07.im2col(x, K, S, P)
        cols = rng.standard_normal(X.shape)
        assert np.sum(X * cols) == pytest.approx(np.sum(x * lesson08.col2im(cols, x.shape, K, S, P)))


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lesson08.overwrites, "overwrite"),
        (lesson08._averaged, "undo im2col"),
        (lesson08._col2im_with(corner=0), "begins at"),
        (lesson08._col2im_with(step=1), "whatever the stride"),
        (lesson08._col2im_with(axes=(0, 1, 2, 5, 3, 4)), "(C, K, K)"),
        (lesson08._col2im_with(axes=(0, 1, 2, 4, 3, 5)), "exchanged"),
        (lesson08.crops_with_minus, "shape"),
        (lesson08.guesses_the_size, "shape"),
        (lambda cols, shape, K, stride, pad: np.zeros(shape), "wrong"),
    ],
)
def test_wrong_col2im(wrong, word):
    assert word in words(lesson08, "col2im", wrong)


# ----------------------------------------------------------------------------------------------------------- is_adjoint
def adjoint_test(*, bias=0.0, dy=None, close=None, use_dx=True):
    """A student's test, with one thing wrong about it."""

    def is_adjoint(forward, backward, x, w, stride=1, pad=0):
        y, cache = forward(x, w, np.full(w.shape[3], bias), stride, pad)
        g = np.ones_like(y) if dy == "ones" else np.random.default_rng(1).standard_normal(y.shape)
        dx = backward(g, cache)[0]
        left, right = np.sum(y * g), np.sum(x * dx)
        if not use_dx:
            right = left
        if close == "fixed":
            return abs(left - right) < 1e-6
        if close == "exact":
            return left == right
        return abs(left - right) <= 1e-10 * (np.linalg.norm(y) * np.linalg.norm(g) + 1e-300)

    return is_adjoint


def test_a_right_test_passes():
    assert judged(lesson08, "is_adjoint", adjoint_test()).passed
    assert judged(lesson08, "is_adjoint", lesson08.is_adjoint).passed


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"bias": 1.0}, "bias"),
        ({"dy": "ones"}, "every order"),
        ({"close": "fixed"}, "in proportion"),
        ({"close": "exact"}, "too strict"),
        ({"use_dx": False}, "first of backward"),
    ],
)
def test_tests_that_are_not_worth_much(how, word):
    assert word in words(lesson08, "is_adjoint", adjoint_test(**how))


def test_a_test_has_to_say_true_or_false():
    assert "True or False" in words(lesson08, "is_adjoint", lambda *given: 0.0)
    assert "function" in words(lesson08, "is_adjoint", 3)


# ------------------------------------------------------------------------------------------------------------- culprits
NICE = (6, 6, 2, 2, 1)
"""(H, W, K, stride, pad) with which all four are right."""


def test_the_nice_example_convicts_nobody():
    assert lesson08.convicted(NICE) == []


def test_each_culprit_can_be_convicted_alone():
    answers = {"A": (6, 6, 3, 1, 1), "B": (6, 6, 2, 2, 0), "C": (7, 7, 2, 2, 1), "D": (6, 4, 2, 2, 1)}
    assert judged(lesson08, "culprits", answers).passed
    assert judged(lesson08, "culprits", {letter: [*map(np.int64, five)] for letter, five in answers.items()}).passed
    for change, word in (
        ({"A": (6, 6, 3, 1, 0)}, "B as well"),
        ({"A": NICE}, "A is right"),
        ({"C": (6, 6, 4, 2, 1)}, "C is right"),
        ({"D": (6, 4)}, "five whole numbers"),
        ({"B": (6, 6, 9, 2, 0)}, "no geometry"),
        ({"B": (60, 60, 2, 2, 0)}, "no geometry"),
    ):
        assert word in words(lesson08, "culprits", answers | change)
    assert "dict" in words(lesson08, "culprits", [1, 2])


# ------------------------------------------------------------------------------------------------------------- pictures
def test_pictures():
    topic = figures.convolution_backwards
    assert_readable(topic.who_touched(np.eye(4), 2, (1, 1)))
    assert_readable(topic.selection(H=6, K=3, stride=2, pad=0))
    assert_readable(topic.counts([np.ones((4, 4)), np.eye(4)], ["a", "b"]))
    one = np.zeros((9, 9))
    one[4, 4] = 1
    assert_readable(topic.answers(np.zeros((9, 9, 3)), np.eye(3), [one, np.eye(9)], [one, np.eye(9)]))


def test_who_touched_names_place_and_tap():
    texts = [text.get_text() for text in figures.convolution_backwards.who_touched(np.eye(4), 2, (1, 1)).axes[2].texts]
    assert texts[0] == "met it from\nplace (1, 1)"  # tap (0, 0)
    assert texts[3] == "met it from\nplace (0, 0)"  # tap (1, 1)


def test_a_buffer_as_large_as_the_windows_reach_is_too_small():
    """Where the stride leaves rows over and no padding hides it."""

    def col2im(cols, shape, K, stride=1, pad=0):
        N, H, W, C = shape
        Ho, Wo = lesson08.output_size(H, K, stride, pad), lesson08.output_size(W, K, stride, pad)
        big = np.zeros((N, stride * (Ho - 1) + K, stride * (Wo - 1) + K, C), cols.dtype)
        for p, q in np.ndindex(K, K):
            tap = cols.reshape(N, Ho, Wo, K, K, C)[:, :, :, p, q]
            big[:, p : p + stride * (Ho - 1) + 1 : stride, q : q + stride * (Wo - 1) + 1 : stride] += tap
        return big[:, pad : pad + H, pad : pad + W]

    assert "as large as the windows reach" in words(lesson08, "col2im", col2im)


@pytest.mark.parametrize("share", [0.2, 0.01, 1.5e-3])
def test_a_generous_adjoint_test_is_refused(share):
    def is_adjoint(forward, backward, x, w, stride=1, pad=0):
        y, cache = forward(x, w, np.zeros(w.shape[3]), stride, pad)
        dy = np.random.default_rng(0).standard_normal(y.shape)
        a, b = np.sum(y * dy), np.sum(x * backward(dy, cache)[0])
        return bool(abs(a - b) < share * abs(a))

    assert "part in a thousand" in words(lesson08, "is_adjoint", is_adjoint)


def test_touches_may_be_lists_or_an_array():
    assert judged(lesson08, "touches", lambda *a: [list(pair) for pair in lesson08.touches(*a)]).passed
    assert judged(lesson08, "touches", lambda *a: tuple(lesson08.touches(*a))).passed
