"""The article's GAN: its two networks (`models`), one training step (`step`), and two additions to them.

The additions, `average` and `augment`, are off in the article's configuration. Everything is built from `minigan.nn`.
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
