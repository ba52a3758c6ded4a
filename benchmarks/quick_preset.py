"""How the quick preset was chosen: candidates that cost the same, trained and measured at several seeds.

    python benchmarks/quick_preset.py costs                                   # processor seconds of a step, in turn
    python benchmarks/quick_preset.py runs --runs FOLDER --seeds 1            # train and measure all candidates
    python benchmarks/quick_preset.py runs --runs FOLDER --only before rate --seeds 1 2 3

Every run keeps the generator's average, which does not change the training. So each gives two results: the generator's
and its average's. They are measured as `minigan.evaluate` does. What is finished is kept in --runs and not made again.
The runs train on one rank; numbers of more ranks differ by rounding only. With --out FILE.md the result becomes a page,
and the numbers a JSON file beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from finished_run import render
from options import call

from minigan.data.open import open_images
from minigan.evaluation.metrics import Measurement, Yardstick, draw_samples
from minigan.evaluation.words import describe
from minigan.gan.step import build_gan, draw_inputs, train_step
from minigan.nn.backend import NUMPY
from minigan.runs.saved_generator import load_generator
from minigan.system.atomic_files import write_text
from minigan.system.cli import Parser, run_command
from minigan.system.console import say
from minigan.system.errors import RunError
from minigan.system.workers import using_workers

ARTICLE = ("--g-learning-rate", "0.00015")
FASTER = ("--g-learning-rate", "0.0003")
CANDIDATES: dict[str, tuple[int, int, int, tuple[str, ...]]] = {
    "before": (1_500, 16, 32, ARTICLE),
    "rate": (1_500, 16, 32, FASTER),
    "small batches": (2_500, 8, 32, FASTER),
    "narrow": (2_100, 16, 24, FASTER),
    "wide": (850, 16, 48, FASTER),
    "longer": (2_500, 16, 32, FASTER),
}
"""Steps, batch size, width, and further options. The steps are such that all but the last cost about as much as the
first: `costs` says that a step of (8, 32) takes 0.60 times as long as one of (16, 32), (16, 24) 0.71 times and (16, 48)
1.76 times. The last costs more, because steps have become faster since the preset's four minutes were measured."""

WORDS = ("steps", "batch_size", "width", "options")

TOLD = ("clear", "swd", "modes")
SHOWN = ("clear", "swd", "swd_64", "swd_32", "swd_16", "modes", "modes_off", "distance")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, call, print."""
    arguments = _parser().parse_args(argv)
    with using_workers(1):
        return costs(arguments) if arguments.command == "costs" else runs(arguments)


def costs(arguments: argparse.Namespace) -> int:
    """Processor seconds of a step of each size, all sizes in turn, so that what else goes on meets all alike."""
    sizes = {(batch, width) for _, batch, width, _ in CANDIDATES.values()} | {(32, 32), (8, 24), (8, 48)}
    programs = {size: _steps(*size) for size in sorted(sizes)}
    seconds: dict[tuple[int, int], list[float]] = {size: [] for size in programs}
    for _ in range(arguments.rounds):
        for size, step in programs.items():
            begun = time.process_time()
            step()
            seconds[size].append(time.process_time() - begun)
    usual = statistics.median(seconds[16, 32])
    for (batch, width), spent in seconds.items():
        ratio = statistics.median(spent) / usual
        say(f"batch {batch:2d}, width {width:2d}: {statistics.median(spent):.4f} s, {ratio:.2f} times (16, 32)")
    return 0


def _steps(batch: int, width: int) -> Callable[[], object]:
    gan = build_gan(image_size=64, width=width, ema=0.999)
    real = np.random.default_rng(0).uniform(-1, 1, (batch, 64, 64, 3)).astype(np.float32)
    inputs = draw_inputs(real, 1, 0)
    train_step(gan, inputs)
    return partial(train_step, gan, inputs)


def runs(arguments: argparse.Namespace) -> int:
    """Train and measure."""
    arguments.runs.mkdir(parents=True, exist_ok=True)
    yardstick: list[Yardstick] = []
    rows = []
    for seed in arguments.seeds:
        for name in arguments.only:
            rows.append(one_run(name, seed, arguments, yardstick))
    show(rows)
    if arguments.out:
        told = {name: dict(zip(WORDS, values, strict=True)) for name, values in CANDIDATES.items()}
        write_text(arguments.out.with_suffix(".json"), json.dumps({"candidates": told, "rows": rows}, indent=1) + "\n")
        write_text(arguments.out, page(rows))
    return 0


def one_run(name: str, seed: int, arguments: argparse.Namespace, yardstick: list[Yardstick]) -> dict[str, Any]:
    """Train and measure one candidate, unless that has been done."""
    steps, batch, width, options = CANDIDATES[name]
    folder = arguments.runs / f"{name.replace(' ', '-')}-{seed}"
    kept = folder / "measures.json"
    if kept.exists():
        return json.loads(kept.read_text(encoding="utf-8"))
    size = ("--steps", steps, "--batch-size", batch, "--width", width)
    rest = ("--seed", seed, "--ranks", 1, "--ema", 0.999, "--sample-every", steps, "--save-every", steps)
    if folder.exists():
        call("--resume", folder)
    else:
        call("--preset", "quick", *size, *rest, "--out", folder, *options)
    if not yardstick:
        yardstick.append(Yardstick(open_images(None, image_size=64, count=4000), samples=2000, seed=0, drawn=True))
    row: dict[str, Any] = {"name": name, "seed": seed, "measures": {}}
    for kind in ("raw", "ema"):
        faces = draw_samples(load_generator(folder, raw=kind == "raw")[0], yardstick[0].samples, 0, NUMPY)
        if faces is None:
            raise RunError(f"{folder}: the generator draws NaN")
        row["measures"][kind] = {key: m.to_dict() for key, m in yardstick[0].measure(faces)[0].items()}
    write_text(kept, json.dumps(row))
    show([row])
    return row


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each candidate and generator: all its seeds."""
    for name in dict.fromkeys(row["name"] for row in rows):
        for kind in ("raw", "ema"):
            found = [row["measures"][kind] for row in rows if row["name"] == name]
            cells = (
                " ".join([key, *(format(m[key]["value"], ".3g") for m in found)]) for key in SHOWN if key in found[0]
            )
            say(f"{name:14s} {kind}: {', '.join(cells)}")


def page(rows: Sequence[Mapping[str, Any]]) -> str:
    """A page in Markdown: a row for each candidate, with all its seeds."""
    lines = []
    for name in dict.fromkeys(row["name"] for row in rows):
        steps, batch, width, options = CANDIDATES[name]
        cells = []
        for measure in TOLD:
            for kind in ("raw", "ema"):
                found = [Measurement(**row["measures"][kind][measure]) for row in rows if row["name"] == name]
                form = describe(measure, found[0], 1)[1]
                mean = form(statistics.mean(m.value for m in found))
                cells.append(f"{mean} ({', '.join(form(m.value) for m in found)})")
        lines.append([name, f"{steps:,}", batch, width, f"`{' '.join(options)}`" if options else "", *cells])
    real = rows[0]["measures"]["raw"]
    return render(
        "quick_preset.md.jinja",
        rows=lines,
        seeds=", ".join(map(str, dict.fromkeys(row["seed"] for row in rows))),
        real={
            name: describe(name, Measurement(**real[name]), 1)[1](real[name]["real"])
            for name in ("clear", "swd", "modes")
        },
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser("quick_preset", "How the quick preset was chosen.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=argparse.ArgumentParser)
    cost = commands.add_parser("costs")
    cost.add_argument("--rounds", type=int, default=20)
    run = commands.add_parser("runs")
    run.add_argument("--runs", type=Path, required=True)
    run.add_argument("--only", nargs="+", choices=tuple(CANDIDATES), default=list(CANDIDATES))
    run.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    run.add_argument("--out", type=Path, metavar="FILE.md")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
