"""Make deep_d.json, lesson 10's recorded numbers: how a deep discriminator learns with batch normalisation and without.

The discriminator has twelve convolutions in place of four. It is trained as in a GAN, one step on reals and one on
fakes, but the fakes are fixed, so that only D differs: a fake has the left half of one drawn face and the right half
of another. Five seeds; kernels from Glorot's distribution, kernels of a third of that size, and Glorot's kernels with
three times the learning rate.

    python lessons/runs/record_deep_d.py        # some minutes on one core
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))  # so that `lessons` is found from every working directory

from minigan.data.drawn.face_set import open_drawn_faces  # noqa: E402
from minigan.gan.step import D_LEARNING_RATE, discriminator_step  # noqa: E402
from minigan.nn.initializers import GlorotUniform  # noqa: E402
from minigan.nn.layers import BatchNormalization, Conv2D, Dense, Flatten, Layer, LeakyReLU  # noqa: E402
from minigan.nn.network import Sequential  # noqa: E402
from minigan.nn.optimizers import Adam  # noqa: E402
from minigan.nn.rng import stream  # noqa: E402
from minigan.system.atomic_files import write_text  # noqa: E402
from minigan.system.workers import using_workers  # noqa: E402

SEEDS = (1, 2, 3, 4, 5)
STEPS = 150
SIZE, WIDTH, BATCH, FACES = 32, 8, 16, 2000
SETTINGS = {
    "Glorot's kernels": (1.0, 1.0),
    "a third of them": (1 / 3, 1.0),
    "Glorot's kernels, three times the rate": (1.0, 3.0),
}
"""Size of the first kernels, and learning rate, beside the usual ones."""


def deep_discriminator(seed: int, *, norm: bool, scale: float) -> Sequential:
    """D for 32 x 32 images: each block halves the side and then has three convolutions that keep it, twelve in all."""
    kernels = GlorotUniform(seed)
    layers: list[Layer] = []
    C = 3
    for O in (WIDTH, 2 * WIDTH, 4 * WIDTH):
        for strides, K in ((2, 4), (1, 3), (1, 3), (1, 3)):
            layers.append(Conv2D(C, O, K, strides=strides, kernel_initializer=kernels))
            if norm and C > 3:
                layers.append(BatchNormalization(O))
            layers.append(LeakyReLU(0.2))
            C = O
    layers += [Flatten(), Dense(4 * 4 * C, 1, kernel_initializer=kernels)]
    for layer in layers:
        if isinstance(layer, Conv2D):
            layer.params["kernel"] *= np.float32(scale)
    return Sequential(layers, input_shape=(SIZE, SIZE, 3), name="deep discriminator")


def losses(seed: int, *, norm: bool, scale: float, rate: float) -> list[float]:
    """D's loss on reals plus that on fakes, before each of the steps."""
    faces = open_drawn_faces(FACES, SIZE, seed=0, progress=False).images.astype(np.float32) / np.float32(127.5) - 1
    D = deep_discriminator(seed, norm=norm, scale=scale)
    optimizer = Adam(D.params(), learning_rate=rate * D_LEARNING_RATE)
    rng = stream(seed, "data")
    ones, zeros = np.ones((BATCH, 1), np.float32), np.zeros((BATCH, 1), np.float32)
    out = []
    for _ in range(STEPS):
        reals, fakes, others = (faces[rng.integers(FACES, size=BATCH)] for _ in range(3))
        fakes[:, :, SIZE // 2 :] = others[:, :, SIZE // 2 :]
        on_real = discriminator_step(D, optimizer, reals, ones).loss
        on_fake = discriminator_step(D, optimizer, fakes, zeros).loss
        out.append(float(on_real) + float(on_fake))
    return out


def main() -> None:
    """Train thirty discriminators and write what they did."""
    recorded = {}
    with using_workers(1):
        for name, (scale, rate) in SETTINGS.items():
            for norm in (False, True):
                key = f"{name}, {'with' if norm else 'without'}"
                recorded[key] = [
                    [round(x, 4) for x in losses(seed, norm=norm, scale=scale, rate=rate)] for seed in SEEDS
                ]
                ends = ", ".join(f"{np.mean(one[-25:]):.3f}" for one in recorded[key])
                print(f"{key}: mean of the last 25 steps {ends}", flush=True)
    write_text(HERE / "deep_d.json", json.dumps(recorded) + "\n")


if __name__ == "__main__":
    main()
