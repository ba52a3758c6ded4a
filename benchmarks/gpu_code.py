"""A GPU's machine code, compiled and executed without a GPU, to count what a thread executes.

NVIDIA's compiler (NVRTC) and disassembler (nvdisasm) run on any computer. What is missing is the card. But how many
instructions a thread executes depends on whole numbers only: on sizes and on where the thread is. So `Program` executes
the whole-number instructions of a thread, one by one, and leaves all others out: what is loaded or computed from loaded
numbers is unknown (None), and a jump that depends on something unknown is an error, never a guess.

`kernel_instructions` uses it. Only the instructions that minigan's kernels have are known here.

References
----------
NVIDIA, "CUDA Binary Utilities", section "Instruction Set Reference" (names only; what each does is told by its name and
by comparing with the source).
"""

from __future__ import annotations

import ctypes
import math
import re
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

WORD = 0xFFFFFFFF
PARAMETERS_AT = 0x160
"""Where in its constants a kernel of compute capability 7.0 to 8.9 finds its arguments."""

STEPS = 100_000
"""So many instructions a thread may execute before we think that it never ends."""

SPECIAL = {"TID": 0, "CTAID": 3}


class CannotRunError(Exception):
    """An instruction that is not known here, or a jump that depends on something unknown."""


def compile_source(source: str, library: Path, *, architecture: str, options: Sequence[str] = ()) -> bytes:
    """CUDA source to machine code, by NVRTC, with the options that CuPy is given.

    Parameters
    ----------
    source : str
    library : Path
        Of NVRTC, such as ``.../nvidia/cuda_nvrtc/lib/libnvrtc.so.12``.
    architecture : str
        Such as "sm_86".
    options : sequence of str

    Returns
    -------
    bytes
        A cubin.

    Raises
    ------
    ValueError
        With the compiler's own words.
    """
    nvrtc = ctypes.CDLL(str(library))
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None)
    words = [f"-arch={architecture}".encode(), *(option.encode() for option in options)]
    failed = nvrtc.nvrtcCompileProgram(program, len(words), (ctypes.c_char_p * len(words))(*words))
    if failed:
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        raise ValueError(log.value.decode())
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    cubin = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetCUBIN(program, cubin)
    return cubin.raw


def disassemble(cubin: bytes, nvdisasm: Path) -> dict[str, Program]:
    """Every kernel of a cubin, by name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernels.cubin"
        path.write_bytes(cubin)
        text = subprocess.run([nvdisasm, "-c", path], check=True, capture_output=True, encoding="utf-8").stdout
    sections = re.split(r"^\s*\.section\s+\.text\.", text, flags=re.MULTILINE)[1:]
    return {section[: section.index(",")].strip(): Program(section) for section in sections}


@dataclass
class Counts:
    """What some threads have executed: instructions, and how many numbers they wrote."""

    instructions: int = 0
    stores: int = 0
    threads: int = 0

    def add(self, other: Counts) -> None:
        self.instructions += other.instructions
        self.stores += other.stores
        self.threads += other.threads


@dataclass(frozen=True)
class _Instruction:
    """``@guard name.kinds operands``."""

    guard: str | None
    name: str
    kinds: tuple[str, ...]
    operands: tuple[str, ...]


class Program:
    """One kernel's instructions.

    Parameters
    ----------
    listing : str
        nvdisasm's text of one kernel.
    """

    def __init__(self, listing: str) -> None:
        self.instructions: list[_Instruction] = []
        self.labels: dict[str, int] = {}
        for line in listing.splitlines():
            if label := re.match(r"(\.L_x_\d+):", line):
                self.labels[label[1]] = len(self.instructions)
            elif code := re.match(r"\s*/\*[0-9a-f]+\*/\s+(?:\{\s*)?(?:@(!?U?P\w+)\s+)?([A-Z0-9_.]+)\s*([^;]*);", line):
                name, *kinds = code[2].split(".")
                operands = tuple(word.strip().replace(".reuse", "") for word in code[3].split(",") if word.strip())
                self.instructions.append(_Instruction(code[1], name, tuple(kinds), operands))

    def __len__(self) -> int:
        """How many instructions there are, without the filling at the end."""
        return sum(instruction.name != "NOP" for instruction in self.instructions)

    def run_block(
        self, block: tuple[int, ...], where: tuple[int, ...], grid: tuple[int, ...], arguments: bytes, threads: int
    ) -> Counts:
        """Execute some threads of one block, evenly spread.

        Parameters
        ----------
        block, grid : (x, y, z)
            Sizes of a block and of the grid.
        where : (x, y, z)
            Which block.
        arguments : bytes
            The kernel's arguments, one after the other, each at a multiple of its size.
        threads : int
            How many threads at most.

        Returns
        -------
        Counts
        """
        constants = bytearray(PARAMETERS_AT + len(arguments))
        struct.pack_into("<6I", constants, 0, *block, *grid)
        constants[PARAMETERS_AT:] = arguments
        counts, total = Counts(), math.prod(block)
        for k in range(min(threads, total)):
            place = k * total // min(threads, total)
            x, y, z = place % block[0], place // block[0] % block[1], place // block[0] // block[1]
            counts.add(_Thread(self, bytes(constants), (x, y, z, *where)).run())
        return counts


@dataclass
class _Thread:
    """One thread while it runs: its registers and predicates by name; what is not in them is unknown."""

    program: Program
    constants: bytes
    place: tuple[int, ...]  # threadIdx, blockIdx
    registers: dict[str, int | None] = field(default_factory=dict)
    predicates: dict[str, bool | None] = field(default_factory=dict)

    def run(self) -> Counts:
        counts, at = Counts(threads=1), 0
        for _ in range(STEPS):
            code = self.program.instructions[at]
            at += 1
            if code.name == "NOP":
                continue
            counts.instructions += 1
            go = True if code.guard is None else self.predicate(code.guard)
            if go is False:
                continue
            if code.name in ("EXIT", "BRA", "CALL"):  # the compiler's calls without a return lead to an end
                if go is None:
                    raise CannotRunError(f"a jump that depends on an unknown number: {code}")
                # A jump may have a condition as an operand, too.
                conditions = [self.predicate(word) for word in code.operands if re.fullmatch(r"!?U?P\w+", word)]
                if None in conditions:
                    raise CannotRunError(f"a jump that depends on an unknown number: {code}")
                if not all(conditions):
                    continue
                if code.name == "EXIT":
                    return counts
                at = self.program.labels[code.operands[-1].strip("`()")]
            elif code.name == "RET":
                raise CannotRunError(f"a return from a function: {code}")
            elif code.name == "STG":
                if go is None:
                    raise CannotRunError(f"a store that depends on an unknown number: {code}")
                counts.stores += {"64": 2, "128": 4}.get(code.kinds[-1], 1)
            else:
                self.execute(code, certain=go is True)
        raise CannotRunError("it does not end")

    # ------------------------------------------------------------------------------------------------------- operands
    def predicate(self, word: str) -> bool | None:
        if word.startswith("!"):
            value = self.predicate(word[1:])
            return None if value is None else not value
        return True if word in ("PT", "UPT") else self.predicates.get(word)

    def number(self, word: str) -> int | None:
        """A 32-bit operand, as a number from 0 to 2**32 - 1."""
        if word[0] in "-~|":
            value = self.number(word.strip("-~|"))
            if value is None:
                return None
            if word[0] == "-":
                return -value & WORD
            return ~value & WORD if word[0] == "~" else abs(_signed(value))
        if word in ("RZ", "URZ", "SRZ"):
            return 0
        if re.fullmatch(r"U?R\d+", word):
            return self.registers.get(word)
        if constant := re.fullmatch(r"c\[0x0\]\[(?:(U?R\d+)\+?)?(-?0x[0-9a-f]+)?\]", word):
            base = self.number(constant[1]) if constant[1] else 0
            return None if base is None else self.constant(base + int(constant[2] or "0", 16))
        return int(word, 16) & WORD if re.fullmatch(r"-?0x[0-9a-f]+", word) else None

    def constant(self, at: int) -> int:
        return int.from_bytes(self.constants[at : at + 4], "little")

    def pair(self, word: str) -> int | None:
        """A 64-bit operand."""
        if word in ("RZ", "URZ"):
            return 0
        low, high = self.number(word), self.number(_next(word))
        return None if low is None or high is None else low | high << 32

    # ----------------------------------------------------------------------------------------------------- execution
    def execute(self, code: _Instruction, *, certain: bool) -> None:
        """Execute a whole-number instruction; the results of all others become unknown."""
        words = list(code.operands)
        targets: list[str] = []
        most = {"BSYNC": 0, "BSSY": 0, "LOP3": 1, "ULOP3": 1}.get(code.name, 2)
        while len(targets) < most and words and re.fullmatch(r"U?P\d|U?PT", words[0]):
            targets.append(words.pop(0))
        target = None
        if words and (not targets or most == 1) and re.fullmatch(r"U?R(\d+|Z)", words[0]):
            target = words.pop(0)
        carries = []
        while target and words and re.fullmatch(r"U?P\d", words[0]) and code.name not in ("SEL", "USEL", "FSEL"):
            carries.append(words.pop(0))
        name = code.name.removeprefix("U")
        wide = target is not None and _is_wide(code)
        values = getattr(self, f"_{name.lower()}", _unknown)(code, words) if target or targets else ()
        if targets and target is None:
            pair = values if isinstance(values, tuple) else (values, None)
            for word, value in zip(targets, pair, strict=False):
                self.predicates[word] = value if certain else None
            return
        for word in (*targets, *carries):
            self.predicates[word] = None
        if target is not None:
            whole = values if certain else None
            if code.name in ("LOP3", "ULOP3") and targets and whole is not None:
                self.predicates[targets[0]] = whole != 0
            self.registers[target] = None if whole is None else whole & WORD
            if wide:
                self.registers[_next(target)] = None if whole is None else whole >> 32 & WORD

    def _all(self, words: Sequence[str]) -> list[int] | None:
        numbers = [self.number(word) for word in words]
        return None if None in numbers else [n for n in numbers if n is not None]

    def _mov(self, _: _Instruction, words: list[str]) -> int | None:
        return self.number(words[0])

    _r2ur = _mov

    def _cs2r(self, _: _Instruction, words: list[str]) -> int | None:
        return 0 if words[0] == "SRZ" else None

    def _s2r(self, _: _Instruction, words: list[str]) -> int | None:
        kind, _, axis = words[0].removeprefix("SR_").partition(".")
        return self.place[SPECIAL[kind] + "XYZ".index(axis)] if kind in SPECIAL else None

    _s2ur = _s2r

    def _ldc(self, code: _Instruction, words: list[str]) -> int | None:
        low = self.number(words[0])
        if low is None or "64" not in code.kinds:
            return low
        base, _, offset = words[0].rpartition("0x")
        high = self.number(f"{base}0x{int(offset.rstrip(']'), 16) + 4:x}]")
        return None if high is None else low | high << 32

    def _imad(self, code: _Instruction, words: list[str]) -> int | None:
        if "X" in code.kinds or len(words) != 3:
            return None
        a, b = self.number(words[0]), self.number(words[1])
        if 0 in (a, b):  # so that a pointer that is not null is known to be so
            a, b = 0, 0
        if a is None or b is None:
            return None
        wide = "WIDE" in code.kinds or "HI" in code.kinds
        c = self.pair(words[2]) if wide else self.number(words[2])
        if c is None:
            return None
        if wide and "U32" not in code.kinds:
            a, b = _signed(a), _signed(b)
        return (a * b + c) >> 32 if "HI" in code.kinds else a * b + c

    def _iadd3(self, code: _Instruction, words: list[str]) -> int | None:
        numbers = self._all(words[:3])
        return None if numbers is None or "X" in code.kinds else sum(numbers)

    def _lea(self, code: _Instruction, words: list[str]) -> int | None:
        if "X" in code.kinds or "SX32" in code.kinds:
            return None
        numbers = self._all(words)
        if numbers is None:
            return None
        if "HI" in code.kinds:
            a, b, c, shift = numbers
            return ((c << 32 | a) << shift >> 32) + b
        a, b, shift = numbers
        return (a << shift) + b

    def _shf(self, code: _Instruction, words: list[str]) -> int | None:
        numbers = self._all(words[:3])
        if numbers is None or "U64" in code.kinds or "S64" in code.kinds:
            return None
        low, shift, high = numbers
        if "R" in code.kinds:
            return (_signed(high) if "S32" in code.kinds else high) >> min(shift, 32)
        return low << min(shift, 32) if "HI" not in code.kinds else None

    def _lop3(self, _: _Instruction, words: list[str]) -> int | None:
        numbers = self._all(words[:3])
        table = self.number(words[3])
        if numbers is None or table is None:
            return None
        result = 0
        for row in range(8):
            if table >> row & 1:
                parts = [n if row >> (2 - k) & 1 else ~n for k, n in enumerate(numbers)]
                result |= parts[0] & parts[1] & parts[2]
        return result & WORD

    def _sel(self, _: _Instruction, words: list[str]) -> int | None:
        chosen = self.predicate(words[2])
        return None if chosen is None else self.number(words[0] if chosen else words[1])

    def _imnmx(self, code: _Instruction, words: list[str]) -> int | None:
        numbers, smaller = self._all(words[:2]), self.predicate(words[2])
        if numbers is None or smaller is None:
            return None
        key = (lambda n: n) if "U32" in code.kinds else _signed
        return (min if smaller else max)(numbers, key=key)

    def _iabs(self, _: _Instruction, words: list[str]) -> int | None:
        value = self.number(words[0])
        return None if value is None else abs(_signed(value))

    def _isetp(self, code: _Instruction, words: list[str]) -> tuple[bool | None, bool | None]:
        a, b = self.number(words[0]), self.number(words[1])
        before = self.predicate(words[2])
        if a is None or b is None:
            return None, None
        if "U32" not in code.kinds and "EX" not in code.kinds:
            a, b = _signed(a), _signed(b)
        result: bool | None = {"GE": a >= b, "GT": a > b, "LE": a <= b, "LT": a < b, "EQ": a == b, "NE": a != b}[
            code.kinds[0]
        ]
        if "EX" in code.kinds and a == b:
            result = self.predicate(words[3])
        return _joined(code.kinds, result, before), None

    def _plop3(self, _: _Instruction, words: list[str]) -> tuple[bool | None, bool | None]:
        inputs = [self.predicate(word) for word in words[:3]]
        results = []
        for word in words[3:5]:
            table = int(word, 16)
            rows = {
                table >> (4 * a + 2 * b + c) & 1
                for a in _possible(inputs[0])
                for b in _possible(inputs[1])
                for c in _possible(inputs[2])
            }
            results.append(bool(rows.pop()) if len(rows) == 1 else None)
        return results[0], results[1]

    def _p2r(self, _: _Instruction, words: list[str]) -> int | None:
        mask, result = self.number(words[2]), self.number(words[1])
        if mask is None or result is None:
            return None
        for k in range(7):
            if mask >> k & 1:
                value = self.predicates.get(f"P{k}")
                if value is None:
                    return None
                result = result & ~(1 << k) | value << k
        return result

    # A division of whole numbers begins with a reciprocal of floats.
    def _i2f(self, _: _Instruction, words: list[str]) -> int | None:
        value = self.number(words[0])
        if value is None:
            return None
        rounded = struct.unpack("<f", struct.pack("<f", value))[0]
        if rounded < value:  # rounded up, as .RP says
            rounded = struct.unpack("<f", struct.pack("<I", _bits(rounded) + 1))[0]
        return _bits(rounded)

    def _mufu(self, code: _Instruction, words: list[str]) -> int | None:
        value = self.number(words[0])
        return None if value is None or code.kinds[0] != "RCP" else _bits(1 / _float(value))

    def _f2i(self, _: _Instruction, words: list[str]) -> int | None:
        value = self.number(words[0])
        return None if value is None else math.floor(_float(value))


def _unknown(*_: object) -> None:
    return None


def _possible(value: bool | None) -> Iterator[bool]:
    yield from (False, True) if value is None else (value,)


def _joined(kinds: tuple[str, ...], result: bool | None, before: bool | None) -> bool | None:
    if "AND" in kinds:
        if False in (result, before):
            return False
        return None if None in (result, before) else True
    if "OR" in kinds:
        if True in (result, before):
            return True
        return None if None in (result, before) else False
    raise CannotRunError(f"a comparison of the kind {'.'.join(kinds)}")


def _is_wide(code: _Instruction) -> bool:
    return bool({"WIDE", "64"} & set(code.kinds)) or code.name == "CS2R"


def _next(word: str) -> str:
    """The name of the register, or place among the constants, that has the upper half of a pair."""
    if constant := re.fullmatch(r"c\[0x0\]\[0x([0-9a-f]+)\]", word):
        return f"c[0x0][0x{int(constant[1], 16) + 4:x}]"
    sign = word[0] if word[0] in "-~" else ""
    kind, number = re.fullmatch(r"[-~]?(U?R)(\d+|Z)", word).groups()  # type: ignore[union-attr]
    return sign + (f"{kind}Z" if number == "Z" else f"{kind}{int(number) + 1}")


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 & 1 else value


def _bits(value: float) -> int:
    return struct.unpack("<I", struct.pack("<f", value))[0]


def _float(bits: int) -> float:
    return struct.unpack("<f", struct.pack("<I", bits))[0]
