"""Learn sliders with names for a run on drawn faces: ``python -m minigan.play.learn_directions [RUN]``.

Without a RUN they are those of the generator that comes with minigan, which lie in the package.

It trains two heads, looks at 20,000 faces of the run's newest generator, measures on others
(`minigan.play.direction_learning`), prints what it has measured, and writes directions.json to the run. The page of
`minigan.explore` then shows the sliders. They belong to one state of the weights: after more training, learn them anew.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from minigan.data.drawn.face_set import open_drawn_faces
from minigan.play.direction_learning import Effort, learn_directions, tables, train_heads
from minigan.play.direction_strips import save_strips
from minigan.play.directions import FILE_NAME, PRETRAINED, write_directions
from minigan.play.face_questions import QUESTIONS
from minigan.play.face_text import weights_hash
from minigan.runs.pretrained import is_pretrained, pretrained_run
from minigan.runs.run_records import open_config
from minigan.runs.saved_generator import load_generator
from minigan.runs.training_images import are_unknown
from minigan.system.cli import Parser, core_count, path_name, run_command
from minigan.system.console import one_line, say
from minigan.system.errors import UserError, cannot_write
from minigan.system.workers import using_workers

EFFORT = Effort()


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
    if config.data is not None or are_unknown(config, about):
        found = "learned from other images" if config.data is not None else "was imported, and its images are not known"
        raise UserError(f"RUN: must have learned from drawn faces, but {run} {found}")
    out = Path(arguments.out) if arguments.out else PRETRAINED if is_pretrained(run) else run / FILE_NAME
    picture = Path(arguments.picture) if arguments.picture else None
    _check_out("--out", out, ".json", arguments.force or not arguments.out)
    if picture is not None:
        _check_out("--picture", picture, ".png", arguments.force)
    generator, step = load_generator(run)
    with using_workers(arguments.threads):
        images = open_drawn_faces(EFFORT.drawn, config.image_size).images
        heads, accuracies = train_heads(images, QUESTIONS, EFFORT)
        directions, measured = learn_directions(generator, heads, QUESTIONS, EFFORT)
        for slider, *right in zip(measured["sliders"], *accuracies, strict=True):
            slider["accuracy"] = right
        say(tables(measured))
        try:
            write_directions(out, weights_hash(generator), directions, measured)
            if picture is not None and directions:
                save_strips(picture, generator, directions)
        except OSError as error:
            raise cannot_write(error, f"{error.filename or out} cannot be written") from None
    say(f"{one_line(out)}: {len(directions)} sliders of {len(QUESTIONS)} questions, after {step:,} training steps")
    return 0


def _check_out(option: str, path: Path, suffix: str, force: bool) -> None:
    """Refuse a file that cannot be written, before minutes are spent on what is to be in it."""
    try:
        if path.suffix != suffix or not path.parent.is_dir() or path.is_dir():
            raise UserError(f"{option}: must be a {suffix} file in a folder that exists, got {path}")
    except OSError as error:
        raise UserError(f"{option}: {path} cannot be written: {error.strerror or error}") from None
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UserError(f"{option}: the folder {path.parent} is read-only")
    if path.exists() and not force:
        raise UserError(f"{option}: {path} exists already; --force replaces it")


def _parser() -> argparse.ArgumentParser:
    parser = Parser("minigan.play.learn_directions", "Learn sliders with names for a run on drawn faces; some minutes.")
    add = parser.add_argument
    add(
        "run",
        nargs="?",
        type=path_name,
        metavar="RUN",
        help="run folder (default: the generator that comes with minigan)",
    )
    add("--out", type=path_name, metavar="FILE", help=f"file to write or replace (default: {FILE_NAME} in RUN)")
    add("--picture", type=path_name, metavar="FILE", help="also draw faces along every slider, as a PNG file")
    add("--force", action="store_true", help="replace the files that are named here if they exist")
    add("--threads", type=core_count, metavar="N", help="cores to work on (default: all)")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
