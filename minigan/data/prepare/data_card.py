"""The data card of a prepared data set (DATACARD.md), the same facts for programs (report.json), and warnings.

A data card tells people who receive the images what they show, where they come from, what was done to them, and what to
be careful about. The program can say what it did and counted (`DataCardFacts`, `minigan.data.prepare.tally`). Only the
user knows whose drawings these are and what they may be used for; the card has clearly marked gaps for that.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from minigan.data.images.near_duplicates import MAX_BITS, MAX_COLOUR_DIFFERENCE
from minigan.data.prepare.prepared_file import Settings
from minigan.data.prepare.tally import KINDS, SIDES, Tally
from minigan.data.printable_text import printable
from minigan.system.wording import plural

FEW_IMAGES = 2_000
"""With fewer images, a generator tends to learn the images by heart."""

TO_FILL_IN = "**(fill in)**"

FORMAT_VERSION = 1
"""Version of the format of report.json."""


@dataclass(frozen=True)
class DataCardFacts:
    """How a data set was made.

    Attributes
    ----------
    name : str
        Name of the data set, which is that of its folder.
    source : str
        Its path, as the user wrote it.
    is_archive : bool
    settings : Settings
    cascade : str
        Name of the cascade file, empty if no faces were searched for.
    cascade_sha256 : str
        SHA-256 of the cascade's text, or empty.
    command : str
        The command line, in a form that can be typed again.
    started : datetime
    seconds : float
        How long it took.
    versions : dict of str to str
        Versions of the packages that the result may depend on.
    """

    name: str
    source: str
    is_archive: bool
    settings: Settings
    cascade: str
    cascade_sha256: str
    command: str
    started: datetime
    seconds: float
    versions: dict[str, str]

    @property
    def looks_for_faces(self) -> bool:
        """Whether a detector searched for faces."""
        return bool(self.cascade)


def steps(settings: Settings, looks_for_faces: bool) -> list[str]:
    """What was done to each image, in order, in plain words.

    Parameters
    ----------
    settings : Settings
    looks_for_faces : bool

    Returns
    -------
    list of str
    """
    size = settings.size
    done = ["decoded, turned upright, laid on white where it was transparent; of animations the first frame"]
    if looks_for_faces:
        where = (
            "filled up with the colours of the edge" if settings.pad else "moved inwards, and no larger than the image,"
        )
        done.append(
            f"cut to a square around the biggest face found, {settings.margin:g} times as wide as the detector draws "
            f"it; {where} where the image ends"
        )
        done.append(
            "cut to the central square where no face was found"
            if settings.crop_faceless
            else "dropped if no face was found"
        )
    else:
        done.append(
            "filled up to a square with the colours of the edge" if settings.pad else "cut to the central square"
        )
    done.append(f"dropped if that square has fewer than {settings.min_side} pixels to a side")
    done.append(f"resized to {size} x {size} (averaged to about twice that, then filtered with Lanczos)")
    if settings.colour_only:
        done.append("dropped if it has almost no colours")
    if not settings.keep_duplicates:
        done.append(
            "dropped if an earlier image is nearly equal (perceptual hashes of 64 bits differ in "
            f"{MAX_BITS} at most, and colours by {MAX_COLOUR_DIFFERENCE:g} of 255 on average)"
        )
    done.append(
        "saved as PNG, which loses nothing: the blocks of a JPEG are visible at this size, and a network learns them"
    )
    return done


def concerns(tally: Tally, facts: DataCardFacts) -> list[str]:
    """Warnings to read before training, in plain words; empty if there are none.

    Parameters
    ----------
    tally : Tally
    facts : DataCardFacts

    Returns
    -------
    list of str
    """
    found = []
    total = tally.kept + tally.dropped
    if tally.kept < FEW_IMAGES:
        found.append(f"Only {plural(tally.kept, 'image')}; a few thousand are needed to learn from.")
    if 2 * tally.dropped > total:
        found.append(f"More than half of the {total:,} files were dropped; see why below.")
    if 5 * tally.enlarged > tally.kept:
        share = 100 * tally.enlarged // tally.kept
        found.append(
            f"{share} % of the squares were smaller than {tally.size} pixels and had to be enlarged, which blurs them"
            + ("; a smaller --size may do." if tally.size > 32 else ".")
        )
    if tally.count("no face") * 2 > total:
        found.append("In most images no face was found: are they drawn faces, upright and seen from the front?")
    return found


def report_json(tally: Tally, facts: DataCardFacts) -> str:
    """All settings and counts, for programs.

    Parameters
    ----------
    tally : Tally
    facts : DataCardFacts

    Returns
    -------
    str
        JSON.
    """
    mean, deviation = tally.colours()
    dropped: dict[str, Any] = {}
    for kind in KINDS:
        if kind in tally.reasons:
            reasons = [
                {"reason": reason, "count": counted.count, "examples": counted.examples}
                for reason, counted in tally.sorted_reasons(kind)
            ]
            dropped[kind] = {"count": tally.count(kind), "reasons": reasons}
    record = {
        "format": FORMAT_VERSION,
        "name": facts.name,
        "source": facts.source,
        "kept": tally.kept,
        "dropped": {"count": tally.dropped, "kinds": dropped},
        "size": tally.size,
        "fingerprint": tally.fingerprint,
        "concerns": concerns(tally, facts),
        "enlarged": tally.enlarged,
        "sides": {
            "below": [*SIDES, None],
            "sources": tally.sources.tolist(),
            "squares": tally.squares.tolist(),
        },
        "colours": {"mean": mean, "deviation": deviation, "levels": tally.levels.tolist()},
        "settings": asdict(facts.settings),
        "cascade": {"file": facts.cascade, "sha256": facts.cascade_sha256} if facts.looks_for_faces else None,
        "command": facts.command,
        "started": facts.started.isoformat(timespec="seconds"),
        "seconds": round(facts.seconds, 1),
        "versions": facts.versions,
    }
    return json.dumps(record, indent=1) + "\n"


def data_card(tally: Tally, facts: DataCardFacts) -> str:
    """The data card.

    Parameters
    ----------
    tally : Tally
    facts : DataCardFacts

    Returns
    -------
    str
        Markdown.
    """
    mean, deviation = (", ".join(f"{n:.0f}" for n in numbers) for numbers in tally.colours())
    size, total = tally.size, tally.kept + tally.dropped
    kind = "archive" if facts.is_archive else "folder"
    lines = [
        f"# Data card: {_plain(facts.name)}",
        "",
        f"{plural(tally.kept, 'square image')} of {size} x {size} pixels, in the folder `pictures/`, prepared by "
        f"minigan on {facts.started:%Y-%m-%d}. `report.html` shows them and what was dropped; `pictures.csv` says for "
        "every file of the source what became of it.",
        "",
        "## What only you know",
        "",
        "| | |",
        "|---|---|",
        f"| What these images show, and what they are meant for | {TO_FILL_IN} |",
        f"| Who collected them, how and when | {TO_FILL_IN} |",
        f"| Whose drawings they are | {TO_FILL_IN} |",
        f"| Licence, and whether they and what is trained on them may be passed on | {TO_FILL_IN} |",
        f"| Known gaps (styles, ages, skin, hair, views that are rare or missing) | {TO_FILL_IN} |",
        "",
        "Unless you know better, assume that the drawings are other people's work under copyright: use the set to "
        "learn and to experiment, and do not publish it.",
        "",
        "## Where they come from",
        "",
        f"The {kind} `{_plain(facts.source)}`, {total:,} files.",
        "",
        "## How they were prepared",
        "",
        "Each image was",
        "",
        *(f"{number}. {words}" for number, words in enumerate(steps(facts.settings, facts.looks_for_faces), start=1)),
        "",
    ]
    if facts.looks_for_faces:
        lines += [
            f"Faces were found with the cascade `{_plain(facts.cascade)}` (SHA-256 {facts.cascade_sha256[:16]}...).",
            "",
        ]
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    lines += [
        "The command, which gives the same images again:",
        "",
        f"    {printable(facts.command)}",
        "",
        f"Versions: {versions}.",
        "",
        "## Counts",
        "",
        "| | files |",
        "|---|---:|",
        f"| kept | {tally.kept:,} |",
        *(f"| dropped: {KINDS[k]} | {tally.count(k):,} |" for k in KINDS if tally.count(k)),
        f"| all | {total:,} |",
        "",
        f"Mean red, green, blue: {mean} of 255; standard deviations: {deviation}.",
        "",
        "## What to be careful about",
        "",
        *(f"* {words}" for words in [*concerns(tally, facts), *_limits(tally, facts)]),
        "",
        "## How to recognise the set",
        "",
        f"SHA-256 of the pixels of all images in order: `{tally.fingerprint}`.",
        "",
        f"`python -m minigan.data info` shows it, and a run trained on this folder at its own size (--image-size "
        f"{size}) has it in its `config.json`.",
        "",
    ]
    return "\n".join(lines)


def _limits(tally: Tally, facts: DataCardFacts) -> list[str]:
    """Limits of the data set that follow from how it was prepared."""
    found = []
    if facts.looks_for_faces:
        found.append(
            "The detector was made for faces drawn in the usual anime style, upright and seen from the front. "
            "Profiles, tilted or covered faces, and unusual styles are rarer here than in the source, and a few "
            "images may show no face at all."
        )
        found.append("Of each image only the biggest face is here: side characters are missing.")
    else:
        found.append("No faces were searched for: the middle of each image was taken, whatever it shows.")
    if facts.settings.colour_only:
        found.append("Images without colours are missing, and so are most manga pages and sketches.")
    if facts.settings.keep_duplicates:
        found.append("No duplicates were searched for: drawings that are there more than once weigh more.")
    else:
        found.append(
            "Of nearly equal images only the first in the source's order is here. Variants of a drawing that differ in "
            "small things, such as the mouth, may count as equal."
        )
    if tally.enlarged:
        found.append(f"{tally.enlarged:,} images were enlarged and are less sharp than the rest.")
    return found


def _plain(words: str) -> str:
    """Words without characters that have a meaning in Markdown."""
    return printable(words).replace("`", "'").replace("|", "/")
