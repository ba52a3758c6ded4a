"""minigan as a program to measure: its methods are the requests of the benchmarks; see `measured_programs`.

For training steps this process is rank 0, and the other ranks follow it (`measured_ranks`).
"""

from __future__ import annotations

import atexit
import contextlib
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from left_out import LEFT_OUT
from measured_programs import Program, serve, system_seconds, timed
from measured_ranks import (
    LEARN,
    MEMORY,
    PROFILE,
    SEED,
    STEPS,
    Rank,
    Size,
    best_rates,
    follow_launched,
    new_gan,
    new_images,
    order,
    ranks_for,
    told_size,
)
from threadpoolctl import threadpool_info, threadpool_limits

from minigan.data.open import open_images
from minigan.fast.cpu.pool import part_count
from minigan.gan.step import GAN, draw_inputs, recorded_step, train_step
from minigan.nn.backend import get_backend
from minigan.nn.conv import KERNELS, conv_forward, conv_input_grad, conv_weight_grad
from minigan.ranks.interface import ALONE, Ranks
from minigan.ranks.mpi import MPI, launched_size
from minigan.system.cores import usable_cores
from minigan.system.workers import using_workers


class Minigan(Program):
    """The networks, the kernels and the data path.

    Parameters
    ----------
    launched : Ranks
        This process's place in an MPI program.
    """

    gan: GAN

    def __init__(self, launched: Ranks = ALONE) -> None:
        self._launched = launched
        self._rank: Rank | None = None
        self._recorded: Any = None
        self._following = contextlib.ExitStack()  # while the others have networks

    def begin(
        self,
        threads: int | None = None,
        backend: str = "numpy",
        tf32: bool = False,
        graph: bool = False,
    ) -> dict[str, Any]:
        """Choose a backend, and how many ranks train and how many threads do other work (by default all cores)."""
        self._limits = contextlib.ExitStack()  # until the process ends
        if threads is not None:
            self._limits.enter_context(using_workers(threads))
            self._limits.enter_context(threadpool_limits(threads))
        self._threads, self._graph = threads, graph
        self.backend = get_backend(backend, tf32=tf32)
        about = {"numpy": np.__version__, "blas": _blas(), "threads": threads or usable_cores()}
        if backend == "cupy":
            cuda = self.backend.xp.cuda.runtime.runtimeGetVersion()
            about |= {"cupy": self.backend.xp.__version__, "device": self.backend.device_name, "tf32": tf32}
            about["cuda"] = f"{cuda // 1000}.{cuda % 1000 // 10}"
        return about

    def memory(self, reset: bool = False) -> dict[str, int | None]:
        """Like `Program.memory`, of all ranks together; on a GPU, the device memory that CuPy's pools have taken.

        (CUDA's own count of free memory would do, if the programs that are measured did not share the GPU.)
        """
        if self.backend.name == "cupy":
            taken = self.backend.xp.get_default_memory_pool().total_bytes()
            taken += self._recorded.memory_bytes() if self._recorded is not None else 0
            return {"peak": taken, "now": taken}
        if self._rank is None or self._rank.ranks.size == 1:
            return super().memory(reset)
        order(self._rank.ranks, MEMORY, int(reset))
        return self._rank.memory(reset)

    def kernels(self) -> list[str]:
        """Names of the convolution kernels."""
        return list(KERNELS)

    # ---- the whole step ----

    def build(self, folder: str, batch_size: int, width: int, image_size: int) -> int:
        """Make networks and inputs, and leave them in the folder for the others to start from.

        Returns
        -------
        int
            The number of ranks.
        """
        self.close()
        size = Size(batch_size, width, image_size)
        gan, real = new_gan(size), new_images(size)
        np.savez(
            Path(folder) / "start.npz",
            **{f"D.{path}": p for path, p in gan.discriminator.params().items()},
            **{f"G.{path}": p for path, p in gan.generator.params().items()},
            **draw_inputs(real, SEED, 0)._asdict(),
        )
        self.gan = gan.to(self.backend)
        inputs = draw_inputs(real, SEED, 0, self.backend)
        if self.backend.name == "cupy" or self._graph:
            self._recorded = recorded_step(self.gan, _refuse) if self._graph else None
            self._step_on_gpu = partial(self._recorded or partial(train_step, self.gan), inputs)
            return 1
        ranks = self._following.enter_context(ranks_for(self.gan, size, self._threads, self._launched))
        self._rank = Rank(ranks, self.gan, inputs)
        return ranks.size

    def first_step(self) -> list[float]:
        """One step, and its losses: D on reals, D on fakes, G."""
        if self._rank is not None:
            if self._rank.ranks.size > 1:
                order(self._rank.ranks, STEPS, 1)
            before, metrics = system_seconds(), self._rank.step()
            self._rank.system_seconds(before)
            return metrics[:3].tolist()
        losses = self.backend.to_host(self._step_on_gpu().metrics)[:3].tolist()
        if self._graph:
            self._step_on_gpu()  # the second step is the one that is recorded, or cannot be
        return losses

    def step(self, count: int, left_out: str = "nothing") -> dict[str, Any]:
        """Time training steps, with one of `left_out.LEFT_OUT` left out."""
        if self._rank is None:
            return timed_on_device(self.backend.xp, self._step_on_gpu, count)
        if self._rank.ranks.size > 1:
            order(self._rank.ranks, STEPS, count + 1, list(LEFT_OUT).index(left_out))
        before = system_seconds()
        with LEFT_OUT[left_out]():
            result = timed(self._rank.step, count)
        more = self._rank.system_seconds(before)
        if more is not None:  # it includes the repetition that is not timed
            result["system_seconds"] += more / (count + 1)
        return result

    def profile(self, count: int) -> dict[str, Any]:
        """Where the time of training steps goes: `line_clock.profile` of rank 0."""
        assert self._rank is not None
        if self._rank.ranks.size > 1:
            order(self._rank.ranks, PROFILE, count)
        return self._rank.profile(count)

    # ---- a run ----

    def begin_run(self, folder: str, batch_size: int, width: int, image_size: int) -> int:
        """Start a run from the weights in the folder.

        Returns
        -------
        int
            The number of ranks.
        """
        self.close()
        size = Size(batch_size, width, image_size)
        self.gan = new_gan(size)
        with np.load(Path(folder) / "start.npz", allow_pickle=False) as start:
            for prefix, network in (("D", self.gan.discriminator), ("G", self.gan.generator)):
                for name, p in network.params().items():
                    p[...] = start[f"{prefix}.{name}"]
        ranks = self._following.enter_context(ranks_for(self.gan, size, self._threads, self._launched, folder))
        self._rank = Rank(ranks, self.gan, draw_inputs(new_images(size), SEED, 0))
        return ranks.size

    def learn(self, folder: str) -> dict[str, Any]:
        """Go on with the block of inputs in the folder: a step with each. Only the steps are timed."""
        assert self._rank is not None
        if self._rank.ranks.size > 1:
            order(self._rank.ranks, LEARN)
        return self._rank.learn(folder)

    def draw(self, folder: str) -> None:
        """Draw images from the noise in the folder, with moving statistics."""
        noise = np.load(Path(folder) / "noise.npy", allow_pickle=False)
        np.save(Path(folder) / "faces.npy", self.gan.generator.predict(noise, batch_size=250))

    def close(self) -> None:
        """Let the other ranks go."""
        self._rank = None
        self._following.close()

    # ---- inference ----

    def first_images(self, folder: str, images: int) -> None:
        """Draw noise, leave it and the images made of it in the folder."""
        self.noise = np.random.default_rng(SEED).standard_normal((images, 1, 1, 100), np.float32)
        np.save(Path(folder) / "noise.npy", self.noise)
        np.save(Path(folder) / f"{images}-minigan.npy", self.gan.generator.predict(self.noise))

    def predict(self, batch_size: int, count: int) -> dict[str, Any]:
        """Time making images of all the noise."""
        return timed(lambda: self.gan.generator.predict(self.noise, batch_size=batch_size), count)

    def profile_predict(self, batch_size: int, count: int) -> dict[str, Any]:
        """Where the time of making images of all the noise goes."""
        import line_clock

        result = line_clock.profile(lambda: self.gan.generator.predict(self.noise, batch_size=batch_size), count)
        return result | {"threads": part_count(self.noise)} | best_rates()

    # ---- one convolution ----

    def load_conv(self, folder: str, transposed: bool, stride: int, pad: int) -> None:
        """Take a layer's input x, kernel w and upstream gradient dy from the folder."""
        with np.load(Path(folder) / "layer.npz", allow_pickle=False) as file:
            x, w, dy = (self.backend.asarray(file[name]) for name in ("x", "w", "dy"))
        self._passes = conv_passes(x, w, dy, transposed=transposed, stride=stride, pad=pad)
        self._one_image = conv_passes(x[:1], w, dy[:1], transposed=transposed, stride=stride, pad=pad)

    def first_conv(self, folder: str, direction: str, kernel: str) -> str | None:
        """Leave one pass's result in the folder; or say why this kernel cannot do it."""
        try:
            result = self._passes[direction](kernel)
        except ValueError as error:
            return str(error)
        np.save(Path(folder) / "result.npy", result)
        return None

    def conv(self, direction: str, kernel: str, count: int) -> dict[str, Any]:
        """Time one pass."""
        return timed(lambda: self._passes[direction](kernel), count)

    def loops(self, direction: str) -> dict[str, Any]:
        """Time one pass by the definition, for one image."""
        return timed(lambda: self._one_image[direction]("loops"), 1)

    def sgemm(self, size: int, count: int) -> list[float]:
        """Seconds of each of `count` products of two square float32 matrices."""
        a, b = np.random.default_rng(0).standard_normal((2, size, size), np.float32)
        out = np.empty_like(a)
        seconds = []
        for _ in range(count):
            begin = time.perf_counter()
            np.matmul(a, b, out=out)
            seconds.append(time.perf_counter() - begin)
        return seconds

    # ---- the data path ----

    def open_data(self, data: str | None, image_size: int, count: int | None) -> dict[str, Any]:
        """Open images whose cache has been made."""
        self.images = open_images(data, image_size=image_size, count=count, progress=False)
        return {"source": self.images.source, "images": len(self.images)}

    def batches(self, batch_size: int, count: int) -> dict[str, Any]:
        """Time everything that a step gets: a batch of images, noise and labels."""
        step = iter(range(1_000_000_000))

        def prepare() -> None:
            k = next(step)
            draw_inputs(self.images.batch(SEED, k, batch_size), SEED, k)

        return timed(prepare, count)


def timed_on_device(xp: Any, work: Callable[[], Any], count: int) -> dict[str, Any]:
    """Like `timed`, between two events on the GPU; nothing waits in between."""
    work()
    start, end = xp.cuda.Event(), xp.cuda.Event()
    start.record()
    for _ in range(count):
        work()
    end.record()
    end.synchronize()
    return {"seconds": xp.cuda.get_elapsed_time(start, end) / 1000 / count, "system_seconds": None}


def _refuse(reason: str) -> None:
    raise RuntimeError(reason)


def _blas() -> str:
    found = next((b for b in threadpool_info() if b["user_api"] == "blas"), {})
    return (
        " ".join(str(found[key]) for key in ("internal_api", "version", "architecture") if found.get(key))
        or "not known"
    )


def conv_passes(
    x: np.ndarray, w: np.ndarray, dy: np.ndarray, *, transposed: bool, stride: int, pad: int
) -> dict[str, Any]:
    """The three passes of a layer, each a function of the kernel's name.

    Parameters
    ----------
    x, w, dy : numpy.ndarray
        The layer's input, its kernel in Keras's layout, and the gradient for its output.
    transposed : bool
        Conv2DTranspose, whose forward pass is a convolution's input gradient.
    """
    how = {"stride": stride, "pad": pad}
    size, kernel_size = (dy if transposed else x).shape[1:3], w.shape[:2]
    if transposed:
        return {
            "forward": lambda kernel: conv_input_grad(x, w, size=size, kernel=kernel, **how),
            "input gradient": lambda kernel: conv_forward(dy, w, kernel=kernel, **how),
            "weight gradient": lambda kernel: conv_weight_grad(dy, x, kernel_size=kernel_size, kernel=kernel, **how),
        }
    return {
        "forward": lambda kernel: conv_forward(x, w, kernel=kernel, **how),
        "input gradient": lambda kernel: conv_input_grad(dy, w, size=size, kernel=kernel, **how),
        "weight gradient": lambda kernel: conv_weight_grad(x, dy, kernel_size=kernel_size, kernel=kernel, **how),
    }


def main() -> None:
    """Answer requests; in an MPI program, as rank 0 or following it."""
    if launched_size() is None:
        program = Minigan()
        serve(program)
        program.close()
        return
    ranks = MPI()
    try:
        if ranks.rank > 0:
            follow_launched(ranks)
            return
        program = Minigan(ranks)
        serve(program)
        program.close()
        told_size(ranks)
    except BaseException:
        atexit.register(ranks.abort, 1)  # when the error has been told: the others would wait for this rank
        raise


if __name__ == "__main__":
    main()
