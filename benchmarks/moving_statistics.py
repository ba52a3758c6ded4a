"""How much a saved generator's faces depend on the latest few batches: moving statistics as saved, and measured anew.

For the generators that a run has kept, all with their own weights, the distance to real images is measured with the
moving statistics as they were saved (momentum 0.5), and with statistics of 1, 10 and 50 batches of noise
(`minigan.gan.average.fresh_statistics`), each with several draws of that noise. If the run keeps an average (--ema),
that is measured, too. The samples' noise is always the same. What has been measured is kept in --keep and not measured
again, so that the script can be called while the run goes on.

    python benchmarks/moving_statistics.py runs/NAME --keep statistics.json
    python benchmarks/moving_statistics.py runs/NAME --keep statistics.json --steps 1000 4000 9999 --draws 5
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import records
from tqdm import tqdm

from minigan.evaluation.metrics import Yardstick, draw_samples
from minigan.gan.average import FRESH_BATCH, fresh_statistics
from minigan.nn.backend import NUMPY
from minigan.runs.layout import MODEL
from minigan.runs.run_records import open_config
from minigan.runs.saved_generator import load_generator
from minigan.runs.training_images import image_facts, open_training_images
from minigan.system.atomic_files import write_text
from minigan.system.console import one_line, say
from minigan.system.errors import RunError, UserError
from minigan.system.workers import using_workers

BATCHES = (1, 10, 50)
"""From how many batches of noise the statistics are measured."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    config, _ = open_config(arguments.run)
    kept = kept_generators(arguments.run)
    chosen = sorted(kept) if arguments.steps is None else arguments.steps
    for step in chosen:
        if step not in kept:
            raise UserError(f"--steps: must be of {', '.join(map(str, sorted(kept)))} (finished steps), got {step}")
    images = open_training_images(config, arguments.data)
    yardstick = Yardstick(images, samples=arguments.samples, seed=0)
    settings = {
        "run": {name: value for name, value in asdict(config).items() if name != "data"},
        "images": {**image_facts(images), "source": Path(images.source).name},
        "samples": yardstick.samples,
        "batch": FRESH_BATCH,
    }
    record = read_record(arguments.keep, settings)
    wanted = [(step, way, draw) for step in chosen for way, draw in ways(kept[step], arguments.draws)]
    done = {(row["step"], row["way"], row["draw"]) for row in record["rows"]}
    with using_workers(arguments.threads), tqdm(total=len(wanted), unit=" measurements", leave=False) as bar:
        for step, way, draw in wanted:
            if (step, way, draw) not in done:
                row = {"step": step, "way": way, "draw": draw, **measure(kept[step], way, draw, yardstick)}
                record["rows"].append(row)
                write_text(arguments.keep, json.dumps(record, indent=1) + "\n")
            bar.update()
    say(table(record["rows"]))
    say(f"  raw numbers: {one_line(arguments.keep)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n", 1)[0],
        epilog=__doc__.split("\n\n", 1)[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("run", type=Path, help="run folder, of a finished or a running training")
    parser.add_argument("--keep", type=Path, required=True, metavar="FILE", help="JSON file for the numbers; it grows")
    parser.add_argument("--data", metavar="DIR", help="where the run's images are, if they have moved")
    parser.add_argument("--steps", type=int, nargs="+", help="finished steps of the generators (default: all kept)")
    parser.add_argument("--samples", type=records.at_least(64), default=2000, help="measured (default 2000)")
    parser.add_argument("--draws", type=records.at_least(1), default=3, help="of the noise of each (default 3)")
    records.add_threads(parser)
    return parser


def kept_generators(run: Path) -> dict[int, Path]:
    """The generators in a run's models/, by their number of finished steps."""
    found = ((MODEL.fullmatch(path.name), path) for path in (run / "models").glob("*.safetensors"))
    kept = {int(match[1]) + 1: path for match, path in found if match and match[2] == "GENERATOR"}
    if not kept:
        raise UserError(f"{run} has kept no generators in models/")
    return kept


def read_record(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """What has been measured already; it must be of the same run, images and number of samples."""
    if not path.exists():
        about = {"machine": records.machine(), "commit": records.commit()}
        return {"benchmark": "moving_statistics", **about, "settings": settings, "rows": []}
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        same = record["settings"] == json.loads(json.dumps(settings))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"--keep: {path} is not a record of this script ({error})") from None
    if not same:
        raise UserError(f"--keep: {path} is of another run, other images or another number of samples")
    return record


def ways(path: Path, draws: int) -> list[tuple[str, int]]:
    """What is measured of one kept generator: the way to its statistics, and the number of the draw."""
    fresh = [(str(count), draw) for count in BATCHES for draw in range(draws)]
    return [("saved", 0), *fresh, *([("average", 0)] if _average_of(path).exists() else [])]


def _average_of(path: Path) -> Path:
    return path.with_name(path.name.replace("_GENERATOR_", "_GENERATOR_EMA_"))


def measure(path: Path, way: str, draw: int, yardstick: Yardstick) -> dict[str, float]:
    """The distances of one generator, with its statistics found in one way."""
    generator, _ = load_generator(_average_of(path) if way == "average" else path)
    if way.isdigit():
        fresh_statistics(generator, int(way), seed=draw)
    faces = draw_samples(generator, yardstick.samples, 0, NUMPY)
    if faces is None:
        raise RunError(f"{path}: the generator draws NaN")
    measures = yardstick.compare(faces)
    return {
        **{name: float(f"{m.value:.6g}") for name, m in measures.items() if name.startswith("swd")},
        "real": float(f"{measures['swd'].real:.6g}"),
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table: for each step and way, the mean distance of the draws, and each of them."""
    names = list(dict.fromkeys(row["way"] for row in rows))
    titles = [f"{name} batch{'es' if name != '1' else ''}" if name.isdigit() else name for name in names]
    lines = [f"| step | {' | '.join(titles)} |", "|---" * (len(names) + 1) + "|"]
    for step in sorted({row["step"] for row in rows}):
        cells = []
        for name in names:
            values = [row["swd"] for row in rows if (row["step"], row["way"]) == (step, name)]
            each = f" ({', '.join(f'{v:.1f}' for v in values)})" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.1f}{each}" if values else "")
        lines.append(f"| {step:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(records.run(main))
