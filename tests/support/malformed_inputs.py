"""The corpus of malformed inputs: damaged or wrong folders, checkpoints, settings and command lines.

Each table maps a name to an input and to the words that the error message must contain;
`tests/commands/test_malformed_inputs.py` compares. As a program (`python tests/support/malformed_inputs.py FOLDER K
N`), this file gives every input to every command that it concerns, in one process with a limit on its memory; the cases
are divided into N parts, and part K is run. It prints a list of {"name", "status", "error", "changed" (files that must
not have changed but have), "kilobytes" (by how much the process grew)}.
"""

import contextlib
import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import sys
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SMALL = ["--image-size", "32", "--width", "1", "--batch-size", "2", "--steps", "1"]
PREPARE = ["--keep-duplicates", "--workers", "1"]
MEMORY = 700 << 20
"""What the process may take beyond what Python, NumPy and the others take: a picture at the limit needs most of it."""


# ------------------------------------------------------------------------------------------------------------ pictures
def picture(kind="PNG", size=(40, 40), mode="RGB", **options):
    from PIL import Image

    file = io.BytesIO()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8)).convert(mode).save(file, kind, **options)
    return file.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, pixels=b"", depth=8, colours=2, extra=b""):
    """A PNG that says what it likes about itself."""
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bomb(side):
    """White, one bit per pixel: 18 megabytes in 18 kilobytes."""
    return png(side, side, zlib.compress((b"\0" + b"\xff" * (side // 8)) * side, 9), depth=1, colours=0)


def endless_tiff():
    """Its first directory says that the next one is itself, and holds nothing."""
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 0) + struct.pack("<I", 8)


def tiff_of_floats(value):
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.full((32, 32), value, np.float32)).save(file, "TIFF")
    return file.getvalue()


def animation(kind):
    from PIL import Image

    file = io.BytesIO()
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "white")]
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


def array_of_nan():
    file = io.BytesIO()
    np.save(file, np.full((32, 32, 3), np.nan))
    return file.getvalue()


def icon_with_a_bomb():
    inside = bomb(12_000)
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(inside), 22) + inside


HTML = b"<!DOCTYPE html>\n<html><body><h1>404 Not Found</h1></body></html>\n"
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n(/etc/passwd) run\n"

UNREADABLE_PICTURES = {
    # name in the folder: contents, and the reason that is given
    "cut.png": (lambda: picture()[:2000], "truncated"),
    "cut.jpg": (lambda: picture("JPEG")[:500], "truncated"),
    "header-only.png": (lambda: picture()[:33], "not recognised as one"),
    "one-byte.png": (lambda: b"\x89", "not recognised as one"),
    "empty.png": (lambda: b"", "empty file (0 bytes)"),
    "text.png": (lambda: b"just words", "not recognised as one"),
    "error-page.jpg": (lambda: HTML, "named like an image, but it is a web page (HTML)"),
    "archive.png": (lambda: b"PK\x03\x04" + bytes(100), "named like an image, but it is a zip archive"),
    "pickle.png": (lambda: pickle.dumps([1, 2, 3]), "not recognised as one"),
    "program.eps": (lambda: POSTSCRIPT, "a document (PDF, PostScript): save its images"),
    "program.png": (lambda: POSTSCRIPT, "a document (PDF, PostScript): save its images"),
    "drawing.svg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', "a drawing of lines (SVG): save it"),
    "photo.heic": (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC: python -m pip install pillow-heif"),
    "claims.png": (lambda: png(50_000, 50_000), "too large: 2500 million pixels, limit is 64 million"),
    "claims-most.png": (lambda: png(2**31 - 1, 2**31 - 1), "too large"),
    "claims-nothing.png": (lambda: png(0, 0), "not recognised as one"),
    "bomb.png": (lambda: bomb(12_000), "too large: 144 million pixels, limit is 64 million"),
    "bomb.ico": (lambda: icon_with_a_bomb(), "too large"),
    "text-bomb.png": (lambda: png(32, 32, extra=chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(80 << 20)))), ""),
    "flipped.png": (lambda: picture()[:200] + b"\xff" + picture()[201:], ""),
    "endless.tif": (endless_tiff, ""),
    "numbers.npy": (array_of_nan, "not an image"),
}

ODD_PICTURES = {
    # that are read all the same
    "named-wrongly.png": lambda: picture("JPEG"),
    "no-suffix": picture,
    "one-pixel.png": lambda: picture(size=(1, 1)),
    "thin.png": lambda: picture(size=(1, 3000)),
    "large.png": lambda: picture(size=(2000, 1500)),
    "cmyk.jpg": lambda: picture("JPEG", mode="CMYK"),
    "sixteen-bits.png": lambda: picture(mode="I;16"),
    "one-bit.png": lambda: picture(mode="1"),
    "palette.gif": lambda: picture("GIF", mode="P", transparency=0),
    "transparent.png": lambda: picture(mode="LA"),
    "moving.gif": lambda: animation("GIF"),
    "moving.webp": lambda: animation("WEBP"),
    "nan.tif": lambda: tiff_of_floats(np.nan),
    "infinite.tif": lambda: tiff_of_floats(np.inf),
    "wrong-exif.jpg": lambda: picture("JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"),
    "two\nlines.png": picture,
    "quote's \".png": picture,
    "\x1b[31mred.png": picture,
    "絵 🎨.png": picture,
    240 * "n" + ".png": picture,
}


def data_of(place, *names):
    """A folder of specimens with these names; good pictures for the name None."""
    folder = place / "data"
    folder.mkdir()
    for k, name in enumerate(names):
        if name is None:
            (folder / f"good{k}.png").write_bytes(picture())
        else:
            maker = ODD_PICTURES[name] if name in ODD_PICTURES else UNREADABLE_PICTURES[name][0]
            with contextlib.suppress(OSError):  # some systems do not allow some names
                (folder / name).write_bytes(maker())
    return folder


# ------------------------------------------------------------------------------------------------------------ settings
SETTINGS = {
    "preset": "quick",
    "data": None,
    "faces": 12,
    "steps": 2,
    "batch_size": 2,
    "image_size": 32,
    "width": 1,
    "seed": 1337,
    "init": "glorot",
    "backend": "numpy",
    "sample_every": 2,
    "save_every": 2,
}


def settings(**changes):
    """Text of a config.json with some settings replaced."""
    return json.dumps({"settings": {**SETTINGS, **changes}, "sessions": []}).encode()


def raw(old, new):
    """Text of a config.json with a piece replaced."""
    return settings().replace(old, new)


CONFIGS = {
    # name: contents of config.json, and what is said about it
    "empty": (b"", "Expecting value"),
    "no json": (b"width = 2", "Expecting value"),
    "cut short": (settings()[:50], "line 1 column"),
    "null": (b"null", "it has no settings"),
    "a list": (b"[1, 2]", "it has no settings"),
    "settings are a list": (b'{"settings": []}', "it has no settings"),
    "no settings": (b'{"settings": {}}', "preset is missing"),
    "error page": (HTML, "Expecting value"),
    "binary": (bytes(range(256)), "decode"),
    "utf-16": (settings().decode().encode("utf-16"), "decode"),
    "latin-1": (raw(b"quick", b"qu\xefck"), "decode"),
    "deep": (b"[" * 200_000, "recursion"),
    "deep objects": (b'{"a":' * 100_000, "recursion"),
    "rather deep": (raw(b'"sessions": []', b'"sessions": ' + b"[" * 60 + b"]" * 60), "nested deeper than 20 levels"),
    "too large": (b" " * (5 << 20), "larger than"),
    "given twice": (raw(b'"width": 1', b'"width": 1, "width": 2'), "width is given twice"),
    "settings twice": (raw(b'"sessions"', b'"settings"'), "settings is given twice"),
    "nan": (raw(b'"width": 1', b'"width": NaN'), "NaN is not a finite number"),
    "infinity": (raw(b'"sessions": []', b'"sessions": [-Infinity]'), "-Infinity is not a finite number"),
    "1e999": (raw(b'"width": 1', b'"width": 1e999'), "1e999 is not a finite number"),
    "1e999 elsewhere": (raw(b'"sessions": []', b'"sessions": [1e999]'), "1e999 is not a finite number"),
    "a fraction": (settings(width=1.0), "width is 1.0"),
    "a word": (settings(width="1"), "width is '1'"),
    "a truth": (settings(width=True), "width is True"),
    "nothing": (settings(width=None), "width is None"),
    "a list for a number": (settings(steps=[2]), "steps is [2]"),
    "negative width": (settings(width=-1), "--width: must be between 1 and 512, got -1"),
    "no width": (settings(width=0), "--width: must be between 1 and 512, got 0"),
    "huge width": (settings(width=10**30), "--width: must be between 1 and 512"),
    "endless width": (raw(b'"width": 1', b'"width": 1' + b"0" * 5000), "4300"),
    "negative steps": (settings(steps=-5), "--steps: must be between"),
    "negative seed": (settings(seed=-1), "--seed: must be between"),
    "huge seed": (settings(seed=2**64), "--seed: must be between"),
    "huge batch": (settings(batch_size=10**9), "--batch-size: must be between 1 and 4096"),
    "huge number of faces": (settings(faces=10**12), "--faces: must be between"),
    "unknown size": (settings(image_size=33), "--image-size: must be one of 32, 64, 128, got 33"),
    "unknown preset": (settings(preset="fast"), "--preset: must be one of"),
    "unknown init": (settings(init="zeros"), "--init: must be one of"),
    "unknown backend": (settings(backend="/bin/sh"), "--backend: must be one of"),
    "impossible init": (settings(init="original"), "--init original: exists for image size 64"),
    "ema of one": (settings(ema=1.0), "--ema: must be between 0 and 0.99999, got 1.0"),
    "negative ema": (settings(ema=-0.5), "--ema: must be between 0 and 0.99999, got -0.5"),
    "ema in words": (settings(ema="0.999"), "ema is '0.999'"),
    "ema true": (settings(ema=True), "ema is True"),
    "ema nan": (raw(b'"width": 1', b'"width": 1, "ema": NaN'), "NaN is not a finite number"),
    "an ema that the checkpoint lacks": (settings(ema=0.9), "average: the saved state does not fit"),
    "flip in words": (settings(flip="no"), "flip is 'no'"),
    "translate by eight": (settings(translate=8), "translate is 8"),
    "learning rate of zero": (settings(g_learning_rate=0.0), "--g-learning-rate: must be between 1e-06"),
    "learning rate of a thousand": (settings(g_learning_rate=1e3), "--g-learning-rate: must be between"),
    "unknown setting": (settings(colour="red"), "colour is not known"),
    "unknown setting with a long name": (settings(**{"x" * 9999: 1}), "is not known"),
    "setting that a terminal would obey": (settings(**{"\x1b[31m\n": 1}), "is not known"),
    "another width": (settings(width=2), "is of image size 32 and width 1, but this run has image size 32 and width 2"),
    "a width that would take gigabytes": (settings(width=512), "is of image size 32 and width 1, but this run has"),
    "another size": (settings(image_size=128), "is of image size 32 and width 1, but this run has image size 128"),
    "a folder": ("a folder", "no run folder: it has no config.json"),
}

CONFIGS_FOR_TRAINING_ONLY = {
    "data is a number": (settings(data=5), "data is 5"),
    "data is empty": (settings(data=""), "the data folder must have a name"),
    "data is missing": (settings(data="/no/such/place"), "there is no /no/such/place"),
    "data is a file": (settings(data=__file__), "is a file"),
    "data with a zero": (settings(data="a\0b"), "cannot be opened"),
    "data with half a letter": (settings(data="\ud800"), "data folder"),
}


# --------------------------------------------------------------------------------------------------------- checkpoints
def tensors_file(header, data=b"", length=None):
    """A safetensors file that says what it likes about itself."""
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def words(**more):
    return {"format": "minigan-1", "step": "2", "image_size": "32", "width": "1", **more}


def lies(good, **changes):
    """The good file, with a change to what its header says of one tensor."""
    length = int.from_bytes(good[:8], "little")
    header = json.loads(good[8 : 8 + length])
    header[_first(header)].update(changes)
    return tensors_file(header, good[8 + length :])


def flipped(data, position, bit):
    """The bytes with one bit changed."""
    return data[:position] + bytes([data[position] ^ (1 << bit)]) + data[position + 1 :]


def forged(good, change):
    """The good file after a change to its tensors and words, with a checksum that fits."""
    from safetensors.numpy import load, save

    from minigan.runs import checkpoint

    header = json.loads(good[8 : 8 + int.from_bytes(good[:8], "little")])
    tensors, said = {name: array.copy() for name, array in load(good).items()}, header["__metadata__"]
    del said["sha256"]
    change(tensors, said)
    return save(tensors, {**said, "sha256": checkpoint._checksum(tensors, said)})


def _first(tensors):
    return next(name for name in sorted(tensors) if name.endswith("kernel"))


def _of_another_shape(tensors, said):
    tensors[_first(tensors)] = tensors[_first(tensors)].reshape(-1)


def _of_another_type(tensors, said):
    tensors[_first(tensors)] = tensors[_first(tensors)].astype(np.float64)


def _with_nan(tensors, said):
    tensors[_first(tensors)].flat[3] = np.nan


def _with_infinity(tensors, said):
    tensors[_first(tensors)].flat[-1] = -np.inf


def _without_one(tensors, said):
    del tensors[_first(tensors)]


def _with_one_more(tensors, said):
    tensors["extra"] = np.zeros(3, np.float32)


def _saying(**changes):
    return lambda tensors, said: said.update(changes)


def _not_saying(word):
    return lambda tensors, said: said.pop(word)


FILES = {
    # name: a function of the good file's bytes, and what is said about it, whatever the file ought to be
    "empty": (lambda good: b"", "no header of a sensible length"),
    "one byte": (lambda good: b"\0", "no header of a sensible length"),
    "cut in the length": (lambda good: good[:7], "no header of a sensible length"),
    "cut in the header": (lambda good: good[:300], "cannot be read"),
    "cut in the data": (lambda good: good[:-1], ""),
    "one byte more": (lambda good: good + b"\0", ""),
    "a flipped bit": (lambda good: good[:-9] + bytes([good[-9] ^ 16]) + good[-8:], "its checksum does not fit"),
    "zeros": (lambda good: bytes(len(good)), "no header of a sensible length"),
    "ones": (lambda good: b"\xff" * len(good), "no header of a sensible length"),
    "an error page": (lambda good: HTML, "no header of a sensible length"),
    "a pickle": (lambda good: pickle.dumps({"weights": [1.0] * 9}), "no header of a sensible length"),
    "a zip": (lambda good: b"PK\x03\x04" + bytes(999), "no header of a sensible length"),
    "header of 2^60 bytes": (lambda good: (2**60).to_bytes(8, "little") + good[8:], "no header of a sensible length"),
    "header of 9 MB": (lambda good: tensors_file(b" " * (9 << 20)), "no header of a sensible length"),
    "header without end": (lambda good: tensors_file(b"{}", length=2**64 - 1), "no header of a sensible length"),
    "header no json": (lambda good: tensors_file(b"nothing"), "cannot be read"),
    "header of deep nesting": (lambda good: tensors_file(b"[" * 500_000), "cannot be read"),
    "header a list": (lambda good: tensors_file([1]), "no file of minigan's"),
    "header without metadata": (lambda good: tensors_file({}), "no file of minigan's (format None"),
    "header not utf-8": (lambda good: tensors_file(b'{"\xff": 1}'), "cannot be read"),
    "metadata without text": (
        lambda good: tensors_file({"__metadata__": {"format": 1}}),
        "its metadata is not a table of texts",
    ),
    "metadata is a list": (lambda good: tensors_file({"__metadata__": []}), "its metadata is not a table of texts"),
    "somebody else's": (
        lambda good: tensors_file({"__metadata__": {"format": "pt"}}),
        "no file of minigan's (format 'pt'",
    ),
    "words only": (lambda good: tensors_file({"__metadata__": words()}), ""),
    "negative offsets": (lambda good: lies(good, data_offsets=[-8, 0]), "cannot be read"),
    "offsets beyond the end": (lambda good: lies(good, data_offsets=[0, 2**40]), "cannot be read"),
    "offsets backwards": (lambda good: lies(good, data_offsets=[8, 0]), "cannot be read"),
    "overlapping tensors": (lambda good: lies(good, data_offsets=[64, 25_664]), "cannot be read"),
    "a shape of 2^62": (lambda good: lies(good, shape=[2**31, 2**31]), "cannot be read"),
    "a negative shape": (lambda good: lies(good, shape=[-4, -1600]), "cannot be read"),
    "an unknown type": (lambda good: lies(good, dtype="F33"), "cannot be read"),
}

CHECKPOINTS = {
    "much too long": ("sparse", "is damaged (8589934592 bytes cannot hold"),
    "another shape": (lambda good: forged(good, _of_another_shape), "must be float32 of shape"),
    "another type": (lambda good: forged(good, _of_another_type), "got float64 of shape"),
    "not a number": (lambda good: forged(good, _with_nan), "holds a number that is not finite"),
    "infinite": (lambda good: forged(good, _with_infinity), "holds a number that is not finite"),
    "one tensor missing": (lambda good: forged(good, _without_one), "is missing"),
    "one tensor more": (lambda good: forged(good, _with_one_more), "it has the parts"),
    "of another step": (lambda good: forged(good, _saying(step="7")), "its contents are those of step 7"),
    "of a negative step": (lambda good: forged(good, _saying(step="-2")), "step is '-2'"),
    "of a huge step": (lambda good: forged(good, _saying(step="9" * 5000)), "step is '99999999999999999999'"),
    "of no step": (lambda good: forged(good, _not_saying("step")), "is no checkpoint ('step')"),
    "no count of updates": (lambda good: forged(good, _not_saying("g_optimizer.t")), "does not fit together"),
    "says gigabytes": (lambda good: forged(good, _saying(width="512")), "cannot hold"),
    "says nonsense": (lambda good: forged(good, _saying(image_size="٣٢")), "image_size is '٣٢'"),
}

GENERATORS = {
    "another shape": (lambda good: forged(good, _of_another_shape), "must be float32 of shape"),
    "not a number": (lambda good: forged(good, _with_nan), "holds a number that is not finite"),
    "one tensor missing": (lambda good: forged(good, _without_one), "cannot hold"),
    "one tensor more": (lambda good: forged(good, _with_one_more), "is not known"),
    "says discriminator": (lambda good: forged(good, _saying(network="discriminator")), ""),
    "says nothing": (lambda good: forged(good, _not_saying("network")), "holds no network"),
    "says something else": (lambda good: forged(good, _saying(network="os.system")), "holds no network"),
    "says gigabytes": (lambda good: forged(good, _saying(width="512")), "cannot hold"),
    "says an unknown size": (lambda good: forged(good, _saying(image_size="48")), "image_size must be one of"),
}


# ---------------------------------------------------------------------------------------------------------------- logs
def _log(*lines):
    return "".join(f"{line}\n" for line in lines).encode()


LOGS = {
    # name: file, and contents that a run may find there; no command stops at that, for a log is not worth a run
    "empty log": ("log.csv", b""),
    "binary log": ("log.csv", bytes(range(256)) * 20),
    "log without end of line": ("log.csv", b"step,d_real" * 5000),
    "log of zeros": ("log.csv", bytes(5000)),
    "log of other columns": ("log.csv", _log("step,loss", "0,1", "1,2")),
    "log that is not finite": ("log.csv", _log("step", "0,nan,inf,-inf,1e999,1,1", "1,1,1,1,1,1,1")),
    "log of huge steps": ("log.csv", _log("step", "9" * 400 + ",1,1,1,1,1,1", "-1,1,1,1,1,1,1", "0x1,1,1,1,1,1,1")),
    "log that goes back": ("log.csv", _log("step", "1,1,1,1,1,1,1", "0,1,1,1,1,1,1", "0,2,2,2,2,2,2")),
    "binary vitals": ("vitals.jsonl", bytes(range(256)) * 20),
    "vitals of no use": ("vitals.jsonl", _log("[]", "null", "{}", '{"step": -1}', '{"step": "0"}', '{"step": true}')),
    "vitals of wrong types": (
        "vitals.jsonl",
        _log(
            *(
                f'{{"step": 0, "real_low": {value}, "fake_spread": {value}}}'
                for value in ('"x"', "[]", "{}", "null", "true", "1e999", "NaN")
            )
        ),
    ),
    "vitals nested deep": ("vitals.jsonl", _log("[" * 100_000, '{"step": 0, "a":' + "[" * 900 + "]" * 900 + "}")),
    "vitals of huge numbers": (
        "vitals.jsonl",
        _log(f'{{"step": {"9" * 5000}}}', f'{{"step": 1, "g_move": 1{"0" * 400}}}'),
    ),
    "binary metrics": ("metrics.jsonl", bytes(range(256)) * 20),
    "metrics of wrong types": (
        "metrics.jsonl",
        _log(
            '{"step": 0}',
            '{"step": 0, "measures": 5}',
            '{"step": 0, "measures": {"swd": 1}}',
            '{"step": 0, "measures": {"swd": {"value": "x"}}}',
        ),
    ),
    "speed of no use": ("speed.csv", _log("", "0,0,0.000", "5,1,1.000", "0,9,nan", "0,1,999999999.000")),
}


# ------------------------------------------------------------------------------------------------------------ archives
def zip_of(*members, method=zipfile.ZIP_DEFLATED):
    """A zip of a good picture and of (name or ZipInfo, contents)."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("good.png", picture())
        for name, contents in members:
            archive.writestr(name, contents)
    return file.getvalue()


def tar_of(*members, mode="w"):
    """A tar of a good picture and of (name, contents or link target, type)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, contents, kind in (("good.png", picture(), tarfile.REGTYPE), *members):
            info = tarfile.TarInfo(name)
            info.type = kind
            if isinstance(contents, str):
                info.linkname = contents
                archive.addfile(info)
            else:
                info.size = len(contents)
                archive.addfile(info, io.BytesIO(contents))
    return file.getvalue()


def zip_link():
    info = zipfile.ZipInfo("link.png")
    info.external_attr = 0o120777 << 16
    return zip_of((info, b"/etc/passwd"))


def zip_that_lies_about_sizes():
    """The list of members says four gigabytes of the one that is there."""
    data = zip_of()
    at = data.index(b"PK\x01\x02") + 24
    return data[:at] + struct.pack("<I", 2**32 - 2) + data[at + 4 :]


def tar_that_claims(size):
    """A tar of one member whose header says how long it is."""
    info = tarfile.TarInfo("huge.png")
    info.size = size
    before = tar_of().rstrip(b"\0")
    return before + bytes(-len(before) % 512) + info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240)


OUTSIDE = (
    "../evil.png",
    "../../evil.png",
    "a/../../../evil.png",
    "/evil.png",
    "/tmp/evil.png",
    "C:\\evil.png",
    "..\\..\\evil.png",
)

ARCHIVES = {
    # name of the file: contents, exit status, and what is said
    "outside.zip": (lambda: zip_of(*((name, picture()) for name in OUTSIDE)), 0, ""),
    "outside.tar": (lambda: tar_of(*((name, picture(), tarfile.REGTYPE) for name in OUTSIDE)), 0, ""),
    "links.zip": (zip_link, 0, ""),
    "links.tar": (
        lambda: tar_of(
            ("a.png", "/etc/passwd", tarfile.SYMTYPE),
            ("b.png", "../../../evil.png", tarfile.LNKTYPE),
            ("folder", "/", tarfile.SYMTYPE),
            ("folder/evil.png", picture(), tarfile.REGTYPE),
        ),
        0,
        "",
    ),
    "devices.tar": (
        lambda: tar_of(("a.png", "", tarfile.FIFOTYPE), ("b.png", "", tarfile.CHRTYPE), ("c.png", "", tarfile.BLKTYPE)),
        0,
        "",
    ),
    "names.zip": (
        lambda: zip_of(
            ("two\nlines.png", picture()),
            ("\x1b[31mred.png", picture()),
            (300 * "n" + ".png", picture()),
            ("絵.png", picture()),
        ),
        0,
        "",
    ),
    "bomb.zip": (lambda: zip_of(("zeros.png", bytes(40 << 20))), 0, ""),
    "bombs.zip": (lambda: zip_of(*[(f"{k}.png", bytes(10 << 20)) for k in range(9)]), 2, "that is a bomb"),
    "bomb.tar.gz": (lambda: tar_of(("zeros.png", bytes(40 << 20), tarfile.REGTYPE), mode="w:gz"), 0, ""),
    "nested.zip": (lambda: zip_of(("inside.zip", zip_of())), 0, ""),
    "same-name.tar": (lambda: tar_of(("good.png", picture(), tarfile.REGTYPE)), 0, ""),
    "lies.zip": (zip_that_lies_about_sizes, 2, "no image is left"),
    "claims.tar": (lambda: tar_that_claims(2**40), 0, ""),
    "cut.zip": (lambda: zip_of()[:-30], 2, "neither a folder nor an archive"),
    "cut.tar": (lambda: tar_of()[:1500], 2, ""),
    "cut.tar.gz": (lambda: tar_of(mode="w:gz")[:800], 2, ""),
    "no-pictures.zip": (lambda: zip_of()[:0] + b"PK\x05\x06" + bytes(18), 2, ""),
    "text.zip": (lambda: b"just words", 2, "neither a folder nor an archive"),
    "error-page.tar.gz": (lambda: HTML, 2, "neither a folder nor an archive"),
    "empty.tar": (lambda: b"", 2, ""),
    "other.7z": (lambda: b"7z\xbc\xaf\x27\x1c" + bytes(99), 2, "neither a folder nor an archive"),
    "other.rar": (lambda: b"Rar!\x1a\x07\x01\0" + bytes(99), 2, "neither a folder nor an archive"),
    "picture.png": (picture, 2, "neither a folder nor an archive"),
}


# ------------------------------------------------------------------------------------------------------- command lines
LONG = "n" * 300
ARGUMENTS = [
    # command, arguments, and what is said; RUN is a run, PLACE an empty folder, DATA a folder of good pictures
    ("train", ["--steps", "-1"], "--steps: must be between 1 and 100000000, got -1"),
    ("train", ["--steps", "nan"], "must be a whole number, got 'nan'"),
    ("train", ["--steps", "1e3"], "must be a whole number, got '1e3'"),
    ("train", ["--steps", ""], "must be a whole number, got ''"),
    ("train", ["--steps", "9" * 999], "must be a whole number"),
    ("train", ["--steps", "٣"], "must be a whole number, got '٣'"),
    ("train", ["--batch-size", "99999"], "--batch-size: must be between 1 and 4096, got 99999"),
    ("train", ["--seed", "4294967296"], "--seed: must be between 0 and 4294967295, got 4294967296"),
    ("train", ["--data", ""], "must be a path, got ''"),
    ("train", ["--data", "PLACE/nothing"], "there is no "),
    ("train", ["--data", "PLACE/two\nlines"], "there is no "),
    ("train", ["--data", "RUN/config.json"], "is a file"),
    ("train", ["--data", "PLACE"], "must hold image files, and holds no file"),
    ("train", ["--data", "RUN/config.json/below"], "there is no "),
    ("train", ["--data", f"PLACE/{LONG}"], "cannot be opened"),
    ("train", ["--data", "DATA", "--out", "RUN"], "exists already and is never overwritten"),
    ("train", ["--data", "DATA", "--out", "RUN/config.json"], "must be a new folder, but "),
    ("train", ["--data", "DATA", "--out", "RUN/config.json/below"], "is a file"),
    ("train", ["--data", "DATA", "--out", f"PLACE/{LONG}"], "cannot be made: "),
    ("train", ["--data", "DATA", "--out", "PLACE/.."], "must end in the name of a new folder"),
    ("train", ["--resume", "PLACE"], "is no run folder: it has no config.json"),
    ("train", ["--resume", "PLACE/絵 'quoted' \"x\""], "no such run folder: "),
    ("train", ["--resume", "RUN", "--out", "PLACE/new"], "a resumed run stays in its folder"),
    ("train", ["--resume", "RUN", "--steps", "1"], "--steps: must be at least the 2 that the run has behind it"),
    ("train", ["--resume", "RUN", "--width", "2"], "a resumed run keeps its own value, 1, got 2"),
    ("train", ["--colour"], "unrecognized arguments: --colour"),
    ("train", ["--steps"], "expected one argument"),
    ("train", ["--lr", "nan"], "unrecognized arguments: --lr nan"),
    ("train", ["--ema", "1"], "--ema: must be between 0 and 0.99999, got 1.0"),
    ("train", ["--ema=-1e-9"], "--ema: must be between 0 and 0.99999, got -1e-09"),
    ("train", ["--ema", "nan"], "must be a number, got 'nan'"),
    ("train", ["--ema", "1e999"], "must be a number, got '1e999'"),
    ("train", ["--ema", ""], "must be a number, got ''"),
    ("train", ["--ema", "0,999"], "must be a number, got '0,999'"),
    ("train", ["--flip", "1"], "unrecognized arguments: 1"),
    ("train", ["--translate", "-8"], "unrecognized arguments: -8"),
    ("train", ["--g-learning-rate", "1e-30"], "--g-learning-rate: must be between 1e-06 and 0.01, got 1e-30"),
    ("train", ["--g-learning-rate", "fast"], "must be a number, got 'fast'"),
    ("train", ["--start-from", "PLACE"], "is no run folder"),
    ("train", ["--start-from", "RUN", "--width", "3"], "--width: the networks of"),
    ("train", ["--start-from", "RUN", "--resume", "RUN"], "--start-from: a resumed run has its networks"),
    ("train", ["--resume", "RUN", "--ema", "0.5"], "--ema: a resumed run keeps its own value, 0.0, got 0.5"),
    ("train", ["--resume", "RUN", "--flip"], "--flip: a resumed run keeps its own value, False, got True"),
    ("train", ["--resume", "RUN", "--translate"], "a resumed run keeps its own value, False, got True"),
    ("train", ["--resume", "RUN", "--g-learning-rate", "1e-3"], "keeps its own value, 0.00015, got 0.001"),
    ("sample", [""], "must be a path, got ''"),
    ("sample", ["~nobody-of-that-name/run"], "cannot be found"),
    ("sample", ["PLACE"], "is no run folder"),
    ("sample", [f"PLACE/{LONG}"], "cannot be opened: "),
    ("sample", ["DATA/good0.png"], "no header of a sensible length"),
    ("sample", ["RUN", "--n", "-1"], "--n: must be between 1 and 10000, got -1"),
    ("sample", ["RUN", "--n", "9" * 30], "--n: must be between 1 and 10000"),
    ("sample", ["RUN", "--n", "inf"], "must be a whole number, got 'inf'"),
    ("sample", ["RUN", "--seed", "-1"], "--seed: must be between 0 and 4294967295, got -1"),
    ("sample", ["RUN/config.json", "--raw"], "--raw: chooses between the generators of a run"),
    ("sample", ["RUN", "--out", ""], "must be a path, got ''"),
    ("sample", ["RUN", "--out", "PLACE"], "--out: must end in one of .png"),
    ("sample", ["RUN", "--out", "PLACE/x.exe"], "--out: must end in one of .png"),
    ("sample", ["RUN", "--out", "PLACE/no/x.png"], "does not exist"),
    ("sample", ["RUN", "--out", "PLACE/new\nline/x.png"], "does not exist"),
    ("sample", ["RUN", "--out", f"PLACE/{LONG}.png"], "cannot be written: "),
    ("sample", ["RUN", "--out", "DATA/good0.png"], "exists already; --force replaces it"),
    ("sample", ["RUN", "--step", "1"], "--step: "),
    ("sample", ["RUN", "--step", "-1"], "--step: "),
    ("sample", ["RUN", "--like"], "--like: expected at least one argument"),
    ("sample", ["RUN", "--like", "mg1-"], "a face's text must begin with mg1-"),
    ("sample", ["RUN", "--like", "mg1-00000000-" + "A" * 134], "this text is of a face of other weights"),
    ("sample", ["RUN", "--like", "mg1-11111111-" + "A" * 9999], "something has been added to it"),
    ("sample", ["RUN", "--film", "--n", "9" * 30], "--n: must be between 2 and 1000"),
    ("sample", ["RUN", "--film", "--out", "PLACE/x.bmp"], "--out: must end in one of .png, .gif, .webp"),
    ("sample", ["RUN", "--separate", ""], "must be a path, got ''"),
    ("sample", ["RUN", "--separate", "PLACE"], "--separate: must be a new folder"),
    ("sample", ["RUN", "--separate", "DATA/good0.png/x"], "--separate: "),
    ("sample", ["RUN", "--separate", f"PLACE/{LONG}"], "cannot be written: "),
    ("sample", ["RUN", "--n", "999", "--interpolate", "--out", "PLACE/x.jpg"], "cannot hold so large an image"),
    ("report", [], "the following arguments are required: RUN"),
    ("report", [""], "must be a path, got ''"),
    ("report", ["PLACE"], "is no run folder"),
    ("report", ["PLACE/two\nlines"], "no such run folder"),
    ("report", ["RUN/config.json"], "is no run folder"),
    ("report", [f"PLACE/{LONG}"], "cannot be opened: "),
    ("report", ["RUN", "RUN"], "RUN: each run can be compared once, got "),
    ("report", ["RUN", "PLACE"], "is no run folder"),
    ("report", ["RUN"] * 9, "RUN: a comparison is of 2 to 8 runs, got 9"),
    ("report", ["RUN", "DATA", "--out", f"PLACE/{LONG}"], "cannot be written: "),
    ("report", ["RUN", "--out", "PLACE/x.html"], "--out: is for a comparison of several runs"),
    ("report", ["RUN", "--force"], "--force: is for a comparison of several runs"),
    ("export", ["RUN"], "the following arguments are required: --to"),
    ("export", ["RUN", "--to", "caffe"], "invalid choice: 'caffe'"),
    ("export", ["PLACE", "--to", "torch"], "is no run folder"),
    ("export", ["DATA/good0.png", "--to", "torch"], "no header of a sensible length"),
    ("export", ["RUN", "--to", "torch", "--out", "DATA/good0.png"], "must end in .safetensors with --to torch, got "),
    ("export", ["RUN", "--to", "keras", "--out", "PLACE/x.keras"], "must end in .hdf5 or .h5 with --to keras, got "),
    ("export", ["RUN", "--to", "torch", "--out", "PLACE/no/x.safetensors"], "cannot be written"),
    ("export", ["RUN", "--to", "torch", "--out", f"PLACE/{LONG}.safetensors"], "cannot be written"),
    ("import_keras", [], "the following arguments are required: G.hdf5"),
    ("import_keras", ["DATA/good0.png", "--out", "RUN"], "exists already and is never overwritten"),
    ("import_keras", ["DATA/good0.png", "--out", "PLACE/x"], ""),  # no HDF5 file; or h5py is not installed
    ("import_keras", ["PLACE/nothing", "--out", "PLACE/x"], ""),
    ("import_keras", ["PLACE", "--out", "PLACE/x"], ""),
    ("evaluate", [""], "must be a path, got ''"),
    ("evaluate", ["PLACE"], "is no run folder"),
    ("evaluate", ["DATA"], "is no run folder"),
    ("evaluate", [f"PLACE/{LONG}"], "cannot be opened: "),
    ("evaluate", ["RUN", "--raw", "yes"], "unrecognized arguments: yes"),
    ("evaluate", ["RUN", "--samples", "0"], "--samples: must be between"),
    ("evaluate", ["RUN", "--samples", "-64"], "--samples: must be between"),
    ("evaluate", ["RUN", "--samples", "nan"], "must be a whole number, got 'nan'"),
    ("evaluate", ["RUN", "--samples", "9" * 30], "--samples: must be between"),
    ("evaluate", ["RUN", "--seed", "-1"], "--seed: must be between 0 and 4294967295, got -1"),
    ("evaluate", ["RUN", "--out", "PLACE/nothing"], "--out: must be a folder that exists"),
    ("evaluate", ["RUN", "--out", "DATA/good0.png"], "--out: must be a folder that exists"),
    ("evaluate", ["RUN", "--data", "PLACE"], "must hold image files, and holds no file"),
    ("evaluate", ["RUN", "--data", "PLACE/nothing"], "there is no "),
    ("evaluate", ["RUN", "--data", "DATA"], "images are needed to measure faces against"),
    ("data", [], "arguments are required"),
    ("data", ["show", "DATA"], "invalid choice: 'show'"),
    ("data", ["info", ""], "must be a path, got ''"),
    ("data", ["info", "PLACE"], "must hold image files, and holds no file"),
    ("data", ["info", "PLACE/nothing"], "there is no "),
    ("data", ["info", "DATA/good0.png"], "is a file"),
    ("data", ["info", "PLACE/two\nlines"], "there is no "),
    ("data", ["info", f"PLACE/{LONG}"], "cannot be opened"),
    ("data", ["info", "DATA", "--image-size", "33"], "invalid choice"),
    ("data", ["info", "DATA", "--sheet", "PLACE/x.txt"], "--sheet: must end in one of .png"),
    ("data", ["info", "DATA", "--sheet", "DATA/good0.png"], "exists already; --force replaces it"),
    ("data", ["info", "DATA", "--sheet", "DATA/x.png"], "would lie among the images to train on"),
    ("data", ["info", "DATA", "--sheet", "PLACE/no/x.png"], "does not exist"),
    ("prepare", [], "arguments are required: SRC, DST"),
    ("prepare", ["DATA"], "arguments are required: DST"),
    ("prepare", ["", "PLACE/new"], "must be a path, got ''"),
    ("prepare", ["DATA", ""], "must be a path, got ''"),
    ("prepare", ["PLACE", "PLACE/new"], ""),
    ("prepare", ["PLACE/nothing", "PLACE/new"], "there is no "),
    ("prepare", ["PLACE/two\nlines", "PLACE/new"], "there is no "),
    ("prepare", ["DATA", "DATA"], ""),
    ("prepare", ["DATA", "DATA/new"], ""),
    ("prepare", ["DATA", "RUN"], ""),
    ("prepare", ["DATA", "RUN/config.json"], ""),
    ("prepare", ["DATA", "RUN/config.json/below"], ""),
    ("prepare", ["DATA", f"PLACE/{LONG}"], ""),
    ("prepare", ["DATA", "PLACE/new", "--size", "-64"], "invalid choice: -64"),
    ("prepare", ["DATA", "PLACE/new", "--margin", "nan"], "--margin: must be between 1 and 4"),
    ("prepare", ["DATA", "PLACE/new", "--margin", "1e999"], "--margin: must be between 1 and 4"),
    ("prepare", ["DATA", "PLACE/new", "--min-side", "-1"], "--min-side: must be 1 or more"),
    ("prepare", ["DATA", "PLACE/new", "--workers", "0"], "--workers: must be 1 or more, got 0"),
    ("prepare", ["DATA", "PLACE/new", "--no-face", "crop"], "without --cascade no faces are searched for"),
    ("prepare", ["DATA", "PLACE/new", "--cascade", "PLACE/nothing.xml"], ""),
    ("prepare", ["DATA", "PLACE/new", "--cascade", "PLACE"], ""),
    ("prepare", ["DATA", "PLACE/new", "--cascade", "DATA/good0.png"], ""),
    ("check", [], "name a file to check"),
    ("check", [""], "must be a path, got ''"),
    ("check", ["PLACE"], ""),
    ("check", ["PLACE/nothing.py"], ""),
    ("check", ["PLACE/two\nlines.py"], ""),
    ("check", ["RUN/config.json", "--time-limit", "nan"], "must be a number of seconds"),
    ("check", ["RUN/config.json", "--time-limit", "-1"], "must be a number of seconds"),
    ("check", ["RUN/config.json", "--time-limit", "1e999"], "must be a number of seconds"),
    ("check", ["RUN/config.json", "--seed", "-1"], "must be at least 0, got -1"),
    ("check", ["RUN/config.json", "--only", "everything"], ""),
    ("check", ["RUN/config.json", "--report", "PLACE"], "is a folder; name a file in it"),
    ("check", ["RUN/config.json", "--json", "RUN/config.json"], ""),
    ("check", ["--template", "RUN/config.json"], ""),
    ("minigan", ["fly"], "no command is called 'fly'"),
]


# ---------------------------------------------------------------------------------------------------------- the program
@dataclass
class Case:
    """Specimens before one command: what it exits with, and a part of what it has to say.

    RUN, DATA and FILE in the arguments are a run with the given config.json, checkpoint or log in the place of its own,
    a folder of the given pictures (a good one for None), and a file with the given contents; PLACE is an empty folder.
    """

    name: str
    command: str
    arguments: list
    says: str
    status: int = 2
    config: object = None
    checkpoint: object = None
    log: tuple = ()
    file: tuple = ()
    pictures: tuple = ()


NEW = [*SMALL, "--out", "PLACE/new"]
OF_PICTURES = {"train": ["--data", "DATA", *NEW], "data": ["info", "DATA"], "prepare": ["DATA", "PLACE/new", *PREPARE]}
OF_RUNS = {"train": ["--resume", "RUN", "--steps", "9"], "sample": ["RUN"], "evaluate": ["RUN"], "report": ["RUN"]}
OF_LOGS = {"train": ["--resume", "RUN", "--steps", "3"], "evaluate": ["RUN", "--diagnosis"], "report": ["RUN"]}


def cases():
    """Every case of the corpus."""
    return [*_picture_cases(), *_run_cases(), *_file_cases(), *_argument_cases()]


def _picture_cases():
    alone = {"train": "", "data": "", "prepare": "no image is left"}
    for command, arguments in OF_PICTURES.items():
        for name, (_, says) in UNREADABLE_PICTURES.items():
            says = alone[command] or says
            yield Case(f"{command}: {name} alone", command, arguments, says, pictures=(name,))
        mixed = (*[None] * (len(UNREADABLE_PICTURES) + 2), *UNREADABLE_PICTURES)
        says = f"minigan: warning: Skipped {len(UNREADABLE_PICTURES)} of " if command == "train" else ""
        yield Case(f"{command}: unreadable pictures", command, arguments, says, 0, pictures=mixed)
        yield Case(f"{command}: odd pictures", command, arguments, "", 0, pictures=tuple(ODD_PICTURES))


def _run_cases():
    for command, arguments in OF_RUNS.items():
        for name, (contents, says) in CONFIGS.items():
            needs_checkpoint = "but this run has" in says or "the saved state" in says
            if not (command == "report" and needs_checkpoint):  # a report reads none
                yield Case(f"{command}: config.json, {name}", command, arguments, says, config=contents)
        if command != "report":
            for name, (change, says) in {**FILES, **CHECKPOINTS}.items():
                yield Case(f"{command}: checkpoint, {name}", command, arguments, says, checkpoint=change)
    for name, (contents, says) in CONFIGS_FOR_TRAINING_ONLY.items():
        yield Case(f"train: config.json, {name}", "train", OF_RUNS["train"], says, config=contents)
    for command, arguments in OF_LOGS.items():
        for name, log in LOGS.items():
            yield Case(f"{command}: {name}", command, arguments, "", 0, log=log)


def _file_cases():
    for name, (change, says) in {**FILES, **GENERATORS}.items():
        yield Case(f"sample: generator, {name}", "sample", ["FILE"], says, file=("generator.safetensors", change))
    for name, (maker, status, says) in ARCHIVES.items():
        arguments, file = ["FILE", "PLACE/new", *PREPARE], (name, lambda good, maker=maker: maker())
        yield Case(f"prepare: archive, {name}", "prepare", arguments, says, status, file=file)


def _argument_cases():
    for command, arguments, says in ARGUMENTS:
        shown = " ".join(repr(argument[:60]) for argument in arguments)
        yield Case(f"{command} {shown}", command, arguments, says, pictures=(None,))


class Bench:
    """A run, and a place to try one case after another."""

    def __init__(self, folder):
        self.folder, self.run = folder, folder / "run"
        self.generator = next((self.run / "models").glob("*GENERATOR*")).read_bytes()
        self.checkpoint = self.run / "checkpoints" / "step-000002.safetensors"
        (self.run / "checkpoints" / "step-000000.safetensors").unlink()
        (self.run / "faces.gif").unlink()  # as if it had been killed before its end

    def try_out(self, case):
        place = self.folder / "place"
        names = {"RUN": place / "run", "DATA": place / "data", "PLACE": place / "empty"}
        names["PLACE"].mkdir(parents=True)
        shutil.copytree(self.run, names["RUN"])
        if case.pictures:
            data_of(place, *case.pictures)
        if case.config is not None:
            _put(names["RUN"] / "config.json", lambda good: case.config, b"")
        if case.checkpoint is not None:
            _put(names["RUN"] / "checkpoints" / self.checkpoint.name, case.checkpoint, self.checkpoint.read_bytes())
        if case.log:
            (names["RUN"] / case.log[0]).write_bytes(case.log[1])
        if case.file:
            names["FILE"] = place / case.file[0]
            _put(names["FILE"], case.file[1], self.generator)
        arguments = [_filled_in(argument, names) for argument in case.arguments]
        before, peak = contents_of(self.folder), peak_kilobytes()
        status, error = call(case.command, arguments)
        changed = sorted({name for name, _ in contents_of(self.folder) ^ before})
        if status == 0:  # it may write what it is there for
            changed = [name for name in changed if not name.startswith(("place/run/", "place/empty/"))]
        shutil.rmtree(place)
        return {"status": status, "error": error, "changed": changed, "kilobytes": peak_kilobytes() - peak}


def _put(path, change, good):
    contents = good if change == "sparse" else change(good)
    if contents == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(contents)
    if change == "sparse":
        os.truncate(path, 8 << 30)


def _filled_in(argument, names):
    name, slash, rest = argument.partition("/")
    return f"{names[name]}{slash}{rest}" if name in names else argument


def contents_of(folder):
    """(path, digest) of every file and folder; the size will do for a huge one."""
    found = set()
    for path in folder.rglob("*"):
        digest = "folder"
        if path.is_file():
            size = path.stat().st_size
            digest = str(size) if size > 1 << 30 else hashlib.sha256(path.read_bytes()).hexdigest()
        found.add((path.relative_to(folder).as_posix(), digest))
    return found


def call(command, arguments):
    """Exit status and stderr of one command."""
    from minigan.system.cli import run_command

    error, output = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(error), contextlib.redirect_stdout(output):
        try:
            status = run_command(COMMANDS[command].main, arguments)
        except SystemExit as stop:
            status = stop.code
        except BaseException as failure:  # what would be a traceback
            status = f"{type(failure).__name__}: {failure}"[:500]
    return status, error.getvalue()


def peak_kilobytes():
    """The most that this process has taken so far; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)


def limit_memory():
    """No more than `MEMORY` beyond what is taken now, on Linux."""
    if sys.platform.startswith("linux"):
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)


def main(folder, part, parts):
    plots.save_loss_plot = lambda path, steps, history: path.write_bytes(b"")  # slow, and of no interest here
    archive.ALWAYS_ALLOWED = 50_000_000  # instead of a gigabyte, which takes seconds
    data_of(folder, None, None)
    arguments = ["--data", str(folder / "data"), *SMALL, "--steps", "2", "--save-every", "2"]
    status, error = call("train", [*arguments, "--out", str(folder / "run")])
    assert status == 0, error
    limit_memory()
    bench = Bench(folder)
    print(json.dumps([{"name": case.name, **bench.try_out(case)} for case in cases()[part::parts]]))


if __name__ == "__main__":
    import minigan.__main__
    import minigan.check.__main__
    import minigan.data.__main__
    from minigan import evaluate, export, import_keras, prepare, report, sample, train
    from minigan.data.images import archive
    from minigan.pages import plots

    COMMANDS = {
        "train": train,
        "sample": sample,
        "report": report,
        "export": export,
        "import_keras": import_keras,
        "evaluate": evaluate,
        "data": minigan.data.__main__,
        "prepare": prepare,
        "check": minigan.check.__main__,
        "minigan": minigan.__main__,
    }
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
