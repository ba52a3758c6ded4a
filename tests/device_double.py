"""A stand-in for CuPy on machines without a GPU, stricter than the real thing.

`DeviceArray` keeps its numbers in a NumPy array that nobody else can reach. It refuses to meet NumPy arrays, refuses
to become one by accident, keeps reductions on the "device" as arrays of shape (), and counts every time a value
crosses to the host (`syncs`), because on a GPU each crossing waits for all the work queued before it. `DeviceModule`
offers exactly the functions, keyword arguments and methods that the real CuPy has (tests/cupy_names.json), so that
code that runs on the double asks nothing of CuPy that is not there.
"""

import json
import types
from pathlib import Path

import numpy as np

from minigan.backend import Backend

NAMES = json.loads(Path(__file__).with_name("cupy_names.json").read_text())
UFUNC_KEYWORDS = {"out", "dtype", "casting"}


class Counter:
    """How often values crossed to the host, and functions were called."""

    def __init__(self):
        self.syncs = 0
        self.calls = 0


COUNTER = Counter()


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
    """An array that lives elsewhere."""

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
    T = property(lambda self: DeviceArray(self._data.T))

    def __len__(self):
        return len(self._data)

    def __iter__(self):
        return (self[k] for k in range(len(self)))

    def __getitem__(self, key):
        return _wrap(np.asarray(self._data[_unwrap(key)]))

    def __setitem__(self, key, value):
        self._data[_unwrap(key)] = _unwrap(value)

    # What has to wait for the device.
    def get(self):
        COUNTER.syncs += 1
        return self._data.copy()

    def item(self):
        COUNTER.syncs += 1
        return self._data.item()

    def tolist(self):
        COUNTER.syncs += 1
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
        method = getattr(self._data, name)
        if not callable(method):
            raise AttributeError(f"the double does not model ndarray.{name}")

        def call(*args, **kwargs):
            COUNTER.calls += 1
            return _wrap(method(*_unwrap(args), **_unwrap(kwargs)))

        return call


def _operator(name):
    def apply(self, *others):
        COUNTER.calls += 1
        for other in others:
            if isinstance(other, np.ndarray):
                raise TypeError(f"Unsupported type numpy.ndarray in {name}: NumPy and device arrays do not mix")
        result = getattr(self._data, name)(*_unwrap(others))
        if result is NotImplemented:
            return NotImplemented
        if name.startswith("__i") and name not in ("__invert__",):
            self._data = result
            return self
        return _wrap(result)

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

        def call(*args, **kwargs):
            COUNTER.calls += 1
            allowed = UFUNC_KEYWORDS if known == "ufunc" else known
            for keyword in kwargs:
                if allowed is not None and keyword not in allowed:
                    raise TypeError(f"cupy.{name} has no keyword argument {keyword!r}")
            result = function(*_unwrap(args), **_unwrap(kwargs))
            return kwargs["out"] if kwargs.get("out") is not None else _wrap(result)

        return call

    def asarray(self, a, dtype=None):
        """The one door in: a copy, as on a real device."""
        if isinstance(a, DeviceArray):
            return a if dtype in (None, a.dtype) else DeviceArray(a._data.astype(dtype))
        return DeviceArray(np.array(a, dtype))


def make_backend(read_every=50):
    """A backend called "cupy" on a fresh double."""
    module = DeviceModule(NAMES["functions"], np)
    module.lib = types.SimpleNamespace(stride_tricks=DeviceModule(NAMES["lib.stride_tricks"], np.lib.stride_tricks))
    return Backend(
        name="cupy",
        xp=module,
        array_type=DeviceArray,
        asarray=module.asarray,
        to_host=lambda a: a.get(),
        synchronize=lambda: None,
        device_name="strict double",
        read_every=read_every,
    )
