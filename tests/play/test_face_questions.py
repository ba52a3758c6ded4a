"""Questions about drawn faces, and the networks that answer them."""

import numpy as np
import pytest

from minigan.data.drawn.faces import FACTOR_PROBABILITIES, FACTOR_VALUES, face_factors
from minigan.play.face_questions import (
    BATCH,
    QUESTIONS,
    Question,
    accuracy,
    build_head,
    right_answers,
    to_float,
    train_head,
)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.name)
def test_both_answers_occur(question):
    if not question.values:
        factors = [face_factors(i) for i in range(200)]
        assert 0.3 < np.mean([question.answer(f) for f in factors]) < 0.7
        return
    values, odds = FACTOR_VALUES[question.factor], FACTOR_PROBABILITIES[question.factor]
    assert set(question.values) < set(values)
    share = sum(p for value, p in zip(values, odds, strict=True) if value in question.values)
    assert 0.09 < share < 0.91


def test_sliders_can_be_told_apart():
    assert len({q.name for q in QUESTIONS}) == len(QUESTIONS)
    assert all(q.no and q.yes and q.no != q.yes for q in QUESTIONS)


def test_right_answers_are_those_of_the_factors():
    questions = [
        Question("skin", "light", "dark", "skin", ("tan", "brown")),
        Question("size", "small", "large", "zoom", above=1.05),
    ]
    answers = right_answers(questions, range(3, 40), seed=2)
    assert answers.shape == (37, 2)
    for row, index in zip(answers, range(3, 40), strict=True):
        factors = face_factors(index, seed=2)
        assert row.tolist() == [factors.skin in ("tan", "brown"), factors.zoom > 1.05]


def coloured(count, seed):
    """Images of one colour with noise, and two questions about them: more red than green? is it light?"""
    rng = np.random.default_rng(seed)
    colours = rng.uniform(40, 215, (count, 1, 1, 3))
    images = np.clip(colours + rng.normal(0, 30, (count, 16, 16, 3)), 0, 255).astype(np.uint8)
    colours = colours[:, 0, 0]
    return images, np.stack([colours[:, 0] > colours[:, 1], colours.mean(axis=1) > 127.5], axis=1)


def test_a_head_learns_to_answer():
    images, answers = coloured(3 * BATCH + 5, 0)
    fresh, right = coloured(200, 1)
    head = build_head(2, image_size=16, width=4, seed=1)
    assert max(accuracy(head, fresh, right)) < 0.7
    train_head(head, images, answers, steps=60, seed=1)
    assert min(accuracy(head, fresh, right)) > 0.8


def test_training_is_a_function_of_its_seeds():
    images, answers = coloured(BATCH, 0)
    heads = []
    for order in (1, 1, 2):
        heads.append(build_head(2, image_size=16, width=2, seed=1))
        train_head(heads[-1], images, answers, steps=3, seed=order)
    kernels = [head.params()["0.kernel"] for head in heads]
    assert np.array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])


@pytest.mark.parametrize("image_size", [32, 64, 128])
def test_a_head_fits_every_size_of_image(image_size):
    head = build_head(3, image_size=image_size, width=2, seed=0)
    assert head.predict(to_float(np.zeros((2, image_size, image_size, 3), np.uint8))).shape == (2, 3)


def test_pixels_as_a_head_sees_them():
    seen = to_float(np.array([0, 255], np.uint8))
    assert seen.dtype == np.float32
    assert seen.tolist() == [-1, 1]
