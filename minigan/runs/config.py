"""The settings of a run, the two presets, and config.json, the file that holds the settings.

A `RunConfig` and the images together determine every number of a run, unless it begins with the networks of another run
or uses functions of a file of its own. The settings are written to config.json when the run begins, and read again when
it is resumed.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from minigan.gan.models import INITS, MAX_WIDTH
from minigan.gan.step import D_LEARNING_RATE, G_LEARNING_RATE
from minigan.nn.backend import NUMPY, backend_names
from minigan.nn.geometry import IMAGE_SIZES
from minigan.nn.rng import MAX_SEED
from minigan.runs.setting_declaration import check_values, declared_settings, has_type_of, setting
from minigan.runs.setting_declaration import option as option
from minigan.system.cli import path_name
from minigan.system.errors import UserError

MAX_CONFIG_BYTES = 4 << 20
_MAX_DEPTH = 20
_MANY = 100_000_000  # steps

_PRESETS: dict[str, dict[str, Any]] = {
    "article": {},
    "quick": {
        "faces": 4_000,
        "steps": 2_500,
        "batch_size": 16,
        "width": 32,
        "sample_every": 50,
        "save_every": 500,
        "ema": 0.999,
        "g_learning_rate": 3e-4,
    },
}
_BETTER_TRAINING: dict[str, Any] = {
    "group": ("better training", "not the article's; the quick preset has two of them: docs/better-training.md"),
    "added_later": True,
}


@dataclass(frozen=True)
class RunConfig:
    """Settings of a run, in the order of config.json: each with its default and what --help says of it.

    A new setting is a new field, declared as `minigan.runs.setting_declaration.Setting` says, and the code that uses
    it.
    """

    preset: str = setting("article", "where the other options start from (default: article)", choices=tuple(_PRESETS))
    data: str | None = setting(  # a resumed run's folder may have moved
        None, "folder of images to learn from (default: drawn faces)", parse=path_name, metavar="DIR", fixed=False
    )
    faces: int = setting(20_000, "drawn faces to learn from", range=(1, 1_000_000), has_option=False)
    steps: int = setting(
        10_000, "training steps ({article.steps}; quick: {quick.steps})", range=(1, _MANY), fixed=False
    )
    batch_size: int = setting(64, "images per batch ({article.batch_size}; quick: {quick.batch_size})", range=(1, 4096))
    image_size: int = setting(
        64,
        f"side of an image, in pixels: {', '.join(map(str, IMAGE_SIZES))} ({{article.image_size}})",
        choices=IMAGE_SIZES,
        after="width",
    )
    width: int = setting(
        64, "channels of the largest feature map ({article.width}; quick: {quick.width})", range=(1, MAX_WIDTH)
    )
    seed: int = setting(1337, "seed of weights, batches, noise and labels ({article.seed})", range=(0, MAX_SEED))
    init: str = setting(
        "glorot",
        "first weights: drawn from the seed, or the original program's very own",
        choices=INITS,
        after="cuda_graph",
    )
    # The next five say where and how the steps are computed. Only rounding errors depend on them.
    backend: str = setting(
        "numpy", "numpy for the processor (default), cupy for an NVIDIA GPU", choices=backend_names(), fixed=False
    )
    tf32: bool = setting(
        False,
        "on a GPU, multiply matrices in tf32: faster and less exact (default: no)",
        after="ranks",
        fixed=False,
        added_later=True,
    )
    ranks: int = setting(  # 0: not decided yet. Runs that began before there were ranks have none.
        0,
        "processes to train with, each on one core (default: one for each physical core)",
        range=(0, 1024),
        fixed=False,
        added_later=True,
    )
    cuda_graph: bool = setting(
        False, "on a GPU, record the training step and replay it (default: no)", fixed=False, added_later=True
    )
    plain: bool = setting(
        False,
        "compute with the readable code alone, without its fast versions (default: no)",
        after="cuda_graph",
        fixed=False,
        added_later=True,
    )
    # Of a run that trains with functions of the user's own (--layers FILE). The file is no setting: whoever resumes the
    # run has to name it again.
    layers_sha256: str | None = setting(None, "SHA-256 of the file of --layers", has_option=False, added_later=True)
    layers_used: str = setting("", "exercises whose functions are that file's", has_option=False, added_later=True)
    sample_every: int = setting(
        100, "steps between saved images ({article.sample_every}; quick: {quick.sample_every})", range=(1, _MANY)
    )
    save_every: int = setting(
        500, "steps between saved networks ({article.save_every}; quick: {quick.save_every})", range=(1, _MANY)
    )
    metrics_every: int = setting(  # 0: never
        0,
        "steps between measurements of the faces (metrics.jsonl; some seconds each; default: none)",
        range=(0, _MANY),
        fixed=False,
        added_later=True,
    )
    ema: float = setting(  # 0: no average
        0.0,
        "draw faces with an average of the generator's weights, which keeps this share at each step "
        "(0: no average; quick: {quick.ema})",
        range=(0, 0.99999),
        metavar="DECAY",
        **_BETTER_TRAINING,
    )
    flip: bool = setting(False, "mirror each real image with probability 1/2 (default: no)", **_BETTER_TRAINING)
    translate: bool = setting(
        False,
        "move what the discriminator sees, real and fake, by up to an eighth of its side (default: no)",
        **_BETTER_TRAINING,
    )
    g_learning_rate: float = setting(
        G_LEARNING_RATE,
        f"of the generator ({G_LEARNING_RATE:g}; quick: {{quick.g_learning_rate:g}}; the discriminator learns twice a "
        f"step at {D_LEARNING_RATE:g})",
        range=(1e-6, 1e-2),
        metavar="RATE",
        **_BETTER_TRAINING,
    )

    def check(self) -> Self:
        """Return self if every setting is in range, and they fit together.

        Raises
        ------
        UserError
            Names the option, the rule and the value.
        """
        check_values(self)
        for name in ("tf32", "cuda_graph"):
            if getattr(self, name) and self.backend != "cupy":
                raise UserError(f"{option(name)}: needs --backend cupy, got {self.backend}")
        if self.layers_sha256 is not None and self.backend != NUMPY.name:
            raise UserError(f"--layers: needs --backend {NUMPY.name}, got {self.backend}")
        if self.cuda_graph and self.plain:  # its learning rate is computed on the host, and would be replayed for ever
            raise UserError("--cuda-graph: only the fast versions can be recorded, got --plain as well")
        if self.init == "original" and (self.image_size, self.width) != (64, 64):
            raise UserError(
                "--init original: exists for image size 64 and width 64 only, "
                f"got image size {self.image_size} and width {self.width}"
            )
        return self


PRESETS = {name: RunConfig(preset=name, **values) for name, values in _PRESETS.items()}
"""Starting points: the article's run, and one of a few minutes that already shows faces, with a faster generator and
its average: docs/runs/2026-11-28-quick-preset.md."""


def resumed_config(saved: RunConfig, given: dict[str, Any]) -> RunConfig:
    """Settings of a resumed run: the saved ones, changed as the command line says.

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
        If another value is given for a setting that is fixed, or the settings do not fit together.
    """
    for each, rule in declared_settings(saved):
        name, value = each.name, getattr(saved, each.name)
        if rule.fixed and given.get(name, value) != value:
            raise UserError(
                f"{option(name)}: a resumed run keeps its own value, {value}, got {given[name]}; "
                "start a new run for another"
            )
    return replace(saved, **given).check()


def to_json(config: RunConfig, about: dict[str, Any]) -> str:
    """The text of config.json: the settings, and facts about the images and the machine.

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
        If the file is missing, too large, or not what `to_json` writes.
    """
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ValueError(f"it is larger than {MAX_CONFIG_BYTES} bytes")
        # "-sig": some editors put a byte order mark before the text.
        about = json.loads(
            path.read_text(encoding="utf-8-sig"),
            object_pairs_hook=_once,
            parse_constant=_not_finite,
            parse_float=_finite,
        )
        if not isinstance(about, dict) or not isinstance(about.get("settings"), dict):
            raise ValueError("it has no settings")
        _insist_on_flat(about)
        settings = about.pop("settings")
        _take_threads_for_ranks(settings)
        known = declared_settings(RunConfig)
        for each, rule in known:
            if each.name not in settings and not rule.added_later:
                raise ValueError(f"{each.name} is missing")
            value = settings.setdefault(each.name, each.default)
            if not has_type_of(each.default, value):
                raise ValueError(f"{each.name} is {repr(value)[:60]}")
        unknown = set(settings) - {each.name for each, _ in known}
        if unknown:
            raise ValueError(f"{min(unknown)[:60]} is not known")
        return RunConfig(**settings).check(), about
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: not the configuration of a run ({reason or type(error).__name__})") from None


def _take_threads_for_ranks(settings: dict[str, Any]) -> None:
    """Runs that began before there were ranks say how many threads they had; one thread did what one rank does."""
    if "ranks" not in settings:
        threads = settings.pop("threads", 0)
        if not has_type_of(0, threads):
            raise ValueError(f"threads is {repr(threads)[:60]}")
        settings["ranks"] = 1 if threads == 1 else 0


def _insist_on_flat(about: object) -> None:
    """Raise ValueError if there is deep nesting, which Python might read but could not write again."""
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
    """Make a dict of a JSON object; raise ValueError if a name is given twice. Python would take the last one."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:60]} is given twice")
        found[name] = value
    return found


def _not_finite(text: str) -> float:
    raise ValueError(f"{text} is not a finite number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _not_finite(text[:60])
