"""A student's file for training: checked in another process, then loaded into this one, by its hash."""

import linecache
import sys
from pathlib import Path

import numpy as np
import pytest
from small_gans import SMALL
from student_files import GOOD, write

from minigan.check.outcomes import CHECKER_ERROR, FAILED, NOT_IMPLEMENTED, FileReport, Finding, Outcome
from minigan.check.sandbox import own_functions
from minigan.check.sandbox.own_functions import (
    OwnFunctions,
    check_functions,
    in_a_line,
    in_short,
    load_functions,
    named,
    read_file,
)
from minigan.gan.step import build_gan, discriminator_step
from minigan.nn.ops import LIBRARY
from minigan.system.errors import OwnFunctionError, RunError, UserError


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    path = write(tmp_path_factory.mktemp("students"), GOOD + "\ndef tanh_forward(x):\n    return x, x\n")
    return path, check_functions(path, ["dense", "tanh", "sgd", "adam"])


def load(path, *exercises, **settings):
    return load_functions(path, read_file(path)[1], exercises, **settings)


def test_what_passes_and_why_the_rest_does_not(checked):
    path, found = checked
    assert (found.path, found.used) == (path, ("dense", "sgd"))
    assert found.sha256 == read_file(path)[1]
    assert named(found.not_used) == "tanh (E22), adam (not written)"
    assert in_a_line(found.not_used["adam"]) == "not written"
    assert in_a_line(found.not_used["tanh"]).startswith("E22: tanh_forward")


def test_they_are_entries_of_the_table(checked, capsys):
    path, found = checked
    own = load_functions(path, found.sha256, found.used)
    assert sorted(own.functions) == ["dense_backward", "dense_forward", "sgd_step"]
    assert own.defined == ("dense", "tanh", "sgd")
    assert own.ops.dense_forward is not LIBRARY.dense_forward
    assert own.ops.dense_forward.__module__ == path.stem
    assert own.ops.tanh_forward is LIBRARY.tanh_forward
    y, _ = own.ops.dense_forward(np.ones((2, 3)), np.ones((3, 1)), np.ones(1))
    assert y.tolist() == [[4], [4]]
    assert load(path).ops is LIBRARY


def test_steps_go_into_a_gan():
    gan = build_gan(**SMALL)
    assert gan.discriminator_step is discriminator_step
    mine = OwnFunctions(steps={"generator_step": abs})
    assert mine.taught(gan) is gan
    assert (gan.discriminator_step, gan.generator_step) == (discriminator_step, abs)


def test_this_process_stays_as_it_was(tmp_path):
    """No module of its name, no replaced function, and its folder behind all others."""
    path = write(tmp_path, "import json, sys\njson.dumps = len = None\nsys.settrace(None)\n" + GOOD, "statistics.py")
    import json

    before, modules, dumps, trace = list(sys.path), set(sys.modules), json.dumps, sys.gettrace()
    try:
        load(path, "dense")
        assert sys.path == [*before, str(tmp_path)]
    finally:
        sys.path[:] = before
    assert set(sys.modules) == modules
    assert json.dumps is dumps
    assert sys.gettrace() is trace


def test_a_traceback_shows_what_runs(tmp_path):
    path = write(tmp_path, GOOD)
    load(path, "dense")
    path.write_text("# another file\n" * 30)
    linecache.checkcache(str(path))
    assert linecache.getline(str(path), 4) == "def dense_forward(x, w, b):\n"


def test_a_file_that_is_not_the_one_that_was_checked(checked):
    path, _ = checked
    with pytest.raises(UserError, match=r"must be as it was checked, with the SHA-256 000000000000\.\.\., got "):
        load_functions(path, "0" * 64, ["dense"])


@pytest.mark.parametrize(
    ("text", "exercise", "message"),
    [
        (GOOD, "adam", "must define adam_step, for which it is to be used"),
        (GOOD, "os", "there is no exercise 'os'"),
        ("1 / 0", "dense", "E03: the file raises ZeroDivisionError when it is imported"),
        ("LAYOUT = 3\n" + GOOD, "dense", "E03: LAYOUT = 3: the checker knows NHWC and NCHW"),
    ],
)
def test_what_cannot_be_loaded(tmp_path, text, exercise, message):
    with pytest.raises(UserError, match=message):
        load(write(tmp_path, text), exercise)


def test_ctrl_c_while_it_is_loaded_is_no_mistake_of_the_file(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        load(write(tmp_path, "raise KeyboardInterrupt"), "dense")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            "ValueError('a\\nb')",
            OwnFunctionError,
            r"layers\.py: sgd_step raises ValueError: a b \(line 2 of sgd_step: ",
        ),
        ("SystemExit", OwnFunctionError, "sgd_step raises SystemExit"),
        ("MemoryError", MemoryError, "^$"),
        ("KeyboardInterrupt", KeyboardInterrupt, "^$"),
    ],
)
def test_what_a_guarded_function_raises_is_one_line(tmp_path, error, kind, message):
    own = load(write(tmp_path, f"def adam_step(*a):\n    raise {error}\n"), "adam", guarded=True)
    with pytest.raises(kind, match=message.replace("sgd", "adam")):
        own.ops.new_adam(own.ops)([1], [1], [1], [1], t=1, learning_rate=1, beta_1=0, beta_2=0, epsilon=1)


def test_a_checker_that_fails_is_not_the_files_fault(tmp_path, monkeypatch):
    path = write(tmp_path, GOOD)
    finding = Finding("", "load", "the checker could not start; this says nothing about your code")
    report = FileReport(str(path), [Outcome("dense", CHECKER_ERROR, finding)])
    monkeypatch.setattr(own_functions, "check_file", lambda *_, **__: report)
    with pytest.raises(RunError, match="the checker could not start"):
        check_functions(path)


def test_reasons_in_short():
    failed = Outcome("dense", FAILED, Finding("E59", "gradient", "the gradient is wrong"))
    assert in_short(failed) == "E59"
    assert in_a_line(failed) == "E59: the gradient is wrong"
    assert in_short(Outcome("dense", NOT_IMPLEMENTED)) == "not written"


def test_a_file_is_read_as_bytes(tmp_path):
    path = tmp_path / "a.py"
    path.write_bytes(b"x = 1\r\n")
    content, sha256 = read_file(path)
    assert (content, len(sha256)) == (b"x = 1\r\n", 64)
    with pytest.raises(UserError, match="there is no file"):
        read_file(Path("nothing.py"))
