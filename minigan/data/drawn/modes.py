"""Which kinds of face a generator makes, read from its images: only for drawn faces.

It is known how drawn faces are made, so three things can be read from an image. *Hair colour*: the painter uses
fourteen colours, each a little warmer or cooler, lighter or darker, and always with the same lighter tone for the shine
and the same darker tone for the shade. The colour whose three tones together cover the most of the hair is taken.
*Skin* is read in the same way, on the cheeks. Both are wrong on one of several thousand drawn faces. *Hair style* is a
shape, so it is learned: when the colour is known, every pixel gets a value for how near it is to each of the hair's
tones. A linear map from these values to the style is fitted to drawn faces whose styles are known. It is right on 99 of
100 faces of 64 pixels that it was not fitted to.

A *mode* is one hair colour with one hair style. There are 168 modes, equally frequent in the data. An image counts only
if it is *clear*: its colours must cover at least a third as much of hair and skin as they do on drawn faces. All drawn
faces are clear, and noise never is. Of drawn faces that are blurred or stained until half of them are unclear, the hair
colour of the clear ones is still read correctly in 96 of 100.

References
----------
Counting the modes of data whose kinds are known: L. Metz, B. Poole, D. Pfau and J. Sohl-Dickstein, "Unrolled generative
adversarial networks", arXiv:1611.02163 (stacked digits).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from minigan.data.drawn.face_parts import SKINS
from minigan.data.drawn.face_set import open_drawn_faces
from minigan.data.drawn.faces import FACTOR_PROBABILITIES, FACTOR_VALUES, face_factors, hair_tones
from minigan.data.drawn.painter import skin_tones

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

FIT_SEED = 1
"""Seed of the faces that the reader is fitted to; runs are trained on other faces."""

FITTED, HELD_OUT = 4_000, 1_000
"""How many faces the reader is fitted to, and on how many more its accuracy is measured."""

COLOURS, STYLES, SKIN_TONES = (FACTOR_VALUES[name] for name in ("hair_colour", "hair_style", "skin"))
MODES = len(COLOURS) * len(STYLES)

_CROWN, _CHEEKS = (0.08, 0.32, 0.2, 0.8), (0.5, 0.8, 0.25, 0.75)  # top, bottom, left, right, in sides of the image
_COLOUR_TOLERANCE, _SHAPE_TOLERANCE = 16.0, 30.0  # in grey levels, 0 to 255
_VARIANTS = [(warmth, depth) for depth in (-1, -0.5, 0, 0.5, 1) for warmth in (-1, 0, 1)]
_MAP = 16
_RIDGE = 0.1
_CLEAR = 1 / 3
_CHUNK = 250


@dataclass(frozen=True)
class Reading:
    """What was read from N images.

    Attributes
    ----------
    hair_colour, hair_style, skin : numpy.ndarray of shape (N,)
        Indices in `COLOURS`, `STYLES` and `SKIN_TONES`.
    clear : numpy.ndarray of shape (N,)
        Whether the values of this image can be trusted.
    """

    hair_colour: Labels
    hair_style: Labels
    skin: Labels
    clear: npt.NDArray[np.bool_]


class Reader:
    """Reads hair colour, hair style and skin from images.

    Parameters
    ----------
    images : numpy.ndarray of shape (N, S, S, 3), uint8
        Drawn faces, to which the reading of hair styles is fitted; S a multiple of 16.
    styles : numpy.ndarray of shape (N,)
        Their hair styles, as indices in `STYLES`.
    """

    def __init__(self, images: Images, styles: Labels) -> None:
        palettes = [hair_tones(colour, *variant) for colour in COLOURS for variant in _VARIANTS]
        self._hair = np.array([(t.base, t.light, t.shade, t.line) for t in palettes], np.float32)
        self._skins = np.array([[skin_tones(SKINS[name]).base] for name in SKIN_TONES], np.float32)
        self._thresholds = (0.0, 0.0)
        self._mean, self._weights = np.zeros(4 * _MAP * _MAP, np.float32), np.zeros((0, len(STYLES)), np.float32)
        parts = [self._look(images[a : a + _CHUNK]) for a in range(0, len(images), _CHUNK)]
        maps = np.concatenate([part.maps for part in parts])
        hair, skin = (
            np.concatenate(scores) for scores in zip(*((p.hair_score, p.skin_score) for p in parts), strict=True)
        )
        self._thresholds = float(_CLEAR * np.median(hair)), float(_CLEAR * np.median(skin))
        # Ridge regression to one indicator for each of the twelve styles.
        self._mean = maps.mean(axis=0)
        maps = maps - self._mean
        products = maps.T @ maps
        products[np.diag_indices_from(products)] += _RIDGE * products.trace() / len(products)
        indicators = np.eye(len(STYLES), dtype=np.float32)[styles]
        self._weights = np.linalg.solve(products, maps.T @ (indicators - indicators.mean(axis=0)))

    def read(self, images: Images) -> Reading:
        """Read images.

        Parameters
        ----------
        images : numpy.ndarray of shape (N, S, S, 3), uint8
            S as in the images that the reader was fitted to; N at least 1.

        Returns
        -------
        Reading
        """
        parts = [self._look(images[a : a + _CHUNK]) for a in range(0, len(images), _CHUNK)]
        styles = [((part.maps - self._mean) @ self._weights).argmax(axis=1) for part in parts]
        hair, skin = self._thresholds
        return Reading(
            hair_colour=np.concatenate([part.hair for part in parts]) // len(_VARIANTS),
            hair_style=np.concatenate(styles),
            skin=np.concatenate([part.skin for part in parts]),
            clear=np.concatenate([(part.hair_score >= hair) & (part.skin_score >= skin) for part in parts]),
        )

    def _look(self, images: Images) -> _Look:
        crown, cheeks = _pixels(images, _CROWN), _pixels(images, _CHEEKS)
        tones = [_coverage(crown, self._hair[:, k]) for k in range(3)]  # base, light, shade; lines are too thin
        # All three tones must be there, so shares are multiplied; a small addend keeps a missing tone from giving 0.
        hair = np.prod([tone + 0.5 / crown.shape[1] for tone in tones], axis=0).argmax(axis=1)
        rows = np.arange(len(images))
        covered = _coverage(cheeks, self._skins[:, 0])
        skin = covered.argmax(axis=1)
        nearness = np.stack([_nearness(images, tone) for tone in self._hair[hair].swapaxes(0, 1)], axis=-1)
        N, S = images.shape[:2]
        maps = nearness.reshape(N, _MAP, S // _MAP, _MAP, S // _MAP, 4).mean(axis=(2, 4)).reshape(N, -1)
        return _Look(hair, sum(tone[rows, hair] for tone in tones), skin, covered[rows, skin], maps)


@dataclass(frozen=True)
class _Look:
    """Intermediate results of reading some images."""

    hair: Labels  # index of the palette
    hair_score: Floats  # share of the crown that has the colours of this palette
    skin: Labels
    skin_score: Floats
    maps: Floats  # (N, 16 * 16 * 4): how near each part of the image is to each of the hair's four tones


def _pixels(images: Images, place: tuple[float, float, float, float]) -> Floats:
    """Pixels of a part of every image, (N, P, 3); of large images only every second or fourth."""
    S = images.shape[1]
    top, bottom, left, right = (int(at * S) for at in place)
    every = max(1, S // 32)
    return images[:, top:bottom:every, left:right:every].reshape(len(images), -1, 3).astype(np.float32)


def _coverage(pixels: Floats, colours: Floats) -> Floats:
    """Share (N, K) of the pixels (N, P, 3) that have each of the colours (K, 3)."""
    apart = (pixels * pixels).sum(axis=2)[:, :, None] - 2 * pixels @ colours.T + (colours * colours).sum(axis=1)
    return np.exp(apart / np.float32(-2 * _COLOUR_TOLERANCE**2)).mean(axis=1)


def _nearness(images: Images, colours: Floats) -> Floats:
    """How near every pixel is to the given colour of its image (N, 3): (N, S, S), 1 where they are equal."""
    apart = ((images - colours[:, None, None]) ** 2).sum(axis=3)
    return np.exp(apart / np.float32(-2 * _SHAPE_TOLERANCE**2))


@cache
def reader(image_size: int) -> Reader:
    """The reader of drawn faces of a size, fitted to faces that are drawn once and then taken from the cache.

    Parameters
    ----------
    image_size : int

    Returns
    -------
    Reader
    """
    images = open_drawn_faces(FITTED + HELD_OUT, image_size, seed=FIT_SEED).images[:FITTED]
    return Reader(images, true_labels(range(FITTED), FIT_SEED)["hair_style"])


def true_labels(indices: range, seed: int) -> dict[str, Labels]:
    """The factors of drawn faces as indices in `FACTOR_VALUES`: hair_colour, hair_style and skin.

    Parameters
    ----------
    indices : range
        Numbers of the faces.
    seed : int
        Seed of their drawing.
    """
    factors = [face_factors(index, seed=seed) for index in indices]
    names = ("hair_colour", "hair_style", "skin")
    return {name: np.array([FACTOR_VALUES[name].index(getattr(f, name)) for f in factors], np.int64) for name in names}


def accuracy(image_size: int) -> dict[str, float]:
    """How often the reader is right on faces that it was not fitted to: a share for each factor, 0 to 1.

    Parameters
    ----------
    image_size : int
    """
    images = open_drawn_faces(FITTED + HELD_OUT, image_size, seed=FIT_SEED).images[FITTED:]
    reading = reader(image_size).read(images)
    truth = true_labels(range(FITTED, FITTED + HELD_OUT), FIT_SEED)
    return {name: float((getattr(reading, name) == labels).mean()) for name, labels in truth.items()}


def count(reading: Reading) -> dict[str, float]:
    """Count what was read.

    Parameters
    ----------
    reading : Reading

    Returns
    -------
    dict of str to float
        clear: share of clear images;
        hair_colours, hair_styles, skins, modes: how many of the 14, 12, 5 and 168 kinds are there;
        modes_off: how far the modes' frequencies are from those of the data, 0 to 1: the share of images that would
        have to change their mode. Unclear images have no mode and count as wrong.

    Notes
    -----
    A kind counts as there if its frequency is at least a quarter of that in the data, so that a single image that is
    read wrongly does not count as a mode.
    """
    clear, total = reading.clear, len(reading.clear)
    kinds = {
        "hair_colours": (reading.hair_colour, "hair_colour"),
        "hair_styles": (reading.hair_style, "hair_style"),
        "skins": (reading.skin, "skin"),
    }
    counts = {"clear": float(clear.mean())}
    for name, (labels, factor) in kinds.items():
        odds = np.array(FACTOR_PROBABILITIES[factor])
        counts[name] = float(_present(np.bincount(labels[clear], minlength=len(odds)), odds * total))
    odds = np.outer(FACTOR_PROBABILITIES["hair_colour"], FACTOR_PROBABILITIES["hair_style"]).ravel()
    seen = np.bincount((reading.hair_colour * len(STYLES) + reading.hair_style)[clear], minlength=len(odds))
    counts["modes"] = float(_present(seen, odds * total))
    counts["modes_off"] = float(np.maximum(odds - seen / total, 0).sum())
    return counts


def _present(seen: Labels, expected: npt.NDArray[np.float64]) -> int:
    return int((seen >= np.maximum(1, expected / 4)).sum())
