"""The report in a terminal: hints one by one, aligned lines, colours on demand, and nothing that it would obey."""

from dataclasses import replace

import pytest

from minigan.check.outcomes import FAILED, NOT_IMPLEMENTED, PASSED, FileReport, Finding, Outcome
from minigan.check.reports import text_report
from minigan.check.reports.alike import Alike, Passage
from minigan.check.reports.text_report import distinct_names
from minigan.system.command_lines import quoted
from minigan.system.wording import NAME_IN_A_TABLE

FINDING = Finding(
    "E58",
    "gradient",
    "the path through the batch mean is missing",
    evidence=("100 % of dx wrong",),
    cause="the error is one constant per channel",
    hints=("a nudge", "a push", "the way out"),
    where="batch_norm_backward: dx",
)


REPORT = FileReport(
    "my layers.py",
    [
        Outcome("batch_norm", FAILED, FINDING, passed=["forward"], lesson=10),
        Outcome("batch_norm_inference", NOT_IMPLEMENTED, lesson=10),
        Outcome("conv2d", NOT_IMPLEMENTED, passed=["forward"], lesson=8),
        Outcome("dense", PASSED, lesson=3),
    ],
)


def test_hints_come_one_by_one():
    first, second, last = (text_report.render_text(REPORT, hint=hint) for hint in (1, 2, 3))
    assert "Hint 1 of 3: a nudge" in first
    assert "a push" not in first
    assert f"Next hint: python -m minigan.check {quoted('my layers.py')} --only batch_norm --hint 2" in first
    assert "a push" in second
    assert "--hint 3" in second
    assert "the way out" in last
    assert "Next hint" not in last
    assert 'Next hint: check("batch_norm", ..., hint=2)' in text_report.render_finding(REPORT.outcomes[0], "")
    for name, seen in (("{a}.py", quoted("{a}.py")), ("-a.py", "./-a.py"), ("a\n.py", quoted("a\n.py"))):
        assert f"check {seen} --only" in text_report.render_finding(REPORT.outcomes[0], name)


def test_lines_are_aligned_and_counted():
    lines = text_report.render_text(REPORT).splitlines()
    assert lines[1] == (
        "  batch_norm            FAIL  E58  batch_norm_backward: dx: the path through the batch mean is missing"
    )
    assert lines[2] == "  batch_norm_inference  not implemented yet"
    assert lines[3] == "  conv2d                not implemented yet (but right so far: forward)"
    assert lines[4] == "  dense                 ok"
    assert lines[-1] == "1 passed, 1 failed (E58), 2 not implemented yet"


def test_colours_only_on_demand():
    assert "\x1b[31m" in text_report.render_text(REPORT, colour=True)
    assert "\x1b" in text_report.render_class([REPORT, REPORT], colour=True)
    assert "\x1b" not in text_report.render_text(REPORT) + text_report.render_class([REPORT, REPORT])


def test_nothing_a_terminal_would_obey_gets_through():
    wild = Finding("E10", "contract", "raises \x1b[2J\r\n\a", evidence=("\x1b]0;title\a",), where="a\x00b")
    shown = text_report.render_text(FileReport("x\x1b.py", [Outcome("dense", FAILED, wild)]))
    assert all(c == "\n" or c.isprintable() for c in shown)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ([], []),
        (["x/a.py", "x/b.py"], ["a.py", "b.py"]),
        (["x/ada/m.py", "x/ben/m.py", "x/ben/n.py"], ["ada/m.py", "ben/m.py", "n.py"]),
        (["x/ada/src/m.py", "x/ben/src/m.py"], ["ada/src/m.py", "ben/src/m.py"]),
        (["m.py", "x/m.py"], ["m.py", "x/m.py"]),
        (["m.py", "m.py"], ["m.py", "m.py (2)"]),
        ([r"C:\x\ada\m.py", r"C:\x\ben\m.py"], ["ada/m.py", "ben/m.py"]),
        (["/"], ["/"]),
        ([""], [""]),
        ([f"x/{'a' * 90}1{'b' * 90}.py"], [f"{'a' * 18}...{'b' * 16}.py"]),
        (
            [f"x/{'a' * 90}{k}{'b' * 90}.py" for k in range(2)],
            [f"{'a' * 18}...{'b' * 16}.py", f"{'a' * 18}...{'b' * 16}.py (2)"],
        ),
    ],
)
def test_distinct_names(paths, names):
    assert distinct_names(paths) == names


def test_of_many_pairs_that_are_alike_the_first_are_named():
    passage = Passage(3, "x = 1")
    pairs = [Alike(0, 1, 100, 0.9, ((passage, passage),))] * 25
    told = text_report.render_alike(pairs, [replace(REPORT, student=name) for name in ("ann", "ben")])
    assert told.count("ann and ben: 90%, from line 3 and line 3 on") == 20
    assert told.splitlines()[-1] == "  and 5 more pairs: --report shows all"
    assert "more" not in text_report.render_alike(pairs[:20], [REPORT, REPORT])


def test_names_in_letters_of_two_columns_are_aligned():
    ada, name = (replace(REPORT, path=path) for path in ("ada.py", "日本.py"))
    lines = text_report.render_class([ada, name]).splitlines()
    assert lines[0].index("1 passed") == lines[1].index("1 passed") + 2 == 11
    solved = next(line for line in lines if line.startswith("solved by"))
    assert solved.index("2") == lines[4].index("ok") + 1  # also under names that are shorter than these words


def test_a_long_name_leaves_the_table_of_a_class_as_it_is():
    """No name, however long, moves the marks out of their columns."""
    reports = [replace(REPORT, path=path) for path in ("ada.py", f"class/{'x' * 180}.py", "a\nb.py")]
    lines = text_report.render_class(reports).splitlines()
    assert all(len(line) <= NAME_IN_A_TABLE + 80 for line in lines)
    marks = [line.index(" E58 ") for line in lines if " E58 " in line]
    assert marks == [NAME_IN_A_TABLE + 2 + len("  ok    - ")] * 3
