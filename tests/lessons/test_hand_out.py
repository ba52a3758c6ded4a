"""The folder to hand out: it works, and no answer lies in it in clear."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
from places import ROOT

from lessons import build, exercises
from lessons.hand_out import REFERENCES, hand_out
from lessons.source_format import read_source, solved
from minigan.system.cli import run_command
from minigan.system.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "course"
    hand_out(folder)
    return folder


def test_no_answer_lies_in_it_in_clear(folder):
    lines = set()
    for source in sorted((ROOT / "lessons" / "src").glob("*.py")):
        for cell in read_source(source):
            if "exercise" in cell.tags:
                solution, shown = solved(cell, source.name), cell.text
                lines.update(line.strip() for line in solution.splitlines() if len(line.strip()) > 45)
                assert shown
    texts = {
        path: path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.suffix in (".py", ".md", ".ipynb", ".toml", ".json") and "minigan" not in path.relative_to(folder).parts
    }
    given = "".join(json.dumps(path.read_text(encoding="utf-8")) for path in (ROOT / "lessons").glob("*.ipynb"))
    told = [
        line for line in lines if json.dumps(line)[1:-1] not in given and any(line in text for text in texts.values())
    ]
    assert told == []
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert not {name for name in names if "solution" in name or "mistakes/answers" in name or "/src" in name}
    assert not any("zoo" in name or "runs/README" in name or name.endswith("record.py") for name in names)
    assert {"README.md", "pyproject.toml", "lessons/01_array_programs.ipynb", f"lessons/{REFERENCES}"} <= names


def test_the_lessons_find_their_exercises_and_figures_in_the_packed_file(folder):
    script = (
        "from lessons import exercises, figures, notebook; import lessons, minigan; "
        "print(lessons.__file__, minigan.__file__); "
        "print(len(exercises.modules()), exercises.find('centre_rows').lesson, figures.arrays.__file__); "
        "notebook.check('centre_rows', lambda x: x - x.mean(1, keepdims=True))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second, third = done.stdout.splitlines()
    assert first.count(str(folder)) == 2
    assert second.startswith(f"{len(exercises.modules())} 1 ")
    assert REFERENCES in second
    assert third.startswith("centre_rows   passed")


def test_the_same_files_give_the_same_bytes_and_the_readme_says_it_is_no_secret(folder, tmp_path):
    hand_out(tmp_path / "again")
    packed = [place / "lessons" / REFERENCES for place in (folder, tmp_path / "again")]
    assert packed[0].read_bytes() == packed[1].read_bytes()
    assert "exercises/lesson01.py" in zipfile.ZipFile(packed[0]).namelist()
    assert "It is no secret" in (folder / "README.md").read_text(encoding="utf-8")


def test_nothing_is_replaced(tmp_path, capsys):
    with pytest.raises(UserError, match="already there"):
        hand_out(tmp_path)
    with pytest.raises(UserError, match="there is no folder"):
        hand_out(tmp_path / "no" / "where")
    assert run_command(build.main, ["--for-students", str(tmp_path)]) == 2
    assert "already there" in capsys.readouterr().err
