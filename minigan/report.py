"""Write the report of a run anew: ``python -m minigan.report RUN``.

The page is made by `minigan.evaluation.run_report`; while a run trains, its trainer writes it again and again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from minigan.evaluation.run_report import renew
from minigan.runs.layout import REPORT_NAME
from minigan.system.cli import Parser, path_name, run_command
from minigan.system.console import one_line, say
from minigan.system.errors import cannot_write


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
    path = Path(arguments.run)
    try:
        renew(path)
    except OSError as error:
        raise cannot_write(error, f"{path / REPORT_NAME} cannot be written") from None
    say(f"{one_line(path / REPORT_NAME)} is written; open it in a browser")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser("minigan.report", f"Write {REPORT_NAME} in a run folder anew: the whole run on one page.")
    parser.add_argument("run", type=path_name, metavar="RUN", help="run folder")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
