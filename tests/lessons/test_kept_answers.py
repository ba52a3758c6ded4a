"""What passes in a lesson is kept, and judged again where it is collected; verdicts are never taken from a file."""

import json
import sys

import numpy as np
import pytest

from lessons import kept_answers
from lessons.notebook import check
from minigan.check import __main__ as command
from minigan.check.outcomes import FAILED, NOT_CHECKED, NOT_IMPLEMENTED, PASSED
from minigan.check.sandbox.supervisor import FORGEABLE, check_file, own_exercises
from minigan.system.cli import run_command

SCALE = 1.0


def plus_bias(a, b):
    return SCALE * a + b


def dense_forward(x, w, b):
    return plus_bias(x @ w, b), (x, w)


def dense_backward(dy, cache):
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


def sgd_step(p, g, lr):
    return p - lr * g


def centre_rows(x):
    return x - x.mean(axis=1, keepdims=True)


@pytest.fixture
def path(tmp_path, monkeypatch):
    path = tmp_path / "progress.json"
    monkeypatch.setenv("MINIGAN_LESSONS_PROGRESS", str(path))
    return path


def found(path, *names):
    report = check_file(path, exercises=names or None)
    assert report.problem is None
    return {o.exercise: o for o in report.outcomes}


def test_what_passes_is_kept_and_judged_again(path, capsys):
    assert check("dense", dense_forward, dense_backward).passed
    assert check("dense", dense_forward).passed  # later, the forward alone: both stay
    assert not check("sgd", lambda p, g, lr: p).passed
    assert not path.read_text(encoding="utf-8").count("passed")
    outcomes = found(path, "dense", "sgd")
    assert {name: o.status for name, o in outcomes.items()} == {"dense": PASSED, "sgd": NOT_IMPLEMENTED}
    data = json.loads(path.read_text(encoding="utf-8"))
    entry = data["exercises"]["dense"]
    data["exercises"]["dense"]["source"] = entry["source"].replace("dy.sum", "dy.mean")
    data["exercises"]["dense"]["status"] = PASSED
    path.write_text(json.dumps(data), encoding="utf-8")
    assert found(path, "dense")["dense"].status == FAILED
    capsys.readouterr()


def test_the_lessons_own_exercises_are_judged_again(path, capsys):
    own = own_exercises()
    assert own["centre_rows"] == 1
    assert check("centre_rows", centre_rows).passed
    outcome = found(path, "centre_rows", "dense")["centre_rows"]
    assert (outcome.status, outcome.lesson, outcome.note) == (PASSED, 1, "")
    data = json.loads(path.read_text(encoding="utf-8"))
    for source, status in (
        ("def centre_rows(x):\n    return x\n", FAILED),
        ("def centre_rows(x):\n    return object()\n", FAILED),
        ("def centre_rows(x):\n    raise NotImplementedError\n", NOT_IMPLEMENTED),
        ("def centre_rows(x:\n", FAILED),
        ("import os; os._exit(0)", None),
    ):
        data["exercises"]["centre_rows"]["source"] = source
        path.write_text(json.dumps(data), encoding="utf-8")
        report = check_file(path, exercises=["centre_rows"])
        if status is None:
            assert report.problem.code == "E06"
        else:
            (outcome,) = report.outcomes
            assert outcome.status == status, source
            assert outcome.note in ("", FORGEABLE)
    capsys.readouterr()


def given(path, source, *names):
    """A file of progress with one source for several exercises; what is found in it."""
    one = {"source": source, "given": [{"function": "f"}], "layout": "NHWC", "problem": ""}
    path.write_text(json.dumps({"format": "minigan progress 1", "exercises": dict.fromkeys(names, one)}), "utf-8")
    return found(path, *names)


FORGED = """
import lessons.kept_answers
from lessons.judging import Verdict
lessons.kept_answers.judge_again = lambda *_: Verdict.ok("all")
"""


def test_a_function_of_plain_results_cannot_ask_to_be_judged_in_its_own_process(path):
    sources = {
        "def f(x):\n    return object()\n": "E12",
        "def f(x):\n    x[...] = 0\n    return x\n": "E20",
        "import numpy as np\ndef f(x):\n    return np.broadcast_to(0.0, (10**10,))\n": "E13",
    }
    for source, code in sources.items():
        for outcome in given(path, FORGED + source, "centre_rows", "weigh", "softplus").values():
            assert (outcome.status, outcome.note) == (FAILED, ""), source
            assert outcome.finding.code in (code, "E16"), source  # weigh takes other arguments
        assert found(path, "centre_rows")["centre_rows"].finding.code == code


def test_the_lessons_own_reference_is_seen(path):
    source = "def f(x):\n    from lessons.exercises import find\n    return find('centre_rows').reference(x)\n"
    outcome = given(path, source, "centre_rows")["centre_rows"]
    assert outcome.status == PASSED
    assert outcome.note.startswith("uses minigan's own ")


@pytest.mark.parametrize(
    "answer", [["array", "float64", [2**36], None], ["tuple", 10**6, [["tuple", 10**6, []]] * 9], ["unknown"]]
)
def test_an_answer_that_is_none_is_a_finding(path, answer):
    one = {"source": "", "given": [{"answer": answer, "bytes": ""}], "layout": "NHWC", "problem": ""}
    path.write_text(json.dumps({"format": "minigan progress 1", "exercises": {"rings": one}}), encoding="utf-8")
    outcome = found(path, "rings")["rings"]
    assert (outcome.status, outcome.finding.code) == (FAILED, "E12")


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("one", [{"function": "f"}, {"answer": ["int", 3], "bytes": ""}])
def test_a_wrong_number_or_kind_of_answers_is_a_finding(path, one, count):
    entry = {"source": "def f(*_):\n    return 'x'\n", "given": [one] * count, "layout": "NHWC", "problem": ""}
    names = own_exercises()
    path.write_text(json.dumps({"format": "minigan progress 1", "exercises": dict.fromkeys(names, entry)}), "utf-8")
    outcomes = found(path, *names)
    expected = (FAILED,) if count else (FAILED, NOT_IMPLEMENTED)
    assert {name: o.finding for name, o in outcomes.items() if o.status not in expected} == {}
    assert "object at 0x" not in repr([outcome.finding for outcome in outcomes.values()])


def test_what_cannot_be_kept_says_so(path, capsys):
    surroundings = {"np": np, "table": np.zeros(3)}
    exec("def centre_rows(x):\n    return x - x.mean(axis=1, keepdims=True) + table[0]\n", surroundings)
    kept_answers.record("centre_rows", [surroundings["centre_rows"]], {})
    outcome = found(path, "centre_rows")["centre_rows"]
    assert outcome.status == NOT_CHECKED
    assert "could not be kept" in outcome.note
    assert check("centre_rows", centre_rows).passed
    kept_answers.record("centre_rows", [surroundings["centre_rows"]], {})  # what was kept before stays
    assert found(path, "centre_rows")["centre_rows"].status == PASSED
    capsys.readouterr()


def test_nothing_is_kept_outside_a_notebook(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("MINIGAN_LESSONS_PROGRESS", raising=False)
    monkeypatch.setenv("MINIGAN_LESSONS_LAYERS", str(tmp_path / "my_layers.py"))
    assert check("sgd", sgd_step).passed
    assert not (tmp_path / "progress.json").exists()
    monkeypatch.setitem(sys.modules, "IPython", type("IPython", (), {"get_ipython": staticmethod(lambda: 1)}))
    assert check("sgd", sgd_step).passed
    assert (tmp_path / "progress.json").exists()
    capsys.readouterr()


def test_where_it_cannot_be_written_that_is_said_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINIGAN_LESSONS_PROGRESS", str(tmp_path / "no" / "folder" / "p.json"))
    for _ in range(2):
        assert check("sgd", sgd_step).passed
    assert capsys.readouterr().out.count("progress is not kept") == 1


@pytest.mark.parametrize(
    "content",
    ["{}", "[]", '{"format": "minigan progress 1", "exercises": {"sgd": {}}}', "minigan progress 1", '{"format": '],
)
def test_a_file_of_something_else_is_a_finding(tmp_path, content):
    path = tmp_path / "progress.json"
    path.write_text(content, encoding="utf-8")
    assert check_file(path).problem.code == "E01"


def test_the_command_takes_progress_and_folders_of_it(path, capsys):
    assert check("sgd", sgd_step).passed
    assert check("centre_rows", centre_rows).passed
    (path.parent / "other.json").write_text("{}")
    data = path.parent.parent / "out.json"
    assert run_command(command.main, [str(path.parent), "--lesson", "1", "5", "--json", str(data)]) == 0
    (file,) = json.loads(data.read_text())["files"]
    done = [o["exercise"] for o in file["outcomes"] if o["status"] == PASSED]
    assert done == ["sgd", "centre_rows"]
    assert run_command(command.main, [str(path.parent), "--lesson", "1", "--strict"]) == 1
    assert "not implemented yet" in capsys.readouterr().out
