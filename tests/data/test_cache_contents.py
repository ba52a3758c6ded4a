"""Listing and emptying the cache: everything that minigan has made, and nothing else."""

import json
import os
import time

import numpy as np
import pytest
from PIL import Image

from minigan.data import __main__ as command
from minigan.data import cache
from minigan.data.open import open_images
from minigan.system.cli import run_command


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """The cache's folder."""
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def opened(tmp_path):
    """Two sets in the cache: drawn faces, and a folder's images."""
    (tmp_path / "my\nfaces").mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "my\nfaces" / "a.png")
    return [
        open_images(None, image_size=32, count=3, progress=False),
        open_images(tmp_path / "my\nfaces", image_size=16, progress=False),
    ]


def call(capsys, *arguments):
    status = run_command(command.main, ["cache", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_an_empty_cache(capsys, place):
    for action, words in [("list", "0 sets, 0.0 MB"), ("clear", "0 sets removed, 0.0 MB")]:
        assert call(capsys, action) == (0, f"{place}: {words}\n", "")
    assert not place.exists()


def test_list(capsys, place, opened, tmp_path):
    names = sorted(path.name for path in place.iterdir())
    stamp = time.mktime((2024, 5, 17, 12, 30, 0, 0, 0, -1))
    os.utime(_notes(place, "faces"), (stamp, stamp))
    status, out, err = call(capsys, "list")
    head, *lines = out.splitlines()
    assert (status, err, head) == (0, "", f"{place}: 2 sets, 0.0 MB")
    assert lines[0].endswith(f"  images of {tmp_path / 'my'}\\nfaces, of 16 x 16 pixels")
    assert lines[1] == "      0.0 MB  used 2024-05-17 12:30  3 drawn faces of 32 x 32 pixels (seed 0)"
    assert sorted(path.name for path in place.iterdir()) == names


def _notes(place, kind):
    (notes,) = place.glob(f"{kind}*.json")
    return notes


def test_a_use_is_noted(place, opened):
    notes = _notes(place, "faces")
    os.utime(notes, (1000, 1000))
    open_images(None, image_size=32, count=2, progress=False)
    assert notes.stat().st_mtime > 1e9


def test_clear_removes_what_minigan_has_made_and_a_run_goes_on(capsys, place, opened):
    others = ["notes.txt", "faces-1.npy", "folder-mine-64px-x.json", "faces-seed0-32px-v1-3.json.bak", "images.npy"]
    for name in others:
        (place / name).write_bytes(b"mine")
    folder = place / "faces-seed1-32px-v1-3.json"
    folder.mkdir()
    before = [np.array(images.images) for images in opened]
    status, out, err = call(capsys, "clear")
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == f"{place}: 2 sets removed, 0.0 MB"
    assert "removed 0.0 MB: 3 drawn faces of 32 x 32 pixels (seed 0)\n" in out
    assert sorted(path.name for path in place.iterdir()) == sorted([*others, folder.name])
    for images, pixels in zip(opened, before, strict=True):
        np.testing.assert_array_equal(images.images, pixels)
    np.testing.assert_array_equal(open_images(None, image_size=32, count=3, progress=False).images, before[0])


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_links_are_left_alone(capsys, place, opened, tmp_path):
    notes = _notes(place, "faces")
    notes.rename(tmp_path / "elsewhere.json")
    notes.symlink_to(tmp_path / "elsewhere.json")
    call(capsys, "clear")
    assert notes.is_symlink()
    assert (tmp_path / "elsewhere.json").exists()


def test_images_without_notes_may_be_waiting_for_them(capsys, place, opened):
    _notes(place, "faces").unlink()
    (images,) = place.glob("faces*.npy")
    call(capsys, "clear")
    assert list(place.iterdir()) == [images]
    os.utime(images, (1000, 1000))
    assert "images of an unfinished cache" in call(capsys, "list")[1]
    assert call(capsys, "clear")[0] == 0
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", '{"notes": {}}', json.dumps({"notes": 3}), "[" * 100_000])
def test_notes_that_say_nothing(capsys, place, opened, text):
    _notes(place, "folder").write_text(text, encoding="ascii")
    status, out, _ = call(capsys, "list")
    assert status == 0
    assert "images of a folder, of 16 x 16 pixels" in out
    assert call(capsys, "clear")[0] == 0
    assert list(place.iterdir()) == []


def test_what_cannot_be_removed_is_told(capsys, place, opened, monkeypatch):
    def refuse(path, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache.Path, "unlink", refuse)
    status, out, err = call(capsys, "clear")
    assert (status, out) == (1, f"{place}: 0 sets removed, 0.0 MB\n")
    assert len(err.splitlines()) == 2
    assert "stays in the cache: 3 drawn faces of 32 x 32 pixels (seed 0) (Permission denied)" in err


@pytest.mark.parametrize("arguments", [[], ["wipe"], ["list", "x"]])
def test_other_words_are_refused(capsys, arguments):
    status, out, err = call(capsys, *arguments)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
