"""`python -m minigan.export` and `python -m minigan.import_keras`: calls, names of files, and refusals."""

import pytest
import safetensors.numpy
from keras_2_files import keras_layers, random_weights, write_keras_2

from minigan import export, import_keras, sample, train
from minigan.exchange.imported_run import make_run
from minigan.gan.models import discriminator, generator
from minigan.system.cli import run_command


def call(command, *arguments):
    return run_command(command.main, [str(a) for a in arguments])


def refused(capsys, command, *arguments):
    assert call(command, *arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.fixture
def run(tmp_path):
    G, D = (random_weights(build(image_size=32, width=2)) for build in (generator, discriminator))
    make_run(tmp_path / "run", G, D, image_size=32, width=2)
    return tmp_path / "run"


def test_a_file_in_the_run(run, capsys):
    assert call(export, run, "--to", "torch") == 0
    file = run / "generator-step000000.torch.safetensors"
    assert f"{file}: the generator after 0 training steps, for torch" in capsys.readouterr().out
    assert safetensors.numpy.load_file(file)["0.weight"].shape == (100, 8, 4, 4)
    assert call(export, run, "--to", "torch", "--network", "discriminator") == 0
    assert (run / "discriminator-step000000.torch.safetensors").is_file()


def test_without_a_run_it_is_the_generator_that_comes_with_minigan(run, tmp_path, capsys, monkeypatch):
    """Its file is written in the current folder, never inside the package."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export, "pretrained_run", lambda: run)
    monkeypatch.setattr(export, "is_pretrained", lambda source: source == run)
    before = sorted(run.iterdir())
    assert call(export, "--to", "torch") == 0
    assert "The generator that comes with minigan" in capsys.readouterr().out
    assert (tmp_path / "pretrained-generator-step000000.torch.safetensors").is_file()
    assert sorted(run.iterdir()) == before


def test_a_file_of_ones_own_choice(run, tmp_path, capsys):
    out = tmp_path / "mine.safetensors"
    assert call(export, run, "--to", "torch", "--out", out) == 0
    content = out.read_bytes()
    out.write_bytes(b"precious")
    assert "exists already; --force replaces it" in refused(capsys, export, run, "--to", "torch", "--out", out)
    assert out.read_bytes() == b"precious"
    assert call(export, run, "--to", "torch", "--out", out, "--force") == 0
    assert out.read_bytes() == content


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "tensorflow"], "--to"),
        ([], "--to"),
        (["--to", "torch", "--network", "discriminator", "--raw"], "--raw"),
        (["--to", "torch", "--out", "missing/x.safetensors"], "missing"),
        (["--to", "torch", "--out", "folder.safetensors"], "exists already"),
        (["--to", "torch", "--out", "folder.safetensors", "--force"], "cannot be written"),
        (["--to", "torch", "--out", "."], "--out: must end in .safetensors with --to torch, got '.'"),
        (["--to", "onnx", "--out", "x.h5"], "--out: must end in .onnx with --to onnx, got 'x.h5'"),
        (["--to", "keras", "--out", "x.keras"], "--out: must end in .hdf5 or .h5 with --to keras, got 'x.keras'"),
    ],
)
def test_calls_that_are_refused(run, capsys, monkeypatch, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.safetensors").mkdir()
    assert words in refused(capsys, export, run, *arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.safetensors", "run"]


def test_a_run_that_is_none(tmp_path, capsys):
    assert "no such run folder" in refused(capsys, export, tmp_path / "missing", "--to", "torch")


def test_from_keras_into_a_run_and_on(tmp_path, capsys, monkeypatch):
    pytest.importorskip("h5py", reason="needs h5py: the extra exchange")
    monkeypatch.chdir(tmp_path)
    for name, build in (("G.hdf5", generator), ("D.hdf5", discriminator)):
        write_keras_2(tmp_path / name, keras_layers(random_weights(build(image_size=32, width=2))))
    assert call(import_keras, "G.hdf5", "D.hdf5", "--out", "run") == 0
    told = capsys.readouterr().out
    assert "run: a generator of 32x32 images, width 2" in told
    assert "--start-from run" in told
    assert call(sample, "run", "--n", 2, "--out", "faces.png") == 0
    assert call(train, "--start-from", "run", "--dry-run") == 0
    assert call(import_keras, "G.hdf5") == 0  # a fresh folder under runs/
    told = capsys.readouterr().out
    assert "--start-from" not in told.partition("Nothing was written (--dry-run)")[2]
    (fresh,) = (tmp_path / "runs").iterdir()
    assert call(sample, fresh, "--n", 2) == 0
    assert "needs a run with a checkpoint of both networks" in refused(capsys, train, "--start-from", fresh)
    # Back to Keras: equal weights make equal files.
    assert call(export, "run", "--to", "keras", "--out", "a.hdf5") == 0
    assert call(import_keras, "a.hdf5", "--out", "again") == 0
    assert call(export, "again", "--to", "keras", "--out", "b.hdf5") == 0
    assert (tmp_path / "a.hdf5").read_bytes() == (tmp_path / "b.hdf5").read_bytes()


def test_imports_that_are_refused(tmp_path, capsys, monkeypatch):
    pytest.importorskip("h5py", reason="needs h5py: the extra exchange")
    monkeypatch.chdir(tmp_path)
    for name, build, width in (("G.hdf5", generator, 2), ("D.hdf5", discriminator, 3)):
        write_keras_2(tmp_path / name, keras_layers(build(image_size=32, width=width)))
    (tmp_path / "there").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    for arguments, words in (
        (["G.hdf5", "D.hdf5", "--out", "x"], "must be of one size"),
        (["D.hdf5", "--out", "x"], "it holds a discriminator"),
        (["no.hdf5", "--out", "x"], "no.hdf5: there is no such file"),
        (["G.hdf5", "--out", "there"], "--out: there exists already"),
    ):
        assert words in refused(capsys, import_keras, *arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
