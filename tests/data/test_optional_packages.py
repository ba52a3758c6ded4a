"""Packages with a BLAS of their own are imported with one thread."""

import os
import sys

import pytest

from minigan.data.images import near_duplicates
from minigan.data.optional_packages import import_without_threads
from minigan.data.prepare import face_detector


@pytest.fixture
def packages(tmp_path, monkeypatch):
    for name in ("a_package_with_blas", "a_late_part_of_it"):
        (tmp_path / f"{name}.py").write_text(
            "import os\nthreads = os.environ['OPENBLAS_NUM_THREADS']\n", encoding="ascii"
        )
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "64")
    yield
    for name in ("a_package_with_blas", "a_late_part_of_it"):
        sys.modules.pop(name, None)


def test_they_get_one_thread_and_the_environment_stays(packages):
    package = import_without_threads("a_package_with_blas", "a_late_part_of_it")
    assert (package.threads, sys.modules["a_late_part_of_it"].threads) == ("1", "1")
    assert os.environ["OPENBLAS_NUM_THREADS"] == "64"
    assert import_without_threads("a_package_with_blas", "a_late_part_of_it") is package


def test_what_is_not_there_is_an_import_error():
    with pytest.raises(ImportError):
        import_without_threads("sys", "a_module_that_does_not_exist")


@pytest.mark.parametrize(("module", "name"), [(near_duplicates, "require_imagehash"), (face_detector, "_opencv")])
def test_a_package_for_which_there_is_no_memory_is_not_called_missing(monkeypatch, module, name):
    def scarce(*names):
        raise ImportError("libx.so: failed to map segment from shared object")

    monkeypatch.setattr(module, "import_without_threads", scarce)
    with pytest.raises(ImportError, match="failed to map"):  # `minigan.system.cli` makes a line about limits of it
        getattr(module, name)()
