"""The two errors that are reported in one line: what they are, and their exit statuses."""

import pytest

from minigan.system.errors import RunError, UserError


def test_a_users_mistake_is_a_wrong_value():
    with pytest.raises(ValueError, match="must be 1, got 2"):
        raise UserError("must be 1, got 2")


@pytest.mark.parametrize(("arguments", "status"), [((), 1), ((3,), 3)])
def test_a_run_error_carries_its_exit_status(arguments, status):
    error = RunError("the disk is full", *arguments)
    assert (str(error), error.exit_status) == ("the disk is full", status)
    assert not isinstance(error, ValueError)
