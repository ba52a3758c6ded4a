"""Measure what lesson 12's training ends with: the share of clear faces (docs/metrics.md) while it trains.

The settings are the lesson's. The layers are minigan's own, which are faster than a student's and give the same
numbers but for rounding, so that several seeds can be tried.

    python lessons/runs/measure_faces.py 12        # a seed; two minutes on one core
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))  # so that `lessons` is found from every working directory

from lessons import recorded_runs  # noqa: E402
from minigan.data.open import open_images  # noqa: E402
from minigan.gan.step import build_gan, draw_inputs, train_step  # noqa: E402
from minigan.nn.rng import stream  # noqa: E402
from minigan.pages.plots import to_uint8  # noqa: E402
from minigan.system.workers import using_workers  # noqa: E402

SIZE, WIDTH, BATCH, G_RATE, STEPS, FACES = 32, 32, 16, 3e-4, 2500, 4000


def main() -> None:
    """Train, and print the shares of the generator's and of its average's faces every 250 steps."""
    seed = int(sys.argv[1])
    faces = open_images(None, image_size=SIZE, count=FACES, progress=False)
    reader = recorded_runs.colour_reader(recorded_runs.held_out_faces(SIZE, 1500))
    noise = stream(seed, "metrics").standard_normal((500, 1, 1, 100), "float32")
    gan = build_gan(image_size=SIZE, width=WIDTH, seed=seed, g_learning_rate=G_RATE, ema=0.999)
    assert gan.average is not None
    with using_workers(1):
        for t in range(STEPS + 1):
            if t and t % 250 == 0:
                painters = gan.generator, gan.average.settle()
                shares = [reader.read(to_uint8(net.predict(noise))).clear.mean() for net in painters]
                print(f"step {t:,}: clear {shares[0]:.0%}, of the average {shares[1]:.0%}", flush=True)
            train_step(gan, draw_inputs(faces.batch(seed, t, BATCH), seed, t))


if __name__ == "__main__":
    main()
