"""Judge a run: ``python -m minigan.evaluate RUN``.

Draws faces with the run's newest generator (of a run with ``--ema``: its average, unless ``--raw``), measures them
against the images that it was trained on (`minigan.metrics`), and examines the run's log (`minigan.diagnosis`). Prints
a table with a plain word on every number, and leaves evaluation.json and evaluation.png in the run's folder. The run
may still be going on.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import BACKENDS, Array, get_backend
from minigan.cli import Parser, core_count, path_name, run_command, whole, working_with
from minigan.config import RunConfig
from minigan.console import complain, one_line, say
from minigan.data.dataset import ImageSet, open_images
from minigan.diagnosis import Finding, diagnose, examine
from minigan.errors import RunError, UserError
from minigan.files import replacing, write_text
from minigan.metrics import (
    LEAST,
    MOST,
    Measurement,
    Neighbours,
    Yardstick,
    check_count,
    draw_samples,
    pyramid_sides,
)
from minigan.plots import grid
from minigan.report import renew
from minigan.rng import MAX_SEED
from minigan.run import METRICS_NAME, VITALS_NAME, open_config, read_history, read_rows
from minigan.sample import load_generator

JSON_NAME, PICTURE_NAME = "evaluation.json", "evaluation.png"
DEFAULT_SAMPLES = 2000

SHOWN = 16
"""Pairs of a sample and its nearest training image in each half of the sheet."""


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
        See `minigan.cli.run_command`.
    """
    arguments = _parser().parse_args(argv)
    run = Path(arguments.run)
    config, about = open_config(run)
    if arguments.diagnosis:
        _say_findings(diagnose(run))
        return 0
    if not LEAST <= arguments.samples <= MOST:
        raise UserError(f"--samples: must be between {LEAST} and {MOST}, got {arguments.samples}")
    if not 0 <= arguments.seed <= MAX_SEED:
        raise UserError(f"--seed: must be between 0 and {MAX_SEED}, got {arguments.seed}")
    out = Path(arguments.out) if arguments.out else run
    _check_out(out)
    backend = get_backend(arguments.backend)
    generator, step = load_generator(run, raw=arguments.raw)
    is_average = config.ema > 0 and not arguments.raw
    images = _open_images(config, about, arguments.data)
    yardstick = Yardstick(images, samples=arguments.samples, seed=arguments.seed, drawn=config.data is None)
    whose = " of the generator's average" if is_average else ""
    say(f"{one_line(run)} after {step:,} steps: {yardstick.samples:,} samples{whose} beside {len(images):,} images")
    with working_with(arguments.threads):
        faces = draw_samples(generator.to(backend), yardstick.samples, arguments.seed, backend)
        if faces is None:
            raise UserError("the generator draws values that are no numbers: its weights are broken")
        measures, neighbours = yardstick.measure(faces)
    rows = [*read_rows(run, METRICS_NAME), {"measures": {name: m.to_dict() for name, m in measures.items()}}]
    findings = examine(config, *read_history(run), read_rows(run, VITALS_NAME), rows)
    _say_table(measures, len(faces))
    _say_findings(findings)
    result = {
        "step": step,
        "samples": len(faces),
        "seed": arguments.seed,
        "images": {"source": images.source, "count": len(images), "fingerprint": images.fingerprint},
        **({"generator": "ema" if is_average else "raw"} if config.ema else {}),
        **rows[-1],
        "findings": [asdict(finding) for finding in findings],
    }
    try:
        save_picture(out / PICTURE_NAME, measures, faces, neighbours, images.images)
        write_text(out / JSON_NAME, json.dumps(result, indent=2, allow_nan=False) + "\n")
        if out == run:
            renew(run)  # the report shows them, too
    except OSError as error:
        raise RunError(f"cannot write to {out}: {error.strerror or error}") from None
    say(f"Written: {one_line(out / JSON_NAME)}, {one_line(out / PICTURE_NAME)}")
    return 0


def _open_images(config: RunConfig, about: dict[str, Any], moved: str | None) -> ImageSet:
    """The run's images, or those of the folder that they have moved to."""
    if moved is not None and config.data is None:
        raise UserError(f"--data: this run learned from drawn faces, which are drawn again as needed, got {moved}")
    try:
        count = config.faces if config.data is None else None
        images = open_images(moved or config.data, image_size=config.image_size, count=count)
    except UserError as error:
        told = f"{error}; --data DIR says where the run's images are" if moved is None else f"--data: {error}"
        raise UserError(told) from None
    check_count(images)
    before = about.get("images")
    if isinstance(before, dict) and before.get("fingerprint") != images.fingerprint:
        complain(
            "minigan: warning: these are not the images that the run began with "
            f"(then {one_line(before.get('count'))}, now {len(images)}): copies of others will not be found"
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


def _say_table(measures: dict[str, Measurement], count: int) -> None:
    say(f"\n  {'':<30}{'samples':>9}{'real':>9}{'chance':>9}  in words")
    for name, m in measures.items():
        label, form, words = describe(name, m, count)
        say(f"  {label:<30}{form(m.value):>9}{form(m.real):>9}{form(m.noise):>9}  {words}")
    say(
        '\n  "real" is what real pictures score in the samples\' place, "chance" what two halves of them differ by\n'
        "  (docs/metrics.md says what each number means).\n"
    )


def describe(name: str, m: Measurement, count: int) -> tuple[str, Callable[[float], str], str]:
    """A measure's label, the form of its numbers, and what they say in plain words.

    Parameters
    ----------
    name : str
        One of those of `minigan.metrics.Yardstick.measure`.
    m : Measurement
    count : int
        How many samples were measured.

    Raises
    ------
    KeyError
        If there is no such measure.
    """
    if name.startswith("swd"):
        side = name.removeprefix("swd_")
        label = "sliced Wasserstein distance" if name == "swd" else f"  at {side}x{side} pixels"
        return label, _one_digit, _swd_words(m)
    if name in _KINDS:
        return _KINDS[name], _whole, f"{m.value:.0f} kinds are there; real pictures show {m.real:.0f}"
    return {
        "distance": ("diversity: distance", _one_digit, _distance_words(m)),
        "similarity": ("diversity: MS-SSIM", _two_digits, _similarity_words(m)),
        "nearest": ("nearest training image", _two_digits, _nearest_words(m)),
        "copies": ("  copies", _percent, f"{m.value * count:.0f} of {count:,} samples are copies of training images"),
        "clear": (
            "drawn faces: clear",
            _percent,
            "of the samples are clear enough to say which kind of face they are",
        ),
        "modes_off": (
            "  of the wrong kind",
            _percent,
            "would have to change to make all kinds as frequent as in the data",
        ),
    }[name]


_KINDS = {
    "hair_colours": "  hair colours, of 14",
    "hair_styles": "  hair styles, of 12",
    "skins": "  skins, of 5",
    "modes": "  colour and style, of 168",
}


def _one_digit(value: float) -> str:
    return f"{value:.1f}"


def _two_digits(value: float) -> str:
    return f"{value:.2f}"


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _swd_words(m: Measurement) -> str:
    if m.real <= 0:
        return "the real pictures are all equal"
    ratio = m.value / m.real
    if ratio < 1.5:
        return "as near to real pictures as these are to each other"
    return f"{ratio:.1f} times as far as real pictures are from each other"


def _distance_words(m: Measurement) -> str:
    if m.real <= 0:
        return "the real pictures are all equal"
    return f"two samples differ {_percent(m.value / m.real)} as much as two real pictures"


def _similarity_words(m: Measurement) -> str:
    if abs(m.value - m.real) <= 2 * m.noise:
        return "as varied as real pictures"
    return "more alike than real pictures" if m.value > m.real else "less alike than real pictures"


def _nearest_words(m: Measurement) -> str:
    if abs(m.value - 1) <= max(0.02, 2 * m.noise):
        return "as far away as that of a new real picture"
    return f"{m.value:.2f} times as far away as that of a new real picture"


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


# ---------------------------------------------------------------------------------------------------------------------
# The picture.
# ---------------------------------------------------------------------------------------------------------------------


def save_picture(
    path: Path, measures: dict[str, Measurement], faces: Array, neighbours: Neighbours, training: Array
) -> None:
    """Draw the sheet of nearest neighbours and the distances at each size, all or nothing.

    Parameters
    ----------
    path : Path
    measures : dict of str to Measurement
    faces : numpy.ndarray of shape (N, S, S, 3), uint8
        The samples.
    neighbours : Neighbours
        Theirs.
    training : numpy.ndarray of shape (M, S, S, 3), uint8

    Raises
    ------
    OSError
        If it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    suspects = np.argsort(neighbours.distance / np.maximum(neighbours.crowd, 1e-6), kind="stable")[:SHOWN]
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3, width_ratios=[2, 2, 1.5])
    for axes, chosen, title in (
        (left, suspects, "The samples most like copies"),
        (middle, np.arange(min(SHOWN, len(faces))), "Any samples"),
    ):
        pairs = np.stack([faces[chosen], training[neighbours.index[chosen]]], axis=1)  # (16, 2, S, S, 3)
        axes.imshow(grid(pairs.reshape(-1, *faces.shape[1:]), columns=4), interpolation="nearest")
        axes.set_title(f"{title},\neach with its nearest training image on the right", fontsize=10, loc="left")
        axes.set_axis_off()
    sides = pyramid_sides(faces.shape[1])
    places = np.arange(len(sides))
    levels = [measures[f"swd_{side}"] for side in sides]
    right.bar(places - 0.2, [m.value for m in levels], 0.4, color="#d1495b", label="samples")
    right.bar(places + 0.2, [m.real for m in levels], 0.4, color="#00798c", label="real pictures")
    right.set_xticks(places, [f"{side}" for side in sides])
    right.set_xlabel("pixels (left: fine lines, right: shapes)", fontsize=9)
    right.set_title("Sliced Wasserstein distance\nto real pictures, by size", fontsize=10, loc="left")
    right.spines[["top", "right"]].set_visible(False)
    right.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "minigan.evaluate",
        "Is this run normal, and how good are its faces? Measures the newest generator and examines the log.",
    )
    add = parser.add_argument
    add("run", type=path_name, metavar="RUN", help="run folder, of a finished or a running training")
    add(
        "--samples",
        type=whole,
        default=DEFAULT_SAMPLES,
        metavar="N",
        help=f"faces to draw and measure (default: {DEFAULT_SAMPLES}, at most half as many as there are images)",
    )
    add("--data", type=path_name, metavar="DIR", help="where the run's images are, if they have moved")
    add("--seed", type=whole, default=0, metavar="N", help="seed of noise and choices (default: 0)")
    add("--out", type=path_name, metavar="DIR", help=f"folder for {JSON_NAME} and {PICTURE_NAME} (default: RUN)")
    add("--raw", action="store_true", help="of a run with --ema, measure the generator itself and not its average")
    add("--backend", choices=BACKENDS, default="numpy", help="where the faces are drawn: numpy (default) or cupy")
    add("--threads", type=core_count, metavar="N", help="cores to work on with numpy (default: all)")
    add("--diagnosis", action="store_true", help="examine the log only, which takes a second and needs no images")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
