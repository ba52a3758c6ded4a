"""Metadata never costs the pixels, whatever is in it; and damaged pixels stay damaged."""

import io
import random
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

from minigan.data.images import without_metadata as module
from minigan.data.images.decode import Failure, decode, read_image, without_warnings
from minigan.data.images.without_metadata import without_metadata

LONG = b"x" * 3_000_000
RANDOM = random.Random(0).randbytes(3_000_000)
pack = zlib.compress


def picture(mode="RGB"):
    fields = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(fields).resize((84, 60), Image.Resampling.NEAREST).convert(mode)


def encoded(kind, image=None, **options):
    buffer = io.BytesIO()
    (image or picture()).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind, content, checksum=0):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content) ^ checksum)


def png(*chunks, behind=b"", raw=None):
    """A PNG with further chunks before and behind its pixels."""
    raw = raw or encoded("PNG")
    pixels, end = raw.index(b"IDAT") - 4, raw.rindex(b"IEND") - 4
    return raw[:pixels] + b"".join(chunks) + raw[pixels:end] + behind + raw[end:]


def segment(kind, content):
    return bytes([0xFF, kind]) + struct.pack(">H", len(content) + 2) + content


def jpeg(*segments):
    raw = encoded("JPEG", quality=95)
    return raw[:2] + b"".join(segments) + raw[2:]


def webp(change):
    raw = encoded("WEBP", lossless=True, icc_profile=b"profile", exif=b"Exif\0\0" + bytes(20), xmp=b"<x/>" * 9)
    return change(bytearray(raw))


def longer(kind):
    def change(raw):
        place = raw.index(kind) + 4
        raw[place : place + 4] = struct.pack("<I", 10**9)
        return bytes(raw)

    return change


FILES = {
    "packed text": png(chunk(b"zTXt", b"k\0\0" + pack(LONG))),
    "packed text behind": png(behind=chunk(b"zTXt", b"k\0\0" + pack(LONG))),
    "packed international text": png(chunk(b"iTXt", b"k\0\1\0\0\0" + pack(LONG))),
    "text bomb": png(chunk(b"iTXt", b"k\0\1\0\0\0" + pack(bytes(100_000_000)))),
    "long text": png(chunk(b"tEXt", b"k\0" + LONG)),
    "many texts": png(*(chunk(b"tEXt", b"%d\0" % k + b"x" * 900_000) for k in range(100))),
    "long profile": png(chunk(b"iCCP", b"k\0\0" + pack(RANDOM))),
    "profile packed in another way": png(chunk(b"iCCP", b"k\0\7")),
    "empty profile": png(chunk(b"iCCP", b"")),
    "wrong checksum of a text": png(chunk(b"tEXt", b"k\0text", checksum=1)),
    "wrong checksum of the EXIF": png(chunk(b"eXIf", b"MM\0*", checksum=1)),
    "short chunks": png(*(chunk(kind, b"a") for kind in (b"pHYs", b"gAMA", b"cHRM", b"tIME", b"hIST", b"sBIT"))),
    "broken animation": png(chunk(b"acTL", b"a")),
    "frame of a wrong size": png(
        chunk(b"acTL", struct.pack(">II", 2, 0)),
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 9999, 9999, 0, 0, 1, 1, 0, 0)),
    ),
    "unknown chunk": png(chunk(b"prVw", LONG, checksum=1)),
    "short profile.jpg": jpeg(segment(0xE2, b"ICC_PROFILE\0")),
    "short Adobe.jpg": jpeg(segment(0xEE, b"Adobe")),
    "short JFIF.jpg": jpeg(segment(0xE0, b"JFIF")),
    "many segments.jpg": jpeg(*[segment(0xE1, b"x" * 60_000)] * 300, *[segment(0xFE, b"x" * 60_000)] * 300),
    "many profiles.jpg": jpeg(*(segment(0xE2, b"ICC_PROFILE\0" + bytes([k, 9]) + bytes(60_000)) for k in range(255))),
    "broken previews.jpg": jpeg(
        segment(0xE2, b"MPF\0garbage"), segment(0xED, b"Photoshop 3.0\08BIM\x03\xed\0\0\xff\xff")
    ),
    "broken EXIF.jpg": jpeg(segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08" + b"\xff" * 300)),
}
if features.check("webp"):
    FILES |= {"long EXIF.webp": webp(longer(b"EXIF")), "long XMP.webp": webp(longer(b"XMP "))}


def read(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with without_warnings():
        return read_image(tmp_path / "x.png", "x.png", lambda image: decode(image, 32))


@pytest.mark.parametrize("name", FILES)
def test_metadata_never_cost_the_pixels(tmp_path, name):
    kind = "JPEG" if name.endswith(".jpg") else "WEBP" if name.endswith(".webp") else "PNG"
    clean = encoded(kind, **({"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}))
    np.testing.assert_array_equal(read(tmp_path, FILES[name]), read(tmp_path, clean))


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "1", "L"])
def test_what_pixels_are_made_of_stays(tmp_path, mode):
    """Palettes, and what is transparent."""
    image = picture().convert("L").convert(mode) if mode in ("LA", "1") else picture(mode)
    raw = encoded("PNG", image, **({"transparency": 3} if mode == "P" else {}))
    np.testing.assert_array_equal(read(tmp_path, png(chunk(b"iCCP", b""), raw=raw)), read(tmp_path, raw))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_the_image_is_still_turned_upright(tmp_path, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = encoded(kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))
    bad = png(chunk(b"iCCP", b""), raw=raw) if kind == "PNG" else raw[:2] + segment(0xE2, b"ICC_PROFILE\0") + raw[2:]
    np.testing.assert_array_equal(read(tmp_path, bad), read(tmp_path, raw))
    assert not np.array_equal(read(tmp_path, raw), read(tmp_path, encoded(kind, quality=95)))


DAMAGED = {
    "cut short": lambda raw: raw[:-400],
    "wrong checksum of the pixels": lambda raw: raw.replace(b"IDAT", b"IDAU"),
    "no pixels": lambda raw: raw[: raw.index(b"IDAT") - 4],
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_pixels_stay_damaged(tmp_path, name):
    raw = png(
        chunk(b"iCCP", b""),
        raw=encoded("PNG", Image.fromarray(np.random.default_rng(1).integers(0, 9, (90, 90, 3), np.uint8))),
    )
    assert isinstance(read(tmp_path, DAMAGED[name](raw)), Failure)


def test_limits_hold_behind_broken_metadata(tmp_path):
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"iCCP", b"")
        + chunk(b"IDAT", pack(b"\0"))
        + chunk(b"IEND", b"")
    )
    assert read(tmp_path, content).reason.startswith("too large: 2500 million pixels")


def test_other_files_have_no_view():
    assert without_metadata(io.BytesIO(b"GIF89a" + bytes(50))) is None
    assert without_metadata(io.BytesIO(b"")) is None
    assert without_metadata(io.BytesIO(encoded("PNG"))) is None  # nothing to leave out


def test_a_file_of_too_many_parts_has_no_view(monkeypatch):
    content = png(*[chunk(b"tEXt", b"k\0"), chunk(b"IDAT", b"")] * 20)
    assert without_metadata(io.BytesIO(content)) is not None
    monkeypatch.setattr(module, "MOST_PARTS", 10)
    assert without_metadata(io.BytesIO(content)) is None


def test_a_view_is_a_file():
    view = without_metadata(io.BytesIO(png(chunk(b"tEXt", b"k\0text"))))
    whole = view.read()
    assert whole == encoded("PNG")
    assert view.seek(3) == 3
    assert view.read(9) == whole[3:12]
    assert view.seek(-5, io.SEEK_END) == len(whole) - 5
    assert view.read(99) == whole[-5:]
    assert view.seek(10**9) == 10**9
    assert view.read(1) == b""


@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"RIFF\0\0\0\0WEBP", b"RIFF\0\0\0\0WEBPVP8X"]),
    st.binary(max_size=200),
)
def test_any_bytes_have_a_view_or_none(start, rest):
    view = without_metadata(io.BytesIO(start + rest))
    if view is not None:
        assert len(view.read()) <= len(start + rest) + 12
