"""Files that are written completely or not at all; temporary files, their names and their removal."""

import errno
import os
import subprocess
import sys
import time

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


@posix
def test_a_pipe_a_device_and_a_folder_are_not_replaced(tmp_path):
    """Renaming would put a file in the place of /dev/null, where root is allowed to."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "null").symlink_to("/dev/null")
    for name in ("pipe", "folder", "null"):
        before = (tmp_path / name).lstat()
        with pytest.raises(OSError, match="not an ordinary file"):
            atomic_files.write_text(tmp_path / name, "x")
        assert (tmp_path / name).lstat().st_mode == before.st_mode
    assert len(list(tmp_path.iterdir())) == 3


def test_text_has_unix_line_ends_everywhere(tmp_path):
    atomic_files.write_text(tmp_path / "x.txt", "a\nb\n")
    assert (tmp_path / "x.txt").read_bytes() == b"a\nb\n"


@posix
def test_new_files_and_folders_have_the_permissions_of_the_users_other_files(tmp_path):
    before = os.umask(0o027)
    try:
        atomic_files.write_bytes(tmp_path / "x", b"")
        with atomic_files.temporary_folder(tmp_path / "y") as folder:
            assert folder.stat().st_mode & 0o777 == 0o750
        assert os.umask(0o027) == 0o027  # `umask` reads it without changing it
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_a_long_name_does_not_make_the_temporary_name_too_long(tmp_path):
    path = tmp_path / f"{'n' * 200}.{'s' * 50}"
    assert not atomic_files.has_temporaries(tmp_path)
    temporary = atomic_files.temporary_file(path)
    assert len(temporary.name) < 100
    assert atomic_files.has_temporaries(tmp_path)
    atomic_files.put_in_place(temporary, path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def make_leftovers(folder, name=".minigan-{}.tmp", age=0):
    """A file and a folder with something in it, which nobody holds; and a file of the user's own."""
    file, directory, mine = (folder / name.format(kind) for kind in ("file.png", "folder", "x"))
    mine = mine.with_suffix(".txt")
    directory.mkdir()
    for path in (file, directory / "inside", mine):
        path.write_bytes(b"half")
    for path in (file, directory, mine):
        os.utime(path, (time.time() - age,) * 2)
    return {file, directory}, mine


def own(name):
    """The name of a temporary file of this machine."""
    return f"{atomic_files._own_prefix()}{name}.tmp"


def test_temporary_files_of_a_killed_process_are_removed_and_nothing_else(tmp_path):
    _, mine = make_leftovers(tmp_path, own("{}"))
    atomic_files.remove_temporaries(tmp_path, of_others=True)
    assert {*tmp_path.iterdir()} == {mine}
    make_leftovers(tmp_path)
    atomic_files.remove_temporaries(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".txt"}


MAKE = """
import sys, time
from pathlib import Path
from minigan.system import atomic_files
file = atomic_files.temporary_file(Path(sys.argv[1]) / "x.png")
with atomic_files.temporary_folder(Path(sys.argv[1]) / "run") as folder:
    print(file.name, folder.name, flush=True)
    time.sleep(600)
"""


@posix
def test_what_a_living_process_makes_stays_and_what_a_killed_one_made_goes(tmp_path):
    maker = subprocess.Popen([sys.executable, "-c", MAKE, tmp_path], stdout=subprocess.PIPE, text=True)
    names = set(maker.stdout.readline().split())
    for name in names:
        os.utime(tmp_path / name, (0, 0))  # as if it had begun long ago
    atomic_files.remove_temporaries(tmp_path, of_others=True)
    assert {path.name for path in tmp_path.iterdir()} == names
    maker.kill()
    maker.communicate()
    atomic_files.remove_temporaries(tmp_path, of_others=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("why", ["of another machine", "no locks"])
def test_where_nobody_can_tell_who_holds_it_only_its_age_counts(tmp_path, monkeypatch, why):
    if why == "no locks":
        monkeypatch.setattr(atomic_files, "_lock", lambda path, wait: None)
    young, _ = make_leftovers(tmp_path, ".minigan-000000-young-{}.tmp" if "machine" in why else own("young-{}"))
    make_leftovers(tmp_path, ".minigan-000000-old-{}.tmp" if "machine" in why else own("old-{}"), age=25 * 3600)
    atomic_files.remove_temporaries(tmp_path, of_others=True)
    assert {path for path in tmp_path.iterdir() if path.suffix == ".tmp"} == young


@posix
def test_one_that_is_removed_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    """Between the two, another process takes it for left behind."""
    plain, removed = atomic_files._lock, []

    def lock(path, *, wait):
        if not removed:
            removed.append(path)
            handle = plain(path, wait=wait)
            path.unlink()
            return handle
        return plain(path, wait=wait)

    monkeypatch.setattr(atomic_files, "_lock", lock)
    atomic_files.write_text(tmp_path / "x", "text")
    assert len(removed) == 1
    assert (tmp_path / "x").read_text() == "text"


def test_no_handle_stays_open(tmp_path):
    def fail():
        with atomic_files.replacing(tmp_path / "x"):
            raise RuntimeError

    atomic_files.write_text(tmp_path / "x", "text")
    with pytest.raises(RuntimeError):
        fail()
    assert not atomic_files._held


@pytest.mark.parametrize("operation", ["chmod", "fsync", "flock"])
def test_what_a_drive_does_not_offer_is_done_without(tmp_path, monkeypatch, operation):
    """Files and folders are written all the same, and nothing is left beside them."""

    def refuse(*_, **__):
        raise OSError(errno.ENOTSUP if operation == "fsync" else errno.EPERM, "Operation not permitted")

    if operation == "flock":
        fcntl = pytest.importorskip("fcntl")
        monkeypatch.setattr(fcntl, "flock", refuse)
    else:
        monkeypatch.setattr(os, operation, refuse)
    atomic_files.write_text(tmp_path / "x", "text")
    with atomic_files.temporary_folder(tmp_path / "y") as folder:
        (folder / "inside").touch()
        folder.rename(tmp_path / "y")
    assert {path.name for path in tmp_path.iterdir()} == {"x", "y"}
    assert (tmp_path / "x").read_text() == "text"


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EIO"])
def test_bytes_that_do_not_reach_the_disk_are_told(tmp_path, monkeypatch, code):
    """Network drives say so only when a file is flushed."""
    number = getattr(errno, code, errno.ENOSPC)

    def fail(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=os.strerror(number)):
        atomic_files.write_text(tmp_path / "x", "text")
    assert not list(tmp_path.iterdir())
