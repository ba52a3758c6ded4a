"""How good are the faces? Four measures that need only the training images.

*Sliced Wasserstein distance*: do small pieces of the samples look like those of real images, size by size? *Diversity*:
are two samples as different from each other as two real images? *Nearest training image*: are samples copies? And for
drawn faces (`minigan.data.drawn.modes`): does every hair colour and hair style appear, and as often as it should?

A number alone means nothing. Therefore each measure is also taken of real images. Two halves of them are chosen, each
as many as there are samples, and one half is measured against the other. A perfect generator would score the same. If
two scores differ by no more than the two halves do, that is chance. `Yardstick` prepares the real images once, so that
a run can be measured again and again while it trains.

Everything random is a function of the seed (purpose "metrics"), so equal weights give equal numbers. The measures go to
evaluation.json (`minigan.evaluate`) and to metrics.jsonl (`minigan.training.trainer`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from minigan.data.drawn import modes
from minigan.data.image_set import ImageSet
from minigan.evaluation.samples import draw_faces
from minigan.gan.models import NOISE_SIZE
from minigan.nn.backend import Array, Backend
from minigan.nn.network import Sequential
from minigan.nn.rng import stream
from minigan.system.errors import UserError

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

LEAST, MOST = 64, 10_000
"""Fewest and most samples that can be measured."""

_CHUNK = 250  # images in memory at a time
_PYRAMID_CHUNK = 50  # of the same, where each is split into several

# Each use of the seed has its own place in the stream.
_CHOICE, _NOISE, _PATCHES, _DIRECTIONS = 0, 1, 100, 200


@dataclass(frozen=True)
class Measurement:
    """One measure of the samples, beside the same measure of real images.

    Attributes
    ----------
    value : float
        Of the samples.
    real : float
        Of real images in place of the samples; a perfect generator would score the same.
    noise : float
        How much the values of two halves of the real images differ. A smaller difference is chance. For a distance
        between two sets it is `real` itself.
    """

    value: float
    real: float
    noise: float

    def to_dict(self) -> dict[str, float]:
        """As a dict for JSON, with six digits: later digits may depend on the number of threads."""
        return {name: float(f"{number:.6g}") for name, number in asdict(self).items()}


# ---------------------------------------------------------------------------------------------------------------------
# Samples.
# ---------------------------------------------------------------------------------------------------------------------


def draw_samples(generator: Sequential, count: int, seed: int, backend: Backend) -> Images | None:
    """Draw faces to measure, from noise that depends only on the seed.

    Parameters
    ----------
    generator : Sequential
        On the backend; used in inference mode and left as it is.
    count : int
    seed : int
    backend : Backend

    Returns
    -------
    numpy.ndarray of shape (count, S, S, 3), uint8, or None
        None if the generator draws NaN.
    """
    noise = stream(seed, "metrics", _NOISE).standard_normal((count, 1, 1, NOISE_SIZE), np.float32)
    return draw_faces(generator, noise, backend, batch_size=_CHUNK)


# ---------------------------------------------------------------------------------------------------------------------
# Sliced Wasserstein distance.
# ---------------------------------------------------------------------------------------------------------------------

PATCH = 7
COARSEST = 16
"""Side of the smallest image of the pyramid."""

_MOST_PATCHES = 1 << 16  # per level; the more images, the fewer patches of each
_PATCHES_PER_IMAGE = 128
_REPEATS, _SLICES = 4, 128


def pyramid_sides(side: int) -> list[int]:
    """Sides of a Laplacian pyramid's levels, the finest first.

    >>> pyramid_sides(64)
    [64, 32, 16]
    """
    return [side] if side < 2 * COARSEST else [side, *pyramid_sides(side // 2)]


def laplacian_pyramid(images: Floats) -> list[Floats]:
    """Split images by the size of what they show: first fine lines, then coarser shapes, last a small image.

    Parameters
    ----------
    images : numpy.ndarray of shape (N, S, S, 3)

    Returns
    -------
    list of numpy.ndarray
        Of shapes (N, S, S, 3), (N, S/2, S/2, 3), ..., down to a side of 16 to 31. All but the last are differences
        between an image and its smaller version.
    """
    levels = []
    while images.shape[1] >= 2 * COARSEST:
        smaller = _blur(_blur(images, 1), 2)[:, ::2, ::2]  # (N, S/2, S/2, 3)
        levels.append(images - _enlarged(_enlarged(smaller, 1), 2))
        images = smaller
    return [*levels, images]


_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def _blur(images: Floats, axis: int, weight: float = 1.0) -> Floats:
    """Binomial blur along one axis; the border is mirrored."""
    pad = [(0, 0)] * images.ndim
    pad[axis] = (2, 2)
    padded = np.pad(images, pad, mode="reflect")
    length = images.shape[axis]
    blurred = np.zeros_like(images)
    for k, share in enumerate(_BINOMIAL):
        blurred += np.float32(weight * share) * padded.take(range(k, k + length), axis=axis)
    return blurred


def _enlarged(images: Floats, axis: int) -> Floats:
    """Make images twice as long along one axis: zeros are put in between, and the blur fills them."""
    shape = list(images.shape)
    shape[axis] *= 2
    spread_out = np.zeros(shape, images.dtype)
    spread_out[(slice(None),) * axis + (slice(None, None, 2),)] = images
    return _blur(spread_out, axis, 2.0)


def _descriptors(images: Images, seed: int) -> list[Floats]:
    """Random 7x7 patches of every level, (patches, 147), each channel with mean 0 and standard deviation 1."""
    N, S = images.shape[:2]
    sides = pyramid_sides(S)
    each = max(1, min(_PATCHES_PER_IMAGE, _MOST_PATCHES // N))
    corners = [
        stream(seed, "metrics", _PATCHES + k).integers(0, side - PATCH + 1, (2, N, each))
        for k, side in enumerate(sides)
    ]
    found = [np.empty((N, each, 3, PATCH, PATCH), np.float32) for _ in sides]
    for a in range(0, N, _PYRAMID_CHUNK):
        part = slice(a, a + _PYRAMID_CHUNK)
        for level, (y, x), patches in zip(
            laplacian_pyramid(images[part].astype(np.float32)), corners, found, strict=True
        ):
            windows = np.lib.stride_tricks.sliding_window_view(level, (PATCH, PATCH), axis=(1, 2))  # (n, y, x, 3, 7, 7)
            patches[part] = windows[np.arange(len(level))[:, None], y[part], x[part]]
    for patches in found:
        patches -= patches.mean(axis=(0, 1, 3, 4), keepdims=True, dtype=np.float64).astype(np.float32)
        deviation = np.sqrt(np.mean(np.square(patches), axis=(0, 1, 3, 4), keepdims=True, dtype=np.float64))
        patches /= np.maximum(deviation, 1e-8).astype(np.float32)  # the deviation of images of one colour is 0
    return [patches.reshape(N * each, -1) for patches in found]


def sliced_wasserstein(a: Images, b: Images, *, seed: int = 0) -> list[float]:
    """How different the small pieces of two sets of images are, at every size.

    Parameters
    ----------
    a, b : numpy.ndarray of shape (N, S, S, 3), uint8
        Equally many of both.
    seed : int

    Returns
    -------
    list of float
        One distance per level of `pyramid_sides`, times 1000 as is usual. It is 0 for equal sets, but not for two sets
        of the same distribution: see `Measurement`.

    Notes
    -----
    The Wasserstein distance is the mean way that points must be moved to turn one cloud of points into another. In one
    dimension it is simple: sort the points of both clouds and subtract. Here a point is a patch of 7x7 pixels, 147
    numbers, of one level of the Laplacian pyramid. The points are projected on 512 random directions, and the 512
    distances are averaged. First, each colour channel is brought to mean 0 and standard deviation 1 *within each set*,
    as in the paper; so an error in overall colour or contrast does not show. The paper takes 128 patches from each of
    16,384 images; here a level has at most 65,536 patches.

    References
    ----------
    T. Karras, T. Aila, S. Laine and J. Lehtinen, "Progressive growing of GANs for improved quality, stability, and
    variation", arXiv:1710.10196, section 5.
    """
    if a.shape != b.shape:
        raise ValueError(f"sliced_wasserstein: both sets must have one shape, got {a.shape} and {b.shape}")
    ones, others = _descriptors(a, seed), _descriptors(b, seed)
    distances = []
    for k in range(len(ones)):
        one, other = ones.pop(0), others.pop(0)  # nobody else holds them, so that each level's memory is given back
        rng = stream(seed, "metrics", _DIRECTIONS + k)
        apart, away = np.empty((2, _SLICES, len(one)), np.float32)
        total = 0.0
        for _ in range(_REPEATS):
            directions = rng.standard_normal((_SLICES, one.shape[1]))
            directions /= np.linalg.norm(directions, axis=1, keepdims=True)
            slices = directions.astype(np.float32)
            # One row for each direction, so that the numbers of a sort lie together in memory.
            np.matmul(slices, one.T, out=apart)  # (128, patches)
            np.matmul(slices, other.T, out=away)
            apart.sort(axis=1)
            away.sort(axis=1)
            apart -= away
            total += float(np.abs(apart, out=apart).mean(dtype=np.float64))
        distances.append(1000 * total / _REPEATS)
    return distances


# ---------------------------------------------------------------------------------------------------------------------
# Diversity.
# ---------------------------------------------------------------------------------------------------------------------


def mean_distance(images: Images) -> float:
    """How far apart two images of a set are, pixel by pixel.

    Parameters
    ----------
    images : numpy.ndarray of shape (N, S, S, 3), uint8
        N at least 2.

    Returns
    -------
    float
        Root of the mean squared difference over all pairs, pixels and channels, in grey levels (0 to 255).

    Notes
    -----
    No pair is formed: the mean squared difference of all pairs is twice the variance. The sums are of whole numbers,
    and so they are exact.
    """
    N = len(images)
    total = np.zeros(images.shape[1:], np.int64)
    squares = np.zeros(images.shape[1:], np.int64)
    for a in range(0, N, _CHUNK):
        part = images[a : a + _CHUNK].astype(np.int64)
        total += part.sum(axis=0)
        squares += (part * part).sum(axis=0)
    variance = (squares - total * total / N) / (N - 1)
    return math.sqrt(2 * float(variance.mean()))


_MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_SSIM_WINDOW = 7


def mean_similarity(images: Images) -> float:
    """How alike two images of a set are in structure: the mean MS-SSIM of neighbours in the set, N/2 pairs.

    Parameters
    ----------
    images : numpy.ndarray of shape (N, S, S, 3), uint8
        In random order; N at least 2.

    Returns
    -------
    float
        1 if all images are equal, near 0 if they have nothing in common.

    Notes
    -----
    Two faces that differ only by a move of one pixel are far apart in pixels, but alike by this measure. It is the
    usual measure of the variety of GANs' samples. It is taken of the luminance, in uniform windows of 7x7, at the sizes
    from S down to 16, with the paper's weights for these sizes.

    References
    ----------
    Z. Wang, E. Simoncelli and A. Bovik, "Multiscale structural similarity for image quality assessment", 2003.
    A. Odena, C. Olah and J. Shlens, "Conditional image synthesis with auxiliary classifier GANs", arXiv:1610.09585.
    """
    pairs = len(images) // 2
    total = 0.0
    for a in range(0, pairs, _CHUNK):
        part = images[2 * a : 2 * min(a + _CHUNK, pairs)]
        total += float(ms_ssim(_grey(part[0::2]), _grey(part[1::2])).sum())
    return total / pairs


def _grey(images: Images) -> npt.NDArray[np.float64]:
    return images @ np.array([0.299, 0.587, 0.114])


def ms_ssim(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Multi-scale structural similarity of pairs of grey images.

    Parameters
    ----------
    a, b : numpy.ndarray of shape (N, S, S)
        0 to 255.

    Returns
    -------
    numpy.ndarray of shape (N,)
        1 for equal images.
    """
    sides = pyramid_sides(a.shape[1])
    weights = np.array(_MS_WEIGHTS[: len(sides)]) / sum(_MS_WEIGHTS[: len(sides)])
    result = np.ones(len(a))
    for side, weight in zip(sides, weights, strict=True):
        luminance, structure = _ssim_parts(a, b)
        last = side == sides[-1]
        score = (luminance * structure if last else structure).mean(axis=(1, 2))
        result *= np.maximum(score, 0) ** weight
        if not last:
            a, b = (x.reshape(len(x), side // 2, 2, side // 2, 2).mean(axis=(2, 4)) for x in (a, b))
    return result


def _ssim_parts(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> tuple[Array, Array]:
    """Luminance and contrast-structure terms of SSIM in every window."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_a, mean_b = _window_means(a), _window_means(b)
    var_a = _window_means(a * a) - mean_a * mean_a
    var_b = _window_means(b * b) - mean_b * mean_b
    covariance = _window_means(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
    return luminance, (2 * covariance + c2) / (var_a + var_b + c2)


def _window_means(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Means over all windows of 7x7, from differences of cumulative sums."""
    for axis in (1, 2):
        sums = np.cumsum(x, axis=axis)
        sums = np.insert(sums, 0, 0, axis=axis)
        length = x.shape[axis] - _SSIM_WINDOW + 1
        x = sums.take(range(_SSIM_WINDOW, _SSIM_WINDOW + length), axis=axis) - sums.take(range(length), axis=axis)
    return x / _SSIM_WINDOW**2


# ---------------------------------------------------------------------------------------------------------------------
# Nearest training image.
# ---------------------------------------------------------------------------------------------------------------------

_THUMB = 32
_NEIGHBOURS = 50
_COPY = 0.5


@dataclass(frozen=True)
class Neighbours:
    """The nearest training image of each of N images.

    Attributes
    ----------
    index : numpy.ndarray of shape (N,)
        Number of the training image.
    distance : numpy.ndarray of shape (N,)
        Root of the mean squared difference at 32x32 pixels, in grey levels (0 to 255).
    crowd : numpy.ndarray of shape (N,)
        Mean distance to the 50 nearest.
    """

    index: npt.NDArray[np.int64]
    distance: Floats
    crowd: Floats

    def copies(self) -> npt.NDArray[np.bool_]:
        """Which images are copies: the nearest training image is less than half as far as the 50 nearest on average."""
        return self.distance < _COPY * self.crowd


def nearest(images: Images, training: Images, *, own: npt.NDArray[np.int64] | None = None) -> Neighbours:
    """Find the nearest training image of every image.

    Parameters
    ----------
    images : numpy.ndarray of shape (N, S, S, 3), uint8
    training : numpy.ndarray of shape (M, S, S, 3), uint8
        May be a memory map; it is read once, a block at a time. M at least 2.
    own : numpy.ndarray of shape (N,), optional
        Only if the images are training images themselves: their numbers. An image is not its own neighbour, as if it
        had been held out.

    Returns
    -------
    Neighbours

    References
    ----------
    N. Carlini et al., "Extracting training data from diffusion models", arXiv:2301.13188, section 4: a copy is an image
    that is much nearer to one training image than to the others around it.
    """
    queries = _thumbs(images)
    centre = queries.mean(axis=0)  # subtracted, because squares of smaller numbers keep more digits
    queries -= centre
    lengths = np.einsum("nd,nd->n", queries, queries)
    K = min(_NEIGHBOURS, len(training) - (own is not None))
    best = np.full((len(queries), K), np.inf, np.float32)
    place = np.full((len(queries), K), -1, np.int64)
    block = 4 * _CHUNK
    for a in range(0, len(training), block):
        thumbs = _thumbs(training[a : a + block]) - centre
        apart = lengths[:, None] + np.einsum("md,md->m", thumbs, thumbs) - 2 * (queries @ thumbs.T)  # (N, block)
        if own is not None:
            mine = np.flatnonzero((own >= a) & (own < a + len(thumbs)))
            apart[mine, own[mine] - a] = np.inf
        both = np.concatenate([best, apart], axis=1)
        places = np.concatenate([place, np.broadcast_to(np.arange(a, a + len(thumbs)), apart.shape)], axis=1)
        kept = np.argpartition(both, K - 1, axis=1)[:, :K]
        best, place = np.take_along_axis(both, kept, axis=1), np.take_along_axis(places, kept, axis=1)
    first = best.argmin(axis=1)
    distances = np.sqrt(np.maximum(best, 0) / queries.shape[1])
    rows = np.arange(len(queries))
    return Neighbours(place[rows, first], distances[rows, first], distances.mean(axis=1))


def _thumbs(images: Images) -> Floats:
    """Images of 32x32 as rows, (N, 3072): small enough to compare all pairs, large enough to tell faces apart."""
    N, S = images.shape[:2]
    k = S // _THUMB
    small = images.reshape(N, _THUMB, k, _THUMB, k, 3).mean(axis=(2, 4), dtype=np.float32)
    return small.reshape(N, -1)


# ---------------------------------------------------------------------------------------------------------------------
# All of them.
# ---------------------------------------------------------------------------------------------------------------------


def check_count(images: ImageSet) -> None:
    """Raise UserError if there are too few images to measure anything by.

    Parameters
    ----------
    images : ImageSet
    """
    if len(images) < 2 * LEAST:
        raise UserError(
            f"at least {2 * LEAST} images are needed to measure faces against, but {images.source} holds {len(images)}"
        )


class Yardstick:
    """The real images, prepared to measure samples against.

    Parameters
    ----------
    images : ImageSet
        All training images; see `check_count`.
    samples : int
        How many samples are to be measured, at least 64. If there are fewer than twice as many images, half as many
        samples as images are used.
    seed : int
        Decides which of the real images are used.
    drawn : bool
        Whether these are minigan's drawn faces, of which the kinds can be counted.

    Attributes
    ----------
    samples : int
        How many samples `measure` needs.
    """

    def __init__(self, images: ImageSet, *, samples: int, seed: int = 0, drawn: bool = False) -> None:
        self.samples = min(samples, len(images) // 2)
        self._images, self._seed = images.images, seed
        self._chosen = stream(seed, "metrics", _CHOICE).permutation(len(images))[: 2 * self.samples]
        in_order = np.argsort(self._chosen)
        halves = np.empty((len(self._chosen), *images.images.shape[1:]), np.uint8)
        halves[in_order] = images.images[self._chosen[in_order]]  # in rising order: the images may be a memory map
        self._halves = halves[: self.samples], halves[self.samples :]
        self._reader = modes.reader(images.images.shape[1]) if drawn else None

    def measure(self, fakes: Images) -> tuple[dict[str, Measurement], Neighbours]:
        """Measure samples.

        Parameters
        ----------
        fakes : numpy.ndarray of shape (samples, S, S, 3), uint8
            In random order, as `draw_samples` returns them.

        Returns
        -------
        measures : dict of str to Measurement
            swd_64, swd_32, swd_16 (depending on the image size) and their mean swd: see `sliced_wasserstein`;
            distance, similarity (the diversity): see `mean_distance` and `mean_similarity`;
            nearest: median distance to the nearest training image, divided by that of held-out real images;
            copies: share of the samples that are copies, see `Neighbours.copies`;
            only for drawn faces: clear, modes, modes_off, hair_colours, hair_styles, skins: see
            `minigan.data.drawn.modes.count`.
        neighbours : Neighbours
            The nearest training images of the samples.
        """
        measures = self.compare(fakes)
        neighbours = nearest(fakes, self._images)
        one, other = self._real_neighbours
        usual = float(np.median(np.concatenate([one.distance, other.distance])))
        measures["nearest"] = _beside(*(_ratio(float(np.median(n.distance)), usual) for n in (neighbours, one, other)))
        measures["copies"] = _beside(*(float(n.copies().mean()) for n in (neighbours, one, other)))
        if self._reader is not None:
            counts = modes.count(self._reader.read(fakes))
            measures |= {name: _beside(value, *(c[name] for c in self._real_modes)) for name, value in counts.items()}
        return measures, neighbours

    def compare(self, fakes: Images) -> dict[str, Measurement]:
        """The sliced Wasserstein distances and the diversity only, which takes half of the time of `measure`.

        Parameters
        ----------
        fakes : numpy.ndarray of shape (samples, S, S, 3), uint8

        Returns
        -------
        dict of str to Measurement
        """
        sides = pyramid_sides(fakes.shape[1])
        distances = sliced_wasserstein(self._halves[0], fakes, seed=self._seed)
        measures = {
            f"swd_{side}": Measurement(value, real, real)
            for side, value, real in zip(sides, distances, self._real_swd, strict=True)
        }
        real = float(np.mean(self._real_swd))
        measures["swd"] = Measurement(float(np.mean(distances)), real, real)
        measures["distance"] = self._beside(mean_distance, fakes)
        measures["similarity"] = self._beside(mean_similarity, fakes)
        return measures

    def _beside(self, measure: Callable[[Images], float], fakes: Images) -> Measurement:
        key = measure.__name__
        if key not in self._real_values:
            self._real_values[key] = (measure(self._halves[0]), measure(self._halves[1]))
        return _beside(measure(fakes), *self._real_values[key])

    @cached_property
    def _real_values(self) -> dict[str, tuple[float, float]]:
        return {}

    @cached_property
    def _real_swd(self) -> list[float]:
        return sliced_wasserstein(*self._halves, seed=self._seed)

    @cached_property
    def _real_neighbours(self) -> tuple[Neighbours, Neighbours]:
        N = self.samples
        one, other = self._halves
        return (
            nearest(one, self._images, own=self._chosen[:N]),
            nearest(other, self._images, own=self._chosen[N:]),
        )

    @cached_property
    def _real_modes(self) -> tuple[dict[str, float], dict[str, float]]:
        assert self._reader is not None
        one, other = self._halves
        return modes.count(self._reader.read(one)), modes.count(self._reader.read(other))


def in_short(measures: dict[str, Measurement]) -> str:
    """The most telling measures in one line.

    Parameters
    ----------
    measures : dict of str to Measurement
        As `Yardstick.measure` returns them.
    """
    swd, distance = measures["swd"], measures["distance"]
    words = f"sliced Wasserstein distance {swd.value:.1f} (real images {swd.real:.1f})"
    if distance.real > 0:
        words += f", diversity {100 * distance.value / distance.real:.0f} % of real images'"
    if "modes" in measures:
        words += f", {measures['modes'].value:.0f} of {modes.MODES} kinds of face"
    return words


def _beside(value: float, one: float, other: float) -> Measurement:
    return Measurement(value, (one + other) / 2, abs(one - other))


def _ratio(a: float, b: float) -> float:
    """Divide a by b. If all real images are copies of each other, b is 0 and the result 1."""
    return a / b if b > 0 else 1.0
