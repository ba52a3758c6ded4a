"""How values travel between the checker and a student's process: a description in JSON, and raw bytes of arrays.

Nothing that arrives is ever executed, as unpickling would do. Sizes are bounded, dtypes come from a short list, and
whatever does not keep the rules raises `WireError`. What the checker does not compute with, an object of a class for
example, travels as the name of its class.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minigan.check.calls.answers import CACHE, KINDS, RETURNED, Answer, Kept, Shared

DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)
LARGEST_ARRAY = 4_000_000
"""Bytes. Of a larger array only the shape travels: no right result is as large."""
LARGEST_PAYLOAD = 16_000_000
LARGEST_HEADER = 500_000
MOST_ITEMS = 500
MOST_COST = 8_000
"""Of what a message says in JSON, in units of some 50 bytes, which is less than `LARGEST_HEADER`."""
MOST_PLACES = 1_000_000
"""In all lists and dicts of one message together, with the items that did not travel."""
DEEPEST = 6
LONGEST_TEXT = 2000

_dumps = json.dumps  # kept here: a student's file may replace it in the module
_ARRAYS: dict[str, Callable[[Any], Any]] = {
    "array": np.asarray,
    "matrix": lambda a: a.view(np.matrix),
    "masked": np.ma.asarray,
}


class Thing:
    """An object whose class the checker does not know; the class of each has the name of the original's."""


class WireError(ValueError):
    """What has arrived does not keep the rules."""


# ----------------------------------------------------------------------------------------------------------------- send
def packed(value: Any) -> tuple[Any, bytes]:
    r"""A value as something that JSON can say, and bytes.

    Parameters
    ----------
    value : anything

    Returns
    -------
    description : lists and texts
    payload : bytes

    Examples
    --------
    >>> packed((1.5, np.array([1, 2], np.int8)))
    (['tuple', 2, [['float', '0x1.8000000000000p+0'], ['array', 'int8', [2], 0]]], b'\x01\x02')
    """
    chunks: list[bytes] = []
    return _described(value, chunks, [0, 0], DEEPEST), b"".join(chunks)


def _described(value: Any, chunks: list[bytes], used: list[int], depth: int) -> Any:
    """A value in the form of `packed`; `used` counts the bytes of arrays, and the units of `MOST_COST`."""
    used[1] += 1
    if value is None:
        return ["none"]
    if isinstance(value, bool):
        return ["bool", value]
    if type(value) is int and abs(value) < 2**63:
        return ["int", value]
    if type(value) is float:
        return ["float", value.hex()]
    if type(value) is str:
        text = value[:LONGEST_TEXT]
        used[1] += len(text) // 8  # a character may take six bytes in JSON
        return ["text", text]
    if isinstance(value, Kept):
        return ["kept", value.number]
    if isinstance(value, np.ndarray | np.generic) and value.dtype.name in DTYPES:
        kind = "array" if isinstance(value, np.ndarray) else "number"
        kind = {np.matrix: "matrix", np.ma.MaskedArray: "masked"}.get(type(value), kind)
        used[1] += 1 + value.ndim // 4
        offset = None
        if value.nbytes <= LARGEST_ARRAY and used[0] + value.nbytes <= LARGEST_PAYLOAD:
            offset = used[0]
            native = np.asarray(value).astype(value.dtype.name)
            chunks.append(native.tobytes())
            used[0] += len(chunks[-1])
        return [kind, value.dtype.name, list(value.shape), offset]
    if depth and isinstance(value, tuple | list):
        items = [_described(item, chunks, used, depth - 1) for item in value[:MOST_ITEMS] if used[1] < MOST_COST]
        return ["tuple" if isinstance(value, tuple) else "list", len(value), items]
    if depth and isinstance(value, Mapping):
        pairs = [
            (_described(key, chunks, used, 2), _described(item, chunks, used, depth - 1))
            for key, item in list(value.items())[:MOST_ITEMS]
            if used[1] < MOST_COST
        ]
        return ["dict", len(value), pairs]
    used[1] += 1
    return ["thing", type(value).__name__[:60]]


def packed_answer(answer: Answer) -> tuple[Any, bytes]:
    """An answer in the same form."""
    return packed(
        {
            "kind": answer.kind,
            "value": answer.value,
            "changed": answer.changed,
            "changed_before": answer.changed_before,
            "shared": [(shared.result, shared.argument, shared.same) for shared in answer.shared],
            "told": [answer.error, answer.text, *answer.lines],
            "borrowed": answer.borrowed,
        }
    )


# -------------------------------------------------------------------------------------------------------------- receive
def unpacked(description: Any, payload: bytes) -> Any:
    """The value that was packed.

    Parameters
    ----------
    description : as `packed` gives it
    payload : bytes

    Returns
    -------
    anything
        An array whose bytes did not travel has its shape, holds zeros, and takes no memory. An object of an unknown
        class is an empty object of a class of that name.

    Raises
    ------
    WireError
        If it is not what `packed` could have made.
    """
    try:
        return _value(description, payload, [MOST_PLACES], DEEPEST)
    except WireError:
        raise
    except (TypeError, ValueError, KeyError, IndexError, OverflowError, RecursionError, AttributeError) as error:
        raise WireError(f"{type(error).__name__}: {error}") from None


def _value(told: Any, payload: bytes, left: list[int], depth: int) -> Any:
    kind, *rest = told
    if kind == "none":
        return None
    if kind in ("bool", "int", "text"):
        (value,) = rest
        if type(value) is not {"bool": bool, "int": int, "text": str}[kind]:
            raise WireError(f"no {kind}")
        return value
    if kind == "float":
        return float.fromhex(rest[0])
    if kind == "kept":
        return Kept(_whole(rest[0], 10**9))
    if kind in ("number", *_ARRAYS):
        dtype, shape, offset = rest
        array = _array(dtype, shape, offset, payload)
        return array[()] if kind == "number" else _ARRAYS[kind](array)
    if depth and kind in ("tuple", "list"):
        count, items = rest
        count = _taken(count, left)
        values = [_value(item, payload, left, depth - 1) for item in items[:MOST_ITEMS]]
        values += [None] * (count - len(values))
        return tuple(values) if kind == "tuple" else values
    if depth and kind == "dict":
        count, pairs = rest
        count = _taken(count, left)
        found = {_value(k, payload, left, 2): _value(v, payload, left, depth - 1) for k, v in pairs[:MOST_ITEMS]}
        found |= dict.fromkeys(map(str, range(min(count, 10**4) - len(found))))
        return found
    if kind == "thing":
        name = _text(rest[0])
        return type(name if name.isidentifier() else "object", (Thing,), {})()
    raise WireError(f"unknown: {str(kind)[:40]}")


def _taken(count: Any, left: list[int]) -> int:
    """How many items a list or a dict has, taken from those that a message may still have."""
    left[0] -= _whole(count, MOST_PLACES)
    if left[0] < 0:
        raise WireError("too many items")
    return int(count)


def _array(dtype: str, shape: list[int], offset: int | None, payload: bytes) -> Any:
    if dtype not in DTYPES:
        raise WireError(f"dtype {str(dtype)[:40]}")
    sizes = tuple(_whole(size, 2**40) for size in shape)
    if offset is None:
        return np.broadcast_to(np.zeros((), dtype), sizes)
    count = math.prod(sizes)
    start = _whole(offset, len(payload))
    if start + count * np.dtype(dtype).itemsize > len(payload):
        raise WireError("an array is longer than what has arrived")
    data = payload[start : start + count * np.dtype(dtype).itemsize]
    array = np.frombuffer(data, dtype).reshape(sizes).copy()
    return array.view(np.uint8).astype(np.bool_) if dtype == "bool" else array


def _whole(value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise WireError(f"no count: {str(value)[:40]}")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise WireError("no text")
    return value[:LONGEST_TEXT]


def unpacked_answer(description: Any, payload: bytes, arguments: int) -> Answer:
    """The answer that was packed.

    Parameters
    ----------
    description, payload
    arguments : int
        How many arguments the function was called with: positions beyond them are refused.

    Returns
    -------
    Answer

    Raises
    ------
    WireError
    """
    found = unpacked(description, payload)
    try:
        told = [_text(text) for text in found["told"]][:20]
        results = len(found["value"]) if isinstance(found["value"], tuple | list) else 1
        shared = tuple(
            Shared(_whole(r, results - 1), a if a == CACHE else _whole(a, arguments - 1), same is True)
            for r, a, same in found["shared"]
        )
        changed, before = (tuple(_whole(k, 20) for k in found[name]) for name in ("changed", "changed_before"))
        if any(k >= arguments for k in changed):
            raise WireError("no such argument")
        if found["kind"] not in KINDS or (found["kind"] == RETURNED and len(told) < 2):
            raise WireError("no such kind of answer")
        borrowed = tuple(_text(name) for name in found.get("borrowed", ()))[:20]
        lines = tuple(told[2:])
        return Answer(found["kind"], found["value"], changed, before, shared, told[0], told[1], lines, borrowed)
    except (TypeError, KeyError, ValueError, IndexError) as error:
        raise WireError(str(error)) from None


def has_things(value: Any) -> bool:
    """Whether there is something in a value, as it was packed or unpacked, of which only the class's name travels."""
    if isinstance(value, Mapping):
        return any(has_things(item) for pair in value.items() for item in pair)
    if isinstance(value, tuple | list):
        return value[:1] == ["thing"] or any(map(has_things, value))
    return isinstance(value, Thing)


def largest_array(value: Any) -> int:
    """The bytes of the largest array in a value; of one with more than `LARGEST_ARRAY` only the shape has travelled."""
    if isinstance(value, Mapping):
        return max(map(largest_array, value.values()), default=0)
    if isinstance(value, tuple | list):
        return max(map(largest_array, value), default=0)
    return int(value.nbytes) if isinstance(value, np.ndarray) else 0


# --------------------------------------------------------------------------------------------------------------- frames
def framed(head: Mapping[str, Any], value: tuple[Any, bytes], first: str = "") -> bytes:
    """One message: a line of JSON after the word `first`, then the payload, whose length the line says.

    Parameters
    ----------
    head : mapping
        What JSON can say.
    value : as `packed` gives it
    first : str

    Returns
    -------
    bytes
    """
    description, payload = value
    line = _dumps({**head, "value": description, "bytes": len(payload)})
    return f"{first}{line}\n".encode("ascii") + payload


def head_of(line: bytes) -> dict[str, Any]:
    """The first line of a message.

    Parameters
    ----------
    line : bytes
        Without its first word.

    Returns
    -------
    dict
        Its "bytes" is the length of the payload that follows.

    Raises
    ------
    WireError
    """
    try:
        head = json.loads(line[:LARGEST_HEADER])
        _whole(head["bytes"], LARGEST_PAYLOAD)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise WireError(f"no message: {type(error).__name__}") from None
    return dict(head)
