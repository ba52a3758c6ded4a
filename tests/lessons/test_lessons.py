"""The course: its builder, what its notebooks import, and what every lesson has to have."""

import ast
import doctest
import errno
import json
import linecache
import os
import re
import subprocess
import sys
import types
import zipfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import nbformat
import numpy as np
import own_layers
import pytest
from places import ROOT

from lessons import build, exercises, figures, kept_layers, notebook, source_format
from lessons.figures import style
from lessons.judging import Exercise, Mistake, Verdict, judge
from lessons.source_format import Cell, SourceError
from minigan.check.exercise_table import EXERCISES
from minigan.check.sandbox.supervisor import check_file
from minigan.gan.models import discriminator, generator
from minigan.gan.step import build_gan, discriminator_step, draw_inputs, train_step
from minigan.nn.ops import LIBRARY
from minigan.system.errors import UserError

LESSONS = ROOT / "lessons"
SOURCES = sorted((LESSONS / "src").glob("*.py"))


def test_there_are_fourteen_lessons():
    assert [source.stem[:2] for source in SOURCES] == [f"{k:02}" for k in range(1, 15)]


# ------------------------------------------------------------------------------------------------------------- stubs
def exercise_cell(text, tags=("exercise",)):
    return Cell("code", text, tags, 10)


RELU = '''\
def relu_forward(x):
    """Doc."""
    # --- your code
    # larger than 0
    y = np.maximum(x, 0)

    return y, x
    # --- end'''


def test_a_solution_becomes_a_stub():
    assert (
        source_format.stubbed(exercise_cell(RELU), "s.py")
        == '''\
def relu_forward(x):
    """Doc."""
    # your code here (2 lines)
    raise NotImplementedError'''
    )


def test_the_solution_keeps_its_lines_and_loses_its_marks():
    text = source_format.solved(exercise_cell(RELU), "s.py")
    assert "# ---" not in text
    assert text.splitlines()[2:] == ["    # larger than 0", "    y = np.maximum(x, 0)", "", "    return y, x"]


def test_an_answer_becomes_what_follows_the_colon():
    cell = exercise_cell("# --- your code: best_h = None\nbest_h = 1e-5\n# --- end\nprint(best_h)")
    assert source_format.stubbed(cell, "s.py") == "best_h = None\nprint(best_h)"
    assert source_format.solved(cell, "s.py") == "best_h = 1e-5\nprint(best_h)"


def test_a_stub_may_have_several_lines():
    cell = exercise_cell("# --- your code: a = {\n#:     1: None,\n#: }\na = {1: 2}\n# --- end")
    assert source_format.stubbed(cell, "s.py") == "a = {\n    1: None,\n}"
    assert source_format.solved(cell, "s.py") == "a = {1: 2}"


def test_two_regions_in_one_cell():
    text = RELU + "\n\n\ndef g(x):\n    # --- your code\n    return x\n    # --- end"
    assert source_format.stubbed(exercise_cell(text), "s.py").count("raise NotImplementedError") == 2
    assert "(1 line)" in source_format.stubbed(exercise_cell(text), "s.py")


@pytest.mark.parametrize(
    ("text", "tags", "message"),
    [
        ("x = 1\n# --- end", ("exercise",), r"s\.py, line 12: '# --- end' without '# --- your code'"),
        (
            "def f():\n    # --- your code\n    return 1",
            ("exercise",),
            "line 12: '# --- your code' without '# --- end'",
        ),
        ("def f():\n    # --- your code\n    # --- your code\n    # --- end", ("exercise",), "line 13: .* of line 12"),
        ("# --- your code\nx = 1\n# --- end", ("exercise",), "line 11: outside of a function"),
        ("x = 1", ("exercise",), "line 10: a cell tagged .* without"),
        ("def f():\n    # --- your code\n    # --- end", (), "not tagged"),
        ("def f():\n    # --- Your code\n    # --- end", ("exercise",), "line 12: .* is neither"),
    ],
)
def test_marks_that_do_not_fit_are_told_with_their_line(text, tags, message):
    with pytest.raises(SourceError, match=message):
        source_format.stubbed(exercise_cell(text, tags), "s.py")


# --------------------------------------------------------------------------------------------------------- notebooks
SOURCE = '''\
# %% [markdown]
# # Lesson 0: a test

# %% tags=["setup"]
# setup

# %%
import numpy as np

from lessons import figures, notebook
from lessons.notebook import check

# %% tags=["exercise"]
def relu_forward(x):
    """Doc."""
    # --- your code
    y = np.maximum(x, 0)
    return y, x
    # --- end

# %% tags=["check"]
check("relu", relu_forward)

# %% [markdown] tags=["solution"]
# A word on the solution.

# %% tags=["picture"]
figure, axes = figures.style.new()
axes.plot(notebook.yours(relu_forward, lambda x: (x, x))(np.arange(2))[0])
notebook.show(figure, "A line [rising]")

# %% tags=["picture"]
figure, axes = figures.style.new()
notebook.show(figure, "A square")
'''


def executed(cells):
    """The solution notebook of `SOURCE` as if it had been run."""
    made = source_format.solution_notebook(cells, "s.py")
    for cell in made.cells[-2:]:
        alt = "A line [rising]" if "line" in cell.source else "A square"
        data = {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo="}}
        cell["outputs"] = [nbformat.from_dict({**data, "metadata": {"image/png": {"alt": alt}}})]
    return made


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "00_test.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def test_a_link_to_a_page_leads_there_from_both_folders(tmp_path):
    path = tmp_path / "00_test.py"
    path.write_text("# %% [markdown]\n# See the [glossary](glossary.md), and $y[0](x)$.\n", encoding="utf-8")
    cells = source_format.read_source(path)
    (exercise,) = source_format.exercise_notebook(cells, path.name).cells
    (solution,) = source_format.solution_notebook(cells, path.name).cells
    assert exercise.source == "See the [glossary](glossary.md), and $y[0](x)$."
    assert solution.source == "See the [glossary](../glossary.md), and $y[0](x)$."


def test_both_notebooks_of_a_source(source):
    cells = source_format.read_source(source)
    solution = executed(cells)
    exercise = source_format.exercise_notebook(cells, source.name, solution)
    texts = [cell.source for cell in exercise.cells]
    assert texts[1] == source_format.SETUP == solution.cells[1].source
    assert "raise NotImplementedError" in texts[3]
    assert not any("word on the solution" in text for text in texts)
    assert any("word on the solution" in cell.source for cell in solution.cells)
    *_, mine, expected, explained = exercise.cells
    assert expected.source.endswith("![A line (rising)](attachment:expected-1.png)")
    assert expected.attachments == {"expected-1.png": {"image/png": "iVBORw0KGgo="}}
    assert mine.outputs == []
    assert "jupyter" not in mine.metadata
    assert explained.outputs[0]["metadata"]["image/png"]["alt"] == "A square"
    assert explained.metadata.jupyter.source_hidden
    assert "attachments" not in str(solution)


def test_notebooks_are_the_same_each_time_and_ids_follow_the_text(source):
    cells = source_format.read_source(source)
    text = source_format.text_of(source_format.exercise_notebook(cells, source.name, executed(cells)))
    assert text == source_format.text_of(
        source_format.exercise_notebook(source_format.read_source(source), source.name, executed(cells))
    )
    ids = [cell["id"] for cell in json.loads(text)["cells"]]
    assert len(set(ids)) == len(ids)
    source.write_text(SOURCE.replace("np.arange(2)", "np.arange(3)"), encoding="utf-8")
    changed = source_format.exercise_notebook(source_format.read_source(source), source.name, executed(cells))
    others = [cell["id"] for cell in changed.cells]
    assert sum(a != b for a, b in zip(ids, others, strict=True)) == 1


def test_whose_work_a_cell_shows(source):
    texts = [
        ("a = f(1)", ()),  # f is nobody's yet
        ("def f(x):\n    # --- your code\n    y = x\n    return y\n    # --- end", ("exercise",)),
        ("b, c = f(1), 2", ()),
        ("print(c)", ()),
        ("y = 3", ()),
        ("b = 4\ny", ()),
        ("b", ()),
        ("def show():\n    return notebook.my('conv2d')", ()),
        ("show()", ()),
    ]
    cells = [Cell("code", text, tags, 1) for text, tags in texts]
    assert source_format.own_cells(cells, "s.py") == {1, 2, 3, 7, 8}
    with pytest.raises(SourceError, match="about line 2: the cell is not valid Python"):
        source_format.own_cells([Cell("code", "x = (", (), 1)], "s.py")


def test_equal_cells_have_different_ids(source):
    source.write_text(SOURCE + "\n# %%\n1\n\n# %%\n1\n", encoding="utf-8")
    ids = [c["id"] for c in source_format.solution_notebook(source_format.read_source(source), source.name).cells]
    assert len(set(ids)) == len(ids)


def test_a_source_starts_with_a_cell(source):
    source.write_text("import numpy\n" + SOURCE, encoding="utf-8")
    with pytest.raises(SourceError, match="line 1"):
        source_format.read_source(source)


# ------------------------------------------------------------------------------------------------------------- build
@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq", "ignore::DeprecationWarning:jupyter_client")
def test_build_runs_both_writes_them_and_finds_them_equal(source, tmp_path, monkeypatch):
    lesson = build.Lesson(source)
    for kind in ("solution", "exercise"):
        lesson.ran[kind] = build.run_notebook(source, kind, fast=True, threads=1)
    monkeypatch.setattr(build, "LESSONS", tmp_path / "lessons")
    (tmp_path / "lessons").mkdir()
    build.finish(lesson, write=True)
    assert lesson.problems == []
    assert "00_test" in build.told(lesson)
    text = lesson.files["solution"].read_text(encoding="utf-8")
    assert '"relu   passed (forward)' in text
    assert '"alt": "A line [rising]"' in text
    assert str(tmp_path) not in text
    exercise = json.loads(lesson.files["exercise"].read_text(encoding="utf-8"))
    assert [bool(cell.get("outputs")) for cell in exercise["cells"]] == [False] * 7 + [True]
    assert [list(cell["attachments"]) for cell in exercise["cells"] if "attachments" in cell] == [["expected-1.png"]]

    again = build.Lesson(source, ran=lesson.ran)
    build.finish(again, write=False)
    assert again.problems == []
    source.write_text(SOURCE.replace("# # Lesson 0", "# # Lesson zero"), encoding="utf-8")
    other = build.Lesson(source, ran=lesson.ran)
    build.finish(other, write=False)
    assert re.search("does not follow from its source .*cell 1", other.problems[0])

    words = build.Lesson(source)
    build.reword(words)
    assert words.problems == []
    for file in words.files.values():
        assert "# Lesson zero" in file.read_text(encoding="utf-8")
    assert words.files["solution"].read_text(encoding="utf-8").count('"relu   passed (forward)') == 1
    assert '"expected-1.png"' in words.files["exercise"].read_text(encoding="utf-8")
    source.write_text(SOURCE + "\n# %%\n1\n", encoding="utf-8")
    before = [file.read_bytes() for file in words.files.values()]
    more = build.Lesson(source)
    build.reword(more)
    assert "not only words have changed" in more.problems[0]
    assert [file.read_bytes() for file in words.files.values()] == before

    lesson.files["exercise"].unlink()
    other = build.Lesson(source, ran=lesson.ran)
    build.finish(other, write=False)
    assert any("is missing" in problem for problem in other.problems)
    monkeypatch.setattr(build, "MOST_BYTES", 1000)
    large = build.Lesson(source, ran=lesson.ran)
    build.finish(large, write=True)
    assert any("below 1 MB" in problem for problem in large.problems)
    assert not lesson.files["exercise"].exists()
    monkeypatch.setattr(build, "FAST_SECONDS", 0.0)
    slow = build.Lesson(source, ran=lesson.ran)
    build.finish(slow, write=False)
    assert any("in fast mode" in problem for problem in slow.problems)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq", "ignore::DeprecationWarning:jupyter_client")
def test_build_tells_what_is_wrong_with_a_lesson(source):
    text = SOURCE.replace("np.maximum(x, 0)\n", "np.minimum(x, 0)\n")
    text += '\n# %%\nfrom IPython.display import display\n\ndisplay({"image/png": "iVBORw0KGgo="}, raw=True)\n'
    source.write_text(text + "\n# %%\nnothing_of_this_name\n", encoding="utf-8")
    ran = build.run_notebook(source, "solution", fast=True, threads=1)
    told = "\n".join(ran.problems)
    assert "raises NameError: name 'nothing_of_this_name' is not defined" in told
    assert "check('relu') says 'failed'" in told
    assert "a picture without alt text" in told


def test_an_untouched_exercise_must_not_pass():
    passed = [{"kind": "check", "exercise": "relu", "status": "passed", "title": ""}]
    not_yet = [{**passed[0], "status": "not implemented"}]
    assert build._wrong_verdicts(not_yet, "exercise") == [] == build._wrong_verdicts(passed, "solution")
    assert "where 'not implemented' is wanted" in build._wrong_verdicts(passed, "exercise")[0]
    assert "where 'passed' is wanted" in build._wrong_verdicts(not_yet, "solution")[0]
    assert build._wrong_verdicts([], "solution") == ["no check was called"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["99"], "there is no lesson '99'"), (["--nothing"], "--nothing"), (["--jobs", "0"], "must be 1 to")],
)
def test_bad_use_is_a_users_mistake(arguments, message):
    with pytest.raises(UserError, match=message):
        build.main(arguments)


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"jupytext is not installed; .*make lessons"):
        build.main(["01"])


def test_a_lesson_goes_by_its_number():
    assert [p.stem[:2] for p in build.chosen(["7", "02", "07"])] == ["02", "07"]


# ------------------------------------------------------------------------------------------------------------- setup
def run_setup(folder, path=""):
    code = source_format.SETUP + "\nprint(lessons.notebook.__file__)"
    environment = {"PATH": "", "PYTHONPATH": str(path), "MPLCONFIGDIR": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("folder", ["lessons", "lessons/solutions", "lessons/figures", "."])
def test_the_first_cell_finds_the_checkout(folder):
    done = run_setup(ROOT / folder)
    assert Path(done.stdout.strip()) == LESSONS / "notebook.py", done.stderr


def test_the_first_cell_says_in_one_line_what_is_missing(tmp_path):
    done = run_setup(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("minigan is not here: open this notebook in a checkout, or upload")
    assert len(done.stderr.splitlines()) == 1
    (tmp_path / "lessons").mkdir()
    (tmp_path / "minigan").mkdir()
    (tmp_path / "lessons" / "__init__.py").touch()  # or an installed minigan's lessons would be found first
    (tmp_path / "lessons" / "notebook.py").write_text("import no_such_module\n", encoding="utf-8")
    done = run_setup(tmp_path)
    assert done.stderr.startswith("no_such_module is not installed in this notebook's Python")
    assert len(done.stderr.splitlines()) == 1


def test_the_first_cell_unpacks_an_uploaded_zip(tmp_path):
    tools, here = tmp_path / "tools", tmp_path / "here"
    tools.mkdir()
    here.mkdir()
    (tools / "pip.py").write_text("import sys\nprint(sys.argv[1:])\n", encoding="utf-8")
    with zipfile.ZipFile(here / "minigan.zip", "w") as archive:
        archive.writestr("project-main/lessons/notebook.py", "")
        archive.writestr("project-main/lessons/__init__.py", "")
        archive.writestr("project-main/minigan/__init__.py", "")
    done = run_setup(here, tools)
    installed, found = done.stdout.splitlines()
    assert "install" in installed
    assert "project-main" in installed
    assert Path(found) == here / "minigan-project" / "project-main" / "lessons" / "notebook.py"
    with zipfile.ZipFile(here / "minigan.zip", "w") as archive:
        archive.writestr("something/else.txt", "")
    import shutil

    shutil.rmtree(here / "minigan-project")
    assert "is no zip of the project" in run_setup(here, tools).stderr


# ------------------------------------------------------------------------------------------------------------- check
def centre(x, k):
    return x - x.mean(axis=1, keepdims=True) + k


def cases(rng):
    return [(rng.standard_normal((n, c)), k) for n, c, k in ((4, 5, 0.5), (2, 3, 1.0), (3, 3, -2.0))]


def over_all(x, k):
    return x - x.mean() + k


CENTRE = Exercise(
    "centre",
    1,
    centre,
    cases,
    (
        Mistake(over_all, "the mean runs over the whole array: axis=1 is missing."),
        Mistake(lambda x, k: (x - x.mean(axis=1, keepdims=True) + k)[0], "only the first row comes back."),
    ),
    ("First.", "Second.", "Third."),
)


@pytest.fixture
def ask(monkeypatch, capsys):
    """Check something given for an exercise; verdict and what was printed."""

    def ask(exercise, *given, **settings):
        monkeypatch.setattr(exercises, "find", lambda name: exercise if name == exercise.name else None)
        verdict = notebook.check(exercise.name, *given, **settings)
        return verdict, capsys.readouterr().out

    return ask


def test_the_right_function_passes(ask):
    verdict, told = ask(CENTRE, centre)
    assert verdict.passed
    assert told == "centre   passed (3 cases)\n"


def test_nothing_written_yet(ask):
    def centre(x, k):
        raise NotImplementedError

    verdict, told = ask(CENTRE, centre)
    assert (verdict.passed, told) == (False, "centre   not implemented yet\n")
    verdict, told = ask(CENTRE, centre, hint=2)
    assert told.splitlines()[1:] == ["  Hint 1 of 3: First.", "  Hint 2 of 3: Second."]
    assert ask(CENTRE, None)[1] == "centre   not answered yet\n"


def test_a_wrong_value_is_told_with_the_worst_entry_and_the_smallest_case(ask):
    def mine(x, k):
        y = centre(x, k)
        y[1, 2] += 0.25
        return y

    verdict, told = ask(CENTRE, mine)
    assert not verdict.passed
    assert "mine: 1 of 6 values of the result are wrong" in told
    assert re.search(r"worst at \(1, 2\): yours [+-]\d", told)
    assert "in every case, such as x (2, 3), k = 1" in told
    assert told.count("= [[") == 3  # x, yours, expected
    assert "Hint 1 of 3: First." in told
    assert 'Next hint: check("centre", ..., hint=2)' in told
    assert "Lesson 1." in told
    assert "Hint" not in ask(CENTRE, mine, hint=0)[1].replace("Next hint", "")
    assert "Third." in ask(CENTRE, mine, hint=3)[1]


def test_a_known_mistake_is_named_also_by_its_shape(ask):
    assert "Probably: the mean runs over the whole array" in ask(CENTRE, over_all)[1]
    told = ask(CENTRE, lambda x, k: centre(x, k)[0])[1]
    assert "the result has shape (5,), expected (4, 5)" in told
    assert "Probably: only the first row comes back." in told
    assert "Probably" not in ask(CENTRE, lambda x, k: np.zeros_like(x))[1]
    useless = replace(CENTRE, mistakes=(Mistake(lambda x: x, "takes other arguments, so it is not the one."),))
    assert "Probably" not in ask(useless, over_all)[1]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x, k: {"y": x}, r"the result must be an array of shape \(4, 5\), got a dict"),
        (lambda x, k: None, r"the result must be an array of shape \(4, 5\), got None"),
        (lambda x, k: centre(x, k) > 0, "the result has dtype bool, expected float64"),
        (lambda x, k: centre(x, k) * np.nan, "yours nan, expected"),
        (lambda x: x, "cannot be called with the exercise's arguments"),
        (3, "a function is wanted, got 3"),
    ],
)
def test_a_wrong_form_is_told(ask, function, message):
    verdict, told = ask(CENTRE, function)
    assert not verdict.passed
    assert re.search(message, told), told


def test_an_exception_is_told_with_the_students_line(ask):
    def mine(x, k):
        return x - x.mean(axis=7)  # the line

    _, told = ask(CENTRE, mine)
    assert "E10   mine raises AxisError: axis 7 is out of bounds" in told
    assert re.search(r"line \d+ of mine: return x - x.mean\(axis=7\)", told)
    assert "called with x (4, 5), k = 0.5" in told


def test_the_right_numbers_are_right_in_any_form(ask):
    for form in (lambda y: y.tolist(), lambda y: tuple(map(tuple, y)), lambda y: y.astype(np.float32)):
        assert ask(CENTRE, lambda x, k, form=form: form(centre(x, k)))[0].passed
    assert "float32" in ask(CENTRE, lambda x, k: centre(x, k).astype(np.float32))[1]
    assert "float32" not in ask(CENTRE, centre)[1]
    nearly = ask(CENTRE, lambda x, k: centre(x, k) * (1 + 1e-7))
    assert not nearly[0].passed


def test_a_cause_explains_the_cases_that_pass_too(ask):
    """The mean over everything, but for k = 1 only."""
    assert "Probably" not in ask(CENTRE, lambda x, k: over_all(x, k) if k == 1 else centre(x, k))[1]


def test_a_changed_input_is_told(ask):
    def mine(x, k):
        x -= x.mean(axis=1, keepdims=True)
        return x + k

    assert "E20   mine modifies its input x" in ask(CENTRE, mine)[1]


def test_other_kinds_of_results(ask):
    def statistics(x):
        return float(x.sum()), {"n": x.size}, "sum", x.size > 3

    exercise = Exercise("statistics", 1, statistics, lambda rng: [(rng.standard_normal(4),)])
    assert ask(exercise, statistics)[0].passed
    wrong = [
        (lambda x: statistics(x)[:3], "the result must be a tuple of 4, got tuple of 3"),
        (lambda x: (statistics(x)[0] + 1, *statistics(x)[1:]), "result 1 of 4 is wrong"),
        (lambda x: (x, *statistics(x)[1:]), "result 1 of 4 must be one number"),
        (lambda x: (float(x.sum()), {"m": 1}, "sum", True), "keys 'n'"),
        (lambda x: (float(x.sum()), {"n": 5}, "sum", True), r"result 2 of 4\['n'\] is wrong"),
        (lambda x: (float(x.sum()), {"n": 4}, "Sum", True), "yours 'Sum', expected 'sum'"),
        (lambda x: (float(x.sum()), {"n": 4}, "sum", 1), "result 4 of 4 must be True, got 1"),
        (lambda x: {1, 2}, "must be a tuple of 4, got a set"),
    ]
    assert ask(exercise, lambda x: list(statistics(x)))[0].passed
    for function, message in wrong:
        verdict, told = ask(exercise, function)
        assert not verdict.passed
        assert re.search(message, told), told


def test_an_exercise_with_a_judge_of_its_own(ask):
    def judge(h):
        if callable(h):
            h = h(1)
        return Verdict.ok("just so") if 1e-6 < h < 1e-4 else Verdict.wrong("too far off", f"h = {h:g}", cause="why.")

    exercise = Exercise("best_h", 2, judge=judge, hints=("First.", "Second.", "Third."))
    assert ask(exercise, 1e-5)[1] == "best_h   passed (just so)\n"
    told = ask(exercise, 1.0)[1]
    assert told.startswith(
        'best_h   FAIL   too far off\n  h = 1\n  Probably: why.\n  Lesson 2.  Next hint: check("best_h", ..., hint=1)\n'
    )
    assert not ask(exercise, None)[0].passed

    def unwritten(x):
        raise NotImplementedError

    assert "not implemented yet" in ask(exercise, unwritten)[1]

    def broken(x):
        return [][x]

    assert "broken raises IndexError" in ask(exercise, broken)[1]
    with pytest.raises(TypeError):  # the lesson's own mistake, and not the student's
        ask(Exercise("bad", 2, judge=style.symmetric), "x")
    with pytest.raises(ValueError, match="either reference and cases, or judge"):
        Exercise("neither", 2)


def test_minigans_own_exercises(capsys):
    def forward(x):
        return np.maximum(x, 0), x

    def backward(dy, cache):
        return dy * (cache > 0)

    def unwritten(*arguments):
        raise NotImplementedError

    assert notebook.check("relu", forward, backward).passed
    assert notebook.check("relu", forward).passed
    assert not notebook.check("relu", forward, unwritten).passed
    assert not notebook.check("relu", unwritten).passed
    assert not notebook.check("relu", lambda x: (2 * x, x), backward).passed
    told = capsys.readouterr().out
    assert "relu   passed (forward, dx)" in told
    assert "not implemented yet (but right so far: forward)" in told
    assert "relu   FAIL   E3" in told


def test_check_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="there is no exercise 'conv_2d'; did you mean conv2d"):
        notebook.check("conv_2d", None)
    with pytest.raises(ValueError, match="hint must be 0, 1, 2 or 3"):
        notebook.check("relu", None, hint=4)
    with pytest.raises(ValueError, match="got 3 functions"):
        notebook.check("relu", None, None, None)
    with pytest.raises(ValueError, match='"NHWC" or "NCHW"'):
        notebook.check("relu", None, layout="HWC")


def test_verdicts_are_written_down_where_the_course_is_built(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_LESSONS_VERDICTS", str(tmp_path / "v"))
    notebook.check("relu", lambda x: (np.maximum(x, 0), x))
    notebook.check("relu", None)
    lines = [json.loads(line) for line in (tmp_path / "v").read_text(encoding="utf-8").splitlines()]
    assert [line["status"] for line in lines] == ["passed", "not implemented"]


# ---------------------------------------------------------------------------------------------------------- pictures
def test_show_gives_the_picture_its_text(monkeypatch):
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda *a, **k: shown.append((a, k)))
    figure, axes = style.new()
    style.cells(axes, np.array([[1.0, -2.0]]))
    notebook.show(figure, "Two cells")
    (content,), settings = shown[0]
    assert content["image/png"].startswith("iVBOR")
    assert content["text/plain"] == "Two cells"
    assert settings["metadata"] == {"image/png": {"alt": "Two cells"}}
    with pytest.raises(ValueError, match="alt must say"):
        notebook.show(figure, " ")


def test_a_page_is_shown_in_a_frame(monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *content, **settings: shown.append(content[0]))
    page = tmp_path / "page.html"
    page.write_text('<p class="x">1 < 2 & 3</p>', encoding="utf-8")
    notebook.show_page(page, 'A "page"')
    assert shown[0]["text/plain"] == 'A "page"'
    assert 'srcdoc="&lt;p class=&quot;x&quot;&gt;1 &lt; 2 &amp; 3&lt;/p&gt;"' in shown[0]["text/html"]


def test_equal_figures_give_equal_bytes(monkeypatch):
    shown = []
    monkeypatch.setattr(notebook, "show_image", lambda data, alt: shown.append(data))
    for _ in range(2):
        figure, axes = style.new(2, 1, 4, 2)
        axes[0].plot([1, 2], **style.LINES[0])
        notebook.show(figure, "A line")
    assert shown[0] == shown[1]


def test_yours_falls_back_and_says_so_once(capsys):
    def mine(x):
        if x < 0:
            raise NotImplementedError
        return x

    either = notebook.yours(mine, abs)
    assert [either(2), either(-3), either(-4)] == [2, 3, 4]
    assert capsys.readouterr().out == "mine: drawn with minigan's own until yours is written\n"
    assert notebook.yours(None, abs)(-1) == 1


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        (lambda x: 1 / 0, "runs (ZeroDivisionError)"),
        (lambda x: None, "returns something"),
        (lambda x: x[:1], "returns an array of shape (3,)"),
        (lambda x: (x, x), "returns an array of shape (3,)"),
        (lambda x: list(x), "returns an array of shape (3,)"),
    ],
)
def test_a_picture_survives_a_wrong_answer(mine, said, capsys):
    either = notebook.yours(mine, np.abs, alike=True)
    assert either(np.array([-1, 2, -3])).tolist() == [1, 2, 3]
    assert capsys.readouterr().out == f"<lambda>: drawn with minigan's own until yours {said}\n"


def test_a_wrong_answer_of_the_right_form_is_drawn(capsys):
    assert notebook.yours(lambda x: -x, np.abs, alike=True)(np.array([1, 2])).tolist() == [-1, -2]
    pair = notebook.yours(lambda x: (2 * x, "a cache"), lambda x: (x, (x, 1)), alike=True)
    assert pair(np.ones(2))[1] == "a cache"
    assert capsys.readouterr().out == ""


def test_keep_does_not_repeat_what_check_has_just_said(capsys):
    def relu_forward(x):
        return -x, None

    for _ in range(2):
        notebook.check("relu", relu_forward, lambda dy, cache: dy)
        assert "FAIL" in capsys.readouterr().out
        notebook.keep("relu", relu_forward, lambda dy, cache: dy)
        assert capsys.readouterr().out.count("\n") == 1
    notebook.check("tanh", np.tanh)
    capsys.readouterr()
    notebook.keep("relu", relu_forward, lambda dy, cache: dy)
    assert "FAIL" in capsys.readouterr().out


def test_hints_after_an_exception_or_a_wrong_shape_begin_with_what_to_do(capsys):
    notebook.check("rings", lambda H, W: 1 / 0, hint=3)
    told = capsys.readouterr().out
    assert "Hint 1 of 3: Call it by hand" in told
    assert "Hint 3 of 3: i = np.arange(H)" in told
    notebook.check("rings", lambda H, W: np.zeros(3), hint=1)
    assert "Hint 1 of 3: Write the shape" in capsys.readouterr().out


def test_hints_for_a_backward_that_is_not_written_are_about_all_gradients(capsys):
    def dense_backward(dy, cache):
        raise NotImplementedError

    notebook.check("dense", lambda x, w, b: (x @ w + b, None), dense_backward, hint=3)
    told = capsys.readouterr().out
    assert all(line in told for line in ("dx = dy @ w.T", "dw = x.T @ dy", "db = dy.sum(axis=0)"))


@pytest.mark.parametrize(
    ("exercise", "last"),
    [
        ("conv2d", "im2col(x, K, stride, pad) @ w.reshape"),
        ("conv2d_transpose", "x.reshape(-1, C) @ w.reshape(K*K*O"),
    ],
)
def test_lessons_speak_of_their_own_way(exercise, last, capsys):
    notebook.check(exercise, lambda x, w, b, stride=1, pad=0: (x, None), hint=3)
    told = capsys.readouterr().out
    assert last in " ".join(told.split())
    assert "tensordot" not in told
    assert "einsum" not in told


def test_the_graph_is_not_spared_by_a_formula(capsys):
    from lessons.exercises import lesson10

    def wrong(dy, cache):
        return dy, dy.sum(), dy.sum()

    for backward in (wrong, lambda dy, cache: (lesson10.three_paths(dy, *cache)[0], *norm_sums(dy, cache))):
        notebook.check("batch_norm", lesson10.batch_norm_forward, backward, hint=3, method="graph")
        told = " ".join(capsys.readouterr().out.split())
        assert "mean(dy * xhat)" not in told
    assert "dc = dc + 2 * c * dq" in told
    with pytest.raises(ValueError, match="method"):
        notebook.check("batch_norm", lesson10.batch_norm_forward, method="guess")


def norm_sums(dy, cache):
    axes = tuple(range(dy.ndim - 1))
    return (dy * cache[0]).sum(axis=axes), dy.sum(axis=axes)


def test_the_lesson_that_is_named_is_the_one_that_teaches_it(capsys):
    notebook.check("conv2d", lambda x, w, b, stride=1, pad=0: (x, None))
    assert "Lesson 7." in capsys.readouterr().out


def test_an_exception_in_a_given_function_shows_the_students_line(capsys):
    space = {}
    given = "def col2im(cols, shape):\n    return cols.reshape(shape)\n"
    mine = "def conv2d_transpose_forward(x, w, b, stride=1, pad=0):\n    return col2im(x, (1, 2)), None\n"
    for name, text in (("given.py", given), ("mine.py", mine)):
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec"), space)
    notebook.check("conv2d_transpose", space["conv2d_transpose_forward"])
    told = capsys.readouterr().out
    assert "conv2d_transpose_forward raises ValueError" in told
    assert "line 2 of conv2d_transpose_forward: return col2im(x, (1, 2)), None" in told
    assert "from there, line 2 of col2im: return cols.reshape(shape)" in told


def test_fast(monkeypatch):
    monkeypatch.delenv("MINIGAN_LESSONS_FAST", raising=False)
    assert notebook.fast(1000, 10) == 1000
    monkeypatch.setenv("MINIGAN_LESSONS_FAST", "1")
    assert notebook.fast(1000, 10) == 10


def test_colours_keep_their_order_in_grey():
    import matplotlib

    colours = matplotlib.colormaps[style.SIGNED](np.linspace(0, 1, 50))[:, :3] @ [0.299, 0.587, 0.114]
    assert (np.diff(colours) > 0).all()
    assert style.symmetric(np.zeros(2)) == {"vmin": -1.0, "vmax": 1.0}
    dashes = {(str(line["linestyle"]), line["marker"]) for line in style.LINES}
    assert len(dashes) == len(style.LINES)


def test_pictures_are_loaded_when_asked_for_and_their_examples_hold():
    found = doctest.testmod(style)
    assert (found.failed, found.attempted) == (0, 1)
    assert figures.arrays.memory
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        figures.nothing  # noqa: B018


# -------------------------------------------------------------------------------------------------------------- keep
HELPERS = """
import numpy as np
from math import prod

HALF = 0.5

def out_size(size, K, stride, pad):
    return (size + 2 * pad - K) // stride + 1

def im2col(x, K, stride, pad):
    N, H, W, C = x.shape
    Ho, Wo = out_size(H, K, stride, pad), out_size(W, K, stride, pad)
    xp = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    cols = np.empty((N, Ho, Wo, K, K, C), x.dtype)
    for i in range(Ho):
        for j in range(Wo):
            cols[:, i, j] = xp[:, i * stride : i * stride + K, j * stride : j * stride + K]
    return cols.reshape(N * Ho * Wo, prod((K, K, C))), (N, Ho, Wo)

def col2im(cols, shape, K, stride, pad):
    N, H, W, C = shape
    Ho, Wo = out_size(H, K, stride, pad), out_size(W, K, stride, pad)
    dxp = np.zeros((N, H + 2 * pad, W + 2 * pad, C), cols.dtype)
    cols = cols.reshape(N, Ho, Wo, K, K, C)
    for i in range(Ho):
        for j in range(Wo):
            dxp[:, i * stride : i * stride + K, j * stride : j * stride + K] += cols[:, i, j]
    return dxp[:, pad : pad + H, pad : pad + W].copy()
"""

CONV = """
def conv2d_forward(x, w, b, stride=1, pad=0):
    cols, size = im2col(x, len(w), stride, pad)
    y = cols @ w.reshape(-1, w.shape[3]) + b
    return y.reshape(*size, -1), (x.shape, cols, w, stride, pad)

def conv2d_backward(dy, cache):
    shape, cols, w, stride, pad = cache
    dy = dy.reshape(-1, dy.shape[3])
    dcols = dy @ w.reshape(-1, w.shape[3]).T
    return col2im(dcols, shape, len(w), stride, pad), (cols.T @ dy).reshape(w.shape), dy.sum(axis=0)
"""

TRANSPOSE = """
def conv2d_transpose_forward(x, w, b, stride=1, pad=0):
    K, _, O, C = w.shape
    N, H, W, _ = x.shape
    shape = (N, stride * (H - 1) + K - 2 * pad, stride * (W - 1) + K - 2 * pad, O)
    return col2im(x.reshape(-1, C) @ w.reshape(-1, C).T, shape, K, stride, pad) + b, (x, w, stride, pad)

def conv2d_transpose_backward(dy, cache):
    x, w, stride, pad = cache
    cols, _ = im2col(dy, len(w), stride, pad)
    rows = x.reshape(-1, x.shape[3])
    dx = (cols @ w.reshape(-1, x.shape[3])).reshape(x.shape)
    return dx, (cols.T @ rows).reshape(w.shape), dy.sum(axis=(0, 1, 2))
"""

OTHERS = """
class Cache:
    def __init__(self, *parts):
        self.parts = parts

def half_tanh(x):
    return np.tanh(HALF * x)

def leaky_relu_forward(x, alpha=2 * HALF * 0.2):
    return np.where(x > 0, x, alpha * x).astype(x.dtype), (x, alpha)

def leaky_relu_backward(dy, cache):
    x, alpha = cache
    return np.where(x > 0, dy, alpha * dy).astype(dy.dtype)

def sigmoid_forward(x):
    y = HALF + HALF * half_tanh(x)
    return y, Cache(y)

def sigmoid_backward(dy, cache):
    y, = cache.parts
    return dy * y * (1 - y)

def batch_norm_forward(x, gamma, beta, eps=1e-3):
    axes = tuple(range(x.ndim - 1))
    std = np.sqrt(x.var(axis=axes) + np.asarray(eps, x.dtype))
    xhat = (x - x.mean(axis=axes)) / std
    return gamma * xhat + beta, (xhat, gamma, std)

def batch_norm_backward(dy, cache):
    xhat, gamma, std = cache
    axes = tuple(range(dy.ndim - 1))
    dx = gamma / std * (dy - dy.mean(axis=axes) - xhat * (dy * xhat).mean(axis=axes))
    return dx, (dy * xhat).sum(axis=axes), dy.sum(axis=axes)
"""


class Session:
    """What a notebook does: cells run one after the other in one module, and their sources can be found."""

    count = 0

    def __init__(self, monkeypatch):
        self.module = types.ModuleType("notebook_of_a_test")
        monkeypatch.setitem(sys.modules, "notebook_of_a_test", self.module)

    def run(self, text):
        Session.count += 1
        name = f"<cell {Session.count}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec"), vars(self.module))
        return self

    def keep(self, exercise):
        return notebook.keep(exercise, *(getattr(self.module, name) for name in EXERCISES[exercise].functions))


@pytest.fixture
def layers(tmp_path, monkeypatch):
    path = tmp_path / "my_layers.py"
    monkeypatch.setenv("MINIGAN_LESSONS_LAYERS", str(path))
    return path


@pytest.fixture
def session(monkeypatch, layers):
    return Session(monkeypatch)


def test_kept_layers_stand_on_their_own_and_make_the_real_networks(session, layers, capsys):
    session.run(HELPERS).run(CONV).run(TRANSPOSE).run(OTHERS)
    kept = ["conv2d", "conv2d_transpose", "leaky_relu", "sigmoid", "batch_norm"]
    assert all(session.keep(name).passed for name in kept)
    report = check_file(layers, exercises=kept)
    assert [outcome.status for outcome in report.outcomes] == ["passed"] * len(kept), layers.read_text()
    assert layers.read_text(encoding="utf-8").count("def im2col") == 2  # one in each section, the same
    capsys.readouterr()
    ops = notebook.my_ops()
    assert capsys.readouterr().out == (
        "yours: leaky_relu, sigmoid, conv2d, conv2d_transpose, batch_norm\n"
        "minigan's own: dense, relu, tanh, flatten, bce_with_logits, adam, batch_norm_inference, moving_average\n"
    )
    assert ops.conv2d_forward is not LIBRARY.conv2d_forward
    assert ops.batch_norm_backward.__module__ == "my_layers"
    assert ops.dense_forward is LIBRARY.dense_forward
    rng = np.random.default_rng(0)
    for build_network, shape in ((generator, (2, 1, 1, 100)), (discriminator, (2, 32, 32, 3))):
        networks = [build_network(image_size=32, width=2, dtype=np.float64, **o) for o in ({"ops": ops}, {})]
        x = rng.standard_normal(shape)
        results = []
        for network in networks:
            y, cache = network.forward(x, training=True)
            dx = network.backward(np.cos(np.arange(y.size)).reshape(y.shape), cache)
            results.append({"y": y, **({} if dx is None else {"dx": dx}), **network.grads()})
        for name, value in results[0].items():
            np.testing.assert_allclose(value, results[1][name], rtol=1e-7, atol=1e-9, err_msg=name)
    assert notebook.my("conv2d")[0](np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1)), np.zeros(1))[0].sum() == 16


def test_helpers_of_one_name_do_not_get_into_each_others_way(session, layers):
    session.run(HELPERS).run(CONV)
    assert session.keep("conv2d").passed
    other = HELPERS.replace("def im2col(x, K, stride, pad):", "def im2col(x, K, stride, pad):\n    assert K != 99")
    session.run(other).run(TRANSPOSE)
    assert session.keep("conv2d_transpose").passed
    text = layers.read_text(encoding="utf-8")
    assert "im2col_2(dy, len(w), stride, pad)" in text
    assert "col2im_2" not in text
    assert all(o.ok for o in check_file(layers, exercises=["conv2d", "conv2d_transpose"]).outcomes)
    assert session.keep("conv2d").passed  # again: its section is replaced
    text = layers.read_text(encoding="utf-8")
    assert text.count("# --- end of conv2d\n") == 1
    assert all(o.status == "passed" for o in check_file(layers, exercises=["conv2d", "conv2d_transpose"]).outcomes)


def test_a_function_may_have_another_name(session, layers):
    session.run("import numpy as np\ndef f(x):\n    return np.maximum(x, 0), x\ndef g(dy, c):\n    return dy * (c > 0)")
    assert notebook.keep("relu", session.module.f, session.module.g).passed
    assert "relu_forward = f" in layers.read_text(encoding="utf-8")
    assert check_file(layers, exercises=["relu"]).outcomes[0].status == "passed"


def test_local_names_are_not_taken_for_globals(session, layers):
    session.run("import numpy as np\nx = y = np.zeros(3)")
    session.run("def relu_forward(x):\n    y = np.maximum(x, 0)\n    return y, x")
    session.run("def relu_backward(dy, x):\n    return np.array([d for d in (dy * (x > 0))])")
    assert session.keep("relu").passed


RELU_BACKWARD = "\ndef relu_backward(dy, x):\n    return dy * (x > 0)\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "zero = np.zeros(1, np.float32)\ndef relu_forward(x):\n    return np.maximum(x, zero), x",
            "uses zero, a ndarray of the",
        ),
        ("relu_forward = lambda x: (np.maximum(x, 0), x)", "a lambda has no name"),
        (
            "def make():\n    def relu_forward(x):\n        return np.maximum(x, 0), x\n    return relu_forward\n"
            "relu_forward = make()",
            "inside another function",
        ),
        (
            "from lessons.notebook import fast\ndef relu_forward(x):\n    return np.maximum(x, fast(0, 0)), x",
            "uses fast of the lessons' own code",
        ),
        ("import functools\nrelu_forward = functools.partial(lambda a, x: (np.maximum(x, a), x), 0)", "no function"),
    ],
)
def test_what_cannot_be_kept_is_told(session, layers, capsys, text, message):
    session.run("import numpy as np\n" + text + RELU_BACKWARD)
    verdict = session.keep("relu")
    assert not verdict.passed
    assert message in capsys.readouterr().out
    assert not layers.exists()


def test_wrong_and_unwritten_layers_are_not_kept(session, layers, capsys):
    session.run("import numpy as np\ndef relu_forward(x):\n    return np.maximum(x, 0), x")
    session.run("def relu_backward(dy, x):\n    return dy * (x < 0)")
    assert not session.keep("relu").passed
    told = capsys.readouterr().out
    assert "relu   FAIL   E" in told
    assert "relu   not kept" in told
    session.run("def relu_backward(dy, x):\n    raise NotImplementedError")
    assert not session.keep("relu").passed
    assert "not implemented yet (but right so far: forward): nothing kept" in capsys.readouterr().out
    assert not layers.exists()
    with pytest.raises(ValueError, match="relu is relu_forward and relu_backward, got 1"):
        notebook.keep("relu", session.module.relu_forward)
    with pytest.raises(ValueError, match="exercise must be one of"):
        notebook.keep("nothing", session.module.relu_forward)


def test_my_without_kept_layers_is_minigans_own(layers, capsys):
    from minigan.nn import ops

    assert notebook.my("dense_forward") is ops.dense_forward
    assert notebook.my_ops() is ops.LIBRARY
    assert "yours" not in capsys.readouterr().out
    p, g = np.ones(2), np.full(2, 0.5)
    assert notebook.my("sgd")(p, g, 0.1).tolist() == [0.95, 0.95]
    moved, v = notebook.my("momentum_step")(p, g, np.zeros(2), 0.1)
    assert (moved.tolist(), v.tolist()) == ([0.95, 0.95], [0.5, 0.5])
    assert notebook.my("bce_with_logits")[0](np.zeros((1, 1)), np.ones((1, 1)))[0] == pytest.approx(np.log(2))
    for exercise in EXERCISES:
        assert notebook.check(exercise, *np.atleast_1d(np.array(notebook.my(exercise), dtype=object))).passed
    with pytest.raises(ValueError, match="there is no function or exercise 'nothing'"):
        notebook.my("nothing")


EDITED = """
import numpy as np

def tanh_forward(x):
    y = np.tanh(x)
    return y, y

def tanh_backward(dy, y):
    return dy * (1 - y * y)

def relu_forward(x):
    return np.maximum(x, 0), x

def relu_backward(dy, x):
    return dy * (x < 0)

def dense_forward(x, w, b):
    raise NotImplementedError

def dense_backward(dy, cache):
    raise NotImplementedError

def sgd_step(p, g, lr):
    return p + lr * g

def adam_step(p, g, m, v, t, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    return p - lr * (1 - beta2**t) ** 0.5 / (1 - beta1**t) * m / (v**0.5 + eps), m, v

def discriminator_step(D, optimizer, x, labels):
    return 0.0
"""


def test_what_is_kept_is_checked_again_before_it_is_used(layers, capsys):
    """Somebody may have edited the file, or started it from a template: a stub or a wrong layer is never "yours"."""
    layers.write_text(EDITED, encoding="utf-8")
    ops = notebook.my_ops()
    assert capsys.readouterr().out == (
        "yours: tanh, adam\n"
        "not used: dense (not written), relu (E63)\n"
        "minigan's own: leaky_relu, sigmoid, flatten, bce_with_logits, conv2d, conv2d_transpose, batch_norm, "
        "batch_norm_inference, moving_average\n"
    )
    assert ops.tanh_forward.__module__ == "my_layers"
    assert ops.new_adam is not LIBRARY.new_adam
    for name in ("dense_forward", "dense_backward", "relu_forward"):
        assert getattr(ops, name) is getattr(LIBRARY, name)
    assert notebook.my("dense_forward") is LIBRARY.dense_forward
    assert notebook.my("sgd")(np.ones(1), np.ones(1), 0.25).tolist() == [0.75]  # minigan's: the kept one goes uphill
    assert notebook.my("adam").__module__ == "my_layers"

    gan = notebook.my_gan(image_size=32, width=2)
    told = capsys.readouterr().out.splitlines()
    assert told[1] == "not used: dense (not written), relu (E63), discriminator_step (E81)"
    assert told[2].endswith(", moving_average")
    assert "generator_step" in told[2]
    assert gan.discriminator_step is discriminator_step
    assert gan.g_optimizer.ops is gan.generator.ops


@pytest.mark.parametrize("text", [own_layers.SOLUTIONS, own_layers.NCHW], ids=["NHWC", "NCHW"])
def test_a_gan_of_all_that_is_kept_trains_in_either_layout(layers, capsys, text):
    layers.write_text(text, encoding="utf-8")
    real = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3)).astype(np.float32)
    gans = notebook.my_gan(image_size=32, width=2), build_gan(image_size=32, width=2)
    told = capsys.readouterr().out
    assert "not used" not in told
    assert told.endswith("minigan's own: relu, sigmoid\n")
    assert gans[0].discriminator_step is not discriminator_step
    ours, theirs = (train_step(gan, draw_inputs(real, 1, 0)).metrics for gan in gans)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    x = np.random.default_rng(1).standard_normal((2, 5, 4, 3))
    w, b = np.ones((3, 3, 3, 2)), np.zeros(2)
    right = LIBRARY.conv2d_forward(x, w, b, pad=1)[0]
    np.testing.assert_allclose(notebook.my("conv2d_forward")(x, w, b, pad=1)[0], right)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:", "not valid Python: invalid syntax: line 1: def f"),
        ('LAYOUT = "HWCN"', "LAYOUT = 'HWCN': the checker knows NHWC and NCHW"),
        ("1 / 0", "ZeroDivision"),
    ],
)
def test_a_damaged_file_of_layers_is_told(layers, text, message):
    layers.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        notebook.my_ops()


OLDER = """# --- sigmoid: kept from the lessons
from minigan.ops import sigmoid_forward as library_forward
import minigan.ops as ops


def sigmoid_forward(x):
    return library_forward(x)


def sigmoid_backward(dy, cache):
    return ops.sigmoid_backward(dy, cache)
# --- end of sigmoid
"""


def test_a_file_from_before_modules_moved_is_read_checked_and_added_to(session, layers):
    layers.write_text(OLDER, encoding="utf-8")
    assert notebook.my_ops().sigmoid_forward.__module__ == "my_layers"
    assert check_file(layers, exercises=["sigmoid"]).outcomes[0].status == "passed"
    assert layers.read_text(encoding="utf-8") == OLDER
    session.run("import numpy as np\ndef relu_forward(x):\n    return np.maximum(x, 0), x" + RELU_BACKWARD)
    assert session.keep("relu").passed
    outcomes = check_file(layers, exercises=["sigmoid", "relu"]).outcomes
    assert [outcome.status for outcome in outcomes] == ["passed", "passed"]


def test_a_damaged_file_is_not_written_over(session, layers, capsys):
    layers.write_text("def f(:", encoding="utf-8")
    session.run("import numpy as np\ndef relu_forward(x):\n    return np.maximum(x, 0), x" + RELU_BACKWARD)
    assert not session.keep("relu").passed
    assert "relu   not kept" in capsys.readouterr().out
    assert layers.read_text(encoding="utf-8") == "def f(:"


WHOLE_RELU = "import numpy as np\ndef relu_forward(x):\n    return np.maximum(x, 0), x" + RELU_BACKWARD


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WHOLE_RELU.encode("utf-16"), "text in UTF-16"),
        ("# größer\n".encode("latin-1"), "not text in UTF-8"),
        (b"PK\x03\x04....", "a zip archive"),
        (b"<html>\n", "a web page"),
        (b"x = 1\n\0", "null bytes"),
    ],
)
def test_a_file_that_is_no_python_is_called_what_it_is_and_left_alone(session, layers, capsys, content, message):
    layers.write_bytes(content)
    session.run(WHOLE_RELU)
    assert not session.keep("relu").passed
    told = capsys.readouterr().out
    assert "relu   not kept" in told
    assert message in told
    assert layers.read_bytes() == content
    with pytest.raises(UserError, match=message):
        notebook.my("relu")


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbfx = 1\n", b"x = 1\r\n", b"x = 1\ry = 2\r"])
def test_byte_order_marks_line_ends_and_empty_files_are_no_obstacle(session, layers, content):
    layers.write_bytes(content)
    session.run(WHOLE_RELU)
    assert session.keep("relu").passed
    assert notebook.my("relu_forward").__module__ == "my_layers"
    assert check_file(layers, exercises=["relu"]).outcomes[0].status == "passed"


@pytest.mark.parametrize("error", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT])
def test_a_folder_that_cannot_be_written_to_is_told_with_the_way_out(session, layers, monkeypatch, capsys, error):
    def refused(*_):
        raise OSError(error, os.strerror(error))

    session.run(WHOLE_RELU)
    with monkeypatch.context() as patch:
        patch.setattr(kept_layers, "write_text", refused)
        assert not session.keep("relu").passed
    told = capsys.readouterr().out
    assert f"relu   not kept: cannot write {layers}: {os.strerror(error)}; to keep it elsewhere" in told
    (statement,) = re.findall(r"import os; os\.environ.*?my_layers\.py'", told)
    home = layers.parent / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    exec(statement)
    assert session.keep("relu").passed
    assert "relu_forward" in (home / "my_layers.py").read_text(encoding="utf-8")


def test_a_file_in_place_of_the_folder_is_told(session, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("MINIGAN_LESSONS_LAYERS", str(tmp_path / "file" / "my_layers.py"))
    session.run(WHOLE_RELU)
    assert not session.keep("relu").passed
    assert "relu   not kept: cannot write" in capsys.readouterr().out
    assert notebook.my("relu_forward") is LIBRARY.relu_forward


def test_a_kept_file_that_exits_does_not_end_the_kernel(session, layers, capsys):
    layers.write_text("import sys\nsys.exit()\n")
    session.run(WHOLE_RELU)
    assert not session.keep("relu").passed
    assert "SystemExit" in capsys.readouterr().out
    with pytest.raises(UserError, match="the file exits when it is imported"):
        notebook.my("relu")


def test_the_file_lies_in_the_course_and_git_ignores_it(monkeypatch):
    monkeypatch.delenv("MINIGAN_LESSONS_LAYERS", raising=False)
    assert kept_layers.layers_file() == LESSONS / "my_layers.py"
    assert "/lessons/my_layers.py" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


# ----------------------------------------------------------------------------------------------------- every lesson
ANATOMY = ["What you will do, and need", "The idea", "The derivation", "Break it", "Three questions", "What comes next"]
FORBIDDEN = {"cupy", "ipywidgets", "requests", "urllib", "http", "socket", "torch", "tensorflow", "keras", "pickle"}


@pytest.fixture(scope="module", params=SOURCES, ids=lambda p: p.stem)
def lesson(request):
    return request.param, source_format.read_source(request.param)


def headings(cells, level):
    mark = "#" * level
    return [
        line.removeprefix(mark).strip()
        for cell in cells
        if cell.kind == "markdown"
        for line in cell.text.splitlines()
        if line.startswith(f"{mark} ")
    ]


def test_a_lesson_has_its_anatomy(lesson):
    _, cells = lesson
    assert len(headings(cells, 1)) == 1
    found = [part for heading in headings(cells, 2) for part in ANATOMY if re.match(rf"{part}\b", heading)]
    assert found == ANATOMY
    assert [k for k, cell in enumerate(cells) if "setup" in cell.tags] == [1]


def test_a_lesson_asks_three_questions_and_folds_their_answers_away(lesson):
    _, cells = lesson
    text = "\n".join(cell.text for cell in cells if cell.kind == "markdown")
    questions = text.split("## Three questions")[1].split("\n## ")[0]
    assert questions.count("<details><summary>Answer</summary>\n\n") == questions.count("\n\n</details>") == 3
    assert text.count("<details>") == text.count("</details>")


def test_every_exercise_has_its_number_and_time(lesson):
    path, cells = lesson
    number = int(path.stem[:2])
    found = [heading for heading in headings(cells, 3) if heading.startswith("Exercise")]
    assert len(found) >= 2
    counted = []
    for heading in found:
        shape = rf"Exercise ({number}\.\d+(?: and {number}\.\d+)?): .+   \*\(\d+ minutes?[^)]*\)\*"
        match = re.fullmatch(shape, heading)
        assert match, heading
        counted += re.findall(r"\.(\d+)", match[1])
    assert [int(one) for one in counted] == list(range(1, len(counted) + 1))


def test_at_most_two_exercises_between_checks(lesson):
    _, cells = lesson
    kinds = [tag for cell in cells for tag in ("exercise", "check") if tag in cell.tags]
    assert kinds
    assert kinds[-1] == "check"
    assert "exercise exercise exercise" not in " ".join(kinds)


def test_every_check_asks_for_an_exercise_there_is(lesson):
    _, cells = lesson
    own = exercises.every()
    text = "\n".join(cell.text for cell in cells if cell.kind == "code")
    names = re.findall(r"\bcheck\(\s*\"([^\"]+)\"", text)
    assert names
    for name in names:
        assert name in EXERCISES or name in own, name


def test_every_picture_is_shown_with_a_text(lesson):
    _, cells = lesson
    pictures = [cell for cell in cells if "picture" in cell.tags]
    assert pictures
    for cell in pictures:
        assert re.search(r"\bnotebook\.show(_image)?\(", cell.text), cell.line


def imports_of(text):
    """Names of the modules that have to be there: those that are only tried are left out."""
    todo: list[ast.AST] = [ast.parse(text)]
    while todo:
        node = todo.pop()
        if not isinstance(node, ast.Try):
            todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_lessons_need_no_network_no_widgets_and_no_gpu(lesson):
    _, cells = lesson
    text = "\n".join(cell.text for cell in cells if cell.kind == "code")
    for name in imports_of(text):
        assert name.split(".")[0] not in FORBIDDEN, name
    assert not re.search(r"^\s*[!%]", text, re.MULTILINE)


def test_nor_does_what_they_import():
    for path in [*LESSONS.glob("*.py"), *LESSONS.glob("figures/*.py"), *LESSONS.glob("exercises/*.py")]:
        for name in imports_of(path.read_text(encoding="utf-8")):
            assert name.split(".")[0] not in FORBIDDEN, (path.name, name)


def test_committed_notebooks_follow_from_their_source(lesson):
    path, cells = lesson
    made = {
        LESSONS / f"{path.stem}.ipynb": source_format.exercise_notebook(
            cells, path.name, source_format.solution_notebook(cells, path.name)
        ),
        LESSONS / "solutions" / f"{path.stem}.ipynb": source_format.solution_notebook(cells, path.name),
    }
    for file, built in made.items():
        committed = nbformat.reads(file.read_text(encoding="utf-8"), as_version=4)
        ours, theirs = ([entry[:3] for entry in source_format.inputs_of(n)] for n in (built, committed))
        assert ours == theirs, f"build it again: python lessons/build.py {path.stem[:2]}"
        assert file.stat().st_size < build.MOST_BYTES


def test_every_exercise_of_a_lesson_has_hints_and_a_name_of_its_own():
    found = [exercise for module in exercises.modules() for exercise in exercises.of_module(module)]
    names = [exercise.name for exercise in found]
    assert len(set(names)) == len(names)
    assert not set(names) & set(EXERCISES)
    for exercise in found:
        assert len(exercise.hints) == 3, exercise.name
        assert all(hint.strip() for hint in exercise.hints), exercise.name
        assert all(a != b for a, b in pairwise(exercise.hints)), exercise.name
        assert exercises.find(exercise.name) is exercise
    for module in exercises.modules():
        assert {exercise.lesson for exercise in exercises.of_module(module)} == {int(module[-2:])}
    assert exercises.find("nothing of this name") is None


def test_references_pass_and_mistakes_do_not():
    """What an exercise says of itself holds: its reference is right, and each known mistake is wrong and is named."""
    for exercise in exercises.every().values():
        if exercise.judge is not None:
            continue
        assert judge(exercise, [exercise.reference]).passed, exercise.name
        for mistake in exercise.mistakes:
            verdict = judge(exercise, [mistake.function])
            assert verdict.finding is not None, (exercise.name, mistake.why)
            assert verdict.finding.cause, (exercise.name, mistake.why)


@pytest.mark.parametrize("name", ["README.md", "glossary.md"])
def test_links_of_the_course_lead_somewhere(name):
    text = (LESSONS / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (LESSONS / target).exists(), target


def test_the_map_names_every_lesson():
    text = (LESSONS / "README.md").read_text(encoding="utf-8")
    for source in SOURCES:
        assert f"({source.stem}.ipynb)" in text
        assert f"(solutions/{source.stem}.ipynb)" in text


# ---------------------------------------------------------------------------------------------------------- the words
def glossary_terms():
    lines = (LESSONS / "glossary.md").read_text(encoding="utf-8").partition("|---|---|---|\n")[2].splitlines()
    return [line.split("|")[1].strip() for line in lines]


def test_the_glossary_is_alphabetical_and_has_the_cast():
    terms = glossary_terms()
    plain = ["".join(c for c in term.lower() if c.isalnum() or c == " ") for term in terms]
    assert plain == sorted(plain)
    assert len(set(terms)) == len(terms)
    for term in ("GAN", "DCGAN", "generator, G", "discriminator, D", "noise, z", "cache (of a layer)"):
        assert term in terms


def test_lesson_1_introduces_the_cast():
    text = (LESSONS / "src" / "01_array_programs.py").read_text(encoding="utf-8")
    for word in ("**GAN**", "**DCGAN**", "**generator**, G", "**discriminator**, D", "the noise", "**cache**"):
        assert word in text.partition("## What you will do")[0]


def test_what_soft_labels_do_to_the_slope_of_the_best_d():
    """The numbers of question 1 of lesson 6."""

    def pull(real, fake, x=2.0, h=1e-4):
        def log_density(x, mean, sigma):
            return -0.5 * ((x - mean) / sigma) ** 2 - np.log(sigma)

        def minus_ln_d(x):
            p, q = np.exp(log_density(x, 0, 0.3)), np.exp(log_density(x, 2, 0.5))
            return -np.log((real * p + fake * q) / (p + q))

        return abs(minus_ln_d(x + h) - minus_ln_d(x - h)) / (2 * h)

    assert pull(1, 0) == pytest.approx(22.2, abs=0.05)
    assert pull(0.9, 0) == pytest.approx(22.2, abs=0.05)
    assert pull(0.9, 0.1) < 1e-6


def test_how_the_game_of_two_adams_ends():
    """Lesson 5: both end on a circle, the one about an eighth as large."""
    from lessons.exercises import lesson05

    adam = lesson05.reference("adam")
    ends = []
    for beta1 in (0.9, 0.5):
        path = lesson05.play_game(lambda beta1=beta1: lesson05.adam(adam, 0.02, beta1=beta1), steps=6000)
        ends.append(np.hypot(*path[3000:].T).mean())
    assert 6 < ends[0] / ends[1] < 10
    assert ends[1] > 0.1


def test_the_longest_step_of_adam():
    from lessons.exercises import lesson05

    for beta1, times in ((0.5, 15.8), (0.9, 3.2)):
        p, m, v = (np.zeros(1) for _ in range(3))
        for t in range(1, 6001):
            p, m, v = lesson05.reference("adam")(p, np.array([1e-3]), m, v, t, 1.0, beta1, 0.999, 0.0)
        moved = lesson05.reference("adam")(p, np.ones(1), m, v, 6001, 1.0, beta1, 0.999, 0.0)[0] - p
        assert abs(moved[0]) == pytest.approx(times, abs=0.06)


# ------------------------------------------------------------------------------------------------------------- hints
def raises(*arguments, **settings):
    raise IndexError("index 7 is out of bounds")


def wrong_form(*arguments, **settings):
    return np.zeros((7, 11, 13)), None


OF_FUNCTIONS = [name for name, exercise in exercises.every().items() if exercise.lesson <= 10 and exercise.mistakes]


@pytest.mark.parametrize("function", [raises, wrong_form])
@pytest.mark.parametrize("name", [*EXERCISES, *OF_FUNCTIONS])
def test_three_hints_after_an_exception_and_a_wrong_form(name, function, capsys):
    verdict = notebook.check(name, function, hint=3)
    told = " ".join(capsys.readouterr().out.split())
    assert verdict.finding is not None
    assert all(f"Hint {k} of 3: " in told for k in (1, 2, 3))
    if function is raises:
        assert f"line {raises.__code__.co_firstlineno + 1} of raises: raise IndexError" in told


@pytest.mark.parametrize("name", [n for n, e in exercises.every().items() if e.lesson <= 10])
def test_the_three_hints_of_an_exercise_differ(name):
    hints = exercises.every()[name].hints
    assert all(hints)
    assert len(set(hints)) == 3


@pytest.mark.parametrize("name", [name for name, exercise in EXERCISES.items() if len(exercise.functions) == 2])
def test_three_hints_after_an_exception_in_backward(name, capsys):
    from minigan.nn import losses, ops

    forward = getattr(losses if name == "bce_with_logits" else ops, f"{name}_forward")
    verdict = notebook.check(name, forward, raises, hint=3)
    told = " ".join(capsys.readouterr().out.split())
    assert verdict.right == ("forward",)
    assert all(f"Hint {k} of 3: " in told for k in (1, 2, 3))
    assert f"line {raises.__code__.co_firstlineno + 1} of raises" in told
