"""A face as a text of 147 characters, which whoever has the same generator can draw again.

The text is ``mg1-WWWWWWWW-NNN...``. W is the beginning of a hash of the generator's weights, so that a text is never
drawn with another generator, where it would be another face. N is the noise: 100 whole numbers from -128 to 127, each
one byte, written in base64 (the variant for addresses, RFC 4648 section 5, without padding). A number k stands for
k / 32.

So noise is rounded to multiples of 1/32 between -4 and 3.97 *before* a face is drawn. Then text and image always agree:
what is read from the text is exactly what was drawn.
"""

from __future__ import annotations

import base64
import hashlib
import re

import numpy as np
import numpy.typing as npt

from minigan.gan.models import NOISE_SIZE
from minigan.nn.backend import Array, backend_of
from minigan.nn.network import Sequential
from minigan.system.errors import UserError

STEPS_PER_UNIT = 32
HASH_DIGITS = 8
NOISE_CHARACTERS = -(-8 * NOISE_SIZE // 6)  # six bits each
TEXT_LENGTH = len("mg1--") + HASH_DIGITS + NOISE_CHARACTERS

_DRAWN_WITH = (".moving_mean", ".moving_variance")  # the other buffers are state of the averages


def weights_hash(generator: Sequential) -> str:
    """The first 8 hexadecimal digits of the SHA-256 of all numbers that a generator draws with.

    Parameters
    ----------
    generator : Sequential
        On either backend.

    Returns
    -------
    str
        The same after saving and loading, and on every machine. What only training needs does not count.
    """
    digest = hashlib.sha256()
    moving = {name: b for name, b in generator.buffers().items() if name.endswith(_DRAWN_WITH)}
    for name, array in sorted({**generator.params(), **moving}.items()):
        host = backend_of(array).to_host(array).astype("<f4")
        digest.update(f"{name} {host.shape}\n".encode())
        digest.update(host.tobytes())
    return digest.hexdigest()[:HASH_DIGITS]


def noise_steps(noise: Array) -> npt.NDArray[np.int8]:
    """Noise in steps of 1/32, rounded to the nearest (halves up) and clipped to what a byte holds.

    Parameters
    ----------
    noise : numpy.ndarray
        Finite numbers.

    Returns
    -------
    numpy.ndarray of int8
        Of the same shape.

    Examples
    --------
    >>> noise_steps(np.array([0.1, 1.0, -9.0, 9.0])).tolist()
    [3, 32, -128, 127]
    """
    return np.clip(np.floor(np.asarray(noise, np.float64) * STEPS_PER_UNIT + 0.5), -128, 127).astype(np.int8)


def rounded_noise(noise: Array) -> npt.NDArray[np.float32]:
    """The noise that a text can hold and that is nearest to the given one, of the same shape."""
    return noise_steps(noise).astype(np.float32) / np.float32(STEPS_PER_UNIT)


def face_text(noise: Array, weights: str) -> str:
    """The text of a face.

    Parameters
    ----------
    noise : numpy.ndarray of 100 numbers
    weights : str
        From `weights_hash`.

    Returns
    -------
    str
        147 characters.

    Examples
    --------
    >>> face_text(np.zeros(100), "0123abcd")[:20], len(face_text(np.zeros(100), "0123abcd"))
    ('mg1-0123abcd-AAAAAAA', 147)
    """
    code = base64.urlsafe_b64encode(noise_steps(noise).tobytes()).decode().rstrip("=")
    return f"mg1-{weights}-{code}"


def noise_of_text(text: str, weights: str) -> npt.NDArray[np.float32]:
    """The noise that a text stands for.

    Parameters
    ----------
    text : str
        A face's text, or an address with the text behind ``#``.
    weights : str
        Of the generator that is to draw it, from `weights_hash`.

    Returns
    -------
    numpy.ndarray of shape (1, 1, 1, 100), float32
        As `Sequential.predict` takes it.

    Raises
    ------
    UserError
        If it is not a face's text, is cut, or belongs to other weights.
    """
    text = text.strip().rpartition("#")[2]
    match = re.fullmatch(r"mg1-([^-]*)-(.*)", text, re.DOTALL)
    if match is None or not re.fullmatch(f"[0-9a-f]{{{HASH_DIGITS}}}", match[1]):
        raise UserError(
            f"a face's text must begin with mg1-, {HASH_DIGITS} digits from 0-9 and a-f, and a second -, "
            f"got {text[:20]!r}"
        )
    code = match[2]
    if wrong := re.search("[^A-Za-z0-9_-]", code):
        raise UserError(f"a face's text must be made of A-Z, a-z, 0-9, - and _, but holds {wrong[0]!r}")
    if len(text) != TEXT_LENGTH:
        raise UserError(
            f"a face's text must have {TEXT_LENGTH} characters, got {len(text)}: "
            + ("it has been cut" if len(text) < TEXT_LENGTH else "something has been added to it")
        )
    numbers = base64.urlsafe_b64decode(code + "=" * (-NOISE_CHARACTERS % 4))
    if base64.urlsafe_b64encode(numbers).decode().rstrip("=") != code:
        raise UserError(f"a face's text must end in a character that base64 can end in here, got {code[-1]!r}")
    if match[1] != weights:
        raise UserError(
            f"this text is of a face of other weights: it begins with mg1-{match[1]}, but this generator's begin with "
            f"mg1-{weights}"
        )
    steps = np.frombuffer(numbers, np.int8)
    return (steps.astype(np.float32) / np.float32(STEPS_PER_UNIT)).reshape(1, 1, 1, NOISE_SIZE)
