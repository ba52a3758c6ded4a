"""The generator that comes with minigan, for whoever has not trained one yet.

`minigan/pretrained/` is a run folder with little in it: the settings, the log in four digits, the measurements,
and one generator, the average of a run of 10,000 steps on the drawn faces, with its kernels in float16. Its README.md
is the model card. ``benchmarks/make_pretrained.py`` makes the folder from the finished run.
"""

from __future__ import annotations

from pathlib import Path

from minigan.runs.layout import CONFIG_NAME
from minigan.runs.run_records import list_networks
from minigan.system.console import one_line, say
from minigan.system.errors import UserError

_FOLDER = Path(__file__).resolve().parents[1] / "pretrained"


def pretrained_run() -> Path:
    """The folder of the generator that comes with minigan, to be used like the folder of a run.

    Returns
    -------
    Path
        Nothing should be written there: it is a part of the package.

    Raises
    ------
    UserError
        If the settings or the generator are missing.
    """
    if not (_FOLDER / CONFIG_NAME).is_file() or not list_networks(_FOLDER, "GENERATOR_EMA"):
        raise UserError(
            f"the generator that comes with minigan is missing in {_FOLDER}: install minigan again, or name a RUN"
        )
    return _FOLDER


def is_pretrained(source: Path) -> bool:
    """Whether a run folder is the one that comes with minigan, or a file lies in it."""
    return source.resolve().is_relative_to(_FOLDER)


def say_which(step: int) -> None:
    """Print that the generator that comes with minigan is used, after so many training steps, and where its card is."""
    say(f"The generator that comes with minigan, {step:,} steps on drawn faces ({one_line(_FOLDER / 'README.md')})")
