"""Counts of what happened to the files of a source, made by the `pipeline` while it prepares one after another.

Thirty thousand images are too many to keep in memory for a report. So a `Tally` keeps sums, counts, and small samples
spread evenly over all images. The report, the data card and the summary on the terminal are all made from it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from minigan.data.cache import finish_fingerprint
from minigan.data.printable_text import printable

KINDS = {
    "unreadable": "cannot be read",
    "no picture": "not an image",  # an old word, which stays because report.json has it
    "refused": "not opened",
    "no face": "no face found",
    "too small": "too small",
    "grey": "near-grey",
    "duplicate": "near-duplicate",
}
"""The kinds of reasons why files are dropped, in the order of the steps, with their names for people."""

KEPT_SAMPLES = 96
DROPPED_SAMPLES = 24

MAX_REASONS = 40
"""Different reasons within a kind, at most; each damaged file may have a reason of its own."""

EXAMPLES = 5

OTHER = "for other reasons"

SIDES = (32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048)
"""Bounds of the bars in the histograms of sizes, in pixels."""

Pixels = npt.NDArray[np.uint8]
Item = TypeVar("Item")


class Sample(Generic[Item]):
    """A sample of the items that are added: at most so many, spread evenly over all, and always the same ones.

    Parameters
    ----------
    limit : int
        How many are wanted.

    Examples
    --------
    >>> sample = Sample(3)
    >>> for item in range(20):
    ...     sample.add(item)
    >>> sample.items
    [0, 4, 12]
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: list[Item] = []
        self._stride = 1
        self._count = 0

    def add(self, item: Item) -> None:
        """Add an item, which may or may not be in the sample."""
        if self._count % self._stride == 0:
            self._kept.append(item)
            if len(self._kept) > 2 * self._limit:
                del self._kept[1::2]
                self._stride *= 2
        self._count += 1

    @property
    def items(self) -> list[Item]:
        """The sample, in the order of adding."""
        if len(self._kept) <= self._limit:
            return self._kept
        return [self._kept[k * len(self._kept) // self._limit] for k in range(self._limit)]


@dataclass
class Reason:
    """Why some files were dropped.

    Attributes
    ----------
    count : int
        How many.
    examples : list of str
        Names of the first few files.
    """

    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class SampledImage:
    """An image of a sample.

    Attributes
    ----------
    source : str
        Its name in the source, printable.
    pixels : numpy.ndarray
        (S, S, 3) uint8.
    number : int
        Number of the prepared image: its own, or for a duplicate that of the image it is nearly equal to.
    """

    source: str
    pixels: Pixels
    number: int = -1


class Tally:
    """Counts, sums and samples of a source.

    Parameters
    ----------
    size : int
        Side length S of the images.

    Attributes
    ----------
    kept : int
        Images that are kept.
    reasons : dict of str to dict of str to Reason
        For each kind of `KINDS` that occurred, the reasons in words.
    sources, squares : numpy.ndarray
        Histograms of the kept images, with one bar more than `SIDES` has bounds: of their shorter side in the source,
        and of the side of the square that was cut out.
    enlarged : int
        Kept images whose square was smaller than S.
    levels : numpy.ndarray
        (3, 256): how often each level of red, green and blue occurs in the kept images.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.kept = 0
        self.reasons: dict[str, dict[str, Reason]] = {}
        self.sources = np.zeros(len(SIDES) + 1, np.int64)
        self.squares = np.zeros(len(SIDES) + 1, np.int64)
        self.enlarged = 0
        self.levels = np.zeros((3, 256), np.int64)
        self.kept_sample: Sample[SampledImage] = Sample(KEPT_SAMPLES)
        self.dropped_samples: dict[str, Sample[SampledImage]] = {}
        self._sum = np.zeros((size, size, 3), np.int64)
        self._digest = hashlib.sha256()

    def keep(self, source: str, pixels: Pixels, width: int, height: int, side: float) -> None:
        """Count an image that is kept.

        Parameters
        ----------
        source : str
            Its name in the source.
        pixels : numpy.ndarray
            (S, S, 3) uint8.
        width, height : int
            Of the image that it was cut from.
        side : float
            Side of the square in that image.
        """
        self.kept_sample.add(SampledImage(printable(source), pixels, self.kept))
        self.kept += 1
        self.sources[np.searchsorted(SIDES, min(width, height), side="right")] += 1
        self.squares[np.searchsorted(SIDES, side, side="right")] += 1
        self.enlarged += round(side) < self.size
        for channel in range(3):
            self.levels[channel] += np.bincount(pixels[..., channel].ravel(), minlength=256)
        self._sum += pixels
        self._digest.update(np.ascontiguousarray(pixels).data)

    def drop(self, source: str, kind: str, reason: str, pixels: Pixels | None = None, twin: int = -1) -> None:
        """Count a file that is dropped.

        Parameters
        ----------
        source : str
            Its name in the source.
        kind : str
            A key of `KINDS`.
        reason : str
            In plain words.
        pixels : numpy.ndarray, optional
            (S, S, 3) uint8, if there is an image.
        twin : int, optional
            For a duplicate, the number of the image that it is nearly equal to.
        """
        reasons = self.reasons.setdefault(kind, {})
        if reason not in reasons and len(reasons) >= MAX_REASONS:
            reason = OTHER
        counted = reasons.setdefault(reason, Reason())
        counted.count += 1
        if len(counted.examples) < EXAMPLES:
            counted.examples.append(printable(source))
        if pixels is not None:
            sample = self.dropped_samples.setdefault(kind, Sample(DROPPED_SAMPLES))
            sample.add(SampledImage(printable(source), pixels, twin))

    @property
    def dropped(self) -> int:
        """How many files were dropped."""
        return sum(self.count(kind) for kind in self.reasons)

    def count(self, kind: str) -> int:
        """How many files were dropped for reasons of one kind."""
        return sum(reason.count for reason in self.reasons.get(kind, {}).values())

    def sorted_reasons(self, kind: str) -> list[tuple[str, Reason]]:
        """The reasons of one kind, the most frequent first, and `OTHER` last."""
        found = self.reasons.get(kind, {}).items()
        return sorted(found, key=lambda item: (item[0] == OTHER, -item[1].count, item[0]))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the kept images, equal to `minigan.data.cache.fingerprint`; a run has it in its config.json."""
        return finish_fingerprint(self._digest, (self.kept, self.size, self.size, 3))

    @property
    def average(self) -> Pixels:
        """The mean of the kept images, (S, S, 3) uint8."""
        return np.rint(self._sum / max(self.kept, 1)).astype(np.uint8)

    def colours(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of red, green and blue over all pixels of the kept images, 0 to 255."""
        values = np.arange(256)
        count = np.maximum(self.levels.sum(axis=1), 1)
        mean = (self.levels * values).sum(axis=1) / count
        variance = (self.levels * (values - mean[:, np.newaxis]) ** 2).sum(axis=1) / count
        return [round(float(m), 2) for m in mean], [round(float(v) ** 0.5, 2) for v in variance]
