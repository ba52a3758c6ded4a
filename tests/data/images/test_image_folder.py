"""Reading a user's folder: every kind of image, every kind of accident, and the cache between two openings."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence, features

from minigan.data import cache
from minigan.data.image_set import ImageSet, Skipped
from minigan.data.images import decode as decode_module
from minigan.data.images import image_folder as folder_module
from minigan.data.images.image_folder import decode, describe_skipped, open_folder
from minigan.data.prepare.pipeline import prepare_source
from minigan.data.prepare.prepared_file import Settings
from minigan.system import atomic_files
from minigan.system.errors import RunError, UserError

S = 8


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def noise(seed: int = 0, size: int = S) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


def fill(data: Path, count: int, prefix: str = "good") -> None:
    for k in range(count):
        noise(k).save(data / f"{prefix}{k:03}.png")


def read(data: Path, size: int = S) -> ImageSet:
    return open_folder(data, size, progress=False)


def only(data: Path, size: int = S) -> np.ndarray[Any, Any]:
    images = read(data, size)
    assert len(images) == 1
    assert images.skipped == []
    assert images.images.dtype == np.uint8
    assert images.images.shape == (1, size, size, 3)
    return np.array(images.images[0])


def kept(cache_folder: Path) -> list[str]:
    return sorted(path.name for path in cache_folder.iterdir()) if cache_folder.exists() else []


def reasons(images: ImageSet) -> dict[str, str]:
    return {item.path: item.reason for item in images.skipped}


def constant(pixels: np.ndarray[Any, Any], colour: tuple[int, int, int], within: int = 0) -> bool:
    return bool(np.abs(pixels.astype(int) - np.array(colour)).max() <= within)


def grey_columns(values: list[int]) -> np.ndarray[Any, Any]:
    """The (S, S, 3) image whose columns have these grey values."""
    return np.broadcast_to(np.array(values, np.uint8)[None, :, None], (S, S, 3))


# ---- Every mode ----


@pytest.mark.parametrize("name", ["x.png", "x.bmp", "x.tif", "x.jpg", "x.ppm"])
def test_rgb_of_the_right_size_is_what_pillow_decodes(data: Path, name: str) -> None:
    noise().save(data / name)
    with Image.open(data / name) as image:
        expected = np.asarray(image)
    np.testing.assert_array_equal(only(data), expected)


def test_grey(data: Path) -> None:
    ramp = np.tile(np.arange(0, 256, 34, dtype=np.uint8), (S, 1))
    Image.fromarray(ramp).save(data / "x.png")
    np.testing.assert_array_equal(only(data), np.repeat(ramp[:, :, None], 3, axis=2))


def test_one_bit(data: Path) -> None:
    Image.fromarray(np.tile(np.array([0, 255] * 4, np.uint8), (S, 1))).convert("1").save(data / "x.png")
    with Image.open(data / "x.png") as image:
        assert image.mode == "1"
    np.testing.assert_array_equal(only(data), grey_columns([0, 255] * 4))


def palette_image() -> Image.Image:
    image = Image.new("P", (S, S))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (S // 2, 0, S, S))
    return image


def test_palette(data: Path) -> None:
    palette_image().save(data / "x.gif")
    pixels = only(data)
    assert constant(pixels[:, :4], (255, 0, 0))
    assert constant(pixels[:, 4:], (0, 0, 255))


@pytest.mark.parametrize(("transparency", "left"), [(0, (255, 255, 255)), (b"\x80\xff", (255, 127, 127))])
def test_palette_with_transparency(data: Path, transparency: Any, left: tuple[int, int, int]) -> None:
    palette_image().save(data / "x.png", transparency=transparency)
    with Image.open(data / "x.png") as image:
        assert image.mode == "P"
        assert "transparency" in image.info
    pixels = only(data)
    assert constant(pixels[:, :4], left)
    assert constant(pixels[:, 4:], (0, 0, 255))


def test_rgba_over_white(data: Path) -> None:
    image = Image.new("RGBA", (S, S), (255, 0, 0, 128))
    image.paste((0, 255, 0, 0), (0, 0, 4, S))
    image.save(data / "x.png")
    pixels = only(data)
    assert constant(pixels[:, :4], (255, 255, 255))
    assert constant(pixels[:, 4:], (255, 127, 127))


def test_rgba_over_white_when_resized(data: Path) -> None:
    """A colour hidden under a transparent half must not leak into the visible one."""
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (20, 0, 40, 40))
    image.save(data / "x.png")
    assert constant(only(data), (255, 255, 255), within=1)


def test_grey_with_alpha(data: Path) -> None:
    Image.new("LA", (S, S), (0, 128)).save(data / "x.png")
    assert constant(only(data), (127, 127, 127))


@pytest.mark.parametrize(("mode", "colour"), [("L", 90), ("RGB", (10, 20, 30))])
def test_one_colour_declared_transparent(data: Path, mode: str, colour: Any) -> None:
    image = Image.new(mode, (S, S), colour)
    image.paste(Image.new(mode, (4, S)), (4, 0))
    image.save(data / "x.png", transparency=colour)
    pixels = only(data)
    assert constant(pixels[:, :4], (255, 255, 255))
    assert constant(pixels[:, 4:], (0, 0, 0))


def test_palette_with_alpha_channel() -> None:
    image = palette_image()
    image.putalpha(128)
    assert image.mode == "PA"
    pixels = decode(image, S)
    assert constant(pixels[:, :4], (255, 127, 127))
    assert constant(pixels[:, 4:], (127, 127, 255))


def test_cmyk_jpeg(data: Path) -> None:
    Image.new("CMYK", (S, S), (0, 255, 255, 0)).save(data / "x.jpg", quality=100)
    assert constant(only(data), (255, 0, 0), within=3)


def test_cmyk_tiff(data: Path) -> None:
    Image.new("CMYK", (S, S), (0, 255, 255, 0)).save(data / "x.tif")
    assert constant(only(data), (255, 0, 0))


def test_ycbcr() -> None:
    image = Image.new("RGB", (S, S), (200, 30, 90)).convert("YCbCr")
    assert constant(decode(image, S), (200, 30, 90), within=2)


def test_lab(data: Path) -> None:
    # Red is L* = 54 of 100, a* = 81, b* = 70 under the D50 illuminant; Pillow adds 128 to a* and b*.
    Image.new("LAB", (S, S), (54 * 255 // 100, 81 + 128, 70 + 128)).save(data / "x.tif")
    with Image.open(data / "x.tif") as image:
        assert image.mode == "LAB"
    assert constant(only(data), (255, 0, 0), within=8)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("HSV", (85, 255, 255), (0, 255, 0)),
        ("La", (64, 128), (191, 191, 191)),
        ("RGBa", (128, 0, 0, 128), (255, 127, 127)),
        ("RGBX", (1, 2, 3, 0), (1, 2, 3)),
    ],
)
def test_modes_that_no_file_has_but_plugins_produce(mode: str, colour: Any, expected: tuple[int, int, int]) -> None:
    assert constant(decode(Image.new(mode, (S, S), colour), S), expected, within=1)


RAMP = [0, 128, 129, 257, 32896, 65407, 65408, 65535]
RAMP_AS_BYTES = [0, 0, 1, 1, 128, 255, 255, 255]  # 128 / 257 rounds down, 129 / 257 up; 65407 / 257 = 254.502


@pytest.mark.parametrize(("name", "dtype"), [("x.png", "<u2"), ("x.tif", "<u2"), ("x.tif", ">u2"), ("x.tif", "<i4")])
def test_sixteen_bit_grey_is_scaled(data: Path, name: str, dtype: str) -> None:
    Image.fromarray(np.tile(np.array(RAMP, dtype), (S, 1))).save(data / name)
    with Image.open(data / name) as image:
        assert image.mode.startswith("I")
    np.testing.assert_array_equal(only(data), grey_columns(RAMP_AS_BYTES))


def test_sixteen_bit_big_endian_in_memory() -> None:
    image = Image.frombytes("I;16B", (S, S), np.tile(np.array(RAMP, ">u2"), (S, 1)).tobytes())
    np.testing.assert_array_equal(decode(image, S), grey_columns(RAMP_AS_BYTES))


def test_thirty_two_bit_integers_outside_the_range_are_clipped(data: Path) -> None:
    Image.fromarray(np.tile(np.array([-5, 70000] * 4, "<i4"), (S, 1))).save(data / "x.tif")
    np.testing.assert_array_equal(only(data), grey_columns([0, 255] * 4))


def test_sixteen_bit_grey_with_a_transparent_value(data: Path) -> None:
    Image.fromarray(np.tile(np.array([1000, 0] * 4, "<u2"), (S, 1))).save(data / "x.png", transparency=1000)
    with Image.open(data / "x.png") as image:
        assert (image.mode, image.info["transparency"]) == ("I;16", 1000)
    np.testing.assert_array_equal(only(data), grey_columns([255, 0] * 4))


def test_floats_up_to_one(data: Path) -> None:
    values = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, np.nan, -1.0]
    Image.fromarray(np.tile(np.array(values, np.float32), (S, 1))).save(data / "x.tif")
    np.testing.assert_array_equal(only(data), grey_columns([0, 51, 102, 153, 204, 255, 0, 0]))


def test_floats_up_to_255(data: Path) -> None:
    values = [0.0, 0.4, 0.6, 1.0, 200.0, 255.0, np.inf, -np.inf]
    Image.fromarray(np.tile(np.array(values, np.float32), (S, 1))).save(data / "x.tif")
    np.testing.assert_array_equal(only(data), grey_columns([0, 0, 1, 1, 200, 255, 255, 0]))


# ---- Geometry ----

UPRIGHT: dict[int, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation(data: Path, name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    noise().save(data / name, exif=exif)
    np.testing.assert_array_equal(only(data), UPRIGHT[orientation](np.asarray(noise())))


def test_exif_orientation_of_a_wide_jpeg(data: Path) -> None:
    """A camera held upright: the sensor's left third becomes the top and is cropped away."""
    image = Image.new("RGB", (96, 32), (0, 0, 255))
    image.paste((255, 0, 0), (32, 0, 64, 16))
    image.paste((0, 255, 0), (32, 16, 64, 32))
    exif = Image.Exif()
    exif[274] = 6
    image.save(data / "x.jpg", exif=exif, quality=100, subsampling=0)
    pixels = only(data)
    assert constant(pixels[1:-1, :3], (0, 255, 0), within=30)
    assert constant(pixels[1:-1, 5:], (255, 0, 0), within=30)


@pytest.mark.parametrize(("orientation", "shape"), [("wide", (S, 2 * S + 1)), ("tall", (2 * S + 1, S))])
def test_central_square(data: Path, orientation: str, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(data / "x.png")
    expected = pixels[:, 4:12] if orientation == "wide" else pixels[4:12]
    np.testing.assert_array_equal(only(data), expected)


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (3, 7), (1, 50)])
def test_small_images_are_enlarged(data: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (10, 20, 30)).save(data / "x.png")
    assert constant(only(data), (10, 20, 30))


@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
def test_large_images_come_out_like_plain_lanczos(data: Path, name: str) -> None:
    y, x = np.mgrid[0:320, 0:400] / 320
    waves = np.stack([np.sin(9 * x), np.cos(7 * y), np.sin(5 * (x + y))], axis=2) * 120 + 128
    image = Image.fromarray(np.rint(waves).astype(np.uint8))
    image.save(data / name, quality=95)
    expected = image.crop((40, 0, 360, 320)).resize((16, 16), Image.Resampling.LANCZOS)
    difference = np.abs(only(data, 16).astype(int) - np.asarray(expected).astype(int))
    assert difference.max() <= 4


def test_large_jpegs_are_decoded_at_a_fraction(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    def watched(image: Image.Image) -> Image.Image:
        decoded.append(image.size)
        return image

    monkeypatch.setattr(decode_module, "_in_colours", watched)
    Image.new("RGB", (512, 1024)).save(data / "x.jpg")
    only(data, 32)
    assert decoded == [(128, 256)]


def test_big_images_are_decoded_one_at_a_time(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module, "_BIG_PIXELS", 3)
    monkeypatch.setattr(folder_module, "usable_cores", lambda: 4)
    at_once, most = [0], [0]
    plain = decode_module._in_colours

    def counting(image: Image.Image) -> Image.Image:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        time.sleep(0.005)
        at_once[0] -= 1
        return plain(image)

    monkeypatch.setattr(decode_module, "_in_colours", counting)
    fill(data, 20)
    read(data)
    assert most[0] == 1


def test_a_transparent_colour_of_sixteen_bits(data: Path) -> None:
    """Pillow keeps the upper eight bits of a pixel, and all of the colour that is transparent."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    clear, seen = (0x8012, 0x4034, 0x2056), (0x8012, 0x4034, 0x3056)
    row = b"\0" + struct.pack(">6H", *clear, *seen)
    (data / "x.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0))
        + chunk(b"tRNS", struct.pack(">3H", *clear))
        + chunk(b"IDAT", zlib.compress(2 * row))
        + chunk(b"IEND", b"")
    )
    with Image.open(data / "x.png") as image:
        pixels = decode(image, 2)
    assert pixels[0].tolist() == [[255, 255, 255], [0x80, 0x40, 0x30]]


def test_what_fails_for_the_moment_is_tried_again(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that could not be opened for want of file handles, say, is not left out for ever."""
    fill(data, 5)
    plain = Path.open

    def refused(path: Path, *arguments: Any, **settings: Any) -> Any:
        if path.name == "good001.png":
            raise OSError(errno.EMFILE, "Too many open files")
        return plain(path, *arguments, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refused)
        images = read(data)
        assert [item.path for item in images.skipped] == ["good001.png"]
    assert len(read(data)) == 5
    assert read(data).skipped == []


@pytest.mark.parametrize("allowed", [0, 1])
def test_where_few_threads_are_allowed_this_one_reads(
    data: Path, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    fill(data, 20)
    expected = np.array(read(data).images)
    (data / "good000.png").touch()  # another time of change, so that it is not read from the cache
    begun, plain = [0], threading.Thread.start

    def start(thread: threading.Thread) -> None:
        begun[0] += 1
        if begun[0] > allowed:
            raise RuntimeError("can't start new thread")
        plain(thread)

    monkeypatch.setattr(folder_module, "usable_cores", lambda: 4)
    monkeypatch.setattr(threading.Thread, "start", start)
    np.testing.assert_array_equal(read(data).images, expected)
    assert begun[0] > allowed


def animation() -> list[Image.Image]:
    return [Image.new("RGB", (S, S), colour) for colour in [(255, 0, 0), (0, 255, 0), (0, 0, 255)]]


@pytest.mark.parametrize("name", ["x.gif", "x.png", "x.webp", "x.tif"])
def test_first_frame_of_an_animation(data: Path, name: str) -> None:
    if name == "x.webp" and not features.check("webp"):
        pytest.skip("this Pillow has no WebP")
    first, *others = animation()
    first.save(data / name, save_all=True, append_images=others, lossless=True)
    with Image.open(data / name) as image:
        assert len(list(ImageSequence.Iterator(image))) == 3
    assert constant(only(data), (255, 0, 0))


# ---- The listing ----


def test_order_is_that_of_posix_paths(data: Path) -> None:
    names = ["c.png", "a/z.png", "a-b.png", "a/b/c.png", "B.png", "a.png"]
    for k, name in enumerate(names):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (S, S), (k, k, k)).save(data / name)
    order = [names[k] for k in read(data).images[:, 0, 0, 0]]
    assert order == ["B.png", "a-b.png", "a.png", "a/b/c.png", "a/z.png", "c.png"]


def test_hidden_files_and_folders_are_ignored(data: Path) -> None:
    fill(data, 1)
    for name in [".hidden.png", "._x.png", ".git/x.png", "__MACOSX/x.png", "sub/.trash/x.png"]:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        noise(5).save(data / name)
    only(data)


def test_content_counts_where_the_name_says_nothing(data: Path) -> None:
    noise().save(data / "x.png")
    (data / "x.png").rename(data / "x")
    np.testing.assert_array_equal(only(data), np.asarray(noise()))


def test_suffix_in_capitals(data: Path) -> None:
    fill(data, 3)
    (data / "X.PNG").write_bytes(b"no image")
    assert reasons(read(data)) == {"X.PNG": "named like an image, but not recognised as one"}


FOLDER_NAMES = ["x.png", "64x64.rgb", "v1.0.png", "set.fit", "faces.zip", "a.tar.gz", "b.heic", "c.json", " d", "e.npy"]


def test_folders_are_read_whatever_their_names(data: Path) -> None:
    """Also those that are named like images, like archives, or with letters that cannot be printed or decoded."""
    names: list[Any] = [*FOLDER_NAMES, "two\nlines", os.fsdecode(b"not utf-8 \xff")]
    made = 0
    for name in names:
        try:
            (data / name).mkdir()
            noise(made).save(data / name / "a.png")
        except (OSError, ValueError):  # there are no such names here
            continue
        made += 1
    assert made >= 9
    images = read(data)
    assert (len(images), images.skipped) == (made, [])
    assert prepare_names(data) == made


def prepare_names(data: Path) -> int:
    """How many images `minigan.prepare` finds in a folder."""
    target = data.parent / "target"
    tally = prepare_source(
        data, target, Settings(size=32, min_side=1, keep_duplicates=True), lambda *_: None, progress=False
    )
    return tally.kept


def symlink(link: Path, target: Path | str, directory: bool = False) -> None:
    try:
        link.symlink_to(target, target_is_directory=directory)
    except OSError:
        pytest.skip("no symbolic links here")


def test_links(data: Path, tmp_path: Path) -> None:
    fill(data, 1)
    (tmp_path / "elsewhere").mkdir()
    noise(7).save(tmp_path / "elsewhere" / "linked.png")
    symlink(data / "loop", data, directory=True)
    symlink(data / "elsewhere", tmp_path / "elsewhere", directory=True)
    symlink(data / "broken.png", "nowhere")
    symlink(data / "itself.png", "itself.png")
    symlink(data / "link.png", tmp_path / "elsewhere" / "linked.png")
    images = read(data)
    np.testing.assert_array_equal(images.images, [np.asarray(noise(0)), np.asarray(noise(7))])
    found = reasons(images)
    assert found.pop("itself.png")  # the words are the system's
    assert found == {
        "broken.png": "a broken link",
        "loop": "a link to a folder, not followed",
        "elsewhere": "a link to a folder, not followed",
    }


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_does_not_hang(data: Path) -> None:
    fill(data, 1)
    os.mkfifo(data / "pipe.png")
    symlink(data / "to-pipe.png", data / "pipe.png")
    assert reasons(read(data)) == {"pipe.png": "not a regular file", "to-pipe.png": "not a regular file"}


def test_names_that_are_no_text(data: Path) -> None:
    fill(data, 2)
    strange = os.fsdecode(b"\xff\xfe.png")
    try:
        (data / strange).write_bytes(b"")
        (data / "two\nlines.png").write_bytes(b"")
        noise(1).save(data / (os.fsdecode(b"\x80") + ".bmp"))
    except (OSError, ValueError):
        pytest.skip("this file system takes text only")
    first, second = read(data), read(data)
    assert len(first) == 3
    assert reasons(first) == {strange: "empty file (0 bytes)", "two\nlines.png": "empty file (0 bytes)"}
    assert second.skipped == first.skipped
    text = describe_skipped(first.skipped, kept=3)
    assert text == r"Skipped 2 of 5 files: 2 empty file (0 bytes) (two\nlines.png, \udcff\udcfe.png)"
    text.encode("ascii")


def test_a_cache_inside_the_data_folder_is_not_data(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGAN_CACHE", str(data / "cache"))
    fill(data, 2)
    read(data)
    before = kept(data / "cache")
    images = read(data)
    assert len(images) == 2
    assert kept(data / "cache") == before


# ---- Damage ----


def encoded(name: str) -> bytes:
    buffer = io.BytesIO()
    noise(9, 24).save(buffer, format=name)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_truncated_anywhere(data: Path, name: str) -> None:
    if name == "WEBP" and not features.check("webp"):
        pytest.skip("this Pillow has no WebP")
    raw = encoded(name)
    cuts = sorted({int(cut) for cut in np.linspace(0, len(raw) - 1, 60)})
    for cut in cuts:
        (data / f"cut{cut:06}.{name.lower()}").write_bytes(raw[:cut])
    fill(data, len(cuts))
    images = read(data)
    found = reasons(images)
    assert len(images) + len(found) == 2 * len(cuts)
    # A few last bytes may be padding or an end mark that a decoder can do without.
    needed = {f"cut{cut:06}.{name.lower()}" for cut in cuts if cut < 0.9 * len(raw)}
    assert needed <= set(found)
    assert found[f"cut{0:06}.{name.lower()}"] == "empty file (0 bytes)"
    if name in {"JPEG", "PNG"}:
        assert sum(reason == "truncated" for reason in found.values()) > len(cuts) // 2


@pytest.mark.parametrize("name", ["PNG", "JPEG", "GIF", "TIFF", "WEBP"])
def test_flipped_bytes_never_raise(data: Path, name: str) -> None:
    if name == "WEBP" and not features.check("webp"):
        pytest.skip("this Pillow has no WebP")
    raw = encoded(name)
    random = np.random.default_rng(3)
    for k in range(60):
        damaged = bytearray(raw)
        for place in random.integers(0, min(len(raw), 200), 3):
            damaged[place] = random.integers(0, 256)
        (data / f"damaged{k:02}.{name.lower()}").write_bytes(damaged)
    fill(data, 60)
    images = read(data)
    assert len(images) + len(images.skipped) == 120
    assert all("\n" not in item.reason for item in images.skipped)


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = b""
    for kind, content in [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"\0" * 64)), (b"IEND", b"")]:
        body += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return b"\x89PNG\r\n\x1a\n" + body


def test_bombs(data: Path) -> None:
    fill(data, 5)
    (data / "a.png").write_bytes(png(50_000, 50_000))
    (data / "b.png").write_bytes(png(9_000, 9_000))  # Pillow would say nothing
    (data / "c.png").write_bytes(png(10_000, 10_000))  # Pillow would warn
    (data / "d").write_bytes(png(50_000, 50_000))  # known by its content only
    (data / "e.png").write_bytes(png(S, S, (b"zTXt", b"k\0\0" + zlib.compress(b"\0" * 80_000_000))))
    found = reasons(read(data))
    assert found.pop("e.png").startswith("damaged or unsupported (")
    assert found == {
        "a.png": "too large: 2500 million pixels, limit is 64 million",
        "b.png": "too large: 81 million pixels, limit is 64 million",
        "c.png": "too large: 100 million pixels, limit is 64 million",
        "d": "too large: 2500 million pixels, limit is 64 million",
    }


def test_files_that_are_no_images(data: Path) -> None:
    fill(data, 4)
    (data / "notes.txt").write_text("hello", encoding="utf-8")
    (data / "tags.json").write_text("{}", encoding="utf-8")
    (data / "paper.pdf").write_bytes(b"%PDF-1.4")
    (data / "drawing.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n")
    (data / "empty.txt").write_bytes(b"")
    (data / "text.png").write_text("hello", encoding="utf-8")
    (data / "empty.png").write_bytes(b"")
    assert reasons(read(data)) == {
        "notes.txt": "not an image",
        "tags.json": "not an image",
        "paper.pdf": "a document (PDF, PostScript): save its images as PNG or JPEG",
        "drawing.eps": "a document (PDF, PostScript): save its images as PNG or JPEG",
        "empty.txt": "empty file (0 bytes)",
        "text.png": "named like an image, but not recognised as one",
        "empty.png": "empty file (0 bytes)",
    }


def test_damaged_exif_data_do_not_cost_the_image(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(image: Image.Image) -> Any:
        raise struct.error("unpack requires a buffer of 2 bytes")

    noise().save(data / "x.png", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    np.testing.assert_array_equal(only(data), np.asarray(noise()))
    noise().save(data / "x.png")
    monkeypatch.setattr(Image.Image, "getexif", failing)
    np.testing.assert_array_equal(only(data), np.asarray(noise()))


@pytest.mark.parametrize(
    "error",
    [
        SyntaxError("broken"),
        struct.error("short"),
        ValueError("value"),
        OverflowError("over"),
        MemoryError(),
        RecursionError("deep"),
        zlib.error("bad"),
        OSError("image file is truncated"),
        EOFError(),
        KeyError("k"),
        Warning("w"),
    ],
)
def test_whatever_pillow_raises_is_a_skip(data: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    fill(data, 2)
    load = Image.Image.load

    def failing(image: Image.Image) -> Any:
        if image.size == (3, 3):
            raise error
        return load(image)

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", failing)
    monkeypatch.setattr(folder_module, "decode", lambda image, size: (failing(image), np.zeros((S, S, 3), np.uint8))[1])
    Image.new("RGB", (3, 3)).save(data / "bad.png")
    images = read(data)
    assert len(images) == 2
    assert [item.path for item in images.skipped] == ["bad.png"]
    assert images.skipped[0].reason


def test_a_file_that_vanishes(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(data, 3)
    listing = folder_module.list_files

    def and_then_delete(folder: Path) -> Any:
        found = listing(folder)
        (data / "good001.png").unlink()
        return found

    monkeypatch.setattr(folder_module, "list_files", and_then_delete)
    images = read(data)
    assert len(images) == 2
    assert reasons(images) == {"good001.png": "vanished while the folder was being read"}


def refuse(monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    """In place of permissions, since an administrator may open everything."""
    plain = Path.open

    def guarded(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == refused:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return plain(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", guarded)


def test_a_file_without_permission(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(data, 3)
    refuse(monkeypatch, "good001.png")
    assert reasons(read(data)) == {"good001.png": "cannot be opened (Permission denied)"}


def test_fits_is_not_read_whatever_the_file_is_called(data: Path) -> None:
    """Older versions of Pillow unpack such a file without a limit."""
    fill(data, 2)
    cards = ("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 40", "NAXIS2  = 40", "END")
    header = "".join(card.ljust(80) for card in cards).ljust(2880)
    (data / "x.png").write_bytes(header.encode() + bytes(2880))
    assert reasons(read(data)).keys() == {"x.png"}


@pytest.mark.skipif(os.name == "nt", reason="there, another program may have it open for a moment")
def test_a_file_without_permission_does_not_cost_the_cache(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its mode is a part of the cache's name, so it need not be tried again."""
    fill(data, 3)
    refuse(monkeypatch, "good001.png")
    read(data)
    monkeypatch.setattr(folder_module, "_build", None)
    assert reasons(read(data)) == {"good001.png": "cannot be opened (Permission denied)"}


def test_what_failed_for_the_moment_is_tried_again_unless_somebody_just_has(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(data, 3)
    plain = Path.open

    def guarded(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == "good001.png":
            raise OSError(errno.EMFILE, "Too many open files", str(path))
        return plain(path, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", guarded)
        assert len(read(data)) == 2
    assert len(open_folder(data, S, progress=False, try_again=False)) == 2
    assert len(read(data)) == 3


def test_a_file_without_permission_and_suffix(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(data, 1)
    (data / "x").write_bytes(b"what is in here?")
    refuse(monkeypatch, "x")
    assert reasons(read(data)) == {"x": "cannot be opened (Permission denied)"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_permission_given_later_is_noticed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(data, 3)
    (data / "good001.png").chmod(0)
    with monkeypatch.context() as patched:
        refuse(patched, "good001.png")
        assert len(read(data)) == 2
    (data / "good001.png").chmod(0o644)
    assert len(read(data)) == 3


def test_a_subfolder_without_permission(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(data, 1)
    (data / "sub").mkdir()
    plain = os.scandir

    def guarded(path: Path) -> Any:
        if Path(path).name == "sub":
            raise PermissionError(errno.EACCES, "Permission denied")
        return plain(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert reasons(read(data)) == {"sub/": "a folder that cannot be opened (Permission denied)"}


# ---- Refusals ----


def refused(path: Path | str, cache_folder: Path) -> str:
    """The message of the UserError, after checking that it is one line and that nothing was cached."""
    with pytest.raises(UserError) as caught:
        open_folder(path, S, progress=False)
    assert kept(cache_folder) == []
    assert "\n" not in str(caught.value)
    assert not isinstance(path, Path) or path.name in str(caught.value)
    return str(caught.value)


def test_no_folder(tmp_path: Path, cache_folder: Path) -> None:
    assert "must exist" in refused(tmp_path / "nowhere", cache_folder)
    (tmp_path / "faces.zip").write_bytes(b"PK")
    assert "an archive must be unpacked first" in refused(tmp_path / "faces.zip", cache_folder)
    assert "must exist" in refused(tmp_path / "faces.zip" / "below", cache_folder)
    assert "empty" in refused("", cache_folder)
    assert r"a\x00b" in refused("a\0b", cache_folder)
    assert not cache_folder.exists()


@pytest.mark.parametrize("content", ["nothing", "hidden", "subfolder", "directory"])
def test_empty_folder(data: Path, cache_folder: Path, content: str) -> None:
    if content == "hidden":
        noise().save(data / ".x.png")
    elif content == "subfolder":
        (data / "sub").mkdir()
    elif content == "directory":
        (data / "x.png").mkdir()
    assert "holds no file" in refused(data, cache_folder)
    assert not cache_folder.exists()


def test_folder_without_permission(data: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    fill(data, 1)
    monkeypatch.setattr(os, "scandir", denied)
    assert "cannot be opened (Permission denied)" in refused(data, cache_folder)


def test_folder_without_images(data: Path, cache_folder: Path) -> None:
    (data / "notes.txt").write_text("hello", encoding="utf-8")
    (data / "other.txt").write_text("hello", encoding="utf-8")
    message = refused(data, cache_folder)
    assert "none of the 2 files" in message
    assert "(the first: notes.txt, not an image)" in message


def test_folder_without_a_readable_image(data: Path, cache_folder: Path) -> None:
    (data / "a.png").write_bytes(b"")
    (data / "b.png").write_bytes(b"x")
    message = refused(data, cache_folder)
    assert message.startswith("no readable image")
    assert "2 of 2 cannot be read (the first: a.png, empty file (0 bytes))" in message


def test_more_than_half_unreadable(data: Path, cache_folder: Path) -> None:
    fill(data, 2)
    (data / "a.png").write_bytes(b"")
    (data / "b.png").write_bytes(encoded("PNG")[:-60])
    for k in range(9):
        (data / f"{k}.txt").write_text("no candidate", encoding="utf-8")
    assert len(read(data)) == 2  # exactly half is enough
    for path in cache_folder.iterdir():
        path.unlink()
    (data / "c.png").write_bytes(b"x")
    assert "3 of 5 cannot be read (the first: a.png, empty file (0 bytes))" in refused(data, cache_folder)


def test_the_cache_folder_itself(cache_folder: Path) -> None:
    cache_folder.mkdir()
    assert "cache" in refused(cache_folder, cache_folder)


# ---- The cache ----


def no_decoding(*args: object) -> Any:
    raise AssertionError("decoded")


def test_second_opening_decodes_nothing(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(data, 3)
    (data / "notes.txt").write_text("hello", encoding="utf-8")
    (data / "bad.png").write_bytes(b"")
    first = read(data)
    monkeypatch.setattr(folder_module, "_read", no_decoding)
    second = read(data)
    np.testing.assert_array_equal(first.images, second.images)
    assert isinstance(second.images, np.memmap)
    assert not second.images.flags.writeable
    assert second.fingerprint == first.fingerprint
    assert second.skipped == first.skipped
    assert reasons(second) == {"notes.txt": "not an image", "bad.png": "empty file (0 bytes)"}
    assert second.source == str(data)


def changed_content(data: Path) -> None:
    status = (data / "good000.png").stat()
    noise(50).save(data / "good000.png")
    os.utime(data / "good000.png", ns=(status.st_mtime_ns, status.st_mtime_ns + 1))


@pytest.mark.parametrize(
    "change",
    [
        changed_content,
        lambda data: noise(50).save(data / "more.png"),
        lambda data: (data / "good000.png").unlink(),
        lambda data: (data / "good000.png").rename(data / "zzz.png"),
    ],
    ids=["content", "added", "removed", "renamed"],
)
def test_a_change_makes_a_new_cache_and_removes_the_old(
    data: Path, cache_folder: Path, change: Callable[[Path], None]
) -> None:
    fill(data, 3)
    first = read(data)
    fingerprint = first.fingerprint
    open_folder(data, 2 * S, progress=False)
    before = kept(cache_folder)
    assert len(before) == 4
    del first  # Windows deletes no file that is mapped
    old = time.time() - 2 * cache.BEING_WRITTEN_SECONDS
    for name in before:
        os.utime(cache_folder / name, (old, old))
    change(data)
    second = read(data)
    assert second.fingerprint != fingerprint
    after = kept(cache_folder)
    assert len(after) == 4
    assert [name for name in after if f"-{2 * S}px-" in name] == [name for name in before if f"-{2 * S}px-" in name]


def test_equal_images_have_equal_fingerprints(data: Path, tmp_path: Path) -> None:
    fill(data, 3)
    other = tmp_path / "other"
    other.mkdir()
    fill(other, 3, prefix="differently named")
    assert read(data).fingerprint == read(other).fingerprint
    noise(2).save(other / "differently named000.png")
    noise(0).save(other / "differently named002.png")
    assert read(data).fingerprint != read(other).fingerprint


def cache_files(cache_folder: Path) -> tuple[Path, Path]:
    (npy,) = cache_folder.glob("*.npy")
    (js,) = cache_folder.glob("*.json")
    return npy, js


def cut_images(npy: Path, js: Path) -> None:
    npy.write_bytes(npy.read_bytes()[:-1])


def lengthen_images(npy: Path, js: Path) -> None:
    npy.write_bytes(npy.read_bytes() + b"\0")


def garble_images(npy: Path, js: Path) -> None:
    npy.write_bytes(b"\xa5" * npy.stat().st_size)


def flip_one_bit(npy: Path, js: Path) -> None:
    raw = bytearray(npy.read_bytes())
    raw[-100] ^= 1
    npy.write_bytes(raw)


def pickle_instead(npy: Path, js: Path) -> None:
    np.save(npy, np.array([{}], dtype=object), allow_pickle=True)


def zip_instead(npy: Path, js: Path) -> None:
    with npy.open("wb") as file:
        np.savez(file, a=np.zeros(3))


def remove_images(npy: Path, js: Path) -> None:
    npy.unlink()


def remove_record(npy: Path, js: Path) -> None:
    js.unlink()


def record_is(text: str) -> Callable[[Path, Path], None]:
    def damage(npy: Path, js: Path) -> None:
        js.write_text(text, encoding="utf-8")

    return damage


def garble_notes(npy: Path, js: Path) -> None:
    js.write_text(js.read_text(encoding="ascii").replace('"skipped"', '"skipt"'), encoding="ascii")


@pytest.mark.parametrize(
    "damage",
    [
        cut_images,
        lengthen_images,
        garble_images,
        flip_one_bit,
        pickle_instead,
        zip_instead,
        remove_images,
        remove_record,
        record_is(""),
        record_is("[" * 100_000),
        record_is("[]"),
        record_is('{"fingerprint": 7, "notes": {}}'),
        record_is('{"fingerprint": "../../x", "notes": {}}'),
        record_is("\ud7ff"),
        garble_notes,
    ],
)
def test_a_damaged_cache_is_built_again(data: Path, cache_folder: Path, damage: Callable[[Path, Path], None]) -> None:
    fill(data, 3)
    images = read(data)
    expected, fingerprint = np.array(images.images), images.fingerprint
    del images
    before = kept(cache_folder)
    damage(*cache_files(cache_folder))
    (stem,) = {name.removesuffix(".json") for name in before if name.endswith(".json")}
    assert cache.load(stem) is None or damage is garble_notes
    again = read(data)
    np.testing.assert_array_equal(again.images, expected)
    assert again.fingerprint == fingerprint
    assert kept(cache_folder) == before


def test_a_cache_whose_notes_have_another_shape_is_built_again(data: Path, cache_folder: Path) -> None:
    fill(data, 3)
    (data / "notes.txt").write_text("hello", encoding="utf-8")
    first = read(data)
    _, js = cache_files(cache_folder)
    for notes in ('[["a"]]', "[[1, 2]]", "{}", "[0]"):
        text = js.read_text(encoding="ascii")
        start, end = text.index('"skipped":') + len('"skipped":'), text.rindex("]") + 1
        js.write_text(text[:start] + notes + text[end:], encoding="ascii")
        assert read(data).skipped == first.skipped


def test_ctrl_c_leaves_nothing(data: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(data, 3)
    plain = folder_module._read

    def interrupted(folder: Path, name: str, *args: Any) -> Any:
        if name == "good002.png":
            raise KeyboardInterrupt
        return plain(folder, name, *args)

    monkeypatch.setattr(folder_module, "_read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(data)
    assert kept(cache_folder) == []


class FullDisk:
    """A file on a disk with room for so many bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self.file = file
        self.room = room

    def write(self, raw: Any) -> Any:
        self.room -= len(memoryview(raw).cast("B")) if not isinstance(raw, str) else len(raw)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(raw)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *args: object) -> None:
        self.file.close()


@pytest.mark.parametrize("room", [10, 500])
@pytest.mark.parametrize("suffix", ["images", "record"])
def test_full_disk(data: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch, room: int, suffix: str) -> None:
    fill(data, 5)
    plain = Path.open

    def full(path: Path, mode: str = "r", **kwargs: Any) -> Any:
        file = plain(path, mode, **kwargs)
        matches = path.name.endswith(".npy.tmp" if suffix == "images" else ".json.tmp") and mode == "wb"
        return FullDisk(file, room if suffix == "images" else 0) if matches else file

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(RunError) as caught:
        read(data)
    assert caught.value.exit_status == 1
    assert str(cache_folder) in str(caught.value)
    assert "MINIGAN_CACHE" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(cache_folder.glob("*.tmp"))
    assert not list(cache_folder.glob("*.json"))
    monkeypatch.undo()
    monkeypatch.setenv("MINIGAN_CACHE", str(cache_folder))
    assert len(read(data)) == 5


def test_a_disk_that_is_full_only_when_flushed(data: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    fill(data, 2)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="no space left"):
        read(data)
    assert kept(cache_folder) == []


def test_unwritable_cache(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(data, 1)
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv("MINIGAN_CACHE", str(place))
        with pytest.raises(UserError) as caught:
            read(data)
        assert str(place) in str(caught.value)
        assert "MINIGAN_CACHE" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_cache_directory_without_permission(data: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(data, 1)

    def refuse_all(path: Path) -> Path:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(atomic_files, "temporary_file", refuse_all)
    with pytest.raises(UserError, match=r"cannot write to .*Permission denied.*MINIGAN_CACHE"):
        read(data)


def test_left_over_temporary_files(data: Path, cache_folder: Path) -> None:
    cache_folder.mkdir()
    old = time.time() - 2 * atomic_files.STALE_SECONDS
    for name in (".minigan-old.npy.tmp", ".minigan-fresh.json.tmp", ".of-another-program.tmp"):
        (cache_folder / name).write_text("", encoding="utf-8")
        if "fresh" not in name:
            os.utime(cache_folder / name, (old, old))
    fill(data, 1)
    read(data)
    assert [name for name in kept(cache_folder) if name.endswith(".tmp")] == [
        ".minigan-fresh.json.tmp",
        ".of-another-program.tmp",
    ]


@pytest.mark.parametrize("seen", ["equal", "different"])
def test_two_builds_at_once(data: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch, seen: str) -> None:
    """The second run starts and ends just before the first one finishes."""
    fill(data, 4)
    judge = folder_module._insist_on_images
    second: list[ImageSet] = []

    def meanwhile(*args: Any) -> None:
        monkeypatch.setattr(folder_module, "_insist_on_images", judge)
        if seen == "different":
            monkeypatch.setattr(folder_module, "_read", lambda *args: np.zeros((S, S, 3), np.uint8))
        second.append(read(data))
        judge(*args)

    monkeypatch.setattr(folder_module, "_insist_on_images", meanwhile)
    first = read(data)
    expected = np.stack([np.asarray(noise(k)) for k in range(4)])
    np.testing.assert_array_equal(first.images, expected)
    np.testing.assert_array_equal(second[0].images, expected if seen == "equal" else 0 * expected)
    assert not list(cache_folder.glob("*.tmp"))
    np.testing.assert_array_equal(read(data).images, expected)


def test_few_images_wait_in_memory(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a slow disk, decoded images must not fill the memory."""
    fill(data, 1)
    for k in range(400):
        with contextlib.suppress(OSError):
            os.link(data / "good000.png", data / f"link{k:03}.png")
    if len(list(data.iterdir())) < 400:
        pytest.skip("no hard links here")
    monkeypatch.setattr(folder_module, "usable_cores", lambda: 2)
    decoded, written, most = [0], [0], [0]
    plain_read, plain_append = folder_module._read, cache.Builder.append

    def counting_read(*args: Any) -> Any:
        decoded[0] += 1
        most[0] = max(most[0], decoded[0] - written[0])
        return plain_read(*args)

    def slow_append(builder: cache.Builder, images: Any) -> None:
        time.sleep(0.001)
        plain_append(builder, images)
        written[0] += 1

    monkeypatch.setattr(folder_module, "_read", counting_read)
    monkeypatch.setattr(cache.Builder, "append", slow_append)
    assert len(read(data)) == 401
    assert most[0] <= 70


def test_progress_bar(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(data, 3)
    open_folder(data, S, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Reading images 100%" in err
    open_folder(data, S, progress=True)
    assert capsys.readouterr() == ("", "")


def test_without_standard_error(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(data, 1)
    monkeypatch.setattr(sys, "stderr", None)
    assert len(open_folder(data, S, progress=True)) == 1


# ---- What is told ----


def test_describe_skipped() -> None:
    skipped = [
        Skipped("a.png", "truncated"),
        Skipped("b.jpg", "truncated"),
        Skipped("c.png", "empty file (0 bytes)"),
        Skipped("notes.txt", "not an image"),
    ]
    assert describe_skipped(skipped, kept=100) == (
        "Skipped 4 of 104 files: 2 truncated (a.png, b.jpg), 1 empty file (0 bytes) (c.png), 1 not an image (notes.txt)"
    )
    assert describe_skipped(skipped[:1]) == "Skipped 1 file: 1 truncated (a.png)"
    assert describe_skipped([]) == ""


def test_describe_skipped_stays_short() -> None:
    many = [Skipped(f"{k}.png", "truncated") for k in range(1000)] + [Skipped("x", f"reason {k}") for k in range(50)]
    text = describe_skipped(many, kept=0)
    assert text.startswith("Skipped 1050 of 1050 files: 1000 truncated (0.png, 1.png, 2.png, ...), 1 reason 0 (x)")
    assert text.endswith(", 45 for other reasons")
    assert len(text) < 300
