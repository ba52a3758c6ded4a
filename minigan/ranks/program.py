"""Ranks for a program of your own, from a script or a notebook: one call.

    # my_steps.py
    def train(ranks, steps): ...

    # a notebook, or a script with the guard `if __name__ == "__main__":`
    from minigan.ranks.program import run
    run("my_steps:train", 100, ranks=2)

The function must lie in a module, because the other ranks are new Python processes, which import it by its name. A
function that a notebook or a script itself defines cannot be sent to them.
"""

from __future__ import annotations

import atexit
import importlib
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from minigan.ranks import local
from minigan.ranks.interface import Ranks
from minigan.ranks.mpi import MPI, launched_size
from minigan.system.cores import usable_cores

MEMORY_BYTES = 1 << 30
"""How much memory `Ranks.shared` and `Ranks.own` may give by default. On Linux only what is used is taken."""


def run(
    program: Callable[..., Any] | str, *arguments: Any, ranks: int | None = None, memory_bytes: int = MEMORY_BYTES
) -> Any:
    """Call ``program(ranks, *arguments)`` on several ranks at once; this process is number 0 of them.

    Under an MPI launcher the ranks are the processes that it has started, each of which runs the whole script.

    Parameters
    ----------
    program : callable or str
        A function of a module, or its name: ``"module:function"``. It gets a `minigan.ranks.interface.Ranks`.
    *arguments
        What Python can send to a process that it starts (`pickle`).
    ranks : int, optional
        How many; by default one for each usable core. If fewer can be started, there is a warning.
    memory_bytes : int
        What all `Ranks.shared` and `Ranks.own` arrays take together, those of all ranks counted.

    Returns
    -------
    object
        What the function returned on rank 0. None on the other ranks of an MPI program.

    Raises
    ------
    ValueError
        If other processes cannot import the function, or if an MPI launcher has started another number of ranks.
    RankError
        If another rank has failed.
    """
    function = _importable(program)
    launched = launched_size()
    with threadpool_limits(1, user_api="blas"):
        if launched is not None:
            if ranks not in (None, launched):
                raise ValueError(f"run: the MPI launcher has started {launched} ranks, got ranks={ranks}")
            return _on_mpi(function, arguments)
        size = usable_cores() if ranks is None else ranks
        start = partial(local.start, size=size, memory_bytes=memory_bytes, warn=warnings.warn)
        with start(call, (function, arguments)) as others:
            return call(others, function, arguments)


def call(ranks: Ranks, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """What every rank does: call the function, then wait for the others, so that nobody's failure is overlooked."""
    result = function(ranks, *arguments)
    ranks.stack(np.zeros(1))
    return result


def _on_mpi(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    ranks = MPI()
    try:
        result = call(ranks, function, arguments)
    except BaseException:
        atexit.register(ranks.abort, 1)  # when the error has been told: the others would wait for this rank
        raise
    return result if ranks.rank == 0 else None


def _importable(program: Callable[..., Any] | str) -> Callable[..., Any]:
    """The function itself; ValueError if a new process could not import it."""
    if isinstance(program, str):
        module, _, name = program.partition(":")
        if not module or not name:
            raise ValueError(f'run: a program is named "module:function", got {program!r}')
        found = getattr(importlib.import_module(module), name, None)
        if not callable(found):
            raise ValueError(f"run: module {module} has no function {name}")
        return found
    home, name = getattr(program, "__module__", None), getattr(program, "__qualname__", repr(program))
    if home in (None, "__main__") or "<" in name:
        where = "in a notebook or a script" if home == "__main__" else "inside another function, or without a name"
        raise ValueError(
            f"run: {name} is defined {where}, so the other ranks, which are new processes, cannot import it; "
            "put it into a module, a .py file of its own beside this one, and import it from there"
        )
    return program
