"""Make RESULTS.md, and its two plots, of the raw numbers in the results folder.

The page is about one machine (`main_machine`). Of every kind of measurement there the newest file counts; for training
steps, the newest of every size and backend. Other machines have a section of their own, and so have GPUs, wherever they
are. Nothing in RESULTS.md is written by hand.

    python benchmarks/results_page.py [--results FOLDER] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import records
from flop_counts import PASSES
from measured_programs import MINIGAN_MPI
from records import SCHEMA, Spread, spread
from train_step import compare

from minigan.system.atomic_files import replacing, write_text
from minigan.system.console import one_line, say
from minigan.system.errors import UserError

Record = dict[str, Any]

SECTIONS = ("train_step", "conv_kernels", "inference", "scaling", "side_by_side", "data_pipeline", "import_time")
"""Kinds of measurement that have a section."""

ARTICLE = {"batch_size": 64, "width": 64, "image_size": 64}
MAX_IMPORT = 0.15
MAX_SIDE_BY_SIDE = 1.15
MAX_SHARE = 0.03
"""The aims: seconds of `import minigan` over NumPy's, and the data path's share of a step."""

KERNEL_TITLES = {"im2col": "im2col", "chunked": "chunked im2col", "winograd": "Winograd", "torch": "PyTorch"}
MARKS = {"im2col": ("v", "white"), "chunked": ("o", "white"), "winograd": ("s", "black"), "torch": ("^", "0.6")}
"""Marker and filling of each kernel in the plot, told apart in black and white too."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0], allow_abbrev=False)
    parser.add_argument("--results", type=Path, default=records.RESULTS, help="folder of the raw numbers")
    parser.add_argument("--out", type=Path, help="file to write (default RESULTS.md, beside that folder)")
    arguments = parser.parse_args(argv)
    write(arguments.results, arguments.out or arguments.results.parent / "RESULTS.md")
    return 0


def write(results: Path, out: Path) -> None:
    """Write the report and its plots.

    Parameters
    ----------
    results : Path
        Folder of JSON files; the plots go there too.
    out : Path
        Markdown file to write or replace.

    Raises
    ------
    UserError
        If there is nothing to report.
    """
    found = read(results)
    if not found:
        raise UserError(f"--results: no raw numbers of a benchmark in {results}; make bench measures them")
    write_text(out, "\n".join(_Report(found, results, out).lines))
    say(f"written: {one_line(out)}")


def read(results: Path) -> list[Record]:
    """All records of the present schema, the oldest first."""
    found = []
    for path in sorted(results.glob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"--results: {path} is not JSON ({error})") from None
        if isinstance(record, dict) and record.get("schema") == SCHEMA:  # or of an older program, kept as history
            found.append({**record, "file": path})
    return sorted(found, key=lambda record: record["when"])


def newest_of_each(found: Iterable[Record]) -> dict[tuple[Any, ...], Record]:
    """The newest record of each kind.

    Returns
    -------
    dict
        By (benchmark,), or for training steps (benchmark, backend, batch size, width, image size).
    """
    newest: dict[tuple[Any, ...], Record] = {}
    for record in found:
        key: tuple[Any, ...] = (record["benchmark"],)
        if key == ("train_step",):
            settings = record["settings"]
            key = (*key, settings["backend"], *(settings[name] for name in ARTICLE))
        newest[key] = record
    return newest


def machine_of(record: Record) -> tuple[str, int]:
    """The name of a machine here: the processor, and how many of its cores."""
    return record["machine"]["cpu"], record["machine"]["cores"]


def main_machine(found: Sequence[Record]) -> tuple[str, int]:
    """The machine on which most kinds of measurement were made; of several, the one that was last at work."""

    def rank(machine: tuple[str, int]) -> tuple[int, str]:
        own = [record for record in found if machine_of(record) == machine and not on_gpu(record)]
        kinds = {record["benchmark"] for record in own} & set(SECTIONS)
        return len(kinds), max((record["when"] for record in own), default="")

    return max(map(machine_of, found), key=rank)


def on_gpu(record: Record) -> bool:
    """Whether a GPU was measured."""
    return bool(record.get("settings", {}).get("backend") == "cupy")


class _Report:
    """The text, section by section."""

    def __init__(self, found: Sequence[Record], results: Path, out: Path) -> None:
        self.found, self.results, self.out = found, results, out
        main = main_machine(found)
        self.newest = newest = newest_of_each(r for r in found if machine_of(r) == main or on_gpu(r))
        self.lines: list[str] = []
        self.say(
            "# Benchmark results",
            "*Generated by [results_page.py](results_page.py) from the raw numbers in [results](results); do not edit. "
            "`make bench` measures and writes it anew.*",
        )
        if any(record["quick"] for record in newest.values()):
            self.say(
                "**Some of these come from `--quick`, which only shows that the programs run: they mean nothing.**"
            )
        self.say(
            "Programs are measured side by side: each in a process of its own, in turn, every turn after one untimed "
            "repetition. Ratios are those of neighbouring turns. Numbers in brackets are quartiles."
        )
        self.machine()
        self.train_step()
        self.conv_kernels()
        self.inference()
        self.scaling()
        self.side_by_side()
        self.data_pipeline()
        self.import_time()
        self.other_machines()
        self.gpu()

    def peak(self, record: Record) -> float | None:
        """GFLOP/s of the matrix product on all cores of the machine of a record, if it was measured there."""
        kernels = self.newest.get(("conv_kernels",))
        same = kernels is not None and machine_of(kernels) == machine_of(record)
        return kernels.get("sgemm_gflops_all_cores", kernels["sgemm_gflops"]) if same and not on_gpu(record) else None

    def say(self, *paragraphs: str) -> None:
        for paragraph in paragraphs:
            self.lines += [paragraph, ""]

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table whose first column is text and whose others are numbers."""
        self.lines.append("| " + " | ".join(head) + " |")
        self.lines.append("|" + "|".join([" --- ", *[" ---: "] * (len(head) - 1)]) + "|")
        self.lines += ["| " + " | ".join(row) + " |" for row in rows]
        self.lines.append("")

    def source(self, record: Record) -> None:
        """The line under a section that says where its numbers come from."""
        versions = [f"minigan {record['minigan']['version']} ({record['minigan']['commit'] or 'no commit'})"]
        for name in ("numpy", "blas", "cupy", "torch", "keras", "tensorflow", "cuda", "device"):
            found = {str(p[name]) for p in record["programs"].values() if p.get(name)}
            versions += [v if name in ("blas", "device") else f"{name} {v}" for v in sorted(found)]
        about = record["machine"]
        path = record["file"].relative_to(self.out.parent) if self.beside else record["file"].name
        self.say(
            f"*{record['when']}, {about['cpu']}, {about['cores']} cores; {', '.join(versions)}; "
            f"`{record['command']}`; raw numbers: [{record['file'].name}]({Path(path).as_posix()}).*"
        )
        for name, reason in record["not_measured"].items():
            self.say(f"Not measured: {name} ({one_line(reason)}).")

    @property
    def beside(self) -> bool:
        return self.results.is_relative_to(self.out.parent)

    def picture(self, name: str, alternative: str) -> None:
        path = self.results / name
        shown = path.relative_to(self.out.parent).as_posix() if self.beside else name
        self.say(f"![{alternative}]({shown})")

    # ---- sections ----

    def machine(self) -> None:
        """The machine of the newest record; a section measured elsewhere says so in its own line."""
        newest = max(self.newest.values(), key=lambda record: record["when"])
        about, peak = newest["machine"], self.peak(newest)
        facts = {
            "processor": about["cpu"],
            "cores": str(about["cores"]),
            "instruction sets": ", ".join(about.get("flags", [])),
            "caches": ", ".join(f"{level} {size}" for level, size in about.get("caches", {}).items()),
            "memory": f"{about['memory_bytes'] / 2**30:.0f} GiB" if "memory_bytes" in about else "",
            "its own float32 matrix product": f"{peak:.0f} GFLOP/s (sgemm)" if peak else "",
            "system": about["system"],
            "Python": about["python"],
        }
        self.say("## Machine")
        self.lines += ["| | |", "| --- | --- |", *(f"| {name} | {told} |" for name, told in facts.items() if told), ""]

    def train_step(self) -> None:
        steps = {key[2:]: r for key, r in self.newest.items() if key[:2] == ("train_step", "numpy")}
        if not steps:
            return
        self.say("## Training step")
        article = steps.pop(tuple(ARTICLE.values()), None)
        if article is not None:
            self.step_table(article, "The article's configuration: batch 64, width 64, 64x64 pixels, float32.")
            self.plot_steps(article)
        if not steps:
            return
        self.say("Other sizes, beside whichever of the others is fastest there:")
        rows = []
        for (batch_size, width, image_size), record in sorted(steps.items()):
            own = median_seconds(record, "minigan")
            row = [f"batch {batch_size}, width {width}, {image_size}x{image_size}", f"{own:.3f} s"]
            best = fastest(record)
            if best is None:
                row += ["not measured", "", "", megabytes(record, "minigan"), ""]
            else:
                ratio = compare(record["turns"])[best]
                title = record["programs"][best]["title"]
                row += [title, f"{median_seconds(record, best):.3f} s", told(ratio)]
                row += [megabytes(record, "minigan"), megabytes(record, best)]
            rows.append(row)
        head = ("size", "minigan", "the fastest other", "takes", "minigan / it", "memory, minigan", "memory, it")
        self.table(head, rows)
        for _, record in sorted(steps.items()):
            self.source(record)

    def step_table(self, record: Record, what: str) -> None:
        """All programs of one record."""
        ratios, best = compare(record["turns"]), fastest(record)
        pairs = len(record["turns"]["minigan"])
        if best is not None:
            title = record["programs"][best]["title"]
            what += (
                f" minigan takes **{ratios[best].median:.2f} times** as long as the fastest of the others, {title} "
                f"(median of {pairs} pairs)."
            )
        self.say(what)
        rows, peak = [], self.peak(record)
        for name, turns in record["turns"].items():
            seconds = spread([turn["seconds"] for turn in turns])
            system = [turn["system_seconds"] for turn in turns]
            rate = record["gflop"] / seconds.median
            rows.append(
                [
                    record["programs"][name]["title"],
                    f"{seconds.median:.4g} s ({seconds.low:.4g} to {seconds.high:.4g})",
                    told(ratios[name]) if name in ratios else "",
                    f"{rate:.0f}",
                    f"{rate / peak:.0%}" if peak else "",
                    "" if None in system else f"{spread(system).median:.3f} s",
                    megabytes(record, name),
                ]
            )
        head = ("program", "per step", "minigan / it", "GFLOP/s", "of sgemm", "in the system", "peak memory")
        self.table(head, rows)
        self.say(
            f"GFLOP/s count the {record['gflop']:.0f} GFLOP of a step's convolutions computed directly; *of sgemm* "
            "sets them against the machine's own matrix product, which a kernel that saves multiplications may "
            "exceed. *In the system* is CPU time, mostly for clearing fresh memory. *Peak memory* is the whole "
            "process's while stepping, the library's code included."
        )
        self.source(record)

    def conv_kernels(self) -> None:
        record = self.newest.get(("conv_kernels",))
        if record is None:
            return
        threads = record["settings"]["threads"]
        cores = "all cores" if threads is None else f"{threads} core{'s' if threads > 1 else ''}"
        self.say(
            "## Convolution kernels",
            f"Every convolution of both networks, batch {record['settings']['batch_size']}, float32, on {cores}. Each "
            "cell: milliseconds; GFLOP/s of the direct convolution; share of the machine's own matrix product there "
            f"({record['sgemm_gflops']:.0f} GFLOP/s); the fastest in bold. All results were compared with im2col in "
            f"float64, and that with the loops, before timing (allowed error {record['tolerance']:.0e} of the largest "
            "value). The loops, the definition, are timed for one image only.",
        )
        self.plot_kernels(record)
        names = list(dict.fromkeys(name for row in record["rows"] for name in row["kernels"]))
        for direction in PASSES:
            self.say(f"### {direction.capitalize()}")
            rows = []
            for row in (r for r in record["rows"] if r["pass"] == direction):
                cells = [f"**{row['layer']}** {row['geometry']}", f"{row['gflop']:.2f}", megabyte_text(row["bytes"])]
                cells.append(f"{row['loops']['seconds'] * 1e3:.3g} ms")
                rows.append(cells + kernel_cells(row, names, record["sgemm_gflops"]))
            titles = [KERNEL_TITLES.get(name, name) for name in names]
            self.table(("layer", "GFLOP", "moved", "loops, 1 image", *titles), rows)
        self.say(
            "*Moved* is what any kernel must move: x, w and y, two read and one written, 4 bytes a value. What im2col "
            "and Winograd make on the way comes on top, written once and read once:"
        )
        scratch = {}
        for row in record["rows"]:
            made = [row["kernels"].get(name, {}).get("scratch_bytes") for name in ("im2col", "winograd")]
            scratch[row["layer"]] = [megabyte_text(b) if b is not None else "" for b in made]
        self.table(
            ("layer", "im2col: patches", "Winograd: tiles and products"),
            ([layer, *cells] for layer, cells in scratch.items()),
        )
        self.source(record)

    def inference(self) -> None:
        record = self.newest.get(("inference",))
        if record is None:
            return
        self.say("## Making images", "The generator in inference mode; each program in batches of its own best size.")
        rows = []
        for row in record["rows"]:
            ratios = compare(row["turns"])
            images = f"{row['images']:,} image{'s' if row['images'] > 1 else ''}"
            for name, turns in row["turns"].items():
                seconds = spread([turn["seconds"] * 1e3 for turn in turns])
                rows.append(
                    [
                        f"{images}, {record['programs'][name]['title']}",
                        f"{seconds.median:.4g} ms ({seconds.low:.4g} to {seconds.high:.4g})",
                        told(ratios[name]) if name in ratios else "",
                        str(row["batch_size"][name]),
                        megabyte_text(row["memory"][name]["peak"]),
                    ]
                )
        self.table(("", "time", "minigan / it", "in batches of", "peak memory"), rows)
        self.source(record)

    def scaling(self) -> None:
        record = self.newest.get(("scaling",))
        if record is None:
            return
        self.say("## Batch sizes and cores")
        names = list(record["batches"][0]["seconds"])
        titles = [record["programs"][name]["title"] for name in names]
        rows = []
        for row in record["batches"]:
            per_image = [spread(row["seconds"][name]).median / row["batch_size"] * 1e3 for name in names]
            rows.append([str(row["batch_size"]), *(f"{ms:.2f} ms" for ms in per_image)])
            rows[-1] += [megabyte_text(row["peak_bytes"][name]) for name in names]
        self.say("A training step's cost per image, and the most memory that the process held:")
        self.table(("batch", *titles, *(f"memory, {title}" for title in titles)), rows)
        how = "ranks" if "cores" in record else "threads and worker processes"
        self.say(
            f"A step of batch {record['settings']['batch_size']} by number of cores (minigan uses them with {how}, the "
            "others with threads):"
        )
        counts = record.get("cores") or [{**row, "cores": row["threads"]} for row in record["threads"]]
        if any(MINIGAN_MPI.name in row["seconds"] for row in counts):
            names, titles = [*names, MINIGAN_MPI.name], [*titles, MINIGAN_MPI.title]
        rows = []
        for row in counts:
            rows.append([str(row["cores"])])
            rows[-1] += [f"{spread(row['seconds'][n]).median:.3f} s" if n in row["seconds"] else "" for n in names]
        self.table(("cores", *titles), rows)
        self.source(record)

    def data_pipeline(self) -> None:
        record = self.newest.get(("data_pipeline",))
        if record is None:
            return
        batch, step = record["seconds"]["batch"], record["seconds"]["step"]
        batch_size = record["settings"]["batch_size"]
        rate, share = batch_size / spread(batch).median, spread(records.ratios(batch, step)).median
        self.say(
            "## Data path",
            f"{record['data']['images']:,} images, {record['data']['source']}: **{rate:,.0f} images per second**, with "
            f"noise and labels. That is **{share:.2%}** of a training step of batch {batch_size} "
            f"({verdict(share, MAX_SHARE)} the {MAX_SHARE:.0%} allowed), all of it counted, though in training a "
            "second thread does it meanwhile.",
        )
        self.source(record)

    def side_by_side(self) -> None:
        record = self.newest.get(("side_by_side",))
        if record is None:
            return
        seconds, settings = record["seconds"], record["settings"]
        ratio = spread(records.ratios(seconds["many"], seconds["one"])).median
        self.say(
            "## Two trainings side by side",
            f"Two trainings at the same time, {settings['steps']} steps of batch {settings['batch_size']} each: with "
            f"{settings['ranks']} ranks each they take {spread(seconds['many']).median:.1f} s, with one rank each "
            f"{spread(seconds['one']).median:.1f} s, **{ratio:.2f} times** as long "
            f"({verdict(ratio, MAX_SIDE_BY_SIDE)} the {MAX_SIDE_BY_SIDE} times allowed).",
        )
        self.source(record)

    def import_time(self) -> None:
        record = self.newest.get(("import_time",))
        if record is None:
            return
        numpy, own = (spread(record["seconds"][name]).median for name in ("numpy", "minigan"))
        self.say(
            "## Import",
            f"`import minigan` takes **{own:.3f} s** after `import numpy`, which takes {numpy:.3f} s "
            f"({verdict(own, MAX_IMPORT)} the {MAX_IMPORT} s allowed; median of {len(record['seconds']['numpy'])} "
            "fresh processes).",
        )
        self.source(record)

    def other_machines(self) -> None:
        """Training steps and images as measured last on each machine, without those that a section has shown."""
        rows = []
        for machine in dict.fromkeys(map(machine_of, self.found)):
            newest = newest_of_each(record for record in self.found if machine_of(record) == machine)
            for key, record in sorted(newest.items()):
                if record is self.newest.get(key):
                    continue
                if key[:2] == ("train_step", "numpy"):
                    batch_size, width, image_size = key[2:]
                    what = f"step, batch {batch_size}, width {width}, {image_size}x{image_size}"
                    rows.append(elsewhere(what, record))
                elif key == ("inference",):
                    for row in record["rows"]:
                        rows.append(elsewhere(f"making images: {row['images']:,}", {**record, "turns": row["turns"]}))
        if rows:
            self.say("## Other machines", "What was measured last on each, beside the fastest of the others there:")
            self.table(("machine", "what", "minigan", "the fastest other", "takes", "minigan / it", "measured"), rows)

    def gpu(self) -> None:
        self.say("## GPU")
        steps = {key[2:]: r for key, r in self.newest.items() if key[:2] == ("train_step", "cupy")}
        if not steps:
            self.say("**The GPU path has not been timed.** `python benchmarks/train_step.py --backend cupy` does it.")
            return
        for (batch_size, width, image_size), record in sorted(steps.items()):
            card = record["programs"]["minigan"]["device"]
            self.step_table(record, f"{card}, batch {batch_size}, width {width}, {image_size}x{image_size} pixels.")

    # ---- plots ----

    def plot_steps(self, record: Record) -> None:
        """Seconds per step as bars; beside them the cost per image by batch size, where that was measured."""
        from matplotlib.figure import Figure

        scaling = self.newest.get(("scaling",))
        figure = Figure(figsize=(10, 3.2), layout="constrained")
        axes = figure.subplots(1, 2 if scaling else 1, squeeze=False)[0]
        names = list(record["turns"])
        seconds = [spread([turn["seconds"] for turn in record["turns"][name]]) for name in names]
        axes[0].barh(
            [record["programs"][name]["title"] for name in names],
            [s.median for s in seconds],
            xerr=[[s.median - s.low for s in seconds], [s.high - s.median for s in seconds]],
            color=["0.25" if name == "minigan" else "0.75" for name in names],
            capsize=4,
        )
        axes[0].invert_yaxis()
        axes[0].set(xlabel="seconds per step, batch 64", title="Training step (median, quartiles)")
        if scaling:
            styles = {"minigan": ("o-", "black"), "torch": ("^--", "0.55")}
            batches = [row["batch_size"] for row in scaling["batches"]]
            for name in scaling["batches"][0]["seconds"]:
                cost = [spread(row["seconds"][name]).median / row["batch_size"] * 1e3 for row in scaling["batches"]]
                style, colour = styles[name]
                axes[1].plot(batches, cost, style, color=colour, label=scaling["programs"][name]["title"])
            axes[1].set_xscale("log", base=2)
            axes[1].set_xticks(batches, [str(b) for b in batches])
            axes[1].set_ylim(bottom=0)
            axes[1].set(xlabel="batch size", ylabel="ms per image", title="Cost of an image")
            axes[1].legend()
        self.save(figure, "train_step.png", "Seconds per training step of each program")

    def plot_kernels(self, record: Record) -> None:
        """Rate of every kernel on every layer, one panel for each pass."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 4), layout="constrained")
        panels = figure.subplots(1, len(PASSES), sharey=True)
        layers = list(dict.fromkeys(row["layer"] for row in record["rows"]))
        for axes, direction in zip(panels, PASSES, strict=True):
            for name, (marker, filling) in MARKS.items():
                points = [
                    (row["gflop"] / spread(row["kernels"][name]["seconds"]).median, layers.index(row["layer"]))
                    for row in record["rows"]
                    if row["pass"] == direction and "seconds" in row["kernels"].get(name, {})
                ]
                if points:
                    style = {"marker": marker, "facecolor": filling, "edgecolor": "black", "s": 45, "zorder": 3}
                    axes.scatter(*zip(*points, strict=True), label=KERNEL_TITLES[name], **style)
            axes.axvline(record["sgemm_gflops"], color="black", linestyle=":", label="sgemm")
            axes.set(title=direction.capitalize(), xlabel="GFLOP/s (direct)")
            axes.set_xlim(left=0)
            axes.grid(axis="y", color="0.9")
        panels[0].set_yticks(range(len(layers)), layers)
        panels[0].invert_yaxis()
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(MARKS) + 1)
        self.save(figure, "conv_kernels.png", "Rate of each convolution kernel on each layer")

    def save(self, figure: Any, name: str, alternative: str) -> None:
        with replacing(self.results / name) as path:
            figure.savefig(path, format="png", dpi=110)
        self.picture(name, alternative)


def elsewhere(what: str, record: Record) -> list[str]:
    """One measurement on another machine, which may be of an older minigan."""
    cpu, cores = machine_of(record)
    when = f"{record['when'][:10]}, {record['minigan']['commit'] or 'no commit'}"
    row = [f"{cpu}, {cores} cores", what, f"{median_seconds(record, 'minigan'):.3g} s"]
    best = fastest(record)
    if best is None:
        return [*row, "not measured", "", "", when]
    seconds, title = median_seconds(record, best), record["programs"][best]["title"]
    return [*row, title, f"{seconds:.3g} s", told(compare(record["turns"])[best]), when]


def kernel_cells(row: Record, names: Sequence[str], peak: float) -> list[str]:
    """One pass of one layer, by every kernel."""
    times = {name: spread(k["seconds"]).median for name, k in row["kernels"].items() if "seconds" in k}
    cells = []
    for name in names:
        if name not in times:
            cells.append("-")
            continue
        rate = row["gflop"] / times[name]
        told = f"{times[name] * 1e3:.2f} ms; {rate:.0f}; {rate / peak:.0%}"
        cells.append(f"**{told}**" if times[name] == min(times.values()) else told)
    return cells


def median_seconds(record: Record, name: str) -> float:
    """Median seconds per step of one program."""
    return spread([turn["seconds"] for turn in record["turns"][name]]).median


def fastest(record: Record) -> str | None:
    """Which of the others takes the least time; None if there is none."""
    others = [name for name in record["turns"] if not name.startswith("minigan")]
    return min(others, key=lambda name: median_seconds(record, name), default=None)


def told(ratio: Spread) -> str:
    """A ratio for a table."""
    return f"**{ratio.median:.2f}** ({ratio.low:.2f} to {ratio.high:.2f})"


def megabytes(record: Record, name: str) -> str:
    """A program's peak memory."""
    return megabyte_text(record["memory"][name]["peak"])


def megabyte_text(size: int | None) -> str:
    """Bytes for a table."""
    return "" if size is None else f"{size / 1e6:,.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB"


def verdict(value: float, limit: float) -> str:
    """On which side of a limit a value is."""
    return "within" if value <= limit else "**above**"


if __name__ == "__main__":
    sys.exit(records.run(main))
