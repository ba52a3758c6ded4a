"""An average of the generator's weights over its latest updates; its faces change less from one step to the next.

Adam never comes to rest. Each step moves the generator's weights by about the same small distance, and the direction
depends on the few images of one batch and on a discriminator that has changed by the next step. So the weights circle
around a good place rather than stay there. Their exponential moving average lies nearer to the middle of the circle. It
takes no part in the training, which is the same with and without it; it only draws faces.

Batch normalization needs care. Beside its weights a network has moving statistics: means and variances of what flows
through the network. Those of the generator belong to its present weights and do not fit the averaged weights. An
average of the statistics does not fit, either: the layers of the average give outputs that vary less, because the
random part of the weights is gone. So the statistics are measured. `GeneratorAverage.settle` sends noise through the
average, always the same noise, and keeps the means and variances that it finds. docs/better-training.md compares the
three ways. The same measurement helps a generator that has no average: its own moving statistics are of the latest few
batches only, see `fresh_statistics`.

`minigan.gan.step` updates the average after each step of the generator; `GAN.painter` returns it, ready to draw.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from minigan.gan.models import NOISE_SIZE
from minigan.nn.backend import Array, Backend, backend_of, xp_of
from minigan.nn.layers import BatchNormalization
from minigan.nn.network import Sequential
from minigan.nn.ops.table import FromFactory
from minigan.nn.rng import stream
from minigan.nn.state import check_state

SETTLING_BATCHES, SETTLING_BATCH = 8, 32
"""Batches of noise, and images in each, from which the statistics are measured: 256 faces, less memory than a step."""

FRESH_BATCH = 64
"""Images in each batch of `fresh_statistics`: as many as in a step of the article's."""

_NEARLY_EQUAL = 0.99
"""Momentum while the statistics are measured: of a few batches, each counts nearly as much as the others."""


class GeneratorAverage:
    """An exponential moving average of a generator's weights, as a generator of its own.

    Parameters
    ----------
    network : Sequential
        A second generator, equal to the one that is about to be trained. It becomes the average.
    decay : float
        Share of the past that an update keeps, 0 < decay < 1. It averages over about the last 1 / (1 - decay) updates.

    Attributes
    ----------
    network : Sequential
        Draws faces like any generator, after `settle` has measured its statistics.

    Notes
    -----
    ``d = min(decay, (1 + t) / (10 + t));  average = d * average + (1 - d) * weights``, where t is the number of
    earlier updates. So the first updates keep less of the past; otherwise the first weights, which are random, would
    be seen for thousands of steps. t is on the device, so that a recorded step can count and nothing waits for it.

    References
    ----------
    Y. Yazıcı et al., "The unusual effectiveness of averaging in GAN training", arXiv:1806.04498; T. Karras et al.,
    "Progressive growing of GANs", arXiv:1710.10196, appendix A.1 (a decay of 0.999, as is usual since). The
    beginning is that of TensorFlow's ``tf.train.ExponentialMovingAverage(num_updates=...)``. Measured ("standing")
    statistics: A. Brock et al., "Large scale GAN training", arXiv:1809.11096.
    """

    def __init__(self, network: Sequential, decay: float) -> None:
        if not 0 < decay < 1:
            raise ValueError(f"GeneratorAverage: decay must be above 0 and below 1, got {decay}")
        self.network, self.decay = network, decay
        some = next(iter(network.params().values()))
        self._updates = xp_of(some).zeros((), some.dtype)
        noise = stream(0, "average").standard_normal((SETTLING_BATCHES, SETTLING_BATCH, 1, 1, NOISE_SIZE))
        self._noise = backend_of(some).asarray(noise.astype(some.dtype))
        self._averaging = FromFactory("new_averaging")

    def update(self, generator: Sequential) -> None:
        """Update the average with the generator's present weights.

        Parameters
        ----------
        generator : Sequential
            After its step. It is not changed.
        """
        xp, t = xp_of(self._updates), self._updates
        share = 1 - xp.minimum((1 + t) / (10 + t), self.decay)
        averages, latest = (list(network.params().values()) for network in (self.network, generator))
        move_all = self._averaging.function(self.network.ops, averages)
        move_all(averages, latest, share)
        t += 1

    def settle(self) -> Sequential:
        """Measure the moving statistics for the present weights; returns `network`, ready to draw."""
        return measure_statistics(self.network, self._noise)

    def state(self) -> dict[str, Array]:
        """All arrays that must be saved, by name; the arrays themselves."""
        return {**self.network.state(), "updates": self._updates}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Copy saved values in.

        Parameters
        ----------
        state : mapping of str to host array
            As `state` gave it.

        Raises
        ------
        ValueError
            If names, shapes or dtypes differ; then nothing is changed.
        """
        own = self.state()
        check_state("average", own, state)
        for name, array in own.items():
            array[...] = backend_of(array).asarray(state[name])

    def to(self, backend: Backend) -> GeneratorAverage:
        """Move everything to a backend, in place; returns itself."""
        self.network.to(backend)
        self._updates, self._noise = (backend.asarray(backend_of(a).to_host(a)) for a in (self._updates, self._noise))
        return self


def measure_statistics(network: Sequential, batches: Iterable[Array]) -> Sequential:
    """Measure a generator's moving statistics anew, for the weights that it has now.

    Parameters
    ----------
    network : Sequential
        Its moving statistics are replaced; nothing else changes.
    batches : iterable of Array of shape (B, 1, 1, 100)
        Noise on the network's backend. Later batches count a little more (the momentum is 0.99): of 8, the first counts
        0.93 times as much as the last, and of 50, 0.61 times.

    Returns
    -------
    Sequential
        The network.
    """
    norms = [layer for layer in network.layers if isinstance(layer, BatchNormalization)]
    usual = [layer.momentum for layer in norms]
    for name, buffer in network.buffers().items():
        if ".moving_" not in name:  # their state: after 0, the first batch replaces what the averages were
            buffer.fill(0)
    try:
        for layer in norms:
            layer.momentum = _NEARLY_EQUAL
        with np.errstate(all="ignore"):  # of broken weights; who draws with them finds NaN
            for noise in batches:
                network.forward(noise, training=True)
    finally:
        for layer, momentum in zip(norms, usual, strict=True):
            layer.momentum = momentum
    return network


def fresh_statistics(network: Sequential, count: int, *, seed: int = 0) -> Sequential:
    """Measure a trained generator's moving statistics over many batches of noise.

    In training they have momentum 0.5: the latest batch makes up half of them, the one before a quarter. So they
    depend on which noises these few batches had, and on weights of the steps before; all faces of a saved generator
    share that accident. docs/metrics.md shows how much that matters.

    Parameters
    ----------
    network : Sequential
        As `measure_statistics`.
    count : int
        Batches of `FRESH_BATCH` noises, at least 1.
    seed : int
        Decides which noises; the first batches of a seed are the same whatever the count.

    Returns
    -------
    Sequential
        The network.
    """
    if count < 1:
        raise ValueError(f"fresh_statistics: count must be at least 1, got {count}")
    some = next(iter(network.params().values()))
    draws = stream(seed, "average", 1)
    shape = (FRESH_BATCH, 1, 1, NOISE_SIZE)
    noise = (backend_of(some).asarray(draws.standard_normal(shape).astype(some.dtype)) for _ in range(count))
    return measure_statistics(network, noise)
