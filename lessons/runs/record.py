"""Make what lies in this folder: six runs for lesson 12, five of them broken on purpose, and lesson 13's generator.

Every run is ``python -m minigan.train`` itself with the options in `OPTIONS`, and all but one with a single thing
changed beforehand (`RUNS` says what). What a run leaves behind, its log, its health numbers, and some of the faces that
it drew from noise that never changes, becomes one file of numbers and one image.

    python lessons/runs/record.py runs --folder NEW_FOLDER       # the six runs, a quarter of an hour on one core
    python lessons/runs/record.py generator RUN                  # halve a run's newest generator

If you have not solved "diagnose" yet, do not read on: `RUNS` is the solution.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))  # so that `lessons` is found from every working directory

import minigan  # noqa: E402
from lessons.recorded_runs import GENERATOR, save_recorded  # noqa: E402
from minigan import train as train_command  # noqa: E402
from minigan.data.image_set import ImageSet  # noqa: E402
from minigan.gan.models import MAX_WIDTH, channels_at  # noqa: E402
from minigan.gan.step import GAN  # noqa: E402
from minigan.runs.checkpoint import save_tensors  # noqa: E402
from minigan.runs.saved_generator import load_generator  # noqa: E402
from minigan.system.cli import run_command  # noqa: E402

OPTIONS = ["--preset=quick", "--image-size=32", "--width=32", "--steps=1000", "--seed=1", "--ranks=1"]

Patches = Sequence[contextlib.AbstractContextManager[Any]]


def rates(*, d: float = 1, g: float = 1) -> Patches:
    """Learning rates that are `d` and `g` times the article's."""

    def build_gan(**settings: Any) -> GAN:
        gan = minigan.build_gan(**settings)
        gan.d_optimizer.learning_rate *= d
        gan.g_optimizer.learning_rate *= g
        return gan

    return (mock.patch.object(train_command, "build_gan", build_gan),)


def pixels(change: Callable[[Any], Any]) -> Patches:
    """Real images that `change` has put into another range than [-1, 1]."""
    batch = ImageSet.batch

    def changed(*arguments: Any, **settings: Any) -> Any:
        return change(batch(*arguments, **settings)).astype(np.float32)

    return (mock.patch.object(ImageSet, "batch", changed),)


RUNS: dict[str, tuple[str, Callable[[], Patches]]] = {
    "A": ("generator-dead", lambda: rates(g=1e-9)),  # not 0, which Adam refuses
    "B": ("mode-collapse", lambda: rates(d=0.3, g=50)),
    "C": ("normal", lambda: ()),
    "D": ("data-range", lambda: pixels(lambda x: (x + 1) / 2)),
    "E": ("discriminator-too-strong", lambda: rates(d=50)),
    "F": ("exploding", lambda: rates(d=100, g=100)),
}
"""For each letter of the lesson: what the run suffers from, and what was changed to cause it."""


def record(letter: str, folder: Path) -> None:
    """Perform one run in a new folder below `folder`, and keep what the lesson shows of it."""
    out = folder / letter
    options = [*OPTIONS, "--sample-every", "50", "--save-every", "1000"]
    with contextlib.ExitStack() as stack:
        for patch in RUNS[letter][1]():
            stack.enter_context(patch)
        status = run_command(train_command.main, [*options, "--out", str(out)])
    save_recorded(out, HERE, letter)
    print(f"{letter}: exit status {status}")


def halve(run: Path) -> None:
    """Keep a run's newest generator in float16: half as large, and its faces differ by a grey level here and there."""
    generator, step = load_generator(run)
    size = generator.output_shape()[0]
    half = {name: a.astype(np.float16) for name, a in generator.state().items()}
    channels = generator.params()["0.kernel"].shape[2]
    width = next(w for w in range(1, MAX_WIDTH + 1) if channels_at(4, image_size=size, width=w) == channels)
    words = {
        "network": "generator",
        "image_size": str(size),
        "width": str(width),
        "step": str(step),
        "stored_as": "float16",
    }
    save_tensors(HERE / GENERATOR, half, words)
    print(f"{HERE / GENERATOR}: {(HERE / GENERATOR).stat().st_size:,} bytes, after {step:,} steps")


def main() -> int:
    """Parse and call."""
    parser = argparse.ArgumentParser(description="Record the runs and the generator that lessons 12 and 13 use.")
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("runs", help="perform the six runs")
    runs.add_argument("--folder", type=Path, required=True, help="new folder for the runs")
    runs.add_argument("--only", choices=tuple(RUNS), help="a single one")
    commands.add_parser("generator", help="keep a run's generator").add_argument("run", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "generator":
        halve(arguments.run)
    else:
        for letter in arguments.only or RUNS:
            record(letter, arguments.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
