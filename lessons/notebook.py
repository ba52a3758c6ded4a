"""What the notebooks import: `check`, pictures, and the file in which a student's own layers are kept.

One `check` serves all exercises, those of `minigan.check` and the lessons' own: `lessons.judging` judges both, and both
are reported in the same form. `show` displays a picture, with a text for readers who cannot see it. `yours` lets a
picture be drawn before the student has written its function. `keep`, `my`, `my_ops` and `my_gan` carry a student's
layers from one lesson to the next (`lessons.kept_layers`).
"""

from __future__ import annotations

import base64
import functools
import html
import io
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lessons import exercises, fast
from lessons.judging import Verdict, hints_of_method, judge, judge_layer
from lessons.kept_answers import record
from lessons.kept_layers import keep_functions, my, my_gan, my_ops
from minigan.check.exercise_table import EXERCISES
from minigan.check.mistakes.hints import part_hints
from minigan.check.outcomes import FAILED, Outcome
from minigan.check.reports.text_report import render_finding

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["check", "fast", "keep", "my", "my_gan", "my_ops", "show", "show_image", "show_page", "yours"]

DOTS_PER_INCH = 110

LARGE = 50_000
"""Pictures of more bytes are stored with a palette of 256 colours."""


# ---------------------------------------------------------------------------------------------------------------- check
def check(name: str, *given: Any, hint: int | None = None, **settings: Any) -> Verdict:
    """Check what a student has written, and print what was found.

    Parameters
    ----------
    name : str
        An exercise of `minigan.check` (``python -m minigan.check --list``), or of a lesson.
    *given
        The exercise's functions, or the answer it asks for.
    hint : int, optional
        How many hints to print, 0 to 3. By default one when something is wrong, and none before there is anything.
    **settings
        ``seed`` for other random cases; for images ``layout="NCHW"``; ``method`` for hints in another way.

    Returns
    -------
    Verdict
        Its ``passed`` says whether the exercise is solved.

    Raises
    ------
    ValueError
        If there is no such exercise, or the number of functions or the hint does not fit.
    """
    if hint not in (None, 0, 1, 2, 3):
        raise ValueError(f"check: hint must be 0, 1, 2 or 3, got {hint!r}")
    verdict, told = _judged(name, given, hint, settings)
    print(told)
    if verdict.passed:
        record(name, given, settings)
    _last_told.clear()
    _last_told[name] = told
    _record("check", name, verdict)
    return verdict


_last_told: dict[str, str] = {}
"""What the last check said, by its exercise: `keep` does not say it again."""


def _judged(name: str, given: tuple[Any, ...], hint: int | None, settings: dict[str, Any]) -> tuple[Verdict, str]:
    if name in EXERCISES:
        verdict = judge_layer(name, given, **settings)
        told = {key: settings[key] for key in ("layout", "method") if key in settings}
        return verdict, _told(name, verdict, verdict.lesson, _layer_hints(name, verdict, **told), hint)
    exercise = exercises.find(name)
    if exercise is None:
        known = [*EXERCISES, *exercises.every()]
        near = get_close_matches(str(name), known, n=2, cutoff=0.5)
        raise ValueError(
            f"check: there is no exercise {name!r}" + (f"; did you mean {' or '.join(near)}?" if near else "")
        )
    verdict = judge(exercise, given, **settings)
    return verdict, _told(name, verdict, exercise.lesson, exercise.hints, hint)


def _layer_hints(name: str, verdict: Verdict, layout: str = "NHWC", method: str = "") -> tuple[str, ...]:
    """The hints for what is not written yet."""
    part = "backward" if "forward" in verdict.right else "y"
    return part_hints(EXERCISES[name], part, layout, hints_of_method(name, layout, method))


def _told(name: str, verdict: Verdict, lesson: int, hints: tuple[str, ...], hint: int | None) -> str:
    if verdict.finding is None:
        said = f" ({verdict.said})" if verdict.said and verdict.passed else ""
        lines = [f"{name}   {verdict.status if verdict.passed else verdict.said}{said}"]
        lines += [f"  Hint {k} of {len(hints)}: {text}" for k, text in enumerate(hints[: hint or 0], start=1)]
        return "\n".join(lines)
    finding = verdict.finding
    shown = 1 if hint is None else hint
    if not finding.hints:
        advice = _ADVICE.get(finding.code, "")
        finding = replace(finding, hints=(" ".join(filter(None, [advice, hints[0]])), *hints[1:]) if hints else ())
        # A cause found for this answer says more than a general hint.
        shown = 0 if hint is None and finding.cause else shown
    status = FAILED if verdict.status == FAILED else verdict.status
    outcome = Outcome(name, status, finding, list(verdict.right), lesson)
    return render_finding(outcome, "", hint=shown)


_ADVICE = {
    "E10": "Call it by hand with the arguments above, and print the shapes just before that line.",
    "E13": "Write the shape of every array beside its line.",
}
"""What is to be done about an exception or a wrong shape, whatever the exercise."""


def _record(kind: str, name: str, verdict: Verdict) -> None:
    """Append the verdict to the file that MINIGAN_LESSONS_VERDICTS names; ``lessons/build.py`` reads it."""
    path = os.environ.get("MINIGAN_LESSONS_VERDICTS")
    if path:
        title = verdict.finding.title if verdict.finding else verdict.said
        line = json.dumps({"kind": kind, "exercise": name, "status": verdict.status, "title": title})
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(line + "\n")


# ------------------------------------------------------------------------------------------------------------- pictures
def show(figure: Figure, alt: str) -> None:
    """Display a picture, with a text for those who cannot see it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str
        What is to be seen, in a sentence or two.

    Raises
    ------
    ValueError
        If the text says nothing.
    """
    if not alt.strip():
        raise ValueError("show: alt must say what is to be seen, got an empty text")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    _close(figure)
    show_image(_in_256_colours(buffer) if buffer.tell() > LARGE else buffer.getvalue(), alt)


def _in_256_colours(png: io.BytesIO) -> bytes:
    """The picture with a palette: a third of the bytes, and no value changes by more than the eye can tell."""
    from PIL import Image

    palette = (
        Image.open(png)
        .convert("RGB")
        .quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    )
    smaller = io.BytesIO()
    palette.save(smaller, "PNG", optimize=True)
    return smaller.getvalue()


def show_image(data: bytes, alt: str, kind: str = "image/png") -> None:
    """Display an encoded picture, PNG or GIF, with a text for those who cannot see it."""
    try:
        from IPython.display import display
    except ModuleNotFoundError:  # a plain script
        print(alt)
        return
    content = {kind: base64.b64encode(data).decode("ascii"), "text/plain": alt}
    display(content, metadata={kind: {"alt": alt}}, raw=True)


def show_page(path: Path, alt: str, height: int = 900) -> None:
    """Display a page that stands on its own, scripts and all, in a frame of the notebook.

    Parameters
    ----------
    path : Path
        An HTML file without files beside it.
    alt : str
        What is to be seen, for readers who cannot see it, and where the notebook is shown without scripts.
    height : int
        Of the frame, in pixels.
    """
    try:
        from IPython.display import display
    except ModuleNotFoundError:  # a plain script
        print(alt)
        return
    page = html.escape(path.read_text(encoding="utf-8"))
    frame = f'<iframe title="{html.escape(alt)}" srcdoc="{page}" width="100%" height="{height}"></iframe>'
    display({"text/html": frame, "text/plain": alt}, raw=True)


def _close(figure: Figure) -> None:
    """Forget a figure made by pyplot, which would display it a second time."""
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(figure)


def yours(
    function: Callable[..., Any] | None, reference: Callable[..., Any], *, alike: bool = False
) -> Callable[..., Any]:
    """The student's function if it is written and runs, the reference otherwise, so that a picture can be drawn.

    Parameters
    ----------
    function : callable
        May raise anything, and return anything.
    reference : callable
        With the same arguments.
    alike : bool
        Call both, and use the reference's result where the student's has another form: another number of results,
        or other shapes. Not for functions that change their arguments, such as a training step.

    Returns
    -------
    callable
        Says once if it has to use the reference.
    """
    told: list[bool] = []
    name = getattr(function, "__name__", "this")

    def instead(why: str, *arguments: Any, **settings: Any) -> Any:
        if not told:
            told.append(True)
            print(f"{name}: drawn with minigan's own until yours {why}")
        return reference(*arguments, **settings)

    @functools.wraps(reference)
    def either(*arguments: Any, **settings: Any) -> Any:
        if function is None:
            return instead("is written", *arguments, **settings)
        try:
            result = function(*arguments, **settings)
        except NotImplementedError:
            return instead("is written", *arguments, **settings)
        except Exception as error:  # a student's function may raise anything; `check` has reported it
            return instead(f"runs ({type(error).__name__})", *arguments, **settings)
        if result is None:
            return instead("returns something", *arguments, **settings)
        if alike:
            right = reference(*arguments, **settings)
            if not _alike(result, right):
                return instead(f"returns {_told_form(right)}", *arguments, **settings)
        return result

    return either


def _alike(result: Any, right: Any) -> bool:
    """Whether a result has the right one's form: as many results, and arrays of the same shapes; caches may differ."""
    if type(right) in (tuple, list):
        return (
            type(result) in (tuple, list)
            and len(result) == len(right)
            and all(type(b) in (tuple, list) or _alike(a, b) for a, b in zip(result, right, strict=True))
        )
    shape = getattr(right, "shape", () if isinstance(right, int | float) else None)
    return shape is None or getattr(result, "shape", () if isinstance(result, int | float) else None) == shape


def _told_form(result: Any) -> str:
    if isinstance(result, tuple | list):
        return f"{len(result)} results like its"
    return f"an array of shape {result.shape}" if getattr(result, "shape", ()) else "one number"


# ----------------------------------------------------------------------------------------------------------------- keep
def keep(name: str, *functions: Callable[..., Any]) -> Verdict:
    """Keep layers for the later lessons, if they pass the check.

    Their source, with the helpers and imports they use, goes into ``lessons/my_layers.py``: `my` and `my_ops` read it,
    ``python -m minigan.check lessons/my_layers.py`` checks it, and a teacher may collect it.

    Parameters
    ----------
    name : str
        An exercise of `minigan.check`.
    *functions : callable
        As `check` takes them, all of them.

    Returns
    -------
    Verdict

    Raises
    ------
    ValueError
        If the exercise is unknown or the number of functions does not fit.
    """
    from minigan.check.exercise_table import EXERCISES

    if name not in EXERCISES:
        raise ValueError(f"keep: exercise must be one of {', '.join(EXERCISES)}, got {name!r}")
    wanted = EXERCISES[name].functions
    if len(functions) != len(wanted):
        raise ValueError(f"keep: {name} is {' and '.join(wanted)}, got {len(functions)} functions")
    verdict, told = _judged(name, functions, None, {})
    if verdict.passed:
        problem, where = keep_functions(name, functions)
        verdict = Verdict.wrong(problem) if problem else verdict
        print(f"{name}   not kept: {problem}" if problem else f"{name}   kept in {Path(where).name}")
    elif verdict.finding is None:
        print(f"{name}   {verdict.said}: nothing kept")
    else:
        if _last_told.get(name) != told:
            print(told)
        print(f"{name}   not kept: wrong layers would only confuse the lessons to come")
    _record("keep", name, verdict)
    return verdict
