"""Look at a data set before training: ``python -m minigan.data info DIR``, which prints a `folder_survey`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minigan.data.folder_survey import cautions, describe, survey
from minigan.data.image_set import ImageSet
from minigan.nn.geometry import IMAGE_SIZES
from minigan.pages.plots import FORMATS, image_format, save_grid
from minigan.system.cli import Parser, path_name, run_command, whole
from minigan.system.console import complain, one_line, say
from minigan.system.errors import RunError, UserError

SHEET = 100
"""Images on a sheet, at most."""


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
    folder = Path(arguments.folder)
    sheet = Path(arguments.sheet) if arguments.sheet else None
    if sheet is not None:
        _check_sheet(sheet, folder, arguments.force)
    found = survey(folder, arguments.image_size)
    for name, words in describe(found):
        say(f"{name:<12}{one_line(words)}")
    if sheet is not None:
        _save_sheet(sheet, found.images)
    for words in cautions(found):
        complain(f"minigan: warning: {one_line(words)}")
    return 0


def _check_sheet(sheet: Path, folder: Path, force: bool) -> None:
    """Refuse a sheet that cannot be written, or that would lie in the data folder."""
    if image_format(sheet) is None:
        raise UserError(f"--sheet: must end in one of {', '.join(FORMATS)}, got {sheet.name!r}")
    try:
        if not sheet.parent.is_dir():
            raise UserError(f"--sheet: the folder {sheet.parent} does not exist")
        if sheet.is_dir():
            raise UserError(f"--sheet: must be a file, but {sheet} is a folder")
        if sheet.exists() and not force:
            raise UserError(f"--sheet: {sheet} exists already; --force replaces it")
        if sheet.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"--sheet: {sheet} would lie among the images to train on; choose another folder")
    except (OSError, RuntimeError) as error:
        raise UserError(f"--sheet: {sheet} cannot be written ({error})") from None


def _save_sheet(sheet: Path, images: ImageSet) -> None:
    """Save some of the images, spread evenly over all."""
    count = min(len(images), SHEET)
    chosen = np.arange(count) * len(images) // count
    try:
        save_grid(sheet, images.images[chosen])
    except OSError as error:
        raise RunError(f"cannot write {sheet}: {error.strerror or error}") from None
    say(f"{'sheet':<12}{one_line(sheet)}: {count} of the images, as training sees them")


def _parser() -> argparse.ArgumentParser:
    parser = Parser("minigan.data", "Look at a data set: info DIR says what training would see of it.")
    add = parser.add_argument
    add("what", choices=("info",), help="what to do")
    add("folder", type=path_name, metavar="DIR", help="folder of images")
    add("--image-size", type=whole, choices=IMAGE_SIZES, default=64, help="size at which to train (default: 64)")
    add("--sheet", type=path_name, metavar="FILE", help="save a sheet of some of the images, as training sees them")
    add("--force", action="store_true", help="replace FILE if it exists")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
