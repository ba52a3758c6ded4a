"""A face's text: it goes there and back, and whatever is not one is refused in one line."""

import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_gans import SMALL

from minigan.gan.models import generator
from minigan.play.face_text import TEXT_LENGTH, face_text, noise_of_text, noise_steps, rounded_noise, weights_hash
from minigan.system.errors import UserError

WEIGHTS = "0123abcd"
TEXT = face_text(np.linspace(-4, 3.9, 100), WEIGHTS)
ALPHABET = string.ascii_letters + string.digits + "-_"


@given(st.lists(st.integers(-128, 127), min_size=100, max_size=100))
def test_every_noise_of_bytes_goes_there_and_back(steps):
    noise = np.array(steps, np.float32) / 32
    text = face_text(noise, WEIGHTS)
    assert len(text) == TEXT_LENGTH
    assert set(text) <= set(ALPHABET)
    back = noise_of_text(text, WEIGHTS)
    assert (back.shape, back.dtype) == ((1, 1, 1, 100), np.float32)
    np.testing.assert_array_equal(back.ravel(), noise)


def test_the_form_is_what_the_documents_say():
    """Byte by byte, by hand: 1/32 is 0x01, -1/32 is 0xff; 0x01ff00 is AB/wA... in base64, with _ for /."""
    noise = np.zeros(100)
    noise[:3] = 1 / 32, -1 / 32, 0
    assert face_text(noise, WEIGHTS) == "mg1-0123abcd-Af8A" + 130 * "A"
    noise[:3] = -1 / 32, -1 / 32, -2 / 32
    assert face_text(noise, WEIGHTS).startswith("mg1-0123abcd-___-")


def test_noise_is_rounded_to_the_nearest_and_clipped():
    noise = np.random.default_rng(0).standard_normal(10_000)
    assert np.abs(rounded_noise(noise) - noise).max() <= 1 / 64
    assert noise_steps(np.array([-4.5, -4, 3.97, 3.99, 1e30])).tolist() == [-128, -128, 127, 127, 127]
    assert noise_steps(np.array([0.5, 1.5, -0.5, -1.5]) / 32).tolist() == [1, 2, 0, -1]  # as JavaScript's Math.round
    np.testing.assert_array_equal(rounded_noise(rounded_noise(noise)), rounded_noise(noise))


def test_an_address_and_blanks_around_a_text_do_no_harm():
    expected = noise_of_text(TEXT, WEIGHTS)
    for text in (f"http://127.0.0.1:8000/#{TEXT}", f"  {TEXT}\n", f"#{TEXT}"):
        np.testing.assert_array_equal(noise_of_text(text, WEIGHTS), expected)


WRONG = {
    "empty": ("", "must begin with mg1-"),
    "other": ("hello", "got 'hello'"),
    "version": (TEXT.replace("mg1", "mg2"), "must begin with mg1-"),
    "hash": (TEXT.replace("0123abcd", "0123ABCD"), "8 digits from 0-9 and a-f"),
    "short hash": (TEXT.replace("0123abcd", "0123abc"), "8 digits from 0-9 and a-f"),
    "cut": (TEXT[:-1], f"must have {TEXT_LENGTH} characters, got 146: it has been cut"),
    "very cut": (TEXT[:15], "got 15: it has been cut"),
    "long": (TEXT + "A", "got 148: something has been added to it"),
    "character": (TEXT[:50] + "+" + TEXT[51:], "but holds '+'"),
    "blank": (TEXT[:50] + " " + TEXT[51:], "but holds ' '"),
    "letter": (TEXT[:50] + "é" + TEXT[51:], "but holds 'é'"),
    "line": (TEXT[:50] + "\n" + TEXT[51:], r"but holds '\n'"),
    "end": (TEXT[:-1] + "B", "got 'B'"),
    "weights": (TEXT.replace("0123abcd", "00000000"), "other weights: it begins with mg1-00000000"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_a_text_is_refused(case):
    text, words = WRONG[case]
    with pytest.raises(UserError) as caught:
        noise_of_text(text, WEIGHTS)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_refused_or_goes_back(text):
    try:
        noise = noise_of_text(text, WEIGHTS)
    except UserError:
        return
    assert face_text(noise, WEIGHTS) in text


def test_the_hash_is_of_what_draws():
    network = generator(**SMALL)
    first = weights_hash(network)
    assert len(first) == 8
    assert weights_hash(generator(**SMALL)) == first
    network.buffers()["1.updates"][...] = 7  # only training reads it
    network.buffers()["1.biased_mean"][...] = 7
    assert weights_hash(network) == first
    for name in ("1.moving_mean", "1.moving_variance", "1.gamma", "9.kernel"):
        array = network.state()[name]
        before = array.copy()
        array.flat[0] += 1e-6
        assert weights_hash(network) != first, name
        array[...] = before


def test_the_hash_is_the_same_everywhere(double):
    assert weights_hash(generator(**SMALL).to(double)) == weights_hash(generator(**SMALL))
