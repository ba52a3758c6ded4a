"""Where the limits of a process's control groups are written: both versions, groups in groups, parts of the tree."""

import pytest

from minigan.system import control_groups
from minigan.system.control_groups import group_folders


@pytest.fixture
def process(tmp_path, monkeypatch):
    """A process that is in these groups, and sees these mounts."""

    def write(groups, *mounts):
        (tmp_path / "cgroup").write_text(groups, encoding="utf-8")
        lines = [f"31 23 0:28 {root} {point} rw,relatime shared:9 - {source}\n" for root, point, source in mounts]
        (tmp_path / "mountinfo").write_text("".join(lines), encoding="utf-8")

    monkeypatch.setattr(control_groups, "PROCESS", tmp_path)
    return write


def folders(controller):
    return [(version, folder.as_posix()) for version, folder in group_folders(controller)]


VERSION_2 = ("/", "/sys/fs/cgroup", "cgroup2 cgroup2 rw")


def test_groups_in_groups_of_version_2(process):
    process("0::/class.slice/student 3\n", VERSION_2)
    found = ["/sys/fs/cgroup/class.slice/student 3", "/sys/fs/cgroup/class.slice", "/sys/fs/cgroup"]
    assert folders("cpu") == folders("memory") == [(2, folder) for folder in found]


def test_version_1_has_a_tree_for_each_controller_wherever_it_is_mounted(process):
    process(
        "4:memory:/m\n3:cpu,cpuacct:/c\n1:name=systemd:/s\n",
        ("/", "/sys/fs/cgroup/cpuacct,cpu", "cgroup cgroup rw,cpu,cpuacct"),
        ("/", "/groups\\040here/memory", "cgroup cgroup rw,memory"),
    )
    assert folders("cpu") == [(1, "/sys/fs/cgroup/cpuacct,cpu/c"), (1, "/sys/fs/cgroup/cpuacct,cpu")]
    assert folders("memory") == [(1, "/groups here/memory/m"), (1, "/groups here/memory")]


def test_a_container_that_sees_its_own_part_of_the_tree(process):
    part = ("/docker/12", "/sys/fs/cgroup/cpu", "cgroup cgroup rw,cpu")
    process("1:cpu:/docker/12/inner\n", part)
    assert folders("cpu") == [(1, "/sys/fs/cgroup/cpu/inner"), (1, "/sys/fs/cgroup/cpu")]
    process("1:cpu:/docker/12\n", part)
    assert folders("cpu") == [(1, "/sys/fs/cgroup/cpu")]
    process("1:cpu:/docker/123\n", part)  # of another one
    assert folders("cpu")[-1] == (1, "/sys/fs/cgroup/cpu")


def test_both_versions_side_by_side(process):
    process("1:cpu:/\n0::/\n", VERSION_2, ("/", "/sys/fs/cgroup/cpu", "cgroup cgroup rw,cpu"))
    assert folders("cpu") == [(1, "/sys/fs/cgroup/cpu"), (2, "/sys/fs/cgroup")]
    assert folders("memory") == [(2, "/sys/fs/cgroup")]


@pytest.mark.parametrize(("groups", "mount"), [("", VERSION_2), ("nonsense\n", VERSION_2), ("0::/\n", ("/", "/", "x"))])
def test_files_that_say_nothing(process, groups, mount):
    process(groups, mount)
    assert folders("cpu") == []


def test_a_system_without_such_files(monkeypatch, tmp_path):
    monkeypatch.setattr(control_groups, "PROCESS", tmp_path / "none")
    assert folders("cpu") == []
