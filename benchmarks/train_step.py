"""Seconds per training step, beside PyTorch's and Keras's where they are installed.

Each program runs in a process of its own and waits. This script lets them take turns (A B C, C B A, ...), so that other
work on the machine slows all of them alike. Before anything is timed, all take one step from the same
weights and inputs, and their losses have to agree. What counts is the median of the ratios of neighbouring turns.

    python benchmarks/train_step.py
    python benchmarks/train_step.py --torch-python OTHER/bin/python --keras-python THIRD/bin/python
    python benchmarks/train_step.py --batch-size 16 --width 32 --pairs 20 --peers torch
    python benchmarks/train_step.py --backend cupy                # on a GPU, in float32 and tf32, by CUDA's own clock
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import records
from flop_counts import step_flops
from measured_programs import GPU_MINIGAN, GPU_PEERS, MINIGAN, PEERS, Worker, WorkerError, Workers, in_turn
from records import Spread, spread
from tqdm import tqdm

from minigan.gan.models import MAX_WIDTH
from minigan.nn.backend import backend_names, get_backend
from minigan.nn.geometry import IMAGE_SIZES
from minigan.system.console import say
from minigan.system.errors import RunError

TOLERANCE = 2e-3
"""Largest relative difference of first losses. The second and third loss come after Adam's first updates, which turn a
gradient near zero into a step of full size whichever its sign: rounding shows there."""

TF32_TOLERANCE = 2e-2
"""The same where factors are rounded to tf32's 10 bits."""

TURN = 0.25
"""Shortest turn in seconds: as many steps as that takes are timed together."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.quick:
        arguments.batch_size, arguments.width, arguments.image_size = 8, 4, 32
        arguments.pairs, arguments.warmup = 2, 0
    get_backend(arguments.backend)  # if something is missing, say so before anything starts
    size = {"batch_size": arguments.batch_size, "width": arguments.width, "image_size": arguments.image_size}
    with tempfile.TemporaryDirectory() as folder, Workers() as programs:
        own, peers = (GPU_MINIGAN, GPU_PEERS) if arguments.backend == "cupy" else (MINIGAN, PEERS)
        records.start(programs, arguments, peers, own=own, threads=arguments.threads)
        losses = verify(programs, folder, size)
        turns = measure(programs.workers, arguments.pairs, arguments.warmup)
        memory = {worker.name: worker.ask("memory") for worker in programs.workers}
        gflop = step_flops(**size) / 1e9
        show(size, turns, memory, gflop)
        records.keep(
            "train_step",
            arguments,
            programs=programs,
            settings={
                **size,
                **{name: getattr(arguments, name) for name in ("backend", "pairs", "warmup", "threads")},
            },
            gflop=gflop,
            losses=losses,
            tolerance=TOLERANCE,
            turns=turns,
            memory=memory,
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = records.parser(__doc__)
    parser.add_argument("--pairs", type=records.at_least(1), default=12, help="turns of each program (default 12)")
    parser.add_argument("--warmup", type=records.at_least(0), default=2, help="steps of each before that (default 2)")
    parser.add_argument(
        "--backend", choices=backend_names(), default="numpy", help="cupy: on the GPU, beside PyTorch there"
    )
    add_size(parser)
    records.add_threads(parser)
    records.add_peers(parser, (*PEERS, *GPU_PEERS))
    return parser


def add_size(parser: argparse.ArgumentParser, *, batch: bool = True) -> None:
    """Add --batch-size, --width and --image-size; the defaults are the article's."""
    if batch:
        parser.add_argument("--batch-size", type=records.at_least(1), default=64)
    parser.add_argument("--width", type=int, default=64, choices=range(1, MAX_WIDTH + 1), metavar=f"1..{MAX_WIDTH}")
    parser.add_argument("--image-size", type=int, default=64, choices=IMAGE_SIZES)


def verify(programs: Workers, folder: str, size: dict[str, int]) -> dict[str, list[float]]:
    """Build the networks and take one step each, from the same start; go on without peers that cannot.

    Returns
    -------
    dict of str to list
        The three losses of each program.

    Raises
    ------
    RunError
        If they differ.
    """
    own = programs.workers[0]
    losses = {}
    for worker in tqdm(list(programs.workers), desc="First step", unit=" programs", leave=False):
        try:
            worker.ask("build", folder=folder, **size)
            losses[worker.name] = worker.ask("first_step")
        except WorkerError as error:
            if worker is own:
                raise
            programs.give_up(worker, error)
    expected = losses[own.name]
    for name, found in losses.items():
        tolerance = TF32_TOLERANCE if "tf32" in name else TOLERANCE
        if not np.allclose(found, expected, rtol=tolerance, atol=0):
            raise RunError(
                f"{name} and {own.name} do not compute the same: first losses {found} and {expected} "
                f"(allowed relative difference {tolerance:.0e})"
            )
    return losses


def measure(workers: Sequence[Worker], pairs: int, warmup: int) -> dict[str, list[dict[str, Any]]]:
    """Warm up, choose how many steps make a turn, and time in turn."""
    fastest = min(worker.ask("step", count=max(1, warmup))["seconds"] for worker in workers)
    count = max(1, round(TURN / fastest))
    for worker in workers:
        worker.ask("memory", reset=True)
    steps = {worker.name: partial(worker.ask, "step", count=count) for worker in workers}
    return in_turn(steps, pairs, title="Steps in turn")


def compare(turns: dict[str, list[dict[str, Any]]]) -> dict[str, Spread]:
    """Ratio of minigan's seconds to each other program's, median and quartiles over the pairs.

    Where minigan was measured in several ways, each program is compared with the fastest of its own precision.
    """
    seconds = {name: [turn["seconds"] for turn in answers] for name, answers in turns.items()}
    own = [name for name in seconds if name.startswith("minigan")]
    found = {}
    for name in seconds:
        rivals = [rival for rival in own if ("tf32" in rival) == ("tf32" in name)]
        if name not in own and rivals:
            best = min(rivals, key=lambda rival: spread(seconds[rival]).median)
            found[name] = spread(records.ratios(seconds[best], seconds[name]))
    return found


def show(
    size: dict[str, int], turns: dict[str, list[dict[str, Any]]], memory: dict[str, dict[str, Any]], gflop: float
) -> None:
    """Print the figures."""
    say(
        f"training step, batch {size['batch_size']}, width {size['width']}, "
        f"{size['image_size']}x{size['image_size']} pixels, float32"
    )
    for name, answers in turns.items():
        seconds = spread([turn["seconds"] for turn in answers])
        peak = memory[name]["peak"]
        say(
            f"  {name:<14} {seconds.median:.3f} s per step ({seconds.low:.3f} to {seconds.high:.3f}), "
            f"{gflop / seconds.median:.0f} GFLOP/s, memory {'not known' if peak is None else f'{peak / 1e6:.0f} MB'}"
        )
    for name, ratio in compare(turns).items():
        say(f"  minigan / {name}: {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})")


if __name__ == "__main__":
    sys.exit(records.run(main))
