"""Lesson 6: exercises know right from wrong, runs cover and collapse as the text says, pictures have labels."""

import importlib.util
import io

import numpy as np
import pytest

from lessons import figures, notebook, plane_gan, recorded_runs
from lessons.exercises import lesson06


def wrong_density_radius(x, centres, sigma):
    return lesson06.mixture_log_density(2 * x, centres, sigma)


@pytest.mark.parametrize("name", ["mixture_log_density", "count_modes", "gan_round"])
def test_the_right_one_passes(name, capsys):
    assert notebook.check(name, getattr(lesson06, name)).passed


@pytest.mark.parametrize("exercise", [e for e in lesson06.EXERCISES if e.mistakes], ids=lambda e: e.name)
def test_every_mistake_is_named(exercise, capsys):
    for mistake in exercise.mistakes:
        verdict = notebook.check(exercise.name, mistake.function)
        assert not verdict.passed
        assert verdict.finding.cause == mistake.why


def test_an_unknown_mistake_is_caught(capsys):
    assert not notebook.check("mixture_log_density", wrong_density_radius).passed


@pytest.mark.parametrize(
    "wrong",
    [
        lambda points, centres, radius, least: lesson06.count_modes(points, -centres, radius, least),
        lambda points, centres, radius, least: lesson06.count_modes(points, centres, radius / 2, least),
    ],
)
def test_wrong_counts_do_not_pass_by_the_ring_s_symmetry(wrong, capsys):
    assert not notebook.check("count_modes", wrong).passed


def test_the_density_integrates_to_one():
    ticks = np.linspace(-4, 4, 401)
    places = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    density = np.exp(lesson06.mixture_log_density(places, plane_gan.ring_centres(), plane_gan.SIGMA))
    assert density.sum() * (ticks[1] - ticks[0]) ** 2 == pytest.approx(1, rel=1e-6)


# ------------------------------------------------------------------------------------------------------------- rounds
def altered(*, fake_label=0.0, real_label=1.0, g_label=1.0, reuse=False, d_twice=False, g_first=False, joined=False):
    """A round with one thing changed."""

    def gan_round(d_step, g_step, G, draw_real, draw_noise, d_steps=1, g_steps=1):
        def teach_g():
            fresh = noise if reuse else draw_noise()
            return g_step(fresh, np.full((len(fresh), 1), g_label, np.float32))

        noise = draw_noise()
        first = teach_g() if g_first else None
        for k in range(d_steps * (2 if d_twice else 1)):
            noise = noise if k == 0 else draw_noise()
            x, fakes = draw_real(), G.predict(noise)
            ones = np.ones((len(x), 1), np.float32)
            if joined:
                d_real = d_fake = d_step(np.concatenate([x, fakes]), np.concatenate([ones, 0 * ones]))
            else:
                d_real, d_fake = d_step(x, real_label * ones), d_step(fakes, fake_label * ones)
        for _ in range(g_steps):
            g = first if g_first else teach_g()
        return d_real, d_fake, g

    return gan_round


def test_the_unaltered_round_passes(capsys):
    assert notebook.check("gan_round", altered()).passed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fake_label": 1.0}, "fakes are real"),
        ({"fake_label": 1.0, "real_label": 0.0}, "exchanged"),
        ({"g_label": 0.0}, "recognised"),
        ({"reuse": True}, "same noise"),
        ({"d_twice": True}, "should take 1"),
        ({"g_first": True}, "after one of G"),
        ({"joined": True}, "neither"),
        ({"real_label": 0.9}, "labels are wrong"),
    ],
)
def test_a_wrong_round_is_told(change, said, capsys):
    verdict = notebook.check("gan_round", altered(**change))
    assert not verdict.passed
    assert said in verdict.finding.title


def test_losses_in_the_wrong_order(capsys):
    def swapped(*given):
        a, b, c = lesson06.gan_round(*given)
        return b, a, c

    assert notebook.check("gan_round", swapped).finding.code == "E87"
    assert "three losses" in notebook.check("gan_round", lambda *given: None).finding.title


def test_labels_of_the_wrong_shape(capsys):
    def flat(d_step, g_step, G, draw_real, draw_noise, d_steps=1, g_steps=1):
        return lesson06.gan_round(lambda x, t: d_step(x, t[:, 0]), g_step, G, draw_real, draw_noise, d_steps, g_steps)

    assert "(5,)" in notebook.check("gan_round", flat).finding.title


def test_unanswered(capsys):
    def stub(*given):
        raise NotImplementedError

    for name, given in (("rescue", None), ("patients", None), ("gan_round", stub), ("count_modes", stub)):
        verdict = notebook.check(name, given)
        assert not verdict.passed
        assert verdict.finding is None


# --------------------------------------------------------------------------------------------------------------- runs
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([], "dict"),
        ({"g_steps": 1}, "cannot be turned"),
        ({"d_learning_rate": "fast"}, "must be a number"),
        ({"d_steps": 30}, "from 1 to 3"),
        ({"d_steps": 2.5}, "a whole number from 1 to 3"),
        ({"d_steps": True}, "a whole number from 1 to 3"),
        ({"g_learning_rate": np.float32("nan")}, "must be a number"),
    ],
)
def test_a_rescue_that_is_none(answer, said, capsys):
    assert said in notebook.check("rescue", answer).finding.title


@pytest.mark.parametrize(
    ("settings", "counts", "spreads", "said"),
    [
        ({"g_learning_rate": 1e-5}, [2, 1, 0], [2.0] * 3, "G hardly learns"),
        ({"d_learning_rate": 1e-5}, [0, 0, 0], [0.3] * 3, "D hardly learns"),
        ({"g_learning_rate": 1.0}, [0, 0, 0], [3e3] * 3, "G throws away"),
        ({"d_learning_rate": 1.0}, [0, 0, 0], [0.3] * 3, "D throws away"),
        ({}, [1, 1, 0], [0.06, 0.3, 0.2], "before D can answer"),
        ({"g_learning_rate": 3e-4}, [8, 7, 6], [2.0] * 3, "not all modes are found in time"),
        ({"g_learning_rate": 5e-4}, [3, 1, 8], [1.5] * 3, ""),
    ],
)
def test_too_slow_and_collapsed_are_told_apart(settings, counts, spreads, said):
    cause = lesson06._why_not_rescued(settings, counts, spreads)[2]
    assert said in cause
    assert bool(said) == bool(cause)


def test_losses_may_come_as_a_list_or_an_array(capsys):
    for kind in (list, np.array):
        assert notebook.check("gan_round", lambda *a, kind=kind, **k: kind(lesson06.gan_round(*a, **k))).passed


@pytest.mark.parametrize("order", [["fake", "real"], ["real", "real", "fake", "fake"]])
def test_fakes_before_reals_do_not_pass(order, capsys):
    def gan_round(d_step, g_step, G, draw_real, draw_noise, d_steps=1, g_steps=1):
        loss = {}
        turns = order * d_steps if len(order) == 2 else sorted(["real", "fake"] * d_steps, reverse=True)
        for what in turns:
            x = draw_real() if what == "real" else G.predict(draw_noise())
            loss[what] = d_step(x, np.full((len(x), 1), float(what == "real"), np.float32))
        for _ in range(g_steps):
            noise = draw_noise()
            g = g_step(noise, np.ones((len(noise), 1), np.float32))
        return loss["real"], loss["fake"], g

    finding = notebook.check("gan_round", gan_round).finding
    assert finding is not None
    assert "another order" in finding.title


def test_patients(capsys):
    assert notebook.check("patients", dict(lesson06.FAULTS)).passed
    exchanged = {**lesson06.FAULTS, "A": "wrong-way", "E": "all-real"}
    assert "3 of 5" in notebook.check("patients", exchanged).finding.title
    assert "none of" in notebook.check("patients", {**lesson06.FAULTS, "A": "ill"}).finding.title
    assert "keys" in notebook.check("patients", {"A": "fine"}).finding.title
    assert set(lesson06.PATIENTS) == set(lesson06.FAULTS)


@pytest.fixture(scope="module")
def short_run():
    return plane_gan.play(lesson06.gan_round, rounds=12, frames=(0, 5, 12))


def test_play_watches(short_run):
    assert [frame.round for frame in short_run.frames] == [0, 5, 12]
    assert short_run.frames[0].fakes.shape == (500, 2)
    assert short_run.frames[0].logits.shape == (plane_gan.GRID, plane_gan.GRID)
    assert len(short_run.losses) == len(short_run.shares) == 12
    assert np.isfinite(short_run.losses).all()
    assert not np.array_equal(short_run.frames[0].fakes, short_run.frames[-1].fakes)


def test_play_repeats_itself(short_run):
    again = plane_gan.play(lesson06.gan_round, rounds=12, frames=2)
    assert np.array_equal(again.frames[-1].fakes, short_run.frames[-1].fakes)


def test_the_students_adam_is_minigans(short_run):
    mine = plane_gan.play(lesson06.gan_round, rounds=12, adam_step=notebook.my("adam"), frames=2)
    np.testing.assert_allclose(mine.frames[-1].fakes, short_run.frames[-1].fakes, atol=1e-3)


@pytest.mark.parametrize("saturating", [False, True])
def test_pulls_are_slopes(short_run, saturating):
    places = np.random.default_rng(0).uniform(-2, 2, (6, 2)).astype(np.float32)

    def loss(x):
        z = short_run.D.predict(x)[:, 0].astype(float)
        return -np.logaddexp(0, z) if saturating else np.logaddexp(0, -z)

    pulls = plane_gan.pulls(short_run.D, places, saturating=saturating)
    h = np.float32(2e-3)
    for axis in (0, 1):
        step = h * np.eye(2, dtype=np.float32)[axis]
        slope = (loss(places + step) - loss(places - step)) / (2 * h)
        np.testing.assert_allclose(pulls[:, axis], -slope, atol=2e-3)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(4))
def test_one_step_of_g_covers_and_ten_collapse(seed):
    """The lesson's claim, on seeds that it does not show."""

    def covered(run):
        return [
            lesson06.count_modes(f.fakes, plane_gan.ring_centres(), 3 * plane_gan.SIGMA, 0.02) for f in run.frames[-5:]
        ]

    assert min(covered(plane_gan.play(lesson06.gan_round, rounds=1200, seed=seed, frames=60))) == 8
    assert max(covered(plane_gan.play(lesson06.gan_round, rounds=400, seed=seed, g_steps=10, frames=40))) <= 3


@pytest.mark.thorough
def test_the_rescue_rescues_and_less_does_not(capsys):
    assert notebook.check("rescue", {"g_learning_rate": 2e-4, "d_learning_rate": 4e-3}).passed
    assert not notebook.check("rescue", {}).passed
    assert not notebook.check("rescue", {"g_learning_rate": 1e-3}).passed


# ----------------------------------------------------------------------------------------------------------- pictures
def test_pictures(short_run):
    x = np.linspace(-1, 1, 9)
    logits = np.linspace(-2, 2, plane_gan.GRID**2).reshape(plane_gan.GRID, plane_gan.GRID)
    points = short_run.frames[-1].fakes
    pictures = figures.plane_maps
    with_labels = [
        pictures.on_a_line(x, np.full(9, 0.5), 0.6 + 0.1 * x),
        pictures.density(lambda x: lesson06.mixture_log_density(x, plane_gan.ring_centres(), plane_gan.SIGMA)),
        pictures.history({"a": short_run, "b": short_run}),
    ]
    without_ticks = [
        pictures.counted({"a": points, "b": points}, [1, 2]),
        pictures.discriminators({"a": (points, logits, np.where(logits > 1, np.nan, logits))}, points),
        pictures.filmstrip(short_run.frames),
        pictures.patients({"A": short_run, "B": short_run}),
        pictures.pulls(short_run.D, every=16),
    ]
    one_label = pictures.modes_covered({1: np.zeros((3, 4)), 2: np.ones((3, 4))})
    assert [ax.get_ylabel() for ax in one_label.axes] == ["modes covered", ""]  # the panels share their axis
    for figure in [*with_labels, *without_ticks, one_label]:
        figure.savefig(io.BytesIO(), dpi=40)
        assert all(ax.get_title() or ax.get_xlabel() or ax.get_ylabel() or ax.get_yticks().size for ax in figure.axes)
    for figure in with_labels:
        assert all(ax.get_ylabel() or ax.get_label() == "<colorbar>" for ax in figure.axes)


def test_the_film_moves_and_is_small(short_run):
    from PIL import Image

    data = figures.plane_maps.film(short_run.frames)
    with Image.open(io.BytesIO(data)) as film:
        assert film.n_frames == 3
    assert len(data) < 300_000


def test_fakes_by_forward(capsys):
    def by_forward(training):
        def gan_round(d_step, g_step, G, draw_real, draw_noise, d_steps=1, g_steps=1):
            class Other:
                @staticmethod
                def predict(noise):
                    return G.forward(noise, training=training)[0]

            return lesson06.gan_round(d_step, g_step, Other, draw_real, draw_noise, d_steps, g_steps)

        return gan_round

    assert notebook.check("gan_round", by_forward(False)).passed
    assert "training mode" in notebook.check("gan_round", by_forward(True)).finding.title


# ------------------------------------------------------------------------------------------------------ recorded modes
def test_the_recorded_modes_are_what_their_script_makes():
    path = recorded_runs.FOLDER / "record_plane_modes.py"
    spec = importlib.util.spec_from_file_location("record_plane_modes", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    recorded = recorded_runs.plane_modes()
    assert tuple(recorded) == script.G_STEPS
    assert all(len(counts) == len(script.SEEDS) for counts in recorded.values())
    np.testing.assert_allclose(script.modes(1, script.SEEDS[0], rounds=40), recorded[1][0, :3], atol=1)  # another BLAS


def test_the_lesson_says_of_the_modes_what_was_recorded():
    ends = {steps: counts[:, -1] for steps, counts in recorded_runs.plane_modes().items()}
    assert (ends[1] == 8).all()
    assert (ends[2] == 8).sum() == 1
    assert (ends[5] <= 1).all()
    assert sorted(ends[10] > 1) == [False, False, True]
