"""A command's working folder hides nothing: Python looks for modules there only when they are nowhere else.

``python -m minigan.train`` would look in the working folder first. A file of the user's own called ``random.py``,
``queue.py`` or ``numpy.py`` would then be taken for Python's or NumPy's, and be run. So the package imports this module
before all others. Programs that import minigan in any other way are not affected.
"""

from __future__ import annotations

import os
import sys

from minigan.system.started_as import is_module_sought


def put_working_folder_last() -> None:
    """Move the working folder to the end of ``sys.path``, where Python has put it at the beginning.

    Python has done so while it looks for the module of ``python -m minigan.train``, and if there is a working folder:
    somebody may have deleted it.
    """
    try:
        os.getcwd()  # noqa: PTH109 (pathlib would be looked for in this folder)
    except OSError:
        return
    if is_module_sought() and not sys.flags.safe_path:
        sys.path.append(sys.path.pop(0))


put_working_folder_last()
