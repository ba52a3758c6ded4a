"""Seconds that `import minigan` takes over NumPy's own import, in fresh processes.

NumPy and minigan are imported one after the other in each of several new processes. Files are read from the system's
cache, as from the second start on; the first process is not counted.

    python benchmarks/import_time.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence

import records
from measured_programs import HERE
from records import spread
from tqdm import trange

from minigan.system.console import say

CODE = """
import json, time
begin = time.perf_counter()
import numpy
between = time.perf_counter()
import minigan
print(json.dumps([between - begin, time.perf_counter() - between]))
"""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    processes = 2 if arguments.quick else arguments.processes
    pairs = [one_process() for _ in trange(processes + 1, desc="Processes", leave=False)][1:]
    seconds = {"numpy": [pair[0] for pair in pairs], "minigan": [pair[1] for pair in pairs]}
    say(
        f"import: NumPy {spread(seconds['numpy']).median:.3f} s, minigan {spread(seconds['minigan']).median:.3f} s more"
    )
    records.keep("import_time", arguments, settings={"processes": processes}, seconds=seconds)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = records.parser(__doc__)
    parser.add_argument("--processes", type=records.at_least(1), default=15, help="how many (default 15)")
    return parser


def one_process() -> list[float]:
    """Seconds of NumPy's import and of minigan's after it."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, encoding="utf-8", check=True, cwd=HERE.parent
    )
    seconds: list[float] = json.loads(done.stdout)
    return seconds


if __name__ == "__main__":
    sys.exit(records.run(main))
