"""How much memory may be taken: of the machine, and of control groups of both versions."""

import math
import sys

import pytest

from minigan.system import available_memory as module
from minigan.system import control_groups
from minigan.system.available_memory import available_memory


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A system whose files a test writes: (path, text) pairs."""
    monkeypatch.setattr(module, "_MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(control_groups, "PROCESS", tmp_path / "proc")

    def write(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text.replace("HERE", str(tmp_path)), encoding="utf-8")

    return write


MACHINE = {"meminfo": "MemTotal:  9000 kB\nMemFree:  100 kB\nMemAvailable:    5000 kB\n"}


def test_nothing_is_known(system):
    system({})
    assert available_memory() == math.inf


def test_the_machine(system):
    system(MACHINE)
    assert available_memory() == 5000 * 1024


@pytest.mark.parametrize("text", ["", "MemAvailable: many kB\n", "MemAvailable:\n"])
def test_files_that_say_nothing(system, text):
    if text != "MemAvailable:\n":
        system({"meminfo": text, "proc/cgroup": "nonsense", "proc/mountinfo": "nonsense"})
        assert available_memory() == math.inf


def group(folder, version, limit, used, copies):
    if version == 2:
        return {
            f"{folder}/memory.max": f"{limit}\n",
            f"{folder}/memory.current": f"{used}\n",
            f"{folder}/memory.stat": f"anon 3\ninactive_file {copies}\n",
        }
    return {
        f"{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"{folder}/memory.usage_in_bytes": f"{used}\n",
        f"{folder}/memory.stat": f"inactive_file 1\ntotal_inactive_file {copies}\n",
    }


def test_a_group_of_version_2_and_those_that_contain_it(system):
    mount = "31 23 0:28 / HERE/cgroup rw,relatime - cgroup2 cgroup2 rw\n"
    system({**MACHINE, "proc/mountinfo": mount, "proc/cgroup": "0::/a/b\n", **group("cgroup/a/b", 2, "max", 600, 7)})
    assert available_memory() == 5000 * 1024
    system(group("cgroup/a", 2, 1000, 600, 50))
    assert available_memory() == 450
    system(group("cgroup/a/b", 2, 700, 600, 7))
    assert available_memory() == 107
    system(group("cgroup/a/b", 2, 700, 800, 7))
    assert available_memory() == 0


def test_a_group_of_version_1_of_which_only_the_outermost_is_seen(system):
    files = group("cgroup/memory", 1, 1000, 600, 50)
    mount = "35 31 0:32 /docker/123 HERE/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    groups = "9:cpu:/c\n8:memory:/docker/123\n0::/\n"
    system({**MACHINE, "proc/mountinfo": mount, "proc/cgroup": groups, **files})
    assert available_memory() == 450


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_here():
    assert 10e6 < available_memory() < math.inf
