"""Variables of the environment that are hidden for a while."""

import os

import pytest

from minigan.system.environment import without_variables


def test_variables_are_hidden_and_come_back(monkeypatch):
    monkeypatch.setenv("TQDM_NCOLS", "7")
    monkeypatch.setenv("NO_TQDM_", "8")

    def inside():
        with without_variables("TQDM_", "MPLBACKEND"):
            assert "TQDM_NCOLS" not in os.environ
            assert os.environ["NO_TQDM_"] == "8"
            raise ValueError("as in a library")

    with pytest.raises(ValueError, match="as in"):
        inside()
    assert os.environ["TQDM_NCOLS"] == "7"
