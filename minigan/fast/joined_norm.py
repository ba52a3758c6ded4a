"""Batch normalization and the LeakyReLU after it, run as one layer: fewer walks through memory, the same numbers.

The hook `steps` of an overlay puts `JoinedNorm` in the place of two neighbours (`join`). Parameters, gradients and
buffers are those of the batch normalization itself. What is computed stands in `minigan.fast.cpu.fused` for a processor
and in `minigan.fast.cuda.kernels` for a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from minigan.nn.backend import Array, Shape
from minigan.nn.layers import BatchNormalization, Cache, InferenceCache, Layer, LeakyReLU
from minigan.nn.ops import Ops, has_own


class Kernels(Protocol):
    """The functions of a module that computes both layers at once."""

    batch_norm_forward: Callable[..., tuple[Array, Array]]
    batch_norm_backward: Callable[..., tuple[Array | None, Array, Array]]
    batch_norm_inference: Callable[..., Array]


class JoinedCache(NamedTuple):
    """What `JoinedNorm.backward` needs. It keeps x and computes xhat from it again, with two operations.

    stats : of shape (3, C): mean, biased variance, and 1 / sqrt(variance + epsilon)
    """

    x: Array
    y: Array
    stats: Array


class JoinedNorm(Layer):
    """A BatchNormalization and the LeakyReLU after it.

    Parameters
    ----------
    norm : BatchNormalization
    activation : LeakyReLU
    kernels : Kernels
        What computes them.
    update : callable, optional
        Updates the moving statistics in one go: ``update(buffers, mean, variance, correction, momentum)``. By default
        the batch normalization does it.
    """

    def __init__(
        self,
        norm: BatchNormalization,
        activation: LeakyReLU,
        kernels: Any,
        update: Callable[..., None] | None = None,
    ) -> None:
        self.norm, self.activation = norm, activation
        self.params, self.grads, self.buffers = norm.params, norm.grads, norm.buffers
        self._kernels, self._update = kernels, update

    def forward(self, x: Array, *, training: bool, update_stats: bool = True) -> tuple[Array, Cache]:
        """See `Layer`."""
        norm, alpha, b = self.norm, self.activation.alpha, self.buffers
        gamma, beta = self.params["gamma"], self.params["beta"]
        if not training:
            mean, variance = b["moving_mean"], b["moving_variance"]
            y = self._kernels.batch_norm_inference(x, gamma, beta, mean, variance, norm.epsilon, alpha)
            return y, (InferenceCache(x, gamma, mean, variance), (y, alpha))
        norm.check(x)
        y, stats = self._kernels.batch_norm_forward(x, gamma, beta, norm.epsilon, alpha)
        mean, variance, _ = stats
        if update_stats and self._update is not None and has_own(norm.ops, "moving_average"):
            self._update(b, mean, variance, norm.correction(x), norm.momentum)
        elif update_stats:
            norm.update(x, mean, variance)
        return y, JoinedCache(x, y, stats)

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True, param_grads: bool = True) -> Array | None:
        """See `Layer`."""
        if not isinstance(cache, JoinedCache):  # from a forward in inference mode
            norm_cache, activation_cache = cache
            dz = self.activation.backward(dy, activation_cache)
            assert dz is not None
            return self.norm.backward(dz, norm_cache, input_grad=input_grad, param_grads=param_grads)
        dx, dgamma, dbeta = self._kernels.batch_norm_backward(
            dy, *cache, self.params["gamma"], self.activation.alpha, input_grad=input_grad
        )
        if param_grads:
            self.add_grad("gamma", dgamma, fresh=True)
            self.add_grad("beta", dbeta, fresh=True)
        return dx

    def output_shape(self, input_shape: Shape) -> Shape:
        """See `Layer`."""
        return input_shape


def join(layers: list[Layer], kernels: Any, update: Callable[..., None] | None = None) -> list[Layer]:
    """The layers with a `JoinedNorm` for each pair that is minigan's own.

    Parameters
    ----------
    layers : list of Layer
    kernels, update
        As for `JoinedNorm`.

    Returns
    -------
    list of Layer
    """
    joined: list[Layer] = []
    for layer in layers:
        if joined and _suits(joined[-1], layer):
            joined[-1] = JoinedNorm(joined[-1], layer, kernels, update)  # type: ignore[arg-type]
        else:
            joined.append(layer)
    return joined


def _suits(norm: Layer, activation: Layer) -> bool:
    """Whether two layers are exactly a batch normalization and a LeakyReLU, with nothing replaced."""
    return (
        type(norm) is BatchNormalization
        and type(activation) is LeakyReLU
        and _nothing_replaced(norm)
        and _nothing_replaced(activation)
    )


def _nothing_replaced(layer: BatchNormalization | LeakyReLU) -> bool:
    """Whether neither a function in the layer's table nor a method of this one layer is somebody else's."""
    return has_own_methods(layer) and _has_own_functions(layer.ops)


def has_own_methods(layer: Layer) -> bool:
    """Whether all methods of a layer are those of its class."""
    return not any(hasattr(type(layer), name) for name in vars(layer))


@lru_cache(maxsize=64)
def _has_own_functions(ops: Ops) -> bool:
    """Whether a table has minigan's own functions for both. It cannot change, and a single face has to be quick."""
    return not ops.plain and has_own(ops, "batch_norm", "batch_norm_inference", "leaky_relu")
