"""Make a run of what Keras saved: ``python -m minigan.import_keras G.hdf5 D.hdf5``.

It reads the files of the original program (Keras 2.2.4) and those that ``python -m minigan.export --to keras`` writes.
From the run, `minigan.sample` and `minigan.explore` draw faces. With the discriminator's file as well, a new run can
begin where the networks are: ``python -m minigan.train --start-from RUN``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from minigan.exchange.from_keras import read_keras
from minigan.exchange.imported_run import make_run
from minigan.runs.run_folder import check_new_folder, fresh_folders
from minigan.system.cli import Parser, path_name, run_command
from minigan.system.command_lines import command
from minigan.system.console import one_line, say
from minigan.system.errors import UserError


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
    out = Path(arguments.out) if arguments.out else next(fresh_folders("imported", datetime.now()))
    check_new_folder(out)
    generator, size = read_keras(Path(arguments.generator), "generator")
    discriminator = None
    if arguments.discriminator is not None:
        discriminator, other = read_keras(Path(arguments.discriminator), "discriminator")
        if other[1:] != size[1:]:
            raise UserError(
                f"the two networks must be of one size, but the generator has image size {size.image_size} and width "
                f"{size.width}, and the discriminator has {other.image_size} and {other.width}"
            )
    files = [Path(file) for file in (arguments.generator, arguments.discriminator) if file is not None]
    make_run(out, generator, discriminator, image_size=size.image_size, width=size.width, files=files)
    say(f"{one_line(out)}: a generator of {size.image_size}x{size.image_size} images, width {size.width}")
    say(f"Faces: {command('minigan.sample', out)}")
    if discriminator is not None:
        say(f"Train on: {command('minigan.train', '--start-from', out)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser("minigan.import_keras", "Make a run of a generator, and a discriminator, that Keras saved.")
    add = parser.add_argument
    add("generator", type=path_name, metavar="G.hdf5", help="the generator, written by model.save or save_weights")
    add("discriminator", type=path_name, metavar="D.hdf5", nargs="?", help="the discriminator, to train on from it")
    add("--out", type=path_name, metavar="RUN", help="new folder for the run (default: a fresh one under runs/)")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
