"""The fast functions for a GPU: one launch where the plain code makes ten.

A GPU does a step of this small network in a few milliseconds, and every launch takes several microseconds, whatever it
computes. So the functions here give the same results as those of `minigan.nn`, with fewer launches: the three
convolutions (with Winograd's F(2,2) where it is possible, else with im2col), batch normalization together with
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
from minigan.nn.backend import Array, backend_of, xp_of
from minigan.nn.geometry import Pad, Size, output_size

CHUNK_BYTES = 1 << 29
"""How large one matrix of patches or tiles may be. A batch of 64 needs much less. A huge batch is cut into parts, which
limits memory and keeps the kernels' 32-bit indices valid."""

MIN_CHANNELS = 16
"""Winograd is used from so many channels in and out: with 3 channels its transforms take longer than they save."""

# These stand in kernels.cu as well.
CHANNELS, LANES, ROWS_PER_BLOCK = 32, 8, 32
THREADS = 256
MIN_SLICE_ROWS, MAX_SLICES = 128, 256
PIECE = 2048
"""Elements of a tensor that one block of `PieceTable` handles."""


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


def conv_forward(x: Array, w: Array, stride: int, pad: Pad, b: Array | None = None) -> Array:
    """See `minigan.nn.loops.conv_forward`."""
    xp = xp_of(x, w)
    x, w = xp.ascontiguousarray(x), xp.ascontiguousarray(w)
    N, H, W, C = x.shape
    Kh, Kw, _, O = w.shape
    Ho, Wo = output_size((H, W), (Kh, Kw), stride, pad)
    y = xp.empty((N, Ho, Wo, O), x.dtype)
    if suits((Kh, Kw), stride, pad, (H, W), (C, O)):
        u = _winograd_kernel(w)  # (9, 4C, O)
        for n in _chunks(N, _tile_bytes(x, Ho, Wo)):
            v = _winograd_gather(x[n])  # (9, tiles, 4C)
            _winograd_output(matmul(v, u), b, y[n])
        return y
    for n in _chunks(N, Ho * Wo * Kh * Kw * C * x.dtype.itemsize):
        cols = im2col(x[n], (Kh, Kw), stride, pad)  # (n*Ho*Wo, Kh*Kw*C)
        matmul(cols, w.reshape(-1, O), out=y[n].reshape(-1, O))
    if b is not None:
        y += b
    return y


def conv_input_grad(dy: Array, w: Array, stride: int, pad: Pad, size: Size, b: Array | None = None) -> Array:
    """See `minigan.nn.loops.conv_input_grad`."""
    xp = xp_of(dy, w)
    dy, w = xp.ascontiguousarray(dy), xp.ascontiguousarray(w)
    N, Ho, Wo, O = dy.shape
    Kh, Kw, C, _ = w.shape
    dx = xp.empty((N, *size, C), dy.dtype)
    if suits((Kh, Kw), stride, pad, size, (C, O)):
        u = _winograd_kernel(w)  # (9, 4C, O)
        for n in _chunks(N, _tile_bytes(dx, Ho, Wo)):
            dm = _winograd_output_adjoint(dy[n])  # (9, tiles, O)
            _winograd_gather_adjoint(matmul(dm, u, transpose_b=True), b, dx[n])
        return dx
    w2 = w.reshape(-1, O)  # (Kh*Kw*C, O)
    if _is_one_patch((Ho, Wo), (Kh, Kw), pad, size):
        matmul(dy.reshape(N, O), w2, transpose_b=True, out=dx.reshape(N, -1))
        if b is not None:
            dx += b
        return dx
    for n in _chunks(N, Ho * Wo * Kh * Kw * C * dy.dtype.itemsize):
        cols = matmul(dy[n].reshape(-1, O), w2, transpose_b=True)  # (n*Ho*Wo, Kh*Kw*C)
        _col2im(cols.reshape(-1, Ho, Wo, Kh, Kw, C), stride, pad, b, dx[n])
    return dx


def conv_weight_grad(x: Array, dy: Array, stride: int, pad: Pad, kernel_size: Size) -> Array:
    """See `minigan.nn.loops.conv_weight_grad`."""
    xp = xp_of(x, dy)
    x, dy = xp.ascontiguousarray(x), xp.ascontiguousarray(dy)
    N, H, W, C = x.shape
    _, Ho, Wo, O = dy.shape
    Kh, Kw = kernel_size
    dw = xp.empty((Kh, Kw, C, O), x.dtype)
    if suits(kernel_size, stride, pad, (H, W), (C, O)):
        du = xp.empty((9, 4 * C, O), x.dtype)
        for n in _chunks(N, _tile_bytes(x, Ho, Wo)):
            v, dm = _winograd_gather(x[n]), _winograd_output_adjoint(dy[n])  # (9, tiles, 4C), (9, tiles, O)
            matmul(v, dm, transpose_a=True, out=du, accumulate=n.start > 0)
        _launch("winograd_kernel_adjoint", dw.size, du, dw, C, O)
        return dw
    for n in _chunks(N, Ho * Wo * Kh * Kw * C * x.dtype.itemsize):
        cols = im2col(x[n], kernel_size, stride, pad)  # (n*Ho*Wo, Kh*Kw*C)
        matmul(cols, dy[n].reshape(-1, O), transpose_a=True, out=dw.reshape(-1, O), accumulate=n.start > 0)
    return dw


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
    _launch("im2col", cols.size, x, cols, N, H, W, C, Ho, Wo, Kh, Kw, stride, pad[0][0], pad[1][0])
    return cols


def _col2im(cols: Array, stride: int, pad: Pad, b: Array | None, dx: Array) -> None:
    N, H, W, C = dx.shape
    _, Ho, Wo, Kh, Kw, _ = cols.shape
    _launch("col2im", dx.size, cols, b, dx, N, H, W, C, Ho, Wo, Kh, Kw, stride, pad[0][0], pad[1][0])


def _is_one_patch(output: Size, kernel_size: Size, pad: Pad, size: Size) -> bool:
    """Whether the only patch of each image is the image itself, as in the generator's first layer."""
    return output == (1, 1) and size == kernel_size and pad == ((0, 0), (0, 0))


def _tiles(Ho: int, Wo: int) -> Size:
    return -(-Ho // 2), -(-Wo // 2)


def _tile_bytes(x: Array, Ho: int, Wo: int) -> int:
    return 9 * math.prod(_tiles(Ho, Wo)) * 4 * x.shape[3] * x.dtype.itemsize


def _winograd_kernel(w: Array) -> Array:
    _, _, C, O = w.shape
    u = xp_of(w).empty((9, 4 * C, O), w.dtype)
    _launch("winograd_kernel", 4 * C * O, w, u, C, O)
    return u


def _winograd_gather(x: Array) -> Array:
    N, H, W, C = x.shape
    tall, wide = _tiles(H // 2, W // 2)
    v = xp_of(x).empty((9, N * tall * wide, 4 * C), x.dtype)
    _launch("winograd_gather", v.size // 9, x, v, N, H, W, C, tall, wide)
    return v


def _winograd_gather_adjoint(dv: Array, b: Array | None, dx: Array) -> None:
    N, H, W, C = dx.shape
    _launch("winograd_gather_adjoint", dx.size, dv, b, dx, N, H, W, C, *_tiles(H // 2, W // 2))


def _winograd_output(m: Array, b: Array | None, y: Array) -> None:
    N, Ho, Wo, O = y.shape
    _launch("winograd_output", m.size // 9, m, b, y, N, Ho, Wo, O, *_tiles(Ho, Wo))


def _winograd_output_adjoint(dy: Array) -> Array:
    N, Ho, Wo, O = dy.shape
    tall, wide = _tiles(Ho, Wo)
    dm = xp_of(dy).empty((9, N * tall * wide, O), dy.dtype)
    _launch("winograd_output_adjoint", dm.size // 9, dy, dm, N, Ho, Wo, O, tall, wide)
    return dm


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
    xp = xp_of(x, gamma, beta)
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
    dy: Array, x: Array, y: Array, stats: Array, gamma: Array, alpha: float, *, input_grad: bool = True
) -> tuple[Array | None, Array, Array]:
    """Gradients of `batch_norm_forward`.

    Parameters
    ----------
    dy, x, y : Array of shape (..., C)
    stats : Array of shape (3, C)
    gamma : Array of shape (C,)
    alpha : float
    input_grad : bool
        Whether dx is wanted.

    Returns
    -------
    dx : Array or None
    dgamma, dbeta : Array of shape (C,)
    """
    xp = xp_of(dy, x, y)
    dy, x = xp.ascontiguousarray(dy), xp.ascontiguousarray(x)
    C = x.shape[-1]
    rows = x.size // C
    slices, rows_per_slice = _slices(rows)
    sums = xp.empty((slices, 2, C), x.dtype)
    _reduce("batch_norm_backward_sums", slices, C, x, y, dy, stats, sums, rows, C, rows_per_slice, alpha)
    sums = channel_sum(sums.reshape(slices, 2 * C)) if slices > 1 else sums.reshape(2 * C)
    dx = None
    if input_grad:
        dx = xp.empty(x.shape, x.dtype)
        _by_rows("batch_norm_backward", rows, C, x, y, dy, stats, gamma, sums, dx, rows, C, alpha)
    return dx, sums[C:], sums[:C]


def batch_norm_inference(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float, alpha: float
) -> Array:
    """Batch normalization with given statistics, then LeakyReLU; parameters as `batch_norm_forward`."""
    xp = xp_of(x, gamma, beta, mean, variance)
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
    _run("moving_averages", (1,), (THREADS,), mean, variance, *arrays, mean.size, correction, momentum)


# --------------------------------------------------------------------------------------------- activations and the loss
def leaky_relu_forward(x: Array, alpha: float) -> Array:
    """See `minigan.nn.ops.leaky_relu_forward`."""
    xp = xp_of(x)
    x = xp.ascontiguousarray(x)
    y = xp.empty(x.shape, x.dtype)
    _launch("leaky_relu_forward", x.size, x, y, np.int64(x.size), alpha)
    return y


def leaky_relu_backward(dy: Array, y: Array, alpha: float) -> Array:
    """See `minigan.nn.ops.leaky_relu_backward`."""
    xp = xp_of(dy, y)
    dx = xp.empty(dy.shape, dy.dtype)
    _launch("leaky_relu_backward", dy.size, xp.ascontiguousarray(dy), y, dx, np.int64(dy.size), alpha)
    return dx


def tanh_backward(dy: Array, y: Array) -> Array:
    """See `minigan.nn.ops.tanh_backward`."""
    xp = xp_of(dy, y)
    dx = xp.empty(dy.shape, dy.dtype)
    _launch("tanh_backward", dy.size, xp.ascontiguousarray(dy), y, dx, np.int64(dy.size))
    return dx


def translate(x: Array, move: Array, sign: int) -> Array:
    """Images moved by `sign` times `move`, an array (N, 2) of int64; see `minigan.gan.augment.translate_forward`."""
    xp = xp_of(x, move)
    _, H, W, C = x.shape
    y = xp.empty(x.shape, x.dtype)
    x, move = xp.ascontiguousarray(x), xp.ascontiguousarray(move)
    _launch("translate", x.size, x, move, y, H, W, C, sign, np.int64(x.size))
    return y


def bce_forward(z: Array, target: Array, low: float, high: float) -> Array:
    """Mean binary cross-entropy, see `minigan.nn.losses.bce_with_logits_forward`; logits are clipped to [low, high]."""
    xp = xp_of(z, target)
    loss = xp.empty((), z.dtype)
    _run(
        "bce_forward", (1,), (THREADS,), xp.ascontiguousarray(z), xp.ascontiguousarray(target), loss, z.size, low, high
    )
    return loss


def bce_backward(z: Array, target: Array, low: float, high: float, scale: float) -> Array:
    """Gradient of `bce_forward` for z, times `scale`."""
    xp = xp_of(z, target)
    dz = xp.empty(z.shape, z.dtype)
    _launch("bce_backward", z.size, xp.ascontiguousarray(z), xp.ascontiguousarray(target), dz, z.size, low, high, scale)
    return dz


def step_metrics(losses: Sequence[Array], z_real: Array, z_fake: Array) -> Array:
    """`minigan.gan.step.METRICS` of a step as one array (6,), from its three losses and D's logits on both batches."""
    metrics = xp_of(z_real).empty(6, z_real.dtype)
    _run("step_metrics", (1,), (THREADS,), *losses, z_real, z_fake, metrics, z_real.size)
    return metrics


# ------------------------------------------------------------------------------- all tensors of a network in one launch
class PieceTable:
    """The addresses of the pieces of many arrays, so that one kernel can work on all: a row of the table per block.

    It keeps the arrays alive. It can be used as long as these are the arrays to work on; `fits` says whether they are.

    Parameters
    ----------
    *groups : sequence of Array
        Arrays that are used together, such as parameters and their gradients: same shapes, same order, one dtype,
        contiguous.

    Raises
    ------
    ValueError
        If an array is not contiguous.
    """

    def __init__(self, *groups: Sequence[Array]) -> None:
        for a in (a for group in groups for a in group):
            if not a.flags.c_contiguous:
                raise ValueError(f"on a GPU, parameters and gradients must be contiguous, got strides {a.strides}")
        self._groups = [list(group) for group in groups]
        self._places = _places(groups)
        rows = [
            [*(address(a) + start * a.dtype.itemsize for a in arrays), min(PIECE, arrays[0].size - start)]
            for arrays in zip(*groups, strict=True)
            for start in range(0, arrays[0].size, PIECE)
        ]
        self.dtype = self._groups[0][0].dtype
        self.rows = backend_of(*self._groups[0]).asarray(np.array(rows, np.int64))  # (blocks, groups + 1)

    def fits(self, *groups: Sequence[Array]) -> bool:
        """Whether the table was made of exactly these arrays."""
        return self._places == _places(groups)

    def run(self, name: str, *args: Any) -> None:
        """Queue a kernel with one block per row."""
        _kernel(xp_of(self.rows), self.dtype.char, name)((len(self.rows),), (THREADS,), (self.rows, *args))


def _places(groups: Sequence[Sequence[Array]]) -> list[list[tuple[int, int]]]:
    return [[(address(a), a.size) for a in group] for group in groups]


class Zeroing:
    """Sets many arrays to 0 with one launch."""

    def __init__(self) -> None:
        self._table: PieceTable | None = None

    def run(self, arrays: Sequence[Array]) -> None:
        """Set these arrays to 0; fastest if they are the same in every call."""
        if self._table is None or not self._table.fits(arrays):
            self._table = PieceTable(arrays)
        self._table.run("fill_zero")


class Averaging:
    """Moves many averages towards the latest values, with one launch."""

    def __init__(self) -> None:
        self._table: PieceTable | None = None

    def run(self, averages: Sequence[Array], latest: Sequence[Array], share: Array) -> None:
        """``average += share * (latest - average)`` for each of them; `share` is of shape () and stays on the GPU."""
        if self._table is None or not self._table.fits(averages, latest):
            self._table = PieceTable(averages, latest)
        self._table.run("move_average", share)


class AdamSteps:
    """Adam's update of all parameters of a network, with two launches.

    The number of updates is counted on the device as well: when a recorded step is replayed, this code does not run, so
    the step must be able to count without it.
    """

    def __init__(self) -> None:
        self._table: PieceTable | None = None
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
        if self._table is None or not self._table.fits(params, grads, m, v):
            self._table = PieceTable(params, grads, m, v)
            self._t, self._rate = xp.zeros(1, np.int64), xp.empty(1, dtype)
            self._counted = 0
        if self._counted != t - 1:  # a checkpoint was loaded, or replays have counted
            self._t.fill(t - 1)
        decays = map(np.float64, (learning_rate, beta_1, beta_2))
        _kernel(xp, dtype.char, "adam_rate")((1,), (1,), (self._t, self._rate, *decays))
        self._table.run("adam", self._rate, *map(dtype.type, (beta_1, 1 - beta_1, beta_2, 1 - beta_2, epsilon)))
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
    """Queue a kernel. Types are not checked: int becomes C's int, float the arrays' type, None a null pointer."""
    first = args[0]
    as_c: dict[type, Any] = {int: np.int32, float: first.dtype.type, type(None): lambda _: np.uintp(0)}
    kernel = _kernel(xp_of(first), first.dtype.char, name)
    kernel(grid, block, tuple(as_c[type(a)](a) if type(a) in as_c else a for a in args))


def _blocks(count: int, per_block: int) -> int:
    return -(-count // per_block)


@functools.cache
def _kernel(xp: Any, dtype: str, name: str) -> Any:
    return _module(xp, dtype).get_function(name)


@functools.cache
def _module(xp: Any, dtype: str) -> Any:
    source = Path(__file__).with_suffix(".cu").read_text(encoding="utf-8")
    real = {"f": "float", "d": "double"}[dtype]
    return xp.RawModule(code=source, options=("-std=c++14", f"-DREAL={real}"))
