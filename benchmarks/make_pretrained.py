"""Make minigan/pretrained/, the generator that comes with minigan, from a finished run with --ema on drawn faces.

    python benchmarks/make_pretrained.py RUN --commit COMMIT

The folder has the form of a run folder (`minigan.runs.pretrained`). The generator is the average in the run's newest
checkpoint, with its kernels in float16, and the model card tells what `minigan.evaluation.metrics` measures of exactly
this file. The same run gives the same bytes. An older content of the folder is replaced.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from finished_run import command, commit, last_session, render

import minigan
from minigan.evaluation.metrics import Measurement, Yardstick, draw_samples
from minigan.evaluation.samples import draw_faces, random_noise
from minigan.evaluation.words import describe
from minigan.nn.backend import get_backend
from minigan.nn.network import Sequential
from minigan.runs.checkpoint import save_network
from minigan.runs.config import RunConfig
from minigan.runs.layout import CONFIG_NAME, CSV_NAME, METRICS_NAME, model_name
from minigan.runs.run_records import open_config, read_history, read_lines, step_of_line
from minigan.runs.saved_generator import BROKEN_GENERATOR, load_generator
from minigan.runs.training_images import open_training_images
from minigan.system.atomic_files import write_text
from minigan.system.cli import Parser, path_name, run_command, whole
from minigan.system.console import say
from minigan.system.errors import UserError

FOLDER = Path(minigan.__file__).resolve().parent / "pretrained"
CARD = "README.md"
DIGITS = 4
"""Of each number in log.csv: more would only make the file larger."""


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, call, print."""
    parser = Parser("make_pretrained", "Make the generator that comes with minigan from a finished run.")
    parser.add_argument("run", type=path_name, metavar="RUN", help="finished run with --ema, on drawn faces")
    parser.add_argument("--commit", required=True, type=commit, help="commit of minigan that the run was made with")
    parser.add_argument("--samples", type=whole, default=2000, metavar="N", help="faces to measure (default: 2000)")
    parser.add_argument("--out", type=path_name, default=str(FOLDER), metavar="DIR", help=f"(default: {FOLDER})")
    arguments = parser.parse_args(argv)
    make(Path(arguments.run), Path(arguments.out), made_with=arguments.commit, samples=arguments.samples)
    return 0


def make(run: Path, out: Path, *, made_with: str, samples: int) -> None:
    """Write the folder.

    Raises
    ------
    UserError
        If the run keeps no average, learned from other images, or has no checkpoint.
    """
    config, about = open_config(run)
    if not config.ema or config.data is not None:
        raise UserError(f"RUN: must be a run with --ema on drawn faces, got {run}")
    generator, step = load_generator(run)
    models = out / "models"
    models.mkdir(parents=True, exist_ok=True)
    path = models / model_name(step - 1, "GENERATOR_EMA")
    for old in models.iterdir():
        if old != path:
            old.unlink()
    size = {"image_size": config.image_size, "width": config.width}
    save_network(path, generator, **size, step=step, ema=config.ema, half=True)
    write_text(out / CONFIG_NAME, (run / CONFIG_NAME).read_text(encoding="utf-8"))
    write_text(out / CSV_NAME, "".join(short_log(run, step)))
    rows = [line for line in read_lines(run / METRICS_NAME) if (step_of_line(METRICS_NAME, line) or 0) < step]
    write_text(out / METRICS_NAME, "".join(rows))
    half, _ = load_generator(path)
    change = change_of_pixels(generator, half)
    measures = measure(half, config, samples)
    write_text(
        out / CARD, card(config, about, measures, path, half, change, made_with=made_with, samples=samples, step=step)
    )
    say(f"{out}: {sum(p.stat().st_size for p in out.rglob('*') if p.is_file()):,} bytes, after {step:,} steps")


def short_log(run: Path, step: int) -> list[str]:
    """Lines of log.csv up to a step, with fewer digits."""
    steps, history = read_history(run)
    head = read_lines(run / CSV_NAME)[0]
    rows = zip(steps.tolist(), history.tolist(), strict=True)
    return [head, *(",".join([str(s), *(f"{x:.{DIGITS}g}" for x in row)]) + "\n" for s, row in rows if s < step)]


def measure(generator: Sequential, config: RunConfig, samples: int) -> dict[str, Measurement]:
    """What `python -m minigan.evaluate` measures."""
    yardstick = Yardstick(open_training_images(config), samples=samples, seed=0, drawn=True)
    faces = draw_samples(generator, yardstick.samples, 0, get_backend("numpy"))
    if faces is None:
        raise UserError(BROKEN_GENERATOR)
    return yardstick.measure(faces)[0]


def change_of_pixels(exact: Sequential, half: Sequential) -> str:
    """How much the faces change when kernels are rounded to float16, in words."""
    noise, backend = random_noise(0, 64), get_backend("numpy")
    a, b = (draw_faces(each, noise, backend, batch_size=64) for each in (exact, half))
    if a is None or b is None:
        raise UserError(BROKEN_GENERATOR)
    moved = np.abs(a.astype(int) - b)
    return f"{(moved > 0).mean():.1%} of the values of 64 faces, by at most {moved.max()} of 255"


def card(
    config: RunConfig,
    about: Mapping[str, Any],
    measures: Mapping[str, Measurement],
    path: Path,
    generator: Sequential,
    change: str,
    *,
    made_with: str,
    samples: int,
    step: int,
) -> str:
    """The model card."""
    session = last_session(about)
    rows = []
    for name, m in measures.items():
        label, form, words = describe(name, m, samples)
        rows.append([label.strip(), form(m.value), form(m.real), form(m.noise), words])
    return render(
        "model_card.md.jinja",
        config=config,
        name=path.name,
        change=change,
        bytes=f"{path.stat().st_size:,}",
        trained=f"{sum(a.size for a in generator.params().values()):,}",
        faces=f"{config.faces:,}",
        command=command(config),
        steps=f"{step:,}",
        commit=made_with,
        machine=session["machine"],
        versions=session["versions"],
        date=session["started"][:10],
        digits=DIGITS,
        samples=f"{samples:,}",
        rows=rows,
        unclear=f"{100 * (1 - measures['clear'].value):.0f}",
        kinds=f"{measures['modes'].value:.0f}",
        real_kinds=f"{measures['modes'].real:.0f}",
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
