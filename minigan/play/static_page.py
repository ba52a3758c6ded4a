"""The page as a folder of files, for any file server: the generator's numbers lie beside it, and the browser draws.

The folder is made under a temporary name and renamed when it is complete. A folder that is there already is replaced
only if everything in it was written by this module: the file `MARK` lists what that is. So a mistyped name costs
nobody's files.
"""

from __future__ import annotations

from pathlib import Path

from minigan.play.browser_generator import pack
from minigan.play.explore_page import Explorable, page, scripts
from minigan.play.face_text import weights_hash
from minigan.system import atomic_files
from minigan.system.errors import UserError, cannot_write

MARK = ".minigan-explore"
"""A file in every folder that was written here: the names of all the others, one a line."""


def write_folder(folder: Path, subject: Explorable) -> int:
    """Write the folder, all or nothing.

    Parameters
    ----------
    folder : Path
        New, empty, or written by an earlier call.
    subject : Explorable

    Returns
    -------
    int
        Bytes in it.

    Raises
    ------
    UserError
        If the folder holds other files, or cannot be written.
    RunError
        If the disk is full.
    """
    _check(folder)
    plan, numbers = pack(subject.generator)
    file = f"generator-{weights_hash(subject.generator)}.bin"  # what a browser has cached fits the name
    network = {"file": file, "layers": plan}
    files = {
        "index.html": page(subject, engine="browser", network=network).encode(),
        file: numbers,
        **scripts(),
        ".nojekyll": b"",  # GitHub Pages then serves the files as they are
    }
    files[MARK] = "".join(f"{name}\n" for name in files).encode()
    try:
        with atomic_files.temporary_folder(folder) as temporary:
            for name, data in files.items():
                (temporary / name).write_bytes(data)
                atomic_files.flush_to_disk(temporary / name)
            _put_in_place(temporary, folder)
    except OSError as error:
        raise cannot_write(error, f"--static: {folder} cannot be written") from None
    return sum(map(len, files.values()))


def _check(folder: Path) -> None:
    """Raise UserError unless the folder may be written or replaced."""
    if folder.name in ("", ".."):
        raise UserError(f"--static: must end in the name of a folder, got {folder}")
    try:
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise UserError(f"--static: must be a folder, but {folder} is a file or a link")
        if not folder.parent.is_dir():
            raise UserError(f"--static: the folder {folder.parent} does not exist")
        foreign = sorted(_names_in(folder) - _names_written(folder)) if folder.is_dir() else []
        if foreign:
            raise UserError(
                f"--static: must be a new or empty folder, or one that this command has written, "
                f"but in {folder} is {foreign[0]!r}"
            )
    except OSError as error:
        raise cannot_write(error, f"--static: {folder} cannot be written") from None


def _names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _names_written(folder: Path) -> set[str]:
    """The names of what this module has written into a folder."""
    try:
        return {MARK, *(folder / MARK).read_text(encoding="utf-8").splitlines()}
    except (FileNotFoundError, ValueError):
        return set()


def _put_in_place(temporary: Path, folder: Path) -> None:
    """Rename; what was written there before goes away only when the new folder is complete."""
    if not folder.exists():
        temporary.rename(folder)
        return
    with atomic_files.temporary_folder(folder) as aside:
        old = folder.rename(aside / "old")
        try:
            temporary.rename(folder)
        except BaseException:
            old.rename(folder)
            raise
