"""Make the documentation site: ``make docs`` puts it in ``build/site/html``.

The pages are the repository's own Markdown files, its executed lessons, and one page for each module of the package.
They are gathered in a folder in which each keeps its place, so most links between them are right as they stand. A link
to something that is no page is changed: to the page of a module; or to the file in the repository, if pyproject.toml
says where that is; or else to plain text. A link that leads nowhere ends the build.

    python docs/site/make_site.py [--serve]
"""

from __future__ import annotations

import base64
import importlib.resources
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parents[2]
HERE = "docs/site"
PAGES = ROOT / "build" / "site" / "pages"
HTML = ROOT / "build" / "site" / "html"
SOLUTIONS = "lessons/solutions"

PLAY_PAGES = {"lessons/play/gan-in-the-plane.html": "A GAN in the plane"}
SETTING_UP = "# Find minigan"
PLAY, EXPLORER = "lessons/play", "explore"

LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:\[[^\]]*\]\([^)]*\)|[^\[\]])*)\]\((?P<target>[^()\s]+)\)")
CODE_OR_LINK = re.compile(rf"(?P<code>(?P<ticks>`+)[^`\n]+(?P=ticks))|{LINK.pattern}")
OUTSIDE = re.compile(r"[a-z]+:|#")

Notebook = dict[str, Any]


def main(arguments: list[str]) -> int:
    """Gather the pages and call mkdocs; returns its exit status."""
    shutil.rmtree(PAGES, ignore_errors=True)
    modules = module_pages()
    wanted = {path: (ROOT / path).read_text(encoding="utf-8") for path in markdown_files()}
    wanted |= {lesson_page(path): lesson_text(nbformat.read(ROOT / path, 4), path) for path in lesson_notebooks()}
    links = Links(
        pages={*wanted}, modules={source: page for page, (source, _) in modules.items()}, address=source_address()
    )
    for path, text in wanted.items():
        write(path, links.mended(text, path))
    for page, (_, text) in modules.items():
        write(page, text)
    write("api/index.md", api_index(modules))
    for path in sorted(links.files | own_files()):
        copy(path)
    copy_mathjax()
    write_explorer()
    if links.broken:
        print("\n".join(sorted(links.broken)), file=sys.stderr)
        return 1
    return call_mkdocs(navigation(modules), arguments)


# ---- What becomes a page ----


def markdown_files() -> list[str]:
    """The repository's own Markdown files, by their places in it."""
    here = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in here.stdout.splitlines() if not path.startswith((".github/", "minigan/", "tests/"))]


def lesson_notebooks() -> list[str]:
    """The executed lessons, in order."""
    return sorted(f"{SOLUTIONS}/{path.name}" for path in (ROOT / SOLUTIONS).glob("*.ipynb"))


def lesson_page(notebook: str) -> str:
    """The page of a lesson; its links are those of the notebook with the exercises, which lies one folder up."""
    return f"lessons/{PurePosixPath(notebook).stem}.md"


def lesson_text(notebook: Notebook, path: str) -> str:
    """An executed lesson as Markdown; its figures are written beside it."""
    parts = []
    folder = PurePosixPath(lesson_page(path)).with_suffix("")
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "markdown":
            parts.append(cell["source"].replace("](../", "]("))  # the page lies one folder above the notebook
        elif cell["cell_type"] == "code":
            parts.append(
                folded(cell["source"]) if cell["source"].startswith(SETTING_UP) else fenced(cell["source"], "python")
            )
            for index, output in enumerate(cell["outputs"]):
                parts.append(shown(output, folder / f"{number}-{index}.png"))
    return "\n\n".join(part for part in parts if part) + "\n"


def shown(output: Notebook, figure: PurePosixPath) -> str:
    """What a cell has printed or drawn, as Markdown."""
    if output["output_type"] == "stream":
        return f'<div class="printed" markdown>\n\n{fenced(output["text"].rstrip(), "text")}\n\n</div>'
    data = output.get("data", {})
    if "image/png" in data:
        target = PAGES / figure
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(base64.b64decode(data["image/png"]))
        alt = output.get("metadata", {}).get("image/png", {}).get("alt") or data.get("text/plain", "")
        return f"![{plain(alt)}]({figure.parent.name}/{figure.name})"
    return fenced(data["text/plain"], "text") if "text/plain" in data else ""


def folded(code: str) -> str:
    """The cell that finds minigan, the same in every lesson, to be opened by those who want to see it."""
    summary = "<summary>How the notebook finds minigan</summary>"
    return f'<details class="abstract" markdown>\n{summary}\n\n{fenced(code, "python")}\n\n</details>'


def fenced(text: str, language: str) -> str:
    """A block of code, in a fence longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def plain(text: str) -> str:
    """Text that may stand between the brackets of a link."""
    return re.sub(r"[\[\]\n]", " ", text)


def module_pages() -> dict[str, tuple[str, str]]:
    """For each page of the API: the module's file, and the text that mkdocstrings fills in."""
    pages = {}
    for path in sorted((ROOT / "minigan").rglob("*.py")):
        source = path.relative_to(ROOT).as_posix()
        if path.name == "__main__.py" or (
            path.name == "__init__.py" and path.parent.name != "minigan" and not documented(path)
        ):
            continue
        name = source.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        pages[f"api/{name}.md"] = (source, f"# {name}\n\n::: {name}\n")
    return pages


def documented(path: Path) -> bool:
    """Whether a package says more about itself than a line."""
    return path.read_text(encoding="utf-8").count("\n") > 1


def api_index(modules: dict[str, tuple[str, str]]) -> str:
    """The page that lists all modules, by rooms."""
    lines = [
        "# All modules",
        "",
        "One page for each module, from its docstrings. [How minigan is built](../docs/architecture.md) says what each",
        "room is for, and [the front page](../README.md#read-the-code) in which order to read.",
    ]
    for room, pages in by_room(modules).items():
        lines += ["", f"## {room}", ""]
        for page in pages:
            first = first_line(ROOT / modules[page][0])
            lines.append(f"* [`{Path(page).stem}`]({Path(page).name}){': ' + first if first else ''}")
    return "\n".join(lines) + "\n"


def by_room(modules: Iterable[str]) -> dict[str, list[str]]:
    """The pages of each room; commands and what else lies beside the rooms come first."""
    rooms: dict[str, list[str]] = {"minigan": []}
    for page in sorted(modules):
        parts = Path(page).stem.split(".")
        package = len(parts) > 2 or (ROOT / "minigan" / parts[-1]).is_dir()
        rooms.setdefault(parts[1] if len(parts) > 1 and package else "minigan", []).append(page)
    return rooms


def first_line(path: Path) -> str:
    """The first line of a module's docstring, which may lack one."""
    found = re.match(r'r?"""(.*)', path.read_text(encoding="utf-8"))
    return found[1].removesuffix('"""') if found else ""


# ---- Links ----


class Links:
    """Where links lead on the site.

    Parameters
    ----------
    pages : set of str
        Markdown pages, by their places in the repository.
    modules : dict
        For each module's file, its page.
    address : str or None
        Where the repository's files can be seen, with a slash at the end.
    """

    def __init__(self, pages: set[str], modules: dict[str, str], address: str | None) -> None:
        self.pages, self.modules, self.address = pages, modules, address
        self.files: set[str] = set()
        """Images and other files that pages show or link to, to be copied."""
        self.broken: set[str] = set()
        """Sentences about links that lead nowhere."""

    def mended(self, text: str, page: str) -> str:
        """A page's text, with links as they are on the site."""
        return outside_code(text, lambda part: CODE_OR_LINK.sub(lambda found: self._mended(found, page), part))

    def _mended(self, found: re.Match[str], page: str) -> str:
        target, text = found["target"], found["text"]
        if target is None:  # a span of code
            return found[0]
        if not found["image"] and LINK.search(text):  # an image that is a link
            text = CODE_OR_LINK.sub(lambda inner: self._mended(inner, page), text)
        if OUTSIDE.match(target):
            return f"{found['image']}[{text}]({target})"
        name, _, anchor = target.partition("#")
        place = os.path.normpath(PurePosixPath(page).parent / name).replace(os.sep, "/")
        if (PAGES / place).exists():  # a figure that a lesson has drawn
            return found[0]
        if place.startswith("..") or not (ROOT / place).exists():
            self.broken.add(f"{page}: there is no {target}")
            return text
        if found["image"]:
            self.files.add(place)
            return f"![{text}]({target})"
        there = self._page(place)
        if there is not None:
            way = os.path.relpath(there, PurePosixPath(page).parent).replace(os.sep, "/")
            return f"[{text}]({way}{'#' + anchor if anchor and there == place else ''})"
        return f"[{text}]({self.address}{place})" if self.address else text

    def _page(self, place: str) -> str | None:
        """The page on which a file or folder of the repository is shown."""
        name = PurePosixPath(place).name
        if place in self.pages:
            return place
        if place in self.modules:
            return self.modules[place]
        if place.startswith("minigan") and (ROOT / place).is_dir():
            return self.modules.get(f"{place}/__init__.py", "api/index.md")
        if name.endswith(".ipynb"):
            return lesson_page(name)
        if place == SOLUTIONS:
            return "lessons/README.md"
        if (ROOT / place).suffix in {".png", ".svg", ".html", ".json", ".csv"} and place.startswith(
            ("docs/", "benchmarks/")
        ):
            self.files.add(place)
            return place
        return f"{place}/README.md" if f"{place}/README.md" in self.pages else None


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """A text changed everywhere but in its blocks and spans of code."""
    parts = re.split(r"(^(`{3,})[\s\S]*?^\2`*[ \t]*$)", text, flags=re.M)
    kept = [change(part) if index % 3 == 0 else part if index % 3 == 1 else "" for index, part in enumerate(parts)]
    return "".join(kept)


def source_address() -> str | None:
    """Where the repository's files can be seen, from pyproject.toml; None until that is filled in."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    repository = project.get("urls", {}).get("Repository")
    return f"{repository.rstrip('/')}/blob/main/" if repository else None


# ---- Files ----


def write(path: str, text: str) -> None:
    """Write a page."""
    target = PAGES / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def copy(path: str) -> None:
    """Copy a file, or what is in a folder, to its place among the pages."""
    target = PAGES / path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / path, target)


def own_files() -> set[str]:
    """The site's own style, scripts and icon, and the pages to play with."""
    play = {path.relative_to(ROOT).as_posix() for path in (ROOT / PLAY).rglob("*") if path.is_file()}
    return {f"{HERE}/{name}" for name in ("extra.css", "maths.js", "favicon.svg")} | play


def copy_mathjax() -> None:
    """Put MathJax beside the pages: one file, which loads no others."""
    package = importlib.resources.files("sphinx-mathjax-offline")
    target = PAGES / HERE / "mathjax" / "tex-svg.js"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes((package / "static" / "mathjax" / "tex-svg.js").read_bytes())


def write_explorer() -> None:
    """Put the explorer of the generator that comes with minigan beside the pages, for browsers that draw themselves."""
    folder = PAGES / EXPLORER
    subprocess.run([sys.executable, "-m", "minigan.explore", "--static", folder], cwd=ROOT, check=True)


# ---- mkdocs ----


def navigation(modules: Iterable[str]) -> list[Any]:
    """The site's table of contents."""
    records = [path for path in markdown_files() if path.startswith("docs/runs/")]
    use = ("better-training", "metrics", "prepare", "check", "gpu", "scaling", "safety", "troubleshooting")
    listed = {f"docs/{name}.md" for name in (*use, "architecture", "article", "performance")}
    others = [
        p for p in markdown_files() if p.startswith("docs/") and p not in listed and not p.startswith("docs/runs/")
    ]
    lessons = [{title(path): lesson_page(path)} for path in lesson_notebooks()]
    rest = [path for path in markdown_files() if path.startswith("lessons/") and path != "lessons/README.md"]
    project = [path for path in markdown_files() if "/" not in path and path != "README.md"]
    return [
        {"minigan": ["README.md"]},
        {"Play": [{"Explore faces": f"{EXPLORER}/index.html"}, *({name: path} for path, name in PLAY_PAGES.items())]},
        {"Course": ["lessons/README.md", *lessons, *rest]},
        {"Use": [*(f"docs/{name}.md" for name in use), *others]},
        {
            "Built": [
                "docs/architecture.md",
                "docs/article.md",
                "docs/performance.md",
                "benchmarks/RESULTS.md",
                {"Records": sorted(records, key=lambda path: (path != "docs/runs/README.md", path))},
            ]
        },
        {"API": ["api/index.md", *({room: named(room, pages)} for room, pages in by_room(modules).items())]},
        {"Project": project},
    ]


def named(room: str, pages: list[str]) -> list[dict[str, str]]:
    """Pages of modules, with names that say no more than the room leaves open."""
    return [{Path(page).stem.removeprefix("minigan.").removeprefix(f"{room}."): page} for page in pages]


def title(notebook: str) -> str:
    """The first heading of a lesson."""
    for cell in nbformat.read(ROOT / notebook, 4)["cells"]:
        found = re.search(r"^# (.+)", cell["source"], re.M) if cell["cell_type"] == "markdown" else None
        if found:
            return found[1]
    return Path(notebook).stem


def call_mkdocs(nav: list[Any], arguments: list[str]) -> int:
    """Build the site, or build and serve it on this machine; returns the exit status."""
    described = (ROOT / HERE / "mkdocs.yml").read_text(encoding="utf-8")
    described = described.replace("../../build/site/", "").replace("paths: [../..]", f"paths: ['{ROOT.as_posix()}']")
    described = described.replace("EXTENSION", f"{(ROOT / HERE).as_posix()}/doctest_blocks.py:DoctestBlocks")
    address = source_address()
    if address:
        described += f"\nrepo_url: {address.removesuffix('/blob/main/')}\n"
    configuration = PAGES.parent / "mkdocs.yml"
    configuration.write_text(f"{described}\n{json.dumps({'nav': nav})[1:-1]}", encoding="utf-8")
    verb = ["serve"] if "--serve" in arguments else ["build", "--clean"]
    return subprocess.run([sys.executable, "-m", "mkdocs", *verb, "-f", configuration], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
