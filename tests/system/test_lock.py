"""The lock on a run folder: one holder at a time, and a file that says which process it is."""

import errno
import os
import sys
import time

import pytest

from minigan.system.errors import UserError
from minigan.system.lock import LOCK_NAME, FolderLock

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")


def test_lock_is_one_processes_own(tmp_path):
    with FolderLock(tmp_path) as held:
        for _ in range(2):
            with pytest.raises(UserError, match=rf"in use by process {os.getpid()} on .* since \d{{4}}-"):
                FolderLock(tmp_path)
        held.release()
        held.release()
        with FolderLock(tmp_path):
            held.release()  # the other process has ended
            with pytest.raises(UserError):
                FolderLock(tmp_path)
    assert (tmp_path / LOCK_NAME).read_bytes() == b""


def test_lock_that_is_held_for_a_moment(tmp_path, monkeypatch):
    """For example by a report, which tests whether the run is being trained."""
    held, waits = FolderLock(tmp_path), []

    def sleep(seconds):
        waits.append(seconds)
        held.release()

    monkeypatch.setattr(time, "sleep", sleep)
    FolderLock(tmp_path).release()
    assert len(waits) == 1


def test_lock_file_with_strange_contents(tmp_path):
    for contents in (b"", b"\xff\x1b[31m\n" * 1000):
        with FolderLock(tmp_path):
            (tmp_path / LOCK_NAME).write_bytes(contents)
            with pytest.raises(UserError) as caught:
                FolderLock(tmp_path)
            assert str(caught.value).isprintable()
            assert len(str(caught.value)) < len(str(tmp_path)) + 900


@posix
def test_lock_follows_no_link(tmp_path):
    (tmp_path / "precious").write_text("mine", encoding="utf-8")
    (tmp_path / LOCK_NAME).symlink_to("precious")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        FolderLock(tmp_path)
    assert (tmp_path / "precious").read_text(encoding="utf-8") == "mine"
