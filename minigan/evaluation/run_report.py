"""The report of a run: report.html in its folder, one page that says how the run goes, or how it went.

    python -m minigan.report RUN        makes it anew, for any run

`minigan.evaluation.run_facts` reads the folder; this module chooses what the page says, and the template
``run_report.html`` of `minigan.pages` writes it.

While a run trains, the page is written again with every image and every save, and in the browser it loads itself
again. It is one file that opens from the disk without a server and loads nothing: the images are in it as data.
It stays below `MAX_BYTES` however long the run is: the film shows images spread evenly over the run, and a curve has as
many points as a screen can show. Writing it takes less than a hundredth of the training time: otherwise the trainer
waits (`Report.is_due`).
"""

from __future__ import annotations

import base64
import io
import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

import minigan
from minigan.evaluation.diagnosis import WARM_UP, band_of, diagnose_numbers
from minigan.evaluation.run_facts import FAILED, FINISHED, RUNNING, STOPPED, RunFacts, gather, measures_of, state_of
from minigan.evaluation.words import describe, early
from minigan.gan.step import METRICS
from minigan.nn.backend import Array
from minigan.pages import html, svg
from minigan.pages.plots import SCALE
from minigan.pages.svg import Chart, Curve, ShadedBand, Thinned
from minigan.runs.config import PRESETS, RunConfig, option
from minigan.runs.layout import REPORT_NAME
from minigan.runs.run_records import list_images
from minigan.runs.training_images import are_unknown
from minigan.system import atomic_files
from minigan.system.command_lines import command
from minigan.system.wording import cut, duration, plural, shortened

__all__ = ["FAILED", "FINISHED", "RUNNING", "STOPPED", "Report", "renew"]

MAX_BYTES = 6_000_000
"""Largest page."""

FILM_BYTES = 4_000_000
"""Most bytes of the film's images, encoded as they are in the page."""

MAX_FRAMES = 120
"""Most images of the film, apart from the newest."""

COST = 0.01
"""Share of the time that writing reports may take."""

FIRST_VERDICT = WARM_UP + WARM_UP // 2
"""Finished steps from which on the losses are judged."""

MAX_PIXELS = 16_000_000
MAX_SIDE = 560
"""Longest side of an image in the page, in pixels; larger images are made smaller."""

ROWS = 40
"""Most rows of a table."""

D_FLOOR = 0.325
"""Lowest possible mean of a loss of D: its soft labels are 0.9 on average, and 0.325 is the entropy of 0.9."""

LIGHT = {**html.LIGHT, "real": "#0b5394", "fake": "#d9730d", "one": "#6b3fa0"}
DARK = {**html.DARK, "real": "#8cc8ff", "fake": "#f0883e", "one": "#c9a6f5"}
"""The colours of all pages and those of the curves."""


class Report:
    """Writes a run's report.html, and keeps the encoded images for the next time.

    Parameters
    ----------
    path : Path
        A run folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, tuple[tuple[int, int], str | None]] = {}
        self._written_at, self._took = -math.inf, 0.0
        self._every = 1  # the film shows every n-th image

    @property
    def is_due(self) -> bool:
        """Whether writing the report now would take less than `COST` of the time since it was last written."""
        return self._took <= COST * (time.monotonic() - self._written_at)

    def write(self, state: str, words: str = "", history: tuple[Array, Array] | None = None) -> None:
        """Write the report, all or nothing.

        Parameters
        ----------
        state : str
            RUNNING, FINISHED, STOPPED or FAILED.
        words : str
            Why the run ended, if there is more to say than the state.
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
        facts = gather(self.path, state, words, history)
        with (
            atomic_files.replacing(self.path / REPORT_NAME) as temporary,
            temporary.open("w", encoding="utf-8", newline="\n") as file,
        ):
            file.writelines(self._page(facts, datetime.now().astimezone()))
        self._written_at = time.monotonic()
        self._took = self._written_at - began

    def _page(self, facts: RunFacts, now: datetime) -> Iterator[str]:
        """The page in pieces, so that the film is not in memory twice."""
        steps, frames = self._film(facts.config)
        losses, quality, speed = _loss_charts(facts), _quality_charts(facts), _speed_charts(facts)
        refresh = _refresh_seconds(facts)
        running = facts.state == RUNNING
        share = f"{100 * facts.done // facts.config.steps} % · " if running else ""
        return html.stream(
            "run_report.html",
            title=f"{share}{shortened(facts.path.name)} · minigan",
            light=LIGHT,
            dark=DARK,
            facts=facts,
            version=minigan.__version__,
            now=now,
            running=running,
            refresh=refresh,
            progress=_progress(facts),
            findings=_findings(facts),
            band=band_of(facts.config, facts.done).name,
            first_verdict=FIRST_VERDICT,
            film={"steps": steps, "frames": frames},
            newest=self._newest(facts),
            losses=[svg.draw(chart) for chart in losses],
            window=losses[0].thinned.window if losses else 0,
            numbers=_numbers(facts) if losses else [],
            metrics=_metrics(facts),
            measure=command("minigan.evaluate", facts.path),
            quality=[svg.draw(chart) for chart in quality],
            pace=_pace(facts),
            speed=[svg.draw(chart) for chart in speed],
            sessions=_sessions(facts),
            commands=_commands(facts),
            settings=_settings(facts),
            machine=_machine(facts),
            data={
                "steps": steps,
                "charts": [svg.points(chart) for chart in (*losses, *quality, *speed)],
                "written": now.isoformat(timespec="seconds"),
                "refresh": refresh if running else 0,
                "stale": round(max(900, 3 * _interval(facts))),
            },
        )

    # ------------------------------------------------------------------------------------------------------- images
    def _film(self, config: RunConfig) -> tuple[list[int], list[str]]:
        """Finished steps and images of the film: fixed faces, spread evenly over the run, always with the newest."""
        # The faces drawn after step 499, at a save, are those before step 500: they are one frame.
        images = {
            step + 1 if (step + 1) % config.save_every == 0 else step: file
            for step, file in list_images(self.path, fixed=True)
        }
        self._every = max(self._every, math.ceil(len(images) / MAX_FRAMES))
        while True:
            chosen = [
                (done, file)
                for k, (done, file) in enumerate(images.items())
                if k % self._every == 0 or k == len(images) - 1
            ]
            frames = {done: frame for done, file in chosen if (frame := self._prepared(file)) is not None}
            size = sum(map(len, frames.values()))
            if size <= FILM_BYTES or self._every >= len(images):
                self._known = {file.name: self._known[file.name] for _, file in chosen if file.name in self._known}
                return list(frames), list(frames.values())
            self._every = max(self._every + 1, math.ceil(self._every * size / FILM_BYTES))

    def _newest(self, facts: RunFacts) -> dict[str, str] | None:
        """The newest grid and what it shows."""
        summary = self.path / "faces.png"
        if facts.state != RUNNING and (image := _as_data(summary)) is not None:
            whose = ", drawn by the generator’s average" if facts.config.ema else ""
            return {"image": image, "caption": f"64 faces after {plural(facts.done, 'step')}{whose}"}
        for step, file in reversed(list_images(self.path, fixed=False)[-3:]):
            if (image := _as_data(file)) is not None:
                return {"image": image, "caption": f"Fakes of step {step:,}"}
        return None

    def _prepared(self, file: Path) -> str | None:
        """An image as data; an unchanged file is not read again."""
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
    """An image of the run as a data URI, at the size the network drew it; None if it cannot be read.

    It is decoded and encoded anew, so that only pixels reach the page, whatever else is in the file.
    """
    from PIL import Image

    try:
        with Image.open(file, formats=("PNG",)) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                return None
            sheet = opened.convert("RGB")
        # The file has every pixel SCALE times each way; in the page the browser enlarges the image.
        sheet = sheet.resize((max(1, sheet.width // SCALE), max(1, sheet.height // SCALE)), Image.Resampling.NEAREST)
        sheet.thumbnail((MAX_SIDE, MAX_SIDE))
        encoded = io.BytesIO()
        sheet.save(encoded, "JPEG", quality=78, subsampling=0)
    except Exception:  # Pillow on a damaged file raises almost anything
        return None
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")


# ----------------------------------------------------------------------------------------------------------- the header
def _progress(facts: RunFacts) -> str:
    """How far the run is, in a sentence or two."""
    done, steps, took = facts.done, facts.config.steps, facts.took
    if facts.state == FINISHED:
        return f"All {plural(done, 'step')} are done" + (f", in {duration(took)} of training." if took else ".")
    far = f"{done:,} of {plural(steps, 'step')}"
    if facts.state == RUNNING:
        left = f"; about {duration((steps - done) * facts.pace)} left" if facts.pace and done < steps else ""
        return f"{far}{left}."
    if facts.words:
        return f"{far}. {cut(facts.words)}"
    if facts.saved < done:
        return f"{far}. The run can go on from its newest checkpoint, written after {plural(facts.saved, 'step')}."
    return f"{far}. All is saved, and the run can go on."


def _interval(facts: RunFacts) -> float:
    """Seconds between two versions of the page."""
    return min(facts.config.sample_every, facts.config.save_every) * (facts.pace or 0.0)


def _refresh_seconds(facts: RunFacts) -> int:
    """Seconds after which the browser looks for another version."""
    return round(min(60.0, max(10.0, _interval(facts))))


# ----------------------------------------------------------------------------------------------------------- diagnosis
_SEVERITIES = {"error": ("bad", "✗"), "warning": ("warning", "!")}


def _findings(facts: RunFacts) -> list[dict[str, str]]:
    """The findings of the diagnosis, ready to print."""
    told = []
    for finding in diagnose_numbers(facts.config, facts.steps, facts.values, facts.vitals, facts.measured):
        kind, symbol = _SEVERITIES.get(finding.severity, ("unknown", "?"))
        told.append(
            {
                "kind": kind,
                "symbol": symbol,
                "title": finding.title,
                "evidence": _sentence(finding.evidence),
                "advice": _sentence(finding.advice),
                "band": finding.band,
            }
        )
    return told


def _sentence(words: str) -> str:
    """Words with a capital and a full stop."""
    told = cut(words)
    return told[:1].upper() + told[1:] + ("" if told.endswith((".", "?", "!", "…")) else ".")


# ----------------------------------------------------------------------------------------------------------- the curves
def _loss_charts(facts: RunFacts) -> list[Chart]:
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
        Chart(
            "Generator's loss",
            thinned,
            [g],
            *_ends(facts, [g]),
            bands=normal["g"],
            note="The lower, the more of its faces the discriminator takes for real.",
        ),
        Chart(
            "Discriminator's losses",
            thinned,
            [real, fake],
            *_ends(facts, [real, fake], D_FLOOR),
            bands=[*normal["d_real"], *normal["d_fake"]],
            marks=(D_FLOOR,),
            note="The lower, the better it tells real from fake. The thin line, 0.325, is the lowest mean they can "
            "have, because its labels are not quite 0 and 1.",
        ),
        Chart(
            "Discriminator's answers",
            thinned,
            [d_x, d_g_z],
            0.0,
            1.0,
            marks=(0.5,),
            note="Its mean answer: 1 is certainly real, 0 certainly fake; on the thin line it cannot tell.",
        ),
    ]


def _bands(config: RunConfig, thinned: Thinned) -> dict[str, list[ShadedBand]]:
    """Where the medians of each loss lie in a normal run; nothing for steps before the losses are judged."""
    kinds = {"g": "one", "d_real": "real", "d_fake": "fake"}
    bands: dict[str, list[ShadedBand]] = {name: [] for name in kinds}
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
                known.append(ShadedBand(kind, first, int(step), low, high))
    return bands


def _ends(facts: RunFacts, curves: Sequence[Curve], *more: float) -> tuple[float, float]:
    """Ends of a vertical axis that shows all steps but the 0.5 % lowest and the 0.5 % highest."""
    values = facts.values[:, [curve.column for curve in curves]]
    low, high = np.quantile(values, (0.005, 0.995))
    numbers = svg.axis(min(low, *more, high), max(low, *more, high))
    return numbers[0], numbers[-1]


def _numbers(facts: RunFacts) -> list[dict[str, Any]]:
    """The curves as rows of a table."""
    edges = [int(edge) for edge in svg.axis(int(facts.steps[0]), facts.done, most=10) if edge == int(edge)]
    rows = []
    for first, last in itertools.pairwise(edges):
        values = facts.values[(facts.steps >= first) & (facts.steps < last)]
        if len(values):
            middle, high = np.median(values, axis=0), np.quantile(values[:, :3], 0.95, axis=0)
            rows.append(
                {
                    "steps": f"{first:,} – {min(last, facts.done) - 1:,}",
                    "losses": [(f"{m:.3f}", f"{h:.2f}") for m, h in zip(middle, high, strict=False)],
                    "answers": [*(f"{a:.2f}" for a in middle[3:5]), f"{100 * middle[5]:.0f} %"],
                }
            )
    return rows


# --------------------------------------------------------------------------------------------------------- the metrics
def _quality_charts(facts: RunFacts) -> list[Chart]:
    """How far the faces are from real ones and how varied, if that was measured more than once."""
    # In a run with an average generator, the rows that do not say "raw" are of the average.
    rows = [(row["step"], measures_of(row)) for row in facts.measured if row.get("generator") != "raw"]
    charts = []
    for title, name, note in (
        (
            "Distance from real images",
            "swd",
            "Sliced Wasserstein distance: the lower, the more small pieces of the faces look like those of real ones.",
        ),
        (
            "Difference between two faces",
            "distance",
            "If it is far below the line of real images, all faces look much the same.",
        ),
    ):
        found = {step: (m[name].value, m[name].real) for step, m in rows if name in m and 0 <= step < 10**12}
        if len(found) > 1:
            steps = np.array(sorted(found), np.int64)
            values = np.array([found[step] for step in sorted(found)])
            curves = [Curve(0, "samples", "one"), Curve(1, "real images", "goal")]
            top = svg.axis(0.0, max(0.0, float(values.max())))[-1]
            charts.append(Chart(title, svg.thin(steps, values, window=1), curves, 0.0, top, note=note))
    return charts


def _metrics(facts: RunFacts) -> dict[str, Any] | None:
    """The newest measurement as a table; None if there is none."""
    if not facts.measured:
        return None
    newest = facts.measured[-1]
    count = newest["samples"] if type(newest.get("samples")) is int else 0
    rows = []
    measures = measures_of(newest)
    for name in sorted(measures, key=lambda name: name != "swd"):  # the mean distance stands before its parts
        try:
            label, form, words = describe(name, measures[name], count)
        except KeyError:  # a measure of another version of minigan
            continue
        numbers = [form(value) for value in (measures[name].value, measures[name].real, measures[name].noise)]
        rows.append({"label": label.strip(), "is_part": label.startswith(" "), "numbers": numbers, "words": words})
    step = newest["step"]
    of_raw = newest.get("generator") == "raw"
    return {"samples": count, "step": step, "of_raw": of_raw, "rows": rows, "note": early(step)}


# ------------------------------------------------------------------------------------------------------------ the speed
def _speed_charts(facts: RunFacts) -> list[Chart]:
    """Seconds per step, if there is a curve to draw."""
    spans = [(first, last, seconds) for first, last, seconds in facts.speed if last > first]
    if len(spans) < 3:
        return []
    ends = np.array([last for _, last, _ in spans], np.int64)
    values = np.array([[seconds / (last - first)] for first, last, seconds in spans])
    thinned = svg.thin(ends, values, window=1)
    top = svg.axis(0.0, float(np.quantile(values, 0.98)))[-1]
    curves = [Curve(0, "seconds", "one")]
    return [Chart("Seconds per step", thinned, curves, 0.0, top, note="Drawing, measuring and saving included.")]


def _pace(facts: RunFacts) -> dict[str, Any] | None:
    """The run's speed to three digits, and over how many steps it was measured; None if it was not."""
    count = sum(last - first for first, last, _ in facts.speed)
    if not count or not facts.took:
        return None
    seconds = facts.took / count
    per_step, per_second = (svg.number_text(float(f"{value:.3g}")) for value in (seconds, 1 / seconds))
    return {"words": f"{per_step} s per step, {per_second} steps per second", "steps": count}


def _sessions(facts: RunFacts) -> list[dict[str, str]]:
    """One row for each session. A run may be stopped and resumed, also on another machine."""
    rows = []
    end = facts.done
    for session in reversed(facts.sessions[-ROWS:]):
        begin = session["from_step"]
        spans = [(last - first, seconds) for first, last, seconds in facts.speed if begin <= first and last <= end]
        count, took = sum(steps for steps, _ in spans), sum(seconds for _, seconds in spans)
        rows.append(
            {
                "begun": cut(session.get("started", "")).replace("T", " ")[:19],
                "steps": f"{begin:,} – {end:,}" if begin < end else f"from {begin:,}",
                "pace": svg.number_text(took / count) if count and took else "–",
                "time": duration(took) if took else "–",
                "machine": cut(f"{session.get('backend', '')}, {session.get('device', '')}"),
            }
        )
        end = min(end, begin)  # the steps after that were done again in the next session
    return rows[::-1]


# ----------------------------------------------------------------------------------------------------- what to do next
def _commands(facts: RunFacts) -> list[tuple[str, str]]:
    """What one can do with the run, and the command for it."""
    path = facts.path
    more = ["--steps", str(2 * facts.config.steps)] if facts.state == FINISHED else []
    if facts.config.layers_sha256 is not None:
        more += ["--layers", "FILE"]
    commands: list[tuple[Any, ...]] = [
        ("Train further" if facts.state == FINISHED else "Go on", "minigan.train", "--resume", path, *more),
        ("Measure the faces", "minigan.evaluate", path),
        ("Draw new faces", "minigan.sample", path, "--n", 64, "--seed", 1),
        ("Draw the path from one face to another", "minigan.sample", path, "--interpolate"),
        ("Make this page again", "minigan.report", path),
    ]
    return [(what, command(module, *words)) for what, module, *words in commands]


# --------------------------------------------------------------------------------------------------------- the settings
_OF_LAYERS = {"layers_sha256": "--layers: SHA-256 of the file", "layers_used": "--layers: exercises used"}


def _settings(facts: RunFacts) -> list[tuple[str, str, str | None]]:
    """Each option, its value, and the preset's value where it differs."""
    config = facts.config
    preset, unknown = PRESETS[config.preset], are_unknown(config, facts.about)
    rows: list[tuple[str, str, str | None]] = []
    for field in fields(RunConfig):
        if field.name == "faces" and (config.data is not None or unknown):
            continue  # this run draws none
        if field.name in _OF_LAYERS:
            if config.layers_sha256 is not None:
                rows.append((_OF_LAYERS[field.name], shortened(getattr(config, field.name), 320), None))
            continue
        value, usual = getattr(config, field.name), getattr(preset, field.name)
        if (field.name, value) == ("data", None):
            told = "not known: the networks were imported" if unknown else "drawn faces"
        else:
            told = f"{value:,}" if type(value) is int and field.name != "seed" else shortened(value)
        differs = value != usual and field.name != "data"
        rows.append(
            (option(field.name), told, (f"{usual:,}" if type(usual) is int else str(usual)) if differs else None)
        )
    return rows


def _machine(facts: RunFacts) -> list[tuple[str, str]]:
    """The images that the run learned from, and what it ran on last."""
    pairs = [("Folder", shortened(facts.path))]
    images = facts.about.get("images")
    if isinstance(images, dict):
        pairs += [
            ("Images", f"{cut(images.get('count'))} from {shortened(images.get('source'))}"),
            ("Fingerprint", str(images.get("fingerprint"))[:12]),
        ]
    sessions = facts.sessions
    latest = sessions[-1] if sessions else {}
    machine, versions = latest.get("machine"), latest.get("versions")
    pairs += [(name.capitalize(), cut(latest[name])) for name in ("backend", "device") if name in latest]
    if isinstance(machine, dict):
        pairs += [(cut(name).capitalize(), cut(told)) for name, told in list(machine.items())[:ROWS]]
    if isinstance(versions, dict):
        pairs += [(cut(name), cut(told)) for name, told in list(versions.items())[:ROWS]]
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
    Report(path).write(state_of(path))
