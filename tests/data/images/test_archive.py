"""Archives: the same images as from a folder, nothing written elsewhere, and limits on time, disk and memory."""

import bz2
import gzip
import io
import lzma
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minigan.data.images import archive
from minigan.data.images.archive import open_archive
from minigan.data.prepare import pipeline
from minigan.data.prepare.prepared_file import Settings
from minigan.system.errors import UserError


def png(seed=0, size=40):
    fields = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(fields).resize((size, size), Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(*members, **options):
    """A zip; a member is a name or ZipInfo with its content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as file:
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


def tarred(*members, mode="w"):
    """A tar; a member is a name or TarInfo with its content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as file:
        for name, content in members:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            if info.isreg():
                info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def tar_info(name, **values):
    info = tarfile.TarInfo(name)
    for key, value in values.items():
        setattr(info, key, value)
    return info


def zip_info(name, mode=0, **values):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    for key, value in values.items():
        setattr(info, key, value)
    return info


@pytest.fixture
def spool(tmp_path):
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool"


def read(raw, spool, name="x"):
    """Contents and reasons by name; every file that was unpacked belongs to a member."""
    path = spool.parent / name
    path.write_bytes(raw)
    contents, reasons = {}, {}
    with open_archive(path) as opened:
        positions = [0]
        for member in opened.members(spool):
            positions.append(member.position)
            if member.path is None:
                reasons[member.name] = member.reason
            else:
                assert not member.reason
                assert member.path.parent == spool
                contents[member.name] = member.path.read_bytes()
                member.path.unlink()
        assert positions == sorted(positions)
        assert positions[-1] <= opened.length
    assert list(spool.iterdir()) == []
    assert sorted(path.name for path in spool.parent.iterdir()) == sorted({name, "spool"})
    return contents, reasons


FILES = [("a.png", png(1)), ("sub/b.png", png(2)), ("./c.png", png(3)), ("empty.png", b"")]

KINDS = {
    "zip": lambda members: zipped(*members),
    "deflated zip": lambda members: zipped(*members, compression=zipfile.ZIP_DEFLATED),
    "zip behind a program": lambda members: b"MZ" + bytes(1000) + zipped(*members),
    "tar": lambda members: tarred(*members),
    "gz": lambda members: tarred(*members, mode="w:gz"),
    "bz2": lambda members: tarred(*members, mode="w:bz2"),
    "xz": lambda members: tarred(*members, mode="w:xz"),
    "two xz streams": lambda members: two_streams(lzma.compress, tarred(*members)),
    "two gz streams": lambda members: two_streams(gzip.compress, tarred(*members)),
    "two bz2 streams": lambda members: two_streams(bz2.compress, tarred(*members)),
}


def two_streams(compress, raw):
    padding = bytes(8) if compress is lzma.compress else b""
    return compress(raw[:700]) + padding + compress(raw[700:])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_archive(spool, kind):
    contents, reasons = read(KINDS[kind](FILES), spool)
    assert contents == dict(FILES)
    assert reasons == {}


@pytest.mark.parametrize("kind", ["zip", "gz"])
def test_an_archive_gives_what_its_folder_gives(tmp_path, kind):
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    members = [(f"sub/{k}.png", png(k)) for k in range(5)] + [("x.png", b"broken"), ("y.txt", b"text")]
    for name, content in members:
        (tmp_path / "folder" / name).write_bytes(content)
    (tmp_path / "archive").write_bytes(KINDS[kind](members))
    lists, pixels = [], []
    for source in ("folder", "archive"):
        target = tmp_path / f"from-{source}"
        tally = pipeline.prepare_source(tmp_path / source, target, Settings(), lambda *_: None, progress=False)
        lists.append((target / "pictures.csv").read_bytes())
        pixels.append(tally.fingerprint)
    assert lists[0] == lists[1]
    assert pixels[0] == pixels[1]


def test_an_archive_is_unpacked_in_turn_and_workers_read_it(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "FEW", 0)
    (tmp_path / "x.tar").write_bytes(tarred(*((f"{k}.png", png(k)) for k in range(60))))
    most = [0]
    plain = pipeline._take

    def counting(source, prepared, images, *args):
        most[0] = max(most[0], len(list((images.parent / "unpacked").iterdir())))
        return plain(source, prepared, images, *args)

    monkeypatch.setattr(pipeline, "_take", counting)
    monkeypatch.setattr(pipeline, "_CHUNK", 2)
    target = tmp_path / "target"
    tally = pipeline.prepare_source(tmp_path / "x.tar", target, Settings(), lambda *_: None, workers=2, progress=False)
    assert tally.kept == 60
    assert most[0] <= 12
    assert sorted(path.name for path in target.iterdir()) == ["pictures", "pictures.csv"]


HIDDEN = [".a.png", "sub/.b/c.png", "__MACOSX/d.png", "e/._f.png", "DATACARD.md"]
STRANGE = ["/etc/passwd.png", "../up.png", "a/../../up.png", "..\\up.png", "C:\\x.png", "c:x.png", "\\\\host\\x.png"]


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_lead_elsewhere(spool, pack):
    contents, reasons = read(pack(*((name, png()) for name in [*STRANGE, *HIDDEN, "good.png"])), spool)
    assert list(contents) == ["good.png"]
    assert len(reasons) == len(STRANGE)
    for name, reason in reasons.items():
        expected = "leads out of" if ".." in name else "an absolute name"
        assert expected in reason, name


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_are_odd_but_harmless(spool, pack):
    names = ["two\nlines.png", "ünï 顔.png", "a" * 300 + ".png", "dot.", "con.png", "=1+1.png", "<b>.png", "a\u202eb"]
    assert read(pack(*((name, png()) for name in names)), spool) == ({name: png() for name in names}, {})


def test_equal_names_are_two_files(spool):
    raw = tarred(("a.png", b"1"), ("a.png", b"2"))
    path = spool.parent / "x"
    path.write_bytes(raw)
    with open_archive(path) as opened:
        assert [member.path.read_bytes() for member in opened.members(spool)] == [b"1", b"2"]


def test_members_of_a_zip_that_are_no_files(spool):
    raw = zipped(
        (zip_info("link.png", 0o120777), b"/etc/passwd"),
        (zip_info("device.png", 0o020666), b""),
        (zip_info("folder.png/", 0o040755), b""),
        (zip_info("file.png", 0o100644), b"1"),
        ("inner.zip", zipped(("a.png", b"1"))),
        ("inner.TGZ", b"1"),
    )
    contents, reasons = read(raw, spool)
    assert contents == {"file.png": b"1"}
    assert reasons == {
        "link.png": "a link",
        "device.png": "not a regular file",
        "inner.zip": "an archive in the archive, not opened",
        "inner.TGZ": "an archive in the archive, not opened",
    }


def test_members_of_a_tar_that_are_no_files(spool):
    sparse = tar_info("sparse.png", pax_headers={"GNU.sparse.map": "0,4", "GNU.sparse.size": "1000000000000"})
    raw = tarred(
        (tar_info("link.png", type=tarfile.SYMTYPE, linkname="/etc/passwd"), b""),
        (tar_info("hard.png", type=tarfile.LNKTYPE, linkname="file.png"), b""),
        (tar_info("device.png", type=tarfile.CHRTYPE), b""),
        (tar_info("pipe.png", type=tarfile.FIFOTYPE), b""),
        (tar_info("folder.png", type=tarfile.DIRTYPE), b""),
        (sparse, b"1234"),
        ("file.png", b"1"),
    )
    contents, reasons = read(raw, spool)
    assert contents == {"file.png": b"1"}
    assert reasons == {
        "link.png": "a link",
        "hard.png": "a link",
        "device.png": "not a regular file",
        "pipe.png": "not a regular file",
        "sparse.png": "a sparse file",
    }


def patched(raw, old, new, which=0):
    """Bytes with one occurrence replaced."""
    places = [k for k in range(len(raw)) if raw.startswith(old, k)]
    at = places[which]
    return raw[:at] + new + raw[at + len(old) :]


def test_damaged_members_of_a_zip(spool):
    """Each member in turn is made wrong; the members around it are still read."""
    good = zipped(("a.png", b"first"), ("b.png", b"second"), ("c.png", b"third"))
    for raw, reason in [
        (patched(good, b"second", b"sECOND"), "damaged in the archive (Bad CRC-32 for file 'b.png')"),
        (patched(good, b"b.png", b"B.png"), "damaged in the archive"),
        (patched(good, b"PK\3\4", b"PK\3\5", 1), "damaged in the archive"),
        (patched(good, b"PK\1\2\x14\x03\x14\0\0\0", b"PK\1\2\x14\x03\x14\0\1\0", 1), "encrypted"),
    ]:
        contents, reasons = read(raw, spool)
        assert contents == {"a.png": b"first", "c.png": b"third"}
        assert list(reasons) == ["b.png"]
        assert reasons["b.png"].startswith(reason)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 99])
def test_methods_that_cannot_be_bounded_are_not_unpacked(spool, method):
    """Python's zipfile unpacks a megabyte of bzip2 to gigabytes at once, and LZMA gets all the memory it asks for."""
    if method == 99:
        raw = patched(zipped(("a.png", b"12345")), b"PK\1\2\x14\x03\x14\0\0\0\0\0", b"PK\1\2\x14\x03\x14\0\0\0\x63\0")
    else:
        raw = zipped(("a.png", bytes(5000)), compression=method)
    assert read(raw, spool) == ({}, {"a.png": "packed in a way that is not read"})


def test_a_tar_that_is_damaged_is_read_up_to_the_damage(spool):
    good = tarred(("a.png", png(1)), ("b.png", png(2)), ("c.png", png(3)))
    size = 512 + -(-len(png(1)) // 512) * 512
    garbled = bytearray(good)
    garbled[size : size + 512] = b"\xaa" * 512
    for raw in (bytes(garbled), good[: size + 200], good[: size + 512 + 3], good[: 2 * size - 400]):
        contents, reasons = read(raw, spool)
        assert contents == {"a.png": png(1)}
        assert reasons
        assert all("damaged" in reason for reason in reasons.values())


def test_a_tar_without_an_end_mark_is_whole(spool):
    good = tarred(("a.png", png(1)))
    end = 512 + -(-len(png(1)) // 512) * 512
    assert read(good[:end], spool) == ({"a.png": png(1)}, {})
    assert read(good[:end] + bytes(512), spool) == ({"a.png": png(1)}, {})


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_tar_that_is_damaged(spool, compress):
    noise = np.random.default_rng(0).bytes(3_000_000)
    raw = compress(tarred(("a.png", b"1"), ("b.png", noise), ("c.png", b"3")))
    contents, reasons = read(raw[: len(raw) // 2], spool)
    assert contents == {"a.png": b"1"}
    assert set(reasons) == {"b.png", "..."}
    garbled = bytearray(raw)
    garbled[len(raw) // 2 :] = bytes(len(raw) - len(raw) // 2)
    contents, reasons = read(bytes(garbled), spool)
    assert set(contents) <= {"a.png", "b.png", "c.png"}  # gzip notices it only at its end
    assert any("damaged" in reason for reason in reasons.values())


def negative_size(last=b"\x00"):  # -256
    raw = bytearray(tarred(("a.png", b"1"), ("b.png", b"2")))
    raw[124:136] = b"\xff" * 11 + last
    raw[148:156] = b"        "
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    return bytes(raw)


def huge_header():
    """A header that claims to be a gigabyte long."""
    raw = bytearray(tarred((tar_info("x" * 300, size=1), b"1")))
    assert raw[156:157] == tarfile.GNUTYPE_LONGNAME or raw[156:157] == tarfile.XHDTYPE
    raw[124:136] = b"%011o\0" % 1_000_000_000
    raw[148:156] = b"        "
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    return bytes(raw)


def chained_headers():
    """Each header says that the next one has the long name; tarfile calls itself for each."""
    block = bytearray(tarred((tar_info("x" * 300), b""))[:1024])
    return bytes(block) * 5000


@pytest.mark.parametrize("make", [negative_size, huge_header, chained_headers])
def test_tars_made_to_hurt(spool, make):
    try:
        contents, _ = read(make(), spool)
    except UserError as error:
        assert str(error).isprintable()  # noqa: PT017 -- either will do
    else:
        assert contents.keys() <= {"a.png"}


def test_a_member_of_negative_size_is_not_read(spool):
    """The rest of the archive in one go, whatever the limits: that is what reading -1 bytes means."""
    contents, reasons = read(negative_size(b"\xff"), spool)
    assert contents == {}
    assert reasons["a.png"] == "damaged in the archive (a negative size)"


def test_a_name_that_is_marked_as_utf_8_and_is_not(spool):
    raw = zipped((zip_info("\xe4.png", flag_bits=0x800), b"1"))
    with pytest.raises(UserError, match=r"x is damaged .*utf-8"):
        read(raw.replace("\xe4.png".encode(), b"\xff\xff.png"), spool)


def test_a_member_without_a_name(spool):
    raw = zipped(("x.png", b"1"), ("a.png", b"2"))
    contents, _ = read(raw.replace(b"x.png", b"\0.png"), spool)
    assert contents["a.png"] == b"2"


# ---- Bombs ----


def zeros_zip(members, size):
    return zipped(*((f"{k}.png", bytes(size)) for k in range(members)), compression=zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize("kind", ["zip", "gz", "bz2", "xz"])
def test_what_all_members_unpack_to_is_bounded(spool, monkeypatch, kind):
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED", 5_000_000)
    members = [(f"{k}.png", bytes(1_000_000)) for k in range(8)]
    raw = zeros_zip(8, 1_000_000) if kind == "zip" else KINDS[kind](members)
    with pytest.raises(UserError, match="that is a bomb"):
        read(raw, spool)
    assert sum(path.stat().st_size for path in spool.iterdir()) <= 5_000_000
    for path in spool.iterdir():
        path.unlink()
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED", 10_000_000)
    assert len(read(raw, spool)[0]) == 8


@pytest.mark.parametrize("kind", ["deflated zip", "gz"])
def test_what_is_passed_over_counts_too_where_it_must_be_unpacked(spool, monkeypatch, kind):
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED", 1_000_000)
    monkeypatch.setattr(archive, "MAX_BYTES", 400_000)
    raw = KINDS[kind]([("large.png", bytes(5_000_000)), ("good.png", b"1")])
    if kind == "gz":
        with pytest.raises(UserError, match="that is a bomb"):
            read(raw, spool)
    else:
        assert read(raw, spool) == ({"good.png": b"1"}, {"large.png": "too large: 5 MB, limit is 0 MB"})


def test_a_zip_that_claims_less_than_it_holds(spool):
    raw = bytearray(zipped(("a.png", bytes(100_000)), compression=zipfile.ZIP_DEFLATED))
    at = raw.index(b"PK\1\2") + 24
    assert struct.unpack_from("<I", raw, at)[0] == 100_000
    struct.pack_into("<I", raw, at, 10)
    contents, reasons = read(bytes(raw), spool)
    assert contents == {}
    assert "damaged" in reasons["a.png"]


def test_a_long_list_of_members_is_refused(spool, monkeypatch):
    monkeypatch.setattr(archive, "MAX_DIRECTORY", 2_000)
    with pytest.raises(UserError, match="the list of members of the archive"):
        read(zipped(*((f"{k}.png", b"") for k in range(100))), spool)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 10)
    with pytest.raises(UserError, match="more than 10 members"):
        read(tarred(*((f"{k}.png", b"") for k in range(11))), spool)
    for path in spool.iterdir():
        path.unlink()
    assert len(read(tarred(*((f"{k}.png", b"") for k in range(10))), spool)[0]) == 10


def test_an_xz_that_asks_for_much_memory_is_refused(spool):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1_500_000_000}]
    raw = lzma.compress(b"1", filters=filters) if sys.maxsize > 2**32 else b""
    greedy = lzma.LZMADecompressor(memlimit=archive._XZ_MEMORY)
    with pytest.raises(lzma.LZMAError):
        greedy.decompress(raw)
    with pytest.raises(UserError, match="holds no tar archive that can be read"):
        read(raw, spool)


def many_headers(kind):
    """A member behind twenty megabytes of headers, which come from few bytes when they are packed."""
    if kind == "global":
        text = b"".join(b"40 key%07d=%s\n" % (k, b"x" * 25) for k in range(500_000))
        block = tar_info("g", size=len(text))
        block.type = tarfile.XGLTYPE
        return gzip.compress(block.tobuf(tarfile.USTAR_FORMAT) + text + bytes(-len(text) % 512), 1)
    block = bytearray(tarred((tar_info("x" * 300), b""))[:1024])
    return gzip.compress(bytes(block) * 20_000, 1)


@pytest.mark.parametrize("kind", ["global", "names"])
def test_headers_without_end_are_not_read(spool, kind):
    with pytest.raises(UserError, match="headers of more than 200,000 bytes"):
        read(many_headers(kind), spool)


def test_what_is_said_of_all_members_is_forgotten(spool):
    """`tarfile` would copy it for each of them."""
    path = spool.parent / "x.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x" * 10_000}) as tar:
        for name in ("a.png", "b.png"):
            tar.addfile(tar_info(name, size=1), io.BytesIO(b"1"))
    with open_archive(path) as opened:
        names = []
        for member in opened.members(spool):
            names.append(member.name)
            assert not opened._tar.pax_headers
    assert names == ["a.png", "b.png"]


BOMBS = """
import re, sys
from pathlib import Path
from minigan.data.images import archive
from minigan.system.errors import UserError
spool = Path(sys.argv[1])
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1)) // 1024
before = peak()
for path in sorted(spool.parent.glob("*.bomb")):
    try:
        with archive.open_archive(path) as opened:
            for member in opened.members(spool):
                if member.path:
                    member.path.unlink()
    except UserError as error:
        print(path.name, error)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux")
def test_bombs_take_no_memory(spool):
    zeros = tarred(("a.png", bytes(100_000_000)))
    folder = spool.parent
    (folder / "1.bomb").write_bytes(zeros_zip(1, 100_000_000))
    (folder / "2.bomb").write_bytes(gzip.compress(zeros, 1))
    (folder / "3.bomb").write_bytes(bz2.compress(zeros, 1))
    (folder / "4.bomb").write_bytes(lzma.compress(zeros, preset=0))
    (folder / "5.bomb").write_bytes(huge_header())
    (folder / "6.bomb").write_bytes(many_headers("global"))
    (folder / "7.bomb").write_bytes(many_headers("names"))
    done = subprocess.run(
        [sys.executable, "-c", BOMBS, str(spool)], capture_output=True, text=True, check=True, timeout=120
    )
    *messages, grown = done.stdout.splitlines()
    assert int(grown) < 25  # MB
    assert [message.split()[0] for message in messages] == ["5.bomb", "6.bomb", "7.bomb"]


# ---- Anything at all ----


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_any_damage_is_told_or_read_over(tmp_path_factory, kind, data):
    raw = bytearray(KINDS[kind](FILES))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    folder = tmp_path_factory.mktemp("any")
    (folder / "spool").mkdir()
    try:
        contents, reasons = read(bytes(raw[:cut] if data.draw(st.booleans()) else raw), folder / "spool")
    except UserError as error:
        assert str(error).isprintable()  # noqa: PT017 -- most damage is no error
    else:
        assert all("\n" not in reason for reason in reasons.values())
        assert sum(map(len, contents.values())) < 1_000_000


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("empty.zip", b""), ("empty.tar", b""), ("text.zip", b"hello"), ("text.tar", b"hello"), ("x.gz", b"\x1f\x8b"),
        ("x.gz", gzip.compress(b"no tar in here")), ("x.bz2", b"BZh9"), ("x.xz", b"\xfd7zXZ\0"),
        ("x.rar", b"Rar!\x1a\7\0"), ("x.7z", b"7z\xbc\xaf\x27\x1c"),
        ("x.zst", b"\x28\xb5\x2f\xfd"),
        ("end.zip", b"PK\5\6"), ("x.png", png()),
        ("cut.zip", zipped(*FILES)[:-10]), ("no list.zip", zipped(*FILES)[: zipped(*FILES).index(b"PK\1\2")]),
        ("bad list.zip", zipped(*FILES).replace(b"PK\1\2", b"PK\1\3")),
    ],
    ids=lambda value: value if isinstance(value, str) else str(len(value)),  # the bytes hold the time of day
)  # fmt: skip
def test_files_that_are_no_archives(spool, name, raw):
    with pytest.raises(UserError) as caught:
        read(raw, spool, name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("raw", [zipped(), tarred(), gzip.compress(bytes(10240))], ids=["zip", "tar", "tar.gz"])
def test_archives_that_hold_nothing(tmp_path, raw):
    (tmp_path / "x.tar").write_bytes(raw)
    with pytest.raises(UserError, match="holds no file"):
        pipeline.prepare_source(tmp_path / "x.tar", tmp_path / "y", Settings(), lambda *_: None, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar"]


def test_an_archive_that_cannot_be_opened(tmp_path, monkeypatch):
    def denied(path, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "x.zip").write_bytes(zipped(*FILES))
    monkeypatch.setattr(Path, "open", denied)
    opened = open_archive(tmp_path / "x.zip")
    with pytest.raises(UserError, match=r"x\.zip cannot be opened \(Permission denied\)"):
        opened.__enter__()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<!DOCTYPE html>", r"it is a web page \(HTML\)\. Download the file itself"),
        (b"version https://git-lfs.github.com/spec/v1\n", r"it is a pointer of git LFS.*\. Run git lfs pull"),
        (b"7z\xbc\xaf\x27\x1c", "it is a 7z archive\\.$"),
        (png(), r"it is an image \(PNG\)\.$"),
        (b"", r"it is empty\. "),
        (zipped(("a.png", png()))[:-30], r"it is a zip archive without its end\. Copy or download it again\.$"),
        (b"something", "unpack other archives first$"),
    ],
)
def test_what_a_file_is_that_is_no_archive(tmp_path, content, told):
    (tmp_path / "faces.zip").write_bytes(content)
    with (
        pytest.raises(UserError, match=rf"is neither a folder nor an archive .*: {told}"),
        open_archive(tmp_path / "faces.zip"),
    ):
        pass


# ---- A Python that was built without a library for packing ----

WITHOUT = """
import sys
for name in {without}:
    sys.modules[name] = None  # importing it raises ImportError
from minigan import prepare
from minigan.data import __main__ as data
from minigan.system.cli import run_command
command = {{"prepare": prepare.main, "data": data.main}}[sys.argv[1]]
sys.exit(run_command(command, sys.argv[2:]))
"""


def call_without(modules, *arguments):
    command = [sys.executable, "-c", WITHOUT.format(without=modules), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, [line for line in done.stderr.splitlines() if "error" in line or "Traceback" in line]


PACKED = {
    "gzip": (("zlib", "gzip"), tarred(("a.png", png()), mode="w:gz")),
    "bzip2": (("_bz2", "bz2"), tarred(("a.png", png()), mode="w:bz2")),
    "xz": (("_lzma", "lzma"), tarred(("a.png", png()), mode="w:xz")),
}


@pytest.mark.parametrize("name", PACKED)
def test_only_an_archive_of_a_kind_that_python_lacks_is_refused(tmp_path, name):
    missing, content = PACKED[name]
    source, target = tmp_path / "archive", tmp_path / "target"
    source.write_bytes(content)
    status, lines = call_without(missing, "prepare", source, target, "--keep-duplicates")
    assert (status, len(lines)) == (2, 1)
    assert f"is packed by {name}, and this Python was built without that: unpack it first" in lines[0]
    assert not target.exists()


def test_without_any_of_them_folders_and_plain_archives_are_read(tmp_path):
    """All but zlib, which the package imagehash needs."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.png").write_bytes(png())
    (tmp_path / "plain.tar").write_bytes(tarred(("a.png", png())))
    (tmp_path / "plain.zip").write_bytes(zipped(("a.png", png())))
    missing = ("_bz2", "bz2", "_lzma", "lzma")
    for source in ("folder", "plain.tar", "plain.zip"):
        target = tmp_path / f"of {source}"
        assert call_without(missing, "prepare", tmp_path / source, target) == (0, [])
        assert (target / "pictures/000000.png").is_file()
    assert call_without(missing, "data", "info", tmp_path / "folder") == (0, [])


def test_without_zlib_packed_members_of_a_zip_say_so(tmp_path, monkeypatch):
    (tmp_path / "x.zip").write_bytes(zipped(("a.png", png()), compression=zipfile.ZIP_DEFLATED))
    monkeypatch.setattr(archive, "_zlib", None)
    with open_archive(tmp_path / "x.zip") as opened:
        (member,) = opened.members(tmp_path)
    assert member.reason == "packed, and this Python was built without what unpacks it (zlib)"
