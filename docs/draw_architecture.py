"""Draw the rooms of minigan and who imports whom: docs/pictures/architecture.svg, made from the code.

A box is a room, with its modules and lines counted. An arrow from A to B means: modules of A import modules of B. To
keep the drawing readable, an arrow is left out where other arrows already lead from A to B over a third room. Two boxes
have no arrows: the command lines may import every room, and every room may import `system`.

    python docs/draw_architecture.py [FILE]

`tests/test_architecture.py` compares the boxes and arrows of the drawing with the code.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

import grimp

ROOT = Path(__file__).resolve().parents[1]
DRAWING = ROOT / "docs" / "pictures" / "architecture.svg"
SUFFIXES = {".py", ".cu", ".html", ".css", ".js"}

Arrow = tuple[str, str]


@dataclass(frozen=True)
class Box:
    """Where a room is drawn, and in a few words what it is for."""

    column: int
    row: int
    purpose: str


BOXES = {
    "training": Box(1, 1, "the loop around the steps"),
    "evaluation": Box(1, 2, "how good, and is it normal"),
    "runs": Box(1, 3, "settings, folder, checkpoints"),
    "play": Box(2, 2, "explore a generator's faces"),
    "exchange": Box(0, 2, "files of other tools"),
    "check": Box(2, 4, "what is wrong with a layer"),
    "data": Box(3, 3, "the images to learn from"),
    "gan": Box(1, 4, "two networks, one step"),
    "ranks": Box(1, 5, "several processes, one batch"),
    "pages": Box(3, 5, "HTML, charts, plots"),
    "fast": Box(0, 6, "the same, fast: CPU, GPU"),
    "nn": Box(2, 6, "what a network computes"),
}
BOTTOM = "system"
COLUMNS, ROWS = (118, 366, 614, 862), (20, 122, 224, 326, 428, 530, 632, 734)
WIDTH, HEIGHT, BOX_WIDTH, BOX_HEIGHT = 980, 820, 206, 66

STYLE = """
  svg { color-scheme: light dark; }
  text { font-family: system-ui, -apple-system, "DejaVu Sans", sans-serif; font-size: 12.5px; fill: #57606a; }
  .name { font-size: 17px; font-weight: 600; fill: #1f2328; }
  .paper { fill: #ffffff; }
  .box { fill: #eef4fb; stroke: #6e8fb5; stroke-width: 1.2; }
  .bar { fill: #f4f4f5; stroke: #a0a6ad; stroke-width: 1.2; }
  .arrow { fill: none; stroke: #3d4650; stroke-width: 1.6; }
  .head { fill: #3d4650; }
  @media (prefers-color-scheme: dark) {
    text { fill: #9aa4af; }
    .name { fill: #f0f3f6; }
    .paper { fill: #0d1117; }
    .box { fill: #16263a; stroke: #5b86b8; }
    .bar { fill: #1b1f24; stroke: #6b737c; }
    .arrow { stroke: #c3cad2; }
    .head { fill: #c3cad2; }
  }
"""


# ---- What the code says ----


def room_of(module: str) -> str | None:
    """The room of a module; None for the command lines and for the package itself.

    >>> room_of("minigan.nn.ops"), room_of("minigan.check.__main__"), room_of("minigan.train")
    ('nn', None, None)
    """
    _, *path = module.split(".")
    return path[0] if path and path[0] in rooms() and path[-1] != "__main__" else None


@cache
def rooms() -> list[str]:
    """The names of the rooms: the packages in minigan."""
    return sorted(path.parent.name for path in (ROOT / "minigan").glob("*/__init__.py"))


def commands() -> list[str]:
    """What can be run as ``python -m minigan.NAME``."""
    alone = [path.stem for path in (ROOT / "minigan").glob("*.py") if not path.stem.startswith("_")]
    return sorted([*alone, *(path.parent.name for path in (ROOT / "minigan").glob("*/__main__.py"))])


def arrows() -> set[Arrow]:
    """Arrows between rooms."""
    graph = grimp.build_graph("minigan", cache_dir=None)
    imports = {(a, b) for a in graph.modules for b in graph.find_modules_directly_imported_by(a)}
    return without_detours(between_rooms(imports))


def between_rooms(imports: Iterable[Arrow]) -> set[Arrow]:
    """The rooms of the two modules of each import, where both are in rooms, different ones, and not in `system`."""
    pairs = {(room_of(importer), room_of(imported)) for importer, imported in imports}
    return {(a, b) for a, b in pairs if a is not None and b is not None and a != b and BOTTOM not in (a, b)}


def without_detours(pairs: set[Arrow]) -> set[Arrow]:
    """Arrows without those that say nothing new, because others lead to the same room.

    >>> sorted(without_detours({("a", "b"), ("b", "c"), ("a", "c")}))
    [('a', 'b'), ('b', 'c')]
    """

    def reached(start: str, left_out: Arrow) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            room = waiting.pop()
            for a, b in pairs - {left_out}:
                if a == room and b not in found:
                    found.add(b)
                    waiting.append(b)
        return found

    return {(a, b) for a, b in pairs if b not in reached(a, (a, b))}


def size_of(room: str) -> str:
    """How many modules and lines a room has, in words."""
    files = [path for path in (ROOT / "minigan" / room).rglob("*") if path.suffix in SUFFIXES]
    modules = sum(path.suffix == ".py" and path.stem != "__init__" for path in files)
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
    return f"{modules} modules, {lines:,} lines"


# ---- The drawing ----


def draw() -> str:
    """The drawing as SVG.

    Raises
    ------
    KeyError
        If a room has no place in `BOXES`.
    """
    parts = [line(a, b) for a, b in sorted(arrows())]
    parts += [box(room, *place(room), BOXES[room].purpose) for room in rooms() if room != BOTTOM]
    parts.append(bar("commands", "command lines", 0, f"{', '.join(commands())}: may import every room"))
    purpose = "errors, command lines, printing, whole files, locks: every room may import it"
    parts.append(bar(BOTTOM, BOTTOM, len(ROWS) - 1, f"{purpose}; {size_of(BOTTOM)}"))
    return "\n".join([start(), *parts, legend(), "</svg>"]) + "\n"


def start() -> str:
    """The start of the file: size, style, arrowhead and paper."""
    marker = (
        '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7.5" markerHeight="7.5" '
        'orient="auto"><path d="M0 1 L10 5 L0 9 z" class="head"/></marker>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="The rooms of minigan and who imports whom">\n<style>{STYLE}</style>\n'
        f'<defs>{marker}</defs>\n<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
    )


def place(room: str) -> tuple[int, int]:
    """The middle of a room's box."""
    return COLUMNS[BOXES[room].column], ROWS[BOXES[room].row] + BOX_HEIGHT // 2


def line(a: str, b: str) -> str:
    """An arrow from one room to another."""
    (ax, ay), (bx, by) = place(a), place(b)
    half_width, half_height, right = BOX_WIDTH // 2, BOX_HEIGHT // 2, 1 if bx > ax else -1
    if ay == by:  # side to side
        path = f"M{ax + right * half_width} {ay} H{bx - right * half_width}"
    elif by - ay > ROWS[2] - ROWS[1] and ax != bx:  # out of the side, then down
        path = f"M{ax + right * half_width} {ay} H{bx} V{by - half_height}"
    else:
        lean = 0 if ax == bx else right * half_width // 2
        path = f"M{ax + lean} {ay + half_height} L{bx - lean} {by - half_height}"
    return f'<path data-arrow="{a} {b}" class="arrow" marker-end="url(#head)" d="{path}"/>'


def box(room: str, x: int, y: int, purpose: str) -> str:
    """A room."""
    return (
        f'<g data-room="{room}" text-anchor="middle"><rect class="box" x="{x - BOX_WIDTH // 2}" '
        f'y="{y - BOX_HEIGHT // 2}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>'
        f'<text class="name" x="{x}" y="{y - 12}">{room}</text><text x="{x}" y="{y + 7}">{escape(purpose)}</text>'
        f'<text x="{x}" y="{y + 24}">{size_of(room)}</text></g>'
    )


def bar(room: str, name: str, row: int, text: str) -> str:
    """A box over the whole width."""
    x, y, width = COLUMNS[0] - BOX_WIDTH // 2, ROWS[row], COLUMNS[-1] - COLUMNS[0] + BOX_WIDTH
    return (
        f'<g data-room="{room}" text-anchor="middle"><rect class="bar" x="{x}" y="{y}" width="{width}" '
        f'height="{BOX_HEIGHT}" rx="6"/><text class="name" x="{WIDTH // 2}" y="{y + 28}">{name}</text>'
        f'<text x="{WIDTH // 2}" y="{y + 49}">{escape(text)}</text></g>'
    )


def legend() -> str:
    """What an arrow means."""
    x, y = COLUMNS[2] - BOX_WIDTH // 2, ROWS[1] + 24
    words = {0: "imports; no arrow is drawn where others", 18: "already lead to the same room"}
    lines = [f'<text x="{x + 58}" y="{y + down + 4}">{text}</text>' for down, text in words.items()]
    return "\n".join([f'<path class="arrow" marker-end="url(#head)" d="M{x} {y} h44"/>', *lines])


def main(argv: list[str]) -> int:
    """Write the drawing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("file", nargs="?", type=Path, default=DRAWING, help="default: docs/pictures/architecture.svg")
    drawing = parser.parse_args(argv).file
    drawing.write_text(draw(), encoding="utf-8")
    print(f"written: {drawing}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
