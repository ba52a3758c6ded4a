"""The ladder: check a student's functions rung by rung, and stop at the first rung that fails.

For a pair of functions: does forward take and return what it should (contract), without side effects (hygiene), and
is its result right? Then the same for backward. Then: is backward linear in dy, sample by sample (algebra)? And last:
does it agree with the slope of the forward pass along random directions (gradient)? A mistake in forward is reported
before one in backward, because a gradient check cannot see a wrong forward.

The slope is measured in float64 with the exercise's own oracle, at steps h and h/2. Where the two disagree, the
measurement is not reliable and is made again along another direction. Only if something fails, the gradient is measured
element by element, on a small case, so that `minigan.check.mistakes` can say what is probably wrong.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from minigan.check.calls.student_functions import (
    CheckedCall,
    Forward,
    Subject,
    call_forward,
    call_rule,
    plain_numbers,
    raw_gradients,
    student_arguments,
    student_dy,
)
from minigan.check.engine import gan_steps
from minigan.check.engine.hygiene import (
    arrays_in,
    check_memory_of_calls,
    modified_input,
    shared_memory,
    unsteady_result,
)
from minigan.check.engine.large_inputs import check_large_inputs
from minigan.check.engine.laws import broken_law
from minigan.check.engine.probe import disagreeing_gradients
from minigan.check.exercise_table import EXERCISES, Case, from_student
from minigan.check.mistakes.wrong_forwards import explain_forward
from minigan.check.mistakes.wrong_gradients import explain_gradient
from minigan.check.mistakes.wrong_updates import RuleFailure, explain_rule
from minigan.check.numeric import differs
from minigan.check.outcomes import CHECKER_ERROR, FAILED, NOT_IMPLEMENTED, PASSED, Finding, NotYet, Outcome, Stop
from minigan.nn.backend import Array

FORWARD_TOLERANCE = 1e-8


def run_exercise(
    name: str,
    functions: Mapping[str, Callable[..., Any] | None],
    *,
    layout: str = "NHWC",
    seed: int = 0,
    _is_retry: bool = False,
) -> Outcome:
    """Check one exercise.

    Parameters
    ----------
    name : str
        A key of `EXERCISES`.
    functions : mapping of str to callable
        The student's functions by name; a missing one counts as not written yet.
    layout : "NHWC" or "NCHW"
    seed : int
        For the cases and directions.

    Returns
    -------
    Outcome
        Never an exception for a student's mistake; an error of the checker itself is reported as such.
    """
    exercise = EXERCISES[name]
    subject = Subject(exercise, functions, layout)
    begin = time.perf_counter()
    outcome = Outcome(name, PASSED, lesson=exercise.lesson)
    try:
        if all(functions.get(f) is None for f in exercise.functions):
            raise NotYet
        rng = np.random.default_rng([seed, *name.encode()])
        climb = {"pair": _climb_pair, "rule": _climb_rule, "step": _climb_step}[exercise.kind]
        climb(subject, rng)
    except NotYet:
        outcome.status = NOT_IMPLEMENTED
    except Stop as stop:
        outcome.status, outcome.finding, outcome.picture = FAILED, stop.finding, stop.picture
    except MemoryError:
        outcome.status = FAILED
        outcome.finding = Finding("E05", "load", "it needs too much memory", where=name)
    except Exception as error:  # an error of the checker must not look like the student's
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        outcome.status = CHECKER_ERROR
        told = f"{type(error).__name__}: {error}"
        outcome.finding = Finding(
            "", "load", f"the checker itself failed ({told}); this says nothing about your code", (where,), where=name
        )
    if outcome.status == FAILED and not _is_retry:
        _try_other_layout(outcome, name, functions, layout, seed)
    outcome.passed = subject.passed
    outcome.seconds = time.perf_counter() - begin
    return outcome


def _try_other_layout(
    outcome: Outcome, name: str, functions: Mapping[str, Callable[..., Any] | None], layout: str, seed: int
) -> None:
    """If the forward pass is right in the other layout, say that instead."""
    finding = outcome.finding
    if finding is None:
        return
    early = finding.code in ("E10", "E13", "E30", "E31", "E33", "E38")
    if not early or "image" not in EXERCISES[name].roles.values() or "forward" in outcome.passed:
        return
    other = "NCHW" if layout == "NHWC" else "NHWC"
    retry = run_exercise(name, functions, layout=other, seed=seed, _is_retry=True)
    if retry.status == PASSED or "forward" in retry.passed:
        order = "N, C, H, W" if other == "NCHW" else "N, H, W, C"
        outcome.finding = replace(
            finding,
            cause=f"the function is right for images ({order}); the file says {layout}.",
            hints=(f'Put LAYOUT = "{other}" at the top of the file (in a notebook: layout="{other}").',),
        )


def _climb_pair(subject: Subject, rng: np.random.Generator) -> None:
    exercise = subject.exercise
    cases = exercise.cases(rng)
    wrong_forwards: list[tuple[Case, Array, Array]] = []
    for case in cases:
        try:
            result = _check_forward(subject, case)
        except Stop:
            if not wrong_forwards:
                raise
            break  # a wrong value is reported before a failure on a later case
        if result is not None:
            wrong_forwards.append(result)
    if wrong_forwards:
        raise Stop(explain_forward(exercise, wrong_forwards, exercise.functions[0], subject.layout))
    for case in exercise.extremes():
        check_large_inputs(subject, case)
    _check_float32_forward(subject, cases[0])
    subject.passed.append("forward")
    backward = exercise.functions[1]
    if subject.functions.get(backward) is None:
        raise NotYet
    runs: list[CheckedCall] = []
    for case in cases:
        forward = call_forward(subject, case)
        dy = rng.standard_normal(forward.y.shape)
        runs.append(CheckedCall(forward, dy, _check_backward(subject, forward, dy)))
    check_memory_of_calls(subject, runs, rng)
    _check_float32_backward(subject, cases[0], rng)
    algebra = broken_law(subject, runs)
    wrong = disagreeing_gradients(exercise, runs, rng)
    if algebra or wrong:
        raise Stop(*explain_gradient(subject, runs, wrong, algebra, backward))
    subject.passed.extend(exercise.gradients)


def _check_forward(subject: Subject, case: Case) -> tuple[Case, Array, Array] | None:
    """Contract and hygiene of one forward call; (case, yours, right) if the values are wrong."""
    exercise, name = subject.exercise, subject.exercise.functions[0]
    forward = call_forward(subject, case)
    before = student_arguments(subject, case, np.float64)
    for argument, array in forward.given.items():
        if not np.array_equal(array, before[argument]):
            raise Stop(modified_input(name, argument))
    if not exercise.scalar and not exercise.may_view:
        for argument, array in forward.given.items():
            if isinstance(forward.raw, np.ndarray) and np.may_share_memory(forward.raw, array):
                raise Stop(shared_memory(name, "y", argument))
    again = call_forward(subject, case)
    if not np.allclose(again.y, forward.y, rtol=1e-9, atol=1e-12):
        raise Stop(unsteady_result(name))
    expected = np.asarray(exercise.oracle(**case.arrays, **case.settings))
    return (case, forward.y, expected) if differs(forward.y, expected, FORWARD_TOLERANCE) else None


def _check_float32_forward(subject: Subject, case: Case) -> None:
    call_forward(subject, case, np.float32)


def _check_backward(subject: Subject, forward: Forward, dy: Array) -> list[Array]:
    """Contract and hygiene of one backward call."""
    exercise, name = subject.exercise, subject.exercise.functions[1]
    given_dy = student_dy(subject, forward, dy, np.float64)
    dy_before = np.array(given_dy, copy=True)
    raw = raw_gradients(subject, forward, dy, np.float64, given_dy)
    if not np.array_equal(given_dy, dy_before):
        raise Stop(modified_input(name, "dy", "E21"))
    before = student_arguments(subject, forward.case, np.float64)
    for argument, array in forward.given.items():
        if not np.array_equal(array, before[argument]):
            raise Stop(modified_input(name, argument))
    if not exercise.may_view:
        cached = list(arrays_in(forward.cache))
        for (array, _), gradient in zip(raw, exercise.gradients, strict=True):
            if isinstance(given_dy, np.ndarray) and np.may_share_memory(array, given_dy):
                raise Stop(shared_memory(name, gradient, "dy"))
            if any(np.may_share_memory(array, other) for other in cached):
                raise Stop(shared_memory(name, gradient, "the cache"))
    return [from_student(array, role, subject.layout).copy() for array, role in raw]


def _check_float32_backward(subject: Subject, case: Case, rng: np.random.Generator) -> None:
    forward = call_forward(subject, case, np.float32)
    raw_gradients(subject, forward, rng.standard_normal(forward.y.shape), np.float32)


def _climb_rule(subject: Subject, rng: np.random.Generator) -> None:
    """One function of numbers: contract, hygiene, values."""
    exercise, name = subject.exercise, subject.exercise.functions[0]
    failures = []
    for case in exercise.cases(rng):
        given = student_arguments(subject, case, np.float64)
        before = {k: np.array(a, copy=True) for k, a in given.items()}
        results = call_rule(subject, case, given, np.float64)
        for argument, array in given.items():
            if not np.array_equal(array, before[argument]):
                raise Stop(modified_input(name, argument))
        again = call_rule(subject, case, student_arguments(subject, case, np.float64), np.float64)
        if any(differs(np.asarray(a), np.asarray(b), 1e-9) for a, b in zip(results, again, strict=True)):
            raise Stop(unsteady_result(name))
        values = [
            from_student(np.asarray(raw), exercise.roles.get(label), subject.layout)
            for label, raw in zip(exercise.results, results, strict=True)
        ]
        expected = [np.asarray(e) for e in exercise.oracle(**plain_numbers(case), **case.settings)]
        if any(differs(v, e, FORWARD_TOLERANCE) for v, e in zip(values, expected, strict=True)):
            failures.append(RuleFailure(plain_numbers(case), case, values, expected))
            continue
        for label, raw in zip(exercise.results, results, strict=True):
            for argument, array in given.items():
                if isinstance(raw, np.ndarray) and isinstance(array, np.ndarray) and np.may_share_memory(raw, array):
                    raise Stop(shared_memory(name, label, argument))
    if failures:
        raise Stop(explain_rule(exercise, failures, name, subject.layout))
    case = exercise.cases(rng)[0]
    call_rule(subject, case, student_arguments(subject, case, np.float32), np.float32)
    subject.passed.append("values")


def _climb_step(subject: Subject, rng: np.random.Generator) -> None:
    name = subject.exercise.functions[0]
    finding = gan_steps.check_step(name, lambda *arguments: subject.call(name, *arguments), rng)
    if finding is not None:
        raise Stop(finding)
    subject.passed.append("behaviour")
