"""Seconds of two trainings at the same time: each with a rank for every core, and each with one rank.

With ranks for two runs there are more processes than cores. A rank that waited without giving its core to others would
then cost the other run its time. Both ways take turns; a turn is two whole commands, from their start to their end.

    python benchmarks/side_by_side.py
    python benchmarks/side_by_side.py --batch-size 16 --steps 100
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import records
from measured_programs import HERE, in_turn
from PIL import Image
from records import ratios, spread
from train_step import add_size

from minigan.system.console import say
from minigan.system.cores import usable_cores
from minigan.system.errors import RunError

TOGETHER = 2
IMAGES = 256


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.quick:
        arguments.batch_size, arguments.width, arguments.image_size = 8, 2, 32
        arguments.rounds, arguments.steps = 1, 2
    many = max(2, usable_cores()) if arguments.ranks is None else arguments.ranks
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "faces"
        make_images(data, arguments.image_size)
        turn = partial(seconds_together, arguments, data, Path(folder))
        turn(1)  # not timed: it fills the cache of images
        seconds = in_turn({"many": partial(turn, many), "one": partial(turn, 1)}, arguments.rounds)
    ratio = spread(ratios(seconds["many"], seconds["one"]))
    say(
        f"two trainings side by side, {arguments.steps} steps of batch {arguments.batch_size}: "
        f"{spread(seconds['many']).median:.1f} s with {many} ranks each, {spread(seconds['one']).median:.1f} s with "
        f"one rank each; ratio {ratio.median:.2f}"
    )
    names = ("batch_size", "width", "image_size", "steps", "rounds")
    settings = {**{name: getattr(arguments, name) for name in names}, "ranks": many}
    records.keep("side_by_side", arguments, settings=settings, seconds=seconds)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = records.parser(__doc__)
    parser.add_argument("--steps", type=records.at_least(1), default=30, help="of each training (default 30)")
    parser.add_argument("--rounds", type=records.at_least(1), default=5, help="turns of each way (default 5)")
    parser.add_argument("--ranks", type=records.at_least(2), help="of each training (default: one for each core)")
    add_size(parser)
    return parser


def make_images(folder: Path, image_size: int) -> None:
    """A folder of images to learn from; only their size counts here."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for k in range(IMAGES):
        Image.fromarray(draw.integers(0, 256, (image_size, image_size, 3), np.uint8)).save(folder / f"{k}.png")


def seconds_together(arguments: argparse.Namespace, data: Path, folder: Path, ranks: int) -> float:
    """Seconds until both of two trainings, begun together, have ended."""
    with tempfile.TemporaryDirectory(dir=folder) as runs:
        options = {
            "--data": data,
            "--batch-size": arguments.batch_size,
            "--width": arguments.width,
            "--image-size": arguments.image_size,
            "--steps": arguments.steps,
            "--sample-every": arguments.steps,
            "--save-every": arguments.steps,
            "--ranks": ranks,
        }
        words = [str(word) for pair in options.items() for word in pair]
        command = [sys.executable, "-m", "minigan.train", *words]
        environment = {**os.environ, "MINIGAN_CACHE": str(folder / "cache")}
        start = partial(
            subprocess.Popen, cwd=HERE.parent, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        begin = time.perf_counter()
        trainings = [start([*command, "--out", str(Path(runs) / str(k))]) for k in range(TOGETHER)]
        statuses = [training.wait() for training in trainings]
        seconds = time.perf_counter() - begin
    if any(statuses):
        raise RunError(f"a training ended with exit status {max(statuses, key=abs)}: {' '.join(command[1:])}")
    return seconds


if __name__ == "__main__":
    sys.exit(records.run(main))
