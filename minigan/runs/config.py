"""What a run is: the settings that decide its outcome, their ranges, and the two presets.

A `RunConfig` together with the images determines every number of a run. It is written to config.json when the run
begins and read again when it is resumed.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from minigan.gan.models import INITS, MAX_WIDTH
from minigan.gan.step import G_LEARNING_RATE
from minigan.nn.backend import BACKENDS
from minigan.nn.geometry import IMAGE_SIZES
from minigan.nn.rng import MAX_SEED
from minigan.system.errors import UserError

MAX_CONFIG_BYTES = 4 << 20
MAX_EMA = 0.99999
MAX_THREADS = 1024
_MAX_DEPTH = 20


@dataclass(frozen=True)
class RunConfig:
    """Settings of a run.

    Parameters
    ----------
    preset : str
        Name of the preset it started from.
    data : str or None
        Folder of images; None for drawn faces.
    faces : int
        How many drawn faces to train on.
    steps : int
        Training steps in all.
    batch_size : int
        Pictures per batch.
    image_size, width : int
        Side of a picture in pixels, and channels of the largest feature map.
    seed : int
    init : str
        "glorot" or "original".
    backend : str
        "numpy" or "cupy"; it does not decide the outcome (up to rounding).
    tf32 : bool
        Whether a GPU may multiply matrices in tf32: faster, with factors of 10 bits.
    threads : int
        Worker threads of the NumPy backend; 0 for as many as there are cores. The last digits may depend on it.
    cuda_graph : bool
        Whether a GPU's training step is recorded once and replayed; it does not decide the outcome.
    sample_every, save_every : int
        Steps between pictures, and between saved networks.
    metrics_every : int
        Steps between two measurements of the faces; 0 for none. They change nothing about the training.
    ema : float
        Decay of the average of the generator's weights that faces are drawn with; 0 for none.
    flip : bool
        Whether real pictures are mirrored, each with probability 1/2.
    translate : bool
        Whether the discriminator sees real pictures and fakes moved by a few pixels.
    g_learning_rate : float
        Of the generator.
    """

    preset: str = "article"
    data: str | None = None
    faces: int = 20_000
    steps: int = 10_000
    batch_size: int = 64
    image_size: int = 64
    width: int = 64
    seed: int = 1337
    init: str = "glorot"
    backend: str = "numpy"
    tf32: bool = False
    threads: int = 0
    cuda_graph: bool = False
    sample_every: int = 100
    save_every: int = 500
    metrics_every: int = 0
    ema: float = 0.0
    flip: bool = False
    translate: bool = False
    g_learning_rate: float = G_LEARNING_RATE

    def check(self) -> RunConfig:
        """Return self if every setting is in range.

        Raises
        ------
        UserError
            Names the option, the rule and the value.
        """
        ranges = {
            "faces": (1, 1_000_000),
            "steps": (1, 100_000_000),
            "batch_size": (1, 4096),
            "width": (1, MAX_WIDTH),
            "seed": (0, MAX_SEED),
            "threads": (0, MAX_THREADS),
            "sample_every": (1, 100_000_000),
            "save_every": (1, 100_000_000),
            "metrics_every": (0, 100_000_000),
            "ema": (0, MAX_EMA),
            "g_learning_rate": (1e-6, 1e-2),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UserError(f"{option(name)}: must be between {low} and {high}, got {value}")
        choices: dict[str, tuple[Any, ...]] = {
            "preset": tuple(PRESETS),
            "image_size": IMAGE_SIZES,
            "init": INITS,
            "backend": BACKENDS,
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                told = ", ".join(map(str, allowed))
                raise UserError(f"{option(name)}: must be one of {told}, got {getattr(self, name)!r}")
        for name in ("tf32", "cuda_graph"):
            if getattr(self, name) and self.backend != "cupy":
                raise UserError(f"{option(name)}: needs --backend cupy, got {self.backend}")
        if self.init == "original" and (self.image_size, self.width) != (64, 64):
            raise UserError(
                "--init original: exists for image size 64 and width 64 only, "
                f"got image size {self.image_size} and width {self.width}"
            )
        return self


PRESETS: dict[str, RunConfig] = {
    "article": RunConfig(),
    "quick": RunConfig(
        preset="quick", faces=4_000, steps=1_500, batch_size=16, width=32, sample_every=50, save_every=500
    ),
}
"""Starting points: the article's run, and a few minutes' worth that already shows faces (of the combinations tried that
take as long, many small batches gave the best faces)."""

FIXED_ON_RESUME = (
    "preset",
    "faces",
    "batch_size",
    "image_size",
    "width",
    "seed",
    "init",
    "sample_every",
    "save_every",
    "ema",
    "flip",
    "translate",
    "g_learning_rate",
)
"""What a resumed run cannot change without becoming another run."""


ADDED_LATER = ("metrics_every", "tf32", "cuda_graph", "threads", "ema", "flip", "translate", "g_learning_rate")
"""Settings that runs begun with an earlier version do not have; they keep the default."""


def option(name: str) -> str:
    """Spelling of a setting on the command line.

    >>> option("batch_size")
    '--batch-size'
    """
    return "--" + name.replace("_", "-")


def resumed_config(saved: RunConfig, given: dict[str, Any]) -> RunConfig:
    """Settings of a run that goes on: the saved ones, but for steps, backend, a moved folder and metrics if given.

    Parameters
    ----------
    saved : RunConfig
    given : dict
        Settings named on the command line.

    Returns
    -------
    RunConfig

    Raises
    ------
    UserError
        If a setting was given that would make it another run.
    """
    for name in FIXED_ON_RESUME:
        if name in given and given[name] != getattr(saved, name):
            raise UserError(
                f"{option(name)}: a resumed run keeps its own value, {getattr(saved, name)}, got {given[name]}; "
                "start a new run for another"
            )
    changeable = ("steps", "backend", "threads", "tf32", "cuda_graph", "data", "metrics_every")
    return replace(saved, **{name: given[name] for name in changeable if name in given}).check()


def to_json(config: RunConfig, about: dict[str, Any]) -> str:
    """Text of config.json: the settings, and facts about where they ran.

    Parameters
    ----------
    config : RunConfig
    about : dict
        Further top-level entries.

    Returns
    -------
    str
    """
    return json.dumps({"settings": asdict(config), **about}, indent=2) + "\n"


def read_config(path: Path) -> tuple[RunConfig, dict[str, Any]]:
    """Read config.json.

    Parameters
    ----------
    path : Path

    Returns
    -------
    config : RunConfig
    about : dict
        The other entries.

    Raises
    ------
    UserError
        If it is missing, too large to be one, or not what `to_json` writes.
    """
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ValueError(f"it is larger than {MAX_CONFIG_BYTES} bytes")
        # "-sig": some editors put a mark in front of the text.
        about = json.loads(
            path.read_text(encoding="utf-8-sig"),
            object_pairs_hook=_once,
            parse_constant=_no_number,
            parse_float=_finite,
        )
        if not isinstance(about, dict) or not isinstance(about.get("settings"), dict):
            raise ValueError("it has no settings")
        _insist_on_flat(about)
        settings = about.pop("settings")
        for field in fields(RunConfig):
            if field.name not in settings:
                if field.name in ADDED_LATER:
                    settings[field.name] = field.default
                    continue
                raise ValueError(f"{field.name} is missing")
            expected = (str, type(None)) if field.name == "data" else type(field.default)
            given = settings[field.name]
            if not isinstance(given, expected) or isinstance(given, bool) != (expected is bool):
                raise ValueError(f"{field.name} is {repr(given)[:60]}")
        unknown = set(settings) - {field.name for field in fields(RunConfig)}
        if unknown:
            raise ValueError(f"{min(unknown)[:60]} is not known")
        return RunConfig(**settings).check(), about
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: no run's configuration ({reason or type(error).__name__})") from None


def _insist_on_flat(about: object) -> None:
    """Raise ValueError if there is nesting that Python might read, but not write again."""
    level = [about]
    for _ in range(_MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    if level:
        raise ValueError(f"it is nested deeper than {_MAX_DEPTH} levels")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON in which no name is given twice; Python would let the last one hold."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:60]} is given twice")
        found[name] = value
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text[:60])
