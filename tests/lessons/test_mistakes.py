"""The sweep: every typical wrong answer is caught, none gets a false cause, and no right one fails."""

import re

import pytest

from lessons.mistakes import Right, Wrong, blind, rows
from lessons.mistakes.__main__ import BEGIN, END, README, main
from lessons.mistakes.sweep import Found, RowError, Score, lesson, table

ALL = [(number, row) for number, specimens in rows().items() for row in specimens]
SAMPLE = [(number, row) for number, row in ALL if row.exercise != "rescue"][::9]


def assert_well_judged(number, row):
    found = lesson(number).try_row(row)
    if isinstance(row, Right):
        assert found.passed, found.said
    else:
        assert found.failed, found.said
        assert not found.false_cause, found.said
        assert found.named == bool(row.cause), found.said


def name_of(value):
    return f"{value.exercise}: {value.name}" if isinstance(value, Wrong | Right) else str(value)


@pytest.mark.parametrize(("number", "row"), SAMPLE, ids=name_of)
def test_a_sample(number, row, monkeypatch):
    monkeypatch.setenv("MINIGAN_LESSONS_FAST", "1")
    assert_well_judged(number, row)


@pytest.mark.thorough
@pytest.mark.parametrize(("number", "row"), ALL, ids=name_of)
def test_every_specimen(number, row, monkeypatch):
    monkeypatch.setenv("MINIGAN_LESSONS_FAST", "1")
    assert_well_judged(number, row)


@pytest.mark.parametrize("number", rows())
def test_every_row_fits_its_lesson(number):
    for row in rows()[number]:
        lesson(number).patched(row)


@pytest.mark.parametrize("number", rows())
def test_names_are_unique_and_every_exercise_has_rows(number):
    names = [(type(row), row.exercise, row.name) for row in rows()[number]]
    assert len(names) == len(set(names))
    assert {row.exercise for row in rows()[number]} == set(lesson(number).calls)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Wrong("rings", "gone", "(H - 1) / 3", "1"), "does not occur"),
        (Wrong("rings", "twice", "np.arange", "np.zeros"), "occurs 2 times"),
        (Wrong("rings", "no Python", "return i[:, None]", "return ]"), "not valid Python"),
        (Wrong("no_exercise", "any", "x", "y"), "does not occur"),
    ],
)
def test_a_row_that_does_not_fit_is_told(row, message):
    with pytest.raises(RowError, match=message):
        lesson(1).try_row(row)


def test_a_patch_stays_in_its_own_specimen():
    wrong = Wrong("rings", "zeros", "return i[:, None] ** 2 + j**2", "return np.zeros((H, W))")
    assert lesson(1).try_row(wrong).failed
    assert (
        lesson(1)
        .try_row(Right("rings", "as it is", "return i[:, None] ** 2 + j**2", "return j**2 + i[:, None] ** 2"))
        .passed
    )


def found(row, *, passed=False, failed=True, cause="", said="FAIL"):
    return Found(row, passed, failed, cause, f"{said} {cause}")


def test_what_counts():
    wrong, unknown, right = Wrong("e", "a", "o", "n", "the sign"), Wrong("e", "b", "o", "n"), Right("e", "c", "o", "n")
    score = Score()
    for one in (
        found(wrong, cause="the sign is wrong"),
        found(wrong, cause="the axis"),  # a false cause
        found(wrong),  # caught, not named
        found(unknown),
        found(unknown, cause="the axis"),  # a false cause
        found(wrong, passed=True, failed=False, said="passed"),  # missed
        found(right, passed=True, failed=False),
        found(right),  # a false alarm
    ):
        score.add(one)
    assert vars(score) == {"wrong": 6, "caught": 5, "named": 1, "false_causes": 2, "right": 2, "alarms": 1}
    assert table({1: score, 2: score}).splitlines()[-1] == "| all | 12 | 10 | 2 | 4 | 4 | 2 |"


def test_the_command_prints_the_score(capsys, monkeypatch):
    monkeypatch.setattr("lessons.mistakes.__main__.rows", lambda: {1: rows()[1][:3], 2: rows()[2]})
    assert main(["--lesson", "1"]) == 0
    assert "| all | 3 | 3 | 3 | 0 | 0 | 0 |" in capsys.readouterr().out
    bad = Wrong("rings", "right, in truth", "return i[:, None] ** 2 + j**2", "return j**2 + i[:, None] ** 2")
    monkeypatch.setattr("lessons.mistakes.__main__.rows", lambda: {1: (bad,)})
    answers = blind.answers()
    monkeypatch.setattr(blind, "answers", lambda: answers[:2])
    assert main([]) == 1
    told = capsys.readouterr().out
    assert "MISSED: rings, right, in truth" in told
    assert "| today | 2 | 2 | 2 | 0 | 0 | 0 |" in told
    assert main(["--lesson", "1"]) == 1
    assert "today" not in capsys.readouterr().out


def test_the_readme_counts_all_specimens():
    """The whole table is compared in `make test-thorough`; how many there are is known without trying them."""
    shown = README.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    for number, specimens in rows().items():
        wrong = sum(isinstance(row, Wrong) for row in specimens)
        cells = re.search(rf"^\| {number} \|(.*)\|$", shown, re.MULTILINE)[1].split("|")
        assert (int(cells[0]), int(cells[4])) == (wrong, len(specimens) - wrong)


@pytest.mark.thorough
def test_the_score_in_the_readme_is_today_s(capsys, monkeypatch):
    monkeypatch.setenv("MINIGAN_LESSONS_FAST", "1")
    assert main([]) == 0
    shown = README.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert shown.strip() == capsys.readouterr().out.strip()
