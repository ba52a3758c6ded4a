"""A student's functions as a network calls them: for training, after they have passed their check.

The checker calls a function in a certain way: arrays in the student's layout and in one piece, settings by name, counts
as whole numbers. A network calls it in minigan's way. `for_network` stands between the two, so that a function does in
a network what it did in the check. The layout is converted by the same functions as there
(`minigan.check.exercise_table`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from minigan.check.calls.student_functions import as_tuple
from minigan.check.exercise_table import (
    EXERCISES,
    Exercise,
    flat_from_student,
    flat_to_student,
    from_student,
    to_student,
)
from minigan.gan.step import Phase
from minigan.nn import share
from minigan.nn.backend import Array

Function: TypeAlias = Callable[..., Any]


def for_network(name: str, functions: Mapping[str, Function], layout: str = "NHWC") -> dict[str, Function]:
    """The functions of one exercise, to be called as minigan calls its own.

    Parameters
    ----------
    name : str
        A key of `minigan.check.exercise_table.EXERCISES`.
    functions : mapping of str to callable
        All of the exercise's, by name; they have passed its check.
    layout : "NHWC" or "NCHW"
        In which they are written.

    Returns
    -------
    dict of str to callable
        Entries of `minigan.nn.ops.Ops`, or a step for `minigan.gan.step.GAN`; none for an exercise such as "sgd", for
        which neither a network nor its training has a place.
    """
    exercise = EXERCISES[name]
    given = [functions[function] for function in exercise.functions]
    if exercise.kind == "pair":
        return dict(zip(exercise.functions, _pair(exercise, layout, *given), strict=True))
    if name in ("batch_norm_inference", "moving_average"):
        return {name: _rule(exercise, layout, *given)}
    rest = {"adam": _adam, "discriminator_step": _discriminator_step, "generator_step": _generator_step}
    return rest[name](*given) if name in rest else {}


# --------------------------------------------------------------------------------------------------------------- layers
def _pair(exercise: Exercise, layout: str, forward: Function, backward: Function) -> tuple[Function, Function]:
    positional, by_name = _arguments(exercise)
    roles = exercise.roles

    def run_forward(*arguments: Any, **settings: Any) -> tuple[Any, Any]:
        arrays, settings = arguments[: len(positional)], {**_named(arguments, positional, by_name), **settings}
        given = [_to_student(a, roles.get(name), layout) for name, a in zip(positional, arrays, strict=True)]
        y, cache = forward(*given, **settings)
        shapes = [a.shape for a in arrays]
        if exercise.scalar:
            y = np.asarray(y, arrays[0].dtype)
        elif roles.get("y") == "flat":
            y = flat_from_student(y, shapes[0], layout)
        else:
            y = from_student(y, roles.get("y"), layout)
        return y, (cache, shapes)

    def run_backward(dy: Any, kept: Any) -> Any:
        cache, shapes = kept
        if exercise.scalar:
            dy = float(dy)
        elif roles.get("y") == "flat":
            dy = dy if layout == "NHWC" else flat_to_student(dy, shapes[0], layout)
        else:
            dy = _to_student(dy, roles.get("y"), layout)
        wanted = list(exercise.gradients.values())
        result = backward(dy, cache)
        gradients = [
            from_student(g, roles.get(argument), layout)
            for argument, g in zip(wanted, as_tuple(result) if len(wanted) == 1 else result, strict=True)
        ]
        for label, argument, g in zip(exercise.gradients, wanted, gradients, strict=True):
            shape = shapes[positional.index(argument)]
            if np.shape(g) != shape:
                raise ValueError(
                    f"{exercise.functions[1]}: {label} must have the shape of {argument}, {shape}, got {np.shape(g)}"
                )
        return gradients[0] if len(gradients) == 1 else tuple(gradients)

    return _named_as(forward, run_forward), _named_as(backward, run_backward)


def _named_as(function: Function, run: Function) -> Function:
    """The function around a student's, with its name and text. Its signature stays its own: layers look at it."""
    for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(run, attribute, getattr(function, attribute, getattr(run, attribute)))
    return run


def _rule(exercise: Exercise, layout: str, function: Function) -> Function:
    """Batch normalization with given statistics, or the moving average."""
    positional, by_name = _arguments(exercise)

    def run(*arguments: Any, **settings: Any) -> Any:
        settings = {**_named(arguments, positional, by_name), **settings}
        given = [
            int(a) if name == "t" else _to_student(a, exercise.roles.get(name), layout)
            for name, a in zip(positional, arguments[: len(positional)], strict=True)
        ]
        result = function(*given, **settings)
        results = [
            from_student(r, exercise.roles[label], layout) if label in exercise.roles else r
            for label, r in zip(
                exercise.results, as_tuple(result) if len(exercise.results) == 1 else result, strict=True
            )
        ]
        return results[0] if len(results) == 1 else tuple(results)

    return _named_as(function, run)


def _arguments(exercise: Exercise) -> tuple[list[str], list[str]]:
    """The exercise's arguments: those without a default, which are passed by position, and the others, by name.

    >>> _arguments(EXERCISES["batch_norm"])
    (['x', 'gamma', 'beta'], ['eps'])
    """
    arguments = exercise.arguments().items()
    return [name for name, default in arguments if default is None], [
        name for name, default in arguments if default is not None
    ]


def _named(arguments: tuple[Any, ...], positional: list[str], by_name: list[str]) -> dict[str, Any]:
    """Settings that minigan passes by position; a student may have them in another order, or others before them."""
    return dict(zip(by_name, arguments[len(positional) :], strict=False))


def _to_student(a: Any, role: str | None, layout: str) -> Any:
    """An array in the student's layout and in one piece, as in the check; a copy only if it must be."""
    return np.ascontiguousarray(a) if layout == "NHWC" and np.ndim(a) else to_student(a, role, layout)


# -------------------------------------------------------------------------------------------------------------- updates
def _adam(adam_step: Function) -> dict[str, Function]:
    """`minigan.nn.ops.updates.new_adam` with a student's update, which returns new arrays."""

    def update_all(
        p: list[Array],
        g: list[Array],
        m: list[Array],
        v: list[Array],
        *,
        t: int,
        learning_rate: float,
        beta_1: float,
        beta_2: float,
        epsilon: float,
    ) -> None:
        for arrays in zip(p, g, m, v, strict=True):
            new = adam_step(*arrays, t, learning_rate, beta_1, beta_2, epsilon)
            for old, updated in zip((arrays[0], arrays[2], arrays[3]), new, strict=True):
                old[...] = updated

    return {"new_adam": lambda ops: update_all}


# ---------------------------------------------------------------------------------------------------------------- steps
def _discriminator_step(step: Function) -> dict[str, Function]:
    """A step with the result of minigan's. The student's returns the loss alone, so D is asked once more before it."""

    def run(D: Any, optimizer: Any, x: Array, labels: Array) -> Phase:
        logits, _ = D.forward(x, training=True, update_stats=False)
        loss = step(D, optimizer, x, labels)
        share.updated(D.params().values())
        return Phase(np.asarray(loss, logits.dtype), logits)

    return {"discriminator_step": run}


def _generator_step(step: Function) -> dict[str, Function]:
    """The same for G; nothing needs D's logits here, and they are left out (0, 1)."""

    def run(G: Any, D: Any, optimizer: Any, noise: Array, labels: Array, move: Array | None = None) -> Phase:
        if move is not None:
            raise ValueError("generator_step: moves no images, so it cannot train with --translate")
        loss = step(G, D, optimizer, noise, labels)
        share.updated(G.params().values())
        return Phase(np.asarray(loss, noise.dtype), np.empty((0, 1), noise.dtype))

    return {"generator_step": run}
