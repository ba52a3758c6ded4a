"""What a file is, told by its content: its name may say something else.

A student's ``layers.py`` may be the web page that shows it, a word processor's document or the notebook that it comes
from; a detector's ``cascade.xml`` may be a pointer of git LFS. Whoever cannot read such a file says what it is
(`kind_of`) and what to do about it (`ADVICE`), and not only that it is no Python or no cascade.
"""

from __future__ import annotations

import codecs
import re

ENOUGH = 65_536
"""Bytes from the beginning of a file that `kind_of` looks at; more are ignored."""

WEB_PAGE = "a web page (HTML)"
LFS_POINTER = "a pointer of git LFS, in place of the file itself"
NOTEBOOK = "a notebook (.ipynb)"
UTF_16 = "text in UTF-16"
UTF_32 = "text in UTF-32"
EMPTY = "empty"
ZEROS = "nothing but zero bytes"

ADVICE = {
    WEB_PAGE: "Download the file itself: on GitHub, for example, with the button Raw.",
    LFS_POINTER: "Run git lfs pull in the repository that it comes from.",
    NOTEBOOK: "Export it as a Python file: in Jupyter, with File, Save and Export Notebook As, Executable Script.",
    UTF_16: "Save it again with the encoding UTF-8.",
    UTF_32: "Save it again with the encoding UTF-8.",
    EMPTY: "Was it saved? Was it copied or downloaded to its end?",
    ZEROS: "Copy or download it again: it was not written to its end.",
}
"""What to do about some kinds, in a sentence."""

_SIGNATURES = (
    (b"PK\x03\x04", "a zip archive or an office document (.zip, .docx, .odt)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an office document (.doc, .xls)"),
    (b"{\\rtf", "a document with formatting (.rtf)"),
    (b"%PDF-", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive (.gz)"),
    (b"BZh", "a bzip2 archive (.bz2)"),
    (b"\xfd7zXZ\x00", "an xz archive (.xz)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"\x89PNG\r\n\x1a\n", "an image (PNG)"),
    (b"\xff\xd8\xff", "an image (JPEG)"),
    (b"GIF8", "an image (GIF)"),
    (b"\x93NUMPY", "an array of NumPy (.npy)"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
    (b"\x00\x05\x16\x07", "a side file of macOS (its name begins with ._); the file itself is another one"),
    (codecs.BOM_UTF32_LE, UTF_32),  # before UTF-16, whose mark begins alike
    (codecs.BOM_UTF32_BE, UTF_32),
    (codecs.BOM_UTF16_LE, UTF_16),
    (codecs.BOM_UTF16_BE, UTF_16),
    (b"version https://git-lfs.github.com/spec/", LFS_POINTER),
)

_WEB_PAGE = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body|script)\b", re.IGNORECASE | re.DOTALL)


def kind_of(content: bytes) -> str:
    r"""What a file is that claims to be something else.

    Parameters
    ----------
    content : bytes
        Of the file, from its beginning.

    Returns
    -------
    str
        In words that follow "it is", such as "a web page (HTML)"; "" if it is none of the kinds known here. No Python
        file that defines a function is one of them, and no XML file.

    Examples
    --------
    >>> kind_of(b"%PDF-1.5 ..."), kind_of("x = 1\n".encode("utf-16"))
    ('a PDF document', 'text in UTF-16')
    """
    start = content[:ENOUGH]
    if not start.strip():
        return EMPTY
    if not start.strip(b"\0"):
        return ZEROS
    for signature, kind in _SIGNATURES:
        if start.startswith(signature):
            return kind
    if start[2:4] == b"\r\n" and b"\0" in start[:16]:
        return "compiled Python (.pyc)"
    text = start.removeprefix(codecs.BOM_UTF8)
    if _WEB_PAGE.match(text):
        return WEB_PAGE
    if text.lstrip().startswith(b"{") and b'"cells"' in text and b'"nbformat' in content:
        return NOTEBOOK
    return _unmarked_text(start)


def _unmarked_text(start: bytes) -> str:
    """UTF-16 without its mark: of most letters, one byte of two is zero, and always the same one."""
    pairs = len(start) // 2
    even, odd = start[: 2 * pairs : 2].count(0), start[1 : 2 * pairs : 2].count(0)
    if pairs >= 4 and max(even, odd) > 0.8 * pairs and min(even, odd) < 0.05 * pairs:
        return UTF_16
    return ""
