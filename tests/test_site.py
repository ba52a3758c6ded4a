"""The documentation site: where its links lead, and what becomes of a lesson. `make docs` makes the whole of it."""

import sys

import pytest
from places import ROOT

sys.path.insert(0, str(ROOT / "docs" / "site"))
import make_site

MODULES = {"minigan/nn/conv.py": "api/minigan.nn.conv.md", "minigan/nn/__init__.py": "api/minigan.nn.md"}
PAGES = {"README.md", "docs/check.md", "lessons/README.md", "lessons/runs/README.md"}


@pytest.fixture
def links(monkeypatch, tmp_path):
    monkeypatch.setattr(make_site, "PAGES", tmp_path)
    return make_site.Links(PAGES, MODULES, None)


@pytest.mark.parametrize(
    ("page", "link", "mended"),
    [
        ("README.md", "[a](docs/check.md#codes)", "[a](docs/check.md#codes)"),
        ("docs/check.md", "[a](../README.md)", "[a](../README.md)"),
        ("docs/check.md", "[`conv`](../minigan/nn/conv.py)", "[`conv`](../api/minigan.nn.conv.md)"),
        ("README.md", "[`nn`](minigan/nn)", "[`nn`](api/minigan.nn.md)"),
        ("README.md", "[`kernels`](minigan/fast/cuda/kernels.cu)", "`kernels`"),
        ("README.md", "[all](minigan)", "[all](api/index.md)"),
        ("README.md", "[lessons](lessons)", "[lessons](lessons/README.md)"),
        (
            "lessons/README.md",
            "[2](solutions/02_slope_of_a_program.ipynb)",
            "[2](02_slope_of_a_program.md)",
        ),
        ("README.md", "[web](https://a.b/c)", "[web](https://a.b/c)"),
        ("README.md", "[here](#read-the-code)", "[here](#read-the-code)"),
        ("README.md", "`[a](none.md)`", "`[a](none.md)`"),
        ("README.md", "```\n[a](none.md)\n```", "```\n[a](none.md)\n```"),
    ],
)
def test_links(links, page, link, mended):
    assert links.mended(link, page) == mended
    assert not links.broken


def test_images_are_taken_along(links):
    text = "![faces](docs/pictures/drawn-faces.png)"
    assert links.mended(text, "README.md") == text
    assert links.files == {"docs/pictures/drawn-faces.png"}


@pytest.mark.parametrize("target", ["none.md", "docs/none.png", "../other/README.md"])
def test_a_link_that_leads_nowhere_is_told(links, target):
    links.mended(f"[a]({target})", "README.md")
    assert links.broken == {f"README.md: there is no {target}"}


def test_a_file_without_a_page_is_shown_where_the_repository_is(links):
    links.address = "https://example.org/minigan/blob/main/"
    assert (
        links.mended("[make](../Makefile)", "docs/check.md") == "[make](https://example.org/minigan/blob/main/Makefile)"
    )


def test_no_link_of_the_repository_leads_nowhere(links):
    links.pages = {*make_site.markdown_files()}
    for path in links.pages:
        links.mended((ROOT / path).read_text(encoding="utf-8"), path)
    assert not links.broken


def test_a_lesson_keeps_what_it_printed_and_drew(monkeypatch, tmp_path):
    monkeypatch.setattr(make_site, "PAGES", tmp_path)
    cells = [
        {"cell_type": "markdown", "source": "# Lesson 1"},
        {
            "cell_type": "code",
            "source": "print(1)",
            "outputs": [
                {"output_type": "stream", "text": "1\n```\n"},
                {
                    "output_type": "display_data",
                    "data": {"image/png": "iVBO", "text/plain": "[a]"},
                    "metadata": {"image/png": {"alt": "a [b] c"}},
                },
            ],
        },
        {"cell_type": "code", "source": "# Find minigan: ...", "outputs": []},
    ]
    text = make_site.lesson_text({"cells": cells}, "lessons/solutions/01_a.ipynb")
    assert "````text\n1\n```\n````" in text
    assert "![a  b  c](01_a/1-1.png)" in text
    assert (tmp_path / "lessons" / "01_a" / "1-1.png").read_bytes() == b"\x89PN"
    assert "<summary>" in text


def test_every_module_has_a_page_in_a_room():
    modules = make_site.module_pages()
    assert "api/minigan.nn.conv.md" in modules
    rooms = make_site.by_room(modules)
    assert sorted(page for pages in rooms.values() for page in pages) == sorted(modules)
    assert "api/minigan.train.md" in rooms["minigan"]
    assert "api/minigan.nn.ops.table.md" in rooms["nn"]
