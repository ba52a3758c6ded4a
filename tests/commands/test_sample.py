"""`python -m minigan.sample`: grids, interpolation strips, and calls that are refused."""

import numpy as np
import pytest
from PIL import Image

from minigan import sample, train
from minigan.system.cli import run_command


def call(*arguments):
    return run_command(sample.main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    data = folder / "data"
    data.mkdir()
    for k in range(8):
        Image.new("RGB", (32, 32), (30 * k, 99, 0)).save(data / f"{k}.png")
    out = folder / "run"
    small = ["--image-size", "32", "--width", "2", "--batch-size", "4", "--save-every", "2", "--steps", "4"]
    assert run_command(train.main, ["--data", str(data), *small, "--out", str(out)]) == 0
    return out


def size(columns, rows, S=32):
    return 2 * (columns * (S + 2) + 2), 2 * (rows * (S + 2) + 2)


def test_default_grid(run, capsys):
    assert call(run) == 0
    picture = run / "sample-step000004-seed0-n64.png"
    assert f"{picture}: 64 faces after 4 training steps" in capsys.readouterr().out
    with Image.open(picture) as image:
        assert image.size == size(8, 8)


def test_by_default_nothing_that_differs_is_replaced(run, tmp_path):
    """Each step, and each of the saved generators of a step, has an image of its own; the same call draws the same."""
    small = [
        "--data",
        run.parent / "data",
        "--image-size",
        32,
        "--width",
        2,
        "--batch-size",
        4,
        "--save-every",
        2,
        "--ema",
        "0.5",
    ]
    out = tmp_path / "run"
    assert run_command(train.main, [str(a) for a in (*small, "--steps", 2, "--out", out)]) == 0
    sources = [out, *(out / "models").glob("1_GENERATOR*")]
    assert len(sources) == 3

    def drawn():
        for source in sources:
            assert call(source, "--n", 4) == 0
        return {path: path.read_bytes() for path in [*out.glob("sample-*"), *(out / "models").glob("*.png")]}

    first = drawn()
    assert len(first) == 3
    assert drawn() == first
    assert run_command(train.main, ["--resume", str(out), "--steps", "4"]) == 0
    second = drawn()
    assert len(second) == 4
    assert first.items() < second.items()
    for option in (["--raw"], ["--interpolate"], ["--seed", 1], ["--n", 5], ["--fresh-statistics", 2]):
        assert call(out, "--n", 4, *option) == 0
    assert len(list(out.glob("*-step000004-*.png"))) == 6


def test_a_name_with_a_line_break_is_told_in_one_line(run, tmp_path, capsys):
    odd = tmp_path / "a\nb"
    odd.mkdir()
    assert call(run, "--n", 1, "--out", odd / "x.png") == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_same_seed_same_image(run, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert call(run, "--n", 5, "--seed", seed, "--out", tmp_path / f"{name}.png") == 0
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_fresh_statistics_depend_on_the_weights_alone(run, tmp_path):
    """They draw other faces than the statistics of training do, and always the same."""
    for name, options in (("a", []), ("b", ["--fresh-statistics", 3]), ("c", ["--fresh-statistics", 3])):
        assert call(run, "--n", 5, *options, "--out", tmp_path / f"{name}.png") == 0
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a != b == c


@pytest.mark.parametrize("count", [0, -1, 1001])
def test_fresh_statistics_of_so_many_batches_are_refused(run, count, capsys):
    assert call(run, "--fresh-statistics", count) == 2
    assert f"--fresh-statistics: must be between 1 and 1000, got {count}" in capsys.readouterr().err


def test_more_faces_than_one_batch(run, tmp_path):
    assert call(run, "--n", 70, "--out", tmp_path / "all.png") == 0
    with Image.open(tmp_path / "all.png") as image:
        assert image.size == size(9, 8)
        left, top = 2 * (69 % 9 * 34 + 2), 2 * (69 // 9 * 34 + 2)
        last = np.asarray(image.convert("RGB"))[top : top + 64, left : left + 64]
    assert (last != 255).any()  # the seventieth face is there


def test_interpolation_depends_on_the_seed(run, tmp_path):
    for seed in (0, 1):
        assert call(run, "--interpolate", "--seed", seed, "--out", tmp_path / f"{seed}.png") == 0
    assert (tmp_path / "0.png").read_bytes() != (tmp_path / "1.png").read_bytes()


def test_saved_generator_and_run_draw_alike(run, tmp_path):
    saved = run / "models" / "3_GENERATOR_weights_and_arch.safetensors"
    assert call(run, "--n", 4, "--out", tmp_path / "a.png") == 0
    assert call(saved, "--n", 4, "--out", tmp_path / "b.png") == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_interpolation_strip(run, tmp_path):
    assert call(run, "--interpolate", "--n", 7, "--out", tmp_path / "strip.png") == 0
    with Image.open(tmp_path / "strip.png") as image:
        assert image.size == size(7, 1)


def test_no_other_file_is_replaced(run, tmp_path, capsys):
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"mine")
    assert call(run, "--n", 1, "--out", photo) == 2
    assert f"--out: {photo} exists already; --force replaces it" in capsys.readouterr().err
    assert photo.read_bytes() == b"mine"
    assert call(run, "--n", 1, "--out", photo, "--force") == 0
    assert photo.read_bytes() != b"mine"


def test_damaged_checkpoint_falls_back(run, tmp_path, capsys):
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "checkpoints" / "step-000004.safetensors").write_bytes(b"x")
    assert call(copy, "--n", 1) == 0
    captured = capsys.readouterr()
    assert "going back" in captured.err
    assert "1 face after 2 training steps" in captured.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n", 0], "--n: must be between 1 and 10000, got 0"),
        (["--n", 10**9], "got 1000000000"),
        (["--interpolate", "--n", 1], "--n: must be between 2 and 10000, got 1"),
        (["--seed", -1], "--seed: must be between 0 and 4294967295, got -1"),
        (
            ["--out", "faces.txt"],
            "--out: must end in one of .png, .jpg, .jpeg, .webp, .gif, .bmp, .tif, .tiff, got 'faces.txt'",
        ),
        (["--out", "no/such/folder/x.png"], "does not exist"),
    ],
)
def test_bad_arguments(run, arguments, message, capsys):
    assert call(run, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("kind", ["missing", "no run", "discriminator", "text"])
def test_bad_sources(run, tmp_path, capsys, kind):
    source = {
        "missing": tmp_path / "nothing",
        "no run": tmp_path,
        "discriminator": run / "models" / "3_DISCRIMINATOR_weights_and_arch.safetensors",
        "text": run / "training_log.txt",
    }[kind]
    assert call(source) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert source.name in error
