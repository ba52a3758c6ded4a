"""Loading CuPy: on machines where something is missing or broken, one line says what to do, and no file is made."""

import builtins
import json
import os
import subprocess
import sys
import types
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import fake_cupy
import numpy as np
import pytest
from cupy_memory import OutOfMemoryError
from device_double import COMPILER
from places import ROOT

from minigan import train
from minigan.fast.cuda import cublas, loading
from minigan.nn import backend
from minigan.nn.backend import get_backend
from minigan.system.cli import run_command
from minigan.system.errors import UserError, words_for

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no g++ to compile the kernels for the processor")


@pytest.fixture
def machine(monkeypatch):
    """Make a machine: `machine(fault, packages)` has these packages of CuPy installed, and the fault."""
    monkeypatch.setattr(cublas, "_open", fake_cupy.open_cublas)
    monkeypatch.setattr(loading, "DEVICES", Path("/nowhere"))
    for name in ("CUDA_VISIBLE_DEVICES", "CUPY_GPU_MEMORY_LIMIT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    def make(fault=None, packages=("cupy-cuda13x",)):
        def version(package):
            if package not in packages:
                raise PackageNotFoundError(package)
            return "14.2.0"

        backend._known.pop("cupy", None)
        monkeypatch.setitem(sys.modules, "cupy", fake_cupy.make(fault))
        monkeypatch.setattr(loading, "version", version)
        return sys.modules["cupy"]

    yield make
    backend._known.pop("cupy", None)


def refusal():
    with pytest.raises(UserError) as caught:
        get_backend("cupy")
    told = str(caught.value)
    assert told.startswith("--backend cupy: ")
    assert told.isprintable()
    assert len(told) < 600
    assert "cupy" not in backend._known
    return told


def test_a_machine_that_has_all(machine, monkeypatch):
    cupy = machine()
    made = get_backend("cupy")
    assert made is get_backend("cupy")
    assert (made.name, made.xp, made.device_name) == ("cupy", cupy, "NVIDIA Double 1000")
    np.testing.assert_array_equal(made.to_host(made.asarray(np.arange(3.0)) * 2), [0, 2, 4])


def test_the_versions_of_all_that_computes(machine, monkeypatch, tmp_path):
    machine()
    monkeypatch.setattr(loading, "DRIVER_FILE", tmp_path / "version")
    expected = {
        "cupy": "14.2.0",
        "cuda": "13.2",
        "nvrtc": "13.5",
        "cublas": "13.10.0",
        "driver": "for CUDA 13.0",
        "compute_capability": "8.6",
    }
    assert get_backend("cupy").versions == expected
    (tmp_path / "version").write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23\nGCC 13.2.0\n"
    )
    machine()
    assert get_backend("cupy").versions == {**expected, "driver": "580.95.05 for CUDA 13.0"}


@pytest.mark.parametrize(
    ("fault", "words"),
    {
        "no driver": ["cudaErrorInsufficientDriver", "there is no NVIDIA driver", "--gpus all", "--backend numpy"],
        "old driver": [
            "the driver supports CUDA 12.4, and this CuPy needs CUDA 13",
            "install driver 580 or newer, or python -m pip uninstall cupy-cuda13x, then "
            'python -m pip install "cupy-cuda12x[ctk]>=14"',
        ],
        "very old driver": ["the driver supports CUDA 11.8", "install driver 580 or newer"],
        "no card": ["cudaErrorNoDevice", "does nvidia-smi show a card?"],
        "no visible card": ["no CUDA device is visible", "does nvidia-smi show a card?"],
        "card in use": ["cudaErrorDevicesUnavailable", "another program has the card for itself"],
        "no compiler": ["CUDA's compiler (NVRTC)", "DynamicLibNotFoundError", '"cupy-cuda13x[ctk]>=14"'],
        "old card": [
            "NVIDIA Double 1000 has compute capability 6.1, and this CUDA compiler begins at 7.5",
            "this card needs CUDA 12: python -m pip uninstall cupy-cuda13x, then "
            'python -m pip install "cupy-cuda12x[ctk]>=14"',
        ],
        "ancient card": ["compute capability 3.7", "CuPy no longer supports this card: use --backend numpy"],
        "full memory": ["OutOfMemoryError", "memory is full: nvidia-smi shows which programs use it"],
        "limit too small": ["limit set to: 100 bytes", "CUPY_GPU_MEMORY_LIMIT is too small"],
        "limit that is no number": ["CUPY_GPU_MEMORY_LIMIT must be a number of bytes, or a share", "got '1 GB'"],
        "no memory for a context": ["cudaErrorMemoryAllocation", "memory is full"],
        "no headers": ["cannot compile for this GPU (CompileException: kern.cu(5)", '"cupy-cuda13x[ctk]>=14"'],
        "cache not writable": ["PermissionError", "CUPY_CACHE_DIR"],
        "no cuBLAS": ["cannot use cuBLAS (ImportError: libcublas.so.13", '"cupy-cuda13x[ctk]>=14"'],
        "kernels do not compile": ["cannot compile minigan's kernels (CompileException", "please report this"],
        "compiler newer than driver": ["CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "install a newer driver"],
        "no CuPy at all": ["cannot use CuPy (AttributeError", '"cupy-cuda13x[ctk]>=14"'],
        "very old CuPy": ["cannot use CUDA's compiler (NVRTC) (AttributeError", '"cupy-cuda13x[ctk]>=14"'],
        "fails at the end": ["cannot use CuPy (CUBLASError: CUBLAS_STATUS_NOT_INITIALIZED)"],
        "wrong numbers": ["the GPU computes wrong numbers (-16 expected,", "please report this"],
    }.items(),
)
def test_a_machine_where_something_is_missing(machine, fault, words):
    machine(fault)
    told = refusal()
    for word in words:
        assert word in told
    if fault == "very old driver":
        assert "cuda11x" not in told


def test_every_fault_is_tested():
    mark = test_a_machine_where_something_is_missing.pytestmark[0]
    assert {fault for fault, _ in mark.args[1]} == set(fake_cupy.FAULTS)


def test_without_cupy(machine, monkeypatch):
    machine(packages=())
    monkeypatch.delitem(sys.modules, "cupy")
    real_import = builtins.__import__

    def no_cupy(name, *arguments, **options):
        if name == "cupy":
            raise ModuleNotFoundError("No module named 'cupy'", name="cupy")
        return real_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", no_cupy)
    told = refusal()
    assert "CuPy is not installed; for RTX 20, GTX 16 or newer with driver 580 or newer: " in told
    assert 'python -m pip install "cupy-cuda13x[ctk]>=14"' in told
    assert 'GTX 10, P100, V100) or drivers: python -m pip install "cupy-cuda12x[ctk]>=14"' in told


@pytest.mark.parametrize(
    "error",
    [
        ImportError(
            "\n====\nFailed to import CuPy.\n\nOriginal error:\n  ImportError: libcudart.so.13: cannot open\n===="
        ),
        ModuleNotFoundError("No module named 'cuda.pathfinder'", name="cuda.pathfinder"),
        AttributeError("module 'numpy' has no attribute 'float_'"),
        OSError("[WinError 126] The specified module could not be found"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_cupy_that_cannot_be_imported(machine, monkeypatch, error):
    machine()
    real_import = builtins.__import__

    def broken(name, *arguments, **options):
        if name == "cupy":
            raise error
        return real_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", broken)
    told = refusal()
    assert f"CuPy cannot be imported ({type(error).__name__}" in told
    assert '"cupy-cuda13x[ctk]>=14"' in told


@pytest.mark.parametrize(
    ("packages", "advice"),
    [
        ((), "for RTX 20, GTX 16 or newer"),
        (("cupy-cuda12x",), 'python -m pip install "cupy-cuda12x[ctk]>=14"'),
        (("cupy-cuda13x",), 'python -m pip install "cupy-cuda13x[ctk]>=14"'),
        (("cupy-cuda11x",), "first python -m pip uninstall cupy-cuda11x, then, for RTX 20"),
        (("cupy-cuda12x", "cupy-cuda13x"), "first python -m pip uninstall cupy-cuda13x cupy-cuda12x, then, for RTX 20"),
    ],
)
def test_two_cupys_are_not_installed_one_over_the_other(machine, packages, advice):
    machine("no compiler", packages)
    assert advice in refusal()


def test_a_card_newer_than_the_compiler_is_not_refused(machine):
    """CuPy then compiles for the newest card that the compiler knows, and the driver does the rest."""
    cupy = machine()
    cupy.cuda.Device.compute_capability = "130"
    assert get_backend("cupy").versions["compute_capability"] == "13.0"


@pytest.mark.parametrize("error", ["no card", "no visible card"])
def test_a_user_who_may_not_open_the_card(machine, monkeypatch, tmp_path, error):
    machine(error)
    for name in ("nvidia0", "nvidiactl", "nvidia-caps"):
        (tmp_path / name).touch()
    monkeypatch.setattr(loading, "DEVICES", tmp_path)
    assert "does nvidia-smi show a card?" in refusal()
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "nvidia-caps")
    assert "does nvidia-smi show a card?" in refusal()  # these are closed to users, as they should be
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "nvidia0")
    told = refusal()
    assert f"this user may not open {tmp_path / 'nvidia0'}" in told
    assert "usermod" in told


def test_a_card_that_is_hidden(machine, monkeypatch):
    machine("no card")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert "CUDA_VISIBLE_DEVICES is '3': it must name a card that nvidia-smi shows, or be unset" in refusal()


@pytest.mark.parametrize("command", ["train", "sample", "evaluate"])
def test_no_command_makes_a_file_before_it_knows(command, tmp_path):
    """The faults are those of an installed CuPy, in a process of its own."""
    about = {"PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "support" / "installed_cupy"), str(ROOT)])}
    arguments = {"train": ["--steps", "2", "--out", "run"], "sample": ["run"], "evaluate": ["run"]}[command]
    for fault in ("no cuBLAS", "full memory"):
        done = subprocess.run(
            [sys.executable, "-m", f"minigan.{command}", *arguments, "--backend", "cupy"],
            cwd=tmp_path,
            env={**os.environ, **about, "FAKE_CUPY_FAULT": fault},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.splitlines()) == 1
        if command == "train":
            assert "--backend cupy: cannot use" in done.stderr
        assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------- errors in a run
SMALL = ["--image-size", 32, "--width", 4, "--batch-size", 4]


def call(*arguments):
    return run_command(train.main, [str(a) for a in arguments])


@pytest.fixture
def drawings(tmp_path):
    from PIL import Image

    folder = tmp_path / "drawings"
    folder.mkdir()
    for k in range(8):
        pixels = np.random.default_rng(k).integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
    return folder


ERRORS = {
    "illegal address": (
        fake_cupy.error_of_cuda(*fake_cupy.ILLEGAL_ADDRESS),
        "the GPU has failed (CUDARuntimeError: cudaErrorIllegalAddress: an illegal memory access was encountered)",
    ),
    "out of memory": (
        OutOfMemoryError(1024, 4096),
        "the GPU's memory is full (OutOfMemoryError: Out of memory allocating 1,024 bytes (allocated so far: 4,096 "
        "bytes).); nvidia-smi shows which programs use it; --no-cuda-graph and a smaller --batch-size need less",
    ),
    "cuBLAS": (cublas.CublasError("cuBLAS: the call failed with status 13"), "the GPU has failed (CublasError: cuBLAS"),
    "no memory for cuBLAS": (
        cublas.CublasError("cuBLAS: the call failed with status 3 (ALLOC_FAILED)"),
        "the GPU's memory is full (CublasError",
    ),
    "driver": (
        fake_cupy.CUDADriverError("CUDA_ERROR_LAUNCH_FAILED"),
        "the GPU has failed (CUDADriverError: CUDA_ERROR",
    ),
    "compiler": (fake_cupy.CompileException("no"), "the GPU has failed (CompileException: no)"),
}


@pytest.mark.parametrize("name", list(ERRORS))
def test_errors_of_a_card_are_told_in_one_line(machine, name):
    machine()
    get_backend("cupy")
    error, words = ERRORS[name]
    assert words_for(error).startswith(words)


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("name", ["illegal address", "out of memory"])
def test_an_error_in_a_run_says_what_is_kept(machine, drawings, tmp_path, monkeypatch, capsys, name, graph):
    error, words = ERRORS[name]
    cupy = machine()
    monkeypatch.setattr(train.Trainer, "_say_diagnosis", lambda *arguments: None)
    out = tmp_path / "run"
    settings = ["--data", drawings, *SMALL, "--backend", "cupy", "--sample-every", 100, "--save-every", 1]
    option = ["--cuda-graph"] if graph else []
    get_backend("cupy")
    cupy.card.fail_after(700, error)  # a step has about 300 launches
    assert call(*settings, *option, "--steps", 8, "--out", out) == 1
    told = capsys.readouterr()
    line = told.err.splitlines()[-1]
    assert line.startswith(f"minigan: error: {words}")
    assert "recorded" not in told.err
    kept = sorted(int(path.stem.split("-")[-1]) for path in (out / "checkpoints").iterdir())[-1]
    assert kept >= 1
    assert f"; the checkpoint of step {kept} is kept: python -m minigan.train --resume {out}" in line
    assert "Traceback" not in told.err
    assert words.split("(")[0].strip() in (out / "report.html").read_text(encoding="utf-8").replace("&#39;", "'")
    backend._known.pop("cupy")
    assert call("--resume", out, "--steps", kept + 1, "--backend", "numpy", "--no-cuda-graph") == 0


def test_an_error_while_the_run_folder_is_made_leaves_none(machine, drawings, tmp_path, capsys):
    cupy = machine()
    get_backend("cupy")
    cupy.card.fail_after(-1, fake_cupy.error_of_cuda(*fake_cupy.ILLEGAL_ADDRESS))
    out = tmp_path / "run"
    assert call("--data", drawings, *SMALL, "--backend", "cupy", "--steps", 2, "--out", out) == 1
    assert "minigan: error: the GPU has failed" in capsys.readouterr().err.splitlines()[-1]
    assert not out.exists()


def test_a_mistake_in_the_program_keeps_its_traceback():
    assert words_for(TypeError("unsupported")) is None
    assert words_for(RuntimeError("anything")) is None


def test_memory_of_the_machine_used_up_in_a_run(drawings, tmp_path, monkeypatch, capsys):
    """The same on the processor."""
    from minigan.training import trainer

    def short(*arguments, **options):
        raise MemoryError("9 GB")

    monkeypatch.setattr(trainer, "train_step", short)
    out = tmp_path / "run"
    assert call("--data", drawings, *SMALL, "--ranks", 1, "--steps", 2, "--out", out) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "minigan: error: out of memory (9 GB)" in line
    assert "; the checkpoint of step 0 is kept: python -m minigan.train --resume" in line


def test_types_of_the_stand_in(machine):
    """What the stand-in has, the real CuPy has."""
    from cupy_names import is_name
    from device_double import NAMES

    cupy = machine()
    for module in ("runtime", "nvrtc", "cublas", "driver", "compiler", "memory"):
        for name in vars(getattr(cupy.cuda, module)):
            assert is_name(f"cuda.{module}.{name}", NAMES), f"{module}.{name}"
    assert isinstance(cupy.cuda, types.SimpleNamespace)


def test_a_run_says_which_gpu_and_writes_its_versions_down(machine, drawings, tmp_path, capsys):
    machine()
    out = tmp_path / "run"
    settings = ["--data", drawings, *SMALL, "--backend", "cupy", "--sample-every", 100, "--save-every", 100]
    assert call(*settings, "--steps", 1, "--out", out) == 0
    told = capsys.readouterr().out
    assert "\nGPU: NVIDIA Double 1000\n  --cuda-graph starts each step with one launch" in told
    session = json.loads((out / "config.json").read_text())["sessions"][0]
    assert session["device"] == "NVIDIA Double 1000"
    for name, version in {"cuda": "13.2", "cublas": "13.10.0", "nvrtc": "13.5", "compute_capability": "8.6"}.items():
        assert session["versions"][name] == version
    assert session["versions"]["driver"].endswith("for CUDA 13.0")
    assert call("--resume", out, "--steps", 2, "--cuda-graph") == 0
    told = capsys.readouterr().out
    assert "\nGPU: NVIDIA Double 1000\n" in told
    assert "starts each step" not in told
    assert call("--resume", out, "--steps", 3, "--backend", "numpy", "--no-cuda-graph") == 0
    assert "GPU" not in capsys.readouterr().out
    sessions = json.loads((out / "config.json").read_text())["sessions"]
    assert "versions" not in sessions[1]  # the same as before
    assert "cuda" not in sessions[2]["versions"]
