"""Where an exception came up, as a student wants to see it: their own function's line first, then the line that raised.

A student's function often calls another one, a helper or a given one, in which the exception comes up. The line that
raised alone then says nothing about the student's call.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence


def own_lines(
    error: BaseException, functions: Iterable[str], is_library: Callable[[str], bool]
) -> tuple[str, tuple[str, ...]]:
    """The student's function in which an exception came up, and the lines that led to it.

    Parameters
    ----------
    error : BaseException
        As it was caught.
    functions : iterable of str
        Names of the student's functions, as they are in their code.
    is_library : callable
        From a file's name to whether its lines are of no interest: NumPy's, minigan's.

    Returns
    -------
    function : str
        The innermost of the student's functions on the way; "" if there is none, and the outermost line's then.
    lines : tuple of str
        Such as ``line 3 of f: y = g(x)`` and ``from there, line 9 of g: return x @ w``; () without any line.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not is_library(frame.filename)]
    if not own:
        return "", ()
    names = set(functions)
    first = next((frame for frame in reversed(own) if frame.name in names), own[0])
    lines = [_told(first)]
    if own[-1] is not first:
        lines.append(f"from there, {_told(own[-1])}")
    return first.name, tuple(lines)


def assigned(lines: Sequence[str], names: Iterable[str]) -> str:
    """The first of these names that a line assigns to, such as "dw" in ``dw = x @ dy``; "" if none."""
    for line in lines:
        code = line.partition(": ")[2]
        target = code.partition("=")[0].strip().rstrip("+-*/@")
        for name in names:
            if target.strip() == name:
                return name
    return ""


def _told(frame: traceback.FrameSummary) -> str:
    code = f": {frame.line}" if frame.line else ""
    return f"line {frame.lineno} of {frame.name}{code}"
