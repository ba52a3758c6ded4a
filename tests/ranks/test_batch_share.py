"""A rank's share of every batch, seen from one rank: what it makes of a parameter, and when it makes nothing."""

import copy
import pickle

import numpy as np
import pytest
from rank_programs import FirstOfTwo

from minigan.gan.division import divide
from minigan.gan.step import build_gan
from minigan.nn import share
from minigan.ranks.batch_share import BatchShare


@pytest.fixture
def ranks():
    return FirstOfTwo()


def kept(ranks, *, batch_size=4, params=True):
    """What `share.prepared` returns inside of a step, and the parts that were made."""
    found, w = BatchShare(ranks, batch_size, (2, 2, 3), np.float32), np.arange(6.0)
    found.shared_params = [w] if params else []
    parts = []
    with share.having(found, [w]):
        array = share.prepared(w, (3, 6), lambda array, part: parts.append(part))
    return array, parts


def test_each_rank_makes_its_part_and_they_meet_once(ranks):
    array, parts = kept(ranks)
    assert array.shape == (3, 6)
    assert parts == [slice(0, 3)]
    assert ranks.meetings == 1


def test_where_not_all_can_make_the_same_nothing_is_shared(ranks):
    assert kept(ranks, batch_size=5) == (None, [])
    assert kept(ranks, params=False) == (None, [])
    ranks.shares_memory = False
    assert kept(ranks) == (None, [])
    assert ranks.meetings == 0


def test_what_was_dropped_gets_the_same_memory_again(ranks):
    """Memory that ranks have in common cannot be given back: a batch of another size must not use it up."""
    found, w, taken = BatchShare(ranks, 4, (2, 2, 3), np.float32), np.arange(6.0), []
    found.shared_params = [w]
    for shape in [(3, 6), (5, 6)] * 3:
        with share.having(found, [w]):
            taken.append(share.prepared(w, shape, lambda array, part: None))
    assert [array.shape for array in taken[:2]] == [(3, 6), (5, 6)]
    assert all(np.shares_memory(taken[k], taken[k % 2]) for k in range(6))
    assert not np.shares_memory(taken[0], taken[1])


def test_arrays_of_one_parameter_take_turns_in_the_same_memory(ranks):
    """Before another one is written there, the ranks meet: the slower one may still need what is there."""
    found, w, made = BatchShare(ranks, 4, (2, 2, 3), np.float32), np.arange(6.0), []
    found.shared_params = [w]

    def ask(what, shape):
        before = ranks.meetings, len(made)
        array = share.prepared(w, shape, lambda array, part: made.append(what), what)
        assert array.shape == shape
        return array, ranks.meetings - before[0], len(made) - before[1]

    with share.having(found, [w]):
        first, *counts = ask("", (3, 6))
        assert counts == [1, 1]
        assert ask("", (3, 6))[1:] == (0, 0)
        second, *counts = ask("transposed", (2, 9))
        assert counts == [2, 1]
        assert np.shares_memory(first, second)
        assert ask("", (3, 6))[1:] == (2, 1)
        share.updated([w])
        assert ask("transposed", (2, 9))[1:] == (1, 1)  # nobody needs what is out of date
    with share.having(found, [w]):
        # Somebody may have written to it between two steps, and another rank may still be in the last one.
        assert ask("transposed", (2, 9))[1:] == (2, 1)
    assert made == ["", "transposed", "", "transposed", "transposed"]


def test_what_was_written_by_half_is_made_again(ranks):
    found, w = BatchShare(ranks, 4, (2, 2, 3), np.float32), np.arange(6.0)
    found.shared_params = [w]
    with share.having(found, [w]):
        share.prepared(w, (6,), lambda array, part: array.fill(1))
        with pytest.raises(ZeroDivisionError):
            share.prepared(w, (6,), lambda array, part: 1 / 0, "other")
        assert share.prepared(w, (6,), lambda array, part: array.fill(2))[0] == 2


def test_its_part_of_a_batch(ranks):
    found = BatchShare(ranks, 5, (2, 2, 3), np.float32)
    assert (found.here, found.weight) == (slice(0, 2), 0.4)


@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps])
def test_a_divided_gan_is_not_copied(ranks, copied):
    gan = divide(build_gan(image_size=32, width=1), ranks, 4)
    for part in (gan, gan.share, gan.g_optimizer, ranks):
        with pytest.raises(TypeError, match="ranks cannot be copied, nor can a GAN that is divided among them"):
            copied(part)
