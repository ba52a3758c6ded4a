"""Draw faces with a trained generator: ``python -m minigan.sample [RUN]``.

Without a RUN, the generator that comes with minigan draws them (`minigan.runs.pretrained`).
The generator runs in inference mode, from noise that is a function of the seed, so the same command draws the same
faces. For a run with ``--ema``, the generator's average draws them, unless ``--raw`` asks for the generator itself.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from minigan.evaluation.samples import BROKEN_GENERATOR, draw_faces, interpolation, random_noise
from minigan.nn.backend import backend_names, get_backend
from minigan.nn.rng import MAX_SEED
from minigan.pages.plots import FORMATS, fits, image_format, save_grid
from minigan.runs.pretrained import is_pretrained, pretrained_run, say_which
from minigan.runs.saved_generator import load_generator
from minigan.system.cli import Parser, core_count, path_name, run_command, whole
from minigan.system.console import one_line, say
from minigan.system.errors import UserError, cannot_write
from minigan.system.workers import using_workers

MAX_FACES = 10_000


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
    count = arguments.n if arguments.n is not None else (10 if arguments.interpolate else 64)
    least = 2 if arguments.interpolate else 1
    if not least <= count <= MAX_FACES:
        raise UserError(f"--n: must be between {least} and {MAX_FACES}, got {count}")
    if not 0 <= arguments.seed <= MAX_SEED:
        raise UserError(f"--seed: must be between 0 and {MAX_SEED}, got {arguments.seed}")
    backend = get_backend(arguments.backend)
    generator, step = load_generator(source, raw=arguments.raw)
    if not arguments.run:
        say_which(step)
    out = Path(arguments.out) if arguments.out else _default_out(source, step, arguments, count)
    _check_out(out)
    if arguments.out and out.exists() and not arguments.force:
        raise UserError(f"--out: {out} exists already; --force replaces it")
    columns = count if arguments.interpolate else None
    if not fits(out, count, generator.output_shape()[0], columns=columns):
        raise UserError(f"--out: a {out.suffix} file cannot hold so large an image; try .png")
    noise = interpolation(arguments.seed, count) if arguments.interpolate else random_noise(arguments.seed, count)
    with using_workers(arguments.threads):
        faces = draw_faces(generator.to(backend), noise, backend, batch_size=64, progress=True)
    if faces is None:
        raise UserError(BROKEN_GENERATOR)
    try:
        save_grid(out, faces, columns=columns)
    except OSError as error:
        raise cannot_write(error, f"{out} cannot be written") from None
    say(f"{one_line(out)}: {count} face{'s' if count > 1 else ''} after {step:,} training steps")
    return 0


def _default_out(source: Path, step: int, arguments: argparse.Namespace, count: int) -> Path:
    """A file in the run, or beside the saved generator, with a name that says all that the faces depend on.

    So what is drawn after more training, or with another of the saved generators, replaces nothing. With the generator
    that comes with minigan it is a file in the current folder.
    """
    kind = "interpolation" if arguments.interpolate else "sample"
    name = f"{kind}-step{step:06}-seed{arguments.seed}-n{count}{'-raw' if arguments.raw else ''}.png"
    if is_pretrained(source):
        return Path(f"pretrained-{name}")
    return source / name if source.is_dir() else source.with_name(f"{source.stem[:100]}-{name}")


def _check_out(out: Path) -> None:
    if image_format(out) is None:
        raise UserError(f"--out: must end in one of {', '.join(FORMATS)}, got {out.name!r}")
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
    add("--n", type=whole, metavar="N", help="number of faces (default: 64; 10 with --interpolate)")
    add("--seed", type=whole, default=0, metavar="N", help="seed of the noise (default: 0)")
    add(
        "--out",
        type=path_name,
        metavar="FILE",
        help="image file to write (default: one in or beside RUN, named after its training steps and these options; "
        "without RUN, one in the current folder)",
    )
    add("--force", action="store_true", help="replace FILE if it exists")
    add("--interpolate", action="store_true", help="a strip of faces on the way from one to another")
    add("--raw", action="store_true", help="of a run with --ema, the generator itself and not its average")
    add("--backend", choices=backend_names(), default="numpy", help="numpy (default) or cupy")
    add("--threads", type=core_count, metavar="N", help="cores to work on with numpy (default: all)")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
