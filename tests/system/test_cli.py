"""What all commands share: readers of option values, one-line errors, exit statuses."""

import argparse
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from minigan.system import cli
from minigan.system.errors import RunError, UserError
from minigan.system.wording import see


@pytest.mark.parametrize(("text", "value"), [("10_000", 10_000), ("-7", -7), ("+0", 0), ("007", 7)])
def test_whole_numbers(text, value):
    assert cli.whole(text) == value


@pytest.mark.parametrize("text", ["", "1.0", "1e3", "1__0", "1_", "_1", " 1", "1\n", "٣", "0x10", "9" * 41])
def test_what_is_no_whole_number(text):
    with pytest.raises(argparse.ArgumentTypeError, match="must be a whole number"):
        cli.whole(text)


@pytest.mark.parametrize(("text", "value"), [("2e-4", 2e-4), ("-.5", -0.5), ("3", 3.0)])
def test_numbers(text, value):
    assert cli.number(text) == value


@pytest.mark.parametrize("text", ["", "nan", "inf", "1e999", "one", "٣"])
def test_what_is_no_number(text):
    with pytest.raises(argparse.ArgumentTypeError, match="must be a number"):
        cli.number(text)


def test_as_many_threads_as_there_are_cores(monkeypatch):
    monkeypatch.setattr(cli, "allowed_processors", lambda: 3)
    assert [cli.core_count(text) for text in "123"] == [1, 2, 3]
    for text in ("0", "4", "-1"):
        with pytest.raises(argparse.ArgumentTypeError, match=r"must be 1 to 3, .* got"):
            cli.core_count(text)


def test_paths(monkeypatch):
    assert cli.path_name("a b/c") == str(Path("a b/c"))
    assert cli.path_name("~") == str(Path.home())
    assert cli.path_name("./~") == "~"
    with pytest.raises(argparse.ArgumentTypeError, match="must be a path, got ' '"):
        cli.path_name(" ")
    with pytest.raises(argparse.ArgumentTypeError, match="cannot be found"):
        cli.path_name("~nobody-of-this-name/x")


def test_the_parser_takes_no_abbreviations_and_raises():
    parser = cli.Parser("minigan.x", "A test.")
    parser.add_argument("--steps", type=cli.whole)
    assert parser.parse_args(["--steps", "5"]).steps == 5
    with pytest.raises(UserError, match=r"unrecognized arguments: --ste.* \(see python -m minigan.x --help\)"):
        parser.parse_args(["--ste", "5"])


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (UserError("no such folder: a\nb"), 2, "error: no such folder: a b"),
        (RunError("the loss is NaN", 3), 3, "error: the loss is NaN"),
        (OSError(28, "No space left on device"), 1, f"error: [Errno 28] No space left on device{see('disk')}"),
        (MemoryError("9 GB"), 1, f"error: out of memory (9 GB){see('limits')}"),
        (MemoryError(), 1, f"error: out of memory{see('limits')}"),
        (
            RuntimeError("can't start new thread"),
            1,
            "error: the system refuses: can't start new thread" + see("limits"),
        ),
        (OSError(24, "Too many open files"), 1, f"error: the system refuses: Too many open files{see('limits')}"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_an_exception_becomes_one_line_and_an_exit_status(error, status, told, capsys):
    def command(argv):
        raise error

    assert cli.run_command(command, []) == status
    assert capsys.readouterr() == ("", f"minigan: {told}\n")


def test_a_mistake_in_the_program_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        cli.run_command(lambda argv: 1 // 0, [])
    with pytest.raises(RuntimeError, match="a mistake"):
        cli.run_command(lambda argv: (_ for _ in ()).throw(RuntimeError("a mistake")), [])


def test_a_command_gets_its_arguments_and_gives_its_status():
    assert cli.run_command(len, ["a", "b", "c"]) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself SIGTERM there")
def test_sigterm_leaves_through_finally_with_status_143():
    before = signal.getsignal(signal.SIGTERM)
    cleaned = []

    def command(argv):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            cleaned.append(True)

    with pytest.raises(SystemExit) as left:
        cli.run_command(command, [])
    assert (left.value.code, cleaned) == (143, [True])
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_command_may_run_in_a_thread():
    """There, handlers of signals cannot be set."""
    found = []
    thread = threading.Thread(target=lambda: found.append(cli.run_command(len, ["a"])))
    thread.start()
    thread.join()
    assert found == [1]


def test_a_python_that_leaves_docstrings_out_says_none_nowhere():
    for words in ([], ["--help"]):
        done = subprocess.run([sys.executable, "-OO", "-m", "minigan", *words], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert "None" not in done.stdout
        assert "minigan check" in done.stdout
