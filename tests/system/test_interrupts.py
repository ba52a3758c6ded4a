"""Ctrl-C while a command is still being imported, and in programs that only import minigan."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import hear_ctrl_c
from places import ROOT

from minigan.system.interrupts import restore_interrupts

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@posix
@pytest.mark.parametrize("command", ["minigan.train", "minigan.sample", "minigan"])
@pytest.mark.parametrize("module", ["minigan.nn.ops", "argparse"])
def test_ctrl_c_while_modules_load(tmp_path, command, module):
    """The system ends the process; there is no traceback."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", command, "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=hear_ctrl_c,
    )
    assert done.returncode == -signal.SIGINT
    assert done.stderr == ""


def test_importing_minigan_leaves_ctrl_c_alone():
    script = "import signal, minigan; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    options = {} if sys.platform == "win32" else {"preexec_fn": hear_ctrl_c}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, **options)
    assert done.stdout == "True\n"


def test_only_the_default_of_the_system_is_replaced():
    """A handler of one's own, or an ignored Ctrl-C, stays."""
    before = signal.getsignal(signal.SIGINT)
    try:
        for found, expected in (
            (signal.SIG_DFL, signal.default_int_handler),
            (signal.SIG_IGN, signal.SIG_IGN),
        ):
            signal.signal(signal.SIGINT, found)
            restore_interrupts()
            assert signal.getsignal(signal.SIGINT) is expected
    finally:
        signal.signal(signal.SIGINT, before)
