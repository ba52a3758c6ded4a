"""The generator that comes with minigan: it is there, small, whole, and used where no run is named."""

import json

import numpy as np
import pytest
from PIL import Image

from minigan import evaluate, sample
from minigan.gan.models import generator
from minigan.runs import pretrained
from minigan.runs.checkpoint import load_tensors, save_network
from minigan.runs.config import RunConfig, to_json
from minigan.runs.layout import CONFIG_NAME, CSV_NAME, METRICS_NAME, model_name
from minigan.runs.pretrained import is_pretrained, pretrained_run
from minigan.runs.run_records import open_config, read_history, read_rows
from minigan.runs.saved_generator import load_generator
from minigan.system.cli import run_command
from minigan.system.errors import UserError


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A small generator in the place of the one that comes with minigan, and an empty current folder."""
    folder = tmp_path / "pretrained"
    (folder / "models").mkdir(parents=True)
    (folder / CONFIG_NAME).write_text(
        to_json(RunConfig(faces=200, image_size=32, width=2, ema=0.9, steps=3), {}), encoding="utf-8"
    )
    path = folder / "models" / model_name(2, "GENERATOR_EMA")
    network = generator(image_size=32, width=2, seed=4)
    save_network(path, network, image_size=32, width=2, step=3, ema=0.9, half=True)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(pretrained, "_FOLDER", folder)
    return folder


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# ---- The folder that is a part of the package ----


def test_the_generator_is_there_and_small():
    folder = pretrained_run()
    network, step = load_generator(folder)
    config, about = open_config(folder)
    assert (network.output_shape(), step) == ((64, 64, 3), config.steps)
    assert config.data is None
    assert config.ema > 0
    assert {a.dtype for a in network.state().values()} == {np.dtype(np.float32)}
    (saved,) = (folder / "models").iterdir()
    assert saved.stat().st_size < 8_000_000
    tensors, words = load_tensors(saved)
    assert words["ema"] == str(config.ema)
    assert {a.dtype for name, a in tensors.items() if name.endswith(".kernel")} == {np.dtype(np.float16)}
    assert about["images"]["count"] == config.faces


def test_the_log_and_the_card_are_of_the_same_run():
    folder = pretrained_run()
    config, _ = open_config(folder)
    steps, history = read_history(folder)
    np.testing.assert_array_equal(steps, np.arange(config.steps))
    assert np.isfinite(history).all()
    assert [row["step"] for row in read_rows(folder, METRICS_NAME)][-1] == config.steps - 1
    assert (folder / CSV_NAME).stat().st_size < 600_000
    card = (folder / "README.md").read_text(encoding="utf-8")
    for told in (f"{config.steps:,} of 64 faces", f"--seed {config.seed}", "MIT", "## Limits", "commit"):
        assert told in card


# ---- Where no run is named ----


def test_sample_draws_into_the_current_folder(small, capsys):
    before = files(small)
    assert run_command(sample.main, ["--n", "4"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("The generator that comes with minigan, 3 steps on drawn faces")
    assert told[1].startswith("pretrained-sample-step000003-seed0-n4.png: 4 faces")
    with Image.open("pretrained-sample-step000003-seed0-n4.png") as image:
        assert image.size == (140, 140)
    assert files(small) == before


def test_nothing_is_written_into_the_package_when_it_is_named(small):
    before = files(small)
    for source in (small, *(small / "models").iterdir()):
        assert run_command(sample.main, [str(source), "--n", "1", "--seed", "5"]) == 0
    assert files(small) == before
    assert files(small.parent / "here") == ["pretrained-sample-step000003-seed5-n1.png"]
    assert is_pretrained(small / "models")
    assert not is_pretrained(small.parent / "here")


def test_evaluate_measures_it_into_the_current_folder(small, capsys):
    """Beside images of a folder: to draw faces and to learn their kinds would take half a minute."""
    data = small.parent / "data"
    data.mkdir()
    for k, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (128, 32, 32, 3), np.uint8)):
        Image.fromarray(pixels).save(data / f"{k}.png")
    config = RunConfig(data=str(data), image_size=32, width=2, ema=0.9, steps=3)
    (small / CONFIG_NAME).write_text(to_json(config, {}), encoding="utf-8")
    before = files(small)
    assert run_command(evaluate.main, ["--samples", "64"]) == 0
    assert capsys.readouterr().out.startswith("The generator that comes with minigan, 3 steps")
    assert files(small) == before
    result = json.loads((small.parent / "here" / "evaluation.json").read_text(encoding="utf-8"))
    assert (result["step"], result["generator"]) == (3, "ema")


def test_the_raw_generator_is_not_there(small, capsys):
    assert run_command(sample.main, ["--raw"]) == 2
    assert "has kept only its average" in capsys.readouterr().err


@pytest.mark.parametrize("missing", [CONFIG_NAME, "models"])
def test_a_missing_file_is_one_line(small, missing, capsys):
    (small / missing).rename(small / "elsewhere")
    with pytest.raises(UserError, match=r"is missing in .*pretrained: install minigan again, or name a RUN"):
        pretrained_run()
    assert run_command(sample.main, []) == 2
    assert capsys.readouterr().err.count("\n") == 1
