"""What ranks run in the tests: functions that rank processes import by name, and a program for mpiexec.

``mpiexec -n 2 python tests/support/rank_programs.py NAME FILE`` runs one of them and writes what rank 0 returns to an
.npz file.
"""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from minigan.gan.division import divide, memory_bytes
from minigan.gan.step import StepInputs, build_gan, draw_inputs, train_step
from minigan.nn.optimizers import Adam
from minigan.nn.rng import stream
from minigan.ranks.interface import ALONE, RankError

BATCH, SIDE, WIDTH = 10, 32, 16  # 10 images: shares of three and four ranks differ


class FirstOfTwo(type(ALONE)):
    """Rank 0 of two, seen alone: it waits for nobody, and the other rank's numbers are all 0."""

    rank, size, shares_memory = 0, 2, True

    def __init__(self):
        self.meetings = 0

    def own(self, shape, dtype):
        return np.zeros(shape, dtype)

    shared = own

    def barrier(self):
        self.meetings += 1

    def scatter_sum(self, own):
        mine = own[self.share(len(own))]
        return [mine, np.zeros_like(mine)]

    def gather_slices(self, shared):
        pass

    broadcast = gather_slices


def exchanges(ranks):
    """One call of everything, and what came of it."""
    first = ranks.stack(np.array([[ranks.rank, 10.0]]))
    more = [ranks.stack(np.array([ranks.rank, k], np.float32)).sum(axis=0) for k in range(50)]
    told = np.arange(30_000.0).reshape(3, -1) * (1 + ranks.rank)  # more than one place holds
    ranks.broadcast(told)
    own, shared = ranks.own((11,), np.float32), ranks.shared((11,), np.float32)
    own[:] = 1 + ranks.rank
    shared[ranks.share(11)] = sum(ranks.scatter_sum(own)) * np.arange(11)[ranks.share(11)]
    ranks.gather_slices(shared)
    images = ranks.own((7, 2, 3), np.float64)
    here = ranks.share(7)
    images[: here.stop - here.start] = np.arange(7.0)[here, None, None]
    gathered = ranks.gather(images, 7)
    found = {"first": first, "more": np.stack(more), "told": told, "shared": shared.copy()}
    return found if gathered is None else {**found, "gathered": gathered}


def check_exchanges(found, size):
    """Assert what `exchanges` of so many ranks must give."""
    np.testing.assert_array_equal(found["first"], [[[rank, 10.0]] for rank in range(size)])
    np.testing.assert_array_equal(found["more"], [[sum(range(size)), k * size] for k in range(50)])
    np.testing.assert_array_equal(found["told"], np.arange(30_000.0).reshape(3, -1))
    np.testing.assert_array_equal(found["shared"], np.arange(11) * sum(range(1, size + 1)))
    np.testing.assert_array_equal(found["gathered"], np.broadcast_to(np.arange(7.0)[:, None, None], (7, 2, 3)))


def inputs_of(step, dtype):
    real = stream(3, "data", step).uniform(-1, 1, (BATCH, SIDE, SIDE, 3)).astype(np.float32)
    return StepInputs(*(a.astype(dtype) for a in draw_inputs(real, 5, step)))


def gan_of(dtype, plain=False):
    gan = build_gan(image_size=SIDE, width=WIDTH, plain=plain)
    if dtype == "float64":
        for network in (gan.generator, gan.discriminator):
            for layer in network.layers:
                for arrays in (layer.params, layer.buffers):
                    for name, a in arrays.items():
                        arrays[name] = a.astype(np.float64)
        gan.g_optimizer, gan.d_optimizer = (
            Adam(network.params(), learning_rate=adam.learning_rate)
            for network, adam in ((gan.generator, gan.g_optimizer), (gan.discriminator, gan.d_optimizer))
        )
    return gan


def three_steps(ranks, dtype="float64", moved=False, by_hand=False, plain=False):
    """Three training steps: metrics, and all that a checkpoint holds. Parameters may be changed by hand in between."""
    gan = gan_of(dtype, plain)
    if ranks.size > 1:
        divide(gan, ranks, BATCH)
    here = ranks.share(BATCH)
    metrics = []
    for step in range(3):
        inputs = StepInputs(*(a[here] for a in inputs_of(step, dtype)))
        moves = stream(1, "augment", step).integers(-2, 3, (3, BATCH, 2))[:, here] if moved else None
        metrics.append(train_step(gan, inputs, moves).metrics)
        if by_hand:
            if ranks.rank == 0:
                for p in (*gan.generator.params().values(), *gan.discriminator.params().values()):
                    p *= 0.9
            ranks.barrier()
    parts = {"G": gan.generator, "D": gan.discriminator, "G adam": gan.g_optimizer, "D adam": gan.d_optimizer}
    for optimizer in (gan.g_optimizer, gan.d_optimizer):
        if ranks.size > 1:
            optimizer.complete()
    state = {f"{part}.{name}": a.copy() for part, own in parts.items() for name, a in own.state().items()}
    return {"metrics": np.array(metrics), **state}


def room_for_three_steps(size, dtype="float64"):
    """Bytes of shared memory that `three_steps` needs."""
    return memory_bytes(gan_of(dtype), size, BATCH)


def failing(ranks, how):
    """Meet; then rank 1 fails in one of several ways; then meet again."""
    ranks.stack(np.zeros(3))
    if ranks.rank == 1:
        if how == "raises":
            raise ValueError("one value too many")
        if how == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "exits":
            os._exit(3)
        if how == "hangs":
            time.sleep(3600)
    ranks.stack(np.zeros(3))
    ranks.stack(np.zeros(3))


def forking(ranks, how):
    """Three steps; after the first one, rank 0 forks a process, which must not meddle with them."""
    gan, here, metrics, child = divide(gan_of("float32"), ranks, BATCH), ranks.share(BATCH), [], 0
    for step in range(3):
        inputs = StepInputs(*(a[here] for a in inputs_of(step, "float32")))
        if step == 1 and ranks.rank == 0 and how != "not":
            before = {name: p.copy() for name, p in gan.generator.params().items()}
            child = os.fork()
            if child == 0:
                if how == "and leaves":
                    raise SystemExit(7)
                os._exit(_forked(gan, inputs, before))
        metrics.append(train_step(gan, inputs).metrics)
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    return np.array(metrics)


def _forked(gan, inputs, before):
    """In the forked process: 7 if it cannot train, and has the networks of the moment when it was forked."""
    try:
        train_step(gan, inputs)
    except RankError as error:
        told = "a process that was forked from rank 0 (process" in str(error)
    time.sleep(0.2)  # meanwhile the others train
    same = all(np.array_equal(before[name], p) for name, p in gan.generator.params().items())
    return 7 if told and same else 1


def waiting(ranks, seconds):
    """All wait for rank 0; returns the share of a core that rank 1 used meanwhile."""
    ranks.stack(np.zeros(1))
    began = time.process_time()
    if ranks.rank == 0:
        time.sleep(seconds)
    ranks.stack(np.zeros(1))
    return ranks.stack(np.array([time.process_time() - began]))[1, 0] / seconds


def sleeping(ranks, file):
    """Say who this is, then wait for a rank 0 that never comes."""
    with Path(file).open("a", encoding="ascii") as out:
        out.write(f"{os.getpid()}\n")
    if ranks.rank == 0:
        time.sleep(3600)
    ranks.stack(np.zeros(1))


if __name__ == "__main__":
    from minigan.ranks.mpi import MPI

    ranks = MPI()
    with threadpool_limits(1, user_api="blas"):
        found = {"exchanges": exchanges, "three_steps": three_steps}[sys.argv[1]](ranks, *sys.argv[3:])
    if ranks.rank == 0:
        np.savez(sys.argv[2], **found)
