"""Saving and loading networks, and checkpoints: files from which a run can go on.

Both are safetensors files (Hugging Face's format: a JSON header, then raw numbers), so opening one can never run code.
A checkpoint holds the weights, the moving statistics with their debiasing state, both optimizers' moments and counts,
the generator's average if the run keeps one, and the number of finished steps. Random draws are functions of the step.
So nothing else is needed for a resumed run to equal an uninterrupted one, bit for bit.

Each file contains a SHA-256 over everything in it. A file is *damaged* if this checksum does not fit or the file cannot
be read; `minigan.runs.run_records` then goes back to the checkpoint before it. What a file says about its size is
checked against its length before arrays are made, so a wrong or malicious file costs no more memory than about three
times its own size. Equal states make equal bytes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy

from minigan.gan.models import discriminator, generator
from minigan.gan.step import GAN
from minigan.nn.backend import Array, backend_of
from minigan.nn.network import Sequential
from minigan.nn.state import check_state
from minigan.system.atomic_files import replacing
from minigan.system.errors import UserError

KEPT = 2
"""How many checkpoints are kept: the one before the last is there in case the last is damaged."""

_FORMAT = "minigan-1"
_CHECKPOINT_NAME = re.compile(r"step-(\d{6,12})\.safetensors", re.ASCII)
_MAX_COUNT = 10**10  # of steps and updates: no run has more, so a larger number is damage
_LENGTH_BYTES = 8  # a safetensors file begins with the length of its header
_MAX_HEADER = 1 << 20


class DamagedFileError(ValueError):
    """A file that cannot be trusted: cut short, changed, or not written by minigan."""


class NotFiniteError(ValueError):
    """A weight or moment is infinite or NaN, so saving it makes no sense."""


def save_tensors(path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write arrays and metadata to a safetensors file, all or nothing.

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
    _insist_on_numbers(host)
    told = {"format": _FORMAT, **metadata}
    told["sha256"] = _checksum(host, told)
    _insist_on_memory(3 * sum(a.nbytes for a in host.values()))
    data = safetensors.numpy.save(host, told)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(_header_in_order(data))
        file.write(memoryview(data)[_LENGTH_BYTES + _header_length(data) :])


def _insist_on_memory(size: int) -> None:
    """Raise MemoryError if there is no memory for the copies that safetensors makes: it would end the process."""
    np.empty(size, np.uint8)


def load_tensors(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Read a file that `save_tensors` wrote.

    Parameters
    ----------
    path : Path

    Returns
    -------
    tensors : dict of str to numpy.ndarray
        Read-only.
    metadata : dict of str to str

    Raises
    ------
    DamagedFileError
        If the file is missing, is no safetensors file of minigan's, its checksum does not fit, or it holds a number
        that is not finite.
    OSError
        If it may be good, but cannot be opened: no permission, too many open files.
    """
    metadata = read_metadata(path)
    try:
        # The file is read and not mapped into memory: if a disk fails under a map, the system ends the process.
        content = path.read_bytes()
        _insist_on_memory(2 * len(content))
        tensors = safetensors.numpy.load(content)
    except OSError as error:
        raise _unreadable(path, error) from None
    except MemoryError:
        raise
    except Exception as error:  # of wrong bytes, safetensors and NumPy may raise almost anything
        raise DamagedFileError(f"{path.name} cannot be read ({_one_line(error)})") from None
    if metadata.pop("sha256", None) != _checksum(tensors, metadata):
        raise DamagedFileError(f"{path.name} is damaged (its checksum does not fit its contents)")
    try:
        _insist_on_numbers(tensors)
    except (NotFiniteError, TypeError) as error:
        raise DamagedFileError(f"{path.name} cannot be used: {error}") from None
    return tensors, metadata


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a file that `save_tensors` wrote, without its arrays and without checking the sum.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict of str to str
        The checksum among them.

    Raises
    ------
    DamagedFileError, OSError
        As `load_tensors`.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_LENGTH_BYTES)
            length = _header_length(start)
            if len(start) < _LENGTH_BYTES or not 0 < length <= _MAX_HEADER:
                raise ValueError("it has no header of a sensible length")
            header = json.loads(file.read(length))
        metadata = header.get("__metadata__", {}) if isinstance(header, dict) else {}
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise ValueError("its metadata is not a table of texts")
    except OSError as error:
        raise _unreadable(path, error) from None
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path.name} cannot be read ({_one_line(error)})") from None
    if metadata.get("format") != _FORMAT:
        found = repr(metadata.get("format"))[:40]
        raise DamagedFileError(f"{path.name} is no file of minigan's (format {found}, not {_FORMAT!r})")
    return metadata


def save_network(
    path: Path, network: Sequential, *, image_size: int, width: int, step: int, ema: float = 0.0, half: bool = False
) -> None:
    """Save one network: weights, moving statistics, and what is needed to build it again.

    Parameters
    ----------
    path : Path
    network : Sequential
    image_size, width : int
    step : int
        Finished training steps.
    ema : float
        Decay of the average, if the network is an average of a generator; else 0. Loading does not need it.
    half : bool
        Whether to save the kernels, nearly all of the numbers, in float16: half the bytes, and three digits of each.

    Raises
    ------
    NotFiniteError, OSError
        As `save_tensors`.
    """
    metadata = {"network": network.name, "image_size": str(image_size), "width": str(width), "step": str(step)}
    if ema:
        metadata["ema"] = str(ema)
    tensors = network.state()
    if half:
        tensors = {name: a.astype(np.float16) if name.endswith(".kernel") else a for name, a in tensors.items()}
    save_tensors(path, tensors, metadata)


def load_network(path: Path) -> tuple[Sequential, int]:
    """Build a network from a file that `save_network` wrote.

    Parameters
    ----------
    path : Path

    Returns
    -------
    network : Sequential
        On the NumPy backend, in float32.
    step : int
        Finished training steps.

    Raises
    ------
    DamagedFileError
        If the file cannot be trusted, or holds no network.
    OSError
        As `load_tensors`.
    """
    metadata = read_metadata(path)
    build = _BUILDERS.get(metadata.get("network", ""))
    if build is None:
        raise DamagedFileError(f"{path.name} holds no network (network is {metadata.get('network', '')[:20]!r})")
    try:
        size, width = _count(metadata, "image_size"), _count(metadata, "width")
        _check_length(path, _trained_numbers(build, size, width), least=2)
        tensors, metadata = load_tensors(path)
        network = build(image_size=size, width=width)
        network.load_state({name: a.astype(np.float32) if a.dtype == np.float16 else a for name, a in tensors.items()})
        return network, _count(metadata, "step")
    except DamagedFileError:
        raise
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
    """Save all that a run needs to go on, and remove all but the last two checkpoints.

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
    metadata = {
        "step": str(step),
        "image_size": str(image_size),
        "width": str(width),
        "g_optimizer.t": str(gan.g_optimizer.t),
        "d_optimizer.t": str(gan.d_optimizer.t),
    }
    path = checkpoint_path(folder, step)
    save_tensors(path, tensors, metadata)
    drop_old_checkpoints(folder)
    return path


def drop_old_checkpoints(folder: Path) -> None:
    """Remove all but the last two checkpoints of a folder."""
    for _, old in list_checkpoints(folder)[KEPT:]:
        old.unlink(missing_ok=True)


def check_checkpoint(path: Path, *, image_size: int, width: int) -> int:
    """Check a checkpoint's metadata and length, before networks are built for it.

    Parameters
    ----------
    path : Path
    image_size, width : int
        What the run's configuration says.

    Returns
    -------
    int
        Finished steps, as the file says. Its checksum is not looked at.

    Raises
    ------
    DamagedFileError
        If it cannot be a checkpoint of these networks.
    UserError
        If it belongs to networks of another size.
    OSError
        As `load_tensors`.
    """
    metadata = read_metadata(path)
    try:
        step, saved_size, saved_width = (_count(metadata, key) for key in ("step", "image_size", "width"))
        if path.name != checkpoint_path(path.parent, step).name:
            raise ValueError(f"its contents are those of step {step}")
        # For each parameter there are three numbers: itself, and Adam's two moments.
        numbers = sum(_trained_numbers(build, saved_size, saved_width) for build in _BUILDERS.values())
        _check_length(path, 3 * numbers)
    except DamagedFileError:
        raise
    except (KeyError, ValueError) as error:
        raise DamagedFileError(f"{path.name} is no checkpoint ({_one_line(error)})") from None
    if (saved_size, saved_width) != (image_size, width):
        load_tensors(path)  # for the checksum: a flipped bit must not look like a checkpoint of other networks
        raise UserError(
            f"{path} is of image size {saved_size} and width {saved_width}, "
            f"but this run has image size {image_size} and width {width}"
        )
    return step


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
    OSError
        As `load_tensors`.
    """
    step = check_checkpoint(path, image_size=image_size, width=width)
    tensors, metadata = load_tensors(path)
    parts = _parts(gan)
    saved: dict[str, dict[str, Array]] = {part: {} for part in parts}
    for name, array in tensors.items():
        part, _, rest = name.partition(".")
        saved.setdefault(part, {})[rest] = array
    try:
        g_t, d_t = _count(metadata, "g_optimizer.t"), _count(metadata, "d_optimizer.t")
        if saved.keys() != parts.keys():
            raise ValueError(f"it has the parts {', '.join(saved)}")
        for part, own in parts.items():
            check_state(part, own, saved[part])
    except (KeyError, ValueError) as error:
        raise DamagedFileError(f"{path.name} does not fit together ({_one_line(error)})") from None
    gan.generator.load_state(saved["generator"])
    gan.discriminator.load_state(saved["discriminator"])
    gan.g_optimizer.load_state(saved["g_optimizer"], g_t)
    gan.d_optimizer.load_state(saved["d_optimizer"], d_t)
    if gan.average is not None:
        gan.average.load_state(saved["average"])
    return step


def _count(metadata: Mapping[str, str], key: str) -> int:
    """A count of steps, pixels, ... in a file's metadata."""
    value = metadata[key]
    if not (value.isascii() and value.isdigit() and len(value) < 12 and int(value) <= _MAX_COUNT):
        raise ValueError(f"{key} is {value[:20]!r}")
    return int(value)


def _parts(gan: GAN) -> dict[str, dict[str, Array]]:
    parts = {
        "generator": gan.generator.state(),
        "discriminator": gan.discriminator.state(),
        "g_optimizer": gan.g_optimizer.state(),
        "d_optimizer": gan.d_optimizer.state(),
    }
    if gan.average is not None:
        parts["average"] = gan.average.state()
    return parts


def _checksum(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> str:
    """SHA-256 over names, types, shapes and bytes of all arrays, and over the metadata."""
    digest = hashlib.sha256(json.dumps(sorted(metadata.items())).encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(json.dumps([name, str(array.dtype), list(array.shape)]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _insist_on_numbers(arrays: Mapping[str, Array]) -> None:
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise NotFiniteError(f"{name} holds a number that is not finite")


_BUILDERS = {"generator": generator, "discriminator": discriminator}


def _trained_numbers(build: Callable[..., Sequential], image_size: int, width: int) -> int:
    """How many numbers a network trains. Its kernels are one number, seen at every place: they take no memory."""
    network = build(image_size=image_size, width=width, init=lambda shape: np.broadcast_to(np.float32(0), shape))
    return network.count()[0]


def _check_length(path: Path, numbers: int, *, least: int = 4) -> None:
    """Raise DamagedFileError unless a file is about as long as so many float32 numbers and a few small arrays.

    `least` is 2 where the numbers may be in float16.
    """
    length = path.stat().st_size
    if not least * numbers <= length <= 8 * numbers + _MAX_HEADER:
        raise DamagedFileError(f"{path.name} is damaged ({length} bytes cannot hold {numbers} numbers and little else)")


def _header_length(data: bytes) -> int:
    return int.from_bytes(data[:_LENGTH_BYTES], "little")


def _header_in_order(data: bytes) -> bytes:
    """Length and header of a safetensors file, with the metadata sorted: the library writes them in any order."""
    header = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + _header_length(data)])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text


def _unreadable(path: Path, error: OSError) -> OSError | DamagedFileError:
    """A file that is gone, or that the disk cannot read, counts as damaged; one that we may not open does not."""
    if error.errno in (errno.ENOENT, errno.EIO):
        return DamagedFileError(f"{path.name} cannot be read ({error.strerror})")
    return error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
