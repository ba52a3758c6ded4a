"""What a wrong shape tells: axes in the wrong order, an axis too many, the size of another stride or padding."""

from __future__ import annotations

import math

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
        cause = "for pad = 0 the slice pad:-pad is 0:0, which is empty: write pad:pad + H."
    elif sorted(got) == sorted(expected):
        cause = "the right sizes in the wrong order: an array is transposed, or a reshape took the axes wrongly."
    elif len(got) == len(expected) + 1 and math.prod(got) == math.prod(expected):
        cause = "one axis too many: keepdims=True, or a missing index."
    elif len(got) < len(expected):
        cause = "an axis is gone: a sum or an index has taken one too many."
    elif len(got) == len(expected) == 1:
        cause = f"it has {got[0]} elements instead of {expected[0]}: the sum runs over the wrong axes."
    elif len(got) == 4 and exercise.name.startswith("conv2d") and name == "y":
        cause = _shape_of_other_geometry(exercise, case, got, layout)
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


def _shape_of_other_geometry(exercise: Exercise, case: Case, got: tuple[int, ...], layout: str) -> str:
    """The mistake in the formula of sizes that gives this output."""
    x, w = case.arrays["x"], case.arrays["w"]
    S, P, K = case.settings["stride"], case.settings["pad"], w.shape[0]
    if exercise.name == "conv2d":
        sizes = {
            "the division by the stride is rounded up; where the kernel does not fit any more there is no output": [
                -(-(h + 2 * P - K) // S) + 1 for h in x.shape[1:3]
            ],
            "the + 1 is missing: (H + 2*pad - K)//stride + 1": [(h + 2 * P - K) // S for h in x.shape[1:3]],
            "this is the size without padding": [(h - K) // S + 1 for h in x.shape[1:3]],
            "this is the size with padding on one side only": [(h + P - K) // S + 1 for h in x.shape[1:3]],
            "this is the size for stride 1": [(h + 2 * P - K) + 1 for h in x.shape[1:3]],
            "this is the size of the input divided by the stride": [h // S for h in x.shape[1:3]],
        }
    else:
        sizes = {
            "nothing is cropped: this is the size without padding": [S * (h - 1) + K for h in x.shape[1:3]],
            "padding is added instead of cropped": [S * (h - 1) + K + 2 * P for h in x.shape[1:3]],
            "one side is cropped only": [S * (h - 1) + K - P for h in x.shape[1:3]],
            "this is stride * H": [S * h for h in x.shape[1:3]],
            "this is the size for stride 1": [h - 1 + K - 2 * P for h in x.shape[1:3]],
            "this is the size of a convolution, not of a transposed one": [
                (h + 2 * P - K) // S + 1 for h in x.shape[1:3]
            ],
        }
    spatial = list(got[1:3] if layout == "NHWC" else got[2:4])
    return next((f"{cause}." for cause, size in sizes.items() if size == spatial), "")
