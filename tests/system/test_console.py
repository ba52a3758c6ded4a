"""Printing that never ends a program: odd characters, closed pipes, missing streams."""

import io
import sys

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
