"""The file that a student starts from: a stub of every function, which says what it takes and what it must return.

It is made from the table of exercises, `minigan.check.exercise_table`, so it asks for exactly what the checker checks.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from minigan.check.exercise_table import EXERCISES, Exercise
from minigan.system.atomic_files import write_text
from minigan.system.errors import UserError

WIDTH = 100
HARD_SPACE = "\0"

HEAD = '''\
"""My layers, for the exercises of minigan.

Write one function after the other in place of `raise NotImplementedError`, and run the checker:

    python -m minigan.check {name}
    python -m minigan.check {name} --only dense --hint 2
    pytest --minigan-impl={name} -m lesson10

A forward function returns its result and a cache, which holds all that your backward function needs, for
example a tuple. A backward function takes dy, the slope of the loss for each element of the forward
result, and returns the slope for each input, in the order of the inputs. Results are new arrays of the
inputs' dtype; inputs stay as they are. Arguments of your own are welcome if they have defaults.
"""

import numpy as np  # noqa: F401 (you will need it)

# Images are (N, H, W, C), convolution kernels (K, K, C, O). To write (N, C, H, W) and (O, C, K, K) as in
# CS231n and PyTorch, say "NCHW" here: transposed kernels are (C, O, K, K) then, and batch norm keeps axis 1.
LAYOUT = "NHWC"
'''


def render_template(name: str = "my_layers.py") -> str:
    """The text of the template.

    Parameters
    ----------
    name : str
        The file's name, for the commands in its head.

    Returns
    -------
    str
        Python, ending in a line break.
    """
    # Other names may end the string that they are written into, or have to be quoted in a command.
    simple = re.fullmatch(r"\w[\w.-]{0,39}", name, re.ASCII)
    parts = [HEAD.format(name=name if simple else "my_layers.py")]
    lesson = None
    for exercise in EXERCISES.values():
        if exercise.lesson != lesson:
            lesson = exercise.lesson
            parts.append(f"\n\n# {f' Lesson {lesson}':->{WIDTH - 2}}\n")
        else:
            parts.append("\n\n")
        parts.append(
            "\n\n".join(_stub(exercise, signature, first=k == 0) for k, signature in enumerate(exercise.signatures))
        )
    return "".join(parts)


def write_template(path: Path) -> None:
    """Write the template to a new file.

    Parameters
    ----------
    path : Path

    Raises
    ------
    UserError
        If the path exists already, or its folder does not.
    """
    if path.exists() or path.is_symlink():
        raise UserError(f"--template: {path} is already there; it is left as it is")
    if not path.parent.is_dir():
        raise UserError(f"--template: there is no folder {path.parent}")
    write_text(path, render_template(path.name))


def _stub(exercise: Exercise, signature: str, *, first: bool) -> str:
    call, _, results = signature.partition(" -> ")
    lines = [f"def {call}:"]
    if first:
        body = textwrap.wrap(_unbroken(exercise.doc), WIDTH - 4, break_long_words=False, break_on_hyphens=False)
        about = [f"    {line}".replace(HARD_SPACE, " ") for line in body]
        lines += [f'    """Return {results}.', "", *about, '    """']
    else:
        lines.append(f'    """Return {results}, from what {exercise.functions[0]} has put into the cache."""')
    return "\n".join([*lines, "    raise NotImplementedError", ""])


def _unbroken(text: str) -> str:
    """Keep shapes such as (N, H, W, C) in one line."""
    return re.sub(r"\([^()]*\)", lambda match: match[0].replace(" ", HARD_SPACE), text)
