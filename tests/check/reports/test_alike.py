"""Files that are alike: renamed and reformatted copies are named, right answers written alone are not."""

import inspect
import re

import pytest
from own_layers import NCHW, SOLUTIONS

from lessons import mistakes
from lessons.mistakes import sweep
from minigan.check import __main__ as command
from minigan.check.outcomes import FAILED, PASSED, FileReport, Outcome
from minigan.check.reports.alike import alike, copied
from minigan.check.reports.class_report import render_html
from minigan.check.reports.text_report import render_alike
from minigan.check.student_template import render_template
from minigan.nn.ops.normalization import batch_norm_backward

OWN = """
import numpy as np

def windows(images, size, step, margin):
    wide = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    n, h, w, c = wide.shape
    rows, columns = 1 + (h - size) // step, 1 + (w - size) // step
    found = np.empty((n, rows, columns, size, size, c), wide.dtype)
    for a in range(size):
        for b in range(size):
            found[:, :, :, a, b] = wide[:, a : a + step * rows : step, b : b + step * columns : step]
    return found

def conv2d_forward(x, w, b, stride=1, pad=0):
    size, _, inputs, outputs = w.shape
    found = windows(x, size, stride, pad)
    flat = found.reshape(-1, size * size * inputs)
    answer = flat @ w.reshape(-1, outputs) + b[None, :]
    return answer.reshape(found.shape[0], found.shape[1], found.shape[2], outputs), (found, w, x.shape, stride, pad)
"""

OTHER = """
import numpy as np

def conv2d_forward(x, w, b, stride=1, pad=0):
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    v = np.lib.stride_tricks.sliding_window_view(x, w.shape[:2], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nhwcij,ijco->nhwo", v, w) + b, (v, w, stride, pad)
"""


def reports(folder, **sources):
    found = []
    for student, source in sources.items():
        path = folder / f"{student}.py"
        path.write_text(source, encoding="utf-8")
        found.append(FileReport(str(path), [], student=student))
    return found


def renamed(source):
    for old, new in {"windows": "patches", "found": "cols", "size": "K", "rows": "Ho", "wide": "padded"}.items():
        source = re.sub(rf"\b{old}\b", new, source)
    return (
        source.replace("    return", "    # my own work\n\n    return")
        .replace("answer = ", "answer = (\n        ")
        .replace("+ b[None, :]", "+ b[None, :])")
    )


def test_a_renamed_and_reformatted_copy_is_named_with_both_passages(tmp_path):
    found = reports(tmp_path, ann=OWN, ben=renamed(OWN), cid=OTHER, dan="def f(:", eve=render_template())
    assert "windows" not in renamed(OWN)
    (pair,) = alike(found)
    assert (found[pair.first].student, found[pair.second].student) == ("ann", "ben")
    assert pair.share > 0.9
    text = render_alike([pair], found)
    assert "ann and ben: " in text
    page = render_html(found, pairs=[pair])
    assert "def patches(images, K, step, margin):" in page
    assert "def windows(images, size, step, margin):" in page


def test_one_students_own_two_files_are_not_compared(tmp_path):
    found = reports(tmp_path, a=OWN, b=OWN)
    for report in found:
        report.student = "ann"
    assert alike(found) == []


def test_what_everybody_has_was_taught(tmp_path):
    names = "abcdef"
    assert alike(reports(tmp_path, **dict.fromkeys(names, OWN))) == []
    few = reports(tmp_path, **dict.fromkeys("abc", OWN))
    assert len(alike(few)) == 3


@pytest.mark.parametrize("lesson", [3, 7, 8, 9, 10])
def test_right_answers_in_other_styles_are_not_named(tmp_path, lesson, monkeypatch):
    monkeypatch.setenv("MINIGAN_LESSONS_FAST", "1")
    module = __import__(f"{mistakes.__name__}.answers{lesson:02}", fromlist=["ROWS"])
    rows = [row for group in vars(module).values() if isinstance(group, tuple | list) for row in group]
    by_exercise = {}
    for row in rows:
        if isinstance(row, sweep.Right):
            by_exercise.setdefault(row.exercise, []).append(sweep.lesson(lesson).patched(row)[2])
    assert by_exercise
    for exercise, texts in by_exercise.items():
        found = reports(tmp_path, **{f"{exercise}{k}": text for k, text in enumerate(texts)})
        assert alike(found) == []


def test_a_copy_of_minigans_own_layer_is_told_by_its_names(tmp_path):
    own = inspect.getsource(batch_norm_backward).replace("dgamma", "scale").replace("cache", "kept")
    path = tmp_path / "layers.py"
    path.write_text(f"{own}\n\ndef sgd_step(p, g, lr):\n    return p - lr * g\n", encoding="utf-8")
    assert copied(str(path)) == ["batch_norm_backward"]
    right, wrong, other = (Outcome(*told) for told in (("batch_norm", PASSED), ("batch_norm", FAILED), ("sgd", PASSED)))
    command._remark_copies(FileReport(str(path), [right, wrong, other]))
    assert [o.note for o in (right, wrong, other)] == ["batch_norm_backward: a passage of minigan's own", "", ""]
    for text in (SOLUTIONS, NCHW, render_template()):
        path.write_text(text, encoding="utf-8")
        assert copied(str(path)) == []
