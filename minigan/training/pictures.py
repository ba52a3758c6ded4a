"""The pictures in a run folder: faces on the way, the losses, and the film of faces getting better."""

from __future__ import annotations

from pathlib import Path

from minigan.gan.step import METRICS
from minigan.nn.backend import Array
from minigan.pages import plots
from minigan.runs.run_folder import PICTURE_FACES, Run, list_pictures


def save_faces(run: Path, step: int, fakes: Array, *, fixed: bool) -> None:
    """Write 16 faces under the article's name for that step.

    Parameters
    ----------
    run : Path
        The run folder.
    step : int
    fakes : numpy.ndarray of shape (N, S, S, 3)
        In [-1, 1]; the first 16 are shown.
    fixed : bool
        Whether they come from the fixed noise.
    """
    name = f"{step:04d}fixed_image.png" if fixed else f"{step:04d}_image.png"
    plots.save_grid(run / "images" / name, fakes[:PICTURE_FACES], columns=4)


def save_losses(run: Run) -> None:
    """Draw losses.png, if there is a step to show."""
    steps, rows = run.history()
    if len(steps):
        plots.save_loss_plot(run.path / "losses.png", steps, dict(zip(METRICS, rows.T, strict=True)))


def save_summary(run: Run, faces: Array) -> None:
    """Make the pictures of the whole run: losses.png, faces.png from `faces`, and the film faces.gif."""
    save_losses(run)
    plots.save_grid(run.path / "faces.png", faces)
    film = [picture for _, picture in list_pictures(run.path, fixed=True)]
    if film:
        # The fixed faces after a save are those before the next step: one of two equal pictures is enough.
        film = [p for k, p in enumerate(film) if k == 0 or p.read_bytes() != film[k - 1].read_bytes()]
        plots.save_film(run.path / "faces.gif", film)
