"""The built-in data set: any number of faces, drawn by `minigan.data.drawn.faces`.

Face number i of a seed is the same on every machine and in every count, so no faces have to be shipped or downloaded.
They are drawn once, on all processor cores that may be used, and stored in the cache (`minigan.data.cache`). A later
run that wants fewer faces takes the first ones from there.

Where workers (`minigan.system.worker_pool`) cannot be started, this process draws the faces, one after another.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Generator
from functools import partial

import numpy as np
import numpy.typing as npt

from minigan.data import cache
from minigan.data.drawn import faces
from minigan.data.image_set import ImageSet
from minigan.nn.rng import MAX_SEED
from minigan.system.errors import UserError
from minigan.system.progress import ProgressBar
from minigan.system.worker_pool import NoWorkers, WorkerDied, Workers, worker_count

DEFAULT_COUNT = 20_000
FEW = 200
"""Up to this many faces, drawing them takes less time than starting workers."""

_SPAN = 100  # faces that a worker draws at once


def open_drawn_faces(count: int, image_size: int, *, seed: int = 0, progress: bool = True) -> ImageSet:
    """Open the first `count` drawn faces of a seed.

    Parameters
    ----------
    count : int
        How many, 1 or more.
    image_size : int
        Side length S.
    seed : int
        Seed of the faces, 0 to 4,294,967,295; a run has a seed of its own.
    progress : bool
        Show a progress bar on stderr while faces are drawn.

    Returns
    -------
    ImageSet
        `count` images; equal to the beginning of any larger set of the same seed and size.

    Raises
    ------
    UserError
        If an argument is out of range or the cache directory cannot be written to.
    RunError
        If the disk is full.
    """
    if count < 1:
        raise UserError(f"the number of drawn faces must be 1 or more, got {count}")
    if not faces.MIN_SIZE <= image_size <= faces.MAX_SIZE:
        raise UserError(
            f"the size of drawn faces must be between {faces.MIN_SIZE} and {faces.MAX_SIZE}, got {image_size}"
        )
    if not 0 <= seed <= MAX_SEED:
        raise UserError(f"the seed of the drawn faces must be between 0 and {MAX_SEED}, got {seed}")
    prefix = f"faces-seed{seed}-{image_size}px-"
    version = f"{prefix}v{faces.FACES_VERSION}-"
    cached = _load_at_least(count, version)
    if cached is None:
        cached = _build(f"{version}{count}", count, image_size, seed, progress)
        cache.remove_others(prefix, keep=f"{version}{count}")
    images = cached.images[:count]
    whole = len(images) == len(cached.images)
    return ImageSet(
        images=images,
        source=f"drawn faces (seed {seed})",
        fingerprint=cached.fingerprint if whole else cache.fingerprint(images),
        cached_in=cached.path,
    )


def _load_at_least(count: int, version: str) -> cache.Cached | None:
    """Open the smallest cache that is large enough."""
    counts = []
    with contextlib.suppress(OSError):
        for path in cache.cache_directory().iterdir():
            if match := re.fullmatch(re.escape(version) + r"(\d+)\.json", path.name):
                counts.append(int(match.group(1)))
    for available in sorted(counts):
        if available >= count:
            cached = cache.load(f"{version}{available}")
            if cached is not None and len(cached.images) == available:
                return cached
    return None


def _build(stem: str, count: int, image_size: int, seed: int, progress: bool) -> cache.Cached:
    with (
        cache.Builder(stem, image_size) as builder,
        contextlib.closing(_draw_all(count, seed, image_size)) as blocks,
        ProgressBar(count, "Drawing faces", "faces", shown=progress) as bar,
    ):
        for block in blocks:
            builder.append(block)
            bar.update(len(block))
        return builder.finish({})


def _draw_all(count: int, seed: int, size: int) -> Generator[npt.NDArray[np.uint8], None, None]:
    """All faces in order, in blocks; drawn by workers if they can be started and save time."""
    done = 0
    workers = worker_count() if count > FEW else 1
    if workers > 1:
        with contextlib.suppress(NoWorkers, WorkerDied), Workers(workers, _drawing, (seed, size)) as pool:
            for block in pool.in_order(_spans(0, count)):
                yield block
                done += len(block)
    for span in _spans(done, count):
        yield _draw(span, seed=seed, size=size)


def _spans(start: int, stop: int) -> list[range]:
    return [range(first, min(first + _SPAN, stop)) for first in range(start, stop, _SPAN)]


def _drawing(seed: int, size: int) -> Callable[[range], npt.NDArray[np.uint8]]:
    """What a worker does."""
    return partial(_draw, seed=seed, size=size)


def _draw(span: range, *, seed: int, size: int) -> npt.NDArray[np.uint8]:
    """Draw the faces of a span, in a worker or in this process."""
    return np.stack([faces.draw_face(index, seed=seed, size=size)[0] for index in span])
