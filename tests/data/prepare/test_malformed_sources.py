"""Files that are not what they seem, through both commands: exit status, one line or a reason, and bounded memory.

Each is tried beside a good image, which must be kept, and alone in a folder, which must be refused in one line.
"""

import csv
import io
import os
import random
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from minigan import prepare
from minigan.data import __main__ as data_command
from minigan.system.cli import run_command


def noise(size=40, seed=0, mode="RGB"):
    fields = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(fields).resize((size, size), Image.Resampling.NEAREST).convert(mode)


def encoded(kind, image=None, **options):
    buffer = io.BytesIO()
    (image or noise()).save(buffer, kind, **options)
    return buffer.getvalue()


def png(width, height, *chunks, depth=8, colour=2, pixels=b"\0" * 64):
    """A PNG with any header."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = b""
    for kind, content in [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]:
        body += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return b"\x89PNG\r\n\x1a\n" + body


def garbled(raw, seed, start=8):
    """A few bytes are changed, but not at the beginning."""
    changed = bytearray(raw)
    source = random.Random(seed)
    for _ in range(20):
        changed[source.randrange(start, len(raw))] = source.randrange(256)
    return bytes(changed)


def bmp(width, height):
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *[0] * 6)


TOO_LARGE = r"too large: .* limit is 64 million"
DAMAGED = r"truncated|damaged or unsupported \(.*\)|named like an image, but not recognised as one"
NO_IMAGE = "named like an image, but not recognised as one"

BROKEN = {
    "empty.png": (b"", r"empty file \(0 bytes\)"),
    "one byte.jpg": (b"\xff", NO_IMAGE),
    "text.png": (b"hello", NO_IMAGE),
    "page.jpg": (b"<!DOCTYPE html><html>404</html>", r"named like an image, but it is a web page \(HTML\)"),
    "zeros.png": (bytes(5000), "named like an image, but it is nothing but zero bytes"),
    "random.webp": (random.Random(0).randbytes(5000), NO_IMAGE),
    "signature only.png": (b"\x89PNG\r\n\x1a\n", NO_IMAGE),
    "header only.jpg": (encoded("JPEG")[:20], DAMAGED),
    "half.png": (encoded("PNG")[:150], DAMAGED),
    "half.jpg": (encoded("JPEG")[:700], DAMAGED),
    "half.gif": (encoded("GIF")[:200], DAMAGED),
    "half.bmp": (encoded("BMP")[:2000], DAMAGED),
    "half.tif": (encoded("TIFF")[:2000], DAMAGED),
    "half.ppm": (encoded("PPM")[:2000], DAMAGED),
    "without end.png": (encoded("PNG")[:-40], DAMAGED),
    "wrong checksum.png": (png(40, 40).replace(b"IDAT", b"IDAX"), DAMAGED),
    "no pixels.png": (png(40, 40, pixels=b""), DAMAGED),
    "too few pixels.png": (png(40, 40, pixels=bytes(100)), DAMAGED),
    "zero wide.png": (png(0, 40), DAMAGED),
    "zero by zero.gif": (b"GIF89a" + bytes(7) + b";", DAMAGED),
    "negative.bmp": (bmp(-40, 40), DAMAGED + "|" + TOO_LARGE),
    "bomb.png": (png(50_000, 50_000), TOO_LARGE),
    "quiet bomb.png": (png(9_000, 9_000), TOO_LARGE),
    "long bomb.png": (png(2**31 - 1, 1), TOO_LARGE),
    "bomb.bmp": (bmp(60_000, 60_000), TOO_LARGE),
    "bomb.gif": (b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b";", DAMAGED + "|" + TOO_LARGE),
    "bomb.ppm": (b"P6 100000 100000 255\n" + bytes(100), TOO_LARGE),
    "text bomb.png": (png(40, 40, (b"zTXt", b"k\0\0" + zlib.compress(bytes(60_000_000)))), DAMAGED),
    "profile bomb.png": (png(40, 40, (b"iCCP", b"k\0\0" + zlib.compress(bytes(60_000_000)))), DAMAGED),
    "odd depth.png": (png(40, 40, depth=7), DAMAGED),
    "odd colour.png": (png(40, 40, colour=5), DAMAGED),
    "icon of nothing.ico": (b"\0\0\1\0\1\0" + bytes(16), DAMAGED),
    "icon with a bomb.ico": (
        b"\0\0\1\0\1\0"
        + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(png(30_000, 30_000)), 22)
        + png(30_000, 30_000),
        DAMAGED + "|" + TOO_LARGE,
    ),
    "loop.tif": (b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 256, 4, 1, 40) + struct.pack("<I", 8), DAMAGED),
    "end of file.tif": (b"II*\0\xff\xff\xff\x7f", DAMAGED),
    "postscript.jpg": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n",
        r"a document \(PDF, PostScript\): save its images as PNG or JPEG",
    ),
    "drawing.svg": (
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        r"a drawing of lines \(SVG\): save it as PNG or JPEG",
    ),
    "notes.txt": (b"hello", "not an image"),
    "archive.zip": (b"PK\3\4", "an archive in the folder, not opened|not an image"),
}
"""Files that give no image, and the reason as a pattern."""


def rotated():
    exif = Image.Exif()
    exif[274] = 6
    return encoded("JPEG", exif=exif)


def animated():
    frames = [noise(seed=k) for k in range(4)]
    return encoded("GIF", frames[0], save_all=True, append_images=frames[1:])


SOUND = {
    "wrong suffix.png": encoded("JPEG"),
    "no suffix": encoded("PNG"),
    "CAPITALS.JPG": encoded("JPEG"),
    "ünï 顔 🙂.png": encoded("PNG"),
    "two\nlines.png": encoded("PNG"),
    "-rf.png": encoded("PNG"),
    "palette.gif": encoded("GIF"),
    "animated.gif": animated(),
    "palette.png": encoded("PNG", noise().quantize(8)),
    "grey.jpg": encoded("JPEG", noise(mode="L")),
    "one bit.png": encoded("PNG", noise(mode="1")),
    "sixteen bits.png": encoded("PNG", Image.fromarray(np.arange(1600, dtype=np.uint16).reshape(40, 40) * 40)),
    "floats.tif": encoded("TIFF", noise(mode="F")),
    "alpha.png": encoded("PNG", noise(mode="RGBA")),
    "cmyk.jpg": encoded("JPEG", noise(mode="CMYK")),
    "progressive.jpg": encoded("JPEG", progressive=True),
    "rotated.jpg": rotated(),
    "bad orientation.png": encoded("PNG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"),
    "trailing rubbish.jpg": encoded("JPEG") + bytes(5000),
    "webp.webp": encoded("WEBP") if features.check("webp") else encoded("PNG"),
}
"""Files that are odd and yet images."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def put(folder, name, raw):
    try:
        (folder / name).write_bytes(raw)
    except (OSError, ValueError):
        pytest.skip("this file system has no such names")


def call(capsys, main, *arguments):
    status = run_command(main, list(map(str, arguments)))
    captured = capsys.readouterr()
    lines = captured.err.replace("\r", "\n").splitlines()
    return status, captured.out, [line for line in lines if line and not re.match(r"[\w ]+ +\d+%", line)]


def prepared(capsys, folder):
    target = folder.parent / "target"
    status, _, err = call(capsys, prepare.main, folder, target, "--keep-duplicates", "--workers", 1, "--min-side", 1)
    if status:
        assert not target.exists()
        return status, err
    with (target / "pictures.csv").open(encoding="utf-8", newline="") as file:
        found = {row["source"]: row["reason"] for row in csv.DictReader(file)}
    assert len(list((target / "pictures").iterdir())) == sum(not reason for reason in found.values())
    return status, found


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_gives_no_picture(folder, capsys, name):
    raw, reason = BROKEN[name]
    put(folder, name, raw)
    for main, arguments in ((prepare.main, [folder, folder.parent / "target"]), (data_command.main, ["info", folder])):
        status, out, err = call(capsys, main, *arguments)
        assert (status, out) == (2, "")
        assert len(err) == 1
        assert re.search(reason, err[0]), err
    assert not (folder.parent / "target").exists()
    put(folder, "good.png", encoded("PNG"))
    status, found = prepared(capsys, folder)
    assert status == 0
    assert found.pop("good.png") == ""
    assert re.fullmatch(reason, found.pop(name))
    status, out, _ = call(capsys, data_command.main, "info", folder)
    assert status == 0
    assert "images      1 usable of 2 files" in out
    assert re.search(f"not used    1 ({reason}) \\({name}\\)", out), out


@pytest.mark.parametrize("name", SOUND)
def test_a_file_that_is_odd_and_yet_a_picture(folder, capsys, name):
    put(folder, name, SOUND[name])
    status, found = prepared(capsys, folder)
    assert status == 0
    assert list(found.values()) == [""]
    status, out, err = call(capsys, data_command.main, "info", folder)
    assert status == 0
    assert "images      1 usable\n" in out
    assert "only 1 image:" in err[0]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_garbled_files_are_read_or_told(folder, capsys, kind):
    if kind == "WEBP" and not features.check("webp"):
        pytest.skip("this Pillow has no WebP")
    raw = encoded(kind)
    for k in range(60):
        put(folder, f"{k:02}.{kind.lower()}", garbled(raw, k))
    put(folder, "good.png", encoded("PNG"))
    status, found = prepared(capsys, folder)
    assert status == 0
    assert len(found) == 61
    assert all(reason.isprintable() for reason in found.values())


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_file_at_all(folder, capsys):
    put(folder, "good.png", encoded("PNG"))
    os.mkfifo(folder / "pipe.png")
    (folder / "broken.png").symlink_to("nowhere")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "folder.png").mkdir()
    (folder / "of itself").symlink_to("of itself")
    (folder / ".hidden.png").write_bytes(b"")
    status, found = prepared(capsys, folder)
    assert status == 0
    assert found == {
        "good.png": "",
        "pipe.png": "not a regular file",
        "device.png": "not a regular file",
        "broken.png": "a broken link",
        "of itself": "cannot be opened (Too many levels of symbolic links)",
        "loop": "a link to a folder, not followed",
    }


def test_thousands_of_files_in_one_folder(folder, capsys):
    raw = encoded("PNG", noise(32))
    for k in range(1200):
        (folder / f"{k}.png").write_bytes(raw)
    status, found = prepared(capsys, folder)
    assert status == 0
    assert len(found) == 1200
    assert sorted(path.name for path in (folder.parent / "target" / "pictures").iterdir())[-1] == "001199.png"


MEMORY = """
import re, sys
from pathlib import Path
from minigan import prepare
from minigan.system.cli import run_command
from minigan.data import __main__ as data_command
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1)) // 1024
folder = Path(sys.argv[1])
run_command(prepare.main, [str(folder / "good"), str(folder / "warm"), "--workers", "1"])
run_command(data_command.main, ["info", str(folder / "good")])
before = peak()
assert run_command(prepare.main, [str(folder / "all"), str(folder / "target"), "--workers", "1"]) == 0
assert run_command(data_command.main, ["info", str(folder / "all")]) == 0
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux")
def test_the_whole_corpus_takes_little_memory(folder, tmp_path):
    for name in ("good", "all"):
        (folder / name).mkdir()
        for k in range(50):
            put(folder / name, f"good{k}.png", encoded("PNG", noise(seed=k)))
    for name, (raw, _) in BROKEN.items():
        put(folder / "all", name, raw)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(folder)], capture_output=True, text=True, check=True, timeout=120
    )
    grown = int(done.stdout.splitlines()[-1])
    assert grown < 100  # MB; Pillow itself allows texts and colour profiles 64 MB
    assert Path(folder / "target" / "report.html").is_file()
