"""Every command, with output that cannot be printed: the work is done, and the exit status is the work's."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigan.runs import checkpoint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")

SMALL = "--image-size 32 --width 2 --batch-size 8 --sample-every 2 --save-every 3 --ranks 1"
NOWHERE = {
    "closed": ">&- 2>&-",
    "nobody reads": "2>&1 | true",
    "one line is read": "2>&1 | head -n 1",
    **({"full disk": ">/dev/full 2>/dev/full"} if Path("/dev/full").exists() else {}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with images in `data`, and a run in `run`."""
    folder = tmp_path_factory.mktemp("folder")
    (folder / "data").mkdir()
    rng = np.random.default_rng(0)
    for k in range(140):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / "data" / f"{k:03}.png")
    command(folder, f"train --data data {SMALL} --steps 2 --out run", "")
    return folder


def command(folder, words, redirection):
    """Exit status of a command of minigan in a folder."""
    script = f"({sys.executable} -m minigan{'.' if words else ''}{words}; echo $? >status) {redirection}"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(script, shell=True, cwd=folder, env=environment, capture_output=True, check=False)
    return int((folder / "status").read_text())


# What each command writes; None if it only prints.
COMMANDS = {
    f"train --data data {SMALL} --steps 4 --out new": "new/checkpoints/step-000004.safetensors",
    "prepare data new --size 32 --min-side 1 --keep-duplicates --workers 1": "new/DATACARD.md",
    "sample run --n 520 --out new": "new.png",
    "evaluate run --samples 64 --out .": "evaluation.json",
    "report run": "run/report.html",
    "data info data --image-size 32": None,
    "check --template new.py": "new.py",
    "check --list": None,
    "": None,
    "train --help": None,
}


MANY = [
    pytest.param(words, where, marks=[pytest.mark.thorough] if where != "full disk" and "train" not in words else [])
    for words in COMMANDS
    for where in NOWHERE
]


@pytest.mark.parametrize(("words", "where"), MANY)
def test_a_command_whose_output_is_lost_does_its_work(folder, where, words):
    made = COMMANDS[words]
    if words.startswith("sample"):
        words = words.replace("--out new", "--out new.png")
    for name in filter(None, [made, "new"]):
        subprocess.run(["rm", "-rf", folder / name], check=True)
    assert command(folder, words, NOWHERE[where]) == 0
    if made is not None:
        assert (folder / made).stat().st_size > 0


@pytest.mark.parametrize("where", NOWHERE)
def test_a_mistake_keeps_its_status(folder, where):
    assert command(folder, "train --steps none", NOWHERE[where]) == 2


def test_no_step_is_lost_with_the_output(folder):
    """After the reader has gone, training still saves as it does otherwise."""
    out = folder / "lost"
    assert command(folder, f"train --data data {SMALL} --steps 7 --out lost", "2>&1 | head -n 1") == 0
    assert [step for step, _ in checkpoint.list_checkpoints(out / "checkpoints")] == [7, 6]
    assert len((out / "training_log.txt").read_text().splitlines()) == 7
