"""One call of a student's function: what comes of it, what it changed, and what its results share."""

import numpy as np
import pytest

from minigan.check.calls import answers
from minigan.check.calls.answers import CACHE, FunctionsHere, Kept, Shared


def forward(x, w):
    return x * w, (x, [w])


def backward(dy, cache):
    x, (w,) = cache
    return dy * w, x


def changes(dy, cache):
    dy += 1
    cache[0][...] = 0
    return dy[1:], cache[1][0]


def functions(**more):
    return FunctionsHere({"forward": forward, "backward": backward, "changes": changes, **more})


def test_a_cache_is_kept_under_a_number_and_used_again():
    here = functions()
    x, w = np.arange(3.0), np.full(3, 2.0)
    first = here.call("forward", (x, w), {}, keep=True)
    second = here.call("forward", (x + 1, w), {}, keep=True)
    assert [a.value[1] for a in (first, second)] == [Kept(0), Kept(1)]
    answer = here.call("backward", (np.ones(3), first.value[1]), {})
    np.testing.assert_array_equal(answer.value[1], x)
    assert answer.shared == (Shared(1, CACHE, same=True),)
    here.forget()
    assert here.call("forward", (x, w), {}, keep=True).value[1] == Kept(0)


def test_changed_arguments_and_shared_memory_are_seen():
    here = functions()
    x, dy = np.arange(3.0), np.ones(3)
    kept = here.call("forward", (x, np.ones(3)), {}, keep=True).value[1]
    answer = here.call("changes", (dy, kept), {})
    assert (answer.changed, answer.changed_before) == ((0,), (0,))
    assert set(answer.shared) == {Shared(0, 0, same=False), Shared(1, CACHE, same=True)}


def fails(x):
    raise ZeroDivisionError("by zero")


def unwritten(x):
    raise NotImplementedError


def greedy(x):
    raise MemoryError("no more")


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (fails, answers.RAISED),
        (unwritten, answers.NOT_WRITTEN),
        (None, answers.NOT_WRITTEN),
        (greedy, answers.OUT_OF_MEMORY),
        (lambda: 0, answers.DOES_NOT_FIT),
    ],
)
def test_what_does_not_return_is_told(function, kind):
    answer = functions(f=function).call("f", (np.ones(2),), {})
    assert answer.kind == kind
    if function is fails:
        assert (answer.error, answer.text) == ("ZeroDivisionError", "by zero")
        assert 'raise ZeroDivisionError("by zero")' in answer.lines[0]


def interrupted(x):
    raise KeyboardInterrupt


def test_ctrl_c_ends_a_notebooks_check_and_no_other():
    with pytest.raises(KeyboardInterrupt):
        functions(f=interrupted).call("f", (1,), {})
    there = FunctionsHere({"f": interrupted}, catch_interrupts=True)
    assert there.call("f", (1,), {}).error == "KeyboardInterrupt"
