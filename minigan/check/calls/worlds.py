"""A small GAN in which a training step is tried: two networks, a plain optimizer, and the inputs of two steps.

A `World` can be turned into a dict of arrays and back. So a student's step can run in another process, on networks that
are built there, and is judged here by the parameters that it leaves behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.gan.models import discriminator, generator
from minigan.nn.backend import Array
from minigan.nn.network import Sequential

B, SIZE, WIDTH, STEPS = 5, 32, 2, 2
RATE = 0.05


class PlainDescent:
    """The simplest optimizer. Unlike Adam, it shows whether a gradient has the right size."""

    def __init__(self, params: dict[str, Array]) -> None:
        self.params = params

    def step(self, grads: dict[str, Array]) -> None:
        """Move every parameter against its gradient."""
        for name, p in self.params.items():
            if name not in grads or grads[name].shape != p.shape:
                raise ValueError(
                    f"optimizer.step: {name} needs a gradient of shape {p.shape}; are these gradients of its network?"
                )
            p -= RATE * grads[name]


@dataclass
class World:
    """Both networks, an optimizer, and the inputs of each step."""

    G: Sequential
    D: Sequential
    optimizer: PlainDescent
    inputs: list[Array]
    labels: list[Array]
    G_learns: bool

    @classmethod
    def new(cls, name: str, seed: int) -> World:
        """A small GAN for a step, after a little training so that nothing is at its initial value.

        Parameters
        ----------
        name : str
            "discriminator_step" or "generator_step".
        seed : int
            The same seed always gives the same world.

        Returns
        -------
        World
        """
        G = generator(image_size=SIZE, width=WIDTH, seed=seed)
        D = discriminator(image_size=SIZE, width=WIDTH, seed=seed)
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((STEPS + 1, B, 1, 1, 100)).astype(np.float32)
        images = rng.uniform(-1, 1, (STEPS + 1, B, SIZE, SIZE, 3)).astype(np.float32)
        labels = rng.uniform(0.05, 0.95, (STEPS + 1, B, 1)).astype(np.float32)
        for network, x in ((G, noise[-1]), (D, images[-1])):
            network.forward(x, training=True)
        inputs = images if name == "discriminator_step" else noise
        return cls._with(name, G, D, list(inputs[:STEPS]), list(labels[:STEPS]))

    @classmethod
    def of(cls, name: str, arrays: Mapping[str, Array]) -> World:
        """The world that `arrays` has described."""
        G, D = (network(image_size=SIZE, width=WIDTH, seed=0) for network in (generator, discriminator))
        for letter, network in (("G", G), ("D", D)):
            network.load_state({key[2:]: a for key, a in arrays.items() if key.startswith(f"{letter}/")})
        inputs, labels = ([arrays[f"{what}/{k}"] for k in range(STEPS)] for what in ("inputs", "labels"))
        return cls._with(name, G, D, inputs, labels)

    @classmethod
    def _with(cls, name: str, G: Sequential, D: Sequential, inputs: list[Array], labels: list[Array]) -> World:
        G_learns = name == "generator_step"
        return cls(G, D, PlainDescent((G if G_learns else D).params()), inputs, labels, G_learns)

    def calls(self) -> Iterator[tuple[Any, ...]]:
        """The arguments of one step after the other; inputs are copies."""
        networks = (self.G, self.D) if self.G_learns else (self.D,)
        for x, labels in zip(self.inputs, self.labels, strict=True):
            yield (*networks, self.optimizer, x.copy(), labels.copy())

    def arrays(self) -> dict[str, Array]:
        """All that makes up this world now: "G/0.kernel" and so on, "inputs/0", "labels/0"."""
        return {
            **{f"G/{path}": a for path, a in self.G.state().items()},
            **{f"D/{path}": a for path, a in self.D.state().items()},
            **{f"inputs/{k}": a for k, a in enumerate(self.inputs)},
            **{f"labels/{k}": a for k, a in enumerate(self.labels)},
        }

    def state(self) -> dict[str, dict[str, Array]]:
        """Copies of all that a step can change, by part."""
        return parts_of(self.arrays())


def parts_of(arrays: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    """Copies of the networks' arrays in `World.arrays`, by part: parameters and moving statistics of each."""
    parts: dict[str, dict[str, Array]] = {}
    for letter in "GD":
        for part in (f"{letter}'s parameters", f"{letter}'s moving statistics"):
            parts[part] = {}
        for key, a in arrays.items():
            if key.startswith(f"{letter}/"):
                part = "moving statistics" if _is_statistic(key) else "parameters"
                parts[f"{letter}'s {part}"][key[2:]] = np.array(a, copy=True)
    return parts


def _is_statistic(key: str) -> bool:
    return key.rpartition(".")[2] not in ("kernel", "bias", "gamma", "beta")
