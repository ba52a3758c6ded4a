"""What a wrong shape tells: axes in the wrong order, an axis too many, the size of another stride or padding."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minigan.check.exercise_table import Case, Exercise
from minigan.check.outcomes import Finding


def explain_shape(
    function: str,
    name: str,
    got: tuple[int, ...],
    expected: tuple[int, ...],
    exercise: Exercise,
    case: Case,
    layout: str,
) -> Finding:
    """The finding for a wrong shape, with its probable cause.

    Parameters
    ----------
    function, name : str
    got, expected : tuple of int
        In the student's layout.
    exercise : Exercise
    case : Case
    layout : str

    Returns
    -------
    Finding
    """
    cause = ""
    if name == "dx" and got == _shape_of_y(exercise, case):
        cause = "dx has the shape of dy; it needs that of x."
    elif 0 in got and case.settings.get("pad") == 0:
        cause = "is there a slice pad:-pad? For pad = 0 it is 0:0, which is empty: write pad:pad + H."
    elif sorted(got) == sorted(expected):
        cause = (
            "the right sizes in another order: is an array transposed, or did a reshape take the axes in another order?"
        )
    elif len(got) == len(expected) + 1 and math.prod(got) == math.prod(expected):
        cause = "one axis too many: is there a keepdims=True, or an index missing?"
    elif name not in ("y", "dx") and len(got) > len(expected) and got[len(got) - len(expected) :] == expected:
        cause = (
            "it has axes too many in front: every sample, and of an image every pixel, has its share in "
            f"{name}, and they add up. Does the sum run over all these axes?"
        )
    elif len(got) < len(expected):
        cause = "an axis is gone: has a sum, an index or a reshape taken one too many?"
    elif len(got) == len(expected) == 1:
        cause = f"it has {got[0]} elements instead of {expected[0]}: does the sum run over the right axes?"
    return Finding(
        "E13",
        "contract",
        f"{function}: {name} must have shape {expected}, got {got}",
        (f"on {case.told(exercise.roles, layout)}",),
        cause,
        ("Write the shape of every intermediate array beside its line.",),
        where=f"{function}: {name}",
    )


def _shape_of_y(exercise: Exercise, case: Case) -> tuple[int, ...]:
    y = np.shape(exercise.oracle(**case.arrays, **case.settings))
    return y if y != case.arrays["x"].shape else ()


def other_geometry(exercise: Exercise, shapes: Sequence[tuple[Case, tuple[int, ...]]], layout: str) -> str:
    """The mistake in the formula of sizes that gives the output's size in every case; "" if none does.

    Parameters
    ----------
    exercise : Exercise
    shapes : sequence of (Case, tuple of int)
        Every case, and the shape of the student's result there, in the student's layout.
    layout : str

    Returns
    -------
    str
    """
    if not exercise.name.startswith("conv2d") or not shapes or any(len(shape) != 4 for _, shape in shapes):
        return ""
    found = [list(shape[1:3] if layout == "NHWC" else shape[2:4]) for _, shape in shapes]
    wanted = [_sizes_by_mistake(exercise, case) for case, _ in shapes]
    fitting = (cause for cause in wanted[0] if all(w[cause] == f for w, f in zip(wanted, found, strict=True)))
    return next((f"{cause}." for cause in fitting), "")


def _sizes_by_mistake(exercise: Exercise, case: Case) -> dict[str, list[int]]:
    """Height and width of the output by wrong formulas."""
    x, w = case.arrays["x"], case.arrays["w"]
    S, P, K = case.settings["stride"], case.settings["pad"], w.shape[0]
    sizes = x.shape[1:3]
    if exercise.name == "conv2d":
        return {
            "the division by the stride is rounded up; where the kernel does not fit any more there is no output": [
                -(-(h + 2 * P - K) // S) + 1 for h in sizes
            ],
            "the + 1 is missing: (H + 2*pad - K)//stride + 1": [(h + 2 * P - K) // S for h in sizes],
            "this is the size without padding": [(h - K) // S + 1 for h in sizes],
            "this is the size with padding on one side only": [(h + P - K) // S + 1 for h in sizes],
            "this is the size for stride 1": [(h + 2 * P - K) + 1 for h in sizes],
            "the + 1 is inside the division: (H + 2*pad - K + 1)//stride": [(h + 2 * P - K + 1) // S for h in sizes],
            "K is not subtracted": [(h + 2 * P) // S + 1 for h in sizes],
            "this is the size of the input divided by the stride": [h // S for h in sizes],
        }
    return {
        "nothing is cropped: this is the size without padding": [S * (h - 1) + K for h in sizes],
        "padding is added instead of cropped": [S * (h - 1) + K + 2 * P for h in sizes],
        "one side is cropped only": [S * (h - 1) + K - P for h in sizes],
        "H stands where H - 1 belongs: the last stamp begins at stride*(H - 1)": [S * h + K - 2 * P for h in sizes],
        "K is not added": [S * (h - 1) - 2 * P for h in sizes],
        "it is one too large": [S * (h - 1) + K - 2 * P + 1 for h in sizes],
        "it is one too small": [S * (h - 1) + K - 2 * P - 1 for h in sizes],
        "this is stride * H": [S * h for h in sizes],
        "this is the size for stride 1": [h - 1 + K - 2 * P for h in sizes],
        "this is the size of a convolution, not of a transposed one": [(h + 2 * P - K) // S + 1 for h in sizes],
    }
