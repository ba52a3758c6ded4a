"""Points for a class: what an exercise gives, whose file it is, and a table that every spreadsheet reads."""

import csv
import io

import pytest

from minigan.check.exercise_table import EXERCISES
from minigan.check.outcomes import FAILED, NOT_CHECKED, NOT_IMPLEMENTED, PASSED, FileReport, Finding, Outcome
from minigan.check.reports import gradebook
from minigan.check.reports.earlier import Change
from minigan.system.errors import UserError

WRONG = Finding("E58", "gradient", "dx is wrong")


def report(student, path="x.py", problem=None, **statuses):
    outcomes = [
        Outcome(name, status, WRONG if status == FAILED else None, list(passed), 8)
        for name, (status, *passed) in statuses.items()
    ]
    return FileReport(path, outcomes, problem, student=student)


def rows(reports, points=(), since=None):
    since = since or {}
    text = gradebook.render_csv(reports, dict(points), since)
    assert text.startswith("\ufeff")
    assert text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(text[1:])))


def test_each_exercise_gives_a_point_or_what_a_file_says(tmp_path):
    path = tmp_path / "points.toml"
    path.write_text("[points]\nconv2d = {forward = 1, backward = 2.5}\ndense = 4\nrelu = 0\n", encoding="utf-8")
    points = gradebook.read_points(path, list(EXERCISES))
    reports = [
        report("ann", dense=(PASSED,), relu=(PASSED,), sgd=(PASSED,), conv2d=(PASSED, "forward", "dx")),
        report("bob", dense=(FAILED, "forward"), relu=(FAILED,), sgd=(NOT_IMPLEMENTED,), conv2d=(FAILED, "forward")),
    ]
    ann, bob = rows(reports, points)
    assert list(ann) == ["student", "points", "of", "dense", "relu", "sgd", "conv2d", "to mend", "remarks", "files"]
    assert (ann["points"], ann["of"], ann["conv2d"]) == ("8.5", "8.5", "3.5")
    assert (bob["points"], bob["dense"], bob["conv2d"]) == ("1", "0", "1")  # no partial credit but where it is said
    assert bob["to mend"] == "dense E58; relu E58; conv2d E58"
    assert rows(reports)[0]["points"] == "4"


def test_what_is_said_of_an_exercise_that_passes_is_in_the_table():
    ann = report("ann", dense=(PASSED,), sgd=(PASSED,), relu=(NOT_CHECKED,))
    ann.outcomes[0].note = "uses minigan's own dense_forward"
    ann.outcomes[2].note = "mend dense first"
    (row,) = rows([ann])
    assert row["remarks"] == "dense: uses minigan's own dense_forward"


def test_a_student_with_several_files_gets_the_best_of_them():
    problem = Finding("E01", "load", "the file is not valid Python")
    reports = [
        report("ann", "a/layers.py", dense=(FAILED,), sgd=(PASSED,)),
        report("ann", "a/progress.json", dense=(PASSED,), sgd=(NOT_IMPLEMENTED,)),
        report("bob", "b.py", problem, dense=(NOT_CHECKED,), sgd=(NOT_CHECKED,)),
    ]
    ann, bob = rows(reports)
    assert (ann["points"], ann["to mend"], ann["files"]) == ("2", "", "a/layers.py; a/progress.json")
    assert (bob["points"], bob["to mend"]) == ("0", "E01 the file is not valid Python")


@pytest.mark.parametrize("name", ["=1+1", "+x", "-2", "@SUM(A1)", " =1", "\t=1", "\uff1d1"])
def test_no_cell_is_a_formula(name):
    (row,) = rows([report(name, path=name, dense=(PASSED,))])
    assert row["student"].startswith("'")
    assert row["files"].startswith("'")


def test_names_of_all_scripts_and_with_commas_arrive_and_numbers_are_sorted_as_numbers():
    names = ["s10", "s2", 'Müller, "Anna"', "李"]
    assert [row["student"] for row in rows([report(name, dense=(PASSED,)) for name in names])] == [
        'Müller, "Anna"',
        "s2",
        "s10",
        "李",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("points = 3", "one table"),
        ("[points]\nx = 1\n[more]\n", "one table"),
        ("[points\n", "not valid TOML"),
        ("[points]\nconv3d = 1", "no exercise 'conv3d'"),
        ("[points]\ndense = -1", "must be 0 to"),
        ("[points]\ndense = nan", "must be 0 to"),
        ("[points]\ndense = true", "must be 0 to"),
        ('[points]\ndense = "1"', "must be 0 to"),
        ("[points]\ndense = {forward = 1}", "must be a number, or {forward"),
        ("[points]\nsgd = {forward = 1, backward = 1}", "must be a number"),
    ],
)
def test_a_file_of_points_that_says_something_else_is_refused(tmp_path, content, said):
    path = tmp_path / "points.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=said) as caught:
        gradebook.read_points(path, list(EXERCISES))
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="cannot read"):
        gradebook.read_points(tmp_path / "nowhere.toml", list(EXERCISES))


def test_students_are_found_in_paths():
    paths = ["hand in/ann_17/layers.py", "hand in\\bob_4\\layers.py"]
    assert gradebook.students_of(paths, None) == ["ann_17/layers.py", "bob_4/layers.py"]
    assert gradebook.students_of(paths, r"/([a-z]+)_\d+/") == ["ann", "bob"]
    assert gradebook.students_of(paths, r"[a-z]+_\d+") == ["ann_17", "bob_4"]
    with pytest.raises(UserError, match="finds nobody in hand in/ann"):
        gradebook.students_of(paths, r"bob")
    with pytest.raises(UserError, match="is no regular expression"):
        gradebook.students_of(paths, "(")


def test_what_has_changed_has_columns_of_its_own():
    (row,) = rows([report("ann", dense=(PASSED,))], since={"ann": Change(("dense",), ("sgd", "relu"))})
    assert (row["newly solved"], row["no longer right"]) == ("dense", "sgd; relu")
