"""Run the benchmarks one after the other and write RESULTS.md: what `make bench` does.

Without names it runs all of them, in less than a quarter of an hour on two cores where PyTorch and Keras are installed.
It says which one is running and how long the ones before took. Options that are not listed here go to every script
that is called, so name one that knows them.

    python benchmarks/bench.py
    python benchmarks/bench.py --torch-python OTHER/bin/python --keras-python THIRD/bin/python
    python benchmarks/bench.py train_step inference --pairs 20
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import records
import results_page
from measured_programs import GPU_PEERS, HERE, KERAS, MINIGAN_MPI, PEERS, TORCH, TORCH_COMPILE, Peer

from minigan.nn.backend import get_backend
from minigan.system.console import complain, say
from minigan.system.errors import RunError, UserError
from minigan.system.wording import duration


@dataclass(frozen=True)
class Benchmark:
    """A script, and how it is called.

    Attributes
    ----------
    name : str
    script : str
    peers : tuple of Peer
        Which others it can measure beside minigan.
    variants : tuple of tuple of str
        Options of each call.

    Notes
    -----
    torch.compile compiles anew for every size, which takes longer than measuring. So it takes part in training steps of
    the article's size only.
    """

    name: str
    script: str
    peers: tuple[Peer, ...] = ()
    variants: tuple[tuple[str, ...], ...] = ((),)


OTHER_SIZES = (
    ("--pairs", "6", "--batch-size", "8"),
    ("--pairs", "6", "--batch-size", "16"),
    ("--pairs", "6", "--width", "32"),
    ("--pairs", "6", "--image-size", "32"),
    ("--pairs", "3", "--image-size", "128"),
    ("--pairs", "3", "--batch-size", "256"),
)
BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark("import_time", "import_time"),
        Benchmark("data_pipeline", "data_pipeline"),
        Benchmark("conv_kernels", "conv_kernels", (TORCH,)),
        Benchmark("train_step", "train_step", PEERS),
        Benchmark("other_sizes", "train_step", (TORCH, KERAS), OTHER_SIZES),
        Benchmark("inference", "inference", (TORCH, TORCH_COMPILE)),
        Benchmark("scaling", "scaling", (TORCH, MINIGAN_MPI)),
        Benchmark("side_by_side", "side_by_side", variants=(("--rounds", "3", "--steps", "20"),)),
        Benchmark("gpu", "train_step", GPU_PEERS, (("--backend", "cupy"),)),
    )
}


def main(argv: Sequence[str] | None = None) -> int:
    arguments, others = _parser().parse_known_args(argv)
    for name in arguments.names:
        if name not in BENCHMARKS:
            raise UserError(f"NAME: must be of {', '.join(BENCHMARKS)}, got {name!r}")
    failed = []
    calls = [(name, variant) for name in arguments.names or _all() for variant in BENCHMARKS[name].variants]
    begin = time.monotonic()
    for k, (name, variant) in enumerate(calls, 1):
        benchmark = BENCHMARKS[name]
        so_far = f", {duration(time.monotonic() - begin)} so far" if k > 1 else ""
        say(f"== {k} of {len(calls)}{so_far}: {' '.join((benchmark.script, *variant))}")
        script = str(HERE / f"{benchmark.script}.py")
        command = [sys.executable, script, *variant, *_options(benchmark, arguments), *others]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    say(f"== all {len(calls)} in {duration(time.monotonic() - begin)}")
    results = records.results_folder(arguments)
    try:
        results_page.write(results, results.parent / "RESULTS.md")
    except UserError as error:  # nothing could be measured: the reasons are above
        complain(str(error))
    if failed:
        raise RunError(f"these did not finish: {', '.join(dict.fromkeys(failed))}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = records.parser(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    records.add_threads(parser)
    records.add_peers(parser, (*PEERS, *GPU_PEERS, MINIGAN_MPI))
    return parser


def _all() -> list[str]:
    names = list(BENCHMARKS)
    try:
        get_backend("cupy")
    except UserError as error:
        say(f"The GPU path is not timed: {error}")
        names.remove("gpu")
    return names


def _options(benchmark: Benchmark, arguments: argparse.Namespace) -> list[str]:
    """The options of this call that a script knows."""
    options = ["--quick"] if arguments.quick else []
    if arguments.results is not None:
        options += ["--results", str(arguments.results)]
    if arguments.threads is not None and benchmark.script not in ("import_time", "side_by_side"):
        options += ["--threads", str(arguments.threads)]
    if benchmark.peers:
        wanted = [peer.name for peer in benchmark.peers if arguments.peers is None or peer.name in arguments.peers]
        options += ["--peers", *wanted]
    for framework in records.frameworks(benchmark.peers):
        options += [f"--{framework}-python", getattr(arguments, f"{framework}_python")]
    return options


if __name__ == "__main__":
    sys.exit(records.run(main))
