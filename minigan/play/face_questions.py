"""Yes/no questions about drawn faces, and networks that answer them from an image.

It is known of every drawn face what is in it (`minigan.data.drawn.factors`). So the right answer to a question about it
is known, too. `train_head` trains a small convolutional network, made of the layers of `minigan.nn`, to answer all
questions at once: one image in, one logit for each question out, and the loss of the GAN's discriminator. Then it
answers for faces that nobody has drawn: those of a generator. With its answers, `minigan.play.direction_learning` finds
directions that have a meaning.

A question should be one that a person answers at a glance. What takes up a few pixels is not asked, such as the brows,
the blush, or the clothes at the lower edge: the head sees it change, and a person sees what else has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minigan.data.drawn.faces import face_factors
from minigan.data.drawn.factors import FaceFactors
from minigan.nn.backend import Array
from minigan.nn.initializers import GlorotUniform
from minigan.nn.layers import BatchNormalization, Conv2D, Dense, Flatten, Layer, LeakyReLU
from minigan.nn.losses import bce_with_logits_backward, bce_with_logits_forward
from minigan.nn.network import Sequential
from minigan.nn.optimizers import Adam
from minigan.nn.rng import stream
from minigan.system.progress import ProgressBar

Answers = npt.NDArray[np.bool_]

BATCH = 64
LEARNING_RATE = 1e-3
LAST_QUARTER = 1e-4
"""The learning rate of the last quarter of the steps: smaller steps end nearer to the best weights."""


@dataclass(frozen=True)
class Question:
    """A yes/no question about a face.

    Attributes
    ----------
    name : str
        Of the slider that changes the answer: "skin".
    no, yes : str
        The ends of the slider: "light", "dark".
    factor : str
        A field of `FaceFactors`.
    values : tuple of str
        The answer is yes if the factor has one of these values. If there are none, the factor is a number.
    above : float
        Then the answer is yes if the number is above this.
    """

    name: str
    no: str
    yes: str
    factor: str
    values: tuple[str, ...] = ()
    above: float = 0.0

    def answer(self, factors: FaceFactors) -> bool:
        """The right answer for a drawn face."""
        value = getattr(factors, self.factor)
        return value in self.values if self.values else value > self.above


_BELOW_THE_CHIN = ("long", "hime", "wavy", "twintails", "low_twintails", "ponytail", "side_tail", "braids")
_TIED = ("twintails", "low_twintails", "ponytail", "side_tail", "buns", "braids")
_LIGHT = ("orange", "blond", "cream", "silver", "pink", "blue", "aqua")
_WARM = ("brown", "chestnut", "orange", "blond", "cream", "red", "pink")
_GREENISH = ("blond", "cream", "aqua", "green")  # more green than the mean of red and blue
_COLOURED = ("plain", "gradient", "dots", "stripes", "bokeh")

QUESTIONS = (
    Question("hair length", "short", "long", "hair_style", _BELOW_THE_CHIN),
    Question("hair style", "loose", "tied", "hair_style", _TIED),
    Question("hair lightness", "dark", "light", "hair_colour", _LIGHT),
    Question("hair warmth", "cold", "warm", "hair_colour", _WARM),
    Question("hair hue", "red", "green", "hair_colour", _GREENISH),
    Question("forehead", "covered", "free", "bangs", ("crossed", "parted", "swept_left", "swept_right")),
    Question("eyes", "narrow", "wide", "eye_shape", ("round", "tall")),
    Question("eye colour", "cold", "warm", "eye_colour", ("brown", "amber", "red", "pink")),
    Question("mouth", "closed", "open", "mouth", ("open", "round", "fang")),
    Question("smile", "without", "with", "mouth", ("smile", "open", "cat", "smirk", "fang")),
    Question("skin", "light", "dark", "skin", ("tan", "brown")),
    Question("glasses", "without", "with", "accessory", ("glasses",)),
    Question("cat ears", "without", "with", "accessory", ("cat_ears",)),
    Question("background", "white", "coloured", "background", _COLOURED),
    Question("head turn", "left", "right", "turn"),
    Question("head tilt", "left", "right", "tilt"),
    Question("head size", "small", "large", "zoom", above=1.05),
)


def right_answers(questions: Sequence[Question], indices: range, *, seed: int = 0) -> Answers:
    """The right answers for drawn faces.

    Parameters
    ----------
    questions : sequence of Question
    indices : range
        Numbers of the faces.
    seed : int
        Of their drawing.

    Returns
    -------
    numpy.ndarray of shape (faces, questions), bool
    """
    factors = [face_factors(index, seed=seed) for index in indices]
    return np.array([[question.answer(f) for question in questions] for f in factors])


def build_head(questions: int, *, image_size: int, width: int, seed: int) -> Sequential:
    """A network that answers questions about images, untrained.

    Parameters
    ----------
    questions : int
        How many logits it gives.
    image_size : int
        S: 8 times a power of 2, or 8.
    width : int
        Channels after the first layer; later ones have up to four times as many.
    seed : int
        For the kernels.

    Returns
    -------
    Sequential
        Images (N, S, S, 3) in [-1, 1] to logits (N, questions). A logit above 0 means yes.
    """
    kernels = GlorotUniform(seed)
    layers: list[Layer] = []
    side, channels, filters = image_size, 3, width
    while side > 4:
        layers += [
            Conv2D(channels, filters, 4, strides=2, kernel_initializer=kernels),
            BatchNormalization(filters, momentum=0.9),
            LeakyReLU(0.2),
        ]
        side, channels, filters = side // 2, filters, min(2 * filters, 4 * width)
    layers += [Flatten(), Dense(side * side * channels, questions, kernel_initializer=kernels)]
    return Sequential(layers, input_shape=(image_size, image_size, 3), name="head")


def to_float(images: Array) -> Array:
    """Pixels from 0..255 to [-1, 1], float32: what a head sees."""
    return images.astype(np.float32) / 127.5 - 1


def train_head(head: Sequential, images: Array, answers: Answers, *, steps: int, seed: int) -> None:
    """Train a network of `build_head`.

    Parameters
    ----------
    head : Sequential
        Changed in place.
    images : numpy.ndarray of shape (N, S, S, 3), uint8
        N at least `BATCH`; may be a memory map.
    answers : numpy.ndarray of shape (N, questions), bool
        The right ones.
    steps : int
        Batches of `BATCH` images, in another order each time they all have been seen.
    seed : int
        Of this order.
    """
    adam = Adam(head.params(), learning_rate=LEARNING_RATE, beta_1=0.9)
    batches = len(images) // BATCH
    with ProgressBar(steps, "Learning to answer", "steps") as bar:
        for step in range(steps):
            epoch, place = divmod(step, batches)
            if place == 0:
                order = stream(seed, "data", epoch).permutation(len(images))
            if step >= 0.75 * steps:
                adam.learning_rate = LAST_QUARTER
            rows = order[place * BATCH : (place + 1) * BATCH]
            logits, caches = head.forward(to_float(images[rows]), training=True)
            _, cache = bce_with_logits_forward(logits, answers[rows].astype(logits.dtype))
            head.zero_grads()
            head.backward(bce_with_logits_backward(1.0, cache), caches, keep_caches=False)
            adam.step(head.grads())
            bar.update(1)


def accuracy(head: Sequential, images: Array, answers: Answers) -> list[float]:
    """How often a head is right.

    Parameters
    ----------
    head : Sequential
    images : numpy.ndarray of shape (N, S, S, 3), uint8
    answers : numpy.ndarray of shape (N, questions), bool

    Returns
    -------
    list of float
        For each question, a share of the images.
    """
    return ((head.predict(to_float(images)) > 0) == answers).mean(axis=0).tolist()
