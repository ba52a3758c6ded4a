"""Write the report of a run anew, ``python -m minigan.report RUN``, or compare several: ``RUN RUN ...``.

The report is made by `minigan.evaluation.run_report`; while a run trains, its trainer writes it again and again. The
comparison is made by `minigan.evaluation.run_comparison`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from minigan.evaluation.run_comparison import MOST_RUNS, write_comparison
from minigan.evaluation.run_report import renew
from minigan.runs.layout import REPORT_NAME
from minigan.system.cli import Parser, path_name, run_command
from minigan.system.console import one_line, say
from minigan.system.errors import UserError, cannot_write


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
    runs = [Path(run) for run in arguments.runs]
    if len(runs) == 1:
        if arguments.out is not None or arguments.force:
            name = "--force" if arguments.out is None else "--out"
            raise UserError(
                f"{name}: is for a comparison of several runs; the report of one is written into its folder"
            )
        out = runs[0] / REPORT_NAME
    else:
        names = "-".join(Path(os.path.realpath(run)).name for run in runs)  # of links in a circle, it makes a name, too
        out = Path(arguments.out or f"comparison-{names[:100]}.html")
    try:
        if len(runs) == 1:
            renew(runs[0])
        elif arguments.out and out.exists() and not arguments.force:
            raise UserError(f"--out: {out} exists already; --force replaces it")
        else:
            write_comparison(out, runs)
    except OSError as error:
        raise cannot_write(error, f"{out} cannot be written") from None
    say(f"{one_line(out)} is written; open it in a browser")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "minigan.report",
        f"Write {REPORT_NAME} in a run folder anew: the whole run on one page. Of several runs: compare them.",
    )
    add = parser.add_argument
    add("runs", type=path_name, nargs="+", metavar="RUN", help=f"run folder; to compare, 2 to {MOST_RUNS} of them")
    add("--out", type=path_name, metavar="FILE", help="page of a comparison (default: one in the current folder)")
    add("--force", action="store_true", help="replace FILE if it exists")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
