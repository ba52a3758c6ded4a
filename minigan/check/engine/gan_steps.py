"""Training steps of a GAN: mistakes that no gradient check can see.

A student's step and the right one run on minigan's own networks, from equal weights, two times each. Then everything
that may have changed is compared: the parameters of both networks, their moving statistics, the losses returned. If
something differs, the step is compared with wrong steps that people write (`minigan.check.mistakes.wrong_steps`), and
the finding names the one that it equals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.check.mistakes.hints import RESULTS
from minigan.check.mistakes.wrong_steps import Step, wrong_steps
from minigan.check.outcomes import Finding
from minigan.gan.models import discriminator, generator
from minigan.gan.step import discriminator_step, generator_step
from minigan.nn.backend import Array
from minigan.nn.network import Sequential

B, SIZE, WIDTH, STEPS = 5, 32, 2, 2
RATE = 0.05
TOLERANCE = 1e-5


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
    """Both networks, an optimizer, and the inputs of each step, always from the same seed."""

    G: Sequential
    D: Sequential
    optimizer: PlainDescent
    inputs: list[Array]
    labels: list[Array]
    G_learns: bool

    def state(self) -> dict[str, dict[str, Array]]:
        """Copies of all that a step can change, by part."""
        parts = {
            "G's parameters": self.G.params(),
            "G's moving statistics": self.G.buffers(),
            "D's parameters": self.D.params(),
            "D's moving statistics": self.D.buffers(),
        }
        return {part: {name: a.copy() for name, a in arrays.items()} for part, arrays in parts.items()}


def make_world(name: str, seed: int) -> World:
    """A small GAN for a step, after a little training so that nothing is at its initial value."""
    G = generator(image_size=SIZE, width=WIDTH, seed=seed)
    D = discriminator(image_size=SIZE, width=WIDTH, seed=seed)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((STEPS + 1, B, 1, 1, 100)).astype(np.float32)
    images = rng.uniform(-1, 1, (STEPS + 1, B, SIZE, SIZE, 3)).astype(np.float32)
    labels = rng.uniform(0.05, 0.95, (STEPS + 1, B, 1)).astype(np.float32)
    for network, x in ((G, noise[-1]), (D, images[-1])):
        network.forward(x, training=True)
    learner = D if name == "discriminator_step" else G
    optimizer = PlainDescent(learner.params())
    inputs = images if name == "discriminator_step" else noise
    return World(G, D, optimizer, list(inputs[:STEPS]), list(labels[:STEPS]), name == "generator_step")


def check_step(name: str, step: Step, rng: np.random.Generator) -> Finding | None:
    """Compare a student's step with the right one.

    Parameters
    ----------
    name : str
        "discriminator_step" or "generator_step".
    step : callable
        As the exercise asks for.
    rng : numpy.random.Generator

    Returns
    -------
    Finding or None
    """
    seed = int(rng.integers(2**31))
    right: Step = {"discriminator_step": discriminator_step, "generator_step": generator_step}[name]  # type: ignore[assignment]
    world = make_world(name, seed)
    before = world.state()
    losses, expected_losses = _run(name, step, world), None
    for loss in losses:
        problem = _bad_loss(name, loss)
        if problem is not None:
            return problem
    twin = make_world(name, seed)
    again = _run(name, step, twin)
    if not (_same(world.state(), twin.state()) and np.allclose([float(v) for v in losses], [float(v) for v in again])):
        cause = "it draws random numbers of its own instead of using what it is given, or remembers an earlier call."
        return Finding("E23", "hygiene", f"two equal calls of {name} do different things", cause=cause, where=name)
    truth = make_world(name, seed)
    expected_losses = _run(name, lambda *a: right(*a).loss, truth)
    numbers = [float(np.asarray(loss)) for loss in losses]
    if _same(world.state(), truth.state()) and np.allclose(numbers, expected_losses, rtol=1e-4):
        return None
    for code, cause, wrong in wrong_steps(name, B):
        other = make_world(name, seed)
        other_losses = _run(name, wrong, other)
        if _same(world.state(), other.state()) and np.allclose(numbers, other_losses, rtol=1e-4):
            return Finding(
                code,
                "behaviour",
                f"{name} does not do what it should",
                _told(numbers, expected_losses, world, truth),
                cause,
                RESULTS[name],
                where=name,
            )
    return _describe(name, before, world, truth, numbers, expected_losses)


def _run(name: str, step: Step, world: World) -> list[Any]:
    losses = []
    with np.errstate(all="ignore"):
        for x, labels in zip(world.inputs, world.labels, strict=True):
            if name == "discriminator_step":
                losses.append(step(world.D, world.optimizer, x.copy(), labels.copy()))
            else:
                losses.append(step(world.G, world.D, world.optimizer, x.copy(), labels.copy()))
    return losses


def _bad_loss(name: str, loss: Any) -> Finding | None:
    if loss is None or isinstance(loss, tuple | list | dict):
        got = "None" if loss is None else f"a {type(loss).__name__} of {len(loss)}"
        return Finding("E11", "contract", f"{name} must return the loss alone, got {got}", where=name)
    if not isinstance(loss, int | float | np.number | np.ndarray):
        return Finding("E12", "contract", f"{name} must return one number, got a {type(loss).__name__}", where=name)
    if np.shape(loss) != ():
        return Finding("E13", "contract", f"{name} must return one number, got shape {np.shape(loss)}", where=name)
    if not np.isfinite(loss):
        return Finding("E15", "contract", f"{name}: the loss is {float(loss)}", where=name)
    return None


def _same(a: dict[str, dict[str, Array]], b: dict[str, dict[str, Array]]) -> bool:
    return not _different_parts(a, b)


def _different_parts(a: dict[str, dict[str, Array]], b: dict[str, dict[str, Array]]) -> list[str]:
    """Parts that differ. Biases before a batch normalization are left out: their gradient is only rounding."""
    out = []
    for part, arrays in a.items():
        for name, array in arrays.items():
            if name.endswith(".bias") and _feeds_batch_norm(part, name, arrays):
                continue
            if np.abs(array - b[part][name]).max() > TOLERANCE:
                out.append(part)
                break
    return out


def _feeds_batch_norm(part: str, name: str, arrays: dict[str, Array]) -> bool:
    return f"{int(name.split('.')[0]) + 1}.gamma" in arrays


def _told(losses: list[float], expected: list[float], world: World, truth: World) -> tuple[str, ...]:
    parts = _different_parts(world.state(), truth.state())
    return (
        "losses of two steps: yours "
        + ", ".join(f"{v:.5f}" for v in losses)
        + "; right "
        + ", ".join(f"{v:.5f}" for v in expected),
        "differ after two steps: " + (", ".join(parts) or "nothing but the losses"),
    )


def _describe(
    name: str,
    before: dict[str, dict[str, Array]],
    world: World,
    truth: World,
    losses: list[float],
    expected: list[float],
) -> Finding:
    """No known mistake: say what is different."""
    after, right = world.state(), truth.state()
    learner, other = ("D", "G") if name == "discriminator_step" else ("G", "D")
    changed, should = set(_different_parts(before, after)), set(_different_parts(before, right))
    evidence = _told(losses, expected, world, truth)
    if f"{learner}'s parameters" not in changed:
        code, title = "E81", f"{learner}'s parameters do not change"
    elif f"{other}'s parameters" in changed:
        code, title = "E82", f"{other}'s parameters change; only {learner} may learn here"
    elif {p for p in changed ^ should if "moving" in p}:
        part = min(p for p in changed ^ should if "moving" in p)
        code, title = "E84", f"{part} {'change, and must not' if part in changed else 'do not change, and should'}"
    elif not np.allclose(losses, expected, rtol=1e-4) and _same(after, right):
        code, title = "E87", "the loss that is returned is not the one before the update"
    elif np.isclose(losses[0], expected[0], rtol=1e-4):
        code, title = "E88", "the loss is right, but the update is not"
    elif not {p for p in _different_parts(after, right) if "parameters" in p}:
        code, title = "E87", "the update is right, but the loss and the moving statistics are not"
    else:
        code, title = "E80", "loss and update are wrong"
    return Finding(code, "behaviour", f"{name}: {title}", evidence, hints=RESULTS[name], where=name)
