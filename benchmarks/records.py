"""What the benchmarks share: options, raw numbers kept as JSON, and a few statistics.

Every benchmark prints its figures and writes one file, ``<benchmark>-<time>.json``, with every single measurement and
with the machine, versions and settings behind it. `results_page` makes RESULTS.md of these files.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measured_programs import HERE, MINIGAN, PEERS, Peer, WorkerError, Workers

import minigan
from minigan.system.atomic_files import write_text
from minigan.system.cli import run_command, whole
from minigan.system.console import one_line, say
from minigan.system.errors import RunError, UserError

RESULTS = HERE / "results"
PICTURES = HERE.parent / "docs" / "pictures"
SCHEMA = 1
CPU_FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "asimd", "sve")
"""Instruction sets that decide how fast a float32 matrix product can be; those present are kept with the numbers."""

PATH_OPTIONS = (
    "--results",
    "--before",
    "--data",
    "--out",
    "--keep",
    "--torch-python",
    "--keras-python",
    "--nvrtc",
    "--nvdisasm",
)


# ---- Options ----


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(
        description=description.split("\n\n", 1)[0],
        epilog=description.split("\n\n", 1)[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs; the numbers mean nothing")
    made.add_argument("--results", type=Path, help=f"folder for the raw numbers (default {RESULTS.name}/ beside this)")
    return made


def picture(results: Path | None, name: str) -> Path:
    """Where a picture of the documentation goes: there, or beside raw numbers that go to a folder of their own."""
    return (results or PICTURES) / name


def add_threads(made: argparse.ArgumentParser) -> None:
    """Add --threads."""
    made.add_argument("--threads", type=at_least(1), help="of every program (default: as each chooses, all cores)")


def add_peers(made: argparse.ArgumentParser, peers: Sequence[Peer] = PEERS) -> None:
    """Add --peers and the interpreters that have them."""
    names = list(dict.fromkeys(peer.name for peer in peers))
    made.add_argument(
        "--peers",
        nargs="*",
        choices=names,
        metavar="PEER",
        help=f"what to measure beside minigan, of {', '.join(names)}; default all, without a name none",
    )
    for framework in frameworks(peers):
        made.add_argument(
            f"--{framework}-python",
            default=sys.executable,
            metavar="PYTHON",
            help=f"one that has {framework}, if not this",
        )


def frameworks(peers: Iterable[Peer]) -> list[str]:
    """What peers are built on, beside minigan itself."""
    return [framework for framework in dict.fromkeys(peer.framework for peer in peers) if framework != "minigan"]


def run(main: Callable[[Sequence[str] | None], int]) -> int:
    """Call a benchmark's main; an error of ours becomes one line and an exit status."""

    def command(argv: Sequence[str] | None) -> int:
        try:
            return main(argv)
        except WorkerError as error:
            raise RunError(str(error)) from None

    return run_command(command)


def at_least(lowest: int) -> Callable[[str], int]:
    """An argparse type: whole numbers from `lowest` up."""

    def parse(text: str) -> int:
        value = whole(text)
        if value < lowest:
            raise argparse.ArgumentTypeError(f"must be at least {lowest}, got {value}")
        return value

    return parse


def start(
    programs: Workers, arguments: argparse.Namespace, peers: Sequence[Peer] = (), *, own: Peer = MINIGAN, **options: Any
) -> None:
    """Start minigan and then the peers that were asked for."""
    programs.start(own, **options)
    pythons = {framework: getattr(arguments, f"{framework}_python") for framework in frameworks(peers)}
    chosen = [peer for peer in peers if arguments.peers is None or peer.name in arguments.peers]
    programs.start_peers(chosen, {"minigan": sys.executable, **pythons}, **options)


# ---- Checking ----


def relative_error(result: np.ndarray, truth: np.ndarray) -> float:
    """Largest difference, relative to the largest true value; infinite where shapes differ or values are NaN."""
    if result.shape != truth.shape or not np.isfinite(result).all():
        return float("inf")
    scale = max(float(np.abs(truth).max()), np.finfo(np.float64).tiny)
    return float(np.abs(result - truth).max()) / scale


def verify(what: str, result: np.ndarray, truth: np.ndarray, tolerance: float) -> float:
    """Check a result before it is timed.

    Returns
    -------
    float
        Its `relative_error`.

    Raises
    ------
    RunError
        If that is above the tolerance.
    """
    error = relative_error(result, truth)
    if not error <= tolerance:
        raise RunError(f"{what} is wrong and is not timed: relative error {error:.1e}, allowed {tolerance:.0e}")
    return error


# ---- Statistics ----


class Spread(NamedTuple):
    """Median and quartiles."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of at least one value.

    >>> spread([1.0, 2.0, 3.0, 4.0, 5.0])
    Spread(median=3.0, low=2.0, high=4.0)
    """
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def ratios(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """A / b of each pair of neighbours."""
    return [x / y for x, y in zip(a, b, strict=True)]


# ---- Keeping ----


def keep(benchmark: str, arguments: argparse.Namespace, *, programs: Workers | None = None, **facts: Any) -> Path:
    """Write the raw numbers of one benchmark.

    Parameters
    ----------
    benchmark : str
        Its name.
    arguments : Namespace
        What it was asked to do.
    programs : Workers, optional
        Which programs took part, and which could not.
    **facts
        Settings and measurements.

    Returns
    -------
    Path
    """
    record = {
        "schema": SCHEMA,
        "benchmark": benchmark,
        "when": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": command(),
        "quick": arguments.quick,
        "machine": machine(),
        "minigan": {"version": minigan.__version__, "commit": commit()},
        "programs": {w.name: {"title": w.title, **w.about} for w in programs.workers} if programs else {},
        "not_measured": programs.not_measured if programs else {},
        **facts,
    }
    folder = results_folder(arguments)
    path = folder / f"{benchmark}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    while path.exists():  # two within one second, as under --quick
        path = path.with_name(f"{path.stem}a.json")
    write_text(path, json.dumps(record, indent=1) + "\n")
    for name, reason in record["not_measured"].items():
        say(f"  {name} not measured: {one_line(reason)}")
    say(f"  raw numbers: {one_line(path)}")
    return path


def command() -> str:
    """The command line, with only the last part of paths: raw numbers are published, this machine's folders are not."""
    program, *options = sys.argv
    told = [Path(a).name if b in PATH_OPTIONS else a for a, b in zip(options, ["", *options], strict=False)]
    return shlex.join(["python", f"benchmarks/{Path(program).name}", *told])


def results_folder(arguments: argparse.Namespace) -> Path:
    """The folder for raw numbers, made if it is missing. By default, quick runs have a folder of their own."""
    quick = Path(tempfile.gettempdir()) / "minigan-quick" / "results"
    folder: Path = arguments.results or (quick if arguments.quick else RESULTS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--results: cannot make the folder {folder} ({error.strerror})") from None
    return folder


def machine() -> dict[str, Any]:
    """Facts about this machine, as far as the system tells them."""
    facts: dict[str, Any] = {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = (line.split(":", 1) for line in cpuinfo.read_text(encoding="utf-8").splitlines() if ":" in line)
        about = {name.strip(): value.strip() for name, value in lines}
        flags = set((about.get("flags") or about.get("Features") or "").split())
        facts |= {"cpu": about.get("model name", facts["cpu"]), "flags": [f for f in CPU_FLAGS if f in flags]}
        facts["caches"] = {
            f"L{(index / 'level').read_text().strip()}": (index / "size").read_text().strip()
            for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
            if (index / "type").read_text().strip() != "Instruction"
        }
        facts["memory_bytes"] = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return facts


def commit() -> str | None:
    """The commit that is measured, with a plus if files differ from it; None outside git."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=HERE, capture_output=True, encoding="utf-8", check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "../minigan")
        return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
