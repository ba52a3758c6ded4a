"""The pool of threads: parts in order, errors to the caller, and BLAS left as it was found."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

from minigan.fast.cpu.pool import in_parts
from minigan.gan.models import generator
from minigan.nn.layers import Layer
from minigan.nn.network import Sequential
from minigan.system import workers as limits
from minigan.system.cores import usable_cores
from minigan.system.workers import using_workers, worker_count

X = np.arange(7.0)[:, None]


def blas_threads():
    """Of the libraries that were loaded when minigan first looked; other tests load more."""
    return [library["num_threads"] for library in limits._blas().info()]


@pytest.fixture(autouse=True)
def blas_is_left_alone():
    """It has two threads before every test and after it."""
    limit = limits._change(lambda: limits._blas().limit(limits=2))
    before = blas_threads()
    yield
    assert blas_threads() == before
    assert not limits._holders
    limits._change(limit.restore_original_limits)


@pytest.mark.parametrize(("workers", "lengths"), [(1, [7]), (2, [4, 3]), (3, [3, 2, 2]), (9, [1] * 7)])
def test_every_row_is_done_once_and_in_order(workers, lengths):
    with using_workers(workers):
        results = in_parts(lambda x: 2 * x, X)
    assert [len(result) for result in results] == lengths
    np.testing.assert_array_equal(np.concatenate(results), 2 * X)


def test_the_order_does_not_depend_on_who_is_ready_first():
    def work(x):
        time.sleep(0.1 if x[0] == 0 else 0)
        return x

    with using_workers(7):
        np.testing.assert_array_equal(np.concatenate(in_parts(work, X)), X)


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_where_no_further_thread_is_allowed_the_caller_does_the_work(monkeypatch, allowed):
    started, start = [], threading.Thread.start

    def refuse(thread):
        if len(started) == allowed:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    def work(x):
        time.sleep(0.01)  # so that a thread is not idle again when the next part comes
        return 2 * x

    def fail(x):
        raise RuntimeError("of its own")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with using_workers(4):
        np.testing.assert_array_equal(np.concatenate(in_parts(work, X)), 2 * X)
        with pytest.raises(RuntimeError, match="of its own"):
            in_parts(fail, X)
    assert not any(thread.is_alive() for thread in started)


def test_two_workers_do_run_side_by_side():
    """Each part waits for the other: with one worker this would never end."""
    barrier = threading.Barrier(2, timeout=30)
    with using_workers(2):
        in_parts(lambda x: barrier.wait(), X)


def test_blas_has_one_thread_unless_there_is_one_row():
    inside = []
    for workers in (1, 2):
        with using_workers(workers):
            in_parts(lambda x: inside.append(blas_threads()), X)
    assert len(inside) == 3
    assert all(set(found) == {1} for found in inside)
    with using_workers(2):
        assert in_parts(lambda x: blas_threads(), X[:1]) == [blas_threads()]


def test_one_worker_is_one_core():
    with using_workers(2), using_workers(1), using_workers(1):
        assert set(blas_threads()) == {1}
        assert in_parts(lambda x: (threading.get_ident(), len(x)), X) == [(threading.get_ident(), 7)]


def test_an_array_on_a_gpu_is_not_cut(double):
    with using_workers(3):
        assert in_parts(len, double.asarray(X)) == [7]


def test_the_first_error_is_raised_when_all_calls_have_ended():
    ended = []

    def work(x):
        if x[0] == 0:
            raise RuntimeError("the first part")
        time.sleep(0.1)
        ended.append(len(x))
        raise RuntimeError("another part")

    with using_workers(3), pytest.raises(RuntimeError, match="the first part"):
        in_parts(work, X)
    assert ended == [2, 2]


def test_a_call_inside_a_call_has_one_worker():
    with using_workers(2):
        counts = in_parts(lambda x: [worker_count(), len(in_parts(len, X))], X)
    assert counts == [[1, 1], [1, 1]]


def test_workers_have_the_callers_settings():
    """NumPy's error state is the caller's; warnings are errors here."""
    with using_workers(2), np.errstate(all="ignore"):
        assert all(np.isinf(part).all() for part in in_parts(lambda x: (x + 1) / 0, X))
    with using_workers(2), np.errstate(all="raise"), pytest.raises(FloatingPointError):
        in_parts(lambda x: (x + 1) / 0, X)


def test_several_threads_at_once():
    """BLAS gets its threads back when the last one has ended, however they overlap; a count is each thread's own."""
    found, barrier = [], threading.Barrier(4, timeout=30)

    def use(seconds, workers):
        with using_workers(workers):
            barrier.wait()
            parts = in_parts(lambda x: (time.sleep(seconds), blas_threads()), X)
            found.append((workers, len(parts), {count for _, threads in parts for count in threads}))

    users = [threading.Thread(target=use, args=(0.02 * k, k)) for k in (1, 2, 3, 4)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert sorted(found) == [(k, k, {1}) for k in (1, 2, 3, 4)]
    assert worker_count() == usable_cores()


def run_in_fork(work):
    """What a forked child's exit status says of a function without arguments: whether it returned True."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's: fork in a process with threads
        child = os.fork()
    if child == 0:
        signal.alarm(30)
        status = 1
        try:
            status = 0 if work() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def works():
    with using_workers(2):
        return len(in_parts(lambda x: x @ x.T, X)) == 2 and blas_threads() == [2] * len(blas_threads())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_begins_anew():
    assert works()
    assert run_in_fork(works)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_while_another_thread_is_at_work():
    inside, done = threading.Event(), threading.Event()

    def hold():
        with using_workers(1):
            inside.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(30)
    try:
        assert set(blas_threads()) == {1}
        assert run_in_fork(works)
    finally:
        done.set()
        holder.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_inside_a_block():
    """The child is in the block, too, and comes out of it."""

    def leave():
        held = set(blas_threads()) == {1}
        block.__exit__(None, None, None)
        return held and works()

    block = using_workers(1)
    block.__enter__()
    try:
        assert run_in_fork(leave)
        assert set(blas_threads()) == {1}
    finally:
        block.__exit__(None, None, None)


def test_importing_minigan_leaves_blas_alone():
    code = (
        "import numpy, threadpoolctl; told = lambda: [i['num_threads'] for i in threadpoolctl.threadpool_info()]\n"
        "before = told(); import minigan.gan.step; assert told() == before, (before, told())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_blas_is_told_once_and_works():
    code = (
        "import numpy as np, threadpoolctl, warnings\n"
        "Controller = threadpoolctl.ThreadpoolController\n"
        "Controller.select = lambda self, **_: Controller._from_controllers([])\n"
        "from minigan.fast.cpu.pool import in_parts\nfrom minigan.system.workers import using_workers\n"
        "with warnings.catch_warnings(record=True) as told, using_workers(2):\n"
        "    warnings.simplefilter('always')\n"
        "    for _ in range(3): assert in_parts(len, np.ones((4, 1))) == [2, 2]\n"
        "assert len(told) == 1 and 'threadpoolctl does not know' in str(told[0].message), told"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("count", [0, -1])
def test_fewer_workers_than_one_are_refused(count):
    with pytest.raises(ValueError, match=f"workers must be at least 1, got {count}"), using_workers(count):
        pass


def test_a_count_ends_with_its_block():
    assert worker_count() == usable_cores()
    with using_workers(5):
        with using_workers(None):
            assert worker_count() == 5
        with using_workers(3):
            assert worker_count() == 3
        assert worker_count() == 5
    assert worker_count() == usable_cores()


def test_a_network_draws_the_same_faces_with_any_number_of_workers():
    G = generator(image_size=32, width=4)
    noise = np.random.default_rng(0).standard_normal((11, 1, 1, 100), np.float32)
    drawn = []
    for workers in (1, 2, 3, 16):
        with using_workers(workers):
            drawn += [G.predict(noise), G.predict(noise, batch_size=4)]
    for faces in drawn:
        np.testing.assert_allclose(faces, drawn[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("workers", "batch_size"), [(1, 3), (2, 3), (3, 4), (4, 3), (4, 64)])
def test_a_network_never_has_more_images_at_a_time_than_a_batch(workers, batch_size):
    at_work, most, lock = [0], [0], threading.Lock()

    class Counting(Layer):
        def forward(self, x, *, training, update_stats=True):
            with lock:
                at_work[0] += len(x)
                most[0] = max(most[0], at_work[0])
            time.sleep(0.01)
            with lock:
                at_work[0] -= len(x)
            return x, None

    network = Sequential([Counting()], input_shape=(1,))
    with using_workers(workers):
        np.testing.assert_array_equal(network.predict(X, batch_size=batch_size), X)
    assert 0 < most[0] <= batch_size
