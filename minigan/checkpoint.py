"""Saving and loading: networks for keeps, and checkpoints that hold all that a run is.

Both are safetensors files (Hugging Face's format: a JSON header, then raw numbers), so that opening one can never run
code. A checkpoint holds weights, moving statistics with their debiasing state, both optimizers' moments and counts,
and the number of finished steps; random draws are functions of the step, so nothing else is needed for a resumed run
to equal an uninterrupted one bit for bit.

Each file carries a SHA-256 over everything in it. A file whose sum does not fit, or that cannot be read at all, is
*damaged*: the loader says so and goes back to the one before.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save as safetensors_save

from minigan.backend import Array, backend_of
from minigan.errors import UserError
from minigan.files import write_bytes
from minigan.gan import GAN
from minigan.models import discriminator, generator
from minigan.network import Sequential

KEPT = 2
"""Checkpoints that stay; the second to last is there in case the last is damaged."""

_FORMAT = "minigan-1"
_CHECKPOINT_NAME = re.compile(r"step-(\d{6,12})\.safetensors", re.ASCII)
_MAX_COUNT = 10**10  # of steps and updates: more is damage, not diligence


class DamagedFileError(ValueError):
    """A file that cannot be trusted: cut short, altered, or no file of ours."""


class NotFiniteError(ValueError):
    """A weight or moment is infinite or no number, so there is nothing worth saving."""


def save_tensors(path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write arrays and a few words about them to a safetensors file, all or nothing.

    Parameters
    ----------
    path : Path
    tensors : mapping of str to Array
        Of either backend.
    metadata : mapping of str to str

    Raises
    ------
    NotFiniteError
        If an array holds a number that is not finite; nothing is written.
    OSError
        If the disk is full or cannot be written; an earlier file of the name is kept.
    """
    host = {name: np.ascontiguousarray(backend_of(a).to_host(a)).reshape(a.shape) for name, a in tensors.items()}
    for name, array in host.items():
        if not np.isfinite(array).all():
            raise NotFiniteError(f"{name} holds a number that is not finite")
    words = {"format": _FORMAT, **metadata}
    words["sha256"] = _checksum(host, words)
    write_bytes(path, safetensors_save(host, words))


def load_tensors(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Read a file that `save_tensors` wrote.

    Parameters
    ----------
    path : Path

    Returns
    -------
    tensors : dict of str to numpy.ndarray
    metadata : dict of str to str

    Raises
    ------
    DamagedFileError
        If the file is missing, is no safetensors file of minigan's, or its checksum does not fit.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            words = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except Exception as error:  # whatever bytes there are, safetensors and NumPy may raise almost anything
        raise DamagedFileError(f"{path.name} cannot be read ({_one_line(error)})") from None
    if words.get("format") != _FORMAT:
        raise DamagedFileError(f"{path.name} is no file of minigan's (format {words.get('format')!r}, not {_FORMAT!r})")
    if words.pop("sha256", None) != _checksum(tensors, words):
        raise DamagedFileError(f"{path.name} is damaged (its checksum does not fit its contents)")
    return tensors, words


def save_network(path: Path, network: Sequential, *, image_size: int, width: int, step: int) -> None:
    """Save one network for keeps: weights, moving statistics, and what is needed to build it again.

    Parameters
    ----------
    path : Path
    network : Sequential
    image_size, width : int
    step : int
        Finished training steps.

    Raises
    ------
    NotFiniteError, OSError
        As `save_tensors`.
    """
    words = {"network": network.name, "image_size": str(image_size), "width": str(width), "step": str(step)}
    save_tensors(path, network.state(), words)


def load_network(path: Path) -> tuple[Sequential, int]:
    """Build a network from a file that `save_network` wrote.

    Parameters
    ----------
    path : Path

    Returns
    -------
    network : Sequential
        On the NumPy backend.
    step : int
        Finished training steps.

    Raises
    ------
    DamagedFileError
        If the file cannot be trusted or holds no network.
    """
    tensors, words = load_tensors(path)
    build = {"generator": generator, "discriminator": discriminator}.get(words.get("network", ""))
    if build is None:
        raise DamagedFileError(f"{path.name} holds no network (network is {words.get('network')!r})")
    try:
        network = build(image_size=int(words["image_size"]), width=int(words["width"]))
        network.load_state(tensors)
        return network, _count(words, "step")
    except (KeyError, ValueError) as error:
        raise DamagedFileError(f"{path.name} does not fit together ({_one_line(error)})") from None


def checkpoint_path(folder: Path, step: int) -> Path:
    """Name of the checkpoint after `step` finished steps."""
    return folder / f"step-{step:06d}.safetensors"


def list_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(finished steps, path) of every checkpoint in a folder, the newest first."""
    found = [
        (match, path)
        for path in folder.glob("step-*")
        if (match := _CHECKPOINT_NAME.fullmatch(path.name)) and path.is_file()
    ]
    return sorted(((int(match[1]), path) for match, path in found), reverse=True)


def save_checkpoint(folder: Path, gan: GAN, *, step: int, image_size: int, width: int) -> Path:
    """Save all that a run is, and drop all but the last two checkpoints.

    Parameters
    ----------
    folder : Path
    gan : GAN
    step : int
        Finished steps.
    image_size, width : int

    Returns
    -------
    Path
        The new file.

    Raises
    ------
    NotFiniteError, OSError
        As `save_tensors`; earlier checkpoints are kept.
    """
    tensors = {f"{part}.{name}": a for part, state in _parts(gan).items() for name, a in state.items()}
    words = {
        "step": str(step),
        "image_size": str(image_size),
        "width": str(width),
        "g_optimizer.t": str(gan.g_optimizer.t),
        "d_optimizer.t": str(gan.d_optimizer.t),
    }
    path = checkpoint_path(folder, step)
    save_tensors(path, tensors, words)
    for _, old in list_checkpoints(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(path: Path, gan: GAN, *, image_size: int, width: int) -> int:
    """Bring a GAN to the state that a checkpoint holds.

    Parameters
    ----------
    path : Path
    gan : GAN
        Changed in place.
    image_size, width : int
        What the run's configuration says; the checkpoint has to agree.

    Returns
    -------
    int
        Finished steps.

    Raises
    ------
    DamagedFileError
        If the file cannot be trusted; the GAN is then as it was.
    UserError
        If it belongs to networks of another size.
    """
    tensors, words = load_tensors(path)
    try:
        step, saved_size, saved_width, g_t, d_t = (
            _count(words, key) for key in ("step", "image_size", "width", "g_optimizer.t", "d_optimizer.t")
        )
        if path.name != checkpoint_path(path.parent, step).name:
            raise ValueError(f"its contents are those of step {step}")
    except (KeyError, ValueError) as error:
        raise DamagedFileError(f"{path.name} is no checkpoint ({_one_line(error)})") from None
    if (saved_size, saved_width) != (image_size, width):
        raise UserError(
            f"--resume: {path} is of image size {saved_size} and width {saved_width}, "
            f"but this run has image size {image_size} and width {width}"
        )
    states: dict[str, dict[str, Array]] = {part: {} for part in _parts(gan)}
    for name, array in tensors.items():
        part, _, rest = name.partition(".")
        states.setdefault(part, {})[rest] = array
    try:
        if set(states) != set(_parts(gan)):
            raise ValueError(f"it has the parts {', '.join(states)}")
        gan.generator.load_state(states["generator"])
        gan.discriminator.load_state(states["discriminator"])
        gan.g_optimizer.load_state(states["g_optimizer"], g_t)
        gan.d_optimizer.load_state(states["d_optimizer"], d_t)
    except ValueError as error:
        raise DamagedFileError(f"{path.name} does not fit together ({_one_line(error)})") from None
    return step


def _count(words: Mapping[str, str], key: str) -> int:
    """A number of things among a file's words."""
    value = words[key]
    if not (value.isascii() and value.isdigit() and len(value) < 12 and int(value) <= _MAX_COUNT):
        raise ValueError(f"{key} is {value[:20]!r}")
    return int(value)


def _parts(gan: GAN) -> dict[str, dict[str, Array]]:
    return {
        "generator": gan.generator.state(),
        "discriminator": gan.discriminator.state(),
        "g_optimizer": gan.g_optimizer.state(),
        "d_optimizer": gan.d_optimizer.state(),
    }


def _checksum(tensors: Mapping[str, Array], words: Mapping[str, str]) -> str:
    """SHA-256 over names, types, shapes and bytes of all arrays, and over the words."""
    digest = hashlib.sha256(json.dumps(sorted(words.items())).encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(json.dumps([name, str(array.dtype), list(array.shape)]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
