"""minigan as a program to measure: its methods are the requests of the benchmarks; see `measured_programs`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measured_programs import Program, serve, timed
from threadpoolctl import threadpool_info, threadpool_limits

from minigan.data.open import open_images
from minigan.fast.cpu.process_pool import ProcessPool, worker_processes
from minigan.fast.cpu.thread_pool import current_process_pool, thread_count, use_threads
from minigan.gan.step import GAN, RecordedStep, StepInputs, build_gan, draw_inputs, train_step
from minigan.nn.backend import get_backend
from minigan.nn.conv import KERNELS, conv_forward, conv_input_grad, conv_weight_grad

SEED = 1


class Minigan(Program):
    """The networks, the kernels and the data path."""

    gan: GAN
    inputs: StepInputs

    def begin(
        self,
        threads: int | None = None,
        backend: str = "numpy",
        tf32: bool = False,
        graph: bool = False,
        helpers: bool = True,
    ) -> dict[str, Any]:
        self._limits = contextlib.ExitStack()  # until the process ends
        if threads is not None:
            self._limits.enter_context(use_threads(threads))
            self._limits.enter_context(threadpool_limits(threads))
        self.backend, self._graph = get_backend(backend, tf32=tf32), graph
        self._pool: ProcessPool | None = None
        if backend == "numpy" and helpers:
            self.backend = self._limits.enter_context(worker_processes())
            pool = current_process_pool()
            if isinstance(pool, ProcessPool):
                pool.wait_until_ready()
                self._pool = pool
        about = {"numpy": np.__version__, "blas": _blas(), "threads": thread_count()}
        if backend == "cupy":
            cuda = self.backend.xp.cuda.runtime.runtimeGetVersion()
            about |= {"cupy": self.backend.xp.__version__, "device": self.backend.device_name, "tf32": tf32}
            about["cuda"] = f"{cuda // 1000}.{cuda % 1000 // 10}"
        return about

    def memory(self, reset: bool = False) -> dict[str, int | None]:
        """Like `Program.memory`, with the helper processes; on a GPU, the device memory that CuPy's pool has taken."""
        if self.backend.name != "cupy":
            memory = super().memory(reset)
            if self._pool is None:
                return memory
            more = self._pool.memory()
            return {name: None if value is None else value + more for name, value in memory.items()}
        taken = self.backend.xp.get_default_memory_pool().total_bytes()
        return {"peak": taken, "now": taken}

    def kernels(self) -> list[str]:
        """Names of the convolution kernels."""
        return list(KERNELS)

    # ---- the whole step ----

    def build(self, folder: str, batch_size: int, width: int, image_size: int) -> None:
        """Make networks and inputs, and leave them in the folder for the others to start from."""
        gan = build_gan(width=width, image_size=image_size)
        shape = (batch_size, image_size, image_size, 3)
        real = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        np.savez(
            Path(folder) / "start.npz",
            **{f"D.{path}": p for path, p in gan.discriminator.params().items()},
            **{f"G.{path}": p for path, p in gan.generator.params().items()},
            **draw_inputs(real, SEED, 0)._asdict(),
        )
        self.gan = gan.to(self.backend)
        self.inputs = draw_inputs(real, SEED, 0, self.backend)
        self._train_step = RecordedStep(self.gan, _refuse) if self._graph else partial(train_step, self.gan)

    def first_step(self) -> list[float]:
        """One step, and its losses: D on reals, D on fakes, G."""
        losses = self.backend.to_host(self._train_step(self.inputs).metrics)[:3].tolist()
        if self._graph:
            self._train_step(self.inputs)  # the second step is the one that is recorded, or cannot be
        return losses

    def step(self, count: int) -> dict[str, Any]:
        """Time training steps."""
        if self.backend.name == "cupy":
            return timed_on_device(self.backend.xp, lambda: self._train_step(self.inputs), count)
        before = self._pool.system_seconds() if self._pool else 0
        result = timed(lambda: self._train_step(self.inputs), count)
        if self._pool:  # its time includes the repetition that is not timed
            result["system_seconds"] += (self._pool.system_seconds() - before) / (count + 1)
        return result

    # ---- inference ----

    def first_images(self, folder: str, images: int) -> None:
        """Draw noise, leave it and the images made of it in the folder."""
        self.noise = np.random.default_rng(SEED).standard_normal((images, 1, 1, 100), np.float32)
        np.save(Path(folder) / "noise.npy", self.noise)
        np.save(Path(folder) / f"{images}-minigan.npy", self.gan.generator.predict(self.noise))

    def predict(self, batch_size: int, count: int) -> dict[str, Any]:
        """Time making images of all the noise."""
        return timed(lambda: self.gan.generator.predict(self.noise, batch_size=batch_size), count)

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


if __name__ == "__main__":
    serve(Minigan())
