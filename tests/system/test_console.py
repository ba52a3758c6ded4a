"""Printing that never ends a program: odd characters, closed pipes, missing streams."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minigan.system import console


class Closed(io.StringIO):
    """A stream whose reader has gone."""

    def __init__(self, error):
        super().__init__()
        self.error, self.writes = error, 0

    def write(self, text):
        self.writes += 1
        raise self.error


def test_one_line_holds_nothing_that_a_terminal_would_obey():
    assert console.one_line("a\tb\r\nc\x1b[2J\udcff é") == r"a b  c\x1b[2J\udcff é"
    assert console.one_line(ValueError("x\ny")) == "x y"


@pytest.mark.parametrize(("tell", "name"), [(console.say, "stdout"), (console.complain, "stderr")])
def test_printing_goes_to_its_own_stream(tell, name, capsys):
    tell("words")
    assert capsys.readouterr()._asdict() == {"out": "", "err": "", name[3:]: "words\n"}


@pytest.mark.parametrize(("tell", "name"), [(console.say, "stdout"), (console.complain, "stderr")])
@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("I/O operation on closed file")])
def test_after_a_failed_print_nothing_more_is_printed(tell, name, error, monkeypatch):
    closed = Closed(error)
    monkeypatch.setattr(sys, name, closed)
    tell("first")
    tell("second")
    assert closed.writes == 1
    getattr(sys, name).close()


def test_missing_streams_are_replaced_and_the_others_print_any_name(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    monkeypatch.setattr(sys, "stderr", None)
    console.mend_streams()
    console.say("Zoë \udcff")
    console.complain("nobody reads this")
    assert raw.getvalue().split() == [rb"Zo\xeb", rb"\udcff"]
    sys.stderr.close()


# ------------------------------------------------------------------------------------------- the streams of a process
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a shell and /dev")
TALK = r"""
import os, sys
from minigan.system import console
console.mend_streams()
print("stdout 1 \udcff"); print("stderr 1 \udcff", file=sys.stderr)
sys.stdout.flush()
console.say("stdout 2"); console.complain("stderr 2"); console.exclaim("stderr 3\n")
open(os.environ["END"], "w").close()
"""


@pytest.fixture
def talk(tmp_path):
    """Runs a process with redirected streams; its status, whether it came to its end, and what it printed."""

    def run(redirection, option="", **environment):
        end = tmp_path / "end"
        done = subprocess.run(
            f"{sys.executable} {option} -c '{TALK}' {redirection}",
            shell=True,
            capture_output=True,
            env={**os.environ, "END": str(end), **environment},
            check=False,
        )
        return done.returncode, end.exists(), done.stdout, done.stderr

    return run


@posix
@pytest.mark.parametrize("option", ["", "-u"])
@pytest.mark.parametrize(
    "redirection",
    [
        pytest.param(
            ">/dev/full 2>/dev/full", marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
        ),
        ">&- 2>&-",
        "<&- >&- 2>&-",
        "2>&- >/dev/null",
    ],
)
def test_output_that_cannot_be_printed_is_dropped(talk, redirection, option):
    """Also at the very end, when Python prints what is left in its buffers; the status is not 120."""
    assert talk(redirection, option) == (0, True, b"", b"")


@posix
def test_what_a_closed_pipe_does_not_take_is_dropped():
    reading, writing = os.pipe()
    os.close(reading)
    script = "from minigan.system import console; console.mend_streams(); print('words'); console.complain('words')"
    done = subprocess.run([sys.executable, "-c", script], stdout=writing, stderr=writing, check=False)
    os.close(writing)
    assert done.returncode == 0


@posix
@pytest.mark.parametrize("encoding", ["ascii", "ascii:strict", "utf-8", "latin-1"])
def test_streams_keep_their_encoding_and_print_any_name(talk, encoding):
    _, _, out, err = talk("", PYTHONIOENCODING=encoding)
    assert out == b"stdout 1 \\udcff\nstdout 2\n"
    assert err == b"stderr 1 \\udcff\nstderr 2\nstderr 3\n"


@posix
def test_a_file_never_takes_the_number_of_a_closed_stream(tmp_path):
    """What a library prints on number 2 would be written into a log."""
    script = (
        "import os; from minigan.system import console; console.mend_streams();"
        f"file = open({str(tmp_path / 'log')!r}, 'w'); assert file.fileno() > 2, file.fileno();"
        "import subprocess; subprocess.run(['sh', '-c', 'echo words >&2'], check=True)"
    )
    done = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -c "$0" <&- >&- 2>&-', script], capture_output=True, check=False
    )
    assert done.returncode == 0
    assert (tmp_path / "log").read_text() == ""


def test_the_streams_of_another_program_stay(capsys):
    """Such as those of a notebook, or of these tests."""
    before = sys.stdout, sys.stderr
    console.mend_streams()
    assert (sys.stdout, sys.stderr) == before


def test_a_pipe_that_is_full_and_does_not_wait(tmp_path):
    class Full(io.RawIOBase):
        name = "full"

        def write(self, data):
            return None

    assert console._Dropping(Full()).write(b"words") == 5


def test_a_warning_is_one_short_line(capsys):
    console.warn(OSError(2, "no such\nfolder", "/".join(["x" * 200] * 20)))
    line = capsys.readouterr().err
    assert line.startswith("minigan: warning: [Errno 2] no such folder: 'xxx")
    assert (line.count("\n"), len(line) < 500) == (1, True)
