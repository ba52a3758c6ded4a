"""An image file without what is not needed for its pixels: texts, colour profiles, previews, comments.

Metadata can be damaged, or larger than Pillow allows, and then Pillow gives up the whole image. So a file that it
cannot read is read once more through `without_metadata`, a view of the same file from which parts are left out: nothing
is copied. Kept are the parts from which pixels are made, and the camera's note of how it was held (EXIF), if whole.

The formats are described in: PNG, W3C recommendation, section 5 (chunks). JPEG, ITU T.81, annex B (segments). WebP, RFC
9649, section 2 (RIFF chunks).
"""

from __future__ import annotations

import binascii
import io
import struct
from bisect import bisect_right
from collections.abc import Iterator
from typing import IO

MOST_PARTS = 100_000
"""A file of more parts than this is not worth the memory for their places."""

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_PNG_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_WEBP_LEFT_OUT = {b"ICCP", b"EXIF", b"XMP "}
_WEBP_FLAGS = 0b0010_1100  # that there are such chunks
_LONGEST_EXIF = 65_536
_START_OF_SCAN, _ADOBE, _EXIF, _COMMENT = 0xDA, 0xEE, 0xE1, 0xFE
_BLOCK = 1 << 20

Part = tuple[int, int] | bytes  # a range of the file, from the first byte to before the last, or other bytes instead


def without_metadata(file: IO[bytes]) -> IO[bytes] | None:
    """View an image file without its metadata.

    Parameters
    ----------
    file : file
        Can be read and moved in; it must stay open.

    Returns
    -------
    file or None
        To be read only; None if it is of no format for which this is known, or if nothing would be left out.
    """
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(16)
    if head.startswith(_PNG):
        parts = _of_png(file, length)
    elif head.startswith(_JPEG):
        parts = _of_jpeg(file, length)
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        parts = _of_webp(file, length)
    else:
        return None
    kept = _joined(parts)
    return None if kept is None or kept == [(0, length)] else io.BufferedReader(_View(file, kept))


def _of_png(file: IO[bytes], length: int) -> Iterator[Part]:
    yield 0, 8
    start = 8
    while start + 8 <= length:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        end = min(start + 12 + size, length)
        if kind in _PNG_KEPT or (kind == b"eXIf" and size <= _LONGEST_EXIF and _is_whole(kind + file.read(size + 4))):
            yield start, end
        start = end


def _is_whole(chunk: bytes) -> bool:
    """Whether a PNG chunk's checksum is right."""
    return binascii.crc32(chunk[:-4]) == int.from_bytes(chunk[-4:], "big")


def _of_jpeg(file: IO[bytes], length: int) -> Iterator[Part]:
    yield 0, 2
    start = 2
    while start + 4 <= length:
        file.seek(start)
        mark, kind, size = struct.unpack(">BBH", file.read(4))
        if kind == 0xFF:  # filling
            start += 1
            continue
        if mark != 0xFF or size < 2 or kind == _START_OF_SCAN:
            break
        content = file.read(14)
        is_metadata = kind == _COMMENT or 0xE0 <= kind <= 0xEF
        is_wanted = (kind == _ADOBE and size >= 14) or (kind == _EXIF and content.startswith(b"Exif\0\0"))
        if is_wanted or not is_metadata:
            yield start, min(start + 2 + size, length)
        start += 2 + size
    yield start, length


def _of_webp(file: IO[bytes], length: int) -> Iterator[Part]:
    chunks: list[Part] = []
    start = 12
    while start + 8 <= length and len(chunks) <= MOST_PARTS:
        file.seek(start)
        kind, size = struct.unpack("<4sI", file.read(8))
        end = min(start + 8 + size + size % 2, length)
        if kind == b"VP8X":
            content = file.read(end - start - 8)
            chunks.append(struct.pack("<4sI", kind, size) + bytes([content[0] & ~_WEBP_FLAGS]) + content[1:])
        elif kind not in _WEBP_LEFT_OUT:
            chunks.append((start, end))
        start = end
    total = sum(len(part) if isinstance(part, bytes) else part[1] - part[0] for part in chunks)
    yield struct.pack("<4sI4s", b"RIFF", total + 4, b"WEBP")
    yield from chunks


def _joined(parts: Iterator[Part]) -> list[Part] | None:
    """The parts, with neighbours made one; None if there are too many, or if the file is cut short in its metadata."""
    joined: list[Part] = []
    try:
        for part in parts:
            last = joined[-1] if joined else b""
            if isinstance(part, tuple) and isinstance(last, tuple) and last[1] == part[0]:
                joined[-1] = last[0], part[1]
            else:
                joined.append(part)
            if len(joined) > MOST_PARTS:
                return None
    except (struct.error, IndexError):
        return None
    return joined


class _View(io.RawIOBase):
    """Parts of a file, one after another, as if they were a file."""

    def __init__(self, file: IO[bytes], parts: list[Part]) -> None:
        self._file = file
        self._parts = parts
        self._starts = [0]
        for part in parts:
            self._starts.append(self._starts[-1] + (len(part) if isinstance(part, bytes) else part[1] - part[0]))
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._starts[-1]}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # BufferedReader passes nothing else
        number = bisect_right(self._starts, self._position) - 1
        if number >= len(self._parts):
            return 0
        part, within = self._parts[number], self._position - self._starts[number]
        count = min(len(buffer), self._starts[number + 1] - self._position, _BLOCK)
        if isinstance(part, bytes):
            data = part[within : within + count]
        else:
            self._file.seek(part[0] + within)
            data = self._file.read(count)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
