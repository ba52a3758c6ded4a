"""Shared by the tests of the lessons: verdicts and their words, functions and quotations from a lesson's text, and a
check that a figure names its axes.
"""

import contextlib
import importlib
import io
import re

import numpy as np
from places import ROOT

from lessons import notebook
from lessons.judging import judge

SOURCES = ROOT / "lessons" / "src"


def judged(module, name, *given):
    """The verdict of a lesson's own exercise."""
    exercise = next(one for one in module.EXERCISES if one.name == name)
    return judge(exercise, given)


def words(module, name, *given):
    """Everything a student reads about a wrong answer."""
    found = judged(module, name, *given)
    assert not found.passed
    assert found.finding is not None
    return " ".join([found.finding.title, *found.finding.evidence, found.finding.cause])


def of_source(name, *functions):
    """Functions defined in cells of a lesson's source; everything in these cells is executed."""
    text = (SOURCES / f"{name}.py").read_text(encoding="utf-8")
    exercises = f"lesson{name[:2]}"
    space = {"np": np, "notebook": notebook, exercises: importlib.import_module(f"lessons.exercises.{exercises}")}
    for cell in text.split("\n# %%"):
        if any(f"\ndef {function}(" in cell for function in functions):
            exec(cell.partition("\n")[2], space)
    return [space[function] for function in functions]


def quoted(name):
    """The checker's messages that a lesson's text shows."""
    text = (SOURCES / f"{name}.py").read_text(encoding="utf-8")
    blocks = re.findall(r"^# ```\n(.*?)^# ```$", text, re.MULTILINE | re.DOTALL)
    return [_rounded(re.sub("^# ?", "", block, flags=re.MULTILINE)) for block in blocks if "   FAIL   " in block]


def said(exercise, *functions):
    """What `check` prints, without its hints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        notebook.check(exercise, *functions, hint=0)
    return _rounded(re.sub(r"^  Lesson .*\n", "", out.getvalue(), flags=re.MULTILINE))


def _rounded(text):
    """Round every decimal fraction to two digits, because the last digits may differ between machines."""
    return re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.2g}", text)


def assert_readable(figure):
    """Assert that a figure can be drawn and that its axes are named."""
    figure.savefig(io.BytesIO(), format="png", dpi=20)
    seen = [ax for ax in figure.axes if ax.axison]
    assert seen
    assert all(ax.get_xlabel() or ax.get_ylabel() for ax in seen)
    assert any(ax.get_xlabel() for ax in seen)
    assert any(ax.get_ylabel() for ax in seen)
    assert all(ax.get_title() for ax in seen)
