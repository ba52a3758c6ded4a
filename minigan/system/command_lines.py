"""Commands that a message or a page quotes, so that they can be copied as they stand, however the paths are called.

A run folder may be named ``my run``, ``it's``, ``-dash`` or ``~``, and a file's name may have a line break in it. What
`command` returns is one printable line, and the shell of this system gives exactly the words back that went in.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import PurePath


def command(module: str, *words: object) -> str:
    """A command as one would type it on this system.

    Parameters
    ----------
    module : str
        After ``python -m``.
    *words : object
        Its arguments. A path (`pathlib`) that begins like an option, or like a home folder, gets ``./`` in front.

    Returns
    -------
    str
        One line, without characters that do not print.

    Examples
    --------
    >>> from pathlib import Path
    >>> command("minigan.sample", Path("-dash"), "--n", 4)
    'python -m minigan.sample ./-dash --n 4'
    """
    return " ".join(["python", "-m", module, *map(quoted, words)])


def quoted(word: object) -> str:
    r"""One word of a command, quoted for the shell of this system if it has to be.

    Parameters
    ----------
    word : object
        As `command` takes it.

    Returns
    -------
    str
    """
    text = str(word)
    if isinstance(word, PurePath) and text.startswith(("-", "~")):
        text = f"./{text}"
    return _for_windows(text) if os.name == "nt" else _for_posix(text)


def _for_posix(text: str) -> str:
    r"""For sh, or, with characters that do not print, for bash, zsh and their like: these read $'a\nb'.

    >>> print(_for_posix("it's"), _for_posix("two\nlines"))
    'it'"'"'s' $'two\x0alines'
    """
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + "".join(map(_escaped, text)) + "'"


def _escaped(letter: str) -> str:
    if letter in "\\'":
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))


def _for_windows(text: str) -> str:
    r"""For cmd and PowerShell, to both of which some letters mean something outside quotes.

    >>> print(_for_windows("C:\\runs\\a"), _for_windows("a b"), _for_windows("a&b"))
    C:\runs\a "a b" "a&b"
    """
    line = subprocess.list2cmdline([text])
    return line if line.startswith('"') or re.fullmatch(r"[\w.:\\/=+-]+", line) else f'"{line}"'
