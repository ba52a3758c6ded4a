"""Matrix products on a GPU: one function of NVIDIA's cuBLAS, called directly as a function of a C library.

CuPy calls the same function, but its `matmul` has three faults for minigan: to transpose a stack of matrices it copies
it; it multiplies stacks without tf32 even if tf32 is allowed; and it cannot be recorded into a CUDA graph. This file
is little more than the function's list of arguments. If the library cannot be found, CuPy's `matmul` is used instead.
`minigan.fast.cuda.kernels` and `minigan.nn.ops` call it.

References
----------
NVIDIA, "cuBLAS", sections cublasGemmStridedBatchedEx, cublasSetWorkspace and "CUDA Graphs Support".
"""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

from minigan.nn.backend import Array, backend_of
from minigan.nn.conv_checks import check_dtypes

WORKSPACE_BYTES = 32 << 20
"""Scratch memory for cuBLAS; NVIDIA's figure for recent cards. We allocate it, so that a recorded graph need not."""

# Constants of the library, with their names in its headers.
CUDA_R_32F, CUDA_R_64F = 0, 1
CUBLAS_OP_N, CUBLAS_OP_T = 0, 1
CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_64F, CUBLAS_COMPUTE_32F_FAST_TF32 = 68, 70, 77
CUBLAS_GEMM_DEFAULT = -1


def matmul(
    a: Array,
    b: Array,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    out: Array | None = None,
    accumulate: bool = False,
) -> Array:
    """Product of two matrices, or of two stacks of matrices one by one.

    Parameters
    ----------
    a : Array of shape (M, K) or (B, M, K), float32 or float64
    b : Array of shape (K, N) or (B, K, N), of the same dtype
    transpose_a, transpose_b : bool
        Whether a is given as (K, M), and b as (N, K). The array is not copied.
    out : Array of shape (M, N) or (B, M, N), optional
        Where the product goes; contiguous.
    accumulate : bool
        Add to `out` instead of overwriting it.

    Returns
    -------
    Array of shape (M, N) or (B, M, N)

    Notes
    -----
    Products of float32 have the precision of float32, unless the backend allows tf32 (factors rounded to 10 bits).
    """
    backend = backend_of(a, b)
    xp = backend.xp
    M, K = a.shape[-2:] if not transpose_a else a.shape[:-3:-1]
    N = b.shape[-2] if transpose_b else b.shape[-1]
    if out is None:
        out = xp.empty((*a.shape[:-2], M, N), a.dtype)
    library = _load(xp)
    if library is None:
        a, b = (m.swapaxes(-2, -1) if turn else m for m, turn in ((a, transpose_a), (b, transpose_b)))
        if accumulate:
            out += xp.matmul(a, b)
        else:
            xp.matmul(a, b, out=out)
        return out
    check_dtypes("matmul", a=a, b=b)
    library.multiply(
        xp.ascontiguousarray(a),
        xp.ascontiguousarray(b),
        out,
        (M, N, K),
        (transpose_a, transpose_b),
        accumulate=accumulate,
        tf32=backend.tf32,
    )
    return out


def address(a: Any) -> int:
    """The address in the GPU's memory at which an array begins."""
    return a.data.ptr


class _Cublas:
    """A cuBLAS handle with its stream and workspace.

    Parameters
    ----------
    library : ctypes.CDLL
    xp : module
        CuPy, for the current stream and the workspace's memory.
    """

    def __init__(self, library: ctypes.CDLL, xp: Any) -> None:
        self._xp = xp
        pointer: Any = ctypes.c_void_p
        integer: Any = ctypes.c_int
        stride: Any = ctypes.c_longlong
        matrix = [pointer, integer, integer, stride]  # data, type, leading dimension, distance to the next in the stack
        self._multiply = library.cublasGemmStridedBatchedEx
        before = [pointer, integer, integer, integer, integer, integer, pointer]  # handle, turns, sizes, alpha
        after = [integer, integer, integer]  # how many in the stack, how to compute, which algorithm
        self._multiply.argtypes = [*before, *matrix, *matrix, pointer, *matrix, *after]
        self._set_stream = library.cublasSetStream_v2
        self._set_stream.argtypes = [pointer, pointer]
        self._set_workspace = library.cublasSetWorkspace_v2
        self._set_workspace.argtypes = [pointer, pointer, ctypes.c_size_t]
        create = library.cublasCreate_v2
        create.argtypes = [pointer]
        self._handle = pointer()
        _check(create(ctypes.byref(self._handle)))
        self._workspace = xp.empty(WORKSPACE_BYTES, xp.uint8)
        self._stream: int | None = None
        self._numbers = {
            "f": (ctypes.c_float(0), ctypes.c_float(1), CUDA_R_32F, CUBLAS_COMPUTE_32F),
            "d": (ctypes.c_double(0), ctypes.c_double(1), CUDA_R_64F, CUBLAS_COMPUTE_64F),
        }

    def multiply(
        self,
        a: Array,
        b: Array,
        out: Array,
        sizes: tuple[int, int, int],
        transposed: tuple[bool, bool],
        *,
        accumulate: bool,
        tf32: bool,
    ) -> None:
        """``out = a @ b`` (M, N, K in `sizes`) on the current stream; returns before it is done.

        cuBLAS stores matrices column by column, so it sees each of our matrices transposed. Therefore it is asked for
        out^T = b^T a^T: the factors change places, and nothing has to be transposed.
        """
        M, N, K = sizes
        self._follow_stream()
        zero, one, kind, compute = self._numbers[a.dtype.char]
        if tf32 and compute == CUBLAS_COMPUTE_32F:
            compute = CUBLAS_COMPUTE_32F_FAST_TF32
        turn_a, turn_b = (CUBLAS_OP_T if turn else CUBLAS_OP_N for turn in transposed)
        second = (address(b), kind, b.shape[-1], N * K)
        first = (address(a), kind, a.shape[-1], M * K)
        result = (address(out), kind, N, M * N)
        add = ctypes.byref(one if accumulate else zero)
        before = (self._handle, turn_b, turn_a, N, M, K, ctypes.byref(one))
        after = (out.shape[0] if out.ndim == 3 else 1, compute, CUBLAS_GEMM_DEFAULT)
        _check(self._multiply(*before, *second, *first, add, *result, *after))

    def _follow_stream(self) -> None:
        stream = self._xp.cuda.get_current_stream().ptr
        if stream != self._stream:
            _check(self._set_stream(self._handle, stream))
            # Setting the stream has reset the workspace.
            _check(self._set_workspace(self._handle, address(self._workspace), WORKSPACE_BYTES))
            self._stream = stream


class CublasError(RuntimeError):
    """cuBLAS has reported an error."""


def _check(status: int) -> None:
    if status:
        raise CublasError(f"cuBLAS: the call failed with status {status}{' (ALLOC_FAILED)' if status == 3 else ''}")


@functools.cache
def _load(xp: Any) -> _Cublas | None:
    library = _open(xp)
    return None if library is None else _Cublas(library, xp)


def _open(xp: Any) -> ctypes.CDLL | None:
    """The cuBLAS that CuPy itself has loaded, wherever it lies; None if it has another name on this system."""
    _ = xp.cuda.Device().cublas_handle  # asking for CuPy's own handle loads it
    major = xp.cuda.runtime.runtimeGetVersion() // 1000
    try:
        return ctypes.CDLL(f"cublas64_{major}.dll" if sys.platform == "win32" else f"libcublas.so.{major}")
    except OSError:
        return None
