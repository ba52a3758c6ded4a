"""Seconds per training step of the article's configuration, beside PyTorch's where torch is installed.

Each program runs in a process of its own and waits; this script lets them take one step each in turn (A B A B ...),
so that whatever else the machine does meanwhile hits both alike. Before anything is timed, both take one step from
the same weights and inputs, and their losses have to agree. What counts is the median of the ratios of neighbouring
steps.

    python benchmarks/train_step.py [--pairs 12] [--batch-size 64] [--width 64] [--torch-python OTHER/bin/python]

The raw numbers go to benchmarks/results/train_step-<time>.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


class Program:
    """A worker process that takes one training step whenever it is asked to."""

    def __init__(self, name: str, python: str, folder: str, arguments: argparse.Namespace) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [python, str(HERE / f"step_{name}.py"), folder, str(arguments.batch_size), str(arguments.width)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.about = self._read()

    def step(self) -> dict[str, float]:
        """One step: its seconds and its three losses."""
        assert self._process.stdin is not None
        self._process.stdin.write("step\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the {self.name} worker ended (status {self._process.wait()})")
        return json.loads(line)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=12, help="timed steps of each program")
    parser.add_argument("--warmup", type=int, default=2, help="steps of each before that")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--torch-python", default=sys.executable, help="Python that has torch, if not this one")
    arguments = parser.parse_args()
    has_torch = subprocess.run([arguments.torch_python, "-c", "import torch"], capture_output=True).returncode == 0
    names = ["minigan", "torch"] if has_torch else ["minigan"]
    with tempfile.TemporaryDirectory() as folder:
        programs = [
            Program(name, arguments.torch_python if name == "torch" else sys.executable, folder, arguments)
            for name in names
        ]
        try:
            seconds = measure(programs, arguments)
        finally:
            for program in programs:
                program.close()
    report(programs, seconds, arguments)
    return 0


def measure(programs: list[Program], arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Verify, warm up, and time in turn."""
    first = [program.step() for program in programs]
    for name in ("d_real", "d_fake", "g"):
        values = [step[name] for step in first]
        if not np.allclose(values, values[0], rtol=2e-3):
            raise RuntimeError(f"the programs do not compute the same: first {name} losses are {values}")
    for _ in range(arguments.warmup):
        for program in programs:
            program.step()
    seconds: dict[str, list[float]] = {program.name: [] for program in programs}
    for k in range(arguments.pairs):
        for program in programs if k % 2 == 0 else reversed(programs):
            seconds[program.name].append(program.step()["seconds"])
    return seconds


def report(programs: list[Program], seconds: dict[str, list[float]], arguments: argparse.Namespace) -> None:
    """Print the figures and keep the raw numbers."""
    print(f"training step, batch {arguments.batch_size}, width {arguments.width}, 64x64, float32; {machine()}")
    for program in programs:
        times = seconds[program.name]
        about = ", ".join(f"{key} {value}" for key, value in program.about.items())
        print(
            f"  {program.name:<8} median {statistics.median(times):.3f} s per step "
            f"(min {min(times):.3f}, max {max(times):.3f}; {len(times)} steps; {about})"
        )
    record = {
        "when": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": " ".join(["python", *sys.argv]),
        "machine": machine(),
        "batch_size": arguments.batch_size,
        "width": arguments.width,
        "programs": {program.name: program.about for program in programs},
        "seconds": seconds,
    }
    if "torch" in seconds:
        ratios = [a / b for a, b in zip(seconds["minigan"], seconds["torch"], strict=True)]
        quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        record["ratios"] = ratios
        print(
            f"  minigan / torch: median {statistics.median(ratios):.2f} "
            f"(quartiles {quartiles[0]:.2f} to {quartiles[2]:.2f}; {len(ratios)} pairs)"
        )
    else:
        print("  torch is not installed, so there is no ratio (pip install torch, or --torch-python)")
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    path = results / f"train_step-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"  raw numbers: {path.relative_to(HERE.parent)}")


def machine() -> str:
    """Processor and number of cores, for people."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    return f"{name}, {os.cpu_count()} cores, {platform.system()}"


if __name__ == "__main__":
    sys.exit(main())
