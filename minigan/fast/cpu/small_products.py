"""Matrix products in pieces that are small enough for BLAS to compute them at once.

For a large product, BLAS first copies both factors into an order that suits the processor. That pays if both have many
rows and columns. In Winograd's convolution the kernel's factor is large and the images' factor has few rows, so copying
takes up to a third of the time. For processors with AVX-512, OpenBLAS has code that needs no copies, for products of at
most `LIMIT` multiply-adds. So the kernel is kept in blocks of a few columns (`block_width`), and `multiply` takes a few
rows and one block at a time.

With any other BLAS there is one block, and one product: it would copy for each piece.

References
----------
OpenBLAS, pull request 3335: "Add GEMM optimization for small matrix and single/double kernel for skylakex".
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from minigan.fast.cpu.memory import New
from minigan.nn.backend import Array
from minigan.system.workers import blas_architectures

ARCHITECTURES = frozenset({"SkylakeX", "Cooperlake", "SapphireRapids"})
"""OpenBLAS's names of the processors for which it has this code."""

LIMIT = 1_000_000
"""Most multiply-adds of a product that OpenBLAS computes without copies."""

WIDTH = 64
"""Columns of a block: enough for the processor's registers, few enough for many rows below the limit."""

FEWEST = 8
"""Rows of the smallest piece that is fast."""

NARROWEST = 32
"""Columns of the narrowest block that is fast."""


@cache
def are_fast() -> bool:
    """Whether this BLAS computes small products without copies."""
    return bool(ARCHITECTURES & blas_architectures())


def block_width(rows: int, columns: int) -> int:
    """Of how many columns the blocks of a matrix are.

    Parameters
    ----------
    rows, columns : int
        Of the matrix.

    Returns
    -------
    int
        A divisor of `columns`: all of them where BLAS copies anyway, or `FEWEST` rows would be above the limit.

    Examples
    --------
    >>> block_width(64, 7)
    7
    """
    width = math.gcd(columns, WIDTH)
    return width if are_fast() and width >= NARROWEST and FEWEST * rows * width <= LIMIT else columns


def piece_rows(rows: int, block_size: int) -> int:
    """How many rows of a factor to take at a time.

    Parameters
    ----------
    rows : int
        Of the factor.
    block_size : int
        Numbers in the block by which it is multiplied.

    Returns
    -------
    int
        The largest divisor of `rows` with which a product is within the limit. If that is less than `FEWEST`: all rows.

    Examples
    --------
    >>> piece_rows(128, 512 * 64), piece_rows(127, 512 * 64), piece_rows(20, 512 * 64)
    (16, 127, 20)
    """
    most = LIMIT // block_size
    return next((k for k in range(min(rows, most), FEWEST - 1, -1) if rows % k == 0), rows)


def multiply(a: Array, blocks: Array, new: New) -> Array:
    """The products of matrices a with matrices that lie in blocks of columns.

    Parameters
    ----------
    a : numpy.ndarray of shape (n, n, T, K)
        Contiguous.
    blocks : numpy.ndarray of shape (L / width, n, n, K, width)
        K rows and L columns for each of the n * n matrices.
    new : callable
        Gives memory.

    Returns
    -------
    numpy.ndarray of shape (n, n, T, L)
    """
    n, _, T, K = a.shape
    count, *_, width = blocks.shape
    out = new((n, n, T, count * width), a.dtype)
    rows = piece_rows(T, K * width) if are_fast() else T
    pieces = out.reshape(n, n, T // rows, rows, count, width).transpose(0, 1, 2, 4, 3, 5)
    np.matmul(a.reshape(n, n, T // rows, 1, rows, K), blocks.transpose(1, 2, 0, 3, 4)[:, :, None], out=pieces)
    return out
