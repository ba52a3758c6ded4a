"""What a run left behind, in numbers: how it was made, its losses by the thousand, and its faces measured step by step.

`run_page` makes a page of one run with it, and `seeds_page` a table of several. Only the run folder is read. What was
not measured while the run trained is measured now, from the generators that it keeps in models/; each row is written as
soon as it is there, so that the work can be stopped and taken up again.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from minigan.data.image_set import ImageSet
from minigan.evaluation.metrics import Yardstick, draw_samples
from minigan.gan.step import METRICS
from minigan.nn.backend import NUMPY, Array
from minigan.runs.config import PRESETS, RunConfig
from minigan.runs.layout import METRICS_NAME
from minigan.runs.run_records import list_networks, open_config, read_history, read_rows, read_speed
from minigan.runs.saved_generator import BROKEN_GENERATOR, load_generator
from minigan.runs.setting_declaration import option
from minigan.runs.training_images import open_training_images
from minigan.system.errors import RunError, UserError
from minigan.system.progress import ProgressBar
from minigan.training.trainer import METRICS_SAMPLES

TEMPLATES = Path(__file__).resolve().parent / "templates"

FINAL_SAMPLES = 2000
"""Faces that are measured at the end, as `python -m minigan.evaluate` does. On the way it is half as many."""

AUTHOR = {
    0: (0.459, 0.437, 2.60),
    1000: (0.409, 0.399, 2.59),
    2000: (0.388, 0.386, 2.53),
    3000: (0.386, 0.382, 2.51),
    5000: (0.382, 0.383, 2.48),
    7000: (0.377, 0.380, 2.45),
    9000: (0.375, 0.378, 2.40),
}
"""Medians of D real, D fake and G over 1,000 steps, by the first of them: the author's own log, about 22,000 faces."""

LOSSES = ("d_real", "d_fake", "g")

NOT_TOLD = ("preset", "faces", "ranks", "data")
"""Settings that `command` leaves out, or writes in another way."""


@dataclass(frozen=True)
class FinishedRun:
    """A run folder, opened for reading.

    Parameters
    ----------
    path : Path
    config : RunConfig
    about : dict
        The rest of config.json.
    steps : numpy.ndarray of shape (T,)
    history : numpy.ndarray of shape (T, 6)
        `minigan.gan.step.METRICS` of the steps.
    networks : list of (int, Path)
        The generators that draw for the run, each with its finished steps: the averages if it has --ema.
    """

    path: Path
    config: RunConfig
    about: dict[str, Any]
    steps: Array
    history: Array
    networks: list[tuple[int, Path]]

    @property
    def done(self) -> int:
        """Finished steps of the newest network."""
        return self.networks[-1][0]

    @property
    def drawn(self) -> bool:
        """Whether it learned from drawn faces."""
        return self.config.data is None

    @property
    def hours(self) -> float:
        """How long its steps took, as far as speed.csv says."""
        return sum(seconds for _, _, seconds in read_speed(self.path)) / 3600

    @property
    def session(self) -> dict[str, Any]:
        """See `last_session`."""
        return last_session(self.about)

    @cached_property
    def images(self) -> ImageSet:
        """What it learned from."""
        return open_training_images(self.config)

    def after(self, steps: int) -> FinishedRun:
        """The same run as it was after so many steps.

        Raises
        ------
        UserError
            If it keeps no generator of that moment.
        """
        networks = [(done, path) for done, path in self.networks if done <= steps]
        if not networks or networks[-1][0] != steps:
            kept = ", ".join(f"{done:,}" for done, _ in self.networks)
            raise UserError(f"RUN: must keep a generator after {steps:,} steps; {self.path} has {kept}")
        known = self.steps < steps
        return replace(self, networks=networks, steps=self.steps[known], history=self.history[known])

    def yardstick(self, samples: int, seed: int) -> Yardstick:
        """Real images to measure against: as in the run itself with its own seed, as in `minigan.evaluate` with 0."""
        return Yardstick(self.images, samples=samples, seed=seed, drawn=self.drawn)


def last_session(about: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's last session was made with: versions, machine and so on. What it does not say is as before.

    Parameters
    ----------
    about : mapping
        What config.json says beside the settings.
    """
    return {name: value for session in about["sessions"] for name, value in session.items()}


def open_run(path: Path) -> FinishedRun:
    """Open a run folder.

    Raises
    ------
    UserError
        If it is none, or keeps no generator.
    """
    config, about = open_config(path)
    networks = list_networks(path, "GENERATOR_EMA" if config.ema else "GENERATOR")
    if not networks:
        raise UserError(f"RUN: must keep a generator in models/, got {path}")
    steps, history = read_history(path)
    return FinishedRun(path, config, about, steps, history, networks).after(networks[-1][0])


def command(config: RunConfig) -> str:
    """The command that began a run: every option that differs from the article's."""
    given = [
        option(f.name) if value is True else f"{option(f.name)} {value}"
        for f in fields(config)
        if f.name not in NOT_TOLD and (value := getattr(config, f.name)) != getattr(PRESETS[config.preset], f.name)
    ]
    preset = ["--preset", config.preset] if config.preset != "article" else []
    return " ".join(["python -m minigan.train", *preset, *(["--data FOLDER"] if config.data else []), *given])


def commit(text: str) -> str:
    """Read the name of a commit, for argparse."""
    if not re.fullmatch(r"[0-9a-f]{7,40}", text):
        raise argparse.ArgumentTypeError(f"must be 7 to 40 hexadecimal digits, got {text[:50]!r}")
    return text


def render(template: str, **values: object) -> str:
    """Fill in one of the templates of Markdown pages."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**values)


def loss_medians(run: FinishedRun, every: int) -> list[dict[str, Any]]:
    """Medians of all logged metrics over groups of steps, and the 95th percentile of the losses.

    Returns
    -------
    list of dict
        "from" and "to" (both inclusive), a key for each of `METRICS`, and "d_real_p95", "d_fake_p95", "g_p95".
    """
    rows = []
    for first in range(0, run.done, every):
        chosen = run.history[(run.steps >= first) & (run.steps < first + every)]
        if not len(chosen):
            continue
        row: dict[str, Any] = {"from": first, "to": min(first + every, run.done) - 1}
        row |= {name: _short(x) for name, x in zip(METRICS, np.median(chosen, axis=0), strict=True)}
        row |= {f"{name}_p95": _short(np.quantile(chosen[:, METRICS.index(name)], 0.95)) for name in LOSSES}
        rows.append(row)
    return rows


def measured(run: FinishedRun, kept: Path, every: int) -> list[dict[str, Any]]:
    """The faces measured every so many steps: from metrics.jsonl, from `kept`, and the rest now.

    Parameters
    ----------
    run : FinishedRun
    kept : Path
        A file of JSON lines, to which every new row is added at once.
    every : int

    Returns
    -------
    list of dict
        "step" (finished steps), "samples", and "measures", in order.
    """
    rows = {row["step"] + 1: {**row, "step": row["step"] + 1} for row in read_rows(run.path, METRICS_NAME)}
    rows |= {row["step"]: row for row in read_rows(kept.parent, kept.name)}
    wanted = [(step, path) for step, path in run.networks if step % every == 0 or step == run.done]
    missing = [(step, path) for step, path in wanted if step not in rows]
    yardstick = run.yardstick(METRICS_SAMPLES, run.config.seed) if missing else None
    with ProgressBar(len(missing), "Measuring", "generators", shown=bool(missing)) as bar:
        for step, path in missing:
            assert yardstick is not None
            rows[step] = {"step": step, **measure(path, yardstick, run.config.seed)}
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[step]) + "\n")
            bar.update(1)
    return [rows[step] for step in sorted(rows) if step in dict(wanted)]


def measure(network: Path, yardstick: Yardstick, seed: int) -> dict[str, Any]:
    """How many samples of a saved generator were measured ("samples"), and with what result ("measures")."""
    faces = draw_samples(load_generator(network)[0], yardstick.samples, seed, NUMPY)
    if faces is None:
        raise RunError(f"{network}: {BROKEN_GENERATOR}")
    return {"samples": len(faces), "measures": {name: m.to_dict() for name, m in yardstick.measure(faces)[0].items()}}


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as CSV, the keys in the first line."""
    return "".join(",".join(map(str, line)) + "\n" for line in [list(rows[0]), *(row.values() for row in rows)])


def _short(number: float) -> float:
    return float(f"{number:.4g}")
