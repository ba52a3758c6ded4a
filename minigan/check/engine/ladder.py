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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minigan.check.calls.answers import CACHE, Functions, FunctionsHere
from minigan.check.calls.student_functions import (
    CheckedCall,
    Forward,
    Subject,
    answered_backward,
    answered_rule,
    call_backward,
    call_forward,
    call_rule,
    plain_numbers,
    student_arguments,
)
from minigan.check.calls.wrong_shapes import other_geometry
from minigan.check.engine import gan_steps, precision
from minigan.check.engine.defaults import minding_defaults
from minigan.check.engine.hygiene import (
    check_memory_of_calls,
    modified_input,
    shared_memory,
    unsteady_result,
)
from minigan.check.engine.large_inputs import check_large_gradients, check_large_inputs
from minigan.check.engine.laws import broken_law
from minigan.check.engine.probe import disagreeing_gradients
from minigan.check.exercise_table import EXERCISES, Case, from_student
from minigan.check.mistakes.hints import Method, with_three_hints
from minigan.check.mistakes.hypotheses import Tried, same
from minigan.check.mistakes.wrong_forwards import explain_forward
from minigan.check.mistakes.wrong_gradients import explain_gradient
from minigan.check.mistakes.wrong_updates import TriedRule, explain_rule
from minigan.check.numeric import differs
from minigan.check.outcomes import (
    CHECKER_ERROR,
    FAILED,
    NOT_IMPLEMENTED,
    PASSED,
    Finding,
    Halted,
    NotYet,
    Outcome,
    Stop,
)
from minigan.nn.backend import Array


def run_exercise(
    name: str,
    functions: Mapping[str, Callable[..., Any] | None] | Functions,
    *,
    layout: str = "NHWC",
    seed: int = 0,
    method: Method | None = None,
    _is_retry: bool = False,
) -> Outcome:
    """Check one exercise.

    Parameters
    ----------
    name : str
        A key of `EXERCISES`.
    functions : mapping of str to callable, or Functions
        The student's functions by name; a missing one counts as not written yet. They may run in another process.
    layout : "NHWC" or "NCHW"
    seed : int
        For the cases and directions.
    method : mapping, optional
        A lesson's own hints for the parts of this exercise (`minigan.check.mistakes.hints.Method`).

    Returns
    -------
    Outcome
        Never an exception for a student's mistake; an error of the checker itself is reported as such.
    """
    exercise = EXERCISES[name]
    calls = FunctionsHere(functions) if isinstance(functions, Mapping) else functions
    subject = Subject(exercise, calls, layout, asks_defaults=not _is_retry)
    begin = time.perf_counter()
    outcome = Outcome(name, PASSED, lesson=exercise.lesson)
    try:
        if not any(map(subject.has, exercise.functions)):
            raise NotYet
        rng = np.random.default_rng([seed, *name.encode()])
        climb = {"pair": _climb_pair, "rule": _climb_rule, "step": _climb_step}[exercise.kind]
        climb(subject, rng)
    except NotYet:
        outcome.status = NOT_IMPLEMENTED
    except Stop as stop:
        outcome.status, outcome.finding, outcome.picture = FAILED, stop.finding, stop.picture
    except Halted as halted:
        outcome.status, outcome.finding = FAILED, halted.finding
    except Exception as error:  # an error of the checker must not look like the student's
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        outcome.status = CHECKER_ERROR
        told = f"{type(error).__name__}: {error}"
        outcome.finding = Finding(
            "", "load", f"the checker itself failed ({told}); this says nothing about your code", (where,), where=name
        )
    outcome.passed, outcome.note = subject.passed, subject.note
    if "forward" not in outcome.passed or not all(map(subject.has, exercise.functions)):
        outcome.lesson = exercise.forward_lesson or exercise.lesson
    if outcome.status == FAILED and not _is_retry:
        _try_other_layout(outcome, name, calls, layout, seed)
        if outcome.finding is not None and not outcome.finding.code.startswith("E0"):
            outcome.finding = with_three_hints(outcome.finding, exercise, layout, method)
    outcome.seconds = time.perf_counter() - begin
    return outcome


def _try_other_layout(outcome: Outcome, name: str, functions: Functions, layout: str, seed: int) -> None:
    """If the forward pass is wrong in this layout and right in the other one, say that instead."""
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
    with minding_defaults(subject, cases[0]):
        _climb_forward(subject, cases, rng)
    subject.passed.append("forward")
    backward = exercise.functions[1]
    if not subject.has(backward):
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
        if not _backward_is_rounded(subject, runs, rng):
            raise Stop(*explain_gradient(subject, runs, wrong, algebra, backward))
        subject.note = precision.NOTE
    for case in exercise.extremes():
        check_large_gradients(subject, case)
    subject.passed.extend(exercise.gradients)


def _climb_forward(subject: Subject, cases: list[Case], rng: np.random.Generator) -> None:
    exercise = subject.exercise
    tried: list[Tried] = []
    for case in cases:
        try:
            tried.append(_check_forward(subject, case))
        except Stop as stop:
            if all(t.passes for t in tried):
                raise _with_geometry(stop, subject, cases) from None
            # a wrong value is reported before a failure on a later case
    if not all(t.passes for t in tried):
        if len(tried) < len(cases) or not _forward_is_rounded(subject, tried, rng):
            raise Stop(explain_forward(exercise, tried, exercise.functions[0], subject.layout))
        subject.note = precision.NOTE
    for case in exercise.extremes():
        check_large_inputs(subject, case)
    _check_float32_forward(subject, cases[0])


def _with_geometry(stop: Stop, subject: Subject, cases: list[Case]) -> Stop:
    """The same; a wrong size of the output gets its cause, if one formula explains the sizes in all cases."""
    if stop.finding.code != "E13" or stop.finding.cause:
        return stop
    shapes = []
    for case in cases:
        try:
            given = student_arguments(subject, case, np.float64)
            raw = subject.call(subject.exercise.functions[0], *given.values(), **case.settings)[0]
        except (Stop, NotYet, TypeError):
            continue
        shapes.append((case, np.shape(raw)))
    return Stop(replace(stop.finding, cause=other_geometry(subject.exercise, shapes, subject.layout)))


def _forward_is_rounded(subject: Subject, tried: list[Tried], rng: np.random.Generator) -> bool:
    """Whether forward is right but for rounding to float32."""
    if not all(same(t.yours, t.right, precision.SINGLE) for t in tried):
        return False

    def moves(t: Tried) -> bool:
        names = list(t.case.arrays)

        def results(arrays: Sequence[Array]) -> list[Array]:
            return [call_forward(subject, replace(t.case, arrays=dict(zip(names, arrays, strict=True)))).y]

        return precision.moves_in_steps(results, list(t.case.arrays.values()), rng)

    return all(moves(t) for t in tried if not t.passes)


def _backward_is_rounded(subject: Subject, runs: list[CheckedCall], rng: np.random.Generator) -> bool:
    """Whether backward is right but for rounding to float32."""
    if disagreeing_gradients(subject.exercise, runs, rng, precision.SINGLE):
        return False

    def moves(run: CheckedCall) -> bool:
        case = run.forward.case
        names = list(case.arrays)

        def results(arrays: Sequence[Array]) -> list[Array]:
            *values, dy = arrays
            forward = call_forward(subject, replace(case, arrays=dict(zip(names, values, strict=True))))
            return call_backward(subject, forward, dy)

        return precision.moves_in_steps(results, [*case.arrays.values(), run.dy], rng)

    return any(moves(run) for run in runs)


def _check_forward(subject: Subject, case: Case) -> Tried:
    """Contract and hygiene of one forward call; its result beside the right one."""
    exercise, name = subject.exercise, subject.exercise.functions[0]
    forward = call_forward(subject, case)
    arguments = list(case.arrays)
    for k in forward.answer.changed[:1]:
        raise Stop(modified_input(name, arguments[k]))
    if not exercise.scalar and not exercise.may_view:
        for shared in forward.answer.shared:
            if shared.result == 0:
                raise Stop(shared_memory(name, "y", arguments[shared.argument], same=shared.same))
    again = call_forward(subject, case)
    if not np.allclose(again.y, forward.y, rtol=1e-9, atol=1e-12):
        raise Stop(unsteady_result(name))
    expected = np.asarray(exercise.oracle(**case.arrays, **case.settings))
    return Tried(case, forward.y, expected)


def _check_float32_forward(subject: Subject, case: Case) -> None:
    call_forward(subject, case, np.float32)


def _check_backward(subject: Subject, forward: Forward, dy: Array) -> list[Array]:
    """Contract and hygiene of one backward call."""
    exercise, name = subject.exercise, subject.exercise.functions[1]
    gradients, answer = answered_backward(subject, forward, dy)
    if answer.changed:
        raise Stop(modified_input(name, "dy", "E21"))
    for k in answer.changed_before[:1]:
        raise Stop(modified_input(name, list(forward.case.arrays)[k]))
    if not exercise.may_view:
        for shared in sorted(answer.shared, key=lambda shared: shared.result):
            of = "an array of the cache" if shared.argument == CACHE else "dy"
            raise Stop(shared_memory(name, list(exercise.gradients)[shared.result], of, same=shared.same))
    return gradients


def _check_float32_backward(subject: Subject, case: Case, rng: np.random.Generator) -> None:
    forward = call_forward(subject, case, np.float32)
    call_backward(subject, forward, rng.standard_normal(forward.y.shape), np.float32)


def _climb_rule(subject: Subject, rng: np.random.Generator) -> None:
    """One function of numbers: contract, hygiene, values."""
    cases = subject.exercise.cases(rng)
    with minding_defaults(subject, cases[0]):
        _climb_values(subject, cases, rng)
    subject.passed.append("values")


def _climb_values(subject: Subject, cases: list[Case], rng: np.random.Generator) -> None:
    exercise, name = subject.exercise, subject.exercise.functions[0]
    tried = []
    for case in cases:
        given = student_arguments(subject, case, np.float64)
        results, answer = answered_rule(subject, case, given, np.float64)
        arguments = list(given)
        for k in answer.changed[:1]:
            raise Stop(modified_input(name, arguments[k]))
        again = call_rule(subject, case, student_arguments(subject, case, np.float64), np.float64)
        if any(differs(np.asarray(a), np.asarray(b), 1e-9) for a, b in zip(results, again, strict=True)):
            raise Stop(unsteady_result(name))
        values = [
            np.reshape(raw, ()) if label == "t" else from_student(raw, exercise.roles.get(label), subject.layout)
            for label, raw in zip(exercise.results, results, strict=True)
        ]
        expected = [np.asarray(e) for e in exercise.oracle(**plain_numbers(case), **case.settings)]
        tried.append(TriedRule(plain_numbers(case), case, values, expected))
        if any(tried[-1].wrong):
            continue
        for shared in answer.shared:
            label, argument = exercise.results[shared.result], arguments[shared.argument]
            raise Stop(shared_memory(name, label, argument, same=shared.same))
    if any(any(t.wrong) for t in tried):
        if not _rule_is_rounded(subject, tried, rng):
            raise Stop(explain_rule(exercise, tried, name, subject.layout))
        subject.note = precision.NOTE
    case = exercise.cases(rng)[0]
    call_rule(subject, case, student_arguments(subject, case, np.float32), np.float32)


def _rule_is_rounded(subject: Subject, tried: list[TriedRule], rng: np.random.Generator) -> bool:
    """Whether the results are right but for rounding to float32."""
    if not all(same(v, e, precision.SINGLE) for t in tried for v, e in zip(t.values, t.expected, strict=True)):
        return False

    def moves(t: TriedRule) -> bool:
        names = [name for name in t.case.arrays if name != "t"]

        def results(arrays: Sequence[Array]) -> list[Array]:
            case = replace(t.case, arrays={**t.case.arrays, **dict(zip(names, arrays, strict=True))})
            given = student_arguments(subject, case, np.float64)
            return [np.asarray(r) for r in call_rule(subject, case, given, np.float64)]

        return precision.moves_in_steps(results, [t.case.arrays[name] for name in names], rng)

    return all(moves(t) for t in tried if any(t.wrong))


def _climb_step(subject: Subject, rng: np.random.Generator) -> None:
    name = subject.exercise.functions[0]
    finding = gan_steps.check_step(name, lambda world: subject.play(name, world), rng)
    if finding is not None:
        raise Stop(finding)
    subject.passed.append("behaviour")
