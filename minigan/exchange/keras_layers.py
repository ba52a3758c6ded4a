"""The weights of a network by Keras's names and in Keras's order.

minigan's layers, parameters and kernel layouts are those of Keras, so that only the order has to be said. A network in
Keras's files is a list of layers; those without weights (activations, Flatten) do not count here.
"""

from __future__ import annotations

import re

from minigan.nn.backend import Array
from minigan.nn.layers import BatchNormalization, Layer
from minigan.nn.network import Sequential


def weight_names(layer: Layer) -> tuple[str, ...]:
    """Names of a layer's weights in Keras's order; none for a layer without.

    Parameters
    ----------
    layer : Layer

    Returns
    -------
    tuple of str
        kernel and bias; or gamma, beta, moving_mean and moving_variance.
    """
    moving = ("moving_mean", "moving_variance") if isinstance(layer, BatchNormalization) else ()
    return (*layer.params, *moving)


def weights(layer: Layer) -> dict[str, Array]:
    """A layer's weights by Keras's names, in Keras's order; the arrays themselves."""
    own = {**layer.params, **layer.buffers}
    return {name: own[name] for name in weight_names(layer)}


def layers_with_weights(network: Sequential) -> list[Layer]:
    """The layers of a network that have weights, in order."""
    return [layer for layer in network.layers if layer.params]


def keras_names(network: Sequential) -> list[str]:
    """A name for each layer of a network, numbered from 1 for each kind, as Keras 2 does.

    >>> from minigan.gan.models import discriminator
    >>> keras_names(discriminator(image_size=32, width=1))[:4]
    ['conv2d_1', 'leaky_re_lu_1', 'conv2d_2', 'batch_normalization_1']
    """
    counts: dict[str, int] = {}
    names = []
    for layer in network.layers:
        kind = _snake(type(layer).__name__)
        counts[kind] = counts.get(kind, 0) + 1
        names.append(f"{kind}_{counts[kind]}")
    return names


def _snake(name: str) -> str:
    """A class's name as Keras writes it in the name of a layer.

    >>> _snake("Conv2DTranspose"), _snake("LeakyReLU"), _snake("BatchNormalization")
    ('conv2d_transpose', 'leaky_re_lu', 'batch_normalization')
    """
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name)).lower()
