"""Keras 3 on TensorFlow as a program to measure: the same training step, in one `tf.function`.

Needs keras, tensorflow and numpy, not minigan. Starts from the weights and inputs that minigan's worker left in the
folder; they are in Keras's layouts already.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from measured_programs import Program, serve, timed

NOISE_SIZE = 100


def discriminator(width: int, image_size: int) -> keras.Sequential:
    network = keras.Sequential([keras.Input((image_size, image_size, 3))])
    side = image_size
    while side > 4:
        side //= 2
        network.add(layers.Conv2D(min(8 * width, width * image_size // (2 * side)), 4, strides=2, padding="same"))
        if side < image_size // 2:
            network.add(layers.BatchNormalization(momentum=0.5, epsilon=1e-3))
        network.add(layers.LeakyReLU(0.2))
    network.add(layers.Flatten())
    network.add(layers.Dense(1))
    return network


def generator(width: int, image_size: int) -> keras.Sequential:
    network = keras.Sequential([keras.Input((1, 1, NOISE_SIZE))])
    side = 2
    while side < image_size // 2:
        side *= 2
        filters = min(8 * width, width * image_size // (2 * side))
        strides, padding = (1, "valid") if side == 4 else (2, "same")
        network.add(layers.Conv2DTranspose(filters, 4, strides=strides, padding=padding))
        network.add(layers.BatchNormalization(momentum=0.5, epsilon=1e-3))
        network.add(layers.LeakyReLU(0.2))
    network.add(layers.Conv2D(filters, 3, padding="same"))
    network.add(layers.BatchNormalization(momentum=0.5, epsilon=1e-3))
    network.add(layers.LeakyReLU(0.2))
    network.add(layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="tanh"))
    return network


def load(network: keras.Sequential, start: dict[str, np.ndarray], prefix: str) -> None:
    for index, layer in enumerate(network.layers):
        names = ("gamma", "beta") if isinstance(layer, layers.BatchNormalization) else ("kernel", "bias")
        for name, variable in zip(names, layer.trainable_variables, strict=False):
            variable.assign(start[f"{prefix}.{index}.{name}"])


def loss_of(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))


class Keras(Program):
    """Networks, optimizers, and the schedule of minigan.gan.step.train_step."""

    def begin(self, threads: int | None = None) -> dict[str, Any]:
        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        return {"keras": keras.__version__, "tensorflow": tf.__version__, "threads": threads or os.cpu_count()}

    def build(self, folder: str, batch_size: int, width: int, image_size: int) -> None:
        with np.load(Path(folder) / "start.npz", allow_pickle=False) as file:
            start = dict(file)
        self.D, self.G = discriminator(width, image_size), generator(width, image_size)
        load(self.D, start, "D")
        load(self.G, start, "G")
        settings = {"beta_1": 0.5, "beta_2": 0.999, "epsilon": 1e-7}
        self.d_optimizer = keras.optimizers.Adam(2e-4, **settings)
        self.g_optimizer = keras.optimizers.Adam(1.5e-4, **settings)
        self.d_optimizer.build(self.D.trainable_variables)
        self.g_optimizer.build(self.G.trainable_variables)
        self._inputs = [
            tf.constant(start[name]) for name in ("real", "noise", "generator_noise", "real_labels", "fake_labels")
        ]

    def first_step(self) -> list[float]:
        return [float(loss) for loss in self._step(*self._inputs)]

    def step(self, count: int) -> dict[str, Any]:
        return timed(lambda: [loss.numpy() for loss in self._step(*self._inputs)], count)

    @tf.function
    def _step(
        self, real: tf.Tensor, noise: tf.Tensor, g_noise: tf.Tensor, real_labels: tf.Tensor, fake_labels: tf.Tensor
    ) -> list[tf.Tensor]:
        fakes = self.G(noise, training=False)
        losses = [self._teach_d(real, real_labels), self._teach_d(fakes, fake_labels)]
        with tf.GradientTape() as tape:
            images = self.G(g_noise, training=True)
            # Batch statistics, but D's moving averages stay: their new values are returned, and dropped here.
            logits, _ = self.D.stateless_call(
                self.D.trainable_variables, self.D.non_trainable_variables, images, training=True
            )
            loss = loss_of(real_labels, logits)
        self.g_optimizer.apply(tape.gradient(loss, self.G.trainable_variables), self.G.trainable_variables)
        return [*losses, loss]

    def _teach_d(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_of(labels, self.D(images, training=True))
        self.d_optimizer.apply(tape.gradient(loss, self.D.trainable_variables), self.D.trainable_variables)
        return loss


if __name__ == "__main__":
    serve(Keras())
