"""The exercises: what a student writes, the cases on which it is tried, and the right result of the forward pass.

An `Exercise` knows its functions, its array arguments and their roles (an image, a kernel, a vector of channels). It
makes test cases in which all sizes differ, and has an oracle for the forward result. It holds no gradients: those are
measured with the oracle, by moving the inputs a little (`minigan.check.numeric`).

All cases are in minigan's layout (N, H, W, C). A student who writes (N, C, H, W) says ``LAYOUT = "NCHW"``; `to_student`
and `from_student` convert arrays according to their role.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigan.nn import ops
from minigan.nn.backend import Array
from minigan.nn.conv import conv_forward, conv_input_grad

Rng = np.random.Generator


@dataclass(frozen=True)
class Case:
    """One set of arguments.

    Parameters
    ----------
    arrays : dict of str to Array
        Array arguments in the order of the signature, float64, in minigan's layout.
    settings : dict
        Keyword arguments such as ``stride``.
    """

    arrays: dict[str, Array]
    settings: dict[str, Any] = field(default_factory=dict)

    def told(self, roles: Mapping[str, str], layout: str) -> str:
        """Shapes and settings, for messages, as the student's functions see them."""
        shapes = [f"{name} {student_shape(a.shape, roles.get(name), layout)}" for name, a in self.arrays.items()]
        return ", ".join([*shapes, *(f"{k}={v}" for k, v in self.settings.items())])

    @property
    def size(self) -> int:
        """Number of elements of all arrays: small cases are easier to look at."""
        return sum(a.size for a in self.arrays.values())


@dataclass(frozen=True)
class Exercise:
    """One row of the table of exercises.

    Parameters
    ----------
    name : str
    functions : tuple of str
        Names of the student's functions; forward and backward, or a single one.
    lesson : int
        In which it is completed.
    signatures : tuple of str
    doc : str
        What it computes, for the template, without a formula of the backward.
    kind : str
        "pair" (forward and backward), "rule" (one function of numbers), or "step" (a training step).
    cases : callable
        Random generator to a list of `Case`.
    oracle : callable
        Arrays and settings by name to the result of the forward (for a rule: a tuple of results).
    gradients : dict of str to str
        For a pair: the argument of each gradient, by the gradient's name, in the order of backward's results.
    roles : dict of str to str
        "image", "kernel" or "flat" for arguments and for "y"; all others are the same in both layouts.
    results : tuple of str
        For a rule: names of what is returned.
    linear : tuple of str
        Arguments in which forward is linear up to a constant.
    per_sample : bool
        Whether the samples of a batch are independent.
    scalar : bool
        Whether forward's result is one number.
    may_view : bool
        Whether forward may return a view of its input (reshaping).
    extremes : list of Case
        Large inputs; the result must be finite and right there too. Those of batch norm are given in float32.
    forward_lesson : int
        In which its forward is written, if that is an earlier one.
    """

    name: str
    functions: tuple[str, ...]
    lesson: int
    signatures: tuple[str, ...]
    doc: str
    kind: str = "pair"
    cases: Callable[[Rng], list[Case]] = lambda rng: []
    oracle: Callable[..., Any] = lambda **_: None
    gradients: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    results: tuple[str, ...] = ()
    linear: tuple[str, ...] = ()
    per_sample: bool = True
    scalar: bool = False
    may_view: bool = False
    extremes: Callable[[], list[Case]] = list
    forward_lesson: int = 0

    def arguments(self) -> dict[str, float | None]:
        """Arguments of the first function, each with its default; None if it has none.

        >>> EXERCISES["conv2d"].arguments()
        {'x': None, 'w': None, 'b': None, 'stride': 1, 'pad': 0}
        """
        inside = self.signatures[0].partition("(")[2].partition(")")[0]
        pairs = (argument.partition("=") for argument in inside.split(", "))
        return {name: ast.literal_eval(default) if default else None for name, _, default in pairs}


# -------------------------------------------------------------------------------------------------------------- layouts
def to_student(array: Array, role: str | None, layout: str) -> Array:
    """An array as the student's function expects it; always a fresh, contiguous copy.

    Parameters
    ----------
    array : Array
        In minigan's layout.
    role : str or None
    layout : "NHWC" or "NCHW"

    Returns
    -------
    Array
    """
    return _turned(array, role, layout, forth=True).copy(order="C")


def from_student(array: Array, role: str | None, layout: str) -> Array:
    """The reverse of `to_student`."""
    return _turned(array, role, layout, forth=False)


def student_shape(shape: tuple[int, ...], role: str | None, layout: str) -> tuple[int, ...]:
    """The shape that an array of minigan's layout has in the student's."""
    return tuple(_turned(np.empty(shape, np.bool_), role, layout, forth=True).shape)


def flat_to_student(rows: Array, shape: tuple[int, ...], layout: str) -> Array:
    """Rows of numbers, one for each image, in the order in which the student's images hold them; a fresh copy.

    Parameters
    ----------
    rows : Array of shape (N, H*W*C)
    shape : tuple of int
        Of the images, (N, H, W, C).
    layout : "NHWC" or "NCHW"

    Returns
    -------
    Array of the same shape
    """
    return to_student(rows.reshape(shape), "image", layout).reshape(len(rows), -1)


def flat_from_student(rows: Array, shape: tuple[int, ...], layout: str) -> Array:
    """The reverse of `flat_to_student`."""
    if layout == "NHWC":
        return rows
    N, H, W, C = shape
    return from_student(rows.reshape(N, C, H, W), "image", layout).reshape(N, -1)


def _turned(array: Array, role: str | None, layout: str, *, forth: bool) -> Array:
    if layout == "NHWC" or array.ndim != 4:
        return array
    if role == "image":
        return array.transpose(0, 3, 1, 2) if forth else array.transpose(0, 2, 3, 1)
    if role == "kernel":  # (K, K, C, O) and (O, C, K, K); transposed (K, K, O, C) and (C, O, K, K)
        return array.transpose(3, 2, 0, 1) if forth else array.transpose(2, 3, 1, 0)
    return array


# ---------------------------------------------------------------------------------------------------------------- cases
def _away_from_zero(x: Array, distance: float = 0.05) -> Array:
    """Push values out of the neighbourhood of a kink at 0."""
    return np.where(x < 0, -1.0, 1.0) * np.maximum(np.abs(x), distance)


def _dense_cases(rng: Rng) -> list[Case]:
    sizes = ((5, 3, 4), (2, 6, 3), (1, 2, 5), (4, 1, 3), (3, 4, 1))
    normal = rng.standard_normal
    return [Case({"x": normal((N, C)), "w": normal((C, O)), "b": normal(O)}) for N, C, O in sizes]


def _activation_cases(rng: Rng) -> list[Case]:
    shapes = ((4, 3), (2, 3, 4, 5), (1, 7), (5, 1, 2, 1))
    return [Case({"x": _away_from_zero(1.5 * rng.standard_normal(s))}) for s in shapes]


def _leaky_cases(rng: Rng) -> list[Case]:
    plain = _activation_cases(rng)
    return [
        *plain[:2],
        *(Case(case.arrays, {"alpha": a}) for case, a in zip(plain, (0.2, 0.05, 0.3, 0.0), strict=True)),
    ]


def _image_cases(rng: Rng) -> list[Case]:
    return [Case({"x": rng.standard_normal(s)}) for s in ((2, 3, 4, 5), (1, 2, 3, 4), (3, 1, 2, 1))]


def _bce_cases(rng: Rng) -> list[Case]:
    shapes = ((5, 1), (4,), (1, 1), (3, 2))
    return [Case({"z": 3 * rng.standard_normal(s), "target": rng.uniform(0.05, 0.95, s)}) for s in shapes]


CONV_SIZES = (
    # N, H, W, C, O, K, stride, pad: all different; stride 2; N = 1; C = 1; no overlap; more stride than kernel
    (2, 5, 6, 3, 4, 3, 1, 1),
    (3, 6, 4, 2, 3, 4, 2, 1),
    (1, 7, 5, 2, 1, 3, 2, 0),
    (2, 4, 5, 1, 2, 2, 1, 0),
    (2, 7, 8, 2, 3, 3, 2, 2),
    (2, 3, 4, 2, 3, 1, 1, 0),
    (2, 7, 5, 2, 3, 2, 3, 0),
)


def _conv_cases(rng: Rng) -> list[Case]:
    normal, out = rng.standard_normal, []
    for N, H, W, C, O, K, S, P in CONV_SIZES:
        arrays = {"x": normal((N, H, W, C)), "w": normal((K, K, C, O)), "b": normal(O)}
        out.append(Case(arrays, {"stride": S, "pad": P}))
    return out


TRANSPOSE_SIZES = (
    # N, H, W, C, O, K, stride, pad
    (2, 3, 4, 3, 2, 4, 2, 1),
    (3, 2, 3, 2, 1, 3, 2, 0),
    (1, 3, 2, 2, 3, 3, 1, 1),
    (2, 2, 3, 1, 2, 2, 3, 0),
    (2, 1, 1, 3, 2, 4, 1, 0),
    (2, 3, 4, 2, 3, 2, 2, 0),
    (2, 4, 3, 2, 3, 5, 2, 2),
)


def _transpose_cases(rng: Rng) -> list[Case]:
    normal, out = rng.standard_normal, []
    for N, H, W, C, O, K, S, P in TRANSPOSE_SIZES:
        arrays = {"x": normal((N, H, W, C)), "w": normal((K, K, O, C)), "b": normal(O)}
        out.append(Case(arrays, {"stride": S, "pad": P}))
    return out


def _batch_norm_cases(rng: Rng) -> list[Case]:
    out: list[Case] = []
    shapes: tuple[tuple[tuple[int, ...], dict[str, float]], ...] = (
        ((5, 3), {}),
        ((3, 2, 4, 5), {}),
        ((1, 3, 2, 4), {"eps": 1e-3}),
        ((2, 1, 3, 1), {"eps": 0.1}),
        ((4, 2), {"eps": 0.5}),
    )
    for shape, settings in shapes:
        C = shape[-1]
        x = rng.uniform(0.5, 2.5, C) * rng.standard_normal(shape) + 2 * rng.standard_normal(C)
        gamma = rng.uniform(0.5, 2, C) * np.where(rng.random(C) < 0.5, -1, 1)
        out.append(Case({"x": x, "gamma": gamma, "beta": rng.standard_normal(C)}, settings))
    return out


def _inference_cases(rng: Rng) -> list[Case]:
    out = []
    for case in _batch_norm_cases(rng):
        C = case.arrays["x"].shape[-1]
        statistics = {"mean": rng.standard_normal((C,)), "var": rng.uniform(0.2, 3, (C,))}
        out.append(Case({**case.arrays, **statistics}, case.settings))
    return out


def _moving_average_cases(rng: Rng) -> list[Case]:
    out = []
    for t, momentum in ((0, None), (1, None), (3, 0.9), (7, 0.25)):
        biased = rng.standard_normal(4) if t else np.zeros(4)
        arrays = {
            "moving": rng.standard_normal(4),
            "biased": biased,
            "t": np.array(float(t)),
            "value": 3 + rng.random(4),
        }
        out.append(Case(arrays, {} if momentum is None else {"momentum": momentum}))
    return out


def _sgd_cases(rng: Rng) -> list[Case]:
    return [
        Case({"p": rng.standard_normal(s), "g": rng.standard_normal(s)}, {"lr": lr})
        for s, lr in (((3, 2), 0.3), ((4,), 0.07))
    ]


def _momentum_cases(rng: Rng) -> list[Case]:
    out = []
    for shape, settings in (
        ((3, 2), {"lr": 0.3}),
        ((4,), {"lr": 0.07, "beta": 0.6}),
        ((2,), {"lr": 0.1, "beta": 0.25}),
    ):
        arrays = {name: rng.standard_normal(shape) for name in ("p", "g", "v")}
        out.append(Case(arrays, settings))
    return out


def _adam_cases(rng: Rng) -> list[Case]:
    out = []
    for shape, t, settings in (
        ((3, 2), 1, {"lr": 0.1, "beta1": 0.5, "beta2": 0.999, "eps": 1e-7}),
        ((4,), 2, {"lr": 0.02, "beta1": 0.9, "beta2": 0.99, "eps": 1e-7}),
        ((2, 3), 5, {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "eps": 0.05}),
    ):
        first = t == 1
        m = np.zeros(shape) if first else rng.standard_normal(shape)
        v = np.zeros(shape) if first else rng.uniform(0.1, 2, shape)
        arrays = {"p": rng.standard_normal(shape), "g": rng.standard_normal(shape), "m": m, "v": v, "t": np.array(t)}
        out.append(Case(arrays, settings))
    return out


# -------------------------------------------------------------------------------------------------------------- oracles
def _bce_oracle(z: Array, target: Array) -> Array:
    """Stable for large z, without minigan's clip of z; where the clip does nothing, both agree."""
    return np.mean(np.maximum(z, 0) - z * target + np.log1p(np.exp(-np.abs(z))))


def _conv_oracle(x: Array, w: Array, b: Array, stride: int = 1, pad: int = 0) -> Array:
    return conv_forward(x, w, stride=stride, pad=pad, kernel="loops") + b


def _transpose_oracle(x: Array, w: Array, b: Array, stride: int = 1, pad: int = 0) -> Array:
    H, W = (stride * (h - 1) + w.shape[0] - 2 * pad for h in x.shape[1:3])
    return conv_input_grad(x, w, stride=stride, pad=pad, size=(H, W), kernel="loops") + b


def _batch_norm_oracle(x: Array, gamma: Array, beta: Array, eps: float = 1e-3) -> Array:
    axes = tuple(range(x.ndim - 1))
    return gamma * (x - x.mean(axes)) / np.sqrt(x.var(axes) + eps) + beta


def _inference_oracle(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float = 1e-3) -> tuple[Array]:
    return (gamma * (x - mean) / np.sqrt(var + eps) + beta,)


def _momentum_oracle(p: Array, g: Array, v: Array, lr: float, beta: float = 0.9) -> tuple[Array, Array]:
    v = beta * v + g
    return p - lr * v, v


def _adam_oracle(
    p: Array, g: Array, m: Array, v: Array, t: Any, lr: float, beta1: float, beta2: float, eps: float
) -> tuple[Array, Array, Array]:
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    rate = lr * np.sqrt(1 - beta2**t) / (1 - beta1**t)
    return p - rate * m / (np.sqrt(v) + eps), m, v


def _far_from_zero() -> list[Case]:
    """Values of deviation 1 around 3000, for float32: E[x^2] - mean^2 loses their variance there."""
    x = (3000 + np.random.default_rng(10).standard_normal((20, 6))).astype(np.float32)
    return [Case({"x": x.astype(np.float64), "gamma": np.ones(6), "beta": np.zeros(6)})]


def _saturated(name: str) -> Callable[[], list[Case]]:
    return lambda: [Case({name: np.array([[-1000.0, -40.0, 40.0, 1000.0]])})]


# ---------------------------------------------------------------------------------------------------------------- table
def _activation(name: str, doc: str, function: Callable[[Array], Array], **more: Any) -> Exercise:
    return Exercise(
        name=name,
        functions=(f"{name}_forward", f"{name}_backward"),
        lesson=3,
        signatures=(f"{name}_forward(x) -> y, cache", f"{name}_backward(dy, cache) -> dx"),
        doc=doc,
        cases=_activation_cases,
        oracle=lambda x: function(x),
        gradients={"dx": "x"},
        roles={"x": "image", "y": "image"},
        **more,
    )


_ALL = (
    Exercise(
        name="dense",
        functions=("dense_forward", "dense_backward"),
        lesson=3,
        signatures=("dense_forward(x, w, b) -> y, cache", "dense_backward(dy, cache) -> dx, dw, db"),
        doc="Affine map y = x @ w + b. x (N, C), w (C, O), b (O,), y (N, O).",
        cases=_dense_cases,
        oracle=lambda x, w, b: x @ w + b,
        gradients={"dx": "x", "dw": "w", "db": "b"},
        linear=("x",),
    ),
    _activation("relu", "max(x, 0), element by element; any shape.", lambda x: np.maximum(x, 0)),
    Exercise(
        name="leaky_relu",
        functions=("leaky_relu_forward", "leaky_relu_backward"),
        lesson=3,
        signatures=("leaky_relu_forward(x, alpha=0.2) -> y, cache", "leaky_relu_backward(dy, cache) -> dx"),
        doc="max(alpha * x, x), element by element; any shape, 0 <= alpha < 1.",
        cases=_leaky_cases,
        oracle=lambda x, alpha=0.2: np.where(x > 0, x, alpha * x),
        gradients={"dx": "x"},
        roles={"x": "image", "y": "image"},
    ),
    _activation("tanh", "Hyperbolic tangent, element by element; any shape.", np.tanh, extremes=_saturated("x")),
    _activation(
        "sigmoid",
        "1 / (1 + exp(-x)), element by element; any shape, also for large |x|.",
        lambda x: ops.sigmoid_forward(x)[0],
        extremes=_saturated("x"),
    ),
    Exercise(
        name="flatten",
        functions=("flatten_forward", "flatten_backward"),
        lesson=3,
        signatures=("flatten_forward(x) -> y, cache", "flatten_backward(dy, cache) -> dx"),
        doc="Images (N, H, W, C) to rows (N, H*W*C); element (h, w, c) goes to (h*W + w)*C + c.",
        cases=_image_cases,
        oracle=lambda x: x.reshape(len(x), -1),
        gradients={"dx": "x"},
        roles={"x": "image", "y": "flat"},
        linear=("x",),
        may_view=True,
    ),
    Exercise(
        name="bce_with_logits",
        functions=("bce_with_logits_forward", "bce_with_logits_backward"),
        lesson=4,
        signatures=(
            "bce_with_logits_forward(z, target) -> loss, cache",
            "bce_with_logits_backward(dloss, cache) -> dz",
        ),
        doc=(
            "Mean binary cross-entropy of the probabilities sigmoid(z) against targets in [0, 1], as one number, "
            "computed so that it stays right for |z| = 1000. z and target have one shape; dloss is one number."
        ),
        cases=_bce_cases,
        oracle=_bce_oracle,
        gradients={"dz": "z"},
        per_sample=False,
        scalar=True,
        extremes=lambda: [
            Case({"z": np.array([[z]]), "target": np.array([[t]])}) for z in (-1000.0, 1000.0) for t in (0.25, 1.0, 0.0)
        ],
    ),
    Exercise(
        name="sgd",
        functions=("sgd_step",),
        lesson=5,
        signatures=("sgd_step(p, g, lr) -> p",),
        doc="One step of gradient descent: the new parameter for parameter p and gradient g.",
        kind="rule",
        cases=_sgd_cases,
        oracle=lambda p, g, lr: (p - lr * g,),
        results=("p",),
    ),
    Exercise(
        name="momentum",
        functions=("momentum_step",),
        lesson=5,
        signatures=("momentum_step(p, g, v, lr, beta=0.9) -> p, v",),
        doc="Gradient descent with momentum: the velocity v becomes beta*v + g, and p moves by -lr*v.",
        kind="rule",
        cases=_momentum_cases,
        oracle=_momentum_oracle,
        results=("p", "v"),
    ),
    Exercise(
        name="adam",
        functions=("adam_step",),
        lesson=5,
        signatures=("adam_step(p, g, m, v, t, lr, beta1, beta2, eps) -> p, m, v",),
        doc=(
            "One step of Adam; t is 1 at the first step. Moments m (of g) and v (of g*g) are moving averages; the "
            "rate is lr * sqrt(1 - beta2**t) / (1 - beta1**t), and p moves by -rate * m / (sqrt(v) + eps)."
        ),
        kind="rule",
        cases=_adam_cases,
        oracle=_adam_oracle,
        results=("p", "m", "v"),
    ),
    Exercise(
        name="discriminator_step",
        functions=("discriminator_step",),
        lesson=6,
        signatures=("discriminator_step(D, optimizer, x, labels) -> loss",),
        doc=(
            "Teach D to give images x (B, S, S, 3) these labels (B, 1): forward in training mode, binary "
            "cross-entropy, fresh gradients, one optimizer.step(D.grads()). Returns the loss before the update."
        ),
        kind="step",
    ),
    Exercise(
        name="generator_step",
        functions=("generator_step",),
        lesson=6,
        signatures=("generator_step(G, D, optimizer, noise, labels) -> loss",),
        doc=(
            "Teach G to make images that D gives these labels (B, 1): G and D forward in training mode, D without "
            "new moving statistics, the gradient back through D, one optimizer.step(G.grads()). D stays as it is. "
            "Returns the loss before the update."
        ),
        kind="step",
    ),
    Exercise(
        name="conv2d",
        functions=("conv2d_forward", "conv2d_backward"),
        lesson=8,
        signatures=(
            "conv2d_forward(x, w, b, stride=1, pad=0) -> y, cache",
            "conv2d_backward(dy, cache) -> dx, dw, db",
        ),
        doc=(
            "Convolution without flipping the kernel: x (N, H, W, C), w (K, K, C, O), b (O,), `pad` zeros on all "
            "four sides, y (N, (H + 2*pad - K)//stride + 1, ..., O). Last rows that the kernel does not reach are "
            "not used."
        ),
        cases=_conv_cases,
        oracle=_conv_oracle,
        gradients={"dx": "x", "dw": "w", "db": "b"},
        roles={"x": "image", "y": "image", "w": "kernel"},
        linear=("x",),
        forward_lesson=7,
    ),
    Exercise(
        name="conv2d_transpose",
        functions=("conv2d_transpose_forward", "conv2d_transpose_backward"),
        lesson=9,
        signatures=(
            "conv2d_transpose_forward(x, w, b, stride=1, pad=0) -> y, cache",
            "conv2d_transpose_backward(dy, cache) -> dx, dw, db",
        ),
        doc=(
            "Transposed convolution: each input position stamps the kernel, times its value, onto the output, "
            "`stride` apart; stamps add up, then `pad` rows and columns are cropped on all four sides. x (N, H, W, "
            "C), w (K, K, O, C), b (O,), y (N, stride*(H - 1) + K - 2*pad, ..., O)."
        ),
        cases=_transpose_cases,
        oracle=_transpose_oracle,
        gradients={"dx": "x", "dw": "w", "db": "b"},
        roles={"x": "image", "y": "image", "w": "kernel"},
        linear=("x",),
    ),
    Exercise(
        name="batch_norm",
        functions=("batch_norm_forward", "batch_norm_backward"),
        lesson=10,
        signatures=(
            "batch_norm_forward(x, gamma, beta, eps=1e-3) -> y, cache",
            "batch_norm_backward(dy, cache) -> dx, dgamma, dbeta",
        ),
        doc=(
            "Normalise every channel with its own mean and (biased) variance over all axes but the last, eps added "
            "to the variance under the root; then times gamma (C,) plus beta (C,). x (N, C) or (N, H, W, C)."
        ),
        cases=_batch_norm_cases,
        oracle=_batch_norm_oracle,
        gradients={"dx": "x", "dgamma": "gamma", "dbeta": "beta"},
        roles={"x": "image", "y": "image"},
        per_sample=False,
        extremes=_far_from_zero,
    ),
    Exercise(
        name="batch_norm_inference",
        functions=("batch_norm_inference",),
        lesson=10,
        signatures=("batch_norm_inference(x, gamma, beta, mean, var, eps=1e-3) -> y",),
        doc="Batch normalization with given mean (C,) and variance (C,) instead of the batch's.",
        kind="rule",
        cases=_inference_cases,
        oracle=_inference_oracle,
        roles={"x": "image", "y": "image"},
        results=("y",),
    ),
    Exercise(
        name="moving_average",
        functions=("moving_average",),
        lesson=10,
        signatures=("moving_average(moving, biased, t, value, momentum=0.5) -> moving, biased, t",),
        doc=(
            "Zero-debiased moving average: biased becomes momentum*biased + (1 - momentum)*value, t becomes t + 1, "
            "and moving is biased / (1 - momentum**t). After the first update moving equals value."
        ),
        kind="rule",
        cases=_moving_average_cases,
        oracle=lambda moving, biased, t, value, momentum=0.5: ops.moving_average(moving, biased, t, value, momentum),
        results=("moving", "biased", "t"),
    ),
)

EXERCISES: dict[str, Exercise] = {exercise.name: exercise for exercise in _ALL}
"""All exercises by name, in the order of the lessons."""
