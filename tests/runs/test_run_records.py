"""Reading a run folder: lines of the logs, images, and the newest good checkpoint."""

import os
import sys

import numpy as np
import pytest

from minigan.gan.step import METRICS, build_gan
from minigan.runs import checkpoint, run_records
from minigan.runs.config import RunConfig, to_json
from minigan.runs.layout import (
    CONFIG_NAME,
    CSV_NAME,
    EVALUATION_NAME,
    LOG_NAME,
    METRICS_NAME,
    SPEED_NAME,
    SUMMARY_NAMES,
    VITALS_NAME,
)
from minigan.system.errors import UserError

CONFIG = RunConfig(image_size=32, width=1)
ROW = "7,0.5,0.25,2,0.75,0.125,1\n"


@pytest.fixture
def run(tmp_path):
    """A run folder with two checkpoints; the weights of the second are those of the first plus one."""
    folder, gan = tmp_path / "run", build_gan(image_size=32, width=1)
    (folder / "checkpoints").mkdir(parents=True)
    for step in (2, 4):
        checkpoint.save_checkpoint(folder / "checkpoints", gan, step=step, image_size=32, width=1)
        gan.generator.params()["0.kernel"][...] += 1
    (folder / CONFIG_NAME).write_text(to_json(CONFIG, {"a fact": 1}), encoding="utf-8")
    return folder


def newest(run):
    return checkpoint.list_checkpoints(run / "checkpoints")[0][1]


# ---- Settings and checkpoints ----


def test_settings_are_read(run):
    assert run_records.open_config(run) == (CONFIG, {"a fact": 1})


def test_what_is_no_run_folder(run, tmp_path):
    with pytest.raises(UserError, match=r"no such run folder: .*nowhere"):
        run_records.open_config(tmp_path / "nowhere")
    with pytest.raises(UserError, match=f"is no run folder: it has no {CONFIG_NAME}"):
        run_records.open_config(tmp_path)


def test_the_newest_good_checkpoint_is_loaded(run):
    gan, first = build_gan(image_size=32, width=1), build_gan(image_size=32, width=1).generator.params()["0.kernel"]
    assert run_records.newest_step(run) == 4
    assert run_records.load_newest(run, CONFIG, gan) == (4, [])
    np.testing.assert_array_equal(gan.generator.params()["0.kernel"], first + 1)
    broken = newest(run)
    broken.write_bytes(broken.read_bytes()[:-1])
    step, ((path, reason),) = run_records.load_newest(run, CONFIG, gan)
    assert (step, path) == (2, broken)
    assert broken.name in reason
    np.testing.assert_array_equal(gan.generator.params()["0.kernel"], first)
    run_records.expect_checkpoint(run, CONFIG)


def test_without_a_good_checkpoint(run):
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(b"")
    for read in (
        lambda: run_records.expect_checkpoint(run, CONFIG),
        lambda: run_records.load_newest(run, CONFIG, build_gan(image_size=32, width=1)),
    ):
        with pytest.raises(
            UserError, match=r"no checkpoint in .* is readable: step-00000\d.safetensors cannot be read"
        ):
            read()
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    assert run_records.newest_step(run) == 0


def test_a_checkpoint_of_networks_of_another_size_is_no_damage(run):
    with pytest.raises(UserError, match="but this run has image size 32 and width 2"):
        run_records.expect_checkpoint(run, RunConfig(image_size=32, width=2))


def test_a_run_is_finished_when_nothing_is_missing(run):
    assert run_records.finished_steps(run, CONFIG) is None
    for name in SUMMARY_NAMES:
        (run / name).touch()
    assert run_records.finished_steps(run, CONFIG) == 4
    (run / ".minigan-x.tmp").touch()
    assert run_records.finished_steps(run, CONFIG) is None
    (run / ".minigan-x.tmp").unlink()
    data = newest(run).read_bytes()
    newest(run).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert run_records.finished_steps(run, CONFIG) is None


# ---- Logs ----


@pytest.mark.parametrize(
    ("name", "line", "step"),
    [
        (LOG_NAME, "Step: 12 Disc: real loss: 0.5 fake loss: 0.5 training time: 1, GAN loss: 2.0\n", 12),
        (CSV_NAME, ROW, 7),
        (SPEED_NAME, "0,5,1.250\n", 4),
        (VITALS_NAME, '{"step": 25, "g_move": 1e-4}\n', 25),
    ],
)
def test_the_step_of_a_line(name, line, step):
    assert run_records.step_of_line(name, line) == step
    for damaged in (line[:-1], line[: len(line) // 2] + "\n", "\n", ""):
        assert run_records.step_of_line(name, damaged) is None


@pytest.mark.parametrize("line", ["[1]\n", '{"step": true}\n', '{"step": -1}\n', '{"step": 1.0}\n', '{"steps": 1}\n'])
def test_json_without_a_step_is_passed_over(tmp_path, line):
    (tmp_path / VITALS_NAME).write_text(line + '{"step": 3}\n' + line, encoding="utf-8")
    assert run_records.read_rows(tmp_path, VITALS_NAME) == [{"step": 3}]


def test_measurements_of_two_files(tmp_path):
    (tmp_path / METRICS_NAME).write_text(
        '{"step": 499, "measures": {"swd": {"value": 2}}}\n{"step": 9}\n', encoding="utf-8"
    )
    (tmp_path / EVALUATION_NAME).write_text('{"step": 100, "measures": {}}', encoding="utf-8")
    assert run_records.read_measurements(tmp_path) == [
        {"step": 100, "measures": {}},
        {"step": 500, "measures": {"swd": {"value": 2}}},
    ]


@pytest.mark.parametrize(
    "row", ['{"step": 5, "measures": {"swd": {"value": 1%s}}}' % ("0" * 30), "[]", "{", "[" * 99_999]
)
def test_an_evaluation_that_cannot_be_used_is_passed_over(tmp_path, row):
    (tmp_path / EVALUATION_NAME).write_text(row, encoding="utf-8")
    assert run_records.read_measurements(tmp_path) == []


def test_history_and_speed(tmp_path):
    steps, values = run_records.read_history(tmp_path)
    assert (steps.shape, values.shape, run_records.read_speed(tmp_path)) == ((0,), (0, 6), [])
    (tmp_path / CSV_NAME).write_text(",".join(("step", *METRICS)) + "\n" + ROW + "8,1,2\n" + "9,nan,inf,1,1,1,1\n")
    (tmp_path / SPEED_NAME).write_text("0,5,1.250\n5,9,2\n5,9,2.000\n")
    steps, values = run_records.read_history(tmp_path)
    assert (steps.tolist(), steps.dtype) == ([7, 9], np.int64)
    assert values[0].tolist() == [0.5, 0.25, 2, 0.75, 0.125, 1]
    assert np.isnan(values[1, 0])
    assert run_records.read_speed(tmp_path) == [(0, 5, 1.25), (5, 9, 2.0)]


def test_lines_keep_their_ends_and_wrong_bytes_are_replaced(tmp_path):
    (tmp_path / "x").write_bytes(b"a\r\nb\xff\nc")
    assert run_records.read_lines(tmp_path / "x") == ["a\r\n", "b\ufffd\n", "c"]
    assert run_records.read_lines(tmp_path / "y") == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_pipe_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "log.csv")
    with pytest.raises(OSError, match=r"log\.csv is not a file"):
        run_records.read_lines(tmp_path / "log.csv")


def test_images_in_order_of_their_steps(tmp_path):
    assert run_records.list_images(tmp_path, fixed=True) == []
    images = tmp_path / "images"
    for name in ("10000fixed_image.png", "0050fixed_image.png", "0050_image.png", "fixed_image.png", "0000_image.txt"):
        (images / name).parent.mkdir(exist_ok=True)
        (images / name).touch()
    (images / "0001fixed_image.png").mkdir()
    fixed, shown = (run_records.list_images(tmp_path, fixed=fixed) for fixed in (True, False))
    assert fixed == [(50, images / "0050fixed_image.png"), (10000, images / "10000fixed_image.png")]
    assert shown == [(50, images / "0050_image.png")]
