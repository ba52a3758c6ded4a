"""A student's functions, called in the layout in which they are written.

`Subject` holds the functions of one exercise. The exercise's cases are in minigan's layout (N, H, W, C); `call_forward`
and `call_backward` convert the arguments to the student's layout, call the function, check what it returns against the
contract (`minigan.check.calls.contract`), and convert the results back. An exception in a student's function becomes a
finding, and the check ends with it (`Stop`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan.check.calls.contract import (
    POWER,
    insist_on_array,
    insist_on_number,
    insist_on_order,
    not_an_array,
    wrong_structure,
)
from minigan.check.calls.own_lines import own_lines
from minigan.check.exercise_table import (
    Case,
    Exercise,
    flat_from_student,
    flat_to_student,
    from_student,
    student_shape,
    to_student,
)
from minigan.check.outcomes import Finding, NotYet, Stop
from minigan.nn.backend import Array


@dataclass
class Subject:
    """A student's functions for one exercise, called in their own layout."""

    exercise: Exercise
    functions: Mapping[str, Callable[..., Any] | None]
    layout: str = "NHWC"
    passed: list[str] = field(default_factory=list)
    note: str = ""

    def call(self, name: str, *arguments: Any, **settings: Any) -> Any:
        """Call one function; an exception becomes a finding, and one that is missing raises `NotYet`."""
        function = self.functions.get(name)
        if function is None:
            raise NotYet
        try:
            bound = inspect.signature(function)
        except (TypeError, ValueError):
            bound = None
        if bound is not None:
            try:
                bound.bind(*arguments, **settings)
            except TypeError as error:
                told = ", ".join([*("..." for _ in arguments), *(f"{k}={v}" for k, v in settings.items())])
                raise Stop(
                    Finding(
                        "E16",
                        "contract",
                        f"{name} cannot be called with the exercise's arguments",
                        (
                            f"called as {name}({told}), with {len(arguments)} arguments: {error}",
                            f"yours is {name}{bound}",
                        ),
                        hints=(f"The exercise asks for {' and '.join(self.exercise.signatures)}.",),
                        where=name,
                    )
                ) from None
        try:
            with np.errstate(all="ignore"):
                return function(*arguments, **settings)
        except NotImplementedError:
            raise NotYet from None
        except (MemoryError, Stop, NotYet):
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            raise Stop(_raised(name, function, error)) from None


@dataclass
class Forward:
    """A student's forward call on one case: the arguments as given, and the result in minigan's layout."""

    case: Case
    given: dict[str, Array]
    y: Array
    cache: Any
    raw: Any


class CheckedCall(NamedTuple):
    """One forward and one backward call on a case: dy, and the student's gradients in minigan's layout."""

    forward: Forward
    dy: Array
    gradients: list[Array]


def call_forward(subject: Subject, case: Case, dtype: Any = np.float64) -> Forward:
    """Call forward and check that its result keeps the contract."""
    exercise, name = subject.exercise, subject.exercise.functions[0]
    given = student_arguments(subject, case, dtype)
    result = subject.call(name, *given.values(), **case.settings)
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise Stop(wrong_structure(name, "(y, cache)", result))
    raw, cache = result
    with np.errstate(all="ignore"):
        expected = np.asarray(exercise.oracle(**case.arrays, **case.settings))
    if exercise.scalar:
        y = insist_on_number(name, raw)
    else:
        role = exercise.roles.get("y")
        shape = student_shape(expected.shape, role, subject.layout)
        y = insist_on_array(name, "y", raw, shape, dtype, exercise, case, subject.layout)
        if role == "flat":
            y = flat_from_student(y, case.arrays["x"].shape, subject.layout)
        else:
            y = from_student(y, role, subject.layout)
    return Forward(case, given, y, cache, raw)


def student_arguments(subject: Subject, case: Case, dtype: Any) -> dict[str, Any]:
    """Fresh copies of the arguments, in the student's layout and the wanted dtype; counts as plain numbers."""
    roles = subject.exercise.roles
    return {
        name: int(a.item()) if name == "t" else to_student(a, roles.get(name), subject.layout).astype(dtype)
        for name, a in case.arrays.items()
    }


def call_backward(subject: Subject, forward: Forward, dy: Array, dtype: Any = np.float64) -> list[Array]:
    """Call backward and check the contract; gradients as fresh copies in minigan's layout."""
    return [from_student(raw, role, subject.layout).copy() for raw, role in raw_gradients(subject, forward, dy, dtype)]


def raw_gradients(
    subject: Subject, forward: Forward, dy: Array, dtype: Any, given_dy: Any = None
) -> list[tuple[Array, str | None]]:
    """Call backward and check the contract; (gradient, role) of each as the student returned it.

    `given_dy` is dy in the student's layout, if the caller has made it and wants to look at it afterwards.
    """
    exercise, name = subject.exercise, subject.exercise.functions[1]
    given_dy = student_dy(subject, forward, dy, dtype) if given_dy is None else given_dy
    result = subject.call(name, given_dy, forward.cache)
    names = list(exercise.gradients)
    result = as_tuple(result) if len(names) == 1 else result
    if not isinstance(result, tuple | list) or len(result) != len(names):
        raise Stop(wrong_structure(name, ", ".join(names), result))
    insist_on_order(name, result, exercise, forward.case, subject.layout)
    out = []
    for gradient, raw in zip(names, result, strict=True):
        argument = exercise.gradients[gradient]
        role = exercise.roles.get(argument)
        shape = student_shape(forward.case.arrays[argument].shape, role, subject.layout)
        out.append((insist_on_array(name, gradient, raw, shape, dtype, exercise, forward.case, subject.layout), role))
    return out


def student_dy(subject: Subject, forward: Forward, dy: Array, dtype: Any) -> Any:
    """Dy in the student's layout and the wanted dtype; a float if forward returns a loss."""
    exercise = subject.exercise
    if exercise.scalar:
        return float(dy)
    if exercise.roles.get("y") == "flat":
        return flat_to_student(dy, forward.case.arrays["x"].shape, subject.layout).astype(dtype)
    return to_student(dy, exercise.roles.get("y"), subject.layout).astype(dtype)


def call_rule(subject: Subject, case: Case, given: dict[str, Any], dtype: Any) -> tuple[Any, ...]:
    """Call the only function of an exercise without backward and check the contract; its results as returned."""
    exercise, name = subject.exercise, subject.exercise.functions[0]
    if exercise.name == "adam":  # the signature has t between v and the numbers
        given = {k: given[k] for k in ("p", "g", "m", "v", "t")}
        result = subject.call(name, *given.values(), *case.settings.values())
    else:
        result = subject.call(name, *given.values(), **case.settings)
    result = as_tuple(result) if len(exercise.results) == 1 else result
    if not isinstance(result, tuple | list) or len(result) != len(exercise.results):
        raise Stop(wrong_structure(name, ", ".join(exercise.results), result))
    expected = exercise.oracle(**plain_numbers(case), **case.settings)
    for label, raw, right in zip(exercise.results, result, expected, strict=True):
        if label == "t":
            if not isinstance(raw, int | float | np.number | np.ndarray) or np.size(raw) != 1:
                raise Stop(not_an_array(name, label, raw, "a number"))
            continue
        shape = student_shape(np.shape(right), exercise.roles.get(label), subject.layout)
        try:
            insist_on_array(name, label, raw, shape, dtype, exercise, case, subject.layout)
        except Stop as stop:
            if exercise.name == "adam" and (label, stop.finding.code) == ("p", "E15"):
                raise Stop(_adam_not_finite(stop.finding, *result[1:])) from None
            raise
    return tuple(result)


def _adam_not_finite(finding: Finding, m: Any, v: Any) -> Finding:
    """Why Adam's new p is not finite: by the moments that came back with it."""
    m, v = (np.asarray(a, np.float64) if isinstance(a, np.ndarray) else np.array(np.nan) for a in (m, v))
    if (v < 0).any():
        cause, hint = "v is below 0 in places, and has no root there. It is made of squares, g*g.", "Print v."
    elif not (np.isfinite(m).all() and np.isfinite(v).all()):
        return finding
    else:
        cause = "m and v are fine. Is it a correction? Each is 1 - beta**t, to the power of t, and t is 1 at first."
        hint = POWER[1]
    return replace(finding, cause=cause, hints=(hint,))


def plain_numbers(case: Case) -> dict[str, Any]:
    """Arguments of a case by name; the step count t as an int, not as an array."""
    return {name: int(a.item()) if name == "t" else a for name, a in case.arrays.items()}


def as_tuple(result: Any) -> Any:
    """A single result as a tuple of one; None, tuples and lists as they are."""
    return result if result is None or isinstance(result, tuple | list) else (result,)


_LOOK = "Run the function by hand on a small array and look at the shapes just before that line."
_RAISED = {
    ("adam", "math domain error"): POWER,
    ("generator_step", "dy is None"): (
        "D.backward gives the gradient for its input only when it is asked, with input_grad=True.",
        "G learns from what D's backward returns. Print it.",
    ),
    ("generator_step", ""): ("", "Write beside every line of the step what it takes, and what it returns."),
    ("discriminator_step", ""): ("", "Write beside every line of the step what it takes, and what it returns."),
}
"""What is probably behind an exception, and a hint, by parts of the function's name and of the message."""


def _raised(name: str, function: Callable[..., Any], error: BaseException) -> Finding:
    """Finding E10: a function raises an exception."""
    _, lines = own_lines(error, (name, getattr(function, "__name__", name)), _is_library)
    what = "calls sys.exit" if isinstance(error, SystemExit) else f"raises {type(error).__name__}"
    try:
        text = " ".join(str(error).split())[:300]
    except Exception:  # an exception of the student's own, whose message cannot be made
        text = ""
    cause, hint = next((told for (who, said), told in _RAISED.items() if who in name and said in text), ("", _LOOK))
    return Finding(
        "E10",
        "contract",
        f"{name} {what}" + (f": {text}" if text else ""),
        lines,
        cause,
        hints=(hint,),
        where=name,
    )


def _is_library(filename: str) -> bool:
    """Whether a frame is NumPy's or minigan's. A finding shows the last line of the student's own code instead."""
    parts = Path(filename).parts
    own = Path(__file__).resolve().parents[2]
    parents = Path(filename).resolve().parents
    inside = own in parents and own / "check" / "zoo" not in parents
    return "numpy" in parts or filename.startswith("<__array_function__") or inside
