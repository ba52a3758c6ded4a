"""Files that are written completely or not at all; temporary files, their names and their removal."""

import errno
import os
import sys

import pytest

from minigan.system import atomic_files

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")


def test_an_interrupted_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "x.txt"
    atomic_files.write_text(path, "old")

    def interrupted():
        with atomic_files.replacing(path) as temporary:
            temporary.write_text("ne")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power"):
        interrupted()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.txt"
    atomic_files.write_text(path, "old")

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic_files, "flush_to_disk", full)
    with pytest.raises(OSError, match="No space left"):
        atomic_files.write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_text_has_unix_line_ends_everywhere(tmp_path):
    atomic_files.write_text(tmp_path / "x.txt", "a\nb\n")
    assert (tmp_path / "x.txt").read_bytes() == b"a\nb\n"


@posix
def test_new_files_and_folders_have_the_permissions_of_the_users_other_files(tmp_path):
    before = os.umask(0o027)
    try:
        atomic_files.write_bytes(tmp_path / "x", b"")
        folder = atomic_files.temporary_folder(tmp_path / "y")
        assert os.umask(0o027) == 0o027  # `umask` reads it without changing it
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640
    assert folder.stat().st_mode & 0o777 == 0o750


def test_a_long_name_does_not_make_the_temporary_name_too_long(tmp_path):
    path = tmp_path / f"{'n' * 200}.{'s' * 50}"
    assert not atomic_files.has_temporaries(tmp_path)
    temporary = atomic_files.temporary_file(path)
    assert len(temporary.name) < 100
    assert atomic_files.has_temporaries(tmp_path)
    atomic_files.put_in_place(temporary, path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_old_temporary_files_and_folders_are_removed_and_nothing_else(tmp_path):
    old, young = (atomic_files.temporary_file(tmp_path / f"{name}.png") for name in ("old", "young"))
    folder = atomic_files.temporary_folder(tmp_path / "run")
    (folder / "inside").touch()
    mine = tmp_path / ".minigan-notes.txt"
    mine.touch()
    for path in (old, folder, mine):
        os.utime(path, (0, 0))
    atomic_files.remove_temporaries(tmp_path, older_than=60)
    assert {*tmp_path.iterdir()} == {young, mine}
    atomic_files.remove_temporaries(tmp_path)
    assert {*tmp_path.iterdir()} == {mine}
