"""Learn sliders with names for a run on drawn faces: ``python -m minigan.play.learn_directions RUN``.

Trains two heads, looks at 20,000 faces of the run's newest generator, measures on others
(`minigan.play.direction_learning`), prints what it has measured, and writes directions.json to the run. The page of
`minigan.explore` then shows the sliders. They belong to one state of the weights: after more training, learn them anew.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from minigan.data.drawn.face_set import open_drawn_faces
from minigan.gan.face_text import weights_hash
from minigan.play.direction_learning import Effort, learn_directions, tables, train_heads
from minigan.play.direction_strips import save_strips
from minigan.play.directions import FILE_NAME, write_directions
from minigan.play.face_questions import QUESTIONS
from minigan.runs.run_records import open_config
from minigan.runs.saved_generator import load_generator
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
    run = Path(arguments.run)
    config, _ = open_config(run)
    if config.data is not None:
        raise UserError(f"RUN: must have learned from drawn faces, but {run} learned from other images")
    out = Path(arguments.out) if arguments.out else run / FILE_NAME
    picture = Path(arguments.picture) if arguments.picture else None
    for option, path, suffix in (("--out", out, ".json"), ("--picture", picture, ".png")):
        if path is not None and (path.suffix != suffix or not path.parent.is_dir()):
            raise UserError(f"{option}: must be a {suffix} file in a folder that exists, got {path}")
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


def _parser() -> argparse.ArgumentParser:
    parser = Parser("minigan.play.learn_directions", "Learn sliders with names for a run on drawn faces; some minutes.")
    add = parser.add_argument
    add("run", type=path_name, metavar="RUN", help="run folder")
    add("--out", type=path_name, metavar="FILE", help=f"file to write or replace (default: {FILE_NAME} in RUN)")
    add("--picture", type=path_name, metavar="FILE", help="also draw faces along every slider, as a PNG file")
    add("--threads", type=core_count, metavar="N", help="cores to work on (default: all)")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
