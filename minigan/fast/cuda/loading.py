"""CuPy as a backend: found, tried, and described in words that help where it cannot be used."""

from __future__ import annotations

from minigan.fast.cuda.recording import RecordedStep
from minigan.nn.backend import Backend
from minigan.system.errors import UserError


def load_cupy() -> Backend:
    """The backend "cupy".

    Raises
    ------
    UserError
        If CuPy is not installed, or finds no GPU that it can use; the message says what to install.
    """
    try:
        import cupy
    except ImportError as error:
        raise UserError(
            f"--backend cupy: CuPy is not installed ({error}); for CUDA 12: python -m pip install cupy-cuda12x, "
            "for CUDA 13: python -m pip install cupy-cuda13x (nvidia-smi shows the version)"
        ) from None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        count, reason = 0, str(error)
    else:
        reason = "no CUDA device is visible"
    if count < 1:
        raise UserError(
            f"--backend cupy: CuPy {cupy.__version__} is installed but finds no usable GPU ({reason}); "
            "install an NVIDIA driver for a CUDA GPU, or use --backend numpy"
        )
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
        keeps_addresses=True,
        record=RecordedStep,
    )
