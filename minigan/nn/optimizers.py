"""Adam: the rule that turns gradients into new weights.

An optimizer keeps the arrays of parameters that it was given (`Sequential.params`) and writes into them in place. A
GAN has two, one for each network, and each phase of `minigan.gan.step` steps one of them. The other network is
"frozen" then: its parameters are simply not in the optimizer that is stepped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from minigan.nn.backend import Array, Backend, backend_of, xp_of
from minigan.nn.ops import LIBRARY, Ops
from minigan.nn.ops.table import FromFactory
from minigan.nn.state import check_state


class Adam:
    """Adam with Keras 2.2.4's placement of epsilon: outside the bias correction.

    Parameters
    ----------
    params : mapping of str to Array
        Parameters by path; updated in place.
    learning_rate : float
        Per step, > 0.
    beta_1, beta_2 : float
        Decay of the first and second moment per step, 0 <= beta < 1.
    epsilon : float
        Added to the square root of the second moment, > 0.
    ops : Ops
        Its `new_adam` computes the update (`minigan.nn.ops.updates`).

    Attributes
    ----------
    t : int
        Updates so far.
    m, v : dict of str to Array
        First and second moments by path.

    Notes
    -----
    ``lr_t = lr * sqrt(1 - beta_2^t) / (1 - beta_1^t);  m = beta_1*m + (1-beta_1)*g;  v = beta_2*v + (1-beta_2)*g^2;``
    ``p -= lr_t * m / (sqrt(v) + epsilon)``, with t = 1 at the first update.

    References
    ----------
    D. P. Kingma and J. Ba, arXiv:1412.6980, the last paragraph of section 2 (this order of operations).
    """

    def __init__(
        self,
        params: Mapping[str, Array],
        *,
        learning_rate: float,
        beta_1: float = 0.5,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        ops: Ops = LIBRARY,
    ) -> None:
        if not 0 < learning_rate < math.inf:
            raise ValueError(f"Adam: learning_rate must be above 0 and finite, got {learning_rate}")
        for name, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= beta < 1:
                raise ValueError(f"Adam: {name} must be at least 0 and below 1, got {beta}")
        if not epsilon > 0:
            raise ValueError(f"Adam: epsilon must be above 0, got {epsilon}")
        self.params = dict(params)
        self.learning_rate, self.beta_1, self.beta_2, self.epsilon = learning_rate, beta_1, beta_2, epsilon
        self.t = 0
        self.m = {name: xp_of(p).zeros_like(p) for name, p in self.params.items()}
        self.v = {name: xp_of(p).zeros_like(p) for name, p in self.params.items()}
        self.ops = ops
        self._updating = FromFactory("new_adam")

    def step(self, grads: Mapping[str, Array]) -> None:
        """Update every parameter once.

        Parameters
        ----------
        grads : mapping of str to Array
            A gradient for every parameter, by path.

        Raises
        ------
        ValueError
            If a gradient is missing or has another shape than its parameter; then nothing is changed.
        """
        self.check(grads)
        self.t += 1
        p = list(self.params.values())
        g, m, v = ([arrays[name] for name in self.params] for arrays in (grads, self.m, self.v))
        update_all = self._updating.function(self.ops, p)
        update_all(
            p,
            g,
            m,
            v,
            t=self.t,
            learning_rate=self.learning_rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )

    def check(self, grads: Mapping[str, Array]) -> None:
        """Raise ValueError unless there is a gradient for every parameter, of its shape."""
        for name, p in self.params.items():
            if name not in grads or grads[name].shape != p.shape:
                got = f"shape {grads[name].shape}" if name in grads else "none"
                raise ValueError(f"Adam: {name} needs a gradient of shape {p.shape}, got {got}")

    def state(self) -> dict[str, Array]:
        """The moments by name ("m.3.kernel"); the caller saves `t` beside them."""
        return {**{f"m.{k}": a for k, a in self.m.items()}, **{f"v.{k}": a for k, a in self.v.items()}}

    def load_state(self, state: Mapping[str, Any], t: int) -> None:
        """Copy saved moments in.

        Parameters
        ----------
        state : mapping of str to host array
            As `state` gave it.
        t : int
            Updates so far.

        Raises
        ------
        ValueError
            If names, shapes or dtypes differ, or t is negative; then nothing is changed.
        """
        own = self.state()
        check_state("Adam", own, state)
        if t < 0:
            raise ValueError(f"Adam: t must be 0 or more, got {t}")
        for name, array in own.items():
            array[...] = backend_of(array).asarray(state[name])
        self.t = t

    def to(self, backend: Backend, params: Mapping[str, Array]) -> Adam:
        """Move the moments to a backend and take its parameters from there; returns the optimizer itself."""
        self.params = dict(params)
        for moments in (self.m, self.v):
            for name, a in moments.items():
                moments[name] = backend.asarray(backend_of(a).to_host(a))
        return self
