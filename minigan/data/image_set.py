"""The images that a run trains on, and how batches are taken from them.

Images come from a folder (`minigan.data.images.image_folder`) or from the built-in faces
(`minigan.data.drawn.face_set`), in both cases as one memory-mapped array. They leave as batches of float32 between -1
and 1 for the discriminator. Which images are in a batch depends on nothing but the run's seed and the step: a resumed
run sees the batches that an uninterrupted run would have seen, and reading ahead in a second thread changes no result.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from minigan.nn.rng import stream

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Skipped:
    """Something in the user's folder that was not read.

    Attributes
    ----------
    path : str
        Relative to the folder, with forward slashes. It may contain surrogates in place of undecodable bytes; for text
        that can be printed see `minigan.data.images.image_folder.describe_skipped`.
    reason : str
        In plain words.
    """

    path: str
    reason: str


@dataclass(eq=False)
class ImageSet:
    """Images of one size, ready to train on.

    Attributes
    ----------
    images : numpy.ndarray
        (N, S, S, 3) uint8, read-only, usually a memory map.
    source : str
        Their origin: ``"drawn faces (seed 0)"`` or the folder's path.
    fingerprint : str
        Hexadecimal; equal for equal images in equal order. By it a resumed run notices that its data have changed.
    skipped : list of Skipped
        What was not read, and why.
    cached_in : pathlib.Path or None
        The file in the cache that holds them.
    """

    images: npt.NDArray[np.uint8]
    source: str
    fingerprint: str
    skipped: list[Skipped] = field(default_factory=list)
    cached_in: Path | None = None

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, seed: int, step: int, batch_size: int, *, flip: bool = False) -> npt.NDArray[np.float32]:
        """Batch of one step: images drawn with replacement, a pure function of the arguments.

        Drawing without replacement would need a state, namely which images are still to come, and a checkpoint would
        have to save it. With thousands of images, the same image is rarely twice in a batch, so it makes no difference.

        Parameters
        ----------
        seed : int
            The run's seed.
        step : int
            Training step, 0 or more.
        batch_size : int
            Number of images B, 1 or more.
        flip : bool
            Whether each image is mirrored, left to right, with probability 1/2. This is drawn independently,
            so the chosen images are the same with and without `flip`.

        Returns
        -------
        numpy.ndarray
            (B, S, S, 3) float32 between -1 and 1: ``pixel / 127.5 - 1``.

        Raises
        ------
        ValueError
            If an argument is out of range.
        """
        if batch_size < 1:
            raise ValueError(f"batch: batch_size must be 1 or more, got {batch_size}")
        indices = stream(seed, "data", step).integers(0, len(self.images), batch_size)
        pixels = self.images[indices]
        if flip:
            mirrored = stream(seed, "flip", step).random(batch_size) < 0.5
            pixels[mirrored] = pixels[mirrored, :, ::-1]
        batch = np.divide(pixels, np.float32(127.5), dtype=np.float32)
        batch -= np.float32(1)
        return batch


class Prefetcher:
    """Prepares the next step's batch while the present step is computed.

    Making a batch is fast when its images are in memory, but the first access to an image may wait for a disk. A
    background thread does this waiting; NumPy and the operating system release the interpreter for most of it. Where no
    thread can be started, each batch is made when it is asked for.

    Parameters
    ----------
    images : ImageSet
        The images to take batches from.
    seed : int
        The run's seed.
    batch_size : int
        Number of images B.
    flip : bool
        As `ImageSet.batch`.

    Examples
    --------
    >>> faces = ImageSet(np.zeros((10, 2, 2, 3), np.uint8), "example", "00")
    >>> with Prefetcher(faces, seed=0, batch_size=4) as prefetcher:
    ...     prefetcher.batch(0).shape
    (4, 2, 2, 3)
    """

    def __init__(self, images: ImageSet, seed: int, batch_size: int, *, flip: bool = False) -> None:
        self._batch = partial(images.batch, seed, batch_size=batch_size, flip=flip)
        self._thread: ThreadPoolExecutor | None = None
        self._ahead: tuple[int, Future[npt.NDArray[np.float32]]] | None = None

    def __enter__(self) -> Prefetcher:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="minigan-prefetch")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
        self._thread = self._ahead = None

    def batch(self, step: int) -> npt.NDArray[np.float32]:
        """Batch of `step`, equal to that of `ImageSet.batch`; the batch of ``step + 1`` is begun.

        Steps may come in any order, but only consecutive steps save time.

        Parameters
        ----------
        step : int
            Training step, 0 or more.

        Returns
        -------
        numpy.ndarray
            (B, S, S, 3) float32 between -1 and 1.

        Raises
        ------
        RuntimeError
            If called outside the ``with`` statement.
        Exception
            Whatever preparing this step's batch raised in the background thread.
        """
        if self._thread is None:
            raise RuntimeError("Prefetcher is a context manager: use it in a with statement")
        ahead, self._ahead = self._ahead, None
        batch = ahead[1].result() if ahead is not None and ahead[0] == step else self._batch(step=step)
        with contextlib.suppress(RuntimeError):  # no thread is allowed
            self._ahead = (step + 1, self._thread.submit(self._batch, step=step + 1))
        return batch


def in_order(submit: Callable[[Item], Future[Result]], items: Iterable[Item], ahead: int) -> Iterator[Result]:
    """Results of a pool's work, in the order of the items; at most `ahead` of them wait in memory.

    Parameters
    ----------
    submit : callable
        Hands one item to a pool and returns its future.
    items : iterable
        What to work on.
    ahead : int
        How many items may be in work, or finished and not yet taken.

    Yields
    ------
    object
        One result per item.
    """
    pending: deque[Future[Result]] = deque()
    for item in items:
        pending.append(submit(item))
        if len(pending) >= ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
