"""Check files of layers: ``python -m minigan.check my_layers.py``.

This file reads the command line and makes sure that the files to write can be written. It lets
`minigan.check.sandbox.supervisor` check each student's file in a process of its own, several at a time, prints the
result, and writes the reports.
"""

from __future__ import annotations

import argparse
import glob
import json
import math
import os
import secrets
import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from minigan import __version__
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import FileReport
from minigan.check.reports.text_report import render_class, render_text
from minigan.check.sandbox.handed_in import files_in
from minigan.check.sandbox.supervisor import TIME_LIMIT, check_file, chosen, end_all, own_exercises, student_file
from minigan.check.student_template import write_template
from minigan.system.atomic_files import write_text
from minigan.system.cli import Parser, core_count, path_name, run_command, whole
from minigan.system.command_lines import command
from minigan.system.console import one_line, say
from minigan.system.cores import allowed_processors
from minigan.system.errors import UserError
from minigan.system.progress import with_progress

PLAIN_SEED = 0


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, check, print.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments, by default the process's own.

    Returns
    -------
    int
        0: all that is implemented passes. 1: something failed, or is not implemented with --strict.

    Raises
    ------
    UserError
        If the call itself is wrong; nothing has been checked then.
    """
    arguments = _parser().parse_args(argv)
    if arguments.list:
        say(_list())
        return 0
    if arguments.zoo:
        return _zoo()
    if arguments.template is not None:
        path = Path(arguments.template)
        write_template(path)
        say(f"Wrote {one_line(path)}. Fill in a function, then: {command('minigan.check', path)}")
        return 0
    files = _files(arguments.files)
    names = _exercises(arguments.exercise, arguments.lesson, any(Path(file).suffix == ".json" for file in files))
    seed = _seed_for(arguments.seed, is_teachers=arguments.strict or len(files) > 1)
    outputs = [_writable(option, getattr(arguments, option)) for option in ("report", "json")]
    if outputs[0] is not None and outputs[0] == outputs[1]:
        raise UserError(f"--report and --json name the same file, {outputs[0]}")
    if clash := {path.resolve() for path in outputs if path} & {Path(file).resolve() for file in files}:
        raise UserError(f"{clash.pop()} is to be checked; a report would replace it")
    jobs = arguments.jobs or allowed_processors()

    def check(file: str) -> FileReport:
        limit, all_ = arguments.time_limit, arguments.strict
        return check_file(file, exercises=names, time_limit=limit, seed=seed, recorded_only=not all_)

    reports = _check(files, check, min(jobs, len(files)))
    for report in reports:
        report.strict = arguments.strict
    try:
        _write(reports, *outputs, hint=arguments.hint, seed=seed)
    finally:  # so that the result is printed even if the disk is full
        _tell(reports, arguments.hint)
        if seed != arguments.seed and seed != PLAIN_SEED:
            say(f"\nThe test cases were drawn with --seed {seed}.")
    if outputs[0] is not None:
        say(f"\nReport: {one_line(outputs[0])}")
    return 0 if all(report.ok for report in reports) else 1


def _exercises(names: Sequence[str] | None, lessons: Sequence[int] | None, has_progress: bool) -> list[str]:
    """The exercises that were named, and those of the lessons that were named; all if nothing was."""
    known = {name: exercise.lesson for name, exercise in EXERCISES.items()} | (own_exercises() if has_progress else {})
    if lessons is None:
        return chosen(names or (list(known) if has_progress else None))
    empty = sorted(set(lessons) - set(known.values()))
    if empty:
        some = ", ".join(map(str, sorted(set(known.values()))))
        raise UserError(f"--lesson: lesson {empty[0]} has no layers; lessons {some} have")
    return chosen([*(name for name, lesson in known.items() if lesson in lessons), *(names or ())])


def _seed_for(given: int | None, *, is_teachers: bool) -> int:
    """The seed: 0 for a student, who wants to see the same numbers again; another one each time for a class."""
    if given is not None:
        return given
    return secrets.randbelow(10**6) + 1 if is_teachers else PLAIN_SEED


def _check(files: Sequence[str], check: Callable[[str], FileReport], jobs: int) -> list[FileReport]:
    shown = len(files) > 1 and sys.stderr.isatty()
    with closing(_in_turn(check, files, jobs)) as found:
        return [next(found) for _ in with_progress(files, "Checking", "files", shown=shown, leave=False)]


def _in_turn(check: Callable[[str], FileReport], files: Sequence[str], jobs: int) -> Generator[FileReport, None, None]:
    """The reports in the files' order; so many files are checked at a time. Ctrl-C ends all their processes."""
    if jobs <= 1:
        yield from map(check, files)
        return
    pool = ThreadPoolExecutor(jobs)
    try:
        yield from pool.map(check, files)
    except BaseException:
        end_all(lambda: pool.shutdown(cancel_futures=True))
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _write(reports: list[FileReport], page: Path | None, data: Path | None, *, hint: int, seed: int) -> None:
    if data is not None:
        write_text(data, _json(reports, seed))
    if page is not None:
        from minigan.check.reports.class_report import render_html

        html = render_html(reports, hint=hint)
        write_text(page, html.encode("utf-8", "backslashreplace").decode("utf-8"))


def _tell(reports: Sequence[FileReport], hint: int) -> None:
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    if len(reports) == 1:
        say(render_text(reports[0], hint=hint, colour=colour))
    else:
        say(render_class(reports, colour=colour))


def _files(given: Sequence[str]) -> list[str]:
    """The files to check, each once. Patterns are expanded here, because the shell of Windows does not do it.

    A folder stands for the files of layers in it.
    """
    files: dict[str, None] = {}
    for name in given:
        pattern = glob.has_magic(name) and not Path(name).exists()
        matches = sorted(glob.glob(name)) if pattern else []  # noqa: PTH207 (a pattern may be absolute)
        for match in matches or [name]:
            for file in files_in(match) if Path(match).is_dir() else [match]:
                student_file(file)
                files[file] = None
    if not files:
        raise UserError("name a file to check; --template my_layers.py writes one to start from (see --help)")
    return list(files)


def _writable(option: str, name: str | None) -> Path | None:
    """The path that an option names, if a file can be written there."""
    if name is None:
        return None
    path = Path(name)
    if path.is_dir():
        raise UserError(f"--{option}: {path} is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise UserError(f"--{option}: {path} is no ordinary file, and would be replaced by one")
    if not path.parent.is_dir():
        raise UserError(f"--{option}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"--{option}: cannot write into {path.parent}")
    return path


def _json(reports: Sequence[FileReport], seed: int) -> str:
    data = {
        "minigan": __version__,
        "seed": seed,
        "strict": any(report.strict for report in reports),
        "ok": all(report.ok for report in reports),
        "files": [{**report.to_dict(), "ok": report.ok} for report in reports],
    }
    return json.dumps(_finite(data), indent=1, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """NaN and infinity, which JSON does not have, as text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _list() -> str:
    width = max(map(len, EXERCISES))
    lines = [f"{'exercise':<{width}}  lesson  functions"]
    for exercise in EXERCISES.values():
        first, *others = exercise.signatures
        lines.append(f"{exercise.name:<{width}}  {exercise.lesson:>6}  {first}")
        lines += [f"{'':<{width}}  {'':>6}  {signature}" for signature in others]
    return "\n".join(lines)


def _zoo() -> int:
    try:
        from minigan.check.zoo import score
    except ImportError as error:
        raise UserError(f"--zoo: the bug zoo is not part of this installation ({error})") from None
    return int(score.print_score() or 0)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(
            f"must be a number of seconds, more than 0 and at most 3600, got {text[:40]!r}"
        )
    return seconds


def _seed(text: str) -> int:
    seed = whole(text)
    if seed < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, got {seed}")
    return seed


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "minigan.check",
        "Check layers, losses, update rules and training steps that you have written; say what is wrong, and why.",
        "exit status: 0 all that is implemented passes (with --strict: all passes), 1 something failed, 2 the call\n"
        "was wrong. A student's file runs with your rights: it can read and delete what you can. Check files of people\n"
        "whom you do not trust in a container.",
    )
    add = parser.add_argument
    add("files", nargs="*", type=path_name, metavar="FILE", help="files or folders; several make a table of the class")
    names = "these exercises only (see --list)"
    add("--exercise", "--only", nargs="+", action="extend", metavar="NAME", help=names)
    add("--lesson", nargs="+", action="extend", type=whole, metavar="N", help="the exercises of these lessons only")
    add("--strict", action="store_true", help="what is not implemented fails; for teachers, and in CI")
    add("--hint", type=int, choices=(1, 2, 3), default=1, help="how many hints to show (1)")
    add("--report", type=path_name, metavar="OUT.html", help="write a page with heat maps of the gradients")
    add("--json", type=path_name, metavar="OUT.json", help="write everything as data")
    seeds = "seed of the random test cases (0; drawn anew for several files, and with --strict)"
    add("--seed", type=_seed, metavar="N", help=seeds)
    add("--jobs", type=core_count, metavar="N", help="how many files to check at a time (as many as there are cores)")
    add(
        "--time-limit",
        type=_seconds,
        default=TIME_LIMIT,
        metavar="S",
        help=f"seconds for each exercise ({TIME_LIMIT:g})",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--template", type=path_name, metavar="FILE", help="write a file to start from, and stop")
    instead.add_argument("--list", action="store_true", help="list the exercises, and stop")
    instead.add_argument("--zoo", action="store_true", help="try the checker on known wrong layers, and stop")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
