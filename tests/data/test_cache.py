"""The cache of decoded images, by itself: what is built is read back, and what is not whole is not opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minigan.data import cache

S = 8


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_shape_is_part_of_the_fingerprint() -> None:
    four, one = np.zeros((4, 1, 1, 3), np.uint8), np.zeros((1, 2, 2, 3), np.uint8)
    assert cache.fingerprint(four) != cache.fingerprint(one)
    assert cache.fingerprint(one) == cache.fingerprint(one.copy())


def test_cache_directory_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIGAN_CACHE")
    assert "minigan" in str(cache.cache_directory())
    default = cache.cache_directory()
    monkeypatch.setenv("MINIGAN_CACHE", "")
    assert cache.cache_directory() == default


def test_builder_insists_on_shape_and_dtype() -> None:
    with cache.Builder("x", S) as builder:
        with pytest.raises(ValueError, match="append"):
            builder.append(np.zeros((1, S, S + 1, 3), np.uint8))
        with pytest.raises(ValueError, match="append"):
            builder.append(np.zeros((1, S, S, 3), np.float32))
    with pytest.raises(RuntimeError, match="with statement"):
        cache.Builder("x", S).append(np.zeros((1, S, S, 3), np.uint8))


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, S, S, 3), np.uint8)


def build(stem: str, pixels: np.ndarray) -> cache.Cached:
    with cache.Builder(stem, S) as builder:
        for start in range(0, len(pixels), 3):
            builder.append(pixels[start : start + 3])
        return builder.finish({"source": stem})


def test_what_is_built_is_read_back(cache_folder: Path) -> None:
    pixels = images(7)
    built, loaded = build("x", pixels), cache.load("x")
    assert loaded is not None
    for cached in (built, loaded):
        np.testing.assert_array_equal(cached.images, pixels)
        assert cached.fingerprint == cache.fingerprint(pixels)
        assert cached.notes == {"source": "x"}
        assert not cached.images.flags.writeable
    assert len(list(cache_folder.iterdir())) == 2


def test_without_finish_nothing_is_left(cache_folder: Path) -> None:
    with cache.Builder("x", S) as builder:
        builder.append(images(2))
        assert any(cache_folder.iterdir())
    assert not any(cache_folder.iterdir())
    assert cache.load("x") is None


def test_a_second_build_replaces_the_first() -> None:
    build("x", images(2))
    build("x", images(3, seed=1))
    loaded = cache.load("x")
    assert loaded is not None
    np.testing.assert_array_equal(loaded.images, images(3, seed=1))


def test_a_cache_without_images_is_not_opened(cache_folder: Path) -> None:
    with cache.Builder("x", S) as builder, pytest.raises(cache.RunError, match="reads back differently"):
        builder.finish({})


def test_other_caches_of_the_same_kind_are_removed(cache_folder: Path) -> None:
    for stem in ("faces-1", "faces-2", "faces-22", "folder-1"):
        build(stem, images(1))
    (cache_folder / "faces-notes.txt").touch()
    cache.remove_others("faces-", keep="faces-2")
    assert {path.name.split(".")[0].rsplit("-", 1)[0] for path in cache_folder.glob("*.npy")} == {"faces-2", "folder-1"}
    assert {path.name for path in cache_folder.iterdir() if path.suffix != ".npy"} == {
        "faces-2.json",
        "folder-1.json",
        "faces-notes.txt",
    }
