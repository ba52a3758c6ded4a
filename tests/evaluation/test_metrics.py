"""The measures of faces, compared with slow and plain versions, and tried on images that are known to be bad."""

import itertools
import math

import numpy as np
import pytest

from minigan.data.image_set import ImageSet
from minigan.evaluation import metrics
from minigan.evaluation.metrics import Yardstick
from minigan.gan.models import generator
from minigan.nn.backend import NUMPY
from minigan.system.errors import UserError

rng = np.random.default_rng(7)


def blobs(count, size=32, *, seed=0):
    """Images that differ from each other: a ground and two rectangles of random colours, and a little noise."""
    rng = np.random.default_rng(seed)
    pictures = np.empty((count, size, size, 3))
    for picture in pictures:
        picture[:] = rng.integers(0, 256, 3)
        for _ in range(2):
            top, left = rng.integers(0, size - 8, 2)
            picture[top : top + rng.integers(5, size), left : left + rng.integers(5, size)] = rng.integers(0, 256, 3)
    return np.clip(pictures + rng.normal(0, 6, pictures.shape), 0, 255).astype(np.uint8)


REAL = ImageSet(blobs(600), "rectangles", "00")


@pytest.fixture(autouse=True)
def _fewer_patches(monkeypatch):
    """An eighth of the patches, for speed."""
    monkeypatch.setattr(metrics, "_MOST_PATCHES", 1 << 13)


@pytest.fixture(scope="module")
def yardstick():
    return Yardstick(REAL, samples=200)


# ------------------------------------------------------------------------------------------------------------- pyramid
def mirrored(i, n):
    return -i if i < 0 else 2 * (n - 1) - i if i >= n else i


def slow_blur(image, weight=1.0):
    """The 5x5 binomial filter, pixel by pixel, with a mirrored border."""
    k = np.array([1, 4, 6, 4, 1]) / 16
    n = len(image)
    out = np.zeros_like(image)
    for y, x in itertools.product(range(n), repeat=2):
        for p, q in itertools.product(range(5), repeat=2):
            out[y, x] += weight * k[p] * k[q] * image[mirrored(y + p - 2, n), mirrored(x + q - 2, n)]
    return out


def test_pyramid_is_that_of_the_paper():
    image = rng.integers(0, 256, (32, 32, 1)).astype(np.float64)
    small = slow_blur(image)[::2, ::2]
    enlarged = np.zeros_like(image)
    enlarged[::2, ::2] = small
    levels = metrics.laplacian_pyramid(image[None].astype(np.float32))
    assert [level.shape for level in levels] == [(1, 32, 32, 1), (1, 16, 16, 1)]
    np.testing.assert_allclose(levels[1][0], small, atol=1e-3)
    np.testing.assert_allclose(levels[0][0], image - slow_blur(enlarged, 4.0), atol=1e-3)


def test_sides():
    assert metrics.pyramid_sides(128) == [128, 64, 32, 16]
    assert metrics.pyramid_sides(32) == [32, 16]


# --------------------------------------------------------------------------------------------------- sliced Wasserstein
def test_patches_are_standardised_and_come_from_the_image():
    fine, coarse = metrics._descriptors(REAL.images[:10], 0)
    assert fine.shape == coarse.shape == (10 * 128, 147)  # of so few images, as many of each as the paper takes
    for level in (fine, coarse):
        channels = level.reshape(-1, 3, 49)
        np.testing.assert_allclose(channels.mean(axis=(0, 2)), 0, atol=1e-4)
        np.testing.assert_allclose(channels.std(axis=(0, 2)), 1, atol=1e-4)
    # The pixel at (y, x) holds the numbers y and x: each patch must be 7 rows and columns that follow each other.
    y, x = np.mgrid[:16, :16]
    addresses = np.stack([y, x, 0 * x], axis=-1).astype(np.uint8)[None]
    patches = metrics._descriptors(addresses, 0)[0].reshape(-1, 3, 7, 7)
    row, column = (np.unique(np.round(np.diff(patches[:, c], axis=a), 4)) for c, a in ((0, 1), (1, 2)))
    assert len(row) == len(column) == 1
    np.testing.assert_allclose(np.diff(patches[:, 0], axis=2), 0, atol=1e-5)


def test_distance_in_one_dimension(monkeypatch):
    """With the directions known, the distance is that of sorted projections, computed here one by one."""
    monkeypatch.setattr(metrics, "_REPEATS", 1)
    monkeypatch.setattr(metrics, "_SLICES", 3)
    a, b = blobs(6, 16, seed=1), blobs(6, 16, seed=2)
    one, other = metrics._descriptors(a, 5)[0], metrics._descriptors(b, 5)[0]
    directions = metrics.stream(5, "metrics", 200).standard_normal((3, 147))
    expected = 0.0
    for direction in directions:
        unit = direction / math.sqrt(sum(direction**2))
        pairs = zip(sorted(one @ unit), sorted(other @ unit), strict=True)
        expected += np.mean([abs(p - q) for p, q in pairs]) / 3
    assert metrics.sliced_wasserstein(a, b, seed=5) == [pytest.approx(1000 * expected, rel=1e-4)]


def test_distance_of_equal_sets_is_zero_and_it_is_symmetric():
    a, b = REAL.images[:100], REAL.images[100:200]
    assert metrics.sliced_wasserstein(a, a) == [0, 0]
    assert metrics.sliced_wasserstein(a, b) == pytest.approx(metrics.sliced_wasserstein(b, a))
    with pytest.raises(ValueError, match="one shape"):
        metrics.sliced_wasserstein(a, b[:50])


def test_each_level_sees_its_own_scale():
    a, b = REAL.images[:200], REAL.images[200:400]
    chance = metrics.sliced_wasserstein(a, b)
    checkered = b.astype(int)
    checkered[:, ::2, ::2] += 25
    fine, coarse = metrics.sliced_wasserstein(a, np.clip(checkered, 0, 255).astype(np.uint8))
    assert fine > 3 * chance[0]
    assert coarse < 1.5 * chance[1]
    # What the distance cannot see, as docs/metrics.md says: each set is brought to the same mean and contrast.
    pale = (b // 2 + 100).astype(np.uint8)
    assert metrics.sliced_wasserstein(a, pale)[1] < 1.5 * chance[1]


# ----------------------------------------------------------------------------------------------------------- diversity
def test_mean_distance_is_that_of_all_pairs(monkeypatch):
    monkeypatch.setattr(metrics, "_CHUNK", 4)
    images = rng.integers(0, 256, (9, 4, 4, 3)).astype(np.uint8)
    squares = [((p.astype(float) - q) ** 2).mean() for p, q in itertools.combinations(images, 2)]
    assert metrics.mean_distance(images) == pytest.approx(math.sqrt(np.mean(squares)))
    assert metrics.mean_distance(np.repeat(images[:1], 5, axis=0)) == 0


def slow_ssim(a, b):
    """Mean contrast-structure and mean SSIM over all 7x7 windows."""
    c1, c2 = 6.5025, 58.5225
    structure, whole = [], []
    n = len(a) - 6
    for y, x in itertools.product(range(n), repeat=2):
        p, q = a[y : y + 7, x : x + 7].ravel(), b[y : y + 7, x : x + 7].ravel()
        covariance = np.cov(p, q, ddof=0)
        cs = (2 * covariance[0, 1] + c2) / (covariance[0, 0] + covariance[1, 1] + c2)
        structure.append(cs)
        whole.append(cs * (2 * p.mean() * q.mean() + c1) / (p.mean() ** 2 + q.mean() ** 2 + c1))
    return np.mean(structure), np.mean(whole)


def test_ms_ssim_against_plain_loops():
    a = rng.integers(0, 256, (1, 32, 32)).astype(float)
    b = np.clip(a + rng.normal(0, 40, a.shape), 0, 255)
    halves = [x[0].reshape(16, 2, 16, 2).mean(axis=(1, 3)) for x in (a, b)]
    fine, coarse = slow_ssim(a[0], b[0])[0], slow_ssim(*halves)[1]
    share = 0.0448 / (0.0448 + 0.2856)
    assert metrics.ms_ssim(a, b)[0] == pytest.approx(fine**share * coarse ** (1 - share), rel=1e-9)
    assert metrics.ms_ssim(a, a)[0] == pytest.approx(1)


def test_similarity_pairs_neighbours(monkeypatch):
    monkeypatch.setattr(metrics, "_CHUNK", 2)
    images = blobs(7, 16)
    expected = [
        metrics.ms_ssim(metrics._grey(images[k : k + 1]), metrics._grey(images[k + 1 : k + 2])) for k in (0, 2, 4)
    ]
    assert metrics.mean_similarity(images) == pytest.approx(np.mean(expected))
    assert metrics.mean_similarity(np.repeat(images[:1], 6, axis=0)) == pytest.approx(1)


# ---------------------------------------------------------------------------------------------- nearest training image
@pytest.mark.parametrize("own", [False, True])
def test_nearest_is_the_nearest(monkeypatch, own):
    monkeypatch.setattr(metrics, "_CHUNK", 20)  # blocks of 80, so that the 190 training images take three
    training = blobs(190, 64, seed=3)
    places = np.array([5, 80, 189, 100])
    pictures = training[places] if own else blobs(4, 64, seed=4)
    found = metrics.nearest(pictures, training, own=places if own else None)
    small = [x.reshape(-1, 32, 2, 32, 2, 3).mean(axis=(2, 4)) for x in (pictures, training)]
    for k, picture in enumerate(small[0]):
        distances = np.sqrt(((small[1] - picture) ** 2).mean(axis=(1, 2, 3)))
        if own:
            distances[places[k]] = np.inf
        order = np.argsort(distances)
        assert found.index[k] == order[0]
        assert found.distance[k] == pytest.approx(distances[order[0]], rel=1e-3)
        assert found.crowd[k] == pytest.approx(distances[order[:50]].mean(), rel=1e-3)


def test_copies_are_told_from_images_that_are_only_alike():
    copies = np.clip(REAL.images[:50] + rng.normal(0, 5, (50, 32, 32, 3)), 0, 255).astype(np.uint8)
    assert metrics.nearest(copies, REAL.images).copies().mean() > 0.9
    assert metrics.nearest(blobs(50, seed=9), REAL.images).copies().mean() < 0.1


# ------------------------------------------------------------------------------------------------------------ yardstick
def test_new_real_images_score_as_real_ones(yardstick):
    measures, neighbours = yardstick.measure(blobs(200, seed=11))
    assert len(neighbours.index) == 200
    for name in ("swd", "swd_32", "swd_16"):
        assert measures[name].value < 1.5 * measures[name].real
        assert measures[name].noise == measures[name].real
    for name in ("distance", "similarity", "nearest"):
        assert measures[name].value == pytest.approx(measures[name].real, rel=0.12)
    assert measures["copies"].value <= measures["copies"].real + 0.02
    assert "modes" not in measures


def test_a_generator_that_copies_and_one_that_collapsed(yardstick):
    copied, _ = yardstick.measure(REAL.images[:200])
    assert copied["copies"].value == 1
    assert copied["nearest"].value == 0
    collapsed, _ = yardstick.measure(np.repeat(REAL.images[:1], 200, axis=0))
    assert collapsed["distance"].value == 0
    assert collapsed["similarity"].value == pytest.approx(1)
    assert collapsed["swd"].value > 3 * collapsed["swd"].real


def test_equal_seeds_measure_equally_and_the_halves_are_disjoint(yardstick):
    fakes = blobs(200, seed=12)
    again, _ = Yardstick(REAL, samples=200).measure(fakes)
    assert again == yardstick.measure(fakes)[0]
    assert Yardstick(REAL, samples=200, seed=1).measure(fakes)[0] != again
    assert len(set(yardstick._chosen)) == 400
    np.testing.assert_array_equal(np.concatenate(yardstick._halves), REAL.images[yardstick._chosen])


def test_few_images_mean_few_samples():
    assert Yardstick(ImageSet(REAL.images[:200], "some", "00"), samples=2000).samples == 100
    few = ImageSet(REAL.images[:127], "my folder", "00")
    with pytest.raises(UserError, match=r"at least 128 images are needed .* but my folder holds 127"):
        metrics.check_count(few)


def test_one_image_many_times_is_measured_without_a_crash():
    same = ImageSet(np.repeat(REAL.images[:1], 128, axis=0), "one", "00")
    measures, _ = Yardstick(same, samples=64).measure(blobs(64))
    assert all(math.isfinite(m.value) and math.isfinite(m.real) for m in measures.values())
    assert "sliced Wasserstein" in metrics.in_short(measures)


def test_samples_depend_on_the_seed_and_broken_weights_give_none():
    G = generator(image_size=32, width=2)
    faces = metrics.draw_samples(G, 5, 1, NUMPY)
    assert faces.shape == (5, 32, 32, 3)
    np.testing.assert_array_equal(faces, metrics.draw_samples(G, 5, 1, NUMPY))
    np.testing.assert_array_equal(faces[:3], metrics.draw_samples(G, 3, 1, NUMPY))
    assert not np.array_equal(faces, metrics.draw_samples(G, 5, 2, NUMPY))
    next(iter(G.params().values()))[:] = np.nan
    assert metrics.draw_samples(G, 5, 1, NUMPY) is None
