"""The blind answers: what was said when they were first tried is kept, and what is said today is held."""

import pytest

from lessons.mistakes import Right, Wrong, blind
from lessons.mistakes.sweep import RowError

ALL = blind.answers()


def name_of(value):
    return f"{value.row.exercise}: {value.row.name}"


def assert_well_judged(answer):
    found = blind.try_answer(answer)
    if isinstance(answer.row, Right):
        assert found.passed, found.said
    else:
        assert found.failed, found.said
        assert found.named, found.said
        assert not found.false_cause, found.said


@pytest.mark.parametrize("answer", [a for a in ALL if a.first != "true cause"][::3] + list(ALL[::9]), ids=name_of)
def test_a_sample(answer, monkeypatch):
    monkeypatch.setenv("MINIGAN_LESSONS_FAST", "1")
    assert_well_judged(answer)


@pytest.mark.thorough
@pytest.mark.parametrize("answer", ALL, ids=name_of)
def test_every_answer(answer, monkeypatch):
    monkeypatch.setenv("MINIGAN_LESSONS_FAST", "1")
    assert_well_judged(answer)


def test_every_lesson_has_wrong_answers():
    assert {a.lesson for a in ALL if isinstance(a.row, Wrong)} == set(range(1, 15))
    assert len({name_of(a) for a in ALL}) == len(ALL)


def test_the_first_score_is_that_of_the_file():
    first = blind.first_score()
    assert (first.wrong, first.right) == (137, 25)
    assert (first.caught, first.named, first.false_causes, first.alarms) == (137, 122, 1, 0)
    table = blind.table([blind.try_answer(ALL[0]), blind.try_answer(ALL[-1])])
    assert table.splitlines()[-2:] == [
        "| first tried, 28 November 2026 | 137 | 137 | 122 | 1 | 25 | 0 |",
        "| today | 1 | 1 | 1 | 0 | 1 | 0 |",
    ]


@pytest.mark.parametrize(
    "notes",
    [
        "# mistake: m\n# first: passed\n# told: t",
        "# style: s\n# first: no cause",
        "# mistake: m\n# first: no cause",
        "",
    ],
)
def test_an_answer_without_its_notes_is_refused(notes, tmp_path, monkeypatch):
    file = tmp_path / "answers.txt"
    file.write_text(f"What this is.\n\n## the form\n\n## 1, rings | rings\n{notes}\nrings = 1\n", encoding="utf-8")
    monkeypatch.setattr(blind, "FILE", file)
    with pytest.raises(RowError, match="rings: the notes are"):
        blind.answers.__wrapped__()
