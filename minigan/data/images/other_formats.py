"""Images in formats that cannot be read here: what they are, and what people can do about it.

A phone's photos are HEIC, a camera's are RAW, a drawing program's have a format of its own. "Not an image" would be
wrong for them, and a folder of thirty HEIC and four PNG files must not become a data set of four. The content says what
a file is; where formats begin alike (many cameras' files begin like a TIFF), the name decides.
"""

from __future__ import annotations

import importlib
import re
from pathlib import PurePosixPath

from PIL import Image

from minigan.system.file_kinds import EMPTY, LFS_POINTER, WEB_PAGE, ZEROS, kind_of

_PLUGINS = {"pillow_heif": "register_heif_opener", "pillow_avif": "", "pillow_jxl": ""}
# Packages that teach Pillow a format, each with the function that it asks to be called.

_EXPORT = "save it as PNG or JPEG"
_NEWER = f"install a newer Pillow (python -m pip install -U pillow), or {_EXPORT}"
_HEIC = f"HEIC: python -m pip install pillow-heif, or {_EXPORT}"
_AVIF = f"AVIF: {_NEWER}"
_JXL = f"JPEG XL: python -m pip install pillow-jxl-plugin, or {_EXPORT}"
_RAW = f"a camera's raw file: {_EXPORT}"
_SVG = f"a drawing of lines (SVG): {_EXPORT}"
_DOCUMENT = "a document (PDF, PostScript): save its images as PNG or JPEG"
_PROGRAM = f"the format of a drawing program: {_EXPORT}"
_HIGH_RANGE = f"an image of high dynamic range: {_EXPORT}"

_JPEG_2000 = f"JPEG 2000: {_NEWER}"
_QOI = f"QOI: {_NEWER}"
_PILLOWS = {_HEIC: "HEIF", _AVIF: "AVIF", _JXL: "JXL", _JPEG_2000: "JPEG2000", _QOI: "QOI"}  # its names of formats

_BRANDS = (  # of files that begin with a box "ftyp"
    (re.compile(rb"hei[cxms]|hev[cxms]"), _HEIC),
    (re.compile(rb"avi[fs]"), _AVIF),
    (re.compile(rb"crx "), _RAW),
    (re.compile(rb"mif1|msf1"), _HEIC),
)
_SIGNATURES = (
    (b"\xff\x0a", _JXL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", _JXL),
    (b"\0\0\0\x0cjP  \r\n\x87\n", _JPEG_2000),
    (b"\xff\x4f\xff\x51", _JPEG_2000),
    (b"II\xbc\x01", f"JPEG XR: {_EXPORT}"),
    (b"BPG\xfb", f"BPG: {_EXPORT}"),
    (b"FLIF", f"FLIF: {_EXPORT}"),
    (b"qoif", _QOI),
    (b"8BPS", _PROGRAM),  # Pillow reads some of them
    (b"gimp xcf", _PROGRAM),
    (b"CSFCHUNK", _PROGRAM),
    (b"%PDF-", _DOCUMENT),
    (b"%!PS", _DOCUMENT),
    (b"\xc5\xd0\xd3\xc6", _DOCUMENT),
    (b"AT&TFORM", _DOCUMENT),
    (b"\x76\x2f\x31\x01", _HIGH_RANGE),
    (b"#?RADIANCE", _HIGH_RANGE),
    (b"#?RGBE", _HIGH_RANGE),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"IIRO", _RAW),
    (b"IIRS", _RAW),
    (b"MMOR", _RAW),
    (b"IIU\0", _RAW),
    (b"FOVb", _RAW),
    (b"\0MRM", _RAW),
    (b"II\x1a\0\0\0HEAPCCDR", _RAW),
)
_SUFFIXES = {
    **dict.fromkeys((".heic", ".heif", ".hif"), _HEIC),
    **dict.fromkeys((".avif", ".avifs"), _AVIF),
    ".jxl": _JXL,
    **dict.fromkeys((".svg", ".svgz"), _SVG),
    **dict.fromkeys(
        (".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".dng", ".raf", ".orf", ".rw2"), _RAW
    ),
    **dict.fromkeys(
        (".pef", ".srw", ".x3f", ".3fr", ".fff", ".iiq", ".mrw", ".erf", ".kdc", ".dcr", ".mos", ".rwl"), _RAW
    ),
    **dict.fromkeys(
        (".psb", ".xcf", ".kra", ".ora", ".clip", ".sai", ".sai2", ".mdp", ".procreate", ".afphoto"), _PROGRAM
    ),
    **dict.fromkeys((".ai", ".cdr", ".afdesign"), _PROGRAM),
    **dict.fromkeys((".exr", ".hdr"), _HIGH_RANGE),
}
_SVG_TAG = re.compile(rb"<(?:\w+:)?svg[\s>]")


def other_format(head: bytes, name: str) -> str:
    """What a file is that cannot be read, if it holds an image.

    Parameters
    ----------
    head : bytes
        The first `minigan.system.file_kinds.ENOUGH` bytes of the file, or all.
    name : str
        Its name.

    Returns
    -------
    str
        What it is and what to do about it; empty if it is nothing that is known here, or a format that Pillow can read.

    Examples
    --------
    >>> other_format(b"gimp xcf v011", "a drawing")
    'the format of a drawing program: save it as PNG or JPEG'
    """
    told = _by_content(head)
    if not told and kind_of(head) not in (EMPTY, LFS_POINTER, WEB_PAGE, ZEROS):
        told = _SUFFIXES.get(PurePosixPath(name).suffix.lower(), "")
    return "" if _PILLOWS.get(told) in Image.ID else told


def is_for_another_program(told: str) -> bool:
    """Whether `other_format` told of a format of which Pillow reads some files, but promises nothing."""
    return told in (_RAW, _PROGRAM)


def _by_content(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        brands = head[8:12] + head[16 : min(int.from_bytes(head[:4], "big"), 200)]
        return next((told for brand, told in _BRANDS if brand.search(brands)), "")
    if head.lstrip().startswith((b"<", b"\xef\xbb\xbf<")) and _SVG_TAG.search(head) and not kind_of(head):
        return _SVG
    return next((told for signature, told in _SIGNATURES if head.startswith(signature)), "")


def other_suffixes() -> frozenset[str]:
    """Suffixes of names that promise an image in one of these formats."""
    return frozenset(_SUFFIXES)


def load_plugins() -> None:
    """Let Pillow read more formats, if the packages for them are installed."""
    for name, function in _PLUGINS.items():
        try:
            module = importlib.import_module(name)
            if function:
                getattr(module, function)()
        except Exception:  # not installed, or of a version that does not go together with this Pillow
            continue
