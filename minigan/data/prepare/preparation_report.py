"""report.html of a prepared data set: what was kept, what was dropped and why, to be looked at before training.

A number says that forty pictures had no face; only looking says that the detector was right. So every kind of loss
shows some of its pictures, duplicates beside what they are equal to, and the kept ones come as a sheet spread evenly
over the whole set. The page is one file: the pictures are in it, small and as JPEG.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from minigan.data.prepare.data_card import Facts, concerns, steps
from minigan.data.prepare.prepared_file import Settings
from minigan.data.prepare.tally import EXAMPLES, KINDS, SIDES, Pixels, Reason, SampledImage, Tally
from minigan.pages.html import DARK, LIGHT, date, document, hidden, plural, text, themes, variables

THUMBNAIL = 64
"""Longest side of a picture in the page, in pixels."""

_COLOURS = {
    "unreadable": "fail",
    "no picture": "quiet",
    "refused": "quiet",
    "no face": "skip",
    "too small": "skip",
    "grey": "oops",
    "duplicate": "link",
}
_EXPLAINED = {
    "unreadable": "Named like a picture or beginning like one, but damaged, empty or too large.",
    "no picture": "Other files that lay among the pictures.",
    "refused": "Links, devices, and members of an archive with names that lead elsewhere.",
    "no face": "The detector found nothing. Shown is the middle of the picture.",
    "too small": "Enlarged, these would be blurred.",
    "grey": "Pictures with next to no colours, dropped because of --colour-only.",
    "duplicate": "The dropped picture is on the left, the kept one that it is nearly equal to on the right.",
}
_BARS = 32


def report_html(tally: Tally, facts: Facts, pictures: Path) -> str:
    """The page.

    Parameters
    ----------
    tally : Tally
        At least one picture is kept.
    facts : Facts
    pictures : Path
        Folder of the prepared pictures, where the twins of duplicates are looked up.

    Returns
    -------
    str
        To be written as UTF-8.
    """
    total = tally.kept + tally.dropped
    took = f"{facts.seconds:.0f} s" if facts.seconds < 100 else f"{facts.seconds / 60:.0f} min"
    items = [
        f"from <b>{text(facts.source)}</b>",
        date(facts.started),
        f"took {took}",
        f"{tally.size} × {tally.size} pixels",
    ]
    body = [
        '<header class="top"><p class="over">minigan prepare</p>',
        f"<h1>{text(facts.name)}</h1>",
        f'<ul class="facts">{"".join(f"<li>{item}</li>" for item in items)}</ul>',
        f'<p class="lead"><b>{tally.kept:,}</b> of {plural(total, "file")} became pictures to train on.</p>',
        _bar(tally),
        "</header><main>",
        _concerns(concerns(tally, facts)),
        '<section><h2 id="kept">Kept</h2>',
        _note("Spread evenly over the whole set." if tally.kept > len(tally.kept_sample.items) else "All of them."),
        _sheet([_figure(p.pixels, f"{p.number:06}.png, from {p.source}") for p in tally.kept_sample.items]),
        "</section>",
        *(_dropped(kind, tally, pictures) for kind in KINDS if kind in tally.reasons),
        _sizes(tally, facts.settings),
        _colours(tally),
        _making(tally, facts),
        "</main>",
    ]
    style = themes(variables(LIGHT), variables(DARK)) + _STYLE
    return document(title=f"{facts.name}: prepared", style=style, script="", body="\n".join(body), pictures=True)


# ---- Parts ----


def _bar(tally: Tally) -> str:
    """Everything in one bar, and the numbers in words, which lead to the sections."""
    parts = [("kept", tally.kept, "pass", "kept")]
    parts += [(kind.replace(" ", "-"), tally.count(kind), _COLOURS[kind], words) for kind, words in KINDS.items()]
    parts = [part for part in parts if part[1]]
    strips = "".join(f'<i style="flex-grow:{count};--tone:var(--{tone})"></i>' for _, count, tone, _ in parts)
    words = "".join(
        f'<li><a href="#{anchor}"><i style="--tone:var(--{tone})"></i>{count:,} {text(label)}</a></li>'
        for anchor, count, tone, label in parts
    )
    return f'<div class="bar" aria-hidden="true">{strips}</div><ul class="legend">{words}</ul>'


def _concerns(found: Sequence[str]) -> str:
    if not found:
        return ""
    lines = "".join(f"<li>{text(words)}</li>" for words in found)
    return f'<section class="concerns"><h2>Before you train</h2><ul>{lines}</ul></section>'


def _dropped(kind: str, tally: Tally, pictures: Path) -> str:
    """One kind of loss: its reasons, and some of its pictures."""
    sample = tally.dropped_samples[kind].items if kind in tally.dropped_samples else []
    figures = [_pair(p, pictures) if kind == "duplicate" else _figure(p.pixels, p.source) for p in sample]
    some = f" Shown are {len(sample)} of them." if 0 < len(sample) < tally.count(kind) else ""
    return (
        f'<section><h2 id="{kind.replace(" ", "-")}">Dropped: {text(KINDS[kind])} '
        f'<span class="count">{tally.count(kind):,}</span></h2>'
        f"{_note(_EXPLAINED[kind] + some)}{_sheet(figures, 'pairs' if kind == 'duplicate' else '')}"
        f"{_reasons(tally.sorted_reasons(kind))}</section>"
    )


def _reasons(reasons: Sequence[tuple[str, Reason]]) -> str:
    """The reasons of one kind, with some names for each."""
    rows = []
    for reason, counted in reasons:
        names = ", ".join(f"<code>{text(name)}</code>" for name in counted.examples)
        more = ", …" if counted.count > EXAMPLES else ""
        rows.append(f'<tr><td class="number">{counted.count:,}</td><td>{text(reason)}</td><td>{names}{more}</td></tr>')
    return (
        '<div class="scroll"><table class="reasons"><thead><tr><th class="number" scope="col">Files</th>'
        '<th scope="col">Reason</th><th scope="col">For example</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _sizes(tally: Tally, settings: Settings) -> str:
    """How large the sources were, and the squares cut out of them."""
    below = sum(bound <= tally.size for bound in SIDES)
    charts = [
        _histogram(tally.sources, -1, "Shorter side of the source pictures, in pixels"),
        _histogram(tally.squares, below, "Side of the squares cut out of them, in pixels"),
    ]
    if tally.enlarged:
        words = f"Smaller than {tally.size} pixels, and so enlarged: {plural(tally.enlarged, 'square')}."
    else:
        words = f"No square was smaller than {tally.size} pixels, so none was enlarged."
    words += f" Squares of fewer than {settings.min_side} pixels were dropped."
    return f'<section><h2>Sizes</h2>{_note(words)}<div class="charts">{"".join(charts)}</div></section>'


def _histogram(counts: npt.NDArray[np.int64], marked_below: int, title: str) -> str:
    """Horizontal bars; those of index below `marked_below` are marked."""
    present = np.flatnonzero(counts)
    first, last = int(present[0]), int(present[-1])
    most = int(counts.max())
    rows = []
    for k in range(first, last + 1):
        low, high = ([0, *SIDES][k], SIDES[k] - 1 if k < len(SIDES) else None)
        label = f"{low}–{high}" if high is not None else f"{low} and more"
        mark = ' class="marked"' if k < marked_below else ""
        bar = f'<i style="width:{100 * counts[k] / most:.1f}%"></i>' if counts[k] else ""
        rows.append(
            f'<tr{mark}><th scope="row">{label}</th>'
            f'<td class="bars">{bar}</td><td class="number">{counts[k]:,}</td></tr>'
        )
    return f'<table class="histogram"><caption>{text(title)}</caption><tbody>{"".join(rows)}</tbody></table>'


def _colours(tally: Tally) -> str:
    """The average picture, and how often each level of red, green and blue occurs."""
    mean, deviation = tally.colours()
    rows = "".join(
        f'<tr><th scope="row"><i class="dot {name}"></i>{name}</th><td class="number">{m:.0f}</td>'
        f'<td class="number">{d:.0f}</td></tr>'
        for name, m, d in zip(("red", "green", "blue"), mean, deviation, strict=True)
    )
    table = (
        '<table class="small"><thead><tr><th scope="col">Channel</th><th class="number" scope="col">Mean</th>'
        f'<th class="number" scope="col">Deviation</th></tr></thead><tbody>{rows}</tbody></table>'
    )
    image = f'<img src="{_data(tally.average, 2 * THUMBNAIL)}" alt="mean of all pictures" width="160">'
    notes = [
        "The mean of all pictures. The more of a face it shows, the more alike the faces lie.",
        "How often each level occurs, from 0 (left) to 255. A peak at the right comes from white backgrounds.",
        "0 to 255, over all pixels.",
    ]
    parts = zip((f'<figure class="average">{image}</figure>', _levels(tally), table), notes, strict=True)
    panels = "".join(f"<div>{part}{_note(words)}</div>" for part, words in parts)
    return f'<section><h2>Colours</h2><div class="colours">{panels}</div></section>'


def _levels(tally: Tally) -> str:
    """Three curves in one drawing."""
    counts = tally.levels.reshape(3, _BARS, -1).sum(axis=2)
    top = max(1.0, float(np.sort(counts.ravel())[-4]) * 1.05)  # white backgrounds alone would flatten the rest
    curves = []
    for name, channel in zip(("red", "green", "blue"), counts, strict=True):
        heights = [100 - 100 * min(1.0, count / top) for count in channel]
        points = " ".join(f"{(k + 0.5) * 320 / _BARS:.1f},{height:.1f}" for k, height in enumerate(heights))
        curves.append(f'<polyline class="{name}" points="{points}"/>')
    return (
        '<svg class="levels" viewBox="0 0 320 102" preserveAspectRatio="none" role="img" '
        f'aria-label="how often each level of red, green and blue occurs"><path d="M0 101H320"/>{"".join(curves)}</svg>'
    )


def _making(tally: Tally, facts: Facts) -> str:
    """What was done, by which command and versions, and how to go on."""
    done = "".join(f"<li>{text(words)}</li>" for words in steps(facts.settings, facts.looks_for_faces))
    rows = [("Command", f"<code>{text(facts.command)}</code>")]
    if facts.looks_for_faces:
        rows.append(("Cascade", f"{text(facts.cascade)}, SHA-256 <code>{text(facts.cascade_sha256)}</code>"))
    rows += [
        ("Versions", text(", ".join(f"{name} {version}" for name, version in facts.versions.items()))),
        (
            "Fingerprint",
            f"<code>{text(tally.fingerprint)}</code><br>SHA-256 of all pictures; a run trained on them has it too",
        ),
    ]
    table = "".join(f'<tr><th scope="row">{name}</th><td>{words}</td></tr>' for name, words in rows)
    size = "" if tally.size == 64 else f" --image-size {tally.size}"
    train = f"python -m minigan.train --data {facts.name}{size}"
    return (
        f'<section><h2>How they were made</h2><p>Each picture was</p><ol class="steps">{done}</ol>'
        f'<div class="scroll"><table class="small">{table}</table></div></section>'
        "<section><h2>Next</h2><p>Fill in the licence and the origin in <code>DATACARD.md</code>, "
        "see <code>pictures.csv</code> for what became of each file, and train, from the folder above this one:</p>"
        f"<pre>{text(train)}</pre></section>"
    )


# ---- Pieces ----


def _note(words: str) -> str:
    return f'<p class="note">{text(words)}</p>'


def _sheet(figures: Sequence[str], kind: str = "") -> str:
    return f'<div class="sheet {kind}">{"".join(figures)}</div>' if figures else ""


def _figure(pixels: Pixels, words: str) -> str:
    return f'<img src="{_data(pixels, THUMBNAIL)}" alt="{text(words)}" title="{text(words)}">'


def _pair(picture: SampledImage, pictures: Path) -> str:
    """A duplicate, and what it is nearly equal to."""
    name = f"{picture.number:06}.png"
    with Image.open(pictures / name) as opened:
        twin = np.asarray(opened.convert("RGB"))
    return f"<span>{_figure(picture.pixels, picture.source)}{hidden('is like')}{_figure(twin, name)}</span>"


def _data(pixels: Pixels, side: int) -> str:
    """A picture as a URL that holds it."""
    image = Image.fromarray(pixels)
    if image.width > side:
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=88, subsampling=0, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


_STYLE = """
.facts b{font-weight:600;color:var(--ink);overflow-wrap:anywhere}
.bar{display:flex;gap:3px;height:14px;margin:.7rem 0 .6rem;border-radius:7px;overflow:hidden}
.bar i{flex-basis:0;min-width:4px;background:var(--tone)}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.3rem;font-size:.95rem}
.legend a{color:var(--ink);text-decoration:none}
.legend a:hover{text-decoration:underline}
.legend i{display:inline-block;width:.7em;height:.7em;border-radius:50%;background:var(--tone);margin-right:.45em}
h2{scroll-margin-top:1rem}
h2 .count{color:var(--quiet);font-weight:400;margin-left:.3rem}
.concerns{background:var(--skip-soft);border-left:5px solid var(--skip);border-radius:8px;padding:.8rem 1.1rem;
 margin-top:1.6rem}
.concerns h2{margin:0 0 .3rem;font-size:1.05rem;color:var(--skip)}
.concerns li+li{margin-top:.3rem}
.sheet{display:grid;grid-template-columns:repeat(auto-fill,minmax(64px,1fr));gap:4px;margin:.7rem 0}
.sheet img{display:block;width:100%;aspect-ratio:1;border-radius:4px;background:var(--line)}
.sheet.pairs{grid-template-columns:repeat(auto-fill,minmax(138px,1fr));gap:8px}
.pairs span{display:grid;grid-template-columns:1fr 1fr;gap:2px;padding:3px;background:var(--paper);
 border:1px solid var(--line);border-radius:7px}
table{border-collapse:collapse;font-size:.92rem;width:100%}
th,td{text-align:left;vertical-align:top;padding:.35rem .8rem;border-top:1px solid var(--line);font-weight:400}
thead th{border-top:0;font-size:.82rem;color:var(--quiet);font-weight:600}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;width:5rem}
.reasons td:nth-child(2),.reasons th:nth-child(2){width:40%}
td code{display:inline-block;max-width:100%;overflow-wrap:anywhere}
.scroll{margin-top:.7rem;overflow-x:auto;background:var(--paper);border:1px solid var(--line);border-radius:12px;
 box-shadow:var(--shadow)}
.scroll .small th{width:8rem;color:var(--quiet)}
.scroll tbody tr:first-child>*{border-top-color:var(--line)}
.charts,.colours{display:grid;gap:1.2rem;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));margin-top:.8rem}
.charts>*,.colours>*{background:var(--paper);border:1px solid var(--line);border-radius:12px;padding:1rem 1.1rem;
 box-shadow:var(--shadow)}
.histogram{display:block}
.histogram caption{display:block;text-align:left;font-weight:600;margin-bottom:.5rem}
.histogram tbody{display:grid;gap:3px}
.histogram tr{display:grid;grid-template-columns:6.5rem 1fr 4.5rem;align-items:center}
.histogram th,.histogram td{border:0;padding:0;width:auto}
.histogram th{color:var(--quiet);font-variant-numeric:tabular-nums}
.bars i{display:block;height:1rem;min-width:1px;border-radius:0 4px 4px 0;background:var(--pass)}
.marked .bars i{background:var(--skip)}
.colours{grid-template-columns:auto minmax(16rem,1fr) minmax(14rem,auto)}
.average img{display:block;border-radius:8px;image-rendering:auto}
.average+.note{max-width:160px}
.levels{display:block;width:100%;height:150px}
.levels path{stroke:var(--line);fill:none}
.levels polyline{fill:none;stroke-width:2;vector-effect:non-scaling-stroke;stroke-linejoin:round}
.levels .red{stroke:#d9482b}
.levels .green{stroke:#2f9e57;stroke-dasharray:6 3}
.levels .blue{stroke:#3f7fe0;stroke-dasharray:2 3}
.dot{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.45em}
.dot.red{background:#d9482b}.dot.green{background:#2f9e57}.dot.blue{background:#3f7fe0}
.steps{list-style:decimal;padding-left:1.6rem;margin:.3rem 0 1rem}
pre{background:var(--paper);border:1px solid var(--line);border-radius:8px;padding:.7rem 1rem;margin-top:.6rem;
 overflow-x:auto}
@media (max-width:60rem){.colours{grid-template-columns:1fr}}
@media (max-width:40rem){
 .sheet{grid-template-columns:repeat(auto-fill,minmax(48px,1fr))}
 .histogram tr{grid-template-columns:5rem 1fr 3.5rem}
}
@media print{.scroll,.charts>*,.colours>*{box-shadow:none}tr,.sheet span{break-inside:avoid}}
"""
