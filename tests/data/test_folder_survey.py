"""``python -m minigan.data info``: it counts what training would see, and warns of what is odd."""

import sys

import numpy as np
import pytest
from PIL import Image

from minigan.data import __main__ as command
from minigan.data import folder_survey
from minigan.data.open import open_images
from minigan.system.cli import run_command


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def picture(seed, size=(64, 64)):
    fields = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(fields).resize(size, Image.Resampling.NEAREST)


def call(capsys, *arguments):
    """Exit status, the lines by their first word, and the warnings."""
    status = run_command(command.main, ["info", *map(str, arguments)])
    captured = capsys.readouterr()
    lines = {line[:12].strip(): line[12:] for line in captured.out.splitlines()}
    return status, lines, [line for line in captured.err.splitlines() if line.startswith("minigan: ")]


def test_everything_is_told(folder, capsys, tmp_path):
    for k in range(6):
        picture(k).save(folder / f"{k}.png")
    picture(6, (200, 100)).save(folder / "wide.jpg")
    picture(7, (30, 30)).convert("L").save(folder / "small grey.png")
    picture(0).save(folder / "copy.bmp")
    picture(1).save(folder / "nearly.jpg", quality=90)
    (folder / "a.png").write_bytes(b"")
    (folder / "notes.txt").write_text("hello", encoding="utf-8")
    status, lines, warnings = call(capsys, folder)
    assert status == 0
    assert lines.pop("folder") == str(folder)
    assert lines.pop("images") == "10 usable of 12 files"
    assert lines.pop("not used") == "1 empty file (0 bytes) (a.png)"
    assert lines.pop("") == "1 not an image (notes.txt)"
    assert lines.pop("sizes") == "8 64x64, 1 30x30, 1 200x100"
    assert lines.pop("modes") == "9 RGB, 1 L"
    assert lines.pop("formats") == "7 PNG, 2 JPEG, 1 BMP"
    assert lines.pop("training") == (
        "sees 64 x 64: 1 (10.0 %) enlarged, 1 (10.0 %) reduced, 1 (10.0 %) lose a fifth or more to the central square"
    )
    assert lines.pop("duplicates") == "1 (10.0 %) equal to an earlier one; 2 (20.0 %) nearly equal to an earlier one"
    assert lines.pop("grey") == "1 (10.0 %) with almost no colours"
    cached = list((tmp_path / "cache").glob("*.npy"))
    assert lines.pop("cache") == f"{cached[0]}, 0.1 MB, written now, so that training starts at once"
    assert "a batch of 64: 3.1 MB" in lines.pop("memory")
    assert lines.pop("fingerprint") == open_images(folder, image_size=64, progress=False).fingerprint
    assert not lines
    assert [warning.partition("warning: ")[2].partition(":")[0] for warning in warnings] == [
        "only 10 images",
        "2 (16.7 %) of the files are not used",
        "2 (20.0 %) of the images are there more than once and weigh more",
        "1 (10.0 %) of the images have almost no colours, and so will some of the faces",
        "1 (10.0 %) of the images are far from square, and only their middle is seen",
        "1 (10.0 %) of the images are less than half of 64 pixels wide or high",
    ]


def test_the_second_time_the_cache_is_there(folder, capsys):
    picture(0).save(folder / "x.png")
    assert "written now" in call(capsys, folder)[1]["cache"]
    assert call(capsys, folder)[1]["cache"].endswith("was there")
    assert "written now" in call(capsys, folder, "--image-size", 32)[1]["cache"]


def test_nothing_is_odd_about_a_good_set(folder, capsys, monkeypatch):
    monkeypatch.setattr(folder_survey, "FEW_IMAGES", 20)
    for k in range(20):
        picture(k).save(folder / f"{k}.png")
    status, lines, warnings = call(capsys, folder)
    assert (status, warnings) == (0, [])
    assert lines["images"] == "20 usable"
    assert lines["duplicates"].startswith("none equal to an earlier one; none nearly")


def test_without_imagehash_equal_images_are_counted(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagehash", None)
    picture(0).save(folder / "a.png")
    picture(0).save(folder / "b.png")
    _, lines, warnings = call(capsys, folder)
    assert lines["duplicates"] == (
        "1 (50.0 %) equal to an earlier one; nearly equal ones are counted where imagehash is installed"
    )
    assert "1 (50.0 %) of the images are there more than once" in warnings[1]


@pytest.mark.parametrize("count", [1, 3, 250])
def test_sheet(folder, capsys, tmp_path, count):
    for k in range(count):
        Image.new("RGB", (32, 32), (k, 0, 0)).save(folder / f"{k:03}.png")
    status, lines, _ = call(capsys, folder, "--image-size", 32, "--sheet", tmp_path / "sheet.png")
    shown = min(count, command.SHEET)
    assert status == 0
    assert lines["sheet"] == f"{tmp_path / 'sheet.png'}: {shown} of the images, as training sees them"
    with Image.open(tmp_path / "sheet.png") as sheet:
        columns = int(np.ceil(np.sqrt(shown)))
        assert sheet.width == 2 * (columns * 34 + 2)
        reds = np.asarray(sheet)[36::68, 36::68, 0].ravel()[:shown]
    np.testing.assert_array_equal(reds, [k * count // shown for k in range(shown)])


def test_sheets_that_are_refused(folder, capsys, tmp_path):
    picture(0).save(folder / "x.png")
    (tmp_path / "there.png").write_bytes(b"mine")
    (tmp_path / "folder.png").mkdir()
    for path, words in {
        tmp_path / "sheet.txt": "must end in one of .png",
        tmp_path / "none" / "sheet.png": "does not exist",
        tmp_path / "there.png": "exists already; --force replaces it",
        tmp_path / "folder.png": "is a folder",
        folder / "sheet.png": "would lie among the images to train on",
    }.items():
        status, lines, errors = call(capsys, folder, "--sheet", path)
        assert (status, lines, len(errors)) == (2, {}, 1)
        assert errors[0].startswith("minigan: error: --sheet: ")
        assert words in errors[0]
    assert (tmp_path / "there.png").read_bytes() == b"mine"
    assert call(capsys, folder, "--sheet", tmp_path / "there.png", "--force")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the following arguments are required"),
        (["x", "--image-size", "48"], "--image-size"),
        (["nowhere"], "the data folder must exist"),
        ([""], "must be a path"),
    ],
)
def test_calls_that_are_refused(capsys, arguments, words):
    status, lines, errors = call(capsys, *arguments)
    assert (status, lines, len(errors)) == (2, {}, 1)
    assert words in errors[0]


def test_an_archive_is_not_for_looking_at(folder, capsys):
    (folder / "x.zip").write_bytes(b"PK")
    _, _, errors = call(capsys, folder / "x.zip")
    assert "an archive must be unpacked first, or prepared: python -m minigan.prepare" in errors[0]
