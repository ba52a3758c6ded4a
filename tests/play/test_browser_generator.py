"""The generator as JavaScript gets it: the format is read again here, slowly, with NumPy."""

import numpy as np
import pytest
from explored import trained

from minigan.gan.models import channels_at, generator
from minigan.nn.rng import stream
from minigan.play.browser_generator import pack


def draw(plan, numbers, z):
    """One image in [-1, 1], as minigan/play/browser_generator.py says that it is drawn."""
    floats = sum(2 * product["filters"] for product in plan)
    affine, kernels = np.frombuffer(numbers[: 4 * floats], "<f4"), np.frombuffer(numbers[4 * floats :], "<f2")
    x = z.reshape(1, 1, -1)
    for product in plan:
        C, O, S = product["channels"], product["filters"], product["side"]
        taps = {"dense": 16, "up": 16, "conv": 9}[product["kind"]]
        factors, summands, affine = affine[:O], affine[O : 2 * O], affine[2 * O :]
        w, kernels = kernels[: taps * C * O].astype(np.float32), kernels[taps * C * O :]
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        if product["kind"] == "dense":
            y = (x.ravel() @ w.reshape(C, 16 * O)).reshape(4, 4, O)
        elif product["kind"] == "conv":
            w = w.reshape(3, 3, C, O)
            y = sum(padded[p : p + S, q : q + S] @ w[p, q] for p in range(3) for q in range(3))
        else:
            w, y = w.reshape(2, 2, 2, 2, C, O), np.empty((S, S, O), np.float32)
            for a in range(2):
                for b in range(2):
                    taps = [(p, q) for p in range(2) for q in range(2)]
                    y[a::2, b::2] = sum(
                        padded[a + p : a + p + S // 2, b + q : b + q + S // 2] @ w[a, b, p, q] for p, q in taps
                    )
        x = y * factors + summands
        x = np.tanh(x) if product["slope"] is None else np.where(x > 0, x, product["slope"] * x)
    assert affine.size == kernels.size == 0
    return x


@pytest.mark.parametrize(("image_size", "width"), [(32, 1), (32, 5), (64, 3), (64, 8), (128, 2)])
def test_what_the_format_says_draws_the_same(image_size, width):
    network = trained(image_size, width)
    plan, numbers = pack(network)
    z = stream(1, "pictures").standard_normal((1, 1, 1, 100), np.float32)
    expected = network.predict(z)[0]
    np.testing.assert_allclose(draw(plan, numbers, z), expected, atol=1 / 255)
    assert np.abs(expected).max() > 0.05
    assert [product["side"] for product in plan][-1] == image_size
    assert plan[0]["filters"] == channels_at(4, image_size=image_size, width=width)


def test_kernels_of_any_size_fit_into_float16():
    network = generator(image_size=32, width=2)
    for name, array in network.params().items():
        if name.endswith("kernel"):
            array *= 1e8 if name.startswith("0.") else 1e-8
    network.params()["9.kernel"].fill(0)
    _, numbers = pack(network)
    plan, _ = pack(network)
    kernels = np.frombuffer(numbers, "<f2")[2 * sum(2 * product["filters"] for product in plan) :]
    assert np.isfinite(kernels).all()
    assert np.abs(kernels).max() < 2
    assert np.isfinite(draw(plan, numbers, np.ones(100, np.float32))).all()


def test_the_articles_generator_fits_into_a_folder_of_8_megabytes():
    _, numbers = pack(generator())
    assert 7_200_000 < len(numbers) < 7_300_000
