"""Judge a run: ``python -m minigan.evaluate [RUN]``.

Draws faces with the run's newest generator (with its average, if the run has ``--ema`` and the command no ``--raw``),
measures them against the images that it was trained on (`minigan.evaluation.metrics`), and examines the run's log
(`minigan.evaluation.diagnosis`). Prints a table with a few plain words about each number, and writes evaluation.json
and evaluation.png to the run folder. The run may still be going on. Without a RUN, the generator that comes with
minigan is measured (`minigan.runs.pretrained`), and the two files are written to the current folder.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minigan.data.image_set import ImageSet
from minigan.evaluation.diagnosis import Finding, diagnose_numbers, diagnose_run
from minigan.evaluation.metrics import (
    LEAST,
    MOST,
    Measurement,
    Yardstick,
    check_count,
    draw_samples,
)
from minigan.evaluation.nearest_images import save_nearest_images
from minigan.evaluation.run_report import renew
from minigan.evaluation.samples import FRESH_STATISTICS, check_fresh_statistics
from minigan.evaluation.words import describe, early
from minigan.gan.average import fresh_statistics
from minigan.nn.backend import backend_names, get_backend
from minigan.nn.rng import MAX_SEED
from minigan.runs.config import RunConfig
from minigan.runs.layout import EVALUATION_IMAGE_NAME, EVALUATION_NAME, METRICS_NAME, VITALS_NAME
from minigan.runs.pretrained import is_pretrained, pretrained_run, say_which
from minigan.runs.run_records import open_config, read_history, read_rows
from minigan.runs.saved_generator import BROKEN_GENERATOR, load_generator
from minigan.runs.training_images import are_unknown, counts_if_changed, image_facts, open_training_images
from minigan.system.atomic_files import write_text
from minigan.system.cli import Parser, core_count, path_name, run_command, whole
from minigan.system.console import complain, one_line, say, warn
from minigan.system.errors import UserError, cannot_write
from minigan.system.workers import using_workers

DEFAULT_SAMPLES = 2000


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, call, print.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments, by default the process's own.

    Returns
    -------
    int
        Exit status.

    Raises
    ------
    UserError, RunError
        See `minigan.system.cli.run_command`.
    """
    arguments = _parser().parse_args(argv)
    run = Path(arguments.run) if arguments.run else pretrained_run()
    config, about = open_config(run)
    if arguments.diagnosis:
        _say_findings(diagnose_run(run))
        return 0
    if not LEAST <= arguments.samples <= MOST:
        raise UserError(f"--samples: must be between {LEAST} and {MOST}, got {arguments.samples}")
    if not 0 <= arguments.seed <= MAX_SEED:
        raise UserError(f"--seed: must be between 0 and {MAX_SEED}, got {arguments.seed}")
    out = Path(arguments.out) if arguments.out else Path() if is_pretrained(run) else run
    _check_out(out)
    check_fresh_statistics(arguments.fresh_statistics)
    backend = get_backend(arguments.backend)
    generator, step = load_generator(run, raw=arguments.raw)
    if not arguments.run:
        say_which(step)
    images = _open_images(config, about, arguments.data)
    drawn = config.data is None and arguments.data is None
    yardstick = Yardstick(images, samples=arguments.samples, seed=arguments.seed, drawn=drawn)
    is_average = config.ema > 0 and not arguments.raw
    whose = " of the generator's average" if is_average else ""
    if arguments.fresh_statistics:
        whose += f" with fresh statistics (N = {arguments.fresh_statistics})"
    say(f"{one_line(run)} after {step:,} steps: {yardstick.samples:,} samples{whose} beside {len(images):,} images")
    with using_workers(arguments.threads):
        generator.to(backend)
        if arguments.fresh_statistics:
            fresh_statistics(generator, arguments.fresh_statistics)
        faces = draw_samples(generator, yardstick.samples, arguments.seed, backend)
        if faces is None:
            raise UserError(BROKEN_GENERATOR)
        measures, neighbours = yardstick.measure(faces)
    row = {"measures": {name: m.to_dict() for name, m in measures.items()}}
    rows = [*read_rows(run, METRICS_NAME), row]
    findings = diagnose_numbers(config, *read_history(run), read_rows(run, VITALS_NAME), rows)
    _say_table(measures, len(faces), early(step))
    _say_findings(findings)
    result = {
        "step": step,
        "samples": len(faces),
        "seed": arguments.seed,
        "images": image_facts(images),
        **({"generator": "ema" if is_average else "raw"} if config.ema else {}),
        **({"fresh_statistics": arguments.fresh_statistics} if arguments.fresh_statistics else {}),
        **row,
        "findings": [asdict(finding) for finding in findings],
    }
    written = [EVALUATION_NAME]
    try:
        write_text(out / EVALUATION_NAME, json.dumps(result, indent=2, allow_nan=False) + "\n")
        try:
            save_nearest_images(out / EVALUATION_IMAGE_NAME, measures, faces, neighbours, images.images)
            written.append(EVALUATION_IMAGE_NAME)
        except OSError:
            raise
        except Exception as error:  # matplotlib may raise almost anything
            warn(f"{EVALUATION_IMAGE_NAME} cannot be drawn: {error}")
        if out == run:
            renew(run)  # it shows the measures, too
    except OSError as error:
        raise cannot_write(error, f"{out} cannot be written to") from None
    say(f"Written: {', '.join(one_line(out / name) for name in written)}")
    return 0


def _open_images(config: RunConfig, about: dict[str, Any], moved: str | None) -> ImageSet:
    """The run's images, from the folder that they have moved to if one is given."""
    unknown = are_unknown(config, about)
    if unknown and moved is None:
        raise UserError("RUN: was imported, and its images are not known; --data DIR says which to measure it against")
    if moved is not None and config.data is None and not unknown:
        raise UserError(f"--data: this run learned from drawn faces, which are drawn again as needed, got {moved}")
    try:
        images = open_training_images(config, moved)
    except UserError as error:
        told = f"{error}; --data DIR says where the run's images are" if moved is None else f"--data: {error}"
        raise UserError(told) from None
    check_count(images)
    if counts := counts_if_changed(images, about):
        complain(
            f"minigan: warning: these are not the images that the run began with ({counts}): "
            "copies of others will not be found"
        )
    return images


def _check_out(out: Path) -> None:
    try:
        if not out.is_dir():
            raise UserError(f"--out: must be a folder that exists, got {out}")
    except OSError as error:
        raise UserError(f"--out: {out} cannot be opened: {error.strerror or error}") from None
    if not os.access(out, os.W_OK | os.X_OK):
        raise UserError(f"--out: the folder {out} is read-only; --out DIR writes elsewhere")


# ---------------------------------------------------------------------------------------------------------------------
# The table.
# ---------------------------------------------------------------------------------------------------------------------


def _say_table(measures: dict[str, Measurement], count: int, note: str) -> None:
    say(f"\n  {'':<30}{'samples':>9}{'real':>9}{'chance':>9}  in words")
    for name, m in measures.items():
        label, form, words = describe(name, m, count)
        say(f"  {label:<30}{form(m.value):>9}{form(m.real):>9}{form(m.noise):>9}  {words}")
    say(
        '\n  "real" is what real images score in the samples\' place, "chance" what two halves of them differ by\n'
        "  (docs/metrics.md says what each number means).\n"
    )
    if note:
        say(textwrap.fill(note, 110, initial_indent="  ", subsequent_indent="  ") + "\n")


def _say_findings(findings: Sequence[Finding]) -> None:
    if not findings:
        say("Diagnosis: nothing looks wrong.")
        return
    say("Diagnosis:")
    for finding in findings:
        say(f"  {finding.severity}: {finding.title} [{finding.code}]")
        say(f"    seen: {one_line(finding.evidence)}")
        say(f"    band: {finding.band}")
        say(f"    what to do: {finding.advice}")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "minigan.evaluate",
        "Is this run normal, and how good are its faces? Measures the newest generator and examines the log.",
    )
    add = parser.add_argument
    add(
        "run",
        type=path_name,
        nargs="?",
        metavar="RUN",
        help="run folder, of a finished or a running training (default: the generator that comes with minigan)",
    )
    add(
        "--samples",
        type=whole,
        default=DEFAULT_SAMPLES,
        metavar="N",
        help=f"faces to draw and measure (default: {DEFAULT_SAMPLES}, at most half as many as there are images)",
    )
    add("--data", type=path_name, metavar="DIR", help="where the run's images are, if they have moved")
    add("--seed", type=whole, default=0, metavar="N", help="seed of noise and choices (default: 0)")
    add(
        "--out",
        type=path_name,
        metavar="DIR",
        help=f"folder for {EVALUATION_NAME} and {EVALUATION_IMAGE_NAME} (default: RUN; without RUN, the current one)",
    )
    add("--raw", action="store_true", help="of a run with --ema, measure the generator itself and not its average")
    add("--fresh-statistics", type=whole, metavar="N", help=FRESH_STATISTICS)
    add("--backend", choices=backend_names(), default="numpy", help="where faces are drawn: numpy (default) or cupy")
    add("--threads", type=core_count, metavar="N", help="cores to work on with numpy (default: all)")
    add("--diagnosis", action="store_true", help="examine the log only, which takes a second and needs no images")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
