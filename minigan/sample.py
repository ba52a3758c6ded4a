"""Draw faces with a trained generator: ``python -m minigan.sample [RUN]``.

Without a RUN, the generator that comes with minigan draws them (`minigan.runs.pretrained`).
The generator runs in inference mode, from noise that is a function of the seed, so the same command draws the same
faces. With ``--like`` they are the faces of given texts (`minigan.play.face_text`).
For a run with ``--ema``, the generator's average draws them, unless ``--raw`` asks for the generator itself.
``--fresh-statistics`` measures its moving statistics anew before it draws (`minigan.gan.average.fresh_statistics`).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from minigan.evaluation.samples import (
    FRESH_STATISTICS,
    check_fresh_statistics,
    draw_faces,
    path_between,
    random_noise,
)
from minigan.gan.average import fresh_statistics
from minigan.nn.backend import Array, backend_names, get_backend
from minigan.nn.network import Sequential
from minigan.nn.rng import MAX_SEED
from minigan.pages.plots import FILM_FORMATS, FORMATS, fits, save_animation, save_grid, save_separate
from minigan.play.face_text import noise_of_text, weights_hash
from minigan.runs.pretrained import is_pretrained, pretrained_run, say_which
from minigan.runs.saved_generator import BROKEN_GENERATOR, load_generator
from minigan.system.cli import Parser, core_count, path_name, run_command, whole
from minigan.system.console import one_line, say
from minigan.system.errors import UserError, cannot_write
from minigan.system.workers import using_workers

MAX_FACES, MAX_FRAMES = 10_000, 1_000


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
    source = Path(arguments.run) if arguments.run else pretrained_run()
    count = _count(arguments)
    if not 0 <= arguments.seed <= MAX_SEED:
        raise UserError(f"--seed: must be between 0 and {MAX_SEED}, got {arguments.seed}")
    check_fresh_statistics(arguments.fresh_statistics)
    backend = get_backend(arguments.backend)
    generator, step = load_generator(source, raw=arguments.raw, step=arguments.step)
    if not arguments.run:
        say_which(step)
    noise, begun_from = _noise(arguments, generator, count)
    if arguments.separate is not None:
        out = Path(arguments.separate)
        _check_folder(out)
    else:
        out = Path(arguments.out) if arguments.out else _default_out(source, step, arguments, count, begun_from)
        _check_out(out, FILM_FORMATS if arguments.film else FORMATS)
    if arguments.out and out.exists() and not arguments.force:
        raise UserError(f"--out: {out} exists already; --force replaces it")
    columns = count if arguments.interpolate else None
    side = generator.output_shape()[0]
    if not (arguments.film or arguments.separate or fits(out, count, side, columns=columns)):
        raise UserError(f"--out: a {out.suffix} file cannot hold so large an image; try .png")
    with using_workers(arguments.threads):
        generator.to(backend)
        if arguments.fresh_statistics:
            fresh_statistics(generator, arguments.fresh_statistics)
        faces = draw_faces(generator, noise, backend, batch_size=64, progress=True)
    if faces is None:
        raise UserError(BROKEN_GENERATOR)
    try:
        if arguments.separate is not None:
            save_separate(out, faces)
        elif arguments.film:
            save_animation(out, faces)
        else:
            save_grid(out, faces, columns=columns)
    except OSError as error:
        raise cannot_write(error, f"{out} cannot be written") from None
    say(f"{one_line(out)}: {count} face{'s' if count > 1 else ''} after {step:,} training steps")
    return 0


def _count(arguments: argparse.Namespace) -> int:
    """How many faces to draw. Raises UserError if that is out of range, or options do not go together."""
    a = arguments
    is_way = a.interpolate or a.film
    for name, given, others in (
        ("--film", a.film, {"--interpolate": a.interpolate, "--separate": a.separate is not None}),
        ("--separate", a.separate is not None, {"--out": a.out is not None, "--force": a.force}),
        ("--like", a.like, {"--seed": a.seed is not None, "--n": a.n is not None and not is_way}),
        ("--like", a.like, {"--fresh-statistics": a.fresh_statistics is not None}),  # they would draw another face
    ):
        both = [other for other, also in others.items() if given and also]
        if both:
            raise UserError(f"{name}: does not go together with {both[0]}")
    a.seed = 0 if a.seed is None else a.seed
    ends = len(a.like) if a.like else 2
    if is_way and ends < 2:
        raise UserError(f"--like: a way needs 2 texts or more, got {ends}")
    if a.like and not is_way:
        return ends
    usual = 60 if a.film else 10 if a.interpolate else 64
    count = a.n if a.n is not None else max(usual, ends)
    least, most = ends if is_way else 1, MAX_FRAMES if a.film else MAX_FACES
    if not least <= count <= most:
        raise UserError(f"--n: must be between {least} and {most}, got {count}")
    return count


def _noise(arguments: argparse.Namespace, generator: Sequential, count: int) -> tuple[Array, str]:
    """Noise of the faces to draw, and in a few characters what it is made of, for the name of a file."""
    if arguments.like:
        weights = weights_hash(generator)
        ends = np.concatenate([noise_of_text(text, weights) for text in arguments.like])
        begun_from = f"like{hashlib.sha256(ends.tobytes()).hexdigest()[:8]}"
    else:
        ends = random_noise(arguments.seed, 2 if arguments.interpolate or arguments.film else count)
        begun_from = f"seed{arguments.seed}"
    if arguments.film:  # it ends where it begins
        ends = path_between(np.concatenate([ends, ends[:1]]), count + 1)[:-1]
    elif arguments.interpolate:
        ends = path_between(ends, count)
    return ends, begun_from


def _default_out(source: Path, step: int, arguments: argparse.Namespace, count: int, begun_from: str) -> Path:
    """A file in the run, or beside the saved generator, with a name that says all that the faces depend on.

    So what is drawn after more training, or with another of the saved generators, replaces nothing. With the generator
    that comes with minigan it is a file in the current folder.
    """
    kind = "interpolation" if arguments.interpolate else "film" if arguments.film else "sample"
    fresh = f"-fresh{arguments.fresh_statistics}" if arguments.fresh_statistics else ""
    name = f"{kind}-step{step:06}-{begun_from}-n{count}{'-raw' if arguments.raw else ''}{fresh}.png"
    if is_pretrained(source):
        return Path(f"pretrained-{name}")
    return source / name if source.is_dir() else source.with_name(f"{source.stem[:100]}-{name}")


def _check_folder(folder: Path) -> None:
    try:
        if os.path.lexists(folder):
            raise UserError(f"--separate: must be a new folder, but {folder} exists already")
        if not folder.parent.is_dir():
            raise UserError(f"--separate: the folder {folder.parent} does not exist")
    except OSError as error:
        raise UserError(f"--separate: {folder} cannot be made: {error.strerror or error}") from None


def _check_out(out: Path, suffixes: Collection[str]) -> None:
    if out.suffix.lower() not in suffixes:
        raise UserError(f"--out: must end in one of {', '.join(suffixes)}, got {out.name!r}")
    try:
        if out.is_dir():
            raise UserError(f"--out: must be a file, but {out} is a folder")
        if not out.parent.is_dir():
            raise UserError(f"--out: the folder {out.parent} does not exist")
    except OSError as error:
        raise UserError(f"--out: {out} cannot be written: {error.strerror or error}") from None
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise UserError(f"--out: the folder {out.parent} is read-only")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "minigan.sample", "Draw faces with the newest generator of a run, or with the one that comes with minigan."
    )
    add = parser.add_argument
    add(
        "run",
        type=path_name,
        nargs="?",
        metavar="RUN",
        help="run folder, or a saved generator in its models/ (default: the generator that comes with minigan)",
    )
    add("--n", type=whole, metavar="N", help="number of faces (default: 64; 10 with --interpolate, 60 with --film)")
    add("--seed", type=whole, metavar="N", help="seed of the noise (default: 0)")
    add(
        "--like",
        nargs="+",
        action="extend",
        metavar="TEXT",
        help="draw the faces of these texts, which minigan.explore shows, and which belong to one generator",
    )
    add("--step", type=whole, metavar="N", help="not the newest generator, but the one kept after N training steps")
    add(
        "--out",
        type=path_name,
        metavar="FILE",
        help="image file to write (default: one in or beside RUN, named after its training steps and these options; "
        "without RUN, one in the current folder)",
    )
    add("--force", action="store_true", help="replace FILE if it exists")
    add("--interpolate", action="store_true", help="a strip of faces on the way from one to another")
    add(
        "--film",
        action="store_true",
        help=f"a film of the way from one face to another and back ({', '.join(FILM_FORMATS)})",
    )
    add(
        "--separate",
        type=path_name,
        metavar="DIR",
        help="instead of one image, a new folder with a file for each face, pixel by pixel",
    )
    add("--raw", action="store_true", help="of a run with --ema, the generator itself and not its average")
    add("--fresh-statistics", type=whole, metavar="N", help=FRESH_STATISTICS)
    add("--backend", choices=backend_names(), default="numpy", help="numpy (default) or cupy")
    add("--threads", type=core_count, metavar="N", help="cores to work on with numpy (default: all)")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
