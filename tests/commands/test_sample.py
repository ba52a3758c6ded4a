"""`python -m minigan.sample`: grids, interpolation strips, and calls that are refused."""

import numpy as np
import pytest
from PIL import Image

from minigan import sample, train
from minigan.evaluation.samples import random_noise
from minigan.pages.plots import to_uint8
from minigan.play.face_text import face_text, rounded_noise, weights_hash
from minigan.runs.saved_generator import load_generator
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


@pytest.mark.parametrize("count", [0, -1, 101])
def test_fresh_statistics_of_so_many_batches_are_refused(run, count, capsys):
    assert call(run, "--fresh-statistics", count) == 2
    assert f"--fresh-statistics: must be between 1 and 100, got {count}" in capsys.readouterr().err


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


def texts_of(source, seed, count):
    """Texts of random faces, and these faces as they are drawn from the texts."""
    generator, _ = load_generator(source)
    noise = rounded_noise(random_noise(seed, count))
    return [face_text(z, weights_hash(generator)) for z in noise], to_uint8(generator.predict(noise))


def test_faces_of_texts(run, tmp_path, capsys):
    texts, faces = texts_of(run, 3, 3)
    assert call(run, "--like", texts[0], f"http://127.0.0.1:80/#{texts[1]}", "--like", texts[2]) == 0
    (image,) = run.glob("sample-step000004-like*-n3.png")
    with Image.open(image) as opened:
        drawn = np.asarray(opened.convert("RGB"))[::2, ::2]
    for k, face in enumerate(faces):
        top, left = 2 + k // 2 * 34, 2 + k % 2 * 34
        difference = drawn[top : top + 32, left : left + 32].astype(int) - face
        assert np.abs(difference).max() <= 1  # the last digits may depend on the batch
    assert call(run, "--like", *texts[:2]) == 0  # other texts have another file
    assert len(list(run.glob("sample-*-like*"))) == 2


def test_texts_that_cannot_be_drawn(run, tmp_path, capsys):
    (text, *_), _ = texts_of(run, 3, 1)
    other = text[:4] + ("0" if text[4] != "0" else "1") + text[5:]
    for given, words in ((text[:-3], "cut"), (other, "other weights"), ("hello", "must begin with mg1-")):
        assert call(run, "--like", given, "--out", tmp_path / "x.png") == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_for_each_face(run, tmp_path, capsys):
    texts, faces = texts_of(run, 3, 2)
    assert call(run, "--like", *texts, "--separate", tmp_path / "new") == 0
    assert f"{tmp_path / 'new'}: 2 faces" in capsys.readouterr().out
    files = sorted((tmp_path / "new").iterdir())
    assert [file.name for file in files] == ["face-0001.png", "face-0002.png"]
    for file, face in zip(files, faces, strict=True):
        with Image.open(file) as image:
            assert np.abs(np.asarray(image).astype(int) - face).max() <= 1
    before = [file.read_bytes() for file in files]
    assert call(run, "--separate", tmp_path / "new") == 2
    assert "--separate: must be a new folder" in capsys.readouterr().err
    assert [file.read_bytes() for file in files] == before


def test_a_kept_generator(run, tmp_path, capsys):
    saved = run / "models" / "1_GENERATOR_weights_and_arch.safetensors"
    assert call(run, "--step", 2, "--n", 4, "--out", tmp_path / "a.png") == 0
    assert "after 2 training steps" in capsys.readouterr().out
    assert call(saved, "--n", 4, "--out", tmp_path / "b.png") == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert call(run, "--step", 3) == 2
    assert "has generators after 2, 4 steps, got 3" in capsys.readouterr().err
    assert call(saved, "--step", 2) == 2
    assert "--step: chooses between the generators of a run" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".png", ".gif"])
def test_a_film_goes_from_one_face_to_another_and_back(run, tmp_path, suffix):
    assert call(run, "--film", "--n", 6, "--out", tmp_path / f"film{suffix}") == 0
    frames = []
    with Image.open(tmp_path / f"film{suffix}") as film:
        for k in range(film.n_frames):
            film.seek(k)
            frames.append(np.asarray(film.convert("RGB"))[4::8, 4::8])
    assert frames[0].shape == (32, 32, 3)
    # The strip of 4 is the way there: the film shows it, and the two in the middle again on the way back.
    assert call(run, "--interpolate", "--n", 4, "--out", tmp_path / "strip.png") == 0
    with Image.open(tmp_path / "strip.png") as image:
        strip = np.asarray(image.convert("RGB"))[::2, ::2]
    way = [strip[2:34, 2 + 34 * k : 34 + 34 * k] for k in range(4)]
    for frame, face in zip(frames, [*way, way[2], way[1]], strict=True):
        assert np.abs(frame.astype(int) - face).max() <= (1 if suffix == ".png" else 60)


def test_a_film_over_the_faces_of_texts(run, tmp_path):
    texts, _ = texts_of(run, 3, 3)
    assert call(run, "--like", *texts, "--film", "--n", 3, "--out", tmp_path / "film.png") == 0
    assert call(run, "--like", *texts, "--interpolate", "--n", 3, "--out", tmp_path / "strip.png") == 0
    with Image.open(tmp_path / "film.png") as film:
        assert film.n_frames == 3
    with Image.open(tmp_path / "strip.png") as image:
        assert image.size == size(3, 1)


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
        (["--film", "--interpolate"], "--film: does not go together with --interpolate"),
        (["--film", "--separate", "x"], "--film: does not go together with --separate"),
        (["--film", "--out", "x.jpg"], "--out: must end in one of .png, .gif, .webp, got 'x.jpg'"),
        (["--film", "--n", 1001], "--n: must be between 2 and 1000, got 1001"),
        (["--separate", "x", "--out", "y.png"], "--separate: does not go together with --out"),
        (["--separate", "x", "--force"], "--separate: does not go together with --force"),
        (["--separate", "no/such/x"], "--separate: the folder no/such does not exist"),
        (["--like", "mg1-", "--seed", 0], "--like: does not go together with --seed"),
        (["--like", "mg1-", "--n", 4], "--like: does not go together with --n"),
        (["--like", "mg1-", "--fresh-statistics", 2], "--like: does not go together with --fresh-statistics"),
        (["--like", "mg1-", "--film"], "--like: a way needs 2 texts or more, got 1"),
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
