"""The ranks of minigan as a program to measure: what they all do when rank 0 is asked for training steps.

Rank 0 is `measured_minigan`, the process that the benchmarks talk to. The others wait in `follow` for its next order, a
small array that it broadcasts, and do the same: so many steps, a step with each of a block of inputs, or say how much
memory they have.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from left_out import LEFT_OUT
from measured_programs import Program, seconds_of, system_seconds

from minigan.gan.division import divide, memory_bytes
from minigan.gan.step import GAN, StepInputs, build_gan, draw_inputs, train_step
from minigan.nn.backend import Array
from minigan.ranks import local
from minigan.ranks.interface import Ranks
from minigan.runs.config import RunConfig
from minigan.system.errors import RunError
from minigan.training.ranks import part_of, rank_count

SEED = 1
LEAVE, STEPS, MEMORY, LEARN, PROFILE = range(5)
ADAM_WALKS = 7
"""How often Adam reads or writes a number for each parameter: p, m and v both, the gradient read."""

ORDER = 3  # numbers: what; how many steps, or whether to reset the peak; what is left out


@dataclass(frozen=True)
class Size:
    """What is built. A batch of 0 images: nothing, the ranks are no longer needed."""

    batch_size: int = 0
    width: int = 0
    image_size: int = 0


def new_gan(size: Size) -> GAN:
    """The networks as they begin."""
    return build_gan(width=size.width, image_size=size.image_size)


def new_images(size: Size) -> Array:
    """A batch of "real" images, the same for all programs and ranks."""
    shape = (size.batch_size, size.image_size, size.image_size, 3)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


class Rank:
    """One rank's part of the training steps.

    Parameters
    ----------
    ranks : Ranks
    gan : GAN
        As it begins; changed in place.
    inputs : StepInputs
        Of the whole batch; every step gets the same.
    """

    def __init__(self, ranks: Ranks, gan: GAN, inputs: StepInputs) -> None:
        if ranks.size > 1:
            divide(gan, ranks, len(inputs.real))
        self.ranks, self.gan = ranks, gan
        self._inputs, _ = part_of(gan, inputs, None)

    def step(self) -> Array:
        """One step; its metrics."""
        return train_step(self.gan, self._inputs).metrics

    def learn(self, folder: str) -> dict[str, Any]:
        """A step with each of the inputs in the folder's block: seconds of all, losses of each. Collective."""
        with np.load(Path(folder) / "block.npz", allow_pickle=False) as file:
            block = dict(file)
        steps = [StepInputs(**{name: inputs[k] for name, inputs in block.items()}) for k in range(len(block["real"]))]
        parts = [part_of(self.gan, inputs, None)[0] for inputs in steps]
        if self.ranks.size > 1:
            self._sum_of_the_others([0.0])  # all have read it
        begin = time.perf_counter()
        losses = [train_step(self.gan, inputs).metrics[:3].tolist() for inputs in parts]
        return {"seconds": time.perf_counter() - begin, "losses": losses}

    def profile(self, count: int) -> dict[str, Any]:
        """Where the time of steps goes (`line_clock.profile`), beside what this core can do at best. Collective."""
        import line_clock  # here: what it imports would be measured as memory

        result = line_clock.profile(self.step, count)
        G, D = (
            sum(p.size for p in network.params().values()) for network in (self.gan.generator, self.gan.discriminator)
        )
        result["adam_bytes"] = ADAM_WALKS * (G + 2 * D) * 4 // self.ranks.size
        return result | best_rates()

    def system_seconds(self, before: float | None) -> float | None:
        """Seconds inside the operating system since `before`, of all other ranks. Collective."""
        return (
            self._sum_of_the_others([_or_zero(system_seconds()) - _or_zero(before)])[0] if before is not None else None
        )

    def memory(self, reset: bool) -> dict[str, int | None]:
        """Bytes of memory, the most since the last reset and now, of all ranks together. Collective."""
        own = own_memory(reset)
        others = self._sum_of_the_others([float(_or_zero(value)) for value in own.values()])
        return {
            name: None if own[name] is None else own[name] + round(more) for name, more in zip(own, others, strict=True)
        }

    def _sum_of_the_others(self, values: list[float]) -> list[float]:
        everybodys = self.ranks.stack(np.array(values))
        return (everybodys.sum(axis=0) - everybodys[self.ranks.rank]).tolist()


def best_rates() -> dict[str, float]:
    """What the core of this process can do, while the others do the same: "gflops" of a product, "copied" bytes/s."""
    a, b, out = np.random.default_rng(0).standard_normal((3, 1024, 1024), np.float32)
    source = np.zeros(1 << 25, np.float32)
    target = np.zeros_like(source)
    product = min(seconds_of(lambda: np.matmul(a, b, out=out)) for _ in range(20))
    copy = min(seconds_of(lambda: np.copyto(target, source)) for _ in range(10))
    return {"gflops": 2 * 1024**3 / product / 1e9, "copied": 2 * source.nbytes / copy}


def _or_zero(value: float | None) -> float:
    return 0.0 if value is None else value


def own_memory(reset: bool) -> dict[str, Any]:
    """A rank's memory, with its part of what it shares: so the sum over all ranks counts nothing twice (Linux)."""
    memory = Program().memory(reset)
    try:
        fields = dict(
            line.split(":", 1)
            for name in ("status", "smaps_rollup")
            for line in Path(f"/proc/self/{name}").read_text(encoding="utf-8").splitlines()
            if ":" in line
        )
        shared, part = (int(fields[name].split()[0]) * 1024 for name in ("RssShmem", "Pss_Shmem"))
    except (OSError, KeyError):
        return memory
    return {name: None if value is None else value - shared + part for name, value in memory.items()}


# ---- Orders ----


def order(ranks: Ranks, *numbers: int) -> tuple[int, ...]:
    """Rank 0's order, for all. Collective."""
    told = np.zeros(ORDER, np.int64)
    told[: len(numbers)] = numbers
    ranks.broadcast(told)
    return tuple(told.tolist())


def follow(ranks: Ranks, size: Size, folder: str = "") -> None:
    """What every other rank does, until rank 0 says LEAVE. The blocks of `Rank.learn` are in the folder."""
    rank = Rank(ranks, new_gan(size), draw_inputs(new_images(size), SEED, 0))
    parts = list(LEFT_OUT.values())
    while True:
        what, count, part = order(ranks)
        if what == LEAVE:
            return
        if what == MEMORY:
            rank.memory(bool(count))
            continue
        if what == LEARN:
            rank.learn(folder)
            continue
        if what == PROFILE:
            rank.profile(count)
            continue
        before = system_seconds()
        with parts[part]():
            for _ in range(count):
                rank.step()
        rank.system_seconds(before)


def follow_launched(ranks: Ranks) -> None:
    """`follow` in an MPI program, as often as rank 0 builds networks."""
    while (size := told_size(ranks)).batch_size:
        follow(ranks, size)


def told_size(ranks: Ranks, size: Size | None = None) -> Size:
    """Rank 0's size, for all. Collective."""
    told = np.array(astuple(size or Size()), np.int64)
    ranks.broadcast(told)
    return Size(*told.tolist())


@contextlib.contextmanager
def ranks_for(gan: GAN, size: Size, count: int | None, launched: Ranks, folder: str = "") -> Iterator[Ranks]:
    """Start the other ranks, or tell those of an MPI program, and let them follow inside a ``with`` block.

    Parameters
    ----------
    gan : GAN
        As built.
    size : Size
    count : int or None
        How many ranks; None for what training would choose.
    launched : Ranks
        Of an MPI program, or `ALONE`.
    folder : str
        For `follow`.

    Yields
    ------
    Ranks
    """
    config = RunConfig(batch_size=size.batch_size, ranks=count or 0)
    with contextlib.ExitStack() as stack:
        ranks = launched
        if launched.size > 1:
            told_size(launched, size)
        elif (wanted := rank_count(config)) > 1:
            room = memory_bytes(gan, wanted, size.batch_size)
            program = local.start(follow, (size, folder), size=wanted, memory_bytes=room, warn=_refuse)
            ranks = stack.enter_context(program)
        yield ranks
        if ranks.size > 1:
            order(ranks, LEAVE)


def _refuse(line: str) -> None:
    raise RunError(line)
