"""A GAN in the plane: lesson 6's world, small enough to watch.

The real "images" are points of the plane, drawn from eight small Gaussians on a ring; the generator turns noise into
points, the discriminator gives every place of the plane a logit. Both are three Dense layers, so that a thousand rounds
of training take a few seconds on one processor core, and everything there is to see fits into one picture.

`play` trains and keeps what the pictures need: the fakes and the discriminator's logits on a grid at some moments, and
the losses and the share of fakes at every mode, round by round. The ring of Gaussians is that of L. Metz et al.,
"Unrolled generative adversarial networks", arXiv:1611.02163, with wider Gaussians.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan.gan import step as gan
from minigan.nn import rng
from minigan.nn.backend import Array
from minigan.nn.initializers import GlorotUniform
from minigan.nn.layers import Dense, Layer, LeakyReLU
from minigan.nn.network import Sequential
from minigan.nn.ops import LIBRARY, Ops, sigmoid_forward
from minigan.nn.optimizers import Adam
from minigan.system.workers import using_workers

MODES = 8
RADIUS = 2.0
SIGMA = 0.15
"""Standard deviation of each Gaussian; neighbouring modes lie ten standard deviations apart."""
BATCH = 128
NOISE_SIZE = 8
HIDDEN = 64
LEARNING_RATE = 2e-3
PAGE = Path(__file__).resolve().parent / "play" / "gan-in-the-plane.html"
"""The same game as a page for the browser, which trains there; tests compare its numbers with this module's."""
EXTENT = 3.0
"""Pictures show the square from -EXTENT to EXTENT."""
GRID = 64
_DRAWN = 500


def ring_centres() -> Array:
    """Where the modes are, (8, 2), anticlockwise from the right."""
    angle = 2 * math.pi * np.arange(MODES) / MODES
    return RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def draw_ring(generator: np.random.Generator, N: int) -> Array:
    """N real points, (N, 2) in float32: a mode picked at random, and a Gaussian around it."""
    points = ring_centres()[generator.integers(MODES, size=N)] + SIGMA * generator.standard_normal((N, 2))
    return points.astype(np.float32)


def draw_noise(generator: np.random.Generator, N: int) -> Array:
    """What the generator starts from, (N, 8) in float32, standard normal."""
    return generator.standard_normal((N, NOISE_SIZE), np.float32)


def networks(seed: int, ops: Ops = LIBRARY) -> tuple[Sequential, Sequential]:
    """Generator (N, 8) -> (N, 2) and discriminator (N, 2) -> (N, 1), of Dense and LeakyReLU layers.

    Parameters
    ----------
    seed : int
        Seed of the first weights.
    ops : Ops
        The functions the layers call: yours, if you kept some.

    Returns
    -------
    G, D : Sequential
    """
    G = _dense_network((NOISE_SIZE, HIDDEN, HIDDEN, 2), GlorotUniform(seed, first=1000), ops, "generator")
    D = _dense_network((2, HIDDEN, HIDDEN, 1), GlorotUniform(seed), ops, "discriminator")
    return G, D


def _dense_network(widths: Sequence[int], kernels: GlorotUniform, ops: Ops, name: str) -> Sequential:
    layers: list[Layer] = []
    for channels, units in pairwise(widths):
        layers += [Dense(channels, units, kernel_initializer=kernels, ops=ops), LeakyReLU(0.2, ops=ops)]
    return Sequential(layers[:-1], input_shape=(widths[0],), name=name)


class Stepper:
    """Lesson 5's pure function made into an optimizer: it keeps m, v and t for every parameter of a network.

    Parameters
    ----------
    adam_step : callable
        ``adam_step(p, g, m, v, t, lr, beta1, beta2, eps) -> p, m, v``.
    params : mapping of str to Array
        Updated in place.
    learning_rate, beta_1 : float
    """

    def __init__(
        self, adam_step: Callable[..., Any], params: Mapping[str, Array], *, learning_rate: float, beta_1: float = 0.5
    ) -> None:
        self.adam_step, self.params = adam_step, dict(params)
        self.learning_rate, self.beta_1 = learning_rate, beta_1
        self.t = 0
        self.moments = {name: (np.zeros_like(p), np.zeros_like(p)) for name, p in self.params.items()}

    def step(self, grads: Mapping[str, Array]) -> None:
        """Update every parameter once."""
        self.t += 1
        for name, p in self.params.items():
            m, v = self.moments[name]
            new, m, v = self.adam_step(p, grads[name], m, v, self.t, self.learning_rate, self.beta_1, 0.999, 1e-7)
            p[...] = new
            self.moments[name] = m, v


def discriminator_step(D: Sequential, optimizer: Adam, x: Array, labels: Array) -> Array:
    """The step of minigan itself, returning the loss alone, as the exercise asks for."""
    return gan.discriminator_step(D, optimizer, x, labels).loss


def generator_step(G: Sequential, D: Sequential, optimizer: Adam, noise: Array, labels: Array) -> Array:
    """The step of minigan itself, returning the loss alone, as the exercise asks for."""
    return gan.generator_step(G, D, optimizer, noise, labels).loss


class Frame(NamedTuple):
    """One moment of a run: fakes (500, 2), and D's logits (64, 64) on `grid`."""

    round: int
    fakes: Array
    logits: Array


@dataclass
class Run:
    """What `play` has seen.

    Parameters
    ----------
    G, D : Sequential
        As they are at the end.
    frames : list of Frame
    losses : list of (float, float, float)
        D's on real points, D's on fakes and G's, for every round, before the update.
    shares : list of Array
        For every round, the share of 128 fakes within three sigma of each of the eight modes.
    """

    G: Sequential
    D: Sequential
    frames: list[Frame] = field(default_factory=list)
    losses: list[tuple[float, float, float]] = field(default_factory=list)
    shares: list[Array] = field(default_factory=list)


def grid() -> Array:
    """The places at which frames keep D's logits, (64 * 64, 2) in float32, row by row from the bottom."""
    ticks = np.linspace(-EXTENT, EXTENT, GRID)
    return np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2).astype(np.float32)


def mode_shares(points: Array) -> Array:
    """Share of the points within three sigma of each mode, (8,)."""
    distance = np.linalg.norm(points[:, None] - ring_centres(), axis=2)  # (N, 8)
    return (distance < 3 * SIGMA).mean(axis=0)


def pulls(D: Sequential, places: Array, *, saturating: bool = False) -> Array:
    """Where each place is drawn to: minus the gradient of G's loss for it, as if it were the only fake, (N, 2).

    Parameters
    ----------
    D : Sequential
    places : Array of shape (N, 2)
    saturating : bool
        Whether G's loss is ln(1 - D) instead of -ln D.

    Returns
    -------
    Array of shape (N, 2)
    """
    z, caches = D.forward(places, training=True, update_stats=False)
    d = sigmoid_forward(z)[0]
    gradient = D.backward(-d if saturating else d - 1, caches, input_grad=True, param_grads=False)
    assert gradient is not None
    return -gradient


def play(
    round_of_training: Callable[..., tuple[Any, Any, Any]],
    *,
    rounds: int,
    seed: int = 1337,
    d_steps: int = 1,
    g_steps: int = 1,
    d_learning_rate: float = LEARNING_RATE,
    g_learning_rate: float = LEARNING_RATE,
    beta_1: float = 0.5,
    frames: int | Sequence[int] = 8,
    ops: Ops = LIBRARY,
    adam_step: Callable[..., Any] | None = None,
    steps: tuple[Callable[..., Any], Callable[..., Any]] = (discriminator_step, generator_step),
) -> Run:
    """Train a GAN in the plane and watch it.

    Parameters
    ----------
    round_of_training : callable
        ``f(d_step, g_step, G, draw_real, draw_noise, d_steps, g_steps) -> d_real, d_fake, g``: `gan_round` of lesson 6.
    rounds : int
    seed : int
        Seed of weights, points and noise.
    d_steps, g_steps : int
        Steps of each network in a round.
    d_learning_rate, g_learning_rate, beta_1 : float
        Adam's settings.
    frames : int or sequence of int
        Moments to keep: how many, evenly spaced from the beginning to the end, or after which rounds.
    ops : Ops
        The functions the layers call.
    adam_step : callable or None
        Lesson 5's function; minigan's own Adam without it.
    steps : pair of callables
        ``discriminator_step`` and ``generator_step``.

    Returns
    -------
    Run
    """
    run = Run(*networks(seed, ops))
    discriminator_step, generator_step = steps
    optimizers = []
    for network, rate in ((run.D, d_learning_rate), (run.G, g_learning_rate)):
        if adam_step is None:
            optimizers.append(Adam(network.params(), learning_rate=rate, beta_1=beta_1))
        else:
            optimizers.append(Stepper(adam_step, network.params(), learning_rate=rate, beta_1=beta_1))
    real, noise = rng.stream(seed, "data"), rng.stream(seed, "noise")
    watched = draw_noise(rng.stream(seed, "pictures"), _DRAWN)
    moments = set(np.linspace(0, rounds, frames).astype(int).tolist() if isinstance(frames, int) else frames)
    places = grid()
    with using_workers(1):  # one thread is fastest for matrices as small as these, above all on a busy machine
        for k in range(rounds + 1):
            if k in moments:
                logits = run.D.predict(places, batch_size=len(places))
                run.frames.append(Frame(k, run.G.predict(watched, batch_size=_DRAWN), logits.reshape(GRID, GRID)))
            if k == rounds:
                break
            losses = round_of_training(
                lambda x, labels: discriminator_step(run.D, optimizers[0], x, labels),
                lambda z, labels: generator_step(run.G, run.D, optimizers[1], z, labels),
                run.G,
                lambda: draw_ring(real, BATCH),
                lambda: draw_noise(noise, BATCH),
                d_steps,
                g_steps,
            )
            run.losses.append(tuple(float(loss) for loss in losses))
            run.shares.append(mode_shares(run.G.predict(watched[:BATCH], batch_size=BATCH)))
    return run
