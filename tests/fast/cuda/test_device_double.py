"""The double itself: each fault that a GPU would answer with wrong numbers is put in once, and must show here too.

A double that forgives a fault makes every test that runs on it worthless for that fault. The program that the faults
are put into is small and has all that matters: cuBLAS, kernels, memory that lives shortly, state that lives on, inputs
that change, and a recording that is replayed between eager work.
"""

import contextlib
import os
import subprocess
import sys

import device_double
import numpy as np
import pytest
from device_double import COMPILER, QUEUES, Stream
from places import ROOT

from minigan.fast.cuda import cublas, recording
from minigan.fast.cuda import kernels as cuda

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no g++ to compile the kernels for the processor")
RNG = np.random.default_rng(3)


def program(backend, steps, *, recorded):
    """What some steps of a small computation leave behind; the second and later ones are replayed if asked for."""
    xp = backend.xp
    weights = backend.asarray(np.linspace(-1, 1, 64 * 48).reshape(64, 48))
    state = backend.asarray(np.zeros(48))
    x = backend.asarray(np.zeros((40, 64)))
    others = []

    def step():
        nonlocal state
        y = cuda.leaky_relu_forward(cublas.matmul(x, weights), 0.2)
        state += cuda.channel_sum(y)
        return cublas.matmul(y, weights, transpose_b=True) * 2

    made, results = None, []
    for number in range(steps):
        x[...] = backend.asarray(np.random.default_rng(number).standard_normal((40, 64)))
        if recorded and number == 1:
            made = recording.Recording(step, xp)
        if made is None:
            result = step()
        else:
            made.replay()
            result = made.result
        results.append(backend.to_host(result))
        # Somebody else's work in between: arrays of the very sizes that the step uses for a moment.
        others += [backend.asarray(np.full(shape, 1.0 * number)) for shape in ((40, 48), (40, 64), (48,))]
    results.extend(backend.to_host(a) for a in (*others, state))
    return results


def disagree(one, other):
    return any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_program_is_right(kernels):
    eager = program(kernels, 5, recorded=False)
    assert not any(np.isnan(a).any() for a in eager)
    assert not disagree(eager, program(kernels, 5, recorded=True))


# -------------------------------------------------------------------------------------------------------------- faults
def never_tell_cublas(patch):
    follow = cublas._Cublas._follow_stream
    patch.setattr(cublas._Cublas, "_follow_stream", lambda self: None if self._stream is not None else follow(self))


def forget_the_pool(patch):
    """The recording's memory is taken from the common pool, and others get it as soon as it is free."""

    def common(xp, pool):
        return pool

    patch.setattr(recording, "_pool_for_recording", common)


def replay_elsewhere(patch):
    """The replay is on a stream for which nobody waits."""

    def replay(self):
        with self._stream:
            self._graph.launch()

    patch.setattr(recording.Recording, "replay", replay)


def do_not_wait(patch):
    """Results are read without waiting for the work before."""
    patch.setattr(device_double, "_finish", lambda stream: None)


FAULTS = [never_tell_cublas, forget_the_pool, replay_elsewhere, do_not_wait]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_a_gpu_would_not_forgive_shows(kernels, monkeypatch, fault):
    expected = program(kernels, 5, recorded=False)
    with monkeypatch.context() as patch, contextlib.suppress(RuntimeError):
        fault(patch)
        assert disagree(expected, program(kernels, 5, recorded=True))


def test_streams_that_do_not_wait_for_each_other_come_in_any_order(kernels):
    x = kernels.asarray(np.zeros(8))
    seen = set()
    for number in range(30):
        with Stream(non_blocking=True) as stream:
            x.fill(number)
        seen.add(bool((kernels.to_host(x) == number).all()))
        stream.synchronize()
        assert (kernels.to_host(x) == number).all()
    assert seen == {False, True}


def test_work_waits(kernels):
    waiting = []
    x = kernels.asarray(np.zeros(8))
    for _ in range(50):
        x += 1
        waiting.append(sum(map(len, QUEUES.values())))
    assert max(waiting) > 3
    assert kernels.to_host(x).tolist() == [50] * 8
    assert not any(QUEUES.values())


def test_freed_memory_is_poisoned_in_the_order_of_its_stream_and_given_out_again(kernels):
    a = kernels.asarray(np.arange(5.0))
    address = a.data.ptr
    b = cuda.leaky_relu_forward(a, 1.0)  # queued before a is freed
    del a
    c = kernels.xp.empty(5)
    assert c.data.ptr == address
    assert kernels.to_host(b).tolist() == [0, 1, 2, 3, 4]
    assert np.isnan(kernels.to_host(c)).all()


def test_memory_that_ends_is_told_as_cupy_tells_it(kernels):
    kernels.xp.memory.capacity = kernels.xp.memory.used + 4096
    with pytest.raises(MemoryError, match="Out of memory allocating 8,192 bytes"):
        kernels.xp.empty(1024)
    kernels.xp.empty(512)


def test_a_product_on_a_stream_that_is_not_captured_is_not_recorded(kernels):
    a, b = (kernels.asarray(RNG.standard_normal((3, 3))) for _ in range(2))
    cublas.matmul(a, b)  # on the stream that all begin with
    library = cublas._load(kernels.xp)
    stream = Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        kernels.xp.cublas_double.stream = 0  # as if it had not been told
        library._stream = stream.ptr
        cublas.matmul(a, b)
        assert not any("Cublas" in action.__qualname__ for action in device_double.TAPE)
        stream.end_capture()


# ---------------------------------------------------------------------------------------------------------- sanitizers
def sanitized(*command):
    """Run Python with g++'s sanitizers in front of everything."""
    library = subprocess.run([COMPILER, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    environment = {
        **os.environ,
        "MINIGAN_SANITIZE": "1",
        "LD_PRELOAD": library.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests/support"))),
    }
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


READS_BEYOND = """
from pathlib import Path
import numpy as np
from device_double import RawModule, make_backend
from minigan.fast.cuda import kernels as cuda
from minigan.nn import backend

code = Path(cuda.__file__).with_suffix(".cu").read_text(encoding="utf-8")
line = "cols[to + t + j * patch] = "
assert line in code
code = code.replace(line, "volatile real seen = inside ? x[from + place] : real(0); (void)seen; " + line)
cuda.compiled = lambda xp, dtype: RawModule(code=code, options=("-DREAL=double",))
double = make_backend(kernels=True)
backend.register(double)
cols = cuda.im2col(double.asarray(np.ones((1, 4, 4, 3))), (4, 4), 2, ((1, 1), (1, 1)))
assert double.to_host(cols).sum() == 108
"""


@pytest.mark.thorough
def test_a_number_beyond_an_array_shows_even_if_nobody_uses_it():
    done = sanitized("-c", READS_BEYOND)
    assert done.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr
    plain = dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, (ROOT, ROOT / "tests/support"))))
    subprocess.run([sys.executable, "-c", READS_BEYOND], cwd=ROOT, env=plain, check=True)


@pytest.mark.thorough
def test_no_kernel_reads_or_writes_outside_of_an_array():
    """All tests of the kernels once more. Without pytest's own capture: the sanitizer writes and ends the process."""
    done = sanitized(
        "-m", "pytest", "-q", "-x", "-s", "-n0", "-p", "no:cacheprovider", "tests/fast/cuda/test_kernels.py"
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
