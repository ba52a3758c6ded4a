"""Lesson 9's own exercises: stamps by hand, which kernels cover evenly, and five faults to be told by their pictures.

`conv2d_transpose`, forward and backward, is an exercise of `minigan.check`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lessons.judging import Exercise, Mistake, Verdict, among, numbers


def stamped(
    x: Any,
    w: Any,
    b: Any,
    stride: int = 1,
    pad: int = 0,
    *,
    add: bool = True,
    kernel: Callable[[Any], Any] = lambda w: w,
    corner: int | None = None,
    step: int | None = None,
    every_bias: bool = False,
) -> Any:
    """Transposed convolution by stamping, with one thing about it changed: x (N, H, W, C), w (K, K, O, C)."""
    N, H, W, _ = x.shape
    K, _, O, _ = w.shape
    step, corner = step or stride, pad if corner is None else corner
    full = np.zeros((N, stride * (H - 1) + K, stride * (W - 1) + K, O), x.dtype)
    for i in range(H):
        for j in range(W):
            here = (slice(None), slice(step * i, step * i + K), slice(step * j, step * j + K))
            stamp = np.einsum("nc,pqoc->npqo", x[:, i, j], kernel(w)) + (b if every_bias else 0)
            full[here] = stamp + (full[here] if add else 0)
    rows, columns = full.shape[1] - 2 * pad, full.shape[2] - 2 * pad
    return full[:, corner : corner + rows, corner : corner + columns] + (0 if every_bias else b)


# -------------------------------------------------------------------------------------------------------------- by hand
HAND_X = np.array([[1.0, 2], [0, 3]])
HAND_W = np.array([[1.0, 2, 1], [0, 1, 0], [1, 0, 2]])


def _plane(**how: Any) -> Any:
    return stamped(HAND_X[None, :, :, None], HAND_W[:, :, None, None], np.zeros(1), 2, **how)[0, :, :, 0]


def _judge_hand(answer: Any) -> Verdict:
    yours = numbers(answer)
    if yours is None:
        return Verdict.wrong("five rows of five numbers are wanted", f"got {answer!r}")
    right = _plane()
    if yours.shape != right.shape:
        return Verdict.wrong(
            f"your map has the shape {yours.shape}",
            "the last stamp begins at 2*(2 - 1) = 2 and is 3 long",
            cause={(4, 4): "4 x 4 is the map for stride 1.", (6, 6): "6 x 6 is the map if no stamps overlap."}.get(
                yours.shape, ""
            ),
        )
    if np.array_equal(yours, right):
        return Verdict.ok("all 25 numbers")
    (r, s), count = np.argwhere(yours != right)[0], int((yours != right).sum())
    causes = (
        (_plane(add=False), "Where two stamps overlap, the later one has erased the earlier. They add up."),
        (
            _plane(kernel=lambda w: w[::-1, ::-1]),
            "The kernel is upside down. It is stamped as it is: tap (0, 0) goes to the stamp's upper left corner.",
        ),
        (_plane(kernel=lambda w: w.transpose(1, 0, 2, 3)), "Rows and columns of the kernel are exchanged."),
    )
    cause = next((told for values, told in causes if np.array_equal(yours, values)), "")
    return Verdict.wrong(
        f"{count} of 25 numbers {'is' if count == 1 else 'are'} wrong",
        f"the first is in row {r}, column {s}: yours {yours[r, s]:g}",
        f"which of the stamps with corners (0, 0), (0, 2), (2, 0), (2, 2) cover ({r}, {s})?",
        cause=cause,
    )


_BY_HAND = Exercise(
    name="stamps_by_hand",
    lesson=9,
    judge=_judge_hand,
    hints=(
        "Four stamps, one for each number of x. Draw the 5 x 5 map and put them on it one after the other.",
        "The stamps' corners are at (0, 0), (0, 2), (2, 0) and (2, 2). The third is the kernel times 0.",
        "The middle, (2, 2), is in all four: 1*2 + 2*1 + 0*1 + 3*1 = 7.",
    ),
    doc="Four stamps, by hand.",
)


# ----------------------------------------------------------------------------------------------------------------- even
def covers_evenly(K: int, stride: int) -> bool:
    """Whether every pixel away from the border gets equally many stamps."""
    return K % stride == 0


_EVEN = Exercise(
    name="covers_evenly",
    lesson=9,
    reference=covers_evenly,
    cases=lambda rng: [(K, S) for S in range(1, 6) for K in range(1, 10)],
    mistakes=(
        Mistake(lambda K, stride: K % 2 == 0, "An even K is right for stride 2 only. Where is the stride?"),
        Mistake(lambda K, stride: stride <= K, "With K >= stride there are no gaps, but K = 3 and stride 2 is uneven."),
        Mistake(lambda K, stride: stride == K, "K = stride is even: stamps side by side. But it is not the only way."),
        Mistake(lambda K, stride: stride % K == 0, "The other way round: which has to go into which?"),
        Mistake(
            lambda K, stride: 2 * stride == K, "K = 2S is enough, but not necessary: think of K = S, and of K = 3S."
        ),
        Mistake(
            lambda K, stride: stride < K and K % stride == 0,
            "K = S is even too: stamps side by side, one on each pixel.",
        ),
        Mistake(
            lambda K, stride: (K - stride) % 2 == 0, "Only for stride 2 is this right; count the taps for stride 3."
        ),
        Mistake(lambda K, stride: K % stride != 0, "Just the opposite."),
        Mistake(lambda K, stride: True, "K = 3 and stride 2 is uneven: 2, 1, 2, 1, ... stamps."),
        Mistake(lambda K, stride: False, "K = stride is even: stamps side by side."),
    ),
    hints=(
        "One dimension, stride 2, K = 3 and K = 4: count the taps with p = 0, 2, ... and those with p = 1, 3, ...",
        "Pixel r gets one stamp for each tap p that leaves the same remainder as r + pad when divided by the stride.",
        "Among 0, 1, ..., K - 1 all remainders occur equally often only if the stride divides K: K % stride == 0.",
    ),
    doc="Which kernels cover evenly.",
)


# --------------------------------------------------------------------------------------------------------- five faults
FAULTS = {
    "overwritten": "where stamps overlap, the last one erases the others",
    "flipped": "the kernel is stamped upside down and left to right",
    "exchanged": "rows and columns of the kernel are exchanged",
    "every-bias": "the bias is added with every stamp",
    "crop": "the crop takes everything from the bottom and the right",
    "close": "stamps lie one pixel apart, whatever the stride",
}
"""What may be wrong, by the word to answer with."""

SUSPECTS: dict[str, Callable[..., Any]] = {
    "A": lambda *given: stamped(*given, every_bias=True),
    "B": lambda *given: stamped(*given, kernel=lambda w: w.transpose(1, 0, 2, 3)),
    "C": lambda *given: stamped(*given, corner=0),
    "D": lambda *given: stamped(*given, step=1),
    "E": lambda *given: stamped(*given, add=False),
}
"""Functions suspect(x, w, b, stride, pad) -> y, one fault each."""

_GUILT = {"A": "every-bias", "B": "exchanged", "C": "crop", "D": "close", "E": "overwritten"}

_LOOK_AT = {
    "A": "look at the background, far from any dot: is it even?",
    "B": "look at a dot that stands alone: is its stamp the kernel, or has it been turned? About which axis?",
    "C": "where is the dot of the upper left corner, compared with the right picture?",
    "D": "how far apart are the stamps of two dots, compared with the right picture?",
    "E": "a dot that stands alone has lost the right and the lower part of its stamp. What came after it, and was 0?",
}


def _judge_faults(answers: Any) -> Verdict:
    if not isinstance(answers, Mapping) or set(answers) != set(_GUILT):
        return Verdict.wrong("it should be a dict with one answer for each of A to E", f"got {answers!r}")
    unknown = [word for word in answers.values() if not among(word, FAULTS)]
    if unknown:
        return Verdict.wrong(f"{unknown[0]!r} is not one of the words", "the words are " + ", ".join(FAULTS))
    wrong = [letter for letter, fault in _GUILT.items() if answers[letter] != fault]
    if not wrong:
        return Verdict.ok("all five named")
    first = wrong[0]
    return Verdict.wrong(
        f"{5 - len(wrong)} of 5 are right; the first wrong one is {first}",
        f"you say of {first}: {FAULTS[answers[first]]}",
        _LOOK_AT[first],
    )


_FAULTS = Exercise(
    name="stamp_faults",
    lesson=9,
    judge=_judge_faults,
    hints=(
        "Put your finger on a dot that stands alone, in the right picture and then in the others.",
        "Three questions for each picture: is a single stamp right? Is it in the right place? Is an overlap right?",
        "And a fourth: is the background even? Only one of the faults can show there.",
    ),
    doc="Five faults, told by their pictures.",
)

EXERCISES = (_BY_HAND, _EVEN, _FAULTS)
