"""What a run's folder says about the run, for its report: settings, losses, checkpoints, times and measurements.

Files that are missing or damaged are left out, so that the report does not fail. `minigan.evaluation.run_report` turns
these facts into the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigan.nn.backend import Array
from minigan.runs.config import RunConfig
from minigan.runs.layout import VITALS_NAME
from minigan.runs.run_records import newest_step, open_config, read_history, read_measurements, read_rows, read_speed
from minigan.system.errors import UserError
from minigan.system.lock import LOCK_NAME, FolderLock

if TYPE_CHECKING:
    from minigan.evaluation.metrics import Measurement

RUNNING, FINISHED, STOPPED, FAILED = "running", "finished", "stopped", "failed"


@dataclass(frozen=True)
class RunFacts:
    """What a run's folder says about it.

    Parameters
    ----------
    path : Path
        Absolute.
    config : RunConfig
    about : dict
        The rest of config.json.
    state : str
        RUNNING, FINISHED, STOPPED or FAILED.
    words : str
        Why the run ended, if there is more to say than the state.
    steps : numpy.ndarray of shape (T,)
        Rising.
    values : numpy.ndarray of shape (T, 6)
        `minigan.gan.step.METRICS` of the steps, all finite.
    done : int
        Finished steps.
    saved : int
        Finished steps at the newest checkpoint.
    speed : list of (int, int, float)
        See `minigan.runs.run_records.read_speed`.
    vitals, measured : list of dict
        Rows of vitals.jsonl; rows of metrics.jsonl, then evaluation.json's, each with "step", the number of
        finished steps, and "measures".
    """

    path: Path
    config: RunConfig
    about: dict[str, Any]
    state: str
    words: str
    steps: Array
    values: Array
    done: int
    saved: int
    speed: list[tuple[int, int, float]]
    vitals: list[dict[str, Any]]
    measured: list[dict[str, Any]]

    @property
    def pace(self) -> float | None:
        """Seconds per step of the latest spans; None if none was measured."""
        latest = self.speed[-5:]
        count = sum(last - first for first, last, _ in latest)
        return sum(seconds for _, _, seconds in latest) / count if count else None

    @property
    def took(self) -> float:
        """Seconds of training that were recorded."""
        return sum(seconds for _, _, seconds in self.speed)

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """What config.json says about the sessions, without entries that cannot be used."""
        sessions = self.about.get("sessions")
        told: list[dict[str, Any]] = []
        for entry in sessions if isinstance(sessions, list) else []:
            if isinstance(entry, dict) and type(entry.get("from_step")) is int and 0 <= entry["from_step"] < 10**12:
                # An entry holds only what is new since the entry before it.
                told.append({**(told[-1] if told else {}), **entry})
        return told


def gather(path: Path, state: str, words: str = "", history: tuple[Array, Array] | None = None) -> RunFacts:
    """Read a run's folder.

    Parameters
    ----------
    path : Path
    state : str
        RUNNING, FINISHED, STOPPED or FAILED.
    words : str
        Why the run ended, if there is more to say than the state.
    history : tuple of arrays, optional
        `minigan.runs.run_folder.Run.history`, by default read from log.csv.

    Returns
    -------
    RunFacts

    Raises
    ------
    UserError
        If it is no run folder.
    OSError
        If log.csv or speed.csv cannot be read.
    """
    config, about = open_config(path)
    steps, values = _clean(*(read_history(path) if history is None else history))
    saved = newest_step(path)
    return RunFacts(
        path=path.absolute(),
        config=config,
        about=about,
        state=state,
        words=words,
        steps=steps,
        values=values,
        done=int(steps[-1]) + 1 if len(steps) else saved,
        saved=saved,
        speed=read_speed(path),
        vitals=read_rows(path, VITALS_NAME),
        measured=read_measurements(path),
    )


def state_of(path: Path) -> str:
    """Whether a process trains in a run folder now, or has finished or stopped.

    Parameters
    ----------
    path : Path

    Returns
    -------
    str
        RUNNING, FINISHED or STOPPED.

    Raises
    ------
    UserError
        If it is no run folder.
    """
    config, _ = open_config(path)
    if (path / LOCK_NAME).exists():
        try:
            FolderLock(path).release()
        except UserError:
            return RUNNING
        except OSError:  # a folder that can only be read: no process trains in it
            pass
    return FINISHED if newest_step(path) >= config.steps else STOPPED


def measures_of(row: dict[str, Any]) -> dict[str, Measurement]:
    """The measures of a row of `RunFacts.measured` that are numbers.

    Parameters
    ----------
    row : dict
    """
    from minigan.evaluation.metrics import Measurement  # late: it brings Pillow and the painter of drawn faces

    found = {}
    for name, entry in row["measures"].items():
        values = [entry.get(key) for key in ("value", "real", "noise")] if isinstance(entry, dict) else [None]
        if all(isinstance(value, int | float) and abs(value) < 1e30 for value in values):
            found[name] = Measurement(*values)
    return found


def _clean(steps: Array, values: Array) -> tuple[Array, Array]:
    """Leave out steps that are out of order or have NaN or huge metrics; only a log changed by hand has some."""
    if not len(steps):
        return steps, values
    rising = np.concatenate([[True], steps[1:] > np.maximum.accumulate(steps)[:-1]])
    kept = rising & np.isfinite(values).all(axis=1) & (np.abs(values) < 1e30).all(axis=1)
    return steps[kept], values[kept]
