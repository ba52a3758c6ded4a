"""Look at a data set before training, and at the cache: ``python -m minigan.data info DIR``, ``... cache list``.

`info` prints a `folder_survey`; `cache list` and `cache clear` show and remove the `cache_contents`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from minigan.data.cache import cache_directory
from minigan.data.cache_contents import CachedSet, cached_sets, remove
from minigan.data.folder_survey import cautions, describe, survey
from minigan.data.image_set import ImageSet
from minigan.nn.geometry import IMAGE_SIZES
from minigan.pages.plots import FORMATS, image_format, save_grid
from minigan.system.cli import Parser, path_name, run_command, whole
from minigan.system.console import complain, one_line, say
from minigan.system.errors import UserError, cannot_write
from minigan.system.wording import plural

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
    if arguments.what == "cache":
        return _clear_cache() if arguments.action == "clear" else _list_cache()
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
        raise cannot_write(error, f"{sheet} cannot be written") from None
    say(f"{'sheet':<12}{one_line(sheet)}: {count} of the images, as training sees them")


def _list_cache() -> int:
    sets = cached_sets()
    say(f"{one_line(cache_directory())}: {plural(len(sets), 'set')}, {_megabytes(sets)}")
    for each in sets:
        used = datetime.fromtimestamp(each.last_used)
        say(f"  {_megabytes([each]):>10}  used {used:%Y-%m-%d %H:%M}  {one_line(each.what)}")
    return 0


def _clear_cache() -> int:
    removed, kept = remove(cached_sets())
    for each in removed:
        say(f"removed {_megabytes([each])}: {one_line(each.what)}")
    say(f"{one_line(cache_directory())}: {plural(len(removed), 'set')} removed, {_megabytes(removed)}")
    for words in kept:
        complain(f"minigan: warning: stays in the cache: {one_line(words)}")
    return 1 if kept else 0


def _megabytes(sets: Sequence[CachedSet]) -> str:
    return f"{sum(each.size for each in sets) / 1e6:,.1f} MB"


class _Part(Parser):
    """The parser of what comes after one of the words."""

    def __init__(self, prog: str, description: str, **_: Any) -> None:
        super().__init__(prog.removeprefix("python -m "), description)


def _parser() -> argparse.ArgumentParser:
    parser = Parser("minigan.data", "Look at a data set, or at the cache of decoded images.")
    parts = parser.add_subparsers(dest="what", required=True, parser_class=_Part)
    told = "says what training would see of a folder of images"
    info = parts.add_parser("info", help=f"info DIR {told}", description=f"It {told}.")
    add = info.add_argument
    add("folder", type=path_name, metavar="DIR", help="folder of images")
    add("--image-size", type=whole, choices=IMAGE_SIZES, default=64, help="size at which to train (default: 64)")
    add("--sheet", type=path_name, metavar="FILE", help="save a sheet of some of the images, as training sees them")
    add("--force", action="store_true", help="replace FILE if it exists")
    told = "Images are decoded once, and kept in the cache. list shows what is in it; clear removes all of that."
    cache = parts.add_parser(
        "cache", help="cache list shows what is in the cache, cache clear empties it", description=told
    )
    cache.add_argument("action", choices=("list", "clear"), help="what to do with it")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
