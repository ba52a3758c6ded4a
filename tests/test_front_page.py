"""The front page, and its Russian sister: commands that there are, numbers that were measured, two pages in step."""

import json
import re

import pytest
from places import ROOT

from minigan.__main__ import COMMANDS

ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
RUSSIAN = (ROOT / "README.ru.md").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def blocks(page):
    """What stands in the blocks of code."""
    return re.findall(r"^```\w*\n(.*?)^```$", page, re.M | re.S)


def spans(page):
    """What stands between single backticks outside the blocks, sorted: other languages turn sentences round."""
    return sorted(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S)))


def prose(page):
    """The page without code, links' targets, and names with digits."""
    page = re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S)
    return re.sub(r"\]\([^)]*\)|`[^`]*`|arXiv:\S+", "", page)
    return page


def numbers(page):
    """All numbers of the prose, sorted: 2,500 and 2 500 and 2500 are one."""
    joined = re.sub(r"(?<=\d)[,\u00a0 ](?=\d{3}\b)", "", prose(page))
    return sorted(re.findall(r"\d+(?:\.\d+)*", joined))


def test_commands_are_there():
    text = "\n".join(blocks(ENGLISH) + spans(ENGLISH))
    assert set(re.findall(r"\bmake ([a-z-]+)", text)) <= TARGETS
    assert set(re.findall(r"\bminigan[ .]([a-z_]+)", text)) <= set(COMMANDS) | {"check"}


def test_all_commands_are_named():
    table = ENGLISH.split("## Use\n")[1].split("\n## ")[0]
    assert {name for name in COMMANDS if f"{name}`" not in table} <= {"data", "import_keras"}


def test_two_screens_before_learn():
    """A screen is some 45 lines of 100 letters, and an image takes 20 of them."""
    before = ENGLISH.split("\n## Learn\n")[0]
    lines = sum(max(1, -(-len(line) // 100)) for line in before.splitlines())
    assert lines + 19 * before.count("![") <= 90


@pytest.mark.parametrize(
    ("said", "where", "measured"),
    [
        (r"about ([\d,]+)\nlines that you can", "README.md", r"they are about\s([\d,]+) lines"),
        (r"Keras (2\.2\.4) on TensorFlow", "docs/article.md", r"Keras (2\.2\.4)"),
        (r"PyTorch (2\.13) \(channels_last", "benchmarks/RESULTS.md", r"torch (2\.13)\."),
    ],
)
def test_a_number_stands_where_it_comes_from(said, where, measured):
    (here,) = set(re.findall(said, ENGLISH))
    assert here in re.findall(measured, (ROOT / where).read_text(encoding="utf-8"))


def test_the_quick_preset_takes_as_long_as_was_measured():
    record = (ROOT / "docs" / "runs" / "2026-11-28-quick.md").read_text(encoding="utf-8")
    minutes, seconds = map(int, re.search(r"\| time \| (\d+) min (\d+) s", record).groups())
    (said,) = re.findall(r"in about (\w+) minutes on two", ENGLISH)
    assert ("three", "four", "five").index(said) + 3 == round(minutes + seconds / 60)


def test_the_course_takes_as_long_as_its_lessons():
    table = (ROOT / "lessons" / "README.md").read_text(encoding="utf-8").split("## The map")[1]
    times = re.findall(r"\| (\d)([½¼¾]?) h \|", table)
    assert len(times) == 14
    hours = sum(int(whole) + {"": 0, "½": 0.5, "¼": 0.25, "¾": 0.75}[part] for whole, part in times)
    assert "about thirty hours" in ENGLISH
    assert abs(hours - 30) < 2


def test_the_faces_are_of_the_generator_that_comes_along():
    settings = json.loads((ROOT / "minigan" / "pretrained" / "config.json").read_text(encoding="utf-8"))["settings"]
    assert f"after {settings['steps']:,} steps" in ENGLISH


def test_a_full_run_takes_as_long_as_was_measured():
    records = [path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "runs").glob("*/README.md")]
    hours = [float(found[1]) for record in records if (found := re.search(r"\| time \| ([\d.]+) hours", record))]
    assert "10,000 steps take one to two and a half hours" in ENGLISH
    assert 1 <= min(hours) <= max(hours) <= 2.5


# ------------------------------------------------------------------------------------------------------------- Russian


def test_both_have_the_same_headings():
    levels = [
        re.findall(r"^(#+) ", re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S), re.M) for page in (ENGLISH, RUSSIAN)
    ]
    assert levels[0] == levels[1]


def test_both_have_the_same_code():
    assert blocks(ENGLISH) == blocks(RUSSIAN)
    assert set(spans(ENGLISH)) == set(spans(RUSSIAN))


def test_both_have_the_same_links_and_images():
    found = [set(re.findall(r"\]\(([^)#\s]+)", page)) - {"README.md", "README.ru.md"} for page in (ENGLISH, RUSSIAN)]
    assert found[0] == found[1]


def test_both_have_the_same_numbers():
    assert numbers(ENGLISH) == numbers(RUSSIAN)


def test_the_russian_page_is_in_russian():
    letters = re.sub(r"`[^`]*`|[\W\d_]", "", prose(RUSSIAN))
    assert len(re.findall("[а-яё]", letters, re.I)) > 0.75 * len(letters)


def test_each_page_links_to_the_other():
    assert "(README.ru.md)" in ENGLISH
    assert "(README.md)" in RUSSIAN
