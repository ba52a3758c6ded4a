"""Several runs on one page: their curves together, faces of the same noise, measures, and settings that differ.

    python -m minigan.report RUN RUN ...        writes it

Like the report of one run (`minigan.evaluation.run_report`) it is one file that loads nothing. `minigan.pages` writes
it, with the template ``run_comparison.html``.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

import minigan
from minigan.evaluation.run_facts import RunFacts, gather, measures_of, state_of
from minigan.evaluation.samples import draw_faces, random_noise
from minigan.evaluation.words import describe
from minigan.gan.step import METRICS
from minigan.nn.backend import NUMPY, Array
from minigan.pages import html, svg
from minigan.pages.plots import grid
from minigan.pages.svg import Chart, Curve
from minigan.runs.config import RunConfig, option
from minigan.runs.saved_generator import BROKEN_GENERATOR, load_generator
from minigan.system.atomic_files import write_text
from minigan.system.errors import UserError
from minigan.system.wording import cut, duration, plural, shortened

MOST_RUNS = 8
"""As many as there are colours and dashes that can be told apart."""

FACES = 16
"""Faces of each run, all runs from the same noise."""

LAST = 500
"""Steps from the end of a run over which its losses are summed up."""

_LIGHT = ("#0b5394", "#c2570c", "#6b3fa0", "#00695c", "#ad1457", "#5f5f00", "#444c56", "#7a4a12")
_DARK = ("#8cc8ff", "#f0a05a", "#c9a6f5", "#5fd3ad", "#ff9ec4", "#d6d25e", "#c3cad2", "#d9a878")


@dataclass(frozen=True)
class Compared:
    """A run among others.

    Parameters
    ----------
    name : str
        As much of its path as tells it from the others.
    kind : str
        CSS class of its curves.
    facts : RunFacts
    image : str or None
        Its faces as a data URI; None if they cannot be drawn.
    drawn : str
        Whose faces they are, or why there are none.
    """

    name: str
    kind: str
    facts: RunFacts
    image: str | None
    drawn: str


def write_comparison(path: Path, folders: Sequence[Path]) -> None:
    """Write the page, all or nothing.

    Parameters
    ----------
    path : Path
        The file to write or replace.
    folders : sequence of Path
        2 to `MOST_RUNS` run folders.

    Raises
    ------
    UserError
        If there are too few or too many, one is there twice, or one is no run folder.
    OSError
        If the file cannot be written.
    """
    if not 2 <= len(folders) <= MOST_RUNS:
        raise UserError(f"RUN: a comparison is of 2 to {MOST_RUNS} runs, got {len(folders)}")
    resolved = [Path(os.path.realpath(folder)) for folder in folders]  # of links in a circle, it makes something, too
    for k, folder in enumerate(resolved):
        if folder in resolved[:k]:
            raise UserError(f"RUN: each run can be compared once, got {folders[k]} twice")
    facts = [gather(folder, state_of(folder)) for folder in folders]
    runs = [
        Compared(name, f"run{k}", each, *_faces(each))
        for k, (name, each) in enumerate(zip(names_of(resolved), facts, strict=True))
    ]
    write_text(path, _page(runs))


def names_of(folders: Sequence[Path]) -> list[str]:
    """The ends of paths, as long as is needed to tell them apart.

    >>> names_of([Path("a/b/x"), Path("a/c/x"), Path("a/c/y")])
    ['b/x', 'c/x', 'c/y']
    """
    for length in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = ["/".join(folder.parts[-length:]) for folder in folders]
        if len(set(names)) == len(names):
            break
    return names


def _faces(facts: RunFacts) -> tuple[str | None, str]:
    """Faces of the noise that all runs get, and whose they are; or None, and why."""
    try:
        generator, step = load_generator(facts.path)
    except UserError as error:
        return None, f"No faces: {cut(error)}"
    faces = draw_faces(generator, random_noise(0, FACES), NUMPY, batch_size=FACES)
    if faces is None:
        return None, f"No faces: {BROKEN_GENERATOR}"
    whose = ", drawn by the generator’s average" if facts.config.ema else ""
    return _as_data(grid(faces)), f"After {plural(step, 'step')}{whose}"


def _as_data(pixels: Array) -> str:
    from PIL import Image

    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")


def _page(runs: Sequence[Compared]) -> str:
    charts = [*_loss_charts(runs), *_quality_charts(runs)]
    now = datetime.now().astimezone()
    return html.render(
        "run_comparison.html",
        title=f"{len(runs)} runs · minigan",
        light={**html.LIGHT, **{f"run{k}": colour for k, colour in enumerate(_LIGHT)}},
        dark={**html.DARK, **{f"run{k}": colour for k, colour in enumerate(_DARK)}},
        version=minigan.__version__,
        now=now,
        runs=runs,
        last=LAST,
        overview=[_overview(run) for run in runs],
        charts=[svg.draw(chart) for chart in charts],
        window=max((chart.thinned.window for chart in charts), default=0),
        measures=_measures(runs),
        measured_at=[_measured_at(run) for run in runs],
        settings=differing(runs),
        data={
            "steps": [],
            "charts": [svg.points(chart) for chart in charts],
            "written": now.isoformat(timespec="seconds"),
            "refresh": 0,
            "stale": 0,
        },
    )


# ----------------------------------------------------------------------------------------------------------- the tables
def _overview(run: Compared) -> dict[str, str]:
    """A run in one row: how far it is, how fast, and its losses at the end."""
    facts = run.facts
    told = {
        "state": facts.state,
        "steps": f"{facts.done:,} of {facts.config.steps:,}",
        "pace": f"{svg.number_text(facts.pace)} s" if facts.pace else "–",
        "time": duration(facts.took) if facts.took else "–",
    }
    latest = facts.values[-LAST:]
    for name in ("d_real", "d_fake", "g"):
        told[name] = f"{np.median(latest[:, METRICS.index(name)]):.3f}" if len(latest) else "–"
    return told


def _newest(run: Compared) -> dict[str, Any] | None:
    """The newest measurement of the faces that the page shows."""
    rows = [row for row in run.facts.measured if row.get("generator") != "raw"]
    return rows[-1] if rows else None


def _measured_at(run: Compared) -> str:
    newest = _newest(run)
    if newest is None:
        return "not measured"
    count = newest.get("samples")
    return f"after {plural(newest['step'], 'step')}" + (f", {plural(count, 'sample')}" if type(count) is int else "")


def _measures(runs: Sequence[Compared]) -> list[dict[str, Any]]:
    """A row for each measure that a run has: its label, and the number of each run with that of real images."""
    newest = [_newest(run) for run in runs]
    found = [measures_of(row) if row is not None else {} for row in newest]
    names = dict.fromkeys(name for measures in found for name in measures)
    rows = []
    for name in sorted(names, key=lambda name: name != "swd"):
        cells, label = [], ""
        for row, measures in zip(newest, found, strict=True):
            count = row["samples"] if row is not None and type(row.get("samples")) is int else 0
            try:
                label, form, _ = describe(name, measures[name], count)
                cells.append((form(measures[name].value), form(measures[name].real)))
            except KeyError:  # not measured in this run, or by another version of minigan
                cells.append(("–", ""))
        if label:
            rows.append({"label": label.strip(), "is_part": label.startswith(" "), "cells": cells})
    return rows


def differing(runs: Sequence[Compared]) -> list[tuple[str, list[str]]]:
    """Options, and what the images are, that are not the same in all runs: a row for each, a value for each run."""
    rows = {option(field.name): [_setting(run.facts.config, field.name) for run in runs] for field in fields(RunConfig)}
    for name in ("source", "count", "fingerprint"):
        rows[f"images: {name}"] = [_about_images(run.facts, name) for run in runs]
    rows["networks from"] = [run.facts.about.get("started_from", "") for run in runs]
    told = {name: [shortened(cut(value)) or "–" for value in values] for name, values in rows.items()}
    return [(name, values) for name, values in told.items() if len(set(values)) > 1]


def _setting(config: RunConfig, name: str) -> object:
    value = getattr(config, name)
    if name == "data" and value is None:
        return "drawn faces"
    if name == "faces" and config.data is not None:
        return ""  # this run draws none
    return f"{value:,}" if type(value) is int and name != "seed" else value


def _about_images(facts: RunFacts, name: str) -> object:
    images = facts.about.get("images")
    value = images.get(name, "") if isinstance(images, dict) else ""
    return str(value)[:12] if name == "fingerprint" else value


# ----------------------------------------------------------------------------------------------------------- the curves
def _loss_charts(runs: Sequence[Compared]) -> list[Chart]:
    """A chart for each loss, with a curve for each run that has a step behind it."""
    there = [run for run in runs if len(run.facts.steps)]
    charts = []
    for name, title, note in (
        ("g", "Generator’s loss", "The lower, the more of its faces the discriminator takes for real."),
        ("d_real", "Discriminator’s loss on real images", "The lower, the surer it is that real images are real."),
        ("d_fake", "Discriminator’s loss on fakes", "The lower, the surer it is that the generator’s faces are fakes."),
    ):
        column = METRICS.index(name)
        curves = [(run.facts.steps, run.facts.values[:, column]) for run in there]
        if curves:
            ends = np.array([np.quantile(values, (0.01, 0.99)) for _, values in curves])
            charts.append(_chart(title, note, there, curves, float(ends.min()), float(ends.max())))
    return charts


def _quality_charts(runs: Sequence[Compared]) -> list[Chart]:
    """The distance from real images over the steps, if a run has measured it more than once."""
    curves, there = [], []
    for run in runs:
        rows = [(row["step"], measures_of(row)) for row in run.facts.measured if row.get("generator") != "raw"]
        found = {step: measures["swd"].value for step, measures in rows if "swd" in measures and 0 <= step < 10**12}
        if found:
            steps = sorted(found)
            curves.append((np.array(steps, np.int64), np.array([found[step] for step in steps])))
            there.append(run)
    if not any(len(steps) > 1 for steps, _ in curves):
        return []
    top = max(0.0, *(float(values.max()) for _, values in curves))
    note = "Sliced Wasserstein distance: the lower, the more small pieces of the faces look like those of real ones."
    return [_chart("Distance from real images", note, there, curves, 0.0, top, window=1)]


def _chart(
    title: str,
    note: str,
    runs: Sequence[Compared],
    curves: Sequence[tuple[Array, Array]],
    low: float,
    high: float,
    *,
    window: int = svg.WINDOW,
) -> Chart:
    numbers = svg.axis(low, high)
    told = [Curve(column, shortened(run.name), run.kind) for column, run in enumerate(runs)]
    return Chart(title, svg.thin_together(curves, window=window), told, numbers[0], numbers[-1], note=note)
