"""What a file is by its content."""

import gzip
import io
import json
import py_compile
import zipfile

import pytest
from places import ROOT

from minigan.system.file_kinds import (
    ADVICE,
    EMPTY,
    ENOUGH,
    LFS_POINTER,
    NOTEBOOK,
    UTF_16,
    UTF_32,
    WEB_PAGE,
    ZEROS,
    kind_of,
)

PYTHON = "import numpy as np\n\n\ndef f(x):\n    return 'größer', x\n"
BOOK = {"cells": [{"cell_type": "code", "source": ["x = 1"]}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4' * 64}\nsize 1234\n"


def archive(name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(zipfile.ZipInfo(name), "x")  # of 1980: the name of a test must be the same in all processes
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", EMPTY),
        (b"\n \r\n\t", EMPTY),
        (bytes(4096), ZEROS),
        (PYTHON.encode("utf-16"), UTF_16),
        (PYTHON.encode("utf-16-le"), UTF_16),
        (PYTHON.encode("utf-16-be"), UTF_16),
        (PYTHON.encode("utf-32"), UTF_32),
        (b"<!DOCTYPE html>\n<html>", WEB_PAGE),
        (b"\xef\xbb\xbf\n\n<HTML lang='de'>", WEB_PAGE),
        (b"<!-- saved\nfrom a page -->\n<html>", WEB_PAGE),
        (POINTER.encode(), LFS_POINTER),
        (json.dumps(BOOK).encode(), NOTEBOOK),
        (json.dumps({"x": "y" * 2 * ENOUGH} | BOOK).encode(), ""),  # too late to see
        (json.dumps({"cells": ["y" * 2 * ENOUGH]} | {"nbformat": 4}).encode(), NOTEBOOK),
        (archive("word/document.xml"), "a zip archive or an office document (.zip, .docx, .odt)"),
        (gzip.compress(PYTHON.encode(), mtime=0), "a gzip archive (.gz)"),
        (b"%PDF-1.5\n", "a PDF document"),
        (b"{\\rtf1\\ansi x}", "a document with formatting (.rtf)"),
        (b"\x89PNG\r\n\x1a\n\0\0", "an image (PNG)"),
    ],
)
def test_kinds(content, kind):
    assert kind_of(content) == kind


def test_compiled_python(tmp_path):
    (tmp_path / "a.py").write_text(PYTHON, encoding="utf-8")
    compiled = py_compile.compile(str(tmp_path / "a.py"), cfile=str(tmp_path / "a.pyc"))
    assert kind_of((tmp_path / compiled).read_bytes()) == "compiled Python (.pyc)"


@pytest.mark.parametrize(
    "content",
    [
        b"#!/usr/bin/env python\n",
        b"\xef\xbb\xbfx = 1\r\n",
        b"MZ = 1\nGIF = 'GIF8'\n",
        b'{"cells": 1}\n',
        b"x\r\ny\r\n",
        b"<?xml version='1.0'?>\n<opencv_storage>",
        "日本 = 'ß'\n".encode(),
        b"a\0b",
    ],
)
def test_others_have_no_kind(content):
    assert kind_of(content) == ""


def test_our_own_files_have_no_kind():
    files = [p for folder in ("minigan", "lessons", "tests") for p in (ROOT / folder).rglob("*.py")]
    assert len(files) > 200
    assert [p for p in files if kind_of(p.read_bytes()) and p.stat().st_size] == []


def test_advice_is_a_sentence():
    for advice in ADVICE.values():
        assert advice[0].isupper()
        assert advice[-1] in ".?"
