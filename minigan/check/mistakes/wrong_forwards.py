"""Hypotheses about wrong forward results: what each known mistake would compute in place of the right result."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigan.check.exercise_table import Case, Exercise, to_student
from minigan.check.mistakes.hypotheses import (
    EXACT,
    PLAIN,
    Guess,
    Idea,
    Tried,
    common,
    constant_factor,
    reordered,
    same,
    worst_place,
)
from minigan.check.outcomes import Finding
from minigan.nn.backend import Array


def explain_forward(exercise: Exercise, tried: list[Tried], function: str, layout: str) -> Finding:
    """Name the mistake behind a wrong forward result, if it is one that is known.

    Parameters
    ----------
    exercise : Exercise
    tried : list of Tried
        Every case in which there is a result, the right ones too; at least one is wrong.
    function : str
    layout : str

    Returns
    -------
    Finding
    """
    guesses = [
        ([Guess(idea, same(t.yours, wrong, EXACT)) for idea, wrong in _wrong_forwards(exercise, t.case)], t.passes)
        for t in tried
    ]
    case, y, expected = min((t for t in tried if not t.passes), key=lambda t: t.case.size)
    idea = common(guesses) or constant_factor(tried, "E34") or reordered(tried, "E38")
    idea = idea or _last_row(tried) or Idea("E30", "")
    role = exercise.roles.get("y")
    yours, right = (to_student(a, role, layout) for a in (y, expected))
    return Finding(
        idea.code,
        "forward",
        f"{function}: the result is wrong",
        (worst_place(yours, right, "right"), f"on {case.told(exercise.roles, layout)}"),
        idea.cause,
        idea.hints,
        where=function,
    )


def _last_row(tried: list[Tried]) -> Idea | None:
    """Only the last row or column is wrong; if nothing but the bias is there, a loop stops one short."""
    seen, unfilled = False, True
    for case, y, right in tried:
        if y.ndim != 4 or y.shape != right.shape:
            return None
        bad = np.abs(y - right) > PLAIN * max(float(np.abs(right).max()), 1e-3)
        if bad[:, :-1, :-1].any():
            return None
        seen = seen or (bad.any() and min(y.shape[1:3]) > 1)
        bias = np.zeros_like(y) + case.arrays.get("b", np.zeros(1))
        unfilled = unfilled and (same(y[bad], bias[bad], EXACT) or same(y[bad], 0 * bias[bad], EXACT))
    where = "only the last row or column is wrong"
    return Idea("E65", f"{where}: a loop stops one short." if unfilled else f"{where}.") if seen else None


def _wrong_forwards(exercise: Exercise, case: Case) -> Iterator[tuple[Idea, Any]]:
    """Every known wrong result of this exercise on this case."""
    tables: dict[str, Callable[..., Iterator[tuple[Idea, Any]]]] = {
        "dense": _dense_forwards,
        "relu": _activation_forwards,
        "leaky_relu": _activation_forwards,
        "tanh": _activation_forwards,
        "sigmoid": _activation_forwards,
        "flatten": _flatten_forwards,
        "bce_with_logits": _bce_forwards,
        "conv2d": _conv_forwards,
        "conv2d_transpose": _transpose_forwards,
        "batch_norm": _batch_norm_forwards,
    }
    with np.errstate(all="ignore"):
        yield from tables[exercise.name](exercise, **case.arrays, **case.settings)


def _dense_forwards(exercise: Exercise, x: Array, w: Array, b: Array) -> Iterator[tuple[Idea, Any]]:
    yield Idea("E32", "the bias is not added."), x @ w
    yield Idea("E32", "the bias is subtracted."), x @ w - b
    yield Idea("E32", "the bias is added once for every input channel."), x @ w + len(w) * b
    yield Idea("E32", "the bias is added to w, and so multiplied by x."), x @ (w + b)
    yield Idea("E34", "x @ w is divided by the number of inputs."), x @ w / len(w) + b
    yield (
        Idea("E38", "w is transposed and then made to fit with reshape, which mixes up its elements."),
        (x @ w.T.reshape(w.shape) + b),
    )


def _activation_forwards(exercise: Exercise, x: Array, alpha: float = 0.2) -> Iterator[tuple[Idea, Any]]:
    sigmoid = 1 / (1 + np.exp(-x))
    if exercise.name == "leaky_relu":
        yield Idea("E3B", "the slope is 0.01 whatever alpha says."), np.where(x > 0, x, 0.01 * x)
        yield Idea("E3B", "alpha is ignored: the slope is always 0.2."), np.where(x > 0, x, 0.2 * x)
        yield Idea("E3B", "this is a plain ReLU: the negative side is 0."), np.maximum(x, 0)
        yield Idea("E3B", "the kink is at alpha; it belongs at 0."), np.where(x > alpha, x, alpha * x)
        yield Idea("E3A", "the two sides are exchanged."), np.where(x > 0, alpha * x, x)
        yield Idea("E3A", "the negative side has the wrong sign."), np.where(x > 0, x, -alpha * x)
        yield Idea("E3B", "alpha is not multiplied by x: max(x, alpha)."), np.maximum(x, alpha)
        yield Idea("E3A", "alpha is the value, not the slope, of the negative side."), np.where(x > 0, x, alpha)
        yield Idea("E34", "alpha multiplies both sides."), alpha * x
    for name, other in (
        ("the absolute value", np.abs(x)),
        ("x itself", x),
        ("0 or 1", (x > 0) * 1.0),
        ("a ReLU", np.maximum(x, 0)),
        *((f"a leaky ReLU with the slope {k:g}", np.where(x > 0, x, k * x)) for k in (0.2, 0.1, 0.01, 0.3, 0.05)),
        ("tanh", np.tanh(x)),
        ("the sigmoid", sigmoid),
        ("the sigmoid of 2x", 1 / (1 + np.exp(-2 * x))),
        ("the sigmoid of x / 2", 1 / (1 + np.exp(-x / 2))),
        ("tanh, taken twice", np.tanh(np.tanh(x))),
        ("the sigmoid, taken twice", 1 / (1 + np.exp(-sigmoid))),
        ("tanh of x / 2", np.tanh(x / 2)),
        ("2 * sigmoid(x) - 1, which is tanh of x / 2", 2 * sigmoid - 1),
        ("the derivative 1 - tanh^2", 1 - np.tanh(x) ** 2),
        ("the derivative of the sigmoid", sigmoid * (1 - sigmoid)),
        ("exp(x)", np.exp(x)),
        ("softplus", np.log1p(np.exp(x))),
    ):
        yield Idea("E3B", f"the result is {name}."), other
    yield Idea("E3A", "this is sigmoid(-x): the sign in the exponent is missing."), 1 / (1 + np.exp(x))
    yield Idea("E3A", "the negative part is kept instead of the positive one."), np.minimum(x, 0)
    yield Idea("E3A", "the sign is wrong."), -np.asarray(exercise.oracle(x=x))


def _flatten_forwards(exercise: Exercise, x: Array) -> Iterator[tuple[Idea, Any]]:
    N = len(x)
    cause = "the elements are right but in another order: "
    yield Idea("E38", cause + "channels come first, as in (N, C, H, W)."), x.transpose(0, 3, 1, 2).reshape(N, -1)
    yield Idea("E38", cause + "rows and columns are exchanged."), x.transpose(0, 2, 1, 3).reshape(N, -1)
    yield Idea("E38", cause + 'order="F" runs through the first axis first.'), x.reshape(N, -1, order="F")
    yield Idea("E38", cause + "the axes are reversed."), x.transpose(0, 3, 2, 1).reshape(N, -1)


def _bce_forwards(exercise: Exercise, z: Array, target: Array) -> Iterator[tuple[Idea, Any]]:
    p = 1 / (1 + np.exp(-z))
    each = np.maximum(z, 0) - z * target + np.log1p(np.exp(-np.abs(z)))
    swapped = np.maximum(z, 0) - z * (1 - target) + np.log1p(np.exp(-np.abs(z)))
    flat, t = z.reshape(-1, 1), target.reshape(1, -1)
    pairs = np.maximum(flat, 0) - flat * t + np.log1p(np.exp(-np.abs(flat)))
    yield Idea("E38", "every logit is paired with every target."), pairs.mean()
    if z.ndim == 2 and z.shape[1] == 1:  # there (N,) and target.T are broadcast; other shapes stay or do not fit
        broadcast = "(N, 1) against (N,) or (1, N), target.T, is broadcast to N x N pairs"
        yield Idea("E38", f"every logit is paired with every target: {broadcast}."), pairs.mean()
        real, fake = -target * np.log(p), -(1 - target.T) * np.log(1 - p)
        yield (
            Idea("E38", f"in the term of the fakes logits meet other samples' targets: {broadcast}."),
            (real + fake).mean(),
        )
        real, fake = -target.T * np.log(p), -(1 - target) * np.log(1 - p)
        yield (
            Idea("E38", f"in the term of the reals logits meet other samples' targets: {broadcast}."),
            (real + fake).mean(),
        )
    for eps in (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5):
        for told, q, r in (
            ("a constant inside the logarithm changes the result", p + eps, 1 - p + eps),
            ("a clip of the probability changes the result", np.clip(p, eps, 1 - eps), 1 - np.clip(p, eps, 1 - eps)),
        ):
            yield Idea("E39", f"{told}."), -(target * np.log(q) + (1 - target) * np.log(r)).mean()
        q, r = np.clip(z, eps, 1 - eps), np.clip(1 - z, eps, 1 - eps)
        yield (
            Idea("E3B", "z is taken for a probability; it is a logit, and the sigmoid has not been applied to it."),
            -(target * np.log(q) + (1 - target) * np.log(r)).mean(),
        )
    yield Idea("E34", "the losses are summed; the exercise asks for their mean."), each.sum()
    yield Idea("E34", "the losses are summed over one axis and averaged over the other."), each.sum() / z.shape[-1]
    yield Idea("E34", "the losses are summed over one axis and averaged over the other."), each.sum() / z.shape[0]
    yield Idea("E3A", "the sign is wrong: the log-likelihood is maximised, the loss is its negative."), -each.mean()
    yield Idea("E3B", "targets and 1 - targets are exchanged."), swapped.mean()
    yield Idea("E3B", "the term of the fakes, (1 - target) * log(1 - p), is missing."), -(target * np.log(p)).mean()
    yield Idea("E3B", "the term of the reals, target * log(p), is missing."), -((1 - target) * np.log(1 - p)).mean()
    yield Idea("E34", "the logarithm is the one to base 2."), each.mean() / math.log(2)
    yield Idea("E34", "the logarithm is the one to base 10."), each.mean() / math.log(10)
    yield Idea("E3B", "this is the mean squared error."), ((p - target) ** 2).mean()
    yield (
        Idea("E3B", "log1p(exp(-z)) without max(z, 0) is the loss of a real image only."),
        np.log1p(np.exp(-z)).mean(),
    )
    yield Idea("E3B", "the term log1p(exp(-|z|)) is missing."), (np.maximum(z, 0) - z * target).mean()
    top, tail = np.maximum(z, 0), np.log1p(np.exp(-np.abs(z)))
    yield Idea("E3A", "z * target is added; it is subtracted."), (top + z * target + tail).mean()
    yield Idea("E3B", "z * target is missing: this is the loss of fakes."), (top + tail).mean()
    yield Idea("E3B", "the target stands where z * target belongs."), (top - target + tail).mean()
    yield Idea("E3A", "log1p(exp(-|z|)) is subtracted; it is added."), (top - z * target - tail).mean()
    yield (
        Idea("E3A", "exp(|z|) stands where exp(-|z|) belongs."),
        (top - z * target + np.log1p(np.exp(np.abs(z)))).mean(),
    )
    yield Idea("E3B", "min(z, 0) stands where max(z, 0) belongs."), (np.minimum(z, 0) - z * target + tail).mean()
    yield Idea("E3B", "|z| stands where max(z, 0) belongs."), (np.abs(z) - z * target + tail).mean()
    yield (
        Idea("E3A", "the term of the fakes has the wrong sign."),
        (-target * np.log(p) + (1 - target) * np.log(1 - p)).mean(),
    )
    yield (
        Idea("E3A", "the term of the reals has the wrong sign."),
        (target * np.log(p) - (1 - target) * np.log(1 - p)).mean(),
    )
    yield Idea("E3B", "max(z, 0) is missing."), (-z * target + np.log1p(np.exp(-np.abs(z)))).mean()
    yield (
        Idea("E3B", "z has to go into exp by its absolute value."),
        (np.maximum(z, 0) - z * target + np.log1p(np.exp(-z))).mean(),
    )
    q = 1 / (1 + np.exp(-p))
    yield Idea("E3B", "the sigmoid is taken twice."), -(target * np.log(q) + (1 - target) * np.log(1 - q)).mean()


def _conv_forwards(
    exercise: Exercise, x: Array, w: Array, b: Array, stride: int = 1, pad: int = 0
) -> Iterator[tuple[Idea, Any]]:
    def conv(x: Array, w: Array, b: Array) -> Array:
        return exercise.oracle(x=x, w=w, b=b, stride=stride, pad=pad)

    y = conv(x, w, 0 * b)
    yield Idea("E32", "the bias is not added."), y
    yield Idea("E32", "the bias is subtracted."), y - b
    K, C = w.shape[0], w.shape[2]
    for times, what in ((K * K, "kernel tap"), (C, "input channel"), (K * K * C, "product"), (K, "kernel row")):
        yield Idea("E32", f"the bias is added once for every {what}, instead of once."), y + times * b
    yield Idea("E32", "the sum of the whole bias is added to every channel."), y + b.sum()
    yield _FLIPPED_FORWARD, conv(x, w[::-1, ::-1], b)
    yield Idea("E31", "rows and columns of the kernel are exchanged."), conv(x, w.swapaxes(0, 1), b)
    for axis, name in ((0, "top to bottom"), (1, "left to right")):
        yield Idea("E31", f"the kernel is flipped {name}."), conv(x, np.flip(w, axis), b)
    for order in itertools.permutations(range(3)):
        shape = [w.shape[k] for k in order]
        told = ", ".join(("row", "column", "channel")[k] for k in order)
        for what, other, mixed in (
            ("kernel", "patch", w.transpose(*order, 3).reshape(w.shape)),
            ("patch", "kernel", w.reshape(*shape, w.shape[3]).transpose(*np.argsort(order), 3)),
        ):
            if not np.array_equal(mixed, w):
                yield _mixed_patch(what, told, other), conv(x, mixed, b)
    yield _MIXED_KERNEL, conv(x, w.reshape(w.shape[3], -1).T.reshape(w.shape), b)
    yield from _shifted_conv(exercise, x, w, b, stride, pad)
    one = np.zeros_like(y) + b
    for c, which in ((0, "first"), (C - 1, "last")):
        mask = np.zeros_like(w)
        mask[:, :, c] = w[:, :, c]
        yield Idea("E38", f"only the {which} input channel is used; the sum runs over all channels."), conv(x, mask, b)
    yield Idea("E30", "nothing is computed: the result is the bias alone."), one
    yield Idea("E34", "the sum over the patch is divided by the number of its elements: a mean."), y / (K * K * C) + b


def _mixed_patch(what: str, order: str, other: str) -> Idea:
    return Idea(
        "E38",
        f"the {what} is flattened as ({order}) and the {other} as (row, column, channel): elements are multiplied that "
        "do not belong together.",
        ("If the kernel is flattened as (row, column, channel), the patch has to be, too.",),
    )


_MIXED_KERNEL = Idea(
    "E38",
    "the kernel is brought into the matrix's shape with a reshape that mixes up its elements: reshape is no transpose.",
    ("Keep the last axis last: split or join only axes that are neighbours, and transpose afterwards.",),
)
_FLIPPED_FORWARD = Idea(
    "E31",
    "the kernel is flipped in both directions: this is the mathematician's convolution, not the cross-correlation.",
    ("The tap (p, q) meets the pixel (S*i + p - P, S*j + q - P): no minus in front of p.",),
)


def _shifted_conv(
    exercise: Exercise, x: Array, w: Array, b: Array, stride: int, pad: int
) -> Iterator[tuple[Idea, Any]]:
    """Padding on one side only, pad that is not zero, a start that is off by one."""
    pads = [((0, 0), (2 * pad, 0)), ((0, 0), (0, 2 * pad))] if pad else []
    names = ["all the padding is at the top and on the left.", "all the padding is at the bottom and on the right."]
    for (_, (before, after)), cause in zip(pads, names, strict=False):
        padded = np.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))
        yield Idea("E33", cause), exercise.oracle(x=padded, w=w, b=b, stride=stride, pad=0)
    if pad:
        for mode, cause in (
            ("edge", "the border is repeated, not 0."),
            ("reflect", "the border is reflected, not 0."),
            ("wrap", "the image is wrapped around."),
        ):
            if mode == "reflect" and pad >= min(x.shape[1:3]):
                continue
            padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode=mode)  # type: ignore[call-overload]
            yield (
                Idea("E33", f"the padding is not of zeros: {cause}"),
                exercise.oracle(x=padded, w=w, b=b, stride=stride, pad=0),
            )
        ones = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), constant_values=1)
        yield (
            Idea("E33", "the padding is of ones, not of zeros."),
            exercise.oracle(x=ones, w=w, b=b, stride=stride, pad=0),
        )
    if stride > 1:
        y = exercise.oracle(x=x, w=w, b=b, stride=stride, pad=pad)
        dense = exercise.oracle(x=x, w=w, b=b, stride=1, pad=pad)
        cut = dense[:, : y.shape[1], : y.shape[2]]
        yield Idea("E33", "the window moves by 1 instead of by the stride."), cut
        for rows, cause in ((True, "rows only; columns move by 1"), (False, "columns only; rows move by 1")):
            part = dense[:, ::stride, :] if rows else dense[:, :, ::stride]
            yield Idea("E33", f"the stride moves {cause}."), part[:, : y.shape[1], : y.shape[2]]


def _transpose_forwards(
    exercise: Exercise, x: Array, w: Array, b: Array, stride: int = 1, pad: int = 0
) -> Iterator[tuple[Idea, Any]]:
    def up(x: Array, w: Array, b: Array) -> Array:
        return exercise.oracle(x=x, w=w, b=b, stride=stride, pad=pad)

    y = up(x, w, 0 * b)
    yield Idea("E32", "the bias is not added."), y
    yield Idea("E32", "the bias is subtracted."), y - b
    stamps = up(np.ones_like(x[..., :1]), np.ones((*w.shape[:3], 1)), 0 * b)
    yield Idea("E32", "the bias is added with every stamp: where stamps overlap, several times."), y + stamps * b
    yield Idea("E32", "the bias is added once for every input channel."), y + x.shape[-1] * b
    yield Idea("E31", "the kernel is flipped: the stamp must be laid down as it is, not turned around.", (
        "Stamp (i, j) covers the output from (S*i, S*j) on, tap (p, q) at (S*i + p, S*j + q).",
    )), up(x, w[::-1, ::-1], b)  # fmt: skip
    yield Idea("E31", "rows and columns of the kernel are exchanged."), up(x, w.swapaxes(0, 1), b)
    yield _MIXED_KERNEL, up(x, w.reshape(w.shape[3], -1).T.reshape(w.shape), b)
    yield _MIXED_KERNEL, up(x, w.transpose(0, 1, 3, 2).reshape(w.shape[3], -1).T.reshape(w.shape), b)
    full = exercise.oracle(x=x, w=w, b=0 * b, stride=stride, pad=0)
    H, W = y.shape[1:3]
    if pad:
        for i, j, cause in (
            (0, 0, "the crop is at the bottom and on the right only."),
            (2 * pad, 2 * pad, "the crop is at the top and on the left only."),
            (2 * pad, 0, "the crop is taken from the wrong sides."),
            (0, 2 * pad, "the crop is taken from the wrong sides."),
        ):
            yield Idea("E33", cause), full[:, i : i + H, j : j + W] + b
    for cause, overwritten in _overwriting_stamps(x, w, stride, full.shape):
        yield (
            Idea("E66", cause, ("Stamps add up: use += where they are laid down.",)),
            overwritten[:, pad : pad + H, pad : pad + W] + b,
        )
    if stride > 1:
        close = exercise.oracle(x=x, w=w, b=0 * b, stride=1, pad=0)
        canvas = np.zeros_like(full)
        h, v = min(canvas.shape[1], close.shape[1]), min(canvas.shape[2], close.shape[2])
        canvas[:, :h, :v] = close[:, :h, :v]
        yield (
            Idea("E33", "stamps are laid down 1 apart instead of `stride` apart."),
            canvas[:, pad : pad + H, pad : pad + W] + b,
        )


def _overwriting_stamps(x: Array, w: Array, stride: int, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """The canvas when later stamps replace earlier ones, in the orders in which loops run."""
    H, W = x.shape[1:3]
    Kh, Kw = w.shape[:2]
    whole = np.zeros(shape)
    for i, j in np.ndindex(H, W):
        stamp = np.einsum("nc,pqoc->npqo", x[:, i, j], w)
        whole[:, stride * i : stride * i + Kh, stride * j : stride * j + Kw] = stamp
    yield "overlapping stamps overwrite each other instead of adding up.", whole
    taps = np.zeros(shape)
    for p, q in np.ndindex(Kh, Kw):
        taps[:, p : p + stride * H : stride, q : q + stride * W : stride][:, :H, :W] = x @ w[p, q].T
    yield "taps that fall on one pixel overwrite each other instead of adding up.", taps


def _batch_norm_forwards(
    exercise: Exercise, x: Array, gamma: Array, beta: Array, eps: float = 1e-3
) -> Iterator[tuple[Idea, Any]]:
    axes = tuple(range(x.ndim - 1))
    N = x.size // x.shape[-1]
    mean, var = x.mean(axes), x.var(axes)
    centred = x - mean
    std = np.sqrt(var + eps)
    yield (
        Idea("E35", "the variance is divided by N - 1 (ddof=1); batch normalization divides by N."),
        (gamma * centred / np.sqrt(var * N / max(N - 1, 1) + eps) + beta),
    )
    yield (
        Idea("E36", "eps is added to the standard deviation, outside the root."),
        gamma * centred / (np.sqrt(var) + eps) + beta,
    )
    yield Idea("E36", "eps is missing."), gamma * centred / np.sqrt(var) + beta
    for value in (1e-3, 1e-5, 1e-8):
        yield (
            Idea("E36", f"eps is always {value:g}, whatever is passed."),
            gamma * centred / np.sqrt(var + value) + beta,
        )
    yield Idea("E36", "x is divided by the variance, not by its root."), gamma * centred / (var + eps) + beta
    yield (
        Idea("E36", "the root is taken twice, or of eps too: sqrt(var) + sqrt(eps)."),
        gamma * centred / (np.sqrt(var) + np.sqrt(eps)) + beta,
    )
    yield Idea("E36", "eps is squared."), gamma * centred / np.sqrt(var + eps**2) + beta
    yield Idea("E36", "x is multiplied by the standard deviation."), gamma * centred * std + beta
    yield Idea("E36", "x is not divided by the standard deviation."), gamma * centred + beta
    yield Idea("E37", "gamma is missing."), centred / std + beta
    yield Idea("E37", "gamma is added and beta multiplied: they are exchanged."), beta * centred / std + gamma
    yield Idea("E37", "x is divided by gamma."), centred / std / gamma + beta
    yield Idea("E37", "gamma multiplies beta too."), gamma * (centred / std + beta)
    yield Idea("E37", "gamma is squared."), gamma**2 * centred / std + beta
    yield Idea("E32", "beta is missing."), gamma * centred / std
    yield Idea("E32", "beta is subtracted."), gamma * centred / std - beta
    yield Idea("E30", "the mean is not subtracted."), gamma * x / std + beta
    yield (
        Idea("E36", "the variance is taken around 0: E[x^2] without subtracting mean^2."),
        (gamma * centred / np.sqrt((x**2).mean(axes) + eps) + beta),
    )
    every = tuple(range(x.ndim))
    others = [t for n in range(1, x.ndim + 1) for t in itertools.combinations(every, n) if t != axes]
    for t in others:
        m, v = x.mean(t, keepdims=True), x.var(t, keepdims=True)
        names = {0: "the batch", 1: "rows", 2: "columns", x.ndim - 1: "the channels"}
        ways = [" and ".join(names[a] for a in t)]
        if t == every:
            ways = ["everything, so that all channels share one"]
        if t == every[1:]:
            ways.append("each sample by itself (that is layer normalization)")
        if t and t == every[1:-1]:
            ways = ["each sample and channel by itself (that is instance normalization)"]
        for told in ways:
            cause = f"mean and variance run over {told}; they belong over all samples and pixels, channel by channel."
            yield Idea("E38", cause), gamma * (x - m) / np.sqrt(v + eps) + beta
