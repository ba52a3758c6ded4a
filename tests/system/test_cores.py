"""How many cores may be used: of those that exist, those that are allowed; and no more than the time that is given."""

import math
import os
import platform
import subprocess
import sys

import pytest

from minigan.system import control_groups, cores
from minigan.system.cores import allowed_processors, numbers_in, usable_cores
from minigan.system.worker_pool import worker_count


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of 64 processors, two of which are one core; what is allowed is set by the arguments."""
    monkeypatch.setattr(control_groups, "PROCESS", tmp_path)
    monkeypatch.setattr(cores, "_CPUS", tmp_path / "cpu")
    monkeypatch.setattr(cores, "_FAST_CPUS", tmp_path / "fast")
    for cpu in range(64):
        topology = tmp_path / f"cpu/cpu{cpu}/topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(f"{cpu % 32},{cpu % 32 + 32}\n", encoding="ascii")

    def allow(cpus=range(64), *, counted=64, files=None, groups="0::/\n", fast=None):
        def affinity(process):
            if cpus is None:
                raise PermissionError(1, "Operation not permitted")
            return set(cpus)

        monkeypatch.setattr(os, "sched_getaffinity", affinity, raising=False)
        monkeypatch.setattr(os, "cpu_count", lambda: counted)
        mounts = f"1 0 0:1 / {tmp_path}/two rw - cgroup2 c rw\n1 0 0:1 / {tmp_path}/one rw - cgroup c rw,cpu\n"
        written = {**(files or {}), "mountinfo": mounts, "cgroup": groups, **({"fast": fast} if fast else {})}
        for name, text in written.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="ascii")
        return usable_cores(), allowed_processors()

    return allow


def test_without_limits(machine):
    assert machine() == (32, 64)


def test_a_process_that_is_pinned(machine):
    assert machine([5]) == (1, 1)
    assert machine([0, 1, 32, 33]) == (2, 4)  # two cores, each with both of its threads
    assert worker_count() <= 2


def test_fast_and_slow_cores(machine):
    assert machine(fast="0-7,32-39\n") == (8, 64)
    assert machine([10, 11], fast="0-7\n") == (2, 2)  # only slow ones are allowed


def test_a_system_that_does_not_say(machine, monkeypatch):
    assert machine(None, counted=6) == (6, 6)
    assert machine(None, counted=None) == (1, 1)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    assert usable_cores() == 1


def test_a_mac_says_how_many_of_its_cores_are_fast(machine, monkeypatch):
    machine(counted=10)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0, "8\n"))
    assert (usable_cores(), allowed_processors()) == (8, 10)


def test_a_count_that_the_user_has_set_for_python(machine):
    assert machine(counted=3) == (3, 64)


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("50000 100000", (1, 1)),  # half a processor
        ("350000 100000", (3, 3)),
        ("max 100000", (32, 64)),
        ("6400000 100000", (32, 64)),
        ("nonsense", (32, 64)),
        ("", (32, 64)),
    ],
)
def test_a_quota_of_version_2(machine, quota, expected):
    assert machine(files={"two/cpu.max": quota}) == expected


def test_the_smallest_quota_of_groups_in_groups_holds(machine):
    outer = {"two/a/cpu.max": "200000 100000\n"}
    assert machine(files=outer, groups="0::/a/b/c\n") == (2, 2)
    assert machine(files={**outer, "two/a/b/cpu.max": "100000 50000\n"}, groups="0::/a/b/c\n") == (2, 2)
    assert machine(files={**outer, "two/a/b/c/cpu.max": "1000 1000\n"}, groups="0::/a/b/c\n") == (1, 1)


@pytest.mark.parametrize(
    ("quota", "expected"), [("250000", (2, 2)), ("50000", (1, 1)), ("-1", (32, 64)), ("", (32, 64))]
)
def test_a_quota_of_version_1(machine, quota, expected):
    files = {"one/x/cpu.cfs_quota_us": quota, "one/x/cpu.cfs_period_us": "100000\n"}
    assert machine(files=files, groups="3:cpuacct,cpu:/x\n0::/\n") == expected


def test_numbers_in():
    assert numbers_in("0-2,5\n") == {0, 1, 2, 5}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pins a process")
def test_a_process_that_is_pinned_here():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    code += "from minigan.system import cores; print(cores.usable_cores(), cores.allowed_processors())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]
    assert 1 <= usable_cores() <= allowed_processors() < math.inf
