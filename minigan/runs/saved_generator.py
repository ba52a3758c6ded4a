"""Loading a generator to draw with: the newest of a run, or the one in a file of weights."""

from __future__ import annotations

from pathlib import Path

from minigan.gan.step import GAN, build_gan
from minigan.nn.network import Sequential
from minigan.runs.checkpoint import DamagedFileError, list_checkpoints, load_network
from minigan.runs.run_records import expect_checkpoint, list_networks, load_newest, open_config
from minigan.system.console import complain, one_line
from minigan.system.errors import UserError
from minigan.system.wording import see


def load_generator(source: Path, *, raw: bool = False) -> tuple[Sequential, int]:
    """The newest generator of a run, or the one in a file.

    Parameters
    ----------
    source : Path
        A run folder, or a ``..._GENERATOR_weights_and_arch.safetensors`` file of one. Of a run folder without
        checkpoints, the newest generator in its models/ is loaded.
    raw : bool
        Whether to take the generator itself, even if the run keeps an average of its weights.

    Returns
    -------
    generator : Sequential
        On the NumPy backend, in float32.
    step : int
        Its finished training steps.

    Raises
    ------
    UserError
        If the source is neither, or cannot be read.
    """
    try:
        return _load_generator(source, raw)
    except DamagedFileError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"{source} cannot be opened: {error.strerror or error}") from None


def _load_generator(source: Path, raw: bool) -> tuple[Sequential, int]:
    if source.is_file():
        if raw:
            raise UserError(f"--raw: chooses between the generators of a run, and {source} holds one network")
        network, step = load_network(source)
        if network.name != "generator":
            raise UserError(f"{source} holds a {network.name}, but faces are drawn by a generator")
        return network, step
    config, _ = open_config(source)
    kept = list_networks(source, "GENERATOR" if raw or not config.ema else "GENERATOR_EMA")
    if kept and not list_checkpoints(source / "checkpoints"):
        return load_network(kept[-1][1])
    expect_checkpoint(source, config)
    gan = build_gan(image_size=config.image_size, width=config.width, ema=config.ema)
    step, damaged = load_newest(source, config, gan)
    for _, reason in damaged:
        complain(f"minigan: warning: {one_line(reason)}; going back to the checkpoint before it{see('damaged')}")
    # The average in a checkpoint has its batch norm statistics measured already (`minigan.gan.average`).
    return (gan.generator if raw or gan.average is None else gan.average.network), step


def load_discriminator(source: Path) -> tuple[Sequential, int]:
    """The newest discriminator of a run, or the one in a file.

    Parameters
    ----------
    source : Path
        A run folder, or a ``..._DISCRIMINATOR_weights_and_arch.safetensors`` file of one.

    Returns
    -------
    discriminator : Sequential
        On the NumPy backend.
    step : int
        Its finished training steps.

    Raises
    ------
    UserError
        If the source is neither, or cannot be read.
    """
    try:
        if not source.is_file():
            gan, step = load_gan(source)
            return gan.discriminator, step
        network, step = load_network(source)
    except DamagedFileError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"{source} cannot be opened: {error.strerror or error}") from None
    if network.name != "discriminator":
        raise UserError(f"{source} holds a {network.name}, and not a discriminator")
    return network, step


def load_gan(path: Path) -> tuple[GAN, int]:
    """Both networks of a run's newest good checkpoint, with their optimizers and the average if there is one.

    Parameters
    ----------
    path : Path
        A run folder.

    Returns
    -------
    gan : GAN
        On the NumPy backend.
    step : int
        Finished steps.

    Raises
    ------
    UserError
        If it is no run folder, or no checkpoint can be read. Damaged ones that are passed over cost a warning.
    OSError
        If a file cannot be opened.
    """
    config, _ = open_config(path)
    expect_checkpoint(path, config)
    gan = build_gan(image_size=config.image_size, width=config.width, ema=config.ema)
    step, damaged = load_newest(path, config, gan)
    for _, reason in damaged:
        complain(f"minigan: warning: {one_line(reason)}; going back to the checkpoint before it{see('damaged')}")
    return gan, step
