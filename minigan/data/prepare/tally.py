"""What happened to the pictures of a source, counted while they pass by.

Thirty thousand pictures are too many to keep for a report, so this keeps sums, counts, and small samples spread evenly
over all that came. It is the one thing that the report, the data card and the summary on the terminal are made from.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from minigan.data.cache import printable, sealed

KINDS = {
    "unreadable": "cannot be read",
    "no picture": "not a picture",
    "refused": "not opened",
    "no face": "no face found",
    "too small": "too small",
    "grey": "near-grey",
    "duplicate": "near-duplicate",
}
"""Why something is dropped, in the order of the steps, and what that is called."""

KEPT_SAMPLES = 96
DROPPED_SAMPLES = 24

MAX_REASONS = 40
"""Reasons told apart within a kind; damaged files can have as many as there are files."""

EXAMPLES = 5

OTHER = "for other reasons"

SIDES = (32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048)
"""Bounds of the histograms of sizes, in pixels."""

Pixels = npt.NDArray[np.uint8]
Item = TypeVar("Item")


class Sample(Generic[Item]):
    """At most so many of the items that pass by, spread evenly over all of them, and always the same ones.

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
        """See one more item."""
        if self._count % self._stride == 0:
            self._kept.append(item)
            if len(self._kept) > 2 * self._limit:
                del self._kept[1::2]
                self._stride *= 2
        self._count += 1

    @property
    def items(self) -> list[Item]:
        """The chosen ones, in their order."""
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
        The first few names.
    """

    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class SampledImage:
    """One picture of a sample.

    Attributes
    ----------
    source : str
        Its name in the source, printable.
    pixels : numpy.ndarray
        (S, S, 3) uint8.
    number : int
        Of the prepared picture: this one, or of a duplicate the one it is nearly equal to.
    """

    source: str
    pixels: Pixels
    number: int = -1


class Tally:
    """Counts, sums and samples.

    Parameters
    ----------
    size : int
        Side length S of the pictures.

    Attributes
    ----------
    kept : int
        Pictures that are good.
    reasons : dict of str to dict of str to Reason
        For each kind of `KINDS` that occurred, the reasons in words.
    sources, squares : numpy.ndarray
        Of the kept pictures: how many have a shorter side, and a square cut out of them, within `SIDES`; one more
        than there are bounds.
    enlarged : int
        Kept pictures whose square was smaller than S.
    levels : numpy.ndarray
        (3, 256): how often each level of red, green and blue occurs in the kept pictures.
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
        """Count a good picture.

        Parameters
        ----------
        source : str
            Its name in the source.
        pixels : numpy.ndarray
            (S, S, 3) uint8.
        width, height : int
            Of the picture it was cut from.
        side : float
            Of the square in that.
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
            (S, S, 3) uint8, if there is a picture.
        twin : int, optional
            Of a duplicate, the number of the picture it is nearly equal to.
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
        """SHA-256 of the kept pictures: what `minigan.data.cache.fingerprint` is of them, and a run's config.json."""
        return sealed(self._digest, (self.kept, self.size, self.size, 3))

    @property
    def average(self) -> Pixels:
        """The mean of the kept pictures, (S, S, 3) uint8."""
        return np.rint(self._sum / max(self.kept, 1)).astype(np.uint8)

    def colours(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of red, green and blue over all pixels of the kept pictures, 0 to 255."""
        values = np.arange(256)
        count = np.maximum(self.levels.sum(axis=1), 1)
        mean = (self.levels * values).sum(axis=1) / count
        variance = (self.levels * (values - mean[:, np.newaxis]) ** 2).sum(axis=1) / count
        return [round(float(m), 2) for m in mean], [round(float(v) ** 0.5, 2) for v in variance]
