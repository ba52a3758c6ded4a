"""Functions, and everything to which they refer, as bytes: the messages of `minigan.fast.cpu.process_pool`.

Python's own pickle cannot serialise inner functions, and it would copy arrays. Here an array in shared memory is sent
as its place in that memory: the receiver reads and writes the same numbers. A small array outside it is sent as a copy
that is read-only. A value that the function could change without effect on the sender, such as a list, is refused; so
are functions that are not minigan's.

A message consists of numbers, strings, bytes and tuples only, and `marshal` turns it into bytes. `marshal` also
serialises a function's code; this works because both ends run the same version of Python.
"""

from __future__ import annotations

import dataclasses
import importlib
import marshal
import mmap
from functools import cache
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from minigan.nn.backend import Array

COPY_BYTES = 1 << 16
"""Largest array that is sent as a copy."""


class UnsendableError(TypeError):
    """A value cannot be sent; the message says which."""


class SharedMemory:
    """A file that is mapped into the memory of this process and of others.

    Parameters
    ----------
    fd : int
        Descriptor of the file.
    size : int
        Its length in bytes.

    Attributes
    ----------
    memory : mmap.mmap
    address : int
        The address at which it begins in this process.
    """

    def __init__(self, fd: int, size: int) -> None:
        self.fd, self.size = fd, size
        self.memory = mmap.mmap(fd, size)
        self.address = np.frombuffer(self.memory, np.uint8).__array_interface__["data"][0]

    def offset(self, a: Array) -> int:
        """The place of an array's first number; below 0, or at least `size`, if it is not in this memory."""
        return a.__array_interface__["data"][0] - self.address


def to_bytes(memory: SharedMemory, *values: Any) -> bytes:
    """Serialise values.

    Raises
    ------
    UnsendableError
        If a value cannot be sent, or if changes to it by the receiver would be lost.
    """
    return marshal.dumps(tuple(_pack(value, memory) for value in values))


def from_bytes(memory: SharedMemory, data: bytes) -> list[Any]:
    """The values that were given to `to_bytes`. Arrays in shared memory are the same numbers; copies are read-only."""
    return [_unpack(value, memory) for value in marshal.loads(data)]


def _pack(value: Any, memory: SharedMemory) -> Any:
    """A value as numbers, strings, bytes and tuples; the first item of a tuple says what it stands for."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is np.ndarray:
        facts = value.__array_interface__  # all at once: one by one takes twice as long
        dtype, offset = facts["typestr"], facts["data"][0] - memory.address
        if dtype[1] not in "biufc":
            raise UnsendableError(f"an array of dtype {value.dtype}")
        if 0 <= offset < memory.size:
            return "shared", offset, facts["shape"], facts["strides"], dtype
        if value.nbytes > COPY_BYTES:
            raise UnsendableError(f"an array of {value.nbytes:,} bytes outside the shared memory")
        return "copy", value.tobytes(), facts["shape"], dtype
    if kind is slice:
        return "slice", value.start, value.stop, value.step
    if kind is tuple:
        return "tuple", *[_pack(item, memory) for item in value]
    if kind is FunctionType:
        if not _is_own(value) or value.__kwdefaults__:
            raise UnsendableError(f"the function {value.__qualname__} of {value.__module__}")
        inner = value.__defaults__, *[cell.cell_contents for cell in value.__closure__ or ()]
        return "function", value.__module__, _code_bytes(value.__code__), _pack(inner, memory)
    if kind is ModuleType:
        return "module", value.__name__
    if isinstance(value, np.dtype):
        return "dtype", value.str
    if isinstance(value, np.generic):
        return "number", value.tobytes(), value.dtype.str
    if dataclasses.is_dataclass(value) and kind.__dataclass_params__.frozen and _is_own(kind):
        fields = tuple(getattr(value, field.name) for field in dataclasses.fields(value))
        return "object", kind.__module__, kind.__qualname__, _pack(fields, memory)
    raise UnsendableError(f"a {kind.__name__}")


def _is_own(thing: Any) -> bool:
    return thing.__module__.startswith("minigan.")


_PLAIN = {int, float, bool, str, bytes, type(None)}


def _unpack(value: Any, memory: SharedMemory) -> Any:
    if type(value) is not tuple:
        return value
    kind, *parts = value
    if kind == "shared":
        offset, shape, strides, dtype = parts
        return np.ndarray(shape, dtype, memory.memory, offset, strides)
    if kind == "copy":
        data, shape, dtype = parts
        return np.frombuffer(data, dtype).reshape(shape)
    if kind == "tuple":
        return tuple(_unpack(part, memory) for part in parts)
    if kind == "slice":
        return slice(*parts)
    if kind == "function":
        module, code, inner = parts
        defaults, *cells = _unpack(inner, memory)
        closure = tuple(map(CellType, cells))
        return FunctionType(_code(code), _module(module).__dict__, None, defaults, closure)
    if kind == "module":
        return _module(parts[0])
    if kind == "dtype":
        return np.dtype(parts[0])
    if kind == "number":
        data, dtype = parts
        return np.frombuffer(data, dtype)[0]
    module, name, fields = parts
    return getattr(_module(module), name)(*_unpack(fields, memory))


_module = cache(importlib.import_module)


@cache
def _code_bytes(code: CodeType) -> bytes:
    return marshal.dumps(code)


@cache
def _code(data: bytes) -> CodeType:
    return marshal.loads(data)
