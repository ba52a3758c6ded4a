"""The count of executed instructions: machine code whose count is known, and the launches that are counted."""

import struct

import kernel_instructions
import numpy as np
import pytest
from gpu_code import CannotRunError, Program

LOOP = """
LOOP:
        /*0000*/                   S2R R0, SR_TID.X ;
        /*0010*/                   ISETP.GE.AND P0, PT, R0, c[0x0][0x168], PT ;
        /*0020*/               @P0 EXIT ;
        /*0030*/                   IMAD.MOV.U32 R3, RZ, RZ, 0x4 ;
.L_x_0:
        /*0040*/                   IMAD.WIDE R4, R0, R3, c[0x0][0x160] ;
        /*0050*/                   LDG.E R2, [R4.64] ;
        /*0060*/                   IADD3 R0, R0, c[0x0][0x0], RZ ;
        /*0070*/                   ISETP.GE.AND P0, PT, R0, c[0x0][0x168], PT ;
        /*0080*/                   FADD R2, R2, 1 ;
        /*0090*/                   STG.E [R4.64], R2 ;
        /*00a0*/              @!P0 BRA `(.L_x_0) ;
        /*00b0*/                   EXIT ;
.L_x_1:
        /*00c0*/                   BRA `(.L_x_1);
        /*00d0*/                   NOP;
"""


def run(listing, *, threads, size, most=99):
    arguments = struct.pack("<Qi", 1 << 32, size)
    return Program(listing).run_block((threads, 1, 1), (0, 0, 0), (1, 1, 1), arguments, most)


def test_every_instruction_of_a_loop_is_counted():
    counts = run(LOOP, threads=4, size=10)
    # Threads 0 and 1 take three numbers each, the others two: 4 instructions before, 7 for each number, 1 after.
    assert (counts.threads, counts.stores, counts.instructions) == (4, 10, 4 * 5 + 10 * 7)


def test_threads_without_work_leave_at_once():
    assert run(LOOP, threads=12, size=10).instructions == 10 * (5 + 7) + 2 * 3


def test_some_threads_stand_for_all():
    assert run(LOOP, threads=64, size=64, most=8).threads == 8


def test_a_jump_that_depends_on_a_loaded_number_is_no_guess():
    unknown = LOOP.replace("ISETP.GE.AND P0, PT, R0, c[0x0][0x168], PT ;\n        /*0080*/", "NOP ;\n        /*0080*/")
    unknown = unknown.replace("FADD R2, R2, 1", "FSETP.GT.AND P0, PT, R2, RZ, PT")
    with pytest.raises(CannotRunError, match="a jump that depends on an unknown number"):
        run(unknown, threads=1, size=10)


def test_a_thread_that_does_not_end_is_found():
    with pytest.raises(CannotRunError, match="it does not end"):
        run(LOOP.replace("R0, c[0x0][0x0], RZ", "R0, RZ, RZ"), threads=1, size=10)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("IMAD R1, R2, -0x2, R3", 3 - 2 * 7),
        ("IADD3 R1, -R2, 0x1, R3", 3 + 1 - 7),
        ("LEA R1, R2, R3, 0x4", 7 * 16 + 3),
        ("LEA.HI R1, R2, R3, RZ, 0x1f", 3 + 3),
        ("SHF.R.S32.HI R1, RZ, 0x1f, R4", -1),
        ("SHF.R.U32.HI R1, RZ, 0x1, R2", 3),
        ("SHF.L.U32 R1, R2, 0x3, RZ", 56),
        ("LOP3.LUT R1, R2, 0x3, RZ, 0xc0, !PT", 7 & 3),
        ("LOP3.LUT R1, R2, R3, RZ, 0x3c, !PT", 7 ^ 3),
        ("SEL R1, R2, R3, !PT", 3),
        ("IMNMX R1, R4, R2, PT", -5),
        ("IABS R1, R4", 5),
        ("IMAD.HI.U32 R1, R4, 0x8, RZ", 7),
        ("UIMAD UR4, UR5, 0x3, URZ", 33),
        ("FADD R1, R2, R3", None),
    ],
)
def test_whole_number_instructions(code, expected):
    from gpu_code import _Thread

    program = Program(f"        /*0000*/                   {code} ;\n")
    thread = _Thread(program, bytes(1024), (0,) * 6, {"R2": 7, "R3": 3, "R4": -5 & 0xFFFFFFFF, "UR5": 11})
    thread.execute(program.instructions[0], certain=True)
    value = thread.registers[code.split()[1].rstrip(",")]
    assert (None if value is None else int(np.uint32(value).astype(np.int32))) == expected


def test_launches_are_those_of_the_kernels_own_callers():
    launches = kernel_instructions.launches_of_all_convolutions(2)
    assert {"im2col", "col2im", "winograd_gather", "winograd_gather_adjoint", "winograd_output"} <= set(launches)
    first = launches["im2col"][0]
    assert first.grid == (2, 32, 1)  # D's first convolution: 2 images, 32 rows of patches
    assert first.block[:2] == (12, 4)  # a row of a patch has 4 * 3 numbers; a patch has 4 rows
    assert len(first.arguments) == 2 * 8 + 10 * 4


def test_what_is_missing_is_told_in_one_line(monkeypatch, capsys):
    import records

    monkeypatch.setattr(kernel_instructions.importlib.util, "find_spec", lambda name: None)
    assert records.run(lambda argv: kernel_instructions.main(["--quick"])) == 2
    assert "NVRTC is not installed: python -m pip install" in capsys.readouterr().err
