"""One call of a student's function, and all that the checker has to know about it.

`FunctionsHere` calls functions of this process. It catches what they raise, and looks which arguments they have changed
and which memory their results share, because that can only be seen in the process in which they run. What comes out is
an `Answer`: plain data, which can also come from another process (`minigan.check.sandbox`). A cache stays where it is;
an answer has only its number (`Kept`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from minigan.check.calls.own_lines import own_lines
from minigan.nn.backend import Array

RETURNED = "returned"
RAISED = "raised"
DOES_NOT_FIT = "does not fit"
NOT_WRITTEN = "not written"
OUT_OF_MEMORY = "out of memory"
KINDS = (RETURNED, RAISED, DOES_NOT_FIT, NOT_WRITTEN, OUT_OF_MEMORY)

CACHE = -1
"""In place of an argument's position: the cache."""


@dataclass(frozen=True)
class Kept:
    """A cache, which stays with the functions that made it; here is only its number."""

    number: int


@dataclass(frozen=True)
class Shared:
    """A result that shares memory with an argument.

    Parameters
    ----------
    result, argument : int
        Their positions; `CACHE` for an array of the cache.
    same : bool
        Whether it is that very array, and not a view of it.
    """

    result: int
    argument: int
    same: bool


@dataclass(frozen=True)
class Answer:
    """What came of one call.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    value : anything
        What the function returned, if it did.
    changed : tuple of int
        Positions of the arguments that it has changed.
    changed_before : tuple of int
        Positions of the arguments of the forward call that made the cache, where this call has changed those.
    shared : tuple of Shared
    error, text : str
        The exception's class and message; for `DOES_NOT_FIT` the message, and the function's own signature.
    lines : tuple of str
        The student's lines through which the exception has come.
    borrowed : tuple of str
        Functions of minigan's own that have run, where somebody looked.
    """

    kind: str
    value: Any = None
    changed: tuple[int, ...] = ()
    changed_before: tuple[int, ...] = ()
    shared: tuple[Shared, ...] = ()
    error: str = ""
    text: str = ""
    lines: tuple[str, ...] = ()
    borrowed: tuple[str, ...] = ()


class Functions(Protocol):
    """A student's functions, wherever they run."""

    def has(self, name: str) -> bool:
        """Whether there is a function of this name."""

    def call(self, name: str, arguments: tuple[Any, ...], settings: Mapping[str, Any], *, keep: bool = False) -> Answer:
        """Call one; with `keep`, the second of two results is a cache, and is kept."""

    def play(self, name: str, world: Mapping[str, Array]) -> Answer:
        """Let a training step run in a world (`minigan.check.calls.worlds`)."""


@dataclass
class _Cache:
    """A cache, and the arguments of the call that made it, then and now."""

    value: Any
    arguments: tuple[Any, ...]
    before: tuple[Any, ...]


class FunctionsHere:
    """Functions of this process.

    Parameters
    ----------
    functions : mapping of str to callable
        By name; a missing one counts as not written yet.
    catch_interrupts : bool
        Whether KeyboardInterrupt is an exception like others. In a notebook it is not.
    """

    def __init__(self, functions: Mapping[str, Callable[..., Any] | None], *, catch_interrupts: bool = False) -> None:
        self.functions = functions
        self._caches: list[_Cache] = []
        self._let_through: tuple[type[BaseException], ...] = () if catch_interrupts else (KeyboardInterrupt,)

    def has(self, name: str) -> bool:
        """Whether there is a function of this name."""
        return self.functions.get(name) is not None

    def forget(self) -> None:
        """Drop all caches."""
        self._caches.clear()

    def call(self, name: str, arguments: tuple[Any, ...], settings: Mapping[str, Any], *, keep: bool = False) -> Answer:
        """Call one function.

        Parameters
        ----------
        name : str
        arguments : tuple
            The arrays themselves are handed over, not copies. A `Kept` is replaced by its cache.
        settings : mapping
            Keyword arguments.
        keep : bool
            Whether the second of two results is a cache.

        Returns
        -------
        Answer
        """
        function = self.functions.get(name)
        if function is None:
            return Answer(NOT_WRITTEN)
        cache = next((self._caches[a.number] for a in arguments if isinstance(a, Kept)), None)
        given = tuple(cache.value if isinstance(a, Kept) and cache else a for a in arguments)
        before = _copies(arguments)
        problem = _does_not_fit(function, given, settings)
        if problem is not None:
            return problem
        try:
            with np.errstate(all="ignore"):
                value = function(*given, **settings)
        except self._let_through:
            raise
        except BaseException as error:
            return _raised(name, function, error)
        shared = tuple(_shared(value, arguments, cache))
        if keep and isinstance(value, tuple | list) and len(value) == 2:
            self._caches.append(_Cache(value[1], arguments, before))
            value = (value[0], Kept(len(self._caches) - 1))
        changed_before = () if cache is None else _changed(cache.arguments, cache.before)
        return Answer(RETURNED, value, _changed(arguments, before), changed_before, shared)

    def play(self, name: str, world: Mapping[str, Array]) -> Answer:
        """Let a training step run in a world.

        Parameters
        ----------
        name : str
            "discriminator_step" or "generator_step".
        world : mapping of str to Array
            As `minigan.check.calls.worlds.World.arrays` gives it.

        Returns
        -------
        Answer
            Its value has the losses and the arrays afterwards, or it is that of the call that failed.
        """
        from minigan.check.calls.worlds import World

        there = World.of(name, world)
        losses = []
        for arguments in there.calls():
            answer = self.call(name, arguments, {})
            if answer.kind != RETURNED:
                return answer
            losses.append(answer.value)
        return Answer(RETURNED, {"losses": losses, "arrays": there.arrays()})


def _copies(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(a.copy() if isinstance(a, np.ndarray) else None for a in arguments)


def _changed(arguments: tuple[Any, ...], before: tuple[Any, ...]) -> tuple[int, ...]:
    """Positions of the arrays that are no longer what they were."""
    return tuple(
        k
        for k, (now, then) in enumerate(zip(arguments, before, strict=True))
        if isinstance(then, np.ndarray) and not np.array_equal(now, then)
    )


def _shared(value: Any, arguments: tuple[Any, ...], cache: _Cache | None) -> Iterator[Shared]:
    """Which arrays among the results share memory with an argument, or with an array of the cache."""
    results = value if isinstance(value, tuple | list) else (value,)
    others = [(k, a) for k, a in enumerate(arguments) if isinstance(a, np.ndarray)]
    others += [(CACHE, a) for a in arrays_in(cache.value)] if cache is not None else []
    for k, result in enumerate(results[:10]):
        if not isinstance(result, np.ndarray):
            continue
        found: dict[int, bool] = {}
        for position, other in others:
            if np.may_share_memory(result, other):
                found[position] = found.get(position, False) or result is other
        yield from (Shared(k, position, same) for position, same in found.items())


def arrays_in(thing: Any, depth: int = 4) -> Iterator[Array]:
    """Arrays somewhere inside a cache."""
    if isinstance(thing, np.ndarray):
        yield thing
    elif depth and isinstance(thing, Mapping):
        for value in thing.values():
            yield from arrays_in(value, depth - 1)
    elif depth and isinstance(thing, list | tuple | set):
        for value in thing:
            yield from arrays_in(value, depth - 1)
    elif depth and hasattr(thing, "__dict__") and not isinstance(thing, type) and not callable(thing):
        yield from arrays_in(vars(thing), depth - 1)


def _does_not_fit(
    function: Callable[..., Any], arguments: tuple[Any, ...], settings: Mapping[str, Any]
) -> Answer | None:
    """The answer of a function that cannot be called with these arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*arguments, **settings)
    except TypeError as error:
        return Answer(DOES_NOT_FIT, error=str(error), text=str(signature))
    return None


def _raised(name: str, function: Callable[..., Any], error: BaseException) -> Answer:
    if isinstance(error, NotImplementedError):
        return Answer(NOT_WRITTEN)
    _, lines = own_lines(error, (name, getattr(function, "__name__", name)), is_library)
    try:
        text = " ".join(str(error).split())[:300]
    except Exception:  # an exception of the student's own, whose message cannot be made
        text = ""
    kind = OUT_OF_MEMORY if isinstance(error, MemoryError) else RAISED
    return Answer(kind, error=type(error).__name__, text=text, lines=lines)


def is_library(filename: str) -> bool:
    """Whether a frame is NumPy's or minigan's. A finding shows the last line of the student's own code instead."""
    parts = Path(filename).parts
    own = Path(__file__).resolve().parents[2]
    parents = Path(filename).resolve().parents
    inside = own in parents and own / "check" / "zoo" not in parents
    return "numpy" in parts or filename.startswith("<__array_function__") or inside
