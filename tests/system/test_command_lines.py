"""Commands in messages: the shell gives back the words that went in."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

from minigan.system import command_lines
from minigan.system.command_lines import command, quoted

NAMES = [
    "run",
    "my run",
    "it's",
    'a "b"',
    "$HOME",
    "`id`",
    "a;b",
    "a&b",
    "*",
    "[1]",
    "#1",
    "!x",
    "a\\b",
    "größer",
    "",
    "=x",
    "{a,b}",
    "a\nb",
    "\x1b[31m1",
    "a\n'b\\",
    "tab\t0",
]


SHELLS = [shell for shell in ("sh", "bash", "zsh") if shutil.which(shell)]


@pytest.mark.skipif(os.name != "posix", reason="POSIX shells")
@pytest.mark.parametrize(
    ("shell", "name"),
    [
        (shell, name)
        for shell in SHELLS
        for name in [*NAMES, os.fsdecode(b"\xff\xfe0")]
        if shell != "sh" or name.isprintable()  # an older sh does not read $'a\nb'
    ],
)
def test_the_shell_gives_the_word_back(shell, name):
    line = f"{quoted(sys.executable)} -c 'import os, sys; os.write(1, os.fsencode(sys.argv[1]))' {quoted(name)}"
    assert quoted(name).isprintable()
    assert subprocess.run([shell, "-c", line], capture_output=True, check=True).stdout == os.fsencode(name)


@pytest.mark.parametrize(
    ("name", "seen"), [("-dash", "./-dash"), ("~", "./~"), ("~me", "./~me"), ("a-b", "a-b"), (".", ".")]
)
def test_paths_are_no_options_and_no_home_folders(name, seen):
    assert command("minigan.report", Path(name)) == f"python -m minigan.report {quoted(seen)}"
    assert command("minigan.report", "--n", 3).endswith(" --n 3")


def test_every_command_with_a_path_is_made_here():
    """A search in the source: nobody else quotes, and no text names a command and goes on with a value."""
    quoting, pasted = [], []
    for file in sorted([*(ROOT / "minigan").rglob("*.py"), *(ROOT / "minigan").rglob("*.html")]):
        text, name = file.read_text(encoding="utf-8"), file.name
        if re.search(r"shlex|list2cmdline", text) and name != "command_lines.py":
            quoting.append(name)
        if re.search(r"python -m minigan\.\w+[^\"'\n]*\{", text) and name != "student_template.py":  # simple names only
            pasted.append(name)
    assert (quoting, pasted) == ([], [])


def test_windows():
    """Its own rules for quotes, and letters that mean something to cmd or PowerShell."""
    for name in ("a b", "a&b", "a;b", "(a)", "$a", "it's", "a%b"):
        assert command_lines._for_windows(name) == f'"{name}"'
    assert command_lines._for_windows("C:\\a b\\") == '"C:\\a b\\\\"'
