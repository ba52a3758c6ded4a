"""Images that cannot be read here: what is said of them, and that the rule of the half counts them."""

import gzip
import struct
import sys
import types

import numpy as np
import pytest
from PIL import Image, ImageFile

from minigan.data.images import decode, image_folder
from minigan.data.images.image_folder import open_folder
from minigan.data.images.other_formats import load_plugins, other_format
from minigan.system.errors import UserError


def box(brand, *others):
    content = brand + b"\0\0\0\0" + b"".join(others)
    return struct.pack(">I", 8 + len(content)) + b"ftyp" + content + bytes(100)


HEIC, RAW, PROGRAM = "HEIC: python -m pip install pillow-heif", "a camera's raw file", "the format of a drawing program"
SVG, DOCUMENT, RANGE = "a drawing of lines (SVG)", "a document (PDF, PostScript)", "an image of high dynamic range"
TIFF = b"II*\0\x10\0\0\0CR\x02\0"

FILES = [
    # name, content, beginning of what is said
    ("IMG_1.HEIC", box(b"heic", b"mif1", b"heic"), HEIC),
    ("renamed.jpg", box(b"mif1", b"mif1", b"heic"), HEIC),
    ("burst", box(b"msf1", b"hevc"), HEIC),
    ("x.jxl", b"\xff\x0a" + bytes(50), "JPEG XL: python -m pip install pillow-jxl-plugin"),
    ("x.png", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "JPEG XL: "),
    ("photo.CR2", TIFF + bytes(300), RAW),
    ("photo.nef", TIFF + bytes(300), RAW),
    ("photo.cr3", box(b"crx ", b"isom"), RAW),
    ("photo", b"FUJIFILMCCD-RAW 0201" + bytes(300), RAW),
    ("x.svg", b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- by a program -->\n<svg xmlns='...'></svg>", SVG),
    ("x", b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN'>\n<svg:svg>", SVG),
    ("x.svgz", gzip.compress(b"<svg/>", mtime=0), SVG),
    ("x.xcf", b"gimp xcf v011\0" + bytes(50), PROGRAM),
    ("x.kra", b"PK\x03\x04" + bytes(50), PROGRAM),
    ("x.psb", b"8BPS\0\2" + bytes(50), PROGRAM),
    ("broken.psd", b"8BPS\0\1" + bytes(6) + b"\0\4\0\0\0\x10\0\0\0\x10\0\x08\0\3" + bytes(4), PROGRAM),
    ("x.ai", b"%PDF-1.5\n" + bytes(50), DOCUMENT),
    ("scan.pdf", b"%PDF-1.5\n" + bytes(50), DOCUMENT),
    ("x.exr", b"\x76\x2f\x31\x01" + bytes(50), RANGE),
    ("x.hdr", b"#?RADIANCE\n", RANGE),
    ("x.bpg", b"BPG\xfb" + bytes(50), "BPG: save it as PNG or JPEG"),
]


@pytest.mark.parametrize(("name", "content", "said"), FILES)
def test_what_is_said(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with decode.without_warnings():
        outcome = decode.read_image(tmp_path / name, name, lambda image: decode.decode(image, 16))
    assert isinstance(outcome, decode.Failure)
    assert outcome.reason.startswith(said)
    assert outcome.is_candidate


OTHERS = [
    ("film.mp4", box(b"isom", b"mp42"), False, "not an image"),
    ("film.mov", box(b"qt  "), False, "not an image"),
    ("notes.xml", b"<?xml version='1.0'?><notes/>", False, "not an image"),
    ("page.html", b"<html><svg></svg></html>", False, "not an image"),
    ("page.svg", b"<!DOCTYPE html><html><svg></svg></html>", True, "named like an image, but it is a web page (HTML)"),
    (
        "a.heic",
        b"version https://git-lfs.github.com/spec/v1\n",
        True,
        "named like an image, but it is a pointer of git LFS",
    ),
    ("a.nef", b"", True, "empty file (0 bytes)"),
    ("a.png", b"PK\x03\x04" + bytes(50), True, "named like an image, but it is a zip archive"),
    ("a.jpg", "ä".encode("utf-16") * 50, True, "named like an image, but it is text in UTF-16"),
]


@pytest.mark.parametrize(("name", "content", "is_candidate", "said"), OTHERS)
def test_what_is_something_else(tmp_path, name, content, is_candidate, said):
    (tmp_path / name).write_bytes(content)
    outcome = decode.read_image(tmp_path / name, name, lambda image: decode.decode(image, 16))
    assert outcome.reason.startswith(said)
    assert outcome.is_candidate is is_candidate


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_a_folder_of_them_is_refused_also_with_some_images(data):
    for number in range(30):
        (data / f"IMG_{number:02}.HEIC").write_bytes(box(b"heic", b"mif1"))
    with pytest.raises(
        UserError, match=r"no readable image: .* 30 of 30 .* IMG_00.HEIC, HEIC: .*pip install pillow-heif"
    ):
        open_folder(data, 16, progress=False)
    for number in range(4):
        Image.new("RGB", (40, 40), (number, 0, 0)).save(data / f"{number}.png")
    with pytest.raises(UserError, match=r"at least half .* 30 of 34 cannot be read .* pillow-heif"):
        open_folder(data, 16, progress=False)
    for number in range(4, 30):
        Image.new("RGB", (40, 40), (number, 0, 0)).save(data / f"{number}.png")
    images = open_folder(data, 16, progress=False)
    assert (len(images), len(images.skipped)) == (30, 30)


def plugin():
    """A package that teaches Pillow a format: a stand-in for pillow_heif."""
    module = types.ModuleType("pillow_heif")

    class File(ImageFile.ImageFile):
        format = "HEIF"

        def _open(self):
            self._mode, self._size = "RGB", (8, 8)

        def load(self):
            self.im = Image.new("RGB", (8, 8), (1, 2, 3)).im
            return Image.Image.load(self)

    def register():
        Image.register_open("HEIF", File, lambda head: head[4:8] == b"ftyp")
        Image.register_extension("HEIF", ".heic")

    module.register_heif_opener = register
    return module


@pytest.fixture
def pillows_formats():
    """Pillow's registers, as they were, afterwards."""
    Image.init()
    tables = Image.OPEN, Image.ID, Image.EXTENSION
    before = [table.copy() for table in tables]
    caches = decode.image_formats, decode._image_suffixes
    for cache in caches:
        cache.cache_clear()
    yield
    for table, content in zip(tables, before, strict=True):
        table.clear()
        table.extend(content) if isinstance(table, list) else table.update(content)
    for cache in caches:
        cache.cache_clear()


def test_after_what_was_said_has_been_installed_the_folder_is_read(data, monkeypatch, pillows_formats):
    (data / "a.heic").write_bytes(box(b"heic", b"mif1"))
    Image.new("RGB", (8, 8)).save(data / "b.png")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # also where it is installed
    assert len(open_folder(data, 8, progress=False)) == 1
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin())
    decode.image_formats.cache_clear()
    images = open_folder(data, 8, progress=False)
    assert (len(images), images.skipped) == (2, [])
    np.testing.assert_array_equal(images.images[0], np.full((8, 8, 3), (1, 2, 3)))
    assert other_format(box(b"heic"), "damaged.heic") == ""


def test_a_plugin_that_fails_is_none(monkeypatch):
    broken = types.ModuleType("pillow_heif")  # without the function
    monkeypatch.setitem(sys.modules, "pillow_heif", broken)
    load_plugins()


def test_formats_are_part_of_the_caches_key(data, monkeypatch):
    Image.new("RGB", (8, 8)).save(data / "b.png")
    first = open_folder(data, 8, progress=False).cached_in
    monkeypatch.setattr(image_folder, "image_formats", lambda: ("PNG",))
    second = open_folder(data, 8, progress=False).cached_in
    assert first.name != second.name
