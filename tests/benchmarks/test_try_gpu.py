"""`make gpu`: what it says when something is not as it should be. That it passes on the double, .ci/run sees."""

import subprocess
import sys
import types

import fake_cupy
import numpy as np
import pytest
import try_gpu
from device_double import COMPILER
from try_gpu import Failure, NotDone, Trial, Watch, page

from minigan.gan.step import build_gan
from minigan.runs.checkpoint import save_checkpoint

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no g++ to compile the kernels for the processor")


@pytest.fixture
def trial(tmp_path):
    return Trial(double=True, torch_python=sys.executable, folder=tmp_path)


def parts(monkeypatch, **functions):
    """Parts of these names: what each does, and whether its failure ends the trial."""
    made = {letter: (f"Part {letter}", part, letter in "AB") for letter, part in functions.items()}
    monkeypatch.setattr(try_gpu, "PARTS", made)


def failing(trial):
    raise Failure("it is wrong\n    Traceback")


def impossible(trial):
    raise NotDone("there is no tool")


def test_the_page(monkeypatch, trial):
    parts(monkeypatch, A=lambda trial: ["* GPU: one"], C=impossible, D=failing, E=lambda trial: ["fine"])
    lines, failed = page(trial, "ACDE")
    assert failed == ["D"]
    assert [line for line in lines if line and not line.startswith("##")] == [
        "* GPU: one",
        "there is no tool",
        "it is wrong",
        "    Traceback",
        "fine",
    ]
    heads = [line.rpartition(" (")[0] for line in lines if line.startswith("##")]
    assert heads == ["## A. Part A: ok", "## C. Part C: not done", "## D. Part D: FAILED", "## E. Part E: ok"]


def test_it_ends_where_the_rest_would_mean_nothing(monkeypatch, trial):
    parts(monkeypatch, A=lambda trial: ["fine"], B=failing, C=lambda trial: pytest.fail("tried"))
    lines, failed = page(trial, "ABC")
    assert failed == ["B"]
    assert lines[-1] == "What follows was not tried."


def test_only_the_parts_that_are_asked_for(monkeypatch, trial):
    parts(monkeypatch, A=failing, C=lambda trial: ["fine"])
    assert page(trial, "C")[1] == []


@needs_compiler
@pytest.mark.parametrize("fault", ["no cuBLAS", "no driver"])
def test_a_machine_where_something_is_missing(monkeypatch, capsys, fault):
    monkeypatch.setenv("FAKE_CUPY_FAULT", fault)
    assert fault in fake_cupy.FAULTS
    assert try_gpu.main(["--double"]) == 1
    printed = capsys.readouterr().out
    assert "## A. Versions and probe: FAILED" in printed
    assert "minigan: error: --backend cupy: cannot " in printed
    assert 'pip install -e ".[cuda13]"' in printed
    assert "FAILED: A, in 0." in printed
    assert "## B" not in printed


def test_an_unknown_option_is_refused():
    with pytest.raises(try_gpu.UserError, match="--duble: there is no such option"):
        try_gpu.main(["--duble"])


@pytest.mark.parametrize(
    "last", ["2 failed, 168 passed in 9.0s", "168 passed, 2 skipped in 9.0s", "170 deselected in 1.0s", ""]
)
def test_tests_that_were_not_all_run(monkeypatch, trial, last):
    status = int("failed" in last)
    done = subprocess.CompletedProcess([], status, stdout=f"...\n{last}\n", stderr="")
    monkeypatch.setattr(Trial, "run", lambda *arguments, **options: done)
    with pytest.raises(Failure, match="not all were run" if not status else "ended with status 1"):
        try_gpu.marked_tests(trial)


def test_tests_that_were_all_run(monkeypatch, trial):
    done = subprocess.CompletedProcess([], 0, stdout="...\n170 passed, 9 deselected in 9.0s\n", stderr="")
    monkeypatch.setattr(Trial, "run", lambda *arguments, **options: done)
    assert try_gpu.marked_tests(trial) == ["170 passed, 9 deselected in 9.0s"]


def trained(monkeypatch, trial, change=None, refusal=""):
    """Trainings that end with one checkpoint; the one named `change` differs by one bit."""
    gan, to_change = build_gan(image_size=32, width=2), {change}

    def run(self, *command, **options):
        words = list(command)
        folder = words[words.index("--out") + 1] if "--out" in words else words[words.index("--resume") + 1]
        if folder.rpartition("/")[2] in to_change:
            to_change.clear()
            kernel = gan.discriminator.layers[0].params["kernel"]
            kernel.view(np.int32).flat[7] ^= 1
        path = trial.folder / folder.rpartition("/")[2] / "checkpoints"
        path.mkdir(parents=True, exist_ok=True)
        save_checkpoint(path, gan, step=int(words[words.index("--steps") + 1]), image_size=32, width=2)
        return subprocess.CompletedProcess([], 0, stdout="", stderr=refusal if "--cuda-graph" in words else "")

    monkeypatch.setattr(Trial, "run", run)


def test_equal_bits(monkeypatch, trial):
    trained(monkeypatch, trial)
    assert try_gpu.equal_bits(trial)[0].startswith("The checkpoints of step 4 are equal bit for bit")


@pytest.mark.parametrize("name", ["recorded", "resumed"])
def test_one_bit_that_differs(monkeypatch, trial, name):
    trained(monkeypatch, trial, change=name)
    with pytest.raises(Failure, match=r"eager and \w+ differ after 4 steps: in 1 of \d+ arrays, by up to"):
        try_gpu.equal_bits(trial)


def test_a_step_that_was_not_recorded_is_no_proof(monkeypatch, trial):
    trained(monkeypatch, trial, refusal="minigan: warning: --cuda-graph: a step cannot be recorded (why)\n")
    with pytest.raises(Failure, match=r"the step was not recorded:\n.*\(why\)"):
        try_gpu.equal_bits(trial)


@pytest.mark.parametrize("refusal", ["", "minigan: warning: --cuda-graph: a step cannot be recorded (memory)\n"])
def test_little_memory(monkeypatch, trial, refusal):
    trained(monkeypatch, trial, refusal=refusal)
    monkeypatch.setattr(Trial, "ask", lambda self, *words, **options: trial.run(*words) and 50_000_000)
    (line,) = try_gpu.little_memory(trial)
    assert line.startswith("Eager takes 50 MB. With a limit of 51 MB: equal bit for bit; ")
    assert line.endswith("(memory)." if refusal else "recorded.")


def test_a_program_that_never_ends(trial):
    with pytest.raises(Failure, match=r"not finished after 1 seconds: .*\n    begun"):
        trial.run(sys.executable, "-uc", "print('begun'); import time; time.sleep(60)", seconds=1)


def test_what_ncu_counts():
    printed = """==PROF== Connected to process 7
==PROF== Profiling "im2col" - 0: 0%....50%....100% - 1 pass
"ID","Process ID","Kernel Name","Metric Name","Metric Unit","Metric Value"
"0","7","im2col(const float *, float *, int)","gpu__time_duration.sum","ns","2,496"
"0","7","im2col(const float *, float *, int)","smsp__inst_executed.sum","inst","1,234,567"
"1","7","im2col(const float *, float *, int)","smsp__inst_executed.sum","inst","1000"
"2","7","adam","smsp__inst_executed.sum","inst","12.0"
"""
    assert try_gpu.instructions_in(printed) == {"im2col": "1,235,567", "adam": "12"}


def test_the_watch():
    clock = iter(range(100))

    class Event:
        def record(self):
            self.at = next(clock)

    xp = types.SimpleNamespace(
        cuda=types.SimpleNamespace(Event=Event, get_elapsed_time=lambda begin, end: end.at - begin.at)
    )
    array = types.SimpleNamespace(nbytes=2_000_000, data=types.SimpleNamespace(ptr=16))
    watch = Watch()
    assert watch.around(xp, "compiles", [array], lambda: 5) == 5
    watch.on = True
    watch.around(xp, "short", [array, array, np.int32(3)], lambda: None)  # an array counts once
    watch.around(xp, "long", [array], lambda: next(clock))
    watch.around(xp, "long", [array], lambda: None)
    assert watch.table() == [("long", 2, 3.0, 4.0), ("short", 1, 1.0, 2.0)]


@needs_compiler
def test_every_launch_of_a_step_is_in_the_table(trial):
    table = try_gpu.every_kernel(trial)
    launches = sum(int(line.split("|")[2]) for line in table if line.startswith("| ") and "launches" not in line)
    assert f"{launches} launches, " in "\n".join(table)
    names = "\n".join(table)
    for name in ("cuBLAS", "im2col", "adam ", "batch_norm_forward"):
        assert f"| {name}" in names
