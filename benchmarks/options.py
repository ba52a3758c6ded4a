"""What the options for better training are worth: the same steps with and without each, over several seeds.

Every run keeps the generator's average (--ema), which does not change the training, so that each run gives two results.
They are measured as `minigan.evaluate` does, against the same real images and with the same noise. Finished runs are
kept in --runs and not made again, so that the script can be stopped and called again. The numbers depend on the images:
real faces give others than the project's own drawn ones (without --data).

    python benchmarks/options.py --data real-faces --runs options-runs --threads 1
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import records

from minigan import train
from minigan.data.image_set import ImageSet
from minigan.data.open import open_images
from minigan.evaluation.diagnosis import diagnose_run
from minigan.evaluation.metrics import Yardstick, draw_samples
from minigan.gan.step import G_LEARNING_RATE
from minigan.nn.backend import NUMPY
from minigan.runs.saved_generator import load_generator
from minigan.system.atomic_files import write_text
from minigan.system.cli import run_command
from minigan.system.console import say
from minigan.system.errors import RunError
from minigan.system.workers import using_workers

RATE = "0.0003"
ARMS = {
    "none": (),
    "flip": ("--flip",),
    "translate": ("--translate",),
    "rate": ("--g-learning-rate", RATE),
    "all": ("--flip", "--translate", "--g-learning-rate", RATE),
}
"""What each run is told."""

SHOWN = ("swd", "swd_64", "swd_32", "swd_16", "distance", "similarity")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.quick:
        arguments.seeds, arguments.steps, arguments.image_size, arguments.width, arguments.samples = [1], 4, 32, 2, 64
    with contextlib.ExitStack() as stack:
        runs = arguments.runs or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(using_workers(arguments.threads))
        folder = arguments.judge or arguments.data
        images = _open_images(arguments, folder)
        yardstick = Yardstick(images, samples=arguments.samples, seed=0)
        rows = [
            one_run(runs / f"{arm}-{seed}", arm, seed, arguments, yardstick)
            for seed in arguments.seeds
            for arm in arguments.arms
        ]
        show(rows)
        records.keep(
            "options",
            arguments,
            settings={
                name: getattr(arguments, name)
                for name in ("steps", "image_size", "width", "batch_size", "ema", "samples", "seeds", "threads")
            },
            measured_against={
                "source": folder.name if folder else images.source,
                "count": len(images),
                "fingerprint": images.fingerprint,
            },
            arms=ARMS,
            rows=rows,
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = records.parser(__doc__)
    parser.add_argument("--data", type=Path, help="folder of images (default: drawn faces)")
    parser.add_argument("--judge", type=Path, help="folder of images to measure against, if not the same")
    parser.add_argument("--runs", type=Path, help="folder for the runs (default: a temporary one)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="default: 1 2 3")
    parser.add_argument("--arms", nargs="+", choices=tuple(ARMS), default=list(ARMS), help="default: all")
    parser.add_argument("--steps", type=records.at_least(1), default=1000, help="of each run (default 1000)")
    parser.add_argument("--image-size", type=records.at_least(32), default=64, help="default 64")
    parser.add_argument("--width", type=records.at_least(1), default=16, help="default 16")
    parser.add_argument("--batch-size", type=records.at_least(1), default=16, help="default 16")
    parser.add_argument("--samples", type=records.at_least(64), default=2000, help="measured (default 2000)")
    parser.add_argument("--ema", type=float, default=0.999, help="decay of the average (default 0.999)")
    records.add_threads(parser)
    return parser


def _open_images(arguments: argparse.Namespace, folder: Path | None) -> ImageSet:
    faces = 200 if arguments.quick else 4000
    return open_images(folder, image_size=arguments.image_size, count=None if folder else faces)


def one_run(path: Path, arm: str, seed: int, arguments: argparse.Namespace, yardstick: Yardstick) -> dict[str, Any]:
    """Train and measure, unless that has been done.

    Returns
    -------
    dict
        "arm", "seed", "measures" by generator ("raw", "ema") and name, and "losses": medians of the last 200 steps.
    """
    kept = path / "measures.json"
    if kept.exists():
        return json.loads(kept.read_text(encoding="utf-8"))
    options = {
        "--steps": arguments.steps,
        "--image-size": arguments.image_size,
        "--width": arguments.width,
        "--batch-size": arguments.batch_size,
        "--ema": arguments.ema,
        "--g-learning-rate": G_LEARNING_RATE,
        "--seed": seed,
        "--sample-every": 250,
        "--save-every": arguments.steps,
        "--out": path,
    }
    if arguments.threads:
        options["--ranks"] = arguments.threads
    data = ["--data", arguments.data] if arguments.data else ["--preset", "quick"]
    if path.exists():  # stopped on the way
        call("--resume", path)
    else:
        call(*data, *(word for pair in options.items() for word in pair), *ARMS[arm])
    measures = {}
    for name in ("raw", "ema"):
        faces = draw_samples(load_generator(path, raw=name == "raw")[0], yardstick.samples, 0, NUMPY)
        if faces is None:
            raise RunError(f"{path}: the generator draws NaN")
        measures[name] = {key: m.to_dict() for key, m in yardstick.compare(faces).items()}
    log = np.loadtxt(path / "log.csv", delimiter=",", skiprows=1, ndmin=2)[-200:]
    row = {
        "arm": arm,
        "seed": seed,
        "measures": measures,
        "losses": dict(zip(("d_real", "d_fake", "g"), np.median(log[:, 1:4], axis=0).round(3).tolist(), strict=True)),
        "accuracy": round(float(np.median(log[:, 6])), 3),
        "diagnosis": [finding.code for finding in diagnose_run(path)],
    }
    write_text(kept, json.dumps(row))
    swd = {name: found["swd"]["value"] for name, found in measures.items()}
    say(f"{path.name}: {swd['raw']:.1f}, averaged {swd['ema']:.1f} (real images {measures['raw']['swd']['real']:.1f})")
    return row


def call(*words: object) -> None:
    """One run of `minigan.train`, quietly."""
    with contextlib.redirect_stdout(io.StringIO()):
        status = run_command(train.main, [str(word) for word in words])
    if status:
        raise RunError(f"minigan.train ended with status {status}")


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print means over the seeds, with the standard deviation."""
    for name in SHOWN:
        if name not in rows[0]["measures"]["raw"]:
            continue
        say(f"{name} (real images: {rows[0]['measures']['raw'][name]['real']:.3g})")
        for arm in dict.fromkeys(row["arm"] for row in rows):
            cells = []
            for kind in ("raw", "ema"):
                values = [row["measures"][kind][name]["value"] for row in rows if row["arm"] == arm]
                spread = f" +- {statistics.stdev(values):.2g}" if len(values) > 1 else ""
                cells.append(f"{kind} {statistics.mean(values):.3g}{spread} ({', '.join(f'{v:.3g}' for v in values)})")
            say(f"  {arm:<10} {'; '.join(cells)}")


if __name__ == "__main__":
    sys.exit(records.run(main))
