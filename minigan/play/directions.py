"""Directions in the noise along which a face changes: the sliders of the page.

A face is drawn from noise z, 100 numbers. A direction is a vector of 100 numbers, of length 1. `moved` adds a multiple
of it to z and brings the sum back to z's length: noise of the usual length gives usual faces. So z is turned towards
the direction.

*Named* directions change something that has a name, such as the lightness of the hair. They are learned for one
generator (`minigan.play.direction_learning`) and mean nothing to another. So they lie in a file that says which weights
they belong to, and they are used for no others. The file is ``directions.json`` in the folder of a run; minigan brings
one along for its own pretrained generator, ``pretrained_directions.json`` beside this module.

*Unnamed* directions are for all other generators. The first layer of a generator multiplies z by a matrix, and batch
normalization multiplies each channel of the result by a number. The first singular vectors of the product of both are
the directions in which this result changes most, and with it, usually, the face. What changes, nobody knows beforehand.

The file is JSON::

    {"format": "minigan-directions-1",
     "weights": "0123abcd",                      the hash that texts of faces begin with (minigan.play.face_text)
     "directions": [{"name": "hair", "no": "dark", "yes": "light",      name, and the two ends
                     "vector": [100 numbers]}, ...],
     "measured": {...}}                          the table for people (minigan.play.direction_learning); not read here

References
----------
Singular vectors: Y. Shen and B. Zhou, "Closed-form factorization of latent semantics in GANs", arXiv:2007.06600.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minigan.gan.models import NOISE_SIZE
from minigan.nn.backend import Array
from minigan.nn.layers import BatchNormalization
from minigan.nn.network import Sequential
from minigan.play.face_text import weights_hash
from minigan.runs.saved_generator import BROKEN_GENERATOR
from minigan.system.atomic_files import write_text
from minigan.system.errors import UserError

FILE_NAME = "directions.json"
PRETRAINED = Path(__file__).with_name("pretrained_directions.json")

FAR = 0.5
"""The amount by which a slider's end moves a face, in lengths of its noise."""

UNNAMED = 8
"""How many unnamed directions there are."""

_FORMAT = "minigan-directions-1"
_MOST_BYTES, _MOST_DIRECTIONS, _LONGEST_WORDS = 1_000_000, 50, 40


@dataclass(frozen=True)
class Direction:
    """A slider.

    Attributes
    ----------
    name : str
        What it changes: "hair", or "direction 1".
    no, yes : str
        Its two ends: "dark", "light"; empty if nobody knows.
    vector : numpy.ndarray of shape (100,), float32
        Of length 1.
    """

    name: str
    no: str
    yes: str
    vector: npt.NDArray[np.float32]


def moved(noise: Array, vector: Array, amount: Array | float) -> Array:
    """Noise turned towards a direction, or away from it, at constant length.

    Parameters
    ----------
    noise : numpy.ndarray of shape (..., 100)
        Not zero.
    vector : numpy.ndarray of shape (100,) or (..., 100)
        Of length 1.
    amount : float or numpy.ndarray of shape (..., 1)
        How far, in lengths of the noise; `FAR` is the end of a slider, -`FAR` its other end.

    Returns
    -------
    numpy.ndarray of the shape and dtype of noise

    Examples
    --------
    >>> moved(np.array([3.0, 0.0]), np.array([0.0, 1.0]), 4 / 3).round(2).tolist()
    [1.8, 2.4]
    """
    length = np.linalg.norm(noise, axis=-1, keepdims=True)
    towards = noise + amount * length * vector
    return (towards * (length / np.linalg.norm(towards, axis=-1, keepdims=True))).astype(noise.dtype)


def directions_of(generator: Sequential, run: Path | None = None) -> list[Direction]:
    """The sliders for a generator: named ones if there are any for its weights, else unnamed ones.

    Parameters
    ----------
    generator : Sequential
        On the NumPy backend.
    run : Path, optional
        The run that it comes from. If this is a folder, its ``directions.json`` is looked at first.

    Returns
    -------
    list of Direction

    Raises
    ------
    UserError
        If there is a file of directions that cannot be read.
    """
    weights = weights_hash(generator)
    own = [run / FILE_NAME] if run is not None and run.is_dir() else []
    for path in (*own, PRETRAINED):
        if path.exists():
            belongs_to, directions = read_directions(path)
            if belongs_to == weights and directions:
                return directions
    return unnamed_directions(generator)


def unnamed_directions(generator: Sequential, count: int = UNNAMED) -> list[Direction]:
    """The directions in which the output of a generator's first layer changes most.

    Parameters
    ----------
    generator : Sequential
        On the NumPy backend. Its first layer has a kernel of shape (K, K, O, 100), as `Conv2DTranspose`, and its second
        is a `BatchNormalization`.
    count : int
        At most 100.

    Returns
    -------
    list of Direction
        The strongest first; in each, the number that is farthest from 0 is positive.

    Raises
    ------
    UserError
        If the weights are broken.

    Notes
    -----
    With ``scale = gamma / sqrt(moving_variance + epsilon)``, noise z becomes ``A z`` and a constant, where A is the
    kernel times scale as a matrix with 100 columns. Of all directions of length 1, the first right singular vector of A
    is the one with the longest image ``A v``; the second is the longest of those at a right angle to it, and so on.
    """
    kernel, norm = generator.layers[0].params["kernel"], generator.layers[1]
    assert isinstance(norm, BatchNormalization)
    with np.errstate(all="ignore"):
        scale = norm.params["gamma"] / np.sqrt(norm.buffers["moving_variance"] + norm.epsilon)
        product = kernel * scale[:, None]
    matrix = product.reshape(-1, kernel.shape[-1]).astype(np.float64)
    if not np.isfinite(matrix).all():
        raise UserError(BROKEN_GENERATOR)
    _, _, rows = np.linalg.svd(matrix, full_matrices=False)
    rows = rows[:count]
    farthest = np.take_along_axis(rows, abs(rows).argmax(axis=1, keepdims=True), axis=1)
    rows = (rows * np.sign(farthest)).astype(np.float32)
    return [Direction(f"direction {i}", "", "", row) for i, row in enumerate(rows, 1)]


# ---------------------------------------------------------------------------------------------------------------------
# The file.
# ---------------------------------------------------------------------------------------------------------------------


def write_directions(path: Path, weights: str, directions: Sequence[Direction], measured: Mapping[str, Any]) -> None:
    """Write a file of directions, all or nothing.

    Parameters
    ----------
    path : Path
    weights : str
        The hash of the generator's weights, from `weights_hash`.
    directions : sequence of Direction
        Vectors are rounded to four decimals.
    measured : mapping
        What JSON can hold, of finite numbers.

    Raises
    ------
    OSError
        If it cannot be written; an earlier file of the name is kept.
    """
    rows = [
        {"name": d.name, "no": d.no, "yes": d.yes, "vector": [round(float(x), 4) for x in d.vector]} for d in directions
    ]
    lines = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in rows)
    told = json.dumps(measured, ensure_ascii=False, allow_nan=False)
    write_text(
        path,
        f'{{"format": "{_FORMAT}",\n "weights": "{weights}",\n "directions": [\n  {lines}],\n "measured": {told}}}\n',
    )


def read_directions(path: Path) -> tuple[str, list[Direction]]:
    """Read a file of directions.

    Parameters
    ----------
    path : Path

    Returns
    -------
    weights : str
        The hash of the weights that they belong to.
    directions : list of Direction

    Raises
    ------
    UserError
        If it cannot be opened, or is no such file.
    """
    content = read_file(path)
    try:
        weights, rows = content["weights"], content["directions"]
        if not isinstance(weights, str) or not isinstance(rows, list) or len(rows) > _MOST_DIRECTIONS:
            raise ValueError(f"it needs the hash of the weights, and at most {_MOST_DIRECTIONS} directions")
        return weights, [_direction(row) for row in rows]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else error
        raise UserError(f"{path} is no file of directions: {reason}") from None


def read_file(path: Path) -> dict[str, Any]:
    """Everything that a file of directions holds, its directions unchecked.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict

    Raises
    ------
    UserError
        If it cannot be opened, or is no such file.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would never end
            raise UserError(f"{path} cannot be opened: it is not a file")
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be opened: {error.strerror or error}") from None
    try:
        if len(raw) > _MOST_BYTES:
            raise ValueError(f"it is longer than {_MOST_BYTES:,} bytes")
        content = json.loads(raw)
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise ValueError(f"its format is not {_FORMAT!r}")
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no file of directions: {error}") from None
    return content


def _direction(row: Mapping[str, Any]) -> Direction:
    name, no, yes = row["name"], row["no"], row["yes"]
    if not all(isinstance(words, str) and len(words) <= _LONGEST_WORDS for words in (name, no, yes)):
        raise ValueError(f"names must be texts of at most {_LONGEST_WORDS} characters")
    numbers = row["vector"]
    if not (isinstance(numbers, list) and len(numbers) == NOISE_SIZE and all(map(_is_number, numbers))):
        raise ValueError(f"a vector must be {NOISE_SIZE} numbers")
    vector = np.array(numbers, np.float64)
    length = float(np.linalg.norm(vector))
    if not 0.9 < length < 1.1:
        raise ValueError(f"a vector must have the length 1, got {length:.3g}")
    return Direction(name, no, yes, (vector / length).astype(np.float32))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
