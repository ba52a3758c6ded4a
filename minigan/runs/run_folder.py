"""Writing a run folder: making it, adding to its logs, saving the networks, and cutting it back for a resumed run.

`minigan.runs.layout` lists the files. A run that is resumed from checkpoint 500 drops every log line and image of step
500 and later, and makes them again. So whatever moment the process ends at, the folder can be resumed.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import math
import os
import platform
from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import numpy as np

import minigan
from minigan.gan.step import GAN, METRICS
from minigan.nn.backend import NUMPY, Array, Backend
from minigan.runs import checkpoint
from minigan.runs.config import RunConfig, to_json
from minigan.runs.layout import (
    CONFIG_NAME,
    CSV_NAME,
    FIXED_IMAGE,
    FOLDERS,
    LOG_NAME,
    METRICS_NAME,
    MODEL,
    SHOWN_IMAGE,
    SPEED_NAME,
    SUMMARY_NAMES,
    VITALS_NAME,
    model_name,
)
from minigan.runs.run_records import load_newest, read_history, read_lines, step_of_line
from minigan.system import atomic_files
from minigan.system.command_lines import quoted
from minigan.system.errors import RunError, UserError, cannot_write
from minigan.system.lock import FolderLock
from minigan.system.wording import see

_CSV_HEADING = ",".join(("step", *METRICS)) + "\n"


class Run:
    """An open run folder.

    Use `create` or `resume`. With both, the folder can be resumed whenever the process is killed.

    Attributes
    ----------
    path : Path
    config : RunConfig
    saved : int
        Finished steps of the newest checkpoint.
    """

    def __init__(self, path: Path, config: RunConfig) -> None:
        self.path, self.config, self.saved = path, config, 0
        self._about: dict[str, Any] = {}  # what config.json says besides the settings
        self._lock: FolderLock | None = None
        self._log: IO[str] | None = None
        self._csv: IO[str] | None = None
        self._steps, self._values = array("q"), array("d")  # of all steps of the run, 56 bytes each

    # ------------------------------------------------------------------------------------------------ open and close
    @classmethod
    def create(
        cls,
        path: Path,
        config: RunConfig,
        gan: GAN,
        about: dict[str, Any],
        backend: Backend = NUMPY,
        *,
        otherwise: Iterable[Path] | None = None,
    ) -> Run:
        """Make a new run folder with a checkpoint of step 0 in it.

        Parameters
        ----------
        path : Path
            Must not exist.
        config : RunConfig
        gan : GAN
            Before its first step.
        about : dict
            Facts for config.json.
        backend : Backend
            Where it runs, for config.json.
        otherwise : iterable of Path
            Names to take instead, one after another, if another process has taken `path` meanwhile.

        Returns
        -------
        Run

        Raises
        ------
        UserError
            If the path exists or cannot be written to.
        RunError
            If the disk is full.
        """
        if otherwise is None:
            check_new_folder(path)
        made = [folder for folder in path.absolute().parents if not folder.exists()]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_files.remove_temporaries(path.parent, of_others=True)
            with atomic_files.temporary_folder(path) as temporary:
                for folder in FOLDERS:
                    (temporary / folder).mkdir()
                run = cls(temporary, config)
                run._about = {**about, "sessions": [session(0, backend)]}
                run.change_settings(config)
                (temporary / LOG_NAME).touch()
                atomic_files.write_text(temporary / CSV_NAME, _CSV_HEADING)
                run.save_checkpoint(gan, 0)
                # The folder gets its name last, so that every folder of that name can be resumed.
                path = run.path = _give_name(temporary, path, otherwise)
        except BaseException as error:
            for parent in made:
                with contextlib.suppress(OSError):
                    parent.rmdir()
            if isinstance(error, OSError):
                raise cannot_write(error, f"--out: the run folder {path} cannot be made") from None
            raise
        try:
            run._lock = FolderLock(path)  # only now: Windows cannot rename a folder in which a file is open
            run._open()
        except OSError as error:
            run.close()
            raise _unusable(error, path, "--out") from None
        return run

    @classmethod
    def resume(
        cls,
        path: Path,
        config: RunConfig,
        gan: GAN,
        about: dict[str, Any],
        backend: Backend = NUMPY,
        lock: FolderLock | None = None,
    ) -> tuple[Run, int, list[str]]:
        """Open a run folder at its newest good checkpoint, and remove what belongs to later steps.

        Parameters
        ----------
        path : Path
        config : RunConfig
            The saved settings, perhaps with more steps.
        gan : GAN
            Brought to the checkpoint's state.
        about : dict
            The entries of config.json besides the settings.
        backend : Backend
            Where it goes on, for config.json.
        lock : FolderLock, optional
            The lock on the folder, if the caller holds it already; otherwise it is taken here. `close` releases it.

        Returns
        -------
        run : Run
        step : int
            Finished steps.
        warnings : list of str
            One line for every damaged checkpoint that was passed over.

        Raises
        ------
        UserError
            If no checkpoint is readable, they belong to networks of another size, or another process holds the folder.
        RunError
            If the disk is full.
        """
        run = cls(path, config)
        try:
            run._lock = lock or FolderLock(path)
            step, damaged = load_newest(path, config, gan)
            run.saved = step
            for file, _ in damaged:
                file.replace(file.with_name(file.name + ".damaged"))
            run._cut(step)
            run._about = {**about, "sessions": _with_session(about, session(step, backend))}
            run.change_settings(config)
            run._open()
        except BaseException as error:
            run.close()
            if isinstance(error, OSError):
                raise _unusable(error, path, "--resume") from None
            raise
        return run, step, [f"{reason}; going back to the checkpoint before it{see('damaged')}" for _, reason in damaged]

    def change_settings(self, config: RunConfig) -> None:
        """Go on with these settings, and write them to config.json."""
        self.config = config
        atomic_files.write_text(self.path / CONFIG_NAME, to_json(config, self._about))

    def _open(self) -> None:
        self._log = (self.path / LOG_NAME).open("a", encoding="utf-8", newline="\n")
        self._csv = (self.path / CSV_NAME).open("a", encoding="utf-8", newline="\n")

    def close(self) -> None:
        """Close the logs, and release the lock for other processes."""
        for file in (self._log, self._csv):
            if file is not None:
                with contextlib.suppress(OSError):  # a full disk has been reported before
                    file.close()
        if self._lock is not None:
            self._lock.release()

    # ------------------------------------------------------------------------------------------------------- the logs
    def log(self, step: int, metrics: Sequence[float]) -> None:
        """Append one step to both logs.

        Parameters
        ----------
        step : int
        metrics : sequence of 6 float
            `minigan.gan.step.METRICS`.
        """
        assert self._log is not None
        assert self._csv is not None
        d_real, d_fake, g = metrics[:3]
        self._log.write(f"Step: {step} Disc: real loss: {d_real:f} fake loss: {d_fake:f} GAN loss: {g:f}\n")
        digits = [f"{value:.9g}" for value in metrics]  # all digits of a float32
        self._csv.write(f"{step}," + ",".join(digits) + "\n")
        self._log.flush()
        self._csv.flush()
        self._steps.append(step)
        self._values.extend(float(text) for text in digits)  # rounded as a resumed run reads them

    def history(self) -> tuple[Array, Array]:
        """Steps of shape (T,) and their metrics of shape (T, 6), from the beginning of the run."""
        return np.array(self._steps), np.array(self._values).reshape(-1, len(METRICS))

    def log_speed(self, first: int, last: int, seconds: float) -> None:
        """Append to speed.csv how long it took from `first` finished steps to `last`."""
        with (self.path / SPEED_NAME).open("a", encoding="utf-8", newline="\n") as file:
            file.write(f"{first},{last},{seconds:.3f}\n")

    def append(self, name: str, step: int, row: dict[str, Any]) -> None:
        """Append a row to a file of JSON lines. It is on the disk before any later checkpoint.

        Parameters
        ----------
        name : str
            `VITALS_NAME` or `METRICS_NAME`.
        step : int
            The step that the row is about.
        row : dict
            NaN and infinite numbers are written as null, because JSON does not have them.
        """
        told = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        with (self.path / name).open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps({"step": step, **told}, allow_nan=False) + "\n")
            file.flush()
            atomic_files.flush_handle(file.fileno())

    def averages(self, count: int = 250) -> Array:
        """Means of the last `count` values of every metric, shape (6,)."""
        return self.history()[1][-count:].mean(axis=0)

    # ------------------------------------------------------------------------------------------------------- networks
    def save_networks(self, gan: GAN, step: int) -> None:
        """Save both networks, and the generator's average if there is one, after step number `step`."""
        networks = {"GENERATOR": (gan.generator, 0.0), "DISCRIMINATOR": (gan.discriminator, 0.0)}
        if gan.average is not None:
            networks["GENERATOR_EMA"] = (gan.average.settle(), gan.average.decay)
        for name, (network, ema) in networks.items():
            checkpoint.save_network(
                self.path / "models" / model_name(step, name),
                network,
                image_size=self.config.image_size,
                width=self.config.width,
                step=step + 1,
                ema=ema,
            )

    def save_checkpoint(self, gan: GAN, step: int) -> None:
        """Save a checkpoint after `step` finished steps. The logs reach the disk before it."""
        for file in (self._log, self._csv):
            if file is not None:
                file.flush()
                atomic_files.flush_handle(file.fileno())
        if gan.average is not None:
            gan.average.settle()  # a command that reads the checkpoint can draw with it
        checkpoint.save_checkpoint(
            self.path / "checkpoints", gan, step=step, image_size=self.config.image_size, width=self.config.width
        )
        self.saved = step

    # ---------------------------------------------------------------------------------------------------------- resume
    def _cut(self, step: int) -> None:
        """Remove all that belongs to step number `step` or a later one, and half-written files."""
        for folder, patterns in (("images", (SHOWN_IMAGE, FIXED_IMAGE)), ("models", (MODEL,))):
            (self.path / folder).mkdir(exist_ok=True)
            for file in (self.path / folder).iterdir():
                match = next(filter(None, (pattern.fullmatch(file.name) for pattern in patterns)), None)
                if match and int(match[1]) >= step and file.is_file():
                    file.unlink()
        for finished, file in checkpoint.list_checkpoints(self.path / "checkpoints"):
            if finished > step:
                file.unlink()
        checkpoint.drop_old_checkpoints(self.path / "checkpoints")
        for name in SUMMARY_NAMES:
            if not (self.path / name).is_dir():
                (self.path / name).unlink(missing_ok=True)
        atomic_files.remove_temporaries(self.path, of_others=True)  # `evaluate` and `report` may be writing there
        for name in FOLDERS:
            atomic_files.remove_temporaries(self.path / name)
        for name in (LOG_NAME, CSV_NAME, SPEED_NAME, VITALS_NAME, METRICS_NAME):
            self._cut_lines(name, step)
        steps, values = read_history(self.path)
        self._steps, self._values = array("q", steps.tobytes()), array("d", values.tobytes())

    def _cut_lines(self, name: str, step: int) -> None:
        """Keep only the lines about steps before `step`, and the heading of log.csv."""
        lines = read_lines(self.path / name)
        kept = [line for line in lines if (its := step_of_line(name, line)) is not None and its < step]
        if name == CSV_NAME:
            kept.insert(0, _CSV_HEADING)
        if kept != lines:
            atomic_files.write_text(self.path / name, "".join(kept))


def _give_name(temporary: Path, path: Path, otherwise: Iterable[Path] | None) -> Path:
    """Rename a finished folder to the first name that is free; which that is, only renaming can tell."""
    for name in itertools.chain([path], otherwise or ()):
        try:
            return temporary.rename(name)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
    check_new_folder(path)
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def _unusable(error: OSError, path: Path, where: str) -> UserError | RunError:
    in_it = isinstance(error.filename, str | os.PathLike) and Path(error.filename) != path
    what = f"the run folder {path} cannot be used" + (f" ({Path(error.filename).name})" if in_it else "")
    return cannot_write(error, f"{where}: {what}")


def _with_session(about: dict[str, Any], new: dict[str, Any]) -> list[Any]:
    """The list of a run's sessions for config.json, the new one last.

    All are kept, except that a session without a finished step is replaced by the next one: a program that starts a
    failing run every second must not fill the file. Of the new session, only what has changed is written.
    """
    sessions = about.get("sessions")
    kept = [entry for entry in sessions if isinstance(entry, dict)] if isinstance(sessions, list) else []
    if len(kept) > 1 and kept[-1].get("from_step") == new["from_step"]:
        kept.pop()
    told: dict[str, Any] = {}
    for entry in kept:
        told.update(entry)
    always = ("started", "from_step")
    return [*kept, {key: value for key, value in new.items() if key in always or told.get(key) != value}]


def lock_run(path: Path) -> FolderLock:
    """Lock a run folder, so that no other process writes to it.

    Parameters
    ----------
    path : Path

    Returns
    -------
    FolderLock

    Raises
    ------
    UserError
        If another process holds the lock, or the folder cannot be written to.
    """
    try:
        return FolderLock(path)
    except OSError as error:
        raise _unusable(error, path, "--resume") from None


def check_new_folder(path: Path) -> None:
    """Raise UserError unless a new folder can be made at `path`.

    Parameters
    ----------
    path : Path
    """
    if path.name in ("", ".."):
        raise UserError(f"--out: must end in the name of a new folder, got {path}")
    try:
        if path.is_dir():
            raise UserError(
                f"--out: {path} exists already and is never overwritten; go on with it by --resume {quoted(path)}"
            )
        if path.exists() or path.is_symlink():
            raise UserError(f"--out: must be a new folder, but {path} is a file")
        parent = path.absolute().parent
        while not parent.exists():
            parent = parent.parent
    except OSError as error:  # a name that is too long, or links that form a circle
        raise UserError(f"--out: {path} cannot be made: {error.strerror or error}") from None
    if not parent.is_dir():
        raise UserError(f"--out: {path} cannot be made: {parent} is a file")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"--out: {path} cannot be made: the folder {parent} is read-only")


def fresh_folders(preset: str, now: datetime, root: Path = Path("runs")) -> Iterator[Path]:
    """Paths under runs/ that do not exist when they are taken, with the time and the preset in their names."""
    base = f"{now:%Y-%m-%d_%H%M%S}-{preset}"
    for number in itertools.count(1):
        path = root / (base if number == 1 else f"{base}-{number}")
        if not path.exists():
            yield path


def session(step: int, backend: Backend) -> dict[str, Any]:
    """Facts about one session of a run for config.json: its beginning, its versions, and its machine.

    Parameters
    ----------
    step : int
        Finished steps when it began.
    backend : Backend

    Returns
    -------
    dict
    """
    from importlib.metadata import PackageNotFoundError, version  # late: it imports the parser of e-mails

    versions = {"minigan": minigan.__version__, "python": platform.python_version()}
    for package in ("numpy", "pillow", "matplotlib", "safetensors", "cupy-cuda12x", "cupy-cuda13x"):
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    versions |= backend.versions
    return {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "from_step": step,
        "backend": backend.name,
        "device": backend.device_name,
        "versions": versions,
        "machine": {
            "system": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
        },
    }
