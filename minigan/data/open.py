"""Open a data set: a folder of images, or the faces that minigan draws itself."""

from __future__ import annotations

from pathlib import Path

from minigan.data import cache
from minigan.data.image_set import ImageSet
from minigan.system.errors import UserError

MAX_IMAGE_SIZE = 1024


def open_images(
    data: Path | str | None,
    *,
    image_size: int,
    count: int | None = None,
    progress: bool = True,
    try_again: bool = True,
) -> ImageSet:
    """Open a data set; the first time, its cache is built.

    Parameters
    ----------
    data : path or None
        A folder of images, or None for the built-in drawn faces.
    image_size : int
        Side length S to which images are brought, 1 to 1,024.
    count : int, optional
        How many faces to draw; only with ``data=None``.
    progress : bool
        Show a progress bar on stderr while the cache is built.
    try_again : bool
        Whether files of the folder that could not be read for the moment are tried again.

    Returns
    -------
    ImageSet
        At least one image. Its ``skipped`` says which files of the folder were not read.

    Raises
    ------
    UserError
        If the folder or an argument cannot be used.
    RunError
        If the disk is full.
    """
    if not 1 <= image_size <= MAX_IMAGE_SIZE:
        raise UserError(f"image_size must be between 1 and {MAX_IMAGE_SIZE}, got {image_size}")
    cache.sweep()
    # Each of the two is imported only where it is needed: both bring Pillow, and importing that takes time.
    if data is None:
        from minigan.data.drawn.face_set import DEFAULT_COUNT, open_drawn_faces

        return open_drawn_faces(DEFAULT_COUNT if count is None else count, image_size, progress=progress)
    if count is not None:
        raise UserError(f"count is the number of faces to draw and cannot go with a folder, got {count}")
    from minigan.data.images.image_folder import open_folder

    return open_folder(data, image_size, progress=progress, try_again=try_again)
