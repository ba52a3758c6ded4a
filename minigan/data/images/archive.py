"""Archives of images, zip or tar, read member by member without trusting anything in them.

Whoever packed an archive may have written any names and sizes into it. So no name in it is ever used to write a file: a
member is unpacked to a file named by a number, in a folder of the caller's, and its own name is only for reports.
Members that are not regular files, and names that lead out of the archive, are skipped with a reason. There are limits
on the bytes that one member and all members together unpack to, on what is in memory at once, and on the memory that a
decompressor may ask for. Archives inside the archive are not opened. A damaged archive is read up to the damage.
`minigan.data.prepare.pipeline` prepares the members one after another.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from minigan.data.images.decode import MAX_BYTES, system_reason
from minigan.data.images.image_folder import is_ignored
from minigan.data.printable_text import printable
from minigan.system.errors import UserError
from minigan.system.file_kinds import ADVICE, ENOUGH, kind_of

MAX_RATIO = 100
"""All members together may unpack to this many times the archive's own size. Images hardly shrink in an archive."""

ALWAYS_ALLOWED = 1_000_000_000
"""Bytes that every archive may unpack to, however small it is."""

MAX_DIRECTORY = 16_000_000
"""Limit on a zip's list of members, in bytes (some 200,000 members): read at once, to ten times as much memory."""

MAX_MEMBERS = 1_000_000
"""Limit on the members of a tar."""

MAX_HEADERS = 200_000
"""Limit on the headers of one member of a tar, in bytes: long names and the like, which `tarfile` keeps in memory."""

SUFFIXES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".7z", ".rar", ".zst"})
"""Suffixes of archives. An archive inside another one, or in a folder, is not opened."""

_BLOCK = 1_000_000
_XZ_MEMORY = 256_000_000
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # with others, Python unpacks blocks of any size at once


def _module(name: str) -> Any:
    """A module of the standard library that some Pythons are built without, then None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


_bz2, _gzip, _lzma, _zlib = (_module(name) for name in ("bz2", "gzip", "lzma", "zlib"))
_DAMAGE = (
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    *([_lzma.LZMAError] if _lzma else []),
    *([_zlib.error] if _zlib else []),
)


@dataclass(frozen=True)
class Member:
    """One member of an archive.

    Attributes
    ----------
    name : str
        As it is in the archive, so it can be anything: for reports, never for a path.
    path : Path or None
        The file it was unpacked to, which the caller has to remove; None if it was not unpacked.
    reason : str
        Why it was not unpacked, in plain words.
    position : int
        How much of the archive's `length` has been read.
    """

    name: str
    path: Path | None
    reason: str
    position: int


class Archive(Protocol):
    """An opened archive.

    Attributes
    ----------
    length : int
        The largest `Member.position`.
    unit : str
        Unit of `length`: files, or bytes where the number of files is not known beforehand.
    """

    length: int
    unit: str

    def members(self, folder: Path) -> Iterator[Member]:
        """Unpack member after member into a folder, in the archive's order; folders and hidden files are left out.

        Raises
        ------
        UserError
            If the archive is a bomb.
        OSError
            If a file cannot be written.
        """
        ...


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a zip, a tar, or a tar packed by gzip, bzip2 or xz. Its content says which, not its name.

    Parameters
    ----------
    path : Path
        A regular file.

    Yields
    ------
    Archive

    Raises
    ------
    UserError
        If it is none of these, cannot be opened, is damaged from the start, or asks for too much memory.
    """
    with contextlib.ExitStack() as stack:
        try:
            archive = _opened(path, stack)
        except UserError:
            raise
        except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError) as error:  # ValueError: a name
            raise UserError(f"the archive {printable(path)} is damaged ({printable(error)})") from None
        except OSError as error:
            raise UserError(f"{printable(path)} cannot be opened ({system_reason(error)})") from None
        yield archive


def _opened(path: Path, stack: contextlib.ExitStack) -> Archive:
    file = stack.enter_context(path.open("rb"))
    head = file.read(512)
    size = file.seek(0, io.SEEK_END)
    packed = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    # First the tars: a zip is recognised by its end, and the last file in a tar may be a zip.
    is_tar = packed is not None or head[257:262] == b"ustar"
    if not is_tar and zipfile.is_zipfile(file):
        reader = stack.enter_context(_ZipReader(path))
        return _Zip(stack.enter_context(zipfile.ZipFile(reader)), _Budget(path, size))
    if is_tar or path.suffix.lower() == ".tar":
        file.seek(0)
        if packed and not {"gzip": _gzip, "bzip2": _bz2, "xz": _lzma}[packed]:
            raise UserError(
                f"the archive {printable(path)} is packed by {packed}, and this Python was built without that: "
                "unpack it first, and prepare the folder"
            )
        raw = stack.enter_context(_unpacked(file, packed))
        return _Tar(path, file, _Stream(raw, _Budget(path, size)), size)
    file.seek(0)
    head = file.read(ENOUGH)
    kind = kind_of(head)
    told = f"it is {kind}. {ADVICE.get(kind, '')}".rstrip() if kind else "unpack other archives first"
    if head.startswith(b"PK\x03\x04"):
        told = "it is a zip archive without its end. Copy or download it again."
    raise UserError(
        f"{printable(path)} is neither a folder nor an archive that can be read (zip, tar, tar.gz, tar.bz2, tar.xz): "
        + told
    )


# ---- Bounds ----


class _Budget:
    """How many bytes an archive may still unpack to."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._limit = max(ALWAYS_ALLOWED, MAX_RATIO * size)
        self._left = self._limit

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise UserError(
                f"the archive {printable(self._path)} unpacks to more than {self._limit / 1e9:,.0f} GB, "
                f"{MAX_RATIO} times its size or more: that is a bomb and not a set of images"
            )


class _ZipReader(io.BufferedReader):
    """A file that refuses to be read at once if it is large; `zipfile` would do that with a long list of members."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._path = path

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > MAX_DIRECTORY:
            raise UserError(
                f"the list of members of the archive {printable(self._path)} takes {size // 1_000_000} MB, limit is "
                f"{MAX_DIRECTORY // 1_000_000} MB: unpack it first, and prepare the folder"
            )
        return super().read(size)


class _Stream:
    """The stream that `tarfile` reads headers from: only forwards, few for each member, and its bytes are counted."""

    def __init__(self, raw: IO[bytes], budget: _Budget) -> None:
        self._raw = raw
        self._budget = budget
        self._position = 0
        self._headers = 0
        self.last = b""

    def begin_member(self) -> None:
        """What is read from now on are the headers of another member."""
        self._headers = 0

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        self._headers += size
        if size < 0 or self._headers > MAX_HEADERS:  # a false length, or one header behind the other
            raise tarfile.ReadError(f"headers of more than {MAX_HEADERS:,} bytes")
        return self.read_content(size)

    def read_content(self, size: int) -> bytes:
        """Bytes of a member, or between two of them."""
        self.last = self._raw.read(size)
        self._position += len(self.last)
        self._budget.spend(len(self.last))
        return self.last

    def seek(self, position: int) -> int:
        if position < self._position:
            raise tarfile.ReadError("a member of negative size")
        while self._position < position and self.read_content(min(position - self._position, _BLOCK)):
            pass
        return self._position


class _XzFile(io.RawIOBase):
    """Like `lzma.LZMAFile`, but with a limit on memory: an xz file may ask for gigabytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = _lzma.LZMADecompressor(memlimit=_XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # BufferedReader passes nothing else
        while True:
            packed = b""
            if self._decoder.eof:  # another stream may follow, after zeros
                packed = self._decoder.unused_data.lstrip(b"\0") or self._file.read(_BLOCK).lstrip(b"\0")
                if not packed:
                    return 0
                self._decoder = _lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
            elif self._decoder.needs_input:
                packed = self._file.read(_BLOCK)
                if not packed:
                    raise EOFError("truncated")
            if data := self._decoder.decompress(packed, len(buffer)):
                buffer[: len(data)] = data
                return len(data)


@contextlib.contextmanager
def _unpacked(file: IO[bytes], packed: str | None) -> Iterator[IO[bytes]]:
    if packed is None:
        yield file
    elif packed == "gzip":
        with _gzip.GzipFile(fileobj=file) as opened:
            yield opened
    elif packed == "bzip2":
        with _bz2.BZ2File(file) as opened:
            yield opened
    else:
        with io.BufferedReader(_XzFile(file), _BLOCK) as opened:
            yield opened


# ---- The two kinds ----


class _Zip:
    unit = "files"

    def __init__(self, opened: zipfile.ZipFile, budget: _Budget) -> None:
        self._zip = opened
        self._budget = budget
        self.length = len(opened.infolist())

    def members(self, folder: Path) -> Iterator[Member]:
        for position, info in enumerate(self._zip.infolist(), start=1):
            name = info.filename
            if name.endswith("/") or _is_hidden(name):
                continue
            path = folder / str(position)
            reason = _objection(name, _kind(info.external_attr >> 16), info.file_size) or self._method(info)
            reason = reason or self._unpack(info, path)
            yield Member(name, None if reason else path, reason, position)

    def _method(self, info: zipfile.ZipInfo) -> str:
        if info.flag_bits & 1:
            return "encrypted"
        if info.compress_type == zipfile.ZIP_DEFLATED and not _zlib:
            return "packed, and this Python was built without what unpacks it (zlib)"
        return "" if info.compress_type in _METHODS else "packed in a way that is not read"

    def _unpack(self, info: zipfile.ZipInfo, path: Path) -> str:
        try:
            source = self._zip.open(info)
        except _DAMAGE as error:
            return _damaged(error)

        def read(size: int) -> bytes:
            self._budget.spend(size)
            return source.read(size)

        with source:
            return _copy(read, info.file_size, path)


class _Tar:
    unit = "B"

    def __init__(self, path: Path, file: IO[bytes], stream: _Stream, size: int) -> None:
        self._path = path
        self._file = file
        self._stream = stream
        self.length = size
        try:
            self._tar = tarfile.TarFile(
                fileobj=stream,  # type: ignore[arg-type]  # it has the methods that are needed for reading
                encoding="utf-8",
                errors="surrogateescape",
            )
        except _DAMAGE as error:
            raise UserError(f"{printable(path)} holds no tar archive that can be read ({printable(error)})") from None

    def members(self, folder: Path) -> Iterator[Member]:
        for number in range(MAX_MEMBERS + 1):
            self._stream.begin_member()
            try:
                info = self._tar.next()
                # tarfile takes anything that is not a header for the end, but the end is a block of zeros, or nothing.
                last = self._stream.last
                damage = "no header" if any(last) or 0 < len(last) < tarfile.BLOCKSIZE else ""
            except UserError:
                raise
            except _DAMAGE as error:
                info, damage = None, printable(error)[:60]
            self._tar.members.clear()  # type: ignore[attr-defined]  # tarfile would keep all members in memory
            self._tar.pax_headers.clear()  # type: ignore[attr-defined]  # and copy what is said of all for each
            if info is None:
                if damage:
                    yield Member("...", None, f"the archive is damaged from here on ({damage})", self.length)
                return
            if info.isdir() or _is_hidden(info.name):
                continue
            kind = "a link" if info.issym() or info.islnk() else "" if info.isreg() else "not a regular file"
            path = folder / str(number)
            reason = _objection(info.name, "a sparse file" if info.issparse() else kind, info.size)
            reason = reason or _copy(self._stream.read_content, info.size, path)
            yield Member(info.name, None if reason else path, reason, min(self._file.tell(), self.length))
        raise UserError(f"the archive {printable(self._path)} has more than {MAX_MEMBERS:,} members: unpack it first")


def _copy(read: Callable[[int], bytes], size: int, path: Path) -> str:
    """Write a member to a file. If it cannot be read, the reason is returned and there is no file."""
    reason = ""
    with path.open("xb") as file:
        while size and not reason:
            try:
                block = read(min(size, _BLOCK))
                reason = "" if block else "damaged in the archive (truncated)"
            except UserError:
                raise
            except _DAMAGE as error:
                block, reason = b"", _damaged(error)
            file.write(block)
            size -= len(block)
    if reason:
        path.unlink()
    return reason


def _objection(name: str, kind: str, size: int) -> str:
    """Why a member is not unpacked; empty if it may be."""
    plain = name.replace("\\", "/")
    if plain.startswith("/") or re.match(r"[A-Za-z]:", plain):
        return "an absolute name in an archive"
    if ".." in PurePosixPath(plain).parts:
        return "a name that leads out of the archive"
    if kind:
        return kind
    if PurePosixPath(plain).suffix.lower() in SUFFIXES:
        return "an archive in the archive, not opened"
    if size < 0:
        return "damaged in the archive (a negative size)"
    if size > MAX_BYTES:
        return f"too large: {size // 1_000_000} MB, limit is {MAX_BYTES // 1_000_000} MB"
    return ""


def _kind(mode: int) -> str:
    """What a zip member is if it is not a regular file, else ""; most zips do not say."""
    if stat.S_ISLNK(mode):
        return "a link"
    return "" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "not a regular file"


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return any(is_ignored(part) and part not in (".", "..") for part in parts)


def _damaged(error: Exception) -> str:
    words = system_reason(error)[:60]
    return f"damaged in the archive ({words or type(error).__name__})"
