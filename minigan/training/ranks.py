"""Training on several ranks: how many, how they are started, and what the others do while rank 0 runs the training.

Rank 0 is the command's own process: it alone writes, prints, and decides when to stop. The others (`follow`) compute
the same steps with their shares of the batches until rank 0 says STOP, or has gone.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from minigan.data.image_set import ImageSet, Prefetcher
from minigan.data.open import open_images
from minigan.gan.augment import draw_moves
from minigan.gan.division import divide, memory_bytes, why_not_divided
from minigan.gan.step import GAN, StepInputs, build_gan, draw_inputs, train_step
from minigan.nn.backend import NUMPY, Array, Backend
from minigan.ranks import local
from minigan.ranks.interface import ALONE, GO, PATIENCE, SAVE, STOP, Ranks
from minigan.ranks.mpi import MPI, launched_rank, launched_size
from minigan.runs import health
from minigan.runs.config import RunConfig
from minigan.system.console import one_line
from minigan.system.cores import usable_cores
from minigan.system.errors import RunError, UserError
from minigan.system.processes import ignore_signals
from minigan.system.workers import using_workers

LEAST_IMAGES = 4
"""Images of a batch that a rank must have to be worth its meetings."""


def rank_count(config: RunConfig, asked: tuple[str, int] | None = None) -> int:
    """How many ranks to train on: as many as asked for, or as the run had, or one for each usable core.

    Parameters
    ----------
    config : RunConfig
        Its `ranks` is what a resumed run had; 0 if that is not known.
    asked : (str, int), optional
        The option by which a number was asked for, and the number.

    Raises
    ------
    UserError
        If the number that was asked for cannot be, or an MPI launcher has started more processes than there are images
        in a batch.
    """
    launched = launched_size()
    option, number = asked or ("", None)
    if launched is not None:
        if number not in (None, launched):
            raise UserError(f"{option}: must be {launched}, as many as the MPI launcher has started, got {number}")
        if launched > 1 and config.backend != NUMPY.name:
            raise UserError(f"--backend: must be {NUMPY.name} on several ranks, got {config.backend}")
        if launched > 1 and config.layers_sha256 is not None:
            raise UserError(f"--layers: needs one rank, got {launched}, started by an MPI launcher")
        if launched > config.batch_size:
            raise UserError(f"--batch-size: must be at least the number of ranks, {launched}, got {config.batch_size}")
        return launched
    if number is not None:
        most, why = min((local.MAX_RANKS, ""), (config.batch_size, ", the batch size"))
        if config.backend != NUMPY.name:
            most, why = 1, f" with --backend {config.backend}"
        if config.layers_sha256 is not None:
            most, why = 1, " with --layers, because functions of your own know nothing of other ranks"
        if not 1 <= number <= most:
            raise UserError(f"{option}: must be {'' if most == 1 else '1 to '}{most}{why}, got {number}")
        return number
    if config.backend != NUMPY.name or config.layers_sha256 is not None:
        return 1
    if config.ranks:
        return min(config.ranks, config.batch_size, local.MAX_RANKS)
    return max(1, min(usable_cores(), config.batch_size // LEAST_IMAGES, local.MAX_RANKS))


@contextlib.contextmanager
def mpi_program() -> Iterator[Ranks]:
    """The process's place in an MPI program, `ALONE` outside of one; however rank 0 ends, the others end, too."""
    if launched_size() is None:
        yield ALONE
        return
    try:
        ranks = MPI()
    except UserError:
        if launched_rank() > 0:  # rank 0 tells it
            raise SystemExit(2) from None
        raise
    if ranks.rank > 0:
        ignore_signals()
    status = 0
    try:
        yield ranks
    except BaseException as error:
        status = _exit_status(error)
        if ranks.begun or ranks.rank > 0:
            # At the very end of the process, when the error has been told: Abort ends the others, and this one at once.
            atexit.register(ranks.abort, status)
        raise
    finally:
        if ranks.rank == 0 and not ranks.begun:
            _send(ranks, {"status": status})


def _exit_status(error: BaseException) -> int:
    if isinstance(error, RunError):
        return error.exit_status
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 2 if isinstance(error, UserError) else 130 if isinstance(error, KeyboardInterrupt) else 1


@contextlib.contextmanager
def training_on(
    config: RunConfig, gan: GAN, images: ImageSet, step: int, launched: Ranks, warn: Callable[[str], object]
) -> Iterator[Ranks]:
    """Start the other ranks and divide the GAN among all, inside a ``with`` block.

    Parameters
    ----------
    config : RunConfig
        Its `ranks` says how many.
    gan : GAN
        As it is to be trained from; changed in place.
    images : ImageSet
        Rank 0's. The other ranks open their own, which have to be equal.
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
    if config.ranks > 1 and (reason := why_not_divided(gan)):
        if launched.size > 1:
            raise UserError(f"{reason}: must be 1 rank, got {config.ranks}")
        warn(f"{reason}, and works on one rank only; going on with 1")
        config = replace(config, ranks=1)
    settings, fingerprint = asdict(config), images.fingerprint
    with contextlib.ExitStack() as stack:
        ranks = launched
        if launched.size > 1:
            _send(launched, {"settings": settings, "step": step, "fingerprint": fingerprint})
            launched.begun = True
        elif config.ranks > 1:
            taken = memory_bytes(gan, config.ranks, config.batch_size)
            program = local.start(
                follow, (settings, step, fingerprint), size=config.ranks, memory_bytes=taken, warn=warn
            )
            ranks = stack.enter_context(program)
        if config.backend == NUMPY.name:
            stack.enter_context(using_workers(1))
        if ranks.size > 1:
            ranks.patience = math.inf  # the others open the images: on another machine, that may take as long as here
            divide(gan, ranks, config.batch_size)
            ranks.patience = PATIENCE
        yield ranks


def follow_rank_0(ranks: Ranks) -> int:
    """`follow` in an MPI program, where rank 0 sends the settings; or its exit status, if there is nothing to do."""
    said = _send(ranks, None)
    if "status" in said:
        return int(said["status"])
    with using_workers(1):
        follow(ranks, said["settings"], said["step"], said["fingerprint"])
    return 0


def _send(ranks: Ranks, said: Any) -> Any:
    """Rank 0's words, for all."""
    text = np.frombuffer(json.dumps(said).encode(), np.uint8)
    length = np.array([len(text)])
    ranks.broadcast(length)
    letters = text.copy() if ranks.rank == 0 else np.empty(length[0], np.uint8)
    ranks.broadcast(letters)
    return json.loads(letters.tobytes())


def follow(ranks: Ranks, settings: dict[str, Any], step: int, fingerprint: str) -> None:
    """Train with rank 0: what every other rank does.

    Parameters
    ----------
    ranks : Ranks
    settings : dict
        Of the run's `RunConfig`.
    step : int
        Finished steps.
    fingerprint : str
        Of rank 0's images.

    Raises
    ------
    RunError
        If the images here are others.
    """
    config = RunConfig(**settings)
    images = open_images(
        config.data,
        image_size=config.image_size,
        count=config.faces if config.data is None else None,
        progress=False,
        try_again=False,  # rank 0 has just done that
    )
    if images.fingerprint != fingerprint:
        raise RunError(
            f"all ranks must have the same images, but rank {ranks.rank} has others in {one_line(images.source)}: "
            f"{len(images):,}, fingerprint {images.fingerprint[:8]} where rank 0's is {fingerprint[:8]}"
        )
    gan = build_gan(
        image_size=config.image_size, width=config.width, g_learning_rate=config.g_learning_rate, plain=config.plain
    )
    gan = divide(gan, ranks, config.batch_size)
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
    here = gan.share.here
    return StepInputs(*(a[here] for a in inputs)), None if moves is None else moves[:, here]


def are_fakes_wanted(config: RunConfig, step: int) -> bool:
    """Whether rank 0 needs all fakes of a step, to show or to measure them."""
    return step % config.sample_every == 0 or health.is_due(step)


def whole_fakes(gan: GAN, fakes: Array) -> Array:
    """The fakes of the whole batch, on rank 0. Collective."""
    return gan.share.gather_fakes(fakes)


def complete_moments(gan: GAN) -> None:
    """Bring Adam's moments together before a checkpoint. Collective."""
    for optimizer in (gan.g_optimizer, gan.d_optimizer):
        complete = getattr(optimizer, "complete", None)
        if complete is not None:
            complete()
