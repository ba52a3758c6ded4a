"""Adam on several ranks: each adds up the gradients of its own slice of the parameters, and updates only that slice."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minigan.nn.backend import Array
from minigan.nn.network import Sequential
from minigan.nn.ops import resolve
from minigan.nn.ops.updates import adam_rate
from minigan.nn.optimizers import Adam
from minigan.ranks.interface import Ranks
from minigan.ranks.shared_memory import ALIGN


class Flat:
    """A network's parameters, one after the other in one array, each aligned to a line of the cache.

    Parameters
    ----------
    params : mapping of str to numpy.ndarray
        Only their shapes count. All of one dtype.

    Attributes
    ----------
    size : int
        Numbers in the flat array.
    places : dict of str to (int, tuple of int)
        Where each parameter begins in it, and the parameter's shape.
    """

    def __init__(self, params: Mapping[str, Array]) -> None:
        self.dtype = next(iter(params.values())).dtype
        self.places: dict[str, tuple[int, tuple[int, ...]]] = {}
        step, self.size = ALIGN // self.dtype.itemsize, 0
        for name, p in params.items():
            self.places[name] = self.size, p.shape
            self.size += -(-p.size // step) * step

    def views(self, flat: Array) -> dict[str, Array]:
        """The parameters as parts of a flat array."""
        return {name: flat[a : a + int(np.prod(shape))].reshape(shape) for name, (a, shape) in self.places.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of a flat array."""
        return self.size * self.dtype.itemsize


def move_params(network: Sequential, flat: Array, place: Flat) -> None:
    """Let a network's parameters lie in a flat array, with the values that it has now."""
    views = place.views(flat)
    for i, layer in enumerate(network.layers):
        for name, p in layer.params.items():
            view = views[f"{i}.{name}"]
            view[...] = p
            layer.params[name] = view


class DividedAdam(Adam):
    """Adam for a network whose parameters all ranks have; the moments of a slice are up to date on its owner only.

    Parameters
    ----------
    adam : Adam
        Its settings and moments are taken over; the latter must be equal on all ranks.
    ranks : Ranks
    place : Flat
    params : numpy.ndarray of shape (place.size,)
        Shared.
    gradients : numpy.ndarray, flat and at least as long
        This rank's own; here it leaves its gradients for the others.
    """

    def __init__(
        self,
        adam: Adam,
        ranks: Ranks,
        place: Flat,
        params: Array,
        gradients: Array,
    ) -> None:
        super().__init__(
            place.views(params),
            learning_rate=adam.learning_rate,
            beta_1=adam.beta_1,
            beta_2=adam.beta_2,
            epsilon=adam.epsilon,
            ops=adam.ops,
        )
        self.t = adam.t
        self._ranks, self._mine = ranks, ranks.share(place.size)
        self._place, self._p, self._own = place, params, gradients[: place.size]
        self._m, self._v = ranks.shared((place.size,), place.dtype), ranks.shared((place.size,), place.dtype)
        self.m, self.v = place.views(self._m), place.views(self._v)
        for here, there in ((self.m, adam.m), (self.v, adam.v)):
            for name, a in here.items():
                a[...] = there[name]

    def step(self, grads: Mapping[str, Array]) -> None:
        """Update every parameter once, by the sum of all ranks' gradients. Collective."""
        self.check(grads)
        self.t += 1
        first, last = self._mine.start, self._mine.stop
        in_own_slice = []
        for name, (start, _) in self._place.places.items():
            g = grads[name].reshape(-1)
            stop = start + len(g)
            a, b = (min(max(border, start), stop) for border in (first, last))
            self._own[start:a] = g[: a - start]  # left for the owners of the other slices
            self._own[b:stop] = g[b - start :]
            in_own_slice.append((a, g[a - start : b - start]))
        parts = self._ranks.scatter_sum(self._own)
        adam_update = resolve(self.ops, self._p).adam_update
        rate = adam_rate(self.t, self.learning_rate, self.beta_1, self.beta_2)
        total = np.empty(PIECE, self._p.dtype)
        for begin, own in in_own_slice:
            for i in range(0, len(own), PIECE):
                here = slice(begin + i, begin + min(i + PIECE, len(own)))
                terms = [part[here.start - first : here.stop - first] for part in parts]
                terms[self._ranks.rank] = own[i : i + PIECE]
                g = np.add(terms[0], terms[1], out=total[: here.stop - here.start])
                for term in terms[2:]:
                    g += term
                p, m, v = (a[here] for a in (self._p, self._m, self._v))
                adam_update(p, g, m, v, rate, self.beta_1, self.beta_2, self.epsilon)
        self._ranks.gather_slices(self._p)

    def complete(self) -> None:
        """Bring all moments to all ranks. Collective, unless memory is shared: there they are complete already."""
        if self._ranks.shares_memory:
            return
        self._ranks.gather_slices(self._m)
        self._ranks.gather_slices(self._v)


PIECE = 1 << 16
"""Numbers that are updated together, so that what comes between two operations on them stays in the cache."""
