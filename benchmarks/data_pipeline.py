"""Images per second out of the data path, and the share of a training step that they take.

Measures everything that a step gets: images drawn from the memory-mapped cache and turned into float32, noise, and soft
labels. In training a second thread prepares the next step's images during a step; here their whole cost is counted, as
if nothing overlapped. Batches and steps are timed in turn.

    python benchmarks/data_pipeline.py                      # drawn faces
    python benchmarks/data_pipeline.py --data my-images     # a folder
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from functools import partial

import records
from measured_programs import Workers, in_turn
from records import spread
from train_step import add_size

from minigan.data.open import open_images
from minigan.system.cli import path_name
from minigan.system.console import one_line, say

TURN = 0.2


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.quick:
        arguments.batch_size, arguments.width, arguments.image_size = 2, 4, 32
        arguments.count, arguments.pairs = 4, 2
    count = arguments.count if arguments.data is None else None
    size = {"batch_size": arguments.batch_size, "width": arguments.width, "image_size": arguments.image_size}
    open_images(arguments.data, image_size=arguments.image_size, count=count)  # make the cache, with a progress bar
    with tempfile.TemporaryDirectory() as folder, Workers() as programs:
        records.start(programs, arguments, threads=arguments.threads)
        worker = programs.workers[0]
        data = worker.ask("open_data", data=arguments.data, image_size=arguments.image_size, count=count)
        worker.ask("build", folder=folder, **size)
        batches = partial(worker.ask, "batches", batch_size=arguments.batch_size)
        often = max(1, round(TURN / batches(count=3)["seconds"]))
        turns = in_turn(
            {"batch": partial(batches, count=often), "step": partial(worker.ask, "step", count=1)},
            arguments.pairs,
            title="Batches and steps in turn",
        )
        seconds = {name: [turn["seconds"] for turn in answers] for name, answers in turns.items()}
        rate, share = arguments.batch_size / spread(seconds["batch"]).median, records.ratios(*seconds.values())
        say(f"data path, batch {arguments.batch_size}, {one_line(data['source'])}, {data['images']} images")
        say(f"  {rate:,.0f} images per second; {spread(share).median:.2%} of a training step")
        records.keep(
            "data_pipeline",
            arguments,
            programs=programs,
            settings={**size, "pairs": arguments.pairs, "threads": arguments.threads},
            data={"source": "a folder" if arguments.data else data["source"], "images": data["images"]},
            seconds=seconds,
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = records.parser(__doc__)
    parser.add_argument("--data", type=path_name, metavar="FOLDER", help="images (default: drawn faces)")
    parser.add_argument("--count", type=records.at_least(1), default=2000, help="how many faces to draw (default 2000)")
    parser.add_argument("--pairs", type=records.at_least(1), default=7, help="turns of each (default 7)")
    add_size(parser)
    records.add_threads(parser)
    return parser


if __name__ == "__main__":
    sys.exit(records.run(main))
