"""Training runs that are broken on purpose, and the finding with which the diagnosis must name each.

`train` performs a small run (images of 32x32, width 16, batches of 16; it takes some seconds) with one thing wrong.
``python tests/support/broken_runs.py`` performs all runs and writes their logs and health numbers to
tests/golden/diagnosis.npz, so that the tests need not train.
"""

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from places import GOLDEN

from minigan import train as train_command
from minigan.data.image_set import ImageSet
from minigan.gan import step as gan
from minigan.nn import optimizers
from minigan.runs.layout import VITALS_NAME
from minigan.runs.run_records import read_history, read_rows
from minigan.system.cli import run_command
from minigan.training import trainer

RECORD = GOLDEN / "diagnosis.npz"
STEPS = 400
SIZE = [
    *("--preset", "quick", "--image-size", "32", "--width", "16", "--batch-size", "16", "--steps", str(STEPS)),
    *("--ema", "0", "--g-learning-rate", "0.00015"),
]
"""All that decides the numbers of a run, but for the preset's 4,000 faces, is named here."""
NEXT_TO_NOTHING = 1e-9  # Adam refuses 0
NORMAL_SEEDS = (1, 2, 3, 4, 5)


def faster(*, d=1, g=1):
    """Learning rates that differ from those in the configuration."""
    start = optimizers.Adam.__init__

    def begin(self, params, *, learning_rate, **others):
        factor = d if learning_rate == gan.D_LEARNING_RATE else g
        start(self, params, learning_rate=factor * learning_rate, **others)

    return (mock.patch.object(optimizers.Adam, "__init__", begin),)


def with_batches(change):
    """Images whose pixels are not in [-1, 1]."""
    batch = ImageSet.batch
    return (mock.patch.object(ImageSet, "batch", lambda *a, **k: change(batch(*a, **k)).astype(np.float32)),)


def one_noise_for_all():
    """The same noise for every image of a batch."""
    draw = gan.draw_inputs

    def draw_inputs(*arguments):
        inputs = draw(*arguments)
        inputs.noise[:], inputs.generator_noise[:] = inputs.noise[:1], inputs.generator_noise[:1]
        return inputs

    return (mock.patch.object(trainer, "draw_inputs", draw_inputs),)


BROKEN = {
    "D's learning rate times 20": (lambda: faster(d=20), "discriminator-too-strong"),
    "D's learning rate times 5": (lambda: faster(d=5), "discriminator-too-strong"),
    "G's learning rate as good as 0": (lambda: faster(g=NEXT_TO_NOTHING), "generator-dead"),
    "D's learning rate as good as 0": (lambda: faster(d=NEXT_TO_NOTHING), "discriminator-dead"),
    "G's learning rate times 50": (lambda: faster(g=50), "discriminator-lost or mode-collapse"),
    "both learning rates times 20": (lambda: faster(d=20, g=20), "exploding"),
    "both learning rates times 1000": (lambda: faster(d=1000, g=1000), "exploding"),
    "both learning rates as good as 0": (lambda: faster(d=NEXT_TO_NOTHING, g=NEXT_TO_NOTHING), "nothing-learned"),
    "one noise for the whole batch": (one_noise_for_all, "mode-collapse"),
    "pictures in 0..255": (lambda: with_batches(lambda x: (x + 1) * 127.5), "data-range"),
    "pictures in 0..1": (lambda: with_batches(lambda x: (x + 1) / 2), "data-range"),
    "black pictures": (lambda: with_batches(lambda x: (x + 1) / 255 - 1), "data-range"),
}
"""What is broken: how, and the code of the finding that must come first, at any time of the run."""


def train(out, *, seed=1, broken=None, arguments=SIZE):
    """Perform a run; returns its exit status."""
    with contextlib.ExitStack() as stack:
        for patch in BROKEN[broken][0]() if broken else ():
            stack.enter_context(patch)
        return run_command(train_command.main, [*arguments, "--seed", str(seed), "--out", str(out)])


def record():
    """Perform all runs and keep what the diagnosis reads."""
    kept = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, seed, broken in [
            *((f"normal, seed {seed}", seed, None) for seed in NORMAL_SEEDS),
            *((name, 1, name) for name in BROKEN),
        ]:
            out = Path(folder) / "run"
            status = train(out, seed=seed, broken=broken)
            kept[name] = read_history(out)[1].astype(np.float16)
            kept[f"{name}: vitals"] = np.array(json.dumps(read_rows(out, VITALS_NAME)))
            print(name, "status", status, file=sys.stderr)
            out.rename(Path(folder) / name.replace(" ", "-").replace("'", ""))
    np.savez_compressed(RECORD, **kept)


if __name__ == "__main__":
    record()
