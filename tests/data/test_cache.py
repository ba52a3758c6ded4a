"""The cache of decoded images, by itself: what is built is read back, and what is not whole is not opened."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigan.data import cache
from minigan.data.open import open_images
from minigan.system import atomic_files
from minigan.system.errors import RunError, UserError

S = 8


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_shape_is_part_of_the_fingerprint() -> None:
    four, one = np.zeros((4, 1, 1, 3), np.uint8), np.zeros((1, 2, 2, 3), np.uint8)
    assert cache.fingerprint(four) != cache.fingerprint(one)
    assert cache.fingerprint(one) == cache.fingerprint(one.copy())


@pytest.mark.parametrize("chosen", [None, "", "~/cache", "~a-user-that-is-not/x"])
def test_without_a_home_one_line_names_the_variable(chosen: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIGAN_CACHE")
    if chosen is not None:
        monkeypatch.setenv("MINIGAN_CACHE", chosen)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as it is for a user without a name
    if sys.platform == "win32":
        pytest.skip("Windows asks the registry")
    with pytest.raises(UserError, match=r"no home folder.*MINIGAN_CACHE"):
        cache.cache_directory()
    cache.sweep()


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


def refuse(monkeypatch: pytest.MonkeyPatch, *modes: str) -> None:
    """As on a drive that does not allow memory maps of these modes."""
    plain = np.memmap

    def memmap(file: Any, dtype: Any, mode: str, *args: Any) -> Any:
        file.seek(0, 2)  # NumPy moves it, too
        if mode in modes:
            raise OSError(errno.ENODEV, "No such device")
        return plain(file, dtype, mode, *args)

    monkeypatch.setattr(np, "memmap", memmap)


@pytest.mark.parametrize("modes", [["r"], ["r", "c"]])
def test_on_a_drive_without_maps_images_are_read(modes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    is_mapped = modes == ["r"]
    refuse(monkeypatch, *modes)
    pixels = images(7)
    for cached in (build("x", pixels), cache.load("x")):
        assert cached is not None
        np.testing.assert_array_equal(cached.images, pixels)
        assert not cached.images.flags.writeable
        assert hasattr(cached.images, "filename") is is_mapped
        assert cached.path.is_file()


@pytest.mark.parametrize("room", [100, 7 * S * S * 3 + 128])
def test_where_there_are_neither_maps_nor_memory_one_line_says_so(
    room: float, monkeypatch: pytest.MonkeyPatch, cache_folder: Path
) -> None:
    refuse(monkeypatch, "r", "c")
    monkeypatch.setattr(cache, "available_memory", lambda: room)
    with pytest.raises(RunError, match=r"cannot be mapped.*\(No such device\).*not enough memory.*MINIGAN_CACHE"):
        build("x", images(7))
    with pytest.raises(RunError, match="not enough memory"):
        cache.load("x")
    assert len(list(cache_folder.iterdir())) == 2
    monkeypatch.undo()
    monkeypatch.setenv("MINIGAN_CACHE", str(cache_folder))
    assert cache.load("x") is not None


def test_too_many_open_files_do_not_make_it_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    build("x", images(7))

    def none(*args: Any, **kwargs: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Path, "open", none)
    with pytest.raises(OSError, match="Too many open files"):
        cache.load("x")


def test_what_a_killed_process_left_is_swept_and_what_is_being_written_is_not(cache_folder: Path) -> None:
    script = (
        "import os, signal\n"
        "from minigan.data import cache\n"
        "with cache.Builder('x', 8): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with cache.Builder("y", S) as builder:
        (ours,) = cache_folder.iterdir()
        subprocess.run([sys.executable, "-c", script], check=False)
        assert len(list(cache_folder.iterdir())) == 2
        if sys.platform == "win32":
            pytest.skip("Windows has no lock for this: leftovers stay for a day")
        cache.sweep()
        assert list(cache_folder.iterdir()) == [ours]
        builder.append(images(2))
        builder.finish({})
    assert cache.load("y") is not None
    assert len(list(cache_folder.iterdir())) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no lock for this: leftovers stay for a day")
def test_opening_any_images_sweeps(cache_folder: Path) -> None:
    """Also if no cache is built for them."""
    open_images(None, image_size=16, count=1, progress=False)
    leftover = atomic_files.temporary_file(cache_folder / "x.npy")
    os.close(atomic_files._held.pop(leftover))  # as if its process had ended
    open_images(None, image_size=16, count=1, progress=False)
    assert not leftover.exists()


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
    assert len(list(cache_folder.glob("*.npy"))) == 4  # another process may just be about to open one
    old = time.time() - 2 * cache.BEING_WRITTEN_SECONDS
    for path in cache_folder.iterdir():
        os.utime(path, (old, old))
    cache.remove_others("faces-", keep="faces-2")
    assert {path.name.split(".")[0].rsplit("-", 1)[0] for path in cache_folder.glob("*.npy")} == {"faces-2", "folder-1"}
    assert {path.name for path in cache_folder.iterdir() if path.suffix != ".npy"} == {
        "faces-2.json",
        "folder-1.json",
        "faces-notes.txt",
    }
