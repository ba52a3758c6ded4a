"""Rooms and imports: no circles, no two modules of one name, a test for each module, and one table in three places."""

import ast
import functools
import re
import runpy
import tomllib
from collections import defaultdict

import grimp
import pytest
from places import ROOT

from minigan.__main__ import COMMANDS

DRAWING = runpy.run_path(str(ROOT / "docs" / "draw_architecture.py"))
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CONTRACTS = {
    contract["id"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
}
ROOMS = set(DRAWING["rooms"]())


# ---- Circles ----


def circles(graph):
    """Groups of modules that import each other, directly or over others (Tarjan's strongly connected components)."""
    number, lowest, stack, found = {}, {}, [], []

    def visit(module):
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            if imported not in number:
                visit(imported)
                lowest[module] = min(lowest[module], lowest[imported])
            elif imported in stack:
                lowest[module] = min(lowest[module], number[imported])
        if lowest[module] == number[module]:
            group = stack[stack.index(module) :]
            del stack[-len(group) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in sorted(graph.modules):
        if module not in number:
            visit(module)
    return found


@pytest.mark.parametrize("package", ["minigan", "lessons"])
def test_no_module_imports_itself_over_others(package):
    """Imports inside functions and those for type checkers only count as well."""
    assert circles(grimp.build_graph(package, cache_dir=None)) == []


def test_a_circle_is_found(tmp_path, monkeypatch):
    folder = tmp_path / "house_with_a_circle"
    folder.mkdir()
    for name, text in {
        "__init__": "",
        "a": "from house_with_a_circle import b",
        "b": "def later():\n    from house_with_a_circle.c import something",
        "c": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house_with_a_circle.a import Thing",
        "d": "import house_with_a_circle.a",
    }.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    graph = grimp.build_graph("house_with_a_circle", cache_dir=None)
    assert circles(graph) == [[f"house_with_a_circle.{name}" for name in "abc"]]


# ---- Names ----

SAME_NAME = {
    "__init__.py": "every package has one",
    "__main__.py": "what `python -m` runs",
}


def test_no_two_modules_share_a_name():
    places = defaultdict(list)
    for folder in ("minigan", "lessons", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name not in SAME_NAME:
                places[path.name].append(path.relative_to(ROOT).as_posix())
    assert [sorted(paths) for paths in places.values() if len(paths) > 1] == []


# ---- Tests: laid out as the package is ----

ROOT_COMMANDS = {f"minigan.{name}" for name in DRAWING["commands"]()}  # tests/commands runs them
TESTED_BY_ANOTHER = {
    "check.engine.": ("check/engine/test_ladder.py", "the ladder runs them; every code of theirs is triggered there"),
    "check.sandbox.entrance": ("check/sandbox/test_supervisor.py", "every student's process starts there"),
    "check.plugin_tests": ("check/test_plugin.py", "pytest collects it in a process of its own"),
    "check.plugin_collection": ("check/test_plugin.py", "pytest registers it in a process of its own"),
    "check.zoo.": ("check/zoo/test_zoo.py", "`minigan.check.zoo` gathers their specimens"),
    "data.drawn.": ("data/drawn/test_faces.py", "they draw parts of the faces"),
    "evaluation.nearest_images": ("commands/test_evaluate.py", "it draws evaluation.png"),
    "evaluation.run_facts": ("evaluation/test_run_report.py", "it reads what the report says"),
    "nn.conv_checks": ("nn/test_conv.py", "the functions of nn.conv call them first"),
    "nn.loops": ("nn/test_conv.py", 'it is the kernel called "loops"'),
    "nn.ops.": ("nn/test_ops.py", "`minigan.nn.ops` hands out their functions"),
    "ranks.": ("ranks/test_ranks.py", "several ranks train as one does"),
    "system.workers": ("fast/cpu/test_pool.py", "the pool divides its work among them"),
    "training.ranks": ("ranks/test_train_on_ranks.py", "runs on ranks"),
}
"""Modules (with a dot at the end: packages) that no test file of their room names: what tests them, and why."""


def modules_without_a_test():
    """Modules that no test of their room imports or has in its name, and that have no doctests."""
    for path in sorted((ROOT / "minigan").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.name in SAME_NAME or name in ROOT_COMMANDS or ">>> " in path.read_text(encoding="utf-8"):
            continue
        tests = list((ROOT / "tests" / name.split(".")[1]).rglob("test_*.py"))
        if f"test_{path.name}" not in {test.name for test in tests} and not any(name in imports_of(t) for t in tests):
            yield name.removeprefix("minigan.")


@functools.cache
def imports_of(path):
    """Full names of all that a file imports: modules, and what it takes from them."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def entry_of(module):
    """The key of `TESTED_BY_ANOTHER` that is for a module, or None."""
    return next(
        (key for key in TESTED_BY_ANOTHER if module == key or (key[-1] == "." and module.startswith(key))), None
    )


def test_every_module_is_tested_in_its_room():
    entries = {module: entry_of(module) for module in modules_without_a_test()}
    assert [module for module, key in entries.items() if key is None] == []
    assert set(entries.values()) == set(TESTED_BY_ANOTHER)  # no entry that is not needed any more
    assert all((ROOT / "tests" / test).is_file() for test, _ in TESTED_BY_ANOTHER.values())


def test_every_folder_of_tests_is_a_room():
    folders = {path.parent.relative_to(ROOT / "tests").as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    known = {path.parent.relative_to(ROOT / "minigan").as_posix() for path in (ROOT / "minigan").rglob("__init__.py")}
    assert folders - known == {"commands", "lessons", "benchmarks"}


# ---- The table of imports: in pyproject.toml, in docs/architecture.md, and in the drawing ----


def allowed_by_contracts(room):
    """The rooms that a room may import, and in the form "nn.backend" single modules of others."""
    contracts = [contract for contract in CONTRACTS.values() if contract.get("source_modules") == [f"minigan.{room}"]]
    allowed = ROOMS - {room, "fast"}
    for contract in contracts:
        allowed -= {module.removeprefix("minigan.") for module in contract["forbidden_modules"]}
    for contract in contracts:
        allowed |= {line.split("-> minigan.")[1] for line in contract.get("ignore_imports", [])}
    return allowed


def test_every_room_has_a_contract():
    assert set(CONTRACTS) == ROOMS | {"seam", "lessons", "circles"}
    assert set(CONTRACTS["seam"]["source_modules"]) == {f"minigan.{room}" for room in ROOMS - {"fast"}}


@pytest.mark.parametrize("room", ["nn", "gan"])
def test_what_is_computed_names_no_machinery(room):
    """How it is made fast is the matter of fast, and where it runs that of ranks and system."""
    for path in (ROOT / "minigan" / room).rglob("*.py"):
        assert not re.findall("cuda|thread|winograd", path.read_text(encoding="utf-8"), re.IGNORECASE), path


def test_the_page_has_the_table_of_the_contracts():
    rows = dict(re.findall(r"^\| (\w+) \| ([^|]+) \|$", PAGE, re.M))
    for room in ROOMS:
        told = set() if rows[room] == "nothing of ours" else set(rows[room].split(", "))
        assert told == allowed_by_contracts(room), room


def test_the_page_describes_every_room():
    assert set(re.findall(r"^\*\*\[(\w+)\]", PAGE, re.M)) == ROOMS


def test_the_drawing_shows_the_rooms_and_arrows_of_the_code():
    """Numbers of lines may be older than the code; `make architecture` draws anew."""
    drawn = DRAWING["DRAWING"].read_text(encoding="utf-8")
    assert set(re.findall(r'data-room="(\w+)"', drawn)) == ROOMS | {"commands"}
    assert set(re.findall(r'data-arrow="(\w+) (\w+)"', drawn)) == DRAWING["arrows"]()


def test_the_drawing_names_every_command():
    assert {f"minigan.{name}" for name in DRAWING["commands"]()} == {f"minigan.{name}" for name in COMMANDS}
