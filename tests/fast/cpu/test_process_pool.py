"""Worker processes: the same numbers as threads, no change is lost in silence, and no process is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigan.fast.cpu import memory, thread_pool
from minigan.fast.cpu.function_bytes import COPY_BYTES, SharedMemory, UnsendableError, from_bytes, to_bytes
from minigan.fast.cpu.process_pool import ProcessPool, Region, WorkerProcessError, shared, worker_processes
from minigan.fast.cpu.thread_pool import each, thread_count, use_threads
from minigan.fast.cpu.winograd import _plan
from minigan.gan.step import build_gan, draw_inputs, train_step
from minigan.nn.backend import NUMPY
from minigan.system.errors import RunError

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="there are worker processes on Linux only")


@pytest.fixture(scope="module")
def backend():
    """Two worker processes, started once for all tests of this file."""
    with use_threads(3), worker_processes() as backend:
        thread_pool.current_process_pool().wait_until_ready()
        yield backend


@pytest.fixture
def pool(backend):
    pool = thread_pool.current_process_pool()
    pool.declined.clear()
    return pool


def own(function):
    """The function as if it were minigan's; its global names are then those of `minigan.fast.cpu.thread_pool`."""
    function.__module__ = "minigan.fast.cpu.thread_pool"
    return function


def refused(pool):
    """Why the pool has declined, without the function's name."""
    return [reason.rpartition(": ")[2] for reason in pool.declined]


# ----------------------------------------------------------------------------------------------------- the same numbers
@pytest.mark.parametrize("options", [{}, {"ema": 0.9}, {"dtype": np.float64}])
def test_a_step_is_the_same_bit_for_bit_and_done_together(backend, pool, options):
    dtype = options.pop("dtype", np.float32)
    real = np.random.default_rng(0).uniform(-1, 1, (24, 32, 32, 3)).astype(np.float32)

    def steps(backend):
        gan = build_gan(image_size=32, width=24, backend=backend, **options)
        for network in (gan.generator, gan.discriminator):
            for layer in network.layers:
                for arrays in (layer.params, layer.grads, layer.buffers):
                    arrays.update({name: backend.asarray(a.astype(dtype)) for name, a in arrays.items()})
        gan.to(backend)
        for optimizer in (gan.g_optimizer, gan.d_optimizer):
            for arrays in (optimizer.m, optimizer.v):
                arrays.update({name: backend.asarray(a.astype(dtype)) for name, a in arrays.items()})
        metrics = []
        for k in range(3):
            inputs = draw_inputs(real, 1, k, backend)
            metrics.append(train_step(gan, type(inputs)(*(backend.asarray(a.astype(dtype)) for a in inputs))).metrics)
        return metrics, {**gan.generator.state(), **{f"D.{name}": a for name, a in gan.discriminator.state().items()}}

    before = pool.done
    metrics, state = steps(backend)
    assert pool.done > before + 50
    assert pool.declined == {}
    with thread_pool.using_processes(None):
        expected_metrics, expected = steps(NUMPY)
    np.testing.assert_array_equal(metrics, expected_metrics)
    for name, array in expected.items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)


def test_every_kernel_of_the_articles_step_can_be_sent(backend, pool):
    """Every kernel that a step of full width uses; one step is enough to send everything."""
    gan = build_gan(backend=backend)
    real = np.random.default_rng(0).uniform(-1, 1, (16, 64, 64, 3)).astype(np.float32)
    train_step(gan, draw_inputs(real, 1, 0, backend))
    assert pool.declined == {}


def test_every_item_is_done_once_and_every_worker_does_some(pool):
    count, pids = 100, shared(np.zeros(100, np.int64))

    @own
    def work(i):
        pids[i] += os.getpid()

    each(work, range(count))
    assert set(pids) == {os.getpid(), *(worker.process.pid for worker in pool.workers)}


def test_fewer_items_than_workers(pool):
    done = shared(np.zeros(2))

    @own
    def work(i):
        done[i] += 1

    each(work, range(2))
    each(work, range(1))
    assert list(done) == [2, 1]


def test_a_worker_process_counts_threads_as_its_parent_does(pool):
    counts = shared(np.zeros(6, np.int64))

    @own
    def work(i):
        counts[i] = thread_count()

    each(work, range(6))
    assert list(counts) == [3] * 6


# ------------------------------------------------------------------------------------------- no change lost in silence
def test_changes_that_would_be_lost_are_left_to_threads(pool):
    listed, far = [], np.zeros(COPY_BYTES)

    @own
    def to_list(i):
        listed.append(i)

    @own
    def to_far(i):
        far[i] = 1

    each(to_list, range(6))
    each(to_far, range(6))
    each(lambda i: far.__setitem__(i, 2), range(3))  # not minigan's
    assert sorted(listed) == list(range(6))
    assert list(far[:7]) == [2, 2, 2, 1, 1, 1, 0]
    assert refused(pool) == [
        "a list",
        f"an array of {far.nbytes:,} bytes outside the shared memory",
        "the function test_changes_that_would_be_lost_are_left_to_threads.<locals>.<lambda> of test_process_pool",
    ]


def test_a_copy_cannot_be_written_to(pool):
    near = np.zeros(6)

    @own
    def work(i):
        near[i] = 1

    message = "a worker process failed: ValueError: assignment destination is read-only"
    with pytest.raises(WorkerProcessError, match=message):
        each(work, range(6))


@pytest.mark.parametrize("where", [0, 1])
def test_an_error_in_either_process_is_raised_to_the_caller(pool, where):
    done = shared(np.zeros(9))

    @own
    def work(i):
        done[i] = 1
        if i == where:
            raise KeyError("lost")

    error = KeyError if where == 0 else WorkerProcessError
    with pytest.raises(error, match="lost"):
        each(work, range(9))
    assert done[2] == 1  # all had time to finish
    each(own(lambda i: None), range(9))  # and go on


def test_without_room_in_the_shared_memory_threads_do_the_work(backend, pool):
    x = np.random.default_rng(0).standard_normal((8, 300, 300))
    region = Region(1 << 16)
    with memory.allocating_from(region):
        y = shared(x)
        assert not 0 <= pool.region.offset(y) < pool.region.size

        @own
        def work(i):
            y[i] *= 2

        each(work, range(8))
    np.testing.assert_array_equal(y, 2 * x)
    assert len(pool.declined) == 1
    os.close(region.fd)


def test_two_threads_may_use_the_pool_at_once(pool):
    totals = [shared(np.zeros(40)) for _ in range(2)]
    both = threading.Barrier(2)

    def work(total):
        both.wait()
        for _ in range(50):
            each(own(lambda i: total.__setitem__(i, total[i] + 1)), range(40))

    workers = [threading.Thread(target=work, args=(total,)) for total in totals]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all((total == 50).all() for total in totals)


def test_a_forked_child_has_no_process_pool(pool):
    done = pool.done
    pid = os.fork()
    if pid == 0:
        ok = thread_pool.current_process_pool() is None and not pool.each(own(lambda i: None), range(4))
        os._exit(0 if ok else 1)
    assert os.waitpid(pid, 0)[1] == 0
    each(own(lambda i: None), range(4))
    assert pool.done == done + 1


# ------------------------------------------------------------------------------------------- no process is left behind
def test_worker_processes_end_with_the_block_and_arrays_stay():
    before = thread_pool.current_process_pool()
    with use_threads(2), worker_processes() as backend:
        pool = thread_pool.current_process_pool()
        a = backend.asarray(np.arange(10.0))
    assert thread_pool.current_process_pool() is before
    assert all(worker.process.poll() is not None for worker in pool.workers)
    assert list(a) == list(range(10))
    assert np.may_share_memory(memory.empty((4,), np.float32), a) is False


def test_a_killed_worker_process_is_reported():
    with use_threads(2), worker_processes() as backend:
        pool = thread_pool.current_process_pool()
        pool.wait_until_ready()
        a = backend.asarray(np.zeros(4))
        pool.workers[0].process.send_signal(signal.SIGKILL)
        with pytest.raises(RunError, match=r"ended too early \(signal 9\).* --threads 1 works without"):
            each(own(lambda i: a.__setitem__(i, 1)), range(4))


def test_a_worker_process_that_never_starts_is_not_waited_for(monkeypatch, tmp_path):
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n", encoding="ascii")  # neither serves nor ends, whatever it is told
    sleeper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(sleeper))
    with use_threads(2), worker_processes() as backend:
        a = backend.asarray(np.zeros(4))
        each(own(lambda i: a.__setitem__(i, 1)), range(4))
        assert a.all()


def test_without_processes_threads_do_the_work(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    before = thread_pool.current_process_pool()
    with use_threads(2), worker_processes() as backend:
        assert backend is NUMPY
        assert thread_pool.current_process_pool() is before


def test_one_thread_has_no_worker_processes():
    with use_threads(1), worker_processes() as backend:
        assert backend is NUMPY


def test_worker_processes_of_a_killed_process_end(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import time\n"
        "from minigan.fast.cpu import thread_pool\n"
        "from minigan.fast.cpu.process_pool import worker_processes\n"
        "with thread_pool.use_threads(3), worker_processes():\n"
        "    thread_pool.current_process_pool().wait_until_ready()\n"
        "    print(*[h.process.pid for h in thread_pool.current_process_pool().workers], flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        pids = list(map(int, process.stdout.readline().split()))
        assert len(pids) == 2
        process.kill()
    until = time.monotonic() + 20
    while any(map(is_alive, pids)):
        assert time.monotonic() < until, "worker processes outlive their parent"
        time.sleep(0.01)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_interrupt_while_waiting_leaves_the_rest_to_threads():
    with use_threads(2), worker_processes() as backend:
        pool = thread_pool.current_process_pool()
        pool.wait_until_ready()
        a = backend.asarray(np.zeros(4))
        receive = pool.workers[0].receive

        def interrupted():
            raise KeyboardInterrupt

        pool.workers[0].receive = interrupted
        with pytest.raises(KeyboardInterrupt):
            each(own(lambda i: None), range(4))
        pool.workers[0].receive = receive
        each(own(lambda i: a.__setitem__(i, 1)), range(4))
        assert a.all()
        assert pool.declined == {"an interrupt left workers at work": 1}


# --------------------------------------------------------------------------------------------------- the shared memory
def test_memory_that_nobody_uses_goes_back_to_the_system(monkeypatch):
    monkeypatch.setattr(memory, "KEEP_BYTES", 0)
    region = Region(1 << 26)
    with memory.allocating_from(region):
        a = shared(np.ones(1 << 22))
        taken = os.fstat(region.fd).st_blocks * 512
        assert taken >= a.nbytes
        del a
        assert os.fstat(region.fd).st_blocks * 512 <= taken - (1 << 25) + (1 << 16)
        b = memory.empty((1 << 22,), np.float64)
        assert region.offset(b) == 0
        b[:] = 1
    os.close(region.fd)


def test_a_pool_that_cannot_start_all_its_workers_ends_those_it_started(monkeypatch):
    """The second process fails to start: the first is ended."""
    started = []
    popen = subprocess.Popen

    def sometimes(*args, **kwargs):
        if started:
            raise BlockingIOError("no more processes")
        started.append(popen(*args, **kwargs))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", sometimes)
    region = Region(1 << 20)
    with pytest.raises(BlockingIOError):
        ProcessPool(2, region)
    assert started[0].poll() is not None
    os.close(region.fd)


# ------------------------------------------------------------------------------------------------- serialised functions
@pytest.fixture(scope="module")
def ends():
    """The same memory, as one process sees it and as another would."""
    region = Region(1 << 22)
    yield region, SharedMemory(region.fd, region.size)
    os.close(region.fd)


def sent(ends, value):
    here, there = ends
    return from_bytes(there, to_bytes(here, value))[0]


plain = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.binary(max_size=5)
)
slices = st.slices(20)
values = st.recursive(plain | slices, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=8)


@given(value=values)
def test_values_arrive_as_they_were(ends, value):
    assert sent(ends, value) == value


@given(data=st.data())
def test_arrays_in_shared_memory_arrive_as_the_same_numbers(ends, data):
    here, _ = ends
    dtype = data.draw(st.sampled_from([np.float32, np.float64, np.int8, np.bool_, np.complex64]))
    with memory.allocating_from(here):
        whole = shared(data.draw(hnp.arrays(dtype, hnp.array_shapes(max_dims=4, max_side=4))))
    view = whole[data.draw(hnp.basic_indices(whole.shape, allow_newaxis=True))]
    view = np.asarray(view).transpose(data.draw(st.permutations(range(np.ndim(view)))))
    if not here.offset(view) >= 0 or not isinstance(view.base, np.ndarray | memory._Loan):
        return  # a single number is no view
    arrived = sent(ends, view)
    assert (arrived.shape, arrived.dtype) == (view.shape, view.dtype)
    np.testing.assert_array_equal(arrived, view)
    if view.size and view.flags.writeable:
        arrived[...] = 0
        assert not view.any()


@given(array=hnp.arrays(st.sampled_from([np.float32, np.int16]), hnp.array_shapes(max_side=3)))
def test_other_arrays_arrive_as_copies(ends, array):
    arrived = sent(ends, array.T)
    np.testing.assert_array_equal(arrived, array.T)
    assert arrived.dtype == array.dtype
    assert not arrived.flags.writeable


def test_functions_arrive_with_all_they_refer_to(ends):
    factor, inner = 3, own(lambda x: x + 1)

    @own
    def outer(x, offset=10):
        return np.float64(factor * inner(x) + offset)

    assert sent(ends, outer)(1) == 16
    assert sent(ends, outer)(1, 0) == 6


def test_plans_dtypes_modules_and_numbers_arrive(ends):
    plan = _plan(4, (8, 8), (4, 4), (4, 4, 16, 32), 2, ((1, 1), (1, 1)), np.dtype(np.float32))
    assert sent(ends, plan) == plan
    assert sent(ends, np.dtype(np.float32)) == np.float32
    assert sent(ends, np) is np
    number = sent(ends, np.float32(0.1))
    assert number == np.float32(0.1)
    assert type(number) is np.float32


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ([1], "a list"),
        (({},), "a dict"),
        (np.array([None]), "an array of dtype object"),
        (np.zeros(1, "M8[s]"), "an array of dtype datetime64"),
        (np.zeros(COPY_BYTES + 1, np.uint8), "an array of 65,537 bytes outside"),
        (threading.Lock(), "a lock"),
        (lambda: None, "the function .*<lambda>"),
        (np.ma.zeros(2), "a MaskedArray"),
    ],
)
def test_values_that_cannot_be_sent_are_named(ends, value, named):
    with pytest.raises(UnsendableError, match=named):
        to_bytes(ends[0], value)
