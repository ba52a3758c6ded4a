"""The report on a prepared data set."""

from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigan.data.prepare.data_card import DataCardFacts
from minigan.data.prepare.preparation_report import report_html
from minigan.data.prepare.prepared_file import Settings
from minigan.data.prepare.tally import DROPPED_SAMPLES, EXAMPLES, KEPT_SAMPLES, KINDS, Tally
from minigan.system.command_lines import command

HOSTILE = "<b>&\"'{{ 7 * 7 }}{% raw %}\u202e.png"
SHOWN = "<b>&\"'{{ 7 * 7 }}{% raw %}\N{REPLACEMENT CHARACTER}.png"


class Parts(HTMLParser):
    """Tags with their attributes, and all words outside of style and script."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words, self._open = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._open = [tag]

    def handle_data(self, data):
        if self._open not in (["style"], ["script"]):
            self.words.append(data)

    def text(self):
        return " ".join("".join(self.words).split())


def facts(**changes):
    values = {
        "name": "faces",
        "source": "drawings",
        "is_archive": False,
        "settings": Settings(),
        "cascade": "",
        "cascade_sha256": "",
        "command": "python -m minigan.prepare drawings faces",
        "started": datetime(2024, 3, 5, 7, 8, 9),
        "seconds": 12.0,
        "versions": {"minigan": "1", "python": "3"},
    }
    return DataCardFacts(**{**values, **changes})


def pixels(seed, size=64):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)


def report_page(tmp_path, tally, **changes):
    for number in range(2):
        Image.fromarray(pixels(number)).save(tmp_path / f"{number:06}.png")
    return report_html(tally, facts(**changes), tmp_path)


def report(tmp_path, tally, **changes):
    return Parts(report_page(tmp_path, tally, **changes))


def tally_of(kept=2, size=64):
    tally = Tally(size)
    for number in range(kept):
        tally.keep(f"face{number}.png", pixels(number, size), 100, 90, 90.0)
    return tally


def test_every_kind_of_loss_has_a_section_a_colour_and_a_link_to_it(tmp_path):
    tally = tally_of()
    for number, kind in enumerate(KINDS):
        tally.drop(f"{kind}.png", kind, f"because of {kind}", pixels(number), twin=1)
    page = report(tmp_path, tally)
    anchors = [attributes["id"] for tag, attributes in page.tags if tag == "h2" and "id" in attributes]
    assert anchors == ["kept", *(kind.replace(" ", "-") for kind in KINDS)]
    assert [a["href"] for tag, a in page.tags if tag == "a"] == [f"#{anchor}" for anchor in anchors]
    for kind, words in KINDS.items():
        assert f"Dropped: {words} 1 " in page.text()
        assert f"because of {kind}" in page.text()
    assert len([tag for tag, _ in page.tags if tag == "img"]) == 2 + len(KINDS) + 1 + 1  # a twin, and the average


def test_names_settings_and_versions_are_words_and_never_markup(tmp_path):
    tally = tally_of(0)
    tally.keep(HOSTILE, pixels(0), 100, 90, 90.0)
    tally.drop(HOSTILE, "grey", HOSTILE, pixels(1))
    page = report(
        tmp_path,
        tally,
        name=HOSTILE,
        source=HOSTILE,
        cascade=HOSTILE,
        cascade_sha256="00",
        command=HOSTILE,
        versions={HOSTILE: HOSTILE},
    )
    escapes = HOSTILE.replace("\u202e", "\\u202e")  # of a file: `Tally` makes these names printable
    text = page.text()
    assert text.count(SHOWN) == 8  # title, heading, source, reason, cascade, command, versions (2)
    assert command("minigan.train", "--data", Path(HOSTILE)) in text  # every byte as it is, for the shell
    assert text.count(escapes) == 1
    assert [a["alt"] for tag, a in page.tags if tag == "img"] == [
        f"000000.png, from {escapes}",
        escapes,
        "mean of all images",
    ]
    assert {tag for tag, _ in page.tags if tag == "b"} == {"b"}
    assert len([tag for tag, _ in page.tags if tag == "b"]) == 2  # the source and the number kept


@pytest.mark.parametrize("more", [0, 1])
def test_a_part_is_said_to_be_a_part(tmp_path, more):
    tally = tally_of(KEPT_SAMPLES + more)
    for number in range(DROPPED_SAMPLES + more):
        tally.drop(f"{number}.png", "too small", "small", pixels(number))
    for number in range(EXAMPLES + more):
        tally.drop(f"bad{number}.png", "unreadable", "damaged")
    text = report(tmp_path, tally).text()
    assert ("All of them." in text) == (not more)
    assert ("Spread evenly over the whole set." in text) == bool(more)
    assert (f"Shown are {DROPPED_SAMPLES} of them." in text) == bool(more)
    assert (f"bad{EXAMPLES - 1}.png, …" in text) == bool(more)


def test_sizes_are_counted_between_bounds_and_the_enlarged_are_marked(tmp_path):
    tally = Tally(64)
    for side in (20, 40, 100, 5000):
        tally.keep("x.png", pixels(0), side, side, float(side))
    page = report(tmp_path, tally)
    text = page.text()
    assert "Smaller than 64 pixels, and so enlarged: 2 squares." in text
    assert "0–31" in text
    assert "2048 and more" in text
    assert len([1 for tag, a in page.tags if tag == "tr" and a.get("class") == "marked"]) == 3  # below 32, 48 and 64


def test_long_names_lose_their_middle_and_the_command_is_kept_in_the_record(tmp_path):
    path = "/" + "longfolder/" * 300
    text = report(
        tmp_path, tally_of(), name="n" * 250, source=path, command=f"python -m minigan.prepare {path} x"
    ).text()
    assert len(text) < 3000
    assert "n" * 121 not in text.split("Next", 1)[0]
    assert "(in full in report.json)" in text


@pytest.mark.parametrize("name", ["my faces", "-faces", "it's", "$(id)"])
def test_the_command_to_train_can_be_copied(tmp_path, name):
    text = report(tmp_path, tally_of(size=32), name=name).text()
    assert command("minigan.train", "--data", Path(name), "--image-size", 32) in text
