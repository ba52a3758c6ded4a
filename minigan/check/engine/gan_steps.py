"""Training steps of a GAN: mistakes that no gradient check can see.

A student's step is run on minigan's own networks beside the right one, from equal weights, for two steps, and
everything that may have changed is compared: the parameters of both networks, their moving statistics, the loss that
comes back. If something differs, the step is compared with wrong steps that people write, and the one it equals is
named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.check.mistakes.hints import RESULTS
from minigan.check.outcomes import Finding
from minigan.gan.models import discriminator, generator
from minigan.gan.step import discriminator_step, generator_step
from minigan.nn.backend import Array
from minigan.nn.losses import bce_with_logits_backward, bce_with_logits_forward
from minigan.nn.network import Sequential
from minigan.nn.ops import sigmoid_forward

B, SIZE, WIDTH, STEPS = 5, 32, 2, 2
RATE = 0.05
TOLERANCE = 1e-5

Step = Callable[..., Any]


class PlainDescent:
    """The simplest optimizer: unlike Adam it shows whether a gradient has the right size."""

    def __init__(self, params: dict[str, Array]) -> None:
        self.params = params

    def step(self, grads: dict[str, Array]) -> None:
        """Move every parameter against its gradient."""
        for name, p in self.params.items():
            if name not in grads or grads[name].shape != p.shape:
                raise ValueError(
                    f"optimizer.step: {name} needs a gradient of shape {p.shape}; are these its network's?"
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
    pictures = rng.uniform(-1, 1, (STEPS + 1, B, SIZE, SIZE, 3)).astype(np.float32)
    labels = rng.uniform(0.05, 0.95, (STEPS + 1, B, 1)).astype(np.float32)
    for network, x in ((G, noise[-1]), (D, pictures[-1])):
        network.forward(x, training=True)
    learner = D if name == "discriminator_step" else G
    optimizer = PlainDescent(learner.params())
    inputs = pictures if name == "discriminator_step" else noise
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
        cause = "it draws random numbers of its own instead of using what it is given, or remembers something."
        return Finding("E23", "hygiene", f"two equal calls of {name} do different things", cause=cause, where=name)
    truth = make_world(name, seed)
    expected_losses = _run(name, lambda *a: right(*a).loss, truth)
    numbers = [float(np.asarray(loss)) for loss in losses]
    if _same(world.state(), truth.state()) and np.allclose(numbers, expected_losses, rtol=1e-4):
        return None
    for code, cause, wrong in _wrong_steps(name):
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
    """Parts that differ; biases before a batch normalization are passed over: their gradient is only rounding."""
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
    else:
        code, title = "E80", "loss and update are wrong"
    return Finding(code, "behaviour", f"{name}: {title}", evidence, hints=RESULTS[name], where=name)


# ---------------------------------------------------------------------------------------------------- steps gone wrong
def _wrong_steps(name: str) -> Iterator[tuple[str, str, Step]]:
    """Steps that people write: code, what is said, and the step."""
    yield (
        "E85",
        "gradients are not set to 0 before backward, so those of the step before are still in them.",
        _changed(zero=False),
    )
    yield "E83", "labels and 1 - labels are exchanged.", _changed(labels=lambda t: 1 - t)
    yield "E83", "the labels are ignored: 1 is used for all.", _changed(labels=np.ones_like)
    yield "E83", "the labels are ignored: 0 is used for all.", _changed(labels=np.zeros_like)
    yield "E83", "the labels are rounded.", _changed(labels=np.round)
    yield "E88", "the gradient has the wrong sign: the step goes uphill.", _changed(scale=-1)
    yield "E88", "the gradient is that of the sum over the batch, not of the mean.", _changed(scale=B)
    yield "E87", "the loss is measured again after the update.", _changed(late=True)
    yield "E87", "the loss is the sum over the batch, not the mean.", _changed(loss_scale=B)
    yield "E87", "the loss has the wrong sign.", _changed(loss_scale=-1)
    yield (
        "E86",
        "the network runs in inference mode: training=False uses the moving statistics.",
        _changed(training=False),
    )
    yield (
        "E84",
        "the moving statistics are not updated: update_stats=False belongs to the frozen network only.",
        _changed(update=False),
    )
    yield "E84", "forward is run twice, so the moving statistics are updated twice.", _changed(twice=True)
    yield (
        "E81",
        "nothing is updated: optimizer.step is not called, or all gradients are 0 when it is (zero_grads "
        "after backward?).",
        _changed(steps=0),
    )
    yield "E88", "optimizer.step is called twice.", _changed(steps=2)
    yield "E81", "backward is not called: the gradients are 0.", _changed(backwards=0)
    yield "E85", "gradients are set to 0 after backward: nothing is left for the optimizer.", _changed(zero_late=True)
    yield "E85", "the optimizer steps before backward: with the gradients of the step before.", _changed(early=True)
    yield "E85", "the optimizer steps first, with the gradients of the step before.", _changed(first=True)
    yield (
        "E80",
        "the sigmoid is taken twice: D gives logits, and the loss takes them as they are.",
        _changed(sigmoid=True),
    )
    yield "E88", "backward is run twice, and gradients add up.", _changed(backwards=2)
    yield (
        "E87",
        "loss and gradient are those of the sum over the batch, not of the mean.",
        _changed(scale=B, loss_scale=B),
    )
    if name == "generator_step":
        minimax = (
            "the loss is that of minimax, log(1 - D(G(z))), which saturates while D wins; it asks for real labels."
        )
        for sign in (1, -1):
            yield "E83", minimax, _changed(labels=np.zeros_like, scale=-1, loss_scale=sign)
            yield "E83", minimax, _changed(labels=lambda t: 1 - t, scale=-1, loss_scale=sign)
        yield (
            "E86",
            "the pictures come from inference mode, the caches from training mode: they do not belong together.",
            _changed(mixed=True),
        )
        yield (
            "E86",
            "D runs in inference mode; frozen means no update, not moving statistics.",
            _changed(d_training=False),
        )
        yield "E84", "D's moving statistics are updated: D's forward needs update_stats=False.", _changed(d_update=True)
        yield (
            "E84",
            "D's moving statistics are updated and G's are not: update_stats=False is at the wrong forward.",
            _changed(d_update=True, update=False),
        )
        yield "E86", "both networks run in inference mode.", _changed(training=False, d_training=False)
        yield (
            "E86",
            "G runs in inference mode, and D's moving statistics are updated.",
            _changed(training=False, d_update=True),
        )
        yield (
            "E83",
            "labels and 1 - labels are exchanged, and D's moving statistics are updated.",
            _changed(labels=lambda t: 1 - t, d_update=True),
        )


@dataclass(frozen=True)
class Change:
    """What is different in a wrong step; by default nothing is.

    Parameters
    ----------
    first, early : bool
        The optimizer steps before everything, or before backward.
    twice, late : bool
        Forward is run twice; the loss is measured after the update.
    training, update : bool
        Mode of the learning network's forward, and whether its moving statistics move.
    labels : callable
        What is done to the labels.
    scale, loss_scale : float
        Factors of the gradient and of the loss that is returned.
    sigmoid : bool
        Whether the logits go through a sigmoid first.
    zero, zero_late : bool
        Whether gradients are set to 0 before backward, and after it.
    backwards, steps : int
        How often backward and the optimizer's step are run.
    mixed : bool
        Whether G's pictures come from inference mode.
    d_training, d_update : bool
        Mode of D's forward in G's step, and whether D's moving statistics move.
    """

    first: bool = False
    early: bool = False
    twice: bool = False
    late: bool = False
    training: bool = True
    update: bool = True
    labels: Callable[[Array], Array] = lambda target: target
    scale: float = 1
    loss_scale: float = 1
    sigmoid: bool = False
    zero: bool = True
    zero_late: bool = False
    backwards: int = 1
    steps: int = 1
    mixed: bool = False
    d_training: bool = True
    d_update: bool = False


def _changed(**what: Any) -> Step:
    """D's or G's step, whichever the arguments are for, with something changed."""
    change = Change(**what)

    def wrong(*arguments: Any) -> Any:
        *networks, optimizer, x, target = arguments
        learner = networks[0]
        if change.first:
            optimizer.step(learner.grads())
        if change.twice:
            learner.forward(x, training=True)
        logits, go_back = _look(change, networks, x)
        logits = sigmoid_forward(logits)[0] if change.sigmoid else logits
        loss, cache = bce_with_logits_forward(logits, change.labels(target))
        if change.early:
            optimizer.step(learner.grads())
        if change.zero:
            learner.zero_grads()
        for _ in range(change.backwards):
            go_back(bce_with_logits_backward(change.scale, cache))
        if change.zero_late:
            learner.zero_grads()
        for _ in range(0 if change.first or change.early else change.steps):
            optimizer.step(learner.grads())
        if change.late:
            logits, _ = _look(Change(update=False), networks, x)
            loss, _ = bce_with_logits_forward(logits, change.labels(target))
        return change.loss_scale * loss

    return wrong


def _look(change: Change, networks: list[Sequential], x: Array) -> tuple[Array, Callable[[Array], Any]]:
    """D's logits, of pictures x or of what G makes of noise x, and the way back to the learning network's gradients."""
    y, caches = networks[0].forward(x, training=change.training, update_stats=change.update)
    if len(networks) == 1:
        return y, lambda dlogits: networks[0].backward(dlogits, caches)
    G, D = networks
    fakes = G.predict(x) if change.mixed else y
    logits, d_caches = D.forward(fakes, training=change.d_training, update_stats=change.d_update)

    def go_back(dlogits: Array) -> None:
        dfakes = D.backward(dlogits, d_caches, input_grad=True, param_grads=False)
        assert dfakes is not None
        G.backward(dfakes, caches)

    return logits, go_back
