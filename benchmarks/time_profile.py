"""Where the time goes, by groups of statements and by layers: training steps of several sizes, and making images.

What `python benchmarks/parts.py --profile` does. minigan runs in a separate process, with its ranks, and looks at the
clock around every statement that computes with arrays (`line_clock`); the times are those of rank 0. Beside them stands
what the core can do at best, while all ranks do the same: a product of two matrices of 1024 x 1024 numbers, and a copy
of 128 MB. Writes the raw numbers, and for the default sizes the picture of docs/performance.md (with --results, beside
them).
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import records
from line_clock import ADAM, GROUPS, IM2COL, NORM, PRODUCTS, PYTHON
from measured_programs import Workers
from tqdm import tqdm

from minigan.system.atomic_files import replacing
from minigan.system.console import say

LINES = 24
"""How many layers are printed for each size."""

Profile = Mapping[str, Any]
"""What a worker answers, `line_clock.profile` and the rates of `measured_ranks.best_rates`."""


class Cell(NamedTuple):
    """What is measured: a training step, or if `images` is not 0, making so many images."""

    title: str
    batch_size: int = 64
    width: int = 64
    image_size: int = 64
    images: int = 0


CELLS = (
    Cell("batch 8", 8),
    Cell("batch 16", 16),
    Cell("batch 64: the article's", 64),
    Cell("batch 256", 256),
    Cell("batch 64, width 32", 64, 32),
    Cell("batch 64, 32 x 32 pixels", 64, 64, 32),
    Cell("batch 64, 128 x 128 pixels", 64, 64, 128),
    Cell("one face", 1, images=1),
    Cell("1,000 faces", 250, images=1000),
)
QUICK = (Cell("batch 4", 4, 16, 32), Cell("one face", 1, 16, 32, images=1))

SECONDS = 2.0
"""About how long each size is profiled; at least 2 repetitions, at most 50."""


def run(arguments: argparse.Namespace) -> None:
    """Profile all sizes, print them, and keep the numbers."""
    found: dict[str, Profile] = {}
    with tempfile.TemporaryDirectory() as folder, Workers() as programs:
        records.start(programs, arguments)
        worker = programs.workers[0]
        for cell in tqdm(QUICK if arguments.quick else CELLS, desc="Sizes", unit=" sizes", leave=False):
            size = {"batch_size": cell.batch_size, "width": cell.width, "image_size": cell.image_size}
            if cell.images:
                size["batch_size"] = 1  # on one rank, which leaves the cores to predict
            worker.ask("build", folder=folder, **size)
            if cell.images:
                worker.ask("first_images", folder=folder, images=cell.images)
                once = worker.ask("predict", batch_size=cell.batch_size, count=1)["seconds"]
                found[cell.title] = worker.ask("profile_predict", batch_size=cell.batch_size, count=times(once))
            else:
                once = worker.ask("step", count=1)["seconds"]
                found[cell.title] = worker.ask("profile", count=times(once))
        records.keep("profile", arguments, programs=programs, profiles=found)
    for title, profile in found.items():
        show(title, profile)
    if not arguments.quick:
        draw(found, records.picture(arguments.results, "profile.png"))


def times(seconds: float) -> int:
    """How many repetitions take about `SECONDS`."""
    return max(2, min(50, round(SECONDS / seconds)))


def shares(profile: Profile) -> dict[str, float]:
    """The part of the time that each group takes; Python has what the others leave."""
    seconds: Counter[str] = Counter()
    for row in profile["rows"]:
        seconds[row["group"]] += row["seconds"] / profile.get("threads", 1)
    seconds[PYTHON] += max(0.0, profile["seconds"] - sum(seconds.values()))
    whole = sum(seconds.values())
    return {group: seconds[group] / whole for group in GROUPS}


def product_rate(profile: Profile, groups: Iterable[str] = (PRODUCTS,)) -> float | None:
    """Rate of products to that of the best product on as many cores; None where there are none."""
    rows = [row for row in profile["rows"] if row["group"] in groups and row["flops"]]
    seconds = sum(row["seconds"] for row in rows)
    best = profile["gflops"] / profile.get("threads", 1) * 1e9
    return sum(row["flops"] for row in rows) / seconds / best if seconds else None


def memory_rate(profile: Profile, group: str) -> float | None:
    """Bytes per second of batch normalization or Adam to those of a copy; None where they were not counted."""
    rows = [row for row in profile["rows"] if row["group"] == group]
    seconds = sum(row["seconds"] for row in rows)
    moved = profile.get("adam_bytes", 0) if group == ADAM else sum(row["moved"] for row in rows)
    return moved / seconds / profile["copied"] if seconds and moved else None


def show(title: str, profile: Profile) -> None:
    """Print groups, and the layers that take longest."""
    say(
        f"\n{title}: {profile['seconds'] * 1e3:.2f} ms ({profile['with_clock'] * 1e3:.2f} with the clock, which was "
        f"looked at {profile['looks']:,.0f} times); best product {profile['gflops']:.0f} GFLOP/s, copy "
        f"{profile['copied'] / 1e9:.0f} GB/s"
    )
    for group, share in shares(profile).items():
        if share < 0.0005:
            continue
        product = product_rate(profile, (group,)) if group in (PRODUCTS, IM2COL) else None
        memory = memory_rate(profile, group) if group in (NORM, ADAM) else None
        rate = f", {product:.0%} of the best product" if product else f", {memory:.0%} of a copy" if memory else ""
        say(f"  {GROUPS[group]:34} {share:6.1%} {share * profile['seconds'] * 1e3:9.2f} ms{rate}")
    for row in profile["rows"][:LINES]:
        ms = row["seconds"] * 1e3 / profile.get("threads", 1)
        rate = f"{row['flops'] / row['seconds'] / 1e9:6.0f} GFLOP/s" if row["group"] == PRODUCTS else ""
        rate = f"{row['moved'] / row['seconds'] / 1e9:6.1f} GB/s" if row["moved"] else rate
        say(f"    {row['group']:14} {row['layer']:46} {ms:8.2f} ms {rate}")


def draw(found: Mapping[str, Profile], path: Path) -> None:
    """One bar for each size, divided into groups."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    colours = ("#1f4e79", "#5b9bd5", "#bdd7ee", "#7f6000", "#e2a400", "#ffe699", "0.8", "0.45", "0.15")
    hatches = ("", "//", "", "", "", "..", "", "xx", "")
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9.4, 5.2), dpi=110, layout="constrained")
        axes = figure.subplots()
        titles = list(found)[::-1]
        left = [0.0] * len(titles)
        for (group, name), colour, hatch in zip(GROUPS.items(), colours, hatches, strict=True):
            widths = [100 * shares(found[title])[group] for title in titles]
            axes.barh(titles, widths, left=left, color=colour, hatch=hatch, edgecolor="white", height=0.7, label=name)
            for y, (start, width) in enumerate(zip(left, widths, strict=True)):
                if width >= 4.5:
                    dark = group in (PRODUCTS, IM2COL, PYTHON)
                    box = {"facecolor": colour, "edgecolor": "none", "pad": 1.0}
                    axes.text(
                        start + width / 2, y, f"{width:.0f}", va="center", ha="center",
                        color="white" if dark else "black", bbox=box if hatch else None,
                    )  # fmt: skip
            left = [start + width for start, width in zip(left, widths, strict=True)]
        for y, title in enumerate(titles):
            seconds, rate = found[title]["seconds"], product_rate(found[title])
            told = f"{seconds:.2f} s" if seconds >= 0.995 else f"{seconds * 1e3:.3g} ms"
            axes.text(101, y, told + (f"\nproducts {rate:.0%}" if rate else ""), va="center")
        axes.set_xlim(0, 100)
        axes.set_xlabel("per cent of the time (products: their rate, in per cent of the best product on as many cores)")
        axes.tick_params(axis="y", length=0)
        figure.legend(loc="outside upper center", ncols=3, frameon=False)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png")
