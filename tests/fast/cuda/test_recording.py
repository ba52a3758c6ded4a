"""Recorded steps: their memory when memory is short, and what happens when a step cannot be recorded."""

import gc
import types

import pytest
from cupy_memory import CUDARuntimeError, GpuMemory, OutOfMemoryError
from device_double import COMPILER
from small_gans import assert_same, state_of

from minigan.fast.cuda.recording import Recording
from minigan.gan.step import build_gan, draw_inputs, recorded_step, train_step

MB = 1 << 20


class Card:
    """CuPy on a card whose memory is all that is modelled; a stream that notes what recorded kernels use."""

    def __init__(self, capacity=None, limit=0):
        self.memory = GpuMemory(capacity, limit)
        card = self

        class Stream:
            living = 0

            def __init__(self, non_blocking):
                Stream.living += 1

            def __del__(self):
                Stream.living -= 1

            def __enter__(self):
                return self

            def __exit__(self, *error):
                pass

            def begin_capture(self):
                card.used_in_recording = []

            def end_capture(self):
                used, card.used_in_recording = card.used_in_recording, None
                return Graph(used)

        class Graph:
            def __init__(self, used):
                self.used = used

            def launch(self):
                lost = [address for address in self.used if address not in card.memory.allocated]
                assert not lost, f"a replay uses memory that CUDA has back: {lost}"

        self.Stream, self.used_in_recording = Stream, None
        self.cuda = types.SimpleNamespace(Stream=Stream, **self.memory.names())

    def get_default_memory_pool(self):
        return self.memory.common

    def array(self, size):
        """Memory for an array, and a kernel that writes to it."""
        block = self.memory.alloc(size)
        if self.used_in_recording is not None:
            self.used_in_recording.append(block.ptr)
        return block


def work(card, *sizes, kept=MB):
    """A step: arrays that live a short time each, and one that is returned."""
    for size in sizes:
        card.array(size)
    return card.array(kept)


def test_memory_short_while_recording_is_no_memory_lost():
    """The second array does not fit beside the first, which is unused by then, but only until the first replay."""
    card = Card(capacity=10 * MB)
    with pytest.raises(MemoryError, match="the GPU has no 8,388,608 bytes more: cudaErrorMemoryAllocation"):
        Recording(lambda: work(card, 4 * MB, 8 * MB), card)
    gc.collect()
    assert card.memory.used == 0  # all of the attempt is gone
    work(card, 4 * MB, 8 * MB)  # as usual, it fits: the pool may give the first array back
    recording = Recording(lambda: work(card, 4 * MB, 4 * MB), card)
    work(card, 4 * MB)
    recording.replay()


@pytest.mark.parametrize("short", ["capacity", "limit"])
def test_the_model_would_catch_a_pool_that_gives_memory_back(short):
    """So it does with the pool that CuPy makes by default, be it the card that is full or the user's limit."""
    card = Card(**{short: 10 * MB})
    with card.cuda.using_allocator(card.cuda.MemoryPool().malloc):
        stream = card.Stream(non_blocking=True)
        stream.begin_capture()
        work(card, 4 * MB, 8 * MB)
        graph = stream.end_capture()
    with pytest.raises(AssertionError, match="memory that CUDA has back"):
        graph.launch()


def test_another_error_of_cuda_is_not_called_a_lack_of_memory():
    card = Card()

    def fail(size):
        raise CUDARuntimeError(700, "cudaErrorIllegalAddress: an illegal memory access was encountered")

    card.memory.malloc = fail
    with pytest.raises(CUDARuntimeError, match="IllegalAddress"):
        Recording(lambda: work(card, MB), card)


def test_what_the_step_before_has_left_unused_is_given_back_first():
    card = Card()
    weights = card.array(2 * MB)
    work(card, 8 * MB)
    eager = card.memory.used
    recording = Recording(lambda: work(card, 8 * MB), card)
    assert card.memory.used <= 1.2 * eager
    assert recording.memory_bytes() + card.memory.common.total_bytes() == card.memory.used
    recording.replay()
    assert weights.size == 2 * MB


def test_a_recording_takes_what_the_users_limit_leaves():
    card = Card(limit=16 * MB)
    weights = card.array(6 * MB)
    with pytest.raises(MemoryError, match="the limit of 16,777,216 bytes leaves 10,485,760, and 11,534,336 more are"):
        Recording(lambda: work(card, 11 * MB), card)
    gc.collect()
    recording = Recording(lambda: work(card, 8 * MB), card)
    assert card.memory.used <= 16 * MB
    recording.replay()
    assert weights.size == 6 * MB
    with pytest.raises(OutOfMemoryError):  # nor may the rest of the program take what the recording has
        card.array(4 * MB)
    assert card.memory.used <= 16 * MB
    recording.replay()


def test_a_users_limit_is_no_reason_to_give_memory_back():
    """The second array would not fit beside the first within the limit; the pool must not free what is recorded."""
    card = Card(limit=10 * MB)
    with pytest.raises(MemoryError, match="the limit of"):
        Recording(lambda: work(card, 4 * MB, 8 * MB), card)
    recording = Recording(lambda: work(card, 4 * MB, 4 * MB), card)
    recording.replay()


def test_a_stream_lives_on():
    """cuBLAS goes on using the address of the stream that it was told last, also of one whose recording has failed."""
    card = Card(capacity=2 * MB)
    recording = Recording(lambda: work(card, MB), card)
    recording.replay()
    del recording
    with pytest.raises(MemoryError):
        Recording(lambda: work(card, 4 * MB), card)
    gc.collect()
    assert card.Stream.living == 2


@pytest.mark.skipif(COMPILER is None, reason="there is no g++")
@pytest.mark.parametrize("after", [0, 1, 30, 90])
@pytest.mark.parametrize("kind", [MemoryError, OutOfMemoryError, RuntimeError])
def test_a_step_for_which_memory_is_too_short_runs_as_usual(kernels, monkeypatch, after, kind):
    """Wherever in the step memory ends, one line says so, and the numbers are those of a run without recording."""
    size = {"image_size": 32, "width": 4}

    def inputs(step):
        return draw_inputs(images[step], 5, step, kernels)

    import device_double
    import numpy as np

    images = np.random.default_rng(0).uniform(-1, 1, (4, 4, 32, 32, 3)).astype(np.float32)
    eager, recorded = build_gan(**size, backend=kernels), build_gan(**size, backend=kernels)
    empty, left = type(kernels.xp).empty, [after]

    def short(self, *arguments, **options):
        if device_double.TAPE is not None:
            left[0] -= 1
            if left[0] < 0:
                raise kind(1, 1) if kind is OutOfMemoryError else kind("no more memory")
        return empty(self, *arguments, **options)

    monkeypatch.setattr(type(kernels.xp), "empty", short)
    told = []
    step_of = recorded_step(recorded, told.append)
    for step in range(4):
        train_step(eager, inputs(step))
        step_of(inputs(step))
    assert len(told) == 1
    assert told[0].startswith("--cuda-graph: a step cannot be recorded (")
    assert told[0].endswith("; the run goes on without")
    assert (recorded.d_optimizer.t, recorded.g_optimizer.t) == (8, 4)
    assert_same(state_of(recorded, kernels), state_of(eager, kernels))
