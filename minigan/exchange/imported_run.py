"""A run folder made of networks that come from elsewhere, for the commands that take a RUN."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from minigan.gan.step import build_gan
from minigan.nn.network import Sequential
from minigan.runs.checkpoint import save_network
from minigan.runs.config import RunConfig, to_json
from minigan.runs.layout import CONFIG_NAME, model_name
from minigan.runs.run_folder import Run
from minigan.system.atomic_files import temporary_folder, write_text
from minigan.system.errors import cannot_write


def make_run(
    path: Path,
    generator: Sequential,
    discriminator: Sequential | None,
    *,
    image_size: int,
    width: int,
    files: Sequence[Path] = (),
) -> None:
    """Make a run folder, all or nothing.

    With both networks it has a checkpoint of step 0, so that training can begin there. With the generator alone, it has
    a saved generator in models/, which is enough to draw faces.

    Parameters
    ----------
    path : Path
        Must not exist.
    generator : Sequential
    discriminator : Sequential or None
    image_size, width : int
        Of both.
    files : sequence of Path
        Where they come from, for config.json.

    Raises
    ------
    UserError, RunError
        If the folder cannot be written.
    """
    config = RunConfig(image_size=image_size, width=width)
    about = {"imported": {"files": [file.name for file in files]}}
    if discriminator is not None:
        gan = build_gan(image_size=image_size, width=width)
        gan.generator.load_state(generator.state())
        gan.discriminator.load_state(discriminator.state())
        Run.create(path, config, gan, about).close()
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(path) as temporary:
            (temporary / "models").mkdir()
            file = temporary / "models" / model_name(0, "GENERATOR")
            save_network(file, generator, image_size=image_size, width=width, step=0)
            write_text(temporary / CONFIG_NAME, to_json(config, about))
            temporary.rename(path)
    except OSError as error:
        raise cannot_write(error, f"--out: the run folder {path} cannot be made") from None
