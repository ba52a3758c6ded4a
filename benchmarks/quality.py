"""Does minigan learn as well as PyTorch? Both train on the very same batches, and their faces are measured.

For each seed both programs begin with the same networks and weights. Every step's images, noise and labels are drawn
once and handed to both, a block of steps at a time, in turn: A B, B A, ... PyTorch is told to do as Keras 2.2.4 did
(`measured_torch`): moving statistics, Adam's epsilon, the limits of the loss. So the losses of the first steps have to
agree; later the two runs drift apart, as two runs with other rounding do. At a quarter, at half and at the end of the
steps, both draw faces from the same noise, and `minigan.evaluation.metrics` measures their distance to real images.
Only the steps are timed.

What a seed gave is kept in --out and not done again, so that the script can be stopped and called again; a seed that
was not finished begins anew. With the default sizes a seed takes as long as 2,000 training steps.

    python benchmarks/quality.py --data real-faces --torch-python OTHER/bin/python --out quality-64
    python benchmarks/quality.py --image-size 32 --width 8 --batch-size 8 --steps 20 --faces 4000 --samples 64 --out try
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import records
from measured_programs import MINIGAN, PAUSE, TORCH, Worker, Workers
from records import spread
from tqdm import tqdm
from train_step import add_size

from minigan.data.image_set import ImageSet
from minigan.data.open import open_images
from minigan.evaluation.metrics import Yardstick, check_count
from minigan.gan.models import NOISE_SIZE
from minigan.gan.step import build_gan, draw_inputs
from minigan.nn.rng import stream
from minigan.pages.plots import plain_matplotlib, to_uint8
from minigan.runs.training_images import image_facts
from minigan.system.atomic_files import replacing, write_text
from minigan.system.console import one_line, say
from minigan.system.errors import RunError, UserError
from minigan.system.wording import plural

NAMES = (MINIGAN.name, TORCH.name)
TITLES = {MINIGAN.name: "minigan", TORCH.name: "PyTorch"}
BLOCK = 10
"""Steps of a turn."""

COMPARED, TOLERANCE = 3, 2e-3
"""In so many first steps, the losses of both must agree, up to this relative difference. Adam turns a gradient near
zero into a step of full size whichever its sign, so rounding shows soon. In the article's configuration float32 is off
by up to 6e-4 in the third step and 6e-3 in the fourth, in minigan, in its plain version, and in PyTorch."""

EQUIVALENT = 0.10
"""Two programs are equivalent if the interval of their difference lies within this share of PyTorch's distance."""

LEVEL = "90 %"
T_95 = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833)
"""95 % quantiles of Student's t with 1, 2, ... degrees of freedom: between minus and plus these lie 90 %."""

MOST_SEEDS = len(T_95) + 1


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.quick:
            arguments.image_size, arguments.width, arguments.batch_size = 32, 4, 8
            arguments.steps, arguments.seeds, arguments.samples, arguments.faces = 8, [1, 2], 64, 200
            arguments.out = arguments.out or Path(temporary) / "quality"
        arguments.out = arguments.out or Path("quality")
        if not 1 <= len(set(arguments.seeds)) == len(arguments.seeds) <= MOST_SEEDS:
            raise UserError(f"--seeds: must be 1 to {MOST_SEEDS} different numbers, got {arguments.seeds}")
        arguments.out.mkdir(parents=True, exist_ok=True)
        record = perform(arguments)
        say(told(record))
        write_text(arguments.out / "quality.md", page(record))
        draw_figure(record, arguments.out / "quality.png")
        say(f"  written: {', '.join(one_line(arguments.out / f'quality.{kind}') for kind in ('json', 'md', 'png'))}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = records.parser(__doc__)
    parser.add_argument("--data", type=Path, help="folder of images (default: drawn faces)")
    parser.add_argument("--faces", type=records.at_least(1), default=20_000, help="drawn faces (default 20,000)")
    parser.add_argument("--out", type=Path, help="folder for the record, which grows (default: quality)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="default: 1 2 3")
    parser.add_argument("--steps", type=records.at_least(4), default=1000, help="of each seed (default 1000)")
    parser.add_argument("--samples", type=records.at_least(64), default=2000, help="faces measured (default 2000)")
    parser.add_argument("--torch-python", default=sys.executable, metavar="PYTHON", help="one that has torch")
    add_size(parser)
    records.add_threads(parser)
    return parser


# ---- Training ----


def perform(arguments: argparse.Namespace) -> dict[str, Any]:
    """The record, with all seeds that were asked for."""
    count = None if arguments.data else arguments.faces
    images = open_images(arguments.data, image_size=arguments.image_size, count=count)
    check_count(images)
    size = {name: getattr(arguments, name) for name in ("batch_size", "width", "image_size")}
    yardstick = Yardstick(images, samples=arguments.samples, seed=0)
    settings = {
        **size,
        "steps": arguments.steps,
        "samples": yardstick.samples,
        "threads": arguments.threads,
        "images": {**image_facts(images), "source": Path(images.source).name},
    }
    path = arguments.out / "quality.json"
    record = open_record(path, settings, arguments.seeds)
    missing = [seed for seed in arguments.seeds if str(seed) not in record["seeds"]]
    if not missing:
        return record
    with Workers() as programs, tqdm(total=len(missing) * arguments.steps, unit=" steps", desc="Both train") as bar:
        programs.start(MINIGAN, threads=arguments.threads)
        programs.start_peers([TORCH], {"torch": arguments.torch_python}, threads=arguments.threads)
        if programs.not_measured:
            raise UserError(f"PyTorch cannot be measured: {programs.not_measured[TORCH.name]}")
        record["programs"] = {worker.name: worker.about for worker in programs.workers}
        for seed in missing:
            record["seeds"][str(seed)] = one_seed(seed, images, yardstick, programs.workers, size, arguments.steps, bar)
            write_text(path, json.dumps(record, indent=1) + "\n")
    return record


def open_record(path: Path, settings: dict[str, Any], seeds: Sequence[int]) -> dict[str, Any]:
    """What has been done already; an empty record if nothing has. There must be room for the seeds."""
    if not path.exists():
        return {
            "benchmark": "quality",
            "command": records.command(),
            "machine": records.machine(),
            "settings": settings,
            "programs": {},
            "seeds": {},
        }
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = record["settings"]
        done = set(record["seeds"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"--out: {path} is not a record of this script ({error!r})") from None
    for name, value in settings.items():
        if known.get(name) != value:
            raise UserError(f"--out: {path} was made with {name} {known.get(name)}; must be the same, got {value}")
    if len(done | {str(seed) for seed in seeds}) > MOST_SEEDS:
        raise UserError(f"--seeds: {path} has {len(done)} seeds; must be {MOST_SEEDS} at most, got {len(seeds)} more")
    return record


def one_seed(
    seed: int,
    images: ImageSet,
    yardstick: Yardstick,
    workers: Sequence[Worker],
    size: dict[str, int],
    steps: int,
    bar: Any,
) -> dict[str, Any]:
    """Train both, a block in turn, and measure them on the way.

    Returns
    -------
    dict
        "swd": by program, the distances at `checkpoints`; "real": the same of real images; "seconds": by program, of
        the steps of each block; "differences": the largest relative difference of the losses in each of the first
        steps; "losses": by program, the medians over the last quarter; "commit": of minigan.
    """
    stops = checkpoints(steps)
    losses: dict[str, list[list[float]]] = {worker.name: [] for worker in workers}
    row: dict[str, Any] = {kind: {worker.name: [] for worker in workers} for kind in ("swd", "seconds")}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        first = weights(seed, size)
        np.savez(place / "start.npz", **first, **inputs_of(images, seed, 0, size["batch_size"]))
        noise = stream(0, "metrics", 1).standard_normal((yardstick.samples, 1, 1, NOISE_SIZE), np.float32)
        np.save(place / "noise.npy", noise)
        for worker in workers:
            worker.ask("begin_run", folder=folder, **size)
        for turn, (begin, end) in enumerate(blocks(steps)):
            drawn = [inputs_of(images, seed, step, size["batch_size"]) for step in range(begin, end)]
            np.savez(place / "block.npz", **{name: np.stack([d[name] for d in drawn]) for name in drawn[0]})
            for worker in workers if turn % 2 == 0 else reversed(workers):
                time.sleep(PAUSE)
                answer = worker.ask("learn", folder=folder)
                losses[worker.name] += answer["losses"]
                row["seconds"][worker.name].append(answer["seconds"] / (end - begin))
            if begin < COMPARED:
                row["differences"] = compare(losses, COMPARED)
            if end in stops:
                for worker in workers:
                    worker.ask("draw", folder=folder)
                    measured = yardstick.compare(faces_in(place, worker.name))["swd"]
                    row["swd"][worker.name].append(float(f"{measured.value:.6g}"))
                    row["real"] = float(f"{measured.real:.6g}")
            bar.update(end - begin)
    row["seconds"] = {name: [round(s, 5) for s in times] for name, times in row["seconds"].items()}
    last = max(1, steps // 4)
    row["commit"] = records.commit()
    row["losses"] = {name: np.median(rows[-last:], axis=0).round(4).tolist() for name, rows in losses.items()}
    return row


def checkpoints(steps: int) -> tuple[int, ...]:
    """Finished steps at which the faces are measured.

    >>> checkpoints(1000)
    (250, 500, 1000)
    """
    return steps // 4, steps // 2, steps


def blocks(steps: int) -> list[tuple[int, int]]:
    """First and last step of each turn; a turn ends where the faces are measured.

    >>> blocks(48)
    [(0, 10), (10, 12), (12, 22), (22, 24), (24, 34), (34, 44), (44, 48)]
    """
    edges = [0, *checkpoints(steps)]
    return [
        (begin, min(begin + BLOCK, last))
        for start, last in itertools.pairwise(edges)
        for begin in range(start, last, BLOCK)
    ]


def weights(seed: int, size: dict[str, int]) -> dict[str, np.ndarray]:
    """The first weights of a seed, as both programs take them."""
    gan = build_gan(image_size=size["image_size"], width=size["width"], seed=seed)
    networks = {"D": gan.discriminator, "G": gan.generator}
    return {f"{prefix}.{name}": p for prefix, network in networks.items() for name, p in network.params().items()}


def inputs_of(images: ImageSet, seed: int, step: int, batch_size: int) -> dict[str, np.ndarray]:
    """Images, noise and labels of a step: those of `python -m minigan.train` with this seed."""
    return draw_inputs(images.batch(seed, step, batch_size), seed, step)._asdict()


def compare(losses: dict[str, list[list[float]]], first: int) -> list[float]:
    """The largest relative difference of the three losses in each of the first steps.

    Raises
    ------
    RunError
        If one is larger than `TOLERANCE`: then the two do not compute the same.
    """
    one, other = (np.array(losses[name][:first]) for name in losses)
    differences = np.abs(one / other - 1).max(axis=1)
    if not (differences <= TOLERANCE).all():
        step = int(np.argmax(~(differences <= TOLERANCE)))
        raise RunError(
            f"minigan and PyTorch do not compute the same: losses of step {step + 1} are {one[step].tolist()} and "
            f"{other[step].tolist()} (allowed relative difference {TOLERANCE:.0e})"
        )
    return [float(f"{difference:.2e}") for difference in differences]


def faces_in(folder: Path, name: str) -> np.ndarray:
    """What a program has drawn, as images of whole numbers."""
    faces = np.load(folder / "faces.npy", allow_pickle=False)
    if not np.isfinite(faces).all():
        raise RunError(f"{TITLES[name]}'s generator draws NaN")
    return to_uint8(faces)


# ---- The verdict ----


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """Mean of paired differences, and how far its 90 % interval reaches to both sides.

    Parameters
    ----------
    differences : sequence of float
        One for each seed, at least two.

    Returns
    -------
    mean, reach : float

    Notes
    -----
    The differences are taken for draws from one normal distribution. Then the mean lies within t * s / sqrt(n) of the
    true one in 90 % of all cases, where s is the standard deviation (n - 1 in the denominator), and t the 95 % quantile
    of Student's distribution with n - 1 degrees of freedom.

    Examples
    --------
    >>> mean, reach = interval([1.0, 2.0, 3.0])
    >>> round(mean, 3), round(reach, 3)
    (2.0, 1.686)
    """
    n = len(differences)
    return statistics.mean(differences), T_95[n - 2] * statistics.stdev(differences) / math.sqrt(n)


def comparison(record: dict[str, Any]) -> list[dict[str, Any]]:
    """For each checkpoint: both means, the difference and its interval, and whether that lies within the bounds."""
    rows = []
    for k, step in enumerate(checkpoints(record["settings"]["steps"])):
        own, other = ([seed["swd"][name][k] for seed in record["seeds"].values()] for name in NAMES)
        row = {"step": step, **{name: statistics.mean(v) for name, v in zip(NAMES, (own, other), strict=True)}}
        differences = [a - b for a, b in zip(own, other, strict=True)]
        row |= {"differences": differences, "bound": EQUIVALENT * row[TORCH.name]}
        if len(differences) > 1:
            mean, reach = interval(differences)
            row |= {"low": mean - reach, "high": mean + reach}
            row["within"] = -row["bound"] <= row["low"] and row["high"] <= row["bound"]
        rows.append(row)
    return rows


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """What the comparison shows, in one sentence or two."""
    if any("within" not in row for row in rows):
        return "No verdict: that takes two seeds or more."
    if all(row["within"] for row in rows):
        return f"Equivalent: at each step, the {LEVEL} interval lies within {100 * EQUIVALENT:.0f} % of PyTorch's mean."
    seen = []
    for row in rows:
        if row["within"]:
            words = "within the bounds"
        elif row["low"] > 0:
            words = f"minigan's distance is larger, by {row['low']:.1f} to {row['high']:.1f}"
        elif row["high"] < 0:
            words = f"PyTorch's distance is larger, by {-row['high']:.1f} to {-row['low']:.1f}"
        else:
            words = f"no difference is seen, but one of {max(-row['low'], row['high']):.1f} is not excluded"
        seen.append(f"at step {row['step']:,} {words}")
    return f"Not shown to be equivalent: {'; '.join(seen)}."


def seconds_per_step(record: dict[str, Any]) -> tuple[dict[str, list[float]], list[float]]:
    """Seconds per step of every turn by program, and minigan's divided by PyTorch's, of neighbouring turns."""
    seconds = {name: [s for seed in record["seeds"].values() for s in seed["seconds"][name]] for name in NAMES}
    return seconds, records.ratios(*seconds.values())


# ---- The page ----


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The comparison as a Markdown table."""
    lines = [
        f"| step | minigan | PyTorch | difference of each seed | {LEVEL} interval of the mean | bounds | within |",
        "|---" * 7 + "|",
    ]
    for row in rows:
        each = ", ".join(f"{d:+.1f}" for d in row["differences"])
        has = "within" in row
        interval_words = f"{row['low']:+.1f} to {row['high']:+.1f}" if has else "none"
        within = ("yes" if row["within"] else "no") if has else ""
        lines.append(
            f"| {row['step']:,} | {row[MINIGAN.name]:.1f} | {row[TORCH.name]:.1f} | {each} | {interval_words} | "
            f"{-row['bound']:+.1f} to {row['bound']:+.1f} | {within} |"
        )
    return "\n".join(lines)


def told(record: dict[str, Any]) -> str:
    """What is printed."""
    rows = comparison(record)
    return f"{table(rows)}\n{verdict(rows)}\n{pace(record)}"


def pace(record: dict[str, Any]) -> str:
    """Seconds per step, in words."""
    seconds, ratios = seconds_per_step(record)
    each = ", ".join(f"{TITLES[name]} {spread(values).median:.3f}" for name, values in seconds.items())
    ratio = spread(ratios)
    return (
        f"Seconds per step (medians of {len(ratios)} turns of up to {BLOCK} steps): {each}; minigan / PyTorch "
        f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})."
    )


def page(record: dict[str, Any]) -> str:
    """The record as a Markdown page."""
    rows, settings, machine = comparison(record), record["settings"], record["machine"]
    images, seeds = settings["images"], record["seeds"]
    size = f"{settings['image_size']}x{settings['image_size']} pixels, width {settings['width']}"
    real = statistics.mean(seed["real"] for seed in seeds.values())
    versions = ", ".join(
        f"{TITLES[name]} {about.get('torch') or 'on NumPy ' + about['numpy']} with {plural(about['threads'], 'thread')}"
        for name, about in record["programs"].items()
    )
    commits = ", ".join(dict.fromkeys(str(seed["commit"]) for seed in seeds.values()))
    losses = "\n".join(
        f"| {seed} | {' | '.join(', '.join(f'{loss:.3f}' for loss in row['losses'][name]) for name in NAMES)} | "
        f"{row['differences'][0]:.0e}, {row['differences'][-1]:.0e} |"
        for seed, row in seeds.items()
    )
    return f"""# minigan beside PyTorch: does it learn as well?

{verdict(rows)}

Both trained the same networks ({size}) with the article's schedule, from the same first weights, on the very same
batches, noise and labels of {settings["batch_size"]} images, for {settings["steps"]:,} steps with each of the
seeds {", ".join(seeds)}. The images: {images["count"]:,}, {images["source"]}. PyTorch did as Keras 2.2.4 did:
zero-debiased moving statistics, Adam's epsilon, the limits of the loss. Samples were drawn from the same noise, in
inference mode. The numbers are sliced Wasserstein distances of {settings["samples"]:,} samples to real images
(docs/metrics.md says what that is; lower is better; real images score {real:.1f}).

{table(rows)}

The seeds are pairs. The interval is that of Student's t for the mean of {len(seeds)} paired differences. The bounds are
{100 * EQUIVALENT:.0f} % of PyTorch's mean. Two programs are called equivalent if the interval lies within them at every
step of the table.

![Distances over steps and over seconds](quality.png)

*Thin: each seed. Thick: the mean. Seconds are steps times the median of the seconds per step, so that nothing else that
the machine did counts.*

{pace(record)} The programs took turns, and only the steps were timed, no measuring and no drawing.

| seed | minigan: D real, D fake, G | PyTorch: D real, D fake, G | differences of the losses |
|---|---|---|---|
{losses}

The losses are medians of the last quarter of the steps. The last column: the largest relative difference between the
losses of both programs in the first step and in step {len(next(iter(seeds.values()))["differences"])}.

Machine: {machine["cpu"]}, {machine["cores"]} cores, {machine["system"]}, Python {machine["python"]}; {versions};
minigan at commit {commits}. Command: `{record["command"]}`. Raw numbers: [quality.json](quality.json).
"""


def draw_figure(record: dict[str, Any], path: Path) -> None:
    """SWD over steps, and over steps times the median of the seconds per step: each seed thin, the mean thick."""
    with plain_matplotlib():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.8), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        stops = checkpoints(record["settings"]["steps"])
        seeds = list(record["seeds"].values())
        per_step = {name: spread(values).median for name, values in seconds_per_step(record)[0].items()}
        for name, colour, style in ((MINIGAN.name, "#c2410c", "-"), (TORCH.name, "#1d4ed8", "--")):
            for across, seconds in zip(axes, (False, True), strict=True):
                x = np.array(stops) * (per_step[name] if seconds else 1)
                curves = [seed["swd"][name] for seed in seeds]
                for y in curves:
                    across.plot(x, y, style, color=colour, linewidth=0.8, alpha=0.5)
                mean = np.mean(curves, axis=0)
                across.plot(x, mean, style, color=colour, linewidth=2.5, marker="o", label=TITLES[name])
        real = statistics.mean(seed["real"] for seed in seeds)
        for across, label in zip(axes, ("training steps", "seconds of training"), strict=True):
            across.axhline(real, color="0.5", linewidth=1, linestyle=":")
            across.set_xlabel(label)
            across.set_xlim(left=0)
            across.set_ylim(bottom=0)
            across.grid(color="0.92")
            across.spines[["top", "right"]].set_visible(False)
        axes[0].annotate("real images", (0, real), (4, 3), textcoords="offset points", color="0.4", fontsize=9)
        axes[0].set_ylabel("sliced Wasserstein distance")
        axes[0].legend(frameon=False)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=120)


if __name__ == "__main__":
    sys.exit(records.run(main))
