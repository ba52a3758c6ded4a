"""Layers: small objects that own parameters and call the functions of `minigan.nn.ops`.

A layer never remembers a call. `forward` returns everything that `backward` will need as an explicit cache. So the
same layer can run forward twice before it runs backward, and gradients can pass *through* a layer whose own
parameters get none (the generator's step goes through a frozen discriminator: ``param_grads=False``).

A layer has three dictionaries: `params` (trained), `grads` (same keys; backward ADDS to them), and `buffers` (saved
but not trained: moving statistics). Optimizers write into `params` in place, and a training forward of
`BatchNormalization` writes into `buffers`; no forward or backward changes anything else.

A layer is given a table of functions, `ops`, and looks up what it calls at each call: ``resolve(self.ops, x)`` is the
table to use for an array like x. There a student's function or a fast version gets in (`minigan.nn.ops.table`). If you
read it as ``self.ops``, you read the plain code.

`minigan.nn.network` puts layers one after the other. Class and parameter names are those of Keras.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, MutableMapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from minigan.nn import share
from minigan.nn.backend import Array, Shape, xp_of
from minigan.nn.geometry import output_size, same_padding, transpose_size
from minigan.nn.gradients import Gradients
from minigan.nn.ops import LIBRARY, BatchNormCache, Ops, batch_moments, is_own, resolve
from minigan.nn.ops.normalization import check_batch_norm

Cache: TypeAlias = Any
Initializer: TypeAlias = Callable[[Shape], Array]
"""Shape of a kernel to its first value."""


class Layer:
    """One differentiable step of a network. It owns parameters and never keeps activations.

    Attributes
    ----------
    params : dict of str to Array
        Trainable parameters, in a fixed order. Its arrays may be replaced, the dictionary may not: `grads` reads it.
    grads : mapping of str to Array
        Gradients with the same keys and shapes; they may be read and written. `backward` adds to them.
    buffers : dict of str to Array
        Saved, not trained.

    Notes
    -----
    To write a layer of your own, pass its parameters, however many there are, to ``super().__init__``, and call
    `add_grad` for each of them in `backward`.
    """

    def __init__(self, params: dict[str, Array] | None = None, buffers: dict[str, Array] | None = None) -> None:
        self.params = {} if params is None else params
        self.grads: MutableMapping[str, Array] = Gradients(self.params)
        self.buffers = {} if buffers is None else buffers

    def forward(self, x: Array, *, training: bool, update_stats: bool = True) -> tuple[Array, Cache]:
        """Output and cache.

        Parameters
        ----------
        x : Array
        training : bool
            Whether batch normalization uses the batch's statistics (True) or the moving ones (False).
        update_stats : bool
            Whether a training forward also updates the moving statistics.

        Returns
        -------
        y : Array
        cache
            For `backward`; opaque.
        """
        raise NotImplementedError

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True, param_grads: bool = True) -> Array | None:
        """Gradient for x; adds the parameters' gradients to `grads`.

        Parameters
        ----------
        dy : Array
            Gradient for the output.
        cache
            From `forward`.
        input_grad : bool
            If False, dx is not computed and None is returned: nobody needs the dx of a network's first layer.
        param_grads : bool
            If False, the parameters' gradients are not computed, and `grads` stays as it is.

        Returns
        -------
        Array or None
        """
        raise NotImplementedError

    def add_grad(self, name: str, g: Array, *, fresh: bool = False) -> None:
        """``grads[name] += g``; every backward calls it for each parameter.

        Parameters
        ----------
        name : str
            Of a parameter.
        g : Array
            Of the parameter's shape, apart from axes of length 1.
        fresh : bool
            Whether g is a new array that nobody else uses or will write to. It then need not be copied.

        Raises
        ------
        KeyError
            If there is no such parameter.
        ValueError
            If g has another shape, axes of length 1 aside.
        TypeError
            If g is not an array.
        """
        if isinstance(self.grads, Gradients):
            self.grads.add(name, g, fresh=fresh)
        else:  # the layer has replaced `grads` by a dictionary of its own
            self.grads[name] += g

    def zero_grads(self) -> None:
        """Set all gradients to zero. An array that was read before keeps its numbers: later ones go into others."""
        if isinstance(self.grads, Gradients):
            self.grads.zero()
        else:
            for g in self.grads.values():
                g.fill(0)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape of the output, batch axis left out, for a shape of the input."""
        raise NotImplementedError

    def describe(self) -> str:
        """The layer's settings in a few words, for `Sequential.summary`."""
        return ""


class _WithParameters(Layer):
    """A layer whose backward function gives dx and its parameters' gradients, in the order of `names`."""

    names: tuple[str, ...] = ("kernel", "bias")

    def _run_backward(
        self, backward: Callable[..., Any], dy: Array, cache: Cache, input_grad: bool, param_grads: bool
    ) -> Array | None:
        own, switches = is_own(backward), {"input_grad": input_grad, "param_grads": param_grads}
        if not (_parameters(backward) if own else inspect.signature(backward).parameters.keys()) >= switches.keys():
            switches = {}  # a function without switches computes all gradients; what is not wanted is dropped here
        dx, *gradients = backward(dy, cache, **switches)
        if len(gradients) != len(self.names):
            wanted = f"dx and the gradients of {', '.join(self.names)}"
            raise ValueError(f"{type(self).__name__}: backward must return {wanted}, got {1 + len(gradients)} results")
        if param_grads:
            for name, gradient in zip(self.names, gradients, strict=True):
                self.add_grad(name, gradient, fresh=own)  # what minigan's functions return is always new
        return dx if input_grad else None


@lru_cache(maxsize=64)
def _parameters(own: Callable[..., Any]) -> frozenset[str]:
    """Names of the parameters of a function of minigan's own, looked up once."""
    return frozenset(inspect.signature(own).parameters)


class Dense(_WithParameters):
    """Affine map ``y = x @ kernel + bias``.

    Parameters
    ----------
    channels, units : int
        Width of the input and of the output.
    kernel_initializer : callable
        Shape (channels, units) to the first kernel; the bias starts at 0.
    ops : Ops
    """

    def __init__(self, channels: int, units: int, *, kernel_initializer: Initializer, ops: Ops = LIBRARY) -> None:
        kernel = kernel_initializer((channels, units))
        super().__init__({"kernel": kernel, "bias": np.zeros(units, kernel.dtype)})
        self.ops = ops

    def forward(self, x: Array, *, training: bool, update_stats: bool = True) -> tuple[Array, Cache]:
        return resolve(self.ops, x).dense_forward(x, self.params["kernel"], self.params["bias"])

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True, param_grads: bool = True) -> Array | None:
        return self._run_backward(resolve(self.ops, dy).dense_backward, dy, cache, input_grad, param_grads)

    def output_shape(self, input_shape: Shape) -> Shape:
        return (self.params["kernel"].shape[1],)


class _Convolution(_WithParameters):
    """The common part of Conv2D and Conv2DTranspose: parameters and settings, and the check of the input."""

    input_axis: int  # the axis of the kernel that stands for the input's channels

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel_size: int,
        *,
        strides: int = 1,
        padding: str = "same",
        kernel_initializer: Initializer,
        ops: Ops = LIBRARY,
    ) -> None:
        if strides < 1:
            raise ValueError(f"{type(self).__name__}: strides must be at least 1, got {strides}")
        if padding not in ("same", "valid"):
            raise ValueError(f'{type(self).__name__}: padding must be "same" or "valid", got {padding!r}')
        ends = (channels, filters) if self.input_axis == 2 else (filters, channels)
        kernel = kernel_initializer((kernel_size, kernel_size, *ends))
        super().__init__({"kernel": kernel, "bias": np.zeros(filters, kernel.dtype)})
        self.strides, self.padding, self.ops = strides, padding, ops

    def _check(self, x: Array) -> None:
        kernel = self.params["kernel"]
        name = type(self).__name__
        if x.ndim != 4:
            raise ValueError(f"{name}: x must have 4 axes (N, H, W, C), got {x.ndim} (x.shape={x.shape})")
        if x.shape[3] != kernel.shape[self.input_axis]:
            raise ValueError(
                f"{name}: x has {x.shape[3]} channels but kernel expects {kernel.shape[self.input_axis]} "
                f"(x.shape={x.shape}, kernel.shape={kernel.shape})"
            )

    def describe(self) -> str:
        Kh, Kw = self.params["kernel"].shape[:2]
        return f"{Kh}x{Kw}, strides {self.strides}, {self.padding}"


class Conv2D(_Convolution):
    """Convolution over images.

    Parameters
    ----------
    channels, filters : int
        Channels in and out.
    kernel_size : int
    strides : int
    padding : "same" or "valid"
        As in TensorFlow.
    kernel_initializer : callable
        Shape (K, K, channels, filters) to the first kernel; the bias starts at 0.
    ops : Ops
    """

    input_axis = 2

    def forward(self, x: Array, *, training: bool, update_stats: bool = True) -> tuple[Array, Cache]:
        kernel, bias = self.params["kernel"], self.params["bias"]
        return resolve(self.ops, x).conv2d_forward(x, kernel, bias, stride=self.strides, pad=self.pad_for(x))

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True, param_grads: bool = True) -> Array | None:
        return self._run_backward(resolve(self.ops, dy).conv2d_backward, dy, cache, input_grad, param_grads)

    def output_shape(self, input_shape: Shape) -> Shape:
        H, W, _ = input_shape
        kernel = self.params["kernel"]
        return (*output_size((H, W), kernel.shape[:2], self.strides, self._pad((H, W))), kernel.shape[3])

    def pad_for(self, x: Array) -> Any:
        """The padding for an input: one number if all four sides are equal. Raises ValueError if x does not fit."""
        self._check(x)
        return _simplest(self._pad(x.shape[1:3]))

    def _pad(self, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        if self.padding == "valid":
            return (0, 0), (0, 0)
        return same_padding(size, self.params["kernel"].shape[:2], self.strides)


class Conv2DTranspose(_Convolution):
    """Transposed convolution: each input position adds the kernel, times its value, to the output, `strides` apart.

    Parameters
    ----------
    channels, filters : int
        Channels in and out.
    kernel_size : int
    strides : int
    padding : "same" or "valid"
        "same" gives strides * H rows, "valid" H * strides + max(kernel_size - strides, 0).
    kernel_initializer : callable
        Shape (K, K, filters, channels), in Keras's order, to the first kernel; the bias starts at 0.
    ops : Ops
    """

    input_axis = 3

    def forward(self, x: Array, *, training: bool, update_stats: bool = True) -> tuple[Array, Cache]:
        self._check(x)
        kernel, bias = self.params["kernel"], self.params["bias"]
        _, pad = transpose_size(x.shape[1:3], kernel.shape[:2], self.strides, self.padding)
        forward = resolve(self.ops, x).conv2d_transpose_forward
        return forward(x, kernel, bias, stride=self.strides, pad=_simplest(pad))

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True, param_grads: bool = True) -> Array | None:
        return self._run_backward(resolve(self.ops, dy).conv2d_transpose_backward, dy, cache, input_grad, param_grads)

    def output_shape(self, input_shape: Shape) -> Shape:
        H, W, _ = input_shape
        kernel = self.params["kernel"]
        size, _ = transpose_size((H, W), kernel.shape[:2], self.strides, self.padding)
        return (*size, kernel.shape[2])


def _simplest(pad: tuple[tuple[int, int], tuple[int, int]]) -> Any:
    """The padding as one number if all four sides are equal, so that a student's function need not know more."""
    sides = {*pad[0], *pad[1]}
    return sides.pop() if len(sides) == 1 else pad


class InferenceCache(NamedTuple):
    """What the backward pass of `BatchNormalization` needs after a forward with the moving statistics."""

    x: Array
    gamma: Array
    mean: Array
    variance: Array


class BatchNormalization(_WithParameters):
    """Batch normalization over all axes but the last, with Keras 2.2.4's moving statistics.

    Parameters
    ----------
    channels : int
    momentum : float
        Share of the past that the moving statistics keep, 0 <= momentum < 1.
    epsilon : float
        Added to the variance under the root, > 0.
    dtype : dtype
    ops : Ops

    Notes
    -----
    `forward` has three modes. With ``training=False`` it normalises with the moving statistics. With ``training=True``
    it normalises with the statistics of the batch and updates the moving ones. With ``update_stats=False`` as well, it
    does not update them: so the generator's step runs the frozen discriminator.

    The moving averages are zero-debiased: after the first update they *equal* the batch's statistics. The variance
    that goes into them is corrected for bias twice, v * N/(N-1) * N/(N-1.001), because TensorFlow's fused kernel does
    it once and Keras does it again.

    Buffers: moving_mean and moving_variance, which are Keras's non-trainable weights; and the state of the averages,
    biased_mean, biased_variance and updates (a count; an array, so that it can be on the device).

    References
    ----------
    S. Ioffe and C. Szegedy, "Batch normalization", arXiv:1502.03167.
    """

    names = ("gamma", "beta")

    def __init__(
        self,
        channels: int,
        *,
        momentum: float = 0.5,
        epsilon: float = 1e-3,
        dtype: Any = np.float32,
        ops: Ops = LIBRARY,
    ) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"BatchNormalization: momentum must be at least 0 and below 1, got {momentum}")
        if not epsilon > 0:
            raise ValueError(f"BatchNormalization: epsilon must be above 0, got {epsilon}")
        super().__init__(
            {"gamma": np.ones(channels, dtype), "beta": np.zeros(channels, dtype)},
            {
                "moving_mean": np.zeros(channels, dtype),
                "moving_variance": np.ones(channels, dtype),
                "biased_mean": np.zeros(channels, dtype),
                "biased_variance": np.zeros(channels, dtype),
                "updates": np.zeros((), dtype),
            },
        )
        self.momentum, self.epsilon = momentum, epsilon
        self.ops = ops

    def forward(self, x: Array, *, training: bool, update_stats: bool = True) -> tuple[Array, Cache]:
        gamma, beta = self.params["gamma"], self.params["beta"]
        if not training:
            mean, variance = self.buffers["moving_mean"], self.buffers["moving_variance"]
            y = resolve(self.ops, x).batch_norm_inference(x, gamma, beta, mean, variance, self.epsilon)
            return y, InferenceCache(x, gamma, mean, variance)
        y, cache = resolve(self.ops, x).batch_norm_forward(x, gamma, beta, self.epsilon)
        if update_stats:
            # minigan's own cache has the statistics; what a student's cache has is not known.
            known = isinstance(cache, BatchNormCache)
            self.update(x, *((cache.mean, cache.variance) if known else batch_moments(x)))
        return y, cache

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True, param_grads: bool = True) -> Array | None:
        inference = isinstance(cache, InferenceCache)
        backward = self._inference_backward if inference else resolve(self.ops, dy).batch_norm_backward
        return self._run_backward(backward, dy, cache, input_grad, param_grads)

    def _inference_backward(
        self, dy: Array, cache: InferenceCache, *, input_grad: bool, param_grads: bool
    ) -> tuple[Array | None, Array | None, Array | None]:
        """Gradients for given statistics: the layer is then an affine map."""
        inv_std = 1 / xp_of(dy).sqrt(cache.variance + self.epsilon)
        axes = tuple(range(dy.ndim - 1))
        dx = dy * (cache.gamma * inv_std) if input_grad else None
        dgamma = (dy * ((cache.x - cache.mean) * inv_std)).sum(axis=axes) if param_grads else None
        dbeta = dy.sum(axis=axes) if param_grads else None
        return dx, dgamma, dbeta

    def check(self, x: Array) -> None:
        """Raise ValueError unless x has the layer's channels, and two values or more in each."""
        check_batch_norm(x, self.params["gamma"])

    @staticmethod
    def correction(x: Array) -> float:
        """The factor by which the variance of a batch x is corrected before it goes into the moving one."""
        N = share.whole(x.size // x.shape[-1])
        return N / (N - 1) * (N / (N - 1.001))

    def update(self, x: Array, mean: Array, variance: Array) -> None:
        """Update the moving statistics with a batch x, its mean and its biased variance."""
        moving_average, b = resolve(self.ops, x).moving_average, self.buffers
        for name, value in (("mean", mean), ("variance", variance * self.correction(x))):
            moving, biased, count = moving_average(
                b[f"moving_{name}"], b[f"biased_{name}"], b["updates"], value, self.momentum
            )
            b[f"moving_{name}"][...] = moving
            b[f"biased_{name}"][...] = biased
        b["updates"][...] = count

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def describe(self) -> str:
        return f"momentum {self.momentum}"


class _Activation(Layer):
    """A layer without parameters. It calls the pair of functions whose names begin with `pair`."""

    pair: str

    def __init__(self, *, ops: Ops = LIBRARY) -> None:
        super().__init__()
        self.ops = ops

    def forward(self, x: Array, *, training: bool, update_stats: bool = True) -> tuple[Array, Cache]:
        return getattr(resolve(self.ops, x), f"{self.pair}_forward")(x)

    def backward(self, dy: Array, cache: Cache, *, input_grad: bool = True, param_grads: bool = True) -> Array | None:
        return getattr(resolve(self.ops, dy), f"{self.pair}_backward")(dy, cache) if input_grad else None

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


class LeakyReLU(_Activation):
    """``max(alpha * x, x)``.

    Parameters
    ----------
    alpha : float
        Slope for x <= 0, 0 <= alpha < 1.
    ops : Ops
    """

    pair = "leaky_relu"

    def __init__(self, alpha: float = 0.2, *, ops: Ops = LIBRARY) -> None:
        if not 0 <= alpha < 1:
            raise ValueError(f"LeakyReLU: alpha must be at least 0 and below 1, got {alpha}")
        super().__init__(ops=ops)
        self.alpha = alpha

    def forward(self, x: Array, *, training: bool, update_stats: bool = True) -> tuple[Array, Cache]:
        return resolve(self.ops, x).leaky_relu_forward(x, self.alpha)

    def describe(self) -> str:
        return f"alpha {self.alpha}"


class ReLU(_Activation):
    """``max(x, 0)``."""

    pair = "relu"


class Tanh(_Activation):
    """Hyperbolic tangent: the generator's last layer, which gives pixels in [-1, 1]."""

    pair = "tanh"


class Sigmoid(_Activation):
    """Logistic function. minigan's networks end in logits and the loss applies it; it is here for your own networks."""

    pair = "sigmoid"


class Flatten(_Activation):
    """Every image becomes a vector; element (h, w, c) goes to (h*W + w)*C + c."""

    pair = "flatten"

    def output_shape(self, input_shape: Shape) -> Shape:
        return (int(np.prod(input_shape)),)
