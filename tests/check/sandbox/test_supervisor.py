"""The supervisor of a student's process: whatever a file does, it is reported, and nothing else is harmed."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import wait_for
from student_files import GOOD, write

from minigan.check import __main__ as command
from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import CHECKER_ERROR, FAILED, NOT_CHECKED, NOT_IMPLEMENTED, PASSED
from minigan.check.reports import text_report
from minigan.check.sandbox import student_process, supervisor
from minigan.system.cli import run_command
from minigan.system.errors import RunError, UserError
from minigan.system.wording import see

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX only")
linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


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
        print("a storm" * 100)

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


@pytest.fixture(scope="module")
def mischief(tmp_path_factory):
    """The report of a file in which nearly every function misbehaves."""
    path = write(tmp_path_factory.mktemp("mischief"), MISCHIEF)
    return supervisor.check_file(path, time_limit=2.5)


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
    taught = [e.forward_lesson or e.lesson for e in EXERCISES.values()]  # no forward pass among them is right
    assert [o.lesson for o in mischief.outcomes] == taught
    assert mischief.problem is None
    assert not mischief.ok


def test_the_report_of_mischief_is_written(mischief, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "check_file", lambda *_, **__: mischief)
    path, page, data = write(tmp_path, MISCHIEF), tmp_path / "out.html", tmp_path / "out.json"
    assert run_command(command.main, [str(path), "--report", str(page), "--json", str(data)]) == 1
    out = capsys.readouterr().out
    assert "3 passed" in out
    assert "E04, E05, E06, E07, E10" in out
    assert "E04" in page.read_text(encoding="utf-8")
    saved = json.loads(data.read_text(encoding="utf-8"))
    assert [o["exercise"] for o in saved["files"][0]["outcomes"]] == list(EXERCISES)
    assert not saved["ok"]


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        pytest.param("import numpy\ndef f(x:\n  pass\n", "E01", "line 2: def f(x:", id="syntax"),
        pytest.param("def f(x):\n    if x:\n\treturn 1\n", "E01", "tabs", id="tabs"),
        pytest.param(
            "s = 1\r\nt = 'é'\n".encode("latin-1"),
            "E01",
            'line 2 has the byte 0xe9 (perhaps meant as "é")',
            id="latin-1",
        ),
        pytest.param("s = 1\n".encode("utf-16"), "E01", "the file is text in UTF-16", id="utf-16"),
        pytest.param(b"# coding: klingon\ns = 1\n", "E01", "name an encoding", id="unknown encoding"),
        pytest.param(b"\xef\xbb\xbf# coding: latin-1\ns = 1\n", "E01", "name an encoding", id="two encodings"),
        pytest.param(b"s = 1\rt = 2\ru = 3\0\r", "E01", "the first one is in line 3", id="null bytes"),
        pytest.param(b"", "E01", "the file is empty", id="empty"),
        pytest.param(b"<!DOCTYPE html>\n<html>", "E01", "a web page (HTML)", id="web page"),
        pytest.param(b"PK\x03\x04" + bytes(range(256)), "E01", "a zip archive", id="zip"),
        pytest.param(b'{"cells": [{"outputs": [null]}], "nbformat": 4}', "E01", "a notebook", id="notebook"),
        pytest.param(
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "E01", "a pointer of git LFS", id="lfs"
        ),
        pytest.param(GOOD + "<<<<<<< HEAD\n", "E01", "Git has left two versions", id="conflict"),
        pytest.param("```python\n" + GOOD + "```\n", "E01", "they belong to Markdown", id="markdown"),
        pytest.param("%matplotlib inline\n" + GOOD, "E01", "only notebooks understand them", id="magic"),
        pytest.param("s = “1”\n", "E01", "Type this place again", id="quotes"),
        pytest.param("if 1:\n\u00a0\u00a0s = 1\n", "E01", "Type this place again", id="hard spaces"),
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


REPLACEMENTS = """
import builtins, json, os, sys, time
import numpy as np

def dense_forward(x, w, b):
    return x @ w, (x, w)

json.dumps = os.write = os.getpid = time.perf_counter = lambda *a, **k: 0
np.abs = np.allclose = np.isfinite = lambda *a, **k: np.zeros(())
np.mine = "this may stay"
builtins.len = builtins.isinstance = builtins.print = builtins.open = lambda *a, **k: True
sys.stdout = sys.stderr = None
sys.settrace(lambda *_: None)
os.chdir("/")
sys.path.clear()
sys.modules.clear()
"""


def test_what_a_file_replaces_elsewhere_misleads_nobody(tmp_path):
    report = supervisor.check_file(write(tmp_path, REPLACEMENTS), exercises=["dense", "sgd"])
    assert report.problem is None
    assert [(o.status, o.finding and o.finding.code) for o in report.outcomes] == [
        (FAILED, "E32"),
        (NOT_IMPLEMENTED, None),
    ]


CALLED = """
import json, os, sys
import numpy as np

def relu_forward(x):
    breakpoint()
    json.dumps = os.write = len = None
    sys.modules.pop("json", None)
    return np.maximum(x, 0), x

def relu_backward(dy, x):
    return dy * (x > 0)

def tanh_forward(x):
    os.closerange(3, 4000)
    while True: pass

class NoMessage(Exception):
    def __str__(self):
        return 5

def sigmoid_forward(x):
    raise NoMessage

def dense_forward(x, w, b):
    return np.matrix(x @ w + b), (x, w)

def flatten_forward(x):
    return np.ma.masked_array(x.reshape(len(x), -1)), x.shape
"""


def test_what_functions_do_to_python_itself_misleads_nobody(tmp_path):
    exercises = ["dense", "relu", "tanh", "sigmoid", "flatten"]
    report = supervisor.check_file(write(tmp_path, CALLED), exercises=exercises)
    told = {o.exercise: (o.finding.code, text_report.render_finding(o, "")) for o in report.outcomes if o.finding}
    assert {name: code for name, (code, _) in told.items()} == {
        "dense": "E12",
        "tanh": "E06",
        "sigmoid": "E10",
        "flatten": "E12",
    }
    assert "got a matrix" in told["dense"][1]
    assert "np.array or np.asarray" in told["dense"][1]
    assert "it closed the files that the checker listens to" in told["tanh"][1]
    assert "sigmoid_forward raises NoMessage" in told["sigmoid"][1]
    assert "got a MaskedArray" in told["flatten"][1]


def test_replacements_are_undone_and_additions_stay(tmp_path):
    import numpy as np

    before = np.abs, json.dumps
    source = "import json\nimport numpy as np\nnp.abs = json.dumps = None\nnp.mine = 1\nraise ValueError\n"
    with pytest.raises(student_process.NotImportedError):
        student_process.load(write(tmp_path, source, "replacing_layers.py"))
    assert (np.abs, json.dumps) == before
    assert np.mine == 1
    del np.mine


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


@pytest.mark.parametrize("started", [0, 1, 2])
def test_without_a_further_thread_there_is_one_line_and_no_process(tmp_path, monkeypatch, capsys, started):
    processes, threads = [], []

    def start(folder, original=supervisor._start):
        processes.append(original(folder))
        return processes[-1]

    def refused(thread, original=threading.Thread.start):
        if len(threads) == started:
            raise RuntimeError("can't start new thread")
        threads.append(thread)
        original(thread)

    monkeypatch.setattr(supervisor, "_start", start)
    monkeypatch.setattr(threading.Thread, "start", refused)
    assert run_command(command.main, [str(write(tmp_path, GOOD))]) == 1
    said = capsys.readouterr().err
    assert said.endswith(f"cannot start the process that checks layers.py: can't start new thread{see('limits')}\n")
    assert processes[0].returncode is not None


def test_without_a_further_process_there_is_one_line(tmp_path, monkeypatch, capsys):
    def refused(*_, **__):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refused)
    assert run_command(command.main, [str(write(tmp_path, GOOD))]) == 1
    assert capsys.readouterr().err == (
        "minigan: error: cannot start the process that checks layers.py: Resource temporarily unavailable"
        f"{see('limits')}\n"
    )


def test_a_process_that_may_not_start_threads_blames_nobody(tmp_path, monkeypatch):
    """Its own thread is refused: the checker could not start. The watchdog is refused: only the line is unknown."""
    crippled = tmp_path / "sitecustomize.py"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    path = write(tmp_path, GOOD)
    crippled.write_text(
        "import threading\ndef start(self): raise RuntimeError('no more threads')\nthreading.Thread.start = start\n"
    )
    report = supervisor.check_file(path, exercises=["sgd", "adam"])
    assert [o.status for o in report.outcomes] == [CHECKER_ERROR] * 2
    assert report.outcomes[0].finding.evidence == (f"RuntimeError: no more threads{see('limits')}",)
    assert text_report.render_text(report).count("no more threads") == 1
    crippled.write_text(
        "import faulthandler\ndef later(*a, **k): raise RuntimeError\nfaulthandler.dump_traceback_later = later\n"
    )
    assert supervisor.check_file(path, exercises=["sgd"]).ok


def test_a_link_that_leads_nowhere_is_called_one(tmp_path):
    for name, target in (("loop.py", "loop.py"), ("dangling.py", "nowhere.py")):
        try:
            (tmp_path / name).symlink_to(target)
        except OSError:
            pytest.skip("this system lets its users make no links")
        with pytest.raises(UserError, match="is a link that leads to no file"):
            supervisor.student_file(tmp_path / name)


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


DEPENDENT = (
    GOOD
    + """
def sigmoid_forward(x):
    return 1 / (1 + np.exp(x)), x

def sigmoid_backward(dy, x):
    return 0 * dy

def probabilities(z):
    return sigmoid_forward(z)[0]

def bce_with_logits_forward(z, target):
    loss = (np.maximum(z, 0) - z * target + np.log1p(np.exp(-np.abs(z)))).sum()
    return loss, (z, target)

def bce_with_logits_backward(dloss, cache):
    z, target = cache
    return dloss * (probabilities(z) - target)

def discriminator_step(D, optimizer, x, labels):
    D.zero_grads()
    z, caches = D.forward(x, training=True)
    loss, cache = bce_with_logits_forward(z, labels)
    D.backward(bce_with_logits_backward(1.0, cache), caches)
    optimizer.step(D.grads())
    return loss
"""
)


def outcomes(tmp_path, source, *names, **settings):
    report = supervisor.check_file(write(tmp_path, source), exercises=names, **settings)
    return {o.exercise: o for o in report.outcomes}


def test_what_uses_a_wrong_function_waits_until_that_is_mended(tmp_path):
    names = ("sigmoid", "bce_with_logits", "discriminator_step", "sgd")
    found = outcomes(tmp_path, DEPENDENT, *names)
    assert found["sigmoid"].finding.rung == "forward"
    waits = found["bce_with_logits"]
    assert waits.note.startswith("mend sigmoid first: sigmoid_forward is used here, and E3")
    assert (waits.status, waits.finding, waits.passed) == (NOT_CHECKED, None, [])
    right = DEPENDENT.replace("1 / (1 + np.exp(x)), x", "0.5 + 0.5 * np.tanh(0.5 * x), x")
    found = outcomes(tmp_path, right, *names)
    assert found["sigmoid"].passed == ["forward"]  # only its backward is wrong, which nobody uses
    assert found["bce_with_logits"].finding.code == "E34"
    assert found["discriminator_step"].status == NOT_CHECKED
    said = found["discriminator_step"].note
    assert said == (
        "mend bce_with_logits first: bce_with_logits_forward is used here, and E34: the losses are summed; the "
        "exercise asks for their mean."
    )
    assert found["sgd"].status == PASSED
    alone = outcomes(tmp_path, right, "discriminator_step")["discriminator_step"]
    assert (alone.status, alone.finding.code) == (FAILED, "E87")


def test_of_what_waits_the_part_that_is_right_counts(tmp_path):
    """The loss is right, and its backward calls a wrong sigmoid: the loss has its points."""
    source = DEPENDENT.replace("log1p(np.exp(-np.abs(z)))).sum()", "log1p(np.exp(-np.abs(z)))).mean()")
    waits = outcomes(tmp_path, source, "sigmoid", "bce_with_logits")["bce_with_logits"]
    assert (waits.status, waits.finding, waits.passed) == (NOT_CHECKED, None, ["forward"])
    assert waits.lesson == EXERCISES["bce_with_logits"].lesson


@linux
def test_a_process_that_stops_itself_costs_one_time_limit(tmp_path):
    """It does not read, and what it is sent does not fit into a pipe."""
    stopping = """
import os, signal, threading

def discriminator_step(D, optimizer, x, labels):
    threading.Timer(0.004, os.kill, (os.getpid(), signal.SIGSTOP)).start()
    return 1.0

def sgd_step(p, g, lr):
    return p - lr * g
"""
    began = time.monotonic()
    found = outcomes(tmp_path, stopping, "discriminator_step", "sgd", time_limit=1.0)
    assert time.monotonic() - began < 60
    assert found["sgd"].status == PASSED
    assert found["discriminator_step"].status == FAILED


def test_no_process_starts_after_all_were_ended(tmp_path, monkeypatch):
    """One that was about to start when Ctrl-C came is ended, too."""
    processes = []

    def start(folder, original=supervisor._start):
        processes.append(original(folder))
        supervisor._ended.set()
        return processes[-1]

    monkeypatch.setattr(supervisor, "_start", start)
    try:
        with pytest.raises(RunError, match="stopped"):
            supervisor.check_file(write(tmp_path, GOOD))
    finally:
        supervisor._ended.clear()
    assert processes[0].returncode is not None
    assert not supervisor._living


def test_an_endless_function_costs_one_time_limit(tmp_path):
    endless = DEPENDENT.replace("    return 1 / (1 + np.exp(x)), x", "    while True: pass")
    found = outcomes(tmp_path, endless, "sigmoid", "bce_with_logits", "discriminator_step", "sgd", time_limit=1.5)
    assert [o.finding.code for o in found.values() if o.finding] == ["E04"]
    assert found["discriminator_step"].note.startswith("mend sigmoid first: ")
    assert found["sgd"].status == PASSED


def test_what_uses_a_wrong_function_and_is_right_passes(tmp_path):
    source = DEPENDENT.replace("log1p(np.exp(-np.abs(z)))).sum()", "log1p(np.exp(-np.abs(z)))).mean()")
    source = source.replace(
        "(probabilities(z) - target)", "(0 * probabilities(z) + np.tanh(z / 2) / 2 + 0.5 - target) / z.size"
    )
    found = outcomes(tmp_path, source, "sigmoid", "bce_with_logits")
    assert found["sigmoid"].status == FAILED
    assert found["bce_with_logits"].status == PASSED
