"""The report on a prepared data set, report.html: what was kept, what was dropped and why.

It is there to be looked at before training. A number says that forty images had no face; only a look at them says
whether the detector was right. So every reason for dropping comes with some of its images, duplicates come beside the
image that they are equal to, and the images that were kept come as a sheet, spread evenly over the whole set. This
module turns counts and samples (`minigan.data.prepare.tally`) into plain values; what the page looks like is in the
template, minigan/pages/templates/preparation_report.html. The page is one file: it holds its images, small and as JPEG.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from minigan.data.prepare.data_card import DataCardFacts, concerns, steps
from minigan.data.prepare.pipeline import kept_name
from minigan.data.prepare.tally import KINDS, SIDES, Pixels, Reason, SampledImage, Tally
from minigan.pages.html import render
from minigan.system.command_lines import command
from minigan.system.wording import shortened

THUMBNAIL = 64
"""Longest side of an image in the page, in pixels."""

_BARS = 32  # points of a curve of levels, each the sum of 8 levels


@dataclass(frozen=True)
class _Shown:
    """An image of the page: its pixels as a URL, its description, and the kept image that a duplicate is equal to."""

    url: str
    words: str
    twin: _Shown | None = None


@dataclass(frozen=True)
class _Outcome:
    """What became of some of the files: they were kept, or dropped for reasons of one kind."""

    kind: str
    words: str
    count: int
    images: list[_Shown]
    reasons: list[tuple[str, Reason]] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """Where in the page it is."""
        return self.kind.replace(" ", "-")


@dataclass(frozen=True)
class _Bar:
    """How many images have a side of `low` to `high` pixels, and its length between 0 and 1."""

    low: int
    high: int | None
    count: int
    share: float
    is_marked: bool


@dataclass(frozen=True)
class _Channel:
    """Red, green or blue: mean and deviation, 0 to 255, and a curve of how often its levels occur, 0 to 1."""

    name: str
    mean: float
    deviation: float
    heights: list[float]


def report_html(tally: Tally, facts: DataCardFacts, images: Path) -> str:
    """The report as a web page.

    Parameters
    ----------
    tally : Tally
        At least one image is kept.
    facts : DataCardFacts
    images : Path
        Folder of the prepared images, from which the twins of duplicates are read.

    Returns
    -------
    str
        HTML, to be written as UTF-8.
    """
    enlarged_below = sum(bound <= tally.size for bound in SIDES)
    return render(
        "preparation_report.html",
        title=f"{shortened(facts.name)}: prepared",
        facts=facts,
        size=tally.size,
        total=tally.kept + tally.dropped,
        kept=_kept(tally),
        losses=[_loss(kind, tally, images) for kind in KINDS if kind in tally.reasons],
        concerns=concerns(tally, facts),
        enlarged=tally.enlarged,
        source_sides=_bars(tally.sources, -1),
        square_sides=_bars(tally.squares, enlarged_below),
        average=_url(tally.average, 2 * THUMBNAIL),
        channels=_channels(tally),
        steps=steps(facts.settings, facts.looks_for_faces),
        fingerprint=tally.fingerprint,
        training=command("minigan.train", "--data", Path(facts.name), *_size_option(tally.size)),
    )


def _size_option(size: int) -> tuple[object, ...]:
    return () if size == 64 else ("--image-size", size)


def _kept(tally: Tally) -> _Outcome:
    """What was kept."""
    sample = tally.kept_sample.items
    images = [_Shown(_url(image.pixels), f"{kept_name(image.number)}, from {image.source}") for image in sample]
    return _Outcome("kept", "kept", tally.kept, images)


def _loss(kind: str, tally: Tally, images: Path) -> _Outcome:
    """What was dropped for reasons of one kind."""
    sample = tally.dropped_samples[kind].items if kind in tally.dropped_samples else []
    return _Outcome(
        kind=kind,
        words=KINDS[kind],
        count=tally.count(kind),
        images=[
            _duplicate(image, images) if kind == "duplicate" else _Shown(_url(image.pixels), image.source)
            for image in sample
        ],
        reasons=tally.sorted_reasons(kind),
    )


def _bars(counts: npt.NDArray[np.int64], marked_below: int) -> list[_Bar]:
    """Bars from the first to the last that is not empty; those of index below `marked_below` are marked."""
    present = np.flatnonzero(counts)
    most = int(counts.max())
    return [
        _Bar(
            low=[0, *SIDES][k],
            high=SIDES[k] - 1 if k < len(SIDES) else None,
            count=int(counts[k]),
            share=int(counts[k]) / most,
            is_marked=k < marked_below,
        )
        for k in range(int(present[0]), int(present[-1]) + 1)
    ]


def _channels(tally: Tally) -> list[_Channel]:
    """Red, green and blue."""
    counts = tally.levels.reshape(3, _BARS, -1).sum(axis=2)
    # White backgrounds alone would flatten the rest, so the three highest points may be cut off.
    top = max(1.0, float(np.sort(counts.ravel())[-4]) * 1.05)
    heights = np.minimum(1.0, counts / top).tolist()
    return [_Channel(*values) for values in zip(("red", "green", "blue"), *tally.colours(), heights, strict=True)]


def _duplicate(image: SampledImage, images: Path) -> _Shown:
    """A duplicate, and the kept image that it is nearly equal to."""
    name = kept_name(image.number)
    with Image.open(images / name) as opened:
        twin = _Shown(_url(np.asarray(opened.convert("RGB"))), name)
    return _Shown(_url(image.pixels), image.source, twin)


def _url(pixels: Pixels, side: int = THUMBNAIL) -> str:
    """An image as a URL that holds it."""
    image = Image.fromarray(pixels)
    if image.width > side:
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=88, subsampling=0, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
