"""`python -m minigan.evaluate` and `--metrics-every`: output, files, and that measuring does not change a run."""

import json
import shutil

import numpy as np
import pytest
from equal_runs import assert_equal_runs, files_of
from PIL import Image

from minigan import evaluate, train
from minigan.data.drawn import modes
from minigan.evaluation import metrics
from minigan.exchange.imported_run import make_run
from minigan.gan.models import discriminator, generator
from minigan.runs.layout import METRICS_NAME, VITALS_NAME
from minigan.runs.run_records import read_rows
from minigan.system.cli import run_command
from minigan.training import trainer

SIZE = ["--image-size", "32", "--width", "2", "--batch-size", "4", "--sample-every", "50", "--save-every", "4"]


@pytest.fixture(autouse=True)
def _fewer_patches(monkeypatch):
    monkeypatch.setattr(metrics, "_MOST_PATCHES", 1 << 12)


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory):
    """A folder of 140 small images."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for k in range(140):
        coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
        coarse.resize((32, 32), Image.Resampling.BICUBIC).save(folder / f"{k:03d}.png")
    return folder


def start(image_folder, out, *arguments):
    return run_command(train.main, ["--data", str(image_folder), *SIZE, "--out", str(out), *map(str, arguments)])


def call(*arguments):
    return run_command(evaluate.main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def run(image_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    assert start(image_folder, out, "--steps", 6) == 0
    return out


# ------------------------------------------------------------------------------------------------------------ evaluate
def test_table_and_files(run, tmp_path, capsys):
    assert call(run, "--out", tmp_path) == 0
    told = capsys.readouterr().out
    assert "after 6 steps: 70 samples beside 140 images" in told  # at most half as many as there are images
    for words in ("sliced Wasserstein distance", "at 32x32 pixels", "diversity", "nearest training image", "copies"):
        assert words in told
    assert "Diagnosis: nothing looks wrong." in told
    result = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    assert (result["step"], result["samples"], result["findings"]) == (6, 70, [])
    swd = result["measures"]["swd"]
    assert swd["value"] > swd["real"] == swd["noise"] > 0
    with Image.open(tmp_path / "evaluation.png") as picture:
        assert picture.width > 800


def test_equal_seeds_give_equal_files(run, tmp_path):
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder, seed in zip(folders, (0, 0, 1), strict=True):
        folder.mkdir()
        assert call(run, "--samples", 64, "--seed", seed, "--out", folder) == 0
    a, b, c = ((folder / "evaluation.json").read_bytes() for folder in folders)
    assert a == b != c
    assert (folders[0] / "evaluation.png").read_bytes() == (folders[1] / "evaluation.png").read_bytes()


def test_fresh_statistics_are_told_and_kept(run, tmp_path, capsys):
    values = []
    for count in (None, 2):
        options = [] if count is None else ["--fresh-statistics", count]
        assert call(run, "--samples", 64, "--out", tmp_path, *options) == 0
        assert ("with fresh statistics (N = 2)" in capsys.readouterr().out) == (count is not None)
        result = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
        assert result.get("fresh_statistics") == count
        values.append(result["measures"]["swd"]["value"])
    assert values[0] != values[1]
    assert call(run, "--fresh-statistics", 0) == 2
    assert "--fresh-statistics: must be between 1 and 100, got 0" in capsys.readouterr().err


def test_files_go_to_the_run_by_default_and_disturb_nothing(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert call(copy, "--samples", 64) == 0
    after = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert {path.name for path in after.keys() - before.keys()} == {"evaluation.json", "evaluation.png"}
    changed = {path.name for path, words in before.items() if after[path] != words}
    assert changed == {"report.html"}  # which shows the measures


def test_images_that_moved(run, image_folder, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    config = copy / "config.json"
    config.write_text(
        config.read_text(encoding="utf-8").replace(str(image_folder), str(tmp_path / "gone")), encoding="utf-8"
    )
    assert call(copy) == 2
    error = capsys.readouterr().err
    assert "--data DIR says where the run's images are" in error
    assert error.count("\n") == 1
    assert call(copy, "--samples", 64, "--data", image_folder) == 0
    assert "not the images" not in capsys.readouterr().err
    fewer = tmp_path / "fewer"
    shutil.copytree(image_folder, fewer)
    (fewer / "000.png").unlink()
    assert call(copy, "--samples", 64, "--data", fewer) == 0
    assert "not the images that the run began with (then 140, now 139)" in capsys.readouterr().err


def test_of_an_imported_run_nobody_knows_the_images(image_folder, tmp_path, capsys):
    """Until it trains, it can be measured against images that are given, and never against drawn faces unasked."""
    imported = tmp_path / "imported"
    G, D = generator(image_size=32, width=2), discriminator(image_size=32, width=2)
    make_run(imported, G, D, image_size=32, width=2)
    assert call(imported, "--samples", 64) == 2
    assert capsys.readouterr().err == (
        "minigan: error: RUN: was imported, and its images are not known; --data DIR says which to measure it against\n"
    )
    assert call(imported, "--samples", 64, "--data", image_folder) == 0
    assert "not the images" not in capsys.readouterr().err
    result = json.loads((imported / "evaluation.json").read_text(encoding="utf-8"))
    assert result["images"]["count"] == 140
    assert "modes" not in result["measures"]
    assert "not known: the networks were imported" in (imported / "report.html").read_text(encoding="utf-8")
    small = ["--resume", str(imported), "--data", str(image_folder), "--steps", "1", "--ranks", "1"]
    assert run_command(train.main, small) == 0
    assert call(imported, "--samples", 64) == 0
    assert "not the images" not in capsys.readouterr().err
    about = json.loads((imported / "config.json").read_text(encoding="utf-8"))
    assert about["images"]["count"] == 140


def test_a_damaged_checkpoint_falls_back(run, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "checkpoints" / "step-000006.safetensors").write_bytes(b"x")
    assert call(copy, "--samples", 64) == 0
    captured = capsys.readouterr()
    assert "going back" in captured.err
    assert "after 4 steps" in captured.out


def test_diagnosis_alone_needs_neither_images_nor_a_checkpoint(run, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "checkpoints")
    row = {"step": 5, "not_finite": "the losses of step 5 are no longer finite"}
    with (copy / VITALS_NAME).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    assert call(copy, "--diagnosis") == 0
    told = capsys.readouterr().out
    assert "error: The numbers have run away" in told
    assert "seen: the losses of step 5" in told
    assert "what to do:" in told


def test_drawn_faces_are_counted_by_kind(tmp_path, monkeypatch, capsys):
    from dataclasses import replace

    from minigan.runs.config import PRESETS

    monkeypatch.setattr(modes, "FITTED", 200)
    monkeypatch.setattr(modes, "HELD_OUT", 0)
    monkeypatch.setitem(PRESETS, "quick", replace(PRESETS["quick"], faces=160))
    modes.reader.cache_clear()
    out = tmp_path / "run"
    assert run_command(train.main, ["--preset", "quick", *SIZE, "--steps", "1", "--out", str(out)]) == 0
    assert call(out) == 0
    modes.reader.cache_clear()
    told = capsys.readouterr().out
    assert "hair colours, of 14" in told
    assert json.loads((out / "evaluation.json").read_text(encoding="utf-8"))["measures"]["hair_colours"]["real"] > 10
    assert call(out, "--data", tmp_path) == 2
    assert "this run learned from drawn faces" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--samples", 63], "--samples: must be between 64 and 10000, got 63"),
        (["--samples", 10**6], "got 1000000"),
        (["--seed", -1], "--seed: must be between 0"),
        (["--out", "no/such/folder"], "--out: must be a folder that exists"),
        (["--data", "no/such/folder"], "--data: the data folder must exist"),
        (["--fly"], "unrecognized"),
    ],
)
def test_bad_arguments(run, arguments, message, capsys):
    assert call(run, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("kind", ["missing", "no run", "no checkpoint", "a file", "few images", "broken weights"])
def test_bad_runs(run, tmp_path, capsys, kind):
    source = tmp_path / "run"
    arguments = []
    if kind == "no run":
        source.mkdir()
    elif kind == "a file":
        source.write_bytes(b"x")
    elif kind != "missing":
        shutil.copytree(run, source)
    if kind == "no checkpoint":
        shutil.rmtree(source / "checkpoints")
        shutil.rmtree(source / "models")  # of a run without checkpoints, a kept generator is measured
    if kind == "few images":
        few = tmp_path / "few"
        few.mkdir()
        Image.new("RGB", (32, 32)).save(few / "0.png")
        arguments = ["--data", few]
    if kind == "broken weights":
        for path in (source / "checkpoints").iterdir():
            path.write_bytes(b"x")
    assert call(source, *arguments) == 2
    *before, error = capsys.readouterr().err.splitlines()
    assert not any("minigan" in line for line in before)  # at most a progress bar
    assert {
        "missing": "no such run folder",
        "no run": "is no run folder",
        "no checkpoint": "no checkpoint",
        "a file": "is no run folder",
        "few images": "at least 128 images are needed",
        "broken weights": "no checkpoint",
    }[kind] in error


# ------------------------------------------------------------------------------------------------------- metrics-every
@pytest.fixture
def few_samples(monkeypatch):
    monkeypatch.setattr(trainer, "METRICS_SAMPLES", 64)


def test_measuring_changes_nothing_and_resumes_exactly(image_folder, run, tmp_path, few_samples, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert start(image_folder, whole, "--steps", 6, "--metrics-every", 2) == 0
    rows = read_rows(whole, METRICS_NAME)
    assert [row["step"] for row in rows] == [1, 3, 5]
    assert rows[0]["samples"] == 64
    assert rows[0]["measures"]["swd"]["value"] != rows[2]["measures"]["swd"]["value"]
    assert "Step 3: sliced Wasserstein distance" in capsys.readouterr().out

    plain, measured = files_of(run), files_of(whole)
    del plain["config.json"], measured["config.json"], measured[METRICS_NAME]
    assert plain == measured

    # As if killed after step 5: the newest checkpoint has 4 steps, and there are rows of later steps, one cut short.
    shutil.copytree(whole, parts)
    (parts / "checkpoints" / "step-000006.safetensors").unlink()
    with (parts / METRICS_NAME).open("a", encoding="utf-8") as file:
        file.write('{"step": 7, "meas')
    assert run_command(train.main, ["--resume", str(parts)]) == 0
    assert_equal_runs(whole, parts)


def test_metrics_may_be_asked_for_on_resume(image_folder, run, tmp_path, few_samples):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    assert run_command(train.main, ["--resume", str(copy), "--steps", "8", "--metrics-every", "4"]) == 0
    assert [row["step"] for row in read_rows(copy, METRICS_NAME)] == [7]


def test_a_run_without_the_setting_keeps_its_default(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    del config["settings"]["metrics_every"]
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert run_command(train.main, ["--resume", str(copy), "--steps", "7"]) == 0


@pytest.mark.parametrize("arguments", [["--metrics-every", -1], ["--metrics-every", "x"]])
def test_bad_intervals(image_folder, tmp_path, arguments, capsys):
    assert start(image_folder, tmp_path / "run", *arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_too_few_images_to_measure_are_refused_before_anything_is_made(tmp_path, capsys):
    few = tmp_path / "few"
    few.mkdir()
    Image.new("RGB", (32, 32)).save(few / "0.png")
    assert start(few, tmp_path / "run", "--metrics-every", 2) == 2
    assert "at least 128 images are needed to measure faces against" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


# ------------------------------------------------------------------------------------------------------ health numbers
def test_health_numbers_are_written_and_right(run):
    rows = read_rows(run, VITALS_NAME)
    assert [row["step"] for row in rows] == [0]  # every 25 steps
    row = rows[0]
    assert -1 <= row["real_low"] < row["real_high"] <= 1
    assert row["real_spread"] > row["fake_spread"] > 0
    assert 1e-5 < row["g_move"] <= 1.5e-4 * 1.01  # Adam's first step moves every weight by the learning rate
    assert 1e-4 < row["d_move"] <= 4e-4 * 1.01
