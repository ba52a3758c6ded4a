"""minigan beside PyTorch: the statistics of the verdict, the record that grows, and that both compute the same."""

import importlib.util
import json

import measured_minigan
import numpy as np
import pytest
import quality
from measured_ranks import Size, new_images

from minigan.gan.step import METRICS, build_gan, draw_inputs, train_step
from minigan.system.cli import run_command
from minigan.system.errors import RunError

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="there is no PyTorch (extra bench)")
SIZE = {"batch_size": 4, "width": 2, "image_size": 32}


def record_of(minigan, torch, steps=1000):
    """A record with these distances of each seed at the three checkpoints."""
    seeds = {}
    for k, (own, other) in enumerate(zip(minigan, torch, strict=True)):
        seeds[str(k + 1)] = {
            "swd": {"minigan": own, "torch": other},
            "seconds": {"minigan": [0.5, 0.6], "torch": [1.0, 1.0]},
            "differences": [1e-7, 1e-5],
            "real": 8.0,
            "commit": "0123456789",
            "losses": {"minigan": [0.4, 0.4, 2.5], "torch": [0.41, 0.4, 2.5]},
        }
    images = {"source": "drawn faces (seed 0)", "count": 20000, "fingerprint": "f"}
    settings = {**SIZE, "steps": steps, "samples": 2000, "threads": None, "images": images}
    machine = {"cpu": "a processor", "cores": 2, "system": "Linux", "python": "3.11"}
    programs = {"minigan": {"numpy": "2.4", "threads": 2}, "torch": {"torch": "2.13", "threads": 1}}
    return {"settings": settings, "machine": machine, "programs": programs, "command": "python", "seeds": seeds}


# ---- The verdict ----


@pytest.mark.parametrize(
    ("differences", "mean", "reach"),
    [
        ([1.0, 2.0, 3.0], 2.0, 2.920 * 1 / 3**0.5),
        ([1.0, -1.0], 0.0, 6.314 * 2**0.5 / 2**0.5),
        ([0.0, 0.0, 4.0, 4.0], 2.0, 2.353 * (16 / 3) ** 0.5 / 2),
        ([5.0] * 10, 5.0, 0.0),
    ],
)
def test_interval_by_hand(differences, mean, reach):
    assert quality.interval(differences) == pytest.approx((mean, reach))


def test_the_table_of_t_is_students():
    """The share of Student's distribution between -t and t, by adding up its density, is 90 %."""
    for degrees, t in enumerate(quality.T_95, start=1):
        x = np.linspace(-2000, 2000, 4_000_001)
        density = (1 + x * x / degrees) ** (-(degrees + 1) / 2)
        assert density[np.abs(x) <= t].sum() / density.sum() == pytest.approx(0.9, abs=1e-3), degrees


@pytest.mark.parametrize(
    ("differences", "within", "words"),
    [
        ((-1, 0, 1), True, "Equivalent"),  # 0 +- 1.69, and the bounds are -10 and 10
        ((5, 8, 11), False, "minigan's distance is larger, by 2.9 to 13.1"),
        ((-14, -11, -8), False, "PyTorch's distance is larger, by 5.9 to 16.1"),
        ((-8, 0, 8), False, "no difference is seen, but one of 13.5 is not excluded"),
        ((9, 9, 9), True, "Equivalent"),
    ],
)
def test_verdict(differences, within, words):
    other = [[100.0] * 3] * 3
    own = [[100.0, 100.0, 100.0 + d] for d in differences]
    rows = quality.comparison(record_of(own, other))
    assert [row["step"] for row in rows] == [250, 500, 1000]
    assert [row["within"] for row in rows] == [True, True, within]
    assert rows[2]["differences"] == list(differences)
    assert words in quality.verdict(rows)
    assert quality.verdict(rows).startswith("Equivalent") == within


def test_bounds_are_a_tenth_of_pytorchs_mean():
    rows = quality.comparison(record_of([[60.0, 50.0, 40.0]] * 2, [[50.0, 50.0, 40.0], [70.0, 50.0, 40.0]]))
    assert [row["bound"] for row in rows] == [6.0, 5.0, 4.0]
    assert [row["within"] for row in rows] == [False, True, True]  # +10 and -10: the mean may be anywhere


def test_one_seed_gives_no_verdict():
    rows = quality.comparison(record_of([[1.0] * 3], [[1.0] * 3]))
    assert quality.verdict(rows) == "No verdict: that takes two seeds or more."


def test_page_and_figure(tmp_path):
    record = record_of([[60.0, 50.0, 40.5]] * 3, [[61.0, 50.0, 40.0], [60.0, 50.0, 40.0], [59.0, 50.0, 40.0]])
    words = quality.page(record)
    assert "| 1,000 | 40.5 | 40.0 | +0.5, +0.5, +0.5 | +0.5 to +0.5 | -4.0 to +4.0 | yes |" in words
    assert "Student's t for the mean of 3 paired differences" in words
    assert "minigan / PyTorch 0.55" in words
    assert "of the\nseeds 1, 2, 3." in words
    quality.draw_figure(record, tmp_path / "quality.png")
    assert (tmp_path / "quality.png").read_bytes().startswith(b"\x89PNG")


# ---- The record ----


def call(*arguments):
    return run_command(quality.main, [str(a) for a in arguments])


def test_seeds_that_are_done_are_not_done_again(tmp_path, monkeypatch, capsys):
    done = []

    def one_seed(seed, *others):
        done.append(seed)
        return record_of([[60.0, 50.0, 40.0]], [[60.0, 50.0, 40.0]])["seeds"]["1"]

    class Programs(quality.Workers):
        def start(self, peer, python="", **options):
            return None

        def start_peers(self, peers, pythons, **options):
            self.workers = []

    monkeypatch.setattr(quality, "one_seed", one_seed)
    monkeypatch.setattr(quality, "Workers", Programs)
    monkeypatch.setattr(quality, "pace", lambda record: "")
    original = quality.perform

    def perform(arguments):
        record = original(arguments)
        record["programs"] = {"minigan": {"numpy": "2", "threads": 1}, "torch": {"torch": "2", "threads": 1}}
        return record

    monkeypatch.setattr(quality, "perform", perform)
    out = tmp_path / "out"
    small = ["--image-size", 32, "--width", 2, "--batch-size", 4, "--faces", 200, "--samples", 64, "--out", out]
    assert call(*small, "--seeds", 1) == 0
    assert call(*small, "--seeds", 1, 2, 3) == 0
    assert done == [1, 2, 3]
    assert list(json.loads((out / "quality.json").read_text(encoding="utf-8"))["seeds"]) == ["1", "2", "3"]
    assert {path.name for path in out.iterdir()} == {"quality.json", "quality.md", "quality.png"}
    capsys.readouterr()
    assert call(*small, "--seeds", 4, "--steps", 500) == 2
    assert "was made with steps 1000; must be the same, got 500" in capsys.readouterr().err
    assert call(*small, "--seeds", *range(10, 18)) == 2
    assert "has 3 seeds; must be 10 at most, got 8 more" in capsys.readouterr().err
    (out / "quality.json").write_text('{"settings": 5}', encoding="utf-8")
    assert call(*small) == 2
    assert "is not a record of this script" in capsys.readouterr().err


@pytest.mark.parametrize("seeds", [[1, 1], list(range(11))])
def test_wrong_seeds(seeds, capsys):
    assert call("--seeds", *seeds) == 2
    assert "--seeds: must be 1 to 10 different numbers" in capsys.readouterr().err


def test_blocks_end_where_faces_are_measured():
    for steps in (4, 7, 20, 1000):
        turns = quality.blocks(steps)
        assert [begin for begin, _ in turns] == [0, *(end for _, end in turns[:-1])]
        assert {*quality.checkpoints(steps)} <= {end for _, end in turns}
        assert turns[-1][1] == steps
        assert all(0 < end - begin <= quality.BLOCK for begin, end in turns)


# ---- Both compute the same ----


def test_losses_that_differ_are_refused():
    losses = {"minigan": [[0.7, 0.6, 0.8]] * 5, "torch": [[0.7, 0.6, 0.8]] * 3 + [[0.7, 0.6, 0.9]] * 2}
    assert quality.compare({name: rows[:3] for name, rows in losses.items()}, 5) == [0, 0, 0]
    with pytest.raises(RunError, match="do not compute the same: losses of step 4 are"):
        quality.compare(losses, 5)
    losses["torch"][3] = losses["torch"][4] = [float("nan")] * 3
    with pytest.raises(RunError, match="step 4"):
        quality.compare(losses, 5)


@pytest.fixture
def started(tmp_path):
    """The folder from which both start: weights, a block of five steps' inputs, and noise."""
    batches = [draw_inputs(new_images(Size(**SIZE)), 3, step)._asdict() for step in range(5)]
    np.savez(tmp_path / "start.npz", **quality.weights(3, SIZE), **batches[0])
    np.savez(tmp_path / "block.npz", **{name: np.stack([b[name] for b in batches]) for name in batches[0]})
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).standard_normal((6, 1, 1, 100), np.float32))
    return tmp_path


def trained():
    gan = build_gan(image_size=32, width=2, seed=3)
    losses = [
        train_step(gan, draw_inputs(new_images(Size(**SIZE)), 3, step)).metrics[: METRICS.index("g") + 1].tolist()
        for step in range(5)
    ]
    return gan, losses


@pytest.mark.parametrize("threads", [1, 2])
def test_minigans_worker_trains_as_minigan_does(started, threads):
    program = measured_minigan.Minigan()
    program.begin(threads=threads)
    try:
        assert program.begin_run(str(started), **SIZE) == threads
        answer = program.learn(str(started))
        program.draw(str(started))
    finally:
        program.close()
        program._limits.close()
    gan, losses = trained()
    np.testing.assert_allclose(answer["losses"], losses, rtol=1e-4)
    assert answer["seconds"] > 0
    noise = np.load(started / "noise.npy")
    np.testing.assert_allclose(np.load(started / "faces.npy"), gan.generator.predict(noise), atol=2e-3)


@needs_torch
def test_pytorch_computes_the_same(started):
    import measured_torch

    program = measured_torch.Torch()
    program.begin(threads=1)
    program.begin_run(str(started), **SIZE)
    answer = program.learn(str(started))
    program.draw(str(started))
    gan, losses = trained()
    np.testing.assert_allclose(answer["losses"], losses, rtol=1e-4)
    noise = np.load(started / "noise.npy")
    np.testing.assert_allclose(np.load(started / "faces.npy"), gan.generator.predict(noise), atol=2e-3)


@needs_torch
def test_quick(tmp_path):
    assert call("--quick", "--out", tmp_path / "out", "--threads", 1) == 0
    record = json.loads((tmp_path / "out" / "quality.json").read_text(encoding="utf-8"))
    for row in record["seeds"].values():
        assert max(row["differences"]) < quality.TOLERANCE
        assert len(row["swd"]["torch"]) == len(row["swd"]["minigan"]) == 3


def test_without_pytorch(tmp_path, capsys):
    assert call("--quick", "--out", tmp_path / "out", "--torch-python", tmp_path / "none") == 2
    assert "PyTorch cannot be measured: --torch-python cannot be run" in capsys.readouterr().err
