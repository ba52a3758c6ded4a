"""The package from outside: quick to import, commands and their help, files that hold no code, building, installing."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from places import ROOT

import minigan
from minigan import __main__ as commands
from minigan import sample, train
from minigan.fast.cuda.loading import WHICH_PACKAGE
from minigan.system.cli import run_command


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_import_loads_nothing_heavy():
    code = "import minigan, sys; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = python("-c", code).stdout.split()
    assert "minigan" in loaded
    assert not {"matplotlib", "PIL", "cupy", "tqdm", "safetensors", "torch"} & set(loaded)


def test_public_names():
    for name in minigan.__all__:
        assert getattr(minigan, name) is not None


def test_list_of_commands():
    done = python("-m", "minigan")
    assert done.returncode == 0
    for name in commands.COMMANDS:
        assert f"minigan {name} " in done.stdout
        assert python("-m", f"minigan.{name}", "--help").returncode == 0


def test_version():
    assert python("-m", "minigan", "--version").stdout.strip() == f"minigan {minigan.__version__}"


@pytest.mark.parametrize(("word", "hint"), [("trian", "did you mean train?"), ("fly", "there are prepare, data, ")])
def test_unknown_command_is_one_line(word, hint, capsys):
    assert run_command(commands.main, [word]) == 2
    told = capsys.readouterr().err
    assert hint in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_a_command_by_its_name_is_the_module(name, capsys):
    with pytest.raises(SystemExit) as done:
        commands.main([name, "--help"])
    assert done.value.code == 0
    assert f"python -m minigan.{name}" in capsys.readouterr().out


def test_a_command_gets_its_arguments(tmp_path, capsys):
    assert run_command(commands.main, ["sample", str(tmp_path / "none")]) == 2
    assert "none" in capsys.readouterr().err


@pytest.mark.parametrize("shell", commands.COMPLETIONS)
def test_shells_complete_the_names_of_commands(shell, capsys):
    assert commands.main(["--completion", shell]) == 0
    script = capsys.readouterr().out
    assert " ".join(commands.COMMANDS) in script
    if shell != "bash" or not shutil.which("bash"):
        return
    ask = 'COMP_WORDS=(minigan tr); COMP_CWORD=1; _minigan minigan tr; echo "${COMPREPLY[*]}"'
    done = subprocess.run(["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True)
    assert done.stdout == "train\n", done.stderr


@pytest.mark.parametrize("module", [train, sample])
def test_help_names_every_option_of_the_pages(module, capsys):
    with pytest.raises(SystemExit):
        module.main(["--help"])
    text = capsys.readouterr().out
    pages = [ROOT / "README.md", ROOT / "docs" / "training.md", ROOT / "docs" / "drawing.md"]
    for line in "\n".join(page.read_text(encoding="utf-8") for page in pages).splitlines():
        _, called, arguments = line.partition(f"-m {module.__name__}")
        for option in re.findall(r"(?<=\s)--[a-z-]+", arguments if called else ""):
            assert option in text, line


def test_no_pickle_anywhere():
    for path in Path(minigan.__file__).parent.rglob("*.py"):
        if path.name == "student_process.py":  # running a student's file is what it is for
            continue
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"\bimport pickle|allow_pickle=True|\beval\(|\bexec\(", source), path


def test_only_one_module_imports_cupy():
    for path in Path(minigan.__file__).parent.rglob("*.py"):
        if path.parts[-2:] != ("cuda", "loading.py"):
            assert not re.search(r"^\s*(import|from) cupy", path.read_text(encoding="utf-8"), re.M), path


def test_the_extras_for_a_gpu_are_what_the_messages_name():
    """They bring all of CUDA that is needed; a user who has no checkout installs the same by the message."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = re.findall(r'pip install "([^"]+)"', WHICH_PACKAGE)
    assert sorted(extras["cuda12"] + extras["cuda13"]) == sorted(named)
    assert all("[ctk]>=14" in package for package in named)
    for document in ("docs/training.md", "docs/gpu.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        assert {"cuda12", "cuda13"} <= set(re.findall(r'"\.\[(\w+)\]"', text))


# ---- Building and installing ----


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what the package is built from, in a folder that has the package's name."""
    copy = tmp_path_factory.mktemp("above") / "minigan"
    shutil.copytree(ROOT / "minigan", copy / "minigan", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    return copy


def built(checkout, hook, folder):
    """The wheel that a hook of the build backend makes; pip calls the same hooks."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    code = f"import sys, {project['build-system']['build-backend']} as backend; backend.{hook}(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return zipfile.ZipFile(wheel)


@pytest.fixture(scope="module")
def fresh_python(checkout, tmp_path_factory):
    """The Python of a new environment: it sees this one's libraries, and minigan by an editable install of the copy."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=os.name != "nt")
    executable = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([executable, "-c", code], capture_output=True, text=True, check=True)
    packages = Path(done.stdout.strip())
    with built(checkout, "build_editable", tmp_path_factory.mktemp("wheel")) as wheel:
        wheel.extractall(packages)
    libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "zz_libraries.pth").write_text("\n".join(libraries), encoding="utf-8")  # after minigan's own
    return executable


HIDING = (
    "random",
    "queue",
    "signal",
    "subprocess",
    "threading",
    "json",
    "html",
    "numpy",
    "tqdm",
    "matplotlib",
    "system",
)


@pytest.fixture(scope="module")
def folders(checkout):
    """Working folders in which something has the name of the package, or of a module that it imports.

    In the folder above the checkout, `minigan` is also the name of a folder that is no package: the checkout.
    """
    (checkout.parent / "elsewhere" / "minigan" / "nn").mkdir(parents=True)
    hiding = checkout.parent / "hiding"
    for name in HIDING:
        (hiding / name).mkdir(parents=True)
        (hiding / name / "__init__.py").write_text("raise SystemExit('a folder of the user')\n", encoding="utf-8")
        (hiding / f"{name}.py").write_text("raise SystemExit('a file of the user')\n", encoding="utf-8")
    return {
        "above the checkout": checkout.parent,
        "the checkout": checkout,
        "the package": checkout / "minigan",
        "a room": checkout / "minigan" / "pages",  # its html.py is not Python's
        "beside an empty folder minigan": checkout.parent / "elsewhere",
        "beside files with names of modules": hiding,
    }


def run_there(fresh_python, folder, command, **settings):
    """Run a command in a folder, in an environment that does not say where minigan is."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [fresh_python, "-m", *command.split()],
        cwd=folder,
        env={**environment, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "folder", ["above the checkout", "the checkout", "the package", "a room", "beside an empty folder minigan"]
)
def test_commands_run_in_folders_of_the_packages_name(fresh_python, folders, folder):
    run_there(fresh_python, folders[folder], "minigan.train --dry-run")
    run_there(fresh_python, folders[folder], "minigan.check --list")


@pytest.mark.parametrize("command", ["train --dry-run", *[f"{name} --help" for name in commands.COMMANDS]])
def test_commands_run_beside_files_with_names_of_modules(fresh_python, folders, command):
    run_there(fresh_python, folders["beside files with names of modules"], f"minigan.{command}")


def test_commands_run_where_python_does_not_look_in_the_working_folder(fresh_python, folders):
    run_there(fresh_python, folders["above the checkout"], "minigan.train --dry-run", PYTHONSAFEPATH="1")


@pytest.mark.parametrize("folder", ["above the checkout", "a room", "beside files with names of modules"])
def test_training_on_ranks_runs_there(fresh_python, folders, folder, tmp_path):
    """The other rank is a process that Python starts, in the same folder."""
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    settings = (
        f"--data {tmp_path} --image-size 32 --width 4 --batch-size 4 --steps 1 --ranks 2 --out {tmp_path / 'run'}"
    )
    assert "warning: rank" not in run_there(fresh_python, folders[folder], f"minigan.train {settings}")


def test_an_editable_install_uses_the_files_of_the_checkout(fresh_python, checkout):
    code = "import minigan.train; print(minigan.train.__file__)"
    done = subprocess.run(
        [fresh_python, "-E", "-c", code], cwd=checkout.parent, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()) == checkout / "minigan" / "train.py"


def test_a_wheel_has_all_files_and_the_metadata(checkout, tmp_path):
    with built(checkout, "build_wheel", tmp_path) as wheel:
        files = {name for name in wheel.namelist() if ".dist-info/" not in name}
        about = {name.split("/", 1)[1]: wheel.read(name).decode() for name in wheel.namelist() if name not in files}
    sources = [path for path in (checkout / "minigan").rglob("*.*") if path.suffix != ".pyc"]
    assert files == {path.relative_to(checkout).as_posix() for path in sources}
    assert {".py", ".cu", ".html", ".css", ".js", ".safetensors"} <= {Path(name).suffix for name in files}
    assert f"\nVersion: {minigan.__version__}\n" in about["METADATA"]
    assert "\nLicense-Expression: MIT\n" in about["METADATA"]
    points = "[console_scripts] minigan = minigan.__main__:console [pytest11] minigan = minigan.check.plugin"
    assert " ".join(about["entry_points.txt"].split()) == points
    assert about["licenses/LICENSE"] == (ROOT / "LICENSE").read_text(encoding="utf-8")
