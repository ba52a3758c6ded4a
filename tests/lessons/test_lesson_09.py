"""Lesson 9's own exercises and pictures."""

import numpy as np
import pytest
from lesson_verdicts import assert_readable, judged, of_source, quoted, said, words

from lessons import figures
from lessons.exercises import lesson09
from minigan.nn import ops


def test_the_worked_example():
    """(1, 3) stamped with (1, 2, 1), two apart, is (1, 2, 4, 6, 3)."""
    x, w = np.array([[1.0, 3]]), np.array([[0.0, 0, 0], [1, 2, 1], [0, 0, 0]])
    assert figures.transposed._stamped(x, w, 2)[1].tolist() == [1, 2, 4, 6, 3]


def test_the_text_shows_what_the_checker_says():
    col2im, broken = of_source("09_transposed_convolution", "col2im", "broken_transpose")

    def bias_with_every_stamp(x, w, b, stride=1, pad=0):
        right, cache = ops.conv2d_transpose_forward(x, w, 0 * b, stride, pad)
        cols = np.tile(b, (x[..., 0].size, w.shape[0] ** 2))
        return right + col2im(cols, right.shape, len(w), stride, pad), cache

    messages = [said("conv2d_transpose", broken), said("conv2d_transpose", bias_with_every_stamp)]
    assert quoted("09_transposed_convolution") == messages


def test_stamping_agrees_with_minigans_layer():
    rng = np.random.default_rng(0)
    for N, H, W, C, O, K, S, P in ((2, 3, 4, 3, 2, 4, 2, 1), (1, 1, 1, 3, 2, 4, 1, 0), (2, 2, 3, 1, 2, 2, 3, 0)):
        given = (rng.standard_normal((N, H, W, C)), rng.standard_normal((K, K, O, C)), rng.standard_normal(O), S, P)
        np.testing.assert_allclose(lesson09.stamped(*given), ops.conv2d_transpose_forward(*given)[0], atol=1e-10)


# ------------------------------------------------------------------------------------------------------------ exercises
def test_by_hand():
    right = lesson09._plane()
    assert right[2, 2] == 7  # as hint 3 says
    assert judged(lesson09, "stamps_by_hand", right.tolist()).passed
    changed = right.copy()
    changed[3, 4] = 8
    for wrong, word in (
        (lesson09._plane(add=False), "erased"),
        (lesson09._plane(kernel=lambda w: w[::-1, ::-1]), "upside down"),
        (lesson09._plane(kernel=lambda w: w.transpose(1, 0, 2, 3)), "exchanged"),
        (right[:4, :4], "stride 1"),
        (changed, "1 of 25 numbers is wrong the first is in row 3, column 4"),
        ("five", "five rows"),
        ([[1, 2], [3]], "five rows"),
    ):
        assert word in words(lesson09, "stamps_by_hand", wrong)


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        (lambda K, stride: K % 2 == 0, "Where is the stride"),
        (lambda K, stride: stride <= K, "no gaps"),
        (lambda K, stride: stride == K, "not the only way"),
        (lambda K, stride: stride % K == 0, "other way round"),
        (lambda K, stride: K % stride != 0, "opposite"),
        (lambda K, stride: K // stride, "must be True"),
        (lambda K, stride: True, "wrong"),
    ],
)
def test_wrong_rules(rule, word):
    assert word in words(lesson09, "covers_evenly", rule)


def test_the_rule_is_what_counting_says():
    for K in range(1, 8):
        for S in range(1, 5):
            count = lesson09.stamped(np.ones((1, 12, 12, 1)), np.ones((K, K, 1, 1)), np.zeros(1), S)[0, :, :, 0]
            inside = count[K + S : -K - S, K + S : -K - S]
            assert inside.size
            assert lesson09.covers_evenly(K, S) == bool(inside.min() == inside.max())


def test_faults():
    guilt = lesson09._GUILT
    assert judged(lesson09, "stamp_faults", guilt).passed
    assert "4 of 5" in words(lesson09, "stamp_faults", guilt | {"B": "flipped"})
    assert "not one of the words" in words(lesson09, "stamp_faults", guilt | {"B": "fine"})
    assert "dict" in words(lesson09, "stamp_faults", ["crop"])
    assert set(guilt.values()) <= set(lesson09.FAULTS)


def test_each_suspect_has_the_fault_it_is_charged_with():
    x, w, b = np.zeros((1, 4, 4, 1)), np.arange(1.0, 10).reshape(3, 3, 1, 1), np.array([0.5])
    x[0, 1, 1] = 1  # alone, with its corner at (2, 2) of the full map and at (1, 1) of the cropped one
    seen = {
        lesson09._GUILT[letter]: suspect(x, w, b, 2, 1)[0, :, :, 0] for letter, suspect in lesson09.SUSPECTS.items()
    }
    kernel = w[:, :, 0, 0]
    np.testing.assert_array_equal(seen["exchanged"][1:4, 1:4], kernel.T + 0.5)
    np.testing.assert_array_equal(seen["crop"][2:5, 2:5], kernel + 0.5)
    np.testing.assert_array_equal(seen["close"][0:3, 0:3], kernel + 0.5)
    assert np.unique(seen["every-bias"][4:, 4:]).tolist() == [0.5, 1, 2]
    assert (seen["overwritten"][1, 1:3] == kernel[0, :2] + 0.5).all()
    assert seen["overwritten"][1, 3] == 0.5  # the next stamp, of a 0, has erased it


def test_faults_look_different_on_the_picture_that_is_shown():
    dots = np.zeros((1, 5, 5, 1))
    dots[0, [0, 1, 3, 3], [0, 3, 1, 2], 0] = 1
    hook = np.array([[4.0, 3, 2], [0, 0, 1], [0, 0, 1]])[:, :, None, None]
    given = (dots, hook, np.array([0.5]), 2, 1)
    shown = {name: fault(*given) for name, fault in lesson09.SUSPECTS.items()} | {"right": lesson09.stamped(*given)}
    shown["flipped"] = lesson09.stamped(*given, kernel=lambda w: w[::-1, ::-1])
    for a in shown:
        assert shown[a].shape == (1, 9, 9, 1)
        assert not any(np.array_equal(shown[a], shown[b]) for b in shown if b != a)


# ------------------------------------------------------------------------------------------------------------- pictures
def test_pictures():
    topic, rng = figures.transposed, np.random.default_rng(0)
    assert_readable(topic.stamping(np.array([[1.0, 2], [3, 4]]), np.eye(3), 2))
    assert_readable(topic.matrices(H=6, K=4, stride=2, pad=1))
    maps = [rng.standard_normal((4, 4, 8)), rng.standard_normal((8, 8, 3))]
    assert_readable(topic.growth(maps, [np.eye(4), np.eye(8)]))
    assert_readable(topic.checkerboards([np.ones((15, 15))] * 2, [np.ones((15, 15))] * 2, ["a", "b"]))
    titles = [ax.get_title() for ax in topic.grown(np.ones((3, 3)), {"a": np.ones((6, 6))}).axes]
    assert titles == ["before: 3 x 3", "a: 6 x 6"]
    assert_readable(topic.suspects(np.eye(3), np.eye(3), {"right": np.eye(5), "A": np.ones((5, 5))}, 0.5))


def test_growth_tells_how_far_a_change_reaches():
    change = np.zeros((8, 8))
    change[2:6, 1:4] = 1
    figure = figures.transposed.growth([np.zeros((8, 8, 3))], [change])
    assert "4 × 3" in figure.axes[1].get_title()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda K, stride: 2 * stride == K, "enough, but not necessary"),
        (lambda K, stride: stride < K and K % stride == 0, "K = S is even too"),
        (lambda K, stride: K % stride != 0, "Just the opposite"),
    ],
)
def test_a_wrong_rule_is_not_called_just_the_opposite(wrong, said):
    assert said in words(lesson09, "covers_evenly", wrong)


def test_a_rule_that_is_wrong_here_and_there_gets_no_cause():
    found = judged(lesson09, "covers_evenly", lambda K, stride: K % stride == 0 and (K, stride) != (6, 3))
    assert found.finding.cause == ""
