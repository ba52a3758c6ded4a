"""report.html: what is on it, whatever is missing; safe whatever a name says; small however long the run."""

import base64
import errno
import hashlib
import itertools
import json
import re
import shlex
import shutil
import signal
from collections import Counter
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser

import jinja2
import numpy as np
import pytest
from PIL import Image

from minigan import report, train
from minigan.check.reports.heat_maps import luminance
from minigan.evaluation import run_report
from minigan.evaluation.diagnosis import band_of, diagnose_run
from minigan.gan.step import METRICS
from minigan.pages import html, plots, svg
from minigan.runs.config import PRESETS, read_config, to_json
from minigan.runs.run_records import read_history, read_speed
from minigan.system import atomic_files
from minigan.system.cli import run_command
from minigan.system.lock import FolderLock
from minigan.system.wording import see
from minigan.training import ranks, trainer

VOID = frozenset({"meta", "link", "img", "input", "path", "rect", "line", "br"})
EVIL = "<img src=x onerror=alert(1)>'\"&</script><script>alert(2)</script>"

SESSION = {
    "started": "2026-03-12T14:05:00+01:00",
    "from_step": 0,
    "backend": "numpy",
    "device": "CPU",
    "versions": {"minigan": "0.1.0", "numpy": "2.4.6"},
    "machine": {"system": "Linux", "cores": 2},
}


class Tree(HTMLParser):
    """Checks that tags balance; collects ids, links, headings, elements and the text outside of style and script."""

    def __init__(self, words):
        super().__init__()
        self.stack, self.ids, self.elements, self.words = [], [], [], []
        self.feed(words)
        self.close()
        assert self.stack == []

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def metrics(steps, seed=0):
    """Plausible rows of log.csv."""
    rng = np.random.default_rng(seed)
    losses = [rng.lognormal(np.log(m), 0.2, steps) for m in (0.38, 0.39, 2.5)]
    return np.stack([*losses, rng.uniform(0.8, 0.95, steps), rng.uniform(0.1, 0.2, steps), np.ones(steps)], axis=1)


def write_log(folder, rows):
    lines = [f"{step}," + ",".join(f"{v:.9g}" for v in row) for step, row in enumerate(rows)]
    (folder / "log.csv").write_text("\n".join([",".join(("step", *METRICS)), *lines]) + "\n")


def make_run(folder, *, steps=60, done=60, every=20, about=None, **settings):
    """A folder such as a run of small images leaves, without having trained."""
    small = {"steps": steps, "image_size": 32, "width": 2, "sample_every": every, "save_every": 2 * every}
    config = replace(PRESETS["quick"], **{"ema": 0.0, "g_learning_rate": 1.5e-4, **small, **settings})
    for name in ("images", "models", "checkpoints"):
        (folder / name).mkdir(parents=True)
    facts = {"images": {"source": "drawn faces", "count": 4000, "fingerprint": "0" * 64}, "sessions": [SESSION]}
    (folder / "config.json").write_text(to_json(config, facts if about is None else about), encoding="utf-8")
    write_log(folder, metrics(done))
    rng = np.random.default_rng(1)
    for step in {*range(0, done, every), *range(2 * every - 1, done, 2 * every)}:
        shade = np.full((16, 32, 32, 3), 255 * step // max(done, 1), np.uint8)
        plots.save_grid(folder / "images" / f"{step:04d}fixed_image.png", shade, columns=4)
    for step in range(0, done, every):
        noise = rng.integers(0, 256, (16, 32, 32, 3), np.uint8)
        plots.save_grid(folder / "images" / f"{step:04d}_image.png", noise, columns=4)
    plots.save_grid(folder / "faces.png", rng.integers(0, 256, (64, 32, 32, 3), np.uint8))
    (folder / "checkpoints" / f"step-{done:06d}.safetensors").touch()
    spans = [(k, min(k + every, done)) for k in range(0, done, every)]
    (folder / "speed.csv").write_text("".join(f"{a},{b},{(b - a) / 4:.3f}\n" for a, b in spans))
    return folder


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "my run")


def write(folder, state=run_report.FINISHED, words=""):
    """Write the report and return the page and its tree."""
    run_report.Report(folder).write(state, words)
    words = (folder / "report.html").read_text(encoding="utf-8")
    return words, Tree(words)


def data_of(words):
    """The numbers for the page's script, and the images of the film."""
    data, images = (
        json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', words, re.S)[1])
        for name in ("data", "pictures")
    )
    assert len(data["steps"]) == len(images)
    return {**data, "pictures": images}


def call(*arguments):
    return run_command(report.main, [str(a) for a in arguments])


# ----------------------------------------------------------------------------------------------------------- structure
@pytest.mark.parametrize("state", [run_report.RUNNING, run_report.FINISHED, run_report.STOPPED, run_report.FAILED])
def test_well_formed(run, state):
    words, tree = write(run, state)
    assert words.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert len(set(tree.ids)) == len(tree.ids)
    links = [a["href"] for a in tree.all("a")]
    assert links
    assert all(link.startswith("#") and link[1:] in tree.ids for link in links)
    for name in ("aria-labelledby", "aria-describedby", "data-of"):
        assert all(a[name] in tree.ids for _, a in tree.elements if name in a)
    headings = [int(tag[1]) for tag, _ in tree.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(headings))


def test_everything_has_a_name(run):
    _, tree = write(run, run_report.RUNNING)
    assert all(a.get("alt") for a in tree.all("img"))
    assert all(a.get("aria-label") or a.get("aria-hidden") == "true" for a in tree.all("svg"))
    assert all("aria-label" in a or a.get("id") == "follow" for a in tree.all("input"))  # follow stands in its label
    assert all("aria-label" in a for tag in ("nav", "progress") for a in tree.all(tag))
    assert all("scope" in a for a in tree.all("th"))


def test_loads_nothing_and_runs_only_its_own_script(run):
    words, tree = write(run, run_report.RUNNING)
    code = re.sub(r"data:image/jpeg;base64,[\w+/=]+", "", words)
    assert not re.search(r"https?:|[\"']//|url\(|@import|<iframe|<object|<embed|<form|<base", code)
    assert all(a[name].startswith("data:") for _, a in tree.elements for name in ("src", "srcset") if name in a)
    assert [a["href"] for a in tree.all("link")] == ["data:,"]
    assert not [name for _, a in tree.elements for name in a if name.startswith("on")]
    (policy,) = [a["content"] for a in tree.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    script = re.findall(r"<script>(.*?)</script>", words, re.S)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        "style-src 'unsafe-inline'",
        f"script-src 'sha256-{digest}'",
        "form-action 'none'",
        "base-uri 'none'",
    ]


def test_light_dark_paper_phone_and_little_motion(run):
    words, _ = write(run)
    for part in ("prefers-color-scheme:dark", "[data-theme=dark]", "@media print", "max-width:40rem", "viewport"):
        assert part in words
    assert "prefers-reduced-motion" in words
    assert "focus-visible" in words


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("k", [0, 1], ids=["light", "dark"])
def test_curves_can_be_told_apart_without_colour(k):
    colours = (run_report.LIGHT, run_report.DARK)[k]
    assert all(contrast(colours[name], colours["paper"]) >= 3 for name in ("real", "fake", "one"))
    assert contrast(colours["real"], colours["fake"]) >= 1.4
    style = (html.TEMPLATES / "run_report.css").read_text(encoding="utf-8")
    assert ".fake{--pen:var(--fake);--dash:7 4}" in style  # and one of them is dashed


# -------------------------------------------------------------------------------------------------------- what it says
def test_what_a_finished_run_says(run):
    words, tree = write(run)
    assert "my run" in tree.text
    assert "Finished All 60 steps are done, in 15 s of training." in tree.text
    assert "<title>my run · minigan</title>" in words
    assert "64 faces after 60 steps" in tree.text
    assert "0.25 s per step, 4 steps per second in all" in tree.text
    assert "4000 from drawn faces" in tree.text
    assert "2.4.6" in tree.text
    assert "60 (preset: 2,500)" in tree.text
    assert data_of(words)["refresh"] == 0
    assert "noscript" not in words


def test_what_a_running_one_says(run):
    write_log(run, metrics(45))
    words, tree = write(run, run_report.RUNNING)
    assert "45 of 60 steps; about 3.8 s left." in tree.text
    assert "<title>75 % · my run · minigan</title>" in words
    assert "Fakes of step 40" in tree.text
    assert data_of(words)["refresh"] == 10
    assert '<noscript><meta http-equiv="refresh" content="60"></noscript>' in words


def test_what_a_stopped_one_says(run):
    write_log(run, metrics(45))
    (run / "checkpoints" / "step-000060.safetensors").rename(run / "checkpoints" / "step-000040.safetensors")
    assert (
        "45 of 60 steps. The run can go on from its newest checkpoint, written after 40 steps."
        in write(run, run_report.STOPPED)[1].text
    )
    (run / "checkpoints" / "step-000040.safetensors").rename(run / "checkpoints" / "step-000045.safetensors")
    assert "45 of 60 steps. All is saved, and the run can go on." in write(run, run_report.STOPPED)[1].text
    assert "45 of 60 steps. the losses are NaN" in write(run, run_report.FAILED, "the losses are NaN")[1].text


def test_the_film_shows_each_state_of_the_generator_once(run):
    """39fixed is drawn after step 39 and 40fixed before step 40: one frame, after 40 steps."""
    words, tree = write(run)
    film = data_of(words)
    assert film["steps"] == [0, 20, 40]
    assert len(set(film["pictures"])) == 3
    (frame,) = [a for a in tree.all("img") if a.get("id") == "frame"]
    assert frame["src"] == film["pictures"][-1]
    assert frame["alt"].endswith("after 40 steps")
    (slider,) = [a for a in tree.all("input") if a.get("id") == "slider"]
    assert (slider["min"], slider["max"], slider["value"]) == ("0", "2", "2")


def test_frames_look_like_the_images(run):
    words, _ = write(run)
    for step, image in zip((0, 20, 40), data_of(words)["pictures"], strict=True):
        kind, _, encoded = image.partition(",")
        assert kind == "data:image/jpeg;base64"
        (run / "frame.jpg").write_bytes(base64.b64decode(encoded))
        with Image.open(run / "frame.jpg") as frame, Image.open(run / "images" / f"{step:04d}fixed_image.png") as whole:
            shown = np.asarray(frame).astype(int)
            drawn = np.asarray(whole.convert("RGB")).astype(int)[::2, ::2]  # every pixel was written twice each way
        assert shown.shape == drawn.shape
        assert np.abs(shown - drawn).mean() < 4


def test_numbers_are_those_of_the_log(run):
    rows = metrics(60)
    words, tree = write(run)
    steps, values = read_history(run)
    assert steps.tolist() == list(range(60))
    np.testing.assert_allclose(values, rows, rtol=1e-7)
    g, d, answers, speed = data_of(words)["charts"]
    assert g["first"] == g["last"] == list(range(60))
    for curves, names in ((g, ["g"]), (d, ["d_real", "d_fake"]), (answers, ["d_x", "d_g_z"])):
        for k, name in enumerate(names):
            column = rows[:, METRICS.index(name)]
            np.testing.assert_allclose(curves["low"][k], column, rtol=1e-3)
            np.testing.assert_allclose(curves["high"][k], column, rtol=1e-3)
            np.testing.assert_allclose(curves["median"][k], plots.running_median(column, 7), rtol=1e-3)
    assert speed["median"] == [[0.25, 0.25, 0.25]]
    first, high = np.median(rows[:10], axis=0), np.quantile(rows[:10, 0], 0.95)
    assert f"0 – 9 {first[0]:.3f} ({high:.2f})" in tree.text


def test_settings_name_what_the_run_used(tmp_path):
    for name, data in (("drawn", None), ("folder", "drawings")):
        tree = write(make_run(tmp_path / name, data=data))[1]
        assert ("--faces" in tree.text) == (data is None)
        assert "--data" in tree.text


def test_commands_name_this_folder(run, monkeypatch):
    monkeypatch.chdir(run.parent)
    run_report.Report(run.relative_to(run.parent)).write(run_report.STOPPED)
    tree = Tree((run / "report.html").read_text(encoding="utf-8"))
    for command in (["minigan.train", "--resume"], ["minigan.sample"], ["minigan.report"]):
        assert shlex.join(["python", "-m", *command, str(run)]) in tree.text
    assert "--steps 120" in write(run)[1].text  # a finished one goes further


def test_sessions(tmp_path):
    """What is as it was in the session before is not written in config.json again; what was done again counts once."""
    sessions = [SESSION, {"started": "2026-03-13T09:00:00", "from_step": 40, "device": "GPU"}]
    sessions += [{"started": "2026-03-13T10:00:00", "from_step": 20}]
    run = make_run(tmp_path / "run", about={"sessions": sessions})
    tree = write(run)[1]
    assert "2026-03-12 14:05:00 0 – 20 0.25 5 s numpy, CPU" in tree.text
    assert "2026-03-13 09:00:00 from 40 – – numpy, GPU" in tree.text
    assert "2026-03-13 10:00:00 20 – 60 0.25 10 s numpy, GPU" in tree.text


# ------------------------------------------------------------------------------------------------ diagnosis and metrics
def vitals(folder, steps=range(0, 400, 50), **changes):
    usual = {"real_low": -1, "real_high": 1, "real_spread": 0.7, "fake_spread": 0.6, "fake_stuck": 0.1}
    rows = [{"step": step, **usual, "g_move": 1e-4, "d_move": 1e-4, **changes} for step in steps]
    (folder / "vitals.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def measures(**values):
    return {name: {"value": value, "real": real, "noise": 0.5} for name, (value, real) in values.items()}


@pytest.fixture
def long_run(tmp_path):
    """400 steps: enough for a verdict."""
    run = make_run(tmp_path / "run", steps=400, done=400, every=100, image_size=64, width=32)
    vitals(run)
    return run


def test_a_normal_run(long_run):
    words, tree = write(long_run)
    assert "✓ Nothing looks wrong Compared with runs of any other configuration (" in tree.text
    (long_run / "vitals.jsonl").unlink()
    assert "The losses look normal" in write(long_run)[1].text
    assert words.count('class="card verdict') == 1


def test_too_early(run):
    assert "Too early to tell The losses are judged from step 150 on." in write(run)[1].text


def test_findings_are_told(long_run):
    vitals(long_run, g_move=0.0)
    words, tree = write(long_run)
    (finding,) = diagnose_run(long_run)
    assert f"✗ {finding.title}" in tree.text
    for label, told in (("Seen", finding.evidence), ("What to do", finding.advice)):
        assert f"{label}: {told[0].upper()}{told[1:]}".rstrip(".") in tree.text
    assert f"Compared with {finding.band}." in tree.text
    assert "Nothing looks wrong" not in tree.text
    assert 'class="card verdict bad"' in words


def test_findings_are_escaped(long_run):
    (long_run / "vitals.jsonl").write_text(json.dumps({"step": 100, "not_finite": EVIL}) + "\n", encoding="utf-8")
    _, tree = write(long_run)
    assert f"Seen: {EVIL}." in tree.text
    assert not [a for _, a in tree.elements if "onerror" in a]


def test_bands_lie_where_the_diagnosis_has_them(long_run):
    words, _ = write(long_run)
    bands = re.findall(r'<rect class="band (\w+)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', words)
    assert [kind for kind, *_ in bands] == ["one", "real", "fake"]
    normal = band_of(read_config(long_run / "config.json")[0], 400)
    ticks = [(float(y), float(v)) for y, v in re.findall(r'<text x="100%" y="([\d.]+)%">([\d.]+)</text>', words)]
    (y0, v0), (y1, v1) = ticks[0], ticks[1]
    x, y, width, height = map(float, bands[0][1:])
    low, high, bottom, top = (
        v0 + (100 * place / 240 - y0) * (v1 - v0) / (y1 - y0) for place in (y + height, y, 240, 0)
    )
    # A band that is wider than the chart ends at its edge.
    assert (low, high) == pytest.approx((max(normal.g[0], bottom), min(normal.g[1], top)), abs=0.01)
    assert high - low > 1
    assert x + width == pytest.approx(1000)
    assert x == pytest.approx(1000 * 100 / 399, abs=3)  # the losses are judged from step 100 on


def test_no_band_before_the_losses_are_judged(run):
    assert '<rect class="band' not in write(run)[0]


def test_metrics(long_run):
    rows = [
        {"step": k, "samples": 70, "measures": measures(swd=(90 - k / 10, 10), distance=(50, 80))} for k in (99, 199)
    ]
    (long_run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    words, tree = write(long_run)
    assert "70 samples after 200 steps." in tree.text
    assert "sliced Wasserstein distance 70.1 10.0 0.5 7.0 times as far" in tree.text
    charts = data_of(words)["charts"]
    assert [c["first"] for c in charts[3:5]] == [[100, 200]] * 2
    assert charts[3]["median"] == [[80.1, 70.1], [10, 10]]
    later = {"step": 400, "samples": 2000, "measures": measures(swd_64=(30, 10), swd=(31, 10), unheard_of=(1, 2))}
    (long_run / "evaluation.json").write_text(json.dumps(later), encoding="utf-8")
    words, tree = write(long_run)
    assert "2,000 samples after 400 steps." in tree.text
    assert tree.text.index("sliced Wasserstein distance 31.0") < tree.text.index("at 64x64 pixels 30.0")
    assert data_of(words)["charts"][3]["first"] == [100, 200, 400]


@pytest.mark.parametrize(("step", "shown"), [(200, "2,000 samples after 200"), (100, "1,000 samples after 200")])
def test_of_two_measurements_the_newest_networks_count(long_run, step, shown):
    """Of the same networks, that with more samples, which is `minigan.evaluate`'s, in whatever order they were made."""
    row = {"step": 199, "samples": 1000, "measures": measures(swd=(20, 10), copies=(0, 0))}
    (long_run / "metrics.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    evaluated = {
        "step": step,
        "samples": 2000,
        "measures": measures(swd=(13, 10), copies=(0.0 if step == 200 else 0.9, 0)),
    }
    (long_run / "evaluation.json").write_text(json.dumps(evaluated), encoding="utf-8")
    assert shown in write(long_run)[1].text
    assert "memorising" not in [finding.code for finding in diagnose_run(long_run)]


def test_without_metrics_it_says_how_to_measure(long_run):
    tree = write(long_run)[1]
    assert f"They have not been measured. python -m minigan.evaluate {long_run} does it" in tree.text


@pytest.mark.parametrize(
    "row",
    [
        {"step": 10},
        {"step": 10, "measures": [1]},
        {
            "step": 10,
            "measures": {"swd": 3, "distance": {"value": "x", "real": 1, "noise": 1}, EVIL: {}},
            "samples": EVIL,
        },
        {"step": 10, "measures": {"swd": {"value": 1e300, "real": None, "noise": 0}}},
        {"measures": measures(swd=(1, 2)), "step": "x"},
        [1],
    ],
)
@pytest.mark.parametrize("name", ["metrics.jsonl", "evaluation.json"])
def test_odd_metrics(long_run, name, row):
    (long_run / name).write_text(json.dumps(row) + "\n", encoding="utf-8")
    _, tree = write(long_run)
    assert "How good are the faces?" in tree.text
    assert "sliced Wasserstein distance" not in tree.text


def test_measures_below_0_are_drawn(long_run):
    """They cannot be; but a file may say so."""
    rows = [{"step": k, "samples": 70, "measures": measures(swd=(-9, 10), distance=(-5, -8))} for k in (99, 199)]
    (long_run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    _, tree = write(long_run)
    assert "How good are the faces?" in tree.text


# ------------------------------------------------------------------------------------------------------ safe from names
def evil_run(folder):
    about = {
        "images": {"source": EVIL, "count": EVIL, "fingerprint": EVIL},
        "sessions": [
            {
                **SESSION,
                "started": EVIL,
                "backend": EVIL,
                "device": EVIL,
                "versions": {EVIL: EVIL},
                "machine": {EVIL: EVIL},
            }
        ],
        EVIL: EVIL,
    }
    return make_run(folder, data=EVIL, about=about)


def test_nothing_from_outside_becomes_html(tmp_path):
    name = EVIL.replace("/", "|")  # the one letter that a folder's name cannot hold
    clean = Tree(write(make_run(tmp_path / "clean"), run_report.FAILED, "x")[0])
    words, tree = write(evil_run(tmp_path / name), run_report.FAILED, EVIL)
    tags, expected = (Counter(tag for tag, _ in t.elements) for t in (tree, clean))
    assert tags.keys() == expected.keys()
    for tag in ("script", "style", "img", "a", "button", "input", "svg", "table"):
        assert tags[tag] == expected[tag], tag
    assert not [a for _, a in tree.elements if "onerror" in a]
    assert tree.text.count(EVIL) >= 8
    assert "&lt;img src=x onerror=alert(1)&gt;" in re.search("<title>(.*?)</title>", words)[1]
    assert shlex.quote(str(tmp_path / name)) in "".join(tree.words)


def poisoned(value):
    """EVIL at the end of every string in a value, whatever holds it."""
    if isinstance(value, str):
        return value + EVIL
    if isinstance(value, dict):
        return {name: poisoned(each) for name, each in value.items()}
    return type(value)(map(poisoned, value)) if isinstance(value, list | tuple) else value


@pytest.fixture
def given(monkeypatch):
    """The values that the template of the latest page was given."""
    seen, stream = {}, html.stream

    def noted(template, **values):
        seen.clear()
        seen.update(values)
        return stream(template, **values)

    monkeypatch.setattr(html, "stream", noted)
    return seen


def rich_run(folder):
    """A run with something in every part of its page."""
    run = make_run(folder, steps=400, done=400, every=100, image_size=64, width=32, ema=0.999)
    vitals(run, g_move=0.0)
    rows = [{"step": k, "samples": 70, "measures": measures(swd=(90, 10), distance=(50, 80))} for k in (99, 199)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return run


def test_no_value_becomes_html(tmp_path, given):
    """Not only those that come from outside today: the template writes none of them as it is."""
    clean = Tree(write(rich_run(tmp_path / "run"), run_report.RUNNING)[0])
    ours = {"light": given["light"], "dark": given["dark"], "facts": given["facts"]}
    words = html.render("run_report.html", **{**poisoned({k: v for k, v in given.items() if k not in ours}), **ours})
    tree = Tree(words)
    assert Counter(tag for tag, _ in tree.elements) == Counter(tag for tag, _ in clean.elements)
    assert not [a for _, a in tree.elements if "onerror" in a]
    assert words.count("&lt;img src=x onerror=alert(1)&gt;") > 200
    assert words.count(r"\u003cimg src=x onerror=alert(1)\u003e") > 4


def test_the_template_uses_every_value_and_does_without_none(tmp_path, given, long_run, run):
    names, used = set(), set()
    rich = rich_run(tmp_path / "rich")
    for folder, state in ((rich, run_report.FINISHED), (long_run, run_report.STOPPED), (run, run_report.RUNNING)):
        write(folder, state)
        values = {name: value for name, value in given.items() if name not in ("title", "light", "dark")}
        names |= values.keys()
        for name in values:
            try:
                html.render("run_report.html", title="t", **{k: v for k, v in values.items() if k != name})
            except (jinja2.UndefinedError, TypeError):  # the second where it becomes JSON
                used.add(name)
    assert used == names


def test_long_words_are_cut(tmp_path):
    run = make_run(
        tmp_path / "run", data="<" * 100_000, about={"sessions": [{**SESSION, "device": "&" * 100_000}] * 20}
    )
    words, _ = write(run, run_report.FAILED, ">" * 100_000)
    assert len(words) < 400_000


# --------------------------------------------------------------------------------------------------- small and cheap
def test_bounded_size(tmp_path):
    """A hundred thousand lines, six hundred frames of noise, which no codec makes small."""
    run = make_run(tmp_path / "run", steps=100_000, every=100, done=0, image_size=64)
    write_log(run, metrics(100_000))
    rng = np.random.default_rng(0)
    for k in range(4):
        plots.save_grid(run / f"{k}.png", rng.integers(0, 256, (16, 64, 64, 3), np.uint8), columns=4)
    for k in range(600):
        shutil.copyfile(run / f"{k % 4}.png", run / "images" / f"{k * 100:04d}fixed_image.png")
    plots.save_grid(run / "faces.png", rng.integers(0, 256, (64, 64, 64, 3), np.uint8))
    (run / "speed.csv").write_text("".join(f"{k},{k + 100},14.000\n" for k in range(0, 100_000, 100)))
    words, tree = write(run)
    assert len(words.encode()) < run_report.MAX_BYTES
    steps = data_of(words)["steps"]
    assert 15 <= len(steps) <= run_report.MAX_FRAMES
    assert (steps[0], steps[-1]) == (0, 59_900)
    gaps = np.diff(steps)
    assert (gaps[:-1] == gaps[0]).all()
    for curves in data_of(words)["charts"]:
        assert len(curves["first"]) <= svg.PLACES
    assert "All 100,000 steps" in tree.text


def test_many_small_frames(tmp_path):
    run = make_run(tmp_path / "run", steps=10_000, done=10_000, every=5_000)
    for step in range(30, 9_000, 30):
        shutil.copyfile(run / "images" / "0000fixed_image.png", run / "images" / f"{step:04d}fixed_image.png")
    words, _ = write(run)
    steps = data_of(words)["steps"]
    assert run_report.MAX_FRAMES // 2 < len(steps) <= run_report.MAX_FRAMES + 1


def test_images_are_prepared_once(run, monkeypatch):
    seen = []
    monkeypatch.setattr(run_report, "_as_data", lambda file: seen.append(file.name) or f"data:,{file.name}")
    pages = run_report.Report(run)
    pages.write(run_report.RUNNING)
    pages.write(run_report.RUNNING)
    fixed = [name for name in seen if "fixed" in name]
    assert sorted(fixed) == ["0000fixed_image.png", "0020fixed_image.png", "0040fixed_image.png"]
    plots.save_grid(run / "images" / "0020fixed_image.png", np.zeros((16, 32, 32, 3), np.uint8), columns=4)
    pages.write(run_report.RUNNING)
    assert seen.count("0020fixed_image.png") == 2


def test_due_when_it_costs_less_than_a_hundredth(run, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(run_report.time, "monotonic", lambda: now[0])
    flush = atomic_files.flush_to_disk

    def slow(path):
        now[0] += 0.5
        flush(path)

    monkeypatch.setattr(atomic_files, "flush_to_disk", slow)
    pages = run_report.Report(run)
    assert pages.is_due
    pages.write(run_report.RUNNING)
    assert not pages.is_due
    now[0] += 49.9
    assert not pages.is_due
    now[0] += 0.2
    assert pages.is_due


# ------------------------------------------------------------------------------------------------------ missing pieces
@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "folder"])
@pytest.mark.parametrize("name", ["log.csv", "speed.csv", "faces.png", "images/0020fixed_image.png"])
def test_damaged_files(run, name, damage):
    (run / name).unlink()
    if damage == "folder":
        (run / name).mkdir()
    elif damage != "missing":
        (run / name).write_bytes(b"" if damage == "empty" else b"\x00\xff,garbage\n" * 99)
    if name in ("log.csv", "speed.csv") and damage == "folder":
        with pytest.raises(OSError, match="is not a file"):
            write(run)
        return
    words, tree = write(run)
    told = {
        "log.csv": "There is no step in log.csv yet.",
        "speed.csv": "The time of this run's steps has not been recorded.",
        "faces.png": "Fakes of step 40",
        "images/0020fixed_image.png": "after 40 steps",
    }
    assert told[name] in tree.text
    assert data_of(words)["steps"] == ([0, 40] if name.startswith("images") else [0, 20, 40])
    assert "All 60 steps are done" in tree.text


@pytest.mark.parametrize("name", ["images", "models", "checkpoints"])
def test_missing_folders(run, name):
    shutil.rmtree(run / name)
    words, tree = write(run, run_report.STOPPED)
    assert "60 of 60 steps" in tree.text
    assert (data_of(words)["steps"] == []) == (name == "images")


def test_nothing_but_settings(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(to_json(PRESETS["quick"], {}), encoding="utf-8")
    _, tree = write(run, run_report.RUNNING)
    assert "0 of 2,500 steps." in tree.text
    assert "No image has been drawn yet." in tree.text


@pytest.mark.parametrize(
    "about",
    [
        {"sessions": None, "images": []},
        {"sessions": [3, None, {"from_step": "0"}, {"from_step": -1}, {"from_step": 10**400}], "images": {}},
        {"sessions": [{"from_step": 0, "versions": [], "machine": 3}], "images": {"count": {}, "source": None}},
    ],
)
def test_odd_facts(tmp_path, about):
    assert "Settings" in write(make_run(tmp_path / "run", about=about))[1].text


def test_a_log_that_somebody_has_changed(run):
    lines = (run / "log.csv").read_text().splitlines(keepends=True)
    lines[10] = "9,nan,inf,1,1,1,1\n"
    lines[20] = "3,1,1,1,1,1,1\n"  # back in time
    lines[30] = "29,1e300,1,1,1,1,1\n"
    lines[40] = "half a li\n"
    (run / "log.csv").write_text("".join(lines))
    words, _ = write(run)
    assert data_of(words)["charts"][0]["first"] == [k for k in range(60) if k not in (9, 19, 29, 39)]
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"base64,[\w+/=]+", "", words.split("<main>")[1]))


def test_an_image_too_large_is_left_out(run, monkeypatch):
    monkeypatch.setattr(run_report, "MAX_PIXELS", 100)
    words, tree = write(run)
    assert data_of(words)["steps"] == []
    assert "No image has been drawn yet." in tree.text


# ------------------------------------------------------------------------------------------------------------- writing
def test_writing_is_all_or_nothing(run, monkeypatch):
    before, _ = write(run)

    def fail(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic_files, "flush_to_disk", fail)
    with pytest.raises(OSError, match="No space"):
        write(run, run_report.STOPPED)
    assert (run / "report.html").read_text(encoding="utf-8") == before
    assert not [p for p in run.iterdir() if p.name.startswith(atomic_files.TEMPORARY_PREFIX)]


def test_command(run, capsys):
    assert call(run) == 0
    assert capsys.readouterr().out == f"{run / 'report.html'} is written; open it in a browser\n"
    assert "Finished" in (run / "report.html").read_text(encoding="utf-8")


def test_command_on_a_run_that_trains(run):
    with FolderLock(run):
        assert call(run) == 0
    assert "▸</span> Running" in (run / "report.html").read_text(encoding="utf-8")
    assert call(run) == 0  # a lock that nobody holds does not matter
    assert "✓</span> Finished" in (run / "report.html").read_text(encoding="utf-8")
    (run / "checkpoints" / "step-000060.safetensors").unlink()
    assert call(run) == 0
    assert "■</span> Stopped" in (run / "report.html").read_text(encoding="utf-8")


def test_mistakes_are_one_line(run, tmp_path, capsys, monkeypatch):
    def refused(*arguments):
        assert call(*arguments) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        return told

    assert "no such run folder" in refused(tmp_path / "nothing")
    assert "is no run folder" in refused(tmp_path)
    assert "required: RUN" in refused()
    monkeypatch.setattr(
        run_report.Report, "write", lambda *_: (_ for _ in ()).throw(PermissionError(errno.EACCES, "denied"))
    )
    assert "report.html cannot be written: denied" in refused(run)
    monkeypatch.setattr(run_report.Report, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    assert call(run) == 1
    assert capsys.readouterr().err == f"minigan: error: {run / 'report.html'} cannot be written: full{see('disk')}\n"


# ------------------------------------------------------------------------------------------------------- while training
@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for k in range(8):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{k}.png")
    return folder


def begin(images, out, *arguments):
    small = ["--image-size", 32, "--width", 2, "--batch-size", 4, "--sample-every", 2, "--save-every", 3]
    words = ["--preset", "quick", "--data", images, *small, "--out", out, *arguments]
    return run_command(train.main, [str(a) for a in words])


def chip(folder):
    return re.search(r'class="chip (\w+)"', (folder / "report.html").read_text(encoding="utf-8"))[1]


def text_of(folder):
    return Tree((folder / "report.html").read_text(encoding="utf-8")).text


@pytest.fixture
def states(monkeypatch):
    """(state, finished steps) of every report that is written, whatever it costs."""
    seen = []
    original = run_report.Report.write

    def noted(self, state, words="", history=None):
        original(self, state, words, history)
        seen.append((state, 0 if history is None else len(history[0])))

    monkeypatch.setattr(run_report.Report, "write", noted)
    monkeypatch.setattr(run_report, "COST", np.inf)
    return seen


def test_written_at_every_image_save_and_end(images, tmp_path, states):
    assert begin(images, tmp_path / "run", "--steps", 7) == 0
    running = [(run_report.RUNNING, steps) for steps in (0, 1, 3, 5, 6, 7)]
    assert states == [*running, (run_report.FINISHED, 7)]
    assert "All 7 steps are done" in text_of(tmp_path / "run")
    words = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert data_of(words)["steps"] == [0, 3, 4, 6]  # step 2 is an image's and a save's


def test_not_written_when_it_costs_too_much(images, tmp_path, states, monkeypatch):
    monkeypatch.setattr(run_report, "COST", 0.0)
    assert begin(images, tmp_path / "run", "--steps", 7) == 0
    assert states == [(run_report.RUNNING, 0), (run_report.FINISHED, 7)]


def test_stopped_and_resumed(images, tmp_path, states, monkeypatch):
    run, draw = tmp_path / "run", ranks.draw_inputs

    def press_ctrl_c(batch, seed, step, backend):
        if step == 3:
            signal.raise_signal(signal.SIGINT)
        return draw(batch, seed, step, backend)

    monkeypatch.setattr(ranks, "draw_inputs", press_ctrl_c)
    assert begin(images, run, "--steps", 8) == 130
    assert states[-1] == (run_report.STOPPED, 4)
    assert "Stopped by Ctrl-C; all is saved, and the run can go on." in text_of(run)
    monkeypatch.setattr(ranks, "draw_inputs", draw)
    with (run / "speed.csv").open("a") as file:
        file.write("4,6,1.000\n6,")  # what a process leaves that was killed
    states.clear()
    assert run_command(train.main, ["--resume", str(run)]) == 0
    assert states[0] == (run_report.RUNNING, 4)
    assert states[-1] == (run_report.FINISHED, 8)
    spans = read_speed(run)
    assert [first for first, _, _ in spans] == [0, *(last for _, last, _ in spans[:-1])]
    assert spans[-1][1] == 8
    assert all(0 <= seconds < 600 for _, _, seconds in spans)
    assert len(re.findall(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d (?:0 – 4|4 – 8) ", text_of(run))) == 2


def test_losses_that_are_nan(images, tmp_path, monkeypatch):
    run, step_of = tmp_path / "run", trainer.train_step
    calls = []

    def explode(gan, inputs, moves):
        calls.append(1)
        result = step_of(gan, inputs, moves)
        return result._replace(metrics=result.metrics * np.nan) if len(calls) == 5 else result

    monkeypatch.setattr(trainer, "train_step", explode)
    assert begin(images, run, "--steps", 8) == 3
    assert chip(run) == "failed"
    assert "the losses of step 4 are no longer finite" in text_of(run)
    assert "the checkpoint of step 3 is kept" in text_of(run)


def test_a_report_that_fails_does_not_end_the_run(images, tmp_path, monkeypatch, capsys):
    def fail(self, facts, now):
        raise ZeroDivisionError("a\nmistake")

    monkeypatch.setattr(run_report.Report, "_page", fail)
    monkeypatch.setattr(run_report, "COST", np.inf)
    assert begin(images, tmp_path / "run", "--steps", 4) == 0
    told = capsys.readouterr().err
    assert told.count("minigan: warning: report.html could not be written: a mistake\n") == 1
    assert not (tmp_path / "run" / "report.html").exists()


def test_now_is_on_the_page(run):
    words, tree = write(run)
    assert f"{datetime.now():%Y-%m-%d}" in tree.text
    assert datetime.fromisoformat(data_of(words)["written"]).tzinfo is not None
