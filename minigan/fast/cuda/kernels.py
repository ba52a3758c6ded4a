"""The fast functions for a GPU: one launch where the plain code makes ten.

A GPU does a step of this small network in a few milliseconds, and every launch takes several microseconds, whatever it
computes. So the functions here give the same results as those of `minigan.nn`, with fewer launches: the three
convolutions (by Winograd's F(2,2) or F(4,3) where that is possible, else by im2col), batch normalization together with
LeakyReLU, the loss, and Adam for all tensors at once. The code of each launch stands in ``kernels.cu`` beside this
file; `minigan.fast.cuda.cublas` does the matrix products.

Nothing here reads a number from the GPU: all work is queued, and the host need not wait. `available` says whether an
array can be used here. `minigan.fast.cuda.cuda_overlay` makes operations of a table out of the functions here.

Legend: `minigan.nn.conv`. The derivation of Winograd's filters: `minigan.fast.cpu.winograd`.

References
----------
NVIDIA, "CUDA C++ programming guide".
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigan.fast.cuda.cublas import address, matmul
from minigan.nn import share
from minigan.nn.backend import Array, backend_of, xp_of
from minigan.nn.conv_checks import check_dtypes
from minigan.nn.geometry import Pad, Size, output_size

CHUNK_BYTES = 1 << 29
"""How large one matrix of patches or tiles may be. A batch of 64 needs much less. A huge batch is cut into parts, which
limits memory and keeps the kernels' 32-bit indices valid."""

MIN_CHANNELS = 16
"""Winograd is used from so many channels in and out: with 3 channels its transforms take longer than they save."""

# These stand in kernels.cu as well.
CHANNELS, LANES, ROWS_PER_BLOCK = 32, 8, 32
MOST_TENSORS = 64

NUMBERS_PER_THREAD, TILES_PER_THREAD = 8, 4
"""So many of a row each thread takes, so that finding its place is not most of its work."""

THREADS, MOST_BLOCKS = 256, 256
MIN_SLICE_ROWS, MAX_SLICES = 128, 256

PRODUCT_TILE, MIN_PART_ROWS = 128, 256
"""How large a part of a product one block of cuBLAS usually computes, and how short a sum may become when it is cut."""

TENSORS = np.dtype(
    [("at", np.uintp, (MOST_TENSORS, 4)), ("rows", np.int32, MOST_TENSORS), ("columns", np.int32, MOST_TENSORS)]
)
"""``struct Tensors`` of kernels.cu."""


def available(*arrays: Array) -> bool:
    """Whether these arrays are on a GPU and of a dtype that the kernels are compiled for.

    Parameters
    ----------
    *arrays : Array

    Returns
    -------
    bool
    """
    return all(can_compile(xp_of(*arrays), a.dtype) for a in arrays)


def can_compile(xp: Any, dtype: Any) -> bool:
    """Whether there are kernels for an array module and a dtype."""
    return hasattr(xp, "RawModule") and dtype.char in "fd"


# ---------------------------------------------------------------------------------------------------------- convolution
def suits(kernel_size: Size, stride: int, pad: Pad, size: Size, channels: tuple[int, int]) -> bool:
    """Whether Winograd is used for a convolution: kernel 4x4, stride 2, padding 1, even sides, and enough channels.

    Parameters
    ----------
    kernel_size : (Kh, Kw)
    stride : int
    pad : ((top, bottom), (left, right))
    size : (H, W)
        Size of x.
    channels : (C, O)

    Returns
    -------
    bool

    Examples
    --------
    >>> suits((4, 4), 2, ((1, 1), (1, 1)), (32, 32), (64, 128))
    True
    >>> suits((4, 4), 2, ((1, 1), (1, 1)), (64, 64), (3, 64))
    False
    """
    return (
        (*kernel_size, stride) == (4, 4, 2)
        and pad == ((1, 1), (1, 1))
        and size[0] % 2 == size[1] % 2 == 0
        and min(channels) >= MIN_CHANNELS
    )


def suits_3x3(x: Array, kernel_size: Size, stride: int, pad: Pad, channels: tuple[int, int]) -> bool:
    """Whether Winograd's F(4,3) is used: kernel 3x3, stride 1, and enough channels, in full precision.

    Its sums are of numbers a few times as large as the result, so it loses a digit more than a direct convolution, and
    with factors rounded to tf32's 10 bits it would lose too many. A number that is not finite spreads to the 4x4
    outputs of its tile.

    Parameters
    ----------
    x : Array
        On a GPU.
    kernel_size, stride, pad, channels
        As in `suits`.

    Returns
    -------
    bool
    """
    small = all(0 <= before <= 2 for before in (pad[0][0], pad[1][0]))
    return (*kernel_size, stride) == (3, 3, 1) and small and min(channels) >= MIN_CHANNELS and not backend_of(x).tf32


def conv_forward(x: Array, w: Array, stride: int, pad: Pad, b: Array | None = None, *, alpha: float = 1.0) -> Array:
    """See `minigan.nn.loops.conv_forward`.

    Parameters
    ----------
    x, w, stride, pad, b
        As there.
    alpha : float
        Slope of a LeakyReLU that is applied to the result; 1 for none.

    Returns
    -------
    Array of shape (N, Ho, Wo, O)
    """
    xp = xp_of(x, w)
    parameter, x, w = w, xp.ascontiguousarray(x), xp.ascontiguousarray(w)
    N, H, W, C = x.shape
    Kh, Kw, _, O = w.shape
    Ho, Wo = output_size((H, W), (Kh, Kw), stride, pad)
    y = xp.empty((N, Ho, Wo, O), x.dtype)
    if suits((Kh, Kw), stride, pad, (H, W), (C, O)):
        u = _prepared(parameter)  # (9, 4C, O)
        for n in _chunks(N, _tile_bytes(x, Ho, Wo, O)):
            v = _winograd_gather(x[n])  # (9, tiles, 4C)
            _winograd_output(matmul(v, u), b, alpha, y[n])
        return y
    if suits_3x3(x, (Kh, Kw), stride, pad, (C, O)):
        return _conv_3x3(x, w, pad, b, alpha, y, turned=False)
    for n in _chunks(N, _patch_bytes(x, Ho, Wo, (Kh, Kw))):
        cols = im2col(x[n], (Kh, Kw), stride, pad)  # (n*Ho*Wo, Kh*Kw*C)
        matmul(cols, w.reshape(-1, O), out=y[n].reshape(-1, O))
    _add_bias(y, b, alpha)
    return y


def conv_input_grad(
    dy: Array,
    w: Array,
    stride: int,
    pad: Pad,
    size: Size,
    b: Array | None = None,
    *,
    alpha: float = 1.0,
) -> Array:
    """See `minigan.nn.loops.conv_input_grad`; alpha as in `conv_forward`."""
    xp = xp_of(dy, w)
    parameter, dy, w = w, xp.ascontiguousarray(dy), xp.ascontiguousarray(w)
    N, Ho, Wo, O = dy.shape
    Kh, Kw, C, _ = w.shape
    dx = xp.empty((N, *size, C), dy.dtype)
    if suits((Kh, Kw), stride, pad, size, (C, O)):
        u = _prepared(parameter)  # (9, 4C, O)
        for n in _chunks(N, _tile_bytes(dx, Ho, Wo, O)):
            dm = _winograd_output_adjoint(dy[n])  # (9, tiles, O)
            _winograd_gather_adjoint(matmul(dm, u, transpose_b=True), b, alpha, dx[n])
        return dx
    if suits_3x3(dy, (Kh, Kw), stride, pad, (C, O)):
        back = ((2 - pad[0][0], size[0] - Ho + pad[0][0]), (2 - pad[1][0], size[1] - Wo + pad[1][0]))
        return _conv_3x3(dy, w, back, b, alpha, dx, turned=True)
    w2 = w.reshape(-1, O)  # (Kh*Kw*C, O)
    if _is_one_patch((Ho, Wo), (Kh, Kw), pad, size):
        matmul(dy.reshape(N, O), w2, transpose_b=True, out=dx.reshape(N, -1))
        _add_bias(dx, b, alpha)
        return dx
    for n in _chunks(N, _patch_bytes(dx, Ho, Wo, (Kh, Kw))):
        cols = matmul(dy[n].reshape(-1, O), w2, transpose_b=True)  # (n*Ho*Wo, Kh*Kw*C)
        _col2im(cols.reshape(-1, Ho, Wo, Kh, Kw, C), stride, pad, b, dx[n])
    _add_bias(dx, None, alpha)
    return dx


def conv_weight_grad(x: Array, dy: Array, stride: int, pad: Pad, kernel_size: Size) -> Array:
    """See `minigan.nn.loops.conv_weight_grad`."""
    xp = xp_of(x, dy)
    x, dy = xp.ascontiguousarray(x), xp.ascontiguousarray(dy)
    N, H, W, C = x.shape
    _, Ho, Wo, O = dy.shape
    sum_of = _WeightGrad((*kernel_size, C, O), x)
    if suits(kernel_size, stride, pad, (H, W), (C, O)):
        for n in _chunks(N, _tile_bytes(x, Ho, Wo, O)):
            sum_of.add_tiles(_winograd_gather(x[n]), _winograd_output_adjoint(dy[n]))
    elif suits_3x3(x, kernel_size, stride, pad, (C, O)):
        for n in _chunks(N, _tile_bytes_3x3(max(C, O), Ho, Wo, x.dtype)):
            sum_of.add_tiles(_gather_3x3(x[n], pad, Ho, Wo), _output_adjoint_3x3(dy[n]))
    else:
        for n in _chunks(N, _patch_bytes(x, Ho, Wo, kernel_size)):
            sum_of.add_patches(im2col(x[n], kernel_size, stride, pad), dy[n].reshape(-1, O))
    return sum_of.result()


def conv_grads(x: Array, w: Array, dy: Array, stride: int, pad: Pad) -> tuple[Array, Array]:
    """`conv_input_grad` and `conv_weight_grad` of one convolution: both need the tiles of dy, made once.

    Parameters
    ----------
    x : Array of shape (N, H, W, C)
    w : Array of shape (Kh, Kw, C, O)
    dy : Array of shape (N, Ho, Wo, O)
    stride, pad
        As in `conv_forward`.

    Returns
    -------
    dx, dw : Array
        Shapes of x and w.
    """
    N, H, W, C = x.shape
    if not suits(w.shape[:2], stride, pad, (H, W), (C, w.shape[3])):
        dx = conv_input_grad(dy, w, stride, pad, (H, W))
        return dx, conv_weight_grad(x, dy, stride, pad, w.shape[:2])
    xp = xp_of(x, w, dy)
    u = _prepared(w)
    x, dy = xp.ascontiguousarray(x), xp.ascontiguousarray(dy)
    dx, sum_of = xp.empty(x.shape, x.dtype), _WeightGrad(w.shape, x)
    for n in _chunks(N, _tile_bytes(x, *dy.shape[1:])):
        dm = _winograd_output_adjoint(dy[n])
        _winograd_gather_adjoint(matmul(dm, u, transpose_b=True), None, 1.0, dx[n])
        sum_of.add_tiles(_winograd_gather(x[n]), dm)
    return dx, sum_of.result()


def conv_transpose_grads(x: Array, w: Array, dy: Array, stride: int, pad: Pad) -> tuple[Array, Array]:
    """Both gradients of a transposed convolution: `conv_forward` of dy, and `conv_weight_grad` with the roles swapped.

    Both need the tiles or patches of dy, made once. Parameters and results as `conv_grads`.
    """
    xp = xp_of(x, w, dy)
    parameter, x, w, dy = w, *(xp.ascontiguousarray(a) for a in (x, w, dy))
    N, Ho, Wo, O = x.shape
    _, H, W, C = dy.shape
    kernel_size = w.shape[:2]
    dx, sum_of = xp.empty(x.shape, x.dtype), _WeightGrad(w.shape, x)
    if suits(kernel_size, stride, pad, (H, W), (C, O)):
        u = _prepared(parameter)
        for n in _chunks(N, _tile_bytes(dy, Ho, Wo, O)):
            v = _winograd_gather(dy[n])
            _winograd_output(matmul(v, u), None, 1.0, dx[n])
            sum_of.add_tiles(v, _winograd_output_adjoint(x[n]))
    elif suits_3x3(x, kernel_size, stride, pad, (C, O)):
        u = _kernel_3x3(w, turned=False)
        for n in _chunks(N, _tile_bytes_3x3(max(C, O), Ho, Wo, x.dtype)):
            v = _gather_3x3(dy[n], pad, Ho, Wo)
            _output_3x3(matmul(v, u), None, 1.0, dx[n])
            sum_of.add_tiles(v, _output_adjoint_3x3(x[n]))
    else:
        for n in _chunks(N, _patch_bytes(dy, Ho, Wo, kernel_size)):
            cols = im2col(dy[n], kernel_size, stride, pad)
            matmul(cols, w.reshape(-1, O), out=dx[n].reshape(-1, O))
            sum_of.add_patches(cols, x[n].reshape(-1, O))
    return dx, sum_of.result()


def _prepared(w: Array) -> Array:
    """A kernel (4, 4, C, O) as Winograd's products need it: (9, 4C, O). A training step makes it once per update.

    w must be the parameter itself: a copy would not be known again.
    """
    _, _, C, O = w.shape
    shape = 9, 4 * C, O

    def fill(u: Array, part: slice) -> None:
        """Part is everything: on a GPU there is one process."""
        grid = (_blocks(C, LANES), 4, 1)
        _run_tensors("winograd_kernels", grid, (CHANNELS, LANES), [[xp_of(w).ascontiguousarray(w)], [u]], [(C, O)])

    u = share.prepared(w, shape, fill)
    if u is None:
        u = xp_of(w).empty(shape, w.dtype)
        fill(u, slice(None))
    return u


class _WeightGrad:
    """The gradient of one kernel, added up over parts of the batch.

    Few channels make a small product of long sums: some 18 blocks of work where a large GPU has 132 multiprocessors.
    Then each sum is cut into parts that are computed side by side and added up at the end, always in the same order.
    """

    def __init__(self, shape: tuple[int, ...], beside: Array) -> None:
        self._shape, self._xp, self._dtype = shape, xp_of(beside), beside.dtype
        self._tiles: Array | None = None  # (9, parts, 4C, O); for a 3x3 kernel (36, parts, C, O)
        self._patches: Array | None = None  # (parts, Kh*Kw*C, O)

    def add_tiles(self, v: Array, dm: Array) -> None:
        """Add ``v^T @ dm`` for v (9, tiles, 4C) and dm (9, tiles, O), or for a 3x3 kernel (36, ..)."""
        if self._tiles is None:
            parts = _parts(self._xp, v.shape[1], v.shape[0], v.shape[2], dm.shape[2])
            self._tiles = self._xp.empty((v.shape[0], parts, v.shape[2], dm.shape[2]), self._dtype)
            _sum_of_products(v, dm, self._tiles, accumulate=False)
        else:
            _sum_of_products(v, dm, self._tiles, accumulate=True)

    def add_patches(self, cols: Array, dy: Array) -> None:
        """Add ``cols^T @ dy`` for cols (rows, Kh*Kw*C) and dy (rows, O)."""
        if self._patches is None:
            parts = _parts(self._xp, cols.shape[0], 1, cols.shape[1], dy.shape[1])
            self._patches = self._xp.empty((parts, cols.shape[1], dy.shape[1]), self._dtype)
            _sum_of_products(cols[None], dy[None], self._patches[None], accumulate=False)
        else:
            _sum_of_products(cols[None], dy[None], self._patches[None], accumulate=True)

    def result(self) -> Array:
        if self._tiles is None and self._patches is None:  # no images
            return self._xp.zeros(self._shape, self._dtype)
        if self._tiles is None:
            assert self._patches is not None
            parts = self._patches.shape[0]
            dw = self._patches if parts == 1 else channel_sum(self._patches.reshape(parts, -1))
            return dw.reshape(self._shape)
        C, O = self._shape[2:]
        dw = self._xp.empty(self._shape, self._dtype)
        name, phases = ("winograd3_kernel_adjoint", 1) if self._shape[0] == 3 else ("winograd_kernel_adjoint", 4)
        grid = (_blocks(C, LANES), phases, _blocks(O, CHANNELS))
        _run(name, grid, (CHANNELS, LANES), self._tiles, dw, C, O, self._tiles.shape[1])
        return dw


def _sum_of_products(a: Array, b: Array, out: Array, *, accumulate: bool) -> None:
    """``out[i, p] = a[i]^T @ b[i]`` over part p of the rows: a (B, rows, M), b (B, rows, N), out (B, parts, M, N)."""
    B, parts, M, N = out.shape
    rows = a.shape[1]
    if rows % parts:  # the last images of a batch that was cut: into the first part
        for i in range(B):
            matmul(a[i], b[i], transpose_a=True, out=out[i, 0], accumulate=accumulate)
        return
    stack = B * parts
    matmul(
        a.reshape(stack, -1, M),
        b.reshape(stack, -1, N),
        transpose_a=True,
        out=out.reshape(stack, M, N),
        accumulate=accumulate,
    )


def _parts(xp: Any, rows: int, B: int, M: int, N: int) -> int:
    """Into how many equal parts to cut B sums over so many rows, each of which gives an (M, N) matrix."""
    blocks = B * _blocks(M, PRODUCT_TILE) * _blocks(N, PRODUCT_TILE)
    most = min(_blocks(multiprocessors(xp), blocks), rows // MIN_PART_ROWS)
    return next((parts for parts in range(most, 1, -1) if rows % parts == 0), 1)


@functools.cache
def multiprocessors(xp: Any) -> int:
    """How many multiprocessors the GPU has."""
    return int(xp.cuda.Device().attributes["MultiProcessorCount"])


def im2col(x: Array, kernel_size: Size, stride: int, pad: Pad) -> Array:
    """See `minigan.nn.im2col.im2col`.

    Parameters
    ----------
    x : Array of shape (N, H, W, C)
    kernel_size : (Kh, Kw)
    stride : int
    pad : ((top, bottom), (left, right))

    Returns
    -------
    Array of shape (N*Ho*Wo, Kh*Kw*C)
    """
    N, H, W, C = x.shape
    Ho, Wo = output_size((H, W), kernel_size, stride, pad)
    if _is_one_patch((Ho, Wo), kernel_size, pad, (H, W)):
        return x.reshape(N, -1)
    Kh, Kw = kernel_size
    cols = xp_of(x).empty((N * Ho * Wo, Kh * Kw * C), x.dtype)
    sizes = (H, W, C, Ho, Wo, Kh, Kw, stride, pad[0][0], pad[1][0])
    _run("im2col", (N, Ho), _block(Kw * C, Kh, _blocks(Wo, NUMBERS_PER_THREAD)), x, cols, *sizes)
    return cols


def _col2im(cols: Array, stride: int, pad: Pad, b: Array | None, dx: Array) -> None:
    N, H, W, C = dx.shape
    _, Ho, Wo, Kh, Kw, _ = cols.shape
    top, left = pad[0][0], pad[1][0]
    tall, wide = (H - 1 + top) // stride + 1, (W - 1 + left) // stride + 1
    X, Y = _block(C, _blocks(wide, NUMBERS_PER_THREAD))
    Z = max(1, min(N, 2 * CHANNELS // (X * Y)))
    _run("col2im", (_blocks(N, Z), tall, stride), (X, Y, Z), cols, b, dx, N, H, W, C, Ho, Wo, Kh, Kw, stride, top, left)


def _block(*lengths: int) -> tuple[int, ...]:
    """A block of at most `THREADS` threads for loops of these lengths, the first one over neighbouring numbers."""
    block: list[int] = []
    for length, most in zip(lengths, (THREADS, THREADS, 64), strict=False):  # CUDA's limit for the third is 64
        block.append(max(1, min(length, most, THREADS // math.prod(block))))
    return tuple(block)


def _add_bias(y: Array, b: Array | None, alpha: float) -> None:
    """``y = LeakyReLU(y + b)`` in place; alpha = 1 for no LeakyReLU."""
    alpha = float(alpha)
    if b is not None:
        C = y.shape[-1]
        _by_rows("bias_and_leaky_relu", y.size // C, C, y, b, y.size // C, C, alpha)
    elif alpha != 1:
        _launch("leaky_relu_forward", y.size, y, y, np.int64(y.size), alpha)


def _is_one_patch(output: Size, kernel_size: Size, pad: Pad, size: Size) -> bool:
    """Whether the only patch of each image is the image itself, as in the generator's first layer."""
    return output == (1, 1) and size == kernel_size and pad == ((0, 0), (0, 0))


def _tiles(Ho: int, Wo: int) -> Size:
    return -(-Ho // 2), -(-Wo // 2)


def _tile_bytes(x: Array, Ho: int, Wo: int, O: int) -> int:
    """How much the tiles of one image take, or those of its output if that is more."""
    return 9 * math.prod(_tiles(Ho, Wo)) * max(4 * x.shape[3], O) * x.dtype.itemsize


def _patch_bytes(x: Array, Ho: int, Wo: int, kernel_size: Size) -> int:
    """How much one image takes, or its patches if that is more: a large stride leaves pixels out."""
    _, H, W, C = x.shape
    return max(Ho * Wo * math.prod(kernel_size), H * W) * C * x.dtype.itemsize


def _winograd_gather(x: Array) -> Array:
    N, H, W, C = x.shape
    tall, wide = _tiles(H // 2, W // 2)
    v = xp_of(x).empty((9, N * tall * wide, 4 * C), x.dtype)
    _by_tiles("winograd_gather", N, tall, wide, C, 4, x, v, H, W, C, wide)
    return v


def _winograd_gather_adjoint(dv: Array, b: Array | None, alpha: float, dx: Array) -> None:
    N, H, W, C = dx.shape
    tall, wide = _tiles(H // 2, W // 2)
    _by_tiles("winograd_gather_adjoint", N, tall, wide, C, 4, dv, b, dx, H, W, C, wide, float(alpha))


def _winograd_output(m: Array, b: Array | None, alpha: float, y: Array) -> None:
    N, Ho, Wo, O = y.shape
    tall, wide = _tiles(Ho, Wo)
    _by_tiles("winograd_output", N, tall, wide, O, 1, m, b, y, Ho, Wo, O, wide, float(alpha))


def _winograd_output_adjoint(dy: Array) -> Array:
    N, Ho, Wo, O = dy.shape
    tall, wide = _tiles(Ho, Wo)
    dm = xp_of(dy).empty((9, N * tall * wide, O), dy.dtype)
    _by_tiles("winograd_output_adjoint", N, tall, wide, O, 1, dy, dm, Ho, Wo, O, wide)
    return dm


def _conv_3x3(x: Array, w: Array, pad: Pad, b: Array | None, alpha: float, y: Array, *, turned: bool) -> Array:
    """``y = conv(x, w) + b`` by F(4,3); with w turned for `conv_input_grad`."""
    _, Ho, Wo, O = y.shape
    u = _kernel_3x3(w, turned=turned)  # (36, C, O)
    for n in _chunks(x.shape[0], _tile_bytes_3x3(max(x.shape[3], O), Ho, Wo, x.dtype)):
        _output_3x3(matmul(_gather_3x3(x[n], pad, Ho, Wo), u), b, alpha, y[n])
    return y


def _tiles_3x3(Ho: int, Wo: int) -> Size:
    return -(-Ho // 4), -(-Wo // 4)


def _tile_bytes_3x3(channels: int, Ho: int, Wo: int, dtype: Any) -> int:
    return 36 * math.prod(_tiles_3x3(Ho, Wo)) * channels * np.dtype(dtype).itemsize


def _kernel_3x3(w: Array, *, turned: bool) -> Array:
    C, O = w.shape[:1:-1] if turned else w.shape[2:]
    u = xp_of(w).empty((36, C, O), w.dtype)
    _run("winograd3_kernel", (_blocks(C, LANES), _blocks(O, CHANNELS)), (CHANNELS, LANES), w, u, C, O, int(turned))
    return u


def _gather_3x3(x: Array, pad: Pad, Ho: int, Wo: int) -> Array:
    N, H, W, C = x.shape
    tall, wide = _tiles_3x3(Ho, Wo)
    v = xp_of(x).empty((36, N * tall * wide, C), x.dtype)
    _by_tiles("winograd3_gather", N, tall, wide, C, 1, x, v, H, W, C, wide, pad[0][0], pad[1][0])
    return v


def _output_3x3(m: Array, b: Array | None, alpha: float, y: Array) -> None:
    N, Ho, Wo, O = y.shape
    tall, wide = _tiles_3x3(Ho, Wo)
    _by_tiles("winograd3_output", N, tall, wide, O, 1, m, b, y, Ho, Wo, O, wide, float(alpha))


def _output_adjoint_3x3(dy: Array) -> Array:
    N, Ho, Wo, O = dy.shape
    tall, wide = _tiles_3x3(Ho, Wo)
    dm = xp_of(dy).empty((36, N * tall * wide, O), dy.dtype)
    _by_tiles("winograd3_output_adjoint", N, tall, wide, O, 1, dy, dm, Ho, Wo, O, wide)
    return dm


def _by_tiles(name: str, N: int, tall: int, wide: int, channels: int, phases: int, *args: Any) -> None:
    """A kernel with a block for a row of tiles of one image, one phase, and up to 128 channels."""
    X = max(CHANNELS, math.gcd(channels, THREADS // 2))
    _run(name, (N, tall, phases * _blocks(channels, X)), (X, min(_blocks(wide, TILES_PER_THREAD), THREADS // X)), *args)


def _chunks(N: int, bytes_per_image: int) -> list[slice]:
    n = max(1, CHUNK_BYTES // bytes_per_image)
    return [slice(a, min(a + n, N)) for a in range(0, N, n)]


# ------------------------------------------------------------------------------------------- sums over all but channels
def channel_sum(x: Array) -> Array:
    """Sum over all axes but the last, in an order that depends on the shape only.

    Parameters
    ----------
    x : Array of shape (..., C)

    Returns
    -------
    Array of shape (C,)
    """
    xp = xp_of(x)
    C = x.shape[-1]
    rows = x.size // C
    x = xp.ascontiguousarray(x)
    # With few channels most threads of a warp would be idle. So several rows are read as one wide row; its parts are
    # added at the end.
    fold = math.gcd(rows, max(1, CHANNELS // C))
    slices, rows_per_slice = _slices(rows // fold)
    part = xp.empty((slices * fold, C), x.dtype)
    _reduce("column_sums", slices, fold * C, x, part, rows // fold, fold * C, rows_per_slice)
    if slices * fold == 1:
        return part.reshape(C)
    total = xp.empty(C, x.dtype)
    _reduce("column_sums", 1, C, part, total, slices * fold, C, slices * fold)
    return total


def _slices(rows: int) -> tuple[int, int]:
    """Into how many slices a reduction cuts its rows, and how many rows a slice has (the last may have fewer)."""
    rows_per_slice = max(MIN_SLICE_ROWS, -(-rows // MAX_SLICES))
    return -(-rows // rows_per_slice), rows_per_slice


# -------------------------------------------------------------------------------------------------- batch normalization
def batch_norm_forward(x: Array, gamma: Array, beta: Array, eps: float, alpha: float) -> tuple[Array, Array]:
    """Batch normalization with the batch's statistics, then LeakyReLU.

    Parameters
    ----------
    x : Array of shape (..., C)
    gamma, beta : Array of shape (C,)
    eps : float
    alpha : float
        Slope of LeakyReLU; 1 leaves batch normalization alone.

    Returns
    -------
    y : Array of shape (..., C)
    stats : Array of shape (3, C)
        Mean, biased variance, and 1 / sqrt(variance + eps).
    """
    xp, eps, alpha = xp_of(x, gamma, beta), float(eps), float(alpha)
    check_dtypes("batch_norm", x=x, gamma=gamma, beta=beta)
    x = xp.ascontiguousarray(x)
    C = x.shape[-1]
    rows = x.size // C
    slices, rows_per_slice = _slices(rows)
    part = xp.empty((2, slices, C), x.dtype)
    _reduce("moments", slices, C, x, part, rows, C, rows_per_slice)
    stats = xp.empty((3, C), x.dtype)
    _run(
        "moments_of_slices",
        (_blocks(C, CHANNELS),),
        (CHANNELS, LANES),
        part,
        stats,
        slices,
        rows,
        C,
        rows_per_slice,
        eps,
    )
    y = xp.empty(x.shape, x.dtype)
    _by_rows("batch_norm_forward", rows, C, x, stats, gamma, beta, y, rows, C, alpha)
    return y, stats


def batch_norm_backward(
    dy: Array,
    x: Array,
    y: Array | None,
    stats: Array,
    gamma: Array,
    alpha: float,
    *,
    input_grad: bool = True,
    beta: Array | None = None,
) -> tuple[Array | None, Array, Array]:
    """Gradients of `batch_norm_forward`.

    Parameters
    ----------
    dy, x : Array of shape (..., C)
    y : Array of shape (..., C) or None
        Only its sign is needed; it is not read if beta is given.
    stats : Array of shape (3, C)
    gamma : Array of shape (C,)
    alpha : float
    input_grad : bool
        Whether dx is wanted.
    beta : Array of shape (C,), optional
        As forward had it. With it, the sign of y is computed again from x, which is faster.

    Returns
    -------
    dx : Array or None
    dgamma, dbeta : Array of shape (C,)
    """
    xp, alpha = xp_of(dy, x), float(alpha)
    check_dtypes("batch_norm_backward", dy=dy, x=x, gamma=gamma)
    dy, x = xp.ascontiguousarray(dy), xp.ascontiguousarray(x)
    if beta is not None:
        y = None
    C = x.shape[-1]
    rows = x.size // C
    slices, rows_per_slice = _slices(rows)
    sums = xp.empty((slices, 2, C), x.dtype)
    _reduce("batch_norm_backward_sums", slices, C, x, y, dy, stats, gamma, beta, sums, rows, C, rows_per_slice, alpha)
    sums = channel_sum(sums.reshape(slices, 2 * C)) if slices > 1 else sums.reshape(2 * C)
    dx = None
    if input_grad:
        dx = xp.empty(x.shape, x.dtype)
        _by_rows("batch_norm_backward", rows, C, x, y, dy, stats, gamma, beta, sums, dx, rows, C, alpha)
    return dx, sums[C:], sums[:C]


def batch_norm_inference(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float, alpha: float
) -> Array:
    """Batch normalization with given statistics, then LeakyReLU; parameters as `batch_norm_forward`."""
    xp, eps, alpha = xp_of(x, gamma, beta, mean, variance), float(eps), float(alpha)
    check_dtypes("batch_norm_inference", x=x, gamma=gamma, beta=beta, mean=mean, variance=variance)
    x = xp.ascontiguousarray(x)
    C = x.shape[-1]
    y = xp.empty(x.shape, x.dtype)
    rows = x.size // C
    _by_rows("batch_norm_inference", rows, C, x, mean, variance, gamma, beta, y, rows, C, eps, alpha)
    return y


def update_moving_averages(
    buffers: dict[str, Array], mean: Array, variance: Array, correction: float, momentum: float
) -> None:
    """One update of a batch-normalization layer's buffers, in place: two calls of `minigan.nn.ops.moving_average`.

    Parameters
    ----------
    buffers : dict
        moving_mean, biased_mean, moving_variance, biased_variance, updates.
    mean, variance : Array of shape (C,)
        Of the batch.
    correction : float
        Factor for the variance.
    momentum : float
    """
    names = ("moving_mean", "biased_mean", "moving_variance", "biased_variance", "updates")
    arrays = [buffers[name] for name in names]
    _run("moving_averages", (1,), (THREADS,), mean, variance, *arrays, mean.size, float(correction), float(momentum))


# --------------------------------------------------------------------------------------------- activations and the loss
def leaky_relu_forward(x: Array, alpha: float) -> Array:
    """See `minigan.nn.ops.leaky_relu_forward`."""
    xp = xp_of(x)
    x = xp.ascontiguousarray(x)
    y = xp.empty(x.shape, x.dtype)
    _launch("leaky_relu_forward", x.size, x, y, np.int64(x.size), float(alpha))
    return y


def leaky_relu_backward(dy: Array, y: Array, alpha: float) -> Array:
    """See `minigan.nn.ops.leaky_relu_backward`."""
    xp = xp_of(dy, y)
    check_dtypes("leaky_relu_backward", dy=dy, y=y)
    dx = xp.empty(dy.shape, dy.dtype)
    _launch("leaky_relu_backward", dy.size, xp.ascontiguousarray(dy), y, dx, np.int64(dy.size), float(alpha))
    return dx


def tanh_backward(dy: Array, y: Array) -> Array:
    """See `minigan.nn.ops.tanh_backward`."""
    xp = xp_of(dy, y)
    check_dtypes("tanh_backward", dy=dy, y=y)
    dx = xp.empty(dy.shape, dy.dtype)
    _launch("tanh_backward", dy.size, xp.ascontiguousarray(dy), y, dx, np.int64(dy.size))
    return dx


def translate(x: Array, move: Array, sign: int) -> Array:
    """Images moved by `sign` times `move`, whole numbers (N, 2); see `minigan.nn.ops.translate_forward`."""
    xp = xp_of(x, move)
    _, H, W, C = x.shape
    y = xp.empty(x.shape, x.dtype)
    x, move = xp.ascontiguousarray(x), xp.ascontiguousarray(move, np.int64)
    _launch("translate", x.size, x, move, y, H, W, C, sign, np.int64(x.size))
    return y


def bce_forward(z: Array, target: Array, low: float, high: float) -> Array:
    """Mean binary cross-entropy, see `minigan.nn.losses.bce_with_logits_forward`; logits are clipped to [low, high]."""
    xp = xp_of(z, target)
    loss = xp.empty((), z.dtype)
    z, target = xp.ascontiguousarray(z), xp.ascontiguousarray(target, z.dtype)
    _run("bce_forward", (1,), (THREADS,), z, target, loss, z.size, float(low), float(high))
    return loss


def bce_backward(z: Array, target: Array, low: float, high: float, scale: float) -> Array:
    """Gradient of `bce_forward` for z, times `scale`."""
    xp = xp_of(z, target)
    dz = xp.empty(z.shape, z.dtype)
    z, target = xp.ascontiguousarray(z), xp.ascontiguousarray(target, z.dtype)
    _launch("bce_backward", z.size, z, target, dz, z.size, float(low), float(high), float(scale))
    return dz


def step_metrics(losses: Sequence[Array], z_real: Array, z_fake: Array) -> Array:
    """`minigan.gan.step.METRICS` of a step as one array (6,), from its three losses and D's logits on both batches."""
    metrics = xp_of(z_real).empty(6, z_real.dtype)
    _run("step_metrics", (1,), (THREADS,), *losses, z_real, z_fake, metrics, z_real.size)
    return metrics


# ------------------------------------------------------------------------------- all tensors of a network in one launch
class Averaging:
    """Moves many averages towards the latest values, with one launch."""

    def run(self, averages: Sequence[Array], latest: Sequence[Array], share: Array) -> None:
        """``average += share * (latest - average)`` for each of them; `share` is of shape () and stays on the GPU."""
        _run_on_all("move_average", [averages, latest], share)


class AdamSteps:
    """Adam's update of all parameters of a network, with two launches.

    The number of updates is counted on the device as well: when a recorded step is replayed, this code does not run, so
    the step must be able to count without it.
    """

    def __init__(self) -> None:
        self._t: Array | None = None
        self._rate: Array | None = None
        self._counted = -1  # the device's count, as far as the host knows

    def run(
        self,
        params: Sequence[Array],
        grads: Sequence[Array],
        m: Sequence[Array],
        v: Sequence[Array],
        *,
        t: int,
        learning_rate: float,
        beta_1: float,
        beta_2: float,
        epsilon: float,
    ) -> None:
        """The update number t, counted from 1; see `minigan.nn.optimizers.Adam` for the rest."""
        xp, dtype = xp_of(*params), params[0].dtype
        if self._t is None or self._rate is None or self._rate.dtype != dtype:
            self._t, self._rate = xp.zeros(1, np.int64), xp.empty(1, dtype)
            self._counted = 0
        if self._counted != t - 1:  # a checkpoint was loaded, or replays have counted
            self._t.fill(t - 1)
        decays = map(np.float64, (learning_rate, beta_1, beta_2))
        _kernel(xp, dtype.char, "adam_rate")((1,), (1,), (self._t, self._rate, *decays))
        factors = map(float, (beta_1, 1 - beta_1, beta_2, 1 - beta_2, epsilon))
        _run_on_all("adam", [params, grads, m, v], self._rate, *factors)
        self._counted = t


# ------------------------------------------------------------------------------------------------------------ launching
def _launch(name: str, threads: int, *args: Any) -> None:
    """A kernel with one thread per element."""
    _run(name, (_blocks(threads, THREADS),), (THREADS,), *args)


def _reduce(name: str, slices: int, C: int, *args: Any) -> None:
    """The first step of a reduction over rows."""
    _run(name, (slices, _blocks(C, CHANNELS)), (CHANNELS, LANES), *args)


def _by_rows(name: str, rows: int, C: int, *args: Any) -> None:
    """A kernel over the elements of a matrix (rows, C)."""
    _run(name, (_blocks(rows, ROWS_PER_BLOCK), _blocks(C, CHANNELS)), (CHANNELS, LANES), *args)


def _run(name: str, grid: tuple[int, ...], block: tuple[int, ...], *args: Any) -> None:
    """Queue a kernel. Types are not checked: int becomes C's int, any float the arrays' type, None a null pointer.

    So a number that a kernel takes for real, and that a user has given, has to be made a float first.
    """
    _call(args[0], name, grid, block, args)


def _run_tensors(
    name: str,
    grid: tuple[int, ...],
    block: tuple[int, ...],
    groups: Sequence[Sequence[Array]],
    sizes: Sequence[tuple[int, int]],
    *args: Any,
) -> None:
    """Queue a kernel that works on at most `MOST_TENSORS` arrays of each group, which belong together by their order.

    Their addresses and sizes are an argument of the kernel, so nothing has to be copied to the GPU first, and the
    arrays may be others at each call.
    """
    table = np.zeros(1, TENSORS)
    for k, arrays in enumerate(zip(*groups, strict=True)):
        table["at"][0, k, : len(arrays)] = [address(a) for a in arrays]
        table["rows"][0, k], table["columns"][0, k] = sizes[k]
    _call(groups[0][0], name, grid, block, (table, *args))


def _run_on_all(name: str, groups: Sequence[Sequence[Array]], *args: Any) -> None:
    """Queue a kernel over all elements of many arrays.

    Raises
    ------
    ValueError
        If an array is not contiguous.
    """
    for a in (a for group in groups for a in group):
        if not a.flags.c_contiguous:
            raise ValueError(f"on a GPU, parameters and gradients must be contiguous, got strides {a.strides}")
    for some in _batches(groups[0]):
        few = [group[some] for group in groups]
        sizes = [(1, a.size) for a in few[0]]
        blocks = min(_blocks(max(a.size for a in few[0]), THREADS), MOST_BLOCKS)
        _run_tensors(name, (blocks, len(few[0])), (THREADS,), few, sizes, *args)


def _batches(arrays: Sequence[Array]) -> list[slice]:
    return [slice(k, k + MOST_TENSORS) for k in range(0, len(arrays), MOST_TENSORS)]


def _call(beside: Array, name: str, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...]) -> None:
    dtype = beside.dtype
    real = dtype.type
    as_c: dict[type, Any] = {int: np.int32, float: real, np.float64: real, np.float32: real, type(None): _null}
    kernel = _kernel(xp_of(beside), dtype.char, name)
    kernel(grid, block, tuple(as_c[type(a)](a) if type(a) in as_c else a for a in args))


def _null(_: None) -> np.uintp:
    return np.uintp(0)


def _blocks(count: int, per_block: int) -> int:
    return -(-count // per_block)


@functools.cache
def _kernel(xp: Any, dtype: str, name: str) -> Any:
    return compiled(xp, dtype).get_function(name)


@functools.cache
def compiled(xp: Any, dtype: str) -> Any:
    """The kernels for arrays of a dtype ("f" or "d"), as a module of CuPy's; it is compiled at the first use."""
    source = Path(__file__).with_suffix(".cu").read_text(encoding="utf-8")
    real = {"f": "float", "d": "double"}[dtype]
    return xp.RawModule(code=source, options=("-std=c++14", f"-DREAL={real}"))
