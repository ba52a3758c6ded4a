"""The only loss of this program: binary cross-entropy, computed from the logit.

The discriminator answers with a logit z: the higher it is, the surer D is that an image is real; sigmoid(z) is the
probability. If log(sigmoid(z)) is computed as it is written, it overflows or loses all digits when D is sure. So
logarithm and sigmoid are combined into a formula that never does. `minigan.gan.step` trains both networks with it.

References
----------
I. Goodfellow et al., "Generative adversarial networks", arXiv:1406.2661, section 3: the generator is trained with the
labels of real images, so that the same loss serves both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from minigan.nn import share
from minigan.nn.backend import Array, xp_of

LOGIT_MIN, LOGIT_MAX = -16.118096, 15.942385
"""Where float32's sigmoid meets Keras's clip of probabilities to [1e-7, 1 - 1e-7].

They are not opposite numbers because float32 has no 1 - 1e-7: the nearest is 1 - 2**-23, which is sigmoid(15.942385).
"""


class BCECache(NamedTuple):
    """What the backward pass needs."""

    z: Array
    target: Array


def bce_with_logits_forward(z: Array, target: Array) -> tuple[Array, BCECache]:
    """Mean binary cross-entropy of probabilities sigmoid(z) against targets.

    Parameters
    ----------
    z : Array
        Logits, any shape.
    target : Array of the same shape
        In [0, 1]; soft labels such as 0.9 are allowed.

    Returns
    -------
    loss : Array of shape ()
        Stays on the device. If the batch is divided among several processes, it is this one's part of the mean.
    cache : BCECache

    Raises
    ------
    ValueError
        If the shapes differ: (N, 1) and (N,) would be broadcast to N x N pairs without a word.

    Notes
    -----
    With l = clip(z, LOGIT_MIN, LOGIT_MAX): mean of ``max(l, 0) - l*target + log1p(exp(-|l|))``. The clip is Keras's,
    which bounds probabilities to [1e-7, 1 - 1e-7].
    """
    check_targets(z, target)
    xp = xp_of(z, target)
    logit = xp.clip(z, LOGIT_MIN, LOGIT_MAX)
    loss = xp.maximum(logit, 0) - logit * target + xp.log1p(xp.exp(-abs(logit)))
    return share.weight() * loss.mean(), BCECache(z, target)


def bce_with_logits_backward(dloss: Array | float, cache: BCECache) -> Array:
    """Gradient of `bce_with_logits_forward` for z: ``(sigmoid(z) - target) / N`` inside the clip, exactly 0 outside.

    Parameters
    ----------
    dloss : float or Array of shape ()
        Gradient for the loss; 1 to train.
    cache : BCECache

    Returns
    -------
    Array of the shape of z
    """
    z, target = cache
    inside = (z >= LOGIT_MIN) & (z <= LOGIT_MAX)
    return (_sigmoid(z) - target) * inside * (dloss / share.whole(z.size))


def check_targets(z: Array, target: Array) -> None:
    """Raise ValueError unless logits and targets have one shape."""
    if z.shape != target.shape:
        raise ValueError(
            f"bce_with_logits: z and target must have one shape, got z.shape={z.shape}, target.shape={target.shape}"
        )


def step_metrics(losses: Sequence[Array], z_real: Array, z_fake: Array) -> Array:
    """What a training step reports (`minigan.gan.step.METRICS`), as one array that stays on the device.

    Parameters
    ----------
    losses : three Arrays of shape ()
        Of D on reals, of D on fakes, and of G.
    z_real, z_fake : Array of shape (B, 1)
        D's logits.

    Returns
    -------
    Array of shape (6,)
        The losses; the mean of sigmoid(z_real); the mean of sigmoid(z_fake); the share of both on the right side of 0.
        If the batch is divided among several processes, of the whole batch.
    """
    xp = xp_of(z_real, z_fake)
    right = 0.5 * ((z_real > 0).mean() + (z_fake < 0).mean())
    means = [share.weight() * mean for mean in (_sigmoid(z_real).mean(), _sigmoid(z_fake).mean(), right)]
    return share.total(xp.stack([xp.asarray(number).astype(z_real.dtype) for number in (*losses, *means)]))


def _sigmoid(z: Array) -> Array:
    return 0.5 * xp_of(z).tanh(0.5 * z) + 0.5
