"""CuPy, loaded and tried out: either all that training needs works, or one line says what to do about it.

CuPy alone is a package of Python. To compute it needs a driver; CUDA's compiler (NVRTC), headers and library of matrix
products (cuBLAS); and a card that this compiler knows. Each of them can be missing while `import cupy` works. So
`load_cupy` uses each of them once, in a second or two, before a command makes its first file. Errors that come later
(memory used up by others, a card that fails) are told in one line, too: see `minigan.system.errors.tell_as`.

References
----------
CuPy, "Installation". NVIDIA, "CUDA compatibility", and "CUDA runtime API", section "Error handling".
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from minigan.fast.cuda.cublas import CublasError
from minigan.fast.cuda.kernels import compiled
from minigan.fast.cuda.recording import RecordedStep
from minigan.nn.backend import Backend
from minigan.system.errors import UserError, tell_as

WHICH_PACKAGE = (
    'for RTX 20, GTX 16 or newer with driver 580 or newer: python -m pip install "cupy-cuda13x[ctk]>=14"; '
    'for older cards (GTX 10, P100, V100) or drivers: python -m pip install "cupy-cuda12x[ctk]>=14"'
)
CUPY_PACKAGES = ("cupy-cuda13x", "cupy-cuda12x", "cupy-cuda11x", "cupy")
"""Packages that bring a module named cupy. Two of them overwrite each other's files."""

LEAST_DRIVER = {12: 525, 13: 580}
"""The first driver for each CUDA, by NVIDIA's table of compatibility."""

DEVICES = Path("/dev")
DRIVER_FILE = Path("/proc/driver/nvidia/version")


def load_cupy() -> Backend:
    """Import CuPy and try it out.

    Returns
    -------
    Backend

    Raises
    ------
    UserError
        If anything that is needed is missing or does not work; the message says what to do.
    """
    cupy = _import()
    return _try("use CuPy", lambda: _tried_out(cupy), _complete)


def _tried_out(cupy: Any) -> Backend:
    """The backend; an error of any kind if one of the steps on the way to it fails."""
    _try("find a GPU", lambda: _expect_device(cupy), lambda error: _about_device(cupy))
    archs = _try("use CUDA's compiler (NVRTC)", lambda: cupy.cuda.nvrtc.getSupportedArchs(), _complete)
    _expect_supported(cupy, archs)
    a = _try("use the GPU's memory", lambda: cupy.full((2, 2), 2, np.float32), lambda error: _about_device(cupy))
    b = _try("compile for this GPU", lambda: a + 1, _complete)  # the kernels of CuPy itself need CUDA's headers
    c = _try("use cuBLAS", lambda: b @ b, _complete)
    d = _try("compile minigan's kernels", lambda: _leaky_relu(cupy, a - c), lambda error: _REPORT)
    total = _try("compute", lambda: float(d.sum()), lambda error: _REPORT)
    if total != 4 * (2 - 18) * 0.25:
        raise UserError(f"--backend cupy: the GPU computes wrong numbers (-16 expected, {total:g} got); {_REPORT}")
    _name_failures(cupy)
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    return Backend(
        name="cupy",
        xp=cupy,
        array_type=cupy.ndarray,
        asarray=cupy.asarray,
        to_host=cupy.asnumpy,
        synchronize=lambda: cupy.cuda.get_current_stream().synchronize(),
        device_name=properties["name"].decode(),
        read_every=50,
        record=RecordedStep,
        versions=_versions(cupy),
    )


_REPORT = "please report this, with all that `make gpu` prints"


def _try(what: str, action: Callable[[], Any], advice: Callable[[Exception], str]) -> Any:
    """The action's result. If it raises, whatever it is, that is told in one line, with an advice."""
    try:
        return action()
    except UserError:
        raise
    except Exception as error:
        told = _known_advice(error) or advice(error)
        raise UserError(f"--backend cupy: cannot {what} ({_short(error)}); {told}") from None


def _short(error: Exception) -> str:
    """Kind and first words of an error. Errors of a compiler are many lines long."""
    words = " ".join(str(error).split())
    words = words if len(words) <= 200 else words[:200] + " ..."
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


# -------------------------------------------------------------------------------------------------- what can be missing
def _import() -> Any:
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name == "cupy":
            raise UserError(f"--backend cupy: CuPy is not installed; {WHICH_PACKAGE}") from None
        raise UserError(f"--backend cupy: CuPy cannot be imported ({_short(error)}); {_complete(error)}") from None
    except Exception as error:
        raise UserError(f"--backend cupy: CuPy cannot be imported ({_short(error)}); {_complete(error)}") from None
    return cupy


def _complete(error: Exception) -> str:
    """How to install CuPy with all of CUDA that belongs to it, in the place of what is installed."""
    installed = _installed()
    if len(installed) > 1 or "cupy-cuda11x" in installed or "cupy" in installed:
        return f"first python -m pip uninstall {' '.join(installed)}, then, {WHICH_PACKAGE}"
    if installed:
        return f'all of CUDA that is needed comes with: python -m pip install "{installed[0]}[ctk]>=14"'
    return WHICH_PACKAGE


def _installed() -> list[str]:
    found = []
    for package in CUPY_PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            version(package)
            found.append(package)
    return found


def _instead(major: int) -> str:
    """How to change to CuPy for another CUDA."""
    remove = f"python -m pip uninstall {' '.join(_installed())}, then " if _installed() else ""
    return f'{remove}python -m pip install "cupy-cuda{major}x[ctk]>=14"'


# ------------------------------------------------------------------------------------------------------ driver and card
def _expect_device(cupy: Any) -> None:
    if cupy.cuda.runtime.getDeviceCount() < 1:
        raise RuntimeError("no CUDA device is visible")
    cupy.cuda.Device().use()


def _about_device(cupy: Any) -> str:
    """Why no GPU can be used, as far as can be found out."""
    # The newest CUDA that the driver supports, 0 without a driver; and the CUDA that CuPy is made for.
    driver, needed = cupy.cuda.runtime.driverGetVersion(), cupy.cuda.runtime.runtimeGetVersion() // 1000
    if driver == 0:
        return (
            "there is no NVIDIA driver: install one for a CUDA GPU (in a container: start it with --gpus all), "
            "or use --backend numpy"
        )
    if driver // 1000 < needed:
        change = f", or {_instead(driver // 1000)}" if driver // 1000 in LEAST_DRIVER else ""
        return (
            f"the driver supports CUDA {_dotted(driver)}, and this CuPy needs CUDA {needed}: "
            f"install driver {LEAST_DRIVER.get(needed, 'for it')} or newer{change}"
        )
    files = [path for path in sorted(DEVICES.glob("nvidia*")) if re.fullmatch(r"nvidia(\d+|ctl|-uvm)", path.name)]
    closed = [path for path in files if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        return (
            f"this user may not open {closed[0]}: ls -l {closed[0]} shows which group may; "
            "join it (sudo usermod -aG GROUP USER) and log in again"
        )
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return (
            f"CUDA_VISIBLE_DEVICES is {os.environ['CUDA_VISIBLE_DEVICES']!r}: "
            "it must name a card that nvidia-smi shows, or be unset"
        )
    return "does nvidia-smi show a card? If not, restart the machine or install the NVIDIA driver anew"


def _expect_supported(cupy: Any, archs: Sequence[int]) -> None:
    """Raise UserError if CUDA's compiler is too new for the card.

    It may be too old: then CuPy compiles for the newest card that the compiler knows, and the driver does the rest.
    """
    capability = cupy.cuda.Device().compute_capability  # such as "86"
    if not archs or int(capability) >= min(archs):
        return
    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    told = f"--backend cupy: {name} has compute capability {_pointed(capability)}, and this CUDA compiler"
    told += f" begins at {_pointed(min(archs))}; "
    if int(capability) >= 50 and min(archs) > 50:
        raise UserError(told + f"this card needs CUDA 12: {_instead(12)}")
    raise UserError(told + "CuPy no longer supports this card: use --backend numpy")


def _pointed(capability: str | int) -> str:
    """``"86"`` as "8.6", and ``120`` as "12.0"."""
    return f"{int(capability) // 10}.{int(capability) % 10}"


def _dotted(cuda: int) -> str:
    """A version of CUDA as people write it: 12040 is 12.4."""
    return f"{cuda // 1000}.{cuda % 1000 // 10}"


def _leaky_relu(cupy: Any, x: Any) -> Any:
    y = cupy.empty_like(x)
    kernel = compiled(cupy, x.dtype.char).get_function("leaky_relu_forward")
    kernel((1,), (x.size,), (x, y, np.int64(x.size), np.float32(0.25)))
    return y


# ------------------------------------------------------------------------------------------------------ errors in words
MEMORY_IS_FULL = r"out of memory|OutOfMemory|MemoryAllocation|ALLOC_FAILED"

_ADVICE = (
    (r"limit set to", "CUPY_GPU_MEMORY_LIMIT is too small"),
    (MEMORY_IS_FULL, "the GPU's memory is full: nvidia-smi shows which programs use it"),
    (r"DevicesUnavailable|DEVICE_UNAVAILABLE", "another program has the card for itself: nvidia-smi shows which"),
    (r"SystemDriverMismatch|SYSTEM_DRIVER_MISMATCH", "the driver was changed while it ran: restart the machine"),
    (r"UnsupportedPtxVersion|UNSUPPORTED_PTX", "CUDA's compiler is newer than the driver: install a newer driver"),
    (r"NoKernelImage|NO_BINARY_FOR_GPU", "this CuPy has no code for this card"),
)
"""What to do about errors that say themselves what they are: a pattern in kind or text, and the advice."""


def _known_advice(error: Exception) -> str | None:
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC):
        return "CuPy keeps compiled kernels in ~/.cupy; CUPY_CACHE_DIR names another folder, that can be written to"
    limit = os.environ.get("CUPY_GPU_MEMORY_LIMIT")
    if isinstance(error, ValueError) and limit is not None:
        return f"CUPY_GPU_MEMORY_LIMIT must be a number of bytes, or a share of the memory such as 50%, got {limit!r}"
    told = f"{type(error).__name__}: {error}"
    return next((advice for pattern, advice in _ADVICE if re.search(pattern, told)), None)


def _name_failures(cupy: Any) -> None:
    """Have errors of CUDA told in one line wherever they come from; a wrong installation shows before."""
    for kind in (
        cupy.cuda.runtime.CUDARuntimeError,
        cupy.cuda.driver.CUDADriverError,
        cupy.cuda.cublas.CUBLASError,
        cupy.cuda.compiler.CompileException,
        CublasError,
    ):
        tell_as(kind, _words_for_failure)
    tell_as(cupy.cuda.memory.OutOfMemoryError, _words_for_full_memory)


def _words_for_failure(error: Exception) -> str:
    if re.search(MEMORY_IS_FULL, str(error)):
        return _words_for_full_memory(error)
    return f"the GPU has failed ({_short(error)}); if that happens again, `make gpu` tests the card"


def _words_for_full_memory(error: Exception) -> str:
    return (
        f"the GPU's memory is full ({_short(error)}); nvidia-smi shows which programs use it; --no-cuda-graph and a "
        "smaller --batch-size need less, --backend numpy needs none"
    )


# ------------------------------------------------------------------------------------------------------------- versions
def _versions(cupy: Any) -> dict[str, str]:
    """What the last digits may depend on: versions of CUDA's parts and of the driver, and the card's own."""
    blas = cupy.cuda.cublas.getVersion(cupy.cuda.Device().cublas_handle)
    found = {
        "cupy": cupy.__version__,
        "cuda": _dotted(cupy.cuda.runtime.runtimeGetVersion()),
        "nvrtc": ".".join(map(str, cupy.cuda.nvrtc.getVersion())),
        "cublas": f"{blas // 10000}.{blas % 10000 // 100}.{blas % 100}",
        "driver": f"for CUDA {_dotted(cupy.cuda.runtime.driverGetVersion())}",
        "compute_capability": _pointed(cupy.cuda.Device().compute_capability),
    }
    with contextlib.suppress(OSError):  # Linux only
        release = re.search(r"\s(\d+\.[\d.]+)\s", DRIVER_FILE.read_text(encoding="utf-8", errors="replace"))
        if release:
            found["driver"] = f"{release[1]} {found['driver']}"
    return found
