"""From numbers to words: what is probably wrong with a result that does not agree.

A hypothesis is a mistake that people make, written as a function: "the kernel is flipped" computes what comes out
when the kernel is flipped. If a student's wrong numbers equal a hypothesis's wrong numbers on every case that fails,
that is most probably what they did, and the message says so. The simplest are tried first, and nothing is claimed
that does not fit to one part in ten thousand.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigan.check.exercises import Case, Exercise, to_student
from minigan.check.mistakes.hints import filled, gradient_hints, result_hints
from minigan.check.numeric import differs, numeric_gradient
from minigan.check.outcomes import Finding
from minigan.nn.backend import Array
from minigan.nn.losses import LOGIT_MAX, LOGIT_MIN

if TYPE_CHECKING:
    from minigan.check.engine.ladder import Forward, Subject

FIT = 1e-4
Run = tuple["Forward", Array, list[Array]]


class Idea(NamedTuple):
    """A hypothesis: code, what is said, and hints; the numbers come beside it."""

    code: str
    cause: str
    hints: tuple[str, ...] = ()


def fits(yours: Array, wrong: Array, right: Array) -> bool:
    """Whether a hypothesis explains a result: it comes close, and much closer than the right one does."""
    if yours.shape != wrong.shape or differs(yours, wrong, FIT):
        return False
    if yours.shape != right.shape or not np.isfinite(right).all():
        return True
    return bool(np.abs(yours - wrong).max(initial=0) <= 0.03 * np.abs(yours - right).max(initial=0) + 1e-12)


def _fits(a: Array, b: Array) -> bool:
    return a.shape == b.shape and not differs(a, b, FIT)


def clipped_bce(z: Array, target: Array) -> Array:
    """Binary cross-entropy with the logit clipped where Keras clips the probability."""
    logit = np.clip(z, LOGIT_MIN, LOGIT_MAX)
    return np.mean(np.maximum(logit, 0) - logit * target + np.log1p(np.exp(-np.abs(logit))))


# -------------------------------------------------------------------------------------------------------------- shapes
def explain_shape(
    function: str,
    name: str,
    got: tuple[int, ...],
    expected: tuple[int, ...],
    exercise: Exercise,
    case: Case,
    layout: str,
) -> Finding:
    """Say what a wrong shape tells.

    Parameters
    ----------
    function, name : str
    got, expected : tuple of int
        In the student's layout.
    exercise : Exercise
    case : Case
    layout : str

    Returns
    -------
    Finding
    """
    cause = ""
    if 0 in got and case.settings.get("pad") == 0:
        cause = "for pad = 0 the slice pad:-pad is 0:0, which is empty: write pad:pad + H."
    elif sorted(got) == sorted(expected):
        cause = "the right sizes in the wrong order: an array is transposed, or a reshape took the axes wrongly."
    elif len(got) == len(expected) + 1 and math.prod(got) == math.prod(expected):
        cause = "one axis too many: keepdims=True, or a missing index."
    elif len(got) < len(expected):
        cause = "an axis is gone: a sum or an index has taken one too many."
    elif len(got) == len(expected) == 1:
        cause = f"it has {got[0]} elements instead of {expected[0]}: the sum runs over the wrong axes."
    elif len(got) == 4 and exercise.name.startswith("conv2d") and name == "y":
        cause = _shape_of_other_geometry(exercise, case, got, layout)
    return Finding(
        "E13",
        "contract",
        f"{function}: {name} must have shape {expected}, got {got}",
        (f"on {case.told(exercise.roles, layout)}",),
        cause,
        ("Write the shape of every intermediate array beside its line.",),
        where=f"{function}: {name}",
    )


def _shape_of_other_geometry(exercise: Exercise, case: Case, got: tuple[int, ...], layout: str) -> str:
    """What mistake in the arithmetic of sizes gives this output."""
    x, w = case.arrays["x"], case.arrays["w"]
    S, P, K = case.settings["stride"], case.settings["pad"], w.shape[0]
    if exercise.name == "conv2d":
        sizes = {
            "the division by the stride is rounded up; where the kernel does not fit any more there is no output": [
                -(-(h + 2 * P - K) // S) + 1 for h in x.shape[1:3]
            ],
            "the + 1 is missing: (H + 2*pad - K)//stride + 1": [(h + 2 * P - K) // S for h in x.shape[1:3]],
            "this is the size without padding": [(h - K) // S + 1 for h in x.shape[1:3]],
            "this is the size with padding on one side only": [(h + P - K) // S + 1 for h in x.shape[1:3]],
            "this is the size for stride 1": [(h + 2 * P - K) + 1 for h in x.shape[1:3]],
            "this is the size of the input divided by the stride": [h // S for h in x.shape[1:3]],
        }
    else:
        sizes = {
            "nothing is cropped: this is the size without padding": [S * (h - 1) + K for h in x.shape[1:3]],
            "padding is added instead of cropped": [S * (h - 1) + K + 2 * P for h in x.shape[1:3]],
            "one side is cropped only": [S * (h - 1) + K - P for h in x.shape[1:3]],
            "this is stride * H": [S * h for h in x.shape[1:3]],
            "this is the size for stride 1": [h - 1 + K - 2 * P for h in x.shape[1:3]],
            "this is the size of a convolution, not of a transposed one": [
                (h + 2 * P - K) // S + 1 for h in x.shape[1:3]
            ],
        }
    spatial = list(got[1:3] if layout == "NHWC" else got[2:4])
    return next((f"{cause}." for cause, size in sizes.items() if size == spatial), "")


# ------------------------------------------------------------------------------------------------------------- forward
def explain_forward(
    exercise: Exercise, failures: list[tuple[Case, Array, Array]], function: str, layout: str
) -> Finding:
    """Name the mistake behind a wrong forward result, if it is one that is known.

    Parameters
    ----------
    exercise : Exercise
    failures : list of (Case, Array, Array)
        Every case that fails, with the student's result and the right one.
    function : str
    layout : str

    Returns
    -------
    Finding
    """
    fitting = [
        [idea for idea, wrong in _wrong_forwards(exercise, case) if fits(y, np.asarray(wrong), right)]
        for case, y, right in failures
    ]
    small = min(failures, key=lambda failure: failure[0].size)
    case, y, expected = small
    idea = common(fitting) or _factor(y, expected, case, "E34")
    if idea is None and all(_reordered(y, expected, "E38") for _, y, expected in failures if y.size > 2):
        idea = _reordered(y, expected, "E38")
    idea = idea or _last_row(failures) or Idea("E30", "")
    role = exercise.roles.get("y")
    yours, right = (to_student(a, role, layout) for a in (y, expected))
    return Finding(
        idea.code,
        "forward",
        f"{function}: the result is wrong",
        (*_evidence(yours, right, "right"), f"on {case.told(exercise.roles, layout)}"),
        idea.cause,
        filled(idea.hints, result_hints(exercise.name, layout)),
        where=function,
    )


def _last_row(failures: list[tuple[Case, Array, Array]]) -> Idea | None:
    """Only the last row or column is wrong: a loop stops one short."""
    seen = False
    for _, y, right in failures:
        if y.ndim != 4 or y.shape != right.shape:
            return None
        bad = np.abs(y - right) > FIT * max(float(np.abs(right).max()), 1e-3)
        if bad[:, :-1, :-1].any():
            return None
        seen = seen or min(y.shape[1:3]) > 1
    return Idea("E65", "only the last row or column is wrong: a loop stops one short.") if seen else None


def common(fitting: list[list[Idea]]) -> Idea | None:
    """The first idea that fits every failing case."""
    causes = set.intersection(*({idea.cause for idea in ideas} for ideas in fitting))
    return next((idea for idea in fitting[0] if idea.cause in causes), None)


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
        ("a leaky ReLU", np.where(x > 0, x, 0.2 * x)),
        ("tanh", np.tanh(x)),
        ("the sigmoid", sigmoid),
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
    p = 1 / (1 + np.exp(-z))
    flat, t = z.reshape(-1, 1), target.reshape(1, -1)
    pairs = np.maximum(flat, 0) - flat * t + np.log1p(np.exp(-np.abs(flat)))
    yield Idea("E38", "every logit meets every target: (N, 1) against (N,) becomes N x N pairs."), pairs.mean()
    for eps in (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5):
        for told, q, r in (
            ("a constant inside the logarithm changes the result", p + eps, 1 - p + eps),
            ("a clip of the probability changes the result", np.clip(p, eps, 1 - eps), 1 - np.clip(p, eps, 1 - eps)),
        ):
            yield Idea("E39", f"{told}."), -(target * np.log(q) + (1 - target) * np.log(r)).mean()
    yield Idea("E34", "the losses are summed; the exercise asks for their mean."), each.sum()
    yield Idea("E34", "the losses are summed over one axis and averaged over the other."), each.sum() / z.shape[-1]
    yield Idea("E34", "the losses are summed over one axis and averaged over the other."), each.sum() / z.shape[0]
    yield Idea("E3A", "the sign is wrong: the log-likelihood is maximised, the loss is its negative."), -each.mean()
    yield Idea("E3B", "targets and 1 - targets are exchanged."), swapped.mean()
    yield Idea("E3B", "the term of the fakes, (1 - target) * log(1 - p), is missing."), -(target * np.log(p)).mean()
    yield Idea("E3B", "the term of the reals, target * log(p), is missing."), -((1 - target) * np.log(1 - p)).mean()
    yield Idea("E34", "the logarithm is the one to base 2."), each.mean() / math.log(2)
    yield Idea("E3B", "this is the mean squared error."), ((p - target) ** 2).mean()
    yield (
        Idea("E3B", "log1p(exp(-z)) without max(z, 0) is the loss of a real picture only."),
        np.log1p(np.exp(-z)).mean(),
    )
    yield Idea("E3B", "the term log1p(exp(-|z|)) is missing."), (np.maximum(z, 0) - z * target).mean()
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
        for mixed in (
            w.transpose(*order, 3).reshape(w.shape),
            w.reshape(*shape, w.shape[3]).transpose(*np.argsort(order), 3),
        ):
            if not np.array_equal(mixed, w):
                yield _MIXED_PATCH, conv(x, mixed, b)
    yield _MIXED_KERNEL, conv(x, w.reshape(w.shape[3], -1).T.reshape(w.shape), b)
    yield from _shifted_conv(exercise, x, w, b, stride, pad)
    one = np.zeros_like(y) + b
    for c, which in ((0, "first"), (C - 1, "last")):
        mask = np.zeros_like(w)
        mask[:, :, c] = w[:, :, c]
        yield Idea("E38", f"only the {which} input channel is used; the sum runs over all channels."), conv(x, mask, b)
    yield Idea("E30", "nothing is computed: the result is the bias alone."), one
    yield Idea("E34", "the sum over the patch is divided by the number of its elements: a mean."), y / (K * K * C) + b


_MIXED_PATCH = Idea(
    "E38",
    "patch and kernel are flattened in different orders: elements meet that do not belong together.",
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
            ("wrap", "the picture is wrapped around."),
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
    yield Idea("E31", "the kernel is flipped: the stamp is laid down as it is, not turned around.", (
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


# -------------------------------------------------------------------------------------------------------------- update
class RuleFailure(NamedTuple):
    """A case in which an update is wrong: arguments by name, the case, and the results."""

    numbers: dict[str, Any]
    case: Case
    values: list[Array]
    expected: list[Array]

    @property
    def wrong(self) -> list[bool]:
        """Which results disagree."""
        return [differs(v, e, FIT * 1e-3) for v, e in zip(self.values, self.expected, strict=True)]


def explain_rule(exercise: Exercise, failures: list[RuleFailure], function: str, layout: str = "NHWC") -> Finding:
    """Name the mistake behind a wrong update.

    Parameters
    ----------
    exercise : Exercise
    failures : list of RuleFailure
        Every case that fails.
    function : str

    Returns
    -------
    Finding
    """
    variants: dict[str, Callable[..., Iterator[tuple[Idea, tuple[Any, ...]]]]] = {
        "sgd": _sgd_variants,
        "momentum": _momentum_variants,
        "adam": _adam_variants,
        "batch_norm_inference": _inference_variants,
        "moving_average": _moving_average_variants,
    }
    fitting = []
    with np.errstate(all="ignore"):
        for failure in failures:
            options = variants[exercise.name](**failure.numbers, **failure.case.settings)
            fitting.append(
                [idea for idea, results in options if all(map(_fits, failure.values, map(np.asarray, results)))]
            )
    last = failures[-1]
    wrong = last.wrong if any(last.wrong) else [True] * len(last.values)
    first = wrong.index(True)
    name = exercise.results[first]
    idea = common(fitting)
    if idea is None and exercise.name == "batch_norm_inference":
        idea = _factor(last.values[0], last.expected[0], last.case, "E34") or Idea("E30", "")
    idea = idea or _exchanged_results(exercise, failures) or _old_state(exercise, last, wrong) or Idea("E70", "")
    told = [f"{k} = {v:g}" for k, v in {**last.numbers, **last.case.settings}.items() if np.ndim(v) == 0]
    return Finding(
        idea.code,
        "forward",
        f"{function}: {name} is wrong" + ("" if len(exercise.results) == 1 else _others_right(exercise, wrong)),
        (*_evidence(last.values[first], last.expected[first], "right"), *([", ".join(told)] if told else [])),
        idea.cause,
        filled(idea.hints, result_hints(exercise.name, layout)),
        where=f"{function}: {name}",
    )


def _exchanged_results(exercise: Exercise, failures: list[RuleFailure]) -> Idea | None:
    for order in itertools.permutations(range(len(exercise.results))):
        if order != tuple(range(len(order))) and all(
            _fits(value, f.expected[k]) for f in failures for value, k in zip(f.values, order, strict=True)
        ):
            told = ", ".join(exercise.results[k] for k in order)
            return Idea(
                "E78", f"the results come back in another order: {told} instead of {', '.join(exercise.results)}."
            )
    return None


def _others_right(exercise: Exercise, wrong: list[bool]) -> str:
    right = [name for name, bad in zip(exercise.results, wrong, strict=True) if not bad]
    return f" ({', '.join(right)} right)" if right else ""


def _old_state(exercise: Exercise, failure: RuleFailure, wrong: list[bool]) -> Idea | None:
    for name, value, bad in zip(exercise.results, failure.values, wrong, strict=True):
        if bad and name in failure.numbers and _fits(value, np.asarray(failure.numbers[name], np.float64)):
            return Idea(
                "E78", f"{name} comes back as it was given: the new one is computed, perhaps, but not returned."
            )
    return None


def _sgd_variants(p: Array, g: Array, lr: float) -> Iterator[tuple[Idea, tuple[Any, ...]]]:
    yield _UPHILL, (p + lr * g,)
    yield Idea("E77", "the learning rate is missing."), (p - g,)
    yield Idea("E77", "the learning rate is used twice."), (p - lr * lr * g,)
    yield Idea("E77", "g is divided by the learning rate."), (p - g / lr,)
    yield Idea("E78", "this is the step, not the new parameter."), (-lr * g,)
    yield Idea("E78", "this is the step, not the new parameter."), (lr * g,)
    yield Idea("E70", "the sign of the gradient is used, not its size."), (p - lr * np.sign(g),)
    yield Idea("E70", "the parameter itself shrinks: p is multiplied."), ((1 - lr) * p - lr * g,)
    yield Idea("E76", "the gradient is squared."), (p - lr * g * g,)


_UPHILL = Idea("E71", "the parameter moves along the gradient; downhill is against it.", ("The sign.",))


def _momentum_variants(
    p: Array, g: Array, v: Array, lr: float, beta: float = 0.9
) -> Iterator[tuple[Idea, tuple[Any, ...]]]:
    new = beta * v + g
    yield _UPHILL, (p + lr * new, new)
    yield (
        Idea("E74", "g gets the weight 1 - beta: that is a moving average, the exercise's v is a sum."),
        (
            p - lr * (beta * v + (1 - beta) * g),
            beta * v + (1 - beta) * g,
        ),
    )
    yield Idea("E74", "beta multiplies g instead of v."), (p - lr * (v + beta * g), v + beta * g)
    yield (
        Idea("E74", "beta and 1 - beta are exchanged."),
        (p - lr * ((1 - beta) * v + beta * g), (1 - beta) * v + beta * g),
    )
    yield Idea("E74", "1 - beta where beta belongs."), (p - lr * ((1 - beta) * v + g), (1 - beta) * v + g)
    yield Idea("E74", "beta is missing: v never forgets."), (p - lr * (v + g), v + g)
    yield Idea("E74", "beta is always 0.9, whatever is passed."), (p - lr * (0.9 * v + g), 0.9 * v + g)
    yield Idea("E70", "p moves by the old v."), (p - lr * v, new)
    yield Idea("E78", "p moves by the gradient alone."), (p - lr * g, new)
    yield Idea("E77", "the learning rate is missing."), (p - new, new)
    inside = beta * v + lr * g
    yield (
        Idea("E77", "the learning rate is inside v; the exercise multiplies by it when p moves."),
        (p - inside, inside),
    )
    yield Idea("E77", "the learning rate is used twice."), (p - lr * inside, inside)
    yield Idea("E71", "v collects -g and p subtracts it: two signs."), (p - lr * (beta * v - g), beta * v - g)
    yield (
        Idea("E78", "v is the step itself, -lr*g and momentum; in the exercise v is beta*v + g."),
        (p + beta * v - lr * g, beta * v - lr * g),
    )
    yield Idea("E70", "this is Nesterov's variant, which looks ahead."), (p - lr * (g + beta * new), new)
    yield Idea("E78", "v comes back as it was given."), (p - lr * new, v)


def _adam_variants(
    p: Array, g: Array, m: Array, v: Array, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> Iterator[tuple[Idea, tuple[Any, ...]]]:
    m1, v1 = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    c1, c2 = 1 - beta1**t, 1 - beta2**t
    rate = lr * math.sqrt(c2) / c1

    def moved(m: Array, v: Array, rate: float = rate, eps: float = eps) -> Array:
        return p - rate * m / (np.sqrt(v) + eps)

    yield (
        Idea("E72", "the bias correction is missing: at the first steps m and v are far too small."),
        (moved(m1, v1, lr), m1, v1),
    )
    yield Idea("E72", "only m is corrected; v needs it too."), (moved(m1, v1, lr / c1), m1, v1)
    yield Idea("E72", "only v is corrected; m needs it too."), (moved(m1, v1, lr * math.sqrt(c2)), m1, v1)
    yield Idea("E72", "the correction of v lacks its root."), (moved(m1, v1, lr * c2 / c1), m1, v1)
    yield Idea("E72", "the correction is upside down."), (moved(m1, v1, lr * c1 / math.sqrt(c2)), m1, v1)
    yield Idea("E72", "the corrections of m and v are exchanged."), (moved(m1, v1, lr * math.sqrt(c1) / c2), m1, v1)
    yield (
        Idea("E78", "the corrected moments are returned; the next step would correct them again."),
        (moved(m1, v1), m1 / c1, v1 / c2),
    )
    yield Idea("E78", "the corrected moments are returned; the next step would correct them again."), (
        p - lr * (m1 / c1) / (np.sqrt(v1 / c2) + eps), m1 / c1, v1 / c2)  # fmt: skip
    yield Idea("E73", "eps is added after v is corrected (as in PyTorch); the exercise, like Keras, adds it before.", (
        "Compare with lr * sqrt(1 - beta2**t) / (1 - beta1**t) * m / (sqrt(v) + eps).",
    )), (p - lr * (m1 / c1) / (np.sqrt(v1 / c2) + eps), m1, v1)  # fmt: skip
    yield Idea("E73", "eps is inside the root."), (p - rate * m1 / np.sqrt(v1 + eps), m1, v1)
    yield Idea("E73", "eps is inside the root."), (p - lr * (m1 / c1) / np.sqrt(v1 / c2 + eps), m1, v1)
    yield Idea("E73", "eps is missing."), (moved(m1, v1, eps=0), m1, v1)
    yield Idea("E73", "eps is added to the whole quotient."), (p - rate * (m1 / np.sqrt(v1) + eps), m1, v1)
    for shift, cause in (
        (-1, "t - 1 where t belongs."),
        (1, "t + 1 where t belongs: t is 1 at the first step already."),
    ):
        d1, d2 = 1 - beta1 ** (t + shift), 1 - beta2 ** (t + shift)
        if d1 > 0:
            yield Idea("E75", cause), (moved(m1, v1, lr * math.sqrt(d2) / d1), m1, v1)
    yield (
        Idea("E72", "beta * t instead of beta ** t."),
        (moved(m1, v1, lr * math.sqrt(abs(1 - beta2 * t)) / (1 - beta1 * t or 1)), m1, v1),
    )
    yield (
        Idea("E72", "beta1 * t instead of beta1 ** t: right at t = 1, and never again."),
        (moved(m1, v1, lr * math.sqrt(c2) / (1 - beta1 * t or 1)), m1, v1),
    )
    if t != 1:
        yield Idea("E75", "t is ignored: the correction is always that of the first step."), (
            moved(m1, v1, lr * math.sqrt(1 - beta2) / (1 - beta1)), m1, v1)  # fmt: skip
    sm, sv = (1 - beta1) * m + beta1 * g, (1 - beta2) * v + beta2 * g * g
    yield Idea("E74", "beta1 and 1 - beta1 are exchanged."), (moved(sm, v1), sm, v1)
    yield Idea("E74", "beta2 and 1 - beta2 are exchanged."), (moved(m1, sv), m1, sv)
    yield Idea("E74", "beta and 1 - beta are exchanged in both moments."), (moved(sm, sv), sm, sv)
    for fixed1, fixed2 in ((0.9, 0.999), (0.5, 0.999)):
        fm, fv = fixed1 * m + (1 - fixed1) * g, fixed2 * v + (1 - fixed2) * g * g
        fixed = lr * math.sqrt(1 - fixed2**t) / (1 - fixed1**t)
        yield (
            Idea("E74", f"beta1 and beta2 are always {fixed1} and {fixed2}, whatever is passed."),
            (moved(fm, fv, fixed), fm, fv),
        )
    xm, xv = beta2 * m + (1 - beta2) * g, beta1 * v + (1 - beta1) * g * g
    yield Idea("E74", "beta1 and beta2 are exchanged."), (moved(xm, xv), xm, xv)
    yield Idea("E74", "beta1 and beta2 are exchanged."), (moved(xm, xv, lr * math.sqrt(c1) / c2), xm, xv)
    nm, nv = beta1 * m + g, beta2 * v + g * g
    yield Idea("E74", "1 - beta1 is missing."), (moved(nm, v1), nm, v1)
    yield Idea("E74", "1 - beta2 is missing."), (moved(m1, nv), m1, nv)
    yield Idea("E74", "1 - beta is missing in both moments."), (moved(nm, nv), nm, nv)
    for what, w in (
        ("g is not squared in v.", beta2 * v + (1 - beta2) * g),
        ("v takes |g| instead of g*g.", beta2 * v + (1 - beta2) * np.abs(g)),
        ("v takes the square of m, not of g.", beta2 * v + (1 - beta2) * m1**2),
    ):
        yield Idea("E76" if "m, not" not in what else "E70", what), (moved(m1, w), m1, w)
    yield Idea("E76", "v is not put under the root."), (p - rate * m1 / (v1 + eps), m1, v1)
    yield Idea("E71", _UPHILL.cause, _UPHILL.hints), (p + rate * m1 / (np.sqrt(v1) + eps), m1, v1)
    yield Idea("E77", "the learning rate is missing."), (moved(m1, v1, rate / lr), m1, v1)
    yield Idea("E77", "the learning rate is used twice."), (moved(m1, v1, rate * lr), m1, v1)
    yield Idea("E70", "p moves by g, not by m."), (moved(g, v1), m1, v1)
    yield Idea("E70", "p moves by the old m."), (moved(m, v1), m1, v1)
    yield Idea("E70", "p moves by the old v."), (moved(m1, v), m1, v1)
    yield Idea("E70", "p moves by the old moments."), (moved(m, v), m1, v1)


def _inference_variants(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float = 1e-3
) -> Iterator[tuple[Idea, tuple[Any, ...]]]:
    axes = tuple(range(x.ndim - 1))
    centred, std = x - mean, np.sqrt(var + eps)
    yield (
        Idea("E38", "the batch's own statistics are used, not the given ones."),
        (gamma * (x - x.mean(axes)) / np.sqrt(x.var(axes) + eps) + beta,),
    )
    yield Idea("E38", "the batch's own mean is used, not the given one."), (gamma * (x - x.mean(axes)) / std + beta,)
    yield (
        Idea("E38", "the batch's own variance is used, not the given one."),
        (gamma * centred / np.sqrt(x.var(axes) + eps) + beta,),
    )
    yield (
        Idea("E36", "eps is added to the standard deviation, outside the root."),
        (gamma * centred / (np.sqrt(var) + eps) + beta,),
    )
    yield Idea("E36", "eps is missing."), (gamma * centred / np.sqrt(var) + beta,)
    for value in (1e-3, 1e-5, 1e-8):
        yield (
            Idea("E36", f"eps is always {value:g}, whatever is passed."),
            (gamma * centred / np.sqrt(var + value) + beta,),
        )
    yield Idea("E36", "x is divided by the variance, not by its root."), (gamma * centred / (var + eps) + beta,)
    yield (
        Idea("E36", "x is divided by the variance, taken for the standard deviation."),
        (gamma * centred / var + beta,),
    )
    yield Idea("E36", "x is multiplied by the standard deviation."), (gamma * centred * std + beta,)
    yield Idea("E37", "gamma is missing."), (centred / std + beta,)
    yield Idea("E37", "gamma and beta are exchanged."), (beta * centred / std + gamma,)
    yield Idea("E32", "beta is missing."), (gamma * centred / std,)
    yield Idea("E32", "beta is subtracted."), (gamma * centred / std - beta,)
    yield Idea("E30", "the mean is not subtracted."), (gamma * x / std + beta,)
    yield Idea("E30", "the mean is added."), (gamma * (x + mean) / std + beta,)
    yield Idea("E30", "the mean is subtracted after dividing."), (gamma * (x / std - mean) + beta,)


def _moving_average_variants(
    moving: Array, biased: Array, t: float, value: Array, momentum: float = 0.5
) -> Iterator[tuple[Idea, tuple[Any, ...]]]:
    new = momentum * biased + (1 - momentum) * value
    right = 1 - momentum ** (t + 1)
    swapped = (1 - momentum) * biased + momentum * value
    yield Idea("E72", "the average is not debiased: it starts near 0."), (new, new, t + 1)
    yield Idea("E74", "momentum and 1 - momentum are exchanged."), (swapped / right, swapped, t + 1)
    yield (
        Idea("E74", "momentum and 1 - momentum are exchanged."),
        (swapped / (1 - (1 - momentum) ** (t + 1)), swapped, t + 1),
    )
    yield Idea("E74", "momentum is always 0.5, whatever is passed."), (
        (0.5 * biased + 0.5 * value) / (1 - 0.5 ** (t + 1)), 0.5 * biased + 0.5 * value, t + 1)  # fmt: skip
    if t:
        yield Idea("E75", "the correction uses t before it is counted up."), (new / (1 - momentum**t), new, t + 1)
    yield (
        Idea("E75", "the correction uses t + 1 after it has been counted up already."),
        (new / (1 - momentum ** (t + 2)), new, t + 1),
    )
    yield Idea("E75", "t is not counted up."), (new / right, new, t)
    yield (
        Idea("E75", "t is not counted up, and the correction uses the old one."),
        (new / (1 - momentum**t) if t else new, new, t),
    )
    yield Idea("E72", "the correction multiplies; it divides."), (new * right, new, t + 1)
    yield Idea("E72", "momentum * t instead of momentum ** t."), (new / (1 - momentum * (t + 1) or 1), new, t + 1)
    yield (
        Idea("E78", "the debiased average is kept as the biased one: the next update corrects it again."),
        (new / right, new / right, t + 1),
    )
    mixed = momentum * moving + (1 - momentum) * value
    yield (
        Idea("E78", "the average goes on from the debiased one, `moving`, instead of from `biased`."),
        (mixed / right, mixed, t + 1),
    )
    yield Idea("E78", "the average goes on from `moving`, and is not debiased."), (mixed, mixed, t + 1)
    yield Idea("E78", "the average goes on from `moving`; `biased` is not used."), (mixed, biased, t + 1)
    yield Idea("E78", "`moving` is updated by itself; it is `biased` divided by the correction."), (mixed, new, t + 1)
    yield (
        Idea("E74", "1 - momentum is missing."),
        ((momentum * biased + value) / right, momentum * biased + value, t + 1),
    )
    yield Idea("E78", "results come back in another order."), (new, new / right, t + 1)
    yield Idea("E78", "`biased` comes back as it was given."), (new / right, biased, t + 1)


# ------------------------------------------------------------------------------------------------------------ gradient
def explain_gradient(
    subject: Subject, runs: list[Run], wrong: dict[str, list[int]], algebra: str, function: str
) -> tuple[Finding, dict[str, Any] | None]:
    """Name the mistake behind a wrong gradient.

    Parameters
    ----------
    subject : Subject
    runs : list
        (forward, dy, gradients) of every case.
    wrong : dict
        Name of a wrong gradient to the numbers of the cases in which it is wrong; may be empty if only a law is broken.
    algebra : str
        Code of the law that is broken, or "".
    function : str

    Returns
    -------
    Finding
    picture : dict or None
        One slice of the wrong gradient beside the numeric one.
    """
    from minigan.check.mistakes.wrong_gradients import Evidence, descriptions, ideas

    exercise = subject.exercise
    if not wrong:
        return _lawless(algebra, function), None
    name = next(n for n in exercise.gradients if n in wrong)
    numbers = sorted(wrong[name], key=lambda k: runs[k][0].case.size)
    evidence = [Evidence(subject, runs[k], name) for k in numbers[:4]]
    idea = next((idea for idea in ideas(evidence) if idea is not None), None)
    if idea is None and algebra in ("E40", "E41", "E42"):
        idea = Idea(algebra, _LAWS[algebra])
    idea = idea or next((idea for idea in descriptions(evidence) if idea is not None), None)
    if idea is None and len(numbers) < len(runs):
        idea = _simple_sizes(subject, runs, numbers)
    if idea is None:
        idea = Idea(algebra or "E50", _LAWS.get(algebra, ""))
    small = next((e for e in evidence if e.numeric.size > 1), evidence[0])
    share = float(np.mean(np.abs(small.yours - small.numeric) > 1e-5 * max(np.abs(small.numeric).max(), 1e-3)))
    right = [n for n in exercise.gradients if n not in wrong]
    others = [n for n in wrong if n != name]
    role = exercise.roles.get(exercise.gradients[name])
    yours, numeric = (to_student(a, role, subject.layout) for a in (small.yours, small.numeric))
    cases = "in every case tried" if len(numbers) == len(runs) else f"in {len(numbers)} of {len(runs)} cases tried"
    finding = Finding(
        idea.code,
        "algebra" if idea.code in _LAWS else "gradient",
        f"{function}: {name} is wrong {cases}",
        (
            *([f"{', '.join(right)} right"] if right else []),
            *([f"{', '.join(others)} wrong too"] if others else []),
            f"{share:.0%} of {name} wrong; " + _evidence(yours, numeric, "numeric")[0],
            f"on {small.forward.case.told(exercise.roles, subject.layout)}",
        ),
        idea.cause,
        filled(idea.hints, gradient_hints(exercise.name, name, subject.layout)),
        where=f"{function}: {name}",
    )
    return finding, _picture(name, yours, numeric, role, subject.layout)


_LAWS = {
    "E40": "dy = 0 means that the loss does not care: nothing can flow back. Something is added that does "
    "not come from dy.",
    "E41": "twice the dy must give twice the gradient: dy may be multiplied and summed, never squared, "
    "compared or replaced.",
    "E42": "what comes back for one sample must not depend on which others are in the batch.",
    "E43": "forward is linear in x, so <forward(x), dy> = <x, dx> for every x and dy; it is not.",
}


def _lawless(algebra: str, function: str) -> Finding:
    titles = {
        "E40": "of dy = 0 is not 0",
        "E41": "is not linear in dy",
        "E42": "mixes the samples of the batch",
        "E43": "is not the adjoint of forward",
    }
    return Finding(algebra, "algebra", f"{function} {titles[algebra]}", cause=_LAWS[algebra], where=function)


def _simple_sizes(subject: Subject, runs: list[Run], wrong: list[int]) -> Idea | None:
    """What the failing cases have in common that the others have not."""

    def traits(run: Run) -> set[str]:
        case = run[0].case
        x = next(iter(case.arrays.values()))
        found = {f"{k}={v}" for k, v in case.settings.items()}
        if case.settings.get("stride", 1) > 1:
            found.add("a stride above 1")
        if case.settings.get("pad", 0) > 0:
            found.add("padding")
        if x.shape[0] == 1:
            found.add("a batch of one")
        if x.ndim == 4:
            found.add("4-D input")
            if x.shape[1] != x.shape[2]:
                found.add("height different from width")
        if x.ndim == 2:
            found.add("2-D input")
        if x.shape[-1] == 1:
            found.add("a single channel")
        return found

    shared = set.intersection(*(traits(runs[k]) for k in wrong))
    fine = set().union(*(traits(run) for k, run in enumerate(runs) if k not in wrong))
    telling = sorted(shared - fine, key=lambda text: ("=" in text, text))
    roles, layout = subject.exercise.roles, subject.layout
    sizes = "; ".join(runs[k][0].case.told(roles, layout) for k in wrong[:2])
    if telling:
        return Idea("E68", f"it goes wrong exactly where there is {telling[0]}.")
    return Idea("E68", f"it is right for some sizes; it fails for {sizes}.")


def _factor(yours: Array, right: Array, case: Case, code: str) -> Idea | None:
    """A constant factor between the two, and what that number may be."""
    if yours.shape != right.shape or not np.any(right):
        return None
    k = float(np.vdot(yours, right) / np.vdot(right, right))
    if abs(k - 1) < 1e-3 or k == 0 or not _fits(yours, k * right):
        return None
    name = factor_names(k, case)[0]
    if yours.size == 1 and name == f"{k:.6g}":  # between two single numbers there is always a factor
        return None
    return Idea(code, f"it is {name} times the right one.")


def factor_names(k: float, case: Case, dy: Array | None = None) -> list[str]:
    """Every name that a factor could have in a case, such as "-1", "2", "1/N"; the simplest first.

    Parameters
    ----------
    k : float
    case : Case
        Its sizes and settings are candidates.
    dy : Array, optional
        For a gradient: its sizes, and for a scalar loss its value, are candidates too.

    Returns
    -------
    list of str
        The number itself if nothing fits.
    """
    names: list[str] = []
    for value, text in ((-1.0, "-1"), (2.0, "2"), (0.5, "1/2"), *_factors(case, dy)):
        for sign, prefix in ((1, ""), (-1, "-")):
            if abs(k - sign * value) < 1e-3 * abs(value) and prefix + text not in names:
                names.append(prefix + text)
    return names or [f"{k:.6g}"]


def _factors(case: Case, dy: Array | None) -> list[tuple[float, str]]:
    """Sizes and settings of a case with their names, and what people make of them: n, 1/n, (n - 1)/n."""
    x = next(iter(case.arrays.values()))
    named = {"N": float(x.shape[0]) if x.ndim else 1.0}
    if x.ndim == 4:
        named |= {"N*H*W": float(np.prod(x.shape[:3])), "H*W": float(x.shape[1] * x.shape[2]), "C": float(x.shape[3])}
        if dy is not None and dy.ndim == 4:
            named |= {"N*Ho*Wo": float(np.prod(dy.shape[:3])), "Ho*Wo": float(dy.shape[1] * dy.shape[2])}
    elif x.ndim == 2:
        named["C"] = float(x.shape[1])
    named["z.size" if "z" in case.arrays else "x.size"] = float(x.size)
    if dy is not None and dy.ndim and dy.shape[-1] != x.shape[-1]:
        named["O"] = float(dy.shape[-1])
    named |= {name: float(case.settings[name]) for name in ("alpha", "stride") if case.settings.get(name)}
    if "w" in case.arrays and case.arrays["w"].ndim == 4:
        named["K*K"] = float(case.arrays["w"].shape[0] ** 2)
    out = []
    for name, value in named.items():
        if value not in (0.0, 1.0):
            out += [(value, name), (1 / value, f"1/({name})" if "*" in name else f"1/{name}")]
    for name, value in named.items():
        if value > 1 and name.startswith("N"):
            out += [((value - 1) / value, f"({name} - 1)/({name})"), (value / (value - 1), f"({name})/({name} - 1)")]
    if dy is not None and dy.ndim == 0:
        out.append((1 / float(dy), "1/dloss"))
    return out


def _reordered(yours: Array, right: Array, code: str) -> Idea | None:
    """The right numbers in other places."""
    if yours.shape != right.shape or yours.size < 3:
        return None
    a, b = np.sort(yours, axis=None), np.sort(right, axis=None)
    if _fits(a, b):
        return Idea(
            code, "all the right numbers, in the wrong places: a reshape or transpose took the axes in another order."
        )
    return None


def _evidence(yours: Array, right: Array, what: str) -> tuple[str, ...]:
    difference = np.abs(yours - right)
    index = np.unravel_index(int(np.argmax(difference)), difference.shape) if difference.ndim else ()
    place = f" at ({', '.join(str(int(i)) for i in index)})" if index else ""
    a, b = float(yours[index]), float(right[index])
    if f"{a:+.6g}" == f"{b:+.6g}":
        return (f"worst{place}: yours {a:+.12g}, {what} {b:+.12g}",)
    return (f"worst{place}: yours {a:+.6g}, {what} {b:+.6g}",)


def _picture(name: str, yours: Array, numeric: Array, role: str | None, layout: str) -> dict[str, Any] | None:
    """One 2-D slice, the one with the largest error."""
    if yours.ndim == 0:
        return None
    if yours.ndim == 1:
        return {"name": name, "index": "", "yours": [yours.tolist()], "numeric": [numeric.tolist()]}
    difference = np.abs(yours - numeric)
    index = np.unravel_index(int(np.argmax(difference)), difference.shape)
    if yours.ndim == 2:
        return {"name": name, "index": "", "yours": yours.tolist(), "numeric": numeric.tolist()}
    # pictures show rows and columns, kernels their taps
    spatial = (1, 2) if yours.ndim == 3 or (role == "image" and layout == "NHWC") else (2, 3)
    if role == "kernel" and layout == "NHWC":
        spatial = (0, 1)
    cut = tuple(slice(None) if axis in spatial else int(index[axis]) for axis in range(yours.ndim))
    told = ", ".join(f"axis {axis} = {int(index[axis])}" for axis in range(yours.ndim) if axis not in spatial)
    return {"name": name, "index": told, "yours": yours[cut].tolist(), "numeric": numeric[cut].tolist()}


def numeric_of(exercise: Exercise, run: Run, name: str) -> Array:
    """The numeric gradient of one run for one gradient's argument."""
    forward, dy, _ = run
    return numeric_gradient(exercise, forward.case, exercise.gradients[name], dy)
