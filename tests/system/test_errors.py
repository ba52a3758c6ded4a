"""The two errors that are reported in one line: what they are, and their exit statuses."""

import errno
import os

import pytest

from minigan.system.errors import RunError, UserError, cannot_write, is_of_choice, is_of_disk


def test_a_users_mistake_is_a_wrong_value():
    with pytest.raises(ValueError, match="must be 1, got 2"):
        raise UserError("must be 1, got 2")


@pytest.mark.parametrize(("arguments", "status"), [((), 1), ((3,), 3)])
def test_a_run_error_carries_its_exit_status(arguments, status):
    error = RunError("the disk is full", *arguments)
    assert (str(error), error.exit_status) == ("the disk is full", status)
    assert not isinstance(error, ValueError)


@pytest.mark.parametrize("code", ["EACCES", "EPERM", "EROFS", "ENOENT", "ENAMETOOLONG", "EISDIR", "EEXIST"])
def test_where_to_write_is_the_users_choice(code):
    error = cannot_write(OSError(getattr(errno, code), os.strerror(getattr(errno, code))), "x cannot be written")
    assert isinstance(error, UserError)
    assert str(error).startswith(f"x cannot be written: {os.strerror(getattr(errno, code))}")


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EIO", "EFBIG"])
def test_a_full_or_broken_disk_is_nobodys_mistake(code):
    of_system = OSError(getattr(errno, code, errno.ENOSPC), "the reason")
    assert (is_of_disk(of_system), is_of_choice(of_system)) == (True, False)
    error = cannot_write(of_system, "x cannot be written")
    assert isinstance(error, RunError)
    assert str(error).startswith("x cannot be written: the reason")
    assert error.exit_status == 1
