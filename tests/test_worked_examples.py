"""The worked examples of docs/architecture.md: their code is put into a copy of minigan, and is run.

A block of code begins with a line that says what it is: a new file, something for the end of a file, a change of a file
(a diff), or something to try.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

import pytest
from places import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
HEAD = re.compile(r" ?# (?:try it|(?P<file>(?:minigan|lessons)/[\w/]+\.py)(?:, (?P<how>a new file|at the end))?)\n")


@dataclass
class Block:
    """A block of code: `file` is None for one to try; `how` is empty for a diff."""

    file: str | None
    how: str
    code: str

    def put_into(self, house):
        """Do with a copy of minigan what the block says."""
        path = house / self.file
        if self.how == "a new file":
            path.parent.mkdir(exist_ok=True)
            assert not path.exists()
            path.write_text(self.code, encoding="utf-8")
            return
        text = path.read_text(encoding="utf-8")
        if self.how == "at the end":
            text += f"\n\n{self.code}"
        else:
            for part in self.code.split("...\n"):
                lines = part.splitlines(keepends=True)
                before, after = ("".join(line[1:] for line in lines if line[0] in " " + mark) for mark in "-+")
                assert text.count(before) == 1, before
                text = text.replace(before, after)
        path.write_text(text, encoding="utf-8")


def blocks_of(section):
    """The blocks of code below a heading of the page."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S):
        head = HEAD.match(code)
        assert head, code
        assert (language == "diff") == (head["file"] is not None and not head["how"]), code
        yield Block(head["file"], head["how"] or "", code[head.end() :])


SECTIONS = re.findall(r"^## (Add an? .+)$", PAGE, re.M)
EXAMPLES = {section: list(blocks_of(section)) for section in SECTIONS}
CHANGES = [
    (section, block)
    for section, blocks in EXAMPLES.items()
    for block in blocks
    if block.file and not block.file.endswith("guarded/__init__.py")  # Python can do without it, the house cannot
]


def tried(section, folder, *, without=None):
    """Follow an example, perhaps `without` one of its blocks, and run all that it says to try; their results."""
    for name in ("minigan", "lessons"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.ipynb", "*.npz"))
    for block in EXAMPLES[section]:
        if block.file and block is not without:
            block.put_into(folder)
    settings = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    for block in EXAMPLES[section]:
        if not block.file:
            command = [sys.executable, "-W", "error", "-c", block.code]
            yield subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)


def test_there_is_an_example_for_each_kind_of_thing():
    assert len(SECTIONS) == 6


@pytest.mark.parametrize("section", EXAMPLES)
def test_an_example_works(section, tmp_path):
    results = list(tried(section, tmp_path))
    assert results
    for result in results:
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(("section", "block"), CHANGES, ids=[f"{s}, {b.file}" for s, b in CHANGES])
def test_an_example_has_nothing_superfluous(section, block, tmp_path):
    """Without any one of its changes it does not work."""
    assert any(result.returncode for result in tried(section, tmp_path, without=block))
