"""Faces from a trained generator: the noise to draw them from, and drawing a batch at a time.

The noise is a function of a seed, so equal weights draw equal faces. `minigan.sample` shows the faces, and
`minigan.evaluation.metrics` measures them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minigan.gan.average import FRESH_BATCH
from minigan.gan.models import NOISE_SIZE
from minigan.nn.backend import Array, Backend
from minigan.nn.network import Sequential
from minigan.nn.rng import stream
from minigan.pages.plots import to_uint8
from minigan.system.errors import UserError
from minigan.system.progress import ProgressBar

MOST_FRESH = 100
FRESH_STATISTICS = (
    f"first measure the generator's moving statistics anew, over N batches of {FRESH_BATCH} noises "
    f"(1 to {MOST_FRESH}); by default they are those of training, of its last few batches"
)
"""What ``--help`` says of ``--fresh-statistics``."""


def check_fresh_statistics(count: int | None) -> None:
    """Raise UserError if statistics cannot be measured over so many batches.

    Parameters
    ----------
    count : int or None
        What ``--fresh-statistics`` was given, None if it was not.
    """
    if count is not None and not 1 <= count <= MOST_FRESH:
        raise UserError(f"--fresh-statistics: must be between 1 and {MOST_FRESH}, got {count}")


def random_noise(seed: int, count: int) -> Array:
    """Noise for `count` independent faces.

    Parameters
    ----------
    seed : int
    count : int

    Returns
    -------
    numpy.ndarray of shape (count, 1, 1, 100), float32
        N(0, 1); the first faces of a seed are the same whatever the count.
    """
    return stream(seed, "pictures", 1).standard_normal((count, 1, 1, NOISE_SIZE), np.float32)


def path_between(ends: Array, count: int) -> Array:
    """Noise on the way from each of some faces to the next.

    Parameters
    ----------
    ends : numpy.ndarray of shape (K, 1, 1, 100)
        K at least 2.
    count : int
        Stops on the whole way, evenly spread, the first and the last of the faces included; at least 2.

    Returns
    -------
    numpy.ndarray of shape (count, 1, 1, 100), float32

    Notes
    -----
    The way is the great circle (slerp) and not the straight line. N(0, 1) noise in 100 dimensions has length near 10
    almost always; the middle of a straight line would be shorter than any noise that the generator has seen. Between
    two points without an angle (they are equal, or opposite, or one of them is 0), the way is straight.

    References
    ----------
    T. White, "Sampling generative networks", arXiv:1609.04468.
    """
    points = ends.reshape(-1, NOISE_SIZE).astype(np.float64)
    places = np.linspace(0, len(points) - 1, count)
    leg = np.minimum(places.astype(int), len(points) - 2)
    t, a, b = (places - leg)[:, None], points[leg], points[leg + 1]
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = (a * b).sum(axis=1) / np.where(lengths > 0, lengths, 1)
    angle = np.where(lengths > 0, np.arccos(np.clip(cosine, -1, 1)), 0)[:, None]
    straight = np.sin(angle) < 1e-6
    near_a, near_b = np.where(straight, 1 - t, np.sin((1 - t) * angle)), np.where(straight, t, np.sin(t * angle))
    path = (near_a * a + near_b * b) / np.where(straight, 1, np.sin(angle))
    return path.astype(np.float32).reshape(count, 1, 1, NOISE_SIZE)


def draw_faces(
    generator: Sequential, noise: Array, backend: Backend, *, batch_size: int, progress: bool = False
) -> npt.NDArray[np.uint8] | None:
    """Draw a face for each row of noise, a batch at a time, in inference mode.

    Parameters
    ----------
    generator : Sequential
        On the backend; left as it is.
    noise : numpy.ndarray of shape (N, 1, 1, 100), float32
        On the host.
    backend : Backend
    batch_size : int
    progress : bool
        Whether to show a progress bar on stderr if there are many batches.

    Returns
    -------
    numpy.ndarray of shape (N, S, S, 3), uint8, or None
        On the host. None if a face has NaN or infinite pixels.
    """
    starts = range(0, len(noise), batch_size)
    faces = np.empty((len(noise), *generator.output_shape()), np.uint8)
    with ProgressBar(len(noise), "Drawing", "faces", shown=progress and len(starts) >= 8) as bar:
        for a in starts:
            with np.errstate(all="ignore"):
                batch = backend.to_host(generator.predict(backend.asarray(noise[a : a + batch_size])))
            if not np.isfinite(batch).all():
                return None
            faces[a : a + batch_size] = to_uint8(batch)
            bar.update(len(batch))
    return faces
