"""The report of a run: report.html in its folder, one page that says how it goes, or how it went.

    python -m minigan.report RUN        makes it anew, for any run

While a run trains, the page is written again with every picture and every save, and in the browser it looks at itself
again. It is one file that opens from the disk without a server and loads nothing: the pictures are in it as data.
However long the run, it stays below `MAX_BYTES`: of the film an evenly spread choice is shown, and of the curves what a
screen can show. It costs less than a hundredth of the training, for it is only written when that is so
(`Report.is_due`).

Whatever does not come from this file (paths, settings, what other programs left in the folder) reaches the page through
`minigan.pages.html.text`. Pieces that are missing or damaged are left out: the page is about a run and must not
fail with it.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import itertools
import json
import math
import os
import shlex
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import minigan
from minigan.evaluation.diagnosis import WARM_UP, band_of, diagnose_numbers
from minigan.evaluation.words import describe
from minigan.gan.step import METRICS
from minigan.nn.backend import Array
from minigan.pages import svg
from minigan.pages.html import DARK, LIGHT, date, document, plural, text, themes, variables
from minigan.pages.plots import SCALE
from minigan.pages.svg import Band, Chart, Curve, Thinned
from minigan.runs.config import PRESETS, RunConfig, option
from minigan.runs.run_folder import (
    METRICS_NAME,
    REPORT_NAME,
    VITALS_NAME,
    list_pictures,
    newest_step,
    open_config,
    read_history,
    read_rows,
    read_speed,
)
from minigan.system import atomic_files
from minigan.system.errors import UserError
from minigan.system.lock import LOCK_NAME, FolderLock

if TYPE_CHECKING:
    from minigan.evaluation.metrics import Measurement

MAX_BYTES = 6_000_000
"""No page is larger."""

FILM_BYTES = 4_000_000
"""Room for the film, in the letters that pictures become in a page."""

MAX_FRAMES = 120
"""Most frames of the film."""

COST = 0.01
"""Share of the time that writing reports may take."""

FIRST_VERDICT = WARM_UP + WARM_UP // 2
"""Steps after which the losses are judged."""

MAX_JSON_BYTES = 1_000_000
MAX_PIXELS = 16_000_000
MAX_SIDE = 560
"""Pixels of a side of a picture in the page; a larger one is made smaller."""

LONGEST = 600
"""Letters of a path or another word from outside; the rest is cut."""

ROWS = 40
"""Most rows of a table."""

D_FLOOR = 0.325
"""The least that a loss of D can be on average: a soft label is 0.9 on average, and that is the entropy of 0.9."""

RUNNING, FINISHED, STOPPED, FAILED = "running", "finished", "stopped", "failed"
SYMBOLS = {RUNNING: "▸", FINISHED: "✓", STOPPED: "■", FAILED: "✗"}

_HERE = "<!--pictures-->"  # nothing from outside can look like this: its < would be escaped
_ICON = '<link rel="icon" href="data:,">\n'  # or the browser looks for one
_WITHOUT_SCRIPT = '<noscript><meta http-equiv="refresh" content="60"></noscript>\n'
_COLOURS = (
    {"real": "#0b5394", "fake": "#d9730d", "one": "#6b3fa0"},
    {"real": "#8cc8ff", "fake": "#f0883e", "one": "#c9a6f5"},
)


@dataclass(frozen=True)
class Facts:
    """What a run's folder says about it.

    Parameters
    ----------
    path : Path
        Absolute.
    config : RunConfig
    about : dict
        The rest of config.json.
    state : str
        RUNNING, FINISHED, STOPPED or FAILED.
    words : str
        Why it ended, where there is more to say.
    steps : numpy.ndarray of shape (T,)
        Rising.
    values : numpy.ndarray of shape (T, 6)
        `minigan.gan.step.METRICS` of the steps, all finite.
    done : int
        Finished steps.
    saved : int
        Steps that the newest checkpoint has behind it.
    speed : list of (int, int, float)
        See `minigan.runs.run_folder.read_speed`.
    vitals, measured : list of dict
        Rows of vitals.jsonl; rows of metrics.jsonl and at last evaluation.json's, each with "step", the number of
        finished steps, and "measures".
    """

    path: Path
    config: RunConfig
    about: dict[str, Any]
    state: str
    words: str
    steps: Array
    values: Array
    done: int
    saved: int
    speed: list[tuple[int, int, float]]
    vitals: list[dict[str, Any]]
    measured: list[dict[str, Any]]

    @property
    def pace(self) -> float | None:
        """Seconds per step of late; None if nobody has measured it."""
        latest = self.speed[-5:]
        count = sum(last - first for first, last, _ in latest)
        return sum(seconds for _, _, seconds in latest) / count if count else None


class Report:
    """Writes a run's report.html, and keeps the pictures that it has prepared for the next time.

    Parameters
    ----------
    path : Path
        A run folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, tuple[tuple[int, int], str | None]] = {}
        self._written_at, self._took = -math.inf, 0.0
        self._every = 1  # which of the film's pictures are shown

    @property
    def is_due(self) -> bool:
        """Whether writing it now would take less than `COST` of the time since the last one."""
        return self._took <= COST * (time.monotonic() - self._written_at)

    def write(self, state: str, words: str = "", history: tuple[Array, Array] | None = None) -> None:
        """Write the report, all or nothing.

        Parameters
        ----------
        state : str
            RUNNING, FINISHED, STOPPED or FAILED.
        words : str
            What more there is to say about its end.
        history : tuple of arrays, optional
            `minigan.runs.run_folder.Run.history`, by default read from log.csv.

        Raises
        ------
        UserError
            If it is no run folder.
        OSError
            If it cannot be written; the report before it is then still there.
        """
        began = time.monotonic()
        config, about = open_config(self.path)
        steps, values = _clean(*(read_history(self.path) if history is None else history))
        saved = newest_step(self.path)
        facts = Facts(
            path=self.path.absolute(),
            config=config,
            about=about,
            state=state,
            words=words,
            steps=steps,
            values=values,
            done=int(steps[-1]) + 1 if len(steps) else saved,
            saved=saved,
            speed=read_speed(self.path),
            vitals=read_rows(self.path, VITALS_NAME),
            measured=_measured(self.path),
        )
        with (
            atomic_files.replacing(self.path / REPORT_NAME) as temporary,
            temporary.open("w", encoding="utf-8", newline="\n") as file,
        ):
            file.writelines(self._page(facts, datetime.now().astimezone()))
        self._written_at = time.monotonic()
        self._took = self._written_at - began

    def _page(self, facts: Facts, now: datetime) -> Iterator[str]:
        """The page in pieces, the film picture by picture: it need not be in memory a second time."""
        steps, frames = self._film(facts.config)
        losses, quality, speed = _charts(facts), _quality_charts(facts), _speed_chart(facts)
        sections = [
            ("diagnosis", "Is it normal?", _verdict(facts)),
            ("faces", "Faces", _faces(facts.config, steps, frames, *self._newest(facts))),
            ("curves", "Curves", _curves(facts, losses)),
            ("metrics", "How good are the faces?", _quality(facts, quality)),
            ("speed", "Speed", _speed(facts, speed)),
            ("go-on", "What to do next", _commands(facts)),
            ("settings", "Settings", _settings(facts)),
        ]
        refresh = _refresh_seconds(facts)
        data = {
            "steps": steps,
            "charts": [svg.points(each) for each in (*losses, *quality, *speed)],
            "written": now.isoformat(timespec="seconds"),
            "refresh": refresh if facts.state == RUNNING else 0,
            "stale": max(900, 20 * refresh),
        }
        main = "".join(
            f'<section id="{anchor}" aria-labelledby="{anchor}-title"><h2 id="{anchor}-title">{title}</h2>{content}'
            "</section>"
            for anchor, title, content in sections
        )
        body = (
            f"{_header(facts, now, refresh, sections)}<main>{main}</main>"
            f"<footer><p>Written by minigan {text(minigan.__version__)}. This page needs no network and no server.</p>"
            f'</footer><script type="application/json" id="data">{_json(data)}</script>'
            f'<script type="application/json" id="pictures">[{_HERE}]</script>'
        )
        light, dark = (variables({**theme, **more}) for theme, more in zip((LIGHT, DARK), _COLOURS, strict=True))
        share = f"{100 * facts.done // facts.config.steps} % · " if facts.state == RUNNING else ""
        page = document(
            title=f"{share}{_cut(facts.path.name)} · minigan",
            style=themes(light, dark) + _beside("run_page.css"),
            script=_beside("run_page.js"),
            body=body,
            head=_ICON + (_WITHOUT_SCRIPT if facts.state == RUNNING else ""),
            pictures=True,
        )
        before, _, after = page.partition(_HERE)
        yield before
        for k, frame in enumerate(frames):
            yield f'{"," if k else ""}"{frame}"'
        yield after

    # ------------------------------------------------------------------------------------------------------- pictures
    def _film(self, config: RunConfig) -> tuple[list[int], list[str]]:
        """Finished steps and pictures of an evenly spread choice of the fixed faces, always with the newest."""
        # The faces after a save are those before the next step: 0499 and 0500 are one frame.
        pictures = {
            step + 1 if (step + 1) % config.save_every == 0 else step: file
            for step, file in list_pictures(self.path, fixed=True)
        }
        self._every = max(self._every, math.ceil(len(pictures) / MAX_FRAMES))
        while True:
            chosen = [
                (done, file)
                for k, (done, file) in enumerate(pictures.items())
                if k % self._every == 0 or k == len(pictures) - 1
            ]
            frames = {done: frame for done, file in chosen if (frame := self._prepared(file)) is not None}
            size = sum(map(len, frames.values()))
            if size <= FILM_BYTES or self._every >= len(pictures):
                self._known = {file.name: self._known[file.name] for _, file in chosen if file.name in self._known}
                return list(frames), list(frames.values())
            self._every = max(self._every + 1, math.ceil(self._every * size / FILM_BYTES))

    def _newest(self, facts: Facts) -> tuple[str | None, str]:
        """The newest grid and what it shows."""
        summary = self.path / "faces.png"
        if facts.state != RUNNING and (picture := _as_data(summary)) is not None:
            whose = ", drawn by the generator’s average" if facts.config.ema else ""
            return picture, f"64 faces after {plural(facts.done, 'step')}{whose}"
        for step, file in reversed(list_pictures(self.path, fixed=False)[-3:]):
            if (picture := _as_data(file)) is not None:
                return picture, f"What step {step:,} showed the discriminator"
        return None, ""

    def _prepared(self, file: Path) -> str | None:
        """A picture as data, from the last time if the file is the same."""
        try:
            status = file.stat()
        except OSError:
            return None
        stamp = (status.st_mtime_ns, status.st_size)
        known = self._known.get(file.name)
        if known is None or known[0] != stamp:
            known = self._known[file.name] = (stamp, _as_data(file))
        return known[1]


def _as_data(file: Path) -> str | None:
    """A picture of the run as a data URI, at the size the network drew it; None if it cannot be read.

    It is decoded and encoded anew: what is in the file, if that is not a picture of the run's, does not reach the page.
    """
    from PIL import Image

    try:
        with Image.open(file, formats=("PNG",)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                return None
            sheet = picture.convert("RGB")
        # Every pixel was written SCALE times each way; the browser enlarges as well.
        sheet = sheet.resize((max(1, sheet.width // SCALE), max(1, sheet.height // SCALE)), Image.Resampling.NEAREST)
        sheet.thumbnail((MAX_SIDE, MAX_SIDE))
        encoded = io.BytesIO()
        sheet.save(encoded, "JPEG", quality=78, subsampling=0)
    except Exception:  # Pillow on a damaged file raises almost anything
        return None
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")


# ---------------------------------------------------------------------------------------------------- words and numbers
def _clean(steps: Array, values: Array) -> tuple[Array, Array]:
    """Without what is not finite or out of order, which only a log that somebody has changed holds."""
    if not len(steps):
        return steps, values
    rising = np.concatenate([[True], steps[1:] > np.maximum.accumulate(steps)[:-1]])
    kept = rising & np.isfinite(values).all(axis=1) & (np.abs(values) < 1e30).all(axis=1)
    return steps[kept], values[kept]


def _cut(words: object) -> str:
    """Words from outside, not too many."""
    told = str(words)
    return told if len(told) <= LONGEST else told[:LONGEST] + "…"


def _duration(seconds: float) -> str:
    """A time, in few words.

    >>> _duration(0.25), _duration(42.3), _duration(160), _duration(5400), _duration(200000)
    ('0.25 s', '42 s', '3 min', '1 h 30 min', '2 d 8 h')
    """
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if minutes < 60:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24:,} d {hours % 24} h"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "", words: Sequence[int] = ()) -> str:
    """A table from HTML cells; the first cell of a row is its head, columns in `words` hold words."""
    kinds = [' class="words"' if k in words else "" for k in range(len(heads))]
    head = "".join(f'<th scope="col"{kind}>{cell}</th>' for kind, cell in zip(kinds, heads, strict=True))
    body = "".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds[1:], rest, strict=True))
        + "</tr>"
        for first, *rest in rows
    )
    title = f"<caption>{caption}</caption>" if caption else ""
    kind = ' class="telling"' if words else ""
    return f'<div class="scroll"><table{kind}>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _list(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and what they are, as HTML."""
    return '<dl class="list">' + "".join(f"<dt>{name}</dt><dd>{words}</dd>" for name, words in pairs) + "</dl>"


def _json(data: object) -> str:
    """JSON that cannot end the script element it stands in."""
    words = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return words.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@functools.cache
def _beside(name: str) -> str:
    """A file of the package."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


# ----------------------------------------------------------------------------------------------------------- the header
def _header(facts: Facts, now: datetime, refresh: int, sections: Sequence[tuple[str, str, str]]) -> str:
    config, done = facts.config, facts.done
    source = f"{config.faces:,} drawn faces" if config.data is None else _cut(config.data)
    lines = [f"{text(config.preset)} preset", text(source), f"{config.image_size} × {config.image_size} pixels"]
    links = "".join(f'<li><a href="#{anchor}">{title}</a></li>' for anchor, title, _ in sections)
    watch = f'<span>Written {date(now)} <span id="age"></span></span>'
    if facts.state == RUNNING:
        watch += (
            '<label hidden class="scripted"><input type="checkbox" id="follow"> '
            f"Look again by itself, every {_duration(refresh)}</label>"
        )
    return (
        f'<header class="top"><p class="over">minigan run</p><h1>{text(_cut(facts.path.name))}</h1>'
        f'<ul class="facts">{"".join(f"<li>{line}</li>" for line in lines)}</ul>'
        f'<p class="state"><span class="chip {facts.state}"><span class="symbol" aria-hidden="true">'
        f"{SYMBOLS[facts.state]}</span> {facts.state.capitalize()}</span> <span>{_state_words(facts)}</span></p>"
        f'<progress max="{config.steps}" value="{min(done, config.steps)}" aria-label="Finished steps"></progress>'
        f'<div class="watch">{watch}</div>'
        '<p id="stale" hidden>There has been no news for a long time: the process has probably ended. '
        '<a href="#go-on">How to go on</a></p>'
        f'<nav class="jump" aria-label="Parts of this page"><ul>{links}</ul></nav></header>'
    )


def _state_words(facts: Facts) -> str:
    """How far it is, as HTML."""
    done, steps = facts.done, facts.config.steps
    took = sum(seconds for _, _, seconds in facts.speed)
    if facts.state == FINISHED:
        return f"All {plural(done, 'step')} are done" + (f", in {_duration(took)} of training." if took else ".")
    far = f"{done:,} of {plural(steps, 'step')}"
    if facts.state == RUNNING:
        left = f"; about {_duration((steps - done) * facts.pace)} left" if facts.pace and done < steps else ""
        return f"{far}{left}."
    if facts.words:
        return f"{far}. {text(_cut(facts.words))}"
    if facts.saved < done:
        return f"{far}. The run can go on from its newest checkpoint, which has {facts.saved:,} of them behind it."
    return f"{far}. All is saved, and the run can go on."


def _refresh_seconds(facts: Facts) -> int:
    """After how long there may be something new."""
    config = facts.config
    return round(min(60.0, max(10.0, min(config.sample_every, config.save_every) * (facts.pace or 0.0))))


# ----------------------------------------------------------------------------------------------------------- diagnosis
_SEVERITIES = {"error": ("bad", "✗"), "warning": ("warning", "!"), "note": ("unknown", "?")}


def _verdict(facts: Facts) -> str:
    """What the diagnosis says, or that it has nothing to say."""
    findings = diagnose_numbers(facts.config, facts.steps, facts.values, facts.vitals, facts.measured)
    band = text(band_of(facts.config, facts.done).name)
    if findings:
        return "".join(
            _card(
                *_SEVERITIES.get(finding.severity, ("unknown", "?")),
                text(finding.title),
                f"<b>Seen:</b> {_sentence(finding.evidence)}",
                f"<b>What to do:</b> {_sentence(finding.advice)}",
                f"<small>Compared with {text(finding.band)}.</small>",
            )
            for finding in findings
        )
    if facts.done < FIRST_VERDICT:
        return _card("unknown", "…", "Too early to tell", f"The first {FIRST_VERDICT} steps are like no others.")
    if not facts.vitals:
        return _card(
            "good", "✓", "The losses look normal", f"Compared with {band}. More than the losses was not recorded."
        )
    return _card("good", "✓", "Nothing looks wrong", f"Compared with {band}.")


def _card(kind: str, symbol: str, title: str, *paragraphs: str) -> str:
    """A verdict from HTML."""
    told = "".join(f"<p>{words}</p>" for words in paragraphs)
    return (
        f'<div class="card verdict {kind}"><h3><span class="symbol" aria-hidden="true">{symbol}</span> {title}</h3>'
        f"{told}</div>"
    )


def _sentence(words: str) -> str:
    """With a capital and a full stop, safe as HTML."""
    cut = _cut(words)
    return text(cut[:1].upper() + cut[1:] + ("" if cut.endswith((".", "?", "!", "…")) else "."))


# ------------------------------------------------------------------------------------------------------------ the faces
def _faces(config: RunConfig, steps: list[int], frames: list[str], newest: str | None, caption: str) -> str:
    if not frames and newest is None:
        return '<p class="note">No picture has been drawn yet.</p>'
    film = ""
    if frames:
        last = f"after {plural(steps[-1], 'step')}"
        what = "Faces drawn from the same noise,"
        whose = ""
        if config.ema:
            whose = f" All is drawn with the average of the generator’s weights (<code>--ema {config.ema:g}</code>)."
        film = (
            '<figure class="card" aria-labelledby="film-title"><figcaption>'
            f'<h3 id="film-title">The same noise, <span id="shown">{last}</span></h3></figcaption>'
            f'<img id="frame" src="{frames[-1]}" data-what="{what}" alt="{what} {last}">'
            '<div class="controls scripted" hidden>'
            '<button type="button" class="small" id="play" data-play="▶&#xFE0E; Play" data-stop="❚❚ Pause">'
            "▶&#xFE0E; Play</button>"
            f'<input type="range" id="slider" min="0" max="{len(frames) - 1}" value="{len(frames) - 1}" '
            'aria-label="Picture of the film"></div>'
            '<p class="note">The noise never changes, so whatever changes here has been learned. '
            f"A click on a curve leads to its picture.{whose}</p></figure>"
        )
    grid = ""
    if newest is not None:
        grid = (
            f'<figure class="card"><figcaption><h3>{text(caption)}</h3></figcaption>'
            f'<img src="{newest}" alt="A grid of faces: {text(caption)}">'
            '<p class="note">Faces that are all alike are a bad sign, however good they look.</p></figure>'
        )
    return f'<div class="pair">{film}{grid}</div>'


# ----------------------------------------------------------------------------------------------------------- the curves
def _charts(facts: Facts) -> list[Chart]:
    """Losses and answers over the steps; none without a log."""
    if not len(facts.steps):
        return []
    thinned = svg.thin(facts.steps, facts.values)
    normal = _bands(facts.config, thinned)
    real, fake = Curve(METRICS.index("d_real"), "on reals", "real"), Curve(METRICS.index("d_fake"), "on fakes", "fake")
    g = Curve(METRICS.index("g"), "generator", "one")
    d_x, d_g_z = (
        Curve(METRICS.index("d_x"), "D(x), reals", "real"),
        Curve(METRICS.index("d_g_z"), "D(G(z)), fakes", "fake"),
    )
    return [
        Chart("Generator's loss", thinned, [g], *_ends(facts, [g]), bands=normal["g"]),
        Chart(
            "Discriminator's losses",
            thinned,
            [real, fake],
            *_ends(facts, [real, fake], D_FLOOR),
            bands=[*normal["d_real"], *normal["d_fake"]],
            marks=(D_FLOOR,),
        ),
        Chart("Discriminator's answers", thinned, [d_x, d_g_z], 0.0, 1.0, marks=(0.5,)),
    ]


def _bands(config: RunConfig, thinned: Thinned) -> dict[str, list[Band]]:
    """Where the medians of each loss lie in a normal run, from the steps on from which they are judged."""
    kinds = {"g": "one", "d_real": "real", "d_fake": "fake"}
    bands: dict[str, list[Band]] = {name: [] for name in kinds}
    for place, step in zip(thinned.first, thinned.last, strict=True):
        if step < WARM_UP:
            continue
        normal = band_of(config, int(step) + 1)
        for name, kind in kinds.items():
            low, high = getattr(normal, name)
            known = bands[name]
            if known and (known[-1].low, known[-1].high) == (low, high):
                known[-1] = replace(known[-1], last=int(step))
            else:
                first = known[-1].last if known else int(place)
                known.append(Band(kind, first, int(step), low, high))
    return bands


def _ends(facts: Facts, curves: Sequence[Curve], *more: float) -> tuple[float, float]:
    """Ends of a vertical axis that shows all but the wildest one in two hundred steps."""
    values = facts.values[:, [curve.column for curve in curves]]
    low, high = np.quantile(values, (0.005, 0.995))
    numbers = svg.axis(min(low, *more, high), max(low, *more, high))
    return numbers[0], numbers[-1]


_EXPLAINED = {
    "Generator's loss": "The lower, the more of its faces pass for real.",
    "Discriminator's losses": "The lower, the better it tells real from fake. The thin line, 0.325, is the least they "
    "can be on average, because its labels are not quite 0 and 1.",
    "Distance from real pictures": "Sliced Wasserstein distance: the lower, the more small pieces of the faces look "
    "like those of real ones.",
    "Difference between two faces": "Far below that of real pictures, all faces are much the same.",
    "Seconds per step": "Drawing, measuring and saving included.",
    "Discriminator's answers": "What it takes for real: 1 is certainly, 0 certainly not; on the thin line it "
    "cannot tell.",
}


def _curves(facts: Facts, charts: Sequence[Chart]) -> str:
    if not charts:
        return '<p class="note">There is no step in log.csv yet.</p>'
    window = charts[0].thinned.window
    told = (
        f'<p class="note">Strong lines are medians over {plural(window, "step")}, faint ones show how far single steps '
        "swing. Once the first few hundred steps are over, the losses hardly move while the faces keep improving: loss "
        "is no measure of quality.</p>"
        if window > 1
        else ""
    )
    return "".join(map(_figure, charts)) + told + _numbers(facts)


def _figure(each: Chart) -> str:
    """A chart with its legend, which reads out the numbers under the cursor."""
    title = text(each.title)
    legend = "".join(
        f'<li><svg class="sample" viewBox="0 0 30 10" aria-hidden="true"><path class="{curve.kind}" d="M0 5H30"/></svg>'
        f"{text(curve.label)} <b>{svg.number(each.thinned.median[-1, curve.column])}</b></li>"
        for curve in each.curves
    )
    if each.bands:
        legend += (
            '<li><svg class="sample" viewBox="0 0 30 10" aria-hidden="true"><rect class="band" width="30" height="10"/>'
            "</svg>normal</li>"
        )
    told = ", ".join(
        f"{curve.label} from {svg.number(each.thinned.median[0, curve.column])} "
        f"to {svg.number(each.thinned.median[-1, curve.column])}"
        for curve in each.curves
    )
    first, last = each.span
    return (
        f'<figure class="curves card"><figcaption><h3>{title}</h3><p class="note">{_EXPLAINED[each.title]}</p>'
        "</figcaption>"
        f'<ul class="legend">{legend}<li class="at">newest</li></ul>'
        f"{svg.draw(each, f'{each.title}, steps {first} to {last}: {told}')}</figure>"
    )


def _numbers(facts: Facts) -> str:
    """The curves as a table."""
    heads = ("Steps", "D real", "D fake", "G", "D(x)", "D(G(z))", "told apart")
    edges = [int(edge) for edge in svg.axis(int(facts.steps[0]), facts.done, most=10) if edge == int(edge)]
    rows = []
    for first, last in itertools.pairwise(edges):
        values = facts.values[(facts.steps >= first) & (facts.steps < last)]
        if len(values):
            middle, high = np.median(values, axis=0), np.quantile(values[:, :3], 0.95, axis=0)
            losses = [f"{m:.3f} <small>({h:.2f})</small>" for m, h in zip(middle, high, strict=False)]
            answers = [f"{m:.2f}" for m in middle[3:5]] + [f"{100 * middle[5]:.0f} %"]
            rows.append([f"{first:,} – {min(last, facts.done) - 1:,}", *losses, *answers])
    caption = "Medians; in brackets what 95 % of the steps stay below; last, how many of the pictures D got right."
    return f"<details><summary>The same in numbers</summary>{_table(heads, rows, caption=caption)}</details>"


# --------------------------------------------------------------------------------------------------------- the metrics
def _measured(path: Path) -> list[dict[str, Any]]:
    """Rows of metrics.jsonl, and at last evaluation.json's, as far as they can be used."""
    rows = [{**row, "step": row["step"] + 1} for row in read_rows(path, METRICS_NAME)]
    try:
        file = path / "evaluation.json"
        row = json.loads(file.read_text(encoding="utf-8")) if file.stat().st_size < MAX_JSON_BYTES else None
        if isinstance(row, dict) and type(row.get("step")) is int:
            rows.append(row)
    except (OSError, ValueError, RecursionError):  # none was made, or by another program
        pass
    return [row for row in rows if isinstance(row.get("measures"), dict)]


def _measures(row: dict[str, Any]) -> dict[str, Measurement]:
    """The measures of a row that are numbers."""
    from minigan.evaluation.metrics import Measurement  # late, as in minigan.train

    found = {}
    for name, entry in row["measures"].items():
        values = [entry.get(key) for key in ("value", "real", "noise")] if isinstance(entry, dict) else [None]
        if all(isinstance(value, int | float) and abs(value) < 1e30 for value in values):
            found[name] = Measurement(*values)
    return found


def _quality_charts(facts: Facts) -> list[Chart]:
    """How near and how varied the faces are, if that was measured more than once."""
    # In a run with an average, the others are of that.
    rows = [(row["step"], _measures(row)) for row in facts.measured if row.get("generator") != "raw"]
    charts = []
    for title, name in (("Distance from real pictures", "swd"), ("Difference between two faces", "distance")):
        found = {step: (m[name].value, m[name].real) for step, m in rows if name in m and 0 <= step < 10**12}
        if len(found) > 1:
            steps = np.array(sorted(found), np.int64)
            values = np.array([found[step] for step in sorted(found)])
            curves = [Curve(0, "samples", "one"), Curve(1, "real pictures", "goal")]
            top = svg.axis(0.0, float(values.max()))[-1]
            charts.append(Chart(title, svg.thin(steps, values, window=1), curves, 0.0, top))
    return charts


def _quality(facts: Facts, charts: Sequence[Chart]) -> str:
    newest = max(facts.measured, key=lambda row: row["step"], default=None)
    if newest is None:
        command = text(command_line(["minigan.evaluate", str(facts.path)]))
        return (
            f'<p class="note">They have not been measured. <code>{command}</code> does it afterwards, '
            "<code>--metrics-every N</code> while training.</p>"
        )
    count = newest["samples"] if type(newest.get("samples")) is int else 0
    rows = []
    measures = _measures(newest)
    for name in sorted(measures, key=lambda name: name != "swd"):  # the mean before its parts
        with contextlib.suppress(KeyError):  # a measure of another version's
            label, form, words = describe(name, measures[name], count)
            numbers = [text(form(value)) for value in (measures[name].value, measures[name].real, measures[name].noise)]
            part = ' class="part"' if label.startswith(" ") else ""
            rows.append([f"<span{part}>{text(label.strip())}</span>", *numbers, text(words)])
    whose = ""
    if facts.config.ema:
        whose = " of the generator itself" if newest.get("generator") == "raw" else " of the generator’s average"
    caption = (
        f"{plural(count, 'sample')}{whose} after {plural(newest['step'], 'step')}. “Real” is what real pictures score "
        "in the samples’ place, “chance” what two halves of them differ by."
    )
    table = _table(("Measure", "Samples", "Real", "Chance", "In words"), rows, caption=caption, words=(4,))
    figures = f'<div class="pair">{"".join(map(_figure, charts))}</div>' if charts else ""
    return f'<div class="card">{table}</div>{figures}'


# ------------------------------------------------------------------------------------------------------------ the speed
def _speed_chart(facts: Facts) -> list[Chart]:
    """Seconds per step, if there is a curve to draw."""
    spans = [(first, last, seconds) for first, last, seconds in facts.speed if last > first]
    if len(spans) < 3:
        return []
    ends = np.array([last for _, last, _ in spans], np.int64)
    values = np.array([[seconds / (last - first)] for first, last, seconds in spans])
    thinned = svg.thin(ends, values, window=1)
    top = svg.axis(0.0, float(np.quantile(values, 0.98)))[-1]
    return [Chart("Seconds per step", thinned, [Curve(0, "seconds", "one")], 0.0, top)]


def _speed(facts: Facts, charts: Sequence[Chart]) -> str:
    count = sum(last - first for first, last, _ in facts.speed)
    took = sum(seconds for _, _, seconds in facts.speed)
    if not count or not took:
        told = '<p class="note">The time of this run\'s steps has not been recorded.</p>'
    else:
        told = (
            f"<p>{_pace(took / count)} in all, drawing, measuring and saving included: {plural(count, 'step')} in "
            f"{_duration(took)}.</p>"
        )
    return told + "".join(map(_figure, charts)) + _sessions_table(facts)


def _pace(seconds: float) -> str:
    """Seconds per step and steps per second, to three digits."""
    per_step, per_second = (svg.number(float(f"{value:.3g}")) for value in (seconds, 1 / seconds))
    return f"{per_step} s per step, {per_second} steps per second"


def _sessions_table(facts: Facts) -> str:
    """One row for each sitting: a run may be stopped and resumed, and on another machine."""
    rows = []
    end = facts.done
    sessions = _sessions(facts.about)
    for session in reversed(sessions[-ROWS:]):
        begin = session["from_step"]
        spans = [(last - first, seconds) for first, last, seconds in facts.speed if begin <= first and last <= end]
        count, took = sum(steps for steps, _ in spans), sum(seconds for _, seconds in spans)
        rows.append(
            [
                text(_cut(session.get("started", "")).replace("T", " ")[:19]),
                f"{begin:,} – {end:,}" if begin < end else f"from {begin:,}",
                svg.number(took / count) if count and took else "–",
                _duration(took) if took else "–",
                text(_cut(f"{session.get('backend', '')}, {session.get('device', '')}")),
            ]
        )
        end = min(end, begin)  # what came after that was done again in the next sitting
    if not rows:
        return ""
    left_out = f" The last {ROWS} of {len(sessions):,}." if len(sessions) > ROWS else ""
    heads = ("Begun", "Steps", "s per step", "Time", "On")
    table = _table(heads, rows[::-1], caption=f"Sittings of the run.{left_out}", words=(4,))
    return f'<div class="card">{table}</div>'


def _sessions(about: dict[str, Any]) -> list[dict[str, Any]]:
    """What config.json says about the sittings, as far as it can be used."""
    sessions = about.get("sessions")
    told: list[dict[str, Any]] = []
    for entry in sessions if isinstance(sessions, list) else []:
        if isinstance(entry, dict) and type(entry.get("from_step")) is int and 0 <= entry["from_step"] < 10**12:
            # What is as it was the time before is not written again.
            told.append({**(told[-1] if told else {}), **entry})
    return told


# ---------------------------------------------------------------------------------------- what can be done with the run
def _commands(facts: Facts) -> str:
    path = str(facts.path)
    more = ["--steps", str(2 * facts.config.steps)] if facts.state == FINISHED else []
    commands = [
        ("Train further" if more else "Go on", ["minigan.train", "--resume", path, *more]),
        ("Measure the faces", ["minigan.evaluate", path]),
        ("Draw new faces", ["minigan.sample", path, "--n", "64", "--seed", "1"]),
        ("The way from one face to another", ["minigan.sample", path, "--interpolate"]),
        ("This page again", ["minigan.report", path]),
    ]
    items = "".join(
        f'<li><p id="what-{k}">{what}</p><div class="command"><pre id="command-{k}">{text(command_line(words))}</pre>'
        f'<button type="button" class="small copy" data-of="command-{k}" aria-describedby="what-{k}" hidden>'
        "Copy</button></div></li>"
        for k, (what, words) in enumerate(commands)
    )
    busy = '<p class="note">Not before the training has ended.</p>' if facts.state == RUNNING else ""
    return f'<div class="card"><ul class="commands">{items}</ul>{busy}</div>'


def command_line(words: Sequence[str]) -> str:
    """A command of minigan's as one would type it here.

    Parameters
    ----------
    words : sequence of str
        The module and its arguments.

    Returns
    -------
    str
        Quoted for the shell of this system.
    """
    command = ["python", "-m", *words]
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)


# --------------------------------------------------------------------------------------------------------- the settings
def _settings(facts: Facts) -> str:
    config, preset = facts.config, PRESETS[facts.config.preset]
    pairs = []
    for field in fields(RunConfig):
        value, usual = getattr(config, field.name), getattr(preset, field.name)
        if (field.name, value) == ("data", None):
            told = "drawn faces"
        else:
            told = text(f"{value:,}" if type(value) is int and field.name != "seed" else _cut(value))
        if value != usual and field.name != "data":
            told += f" <small>(preset: {text(f'{usual:,}' if type(usual) is int else usual)})</small>"
        pairs.append((f"<code>{option(field.name)}</code>", told))
    cards = "".join(f'<div class="card">{_list(each)}</div>' for each in (pairs, _machine(facts)))
    return f'<div class="pair">{cards}</div>'


def _machine(facts: Facts) -> list[tuple[str, str]]:
    """The pictures it learned from, and what it ran on last."""
    pairs = [("Folder", text(_cut(facts.path)))]
    images = facts.about.get("images")
    if isinstance(images, dict):
        pairs += [
            ("Pictures", text(_cut(f"{images.get('count')} from {images.get('source')}"))),
            ("Fingerprint", text(str(images.get("fingerprint"))[:12])),
        ]
    sessions = _sessions(facts.about)
    latest = sessions[-1] if sessions else {}
    machine, versions = latest.get("machine"), latest.get("versions")
    pairs += [(name.capitalize(), text(_cut(latest[name]))) for name in ("backend", "device") if name in latest]
    if isinstance(machine, dict):
        pairs += [(text(_cut(name)).capitalize(), text(_cut(told))) for name, told in list(machine.items())[:ROWS]]
    if isinstance(versions, dict):
        pairs += [(text(_cut(name)), text(_cut(told))) for name, told in list(versions.items())[:ROWS]]
    return pairs


# ----------------------------------------------------------------------------------------------------- the command line
def renew(path: Path) -> None:
    """Write the report of a run from what its folder shows.

    Parameters
    ----------
    path : Path

    Raises
    ------
    UserError, OSError
        As `Report.write`.
    """
    Report(path).write(_state(path, open_config(path)[0]))


def _state(path: Path, config: RunConfig) -> str:
    """Whether somebody trains in a folder, or how that has ended."""
    if (path / LOCK_NAME).exists():
        try:
            FolderLock(path).release()
        except UserError:
            return RUNNING
        except OSError:  # a folder that can be read only: nobody trains in it
            pass
    return FINISHED if newest_step(path) >= config.steps else STOPPED
