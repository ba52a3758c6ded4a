"""A stand-in for CuPy on machines without a GPU, stricter than CuPy itself.

`DeviceArray` keeps its numbers in a private NumPy array. It raises an error where it is mixed with NumPy arrays or
converted to one by accident, keeps the results of reductions as arrays of shape (), and counts every value that is
copied to the host (`syncs`), because on a GPU each such copy waits for all the work queued before it. `DeviceModule`
offers exactly the functions, keyword arguments and methods that the real CuPy has (cupy_names.json), so that
code that runs on the double asks nothing of CuPy that is not there.

With ``make_backend(kernels=True)`` it also has `RawModule`: the project's own CUDA source, compiled for the processor
by g++ with cuda_on_cpu.h. Kernels get addresses, as on a GPU, and what a GPU does not check is checked:
number and types of arguments, contiguous arrays. cublas_on_cpu.cpp takes the place of cuBLAS and is called through
ctypes, too. `launches` counts the launches that a GPU would have received.

As on a GPU, work waits in queues, one for each stream. How much of which queue is done when is left to chance, until
somebody waits for a stream. So work on two streams, one of which should have waited for the other, sooner or later
comes in the wrong order. cuBLAS works on the stream that it was told, whatever the current one is. Memory comes from
pools (cupy_memory.py) and is given out again; what is freed is filled with NaN, in the order of its stream. A stream
can be captured: then nothing is computed, but the work is recorded, and `Graph.launch` does it.

With MINIGAN_SANITIZE=1 the kernels are compiled with g++'s sanitizers, and every array has memory of its own, so that
reading outside of one is noticed (see test_kernels.py).
"""

import collections
import ctypes
import functools
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import types
import weakref
from pathlib import Path

import numpy as np
import threadpoolctl
from cupy_memory import GpuMemory

from minigan.fast.cuda import cublas
from minigan.fast.cuda.recording import RecordedStep
from minigan.nn.backend import Backend

NAMES = json.loads(Path(__file__).with_name("cupy_names.json").read_text())
PRODUCTS = ("matmul", "dot", "einsum", "tensordot")
UFUNC_KEYWORDS = {"out", "dtype", "casting"}


COMPILER = shutil.which("g++")
HERE = Path(__file__).parent


class Counter:
    """Counts values copied to the host, arrays copied to the device, function calls, and kernel launches.

    `bytes` is what the launches read and write: each array once, whatever the caches of a GPU would make of it.
    """

    def __init__(self):
        self.reset()

    def reset(self):
        self.syncs = self.uploads = self.calls = self.launches = self.bytes = 0
        self.kernels = []


COUNTER = Counter()

CHANGED = {
    "bias_and_leaky_relu": 1,
    "moving_averages": 5,
    "adam_rate": 1,
}
"""Kernels that read what they write, and how many of the arrays they write they do so with."""

WALKS = {"move_average": 3, "adam": 7, "winograd_kernels": 16 + 36}
"""How often kernels that are given many tensors read or write a tensor of each: of the last, per (C, O)."""

SANITIZE = bool(os.environ.get("MINIGAN_SANITIZE"))

TAPE = None
"""The work recorded so far by the stream that is being captured, as functions; None if no stream is captured."""

MEMORY = None
"""The memory of the card (`GpuMemory`); None on a double without kernels, whose arrays are NumPy's and done at once."""

QUEUES = collections.defaultdict(collections.deque)
"""Work that waits, by the address of its stream."""

CHANCE = random.Random()

KEPT = []
"""All memory that there ever was on this card: work that waits knows addresses only."""

FREED = collections.defaultdict(list)
"""Memory that pools have given back to CUDA, by size: the next one who asks for as much gets it."""


ERA = 0
"""Counts the cards. What is left of an earlier one may be collected at any time, and must not touch the present one."""


def _start_anew(memory):
    global TAPE, MEMORY, ERA
    TAPE, MEMORY, ERA = None, memory, ERA + 1
    QUEUES.clear()
    KEPT.clear()
    FREED.clear()
    CHANCE.seed(0)
    Stream.current = Stream.captured = None


def _cross_to_host():
    if TAPE is not None:
        raise RuntimeError("cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing")
    COUNTER.syncs += 1
    _finish(_current_stream())


def _finish(stream):
    """Do all work of one stream; others go on waiting."""
    queue = QUEUES[stream]
    while queue:
        queue.popleft()()


def _current_stream():
    return Stream.current.ptr if Stream.current is not None else 0


def _do(action, stream=None):
    """Do something that changes arrays: sooner or later, or, while a graph is captured, at each launch of the graph."""
    COUNTER.launches += 1
    _queue(action, _current_stream() if stream is None else stream)


def _queue(action, stream):
    if TAPE is not None and stream == Stream.captured.ptr:
        TAPE.append(action)
        return
    if MEMORY is None:
        action()
        return
    QUEUES[stream].append(action)
    while CHANCE.random() < 0.6 and (waiting := [queue for queue in QUEUES.values() if queue]):
        CHANCE.choice(waiting).popleft()()


def _new_memory(size):
    """`cudaMalloc`: begins at a multiple of 512."""
    room = np.empty(size + 512, np.uint8)
    start = -room.ctypes.data % 512
    return room[start : start + size]


def _free(numbers, era):
    """`cudaFree`: waits for everything."""
    if era != ERA:
        return
    for stream in list(QUEUES):
        _finish(stream)
    FREED[numbers.nbytes].append(numbers)


class _Storage:
    """Memory of one array and its views; when the last of them is gone, it is poisoned and goes back to its pool."""

    def __init__(self, size):
        self.block = MEMORY.alloc(max(size, 1))
        self.stream, self.was_captured, self.era = _current_stream(), TAPE is not None, ERA
        memory = self.block._memory
        if not hasattr(memory, "numbers"):
            freed = FREED[memory.size]
            memory.numbers = freed.pop() if freed else _new_memory(memory.size)
            KEPT.append(memory.numbers)
            _poison(memory.numbers)
            weakref.finalize(memory, _free, memory.numbers, ERA)
        self.numbers = memory.numbers[:size]
        self.__array_interface__ = self.numbers.__array_interface__

    def __del__(self):
        if hasattr(self, "numbers") and self.era == ERA:  # without numbers, there was no memory for it
            numbers, graph = self.numbers, TAPE if self.was_captured else None
            if graph is not None and Stream.captured.ptr == self.stream:
                graph.append(lambda: _poison(numbers))
            elif not self.was_captured:
                QUEUES[self.stream].append(lambda: _poison(numbers))


def _allocate(shape, dtype):
    """A new array, with numbers in it that nobody wrote."""
    if MEMORY is None or SANITIZE:
        data = np.empty(shape, dtype)
        _poison(data)
        if MEMORY is not None:
            KEPT.append(data)
        return data
    data = np.empty((), dtype)
    size = int(np.prod(shape)) * data.itemsize
    return np.asarray(_Storage(size)).view(data.dtype).reshape(shape)


def _bare(data):
    """The same numbers as a view that does not keep its memory from being freed: work that waits must not."""
    base = data
    while isinstance(base, np.ndarray):
        base = base.base
    if not isinstance(base, _Storage):
        return data
    offset = data.ctypes.data - base.numbers.ctypes.data
    return np.ndarray(data.shape, data.dtype, base.numbers, offset, data.strides)


def _compute(function, *sources):
    """Array that a function of arrays returns; a view costs nothing, any other result counts as a launch.

    The function is called twice: now, to see what it returns, and when it is this work's turn.
    """

    def quietly():
        with np.errstate(all="ignore"):
            return function()

    try:
        result = quietly()
    except IndexError:  # indices that have not been computed yet
        _finish(_current_stream())
        result = quietly()
    if not isinstance(result, np.ndarray | np.generic):
        return _wrap(result)
    result = np.asarray(result)
    if any(np.may_share_memory(result, source) for source in sources if isinstance(source, np.ndarray)):
        return DeviceArray(result)
    COUNTER.bytes += _bytes(result, *sources)
    if MEMORY is None:
        COUNTER.launches += 1
        return DeviceArray(result)
    data = _allocate(result.shape, result.dtype)
    target = _bare(data)
    _do(lambda: np.copyto(target, quietly()))
    return DeviceArray(data)


def _bytes(*arrays):
    return sum(a.nbytes for a in arrays if isinstance(a, np.ndarray))


def _poison(array):
    """Fill memory that has not been written yet, so that reading it is noticed: with NaN, or the largest integer.

    All bits set are NaN, too.
    """
    array.fill(np.nan if array.dtype.kind == "f" else np.iinfo(array.dtype).max if array.dtype.kind in "iu" else True)


def _unwrap(value):
    if isinstance(value, DeviceArray):
        return value._data
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>: NumPy and device arrays do not mix")
    if isinstance(value, tuple | list):
        return type(value)(_unwrap(v) for v in value)
    if isinstance(value, dict):
        return {k: _unwrap(v) for k, v in value.items()}
    return value


def _wrap(value):
    if isinstance(value, np.ndarray | np.generic):
        return DeviceArray(np.asarray(value))
    if isinstance(value, tuple):
        return tuple(_wrap(v) for v in value)
    return value


class DeviceArray:
    """An array on the pretended device."""

    __array_ufunc__ = None  # NumPy's operators give up at once
    __array_priority__ = 1000

    def __init__(self, data):
        self._data = data

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed; use .get()")

    # What stays on the host in CuPy too.
    shape = property(lambda self: self._data.shape)
    dtype = property(lambda self: self._data.dtype)
    ndim = property(lambda self: self._data.ndim)
    size = property(lambda self: self._data.size)
    nbytes = property(lambda self: self._data.nbytes)
    strides = property(lambda self: self._data.strides)
    data = property(lambda self: types.SimpleNamespace(ptr=self._data.ctypes.data))
    flags = property(lambda self: self._data.flags)
    T = property(lambda self: DeviceArray(self._data.T))

    def __len__(self):
        return len(self._data)

    def __iter__(self):
        return (self[k] for k in range(len(self)))

    def __getitem__(self, key):
        key, data = _unwrap(key), self._data
        return _compute(lambda: np.asarray(data[key]), data)

    def __setitem__(self, key, value):
        key, value, data = _unwrap(key), _unwrap(value), self._data
        COUNTER.bytes += _bytes(data[key], value)
        _do(lambda: data.__setitem__(key, value))

    # What has to wait for the device.
    def get(self):
        _cross_to_host()
        return self._data.copy()

    def item(self):
        _cross_to_host()
        return self._data.item()

    def tolist(self):
        _cross_to_host()
        return self._data.tolist()

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __bool__(self):
        return bool(self.item())

    def __index__(self):
        return self.item().__index__()

    def __repr__(self):
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype})"

    def __format__(self, spec):
        return format(self.item(), spec) if spec else repr(self)

    def __getattr__(self, name):
        if name.startswith("__") or name not in NAMES["ndarray"]:
            raise AttributeError(f"CuPy's ndarray has no attribute {name!r}")
        data, method = self._data, getattr(self._data, name)
        if not callable(method):
            raise AttributeError(f"the double does not model ndarray.{name}")

        def call(*args, **kwargs):
            COUNTER.calls += 1
            args, kwargs = _unwrap(args), _unwrap(kwargs)
            if name == "fill":
                COUNTER.bytes += data.nbytes
                return _do(lambda: method(*args))
            return _compute(lambda: method(*args, **kwargs), data)

        return call


def _operator(name):
    def apply(self, *others):
        COUNTER.calls += 1
        for other in others:
            if isinstance(other, np.ndarray):
                raise TypeError(f"Unsupported type numpy.ndarray in {name}: NumPy and device arrays do not mix")
        method, others = getattr(self._data, name), _unwrap(others)
        if "matmul" in name:
            _refuse_cublas_in_capture()
            method = _on_one_thread(method)
        if name.startswith("__i") and name not in ("__invert__",):
            COUNTER.bytes += _bytes(self._data, self._data, *others)
            _do(lambda: method(*others))
            return self
        COUNTER.bytes += _bytes(self._data, *others)
        return _compute(lambda: method(*others))

    return apply


OPERATORS = """
    add radd iadd sub rsub isub mul rmul imul truediv rtruediv itruediv floordiv mod pow rpow ipow matmul rmatmul
    neg abs invert and or xor lt le gt ge eq ne
"""
for _name in OPERATORS.split():
    setattr(DeviceArray, f"__{_name}__", _operator(f"__{_name}__"))


class DeviceModule(types.ModuleType):
    """The module `cupy`, as far as its names go, computed by NumPy behind the curtain."""

    ndarray = DeviceArray
    float32, float64, int64, uint8 = np.float32, np.float64, np.int64, np.uint8

    def __init__(self, names, numpy_module):
        super().__init__("cupy_double")
        self._names, self._numpy = names, numpy_module

    def __getattr__(self, name):
        if name.startswith("__") or name not in self._names:
            raise AttributeError(f"module 'cupy' has no attribute {name!r}")
        function, known = getattr(self._numpy, name), self._names[name]
        if name in PRODUCTS:
            function = _on_one_thread(function)

        def call(*args, **kwargs):
            COUNTER.calls += 1
            allowed = UFUNC_KEYWORDS if known == "ufunc" else known
            for keyword in kwargs:
                if allowed is not None and keyword not in allowed:
                    raise TypeError(f"cupy.{name} has no keyword argument {keyword!r}")
            if name in PRODUCTS:
                _refuse_cublas_in_capture()
            plain, options = _unwrap(args), _unwrap(kwargs)
            if kwargs.get("out") is not None:
                COUNTER.bytes += _bytes(*plain, options["out"])
                _do(lambda: function(*plain, **options))
                return kwargs["out"]
            return _compute(lambda: function(*plain, **options), *plain)

        return call

    def asarray(self, a, dtype=None):
        """The one door in: a copy, as on a real device."""
        if isinstance(a, DeviceArray):
            return a if dtype in (None, a.dtype) else a.astype(dtype)
        if TAPE is not None:
            raise RuntimeError("a copy from the host would be captured with today's numbers in it")
        COUNTER.uploads += 1
        host = np.array(a, dtype)
        data = _allocate(host.shape, host.dtype)
        target = _bare(data)
        _queue(lambda: np.copyto(target, host), _current_stream())
        return DeviceArray(data)

    def empty(self, shape, dtype=float):
        return DeviceArray(_allocate(shape, dtype))


def _on_one_thread(function):
    """A product with the same bits whenever it is done: by then, BLAS may be allowed another number of threads."""

    @functools.wraps(function)
    def product(*args, **kwargs):
        with threadpoolctl.threadpool_limits(1, "blas"):
            return function(*args, **kwargs)

    return product


def _refuse_cublas_in_capture():
    if TAPE is not None:
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")


# --------------------------------------------------------------------------------------------- kernels, streams, cuBLAS
@functools.cache
def _compiled(source):
    """A shared library from C++ source."""
    folder = Path(tempfile.gettempdir()) / "minigan-cuda-on-cpu"
    folder.mkdir(exist_ok=True)
    path = folder / f"{hashlib.sha256(source.encode()).hexdigest()[:32]}{'-sanitized' if SANITIZE else ''}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            (Path(scratch) / "source.cpp").write_text(source, encoding="utf-8")
            options = [
                "-std=c++17",
                "-O1",
                "-ffp-contract=off",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-Wno-sign-compare",
                "-shared",
                "-fPIC",
                *(["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g"] if SANITIZE else []),
            ]
            built = Path(scratch) / "built.so"
            subprocess.run([COMPILER, *options, f"-I{HERE}", "-o", built, f"{scratch}/source.cpp"], check=True)
            built.replace(path)
    return ctypes.CDLL(str(path))


class RawModule:
    """`cupy.RawModule` for sources whose kernels are declared ``extern "C" __global__ void name(...)``."""

    reverse = False  # run the threads of a block last to first

    def __init__(self, *, code, options=()):
        real = next(option.removeprefix("-DREAL=") for option in options if option.startswith("-DREAL="))
        self.real = {"float": np.float32, "double": np.float64}[real]
        found = re.findall(r'extern "C" __global__ void (\w+)\(([^)]*)\) \{(.*?)\n\}', code, re.DOTALL)
        helpers = re.findall(
            r"__device__ \S+ (\w+)\([^)]*\) \{(?:(?!\n\}|__device__|__global__).)*__syncthreads", code, re.DOTALL
        )
        self.kernels = {}
        launchers = ""
        structures = set(re.findall(r"^struct (\w+) \{", code, re.MULTILINE))
        for name, parameters, body in found:
            pairs = [(" ".join(p.split()[:-1]), p.split()[-1]) for p in parameters.split(",")]
            self.kernels[name] = [kind for kind, _ in pairs]
            # A structure is passed by value on a GPU; here the launcher gets a pointer to it, and copies it.
            declared = ", ".join(f"const {k}* {p}" if k in structures else f"{k} {p}" for k, p in pairs)
            copied = "".join(f"const {k} {p}_ = *{p}; " for k, p in pairs if k in structures)
            names = ", ".join(f"{p}_" if k in structures else p for k, p in pairs)
            barriers = int(any(word in body for word in ("__syncthreads", *helpers)))
            launchers += (
                f'extern "C" int launch_{name}(const unsigned* dims, int backwards, {declared}) '
                f"{{ {copied}return launch(dims, {barriers}, backwards, [=] {{ {name}({names}); }}); }}\n"
            )
        for name in structures:
            launchers += f'extern "C" size_t sizeof_{name}() {{ return sizeof({name}); }}\n'
        self.library = _compiled(f'#define REAL {real}\n#include "cuda_on_cpu.h"\n{code}\n{launchers}')

    def get_function(self, name):
        return RawKernel(self, name)


class RawKernel:
    """A kernel of a `RawModule`; it believes nothing about its arguments."""

    def __init__(self, module, name):
        self.module, self.name, self.types = module, name, module.kernels[name]
        self.function = getattr(module.library, f"launch_{name}")

    def __call__(self, grid, block, args):
        assert len(args) == len(self.types), f"{self.name} takes {len(self.types)} arguments, got {len(args)}"
        assert all(n > 0 for n in (*grid, *block)), f"{self.name}: an empty launch, {grid} x {block}"
        assert np.prod(block) <= 1024
        assert all(n <= 65535 for n in grid[1:])
        plain = [self._argument(a, t) for a, t in zip(args, self.types, strict=True)]
        dims = (ctypes.c_uint * 6)(*grid, *[1] * (3 - len(grid)), *block, *[1] * (3 - len(block)))
        COUNTER.kernels.append(self.name)
        COUNTER.bytes += self._bytes(args)

        def run():
            status = self.function(dims, int(RawModule.reverse), *plain)
            assert status == 0, f"{self.name}: a barrier that not all threads of a block reach"

        _do(run)

    def _argument(self, value, wanted):
        types_ = {"real": self.module.real, "int": np.int32, "long long": np.int64, "double": np.float64}
        if wanted not in types_ and not wanted.endswith("*"):
            return self._structure(value, wanted)
        plain = types_[wanted.removeprefix("const ").rstrip("* ")]
        if wanted.endswith("*") and type(value) is np.uintp and value == 0:
            return None
        if wanted.endswith("*"):
            assert isinstance(value, DeviceArray), f"{self.name}: {wanted} from {type(value).__name__}"
            assert value.dtype == plain, f"{self.name}: {wanted} from an array of {value.dtype}"
            assert value._data.flags.c_contiguous, f"{self.name}: an array that is not contiguous"
            return ctypes.c_void_p(value.data.ptr)
        assert type(value) is plain, f"{self.name}: {wanted} from {type(value).__name__}"
        return np.ctypeslib.as_ctypes_type(plain)(value)

    def _bytes(self, args):
        if "Tensors" in self.types:
            table = args[self.types.index("Tensors")]
            elements = int((table["rows"].astype(np.int64) * table["columns"]).sum())
            return WALKS[self.name] * elements * np.dtype(self.module.real).itemsize
        arrays = [a for a in args if isinstance(a, DeviceArray)]
        written = [
            a for a, kind in zip(args, self.types, strict=True) if kind == "real*" and isinstance(a, DeviceArray)
        ]
        return _bytes(*(a._data for a in arrays + written[: CHANGED.get(self.name, 0)]))

    def _structure(self, value, wanted):
        """A structure by value: CuPy takes a NumPy array of one element, with a dtype of the structure's size."""
        size = getattr(self.module.library, f"sizeof_{wanted}")()
        assert isinstance(value, np.ndarray), f"{self.name}: {wanted} from {type(value).__name__}"
        assert value.shape == (1,), f"{self.name}: {wanted} from an array of shape {value.shape}"
        assert value.nbytes == size, f"{self.name}: {wanted} has {size} bytes, got {value.nbytes}"
        assert size <= 4096 - 8 * len(self.types), f"{self.name}: more than a launch's arguments may have"
        return ctypes.c_char_p(value.tobytes())


class _CublasFunction:
    """A function of the library that stands in for cuBLAS. Products wait in the queue of the stream it was told."""

    def __init__(self, cublas_, name):
        self._cublas, self._name, self._function = cublas_, name, getattr(cublas_.library, name)

    argtypes = property(lambda self: self._function.argtypes, lambda self, types_: self._keep(types_))

    def _keep(self, types_):
        self._function.argtypes = types_

    def __call__(self, *args):
        if self._name == "cublasSetStream_v2":
            self._cublas.stream = args[1] or 0
        if "Gemm" not in self._name:
            return self._function(*args)
        only_check = ctypes.c_int.in_dll(self._cublas.library, "only_check")
        only_check.value = 1
        status = self._function(*args)
        only_check.value = 0
        if status:
            return status
        COUNTER.kernels.append("gemm")
        m, n, k, beta, a_type, count = *args[3:6], args[15], args[8], args[20]
        adds = ctypes.cast(beta, ctypes.POINTER((ctypes.c_float, ctypes.c_double)[a_type])).contents.value != 0
        COUNTER.bytes += (4, 8)[a_type] * count * (m * k + k * n + m * n * (1 + adds))
        _do(lambda: self._function(*args), self._cublas.stream)
        return 0


class _Cublas:
    def __init__(self):
        self.library, self.stream = _compiled((HERE / "cublas_on_cpu.cpp").read_text(encoding="utf-8")), 0
        for name in ("cublasCreate_v2", "cublasSetStream_v2", "cublasSetWorkspace_v2", "cublasGemmStridedBatchedEx"):
            setattr(self, name, _CublasFunction(self, name))


class Graph:
    def __init__(self, tape):
        self._tape = tape

    def launch(self, stream=None):
        assert TAPE is None
        _do(self._run)

    def _run(self):
        for action in self._tape:
            action()


class Stream:
    """A stream with a queue of its own; it can be captured."""

    current = captured = None

    def __init__(self, *, non_blocking=False):
        self.non_blocking = non_blocking
        self.ptr = id(self)

    def __enter__(self):
        self._before, Stream.current = Stream.current, self
        return self

    def __exit__(self, *failure):
        Stream.current = self._before

    def synchronize(self):
        if TAPE is not None:
            _cross_to_host()
        COUNTER.syncs += 1
        _finish(self.ptr)

    def begin_capture(self, mode=None):
        global TAPE
        assert self.non_blocking, "the stream that all others wait for cannot be captured"
        assert Stream.current is self
        TAPE, Stream.captured = [], self

    def end_capture(self):
        global TAPE
        tape, TAPE, Stream.captured = TAPE, None, None
        return Graph(tape)

    def is_capturing(self):
        return TAPE is not None


NULL_STREAM = types.SimpleNamespace(ptr=0, synchronize=_cross_to_host)


class Device:
    """The device: a small one, with as many multiprocessors as `multiprocessors` says."""

    multiprocessors = 1

    @property
    def attributes(self):
        return {"MultiProcessorCount": Device.multiprocessors}


def _add_kernels(module):
    module.RawModule = RawModule
    module.memory = memory = GpuMemory()
    _start_anew(memory)
    module.get_default_memory_pool = lambda: memory.common
    module.cuda = types.SimpleNamespace(
        Device=Device,
        Stream=Stream,
        get_current_stream=lambda: Stream.current or NULL_STREAM,
        **memory.names(),
    )
    cublas._load.cache_clear()
    module.cublas_double = _Cublas()


def make_backend(read_every=50, kernels=False, tf32=False):
    """A backend called "cupy" on a fresh double, with compiled kernels and cuBLAS if asked for."""
    module = DeviceModule(NAMES["functions"], np)
    module.lib = types.SimpleNamespace(stride_tricks=DeviceModule(NAMES["lib.stride_tricks"], np.lib.stride_tricks))
    if kernels:
        _add_kernels(module)
    else:
        _start_anew(None)
    return Backend(
        name="cupy",
        xp=module,
        array_type=DeviceArray,
        asarray=module.asarray,
        to_host=lambda a: a.get(),
        synchronize=lambda: _finish(_current_stream()),
        device_name="strict double",
        read_every=read_every,
        tf32=tf32,
        record=RecordedStep,
    )
