"""Training steps of a GAN: mistakes that no gradient check can see.

A student's step and the right one run on minigan's own networks, from equal weights, two times each. Then everything
that may have changed is compared: the parameters of both networks, their moving statistics, the losses returned. A
student's step may run in another process, on networks that are built there; what is compared are the arrays that it
leaves behind. If something differs, the step is compared with wrong steps that people write
(`minigan.check.mistakes.wrong_steps`), and the finding names the one that it equals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.check.calls.contract import without_large_integers
from minigan.check.calls.worlds import B, World, parts_of
from minigan.check.mistakes.hints import RESULTS
from minigan.check.mistakes.wrong_steps import Step, wrong_steps
from minigan.check.outcomes import Finding
from minigan.gan.step import discriminator_step, generator_step
from minigan.nn.backend import Array

Parts = dict[str, dict[str, Array]]
Play = Callable[[dict[str, Array]], tuple[list[Any], dict[str, Any]]]

TOLERANCE = 1e-5
BEFORE_BATCH_NORM = 1e-3
"""For biases before a batch normalization: their gradient is only rounding."""


def check_step(name: str, play: Play, rng: np.random.Generator) -> Finding | None:
    """Compare a student's step with the right one.

    Parameters
    ----------
    name : str
        "discriminator_step" or "generator_step".
    play : callable
        Lets the student's step run in the world that a dict of arrays describes (`World.arrays`); returns the losses,
        and the arrays afterwards.
    rng : numpy.random.Generator

    Returns
    -------
    Finding or None
    """
    seed = int(rng.integers(2**31))
    right: Step = {"discriminator_step": discriminator_step, "generator_step": generator_step}[name]  # type: ignore[assignment]
    start = World.new(name, seed)
    played = [_played(name, play, World.new(name, seed)) for _ in range(2)]
    for one in played:
        if isinstance(one, Finding):
            return one
    (losses, after), (again, after_again) = played  # type: ignore[misc]
    if not (_same(after, after_again) and np.allclose(losses, again)):
        cause = "it draws random numbers of its own instead of using what it is given, or remembers an earlier call."
        return Finding("E23", "hygiene", f"two equal calls of {name} do different things", cause=cause, where=name)
    truth = World.new(name, seed)
    expected = _run(truth, lambda *a: right(*a).loss)
    if _same(after, truth.state()) and np.allclose(losses, expected, rtol=1e-4):
        return None
    for code, cause, wrong in wrong_steps(name, B):
        other = World.new(name, seed)
        other_losses = _run(other, wrong)
        if _same(after, other.state()) and np.allclose(losses, other_losses, rtol=1e-4):
            return Finding(
                code,
                "behaviour",
                f"{name} does not do what it should",
                _told(losses, expected, after, truth.state()),
                cause,
                RESULTS[name],
                where=name,
            )
    return _describe(name, start.state(), after, truth.state(), losses, expected)


def _run(world: World, step: Step) -> list[float]:
    """The losses of a step that changes this world."""
    with np.errstate(all="ignore"):
        return [float(step(*arguments)) for arguments in world.calls()]


def _played(name: str, play: Play, world: World) -> tuple[list[float], Parts] | Finding:
    """A student's losses and the state afterwards, or what is wrong with their form."""
    start = world.arrays()
    losses, arrays = play({key: a.copy() for key, a in start.items()})
    for loss in losses:
        problem = _bad_loss(name, loss)
        if problem is not None:
            return problem
    for key, was in start.items():
        now = arrays.get(key)
        if not isinstance(now, np.ndarray) or (now.shape, now.dtype) != (was.shape, was.dtype):
            got = f"of shape {now.shape} and dtype {now.dtype}" if isinstance(now, np.ndarray) else "gone"
            title = f"{name}: afterwards {key} is {got}; it was of shape {was.shape} and dtype {was.dtype}"
            return Finding("E80", "behaviour", title, hints=RESULTS[name], where=name)
    return [float(np.asarray(loss)) for loss in losses], parts_of(arrays)


def _bad_loss(name: str, loss: Any) -> Finding | None:
    if loss is None or isinstance(loss, tuple | list | dict):
        got = "None" if loss is None else f"a {type(loss).__name__} of {len(loss)}"
        return Finding("E11", "contract", f"{name} must return the loss alone, got {got}", where=name)
    loss = without_large_integers(loss)
    if not isinstance(loss, int | float | np.number | np.ndarray) or np.asarray(loss).dtype.kind not in "biufc":
        return Finding("E12", "contract", f"{name} must return one number, got a {type(loss).__name__}", where=name)
    if np.shape(loss) != ():
        return Finding("E13", "contract", f"{name} must return one number, got shape {np.shape(loss)}", where=name)
    if np.iscomplexobj(loss):
        return Finding("E12", "contract", f"{name} must return one number, got {loss}, which is complex", where=name)
    if not np.isfinite(loss):
        return Finding("E15", "contract", f"{name}: the loss is {float(loss)}", where=name)
    return None


def _same(a: Parts, b: Parts) -> bool:
    return not _different_parts(a, b)


def _different_parts(a: Parts, b: Parts) -> list[str]:
    """Parts that differ; NaN differs from everything."""
    out = []
    for part, arrays in a.items():
        for name, array in arrays.items():
            before_norm = name.endswith(".bias") and _feeds_batch_norm(name, arrays)
            if not np.abs(array - b[part][name]).max() <= (BEFORE_BATCH_NORM if before_norm else TOLERANCE):
                out.append(part)
                break
    return out


def _feeds_batch_norm(name: str, arrays: dict[str, Array]) -> bool:
    return f"{int(name.split('.')[0]) + 1}.gamma" in arrays


def _told(losses: list[float], expected: list[float], after: Parts, right: Parts) -> tuple[str, ...]:
    parts = _different_parts(after, right)
    return (
        "losses of two steps: yours "
        + ", ".join(f"{v:.5f}" for v in losses)
        + "; right "
        + ", ".join(f"{v:.5f}" for v in expected),
        "differ after two steps: " + (", ".join(parts) or "nothing but the losses"),
    )


def _describe(
    name: str, before: Parts, after: Parts, right: Parts, losses: list[float], expected: list[float]
) -> Finding:
    """No known mistake: say what is different."""
    learner, other = ("D", "G") if name == "discriminator_step" else ("G", "D")
    changed, should = set(_different_parts(before, after)), set(_different_parts(before, right))
    evidence = _told(losses, expected, after, right)
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
