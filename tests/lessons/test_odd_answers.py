"""Whatever is given in place of an answer, and whatever a function returns: a verdict in few words, no traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from lessons import exercises
from lessons.judging import LONGEST, Verdict, judge, judge_layer
from lessons.mistakes import sweep
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import FAILED, NOT_IMPLEMENTED, PASSED

ODD = (
    lambda *_: 1.0,
    None,
    10**400,
    float("nan"),
    float("inf"),
    -5,
    1j,
    True,
    "abc",
    "x" * 5000,
    b"x",
    [],
    [[1], [2, 3]],
    (1, 1, 1, 1),
    {},
    {1},
    object(),
    np.zeros((2, 2)),
    np.array(3.0),
    np.zeros((0, 3)),
    np.array([None, "x"], dtype=object),
    np.array(["a", "b"]),
    np.zeros(3, complex),
    np.float32(2),
    np.datetime64("2020-01-01"),
)


def with_one_part_odd(value: Any, depth: int = 0) -> Iterator[Any]:
    """The odd things, and the value with one of them, or another length, in the place of its first part."""
    yield from ODD
    if type(value) in (list, tuple) and value and depth < 3:
        yield from (type(value)([part, *value[1:]]) for part in with_one_part_odd(value[0], depth + 1))
        yield from (value[1:], type(value)([*value, *value]))
    elif isinstance(value, dict) and value and depth < 3:
        first = next(iter(value))
        yield from ({**value, first: part} for part in with_one_part_odd(value[first], depth + 1))
        yield from ({**value, "more": 1}, {**value, 7: 1}, {key: value[key] for key in list(value)[1:]})
    elif isinstance(value, np.ndarray):
        yield from (value.astype(object), value[None], value.astype(str), value.tolist(), value.ravel()[1:])


def returning(value: Any, like: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the same name and parameters that returns one thing."""
    return functools.wraps(like)(lambda *_, **__: value)


def odd_ones(given: Any, call: Callable[[Any], Verdict]) -> Iterator[Any]:
    """Odd answers; for a function, functions that return odd things, like the first result of the right one."""
    if not callable(given):
        yield from with_one_part_odd(given)
        return
    results: list[Any] = []

    @functools.wraps(given)
    def watched(*arguments: Any, **settings: Any) -> Any:
        results.append(given(*arguments, **settings))
        return results[-1]

    call(watched)
    yield from ODD
    yield from (returning(odd, given) for odd in with_one_part_odd(results[0] if results else None))


def judged(name: str, right: list[Any], k: int, settings: dict[str, Any], one: Any) -> Verdict:
    """What is said if one thing is given in the place of the k-th right one."""
    given = (*right[:k], one, *right[k + 1 :])
    if name in EXERCISES:
        return judge_layer(name, given, **settings)
    return judge(exercises.find(name), given, **settings)


@pytest.mark.parametrize("number", range(1, 15))
def test_an_odd_answer_has_a_verdict(number, monkeypatch):
    monkeypatch.setenv("MINIGAN_LESSONS_FAST", "1")
    lesson, tried = sweep.lesson(number), 0
    for name, calls in lesson.calls.items():
        call = max(calls, key=lambda one: len(one.arguments))
        right = [eval(argument, lesson.names) for argument in call.arguments]
        settings = {key: eval(value, lesson.names) for key, value in call.settings}
        for k, given in enumerate(right):
            with_this = functools.partial(judged, name, right, k, settings)
            for odd in odd_ones(given, with_this):
                verdict = with_this(odd)
                assert verdict.status in (PASSED, FAILED, NOT_IMPLEMENTED), (name, odd)
                finding = verdict.finding
                assert finding is None or max(map(len, [finding.title, *finding.evidence])) <= LONGEST + 4, (name, odd)
                tried += 1
    assert tried > 100


def test_the_wrong_number_of_answers_is_refused():
    with pytest.raises(ValueError, match="choose_h cannot take 1 functions or answers"):
        judge(exercises.find("choose_h"), [1e-5])
    with pytest.raises(ValueError, match="kill_the_mutants cannot take 2 functions or answers"):
        judge(exercises.find("kill_the_mutants"), [len, len])
    with pytest.raises(ValueError, match="softplus cannot take 2 functions or answers"):
        judge(exercises.find("softplus"), [len, len])
    with pytest.raises(ValueError, match="kill_the_mutants cannot take 1 functions or answers, step=2"):
        judge(exercises.find("kill_the_mutants"), [len], step=2)
