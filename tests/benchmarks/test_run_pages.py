"""What finished runs are turned into: a page, a table of seeds, and the generator that comes with minigan."""

import json
import re
import shutil

import finished_run
import make_pretrained
import numpy as np
import pytest
import quick_preset
import run_page
import seeds_page
from PIL import Image

from minigan import train
from minigan.evaluation.metrics import Measurement, Yardstick
from minigan.runs.config import PRESETS, RunConfig
from minigan.runs.saved_generator import load_generator
from minigan.system.cli import run_command

COMMIT = "0123abc"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two runs of six steps with different seeds, on 140 images of noise."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "data").mkdir()
    for k, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (140, 32, 32, 3), np.uint8)):
        Image.fromarray(pixels).save(folder / "data" / f"{k}.png")
    small = ["--image-size=32", "--width=2", "--batch-size=4", "--steps=6", "--save-every=2", "--sample-every=2"]
    more = ["--ema=0.5", "--ranks=1", "--data", str(folder / "data")]
    for seed in (1, 2):
        every = ["--metrics-every=4"] if seed == 1 else []
        words = [*small, *more, *every, f"--seed={seed}", "--out", str(folder / f"run{seed}")]
        assert run_command(train.main, words) == 0
    return folder


class _WithKinds:
    """A yardstick that also says something about kinds of drawn faces."""

    def __init__(self, yardstick):
        self.yardstick, self.samples = yardstick, yardstick.samples

    def measure(self, faces):
        measures, neighbours = self.yardstick.measure(faces)
        kinds = {name: Measurement(0.5, 1.0, 0.0) for name in ("clear", "modes", "modes_off")}
        return measures | kinds, neighbours


@pytest.fixture
def drawn(monkeypatch, home):
    """Takes the runs for runs on drawn faces, without the half minute that drawing them would take."""
    real = finished_run.open_run(home / "run1")
    yardstick = _WithKinds(Yardstick(real.images, samples=70))
    monkeypatch.setattr(finished_run.FinishedRun, "drawn", True)
    monkeypatch.setattr(finished_run.FinishedRun, "yardstick", lambda *_: yardstick)
    monkeypatch.setattr(make_pretrained, "Yardstick", lambda *_, **__: yardstick)
    monkeypatch.setattr(make_pretrained, "open_training_images", lambda _: None)


def make_page(home, out, name="page", run="run1", *more):
    words = [str(home / run), name, "--commit", COMMIT, "--every", "2", "--out", str(out), *more]
    return run_command(run_page.main, words)


def tables(text):
    """Rows of all Markdown tables; every row has as many cells as the head of its table."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        lines = [line.strip("|").split("|") for line in block.splitlines()]
        assert {len(line) for line in lines} == {len(lines[0])}, block
        assert set("".join(lines[1])) <= set("-:")
        found.append(lines)
    return found


# ---- A page ----


def test_a_page_of_a_run_on_images_shows_no_training_image(home, tmp_path):
    before = sorted((home / "run1").rglob("*"))
    assert make_page(home, tmp_path) == 0
    page = tmp_path / "page"
    text = (page / "README.md").read_text(encoding="utf-8")
    assert sorted(path.name for path in page.iterdir()) == [
        "README.md",
        "distances.png",
        "faces.png",
        "final.json",
        "losses.csv",
        "losses.png",
        "metrics.csv",
        "metrics.jsonl",
        "numbers.json",
    ]
    assert sorted((home / "run1").rglob("*")) == before
    for told in (COMMIT, "--data FOLDER", "--ema 0.5", "seed 1", "140 images, not part of the project"):
        assert told in text
    assert str(home) not in text + (page / "numbers.json").read_text(encoding="utf-8")
    facts, losses, measured, final = tables(text)
    assert len(losses) == 3
    assert [row[0].strip() for row in measured[2:]] == ["2", "4", "6", "real"]
    assert len(final) > 6
    assert len(facts) == 8
    with Image.open(page / "faces.png") as image:
        assert image.size[0] == 8 * 34 + 2
    numbers = json.loads((page / "numbers.json").read_text(encoding="utf-8"))
    assert numbers["done"] == 6
    assert [row["step"] for row in numbers["measured"]] == [2, 4, 6]


def test_what_was_measured_is_kept(home, tmp_path, monkeypatch):
    """A measurement of the run itself is taken over; a second call measures nothing, and writes the same bytes."""
    assert make_page(home, tmp_path) == 0
    page = tmp_path / "page"
    lines = (page / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 6]  # the run measured step 4 itself
    first = {path.name: path.read_bytes() for path in page.iterdir()}
    monkeypatch.setattr(finished_run, "measure", None)
    monkeypatch.setattr(run_page, "measure", None)
    assert make_page(home, tmp_path) == 0
    assert {path.name: path.read_bytes() for path in page.iterdir()} == first


def test_a_copy_of_a_training_image_is_left_out(home, tmp_path, monkeypatch):
    run = finished_run.open_run(home / "run1")
    faces = np.concatenate(
        [run.images.images[5:7], np.random.default_rng(1).integers(0, 256, (70, 32, 32, 3), np.uint8)]
    )
    monkeypatch.setattr(run_page, "draw_faces", lambda *_, **__: faces)
    told = run_page.save_checked_grid(tmp_path / "faces.png", run)
    assert told.endswith("2 much nearer to one of them than to its neighbours were left out.")
    with Image.open(tmp_path / "faces.png") as image:
        shown = np.asarray(image.convert("RGB"))[2:34, 2:34].astype(int)
    assert np.abs(shown - faces[2]).mean() < np.abs(shown - faces[0]).mean()


def test_a_page_of_a_run_on_drawn_faces_has_a_strip(home, tmp_path, drawn):
    assert make_page(home, tmp_path) == 0
    with Image.open(tmp_path / "page" / "faces.png") as image:
        assert image.size == (2 * 34 + 2, 8 * 34 + 2 + 18)  # steps 0 and 6
    assert "nothing was chosen" in (tmp_path / "page" / "README.md").read_text(encoding="utf-8")


def test_medians_of_losses():
    steps = np.arange(25)
    history = np.outer(steps, np.ones(6))
    run = finished_run.FinishedRun(None, RunConfig(), {}, steps, history, [(25, None)])
    rows = finished_run.loss_medians(run, 10)
    assert [(row["from"], row["to"], row["g"]) for row in rows] == [(0, 9, 4.5), (10, 19, 14.5), (20, 24, 22.0)]
    assert rows[0]["d_real_p95"] == 8.55


def test_the_command_is_told():
    better = RunConfig(ema=0.999, g_learning_rate=3e-4, seed=1, flip=True, ranks=2)
    assert finished_run.command(better) == (
        "python -m minigan.train --seed 1 --ema 0.999 --flip --g-learning-rate 0.0003"
    )
    assert finished_run.command(PRESETS["quick"]) == "python -m minigan.train --preset quick"


def test_wrong_calls_are_one_line(home, tmp_path, capsys):
    assert make_page(home, tmp_path, "a/b") == 2
    assert "NAME: must be the name of a folder" in capsys.readouterr().err
    shutil.copytree(home / "run1", tmp_path / "run1")
    shutil.rmtree(tmp_path / "run1" / "models")
    assert make_page(tmp_path, tmp_path) == 2
    assert "RUN: must keep a generator" in capsys.readouterr().err
    assert make_page(home, tmp_path, "page", "run1", "--every", "0") == 2
    assert "--every: must be at least 1, got 0" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()
    assert run_command(run_page.main, [str(home / "run1"), "page", "--commit", "xyz"]) == 2
    assert "must be 7 to 40 hexadecimal digits, got 'xyz'" in capsys.readouterr().err


# ---- A table of seeds ----


def seeds(home, out, *runs, more=()):
    words = [*(str(home / run) for run in runs), "--out", str(out), "--commit", COMMIT, *more]
    return run_command(seeds_page.main, words)


def test_a_table_of_seeds(home, tmp_path, monkeypatch):
    out = tmp_path / "seeds.md"
    assert seeds(home, out, "run1", "run2") == 0
    _, table = tables(out.read_text(encoding="utf-8"))
    assert [cell.strip() for cell in table[0]] == ["", "seed 1", "seed 2", "mean", "deviation", "real"]
    rows = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    row = next(line for line in table if line[0].strip() == "sliced Wasserstein distance")
    one, two = (each["measures"]["swd"]["value"] for each in rows)
    assert row[3].strip() == f"{(one + two) / 2:.3g}"
    assert row[4].strip() == f"{abs(one - two) / 2**0.5:.2g}"
    first = out.read_bytes()
    monkeypatch.setattr(seeds_page, "measure", None)
    assert seeds(home, out, "run1", "run2") == 0
    assert out.read_bytes() == first


def test_seeds_are_compared_at_several_moments_of_runs_of_any_length(home, tmp_path, capsys):
    shutil.copytree(home / "run2", tmp_path / "shorter")
    config = tmp_path / "shorter" / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"steps": 6', '"steps": 4'), encoding="utf-8")
    for model in (tmp_path / "shorter" / "models").glob("5_*"):
        model.unlink()
    runs = "run1", str(tmp_path / "shorter")
    out = tmp_path / "seeds.md"
    assert seeds(home, out, *runs, more=["--after", "4", "2"]) == 0
    text = out.read_text(encoding="utf-8")
    assert re.findall("^## .*", text, re.M) == ["## After 2 steps", "## After 4 steps"]
    assert "The run with seed 1 went on after step 4." in text
    assert "--steps 4 " in text
    two_moments = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert [(row["seed"], row["step"]) for row in two_moments] == [(1, 2), (2, 2), (1, 4), (2, 4)]
    assert two_moments[0]["losses"] != two_moments[2]["losses"]  # each from the steps before its own moment
    assert seeds(home, out, *runs) == 0
    assert re.findall("^## .*", out.read_text(encoding="utf-8"), re.M) == ["## After 4 steps"]
    assert seeds(home, tmp_path / "x.md", *runs, more=["--after", "6"]) == 2
    assert "must keep a generator after 6 steps" in capsys.readouterr().err
    assert not list(tmp_path.glob("x.*"))


def test_runs_that_cannot_be_compared(home, tmp_path, capsys):
    for runs, told in ((["run1"], "two or more are needed, got 1"), (["run1", "run1"], "different seeds, got 1, 1")):
        assert seeds(home, tmp_path / "x.md", *runs) == 2
        assert told in capsys.readouterr().err
    shutil.copytree(home / "run2", tmp_path / "other")
    config = tmp_path / "other" / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"ema": 0.5', '"ema": 0.4'), encoding="utf-8")
    assert seeds(home, tmp_path / "x.md", "run1", str(tmp_path / "other")) == 2
    assert "the same settings, but --ema is 0.5 and 0.4" in capsys.readouterr().err
    assert seeds(home, tmp_path / "x.txt", "run1", "run2") == 2
    assert not list(tmp_path.glob("x.*"))


# ---- The generator that comes with minigan ----


def test_the_pretrained_generator_is_made_of_a_run(home, tmp_path, drawn, capsys):
    run = tmp_path / "run"
    shutil.copytree(home / "run1", run)
    config = run / "config.json"
    told = json.loads(config.read_text(encoding="utf-8"))
    told["settings"]["data"] = None
    config.write_text(json.dumps(told), encoding="utf-8")

    def make():
        return run_command(make_pretrained.main, [str(run), "--commit", COMMIT, "--out", str(tmp_path / "out")])

    assert make() == 0
    out = tmp_path / "out"
    names = [
        "README.md",
        "config.json",
        "log.csv",
        "metrics.jsonl",
        "models/5_GENERATOR_EMA_weights_and_arch.safetensors",
    ]
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()) == names
    own, step = load_generator(run)
    half, also = load_generator(out)
    assert step == also == 6
    for name, a in half.state().items():
        np.testing.assert_allclose(a, own.state()[name], rtol=1e-3, atol=1e-7)
    first = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (out / "models" / "2_GENERATOR_EMA_weights_and_arch.safetensors").write_bytes(b"older")
    assert make() == 0
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == first
    card = (out / "README.md").read_text(encoding="utf-8")
    tables(card)
    for words in (COMMIT, "--seed 1", "6 of 4 faces", "MIT", "Rounding the kernels to float16 changes"):
        assert words in card
    told["settings"]["ema"] = 0.0
    config.write_text(json.dumps(told), encoding="utf-8")
    assert make() == 2
    assert "must be a run with --ema on drawn faces" in capsys.readouterr().err


# ---- The quick preset's candidates ----


def test_candidates_of_the_quick_preset_are_trained_measured_and_told(home, tmp_path, monkeypatch, capsys):
    told = []

    def train_little(*words):
        told.append(words)
        folder = words[words.index("--out") + 1]
        shutil.copytree(home / f"run{words[words.index('--seed') + 1]}", folder)

    yardstick = Yardstick(finished_run.open_run(home / "run1").images, samples=70)
    monkeypatch.setattr(quick_preset, "call", train_little)
    monkeypatch.setattr(quick_preset, "open_images", lambda *_, **__: None)
    monkeypatch.setattr(quick_preset, "Yardstick", lambda *_, **__: _WithKinds(yardstick))
    words = ["runs", "--runs", str(tmp_path / "runs"), "--seeds", "1", "2", "--only", "before", "rate"]
    for _ in range(2):
        assert run_command(quick_preset.main, [*words, "--out", str(tmp_path / "page.md")]) == 0
    assert len(told) == 4  # the second time nothing is trained
    assert ["0.0003" in words for words in told] == [False, True] * 2
    (table,) = tables((tmp_path / "page.md").read_text(encoding="utf-8"))
    assert [row[0].strip() for row in table[2:]] == ["before", "rate"]
    numbers = json.loads((tmp_path / "page.json").read_text(encoding="utf-8"))
    values = [row["measures"]["ema"]["swd"]["value"] for row in numbers["rows"] if row["name"] == "rate"]
    assert f"{np.mean(values):.1f} ({', '.join(f'{v:.1f}' for v in values)})" in table[3][8]


def test_the_last_session_of_a_resumed_run_says_only_what_is_new():
    begun = {"started": "10:00", "from_step": 0, "versions": {"numpy": "2"}, "machine": {"cores": 2}}
    about = {"sessions": [begun, {"started": "11:00", "from_step": 150}]}
    assert finished_run.last_session(about) == {**begun, "started": "11:00", "from_step": 150}
