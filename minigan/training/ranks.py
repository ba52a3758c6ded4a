"""Training on several ranks: how many, how they are started, and what the others do while rank 0 runs the training.

Rank 0 is the command's own process: it alone writes, prints, and decides when to stop. The others (`follow`) compute
the same steps with their shares of the batches until rank 0 says STOP, or has gone.
"""

from __future__ import annotations

import atexit
import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from minigan.data.image_set import Prefetcher
from minigan.data.open import open_images
from minigan.gan.augment import draw_moves
from minigan.gan.division import divide, memory_bytes
from minigan.gan.step import GAN, StepInputs, build_gan, draw_inputs, train_step
from minigan.nn.backend import NUMPY, Array, Backend
from minigan.ranks import local
from minigan.ranks.interface import ALONE, GO, SAVE, STOP, Ranks
from minigan.ranks.mpi import MPI, launched_size
from minigan.runs import health
from minigan.runs.config import RunConfig
from minigan.system.cores import usable_cores
from minigan.system.errors import RunError, UserError

LEAST_IMAGES = 4
"""Images of a batch that a rank must have to be worth its meetings."""


def rank_count(config: RunConfig) -> int:
    """How many ranks to train on: what the settings say, or one for each usable core with images enough for it.

    Raises
    ------
    UserError
        If an MPI launcher has started another number of processes, or more than there are images in a batch.
    """
    launched = launched_size()
    if launched is not None:
        if config.ranks not in (0, launched):
            raise UserError(f"--ranks: the MPI launcher has started {launched} processes, got {config.ranks}")
        if launched > config.batch_size:
            raise UserError(f"--batch-size: must be at least the number of ranks, {launched}, got {config.batch_size}")
        return launched
    if config.backend != NUMPY.name:
        return 1
    most = max(1, config.batch_size // LEAST_IMAGES)
    return min(config.ranks or usable_cores(), most, local.MAX_RANKS)


@contextlib.contextmanager
def mpi_program() -> Iterator[Ranks]:
    """The process's place in an MPI program, `ALONE` outside of one; if it fails, all of the program ends."""
    if launched_size() is None:
        yield ALONE
        return
    ranks = MPI()
    try:
        yield ranks
    except BaseException as error:
        # At the very end of the process, when the error has been told: Abort ends the others, and this one at once.
        atexit.register(ranks.abort, _exit_status(error))
        raise


def _exit_status(error: BaseException) -> int:
    if isinstance(error, RunError):
        return error.exit_status
    return {UserError: 2, KeyboardInterrupt: 130}.get(type(error), 1)


@contextlib.contextmanager
def training_on(
    config: RunConfig, gan: GAN, step: int, launched: Ranks, warn: Callable[[str], object]
) -> Iterator[Ranks]:
    """Start the other ranks and divide the GAN among all, inside a ``with`` block.

    Parameters
    ----------
    config : RunConfig
        Its `ranks` says how many.
    gan : GAN
        As it is to be trained from; changed in place.
    step : int
        Finished steps.
    launched : Ranks
        See `mpi_program`.
    warn : callable
        Gets one line if fewer ranks can be started.

    Yields
    ------
    Ranks
        Rank 0's view of them.
    """
    settings = asdict(config)
    with contextlib.ExitStack() as stack:
        ranks = launched
        if launched.size > 1:
            _send(launched, {"settings": settings, "step": step})
        elif config.ranks > 1:
            taken = memory_bytes(gan, config.ranks, config.batch_size)
            program = local.start(follow, (settings, step), size=config.ranks, memory_bytes=taken, warn=warn)
            ranks = stack.enter_context(program)
        if config.backend == NUMPY.name:
            stack.enter_context(threadpool_limits(1, user_api="blas"))
        if ranks.size > 1:
            divide(gan, ranks, config.batch_size)
        yield ranks


def follow_rank_0(ranks: Ranks) -> None:
    """`follow` in an MPI program, where rank 0 sends the settings."""
    said = _send(ranks, None)
    with threadpool_limits(1, user_api="blas"):
        follow(ranks, said["settings"], said["step"])


def _send(ranks: Ranks, said: Any) -> Any:
    """Rank 0's words, for all."""
    text = np.frombuffer(json.dumps(said).encode(), np.uint8)
    length = np.array([len(text)])
    ranks.broadcast(length)
    letters = text.copy() if ranks.rank == 0 else np.empty(length[0], np.uint8)
    ranks.broadcast(letters)
    return json.loads(letters.tobytes())


def follow(ranks: Ranks, settings: dict[str, Any], step: int) -> None:
    """Train with rank 0: what every other rank does.

    Parameters
    ----------
    ranks : Ranks
    settings : dict
        Of the run's `RunConfig`.
    step : int
        Finished steps.
    """
    config = RunConfig(**settings)
    images = open_images(
        config.data,
        image_size=config.image_size,
        count=config.faces if config.data is None else None,
        progress=False,
    )
    gan = divide(build_gan(image_size=config.image_size, width=config.width), ranks, config.batch_size)
    with (
        np.errstate(all="ignore"),
        Prefetcher(images, config.seed, config.batch_size, flip=config.flip) as batches,
    ):
        while True:
            word = ranks.word(GO if step < config.steps else STOP)
            if word == STOP:
                return
            if word == SAVE:
                complete_moments(gan)
                continue
            inputs, moves = inputs_of(config, batches.batch(step), step, NUMPY)
            result = train_step(gan, *part_of(gan, inputs, moves))
            if are_fakes_wanted(config, step):
                whole_fakes(gan, result.fakes)
            step += 1


def inputs_of(config: RunConfig, real: Array, step: int, backend: Backend) -> tuple[StepInputs, Array | None]:
    """Everything random about a step, for the whole batch."""
    inputs = draw_inputs(real, config.seed, step, backend)
    if not config.translate:
        return inputs, None
    return inputs, draw_moves(config.batch_size, config.image_size, config.seed, step, backend)


def part_of(gan: GAN, inputs: StepInputs, moves: Array | None) -> tuple[StepInputs, Array | None]:
    """A rank's share of a step's inputs and moves."""
    if gan.share is None:
        return inputs, moves
    here = gan.share.here
    return StepInputs(*(a[here] for a in inputs)), None if moves is None else moves[:, here]


def are_fakes_wanted(config: RunConfig, step: int) -> bool:
    """Whether rank 0 needs all fakes of a step, to show or to measure them."""
    return step % config.sample_every == 0 or health.is_due(step)


def whole_fakes(gan: GAN, fakes: Array) -> Array:
    """The fakes of the whole batch, on rank 0. Collective."""
    if gan.share is None:
        return fakes
    everything = gan.share.gather_fakes(fakes)
    return fakes if everything is None else everything


def complete_moments(gan: GAN) -> None:
    """Bring Adam's moments together before a checkpoint. Collective."""
    for optimizer in (gan.g_optimizer, gan.d_optimizer):
        complete = getattr(optimizer, "complete", None)
        if complete is not None:
            complete()
