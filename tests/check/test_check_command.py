"""`python -m minigan.check`: what it says, writes and refuses, whatever happens to the checker."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import hear_ctrl_c, wait_for
from places import ROOT
from student_files import GOOD, write

from minigan.check import __main__ as command
from minigan.check import student_template
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import FAILED, NOT_IMPLEMENTED, PASSED, FileReport, Finding, Outcome
from minigan.check.reports import pseudonyms
from minigan.check.reports.alike import Alike
from minigan.system import command_lines
from minigan.system.cli import run_command

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX only")


def call(*arguments):
    return run_command(command.main, [str(a) for a in arguments])


# ---------------------------------------------------------------------------------------------------- the checker's own
def test_a_checker_that_does_not_start_is_no_fault_of_the_students(tmp_path, monkeypatch, capsys):
    package = tmp_path / "elsewhere" / "minigan"
    package.mkdir(parents=True)
    write(package, "raise RuntimeError('broken installation')\n", "__init__.py")
    monkeypatch.syspath_prepend(package.parent)
    page = tmp_path / "out.html"
    assert call(write(tmp_path, GOOD), "--only", "dense", "--report", page) == 1
    out = capsys.readouterr().out
    assert "says nothing about your code" in out
    assert "broken installation" in out
    assert "1 not judged because the checker itself failed" in out
    assert page.exists()


@posix
def test_ctrl_c_stops_at_once(tmp_path):
    path = write(tmp_path, "open('started', 'w').close()\nwhile True:\n    pass\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "minigan.check", path], stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c
    )
    wait_for(lambda: (tmp_path / "started").exists())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert err == "minigan: stopped\n"


# --------------------------------------------------------------------------------------------------------- command line
def test_the_untouched_template_is_all_not_implemented_yet(tmp_path, capsys):
    path = tmp_path / "my_layers.py"
    assert call("--template", path) == 0
    assert str(path) in capsys.readouterr().out
    assert call(path) == 0
    out = capsys.readouterr().out
    assert out.count("not implemented yet") == len(EXERCISES) + 1
    assert f"0 passed, {len(EXERCISES)} not implemented yet" in out


def test_the_template_asks_for_every_function(tmp_path):
    names = {}
    exec(student_template.render_template('"""{x}\\.py'), names)
    for exercise in EXERCISES.values():
        assert all(callable(names[function]) and names[function].__doc__ for function in exercise.functions)
    assert names["LAYOUT"] == "NHWC"
    path = write(tmp_path, "mine")
    assert call("--template", path) == 2
    assert path.read_text() == "mine"
    assert call("--template", tmp_path / "no" / "x.py") == 2


@pytest.mark.parametrize("rule", [["check"], ["format", "--check"]])
def test_the_template_is_tidy(rule, tmp_path):
    ruff = [sys.executable, "-m", "ruff"]
    if subprocess.run([*ruff, "--version"], capture_output=True).returncode:
        pytest.skip("no ruff")
    path = write(tmp_path, student_template.render_template())
    config = ROOT / "pyproject.toml"
    subprocess.run([*ruff, *rule, "--no-cache", "--config", str(config), str(path)], check=True)


def test_one_right_one_wrong(tmp_path, capsys):
    wrong = GOOD.replace("dy.sum(0)", "dy.mean(0)")
    page, data = tmp_path / "out.html", tmp_path / "out.json"
    path = write(tmp_path, wrong)
    status = call(path, "--only", "dense", "sgd", "--only", "adam", "--report", page, "--json", data, "--seed", "3")
    assert status == 1
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == f"{path}  (NHWC)"
    assert [line.split()[:2] for line in lines[1:4]] == [["dense", "FAIL"], ["sgd", "ok"], ["adam", "not"]]
    assert "Lesson 3." in out
    assert "a word" not in out
    assert "1 passed, 1 failed (E" in out
    assert "\x1b" not in out
    assert "dense" in page.read_text(encoding="utf-8")
    saved = json.loads(data.read_text(encoding="utf-8"))
    assert saved["seed"] == 3
    assert [o["status"] for o in saved["files"][0]["outcomes"]] == [FAILED, PASSED, NOT_IMPLEMENTED]
    assert call(write(tmp_path, GOOD), "--only", "dense", "sgd", "adam") == 0


def test_a_class(tmp_path, capsys, monkeypatch):
    for name, source in (("ann", GOOD), ("bob", GOOD.replace("+ b", "")), ("cid", "def f(:")):
        write(tmp_path, source, f"{name}.py")
    page, data = tmp_path / "class.html", tmp_path / "class.json"
    monkeypatch.chdir(tmp_path)
    assert call("*.py", "--only", "dense", "sgd", "adam", "--report", page, "--json", data) == 1
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert ["ann.py", "ok", "ok", "-"] in rows
    assert ["cid.py", "E01", "E01", "E01"] in rows
    assert ["solved", "by", "1", "2", "0"] in rows
    assert any(row[:1] == ["bob.py"] and row[1].startswith("E") and row[2:] == ["ok", "-"] for row in rows)
    assert ["cid.py", "E01:", "the", "file", "is", "not", "valid", "Python,", "3", "not", "checked"] in rows
    assert "1 dense, 2 sgd, 3 adam" in out
    assert len(json.loads(data.read_text())["files"]) == 3
    assert all(name in page.read_text(encoding="utf-8") for name in ("ann", "bob", "cid"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a file"),
        (["nowhere.py"], "there is no file nowhere.py"),
        (["empty"], "is a folder without a file of layers"),
        (["good.py", "--lesson", "11"], "lesson 11 has no layers; lessons 3, 4, 5, 6, 8, 9, 10 have"),
        (["good.py", "--lesson", "x"], "whole number"),
        (["good.py", "--jobs", "0"], "--jobs"),
        (["book.ipynb"], "notebook"),
        (["good.py", "nowhere.py"], "there is no file nowhere.py"),
        (["good.py", "--only", "dens"], "dense"),
        (["good.py", "--only", "conv2d_backward"], "conv2d?"),
        (["--only", "dense", "good.py"], "in front of the options"),
        (["good.py", "--hint", "4"], "--hint"),
        (["good.py", "--seed", "-1"], "at least 0"),
        (["good.py", "--time-limit", "0"], "more than 0"),
        (["good.py", "--time-limit", "nan"], "more than 0"),
        (["good.py", "--report", "."], "is a folder"),
        (["good.py", "--report", "no/where.html"], "there is no folder"),
        (["good.py", "--json", ""], "must be a path"),
        (["good.py", "--json", "good.py"], "would replace it"),
        (["good.py", "--json", "x", "--report", "x"], "same file"),
        (["--list", "--template", "x.py"], "not allowed with"),
        (["good.py", "--nonsense"], "--nonsense"),
    ],
)
def test_a_wrong_call_is_one_line_and_checks_nothing(tmp_path, monkeypatch, capsys, arguments, said):
    write(tmp_path, GOOD, "good.py")
    write(tmp_path, "{}", "book.ipynb")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "check_file", lambda *_, **__: pytest.fail("checked all the same"))
    assert call(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["book.ipynb", "empty", "good.py"]


def test_strict_fails_what_is_not_implemented(tmp_path, capsys):
    template = tmp_path / "my_layers.py"
    call("--template", template)
    assert call(template, "--exercise", "dense", "--strict") == 1
    assert "with --seed " in capsys.readouterr().out
    path, data = write(tmp_path, GOOD), tmp_path / "out.json"
    assert call(path, "--exercise", "dense", "--lesson", "3", "--json", data, "--strict", "--seed", "4") == 1
    saved = json.loads(data.read_text())
    assert (saved["strict"], saved["ok"], saved["seed"]) == (True, False, 4)
    assert {o["exercise"] for o in saved["files"][0]["outcomes"]} == {
        name for name, exercise in EXERCISES.items() if exercise.lesson == 3
    }
    assert call(path, "--exercise", "dense", "sgd", "--strict") == 0


def test_a_folder_stands_for_the_files_of_layers_in_it(tmp_path, capsys):
    for folder, name, source in (
        ("ann", "my_layers.py", GOOD),
        ("bob/deep", "layers.py", GOOD.replace("+ b", "")),
        ("bob/deep", "helper.py", "def helper(): pass\n"),
        (".git", "layers.py", GOOD),
        ("cid", "broken.py", "def sgd_step(p, g lr):\n"),
    ):
        (tmp_path / "class" / folder).mkdir(parents=True, exist_ok=True)
        write(tmp_path / "class" / folder, source, name)
    data = tmp_path / "out.json"
    assert call(tmp_path / "class", "--exercise", "sgd", "--jobs", "2", "--json", data) == 1
    saved = json.loads(data.read_text())
    named = {Path(file["path"]).relative_to(tmp_path / "class").as_posix(): file["ok"] for file in saved["files"]}
    assert named == {"ann/my_layers.py": True, "bob/deep/layers.py": True, "cid/broken.py": False}
    assert saved["seed"] > 0  # nobody can have learnt the right answers by heart


LEARNT = """
import numpy as np
ANSWERS = {answers}
def sgd_step(p, g, lr):
    return np.array(ANSWERS.get(repr((p.tolist(), lr)), p.tolist()))
"""


def test_right_answers_learnt_by_heart_help_nobody(tmp_path, capsys):
    exercise = EXERCISES["sgd"]
    cases = exercise.cases(np.random.default_rng([0, *b"sgd"]))
    answers = {
        repr((case.arrays["p"].tolist(), case.settings["lr"])): exercise.oracle(**case.arrays, **case.settings)[
            0
        ].tolist()
        for case in cases
    }
    path = write(tmp_path, LEARNT.format(answers=answers))
    assert call(path, "--exercise", "sgd", "--strict") == 1
    assert "1 failed (E" in capsys.readouterr().out


@posix
@pytest.mark.parametrize("option", ["--report", "--json"])
def test_a_pipe_or_device_is_no_place_for_a_report(tmp_path, capsys, option):
    os.mkfifo(tmp_path / "pipe")
    assert call(write(tmp_path, GOOD), option, tmp_path / "pipe") == 2
    assert "is no ordinary file" in capsys.readouterr().err
    assert not (tmp_path / "pipe").is_file()


@pytest.mark.parametrize(("source", "status"), [(GOOD, 0), ("def f(:", 1)])
def test_the_exit_status_is_the_verdict_even_if_nobody_can_read_it(tmp_path, source, status):
    words = [sys.executable, "-m", "minigan.check", write(tmp_path, source), "--only", "sgd"]
    read, written = os.pipe()
    os.close(read)
    with os.fdopen(written, "w") as pipe:
        assert subprocess.run(words, stdout=pipe, stderr=pipe, check=False).returncode == status
    if Path("/dev/full").exists():
        with Path("/dev/full").open("w") as full:
            assert subprocess.run(words, stdout=full, stderr=full, check=False).returncode == status


@posix
def test_a_deleted_working_folder(tmp_path):
    path, gone = write(tmp_path, GOOD), tmp_path / "gone"
    gone.mkdir()
    line = f"rmdir ../gone && exec {sys.executable} -m minigan.check {path} --only sgd"
    done = subprocess.run(["sh", "-c", line], cwd=gone, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@posix
def test_a_user_without_a_name_and_a_home(tmp_path):
    """As in many containers: nothing of the checker asks who one is."""
    (tmp_path / "sitecustomize.py").write_text(
        "import pwd\ndef nobody(number): raise KeyError(number)\npwd.getpwuid = nobody\n"
    )
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "USER", "LOGNAME", "USERNAME")}
    search = os.pathsep.join([str(tmp_path), str(ROOT)])
    words = [
        sys.executable,
        "-m",
        "minigan.check",
        write(tmp_path, GOOD),
        "--only",
        "sgd",
        "--json",
        tmp_path / "o.json",
    ]
    done = subprocess.run(words, env={**kept, "PYTHONPATH": search}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "o.json").exists()


def test_the_next_command_can_be_copied(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("my layers.py", "it's.py"):
        assert call("--template", name) == 0
        line = capsys.readouterr().out.split(", then: ")[1].strip()
        assert line == command_lines.command("minigan.check", name)
        assert (tmp_path / name).exists()
    for name in ("-x.py", "a b.py", "é.py"):  # these would have to be quoted inside the file
        assert "--minigan-impl=my_layers.py" in student_template.render_template(name)


def test_list_and_zoo(capsys, monkeypatch):
    assert call("--list") == 0
    out = capsys.readouterr().out
    assert all(signature in out for exercise in EXERCISES.values() for signature in exercise.signatures)
    monkeypatch.setitem(sys.modules, "minigan.check.zoo.score", None)
    monkeypatch.delattr("minigan.check.zoo.score", raising=False)
    assert call("--zoo") == 2


def test_a_full_disk_does_not_swallow_what_was_found(tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "write_text", full)
    assert call(write(tmp_path, GOOD), "--only", "dense", "--json", tmp_path / "x.json") == 1
    out, err = capsys.readouterr()
    assert "1 passed" in out
    assert "No space left" in err


def test_infinities_are_text_in_json():
    picture = {"name": "dx", "index": [0], "yours": [[np.nan, 1.0]], "numeric": [[np.inf, 2.0]]}
    data = json.loads(
        command._json(
            [FileReport("x.py", [Outcome("relu", FAILED, Finding("E58", "gradient", "wrong"), picture=picture)])], 0
        )
    )
    assert data["files"][0]["outcomes"][0]["picture"]["yours"] == [["nan", 1.0]]


PUPILS = {
    "ada_17": GOOD,
    "ben_4": GOOD.replace("dy.sum(0)", "dy.mean(0)"),
    "=cleo_5": "def sgd_step(p, g, lr:\n",
}


@pytest.fixture
def pupils(tmp_path):
    for name, source in PUPILS.items():
        (tmp_path / "class" / name).mkdir(parents=True)
        write(tmp_path / "class" / name, source, "my_layers.py")
    return tmp_path / "class"


def test_a_class_from_points_to_pages(pupils, tmp_path, capsys):
    first, second, table, page = (tmp_path / name for name in ("1.json", "2.json", "points.csv", "class.html"))
    points, pages, key = tmp_path / "points.toml", tmp_path / "pages", tmp_path / "key.csv"
    points.write_text("[points]\ndense = {forward = 1, backward = 3}\n")
    common = [pupils, "--exercise", "dense", "sgd", "--student", r"class/(.+)_\d"]
    assert call(*common, "--json", first, "--csv", table, "--points", points) == 1
    text = table.read_text(encoding="utf-8-sig")
    assert "ada,5,5,4,1,," in text
    assert "ben,2,5,1,1,dense E5" in text
    assert "'=cleo,0,5,0,0,E01 " in text
    write(pupils / "ben_4", GOOD, "my_layers.py")
    capsys.readouterr()
    assert call(*common, "--json", second, "--compare", first, "--report", page, "--per-student", pages) == 1
    assert "  ben: solved dense" in capsys.readouterr().out
    assert "+1</span>" in page.read_text(encoding="utf-8")
    assert sorted(one.name for one in pages.iterdir()) == ["ada.html", "ben.html", "cleo.html"]
    assert "ada" not in (pages / "ben.html").read_text(encoding="utf-8")
    hidden = [*common, "--anonymous", key, "--json", second, "--report", page, "--csv", table, "--compare", first]
    for _ in range(2):
        assert call(*hidden) == 1
        out = capsys.readouterr().out
        told = out + "".join(one.read_text(encoding="utf-8") for one in (second, page, table))
        assert not [name for name in ("ada", "ben", "cleo_5", "my_layers") if name in told]
        assert ": solved dense" in out  # also if the earlier report has the names
        assert ": new" not in out
    assert call(*common, "--anonymous", key, "--compare", second) == 1
    assert "nobody has moved" in capsys.readouterr().out


def test_pseudonyms_are_in_an_order_of_their_own(tmp_path, monkeypatch):
    """That of the files is that of the names, which a class list has, too."""
    for name in "abcdefgh":
        (tmp_path / "class" / name).mkdir(parents=True)
        write(tmp_path / "class" / name, GOOD, "my_layers.py")
    drawn = iter(["S-3", "S-1", "S-8", "S-2", "S-7", "S-5", "S-4", "S-6"])
    monkeypatch.setattr(pseudonyms, "_drawn", lambda: next(drawn))
    out, page = tmp_path / "out.json", tmp_path / "page.html"
    common = [tmp_path / "class", "--exercise", "sgd", "--student", r"class/(.+)/"]
    assert call(*common, "--anonymous", tmp_path / "key.csv", "--json", out, "--report", page) == 0
    data = json.loads(out.read_text(encoding="utf-8"))
    assert [file["student"] for file in data["files"]] == [f"S-{k}" for k in range(1, 9)]
    found = re.findall(r"S-\d\.py", page.read_text(encoding="utf-8"))
    assert list(dict.fromkeys(found)) == [f"S-{k}.py" for k in range(1, 9)]
    assert f"--seed {data['seed']}" in page.read_text(encoding="utf-8")


def test_pairs_stay_with_their_files_in_the_new_order():
    reports = [FileReport(f"{k}.py", [], student=student) for k, student in enumerate("cab")]
    pair = Alike(0, 2, 100, 0.5, ())
    new, (moved,) = command.in_new_order(reports, [pair])
    assert [report.student for report in new] == list("abc")
    assert (new[moved.first].student, new[moved.second].student) == ("c", "b")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_has_a_pseudonym(tmp_path):
    folder = tmp_path / "class" / os.fsdecode(b"\xff\xfe")
    folder.mkdir(parents=True)
    write(folder, GOOD)
    key = tmp_path / "key.csv"
    common = [tmp_path / "class", "--exercise", "sgd", "--anonymous", key, "--student", r"class/(.+)/"]
    for _ in range(2):
        assert call(*common, "--json", tmp_path / "out.json", "--csv", tmp_path / "t.csv") == 0
    assert len(key.read_bytes().splitlines()) == 2  # the head, and one student, known again


def test_a_file_of_a_folder_that_is_too_large_stops_nobody(pupils, tmp_path, capsys):
    (pupils / "dora_6").mkdir()
    (pupils / "dora_6" / "my_layers.py").write_bytes(b"#" * 10_000_001)
    out = tmp_path / "out.json"
    assert call(pupils, "--exercise", "sgd", "--json", out) == 1
    files = {Path(file["path"]).parent.name: file for file in json.loads(out.read_text(encoding="utf-8"))["files"]}
    assert files["dora_6"]["problem"]["code"] == "E01"
    assert "10,000,001 bytes" in files["dora_6"]["problem"]["evidence"][0]
    assert files["ada_17"]["ok"]
    capsys.readouterr()
    assert call(pupils / "dora_6" / "my_layers.py") == 2
    assert "10,000,001 bytes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--points", "p.toml"], "name it with --csv"),
        (["--csv", "t.csv", "--points", "nowhere.toml"], "cannot read nowhere.toml"),
        (["--compare", "nowhere.json"], "cannot read nowhere.json"),
        (["--compare", "old.json", "--json", "old.json"], "is to be compared with; a report would replace it"),
        (["--csv", "t.csv", "--json", "t.csv"], "name the same file"),
        (["--anonymous", "old.json"], "is no table of"),
        (["--anonymous", "no/key.csv"], "there is no folder"),
        (["--per-student", "good.py"], "must be a folder"),
        (["--student", "("], "no regular expression"),
        (["--student", "x{9}"], "finds nobody in good.py"),
    ],
)
def test_a_wrong_call_for_a_class_checks_nothing(tmp_path, monkeypatch, capsys, arguments, said):
    write(tmp_path, GOOD, "good.py")
    write(tmp_path, '{"files": []}', "old.json")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "check_file", lambda *_, **__: pytest.fail("checked all the same"))
    assert call("good.py", *arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert said in err


def test_the_json_keeps_its_schema(pupils, tmp_path):
    jsonschema = pytest.importorskip("jsonschema", reason="a package of Jupyter")
    schema = json.loads((ROOT / "docs" / "check-report.schema.json").read_text(encoding="utf-8"))
    data = tmp_path / "out.json"
    call(pupils, "--exercise", "dense", "sgd", "--json", data)
    jsonschema.validate(json.loads(data.read_text()), schema)
