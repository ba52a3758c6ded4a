"""The progress bar: what a terminal and a log file see of it, and what has no effect on it."""

import io
import os
import subprocess
import sys
import threading

import pytest

from minigan.system import console, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def states(text):
    return [state for state in text.replace("\n", "\r").split("\r") if state.strip()]


def test_a_log_file_gets_the_beginning_and_the_end(capsys):
    with progress.ProgressBar(5000, "Drawing", "faces") as bar:
        for _ in range(2500):
            bar.update(2)
    first, last = states(capsys.readouterr().err)
    assert first.startswith("Drawing   0%")
    assert last.startswith("Drawing 100%")
    assert " 5000/5000, " in last
    assert " faces/s, 00:00 left" in last


def test_a_terminal_sees_it_move(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    with progress.ProgressBar(50, "Drawing", "faces") as bar:
        for done in range(10, 51, 10):
            bar.reach(done)
            bar.note(f"{done} kept")
    told = states(sys.stderr.getvalue())
    assert [state.split("%")[0][-3:] for state in told[:6]] == ["  0", " 20", " 40", " 60", " 80", "100"]
    assert told[2].endswith("left, 10 kept")


def test_bytes(capsys):
    with progress.ProgressBar(2_500_000, "Preparing", "B", in_bytes=True) as bar:
        bar.update(2_500_000)
    assert " 2.50M/2.50M, " in states(capsys.readouterr().err)[-1]


@pytest.mark.parametrize("shown", [False, None])
def test_no_bar(monkeypatch, capsys, shown):
    if shown is None:  # a window without a console
        monkeypatch.setattr(sys, "stderr", None)
    with progress.ProgressBar(2, "Drawing", "faces", shown=bool(shown) or shown is None) as bar:
        bar.update()
        bar.reach(2)
    assert list(progress.with_progress([1, 2], "Drawing", "faces", shown=False)) == [1, 2]
    assert capsys.readouterr().err == ""


def test_items(capsys):
    assert list(progress.with_progress([3, 1], "Reading", "files")) == [3, 1]
    assert " 2/2, " in states(capsys.readouterr().err)[-1]


@pytest.mark.parametrize("tell", [console.say, console.complain])
def test_a_line_is_printed_above_the_bar(capsys, tell):
    """Not at the end of the bar's own line."""
    with progress.ProgressBar(2, "Drawing", "faces") as bar:
        tell("words")
        bar.update(2)
    out, err = capsys.readouterr()
    if tell is console.say:
        assert out == "words\n"
    else:
        assert "words" in err.replace("\n", "\r").split("\r")


def test_there_is_no_thread_and_no_process_for_it(capsys):
    before = threading.active_count()
    with progress.ProgressBar(2, "Drawing", "faces") as bar:
        assert threading.active_count() == before
        assert not hasattr(type(bar._bar)._lock, "mp_lock")


WRONG = {
    "TQDM_NCOLS": "abc",
    "TQDM_MININTERVAL": "x",
    "TQDM_FILE": "x",
    "TQDM_ASCII": "x",
    "TQDM_POSITION": "z",
    "TQDM_LOCK_ARGS": "3",
    "TQDM_INITIAL": "a",
    "TQDM_DISABLE": "1",
}


def test_variables_of_the_environment_have_no_effect():
    """A wrong one would end the program in a traceback."""
    script = "from minigan.system.progress import with_progress; list(with_progress([1, 2], 'Drawing', 'faces'))"
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **WRONG}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert " 2/2, " in done.stderr
