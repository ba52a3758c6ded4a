"""Runs that come with the course, for lesson 12 to diagnose, and what lesson 13 explores a generator with.

The runs were made by ``lessons/runs/record.py`` and are real. A recorded run is a file of numbers (the losses of every
step, and the health numbers of every 25th, as in vitals.jsonl) and an image of faces. The generator of lesson 13 is the
one that comes with minigan (`minigan.runs.pretrained`). Nothing here is pickled, and reading it needs no network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minigan.data.drawn.face_set import open_drawn_faces
from minigan.data.drawn.modes import Reader, true_labels
from minigan.data.open import open_images
from minigan.evaluation.diagnosis import Finding, diagnose_numbers
from minigan.gan.step import METRICS
from minigan.nn.backend import Array
from minigan.nn.network import Sequential
from minigan.pages.plots import GAP, SCALE
from minigan.runs.config import RunConfig
from minigan.runs.layout import VITALS_NAME
from minigan.runs.pretrained import pretrained_run
from minigan.runs.run_records import list_images, open_config, read_history, read_rows
from minigan.runs.saved_generator import load_generator

FOLDER = Path(__file__).resolve().parent / "runs"
LETTERS = "ABCDEF"

FRAME_STEPS = (0, 50, 100, 200, 400, 700, 999)
"""Steps whose fixed-noise faces are kept, as far as the run got."""

FRAMES_SHOWN = 4
"""Faces of each of these steps."""

VITALS = ("real_low", "real_high", "real_spread", "fake_spread", "g_move", "d_move")
"""Columns of a recorded run's health numbers (vitals.jsonl); the names are `minigan.runs.health`'s."""

_SETTLED, _LAST = 50, 200


@dataclass(frozen=True)
class Recorded:
    """One recorded run.

    Attributes
    ----------
    letter : str
        What it is called in the lesson.
    config : RunConfig
    steps : numpy.ndarray of shape (T,)
    history : numpy.ndarray of shape (T, 6)
        `minigan.gan.step.METRICS` of every step.
    vitals_steps : numpy.ndarray of shape (V,)
    vitals : numpy.ndarray of shape (V, 6)
        `VITALS` of every 25th step.
    frame_steps : tuple of int
    frames : numpy.ndarray of shape (F, n, S, S, 3), uint8
        Faces from noise that never changes: F moments, n faces.
    """

    letter: str
    config: RunConfig
    steps: Array
    history: Array
    vitals_steps: Array
    vitals: Array
    frame_steps: tuple[int, ...]
    frames: Array

    def gauges(self) -> dict[str, float]:
        """The run in fourteen numbers: medians of `METRICS` over the last 200 steps, and of `VITALS` from step 50 on.

        For real_low and real_high it is the least and the greatest of all steps; g_leap and d_leap are the greatest
        moves of all.
        """
        last = np.median(self.history[-_LAST:], axis=0)
        settled = self.vitals[self.vitals_steps >= _SETTLED]
        numbers = dict(zip(METRICS, last.tolist(), strict=True))
        numbers |= dict(zip(VITALS, np.median(settled, axis=0).tolist(), strict=True))
        numbers["real_low"], numbers["real_high"] = float(self.vitals[:, 0].min()), float(self.vitals[:, 1].max())
        numbers["g_leap"], numbers["d_leap"] = self.vitals[:, 4:].max(axis=0).tolist()
        return numbers

    def examine(self) -> list[Finding]:
        """What `minigan.evaluation.diagnosis` says about it."""
        rows: list[Mapping[str, Any]] = [
            {"step": int(step), **dict(zip(VITALS, row.tolist(), strict=True))}
            for step, row in zip(self.vitals_steps, self.vitals, strict=True)
        ]
        return diagnose_numbers(self.config, self.steps, self.history, rows)


def table() -> str:
    """The gauges of all six runs, in lines for people: medians over the last 200 steps; `VITALS` from step 50 on."""
    lines = [
        "     losses               accu-   G's move           D's move           spread         pixels of",
        "run  D real D fake     G  racy    usual    largest   usual    largest   fakes  reals   the reals",
    ]
    for letter, run in runs().items():
        g = run.gauges()
        lines.append(
            f"{letter:3s} {g['d_real']:7.2f} {g['d_fake']:6.2f} {g['g']:5.2f} {g['accuracy']:5.0%} "
            f"{g['g_move']:10.1e} {g['g_leap']:8.1e} {g['d_move']:9.1e} {g['d_leap']:8.1e} "
            f"{g['fake_spread']:7.2f} {g['real_spread']:6.2f}   {g['real_low']:.2f} to {g['real_high']:.2f}"
        )
    return "\n".join(lines)


@cache
def runs() -> dict[str, Recorded]:
    """The six recorded runs by letter."""
    return {letter: read_recorded(FOLDER, letter) for letter in LETTERS}


def trained_generator(run: Path | str | None = None) -> tuple[Sequential, int]:
    """The generator that comes with minigan, or the newest of a run of your own.

    Parameters
    ----------
    run : path, optional
        A run folder, or a saved generator from its models/.

    Returns
    -------
    generator : Sequential
    step : int
        Training steps that it has had.

    Raises
    ------
    UserError
        If the run cannot be used.
    """
    return load_generator(pretrained_run() if run is None else Path(run))


def save_recorded(run: Path, folder: Path, letter: str) -> None:
    """Keep of a run folder what a `Recorded` needs.

    Parameters
    ----------
    run : Path
        A run folder.
    folder : Path
        Gets LETTER.npz and LETTER.png.
    letter : str
    """
    from PIL import Image

    config, _ = open_config(run)
    steps, history = read_history(run)
    rows = [row for row in read_rows(run, VITALS_NAME) if set(VITALS) <= row.keys()]
    pictures = dict(list_images(run, fixed=True))
    kept = [step for step in FRAME_STEPS if step in pictures]
    np.savez_compressed(
        folder / f"{letter}.npz",
        settings=np.array(json.dumps(asdict(config))),
        steps=steps.astype(np.int32),
        history=history.astype(np.float16),
        vitals_steps=np.array([row["step"] for row in rows], np.int32),
        vitals=np.array([[row[name] for name in VITALS] for row in rows], np.float32),
        frame_steps=np.array(kept, np.int32),
    )
    columns = [_faces(np.asarray(Image.open(pictures[step]).convert("RGB")), config.image_size) for step in kept]
    sheet = np.concatenate([np.concatenate(list(faces[:FRAMES_SHOWN])) for faces in columns], axis=1)
    Image.fromarray(sheet).save(folder / f"{letter}.png", optimize=True)


def read_recorded(folder: Path, letter: str) -> Recorded:
    """Read what `save_recorded` kept."""
    from PIL import Image

    with np.load(folder / f"{letter}.npz", allow_pickle=False) as file:
        settings = json.loads(str(file["settings"]))
        if settings.pop("threads", None) == 1:  # recorded before there were ranks; one thread did what one rank does
            settings["ranks"] = 1
        config = RunConfig(**settings).check()
        numbers = {name: file[name] for name in ("steps", "history", "vitals_steps", "vitals")}
        frame_steps = tuple(file["frame_steps"].tolist())
    with Image.open(folder / f"{letter}.png", formats=("PNG",)) as picture:
        sheet = np.asarray(picture.convert("RGB"))
    S = config.image_size
    frames = sheet.reshape(len(sheet) // S, S, len(frame_steps), S, 3).transpose(2, 0, 1, 3, 4)
    return Recorded(
        letter,
        config,
        frame_steps=frame_steps,
        frames=frames,
        **{name: a.astype(np.float64) if a.dtype.kind == "f" else a for name, a in numbers.items()},
    )


def _faces(sheet: Array, side: int) -> Array:
    """The faces of a picture that `minigan.pages.plots.save_grid` wrote, row by row."""
    small, cell = sheet[::SCALE, ::SCALE], side + GAP
    starts = range(GAP, len(small) - GAP, cell)
    return np.stack([small[i : i + side, j : j + side] for i in starts for j in starts])


# -------------------------------------------------------------------------------------- lessons 6's and 10's pictures
def plane_modes() -> dict[int, Array]:
    """Modes that a GAN in the plane covers, by G's steps in a round, as ``record_plane_modes.py`` recorded them.

    Returns
    -------
    dict of int to numpy.ndarray of shape (seeds, counts)
        A count every 20 rounds.
    """
    text = (FOLDER / "plane_modes.json").read_text(encoding="utf-8")
    return {int(steps): np.array(counts) for steps, counts in json.loads(text).items()}


def deep_discriminators() -> dict[str, Array]:
    """Losses of deep discriminators with batch normalisation and without, as ``record_deep_d.py`` recorded them.

    Returns
    -------
    dict of str to numpy.ndarray of shape (seeds, steps)
        Such as "Glorot's kernels, with".
    """
    text = (FOLDER / "deep_d.json").read_text(encoding="utf-8")
    return {name: np.array(losses) for name, losses in json.loads(text).items()}


# ------------------------------------------------------------------------------------------------- lesson 13's pictures
HELD_OUT_SEED = 1
"""Seed of the drawn faces that no run is trained on."""


def held_out_faces(image_size: int, count: int) -> Array:
    """Drawn faces that no generator was trained on: (count, S, S, 3), uint8."""
    return open_drawn_faces(count, image_size, seed=HELD_OUT_SEED, progress=False).images


def colour_reader(faces: Array) -> Reader:
    """A reader of hair colour and skin, with its threshold for clear images taken from `held_out_faces`.

    Parameters
    ----------
    faces : numpy.ndarray of shape (N, S, S, 3), uint8

    Returns
    -------
    minigan.data.drawn.modes.Reader
        It reads hair styles less well than minigan's own reader, which is fitted to 4,000 faces.
    """
    return Reader(faces, true_labels(range(len(faces)), HELD_OUT_SEED)["hair_style"])


def training_faces(run: Path | str | None, image_size: int, count: int) -> Array:
    """What a generator was trained on: the first `count` images, (count, S, S, 3), uint8.

    Parameters
    ----------
    run : path, optional
        A run folder of your own; None for the generator that comes with minigan. For a single file, drawn faces.
    image_size, count : int
    """
    folder = pretrained_run() if run is None else Path(run)
    config = open_config(folder)[0] if folder.is_dir() else RunConfig()
    if config.data is None:
        return open_images(None, image_size=image_size, count=min(count, config.faces), progress=False).images
    return open_images(config.data, image_size=image_size, progress=False).images[:count]
