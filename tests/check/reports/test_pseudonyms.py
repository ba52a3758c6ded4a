"""Pseudonyms: they stay, they tell nothing, and no report holds a name beside them."""

import csv
import json

import pytest

from minigan.check.outcomes import FAILED, FileReport, Finding, Outcome
from minigan.check.reports.pseudonyms import anonymous, extended, read_key, render_key
from minigan.system.errors import UserError


def test_pseudonyms_stay_and_new_students_get_new_ones(tmp_path):
    path = tmp_path / "key.csv"
    assert read_key(path) == {}
    key = extended({}, ["ann", "ben", "ann"])
    path.write_bytes(render_key(key))
    again = extended(read_key(path), ["ben", 'c, "d"'])
    assert {name: again[name] for name in key} == key
    assert len(set(again.values())) == 3
    path.write_bytes(render_key(again))
    assert read_key(path) == again
    assert extended({}, ["ann"]) != key  # drawn, not computed from the name


@pytest.mark.parametrize(
    "content", ["ann,S-1\n", "student,pseudonym\nann\n", "student,pseudonym\na,S-1\nb,S-1\n", "student,pseudonym\na,\n"]
)
def test_what_is_no_key_is_refused(tmp_path, content):
    path = tmp_path / "key.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match="--anonymous"):
        read_key(path)


def test_no_name_in_the_key_is_a_formula(tmp_path):
    path = tmp_path / "key.csv"
    key = dict(zip(("=1+1", " @x", "'quoted", "ann"), "abcd", strict=True))
    path.write_bytes(render_key(key))
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = [name for name, _ in csv.reader(file)]
    assert not [name for name in cells if name.lstrip()[:1] in "=+-@"]
    assert read_key(path) == key


def test_no_report_holds_the_name():
    where = Finding(
        "E03", "load", "raises", ("class/ann_lee/layers.py, line 3", "by ann_lee"), "ann_lee did", (), "layers.py"
    )
    report = FileReport("class/ann_lee/layers.py", [Outcome("relu", FAILED, where)], where, student="ann_lee")
    hidden = anonymous(report, {"ann_lee": "S-ABC"})
    told = json.dumps(hidden.to_dict())
    assert "ann" not in told
    assert "layers" not in told
    assert (hidden.student, hidden.path, hidden.problem.evidence[0]) == ("S-ABC", "S-ABC.py", "S-ABC, line 3")
    assert report.student == "ann_lee"  # the report itself is as it was
