"""What each part of minigan's speed is worth: a training step with all of them, and without one at a time.

All variants run in this process, in turn, on the same networks; PyTorch, where there is one, in a process of its own.
What counts is the median of the ratios to the neighbouring step with all parts. Writes the raw numbers and, without
--quick, the plot of docs/performance.md.

    python benchmarks/parts.py
    python benchmarks/parts.py --torch-python OTHER/bin/python --pairs 15
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import records
from measured_programs import HERE, TORCH, Workers, in_turn
from records import Spread, spread
from train_step import add_size, verify

from minigan.fast.cpu import fused, memory, thread_pool, winograd
from minigan.fast.cpu.process_pool import worker_processes
from minigan.gan.step import GAN, build_gan, draw_inputs, train_step
from minigan.nn import network
from minigan.nn.backend import Backend
from minigan.system.atomic_files import replacing
from minigan.system.console import say

PICTURE = HERE.parent / "docs" / "pictures" / "performance.png"
WHOLE = "all of it"


def only_two_taps(kernel_size: tuple[int, int], stride: int) -> bool:
    """What `winograd.suits` was before it could do kernels of three taps."""
    return kernel_size == (2 * stride, 2 * stride)


@contextmanager
def no_pool() -> Iterator[None]:
    """Every array in memory of its own. Helper processes cannot see it, so there are none."""
    with (
        thread_pool.using_processes(None),
        mock.patch.object(memory, "_pool", memory._Pool()),
        mock.patch.object(memory, "SMALLEST", sys.maxsize),
    ):
        yield


@contextmanager
def first_version() -> Iterator[None]:
    """Almost no part: one product per convolution, and only BLAS has more than one thread."""
    with mock.patch.object(winograd, "pays", return_value=False), no_pool(), thread_pool.use_threads(1):
        yield


PARTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    WHOLE: contextlib.nullcontext,
    "im2col instead of Winograd": lambda: mock.patch.object(winograd, "pays", return_value=False),
    "Winograd with tiles of 2 only": lambda: mock.patch.object(winograd, "WORTH", sys.maxsize),
    "im2col for the 3 x 3 layer": lambda: mock.patch.object(winograd, "suits", only_two_taps),
    "threads instead of helpers": lambda: thread_pool.using_processes(None),
    "threads, and memory given back": no_pool,
    "BN and LeakyReLU apart": contextlib.nullcontext,  # built like that
    "small pieces (2^15 numbers)": lambda: mock.patch.object(fused, "PIECE", 1 << 15),
    "one thread": lambda: thread_pool.use_threads(1),
    "none of it": first_version,
}
UNFUSED = ("BN and LeakyReLU apart", "none of it")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.quick:
        arguments.batch_size, arguments.width, arguments.image_size, arguments.pairs = 2, 4, 32, 2
    with worker_processes() as backend:
        ratios = compare(arguments, backend)
    if not arguments.quick:
        draw(ratios, PICTURE)
    return 0


def compare(arguments: argparse.Namespace, backend: Backend) -> dict[str, Spread]:
    """Time all variants in turn and keep the numbers; ratios of each to the whole."""
    size = {"batch_size": arguments.batch_size, "width": arguments.width, "image_size": arguments.image_size}
    networks = {"image_size": arguments.image_size, "width": arguments.width}
    whole = build_gan(**networks, backend=backend)
    with mock.patch.object(network, "fuse", list):
        unfused = build_gan(**networks, backend=backend)
    rng = np.random.default_rng(0)
    real = rng.uniform(-1, 1, (arguments.batch_size, *whole.discriminator.input_shape)).astype(np.float32)
    steps: dict[str, Callable[[], float]] = {
        name: partial(_timed, unfused if name in UNFUSED else whole, real, backend, part)
        for name, part in PARTS.items()
    }
    with tempfile.TemporaryDirectory() as folder, Workers() as programs:
        records.start(programs, arguments, (TORCH,), threads=None)
        verify(programs, folder, size)
        for worker in programs.workers[1:]:
            steps["PyTorch"] = lambda worker=worker: worker.ask("step", count=1)["seconds"]
        for step in steps.values():
            step()
        seconds = in_turn(steps, arguments.pairs, title="Steps in turn")
        ratios = {name: spread(records.ratios(values, seconds[WHOLE])) for name, values in seconds.items()}
        for name, ratio in ratios.items():
            took = f"{spread(seconds[name]).median:.3f} s"
            say(f"  {name:32} {took}   {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})")
        settings = {**size, "pairs": arguments.pairs}
        records.keep("parts", arguments, programs=programs, settings=settings, seconds=seconds)
    return ratios


def _timed(gan: GAN, real: np.ndarray, backend: Backend, part: Callable[[], AbstractContextManager[Any]]) -> float:
    inputs = draw_inputs(real, 0, gan.d_optimizer.t, backend)
    with part():
        start = time.perf_counter()
        train_step(gan, inputs)
        return time.perf_counter() - start


def draw(ratios: dict[str, Spread], path: Path) -> None:
    """Draw a bar for every variant, longest on top."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(8.2, 3.6), dpi=110, layout="constrained")
        axes = figure.subplots()
        names = sorted(ratios, key=lambda name: ratios[name].median)
        colours = {WHOLE: "#1f6fb4", "PyTorch": "0.9", "none of it": "0.35"}
        values = [ratios[name].median for name in names]
        edges = [[max(0.0, v - ratios[n].low) for n, v in zip(names, values, strict=True)]]
        edges += [[max(0.0, ratios[n].high - v) for n, v in zip(names, values, strict=True)]]
        bars = axes.barh(range(len(names)), values, xerr=edges, ecolor="0.2", edgecolor="0.2", height=0.72)
        for bar, name in zip(bars, names, strict=True):
            bar.set_facecolor(colours.get(name, "0.65"))
            bar.set_hatch("//" if name == "PyTorch" else "")
            axes.text(ratios[name].high + 0.03, bar.get_y() + 0.36, f"{ratios[name].median:.2f}", va="center")
        plain = (WHOLE, "PyTorch", "none of it")
        axes.set_yticks(range(len(names)), [name if name in plain else f"… but {name}" for name in names])
        axes.axvline(1, color="0.2", linewidth=0.8, linestyle=":")
        axes.set_xlabel("duration of a training step; with all of it = 1")
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png")


def _parser() -> Any:
    parser = records.parser(__doc__)
    parser.add_argument("--pairs", type=records.at_least(1), default=11, help="turns of each variant (default 11)")
    add_size(parser)
    records.add_peers(parser, (TORCH,))
    return parser


if __name__ == "__main__":
    sys.exit(records.run(main))
