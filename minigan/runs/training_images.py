"""The images that a run learns from: opening them, and noticing when they are not those that the run began with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minigan.data.image_set import ImageSet
from minigan.data.open import open_images
from minigan.runs.config import RunConfig
from minigan.system.console import one_line


def open_training_images(config: RunConfig, folder: str | None = None) -> ImageSet:
    """Open the images of a run.

    Parameters
    ----------
    config : RunConfig
    folder : str, optional
        Where they are now, if the folder has moved.

    Raises
    ------
    UserError, RunError
        As `minigan.data.open.open_images`.
    """
    data = folder or config.data
    return open_images(data, image_size=config.image_size, count=config.faces if data is None else None)


def are_unknown(config: RunConfig, about: Mapping[str, Any]) -> bool:
    """Whether a run's networks were imported, and it has not trained since: nobody knows what they learned from.

    Parameters
    ----------
    config : RunConfig
    about : mapping
        The entries of config.json besides the settings.
    """
    return config.data is None and "imported" in about and "images" not in about


def image_facts(images: ImageSet) -> dict[str, Any]:
    """What config.json and evaluation.json say about a set of images."""
    return {"source": images.source, "count": len(images), "fingerprint": images.fingerprint}


def counts_if_changed(images: ImageSet, about: Mapping[str, Any]) -> str | None:
    """How many images there were and are, if they are not those of a run's config.json; None if they are.

    Parameters
    ----------
    images : ImageSet
    about : mapping
        The entries of config.json besides the settings.
    """
    before = about.get("images")
    if not isinstance(before, dict) or before.get("fingerprint") == images.fingerprint:
        return None
    return f"then {one_line(before.get('count'))}, now {len(images)}"
