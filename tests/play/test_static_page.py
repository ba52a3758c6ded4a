"""The page as a folder: complete or not there, and no files of others are lost."""

import errno
import json
import re
from pathlib import Path

import pytest
from explored import explorable

from minigan.play.browser_generator import pack
from minigan.play.face_text import weights_hash
from minigan.play.static_page import MARK, write_folder
from minigan.system.errors import RunError, UserError


@pytest.fixture(scope="module")
def subject():
    return explorable()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_in_it(subject, tmp_path):
    folder = tmp_path / "site"
    size = write_folder(folder, subject)
    files = contents(folder)
    assert size == sum(map(len, files.values()))
    assert size - len(pack(subject.generator)[1]) < 200_000  # with the article's generator, 8 MB in all
    page = files["index.html"].decode()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    plan, numbers = pack(subject.generator)
    name = f"generator-{weights_hash(subject.generator)}.bin"
    assert (data["engine"], data["network"]) == ("browser", {"file": name, "layers": plan})
    assert files[name] == numbers
    assert sorted([*files[MARK].decode().splitlines(), MARK]) == sorted(files)
    for script in (name for name in files if name.endswith(".js")):  # what scripts import is there
        imported = re.findall(r'from "\./([^"]+)"', files[script].decode())
        assert set(imported) <= files.keys()


def test_nothing_in_it_comes_from_elsewhere(subject, tmp_path):
    write_folder(tmp_path / "site", subject)
    for name, data in contents(tmp_path / "site").items():
        if not name.endswith(".bin"):
            words = data.decode().replace("http://www.w3.org/2000/svg", "")
            assert not re.search(r"https?://|\beval\b|innerHTML|outerHTML|insertAdjacentHTML|document\.write", words), (
                name
            )


def test_an_empty_folder_and_an_earlier_page_are_replaced(subject, tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    write_folder(folder, subject)
    first = contents(folder)
    (folder / "index.html").write_text("old")
    write_folder(folder, subject)
    assert contents(folder) == first
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_of_an_older_version_nothing_is_left(subject, tmp_path):
    folder = tmp_path / "site"
    write_folder(folder, subject)
    (folder / "older.js").write_text("")
    (folder / MARK).write_text("older.js\n" + (folder / MARK).read_text())
    write_folder(folder, subject)
    assert not (folder / "older.js").exists()


@pytest.mark.parametrize("marked", [False, True])
def test_files_of_others_are_never_lost(subject, tmp_path, marked):
    folder = tmp_path / "site"
    if marked:
        write_folder(folder, subject)
    folder.mkdir(exist_ok=True)
    (folder / "mine.txt").write_text("mine")
    before = contents(folder)
    with pytest.raises(UserError, match=r"^--static: must be a new or empty folder, .* is 'mine.txt'$"):
        write_folder(folder, subject)
    assert contents(folder) == before


def test_a_mark_that_is_no_list_protects(subject, tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / MARK).write_bytes(b"\xff")
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="must be a new or empty folder"):
        write_folder(folder, subject)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("file", "must be a folder, but .* is a file"),
        ("link", "is a file or a link"),
        ("no/site", "the folder .*no does not exist"),
        ("file/site", "cannot be written|does not exist"),
        ("x" * 300, "cannot be written"),
        ("..", "must end in the name of a folder"),
    ],
)
def test_what_cannot_be_a_folder_is_refused(subject, tmp_path, name, words):
    (tmp_path / "file").write_text("")
    (tmp_path / "there").mkdir()
    try:
        (tmp_path / "link").symlink_to("there")
    except OSError:
        pytest.skip("links need a permission here")
    with pytest.raises(UserError, match=words):
        write_folder(tmp_path / name, subject)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "there"]


@pytest.mark.parametrize("earlier", [False, True])
def test_after_a_full_disk_nothing_has_changed(subject, tmp_path, monkeypatch, earlier):
    folder = tmp_path / "site"
    if earlier:
        write_folder(folder, subject)
    before = contents(folder) if earlier else None
    write = Path.write_bytes

    def full(path, data):
        if path.name == "index.html":
            return write(path, data)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RunError, match="No space left"):
        write_folder(folder, subject)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == (["site"] if earlier else [])
    assert not earlier or contents(folder) == before


def test_if_it_cannot_be_renamed_the_earlier_one_comes_back(subject, tmp_path, monkeypatch):
    folder = tmp_path / "site"
    write_folder(folder, subject)
    before = contents(folder)
    rename = Path.rename

    def refuse(path, target):
        if Path(target) == folder and path.name != "old":
            raise OSError(errno.EACCES, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(UserError, match="Permission denied"):
        write_folder(folder, subject)
    monkeypatch.undo()
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
