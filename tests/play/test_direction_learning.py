"""Learning directions and measuring them, on generators of which it is known what each number of the noise does."""

import numpy as np
import pytest

from minigan.play import direction_learning
from minigan.play.direction_learning import (
    Effort,
    gain,
    is_clear,
    learn_directions,
    orthonormal,
    regress,
    tables,
    train_heads,
)
from minigan.play.face_questions import QUESTIONS, Question
from minigan.system.errors import UserError

EFFORT = Effort(learned_from=2_000, measured_on=200)
RED, GREEN, BLUE = (Question(name, "little", "much", "skin", ("tan",)) for name in ("red", "green", "blue"))


class Colours:
    """Images of one colour: each of its three numbers is a linear function of the noise, made to fit into [-1, 1]."""

    def __init__(self, rows):
        self.rows = rows  # (3, 100)

    def predict(self, x):
        colours = np.tanh(0.5 * x.reshape(-1, 100) @ self.rows.T)
        return np.broadcast_to(colours[:, None, None], (len(x), 8, 8, 3)).astype(np.float32)


class Seeing:
    """A head whose logits are linear functions of the three numbers of an image's colour."""

    def __init__(self, *rows):
        self.rows = np.array(rows, np.float32)  # (questions, 3)

    def predict(self, images):
        return 10 * images.mean(axis=(1, 2)) @ self.rows.T


def axes(*columns):
    """Rows of length 1 along single numbers of the noise."""
    return np.eye(100, dtype=np.float32)[list(columns)]


SIGHTED = Seeing([1, 0, 0], [0, 1, 0], [0, 0, 1])


# ---- The directions ----


def test_regression_finds_what_a_logit_depends_on():
    rng = np.random.default_rng(0)
    noise, rows = rng.standard_normal((5_000, 30)), rng.standard_normal((2, 30))
    logits = noise @ rows.T + rng.standard_normal((5_000, 2)) + [7, -3]
    found = regress(noise, logits)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    assert ((found * rows).sum(axis=1) > 0.995 * np.linalg.norm(rows, axis=1)).all()


def test_regression_punishes_large_coefficients():
    """Of two numbers that say the same, both count; without a punishment, the solution would not be unique."""
    z = np.random.default_rng(0).standard_normal((100, 1))
    np.testing.assert_allclose(regress(np.hstack([z, z]), z), [[0.5**0.5, 0.5**0.5]])


def test_a_logit_that_is_always_the_same_has_no_direction():
    noise = np.random.default_rng(0).standard_normal((50, 3))
    found = regress(noise, np.stack([noise[:, 1], np.full(50, 2.0)], axis=1))
    np.testing.assert_allclose(found, [[0, 1, 0], [0, 0, 0]], atol=0.01)


@pytest.mark.parametrize("columns", [(), (3,)])
def test_of_a_generator_that_ignores_its_noise_nothing_is_shown(columns):
    rows = np.zeros((3, 100), np.float32)
    rows[: len(columns)] = axes(*columns)
    directions, measured = learn_directions(Colours(rows), [SIGHTED, SIGHTED], [RED, GREEN, BLUE], EFFORT)
    assert [d.name for d in directions] == ["red"][: len(columns)]
    assert [s["changes"][1:] for s in measured["sliders"]] == [[0.0, 0.0]] * 3


def test_orthonormal_vectors_are_the_nearest():
    vectors = np.random.default_rng(1).standard_normal((4, 9)) + 0.5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = orthonormal(vectors)
    np.testing.assert_allclose(found @ found.T, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(orthonormal(vectors[::-1]), found[::-1], atol=1e-12)  # whatever their order
    gram_schmidt = np.linalg.qr(vectors.T)[0].T
    gram_schmidt *= np.sign((gram_schmidt * vectors).sum(axis=1, keepdims=True))
    assert np.linalg.norm(found - vectors) < np.linalg.norm(gram_schmidt - vectors)
    for seed in range(20):  # nor is a set nearer that is turned a little
        turned = orthonormal(found + 0.05 * np.random.default_rng(seed).standard_normal(found.shape))
        assert np.linalg.norm(found - vectors) < np.linalg.norm(turned - vectors)


def test_sliders_are_learned_and_measured():
    generator = Colours(axes(3, 5, 7))
    directions, measured = learn_directions(generator, [SIGHTED, SIGHTED], [RED, GREEN, BLUE], EFFORT)
    assert [(d.name, d.no, d.yes) for d in directions] == [(n, "little", "much") for n in ("red", "green", "blue")]
    np.testing.assert_allclose([d.vector for d in directions], axes(3, 5, 7), atol=0.1)
    assert [s["shown"] for s in measured["sliders"]] == [True] * 3
    for k, slider in enumerate(measured["sliders"]):
        assert slider["changes"][k] > 0.95
        assert max(np.delete(slider["changes"], k)) < 0.1
        assert 0.05 < measured["random"][k] < 0.35  # a random direction has a tenth of its length on each axis


def test_what_only_deceives_the_first_head_is_not_shown():
    """The first head takes another number for the blue; the second one sees that the blue stays as it is."""
    generator = Colours(axes(3, 5, 7))
    deceived = Seeing([1, 0, 0], [0, 1, 0], [0.3, -0.3, 0])
    directions, measured = learn_directions(generator, [deceived, SIGHTED], [RED, GREEN, BLUE], EFFORT)
    assert [d.name for d in directions] == ["red", "green"]
    assert [s["shown"] for s in measured["sliders"]] == [True, True, False]
    # Without the wrong one among them, the others are what they should be.
    np.testing.assert_allclose([d.vector for d in directions], axes(3, 5), atol=0.1)
    assert measured["sliders"][0]["changes"][0] > 0.95


def test_what_changes_something_else_more_often_is_not_shown(monkeypatch):
    """Green rises with red, and reaches yes earlier: whoever asks for red gets green."""
    monkeypatch.setattr(direction_learning, "LEAST_CHANGES", 0.4)
    generator = Colours(np.array([0.12 * axes(3)[0] + axes(5)[0], axes(3)[0], axes(7)[0]]))
    confused, second = Seeing([0, 1, 0], [0, 0, 1]), Seeing([1, 0, 0], [0, 1, 0])
    effort = Effort(learned_from=2_000, measured_on=1_000)
    directions, measured = learn_directions(generator, [confused, second], [RED, GREEN], effort)
    own, other = measured["sliders"][0]["changes"]
    assert gain(own, measured["random"][0], effort.measured_on)[0] > direction_learning.LEAST_GAIN
    assert other > own
    assert directions == []


def test_where_nothing_can_be_learned_there_are_no_sliders():
    blind = Seeing([0, 0, 0], [0, 0, 0])
    noise = np.random.default_rng(0)

    class Guessing(Seeing):
        def predict(self, images):
            return noise.standard_normal((len(images), 2))

    directions, measured = learn_directions(Colours(axes(3, 5, 7)), [Guessing(), blind], [RED, GREEN], EFFORT)
    assert directions == []
    assert measured["random"] == [0, 0]


def test_a_broken_generator_is_told():
    class Broken(Colours):
        def predict(self, x):
            return np.full((len(x), 8, 8, 3), np.nan, np.float32)

    with pytest.raises(UserError, match="draws NaN"):
        learn_directions(Broken(axes(3, 5, 7)), [SIGHTED, SIGHTED], [RED, GREEN, BLUE], EFFORT)


# ---- Measures ----


def test_the_interval_by_hand():
    """0.5 and 0.2 of 400: the standard error is sqrt((0.25 + 0.16) / 400) = 0.03202."""
    np.testing.assert_allclose(gain(0.5, 0.2, 400), [0.3 - 0.08247, 0.3 + 0.08247], atol=1e-5)


def test_a_slider_must_be_clear():
    assert is_clear([0.6, 0.1], 0, 0.3, 400)
    assert not is_clear([0.6, 0.1], 0, 0.3, 100)  # so few faces say too little
    assert not is_clear([0.6, 0.1], 0, 0.35, 400)  # a random direction does nearly as well
    assert not is_clear([0.6, 0.7], 0, 0.3, 400)  # something else changes more often
    assert not is_clear([0.6, 0.6], 0, 0.3, 400)  # or as often
    assert not is_clear([0.5, 0.1], 0, 0.0, 400)  # it does nothing to half of the faces


def test_the_tables():
    measured = {
        "faces": 400,
        "random": [0.2, 0.11],
        "sliders": [
            {"name": "a", "no": "x", "yes": "y", "shown": True, "changes": [0.5, 0.3], "accuracy": [0.987, 0.95]},
            {"name": "b", "no": "p", "yes": "q", "shown": False, "changes": [0.1, 0.12], "accuracy": [0.7, 0.71]},
        ],
    }
    first, second = tables(measured).split("\n\n")
    assert first.splitlines()[2:] == [
        "| 1 | a: x – y | 99 and 95 | 50 | 20 | 22 to 38 | yes |",
        "| 2 | b: p – q | 70 and 71 | 12 | 11 | -5 to 7 | no |",
    ]
    measured["sliders"][0]["shown"] = False
    assert tables(measured) == first.replace("22 to 38 | yes", "22 to 38 | no") + "\n"
    assert second.splitlines() == [
        "| answer | 1 | random |",
        "|---|---:|---:|",
        "| 1 a | **50** | 20 |",
        "| 2 b | 30 | 11 |",
    ]


# ---- The heads ----


def test_the_heads_learn_from_different_faces(monkeypatch):
    seen = []

    def watch(head, images, answers, *, steps, seed):
        assert len(images) == len(answers)
        seen.append((images[:, 0, 0, 0].tolist(), steps, head.params()["0.kernel"].shape[3]))

    monkeypatch.setattr(direction_learning, "train_head", watch)
    images = np.zeros((20, 16, 16, 3), np.uint8)
    images[:, 0, 0, 0] = range(20)
    effort = Effort(drawn=20, fresh=4, steps=7, widths=(2, 3))
    heads, accuracies = train_heads(images, QUESTIONS[:2], effort)
    assert seen == [(list(range(8)), 7, 2), (list(range(8, 16)), 7, 3)]
    assert np.array(accuracies).shape == (2, 2)
    assert not np.array_equal(heads[0].params()["0.kernel"][..., :2], heads[1].params()["0.kernel"][..., :2])
