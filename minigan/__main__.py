"""All commands in one: ``minigan train ...`` is ``python -m minigan.train ...``; alone, it lists the commands.

The command ``minigan`` comes with the installation; ``python -m minigan train ...`` is the same, wherever it was put.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from collections.abc import Sequence

import minigan
from minigan.system.cli import Parser, run_command
from minigan.system.console import say
from minigan.system.errors import UserError

COMMANDS = {
    "prepare": "make a data set of square faces from a folder or an archive of images",
    "data": "say what training would see of a folder (info DIR); show or empty the cache (cache list, clear)",
    "train": "train the DCGAN on drawn faces or on a folder of images",
    "evaluate": "say whether a run is normal, and measure its faces",
    "sample": "draw faces, or the way from one face to another, with a trained generator",
    "explore": "explore a trained generator in the browser, or write the page for a web server",
    "report": "write the report of a run anew: all of it on one page",
    "export": "write a trained generator to a file for ONNX, Keras or PyTorch",
    "import_keras": "make a run of networks that Keras saved",
    "check": "say what is wrong with layers of your own, and why it probably is",
}

COMPLETIONS = {
    "bash": "_minigan() {{ [ $COMP_CWORD -eq 1 ] && COMPREPLY=($(compgen -W '{names}' -- \"$2\")); }}\n"
    "complete -o default -F _minigan minigan",
    "zsh": 'compdef \'_arguments "1:command:({names})" "*:file:_files"\' minigan',
    "fish": "complete -c minigan -n __fish_use_subcommand -f -a '{names}'",
}
"""For each shell, the lines that make it complete the names of commands, and behind them those of files."""


def main(argv: Sequence[str] | None = None) -> int:
    """Do a command, or print the list of commands.

    Parameters
    ----------
    argv : sequence of str, optional
        Name of a command and its arguments, by default the process's own.

    Returns
    -------
    int
        Exit status.

    Raises
    ------
    UserError, RunError
        See `minigan.system.cli.run_command`.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words and not words[0].startswith("-"):
        return _do(words[0], words[1:])
    parser = _parser()
    arguments = parser.parse_args(words)
    if arguments.completion:
        say(COMPLETIONS[arguments.completion].format(names=" ".join(COMMANDS)))
    else:
        say(parser.description or "")
    return 0


def _do(name: str, arguments: list[str]) -> int:
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(COMMANDS)}"
        raise UserError(f"no command is called {name[:40]!r}; {hint}")
    module = importlib.import_module(f"minigan.{name}")
    if hasattr(module, "__path__"):  # a folder, whose command is apart from what it holds
        module = importlib.import_module(f"minigan.{name}.__main__")
    status: int = module.main(arguments)
    return status


def _parser() -> argparse.ArgumentParser:
    listing = "\n".join(f"  minigan {name:<14}{what}" for name, what in COMMANDS.items())
    about = (
        f"{minigan.__doc__ or 'minigan'}\n\n"  # python -OO leaves docstrings out
        "commands (each has --help; python -m minigan.train is the same as minigan train):\n"
        f"{listing}"
    )
    parser = Parser("minigan", about)
    parser.add_argument("--version", action="version", version=f"minigan {minigan.__version__}")
    parser.add_argument(
        "--completion",
        choices=sorted(COMPLETIONS),
        metavar="SHELL",
        help='print what makes bash, zsh or fish complete the names of commands: eval "$(minigan --completion bash)"',
    )
    return parser


def console() -> int:
    """Run what the installed command ``minigan`` runs; returns its exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(console())
