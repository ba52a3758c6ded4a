"""The ladder: try a student's functions rung by rung, and stop at the first that gives way.

For a pair of functions: does forward take and return what it should (contract), without side effects (hygiene), and
is its result right; then the same for backward; then is backward linear in dy, sample by sample (algebra); and last,
does it agree with the slope of the forward pass along random directions (gradient). A forward mistake is told before
a backward one, because a gradient check cannot see a wrong forward.

The slope is measured in float64 with the exercise's own oracle, at steps h and h/2: where the two disagree, the
measurement is not to be trusted and is made again elsewhere. Only when something fails is the gradient measured
element by element, on a small case, for `minigan.check.mistakes.wrong_results` to say what is probably wrong.
"""

from __future__ import annotations

import inspect
import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from minigan.check.engine import gan_steps
from minigan.check.exercises import EXERCISES, Case, Exercise, from_student, student_shape, to_student
from minigan.check.mistakes import hints, wrong_results
from minigan.check.numeric import H, differs, slope
from minigan.check.outcomes import CHECKER_ERROR, FAILED, NOT_IMPLEMENTED, PASSED, Finding, Outcome
from minigan.nn.backend import Array

TOLERANCE = 1e-6
FORWARD_TOLERANCE = 1e-8
DIRECTIONS = 3


class Stop(Exception):  # noqa: N818 -- not an error: the ladder ends here
    """A rung has given way."""

    def __init__(self, finding: Finding, picture: dict[str, Any] | None = None) -> None:
        super().__init__(finding.title)
        self.finding, self.picture = finding, picture


class NotYet(Exception):  # noqa: N818 -- not an error
    """The student has not written this function yet."""


@dataclass
class Subject:
    """A student's functions for one exercise, called in their own layout."""

    exercise: Exercise
    functions: Mapping[str, Callable[..., Any] | None]
    layout: str = "NHWC"
    passed: list[str] = field(default_factory=list)

    def call(self, name: str, *arguments: Any, **settings: Any) -> Any:
        """Call one function; whatever it raises becomes a finding."""
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
            raise Stop(_raised(name, error)) from None


def _is_library(filename: str) -> bool:
    """Whether a frame is NumPy's or minigan's: a student wants to see the line of their own that led there."""
    parts = Path(filename).parts
    own = Path(__file__).resolve().parents[2]
    parents = Path(filename).resolve().parents
    inside = own in parents and own / "check" / "zoo" not in parents
    return "numpy" in parts or filename.startswith("<__array_function__") or inside


def _raised(name: str, error: BaseException) -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not _is_library(frame.filename)] or frames
    line = f"line {theirs[-1].lineno}: {theirs[-1].line}" if theirs else ""
    what = "calls sys.exit" if isinstance(error, SystemExit) else f"raises {type(error).__name__}"
    text = " ".join(str(error).split())[:300]
    cause, hint = next((told for (who, said), told in _RAISED.items() if who in name and said in text), ("", _LOOK))
    return Finding(
        "E10",
        "contract",
        f"{name} {what}" + (f": {text}" if text else ""),
        tuple(filter(None, (line,))),
        cause,
        hints=(hint,),
        where=name,
    )


# --------------------------------------------------------------------------------------------------------- entry point
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
        Never an exception for a student's mistake; a mistake of the checker's own is told as such.
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
    except Exception as error:  # a mistake of ours must not look like the student's
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
    """If the forward pass is right in the other layout, that is the thing to say."""
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
            cause=f"this is written for pictures ({order}), and right there; the file says {layout}.",
            hints=(f'Put LAYOUT = "{other}" at the top of the file (in a notebook: layout="{other}").',),
        )


# ---------------------------------------------------------------------------------------------------- forward/backward
@dataclass
class Forward:
    """A student's forward call on one case: the arguments as given, and the result in minigan's layout."""

    case: Case
    given: dict[str, Array]
    y: Array
    cache: Any
    raw: Any


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
            break  # a wrong value is told before a failure on a later case
        if result is not None:
            wrong_forwards.append(result)
    if wrong_forwards:
        raise Stop(wrong_results.explain_forward(exercise, wrong_forwards, exercise.functions[0], subject.layout))
    for case in exercise.extremes():
        _check_extreme(subject, case)
    _check_float32_forward(subject, cases[0])
    subject.passed.append("forward")
    backward = exercise.functions[1]
    if subject.functions.get(backward) is None:
        raise NotYet
    runs = []
    for case in cases:
        forward = _forward(subject, case)
        dy = rng.standard_normal(forward.y.shape)
        runs.append((forward, dy, _check_backward(subject, forward, dy)))
    _check_memory_of_calls(subject, runs, rng)
    _check_float32_backward(subject, cases[0], rng)
    algebra = _algebra(subject, runs)
    wrong = _probe(exercise, runs, rng)
    if algebra or wrong:
        raise Stop(*wrong_results.explain_gradient(subject, runs, wrong, algebra, backward))
    subject.passed.extend(exercise.gradients)


def _forward(subject: Subject, case: Case, dtype: Any = np.float64) -> Forward:
    """Call forward and check the contract of what comes back."""
    exercise, name = subject.exercise, subject.exercise.functions[0]
    given = _given(subject, case, dtype)
    result = subject.call(name, *given.values(), **case.settings)
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise Stop(_structure(name, "(y, cache)", result))
    raw, cache = result
    with np.errstate(all="ignore"):
        expected = np.asarray(exercise.oracle(**case.arrays, **case.settings))
    if exercise.scalar:
        y = _scalar(name, raw)
    else:
        role = exercise.roles.get("y")
        shape = student_shape(expected.shape, role, subject.layout)
        y = _array(name, "y", raw, shape, dtype, exercise, case, subject.layout)
        y = _flat_back(y, case, subject.layout) if role == "flat" else from_student(y, role, subject.layout)
    return Forward(case, given, y, cache, raw)


def _flat_back(y: Array, case: Case, layout: str) -> Array:
    """Rows of an NCHW student in the order of minigan's."""
    if layout == "NHWC":
        return y
    N, H, W, C = case.arrays["x"].shape
    return y.reshape(N, C, H, W).transpose(0, 2, 3, 1).reshape(N, -1)


def _flat_forth(dy: Array, case: Case, layout: str) -> Array:
    if layout == "NHWC":
        return dy.copy()
    N, H, W, C = case.arrays["x"].shape
    return np.ascontiguousarray(dy.reshape(N, H, W, C).transpose(0, 3, 1, 2).reshape(N, -1))


def _given(subject: Subject, case: Case, dtype: Any) -> dict[str, Any]:
    """Fresh copies of the arguments, in the student's layout and the wanted dtype; counts as plain numbers."""
    roles = subject.exercise.roles
    return {
        name: int(a.item()) if name == "t" else to_student(a, roles.get(name), subject.layout).astype(dtype)
        for name, a in case.arrays.items()
    }


def _check_forward(subject: Subject, case: Case) -> tuple[Case, Array, Array] | None:
    """Contract and hygiene of one forward call; (case, yours, right) if the values are wrong."""
    exercise, name = subject.exercise, subject.exercise.functions[0]
    forward = _forward(subject, case)
    before = _given(subject, case, np.float64)
    for argument, array in forward.given.items():
        if not np.array_equal(array, before[argument]):
            raise Stop(_modified(name, argument, case))
    if not exercise.scalar and not exercise.may_view:
        for argument, array in forward.given.items():
            if isinstance(forward.raw, np.ndarray) and np.may_share_memory(forward.raw, array):
                raise Stop(_view(name, "y", argument))
    again = _forward(subject, case)
    if not np.allclose(again.y, forward.y, rtol=1e-9, atol=1e-12):
        raise Stop(_unsteady(name))
    expected = np.asarray(exercise.oracle(**case.arrays, **case.settings))
    return (case, forward.y, expected) if differs(forward.y, expected, FORWARD_TOLERANCE) else None


def _check_extreme(subject: Subject, case: Case) -> None:
    """Large inputs: a formula that overflows is right for small ones only."""
    exercise, name = subject.exercise, subject.exercise.functions[0]
    with np.errstate(all="ignore"):
        expected = np.asarray(exercise.oracle(**case.arrays, **case.settings))
        accepted = [expected]
        if exercise.name == "bce_with_logits":  # a clip of the logit, as minigan and Keras have it, is as good
            accepted.append(np.asarray(wrong_results.clipped_bce(**case.arrays)))
        result = subject.call(name, *_given(subject, case, np.float64).values(), **case.settings)
    y = np.asarray(result[0], dtype=np.float64)
    if y.shape == expected.shape and any(not differs(y, a, t) for a, t in zip(accepted, (1e-6, 0.02), strict=False)):
        return
    error = np.where(np.isfinite(y), np.abs(y - expected), np.inf) if y.shape == expected.shape else np.array([np.inf])
    index = int(np.argmax(error))
    inputs = ", ".join(f"{k} = {np.ravel(a)[min(index, a.size - 1)]:g}" for k, a in case.arrays.items())
    cause = "exp of a large number is infinity, and log of something rounded to 0 is minus infinity."
    if np.isfinite(y).all():
        cause = "a constant or a clip inside the logarithm hides log(0): the loss stops growing where it should go on."
    raise Stop(
        Finding(
            "E39",
            "forward",
            f"{name} is right for moderate inputs, but not for large ones",
            (f"at {inputs}: yours {np.ravel(y)[min(index, y.size - 1)]:g}, right {np.ravel(expected)[index]:g}",),
            cause,
            hints.filled(("Which of your exponentials gets a large positive argument?",), hints.RESULTS[exercise.name]),
            where=name,
        )
    )


def _check_float32_forward(subject: Subject, case: Case) -> None:
    _forward(subject, case, np.float32)


def _backward(subject: Subject, forward: Forward, dy: Array, dtype: Any = np.float64) -> list[Array]:
    """Call backward and check the contract; gradients as fresh copies in minigan's layout."""
    return [from_student(raw, role, subject.layout).copy() for raw, role in _backward_raw(subject, forward, dy, dtype)]


def _only_one(result: Any) -> Any:
    """A single result as a tuple of one; nothing at all stays None, and a tuple what it is."""
    return result if result is None or isinstance(result, tuple) else (result,)


def _student_dy(subject: Subject, forward: Forward, dy: Array, dtype: Any) -> Any:
    exercise = subject.exercise
    if exercise.scalar:
        return float(dy)
    if exercise.roles.get("y") == "flat":
        return _flat_forth(dy, forward.case, subject.layout).astype(dtype)
    return to_student(dy, exercise.roles.get("y"), subject.layout).astype(dtype)


def _backward_raw(
    subject: Subject, forward: Forward, dy: Array, dtype: Any, given_dy: Any = None
) -> list[tuple[Array, str | None]]:
    exercise, name = subject.exercise, subject.exercise.functions[1]
    given_dy = _student_dy(subject, forward, dy, dtype) if given_dy is None else given_dy
    result = subject.call(name, given_dy, forward.cache)
    names = list(exercise.gradients)
    result = _only_one(result) if len(names) == 1 else result
    if not isinstance(result, tuple | list) or len(result) != len(names):
        raise Stop(_structure(name, ", ".join(names), result))
    _check_order(subject, forward.case, name, names, result)
    out = []
    for gradient, raw in zip(names, result, strict=True):
        argument = exercise.gradients[gradient]
        role = exercise.roles.get(argument)
        shape = student_shape(forward.case.arrays[argument].shape, role, subject.layout)
        out.append((_array(name, gradient, raw, shape, dtype, exercise, forward.case, subject.layout), role))
    return out


def _check_order(subject: Subject, case: Case, function: str, names: list[str], result: Any) -> None:
    """If the shapes fit in another order only, the return statement has them in that order."""
    exercise = subject.exercise
    arguments = [exercise.gradients[name] for name in names]
    right = [student_shape(case.arrays[a].shape, exercise.roles.get(a), subject.layout) for a in arguments]
    got = [np.shape(raw) if isinstance(raw, np.ndarray) else None for raw in result]
    if got == right or sorted(map(str, got)) != sorted(map(str, right)) or len(set(right)) < len(right):
        return
    order = ", ".join(names[right.index(shape)] for shape in got if shape is not None)
    raise Stop(
        Finding(
            "E67",
            "contract",
            f"{function} returns its gradients in the wrong order",
            (f"their shapes fit {order}; asked for is {', '.join(names)}",),
            hints=(f"return {', '.join(names)}",),
            where=function,
        )
    )


def _check_backward(subject: Subject, forward: Forward, dy: Array) -> list[Array]:
    """Contract and hygiene of one backward call."""
    exercise, name = subject.exercise, subject.exercise.functions[1]
    given_dy = _student_dy(subject, forward, dy, np.float64)
    dy_before = np.array(given_dy, copy=True)
    raw = _backward_raw(subject, forward, dy, np.float64, given_dy)
    if not np.array_equal(given_dy, dy_before):
        raise Stop(_modified(name, "dy", forward.case, "E21"))
    before = _given(subject, forward.case, np.float64)
    for argument, array in forward.given.items():
        if not np.array_equal(array, before[argument]):
            raise Stop(_modified(name, argument, forward.case))
    if not exercise.may_view:
        cached = list(_arrays_in(forward.cache))
        for (array, _), gradient in zip(raw, exercise.gradients, strict=True):
            if isinstance(given_dy, np.ndarray) and np.may_share_memory(array, given_dy):
                raise Stop(_view(name, gradient, "dy"))
            if any(np.may_share_memory(array, other) for other in cached):
                raise Stop(_view(name, gradient, "the cache"))
    return [from_student(array, role, subject.layout).copy() for array, role in raw]


def _check_float32_backward(subject: Subject, case: Case, rng: np.random.Generator) -> None:
    forward = _forward(subject, case, np.float32)
    _backward_raw(subject, forward, rng.standard_normal(forward.y.shape), np.float32)


def _check_memory_of_calls(
    subject: Subject, runs: list[tuple[Forward, Array, list[Array]]], rng: np.random.Generator
) -> None:
    """The same cache twice, and an older cache after a newer forward."""
    name = subject.exercise.functions[1]
    forward, dy, _ = runs[1]
    case = forward.case
    fresh = _forward(subject, case)
    first = _backward(subject, fresh, dy)
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
    old = _forward(subject, case)
    first = _backward(subject, old, dy)
    old = _forward(subject, case)
    _forward(subject, Case({k: a + 0.5 * rng.random(a.shape) for k, a in case.arrays.items()}, case.settings))
    if not _gives_again(subject, old, dy, first):
        raise Stop(
            Finding(
                "E25",
                "hygiene",
                f"after a second forward, {name} gives another gradient for the first one's cache",
                cause="something is kept in a global variable or on an object instead of in the cache.",
                hints=(
                    "A discriminator sees real and fake pictures before it goes back: each backward has to find its "
                    "own.",
                    "Put all that backward needs into the cache that forward returns.",
                ),
                where=name,
            )
        )


def _gives_again(subject: Subject, forward: Forward, dy: Array, first: list[Array]) -> bool:
    """Whether backward gives these gradients (again); failing altogether is a way of not doing so."""
    try:
        again = _backward(subject, forward, dy)
    except Stop:
        return False
    return not any(differs(a, b, 1e-9) for a, b in zip(again, first, strict=True))


# ------------------------------------------------------------------------------------------------------------- algebra
def _algebra(subject: Subject, runs: list[tuple[Forward, Array, list[Array]]]) -> str:
    """Code of the first law that backward breaks, "" if none. `diagnose` may know a better name for it."""
    for forward, dy, gradients in runs:
        if any(np.abs(a).max(initial=0) > 1e-12 for a in _backward(subject, forward, np.zeros_like(dy))):
            return "E40"
        doubled = _backward(subject, forward, 2 * dy)
        if any(differs(a, 2 * b, 1e-9) for a, b in zip(doubled, gradients, strict=True)):
            return "E41"
        other = np.sin(1 + np.arange(dy.size)).reshape(dy.shape)
        total = zip(_backward(subject, forward, dy + other), gradients, _backward(subject, forward, other), strict=True)
        if any(differs(s, a + b, 1e-8) for s, a, b in total):
            return "E41"
    exercise = subject.exercise
    if exercise.per_sample:
        for forward, dy, gradients in runs:
            if dy.shape[0] > 1 and not _samples_are_apart(subject, forward, dy, gradients):
                return "E42"
    for argument in exercise.linear:
        k = list(exercise.gradients.values()).index(argument)
        for forward, dy, gradients in runs:
            zero = {**forward.case.arrays, argument: np.zeros_like(forward.case.arrays[argument])}
            constant = exercise.oracle(**zero, **forward.case.settings)
            product = np.vdot(forward.y - constant, dy)
            if abs(product - np.vdot(forward.case.arrays[argument], gradients[k])) > 1e-8 * (
                abs(product) + forward.y.size
            ):
                return "E43"
    return ""


def _samples_are_apart(subject: Subject, forward: Forward, dy: Array, gradients: list[Array]) -> bool:
    """Each sample alone gives its own rows of dx; parameters' gradients are sums over the samples."""
    exercise, case = subject.exercise, forward.case
    batch = case.arrays["x"].shape[0]
    sums = [np.zeros_like(g) for g in gradients]
    for n in range(batch):
        one = Case({**case.arrays, "x": case.arrays["x"][n : n + 1]}, case.settings)
        alone = _backward(subject, _forward(subject, one), dy[n : n + 1])
        for k, argument in enumerate(exercise.gradients.values()):
            if argument == "x":
                sums[k][n] = alone[k][0]
            else:
                sums[k] += alone[k]
    return not any(differs(s, g, 1e-8) for s, g in zip(sums, gradients, strict=True))


# ------------------------------------------------------------------------------------------------------------ gradient
def _probe(
    exercise: Exercise, runs: list[tuple[Forward, Array, list[Array]]], rng: np.random.Generator
) -> dict[str, list[int]]:
    """Names of wrong gradients to the numbers of the cases in which they are wrong."""
    wrong: dict[str, list[int]] = {}
    for number, (forward, dy, gradients) in enumerate(runs):
        for (name, argument), gradient in zip(exercise.gradients.items(), gradients, strict=True):
            if not all(
                _direction_agrees(exercise, forward.case, argument, gradient, dy, rng) for _ in range(DIRECTIONS)
            ):
                wrong.setdefault(name, []).append(number)
    return wrong


def _direction_agrees(
    exercise: Exercise, case: Case, argument: str, gradient: Array, dy: Array, rng: np.random.Generator
) -> bool:
    for _ in range(5):
        direction = rng.standard_normal(gradient.shape)
        numeric, half = (slope(exercise, case, argument, direction, dy, h) for h in (H, H / 2))
        scale = abs(numeric) + float(np.linalg.norm(gradient))
        if abs(numeric - half) <= TOLERANCE * max(scale, 1e-3):
            break  # at a kink the two steps disagree: look elsewhere
    analytic = float(np.vdot(gradient, direction))
    return abs(numeric - analytic) <= TOLERANCE * (scale + abs(analytic)) + 1e-9 * math.sqrt(dy.size)


# --------------------------------------------------------------------------------------------------------------- rules
def _climb_rule(subject: Subject, rng: np.random.Generator) -> None:
    """One function of numbers: contract, hygiene, values."""
    exercise, name = subject.exercise, subject.exercise.functions[0]
    failures = []
    for case in exercise.cases(rng):
        given = _given(subject, case, np.float64)
        before = {k: np.array(a, copy=True) for k, a in given.items()}
        results = _rule_results(subject, case, given, np.float64)
        for argument, array in given.items():
            if not np.array_equal(array, before[argument]):
                raise Stop(_modified(name, argument, case))
        again = _rule_results(subject, case, _given(subject, case, np.float64), np.float64)
        if any(differs(np.asarray(a), np.asarray(b), 1e-9) for a, b in zip(results, again, strict=True)):
            raise Stop(_unsteady(name))
        values = [
            from_student(np.asarray(raw), exercise.roles.get(label), subject.layout)
            for label, raw in zip(exercise.results, results, strict=True)
        ]
        expected = [np.asarray(e) for e in exercise.oracle(**_numbers(case), **case.settings)]
        if any(differs(v, e, FORWARD_TOLERANCE) for v, e in zip(values, expected, strict=True)):
            failures.append(wrong_results.RuleFailure(_numbers(case), case, values, expected))
            continue
        for label, raw in zip(exercise.results, results, strict=True):
            for argument, array in given.items():
                if isinstance(raw, np.ndarray) and isinstance(array, np.ndarray) and np.may_share_memory(raw, array):
                    raise Stop(_view(name, label, argument))
    if failures:
        raise Stop(wrong_results.explain_rule(exercise, failures, name, subject.layout))
    case = exercise.cases(rng)[0]
    _rule_results(subject, case, _given(subject, case, np.float32), np.float32)
    subject.passed.append("values")


def _numbers(case: Case) -> dict[str, Any]:
    return {name: int(a.item()) if name == "t" else a for name, a in case.arrays.items()}


def _rule_results(subject: Subject, case: Case, given: dict[str, Any], dtype: Any) -> tuple[Any, ...]:
    exercise, name = subject.exercise, subject.exercise.functions[0]
    if exercise.name == "adam":  # the signature has t between v and the numbers
        given = {k: given[k] for k in ("p", "g", "m", "v", "t")}
        result = subject.call(name, *given.values(), *case.settings.values())
    else:
        result = subject.call(name, *given.values(), **case.settings)
    result = _only_one(result) if len(exercise.results) == 1 else result
    if not isinstance(result, tuple | list) or len(result) != len(exercise.results):
        raise Stop(_structure(name, ", ".join(exercise.results), result))
    expected = exercise.oracle(**_numbers(case), **case.settings)
    for label, raw, right in zip(exercise.results, result, expected, strict=True):
        if label == "t":
            if not isinstance(raw, int | float | np.number | np.ndarray) or np.size(raw) != 1:
                raise Stop(_no_array(name, label, raw, "a number"))
            continue
        shape = student_shape(np.shape(right), exercise.roles.get(label), subject.layout)
        _array(name, label, raw, shape, dtype, exercise, case, subject.layout)
    return tuple(result)


# --------------------------------------------------------------------------------------------------------------- steps
def _climb_step(subject: Subject, rng: np.random.Generator) -> None:
    name = subject.exercise.functions[0]
    finding = gan_steps.check_step(name, lambda *arguments: subject.call(name, *arguments), rng)
    if finding is not None:
        raise Stop(finding)
    subject.passed.append("behaviour")


# ------------------------------------------------------------------------------------------------------------ findings
_LOOK = "Run the function by hand on a small array and look at the shapes just before that line."
_DIVISION = "Look for a division by something that can be 0, and for np.empty that is not filled everywhere."
_POWER = (
    "a correction is 0 or below; it is 1 - beta**t, to the power of t, not 1 - beta*t.",
    "With beta = 0.9 and t = 2: what is 1 - beta*t, what 1 - beta**t, and what is the root of each?",
)
_NOT_FINITE = {
    "moving_average": (
        "at t = 0 the correction 1 - momentum**t is 0: t has to be counted up first.",
        "Look for a division by something that can be 0.",
    ),
    "adam": (
        "v is not made of squares, so that its root is one of numbers below 0; or the corrections count t from 0.",
        "Print v and both corrections, at t = 1.",
    ),
}
"""What is probably behind a value that is not finite, and a hint."""
_RAISED = {
    ("adam", "math domain error"): _POWER,
    ("generator_step", "dy is None"): (
        "D.backward gives the gradient for its input only when it is asked, with input_grad=True.",
        "G learns from what D's backward returns. Print it.",
    ),
    ("generator_step", ""): ("", "Write beside every line of the step what it takes, and what it returns."),
    ("discriminator_step", ""): ("", "Write beside every line of the step what it takes, and what it returns."),
}
"""What is probably behind an exception, and a hint, by parts of the function's name and of the message."""


def _array(
    function: str,
    name: str,
    raw: Any,
    shape: tuple[int, ...],
    dtype: Any,
    exercise: Exercise,
    case: Case,
    layout: str,
) -> Array:
    """Insist on an array of this shape and dtype, with finite values."""
    if isinstance(raw, np.generic) and shape == ():
        raw = np.asarray(raw)
    if not isinstance(raw, np.ndarray):
        raise Stop(_no_array(function, name, raw, f"an array of shape {shape}"))
    if raw.shape != shape:
        raise Stop(wrong_results.explain_shape(function, name, raw.shape, shape, exercise, case, layout))
    if raw.dtype != dtype and not (exercise.name == "adam" and name == "p" and raw.dtype == np.float64):
        # Adam's rate through np.sqrt(1 - beta2**t) is a NumPy float64, as in every textbook: let it be.
        raise Stop(
            Finding(
                "E14",
                "contract",
                f"{function}: {name} has dtype {raw.dtype} where the inputs have {np.dtype(dtype)}",
                cause=(
                    "np.zeros(...) without dtype, or a NumPy scalar such as np.sqrt(2.0), makes float64."
                    if raw.dtype == np.float64
                    else "this is the mask itself, not yet multiplied by dy."
                    if raw.dtype == np.bool_
                    else f"a number below 0 to the power of 0.5 is complex in Python: {_POWER[0]}"
                    if raw.dtype.kind == "c" and exercise.name == "adam"
                    else "a dtype is written into the code instead of being taken from the input."
                ),
                hints=(
                    _POWER[1]
                    if raw.dtype.kind == "c" and exercise.name == "adam"
                    else "Make new arrays with np.zeros(shape, x.dtype) or np.zeros_like(x).",
                ),
                where=f"{function}: {name}",
            )
        )
    if not np.isfinite(raw).all():
        bad = int(np.size(raw) - np.count_nonzero(np.isfinite(raw)))
        cause, hint = _NOT_FINITE.get(exercise.name, ("", _DIVISION))
        if exercise.name == "adam" and case.arrays["t"] > 1:  # what is right at t = 1 and not at 2
            cause, hint = _POWER
        raise Stop(
            Finding(
                "E15",
                "contract",
                f"{function}: {name} holds {bad} of {raw.size} values that are NaN or infinite",
                (f"on {case.told(exercise.roles, layout)}",),
                cause,
                (hint,),
                where=f"{function}: {name}",
            )
        )
    return raw


def _scalar(function: str, raw: Any) -> Array:
    if isinstance(raw, bool) or not isinstance(raw, int | float | np.number | np.ndarray):
        raise Stop(_no_array(function, "the loss", raw, "one number"))
    if np.shape(raw) != ():
        raise Stop(
            Finding(
                "E13",
                "contract",
                f"{function}: the loss must be one number, got shape {np.shape(raw)}",
                cause="the mean over the batch is missing, or is taken along one axis only.",
                where=function,
            )
        )
    value = np.asarray(raw, np.float64)
    if not np.isfinite(value):
        raise Stop(Finding("E15", "contract", f"{function}: the loss is {value}", where=function))
    return value


def _no_array(function: str, name: str, raw: Any, expected: str) -> Finding:
    what = "None" if raw is None else f"a {type(raw).__name__}"
    return Finding("E12", "contract", f"{function}: {name} must be {expected}, got {what}", where=f"{function}: {name}")


def _structure(function: str, expected: str, result: Any) -> Finding:
    if result is None:
        got, cause = "None", "the function has no return statement, or one path through it has none."
    elif isinstance(result, tuple | list):
        got, cause = f"a {type(result).__name__} of {len(result)}", ""
    else:
        got, cause = f"a {type(result).__name__}", ""
    return Finding(
        "E11",
        "contract",
        f"{function} must return {expected}, got {got}",
        cause=cause,
        hints=(f"The last line: return {expected.strip('()')}.",),
        where=function,
    )


def _modified(function: str, argument: str, case: Case, code: str = "E20") -> Finding:
    return Finding(
        code,
        "hygiene",
        f"{function} modifies its input {argument}",
        (),
        "an in-place operation (+=, *=, a[...] = , out=) works on the array itself, and whoever passed "
        "it still needs it.",
        (f"Make a copy first, or write {argument} = {argument} + ... instead of {argument} += ... .",),
        where=f"{function}: {argument}",
    )


def _view(function: str, name: str, of: str) -> Finding:
    return Finding(
        "E22",
        "hygiene",
        f"{function}: {name} shares memory with {of}",
        cause="a slice, reshape or transpose is a view: changing the result later changes the other array too.",
        hints=("Return a copy (.copy()), or compute into a new array.",),
        where=f"{function}: {name}",
    )


def _unsteady(function: str) -> Finding:
    return Finding(
        "E23",
        "hygiene",
        f"two equal calls of {function} give different results",
        cause="it draws random numbers, fills np.empty only partly, or remembers something between calls.",
        where=function,
    )


def _arrays_in(thing: Any, depth: int = 4) -> Iterator[Array]:
    """Arrays somewhere inside a cache."""
    if isinstance(thing, np.ndarray):
        yield thing
    elif depth and isinstance(thing, Mapping):
        for value in thing.values():
            yield from _arrays_in(value, depth - 1)
    elif depth and isinstance(thing, list | tuple | set):
        for value in thing:
            yield from _arrays_in(value, depth - 1)
    elif depth and hasattr(thing, "__dict__") and not isinstance(thing, type) and not callable(thing):
        yield from _arrays_in(vars(thing), depth - 1)
