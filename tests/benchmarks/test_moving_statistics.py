"""The measurement of moving statistics: every way is measured once, and the document shows what the record says."""

import json

import moving_statistics
import numpy as np
import pytest
from PIL import Image
from places import ROOT

from minigan import train
from minigan.evaluation import metrics
from minigan.system.cli import run_command


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("statistics")
    data = folder / "data"
    data.mkdir()
    draw = np.random.default_rng(0)
    for k in range(140):
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), np.uint8)).save(data / f"{k:03}.png")
    small = ["--image-size", "32", "--width", "2", "--batch-size", "4", "--save-every", "2", "--steps", "4"]
    out = folder / "run"
    assert run_command(train.main, ["--data", str(data), *small, "--ema", "0.5", "--out", str(out)]) == 0
    return out


def call(*arguments):
    return run_command(moving_statistics.main, [str(a) for a in arguments])


def test_every_way_is_measured_once(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(metrics, "_MOST_PATCHES", 1 << 10)
    measured = []
    measure = moving_statistics.measure

    def counted(path, way, draw, yardstick):
        measured.append((path.name, way, draw))
        return measure(path, way, draw, yardstick)

    monkeypatch.setattr(moving_statistics, "measure", counted)
    monkeypatch.setattr(moving_statistics, "BATCHES", (1, 3))
    keep = tmp_path / "kept.json"
    options = [run, "--keep", keep, "--samples", 64, "--draws", 2]
    assert call(*options, "--steps", 2) == 0
    assert call(*options) == 0
    assert len(measured) == len(set(measured)) == 12  # two steps: saved, 1 and 3 batches twice each, the average
    rows = json.loads(keep.read_text(encoding="utf-8"))["rows"]
    of_2 = {(row["way"], row["draw"]): row["swd"] for row in rows if row["step"] == 2}
    assert len(set(of_2.values())) == 6
    told = capsys.readouterr().out
    assert "| step | saved | 1 batch | 3 batches | average |" in told
    assert moving_statistics.table(rows) in told
    assert call(*options, "--steps", 3) == 2
    assert "--steps: must be of 2, 4 (finished steps), got 3" in capsys.readouterr().err
    assert call(run, "--keep", keep, "--samples", 70) == 2
    assert "another number of samples" in capsys.readouterr().err
    keep.write_text("[]", encoding="utf-8")
    assert call(*options) == 2
    assert "is not a record of this script" in capsys.readouterr().err


def test_a_run_without_generators_is_refused(run, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_bytes((run / "config.json").read_bytes())
    assert call(tmp_path / "run", "--keep", tmp_path / "kept.json") == 2
    assert "has kept no generators" in capsys.readouterr().err


def test_table():
    rows = [
        {"step": 500, "way": way, "draw": draw, "swd": swd}
        for way, draw, swd in (("saved", 0, 30.0), ("10", 0, 20.0), ("10", 1, 22.0))
    ]
    assert moving_statistics.table(rows).splitlines()[2] == "| 500 | 30.0 | 21.0 (20.0, 22.0) |"


def test_the_document_shows_the_record():
    record = json.loads((ROOT / "docs" / "runs" / "2026-11-28-moving-statistics.json").read_text(encoding="utf-8"))
    assert moving_statistics.table(record["rows"]) in (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
