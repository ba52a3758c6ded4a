"""GANs small enough for a test: their inputs, and every number that training can change."""

import numpy as np

from minigan.gan.step import draw_inputs
from minigan.nn.backend import NUMPY
from minigan.runs import checkpoint

SMALL = {"image_size": 32, "width": 4}
B = 4


def inputs_of(step, where=NUMPY):
    real = np.random.default_rng(step).uniform(-1, 1, (B, 32, 32, 3)).astype(np.float32)
    return draw_inputs(real, 5, step, where)


def state_of(networks, where=NUMPY):
    """Every saved number of a GAN, on the host."""
    return {
        f"{part}.{name}": where.to_host(a).copy()
        for part, own in checkpoint._parts(networks).items()
        for name, a in own.items()
    }


def assert_same(a, b):
    assert a.keys() == b.keys()
    assert [name for name in a if not np.array_equal(a[name], b[name])] == []
