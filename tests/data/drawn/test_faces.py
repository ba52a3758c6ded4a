"""The drawn faces: a function of (seed, index), labelled with factors that can all be seen in the image."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.data.drawn import hair
from minigan.data.drawn.faces import FACTOR_PROBABILITIES, FACTOR_VALUES, draw_face, face_factors, render_face
from minigan.data.drawn.factors import FaceFactors

CATEGORICAL = sorted(FACTOR_VALUES)
CONTINUOUS = {
    "turn": (-1.0, 1.0),
    "tilt": (-11.0, 11.0),
    "zoom": (0.96, 1.14),
    "shift_x": (-0.02, 0.02),
    "shift_y": (-0.02, 0.02),
    "gaze": (-1.0, 1.0),
    "eye_size": (0.89, 1.05),
    "hair_tint": (-1.0, 1.0),
    "hair_depth": (-1.0, 1.0),
    "background_hue": (0.0, 1.0),
}


@pytest.fixture(scope="module")
def many() -> list[FaceFactors]:
    return [face_factors(i) for i in range(3000)]


@pytest.fixture(scope="module")
def images() -> npt.NDArray[np.uint8]:
    return np.stack([draw_face(i)[0] for i in range(500)])


def plain(**changes: object) -> FaceFactors:
    """Return a face on which every factor can be seen: open eyes, a patterned background, no glasses."""
    base = dataclasses.replace(
        face_factors(0),
        hair_style="bob",
        bangs="ragged",
        eye_shape="round",
        blush="none",
        accessory="hairpin",
        background="dots",
        turn=0.3,
        gaze=0.2,
    )
    return dataclasses.replace(base, **changes)


def test_the_same_face_whenever_it_is_drawn() -> None:
    forwards = [draw_face(i, seed=5) for i in range(8)]
    backwards = [draw_face(i, seed=5) for i in reversed(range(8))][::-1]
    for (image, factors), (again, factors_again) in zip(forwards, backwards, strict=True):
        assert image.tobytes() == again.tobytes()
        assert factors == factors_again


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**40), st.integers(0, 2**32 - 1))
def test_draw_is_factors_then_render(index: int, seed: int) -> None:
    image, factors = draw_face(index, seed=seed, size=32)
    assert factors == face_factors(index, seed=seed)
    np.testing.assert_array_equal(image, render_face(factors, size=32))


def test_the_same_face_in_another_process() -> None:
    code = (
        "import hashlib; from minigan.data.drawn.faces import draw_face;"
        "print(hashlib.sha256(b''.join(draw_face(i, seed=9)[0].tobytes() for i in (7, 3))).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1


def test_seeds_and_indices_give_different_faces(images: npt.NDArray[np.uint8]) -> None:
    assert len({image.tobytes() for image in images}) == len(images)
    assert face_factors(0, seed=0) != face_factors(0, seed=1)
    assert (draw_face(0, seed=0)[0] != draw_face(0, seed=1)[0]).mean() > 0.2


@pytest.mark.parametrize("size", [16, 32, 64, 100, 128])
def test_shape_and_dtype(size: int) -> None:
    image, _ = draw_face(3, size=size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8
    assert image.flags.writeable


def test_a_larger_image_is_the_same_face() -> None:
    for i in range(12):
        small, factors = draw_face(i)
        large = render_face(factors, size=128).astype(np.float64).reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
        assert np.abs(large - small).mean() < 6.0


@pytest.mark.parametrize("name", CATEGORICAL)
def test_every_value_occurs_as_often_as_documented(name: str, many: list[FaceFactors]) -> None:
    values = FACTOR_VALUES[name]
    drawn = [getattr(factors, name) for factors in many]
    odds = np.array(FACTOR_PROBABILITIES[name])
    assert len(odds) == len(values) == len(set(values))
    assert odds.sum() == pytest.approx(1.0)
    expected = odds * len(many)
    counts = np.array([drawn.count(value) for value in values])
    assert counts.sum() == len(many)
    # Five standard deviations. The sample is fixed, so this does not depend on luck.
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()


def test_factors_are_independent(many: list[FaceFactors]) -> None:
    """Chi-square of hair style against every other factor stays near its degrees of freedom."""
    for name in ("bangs", "hair_colour", "eye_shape", "accessory", "background"):
        rows, columns = FACTOR_VALUES["hair_style"], FACTOR_VALUES[name]
        table = np.zeros((len(rows), len(columns)))
        for factors in many:
            table[rows.index(factors.hair_style), columns.index(getattr(factors, name))] += 1
        expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
        freedom = (len(rows) - 1) * (len(columns) - 1)
        assert ((table - expected) ** 2 / expected).sum() < freedom + 5 * np.sqrt(2 * freedom)


def test_enough_hair() -> None:
    assert len(FACTOR_VALUES["hair_style"]) >= 8


@pytest.mark.parametrize("name", sorted(CONTINUOUS))
def test_continuous_factors_fill_their_ranges(name: str, many: list[FaceFactors]) -> None:
    low, high = CONTINUOUS[name]
    drawn = np.array([getattr(factors, name) for factors in many])
    assert low <= drawn.min() < low + 0.1 * (high - low)
    assert high >= drawn.max() > high - 0.1 * (high - low)


def test_fields_are_the_documented_ones() -> None:
    fields = {field.name for field in dataclasses.fields(FaceFactors)}
    assert fields == set(FACTOR_VALUES) | set(CONTINUOUS) | {"strands"}


@pytest.mark.parametrize("name", CATEGORICAL)
def test_every_value_of_every_factor_shows(name: str) -> None:
    values = FACTOR_VALUES[name]
    images = [render_face(plain(**{name: value})).astype(np.int64) for value in values]
    for i, one in enumerate(images):
        for j, other in enumerate(images[:i]):
            changed = (np.abs(one - other).max(axis=-1) > 8).sum()
            assert changed >= 6, f"{name}: {values[i]} and {values[j]} look alike"


@pytest.mark.parametrize("name", sorted(CONTINUOUS))
def test_every_continuous_factor_shows(name: str) -> None:
    low, high = CONTINUOUS[name]
    one, other = (render_face(plain(**{name: value})).astype(np.int64) for value in (low, low + 0.3 * (high - low)))
    assert (np.abs(one - other).max(axis=-1) > 4).sum() >= 10


def test_strands_show() -> None:
    other = tuple(-v for v in plain().strands)
    assert (render_face(plain()) != render_face(plain(strands=other))).any()


def test_every_combination_of_hair_draws() -> None:
    for style in FACTOR_VALUES["hair_style"]:
        for bangs in FACTOR_VALUES["bangs"]:
            assert render_face(plain(hair_style=style, bangs=bangs), size=16).std() > 20


def test_images_are_neither_flat_nor_noise(images: npt.NDArray[np.uint8]) -> None:
    spread = images.std(axis=(1, 2, 3))
    assert spread.min() > 25
    # Neighbouring pixels are mostly equal in a drawing, but not in noise.
    steps = np.abs(np.diff(images.astype(np.int64), axis=2)).mean(axis=(1, 2, 3))
    assert steps.max() < 45


def test_eyes_are_where_the_eyes_are() -> None:
    """The colour of the eyes changes pixels at the eyes, and none far from them."""
    blue, red = (render_face(plain(eye_colour=colour, tilt=0.0, turn=0.0)) for colour in ("blue", "red"))
    rows, columns = np.nonzero((blue != red).any(axis=-1))
    assert 25 < rows.min() < rows.max() < 45
    assert 10 < columns.min() < columns.max() < 54
    assert not ((columns > 29) & (columns < 35)).any()


def test_mirrored_bangs_part_on_the_other_side() -> None:
    left, right = hair.BANGS["swept_left"], hair.BANGS["swept_right"]
    assert left.part == -right.part
    np.testing.assert_array_equal(left.edge, right.edge[::-1] * (-1.0, 1.0))


def test_to_dict_is_json() -> None:
    factors = face_factors(11, seed=2)
    back = json.loads(json.dumps(factors.to_dict()))
    assert FaceFactors(**{**back, "strands": tuple(back["strands"])}) == factors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: face_factors(-1), r"index must be between 0 and 9223372036854775807, got -1"),
        (lambda: face_factors(0, seed=-1), r"seed must be between 0 and 4294967295, got -1"),
        (lambda: face_factors(0, seed=2**32), r"seed must be .* got 4294967296"),
        (lambda: draw_face(-3), r"index must be between 0 and .* got -3"),
        (lambda: draw_face(0, size=15), r"size must be between 16 and 1024, got 15"),
        (lambda: render_face(plain(), size=1025), r"size must be between 16 and 1024, got 1025"),
        (lambda: render_face(plain(mouth="beak")), r"mouth must be one of smile, .* got 'beak'"),
    ],
)
def test_bad_arguments(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
