"""What is probably wrong with a gradient: the hypotheses in their order, and the finding made of the first that fits.

`explain_gradient` gets every call of the student's backward from the ladder. The hypotheses are in
`minigan.check.mistakes.gradient_patterns` (zeros, a constant factor, two gradients exchanged) and
`minigan.check.mistakes.gradient_formulas` (those of one exercise, such as a missing path through the mean). If none of
them fits, the finding describes where the gradient is wrong (only at the border, only in one channel).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minigan.check.calls.student_functions import CheckedCall, Subject
from minigan.check.exercise_table import to_student
from minigan.check.mistakes import gradient_formulas, gradient_patterns
from minigan.check.mistakes.gradient_evidence import Evidence
from minigan.check.mistakes.hypotheses import Idea, worst_place
from minigan.check.outcomes import Finding
from minigan.nn.backend import Array


def explain_gradient(
    subject: Subject, runs: list[CheckedCall], wrong: dict[str, list[int]], algebra: str, function: str
) -> tuple[Finding, dict[str, Any] | None]:
    """Name the mistake behind a wrong gradient.

    Parameters
    ----------
    subject : Subject
    runs : list of CheckedCall
        One for every case.
    wrong : dict
        Name of a wrong gradient to the numbers of the cases in which it is wrong; may be empty if only a law is broken.
    algebra : str
        Code of the law that is broken, or "".
    function : str

    Returns
    -------
    Finding
    picture : dict or None
        One slice of the wrong gradient beside the numeric one.
    """
    exercise = subject.exercise
    if not wrong:
        return _lawless(algebra, function), None
    name = next(n for n in exercise.gradients if n in wrong)
    numbers = sorted(wrong[name], key=lambda k: runs[k][0].case.size)
    evidence = [Evidence(subject, runs[k], name) for k in numbers]
    rest = [Evidence(subject, run, name, passes=True) for k, run in enumerate(runs) if k not in numbers]
    idea = next((idea for idea in _ideas([*evidence, *rest]) if idea is not None), None)
    if idea is None and algebra in ("E40", "E41", "E42"):
        idea = Idea(algebra, _LAWS[algebra])
    idea = idea or next((idea for idea in _descriptions(evidence) if idea is not None), None)
    if idea is None and len(numbers) < len(runs):
        idea = _simple_sizes(subject, runs, numbers)
    if idea is None:
        idea = Idea(algebra or "E50", _LAWS.get(algebra, ""))
    small = next((e for e in evidence if e.numeric.size > 1), evidence[0])
    share = float(np.mean(np.abs(small.yours - small.numeric) > 1e-5 * max(np.abs(small.numeric).max(), 1e-3)))
    right = [n for n in exercise.gradients if n not in wrong]
    others = [n for n in wrong if n != name]
    role = exercise.roles.get(exercise.gradients[name])
    yours, numeric = (to_student(a, role, subject.layout) for a in (small.yours, small.numeric))
    cases = "in every case tried" if len(numbers) == len(runs) else f"in {len(numbers)} of {len(runs)} cases tried"
    finding = Finding(
        idea.code,
        "algebra" if idea.code in _LAWS else "gradient",
        f"{function}: {name} is wrong {cases}",
        (
            *([f"{', '.join(right)} right"] if right else []),
            *([f"{', '.join(others)} wrong too"] if others else []),
            f"{share:.0%} of {name} wrong; " + worst_place(yours, numeric, "numeric"),
            f"on {small.forward.case.told(exercise.roles, subject.layout)}",
        ),
        idea.cause,
        idea.hints,
        where=f"{function}: {name}",
    )
    return finding, _picture(name, yours, numeric, role, subject.layout)


def _ideas(evidence: list[Evidence]) -> Iterator[Idea | None]:
    """Explanations that fit all evidence, the simplest first; None for each that does not fit."""
    with np.errstate(all="ignore"):
        yield gradient_patterns.zeros(evidence)
        yield gradient_patterns.exchanged(evidence)
        yield gradient_patterns.ignores_dy(evidence)
        yield gradient_formulas.of_the_exercise(evidence)
        yield gradient_patterns.constant_multiple(evidence)
        yield gradient_patterns.some_samples(evidence)
        yield gradient_patterns.turned(evidence)
        yield gradient_patterns.shifted(evidence)
        yield gradient_formulas.batch_norm_residual(evidence)
        yield gradient_patterns.reordered(evidence)


def _descriptions(evidence: list[Evidence]) -> Iterator[Idea | None]:
    """Where an error is that no hypothesis explains: for which sign of x, at the border, in which channel."""
    yield gradient_patterns.one_side(evidence)
    yield gradient_patterns.border(evidence)
    yield gradient_patterns.one_channel(evidence)


_LAWS = {
    "E40": "dy = 0 means that the loss does not depend on the result, so every gradient is 0. Something is "
    "added that does not come from dy.",
    "E41": "twice the dy must give twice the gradient: dy may be multiplied and summed, never squared, "
    "compared or replaced.",
    "E42": "the gradient of one sample must not depend on the other samples of the batch.",
    "E43": "forward is linear in x, so <forward(x), dy> = <x, dx> for every x and dy; it is not.",
}


def _lawless(algebra: str, function: str) -> Finding:
    titles = {
        "E40": "of dy = 0 is not 0",
        "E41": "is not linear in dy",
        "E42": "mixes the samples of the batch",
        "E43": "is not the adjoint of forward",
    }
    return Finding(algebra, "algebra", f"{function} {titles[algebra]}", cause=_LAWS[algebra], where=function)


def _simple_sizes(subject: Subject, runs: list[CheckedCall], wrong: list[int]) -> Idea | None:
    """What all failing cases have in common, and no other case has."""

    def traits(run: CheckedCall) -> set[str]:
        case = run[0].case
        x = next(iter(case.arrays.values()))
        found = {f"{k}={v}" for k, v in case.settings.items()}
        if case.settings.get("stride", 1) > 1:
            found.add("a stride above 1")
        if case.settings.get("pad", 0) > 0:
            found.add("padding")
        if x.shape[0] == 1:
            found.add("a batch of one")
        if x.ndim == 4:
            found.add("4-D input")
            if x.shape[1] != x.shape[2]:
                found.add("height different from width")
        if x.ndim == 2:
            found.add("2-D input")
        if x.shape[-1] == 1:
            found.add("a single channel")
        return found

    shared = set.intersection(*(traits(runs[k]) for k in wrong))
    fine = set().union(*(traits(run) for k, run in enumerate(runs) if k not in wrong))
    telling = sorted(shared - fine, key=lambda text: ("=" in text, text))
    roles, layout = subject.exercise.roles, subject.layout
    sizes = "; ".join(runs[k][0].case.told(roles, layout) for k in wrong[:2])
    if telling:
        return Idea("E68", f"it is wrong in exactly the cases with {telling[0]}.")
    return Idea("E68", f"it is right for some sizes; it fails for {sizes}.")


def _picture(name: str, yours: Array, numeric: Array, role: str | None, layout: str) -> dict[str, Any] | None:
    """One 2-D slice, the one with the largest error."""
    if yours.ndim == 0:
        return None
    if yours.ndim == 1:
        return {"name": name, "index": "", "yours": [yours.tolist()], "numeric": [numeric.tolist()]}
    difference = np.abs(yours - numeric)
    index = np.unravel_index(int(np.argmax(difference)), difference.shape)
    if yours.ndim == 2:
        return {"name": name, "index": "", "yours": yours.tolist(), "numeric": numeric.tolist()}
    # of images, rows and columns are shown; of kernels, the taps
    spatial = (1, 2) if yours.ndim == 3 or (role == "image" and layout == "NHWC") else (2, 3)
    if role == "kernel" and layout == "NHWC":
        spatial = (0, 1)
    cut = tuple(slice(None) if axis in spatial else int(index[axis]) for axis in range(yours.ndim))
    told = ", ".join(f"axis {axis} = {int(index[axis])}" for axis in range(yours.ndim) if axis not in spatial)
    return {"name": name, "index": told, "yours": yours[cut].tolist(), "numeric": numeric[cut].tolist()}
