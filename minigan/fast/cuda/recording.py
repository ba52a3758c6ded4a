"""A training step recorded as a CUDA graph, and then started with a single launch.

A graphics card does one of this network's kernels in microseconds, and Python needs longer than that to start it. CUDA
can write down the kernels of a whole step instead, with their arguments, and start them all at once. `Recording` does
that with any work on arrays; `RecordedStep` does it with a training step (`minigan.gan.step.recorded_step`).

A replay reads and writes the very addresses of the recording. So the memory of a recording is its own, and not a byte
of it may go back to CUDA while the recording lives, nor while it is being made.

References
----------
NVIDIA, "CUDA C++ programming guide", section "CUDA Graphs". CuPy, "Memory management".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from minigan.nn.backend import Array, xp_of

MEMORY_ALLOCATION = 2
"""CUDA's number for the error that it has no more memory, cudaErrorMemoryAllocation."""


_streams: list[Any] = []
"""All streams that something was recorded on. cuBLAS is told of a new stream only if it has another address than the
one before, so no stream may get the address of an earlier one."""


class Counting(Protocol):
    """An optimizer, as far as a recording needs to know it: `t` counts its updates."""

    t: int


class RecordedStep:
    """A training step for a GPU: recorded as a CUDA graph, and then started with a single launch per step.

    The first step runs as usual and compiles every kernel. The second step is recorded. The second and all later steps
    replay the recording, after new inputs have been copied to the arrays that it reads. The numbers are the same.

    Parameters
    ----------
    step : callable
        Takes the inputs, a tuple of arrays on a GPU, and the moves, an array or None; returns arrays. Arrays that it
        changes must not be replaced by others from one call to the next.
    optimizers : sequence of Counting
        Those that the step uses.
    complain : callable
        Called with one line of text if the step cannot be recorded; then all steps run as usual.
    """

    def __init__(
        self,
        step: Callable[[Any, Array | None], Any],
        optimizers: Sequence[Counting],
        complain: Callable[[str], object],
    ) -> None:
        self._step, self._optimizers, self._complain = step, optimizers, complain
        self._steps = 0
        self._recording: Recording | None = None
        self._counts: list[int] = []

    def __call__(self, inputs: Any, moves: Array | None = None) -> Any:
        """One step. The next step overwrites its result. Either all steps have moves, or none."""
        self._steps += 1
        if self._steps == 2:
            self._record(inputs, moves)
        if self._recording is None:
            return self._step(inputs, moves)
        for here, new in zip(self._inputs, inputs, strict=True):
            here[...] = new
        if self._moves is not None:
            self._moves[...] = moves
        self._recording.replay()
        for optimizer, count in zip(self._optimizers, self._counts, strict=True):
            optimizer.t += count
        return self._recording.result

    def memory_bytes(self) -> int:
        """Memory that the recording has of its own, beside what CuPy's common pool has taken."""
        return 0 if self._recording is None else self._recording.memory_bytes()

    def _record(self, inputs: Any, moves: Array | None) -> None:
        before = [optimizer.t for optimizer in self._optimizers]
        self._inputs = type(inputs)(*(a.copy() for a in inputs))
        self._moves = None if moves is None else moves.copy()
        try:
            self._recording = Recording(lambda: self._step(self._inputs, self._moves), xp_of(*inputs))
        except (RuntimeError, MemoryError) as error:
            del self._inputs, self._moves
            self._complain(f"--cuda-graph: a step cannot be recorded ({error}); the run goes on without")
        # Recording a step has counted it, but has not done it.
        after = [optimizer.t for optimizer in self._optimizers]
        self._counts = [b - a for a, b in zip(before, after, strict=True)]
        for optimizer, t in zip(self._optimizers, before, strict=True):
            optimizer.t = t


class Recording:
    """Work on a GPU, recorded as a CUDA graph, so that it can be repeated with a single launch.

    A replay runs no Python: the same kernels read and write the same memory. So everything that changes from one replay
    to the next must be in arrays, and the inputs must always be in the same arrays.

    Parameters
    ----------
    function : callable
        Queues work on arrays of `xp` and returns the arrays with the results. It is called once, and its work is
        recorded but *not* done. It must have run before, so that every kernel is compiled.
    xp : module
        CuPy.

    Attributes
    ----------
    result
        The arrays that the function returned. Every `replay` fills them again.

    Raises
    ------
    RuntimeError, MemoryError
        If something in the function cannot be recorded, or there is not enough memory for it; then nothing has been
        done.
    """

    def __init__(self, function: Callable[[], Any], xp: Any) -> None:
        common = xp.get_default_memory_pool()
        # The step before has left as much memory unused as this one is going to need. Given back, it can be taken here.
        common.free_all_blocks()
        self._pool = _pool_for_recording(xp, common)
        self._stream = xp.cuda.Stream(non_blocking=True)
        _streams.append(self._stream)
        with xp.cuda.using_allocator(self._pool.malloc), self._stream:
            self._stream.begin_capture()
            try:
                self.result = function()
            except BaseException:
                with contextlib.suppress(RuntimeError):  # it only says that the recording is not valid
                    self._stream.end_capture()
                raise
            self._graph = self._stream.end_capture()
        if common.get_limit():
            common.set_limit(size=max(1, common.get_limit() - self._pool.total_bytes()))

    def memory_bytes(self) -> int:
        """Memory of its own."""
        return int(self._pool.total_bytes())

    def replay(self) -> None:
        """Queue all of it on the current stream."""
        self._graph.launch()


def _pool_for_recording(xp: Any, common: Any) -> Any:
    """A memory pool of which nothing goes back to CUDA, neither when an array is freed nor when memory is short.

    Memory that is freed to the common pool would be given to others, and a replay would write into it. And a pool that
    gets no more memory, from CUDA or because of its own limit, gives all its unused blocks back before it asks again.
    Here a block that is unused now is one that kernels recorded before will use in every replay. CuPy's pool does so
    when it is told of CUDA's own error, so it is told of another one; and it has no limit of its own.

    If the user has set a limit by CUPY_GPU_MEMORY_LIMIT, the recording may take what the common pool leaves of it.
    """
    limit = common.get_limit()
    left = limit - common.total_bytes() if limit else None

    def allocate(size: int) -> Any:
        nonlocal left
        if left is not None and size > left:
            raise MemoryError(f"the limit of {limit:,} bytes leaves {left:,}, and {size:,} more are needed")
        try:
            found = xp.cuda.MemoryPointer(xp.cuda.Memory(size), 0)
        except xp.cuda.runtime.CUDARuntimeError as error:
            if error.status != MEMORY_ALLOCATION:
                raise
            raise MemoryError(f"the GPU has no {size:,} bytes more: {error}") from None
        if left is not None:
            left -= size
        return found

    pool = xp.cuda.MemoryPool(allocate)
    pool.set_limit(size=0)  # a new pool takes the limit of the environment
    return pool
