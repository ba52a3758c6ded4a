"""The teaching checker: says what is wrong with a layer, and why it is probably wrong.

There are three ways to use it:

* in a notebook, ``check("conv2d", my_forward, my_backward)``;
* for a file, ``python -m minigan.check my_layers.py``;
* for a class, ``pytest --minigan-impl=my_layers.py -m lesson10``.

Importing this package is cheap; the engine is loaded by the first check.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigan.check.engine.network_errors import NetworkErrors
    from minigan.check.outcomes import Outcome
    from minigan.nn.network import Sequential

__all__ = ["check", "check_network"]


def check(exercise: str, *functions: Callable[..., Any], layout: str = "NHWC", seed: int = 0, hint: int = 1) -> Outcome:
    """Check a student's functions and print what was found.

    Parameters
    ----------
    exercise : str
        Name of the exercise, such as "conv2d"; ``python -m minigan.check --list`` lists them.
    *functions : callable
        The exercise's functions in order: forward and backward, or the single one. Backward may be left out as long
        as it is not written.
    layout : "NHWC" or "NCHW"
        Order of the axes of images in these functions.
    seed : int
        For the random cases, 0 or more.
    hint : int
        How many of the hints to print, 1 to 3.

    Returns
    -------
    Outcome

    Raises
    ------
    ValueError
        If the exercise is unknown, or the number of functions, the layout, the hint or the seed does not fit.
    """
    from minigan.check.calls.bounded_prints import bounded_prints
    from minigan.check.engine.ladder import run_exercise
    from minigan.check.exercise_table import EXERCISES
    from minigan.check.reports.text_report import render_finding

    if exercise not in EXERCISES:
        raise ValueError(f"check: exercise must be one of {', '.join(EXERCISES)}, got {exercise!r}")
    names = EXERCISES[exercise].functions
    if not 1 <= len(functions) <= len(names):
        raise ValueError(f"check: {exercise} is {' and '.join(names)}, got {len(functions)} functions")
    if layout not in ("NHWC", "NCHW"):
        raise ValueError(f'check: layout must be "NHWC" or "NCHW", got {layout!r}')
    if hint not in (1, 2, 3):
        raise ValueError(f"check: hint must be 1, 2 or 3, got {hint!r}")
    if seed < 0:
        raise ValueError(f"check: seed must be 0 or more, got {seed}")
    with bounded_prints():
        outcome = run_exercise(exercise, dict(zip(names, functions, strict=False)), layout=layout, seed=seed)
    if outcome.finding is None:
        told = f" ({', '.join([*outcome.passed, *filter(None, [outcome.note])])})" if outcome.passed else ""
        print(f"{exercise}   {outcome.status}{told}")
    else:
        print(render_finding(outcome, "", hint=hint))
    return outcome


def check_network(network: Sequential, *, batch_size: int = 3, seed: int = 0, probes: int = 2) -> NetworkErrors:
    """Compare every gradient of a whole network with the slope of its output, kinks taken into account.

    Prints a verdict. If a gradient is wrong, it names the last layer, going backwards, that still gets a right one: it
    is the layer at fault.

    Parameters
    ----------
    network : Sequential
        Built with ``dtype=numpy.float64``; its parameters are moved a little and put back.
    batch_size : int
        At least 2.
    seed : int
        0 or more.
    probes : int
        Random directions for each parameter, at least 1.

    Returns
    -------
    NetworkErrors
        A dict: the largest relative error of each gradient by path, and of "input". Below 1e-5 is right. If a
        LeakyReLU's kink lies within the step along a direction, its slope is not reliable; another direction is tried.
        ``verdict`` is what was printed, ``passed`` whether all are right, ``guilty`` the number of the layer at fault.

    Raises
    ------
    ValueError
        If a number is below its least value, or the network is not float64: in float32 a right gradient cannot be told
        from a slightly wrong one.
    """
    from minigan.check.calls.bounded_prints import bounded_prints
    from minigan.check.engine.network_errors import network_errors

    for name, given, least in (("batch_size", batch_size, 2), ("seed", seed, 0), ("probes", probes, 1)):
        if given < least:
            raise ValueError(f"check_network: {name} must be at least {least}, got {given}")
    with bounded_prints():
        errors = network_errors(network, batch_size=batch_size, seed=seed, probes=probes)
    print(errors.verdict)
    return errors
