"""What each part of minigan's speed is worth: a training step with all of them, and without one at a time.

minigan and PyTorch, where it is installed, wait in processes of their own and take turns. What is left out holds in
every rank, for one turn. What counts is the median of the ratios to the neighbouring step with all parts. Writes the
raw numbers and, for the article's configuration, the plot of docs/performance.md (or beside them, with --results).

    python benchmarks/parts.py
    python benchmarks/parts.py --torch-python OTHER/bin/python --pairs 15
    python benchmarks/parts.py --profile                # where the time goes, for several sizes (`time_profile`)
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import records
import time_profile
from left_out import GROUPS
from measured_programs import MINIGAN, TORCH, Peer, Worker, Workers, in_turn
from records import Spread, spread
from train_step import add_size, verify

from minigan.system.atomic_files import replacing
from minigan.system.console import say

WHOLE, PLAIN, NONE = "all of it", "--plain", "--plain, on one rank"

ALONE = Peer("minigan-1", "minigan, one rank", "minigan", {"threads": 1})

PARTS: dict[str, tuple[Peer, str]] = {
    WHOLE: (MINIGAN, "nothing"),
    **{f"plain {group}": (MINIGAN, group) for group in GROUPS},
    "chunked im2col instead of Winograd": (MINIGAN, "Winograd"),
    "products with copies only": (MINIGAN, "small products"),
    "Winograd with tiles of 2 only": (MINIGAN, "tiles of 4"),
    "chunked im2col for the 3 x 3 layer": (MINIGAN, "three taps"),
    "memory given back": (MINIGAN, "the pool of memory"),
    "small pieces (2^15 numbers)": (MINIGAN, "large pieces"),
    "one rank": (ALONE, "nothing"),
    PLAIN: (MINIGAN, "everything"),
    NONE: (ALONE, "everything"),
}
"""The program of each variant, and what it leaves out (`left_out.LEFT_OUT`)."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.profile:
        time_profile.run(arguments)
        return 0
    if arguments.quick:
        arguments.batch_size, arguments.width, arguments.image_size, arguments.pairs = 8, 4, 32, 2
    ratios = compare(arguments)
    if (arguments.batch_size, arguments.width, arguments.image_size) == (64, 64, 64):  # the article's
        draw(ratios, records.picture(arguments.results, "performance.png"))
    return 0


def compare(arguments: argparse.Namespace) -> dict[str, Spread]:
    """Time all variants in turn and keep the numbers; ratios of each to the whole."""
    size = {"batch_size": arguments.batch_size, "width": arguments.width, "image_size": arguments.image_size}
    with tempfile.TemporaryDirectory() as folder, Workers() as programs:
        records.start(programs, arguments, (TORCH,))
        programs.start(ALONE)
        verify(programs, folder, size)
        steps = contestants({worker.name: worker for worker in programs.workers})
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


def contestants(workers: dict[str, Worker]) -> dict[str, Callable[[], float]]:
    """What each variant does in its turn: one step, and its seconds."""

    def one_step(worker: Worker, **arguments: str) -> float:
        return worker.ask("step", count=1, **arguments)["seconds"]

    steps = {name: partial(one_step, workers[peer.name], left_out=part) for name, (peer, part) in PARTS.items()}
    if TORCH.name in workers:
        steps["PyTorch"] = partial(one_step, workers[TORCH.name])
    return steps


def draw(ratios: dict[str, Spread], path: Path) -> None:
    """Draw a bar for every variant, longest on top."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(8.2, 4.4), dpi=110, layout="constrained")
        axes = figure.subplots()
        names = sorted(ratios, key=lambda name: ratios[name].median)
        colours = {WHOLE: "#1f6fb4", "PyTorch": "0.9", PLAIN: "0.35", NONE: "0.35"}
        values = [ratios[name].median for name in names]
        edges = [[max(0.0, v - ratios[n].low) for n, v in zip(names, values, strict=True)]]
        edges += [[max(0.0, ratios[n].high - v) for n, v in zip(names, values, strict=True)]]
        bars = axes.barh(range(len(names)), values, xerr=edges, ecolor="0.2", edgecolor="0.2", height=0.72)
        for bar, name in zip(bars, names, strict=True):
            bar.set_facecolor(colours.get(name, "0.65"))
            bar.set_hatch("//" if name == "PyTorch" else "")
            axes.text(ratios[name].high + 0.03, bar.get_y() + 0.36, f"{ratios[name].median:.2f}", va="center")
        whole = (WHOLE, "PyTorch", PLAIN, NONE)
        axes.set_yticks(range(len(names)), [name if name in whole else f"… but {name}" for name in names])
        axes.axvline(1, color="0.2", linewidth=0.8, linestyle=":")
        axes.set_xlabel("duration of a training step; with all of it = 1")
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png")


def _parser() -> Any:
    parser = records.parser(__doc__)
    parser.add_argument("--profile", action="store_true", help="instead: where the time goes, for several sizes")
    parser.add_argument("--pairs", type=records.at_least(1), default=11, help="turns of each variant (default 11)")
    add_size(parser)
    records.add_peers(parser, (TORCH,))
    return parser


if __name__ == "__main__":
    sys.exit(records.run(main))
