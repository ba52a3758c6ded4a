"""Who has moved since an earlier check."""

import json

import pytest

from minigan.check.outcomes import CHECKER_ERROR, FAILED, NOT_CHECKED, NOT_IMPLEMENTED, PASSED, FileReport, Outcome
from minigan.check.reports.class_report import render_html
from minigan.check.reports.earlier import Change, changes, read_earlier
from minigan.check.reports.text_report import render_changes
from minigan.system.errors import UserError


def report(student, **statuses):
    return FileReport(
        f"{student}.py", [Outcome(name, status, lesson=3) for name, status in statuses.items()], student=student
    )


def written(path, *reports):
    path.write_text(json.dumps({"files": [one.to_dict() for one in reports]}), encoding="utf-8")
    return path


def test_moves_are_told_everywhere(tmp_path):
    last = written(
        tmp_path / "last.json",
        report("ann", dense=FAILED, relu=PASSED, tanh=PASSED, sgd=PASSED),
        report("ben", dense=PASSED),
        report("gone", dense=PASSED),
    )
    now = [
        report("ann", dense=PASSED, relu=PASSED, tanh=NOT_IMPLEMENTED),  # sgd was not asked for
        report("ben", dense=PASSED),
        report("cleo", dense=PASSED),
    ]
    since = changes(now, read_earlier(last))
    assert since == {
        "ann": Change(("dense",), ("tanh",)),
        "ben": Change(),
        "cleo": Change(("dense",), (), is_new=True),
    }
    told = render_changes(since)
    assert "  ann: solved dense; no longer right: tanh" in told
    assert "  cleo: new; solved dense" in told
    assert "ben" not in told
    page = render_html(now, since=since)
    assert ">+1</span>" in page
    assert ">−1</span>" in page
    assert "no longer right: tanh" in page
    assert "Since" not in render_html(now)
    assert render_changes(changes(now[1:2], read_earlier(last))).endswith("nobody has moved")


def test_what_could_not_be_checked_is_not_lost(tmp_path):
    last = written(tmp_path / "last.json", report("ann", dense=PASSED, relu=PASSED, tanh=PASSED))
    now = report("ann", dense=NOT_CHECKED, relu=CHECKER_ERROR, tanh=FAILED)
    assert changes([now], read_earlier(last)) == {"ann": Change((), ("tanh",))}


def test_a_student_with_two_files_has_solved_what_one_of_them_solves(tmp_path):
    last = written(tmp_path / "last.json", report("ann", dense=FAILED), report("ann", dense=PASSED))
    assert changes([report("ann", dense=PASSED)], read_earlier(last)) == {"ann": Change()}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": [{}]}', '{"files": 3}', "[" * 100_000])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "last.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match="was not written by --json"):
        read_earlier(path)
    with pytest.raises(UserError, match="cannot read"):
        read_earlier(tmp_path / "nowhere.json")
