"""The images of a run: opened as its settings say, and compared with those that it began with."""

import numpy as np
import pytest
from PIL import Image

from minigan.runs.config import RunConfig
from minigan.runs.training_images import counts_if_changed, image_facts, open_training_images


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "images"
    path.mkdir()
    for k in range(3):
        pixels = np.random.default_rng(k).integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(path / f"{k}.png")
    return path


def test_a_folder_that_has_moved_holds_the_same_images(folder, tmp_path):
    config = RunConfig(data=str(folder), image_size=32)
    images = open_training_images(config)
    facts = image_facts(images)
    assert (len(images), facts["count"], facts["fingerprint"]) == (3, 3, images.fingerprint)
    moved = open_training_images(config, str(folder.rename(tmp_path / "moved")))
    assert counts_if_changed(moved, {"images": facts}) is None


def test_other_images_are_noticed(folder):
    config = RunConfig(data=str(folder), image_size=32)
    about = {"images": image_facts(open_training_images(config))}
    (folder / "0.png").unlink()
    fewer = open_training_images(config)
    assert counts_if_changed(fewer, about) == "then 3, now 2"
    assert counts_if_changed(fewer, {}) is None  # a run that has not noted its images
