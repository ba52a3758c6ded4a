"""A new run begins with the networks of another."""

import json

import numpy as np
import pytest
from PIL import Image

from minigan import train
from minigan.gan.step import build_gan
from minigan.runs.saved_generator import load_gan
from minigan.runs.starting_point import size_of_networks, start_from
from minigan.system.cli import run_command
from minigan.system.errors import UserError

SMALL = ("--width", "2", "--batch-size", "4", "--ranks", "1")


def call(*arguments):
    return run_command(train.main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for k in range(4):
        Image.new("RGB", (32, 32), (60 * k, 99, 0)).save(folder / f"{k}.png")
    return folder


@pytest.fixture(scope="module")
def run(data):
    out = data.parent / "first"
    assert call("--data", data, "--image-size", 32, *SMALL, "--steps", 2, "--out", out) == 0
    return out


def weights(gan):
    return {**gan.generator.state(), **{f"D {n}": a for n, a in gan.discriminator.state().items()}}


def test_a_run_of_no_steps_more_has_the_same_networks(run, data, tmp_path):
    """Image size and width come from the other run, and win over the preset's."""
    out = tmp_path / "second"
    args = ("--preset", "quick", "--start-from", run, "--data", data, "--batch-size", 4, "--ranks", 1)
    before = weights(load_gan(run)[0])
    assert call(*args, "--steps", 1, "--out", out) == 0
    about = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert (about["settings"]["image_size"], about["settings"]["width"]) == (32, 2)
    assert about["started_from"] == str(run.resolve())
    after, gan = weights(load_gan(out)[0]), load_gan(out)[0]
    # One step of Adam moves each weight by about its learning rate at most; other first weights would be far away.
    for name in before:
        if name.endswith("kernel"):
            assert 0 < np.abs(after[name] - before[name]).max() < 1e-3, name
    assert (gan.g_optimizer.t, gan.d_optimizer.t) == (1, 2)
    assert all(np.array_equal(a, b) for a, b in zip(before.values(), weights(load_gan(run)[0]).values(), strict=True))


def test_the_average_begins_at_the_generator(run):
    gan = build_gan(image_size=32, width=2, ema=0.9, seed=5)
    start_from(gan, run)
    other, _ = load_gan(run)
    for name, array in other.generator.params().items():
        np.testing.assert_array_equal(gan.generator.params()[name], array)
        np.testing.assert_array_equal(gan.average.network.params()[name], array)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--width", 4], "--width: the networks of"),
        (["--image-size", 64], "--image-size: the networks of"),
        (["--resume", "x"], "--start-from: a resumed run has its networks"),
    ],
)
def test_what_does_not_go_together(run, data, tmp_path, capsys, arguments, words):
    rest = [] if "--resume" in arguments else ["--out", tmp_path / "out", "--data", data]
    assert call("--start-from", run, *arguments, *rest) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_run_without_a_discriminator(run, tmp_path):
    (tmp_path / "config.json").write_bytes((run / "config.json").read_bytes())
    with pytest.raises(UserError, match=r"needs a run with a checkpoint of both networks, and .* has none"):
        size_of_networks(tmp_path, {})
    with pytest.raises(UserError, match="no such run folder"):
        size_of_networks(tmp_path / "missing", {})
