"""The options for better training (--ema, --flip, --translate, --g-learning-rate): resumed, refused, and shown."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from equal_runs import assert_equal_runs, files_of
from PIL import Image
from places import ROOT
from small_gans import assert_same, state_of

from minigan import evaluate, sample, train
from minigan.data.open import open_images
from minigan.evaluation import metrics, run_report
from minigan.gan.augment import draw_moves
from minigan.gan.step import build_gan, draw_inputs, train_step
from minigan.nn.rng import stream
from minigan.pages import plots
from minigan.runs import checkpoint, config
from minigan.system.cli import run_command
from minigan.system.workers import one_blas_thread, using_workers

SIZES = ["--image-size", 32, "--width", 2, "--batch-size", 4, "--sample-every", 2, "--save-every", 3]
OPTIONS = ["--ema", 0.9, "--flip", "--translate", "--g-learning-rate", 0.0003]


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for k in range(130):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{k:03d}.png")
    return folder


def call(*arguments, main=train.main):
    return run_command(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def six(image_folder, tmp_path_factory):
    """Six steps with all options."""
    out = tmp_path_factory.mktemp("runs") / "six"
    assert call("--data", image_folder, *SIZES, *OPTIONS, "--steps", 6, "--out", out) == 0
    return out


@pytest.fixture(scope="module")
def plain(image_folder, tmp_path_factory):
    """Six steps with none."""
    out = tmp_path_factory.mktemp("runs") / "plain"
    assert call("--data", image_folder, *SIZES, "--steps", 6, "--out", out) == 0
    return out


def test_a_run_with_all_options_can_be_computed_by_hand(image_folder, six):
    """Batches, moves, learning rate, and images drawn by the average; on one core, as a run on one rank."""
    with using_workers(1), one_blas_thread():
        compute_by_hand(image_folder, six)


def compute_by_hand(image_folder, six):
    networks = build_gan(image_size=32, width=2, seed=1337, ema=0.9, g_learning_rate=0.0003)
    images = open_images(image_folder, image_size=32, progress=False)
    fixed = stream(1337, "pictures").standard_normal((64, 1, 1, 100), np.float32)
    rows = np.loadtxt(six / "log.csv", delimiter=",", skiprows=1)
    for step in range(6):
        inputs = draw_inputs(images.batch(1337, step, 4, flip=True), 1337, step)
        result = train_step(networks, inputs, draw_moves(4, 32, 1337, step))
        np.testing.assert_allclose(rows[step, 1:], result.metrics, rtol=1e-7)
    tensors, _ = checkpoint.load_tensors(six / "checkpoints" / "step-000006.safetensors")
    networks.painter()
    assert_same(tensors, state_of(networks))
    faces = np.repeat(np.repeat(plots.grid(networks.painter().predict(fixed[:16]), columns=4), 2, axis=0), 2, axis=1)
    with Image.open(six / "images" / "0005fixed_image.png") as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), faces)
    saved, done = checkpoint.load_network(six / "models" / "5_GENERATOR_EMA_weights_and_arch.safetensors")
    assert done == 6
    assert_same(saved.state(), networks.average.network.state())
    raw, _ = checkpoint.load_network(six / "models" / "5_GENERATOR_weights_and_arch.safetensors")
    assert_same(raw.state(), networks.generator.state())


def test_options_are_off_by_default(image_folder, plain, tmp_path):
    """A run with all options explicitly off is the same run, byte for byte."""
    off = ["--ema", 0, "--no-flip", "--no-translate", "--g-learning-rate", 0.00015]
    assert call("--data", image_folder, *SIZES, *off, "--steps", 6, "--out", tmp_path / "off") == 0
    assert_equal_runs(plain, tmp_path / "off")
    assert not list((plain / "models").glob("*EMA*"))


def test_the_average_alone_changes_its_images_only(image_folder, plain, tmp_path):
    out = tmp_path / "ema"
    assert call("--data", image_folder, *SIZES, "--ema", 0.9, "--steps", 6, "--out", out) == 0
    with_, without = files_of(out), files_of(plain)
    differ = {name for name in without if with_[name] != without[name]}
    drawn = {f"images/{step:04d}fixed_image.png" for step in (0, 2, 4, 5)} | {"faces.png", "faces.gif"}
    assert differ == drawn | {"config.json", *(f"checkpoints/step-00000{step}.safetensors" for step in (3, 6))}
    assert with_.keys() - without.keys() == {
        f"models/{step}_GENERATOR_EMA_weights_and_arch.safetensors" for step in (2, 5)
    }


def test_resumed_run_equals_an_uninterrupted_one(image_folder, six, tmp_path):
    """Resumed between two checkpoints; the next test resumes at a checkpoint."""
    out = tmp_path / "resumed"
    assert call("--data", image_folder, *SIZES, *OPTIONS, "--steps", 4, "--out", out) == 0
    assert call("--resume", out, "--steps", 6) == 0
    assert_equal_runs(six, out, checkpoints_of="000006")


def test_a_resumed_run_removes_what_is_later_than_its_checkpoint(image_folder, six, tmp_path):
    out = tmp_path / "cut"
    assert call("--data", image_folder, *SIZES, *OPTIONS, "--steps", 3, "--out", out) == 0
    (out / "models" / "5_GENERATOR_EMA_weights_and_arch.safetensors").write_bytes(b"half")
    (out / "models" / "8_GENERATOR_EMA_weights_and_arch.safetensors").write_bytes(b"from a future")
    assert call("--resume", out, "--steps", 6) == 0
    assert_equal_runs(six, out)


@pytest.mark.parametrize(
    ("option", "own"),
    [
        (["--ema", "0.99"], "0.9, got 0.99"),
        (["--ema", "0"], "0.9, got 0.0"),
        (["--no-flip"], "True, got False"),
        (["--no-translate"], "True, got False"),
        (["--g-learning-rate", "1e-4"], "0.0003, got 0.0001"),
    ],
)
def test_resumed_run_keeps_its_options(six, capsys, option, own):
    assert call("--resume", six, "--steps", 7, *option) == 2
    error = capsys.readouterr().err
    name = option[0].replace("--no-", "--")
    assert error == f"minigan: error: {name}: a resumed run keeps its own value, {own}; start a new run for another\n"


def test_runs_of_earlier_versions_have_the_options_off(plain, tmp_path):
    about = json.loads((plain / "config.json").read_text(encoding="utf-8"))
    for name in ("ema", "flip", "translate", "g_learning_rate"):
        del about["settings"][name]
    (tmp_path / "config.json").write_text(json.dumps(about), encoding="utf-8")
    assert config.read_config(tmp_path / "config.json")[0] == config.read_config(plain / "config.json")[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ema", "1"], "--ema: must be between 0 and 0.99999, got 1.0"),
        (["--ema", "-0.1"], "--ema: must be between 0 and 0.99999, got -0.1"),
        (["--ema", "nan"], "argument --ema: must be a number, got 'nan'"),
        (["--ema", "much"], "argument --ema: must be a number, got 'much'"),
        (["--ema", "٠"], "argument --ema: must be a number, got '٠'"),
        (["--ema"], "argument --ema: expected one argument"),
        (["--flip", "yes"], "unrecognized arguments: yes"),
        (["--g-learning-rate", "0"], "--g-learning-rate: must be between 1e-06 and 0.01, got 0.0"),
        (["--g-learning-rate", "inf"], "argument --g-learning-rate: must be a number, got 'inf'"),
        (["--translate=8"], "argument --translate/--no-translate: ignored explicit argument '8'"),
    ],
)
def test_bad_values_are_refused_in_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not list(tmp_path.iterdir())


def test_dry_run_prints_the_options(capsys):
    assert call("--dry-run", *OPTIONS) == 0
    told = capsys.readouterr().out.split()
    for name, value in (("ema", "0.9"), ("flip", "True"), ("translate", "True"), ("g_learning_rate", "0.0003")):
        assert told[told.index(name) + 1] == value


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_sample_draws_with_the_average_or_without(six, tmp_path, capsys):
    models = {
        kind: six / "models" / f"5_{kind}_weights_and_arch.safetensors" for kind in ("GENERATOR", "GENERATOR_EMA")
    }
    sources = {
        "run": [six],
        "raw": [six, "--raw"],
        "file": [models["GENERATOR_EMA"]],
        "raw file": [models["GENERATOR"]],
    }
    drawn = {}
    for name, source in sources.items():
        assert call(*source, "--n", 4, "--out", tmp_path / f"{name}.png", main=sample.main) == 0
        drawn[name] = pixels(tmp_path / f"{name}.png")
    np.testing.assert_array_equal(drawn["run"], drawn["file"])
    np.testing.assert_array_equal(drawn["raw"], drawn["raw file"])
    assert not np.array_equal(drawn["run"], drawn["raw"])
    capsys.readouterr()
    assert call(models["GENERATOR"], "--raw", main=sample.main) == 2
    assert "--raw: chooses between the generators of a run" in capsys.readouterr().err


def test_raw_makes_no_difference_for_a_run_without_an_average(plain, tmp_path):
    for name, option in (("a", []), ("b", ["--raw"])):
        assert call(plain, "--n", 4, *option, "--out", tmp_path / f"{name}.png", main=sample.main) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_evaluation_says_which_generator_drew_the_faces(six, tmp_path, capsys):
    values = {}
    for name, option in (("ema", []), ("raw", ["--raw"])):
        (tmp_path / name).mkdir()
        assert call(six, "--samples", 64, *option, "--out", tmp_path / name, main=evaluate.main) == 0
        told = capsys.readouterr().out
        assert ("64 samples of the generator's average beside" in told) == (name == "ema")
        result = json.loads((tmp_path / name / "evaluation.json").read_text(encoding="utf-8"))
        assert result["generator"] == name
        values[name] = result["measures"]["swd"]["value"]
    assert values["ema"] != values["raw"]


def page(run, tmp_path, evaluation=None):
    copy = shutil.copytree(run, tmp_path / "copy", dirs_exist_ok=True)
    if evaluation is not None:
        measures = {"swd": {"value": 9.0, "real": 1.0, "noise": 1.0}}
        row = {"step": 6, "samples": 64, "measures": measures, **evaluation}
        (copy / "evaluation.json").write_text(json.dumps(row), encoding="utf-8")
    run_report.renew(copy)
    return (copy / "report.html").read_text(encoding="utf-8")


def test_report_says_that_the_average_draws(six, plain, tmp_path):
    told = page(six, tmp_path, {"generator": "ema"})
    assert "drawn with the average of the generator’s weights (<code>--ema 0.9</code>)" in told
    assert "64 faces after 6 steps, drawn by the generator’s average" in told
    assert "64 samples of the generator’s average after 6 steps" in told
    assert "<code>--translate</code>" in told
    assert "64 samples of the generator itself after 6 steps" in page(six, tmp_path, {"generator": "raw"})
    assert "average of the generator" not in page(plain, tmp_path, {})


def test_metrics_are_measured_on_the_average(image_folder, tmp_path, monkeypatch):
    seen = []
    plain_draw = metrics.draw_samples
    monkeypatch.setattr(metrics, "draw_samples", lambda g, *rest: (seen.append(g), plain_draw(g, *rest))[1])
    out = tmp_path / "run"
    assert call("--data", image_folder, *SIZES, "--ema", 0.9, "--steps", 2, "--metrics-every", 2, "--out", out) == 0
    (drawn_by,) = seen
    tensors, _ = checkpoint.load_tensors(out / "checkpoints" / "step-000002.safetensors")
    np.testing.assert_array_equal(drawn_by.params()["0.kernel"], tensors["average.0.kernel"])
    assert not np.array_equal(tensors["average.0.kernel"], tensors["generator.0.kernel"])


def test_whole_run_on_the_device_double(image_folder, six, tmp_path, double):
    out = tmp_path / "device"
    options = [*OPTIONS, "--sample-every", 100, "--save-every", 100, "--backend", "cupy"]
    assert call("--data", image_folder, *SIZES, *options, "--steps", 6, "--out", out) == 0
    log, expected = (np.loadtxt(run / "log.csv", delimiter=",", skiprows=1) for run in (out, six))
    np.testing.assert_allclose(log[:3], expected[:3], rtol=5e-3)
    on_device, host = (
        checkpoint.load_tensors(run / "checkpoints" / "step-000006.safetensors")[0] for run in (out, six)
    )
    assert on_device.keys() == host.keys()
    assert float(on_device["average.updates"]) == 6


@pytest.mark.thorough
def test_benchmark_of_the_options(tmp_path):
    """The script that makes the table: it trains every variant, measures both generators, and keeps the results."""
    script = ROOT / "benchmarks" / "options.py"
    command = [sys.executable, str(script), "--quick", "--runs", str(tmp_path / "runs"), "--results", str(tmp_path)]
    for _ in range(2):  # the second time it finds all runs done
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    first, second = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(tmp_path.glob("options-*.json")))
    assert first["rows"] == second["rows"]
    assert [row["arm"] for row in first["rows"]] == list(first["arms"])
    for row in first["rows"]:
        assert row["measures"]["raw"]["swd"]["value"] != row["measures"]["ema"]["swd"]["value"]
