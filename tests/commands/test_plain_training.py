"""`python -m minigan.train --plain`: the readable code alone, which gives what the fast versions give, in more time."""

import json

import numpy as np
import pytest
from PIL import Image

from minigan import train
from minigan.fast.cpu import cpu_overlay
from minigan.nn.ops import register_overlay
from minigan.nn.ops.table import NAMES
from minigan.system.cli import run_command

SMALL = ["--image-size", "32", "--width", "2", "--batch-size", "4", "--sample-every", "2", "--save-every", "3"]


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for k in range(20):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{k:02d}.png")
    return folder


def call(*arguments):
    return run_command(train.main, [str(a) for a in arguments])


def losses(run):
    return np.loadtxt(run / "log.csv", delimiter=",", skiprows=1)[:, 1:4]


def plain_setting(run):
    return json.loads((run / "config.json").read_text(encoding="utf-8"))["settings"]["plain"]


@pytest.fixture
def no_fast_versions():
    """Whatever fast version runs ends the test; in this process, so with one rank."""

    def never(*arguments, **settings):
        pytest.fail("a fast version ran")

    register_overlay("numpy", lambda backend, dtype: dict.fromkeys(NAMES, never))
    yield
    register_overlay("numpy", cpu_overlay.overlay)


def test_a_plain_run_is_written_down_and_gives_the_same_losses(image_folder, tmp_path):
    for name, option in (("fast", "--no-plain"), ("plain", "--plain")):
        out = tmp_path / name
        assert call("--data", image_folder, *SMALL, "--steps", 3, "--ranks", 2, "--out", out, option) == 0
        assert plain_setting(out) is (name == "plain")
    np.testing.assert_allclose(losses(tmp_path / "plain"), losses(tmp_path / "fast"), rtol=1e-3)


def test_nothing_of_the_fast_versions_runs(image_folder, tmp_path, no_fast_versions):
    out = tmp_path / "plain"
    options = ["--steps", 3, "--ranks", 1, "--ema", 0.5, "--translate"]
    assert call("--data", image_folder, *SMALL, *options, "--out", out, "--plain") == 0


def test_a_resumed_run_keeps_it_or_changes_it(image_folder, tmp_path):
    out = tmp_path / "run"
    assert call("--data", image_folder, *SMALL, "--steps", 2, "--out", out, "--plain") == 0
    assert call("--resume", out, "--steps", 3) == 0
    assert plain_setting(out)
    assert call("--resume", out, "--steps", 4, "--no-plain") == 0
    assert not plain_setting(out)


def test_it_cannot_be_recorded(tmp_path, capsys):
    assert call("--plain", "--cuda-graph", "--backend", "cupy", "--out", tmp_path / "run") == 2
    assert "--cuda-graph: only the fast versions can be recorded, got --plain as well" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
