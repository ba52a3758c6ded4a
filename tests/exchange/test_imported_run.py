"""Runs made of networks that come from elsewhere."""

import json

import numpy as np
import pytest
from keras_2_files import random_weights

from minigan.exchange.imported_run import make_run
from minigan.gan.models import discriminator, generator
from minigan.runs.saved_generator import load_discriminator, load_gan, load_generator
from minigan.system.errors import UserError


def networks():
    return [
        random_weights(build(image_size=32, width=2), seed) for seed, build in enumerate((generator, discriminator))
    ]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.state().values(), b.state().values(), strict=True))


def test_both_networks_become_a_run_at_step_0(tmp_path):
    G, D = networks()
    make_run(tmp_path / "new" / "run", G, D, image_size=32, width=2, files=[tmp_path / "G.hdf5", tmp_path / "D.hdf5"])
    loaded, step = load_generator(tmp_path / "new" / "run")
    assert step == 0
    assert same(loaded, G)
    assert same(load_discriminator(tmp_path / "new" / "run")[0], D)
    gan, _ = load_gan(tmp_path / "new" / "run")
    assert gan.g_optimizer.t == gan.d_optimizer.t == 0
    about = json.loads((tmp_path / "new" / "run" / "config.json").read_text(encoding="utf-8"))
    assert about["imported"] == {"files": ["G.hdf5", "D.hdf5"]}
    assert (about["settings"]["image_size"], about["settings"]["width"]) == (32, 2)


def test_a_generator_alone_can_draw(tmp_path):
    G, _ = networks()
    make_run(tmp_path / "run", G, None, image_size=32, width=2)
    assert same(load_generator(tmp_path / "run")[0], G)
    with pytest.raises(UserError, match="no checkpoint"):
        load_gan(tmp_path / "run")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for both in networks(), (networks()[0], None):
        with pytest.raises(UserError, match="--out"):
            make_run(tmp_path / "file" / "run", *both, image_size=32, width=2)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
