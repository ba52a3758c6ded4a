"""Adam on several ranks, seen from one: it updates its own slice, by the rule of the table."""

from dataclasses import replace

import numpy as np
from rank_programs import FirstOfTwo

from minigan.nn.ops import LIBRARY
from minigan.nn.optimizers import Adam
from minigan.ranks.adam import DividedAdam, Flat


def divided(params, **settings):
    """The optimizer of rank 0, and the flat array of all parameters."""
    place = Flat(params)
    flat = np.zeros(place.size)
    for name, view in place.views(flat).items():
        view[...] = params[name]
    adam = Adam(params, learning_rate=0.1, **settings)
    return DividedAdam(adam, FirstOfTwo(), place, flat, np.zeros(place.size)), flat


def test_a_rank_updates_its_own_slice_as_adam_does():
    rng = np.random.default_rng(0)
    params = {name: rng.standard_normal(size) for name, size in (("a", 100), ("b", 60))}
    grads = {name: rng.standard_normal(p.shape) for name, p in params.items()}
    optimizer, flat = divided(params)
    before, last = flat.copy(), len(flat) // 2
    optimizer.step(grads)
    Adam(params, learning_rate=0.1).step(grads)
    np.testing.assert_allclose(optimizer.params["a"][:last], params["a"][:last], rtol=1e-12)
    np.testing.assert_array_equal(flat[last:], before[last:])


def test_ones_own_update_is_used():
    """It is called with parts of parameters, and so has to work on each number alone."""

    def mine(p, g, m, v, rate, beta_1, beta_2, epsilon):
        p -= g

    optimizer, _ = divided({"a": np.ones(100)}, ops=replace(LIBRARY, adam_update=mine))
    optimizer.step({"a": np.full(100, 0.25)})
    np.testing.assert_array_equal(optimizer.params["a"][:50], np.full(50, 0.75))
