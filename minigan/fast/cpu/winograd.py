"""Convolution with fewer multiplications: Winograd's minimal filtering, also with a stride.

`minigan.fast.cpu.fast_conv` uses this file where it is faster than `minigan.fast.cpu.chunked`. Begin with one
dimension, a filter of two taps g0, g1, and two neighbouring outputs:

    y0 = d0*g0 + d1*g1            four multiplications, as in `minigan.nn.loops`
    y1 = d1*g0 + d2*g1

    m0 = (d0 - d1) * g0           three multiplications, and the same outputs
    m1 = d1 * (g0 + g1)           y0 = m0 + m1
    m2 = (d2 - d1) * g1           y1 = m1 + m2

Multiply it out: it is exact, and it costs only a few additions. It can be written with three small matrices,

    y = AT @ ((G @ g) * (BT @ d))

and there are such matrices for more outputs or taps, too (`minimal_filter`): four outputs of two taps take five
multiplications instead of eight. In two dimensions it is done for rows first and then for columns: a tile of 4 x 4
outputs takes 25 multiplications instead of 64. With channels, each multiplication becomes a matrix product, and most of
the time is spent in matrix products:

    V = BT d B                    the input's tiles           (tiles, C) for each of the 25 places
    U = G w GT                    the kernel                  (C, O)
    M = V @ U                     25 products                 (tiles, O); see `minigan.fast.cpu.small_products`
    y = AT M A                    back to 4 x 4 outputs

The networks' kernels are 4 x 4 with stride 2. But the even and odd rows and columns of an image can be read as
*channels*: a block of S x S pixels becomes one pixel with S*S*C channels, and the kernel becomes one of 2 x 2 taps with
stride 1, which is the filter above. This needs no computation; it is only another way to read the same memory.

Every line above is linear. So the gradients are the same lines in reverse order, with each matrix transposed:

    dM = A dy AT     dV = dM @ U^T     dx = B dV BT, tiles overlapping      dU = V^T @ dM      dw = GT dU G

Multiplying by a small matrix is also a matrix product, along one axis at a time (`_along`): BLAS does all the additions
in one walk through memory, where NumPy would need one walk for each.

The code is for NumPy only; `minigan.fast.cuda.kernels` does the same on a GPU. Legend: `minigan.nn.conv`, and

    R taps along one axis, K/S    m outputs of a tile along one axis    n = m + R - 1 blocks that a tile needs
    D = S*S*C channels of a block    Th, Tw tiles of an image    Bh, Bw blocks of an image

References
----------
A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", arXiv:1509.09308, sections 4.1 and 4.2.
S. Winograd, "Arithmetic complexity of computations", SIAM, 1980.
B. Barabasz, A. Anderson, K. M. Soodhalter and D. Gregg, "Error analysis and improving the accuracy of Winograd
convolution for deep neural networks", arXiv:1803.10986 (the choice of points).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TypeAlias

import numpy as np

from minigan.fast.cpu import chunked, small_products
from minigan.fast.cpu.fused import spans
from minigan.fast.cpu.memory import New, empty, scratch
from minigan.fast.cpu.small_products import block_width, multiply
from minigan.nn import share
from minigan.nn.backend import Array
from minigan.nn.geometry import Pad, Size, output_size

ROWS = 128
"""About how many tiles are made and multiplied at a time: few enough to stay in the cache that the cores share."""

FEW_BYTES = 1 << 19
"""About how many bytes of images are transformed together, so that the result of the first axis is still in the core's
own cache when the second axis is transformed."""

APART = 16
"""Numbers that are left unused after each row (`_contiguous`): in float32, a line of the cache."""

DU_ROWS = 128
"""About how many rows of dU are computed at a time: enough for a fast product, few enough for the cache."""

FEW_ROWS_WITH_RANKS = 200
"""In place of `chunked.FEW_ROWS` on several ranks: on one machine they transform the kernels together
(`minigan.nn.share.prepared`), so that it costs each of them less."""

WORTH = 85
"""Tiles of 4 are used if they save at least so many rows of products for each additional place (25 - 9 = 16)."""

KERNEL_PIECE = 1 << 14
"""About how many numbers of each tap of a kernel are transformed together."""

POINTS = (0.0, 1.0, -1.0, -2.0, 0.5)
"""The points at which `minimal_filter` evaluates its polynomials. 1 is second: `conv_forward` adds the bias there."""


def minimal_filter(m: int, R: int) -> tuple[Array, Array, Array]:
    """The matrices of a filter with R taps and m outputs at a time: m + R - 1 multiplications instead of m * R.

    Parameters
    ----------
    m, R : int
        They need m + R - 2 points; `POINTS` has five.

    Returns
    -------
    AT : numpy.ndarray of shape (m, n)
    G : numpy.ndarray of shape (n, R)
    BT : numpy.ndarray of shape (n, n)
        With n = m + R - 1, float64: ``y = AT @ ((G @ g) * (BT @ d))`` is ``y[i] = sum over k of d[i + k] * g[k]``.

    Notes
    -----
    The method of Toom and Cook: let g and a vector h of length m be the coefficients of two polynomials. Their product
    has n coefficients, so it is known when its values at n points are known, and each value takes one multiplication.
    G evaluates g, A evaluates h, and B turns values into coefficients (Lagrange's formula). One of the points is
    infinity, where the value of a polynomial is its highest coefficient. Multiplying by g is linear in h, and its
    transpose is filtering with g.

    Examples
    --------
    >>> AT, G, BT = minimal_filter(2, 2)
    >>> g, d = np.array([2.0, 3.0]), np.array([1.0, 4.0, 5.0])
    >>> AT @ ((G @ g) * (BT @ d))  # 1*2 + 4*3, 4*2 + 5*3
    array([14., 23.])
    """
    n = m + R - 1
    points = np.array(POINTS[: n - 1])
    AT, G, BT = np.zeros((m, n)), np.zeros((n, R)), np.zeros((n, n))
    for i, a in enumerate(points):
        others = np.delete(points, i)
        AT[:, i] = a ** np.arange(m)
        G[i] = a ** np.arange(R) / np.prod(a - others)
        BT[i, :-1] = np.poly(others)[::-1]
    AT[-1, -1] = G[-1, -1] = 1
    BT[-1] = np.poly(points)[::-1]
    return AT, G, BT


@cache
def _matrices(m: int, R: int, dtype: np.dtype) -> tuple[Array, Array, Array]:
    AT, G, BT = (matrix.astype(dtype) for matrix in minimal_filter(m, R))
    return AT, G, BT


def suits(kernel_size: Size, stride: int) -> bool:
    """Whether this file can compute a convolution: a square kernel of 2S or 3S with stride S; any size and padding.

    >>> suits((4, 4), 2), suits((3, 3), 1), suits((3, 3), 2)
    (True, True, False)
    """
    return kernel_size[0] == kernel_size[1] and kernel_size[0] in (2 * stride, 3 * stride)


def pays(positions: int, C: int, O: int) -> bool:
    """Whether it is likely to be faster than im2col: the transforms must be worth their time."""
    few = FEW_ROWS_WITH_RANKS if share.is_shared() else chunked.FEW_ROWS
    return min(C, O) >= 16 and positions > few


Kept: TypeAlias = dict[tuple[int, bool], Array]
"""The transformed kernel by n, and whether it is UT: another pass with the same kernel need not transform it again. For
passes outside of a training step; inside, `minigan.nn.share.prepared` knows more: whether the kernel has changed."""


@dataclass(frozen=True)
class _Plan:
    """The sizes of one convolution; for the letters see the beginning of this file."""

    S: int
    R: int
    m: int
    pad: Pad
    size: Size
    output: Size
    C: int
    O: int
    dtype: np.dtype

    @property
    def n(self) -> int:
        return self.m + self.R - 1

    @property
    def D(self) -> int:
        return self.S * self.S * self.C

    @property
    def tiles(self) -> Size:
        Ho, Wo = self.output
        return -(-Ho // self.m), -(-Wo // self.m)

    @property
    def blocks(self) -> Size:
        """How many rows and columns of blocks the tiles of an image cover."""
        Th, Tw = self.tiles
        return self.m * Th + self.R - 1, self.m * Tw + self.R - 1

    @property
    def matrices(self) -> tuple[Array, Array, Array]:
        return _matrices(self.m, self.R, self.dtype)

    def images(self, N: int) -> list[slice]:
        """All N images, a few at a time: about `ROWS` tiles."""
        return spans(N, max(1, ROWS // math.prod(self.tiles)))

    def few(self, N: int) -> int:
        """How many images to transform together: about `FEW_BYTES`."""
        Bh, Bw = self.blocks
        return max(1, min(N, FEW_BYTES // (Bh * Bw * self.D * self.dtype.itemsize)))


def _plan(N: int, size: Size, output: Size, w_shape: tuple[int, ...], stride: int, pad: Pad, dtype: np.dtype) -> _Plan:
    """Choose tiles of 4 x 4 outputs if they save enough products to be worth a larger kernel, else of 2 x 2."""
    if not suits((w_shape[0], w_shape[1]), stride):
        raise ValueError(
            f"kernel 'winograd' needs a square kernel of two or three times the stride, {2 * stride} x {2 * stride} or "
            f"{3 * stride} x {3 * stride} for stride {stride}, got {w_shape[0]} x {w_shape[1]}; 'im2col' can do any"
        )
    R = w_shape[0] // stride
    places = {m: (m + R - 1) ** 2 for m in (2, 4)}
    products = {m: N * -(-output[0] // m) * -(-output[1] // m) * places[m] for m in (2, 4)}
    m = 4 if products[2] - products[4] >= WORTH * (places[4] - places[2]) else 2
    return _Plan(stride, R, m, pad, size, output, w_shape[2], w_shape[3], dtype)


def conv_forward(
    x: Array,
    w: Array,
    stride: int,
    pad: Pad,
    b: Array | None = None,
    kept: Kept | None = None,
    turned_from: Array | None = None,
) -> Array:
    """See `minigan.nn.loops.conv_forward`; the same results, up to rounding, with fewer multiplications.

    Parameters
    ----------
    x, w, stride, pad, b
        As there.
    kept : dict, optional
        What was made of w before, and what is made of it here (`Kept`).
    turned_from : Array, optional
        The parameter, if w is only a view of it (`chunked.turned`).
    """
    N, H, W, _ = x.shape
    plan = _plan(N, (H, W), output_size((H, W), w.shape[:2], stride, pad), w.shape, stride, pad, x.dtype)
    U = _kernel_tiles(w, plan, kept, turned_from)
    y = empty((N, *plan.output, plan.O), x.dtype)
    for i in plan.images(N):
        with np.errstate(all="ignore"), scratch() as new:
            V = _input_tiles(x[i], plan, new)
            M = multiply(V, U, new)
            if b is not None:
                M[1, 1] += b  # every output has the product at point 1 exactly once
            fine = _join(M, y[i], plan, new)
        if not fine:
            y[i] = chunked.conv_forward(x[i], w, stride, pad, b)
    return y


def conv_input_grad(
    dy: Array, w: Array, stride: int, pad: Pad, size: Size, b: Array | None = None, kept: Kept | None = None
) -> Array:
    """See `minigan.nn.loops.conv_input_grad`."""
    N, Ho, Wo, _ = dy.shape
    if stride == 1 and max(pad[0][0], pad[1][0]) < len(w):
        return conv_forward(dy, *chunked.turned(w, pad, size, (Ho, Wo)), b, turned_from=w)
    plan = _plan(N, size, (Ho, Wo), w.shape, stride, pad, dy.dtype)
    UT = _kernel_tiles(w, plan, kept, transposed=True)
    dx = empty((N, *size, plan.C), dy.dtype)
    for i in plan.images(N):
        with np.errstate(all="ignore"), scratch() as new:
            dM = _output_tiles(dy[i], plan, new)
            dV = multiply(dM, UT, new)
            fine = _overlap(dV, dx[i], plan, new, b)
        if not fine:
            dx[i] = chunked.conv_input_grad(dy[i], w, stride, pad, size, b)
    return dx


def conv_weight_grad(x: Array, dy: Array, stride: int, pad: Pad, kernel_size: Size) -> Array:
    """See `minigan.nn.loops.conv_weight_grad`."""
    N, H, W, C = x.shape
    plan = _plan(N, (H, W), dy.shape[1:3], (*kernel_size, C, dy.shape[3]), stride, pad, x.dtype)
    dw = _no_weight_grad(plan)
    for i in plan.images(N):
        with np.errstate(all="ignore"), scratch() as new:
            _add_weight_grad(dw, _input_tiles(x[i], plan, new), _output_tiles(dy[i], plan, new), plan)
    return dw if _finite(dw) else chunked.conv_weight_grad(x, dy, stride, pad, kernel_size)


def conv_grads(x: Array, w: Array, dy: Array, stride: int, pad: Pad, kept: Kept | None = None) -> tuple[Array, Array]:
    """`conv_input_grad` and `conv_weight_grad` together: both need the tiles of dy."""
    N, H, W, _ = x.shape
    plan = _plan(N, (H, W), dy.shape[1:3], w.shape, stride, pad, x.dtype)
    UT = _kernel_tiles(w, plan, kept, transposed=True)
    dx = empty(x.shape, x.dtype)
    dw = _no_weight_grad(plan)
    for i in plan.images(N):
        with np.errstate(all="ignore"), scratch() as new:
            dM = _output_tiles(dy[i], plan, new)
            with scratch() as new_for_dx:
                dV = multiply(dM, UT, new_for_dx)
                if not _overlap(dV, dx[i], plan, new_for_dx, None):
                    dx[i] = chunked.conv_input_grad(dy[i], w, stride, pad, (H, W))
            _add_weight_grad(dw, _input_tiles(x[i], plan, new), dM, plan)
    return dx, dw if _finite(dw) else chunked.conv_weight_grad(x, dy, stride, pad, w.shape[:2])


def conv_transpose_grads(
    x: Array, w: Array, dy: Array, stride: int, pad: Pad, kept: Kept | None = None
) -> tuple[Array, Array]:
    """The same for a transposed convolution: `conv_forward` of dy, and `conv_weight_grad`. Both need V, here of dy."""
    N, H, W, _ = dy.shape
    plan = _plan(N, (H, W), x.shape[1:3], w.shape, stride, pad, x.dtype)
    U = _kernel_tiles(w, plan, kept)
    dx = empty(x.shape, x.dtype)
    dw = _no_weight_grad(plan)
    for i in plan.images(N):
        with np.errstate(all="ignore"), scratch() as new:
            V = _input_tiles(dy[i], plan, new)
            with scratch() as new_for_dx:
                M = multiply(V, U, new_for_dx)
                if not _join(M, dx[i], plan, new_for_dx):
                    dx[i] = chunked.conv_forward(dy[i], w, stride, pad)
            _add_weight_grad(dw, V, _output_tiles(x[i], plan, new), plan)
    return dx, dw if _finite(dw) else chunked.conv_weight_grad(dy, x, stride, pad, w.shape[:2])


# ------------------------------------------------------------------------------------------ the transforms and adjoints
def _along(matrix: Array, a: Array, out: Array) -> None:
    """``matrix @ a``: along the last axis but one of a, for each index of all other axes."""
    np.matmul(matrix, a, out=out)


def _input_tiles(x: Array, plan: _Plan, new: New) -> Array:
    """V = BT d B of every tile: (n, n, tiles, D)."""
    (Th, Tw), n, S, m = plan.tiles, plan.n, plan.S, plan.m
    N, C, (Bh, Bw) = len(x), plan.C, plan.blocks
    _, _, BT = plan.matrices
    V = new((n, n, N, Th, Tw, S, S * C), x.dtype)
    few = plan.few(N)
    padded = new((few, Bh * S, Bw * S, C), x.dtype)
    rows = new((few, Th, n, S, Bw, S * C), x.dtype)
    row_windows = _windows(padded.reshape(few, Bh, -1), 1, Th, n, m)  # (few, Th, n, S*Bw*S*C)
    column_windows = _windows(rows, 4, Tw, n, m)  # (few, Th, n, S, Tw, n, S*C)
    (top, h), (left, w) = _inside(plan)
    padded[:, :top] = 0
    padded[:, top + h :] = 0
    padded[:, top : top + h, :left] = 0
    padded[:, top : top + h, left + w :] = 0
    inside = padded[:, top : top + h, left : left + w]
    for i in spans(N, few):
        k = i.stop - i.start
        inside[:k] = x[i][:, :h, :w]
        _along(BT, row_windows[:k], rows[:k].reshape(k, Th, n, -1))
        _along(BT, column_windows[:k], V[:, :, i].transpose(2, 3, 0, 5, 4, 1, 6))
    return V.reshape(n, n, N * Th * Tw, plan.D)


def _overlap(dV: Array, dx: Array, plan: _Plan, new: New, b: Array | None) -> bool:
    """Adjoint of `_input_tiles`, plus bias: dx = B dV BT, added where tiles overlap. Returns whether all is finite."""
    (Th, Tw), n, S = plan.tiles, plan.n, plan.S
    N, H, W, C = dx.shape
    Bh, Bw = plan.blocks
    dV = dV.reshape(n, n, N, Th, Tw, S, S * C).transpose(2, 3, 0, 5, 4, 1, 6)  # (N, Th, n, S, Tw, n, S*C)
    few = plan.few(N)
    rows = new((few, Th, n, S, Bw, S * C), dx.dtype)
    padded = new((few, Bh * S, Bw * S * C), dx.dtype)
    add_columns = _adder(rows, plan, new)
    add_rows = _adder(padded.reshape(few, Bh, -1), plan, new)
    (top, h), (left, w) = _inside(plan)
    inside = padded[:, top : top + h, left * C : (left + w) * C]
    out = dx.reshape(N, H, W * C)[:, :h, : w * C]
    bias = np.zeros(C, dx.dtype) if b is None else b
    wide_bias = np.tile(bias, w)
    dx[:, h:] = bias  # pixels that no tap reaches
    dx[:, :h, w:] = bias
    for i in spans(N, few):
        k = i.stop - i.start
        add_columns(dV[i])
        add_rows(rows[:k].reshape(k, Th, n, -1))
        np.add(inside[:k], wide_bias, out=out[i])
    return _finite(dx)


def _adder(out: Array, plan: _Plan, new: New) -> Callable[[Array], None]:
    """A function that applies B to the last axis but one of tiles (k, ..., T, n, c), and adds them up in out.

    out is (k, ..., m*T + R - 1, c). Of the n blocks of a tile, m are its own; the other R - 1 are also the first blocks
    of the next tile.
    """
    m, over, (_, _, BT) = plan.m, plan.R - 1, plan.matrices
    T, c = (out.shape[-2] - over) // m, out.shape[-1]
    own = out[..., : m * T, :].reshape(*out.shape[:-2], T, m, c)
    shared = new((*out.shape[:-2], T, over, c), out.dtype)
    to_own, to_shared = np.ascontiguousarray(BT.T[:m]), np.ascontiguousarray(BT.T[m:])
    pairs = [(own[..., 1:, e, :], shared[..., :-1, e, :]) for e in range(over)]
    end, last = out[..., m * T :, :], shared[..., -1, :, :]

    def add(tiles: Array) -> None:
        k = len(tiles)
        _along(to_own, tiles, own[:k])
        _along(to_shared, tiles, shared[:k])
        for total, more in pairs:
            total[:k] += more[:k]
        end[:k] = last[:k]

    return add


def _join(M: Array, y: Array, plan: _Plan, new: New) -> bool:
    """Y = AT M A: every tile's m x m outputs, or fewer at the lower and right edge. Returns whether all are finite."""
    (Th, Tw), n, m, O = plan.tiles, plan.n, plan.m, plan.O
    N, Ho, Wo, _ = y.shape
    AT, _, _ = plan.matrices
    M = M.reshape(n, n, N, Th * Tw * O).transpose(1, 2, 0, 3)  # (n, N, n, Th*Tw*O)
    few = plan.few(N)
    half = new((n, few, m, Th * Tw * O), y.dtype)
    columns = half.reshape(n, few, m, Th, Tw, O).transpose(1, 3, 2, 4, 0, 5)  # (few, Th, m, Tw, n, O)
    exact = (Ho, Wo) == (m * Th, m * Tw)
    whole = y if exact else new((few, m * Th, m * Tw, O), y.dtype)
    for i in spans(N, few):
        k = i.stop - i.start
        _along(AT, M[:, i], half[:, :k])
        out = y[i] if exact else whole[:k]
        _along(AT, columns[:k], out.reshape(k, Th, m, Tw, m, O))
        if not exact:
            y[i] = out[:, :Ho, :Wo]
    return _finite(y)


def _output_tiles(dy: Array, plan: _Plan, new: New) -> Array:
    """Adjoint of `_join`: dM = A dy AT of every tile: (n, n, tiles, O)."""
    (Th, Tw), n, m, O = plan.tiles, plan.n, plan.m, plan.O
    N, Ho, Wo, _ = dy.shape
    AT, _, _ = plan.matrices
    if (Ho, Wo) != (m * Th, m * Tw):
        whole = new((N, m * Th, m * Tw, O), dy.dtype)
        whole.fill(0)
        whole[:, :Ho, :Wo] = dy
        dy = whole
    few = plan.few(N)
    rows = new((few, Th, n, Tw, m, O), dy.dtype)
    dM = new((n, n, N, Th, Tw, O), dy.dtype)
    for i in spans(N, few):
        k = i.stop - i.start
        _along(AT.T, dy[i].reshape(k, Th, m, Tw * m * O), rows[:k].reshape(k, Th, n, -1))
        _along(AT.T, rows[:k], dM[:, :, i].transpose(2, 3, 0, 4, 1, 5))
    return dM.reshape(n, n, N * Th * Tw, O)


def _kernel_tiles(
    w: Array, plan: _Plan, kept: Kept | None, turned_from: Array | None = None, *, transposed: bool = False
) -> Array:
    """U = G w GT, or its transpose UT, in blocks of columns for `multiply`: (blocks, n, n, rows, width)."""
    if transposed and not small_products.are_fast():
        return _kernel_tiles(w, plan, kept).swapaxes(-1, -2)
    n, (_, G, _) = plan.n, plan.matrices
    taps = _blocks_of_taps(w, plan, transposed=transposed)
    *blocks, R, _, A, B, rows, width = taps.shape
    shape = math.prod(blocks), n, n, A * B, rows * width

    def transform(U: Array, part: slice) -> None:
        first, last = (-(-border // width) for border in (part.start, part.stop))  # whole rows; all ranks round alike
        for block, out in zip(np.ndindex(*blocks), U, strict=True):
            for i in spans(last - first, max(1, KERNEL_PIECE // width)):
                here = slice(first + i.start, first + i.stop)
                with np.errstate(all="ignore"), scratch() as new:
                    g = _contiguous(taps[block][..., here, :], new).reshape(R, R, A * B, -1)
                    half = new((n, *g.shape[1:]), w.dtype)
                    tiles = out[..., here.start * width : here.stop * width]
                    _along(G, g.transpose(1, 2, 0, 3), half.transpose(1, 2, 0, 3))
                    _along(G, half.transpose(0, 2, 1, 3), tiles.transpose(0, 2, 1, 3))

    param, what = (w, "transposed" if transposed else "") if turned_from is None else (turned_from, "turned")
    U = share.prepared(param, shape, transform, what)
    if U is None and kept:
        U = kept.get((n, transposed))
    if U is None:
        U = empty(shape, w.dtype)
        transform(U, slice(0, shape[-1]))
        if kept is not None:
            kept[n, transposed] = U
    return U.reshape(-1, n, n, A * B * rows, width)


def _blocks_of_taps(w: Array, plan: _Plan, *, transposed: bool) -> Array:
    """The R * R matrices (D, O) of a kernel, or (O, D), in a * b blocks: (a, b, R, R, A, B, rows, width).

    The D rows are S times S times C; the O rows of the transpose are 1 times 1 times O.
    """
    S, R, C, O = plan.S, plan.R, plan.C, plan.O
    if transposed:
        width = math.gcd(block_width(O, S * S * C), S * C)  # S * C of the D columns lie side by side in w
        return w.reshape(R, S, R, S * C // width, width, O).transpose(1, 3, 0, 2, 5, 4)[:, :, :, :, None, None]
    width = block_width(S * S * C, O)
    return w.reshape(R, S, R, S, C, O // width, width).transpose(5, 0, 2, 1, 3, 4, 6)[None]


def _contiguous(a: Array, new: New) -> Array:
    """A contiguous copy.

    A transposed array is first copied to rows with `APART` unused numbers after each. If rows were a power of two
    apart, the numbers of a column would all want the same few places of the cache.
    """
    if a.strides[-1] > a.itemsize:
        *others, rows, columns = a.shape
        apart = new((*others, columns, rows + APART), a.dtype)[..., :rows]
        apart[...] = a.swapaxes(-1, -2)
        a = apart.swapaxes(-1, -2)
    copy = new(a.shape, a.dtype)
    copy[...] = a
    return copy


def _no_weight_grad(plan: _Plan) -> Array:
    """Zeros, to which `_add_weight_grad` adds: (K, K, C, O)."""
    dw = empty((plan.R * plan.S, plan.R * plan.S, plan.C, plan.O), plan.dtype)
    dw.fill(0)
    return dw


def _add_weight_grad(dw: Array, V: Array, dM: Array, plan: _Plan) -> None:
    """``dw += GT dU G`` with ``dU = V^T dM``: the adjoint of `_kernel_tiles`, for some of the rows of dU at a time."""
    n, S, R, C, O = plan.n, plan.S, plan.R, plan.C, plan.O
    _, G, _ = plan.matrices
    taps = dw.reshape(R, S, R, S, C * O)
    for parts in spans(S * S, max(1, DU_ROWS // C)):
        VT = V[..., parts.start * C : parts.stop * C].transpose(0, 1, 3, 2)
        with scratch() as new:
            dU = np.matmul(VT, dM, out=new((n, n, VT.shape[2], O), V.dtype)).reshape(n, n, -1, C * O)
            for part, c in product(range(parts.start, parts.stop), spans(C * O, KERNEL_PIECE)):
                with scratch() as new_for_g:
                    half = new_for_g((n, R, c.stop - c.start), dU.dtype)
                    g = new_for_g((R, R, c.stop - c.start), dU.dtype)
                    _along(G.T, dU[:, :, part - parts.start, c], half)
                    _along(G.T, half.transpose(1, 0, 2), g.transpose(1, 0, 2))
                    taps[:, part // S, :, part % S, c] += g


# --------------------------------------------------------------------------------------------------------------- images
def _windows(a: Array, axis: int, count: int, length: int, step: int) -> Array:
    """Overlapping windows along an axis, as a view: the axis becomes two, (count, length)."""
    shape, strides = list(a.shape), list(a.strides)
    shape[axis : axis + 1] = [count, length]
    strides[axis : axis + 1] = [step * strides[axis], strides[axis]]
    return np.lib.stride_tricks.as_strided(a, shape, strides, writeable=False)


def _inside(plan: _Plan) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where the image lies within the blocks of all tiles: (first row, rows), (first column, columns)."""
    (top, _), (left, _) = plan.pad
    h, w = (
        max(0, min(length, count * plan.S - before))
        for length, count, before in zip(plan.size, plan.blocks, (top, left), strict=True)
    )
    return (top, h), (left, w)


def _finite(a: Array) -> bool:
    """Whether all numbers are finite. If a sum of large squares overflows, it says no; that costs time only.

    Here an infinite number or NaN spreads over its whole tile, and a difference of huge numbers can overflow where the
    plain sum of products would not. The callers then compute those images again with chunked.
    """
    a = a.reshape(-1)
    return math.isfinite(np.vdot(a, a))
