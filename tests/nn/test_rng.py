"""Random numbers are functions of (seed, purpose, step)."""

import itertools

import numpy as np
import pytest

from minigan.nn.rng import PURPOSES, stream


def test_a_stream_repeats():
    np.testing.assert_array_equal(stream(3, "noise", 9).random(8), stream(3, "noise", 9).random(8))


def test_streams_differ_in_seed_purpose_and_step():
    keys = itertools.product((0, 1, 2**32 - 1), PURPOSES, (0, 1, 2, 10**6))
    first = {tuple(stream(*key).random(2)) for key in keys}
    assert len(first) == 3 * len(PURPOSES) * 4


def test_long_streams_do_not_run_into_the_next_step():
    here, there = stream(0, "noise", 0).random(200_000), stream(0, "noise", 1).random(1000)
    assert not np.isin(there, here).any()


def test_pinned_values():
    """A change here changes every run ever recorded."""
    assert stream(1337, "noise", 5).random(2).tolist() == [0.013161854777517412, 0.4777699369584001]
    normal = stream(1337, "noise", 5).standard_normal(2)
    np.testing.assert_allclose(normal, [-0.09195093583674477, 1.5712820938871999], rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, "noise"), "seed must be between 0 and 4294967295, got -1"),
        ((2**32, "noise"), "got 4294967296"),
        ((0, "dreams"), "purpose must be one of weights, .*, got 'dreams'"),
        ((0, "noise", -1), "step must be between 0 and"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        stream(*arguments)
