"""A GAN on several ranks: each takes its share of every batch and of every update.

`divide` moves the parameters to memory that all ranks have and divides the optimizers among them. From then on
`minigan.gan.step.train_step` on every rank, each with its share of the inputs, does what it did alone with all of them.
"""

from __future__ import annotations

import numpy as np

from minigan.gan.step import GAN
from minigan.nn.backend import Array
from minigan.ranks.adam import DividedAdam, Flat, move_params
from minigan.ranks.batch_share import BatchShare
from minigan.ranks.interface import Ranks
from minigan.ranks.shared_memory import aligned


def memory_bytes(gan: GAN, size: int, batch_size: int) -> int:
    """How much memory that all have `divide` takes, for `size` ranks."""
    flats = [Flat(network.params()) for network in (gan.generator, gan.discriminator)]
    shared = 3 * sum(flat.nbytes for flat in flats)
    own = max(flat.nbytes for flat in flats)
    images = -(-batch_size // size) * int(np.prod(gan.discriminator.input_shape)) * flats[0].dtype.itemsize
    return aligned(shared + size * (own + images) + 64 * 1024)


def divide(gan: GAN, ranks: Ranks, batch_size: int) -> GAN:
    """Divide a GAN among the ranks; every rank has one that was built alike, and goes on with what rank 0's holds.

    Parameters
    ----------
    gan : GAN
        On NumPy; changed in place.
    ranks : Ranks
        More than one.
    batch_size : int

    Returns
    -------
    GAN
        The same.
    """
    for state in _states(gan):
        for a in state.values():
            ranks.broadcast(a)
    counts = np.array([gan.g_optimizer.t, gan.d_optimizer.t], np.int64)
    ranks.broadcast(counts)
    gan.g_optimizer.t, gan.d_optimizer.t = map(int, counts)
    places = [Flat(network.params()) for network in (gan.generator, gan.discriminator)]
    gradients = ranks.own((max(place.size for place in places),), places[0].dtype)
    optimizers = []
    for network, adam, place in zip(
        (gan.generator, gan.discriminator), (gan.g_optimizer, gan.d_optimizer), places, strict=True
    ):
        params = ranks.shared((place.size,), place.dtype)
        move_params(network, params, place)
        optimizers.append(DividedAdam(adam, ranks, place, params, gradients))
    gan.g_optimizer, gan.d_optimizer = optimizers
    image_shape = gan.discriminator.input_shape
    gan.share = BatchShare(ranks, batch_size, image_shape, places[0].dtype)
    return gan


def _states(gan: GAN) -> list[dict[str, Array]]:
    """All that ranks must have in common; the generator's average is rank 0's alone."""
    parts = (gan.generator, gan.discriminator, gan.g_optimizer, gan.d_optimizer)
    return [part.state() for part in parts]
