"""Make a page of a finished run: docs/runs/NAME/, with its numbers, figures and faces.

    python benchmarks/run_page.py RUN NAME --commit COMMIT
    python benchmarks/run_page.py RUN NAME --commit COMMIT --note "Nothing else ran on the machine."

The page shows the command, the losses beside those of the article's author, the faces measured every 500 steps beside
real against real, and in the end with more samples. What the run has not measured itself is measured now, from the
generators that it keeps; called again, the script goes on where it was stopped.

Of a run on drawn faces the page shows a strip of its faces from step to step. Of a run on other people's images it
shows numbers, curves and one grid of generated faces, without those that are copies of a training image: never a
training image, and no weights. RUN is only read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from finished_run import (
    AUTHOR,
    FINAL_SAMPLES,
    LOSSES,
    FinishedRun,
    as_csv,
    command,
    commit,
    loss_medians,
    measure,
    measured,
    open_run,
    render,
)
from PIL import Image, ImageDraw, ImageFont

from minigan.evaluation.metrics import Measurement, nearest, pyramid_sides
from minigan.evaluation.samples import draw_faces, random_noise
from minigan.evaluation.words import describe
from minigan.gan.step import METRICS
from minigan.nn.backend import NUMPY, Array
from minigan.pages.plots import GAP, SCALE, grid, plain_matplotlib, save_loss_plot
from minigan.runs.run_records import list_images
from minigan.runs.saved_generator import BROKEN_GENERATOR, load_generator
from minigan.system.atomic_files import replacing, write_text
from minigan.system.cli import Parser, path_name, run_command, whole
from minigan.system.console import say
from minigan.system.errors import RunError, UserError

DOCS = Path(__file__).resolve().parent.parent / "docs" / "runs"
FACES_SHOWN = 8
"""Rows of the strip of faces."""

MOMENTS = (0, 100, 200, 500, 1000, 2000, 3000, 5000, 7000, 10_000)
"""Columns of the strip, in finished steps, as far as the run got."""

GRID = 64


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, call, print."""
    parser = Parser("run_page", "Make a page of a finished run in docs/runs/NAME.")
    parser.add_argument("run", type=path_name, metavar="RUN", help="run folder; it is only read")
    parser.add_argument("name", type=path_name, metavar="NAME", help="name of the page's folder")
    parser.add_argument("--commit", required=True, type=commit, help="commit of minigan that the run was made with")
    parser.add_argument("--title", help="title of the page (default: what the settings say)")
    parser.add_argument("--note", default="", help="what else the reader should know, for instance what else ran")
    parser.add_argument(
        "--every", type=whole, default=500, metavar="N", help="steps between measurements (default: 500)"
    )
    parser.add_argument("--out", type=path_name, default=str(DOCS), metavar="DIR", help="where NAME is made")
    arguments = parser.parse_args(argv)
    if Path(arguments.name).name != arguments.name:
        raise UserError(f"NAME: must be the name of a folder, without a path, got {arguments.name!r}")
    if arguments.every < 1:
        raise UserError(f"--every: must be at least 1, got {arguments.every}")
    run, folder = open_run(Path(arguments.run)), Path(arguments.out) / arguments.name
    folder.mkdir(parents=True, exist_ok=True)
    make(run, folder, arguments.commit, arguments.title, arguments.note, arguments.every)
    say(f"Written: {folder / 'README.md'}")
    return 0


def make(run: FinishedRun, folder: Path, made_with: str, title: str | None, note: str, every: int) -> None:
    """Write all files of the page; the slow ones, the measurements, first."""
    rows = measured(run, folder / "metrics.jsonl", every)
    final, grid_words = finish(run, folder)
    losses = loss_medians(run, 1000)
    common = [name for name in rows[0]["measures"] if all(name in row["measures"] for row in rows)]
    flat = [{"step": row["step"], **{name: row["measures"][name]["value"] for name in common}} for row in rows]
    write_text(folder / "losses.csv", as_csv(loss_medians(run, 100)))
    write_text(folder / "metrics.csv", as_csv(flat))
    save_loss_plot(folder / "losses.png", run.steps, dict(zip(METRICS, run.history.T, strict=True)))
    shrink(folder / "losses.png")
    save_distances(folder / "distances.png", rows, run.config.image_size)
    session = run.session
    numbers = {
        "command": command(run.config),
        "commit": made_with,
        "settings": {name: value for name, value in vars(run.config).items() if name != "data"},
        "images": {name: run.about["images"][name] for name in ("count", "fingerprint")},
        "versions": session["versions"],
        "machine": session["machine"],
        "hours": round(run.hours, 2),
        "done": run.done,
        "losses": losses,
        "measured": rows,
        "final": final,
    }
    write_text(folder / "numbers.json", json.dumps(numbers, indent=1, allow_nan=False) + "\n")
    write_text(folder / "README.md", page(run, numbers, title, note, grid_words))


def finish(run: FinishedRun, folder: Path) -> tuple[dict[str, Any], str]:
    """Measure the newest generator with many samples, and save the image of faces.

    Returns
    -------
    final : dict
        "samples" and "measures".
    words : str
        What the page says about the image.
    """
    kept = folder / "final.json"
    final = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    if final.get("step") != run.done:
        final = {"step": run.done, **measure(run.networks[-1][1], run.yardstick(FINAL_SAMPLES, 0), 0)}
        write_text(kept, json.dumps(final) + "\n")
    if run.drawn:
        save_strip(folder / "faces.png", run)
        return final, "The same noise from step to step; nothing was chosen."
    return final, save_checked_grid(folder / "faces.png", run)


# ---- Images ----


def save_strip(path: Path, run: FinishedRun) -> None:
    """Faces from noise that never changes, a column for each moment, with its number of steps above."""
    pictures = dict(list_images(run.path, fixed=True))
    found = {}
    for moment in [m for m in MOMENTS if m < run.done] + [run.done]:
        step = next((s for s in (moment, moment - 1) if s in pictures), None)
        if step is not None:
            found[moment] = pictures[step]
    if not found:
        raise UserError(f"{run.path / 'images'}: must hold images from the fixed noise, got none")
    columns = []
    for picture in found.values():
        with Image.open(picture) as image:
            columns.append(faces_of(np.asarray(image.convert("RGB")), run.config.image_size)[:FACES_SHOWN])
    strip = grid(np.stack(columns, axis=1).reshape(-1, *columns[0].shape[1:]), columns=len(columns))
    head = 18
    sheet = Image.new("RGB", (strip.shape[1], strip.shape[0] + head), "white")
    sheet.paste(Image.fromarray(strip), (0, head))
    draw, cell = ImageDraw.Draw(sheet), run.config.image_size + GAP
    for k, moment in enumerate(found):
        draw.text(
            (GAP + k * cell + cell / 2, head / 2),
            f"{moment:,}",
            fill="black",
            anchor="mm",
            font=ImageFont.load_default(11),
        )
    save_small(path, sheet)


def faces_of(sheet: Array, side: int) -> Array:
    """The faces of an image that `minigan.pages.plots.save_grid` wrote, row by row."""
    small, cell = sheet[::SCALE, ::SCALE], side + GAP
    tops, lefts = (range(GAP, length - GAP, cell) for length in small.shape[:2])
    return np.stack([small[i : i + side, j : j + side] for i in tops for j in lefts])


def save_checked_grid(path: Path, run: FinishedRun) -> str:
    """A grid of generated faces, without those that the nearest-image check calls copies of a training image.

    Returns
    -------
    str
        What was done.
    """
    generator, _ = load_generator(run.networks[-1][1])
    faces = draw_faces(generator, random_noise(0, 2 * GRID), NUMPY, batch_size=GRID)
    if faces is None:
        raise RunError(f"{run.path}: {BROKEN_GENERATOR}")
    copies = nearest(faces, run.images.images).copies()
    shown = faces[~copies][:GRID]
    save_small(path, Image.fromarray(grid(shown)))
    first = int(np.flatnonzero(~copies)[len(shown) - 1]) + 1
    left_out = int(copies[:first].sum())
    words = f"The first {len(shown)} faces of seed 0. Each was compared with all training images"
    if not left_out:
        return f"{words}: none is much nearer to one of them than to its neighbours."
    return f"{words}; {left_out} much nearer to one of them than to its neighbours {plural_were(left_out)} left out."


def plural_were(count: int) -> str:
    """The verb."""
    return "was" if count == 1 else "were"


def save_small(path: Path, image: Image.Image) -> None:
    """Write a PNG with 256 colours, which is a third of the size and looks the same."""
    with replacing(path) as temporary:
        image.quantize(256, dither=Image.Dither.NONE).save(temporary, format="PNG", optimize=True)


def shrink(path: Path) -> None:
    """Write a PNG anew with 256 colours."""
    with Image.open(path) as image:
        whole_image = image.convert("RGB")
    save_small(path, whole_image)


@plain_matplotlib()
def save_distances(path: Path, rows: Sequence[Mapping[str, Any]], side: int) -> None:
    """The distance at each size over the steps; dotted, real images against real images."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    steps = [row["step"] for row in rows]
    styles = (("#00798c", "-", "o"), ("#d1495b", "--", "s"), ("#8d96a3", "-.", "^"), ("#444444", ":", "v"))
    for level, (colour, dash, marker) in zip(pyramid_sides(side), styles, strict=False):
        values = [row["measures"][f"swd_{level}"] for row in rows]
        axes.plot(
            steps,
            [m["value"] for m in values],
            dash,
            color=colour,
            marker=marker,
            markersize=4,
            label=f"{level}x{level}",
        )
        axes.axhline(values[-1]["real"], color=colour, linestyle=":", linewidth=1)
    axes.set(xlabel="steps", ylabel="sliced Wasserstein distance")
    axes.set_ylim(bottom=0)
    axes.set_title("By size in pixels; dotted: real images against real images", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    shrink(path)


# ---- The page ----


def page(run: FinishedRun, numbers: Mapping[str, Any], title: str | None, note: str, grid_words: str) -> str:
    """README.md."""
    rows, final = numbers["measured"], numbers["final"]
    shown = [name for name in COLUMNS if all(name in row["measures"] for row in rows)]
    form = {name: describe(name, Measurement(**m), 1)[1] for name, m in rows[0]["measures"].items()}
    return render(
        "run_page.md.jinja",
        title=title or default_title(run),
        run=run,
        numbers=numbers,
        note=note,
        date=run.about["sessions"][0]["started"][:10],
        losses=[
            [
                f"{row['from']:,} - {row['to']:,}",
                *(f"{row[name]:.3f} ({row[f'{name}_p95']:.3f})" for name in LOSSES[:2]),
                f"{row['g']:.2f} ({row['g_p95']:.2f})",
                *(f"{row[name]:.2f}" for name in ("d_x", "d_g_z", "accuracy")),
                *(f"{x:.3f}" if x < 1 else f"{x:.2f}" for x in AUTHOR.get(row["from"], ())),
            ]
            for row in numbers["losses"]
        ],
        head=[COLUMNS[name] for name in shown],
        measured=[
            [f"{row['step']:,}", *(form[name](row["measures"][name]["value"]) for name in shown)] for row in rows
        ],
        real=[form[name](rows[-1]["measures"][name]["real"]) for name in shown],
        samples=f"{rows[-1]['samples']:,}",
        final_samples=f"{final['samples']:,}",
        final=[final_row(name, Measurement(**m), final["samples"]) for name, m in final["measures"].items()],
        grid_words=grid_words,
    )


COLUMNS = {
    "swd_128": "SWD 128",
    "swd_64": "SWD 64",
    "swd_32": "SWD 32",
    "swd_16": "SWD 16",
    "swd": "SWD",
    "distance": "diversity",
    "similarity": "MS-SSIM",
    "nearest": "nearest",
    "copies": "copies",
    "clear": "clear",
    "modes": "kinds of 168",
}
"""The measures that the page shows step by step, with short names."""


def final_row(name: str, m: Measurement, samples: int) -> list[str]:
    """A row of the table at the end."""
    label, form, words = describe(name, m, samples)
    return [label.strip(), form(m.value), form(m.real), form(m.noise), words]


def default_title(run: FinishedRun) -> str:
    """What the settings say."""
    config = run.config
    better = [f"--ema {config.ema:g}"] if config.ema else []
    if config.g_learning_rate != type(config)().g_learning_rate:
        better.append(f"--g-learning-rate {config.g_learning_rate:g}")
    with_options = f" with `{' '.join(better)}`" if better else ""
    which = "drawn faces" if run.drawn else "real faces"
    return f"{run.done:,} steps of the {config.preset} configuration{with_options} on {which}"


if __name__ == "__main__":
    sys.exit(run_command(main))
