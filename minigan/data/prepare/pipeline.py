"""Makes a folder of square faces to train on from a folder or an archive of drawings.

Worker processes prepare the files, each independently of the others (`minigan.data.prepare.prepared_file`). Their
results are taken in the source's order: near-duplicates of earlier images are dropped, the others are numbered and
written. So the same source and settings give the same images with any number of processes. Memory holds only a hash of
each image and small samples for the report. The files are written to a hidden folder in the target and moved to their
places at the end, so an unfinished data set is never seen.
"""

from __future__ import annotations

import contextlib
import csv
import multiprocessing
import os
import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from minigan.data.images import decode
from minigan.data.images.archive import Member, open_archive
from minigan.data.images.decode import image_formats, system_reason
from minigan.data.images.image_folder import check_folder, list_files
from minigan.data.images.near_duplicates import Seen, require_imagehash
from minigan.data.prepare.face_detector import Detector
from minigan.data.prepare.prepared_file import Cut, PreparedFile, Settings, prepare_file
from minigan.data.prepare.tally import Tally
from minigan.data.printable_text import printable
from minigan.system.atomic_files import TEMPORARY_PREFIX, TEMPORARY_SUFFIX, remove_temporaries, rename
from minigan.system.errors import RunError, UserError, cannot_write
from minigan.system.lock import LOCK_NAME, FolderLock
from minigan.system.processes import starting_workers
from minigan.system.progress import ProgressBar
from minigan.system.worker_pool import NoWorkers, WorkerDied, Workers

PICTURES = "pictures"
"""Name of the folder of the prepared images, in the target. An old name; it stays, because data sets have it."""

LIST = "pictures.csv"
"""Name of the list of all files and what became of them, in the target. An old name, like `PICTURES`."""

FEW = 200
"""Up to this many files, preparing them takes less time than starting workers."""

_CHUNK = 8  # files that a worker takes at once
_UNFINISHED = f"{TEMPORARY_PREFIX}prepare{TEMPORARY_SUFFIX}"
_COLUMNS = ("source", "outcome", "picture", "reason", "width", "height", "left", "top", "side", "face")


def prepare_source(
    source: Path,
    target: Path,
    settings: Settings,
    finish: Callable[[Tally, Path], None],
    *,
    detector: Detector | None = None,
    workers: int = 1,
    progress: bool = True,
) -> Tally:
    """Prepare a data set.

    Parameters
    ----------
    source : Path
        A folder, or an archive.
    target : Path
        A new or an empty folder that is not within `source`.
    settings : Settings
    finish : callable
        Called at the end, to write reports. Its arguments are the tally, and the folder in which `PICTURES` and `LIST`
        are.
    detector : Detector, optional
        Finds faces; without one the central square is taken.
    workers : int
        Number of worker processes; with 1 everything is done in this process.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    Tally
        What was kept and dropped.

    Raises
    ------
    UserError
        If the source cannot be read, the target cannot be used, or no image is left. Nothing is written then.
    RunError
        If the disk is full, or a worker process died.
    """
    if not settings.keep_duplicates:
        require_imagehash()
    _check_target(source, target)
    try:
        with _destination(target) as folder, _opened(source, folder) as found:
            tally = Tally(settings.size)
            _write_all(found, folder, settings, detector, workers, progress, tally)
            if not tally.kept:
                raise UserError(_nothing_left(source, tally))
            finish(tally, folder)
    except OSError as error:
        raise cannot_write(error, f"nothing was kept, because {printable(target)} cannot be written to") from error
    return tally


def _write_all(
    found: _Found,
    folder: Path,
    settings: Settings,
    detector: Detector | None,
    workers: int,
    progress: bool,
    tally: Tally,
) -> None:
    """Prepare all files, and write the good images."""
    seen = Seen()
    (folder / PICTURES).mkdir()
    with (
        (folder / LIST).open("x", encoding="utf-8", newline="") as file,
        contextlib.closing(_prepare_all(found, settings, detector, workers)) as outcomes,
        ProgressBar(found.length, "Preparing", found.unit, shown=progress, in_bytes=found.unit == "B") as bar,
    ):
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(_COLUMNS)
        for member, prepared in outcomes:
            if member.path is not None and found.is_temporary:
                member.path.unlink()
            rows.writerow(_take(member.name, prepared, folder / PICTURES, seen, tally))
            bar.reach(member.position)
            bar.note(f"{tally.kept:,} kept")


def _take(source: str, prepared: PreparedFile, pictures: Path, seen: Seen, tally: Tally) -> list[str]:
    """Keep or drop a prepared file, and return its row of the list."""
    name, reason = "", prepared.reason
    if prepared.kind or prepared.pixels is None or prepared.cut is None:
        tally.drop(source, prepared.kind, reason, prepared.pixels)
        return _row(source, name, reason, prepared.cut)
    if prepared.likeness is not None:
        twin = seen.find(prepared.likeness)
        if twin is not None:
            tally.drop(source, "duplicate", "nearly equal to an earlier one", prepared.pixels, twin)
            return _row(source, name, f"nearly equal to {kept_name(twin)}", prepared.cut)
        seen.add(prepared.likeness)
    name = kept_name(tally.kept)
    (pictures / name).write_bytes(prepared.png)
    tally.keep(source, prepared.pixels, *prepared.cut.shape)
    return _row(source, name, reason, prepared.cut)


def kept_name(number: int) -> str:
    """File name of a prepared image; names sort like numbers.

    >>> kept_name(12)
    '000012.png'
    """
    return f"{number:06}.png"


def _row(source: str, name: str, reason: str, cut: Cut | None) -> list[str]:
    """A row of the list."""
    text = printable(source)
    text = f"./{text}" if text.startswith(("=", "+", "-", "@")) else text  # no formula in a spreadsheet
    row = [text, "kept" if name else "dropped", name, printable(reason)]
    if cut is None:
        return [*row, "", "", "", "", "", ""]
    square = (f"{n:.0f}" for n in (cut.square.left, cut.square.top, cut.square.side))
    return [*row, str(cut.width), str(cut.height), *square, f"{cut.face:.0f}" if cut.face else ""]


# ---- The source ----


@dataclass(frozen=True)
class _Found:
    """All files of a source, one after another."""

    members: Iterable[Member]
    length: int
    unit: str
    is_temporary: bool  # whether the files were unpacked for this, and are removed afterwards


@contextlib.contextmanager
def _opened(source: Path, folder: Path) -> Iterator[_Found]:
    if not source.is_file():
        yield _listed(check_folder(source))
        return
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    with open_archive(source) as archive:
        yield _Found(archive.members(unpacked), archive.length, archive.unit, True)
    shutil.rmtree(unpacked)


def _listed(folder: Path) -> _Found:
    files, skipped = list_files(folder)
    entries = [(item.path, item.reason) for item in skipped] + [(file.name, "") for file in files]
    members = (
        Member(name, None if reason else folder / name, reason, position)
        for position, (name, reason) in enumerate(sorted(entries), start=1)
    )
    return _Found(members, len(entries), "files", False)


# ---- Worker processes ----


def _prepare_all(
    found: _Found, settings: Settings, detector: Detector | None, workers: int
) -> Generator[tuple[Member, PreparedFile], None, None]:
    """All files, prepared, in order; by workers if they can be started and save time."""
    is_worth_it = found.length > (FEW if found.unit != "B" else FEW * 5_000)
    if workers > 1 and is_worth_it:
        with contextlib.suppress(NoWorkers):
            yield from _prepare_in_workers(found.members, settings, detector, workers)
            return
    image_formats()  # Pillow loads its plugins here, where its warnings are not silenced
    with decode.without_warnings():
        for member in found.members:
            yield member, _prepare_member(member, settings, detector)


def _prepare_in_workers(
    members: Iterable[Member], settings: Settings, detector: Detector | None, workers: int
) -> Generator[tuple[Member, PreparedFile], None, None]:
    """All files, prepared, in order. `NoWorkers` is raised before the first member is taken, or never."""
    try:
        with starting_workers():  # a lock brings a process of Python's that must hear no requests to end, either
            big_images = multiprocessing.get_context("spawn").Lock()
    except (OSError, ImportError) as error:  # no semaphores on this system
        raise NoWorkers from error
    chunks: deque[list[Member]] = deque()  # with workers, or finished there

    def taken() -> Iterator[list[Member]]:
        remaining = iter(members)
        while chunk := list(islice(remaining, _CHUNK)):
            chunks.append(chunk)
            yield chunk

    with Workers(workers, _preparing, (big_images, settings, detector)) as pool:
        try:
            for outcomes in pool.in_order(taken()):
                yield from zip(chunks.popleft(), outcomes, strict=True)
        except WorkerDied as error:
            raise RunError(
                f"a worker process died, perhaps for lack of memory, near the file {printable(error.item[0].name)}: "
                "try --workers 1; nothing was kept"
            ) from error


def _preparing(
    big_images: contextlib.AbstractContextManager[object], settings: Settings, detector: Detector | None
) -> Callable[[list[Member]], list[PreparedFile]]:
    """What a worker does; this part of it is done once."""
    decode.share_big_images(big_images)
    image_formats()
    decode.silence_warnings()
    return partial(_prepare_chunk, settings=settings, detector=detector)


def _prepare_chunk(members: list[Member], settings: Settings, detector: Detector | None) -> list[PreparedFile]:
    return [_prepare_member(member, settings, detector) for member in members]


def _prepare_member(member: Member, settings: Settings, detector: Detector | None) -> PreparedFile:
    if member.path is None:
        return PreparedFile("refused", member.reason)
    return prepare_file(member.path, member.name, settings, detector)


# ---- The target ----


def _check_target(source: Path, target: Path) -> None:
    """Refuse an impossible target, before anything is written."""
    try:
        if not source.exists():
            raise UserError(f"there is no folder or archive {printable(source)}")
        if target.exists() and not target.is_dir():
            raise UserError(f"the target must be a new or empty folder, and {printable(target)} is a file")
        place = target.resolve()
        if any(folder.exists() and folder.samefile(source) for folder in (place, *place.parents)):
            raise UserError(
                f"the target must lie outside of the source, and {printable(target)} is within {printable(source)}"
            )
        if target.is_dir():
            _insist_on_empty(target)
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a zero byte
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{printable(target)} cannot be prepared from {printable(source)} ({system_reason(error)})"
        ) from None


def _insist_on_empty(target: Path) -> None:
    """Refuse a folder that holds anything but the leftovers of an earlier call that was killed."""
    names = (path.name for path in target.iterdir())
    others = sorted(name for name in names if name != LOCK_NAME and not name.startswith(TEMPORARY_PREFIX))
    if others:
        more = " and more" if len(others) > 1 else ""
        raise UserError(
            f"the target must be a new or an empty folder, and {printable(target)} holds {printable(others[0])}{more}"
        )


@contextlib.contextmanager
def _destination(target: Path) -> Iterator[Path]:
    """Give a folder to write to. Its contents are moved to `target` at the end; after an error nothing is left."""
    is_new = not target.exists()
    try:
        target.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(target)
    except OSError as error:
        raise cannot_write(error, f"the target {printable(target)} cannot be written to") from None
    is_done = False
    made: list[Path] = []
    try:
        remove_temporaries(target)
        _insist_on_empty(target)  # another process may have written to it since
        made.append(target / _UNFINISHED)
        made[0].mkdir()
        yield made[0]
        if hasattr(os, "sync"):
            os.sync()  # once for all small files: after this, they are on the disk even if the power fails
        for path in sorted(made[0].iterdir()):
            rename(path, target / path.name)
            made.append(target / path.name)
        made[0].rmdir()
        is_done = True
    finally:
        if not is_done:
            for path in made:
                _remove(path)
        lock.release()
        with contextlib.suppress(OSError):
            (target / LOCK_NAME).unlink()
            if is_new and not is_done:
                target.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _nothing_left(source: Path, tally: Tally) -> str:
    """Say why no image is left."""
    if not tally.dropped:
        return f"{printable(source)} holds no file"
    kind = max(tally.reasons, key=tally.count)
    reason, counted = tally.sorted_reasons(kind)[0]
    files = "the only file" if tally.dropped == 1 else f"{tally.dropped:,} files"
    return (
        f"no image is left of {files} in {printable(source)}: {counted.count:,} {printable(reason)} "
        f"(the first: {counted.examples[0]})"
    )
