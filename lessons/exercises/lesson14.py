"""Lesson 14's own exercises: counting work, blocks of pixels, Winograd's F(2,2), and the phase split of G's layer.

Two exercises count: `winograd_1d` and `winograd_2d` are called with numbers that remember every multiplication, so the
right values with one product too many do not pass. The suspects of the hunt are functions to be called, not read:
this file says what is wrong with each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import product
from typing import Any

import numpy as np

from lessons.judging import Exercise, Mistake, Verdict, among, as_array, explanation, numbers
from minigan.nn.backend import xp_of

K, S = 4, 2
"""Kernel and stride of every layer in this lesson."""


# --------------------------------------------------------------------------------------------------------- the counting
def work(N: int, H: int, W: int, C: int, O: int) -> tuple[int, int]:
    """FLOP and bytes of a convolution with K = 4 and S = 2, as its definition has them."""
    pixels = N * (H // S) * (W // S)
    values = N * H * W * C + K * K * C * O + pixels * O
    return 2 * pixels * K * K * C * O, 4 * values


def _work_with(
    flop: Callable[..., int] = lambda N, H, W, C, O: work(N, H, W, C, O)[0],
    moved: Callable[..., int] = lambda N, H, W, C, O: work(N, H, W, C, O)[1],
) -> Callable[..., tuple[int, int]]:
    return lambda N, H, W, C, O: (flop(N, H, W, C, O), moved(N, H, W, C, O))


_WORK = Exercise(
    name="work",
    lesson=14,
    reference=work,
    cases=lambda rng: [(1, 2, 4, 5, 7), (2, 6, 4, 6, 5), (32, 16, 16, 128, 256), (1, 2, 2, 1, 1), (3, 4, 2, 2, 3)],
    mistakes=(
        Mistake(
            _work_with(flop=lambda N, H, W, C, O: work(N, H, W, C, O)[0] // 2),
            "The bytes are right, the FLOP are half: a multiplication and an addition are two operations.",
        ),
        Mistake(
            _work_with(flop=lambda N, H, W, C, O: work(N, H, W, C, O)[0] * 4),
            "The bytes are right, the FLOP are four times too many: 16 taps were counted for every *input* pixel. It is"
            " every *output* pixel that sees 16, and there are a quarter as many.",
        ),
        Mistake(
            lambda N, H, W, C, O: (
                4 * work(N, H, W, C, O)[0],
                work(N, H, W, C, O)[1] + 4 * (N * H * W * O - N * (H // 2) * (W // 2) * O),
            ),
            "y is taken to be as high and as wide as x. With stride 2 it has half the height and half the width.",
        ),
        Mistake(
            _work_with(flop=lambda N, H, W, C, O: work(N, H, W, C, O)[0] // 4),
            "The bytes are right, the FLOP are a quarter: the kernel is 4 x 4, that is 16 taps.",
        ),
        Mistake(
            _work_with(flop=lambda N, H, W, C, O: work(N, H, W, C, O)[0] // O),
            "The bytes are right. The FLOP are those of one output channel: there are O.",
        ),
        Mistake(
            _work_with(flop=lambda N, H, W, C, O: work(N, H, W, C, O)[0] // N),
            "The bytes are right. The FLOP are those of one image: there are N.",
        ),
        Mistake(
            _work_with(moved=lambda N, H, W, C, O: work(N, H, W, C, O)[1] // 4),
            "The FLOP are right. These are values, not bytes: a float32 takes 4.",
        ),
        Mistake(
            _work_with(moved=lambda N, H, W, C, O: 2 * work(N, H, W, C, O)[1]),
            "The FLOP are right, the bytes twice too many: a float32 takes 4, not 8.",
        ),
        Mistake(
            _work_with(moved=lambda N, H, W, C, O: work(N, H, W, C, O)[1] - 4 * 16 * C * O),
            "The FLOP are right. The kernel has to be read too: 4*4*C*O values.",
        ),
        Mistake(
            _work_with(moved=lambda N, H, W, C, O: work(N, H, W, C, O)[1] - 4 * N * (H // 2) * (W // 2) * O),
            "The FLOP are right. y is missing: it has to be written.",
        ),
        Mistake(
            _work_with(moved=lambda N, H, W, C, O: work(N, H, W, C, O)[1] - 4 * N * H * W * C),
            "The FLOP are right. x is missing: it has to be read.",
        ),
        Mistake(
            _work_with(moved=lambda N, H, W, C, O: 4 * (N * H * W * (C + O) + 16 * C * O)),
            "The FLOP are right. y is half as high and half as wide as x: a quarter of the pixels.",
        ),
        Mistake(lambda N, H, W, C, O: work(N, H, W, C, O)[::-1], "Both are right, in the wrong order: (flop, bytes)."),
    ),
    hints=(
        "Lesson 7: how many taps does one output pixel see, and how many numbers are multiplied for each of them?",
        "One output pixel and one tap: C*O multiplications and as many additions. There are N * H/2 * W/2 pixels and 16"
        " taps. For the bytes, write down the shapes of x, w and y and multiply each out.",
        "flop = 2 * N * (H//2) * (W//2) * 16 * C * O; bytes = 4 * (x.size + w.size + y.size), y is (N, H//2, W//2, O).",
    ),
    doc="FLOP and bytes of one layer.",
)


# --------------------------------------------------------------------------------------------------------------- blocks
def to_blocks(x: Any, before: int = 1, mode: str = "constant", order: tuple[int, ...] = (2, 4, 5)) -> Any:
    """Blocks of 2 x 2 pixels as one, after padding by one: (N, H, W, C) to (N, H/2+1, W/2+1, 4*C).

    With other arguments than the default it does so wrongly: `before` zeros above and on the left, and the rest of the
    two below and on the right; the padding of another mode; the numbers of a block in another order.
    """
    xp = xp_of(x)
    N, H, W, C = x.shape
    around = (before, 2 - before)
    big = xp.pad(x, ((0, 0), around, around, (0, 0)), mode=mode)
    blocks = big.reshape(N, H // 2 + 1, 2, W // 2 + 1, 2, C).transpose(0, 1, 3, *order)
    return blocks.reshape(N, H // 2 + 1, W // 2 + 1, 4 * C)


def block_kernel(w: Any) -> Any:
    """The taps sorted as the pixels are: (4, 4, C, O) to (2, 2, 4*C, O)."""
    C, O = w.shape[2:]
    return w.reshape(2, 2, 2, 2, C, O).transpose(0, 2, 1, 3, 4, 5).reshape(2, 2, 4 * C, O)


def _reshaped_only(x: Any) -> Any:
    N, H, W, C = x.shape
    big = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return big.reshape(N, H // 2 + 1, W // 2 + 1, 4 * C)


def _not_padded(x: Any) -> Any:
    N, H, W, C = x.shape
    blocks = x.reshape(N, H // 2, 2, W // 2, 2, C).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(N, H // 2, W // 2, 4 * C)


_BLOCKS = Exercise(
    name="to_blocks",
    lesson=14,
    reference=to_blocks,
    cases=lambda rng: [(rng.standard_normal(shape),) for shape in ((1, 2, 4, 1), (2, 4, 2, 3), (3, 6, 4, 2))],
    mistakes=(
        Mistake(
            _reshaped_only,
            "A reshape alone keeps the numbers in their order in memory, row after row. A block has two pixels of one"
            " row and two of the next: the axes have to be exchanged (transpose) before the last reshape.",
        ),
        Mistake(_not_padded, "The padding is missing: one zero on every side, so there is one block more each way."),
        Mistake(
            lambda x: to_blocks(x, order=(4, 2, 5)),
            "Inside a block, rows and columns are exchanged: (1, 0) before (0, 1).",
        ),
        Mistake(
            lambda x: to_blocks(x, order=(5, 2, 4)),
            "Inside a block, the channels come first and the pixels after them: pixel by pixel is wanted.",
        ),
        Mistake(
            lambda x: to_blocks(x, order=(2, 5, 4)),
            "Inside a block, the channels stand between the two pixel numbers: pixel by pixel is wanted, C "
            "channels each.",
        ),
        Mistake(
            lambda x: to_blocks(x, mode="reflect"), "The padding mirrors the image: outside the image there are zeros."
        ),
        Mistake(
            lambda x: to_blocks(x).reshape(*to_blocks(x).shape[:3], 4, -1)[:, :, :, ::-1].reshape(to_blocks(x).shape),
            "Inside a block, the pixels are in the reverse order: (0, 0) comes first.",
        ),
        Mistake(lambda x: to_blocks(x, before=0), "Both zeros are below and on the right: one belongs on each side."),
        Mistake(lambda x: to_blocks(x, before=2), "Both zeros are above and on the left: one belongs on each side."),
        Mistake(
            lambda x: to_blocks(x, mode="edge"), "The padding repeats the edge: outside the image there are zeros."
        ),
    ),
    hints=(
        "Pad first. Then every axis of the image splits into two: which block, and which place in it.",
        "X.reshape(N, H//2+1, 2, W//2+1, 2, C) splits both axes. Bring the two places (axes 2 and 4) behind the two"
        " block numbers (axes 1 and 3), before C.",
        "X.reshape(N, H//2+1, 2, W//2+1, 2, C).transpose(0, 1, 3, 2, 4, 5).reshape(N, H//2+1, W//2+1, 4*C)",
    ),
    doc="Blocks of 2 x 2 pixels as one pixel.",
)


# ------------------------------------------------------------------------------------------------ one product for loops
def conv2x2(x: Any, w: Any) -> Any:
    """Convolution with a kernel of 2 x 2 and stride 1, no padding: (N, H, W, C) to (N, H-1, W-1, O), in a product."""
    N, H, W, C = x.shape
    O = w.shape[3]
    patches = xp_of(x).empty((N, H - 1, W - 1, 2, 2, C), x.dtype)
    for p in range(2):
        for q in range(2):
            patches[:, :, :, p, q] = x[:, p : p + H - 1, q : q + W - 1]
    return (patches.reshape(-1, 4 * C) @ w.reshape(4 * C, O)).reshape(N, H - 1, W - 1, O)


def _channels_outside(x: Any, w: Any) -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(1, 2))  # (N, H-1, W-1, C, 2, 2)
    return (windows.reshape(-1, w[..., 0].size) @ w.reshape(-1, w.shape[3])).reshape(*windows.shape[:3], -1)


def _conv2x2_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    sizes = ((1, 2, 3, 2, 3), (2, 5, 4, 3, 1), (3, 3, 6, 1, 2), (1, 2, 2, 1, 1))
    normal = rng.standard_normal
    return [(normal((N, H, W, C)), normal((2, 2, C, O))) for N, H, W, C, O in sizes]


_CONV2X2 = Exercise(
    name="conv2x2",
    lesson=14,
    reference=conv2x2,
    cases=_conv2x2_cases,
    mistakes=(
        Mistake(
            _channels_outside,
            "The columns of the patch matrix and the rows of the kernel are in different orders: w is (p, q, channel),"
            " your patches are (channel, p, q), which is how sliding_window_view returns them. Move the channel axis to"
            " the end before you reshape.",
        ),
        Mistake(
            lambda x, w: conv2x2(x, w.transpose(1, 0, 2, 3)),
            "p and q are exchanged: p counts rows, in the image and in the kernel.",
        ),
        Mistake(
            lambda x, w: conv2x2(x, w[::-1, ::-1]),
            "The kernel is upside down. Tap (p, q) meets the pixel p below and q right of the window's corner.",
        ),
        Mistake(
            lambda x, w: conv2x2(x, np.broadcast_to(w[:1, :1], w.shape)),
            "All four taps use w[0, 0].",
        ),
        Mistake(
            lambda x, w: x[:, :-1, :-1] @ w.sum(axis=(0, 1)),
            "All four taps meet the same pixel. Tap (p, q) meets the one p below and q to the right.",
        ),
        Mistake(lambda x, w: conv2x2(x, w) / 4, "A mean over the taps. Asked for is their sum."),
        Mistake(lambda x, w: 4 * conv2x2(x, w), "Four times the right result: is the sum over the taps made twice?"),
        Mistake(
            lambda x, w: conv2x2(x, w.reshape(w.shape[3], -1).T.reshape(w.shape)),
            "The kernel's matrix is turned over by a reshape and .T. w.reshape(4*C, O) is right as it is.",
        ),
        Mistake(
            lambda x, w: x[:, :-1, :-1] @ w[0, 0],
            "Only the first tap arrives: the other three are missing.",
        ),
        Mistake(
            lambda x, w: x[:, 1:, 1:] @ w[1, 1],
            "Only the last tap arrives: the three before it are overwritten or lost.",
        ),
    ),
    hints=(
        "How many rows does the patch matrix have, and how many columns? Make it first, of zeros, and look at"
        " its shape.",
        "Make patches of shape (N, H-1, W-1, 2, 2, C). The pixels that tap (p, q) meets are a shifted copy of the whole"
        " image: one slice for each of the four taps.",
        "patches[:, :, :, p, q] = x[:, p : p+H-1, q : q+W-1] for the four (p, q); then reshape to (-1, 4*C),"
        " multiply by"
        " w.reshape(4*C, O), and reshape to the image's shape.",
    ),
    doc="A convolution of 2 x 2 as one matrix product.",
)


# ------------------------------------------------------------------------------------------------------ the phase split
def phase_kernels(w: Any) -> Any:
    """The four kernels of 2 x 2 in one of 4 x 4: (4, 4, O, C) to (2, 2, 2, 2, C, O), for a, b, p, q."""
    k = w.transpose(0, 1, 3, 2)  # (4, 4, C, O)
    xp = xp_of(w)
    return xp.stack([xp.stack([k[3 - a :: -2, 3 - b :: -2] for b in range(2)]) for a in range(2)])


def upsample(x: Any, kernels: Any, conv: Callable[[Any, Any], Any] = conv2x2) -> Any:
    """Transposed convolution with K = 4, S = 2, P = 1 as four convolutions: (N, H, W, C) to (N, 2H, 2W, O)."""
    return _upsample(x, kernels, conv)


def _upsample(
    x: Any,
    kernels: Any,
    conv: Callable[[Any, Any], Any] = conv2x2,
    start: Callable[[int], int] = lambda a: a,
    blocks: bool = False,
    exchange: bool = False,
    mode: str = "constant",
) -> Any:
    """The phases put together; with other arguments than the default, put together wrongly."""
    N, H, W, _ = x.shape
    xp = xp_of(x)
    big = xp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode=mode)  # (N, H+2, W+2, C)
    y = xp.zeros((N, 2 * H, 2 * W, kernels.shape[-1]), x.dtype)
    for a, b in product(range(2), range(2)):
        r, s = start(a), start(b)
        part = conv(big[:, r : r + H + 1, s : s + W + 1], kernels[a, b])  # (N, H, W, O)
        if blocks:
            y[:, a * H : a * H + H, b * W : b * W + W] = part
        elif exchange:
            y[:, b::2, a::2] = part
        else:
            y[:, a::2, b::2] = part
    return y


def transposed_loops(x: Any, w: Any) -> Any:
    """Lesson 9's definition: every input pixel stamps the kernel, weighted, onto the output; one pixel is cropped."""
    N, H, W, _ = x.shape
    y = np.zeros((N, S * H + 2, S * W + 2, w.shape[2]), x.dtype)
    for i in range(H):
        for j in range(W):
            for p in range(K):
                for q in range(K):
                    y[:, S * i + p, S * j + q] += x[:, i, j] @ w[p, q].T  # (N, C) @ (C, O)
    return y[:, 1:-1, 1:-1]


def _kernel_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.standard_normal((4, 4, O, C)),) for O, C in ((3, 5), (2, 1), (1, 4))]


_PHASE_KERNELS = Exercise(
    name="phase_kernels",
    lesson=14,
    reference=phase_kernels,
    cases=_kernel_cases,
    mistakes=(
        Mistake(
            lambda w: phase_kernels(w)[:, :, ::-1, ::-1],
            "The right taps are together, but in the wrong order. The first tap of a phase meets the upper pixel of the"
            " window, and that is the one which stamped *farther down*: tap 3 before tap 1, tap 2 before tap 0.",
        ),
        Mistake(
            lambda w: phase_kernels(w)[::-1, ::-1],
            "Even and odd are exchanged: with one pixel cropped, even outputs see the odd taps 3 and 1.",
        ),
        Mistake(
            lambda w: phase_kernels(w)[::-1, ::-1, ::-1, ::-1],
            "These are w[a::2, b::2]. With one pixel cropped, even outputs see the *odd* taps; and the upper"
            " pixel meets"
            " the later tap.",
        ),
        Mistake(
            lambda w: phase_kernels(w)[:, :, :, ::-1],
            "Along the columns the taps are in the wrong order: 3 before 1, and 2 before 0, as along the rows.",
        ),
        Mistake(
            lambda w: phase_kernels(w)[:, :, ::-1],
            "Along the rows the taps are in the wrong order: 3 before 1, and 2 before 0, as along the columns.",
        ),
        Mistake(
            lambda w: w.transpose(0, 1, 3, 2).reshape(2, 2, 2, 2, w.shape[3], w.shape[2]).transpose(0, 2, 1, 3, 4, 5),
            "These are the four quarters of the kernel. A phase takes every second tap: 3 and 1, or 2 and 0.",
        ),
        Mistake(
            lambda w: phase_kernels(w.reshape(4, 4, w.shape[3], w.shape[2]).transpose(0, 1, 3, 2)),
            "The two channel axes are exchanged by a reshape, which mixes up their numbers: transpose(0, 1, 3, 2).",
        ),
        Mistake(
            lambda w: phase_kernels(w).transpose(1, 0, 2, 3, 4, 5),
            "a and b are exchanged: a is the phase of the rows.",
        ),
        Mistake(
            lambda w: phase_kernels(w).transpose(0, 1, 3, 2, 4, 5),
            "p and q are exchanged inside each small kernel: p counts rows.",
        ),
    ),
    hints=(
        "Look at the arrows of the derivation: which two taps does an even output row see, and which of them meets the"
        " upper pixel?",
        "Along one axis: phase 0 takes taps 3, 1 and phase 1 takes taps 2, 0, in this order. Both are slices with step"
        " -2. Do not forget that w is (4, 4, O, C) and the small kernels are (2, 2, C, O).",
        "kernels[a, b] = w[3-a::-2, 3-b::-2].transpose(0, 1, 3, 2)",
    ),
    doc="One kernel of 4 x 4 as four of 2 x 2.",
)


def _upsample_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    normal = rng.standard_normal
    sizes = ((1, 2, 3, 2, 3), (2, 3, 2, 1, 2), (3, 4, 1, 3, 1), (1, 1, 1, 1, 1))
    return [(normal((N, H, W, C)), phase_kernels(normal((4, 4, O, C)))) for N, H, W, C, O in sizes]


_UPSAMPLE = Exercise(
    name="upsample",
    lesson=14,
    reference=upsample,
    cases=_upsample_cases,
    mistakes=(
        Mistake(
            lambda x, k: _upsample(x, k, start=lambda a: 0),
            "The windows of all phases begin at the same place. Those of the odd phase begin one pixel later: at a.",
        ),
        Mistake(
            lambda x, k: _upsample(x, k, start=lambda a: 1 - a),
            "The windows of even and odd phase are exchanged: phase a begins at padded pixel a.",
        ),
        Mistake(
            lambda x, k: _upsample(x, k, blocks=True),
            "The four phases lie side by side as quarters of the image. They belong between one another:"
            " y[:, a::2, b::2].",
        ),
        Mistake(
            lambda x, k: _upsample(x, k, exchange=True),
            "a and b are exchanged where the parts are put together: a is the phase of the rows.",
        ),
        Mistake(
            lambda x, k: _upsample(x, k, mode="edge"),
            "Right inside, wrong at the border: outside the image there are zeros, not copies of its edge.",
        ),
        Mistake(
            lambda x, k: _upsample(x, k.swapaxes(0, 1)),
            "a and b of the kernels are exchanged: part (a, b) needs kernels[a, b].",
        ),
        Mistake(
            lambda x, k: _upsample(x, k.swapaxes(0, 1), exchange=True),
            "a and b of the windows are exchanged: rows begin at padded pixel a, columns at b.",
        ),
        Mistake(lambda x, k: _upsample(x, 0 * k + k[:1, :1]), "All four phases use kernels[0, 0]."),
        Mistake(
            lambda x, k: (
                _upsample(x, k)
                .reshape(len(x), -1, 2, 2 * x.shape[2], k.shape[-1])[:, :, ::-1]
                .reshape(len(x), 2 * x.shape[1], -1, 2, k.shape[-1])[:, :, :, ::-1]
                .reshape(len(x), 2 * x.shape[1], 2 * x.shape[2], -1)
            ),
            "Even and odd are exchanged where the parts are put together: phase a belongs to y[:, a::2].",
        ),
        Mistake(
            lambda x, k: _upsample(x, k[::-1, ::-1]),
            "Each phase is convolved with another phase's kernel: part (a, b) needs kernels[a, b].",
        ),
    ),
    hints=(
        "Put one ring of zeros around x first. Then each phase is one call of conv on a part of that image.",
        "H outputs from a kernel of 2 need H + 1 pixels. Those of phase a begin at padded pixel a.",
        "y[:, a::2, b::2] = conv(big[:, a : a+H+1, b : b+W+1], kernels[a, b])",
    ),
    doc="A transposed convolution as four convolutions.",
)


# --------------------------------------------------------------------------------------------------- Winograd's F(2,2)
def winograd_1d(d: Any, g: Any) -> Any:
    """Two outputs of a filter of two taps, from three inputs and three products."""
    m0 = (d[0] - d[1]) * g[0]
    m1 = d[1] * (g[0] + g[1])
    m2 = (d[2] - d[1]) * g[1]
    return np.stack([m0 + m1, m1 + m2])


def winograd_2d(d: Any, g: Any) -> Any:
    """2 x 2 outputs of a 2 x 2 filter, from 3 x 3 inputs and nine products: the same formula, of rows."""
    m0 = winograd_1d(d[0] - d[1], g[0])
    m1 = winograd_1d(d[1], g[0] + g[1])
    m2 = winograd_1d(d[2] - d[1], g[1])
    return np.stack([m0 + m1, m1 + m2])


class Counted:
    """A number that counts how often numbers of its kind are multiplied by one another.

    Multiplying by a constant is not counted: transforms are free to use 1, -1 and 0.
    """

    made = 0

    def __init__(self, value: float) -> None:
        self.value = value

    def __add__(self, other: Any) -> Counted:
        return Counted(self.value + float(other))

    __radd__ = __add__

    def __neg__(self) -> Counted:
        return Counted(-self.value)

    def __sub__(self, other: Any) -> Counted:
        return Counted(self.value - float(other))

    def __rsub__(self, other: Any) -> Counted:
        return Counted(float(other) - self.value)

    def __mul__(self, other: Any) -> Counted:
        if isinstance(other, Counted):
            Counted.made += 1
        return Counted(self.value * float(other))

    __rmul__ = __mul__

    def __float__(self) -> float:
        return float(self.value)


def _counted(a: Any) -> Any:
    out = np.empty(np.shape(a), object)
    for place in np.ndindex(out.shape):
        out[place] = Counted(float(a[place]))
    return out


def _f22(
    before: Callable[[Any], tuple[Any, Any, Any]] = lambda d: (d[0] - d[1], d[1], d[2] - d[1]),
    taps: Callable[[Any], tuple[Any, Any, Any]] = lambda g: (g[0], g[0] + g[1], g[1]),
    after: Callable[[Any, Any, Any], tuple[Any, Any]] = lambda m0, m1, m2: (m0 + m1, m1 + m2),
) -> Callable[[Any, Any], Any]:
    """F(2,2) with one of its three steps replaced by a wrong one; in two dimensions, for the rows only."""

    def made(d: Any, g: Any) -> Any:
        times = np.multiply if d.ndim == 1 else winograd_1d
        return np.stack(after(*(times(a, b) for a, b in zip(before(d), taps(g), strict=True))))

    return made


_TILE_MISTAKES: tuple[tuple[Callable[[Any, Any], Any], str], ...] = (
    (
        _f22(after=lambda m0, m1, m2: (m0 + m1, m1 - m2)),
        "The sign of m2 does not fit: with d2 - d1 it is added, with d1 - d2 subtracted.",
    ),
    (
        _f22(after=lambda m0, m1, m2: (m0 + m1, m2)),
        "m1 belongs into both outputs: that is what saves the fourth product.",
    ),
    (
        _f22(after=lambda m0, m1, m2: (m0, m1 + m2)),
        "m1 belongs into both outputs: that is what saves the fourth product.",
    ),
    (_f22(after=lambda m0, m1, m2: (m1 + m2, m0 + m1)), "The two outputs are exchanged: y0 = m0 + m1 comes first."),
    (_f22(after=lambda m0, m1, m2: (m0 - m1, m1 + m2)), "In y0, m1 is subtracted. It is added: y0 = m0 + m1."),
    (
        _f22(before=lambda d: (d[1] - d[0], d[1], d[2] - d[1])),
        "The sign of m0 does not fit: with d0 - d1 it is added, with d1 - d0 subtracted.",
    ),
    (
        _f22(before=lambda d: (d[0] - d[1], d[0], d[2] - d[1])),
        "m1 is made of d0. It is made of d1, which meets both taps.",
    ),
    (
        _f22(before=lambda d: (d[0] - d[1], d[2], d[2] - d[1])),
        "m1 is made of d2. It is made of d1, which meets both taps.",
    ),
    (_f22(taps=lambda g: (g[0], g[0] - g[1], g[1])), "The middle product takes the *sum* of the taps."),
    (_f22(taps=lambda g: (g[1], g[0] + g[1], g[0])), "The taps are exchanged: y0 = d0*g0 + d1*g1."),
    (_f22(taps=lambda g: (g[1], g[0] + g[1], g[1])), "m0 takes the wrong tap: it is (d0 - d1) * g0."),
    (_f22(taps=lambda g: (g[0], g[0] + g[1], g[0])), "m2 takes the wrong tap: it is (d2 - d1) * g1."),
)


def _of_two_dimensions(
    mistakes: tuple[tuple[Callable[[Any, Any], Any], str], ...],
) -> tuple[tuple[Callable[[Any, Any], Any], str], ...]:
    return (
        (lambda d, g: winograd_2d(d, g).T, "Rows and columns of the result are exchanged."),
        (lambda d, g: winograd_2d(d, g.T), "g is used with rows and columns exchanged."),
        (lambda d, g: winograd_2d(d.T, g), "d is used with rows and columns exchanged."),
        (lambda d, g: winograd_2d(d, g[::-1, ::-1]), "The taps are upside down: tap (0, 0) meets d[0, 0]."),
        *mistakes,
    )


def _judge_tile(
    side: tuple[int, ...], most: int, naive: int, mistakes: tuple[tuple[Callable[[Any, Any], Any], str], ...]
) -> Callable[..., Verdict]:
    """A judge for `winograd_1d` and `winograd_2d`: the values first, then the number of multiplications."""
    taps, outputs = tuple(2 for _ in side), tuple(2 for _ in side)

    def right(d: Any, g: Any) -> Any:
        y = np.zeros(outputs)
        for place in np.ndindex(outputs):
            for tap in np.ndindex(taps):
                y[place] += d[tuple(np.add(place, tap))] * g[tap]
        return y

    def judge(function: Callable[[Any, Any], Any]) -> Verdict:
        rng = np.random.default_rng(14)
        by_hand = (np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0])) if len(side) == 1 else None
        cases = [by_hand] if by_hand else []
        cases += [
            (rng.integers(-9, 10, side).astype(float), rng.integers(-9, 10, taps).astype(float)) for _ in range(4)
        ]
        found = []
        for d, g in cases:
            y = function(d.copy(), g.copy())
            y = y if isinstance(y, np.ndarray) else as_array(y)
            if y is None or y.shape != outputs:
                return Verdict.wrong(
                    f"the result must be an array of shape {outputs}, got "
                    + ("something else" if y is None else f"one of shape {y.shape}"),
                    "Return one array of the outputs: np.array([y0, y1])."
                    if len(side) == 1
                    else "Two rows of two outputs; np.stack puts two rows into one array.",
                )
            values = numbers(y)
            if values is None:
                return Verdict.wrong("the result must be numbers", f"yours has dtype {y.dtype}")
            found.append(values)
        wrong = [k for k, (d, g) in enumerate(cases) if not np.allclose(found[k], right(d, g))]
        if wrong:
            d, g = cases[wrong[0]]
            known = [([mistake(d, g) for d, g in cases], why) for mistake, why in mistakes]
            return Verdict.wrong(
                "the outputs are wrong",
                f"for d = {d.tolist()} and g = {g.tolist()} yours is {found[wrong[0]].tolist()},"
                f" expected {right(d, g).tolist()}",
                cause=explanation(found, known),
            )
        Counted.made = 0
        try:
            function(_counted(cases[0][0]), _counted(cases[0][1]))
        except TypeError as error:
            return Verdict.wrong(
                "the values are right, but the multiplications could not be counted",
                f"Use only +, - and * (or @ with matrices of 0, 1 and -1) on d and g: {error}",
            )
        if Counted.made > most:
            told = (
                "this is the definition, with four. Which two of its products can become one?"
                if Counted.made == naive and len(side) == 1
                else ""
            )
            return Verdict.wrong(
                f"the values are right, with {Counted.made} multiplications; {most} are enough",
                "Every product of something made of d with something made of g counts.",
                cause=told,
            )
        if Counted.made < most:
            return Verdict.wrong(
                f"the values are right, but only {Counted.made} multiplications were seen, and fewer than {most}"
                " cannot do",
                cause="Was d or g turned into plain numbers (float, astype) before the products?",
            )
        return Verdict.ok(f"{most} multiplications instead of {naive}")

    return judge


_WINOGRAD_1D = Exercise(
    name="winograd_1d",
    lesson=14,
    judge=_judge_tile((3,), 3, 4, _TILE_MISTAKES),
    hints=(
        "One of the four products of the definition is not needed. d1 is the input that both outputs see: let"
        " both of its"
        " meetings be one product.",
        "m1 = d1 * (g0 + g1) goes into both outputs. What must be added to it for y0 = d0*g0 + d1*g1?",
        "y0 - m1 = (d0 - d1) * g0, and y1 - m1 = (d2 - d1) * g1.",
    ),
    doc="Two outputs from three products.",
)

_WINOGRAD_2D = Exercise(
    name="winograd_2d",
    lesson=14,
    judge=_judge_tile((3, 3), 9, 16, _of_two_dimensions(_TILE_MISTAKES)),
    hints=(
        "Read winograd_1d again with d0, d1, d2 as *rows* of the tile and g0, g1 as rows of taps. What does a"
        " product of a"
        " row of three inputs with a row of two taps give?",
        "Each of the three products becomes a call of winograd_1d with two rows; sums and differences are of"
        " whole rows.",
        "m1 = winograd_1d(d[1], g[0] + g[1]), and likewise m0 and m2; the rows of the result are m0 + m1 and m1 + m2.",
    ),
    doc="2 x 2 outputs from nine products.",
)


def kernel_tiles(w: Any, middle: Callable[[Any, Any], Any] = lambda g0, g1: g0 + g1) -> Any:
    """U: the taps as the nine products need them, (2, 2, C, O) to (3, 3, C, O)."""
    xp = xp_of(w)
    rows = xp.stack([w[0], middle(w[0], w[1]), w[1]])  # (3, 2, C, O)
    return xp.stack([rows[:, 0], middle(rows[:, 0], rows[:, 1]), rows[:, 1]], axis=1)


def _two_kinds(w: Any, of_rows: Callable[[Any, Any], Any], of_columns: Callable[[Any, Any], Any]) -> Any:
    rows = np.stack([w[0], of_rows(w[0], w[1]), w[1]])
    return np.stack([rows[:, 0], of_columns(rows[:, 0], rows[:, 1]), rows[:, 1]], axis=1)


_Three = Callable[[Any, Any, Any], tuple[Any, Any, Any]]


def _as_it_is(d0: Any, d1: Any, d2: Any) -> tuple[Any, Any, Any]:
    return d0 - d1, d1, d2 - d1


def _tiles_by(rows: _Three = _as_it_is, columns: _Three = _as_it_is) -> Callable[[Any], Any]:
    """V by other combinations of a tile's rows, or of its columns."""

    def made(x: Any) -> Any:
        by_rows = rows(x[:, :-1:2], x[:, 1::2], x[:, 2::2])
        return np.stack([np.stack(columns(r[:, :, :-1:2], r[:, :, 1::2], r[:, :, 2::2])) for r in by_rows])

    return made


def _both(three: _Three) -> Callable[[Any], Any]:
    return _tiles_by(three, three)


def input_tiles(x: Any, last: int = 1) -> Any:
    """V: the inputs as the nine products need them, (N, 2*Th+1, 2*Tw+1, C) to (3, 3, N, Th, Tw, C)."""
    xp = xp_of(x)
    N, H, W, C = x.shape
    V = xp.empty((3, 3, N, H // 2, W // 2, C), x.dtype)
    d0, d1, d2 = x[:, :-1:2], x[:, 1::2], x[:, 2::2]
    for r, row in enumerate((d0 - d1, d1, last * (d2 - d1))):
        left, middle, right = row[:, :, :-1:2], row[:, :, 1::2], row[:, :, 2::2]
        xp.subtract(left, middle, out=V[r, 0])
        V[r, 1] = middle
        V[r, 2] = last * (right - middle)
    return V


def winograd(x: Any, U: Any) -> Any:
    """What `conv2x2` computes, for outputs of even size and with prepared taps: (N, H, W, C) to (N, H-1, W-1, O)."""
    return _winograd(x, U)


def _winograd(x: Any, U: Any, shared: bool = True, blocks: bool = False, sign: int = 1) -> Any:
    V = input_tiles(x)
    _, _, N, Th, Tw, C = V.shape
    O = U.shape[-1]
    M = (V.reshape(9, -1, C) @ U.reshape(9, C, O)).reshape(3, 3, N, Th, Tw, O)
    y = xp_of(x).empty((N, 2 * Th, 2 * Tw, O), x.dtype)
    keep = 1 if shared else 0
    rows = M[0] + M[1], keep * M[1] + sign * M[2]
    for i, row in enumerate(rows):
        for j, part in enumerate((row[0] + row[1], keep * row[1] + sign * row[2])):
            if blocks:
                y[:, i * Th : i * Th + Th, j * Tw : j * Tw + Tw] = part
            else:
                y[:, i::2, j::2] = part
    return y


_KERNEL_TILES = Exercise(
    name="kernel_tiles",
    lesson=14,
    reference=kernel_tiles,
    cases=lambda rng: [(rng.standard_normal((2, 2, C, O)),) for C, O in ((2, 3), (4, 1), (1, 1))],
    mistakes=(
        Mistake(
            lambda w: kernel_tiles(w).transpose(1, 0, 2, 3),
            "Rows and columns are exchanged: U[r, s] has r for rows (p), s for columns (q).",
        ),
        Mistake(
            lambda w: kernel_tiles(w, lambda g0, g1: (g0 + g1) / 2),
            "Halved: that is the middle of F(2,3), for filters of three taps. Here it is plainly g0 + g1.",
        ),
        Mistake(
            lambda w: kernel_tiles(w, lambda g0, g1: g0 - g1),
            "The middle is the *sum* g0 + g1.",
        ),
        Mistake(
            lambda w: kernel_tiles(w)[[0, 2, 1]][:, [0, 2, 1]],
            "The order is g0, g0 + g1, g1: the sum is in the middle.",
        ),
        Mistake(
            lambda w: kernel_tiles(w)[[1, 0, 2]][:, [1, 0, 2]],
            "The order is g0, g0 + g1, g1: the sum is in the middle.",
        ),
        Mistake(
            lambda w: kernel_tiles(w)[::-1, ::-1],
            "The order is turned: g0, g0 + g1, g1, with the upper row and the left column first.",
        ),
        Mistake(
            lambda w: _two_kinds(w, lambda g0, g1: g0 + g1, lambda g0, g1: g0 - g1),
            "Along the columns, the middle is the *sum* g0 + g1, too.",
        ),
        Mistake(
            lambda w: _two_kinds(w, lambda g0, g1: g0 + g1, lambda g0, g1: (g0 + g1) / 2),
            "Along the columns, the middle is halved. It is plainly g0 + g1.",
        ),
        Mistake(
            lambda w: _two_kinds(w, lambda g0, g1: (g0 + g1) / 2, lambda g0, g1: g0 + g1),
            "Along the rows, the middle is halved. It is plainly g0 + g1.",
        ),
    ),
    hints=(
        "Along one axis, two taps g0, g1 become three: g0, g0 + g1, g1. Do it for the rows, then for the columns.",
        "np.stack([w[0], w[0] + w[1], w[1]]) has shape (3, 2, C, O). Now the same along the axis of length 2.",
        "np.stack([rows[:, 0], rows[:, 0] + rows[:, 1], rows[:, 1]], axis=1)",
    ),
    doc="The transform of the kernel.",
)


def _tile_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.standard_normal(shape),) for shape in ((1, 3, 5, 2), (2, 7, 3, 1), (3, 5, 5, 4), (1, 3, 3, 1))]


_INPUT_TILES = Exercise(
    name="input_tiles",
    lesson=14,
    reference=input_tiles,
    cases=_tile_cases,
    mistakes=(
        Mistake(
            lambda x: input_tiles(x, last=-1),
            "The last of the three has the wrong sign: it is d2 - d1 (if you prefer d1 - d2, the outputs must"
            " subtract m2,"
            " and the checker cannot know).",
        ),
        *(
            Mistake(change(three), f"{where}{why}")
            for three, why in (
                (lambda a, b, c: (b - a, b, c - b), "the first of the three has the wrong sign: it is d0 - d1."),
                (lambda a, b, c: (a + b, b, c + b), "differences are wanted, not sums: d0 - d1 and d2 - d1."),
                (lambda a, b, c: (a - b, b, c - a), "the last of the three is d2 - d1, and not d2 - d0."),
                (lambda a, b, c: (a - b, 2 * b, c - b), "the middle is d1 itself, not twice d1."),
                (lambda a, b, c: (a, b, c - b), "the first of the three is d0 - d1, and not d0."),
                (lambda a, b, c: (a - b, b, c), "the last of the three is d2 - d1, and not d2."),
                (lambda a, b, c: (a, b, c), "the rows are only cut out; d0 - d1, d1, d2 - d1 are wanted."),
                (lambda a, b, c: (a - a, a, c - a), "d1 begins one place later than d0: it is x[:, 1::2]."),
            )
            for change, where in (
                (_both, "Along rows and columns, "),
                (lambda three: _tiles_by(rows=three), "Along the rows, "),
                (lambda three: _tiles_by(columns=three), "Along the columns, "),
            )
        ),
        Mistake(
            _tiles_by(rows=lambda a, b, c: (a - b, b, b - c)),
            "Along the rows, the last of the three has the wrong sign: it is d2 - d1.",
        ),
        Mistake(
            _tiles_by(columns=lambda a, b, c: (a - b, b, b - c)),
            "Along the columns, the last of the three has the wrong sign: it is d2 - d1.",
        ),
        Mistake(
            lambda x: input_tiles(x).transpose(1, 0, 2, 3, 4, 5),
            "Rows and columns are exchanged: V[r, s] has r for rows, s for columns.",
        ),
        Mistake(
            lambda x: input_tiles(x[:, ::-1])[:, :, :, ::-1],
            "The tiles are upside down: d0 is the upper row.",
        ),
    ),
    hints=(
        "A tile needs three rows; the next tile begins two rows later. So which rows of x are the d0 of all tiles?",
        "d0, d1, d2 are x[:, :-1:2], x[:, 1::2], x[:, 2::2]. Make the three row combinations first, then do the"
        " same to the"
        " columns of each.",
        "for r, row in enumerate((d0 - d1, d1, d2 - d1)): take row[:, :, :-1:2], row[:, :, 1::2], row[:, :, 2::2] and"
        " combine them the same way into V[r, 0], V[r, 1] and V[r, 2].",
    ),
    doc="The transform of the input.",
)


def _sums_by(
    rows: Callable[[Any, Any, Any], tuple[Any, Any]], columns: Callable[[Any, Any, Any], tuple[Any, Any]]
) -> Callable[[Any, Any], Any]:
    """The convolution with other sums of the nine products."""

    def made(x: Any, U: Any) -> Any:
        V = input_tiles(x)
        _, _, N, Th, Tw, C = V.shape
        M = (V.reshape(9, -1, C) @ U.reshape(9, C, -1)).reshape(3, 3, N, Th, Tw, -1)
        y = np.empty((N, 2 * Th, 2 * Tw, U.shape[-1]), x.dtype)
        for i, row in enumerate(rows(*M)):
            for j, part in enumerate(columns(*row)):
                y[:, i::2, j::2] = part
        return y

    return made


def _turned_outputs(x: Any, U: Any) -> Any:
    y = _winograd(x, U)
    turned = y.copy()
    turned[:, 0::2, 1::2], turned[:, 1::2, 0::2] = y[:, 1::2, 0::2], y[:, 0::2, 1::2]
    return turned


def _winograd_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    normal = rng.standard_normal
    sizes = ((1, 3, 5, 2, 3), (2, 7, 3, 1, 2), (3, 5, 5, 4, 1), (1, 3, 3, 1, 1))
    return [(normal((N, H, W, C)), kernel_tiles(normal((2, 2, C, O)))) for N, H, W, C, O in sizes]


_WINOGRAD = Exercise(
    name="winograd",
    lesson=14,
    reference=winograd,
    cases=_winograd_cases,
    mistakes=(
        Mistake(
            lambda x, U: _winograd(x, U, shared=False),
            "m1 is missing from the second output of each pair: y1 = m1 + m2.",
        ),
        Mistake(
            lambda x, U: _winograd(x, U, sign=-1),
            "m2 is subtracted: with d2 - d1 in V it is added, y1 = m1 + m2.",
        ),
        Mistake(
            lambda x, U: _winograd(x, U, blocks=True),
            "The outputs lie in four blocks. The two outputs of a tile are neighbours: y[:, i::2, j::2].",
        ),
        *(
            Mistake(_sums_by(rows, columns), why)
            for rows, columns, why in (
                (
                    lambda m0, m1, m2: (m0 + m1, m1 + m2),
                    lambda m0, m1, m2: (m0, m1),
                    "Along the columns nothing is added: both outputs are sums of two, as along the rows.",
                ),
                (
                    lambda m0, m1, m2: (m0 + m1, 2 * m1),
                    lambda m0, m1, m2: (m0 + m1, m1 + m2),
                    "m2 is missing from the second row of outputs: y1 = m1 + m2.",
                ),
                (
                    lambda m0, m1, m2: (m0 + m1 + m2,) * 2,
                    lambda m0, m1, m2: (m0 + m1, m1 + m2),
                    "Along the rows all three are added. y0 = m0 + m1, and y1 = m1 + m2.",
                ),
                (
                    lambda m0, m1, m2: (m1 + m2, m0 + m1),
                    lambda m0, m1, m2: (m1 + m2, m0 + m1),
                    "The two outputs of a tile are exchanged, along rows and columns: m0 + m1 is the first.",
                ),
                (
                    lambda m0, m1, m2: (m0 + m2, 2 * m1),
                    lambda m0, m1, m2: (m0 + m1, m1 + m2),
                    "y0 = m0 + m1 and y1 = m1 + m2; along the rows others are added.",
                ),
            )
        ),
        Mistake(
            _turned_outputs,
            "The outputs of a tile have rows and columns exchanged: i belongs to the rows of y, j to the columns.",
        ),
        Mistake(
            lambda x, U: _winograd(x, U.transpose(1, 0, 2, 3)),
            "Product (r, s) needs V[r, s] and U[r, s]; here one of them is transposed.",
        ),
    ),
    hints=(
        "Nine products: V.reshape(9, -1, C) @ U.reshape(9, C, O) does them all, since @ multiplies the last two axes.",
        "Give M the shape (3, 3, N, Th, Tw, O). Rows first: two combinations of M[0], M[1], M[2]; then columns.",
        "rows = M[0] + M[1], M[1] + M[2]; for each, row[0] + row[1] goes to y[:, i::2, 0::2] and row[1] + row[2] to"
        " y[:, i::2, 1::2].",
    ),
    doc="A convolution of 2 x 2 with 9 products instead of 16.",
)


# --------------------------------------------------------------------------------------------------------- break it
def _lost(d: Any, g: Any) -> Verdict:
    three, two = numbers(d), numbers(g)
    if three is None or two is None or three.size != 3 or two.size != 2:
        return Verdict.wrong("d must be three numbers and g two", f"got d = {d!r}, g = {g!r}")
    d32, g32 = three.reshape(3).astype(np.float32), two.reshape(2).astype(np.float32)
    if not (np.isfinite(d32).all() and np.isfinite(g32).all()):
        return Verdict.wrong(
            "finite numbers, please", "Infinity breaks everything; look for plain large and small numbers."
        )
    with np.errstate(all="ignore"):
        d64, g64 = d32.astype(float), g32.astype(float)
        exact = d64[:2] * g64[0] + d64[1:] * g64[1]
        plain = d32[:2] * g32[0] + d32[1:] * g32[1]
        fast = winograd_1d(d32, g32)
        size = np.abs(exact) + np.finfo(np.float32).tiny
        worst = [float(np.nanmax(np.where(np.isfinite(y), np.abs(y - exact) / size, 1e9))) for y in (plain, fast)]
    told = f"exact {exact.tolist()}, the definition in float32 {plain.tolist()}, F(2,2) in float32 {fast.tolist()}"
    if not np.all(exact):
        return Verdict.wrong("an exact output of 0 has no relative error", told)
    if worst[0] > 1e-5:
        return Verdict.wrong(
            "here the definition itself is inexact", told, cause="Find numbers where only F(2,2) suffers."
        )
    if worst[1] < 0.1:
        return Verdict.wrong(f"F(2,2) is off by {worst[1]:.1e} of the right value; more than 0.1 is wanted", told)
    return Verdict.ok(f"F(2,2) is off by {worst[1]:.0%}, the definition by {worst[0]:.0e}: {told}")


_LOST = Exercise(
    name="lost_digits",
    lesson=14,
    judge=_lost,
    hints=(
        "float32 keeps about 7 digits. Where does F(2,2) subtract a large number that it has added before?",
        "In m0 + m1 the d1*g0 of both must cancel. Make d1 huge, and let nothing huge be in the right result.",
        "d1 is 1e8, d0 about 1, g0 is 1. y0 = d0*g0 + d1*g1 stays small if g1 is tiny.",
    ),
    doc="An input that costs F(2,2) its digits.",
)

CAUSES = {
    1: "the taps of each block are in the wrong order",
    2: "both zeros of the padding are above and on the left",
    3: "the padding repeats the edge instead of zeros",
    4: "m1 is missing from the second output of every pair",
    5: "the pixels of a block are in the order of columns, the taps in that of rows",
    6: "one image of the batch is computed with another one's input",
    7: "nothing: this is float32's rounding",
}
"""What may be wrong with a suspect."""


def _in_blocks(conv: Callable[[Any, Any], Any], **settings: Any) -> Callable[[Any, Any], Any]:
    return lambda x, w: conv(to_blocks(x, **settings), block_kernel(w))


SUSPECTS: dict[str, Callable[[Any, Any], Any]] = {
    "A": _in_blocks(conv2x2, before=2),
    "B": _in_blocks(conv2x2, mode="edge"),
    "C": _in_blocks(lambda d, w: _winograd(d, kernel_tiles(w), shared=False)),
    "D": _in_blocks(lambda d, w: _winograd(d, kernel_tiles(w))),
    "E": _in_blocks(conv2x2, order=(4, 2, 5)),
}
"""Five fast convolutions, K = 4, S = 2, P = 1 (x (N, H, W, C), w (4, 4, C, O)), of which not all are right."""


def hunted() -> tuple[Any, Any]:
    """An image and a kernel on which the suspects are looked at: x (1, 12, 12, 8), w (4, 4, 8, 2)."""
    rng = np.random.default_rng(5)
    return rng.standard_normal((1, 12, 12, 8)).astype(np.float32), rng.standard_normal((4, 4, 8, 2)).astype(np.float32)


_ANSWERS: dict[str, Any] = {"A": 2, "B": 3, "C": 4, "D": 7, "E": (5, 1)}  # no call can tell 5 from 1
_LOOK = {
    "A": "Give it an image with a single 1 in it, and a kernel with a single 1. Where is the 1 in the result?",
    "B": "It is right everywhere but in the outermost ring, and there too if the border of the image is 0.",
    "C": "It is right where row and column are even, and nowhere else. What is special about a pair's second output?",
    "D": "Look at the scale: how large is the largest difference beside y itself?",
    "E": "Give it a kernel with a single 1, at (0, 1) say. Which pixels does it take?",
}


def _answers(right: dict[str, Any], allowed: Collection[Any], look: dict[str, str]) -> Callable[..., Verdict]:
    """A judge for a dictionary of answers, which says how many are right and where to look for one that is not.

    Of a tuple of answers, each is right.
    """

    def fits(answer: Any, one: Any) -> bool:
        return bool(answer in one if isinstance(one, tuple) else answer == one)

    def judge(given: Any) -> Verdict:
        if not isinstance(given, dict) or set(given) != set(right):
            return Verdict.wrong(f"a dictionary with the keys {', '.join(right)} is wanted", f"got {given!r}")
        if all(answer is None for answer in given.values()):
            return Verdict.not_yet()
        for key, answer in given.items():
            if answer is not None and not among(answer, allowed):
                return Verdict.wrong(
                    f"{key}: {answer!r} is none of the answers", f"They are {', '.join(map(str, allowed))}."
                )
        wrong = [key for key, one in right.items() if given[key] is not None and not fits(given[key], one)]
        open_ = [key for key in right if given[key] is None]
        good = len(right) - len(wrong) - len(open_)
        if wrong:
            return Verdict.wrong(f"{good} of {len(right)} right", f"Look again at {wrong[0]}. {look[wrong[0]]}")
        if open_:
            return Verdict.wrong(f"{good} of {len(right)} right, none wrong", f"Still open: {', '.join(open_)}.")
        return Verdict.ok(f"all {len(right)}")

    return judge


_HUNT = Exercise(
    name="slow_and_wrong",
    lesson=14,
    judge=_answers(_ANSWERS, tuple(CAUSES), _LOOK),
    hints=(
        "Where a result is wrong tells more than how much. Look at every second row and column alone.",
        "Two suspects are wrong everywhere, one in every second row and column, one at the border, and one is right but"
        " for rounding.",
        "For A and E: take an image and a kernel with a single 1 each. One result is moved by a pixel; in the other,"
        " taps (0, 1) and (1, 0) have changed places.",
    ),
    doc="Five suspects.",
)

GPU_LINES = {
    "A": "xp = xp_of(x)",
    "B": "patches = np.empty(shape, x.dtype); patches[:, :, :, 0, 0] = x[:, :-1, :-1]",
    "C": "y = patches @ w",
    "D": "if not xp.isfinite(y).all(): raise FloatingPointError",
    "E": "for n in range(len(y)): y[n] *= scale[n]",
    "F": "losses.append(float(loss))",
}
"""Six lines of code that was written for NumPy, given CuPy's arrays."""

GPU_ANSWERS = {
    "fine": "runs on the GPU and returns at once",
    "fails": "raises an exception",
    "waits": "right, but Python stands still until the GPU has finished everything queued so far",
    "crawls": "right, but made of so many small pieces that the GPU is idle most of the time",
}
_GPU = {"A": "fine", "B": "fails", "C": "fine", "D": "waits", "E": "crawls", "F": "waits"}
_GPU_LOOK = {
    "A": "It only asks where an array lives.",
    "B": "np.empty makes an array in the processor's memory. Whose numbers are to be put into it?",
    "C": "Both factors are on the GPU, and nothing asks for the result yet.",
    "D": "An `if` needs True or False now, and only the GPU knows which.",
    "E": "How many kernels are launched, and how much work is in each?",
    "F": "float() needs the number now. Is it there yet?",
}

_GPU_EXERCISE = Exercise(
    name="gpu_lines",
    lesson=14,
    judge=_answers(_GPU, tuple(GPU_ANSWERS), _GPU_LOOK),
    hints=(
        "Ask of every line: does it mix two memories? Does Python need a *value* to go on? How many launches is it?",
        "One line fails, one crawls, and two make Python wait.",
        "Whatever turns an array into a Python number or a Python truth value waits: float(), int(), bool(), if,"
        " print.",
    ),
    doc="Six lines on a GPU.",
)

EXERCISES = (
    _WORK,
    _BLOCKS,
    _CONV2X2,
    _WINOGRAD_1D,
    _WINOGRAD_2D,
    _KERNEL_TILES,
    _INPUT_TILES,
    _WINOGRAD,
    _LOST,
    _HUNT,
    _GPU_EXERCISE,
    _PHASE_KERNELS,
    _UPSAMPLE,
)
"""Lesson 14's own exercises, in the lesson's order."""
