"""The images of a run: none of them can end a training, unless the disk is full or the run folder is gone."""

import errno
import os

import numpy as np
import pytest

from minigan.pages import plots
from minigan.runs.config import PRESETS
from minigan.runs.run_folder import Run
from minigan.training.run_images import RunImages

FACES = np.zeros((4, 8, 8, 3), np.float32)


@pytest.fixture
def run(tmp_path):
    """A run folder with one step in its history."""
    (tmp_path / "run" / "images").mkdir(parents=True)
    made = Run(tmp_path / "run", PRESETS["quick"])
    made._steps.append(0)
    made._values.extend([0.5] * 6)
    return made


def draw_all(images):
    images.save_faces(0, FACES, fixed=True)
    images.save_faces(0, FACES, fixed=False)
    images.save_summary(FACES)


def test_all_images(run, capsys):
    draw_all(RunImages(run))
    names = sorted(path.relative_to(run.path).as_posix() for path in run.path.rglob("*.*"))
    assert names == [
        "faces.gif", "faces.png", "images/0000_image.png", "images/0000fixed_image.png", "losses.png"
    ]  # fmt: skip
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "error",
    [
        ImportError("No module named 'matplotlib'"),
        ValueError("'nonsense' is not a valid value for backend"),
        MemoryError(),
        RuntimeError("latex could not be found"),
        PermissionError(errno.EACCES, os.strerror(errno.EACCES), "x"),
    ],
    ids=repr,
)
def test_an_image_that_cannot_be_drawn_costs_one_warning(run, monkeypatch, capsys, error):
    def fail(*_, **__):
        raise error

    for name in ("save_grid", "save_loss_plot", "save_film"):
        monkeypatch.setattr(plots, name, fail)
    images = RunImages(run)
    for _ in range(3):
        draw_all(images)
    warnings = capsys.readouterr().err.splitlines()
    assert [line.split(" cannot")[0] for line in warnings] == [
        f"minigan: warning: {what}" for what in ("images", "losses.png", "faces.png")
    ]
    assert all("the training goes on without" in line for line in warnings)


def test_a_folder_of_images_that_was_removed(run, capsys):
    (run.path / "images").rmdir()
    draw_all(RunImages(run))
    assert (run.path / "faces.png").exists()
    assert f"images cannot be drawn, and the training goes on without ({os.strerror(errno.ENOENT)})" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EROFS", "EIO", "EFBIG"])
def test_a_disk_that_takes_nothing_ends_the_run(run, monkeypatch, capsys, code):
    """The next checkpoint could not be written, either; and a resumed run makes the image."""

    def fail(*_, **__):
        raise OSError(getattr(errno, code, errno.ENOSPC), "the reason")

    monkeypatch.setattr(plots, "save_grid", fail)
    with pytest.raises(OSError, match="the reason"):
        RunImages(run).save_faces(0, FACES, fixed=True)
    assert capsys.readouterr().err == ""


def test_a_run_folder_that_is_gone_ends_the_run(run):
    run.path.rename(run.path.with_name("moved"))
    with pytest.raises(FileNotFoundError):
        RunImages(run).save_faces(0, FACES, fixed=True)
