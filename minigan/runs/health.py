"""Health numbers (vitals.jsonl): six numbers about the images and the weights, every 25 steps.

The losses alone cannot tell a dead generator from a discriminator that has become too strong. Nor do they show that all
fakes look alike, or that the images have the wrong range. These six numbers do: the smallest and the largest real
pixel, how far apart two images of a batch are (real ones, and fakes), and how far a step moves the weights of each
network. They cost about a thousandth of the training. `minigan.training.trainer` writes them to vitals.jsonl, and
`minigan.evaluation.diagnosis` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping

from minigan.gan.step import GAN
from minigan.nn.backend import Array, backend_of, xp_of

HEALTH_EVERY = 25
"""Steps between two measurements."""

Weights = tuple[dict[str, Array], dict[str, Array]]


def is_due(step: int) -> bool:
    """Whether the health numbers of a step are taken."""
    return step % HEALTH_EVERY == 0


def weights_of(gan: GAN) -> Weights:
    """Copies of both networks' trainable weights, generator first. After the step, `measure` compares with them."""
    return _copied(gan.generator.params()), _copied(gan.discriminator.params())


def measure(real: Array, fakes: Array, before: Weights, gan: GAN) -> dict[str, float]:
    """Health numbers of one training step.

    Parameters
    ----------
    real, fakes : Array of shape (B, S, S, 3)
        The step's batches, before any move (`--translate`); in [-1, 1] if all is well.
    before : tuple of two dict
        `weights_of` the networks before the step.
    gan : GAN
        After the step.

    Returns
    -------
    dict of str to float
        real_low, real_high : smallest and largest pixel of the real batch;
        real_spread, fake_spread : see `spread`;
        g_move, d_move : how much the step changed a weight of a network: the root of the mean square over all its
        weights. With Adam that is a share of the learning rate which hardly depends on the size of the network.
        In a run that is going wrong, a number may be infinite or NaN.
    """
    xp = xp_of(real)
    values = {
        "real_low": real.min(),
        "real_high": real.max(),
        "real_spread": spread(real),
        "fake_spread": spread(fakes),
        "g_move": _move(before[0], gan.generator.params()),
        "d_move": _move(before[1], gan.discriminator.params()),
    }
    stacked = xp.stack([value.astype(real.dtype) for value in values.values()])
    return dict(zip(values, backend_of(real).to_host(stacked).tolist(), strict=True))


def spread(images: Array) -> Array:
    """How far apart two images of a batch are: the root of the mean squared difference, over all pairs and pixels.

    Parameters
    ----------
    images : Array of shape (N, ...)

    Returns
    -------
    Array of shape ()
        In the units of the pixels. 0 if all images are equal, or if there is only one.

    Notes
    -----
    No pair is formed: the mean squared difference over all pairs is twice the variance (with N - 1) of each pixel.

    Examples
    --------
    >>> import numpy as np
    >>> float(spread(np.array([[0.0, 0.0], [4.0, 4.0]])))
    4.0
    """
    xp = xp_of(images)
    N = len(images)
    if N < 2:
        return xp.zeros((), images.dtype)
    # In two passes, first the mean and then the deviations: in one pass, pixels near 255 would lose digits.
    deviation = images - images.mean(axis=0)
    return xp.sqrt((deviation * deviation).mean() * (2 * N / (N - 1)))


def _copied(params: Mapping[str, Array]) -> dict[str, Array]:
    return {name: a.copy() for name, a in params.items()}


def _move(before: Mapping[str, Array], after: Mapping[str, Array]) -> Array:
    """Root of the mean squared change over all weights of a network."""
    squares = sum(((after[name] - a) ** 2).sum() for name, a in before.items())
    return xp_of(*before.values()).sqrt(squares / sum(a.size for a in before.values()))
