"""Adam: the rule that turns gradients into new weights.

An optimizer keeps the arrays of parameters that it was given (`Sequential.params`) and writes into them in place. A
GAN has two, one for each network, and each phase of `minigan.gan.step` steps one of them. The other network is
"frozen" then: its parameters are simply not in the optimizer that is stepped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from minigan.fast.cpu.fused import PIECE, spans
from minigan.fast.cpu.memory import scratch
from minigan.fast.cuda import kernels as cuda
from minigan.nn.backend import Array, Backend, backend_of, xp_of
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
        self._steps = cuda.AdamSteps()

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
        if self.params and cuda.available(*self.params.values()):
            groups = ([group[name] for name in self.params] for group in (self.params, grads, self.m, self.v))
            self._steps.run(
                *groups,
                t=self.t,
                learning_rate=self.learning_rate,
                beta_1=self.beta_1,
                beta_2=self.beta_2,
                epsilon=self.epsilon,
            )
            return
        rate = self.rate()
        for arrays in self._pieces(grads):
            self.update(*arrays, rate)

    def check(self, grads: Mapping[str, Array]) -> None:
        """Raise ValueError unless there is a gradient for every parameter, of its shape."""
        for name, p in self.params.items():
            if name not in grads or grads[name].shape != p.shape:
                got = f"shape {grads[name].shape}" if name in grads else "none"
                raise ValueError(f"Adam: {name} needs a gradient of shape {p.shape}, got {got}")

    def rate(self) -> float:
        """``lr_t`` of the present update."""
        return self.learning_rate * math.sqrt(1 - self.beta_2**self.t) / (1 - self.beta_1**self.t)

    def update(self, p: Array, g: Array, m: Array, v: Array, rate: float) -> None:
        """Update some numbers p, of any parameters, and their moments in place."""
        _update(p, g, m, v, rate, self.beta_1, self.beta_2, self.epsilon)

    def _pieces(self, grads: Mapping[str, Array]) -> Iterator[tuple[Array, Array, Array, Array]]:
        """Every parameter with its gradient and moments; large ones in pieces that fit into a processor's cache."""
        for name, p in self.params.items():
            arrays = p, grads[name], self.m[name], self.v[name]
            if all(a.flags.c_contiguous for a in arrays):
                for here in spans(xp_of(p), p.size, PIECE // 2):  # five arrays at a time
                    p_, g, m, v = (a.reshape(-1)[here] for a in arrays)
                    yield p_, g, m, v
            else:
                yield arrays

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


def _update(p: Array, g: Array, m: Array, v: Array, rate: float, beta_1: float, beta_2: float, epsilon: float) -> None:
    xp = xp_of(p, g, m, v)
    with scratch(xp) as new:
        work = xp.multiply(g, 1 - beta_1, out=new(g.shape, g.dtype))
        m *= beta_1
        m += work
        xp.multiply(g, g, out=work)
        work *= 1 - beta_2
        v *= beta_2
        v += work
        xp.sqrt(v, out=work)
        work += epsilon
        xp.divide(m, work, out=work)
        work *= rate
        p -= work
