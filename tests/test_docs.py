"""Documents say what the code says."""

import re
from pathlib import Path

import pytest
from places import ROOT, TESTS

from minigan.check.codes import CODES
from minigan.check.exercise_table import EXERCISES
from minigan.fast.cpu.cpu_overlay import GROUPS

DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "lessons").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
        *(ROOT / "minigan").rglob("*.md"),
    ]
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_a_link_with_a_file_name_leads_to_that_file(path):
    text = path.read_text(encoding="utf-8")
    for name, target in re.findall(r"\[`([\w./]+\.(?:py|cu))`\]\(([^)#]+)\)", text):
        assert target.endswith(name), f"{name}: {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_tests_that_a_document_names_exist(path):
    tests = {file.name for file in TESTS.rglob("test_*.py")}
    assert set(re.findall(r"\btest_\w+\.py\b", path.read_text(encoding="utf-8"))) <= tests


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_no_placeholders(path):
    assert not re.search(r"[A-Z]{3,}LINE|TODO|FIXME|XXX", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_to_headings_lead_somewhere(path):
    """A heading is linked by its words in small letters, with hyphens."""
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", path.read_text(encoding="utf-8")):
        text = (path.parent / target if target else path).read_text(encoding="utf-8")
        text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        headings = [re.sub(r"[^\w -]", "", line.lower()) for line in re.findall(r"^#+ (.*)", text, re.M)]
        assert anchor in {heading.replace(" ", "-") for heading in headings}, f"{target}#{anchor}"


def test_every_record_is_in_the_index():
    records = ROOT / "docs" / "runs"
    index = (records / "README.md").read_text(encoding="utf-8")
    linked = {target.split("/")[0] for target in re.findall(r"\]\(([^)#]+)", index)}
    assert {path.name for path in records.glob("[!.]*")} - {"README.md"} <= linked


README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_says_how_long_the_first_list_is():
    section = README.split("## Read the code\n")[1]
    files = re.findall(r"\]\((minigan/[\w/]+\.py)\)", section.split("|---|---|\n")[1].split("\n\n")[0])
    assert len(files) == 15
    lines = sum(len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in files)
    (said,) = re.findall(r"they are about ([\d,]+) lines", section)
    assert abs(int(said.replace(",", "")) - lines) <= 100, lines


@pytest.mark.parametrize(
    ("row", "measured"),
    [
        (
            "a training step of 64 images, the article's",
            r"minigan takes \*\*([\d.]+) times\*\* .* of the others, (\w+)",
        ),
        ("of 16 images", r"^\| batch 16, width 64, 64x64 \| [^|]+ \| (\w+)[^|]* \| [^|]+ \| \*\*([\d.]+)\*\*"),
        ("of 8 images", r"^\| batch 8, width 64, 64x64 \| [^|]+ \| (\w+)[^|]* \| [^|]+ \| \*\*([\d.]+)\*\*"),
        ("drawing one face", r"^\| 1 image, (PyTorch)[^|]* \| [^|]+ \| \*\*([\d.]+)\*\*"),
        ("drawing a thousand faces", r"^\| 1,000 images, (PyTorch)[^|]* \| [^|]+ \| \*\*([\d.]+)\*\*"),
    ],
)
def test_the_readme_says_what_was_measured(row, measured):
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    found = re.search(measured, results, re.M)
    said = re.search(rf"^  \| {re.escape(row)} \| ([\d.]+) times \| (\w+) \|$", README, re.M)
    assert found
    assert said
    assert set(said.groups()) == set(found.groups())


def test_every_group_of_fast_versions_has_its_place_in_the_story():
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert set(re.findall(r'"([^"]+)"', " ".join(re.findall(r"^## \d.*", text, re.M)))) == set(GROUPS)


def test_every_code_and_exercise_is_documented():
    text = (ROOT / "docs" / "check.md").read_text(encoding="utf-8")
    for code, meaning in CODES.items():
        assert f"| {code} | {meaning} |" in text
    for exercise in EXERCISES.values():
        for function in exercise.functions:
            assert f"`{function}`" in text


def test_messages_and_troubleshooting_name_each_other():
    """Every message that points to an entry of the page finds it there, and every entry has a message."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    entries = re.findall(r"^### (.+)$", page, re.MULTILINE)
    named = set()
    for folder in ("minigan", "lessons"):
        for file in (ROOT / folder).rglob("*.py"):
            named |= set(re.findall(r"""\bsee\(["']([^"']*)["']\)""", file.read_text(encoding="utf-8")))
    assert sorted(named) == sorted(entries)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", entry) for entry in entries)  # so a heading is its own anchor
    for entry in re.findall(r"troubleshooting\.md#([\w-]+)", "".join(p.read_text(encoding="utf-8") for p in DOCUMENTS)):
        assert entry in entries


def test_functions_named_in_the_article_exist():
    """docs/article.md names functions as `module.name`; the modules have them."""
    import importlib

    text = (ROOT / "docs" / "article.md").read_text(encoding="utf-8")
    house = ROOT / "minigan"
    places = {p.stem: p.relative_to(ROOT).with_suffix("") for p in house.rglob("*.py") if p.stem != "__init__"}
    places["gan"] = Path("minigan/gan")  # the package hands out what its step.py has
    places["ops"] = Path("minigan/nn/ops")  # and this one what its modules have
    modules = "models|layers|ops|losses|initializers|optimizers|gan|run_images|plots|checkpoint"
    names = set(re.findall(rf"`((?:{modules})\.\w+)`", text))
    assert len(names) > 15
    for name in names:
        module, attribute = name.split(".")
        if attribute == "py" or name in ("gan.compile", "gan.train_on_batch"):  # a file; the article's own words
            continue
        assert hasattr(importlib.import_module(".".join(places[module].parts)), attribute), name
