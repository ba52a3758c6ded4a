"""Hygiene: side effects that a right result may have, such as a changed input, a view, or a memory of older calls."""

from __future__ import annotations

import numpy as np

from minigan.check.calls.student_functions import CheckedCall, Forward, Subject, call_backward, call_forward
from minigan.check.numeric import differs
from minigan.check.outcomes import Finding, Stop
from minigan.nn.backend import Array


def check_memory_of_calls(subject: Subject, runs: list[CheckedCall], rng: np.random.Generator) -> None:
    """Call backward twice with the same cache, and with an older cache after a newer forward."""
    name = subject.exercise.functions[1]
    forward, dy, _ = runs[1]
    case = forward.case
    fresh = call_forward(subject, case)
    first = call_backward(subject, fresh, dy)
    if not _gives_again(subject, fresh, dy, first):
        raise Stop(
            Finding(
                "E24",
                "hygiene",
                f"calling {name} twice with the same cache gives two results",
                cause="backward changes something in the cache (an in-place +=, a pop) or draws random numbers.",
                hints=("Look for in-place operations on arrays that come out of the cache.",),
                where=name,
            )
        )
    old = call_forward(subject, case)
    first = call_backward(subject, old, dy)
    old = call_forward(subject, case)
    call_forward(subject, subject.exercise.cases(rng)[1])  # other numbers, as the exercise allows them
    if not _gives_again(subject, old, dy, first):
        raise Stop(
            Finding(
                "E25",
                "hygiene",
                f"after a second forward, {name} gives another gradient for the first one's cache",
                cause="something is kept in a global variable or on an object instead of in the cache.",
                hints=(
                    "A discriminator runs forward on real and on fake images before it runs backward: each backward "
                    "needs its own cache.",
                    "Put all that backward needs into the cache that forward returns.",
                ),
                where=name,
            )
        )


def _gives_again(subject: Subject, forward: Forward, dy: Array, first: list[Array]) -> bool:
    """Whether backward gives the same gradients again; if it fails, it does not."""
    try:
        again = call_backward(subject, forward, dy)
    except Stop:
        return False
    return not any(differs(a, b, 1e-9) for a, b in zip(again, first, strict=True))


def modified_input(function: str, argument: str, code: str = "E20") -> Finding:
    """Finding E20 or E21: a function changes one of its arguments."""
    return Finding(
        code,
        "hygiene",
        f"{function} modifies its input {argument}",
        (),
        "an in-place operation (+=, *=, a[...] = , out=) works on the array itself, and the caller still needs it.",
        (f"Make a copy first, or write {argument} = {argument} + ... instead of {argument} += ... .",),
        where=f"{function}: {argument}",
    )


def shared_memory(function: str, name: str, of: str, *, same: bool = False) -> Finding:
    """Finding E22: a result is an argument or a part of the cache, or a view of it."""
    return Finding(
        "E22",
        "hygiene",
        f"{function}: {name} is {of} itself" if same else f"{function}: {name} shares memory with {of}",
        cause="the very array that was given comes back, and changing the result later changes it too."
        if same
        else "a slice, reshape or transpose is a view: changing the result later changes the other array too.",
        hints=("Return a copy (.copy()), or compute into a new array.",),
        where=f"{function}: {name}",
    )


def unsteady_result(function: str) -> Finding:
    """Finding E23: two equal calls give different results."""
    return Finding(
        "E23",
        "hygiene",
        f"two equal calls of {function} give different results",
        cause="it draws random numbers, fills np.empty only partly, or remembers something between calls.",
        where=function,
    )
