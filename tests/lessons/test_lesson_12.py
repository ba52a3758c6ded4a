"""Lesson 12: its exercises, its recorded runs, and its pictures."""

import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest

from lessons import recorded_runs
from lessons.exercises import lesson12
from lessons.figures import training
from lessons.judging import judge
from minigan.evaluation.diagnosis import CODES
from minigan.runs import config

EXERCISES = {exercise.name: exercise for exercise in lesson12.EXERCISES}
RIGHT = {
    "soft_labels": lesson12.soft_labels,
    "train_step": lesson12.train_step,
    "read_logits": lesson12.read_logits,
    "spread": lesson12.spread,
    "move": lesson12.move,
}
DIAGNOSIS = {
    "A": "generator-dead",
    "B": "mode-collapse",
    "C": "normal",
    "D": "data-range",
    "E": "discriminator-too-strong",
    "F": "exploding",
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


def test_every_wrong_training_step_is_named():
    for step, why in lesson12._WRONG_STEPS:
        verdict = judge(EXERCISES["train_step"], [step])
        assert not verdict.passed, step
        assert verdict.finding.cause == why


def test_a_step_with_another_result_or_none_is_told_so():
    def nothing(gan, inputs):
        return None

    def unwritten(gan, inputs):
        raise NotImplementedError

    assert "return (on_real" in judge(EXERCISES["train_step"], [nothing]).finding.title

    def both(gan, inputs):
        on_real, _, on_generator, fakes = lesson12.train_step(gan, inputs)
        twice = on_real._replace(logits=np.concatenate([on_real.logits, on_real.logits]))
        return twice, twice, on_generator, fakes

    assert judge(EXERCISES["train_step"], [both]).finding.code == "E80"
    verdict = judge(EXERCISES["train_step"], [unwritten])
    assert not verdict.passed
    assert verdict.finding is None


def test_a_step_that_changes_its_inputs_is_refused():
    def step(gan, inputs):
        inputs.real[:] = 0
        return lesson12.train_step(gan, inputs)

    assert "modifies" in judge(EXERCISES["train_step"], [step]).finding.title


def test_a_wrong_step_that_nobody_knows_is_caught():
    def step(gan, inputs):
        return lesson12.train_step(gan, inputs._replace(real=inputs.real * np.float32(0.5)))

    verdict = judge(EXERCISES["train_step"], [step])
    assert not verdict.passed
    assert "D's step on reals" in verdict.finding.title
    assert verdict.finding.cause == ""


# ------------------------------------------------------------------------------------------------------------- diagnose
def test_diagnose_wants_all_six_names():
    exercise = EXERCISES["diagnose"]
    assert judge(exercise, [DIAGNOSIS]).passed
    assert judge(exercise, [dict.fromkeys(DIAGNOSIS)]).finding is None
    some = judge(exercise, [{**DIAGNOSIS, "F": None}])
    assert not some.passed
    assert some.finding is None


@pytest.mark.parametrize("claim", lesson12.CAUSES)
@pytest.mark.parametrize("letter", DIAGNOSIS)
def test_every_wrong_name_gets_a_reason_and_a_gauge(letter, claim):
    if DIAGNOSIS[letter] == claim:
        assert lesson12.is_right(letter, claim)
        return
    assert not lesson12.is_right(letter, claim)
    verdict = judge(EXERCISES["diagnose"], [{letter: claim}])
    (told,) = verdict.finding.evidence
    assert told.startswith(f"{letter} is not {claim}: ")
    assert "gauge" in told
    assert letter == "C" or DIAGNOSIS[letter] not in told


@pytest.mark.parametrize("answer", ["C", {"Z": "normal"}, {"A": "tired"}, {"A": 3}])
def test_an_answer_in_another_form_is_told_so(answer):
    verdict = judge(EXERCISES["diagnose"], [answer])
    assert not verdict.passed
    assert verdict.finding.code == "E12"


def test_a_name_given_twice_is_mentioned():
    verdict = judge(EXERCISES["diagnose"], [{**DIAGNOSIS, "A": "normal"}])
    assert any("more than once" in line for line in verdict.finding.evidence)


def test_suspects_are_told_apart():
    exercise = EXERCISES["suspects"]
    assert judge(exercise, [lesson12._GUILTY]).passed
    assert set(lesson12._GUILTY) == set(lesson12.SUSPECTS)
    for name, right in lesson12._GUILTY.items():
        for claim in set(lesson12.SUSPECT_CAUSES) - {right}:
            assert not judge(exercise, [{name: claim}]).passed


# ----------------------------------------------------------------------------------------------------------- recordings
def test_the_recordings_are_what_minigan_finds_them_to_be():
    for letter, run in recorded_runs.runs().items():
        codes = [finding.code for finding in run.examine()]
        if DIAGNOSIS[letter] == "normal":
            assert codes == []
        else:
            assert DIAGNOSIS[letter] in CODES
            assert DIAGNOSIS[letter] in codes


def test_recordings_are_small_and_whole():
    assert sum(p.stat().st_size for p in recorded_runs.FOLDER.iterdir() if p.suffix in (".npz", ".png")) < 1_500_000
    for run in recorded_runs.runs().values():
        assert len(run.history) == len(run.steps) == 1000
        assert run.frames.shape[:2] == (len(recorded_runs.FRAME_STEPS), recorded_runs.FRAMES_SHOWN)
    assert len(recorded_runs.table().splitlines()) == 2 + len(DIAGNOSIS)


@pytest.mark.parametrize("letter", ["B", "D"])
def test_runs_can_be_recorded_anew(letter, tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("record", recorded_runs.FOLDER / "record.py")
    record = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec.loader.exec_module(record)
    named = {word.split("=")[0] for word in record.OPTIONS}
    assert {"--batch-size", "--ema", "--g-learning-rate", "--steps", "--width"} <= named  # the preset's may change
    small = ["--width=2", "--steps=60", "--batch-size=4", "--seed=1", "--ranks=1"]
    monkeypatch.setattr(record, "OPTIONS", ["--preset=quick", "--image-size=32", *small])
    monkeypatch.setattr(record, "HERE", tmp_path)
    monkeypatch.setitem(config.PRESETS, "quick", replace(config.PRESETS["quick"], faces=20))
    record.record(letter, tmp_path)
    run = recorded_runs.read_recorded(tmp_path, letter)
    gauges = run.gauges()
    assert run.frames.shape == (2, recorded_runs.FRAMES_SHOWN, 32, 32, 3)
    assert (gauges["g_move"] > 5e-4) == (letter == "B")
    assert (gauges["real_low"] > -0.02) == (letter == "D")


# ------------------------------------------------------------------------------------------------------------- pictures
def test_pictures_have_labelled_axes():
    runs = recorded_runs.runs()
    run = runs["C"]
    figures = [
        training.losses_of_an_answer(),
        training.filmstrip(run.frames, run.frame_steps),
        training.curves(run.steps[:60], run.history[:60], "here: "),
        training.panel(run),
        training.vitals(runs),
    ]
    for figure in figures:
        for ax in figure.axes:
            assert ax.get_title()
            assert ax.get_xlabel()
            assert ax.get_ylabel()


def test_sixteen_faces_stand_in_two_rows():
    faces = np.zeros((16, 8, 8, 3), np.uint8)
    faces[8] = 255  # the first of the second row
    figure = training.sixteen(faces, "Sixteen")
    assert figure.axes[0].get_title() == "Sixteen"
    shown = np.asarray(figure.axes[0].images[0].get_array())
    assert shown[9:16, :7].min() == 255
    assert shown[:8, :7].max() == 0


def test_an_overflow_is_told_though_the_numbers_are_right():
    def textbook(real_logits, fake_logits):
        d_x, d_g_z = (float((1 / (1 + np.exp(-z))).mean()) for z in (real_logits, fake_logits))
        return d_x, d_g_z, lesson12.read_logits(real_logits, fake_logits)[2]

    verdict = judge(EXERCISES["read_logits"], [textbook])
    assert "overflows on the way" in verdict.finding.title
    assert "tanh" in verdict.finding.cause


def test_the_gallery_names_only_what_was_named():
    figure = training.gallery(recorded_runs.runs(), {"C": "normal"})
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["A: ?", "B: ?", "C: normal", "D: ?", "E: ?", "F: ?"]
    training.gallery(recorded_runs.runs(), DIAGNOSIS)


def test_the_floor_is_that_of_soft_labels():
    p = np.linspace(0.01, 0.99, 981)
    least = (-0.9 * np.log(p) - 0.1 * np.log(1 - p)).min()
    assert abs(least - training.FLOOR) < 1e-4
