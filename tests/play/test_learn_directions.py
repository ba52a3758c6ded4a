"""`python -m minigan.play.learn_directions`: what it writes, and calls that are refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from minigan import train
from minigan.play import direction_learning, learn_directions
from minigan.play.direction_learning import Effort, tables
from minigan.play.direction_strips import save_strips
from minigan.play.directions import FILE_NAME, Direction, directions_of, moved, read_directions, read_file
from minigan.play.face_questions import QUESTIONS
from minigan.play.face_text import weights_hash
from minigan.runs.config import PRESETS
from minigan.runs.saved_generator import load_generator
from minigan.system.cli import run_command

SMALL = ["--image-size", "32", "--width", "2", "--batch-size", "4", "--save-every", "2", "--steps", "2", "--ranks", "1"]


def call(*arguments):
    return run_command(learn_directions.main, [str(a) for a in arguments])


@pytest.fixture(autouse=True)
def _with_little_effort(monkeypatch):
    effort = Effort(drawn=160, fresh=20, steps=2, widths=(2, 3), learned_from=120, measured_on=20)
    monkeypatch.setattr(learn_directions, "EFFORT", effort)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("learn") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "quick", replace(PRESETS["quick"], faces=160))
        assert run_command(train.main, [*SMALL, "--preset", "quick", "--out", str(out)]) == 0
    return out


def test_directions_of_a_run(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(direction_learning, "is_clear", lambda *_: True)  # this generator knows nothing
    own = tmp_path / "run"
    shutil.copytree(run, own)
    picture = tmp_path / "strips.png"
    assert call(own, "--picture", picture, "--threads", 1) == 0
    generator, _ = load_generator(own)
    weights, directions = read_directions(own / FILE_NAME)
    assert weights == weights_hash(generator)
    assert [d.name for d in directions_of(generator, own)] == [d.name for d in directions]
    vectors = np.stack([d.vector for d in directions])
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(len(vectors)), atol=2e-3)
    measured = read_file(own / FILE_NAME)["measured"]
    assert [s["name"] for s in measured["sliders"]] == [q.name for q in QUESTIONS]
    assert [s["name"] for s in measured["sliders"] if s["shown"]] == [d.name for d in directions]
    assert all(len(s["accuracy"]) == 2 for s in measured["sliders"])
    out = capsys.readouterr().out
    assert tables(measured) in out
    assert f"{own / FILE_NAME}: {len(directions)} sliders of {len(QUESTIONS)} questions, after 2 training steps" in out
    with Image.open(picture) as image:
        assert image.size == (160 + 10 * 34 + 8 + 60, 34 * len(directions))


def test_a_file_elsewhere(run, tmp_path, capsys):
    there = tmp_path / "there.json"
    there.write_text("mine", encoding="utf-8")
    assert call(run, "--out", there) == 2
    assert capsys.readouterr().err == f"minigan: error: --out: {there} exists already; --force replaces it\n"
    assert there.read_text(encoding="utf-8") == "mine"
    assert call(run, "--out", there, "--force") == 0
    assert read_directions(there)[0] != ""
    assert not (run / FILE_NAME).exists()


def test_of_the_pretrained_generator_the_file_lies_in_the_package(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(learn_directions, "pretrained_run", lambda: run)
    monkeypatch.setattr(learn_directions, "is_pretrained", lambda source: source == run)
    monkeypatch.setattr(learn_directions, "PRETRAINED", tmp_path / "package.json")
    assert call() == 0
    assert (tmp_path / "package.json").is_file()
    assert not (run / FILE_NAME).exists()
    assert "package.json: " in capsys.readouterr().out


def test_the_same_call_learns_the_same(run, tmp_path):
    for name in ("a.json", "b.json"):
        assert call(run, "--out", tmp_path / name, "--threads", 1) == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_run_on_other_images_is_refused(run, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(run, out)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    config["settings"]["data"] = "photographs"
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert call(out) == 2
    assert capsys.readouterr().err == (
        f"minigan: error: RUN: must have learned from drawn faces, but {out} learned from other images\n"
    )
    assert not (out / FILE_NAME).exists()


def test_an_imported_run_is_refused(run, tmp_path, capsys):
    """Its networks may have learned from anything."""
    out = tmp_path / "run"
    shutil.copytree(run, out)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    del config["images"]
    config["imported"] = {"files": ["G.hdf5"]}
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert call(out) == 2
    assert f"but {out} was imported, and its images are not known\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--out", "a.txt"], "--out: must be a .json file in a folder that exists, got a.txt"),
        (["--out", "none/a.json"], "--out: must be a .json file in a folder that exists"),
        (["--out", "."], "--out: must be a .json file in a folder that exists, got ."),
        (["--picture", "a.gif"], "--picture: must be a .png file in a folder that exists, got a.gif"),
        (["--threads", "0"], "--threads"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_learned(run, capsys, arguments, told):
    assert call(run, *arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_no_run_is_told(tmp_path, capsys):
    assert call(tmp_path) == 2
    assert capsys.readouterr().err.count("\n") == 1


# ---- The strips ----


class Brightness:
    """Grey images; the first number of the noise is the brightness."""

    def predict(self, x):
        return np.broadcast_to(np.clip(x[:, :, :, :1] / 10, -1, 1), (len(x), 8, 8, 3))

    def output_shape(self):
        return 8, 8, 3


def test_the_strips_go_from_no_to_yes(tmp_path):
    vector = np.zeros(100, np.float32)
    vector[0] = 1
    save_strips(tmp_path / "strips.png", Brightness(), [Direction("light", "dark", "light", vector)])
    with Image.open(tmp_path / "strips.png") as image:
        row = np.asarray(image.convert("L"))[4, 164:].astype(int)
    for face in range(2):
        stops = row[face * 58 : face * 58 + 50 : 10]
        assert (np.diff(stops) > 10).all()
    assert moved(np.ones(100), vector, 0).tolist() == pytest.approx([1] * 100)
