"""Batches in which about half of the images are mirrored: a function of seed and step, read ahead like others."""

import numpy as np
import pytest

from minigan.data.image_set import ImageSet, Prefetcher


@pytest.fixture(scope="module")
def images():
    return ImageSet(np.random.default_rng(0).integers(0, 256, (50, 6, 6, 3), np.uint8), "example", "00")


def mirrored(images, seed, step):
    """Which images of a batch are mirrored; the others must be the same as without mirroring."""
    plain, flipped = (images.batch(seed, step, 32, flip=flip) for flip in (False, True))
    found = [np.array_equal(a[:, ::-1], b) for a, b in zip(plain, flipped, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(plain, flipped, strict=True)]
    assert [not each for each in found] == same
    return found


def test_half_of_the_images_are_mirrored(images):
    assert 257 < sum(sum(mirrored(images, 3, step)) for step in range(20)) < 383  # of 640: five standard deviations


def test_mirroring_is_a_function_of_seed_and_step(images):
    assert mirrored(images, 3, 7) == mirrored(images, 3, 7)
    assert mirrored(images, 3, 7) != mirrored(images, 3, 8)
    assert mirrored(images, 3, 7) != mirrored(images, 4, 7)


def test_mirroring_leaves_the_data_set_alone(images):
    before = images.images.copy()
    images.batch(3, 0, 32, flip=True)
    np.testing.assert_array_equal(images.images, before)


def test_mirrored_batches_are_read_ahead(images):
    with Prefetcher(images, 3, 8, flip=True) as batches:
        for step in (0, 1, 2, 9):
            np.testing.assert_array_equal(batches.batch(step), images.batch(3, step, 8, flip=True))
