"""List the commands: ``python -m minigan``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import minigan
from minigan.system.cli import Parser, run_command
from minigan.system.console import say

COMMANDS = {
    "minigan.prepare": "make a data set of square faces from a folder or an archive of images",
    "minigan.data": "say what training would see of a folder (info DIR); show or empty the cache (cache list, clear)",
    "minigan.train": "train the DCGAN on drawn faces or on a folder of images",
    "minigan.evaluate": "say whether a run is normal, and measure its faces",
    "minigan.sample": "draw faces, or the way from one face to another, with a trained generator",
    "minigan.explore": "explore a trained generator in the browser, or write the page for a web server",
    "minigan.report": "write the report of a run anew: all of it on one page",
    "minigan.export": "write a trained generator to a file for ONNX, Keras or PyTorch",
    "minigan.import_keras": "make a run of networks that Keras saved",
    "minigan.check": "say what is wrong with layers of your own, and why it probably is",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Print the list, or the version."""
    listing = "\n".join(f"  python -m {name:<22}{what}" for name, what in COMMANDS.items())
    text = f"commands (each has --help):\n{listing}"
    about = f"{minigan.__doc__ or 'minigan'}\n\n{text}"  # python -OO leaves docstrings out
    parser = Parser("minigan", about)
    parser.add_argument("--version", action="version", version=f"minigan {minigan.__version__}")
    parser.parse_args(argv)
    say(about)
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
