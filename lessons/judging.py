"""How a lesson's exercise is judged, without printing anything.

The exercises of `minigan.check` are layers, whose gradients it measures: `judge_layer` hands them to its engine. The
lessons ask for more than layers: a puzzle of indices, a number read off a curve, the name of a fault. For each of
these, `lessons.exercises` has an `Exercise`, which says how an answer is tried: on cases, against a reference, with a
list of known mistakes, or by a function of its own. Either way the result is a `Verdict`; `lessons.notebook` prints it.

A cause is named only if it explains everything that the student gave, right and wrong (`explanation`). Numbers count,
not how they are kept: a list, a tuple and an array of the right numbers are all right.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lessons.methods import METHODS
from minigan.check.calls.bounded_prints import bounded_prints
from minigan.check.calls.own_lines import own_lines
from minigan.check.engine import precision
from minigan.check.mistakes.hints import Method
from minigan.check.mistakes.hypotheses import Guess, Idea, common
from minigan.check.outcomes import FAILED, NOT_IMPLEMENTED, PASSED, Finding
from minigan.system.errors import UserError

SMALL = 12
"""Arrays of up to this many elements are printed in full."""

LONGEST = 1000
"""Characters of a line that quotes an answer."""

_LESSONS = Path(__file__).resolve().parent
_LIBRARY = Path(inspect.getfile(UserError)).resolve().parents[1]


# ------------------------------------------------------------------------------------------------------------- verdicts
@dataclass(frozen=True)
class Verdict:
    """What `check` found.

    Parameters
    ----------
    status : str
        "passed", "failed" or "not implemented" (`minigan.check.outcomes`).
    said : str
        What was found right, or what is not there yet.
    finding : Finding or None
        What is wrong, if failed.
    right : tuple of str
        Parts that are right although the whole is not.
    lesson : int
        That teaches what is wrong or missing, if it is not the exercise's own; else 0.
    """

    status: str
    said: str = ""
    finding: Finding | None = None
    right: tuple[str, ...] = ()
    lesson: int = 0

    @property
    def passed(self) -> bool:
        """Whether the exercise is solved."""
        return self.status == PASSED

    @classmethod
    def ok(cls, said: str = "") -> Verdict:
        """Solved; `said` tells what was found right."""
        return cls(PASSED, said)

    @classmethod
    def wrong(cls, title: str, *evidence: str, cause: str = "", code: str = "", where: str = "") -> Verdict:
        """Not solved: what is wrong in one line, what was measured, and why it is probably so."""
        told = tuple(map(_bounded, evidence))
        return cls(FAILED, finding=Finding(code, "forward", _bounded(title), told, cause, where=where))

    @classmethod
    def not_yet(cls, said: str = "not implemented yet") -> Verdict:
        """Nothing to judge yet."""
        return cls(NOT_IMPLEMENTED, said)

    def _ipython_display_(self) -> None:
        """Nothing: `check` has printed it."""


def name_faults(truth: Mapping[str, str], words: Mapping[str, str], lead: str) -> Callable[[Any], Verdict]:
    """A judge for "say what each of these is": letters are to be matched with words.

    Parameters
    ----------
    truth : mapping of str to str
        The right word for each letter.
    words : mapping of str to str
        For each word, how it can be told.
    lead : str
        Stands before the word that was wrongly given and how it could have been told.

    Returns
    -------
    callable
        From the answer, a dict of letters to words, to a `Verdict` about its first mistake.
    """

    def judge(answer: Any) -> Verdict:
        if not isinstance(answer, Mapping) or set(answer) != set(truth):
            return Verdict.wrong(f"a dict with the keys {', '.join(truth)} is wanted, got {answer!r}", code="E11")
        unknown = [word for word in answer.values() if not among(word, words)]
        if unknown:
            return Verdict.wrong(f"{unknown[0]!r} is none of {', '.join(words)}", code="E12")
        wrong = [letter for letter, word in answer.items() if word != truth[letter]]
        if not wrong:
            return Verdict.ok(f"all {len(truth)}")
        letter, given = wrong[0], answer[wrong[0]]
        return Verdict.wrong(
            f"{len(truth) - len(wrong)} of {len(truth)} are right; {letter} is not {given!r}",
            f"{lead} {given!r}: {words[given]}",
            code="E30",
        )

    return judge


# ------------------------------------------------------------------------------------------------------------ exercises
@dataclass(frozen=True)
class Mistake:
    """A wrong answer that people give.

    Parameters
    ----------
    function : callable
        Makes this mistake; takes the exercise's arguments.
    why : str
        What the mistake is and why it is wrong; the student reads this.
    """

    function: Callable[..., Any]
    why: str


@dataclass(frozen=True)
class Exercise:
    """One exercise of a lesson.

    Parameters
    ----------
    name : str
        As in ``check(name, ...)``; no other exercise has it, here or in `minigan.check`.
    lesson : int
    reference : callable, optional
        The right function.
    cases : callable, optional
        Random generator to a list of tuples of arguments.
    mistakes : sequence of Mistake
        The student is told the first one that gives the same results in every case, right and wrong.
    hints : tuple of str
        Three, from a nudge to the way out.
    tolerance : float
        Largest error that still counts as right, as a share of the largest expected value.
    asks_dtype : bool
        Whether the text asks for the dtype of the result.
    judge : callable, optional
        In place of reference and cases: takes what `check` was given, returns a `Verdict`.
    doc : str
        What is asked for.
    """

    name: str
    lesson: int
    reference: Callable[..., Any] | None = None
    cases: Callable[[np.random.Generator], Sequence[tuple[Any, ...]]] | None = None
    mistakes: Sequence[Mistake] = ()
    hints: tuple[str, str, str] = ("", "", "")
    tolerance: float = 1e-9
    asks_dtype: bool = False
    judge: Callable[..., Verdict] | None = None
    doc: str = ""

    def __post_init__(self) -> None:
        if (self.judge is None) == (self.reference is None or self.cases is None):
            raise ValueError(f"{self.name}: an exercise has either reference and cases, or judge")

    def takes(self, given: Sequence[Any], settings: Mapping[str, Any]) -> bool:
        """Whether `check` may be given so many functions or answers, and these settings of the judge's own."""
        if self.judge is None:
            return len(given) == 1
        try:
            inspect.signature(self.judge).bind(*given, **settings)
        except TypeError:
            return False
        return True

    def difference(self, yours: Any, right: Any) -> Difference | None:
        """How a result differs from the right one, also in its dtype if the text asks for that."""
        found = difference(yours, right, self.tolerance)
        if found is None and self.asks_dtype and isinstance(right, np.ndarray):
            dtype = getattr(yours, "dtype", None)
            if dtype != right.dtype:
                got = f"has dtype {dtype}" if dtype is not None else f"is a {type(yours).__name__}"
                return Difference(f"the result {got}, asked for is {right.dtype}", "E14")
        return found


def judge(exercise: Exercise, given: Sequence[Any], *, seed: int = 0, **settings: Any) -> Verdict:
    """Try what a student has given for a lesson's own exercise.

    Parameters
    ----------
    exercise : Exercise
    given : sequence
        Functions or answers; an answer of None is not given yet.
    seed : int
        Seed of the random cases.
    **settings
        Settings of the exercise's own judge.

    Returns
    -------
    Verdict

    Raises
    ------
    ValueError
        If the number of functions or answers does not fit, or a setting.
    """
    if any(one is None for one in given) or not given:
        return Verdict.not_yet("not answered yet")
    if not exercise.takes(given, settings):
        told = "".join(f", {name}={value!r}" for name, value in settings.items())
        raise ValueError(f"check: {exercise.name} cannot take {len(given)} functions or answers{told}")
    try:
        with np.errstate(all="ignore"), bounded_prints():
            if exercise.judge is not None:
                return exercise.judge(*given, **settings)
            return _on_cases(exercise, given[0], seed)
    except NotImplementedError:
        return Verdict.not_yet()
    except Exception as error:
        if isinstance(error, TypeError) and str(error).endswith("is not callable") and not all(map(callable, given)):
            wrong = next(one for one in given if not callable(one))
            return Verdict.wrong(f"a function is wanted, got {_brief(wrong)}", code="E12")
        finding = blame(error, given)
        if finding is None:  # a mistake of ours must not look like the student's
            raise
        return Verdict(FAILED, finding=finding)


def judge_layer(name: str, given: tuple[Any, ...], *, layout: str = "NHWC", seed: int = 0, method: str = "") -> Verdict:
    """Judge an exercise of `minigan.check`, without printing.

    Parameters
    ----------
    name : str
    given : tuple of callable
        Forward and backward, or the single function; forward alone passes when it is right.
    layout : "NHWC" or "NCHW"
    seed : int
    method : str
        The lesson's way to write it, of which the hints speak (`lessons.methods`).

    Returns
    -------
    Verdict

    Raises
    ------
    ValueError
        If the number of functions or the layout does not fit.
    """
    from minigan.check.engine.ladder import run_exercise
    from minigan.check.exercise_table import EXERCISES

    functions = EXERCISES[name].functions
    if not 1 <= len(given) <= len(functions):
        raise ValueError(f"check: {name} is {' and '.join(functions)}, got {len(given)} functions")
    if layout not in ("NHWC", "NCHW"):
        raise ValueError(f'check: layout must be "NHWC" or "NCHW", got {layout!r}')
    own = hints_of_method(name, layout, method)
    with bounded_prints():
        outcome = run_exercise(name, dict(zip(functions, given, strict=False)), layout=layout, seed=seed, method=own)
    status = outcome.status
    if status == NOT_IMPLEMENTED and len(given) == 1 and outcome.passed:
        status = PASSED  # a lesson may ask for forward first
    said = ", ".join([*outcome.passed, *filter(None, [outcome.note])])
    if status == NOT_IMPLEMENTED:
        said = "not implemented yet" + (f" (but right so far: {said})" if said else "")
    return Verdict(status, said, outcome.finding, tuple(outcome.passed), outcome.lesson)


def hints_of_method(name: str, layout: str, method: str) -> Method | None:
    """Hints for an exercise of `minigan.check` in a lesson's own way; None if it has none, or for another layout."""
    if layout != "NHWC":
        return None
    if method and (name, method) not in METHODS:
        raise ValueError(f"check: {name} has no hints for the method {method!r}")
    return METHODS.get((name, method))


def blame(error: Exception, given: Sequence[Any]) -> Finding | None:
    """What to tell about an exception, if it came from a student's function; None if it is the lesson's own.

    Parameters
    ----------
    error : Exception
    given : sequence
        What the student has given.

    Returns
    -------
    Finding or None
    """
    names = [getattr(one, "__name__", "") for one in given if callable(one)]
    text = " ".join(str(error).split())[:300]
    where, lines = own_lines(error, names, _is_library)
    if lines:
        title = f"{where} raises {type(error).__name__}" + (f": {text}" if text else "")
        return Finding("E10", "contract", title, lines, where=where)
    called = next((name for name in names if name and f"{name}()" in text), None)
    if isinstance(error, TypeError) and called:
        title = f"{called} cannot be called with the exercise's arguments"
        return Finding("E16", "contract", title, (text,), where=called)
    return None


def _is_library(filename: str) -> bool:
    """Whether a frame is NumPy's, minigan's or the course's: a student wants to see a line of their own code."""
    path = Path(filename)
    if filename.startswith("<__array_function__") or "numpy" in path.parts:
        return True
    parents = path.resolve().parents
    return (_LESSONS in parents or _LIBRARY in parents) and path.name != "my_layers.py"


# ------------------------------------------------------------------------------------------------------------- on cases
@dataclass(frozen=True)
class _Tried:
    """One case that was tried, and how the student's result differs from the right one there."""

    arguments: tuple[Any, ...]
    yours: Any
    right: Any
    difference: Difference | None

    @property
    def size(self) -> int:
        return sum(np.size(a) for a in self.arguments if isinstance(a, np.ndarray | int | float | list | tuple))


@dataclass(frozen=True)
class Difference:
    """How a result differs from the right one: in a line, with evidence, and the code of the kind of mistake."""

    title: str
    code: str
    evidence: tuple[str, ...] = ()
    values: bool = field(default=False)  # form is right, and values are wrong


def _on_cases(exercise: Exercise, function: Any, seed: int) -> Verdict:
    assert exercise.reference is not None
    assert exercise.cases is not None
    name = getattr(function, "__name__", "<lambda>").replace("<lambda>", exercise.name)
    if not callable(function):
        return Verdict.wrong(f"a function is wanted, got {_brief(function)}", code="E12")
    cases = exercise.cases(np.random.default_rng([seed, *exercise.name.encode()]))
    tried: list[_Tried] = []
    for case in cases:
        arguments = copy.deepcopy(case)
        problem = _cannot_take(function, name, arguments)
        if problem is not None:
            return problem
        try:
            yours = function(*arguments)
        except NotImplementedError:
            raise
        except Exception as error:
            if any(t.difference for t in tried):
                continue  # a wrong result is told before a failure on a later case
            finding = blame(error, [function])
            if finding is None:
                raise
            told = (*finding.evidence, f"called with {told_case(exercise, case)}")
            return Verdict(FAILED, finding=Finding(finding.code, "contract", finding.title, told, where=name))
        for argument, before, after in zip(_parameters(exercise, case), case, arguments, strict=True):
            if not _unchanged(before, after):
                return Verdict.wrong(
                    f"{name} modifies its input {argument}",
                    cause="an in-place operation (+=, *=, a[...] = , out=) works on the array itself, and the "
                    "caller still needs it as it was. A view shares memory with its array, too.",
                    code="E20",
                    where=name,
                )
        right = exercise.reference(*copy.deepcopy(case))
        tried.append(_Tried(case, yours, right, exercise.difference(yours, right)))
    if not any(t.difference for t in tried):
        return Verdict.ok(f"{len(cases)} cases")
    if len(tried) == len(cases) and _is_rounded(exercise, function, tried):
        return Verdict.ok(f"{len(cases)} cases; {precision.NOTE}")
    return _wrong(exercise, name, tried, len(cases))


def _wrong(exercise: Exercise, name: str, tried: list[_Tried], count: int) -> Verdict:
    failures = [t for t in tried if t.difference is not None]
    by_form = (t for t in failures if t.difference is not None and not t.difference.values)
    worst = next(by_form, None) or min(failures, key=lambda t: t.size)
    found = worst.difference
    assert found is not None
    which = "in every case" if len(failures) == count else f"in {len(failures)} of {count} cases"
    evidence = [*found.evidence, f"{which}, such as {told_case(exercise, worst.arguments)}"]
    if _is_small(worst.right) and (_is_small(worst.yours) or not found.values):
        evidence += [
            f"{parameter} = {_brief(value)}"
            for parameter, value in zip(_parameters(exercise, worst.arguments), worst.arguments, strict=True)
            if isinstance(value, np.ndarray) and _is_small(value)
        ]
        evidence += [f"yours = {_brief(worst.yours)}", f"expected = {_brief(worst.right)}"]
    results = [(_results(m, tried), m.why) for m in exercise.mistakes]
    cause = explanation([t.yours for t in tried], results, exercise.tolerance)
    return Verdict.wrong(f"{name}: {found.title}", *evidence, cause=cause, code=found.code, where=name)


def _results(mistake: Mistake, tried: list[_Tried]) -> Iterator[Any]:
    """What a known mistake gives in each case; `_RAISED` where it raises an exception."""
    for t in tried:
        try:
            yield mistake.function(*copy.deepcopy(t.arguments))
        except Exception:
            yield _RAISED


_RAISED = object()


def explanation(yours: Sequence[Any], hypotheses: Iterable[tuple[Iterable[Any], str]], tolerance: float = 1e-9) -> str:
    """The first known mistake that explains everything a student gave, right and wrong.

    Parameters
    ----------
    yours : sequence
        The student's results, one for each case or question.
    hypotheses : iterable of (results, why)
        What a mistake gives for each of them, and what to tell.
    tolerance : float
        That by which a right result has to agree, too.

    Returns
    -------
    str
        "" if no mistake explains all of them.
    """
    mistakes = [(list(results), why) for results, why in hypotheses]
    cases = [
        ([Guess(Idea("", why), difference(y, results[k], tolerance) is None) for results, why in mistakes], False)
        for k, y in enumerate(yours)
    ]
    found = common(cases)
    return found.cause if found is not None else ""


def _is_rounded(exercise: Exercise, function: Callable[..., Any], tried: list[_Tried]) -> bool:
    """Whether the results are right but for rounding to float32, which nobody asked for."""
    assert exercise.reference is not None
    rng = np.random.default_rng(0)
    for t in tried:
        if t.difference is None:
            continue
        places = [k for k, a in enumerate(t.arguments) if isinstance(a, np.ndarray) and a.dtype == np.float64]
        if not places or difference(t.yours, t.right, precision.SINGLE) is not None:
            return False

        def results(arrays: Sequence[Any], t: _Tried = t, places: list[int] = places) -> list[Any]:
            arguments = list(copy.deepcopy(t.arguments))
            for k, array in zip(places, arrays, strict=True):
                arguments[k] = array
            result = function(*arguments)
            return list(result) if isinstance(result, tuple | list) else [result]

        try:
            if not precision.moves_in_steps(results, [t.arguments[k] for k in places], rng):
                return False
        except (TypeError, ValueError):  # no numbers
            return False
    return True


def _cannot_take(function: Callable[..., Any], name: str, arguments: tuple[Any, ...]) -> Verdict | None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*arguments)
    except TypeError as error:
        title = f"{name} cannot be called with the exercise's arguments"
        told = f"called with {len(arguments)} arguments: {error}; yours is {name}{signature}"
        return Verdict.wrong(title, told, code="E16", where=name)
    return None


def _parameters(exercise: Exercise, case: tuple[Any, ...]) -> list[str]:
    assert exercise.reference is not None
    names = list(inspect.signature(exercise.reference).parameters)
    return [names[k] if k < len(names) else f"argument {k + 1}" for k in range(len(case))]


def told_case(exercise: Exercise, case: tuple[Any, ...]) -> str:
    """The arguments of a case in a few words: shapes of arrays, values of numbers."""
    told = []
    for name, value in zip(_parameters(exercise, case), case, strict=True):
        told.append(f"{name} {value.shape}" if isinstance(value, np.ndarray) else f"{name} = {_brief(value)}")
    return ", ".join(told)


# ----------------------------------------------------------------------------------------------------------- comparison
def difference(yours: Any, right: Any, tolerance: float, label: str = "the result") -> Difference | None:
    """Compare a result with the right one: type, shape, dtype, values.

    Parameters
    ----------
    yours, right
        Arrays, numbers, or tuples, lists and dicts of such; anything else is compared with ``==``.
    tolerance : float
        Share of the largest expected value.
    label : str
        What the result is called in the message.

    Returns
    -------
    Difference or None
    """
    if isinstance(right, tuple | list):
        if not is_sequence(yours) or len(yours) != len(right):
            return Difference(f"{label} must be a {kind_of(right)}, got {kind_of(yours)}", "E11")
        name = "result" if label == "the result" else f"{label}, entry"
        labels = [f"{name} {k} of {len(right)}" for k in range(1, len(right) + 1)]
        found = (difference(y, r, tolerance, text) for y, r, text in zip(yours, right, labels, strict=True))
        return next((one for one in found if one is not None), None)
    if isinstance(right, Mapping):
        if not isinstance(yours, Mapping) or set(yours) != set(right):
            wanted = ", ".join(map(repr, right))
            return Difference(f"{label} must be a dict with the keys {wanted}, got {kind_of(yours)}", "E11")
        found = (difference(yours[key], right[key], tolerance, f"{label}[{key!r}]") for key in right)
        return next((one for one in found if one is not None), None)
    if isinstance(right, np.ndarray):
        return _array_difference(yours, right, tolerance, label)
    if isinstance(right, bool | np.bool_ | str) or right is None or not isinstance(right, int | float | np.number):
        if type(yours) is not type(right) and not _both_bool(yours, right):
            return Difference(f"{label} must be {kind_of(right)}, got {kind_of(yours)}", "E12")
        told = (f"yours {_brief(yours)}, expected {_brief(right)}",)
        return None if yours == right else Difference(f"{label} is wrong", "E30", told, values=True)
    value = number(yours)
    if value is None:
        return Difference(f"{label} must be one number, got {kind_of(yours)}", "E12")
    return _array_difference(np.asarray(value), np.asarray(right, float), tolerance, label)


def _array_difference(yours: Any, right: np.ndarray[Any, Any], tolerance: float, label: str) -> Difference | None:
    array = as_array(yours)
    if array is None or (isinstance(yours, np.generic | int | float) and right.shape != ()):
        return Difference(f"{label} must be an array of shape {right.shape}, got {kind_of(yours)}", "E12")
    yours = array
    if yours.shape != right.shape:
        return Difference(f"{label} has shape {yours.shape}, expected {right.shape}", "E13")
    # float64 for float32 is right, and whole numbers for floats; truth values are no numbers, fractions not whole ones
    if yours.dtype.kind not in {"f": "fiu", "i": "iu", "u": "iu"}.get(right.dtype.kind, right.dtype.kind):
        return Difference(f"{label} has dtype {yours.dtype}, expected {right.dtype}", "E14")
    if right.dtype.kind not in "fiub":
        return None if np.array_equal(yours, right) else Difference(f"{label} is wrong", "E30", values=True)
    if right.dtype == np.float32:  # rounded by itself
        tolerance = max(tolerance, 1e-5)
    with np.errstate(all="ignore"):
        a, b = yours.astype(float), right.astype(float)
        scale = max(float(np.abs(b[np.isfinite(b)]).max(initial=0)), 1e-3)
        error = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
        error = np.where(np.isnan(error), np.inf, error)
    bad = error > tolerance * scale
    if not bad.any():
        return None
    at = np.unravel_index(int(np.argmax(error)), error.shape)
    numbers = f"yours {_number(a[at])}, expected {_number(b[at])}"
    if right.shape == ():
        return Difference(f"{label} is wrong", "E30", (numbers,), values=True)
    place = ", ".join(str(int(k)) for k in at)
    title = f"{int(bad.sum())} of {bad.size} values of {label} are wrong" if bad.size > 1 else f"{label} is wrong"
    return Difference(title, "E30", (f"worst at ({place}): {numbers}",), values=True)


def is_sequence(value: Any) -> bool:
    """Whether a value is a list, a tuple or an array with at least one axis."""
    return isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)


def as_array(value: Any) -> np.ndarray[Any, Any] | None:
    """An array, or a number or nested sequence of numbers as one; None if it is neither."""
    if isinstance(value, np.ndarray):
        return value
    if not isinstance(value, np.generic | bool | int | float | list | tuple):
        return None
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        return None
    return array if array.dtype.kind in "biuf" else None


def numbers(value: Any) -> np.ndarray[Any, Any] | None:
    """What was given as an array of float64; None if it is not made of numbers, or one is too large for that."""
    try:
        array = np.asarray(value)
        return array.astype(float) if array.dtype.kind in "biuf" else None
    except (TypeError, ValueError, OverflowError):
        return None


def number(value: Any) -> float | None:
    """What was given as a number; None if it is no number (a truth value is none)."""
    array = numbers(value)
    return None if array is None or array.shape != () or isinstance(value, bool | np.bool_) else float(array)


def among(answer: Any, choices: Iterable[Any]) -> bool:
    """Whether an answer is one of some words or numbers. Something else, such as an array, is none of them."""
    return isinstance(answer, str | int | float | np.generic) and answer in list(choices)


def _both_bool(a: Any, b: Any) -> bool:
    return isinstance(a, bool | np.bool_) and isinstance(b, bool | np.bool_)


def _unchanged(before: Any, after: Any) -> bool:
    if isinstance(before, np.ndarray):
        return bool(np.array_equal(before, after, equal_nan=before.dtype.kind == "f"))
    if isinstance(before, tuple | list):
        return len(before) == len(after) and all(map(_unchanged, before, after))
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(_unchanged(before[key], after[key]) for key in before)
    return True


# ---------------------------------------------------------------------------------------------------------------- words
def kind_of(value: Any) -> str:
    """What a value is, in a few words."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} of {len(value)}"
    if value is None or isinstance(value, bool | str | int | float):
        return _brief(value)
    return f"a {type(value).__name__}"


def _is_small(value: Any) -> bool:
    return np.size(value) <= SMALL if isinstance(value, np.ndarray) else isinstance(value, int | float | np.number)


def _number(value: float) -> str:
    return f"{value:+.4g}" if np.isfinite(value) else str(value)


def _bounded(text: str) -> str:
    """A text, cut if it is much too long: an answer may hold anything, and it is quoted."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _brief(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, np.ndarray):
        if value.size > SMALL:
            return f"an array of shape {value.shape}"
        return " ".join(np.array2string(value, precision=3, separator=", ", suppress_small=True).split())
    if isinstance(value, float | np.floating):
        return f"{float(value):.6g}"
    if callable(value):
        return str(getattr(value, "__name__", type(value).__name__))
    if isinstance(value, Mapping) and any(isinstance(one, np.ndarray) for one in value.values()):
        return "{" + ", ".join(f"{key!r}: {_brief(one)}" for key, one in value.items()) + "}"
    if isinstance(value, tuple | list) and any(isinstance(one, np.ndarray) for one in value):
        return f"({', '.join(map(_brief, value))})"
    return str(value.item() if isinstance(value, np.generic) else repr(value))[:80]
