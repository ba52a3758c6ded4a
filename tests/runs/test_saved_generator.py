"""Loading a generator: the newest of a run, its average, or the one in a file."""

import numpy as np
import pytest

from minigan.gan.step import build_gan
from minigan.runs import checkpoint
from minigan.runs.config import RunConfig, to_json
from minigan.runs.layout import CONFIG_NAME, model_name
from minigan.runs.saved_generator import load_discriminator, load_generator
from minigan.system.errors import UserError


@pytest.fixture
def run(tmp_path):
    """A run that keeps an average, whose weights differ from the generator's."""
    gan = build_gan(image_size=32, width=1, ema=0.9)
    gan.average.network.params()["0.kernel"][...] += 1
    (tmp_path / "checkpoints").mkdir()
    for step in (2, 4):
        checkpoint.save_checkpoint(tmp_path / "checkpoints", gan, step=step, image_size=32, width=1)
    config = RunConfig(image_size=32, width=1, ema=0.9)
    (tmp_path / CONFIG_NAME).write_text(to_json(config, {}), encoding="utf-8")
    for name in ("generator", "discriminator"):
        checkpoint.save_network(tmp_path / name, getattr(gan, name), image_size=32, width=1, step=3)
    return tmp_path, gan


def kernel(network):
    return network.params()["0.kernel"]


def test_the_average_draws_unless_the_raw_generator_is_asked_for(run):
    folder, gan = run
    for raw, expected in ((False, gan.average.network), (True, gan.generator)):
        network, step = load_generator(folder, raw=raw)
        assert step == 4
        np.testing.assert_array_equal(kernel(network), kernel(expected))


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(run, capsys):
    folder, _ = run
    (folder / "checkpoints" / "step-000004.safetensors").write_bytes(b"x")
    assert load_generator(folder)[1] == 2
    assert "warning: step-000004.safetensors cannot be read" in capsys.readouterr().err


def test_a_file_of_weights(run):
    folder, gan = run
    network, step = load_generator(folder / "generator")
    assert step == 3
    np.testing.assert_array_equal(kernel(network), kernel(gan.generator))


def test_what_is_no_generator(run):
    folder, _ = run
    (folder / "text").write_bytes(b"hello")
    for source, options, message in (
        ("discriminator", {}, "holds a discriminator, but faces are drawn by a generator"),
        ("generator", {"raw": True}, "--raw: chooses between the generators of a run"),
        ("text", {}, "text cannot be read"),
        ("nowhere", {}, "no such run folder"),
    ):
        with pytest.raises(UserError, match=message):
            load_generator(folder / source, **options)


def test_without_checkpoints_the_newest_kept_generator_draws(run):
    folder, gan = run
    (folder / "models").mkdir()
    for step, network, kind in (
        (3, gan.generator, "GENERATOR"),
        (3, gan.average.network, "GENERATOR_EMA"),
        (1, gan.generator, "GENERATOR_EMA"),
    ):
        path = folder / "models" / model_name(step, kind)
        checkpoint.save_network(path, network, image_size=32, width=1, step=step + 1)
    (folder / "models" / "notes.txt").write_text("mine", encoding="utf-8")
    assert load_generator(folder)[1] == 4
    (folder / "checkpoints").rename(folder / "elsewhere")
    for raw, expected in ((False, gan.average.network), (True, gan.generator)):
        network, step = load_generator(folder, raw=raw)
        assert step == 4
        np.testing.assert_array_equal(kernel(network), kernel(expected))


def test_without_checkpoints_what_is_not_kept_is_named(run):
    folder, gan = run
    (folder / "models").mkdir()
    (folder / "checkpoints").rename(folder / "elsewhere")
    average = folder / "models" / model_name(3, "GENERATOR_EMA")
    checkpoint.save_network(average, gan.average.network, image_size=32, width=1, step=4)
    with pytest.raises(UserError, match=r"^--raw: takes the generator itself, but .* has kept only its average$"):
        load_generator(folder, raw=True)
    with pytest.raises(UserError, match=r"holds a generator and no discriminator$"):
        load_discriminator(folder)
    kept = folder / "models" / model_name(3, "DISCRIMINATOR")
    checkpoint.save_network(kept, gan.discriminator, image_size=32, width=1, step=4)
    network, step = load_discriminator(folder)
    assert (network.name, step) == ("discriminator", 4)
    np.testing.assert_array_equal(network.params()["0.kernel"], gan.discriminator.params()["0.kernel"])


def test_half_precision(run):
    """Kernels are kept in float16, the rest as it is; what is loaded is float32, and draws nearly the same."""
    folder, gan = run
    path = folder / "half"
    checkpoint.save_network(path, gan.generator, image_size=32, width=1, step=3, half=True)
    network, step = load_generator(path)
    assert step == 3
    for name, a in network.state().items():
        assert a.dtype == np.float32
        own = gan.generator.state()[name]
        np.testing.assert_array_equal(a, own.astype(np.float16) if name.endswith(".kernel") else own)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match="half"):
        load_generator(path)
