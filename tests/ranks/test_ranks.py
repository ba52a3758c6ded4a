"""Ranks: every exchange gives what it says, and several ranks train as one does, whichever engine they meet by."""

import importlib.util
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from places import ROOT, SUPPORT
from rank_programs import check_exchanges, exchanges, room_for_three_steps, three_steps

from minigan.gan.models import MAX_WIDTH
from minigan.nn import share
from minigan.ranks import local
from minigan.ranks.interface import ALONE
from minigan.ranks.mpi import MPI, launched_size
from minigan.system.errors import UserError


def no_warning(line):
    raise AssertionError(line)


def locally(program, size, *arguments, room=1 << 20, semaphores=None):
    with local.start(program, arguments, size=size, memory_bytes=room, warn=no_warning, semaphores=semaphores) as ranks:
        assert ranks.size == size
        return program(ranks, *arguments)


MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None, reason="needs mpi4py and mpiexec (extra mpi)"
)


def by_mpi(name, size, folder, *arguments):
    file = folder / "found.npz"
    path = {**os.environ, "PYTHONPATH": f"{ROOT}:{SUPPORT}"}  # also what chooses the kernels of BLAS
    command = [MPIEXEC, "-n", str(size), sys.executable, SUPPORT / "rank_programs.py", name, file, *arguments]
    subprocess.run(command, check=True, env=path, timeout=120, capture_output=True)
    with np.load(file) as found:
        return dict(found)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("semaphores", [False, True])
def test_exchanges(size, semaphores):
    check_exchanges(locally(exchanges, size, semaphores=semaphores), size)


@needs_mpi
@pytest.mark.parametrize("size", [2, 3])
def test_exchanges_by_mpi(size, tmp_path):
    check_exchanges(by_mpi("exchanges", size, tmp_path), size)


def test_a_single_rank_exchanges_with_nobody():
    check_exchanges(exchanges(ALONE), 1)
    assert locally(exchanges, 1)["first"].shape == (1, 1, 2)


@pytest.mark.parametrize("count", [0, 1, 7, 64])
def test_shares_cover_everything_and_differ_by_one_at_most(count):
    class Some(type(ALONE)):
        size = 5

    shares = [Some().share(count, rank) for rank in range(5)]
    assert [i for part in shares for i in range(part.start, part.stop)] == list(range(count))
    lengths = [part.stop - part.start for part in shares]
    assert max(lengths) - min(lengths) <= 1


@cache
def alone(dtype, moved=False, by_hand=False):
    return three_steps(ALONE, dtype, moved, by_hand)


def assert_as_alone(found, dtype, moved=False, by_hand=False):
    """Compare every number relatively to the largest of its array."""
    expected = alone(dtype, moved, by_hand)
    assert found.keys() == expected.keys()
    for name, a in expected.items():
        if dtype == "float64":
            # A bias before batch normalization has the gradient 0: it has moved by rounding errors and nothing else.
            tolerance = max(1e-10 * np.abs(a).max(), 1e-11)
            np.testing.assert_allclose(found[name], a, rtol=0, atol=tolerance, err_msg=name)
    np.testing.assert_allclose(found["metrics"], expected["metrics"], rtol=1e-10 if dtype == "float64" else 5e-3)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_ranks_train_as_one_does(size):
    found = locally(three_steps, size, "float64", room=room_for_three_steps(size))
    assert_as_alone(found, "float64")


def test_ranks_train_as_one_does_on_moved_images():
    found = locally(three_steps, 2, "float64", True, room=room_for_three_steps(2))
    assert_as_alone(found, "float64", moved=True)


def test_ranks_train_with_the_plain_functions_as_one_does_with_the_fast_ones():
    found = locally(three_steps, 2, "float64", False, False, True, room=room_for_three_steps(2))
    assert_as_alone(found, "float64")


def test_a_parameter_that_is_changed_by_hand_between_two_steps_counts():
    """What the ranks have prepared from it is made anew."""
    found = locally(three_steps, 2, "float64", False, True, room=room_for_three_steps(2))
    assert_as_alone(found, "float64", by_hand=True)


def test_ranks_in_float32_and_the_same_bits_again_by_semaphores():
    room = room_for_three_steps(2, "float32")
    found, again = (locally(three_steps, 2, "float32", room=room, semaphores=s) for s in (False, True))
    assert_as_alone(found, "float32")
    for name, a in found.items():
        np.testing.assert_array_equal(a, again[name], err_msg=name)


@needs_mpi
def test_ranks_of_mpi_train_with_the_same_bits_as_local_ones(tmp_path):
    found = by_mpi("three_steps", 2, tmp_path, "float32")
    for name, a in locally(three_steps, 2, "float32", room=room_for_three_steps(2, "float32")).items():
        np.testing.assert_array_equal(a, found[name], err_msg=name)


def test_a_thread_beside_a_share_has_whole_batches():
    """What a user computes in a thread of its own while ranks train is not added to their sums."""
    import threading

    class Half:
        weight = 0.5

        def stack(self, x):
            return np.stack([x, x])

        def begin(self, params):
            pass

        def end(self):
            pass

    found = []
    with share.having(Half(), []):
        thread = threading.Thread(target=lambda: found.append((share.weight(), share.total(np.ones(1))[0])))
        thread.start()
        thread.join()
        assert (share.weight(), share.whole(4), share.total(np.ones(1))[0]) == (0.5, 8, 2)
    assert found == [(1.0, 1.0)]
    assert not share.is_shared()


def test_an_mpi_launcher_is_known_by_its_environment(monkeypatch):
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_SIZE", "MV2_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert launched_size() is None
    monkeypatch.setenv("PMI_SIZE", "3")
    assert launched_size() == 3
    monkeypatch.setenv("PMI_SIZE", "1")  # a batch system says that of a single process, MPI or not
    assert launched_size() is None


def test_a_launcher_of_another_mpi_library_is_told(monkeypatch):
    """Each process would take itself for rank 0, and train alone."""
    world = SimpleNamespace(Get_rank=lambda: 0, Get_size=lambda: 1)
    monkeypatch.setitem(sys.modules, "mpi4py", SimpleNamespace(MPI=SimpleNamespace(COMM_WORLD=world)))
    monkeypatch.setenv("PMI_SIZE", "4")
    with pytest.raises(UserError, match="has started 4 processes, and mpi4py sees 1: they must belong to the same MPI"):
        MPI()


def test_what_goes_over_the_whole_batch_has_room_at_every_width():
    """Three float64 sums for each channel of the widest batch normalization."""
    assert 3 * 8 * 8 * MAX_WIDTH <= local.EXCHANGE


NAMED = """
import os
if hasattr(os, "memfd_create"):
    del os.memfd_create
import gc, pickle
from minigan.ranks.shared_memory import SharedMemory
memory = SharedMemory(1 << 20)
array = memory.array(0, (1 << 17,), float)
array[:] = 3
other = pickle.loads(pickle.dumps(memory._named))
memory.close()
del memory, other
gc.collect()
assert array.sum() == 3 << 17
"""


def test_arrays_outlive_the_memory_that_they_were_made_of_where_it_has_a_name():
    """As on macOS and Windows; it ended in a segmentation fault."""
    done = subprocess.run([sys.executable, "-c", NAMED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
