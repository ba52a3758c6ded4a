"""Instructions that the kernels of the convolutions execute for each number that they write, counted without a GPU.

The source is compiled by NVRTC for one kind of card and disassembled; then threads of several blocks of each launch are
executed instruction by instruction (gpu_code.py), for all convolutions of the article's networks at a batch of 64. Any
NVRTC and nvdisasm will do, such as those of

    python -m pip install "nvidia-cuda-nvrtc-cu12==12.9.*" nvidia-cuda-nvdisasm
    python benchmarks/kernel_instructions.py
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import struct
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flop_counts
import numpy as np
import records
from gpu_code import Counts, Program, compile_source, disassemble

from minigan.fast.cuda import cublas
from minigan.fast.cuda import kernels as cuda
from minigan.nn import backend
from minigan.system.console import say
from minigan.system.errors import UserError

BLOCKS, THREADS = 12, 24
"""How many blocks of a launch are executed, and how many threads of each, evenly spread; they stand for all."""

KERNELS = (
    "im2col",
    "col2im",
    "winograd_gather",
    "winograd_gather_adjoint",
    "winograd_output",
    "winograd_output_adjoint",
    "winograd_kernels",
    "winograd_kernel",
    "winograd_kernel_adjoint",
    "winograd3_gather",
    "winograd3_output",
    "winograd3_output_adjoint",
    "winograd3_kernel",
    "winograd3_kernel_adjoint",
)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    nvrtc = arguments.nvrtc or _installed("libnvrtc.so.*[0-9]", "NVRTC", "--nvrtc")
    nvdisasm = arguments.nvdisasm or shutil.which("nvdisasm") or _installed("nvdisasm", "nvdisasm", "--nvdisasm")
    source = Path(cuda.__file__).with_suffix(".cu").read_text(encoding="utf-8")
    options = ("-std=c++14", "-DREAL=float")
    cubin = compile_source(source, nvrtc, architecture=arguments.architecture, options=options)
    programs = disassemble(cubin, Path(nvdisasm))
    batch = 2 if arguments.quick else arguments.batch_size
    per_number = {}
    say(f"{'kernel':26} {'launches':>8} {'instructions for each number written':>38}")
    for name, launches in launches_of_all_convolutions(batch).items():
        each = [count(programs[name], launch) for launch in launches]
        per_number[name] = [round(counts.instructions / counts.stores, 2) for counts in each]
        say(f"{name:26} {len(each):8} {min(per_number[name]):23.1f} to {max(per_number[name]):4.1f}")
    settings = {
        "batch_size": batch,
        "architecture": arguments.architecture,
        "nvrtc": Path(nvrtc).name,
        "blocks": BLOCKS,
        "threads": THREADS,
    }
    records.keep("kernel_instructions", arguments, settings=settings, instructions_per_number=per_number)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = records.parser(__doc__)
    parser.add_argument("--batch-size", type=records.at_least(1), default=64, help="default 64")
    parser.add_argument("--architecture", default="sm_86", help='"sm_70" to "sm_89" (default sm_86)')
    parser.add_argument("--nvrtc", type=Path, help="the compiler's library, if it is not installed in this environment")
    parser.add_argument("--nvdisasm", type=Path, help="the disassembler, if it is not installed in this environment")
    return parser


def _installed(pattern: str, name: str, option: str) -> Path:
    """A file of NVIDIA's packages in this environment."""
    found = importlib.util.find_spec("nvidia")
    folders = [] if found is None or found.submodule_search_locations is None else found.submodule_search_locations
    for folder in folders:
        for path in sorted(Path(folder).rglob(pattern)):
            return path
    raise UserError(
        f'{name} is not installed: python -m pip install "nvidia-cuda-nvrtc-cu12==12.9.*" nvidia-cuda-nvdisasm, '
        f"or tell where it is with {option}"
    )


# ---------------------------------------------------------------------------------------------------------- launches
class ShapeOnly:
    """An array without numbers: it is enough to see with which sizes a kernel is launched."""

    def __init__(self, shape: tuple[int, ...], dtype: Any = np.float32) -> None:
        self.shape, self.dtype = tuple(int(n) for n in shape), np.dtype(dtype)
        self.flags = np.empty(0).flags

    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: int(np.prod(self.shape)))
    data = property(lambda _: _Address())

    def reshape(self, *shape: Any) -> ShapeOnly:
        wanted = shape[0] if isinstance(shape[0], tuple) else shape
        known = int(np.prod([n for n in wanted if n != -1]))
        return ShapeOnly(tuple(self.size // known if n == -1 else n for n in wanted), self.dtype)

    def __getitem__(self, key: slice | None) -> ShapeOnly:
        if key is None:
            return ShapeOnly((1, *self.shape), self.dtype)
        return ShapeOnly((len(range(*key.indices(self.shape[0]))), *self.shape[1:]), self.dtype)


class _Address:
    ptr = 1 << 32


class Launch:
    """One launch: kernel, grid, block, and arguments as bytes."""

    def __init__(self, name: str, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...]) -> None:
        self.name = name
        self.grid, self.block = (*grid, 1, 1)[:3], (*block, 1, 1)[:3]
        self.arguments = b""
        for a in args:
            part = struct.pack("<Q", _Address.ptr) if isinstance(a, ShapeOnly) else a.tobytes()
            align = 8 if isinstance(a, np.ndarray) else len(part)
            self.arguments += bytes(-len(self.arguments) % align) + part


class _Recorder:
    """As much of CuPy as the convolutions need; it keeps every launch."""

    def __init__(self) -> None:
        self.launches: list[Launch] = []
        self.cuda = self

    def Device(self) -> _Recorder:
        return self

    attributes = {"MultiProcessorCount": 1}  # noqa: RUF012

    def empty(self, shape: Any, dtype: Any) -> ShapeOnly:
        return ShapeOnly(shape if isinstance(shape, tuple) else (shape,), dtype)

    def ascontiguousarray(self, a: ShapeOnly) -> ShapeOnly:
        return a

    def RawModule(self, **_: Any) -> _Recorder:
        return self

    def get_function(self, name: str) -> Any:
        return lambda grid, block, args: self.launches.append(Launch(name, grid, block, args))


def launches_of_all_convolutions(batch_size: int) -> dict[str, list[Launch]]:
    """What `KERNELS` are launched with, by kernel, by all passes of all convolutions of the article's networks."""
    recorder: Any = _Recorder()
    made = backend.Backend("cupy", recorder, ShapeOnly, ShapeOnly, ShapeOnly, lambda: None, "none", 1)
    before = dict(backend._known)
    multiply = cublas.matmul
    backend.register(made)
    try:
        cuda.matmul = _shape_of_product  # type: ignore[assignment]
        for layer in flop_counts.conv_layers(image_size=64, width=64):
            inner, outer = (layer.y, layer.x) if layer.transposed else (layer.x, layer.y)
            x, y = ShapeOnly((batch_size, *inner)), ShapeOnly((batch_size, *outer))
            w, pad = ShapeOnly(layer.w), ((layer.pad, layer.pad), (layer.pad, layer.pad))
            given: Any = (layer.stride, pad)
            cuda.conv_forward(x, w, *given)  # type: ignore[arg-type]
            cuda.conv_input_grad(y, w, *given, x.shape[1:3])  # type: ignore[arg-type]
            cuda.conv_weight_grad(x, y, *given, w.shape[:2])  # type: ignore[arg-type]
    finally:
        cuda.matmul = multiply
        backend._known.clear()
        backend._known.update(before)
    by_kernel = defaultdict(list)
    for launch in recorder.launches:
        if launch.name in KERNELS:
            by_kernel[launch.name].append(launch)
    return {name: by_kernel[name] for name in KERNELS if name in by_kernel}


def _shape_of_product(
    a: ShapeOnly, b: ShapeOnly, *, transpose_a: bool = False, transpose_b: bool = False, out: Any = None, **_: Any
) -> ShapeOnly:
    M, N = a.shape[-1 if transpose_a else -2], b.shape[-2 if transpose_b else -1]
    return ShapeOnly((*a.shape[:-2], M, N), a.dtype) if out is None else out


# ------------------------------------------------------------------------------------------------------ executing them
def count(program: Program, launch: Launch) -> Counts:
    """What some blocks of a launch execute."""
    X, Y, Z = launch.grid
    total, counts = X * Y * Z, Counts()
    for k in range(min(BLOCKS, total)):
        place = k * total // min(BLOCKS, total)
        where = place % X, place // X % Y, place // X // Y
        counts.add(program.run_block(launch.block, where, launch.grid, launch.arguments, THREADS))
    return counts


if __name__ == "__main__":
    raise SystemExit(records.run(main))
