"""How much the same training differs from seed to seed: a table of every measure, from several finished runs.

    python benchmarks/seeds_page.py RUN RUN RUN --after 1000 2000 --out docs/runs/NAME.md --commit COMMIT

The runs must have the same settings but for the seed and the number of steps: one of them may have gone on for longer.
Their generators are measured as `minigan.evaluate` does: the same number of samples, the same noise, the same real
images. So what differs is the training. Each result is kept in a JSON file beside the page, at once, so that the script
can be stopped and called again.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from finished_run import FINAL_SAMPLES, FinishedRun, command, commit, measure, open_run, render

from minigan.evaluation.metrics import Measurement, Yardstick
from minigan.evaluation.words import describe
from minigan.gan.step import METRICS
from minigan.runs.setting_declaration import option
from minigan.system.atomic_files import write_text
from minigan.system.cli import Parser, path_name, run_command, whole
from minigan.system.console import say
from minigan.system.errors import UserError
from minigan.system.progress import ProgressBar

MAY_DIFFER = ("seed", "steps", "ranks", "sample_every", "save_every", "metrics_every")
LAST = 500
"""Steps before a moment over which the medians of the losses are taken; all of them if there are fewer."""

LOSSES = {"d_real": "D real", "d_fake": "D fake", "g": "G", "d_x": "D(x)", "d_g_z": "D(G(z))", "accuracy": "right"}


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, call, print."""
    parser = Parser("seeds_page", "Write a table of how much the same training differs from seed to seed.")
    parser.add_argument("runs", nargs="+", type=path_name, metavar="RUN", help="run folders; they are only read")
    parser.add_argument("--out", required=True, type=path_name, metavar="FILE", help="page to write, in Markdown")
    parser.add_argument("--commit", required=True, type=commit, help="commit of minigan that the runs were made with")
    parser.add_argument(
        "--after",
        nargs="+",
        type=whole,
        metavar="N",
        help="steps after which the runs are measured (default: the last of the shortest run)",
    )
    parser.add_argument("--title", help="title of the page")
    arguments = parser.parse_args(argv)
    out = Path(arguments.out)
    if out.suffix != ".md":
        raise UserError(f"--out: must end in .md, got {out.name!r}")
    runs = [open_run(Path(path)) for path in arguments.runs]
    check_alike(runs)
    moments = sorted(set(arguments.after or [min(run.done for run in runs)]))
    rows = measured([run.after(steps) for steps in moments for run in runs], out.with_suffix(".json"))
    tables = [rows[i : i + len(runs)] for i in range(0, len(rows), len(runs))]
    write_text(out, page(runs, tables, arguments.commit, arguments.title))
    say(f"Written: {out}")
    return 0


def check_alike(runs: Sequence[FinishedRun]) -> None:
    """Raise UserError unless the runs differ in nothing but their seeds, and their length."""
    first = runs[0]
    if len(runs) < 2:
        raise UserError(f"RUN: two or more are needed, got {len(runs)}")
    for other in runs[1:]:
        for name in (f.name for f in fields(first.config) if f.name not in MAY_DIFFER):
            one, two = getattr(first.config, name), getattr(other.config, name)
            if one != two:
                raise UserError(f"RUN: must have the same settings, but {option(name)} is {one} and {two}")
    seeds = [run.config.seed for run in runs]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"RUN: must have different seeds, got {', '.join(map(str, seeds))}")


def measured(runs: Sequence[FinishedRun], kept: Path) -> list[dict[str, Any]]:
    """A row for each run: "seed", "step", "samples", "measures" and "losses"."""
    rows = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else []
    known = {(row["seed"], row["step"]): row for row in rows}
    missing = [run for run in runs if (run.config.seed, run.done) not in known]
    yardstick: Yardstick | None = None
    with ProgressBar(len(missing), "Measuring", "generators", shown=bool(missing)) as bar:
        for run in missing:
            yardstick = yardstick or run.yardstick(FINAL_SAMPLES, 0)
            medians = dict(zip(METRICS, np.median(run.history[-LAST:], axis=0), strict=True))
            row = {
                "seed": run.config.seed,
                "step": run.done,
                **measure(run.networks[-1][1], yardstick, 0),
                "losses": {name: float(medians[name]) for name in LOSSES},
            }
            known[run.config.seed, run.done] = row
            write_text(kept, json.dumps(list(known.values()), indent=1, allow_nan=False) + "\n")
            bar.update(1)
    return [known[run.config.seed, run.done] for run in runs]


def page(
    runs: Sequence[FinishedRun],
    tables: Sequence[Sequence[Mapping[str, Any]]],
    made_with: str,
    title: str | None,
) -> str:
    """The page in Markdown, with a table for each moment; a table has a row of `measured` for each run."""
    run = runs[0]
    moments = [rows[0]["step"] for rows in tables]
    session = run.session
    return render(
        "seeds.md.jinja",
        title=title or f"{run.config.preset.capitalize()} configuration, {moments[-1]:,} steps with {len(runs)} seeds",
        command=command(replace(run.config, steps=moments[-1])).replace(f"--seed {run.config.seed}", "--seed SEED"),
        seeds=[run.config.seed for run in runs],
        longer=[run.config.seed for run in runs if run.done > moments[-1]],
        moments=moments,
        made_with=made_with,
        session=session,
        images=f"{run.about['images']['count']:,}{' drawn faces' if run.drawn else ' images'}",
        samples=f"{tables[0][0]['samples']:,}",
        last=LAST,
        average=bool(run.config.ema),
        tables=[(f"{steps:,}", table(rows)) for steps, rows in zip(moments, tables, strict=True)],
    )


def table(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Cells of a table: a row for each measure, with the value of each seed, their mean, deviation, and real images."""
    cells = []
    for name, first in rows[0]["measures"].items():
        label, form, _ = describe(name, Measurement(**first), 1)
        values = [row["measures"][name]["value"] for row in rows]
        in_percent = form(first["real"]).endswith("%")
        told = [f"{x} %" for x in spread([100 * v for v in values])] if in_percent else spread(values)
        cells.append([label.strip(), *map(form, values), *told, form(first["real"])])
    for name, label in LOSSES.items():
        values = [row["losses"][name] for row in rows]
        cells.append([f"{label}, median", *(f"{v:.3f}" for v in values), *spread(values), ""])
    return cells


def spread(values: Sequence[float]) -> tuple[str, str]:
    """Mean and standard deviation (of a sample), with as many digits as make sense."""
    return f"{statistics.mean(values):.3g}", f"{statistics.stdev(values):.2g}"


if __name__ == "__main__":
    sys.exit(run_command(main))
