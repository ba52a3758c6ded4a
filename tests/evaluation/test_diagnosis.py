"""The diagnosis finds nothing in normal runs, and the right fault in runs that are broken on purpose."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from broken_runs import BROKEN, NORMAL_SEEDS, RECORD, STEPS, train
from places import ROOT

from minigan.evaluation import diagnosis
from minigan.evaluation.diagnosis import CODES, band_of, diagnose_numbers, diagnose_run, one_liner
from minigan.gan.step import METRICS
from minigan.runs.config import PRESETS, RunConfig
from minigan.system.errors import UserError

SMALL = replace(PRESETS["quick"], image_size=32, width=16)
ARTICLE = RunConfig(data="faces")
NORMAL = {"d_real": 0.40, "d_fake": 0.39, "g": 2.5, "d_x": 0.85, "d_g_z": 0.16, "accuracy": 0.97}
HEALTHY = {
    "real_low": -1.0, "real_high": 1.0, "real_spread": 0.65, "fake_spread": 0.5, "g_move": 8e-5, "d_move": 1e-4
}  # fmt: skip


def made(steps=400, *, config=ARTICLE, vital=None, metrics=(), **values):
    """Findings of a run whose numbers never change."""
    history = np.tile([{**NORMAL, **values}[name] for name in METRICS], (steps, 1))
    vitals = [{"step": k, **HEALTHY, **(vital or {})} for k in range(0, steps, 25)]
    return diagnose_numbers(config, np.arange(steps), history, vitals, metrics)


def codes(findings):
    return [finding.code for finding in findings]


# ------------------------------------------------------------------------------------------------------- recorded runs
@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORD) as file:
        return {name: file[name] for name in file.files}


def findings_of(recorded, name, steps=STEPS):
    history = recorded[name][:steps].astype(np.float64)
    vitals = [row for row in json.loads(str(recorded[f"{name}: vitals"])) if row["step"] < steps]
    return diagnose_numbers(SMALL, np.arange(len(history)), history, vitals)


@pytest.mark.parametrize("seed", NORMAL_SEEDS)
def test_silent_on_normal_runs_at_any_time(recorded, seed):
    for steps in range(1, STEPS + 1, 9):
        assert findings_of(recorded, f"normal, seed {seed}", steps) == []


@pytest.mark.parametrize("name", BROKEN)
def test_right_about_broken_runs(recorded, name):
    right = BROKEN[name][1].split(" or ")
    for steps in range(50, STEPS + 1, 25):
        found = codes(findings_of(recorded, name, steps))
        assert found[0] in right if found else steps < STEPS // 2, steps


@pytest.mark.thorough
@pytest.mark.parametrize("seed", NORMAL_SEEDS)
def test_silent_on_a_normal_run_performed_now(tmp_path, seed, capsys):
    assert train(tmp_path / "run", seed=seed) == 0
    assert diagnose_run(tmp_path / "run") == []
    assert "Diagnosis" not in capsys.readouterr().out


@pytest.mark.thorough
@pytest.mark.parametrize("name", BROKEN)
def test_right_about_a_broken_run_performed_now(tmp_path, name, capsys):
    assert train(tmp_path / "run", broken=name) == 0
    first = diagnose_run(tmp_path / "run")[0]
    assert first.code in BROKEN[name][1].split(" or ")
    (line,) = {line for line in capsys.readouterr().out.splitlines() if "Diagnosis" in line}
    assert line.startswith(f"Diagnosis: {first.title}")


# --------------------------------------------------------------------------------------------------------- single looks
def test_healthy_numbers_are_no_finding():
    assert made() == []
    assert made(5000, d_real=0.385, d_fake=0.383, g=2.5) == []
    assert made(10) == []
    assert made(50, vital={"fake_spread": 0.01}) == []  # an untrained generator's fakes are alike
    assert diagnose_numbers(ARTICLE, np.zeros(0, int), np.zeros((0, 6)), []) == []


@pytest.mark.parametrize("data", [None, "faces"])
def test_the_articles_bands_are_those_of_the_steps_that_are_judged(data):
    config = RunConfig(data=data)
    names = [band_of(config, step).name for step in (100, 1199, 1200, 2699, 2700, 10_000)]
    assert all(name.startswith(f"the article's configuration on {'real' if data else 'drawn'} faces") for name in names)
    parts = ("steps 100 to 999", "steps 1,000 to 2,499", "from step 2,500 on")
    assert [next(k for k, part in enumerate(parts) if part in name) for name in names] == [0, 0, 1, 1, 2, 2]


def test_better_training_is_judged_as_such():
    """A generator with a larger learning rate may move faster, and the losses of such runs are normal only for them."""
    twice, tenfold = (replace(ARTICLE, g_learning_rate=rate) for rate in (3e-4, 1.5e-3))
    moves, losses = {"g_move": 3e-4, "d_move": 5e-4}, {"d_real": 0.55, "d_fake": 0.55}
    assert codes(made(vital=moves)) == ["exploding"]
    assert "exploding" not in codes(made(config=twice, vital=moves))
    assert codes(made(config=tenfold, vital={**moves, "g_move": 1.5e-3})) == ["exploding"]
    assert codes(made(**losses)) == ["unusual"]
    assert codes(made(accuracy=0.7)) == ["discriminator-lost"]
    assert made(config=twice, accuracy=0.7) == []
    assert codes(made(config=twice, accuracy=0.55)) == ["discriminator-lost"]
    for config in (twice, replace(ARTICLE, translate=True)):
        assert made(config=config, **losses) == []
        assert "--translate or --g-learning-rate" in band_of(config, 5000).name
    for config in (replace(ARTICLE, ema=0.999), replace(ARTICLE, flip=True)):
        assert band_of(config, 5000) == band_of(ARTICLE, 5000)


@pytest.mark.parametrize(
    ("code", "vital", "values"),
    [
        ("data-range", {"real_low": 0.0, "real_high": 255.0}, {}),
        ("data-range", {"real_low": -1.2}, {}),
        ("data-range", {"real_low": 0.01}, {}),
        ("data-range", {"real_low": -1.0, "real_high": -0.99}, {}),
        ("data-range", {"real_spread": 0.0}, {}),
        ("data-range", {"real_high": None}, {}),
        ("exploding", {"g_move": 2e-3, "d_move": 3e-3}, {}),
        ("exploding", {"g_move": None, "d_move": None}, {}),
        ("exploding", {}, {"d_fake": 14.3}),
        ("nothing-learned", {"g_move": 0.0, "d_move": 0.0}, {}),
        ("generator-dead", {"g_move": 0.0}, {}),
        ("discriminator-dead", {"d_move": 0.0}, {"accuracy": 0.4}),
        ("discriminator-too-strong", {"d_move": 1e-3}, {}),
        ("discriminator-too-strong", {"g_move": 6e-6}, {}),
        ("discriminator-too-strong", {}, {"d_real": 0.05, "d_fake": 0.04, "g": 5.0, "accuracy": 1.0}),
        ("discriminator-lost", {}, {"accuracy": 0.5, "d_real": 0.69, "d_fake": 0.69, "g": 0.69}),
        ("mode-collapse", {"fake_spread": 0.1}, {}),
        ("unusual", {}, {"d_real": 0.6}),
    ],
)
def test_each_code_is_found(code, vital, values):
    found = made(vital=vital, **values)
    assert codes(found)[0] == code
    assert found[0].evidence
    assert found[0].severity in ("error", "warning", "note")


def test_nothing_moves_after_an_explosion():
    still = {"g_move": 0.0, "d_move": 0.0}
    leap = {**HEALTHY, "g_move": 5e-3, "d_move": 2e-2}
    vitals = [{"step": k, **(HEALTHY | still if k else leap)} for k in range(0, 400, 25)]
    history = np.tile([{**NORMAL, "d_fake": 14.3, "accuracy": 0.5}[name] for name in METRICS], (400, 1))
    assert codes(diagnose_numbers(ARTICLE, np.arange(400), history, vitals)) == ["exploding"]
    assert codes(diagnose_numbers(ARTICLE, np.arange(110), history[:110], vitals[:5])) == ["exploding"]


def test_old_runs_without_health_numbers_are_judged_by_their_losses():
    history = np.tile(list(NORMAL.values()), (400, 1))
    assert diagnose_numbers(ARTICLE, np.arange(400), history, []) == []
    history[:, 1] = 14.3
    assert codes(diagnose_numbers(ARTICLE, np.arange(400), history, [])) == ["exploding"]


def test_one_batch_without_dark_pixels_is_no_wrong_range():
    vitals = [{"step": k, **HEALTHY, "real_low": 0.3 if k == 50 else -0.9} for k in range(0, 400, 25)]
    history = np.tile(list(NORMAL.values()), (400, 1))
    assert diagnose_numbers(ARTICLE, np.arange(400), history, vitals) == []


def test_numbers_that_ran_away():
    vitals = [{"step": 120, "not_finite": "the losses of step 120 are no longer finite (d_real nan)"}]
    history = np.tile(list(NORMAL.values()), (120, 1))
    (finding,) = diagnose_numbers(ARTICLE, np.arange(120), history, vitals)
    assert (finding.code, finding.severity) == ("not-finite", "error")
    assert "step 120" in finding.evidence


def test_metrics_show_what_the_log_cannot():
    def row(**measures):
        return [
            {
                "step": 399,
                "measures": {name: {"value": v, "real": r, "noise": 0.1} for name, (v, r) in measures.items()},
            }
        ]

    assert made(metrics=row(distance=(70, 80), copies=(0.01, 0.0), clear=(0.9, 1), modes=(100, 167))) == []
    assert codes(made(metrics=row(distance=(10, 80)))) == ["mode-collapse"]
    assert codes(made(metrics=row(clear=(0.9, 1), modes=(12, 167)))) == ["mode-collapse"]
    assert codes(made(metrics=row(clear=(0.2, 1), modes=(12, 167)))) == []  # too blurred to count
    assert codes(made(metrics=row(copies=(0.3, 0.01)))) == ["memorising"]
    assert (
        made(metrics=[{"step": 3, "measures": {"copies": {"value": "x"}}}, {"step": 4, "measures": {"copies": 7}}])
        == []
    )
    assert made(metrics=[{"step": 3}]) == []


def test_what_the_faces_were_like_long_ago_is_no_finding():
    """They are measured after step 0, say, when all are the same grey; and a run goes on and on."""

    def alike(step):
        return [{"step": step, "measures": {"distance": {"value": 5, "real": 83, "noise": 0.1}}}]

    assert made(20, metrics=alike(20)) == []
    for step in (0, 100, 199):
        assert made(400, metrics=alike(step)) == []
    (finding,) = made(400, metrics=alike(250))
    assert finding.code == "mode-collapse"
    assert finding.evidence.endswith("(after 250 of 400 steps)")
    (finding,) = made(400, metrics=alike(400))
    assert "after" not in finding.evidence
    del (now := alike(0))[0]["step"]  # `minigan.evaluate` has just measured
    assert codes(made(400, metrics=now)) == ["mode-collapse"]


def test_batches_of_one_image_have_no_spread():
    one = replace(ARTICLE, batch_size=1)
    lone = {"real_spread": 0.0, "fake_spread": 0.0}
    assert made(config=one, vital=lone) == []
    assert codes(made(vital=lone)) == ["data-range"]
    assert codes(made(config=one, vital={**lone, "real_low": 0.5, "real_high": 0.55})) == ["data-range"]


@pytest.mark.parametrize("value", ["x", None, [], {}, 10**400, -1, True], ids=lambda v: str(v)[:5])
def test_rows_with_any_values_do_not_raise(value):
    history = np.tile(list(NORMAL.values()), (400, 1))
    for name in HEALTHY:
        vitals = [{"step": k, **HEALTHY, name: value} for k in range(0, 400, 25)]
        diagnose_numbers(ARTICLE, np.arange(400), history, vitals)
        diagnose_numbers(ARTICLE, np.arange(400), history, [{"step": k, name: value} for k in (0, 50, 75)])
    for row in ({"measures": value}, {"measures": {"swd": value, "copies": {"value": value, "real": 0}}}):
        diagnose_numbers(ARTICLE, np.arange(400), history, [], [{"step": 9, **row}])
    assert diagnose_numbers(ARTICLE, np.arange(400), history, [{"step": k} for k in range(0, 400, 25)]) == []


# --------------------------------------------------------------------------------------------------------- long runs
AUTHOR = [(0.459, 0.437, 2.60), (0.409, 0.399, 2.59), (0.388, 0.386, 2.53), *[(0.386, 0.382, 2.51)] * 2,
          *[(0.382, 0.383, 2.48)] * 2, *[(0.377, 0.380, 2.45)] * 2, (0.375, 0.378, 2.40)]  # fmt: skip
"""Medians of D real, D fake and G in each 1,000 of the author's 10,000 steps."""

OURS = [(0.403, 0.394, 2.67), (0.363, 0.361, 2.46), (0.354, 0.354, 2.40), (0.352, 0.350, 2.37)]
"""The same in each 2,500 steps of a full run on 13,803 real faces."""

DRAWN = [(0.375, 0.372, 2.57), (0.356, 0.355, 2.39), (0.352, 0.352, 2.34), (0.351, 0.350, 2.32)]
"""The same on 20,000 drawn faces."""

FASTER = [(0.40, 0.40, 2.85), (0.375, 0.375, 2.6), (0.362, 0.362, 2.5), *[(0.35, 0.35, 2.4)] * 7]
"""Nearly the medians of a run with --g-learning-rate 0.0003 on 20,000 drawn faces, by 1,000 steps."""

FLOOR = (0.327, 0.327, 2.09)
"""Where the losses come when D is right about everything."""

FALLING = [OURS[0], FLOOR, FLOOR, FLOOR]

SMALL_LONG = [(0.35, 0.35, 2.0), (0.39, 0.37, 1.88), (0.42, 0.40, 1.67), *[(0.43, 0.41, 1.6)] * 4, (0.44, 0.43, 1.53)]
"""Nearly the medians, by 1,000 steps, of a run with images of 32x32, width 8 and batches of 16: D comes to err more."""

SMALL_FAST = [(0.44, 0.41, 1.6), (0.54, 0.51, 1.18), (0.59, 0.56, 1.05), (0.615, 0.59, 0.98)]
"""The same with --g-learning-rate 0.0003."""


def losses_like(medians, steps=10_000, *, seed=0):
    """A history whose losses have these medians, and go up and down as real ones do, in slow waves.

    Large networks' have a long tail (p95 of D's near 0.7, of G's near 4); where D is right about everything, and in
    small networks, it is short.
    """
    tail = 1.0 if medians in (AUTHOR, OURS, DRAWN, FASTER) else 0.4
    rng = np.random.default_rng(seed)
    wave = np.zeros((steps, 3))
    for k in range(1, steps):
        wave[k] = 0.8 * wave[k - 1] + 0.6 * rng.standard_normal(3)
    at = np.array(medians)[np.arange(steps) * len(medians) // steps]
    floor = np.array([0.325, 0.325, 0.5])
    history = np.tile(list(NORMAL.values()), (steps, 1))
    history[:, :3] = floor + (at - floor) * np.exp(tail * wave * np.array([1.1, 1.0, 0.35]))
    return history


def said(config, history, vital=None, every=250):
    """What is found at each save."""
    vitals = [{"step": k, **HEALTHY, **(vital or {})} for k in range(0, len(history), 25)]
    return [
        codes(diagnose_numbers(config, np.arange(done), history[:done], vitals[: 1 + (done - 1) // 25]))
        for done in range(every, len(history) + 1, every)
    ]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("config", "medians"),
    [
        (ARTICLE, AUTHOR),
        (ARTICLE, OURS),
        (RunConfig(), OURS),
        (RunConfig(), DRAWN),
        (RunConfig(g_learning_rate=3e-4, ema=0.999), FASTER),
        (RunConfig(data="faces", g_learning_rate=3e-4), OURS),
        (RunConfig(translate=True), AUTHOR),
        (replace(PRESETS["quick"], width=32, batch_size=16, g_learning_rate=1.5e-4), OURS),
        (replace(ARTICLE, image_size=128), OURS),
        (replace(ARTICLE, image_size=32, width=16, batch_size=16), OURS),
        *(
            (replace(config, **changed), FALLING)
            for config in (ARTICLE, RunConfig())
            for changed in ({}, {"width": 128}, {"width": 32, "batch_size": 16}, {"g_learning_rate": 1e-4})
        ),
        (replace(ARTICLE, width=8, batch_size=32), [FLOOR]),
        (replace(ARTICLE, image_size=32, width=8, batch_size=16), SMALL_LONG),
        (replace(ARTICLE, image_size=32, width=8, batch_size=16, g_learning_rate=3e-4), SMALL_FAST),
        (replace(ARTICLE, image_size=32, width=8, batch_size=16, translate=True), SMALL_LONG),
    ],
)  # fmt: skip
def test_silent_to_the_last_step_of_a_long_normal_run(config, medians, seed):
    found = said(config, losses_like(medians, seed=seed))
    assert len(found) == 40
    assert found == [[]] * 40


@pytest.mark.parametrize("medians", [AUTHOR, OURS, FALLING])
@pytest.mark.parametrize(
    ("code", "vital", "columns"),
    [
        ("mode-collapse", {"fake_spread": 0.1}, {}),
        ("generator-dead", {"g_move": 0.0}, {}),
        ("discriminator-dead", {"d_move": 0.0}, {"accuracy": 0.4}),
        ("discriminator-too-strong", {"d_move": 1e-3}, {}),
        ("discriminator-too-strong", {}, {"d_real": 0.05, "d_fake": 0.04, "g": 5.0, "accuracy": 1.0}),
        ("discriminator-lost", {}, {"accuracy": 0.5, "d_real": 0.69, "d_fake": 0.69, "g": 0.69}),
        ("exploding", {}, {"d_fake": 14.3}),
        ("unusual", {}, {"d_real": 0.55}),
        ("unusual", {}, {"g": 3.6}),
        ("unusual", {}, {"g": 1.2}),
    ],
)
def test_what_goes_wrong_late_in_a_long_run_is_found(medians, code, vital, columns):
    history = losses_like(medians)[:6500]
    for name, value in columns.items():
        history[6000:, METRICS.index(name)] = value
    vitals = [{"step": k, **HEALTHY, **(vital if k >= 6000 else {})} for k in range(0, 6500, 25)]
    before = diagnose_numbers(ARTICLE, np.arange(6000), history[:6000], vitals[:240])
    after = diagnose_numbers(ARTICLE, np.arange(6500), history, vitals)
    assert before == []
    assert codes(after)[0] == code


def test_bands_are_those_of_the_configuration_and_named():
    """Each contains the medians that it was made from, with room, and says of which data and how many images."""
    for step, medians in ((300, AUTHOR[:1]), (1500, AUTHOR[1:2] + OURS[:1]), (9999, AUTHOR[3:] + OURS[1:])):
        band = band_of(ARTICLE, step)
        for d_real, d_fake, g in medians:
            assert band.d_real[0] + 0.02 < d_real < band.d_real[1] - 0.05
            assert band.d_fake[0] + 0.02 < d_fake < band.d_fake[1] - 0.05
            assert band.g[0] + 0.4 < g < band.g[1] - 0.4
        assert "real faces" in band.name
        assert "about 22,000" in band.name
        assert "13,803" in band.name
    assert band_of(ARTICLE, 1100) == band_of(ARTICLE, 300)  # the steps that are judged begin before 1,000
    assert band_of(ARTICLE, 300).g[1] > band_of(ARTICLE, 1500).g[1] > band_of(ARTICLE, 5000).g[1]
    assert "drawn" in band_of(RunConfig(), 5000).name
    assert "other" in band_of(replace(ARTICLE, width=8), 500).name
    (finding,) = made(5000, g=3.2)
    assert finding.band == band_of(ARTICLE, 5000).name
    assert made(300, g=3.2) == []


def test_one_line():
    assert one_liner([], Path("runs/a")) is None
    found = made(vital={"g_move": 0.0, "fake_spread": 0.0})
    assert codes(found) == ["generator-dead", "mode-collapse"]
    line = one_liner(found, Path("my runs/a"))
    assert "The generator is dead" in line
    assert "(and 1 more)" in line
    assert "'my runs/a' --diagnosis" in line
    assert "\n" not in line


def test_no_run_folder(tmp_path):
    with pytest.raises(UserError, match="no run folder"):
        diagnose_run(tmp_path)


def test_every_look_has_a_code_and_the_document_knows_it():
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for code in CODES:
        assert f"| {code} |" in text
    for code, others in diagnosis._EXPLAINS.items():
        assert {code, *others} <= CODES.keys()
