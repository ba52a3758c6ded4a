"""`python -m minigan.train` on ranks: how many, what a resumed run does, and the same under an MPI launcher."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from conftest import hear_ctrl_c
from equal_runs import assert_equal_runs
from PIL import Image
from places import ROOT

from minigan import train
from minigan.gan.models import discriminator, generator
from minigan.nn.ops import LIBRARY
from minigan.ranks.mpi import launched_size
from minigan.runs import checkpoint
from minigan.runs.config import RunConfig
from minigan.runs.run_records import open_config
from minigan.runs.saved_generator import load_gan
from minigan.system.cli import run_command
from minigan.system.errors import UserError
from minigan.training import ranks as training_ranks

SMALL = ["--image-size", "32", "--width", "2", "--batch-size", "8", "--sample-every", "2", "--save-every", "3"]
ENDLESS = ["--steps", "1000000", "--save-every", "1000000"]
MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None, reason="needs mpi4py and mpiexec (extra mpi)"
)


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("OMPI_COMM_WORLD_", "PMI_", "PMIX_", "MV2_COMM_WORLD_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for k in range(16):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{k}.png")
    return folder


def call(*arguments):
    return run_command(train.main, [str(a) for a in arguments])


def settings_of(run):
    return json.loads((run / "config.json").read_text(encoding="utf-8"))["settings"]


@pytest.fixture(scope="module")
def six(data, tmp_path_factory):
    """Six steps on two ranks; not to be changed."""
    out = tmp_path_factory.mktemp("six") / "run"
    assert call("--data", data, *SMALL, "--steps", 6, "--ranks", 2, "--out", out) == 0
    return out


# ---------------------------------------------------------------------------------------------------- the same numbers
OPTIONS = {
    "batch_size": ["--batch-size", 7],
    "image_size": ["--image-size", 64],
    "width": ["--width", 3],
    "seed": ["--seed", 5],
    "plain": ["--plain"],
    "ema": ["--ema", 0.9],
    "flip": ["--flip"],
    "translate": ["--translate"],
    "g_learning_rate": ["--g-learning-rate", 0.0009],
}
"""Of every setting on which the numbers depend, another value than in `SMALL`."""

BESIDE = {
    *("preset", "data", "faces", "steps", "backend", "tf32", "ranks", "cuda_graph", "layers_sha256", "layers_used"),
    *("init", "sample_every", "save_every", "metrics_every"),
}
"""The other settings: on two ranks they mean nothing, or every training has them, or (init) rank 0 alone needs them."""


def test_every_setting_is_tried_on_two_ranks():
    assert {f.name for f in fields(RunConfig)} == OPTIONS.keys() | BESIDE


@pytest.mark.parametrize("setting", OPTIONS)
def test_two_ranks_train_as_one_does_but_for_rounding(data, tmp_path, setting):
    """Of what three steps change in a kernel, little differs.

    A bias before batch normalization is another matter: its true gradient is 0, so that it moves by rounding alone.
    """
    networks = []
    for ranks in (1, 2):
        out = tmp_path / str(ranks)
        options = [*SMALL, *OPTIONS[setting], "--steps", 3, "--ranks", ranks, "--out", out]
        assert call("--data", data, *options) == 0
        gan, _ = load_gan(out)
        networks.append((gan.generator, gan.discriminator, *([gan.average.network] if gan.average else [])))
    config, _ = open_config(out)
    size = {"image_size": config.image_size, "width": config.width, "seed": config.seed, "init": config.init}
    at_first = generator(**size), discriminator(**size), generator(**size)
    for one, two, first in zip(*networks, at_first, strict=False):
        for name, p in first.params().items():
            if not name.endswith("kernel"):
                continue
            moved = np.abs(one.params()[name] - p).mean()
            assert np.abs(two.params()[name] - one.params()[name]).mean() < 0.1 * moved, name
    assert gan.g_optimizer.learning_rate == config.g_learning_rate


# --------------------------------------------------------------------------------------------------------- how many
@pytest.mark.parametrize(
    ("settings", "asked", "cores", "expected"),
    [
        ({}, None, 4, 4),
        ({}, None, 1, 1),
        ({}, None, 100, 16),  # four images each
        ({"batch_size": 4096}, None, 100, 64),
        ({"batch_size": 3}, None, 4, 1),
        ({}, 5, 2, 5),  # more than there are cores, as asked for
        ({}, 64, 2, 64),
        ({"ranks": 3}, None, 2, 3),  # a resumed run's own
        ({"ranks": 3}, 2, 2, 2),
        ({"ranks": 1000}, None, 2, 64),
        ({"backend": "cupy"}, None, 4, 1),
        ({"backend": "cupy", "ranks": 4}, None, 4, 1),
        ({"backend": "cupy"}, 1, 4, 1),
    ],
)
def test_number_of_ranks(monkeypatch, settings, asked, cores, expected):
    monkeypatch.setattr(training_ranks, "usable_cores", lambda: cores)
    config = RunConfig(**settings)
    assert training_ranks.rank_count(config, asked and ("--ranks", asked)) == expected


@pytest.mark.parametrize(
    ("settings", "asked", "launched", "said"),
    [
        ({"backend": "cupy"}, 2, None, "--ranks: must be 1 with --backend cupy, got 2"),
        ({}, 65, None, "--ranks: must be 1 to 64, got 65"),
        ({"batch_size": 8}, 9, None, "--ranks: must be 1 to 8, the batch size, got 9"),
        ({}, 2, 3, "--ranks: must be 3, as many as the MPI launcher has started, got 2"),
        ({"batch_size": 2}, None, 3, "--batch-size: must be at least the number of ranks, 3, got 2"),
        ({"backend": "cupy"}, None, 3, "--backend: must be numpy on several ranks, got cupy"),
    ],
)
def test_numbers_of_ranks_that_cannot_be(monkeypatch, settings, asked, launched, said):
    if launched:
        monkeypatch.setenv("PMI_SIZE", str(launched))
    with pytest.raises(UserError) as caught:
        training_ranks.rank_count(RunConfig(**settings), asked and ("--ranks", asked))
    assert str(caught.value) == said


def test_under_a_launcher_there_are_as_many_as_it_has_started(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "3")
    assert launched_size() == 3
    assert training_ranks.rank_count(RunConfig(ranks=2)) == 3
    assert training_ranks.rank_count(RunConfig(), ("--ranks", 3)) == 3


def test_threads_is_the_former_name(data, tmp_path, capsys):
    assert call("--data", data, *SMALL, "--steps", 1, "--threads", 2, "--out", tmp_path / "run") == 0
    assert capsys.readouterr().err.count("minigan: warning: --threads: has become --ranks, which means the same") == 1
    assert settings_of(tmp_path / "run")["ranks"] == 2


# --------------------------------------------------------------------------------------------------- a resumed run
def test_a_resumed_run_keeps_its_ranks(six, data, tmp_path, capsys):
    out = tmp_path / "run"
    assert call("--data", data, *SMALL, "--steps", 3, "--ranks", 2, "--out", out) == 0
    capsys.readouterr()
    assert call("--resume", out, "--steps", 6) == 0
    assert "Ranks" not in capsys.readouterr().out
    assert_equal_runs(six, out, checkpoints_of="000006")


def test_a_run_resumed_on_other_ranks_says_so(six, tmp_path, capsys):
    out = shutil.copytree(six, tmp_path / "run")
    capsys.readouterr()
    assert call("--resume", out, "--steps", 7, "--ranks", 1) == 0
    said = "Ranks: 1 instead of the 2 of before; the last digits of what follows will differ\n"
    assert said in capsys.readouterr().out
    assert settings_of(out)["ranks"] == 1
    assert call("--resume", out, "--steps", 8) == 0
    assert "Ranks" not in capsys.readouterr().out


@pytest.mark.parametrize(("threads", "ranks", "said"), [(1, 1, ""), (2, 2, "Ranks: 2 instead of the threads that it")])
def test_a_run_that_began_with_threads_goes_on(six, tmp_path, monkeypatch, capsys, threads, ranks, said):
    monkeypatch.setattr(training_ranks, "usable_cores", lambda: 2)
    out = shutil.copytree(six, tmp_path / "run")
    about = json.loads((out / "config.json").read_text(encoding="utf-8"))
    del about["settings"]["ranks"]
    about["settings"]["threads"] = threads
    (out / "config.json").write_text(json.dumps(about), encoding="utf-8")
    capsys.readouterr()
    assert call("--resume", out, "--steps", 7) == 0
    printed = capsys.readouterr().out
    assert said in printed
    assert ("Ranks" in printed) == bool(said)
    assert settings_of(out)["ranks"] == ranks


def test_networks_with_anothers_batch_normalization_have_one_rank(data, tmp_path, monkeypatch, capsys):
    ops = replace(LIBRARY, batch_norm_forward=lambda *arguments: LIBRARY.batch_norm_forward(*arguments))
    plain = train.build_gan
    monkeypatch.setattr(train, "build_gan", lambda **settings: plain(**{**settings, "ops": ops}))
    out = tmp_path / "run"
    assert call("--data", data, *SMALL, "--steps", 1, "--ranks", 2, "--out", out) == 0
    assert "is not minigan's own, and works on one rank only; going on with 1\n" in capsys.readouterr().err
    assert settings_of(out)["ranks"] == 1


# ------------------------------------------------------------------------------------------------------ by MPI
@contextlib.contextmanager
def started_by_mpi(*arguments, size=2):
    command = [MPIEXEC, "-n", str(size), sys.executable, "-m", "minigan.train", *map(str, arguments)]
    with subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.kill()


def by_mpi(*arguments):
    with started_by_mpi(*arguments) as process:
        stdout, stderr = process.communicate(timeout=60)
    assert "Traceback" not in stderr
    return process.returncode, stdout, stderr


@needs_mpi
def test_mpi_trains_as_local_ranks_do(six, data, tmp_path):
    """The same files, also after a resume by the other engine.

    The plot of the losses has the settings that earlier tests have left to matplotlib in this process.
    """
    out = tmp_path / "run"
    status, stdout, _ = by_mpi("--data", data, *SMALL, "--steps", 3, "--out", out)
    assert (status, stdout.count("Run folder: ")) == (0, 1)
    other = shutil.copytree(out, tmp_path / "other")
    assert by_mpi("--resume", out, "--steps", 6)[0] == 0
    assert_equal_runs(six, out, checkpoints_of="000006", without=["losses.png"])
    assert call("--resume", other, "--steps", 6) == 0
    assert_equal_runs(six, other, checkpoints_of="000006")


@needs_mpi
@pytest.mark.parametrize(
    ("arguments", "status", "printed", "said"),
    [
        (["--help"], 0, "usage: python -m minigan.train", ""),
        (["--dry-run"], 0, "Would train 10,000 steps", ""),
        (["--ranks", "3"], 2, "", "--ranks: must be 2, as many as the MPI launcher has started, got 3"),
        (["--steps", "many"], 2, "", "argument --steps: must be a whole number, got 'many'"),
        (["--data", "no/such/folder"], 2, "", "no/such/folder"),
    ],
)
def test_only_rank_0_of_mpi_speaks(arguments, status, printed, said):
    found, stdout, stderr = by_mpi(*arguments)
    assert found == status
    assert stdout.count(printed or "\0") == bool(printed)
    assert stderr.count("\n") == bool(said)
    assert said in stderr


def wait_for_steps(out, count, process):
    until = time.monotonic() + 60
    log = out / "training_log.txt"
    while not log.exists() or log.read_text().count("\n") < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)


@needs_mpi
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.thorough)]
)
def test_ctrl_c_on_mpi_saves_the_run(data, tmp_path, number, status):
    out = tmp_path / "run"
    with started_by_mpi("--data", data, *SMALL, *ENDLESS, "--out", out) as process:
        wait_for_steps(out, 4, process)
        os.killpg(process.pid, number)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == status, stderr
    assert "all is saved. To go on:" in stdout
    assert "Traceback" not in stderr
    done = checkpoint.list_checkpoints(out / "checkpoints")[0][0]
    assert done == len((out / "training_log.txt").read_text().splitlines())
    assert call("--resume", out, "--steps", done + 1) == 0
    assert settings_of(out)["ranks"] == 2


@needs_mpi
def test_a_killed_rank_of_mpi_ends_all(data, tmp_path):
    out = tmp_path / "run"
    with started_by_mpi("--data", data, *SMALL, *ENDLESS, "--out", out) as process:
        wait_for_steps(out, 4, process)
        found = subprocess.run(["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
        ours = [line.split() for line in found.splitlines() if str(out) in line]
        program = [sys.executable, "-m", "minigan.train"]
        os.kill(max(int(words[0]) for words in ours if words[1:4] == program), signal.SIGKILL)
        process.communicate(timeout=20)
    assert process.returncode not in (0, 130)
    assert call("--resume", out, "--steps", 4) == 0


@needs_mpi
def test_an_error_in_training_ends_all_of_mpi(data, tmp_path):
    """One line, and exit status 1."""
    out = tmp_path / "run"
    with started_by_mpi(
        "--data", data, *SMALL, "--steps", 1_000_000, "--save-every", 1_000_000, "--out", out
    ) as process:
        wait_for_steps(out, 4, process)
        (out / "vitals.jsonl").rename(tmp_path / "elsewhere")
        (out / "vitals.jsonl").mkdir()  # a row is appended to it every 25 steps
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    others = ("Training", "Reading", "minigan: warning: report.html")  # which cannot read that folder either
    lines = [line for line in re.split(r"[\r\n]+", stderr) if line.strip() and not line.startswith(others)]
    assert len(lines) == 1
    assert "; the checkpoint of step 0 is kept: python -m minigan.train --resume " in lines[0]


@pytest.mark.parametrize(("rank", "lines"), [("0", 1), ("1", 0)])
def test_an_mpi_launcher_without_mpi4py(tmp_path, rank, lines):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['mpi4py'] = None\n", encoding="ascii")
    done = subprocess.run(
        [sys.executable, "-m", "minigan.train", "--dry-run"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "PMI_SIZE": "2", "PMI_RANK": rank},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", lines)
    if lines:
        assert done.stderr.startswith("minigan: error: started by an MPI launcher, but mpi4py cannot be used (")
