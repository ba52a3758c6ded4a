"""Lesson 7's own exercises: output size, convolution by loops, im2col, a hand-made kernel, and six suspects.

The whole layer, `conv2d`, is an exercise of `minigan.check`. The suspects are functions to be called, not read:
this file says what is wrong with each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lessons.judging import Exercise, Mistake, Verdict, among, numbers
from minigan.nn.conv import conv_forward

# N, H, W, C, O, K, stride, pad: all different; stride 2 and 3; N = 1; C = 1; kernel 1; rows that the stride leaves over
SIZES = (
    (2, 5, 6, 3, 4, 3, 1, 1),
    (3, 6, 4, 2, 5, 4, 2, 1),
    (1, 7, 5, 2, 1, 3, 2, 0),
    (2, 4, 5, 1, 3, 2, 1, 0),
    (2, 7, 8, 3, 2, 2, 3, 2),
    (2, 3, 4, 2, 3, 1, 1, 0),
)


# ---------------------------------------------------------------------------------------------------------- output size
def output_size(H: int, K: int, stride: int, pad: int) -> int:
    """How many places a window of K has on H pixels with `pad` zeros on both sides."""
    return (H + 2 * pad - K) // stride + 1


def _size_cases(rng: np.random.Generator) -> list[tuple[int, ...]]:
    fixed = [(4, 2, 1, 0), (64, 4, 2, 1), (7, 3, 2, 0), (8, 3, 3, 0), (3, 3, 1, 0), (5, 1, 1, 0), (6, 4, 5, 2)]
    return fixed + [
        (int(H), int(K), int(S), int(P)) for H, K, S, P in rng.integers((9, 2, 1, 0), (30, 9, 5, 4), (8, 4))
    ]


_SIZE = Exercise(
    name="output_size",
    lesson=7,
    reference=output_size,
    cases=_size_cases,
    mistakes=(
        Mistake(
            lambda H, K, stride, pad: (H + 2 * pad - K + 1) // stride,
            "The 1 is inside the division. Right for stride 1, and wrong by one for most others.",
        ),
        Mistake(
            lambda H, K, stride, pad: (H + 2 * pad - K) / stride + 1,
            "/ gives a fraction where the last stride does not fit whole; // divides and rounds down.",
        ),
        Mistake(
            lambda H, K, stride, pad: (H + 2 * pad - K) // stride,
            "This counts the steps between places, not the places: the window's first place needs no step. Add 1.",
        ),
        Mistake(
            lambda H, K, stride, pad: (H + pad - K) // stride + 1,
            "The zeros are counted on one side only; there are `pad` of them on each side.",
        ),
        Mistake(
            lambda H, K, stride, pad: -(-(H + 2 * pad - K) // stride) + 1,
            "Rounded up: the last place would hang over the end. A place that does not fit is no place: round down.",
        ),
        Mistake(
            lambda H, K, stride, pad: (H - K) // stride + 1,
            "The padding is missing: the window moves over H + 2*pad pixels.",
        ),
        Mistake(
            lambda H, K, stride, pad: H + 2 * pad - K + 1,
            "The stride is missing: these are the places of a stride of 1.",
        ),
        Mistake(
            lambda H, K, stride, pad: H // stride,
            "Right where K - 2*pad equals the stride and nothing is left over; kernel and padding have their say.",
        ),
        Mistake(
            lambda H, K, stride, pad: (H + 2 * pad + K) // stride + 1,
            "The sign of K: a window has to end inside, so its last place is K before the end.",
        ),
        Mistake(
            lambda H, K, stride, pad: (H + 2 * pad - K + stride + 1) // stride,
            "Both the 1 and a stride have come into the division: it is (H + 2*pad - K) // stride, and then + 1.",
        ),
        Mistake(
            lambda H, K, stride, pad: (H + 2 * pad) // stride,
            "The kernel's own size is missing: a window that starts at the last pixel hangs over the end.",
        ),
    ),
    hints=(
        "Write down the first pixel of each window: 0, S, 2S, ... Which is the last one allowed?",
        "The padded image has H + 2*pad pixels. A window that starts at S*i ends before S*i + K, "
        "and that may be H + 2*pad at most.",
        "S*i <= H + 2*pad - K, so the largest i is that, divided by S and rounded down; and i starts at 0.",
    ),
    doc="How many places a window has.",
)


# ---------------------------------------------------------------------------------------------------------------- loops
def conv_loops(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
    """Convolution with loops over places and taps."""
    return conv_forward(x, w, b, stride=stride, pad=pad, kernel="loops")


def _padded(x: Any, pad: int, **how: Any) -> Any:
    return np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), **how)


def _with(
    kernel: Callable[[Any], Any] = lambda w: w,
    enlarge: Callable[[Any, int], Any] = _padded,
    strides: Callable[[int], tuple[int, int]] = lambda stride: (stride, stride),
    bias: Callable[[Any, int], Any] = lambda b, K: b,
    order: str = "pqc",
    add: bool = True,
) -> Callable[..., Any]:
    """A convolution with one thing about it changed."""

    def conv(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
        K = w.shape[0]
        Ho, Wo = (output_size(size, K, stride, pad) for size in x.shape[1:3])
        big, w, (down, across) = enlarge(x, pad), kernel(w), strides(stride)
        if order == "cpq":  # patches unrolled with the channels first, the kernel with the channels last
            w = w.reshape(x.shape[3], K, K, -1).transpose(1, 2, 0, 3)
        y = np.zeros((len(x), Ho, Wo, w.shape[3]), x.dtype)
        for p in range(K):
            for q in range(K):
                rows = big[:, p : p + down * (Ho - 1) + 1 : down]
                part = rows[:, :, q : q + across * (Wo - 1) + 1 : across] @ w[p, q]
                y = y + part if add else part
        return y + bias(b, K)

    return conv


_FLIPPED = _with(kernel=lambda w: w[::-1, ::-1])
_EXCHANGED = _with(kernel=lambda w: w.transpose(1, 0, 2, 3))
_MANY_BIASES = _with(bias=lambda b, K: K * K * b)
_ONE_SIDED = _with(enlarge=lambda x, pad: np.pad(x, ((0, 0), (0, 2 * pad), (0, 2 * pad), (0, 0))))
_EDGES = _with(enlarge=lambda x, pad: _padded(x, pad, mode="edge"))
_ROWS_ONLY = _with(strides=lambda stride: (stride, 1))
_CHANNELS_FIRST = _with(order="cpq")


def _last_row_left_out(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
    y = conv_loops(x, w, b, stride, pad)
    y[:, -1] = b
    return y


def _backwards(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
    K = w.shape[0]
    Ho, Wo = (output_size(size, K, stride, pad) for size in x.shape[1:3])
    big = _padded(x, pad)
    y = np.zeros((len(x), Ho, Wo, w.shape[3]), x.dtype) + b
    for i, j, p, q in np.ndindex(Ho, Wo, K, K):
        y[:, i, j] += big[:, stride * i - p, stride * j - q] @ w[p, q]
    return y


def _conv_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    normal = rng.standard_normal
    cases = [
        (normal((N, H, W, C)), normal((K, K, C, O)), normal(O), stride, pad) for N, H, W, C, O, K, stride, pad in SIZES
    ]
    return [*cases[:-1], tuple(a.astype(np.float32) if isinstance(a, np.ndarray) else a for a in cases[-1])]


_LOOPS = Exercise(
    name="conv_loops",
    lesson=7,
    reference=conv_loops,
    cases=_conv_cases,
    mistakes=(
        Mistake(
            _FLIPPED,
            "The kernel is upside down. Tap (p, q) meets the pixel p below and q right of the window's"
            " corner: nothing is flipped here.",
        ),
        Mistake(_EXCHANGED, "p and q are exchanged somewhere: p counts rows, for the image and for the kernel."),
        Mistake(_with(add=False), "Every tap overwrites the ones before it: = where += belongs."),
        Mistake(
            _MANY_BIASES, "The bias is added once for every tap, K*K times. It belongs outside the loops over p and q."
        ),
        Mistake(
            _with(bias=lambda b, K: (K * K + 1) * b),
            "The bias is added once for every tap, and once more: it belongs outside the loops over p and q alone.",
        ),
        Mistake(_with(bias=lambda b, K: 0), "The bias is missing."),
        Mistake(_last_row_left_out, "The last row of places has the bias alone: the loop over i ends one too early."),
        Mistake(
            _backwards,
            "Tap (p, q) meets the pixel p *below* and q to the *right* of the window's corner: plus, not minus.",
        ),
        Mistake(
            _with(strides=lambda stride: (1, 1)),
            "The window moves by one whatever the stride: i and j must be multiplied by it.",
        ),
        Mistake(_ROWS_ONLY, "The stride moves the window down but not across."),
        Mistake(_ONE_SIDED, "All the zeros are below and on the right; `pad` of them belong on each side."),
        Mistake(_EDGES, "The padding repeats the border; it should be zeros."),
    ),
    asks_dtype=True,
    hints=(
        "Which pixel of the padded image does tap (p, q) meet at place (i, j)? Write it down, with the stride in it.",
        "Four loops: i, j over places and p, q over taps. A product over the channels is left: (N, C) @ (C, O).",
        "y[:, i, j] += padded[:, stride*i + p, stride*j + q] @ w[p, q], and b once at the end.",
    ),
    doc="Convolution with loops over places and taps.",
)


# --------------------------------------------------------------------------------------------------------------- im2col
def im2col(x: Any, K: int, stride: int = 1, pad: int = 0) -> Any:
    """Every patch of x as one row, (N*Ho*Wo, K*K*C)."""
    return _patches(x, K, stride, pad).reshape(-1, K * K * x.shape[3])


def _patches(x: Any, K: int, stride: int, pad: int, enlarge: Callable[[Any, int], Any] = _padded) -> Any:
    """(N, Ho, Wo, K, K, C)."""
    Ho, Wo = (output_size(size, K, stride, pad) for size in x.shape[1:3])
    big = enlarge(x, pad)
    cols = np.zeros((len(x), Ho, Wo, K, K, x.shape[3]), x.dtype)
    for p in range(K):
        for q in range(K):
            cols[:, :, :, p, q] = big[:, p : p + stride * Ho : stride, q : q + stride * Wo : stride][:, :Ho, :Wo]
    return cols


def _ordered(*axes: int) -> Callable[..., Any]:
    """The patches with their axes (n, i, j, p, q, c) in another order."""

    def wrong(x: Any, K: int, stride: int = 1, pad: int = 0) -> Any:
        cols = _patches(x, K, stride, pad)
        return cols.transpose(axes).reshape(-1, K * K * x.shape[3])

    return wrong


def _no_stride(x: Any, K: int, stride: int = 1, pad: int = 0) -> Any:
    Ho, Wo = (output_size(size, K, stride, pad) for size in x.shape[1:3])
    return _patches(x, K, 1, pad)[:, :Ho, :Wo].reshape(-1, K * K * x.shape[3])


def _one_sided_patches(x: Any, K: int, stride: int = 1, pad: int = 0) -> Any:
    cols = _patches(x, K, stride, pad, lambda x, pad: np.pad(x, ((0, 0), (0, 2 * pad), (0, 2 * pad), (0, 0))))
    return cols.reshape(-1, K * K * x.shape[3])


def _picture_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = [(rng.standard_normal((N, H, W, C)), K, stride, pad) for N, H, W, C, _, K, stride, pad in SIZES]
    x, *rest = cases[-1]
    return [*cases[:-1], (x.astype(np.float32), *rest)]


_IM2COL = Exercise(
    name="im2col",
    lesson=7,
    reference=im2col,
    cases=_picture_cases,
    mistakes=(
        Mistake(
            _ordered(0, 1, 2, 5, 3, 4),
            "Each row has its channels first, (C, K, K). w.reshape(K*K*C, O) runs"
            " through (K, K, C), so the rows must too.",
        ),
        Mistake(_ordered(0, 1, 2, 4, 3, 5), "Each patch is written column by column: p and q are exchanged."),
        Mistake(
            _ordered(1, 2, 0, 3, 4, 5),
            "The right rows in the wrong order: they run over places first and images"
            " last. y.reshape(N, Ho, Wo, O) expects all the rows of image 0 first.",
        ),
        Mistake(
            _ordered(0, 2, 1, 3, 4, 5),
            "The right rows in the wrong order: down the columns of places. Across first, then down.",
        ),
        Mistake(
            lambda x, K, stride=1, pad=0: _patches(x, K, stride, pad)[:, :, :, ::-1, ::-1].reshape(
                -1, K * K * x.shape[3]
            ),
            "Each patch is turned upside down and left to right: p and q count from the window's corner.",
        ),
        Mistake(
            lambda x, K, stride=1, pad=0: _patches(
                x, K, stride, pad, lambda x, pad: _padded(x, pad, mode="edge")
            ).reshape(-1, K * K * x.shape[3]),
            "The padding repeats the border; it should be zeros.",
        ),
        Mistake(_no_stride, "The windows lie next to each other whatever the stride."),
        Mistake(_one_sided_patches, "All the zeros are below and on the right; `pad` of them belong on each side."),
    ),
    asks_dtype=True,
    hints=(
        "Make room first: an array of shape (N, Ho, Wo, K, K, C). Fill it, and reshape at the very end.",
        "Two loops are enough, over the taps. Which pixels does tap (p, q) meet, at all places at once? "
        "A slice that starts at p and steps by the stride.",
        "cols[:, :, :, p, q] = padded[:, p : p + stride*Ho : stride, q : q + stride*Wo : stride]",
    ),
    doc="Every patch as one row of a matrix.",
)


# --------------------------------------------------------------------------------------------------------- edge kernels
def edge_kernels() -> Any:
    """Two kernels, (3, 3, 3, 2): brighter to the right, and brighter downwards."""
    across = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 12
    return np.stack([np.repeat(kernel[:, :, None], 3, axis=2) for kernel in (across, across.T)], axis=3)


def _judge_edges(w: Any) -> Verdict:
    if w is None:
        return Verdict.not_yet()
    given, w = w, numbers(w)
    if w is None:
        return Verdict.wrong("the kernels are an array of numbers", f"got {given!r}")
    if w.shape != (3, 3, 3, 2):
        return Verdict.wrong("the shape is wrong", f"yours {w.shape}, expected (3, 3, 3, 2): K, K, colours, kernels")
    p, q = np.mgrid[-1:2, -1:2].astype(float)
    flat, right, down = (np.einsum("pqco,pq->co", w, pattern) for pattern in (np.ones((3, 3)), q, p))
    told = "brighter to the right", "brighter downwards"
    for o, (own, other) in enumerate(((right, down), (down, right))):
        name = f"kernel {o} (edges[..., {o}])"
        if np.abs(flat[:, o].sum()) > 1e-9:
            return Verdict.wrong(
                f"{name} answers to an image without any edge",
                f"on a grey image of ones it says {flat[:, o].sum():+.3g}; it should say 0",
                "what does that mean for the sum of its 27 numbers?",
            )
        if np.abs(own[:, o]).max() < 1e-9 and np.abs(other[:, o]).max() > 1e-9:
            return Verdict.wrong(
                "the two kernels are exchanged",
                f"{name} does not see an image that gets {told[o]}, but one that gets {told[1 - o]}",
                "p, the first axis, counts rows: a kernel whose rows differ looks for changes from top to bottom",
            )
        if np.abs(other[:, o].sum()) > 1e-9:
            return Verdict.wrong(
                f"{name} answers to the other kind of edge as well",
                f"on an image that gets {told[1 - o]} by 1 a pixel it says {other[:, o].sum():+.3g}; it should say 0",
            )
        if own[:, o].sum() < 0:
            return Verdict.wrong(
                f"{name} has the wrong sign",
                f"on an image that gets {told[o]} by 1 a pixel it says {own[:, o].sum():+.3g}; it should be positive",
            )
        if np.any(own[:, o] <= 1e-9):
            return Verdict.wrong(
                f"{name} does not see every colour",
                f"red, green and blue ramps give {', '.join(f'{v:+.3g}' for v in own[:, o])}; all should be positive",
            )
        apart = np.ptp(w[..., o], axis=2).max()
        if apart > 1e-9:
            return Verdict.wrong(
                f"{name} does not listen to all colours alike",
                f"its weights for red, green and blue differ by up to {apart:.3g}",
                "its nine numbers should be the same for red, green and blue",
            )
        lines = w[..., 0, o].sum(axis=1 - o)
        if np.abs(lines).max() > 1e-9:
            return Verdict.wrong(
                f"{name} answers to the other kind of edge as well",
                f"it is blind to a ramp that gets {told[1 - o]}, but not to a sharp edge of this kind: the sums of its "
                f"{('rows', 'columns')[o]} are {', '.join(f'{v:+.3g}' for v in lines)}; each should be 0",
            )
    return Verdict.ok("blind to flat areas, and each sees its own kind of edge in all three colours")


_EDGE_KERNELS = Exercise(
    name="edge_kernels",
    lesson=7,
    judge=_judge_edges,
    hints=(
        "A kernel is a question about nine pixels: right side minus left side, say.",
        "Minus one in the left column, plus one in the right column, nothing between; the same for all three colours.",
        "g = np.array([[-1, 0, 1]] * 3); kernel 0 is g for each colour, kernel 1 is g.T.",
    ),
    doc="Two kernels that find edges.",
)


# ----------------------------------------------------------------------------------------------------------------- hunt
CAUSES = {
    "fine": "nothing is wrong with it",
    "flipped": "the kernel is turned upside down and left to right",
    "exchanged": "rows and columns of the kernel are exchanged",
    "biases": "the bias is added K*K times",
    "one-sided": "all padding is at the bottom and on the right",
    "edge": "the padding repeats the border instead of being zeros",
    "rows-only": "the stride moves the window down, but not across",
    "channels-first": "patches are unrolled in the order (C, K, K), the kernel in the order (K, K, C)",
}
"""What may be wrong with a suspect, by the word to answer with."""

SUSPECTS: dict[str, Callable[..., Any]] = {
    "A": _ONE_SIDED,
    "B": _CHANNELS_FIRST,
    "C": _with(),
    "D": _FLIPPED,
    "E": _ROWS_ONLY,
    "F": _EXCHANGED,
}
"""Functions suspect(x, w, b, stride, pad) -> y. Call them; what they answer gives them away."""

_GUILT = {"A": "one-sided", "B": "channels-first", "C": "fine", "D": "flipped", "E": "rows-only", "F": "exchanged"}

_WAYS_TO_TELL = {
    "A": "with pad=1, and an image of zeros with a single 1 in a corner, where does it answer?",
    "B": "give it an image with one channel, then one with two.",
    "C": "compare it with your own on several shapes, with stride 2, padding 1, and C = 3.",
    "D": "a single 1 in the middle of a 3 x 3 image, pad=2, and a kernel with the numbers 1 to 4.",
    "E": "an image whose pixel (i, j) holds 10*i + j, and a 1 x 1 kernel of 1, with stride 2.",
    "F": "the same as for a flipped kernel: 1 to 4 come out in some order. Which?",
}


def _judge_hunt(answers: Any) -> Verdict:
    if answers is None:
        return Verdict.not_yet()
    if not isinstance(answers, dict) or set(answers) != set(_GUILT):
        return Verdict.wrong("it should be a dict with one answer for each of A to F", f"got {answers!r}")
    unknown = [word for word in answers.values() if not among(word, CAUSES)]
    if unknown:
        return Verdict.wrong(f"{unknown[0]!r} is not one of the words", "the words are " + ", ".join(CAUSES))
    wrong = [letter for letter, cause in _GUILT.items() if answers[letter] != cause]
    if not wrong:
        return Verdict.ok("all six named")
    first = wrong[0]
    return Verdict.wrong(
        f"{6 - len(wrong)} of 6 are right; the first wrong one is {first}",
        f"you say of {first}: {CAUSES[answers[first]]}",
        f"to find out: {_WAYS_TO_TELL[first]}",
    )


_HUNT = Exercise(
    name="conv_hunt",
    lesson=7,
    judge=_judge_hunt,
    hints=(
        "Do not think, probe. The smallest input that can tell two causes apart tells you which it is.",
        "The impulse: an image of zeros with a single 1. What comes out is the kernel, seen from behind.",
        "Six probes: a bias of 1 on zeros; an impulse in a corner with pad=1; ones with pad=1; an impulse in the "
        "middle with a kernel of 1, 2, 3, 4; stride 2 with a 1 x 1 kernel; two channels.",
    ),
    doc="What is wrong with six convolutions.",
)

EXERCISES = (_SIZE, _LOOPS, _IM2COL, _EDGE_KERNELS, _HUNT)
