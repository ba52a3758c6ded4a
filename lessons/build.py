"""Make the course's notebooks from their sources, and run them: ``python lessons/build.py [NN ...]``.

Each source makes two notebooks (`lessons.source_format`): ``lessons/NN_name.ipynb``, in which students write, and
``lessons/solutions/NN_name.ipynb``, which is saved with its outputs. Both are run to the end. In the first one every
check has to say that nothing is written yet, and its outputs are thrown away; in the other one every check has to pass.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

LESSONS = Path(__file__).resolve().parent
sys.path.insert(0, str(LESSONS.parent))  # run as a script, Python looks into lessons/ only

from lessons.hand_out import hand_out  # noqa: E402
from lessons.source_format import (  # noqa: E402
    SourceError,
    exercise_notebook,
    inputs_of,
    read_source,
    solution_notebook,
    text_of,
)
from minigan.check.outcomes import NOT_IMPLEMENTED, PASSED  # noqa: E402
from minigan.system.atomic_files import write_text  # noqa: E402
from minigan.system.cli import Parser, core_count, path_name, run_command  # noqa: E402
from minigan.system.cores import usable_cores  # noqa: E402
from minigan.system.errors import UserError  # noqa: E402

MOST_BYTES = 1_000_000
"""A notebook is smaller than this: GitHub shows no larger ones, and every reader loads all of it."""

FAST_SECONDS = 90.0
"""Longest a notebook may take in fast mode."""

CELL_SECONDS = 900
"""Longest a single cell may take before it counts as stuck."""


# ------------------------------------------------------------------------------------------------------------------ run
@dataclass
class Ran:
    """An executed notebook, how long it took, and what is wrong with it."""

    lesson: str
    kind: str
    notebook: Any = None
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def run_notebook(source: Path, kind: str, *, fast: bool, threads: int) -> Ran:
    """Make one notebook of a lesson and run it to its end, in a process of its own.

    Parameters
    ----------
    source : Path
    kind : "exercise" or "solution"
    fast : bool
    threads : int
        Threads for matrix products.

    Returns
    -------
    Ran
        Whatever is wrong with the lesson is told in its `problems`.
    """
    import nbclient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    ran = Ran(source.stem, kind)
    cells = read_source(source)
    notebook = (exercise_notebook if kind == "exercise" else solution_notebook)(cells, source.name)
    with tempfile.TemporaryDirectory(prefix="minigan-lesson-", ignore_cleanup_errors=True) as folder:
        verdicts = Path(folder) / "verdicts.jsonl"
        environment = _environment(Path(folder), verdicts, fast=fast, threads=threads)
        client = nbclient.NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            record_timing=False,
            extra_arguments=["--Application.log_level=40"],  # errors only: it would warn of its own sockets
            resources={"metadata": {"path": str(LESSONS)}},
        )
        begin = time.perf_counter()
        try:
            client.execute(env=environment)
        except CellExecutionError as error:
            ran.problems.append(_told_error(notebook, error))
        except (CellTimeoutError, DeadKernelError) as error:
            ran.problems.append(" ".join(str(error).split())[:300])
        ran.seconds = time.perf_counter() - begin
        said = verdicts.read_text(encoding="utf-8").splitlines() if verdicts.exists() else []
    _tidy(notebook)
    ran.notebook = notebook
    ran.problems += _wrong_verdicts([json.loads(line) for line in said], kind)
    ran.problems += _wrong_pictures(notebook)
    return ran


def _environment(folder: Path, verdicts: Path, *, fast: bool, threads: int) -> dict[str, str]:
    """The kernel's environment, without anything of the user's own: no kept layers, no settings of IPython."""
    environment = dict(os.environ)
    environment |= {
        "MINIGAN_LESSONS_VERDICTS": str(verdicts),
        "MINIGAN_LESSONS_LAYERS": str(folder / "my_layers.py"),
        "MINIGAN_LESSONS_FAST": "1" if fast else "0",
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONHASHSEED": "0",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    return environment | dict.fromkeys(names, str(threads))


def _told_error(notebook: Any, error: Any) -> str:
    failed = [any(o.output_type == "error" for o in cell.get("outputs", ())) for cell in notebook.cells]
    number = failed.index(True) if True in failed else 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error.traceback)).strip().splitlines()
    first = next((line for line in notebook.cells[number].source.splitlines() if line.strip()), "")
    told = "\n".join(f"      {line}" for line in plain[-8:])
    return f"cell {number + 1} ({first.strip()[:60]}) raises {error.ename}: {error.evalue}\n{told}"


def _wrong_verdicts(verdicts: Sequence[dict[str, str]], kind: str) -> list[str]:
    wanted = NOT_IMPLEMENTED if kind == "exercise" else PASSED
    out = [
        f"{v['kind']}({v['exercise']!r}) says {v['status']!r} ({v['title']}), where {wanted!r} is wanted"
        for v in verdicts
        if v["status"] != wanted
    ]
    return out if verdicts else ["no check was called"]


def _wrong_pictures(notebook: Any) -> list[str]:
    out = []
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", ()):
            for kind in output.get("data", {}):
                alt = output.get("metadata", {}).get(kind, {})
                if kind.startswith("image/") and not (isinstance(alt, dict) and str(alt.get("alt", "")).strip()):
                    out.append(f"cell {number}: a picture without alt text (notebook.show gives it one)")
    return out


def _tidy(notebook: Any) -> None:
    """Leave only what a reader sees: no timings, no versions, and streams in one piece."""
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        outputs: list[Any] = []
        for output in cell.get("outputs", ()):
            last = outputs[-1] if outputs else None
            if last is not None and output.output_type == last.output_type == "stream" and output.name == last.name:
                last["text"] += output.text
            else:
                outputs.append(output)
        if "outputs" in cell:
            cell["outputs"] = outputs


# ---------------------------------------------------------------------------------------------------------------- build
@dataclass
class Lesson:
    """A lesson while it is built."""

    source: Path
    ran: dict[str, Ran] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    size: int = 0

    @property
    def files(self) -> dict[str, Path]:
        """Where its notebooks belong."""
        name = f"{self.source.stem}.ipynb"
        return {"exercise": LESSONS / name, "solution": LESSONS / "solutions" / name}


def finish(lesson: Lesson, *, write: bool) -> None:
    """Put both notebooks of a lesson together; write them, or compare them with the files.

    Parameters
    ----------
    lesson : Lesson
        Both notebooks run; problems are added.
    write : bool
        False: the files have to say what the notebooks say. A lesson with problems is not written.
    """
    for kind, ran in lesson.ran.items():
        lesson.problems += [f"{kind} notebook: {problem}" for problem in ran.problems]
        if not write and ran.seconds > FAST_SECONDS:
            lesson.problems.append(
                f"{kind} notebook: took {ran.seconds:.0f} s; at most {FAST_SECONDS:.0f} s in fast mode"
            )
    if any(ran.notebook is None for ran in lesson.ran.values()):
        return
    solution = lesson.ran["solution"].notebook
    cells = read_source(lesson.source)
    texts = {}
    for kind, notebook in (
        ("exercise", exercise_notebook(cells, lesson.source.name, solution)),
        ("solution", solution),
    ):
        texts[kind] = text_of(notebook)
        size = len(texts[kind].encode("utf-8"))
        lesson.size = max(lesson.size, size)
        if size >= MOST_BYTES:
            lesson.problems.append(f"{kind} notebook: {size / 1e6:.2f} MB, and it must stay below 1 MB")
        if not write and (difference := _differs(notebook, lesson.files[kind])):
            lesson.problems.append(
                f"{kind} notebook: {difference}; build it again: python lessons/build.py {lesson.source.stem[:2]}"
            )
    if write and not lesson.problems:
        for kind, text in texts.items():
            lesson.files[kind].parent.mkdir(exist_ok=True)
            write_text(lesson.files[kind], text)


def _differs(notebook: Any, path: Path) -> str:
    import nbformat

    if not path.exists():
        return f"{path.relative_to(LESSONS.parent)} is missing"
    committed = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    ours, theirs = inputs_of(notebook), inputs_of(committed)
    if ours == theirs:
        return ""
    pairs = zip(ours, theirs, strict=False)
    number = next((k for k, (a, b) in enumerate(pairs, start=1) if a != b), min(len(ours), len(theirs)) + 1)
    return f"{path.relative_to(LESSONS.parent)} does not follow from its source (first difference in cell {number})"


def build(sources: Sequence[Path], *, fast: bool, write: bool, jobs: int) -> list[Lesson]:
    """Make and run both notebooks of lessons, several at a time.

    Parameters
    ----------
    sources : sequence of Path
    fast : bool
        With MINIGAN_LESSONS_FAST=1, for trying.
    write : bool
        Whether files are written, or compared.
    jobs : int
        Notebooks at a time.

    Returns
    -------
    list of Lesson
    """
    from tqdm import tqdm

    lessons = {source.stem: Lesson(source) for source in sources}
    threads = max(1, usable_cores() // jobs)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool, _bar(tqdm, 2 * len(lessons)) as bar:
        waiting: dict[Future[Ran], tuple[Lesson, str]] = {}
        for lesson in lessons.values():
            for kind in ("solution", "exercise"):
                waiting[pool.submit(run_notebook, lesson.source, kind, fast=fast, threads=threads)] = (lesson, kind)
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                lesson, kind = waiting.pop(future)
                lesson.ran[kind] = future.result()
                bar.update()
                if len(lesson.ran) == 2:
                    finish(lesson, write=write)
                    bar.write(told(lesson))
    return list(lessons.values())


def reword(lesson: Lesson) -> None:
    """Put a change of words into both notebooks of a lesson, with the outputs that they have.

    Parameters
    ----------
    lesson : Lesson
        If a code cell has changed as well, or nothing is saved yet, that is a problem, and nothing is written.
    """
    import nbformat

    number = lesson.source.stem[:2]
    fresh = solution_notebook(read_source(lesson.source), lesson.source.name)
    lesson.ran = {kind: Ran(lesson.source.stem, kind, fresh) for kind in ("exercise", "solution")}
    if not lesson.files["solution"].exists():
        lesson.problems.append(f"has no notebook with outputs yet; run it: python lessons/build.py {number}")
        return
    saved = nbformat.reads(lesson.files["solution"].read_text(encoding="utf-8"), as_version=4)
    new, old = ([cell for cell in notebook.cells if cell.cell_type == "code"] for notebook in (fresh, saved))
    if [cell.source for cell in new] != [cell.source for cell in old]:
        lesson.problems.append(f"not only words have changed; run it: python lessons/build.py {number}")
    else:
        for cell, ran in zip(new, old, strict=True):
            cell["outputs"], cell["execution_count"] = ran.outputs, ran.execution_count
    finish(lesson, write=True)


def _bar(tqdm: Any, total: int) -> contextlib.AbstractContextManager[Any]:
    bar: contextlib.AbstractContextManager[Any] = tqdm(
        total=total, desc="lessons", unit="notebook", file=sys.stderr, leave=False, disable=None
    )
    return bar


def told(lesson: Lesson) -> str:
    """One line for a lesson, and one for each problem."""
    times = ", ".join(f"{kind} {lesson.ran[kind].seconds:.1f} s" for kind in ("exercise", "solution"))
    head = f"{lesson.source.stem:<38}  {times}, {lesson.size / 1e3:.0f} kB" + ("  FAILED" if lesson.problems else "")
    return "\n".join([head, *(f"    {problem}" for problem in lesson.problems)])


# --------------------------------------------------------------------------------------------------------- command line
def main(argv: Sequence[str] | None = None) -> int:
    """Parse, build, tell.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments, by default the process's own.

    Returns
    -------
    int
        0: all is well. 1: a lesson failed.

    Raises
    ------
    UserError
        If the call is wrong, or a source has a mistake; nothing has been built then.
    """
    arguments = _parser().parse_args(argv)
    if arguments.for_students is not None:
        files = hand_out(Path(arguments.for_students))
        print(f"{len(files)} files in {arguments.for_students}, to hand out: no solutions, no sources of the lessons")
        return 0
    if arguments.words and (arguments.check or arguments.fast):
        other = "--check" if arguments.check else "--fast"
        raise UserError(f"--words: must be given without {other}: it runs nothing, and writes the notebooks")
    sources = chosen(arguments.lessons)
    _need_tools()
    for source in sources:  # a mistake in a source is told before minutes of running
        cells = read_source(source)
        exercise_notebook(cells, source.name)
        if sum("setup" in cell.tags for cell in cells) != 1:
            raise SourceError(f'{source.name}: one code cell has to be tagged "setup"')
    begin = time.perf_counter()
    if arguments.words:
        lessons = [Lesson(source) for source in sources]
        for lesson in lessons:
            reword(lesson)
            print(told(lesson))
    else:
        lessons = build(sources, fast=arguments.fast or arguments.check, write=not arguments.check, jobs=arguments.jobs)
    failed = [lesson.source.stem for lesson in lessons if lesson.problems]
    print(
        f"{len(lessons)} lessons in {time.perf_counter() - begin:.0f} s"
        + (f", failed: {', '.join(failed)}" if failed else ", all as they should be")
    )
    return 1 if failed else 0


def chosen(names: Sequence[str]) -> list[Path]:
    """The sources of lessons, by number; all of them if none is named.

    Raises
    ------
    UserError
        If one does not exist.
    """
    sources = sorted((LESSONS / "src").glob("[0-9][0-9]_*.py"))
    known = {source.stem[:2]: source for source in sources}
    for name in names:
        if name.zfill(2) not in known:
            there = ", ".join(known) or "none"
            raise UserError(f"there is no lesson {name[:40]!r} in lessons/src; there are: {there}")
    return [known[number] for number in sorted({name.zfill(2) for name in names})] if names else sources


def _need_tools() -> None:
    for name in ("jupytext", "nbformat", "nbclient", "ipykernel"):
        if importlib.util.find_spec(name) is None:
            raise UserError(f"{name} is not installed; `make lessons` or pip install -e '.[lessons]' brings it")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "lessons.build",
        "Make the lessons' notebooks from their sources and run them.",
        "exit status: 0 all is well, 1 a lesson failed, 2 a mistake in the call or in a source",
    )
    add = parser.add_argument
    add("lessons", nargs="*", metavar="NN", help="numbers of lessons (all)")
    add("--fast", action="store_true", help="small sizes and few steps, for trying out; do not commit what it makes")
    add("--check", action="store_true", help="fast, and write nothing: the notebooks have to follow from their sources")
    add("--words", action="store_true", help="run nothing: only words have changed, and all outputs stay as they are")
    add("--for-students", type=path_name, metavar="DIR", help="write a new folder to hand out, without solutions")
    jobs = min(2, usable_cores())
    add("--jobs", type=core_count, default=jobs, metavar="N", help=f"notebooks at a time ({jobs})")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
