"""A module that passes for an installed CuPy: the device double, and what `minigan.fast.cuda.loading` asks of CuPy.

Anything can be missing or broken in it, as on machines of real people; `FAULTS` lists what. To have it in another
process, put the folder installed_cupy beside this file first in PYTHONPATH, and the fault's name in FAKE_CUPY_FAULT.
"""

import os
import sys
import time
import types
import weakref

import device_double
import numpy as np
from cupy_memory import CUDARuntimeError, OutOfMemoryError
from device_double import DeviceArray, RawModule, make_backend

from minigan.fast.cuda import cublas

NAME = "NVIDIA Double 1000"


class DynamicLibNotFoundError(RuntimeError):
    """As `cuda.pathfinder` raises it."""


class CompileException(Exception):  # noqa: N818
    """As `cupy.cuda.compiler` raises it."""


class CUBLASError(RuntimeError):
    pass


class CUDADriverError(RuntimeError):
    pass


def error_of_cuda(status, name, text):
    return CUDARuntimeError(status, f"{name}: {text}")


ILLEGAL_ADDRESS = (700, "cudaErrorIllegalAddress", "an illegal memory access was encountered")
INSUFFICIENT_DRIVER = (
    35,
    "cudaErrorInsufficientDriver",
    "CUDA driver version is insufficient for CUDA runtime version",
)
NO_DEVICE = (100, "cudaErrorNoDevice", "no CUDA-capable device is detected")


def make(fault=None):
    """The module.

    Parameters
    ----------
    fault : str, optional
        One of `FAULTS`.
    """
    cupy = make_backend(kernels=True).xp
    cupy.__version__ = "14.2.0"
    cupy.get_default_memory_pool().set_limit(int(os.environ.get("CUPY_GPU_MEMORY_LIMIT", 0)))
    _add_cuda(cupy)
    _add_card(cupy)
    if fault is not None:
        FAULTS[fault](cupy)
    return cupy


def _add_cuda(cupy):
    properties = {"name": NAME.encode(), "totalGlobalMem": 8 << 30}
    vars(cupy.cuda.runtime).update(
        getDeviceCount=lambda: 1,
        getDeviceProperties=lambda number: properties,
        driverGetVersion=lambda: 13000,
        runtimeGetVersion=lambda: 13020,
        memGetInfo=lambda: (6 << 30, 8 << 30),
    )

    class Device:
        id = 0
        compute_capability = "86"
        attributes = cupy.cuda.Device().attributes
        cublas_handle = 1

        def use(self):
            return self

    class Event:
        def record(self):
            """The time at which the stream has done all that was queued before."""
            device_double._finish(device_double._current_stream())
            self.at = time.perf_counter()

        def synchronize(self):
            pass

    cupy.cuda.Device, cupy.cuda.Event = Device, Event
    cupy.cuda.get_elapsed_time = lambda begin, end: 1000 * (end.at - begin.at)
    cupy.cuda.nvrtc = types.SimpleNamespace(getSupportedArchs=lambda: (75, 80, 86, 120), getVersion=lambda: (13, 5))
    cupy.cuda.cublas = types.SimpleNamespace(getVersion=lambda handle: 131000, CUBLASError=CUBLASError)
    cupy.cuda.driver = types.SimpleNamespace(CUDADriverError=CUDADriverError)
    cupy.cuda.compiler = types.SimpleNamespace(CompileException=CompileException)


class Card:
    """Does what is asked of it until it fails; from then on everything raises the error, as in a broken context."""

    def __init__(self):
        self._left, self._error = None, None

    def fail_after(self, launches, error):
        """Fail after so many launches of kernels, counted from now on; a recorded step counts as 300."""
        self._left, self._error = launches, error

    def check(self, launches=0):
        if self._left is not None:
            self._left -= launches
            if self._left < 0:
                raise self._error


def _add_card(cupy):
    card = cupy.card = Card()

    class Module(RawModule):
        def get_function(self, name):
            kernel = super().get_function(name)

            def launch(*arguments):
                card.check(1)
                return kernel(*arguments)

            return launch

    class Stream(cupy.cuda.Stream):
        def end_capture(self):
            graph = super().end_capture()
            launch_graph = graph.launch

            def launch():
                card.check(300)
                launch_graph()

            graph.launch = launch
            return graph

    def asnumpy(a):
        card.check()
        return a.get()

    make_empty, memory = cupy.empty, cupy.get_default_memory_pool().gpu

    def empty(*arguments, **options):
        card.check()
        made = make_empty(*arguments, **options)
        # The block of the model lives as long as the array, whose last view may outlive it.
        weakref.finalize(made._data, lambda block: None, memory.alloc(made.nbytes)).atexit = False
        return made

    cupy.RawModule, cupy.cuda.Stream, cupy.asnumpy, cupy.empty = Module, Stream, asnumpy, empty


# --------------------------------------------------------------------------------------------------------------- faults
def _raising(error):
    def function(*arguments, **options):
        raise error

    return function


def _no_driver(cupy):
    cupy.cuda.runtime.getDeviceCount = _raising(error_of_cuda(*INSUFFICIENT_DRIVER))
    cupy.cuda.runtime.driverGetVersion = lambda: 0


def _old_driver(cupy):
    cupy.cuda.runtime.getDeviceCount = _raising(error_of_cuda(*INSUFFICIENT_DRIVER))
    cupy.cuda.runtime.driverGetVersion = lambda: 12040


def _very_old_driver(cupy):
    _old_driver(cupy)
    cupy.cuda.runtime.driverGetVersion = lambda: 11080


def _no_card(cupy):
    cupy.cuda.runtime.getDeviceCount = _raising(error_of_cuda(*NO_DEVICE))


def _no_visible_card(cupy):
    cupy.cuda.runtime.getDeviceCount = lambda: 0


def _card_in_use(cupy):
    busy = (46, "cudaErrorDevicesUnavailable", "CUDA-capable device(s) is/are busy or unavailable")
    cupy.cuda.Device.use = _raising(error_of_cuda(*busy))


def _no_compiler(cupy):
    missing = 'Failure finding "libnvrtc.so.13": No such file: libnvrtc.so.13,\nNo such file: libnvrtc.so.13\n'
    cupy.cuda.nvrtc.getSupportedArchs = _raising(DynamicLibNotFoundError(missing))


def _old_card(cupy):
    cupy.cuda.Device.compute_capability = "61"


def _ancient_card(cupy):
    cupy.cuda.Device.compute_capability = "37"


def _newest_card(cupy):
    cupy.cuda.Device.compute_capability = "130"


def _full_memory(cupy):
    cupy.full = _raising(OutOfMemoryError(512, 0))


def _limit_too_small(cupy):
    cupy.full = _raising(OutOfMemoryError(512, 0, 100))


def _limit_that_is_no_number(cupy):
    os.environ["CUPY_GPU_MEMORY_LIMIT"] = "1 GB"  # read at the first array
    cupy.full = _raising(ValueError("invalid literal for int() with base 10: '1 GB'"))


def _no_memory_for_a_context(cupy):
    cupy.full = _raising(error_of_cuda(2, "cudaErrorMemoryAllocation", "out of memory"))


def _no_headers(cupy):
    told = "kern.cu(5): catastrophic error: cannot open source file\n  cuda_fp16.h\n" + 100 * "many lines\n"
    cupy.full = _array_class_with(cupy, "__add__", CompileException(told))


def _cache_not_writable(cupy):
    error = PermissionError(13, "Permission denied", "/home/someone/.cupy/kernel_cache/tmp1")
    cupy.full = _array_class_with(cupy, "__add__", error)


def _no_cublas(cupy):
    missing = "libcublas.so.13: cannot open shared object file: No such file or directory"
    cupy.full = _array_class_with(cupy, "__matmul__", ImportError(missing))


def _kernels_do_not_compile(cupy):
    cupy.RawModule = _raising(CompileException("kernels.cu(7): error: identifier is undefined"))


def _compiler_newer_than_driver(cupy):
    text = "CUDA_ERROR_UNSUPPORTED_PTX_VERSION: the provided PTX was compiled with an unsupported toolchain"
    cupy.full = _array_class_with(cupy, "__add__", CUDADriverError(text))


def _no_cupy_at_all(cupy):
    del cupy.cuda  # as in an empty folder that is named cupy


def _very_old_cupy(cupy):
    del cupy.cuda.nvrtc.getSupportedArchs


def _fails_at_the_end(cupy):
    cupy.cuda.cublas.getVersion = _raising(CUBLASError("CUBLAS_STATUS_NOT_INITIALIZED"))


def _wrong_numbers(cupy):
    cupy.full = lambda shape, value, dtype: DeviceArray(np.full(shape, value + 1, dtype))


def _array_class_with(cupy, method, error):
    """`cupy.full` that makes arrays whose operator fails, as those of their sums do."""

    class Array(DeviceArray):
        def __add__(self, other):
            if method == "__add__":
                raise error
            return Array(self._data + other)

        def __matmul__(self, other):
            raise error

    return lambda shape, value, dtype: Array(np.full(shape, value, dtype))


FAULTS = {
    "no driver": _no_driver,
    "old driver": _old_driver,
    "very old driver": _very_old_driver,
    "no card": _no_card,
    "no visible card": _no_visible_card,
    "card in use": _card_in_use,
    "no compiler": _no_compiler,
    "old card": _old_card,
    "ancient card": _ancient_card,
    "full memory": _full_memory,
    "limit too small": _limit_too_small,
    "limit that is no number": _limit_that_is_no_number,
    "no memory for a context": _no_memory_for_a_context,
    "no headers": _no_headers,
    "cache not writable": _cache_not_writable,
    "no cuBLAS": _no_cublas,
    "kernels do not compile": _kernels_do_not_compile,
    "compiler newer than driver": _compiler_newer_than_driver,
    "wrong numbers": _wrong_numbers,
    "no CuPy at all": _no_cupy_at_all,
    "very old CuPy": _very_old_cupy,
    "fails at the end": _fails_at_the_end,
}


def open_cublas(xp):
    """What takes the place of `minigan.fast.cuda.cublas._open`, which looks for a library on the disk."""
    return xp.cublas_double


def install():
    """For other processes: make `import cupy` give this module, as FAKE_CUPY_FAULT says."""
    cublas._open = open_cublas
    sys.modules["cupy"] = make(os.environ.get("FAKE_CUPY_FAULT"))
