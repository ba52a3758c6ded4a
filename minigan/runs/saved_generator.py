"""Loading networks: a generator to draw with, a discriminator, or both of a run with all that training needs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from minigan.gan.step import GAN, build_gan
from minigan.nn.network import Sequential
from minigan.runs.checkpoint import DamagedFileError, list_checkpoints, load_network
from minigan.runs.run_records import expect_checkpoint, list_networks, load_newest, open_config
from minigan.system.console import complain, one_line
from minigan.system.errors import UserError
from minigan.system.wording import see

BROKEN_GENERATOR = "the generator draws NaN: its weights are broken"
"""What a command says if there are no faces."""

MANY_STEPS = 30
"""Most steps that a message lists."""


def load_generator(source: Path, *, raw: bool = False, step: int | None = None) -> tuple[Sequential, int]:
    """The newest generator of a run, one that it has kept, or the one in a file.

    Parameters
    ----------
    source : Path
        A run folder, or a ``..._GENERATOR_weights_and_arch.safetensors`` file of one. Of a run folder without
        checkpoints, the newest generator in its models/ is loaded.
    raw : bool
        Whether to take the generator itself, even if the run keeps an average of its weights.
    step : int, optional
        Finished steps of the generator to take, of those in the run's models/; by default the newest is taken.

    Returns
    -------
    generator : Sequential
        On the NumPy backend, in float32.
    step : int
        Its finished training steps.

    Raises
    ------
    UserError
        If the source is neither, or cannot be read, or has kept no generator of this step.
    """
    with _told_as_mistakes(source):
        if source.is_file():
            for name, given in (("--raw", raw), ("--step", step is not None)):
                if given:
                    raise UserError(f"{name}: chooses between the generators of a run, and {source} holds one network")
            return _load_file(source, "generator")
        config, _ = open_config(source)
        kept = list_networks(source, "GENERATOR" if raw or not config.ema else "GENERATOR_EMA")
        if step is not None:
            return load_network(_of_step(kept, step, source))
        if not list_checkpoints(source / "checkpoints"):
            if kept:
                return load_network(kept[-1][1])
            if raw and list_networks(source, "GENERATOR_EMA"):
                raise UserError(f"--raw: takes the generator itself, but {source} has kept only its average")
        gan, finished = load_gan(source)
        # The average in a checkpoint has its batch norm statistics measured already (`minigan.gan.average`).
        return (gan.generator if raw or gan.average is None else gan.average.network), finished


def load_discriminator(source: Path) -> tuple[Sequential, int]:
    """The newest discriminator of a run, or the one in a file.

    Parameters
    ----------
    source : Path
        A run folder, or a ``..._DISCRIMINATOR_weights_and_arch.safetensors`` file of one. Of a run folder without
        checkpoints, the newest discriminator in its models/ is loaded.

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
    with _told_as_mistakes(source):
        if source.is_file():
            return _load_file(source, "discriminator")
        open_config(source)
        if not list_checkpoints(source / "checkpoints"):
            if kept := list_networks(source, "DISCRIMINATOR"):
                return load_network(kept[-1][1])
            if any(list_networks(source, kind) for kind in ("GENERATOR", "GENERATOR_EMA")):
                raise UserError(f"{source} holds a generator and no discriminator")
        gan, step = load_gan(source)
        return gan.discriminator, step


@contextlib.contextmanager
def _told_as_mistakes(source: Path) -> Iterator[None]:
    """Files that are damaged or cannot be opened become a UserError."""
    try:
        yield
    except DamagedFileError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"{source} cannot be opened: {error.strerror or error}") from None


def _load_file(source: Path, kind: str) -> tuple[Sequential, int]:
    network, step = load_network(source)
    if network.name != kind:
        must = "faces are drawn by a generator" if kind == "generator" else f"must hold a {kind}"
        raise UserError(f"{source} holds a {network.name}, but {must}")
    return network, step


def _of_step(kept: Sequence[tuple[int, Path]], step: int, source: Path) -> Path:
    """The file of a kept generator."""
    files = dict(kept)
    if step not in files:
        steps = [str(each) for each in files]
        if len(steps) > MANY_STEPS:
            steps = [*steps[: MANY_STEPS - 2], "...", steps[-1]]
        there = f"generators after {', '.join(steps)} steps" if steps else "no generator"
        raise UserError(f"--step: {source / 'models'} has {there}, got {step}")
    return files[step]


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
    gan = build_gan(
        image_size=config.image_size, width=config.width, ema=config.ema, g_learning_rate=config.g_learning_rate
    )
    step, damaged = load_newest(path, config, gan)
    for _, reason in damaged:
        complain(f"minigan: warning: {one_line(reason)}; going back to the checkpoint before it{see('damaged')}")
    return gan, step
