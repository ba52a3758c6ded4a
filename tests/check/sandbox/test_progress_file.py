"""The file of progress: what it may hold, and under which names its functions are called."""

import json

import numpy as np
import pytest

from minigan.check.sandbox import progress_file, wire
from minigan.check.sandbox.student_process import functions_of
from minigan.system.errors import UserError


def test_entries_arrive_as_they_were(tmp_path):
    entry = progress_file.Entry("x = 1\n", [{"function": "f"}], "NCHW", "")
    path = tmp_path / "progress.json"
    data = {"format": progress_file.FORMAT, "exercises": {"rings": entry.to_dict()}}
    path.write_text(json.dumps(data), encoding="utf-8")
    assert progress_file.is_progress(path)
    assert progress_file.read_progress(path) == {"rings": entry}
    data["exercises"]["rings"]["layout"] = "CHWN"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(UserError, match="is no file of progress"):
        progress_file.read_progress(path)


def test_answers_are_unpacked_and_nothing_else():
    assert progress_file.answer_of({"answer": ["int", 3]}) == 3
    description, payload = wire.packed(np.ones(2))
    for one in ({"answer": description, "bytes": "!"}, {"answer": ["thing"]}, {"answer": description}):
        with pytest.raises(wire.WireError):
            progress_file.answer_of(one)
    assert len(payload) == 16


def test_functions_have_the_exercises_names_and_what_cannot_run_raises_why():
    entries = {
        "dense": progress_file.Entry(
            "def a(x): return 1\ndef b(x): return 2\n", [{"function": "a"}, {"function": "b"}]
        ),
        "rings": progress_file.Entry("def r(x: return 1\n", [{"answer": ["none"]}, {"function": "r"}]),
    }
    found = functions_of(entries, "progress.json")
    assert list(found) == ["dense_forward", "dense_backward", "rings/1"]
    assert (found["dense_forward"](0), found["dense_backward"](0)) == (1, 2)
    with pytest.raises(ImportError, match="its source cannot be run"):
        found["rings/1"](0)
