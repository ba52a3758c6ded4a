"""Make a data set from a folder or an archive of images: ``python -m minigan.prepare SRC DST``.

This file reads the command line, opens the face detector, and calls `minigan.data.prepare.pipeline`. At the end it
writes the reports beside the images, from the counts that were made on the way.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import minigan
from minigan.data.prepare.data_card import DataCardFacts, concerns, data_card, report_json
from minigan.data.prepare.face_detector import Cascade
from minigan.data.prepare.pipeline import PICTURES, kept_name, prepare_source
from minigan.data.prepare.preparation_report import report_html
from minigan.data.prepare.prepared_file import SIZES, Settings
from minigan.data.prepare.tally import KINDS, Tally
from minigan.system.cli import Parser, path_name, run_command, whole
from minigan.system.command_lines import command
from minigan.system.console import complain, one_line, say
from minigan.system.errors import UserError
from minigan.system.worker_pool import worker_count

MAX_MARGIN = 4.0

_EXPLAINED = ("unreadable", "no picture", "refused")  # kinds for which the summary says the reasons


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
    given = sys.argv[1:] if argv is None else list(argv)
    arguments = _parser().parse_args(given)
    settings = _settings(arguments)
    workers = worker_count() if arguments.workers is None else arguments.workers
    if workers < 1:
        raise UserError(f"--workers: must be 1 or more, got {workers}")
    cascade = Cascade.load(Path(arguments.cascade)) if arguments.cascade else None
    source, target = Path(arguments.source), Path(arguments.target)
    started, clock = datetime.now(), time.monotonic()

    def finish(tally: Tally, folder: Path) -> None:
        facts = DataCardFacts(
            name=target.resolve().name,
            source=arguments.source,
            is_archive=source.is_file(),
            settings=settings,
            cascade=Path(arguments.cascade).name if cascade else "",
            cascade_sha256=hashlib.sha256(cascade.text.encode("utf-8")).hexdigest() if cascade else "",
            command=command("minigan.prepare", *given),
            started=started,
            seconds=time.monotonic() - clock,
            versions=_versions(),
        )
        write = {
            "report.json": report_json(tally, facts),
            "report.html": report_html(tally, facts, folder / PICTURES),
            "DATACARD.md": data_card(tally, facts),
        }
        for name, text in write.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n", errors="backslashreplace")
        for words in concerns(tally, facts):
            complain(f"minigan: warning: {one_line(words)}")

    tally = prepare_source(source, target, settings, finish, detector=cascade, workers=workers)
    say(_summary(tally, arguments.source, target))
    return 0


def _settings(arguments: argparse.Namespace) -> Settings:
    """Settings from the command line, checked."""
    if not 1.0 <= arguments.margin <= MAX_MARGIN:
        raise UserError(f"--margin: must be between 1 and {MAX_MARGIN:g} sides of a face, got {arguments.margin:g}")
    min_side = arguments.size // 2 if arguments.min_side is None else arguments.min_side
    if min_side < 1:
        raise UserError(f"--min-side: must be 1 or more pixels, got {min_side}")
    if arguments.no_face is not None and not arguments.cascade:
        raise UserError(
            "--no-face: says what to do if no face is found, but without --cascade no faces are searched for"
        )
    return Settings(
        size=arguments.size,
        margin=arguments.margin,
        crop_faceless=arguments.no_face == "crop",
        pad=arguments.pad,
        min_side=min_side,
        colour_only=arguments.colour_only,
        keep_duplicates=arguments.keep_duplicates,
    )


def _versions() -> dict[str, str]:
    """Versions of all packages that the prepared images may depend on."""
    found = {"minigan": minigan.__version__, "python": platform.python_version()}
    for package in ("pillow", "opencv-python-headless", "imagehash", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _summary(tally: Tally, source: str, target: Path) -> str:
    """What was done and what to do next, in a few lines."""
    lines = [
        f"Kept {tally.kept:,} of {tally.kept + tally.dropped:,} files of {one_line(source)}, as "
        f"{target / PICTURES / kept_name(0)} to {kept_name(tally.kept - 1)} ({tally.size} x {tally.size})"
    ]
    for kind, words in KINDS.items():
        if tally.count(kind):
            reasons = tally.sorted_reasons(kind)
            detail = "; ".join(f"{counted.count:,} {one_line(reason)}" for reason, counted in reasons[:3])
            more = "; ..." if len(reasons) > 3 else ""
            lines.append(
                f"  dropped {tally.count(kind):>7,} {words}" + (f": {detail}{more}" if kind in _EXPLAINED else "")
            )
    size = () if tally.size == 64 else ("--image-size", tally.size)
    lines += [
        f"Look at {one_line(target / 'report.html')}, and fill in whose drawings they are in DATACARD.md. Then:",
        f"  {command('minigan.train', '--data', target, *size)}",
    ]
    return "\n".join(lines)


def _factor(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text[:40]!r}") from None


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "minigan.prepare",
        "Make a data set from a folder or an archive (zip, tar, tar.gz, tar.bz2, tar.xz) of images: square, of one\n"
        "size, without duplicates and without what cannot be read; with a report and a data card.",
        "It finds faces with OpenCV (only with --cascade) and duplicates with imagehash (unless --keep-duplicates):\n"
        '  python -m pip install -e ".[prepare]"\n'
        "exit status: 0 done, 1 stopped by the system (disk full), 2 a mistake in the call, 130 stopped by Ctrl-C;\n"
        "unless it is 0, nothing is left in DST",
    )
    add = parser.add_argument
    add("source", metavar="SRC", type=path_name, help="folder or archive of images; never changed")
    add("target", metavar="DST", type=path_name, help="new or empty folder for the data set, outside of SRC")
    add("--size", type=whole, choices=SIZES, default=64, help="side of the prepared images (default: 64)")
    add("--cascade", type=path_name, metavar="XML", help="find faces with this file, lbpcascade_animeface.xml")
    add(
        "--margin", type=_factor, default=1.5, metavar="X", help="side of a square, in sides of its face (default: 1.5)"
    )
    add("--no-face", choices=("drop", "crop"), help="an image without a face: drop it (default), or take its middle")
    add("--pad", action="store_true", help="fill up to a square with the colours of the edge, instead of cutting off")
    add("--min-side", type=whole, metavar="N", help="drop squares with a smaller side (default: half of --size)")
    add("--colour-only", action="store_true", help="drop images without colours")
    add("--keep-duplicates", action="store_true", help="do not look for near-duplicates")
    add("--workers", type=whole, metavar="N", help="processes to work in (default: one for each core)")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
