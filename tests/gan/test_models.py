"""The two networks: parameter counts, sizes, seeds, and the whole network's gradient."""

import numpy as np
import pytest
from numeric_gradients import directional_error

from minigan.gan.models import channels_at, discriminator, generator
from minigan.nn.layers import BatchNormalization, Conv2D, Conv2DTranspose
from minigan.nn.network import Sequential


def test_parameter_counts_are_the_articles():
    assert discriminator().count() == (2_766_529, 1_792)
    assert generator().count() == (3_614_723, 2_048)


@pytest.mark.parametrize("build", [discriminator, generator])
def test_first_weights_of_ones_own(build):
    shapes = []
    network = build(image_size=32, width=2, init=lambda shape: shapes.append(shape) or np.full(shape, len(shapes)))
    kernels = [p for path, p in network.params().items() if path.endswith("kernel")]
    assert [k.shape for k in kernels] == shapes
    assert [k.flat[0] for k in kernels] == list(range(1, len(kernels) + 1))


def test_rows_of_the_topology_tables():
    counts = [Sequential([layer], input_shape=()).count() for layer in discriminator().layers if layer.params]
    assert [a + b for a, b in counts] == [3136, 131_200, 512, 524_544, 1024, 2_097_664, 2048, 8193]
    counts = [Sequential([layer], input_shape=()).count() for layer in generator().layers if layer.params]
    assert [a + b for a, b in counts] == [
        819_712, 2048, 2_097_408, 1024, 524_416, 512, 131_136, 256, 36_928, 256, 3075,
    ]  # fmt: skip


def test_numbers_of_trainable_tensors():
    assert len(discriminator().params()) == 16
    assert len(generator().params()) == 22


@pytest.mark.parametrize("image_size", [32, 64, 128])
@pytest.mark.parametrize("width", [1, 3, 16])
def test_other_sizes_follow_the_rule(image_size, width):
    D, G = discriminator(image_size=image_size, width=width), generator(image_size=image_size, width=width)
    assert D.output_shape() == (1,)
    assert G.output_shape() == (image_size, image_size, 3)
    for network, kind in ((D, Conv2D), (G, Conv2DTranspose)):
        shape = network.input_shape
        for layer in network.layers:
            shape = layer.output_shape(shape)
            if isinstance(layer, kind) and shape[-1] != 3:
                assert shape[2] == min(8 * width, width * image_size // (2 * shape[0]))
    x = np.zeros((2, 1, 1, 100), np.float32)
    fakes = G.predict(x)
    assert fakes.shape == (2, image_size, image_size, 3)
    assert D.predict(fakes).shape == (2, 1)


def test_channels_stop_at_eight_widths():
    assert [channels_at(r, image_size=128, width=64) for r in (64, 32, 16, 8, 4)] == [64, 128, 256, 512, 512]
    assert [channels_at(r, image_size=32, width=64) for r in (16, 8, 4)] == [64, 128, 256]


def test_weights_depend_on_the_seed_and_on_nothing_else():
    a, c = discriminator(seed=1), discriminator(seed=2)
    G = generator(seed=1)
    b = discriminator(seed=1)  # after others: nothing that was built before may matter
    for path, p in a.params().items():
        np.testing.assert_array_equal(p, b.params()[path])
    assert not np.array_equal(a.params()["0.kernel"], c.params()["0.kernel"])
    kernels = [p.reshape(-1)[:8] for n in (a, G) for k, p in n.params().items() if "kernel" in k]
    ratios = {tuple(np.round(k / np.abs(k).max(), 5)) for k in kernels}
    assert len(ratios) == len(kernels)  # no two kernels are one stream at two scales


@pytest.mark.parametrize("build", [discriminator, generator])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 48}, "image_size must be one of 32, 64, 128, got 48"),
        ({"width": 0}, "width must be between 1 and 512, got 0"),
        ({"init": "zeros"}, "init must be one of glorot, original, got 'zeros'"),
        ({"init": "original", "width": 32}, "for image size 64, width 64 and float32 only"),
        ({"init": "original", "dtype": np.float64}, "float32 only"),
        ({"seed": -1}, "seed must be between 0 and 4294967295, got -1"),
    ],
)
def test_refused_arguments(build, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


@pytest.mark.parametrize("build", [discriminator, generator])
def test_whole_networks_gradient(build):
    """Every parameter of a narrow network, in float64; kinks are rare enough to miss at h = 1e-6."""
    network = build(image_size=32, width=2, dtype=np.float64)
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, BatchNormalization):
            layer.params["beta"][...] = rng.standard_normal(layer.params["beta"].shape)
    x = rng.standard_normal((3, *network.input_shape))
    paths = list(network.params())

    def f(x, *values):
        kept = {path: p.copy() for path, p in network.params().items()}
        for path, value in zip(paths, values, strict=True):
            network.params()[path][...] = value
        y, _ = network.forward(x, training=True, update_stats=False)
        for path, p in network.params().items():
            p[...] = kept[path]
        return y

    y, caches = network.forward(x, training=True, update_stats=False)
    dy = rng.standard_normal(y.shape)
    dx = network.backward(dy, caches, input_grad=True)
    arguments = [x, *(p.copy() for p in network.params().values())]
    gradients = [dx, *network.grads().values()]
    assert directional_error(f, arguments, gradients, dy, rng, h=1e-6, probes=1) < 1e-5
