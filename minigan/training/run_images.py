"""The images that a run leaves in its folder: faces of its steps, a plot of the losses, and a film of the faces."""

from __future__ import annotations

from pathlib import Path

from minigan.gan.step import METRICS
from minigan.nn.backend import Array
from minigan.pages import plots
from minigan.runs.layout import FACES_PER_IMAGE, image_name
from minigan.runs.run_folder import Run
from minigan.runs.run_records import list_images


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
    plots.save_grid(run / "images" / image_name(step, fixed=fixed), fakes[:FACES_PER_IMAGE], columns=4)


def save_losses(run: Run) -> None:
    """Draw losses.png, if there is a step to show."""
    steps, rows = run.history()
    if len(steps):
        plots.save_loss_plot(run.path / "losses.png", steps, dict(zip(METRICS, rows.T, strict=True)))


def save_summary(run: Run, faces: Array) -> None:
    """Write what shows the whole run: losses.png, faces.png with `faces`, and the film faces.gif."""
    save_losses(run)
    plots.save_grid(run.path / "faces.png", faces)
    film = [path for _, path in list_images(run.path, fixed=True)]
    if film:
        # The faces drawn at a save are those drawn before the next step: of two equal images, the film shows one.
        film = [p for k, p in enumerate(film) if k == 0 or p.read_bytes() != film[k - 1].read_bytes()]
        plots.save_film(run.path / "faces.gif", film)
