"""Making images: one at a time, and a thousand; beside PyTorch's generator, eager and compiled.

All programs have the same weights and the same noise, and their images have to agree before anything is timed. For many
images each program makes them in batches, of the size with which it is fastest.

    python benchmarks/inference.py
    python benchmarks/inference.py --torch-python OTHER/bin/python --images 1 64 1000
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import records
from measured_programs import TORCH, TORCH_COMPILE, Worker, Workers, in_turn
from records import spread
from tqdm import tqdm
from train_step import add_size, compare

from minigan.system.console import say

TOLERANCE = 1e-4
"""Largest difference of two programs' images, relative to the largest pixel."""

BATCHES = (16, 64, 250)
"""Batch sizes to choose from."""

TURN = 0.1


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.quick:
        arguments.width, arguments.image_size, arguments.images, arguments.pairs = 4, 32, [1, 20], 1
    size = {"batch_size": 1, "width": arguments.width, "image_size": arguments.image_size}
    with tempfile.TemporaryDirectory() as folder, Workers() as programs:
        records.start(programs, arguments, [TORCH, TORCH_COMPILE], threads=arguments.threads)
        for worker in tqdm(programs.workers, desc="Building", unit=" programs", leave=False):
            worker.ask("build", folder=folder, **size)
        rows = [measure(programs.workers, folder, images, arguments.pairs) for images in arguments.images]
        show(rows)
        records.keep(
            "inference",
            arguments,
            programs=programs,
            settings={name: getattr(arguments, name) for name in ("width", "image_size", "images", "pairs", "threads")},
            tolerance=TOLERANCE,
            rows=rows,
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = records.parser(__doc__)
    parser.add_argument("--images", type=records.at_least(1), nargs="+", default=[1, 1000], help="default: 1 1000")
    parser.add_argument("--pairs", type=records.at_least(1), default=10, help="turns of each program (default 10)")
    add_size(parser, batch=False)
    records.add_threads(parser)
    records.add_peers(parser, [TORCH, TORCH_COMPILE])
    return parser


def measure(workers: Sequence[Worker], folder: str, images: int, pairs: int) -> dict[str, Any]:
    """Verify, choose batch sizes, and time in turn.

    Returns
    -------
    dict
        "images"; by program "errors", "batch_size", "turns" and "memory".
    """
    own = workers[0].name
    for worker in workers:
        worker.ask("first_images", folder=folder, images=images)
    made = {w.name: np.load(Path(folder) / f"{images}-{w.name}.npy", allow_pickle=False) for w in workers}
    errors = {
        name: records.verify(f"{name}, {images} images,", drawn, made[own], TOLERANCE) for name, drawn in made.items()
    }
    batch_size, contestants = {}, {}
    choices = [b for b in BATCHES if b < images] or [images]
    for worker in tqdm(workers, desc=f"Batch size for {images} images", unit=" programs", leave=False):
        seconds = {b: min(worker.ask("predict", batch_size=b, count=1)["seconds"] for _ in range(3)) for b in choices}
        best = min(choices, key=seconds.__getitem__)
        batch_size[worker.name] = best
        count = max(1, round(TURN / seconds[best]))
        contestants[worker.name] = partial(worker.ask, "predict", batch_size=best, count=count)
        worker.ask("memory", reset=True)
    turns = in_turn(contestants, pairs, title=f"{images} images in turn")
    memory = {worker.name: worker.ask("memory") for worker in workers}
    return {"images": images, "errors": errors, "batch_size": batch_size, "turns": turns, "memory": memory}


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print the figures."""
    for row in rows:
        say(f"generator, {row['images']} image{'s' if row['images'] > 1 else ''}")
        for name, turns in row["turns"].items():
            seconds = spread([turn["seconds"] for turn in turns])
            say(
                f"  {name:<14} {seconds.median * 1e3:.2f} ms ({seconds.low * 1e3:.2f} to {seconds.high * 1e3:.2f}), "
                f"in batches of {row['batch_size'][name]}"
            )
        for name, ratio in compare(row["turns"]).items():
            say(f"  minigan / {name}: {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})")


if __name__ == "__main__":
    sys.exit(records.run(main))
