"""Beginning a new run with the networks of another: ``python -m minigan.train --start-from RUN``.

Weights and moving statistics are taken over. Both optimizers begin afresh, and the average of a run with ``--ema``
begins at the generator's weights. The other run stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigan.gan.step import GAN
from minigan.runs.checkpoint import list_checkpoints
from minigan.runs.run_records import open_config
from minigan.runs.saved_generator import load_gan
from minigan.runs.setting_declaration import option
from minigan.system.errors import UserError


def size_of_networks(path: Path, given: Mapping[str, Any]) -> dict[str, int]:
    """The settings that a run's networks demand of a run that begins with them.

    Parameters
    ----------
    path : Path
        The folder of the run whose networks are to be taken.
    given : mapping of str to object
        Settings that were asked for.

    Returns
    -------
    dict of str to int
        "image_size" and "width".

    Raises
    ------
    UserError
        If it is no run folder, holds a generator alone, or another size was asked for.
    """
    config, _ = open_config(path)
    if not list_checkpoints(path / "checkpoints"):
        raise UserError(f"--start-from: needs a run with a checkpoint of both networks, and {path} has none")
    size = {"image_size": config.image_size, "width": config.width}
    for name, value in size.items():
        if given.get(name, value) != value:
            raise UserError(f"{option(name)}: the networks of {path} have {value}, got {given[name]}")
    return size


def start_from(gan: GAN, path: Path) -> None:
    """Copy the newest networks of a run into a GAN of the same size.

    Parameters
    ----------
    gan : GAN
        Before its first step, on either backend.
    path : Path
        A run folder.

    Raises
    ------
    UserError
        If no checkpoint of the run can be read.
    """
    try:
        other, _ = load_gan(path)
    except OSError as error:
        raise UserError(f"--start-from: {path} cannot be opened: {error.strerror or error}") from None
    gan.generator.load_state(other.generator.state())
    gan.discriminator.load_state(other.discriminator.state())
    if gan.average is not None:
        gan.average.network.load_state(other.generator.state())
