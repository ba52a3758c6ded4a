"""A folder to hand out to students: ``python lessons/build.py --for-students DIR``.

It has the notebooks to fill in, and minigan to run them; no solutions, no sources of the lessons, no sweep of mistakes.
What the lessons need to check and to draw, and what would tell answers, is packed into one data file
(`REFERENCES`), so that nobody reads it by accident. That is no secret: whoever unpacks it can read it.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

from minigan.system.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
REFERENCES = "references.zip"

PACKED = ("exercises", "figures", "methods.py", "plane_gan.py")
"""Parts of `lessons` that tell answers, and are needed to check and to draw."""
LEFT_OUT = ("src", "solutions", "mistakes", "build.py", "source_format.py", "hand_out.py", "README.md")
"""Parts of `lessons` that students do not need."""
OF_RUNS = (".npz", ".png", ".safetensors")
"""What the recorded runs consist of; the rest beside them says what each of them suffers from."""
BESIDE = ("pyproject.toml", "LICENSE", "docs/check.md", "docs/troubleshooting.md")

_PACKAGE = """
# The lessons' own exercises and figures are packed into one file beside this one.
__path__.append(str(__import__("pathlib").Path(__file__).with_name("references.zip")))
"""

_README = """\
# The course: from an array to a latent space

Install what is needed, with Python 3.11 or newer, in this folder:

    python -m pip install -e ".[notebook]"

Then start `python -m jupyterlab` in the folder `lessons`, and open `01_array_programs.ipynb`. You read, you fill a
gap in a cell, and the cell below checks it. Words that you do not know are in [the glossary](lessons/glossary.md).

What passes is kept in `lessons/my_layers.py` (layers) and `lessons/progress.json` (everything). Hand in these two
files. `python -m minigan.check lessons/my_layers.py` says what is right so far.

`lessons/references.zip` has the lessons' own exercises, with what is needed to check answers. It is packed so that
you do not read an answer by accident. It is no secret, and it is not protected. minigan's own layers are in
`minigan/`: you may read them, but an exercise that uses them is marked as borrowed.
"""


def hand_out(folder: Path) -> list[Path]:
    """Write the folder.

    Parameters
    ----------
    folder : Path
        A new one, in a folder that is there.

    Returns
    -------
    list of Path
        The files in it.

    Raises
    ------
    UserError
        If it is there already, or its parent is not.
    """
    if folder.exists() or folder.is_symlink():
        raise UserError(f"--for-students: {folder} is already there; name a new folder")
    if not folder.parent.is_dir():
        raise UserError(f"--for-students: there is no folder {folder.parent}")
    folder.mkdir()
    try:
        for path in _plain_files():
            target = folder / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        package = folder / "lessons" / "__init__.py"
        package.write_text(package.read_text(encoding="utf-8") + _PACKAGE, encoding="utf-8")
        (folder / "README.md").write_text(_README, encoding="utf-8")
        _pack(folder / "lessons" / REFERENCES)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _plain_files() -> Iterator[Path]:
    """The files that are copied as they are."""
    yield from (ROOT / name for name in BESIDE)
    for path in _files(ROOT / "minigan"):
        if "zoo" not in path.relative_to(ROOT).parts:  # wrong and right layers, with which the checker is tested
            yield path
    for path in _files(ROOT / "lessons"):
        first, *rest = path.relative_to(ROOT / "lessons").parts
        if first in (*PACKED, *LEFT_OUT) or path.name in ("my_layers.py", "progress.json"):
            continue
        if first != "runs" or (path.suffix in OF_RUNS and len(rest) == 1):
            yield path


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and path.suffix != ".pyc" and not any(part.startswith((".", "__pyc")) for part in parts):
            yield path


def _pack(target: Path) -> None:
    """Write the data file; the same files always give the same bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in PACKED:
            start = ROOT / "lessons" / name
            for path in _files(start) if start.is_dir() else [start]:
                entry = zipfile.ZipInfo(path.relative_to(ROOT / "lessons").as_posix(), (1980, 1, 1, 0, 0, 0))
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
