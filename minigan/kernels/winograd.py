"""Convolution with fewer multiplications: Winograd's minimal filtering, after a stride is split into phases.

Begin with one dimension, a filter of two taps g0, g1, and two neighbouring outputs:

    y0 = d0*g0 + d1*g1            four multiplications, the way `minigan.kernels.loops` does it
    y1 = d1*g0 + d2*g1

    m0 = (d0 - d1) * g0           three, and the same outputs
    m1 = d1 * (g0 + g1)           y0 = m0 + m1
    m2 = (d2 - d1) * g1           y1 = m1 + m2

Multiply it out: it is exact, and all it costs are a few additions. In two dimensions the trick is nested, rows first
and then columns: a tile of 2 x 2 outputs takes 3 x 3 = 9 multiplications instead of 16. With channels, each of the nine
is a matrix product, and matrix products are where the time goes:

    V[r,s] = transform of the input tiles     (tiles, C)      `_input_tiles`
    U[r,s] = transform of the kernel          (C, O)          `_kernel_tiles`
    M[r,s] = V[r,s] @ U[r,s]                  (tiles, O)      nine products
    y      = transform of M back              2 x 2 outputs   `_join` along columns, then along rows

The networks' kernels are 4 x 4 with stride 2. But look at the picture's even and odd rows and columns as *channels*: a
block of S x S pixels becomes one pixel with S*S*C channels, and the kernel becomes one of 2 x 2 taps with stride 1,
which is just the filter above. (Any kernel of 2S x 2S with stride S will do.) Nothing is computed for that; it is only
another way to read the same memory.

Every line above is linear, so the gradients are the same lines read backwards, each transform replaced by its adjoint:

    dM = `_output_tiles`(dy)      dV = dM @ U^T      dx = `_overlap`(dV) along columns, then along rows
                                  dU = V^T @ dM      dw = `_kernel`(dU)

NumPy only; `minigan.kernels.cuda` does the same on a GPU. Legend: `minigan.conv`; besides, S*S*C is written D, and a
tile has its place (k, l) in the (Th, Tw) tiles of a picture.

References
----------
A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", arXiv:1509.09308, sections 4.1 and 4.2.
S. Winograd, "Arithmetic complexity of computations", SIAM, 1980.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from minigan.backend import Array
from minigan.kernels import im2col
from minigan.kernels.geometry import Pad, Size, output_size
from minigan.kernels.pieces import add_to_channels
from minigan.memory import New, empty, scratch
from minigan.threads import each, lanes, spans, thread_count

TILES = 1024
"""About how many tiles go into one set of products: enough rows for a fast product, few enough to stay in the cache."""

LANES = 8
"""Most partial sums of a kernel's gradient: each is 9/4 times as large as the kernel."""


def suits(kernel_size: Size, stride: int) -> bool:
    """Whether this file can do a geometry: a kernel of 2S x 2S with stride S. Sizes and padding may be any.

    >>> suits((4, 4), 2), suits((2, 2), 1), suits((3, 3), 1)
    (True, True, False)
    """
    return kernel_size == (2 * stride, 2 * stride)


def pays(tiles: int, C: int, O: int) -> bool:
    """Whether it is likely to be faster than im2col: transforms are spread over channels, the kernel's over tiles."""
    return min(C, O) >= 16 and tiles >= 32


def conv_forward(x: Array, w: Array, stride: int, pad: Pad, b: Array | None = None) -> Array:
    """See `minigan.kernels.loops.conv_forward`; the same numbers, up to rounding, from 9/16 of the multiplications."""
    N, H, W, _ = x.shape
    O = w.shape[3]
    Ho, Wo = output_size((H, W), w.shape[:2], stride, pad)
    tiles = -(-Ho // 2), -(-Wo // 2)
    U = _kernel_tiles(w, stride)  # (3, 3, D, O)
    y = empty((N, Ho, Wo, O), x.dtype)

    def images(n: slice) -> None:
        with np.errstate(all="ignore"), scratch() as new:
            M = new((3, 3, n.stop - n.start, *tiles, O), x.dtype)
            for r, V in _input_tiles(x[n], stride, pad, tiles, new):
                for s in range(3):
                    np.matmul(V[s], U[r, s], out=M[r, s].reshape(-1, O))  # (n*Th*Tw, D) @ (D, O)
                if r == 1 and b is not None:
                    M[1, 1] += b  # the middle product goes into each of the four outputs once
                _join(M[r])
            for j in range(2):
                _join(M[:, 2 * j], y[n, :, j::2])
            fine = _finite(y[n])
        if not fine:
            y[n] = im2col.conv_forward(x[n], w, stride, pad, b)

    each(images, _images(N, tiles))
    return y


def conv_input_grad(dy: Array, w: Array, stride: int, pad: Pad, size: Size, b: Array | None = None) -> Array:
    """See `minigan.kernels.loops.conv_input_grad`."""
    N, Ho, Wo, _ = dy.shape
    D = stride * stride * w.shape[2]
    Th, Tw = tiles = -(-Ho // 2), -(-Wo // 2)
    U = _kernel_tiles(w, stride)  # (3, 3, D, O)
    dx = empty((N, *size, w.shape[2]), dy.dtype)

    def images(n: slice) -> None:
        m = n.stop - n.start
        with np.errstate(all="ignore"), scratch() as new:
            even, odd = new((3, m, Th, Tw + 1, D), dy.dtype), new((3, m, Th, Tw, D), dy.dtype)  # blocks of columns
            first, last = new((2, m, Th, Tw, D), dy.dtype)
            for r, dM in _output_tiles(dy[n], tiles, new):
                for s, dV in enumerate((first, odd[r], last)):
                    np.matmul(dM[s], U[r, s].T, out=dV.reshape(-1, D))  # (n*Th*Tw, O) @ (O, D)
                _overlap(first, odd[r], last, even[r], axis=2)
            even_even, even_odd = new((m, Th + 1, Tw + 1, D), dy.dtype), new((m, Th + 1, Tw, D), dy.dtype)
            _overlap(even[0], even[1], even[2], even_even, axis=1)
            _overlap(odd[0], odd[1], odd[2], even_odd, axis=1)
            _to_picture(((even_even, even_odd), (even[1], odd[1])), dx[n], stride, pad, new)
            if b is not None:
                add_to_channels(dx[n], b)
            fine = _finite(dx[n])
        if not fine:
            dx[n] = im2col.conv_input_grad(dy[n], w, stride, pad, size, b)

    each(images, _images(N, tiles))
    return dx


def conv_weight_grad(x: Array, dy: Array, stride: int, pad: Pad, kernel_size: Size) -> Array:
    """See `minigan.kernels.loops.conv_weight_grad`."""
    N, Ho, Wo, O = dy.shape
    C = x.shape[3]
    tiles = -(-Ho // 2), -(-Wo // 2)
    shares = lanes(np, N, most=LANES)
    dU = empty((len(shares), 3, 3, stride, stride, C, O), x.dtype)

    def share(lane: int) -> None:
        mine = dU[lane].reshape(3, 3, -1, O)  # (3, 3, D, O)
        for n in _images(N, tiles, shares[lane]):
            with np.errstate(all="ignore"), scratch() as new:
                product = new(mine.shape[2:], mine.dtype)
                pairs = zip(_input_tiles(x[n], stride, pad, tiles, new), _output_tiles(dy[n], tiles, new), strict=True)
                for (r, V), (_, dM) in pairs:
                    for s in range(3):
                        if n.start == shares[lane].start:
                            np.matmul(V[s].T, dM[s], out=mine[r, s])  # (D, n*Th*Tw) @ (n*Th*Tw, O)
                        else:
                            mine[r, s] += np.matmul(V[s].T, dM[s], out=product)

    each(share, range(len(shares)))
    dw, fine = _kernel(dU)
    return dw if fine else im2col.conv_weight_grad(x, dy, stride, pad, kernel_size)


# ------------------------------------------------------------------------------------------ the transforms and adjoints
def _input_tiles(x: Array, S: int, pad: Pad, tiles: Size, new: New) -> Iterator[tuple[int, list[Array]]]:
    """The nine V: for both rows and columns d0 - d1, d1, d2 - d1, where d0, d2 are even blocks and d1 is an odd one.

    Yields r and [V[r,0], V[r,1], V[r,2]], each (n*Th*Tw, D), in memory that is used again for the next r.
    """
    Th, Tw = tiles
    n, D = x.shape[0], S * S * x.shape[3]
    (even_even, even_odd), (odd_even, odd_odd) = _to_blocks(x, S, pad, tiles, new)
    even_room, odd_room = new((n, Th, Tw + 1, D), x.dtype), new((n, Th, Tw, D), x.dtype)
    left, right = new((2, n, Th, Tw, D), x.dtype)
    for r in range(3):
        if r == 1:
            even, odd = odd_even, odd_odd
        else:
            above = slice(r // 2, r // 2 + Th)  # or below
            even = np.subtract(even_even[:, above], odd_even, out=even_room)
            odd = np.subtract(even_odd[:, above], odd_odd, out=odd_room)
        np.subtract(even[:, :, :-1], odd, out=left)
        np.subtract(even[:, :, 1:], odd, out=right)
        yield r, [V.reshape(-1, D) for V in (left, odd, right)]


def _overlap(first: Array, middle: Array, last: Array, even: Array, axis: int) -> None:
    """Adjoint of `_input_tiles` along one axis: middle becomes the odd blocks, and even the even ones.

    An even block belongs to two tiles, as the last of one and the first of the next; an odd one to its tile only.
    """
    middle -= first
    middle -= last
    first, last, even = (np.moveaxis(a, axis, 0) for a in (first, last, even))
    even[0] = first[0]
    even[-1] = last[-1]
    np.add(first[1:], last[:-1], out=even[1:-1])


def _join(m: Array, y: Array | None = None) -> None:
    """Along one axis, y0 = m0 + m1 and y1 = m1 + m2.

    Without y, columns: m (3, n, Th, Tw, O) is changed in place, into y0, m1, y1. With y (n, Ho, Tw', O), rows: y0 and
    y1 become its even and odd rows; at the lower and right edge of an odd size a tile is only half used.
    """
    if y is None:
        m[0] += m[1]
        m[2] += m[1]
        return
    for i in range(2):
        rows = y[:, i::2]
        h, w = rows.shape[1:3]
        np.add(m[i, :, :h, :w], m[i + 1, :, :h, :w], out=rows)


def _output_tiles(dy: Array, tiles: Size, new: New) -> Iterator[tuple[int, list[Array]]]:
    """Adjoint of `_join`: for both rows and columns dy0, dy0 + dy1, dy1.

    Yields r and [dM[r,0], dM[r,1], dM[r,2]], each (n*Th*Tw, O), in memory that is used again for the next r.
    """
    n, Ho, Wo, O = dy.shape
    Th, Tw = tiles
    if Ho % 2 or Wo % 2:
        whole = new((n, 2 * Th, 2 * Tw, O), dy.dtype)
        whole.fill(0)
        whole[:, :Ho, :Wo] = dy
        dy = whole
    left, both, right = new((3, n, Th, Tw, O), dy.dtype)
    for r in range(3):
        for j, d in enumerate((left, right)):
            if r == 1:
                np.add(dy[:, 0::2, j::2], dy[:, 1::2, j::2], out=d)
            else:
                d[...] = dy[:, r // 2 :: 2, j::2]
        np.add(left, right, out=both)
        yield r, [dM.reshape(-1, O) for dM in (left, both, right)]


def _kernel_tiles(w: Array, S: int) -> Array:
    """U: for both rows and columns g0, g0 + g1, g1. Shape (3, 3, D, O)."""
    C, O = w.shape[2:]
    g = w.reshape(2, S, 2, S, C, O)
    U = empty((3, 3, S, S, C, O), w.dtype)

    def phase(place: tuple[int, int]) -> None:
        p, q = place
        rows = g[0, p, :, q], g[0, p, :, q] + g[1, p, :, q], g[1, p, :, q]  # three times (2, C, O)
        for r, (g0, g1) in enumerate(rows):
            U[r, 0, p, q] = g0
            U[r, 2, p, q] = g1
            np.add(g0, g1, out=U[r, 1, p, q])

    each(phase, [(p, q) for p in range(S) for q in range(S)])
    return U.reshape(3, 3, S * S * C, O)


def _kernel(dU: Array) -> tuple[Array, bool]:
    """Adjoint of `_kernel_tiles`, of the sum over the lanes: dU (lanes, 3, 3, S, S, C, O) to dw (2S, 2S, C, O).

    Works in place on dU. Also says whether all of it is `_finite`.
    """
    S, _, C, O = dU.shape[3:]
    dw = empty((2, S, 2, S, C, O), dU.dtype)

    fine = []

    def phase(place: tuple[int, int]) -> None:
        p, q = place
        with np.errstate(all="ignore"):
            total = dU[0, :, :, p, q]  # (3, 3, C, O)
            for lane in dU[1:]:
                total += lane[:, :, p, q]
            for i in range(2):
                row = total[i] + total[i + 1]
                for j in range(2):
                    np.add(row[j], row[j + 1], out=dw[i, p, j, q])
            fine.append(_finite(dw[:, p, :, q]))

    each(phase, [(p, q) for p in range(S) for q in range(S)])
    return dw.reshape(2 * S, 2 * S, C, O), all(fine)


# ------------------------------------------------------------------------------------------------- pictures and blocks
Blocks: TypeAlias = tuple[tuple[Array, Array], tuple[Array, Array]]
"""Even and odd rows of blocks, of each the even and odd columns: (n, Th + 1 or Th, Tw + 1 or Tw, D).

Tile (k, l) takes the blocks 2k, 2k + 1 and 2k + 2 of both directions, so there is one even block more than tiles.
"""


def _to_blocks(x: Array, S: int, pad: Pad, tiles: Size, new: New) -> Blocks:
    """A picture in blocks of S x S pixels, with zeros around it."""
    (top, _), (left, _) = pad
    n, H, W, C = x.shape
    Th, Tw = tiles
    padded, views = _padded(n, tiles, S, C, x.dtype, new)
    h, w = min(H, max(0, padded.shape[1] - top)), min(W, max(0, padded.shape[2] - left))
    padded[:, :top] = 0
    padded[:, top + h :] = 0
    padded[:, top : top + h, :left] = 0
    padded[:, top : top + h, left + w :] = 0
    padded[:, top : top + h, left : left + w] = x[:, :h, :w]
    rows = [[new((n, Th + i, Tw + j, S * S * C), x.dtype) for j in (1, 0)] for i in (1, 0)]
    for i in range(2):
        for j in range(2):
            view = views[i, j, :, : Th + 1 - i, : Tw + 1 - j]
            rows[i][j].reshape(view.shape)[...] = view
    return (rows[0][0], rows[0][1]), (rows[1][0], rows[1][1])


def _to_picture(blocks: Blocks, dx: Array, S: int, pad: Pad, new: New) -> None:
    """Adjoint of `_to_blocks`: every pixel from its block; what lies beyond the last tap, if anything, is 0."""
    (top, _), (left, _) = pad
    n, H, W, C = dx.shape
    Th, Tw = blocks[1][1].shape[1:3]
    padded, views = _padded(n, (Th, Tw), S, C, dx.dtype, new)
    for i in range(2):
        for j in range(2):
            view = views[i, j, :, : Th + 1 - i, : Tw + 1 - j]
            view[...] = blocks[i][j].reshape(view.shape)
    h, w = max(0, min(H, (2 * Th + 1) * S - top)), max(0, min(W, (2 * Tw + 1) * S - left))
    dx[:, :h, :w] = padded[:, top : top + h, left : left + w]
    dx[:, h:] = 0
    dx[:, :h, w:] = 0


def _padded(n: int, tiles: Size, S: int, C: int, dtype: np.dtype, new: New) -> tuple[Array, Array]:
    """Room for padded pictures, and the same memory as blocks: (row even or odd, column even or odd, n, ..., S, S*C).

    The last odd row and column of blocks belong to no tile.
    """
    Th, Tw = tiles
    padded = new((n, (Th + 1) * 2 * S, (Tw + 1) * 2 * S, C), dtype)
    return padded, padded.reshape(n, Th + 1, 2, S, Tw + 1, 2, S * C).transpose(2, 5, 0, 1, 4, 3, 6)


def _images(N: int, tiles: Size, within: slice | None = None) -> list[slice]:
    """Images by the handful: about TILES tiles at a time, and at least one handful for every thread."""
    first, last = (within.start, within.stop) if within else (0, N)
    share = last - first if within else -(-N // thread_count())
    size = max(1, min(TILES // (tiles[0] * tiles[1]), share))
    return [slice(first + n.start, first + n.stop) for n in spans(np, last - first, size)]


def _finite(a: Array) -> bool:
    """Whether all are finite. A sum of very large numbers may overflow: a false alarm, which costs time only.

    One infinite or undefined number spreads over its whole tile here, and a difference of huge ones can overflow where
    the plain sum of products would not. Callers then compute those images with im2col.
    """
    return math.isfinite(a.sum())
