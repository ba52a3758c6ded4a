"""Reading a run folder: its settings, its logs, its list of images, and its newest good checkpoint.

Nothing here writes, so a folder can be read while a run is still writing to it. A line that is cut short, or that no
run has written, is passed over. The report, the evaluation, the diagnosis and a resumed run read the folder with these
functions.
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigan.gan.step import GAN, METRICS
from minigan.nn.backend import Array
from minigan.runs import checkpoint
from minigan.runs.config import RunConfig, read_config
from minigan.runs.layout import (
    CONFIG_NAME,
    CSV_NAME,
    EVALUATION_NAME,
    FIXED_IMAGE,
    LOG_NAME,
    METRICS_NAME,
    MODEL,
    SHOWN_IMAGE,
    SPEED_NAME,
    SUMMARY_NAMES,
)
from minigan.system import atomic_files
from minigan.system.errors import UserError

MAX_JSON_BYTES = 1_000_000
"""A larger evaluation.json is not read: `minigan.evaluate` writes some thousand bytes."""

_LOG_LINE = re.compile(r"Step: (\d{1,12}) Disc: .* GAN loss: \S+\n", re.ASCII)
_SPAN = re.compile(r"(\d{1,12}),(\d{1,12}),(\d{1,9}\.\d{3})\n", re.ASCII)


def open_config(path: Path) -> tuple[RunConfig, dict[str, Any]]:
    """Settings of a run folder.

    Parameters
    ----------
    path : Path

    Returns
    -------
    config : RunConfig
    about : dict

    Raises
    ------
    UserError
        If it is not a run folder.
    """
    try:
        if not path.exists():
            raise UserError(f"no such run folder: {path}")
        if not (path / CONFIG_NAME).is_file():
            raise UserError(f"{path} is no run folder: it has no {CONFIG_NAME}")
    except OSError as error:
        raise UserError(f"{path} cannot be opened: {error.strerror or error}") from None
    return read_config(path / CONFIG_NAME)


def expect_checkpoint(path: Path, config: RunConfig) -> None:
    """Raise UserError unless a run folder has a checkpoint of networks of this size, as far as its metadata say.

    Commands call it before they build the networks, so that a wrong number in config.json does not cost gigabytes.

    Parameters
    ----------
    path : Path
    config : RunConfig
    """
    reasons = []
    for _, candidate in checkpoint.list_checkpoints(path / "checkpoints"):
        try:
            checkpoint.check_checkpoint(candidate, image_size=config.image_size, width=config.width)
            return
        except checkpoint.DamagedFileError as error:
            reasons.append(str(error))
        except OSError as error:
            raise UserError(f"{candidate} cannot be opened: {error.strerror or error}") from None
    raise _no_checkpoint(path, reasons)


def load_newest(path: Path, config: RunConfig, gan: GAN) -> tuple[int, list[tuple[Path, str]]]:
    """Bring a GAN to the newest good checkpoint of a run.

    Parameters
    ----------
    path : Path
    config : RunConfig
    gan : GAN
        Changed in place.

    Returns
    -------
    step : int
        Finished steps.
    damaged : list of (Path, str)
        The checkpoints that were passed over, and why.

    Raises
    ------
    UserError
        If there is no good checkpoint, or it belongs to networks of another size.
    """
    damaged: list[tuple[Path, str]] = []
    for _, candidate in checkpoint.list_checkpoints(path / "checkpoints"):
        try:
            step = checkpoint.load_checkpoint(candidate, gan, image_size=config.image_size, width=config.width)
            return step, damaged
        except checkpoint.DamagedFileError as error:
            damaged.append((candidate, str(error)))
    raise _no_checkpoint(path, [reason for _, reason in damaged])


def _no_checkpoint(path: Path, reasons: Sequence[str]) -> UserError:
    reason = f": {reasons[-1]}" if reasons else ""
    return UserError(f"no checkpoint in {path / 'checkpoints'} is readable{reason}")


def finished_steps(path: Path, config: RunConfig) -> int | None:
    """Finished steps of a run folder that is complete, its faces and film included; None if something is missing.

    Parameters
    ----------
    path : Path
    config : RunConfig
    """
    found = checkpoint.list_checkpoints(path / "checkpoints")
    if not found or not all((path / name).exists() for name in SUMMARY_NAMES) or atomic_files.has_temporaries(path):
        return None
    newest = found[0][1]
    try:
        step = checkpoint.check_checkpoint(newest, image_size=config.image_size, width=config.width)
        checkpoint.load_tensors(newest)  # for its checksum
    except checkpoint.DamagedFileError:
        return None
    return step


def newest_step(path: Path) -> int:
    """Finished steps of a run folder's newest checkpoint, 0 if it has none. Only its name is looked at."""
    found = checkpoint.list_checkpoints(path / "checkpoints")
    return found[0][0] if found else 0


def list_networks(path: Path, kind: str) -> list[tuple[int, Path]]:
    """Networks that a run keeps in models/, in order, each with the number of steps that were finished.

    Parameters
    ----------
    path : Path
    kind : str
        GENERATOR, GENERATOR_EMA or DISCRIMINATOR.
    """
    folder = path / "models"
    found = folder.iterdir() if folder.is_dir() else ()
    matches = ((MODEL.fullmatch(each.name), each) for each in found)
    return sorted((int(m[1]) + 1, each) for m, each in matches if m and m[2] == kind and each.is_file())


def read_lines(path: Path) -> list[str]:
    """Lines of a text file with their ends; none if the file is missing. Bytes that are not UTF-8 are replaced."""
    if not path.exists():
        return []
    if not path.is_file():  # a pipe would never end
        raise OSError(errno.EINVAL, f"{path.name} is not a file")
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        return list(file)


def step_of_line(name: str, line: str) -> int | None:
    """The step that a line of a log is about (of several, the last); None if it is not a line of such a log.

    Parameters
    ----------
    name : str
        One of the names of logs in `minigan.runs.layout`.
    line : str
        With its end.
    """
    if name == LOG_NAME:
        found = _LOG_LINE.fullmatch(line)
        return int(found[1]) if found else None
    if name == CSV_NAME:
        row = _parse_csv_row(line)
        return int(row[0]) if row else None
    if name == SPEED_NAME:
        span = _parse_span(line)
        return span[1] - 1 if span else None
    entry = _parse_json_row(line)
    return entry["step"] if entry else None


def read_history(path: Path) -> tuple[Array, Array]:
    """Steps of shape (T,) and their metrics of shape (T, 6) in a run folder's log.csv, as `Run.history` has them.

    Parameters
    ----------
    path : Path
    """
    rows = [row for line in read_lines(path / CSV_NAME)[1:] if (row := _parse_csv_row(line)) is not None]
    table = np.array(rows, np.float64).reshape(-1, 1 + len(METRICS))
    return table[:, 0].astype(np.int64), table[:, 1:]


def read_rows(path: Path, name: str) -> list[dict[str, Any]]:
    """Rows of a file of JSON lines in a run folder, in order. Other lines are passed over.

    Parameters
    ----------
    path : Path
    name : str
        `VITALS_NAME` or `METRICS_NAME`.
    """
    return [row for line in read_lines(path / name) if (row := _parse_json_row(line)) is not None]


def read_measurements(path: Path) -> list[dict[str, Any]]:
    """Measurements of a run's faces: rows of metrics.jsonl and evaluation.json's, without those that cannot be used.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of dict
        Each with its "step", finished steps, and its "measures"; the newest networks last. Of two rows of one step,
        evaluation.json's is the later one: it has more samples.
    """
    rows = [{**row, "step": row["step"] + 1} for row in read_rows(path, METRICS_NAME)]
    try:
        file = path / EVALUATION_NAME
        text = file.read_text(encoding="utf-8") if file.stat().st_size < MAX_JSON_BYTES else "null"
        row = json.loads(text, parse_int=_whole)
        if isinstance(row, dict) and type(row.get("step")) is int:
            rows.append(row)
    except (OSError, ValueError, RecursionError):  # there is none, or another program wrote it
        pass
    return sorted((row for row in rows if isinstance(row.get("measures"), dict)), key=lambda row: row["step"])


def read_speed(path: Path) -> list[tuple[int, int, float]]:
    """How long the steps of a run took: (finished steps before, finished steps after, seconds), in order.

    Parameters
    ----------
    path : Path
    """
    return [span for line in read_lines(path / SPEED_NAME) if (span := _parse_span(line)) is not None]


def list_images(path: Path, *, fixed: bool) -> list[tuple[int, Path]]:
    """Images of faces in a run folder in order, each with the step in its name.

    Parameters
    ----------
    path : Path
    fixed : bool
        Whether to list the faces from the fixed noise, or the fakes that the discriminator was shown.
    """
    folder, pattern = path / "images", FIXED_IMAGE if fixed else SHOWN_IMAGE
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted((int(m[1]), p) for p in found if (m := pattern.fullmatch(p.name)) and p.is_file())


def _parse_csv_row(line: str) -> list[float] | None:
    """The numbers in a line of log.csv; None if it is cut short."""
    step, *cells = line.split(",")
    if (
        not line.endswith("\n")
        or len(cells) != len(METRICS)
        or not (step.isascii() and step.isdigit())
        or len(step) > 12
    ):
        return None
    try:
        return [float(step), *map(float, cells)]
    except ValueError:
        return None


def _parse_span(line: str) -> tuple[int, int, float] | None:
    """A line of speed.csv, as `read_speed` gives it; None if it is cut short."""
    found = _SPAN.fullmatch(line)
    return (int(found[1]), int(found[2]), float(found[3])) if found else None


def _parse_json_row(line: str) -> dict[str, Any] | None:
    """A row that `Run.append` wrote; None if it is cut short or something else."""
    try:
        row = json.loads(line, parse_int=_whole) if line.endswith("\n") else None
    except (ValueError, RecursionError):
        return None
    step = row.get("step") if isinstance(row, dict) else None
    return row if isinstance(step, int) and not isinstance(step, bool) and 0 <= step < 10**12 else None


def _whole(text: str) -> int:
    if len(text) > 15:  # no count is so large, and Python cannot make a float of a very long one
        raise ValueError(f"{text[:15]}... is too large")
    return int(text)
