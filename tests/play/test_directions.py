"""Directions: moving along them, the file that they lie in, and unnamed ones from a generator's first layer."""

import json
import os

import numpy as np
import pytest
from places import ROOT

from minigan.gan.models import generator
from minigan.nn.layers import BatchNormalization, Conv2DTranspose
from minigan.nn.network import Sequential
from minigan.play import directions
from minigan.play.direction_learning import is_clear, tables
from minigan.play.directions import (
    FILE_NAME,
    Direction,
    directions_of,
    moved,
    read_directions,
    unnamed_directions,
    write_directions,
)
from minigan.play.face_questions import QUESTIONS
from minigan.play.face_text import weights_hash
from minigan.runs.pretrained import pretrained_run
from minigan.runs.saved_generator import load_generator
from minigan.system.errors import UserError


def some_vector(seed=0):
    vector = np.random.default_rng(seed).standard_normal(100)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.fixture(scope="module")
def small():
    return generator(image_size=32, width=2, seed=3)


# ---- Moving ----


@pytest.mark.parametrize("amount", [-0.5, 0.2, 3.0])
def test_a_move_keeps_the_length_and_goes_the_right_way(amount):
    noise, vector = np.random.default_rng(1).standard_normal((4, 100)).astype(np.float32), some_vector()
    there = moved(noise, vector, amount)
    assert there.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(there, axis=1), np.linalg.norm(noise, axis=1), rtol=1e-6)
    assert (np.sign(there @ vector - noise @ vector) == np.sign(amount)).all()


def test_a_move_by_a_length_across_is_a_turn_by_half_a_right_angle():
    np.testing.assert_allclose(moved(np.array([0.0, 5.0]), np.array([1.0, 0.0]), 1.0), [12.5**0.5, 12.5**0.5])


def test_every_face_may_have_a_way_of_its_own():
    noise = np.random.default_rng(2).standard_normal((2, 100))
    vectors, amounts = np.stack([some_vector(5), some_vector(6)]), np.array([[0.3], [-0.4]])
    both = moved(noise, vectors, amounts)
    np.testing.assert_array_equal(both[1], moved(noise[1], vectors[1], -0.4))


# ---- Unnamed directions ----


def first_layers(kernel, gamma, variance):
    """A generator's beginning: a transposed convolution of 1x1 without a field around it, and its batch norm."""
    kernel = np.array(kernel, float).reshape(1, 1, len(gamma), -1)
    layer = Conv2DTranspose(
        kernel.shape[3], len(gamma), 1, padding="valid", kernel_initializer=lambda shape: kernel.reshape(shape)
    )
    norm = BatchNormalization(len(gamma), epsilon=1.0, dtype=float)
    norm.params["gamma"][:], norm.buffers["moving_variance"][:] = gamma, variance
    return Sequential([layer, norm], input_shape=(1, 1, kernel.shape[3]))


def test_the_strongest_direction_by_hand():
    """Rows (3, 0) and (0, 1), times gamma / sqrt(variance + 1) = 2 / 2 and 10 / 1: lengths 3 and 10 along the axes."""
    first, second = unnamed_directions(first_layers([[3, 0], [0, 1]], [2, 10], [3, 0]))
    np.testing.assert_allclose([first.vector, second.vector], [[0, 1], [1, 0]], atol=1e-6)
    assert [first.name, first.no, first.yes, second.name] == ["direction 1", "", "", "direction 2"]


def test_directions_between_the_axes_by_hand():
    """Rows (1, 1) and (1, -1) / 2: singular vectors on the diagonals. The sign makes the farthest number positive."""
    first, second = unnamed_directions(first_layers([[-1, -1.0001], [0.5, -0.4999]], [1, 1], [0, 0]))
    np.testing.assert_allclose(first.vector, [0.7071, 0.7071], atol=1e-3)
    np.testing.assert_allclose(abs(second.vector), [0.7071, 0.7071], atol=1e-3)
    assert first.vector @ second.vector == pytest.approx(0, abs=1e-6)


def test_no_direction_moves_the_first_layers_output_more(small):
    found = unnamed_directions(small)
    assert len(found) == 8
    rng = np.random.default_rng(0)
    for layer in (small.layers[1],):  # as after training: its channels differ
        layer.params["gamma"][:] = rng.uniform(0.5, 2, layer.params["gamma"].shape)
        layer.buffers["moving_variance"][:] = rng.uniform(0.5, 2, layer.params["gamma"].shape)
    found = unnamed_directions(small)

    def effect(vectors):
        both = np.concatenate([np.zeros((1, 100)), vectors]).astype(np.float32).reshape(-1, 1, 1, 100)
        y = both
        for layer in small.layers[:2]:
            y, _ = layer.forward(y, training=False)
        return np.linalg.norm((y[1:] - y[0]).reshape(len(y) - 1, -1), axis=1)

    effects = effect(np.stack([d.vector for d in found]))
    assert (np.diff(effects) < 0).all()
    assert effects[0] > effect(np.stack([some_vector(k) for k in range(50)])).max()


# ---- The file ----


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / FILE_NAME
    written = [Direction("hair", "dark", "light", some_vector(1)), Direction("Größe", "", "", some_vector(2))]
    write_directions(path, "0123abcd", written, {"faces": 5})
    weights, found = read_directions(path)
    assert weights == "0123abcd"
    assert [(d.name, d.no, d.yes) for d in found] == [("hair", "dark", "light"), ("Größe", "", "")]
    for a, b in zip(written, found, strict=True):
        np.testing.assert_allclose(a.vector, b.vector, atol=1e-4)
        assert np.linalg.norm(b.vector) == pytest.approx(1, abs=1e-6)
    assert directions.read_file(path)["measured"] == {"faces": 5}


def test_named_directions_are_used_for_their_own_weights_only(tmp_path, small, monkeypatch):
    monkeypatch.setattr(directions, "PRETRAINED", tmp_path / "none.json")
    named = [Direction("hair", "dark", "light", some_vector())]
    path = tmp_path / FILE_NAME
    write_directions(path, "00000000", named, {})
    assert directions_of(small, tmp_path)[0].name == "direction 1"
    write_directions(path, weights_hash(small), named, {})
    assert [d.name for d in directions_of(small, tmp_path)] == ["hair"]
    assert directions_of(small)[0].name == "direction 1"  # nobody said which run it is from
    assert directions_of(small, tmp_path / "model.safetensors")[0].name == "direction 1"


def test_the_pretrained_file_serves_its_weights_wherever_they_lie(tmp_path, small, monkeypatch):
    monkeypatch.setattr(directions, "PRETRAINED", tmp_path / "pretrained.json")
    write_directions(tmp_path / "pretrained.json", weights_hash(small), [Direction("a", "b", "c", some_vector())], {})
    assert [d.name for d in directions_of(small)] == ["a"]
    assert [d.name for d in directions_of(small, tmp_path)] == ["a"]


GOOD = {
    "format": "minigan-directions-1",
    "weights": "0123abcd",
    "directions": [{"name": "hair", "no": "dark", "yes": "light", "vector": some_vector().tolist()}],
}


def changed(**changes):
    return json.dumps(GOOD | changes).encode()


def with_row(**changes):
    return changed(directions=[GOOD["directions"][0] | changes])


BAD = {
    "empty": (b"", "no file of directions"),
    "no JSON": (b"\x89PNG\xff", "no file of directions"),
    "another format": (changed(format="minigan-directions-9"), "its format is not 'minigan-directions-1'"),
    "a list": (b"[]", "its format is not"),
    "deep": (b"[" * 100_000, "no file of directions"),
    "long": (b" " * 1_000_001, "longer than 1,000,000 bytes"),
    "no weights": (json.dumps({k: v for k, v in GOOD.items() if k != "weights"}).encode(), "it has no 'weights'"),
    "weights are a number": (changed(weights=5), "the hash of the weights"),
    "too many": (changed(directions=GOOD["directions"] * 51), "at most 50 directions"),
    "a row is a text": (changed(directions=["hair"]), "no file of directions"),
    "no vector": (changed(directions=[{"name": "a", "no": "", "yes": ""}]), "it has no 'vector'"),
    "a long name": (with_row(name="a" * 41), "at most 40 characters"),
    "a name of another kind": (with_row(yes=None), "at most 40 characters"),
    "99 numbers": (with_row(vector=[0.1] * 99), "a vector must be 100 numbers"),
    "NaN": (with_row(vector=[float("nan")] + [0.1] * 99), "a vector must be 100 numbers"),
    "a huge number": (with_row(vector=[10**400] + [0.1] * 99), "no file of directions"),
    "truth values": (with_row(vector=[True] + [0.0] * 99), "a vector must be 100 numbers"),
    "no length": (with_row(vector=[0] * 100), "must have the length 1, got 0"),
}


@pytest.mark.parametrize("kind", sorted(BAD))
def test_other_files_are_refused_in_one_line(tmp_path, kind):
    path = tmp_path / FILE_NAME
    content, told = BAD[kind]
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_directions(path)
    message = str(caught.value)
    assert told in message
    assert str(path) in message
    assert "\n" not in message


def test_a_file_that_cannot_be_opened_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot be opened"):
        read_directions(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a pipe with a name")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(UserError, match="cannot be opened: it is not a file"):
        read_directions(tmp_path / "pipe.json")


# ---- The file that comes along ----


def test_the_pretrained_generator_has_named_sliders_of_its_own():
    generator, _ = load_generator(pretrained_run())
    weights, named = read_directions(directions.PRETRAINED)
    assert weights == weights_hash(generator)
    assert len(named) >= 8
    assert {d.name for d in named} <= {q.name for q in QUESTIONS}
    vectors = np.stack([d.vector for d in named])
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(len(named)), atol=2e-3)


def test_every_slider_shown_is_clear_by_its_own_numbers():
    measured = directions.read_file(directions.PRETRAINED)["measured"]
    _, named = read_directions(directions.PRETRAINED)
    assert measured["faces"] == 500
    assert [s["name"] for s in measured["sliders"]] == [q.name for q in QUESTIONS]
    assert [s["name"] for s in measured["sliders"] if s["shown"]] == [d.name for d in named]
    for k, slider in enumerate(measured["sliders"]):
        assert slider["shown"] == is_clear(slider["changes"], k, measured["random"][k], measured["faces"])


def test_the_page_has_the_tables_of_the_file():
    page = (ROOT / "docs" / "directions.md").read_text(encoding="utf-8")
    assert tables(directions.read_file(directions.PRETRAINED)["measured"]) in page
