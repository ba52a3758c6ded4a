"""First values of the kernels: Glorot's interval, streams of their own, and the original program's generator."""

import hashlib
import math

import numpy as np
import pytest

from minigan.gan.models import discriminator, generator
from minigan.nn import original_weights
from minigan.nn.initializers import GlorotUniform
from minigan.nn.original_weights import OriginalGlorotUniform, tf_random_uniform


def test_glorot_fills_its_interval():
    for network in (discriminator(), generator()):
        for path, kernel in network.params().items():
            if path.endswith("kernel"):
                field = math.prod(kernel.shape[:-2])
                limit = math.sqrt(6 / (field * sum(kernel.shape[-2:])))
                assert 0.98 * limit < np.abs(kernel).max() <= np.float32(limit)
                assert abs(kernel.mean()) < 0.1 * limit


def test_the_nth_kernel_depends_on_the_seed_and_n_alone():
    shape = (3, 3, 2, 4)
    draw = GlorotUniform(7)
    kernels = [draw(shape) for _ in range(3)]
    np.testing.assert_array_equal(GlorotUniform(7, first=2)(shape), kernels[2])
    assert len({kernel.tobytes() for kernel in [*kernels, GlorotUniform(8)(shape)]}) == 4
    assert kernels[0].dtype == np.float32
    assert GlorotUniform(7, dtype=np.float64)(shape).dtype == np.float64


def test_the_originals_kernels_come_in_the_order_in_which_it_built_them():
    draw = OriginalGlorotUniform()
    _, _, third = (draw((4, 4, 3, size)) for size in (8, 5, 8))
    np.testing.assert_array_equal(OriginalGlorotUniform(skip=2)((4, 4, 3, 8)), third)
    assert not np.array_equal(OriginalGlorotUniform(skip=2, seed=1)((4, 4, 3, 8)), third)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_published_numbers(counter, key, expected):
    """The known answers that Random123, the library of Salmon et al., is tested with."""
    words = [np.array([int(word, 16)], np.uint64) for word in counter.split()]
    low, high = (int(word, 16) for word in key.split())
    found = original_weights._philox4x32(words, high << 32 | low)
    assert " ".join(f"{int(word[0]):08x}" for word in found) == expected


def test_uniform_numbers_are_made_of_the_low_23_bits():
    words = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    expected = [(word & 0x7FFFFF) / 2**23 for word in words]
    assert tf_random_uniform(4, 0, graph_seed=0).tolist() == expected
    assert tf_random_uniform(3, 0, graph_seed=0).tolist() == expected[:3]
    assert tf_random_uniform(9, 5)[:8].tolist() == tf_random_uniform(8, 5).tolist()


SHA1 = {
    "D": {
        "0.kernel": "1ded74effaa9bae3b0970032829854c308b80cb9",
        "2.kernel": "353ad68888320ce5f75893d27b53b7de5f6becc1",
        "5.kernel": "3c9da6b6fe9ed5835281a8d1e569c6bf9d7a32e1",
        "8.kernel": "53c72feec879e552fe8361e0dda97dda74afb461",
        "12.kernel": "058d98eba0b16699734659895c2a841797eb70d1",
    },
    "G": {
        "0.kernel": "b5ea8e6732ddbe333b329afecc6a055d1339bb1b",
        "3.kernel": "c1f80681fcb13535713c5b8d9b0f2c341c8c7b58",
        "6.kernel": "4559793384fc54b79304af1427f63933a48d3eba",
        "9.kernel": "835aec511b3e09b5bc2d0f10f22b23f45773bc7f",
        "12.kernel": "af5517952b99781f0b6055134aea3ab4837b739e",
        "15.kernel": "d878d8319bfb36552d03f01dbfa98909ae14a61b",
    },
}


@pytest.mark.parametrize(("which", "path", "expected"), [(n, path, sha) for n in "DG" for path, sha in SHA1[n].items()])
def test_original_weights_are_bit_exact(which, path, expected):
    network = {"D": discriminator, "G": generator}[which](init="original")
    assert hashlib.sha1(network.params()[path].tobytes()).hexdigest() == expected
