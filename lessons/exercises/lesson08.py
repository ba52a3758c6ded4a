"""Lesson 8's own exercises: who touched a pixel, col2im, a test by adjoints, and four culprits to be told apart.

`conv2d` with its backward is an exercise of `minigan.check`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lessons.exercises.lesson07 import SIZES, conv_loops, im2col, output_size
from lessons.judging import Exercise, Mistake, Verdict


# -------------------------------------------------------------------------------------------------------------- touches
def touches(r: int, K: int, stride: int, pad: int, Ho: int) -> list[tuple[int, int]]:
    """Every (place i, tap p) that meets pixel r of a row, by rising i."""
    return [(i, r + pad - stride * i) for i in range(Ho) if 0 <= r + pad - stride * i < K]


def _touch_cases(rng: np.random.Generator) -> list[tuple[int, ...]]:
    rows = ((6, 3, 1, 0), (6, 3, 2, 0), (8, 4, 2, 1), (7, 3, 2, 1), (5, 2, 3, 0), (4, 1, 1, 0), (7, 5, 1, 2))
    return [(r, K, S, P, output_size(H, K, S, P)) for H, K, S, P in rows for r in (0, 1, 2, H // 2, H - 1)]


_TOUCHES = Exercise(
    name="touches",
    lesson=8,
    reference=touches,
    cases=_touch_cases,
    mistakes=(
        Mistake(
            lambda r, K, stride, pad, Ho: touches(r, K, stride, 0, Ho),
            "The padding is forgotten: pixel r of the image is pixel r + pad of the padded one.",
        ),
        Mistake(
            lambda r, K, stride, pad, Ho: [(i, p) for p, i in touches(r, K, stride, pad, Ho)],
            "The right pairs, the wrong way round: (place, tap) is asked for.",
        ),
        Mistake(
            lambda r, K, stride, pad, Ho: [(i, K - 1 - p) for i, p in touches(r, K, stride, pad, Ho)],
            "The taps count backwards. The place that begins at the pixel meets it with tap 0.",
        ),
        Mistake(
            lambda r, K, stride, pad, Ho: touches(r, K, stride, pad, Ho + K),
            "There are places in the answer that do not exist: i ends at Ho - 1.",
        ),
        Mistake(
            lambda r, K, stride, pad, Ho: [
                (i, r + pad - stride * i) for i in range(Ho) if 0 <= r + pad - stride * i <= K
            ],
            "There is a tap K in the answer: the taps are 0 to K - 1.",
        ),
        Mistake(
            lambda r, K, stride, pad, Ho: [
                (i, r + pad - stride * i) for i in range(Ho) if 0 < r + pad - stride * i < K
            ],
            "Tap 0 is left out: the taps are 0 to K - 1.",
        ),
        Mistake(
            lambda r, K, stride, pad, Ho: touches(r, K, 1, pad, Ho),
            "The stride is forgotten: place i begins at pixel stride*i of the padded row.",
        ),
        Mistake(
            lambda r, K, stride, pad, Ho: touches(r, K, stride, -pad, Ho),
            "The sign of the padding: pixel r of the image is pixel r + pad of the padded row.",
        ),
        Mistake(
            lambda r, K, stride, pad, Ho: [i for i, _ in touches(r, K, stride, pad, Ho)],
            "These are the places alone; a pair (place, tap) is asked for.",
        ),
        Mistake(
            lambda r, K, stride, pad, Ho: touches(r, K, stride, pad, Ho)[::-1],
            "The right pairs; by rising i, please.",
        ),
    ),
    hints=(
        "Place i and tap p meet at pixel stride*i + p - pad. When is that r?",
        "For each place there is at most one tap that does it, p = r + pad - stride*i. It has to be a tap: 0 <= p < K.",
        "[(i, r + pad - stride*i) for i in range(Ho) if 0 <= r + pad - stride*i < K]",
    ),
    doc="Who touched pixel r of a row.",
)


# --------------------------------------------------------------------------------------------------------------- col2im
def col2im(cols: Any, shape: tuple[int, ...], K: int, stride: int = 1, pad: int = 0) -> Any:
    """Add every row of a patch matrix back to the patch it belongs to; (N*Ho*Wo, K*K*C) to `shape`, (N, H, W, C)."""
    return _scattered(cols, shape, K, stride, pad)


def _scattered(
    cols: Any,
    shape: tuple[int, ...],
    K: int,
    stride: int,
    pad: int,
    *,
    step: int | None = None,
    add: bool = True,
    corner: int | None = None,
    axes: tuple[int, ...] | None = None,
) -> Any:
    """col2im with one thing about it changed."""
    N, H, W, C = shape
    Ho, Wo = output_size(H, K, stride, pad), output_size(W, K, stride, pad)
    step, corner = step or stride, pad if corner is None else corner
    if axes is None:
        cols = cols.reshape(N, Ho, Wo, K, K, C)
    else:  # read in an order of axes that is not the matrix's
        cols = cols.reshape([(N, Ho, Wo, K, K, C)[axis] for axis in axes]).transpose(np.argsort(axes))
    big = np.zeros((N, H + 2 * pad, W + 2 * pad, C), cols.dtype)
    for p in range(K):
        for q in range(K):
            here = (slice(None), slice(p, p + step * (Ho - 1) + 1, step), slice(q, q + step * (Wo - 1) + 1, step))
            big[here] = cols[:, :, :, p, q] + (big[here] if add else 0)
    return big[:, corner : corner + H, corner : corner + W]


def _col2im_with(**how: Any) -> Callable[..., Any]:
    return lambda cols, shape, K, stride, pad: _scattered(cols, shape, K, stride, pad, **how)


def _averaged(cols: Any, shape: tuple[int, ...], K: int, stride: int, pad: int) -> Any:
    counts = _scattered(np.ones_like(cols), shape, K, stride, pad)
    return _scattered(cols, shape, K, stride, pad) / np.maximum(counts, 1)


def _cols_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    # the last one leaves a row and a column over, without padding that could hide it
    for N, H, W, C, _, K, S, P in (*SIZES, (2, 6, 8, 1, 2, 3, 2, 0)):
        rows = N * output_size(H, K, S, P) * output_size(W, K, S, P)
        cases.append((rng.standard_normal((rows, K * K * C)), (N, H, W, C), K, S, P))
    return cases


def _as_large_as_reached(cols: Any, shape: tuple[int, ...], K: int, stride: int, pad: int) -> Any:
    N, H, W, C = shape
    Ho, Wo = output_size(H, K, stride, pad), output_size(W, K, stride, pad)
    reached = (N, stride * (Ho - 1) + K, stride * (Wo - 1) + K, C)
    return _scattered(cols, reached, K, stride, 0)[:, pad : pad + H, pad : pad + W]


def _cut_by_minus_pad(cols: Any, shape: tuple[int, ...], K: int, stride: int, pad: int) -> Any:
    N, H, W, C = shape
    return _scattered(cols, (N, H + 2 * pad, W + 2 * pad, C), K, stride, 0)[:, pad:-pad, pad:-pad]


def _upside_down(cols: Any, shape: tuple[int, ...], K: int, stride: int, pad: int) -> Any:
    turned = cols.reshape(len(cols), K, K, -1)[:, ::-1, ::-1].reshape(cols.shape)
    return _scattered(turned, shape, K, stride, pad)


_COL2IM = Exercise(
    name="col2im",
    lesson=8,
    reference=col2im,
    cases=_cols_cases,
    mistakes=(
        Mistake(
            lambda cols, shape, K, stride, pad: _as_large_as_reached(cols, shape, K, stride, pad),
            "The array to add into is as large as the windows reach, stride*(Ho - 1) + K, and not as the padded image, "
            "H + 2*pad. Where the stride leaves rows over, that is too small.",
        ),
        Mistake(
            _col2im_with(add=False),
            "Patches that overlap overwrite each other: = where += belongs. A pixel that was copied into several rows "
            "gets something back from every one of them.",
        ),
        Mistake(
            _cut_by_minus_pad,
            "pad:-pad is empty for pad = 0, since -0 is 0: write pad : pad + H.",
        ),
        Mistake(
            lambda cols, shape, K, stride, pad: _scattered(
                cols, (shape[0], shape[1] + 2 * pad, shape[2] + 2 * pad, shape[3]), K, stride, 0
            ),
            "The padding is still there: it is cut off at the end, pad : pad + H.",
        ),
        Mistake(
            _averaged,
            "Every pixel is divided by the number of its patches. That would undo im2col; the gradient is the sum.",
        ),
        Mistake(
            _col2im_with(corner=0),
            "The padding is cut off at the bottom and on the right only: the image begins at [pad, pad].",
        ),
        Mistake(
            _col2im_with(step=1),
            "The windows are put back next to each other, whatever the stride.",
        ),
        Mistake(
            _col2im_with(axes=(0, 1, 2, 5, 3, 4)),
            "The rows are read as (C, K, K); im2col has written them as (K, K, C).",
        ),
        Mistake(
            _col2im_with(axes=(0, 1, 2, 4, 3, 5)),
            "p and q are exchanged.",
        ),
        Mistake(
            _col2im_with(axes=(0, 2, 1, 3, 4, 5)),
            "The rows are read down the columns of places; im2col has written them across first, then down.",
        ),
        Mistake(
            _upside_down,
            "The taps are turned upside down and left to right: the row's first number goes to tap (0, 0).",
        ),
    ),
    hints=(
        "Write im2col down, line by line, and turn every copy around: what stood left of = stands right of +=.",
        "Reshape cols to (N, Ho, Wo, K, K, C), make zeros of the padded size, loop over the taps, cut the padding off.",
        "big[:, p : p + stride*Ho : stride, q : q + stride*Wo : stride] += cols[:, :, :, p, q]; "
        "return big[:, pad : pad + H, pad : pad + W]",
    ),
    doc="im2col turned around: add every patch back to where it came from.",
)


# ------------------------------------------------------------------------------------------------------ test by adjoint
def is_adjoint(
    forward: Callable[..., Any], backward: Callable[..., Any], x: Any, w: Any, stride: int = 1, pad: int = 0
) -> bool:
    """Whether backward's dx is the adjoint of forward: <forward(x), dy> = <x, dx>."""
    y, cache = forward(x, w, np.zeros(w.shape[3]), stride, pad)
    dy = np.random.default_rng(0).standard_normal(y.shape)
    dx = backward(dy, cache)[0]
    left, right = np.sum(y * dy), np.sum(x * dx)
    return bool(abs(left - right) <= 1e-9 * (np.linalg.norm(y) * np.linalg.norm(dy)))


def conv2d_backward(dy: Any, cache: tuple[Any, Any, int, int]) -> tuple[Any, Any, Any]:
    """Gradients of a convolution: dx, dw, db. The cache is (x, w, stride, pad)."""
    return backward_with(_right_dx)(dy, cache)


def backward_with(dx: Callable[[Any, Any, int, tuple[int, ...], int, int], Any]) -> Callable[..., Any]:
    """A conv2d_backward whose dx comes from a function of (dy, w, K, shape, stride, pad)."""

    def conv2d_backward(dy: Any, cache: Any) -> Any:
        x, w, stride, pad = cache
        dy2 = dy.reshape(-1, w.shape[3])
        dw = (im2col(x, w.shape[0], stride, pad).T @ dy2).reshape(w.shape)
        return dx(dy, w, w.shape[0], x.shape, stride, pad), dw, dy2.sum(axis=0)

    return conv2d_backward


def _forward(x: Any, w: Any, b: Any, stride: int = 1, pad: int = 0) -> Any:
    return conv_loops(x, w, b, stride, pad), (x, w, stride, pad)


def _dcols(dy: Any, w: Any) -> Any:
    return dy.reshape(-1, w.shape[3]) @ w.reshape(-1, w.shape[3]).T


def _right_dx(dy: Any, w: Any, K: int, shape: tuple[int, ...], stride: int, pad: int) -> Any:
    return _scattered(_dcols(dy, w), shape, K, stride, pad)


def _wrong_rows(dy: Any, w: Any, K: int, shape: tuple[int, ...], stride: int, pad: int) -> Any:
    """The places of dy read from the end: nothing that a dy of ones could show."""
    return _scattered(_dcols(dy[:, ::-1, ::-1], w), shape, K, stride, pad)


_WRONG_BACKWARDS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("is twice as large", lambda dy, w, K, s, S, P: 2 * _scattered(_dcols(dy, w), s, K, S, P)),
    (
        "is too large by one part in a thousand",
        lambda dy, w, K, s, S, P: 1.001 * _scattered(_dcols(dy, w), s, K, S, P),
    ),
    (
        "with overlapping patches overwritten",
        lambda dy, w, K, s, S, P: _scattered(_dcols(dy, w), s, K, S, P, add=False),
    ),
    ("has the kernel flipped", lambda dy, w, K, s, S, P: _scattered(_dcols(dy, w[::-1, ::-1]), s, K, S, P)),
    ("is shifted by the padding", lambda dy, w, K, s, S, P: _scattered(_dcols(dy, w), s, K, S, P, corner=0)),
    ("reads dy in the wrong order", _wrong_rows),
)

_GEOMETRIES = ((2, 5, 6, 3, 4, 3, 1, 1), (2, 6, 8, 2, 3, 4, 2, 1))


def _judge_adjoint(test: Any) -> Verdict:
    if not callable(test):
        return Verdict.wrong("a function is wanted: is_adjoint(forward, backward, x, w, stride, pad)")
    rng = np.random.default_rng(8)
    for N, H, W, C, O, K, S, P in (*_GEOMETRIES, (1, 7, 5, 2, 1, 3, 2, 0)):
        for size in (1.0, 1e9, 1e-9):
            x, w = size * rng.standard_normal((N, H, W, C)), rng.standard_normal((K, K, C, O))
            where = f"x {x.shape}, w {w.shape}, stride = {S}, pad = {P}, values of x about {size:g}"
            told = test(_forward, conv2d_backward, x, w, S, P)
            if not isinstance(told, bool | np.bool_):
                return Verdict.wrong("the test must return True or False", f"got {type(told).__name__}")
            if not told:
                guide, cause = _cause_of_refusal(size)
                return Verdict.wrong("your test refuses a right backward", where, *guide, cause=cause)
            for fault, dx in _WRONG_BACKWARDS:
                if K % S:
                    continue  # pixels are left over, and not every fault shows: this geometry is for the right one
                if all(test(_forward, backward_with(dx), x * sign, w, S, P) for sign in (1, -1, 2)):
                    return Verdict.wrong(
                        f"your test lets a wrong backward pass: one whose dx {fault}",
                        where,
                        cause=_cause_of_passing(fault, size),
                    )
    return Verdict.ok(f"right ones pass, {len(_WRONG_BACKWARDS)} wrong ones do not, for large and small numbers")


def _cause_of_refusal(size: float) -> tuple[tuple[str, ...], str]:
    """What to look at, and the cause: it is known only if the test is right about numbers around 1."""
    if size > 1:
        return (), (
            "The two sides are sums of large numbers, and agree to some 15 digits, not to 15 places after the point: "
            "allow an error in proportion to the size of the numbers."
        )
    return (
        "print both sides: where backward is right, and the bias is 0, they agree to some 14 digits",
        "if yours do, the comparison is too strict (== is); if not, one of them is not the sum it should be",
    ), ""


def _cause_of_passing(fault: str, size: float) -> str:
    if "order" in fault:
        return "A dy of ones looks the same in every order. Draw dy at random."
    if size < 1:
        return (
            "The numbers are small here, and so is the difference: a fixed allowance lets everything pass. "
            "Allow an error in proportion to the size of the numbers."
        )
    if "thousand" in fault:
        return "The two sides agree to some 14 digits where backward is right: allow far less than a thousandth."
    return "Is dx, the first of backward's results, in the test at all?"


_IS_ADJOINT = Exercise(
    name="is_adjoint",
    lesson=8,
    judge=_judge_adjoint,
    hints=(
        "Two numbers: <y, dy> and <x, dx>, each the sum of an elementwise product.",
        "forward with a bias of zeros; a random dy of y's shape; backward(dy, cache)[0] is dx. Compare with a "
        "tolerance in proportion to the numbers.",
        "abs(np.sum(y * dy) - np.sum(x * dx)) <= 1e-9 * np.linalg.norm(y) * np.linalg.norm(dy)",
    ),
    doc="A test: is backward the adjoint of forward?",
)


# ------------------------------------------------------------------------------------------------------------- culprits
def overwrites(cols: Any, shape: tuple[int, ...], K: int, stride: int, pad: int) -> Any:
    """Culprit A: patches overwrite each other."""
    return _scattered(cols, shape, K, stride, pad, add=False)


def crops_with_minus(cols: Any, shape: tuple[int, ...], K: int, stride: int, pad: int) -> Any:
    """Culprit B: the padding is cut off with [pad:-pad]."""
    N, H, W, C = shape
    big = _scattered(cols, (N, H + 2 * pad, W + 2 * pad, C), K, stride, 0)
    return big[:, pad:-pad, pad:-pad]


def guesses_the_size(cols: Any, shape: tuple[int, ...], K: int, stride: int, pad: int) -> Any:
    """Culprit C: as many rows and columns as the windows cover."""
    N, H, W, C = shape
    Ho, Wo = output_size(H, K, stride, pad), output_size(W, K, stride, pad)
    size = (N, stride * (Ho - 1) + K - 2 * pad, stride * (Wo - 1) + K - 2 * pad, C)
    return _scattered(cols, size, K, stride, pad)


def takes_rows_for_columns(cols: Any, shape: tuple[int, ...], K: int, stride: int, pad: int) -> Any:
    """Culprit D: (Wo, Ho) where (Ho, Wo) belongs; NumPy complains where they differ."""
    N, H, W, C = shape
    Wo, Ho = output_size(H, K, stride, pad), output_size(W, K, stride, pad)
    cols = cols.reshape(N, Ho, Wo, K, K, C)
    big = np.zeros((N, H + 2 * pad, W + 2 * pad, C), cols.dtype)
    for p in range(K):
        for q in range(K):
            big[:, p : p + stride * Ho : stride, q : q + stride * Wo : stride] += cols[:, :, :, p, q]
    return big[:, pad : pad + H, pad : pad + W]


CULPRITS: dict[str, Callable[..., Any]] = {
    "A": overwrites,
    "B": crops_with_minus,
    "C": guesses_the_size,
    "D": takes_rows_for_columns,
}
"""The four col2im of the notebook, to be run by the judge."""


def convicted(geometry: tuple[int, int, int, int, int]) -> list[str]:
    """Which culprits are wrong on a geometry (H, W, K, stride, pad)."""
    H, W, K, S, P = geometry
    N, C = 2, 3
    rows = N * output_size(H, K, S, P) * output_size(W, K, S, P)
    cols = np.random.default_rng(0).standard_normal((rows, K * K * C))
    right = col2im(cols, (N, H, W, C), K, S, P)
    wrong = []
    for letter, culprit in CULPRITS.items():
        try:
            yours = culprit(cols.copy(), (N, H, W, C), K, S, P)
        except (ValueError, IndexError):
            wrong.append(letter)
            continue
        if yours.shape != right.shape or not np.allclose(yours, right):
            wrong.append(letter)
    return wrong


def _judge_culprits(answers: Any) -> Verdict:
    if not isinstance(answers, Mapping) or set(answers) != set(CULPRITS):
        return Verdict.wrong("it should be a dict with one geometry for each of A to D", f"got {answers!r}")
    for letter, geometry in answers.items():
        five = geometry if isinstance(geometry, tuple | list) and len(geometry) == 5 else [None]
        if not all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in five):
            return Verdict.wrong(f"{letter}: five whole numbers (H, W, K, stride, pad) are wanted", f"got {geometry!r}")
        H, W, K, S, P = geometry
        if not (1 <= K <= min(H, W) + 2 * P and max(H, W) <= 20 and S >= 1 and 0 <= P < K):
            return Verdict.wrong(
                f"{letter}: {tuple(geometry)} is no geometry to try",
                "it takes H and W of at most 20, a kernel that fits, a stride of at least 1, and a padding below K",
            )
    for letter, geometry in sorted(answers.items()):
        found = convicted(tuple(geometry))
        if letter not in found:
            return Verdict.wrong(f"{letter} is right on {tuple(geometry)}", _WHY_HIDDEN[letter])
        if found != [letter]:
            others = " and ".join(one for one in found if one != letter)
            return Verdict.wrong(
                f"{tuple(geometry)} shows {letter}, but {others} as well",
                "start from (6, 6, 2, 2, 1), with which all four are right, and change only what this one minds",
            )
    return Verdict.ok("each convicted alone")


_WHY_HIDDEN = {
    "A": "overwriting does no harm where no two patches overlap: compare kernel and stride",
    "B": "what does [pad:-pad] give for pad = 1, and what for pad = 0?",
    "C": "it computes the size that the windows cover: when is that less than the image's?",
    "D": "rows and columns cannot be told apart in a square",
}

_CULPRITS = Exercise(
    name="culprits",
    lesson=8,
    judge=_judge_culprits,
    hints=(
        "Say for each in words when it is right: no overlap; some padding; nothing left over; square.",
        "(6, 6, 2, 2, 1) is all of that. For each letter, break one of the four and keep the other three.",
        "A: a stride below K. B: pad 0. C: one row and column more than the windows cover. D: another width.",
    ),
    doc="For each of four wrong col2im, a geometry that convicts it alone.",
)

EXERCISES = (_TOUCHES, _COL2IM, _IS_ADJOINT, _CULPRITS)
