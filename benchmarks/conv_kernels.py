"""Every convolution of both networks, its three passes, by every kernel: time, rate, and memory moved.

Each result is first compared with im2col in float64, and im2col in float64 with the loops, which are the definition.
A larger difference than the tolerance stops the benchmark. Then all kernels, and PyTorch where it is installed, do the
same pass in turn, on one core unless --threads says otherwise: minigan's kernels are made for one, and each rank of a
training run has one. The loops are timed on one image only: they are the oracle and not a competitor.

    python benchmarks/conv_kernels.py
    python benchmarks/conv_kernels.py --torch-python OTHER/bin/python --layers "D conv 2" "G convT 4"

GFLOP/s count a direct convolution's operations, 2 N Ho Wo Kh Kw C O, also where a kernel does fewer. Bytes are those of
the two arrays read and the one written, each once. Beside them stand the bytes of the arrays that the algorithm makes
in between, written once and read once: im2col's patch matrix, Winograd's transformed tiles and their products.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import records
from flop_counts import PASSES, ConvLayer, conv_layers
from measured_minigan import conv_passes
from measured_programs import MINIGAN, TORCH, Worker, Workers, in_turn
from records import spread, verify
from tqdm import tqdm
from train_step import add_size

from minigan.system.console import say
from minigan.system.errors import UserError

TOLERANCE = 2e-5
"""Largest error of a float32 result, relative to its largest value."""

ORACLE_TOLERANCE = 1e-10
"""The same of im2col in float64, against the loops in float64."""

TURN = 0.02
"""Shortest turn in seconds."""

PAUSE = 0.05


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.quick:
        arguments.batch_size, arguments.width, arguments.image_size = 2, 4, 32
        arguments.rounds, arguments.sgemm_size = 1, 64
    layers = _chosen(arguments)
    with tempfile.TemporaryDirectory() as folder, Workers() as programs:
        with Workers() as others:
            on_all_cores = others.start(MINIGAN).ask("sgemm", size=arguments.sgemm_size, count=8)
        records.start(programs, arguments, [TORCH], threads=arguments.threads)
        own = programs.workers[0]
        sgemm = own.ask("sgemm", size=arguments.sgemm_size, count=8)
        rows = []
        with tqdm(total=len(layers) * len(PASSES), desc="Convolutions", unit=" passes", leave=False) as bar:
            for layer in layers:
                prepare(layer, programs.workers, folder, arguments.batch_size)
                for direction in PASSES:
                    row = measure(layer, direction, programs.workers, folder, arguments.batch_size, arguments.rounds)
                    rows.append(row)
                    bar.update()
        sgemm += own.ask("sgemm", size=arguments.sgemm_size, count=8)
        peak, peak_of_all = (2 * arguments.sgemm_size**3 / min(seconds) / 1e9 for seconds in (sgemm, on_all_cores))
        show(rows, peak, arguments.batch_size)
        records.keep(
            "conv_kernels",
            arguments,
            programs=programs,
            settings={
                name: getattr(arguments, name)
                for name in ("batch_size", "width", "image_size", "rounds", "threads", "sgemm_size")
            },
            tolerance=TOLERANCE,
            sgemm_seconds=sgemm,
            sgemm_gflops=peak,
            sgemm_gflops_all_cores=peak_of_all,
            rows=rows,
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = records.parser(__doc__)
    parser.add_argument("--rounds", type=records.at_least(1), default=7, help="turns of each kernel (default 7)")
    parser.add_argument("--layers", nargs="+", metavar="LAYER", help="only these, by name")
    parser.add_argument(
        "--sgemm-size",
        type=records.at_least(1),
        default=3072,
        help="side of the matrices multiplied as a yardstick",
    )
    add_size(parser)
    records.add_threads(parser)
    parser.set_defaults(threads=1)
    records.add_peers(parser, [TORCH])
    return parser


def _chosen(arguments: argparse.Namespace) -> list[ConvLayer]:
    layers = conv_layers(image_size=arguments.image_size, width=arguments.width)
    names = arguments.layers or [layer.name for layer in layers]
    for name in names:
        if name not in [layer.name for layer in layers]:
            raise UserError(f"--layers: must be of {', '.join(layer.name for layer in layers)}, got {name!r}")
    return [layer for layer in layers if layer.name in names]


def prepare(layer: ConvLayer, workers: Sequence[Worker], folder: str, batch_size: int) -> None:
    """Draw a layer's input, kernel and upstream gradient, and have every program load them."""
    rng = np.random.default_rng(0)
    arrays = {"x": (batch_size, *layer.x), "w": layer.w, "dy": (batch_size, *layer.y)}
    np.savez(Path(folder) / "layer.npz", **{k: rng.standard_normal(s, np.float32) for k, s in arrays.items()})
    for worker in workers:
        worker.ask("load_conv", folder=folder, transposed=layer.transposed, stride=layer.stride, pad=layer.pad)


def measure(
    layer: ConvLayer, direction: str, workers: Sequence[Worker], folder: str, batch_size: int, rounds: int
) -> dict[str, Any]:
    """Verify and time one pass of one layer.

    Returns
    -------
    dict
        "layer", "geometry", "pass", "gflop"; "kernels": by name the relative error, the bytes and the seconds of every
        turn, or why the kernel cannot do this pass; "loops": the same of the definition, for one image.

    Raises
    ------
    RunError
        If a result is wrong.
    """
    own, *peers = workers
    expected = truth(layer, direction, folder)
    candidates = {kernel: own for kernel in own.ask("kernels") if kernel != "loops"}
    kernels: dict[str, dict[str, Any]] = {}
    contestants: dict[str, Callable[[int], Any]] = {}
    for kernel, worker in (candidates | {peer.name: peer for peer in peers}).items():
        reason = worker.ask("first_conv", folder=folder, direction=direction, kernel=kernel)
        if reason is not None:
            kernels[kernel] = {"cannot": reason}
            continue
        result = np.load(Path(folder) / "result.npy", allow_pickle=False)
        error = verify(f"{kernel}, {direction} of {layer.name},", result, expected, TOLERANCE)
        kernels[kernel] = {"error": error, "scratch_bytes": layer.scratch_bytes(kernel, batch_size)}
        contestants[kernel] = partial(worker.ask, "conv", direction=direction, kernel=kernel)
    turns = {k: partial(c, count=max(1, round(TURN / c(count=1)["seconds"]))) for k, c in contestants.items()}
    for kernel, answers in in_turn(turns, rounds, pause=PAUSE).items():
        kernels[kernel]["seconds"] = [answer["seconds"] for answer in answers]
    return {
        "layer": layer.name,
        "geometry": layer.describe(),
        "pass": direction,
        "gflop": layer.flops(batch_size) / 1e9,
        "bytes": layer.moved_bytes(batch_size),
        "kernels": kernels,
        "loops": {"images": 1, "gflop": layer.flops(1) / 1e9, **own.ask("loops", direction=direction)},
    }


def truth(layer: ConvLayer, direction: str, folder: str) -> np.ndarray:
    """What a pass has to give: im2col in float64, itself compared with the loops for the first image."""
    with np.load(Path(folder) / "layer.npz", allow_pickle=False) as file:
        x, w, dy = (file[name].astype(np.float64) for name in ("x", "w", "dy"))
    how = {"transposed": layer.transposed, "stride": layer.stride, "pad": layer.pad}
    one_image = conv_passes(x[:1], w, dy[:1], **how)[direction]
    what = f"im2col in float64, {direction} of {layer.name},"
    verify(what, one_image("im2col"), one_image("loops"), ORACLE_TOLERANCE)
    return conv_passes(x, w, dy, **how)[direction]("im2col")


def show(rows: Sequence[dict[str, Any]], peak: float, batch_size: int) -> None:
    """Print the figures."""
    say(f"convolutions, batch {batch_size}, float32; the machine's own matrix product reaches {peak:.0f} GFLOP/s")
    for row in rows:
        say(f"  {row['layer']:<9} {row['pass']:<15} {row['geometry']}, {row['gflop']:.2f} GFLOP")
        say(f"    {'loops':<9} {row['loops']['seconds'] * 1e3:8.2f} ms for one image")
        for name, kernel in row["kernels"].items():
            if "cannot" in kernel:
                say(f"    {name:<9} cannot do this one")
                continue
            seconds = spread(kernel["seconds"]).median
            rate = row["gflop"] / seconds
            say(
                f"    {name:<9} {seconds * 1e3:8.2f} ms  {rate:6.0f} GFLOP/s  {rate / peak:4.0%} of the peak  "
                f"error {kernel['error']:.0e}"
            )


if __name__ == "__main__":
    sys.exit(records.run(main))
