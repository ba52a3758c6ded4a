"""A student's functions, called in the layout in which they are written.

`Subject` holds the functions of one exercise. The exercise's cases are in minigan's layout (N, H, W, C); `call_forward`
and `call_backward` convert the arguments to the student's layout, call the function, check what it returns against the
contract (`minigan.check.calls.contract`), and convert the results back. An exception in a student's function becomes a
finding, and the check ends with it (`Stop`). Where the functions run, here or in a process of their own, makes no
difference (`minigan.check.calls.answers`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast

import numpy as np

from minigan.check.calls.answers import (
    DOES_NOT_FIT,
    NOT_WRITTEN,
    OUT_OF_MEMORY,
    RETURNED,
    Answer,
    Functions,
    FunctionsHere,
)
from minigan.check.calls.contract import (
    POWER,
    insist_on_array,
    insist_on_number,
    insist_on_order,
    not_an_array,
    wrong_structure,
)
from minigan.check.exercise_table import (
    Case,
    Exercise,
    flat_from_student,
    flat_to_student,
    from_student,
    student_shape,
    to_student,
)
from minigan.check.outcomes import Finding, Halted, NotYet, Stop
from minigan.nn.backend import Array


@dataclass
class Subject:
    """A student's functions for one exercise, called in their own layout.

    `functions` are callables by name, or `minigan.check.calls.answers.Functions`, which may run in another process.
    `asks_defaults` says whether the function is also called without the arguments that may be left out.
    """

    exercise: Exercise
    functions: Mapping[str, Callable[..., Any] | None] | Functions
    layout: str = "NHWC"
    asks_defaults: bool = True
    passed: list[str] = field(default_factory=list)
    note: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.functions, Mapping):
            self.functions = FunctionsHere(self.functions)

    @property
    def _calls(self) -> Functions:
        return cast(Functions, self.functions)

    @property
    def _asked(self) -> str:
        return " and ".join(self.exercise.signatures)

    def has(self, name: str) -> bool:
        """Whether this function is there."""
        return self._calls.has(name)

    def call(self, name: str, *arguments: Any, **settings: Any) -> Any:
        """Call one function; an exception becomes a finding, and one that is missing raises `NotYet`."""
        return self.answer(name, arguments, settings).value

    def answer(self, name: str, arguments: tuple[Any, ...], settings: dict[str, Any], *, keep: bool = False) -> Answer:
        """The same, and all that is known about the call; with `keep`, the second result is a cache that is kept."""
        answer = self._calls.call(name, arguments, settings, keep=keep)
        if answer.kind == RETURNED:
            return answer
        raise failure(name, answer, len(arguments), settings, self._asked)

    def play(self, name: str, world: dict[str, Array]) -> tuple[list[Any], dict[str, Any]]:
        """Let a training step run in a world; the losses it returns, and the arrays afterwards."""
        answer = self._calls.play(name, world)
        if answer.kind != RETURNED:
            raise failure(name, answer, len(self.exercise.signatures[0].split(",")), {}, self._asked)
        return answer.value["losses"], answer.value["arrays"]


@dataclass
class Forward:
    """A student's forward call on one case: the result in minigan's layout, the cache, and what the call did."""

    case: Case
    y: Array
    cache: Any
    answer: Answer


class CheckedCall(NamedTuple):
    """One forward and one backward call on a case: dy, and the student's gradients in minigan's layout."""

    forward: Forward
    dy: Array
    gradients: list[Array]


def call_forward(subject: Subject, case: Case, dtype: Any = np.float64) -> Forward:
    """Call forward and check that its result keeps the contract."""
    exercise, name = subject.exercise, subject.exercise.functions[0]
    given = student_arguments(subject, case, dtype)
    answer = subject.answer(name, tuple(given.values()), case.settings, keep=True)
    result = answer.value
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
    return Forward(case, y, cache, answer)


def student_arguments(subject: Subject, case: Case, dtype: Any) -> dict[str, Any]:
    """Fresh copies of the arguments, in the student's layout and the wanted dtype; counts as plain numbers."""
    roles = subject.exercise.roles
    return {
        name: int(a.item()) if name == "t" else to_student(a, roles.get(name), subject.layout).astype(dtype)
        for name, a in case.arrays.items()
    }


def call_backward(subject: Subject, forward: Forward, dy: Array, dtype: Any = np.float64) -> list[Array]:
    """Call backward and check the contract; gradients as fresh copies in minigan's layout."""
    return answered_backward(subject, forward, dy, dtype)[0]


def answered_backward(
    subject: Subject, forward: Forward, dy: Array, dtype: Any = np.float64
) -> tuple[list[Array], Answer]:
    """The same, and what the call did."""
    exercise, name = subject.exercise, subject.exercise.functions[1]
    answer = subject.answer(name, (student_dy(subject, forward, dy, dtype), forward.cache), {})
    names = list(exercise.gradients)
    result = as_tuple(answer.value) if len(names) == 1 else answer.value
    if not isinstance(result, tuple | list) or len(result) != len(names):
        raise Stop(wrong_structure(name, ", ".join(names), result))
    insist_on_order(name, result, exercise, forward.case, subject.layout)
    out = []
    for gradient, raw in zip(names, result, strict=True):
        argument = exercise.gradients[gradient]
        role = exercise.roles.get(argument)
        shape = student_shape(forward.case.arrays[argument].shape, role, subject.layout)
        array = insist_on_array(name, gradient, raw, shape, dtype, exercise, forward.case, subject.layout)
        out.append(from_student(array, role, subject.layout).copy())
    return out, answer


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
    return answered_rule(subject, case, given, dtype)[0]


def answered_rule(subject: Subject, case: Case, given: dict[str, Any], dtype: Any) -> tuple[tuple[Any, ...], Answer]:
    """The same, and what the call did. Arguments count in the order of `given`."""
    exercise, name = subject.exercise, subject.exercise.functions[0]
    if exercise.name == "adam":  # the signature has t between v and the numbers
        values = [given[k] for k in ("p", "g", "m", "v", "t")]
        answer = subject.answer(name, (*values, *case.settings.values()), {})
    else:
        answer = subject.answer(name, tuple(given.values()), case.settings)
    result = as_tuple(answer.value) if len(exercise.results) == 1 else answer.value
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
    return tuple(result), answer


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


def failure(name: str, answer: Answer, count: int, settings: Mapping[str, Any], asked: str) -> Exception:
    """What to raise for an answer that is no result: NotYet, or a finding.

    Parameters
    ----------
    name : str
        The function.
    answer : Answer
    count : int
        How many arguments it was called with.
    settings : mapping
        Its keyword arguments.
    asked : str
        What the exercise asks for: the signatures.

    Returns
    -------
    NotYet, Stop or Halted
    """
    if answer.kind == NOT_WRITTEN:
        return NotYet()
    if answer.kind == OUT_OF_MEMORY:
        evidence = (": ".join(filter(None, [answer.error, answer.text])), *answer.lines)
        cause = "The arrays of the checker are tiny: something grows that should not."
        title = "it needs too much memory"
        return Halted(Finding("E05", "contract", title, evidence, cause, where=name))
    if answer.kind == DOES_NOT_FIT:
        told = ", ".join([*("..." for _ in range(count)), *(f"{k}={v}" for k, v in settings.items())])
        return Stop(
            Finding(
                "E16",
                "contract",
                f"{name} cannot be called with the exercise's arguments",
                (
                    f"called as {name}({told}), with {count} arguments: {answer.error}",
                    f"yours is {name}{answer.text}",
                ),
                hints=(f"The exercise asks for {asked}.",),
                where=name,
            )
        )
    return Stop(_raised(name, answer))


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


def _raised(name: str, answer: Answer) -> Finding:
    """Finding E10: a function raises an exception."""
    what = "calls sys.exit" if answer.error == "SystemExit" else f"raises {answer.error}"
    told = ((cause, hint) for (who, said), (cause, hint) in _RAISED.items() if who in name and said in answer.text)
    cause, hint = next(told, ("", _LOOK))
    return Finding(
        "E10",
        "contract",
        f"{name} {what}" + (f": {answer.text}" if answer.text else ""),
        answer.lines,
        cause,
        hints=(hint,),
        where=name,
    )
