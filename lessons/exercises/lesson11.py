"""Lesson 11's own exercises: shapes, counts, first weights, a Sequential, both networks, and how to test them whole.

Students build the real networks from `Parts`, which hands out minigan's layers; the functions inside these may be the
students' own (`notebook.my_ops`). What they build is compared with minigan's networks layer by layer.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import Any

import numpy as np

import minigan
from lessons.judging import Exercise, Mistake, Verdict, among, explanation, is_sequence, number, numbers
from minigan.data.drawn.faces import draw_face
from minigan.nn.backend import Array, Shape
from minigan.nn.initializers import GlorotUniform
from minigan.nn.initializers import glorot_limit as glorot_limit  # the reference
from minigan.nn.layers import (
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    Sigmoid,
    Tanh,
)
from minigan.nn.ops import LIBRARY, Ops


# ---------------------------------------------------------------------------------------------------------------- parts
class Parts:
    """Hands out layers: every kernel drawn from Glorot's distribution, every function from one set of ops.

    Parameters
    ----------
    ops : Ops
        Whose functions the layers call: minigan's own, or a student's (`notebook.my_ops`).
    seed : int
        Seed of the kernels.
    first : int
        Number of the first kernel. minigan counts the discriminator's from 0 and the generator's from 1000, so that
        neither network's weights depend on the other's.
    dtype : dtype
        float32 to train, float64 to check gradients.
    """

    def __init__(self, *, ops: Ops = LIBRARY, seed: int = 1337, first: int = 0, dtype: Any = np.float32) -> None:
        self.ops, self.dtype = ops, dtype
        self.kernels = GlorotUniform(seed, first=first, dtype=dtype)

    def conv(self, C: int, O: int, K: int, strides: int = 1) -> Conv2D:
        """Convolution from C channels to O, kernel K x K, "same" padding."""
        return Conv2D(C, O, K, strides=strides, kernel_initializer=self.kernels, ops=self.ops)

    def conv_transpose(self, C: int, O: int, K: int, strides: int = 1, padding: str = "same") -> Conv2DTranspose:
        """Transposed convolution from C channels to O, kernel K x K; padding "same" or "valid"."""
        return Conv2DTranspose(C, O, K, strides=strides, padding=padding, kernel_initializer=self.kernels, ops=self.ops)

    def batch_norm(self, C: int) -> BatchNormalization:
        """Batch normalisation of C channels."""
        return BatchNormalization(C, dtype=self.dtype, ops=self.ops)

    def leaky_relu(self) -> LeakyReLU:
        """LeakyReLU with slope 0.2."""
        return LeakyReLU(0.2, ops=self.ops)

    def flatten(self) -> Flatten:
        """Images to rows."""
        return Flatten(ops=self.ops)

    def dense(self, C: int, O: int) -> Dense:
        """Affine map from C numbers to O."""
        return Dense(C, O, kernel_initializer=self.kernels, ops=self.ops)

    def tanh(self) -> Tanh:
        """Hyperbolic tangent."""
        return Tanh(ops=self.ops)


def discriminator_layers(width: int, parts: Parts) -> list[Layer]:
    """The discriminator for 64 x 64 images.

    Parameters
    ----------
    width : int
        Channels of the largest feature map; 64 in the article.
    parts : Parts

    Returns
    -------
    list of Layer
    """
    layers: list[Layer] = [parts.conv(3, width, 4, strides=2), parts.leaky_relu()]
    for C in (width, 2 * width, 4 * width):
        layers += [parts.conv(C, 2 * C, 4, strides=2), parts.batch_norm(2 * C), parts.leaky_relu()]
    return [*layers, parts.flatten(), parts.dense(4 * 4 * 8 * width, 1)]


def generator_layers(width: int, parts: Parts) -> list[Layer]:
    """The generator for 64 x 64 images; arguments and result as `discriminator_layers`."""
    top = 8 * width
    layers: list[Layer] = [
        parts.conv_transpose(100, top, 4, padding="valid"),
        parts.batch_norm(top),
        parts.leaky_relu(),
    ]
    for C in (8 * width, 4 * width, 2 * width):
        layers += [parts.conv_transpose(C, C // 2, 4, strides=2), parts.batch_norm(C // 2), parts.leaky_relu()]
    layers += [parts.conv(width, width, 3), parts.batch_norm(width), parts.leaky_relu()]
    return [*layers, parts.conv_transpose(width, 3, 4, strides=2), parts.tanh()]


def faces(count: int, size: int) -> Array:
    """The first drawn faces.

    Parameters
    ----------
    count, size : int

    Returns
    -------
    Array of shape (count, size, size, 3), float32, in [-1, 1]
    """
    return np.stack([draw_face(i, size=size)[0] for i in range(count)]).astype(np.float32) / np.float32(127.5) - 1


# --------------------------------------------------------------------------------------------------------- feature maps
D_MAPS = [(32, 32, 64), (16, 16, 128), (8, 8, 256), (4, 4, 512)]
G_MAPS = [(4, 4, 512), (8, 8, 256), (16, 16, 128), (32, 32, 64), (32, 32, 64), (64, 64, 3)]


def _shape_of(given: Any) -> tuple[int, ...] | None:
    """A shape as a tuple of whole numbers; None if it is anything else."""
    sizes = numbers(given)
    if sizes is None or sizes.ndim != 1 or not (np.isfinite(sizes) & (sizes == np.round(sizes))).all():
        return None
    return tuple(map(int, sizes))


def _judge_feature_maps(d_maps: Any, g_maps: Any) -> Verdict:
    for name, given, right in (("d_maps", d_maps, D_MAPS), ("g_maps", g_maps, G_MAPS)):
        maps = [_shape_of(one) for one in given] if is_sequence(given) else [None]
        if None in maps:
            return Verdict.wrong(f"{name} is a list of shapes (H, W, C)", f"yours: {given!r}"[:200])
        if len(maps) != len(right):
            return Verdict.wrong(
                f"{name} has {len(right)} shapes, yours {len(maps)}", "one for each kernel of the table"
            )
        for k, (yours, wanted) in enumerate(zip(maps, right, strict=True), start=1):
            if yours == wanted:
                continue
            title = f"{name}, layer {k}: {yours} is not its output"
            if len(yours) != 3:
                return Verdict.wrong(title, "a shape is (H, W, C), the batch axis left out")
            if yours == (wanted[2], *wanted[:2]) or yours == wanted[::-1]:
                return Verdict.wrong(title, "channels come last: (H, W, C)")
            if yours[2] != wanted[2] and yours[:2] == wanted[:2]:
                return Verdict.wrong(title, f"right height and width; the layer has {wanted[2]} filters")
            before = (64 if k == 1 else right[k - 2][0]) if name == "d_maps" else (1 if k == 1 else right[k - 2][0])
            return Verdict.wrong(title, _side_told(name, k, yours[0], before))
    return Verdict.ok("ten feature maps")


def _side_told(name: str, k: int, side: int, before: int) -> str:
    if name == "d_maps" and side == (before - 4) // 2 + 1:
        return f"({before} - 4)//2 + 1 = {side} is right without padding; 'same' pads 1 on each side here"
    if name == "d_maps":
        return f"({before} + 2*1 - 4)//2 + 1: kernel 4, stride 2, padding 1 on {before} pixels"
    if k == 1:
        return "'valid' crops nothing: stride*(H - 1) + K = 1*(1 - 1) + 4"
    if k == 5:
        return "stride 1 with 'same' padding keeps the size"
    if side == 2 * (before - 1) + 4:
        return f"2*({before} - 1) + 4 = {side} is the full scatter; 'same' crops 1 on each side"
    return f"'same' gives stride * H = 2 * {before}"


FEATURE_MAPS = Exercise(
    name="feature_maps",
    lesson=11,
    judge=_judge_feature_maps,
    hints=(
        "Lesson 7 has the size of a convolution's output, lesson 9 that of a transposed one.",
        "Every layer of D with stride 2 halves the side; every one of G doubles it, but for the first and the 3 x 3.",
        "D: 32, 16, 8, 4. G: 4, 8, 16, 32, 32, 64. The channels stand in the table.",
    ),
    doc="Output shapes of all layers with kernels, D's four convolutions and G's six layers.",
)


# --------------------------------------------------------------------------------------------------------------- counts
KINDS = ("conv", "conv_transpose", "batch_norm", "dense")

D_PLAN = (
    ("conv", 4, 3, 64),
    ("conv", 4, 64, 128),
    ("batch_norm", 1, 128, 128),
    ("conv", 4, 128, 256),
    ("batch_norm", 1, 256, 256),
    ("conv", 4, 256, 512),
    ("batch_norm", 1, 512, 512),
    ("dense", 1, 8192, 1),
)
G_PLAN = (
    ("conv_transpose", 4, 100, 512),
    ("batch_norm", 1, 512, 512),
    ("conv_transpose", 4, 512, 256),
    ("batch_norm", 1, 256, 256),
    ("conv_transpose", 4, 256, 128),
    ("batch_norm", 1, 128, 128),
    ("conv_transpose", 4, 128, 64),
    ("batch_norm", 1, 64, 64),
    ("conv", 3, 64, 64),
    ("batch_norm", 1, 64, 64),
    ("conv_transpose", 4, 64, 3),
)
"""Layers that have parameters: kind, K, C, O."""


def count_parameters(kind: str, K: int, C: int, O: int) -> tuple[int, int]:
    """Numbers of trained parameters and of moving statistics of one layer.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    K, C, O : int
        Kernel size, channels in and out; a batch normalisation has C = O and no kernel.

    Returns
    -------
    trained, moving : int
    """
    if kind == "batch_norm":
        return 2 * C, 2 * C
    area = 1 if kind == "dense" else K * K
    return area * C * O + O, 0


_BY_HAND: tuple[tuple[str, int, dict[int, str]], ...] = (
    (
        "D's first convolution",
        3136,
        {
            3072: "the 64 biases are missing",
            832: "a kernel is K x K, not K",
            **dict.fromkeys((3073, 3075), "there is one bias for each *output* channel, 64 of them"),
        },
    ),
    (
        "D's second convolution",
        131_200,
        {131_072: "the 128 biases are missing", 131_136: "there is one bias for each *output* channel"},
    ),
    (
        "its batch normalisation",
        512,
        {
            256: "it has 128 channels and four numbers for each: gamma and beta, and the moving mean and variance, "
            "which are saved though not trained",
            128: "there are four numbers for each channel",
        },
    ),
    (
        "the dense layer",
        8193,
        {8192: "the bias is missing", **dict.fromkeys((512, 513), "Flatten makes 4 * 4 * 512 numbers of the last map")},
    ),
)


def _judge_by_hand(*given: Any) -> Verdict:
    if len(given) != len(_BY_HAND):
        return Verdict.wrong("four counts are wanted", f"yours: {len(given)}")
    wrong = []
    for (name, right, known), count in zip(_BY_HAND, given, strict=True):
        if number(count) is None:
            return Verdict.wrong(f"{name}: a number is wanted", f"yours: {count!r}"[:100])
        if count != right:
            why = known.get(int(count), "") if np.isfinite(count) else ""
            wrong.append(f"{name}: {count:,} is not right" + (f"; {why}" if why else ""))
    if wrong:
        return Verdict.wrong(f"{len(wrong)} of 4 counts {'is' if len(wrong) == 1 else 'are'} wrong", *wrong)
    return Verdict.ok("3,136, 131,200, 512 and 8,193")


COUNT_BY_HAND = Exercise(
    name="count_by_hand",
    lesson=11,
    judge=_judge_by_hand,
    hints=(
        "Count the numbers in the kernel, then one bias for each output channel.",
        "K*K*C*O + O for a convolution. Batch normalisation keeps four numbers for each channel.",
        "4*4*3*64 + 64; 4*4*64*128 + 128; 4*128; 4*4*512 + 1",
    ),
    doc="Parameters of four layers of D.",
)


def _count_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases: list[tuple[Any, ...]] = [
        ("batch_norm", 1, 5, 5),
        ("dense", 1, 7, 2),
        ("conv", 3, 2, 5),
        ("conv_transpose", 4, 6, 1),
    ]
    return [*cases, *D_PLAN, *G_PLAN]


COUNT_PARAMETERS = Exercise(
    name="count_parameters",
    lesson=11,
    reference=count_parameters,
    cases=_count_cases,
    mistakes=(
        Mistake(
            lambda kind, K, C, O: (
                (2 * C, 2 * C) if kind == "batch_norm" else ((K * K if kind != "dense" else 1) * C * O, 0)
            ),
            "The biases are missing: one for each output channel.",
        ),
        Mistake(
            lambda kind, K, C, O: (K * K * C * O, 0) if kind.startswith("conv") else count_parameters(kind, K, C, O),
            "The biases of the convolutions are missing: one for each output channel.",
        ),
        Mistake(
            lambda kind, K, C, O: (C * O, 0) if kind == "dense" else count_parameters(kind, K, C, O),
            "The biases of the dense layer are missing: one for each number that comes out.",
        ),
        Mistake(
            lambda kind, K, C, O: (
                (K * K * C * O + C, 0) if kind.startswith("conv") else count_parameters(kind, K, C, O)
            ),
            "A bias is added to the *output* of a convolution: there are O of them, not C.",
        ),
        Mistake(
            lambda kind, K, C, O: (C * O + C, 0) if kind == "dense" else count_parameters(kind, K, C, O),
            "A bias is added to the *output* of a dense layer: there are O of them, not C.",
        ),
        Mistake(
            lambda kind, K, C, O: (
                count_parameters(kind, K, C, O)
                if kind == "batch_norm"
                else (count_parameters(kind, K, C, O)[0] - O + C, 0)
            ),
            "A bias is added to the *output*, of every kind of layer: there are O of them, not C.",
        ),
        Mistake(
            lambda kind, K, C, O: (
                count_parameters(kind, K, C, O)
                if kind == "batch_norm"
                else (count_parameters(kind, K, C, O)[0] - O + 1, 0)
            ),
            "One bias is counted for the whole layer; every output channel has its own, O of them.",
        ),
        Mistake(
            lambda kind, K, C, O: (C, 2 * C) if kind == "batch_norm" else count_parameters(kind, K, C, O),
            "Batch normalisation trains two numbers for each channel: gamma and beta.",
        ),
        Mistake(
            lambda kind, K, C, O: count_parameters(kind, K, C, O)[::-1],
            "The two numbers are exchanged: first the trained ones, then the moving statistics.",
        ),
        Mistake(
            lambda kind, K, C, O: (
                count_parameters(kind, K, C, O)[::-1] if kind.startswith("conv") else count_parameters(kind, K, C, O)
            ),
            "For the convolutions, the two numbers are exchanged: first the trained ones, then the moving statistics.",
        ),
        Mistake(
            lambda kind, K, C, O: (2 * C, 2 * C) if kind == "batch_norm" else (K * C * O + O, 0),
            "A kernel is K x K: K is counted once.",
        ),
        Mistake(
            lambda kind, K, C, O: (4 * C, 0) if kind == "batch_norm" else count_parameters(kind, K, C, O),
            "Batch normalisation trains gamma and beta only; the moving mean and variance are counted apart.",
        ),
        Mistake(
            lambda kind, K, C, O: (2 * C, 0) if kind == "batch_norm" else count_parameters(kind, K, C, O),
            "The moving mean and the moving variance are missing: they are saved with the network, though not trained.",
        ),
        Mistake(
            lambda kind, K, C, O: (
                (K * K * C * O + C, 0) if kind == "conv_transpose" else count_parameters(kind, K, C, O)
            ),
            "A bias is added to the *output*: a transposed convolution has O of them too.",
        ),
    ),
    hints=(
        "You have counted one of each kind by hand; write down what you did.",
        "A dense layer is a convolution without a K. A transposed convolution has as many parameters as a plain one.",
        "batch_norm: (2*C, 2*C); dense: (C*O + O, 0); the others: (K*K*C*O + O, 0)",
    ),
    doc="count_parameters(kind, K, C, O) -> trained, moving",
)


# --------------------------------------------------------------------------------------------------------------- glorot
def _glorot_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    shapes: tuple[Shape, ...] = ((4, 4, 3, 64), (8192, 1), (3, 3, 5, 7), (4, 4, 512, 100), (1, 1, 2, 4), (6, 2))
    return [(shape,) for shape in shapes]


GLOROT = Exercise(
    name="glorot_limit",
    lesson=11,
    reference=glorot_limit,
    cases=_glorot_cases,
    mistakes=(
        Mistake(
            lambda shape: math.sqrt(6 / (shape[-2] + shape[-1])),
            "The receptive field is missing: an output of a convolution adds up K*K*C products, not C.",
        ),
        Mistake(
            lambda shape: math.sqrt(2 / (math.prod(shape[:-2]) * (shape[-2] + shape[-1]))),
            "That is the standard deviation. U[-l, l) has the deviation l / sqrt(3), so l is sqrt(3) times it.",
        ),
        Mistake(
            lambda shape: math.sqrt(3 / (math.prod(shape[:-2]) * shape[-2])),
            "That looks at fan_in alone, and would keep the forward pass only: Glorot takes the mean of both fans.",
        ),
        Mistake(
            lambda shape: math.sqrt(6 / (math.prod(shape[:-2]) * shape[-2])),
            "That looks at fan_in alone (it is He's limit, for ReLU). Glorot takes the mean of both fans.",
        ),
        Mistake(
            lambda shape: math.sqrt(3 / (math.prod(shape[:-2]) * shape[-1])),
            "That looks at fan_out alone, and would keep the backward pass only: Glorot takes the mean of both fans.",
        ),
        Mistake(
            lambda shape: 2 / (math.prod(shape[:-2]) * (shape[-2] + shape[-1])),
            "That is the variance. U[-l, l) has the variance l * l / 3: solve that for l.",
        ),
        Mistake(
            lambda shape: 2 * math.sqrt(6 / (math.prod(shape[:-2]) * (shape[-2] + shape[-1]))),
            "Twice too large: l is *half* the width of the distribution, from 0 to one of its ends.",
        ),
        Mistake(
            lambda shape: math.sqrt(6 / math.prod(shape)),
            "The two fans are multiplied with each other. They are added: fan_in + fan_out.",
        ),
        Mistake(
            lambda shape: math.sqrt(6 / (math.prod(shape[:-2]) * shape[-2] + shape[-1])),
            "The receptive field belongs to both fans: K*K*C and K*K*O.",
        ),
        Mistake(
            lambda shape: math.sqrt(6 / ((shape[0] if len(shape) > 2 else 1) * (shape[-2] + shape[-1]))),
            "A kernel is K x K: its field has K * K places, not K.",
        ),
        Mistake(
            lambda shape: math.sqrt(6 / (shape[0] + shape[1])),
            "Those are the kernel's height and width. The channels are the last two axes.",
        ),
        Mistake(
            lambda shape: math.sqrt(3 / (math.prod(shape[:-2]) * (shape[-2] + shape[-1]))),
            "A factor of 2 is missing: the fans are averaged, (fan_in + fan_out) / 2.",
        ),
        Mistake(
            lambda shape: 6 / (math.prod(shape[:-2]) * (shape[-2] + shape[-1])),
            "The root is missing.",
        ),
        Mistake(
            lambda shape: math.sqrt(6 / (math.prod(shape[:-2]) + shape[-2] + shape[-1])),
            "The receptive field multiplies the channels; here it is added to them.",
        ),
    ),
    hints=(
        "How many products does one output add up? That is fan_in; fan_out is the same question asked backwards.",
        "fan_in = K*K*shape[-2], fan_out = K*K*shape[-1]; for a dense kernel there is no K*K. math.prod(()) is 1.",
        "math.sqrt(6 / (math.prod(shape[:-2]) * (shape[-2] + shape[-1])))",
    ),
    doc="glorot_limit(shape) -> l, half the width of the uniform distribution",
)


# ----------------------------------------------------------------------------------------------------------- sequential
class Sequential:
    """The reference of the exercise: what minigan.Sequential does, without paths, names and fusion."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = list(layers)

    def forward(self, x: Array, *, training: bool, update_stats: bool = True) -> tuple[Array, list[Any]]:
        """Down the list; the caches come back beside the output."""
        caches = []
        for layer in self.layers:
            x, cache = layer.forward(x, training=training, update_stats=update_stats)
            caches.append(cache)
        return x, caches

    def backward(
        self, dy: Array, caches: list[Any], *, input_grad: bool = False, param_grads: bool = True
    ) -> Array | None:
        """Up the list; layers add into their grads."""
        gradient: Any = dy
        for index in reversed(range(len(self.layers))):
            gradient = self.layers[index].backward(
                gradient, caches[index], input_grad=input_grad or index > 0, param_grads=param_grads
            )
        return gradient


def _small_layers() -> list[Layer]:
    parts = Parts(seed=3, dtype=np.float64)
    return [
        parts.conv(3, 4, 4, strides=2),
        parts.batch_norm(4),
        parts.leaky_relu(),
        parts.flatten(),
        parts.dense(64, 2),
    ]


class _Asked(Layer):
    """Passes everything through and writes down how backward was called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[bool, bool]] = []

    def forward(self, x: Array, *, training: bool, update_stats: bool = True) -> tuple[Array, Any]:
        return x.copy(), None

    def backward(self, dy: Array, cache: Any, *, input_grad: bool = True, param_grads: bool = True) -> Array | None:
        self.calls.append((input_grad, param_grads))
        return dy.copy() if input_grad else None


class _Followed(Layer):
    """Passes everything through and writes down which layer was called, and whose cache it was handed."""

    def __init__(self, number: int, steps: list[tuple[int, Any]]) -> None:
        super().__init__()
        self.number, self.steps = number, steps

    def forward(self, x: Array, *, training: bool, update_stats: bool = True) -> tuple[Array, Any]:
        return x.copy(), ("cache of layer", self.number)

    def backward(self, dy: Array, cache: Any, *, input_grad: bool = True, param_grads: bool = True) -> Array | None:
        self.steps.append((self.number, cache))
        return dy.copy() if input_grad else None


def _way_back(kind: Any) -> str:
    """What is wrong with the way that backward takes through three layers; "" if nothing, or if it raises."""
    steps: list[tuple[int, Any]] = []
    network = kind([_Followed(number, steps) for number in range(3)])
    try:
        network.backward(np.ones((2, 2)), network.forward(np.ones((2, 2)), training=True)[1], input_grad=True)
    except Exception:
        return ""
    order = [number for number, _ in steps]
    if order == [0, 1, 2]:
        return (
            "backward begins with the first layer; dy belongs to the last one's output: go up the list, from its end."
        )
    if order != [2, 1, 0]:
        told = ", ".join(map(str, order)) or "none"
        return f"of three layers, numbered 0 to 2, backward calls {told}; it should be 2, 1, 0."
    if any(isinstance(cache, tuple) and cache[:1] == ("cache of layer",) and cache[1] != k for k, cache in steps):
        return "a layer is handed another layer's cache: each needs the one that its own forward returned."
    return ""


def _grads(layers: Sequence[Layer]) -> list[Array]:
    return [g for layer in layers for g in layer.grads.values()]


def _statistics(layers: Sequence[Layer]) -> list[Array]:
    return [b.copy() for layer in layers for b in layer.buffers.values()]


def _same(a: Any, b: Any) -> bool:
    return isinstance(a, np.ndarray) and a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-9, atol=1e-12))


def _all_same(a: Sequence[Array], b: Sequence[Array]) -> bool:
    return all(_same(x, y) for x, y in zip(a, b, strict=True))


def _judge_sequential(kind: Any) -> Verdict:
    if not inspect.isclass(kind):
        return Verdict.wrong("a class is wanted", "check('sequential', MySequential), without brackets behind the name")
    rng = np.random.default_rng(11)
    x1, x2 = rng.standard_normal((2, 5, 8, 8, 3))
    dy = rng.standard_normal((5, 2))
    own, reference = _small_layers(), Sequential(_small_layers())
    network = kind(own)

    # forward
    made = network.forward(x1.copy(), training=True)
    if not isinstance(made, tuple | list) or len(made) != 2:
        told = "None" if made is None else type(made).__name__
        return Verdict.wrong("forward returns two things, the output and the caches", f"yours returns {told}")
    y, caches = made
    right, right_caches = reference.forward(x1, training=True)
    if not _same(y, right):
        if isinstance(y, np.ndarray) and y.shape != right.shape:
            why = f"it has the shape {y.shape}, expected {right.shape}: do all layers run, one on the other's output?"
        else:
            why = "each layer takes the output of the one before; `training` has to be passed on"
        return Verdict.wrong("forward gives another output than the layers one after the other", why)
    if not _all_same(_statistics(own), _statistics(reference.layers)):
        return Verdict.wrong(
            "the moving statistics have not moved once", "every layer's forward runs once, with update_stats"
        )

    # backward
    way = _way_back(kind)
    if way:
        return Verdict.wrong("backward does not call the layers in the reverse order, each with its cache", cause=way)
    dx = network.backward(dy.copy(), caches, input_grad=True)
    right_dx = reference.backward(dy, right_caches, input_grad=True)
    if dx is None:
        return Verdict.wrong("backward with input_grad=True returns the gradient of x", "yours returns None")
    if not _same(dx, right_dx):
        return Verdict.wrong(
            "backward gives another gradient of x",
            "the layers run in reverse order, each with its own cache, on the gradient from the layer behind it",
        )
    if not _all_same(_grads(own), _grads(reference.layers)):
        return Verdict.wrong(
            "the parameters' gradients are wrong", "each layer's backward runs once; it adds by itself"
        )
    once = [g.copy() for g in _grads(own)]
    network.backward(dy.copy(), caches, input_grad=True)
    if not _all_same(_grads(own), [2 * g for g in once]):
        return Verdict.wrong(
            "a second backward does not add its gradients to the first's",
            "layers add into their grads; the caller sets them to 0 before a new step",
        )

    # explicit caches
    first = network.forward(x1, training=True)
    network.forward(x2, training=True)
    late = network.backward(dy, first[1], input_grad=True)
    if not _same(late, right_dx):
        return Verdict.wrong(
            "after a second forward, backward no longer fits the first",
            "forward on x1, forward on x2, backward for x1: the gradient is x2's, or a mixture",
            cause="the caches are kept on self, where the second forward overwrites them. Return them instead.",
        )

    # switches
    before = [g.copy() for g in _grads(own)]
    network.backward(dy, first[1], input_grad=True, param_grads=False)
    if not _all_same(_grads(own), before):
        return Verdict.wrong("param_grads=False still changes the gradients of parameters", "pass it on to every layer")
    still = _statistics(own)
    y, _ = network.forward(x2, training=True, update_stats=False)
    if not _all_same(_statistics(own), still):
        return Verdict.wrong("update_stats=False still moves the moving statistics", "pass it on to every layer")
    y, _ = network.forward(x2, training=False)
    plain = Sequential(own).forward(x2, training=False)[0]
    if not _same(y, plain):
        return Verdict.wrong("training=False gives no inference", "pass `training` on to every layer")
    spies = [_Asked(), _Asked(), _Asked()]
    watched = kind(spies)
    answer = watched.backward(np.ones((2, 2)), watched.forward(np.ones((2, 2)), training=True)[1])
    if [spy.calls for spy in spies] != [[(False, True)], [(True, True)], [(True, True)]]:
        asked = ", ".join(f"layer {k}: {spy.calls[0][0] if spy.calls else 'not called'}" for k, spy in enumerate(spies))
        return Verdict.wrong(
            "without input_grad, only the first layer is spared its dx",
            f"input_grad as your layers were given it: {asked}",
            cause="layer 0 is asked for dx only if the caller wants it; every other layer always is.",
        )
    if answer is not None:
        return Verdict.wrong("without input_grad, backward returns None", "by default nobody wants the gradient of x")
    return Verdict.ok("forward, backward, two forwards before a backward, and all switches")


SEQUENTIAL = Exercise(
    name="sequential",
    lesson=11,
    reference=Sequential,
    judge=_judge_sequential,
    hints=(
        "Forward: run down the list, collect the caches, return both. Backward: run up it.",
        "Layer k's backward needs cache k. Which single layer need not compute its dx?",
        "for k in reversed(range(len(self.layers))): dy = self.layers[k].backward(dy, caches[k], "
        "input_grad=input_grad or k > 0, param_grads=param_grads)",
    ),
    doc="A class with forward(x, *, training, update_stats=True) and backward(dy, caches, *, input_grad, param_grads).",
)


# ------------------------------------------------------------------------------------------------------------- networks
def _told_layer(layer: Any) -> str:
    """A layer as its class, settings and sizes: equal texts, equal layers."""
    if not isinstance(layer, Layer):
        return f"no layer but a {type(layer).__name__}"
    kernel = layer.params.get("kernel")
    size = "" if kernel is None else f" kernel {kernel.shape}"
    if "gamma" in layer.params:
        size = f" of {layer.params['gamma'].size} channels"
    settings = "" if isinstance(layer, BatchNormalization) else layer.describe()
    return f"{type(layer).__name__}{size}" + (f", {settings}" if settings else "")


def _why_layer(name: str, k: int, yours: Any, wanted: Any, layers: Sequence[Any]) -> str:
    norm = isinstance(yours, BatchNormalization)
    wants_norm = isinstance(wanted, BatchNormalization)
    kernel = (Conv2D, Conv2DTranspose)
    if name == "discriminator" and k == 1 and norm:
        return "next to the image there is no batch normalisation: it would take away how bright the images are."
    if name == "generator" and isinstance(wanted, Tanh) and norm:
        return "the last layer makes the pixels: no batch normalisation stands between it and tanh."
    if wants_norm and isinstance(yours, LeakyReLU):
        return "batch normalisation comes between the convolution and its LeakyReLU."
    if isinstance(yours, kernel) and isinstance(wanted, kernel):
        if type(yours) is not type(wanted) and name == "discriminator":
            return "the discriminator's convolutions are plain ones: they make the map smaller."
        if type(yours) is not type(wanted):
            return "the layer before the last is a plain convolution; all others of the generator are transposed."
        if yours.padding != wanted.padding and wanted.padding == "valid":
            return "on a 1 x 1 input the kernel itself becomes the 4 x 4 map: nothing may be cropped, so 'valid'."
        if yours.padding != wanted.padding:
            return "the side is to be halved, doubled or kept exactly: 'same'."
        if yours.strides != wanted.strides:
            return "look at the strides in the table."
        if yours.params["kernel"].shape[:2] != wanted.params["kernel"].shape[:2]:
            return "look at the kernels' sides in the table."
        return "channels: out of the layer before, into this one; half the side, twice the channels."
    if isinstance(yours, Dense) and not isinstance(wanted, Dense):
        return "a dense layer takes rows: Flatten comes first."
    return ""


def _judge_networks(discriminator: Any, generator: Any) -> Verdict:
    rows = (("discriminator", discriminator, 0), ("generator", generator, 1000))
    for name, build, first in rows:
        for width in (3, 2):
            layers = build(width, Parts(first=first))
            if not isinstance(layers, list | tuple):
                told = "None" if layers is None else type(layers).__name__
                return Verdict.wrong(f"{name}: a list of layers is wanted", f"yours returns {told}")
            model = getattr(minigan, name)(image_size=64, width=width)
            for k, (yours, wanted) in enumerate(zip_longest(layers, model.layers)):
                have = "nothing" if yours is None else _told_layer(yours)
                want = "nothing more" if wanted is None else _told_layer(wanted)
                if have != want:
                    return Verdict.wrong(
                        f"{name}, width {width}: layer {k} is another",
                        f"yours: {have}",
                        f"in the table: {want}",
                        cause=_why_layer(name, k, yours, wanted, layers),
                    )
            if len({id(layer) for layer in layers}) < len(layers):
                return Verdict.wrong(
                    f"{name}: one layer object stands in two places",
                    "they would share their parameters; make each with a call of its own",
                )
            x = np.random.default_rng(0).standard_normal((2, *model.input_shape)).astype(np.float32)
            network = minigan.Sequential(layers, input_shape=model.input_shape)
            if not np.allclose(network.forward(x, training=True)[0], model.forward(x, training=True)[0], atol=1e-5):
                return Verdict.wrong(
                    f"{name}: right layers, but other kernels than minigan's",
                    "kernels are drawn in the order in which layers are made; make them from front to back, each once",
                )
    return Verdict.ok("both networks, layer by layer, and the outputs of minigan's own")


NETWORKS = Exercise(
    name="networks",
    lesson=11,
    judge=_judge_networks,
    hints=(
        "Go down the table, line by line; channels in are the channels out of the line before.",
        "D: the first block has no batch normalisation, then three alike. G: the first is 'valid', then three alike.",
        "D: [conv(3, w), leaky], for C in (w, 2w, 4w): [conv(C, 2C), norm(2C), leaky], then flatten, dense(4*4*8w, 1). "
        "G: [conv_transpose(100, 8w, padding='valid'), norm(8w), leaky], for C in (8w, 4w, 2w): "
        "[conv_transpose(C, C // 2), norm(C // 2), leaky], then [conv(w, w, 3), norm(w), leaky], conv_transpose(w, 3), "
        "tanh. Kernels are 4 wide and strides 2, but for the first layer's and the 3 x 3's strides of 1.",
    ),
    doc="discriminator_layers(width, parts) and generator_layers(width, parts), each a list of layers.",
)


# -------------------------------------------------------------------------------------------------------------- L2 step
def l2_step(G: Any, optimizer: Any, noise: Array, images: Array) -> float:
    """One step of G towards given images; returns the mean squared error before it.

    Parameters
    ----------
    G : Sequential
        Changed in place.
    optimizer : Adam
        Holds G's parameters.
    noise : Array of shape (B, 1, 1, 100)
    images : Array of shape (B, S, S, 3)

    Returns
    -------
    float
    """
    y, caches = G.forward(noise, training=True)
    difference = y - images
    G.zero_grads()
    G.backward(2 * difference / difference.size, caches)
    optimizer.step(G.grads())
    return float((difference**2).mean())


class _Descent:
    """Plain gradient descent that remembers what it was given: Adam would hide a wrong factor."""

    def __init__(self, network: Any, rate: float) -> None:
        self.network, self.rate = network, rate
        self.given: list[dict[str, Array]] = []

    def step(self, grads: dict[str, Array]) -> None:
        self.given.append({name: g.copy() for name, g in grads.items()})
        for name, p in self.network.params().items():
            p -= self.rate * grads[name]


def _two_steps(step: Callable[..., Any]) -> tuple[list[Any], list[dict[str, Array]], dict[str, Array]]:
    G = minigan.generator(image_size=32, width=1, dtype=np.float64, seed=5)
    optimizer = _Descent(G, 0.05)
    rng = np.random.default_rng(6)
    losses = []
    for _ in range(2):
        noise, images = rng.standard_normal((3, 1, 1, 100)), rng.uniform(-1, 1, (3, 32, 32, 3))
        losses.append(step(G, optimizer, noise, images))
    return losses, optimizer.given, G.buffers()


def _loss_after(G: Any, optimizer: Any, noise: Array, images: Array) -> float:
    l2_step(G, optimizer, noise, images)
    y, _ = G.forward(noise, training=True, update_stats=False)
    return float(((y - images) ** 2).mean())


def _ratio(yours: dict[str, Array], right: dict[str, Array]) -> float | None:
    """The one factor between two sets of gradients, if there is one."""
    a = np.concatenate([g.ravel() for g in yours.values()])
    b = np.concatenate([g.ravel() for g in right.values()])
    factor = float(a @ b / (b @ b))
    return factor if np.allclose(a, factor * b, rtol=1e-6, atol=1e-9 * max(1.0, abs(factor))) else None


def _judge_l2_step(step: Callable[..., Any]) -> Verdict:
    losses, given, statistics = _two_steps(step)
    right_losses, right_given, right_statistics = _two_steps(l2_step)
    if len(given) != 2:
        return Verdict.wrong(
            "optimizer.step is called once in each step", f"in two steps yours called it {len(given)} times"
        )
    factor = _ratio(given[0], right_given[0])
    if factor is None or abs(factor) < 1e-12:
        if not any(g.any() for g in given[0].values()):
            return Verdict.wrong("the gradients are all zero", "G.backward comes before optimizer.step(G.grads())")
        return Verdict.wrong(
            "the gradients are wrong, and not only by a factor",
            "forward in training mode; the gradient of the mean of (y - images)**2 is 2*(y - images)/y.size",
        )
    if not math.isclose(factor, 1, rel_tol=1e-6):
        B, size = 3, 3 * 32 * 32 * 3
        known = (
            (-1, "the sign: y - images, not images - y"),
            (0.5, "the 2 of the square's derivative is missing"),
            (size, "the loss is a mean: divide by the number of all elements, y.size"),
            (size / 2, "neither the 2 nor the division by y.size is there"),
            (size / B, "the mean runs over all elements, not over the batch alone: divide by y.size"),
            (size / B / 2, "the mean runs over all elements, not over the batch alone; and the 2 is missing"),
            (-size, "the sign, and the division by y.size"),
        )
        why = next((text for value, text in known if math.isclose(factor, value, rel_tol=1e-6)), "")
        return Verdict.wrong(f"the gradients are {factor:.6g} times the right ones", "Adam would hide it", cause=why)
    again = _ratio(given[1], right_given[1])
    if again is None or not math.isclose(again, 1, rel_tol=1e-6):
        both = {name: g + right_given[0][name] for name, g in right_given[1].items()}
        kept = _ratio(given[1], both)
        return Verdict.wrong(
            "the second step's gradients are wrong",
            "the first step's are right",
            cause="the first step's gradients are still in there: G.zero_grads() before G.backward."
            if kept is not None and math.isclose(kept, 1, rel_tol=1e-6)
            else "",
        )
    try:
        told = [float(loss) for loss in losses]
    except (TypeError, ValueError):
        return Verdict.wrong("the loss is one number", f"yours returns {type(losses[0]).__name__}")
    if not np.allclose(told, right_losses, rtol=1e-9):
        evidence = f"yours {told[0]:.6g}, right {right_losses[0]:.6g}, ratio {told[0] / right_losses[0]:.4g}"
        right, elements = np.array(right_losses), 3 * 32 * 32 * 3
        hypotheses = (
            (_two_steps(_loss_after)[0], "it is the loss after the update: take it before."),
            (right / 2, "half of it: the loss is the mean of the squares."),
            (right * elements, "the sum: the loss is the mean over all elements."),
            (
                right * elements / 3,
                "the sum over an image's elements, averaged over the batch: the mean runs over all.",
            ),
            (np.sqrt(right), "the root of it: the loss is the mean of the squares itself."),
        )
        cause = explanation([told], [([list(values)], why) for values, why in hypotheses], 1e-6)
        return Verdict.wrong("right gradients, but another loss is returned", evidence, cause=cause)
    if not _all_same(list(statistics.values()), list(right_statistics.values())):
        return Verdict.wrong(
            "losses and gradients are right, but G's moving statistics are not as after two steps",
            "forward in training mode moves them, once for each step, unless it is told not to (update_stats=False)",
        )
    return Verdict.ok("two steps: losses, gradients, fresh each time")


L2_STEP = Exercise(
    name="l2_step",
    lesson=11,
    reference=l2_step,
    judge=_judge_l2_step,
    hints=(
        "It is lesson 6's generator_step with another loss, and without a discriminator.",
        "forward in training mode; dy of the mean squared error; zero_grads, backward, optimizer.step(G.grads()).",
        "dy = 2 * (y - images) / y.size",
    ),
    doc="l2_step(G, optimizer, noise, images) -> loss before the step",
)


# ------------------------------------------------------------------------------------------------------ receptive field
def receptive_fields(layers: Sequence[tuple[int, int]]) -> list[int]:
    """Side of the square of input pixels that one unit sees, after each of a row of convolutions.

    Parameters
    ----------
    layers : sequence of (K, S)
        Kernel size and stride, from the image up.

    Returns
    -------
    list of int
    """
    field, jump, out = 1, 1, []
    for K, S in layers:
        field += (K - 1) * jump
        jump *= S
        out.append(field)
    return out


def _fields_with(
    rule: Callable[[int, int, int, int], tuple[int, int]],
) -> Callable[[Sequence[tuple[int, int]]], list[int]]:
    def wrong(layers: Sequence[tuple[int, int]]) -> list[int]:
        field, jump, out = 1, 1, []
        for K, S in layers:
            field, jump = rule(field, jump, K, S)
            out.append(field)
        return out

    return wrong


RECEPTIVE_FIELDS = Exercise(
    name="receptive_fields",
    lesson=11,
    reference=receptive_fields,
    cases=lambda rng: [
        ([(4, 2)] * 4,),
        ([(3, 1)] * 3,),
        ([(3, 1), (4, 2), (5, 3), (2, 1)],),
        ([(7, 2), (1, 1), (3, 2)],),
        ([(2, 4)],),
    ],
    mistakes=(
        Mistake(
            _fields_with(lambda field, jump, K, S: (field + (K - 1), jump)),
            "The strides are missing: after a stride of 2, neighbouring units are two pixels of the image apart.",
        ),
        Mistake(
            _fields_with(lambda field, jump, K, S: (field + (K - 1) * jump * S, jump * S)),
            "A layer's own stride spreads the units *above* it; it does not widen its own kernel.",
        ),
        Mistake(
            _fields_with(lambda field, jump, K, S: (field + K * jump, jump * S)),
            "K taps have K - 1 gaps between them.",
        ),
        Mistake(
            _fields_with(lambda field, jump, K, S: (field * K, jump)),
            "Kernels overlap: their sizes do not multiply.",
        ),
        Mistake(
            _fields_with(lambda field, jump, K, S: (field + (K - 1) * jump, jump + S)),
            "The strides are added. They multiply: behind two strides of 2, units are four pixels apart.",
        ),
        Mistake(
            _fields_with(lambda field, jump, K, S: (field + (K - 1) * jump, S)),
            "Only the last stride is used. How far apart the units are is the product of *all* strides so far.",
        ),
        Mistake(
            lambda layers: [field - 1 for field in receptive_fields(layers)],
            "One too few: before the first layer a unit is a pixel, and sees 1.",
        ),
        Mistake(
            lambda layers: [math.prod(S for _, S in layers[: k + 1]) for k in range(len(layers))],
            "These are the distances of the units, j. Asked for is r, the side of what they see.",
        ),
        Mistake(
            lambda layers: receptive_fields(layers[::-1]),
            "The layers come from the image up; you began at the other end.",
        ),
        Mistake(
            lambda layers: receptive_fields(layers)[-1] if layers else 1,
            "The list of all layers is asked for, not the last alone.",
        ),
        Mistake(
            lambda layers: receptive_fields(layers[::-1])[::-1],
            "The layers come from the image up; you began at the other end.",
        ),
    ),
    hints=(
        "Begin with one unit that sees one pixel. What does a kernel of K add, if its taps are `jump` pixels apart?",
        "K - 1 gaps of `jump` pixels each. Then the stride makes the next layer's gaps wider.",
        "field += (K - 1) * jump; jump *= S; out.append(field)",
    ),
    doc="receptive_fields(layers) -> list of sides; layers is a list of (K, S)",
)


# ------------------------------------------------------------------------------------------------------------- patients
PATIENTS = ("a", "b", "c", "d", "e")
ILLNESSES = ("healthy", "small kernels", "large kernels", "norm after activation", "sigmoid")
_DIAGNOSES = dict(
    zip(PATIENTS, ("sigmoid", "large kernels", "healthy", "small kernels", "norm after activation"), strict=True)
)


def _patient(illness: str) -> list[Layer]:
    parts = Parts(seed=21)
    layers: list[Layer] = []
    C, scale = 3, {"small kernels": 0.3, "large kernels": 4.0}.get(illness, 1.0)
    for O in (16, 32, 64, 128):
        conv = parts.conv(C, O, 4, strides=2)
        conv.params["kernel"] *= np.float32(scale)
        activation: Layer = Sigmoid() if illness == "sigmoid" else parts.leaky_relu()
        norm = [parts.batch_norm(O)] if illness in ("healthy", "norm after activation") and C > 3 else []
        layers += [conv, activation, *norm] if illness == "norm after activation" else [conv, *norm, activation]
        C = O
    return [*layers, parts.flatten(), parts.dense(4 * 4 * C, 1)]


def examine(layers: Sequence[Layer], x: Array) -> list[dict[str, Any]]:
    """Run layers one by one, down and up again, and note what flows.

    Parameters
    ----------
    layers : sequence of Layer
    x : Array of shape (N, ...)

    Returns
    -------
    list of dict
        For each layer: its name, the shape of its output (batch axis left out), the mean and std of the output, a
        sample of it, and "gradient": the std of what a random gradient at the end has become on its way to this output.
    """
    rows: list[dict[str, Any]] = []
    caches = []
    for layer in layers:
        x, cache = layer.forward(x, training=True, update_stats=False)
        caches.append(cache)
        sample = x.ravel()[:: max(1, x.size // 4000)]
        rows.append(
            {
                "name": type(layer).__name__,
                "shape": x.shape[1:],
                "mean": float(x.mean()),
                "std": float(x.std()),
                "sample": sample.astype(float),
            }
        )
    dy: Any = np.random.default_rng(0).standard_normal(x.shape).astype(x.dtype)
    for k in reversed(range(len(layers))):
        rows[k]["gradient"] = float(dy.std())
        dy = layers[k].backward(dy, caches[k], param_grads=False)
    return rows


def patients() -> dict[str, list[dict[str, Any]]]:
    """What `examine` finds at the ends of the four blocks of five discriminators, one of them healthy."""
    x = faces(16, 64)
    return {name: list(_block_ends(examine(_patient(illness), x))) for name, illness in _DIAGNOSES.items()}


def _block_ends(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The last layer of each block, which is the one before the next layer with a kernel (or Flatten)."""
    for row, following in pairwise(rows):
        if following["name"] in ("Conv2D", "Flatten"):
            yield row


_SIGNS = {
    "healthy": "outputs of deviation 0.65 around a mean above 0, and gradients of one size",
    "small kernels": "outputs that shrink from block to block, towards nothing",
    "large kernels": "outputs that grow from block to block",
    "norm after activation": "outputs of mean 0 and deviation 1, from the second block on",
    "sigmoid": "outputs around 1/2 that hardly vary, and gradients that fade on the way down",
}


def _judge_patients(answers: Any) -> Verdict:
    if not isinstance(answers, dict) or set(answers) != set(PATIENTS):
        return Verdict.wrong("the answer is a dictionary with the entries a to e", f"yours: {answers!r}"[:200])
    if all(answer is None for answer in answers.values()):
        return Verdict.not_yet("not answered yet")
    strange = [f"{name}: {answer!r}" for name, answer in answers.items() if not among(answer, ILLNESSES)]
    if strange:
        return Verdict.wrong("every answer is one of " + ", ".join(map(repr, ILLNESSES)), *strange)
    wrong = [
        f"{name}: {answer!r} would show {_SIGNS[answer]}"
        for name, answer in answers.items()
        if answer != _DIAGNOSES[name]
    ]
    if wrong:
        return Verdict.wrong(f"{len(wrong)} of 5 {'is' if len(wrong) == 1 else 'are'} wrong", *wrong)
    return Verdict.ok("all five read from their charts")


CHARTS = Exercise(
    name="charts",
    lesson=11,
    judge=_judge_patients,
    hints=(
        "Take the deviations first: which two have outputs that go astray, and in which direction?",
        "Of the rest: one has mean 0 and deviation 1 from its second block on, one has outputs between 0 and 1 only.",
        "a: between 0 and 1. b: grows. d: shrinks. e: mean 0. c is left.",
    ),
    doc="What ails each of five discriminators.",
)


# ------------------------------------------------------------------------------------------------------------ remembers
class Forgetful(Sequential):
    """The usual design of frameworks with layer objects: the caches stay on the network."""

    def forward(self, x: Array, *, training: bool, update_stats: bool = True) -> tuple[Array, list[Any]]:
        """As `Sequential`; what it returns is not what backward uses."""
        y, self.caches = super().forward(x, training=training, update_stats=update_stats)
        return y, self.caches

    def backward(
        self, dy: Array, caches: list[Any], *, input_grad: bool = False, param_grads: bool = True
    ) -> Array | None:
        """As `Sequential`, with the caches of the latest forward."""
        return super().backward(dy, self.caches, input_grad=input_grad, param_grads=param_grads)


class _HalfForgetful(Forgetful):
    """Keeps the caches of the first two layers only."""

    def backward(
        self, dy: Array, caches: list[Any], *, input_grad: bool = False, param_grads: bool = True
    ) -> Array | None:
        mixed = [*self.caches[:2], *caches[2:]]
        return Sequential.backward(self, dy, mixed, input_grad=input_grad, param_grads=param_grads)


def overwrites(network: Any, x1: Array, x2: Array, dy: Array) -> bool:
    """Whether a second forward changes what backward makes of the first.

    Parameters
    ----------
    network : Sequential
    x1, x2 : Array
    dy : Array
        Gradient for the output.

    Returns
    -------
    bool
    """
    _, caches = network.forward(x1, training=True)
    before = network.backward(dy, caches, input_grad=True)
    _, caches = network.forward(x1, training=True)
    network.forward(x2, training=True)
    after = network.backward(dy, caches, input_grad=True)
    return not np.allclose(before, after)


class _Watched:
    """A network, and whether its backward has given None, for want of input_grad."""

    def __init__(self, network: Sequential) -> None:
        self.network, self.gave_none = network, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

    def backward(self, *given: Any, **settings: Any) -> Array | None:
        dx = self.network.backward(*given, **settings)
        self.gave_none |= dx is None
        return dx


_NO_GRADIENT = "backward gives None unless it is asked for the gradient of x: backward(dy, caches, input_grad=True)."


def _of_parameters(network: Any, x1: Array, x2: Array, dy: Array) -> bool:
    """The mistake of comparing the parameters' gradients, to which every backward adds."""
    found = []
    for _ in range(2):
        _, caches = network.forward(x1, training=True)
        network.forward(x2, training=True)
        network.backward(dy, caches, input_grad=True)
        found.append([g.copy() for layer in network.layers for g in layer.grads.values()])
    return not all(map(np.allclose, *found))


def _of_the_second(network: Any, x1: Array, x2: Array, dy: Array) -> bool:
    """The mistake of comparing the gradient of x1 with that of x2."""
    gradients = []
    for x in (x1, x2):
        _, caches = network.forward(x, training=True)
        gradients.append(network.backward(dy, caches, input_grad=True))
    return not np.allclose(*gradients)


_OVERWRITES_MISTAKES: tuple[tuple[Callable[..., bool], str], ...] = (
    (lambda *given: not overwrites(*given), "Just the opposite: True means that the gradient has changed."),
    (
        _of_parameters,
        "Layers add into their grads, so comparing *those* finds a difference in any network with parameters: compare "
        "dx.",
    ),
    (
        _of_the_second,
        "The gradient of x1 is compared with that of x2. Compare x1's with x1's: once without, and once with a forward "
        "of x2 in between.",
    ),
)
_FINDS_NONE = (
    "It finds no network that is broken. The forward of x2 has to come between x1's forward and x1's backward."
)


class _WithoutParamGrads(Sequential):
    """Computes the gradient of x only."""

    def backward(
        self, dy: Array, caches: list[Any], *, input_grad: bool = False, param_grads: bool = True
    ) -> Array | None:
        """As `Sequential`, but for param_grads."""
        return super().backward(dy, caches, input_grad=input_grad, param_grads=False)


def _judge_overwrites(function: Callable[..., Any]) -> Verdict:
    cases: tuple[tuple[type[Sequential], bool, bool, str], ...] = (
        (Sequential, False, False, "a network that returns its caches"),
        (Forgetful, False, True, "a network that keeps its caches on self"),
        (_HalfForgetful, False, True, "a network that keeps two layers' caches on self"),
        (_WithoutParamGrads, False, False, "a network that returns its caches, and leaves its parameters' grads alone"),
        (Sequential, True, False, "a network that returns its caches, with x2 equal to x1"),
    )

    def answers_of(function: Callable[..., Any], watch: list[_Watched]) -> Iterator[Any]:
        rng = np.random.default_rng(12)
        for kind, equal, _, _ in cases:
            x1, x2 = rng.standard_normal((2, 4, 8, 8, 3))
            network = _Watched(kind(_small_layers()))
            watch.append(network)
            yield function(network, x1, x1.copy() if equal else x2, rng.standard_normal((4, 2)))

    watched: list[_Watched] = []
    answers = []
    try:
        for answer in answers_of(function, watched):
            if not isinstance(answer, bool | np.bool_):
                return Verdict.wrong("True or False is wanted", f"yours returns {type(answer).__name__}")
            answers.append(bool(answer))
    except (TypeError, AttributeError) as error:
        if not watched[-1].gave_none:
            raise
        told = " ".join(str(error).split())
        return Verdict.wrong("it computes with None", f"{type(error).__name__}: {told}", cause=_NO_GRADIENT)
    wrong = [(a, what) for a, (*_, wanted, what) in zip(answers, cases, strict=True) if a != wanted]
    if not wrong:
        return Verdict.ok("two of two broken networks found, no false alarm")
    cause = explanation(answers, [(list(answers_of(f, [])), why) for f, why in _OVERWRITES_MISTAKES])
    if not cause and any(network.gave_none for network in watched):
        cause = _NO_GRADIENT
    elif not cause and not any(answers):
        cause = _FINDS_NONE
    title = f"it says {wrong[0][0]} of {wrong[0][1]}"
    return Verdict.wrong(title, *(f"and {a} of {what}" for a, what in wrong[1:]), cause=cause)


OVERWRITES = Exercise(
    name="overwrites",
    lesson=11,
    reference=overwrites,
    judge=_judge_overwrites,
    hints=(
        "Which order of calls tells the two designs apart? What does a GAN do that a classifier does not?",
        "Get x1's gradient once the plain way. Then forward x1, forward x2, and x1's gradient again.",
        "backward(dy, caches, input_grad=True) gives dx: compare the two with np.allclose.",
    ),
    doc="overwrites(network, x1, x2, dy) -> bool",
)


# ------------------------------------------------------------------------------------------------------ a batch, a unit
@dataclass
class Batch:
    """One batch to overfit: 16 faces of 32 pixels, noise for each, and labels drawn by lot."""

    images: Array
    noise: Array
    labels: Array


def one_batch(count: int = 16, seed: int = 0) -> Batch:
    """Faces, noise and labels that do not change.

    Parameters
    ----------
    count, seed : int

    Returns
    -------
    Batch
    """
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((count, 1, 1, 100)).astype(np.float32)
    labels = rng.permutation(np.arange(count) % 2).astype(np.float32)[:, None]
    return Batch(faces(count, 32), noise, labels)


def seen_by_a_unit(blocks: int, *, training: bool, width: int = 4) -> Array:
    """How strongly each pixel of two images moves one unit of the discriminator, in the middle of the first image.

    Parameters
    ----------
    blocks : int
        1 to 4: after which of D's blocks the unit sits.
    training : bool
        Whether batch normalisation uses the batch's statistics.
    width : int

    Returns
    -------
    Array of shape (2, 64, 64)
        |gradient|, summed over the colours and over eight first draws of the kernels.
    """
    total = np.zeros((2, 64, 64))
    x = np.random.default_rng(1).standard_normal((2, 64, 64, 3))
    for seed in range(8):
        layers = discriminator_layers(width, Parts(seed=seed, dtype=np.float64))[: 2 + 3 * (blocks - 1)]
        network = Sequential(layers)
        y, caches = network.forward(x, training=training)
        dy = np.zeros_like(y)
        dy[0, y.shape[1] // 2, y.shape[2] // 2, 0] = 1
        dx = network.backward(dy, caches, input_grad=True, param_grads=False)
        assert dx is not None
        total += np.abs(dx).sum(axis=3)
    return total


EXERCISES = (
    FEATURE_MAPS,
    COUNT_BY_HAND,
    COUNT_PARAMETERS,
    GLOROT,
    SEQUENTIAL,
    NETWORKS,
    L2_STEP,
    RECEPTIVE_FIELDS,
    CHARTS,
    OVERWRITES,
)
"""Lesson 11's own exercises."""
