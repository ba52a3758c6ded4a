"""The images that a run leaves in its folder: faces of its steps, a plot of the losses, and a film of the faces.

No training depends on them. An image that cannot be drawn, for whatever reason, costs one warning for each kind, and
the training goes on. There are two exceptions, since the next checkpoint would fail, too: a disk that is full or
broken, and a run folder that is no longer there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from minigan.gan.step import METRICS
from minigan.nn.backend import Array
from minigan.pages import plots
from minigan.runs.layout import FACES_PER_IMAGE, image_name
from minigan.runs.run_folder import Run
from minigan.runs.run_records import list_images
from minigan.system.console import warn
from minigan.system.errors import is_of_disk


class RunImages:
    """Draws a run's images.

    Parameters
    ----------
    run : Run
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._failed: set[str] = set()

    def save_faces(self, step: int, faces: Array, *, fixed: bool) -> None:
        """Write 16 faces under the article's name for that step.

        Parameters
        ----------
        step : int
        faces : numpy.ndarray of shape (N, S, S, 3)
            In [-1, 1]; the first 16 are shown.
        fixed : bool
            Whether they come from the fixed noise.

        Raises
        ------
        OSError
            Here and below: if the disk is full or broken, or the run folder is gone.
        """
        with self._drawing("images"):
            file = self._run.path / "images" / image_name(step, fixed=fixed)
            plots.save_grid(file, faces[:FACES_PER_IMAGE], columns=4)

    def save_losses(self) -> None:
        """Draw losses.png, if there is a step to show."""
        steps, rows = self._run.history()
        if len(steps):
            with self._drawing("losses.png"):
                history = dict(zip(METRICS, rows.T, strict=True))
                plots.save_loss_plot(self._run.path / "losses.png", steps, history)

    def save_summary(self, faces: Array) -> None:
        """Write what shows the whole run: losses.png, faces.png with `faces`, and the film faces.gif."""
        self.save_losses()
        with self._drawing("faces.png"):
            plots.save_grid(self._run.path / "faces.png", faces)
        with self._drawing("faces.gif"):
            film = [path for _, path in list_images(self._run.path, fixed=True)]
            # The faces drawn at a save are those drawn before the next step: of two equal images, the film shows one.
            film = [p for k, p in enumerate(film) if k == 0 or p.read_bytes() != film[k - 1].read_bytes()]
            if film:
                plots.save_film(self._run.path / "faces.gif", film)

    @contextlib.contextmanager
    def _drawing(self, what: str) -> Iterator[None]:
        """Within this, something is drawn; what goes wrong is told, once for each kind of image."""
        try:
            yield
        except Exception as error:
            if isinstance(error, OSError) and (is_of_disk(error) or not self._run.path.is_dir()):
                raise
            if what not in self._failed:
                reason = error.strerror if isinstance(error, OSError) else None
                warn(f"{what} cannot be drawn, and the training goes on without ({reason or error})")
            self._failed.add(what)
