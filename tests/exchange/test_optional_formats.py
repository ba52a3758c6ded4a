"""Packages that only some formats need."""

import numpy
import pytest

from minigan.exchange.optional_formats import require
from minigan.system.errors import UserError


def test_a_package_that_is_there():
    assert require("numpy", "arithmetic") is numpy


def test_a_package_that_is_missing_is_told_with_the_command_that_brings_it():
    with pytest.raises(UserError, match=r"a file for X needs no_such_x, .*: python -m pip install no_such_x"):
        require("no_such_x", "a file for X")


def test_a_package_that_lacks_another_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "half_a_package.py").write_text("import no_such_y\n", encoding="ascii")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_y"):
        require("half_a_package", "a file for X")
