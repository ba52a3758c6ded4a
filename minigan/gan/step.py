"""One training step of the GAN, in the order of the article's listing.

1. The generator G makes fakes in inference mode.
2. The discriminator D takes a step on the real batch, then one on the fake batch. They stay two batches, so that batch
   normalization never mixes them.
3. The generator takes a step through the frozen discriminator, with new noise and the *real* labels: it is trained to
   make images that D takes for real.

Everything random comes in as an argument (`draw_inputs` makes it): the same inputs always give the same weights. Losses
stay on the device; the program that prints them reads them when it has the time. The networks are those of
`minigan.gan.models`; `minigan.training.trainer` calls `train_step` again and again.

In the table, "batch" and "moving" are the statistics that batch normalization uses, and "G moving" is what happens to
the moving statistics of G.

| phase            | G normalises with | G moving  | D normalises with       | D moving  | updated |
|------------------|-------------------|-----------|-------------------------|-----------|---------|
| make fakes       | moving            | unchanged | -                       | -         | nothing |
| D on real, fake  | -                 | -         | batch, each on its own  | updated   | D       |
| G step           | batch             | updated   | batch of fakes          | unchanged | G       |

References
----------
I. Goodfellow et al., "Generative adversarial networks", arXiv:1406.2661, algorithm 1. A. Radford, L. Metz and
S. Chintala, "Unsupervised representation learning with deep convolutional generative adversarial networks",
arXiv:1511.06434. docs/article.md compares minigan with the article's program, block by block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from minigan.gan.average import GeneratorAverage
from minigan.gan.models import NOISE_SIZE, discriminator, generator
from minigan.nn import share
from minigan.nn.backend import NUMPY, Array, Backend, backend_of
from minigan.nn.network import Sequential
from minigan.nn.ops import LIBRARY, Ops, resolve
from minigan.nn.optimizers import Adam
from minigan.nn.rng import stream
from minigan.nn.share import Share
from minigan.system.workers import using_workers

D_LEARNING_RATE = 2e-4
G_LEARNING_RATE = 1.5e-4
LABEL_NOISE = 0.2
"""Soft labels: a real one is 1 - 0.2*U[0, 1), a fake one 0.2*U[0, 1)."""

METRICS = ("d_real", "d_fake", "g", "d_x", "d_g_z", "accuracy")
"""What a step reports, in this order: the three losses; the mean of D(x); the mean of D(G(z)); and the share of the
images in both batches for which D gives a probability on the right side of 0.5. Each is computed before the update."""


@dataclass
class GAN:
    """Both networks, their optimizers, and the generator's average if there is one: all that training changes.

    share : which part of every batch this process has (`minigan.nn.share`); all of it, unless the GAN was divided.
    discriminator_step, generator_step : the steps that `train_step` takes: those below, unless you replace them.
    """

    generator: Sequential
    discriminator: Sequential
    g_optimizer: Adam
    d_optimizer: Adam
    average: GeneratorAverage | None = None
    share: Share = field(default_factory=Share)
    discriminator_step: Callable[..., Phase] = field(default_factory=lambda: discriminator_step)
    generator_step: Callable[..., Phase] = field(default_factory=lambda: generator_step)

    def params(self) -> list[Array]:
        """All arrays that a training step updates."""
        return [*self.generator.params().values(), *self.discriminator.params().values()]

    def painter(self) -> Sequential:
        """The generator to draw faces with: the average if there is one, ready for its present weights."""
        return self.generator if self.average is None else self.average.settle()

    def to(self, backend: Backend) -> GAN:
        """Move everything to a backend, in place; returns itself."""
        self.generator.to(backend)
        self.discriminator.to(backend)
        self.g_optimizer.to(backend, self.generator.params())
        self.d_optimizer.to(backend, self.discriminator.params())
        if self.average is not None:
            self.average.to(backend)
        return self


class StepInputs(NamedTuple):
    """Everything random in one step.

    real : images (B, S, S, 3) in [-1, 1]; noise and generator_noise : (B, 1, 1, 100), N(0, 1);
    real_labels, fake_labels : (B, 1).
    """

    real: Array
    noise: Array
    generator_noise: Array
    real_labels: Array
    fake_labels: Array


class Phase(NamedTuple):
    """Result of one network's step: the loss, of shape (), and D's logits (B, 1), both before the update."""

    loss: Array
    logits: Array


class StepResult(NamedTuple):
    """Result of a training step: `METRICS` as one array (6,), and the fakes (B, S, S, 3) of its first phase."""

    metrics: Array
    fakes: Array


def build_gan(
    *,
    image_size: int = 64,
    width: int = 64,
    seed: int = 1337,
    init: str = "glorot",
    ema: float = 0.0,
    g_learning_rate: float = G_LEARNING_RATE,
    ops: Ops = LIBRARY,
    plain: bool = False,
    backend: Backend = NUMPY,
) -> GAN:
    """Both networks and their optimizers, ready for the first step.

    Parameters
    ----------
    image_size, width, seed, ops, plain
        As `minigan.gan.models.discriminator`.
    init : "glorot" or "original"
    ema : float
        Decay of the generator's average (`minigan.gan.average`), 0 for none.
    g_learning_rate : float
        Of the generator's Adam.
    backend : Backend
        Where the arrays are to live.

    Returns
    -------
    GAN
    """
    if plain:
        ops = replace(ops, plain=True)
    D = discriminator(image_size=image_size, width=width, seed=seed, init=init, ops=ops)
    new_generator = partial(generator, image_size=image_size, width=width, seed=seed, init=init, ops=ops)
    G = new_generator()
    return GAN(
        generator=G,
        discriminator=D,
        g_optimizer=Adam(G.params(), learning_rate=g_learning_rate, ops=ops),
        d_optimizer=Adam(D.params(), learning_rate=D_LEARNING_RATE, ops=ops),
        average=GeneratorAverage(new_generator(), ema) if ema else None,
    ).to(backend)


def draw_inputs(real: Array, seed: int, step: int, backend: Backend = NUMPY) -> StepInputs:
    """Noise and labels of one step, a pure function of (seed, step), together with a batch of real images.

    Parameters
    ----------
    real : numpy.ndarray of shape (B, S, S, 3)
        Pixels in [-1, 1], float32, on the host.
    seed : int
    step : int
    backend : Backend
        Where the arrays are to go.

    Returns
    -------
    StepInputs
    """
    B = len(real)
    noise = stream(seed, "noise", step).standard_normal((2, B, 1, 1, NOISE_SIZE), np.float32)
    soft = LABEL_NOISE * stream(seed, "labels", step).random((2, B, 1), np.float32)
    return StepInputs(*map(backend.asarray, (real, noise[0], noise[1], 1 - soft[0], soft[1])))


def train_step(gan: GAN, inputs: StepInputs, moves: Array | None = None) -> StepResult:
    """One complete step: fakes, D on reals, D on fakes, G through the frozen D.

    On NumPy it uses one core, and so does BLAS meanwhile: the numbers do not depend on how many cores there are. To
    train on several cores, `python -m minigan.train` divides the step among ranks (`minigan.gan.division`).

    Parameters
    ----------
    gan : GAN
        Changed in place.
    inputs : StepInputs
    moves : Array of shape (3, B, 2), optional
        How far the images that D sees are moved: the reals, the fakes, and the fakes of G's step
        (`minigan.gan.augment.draw_moves`). By default, as in the article, they are not moved.

    Returns
    -------
    StepResult
        Its fakes are as G drew them, not moved.

    Raises
    ------
    RuntimeError
        If another step of this GAN is running, beside this one or around it.
    """
    with using_workers(1), share.having(gan.share, gan.params()):
        ops = resolve(gan.generator.ops, inputs.noise)
        fakes = gan.generator.predict(inputs.noise, batch_size=len(inputs.noise))
        real, fake, move = inputs.real, fakes, None
        if moves is not None:
            move = moves[2]
            (real, _), (fake, _) = ops.translate_forward(real, moves[0]), ops.translate_forward(fake, moves[1])
        on_real = gan.discriminator_step(gan.discriminator, gan.d_optimizer, real, inputs.real_labels)
        on_fake = gan.discriminator_step(gan.discriminator, gan.d_optimizer, fake, inputs.fake_labels)
        on_generator = gan.generator_step(
            gan.generator, gan.discriminator, gan.g_optimizer, inputs.generator_noise, inputs.real_labels, move
        )
        if gan.average is not None:
            gan.average.update(gan.generator)
        losses = on_real.loss, on_fake.loss, on_generator.loss
        return StepResult(ops.step_metrics(losses, on_real.logits, on_fake.logits), fakes)


def discriminator_step(D: Sequential, optimizer: Adam, x: Array, labels: Array) -> Phase:
    """Teach D to give images x these labels: one Adam update from one batch.

    Parameters
    ----------
    D : Sequential
        Changed in place, with its moving statistics.
    optimizer : Adam
        Holds D's parameters.
    x : Array of shape (B, S, S, 3)
        All real or all fake; pixels in [-1, 1].
    labels : Array of shape (B, 1)

    Returns
    -------
    Phase
    """
    ops = resolve(D.ops, x)
    logits, caches = D.forward(x, training=True)
    loss, loss_cache = ops.bce_with_logits_forward(logits, labels)
    D.zero_grads()
    D.backward(ops.bce_with_logits_backward(1.0, loss_cache), caches, keep_caches=False)
    optimizer.step(D.grads())
    share.updated(D.params().values())  # what was prepared from the old values is out of date
    return Phase(loss, logits)


def generator_step(
    G: Sequential, D: Sequential, optimizer: Adam, noise: Array, labels: Array, move: Array | None = None
) -> Phase:
    """Teach G to make images to which D gives these labels. D does not change meanwhile.

    Parameters
    ----------
    G : Sequential
        Changed in place, with its moving statistics.
    D : Sequential
        Not changed. It normalises with the statistics of this batch of fakes, as in its own steps.
    optimizer : Adam
        Holds G's parameters.
    noise : Array of shape (B, 1, 1, 100)
    labels : Array of shape (B, 1)
        The labels of real images.
    move : Array of shape (B, 2), optional
        How far the fakes are moved before D sees them (`minigan.nn.ops.translate_forward`).

    Returns
    -------
    Phase
    """
    ops = resolve(G.ops, noise)
    fakes, g_caches = G.forward(noise, training=True)
    move_cache = None
    if move is not None:
        fakes, move_cache = ops.translate_forward(fakes, move)
    logits, d_caches = D.forward(fakes, training=True, update_stats=False)
    loss, loss_cache = ops.bce_with_logits_forward(logits, labels)
    dlogits = ops.bce_with_logits_backward(1.0, loss_cache)
    dfakes = D.backward(dlogits, d_caches, input_grad=True, param_grads=False, keep_caches=False)
    assert dfakes is not None
    if move_cache is not None:
        dfakes = ops.translate_backward(dfakes, move_cache)
    G.zero_grads()
    G.backward(dfakes, g_caches, keep_caches=False)
    optimizer.step(G.grads())
    share.updated(G.params().values())  # as in D's step
    return Phase(loss, logits)


def recorded_step(gan: GAN, complain: Callable[[str], object]) -> Callable[..., StepResult]:
    """`train_step` without its first argument, and faster where the backend can record and repeat it (`Backend`).

    The numbers are the same. Arrays and settings of the GAN, such as a learning rate, must not be replaced by others,
    and a result may be overwritten by the next step. If the step cannot be recorded, `complain` is called with one line
    of text, and all steps run as usual.
    """
    step = partial(train_step, gan)
    record = backend_of(*gan.generator.params().values()).record
    return step if record is None else record(step, (gan.d_optimizer, gan.g_optimizer), complain)
