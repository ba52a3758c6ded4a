"""Preparing a data set: what is kept, what it is cut to, what is dropped, and that nothing unfinished is left."""

import csv
import errno
import gzip
import io
import json
import multiprocessing
import os
import re
import signal
import struct
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from conftest import hear_ctrl_c
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minigan import prepare as command
from minigan.data.images.image_folder import open_folder
from minigan.data.images.near_duplicates import Likeness, Seen
from minigan.data.prepare import face_detector, pipeline, prepared_file
from minigan.data.prepare.face_detector import Cascade, Square, biggest, square_around
from minigan.data.prepare.prepared_file import Settings
from minigan.data.prepare.tally import DROPPED_SAMPLES, MAX_REASONS, OTHER, SIDES, Sample, Tally
from minigan.system.cli import run_command
from minigan.system.errors import RunError, UserError
from minigan.system.lock import FolderLock
from minigan.system.worker_pool import Workers


@pytest.fixture
def source(tmp_path):
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "target"


def picture(seed, size=96, *, grey=False):
    """A colourful pattern unlike that of any other seed."""
    fields = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    image = Image.fromarray(fields).resize((size, size), Image.Resampling.NEAREST)
    return image.convert("L") if grey else image


def fill(source, count):
    for k in range(count):
        picture(k).save(source / f"{k:03}.png")


def run(source, target, detector=None, workers=1, **settings):
    """Prepare without reports: the tally and the images."""
    tally = pipeline.prepare_source(
        source, target, Settings(**settings), lambda *_: None, detector=detector, workers=workers, progress=False
    )
    return tally, pictures(target)


def pictures(target):
    found = []
    for path in sorted((target / "pictures").iterdir()):
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert image.mode == "RGB"
            found.append(np.asarray(image))
    return found


def rows(target):
    with (target / "pictures.csv").open(encoding="utf-8", newline="") as file:
        return {row["source"]: row for row in csv.DictReader(file)}


def kinds(tally):
    return {kind: tally.count(kind) for kind in tally.reasons}


def refused(*arguments):
    """The message of a call that must end with status 2 and one line."""
    done = subprocess.run(
        [sys.executable, "-m", "minigan.prepare", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    return done.stderr


def call(capsys, *arguments):
    status = run_command(command.main, [str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err.rpartition("\r")[2]  # what is left of the progress bar


@dataclass(frozen=True)
class Marks:
    """A detector that finds the given faces, in shares of the image's shorter side."""

    places: tuple[tuple[float, float, float], ...]

    def __call__(self, image):
        assert image.mode == "RGB"
        return [Square(*(n * min(image.size) for n in place)) for place in self.places]


MIDDLE = Marks(((0.25, 0.25, 0.5),))
NOWHERE = Marks(())


# ---- What is kept ----


def test_images_come_in_the_order_of_their_names_and_unchanged_if_they_have_the_size(source, target):
    for name, seed in [("b.png", 1), ("a/z.png", 0), ("c.BMP", 2)]:
        (source / name).parent.mkdir(exist_ok=True)
        picture(seed, 64).save(source / name)
    tally, found = run(source, target)
    assert tally.kept == 3
    assert not tally.dropped
    assert sorted(path.name for path in (target / "pictures").iterdir()) == ["000000.png", "000001.png", "000002.png"]
    np.testing.assert_array_equal(found, [picture(seed, 64) for seed in range(3)])
    assert [row["picture"] for row in rows(target).values()] == ["000000.png", "000001.png", "000002.png"]


@pytest.mark.parametrize("size", prepared_file.SIZES)
def test_without_a_detector_training_sees_the_same_pixels_as_of_the_source(source, target, size):
    for k in range(3):
        picture(k, 200).crop((0, 0, 200, 120 + 20 * k)).save(source / f"{k}.jpg")
    _, found = run(source, target, size=size)
    np.testing.assert_array_equal(found, open_folder(source, size, progress=False).images)


def test_training_sees_the_images_and_nothing_else(source, target, capsys):
    fill(source, 5)
    (source / "notes.txt").write_text("hello", encoding="utf-8")
    status, _, _ = call(capsys, source, target, "--workers", 1)
    assert status == 0
    images = open_folder(target, 64, progress=False)
    assert images.skipped == []
    np.testing.assert_array_equal(images.images, pictures(target))
    report = json.loads((target / "report.json").read_text(encoding="utf-8"))
    assert report["fingerprint"] == images.fingerprint
    assert images.fingerprint in (target / "DATACARD.md").read_text(encoding="utf-8")


def test_any_number_of_workers_gives_the_same(source, tmp_path, monkeypatch):
    fill(source, 30)
    picture(3).save(source / "000-like-003.png")
    (source / "005.png").write_bytes(b"")
    picture(6, 20).save(source / "006.png")
    monkeypatch.setattr(pipeline, "FEW", 0)
    outcomes = []
    for workers in (1, 3):
        target = tmp_path / f"target{workers}"
        tally, found = run(source, target, MIDDLE, workers)
        outcomes.append((tally.fingerprint, kinds(tally), (target / "pictures.csv").read_bytes(), np.array(found)))
    assert outcomes[0][:3] == outcomes[1][:3]
    np.testing.assert_array_equal(outcomes[0][3], outcomes[1][3])
    assert outcomes[0][1] == {"unreadable": 1, "too small": 1, "duplicate": 1}


def test_workers_are_as_quiet_and_as_strict(source, tmp_path, monkeypatch, capfd):
    """Pillow's warnings and its own limit on pixels are the same in all processes."""
    fill(source, 8)
    for name in ("odd1.tif", "odd2.tif"):
        buffer = io.BytesIO()
        picture(1).save(buffer, "TIFF", tiffinfo={270: "a description"})
        raw = bytearray(buffer.getvalue())
        entry = raw.rindex(struct.pack("<HH", 270, 2))
        raw[entry + 4 : entry + 8] = struct.pack("<I", 10**6)  # longer than the file: Pillow warns
        (source / name).write_bytes(raw)
    (source / "huge.png").write_bytes(png_head(10_000, 10_000))
    monkeypatch.setattr(pipeline, "FEW", 0)
    tables = []
    for workers in (1, 2):
        target = tmp_path / f"target{workers}"
        run(source, target, MIDDLE, workers)
        tables.append((target / "pictures.csv").read_text(encoding="utf-8"))
        assert "Warning" not in capfd.readouterr().err
    assert tables[0] == tables[1]
    assert "too large: 100 million pixels" in tables[0]


def png_head(width, height):
    """A PNG file that says it has this size."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(100))))
    packed = (struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def test_a_detectors_own_mistake_is_not_the_images(source, target):
    fill(source, 3)

    def broken(image):
        raise NameError("undefined_name")

    with pytest.raises(RunError, match="the face detector fails: NameError: undefined_name"):
        run(source, target, broken)
    assert not target.exists()


def test_where_no_worker_can_be_started_the_work_is_done_here(source, target, monkeypatch):
    class NoneStarts(Workers):
        def _start(self):
            pass

    fill(source, 4)
    monkeypatch.setattr(pipeline, "FEW", 0)
    monkeypatch.setattr(pipeline, "Workers", NoneStarts)
    assert run(source, target, workers=2)[0].kept == 4


def test_the_command_takes_as_many_workers_as_are_allowed(source, target, capsys, monkeypatch):
    fill(source, 1)
    taken = []
    monkeypatch.setattr(command, "worker_count", lambda: 3)
    monkeypatch.setattr(command, "prepare_source", lambda *_, workers, **__: taken.append(workers) or sys.exit())
    for options in ([], ["--workers", 5]):
        with pytest.raises(SystemExit):
            call(capsys, source, target, *options)
    assert taken == [3, 5]


def test_where_there_are_no_semaphores_the_work_is_done_here(source, target, monkeypatch):
    def none(self):
        raise OSError("no semaphores")

    fill(source, 4)
    monkeypatch.setattr(pipeline, "FEW", 0)
    monkeypatch.setattr(multiprocessing.context.SpawnContext, "Lock", none)
    assert run(source, target, workers=2)[0].kept == 4


@dataclass(frozen=True)
class Deadly:
    """A detector that kills its worker, as a lack of memory would."""

    parent: int

    def __call__(self, image):
        if os.getpid() != self.parent:
            os._exit(9)
        raise AssertionError("not in the parent")


def test_a_worker_that_dies_is_told_in_a_line_and_nothing_is_left(source, target, monkeypatch):
    fill(source, 4)
    monkeypatch.setattr(pipeline, "FEW", 0)
    with pytest.raises(RunError, match=r"a worker process died.*000\.png.*--workers 1"):
        run(source, target, Deadly(os.getpid()), workers=2)
    assert not target.exists()


# ---- Faces ----


def test_the_biggest_face_is_taken(source, target):
    """The second of three is the biggest; around it the image is red, elsewhere blue."""
    image = Image.new("RGB", (400, 400), (0, 0, 255))
    image.paste((255, 0, 0), (180, 160, 340, 320))
    image.save(source / "x.png")
    faces = Marks(((0.05, 0.05, 0.2), (0.5, 0.5, 0.25), (0.75, 0.1, 0.15)))
    tally, (found,) = run(source, target, faces, margin=1.5)
    assert tally.kept == 1
    np.testing.assert_array_equal(found[6:-6, 6:-6], np.broadcast_to([255, 0, 0], (52, 52, 3)))
    row = rows(target)["x.png"]
    assert [row[name] for name in ("width", "height", "left", "top", "side", "face")] == [
        "400", "400", "175", "165", "150", "100",
    ]  # fmt: skip


def test_equal_faces_are_decided_by_their_place():
    faces = [Square(50, 20, 30), Square(10, 20, 30), Square(0, 40, 30)]
    assert biggest(faces) == biggest(faces[::-1]) == Square(10, 20, 30)
    assert biggest([]) is None


@pytest.mark.parametrize(
    ("face", "within", "expected"),
    [
        (Square(100, 100, 100), True, Square(50, 40, 200)),  # centred, a tenth of the face higher
        (Square(0, 0, 100), True, Square(0, 0, 200)),  # moved inwards
        (Square(300, 200, 100), True, Square(200, 100, 200)),
        (Square(50, 50, 250), True, Square(25, 0, 300)),  # no larger than the image
        (Square(-20, -10, 330), True, Square(0, 0, 300)),
        (Square(0, 0, 100), False, Square(-50, -60, 200)),
        (Square(50, 50, 250), False, Square(-75, -100, 500)),
    ],
)
def test_square_around_a_face(face, within, expected):
    assert square_around(face, 400, 300, 2.0, within=within) == expected


@given(
    st.integers(1, 300), st.integers(1, 300), st.floats(-0.3, 1), st.floats(-0.3, 1), st.floats(0.01, 1.4),
    st.floats(1, 4), st.booleans(),
)  # fmt: skip
def test_any_face_gives_a_square(width, height, x, y, side, margin, pad):
    short = min(width, height)
    face = Square(x * width, y * height, side * short)
    square = square_around(face, width, height, margin, within=not pad)
    image = Image.fromarray(np.arange(width * height * 3, dtype=np.uint8).reshape(height, width, 3))
    assert prepared_file._square(image, square, 32).shape == (32, 32, 3)
    if not pad:
        assert square.left >= 0
        assert square.top >= 0
        assert max(square.left + square.side - width, square.top + square.side - height) <= 0


def test_padding_repeats_the_edge(source, target):
    image = Image.new("RGB", (100, 200), (0, 255, 0))
    image.paste((255, 0, 0), (0, 0, 20, 200))
    image.paste((0, 0, 255), (80, 0, 100, 200))
    image.save(source / "x.png")
    _, (found,) = run(source, target, pad=True)
    assert (found[:, :18] == (255, 0, 0)).all()
    assert (found[:, -18:] == (0, 0, 255)).all()
    assert (found[:, 28:36] == (0, 255, 0)).all()


def test_padding_a_long_strip_takes_no_memory():
    strip = Image.new("RGB", (60_000, 2), (9, 8, 7))
    square = prepared_file._central(*strip.size, True)
    assert square.side == 60_000  # 10 GB, if it were ever made
    assert (prepared_file._square(strip, square, 64) == (9, 8, 7)).all()


@pytest.mark.parametrize("crop", [False, True])
def test_an_image_without_a_face(source, target, crop):
    fill(source, 1)
    picture(1, 64).save(source / "001.png")
    if not crop:
        with pytest.raises(UserError, match=r"no image is left of 2 files in .*: 2 no face found"):
            run(source, target, NOWHERE)
        return
    tally, found = run(source, target, NOWHERE, crop_faceless=True)
    assert tally.kept == 2
    np.testing.assert_array_equal(found[1], np.asarray(picture(1, 64)))


def test_small_squares_are_dropped(source, target):
    fill(source, 1)
    picture(1, 31).save(source / "small.png")
    picture(2, 32).save(source / "large enough.png")
    tally, _ = run(source, target)
    assert kinds(tally) == {"too small": 1}
    assert rows(target)["small.png"]["reason"] == "a square of fewer than 32 pixels"
    assert tally.enlarged == 1


def test_a_large_jpeg_is_searched_large_enough_and_measured_in_its_own_pixels(source, target, monkeypatch):
    """Decoded at half the size; the list has pixels of the whole image, turned upright."""
    seen = []

    @dataclass(frozen=True)
    class Watching:
        def __call__(self, image):
            seen.append(image.size)
            return MIDDLE(image)

    exif = Image.Exif()
    exif[274] = 6
    picture(0, 8).resize((2400, 1600)).save(source / "x.jpg", exif=exif)
    run(source, target, Watching(), size=32)
    assert seen == [(800, 1200)] or seen == [(1600, 2400)]
    row = rows(target)["x.jpg"]
    assert (row["width"], row["height"], row["face"]) == ("1600", "2400", "800")


# ---- The cascade ----


def bullseye():
    """A cascade of one stage with one test: the middle ninth of the window is brighter than everything around it."""
    codes = ["0"] * 8
    codes[0] = "1"  # of the 256 outcomes of eight comparisons, the one in which no neighbour is as bright
    return f"""<?xml version="1.0"?>
<opencv_storage><cascade>
<stageType>BOOST</stageType><featureType>LBP</featureType><height>24</height><width>24</width>
<stageParams><boostType>GAB</boostType><minHitRate>0.995</minHitRate><maxFalseAlarm>0.5</maxFalseAlarm>
<weightTrimRate>0.95</weightTrimRate><maxDepth>1</maxDepth><maxWeakCount>1</maxWeakCount></stageParams>
<featureParams><maxCatCount>256</maxCatCount></featureParams><stageNum>1</stageNum>
<stages><_><maxWeakCount>1</maxWeakCount><stageThreshold>0.5</stageThreshold><weakClassifiers><_>
<internalNodes>0 -1 0 {" ".join(codes)}</internalNodes><leafValues>1. -1.</leafValues></_></weakClassifiers></_>
</stages><features><_><rect>0 0 8 8</rect></_></features></cascade></opencv_storage>"""


@pytest.fixture
def cascade(tmp_path):
    pytest.importorskip("cv2")
    (tmp_path / "bullseye.xml").write_text(bullseye(), encoding="utf-8")
    return tmp_path / "bullseye.xml"


def eye(image, left, top, side):
    third = side // 3
    image.paste((40, 40, 40), (left, top, left + side, top + side))
    image.paste((250, 250, 250), (left + third, top + third, left + 2 * third, top + 2 * third))


@pytest.mark.parametrize("scale", [1, 3])
def test_a_cascade_finds_what_it_knows(cascade, scale):
    """Also if the image is reduced for the search; the result is in pixels of the whole image."""
    image = Image.new("RGB", (600 * scale, 400 * scale), (120, 120, 120))
    eye(image, 300 * scale, 90 * scale, 120 * scale)
    found = biggest(Cascade.load(cascade)(image))
    assert found is not None
    middle = ((found.left + found.side / 2) / scale, (found.top + found.side / 2) / scale)
    assert middle == pytest.approx((360, 150), abs=8)
    assert found.side / scale == pytest.approx(100, rel=0.3)  # it does not measure the size exactly


def test_a_face_that_fills_its_image_is_found(cascade):
    image = Image.new("RGB", (96, 96))
    eye(image, 0, 0, 96)
    found = biggest(Cascade.load(cascade)(image))
    assert found is not None
    assert found.side == pytest.approx(80, rel=0.3)


def test_workers_run_a_cascade(source, target, cascade, capsys, monkeypatch):
    monkeypatch.setattr(pipeline, "FEW", 0)
    for k, colour in enumerate([(120, 90, 60), (60, 120, 90), (90, 60, 120)]):
        image = Image.new("RGB", (300, 300), colour)
        eye(image, 60 + 30 * k, 90, 90)
        image.save(source / f"{k}.png")
    Image.new("RGB", (300, 300), (9, 99, 200)).save(source / "3.png")
    options = ["--cascade", cascade, "--workers", 2, "--margin", 1, "--keep-duplicates"]
    status, out, _ = call(capsys, source, target, *options)
    assert status == 0
    assert "Kept 3 of 4 files" in out
    assert "dropped       1 no face found" in out
    for found in pictures(target):
        assert found[38, 32].min() > 200  # the white is in the middle, apart from the shift upwards
        assert found[38, 4].max() < 80
    card = (target / "DATACARD.md").read_text(encoding="utf-8")
    assert "`bullseye.xml` (SHA-256 " in card


@pytest.mark.parametrize(
    "content",
    [
        b"", b"hello", b"{}", b"\xff\xfe\x00", b"<" * 10_000, b"<?xml version='1.0'?><opencv_storage></opencv_storage>",
        b"<?xml version='1.0'?><opencv_storage><cascade><stageType>BOOST</stageType></cascade></opencv_storage>",
        bullseye().replace("LBP", "SQUIRREL").encode(),
    ],
)  # fmt: skip
def test_a_file_that_is_no_cascade(cascade, content, source, target, capfd):
    fill(source, 1)
    cascade.write_bytes(content)
    status, out, err = call(capfd, source, target, "--cascade", cascade)
    assert (status, out) == (2, "")
    assert err.startswith("minigan: error: --cascade: ")
    assert err.count("\n") == 1  # OpenCV's own messages are silenced
    assert not target.exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<!DOCTYPE html><html>", r"it is a web page \(HTML\)\. Download the file itself: .* button Raw"),
        (bullseye().encode("utf-16"), r"it is text in UTF-16\. Save it again with the encoding UTF-8"),
        (b"version https://git-lfs.github.com/spec/v1\n", r"it is a pointer of git LFS.*\. Run git lfs pull"),
        (
            gzip.compress(bullseye().encode(), mtime=0),
            r"it is a gzip archive \(\.gz\)\. Get the file as docs/prepare\.md says",
        ),
        (b"", r"it is empty\. "),
        (bytes(900), r"it is nothing but zero bytes\. "),
        (bullseye().encode()[:-200], "ends too early: download or copy it again"),
        (b"<?xml version='1.0'?><svg/>", "is not a cascade that OpenCV can read"),
        (b"\xff\x01\x02", "is not a text file"),
    ],
)
def test_what_a_file_is_that_is_no_cascade(cascade, content, told):
    cascade.write_bytes(content)
    with pytest.raises(UserError, match=rf"^--cascade: .*bullseye\.xml .*{told}"):
        Cascade.load(cascade)


def test_a_cascade_with_a_mark_of_its_encoding(cascade):
    cascade.write_bytes(bullseye().encode("utf-8-sig"))
    assert Cascade.load(cascade).text == bullseye()


def test_a_cascade_that_is_not_there(tmp_path):
    pytest.importorskip("cv2")
    with pytest.raises(UserError, match=r"--cascade: .*none\.xml cannot be opened \(No such file"):
        Cascade.load(tmp_path / "none.xml")
    with pytest.raises(UserError, match=r"--cascade: must be a file, and .* is none"):
        Cascade.load(tmp_path)


def test_without_opencv_and_with_one_that_is_too_new(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r'--cascade: .*OpenCV.*python -m pip install -e "\.\[prepare\]"'):
        Cascade.load(tmp_path / "any.xml")

    class Five:
        __version__ = "5.0.0"

    monkeypatch.setitem(sys.modules, "cv2", Five())
    with pytest.raises(UserError, match=r'OpenCV 5\.0\.0 no longer has cascades.*"opencv-python-headless<5"'):
        Cascade.load(tmp_path / "any.xml")


@pytest.mark.skipif("MINIGAN_CASCADE" not in os.environ, reason="MINIGAN_CASCADE names no lbpcascade_animeface.xml")
def test_the_real_cascade_finds_drawn_faces():
    from minigan.data.drawn.faces import draw_face

    finder = Cascade.load(Path(os.environ["MINIGAN_CASCADE"]))
    hits = 0
    for k in range(30):
        canvas = picture(k, 480)
        canvas.paste(Image.fromarray(draw_face(k, seed=1, size=128)[0]), (40 + 7 * k, 200))
        found = biggest(finder(canvas))
        if found is not None:
            x, y = found.left + found.side / 2, found.top + found.side / 2
            hits += 40 + 7 * k <= x <= 168 + 7 * k and 200 <= y <= 328
    assert hits >= 20


# ---- Colours and duplicates ----


def test_colour_only(source, target):
    fill(source, 2)
    picture(5, grey=True).save(source / "grey.png")
    picture(6, grey=True).convert("RGB").save(source / "grey.jpg")
    pale = np.asarray(picture(7, grey=True).convert("RGB")) // 2 + 100
    pale[..., 2] -= 30  # an even tint
    Image.fromarray(pale).save(source / "tinted.png")
    assert run(source, target)[0].kept == 5
    tally, _ = run(source, target.with_name("other"), colour_only=True)
    assert kinds(tally) == {"grey": 3}
    assert {name for name, row in rows(target.with_name("other")).items() if row["reason"] == "near-grey"} == {
        "grey.png", "grey.jpg", "tinted.png",
    }  # fmt: skip


def soft(seed, size=96):
    """An image with few sharp edges: drawings consist mostly of areas."""
    fields = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(fields).resize((size, size), Image.Resampling.BICUBIC)


def test_near_duplicates(source, target):
    for k in range(30):
        soft(k).save(source / f"a{k:02}.png")
    soft(3).save(source / "b-copy.png")
    soft(4, 150).save(source / "b-larger.png")
    soft(5).save(source / "b-squeezed.jpg", quality=40)
    soft(6).crop((1, 1, 96, 96)).save(source / "b-shifted.png")
    Image.fromarray(np.asarray(soft(7))[..., ::-1]).save(source / "c-recoloured.png")
    soft(8).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(source / "c-mirrored.png")
    tally, _ = run(source, target)
    assert kinds(tally) == {"duplicate": 4}
    reasons = {name: row["reason"] for name, row in rows(target).items() if row["reason"]}
    assert reasons == {
        "b-copy.png": "nearly equal to 000003.png",
        "b-larger.png": "nearly equal to 000004.png",
        "b-squeezed.jpg": "nearly equal to 000005.png",
        "b-shifted.png": "nearly equal to 000006.png",
    }


def test_duplicates_may_be_kept_and_then_nothing_more_is_needed(source, target, monkeypatch):
    fill(source, 2)
    picture(0).save(source / "copy.png")
    monkeypatch.setitem(sys.modules, "imagehash", None)
    with pytest.raises(UserError, match=r'imagehash.*python -m pip install -e "\.\[prepare\]".*--keep-duplicates'):
        run(source, target)
    assert not target.exists()
    assert run(source, target, keep_duplicates=True)[0].kept == 3


def test_the_most_similar_of_many_is_found():
    seen = Seen()
    random = np.random.default_rng(0)
    all_bits = [int(n) for n in random.integers(0, 2**63, 3000)]
    fields = random.integers(0, 256, (3000, 192), dtype=np.uint8)
    for bits, field in zip(all_bits, fields, strict=True):
        assert seen.find(Likeness(bits, field.tobytes())) is None
        seen.add(Likeness(bits, field.tobytes()))
    assert seen.find(Likeness(all_bits[2500] ^ 0b111, fields[2500].tobytes())) == 2500
    assert seen.find(Likeness(all_bits[2500] ^ 0b11111111111, fields[2500].tobytes())) is None  # 11 bits
    assert seen.find(Likeness(all_bits[2500], fields[2400].tobytes())) is None  # other colours
    seen.add(Likeness(all_bits[2500] ^ 0b11, fields[2500].tobytes()))
    assert seen.find(Likeness(all_bits[2500] ^ 0b111, fields[2500].tobytes())) == 3000  # nearer


# ---- What is counted ----


def test_tally():
    tally = Tally(32)
    white, red = np.full((32, 32, 3), 255, np.uint8), np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 200
    tally.keep("a", white, 500, 31, 31)
    tally.keep("b", red, 64, 65, 64)
    assert (tally.kept, tally.dropped, tally.enlarged) == (2, 0, 1)
    assert tally.sources.tolist() == [1, 0, 0, 1] + [0] * (len(SIDES) - 3)
    assert tally.average[0, 0].tolist() == [228, 128, 128]
    assert tally.colours() == ([227.5, 127.5, 127.5], [27.5, 127.5, 127.5])
    for k in range(2 * MAX_REASONS):
        tally.drop(f"{k}.png", "unreadable", f"reason {k}")
    tally.drop("x", "unreadable", "reason 5")
    tally.drop("y", "grey", "near-grey", white)
    assert kinds(tally) == {"unreadable": 2 * MAX_REASONS + 1, "grey": 1}
    reasons = tally.sorted_reasons("unreadable")
    assert len(reasons) == MAX_REASONS + 1
    assert (reasons[0][0], reasons[0][1].count, reasons[0][1].examples) == ("reason 5", 2, ["5.png", "x"])
    assert (reasons[-1][0], reasons[-1][1].count) == (OTHER, MAX_REASONS)
    assert len(tally.dropped_samples["grey"].items) == 1


@pytest.mark.parametrize("count", [0, 1, 23, 24, 25, 48, 49, 50, 1000, 4567])
def test_samples_are_spread_evenly(count):
    sample = Sample(DROPPED_SAMPLES)
    for item in range(count):
        sample.add(item)
    assert len(sample.items) == min(count, DROPPED_SAMPLES)
    gaps = np.diff([0, *sample.items, count])
    assert gaps.max(initial=0) <= max(2, 3 * count / DROPPED_SAMPLES)


# ---- The target ----


def test_targets_that_are_refused(source, tmp_path):
    fill(source, 1)
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("x", encoding="utf-8")
    (source / "below").mkdir()
    cases = {
        tmp_path / "file": "must be a new or empty folder",
        tmp_path / "file" / "below": "cannot be",
        tmp_path / "full": "holds a",
        source: "must lie outside of the source",
        source / "new" / "folder": "must lie outside of the source",
        source / "below": "must lie outside of the source",
        tmp_path / "x" / ".." / "source" / "y": "must lie outside of the source",
    }
    before = sorted(tmp_path.rglob("*"))
    for target, words in cases.items():
        with pytest.raises(UserError, match=words):
            run(source, target)
        assert sorted(tmp_path.rglob("*")) == before


def test_a_target_that_a_link_leads_to_the_source(source, tmp_path):
    fill(source, 1)
    try:
        (tmp_path / "link").symlink_to(source, target_is_directory=True)
    except OSError:
        pytest.skip("no symbolic links here")
    with pytest.raises(UserError, match="outside of the source"):
        run(source, tmp_path / "link" / "new")
    assert run(tmp_path / "link", tmp_path / "target")[0].kept == 1  # as a source it is fine


def test_sources_that_are_refused(tmp_path, target):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("hello", encoding="utf-8")
    picture(0).save(tmp_path / "picture.png")
    for name, words in {
        "nowhere": "there is no folder or archive",
        "empty": "holds no file",
        "text.txt": "neither a folder nor an archive",
        "picture.png": "neither a folder nor an archive",
    }.items():
        with pytest.raises(UserError, match=words):
            run(tmp_path / name, target)
        assert not target.exists()


def test_an_empty_folder_is_a_fine_target_and_stays_if_nothing_comes_of_it(source, target):
    target.mkdir()
    (source / "x.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"no image is left of the only file in .*: 1 empty file"):
        run(source, target)
    assert list(target.iterdir()) == []
    fill(source, 1)
    run(source, target)
    assert sorted(path.name for path in target.iterdir()) == ["pictures", "pictures.csv"]


def test_what_a_killed_call_has_left_is_removed(source, target):
    fill(source, 1)
    (target / ".minigan-prepare.tmp" / "pictures").mkdir(parents=True)
    (target / ".minigan-prepare.tmp" / "pictures" / "000000.png").write_text("half", encoding="utf-8")
    (target / ".lock").write_text("", encoding="utf-8")
    run(source, target)
    assert sorted(path.name for path in target.iterdir()) == ["pictures", "pictures.csv"]


def test_two_at_once(source, target):
    fill(source, 1)
    target.mkdir()
    with FolderLock(target), pytest.raises(UserError, match="is in use by process"):
        run(source, target)
    assert [path.name for path in target.iterdir()] == [".lock"]


@pytest.mark.parametrize("moment", ["examining", "writing", "finishing", "moving"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_whatever_happens_nothing_half_done_is_left(source, target, monkeypatch, moment, error):
    fill(source, 12)
    count = [0]

    def failing(plain, at):
        def call(*args, **kwargs):
            count[0] += 1
            if count[0] == at:
                raise error
            return plain(*args, **kwargs)

        return call

    if moment == "examining":
        monkeypatch.setattr(pipeline, "prepare_file", failing(pipeline.prepare_file, 7))
    elif moment == "writing":
        monkeypatch.setattr(Path, "write_bytes", failing(Path.write_bytes, 7))
    elif moment == "moving":
        monkeypatch.setattr(pipeline, "rename", failing(pipeline.rename, 2))

    def finish(tally, folder):
        if moment == "finishing":
            raise error

    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else RunError
    with pytest.raises(expected) as caught:
        pipeline.prepare_source(source, target, Settings(), finish, progress=False)
    assert not target.exists()
    assert len(list(source.iterdir())) == 12
    if isinstance(caught.value, RunError):
        assert caught.value.exit_status == 1
        assert "No space left on device" in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole groups of processes only")
@pytest.mark.parametrize(
    ("request_to_end", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (getattr(signal, "SIGHUP", 0), 129)]
)
def test_a_request_to_end_with_workers(source, target, request_to_end, status):
    """The real signal, sent to the command and all its processes in the middle of the work."""
    for k in range(400):
        picture(k % 9, 300).save(source / f"{k:03}.bmp")
    done = subprocess.Popen(
        [sys.executable, "-m", "minigan.prepare", str(source), str(target), "--workers", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c, start_new_session=True,
    )  # fmt: skip
    while not (target / ".minigan-prepare.tmp" / "pictures" / "000003.png").exists():
        assert done.poll() is None
        time.sleep(0.005)
    os.killpg(done.pid, request_to_end)
    out, err = done.communicate(timeout=60)
    assert (done.returncode, out) == (status, "")
    assert err.endswith("minigan: stopped\n") or request_to_end != signal.SIGINT
    assert "Traceback" not in err
    assert "Warning" not in err
    assert not target.exists()


# ---- The command ----


def test_summary_and_reports(source, target, capsys):
    fill(source, 30)
    (source / "a.png").write_bytes(b"")
    (source / "notes.txt").write_text("hello", encoding="utf-8")
    picture(4).save(source / "z.png")
    picture(99, grey=True).save(source / "grey.png")
    status, out, err = call(capsys, source, target, "--size", 32, "--colour-only", "--workers", 1)
    assert status == 0
    assert out.splitlines() == [
        f"Kept 30 of 34 files of {source}, as {target / 'pictures' / '000000.png'} to 000029.png (32 x 32)",
        "  dropped       1 cannot be read: 1 empty file (0 bytes)",
        "  dropped       1 not an image: 1 not an image",
        "  dropped       1 near-grey",
        "  dropped       1 near-duplicate",
        f"Look at {target / 'report.html'}, and fill in whose drawings they are in DATACARD.md. Then:",
        f"  python -m minigan.train --data {target} --image-size 32",
    ]
    assert "warning: Only 30 images; a few thousand" in err
    report = json.loads((target / "report.json").read_text(encoding="utf-8"))
    assert report["kept"] == 30
    assert report["dropped"]["count"] == 4
    assert report["dropped"]["kinds"]["unreadable"]["reasons"] == [
        {"reason": "empty file (0 bytes)", "count": 1, "examples": ["a.png"]}
    ]
    assert report["settings"]["min_side"] == 16
    assert sum(report["sides"]["sources"]) == sum(report["sides"]["squares"]) == 30
    assert sum(sum(channel) for channel in report["colours"]["levels"]) == 30 * 32 * 32 * 3
    card = (target / "DATACARD.md").read_text(encoding="utf-8")
    assert "# Data card: target" in card
    assert "| Licence, and whether they" in card
    assert card.count("(fill in)") == 5
    assert "| dropped: near-duplicate | 1 |" in card
    assert "No faces were searched for" in card
    assert f"    python -m minigan.prepare {source} {target} --size 32 --colour-only --workers 1\n" in card
    assert len(rows(target)) == 34


def test_the_page_stands_alone_and_trusts_no_name(source, target, capsys):
    fill(source, 2)
    picture(1).save(source / "002-like.png")
    hostile = '<img src=x onerror=alert(1)>&".png' if os.name != "nt" else "&amp;'.png"
    picture(9).save(source / hostile)
    (source / ("=1+1" + hostile)).write_bytes(b"")
    status, _, _ = call(capsys, source, target, "--workers", 1)
    assert status == 0
    page = (target / "report.html").read_text(encoding="utf-8")
    assert hostile not in page
    assert "onerror" not in page or "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "Content-Security-Policy" in page
    assert page.count("<img ") == 3 + 2 + 1  # kept, one pair, the average
    assert "./=1+1" + hostile in rows(target)  # no formula for a spreadsheet


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--size", "48"], "--size"),
        (["--margin", "0.5"], "--margin: must be between 1 and 4"),
        (["--margin", "nan"], "--margin: must be between 1 and 4"),
        (["--margin", "wide"], "must be a number, got 'wide'"),
        (["--min-side", "0"], "--min-side: must be 1 or more"),
        (["--workers", "0"], "--workers: must be 1 or more, got 0"),
        (["--no-face", "crop"], "--no-face: .*without --cascade"),
        (["--cascad", "x"], "unrecognized arguments"),
        (["--cascade", ""], "must be a path"),
    ],
)
def test_options_that_are_refused(source, target, capsys, options, words):
    fill(source, 1)
    status, out, err = call(capsys, source, target, *options)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert re.search(words, err), err
    assert not target.exists()


def test_a_mistake_is_one_line_in_a_process_of_its_own(tmp_path):
    assert "there is no folder or archive" in refused(tmp_path / "none", tmp_path / "target")


def test_what_was_done_says_what_was_done():
    from minigan.data.prepare.data_card import steps

    plain = " ".join(steps(Settings(keep_duplicates=True), False))
    assert "central square" in plain
    assert "nearly equal" not in plain
    assert "colours" not in plain.replace("colours of the edge", "")
    full = " ".join(steps(Settings(colour_only=True, pad=True), True))
    for words in (
        "biggest face found, 1.5 times",
        "filled up",
        "if no face was found",
        "almost no colours",
        "nearly equal",
    ):
        assert words in full
    assert "central square where no face" in " ".join(steps(Settings(crop_faceless=True), True))


def test_detection_parameters_fit_together():
    assert face_detector.SEARCHED_SIDE > 10 * face_detector.SMALLEST
