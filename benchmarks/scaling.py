"""The time for an image in batches of different sizes, and for a step on different numbers of cores.

The same time at all batch sizes means that no array gets too large for the caches, and that fixed costs are small. The
programs take turns at every batch size. Then every number of cores has programs of its own: minigan with so many ranks,
by the local engine and, where mpi4py and mpiexec are installed, by MPI; the others with so many threads.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --batches 8 32 128 --torch-python OTHER/bin/python
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import records
from measured_programs import MINIGAN_MPI, TORCH, Worker, Workers, in_turn
from records import spread
from tqdm import tqdm
from train_step import add_size

from minigan.system.console import say
from minigan.system.cores import usable_cores

TURN = 0.25


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.quick:
        arguments.batches, arguments.batch_size, arguments.width, arguments.image_size = [2, 8], 8, 4, 32
        arguments.rounds = 1
    size = {"width": arguments.width, "image_size": arguments.image_size}
    with tempfile.TemporaryDirectory() as folder, Workers() as programs:
        records.start(programs, arguments, [TORCH], threads=arguments.threads)
        batches = [
            {"batch_size": batch_size, **measure(programs.workers, folder, arguments.rounds, batch_size, size)}
            for batch_size in tqdm(arguments.batches, desc="Batch sizes", leave=False)
        ]
        cores = [
            {"cores": count, **on_cores(count, folder, arguments, size, programs.not_measured)}
            for count in tqdm(numbers_of_cores(), desc="Cores", leave=False)
        ]
        show(batches, cores, arguments.batch_size)
        records.keep(
            "scaling",
            arguments,
            programs=programs,
            settings={**size, "batch_size": arguments.batch_size, "rounds": arguments.rounds},
            batches=batches,
            cores=cores,
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
    records.add_peers(parser, [TORCH, MINIGAN_MPI])
    return parser


def measure(
    workers: Sequence[Worker], folder: str, rounds: int, batch_size: int, size: dict[str, int]
) -> dict[str, Any]:
    """Time steps at one batch size, in turn.

    Returns
    -------
    dict
        "seconds" per step of every turn, "peak_bytes" of memory, and the number of "ranks", by program.
    """
    contestants = {}
    ranks = {}
    for worker in workers:
        ranks[worker.name] = worker.ask("build", folder=folder, batch_size=batch_size, **size)
        count = max(1, round(TURN / worker.ask("step", count=1)["seconds"]))
        worker.ask("memory", reset=True)
        contestants[worker.name] = partial(worker.ask, "step", count=count)
    turns = in_turn(contestants, rounds)
    return {
        "seconds": {name: [turn["seconds"] for turn in answers] for name, answers in turns.items()},
        "peak_bytes": {worker.name: worker.ask("memory")["peak"] for worker in workers},
        "ranks": {name: count for name, count in ranks.items() if count is not None},
    }


def numbers_of_cores() -> list[int]:
    """1, 2, 4 ... and all."""
    most = usable_cores()
    return [*(2**k for k in range(most.bit_length()) if 2**k < most), most]


def on_cores(
    count: int, folder: str, arguments: argparse.Namespace, size: dict[str, int], not_measured: dict[str, str]
) -> dict[str, Any]:
    """Time steps with so many ranks or threads, in programs of their own."""
    with Workers() as programs:
        records.start(programs, arguments, [TORCH, replace(MINIGAN_MPI, processes=count)], threads=count)
        not_measured.update(programs.not_measured)
        return measure(programs.workers, folder, arguments.rounds, arguments.batch_size, size)


def show(batches: Sequence[dict[str, Any]], cores: Sequence[dict[str, Any]], batch_size: int) -> None:
    """Print the figures."""
    for row in batches:
        told = ", ".join(
            f"{name} {spread(seconds).median / row['batch_size'] * 1e3:.2f} ms per image"
            for name, seconds in row["seconds"].items()
        )
        say(f"batch {row['batch_size']:>3}: {told}")
    for row in cores:
        told = ", ".join(f"{name} {spread(s).median:.3f} s per step" for name, s in row["seconds"].items())
        say(f"batch {batch_size}, {row['cores']} core{'s' if row['cores'] > 1 else ''}: {told}")


if __name__ == "__main__":
    sys.exit(records.run(main))
