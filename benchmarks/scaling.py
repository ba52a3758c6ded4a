"""The time for an image in batches of different sizes, and for a step with different numbers of threads.

The same time at all batch sizes means that no array gets too large for the caches, and that fixed costs are small. The
programs take turns at every batch size; every number of threads has a process of its own.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --batches 8 32 128 --torch-python OTHER/bin/python
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from typing import Any

import records
from measured_programs import TORCH, Worker, Workers, in_turn
from records import spread
from tqdm import tqdm
from train_step import add_size

from minigan.system.console import say

TURN = 0.25


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.quick:
        arguments.batches, arguments.batch_size, arguments.width, arguments.image_size = [2, 3], 2, 4, 32
        arguments.rounds = 1
    size = {"width": arguments.width, "image_size": arguments.image_size}
    with tempfile.TemporaryDirectory() as folder, Workers() as programs:
        records.start(programs, arguments, [TORCH], threads=arguments.threads)
        batches = [
            {"batch_size": batch_size, **measure(programs.workers, folder, arguments.rounds, batch_size, size)}
            for batch_size in tqdm(arguments.batches, desc="Batch sizes", leave=False)
        ]
        threads = [
            {"threads": count, **with_threads(count, folder, arguments, size)}
            for count in tqdm(range(1, (os.cpu_count() or 1) + 1), desc="Threads", leave=False)
        ]
        show(batches, threads, arguments.batch_size)
        records.keep(
            "scaling",
            arguments,
            programs=programs,
            settings={**size, "batch_size": arguments.batch_size, "rounds": arguments.rounds},
            batches=batches,
            threads=threads,
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = records.parser(__doc__)
    parser.add_argument(
        "--batches", type=records.at_least(1), nargs="+", default=[8, 16, 32, 64, 128, 256], help="batch sizes to try"
    )
    parser.add_argument("--rounds", type=records.at_least(1), default=3, help="turns of each program (default 3)")
    add_size(parser)
    records.add_threads(parser)
    records.add_peers(parser, [TORCH])
    return parser


def measure(
    workers: Sequence[Worker], folder: str, rounds: int, batch_size: int, size: dict[str, int]
) -> dict[str, Any]:
    """Time steps at one batch size, in turn.

    Returns
    -------
    dict
        "seconds" per step of every turn, and "peak_bytes" of memory, by program.
    """
    contestants = {}
    for worker in workers:
        worker.ask("build", folder=folder, batch_size=batch_size, **size)
        count = max(1, round(TURN / worker.ask("step", count=1)["seconds"]))
        worker.ask("memory", reset=True)
        contestants[worker.name] = partial(worker.ask, "step", count=count)
    turns = in_turn(contestants, rounds)
    return {
        "seconds": {name: [turn["seconds"] for turn in answers] for name, answers in turns.items()},
        "peak_bytes": {worker.name: worker.ask("memory")["peak"] for worker in workers},
    }


def with_threads(count: int, folder: str, arguments: argparse.Namespace, size: dict[str, int]) -> dict[str, Any]:
    """Time steps with one number of threads."""
    with Workers() as programs:
        records.start(programs, arguments, [TORCH], threads=count)
        return measure(programs.workers, folder, arguments.rounds, arguments.batch_size, size)


def show(batches: Sequence[dict[str, Any]], threads: Sequence[dict[str, Any]], batch_size: int) -> None:
    """Print the figures."""
    for row in batches:
        told = ", ".join(
            f"{name} {spread(seconds).median / row['batch_size'] * 1e3:.2f} ms per image"
            for name, seconds in row["seconds"].items()
        )
        say(f"batch {row['batch_size']:>3}: {told}")
    for row in threads:
        told = ", ".join(f"{name} {spread(s).median:.3f} s per step" for name, s in row["seconds"].items())
        say(f"batch {batch_size}, {row['threads']} thread{'s' if row['threads'] > 1 else ''}: {told}")


if __name__ == "__main__":
    sys.exit(records.run(main))
