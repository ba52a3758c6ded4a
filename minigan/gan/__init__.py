"""The article's GAN: its two networks (`models`), one training step (`step`), and what can be added to them.

Two additions, `average` and `augment`, change what is learned, and are off in the article's configuration. `division`
divides a GAN among several processes. Everything is built from `minigan.nn`.
"""

from minigan.gan.step import (
    D_LEARNING_RATE,
    G_LEARNING_RATE,
    GAN,
    LABEL_NOISE,
    METRICS,
    Phase,
    StepInputs,
    StepResult,
    build_gan,
    discriminator_step,
    draw_inputs,
    generator_step,
    recorded_step,
    train_step,
)

__all__ = [
    "D_LEARNING_RATE",
    "GAN",
    "G_LEARNING_RATE",
    "LABEL_NOISE",
    "METRICS",
    "Phase",
    "StepInputs",
    "StepResult",
    "build_gan",
    "discriminator_step",
    "draw_inputs",
    "generator_step",
    "recorded_step",
    "train_step",
]
