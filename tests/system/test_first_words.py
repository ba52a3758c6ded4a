"""What a new process prints before it works."""

import os
import subprocess
import sys

import pytest

from minigan.system.first_words import FirstWords

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is kept on Windows")


def child(text):
    subprocess.run([sys.executable, "-c", f"import os; os.write(2, {text!r})"], check=True)


def test_they_are_kept_and_may_be_passed_on(capfd):
    with FirstWords() as words:
        with words.kept():
            child(b"Traceback:\n  some line\nMemoryError: no room\n\n")
        os.write(2, b"ours\n")
        assert capfd.readouterr().err == "ours\n"
        assert words.last_line() == "MemoryError: no room"
        words.pass_on()
    assert capfd.readouterr().err == "Traceback:\n  some line\nMemoryError: no room\n\n"


def test_without_a_stderr_nothing_is_kept(capfd):
    stderr = os.dup(2)
    os.close(2)
    try:
        with FirstWords() as words, words.kept():
            assert words.last_line() == ""
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
