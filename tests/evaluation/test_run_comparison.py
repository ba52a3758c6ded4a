"""Several runs on one page: what it says of them, whatever one of them lacks; and the page in a browser."""

import contextlib
import json
import re

import numpy as np
import pytest
from browser import Browser, find_chromium
from test_run_report import EVIL, Tree, make_run, write_log

from minigan import report
from minigan.evaluation import run_comparison
from minigan.evaluation.run_comparison import MOST_RUNS, write_comparison
from minigan.gan.models import generator
from minigan.runs.checkpoint import save_network
from minigan.runs.layout import model_name
from minigan.system.cli import run_command
from minigan.system.errors import UserError


def with_generator(folder, *, seed, width=2, step=60):
    """Give a run that has not trained a generator to draw with."""
    for file in (folder / "checkpoints").iterdir():
        file.unlink()
    network = generator(image_size=32, width=width, seed=seed)
    file = folder / "models" / model_name(step - 1, "GENERATOR")
    save_network(file, network, image_size=32, width=width, step=step)
    return folder


@pytest.fixture
def runs(tmp_path):
    """Three runs: two that can draw, of different lengths, and one that has only begun."""
    a = with_generator(make_run(tmp_path / "x" / "first"), seed=1)
    b = with_generator(make_run(tmp_path / "x" / "second", steps=90, done=30, seed=2, flip=True), seed=2)
    c = make_run(tmp_path / "y" / "first", steps=60, done=0, batch_size=4)
    for file in (c / "checkpoints").iterdir():
        file.unlink()
    return [a, b, c]


def write(runs, tmp_path):
    write_comparison(tmp_path / "page.html", runs)
    words = (tmp_path / "page.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', words, re.S)[1])
    return words, Tree(words), data


def test_the_page_names_every_run_so_that_they_can_be_told_apart(runs, tmp_path):
    _, tree, _ = write(runs, tmp_path)
    for name in ("x/first", "x/second", "y/first"):
        assert name in tree.text
    assert "3 runs compared" in tree.text
    assert len(tree.ids) == len(set(tree.ids))


def test_only_settings_that_differ_are_listed(runs, tmp_path):
    _, tree, _ = write(runs, tmp_path)
    table = tree.text.partition("All other settings are the same")[2]
    assert re.search(r"--batch-size 16 16 4 ", table)
    assert re.search(r"--seed 1337 2 1337 ", table)
    assert re.search(r"--flip False True False", table)
    assert "--width" not in table
    _, tree, _ = write([runs[0], with_generator(make_run(tmp_path / "same"), seed=1)], tmp_path)
    assert "These runs have the same settings" in tree.text


def test_the_curves_of_all_runs_are_in_each_chart_at_their_own_steps(runs, tmp_path):
    write_log(runs[0], np.full((60, 6), 3.0))
    write_log(runs[1], np.full((30, 6), 5.0))
    _, _, data = write(runs, tmp_path)
    assert len(data["charts"]) == 3
    for chart in data["charts"]:
        assert chart["span"] == [0, 59]
        assert chart["median"] == [[3.0] * 60, [5.0] * 30 + [None] * 30]  # the third run has no step yet


def test_faces_of_the_same_noise(runs, tmp_path, monkeypatch):
    """Equal weights draw equal grids; a run that cannot draw says why, and the others are shown."""
    twin = with_generator(make_run(tmp_path / "twin"), seed=1)
    _, tree, _ = write([runs[0], twin, *runs[1:]], tmp_path)
    images = [image["src"] for image in tree.all("img")]
    assert len(images) == 3
    assert images[0] == images[1] != images[2]
    assert tree.text.count("After 60 steps") == 3
    assert "No faces: no checkpoint in" in tree.text
    monkeypatch.setattr(run_comparison, "draw_faces", lambda *args, **options: None)
    _, tree, _ = write(runs, tmp_path)
    assert "draws NaN" in tree.text


def test_measures_stand_side_by_side(runs, tmp_path):
    measure = {"value": 20.0, "real": 5.0, "noise": 0.1}
    for run, steps, factor in ((runs[0], (19, 39), 1), (runs[1], (9,), 2)):
        rows = [
            {"step": step, "samples": 100, "measures": {"swd": {**measure, "value": factor * (100 - step)}}}
            for step in steps
        ]
        (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    _, tree, data = write(runs, tmp_path)
    assert "after 40 steps, 100 samples after 10 steps, 100 samples not measured" in tree.text
    assert "sliced Wasserstein distance 61.0 (5.0) 182.0 (5.0) –" in tree.text
    assert "Distance from real images" in tree.text
    chart = data["charts"][-1]
    assert chart["span"] == [10, 40]
    assert [v for v in chart["median"][0] if v is not None] == [81.0, 61.0]
    assert [v for v in chart["median"][1] if v is not None] == [182.0]


def test_names_and_settings_are_never_markup(tmp_path):
    name = EVIL.replace("/", "")
    a = make_run(tmp_path / name, data=EVIL)
    b = make_run(tmp_path / "b", about={"images": {"source": EVIL, "count": EVIL}, "started_from": EVIL})
    words, tree, _ = write([a, b], tmp_path)
    assert "<img src=x" not in words
    assert len(tree.all("script")) == 3
    assert "onerror" in tree.text


def test_too_few_too_many_and_twice(runs, tmp_path):
    circle = tmp_path / "circle"
    with contextlib.suppress(OSError):  # Windows allows links to few
        circle.symlink_to(circle)
    for given, words in (
        (runs[:1], "of 2 to 8 runs, got 1"),
        (runs * 3, f"of 2 to {MOST_RUNS} runs, got 9"),
        ([runs[0], runs[0].parent / "." / runs[0].name], "each run can be compared once"),
        ([runs[0], tmp_path / "missing"], "no such run folder"),
        ([runs[0], circle], "no such run folder"),
    ):
        with pytest.raises(UserError, match=words):
            write_comparison(tmp_path / "page.html", given)
    assert not (tmp_path / "page.html").exists()


def call(*arguments):
    return run_command(report.main, [str(a) for a in arguments])


def test_the_command(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call(*runs[:2]) == 0
    assert "comparison-first-second.html is written" in capsys.readouterr().out
    assert (tmp_path / "comparison-first-second.html").stat().st_size > 10_000
    (tmp_path / "mine.html").write_bytes(b"mine")
    assert call(*runs, "--out", "mine.html") == 2
    assert "--out: mine.html exists already; --force replaces it" in capsys.readouterr().err
    assert (tmp_path / "mine.html").read_bytes() == b"mine"
    assert call(*runs, "--out", "mine.html", "--force") == 0
    assert call(runs[0], "--out", "x.html") == 2
    assert "--out: is for a comparison" in capsys.readouterr().err
    assert call(*runs, "--out", "no/such/x.html") == 2
    assert capsys.readouterr().err.count("\n") == 1


# ---- In a browser ----


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = Browser(find_chromium(), tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="needs Chromium (Debian: apt-get install chromium)")
def test_in_a_browser_nothing_sticks_out_and_the_cursor_reads_all_runs(browser, runs, tmp_path):
    long = with_generator(make_run(tmp_path / ("a-long-name-" * 8)), seed=3)
    write([*runs, long], tmp_path)
    browser.emulate()
    browser.open(tmp_path / "page.html")
    assert browser.requests() == [(tmp_path / "page.html").as_uri()]
    for width in (1200, 700, 360):
        browser.emulate(width=width)
        assert browser.sticking_out(scrolling=["scroll"]) == []
    browser.evaluate("document.querySelector('.chart').focus()")
    browser.press("End", 35)
    read = browser.evaluate("Array.from(document.querySelector('.legend').querySelectorAll('b'), (b) => b.textContent)")
    assert len(read) == 3
    assert read[1] == "–"  # the second run ends earlier
    assert float(read[0].split()[0]) > 0
    assert browser.complaints() == []
