"""Which files of a folder were handed in."""

from pathlib import Path

import pytest

from minigan.check.sandbox import handed_in
from minigan.system.errors import UserError


def test_files_of_layers_and_progress_are_found_and_no_others(tmp_path, monkeypatch):
    for name, text in (
        ("b/my_layers.py", "def dense_forward(x, w, b): pass"),
        ("a/progress.json", '{"format": "minigan progress 1"}'),
        ("a/other.json", "{}"),
        ("a/helper.py", "def dense_forwards(x): pass"),
        ("a/.hidden.py", "def sgd_step(p, g, lr): pass"),
        ("__pycache__/x.py", "def sgd_step(p, g, lr): pass"),
        ("a/notes.txt", "def sgd_step(p, g, lr): pass"),
        ("a/__init__.py", ""),
        ("a/course/minigan/nn/ops/dense.py", "def dense_forward(x, w, b): pass"),
        ("a/course/minigan/layers.py", "def dense_forward(x, w, b): pass"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = handed_in.files_in(str(tmp_path))
    assert [Path(path).relative_to(tmp_path).as_posix() for path in found] == ["a/progress.json", "b/my_layers.py"]
    monkeypatch.setattr(handed_in, "MOST_FILES", 1)
    with pytest.raises(UserError, match="more than 1 files"):
        handed_in.files_in(str(tmp_path))


def test_nobody_is_lost_whose_file_is_broken(tmp_path):
    for name, content in (
        ("a/my_layers.py", b""),
        ("b/my_layers.py", b"<!DOCTYPE html><html></html>"),
        ("c/layers.py", "def dense_forward(x, w, b): pass".encode("utf-16")),
        ("d/layers.py", b"PK\x03\x04" + bytes(50)),
        ("e/progress.json", b"{"),
    ):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(content)
    found = handed_in.files_in(str(tmp_path))
    assert [Path(path).parent.name for path in found] == list("abcde")
