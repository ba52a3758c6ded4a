"""A GAN on several ranks: each takes its share of every batch and of every update.

`divide` moves the parameters to memory that all ranks have and divides the optimizers among them. From then on
`minigan.gan.step.train_step` on every rank, each with its share of the inputs, does what it did alone with all of them.
"""

from __future__ import annotations

import os
import weakref

import numpy as np

from minigan.gan.step import GAN, discriminator_step, generator_step
from minigan.nn.backend import Array
from minigan.nn.layers import BatchNormalization
from minigan.nn.ops import PLAIN, has_own
from minigan.nn.optimizers import Adam
from minigan.ranks.adam import DividedAdam, Flat, move_params
from minigan.ranks.batch_share import BatchShare
from minigan.ranks.interface import Ranks
from minigan.ranks.shared_memory import aligned

MOST_LARGER = 9
"""Memory for what may be prepared from the parameters, in sizes of the parameters. A kernel of four taps a side,
transformed for tiles of 4 and for tiles of 2, is 6.25 and 2.25 times as large; one of three taps 4 and 1.8 times."""


def memory_bytes(gan: GAN, size: int, batch_size: int) -> int:
    """How much memory that all have `divide` takes, for `size` ranks."""
    flats = [Flat(network.params()) for network in (gan.generator, gan.discriminator)]
    shared = 3 * sum(flat.nbytes for flat in flats)
    own = max(flat.nbytes for flat in flats)
    kernels = MOST_LARGER * sum(flat.nbytes for flat in flats)
    image = int(np.prod(gan.discriminator.input_shape)) * flats[0].dtype.itemsize
    # Fewer ranks, if some cannot start, may round their shares of the images up to more than all ranks would.
    return aligned(shared + kernels + size * own + (batch_size + size) * image + 64 * 1024)


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

    Raises
    ------
    ValueError
        If its batch normalization, its loss or an optimizer is not minigan's own (`why_not_divided`).
    """
    if reason := why_not_divided(gan):
        raise ValueError(f"divide: {reason}, and knows nothing of other ranks; train on one rank")
    for state in _states(gan):
        for a in state.values():
            ranks.broadcast(a)
    for adam in (gan.g_optimizer, gan.d_optimizer):
        settings = np.array([adam.t, adam.learning_rate, adam.beta_1, adam.beta_2, adam.epsilon])
        ranks.broadcast(settings)
        adam.t = int(settings[0])
        adam.learning_rate, adam.beta_1, adam.beta_2, adam.epsilon = map(float, settings[1:])
    places = [Flat(network.params()) for network in (gan.generator, gan.discriminator)]
    gradients = ranks.own((max(place.size for place in places),), places[0].dtype)
    gan.share = BatchShare(ranks, batch_size, gan.discriminator.input_shape, places[0].dtype)
    optimizers = []
    for network, adam, place in zip(
        (gan.generator, gan.discriminator), (gan.g_optimizer, gan.d_optimizer), places, strict=True
    ):
        params = ranks.shared((place.size,), place.dtype)
        move_params(network, params, place)
        optimizers.append(DividedAdam(adam, ranks, place, params, gradients))
    gan.g_optimizer, gan.d_optimizer = optimizers
    gan.share.shared_params = gan.params()
    _divided.append(weakref.ref(gan, _divided.remove))
    return gan


def why_not_divided(gan: GAN) -> str | None:
    """What `divide` would refuse, in words: what goes over the whole batch or all parameters, and is not minigan's own.

    It knows nothing of other ranks: a mean would be that of this rank's images. A function `adam_update` of one's own
    is no such thing; it is called with parts of parameters.
    """
    for ours, step in ((discriminator_step, gan.discriminator_step), (generator_step, gan.generator_step)):
        if step is not ours:
            return f"the {ours.__name__} is not minigan's own"
    for network, adam in ((gan.generator, gan.g_optimizer), (gan.discriminator, gan.d_optimizer)):
        if type(adam) is not Adam or adam.ops.new_adam is not PLAIN.new_adam:
            return f"the optimizer of the {network.name} is not minigan's own"
    for network in (gan.generator, gan.discriminator):
        for i, layer in enumerate(network.layers):
            if isinstance(layer, BatchNormalization) and not has_own(layer.ops, "batch_norm"):
                return f"the batch normalization of the {network.name}'s layer {i} is not minigan's own"
        if not has_own(network.ops, "bce_with_logits", "step_metrics"):
            return f"the loss of the {network.name} is not minigan's own"
    return None


_divided: list[weakref.ref[GAN]] = []


def _leave_shared_memory() -> None:
    """In a forked process: its networks keep the parameters of this moment, and do not follow the parent's training."""
    for found in _divided:
        gan = found()
        for network in () if gan is None else (gan.generator, gan.discriminator):
            for layer in network.layers:
                layer.params.update({name: p.copy() for name, p in layer.params.items()})


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_shared_memory)


def _states(gan: GAN) -> list[dict[str, Array]]:
    """All that ranks must have in common; the generator's average is rank 0's alone."""
    parts = (gan.generator, gan.discriminator, gan.g_optimizer, gan.d_optimizer)
    return [part.state() for part in parts]
