"""Explore a generator's faces in the browser: ``python -m minigan.explore [RUN]``.

Without a RUN, it is the generator that comes with minigan (`minigan.runs.pretrained`).

The page comes from a server on this machine (`minigan.play.explore_server`). With ``--static DIR`` it is written to a
folder instead, for any file server (`minigan.play.static_page`); then the browser itself draws.
"""

from __future__ import annotations

import argparse
import sys
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from minigan.evaluation.samples import draw_faces, random_noise
from minigan.nn.backend import NUMPY
from minigan.play.directions import directions_of
from minigan.play.explore_page import Explorable
from minigan.play.explore_server import ExploreServer
from minigan.play.static_page import write_folder
from minigan.runs.pretrained import is_pretrained, pretrained_run
from minigan.runs.saved_generator import BROKEN_GENERATOR, load_generator
from minigan.system.cli import Parser, path_name, run_command, whole
from minigan.system.command_lines import quoted
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
    if arguments.port is not None and not 1 <= arguments.port <= 65_535:
        raise UserError(f"--port: must be between 1 and 65535, got {arguments.port}")
    if arguments.static and (arguments.port is not None or arguments.no_browser):
        raise UserError("--static: writes a folder and serves nothing, so it cannot go with --port or --no-browser")
    subject = _open(Path(arguments.run) if arguments.run else pretrained_run())
    if arguments.static:
        folder = Path(arguments.static)
        size = write_folder(folder, subject)
        look = f"python -m http.server --bind 127.0.0.1 --directory {quoted(folder)}"
        say(f"{one_line(folder)}: {size / 1e6:.1f} MB for any file server; to look at it: {one_line(look)}")
        return 0
    with ExploreServer(subject, arguments.port) as server:
        say(f"{server.address}\n{one_line(subject.name)} after {subject.step:,} training steps; Ctrl-C ends it")
        if not arguments.no_browser:
            threading.Thread(target=webbrowser.open, args=[server.address], daemon=True).start()
        server.serve_forever(poll_interval=0.2)
    return 0


def _open(source: Path) -> Explorable:
    generator, step = load_generator(source)
    if draw_faces(generator, random_noise(0, 4), NUMPY, batch_size=4) is None:
        raise UserError(BROKEN_GENERATOR)
    name = source.stem if source.is_file() else source.resolve().name
    if is_pretrained(source):
        name = "The generator that comes with minigan"
    return Explorable(generator, name, step, directions_of(generator, source))


def _parser() -> argparse.ArgumentParser:
    parser = Parser("minigan.explore", "Explore a generator's faces in the browser.")
    add = parser.add_argument
    add(
        "run",
        type=path_name,
        nargs="?",
        metavar="RUN",
        help="run folder, or a saved generator in its models/ (default: the generator that comes with minigan)",
    )
    add("--port", type=whole, metavar="N", help="port of the local server (default: 8164 or, if in use, a free one)")
    add("--no-browser", action="store_true", help="only print the address")
    add("--static", type=path_name, metavar="DIR", help="write the page to a folder for any file server, and end")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
