"""Learning directions that have a meaning, for one generator, and measuring whether they do what their names say.

1. A head (`minigan.play.face_questions`) learns from drawn faces to answer yes/no questions.
2. The generator draws many faces, and the head answers for each of them. Ridge regression finds the linear function of
   the noise that comes nearest to the logit of a question. Its coefficients are the direction in which the logit rises.
3. Two of these directions may be less than a right angle apart, because in what the generator has learned faces with
   long hair wear glasses more often, say. They are replaced by the vectors at right angles to each other that are
   nearest to all of them together. So a slider leaves the linear part of all others alone.
4. Other faces are moved to the far end of each slider, the end that should change the answer. A *second* head says
   which answers change: the one that should, and others. It has another width and has learned from other drawn faces,
   and it had no part in finding the directions. So what only deceives the first head is not counted.
5. The same faces are moved as far in random directions. `is_clear` says which sliders are shown: those that change what
   they should most of the time, clearly more often than random directions do, and more often than anything else. If
   some are not, steps 3 to 5 are done again with the others.

`minigan.play.learn_directions` is the command, and `minigan.play.directions` explains the file that it writes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minigan.gan.models import NOISE_SIZE
from minigan.nn.backend import Array
from minigan.nn.network import Sequential
from minigan.nn.rng import stream
from minigan.pages.plots import to_uint8
from minigan.play.directions import FAR, Direction, moved
from minigan.play.face_questions import Answers, Question, accuracy, build_head, right_answers, to_float, train_head
from minigan.runs.saved_generator import BROKEN_GENERATOR
from minigan.system.errors import UserError
from minigan.system.progress import ProgressBar

Floats = npt.NDArray[np.float64]

RIDGE = 0.01
"""What is added to the diagonal of the noise's covariance, whose own numbers are about 1."""

LEAST_CHANGES = 0.5
"""The share of faces whose answer a slider must change."""

LEAST_GAIN = 0.2
"""The share of faces by which it must do so more often than a random direction. The lower end of the difference's 99 %
interval has to be above it."""

_STANDARD_ERRORS = 2.576  # to each side: 99 % of a normal distribution
_BATCH = 64


@dataclass(frozen=True)
class Effort:
    """How much is learned from, and measured on.

    Attributes
    ----------
    drawn : int
        Drawn faces: the first ones train the first head, as many others the second head, and the last `fresh` ones
        measure how often both are right.
    fresh : int
    steps : int
        Of each head's training.
    widths : tuple of int
        Of the two heads.
    learned_from, measured_on : int
        Faces of the generator.
    """

    drawn: int = 20_000
    fresh: int = 1_000
    steps: int = 800
    widths: tuple[int, int] = (12, 16)
    learned_from: int = 20_000
    measured_on: int = 500


def train_heads(
    images: Array, questions: Sequence[Question], effort: Effort
) -> tuple[list[Sequential], list[list[float]]]:
    """The two heads, and how often each is right on drawn faces that neither has seen.

    Parameters
    ----------
    images : numpy.ndarray of shape (effort.drawn, S, S, 3), uint8
        The first drawn faces of seed 0; may be a memory map.
    questions : sequence of Question
    effort : Effort

    Returns
    -------
    heads : list of Sequential
        The one to learn from and the one to measure with.
    accuracies : list of list of float
        Of each head, for each question, a share.
    """
    half = (effort.drawn - effort.fresh) // 2
    fresh = range(effort.drawn - effort.fresh, effort.drawn)
    right = right_answers(questions, fresh)
    heads, accuracies = [], []
    for k, width in enumerate(effort.widths):
        own = range(k * half, (k + 1) * half)
        head = build_head(len(questions), image_size=images.shape[1], width=width, seed=k)
        train_head(head, images[own.start : own.stop], right_answers(questions, own), steps=effort.steps, seed=k)
        heads.append(head)
        accuracies.append(accuracy(head, images[fresh.start : fresh.stop], right))
    return heads, accuracies


# ---------------------------------------------------------------------------------------------------------------------
# The directions.
# ---------------------------------------------------------------------------------------------------------------------


def regress(noise: Array, logits: Array) -> Floats:
    """The directions in which each logit rises most: ridge regression.

    Parameters
    ----------
    noise : numpy.ndarray of shape (N, n)
    logits : numpy.ndarray of shape (N, K)

    Returns
    -------
    numpy.ndarray of shape (K, n), float64
        Rows of length 1; of a logit that is always the same, a row of zeros.

    Notes
    -----
    The coefficients w and the constant b of a logit minimise ``mean((logit - z w - b)^2) + RIDGE * w w``.
    """
    z, y = (a.astype(np.float64) - a.mean(axis=0, dtype=np.float64) for a in (noise, logits))
    products = z.T @ z / len(z) + RIDGE * np.eye(z.shape[1])
    rows = np.linalg.solve(products, z.T @ y / len(z)).T
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


def orthonormal(vectors: Floats) -> Floats:
    """Vectors of length 1 at right angles to each other: of all such sets, the one nearest to the given vectors.

    Parameters
    ----------
    vectors : numpy.ndarray of shape (K, n)
        Linearly independent.

    Returns
    -------
    numpy.ndarray of shape (K, n)

    Notes
    -----
    If ``U S V`` is the singular value decomposition of the vectors as rows, then this is ``U V``. All vectors are
    treated alike: the method of Gram and Schmidt would keep the first one as it is, and change the last one most.

    References
    ----------
    P.-O. Löwdin, J. Chem. Phys. 18, 365 (1950).

    Examples
    --------
    >>> orthonormal(np.array([[1.0, 0.0], [0.6, 0.8]])).round(3).tolist()
    [[0.949, -0.316], [0.316, 0.949]]
    """
    u, _, v = np.linalg.svd(vectors, full_matrices=False)
    return u @ v


def learn_directions(
    generator: Sequential,
    heads: Sequence[Sequential],
    questions: Sequence[Question],
    effort: Effort,
) -> tuple[list[Direction], dict[str, Any]]:
    """Find directions with the first head and measure them with the second.

    Parameters
    ----------
    generator : Sequential
        On the NumPy backend.
    heads : two Sequential
        Trained for these questions.
    questions : sequence of Question
    effort : Effort

    Returns
    -------
    directions : list of Direction
        Those that are to be shown, in the order of the questions.
    measured : dict
        What was measured, ready for JSON: `faces`, how many were moved; `random`, for each question how often its
        answer changes in random directions; `sliders`, for each question a dict of `name`, `shown`, and, of its own
        direction, `changes`: how often each question's answer changes.

    Raises
    ------
    UserError
        If the generator draws NaN.
    """
    noise = stream(0, "directions", 0).standard_normal((effort.learned_from, NOISE_SIZE), np.float32)
    with ProgressBar(len(noise), "Looking at faces", "faces") as bar:
        raw = regress(noise, logits_of(generator, heads[0], noise, bar))
    ruler = _Ruler(generator, heads[1], effort.measured_on)
    by_chance = ruler.random()
    shown = [k for k, row in enumerate(raw) if row.any()]
    changes: dict[int, Floats] = {k: np.zeros(len(questions)) for k in range(len(questions))}
    while True:
        vectors = orthonormal(raw[shown])
        changes |= {k: ruler.changes(k, vector) for k, vector in zip(shown, vectors, strict=True)}
        passed = [k for k in shown if is_clear(changes[k], k, by_chance[k], ruler.faces)]
        if passed == shown:
            break
        shown = passed
    directions = [
        Direction(questions[k].name, questions[k].no, questions[k].yes, vector.astype(np.float32))
        for k, vector in zip(shown, vectors, strict=True)
    ]
    sliders = [
        {"name": q.name, "no": q.no, "yes": q.yes, "shown": k in shown, "changes": _rounded(changes[k])}
        for k, q in enumerate(questions)
    ]
    return directions, {"faces": ruler.faces, "random": _rounded(by_chance), "sliders": sliders}


def logits_of(generator: Sequential, head: Sequential, noise: Array, bar: ProgressBar) -> Array:
    """What a head says of the faces that a generator draws.

    Parameters
    ----------
    generator, head : Sequential
        On the NumPy backend.
    noise : numpy.ndarray of shape (N, 100), float32
    bar : ProgressBar
        Is told of each face.

    Returns
    -------
    numpy.ndarray of shape (N, questions), float32

    Raises
    ------
    UserError
        If the generator draws NaN.
    """
    parts = []
    for a in range(0, len(noise), _BATCH):
        images = generator.predict(noise[a : a + _BATCH].reshape(-1, 1, 1, NOISE_SIZE))
        if not np.isfinite(images).all():
            raise UserError(BROKEN_GENERATOR)
        parts.append(head.predict(to_float(to_uint8(images))))
        bar.update(len(images))
    return np.concatenate(parts)


# ---------------------------------------------------------------------------------------------------------------------
# Measuring.
# ---------------------------------------------------------------------------------------------------------------------


class _Ruler:
    """Fresh faces, moved along directions, and the answers of the second head."""

    def __init__(self, generator: Sequential, head: Sequential, faces: int) -> None:
        self.faces = faces
        self._generator, self._head = generator, head
        self._noise = stream(0, "directions", 1).standard_normal((faces, NOISE_SIZE), np.float32)
        self._before = self._answers(self._noise)

    def changes(self, question: int, vector: Floats) -> Floats:
        """How often each answer changes if every face is moved to the end that should change this question's answer."""
        amount = np.where(self._before[:, [question]], -FAR, FAR)
        return self._changes(vector, amount)

    def random(self) -> Floats:
        """How often each answer changes if every face is moved as far in a random direction of its own."""
        vectors = stream(0, "directions", 2).standard_normal(self._noise.shape)
        return self._changes(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), FAR)

    def _changes(self, vector: Floats, amount: Floats | float) -> Floats:
        return (self._answers(moved(self._noise, vector, amount)) != self._before).mean(axis=0)

    def _answers(self, noise: Array) -> Answers:
        with ProgressBar(len(noise), "Measuring", "faces", leave=False) as bar:
            return logits_of(self._generator, self._head, noise, bar) > 0


def gain(own: float, random: float, faces: int) -> tuple[float, float]:
    """How much more often an answer changes along a slider than in random directions: the 99 % interval.

    Parameters
    ----------
    own, random : float
        Shares of faces, 0 to 1.
    faces : int
        Of how many, each.

    Returns
    -------
    lowest, highest : float

    Notes
    -----
    The usual interval of the difference of two independent shares, by the normal distribution. Here the faces are the
    same, so the shares are not quite independent, and the interval is rather too wide than too narrow.

    Examples
    --------
    >>> [round(end, 3) for end in gain(0.8, 0.3, 500)]
    [0.43, 0.57]
    """
    error = _STANDARD_ERRORS * math.sqrt((own * (1 - own) + random * (1 - random)) / faces)
    return own - random - error, own - random + error


def is_clear(changes: Sequence[float] | Floats, question: int, random: float, faces: int) -> bool:
    """Whether a slider does what its name says clearly enough to be shown.

    Parameters
    ----------
    changes : sequence of float
        How often each answer changes along it, a share of the faces.
    question : int
        Which answer should.
    random : float
        How often this answer changes in random directions.
    faces : int
        How many were moved.
    """
    own = float(changes[question])
    others = [share for k, share in enumerate(changes) if k != question]
    return own > max(LEAST_CHANGES, *others) and gain(own, random, faces)[0] > LEAST_GAIN


def _rounded(shares: Floats) -> list[float]:
    return [round(float(share), 4) for share in shares]


def tables(measured: Mapping[str, Any]) -> str:
    """What was measured, for people: two tables in Markdown, with shares in percent.

    Parameters
    ----------
    measured : mapping
        As in a file of directions: from `learn_directions`, and with the `accuracy` of both heads in each slider.

    Returns
    -------
    str
        The first table has a row for each question; its last column says whether it has become a slider. The second
        one, if there are sliders, has a column for each and says how often it changes every answer.
    """
    sliders, random, faces = measured["sliders"], measured["random"], measured["faces"]
    first = [
        "| | question | networks are right | its slider changes it | a random direction | difference | shown |",
        "|---:|---|---|---:|---:|---:|---|",
    ]
    for k, s in enumerate(sliders):
        one, other = (f"{100 * share:.0f}" for share in s["accuracy"])
        low, high = gain(s["changes"][k], random[k], faces)
        first.append(
            f"| {k + 1} | {s['name']}: {s['no']} – {s['yes']} | {one} and {other} | {100 * s['changes'][k]:.0f} "
            f"| {100 * random[k]:.0f} | {100 * low:.0f} to {100 * high:.0f} | {'yes' if s['shown'] else 'no'} |"
        )
    shown = [k for k, s in enumerate(sliders) if s["shown"]]
    if not shown:
        return "\n".join(first) + "\n"
    second = [
        f"| answer | {' | '.join(str(k + 1) for k in shown)} | random |",
        f"|---|{'---:|' * (len(shown) + 1)}",
    ]
    for j, s in enumerate(sliders):
        cells = [f"{100 * sliders[k]['changes'][j]:.0f}" for k in shown]
        cells = [f"**{cell}**" if k == j else cell for k, cell in zip(shown, cells, strict=True)]
        second.append(f"| {j + 1} {s['name']} | {' | '.join(cells)} | {100 * random[j]:.0f} |")
    return "\n".join([*first, "", *second]) + "\n"
