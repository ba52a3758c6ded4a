"""Starting processes: without the user's script, BLAS threads and requests to end, and not longer than their parent."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import wait_for

from minigan.system.processes import starting_workers

BLAS_SETTINGS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def blocked():
    requests = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    held = requests & signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert held in (requests, set())
    return bool(held)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot hold Ctrl-C back")
@pytest.mark.parametrize("error", [None, ValueError()])
def test_main_is_empty_and_requests_held_back_while_workers_start(error, monkeypatch):
    main = sys.modules["__main__"]
    monkeypatch.setenv(BLAS_SETTINGS[0], "7")
    monkeypatch.delenv(BLAS_SETTINGS[1], raising=False)
    with contextlib.suppress(ValueError), starting_workers():
        inside = sys.modules["__main__"]
        assert blocked()
        assert {os.environ[name] for name in BLAS_SETTINGS} == {"1"}
        if error is not None:
            raise error
    assert (inside.__name__, hasattr(inside, "__file__")) == ("__main__", False)
    assert sys.modules["__main__"] is main
    assert not blocked()
    assert (os.environ[BLAS_SETTINGS[0]], os.environ.get(BLAS_SETTINGS[1])) == ("7", None)


PARENT = """
import multiprocessing, sys, time
from minigan.system.processes import begin_work, starting_workers
sys.path.insert(0, sys.argv[1])
from a_worker import work

with starting_workers():
    multiprocessing.get_context("spawn").Process(target=work, args=(begin_work, sys.argv[1])).start()
time.sleep(60)
"""
WORKER = """
import os, pathlib, signal, time

def work(begin, folder):
    begin()
    for request in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {request})
        os.kill(os.getpid(), request)  # nothing happens
    partial = pathlib.Path(folder, "partial")
    partial.write_text(str(os.getpid()))
    partial.rename(pathlib.Path(folder, "worker"))
    time.sleep(60)
"""


@linux
def test_a_worker_ignores_requests_to_end_and_ends_with_its_parent(tmp_path):
    (tmp_path / "a_worker.py").write_text(WORKER, encoding="utf-8")
    script = tmp_path / "script.py"  # without a guard: a worker that ran it again would start workers for ever
    script.write_text(PARENT, encoding="utf-8")
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path)])
    try:
        wait_for((tmp_path / "worker").exists)
        status = Path("/proc", (tmp_path / "worker").read_text(), "stat")
        assert parent.poll() is None
    finally:
        parent.kill()
        parent.wait()
    wait_for(lambda: not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z")
