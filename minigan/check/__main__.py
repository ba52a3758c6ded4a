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
import re
import secrets
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from minigan import __version__
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import NOT_CHECKED, PASSED, FileReport, Finding, Outcome
from minigan.check.reports.alike import Alike, alike, copied
from minigan.check.reports.earlier import Change, changes, read_earlier
from minigan.check.reports.gradebook import Worth, read_points, render_csv, students_of
from minigan.check.reports.pseudonyms import anonymous, extended, read_key, render_key
from minigan.check.reports.text_report import render_alike, render_changes, render_class, render_text
from minigan.check.sandbox.handed_in import files_in
from minigan.check.sandbox.supervisor import (
    TIME_LIMIT,
    check_file,
    chosen,
    end_all,
    lesson_of,
    own_exercises,
    student_file,
)
from minigan.check.student_template import write_template
from minigan.system.atomic_files import write_bytes, write_text
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
    outputs = _outputs(arguments, files)
    students = students_of(files, arguments.student)
    points = _points(arguments, names)
    earlier = None if arguments.compare is None else read_earlier(Path(arguments.compare))
    key = {} if arguments.anonymous is None else read_key(Path(arguments.anonymous))
    jobs = arguments.jobs or allowed_processors()

    def check(file: str) -> FileReport:
        limit, all_ = arguments.time_limit, arguments.strict
        if (unreadable := cannot_be_checked(file, names)) is not None:
            return unreadable
        return check_file(file, exercises=names, time_limit=limit, seed=seed, recorded_only=not all_)

    reports = _check(files, check, min(jobs, len(files)))
    for report, student in zip(reports, students, strict=True):
        report.strict, report.student = arguments.strict, student
    pairs = alike(reports) if len(reports) > 1 else []
    if arguments.strict or len(reports) > 1:
        for report in reports:
            _remark_copies(report)
    if arguments.anonymous is not None:
        key = extended(key, students)
        reports, pairs = in_new_order([anonymous(report, key) for report in reports], pairs)
        if earlier is not None:  # it may have been written with the names
            earlier = {key.get(student, student): passed for student, passed in earlier.items()}
    since = {} if earlier is None else changes(reports, earlier)
    try:
        if arguments.anonymous is not None:  # first: without the key, nobody knows whose the reports are
            write_bytes(Path(arguments.anonymous), render_key(key))
        _write(reports, outputs, points, since, pairs, hint=arguments.hint, seed=seed)
        if arguments.per_student is not None:
            _write_pages(reports, Path(arguments.per_student), since, hint=arguments.hint)
    finally:  # so that the result is printed even if the disk is full
        _tell(reports, arguments.hint)
        if since:
            say("\n" + render_changes(since))
        if pairs:
            say("\n" + render_alike(pairs, reports))
        if seed != arguments.seed and seed != PLAIN_SEED:
            say(f"\nThe test cases were drawn with --seed {seed}.")
    if "report" in outputs:
        say(f"\nReport: {one_line(outputs['report'])}")
    return 0 if all(report.ok for report in reports) else 1


def cannot_be_checked(file: str, names: Sequence[str]) -> FileReport | None:
    """The report on a file of a folder that cannot be read, or is too large; one student's must not stop a class."""
    try:
        student_file(file)
    except UserError as error:
        problem = Finding("E01", "load", "it is no file that can be checked", (str(error),), where=Path(file).name)
        outcomes = [Outcome(name, NOT_CHECKED, lesson=lesson_of(name)) for name in names]
        return FileReport(file, outcomes, problem)
    return None


def in_new_order(reports: Sequence[FileReport], pairs: Sequence[Alike]) -> tuple[list[FileReport], list[Alike]]:
    """Sorted by student, who has a pseudonym now: the files' order would tell the names' order."""
    order = sorted(range(len(reports)), key=lambda k: (reports[k].student, k))
    place = {old: new for new, old in enumerate(order)}
    return [reports[k] for k in order], [replace(p, first=place[p.first], second=place[p.second]) for p in pairs]


def _remark_copies(report: FileReport) -> None:
    """Say of an exercise that passes that its text is minigan's own."""
    names = copied(report.path)
    for outcome in report.outcomes:
        functions = EXERCISES[outcome.exercise].functions if outcome.exercise in EXERCISES else ()
        if outcome.status == PASSED and (those := [name for name in functions if name in names]):
            told = f"{' and '.join(those)}: a passage of minigan's own"
            outcome.note = "; ".join(filter(None, [outcome.note, told]))


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


def _outputs(arguments: argparse.Namespace, files: Sequence[str]) -> dict[str, Path]:
    """The files to write, by option; each can be written, and replaces nothing that is needed."""
    found: dict[str, Path] = {}
    read = {Path(file).resolve(): "is to be checked" for file in files}
    for option, what in (
        ("points", "has the points"),
        ("compare", "is to be compared with"),
        ("anonymous", "is the key"),
    ):
        if getattr(arguments, option) is not None:
            read[Path(getattr(arguments, option)).resolve()] = what
    _writable("anonymous", arguments.anonymous)
    folder = None if arguments.per_student is None else Path(arguments.per_student)
    if folder is not None and not folder.is_dir() and (folder.exists() or not folder.parent.is_dir()):
        raise UserError(f"--per-student: {folder} must be a folder, or a new one in a folder that is there")
    for option in ("report", "json", "csv"):
        path = _writable(option, getattr(arguments, option))
        if path is None:
            continue
        if same := next((other for other, taken in found.items() if taken.resolve() == path.resolve()), None):
            raise UserError(f"--{same} and --{option} name the same file, {path}")
        if path.resolve() in read:
            raise UserError(f"{path} {read[path.resolve()]}; a report would replace it")
        found[option] = path
    return found


def _points(arguments: argparse.Namespace, names: Sequence[str]) -> dict[str, Worth]:
    if arguments.points is None:
        return {}
    if arguments.csv is None:
        raise UserError("--points: points go into a table; name it with --csv")
    return read_points(Path(arguments.points), [*EXERCISES, *names, *own_exercises()])


def _write(
    reports: list[FileReport],
    outputs: Mapping[str, Path],
    points: Mapping[str, Worth],
    since: Mapping[str, Change],
    pairs: Sequence[Alike],
    *,
    hint: int,
    seed: int,
) -> None:
    if "json" in outputs:
        write_text(outputs["json"], _json(reports, seed, pairs))
    if "csv" in outputs:
        write_text(outputs["csv"], render_csv(reports, points, since))
    if "report" in outputs:
        from minigan.check.reports.class_report import render_html

        html = render_html(reports, hint=hint, since=since, pairs=pairs)
        write_text(outputs["report"], html.encode("utf-8", "backslashreplace").decode("utf-8"))


def _write_pages(reports: Sequence[FileReport], folder: Path, since: Mapping[str, Change], *, hint: int) -> None:
    """A page for each student, named after them."""
    from minigan.check.reports.class_report import render_html

    folder.mkdir(exist_ok=True)
    names: set[str] = set()
    for student in dict.fromkeys(report.student for report in reports):
        plain = re.sub(r"[^\w.-]+", "-", student).strip(".-")[:80] or "student"
        name = next(n for n in (plain, *(f"{plain}-{k}" for k in range(2, 10**6))) if n.casefold() not in names)
        names.add(name.casefold())
        own = [report for report in reports if report.student == student]
        html = render_html(own, hint=hint, since=since)
        write_text(folder / f"{name}.html", html.encode("utf-8", "backslashreplace").decode("utf-8"))


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
            if Path(match).is_dir():  # of a file in it, the report says whether it can be read
                files |= dict.fromkeys(files_in(match))
            else:
                student_file(match)
                files[match] = None
    if not files:
        raise UserError(
            "name a file to check, in front of the options; --template my_layers.py writes a new one (see --help)"
        )
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


def _json(reports: Sequence[FileReport], seed: int, pairs: Sequence[Alike] = ()) -> str:
    data = {
        "minigan": __version__,
        "seed": seed,
        "strict": any(report.strict for report in reports),
        "ok": all(report.ok for report in reports),
        "alike": [
            {
                "first": reports[p.first].student,
                "second": reports[p.second].student,
                "share": p.share,
                "tokens": p.tokens,
            }
            for p in pairs
        ],
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
        "was wrong. A student's file runs with your rights: it can read and delete what you can. Check files of\n"
        "people whom you do not trust in a container.",
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
    add("--csv", type=path_name, metavar="OUT.csv", help="write a table of points, a row for each student")
    add("--points", type=path_name, metavar="FILE.toml", help="how many points each exercise gives (1)")
    add("--compare", type=path_name, metavar="LAST.json", help="say what has changed since an earlier --json")
    add(
        "--anonymous", type=path_name, metavar="KEY.csv", help="pseudonyms in all reports; the key is read and extended"
    )
    add("--per-student", type=path_name, metavar="DIR", help="write a page for each student into this folder")
    whose = "regular expression that finds the student's name or number in a file's path (by default the path's end)"
    add("--student", metavar="PATTERN", help=whose)
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
