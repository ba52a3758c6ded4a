"""Write a trained generator for other tools: ``python -m minigan.export [RUN] --to onnx``.

Without a RUN, it is the generator that comes with minigan (`minigan.runs.pretrained`). The file holds the newest
generator of a run: for a run with ``--ema`` the generator's average, unless ``--raw`` asks for the generator itself.
docs/exchange.md shows how each tool reads its file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from minigan.exchange.to_keras import write_keras
from minigan.exchange.to_onnx import write_onnx
from minigan.exchange.to_torch import write_torch
from minigan.nn.network import Sequential
from minigan.runs.pretrained import is_pretrained, pretrained_run, say_which
from minigan.runs.saved_generator import load_discriminator, load_generator
from minigan.system.cli import Parser, path_name, run_command
from minigan.system.console import one_line, say
from minigan.system.errors import UserError, cannot_write

FORMATS: dict[str, tuple[str, tuple[str, ...], Callable[[Path, Sequential], None]]] = {
    "onnx": (".onnx", (".onnx",), write_onnx),
    "keras": (".hdf5", (".hdf5", ".h5"), write_keras),  # by another one, Keras would not know the format
    "torch": (".torch.safetensors", (".safetensors",), write_torch),
}
"""The formats: suffix of the default name, suffixes that a name may have, and what writes the file."""


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
    suffix, suffixes, write = FORMATS[arguments.to]
    if arguments.out and Path(arguments.out).suffix.lower() not in suffixes:
        raise UserError(f"--out: must end in {' or '.join(suffixes)} with --to {arguments.to}, got {arguments.out!r}")
    if arguments.network == "discriminator":
        if arguments.raw:
            raise UserError("--raw: chooses between the generators of a run, got --network discriminator as well")
        network, step = load_discriminator(source)
    else:
        network, step = load_generator(source, raw=arguments.raw)
        if not arguments.run:
            say_which(step)
    name = f"{arguments.network}-step{step:06}{'-raw' if arguments.raw else ''}{suffix}"
    out = Path(arguments.out) if arguments.out else _beside(source, name)
    try:
        if arguments.out and out.exists() and not arguments.force:
            raise UserError(f"--out: {out} exists already; --force replaces it")
        write(out, network)
    except OSError as error:
        raise cannot_write(error, f"{out} cannot be written") from None
    say(f"{one_line(out)}: the {network.name} after {step:,} training steps, for {arguments.to}")
    return 0


def _beside(source: Path, name: str) -> Path:
    """A file in the run, or beside a saved network; in the current folder for what comes with minigan."""
    if is_pretrained(source):
        return Path(f"pretrained-{name}")
    return source / name if source.is_dir() else source.with_name(f"{source.stem[:100]}-{name}")


def _parser() -> argparse.ArgumentParser:
    parser = Parser("minigan.export", "Write the newest generator of a run to a file for another tool.")
    add = parser.add_argument
    add(
        "run",
        type=path_name,
        nargs="?",
        metavar="RUN",
        help="run folder, or a saved network in its models/ (default: the generator that comes with minigan)",
    )
    add("--to", choices=tuple(FORMATS), required=True, help="the tool: ONNX, Keras 3 or PyTorch")
    add(
        "--out",
        type=path_name,
        metavar="FILE",
        help="file to write (default: one in or beside RUN; without RUN, one in the current folder)",
    )
    add("--force", action="store_true", help="replace FILE if it exists")
    add("--network", choices=("generator", "discriminator"), default="generator", help="which (default: generator)")
    add("--raw", action="store_true", help="of a run with --ema, the generator itself and not its average")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
