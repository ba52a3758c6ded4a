"""What is prepared from a parameter: once for each of its values, and never from an old one."""

import copy
import pickle
import weakref

import numpy as np
import pytest

from minigan.nn import share
from minigan.nn.share import Share

FOR_ALL = slice(0, 3)


@pytest.fixture
def w():
    return np.arange(3.0)


def doubled(w, what="", *, filled=None):
    """Twice a parameter, as `share.prepared` gives it; None where nothing is kept."""

    def fill(array, part):
        if filled is not None:
            filled.append(part)
        array[..., part] = 2 * w[part]

    return share.prepared(w, (3,), fill, what)


def test_outside_of_a_step_nothing_is_kept(w):
    assert doubled(w) is None
    with share.having(Share(), [w]):
        assert doubled(w) is not None
    assert doubled(w) is None


def test_an_array_that_is_no_parameter_of_the_step_is_not_kept(w):
    """A layer of one's own may write to it whenever it likes."""
    with share.having(Share(), [w.copy()]):
        assert doubled(w) is None


def test_it_is_made_once_until_somebody_says_that_the_parameter_is_updated(w):
    filled, other = [], np.ones(3)
    with share.having(Share(), [w, other]):
        for _ in range(2):
            np.testing.assert_array_equal(doubled(w, filled=filled), 2 * w)
        share.updated([other])
        doubled(w, filled=filled)
        assert filled == [FOR_ALL]
        w += 1
        share.updated([w])
        np.testing.assert_array_equal(doubled(w, filled=filled), 2 * w)
    assert filled == [FOR_ALL, FOR_ALL]


def test_several_arrays_of_one_parameter_have_names_and_shapes(w):
    with share.having(Share(), [w]):
        kept = share.prepared(w, (3,), lambda array, part: array.fill(1), "ones")
        assert doubled(w, "twice") is not kept
        assert share.prepared(w, (2, 3), lambda array, part: array.fill(2), "ones").shape == (2, 3)
        np.testing.assert_array_equal(kept, np.ones(3))


def test_a_new_step_trusts_nothing(w):
    """Between two steps a user may write to a parameter, or put another array in its place."""
    whole, filled = Share(), []
    with share.having(whole, [w]):
        doubled(w, filled=filled)
    w += 1
    with share.having(whole, [w]):
        np.testing.assert_array_equal(doubled(w, filled=filled), 2 * w)
    other = w + 1
    with share.having(whole, [other]):
        np.testing.assert_array_equal(doubled(other, filled=filled), 2 * other)
    assert filled == 3 * [FOR_ALL]  # and nothing was made of the array that is gone


def test_what_a_step_did_not_ask_for_is_dropped(w):
    whole, other = Share(), np.ones(3)
    with share.having(whole, [w, other]):
        asked_for_once = weakref.ref(doubled(w))
        doubled(other)
    for kept in (True, False):  # while a step runs, it may still ask; the next one drops the array
        with share.having(whole, [w, other]):
            doubled(other)
            assert (asked_for_once() is not None) == kept


def test_after_an_error_in_a_step_there_is_no_share_and_the_next_step_is_right(w):
    whole = Share()

    def fail():
        with share.having(whole, [w]):
            doubled(w)
            w[...] += 1  # updated, but the step did not come to saying so
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert doubled(w) is None
    with share.having(whole, [w]):
        np.testing.assert_array_equal(doubled(w), 2 * w)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda whole: pickle.loads(pickle.dumps(whole))])
def test_a_copy_has_prepared_nothing(w, copied):
    whole = Share()
    with share.having(whole, [w]):
        doubled(w)
        assert type(copied(whole)) is Share
        assert not copied(whole)._prepared
