"""Lesson 13: its exercises, its generator, and its pictures."""

import numpy as np
import pytest

from lessons import recorded_runs
from lessons.exercises import lesson13
from lessons.figures import latent
from lessons.judging import judge
from minigan.runs.pretrained import pretrained_run
from minigan.runs.run_records import open_config

EXERCISES = {exercise.name: exercise for exercise in lesson13.EXERCISES}
RIGHT = {
    "slerp": lesson13.slerp,
    "attribute_direction": lesson13.attribute_direction,
    "arithmetic": lesson13.arithmetic,
    "truncate": lesson13.truncate,
    "nearest": lesson13.nearest,
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_answer_passes(name):
    assert judge(EXERCISES[name], [RIGHT[name]]).passed


@pytest.mark.parametrize("name", [name for name, exercise in EXERCISES.items() if exercise.mistakes])
def test_every_known_mistake_is_named(name):
    exercise = EXERCISES[name]
    assert len(exercise.mistakes) >= 3
    for mistake in exercise.mistakes:
        verdict = judge(exercise, [mistake.function])
        assert not verdict.passed
        assert verdict.finding.cause == mistake.why


def _in_place(z, limit, rng):
    while (bad := np.abs(z) > limit).any():
        z[bad] = rng.standard_normal(bad.sum())
    return z


def _once(z, limit, rng):
    z = z.copy()
    bad = np.abs(z) > limit
    z[bad] = rng.standard_normal(bad.sum())
    return z


def _one_side(z, limit, rng):
    z = z.copy()
    while (bad := z > limit).any():
        z[bad] = rng.standard_normal(bad.sum())
    return z


def _everywhere_the_same(z, limit, rng):
    return np.where(np.abs(z) > limit, rng.uniform(-limit, limit), z).astype(z.dtype)


def _uniform(z, limit, rng):
    return np.where(np.abs(z) > limit, rng.uniform(-limit, limit, z.shape), z).astype(z.dtype)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (_in_place, "copy it"),
        (_once, "until none is left"),
        (_one_side, "below -limit"),
        (_everywhere_the_same, "as many as bad.sum()"),
        (_uniform, "standard_normal"),
        (lambda z, limit, rng: np.clip(z, -limit, limit), "np.clip"),
        (lambda z, limit, rng: z * np.float32(0.1), "scaled down"),
        (lambda z, limit, rng: np.where(np.abs(z) > limit, 0, z).astype(z.dtype), "Draw these numbers again"),
    ],
)
def test_wrong_truncations_are_named(function, told):
    verdict = judge(EXERCISES["truncate"], [function])
    assert not verdict.passed
    assert told in verdict.finding.cause


def test_a_truncation_draws_from_what_it_is_given():
    others = np.random.default_rng()
    finding = judge(EXERCISES["truncate"], [lambda z, limit, rng: lesson13.truncate(z, limit, others)]).finding
    assert "draw from rng" in finding.cause


def test_a_result_in_the_place_of_a_function_is_told():
    for name in ("truncate", "slerp"):
        assert "a function is wanted, got" in judge(EXERCISES[name], [np.ones(3)]).finding.title


def test_truncations_of_another_form_are_refused():
    for function in (lambda z, limit, rng: z[0], lambda z, limit, rng: z.astype(float)):
        assert not judge(EXERCISES["truncate"], [function]).passed


def test_walks_are_told_apart():
    exercise = EXERCISES["walks"]
    assert judge(exercise, [lesson13._GUILTY]).passed
    assert set(lesson13._GUILTY) == set(lesson13.WALKS)
    assert judge(exercise, [dict.fromkeys(lesson13.WALKS)]).finding is None
    for name, right in lesson13._GUILTY.items():
        for claim in set(lesson13.WALK_CAUSES) - {right}:
            assert not judge(exercise, [{name: claim}]).passed


def test_the_walks_are_as_they_are_called():
    a, b = np.random.default_rng(0).standard_normal((2, 100))
    t = np.linspace(0, 1, 9)
    length = {name: np.linalg.norm(walk(a, b, t), axis=1) for name, walk in lesson13.WALKS.items()}
    right = lesson13.slerp(a, b, t)
    assert np.allclose(length["one"], length["one"][0])
    assert length["three"][4] < 0.8 * length["three"][0]
    assert np.allclose(length["four"], 1)
    two = lesson13.WALKS["two"](a, b, t)
    assert np.allclose(two[[0, -1]], right[[0, -1]])
    assert two[4] @ right[4] < 0


# ------------------------------------------------------------------------------------------------------------ generator
def test_the_generator_is_the_one_that_comes_with_minigan():
    G, step = recorded_runs.trained_generator()
    assert step == open_config(pretrained_run())[0].steps
    faces = G.predict(np.random.default_rng(0).standard_normal((4, 1, 1, 100)).astype(np.float32))
    assert faces.dtype == np.float32
    assert faces.std(axis=0).mean() > 0.1


def test_a_generator_of_ones_own_is_read(tmp_path):
    from minigan.gan.models import generator
    from minigan.runs.checkpoint import save_network

    own = generator(image_size=32, width=2, seed=5)
    save_network(tmp_path / "own.safetensors", own, image_size=32, width=2, step=7)
    G, step = recorded_runs.trained_generator(tmp_path / "own.safetensors")
    assert step == 7
    assert np.array_equal(G.params()["0.kernel"], own.params()["0.kernel"])


def test_held_out_faces_are_read_and_are_not_those_of_training():
    held_out, training = recorded_runs.held_out_faces(32, 120), recorded_runs.training_faces(None, 32, 120)
    assert held_out.shape == training.shape == (120, 32, 32, 3)
    assert not (held_out == training).all(axis=(1, 2, 3)).any()
    assert recorded_runs.colour_reader(held_out).read(training).clear.mean() > 0.95


# ------------------------------------------------------------------------------------------------------------- pictures
def test_pictures_have_labelled_axes():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 100))
    t = np.linspace(0, 1, 5)
    faces = rng.integers(0, 256, (3, 4, 16, 16, 3)).astype(np.uint8)
    shares = {"one": t, "two": 1 - t}
    figures = [
        latent.shell(lesson13.WALKS["three"](a, b, t), lesson13.slerp(a, b, t), t),
        latent.half_space(),
        latent.effect(t, shares, "what it does"),
        latent.tradeoff((1.0, 2.0, np.inf), [0.1, 0.2, 0.3], [0.5, 0.6, 0.7], [5.0, 8.0, 10.0]),
    ]
    for figure in figures:
        for ax in figure.axes:
            assert ax.get_title()
            assert ax.get_xlabel()
            assert ax.get_ylabel()
    strips = latent.strips(faces, list("abc"), list("0123"), "rows", "t")
    assert [label.get_text() for label in strips.axes[0].get_yticklabels()] == list("abc")
    equation = latent.equation([faces[:3, k] for k in range(3)], faces[:, :3].reshape(9, 16, 16, 3), list("abcd"))
    assert [ax.get_title() for ax in equation.axes] == ["a", "-  b", "+  c", "=  d?"]
    beside = latent.neighbours(faces[:, 0], faces[:, 1:], np.arange(9.0).reshape(3, 3), list("abc"))
    assert [text.get_text() for text in beside.axes[0].texts] == [str(k) for k in range(9)]
