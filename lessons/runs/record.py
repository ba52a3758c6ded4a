"""Make what lies in this folder: six runs for lesson 12, five of them broken on purpose.

Every run is ``python -m minigan.train`` itself with the options in `OPTIONS`, and all but one with something
done wrong on purpose (`RUNS` says what). What a run leaves behind, its log, its health numbers, and some of the faces
that it drew from noise that never changes, becomes one file of numbers and one image.

    python lessons/runs/record.py --folder NEW_FOLDER       # the six runs, a quarter of an hour on one core

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
from lessons.recorded_runs import save_recorded  # noqa: E402
from minigan import train as train_command  # noqa: E402
from minigan.data.image_set import ImageSet  # noqa: E402
from minigan.gan.step import GAN  # noqa: E402
from minigan.system.cli import run_command  # noqa: E402

OPTIONS = [
    *("--preset=quick", "--image-size=32", "--width=32", "--batch-size=16", "--steps=1000", "--seed=1", "--ranks=1"),
    *("--ema=0", "--g-learning-rate=0.00015"),
]
"""All that the preset says is named here, but for its 4,000 faces, so that the runs do not depend on it."""

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


def main() -> int:
    """Parse and call."""
    parser = argparse.ArgumentParser(description="Record the runs that lesson 12 uses.")
    parser.add_argument("--folder", type=Path, required=True, help="new folder for the runs")
    parser.add_argument("--only", choices=tuple(RUNS), help="a single one")
    arguments = parser.parse_args()
    for letter in arguments.only or RUNS:
        record(letter, arguments.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
