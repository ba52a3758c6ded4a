"""`minigan.ranks.program.run`: a function of a user's own on several ranks, from a script or a notebook."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rank_programs
from places import ROOT

from minigan.ranks import program
from minigan.ranks.interface import RankError
from minigan.ranks.program import run

MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
MODULE = """
def add(ranks, x):
    return float(ranks.stack(x * (1 + ranks.rank)).sum())
"""
SCRIPT = """
import numpy as np
from minigan.ranks.program import run

def mine(ranks):
    return 1

if __name__ == "__main__":
    print(run("my_sums:add", np.ones(3), ranks=2))
    try:
        run(mine, ranks=2)
    except ValueError as error:
        print(error)
"""


def test_a_function_runs_on_every_rank_and_rank_0_answers():
    rank_programs.check_exchanges(run(rank_programs.exchanges, ranks=2), 2)
    rank_programs.check_exchanges(run("rank_programs:exchanges", ranks=1), 1)


def test_training_steps_by_name():
    alone, two = (run("rank_programs:three_steps", "float64", ranks=ranks) for ranks in (1, 2))
    np.testing.assert_allclose(two["metrics"], alone["metrics"], rtol=1e-9)


def test_as_many_as_there_are_cores(monkeypatch):
    monkeypatch.setattr(program, "usable_cores", lambda: 2)
    assert len(run(rank_programs.exchanges)["first"]) == 2


def test_from_a_script_with_a_module_beside_it(tmp_path):
    """As a notebook does it; a function of the script itself is refused, with what to do."""
    (tmp_path / "my_sums.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    told = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=120, check=True
    ).stdout.splitlines()
    assert told[0] == "9.0"
    assert told[1].startswith("run: mine is defined in a notebook or a script")
    assert "put it into a module" in told[1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda ranks: None, "run: .*lambda.* is defined inside another function, or without a name"),
        ("no_colon", 'run: a program is named "module:function"'),
        ("rank_programs:nothing", "run: module rank_programs has no function nothing"),
    ],
)
def test_what_others_cannot_import_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        run(wrong, ranks=2)


def test_a_failure_of_another_rank_is_told():
    with pytest.raises(RankError, match="rank 1 of 2 has failed: ValueError: one value too many"):
        run(rank_programs.failing, "raises", ranks=2)


def test_another_number_than_the_launchers_is_refused(monkeypatch):
    monkeypatch.setattr(program, "launched_size", lambda: 3)
    with pytest.raises(ValueError, match=re.escape("the MPI launcher has started 3 ranks, got ranks=2")):
        run(rank_programs.exchanges, ranks=2)


@pytest.mark.skipif(MPIEXEC is None, reason="needs mpiexec (extra mpi)")
def test_from_a_script_that_an_mpi_launcher_has_started(tmp_path):
    """Every process runs the whole script; the result is rank 0's."""
    pytest.importorskip("mpi4py")
    (tmp_path / "my_sums.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "script.py").write_text(SCRIPT.split("    try")[0], encoding="utf-8")
    command = [MPIEXEC, "-n", "2", sys.executable, "script.py"]
    path = {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    told = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, encoding="utf-8", timeout=120)
    assert told.stdout.replace("None", "").split() == ["9.0"]
    assert told.stdout.count("None") == 1


def test_the_example_of_docs_scaling_trains(tmp_path, monkeypatch):
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL) if "def train" in block)
    (tmp_path / "my_steps.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    alone, two = (run("my_steps:train", 1, ranks=ranks) for ranks in (1, 2))
    np.testing.assert_allclose(two[:3], alone[:3], rtol=5e-3)
