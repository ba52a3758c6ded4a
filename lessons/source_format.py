"""From a lesson's source to its two notebooks, without running them.

A lesson is written once, as ``lessons/src/NN_name.py`` in jupytext's percent format with the solutions in place. Beside
plain cells it may have

* a first code cell tagged "setup", ``# setup``: becomes the cell that finds minigan;
* cells tagged "exercise", with the solution between ``# --- your code`` and ``# --- end``. Students find a stub there
  that raises NotImplementedError; with ``# --- your code: best_h = None`` it is what follows the colon,
  and what stands behind ``#: `` in the lines below;
* cells tagged "solution", in the solution notebook only;
* cells tagged "picture": students see the solution's picture beforehand. A picture that depends on their own work is
  shown below the cell; one that only explains something is the cell's output.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigan.system.errors import UserError

MARK = re.compile(r"^(\s*)# --- (your code(?::\s*(?P<stub>.*\S))?|end)\s*$")

PAGE_LINK = re.compile(r"\]\(([\w-]+\.md)\)")
"""The end of a link to a page in the lessons' folder."""

Picture = tuple[str, str, str]
"""Kind, such as "image/png"; data in base64; text for those who cannot see it."""

SETUP = """\
# Find minigan: above this notebook, if it lies in a checkout; on a hosted notebook, in a zip of the project that you
# have uploaded beside it as minigan.zip, or at its address. minigan has no public address yet: put yours here.
PROJECT_ADDRESS = ""  # of a zip, such as "https://.../minigan.zip"

import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit(f"minigan needs Python 3.11 or newer; this notebook runs on {sys.version.split()[0]}")
here = Path.cwd()
places = [here, *here.parents, *here.glob("minigan*/"), *here.glob("minigan*/*/")]
project = next((p for p in places if (p / "lessons" / "notebook.py").is_file() and (p / "minigan").is_dir()), None)
if project is None:
    archive = here / "minigan.zip"
    if PROJECT_ADDRESS and not archive.exists():
        urllib.request.urlretrieve(PROJECT_ADDRESS, archive)
    if not archive.exists():
        sys.exit("minigan is not here: open this notebook in a checkout, or upload a zip of the project as minigan.zip")
    shutil.unpack_archive(archive, here / "minigan-project")
    project = next((p.parent.parent for p in (here / "minigan-project").rglob("lessons/notebook.py")), None)
    if project is None:
        sys.exit(f"{archive} is no zip of the project: it has no lessons/notebook.py")
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", str(project)], check=True)
sys.path.insert(0, str(project))
try:
    import lessons.notebook
except ModuleNotFoundError as missing:
    sys.exit(f"{missing.name} is not installed in this notebook's Python: start it with `make notebook`")\
"""


# --------------------------------------------------------------------------------------------------------------- source
@dataclass(frozen=True)
class Cell:
    """One cell of a source."""

    kind: str
    text: str
    tags: tuple[str, ...]
    line: int


class SourceError(UserError):
    """A source that cannot be made into notebooks; names the file and the line."""


def read_source(path: Path) -> list[Cell]:
    """The cells of a source.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of Cell

    Raises
    ------
    SourceError
        If it has no cells, or text before the first one.
    """
    import jupytext

    text = path.read_text(encoding="utf-8")
    if not text.startswith("# %%"):
        raise SourceError(f"{path.name}, line 1: a source starts with '# %% [markdown]'")
    starts = [k for k, line in enumerate(text.split("\n"), start=1) if line.startswith("# %%")]
    cells = jupytext.reads(text, fmt="py:percent").cells
    if len(starts) != len(cells):
        raise SourceError(f"{path.name}: {len(starts)} lines start with '# %%', but jupytext finds {len(cells)} cells")
    return [
        Cell(cell.cell_type, cell.source, tuple(cell.metadata.get("tags", ())), line)
        for cell, line in zip(cells, starts, strict=True)
    ]


def solved(cell: Cell, name: str) -> str:
    """A cell's text with the solution in it and the marks gone."""
    return "\n".join(line for _, line, place in _marked(cell, name) if place in ("given", "solution"))


def stubbed(cell: Cell, name: str) -> str:
    """A cell's text with a stub in place of each solution.

    Parameters
    ----------
    cell : Cell
    name : str
        The source's name, for messages.

    Returns
    -------
    str

    Raises
    ------
    SourceError
        If marks do not match, or a solution outside of any function has no stub of its own.
    """
    out: list[str] = []
    inside: list[str] = []
    indent, stub = "", None
    for number, line, place in _marked(cell, name):
        mark = MARK.match(line)
        if place == "stub":
            stub = f"{stub}\n{line.replace('#: ', '', 1)}"
        elif mark is None:
            (inside if place == "solution" else out).append(line)
        elif mark[2] != "end":
            indent, stub, inside = mark[1], mark["stub"], []
            if stub is None and not indent:
                raise SourceError(
                    f"{name}, line {number}: outside of a function say what the student finds instead, "
                    "such as '# --- your code: answer = None'"
                )
        else:
            count = sum(1 for code in inside if code.strip() and not code.strip().startswith("#"))
            lines = f"{count} line" + ("s" if count != 1 else "")
            out += [f"{indent}{stub}"] if stub else [f"{indent}# your code here ({lines})"]
            out += [] if stub else [f"{indent}raise NotImplementedError"]
    return "\n".join(out)


def _marked(cell: Cell, name: str) -> Iterator[tuple[int, str, str]]:
    """Numbered lines, each with "given", "solution", "mark" or "stub"; marks have to come in pairs."""
    place, opened, count = "given", 0, 0
    for number, line in enumerate(cell.text.split("\n"), start=cell.line + 1):
        mark = MARK.match(line)
        if mark and "exercise" not in cell.tags:
            raise SourceError(f'{name}, line {number}: {line.strip()!r} in a cell that is not tagged "exercise"')
        if mark and mark[2] != "end":
            if place == "solution":
                raise SourceError(f"{name}, line {number}: '# --- your code' within the one of line {opened}")
            place, opened, count = "solution", number, count + 1
            yield number, line, "mark"
        elif mark:
            if place == "given":
                raise SourceError(f"{name}, line {number}: '# --- end' without '# --- your code'")
            place = "given"
            yield number, line, "mark"
        elif place == "solution" and line.strip().startswith("#: "):
            yield number, line, "stub"
        elif line.strip().startswith("# ---") and "exercise" in cell.tags:
            raise SourceError(f"{name}, line {number}: {line.strip()!r} is neither '# --- your code' nor '# --- end'")
        else:
            yield number, line, place
    if place == "solution":
        raise SourceError(f"{name}, line {opened}: '# --- your code' without '# --- end'")
    if "exercise" in cell.tags and not count:
        raise SourceError(f"{name}, line {cell.line}: a cell tagged \"exercise\" without '# --- your code'")


# ------------------------------------------------------------------------------------------------------------ notebooks
def exercise_notebook(cells: Sequence[Cell], name: str, solution: Any = None) -> Any:
    """The notebook that students open.

    Parameters
    ----------
    cells : sequence of Cell
    name : str
        The source's name, for messages.
    solution : notebook, optional
        Executed. Its pictures are shown: below the cell if the student's own work is to draw the same, as the cell's
        output if the picture only explains something.

    Returns
    -------
    notebook
    """
    own = own_cells(cells, name)
    made = []
    for number, cell in enumerate(cells):
        if "solution" in cell.tags:
            continue
        made.append(_cell(cell, stubbed(cell, name), is_own=number in own))
        if "picture" in cell.tags and solution is not None:
            if number in own:
                made.append(_expected(pictures_of(solution.cells[number])))
            else:
                made[-1]["outputs"] = copy.deepcopy(solution.cells[number].get("outputs", []))
    return _notebook(made)


def solution_notebook(cells: Sequence[Cell], name: str) -> Any:
    """The notebook with the solutions, not executed; arguments as `exercise_notebook`.

    It lies one folder below the other one, and so do its links to pages of the lessons.
    """
    own = own_cells(cells, name)
    made = [_cell(cell, solved(cell, name), is_own=number in own) for number, cell in enumerate(cells)]
    for cell in made:
        if cell["cell_type"] == "markdown":
            cell["source"] = PAGE_LINK.sub(r"](../\1)", cell["source"])
    return _notebook(made)


def own_cells(cells: Sequence[Cell], name: str) -> set[int]:
    """Numbers of the code cells whose outcome depends on what the student writes.

    These are the exercises, the cells that ask `lessons.notebook` for the student's functions (`yours`, `my`,
    `my_ops`, `my_gan`), and the cells that use a name which one of these has defined.
    """
    own: set[int] = set()
    touched: set[str] = set()
    for number, cell in enumerate(cells):
        if cell.kind != "code" or "setup" in cell.tags:
            continue
        try:
            tree = ast.parse(solved(cell, name))
        except SyntaxError as error:
            line = cell.line + (error.lineno or 0)
            raise SourceError(f"{name}, about line {line}: the cell is not valid Python ({error.msg})") from None
        for statement in tree.body:
            if "exercise" in cell.tags or _asks_for(statement, touched):
                own.add(number)
                touched |= set(_names_written(statement))
            else:
                touched -= set(_names_written(statement))
    return own


def _asks_for(statement: ast.stmt, touched: set[str]) -> bool:
    """Whether a statement uses one of these names, or asks `lessons.notebook` for the student's functions."""
    return any(
        (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in touched)
        or (isinstance(node, ast.Attribute) and node.attr in ("yours", "my", "my_ops", "my_gan"))
        for node in ast.walk(statement)
    )


def _names_written(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement at the top of a cell defines."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _cell(cell: Cell, text: str, *, is_own: bool) -> Any:
    from nbformat import v4

    metadata: dict[str, Any] = {"tags": list(cell.tags)} if cell.tags else {}
    if "setup" in cell.tags or ("picture" in cell.tags and not is_own):  # nothing to do there: folded away
        metadata["jupyter"] = {"source_hidden": True}
    text = SETUP if "setup" in cell.tags else text
    make: Any = {"markdown": v4.new_markdown_cell, "code": v4.new_code_cell, "raw": v4.new_raw_cell}[cell.kind]
    return make(text, metadata=metadata)


def _expected(pictures: Sequence[Picture]) -> Any:
    from nbformat import v4

    lines, attachments = ["**What you should see**"], {}
    for number, (kind, data, alt) in enumerate(pictures, start=1):
        file = f"expected-{number}.{kind.removeprefix('image/')}"
        lines.append(f"![{_plain(alt)}](attachment:{file})")
        attachments[file] = {kind: data}
    made = v4.new_markdown_cell("\n\n".join(lines), metadata={"tags": ["expected"]})
    made["attachments"] = attachments
    return made


def _plain(alt: str) -> str:
    """A text in one line without the brackets that would end it in Markdown."""
    return " ".join(alt.split()).replace("[", "(").replace("]", ")")


def _notebook(cells: list[Any]) -> Any:
    """Cells as a notebook. A cell's id is made from its text, so a change to one cell leaves the other ids alone."""
    from nbformat import v4

    seen: dict[str, int] = {}
    for cell in cells:
        key = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:10]
        seen[key] = seen.get(key, 0) + 1
        cell["id"] = key if seen[key] == 1 else f"{key}-{seen[key]}"
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return v4.new_notebook(cells=cells, metadata=metadata)


def pictures_of(cell: Any) -> list[Picture]:
    """The pictures in the outputs of a notebook's cell."""
    found: list[Picture] = []
    for output in cell.get("outputs", ()):
        for kind, data in output.get("data", {}).items():
            if kind in ("image/png", "image/gif"):
                alt = output.get("metadata", {}).get(kind, {}).get("alt", "")
                found.append((kind, data.strip(), alt))
    return found


def text_of(notebook: Any) -> str:
    """A notebook as its file has it."""
    import nbformat

    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"


def inputs_of(notebook: Any) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """What a notebook says without its outputs: id, kind, text and names of attachments of each cell.

    Texts under pictures are left out, since a picture may differ from one machine to another.
    """
    return [
        (cell.id, cell.cell_type, cell.source, tuple(sorted(cell.get("attachments", {}))))
        if "expected" not in cell.metadata.get("tags", ())
        else ("", cell.cell_type, "", tuple(sorted(cell.get("attachments", {}))))
        for cell in notebook.cells
    ]
