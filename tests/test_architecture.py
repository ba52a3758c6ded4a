"""Rooms and imports: no circles, no two modules of one name, and one table said the same way in three places."""

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
    assert set(CONTRACTS) == ROOMS | {"fast-leaves", "seam", "lessons", "circles"}
    assert set(CONTRACTS["seam"]["source_modules"]) == {f"minigan.{room}" for room in ROOMS - {"fast"}}


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
    arrows = {"allowed": set(), "exception": set()}
    for a, b, kind in re.findall(r'data-arrow="(\w+) (\w+)" data-kind="(\w+)"', drawn):
        arrows[kind].add((a, b))
    assert (arrows["allowed"], arrows["exception"]) == DRAWING["arrows"]()


def test_the_drawing_names_every_command():
    assert {f"minigan.{name}" for name in DRAWING["commands"]()} == set(COMMANDS)
