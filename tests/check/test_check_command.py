"""`python -m minigan.check`: no student's file hangs, crashes or fools it; what it says, writes and refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import hear_ctrl_c
from places import ROOT

from minigan.check import __main__ as command
from minigan.check import student_template
from minigan.check.engine import ladder
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import (
    CHECKER_ERROR,
    FAILED,
    NOT_CHECKED,
    NOT_IMPLEMENTED,
    PASSED,
    FileReport,
    Finding,
    Outcome,
)
from minigan.check.reports import text_report
from minigan.check.sandbox import student_process, supervisor
from minigan.system.cli import run_command
from minigan.system.errors import UserError

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX only")
linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")

GOOD = """
import numpy as np

def dense_forward(x, w, b):
    print("a word", x.shape)
    return x @ w + b, (x, w)

def dense_backward(dy, cache):
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.sum(0)

def sgd_step(p, g, lr):
    return p - lr * g
"""

MISCHIEF = (
    GOOD
    + r"""
import atexit, ctypes, os, signal, subprocess, sys, threading, time
atexit.register(time.sleep, 60)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
threading.Thread(target=time.sleep, args=(60,)).start()

def relu_forward(x):
    n = 0
    while True:  # for ever
        n += 1

def leaky_relu_forward(x, alpha=0.2):
    ctypes.string_at(0)

def tanh_forward(x):
    while True:
        print("a storm", x)

def sigmoid_forward(x):
    os._exit(0)

def flatten_forward(x):
    return np.zeros((1 << 20, 1 << 20)) + 1, x

def bce_with_logits_forward(z, target):
    sys.exit("done")

def momentum_step(p, g, v, lr, beta=0.9):
    raise KeyboardInterrupt

def adam_step(p, g, m, v, t, lr, beta1, beta2, eps):
    for fd in range(1, 30):
        try:
            os.write(fd, b'{"outcome": 1}\n["outcome", {}]\nhalf a li')
        except OSError:
            pass
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    return p - lr * (1 - beta2**t) ** 0.5 / (1 - beta1**t) * m / (np.sqrt(v) + eps), m, v

discriminator_step = 3

def generator_step(G, D, optimizer, noise, labels):
    os.closerange(3, 100)
    raise ValueError

def conv2d_forward(x, w, b, stride=1, pad=0):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    os._exit(7)

def conv2d_transpose_forward(x, w, b, stride=1, pad=0):
    for fd in (1, 2):
        os.write(fd, b"#" * 600_000)
    raise NotImplementedError

def batch_norm_forward(x, gamma, beta, eps=1e-3):
    if hasattr(os, "fork"):
        os.fork()
    raise NotImplementedError

def batch_norm_inference(x, gamma, beta, mean, var, eps=1e-3):
    return input("yes or no?")
"""
)


def write(folder, source, name="layers.py"):
    path = folder / name
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    return path


def call(*arguments):
    return run_command(command.main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def mischief(tmp_path_factory):
    """The report of a file in which nearly every function misbehaves."""
    path = write(tmp_path_factory.mktemp("mischief"), MISCHIEF)
    begin = time.monotonic()
    report = supervisor.check_file(path, time_limit=2.5)
    assert time.monotonic() - begin < 30
    return report


@pytest.mark.parametrize(
    ("exercise", "status", "code", "said"),
    [
        ("dense", PASSED, "", ""),
        ("relu", FAILED, "E04", "in relu_forward: "),
        pytest.param("leaky_relu", FAILED, "E06", "in leaky_relu_forward: ctypes.string_at(0)", marks=posix),
        ("tanh", FAILED, "E07", "a storm"),
        ("sigmoid", FAILED, "E06", "exit status 0"),
        pytest.param("flatten", FAILED, "E05", "", marks=linux),
        ("bce_with_logits", FAILED, "E10", "sys.exit"),
        ("sgd", PASSED, "", ""),
        ("momentum", FAILED, "E10", "KeyboardInterrupt"),
        ("adam", PASSED, "", ""),
        ("discriminator_step", NOT_IMPLEMENTED, "", ""),
        ("generator_step", FAILED, "E06", ""),
        ("conv2d", FAILED, "E06", "exit status 7"),
        ("conv2d_transpose", FAILED, "E07", "####"),
        ("batch_norm", NOT_IMPLEMENTED, "", ""),
        ("batch_norm_inference", FAILED, "E10", "EOFError"),
        ("moving_average", NOT_IMPLEMENTED, "", ""),
    ],
)
def test_a_function_at_fault_harms_no_other(mischief, exercise, status, code, said):
    outcome = next(o for o in mischief.outcomes if o.exercise == exercise)
    assert outcome.status == status
    assert (outcome.finding.code if outcome.finding else "") == code
    assert said in text_report.render_finding(outcome, "layers.py")


def test_every_exercise_has_its_outcome_in_order(mischief):
    assert [o.exercise for o in mischief.outcomes] == list(EXERCISES)
    assert [o.lesson for o in mischief.outcomes] == [e.lesson for e in EXERCISES.values()]
    assert mischief.problem is None
    assert not mischief.ok


def test_the_report_of_mischief_is_written(mischief, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "check_file", lambda *_, **__: mischief)
    path, page, data = write(tmp_path, MISCHIEF), tmp_path / "out.html", tmp_path / "out.json"
    assert call(path, "--report", page, "--json", data) == 1
    out = capsys.readouterr().out
    assert "3 passed" in out
    assert "E04, E05, E06, E07, E10" in out
    assert "E04" in page.read_text(encoding="utf-8")
    saved = json.loads(data.read_text(encoding="utf-8"))
    assert [o["exercise"] for o in saved["files"][0]["outcomes"]] == list(EXERCISES)
    assert not saved["ok"]


# --------------------------------------------------------------------------------------------------------------- import
@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        pytest.param("import numpy\ndef f(x:\n  pass\n", "E01", "line 2: def f(x:", id="syntax"),
        pytest.param("def f(x):\n    if x:\n\treturn 1\n", "E01", "tabs", id="tabs"),
        pytest.param("s = 'é'\n".encode("latin-1"), "E01", "UTF-8", id="latin-1"),
        pytest.param("s = 1\n".encode("utf-16"), "E01", "UTF-8", id="utf-16"),
        pytest.param(bytes(range(256)), "E01", "", id="bytes"),
        pytest.param("import numpy\nimport torch_of_nobody.nn\n", "E02", "torch_of_nobody", id="missing"),
        pytest.param("a = 1\nb = a / 0\n", "E03", "line 2: b = a / 0", id="raises"),
        pytest.param("from numpy import nothing_of_this_name\n", "E03", "nothing_of_this_name", id="import-name"),
        pytest.param("raise NotImplementedError\n", "E03", "NotImplementedError", id="not-implemented"),
        pytest.param("import sys\nsys.exit(0)\n", "E03", "line 2: sys.exit(0)", id="exits"),
        pytest.param('LAYOUT = "NCWH"\n', "E03", "NHWC and NCHW", id="layout"),
        pytest.param("while True:\n    pass\n", "E04", "line ", id="endless"),
        pytest.param(
            "import numpy as np\nx = np.ones((1 << 20, 1 << 20))\n", "E05", "line 2", id="memory", marks=linux
        ),
        pytest.param("import os\nos._exit(0)\n", "E06", "exit status 0", id="dies"),
        pytest.param("while True:\n    print('again and again')\n", "E07", "again and again", id="prints"),
    ],
)
def test_a_file_that_cannot_be_imported(tmp_path, source, code, said):
    report = supervisor.check_file(write(tmp_path, source), import_limit=1.5, exercises=["dense"])
    assert report.problem is not None
    assert report.problem.code == code
    assert said in text_report.render_problem(report)
    assert [o.status for o in report.outcomes] == [NOT_CHECKED]
    assert not report.ok


def test_line_ends_byte_order_marks_siblings_and_names(tmp_path, monkeypatch):
    folder = tmp_path / "Müller, Anna's [1]"
    folder.mkdir()
    write(folder, "def helper(p, g, lr):\n    return p - lr * g\n", "helper_of_anna.py")
    source = b"\xef\xbb\xbf" + b"from helper_of_anna import helper as sgd_step\nif True:\n\ty = 1\n".replace(
        b"\n", b"\r\n"
    )
    write(folder, source, "statistics.py")  # the name of one of Python's modules
    monkeypatch.chdir(folder)
    report = supervisor.check_file("statistics.py", exercises=["sgd"])
    assert report.problem is None
    assert [o.status for o in report.outcomes] == [PASSED]
    assert not (folder / "__pycache__").exists()


def test_dataclasses_and_the_guard_work_in_a_students_file(tmp_path):
    source = """
import dataclasses

@dataclasses.dataclass
class A:
    x: "int" = 1

if __name__ == "__main__":
    raise SystemExit
"""
    assert supervisor.check_file(write(tmp_path, source + GOOD), exercises=["sgd"]).ok


def test_the_other_layout(tmp_path):
    source = """
LAYOUT = "NCHW"
def flatten_forward(x):
    return x.reshape(len(x), -1), x.shape
def flatten_backward(dy, shape):
    return dy.reshape(shape)
"""
    report = supervisor.check_file(write(tmp_path, source), exercises=["flatten"])
    assert (report.layout, report.ok, report.count(PASSED)) == ("NCHW", True, 1)


# ---------------------------------------------------------------------------------------------------- the checker's own
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(ValueError("ours"), CHECKER_ERROR, ""), (MemoryError(), FAILED, "E05"), (SystemExit(), FAILED, "E10")],
)
def test_what_the_engine_raises_is_told_apart(monkeypatch, error, status, code):
    def broken(*_, **__):
        raise error

    monkeypatch.setattr(ladder, "run_exercise", broken)
    outcome = student_process.check_one("conv2d", pytest, "NHWC", 0)
    assert (outcome.status, outcome.finding.code, outcome.lesson) == (status, code, EXERCISES["conv2d"].lesson)
    assert not outcome.ok


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


@linux
def test_no_process_is_left_when_the_checker_is_killed(tmp_path):
    path = write(tmp_path, "import os\nopen('pid', 'w').write(str(os.getpid()))\nwhile True:\n    pass\n")
    script = f"from minigan.check.sandbox.supervisor import check_file; check_file({str(path)!r}, import_limit=60)"
    process = subprocess.Popen([sys.executable, "-c", script])
    try:
        child = wait_for(lambda: (tmp_path / "pid").read_text())
    finally:
        process.kill()
        process.wait()
    stat = Path("/proc", child, "stat")
    wait_for(lambda: not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")


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


def wait_for(condition, seconds=15.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if value := condition():
                return value
        except OSError:
            pass
        time.sleep(0.02)
    raise TimeoutError


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
    assert "cid.py  E01: the file is not valid Python" in out
    assert "1 dense, 2 sgd, 3 adam" in out
    assert len(json.loads(data.read_text())["files"]) == 3
    assert all(name in page.read_text(encoding="utf-8") for name in ("ann", "bob", "cid"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a file"),
        (["nowhere.py"], "there is no file nowhere.py"),
        (["."], "is a folder"),
        (["book.ipynb"], "notebook"),
        (["good.py", "nowhere.py"], "there is no file nowhere.py"),
        (["good.py", "--only", "dens"], "dense"),
        (["good.py", "--only", "conv2d_backward"], "conv2d?"),
        (["--only", "dense", "good.py"], "files come before --only"),
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
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "check_file", lambda *_, **__: pytest.fail("checked all the same"))
    assert call(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["book.ipynb", "good.py"]


@posix
def test_what_cannot_be_read_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    for path in (tmp_path / "pipe.py", "/dev/zero"):
        with pytest.raises(UserError, match="not a file"):
            supervisor.student_file(path)
    huge = tmp_path / "huge.py"
    with huge.open("wb") as file:
        file.truncate(supervisor.LARGEST_FILE + 1)
    with pytest.raises(UserError, match="at most"):
        supervisor.student_file(huge)


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


# ---------------------------------------------------------------------------------------------------------------- words
FINDING = Finding(
    "E58",
    "gradient",
    "the path through the batch mean is missing",
    evidence=("100 % of dx wrong",),
    cause="the error is one constant per channel",
    hints=("a nudge", "a push", "the way out"),
    where="batch_norm_backward: dx",
)
REPORT = FileReport(
    "my layers.py",
    [
        Outcome("batch_norm", FAILED, FINDING, passed=["forward"], lesson=10),
        Outcome("batch_norm_inference", NOT_IMPLEMENTED, lesson=10),
        Outcome("conv2d", NOT_IMPLEMENTED, passed=["forward"], lesson=8),
        Outcome("dense", PASSED, lesson=3),
    ],
)


def test_hints_come_one_by_one():
    first, second, last = (text_report.render_text(REPORT, hint=hint) for hint in (1, 2, 3))
    assert "Hint 1 of 3: a nudge" in first
    assert "a push" not in first
    assert 'Next hint: python -m minigan.check "my layers.py" --only batch_norm --hint 2' in first
    assert "a push" in second
    assert "--hint 3" in second
    assert "the way out" in last
    assert "Next hint" not in last
    assert 'Next hint: check("batch_norm", ..., hint=2)' in text_report.render_finding(REPORT.outcomes[0], "")
    assert "check {a}.py --only" in text_report.render_finding(REPORT.outcomes[0], "{a}.py")


def test_lines_are_aligned_and_counted():
    lines = text_report.render_text(REPORT).splitlines()
    assert lines[1] == (
        "  batch_norm            FAIL  E58  batch_norm_backward: dx: the path through the batch mean is missing"
    )
    assert lines[2] == "  batch_norm_inference  not implemented yet"
    assert lines[3] == "  conv2d                not implemented yet (but right so far: forward)"
    assert lines[4] == "  dense                 ok"
    assert lines[-1] == "1 passed, 1 failed (E58), 2 not implemented yet"


def test_colours_only_on_demand():
    assert "\x1b[31m" in text_report.render_text(REPORT, colour=True)
    assert "\x1b" in text_report.render_class([REPORT, REPORT], colour=True)
    assert "\x1b" not in text_report.render_text(REPORT) + text_report.render_class([REPORT, REPORT])


def test_nothing_a_terminal_would_obey_gets_through():
    wild = Finding("E10", "contract", "raises \x1b[2J\r\n\a", evidence=("\x1b]0;title\a",), where="a\x00b")
    shown = text_report.render_text(FileReport("x\x1b.py", [Outcome("dense", FAILED, wild)]))
    assert all(c == "\n" or c.isprintable() for c in shown)


def test_infinities_are_text_in_json():
    picture = {"name": "dx", "index": [0], "yours": [[np.nan, 1.0]], "numeric": [[np.inf, 2.0]]}
    data = json.loads(command._json([FileReport("x.py", [Outcome("relu", FAILED, FINDING, picture=picture)])], 0))
    assert data["files"][0]["outcomes"][0]["picture"]["yours"] == [["nan", 1.0]]
